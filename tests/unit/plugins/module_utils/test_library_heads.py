# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads set in real SQLite files; MariaDB is the integration target's."""

from __future__ import annotations

import os
import sqlite3
import stat

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import library_heads
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import Place

LIVE, PART, TRASH, OTHER = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abcd")
ONE, TWO, THREE = "1" * 40, "2" * 40, "3" * 40
SCHEMA = f"""
CREATE TABLE Repo (repo_id CHAR(37) PRIMARY KEY);
CREATE TABLE Branch (name VARCHAR(10), repo_id CHAR(40), commit_id CHAR(40), PRIMARY KEY (repo_id, name));
CREATE TABLE RepoTrash (repo_id CHAR(36) PRIMARY KEY, repo_name VARCHAR(255), head_id CHAR(40), owner_id VARCHAR(255));
CREATE TABLE VirtualRepo (repo_id CHAR(36) PRIMARY KEY, origin_repo CHAR(36), path TEXT, base_commit CHAR(40));
CREATE TABLE RepoSize (repo_id CHAR(37) PRIMARY KEY, size BIGINT, head_id CHAR(41));
CREATE TABLE RepoFileCount (repo_id CHAR(36) PRIMARY KEY, file_count BIGINT);
INSERT INTO Repo VALUES ('{LIVE}'), ('{PART}'), ('{OTHER}');
INSERT INTO Branch VALUES ('master', '{LIVE}', '{ONE}'), ('local', '{LIVE}', '{THREE}'), ('master', '{PART}', '{ONE}'), ('master', '{OTHER}', '{ONE}');
INSERT INTO RepoTrash VALUES ('{TRASH}', 'Old', '{ONE}', 'a@example.org');
INSERT INTO VirtualRepo VALUES ('{PART}', '{LIVE}', '/it''s', '{ONE}');
INSERT INTO RepoSize VALUES ('{LIVE}', 10, '{ONE}'), ('{OTHER}', 20, '{ONE}');
INSERT INTO RepoFileCount VALUES ('{LIVE}', 1), ('{OTHER}', 2);
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "seafile.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.close()
    os.chmod(path, 0o640)
    return str(path)


def rows(path):
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    found = {table: sorted(connection.execute(f"SELECT * FROM {table}")) for table, in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    connection.close()
    return found


def act(path, heads, places=None, do=True):
    return library_heads.set_in_sqlite(path, heads, places or {}, do)


def failing(path, heads, places=None):
    before = rows(path) if os.path.exists(path) else None
    with pytest.raises(SeafileError) as caught:
        act(path, heads, places)
    assert before is None or rows(path) == before, "nothing may be changed"
    return caught.value


def test_a_living_library_gets_its_head_in_its_master_branch_alone(path):
    before = rows(path)
    assert [(change.library, change.kind, change.is_change) for change in act(path, {LIVE: TWO})] == [(LIVE, "live", True)]
    after = rows(path)
    assert set(after["Branch"]) ^ set(before["Branch"]) == {("master", LIVE, ONE), ("master", LIVE, TWO)}
    assert {table: after[table] for table in ("Repo", "RepoTrash", "VirtualRepo")} == {table: before[table] for table in ("Repo", "RepoTrash", "VirtualRepo")}


def test_what_seafile_counted_of_the_old_head_goes_and_that_of_other_libraries_stays(path):
    changes = act(path, {LIVE: TWO, TRASH: TWO})
    assert sum(change.caches for change in changes) == 2
    assert rows(path)["RepoSize"] == [(OTHER, 20, ONE)] and rows(path)["RepoFileCount"] == [(OTHER, 2)]


def test_a_deleted_library_gets_its_head_in_the_trash(path):
    assert act(path, {TRASH: TWO})[0].kind == "trash"
    assert rows(path)["RepoTrash"] == [(TRASH, "Old", TWO, "a@example.org")]


def test_a_sub_library_gets_the_base_and_the_path_that_belong_to_its_head(path):
    act(path, {PART: TWO}, {PART: Place(THREE, "/o'lder; --")})
    assert rows(path)["VirtualRepo"] == [(PART, LIVE, "/o'lder; --", THREE)]


def test_the_second_time_nothing_is_changed(path):
    heads, places = {LIVE: TWO, PART: TWO, TRASH: TWO}, {PART: Place(THREE, "/older")}
    act(path, heads, places)
    before, inode = rows(path), os.stat(path).st_mtime_ns
    assert not any(change.is_change for change in act(path, heads, places))
    assert rows(path) == before and os.stat(path).st_mtime_ns == inode


def test_without_acting_the_file_is_only_looked_at(path):
    with open(path, "rb") as stream:
        before = stream.read()
    assert act(path, {LIVE: TWO}, do=False)[0].is_change
    with open(path, "rb") as stream:
        assert stream.read() == before
    assert os.listdir(os.path.dirname(path)) == ["seafile.db"]


def test_a_file_in_wal_mode_is_changed_and_nothing_is_left_beside_it(path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    act(path, {LIVE: TWO}, do=False)
    assert os.listdir(os.path.dirname(path)) == ["seafile.db"]
    act(path, {LIVE: TWO})
    assert os.listdir(os.path.dirname(path)) == ["seafile.db"] and ("master", LIVE, TWO) in rows(path)["Branch"]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640


@pytest.mark.parametrize("heads, places, code", [
    ({LIVE: TWO, "e" * 8 + "-0000-4000-8000-000000000000": TWO}, {}, "library-unknown"),
    ({LIVE: TWO}, {LIVE: Place(TWO, "/")}, "library-unknown"),
    ({LIVE: "2' OR '1'='1"}, {}, "commit-id-invalid"),
    ({LIVE: None}, {}, "commit-id-invalid"),
    ({"x' OR '1'='1": TWO}, {}, "library-id-invalid"),
    ({LIVE: TWO, 7: TWO}, {}, "library-id-invalid"),
    ({LIVE: TWO}, {PART: Place("x", "/")}, "commit-id-invalid"),
])
def test_one_thing_that_cannot_be_set_keeps_all_from_being_set(path, heads, places, code):
    assert failing(path, heads, places).code == code


def test_a_library_without_a_head_row_is_refused(path):
    connection = sqlite3.connect(path)
    connection.execute(f"DELETE FROM Branch WHERE repo_id = '{LIVE}' AND name = 'master'")
    connection.commit()
    connection.close()
    assert "has no head to set" in failing(path, {LIVE: TWO}).message


def test_a_database_of_before_caches_and_trash_is_served(path):
    connection = sqlite3.connect(path)
    for table in ("RepoTrash", "RepoSize", "RepoFileCount", "VirtualRepo"):
        connection.execute(f"DROP TABLE {table}")
    connection.commit()
    connection.close()
    assert act(path, {LIVE: TWO})[0].after == TWO
    assert failing(path, {TRASH: TWO}).code == "library-unknown"


@pytest.mark.parametrize("content, code", [(None, "sqlite-missing"), (b"", "sqlite-corrupt"), (b"x" * 4096, "sqlite-corrupt")])
def test_what_is_no_database_is_named_and_not_made(tmp_path, content, code):
    path = str(tmp_path / "no.db")
    if content is not None:
        with open(path, "wb") as stream:
            stream.write(content)
    with pytest.raises(SeafileError) as caught:
        act(path, {LIVE: TWO})
    assert caught.value.code == code and os.path.exists(path) == (content is not None)


def test_another_database_of_seafile_is_told_apart(tmp_path):
    path = str(tmp_path / "seahub.db")
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE x (y)")
    connection.close()
    with pytest.raises(SeafileError) as caught:
        act(path, {LIVE: TWO})
    assert caught.value.code == "dump-wrong-database"
