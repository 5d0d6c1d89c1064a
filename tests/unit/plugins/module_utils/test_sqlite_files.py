# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQLite files are found by their header and read rightly in every state, and their source stays as it is."""

from __future__ import annotations

import os
import pathlib
import sqlite3
import stat
import time

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import audience, sqlite_files
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets, sqlite_makers as makers


@pytest.fixture
def source(tmp_path):
    return str(tmp_path / "source" / "a.db")


@pytest.fixture
def copy(tmp_path):
    (tmp_path / "private").mkdir()
    return str(tmp_path / "private" / "copy")


def test_all_six_databases_of_a_real_server_are_found_by_their_header(tmp_path):
    for name in ("seafile-7-sqlite", "seafile-11-sqlite"):
        root = real_sets.unpack(name, tmp_path / name)
        assert [database.name for database in sqlite_files.find(str(root), ["seafile-data/storage"]).databases] == [
            "ccnet/GroupMgr/groupmgr.db", "ccnet/OrgMgr/orgmgr.db", "ccnet/PeerMgr/usermgr.db", "ccnet/misc/config.db", "seafile-data/seafile.db", "seahub.db"]


def test_a_database_of_somebody_else_is_found_and_what_only_has_the_name_is_not(tmp_path):
    makers.database(str(tmp_path / "seahub-data" / "my plugin;$(id)\n.sqlite"))
    (tmp_path / "empty.db").write_bytes(b"")
    (tmp_path / "text.db").write_bytes(b"no database " * 100)
    makers.database(str(tmp_path / ".seafile.db.partial"))
    os.mkfifo(tmp_path / "fifo.db")
    assert [database.name for database in sqlite_files.find(str(tmp_path), []).databases] == ["seahub-data/my plugin;$(id)\n.sqlite"]


def test_the_object_store_is_not_entered(tmp_path):
    makers.database(str(tmp_path / "seafile-data" / "storage" / "blocks" / "a.db"))
    makers.database(str(tmp_path / "seafile-data" / "seafile.db"))
    os.chmod(tmp_path / "seafile-data" / "storage", 0)
    try:
        found = sqlite_files.find(str(tmp_path), ["seafile-data/storage"])
    finally:
        os.chmod(tmp_path / "seafile-data" / "storage", 0o700)
    assert [database.name for database in found.databases] == ["seafile-data/seafile.db"]
    assert found.unreadable == []


def test_a_data_directory_behind_a_link_is_searched_and_other_links_are_not(tmp_path):
    makers.database(str(tmp_path / "disk" / "seafile.db"))
    makers.database(str(tmp_path / "elsewhere" / "other.db"))
    root = tmp_path / "haiwen"
    root.mkdir()
    (root / "seafile-data").symlink_to(tmp_path / "disk")
    (root / "old").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to("loop")
    found = sqlite_files.find(str(root), [])
    assert [database.name for database in found.databases] == ["seafile-data/seafile.db"] and found.unreadable == []


def test_what_sqlite_keeps_beside_a_database_is_listed(source):
    makers.with_crashed_wal(source)
    found = sqlite_files.find(os.path.dirname(source), []).databases[0]
    assert found.sidecars == ["a.db-wal", "a.db-shm"]
    assert found.bytes == os.path.getsize(source) + os.path.getsize(source + "-wal")


def test_a_database_at_rest_is_copied_and_its_directory_stays_as_it_is(source, copy):
    makers.database(source)
    before = makers.state(os.path.dirname(source))
    assert sqlite_files.snapshot(source, copy, 1) == "delete"
    assert makers.rows(copy) == (20, 6000)
    assert makers.state(os.path.dirname(source)) == before
    assert stat.S_IMODE(os.stat(copy).st_mode) == 0o600 and os.listdir(os.path.dirname(copy)) == ["copy"]


def test_a_hot_journal_left_by_a_crash_is_rolled_back_in_the_copy_only(source, copy):
    makers.with_hot_journal(source)
    before = makers.state(os.path.dirname(source))
    sqlite_files.snapshot(source, copy, 1)
    assert makers.state(os.path.dirname(source)) == before and "a.db-journal" in before
    assert makers.rows(copy) == (200, 60000)
    assert os.listdir(os.path.dirname(copy)) == ["copy"]
    assert makers.rows(source) == (200, 60000)  # the source itself was still to be rolled back, and can be


def test_rows_that_a_crash_left_in_the_wal_are_in_the_copy_and_the_source_stays_as_it_is(source, copy):
    makers.with_crashed_wal(source)
    before = makers.state(os.path.dirname(source))
    assert sqlite_files.snapshot(source, copy, 1) == "wal"
    assert makers.state(os.path.dirname(source)) == before
    assert makers.rows(copy) == (21, 6010)
    assert os.listdir(os.path.dirname(copy)) == ["copy"]


def test_a_wal_database_that_was_closed_well_gets_no_new_files_beside_it(source, copy):
    makers.database(source, script="PRAGMA journal_mode=WAL; INSERT INTO t(name, data) VALUES('x', zeroblob(10));")
    before = makers.state(os.path.dirname(source))
    assert list(before) == ["a.db"]
    assert sqlite_files.snapshot(source, copy, 1) == "wal"
    assert makers.state(os.path.dirname(source)) == before
    assert makers.rows(copy) == (21, 6010)


def test_a_live_wal_database_is_read_with_its_newest_rows(source, copy):
    makers.database(source)
    with makers.other_process(source, "PRAGMA journal_mode=WAL", "INSERT INTO t(name, data) VALUES('live', zeroblob(10))", "BEGIN IMMEDIATE",
                              "INSERT INTO t(name, data) VALUES('not committed', zeroblob(10))"):
        before = makers.state(os.path.dirname(source))
        sqlite_files.snapshot(source, copy, 1)
        after = makers.state(os.path.dirname(source))
    # a reader marks its place in the processes' shared memory; nothing else may change
    assert {name: values for name, values in before.items() if not name.endswith("-shm")} == {
        name: values for name, values in after.items() if not name.endswith("-shm")}
    assert set(before) == set(after)
    assert makers.rows(copy) == (21, 6010)


def test_a_writer_that_has_not_committed_is_not_waited_for(source, copy):
    makers.database(source)
    with makers.other_process(source, "BEGIN IMMEDIATE", "DELETE FROM t"):
        sqlite_files.snapshot(source, copy, 1)
    assert makers.rows(copy) == (20, 6000)


def test_a_locked_database_fails_after_the_timeout_and_names_the_holder(source, copy):
    makers.database(source)
    with makers.other_process(source, "BEGIN EXCLUSIVE") as pid:
        with pytest.raises(SeafileError) as failure:
            sqlite_files.snapshot(source, copy, 0.3)
    assert failure.value.code == "sqlite-locked"
    assert f"(pid {pid})" in failure.value.message and source in failure.value.message


def test_a_lock_that_is_freed_in_time_is_waited_for(source, copy):
    makers.database(source)
    with makers.other_process(source, "BEGIN EXCLUSIVE") as pid:
        stopper = makers.subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -9 {pid}"])
        sqlite_files.snapshot(source, copy, 20)
        stopper.wait()
    assert makers.rows(copy) == (20, 6000)


def test_the_wait_for_a_lock_ends_when_nobody_waits_for_the_result(source, copy):
    """What listens at the other end is gone, as after a cancelled job; SQLite waiting by itself would not let the signal through."""
    makers.database(source)
    listened, told = os.pipe()
    os.close(listened)
    try:
        with makers.other_process(source, "BEGIN EXCLUSIVE"):
            began = time.monotonic()
            with pytest.raises(audience.Abandoned):
                with audience.while_awaited(every=0.2, descriptor=told):
                    sqlite_files.snapshot(source, copy, 600)
    finally:
        os.close(told)
    assert time.monotonic() - began < 60


def test_a_missing_database_is_never_created(source, copy):
    os.makedirs(os.path.dirname(source))
    with pytest.raises(SeafileError) as failure:
        sqlite_files.snapshot(source, copy, 1)
    assert failure.value.code == "sqlite-missing"
    with pytest.raises(sqlite3.OperationalError):
        sqlite_files.connect(source, "ro")
    assert os.listdir(os.path.dirname(source)) == []


@pytest.mark.parametrize("content, words", [(b"", "empty"), (b"x" * 4096, "no SQLite header"), (b"SQLite format 3\0" + b"\xff" * 5000, "")])
def test_a_file_that_is_no_database_is_refused_in_words(content, words, source, copy):
    os.makedirs(os.path.dirname(source))
    pathlib.Path(source).write_bytes(content)
    with pytest.raises(SeafileError) as failure:
        sqlite_files.snapshot(source, copy, 1)
    assert failure.value.code == "sqlite-corrupt" and words in failure.value.message and source in failure.value.message


@pytest.mark.parametrize("damaged, named", [("t", "table t"), ("t_name", "index t_name")])
def test_damage_is_found_and_its_table_or_index_named(damaged, named, source):
    makers.damaged(source, damaged)
    connection = sqlite_files.connect(source, "ro")
    try:
        with pytest.raises(SeafileError) as failure:
            sqlite_files.check_integrity(connection, source)
    finally:
        connection.close()
    assert failure.value.code == "sqlite-corrupt"
    assert failure.value.details["damaged"] == [named] and named in failure.value.message


def test_a_sound_database_passes_though_its_text_is_not_utf8(source):
    makers.database(source, script="INSERT INTO t(name) VALUES(CAST(X'ff00fe' AS TEXT));")
    connection = sqlite_files.connect(source, "ro")
    try:
        sqlite_files.check_integrity(connection, source)
    finally:
        connection.close()
