# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import types

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.seafleet.seafile.plugins.plugin_utils import reaching_action


class Play(reaching_action.ReachingActionBase):
    """The plugin with a connection that fails; only the way to the host is not the real one."""

    MODULE = "seafleet.seafile.gc_guard"

    def __init__(self, error, delegate_to=None):
        self._task = types.SimpleNamespace(args={"state": "checked"}, async_val=0, check_mode=False, delegate_to=delegate_to)
        self._connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp"), has_native_async=False)
        self.error = error

    def _execute_module(self, **how):
        if self.error:
            raise self.error
        return {"changed": False, "answer": how["module_args"]}


@pytest.mark.parametrize(("delegate_to", "host"), [(None, "server1"), ("backup1", "backup1")])
def test_a_host_that_cannot_be_reached_is_a_failure_that_a_rescue_sees_and_is_named(delegate_to, host):
    said = "Failed to connect to the host via ssh: ssh: connect to host 10.0.0.1 port 22: Connection refused\r\n"
    answer = Play(AnsibleConnectionFailure(said), delegate_to).run(task_vars={"inventory_hostname": "server1"})
    assert (answer["failed"], answer["code"], answer["host"]) == (True, "unreachable", host)
    assert "unreachable" not in answer
    assert answer["msg"].startswith(f"{host}: it cannot be reached: ssh: connect to host 10.0.0.1 port 22: Connection refused. Next: ")


def test_a_host_that_answers_is_left_as_it_is():
    assert Play(None).run(task_vars={})["answer"] == {"state": "checked"}


def test_escapes_in_what_ssh_says_are_not_printed():
    assert "\x1b" not in reaching_action.unreachable("h", "\x1b[31mred")["msg"]


ORPHAN = """
import os, subprocess, sys, time
from ansible_collections.seafleet.seafile.plugins.plugin_utils import reaching_action
reaching_action._LOOK_EVERY = 0.05
if os.fork() == 0:
    child = subprocess.Popen(["sleep", "600"])
    print(os.getpid(), child.pid, flush=True)
    with reaching_action.ended_with_the_play():
        time.sleep(600)
os.wait()
"""


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_worker_whose_play_was_killed_ends_with_its_ssh():
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))) as play:
        worker, ssh = map(int, play.stdout.readline().split())
        assert alive(worker) and alive(ssh)
        os.kill(play.pid, signal.SIGKILL)
        play.wait()
        deadline = time.monotonic() + 60
        while (alive(worker) or alive(ssh)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not alive(worker) and not alive(ssh)
