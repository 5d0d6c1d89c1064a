# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import clock, run_record, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, set_time
from ansible_collections.seafleet.seafile.plugins.modules import backup_set, backup_set_info

ONE, TWO = "20201123T030000Z", "20201124T030000Z"
PLAY = {"host": "controller1|boot|pid:[1]", "pid": 100, "started": "5000"}
OTHER = dict(PLAY, pid=101)
SHA256 = hashlib.sha256(b"dump").hexdigest()
MANIFEST = {"databases": [{"name": "seafile-db", "role": "seafile", "engine": "mysql", "file": "seafile-db.sql.gz", "sha256": SHA256}], "engine": "mysql"}


@pytest.fixture
def layout(tmp_path):
    return ServerLayout(str(tmp_path), "server1")


def run_command(argv, expand_user_and_vars=True):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def act(layout, state, set_id=None, check_mode=False, **params):
    given = dict({"state": state, "server": "server1", "set_id": set_id, "manifest": MANIFEST, "reason": "the run failed", "lock_lease": 3600,
                  "controller": PLAY, "dead_run": None, "preflight": None, "renew": False}, **params)
    module = types.SimpleNamespace(params=given, check_mode=check_mode, run_command=run_command)
    return {"partial": backup_set.begin_set, "sealed": backup_set.seal_set, "failed": backup_set.fail_set}[state](module, layout)


def bring(layout, set_id=ONE, stages=run_record.STAGES):
    """What the pulls of a run leave behind."""
    for folder, name, content in (("databases", "seafile-db.sql.gz", b"dump"), ("files", "settings.py", b"x = 1"), (".", "attributes.json", b"{}")):
        os.makedirs(os.path.join(layout.partial(set_id), folder), exist_ok=True)
        with open(os.path.join(layout.partial(set_id), folder, name), "wb") as stream:
            stream.write(content)
    with run_record.joined(layout, set_id) as run:
        for stage in stages:
            run.finish(stage, clock.utc_now(), {"sha256": {"databases/seafile-db.sql.gz": SHA256}} if stage == "dumps" else {})


def tree(path):
    paths = sorted(os.path.join(folder, name) for folder, names, files in os.walk(path) for name in names + files)
    return [(name, os.lstat(name).st_mtime_ns) for name in paths]


def sealed(layout, set_id=ONE):
    act(layout, "partial", set_id)
    bring(layout, set_id)
    return act(layout, "sealed", set_id)


def failing(layout, *args, **kwargs):
    with pytest.raises(SeafileError) as caught:
        act(layout, *args, **kwargs)
    return caught.value


def test_a_set_is_begun_sealed_and_whole(layout):
    begun = act(layout, "partial", ONE)
    assert (begun["changed"], begun["set_state"], begun["path"]) == (True, "partial", layout.partial(ONE))
    bring(layout)
    os.symlink("settings.py", os.path.join(layout.partial(ONE), "files", "link"))
    done = act(layout, "sealed", ONE)
    assert (done["changed"], done["set_state"], done["path"], done["bytes"]) == (True, "sealed", layout.sealed(ONE), 11)
    assert sets.check_sums(layout.sealed(ONE)) == [] and not os.path.exists(layout.partial(ONE))
    manifest = sets.read_manifest(layout.sealed(ONE))
    assert manifest["links"] == {"files/link": "settings.py"} and manifest["previous"] is None and manifest["state"] == "sealed"
    stages = manifest["stages"]
    assert stages["dumps"]["ended"] <= stages["files"]["began"] <= stages["files"]["ended"] <= stages["objects"]["began"] and "sha256" not in stages["dumps"]
    assert ONE in open(layout.guide, encoding="utf-8").read()
    assert run_record.Run(layout).read()["state"] == "ended"


def test_sealing_twice_or_beginning_a_sealed_set_changes_nothing(layout):
    first = sealed(layout)
    before = tree(layout.root)
    assert act(layout, "sealed", ONE) == dict(first, changed=False)
    again = act(layout, "partial", ONE)
    assert (again["changed"], again["set_state"]) == (False, "sealed")
    assert tree(layout.root) == before


@pytest.mark.parametrize("state", ["partial", "sealed", "failed"])
def test_check_mode_changes_nothing(layout, state):
    act(layout, "partial", ONE)
    bring(layout)
    before = tree(layout.root)
    result = act(layout, state, ONE, check_mode=True)
    assert result["changed"] is True and tree(layout.root) == before


def test_check_mode_of_a_first_set_makes_no_directory(layout):
    assert act(layout, "partial", check_mode=True)["set_state"] == "partial" and not os.path.exists(layout.root)


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_second_run_is_refused_in_check_mode_too(layout, check_mode):
    act(layout, "partial", ONE)
    error = failing(layout, "partial", TWO, check_mode=check_mode, controller=OTHER)
    assert error.code == "run-active" and error.details["holder"]["set_id"] == ONE
    assert not os.path.exists(layout.partial(TWO))


def test_a_dead_run_is_taken_over_and_its_partial_set_stays(layout):
    act(layout, "partial", ONE)
    result = act(layout, "partial", TWO, controller=OTHER, dead_run=ONE)
    assert result["taken_over"] == ONE and os.path.isdir(layout.partial(ONE))
    assert failing(layout, "sealed", ONE).code == "run-lost"


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_run_whose_dump_was_cut_off_is_taken_over_and_no_other(layout, monkeypatch, check_mode):
    act(layout, "partial", ONE)
    monkeypatch.setattr(backup_set, "preflight", lambda *dummy: {})
    assert failing(layout, "partial", TWO, check_mode=check_mode, controller=OTHER, preflight={"cut_off": TWO}).code == "run-active"
    assert act(layout, "partial", TWO, check_mode=check_mode, controller=OTHER, preflight={"cut_off": ONE})["set_state"] == "partial"


def test_a_new_attempt_keeps_nothing_of_the_dumps_and_files_of_the_earlier_one(layout):
    act(layout, "partial", ONE)
    bring(layout)
    act(layout, "failed", ONE)
    act(layout, "partial", ONE)
    assert os.listdir(layout.partial(ONE)) == []


@pytest.mark.parametrize("ended", [(), ("dumps",), ("dumps", "files")])
def test_a_set_is_never_sealed_before_every_stage_has_ended(layout, ended):
    act(layout, "partial", ONE)
    bring(layout, stages=ended)
    assert failing(layout, "sealed", ONE).code == "order" and sets.sealed_ids(layout) == []


@pytest.mark.parametrize("databases, code", [
    (None, "set-damaged"), ([], "dump-missing"), (["x"], "set-damaged"), ([{}], "set-damaged"),
    ([dict(MANIFEST["databases"][0], sha256="0" * 64)], "dump-missing"),
    ([dict(MANIFEST["databases"][0], file="other.sql.gz")], "dump-missing"), ([dict(MANIFEST["databases"][0], file="../x")], "set-damaged"),
])
def test_a_set_is_never_sealed_with_other_dumps_than_those_that_arrived(layout, databases, code):
    act(layout, "partial", ONE)
    bring(layout)
    assert failing(layout, "sealed", ONE, manifest={"databases": databases}).code == code and sets.sealed_ids(layout) == []


def test_a_dump_that_is_gone_again_is_missing(layout):
    act(layout, "partial", ONE)
    bring(layout)
    os.unlink(os.path.join(layout.partial(ONE), "databases", "seafile-db.sql.gz"))
    assert failing(layout, "sealed", ONE).code == "dump-missing"


def test_a_manifest_of_odd_values_seals_or_fails_and_never_leaves_the_lock(layout):
    act(layout, "partial", ONE)
    bring(layout)
    assert act(layout, "sealed", ONE, manifest=dict(MANIFEST, seafile="x", engine=["y"]))["changed"] is True
    assert run_record.Run(layout).read()["state"] == "ended"


def test_a_guide_that_cannot_be_written_does_not_keep_the_lock(layout):
    act(layout, "partial", ONE)
    bring(layout)
    os.mkdir(layout.guide)
    with pytest.raises(OSError):
        act(layout, "sealed", ONE)
    assert sets.check_sums(layout.sealed(ONE)) == [] and run_record.Run(layout).read()["state"] == "ended"


def test_killed_between_sealing_and_freeing_the_lock_the_next_run_begins(layout):
    sealed(layout)
    path = os.path.join(layout.state, "run.json")
    record = dict(json.load(open(path, encoding="ascii")), state="running")
    with open(path, "w", encoding="ascii") as stream:
        json.dump(record, stream)
    assert act(layout, "partial", TWO, controller=OTHER)["set_state"] == "partial"


def test_a_failed_run_is_noted_frees_the_lock_and_is_noted_once(layout):
    act(layout, "partial", ONE)
    first = act(layout, "failed", ONE, reason="the disk is full")
    assert (first["changed"], first["set_state"]) == (True, "partial")
    assert sets.catalogue(layout)[0]["reasons"] == ["the disk is full"]
    assert act(layout, "failed", ONE, reason="the disk is full")["changed"] is False
    act(layout, "partial", TWO, controller=OTHER)
    assert act(layout, "failed", ONE, reason="another")["changed"] is True
    assert run_record.Run(layout).read()["state"] == "running"  # the other run's lock is its own


def test_a_set_that_is_not_there_cannot_fail(layout):
    result = act(layout, "failed", ONE)
    assert (result["changed"], result["set_state"]) == (False, "absent") and not os.path.exists(layout.root)
    sealed(layout)
    assert act(layout, "failed", ONE)["set_state"] == "sealed"


@pytest.mark.parametrize("set_id", ["nonsense", "../x", "20201399T000000Z", "20990101T000000Z", "20201123T025959Z", "20201123T030000Z\n"])
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_set_id_that_is_no_time_or_out_of_order_is_refused(layout, set_id, check_mode):
    sealed(layout)
    assert failing(layout, "partial", set_id, check_mode=check_mode).code == "set-id-invalid"


def test_without_a_set_id_it_is_the_time_of_now(layout):
    sealed(layout)
    result = act(layout, "partial")
    assert result["set_id"] > ONE and abs((set_time(result["set_id"]) - clock.utc_now()).total_seconds()) < 60


def inform(layout, **params):
    given = dict({"backup_root": os.path.dirname(layout.root), "server": "server1", "set_id": None, "choose": False, "checksums": False}, **params)
    return backup_set_info.inform(types.SimpleNamespace(params=given))


def info_failing(layout, **params):
    with pytest.raises(SeafileError) as caught:
        inform(layout, **params)
    return caught.value


def test_the_newest_sealed_set_is_chosen_and_a_partial_one_never(layout):
    for set_id in (ONE, TWO):
        sealed(layout, set_id)
    act(layout, "partial", "20201125T030000Z")
    found = inform(layout, choose=True, checksums=True)
    assert found["set"]["set_id"] == TWO and found["manifest"]["server"] == "server1"
    assert found["paths"]["seafile_dump"] == os.path.join(layout.sealed(TWO), "databases", "seafile-db.sql.gz")
    assert [row["state"] for row in found["servers"]["server1"]] == ["partial", "sealed", "sealed"]
    error = info_failing(layout, set_id="20201125T030000Z")
    assert error.code == "no-set" and "the set is partial: its run has not ended well" in error.message
    assert info_failing(layout, set_id="no such").code == "no-set"


def test_a_damaged_set_is_never_returned_and_an_older_one_never_taken_in_silence(layout):
    for set_id in (ONE, TWO):
        sealed(layout, set_id)
    os.unlink(os.path.join(layout.sealed(TWO), sets.MANIFEST))
    error = info_failing(layout, set_id=TWO)
    assert error.code == "set-damaged" and "the manifest is missing" in error.message and error.details["newest_whole"] == ONE
    assert inform(layout, set_id=ONE)["set"]["set_id"] == ONE
    found = inform(layout, choose=True)
    assert found["set"]["set_id"] == ONE and [(row["set_id"], row["state"]) for row in found["passed_over"]] == [(TWO, "damaged")]
    assert "the manifest is missing" in found["passed_over"][0]["reasons"][0]
    os.unlink(os.path.join(layout.sealed(ONE), sets.MANIFEST))
    error = info_failing(layout, choose=True)
    assert error.code == "set-damaged" and error.what == layout.sealed(TWO) and error.details["newest_whole"] is None


def test_a_changed_set_is_found_by_its_checksums_and_the_newest_whole_one_named(layout):
    for set_id in (ONE, TWO):
        sealed(layout, set_id)
    with open(os.path.join(layout.sealed(TWO), "databases", "seafile-db.sql.gz"), "ab") as stream:
        stream.write(b"x")
    assert inform(layout, choose=True)["set"]["set_id"] == TWO
    error = info_failing(layout, choose=True, checksums=True)
    assert error.code == "set-damaged" and error.details == {"wrong": ["databases/seafile-db.sql.gz was changed after sealing"], "newest_whole": ONE}
    assert f"restore the set {ONE}" in error.next_step


def test_all_servers_are_listed_and_what_is_no_server_is_not(layout):
    sealed(layout)
    root = os.path.dirname(layout.root)
    os.makedirs(os.path.join(root, "server2", "sets"))
    for name in ("lost+found", ".hidden/sets", "bad\x1b[31m/sets"):
        os.makedirs(os.path.join(root, name))
    assert {name: len(rows) for name, rows in inform(layout, server=None)["servers"].items()} == {"server1": 1, "server2": 0}
    assert inform(layout, server=None, backup_root=root + "/nowhere")["servers"] == {}
    assert info_failing(layout, server="server2", choose=True).code == "no-set"


def test_a_set_that_has_pulled_nothing_gets_the_time_of_now(layout):
    act(layout, "partial", ONE)
    renewed = act(layout, "partial", ONE, renew=True)
    assert renewed["set_id"] > TWO and os.listdir(layout.sets) == [f".{renewed['set_id']}.partial"]
    bring(layout, renewed["set_id"])
    assert act(layout, "sealed", renewed["set_id"])["set_state"] == "sealed"


@pytest.mark.parametrize("stage", run_record.STAGES)
def test_a_set_for_which_something_was_pulled_keeps_its_id(layout, stage):
    act(layout, "partial", ONE)
    bring(layout, ONE, [stage])
    before = tree(layout.root)
    assert failing(layout, "partial", ONE, renew=True).code == "order"
    assert [name for name, dummy in tree(layout.root)] == [name for name, dummy in before]
    assert os.path.isdir(layout.partial(ONE))


def test_only_the_run_that_holds_the_lock_can_renew_its_set(layout):
    act(layout, "partial", ONE)
    assert failing(layout, "partial", TWO, renew=True).code == "run-lost"


def test_in_check_mode_a_set_keeps_its_id(layout):
    act(layout, "partial", ONE)
    before = tree(layout.root)
    assert act(layout, "partial", ONE, check_mode=True, renew=True)["set_id"] == ONE
    assert tree(layout.root) == before


def test_a_set_whose_files_may_not_be_on_the_disk_is_not_sealed(layout, monkeypatch, tmp_path):
    act(layout, "partial", ONE)
    bring(layout)
    program = tmp_path / "programs" / "sync"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'Input/output error' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    with pytest.raises(OSError, match="sync -f failed .Input/output error"):
        act(layout, "sealed", ONE)
    assert sets.sealed_ids(layout) == [] and os.path.isdir(layout.partial(ONE))
