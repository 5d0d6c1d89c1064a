# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import os

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import library_objects
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.library_objects import Name, NewCommits, Place

OLD, NEW = "aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"
CONTENT = b"content of a block"
BLOCK = Name("blocks", OLD, hashlib.sha1(CONTENT).digest())


def path_of(root, name, library=OLD):
    return root / name.kind / library / name.id.hex()[:2] / name.id.hex()[2:]


def write(root, name, content, library=OLD):
    path = path_of(root, name, library)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def places(tmp_path):
    storage, staged = tmp_path / "storage", tmp_path / "staged"
    for kind in ("commits", "fs", "blocks"):
        (storage / kind).mkdir(parents=True, mode=0o700)
    return storage, staged


def test_an_object_is_put_once_and_a_good_one_is_never_touched(places):
    storage, staged = places
    write(staged, BLOCK, CONTENT)
    assert Place(str(storage)).put([BLOCK], str(staged), {}, 1, None) == 1
    found = path_of(storage, BLOCK).stat()
    assert path_of(storage, BLOCK).read_bytes() == CONTENT and found.st_mode & 0o777 == 0o600
    assert Place(str(storage)).put([BLOCK], str(staged), {}, 1, None) == 0 and path_of(storage, BLOCK).stat().st_ino == found.st_ino


def test_a_damaged_object_is_replaced_and_what_came_damaged_is_refused(places):
    storage, staged = places
    write(storage, BLOCK, b"")
    write(staged, BLOCK, b"something else")
    with pytest.raises(SeafileError) as caught:
        Place(str(storage)).put([BLOCK], str(staged), {}, 1, None)
    assert caught.value.code == "library-damaged" and path_of(storage, BLOCK).read_bytes() == b""
    write(staged, BLOCK, CONTENT)
    assert Place(str(storage)).put([BLOCK], str(staged), {}, 1, None) == 1 and path_of(storage, BLOCK).read_bytes() == CONTENT


@pytest.mark.parametrize("depth", ["store", "prefix"])
def test_a_link_that_the_servers_account_put_in_the_way_is_not_followed(places, tmp_path, depth):
    storage, staged = places
    write(staged, BLOCK, CONTENT)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if depth == "store":
        os.symlink(elsewhere, storage / "blocks" / OLD)
    else:
        (storage / "blocks" / OLD).mkdir()
        os.symlink(elsewhere, storage / "blocks" / OLD / BLOCK.id.hex()[:2])
    with pytest.raises(OSError):
        Place(str(storage)).put([BLOCK], str(staged), {}, 1, None)
    assert list(elsewhere.iterdir()) == []


def test_under_a_new_id_what_the_server_has_gets_a_second_name_in_place_of_a_copy(places):
    storage, staged = places
    old = write(storage, BLOCK, CONTENT)
    assert library_objects.lacking(str(storage), [BLOCK], {OLD: NEW}, 1) == []
    assert Place(str(storage)).put([BLOCK], str(staged), {OLD: NEW}, 1, None) == 1
    assert path_of(storage, BLOCK, NEW).stat().st_ino == old.stat().st_ino


def test_a_commit_under_a_new_id_keeps_every_other_byte_of_its_values():
    raw = b'{"commit_id": "x", "repo_id": "' + OLD.encode() + b'", "description": "\\u00fc \xff \\"repo_id\\"", "ctime": 12345678901234567890}'
    new = NewCommits({OLD: NEW}, {}).rewrite(raw)
    before, after = (json.loads(text.decode("utf-8", "surrogateescape")) for text in (raw, new))
    assert after == dict(before, repo_id=NEW) and b"\xff" in new
    assert json.loads(NewCommits({OLD: NEW}, {OLD: "Name"}).rewrite(raw).decode("utf-8", "surrogateescape"))["repo_name"] == "Name"


def test_what_is_checked_by_a_pwd_hash_cannot_get_another_id():
    raw = json.dumps({"repo_id": OLD, "repo_name": "x", "magic": "ab", "pwd_hash": "cd", "enc_version": 4, "salt": "00" * 32}).encode()
    with pytest.raises(SeafileError) as caught:
        NewCommits({OLD: NEW}, {}, "password").rewrite(raw)
    assert caught.value.code == "library-encrypted-new-id"


@pytest.mark.parametrize("text", ["blocks/x/00/" + "0" * 38, f"other/{OLD}/00/" + "0" * 38, f"blocks/{OLD}/00/../x", f"blocks/{OLD}/zz/" + "0" * 38, "x"])
def test_a_list_that_names_anything_but_objects_is_refused(tmp_path, text):
    path = tmp_path / "objects.list"
    path.write_bytes(text.encode() + b"\0")
    with pytest.raises(SeafileError) as caught:
        library_objects.read_list(str(path))
    assert caught.value.code == "library-extract-damaged"


def test_a_list_survives_the_file_content_before_what_points_at_it(tmp_path):
    names = [Name("commits", OLD, b"\1" * 20), Name("blocks", OLD, b"\2" * 20), Name("fs", OLD, b"\3" * 20)]
    library_objects.write_list(str(tmp_path / "list"), names)
    assert [name.kind for name in library_objects.read_list(str(tmp_path / "list"))] == ["blocks", "fs", "commits"]
    assert (tmp_path / "list").stat().st_mode & 0o777 == 0o600


def test_a_safety_copy_gives_every_object_a_second_name(places, tmp_path):
    storage, dummy = places
    path = write(storage, BLOCK, CONTENT)
    assert library_objects.keep(str(storage), [OLD], str(tmp_path / "kept")) == [BLOCK]
    assert path_of(tmp_path / "kept", BLOCK).stat().st_ino == path.stat().st_ino
