# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A month of nights over five servers, with users at work by day and faults of the catalogue by night.

Nobody looks at it until the month is over; then every promise must hold: nothing younger than seven days is gone, the newest
verified sets are there, what is restored equals what the server held that night, and the results tell every failure.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import subprocess
import types
import typing as t

import pytest

from fleet import BACKUPS, Fleet
from nights import Nights

ENGINES = {"alpha": "sqlite", "bravo": "sqlite", "charlie": "sqlite", "delta": "sqlite", "echo": "mariadb"}
NIGHTS = int(os.environ.get("SEAFLEET_NIGHTS", "31"))
KILLED = 13
"""The night in which the controller dies in the middle of the run, and somebody starts it again."""
INPUTS = {"backup_busy_timeout": 1, "backup_gc_wait": 1, "backup_scrub_percent": 10, "backup_timeout": 60}
TOLD = ("alpha", 14, 25, 29)
"""The truth of this server is kept in these nights too, so that an older set can be compared."""

Undo = t.Callable[[], t.Any]


# -- what goes wrong: each makes it so, and gives what mends it in the morning -------------------------------------------


def unreachable(nights: Nights, server: str) -> Undo:
    """Fault 51: its sshd is not reached by anybody."""
    command = ["nsenter", "-t", str(nights.fleet.group.pid(server)), "-n", "iptables", "-w"]
    rule = ["INPUT", "-p", "tcp", "--dport", "22", "-j", "REJECT", "--reject-with", "tcp-reset"]
    subprocess.run([*command, "-I", *rule], check=True)
    # connections that Ansible keeps from the night before must be refused too
    nights.fleet.run(server, "pkill -f '^sshd: root' || true")
    return lambda: subprocess.run([*command, "-D", *rule], check=True)


def locked(nights: Nights, server: str) -> Undo:
    """Fault 17: somebody holds a database."""
    path = f"{nights.fleet.root(server)}/seahub.db"
    nights.fleet.run(server, "systemd-run --unit=locker python3 -c \"import sqlite3, time; "
                     f"sqlite3.connect('{path}').execute('BEGIN EXCLUSIVE'); time.sleep(6000)\" && "
                     f"until fuser -s {path} 2>/dev/null || ! command -v fuser; do sleep 0.1; done; sleep 1")
    return lambda: nights.fleet.run(server, "systemctl stop locker; systemctl reset-failed locker || true")


def database_down(nights: Nights, server: str) -> Undo:
    """Fault 3: the database server is stopped."""
    nights.fleet.run(server, "systemctl stop mariadb")
    return lambda: nights.fleet.run(server, "systemctl start mariadb")


def other_password(nights: Nights, server: str) -> Undo:
    """Fault 4: the password in Seafile's configuration is not the database's."""
    conf = f"{nights.fleet.root(server)}/conf"
    nights.fleet.run(server, f"cp -a {conf} /root/conf && sed -i 's/^password *= *.*/password = not-it/' {conf}/seafile.conf")
    return lambda: nights.fleet.run(server, f"cp -a /root/conf/. {conf}/ && rm -r /root/conf")


def collecting(nights: Nights, server: str) -> Undo:
    """Fault 48: a garbage collection is at work all night."""
    nights.fleet.run(server, "cp /bin/sleep /usr/local/bin/seafserv-gc && systemd-run --unit=collector /usr/local/bin/seafserv-gc 6000")
    return lambda: nights.fleet.run(server, "systemctl stop collector; systemctl reset-failed collector || true")


def not_mounted(nights: Nights, server: str) -> Undo:
    """Fault 36: the file system of the objects is not there."""
    storage = f"{nights.fleet.root(server)}/seafile-data/storage"
    nights.fleet.run(server, f"mv {storage} {storage}.away && mkdir {storage}")
    return lambda: nights.fleet.run(server, f"rmdir {storage} && mv {storage}.away {storage}")


def other_host_key(nights: Nights, server: str) -> Undo:
    """Fault 44: the server shows the backup host another key."""
    access = f"/etc/seafleet/{server}/known_hosts"
    nights.fleet.run("backup1", f"cp {access} /root/pinned && ssh-keygen -q -t ed25519 -N '' -f /root/other && "
                     f"echo {server} $(cut -d' ' -f1,2 /root/other.pub) > {access}")
    return lambda: nights.fleet.run("backup1", f"mv /root/pinned {access} && rm /root/other /root/other.pub")


def clock_back(nights: Nights, dummy: str) -> Undo:
    """Fault 46: the backup host's clock is set back by two days."""
    nights.set_clock(nights.day - 2, "backup1")
    return lambda: None


def rot(nights: Nights, server: str) -> Undo:
    """Fault 54: a byte of a stored block turns over; nobody is told."""
    path = nights.fleet.run("backup1", f"find {BACKUPS}/{server}/objects/blocks -type f -size +2k | sort | head -n 1").strip()
    nights.fleet.run("backup1", f"printf x | dd of={path} bs=1 seek=100 conv=notrunc status=none")
    nights.rotten = path
    return lambda: None


class Fault(t.NamedTuple):
    """One night's fault: whom it meets, and the code under which the run reports it (None: nothing is to fail)."""

    happens: t.Callable[[Nights, str], Undo]
    server: str
    code: str | None


FAULTS = {
    2: Fault(unreachable, "bravo", "unreachable"),
    4: Fault(locked, "charlie", "sqlite-locked"),
    6: Fault(database_down, "echo", "database-unreachable"),
    8: Fault(rot, "alpha", None),
    10: Fault(collecting, "delta", "gc-running"),
    12: Fault(other_password, "echo", "database-access-denied"),
    15: Fault(not_mounted, "bravo", "storage-empty"),
    17: Fault(other_host_key, "charlie", "host-key-changed"),
    19: Fault(clock_back, "*", "clock"),
    # a week in which nothing of this server succeeds: what it has must stay, however old
    **{night: Fault(unreachable, "delta", "unreachable") for night in range(21, 30)},
}


@pytest.fixture(scope="module")
def month(shared_hosts: t.Callable[..., t.Any]) -> types.SimpleNamespace:
    """Play the month; then restore what is newest, where everything was lost."""
    fleet = Fleet(shared_hosts(*ENGINES, "backup1"))
    for server, engine in ENGINES.items():
        fleet.add(server, ansible_python_interpreter="/usr/local/bin/python3-shifted")
        fleet.deploy(server, f"seafile-11-{engine}")
    nights = Nights(fleet, ENGINES)
    nights.set_clock(0)
    fleet.ok("prepare")
    history: list[types.SimpleNamespace] = []
    before: dict[str, dict[str, str]] = {server: {} for server in ENGINES}
    for number in range(NIGHTS):
        nights.day = number
        nights.set_clock(number)
        for server in ENGINES:
            nights.work(server, number)
            if number >= NIGHTS - 1 or (server == TOLD[0] and number in TOLD[1:]):
                nights.tell(server, f"night-{number}")
        fault = FAULTS.get(number)
        undo = fault.happens(nights, fault.server) if fault else None
        if number == KILLED:
            run = fleet.start("backup", **INPUTS)
            run.wait_until(lambda: "set_pull" in run.output or "Fetch the dumps" in run.output)
            run.kill()
        result = fleet.playbook("backup", **INPUTS)
        if undo:
            undo()
        sets = nights.sets()
        history.append(types.SimpleNamespace(
            number=number, now=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=number), result=result,
            made={server: sorted(set(sets.get(server, {})) - set(before[server])) for server in ENGINES},
            gone={server: sorted(set(before[server]) - set(sets.get(server, {}))) for server in ENGINES},
            before=before, sets=sets))
        before = {server: sets.get(server, {}) for server in ENGINES}
    return types.SimpleNamespace(fleet=fleet, nights=nights, history=history)
