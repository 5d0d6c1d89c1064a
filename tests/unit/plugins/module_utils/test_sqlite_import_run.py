# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQLite databases come from proven dumps only, whole or not at all, and a second run changes nothing."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import stat

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import sqlite_dump_run, sqlite_import_run
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_dump_run import Reader
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import read_configuration

from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets, sqlite_makers as makers
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.test_sqlite_dump_text import content


def dump(root, dest, kind="gzip"):
    configuration = read_configuration(str(root))
    return sqlite_dump_run.dump(configuration, sqlite_dump_run.targets(configuration), str(dest), 1, 1, Reader(), kind)["dumps"]


@pytest.fixture
def source(tmp_path):
    return makers.deployment(tmp_path / "source")


@pytest.fixture
def dumps(source, tmp_path):
    return dump(source, tmp_path / "dumps")


def run(tmp_path, dumps, replace=False, record=None, act=True):
    imports = sqlite_import_run.prepare(str(tmp_path / "dumps"), dumps, str(tmp_path / "target"))
    sqlite_import_run.decide(imports, replace, record)
    if act:
        sqlite_import_run.perform(imports, str(tmp_path / "target"), Reader(), 0o640, record)
    return {task.name: task.action for task in imports}


@pytest.mark.parametrize("name, kind", [("seafile-7-sqlite", "gzip"), ("seafile-11-sqlite", "gzip"), ("seafile-11-sqlite", "zstd")])
def test_the_databases_of_a_real_server_come_back_bit_by_bit(name, kind, tmp_path):
    root = real_sets.unpack(name, tmp_path)
    assert set(run(tmp_path, dump(root, tmp_path / "dumps", kind)).values()) == {"created"}
    for path in ("ccnet/GroupMgr/groupmgr.db", "ccnet/OrgMgr/orgmgr.db", "ccnet/PeerMgr/usermgr.db", "ccnet/misc/config.db", "seafile-data/seafile.db",
                 "seahub.db"):
        assert content(tmp_path / "target" / path) == content(root / path)
        assert stat.S_IMODE((tmp_path / "target" / path).stat().st_mode) == 0o640
    assert len(makers.state(tmp_path / "target")) == 6


@pytest.mark.parametrize("recorded", [False, True])
def test_a_second_run_changes_nothing(recorded, dumps, tmp_path):
    record = str(tmp_path / "state" / "record.json") if recorded else None
    assert set(run(tmp_path, dumps, record=record).values()) == {"created"}
    before = makers.state(tmp_path)
    assert set(run(tmp_path, dumps, record=record).values()) == {"unchanged"}
    assert makers.state(tmp_path) == before
    if recorded:
        assert stat.S_IMODE(os.stat(record).st_mode) == 0o600
        assert len(json.loads((tmp_path / "state" / "record.json").read_text(encoding="ascii"))["databases"]) == 4


def test_the_record_is_not_believed_when_the_file_has_changed(dumps, tmp_path):
    record = str(tmp_path / "record.json")
    run(tmp_path, dumps, record=record)
    makers.crash(tmp_path / "target" / "seahub.db", "DELETE FROM t WHERE id = 1")
    with pytest.raises(SeafileError) as failure:
        run(tmp_path, dumps, record=record)
    assert failure.value.code == "sqlite-exists" and "seahub.db" in failure.value.message
    assert run(tmp_path, dumps, replace=True, record=record)["seahub.db"] == "replaced"
    assert makers.rows(str(tmp_path / "target" / "seahub.db")) == (20, 6000)


def test_a_database_with_other_content_is_refused_before_anything_is_written(dumps, tmp_path):
    makers.database(str(tmp_path / "target" / "seahub.db"), rows=3)
    before = makers.state(tmp_path)
    with pytest.raises(SeafileError) as failure:
        run(tmp_path, dumps)
    assert failure.value.code == "sqlite-exists"
    assert makers.state(tmp_path) == before


def test_replacing_takes_the_journal_and_the_wal_of_the_old_one_away(dumps, tmp_path):
    makers.with_hot_journal(str(tmp_path / "target" / "seahub.db"))
    makers.with_crashed_wal(str(tmp_path / "target" / "seafile-data" / "seafile.db"))
    actions = run(tmp_path, dumps, replace=True)
    assert actions["seahub.db"] == actions["seafile-data/seafile.db"] == "replaced"
    assert sorted(name for name in makers.state(tmp_path / "target")) == [
        "ccnet/GroupMgr/groupmgr.db", "ccnet/PeerMgr/usermgr.db", "seafile-data/seafile.db", "seahub.db"]
    assert makers.rows(str(tmp_path / "target" / "seahub.db")) == makers.rows(str(tmp_path / "target" / "seafile-data" / "seafile.db")) == (20, 6000)


def test_a_stray_journal_would_spoil_the_new_database_and_is_refused(dumps, tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "seahub.db-journal").write_bytes(b"of another database")
    with pytest.raises(SeafileError) as failure:
        run(tmp_path, dumps)
    assert failure.value.code == "sqlite-exists" and "seahub.db-journal" in failure.value.message


def test_a_database_in_use_is_not_replaced(dumps, tmp_path):
    path = makers.database(str(tmp_path / "target" / "seahub.db"), rows=3)
    with makers.other_process(path, "BEGIN IMMEDIATE") as pid:
        with pytest.raises(SeafileError) as failure:
            run(tmp_path, dumps, replace=True)
    assert failure.value.code == "sqlite-locked" and str(pid) in failure.value.message
    assert makers.rows(path) == (3, 900)


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"file": "absent.sql.gz"}, {"file": "usermgr.db.sql.gz"}])
def test_one_damaged_dump_and_nothing_is_written(change, dumps, tmp_path):
    dumps[-1].update(change)
    with pytest.raises(SeafileError) as failure:
        run(tmp_path, dumps)
    assert failure.value.code == "dump-damaged" and not (tmp_path / "target").exists()


@pytest.mark.parametrize("change", [
    {"name": "../seahub.db"}, {"name": "/etc/seahub.db"}, {"name": "ccnet/../../x"}, {"name": "."}, {"name": ""}, {"name": "a//b"}, {"name": "a\0b"},
    {"file": "../dumps/seahub.db.sql.gz"}, {"file": "/etc/passwd"},
])
def test_a_path_that_leads_out_is_refused(change, dumps, tmp_path):
    dumps[-1].update(change)
    with pytest.raises(SeafileError) as failure:
        run(tmp_path, dumps)
    assert failure.value.code == "path-invalid" and not (tmp_path / "target").exists()


def test_a_planted_link_does_not_lead_out(dumps, tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "target" / "custom").symlink_to(tmp_path / "elsewhere")
    dumps[-1]["name"] = "custom/seahub.db"
    with pytest.raises(SeafileError) as failure:
        run(tmp_path, dumps)
    assert failure.value.code == "path-invalid" and os.listdir(tmp_path / "elsewhere") == []
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "target" / "seahub.db").symlink_to(tmp_path / "victim")
    dumps[-1]["name"] = "seahub.db"
    with pytest.raises(SeafileError) as failure:
        run(tmp_path, dumps, replace=True)
    assert failure.value.code == "path-invalid" and (tmp_path / "victim").read_bytes() == b"precious"


def rewritten(tmp_path, entry, change):
    """Store the dump of I(entry) with its text changed, and a checksum that fits."""
    path = tmp_path / "dumps" / entry["file"]
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))
    entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("change, words", [
    (lambda text: b"".join(line for line in text.splitlines(True) if b"'name 000007'" not in line), "19 rows"),
    (lambda text: text.replace(b"CREATE TABLE t(", b"CREATE TABLE u("), "no such table"),
    (lambda text: text.replace(b"CREATE INDEX", b"CREATE NONSENSE"), "syntax error"),
])
def test_a_dump_that_does_not_give_what_the_manifest_says_leaves_the_old_database(change, words, dumps, tmp_path):
    path = makers.database(str(tmp_path / "target" / "seahub.db"), rows=3)
    before = makers.state(tmp_path / "target")
    entry = next(entry for entry in dumps if entry["name"] == "seahub.db")
    rewritten(tmp_path, entry, change)
    with pytest.raises(SeafileError) as failure:
        run(tmp_path, [entry], replace=True)
    assert failure.value.code == "import-failed" and words in failure.value.message and path in failure.value.message
    assert makers.state(tmp_path / "target") == before


def test_what_a_killed_run_left_is_built_anew(dumps, tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / ".seahub.db.partial").write_bytes(b"half")
    (tmp_path / "target" / ".seahub.db.partial-journal").write_bytes(b"half")
    run(tmp_path, dumps)
    assert os.listdir(tmp_path / "target") and not [name for name in os.listdir(tmp_path / "target") if name.startswith(".")]


def test_looking_only_changes_nothing(dumps, tmp_path):
    makers.database(str(tmp_path / "target" / "seahub.db"), rows=3)
    before = makers.state(tmp_path)
    actions = run(tmp_path, dumps, replace=True, act=False)
    assert actions["seahub.db"] == "replaced" and actions["seafile-data/seafile.db"] == "created"
    assert makers.state(tmp_path) == before


def test_a_damaged_record_is_named(dumps, tmp_path):
    (tmp_path / "record.json").write_text("{}", encoding="ascii")
    with pytest.raises(SeafileError) as failure:
        run(tmp_path, dumps, record=str(tmp_path / "record.json"))
    assert failure.value.code == "record-damaged"
