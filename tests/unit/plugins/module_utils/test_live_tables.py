# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQLite half; the integration target library_restore runs the other on a real MariaDB."""

from __future__ import annotations

import sqlite3

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import live_tables
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.live_tables import Delete, Insert, NewId, SqliteDatabase


@pytest.fixture
def database(tmp_path):
    path = str(tmp_path / "live.db")
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE Tag (Id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, color TEXT NOT NULL DEFAULT 'red', note BLOB);"
            "CREATE UNIQUE INDEX one ON Tag (name, color); CREATE UNIQUE INDEX half ON Tag (note) WHERE note IS NOT NULL;"
            "CREATE TABLE Use (tag_id INTEGER REFERENCES Tag (Id)); INSERT INTO Tag VALUES (1, 'a', 'red', x'00ff');")
    return SqliteDatabase(path)


def rows(database, table):
    with sqlite3.connect(database.path) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


def test_the_schema_says_what_a_row_must_have_what_the_database_numbers_and_which_rows_exclude_each_other(database):
    with database.session(False) as session:
        table = session.tables["tag"]
    assert (table.auto, table.required, table.uniques) == ("id", {"name"}, [("name", "color")])


def test_rows_that_follow_point_at_the_number_that_was_given(database):
    with database.session(True) as session:
        tag, use = session.tables["tag"], session.tables["use"]
        given = session.apply([Insert(tag, {"name": "b", "color": "blue", "note": None}, NewId(1)), Insert(use, {"tag_id": NewId(1)})])
    assert given == {NewId(1): 2} and rows(database, "Use") == [(2,)]


def test_a_row_that_changed_meanwhile_is_left_alone_and_nothing_of_the_transaction_stays(database):
    with pytest.raises(SeafileError) as caught:
        with database.session(True) as session:
            tag = session.tables["tag"]
            session.apply([Insert(tag, {"name": "b", "color": "x"}), Delete(tag, {"id": 1, "name": "another", "color": "red", "note": b"\x00\xff"})])
    assert caught.value.code == "database-changed" and rows(database, "Tag") == [(1, "a", "red", b"\x00\xff")]


def test_a_look_changes_nothing_and_an_action_takes_the_whole_row(database):
    with database.session(False) as session:
        found = session.find(session.tables["tag"], [{"name": "a"}, {"id": 1}, {"name": "none"}])
    assert found == [{"id": 1, "name": "a", "color": "red", "note": b"\x00\xff"}]
    with database.session(True) as session:
        session.apply([Delete(session.tables["tag"], found[0])])
    assert rows(database, "Tag") == []


def test_a_locked_database_is_told_as_such(database, monkeypatch):
    monkeypatch.setattr(live_tables, "BUSY_SECONDS", 0.1)
    holder = sqlite3.connect(database.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(SeafileError) as caught:
        with database.session(True):
            pass
    holder.close()
    assert caught.value.code == "sqlite-locked"


@pytest.mark.parametrize("content, code", [(None, "sqlite-missing"), (b"text", "sqlite-corrupt")])
def test_what_is_no_database_is_refused_and_never_created(tmp_path, content, code):
    path = tmp_path / "none.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SeafileError) as caught:
        SqliteDatabase(str(path))
    assert caught.value.code == code and path.exists() is (content is not None)
