# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.action import backup_set


@pytest.fixture
def other():
    """Another process of this machine, alive."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def holder(pid, **changes):
    return dict({"host": backup_set._boot(), "pid": pid, "started": backup_set._started(pid)}, **changes)


def test_the_controller_is_the_play_and_not_the_worker_that_runs_one_task():
    assert backup_set.controller() == holder(os.getppid())


def test_a_living_process_is_not_dead(other):
    assert backup_set.is_dead(holder(other.pid)) is False


def test_an_ended_process_is_dead(other):
    known = holder(other.pid)
    other.kill()
    other.wait()
    assert backup_set.is_dead(known) is True


def test_a_process_that_got_the_number_of_a_dead_one_is_another(other):
    assert backup_set.is_dead(holder(other.pid, started="1")) is True


@pytest.mark.parametrize("changes", [
    {"host": "elsewhere|boot|pid:[1]"}, {"host": None}, {"pid": None}, {"pid": "1"}, {"pid": -1}, {"pid": 0}, {"started": None}, {"started": 5},
])
def test_what_cannot_be_known_is_not_dead(other, changes):
    known = holder(other.pid)
    other.kill()
    other.wait()
    assert backup_set.is_dead(dict(known, **changes)) is False


def test_a_record_without_a_controller_is_not_dead():
    assert backup_set.is_dead({}) is False


def test_where_the_boot_cannot_be_named_nothing_is_known(other, monkeypatch):
    monkeypatch.setattr(backup_set, "_boot", lambda: "localhost")
    known = holder(other.pid)
    other.kill()
    other.wait()
    assert backup_set.is_dead(known) is False


def test_a_process_that_proc_does_not_show_is_not_dead(other, monkeypatch):
    known = holder(other.pid)
    monkeypatch.setattr(backup_set, "_started", lambda pid: None)
    assert backup_set.is_dead(known) is False


class Play(backup_set.ActionModule):
    """The plugin with a record of what it gives to the module; only the way to the host is not the real one."""

    def __init__(self, arguments, answers):
        self._task = types.SimpleNamespace(args=arguments, async_val=0, check_mode=False, delegate_to=None)
        self._connection = types.SimpleNamespace(has_native_async=False, _shell=types.SimpleNamespace(tmpdir="/tmp"))
        self.answers, self.given = answers, []

    def _execute_module(self, module_args=None, **_how):
        self.given.append(dict(module_args))
        return self.answers.pop(0)


def test_the_lock_of_a_dead_run_is_taken_over_in_a_second_try(other):
    known = holder(other.pid)
    other.kill()
    other.wait()
    active = {"failed": True, "code": "run-active", "holder": {"set_id": "20261123T030000Z", "controller": known}}
    play = Play({"state": "partial", "server": "server1"}, [active, {"changed": True}])
    assert play.run()["changed"] is True
    assert [arguments.get("dead_run") for arguments in play.given] == [None, "20261123T030000Z"]
    assert all(arguments["controller"] == backup_set.controller() for arguments in play.given)


@pytest.mark.parametrize("answer", [
    {"failed": True, "code": "run-active", "holder": {"set_id": "x", "controller": {"host": "elsewhere|b|p", "pid": 1, "started": "1"}}},
    {"failed": True, "code": "run-active", "holder": {}}, {"failed": True, "code": "run-active"}, {"failed": True, "code": "no-space"}, {"changed": False},
])
def test_anything_else_is_tried_once(answer):
    play = Play({"state": "partial"}, [answer])
    assert {key: value for key, value in play.run().items() if key in answer} == answer and len(play.given) == 1


def test_sealing_and_failing_are_passed_on_as_they_are():
    for state in ("sealed", "failed"):
        play = Play({"state": state, "set_id": "x"}, [{"changed": True}])
        play.run()
        assert play.given == [{"state": state, "set_id": "x"}]
