# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sqlite3

from ansible_collections.seafleet.seafile.plugins.module_utils import set_comparison
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets


def test_a_dump_and_the_database_it_was_made_of_have_the_same_rows(tmp_path):
    haiwen = real_sets.unpack("seafile-11-sqlite", tmp_path)
    dump = real_sets.dump("seafile-11-sqlite", haiwen, tmp_path)
    database = str(haiwen / "seafile-data" / "seafile.db")
    expected, found = set_comparison.rows_of_dump(str(dump)), set_comparison.rows_of_sqlite(database)
    assert found["Branch"] > 10 and set_comparison.differing_rows("seafile.db", expected, found) == []
    connection = sqlite3.connect(database)
    connection.executescript("DELETE FROM Branch WHERE rowid = 1; DROP TABLE RepoTrash; CREATE TABLE Odd (x);")
    connection.close()
    wrong = set_comparison.differing_rows("seafile.db", expected, set_comparison.rows_of_sqlite(database))
    assert wrong == [
        f"seafile.db: the table Branch has {expected['Branch'] - 1} rows, the dump {expected['Branch']}",
        f"seafile.db: the table RepoTrash is missing ({expected['RepoTrash']} rows in the dump)",
        "seafile.db: the table Odd is not in the dump"]


def test_the_rows_of_a_mysql_dump_are_counted_table_by_table():
    truth = real_sets.manifest("seafile-11-mariadb")
    seafile, ccnet = (set_comparison.rows_of_dump(str(real_sets.FIXTURES / "seafile-11-mariadb" / f"{name}-db.sql.gz")) for name in ("seafile", "ccnet"))
    assert seafile["Repo"] == seafile["Branch"] == len(truth["libraries"]) and seafile["RepoTrash"] == len(truth["trash"])
    assert ccnet["EmailUser"] == len(truth["emailusers"]) and ccnet["LDAPUsers"] == 0, "tables without rows count too"


def test_names_of_tables_compare_without_case():
    assert set_comparison.differing_rows("d", {"Branch": 1}, {"branch": 1}) == []


def test_objects_are_compared_in_number_and_bytes():
    there = {"blocks": {"files": 2, "bytes": 10}, "fs": {"files": 1, "bytes": 5}}
    assert set_comparison.differing_objects(there, there) == []
    assert set_comparison.differing_objects(there, {"blocks": {"files": 1, "bytes": 9}, "fs": {"files": 1, "bytes": 5}}) == [
        "blocks: 1 files are reachable, 2 in the backup", "blocks: 9 bytes are reachable, 10 in the backup"]
