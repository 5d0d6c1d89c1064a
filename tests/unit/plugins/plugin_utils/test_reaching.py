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
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
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


@pytest.fixture
def ssh(tmp_path):
    """Ansible's own connection, through a program in place of ssh that closes its input, says something, and ends a moment later."""
    def connection(answer):
        program = tmp_path / "ssh"
        program.write_text(f"#!/bin/sh\nexec 0<&-\nsleep 0.3\n{answer}\n", encoding="ascii")
        program.chmod(0o755)
        made = connection_loader.get("ssh", PlayContext())
        made.set_options(direct={"host": "10.0.0.1", "ssh_executable": str(program), "control_path_dir": str(tmp_path)})
        return made
    return connection


class Sending(Play):
    """The plugin whose module is sent through a connection, more of it than a pipe holds."""

    def __init__(self, connection):
        super().__init__(None)
        self._connection = connection
        connection.has_native_async = False

    def _execute_module(self, **how):
        return self._connection.exec_command("python3", in_data=b"#" * 1_000_000, sudoable=False)


def test_what_ssh_said_is_told_also_where_it_ended_before_it_had_the_module(ssh):
    answer = Sending(ssh("echo 'ssh: connect to host 10.0.0.1 port 22: Connection refused' >&2; exit 255")).run(task_vars={"inventory_hostname": "server1"})
    assert answer["code"] == "unreachable"
    assert answer["msg"].startswith("server1: it cannot be reached: ssh: connect to host 10.0.0.1 port 22: Connection refused. Next: ")


def test_a_host_that_is_back_a_moment_later_was_unreachable_all_the_same(ssh):
    answer = Sending(ssh("exit 0")).run(task_vars={"inventory_hostname": "server1"})
    assert answer["code"] == "unreachable" and "Broken pipe" in answer["msg"]


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
