# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be in the way of a backup: one server for each fault, one backup of them all, and not a byte changed anywhere."""

from __future__ import annotations

import re
import shlex
import subprocess
import types
import typing as t

import pytest

from fleet import PASSWORD, Fleet

# server -> its codes. The machine server2 has no rsync, and its MariaDB is stopped. late's Python has a clock that is an hour ahead, old's
# finds an rsync 3.0.9. swap and halved have a sealed set: then another server stands in the place of swap, and halved has lost its blocks.
FAULTS = {
    "s3": ["object-store-elsewhere"],
    "inside": ["backup-root-inside"],
    "full": ["no-space"],
    "staging": ["no-space"],
    "few": ["no-inodes"],
    "frozen": ["read-only"],
    "foreign": ["backup-root-foreign"],
    "stranger": ["host-key-unknown"],
    "swapped": ["host-key-changed"],
    "denied": ["pull-access-denied"],
    "toolless": ["missing-tool"],
    "old": ["rsync-too-old"],
    "guest": ["no-rights"],
    "illegible": ["config-unreadable"],
    "down": ["database-unreachable", "missing-tool"],
    "password": ["database-access-denied"],
    "nothing": ["no-seafile"],
    "half": ["unknown-layout"],
    "missing": ["storage-missing"],
    "empty": ["storage-empty"],
    "halved": ["storage-empty"],
    "ransom": ["source-damaged"],
    "collected": ["gc-running"],
    "late": ["clock"],
    "swap": ["identity-changed"],
    "many": ["backup-root-foreign", "clock", "gc-running", "host-key-unknown", "no-space", "object-store-elsewhere"],
}
NEXT_STEP = {
    "s3": "back up the object store with its own tools",
    "inside": "choose a backup_root outside the Seafile directory",
    "full": "free the named space or use a larger file system",
    "staging": "free the named space or use a larger file system",
    "few": "free inodes",
    "frozen": "mount the file system for writing",
    "foreign": "correct seafile_backup_root, or the server's name, in the inventory",
    "stranger": "run the playbook prepare, which pins the host key",
    "swapped": "find out why the host has a new key",
    "denied": "run the playbook prepare, which authorises the backup host's key",
    "toolless": "install the package rsync",
    "old": "install rsync 3.1.0 or newer",
    "guest": "run the module as root or as the user that owns the Seafile directory",
    "illegible": "correct the named configuration file on the server",
    "down": "start the database server",
    "password": "check the database user and password",
    "nothing": "give the directory that holds conf (or ccnet) and seafile-data as seafile_root",
    "half": "finish the installation of Seafile",
    "missing": "mount the file system of the storage directory",
    "empty": "mount the file system of the storage directory",
    "halved": "mount the file system of the storage directory",
    "ransom": "look at the server first",
    "collected": "wait until seafserv-gc has ended",
    "late": "set the clocks of the server and of the backup host (NTP)",
    "swap": "correct the server's address or seafile_root in the inventory",
    "many": "wait until seafserv-gc has ended",
}
BACKED_UP = ("swap", "halved")
WRONG_PASSWORD = "another-Pass.w0rd"
PLACES = ("/opt", "/srv", "/etc", "/var/lib/seafleet", "/home", "/root/pull", "/root/.ssh")
OPTIONS = ["--tmpfs=/srv/small:size=20m", "--tmpfs=/srv/tiny:size=1m", "--tmpfs=/srv/few:size=500m", "--tmpfs=/srv/frozen:ro"]


def interpreter(fleet: Fleet, server: str, words: str) -> str:
    """A Python for I(server) that is run by the shell words I(words)."""
    path = f"/root/python-{server}"
    script = f'#!/bin/sh\n{words} /usr/bin/python3 "$@"\n'
    fleet.run("server1", f"printf %s {shlex.quote(script)} > {path} && chmod 755 {path}")
    return path


def prepare(fleet: Fleet) -> None:
    """Make all servers and bring about their faults."""
    elsewhere = ("toolless", "down")
    access = fleet.own_access(*(name for name in FAULTS if name not in elsewhere)) | fleet.own_access(*elsewhere, machine="server2")
    late = interpreter(fleet, "late", "LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketime.so.1) FAKETIME=+1h exec")
    more: dict[str, dict[str, t.Any]] = {
        "inside": {"seafile_backup_host": "inside", "seafile_backup_root": "/opt/inside/seafile-data/backup"},
        "full": {"seafile_backup_root": "/srv/small/backup"},
        "staging": {"backup_staging": "/srv/tiny/staging"},
        "few": {"seafile_backup_root": "/srv/few/backup"},
        "frozen": {"seafile_backup_root": "/srv/frozen/backup"},
        "foreign": {"seafile_backup_root": "/srv/foreign"},
        "denied": {"seafile_pull_user": "locked"},
        "guest": {"ansible_user": "guest"},
        "old": {"ansible_python_interpreter": interpreter(fleet, "old", "PATH=/root/old:$PATH exec")},
        "collected": {"backup_gc_wait": 0},
        "late": {"ansible_python_interpreter": late},
        "many": {"ansible_python_interpreter": late, "backup_gc_wait": 0, "seafile_backup_root": "/srv/small"},
    }
    for name in FAULTS:
        fleet.add(name, machine="server2" if name in elsewhere else "server1", root=f"/opt/{name}", **(access | more.get(name, {})))
    for server in ("s3", "toolless"):
        fleet.deploy(server)
    for server in ("password", "down"):
        fleet.deploy(server, "seafile-11-mariadb")
    for server in set(FAULTS) - {"s3", "toolless", "password", "down", "nothing", "half"}:
        fleet.clone(server, "s3")

    fleet.run("backup1", "sed -i '/^stranger /d; /^many /d' /root/pull/known_hosts && ssh-keygen -q -t ed25519 -N '' -f /root/other && "
              "sed -i \"/^swapped /d\" /root/pull/known_hosts && echo swapped $(cut -d' ' -f1,2 /root/other.pub) >> /root/pull/known_hosts")
    # the result of the run is kept in every backup root
    fleet.run("backup1", "mkdir -m 700 -p /srv/foreign/.seafleet/runs /srv/small/.seafleet/runs /srv/foreign/foreign /srv/small/many && "
              "touch /srv/foreign/foreign/notes.txt /srv/small/many/notes.txt")
    fleet.run("server1", "for server in s3 many; do printf '[commit_object_backend]\\nname = s3\\nbucket = commits\\n' >> /opt/$server/conf/seafile.conf; done")
    fleet.run("server1", f"sed -i s/{PASSWORD}/{WRONG_PASSWORD}/ /opt/password/conf/*")
    fleet.run("server1", "useradd --create-home locked && useradd --create-home guest && mkdir -m 700 /home/guest/.ssh && "
              "cp /root/.ssh/authorized_keys /home/guest/.ssh/ && chown -R guest /home/guest && chmod 700 /opt/guest/seafile-data/storage")
    fleet.run("server1", "mkdir /root/old && printf '#!/bin/sh\\necho \"rsync  version 3.0.9  protocol version 30\"\\n' > /root/old/rsync && "
              "chmod 755 /root/old/rsync")
    fleet.run("server1", "printf 'no section = \\377\\n' > /opt/illegible/conf/seafile.conf")
    fleet.run("server1", "mkdir -p /opt/half/seafile-data/storage/commits")
    fleet.run("server1", "mv /opt/missing/seafile-data/storage /opt/missing-storage && rm -r /opt/empty/seafile-data/storage/*")
    fleet.run("server1", "find /opt/ransom/seafile-data/storage -type f -exec sh -c 'for file; do echo encrypted > \"$file\"; done' sh {} +")
    for server in ("collected", "many"):
        fleet.run("server1", f"cp /bin/sleep /opt/{server}/seafserv-gc && (setsid /opt/{server}/seafserv-gc 3600 > /dev/null 2>&1 < /dev/null &)")

    fleet.ok("backup", *BACKED_UP)
    fleet.run("server1", "rm -r /opt/swap /opt/halved/seafile-data/storage/blocks/*")
    fleet.deploy("swap", "seafile-7-sqlite")
    fleet.run("server2", "systemctl stop mariadb && mv /usr/bin/rsync /usr/bin/rsync.away")


@pytest.fixture(scope="module")
def run(shared_hosts: t.Callable[..., t.Any]) -> types.SimpleNamespace:
    """One backup of all servers, and one in check mode of those that have most, with what was on all hosts before and after."""
    fleet = Fleet(shared_hosts("server1", "server2", "backup1", options=OPTIONS))
    # podman knows no limit of inodes
    command = ["nsenter", "-t", str(fleet.group.pid("backup1")), "-m", "mount", "-o", "remount,nr_inodes=200", "/srv/few"]
    subprocess.run(command, check=True)
    prepare(fleet)
    before = {machine: fleet.listing(machine, *PLACES) for machine in fleet.group}
    result = fleet.playbook("backup")
    checked = fleet.playbook("backup", "many", "swap", check=True)
    fleet.run("server1", "rm -rf /home/guest/.ansible")
    after = {machine: fleet.listing(machine, *PLACES) for machine in fleet.group}
    return types.SimpleNamespace(fleet=fleet, result=result, checked=checked, before=before, after=after)


def failure(output: str, server: str) -> str:
    """The closing message of I(server)."""
    found = re.findall(rf'^fatal: \[{server}\]: FAILED! => .*"msg": "({server}: .*)"}}?$', output, re.MULTILINE)
    assert len(found) == 1, output
    return found[0]


def codes(said: str) -> list[str]:
    """The codes in a closing message."""
    return sorted(set(re.findall(r"(?:^\w+: |// )([a-z0-9]+(?:-[a-z0-9]+)*): ", said)))


@pytest.mark.parametrize("server", FAULTS)
def test_a_fault_stops_the_backup_with_its_own_code(run, server):
    said = failure(run.result.output, server)
    assert codes(said) == FAULTS[server], said
    assert said.startswith(f"{server}: ")


@pytest.mark.parametrize("server", FAULTS)
def test_a_fault_is_reported_with_the_next_step_and_what_is_kept(run, server):
    said = failure(run.result.output, server)
    assert f"Next: {NEXT_STEP[server]}" in said
    kept = f"set {run.fleet.sets(server)[0]}" if server in BACKED_UP else "no sealed set yet"
    assert said.endswith(f"Kept: {kept}.")


@pytest.mark.parametrize("server", ["many", "swap"])
def test_check_mode_finds_the_same_faults(run, server):
    assert codes(failure(run.checked.output, server)) == FAULTS[server]


def test_no_fault_shows_a_traceback_or_a_password(run):
    assert "Traceback" not in run.result.output
    assert PASSWORD not in run.result.output and WRONG_PASSWORD not in run.result.output


def test_nothing_is_changed_on_any_host_before_the_faults_are_found(run):
    assert all(counters["changed"] == 0 for result in (run.result, run.checked) for counters in result.recap.values())
    for machine, before in run.before.items():
        after = {path: entry for path, entry in run.after[machine].items() if "/.seafleet/runs" not in path}
        before = {path: entry for path, entry in before.items() if "/.seafleet/runs" not in path}
        assert [path for path in sorted(set(before) | set(after)) if before.get(path) != after.get(path)] == []
    assert run.fleet.run("backup1", "ls -d /tmp/seafleet-*", check=False) == "", "no connection is left open"


def test_another_server_goes_on_under_the_name_when_that_is_asked_for(run):
    set_id = run.fleet.backup("swap", backup_accept_identity=True)
    assert len(run.fleet.sets("swap")) == 2
    assert any("as was asked for" in warning for warning in run.fleet.manifest("swap", set_id)["warnings"])
    run.fleet.ok("backup", "swap")
