# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A month of nights over five servers, with users at work by day and faults of the catalogue by night.

Nobody looks at it until the month is over; then every promise must hold: nothing younger than seven days is gone, the newest
verified sets are there, what is restored equals what the server held that night, and the results tell every failure.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import types
import typing as t

import pytest

from fleet import BACKUPS, PASSWORD, Fleet
from nights import INTERPRETER, Nights

ENGINES = {"alpha": "sqlite", "bravo": "sqlite", "charlie": "sqlite", "delta": "sqlite", "echo": "mariadb"}
NIGHTS = int(os.environ.get("SEAFLEET_NIGHTS", "31"))
KILLED = 13
"""The night in which the controller dies in the middle of the run, and somebody starts it again."""
INPUTS = {
    "backup_busy_timeout": 1, "backup_gc_wait": 1, "backup_scrub_percent": 10, "backup_retention": True, "seafile_retention_keep_daily": 0,
    "seafile_retention_keep_weekly": 3, "seafile_retention_keep_monthly": 0, "seafile_retention_keep_yearly": 0, "seafleet_progress_interval": 0}
WEEKS = INPUTS["seafile_retention_keep_weekly"]


class Older(t.NamedTuple):
    """A server whose truth is kept in some nights more, so that an older set can be compared."""

    server: str
    nights: tuple[int, ...]


OLDER = Older("alpha", tuple(range(10, 24)))
DOWN_FOR_LONG = "delta"
SEVEN_DAYS = datetime.timedelta(days=7)

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
    nights.fleet.run(server, f"cp -a {conf} /root/conf && sed -i s/{PASSWORD}/not-it/ {conf}/*")
    return lambda: nights.fleet.run(server, f"cp -a /root/conf/. {conf}/ && rm -r /root/conf")


def collecting(nights: Nights, server: str) -> Undo:
    """Fault 48: a garbage collection is at work all night."""
    # by its program it is known as one of this deployment
    programs = f"{nights.fleet.root(server)}/seafile-server-11.0.13"
    nights.fleet.run(server, f"mkdir -p {programs}/seafile/bin && cp /bin/sleep {programs}/seafile/bin/seafserv-gc && "
                     f"systemd-run --unit=collector {programs}/seafile/bin/seafserv-gc 6000")
    return lambda: nights.fleet.run(server, f"systemctl stop collector; systemctl reset-failed collector || true; rm -r {programs}")


def not_mounted(nights: Nights, server: str) -> Undo:
    """Fault 36: the file system of the objects is not there."""
    storage = f"{nights.fleet.root(server)}/seafile-data/storage"
    nights.fleet.run(server, f"mv {storage} {storage}.away && mkdir {storage}")
    return lambda: nights.fleet.run(server, f"rmdir {storage} && mv {storage}.away {storage}")


def other_host_key(nights: Nights, server: str) -> Undo:
    """Fault 44: the server shows the backup host another key."""
    known = "/root/pull/known_hosts"
    nights.fleet.run("backup1", f"cp {known} /root/pinned && ssh-keygen -q -t ed25519 -N '' -f /root/other && "
                     f"sed -i '/^{server} /d' {known} && echo {server} $(cut -d' ' -f1,2 /root/other.pub) >> {known}")
    return lambda: nights.fleet.run("backup1", f"mv /root/pinned {known} && rm /root/other /root/other.pub")


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
    """Play the month; a night is told by its faults, its run, and the sets before and after it."""
    fleet = Fleet(shared_hosts(*ENGINES, "backup1"))
    for server, engine in ENGINES.items():
        fleet.add(server, ansible_python_interpreter=INTERPRETER, **fleet.own_access(server, machine=server))
        fleet.deploy(server, f"seafile-11-{engine}")
    nights = Nights(fleet, ENGINES)
    history: list[types.SimpleNamespace] = []
    before: dict[str, dict[str, str]] = {}
    for number in range(NIGHTS):
        nights.set_clock(number)
        for server in ENGINES:
            nights.work(server, number)
            if number == NIGHTS - 1 or (server == OLDER.server and number in OLDER.nights):
                nights.tell(server, f"night-{number}")
        met = FAULTS.get(number)
        mended = met.happens(nights, met.server) if met else None
        if number == KILLED:
            killed = fleet.start("backup", **INPUTS)
            killed.wait_until(lambda killed=killed: "pull | " in killed.output)
            killed.kill()
            # what the dead controller began ends by itself, and then nothing is locked
            free = " && ".join(f"timeout 120 flock {BACKUPS}/{server}/state/lock true" for server in ENGINES)
            fleet.run("backup1", free)
        result = fleet.playbook("backup", **INPUTS)
        if mended:
            mended()
        sets = nights.sets()
        history.append(types.SimpleNamespace(
            number=number, now=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=number), result=result, before=before, sets=sets))
        before = sets
    told = fleet.run("backup1", f"for run in {BACKUPS}/.seafleet/runs/*.json; do tr -d '\\n' < $run; echo; done")
    runs = [json.loads(text) for text in told.splitlines()]
    return types.SimpleNamespace(fleet=fleet, nights=nights, history=history, runs=runs)


def moment(set_id: str) -> datetime.datetime:
    """When the dump of a set began, by the shifted clock."""
    return datetime.datetime.strptime(set_id, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)


def failed(run: dict[str, t.Any]) -> dict[str, str]:
    """The servers that failed in a run, with their codes."""
    return {row["server"]: row["code"] for row in run["servers"] if row["state"] == "failed"}


def test_each_night_fails_for_the_servers_with_a_fault_alone_and_says_why(month):
    assert len(month.runs) == NIGHTS, [run["run_id"] for run in month.runs]
    for night, run in zip(month.history, month.runs):
        met = FAULTS.get(night.number)
        expected = {server: met.code for server in (ENGINES if met.server == "*" else [met.server])} if met and met.code else {}
        assert failed(run) == expected, night.result.output
        assert {row["server"] for row in run["servers"] if row["state"] == "verified"} == set(ENGINES) - set(expected), night.result.output
        assert night.result.code == (2 if expected else 0)


def test_each_night_makes_one_set_of_each_server_without_a_fault(month):
    for night, run in zip(month.history, month.runs):
        made = {server: set(night.sets.get(server, {})) - set(night.before.get(server, {})) for server in ENGINES}
        assert {server for server in ENGINES if len(made[server]) == 1} == set(ENGINES) - set(failed(run)), made


def test_nothing_younger_than_seven_days_goes_and_never_the_newest_verified_sets(month):
    went = 0
    for night in month.history:
        for server in ENGINES:
            before = night.before.get(server, {})
            verified = sorted(set_id for set_id, state in before.items() if state == "verified")
            for set_id in set(before) - set(night.sets.get(server, {})):
                went += 1
                assert night.now - moment(set_id) >= SEVEN_DAYS, (night.number, server, set_id)
                assert set_id not in verified[-2:], (night.number, server, set_id)
    assert went, "the policy of this test lets sets go, and none went"


def test_what_is_left_is_seven_days_and_the_last_set_of_each_of_three_weeks(month):
    for server in ENGINES:
        made = sorted({set_id for night in month.history for set_id in night.sets.get(server, {})})
        weeks: dict[t.Any, str] = {}
        for set_id in made:
            weeks[moment(set_id).isocalendar()[:2]] = set_id
        expected = {set_id for set_id in made if moment(made[-1]) - moment(set_id) < SEVEN_DAYS} | set(sorted(weeks.values())[-WEEKS:])
        assert set(month.history[-1].sets[server]) == expected | set(made[-3:]), server


def test_while_a_server_fails_nothing_of_it_goes(month):
    for night in month.history:
        if FAULTS.get(night.number, Fault(rot, "", None)).server == DOWN_FOR_LONG:
            assert set(night.before[DOWN_FOR_LONG]) == set(night.sets[DOWN_FOR_LONG]), night.number


def test_what_rotted_was_found_and_fetched_again(month):
    assert month.fleet.run("backup1", f"sha1sum {month.nights.rotten} | cut -d' ' -f1").strip() == "".join(month.nights.rotten.split("/")[-2:])
    assert len(month.fleet.run("backup1", f"find {BACKUPS}/alpha/quarantine -type f").split()) >= 1


def test_a_run_that_was_killed_leaves_nothing_at_work_and_nothing_locked(month):
    assert failed(month.runs[KILLED]) == {}
    for machine in month.fleet.group:
        assert month.fleet.run(machine, "pgrep -x rsync || true").split() == []
        assert month.fleet.run(machine, "find /opt/haiwen/.seafleet/staging -mindepth 1 2>/dev/null || true").split() == []


def test_the_report_tells_of_every_night(month):
    directory = month.fleet.group.directory / "report"
    month.fleet.ok("report", report_dest=str(directory))
    told = json.loads((directory / "fleet.json").read_text(encoding="utf-8"))
    (host,) = told["hosts"]
    # the newest nights one by one, and of each server every set that there is and what became of it in the last run
    newest = [(run["run_id"], len(failed(run))) for run in reversed(month.runs)]
    assert [(run["run_id"], run["totals"]["failed"]) for run in host["runs"]] == newest[:len(host["runs"])] and len(host["runs"]) >= min(NIGHTS, 14)
    assert {row["server"]: {one["set_id"] for one in row["sets"] if one["state"] != "partial"} for row in told["servers"]} == {
        server: set(sets) for server, sets in month.history[-1].sets.items()}
    assert {row["server"]: (row["verified"], row["last_run"]["state"]) for row in told["servers"]} == {
        server: (max(sets), "verified") for server, sets in month.history[-1].sets.items()}


def test_an_older_set_equals_what_the_server_held_that_night(month):
    fleet, nights = month.fleet, month.nights
    kept = sorted(month.history[-1].sets[OLDER.server])
    made = {number: set(month.history[number].sets[OLDER.server]) - set(month.history[number].before[OLDER.server]) for number in OLDER.nights}
    number, set_id = next((number, set_id) for number in OLDER.nights for set_id in kept if set_id in made[number])
    fleet.run(OLDER.server, f"rm -rf {fleet.root(OLDER.server)}")
    fleet.ok("restore", OLDER.server, restore_set_id=set_id)
    assert nights.differences(OLDER.server, f"night-{number}").startswith("equal to the manifest")


def test_the_newest_verified_set_of_every_server_equals_what_it_held(month):
    fleet, nights = month.fleet, month.nights
    for server in ENGINES:
        fleet.run(server, f"rm -rf {fleet.root(server)}")
    fleet.run("echo", "for name in ccnet-db seafile-db seahub-db; do mariadb -e \"DROP DATABASE \\`$name\\`\"; done")
    fleet.ok("restore")
    for server in ENGINES:
        assert nights.differences(server, f"night-{NIGHTS - 1}").startswith("equal to the manifest"), nights.differences(server, f"night-{NIGHTS - 1}")
