# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed, and runs that meet: one server for each stage, all held there at once, and then killed."""

from __future__ import annotations

import time
import types
import typing as t

import pytest

from fleet import BACKUPS, Fleet

# What a run looks like on its host when it is in the stage that the server is named after. The brackets keep pgrep from
# finding the shell that runs it.
IN_STAGE = {
    "dump": ("server1", "find /opt/dump/.seafleet -name '*seafile.db.sql.*' | grep ."),
    "dumps": ("backup1", f"pgrep -f '/opt/dumps/.seafleet/.* {BACKUPS}/dumps/[s]ets/'"),
    "files": ("backup1", f"pgrep -f '/opt/files/ {BACKUPS}/files/[s]ets/'"),
    "objects": ("backup1", f"pgrep -f ' {BACKUPS}/objects/[o]bjects/'"),
    "seal": ("backup1", f"pgrep -f 'sync -f {BACKUPS}/[s]eal'"),
    "first": ("backup1", f"pgrep -f 'sync -f {BACKUPS}/[f]irst'"),
}
KILLED = [name for name in IN_STAGE if name != "first"]
ORPHAN, TERMINATED = "objects", "files"
"""Of these ansible-playbook alone is ended, by SIGKILL and SIGTERM: its worker, the ssh, the module and its rsync processes are left to themselves."""
KIB_A_SECOND = {"dumps": 1, "files": 200, "objects": 200}

# The flush before a set gets its name waits as long as the test likes.
HELD_SYNC = """#!/bin/sh
while [ -e "/root/held/$(basename "$2")" ]; do sleep 0.1; done
exec /bin/sync "$@"
"""


@pytest.fixture(scope="module")
def fleet(shared_hosts: t.Callable[..., t.Any]) -> Fleet:
    """A server for each stage, each with what keeps its run in that stage."""
    fleet = Fleet(shared_hosts("server1", "backup1"))
    access = fleet.own_access(*IN_STAGE)
    for name in IN_STAGE:
        fleet.add(name, machine="server1", root=f"/opt/{name}", **access)
    fleet.deploy("dump")
    for name in IN_STAGE:
        if name != "dump":
            fleet.clone(name, "dump")
    fleet.run("server1", "sqlite3 /opt/dumps/seahub.db \"CREATE TABLE slow AS SELECT hex(randomblob(300000)) AS noise\"")
    fleet.run("server1", "head -c 20000000 /dev/urandom > /opt/files/seahub-data/custom/big")
    fleet.run("server1", "systemd-run --unit=locker python3 -c \"import sqlite3, time; "
              "sqlite3.connect('/opt/dump/seahub.db').execute('BEGIN EXCLUSIVE'); time.sleep(600)\"")
    fleet.run("backup1", "mkdir /root/held && touch /root/held/seal /root/held/first && "
              f"printf '%s' '{HELD_SYNC}' > /usr/local/bin/sync && chmod 755 /usr/local/bin/sync")
    return fleet


def ends_by_itself(fleet: Fleet, name: str) -> str:
    """Wait until nothing of the run is at work whose controller has gone; return its record, or what is still there after minutes."""
    end = time.monotonic() + 180
    while True:
        processes = fleet.run("backup1", f"pgrep -af ' {BACKUPS}/{name}/[a-z]*/'", check=False)
        record = fleet.run("backup1", f"cat {BACKUPS}/{name}/state/run.json")
        if (not processes and '"running"' not in record) or time.monotonic() > end:
            return record + processes
        time.sleep(0.5)


@pytest.fixture(scope="module")
def killed(fleet: Fleet) -> types.SimpleNamespace:
    """One run in each stage; a second run beside the one called first; all others killed, on the controller and on the hosts."""
    # a warm-up would pull the objects before the stage in which each run is to be held
    runs = {name: fleet.start("backup", name, backup_busy_timeout=300, backup_warm_up=False, backup_bandwidth_limit=KIB_A_SECOND.get(name, 0))
            for name in IN_STAGE}
    try:
        for name, (machine, sign) in IN_STAGE.items():
            runs[name].wait_until(lambda machine=machine, sign=sign: fleet.group[machine].run(sign).rc == 0)
        # its module is held, so that it still has the lock when the next run comes
        orphan_pid = fleet.run("backup1", f"cat {BACKUPS}/{ORPHAN}/state/lock").strip()
        fleet.run("backup1", f"kill -STOP {orphan_pid}")
        runs[ORPHAN].process.kill()
        runs[TERMINATED].process.terminate()
        for name in KILLED:
            if name not in (ORPHAN, TERMINATED):
                runs[name].kill()
                fleet.run("backup1", f"kill -9 $(cat {BACKUPS}/{name}/state/lock)", check=False)
        fleet.run("server1", "pkill -9 -x python3; systemctl reset-failed locker", check=False)
        orphan = fleet.playbook("backup", ORPHAN)
        fleet.run("backup1", f"kill -CONT {orphan_pid}")
        left = {name: ends_by_itself(fleet, name) for name in (ORPHAN, TERMINATED)}
        fleet.run("backup1", "pkill -9 -x rsync", check=False)
        fleet.run("server1", "pkill -9 -x rsync", check=False)
        fleet.run("backup1", "rm /root/held/seal")
        partial = {name: fleet.sets(name, partial=True) for name in KILLED}
        sealed = {name: fleet.sets(name) for name in KILLED}

        second = fleet.start("backup", "first")
        second.wait_until(lambda: "begin the set" in second.output)
        began = time.monotonic()
        second_code = second.wait()
        seconds = time.monotonic() - began
        holder = fleet.run("backup1", f"cat {BACKUPS}/first/state/lock")
        fleet.run("backup1", "rm /root/held/first")
        first_code = runs["first"].wait()
        return types.SimpleNamespace(
            partial=partial, sealed=sealed, orphan=orphan, orphan_pid=orphan_pid, left=left, second_code=second_code,
            second_output=second.output, seconds=seconds, holder=holder,
            first_code=first_code, first_pid=runs["first"].process.pid, first_output=runs["first"].output)
    finally:
        for run in runs.values():
            run.kill()


@pytest.fixture(scope="module")
def healed(fleet: Fleet, killed: types.SimpleNamespace) -> types.SimpleNamespace:
    """What a restore says of the killed runs, and the next backup, with nothing done in between."""
    refused = fleet.playbook("restore", *KILLED)
    result = fleet.playbook("backup", *KILLED)
    return types.SimpleNamespace(refused=refused, result=result)


@pytest.mark.parametrize("stage", KILLED)
def test_a_run_killed_in_any_stage_leaves_its_set_partial(killed, stage):
    assert len(killed.partial[stage]) == 1 and killed.sealed[stage] == []


def test_a_second_run_ends_at_once_naming_the_first(fleet, killed):
    """The first one is held until the second has ended: a second one that waited would end never."""
    assert killed.second_code == 2
    # an idle machine takes 2; the tests of several steps at once on two cores more than 5 now and then
    assert killed.seconds < 30
    assert f"the run of set {fleet.sets('first')[0]} is at work since" in killed.second_output
    assert f"started by process {killed.first_pid} on" in killed.second_output
    assert f"(process {killed.holder}" in killed.second_output
    assert "Traceback" not in killed.second_output


def test_a_run_whose_controller_died_keeps_its_lock_while_its_process_is_writing(killed):
    assert killed.orphan.code == 2
    assert "is at work since" in killed.orphan.output and f"(process {killed.orphan_pid}," in killed.orphan.output


@pytest.mark.parametrize("stage", [ORPHAN, TERMINATED])
def test_what_a_controller_that_was_ended_has_left_ends_by_itself_and_frees_the_lock(killed, stage):
    assert '"state": "failed"' in killed.left[stage] and "the controller was gone" in killed.left[stage] and "rsync" not in killed.left[stage]


def test_the_first_run_is_not_disturbed_by_the_second(fleet, killed):
    assert killed.first_code == 0, killed.first_output
    assert len(fleet.sets("first")) == 1 and fleet.sets("first", partial=True) == []


@pytest.mark.parametrize("stage", KILLED)
def test_the_set_of_a_killed_run_is_not_offered_for_restore(healed, stage):
    assert healed.refused.recap[stage]["failed"] == 1
    assert f"{stage}: {BACKUPS}/{stage}: there is no sealed set. Next: make a backup first" in healed.refused.output


@pytest.mark.parametrize("stage", KILLED)
def test_the_next_run_heals_without_cleaning_by_hand(fleet, killed, healed, stage):
    assert healed.result.recap[stage]["failed"] == 0, healed.result.output
    assert healed.result.recap[stage]["unreachable"] == 0
    newest, = fleet.sets(stage)
    assert newest > killed.partial[stage][0]


def test_no_dump_is_left_on_the_server_after_the_next_run(fleet, healed):
    assert fleet.run("server1", "ls -d /opt/*/.seafleet/staging; find / -xdev -name '*.sql.*' -not -path '/proc/*' -not -path '/usr/*'", check=False) == ""


def test_the_set_after_a_killed_run_is_restorable(fleet, healed):
    servers = ["objects", "seal"]
    fleet.run("server1", f"rm -r {' '.join(map(fleet.root, servers))}")
    result = fleet.playbook("restore", *servers)
    assert result.code == 0, result.output
    for server in servers:
        assert fleet.truth(server).startswith("equal to the manifest")
