# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import object_store
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import Damage, ObjectStore, parse_id
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import Maker

STORE = "b0d6c8d0-d232-4563-9899-d92e9741eb8b"


@pytest.fixture
def maker(tmp_path):
    return Maker(tmp_path / "storage")


def fs_damage(maker, content, version=1, check_hash=False, name="a" * 40):
    maker.write("fs", STORE, name, content)
    with ObjectStore(maker.root).open("fs", STORE) as objects:
        try:
            return objects.read_fs(parse_id(name), version, check_hash)[2]
        except Damage as damage:
            return damage


def test_a_version_0_tree_is_read_and_hashed(maker):
    blocks = [hashlib.sha1(b"one").digest(), hashlib.sha1(b"two").digest()]
    file_id = hashlib.sha1(b"".join(blocks)).hexdigest()
    maker.write("fs", STORE, file_id, struct.pack(">IQ", 1, 6) + b"".join(blocks))
    name = "\u00fc.txt".encode()
    entry = struct.pack(">I", 0o100644) + file_id.encode() + struct.pack(">I", len(name)) + name
    directory_id = hashlib.sha1(file_id.encode() + name + struct.pack("<I", 0o100644)).hexdigest()
    maker.write("fs", STORE, directory_id, struct.pack(">I", 3) + entry)
    with ObjectStore(maker.root).open("fs", STORE) as objects:
        file, dummy, damage = objects.read_fs(parse_id(file_id), 0, check_hash=True)
        assert (file.type, list(file.blocks), damage) == (object_store.FILE, blocks, None)
        directory, dummy, damage = objects.read_fs(parse_id(directory_id), 0, check_hash=True)
        assert directory.entries == [("\u00fc.txt", parse_id(file_id), False)] and damage is None


@pytest.mark.parametrize("length", range(1, 30))
def test_an_fs_object_that_is_cut_anywhere_is_truncated(maker, length):
    whole = zlib.compress(json.dumps({"type": 1, "block_ids": []}).encode())
    assert len(whole) > 30 and fs_damage(maker, whole[:length]).kind == "truncated"


@pytest.mark.parametrize(
    "content",
    [
        b"not zlib",
        zlib.compress(b"{}"),
        zlib.compress(b"[]"),
        zlib.compress(b"[" * 100000),
        zlib.compress(b"\xff\xfe{"),
        zlib.compress(json.dumps({"type": 3, "dirents": None}).encode()),
        zlib.compress(json.dumps({"type": 3, "dirents": [{"id": "x", "mode": 16384, "name": "a"}]}).encode()),
        zlib.compress(json.dumps({"type": 3, "dirents": [{"id": "0" * 40, "mode": 1 << 80, "name": "a"}]}).encode()),
        zlib.compress(json.dumps({"type": 3, "dirents": [{"id": "0" * 40, "mode": 16384, "name": 5}]}).encode()),
        zlib.compress(json.dumps({"type": 1, "block_ids": ["../../../../../../etc/passwd"]}).encode()),
        zlib.compress(json.dumps({"type": 1, "block_ids": ["A" * 40]}).encode()),
        zlib.compress(json.dumps({"type": 2}).encode()),
    ],
)
def test_an_fs_object_that_cannot_be_read_is_damage_and_not_a_traceback(maker, content):
    assert fs_damage(maker, content).kind == "unparsable"


@pytest.mark.parametrize(
    "content, kind",
    [
        (b"\0", "truncated"),
        (struct.pack(">I", 2), "unparsable"),
        (struct.pack(">I", 1) + b"\0" * 7, "truncated"),
        (struct.pack(">IQ", 1, 6) + b"x" * 19, "truncated"),
        (struct.pack(">I", 3) + b"x" * 47, "truncated"),
        (struct.pack(">I", 3) + b"\0" * 44 + b"\xff" * 4, "truncated"),
        (struct.pack(">I", 3) + b"\0" * 48, "unparsable"),
    ],
)
def test_a_version_0_object_that_cannot_be_read_is_damage(maker, content, kind):
    assert fs_damage(maker, content, version=0).kind == kind
    with ObjectStore(maker.root).open("fs", STORE) as objects:
        with pytest.raises(Damage) as caught:
            objects.read_children(parse_id("a" * 40), 0)
    assert caught.value.kind == kind


def test_a_zip_bomb_is_not_unpacked(maker, monkeypatch):
    monkeypatch.setattr(object_store, "MAX_FS_BYTES", 1024 * 1024)
    item = b'{"id":"%s","mode":33188,"name":"x"},' % (b"a" * 40)
    damage = fs_damage(maker, zlib.compress(b'{"type":3,"dirents":[' + item * 200000, 9))
    assert damage.kind == "unparsable" and "larger than 1048576 bytes" in damage.cause
    assert fs_damage(maker, zlib.compress(b" " * (64 * 1024 * 1024), 9)).kind == "unparsable"


def test_a_large_directory_is_read_in_its_reduced_form(maker):
    entries = {f"file-{number:06d}-{'x' * 60}": "a" * 40 for number in range(30000)}
    object_id = maker.directory(STORE, entries)
    with ObjectStore(maker.root).open("fs", STORE) as objects:
        directory, dummy, damage = objects.read_fs(parse_id(object_id), 1, check_hash=True)
    assert damage is None and len(directory.entries) == 30000 and directory.entries[0].name.startswith("file-000000")


def test_no_link_is_followed_and_only_regular_files_are_read(maker, tmp_path):
    object_id = maker.file(STORE, b"content")
    path = maker.path("fs", STORE, object_id)
    real = ObjectStore(maker.root)
    with real.open("fs", STORE) as objects:
        assert objects.size(parse_id(object_id)) == os.path.getsize(path)

    def check():
        with real.open("fs", STORE) as objects:
            for call in (objects.size, lambda key: objects.read_fs(key, 1)):
                with pytest.raises(Damage) as caught:
                    call(parse_id(object_id))
                assert caught.value.kind == "missing"
            assert list(objects.ids()) == []

    elsewhere = tmp_path / "elsewhere"
    os.rename(path, elsewhere)
    os.symlink(elsewhere, path)
    check()
    os.unlink(path)
    os.mkfifo(path)
    check()
    os.unlink(path)
    os.mkdir(path)
    check()
    os.rmdir(path)
    os.rename(elsewhere, path)
    for level in (os.path.dirname(path), os.path.join(maker.root, "fs", STORE), os.path.join(maker.root, "fs")):
        os.rename(level, elsewhere)
        os.symlink(elsewhere, level)
        check()
        os.unlink(level)
        os.rename(elsewhere, level)


def test_leftovers_are_not_objects(maker):
    object_id = maker.file(STORE, b"content")
    path = maker.path("fs", STORE, object_id)
    for name in (path + ".A1B2C3", os.path.join(os.path.dirname(path), "short"), os.path.join(maker.root, "fs", STORE, "xyz")):
        with open(name, "wb") as stream:
            stream.write(b"x")
    with ObjectStore(maker.root).open("fs", STORE) as objects:
        assert list(objects.ids()) == [parse_id(object_id)]


@pytest.mark.parametrize(
    "content, kind",
    [
        (b"{", "truncated"),
        (b'{"commit_id": "aaaa", "root_id": "b', "truncated"),
        (b'{"root_id": "b"', "truncated"),
        (b"}{", "unparsable"),
        (b"[]", "unparsable"),
        (b'{"root_id": null}', "unparsable"),
        (b" " * (2 * 1024 * 1024), "unparsable"),
        (b"", "empty"),
    ],
)
def test_a_commit_that_cannot_be_read_is_damage(maker, content, kind):
    maker.write("commits", STORE, "a" * 40, content)
    with ObjectStore(maker.root).open("commits", STORE) as objects:
        with pytest.raises(Damage) as caught:
            objects.read_commit(parse_id("a" * 40))
    assert caught.value.kind == kind


def test_a_commit_in_another_place_than_it_says_is_a_mismatch(maker):
    other = "00000000-d232-4563-9899-d92e9741eb8b"
    object_id = maker.commit(other, "0" * 40)
    with open(maker.path("commits", other, object_id), "rb") as stream:
        maker.write("commits", STORE, object_id, stream.read())
        stream.seek(0)
        maker.write("commits", other, "a" * 40, stream.read())
    with ObjectStore(maker.root).open("commits", STORE) as objects:
        assert objects.read_commit(parse_id(object_id))[2].kind == "mismatch"
    with ObjectStore(maker.root).open("commits", other) as objects:
        assert objects.read_commit(parse_id("a" * 40))[2].kind == "mismatch"
        assert objects.read_commit(parse_id(object_id), check_hash=True)[2] is None


def test_a_store_that_is_not_there_reads_as_empty_and_a_wrong_root_fails(maker, tmp_path):
    with ObjectStore(maker.root).open("blocks", STORE) as objects:
        with pytest.raises(Damage):
            objects.size(parse_id("a" * 40))
    with pytest.raises(SeafileError) as caught:
        ObjectStore(str(tmp_path / "none")).require()
    assert caught.value.code == "storage-missing"


@pytest.mark.parametrize("store", ["..", "../../etc", "B0D6C8D0-d232-4563-9899-d92e9741eb8b", "", "b0d6c8d0-d232-4563-9899-d92e9741eb8b\n"])
def test_a_name_that_is_no_library_id_never_becomes_a_path(maker, store):
    with pytest.raises(ValueError):
        ObjectStore(maker.root).open("fs", store)


def same_judgement(objects, object_id, version):
    """What read_children says of an object; the same must come from read_fs."""
    try:
        full, size, damage = objects.read_fs(object_id, version, check_hash=True)
        folders = [entry.id for entry in full.entries if entry.is_directory]
        expected = (full.type, folders, [entry.id for entry in full.entries if not entry.is_directory], list(full.blocks), size, damage and damage.kind)
    except Damage as found:
        expected = found.kind
    try:
        children = objects.read_children(object_id, version)
        result = (*(value if isinstance(value, int) else list(value) for value in children[:5]), children.damage and children.damage.kind)
    except Damage as found:
        result = found.kind
    assert result == expected
    return result


@pytest.mark.parametrize(
    "document",
    [
        {"type": 3, "dirents": []},
        {"type": 3, "dirents": [{"id": "a" * 40, "mode": 16384, "name": "d"}, {"id": "b" * 40, "mode": 33188, "name": "\ud800"}]},
        {"type": 3, "dirents": [{"id": "a" * 39, "mode": 16384, "name": "d"}, {"id": "b" * 41, "mode": 33188, "name": "f"}]},
        {"type": 3, "dirents": [{"id": "A" * 40, "mode": 16384, "name": "d"}]},
        {"type": 3, "dirents": [{"id": "a" * 40, "mode": "16384", "name": "d"}]},
        {"type": 3, "dirents": [{"id": "a" * 40, "mode": 16384}]},
        {"type": 3, "dirents": [{"id": "a" * 40, "mode": 16384, "name": None}]},
        {"type": 3, "dirents": [None]},
        {"type": 3, "dirents": None},
        {"type": 3, "dirents": {}},
        {"type": 3, "dirents": ""},
        {"type": 3},
        {"type": 1, "block_ids": ["a" * 40, "0" * 40, "a" * 40]},
        {"type": 1, "block_ids": ["a" * 38 + " a"]},
        {"type": 1, "block_ids": [5]},
        {"type": 1, "block_ids": None},
        {"type": 1, "block_ids": "a" * 40},
        {"type": 1, "block_ids": {}},
        {"type": 2},
        [],
        None,
    ],
)
def test_the_short_way_to_read_an_fs_object_judges_as_the_long_one(maker, document, monkeypatch):
    plain = json.dumps(document).encode()
    right = maker.write("fs", STORE, hashlib.sha1(plain).hexdigest(), zlib.compress(plain))
    wrong = maker.write("fs", STORE, "c" * 40, zlib.compress(plain))
    with ObjectStore(maker.root).open("fs", STORE) as objects:
        result = same_judgement(objects, parse_id(right), 1)
        assert isinstance(result, str) or result[-1] is None
        result = same_judgement(objects, parse_id(wrong), 1)
        assert isinstance(result, str) or result[-1] == "wrong-hash"
        monkeypatch.setattr(object_store, "_LARGE_JSON_BYTES", 1)
        same_judgement(objects, parse_id(right), 1)


def test_directories_are_told_with_their_time_and_names(maker):
    object_id = maker.file(STORE, b"content")
    with ObjectStore(maker.root).open("fs", STORE) as objects:
        prefix = int(object_id[:2], 16)
        status = os.stat(os.path.dirname(maker.path("fs", STORE, object_id)))
        assert objects.prefixes() == {prefix: (status.st_ctime_ns, status.st_ino)}
        assert objects.prefixes(prefix + 1, 256) == {} and objects.names(prefix) == {parse_id(object_id)} and objects.names(prefix ^ 1) == set()
        assert objects.inode() == os.stat(os.path.join(maker.root, "fs", STORE)).st_ino
    with ObjectStore(maker.root).open("commits", STORE) as objects:
        assert (objects.inode(), objects.prefixes(), objects.names(0)) == (0, {}, set())
