# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The most common faults: one server for each, one backup of them all, and not a byte changed anywhere."""

from __future__ import annotations

import re
import types
import typing as t

import pytest

from fleet import PASSWORD, Fleet

# server -> its codes. The machine server2 has no rsync, and its MariaDB is stopped.
FAULTS = {
    "s3": ["object-store-elsewhere"],
    "inside": ["backup-root-inside"],
    "full": ["no-space"],
    "stranger": ["host-key-unknown"],
    "swapped": ["host-key-changed"],
    "toolless": ["missing-tool"],
    "guest": ["no-rights"],
    "down": ["database-unreachable", "missing-tool"],
    "password": ["database-access-denied"],
    "nothing": ["no-seafile"],
    "both": ["no-space", "object-store-elsewhere"],
}
NEXT_STEP = {
    "s3": "back up the object store with its own tools",
    "inside": "choose a backup_root outside the Seafile directory",
    "full": "free the named space or use a larger file system",
    "stranger": "run the playbook prepare, which pins the host key",
    "swapped": "find out why the host has a new key",
    "toolless": "install the package rsync",
    "guest": "run the module as root or as the user that owns the Seafile directory",
    "down": "start the database server",
    "password": "check the database user and password",
    "nothing": "give the directory that holds conf (or ccnet) and seafile-data as seafile_root",
    "both": "free the named space or use a larger file system",
}
WRONG_PASSWORD = "another-Pass.w0rd"
PLACES = ("/opt", "/srv", "/etc", "/var/lib/seafleet", "/home", "/root/pull")


@pytest.fixture(scope="module")
def run(shared_hosts: t.Callable[..., t.Any]) -> types.SimpleNamespace:
    """One backup of all servers, with what was on all hosts before and after."""
    fleet = Fleet(shared_hosts("server1", "server2", "backup1", options=["--tmpfs=/srv/small:size=20m"]))
    elsewhere = ("toolless", "down")
    access = fleet.own_access(*(name for name in FAULTS if name not in elsewhere)) | fleet.own_access(*elsewhere, machine="server2")
    fleet.run("backup1", "sed -i '/^stranger /d' /root/pull/known_hosts && ssh-keygen -q -t ed25519 -N '' -f /root/other && "
              "sed -i \"/^swapped /d\" /root/pull/known_hosts && echo swapped $(cut -d' ' -f1,2 /root/other.pub) >> /root/pull/known_hosts")
    for name in FAULTS:
        fleet.add(name, machine="server2" if name in elsewhere else "server1", root=f"/opt/{name}", **access)
    for server in ("s3", "toolless"):
        fleet.deploy(server)
    for server in ("password", "down"):
        fleet.deploy(server, "seafile-11-mariadb")
    for server in ("inside", "full", "stranger", "swapped", "guest", "both"):
        fleet.clone(server, "s3")
    for server in ("s3", "both"):
        fleet.run("server1", f"printf '[commit_object_backend]\\nname = s3\\nbucket = commits\\n' >> /opt/{server}/conf/seafile.conf")
    fleet.run("server1", f"sed -i s/{PASSWORD}/{WRONG_PASSWORD}/ /opt/password/conf/*")
    fleet.add("inside", machine="server1", root="/opt/inside", seafile_backup_host="inside", seafile_backup_root="/opt/inside/seafile-data/backup")
    for server in ("full", "both"):
        fleet.add(server, machine="server1", root=f"/opt/{server}", seafile_backup_root="/srv/small/backup", **access)
    fleet.run("server1", "useradd --create-home guest && mkdir -m 700 /home/guest/.ssh && "
              "cp /root/.ssh/authorized_keys /home/guest/.ssh/ && chown -R guest /home/guest")
    fleet.add("guest", machine="server1", root="/opt/guest", ansible_user="guest", **access)
    fleet.run("server1", "chmod 700 /opt/guest/seafile-data/storage")
    fleet.run("server2", "systemctl stop mariadb && mv /usr/bin/rsync /usr/bin/rsync.away")
    before = {machine: fleet.listing(machine, *PLACES) for machine in fleet.group}
    result = fleet.playbook("backup")
    fleet.run("server1", "rm -rf /home/guest/.ansible")
    after = {machine: fleet.listing(machine, *PLACES) for machine in fleet.group}
    return types.SimpleNamespace(result=result, before=before, after=after)


def failure(run: types.SimpleNamespace, server: str) -> str:
    """The closing message of I(server)."""
    found = re.findall(rf'^fatal: \[{server}\]: FAILED! => .*"msg": "({server}: .*)"}}?$', run.result.output, re.MULTILINE)
    assert len(found) == 1, run.result.output
    return found[0]


@pytest.mark.parametrize("server", FAULTS)
def test_a_fault_stops_the_backup_with_its_own_code(run, server):
    said = failure(run, server)
    assert sorted(set(re.findall(r"(?:^\w+: |// )([a-z0-9]+(?:-[a-z0-9]+)+): ", said))) == FAULTS[server], said
    assert said.startswith(f"{server}: ")


@pytest.mark.parametrize("server", FAULTS)
def test_a_fault_is_reported_with_the_next_step_and_what_is_kept(run, server):
    said = failure(run, server)
    assert f"Next: {NEXT_STEP[server]}" in said
    assert said.endswith("Kept: no sealed set yet.")


def test_two_faults_at_once_are_both_reported(run):
    said = failure(run, "both")
    assert "object-store-elsewhere: " in said and "no-space: " in said


def test_no_fault_shows_a_traceback_or_a_password(run):
    assert "Traceback" not in run.result.output
    assert PASSWORD not in run.result.output and WRONG_PASSWORD not in run.result.output


def test_nothing_is_changed_on_any_host_before_the_faults_are_found(run):
    assert all(counters["changed"] == 0 for counters in run.result.recap.values())
    for machine, before in run.before.items():
        after = run.after[machine]
        assert [path for path in sorted(set(before) | set(after)) if before.get(path) != after.get(path)] == []
