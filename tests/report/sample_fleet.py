# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet that never was: what its backup hosts would hold, as the collection writes it, for tests of the report and for the picture in the README.

python3 tests/report/sample_fleet.py DIRECTORY     # writes DIRECTORY/{backup1,backup2}/ and DIRECTORY/inventory.yml
"""

from __future__ import annotations

import datetime
import json
import math
import pathlib
import random
import sys
import typing as t

UTC = datetime.timezone.utc
NIGHTS = 34
GB, MB = 10**9, 10**6
LIBRARY = "08cb4330-5c51-4e91-a6a0-5409053e95af"
# name, backup host, version, engine, bytes of a set, seconds of a run, what is the matter with it
SERVERS = (
    ("files.example.org", "backup1", "11.0.13", "mysql", 412 * MB, 340, ""),
    ("cloud.example.org", "backup1", "12.0.9", "mysql", 1290 * MB, 910, "stopped"),
    ("lab.example.org", "backup1", "13.0.2", "mysql", 96 * MB, 120, ""),
    ("archive.example.org", "backup1", "10.0.1", "mysql", 880 * MB, 1500, "source"),
    ("school.example.org", "backup1", "11.0.13", "mysql", 640 * MB, 510, ""),
    ("studio.example.org", "backup2", "11.0.13", "sqlite", 38 * MB, 75, "damaged"),
    ("press.example.org", "backup2", "9.0.10", "mysql", 205 * MB, 260, ""),
    ("team.example.org", "backup2", "12.0.9", "mysql", 150 * MB, 190, "gap"),
    ("new.example.org", "backup2", "13.0.2", "mysql", 0, 0, "never"),
)


def moment(when: datetime.datetime) -> str:
    """As the collection writes a moment."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def name(when: datetime.datetime) -> str:
    """As it names a set."""
    return when.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _write(path: pathlib.Path, value: t.Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="ascii")


def record(
    ended: datetime.datetime, state: str = "verified", libraries: t.Sequence[dict[str, t.Any]] = (), reasons: t.Sequence[str] = (), objects: int = 1000
) -> dict[str, t.Any]:
    """The record of a verification."""
    return {
        "format": 1,
        "state": state,
        "level": "new",
        "began": moment(ended),
        "ended": moment(ended),
        "libraries": 214,
        "hashed": {"commits": {"files": 12, "bytes": 9000}, "fs": {"files": 60, "bytes": 50000}, "blocks": {"files": 40, "bytes": 31000000}},
        "trusted": {"commits": objects // 20, "fs": objects // 4, "blocks": objects},
        "scrubbed": {"files": 0, "bytes": 0},
        "legally_missing": {"commits": 0, "fs": 0, "blocks": 0},
        "healed": [],
        "healed_total": 0,
        "wrong_files": [],
        "findings_total": len(libraries),
        "findings": [],
        "damaged_libraries": list(libraries),
        "reasons": list(reasons),
        "notes": [],
    }


def manifest(
    began: datetime.datetime, seconds: int, size: int, new: int, version: str, engine: str, verification: dict[str, t.Any] | None, **more: t.Any
) -> dict[str, t.Any]:
    """What of a manifest the catalogue reads."""
    ended = began + datetime.timedelta(seconds=seconds)
    dump = {"name": "seafile-db", "role": "seafile", "engine": engine, "file": "seafile-db.sql.gz", "sha256": "0" * 64}
    return {
        "format": 1,
        "set_id": name(began),
        "state": "sealed",
        "began": moment(began),
        "sealed": moment(ended),
        "engine": engine,
        "libraries": 214,
        "bytes": size,
        "databases": [dump],
        "seafile": {"version": version},
        "warnings": [],
        "verification": verification,
        "stages": {"objects": {"listed": new // 90000, "transferred": new // 90000, "bytes_transferred": new, "bytes_listed": new}},
        **more,
    }


def write_set(root: pathlib.Path, server: str, value: dict[str, t.Any]) -> None:
    """Write a sealed set as far as the catalogue looks at it."""
    _write(root / server / "sets" / value["set_id"] / "manifest.json", value)


def write_partial(root: pathlib.Path, server: str, began: datetime.datetime, reason: str) -> None:
    """Write what a failed run leaves."""
    _write(root / server / "sets" / f".{name(began)}.partial" / "failure.json", {"reason": reason, "time": moment(began)})


def write_drill(root: pathlib.Path, server: str, began: datetime.datetime, seconds: int, set_id: str, reasons: t.Sequence[str] = ()) -> None:
    """Write the report of a drill."""
    ended = began + datetime.timedelta(seconds=seconds)
    _write(
        root / server / "drills" / f"{name(began)}.json",
        {
            "format": 1,
            "server": server,
            "state": "failed" if reasons else "passed",
            "reasons": list(reasons),
            "recovery_seconds": seconds,
            "lost_seconds": 14400,
            "began": moment(began),
            "ended": moment(ended),
            "set_id": set_id,
        },
    )


def write_run(root: pathlib.Path, began: datetime.datetime, rows: t.Sequence[dict[str, t.Any]]) -> None:
    """Write the result of a run."""
    states = [row["state"] for row in rows]
    ended = began + datetime.timedelta(seconds=max([row["seconds"] for row in rows], default=0))
    run = f"{name(began)}-5e1f"
    _write(
        root / ".seafleet" / "runs" / f"{run}.json",
        {
            "format": 1,
            "run_id": run,
            "playbook": "backup",
            "began": moment(began),
            "ended": moment(ended),
            "controller": "control.example.org",
            "servers": list(rows),
            "totals": {"servers": len(rows), **{state: states.count(state) for state in ("verified", "sealed", "damaged", "failed")}},
        },
    )


DAMAGE = {"id": LIBRARY, "name": "Films", "findings": 3, "where": "backup"}
DAMAGED = f"Films ({LIBRARY}): 3 objects damaged in this backup, first /2026/opening.mov: block 5d1c0a missing (not in the backup)."
STOPPED = "database-unreachable: 127.0.0.1:3306: the database server does not answer (Connection refused). Next: start the database server"


def night(server: tuple[t.Any, ...], number: int, began: datetime.datetime, root: pathlib.Path, dice: random.Random) -> dict[str, t.Any] | None:
    """Make one night of one server; return its row in the run's result. I(number) of nights ago; 0 is the last one."""
    title, _host, version, engine, size, seconds, matter = server
    row = {"server": title, "backup_host": _host, "began": moment(began), "seconds": 4, "set_id": None, "code": None, "message": None}
    failed = {"stopped": number < 4, "never": True, "gap": 9 <= number <= 11}.get(matter, False)
    if failed:
        code, _colon, message = STOPPED.partition(": ")
        write_partial(root, title, began, message)
        return {**row, "state": "failed", "code": code, "message": message, "ended": moment(began + datetime.timedelta(seconds=4))}
    grown = size * (1 + 0.012 * (NIGHTS - number)) * dice.uniform(0.995, 1.005)
    weekday = began.weekday()
    new = int(grown * dice.uniform(0.02, 0.12) * (0.15 if weekday >= 5 else 1) + (grown * 0.6 if dice.random() < 0.05 else 0))
    took = int(seconds * dice.uniform(0.85, 1.15) * (2.1 if number % 7 == 3 else 1))
    ended = began + datetime.timedelta(seconds=took)
    verified = record(ended, objects=int(size / 90000))
    if matter == "damaged" and number == 0:
        verified = record(ended, "damaged", [DAMAGE], [DAMAGED])
    elif matter == "source" and number < 9:
        verified = record(
            ended,
            libraries=[{**DAMAGE, "name": "Maps", "where": "source"}],
            reasons=[f"Maps ({LIBRARY}): 1 object damaged on the server itself, first /old/town.tif: block 77ab12 is empty."],
            objects=int(size / 90000),
        )
    write_set(root, title, manifest(began, took, int(grown), new, version, engine, verified))
    return {**row, "state": verified["state"], "set_id": name(began), "seconds": took, "ended": moment(ended)}


def write(directory: pathlib.Path, now: datetime.datetime) -> None:
    """Write the whole fleet as it would look at the moment I(now)."""
    dice = random.Random(11)
    last = (now - datetime.timedelta(hours=3, minutes=20)).replace(microsecond=0, second=0)
    for number in range(NIGHTS - 1, -1, -1):
        rows: dict[str, list[dict[str, t.Any]]] = {"backup1": [], "backup2": []}
        for position, server in enumerate(SERVERS):
            began = last - datetime.timedelta(days=number) + datetime.timedelta(minutes=4 * position, seconds=math.floor(dice.random() * 50))
            if server[6] == "never" and number > 1:
                continue
            row = night(server, number, began, directory / server[1], dice)
            if row:
                rows[server[1]].append(row)
        for host, made in rows.items():
            write_run(directory / host, last - datetime.timedelta(days=number), made)
    for server, host, days, seconds in (
        ("files.example.org", "backup1", 6, 1260),
        ("school.example.org", "backup1", 6, 1710),
        ("lab.example.org", "backup1", 6, 410),
        ("press.example.org", "backup2", 6, 640),
    ):
        write_drill(directory / host, server, last - datetime.timedelta(days=days, hours=-2), seconds, name(last - datetime.timedelta(days=days)))
    write_drill(directory / "backup2", "team.example.org", last - datetime.timedelta(days=6, hours=-3), 220, name(last - datetime.timedelta(days=6)))
    write_set(directory / "backup2", "wiki.example.org", manifest(last - datetime.timedelta(days=71), 90, 60 * MB, 4 * MB, "8.0.3", "sqlite", None))
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    servers = {server[0]: {"seafile_backup_host": server[1], "seafile_backup_root": str((directory / server[1]).resolve())} for server in SERVERS}
    _write(
        directory / "inventory.yml",
        {"all": {"children": {"seafile_servers": {"hosts": servers}, "backup_hosts": {"hosts": {"backup1": local, "backup2": local}}}}},
    )


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]), datetime.datetime.now(UTC))
