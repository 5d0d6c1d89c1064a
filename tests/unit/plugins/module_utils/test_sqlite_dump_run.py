# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump of all SQLite databases is there whole or not at all, and the server stays as it is."""

from __future__ import annotations

import hashlib
import os
import stat

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import compression, sqlite_dump_run
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_dump_run import Reader
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import read_configuration

from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets, sqlite_makers as makers


def dump(root, dest, busy_timeout=1.0, kind="gzip", progress=None):
    configuration = read_configuration(str(root))
    return sqlite_dump_run.dump(
        configuration, sqlite_dump_run.targets(configuration, str(dest)), str(dest), 1, busy_timeout, Reader(), kind, progress)


@pytest.mark.parametrize("name, kind", [("seafile-7-sqlite", "gzip"), ("seafile-11-sqlite", "gzip"), ("seafile-11-sqlite", "zstd")])
def test_all_six_databases_of_a_real_server_are_dumped_and_the_server_stays_as_it_is(name, kind, tmp_path):
    root = real_sets.unpack(name, tmp_path)
    before = makers.state(root)
    told = []
    result = dump(root, tmp_path / "staging" / "databases", kind=kind, progress=told.append)
    assert told == sorted(told) and told[-1] == sum(database.bytes for database in sqlite_dump_run.targets(read_configuration(str(root))))
    assert makers.state(root) == before
    dumps = {entry["name"]: entry for entry in result["dumps"]}
    suffix = compression.SUFFIXES[kind]
    assert {entry["name"]: (entry["role"], entry["file"]) for entry in result["dumps"]} == {
        "ccnet/GroupMgr/groupmgr.db": ("ccnet", f"groupmgr.db{suffix}"), "ccnet/OrgMgr/orgmgr.db": ("ccnet", f"orgmgr.db{suffix}"),
        "ccnet/PeerMgr/usermgr.db": ("ccnet", f"usermgr.db{suffix}"), "ccnet/misc/config.db": ("ccnet", f"config.db{suffix}"),
        "seafile-data/seafile.db": ("seafile", f"seafile.db{suffix}"), "seahub.db": ("seahub", f"seahub.db{suffix}")}
    assert dumps["seafile-data/seafile.db"]["rows"]["Branch"] == len(real_sets.manifest(name)["libraries"])
    assert result["began"] <= result["ended"]
    for entry in result["dumps"]:
        path = tmp_path / "staging" / "databases" / entry["file"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"] and path.stat().st_size == entry["bytes"]
        with compression.open_reader(str(path)) as stream:
            text = stream.read()
        assert text.endswith(b"\nCOMMIT;\n") and len(text) == entry["uncompressed_bytes"]
        assert entry["tables"] == sorted(entry["rows"])
    assert len(os.listdir(tmp_path / "staging" / "databases")) == 6
    assert stat.S_IMODE((tmp_path / "staging").stat().st_mode) == stat.S_IMODE((tmp_path / "staging" / "databases").stat().st_mode) == 0o700


def remove(path):
    os.unlink(path)


def empty(path):
    with open(path, "wb"):
        pass


def damage(path):
    os.unlink(path)
    makers.damaged(path)


@pytest.mark.parametrize("fault, code", [(remove, "sqlite-missing"), (empty, "sqlite-corrupt"), (damage, "sqlite-corrupt")])
def test_a_fault_in_the_last_database_leaves_no_file_at_all(fault, code, tmp_path):
    root = makers.deployment(tmp_path / "haiwen")
    fault(os.path.join(root, "seahub.db"))
    before = makers.state(root)
    with pytest.raises(SeafileError) as failure:
        dump(root, tmp_path / "staging")
    assert failure.value.code == code and "seahub.db" in failure.value.message
    assert makers.state(root) == before
    assert not (tmp_path / "staging").exists()


def test_a_locked_database_leaves_no_file_and_earlier_dumps_alone(tmp_path):
    root = makers.deployment(tmp_path / "haiwen")
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging" / "earlier.sql.gz").write_bytes(b"earlier")
    with makers.other_process(os.path.join(root, "seafile-data/seafile.db"), "BEGIN EXCLUSIVE") as pid:
        with pytest.raises(SeafileError) as failure:
            dump(root, tmp_path / "staging", 0.2)
    assert failure.value.code == "sqlite-locked" and str(pid) in failure.value.message
    assert os.listdir(tmp_path / "staging") == ["earlier.sql.gz"]


def test_a_dump_never_overwrites_another(tmp_path):
    root = makers.deployment(tmp_path / "haiwen")
    dump(root, tmp_path / "staging")
    before = makers.state(tmp_path / "staging")
    with pytest.raises(SeafileError) as failure:
        dump(root, tmp_path / "staging")
    assert failure.value.code == "dump-exists"
    assert makers.state(tmp_path / "staging") == before


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path):
    root = makers.deployment(tmp_path / "haiwen")
    (tmp_path / "staging" / ".sqlite-copy.abcdef").mkdir(parents=True)
    (tmp_path / "staging" / ".sqlite-copy.abcdef" / "database").write_bytes(b"half")
    (tmp_path / "staging" / ".seahub.db.sql.gz.partial").write_bytes(b"half")
    dump(root, tmp_path / "staging")
    assert sorted(os.listdir(tmp_path / "staging")) == ["groupmgr.db.sql.gz", "seafile.db.sql.gz", "seahub.db.sql.gz", "usermgr.db.sql.gz"]


def test_files_with_one_base_name_get_names_that_differ(tmp_path):
    root = makers.deployment(tmp_path / "haiwen")
    makers.database(os.path.join(root, "custom", "seahub.db"))
    makers.database(os.path.join(root, "custom", "-rf $(id)\nä.db"))
    files = {entry["name"]: (entry["file"], entry["role"]) for entry in dump(root, tmp_path / "staging")["dumps"]}
    assert files["custom/seahub.db"] == ("custom%2Fseahub.db.sql.gz", "other")
    assert files["seahub.db"] == ("seahub.db.sql.gz", "seahub")
    assert files["custom/-rf $(id)\nä.db"] == ("%2Drf%20%24%28id%29%0A%C3%A4.db.sql.gz", "other")


def test_a_dump_within_the_deployment_is_not_a_database_of_it(tmp_path):
    root = makers.deployment(tmp_path / "haiwen")
    first = dump(root, os.path.join(root, ".seafleet", "one"))
    second = dump(root, os.path.join(root, ".seafleet", "two"))
    assert [entry["sha256"] for entry in first["dumps"]] == [entry["sha256"] for entry in second["dumps"]]


def test_the_plan_names_files_and_sizes_and_writes_nothing(tmp_path):
    root = makers.deployment(tmp_path / "haiwen")
    configuration = read_configuration(root)
    before = makers.state(tmp_path)
    planned = sqlite_dump_run.plan(configuration, sqlite_dump_run.targets(configuration), str(tmp_path / "staging"))
    assert makers.state(tmp_path) == before
    assert {entry["file"] for entry in planned} == {entry["file"] for entry in dump(root, tmp_path / "staging")["dumps"]}
    assert all(entry["estimated_bytes"] > 0 for entry in planned)


def test_a_group_may_read_what_it_is_given(tmp_path):
    root = makers.deployment(tmp_path / "haiwen")
    configuration = read_configuration(root)
    reader = Reader(-1, os.getgid())
    sqlite_dump_run.dump(configuration, sqlite_dump_run.targets(configuration), str(tmp_path / "a" / "b"), 1, 1, reader)
    assert [stat.S_IMODE((tmp_path / path).stat().st_mode) for path in ("a", "a/b", "a/b/seahub.db.sql.gz")] == [0o750, 0o750, 0o640]
