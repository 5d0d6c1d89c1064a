# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens removed from real SQLite files; MariaDB is the integration target's."""

from __future__ import annotations

import os
import sqlite3
import stat
import tarfile

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import sync_tokens
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.real_sets import FIXTURES

ONE, TWO, GONE = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abc")
SCHEMA = f"""
CREATE TABLE Repo (repo_id CHAR(37) PRIMARY KEY);
CREATE TABLE RepoUserToken (repo_id CHAR(37), email VARCHAR(255), token CHAR(41));
CREATE UNIQUE INDEX repo_token_indx on RepoUserToken (repo_id, token);
CREATE TABLE RepoTokenPeerInfo (token CHAR(41) PRIMARY KEY, peer_id CHAR(41), peer_ip VARCHAR(50), peer_name VARCHAR(255), sync_time BIGINT);
CREATE TABLE RepoSyncError (token CHAR(41) PRIMARY KEY, error_time BIGINT, error_con VARCHAR(1024));
INSERT INTO Repo VALUES ('{ONE}'), ('{TWO}');
INSERT INTO RepoUserToken VALUES ('{ONE}', 'b@example.org', 'secret1'), ('{ONE}', 'a@example.org', 'secret2'), ('{ONE}', 'a@example.org', 'secret3'),
    ('{TWO}', 'a@example.org', 'secret4'), ('{GONE}', 'a@example.org', 'secret5');
INSERT INTO RepoTokenPeerInfo VALUES ('secret1', 'p', '192.0.2.1', 'laptop', 1), ('secret4', 'p', '192.0.2.1', 'laptop', 1), ('lone', 'p', '', '', 1);
INSERT INTO RepoSyncError VALUES ('secret1', 1, 'error'), ('secret4', 1, 'error');
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
    found = {table: sorted(connection.execute(f'SELECT * FROM "{table}"'), key=repr)
             for table, in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    connection.close()
    return found


def test_the_tokens_of_the_named_library_go_with_what_hangs_on_them_and_all_others_stay(path):
    before = rows(path)
    removal = sync_tokens.remove_in_sqlite(path, [ONE], True)
    assert removal == ([(ONE, 3, ["a@example.org", "b@example.org"])], 2)
    after = rows(path)
    assert {row[2] for row in after["RepoUserToken"]} == {"secret4", "secret5"}
    assert {row[0] for row in after["RepoTokenPeerInfo"]} == {"secret4", "lone"} and {row[0] for row in after["RepoSyncError"]} == {"secret4"}
    assert after["Repo"] == before["Repo"] and stat.S_IMODE(os.stat(path).st_mode) == 0o640


def test_all_are_those_of_libraries_that_are_gone_too(path):
    assert [found.library for found in sync_tokens.remove_in_sqlite(path, None, True).libraries] == [ONE, TWO, GONE]
    assert rows(path)["RepoUserToken"] == [] and [row[0] for row in rows(path)["RepoTokenPeerInfo"]] == ["lone"]


@pytest.mark.parametrize("libraries", [None, [ONE], []])
def test_without_acting_the_file_is_only_looked_at_and_the_same_is_told(path, libraries):
    with open(path, "rb") as stream:
        before = stream.read()
    told = sync_tokens.remove_in_sqlite(path, libraries, False)
    with open(path, "rb") as stream:
        assert stream.read() == before
    assert sync_tokens.remove_in_sqlite(path, libraries, True) == told and os.listdir(os.path.dirname(path)) == ["seafile.db"]


def test_the_second_time_there_is_nothing_to_remove(path):
    sync_tokens.remove_in_sqlite(path, [ONE, TWO], True)
    before = rows(path)
    assert sync_tokens.remove_in_sqlite(path, [ONE, TWO], True) == ([], 0) and rows(path) == before


def test_no_library_and_unknown_ones_are_nothing_to_do(path):
    before = rows(path)
    for libraries in ([], ["d" * 8 + "-0000-4000-8000-000000000000"]):
        assert sync_tokens.remove_in_sqlite(path, libraries, True) == ([], 0)
    assert rows(path) == before


def test_more_libraries_than_one_statement_names_are_all_served(path):
    many = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(1201)]
    connection = sqlite3.connect(path)
    connection.executemany("INSERT INTO RepoUserToken VALUES (?, 'a@example.org', ?)", [(library, f"t{library}") for library in many])
    connection.commit()
    connection.close()
    removal = sync_tokens.remove_in_sqlite(path, [*many, TWO], True)
    assert len(removal.libraries) == 1202 and len(rows(path)["RepoUserToken"]) == 4


def test_no_token_is_shown(path):
    assert "secret" not in repr(sync_tokens.remove_in_sqlite(path, None, False))
    assert sync_tokens.Found(ONE, 2, ["a@example.org"]).line == f"{ONE}: 2 sync tokens of a@example.org\n"


def test_a_database_of_before_these_tables_is_served_and_another_one_is_told_apart(path):
    connection = sqlite3.connect(path)
    connection.executescript("DROP TABLE RepoSyncError; DROP TABLE RepoTokenPeerInfo;")
    connection.close()
    assert sync_tokens.remove_in_sqlite(path, [ONE], True).hanging == 0
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE RepoUserToken")
    connection.close()
    with pytest.raises(SeafileError) as caught:
        sync_tokens.remove_in_sqlite(path, None, True)
    assert caught.value.code == "dump-wrong-database" and "RepoUserToken" in caught.value.message


@pytest.mark.parametrize("name, tokens, hanging", [("seafile-7-sqlite", 1, 0), ("seafile-11-sqlite", 5, 3)])
def test_a_database_that_a_real_server_wrote_loses_its_tokens_and_nothing_else(tmp_path, name, tokens, hanging):
    path = str(tmp_path / "seafile.db")
    with tarfile.open(FIXTURES / name / "haiwen.tar.gz") as archive, open(path, "wb") as stream:
        stream.write(archive.extractfile("haiwen/seafile-data/seafile.db").read())
    before = rows(path)
    removal = sync_tokens.remove_in_sqlite(path, None, True)
    assert (sum(found.tokens for found in removal.libraries), removal.hanging) == (tokens, hanging)
    after = rows(path)
    gone = {table for table in before if before[table] != after[table]}
    assert gone == {"RepoUserToken"} | ({"RepoTokenPeerInfo"} if hanging else set()) and not any(after[table] for table in gone)
