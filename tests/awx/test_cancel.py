# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that are cancelled, as AWX cancels them: nothing goes on, nothing stays locked, and the next job does its work."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import types
import typing as t

import pytest

import ee
import testhosts
from fleet import BACKUPS
from jobs import Controller, Job

KIB_A_SECOND = 300
"""So slow that the big file would take minutes."""
PATIENCE = 180.0
"""Seconds that a loaded machine may take to see that nobody waits for a module; on an idle one it takes about five."""

# What a run looks like while it is to be cancelled. The brackets keep pgrep from finding the shell that runs it.
PULLING = f"pgrep -f '/ {BACKUPS}/pulling/[s]ets/'"
DUMPING = "find /opt/dumping/.seafleet -name '*seafile.db.sql.*' | grep ."
LOCKER = "import sqlite3, time; sqlite3.connect('/opt/dumping/seahub.db').execute('BEGIN EXCLUSIVE'); time.sleep(900)"

# ansible-runner with what it is given on standard input; told to end (SIGTERM) it cancels its job.
RUN = "import json, sys, ansible_runner.interface as runner; print(runner.run(**json.loads(sys.stdin.readline())).status)"

# Every process that a job could have left on a host: what modules run in, and what they start.
LEFT = "pgrep -a -x 'rsync|python3.*|mariadb-dump|mysqldump|sqlite3|zstd|gzip' | grep -v time.sleep"


class OnANode:
    """A job that ansible-runner itself starts in a container, as on an execution node, and cancels when it is told to end."""

    def __init__(self, controller: Controller, **options: t.Any) -> None:
        private, arguments = controller.private_data(**options)
        label = f"{testhosts.LABEL}={controller.fleet.group.directory.resolve()}"
        isolation = {"process_isolation": True, "process_isolation_executable": "podman", "container_image": ee.build(),
                     "container_options": ["--user=root", f"--network={testhosts.NETWORK}", "--pull=never", f"--label={label}"]}
        self.process = subprocess.Popen([sys.executable, "-c", RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=testhosts.podman_environment())
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"private_data_dir": str(private), "quiet": True, **isolation, **arguments}) + "\n")
        self.process.stdin.flush()

    def is_running(self) -> bool:
        """Say whether it is at work."""
        return self.process.poll() is None

    def cancel(self) -> str:
        """Tell it to end, wait for that, and return the job's status."""
        self.process.terminate()
        return self.process.communicate(timeout=300)[0].strip()


def wait_for(condition: t.Callable[[], t.Any], running: t.Callable[[], bool]) -> None:
    """Wait until I(condition) holds; fail when what is to bring that about has ended."""
    end = time.monotonic() + 600
    while not condition():
        assert running() and time.monotonic() < end, "the job has ended, or is not there yet"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def cancelled(controller: Controller, prepared: Job) -> types.SimpleNamespace:
    """A job that is killed with its container while it pulls, as a pod is; one that the runner cancels while it dumps. Then the wait."""
    assert prepared.status == "successful", prepared.plain
    fleet = controller.fleet
    fleet.run("server1", f'systemd-run --unit=locker python3 -c "{LOCKER}"')
    slow = {"backup_bandwidth_limit": KIB_A_SECOND, "backup_warm_up": False}
    with controller.launch("backup.yml", limit="pulling", extra_vars=slow) as work:
        node = OnANode(controller, playbook="backup.yml", limit="dumping", extra_vars={"backup_busy_timeout": 600, "backup_warm_up": False})
        wait_for(lambda: fleet.group["backup1"].run(PULLING).rc == 0, lambda: work.process.poll() is None)
        testhosts.podman("kill", work.container)
    wait_for(lambda: fleet.group["server1"].run(DUMPING).rc == 0, node.is_running)
    status = node.cancel()
    began = time.monotonic()
    left = {"server1": "?", "backup1": "?"}
    while any(left.values()) and time.monotonic() < began + PATIENCE:
        left = {host: fleet.run(host, LEFT, check=False) for host in left}
        time.sleep(1)
    seconds = time.monotonic() - began
    fleet.run("server1", "systemctl stop locker")
    print(f"nothing was left after {seconds:.0f} s")
    return types.SimpleNamespace(status=status, left=left)


@pytest.fixture(scope="module")
def next_jobs(controller: Controller, cancelled: types.SimpleNamespace) -> list[Job]:
    """The next job of each server, with nothing done in between."""
    with controller.launch("backup.yml", limit="pulling") as one, controller.launch("backup.yml", limit="dumping") as two:
        return [one.wait(), two.wait()]


def test_the_runner_says_that_it_was_cancelled(cancelled):
    assert cancelled.status == "canceled"


@pytest.mark.parametrize("host", ["server1", "backup1"])
def test_nothing_of_a_cancelled_job_goes_on(cancelled, host):
    assert cancelled.left[host] == ""


def test_the_next_job_goes_on_from_there(controller, next_jobs):
    for job in next_jobs:
        assert job.status == "successful", job.plain
    for server in ("pulling", "dumping"):
        assert len(controller.fleet.sets(server)) == 1


def test_no_dump_stays_on_the_server_after_it(controller, next_jobs):
    found = "find /opt/pulling/.seafleet /opt/dumping/.seafleet -name '*.sql.*'"
    assert controller.fleet.run("server1", found, check=False) == ""
