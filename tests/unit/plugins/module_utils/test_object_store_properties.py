# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any object that a writer of the format makes is read as it was meant; any change of its bytes is found or changes nothing that is read.

What a hash cannot cover is said where it is allowed for: a commit's parents and names, the size field of a version 0 file, and bits of
a zlib stream that decompress to the same.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import tempfile
import tracemalloc
import zlib
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.seafleet.seafile.plugins.module_utils import object_store
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import DIRECTORY, FILE, Damage, ObjectStore, parse_id
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import model_store
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.properties import examples

STORE = "b0d6c8d0-d232-4563-9899-d92e9741eb8b"
KEYS = st.one_of(st.integers(0, 2 ** 160 - 1).map(lambda number: f"{number:040x}"), st.just(model_store.ZERO))
HARD = ("\n", "\\", '"', "'", " ", "-", ".", "\x01", "\x7f", "\u00fc", "u\u0308", "\u2028", "\U0001f600", "\ufffd", "{", "[", "]", "}", "\\u0041", "\\ud800")
PIECES = st.one_of(st.sampled_from(HARD), st.characters(min_codepoint=1, max_codepoint=0x2FF).filter(lambda c: c != "/"),
                   st.characters(min_codepoint=0x1F300, max_codepoint=0x1F64F))
# Legal in Seafile: anything but a slash and NUL, at most 255 bytes of UTF-8.
NAMES = st.one_of(
    st.lists(PIECES, min_size=1, max_size=20).map("".join),
    st.integers(1, 255).map(lambda length: "x" * length), st.integers(1, 63).map(lambda length: "\U0001f600" * length + "abc"),
).filter(lambda name: len(name.encode("utf-8")) <= 255)
ENTRIES = st.lists(st.tuples(NAMES, KEYS, st.booleans()), max_size=6, unique_by=lambda entry: entry[0])
STYLES = st.sampled_from([{}, {"ensure_ascii": True}, {"sort_keys": False}, {"separators": (",", ":")}, {"indent": 1}])
VERSIONS = st.sampled_from([0, 1])


class Place:
    """A store in which one object is written again and again."""

    def __enter__(self):
        self.root = tempfile.mkdtemp(prefix="seafleet-store-")
        os.mkdir(os.path.join(self.root, "commits"))
        return self

    def __exit__(self, *dummy):
        shutil.rmtree(self.root)

    def write(self, kind, key, content):
        path = model_store.object_file(self.root, (kind, STORE, key))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content)

    def read(self, kind, key, content, version=1, check_hash=True):
        """What is read of the content under that name, and the damage; nothing but Damage may be raised."""
        self.write(kind, key, content)
        with ObjectStore(self.root).open(kind, STORE) as objects:
            try:
                if kind == "blocks":
                    return objects.check_block(parse_id(key)), None
                read = objects.read_commit(parse_id(key), check_hash) if kind == "commits" else objects.read_fs(parse_id(key), version, check_hash)
                assert read[1] == len(content)
                return read[0], read[2]
            except Damage as damage:
                return None, damage


def changes(data, content):
    """Contents that differ: bytes changed one at a time, cut, extended."""
    for dummy in range(12):
        at, bits = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
        yield "changed", content[:at] + bytes([content[at] ^ bits]) + content[at + 1:]
    for dummy in range(4):
        yield "cut", content[:data.draw(st.integers(0, len(content) - 1))]
    yield "extended", content + data.draw(st.binary(min_size=1, max_size=8))
    yield "extended", content + content


@examples(60)
@given(ENTRIES, VERSIONS, st.integers(0, 9), STYLES)
def test_a_directory_is_read_with_every_name_and_its_hash_is_right(entries, version, level, style):
    key, content = model_store.directory_object(entries, version, level, **style)
    with Place() as place:
        read, damage = place.read("fs", key, content, version)
    assert damage is None and read.type == DIRECTORY and list(read.blocks) == []
    assert [(entry.name, entry.id.hex(), entry.is_directory) for entry in read.entries] == entries


@examples(30)
@given(st.lists(KEYS, max_size=8), VERSIONS, st.integers(0, 9), STYLES, st.integers(0, 2 ** 63))
def test_a_file_is_read_with_its_blocks_in_their_order_and_its_hash_is_right(blocks, version, level, style, size):
    key, content = model_store.file_object(blocks, version, size, level, **style)
    with Place() as place:
        read, damage = place.read("fs", key, content, version)
    assert damage is None and read.type == FILE and list(read.entries) == [] and [block.hex() for block in read.blocks] == blocks


COMMITS = st.fixed_dictionaries({
    "root": KEYS, "ctime": st.integers(0, 2 ** 62), "parents": st.lists(KEYS.filter(lambda key: key != model_store.ZERO), max_size=2).map(tuple),
    "version": VERSIONS, "rule": st.sampled_from(["c", "go"]), "creator": KEYS,
    "creator_name": st.one_of(st.none(), st.just(""), NAMES), "description": st.one_of(st.just(""), NAMES), "repo_name": NAMES,
    "encrypted": st.sampled_from(["true", "false", None])})


@examples(60)
@given(COMMITS)
def test_a_commit_of_either_rule_is_read_and_its_id_is_accepted(fields):
    key, content = model_store.commit_object(STORE, **fields)
    with Place() as place:
        read, damage = place.read("commits", key, content)
    assert damage is None
    assert (read.root.hex(), read.ctime, tuple(parent.hex() for parent in read.parents)) == (fields["root"], fields["ctime"], fields["parents"])
    assert (read.version, read.library, read.name, read.encrypted) == (fields["version"], STORE, fields["repo_name"], fields["encrypted"] == "true")


@examples(30)
@given(st.one_of(ENTRIES.filter(bool), st.lists(KEYS, min_size=1, max_size=8)), VERSIONS, st.data())
def test_a_change_of_an_fs_object_is_found_or_changes_nothing_that_is_read(content_of, version, data):
    if isinstance(content_of[0], str):
        key, content = model_store.file_object(content_of, version, 5)
    else:
        key, content = model_store.directory_object(content_of, version)
    with Place() as place:
        whole = place.read("fs", key, content, version)[0]
        for how, changed in changes(data, content):
            read, damage = place.read("fs", key, changed, version)
            if version == 0 or how != "changed":
                # A version 0 file's own size is in no hash.
                harmless = version == 0 and how == "changed" and whole.type == FILE and changed[:4] == content[:4] and changed[12:] == content[12:]
                assert damage is not None or harmless
            elif damage is None:  # bits of a zlib stream that mean the same
                assert read == whole and zlib.decompress(changed) == zlib.decompress(content)
            place.read("fs", key, changed, version, check_hash=False)


@examples(30)
@given(COMMITS, st.data())
def test_a_change_of_what_a_commits_id_covers_is_found(fields, data):
    def covered(content):
        document = json.loads(content)
        names = ("root_id", "creator", "ctime", "commit_id", "repo_id")
        return [document[name] for name in names] + [document.get("description") or "", document.get("creator_name") or ""]

    key, content = model_store.commit_object(STORE, **fields)
    with Place() as place:
        for dummy, changed in changes(data, content):
            damage = place.read("commits", key, changed)[1]
            assert damage is not None or covered(changed) == covered(content)
            place.read("commits", key, changed, check_hash=False)


@examples(40)
@given(st.binary(min_size=1, max_size=300), st.data())
def test_any_change_of_a_block_is_found(content, data):
    key = model_store.block(content)[0]
    with Place() as place:
        assert place.read("blocks", key, content) == (len(content), None)
        for dummy, changed in changes(data, content):
            assert place.read("blocks", key, changed)[1].kind == ("wrong-hash" if changed else "empty")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.integers(2 ** 62, 2 ** 70), st.floats(), NAMES, KEYS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["type", "dirents", "block_ids", "id", "mode", "name", "root_id", "ctime", "parent_id", "version",
                                         "commit_id", "repo_id", "second_parent_id", "encrypted", "enc_version", "creator", "creator_name",
                                         "description"]), inner, max_size=8)),
    max_leaves=12)


@examples(100)
@given(st.one_of(JSON.map(lambda document: json.dumps(document).encode()), st.binary(max_size=80)), st.booleans(), VERSIONS, st.booleans())
def test_any_content_at_all_is_read_or_is_a_damage(content, packed, version, check_hash):
    with Place() as place:
        for kind in ("commits", "fs"):
            plain = kind == "commits" or not packed
            damage = place.read(kind, "a" * 40, content if plain else zlib.compress(content), version, check_hash)[1]
            assert damage is None or damage.kind in ("truncated", "unparsable", "wrong-hash", "mismatch", "empty")


@examples(60)
@given(st.integers(0, 4), st.binary(max_size=150), st.integers(0, 2 ** 32 - 1))
def test_any_binary_fs_object_is_read_or_is_a_damage(kind, rest, length):
    with Place() as place:
        entry = struct.pack(">I40sI", 0o100644, b"a" * 40, length)
        for content in (struct.pack(">I", kind) + rest, struct.pack(">I", kind) + entry + rest):
            damage = place.read("fs", "a" * 40, content, 0)[1]
            assert damage is not None and damage.kind in ("truncated", "unparsable", "wrong-hash")


LARGE = st.lists(st.tuples(NAMES.map(lambda name: name[:10]), KEYS, st.booleans()), min_size=1, max_size=12)


@examples(30)
@given(st.one_of(LARGE, st.lists(KEYS, min_size=1, max_size=12)), STYLES, st.sampled_from([210, 211, 256, 1000]), st.data())
def test_a_large_object_is_read_in_pieces_as_a_small_one_at_once(content_of, style, piece, data):
    if isinstance(content_of[0], str):
        key, content = model_store.file_object(content_of, 1, 5, **style)
    else:
        key, content = model_store.directory_object(content_of, 1, **style)
    plain = zlib.decompress(content)
    with Place() as place:
        for changed in [plain] + [changed for dummy, changed in changes(data, plain)]:
            at_once, damage = place.read("fs", key, zlib.compress(changed), check_hash=False)
            # Pieces so small that every item but a few is cut by one.
            with mock.patch.object(object_store, "_LARGE_JSON_BYTES", 0), mock.patch.object(object_store, "_LARGE_PIECE_BYTES", piece):
                in_pieces, damage2 = place.read("fs", key, zlib.compress(changed), check_hash=False)
            if changed is plain:
                assert damage2 is None and in_pieces == at_once
            elif damage2 is None:
                assert in_pieces == at_once


@examples(30)
@given(st.one_of(ENTRIES, st.lists(KEYS, max_size=8)), VERSIONS, st.data())
def test_what_an_object_points_at_is_the_same_with_and_without_its_names(content_of, version, data):
    if content_of and isinstance(content_of[0], str):
        key, content = model_store.file_object(content_of, version, 5)
    else:
        key, content = model_store.directory_object(content_of, version)

    def children(changed):
        place.write("fs", key, changed)
        with ObjectStore(place.root).open("fs", STORE) as objects:
            try:
                return objects.read_children(parse_id(key), version)
            except Damage as damage:
                return damage

    with Place() as place:
        for changed in [content] + [changed for dummy, changed in changes(data, content)]:
            read, damage = place.read("fs", key, changed, version)
            found = children(changed)
            if read is None:
                assert isinstance(found, Damage) and found.kind == damage.kind
                continue
            assert (found.damage.kind if found.damage else None) == (damage.kind if damage else None)
            assert (found.type, list(found.blocks), found.size) == (read.type, list(read.blocks), len(changed))
            assert list(found.directories) == [entry.id for entry in read.entries if entry.is_directory]
            assert list(found.files) == [entry.id for entry in read.entries if not entry.is_directory]


# --- bounds -------------------------------------------------------------------------------------------------------


def memory(call):
    """What the call returns, and the most memory it took in bytes."""
    tracemalloc.start()
    try:
        return call(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def bomb(begin, repeated, times):
    """A zlib stream of I(begin) and then I(repeated) again and again, made without compressing all of it."""
    def deflated(plain):
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        return deflater.compress(plain) + deflater.flush(zlib.Z_FULL_FLUSH)

    return b"\x78\x9c" + deflated(begin) + deflated(repeated) * times


PIECE = 1 << 20


@pytest.mark.parametrize("begin, item", [
    (b"", b" "), (b"", b"\0"), (b'{"type":3,"dirents":[', b"[],"), (b'{"type":3,"dirents":[', b" "), (b'{"type":3,"dirents":[],"x":', b"9"),
    (b'{"type":3,"dirents":[{"name":"', b"a"), (b'{"type":1,"block_ids":[],"x":"', b"a")])
@pytest.mark.parametrize("size", [300, 3000])
def test_a_zip_bomb_is_given_up_where_it_stops_being_an_fs_object(begin, item, size):
    content = bomb(begin, item * (PIECE // len(item)), size)
    with Place() as place:
        (dummy, damage), peak = memory(lambda: place.read("fs", "a" * 40, content))
    assert damage.kind == "unparsable"
    assert peak < 20 * PIECE + len(content)


def test_a_bomb_of_true_entries_ends_at_the_largest_object_there_can_be(monkeypatch):
    monkeypatch.setattr(object_store, "_LARGE_JSON_BYTES", PIECE // 4)
    monkeypatch.setattr(object_store, "MAX_FS_BYTES", 2 * PIECE)
    item = b'{"id":"%s","mode":33188,"name":"x"},' % (b"a" * 40)
    content = bomb(b'{"type":3,"dirents":[', item * (PIECE // len(item)), 300)
    with Place() as place:
        (dummy, damage), peak = memory(lambda: place.read("fs", "a" * 40, content))
    assert damage.kind == "unparsable" and "larger than" in damage.cause
    assert peak < 10 * object_store.MAX_FS_BYTES


@pytest.mark.parametrize("begin, item", [
    (b'{"type":3,"dirents":[', b"[],"), (b'{"type":3,"dirents":[', b"0,"), (b'{"type":1,"block_ids":[', b'"ab",'), (b'{"type":3,"dirents":[', b"{},"),
    (b'{"type":1,"block_ids":["', b"a"), (b'{"type":3,"dirents":[', b"["), (b'{"type":3,"dirents":[{"id":', b"["), (b'{"type":3,"version":', b"1")])
def test_json_that_would_grow_when_it_is_parsed_is_refused_early(begin, item):
    content = zlib.compress(begin + item * (20 * PIECE // len(item)), 1)
    with Place() as place:
        (dummy, damage), peak = memory(lambda: place.read("fs", "a" * 40, content))
    assert damage.kind == "unparsable"
    assert peak < 80 * PIECE
