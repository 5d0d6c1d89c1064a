# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sqlite3

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import pointers
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.live_pointers import COLUMNS, read_live
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import read_configuration
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets


@pytest.fixture(name="deployment", params=["seafile-7-sqlite", "seafile-11-sqlite"])
def _deployment(request, tmp_path):
    haiwen = real_sets.unpack(request.param, tmp_path)
    return haiwen, real_sets.dump(request.param, haiwen, tmp_path)


def database(haiwen):
    return haiwen / "seafile-data" / "seafile.db"


def change(haiwen, statement):
    connection = sqlite3.connect(database(haiwen))
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_the_database_points_at_what_its_dump_points_at_and_nothing_changes(deployment):
    haiwen, dump = deployment
    before = database(haiwen).read_bytes(), sorted(os.listdir(haiwen / "seafile-data"))
    configuration = read_configuration(str(haiwen))
    found = read_live(configuration)
    assert found == pointers.read_pointers(str(dump), configuration.keep_days) and found.libraries
    assert (database(haiwen).read_bytes(), sorted(os.listdir(haiwen / "seafile-data"))) == before


def test_it_is_the_database_that_counts_and_not_what_was_dumped(deployment):
    haiwen, dump = deployment
    change(haiwen, f"UPDATE Branch SET commit_id = '{'ab' * 20}'")
    now = read_live(read_configuration(str(haiwen)))
    assert {head for library in now.libraries if library.kind == pointers.LIVE for head in library.heads} == {bytes.fromhex("ab" * 20)}
    assert now != pointers.read_pointers(str(dump))


def test_tables_and_columns_of_other_versions_may_be_absent(deployment):
    haiwen, dummy = deployment
    change(haiwen, "DROP TABLE IF EXISTS RepoInfo")
    change(haiwen, "DROP TABLE RepoTrash")
    change(haiwen, "CREATE TABLE repotrash (repo_id TEXT, head_id TEXT)")
    gone = "12345678-0000-4000-8000-000000000000"
    change(haiwen, f"INSERT INTO repotrash VALUES ('{gone}', '{'cd' * 20}')")
    trash = [library for library in read_live(read_configuration(str(haiwen))).libraries if library.kind == pointers.TRASH]
    assert [(library.id, library.heads, library.owner) for library in trash] == [(gone, [bytes.fromhex("cd" * 20)], None)]


@pytest.mark.parametrize("table", ["Branch", "Repo"])
def test_a_database_that_is_not_seafiles_own_is_refused(deployment, table):
    haiwen, dummy = deployment
    change(haiwen, f"DROP TABLE {table}")
    with pytest.raises(SeafileError) as caught:
        read_live(read_configuration(str(haiwen)))
    assert caught.value.code == "database-unknown"


def test_a_missing_file_is_told_and_not_created(deployment):
    haiwen, dummy = deployment
    database(haiwen).unlink()
    with pytest.raises(SeafileError) as caught:
        read_live(read_configuration(str(haiwen)))
    assert caught.value.code == "sqlite-missing" and not database(haiwen).exists()


def test_every_table_that_the_walk_needs_is_read():
    assert sorted(COLUMNS) == sorted(pointers.TABLES)
