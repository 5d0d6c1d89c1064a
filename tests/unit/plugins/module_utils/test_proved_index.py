# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
import random

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import proved_index
from ansible_collections.seafleet.seafile.plugins.module_utils.proved_index import ABSENT, CHAIN, WHOLE, FamilyIndex, IndexDamaged, Library, Section, proof

STORE = "b0d6c8d0-d232-4563-9899-d92e9741eb8b"
OTHER = "f80ccfb3-d232-4563-9899-d92e9741eb8b"
ROOT = 4711


def ids(count):
    return sorted(hashlib.sha1(str(number).encode()).digest() for number in range(count))


def section(count, flags=lambda number: number % 4):
    rows = b"".join(key + proof(1000 + number, flags(number)) for number, key in enumerate(ids(count)))
    return Section(99, {7: (123456789, 5), 255: (0, 6)}, rows)


@pytest.fixture(name="index")
def fixture_index():
    index = FamilyIndex(STORE, ROOT)
    index.libraries = {STORE: Library(("aa", "bb"), "", "live", 7, True), OTHER: Library((), "cc", "trash", -1, False)}
    index.sections = {("fs", STORE): section(300), ("blocks", STORE): section(0), ("commits", OTHER): section(3)}
    return index


def test_what_is_saved_is_loaded(tmp_path, index):
    proved_index.save(str(tmp_path), index)
    loaded = proved_index.load(str(tmp_path), STORE, ROOT)
    assert loaded.libraries == index.libraries and set(loaded.sections) == set(index.sections)
    for key, expected in index.sections.items():
        found = loaded.sections[key]
        assert (found.inode, found.prefixes, found.rows) == (expected.inode, expected.prefixes, expected.rows)
    assert proved_index.stores(str(tmp_path)) == [STORE] and os.listdir(tmp_path) == [f"{STORE}.proved"]
    assert proved_index.load(str(tmp_path), OTHER, ROOT) is None and proved_index.stores(str(tmp_path / "none")) == []


def test_an_index_cut_or_changed_at_any_byte_is_not_believed(tmp_path, index):
    proved_index.save(str(tmp_path), index)
    path = tmp_path / f"{STORE}.proved"
    whole = path.read_bytes()
    for at in range(len(whole)):
        for content in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1:]):
            path.write_bytes(content)
            with pytest.raises(IndexDamaged):
                proved_index.load(str(tmp_path), STORE, ROOT)


@pytest.mark.parametrize(
    "header",
    [b"", b"[]", b"{}", b"{",
     b'{"store": "x", "root": 4711, "libraries": {}, "sections": []}',
     b'{"store": "%s", "root": 4711, "libraries": [], "sections": []}',
     b'{"store": "%s", "root": 4711, "libraries": {}, "sections": [["fs", "../..", 1, 0, 0]]}',
     b'{"store": "%s", "root": 4711, "libraries": {}, "sections": [["fs", "%s", 1, 0, -5]]}',
     b'{"store": "%s", "root": 4711, "libraries": {}, "sections": [["fs", "%s", 1, 0, 99999999999]]}',
     b'{"store": "%s", "root": 4711, "libraries": {}, "sections": [["fs", "%s", 1, 3, 0]]}', b"[" * 100000],
)
def test_an_index_of_another_form_is_not_believed_although_its_checksum_is_right(tmp_path, header):
    header = header.replace(b"%s", STORE.encode())
    content = b"seafleet-proved1" + len(header).to_bytes(4, "big") + header
    (tmp_path / f"{STORE}.proved").write_bytes(content + hashlib.sha256(content).digest())
    with pytest.raises(IndexDamaged):
        proved_index.load(str(tmp_path), STORE, ROOT)


def test_an_index_of_another_store_or_place_is_not_believed(tmp_path, index):
    proved_index.save(str(tmp_path), index)
    with pytest.raises(IndexDamaged, match="another place"):
        proved_index.load(str(tmp_path), STORE, ROOT + 1)
    os.rename(tmp_path / f"{STORE}.proved", tmp_path / f"{OTHER}.proved")
    with pytest.raises(IndexDamaged, match="another store"):
        proved_index.load(str(tmp_path), OTHER, ROOT)


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_every_id_is_found_and_no_other(count):
    rows = section(count)
    for number, key in enumerate(ids(count)):
        assert rows.flags(key) == number % 4 and rows.find(key) == number * proved_index.ROW
    for number in range(200):
        assert rows.flags(hashlib.sha1(f"other {number}".encode()).digest()) == -1
    assert rows.flags(bytes(20)) == rows.flags(b"\xff" * 20) == -1
    assert [key for prefix in range(256) for key, dummy in rows.of_prefix(prefix)] == ids(count)


def test_rows_are_dropped_restricted_cleared_and_renewed():
    rows = section(1000, lambda number: (WHOLE, WHOLE | CHAIN, ABSENT, 0)[number % 4])
    keys = ids(1000)
    assert rows.absent() == 250
    gone = set(random.Random(1).sample(keys, 100))
    rows.drop(gone | {b"\x07" * 20})
    assert len(rows) == 900 and all((rows.find(key) < 0) == (key in gone) for key in keys)
    rows.clear(WHOLE | CHAIN)
    assert {rows.flags(key) for key in keys if key not in gone} == {0, ABSENT}
    kept = next(key for key in keys if key not in gone and not rows.flags(key))
    rows.renew(rows.find(kept), 77)
    assert sorted(moment for moment, dummy in rows.times())[0] == 77 and len(list(rows.times())) == 900 - rows.absent()
    rows.restrict(16, 128)
    assert [key for key in keys if rows.find(key) >= 0] == [key for key in keys if 16 <= key[0] < 128 and key not in gone]
    assert rows.prefixes == {}
