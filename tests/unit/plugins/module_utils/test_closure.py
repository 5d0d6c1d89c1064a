# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import time
import tracemalloc
import zlib

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import closure, pointers
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import Maker, fill

DAY = 24 * 3600
NOW = 1000 * DAY
DAMAGES = json.loads((real_sets.FIXTURES / "damage.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module", name="unpacked")
def fixture_unpacked(tmp_path_factory):
    return real_sets.Unpacked(tmp_path_factory.mktemp("unpacked"))


def walk_real(haiwen, dump, check_hashes=False):
    keep_days = pointers.read_keep_days(str(haiwen / "conf" / "seafile.conf"))
    return closure.walk(ObjectStore(str(haiwen / "seafile-data" / "storage")), pointers.read_pointers(str(dump), keep_days), int(time.time()), check_hashes)


def walk(maker, now=NOW, check_hashes=True):
    return closure.walk(ObjectStore(maker.root), pointers.make_pointers(maker.tables), now, check_hashes)


def damages(result):
    return sorted((finding.kind, finding.damage, finding.id) for finding in result.findings)


@pytest.fixture
def maker(tmp_path):
    return Maker(tmp_path / "storage")


@pytest.mark.parametrize("check_hashes", [False, True])
@pytest.mark.parametrize("name", real_sets.NAMES)
def test_a_whole_deployment_of_a_real_server_has_no_findings(unpacked, name, check_hashes):
    result = walk_real(*unpacked[name], check_hashes)
    assert result.findings == []
    truth = real_sets.manifest(name)
    fields = ("id", "name", "head", "store_id", "encrypted", "version")
    assert sorted([library[field] for field in fields] for library in result.libraries if library["kind"] == "live") == sorted(
        [library[field] for field in fields] for library in truth["libraries"])
    assert [(library["id"], library["name"], library["head"], library["owner"]) for library in result.libraries if library["kind"] == "trash"] == [
        (item["id"], item["name"], item["head"], item["owner"]) for item in truth["trash"]]
    assert not any(garbage in path for garbage in truth["garbage"] for path in result.paths())


@pytest.mark.parametrize("damage", DAMAGES["damages"], ids=lambda damage: damage["name"])
def test_a_damage_that_a_real_store_may_have_is_found_by_name(unpacked, tmp_path, damage):
    haiwen, dump = unpacked[DAMAGES["base"]]
    result = walk_real(real_sets.damaged_copy(haiwen, tmp_path, damage), dump, check_hashes=True)
    if damage["name"] == "stray_files":
        assert result.findings == []
        assert list(result.paths()) == list(walk_real(haiwen, dump).paths())
        return
    kind, store, prefix, rest = damage["paths"][0].split("/")[-4:]
    finding = next(finding for finding in result.findings if finding.id == prefix + rest)
    words = {"bitflip": "wrong-hash", "missing": "missing", "truncated": "truncated"}
    assert (finding.kind, finding.store, finding.damage) == (kind, store, words[damage["name"].split("_")[0]])
    truth = {library["id"]: library for library in real_sets.manifest(DAMAGES["base"])["libraries"]}
    assert finding.library_name == truth[finding.library]["name"]
    says = " ".join(damage["seaf_fsck_says"])
    if kind == "blocks":
        assert f"file {finding.path}(" in says
    elif "dir /" in says:
        assert f"dir {finding.path}/(" in says


def test_without_hashes_only_the_flipped_bit_is_not_found(unpacked, tmp_path):
    haiwen, dump = unpacked[DAMAGES["base"]]
    found = {}
    for damage in DAMAGES["damages"]:
        directory = tmp_path / damage["name"]
        directory.mkdir()
        found[damage["name"]] = bool(walk_real(real_sets.damaged_copy(haiwen, directory, damage), dump).findings)
    assert [name for name, seen in sorted(found.items()) if not seen] == ["bitflip_block", "stray_files"]


def test_the_list_holds_every_object_of_a_store_without_garbage(maker):
    fill(maker, 3000, libraries=3)
    result = walk(maker)
    assert result.findings == []
    assert {kind: total["files"] for kind, total in result.totals().items()} == maker.count
    on_disk = [os.path.relpath(os.path.join(where, name), maker.root) for where, dummy, names in os.walk(maker.root) for name in names]
    assert list(result.paths()) == sorted(on_disk)
    assert sum(total["bytes"] for total in result.totals().values()) == sum(os.path.getsize(os.path.join(maker.root, name)) for name in on_disk)


def test_objects_newer_than_the_database_are_not_listed(maker):
    library = maker.library_id()
    old = maker.commit(library, maker.directory(library, {"a": maker.file(library, b"old")}))
    maker.library(old, library)
    before = list(walk(maker).paths())
    maker.commit(library, maker.directory(library, {"a": maker.file(library, b"new")}), old)
    assert list(walk(maker).paths()) == before


def blocks_of(maker):
    return [os.path.join(where, name)[-41:].replace("/", "") for where, dummy, names in os.walk(os.path.join(maker.root, "blocks")) for name in names]


def history(maker, ages, **limits):
    """A library with a commit of each age in days, newest last, each with a file of its own."""
    library = maker.library_id()
    commits, files, parent = [], [], None
    for age in ages:
        files.append(maker.file(library, f"{library} {age}".encode()))
        parent = maker.commit(library, maker.directory(library, {"a": files[-1]}), parent, ctime=NOW - age * DAY)
        commits.append(parent)
    maker.library(parent, library, **limits)
    return library, commits, files


@pytest.mark.parametrize(
    "limits, kept",
    [
        (dict(), 4),
        (dict(days=-1), 4),
        (dict(days=0), 1),
        (dict(days=15), 3),  # ages 5 and 10, and the first one older is kept whole
        (dict(days=1), 2),  # the head always, then the first one older
        (dict(days=15, valid_since=NOW - 7 * DAY), 2),
        (dict(valid_since=NOW - 7 * DAY), 2),
    ],
)
def test_what_is_older_than_the_limit_may_be_missing_and_nothing_else(maker, limits, kept):
    library, dummy, files = history(maker, (30, 20, 10, 5), **limits)
    assert walk(maker).findings == []
    whole = set(walk(maker).paths())
    for number, file in enumerate(files):
        path = maker.path("fs", library, file)
        with open(path, "rb") as stream:
            content = stream.read()
        os.unlink(path)
        expected = [] if number < len(files) - kept else [("fs", "missing", file)]
        result = walk(maker)
        assert damages(result) == expected
        assert whole - set(result.paths()) >= {os.path.relpath(path, maker.root)}
        with open(path, "wb") as stream:
            stream.write(content)
    assert set(walk(maker).paths()) == whole


def test_old_history_that_is_there_belongs_to_the_set(maker):
    library, dummy, files = history(maker, (30, 20, 10, 5), days=0)
    assert {f"fs/{library}/{file[:2]}/{file[2:]}" for file in files} <= set(walk(maker).paths())


def test_an_old_commit_is_never_legally_missing(maker):
    library, commits, dummy = history(maker, (30, 20, 10, 5), days=0)
    os.unlink(maker.path("commits", library, commits[1]))
    assert damages(walk(maker)) == [("commits", "missing", commits[1])]


def test_both_parents_of_a_merge_are_walked(maker):
    library = maker.library_id()
    left = maker.commit(library, maker.directory(library, {"l": maker.file(library, b"left")}))
    right = maker.commit(library, maker.directory(library, {"r": maker.file(library, b"right")}))
    maker.library(maker.commit(library, "0" * 40, left, right), library)
    result = walk(maker)
    assert result.libraries[0]["commits"] == 3 and {kind: total["files"] for kind, total in result.totals().items()} == maker.count
    os.unlink(maker.path("commits", library, right))
    assert damages(walk(maker)) == [("commits", "missing", right)]


def test_a_sub_library_has_its_commits_under_its_own_id_and_its_files_under_the_origins(maker):
    origin, part = maker.library_id(), maker.library_id()
    inner = maker.directory(origin, {"a": maker.file(origin, b"a")})
    base = maker.commit(origin, maker.directory(origin, {}, {"part": inner}))
    maker.library(maker.commit(origin, "0" * 40, base), origin, "Origin")
    ahead = maker.file(origin, b"ahead of the origin")
    maker.library(maker.commit(part, maker.directory(origin, {"b": ahead})), part, "Part")
    maker.tables["VirtualRepo"].append({"repo_id": part, "origin_repo": origin, "path": "/part", "base_commit": base})
    assert damages(walk(maker)) == []
    os.unlink(maker.path("fs", origin, ahead))
    finding, = walk(maker).findings
    assert (finding.id, finding.store, finding.library, finding.path) == (ahead, origin, part, "/b")


def test_the_blocks_of_a_base_commit_may_be_missing_but_not_its_directories(maker):
    origin, part = maker.library_id(), maker.library_id()
    file = maker.file(origin, b"in the base only")
    tree = maker.directory(origin, {"a": file})
    base = maker.commit(origin, tree, ctime=NOW - 50 * DAY)
    older = maker.commit(origin, "0" * 40, base, ctime=NOW - 40 * DAY)
    maker.library(maker.commit(origin, "0" * 40, older, ctime=NOW), origin, days=1)
    maker.library(maker.commit(part, "0" * 40, ctime=NOW), part)
    maker.tables["VirtualRepo"].append({"repo_id": part, "origin_repo": origin, "path": "/part", "base_commit": base})
    block, = blocks_of(maker)
    os.unlink(maker.path("blocks", origin, block))
    assert damages(walk(maker)) == []
    os.unlink(maker.path("fs", origin, file))
    assert damages(walk(maker)) == [("fs", "missing", file)]


def test_a_deleted_library_in_the_trash_must_be_whole(maker):
    library = maker.library_id()
    file = maker.file(library, b"x")
    head = maker.commit(library, maker.directory(library, {"a": file}))
    maker.tables["RepoTrash"].append({"repo_id": library, "repo_name": "Trash", "head_id": head, "owner_id": "a@example.org"})
    assert walk(maker).findings == []
    os.unlink(maker.path("fs", library, file))
    assert damages(walk(maker)) == [("fs", "missing", file)]


def test_a_head_that_a_deletion_left_behind_need_not_be_there(maker):
    maker.tables["Branch"].append({"repo_id": maker.library_id(), "commit_id": "a" * 40})
    assert walk(maker).findings == []


def test_a_library_without_a_head_is_a_finding(maker):
    library = maker.library_id()
    maker.tables["Repo"].append({"repo_id": library})
    finding, = walk(maker).findings
    assert (finding.kind, finding.damage, finding.library) == ("head", "missing", library)


@pytest.mark.parametrize("kind", ["commits", "fs", "blocks"])
@pytest.mark.parametrize("damage, content", [("empty", b""), ("missing", None), ("wrong", b"??")])
def test_every_kind_of_object_is_found_empty_missing_or_wrong(maker, kind, damage, content):
    library, commits, files = history(maker, (5,))
    block, = blocks_of(maker)
    object_id = {"commits": commits[0], "fs": files[0], "blocks": block}[kind]
    path = maker.path(kind, library, object_id)
    os.unlink(path)
    if content is not None:
        with open(path, "wb") as stream:
            stream.write(content)
    if damage == "wrong":
        damage = "wrong-hash" if kind == "blocks" else "unparsable"
    finding, = walk(maker).findings
    assert (finding.kind, finding.id, finding.damage, finding.library_name) == (kind, object_id, damage, "Library")
    assert finding.path == ("" if kind == "commits" else "/a")


@pytest.mark.parametrize("kind", ["commits", "fs"])
def test_an_object_with_other_content_is_found_by_its_hash(maker, kind):
    library, commits, files = history(maker, (5,))
    path = maker.path(kind, library, commits[0] if kind == "commits" else files[0])
    with open(path, "rb") as stream:
        plain = stream.read() if kind == "commits" else zlib.decompress(stream.read())
    changed = json.dumps(dict(json.loads(plain), description="changed", size=99)).encode()
    with open(path, "wb") as stream:
        stream.write(changed if kind == "commits" else zlib.compress(changed))
    assert [finding.damage for finding in walk(maker).findings] == ["wrong-hash"]
    assert walk(maker, check_hashes=False).findings == []


def test_a_file_where_a_directory_must_be_is_a_mismatch(maker):
    library = maker.library_id()
    file = maker.file(library, b"x")
    maker.library(maker.commit(library, maker.directory(library, {}, {"folder": file})), library)
    finding, = walk(maker).findings
    assert (finding.damage, finding.path) == ("mismatch", "/folder")


def test_damage_in_one_place_does_not_hide_damage_in_another(maker):
    library, dummy, files = history(maker, (30, 20, 10, 5))
    for file in files[:3]:
        os.unlink(maker.path("fs", library, file))
    assert damages(walk(maker)) == sorted(("fs", "missing", file) for file in files[:3])


def test_cycles_end(maker):
    library = maker.library_id()
    loop = "c" * 40
    tree = {"type": 3, "version": 1, "dirents": [{"id": loop, "mode": 16384, "name": "again", "mtime": 1}]}
    maker.write("fs", library, loop, zlib.compress(json.dumps(tree).encode()))
    first, second = "a" * 40, "b" * 40
    for key, parent in ((first, second), (second, first)):
        document = {"commit_id": key, "root_id": loop, "repo_id": library, "ctime": 1, "parent_id": parent, "version": 1}
        maker.write("commits", library, key, json.dumps(document).encode())
    maker.library(first, library)
    result = walk(maker, check_hashes=False)
    assert result.findings == [] and result.files == {"commits": 2, "fs": 1, "blocks": 0}


def test_a_tree_of_any_depth_is_walked_and_its_path_is_told(maker):
    library = maker.library_id()
    lost = maker.file(library, b"deep")
    key = maker.directory(library, {"deep": lost})
    for dummy in range(1500):
        key = maker.directory(library, {}, {"d": key})
    maker.library(maker.commit(library, key), library)
    os.unlink(maker.path("fs", library, lost))
    finding, = walk(maker).findings
    assert finding.path == "/d" * 1500 + "/deep"


def test_a_history_of_any_length_is_walked(maker):
    library, dummy, dummy2 = history(maker, range(1500, 0, -1))
    result = walk(maker)
    assert result.findings == [] and result.libraries[0]["commits"] == 1500 and result.libraries[0]["id"] == library


def test_memory_stays_below_300_bytes_an_object(maker):
    fill(maker, 5000, libraries=2)
    tracemalloc.start()
    result = walk(maker, check_hashes=False)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(result.files.values()) >= 5000
    assert kept < 200 * 5000 and peak < 300 * 5000


def test_the_list_is_private_sorted_ended_by_nul_and_written_whole(maker, tmp_path):
    fill(maker, 500, libraries=2)
    result = walk(maker)
    dest = tmp_path / "objects.list"
    assert not closure.list_is_current(result, str(dest))
    closure.write_list(result, str(dest))
    content = dest.read_bytes()
    assert content.endswith(b"\0") and content[:-1].split(b"\0") == [path.encode() for path in sorted(result.paths())]
    assert dest.stat().st_mode & 0o7777 == 0o600
    assert closure.list_is_current(result, str(dest))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["objects.list"]
    for changed in (content[:-1], content + b"x", content.replace(b"commits", b"commitz", 1), b""):
        dest.write_bytes(changed)
        assert not closure.list_is_current(result, str(dest))


def test_a_list_that_cannot_be_written_leaves_the_old_one(maker, tmp_path, monkeypatch):
    fill(maker, 200, libraries=1)
    dest = tmp_path / "objects.list"
    dest.write_bytes(b"old")

    def full(dummy):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(closure.os, "fsync", full)
    with pytest.raises(OSError):
        closure.write_list(walk(maker), str(dest))
    assert dest.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["objects.list"]


def test_names_with_control_characters_are_never_printed_raw(maker):
    library = maker.library_id()
    lost = maker.file(library, b"x")
    maker.library(maker.commit(library, maker.directory(library, {"a\x1b[31m\nb": lost}), name="L\x1b]0;x\x07"), library)
    os.unlink(maker.path("fs", library, lost))
    finding, = walk(maker).findings
    assert finding.sentence.isprintable() and "\\x1b[31m\\nb" in finding.sentence
