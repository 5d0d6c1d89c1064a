# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One task leaves on the server what the five leave that it stands for, and a failure leaves no dump."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import types

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import compression, deployment, dump_mark, gc_guard, sqlite_dump_run
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_dump_run import Reader
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import read_configuration
from ansible_collections.seafleet.seafile.plugins.modules import file_attributes, library_changes, server_dump

from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets, sqlite_makers as makers

EARLIER, SET, LATER = "20261122T030000Z", "20261123T030000Z", "20261124T030000Z"
DEFAULTS = {"owner": None, "storage": None, "shallow": None, "skipped": None, "nontransactional": "lock", "compression": "gzip",
            "compression_level": 1, "busy_timeout": 5, "changes": None}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A deployment that a real server wrote. No test changes it."""
    return str(real_sets.unpack("seafile-11-sqlite", tmp_path_factory.mktemp("server")))


class Task:
    """Runs the module's action with its staging and its state in a directory of their own."""

    def __init__(self, tmp_path, root):
        self.root = root
        self.top = tmp_path / "staging"
        self.state_dir = str(tmp_path / "state")
        self.warnings = []

    def staging(self, set_id=SET):
        return str(self.top / set_id)

    def changes(self, **given):
        return dict({"state_dir": self.state_dir, "known_set_id": None, "distrusted": [], "level": "auto", "sweep": False}, **given)

    def run(self, set_id=SET, check_mode=False, **given):
        params = dict(DEFAULTS, seafile_root=self.root, dest=self.staging(set_id))
        params.update(given)
        return server_dump.server_dump(types.SimpleNamespace(params=params, check_mode=check_mode, warn=self.warnings.append))

    def fail(self, *args, **given):
        with pytest.raises(SeafileError) as failure:
            self.run(*args, **given)
        return failure.value

    def files(self, set_id=SET):
        return sorted(os.path.relpath(os.path.join(where, name), self.staging(set_id)) for where, dummy, names in os.walk(self.staging(set_id))
                      for name in names)


@pytest.fixture
def task(tmp_path, root):
    return Task(tmp_path, root)


def read(path):
    with open(path, "rb") as stream:
        return stream.read()


def test_one_task_leaves_what_the_five_leave(task, tmp_path):
    before = makers.state(task.root)
    result = task.run(changes=task.changes())
    assert makers.state(task.root) == before

    other = str(tmp_path / "other" / SET)
    configuration = read_configuration(task.root)
    divided = deployment.parts(configuration)
    recorded = file_attributes.recorded(types.SimpleNamespace(check_mode=False, params={
        "seafile_root": task.root, "path": f"{other}/attributes.json", "storage": divided.storage, "shallow": divided.shallow,
        "skipped": divided.left_out, "owner": None, "group": None}))
    dumped = sqlite_dump_run.dump(configuration, sqlite_dump_run.targets(configuration, other), f"{other}/databases", 1, 5, Reader())
    listed = library_changes.library_changes(types.SimpleNamespace(check_mode=False, params={
        "dump": f"{other}/databases/seafile.db.sql.gz", "storage": configuration.storage, "seafile_conf": f"{task.root}/conf/seafile.conf",
        "set_id": SET, "known_set_id": None, "distrusted": [], "state_dir": str(tmp_path / "other state"), "dest": f"{other}/objects.list",
        "known": None, "heads_to": None, "level": "auto", "sweep": False}))
    armed = gc_guard.arm(configuration, other, keep_dumps=True)

    assert result["dumps"] == dumped["dumps"] and result["attributes"]["entries"] == recorded["entries"] > 30
    assert result["libraries"] == armed["libraries"] >= 12 and result["removed"] == []
    assert result["changes"] == {**{name: value for name, value in listed.items() if name not in ("changed", "heads", "notes")},
                                 "list": "objects.list", "seconds": result["changes"]["seconds"]}
    assert result["changed"] and result["notes"] == task.warnings == [] and result["began"] <= result["ended"]
    assert (result["server_version"], result["client_version"]) == (None, None)
    names = task.files()
    assert names == sorted(["attributes.json", "heads.json", "objects.list"] + [f"databases/{entry['file']}" for entry in dumped["dumps"]])
    for name in names:
        assert read(f"{task.staging()}/{name}") == read(f"{other}/{name}") and stat.S_IMODE(os.stat(f"{task.staging()}/{name}").st_mode) == 0o600
    assert read(f"{task.state_dir}/heads/{SET}.json") == read(tmp_path / "other state" / "heads" / f"{SET}.json")


@pytest.mark.skipif(compression.zstd_program() is None, reason="no zstd on this machine")
def test_with_zstd_only_the_dumps_are_others(task):
    plain, packed = task.run(EARLIER), task.run(SET, compression="zstd")
    assert [entry["file"] for entry in packed["dumps"]] == [entry["file"].replace(".sql.gz", ".sql.zst") for entry in plain["dumps"]]
    assert [entry["uncompressed_bytes"] for entry in packed["dumps"]] == [entry["uncompressed_bytes"] for entry in plain["dumps"]]
    assert packed["libraries"] == plain["libraries"]


def test_the_guard_is_checked_against_its_heads_and_removes_everything(task):
    task.run(changes=task.changes())
    result = gc_guard.check(read_configuration(task.root), task.staging(), 0, 5)
    assert (result["collected"], result["moved"], result["unknown"]) == ([], [], False) and not task.top.exists()


def test_the_next_run_lists_what_is_new_since_a_known_set(task):
    first = task.run(changes=task.changes())["changes"]
    assert dump_mark.cut_off(task.state_dir) is None
    second = task.run(LATER, changes=task.changes(known_set_id=SET))["changes"]
    assert first["everything"] and not first["empty"]
    assert second["libraries"]["unmoved"] == sum(first["libraries"].values()) and second["empty"] and not second["everything"]
    assert read(f"{task.staging(LATER)}/objects.list") == b""


def test_without_being_asked_for_there_is_no_list_not_even_an_old_one(task):
    os.makedirs(task.staging(), mode=0o700)
    with open(f"{task.staging()}/objects.list", "wb") as stream:
        stream.write(b"commits/x\0")
    assert task.run()["changes"] is None and "objects.list" not in task.files() and not os.path.lexists(task.state_dir)


def shared(path):
    os.mkdir(path, 0o755)
    os.chmod(path, 0o755)


def no_directory(path):
    with open(path, "w", encoding="ascii"):
        pass


@pytest.mark.parametrize("hinder", [shared, no_directory], ids=["others may write or read it", "it is a file"])
def test_a_state_that_cannot_be_kept_costs_the_list_and_nothing_else(task, hinder):
    hinder(task.state_dir)
    result = task.run(changes=task.changes())
    assert result["changes"] is None and len(result["dumps"]) == 6
    assert result["notes"] == task.warnings and len(result["notes"]) == 1
    assert result["notes"][0].startswith(f"what is new could not be listed, so everything is compared: {task.state_dir}: ")
    assert "objects.list" not in task.files() and "heads.json" in task.files()


def test_a_state_that_another_run_holds_costs_the_list_and_nothing_else(task):
    os.mkdir(task.state_dir, 0o700)
    descriptor = os.open(task.state_dir, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        result = task.run(changes=task.changes())
    finally:
        os.close(descriptor)
    assert result["changes"] is None and "another run" in result["notes"][0] and len(result["dumps"]) == 6


def test_heads_that_cannot_be_remembered_cost_the_list_and_nothing_else(task):
    os.mkdir(task.state_dir, 0o700)
    no_directory(f"{task.state_dir}/heads")
    result = task.run(changes=task.changes())
    assert result["changes"] is None and f"{task.state_dir}/heads" in result["notes"][0] and "objects.list" not in task.files()


def test_check_mode_names_the_files_and_writes_nothing(task, tmp_path):
    for set_id in (EARLIER, LATER):
        os.makedirs(task.staging(set_id))
    before = makers.state(tmp_path)
    planned = task.run(check_mode=True, changes=task.changes())
    assert makers.state(tmp_path) == before and not os.path.lexists(task.staging()) and not os.path.lexists(task.state_dir)
    assert planned["changed"] and planned["changes"] is None and planned["libraries"] is None and planned["removed"] == [task.staging(EARLIER)]
    result = task.run(changes=task.changes())
    assert [(entry["name"], entry["role"], entry["file"]) for entry in planned["dumps"]] == [
        (entry["name"], entry["role"], entry["file"]) for entry in result["dumps"]]
    assert all(entry["estimated_bytes"] for entry in planned["dumps"]) and planned["attributes"] == result["attributes"]
    assert set(result) - set(planned) == {"began", "ended"}


def test_what_dead_runs_left_is_removed_and_nothing_else(task):
    for set_id in (EARLIER, LATER):
        os.makedirs(f"{task.staging(set_id)}/databases")
    os.mkdir(task.top / "mine")
    assert task.run()["removed"] == [task.staging(EARLIER)]
    assert sorted(os.listdir(task.top)) == [SET, LATER, "mine"]


def test_a_dump_never_overwrites_another(task):
    task.run(changes=task.changes())
    before = makers.state(task.staging())
    for check_mode in (True, False):
        failure = task.fail(check_mode=check_mode)
        assert failure.code == "dump-exists" and failure.details["part"] == "sqlite"
    assert makers.state(task.staging()) == before


@pytest.mark.parametrize("given, code", [
    ({"dest": "/var/lib/seafleet"}, "set-id-invalid"),
    ({"dest": SET}, "path-invalid"),
    ({"seafile_root": "/nowhere"}, "no-seafile"),
    ({"seafile_root": "seafile"}, "path-invalid"),
    ({"owner": "nobody-at-all"}, "account-unknown"),
    ({"storage": "seafile-data/elsewhere"}, "storage-missing"),
    ({"changes": {"state_dir": "state"}}, "path-invalid"),
    ({"changes": {"known_set_id": "../../etc/passwd"}}, "set-id-invalid"),
])
def test_bad_input_has_a_code_and_nothing_is_written(task, tmp_path, given, code):
    if "changes" in given:
        given = {"changes": task.changes(**given["changes"])}
    failure = task.fail(**given)
    assert failure.code == code and "part" not in failure.details and os.listdir(tmp_path) == []


def test_a_missing_database_is_named_before_anything_is_written(tmp_path):
    task = Task(tmp_path, makers.deployment(tmp_path / "haiwen"))
    os.unlink(os.path.join(task.root, "seahub.db"))
    failure = task.fail()
    assert failure.code == "sqlite-missing" and failure.message.startswith(f"dumping the SQLite databases: {task.root}/seahub.db: ")
    assert not task.top.exists()


def test_a_locked_database_is_named_with_its_part_and_leaves_no_dump(tmp_path):
    task = Task(tmp_path, makers.deployment(tmp_path / "haiwen"))
    with makers.other_process(os.path.join(task.root, "seafile-data/seafile.db"), "BEGIN EXCLUSIVE"):
        failure = task.fail(busy_timeout=0.2)
    assert (failure.code, failure.details["part"]) == ("sqlite-locked", "sqlite") and task.files() == ["attributes.json"]


def test_a_failure_after_the_dumps_takes_them_away_again(tmp_path):
    # its seafile.db has no table of Seafile, which shows when its heads are read
    task = Task(tmp_path, makers.deployment(tmp_path / "haiwen"))
    for dummy in range(2):
        failure = task.fail(changes=task.changes())
        assert (failure.code, failure.details["part"]) == ("dump-wrong-database", "heads")
        assert failure.message.startswith("noting the heads of the dump: ") and "Next: " in failure.message
        assert os.listdir(task.staging()) == ["attributes.json"] and os.listdir(task.state_dir) == [dump_mark.NAME]
    assert dump_mark.cut_off(task.state_dir) == SET, "whoever comes next need not wait for this run"


def test_staging_at_the_top_of_the_deployment_is_no_part_of_it(tmp_path):
    task = Task(tmp_path, str(real_sets.unpack("seafile-11-sqlite", tmp_path)))
    task.top = tmp_path / "haiwen"
    os.makedirs(f"{task.staging()}/databases/.sqlite-copy.killed")
    makers.database(f"{task.staging()}/databases/.sqlite-copy.killed/database")
    task.run()
    recorded = json.loads(read(f"{task.staging()}/attributes.json"))["entries"]
    assert not [name for name in recorded if name.startswith(SET)] and len(os.listdir(f"{task.staging()}/databases")) == 6


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_all_but_the_heads_is_given_to_the_account_that_pulls(task):
    task.run(owner="65534", changes=task.changes())
    owners = {name: os.stat(f"{task.staging()}/{name}").st_uid for name in task.files() + [".", "databases"]}
    assert {name for name, uid in owners.items() if uid != 65534} == {"heads.json"}
    assert os.stat(task.top).st_uid == 0 and [stat.S_IMODE(os.stat(path).st_mode) for path in (task.top, task.staging())] == [0o711, 0o700]
    assert os.stat(task.state_dir).st_uid == 0 and stat.S_IMODE(os.stat(task.state_dir).st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_nothing_is_given_away_before_all_is_written(task, monkeypatch):
    """Also when a killed run had given the directory away already."""
    os.makedirs(f"{task.staging()}/databases")
    for path in (task.staging(), f"{task.staging()}/databases"):
        os.chown(path, 65534, -1)
        os.chmod(path, 0o777)
    seen = []

    def arm(*args, real=gc_guard.arm, **more):
        seen.extend((os.stat(f"{task.staging()}/{name}").st_uid, os.stat(f"{task.staging()}/{name}").st_mode & 0o077)
                    for name in [".", "databases", *task.files()])
        return real(*args, **more)

    monkeypatch.setattr(gc_guard, "arm", arm)
    task.run(owner="65534")
    assert len(seen) == 9 and set(seen) == {(0, 0)} and os.stat(task.staging()).st_uid == 65534


def test_a_link_in_the_place_of_a_directory_is_not_followed(task, tmp_path):
    os.makedirs(task.staging())
    os.mkdir(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", f"{task.staging()}/databases")
    assert task.fail().code == "os-error" and os.listdir(tmp_path / "elsewhere") == []
