# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import pointers
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

A, B, C, D = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abcd")
DAY = 24 * 3600


def make(keep_days=None, **rows):
    return pointers.make_pointers({name: rows.get(name, []) for name in pointers.TABLES}, keep_days)


def live(*ids):
    return {
        "Repo": [{"repo_id": key} for key in ids],
        "Branch": [{"name": "master", "repo_id": key, "commit_id": key[0] * 40} for key in ids],
    }


@pytest.mark.parametrize(
    "days, valid_since, expected",
    [
        (-1, -1, -1),
        (-1, 500, 500),
        (0, 500, 0),
        (0, -1, 0),
        (10, -1, 100 * DAY - 10 * DAY),
        (10, 95 * DAY, 95 * DAY),
        (10, 80 * DAY, 90 * DAY),
    ],
)
def test_the_truncate_time_is_that_of_seafiles_garbage_collection(days, valid_since, expected):
    assert pointers.Library(id=A, days=days, valid_since=valid_since).truncate_time(100 * DAY) == expected


def test_a_limit_of_its_own_goes_before_the_database_default_before_the_file():
    rows = live(A, B)
    limit = [{"repo_id": A, "days": 7}]
    assert [library.days for library in make(**rows, RepoHistoryLimit=limit).libraries] == [7, -1]
    assert [library.days for library in make(30, **rows, RepoHistoryLimit=limit).libraries] == [7, 30]
    conf = [{"cfg_group": "history", "cfg_key": "keep_days", "value": "5"}]
    assert [library.days for library in make(30, **rows, RepoHistoryLimit=limit, SeafileConf=conf).libraries] == [7, 5]


def test_a_sub_library_comes_after_its_origin_and_has_its_store_and_limit():
    virtual = [{"repo_id": A, "origin_repo": B, "path": "/x", "base_commit": "b" * 40}]
    found = make(**live(A, B), VirtualRepo=virtual, RepoHistoryLimit=[{"repo_id": B, "days": 3}]).libraries
    assert [(library.id, library.store, library.days, library.base) for library in found] == [
        (B, B, 3, None), (A, B, 3, bytes.fromhex("b" * 40))]


def test_a_circle_of_origins_ends():
    virtual = [{"repo_id": A, "origin_repo": B, "base_commit": "a" * 40}, {"repo_id": B, "origin_repo": A, "base_commit": "a" * 40}]
    assert {library.store for library in make(**live(A, B), VirtualRepo=virtual).libraries} <= {A, B}


def test_trash_and_leftover_heads_are_told_apart_from_live_libraries():
    rows = live(A)
    rows["Branch"].append({"name": "master", "repo_id": C, "commit_id": "c" * 40})
    trash = [{"repo_id": B, "repo_name": "Old", "head_id": "b" * 40, "owner_id": "x@example.org"}]
    found = {library.id: library for library in make(**rows, RepoTrash=trash).libraries}
    assert {key: library.kind for key, library in found.items()} == {A: "live", B: "trash", C: "orphan"}
    assert (found[B].name, found[B].owner, found[B].heads) == ("Old", "x@example.org", [bytes.fromhex("b" * 40)])


def test_a_row_that_is_no_pointer_is_told_and_never_becomes_a_path():
    rows = live(A)
    rows["Repo"].append({"repo_id": "../../etc"})
    rows["Branch"] += [{"repo_id": None, "commit_id": "a" * 40}, {"repo_id": A, "commit_id": "../x"}]
    found = make(**rows)
    assert [library.id for library in found.libraries] == [A]
    assert len(found.strange) == 3


def test_heads_of_another_time_take_the_place_of_the_dumps_and_leave_all_else(tmp_path):
    virtual = [{"repo_id": A, "origin_repo": B, "path": "/new", "base_commit": "b" * 40}]
    found = make(**live(A, B, C), VirtualRepo=virtual, RepoHistoryLimit=[{"repo_id": B, "days": 3}])
    changed = pointers.with_heads(found, {B: "1" * 40, A: "2" * 40}, {A: pointers.Place("3" * 40, "/old")})
    assert [(library.id, library.heads[0].hex()[0], library.days) for library in changed.libraries] == [(B, "1", 3), (C, "c", -1), (A, "2", 3)]
    part = changed.libraries[2]
    assert (part.base, part.path, part.store, part.origin) == (bytes.fromhex("3" * 40), "/old", B, B)
    assert [library.heads[0].hex()[0] for library in found.libraries] == ["b", "c", "a"], "what was read stays as it was"
    assert pointers.with_heads(found, {}) == found


@pytest.mark.parametrize("heads, places, code", [
    ({D: "1" * 40}, {}, "library-unknown"), ({}, {A: pointers.Place("1" * 40, "/")}, "library-unknown"),
    ({A: "1" * 39}, {}, "commit-id-invalid"), ({A: None}, {}, "commit-id-invalid"), ({A: "F" * 40}, {}, "commit-id-invalid"),
])
def test_heads_that_cannot_be_are_refused(heads, places, code):
    with pytest.raises(SeafileError) as caught:
        pointers.with_heads(make(**live(A)), heads, places)
    assert caught.value.code == code


@pytest.mark.parametrize("row", [None, {}, {"base_commit": "1" * 40}, {"base_commit": "x", "path": "/"}, {"base_commit": "1" * 40, "path": 7}])
def test_a_place_needs_base_and_path(row):
    with pytest.raises(SeafileError) as caught:
        pointers.places_of({A: row})
    assert caught.value.code == "commit-id-invalid"
    assert pointers.places_of({A: {"base_commit": "1" * 40, "path": "/x"}}) == {A: pointers.Place("1" * 40, "/x")}


def test_keep_days_is_read_from_seafile_conf(tmp_path):
    path = tmp_path / "seafile.conf"
    path.write_text("[fileserver]\nport = 8082\n[history]\nkeep_days = 42\n", encoding="utf-8")
    assert pointers.read_keep_days(str(path)) == 42
    path.write_text("[fileserver]\nport = 8082\n", encoding="utf-8")
    assert pointers.read_keep_days(str(path)) is None
