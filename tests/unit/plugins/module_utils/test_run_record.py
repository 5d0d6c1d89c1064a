# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json
import multiprocessing
import os

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import clock, run_record
from ansible_collections.seafleet.seafile.plugins.module_utils.audience import Abandoned
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout

ONE, TWO = "20261123T030000Z", "20261123T040000Z"
NOW = datetime.datetime(2026, 11, 23, 3, 0, 0, tzinfo=datetime.timezone.utc)
PLAY = {"host": "controller1|boot|pid:[1]", "pid": 100, "started": "5000"}
OTHER = {"host": "controller2|boot|pid:[1]", "pid": 100, "started": "5000"}
LEASE = 3600


@pytest.fixture
def layout(tmp_path):
    return ServerLayout(str(tmp_path), "server1")


def record(**changes):
    found = {"set_id": ONE, "state": "running", "began": "2026-11-23T02:00:00Z", "renewed": "2026-11-23T02:59:00Z", "controller": PLAY, "stages": {}}
    return dict(found, **changes)


@pytest.mark.parametrize("found, controller, dead_run, stopped", [
    ({}, OTHER, None, False),
    (record(), OTHER, None, True),
    (record(), dict(PLAY, pid=101), None, True),
    (record(), dict(PLAY, started="5001"), None, True),  # the number was given to another process
    (record(), {}, None, True),
    (record(controller={}), {}, None, True),
    (record(), PLAY, None, False),  # the same play tries again
    (record(), OTHER, ONE, False),  # its controller is known to be dead
    (record(), OTHER, TWO, True),  # another one is
    (record(state="ended"), OTHER, None, False),
    (record(state="failed"), OTHER, None, False),
    (record(renewed="2026-11-23T02:00:01Z"), OTHER, None, True),  # just within the lease
    (record(renewed="2026-11-23T01:59:59Z"), OTHER, None, False),  # just past it
    (record(renewed="2026-11-23T03:30:00Z"), OTHER, None, True),  # a clock a little ahead
    (record(renewed="2026-11-24T03:00:00Z"), OTHER, None, False),  # a clock set back must not block for ever
    (record(renewed="nonsense"), OTHER, None, False),
    (record(renewed=5), OTHER, None, False),
])
def test_a_run_is_refused_while_another_one_may_be_alive(layout, found, controller, dead_run, stopped):
    error = run_record.refusal(layout, found, controller, NOW, LEASE, dead_run)
    assert (error is not None) == stopped
    if error:
        assert error.code == "run-active" and error.details["holder"] == found
        assert f"the run of set {ONE} is at work since 2026-11-23T02:00:00Z" in error.message


def test_the_refusal_names_process_and_host_of_the_other_run(layout):
    error = run_record.refusal(layout, record(), OTHER, NOW, LEASE, None)
    assert "started by process 100 on controller1 (its last sign of life is 60 s old)" in error.message and "boot" not in error.message


def test_a_run_killed_between_sealing_and_freeing_the_lock_holds_nobody_up(layout):
    os.makedirs(layout.sealed(ONE))
    assert run_record.refusal(layout, record(), OTHER, NOW, LEASE, None) is None


def begun(layout, set_id=ONE, controller=None, dead_run=None):
    with run_record.begin(layout, set_id, PLAY if controller is None else controller, LEASE, dead_run) as run:
        return run


def test_a_second_run_is_refused_and_a_dead_one_taken_over(layout):
    begun(layout)
    with pytest.raises(SeafileError) as caught:
        begun(layout, TWO, OTHER)
    assert caught.value.code == "run-active" and caught.value.details["holder"]["set_id"] == ONE
    begun(layout, TWO, OTHER, dead_run=ONE)
    with pytest.raises(SeafileError, match=f"the record names {TWO}") as caught:
        with run_record.joined(layout, ONE):
            pass
    assert caught.value.code == "run-lost"


def test_a_beginning_that_fails_frees_the_lock(layout):
    with pytest.raises(ValueError):
        with run_record.begin(layout, ONE, PLAY, LEASE, None):
            raise ValueError("the disk is full")
    assert run_record.Run(layout).read()["state"] == "failed"
    begun(layout, TWO, OTHER)


def test_a_beginning_that_nobody_waits_for_frees_the_lock(layout):
    with pytest.raises(Abandoned):
        with run_record.begin(layout, ONE, PLAY, LEASE, None):
            raise Abandoned
    assert run_record.Run(layout).read()["reason"] == "the controller was gone"
    begun(layout, TWO, OTHER)


def test_a_freed_lock_is_free_and_tells_the_reason(layout):
    begun(layout)
    with run_record.joined(layout, ONE) as run:
        run_record.release(run, "the disk is full")
    found = run_record.Run(layout).read()
    assert (found["state"], found["reason"]) == ("failed", "the disk is full")
    begun(layout, TWO, OTHER)


def test_a_stage_that_nobody_waits_for_frees_the_lock_and_another_failure_does_not(layout):
    begun(layout)
    with pytest.raises(SeafileError), run_record.joined(layout, ONE):
        raise SeafileError("connection-lost", "server1", "cut")
    assert run_record.Run(layout).read()["state"] == "running"  # its controller frees it, which knows more
    with pytest.raises(Abandoned), run_record.joined(layout, ONE):
        raise Abandoned
    assert run_record.Run(layout).read()["state"] == "failed"


def test_joining_where_no_run_has_begun_makes_nothing(layout):
    with pytest.raises(SeafileError) as caught:
        with run_record.joined(layout, ONE):
            pass
    assert caught.value.code == "run-lost" and not os.path.exists(layout.root)


def hold(root, ready, done):
    with run_record.joined(ServerLayout(root, "server1"), ONE):
        ready.set()
        done.wait(30)


def test_while_a_process_writes_nobody_else_does_whatever_the_record_says(layout, tmp_path):
    begun(layout)
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=hold, args=(str(tmp_path), ready, done))
    process.start()
    try:
        assert ready.wait(30)
        for action in (lambda: begun(layout, TWO, PLAY, dead_run=ONE), lambda: run_record.joined(layout, ONE).__enter__()):
            with pytest.raises(SeafileError, match=f"process {process.pid}, or an rsync of its, is writing now") as caught:
                action()
            assert caught.value.code == "run-active"
    finally:
        process.kill()
        process.join()
    with run_record.joined(layout, ONE) as run:  # the lock of a dead process is free by itself
        assert len(run.held) == 1


def test_databases_come_first_always(layout):
    begun(layout)
    with run_record.joined(layout, ONE) as run:
        run.require_before("dumps")
        for stage in ("files", "objects"):
            with pytest.raises(SeafileError, match=f"{stage} may not be pulled before dumps have arrived") as caught:
                run.require_before(stage)
            assert caught.value.code == "order"
        run.finish("dumps", NOW, {"listed": 3})
        run.require_before("files")
        with pytest.raises(SeafileError, match="objects may not be pulled before files have arrived"):
            run.require_before("objects")
        run.finish("files", NOW, {})
        run.require_before("objects")
    stages = run_record.Run(layout).read()["stages"]
    assert stages["dumps"]["began"] == "2026-11-23T03:00:00Z" and stages["dumps"]["listed"] == 3 and stages["dumps"]["ended"] >= stages["dumps"]["began"]


def test_verified_is_what_has_arrived_and_nothing_that_comes_later(layout):
    begun(layout)
    with run_record.joined(layout, ONE) as run:
        for stage in run_record.STAGES:
            with pytest.raises(SeafileError, match=f"the set may not be verified before {stage} have arrived") as caught:
                run.require_before("verify")
            assert caught.value.code == "order"
            run.finish(stage, NOW, {})
        run.require_before("verify")
        run.finish("verify", NOW, {"record": {"state": "verified"}})
        assert run.stage("verify")["record"] == {"state": "verified"}
        run.finish("objects", NOW, {})
        assert run.stage("verify") == {}


def test_a_new_attempt_begins_with_no_stage_ended(layout):
    begun(layout)
    with run_record.joined(layout, ONE) as run:
        run.finish("dumps", NOW, {})
    begun(layout)
    assert run_record.Run(layout).read()["stages"] == {}


@pytest.mark.parametrize("text", [
    "", "{", "[]", "{}", '{"set_id": 5}',
    '{"set_id": "x", "controller": []}', '{"set_id": "x", "stages": {"dumps": 1}}', '{"set_id": "x", "stages": null}', "\xff",
])
def test_a_damaged_record_is_none(layout, text):
    os.makedirs(layout.state)
    with open(os.path.join(layout.state, "run.json"), "w", encoding="latin-1") as stream:
        stream.write(text)
    assert run_record.Run(layout).read() == {}
    begun(layout)


def test_the_record_is_private_and_readable(layout):
    begun(layout)
    path = os.path.join(layout.state, "run.json")
    assert os.stat(path).st_mode & 0o777 == 0o600 and json.load(open(path, encoding="ascii"))["controller"] == PLAY


def test_times_come_back_as_they_were():
    assert clock.as_time(clock.as_text(NOW)) == NOW
