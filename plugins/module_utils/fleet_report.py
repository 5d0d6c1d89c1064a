# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a fleet as data: each server's verdict against the promise, what is to be looked at, and the backup hosts.

Pure functions over the catalogues of all backup hosts (:mod:`catalogue`). The table, the page and the JSON file are made of what
:func:`build` returns, so that all three say the same.
"""

from __future__ import annotations

import datetime
import json
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import catalogue, words
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, as_time
from ansible_collections.seafleet.seafile.plugins.module_utils.version import VERSION

FORMAT = 1
OVERDUE, NEVER, UNKNOWN, ATTENTION, KEPT = "overdue", "never", "unknown", "attention", "kept"
ORDER = (OVERDUE, NEVER, UNKNOWN, ATTENTION, KEPT)
"""The verdicts, worst first."""
LITTLE_ROOM = 10
"""Percent of bytes or inodes that are free, below which a backup host is to be looked at."""
_SEALED = ("verified", "sealed", "damaged")
_DAY = 86400

Row = t.Dict[str, t.Any]


def build(
    places: t.Sequence[t.Mapping[str, t.Any]],
    now: datetime.datetime,
    title: str,
    promise_hours: float,
    promises: t.Mapping[str, float] | None = None,
    drill_days: float = 0,
) -> Row:
    """Return the report.

    :arg places: each place of backups with C(backup_host), C(backup_root), C(servers) (the names that the inventory says are kept there) and
        C(catalogue), or, where it could not be read, C(message). One whose C(backup_host) is None has the servers that nobody backs up.
    :arg promise_hours: so old may the newest verified set of a server be at most.
    :arg promises: hours of servers that were promised something else.
    :arg drill_days: so old may the last drill that passed be; 0: nothing is promised of drills.
    """
    servers: list[Row] = []
    hosts: list[Row] = []
    strangers: list[Row] = []
    for place in places:
        found = place.get("catalogue")
        if place["backup_host"]:
            hosts.append(_host(place, found))
        known = {row["server"]: row for row in found["servers"]} if found else {}
        failed = {row["server"]: row for row in found["failed_before"]} if found else {}
        for name in place["servers"]:
            promise = (promises or {}).get(name, promise_hours)
            row = {
                "server": name,
                "backup_host": place["backup_host"],
                "backup_root": place["backup_root"],
                "promise_hours": promise,
                **_empty(failed.get(name)),
                **known.get(name, {}),
            }
            servers.append({**row, **_judged(row, now, promise, drill_days, None if found else place.get("message") or "it could not be read")})
        strangers += [_stranger(place, row) for name, row in sorted(known.items()) if name not in place["servers"]]
    servers.sort(key=lambda row: (ORDER.index(row["verdict"]), -(row["age_seconds"] or 0), row["server"]))
    return {
        "format": FORMAT,
        "made": as_text(now),
        "title": title,
        "version": VERSION,
        "promise_hours": promise_hours,
        "drill_days": drill_days,
        "totals": _totals(servers, now),
        "servers": servers,
        "hosts": hosts,
        "strangers": strangers,
    }


def _empty(last_run: t.Mapping[str, t.Any] | None) -> Row:
    run = {key: value for key, value in last_run.items() if key != "server"} if last_run else None
    return {
        "sets": [],
        "states": dict.fromkeys(catalogue.STATES, 0),
        "drills": [],
        "last_run": run,
        "quarantine_files": 0,
        "goes": [],
        "frozen": [],
        "problems": [],
    }


def _host(place: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any] | None) -> Row:
    row: Row = {
        "look": [],
        "backup_host": place["backup_host"],
        "backup_root": place["backup_root"],
        "read": bool(found),
        "message": None if found else place.get("message"),
        "servers": len(place["servers"]),
    }
    if found:
        row.update(
            room=found["room"],
            free_percent=_free(found["room"], ""),
            free_inodes_percent=_free(found["room"], "inodes"),
            runs=found["runs"],
            problems=found["problems"],
        )
    return dict(row, look=of_host(row))


def _free(room: t.Mapping[str, int], what: str) -> int | None:
    """Percent of bytes, or of inodes, that are free; None where no number is fixed."""
    total, free = (room["inodes"], room["free_inodes"]) if what else (room["bytes"], room["free_bytes"])
    return free * 100 // total if total else None


def of_host(host: t.Mapping[str, t.Any]) -> list[dict[str, str]]:
    """Return what is to be looked at on a backup host that was read; one that was not is told by its servers, or here where it has none."""
    if not host["read"]:
        return [] if host["servers"] else [_say(f"it could not be read: {host['message']}", "make it reachable, then make this report again")]
    look = []
    for key, what in (("free_percent", "room"), ("free_inodes_percent", "inodes")):
        if host[key] is not None and host[key] < LITTLE_ROOM:
            look.append(_say(f"less than {LITTLE_ROOM} % of its {what} are free", "free some or use a larger file system, before a backup fails"))
    return look + [_say(problem, "look at the named file; remove it when nobody knows it") for problem in host["problems"][:2]]


def _stranger(place: t.Mapping[str, t.Any], row: Row) -> Row:
    newest = catalogue.newest(row["sets"], *_SEALED)
    return {
        "server": row["server"],
        "backup_host": place["backup_host"],
        "backup_root": place["backup_root"],
        "sets": len(row["sets"]),
        "newest": newest["began"] if newest else None,
    }


def _totals(servers: t.Sequence[Row], now: datetime.datetime) -> Row:
    day_ago = as_text(now - datetime.timedelta(days=1))
    recent = [row for server in servers for row in server["sets"] if row["state"] in _SEALED and row["began"] and row["began"] >= day_ago]
    ages = [server["age_seconds"] for server in servers if server["age_seconds"] is not None]
    return {
        "servers": len(servers),
        **{verdict: sum(1 for server in servers if server["verdict"] == verdict) for verdict in ORDER},
        "promise_kept": sum(1 for server in servers if server["verdict"] in (KEPT, ATTENTION)),
        "bytes": sum(server["newest"]["bytes"] or 0 for server in servers if server["newest"]),
        "new_bytes": sum(row["new_bytes"] or 0 for row in recent),
        "oldest_seconds": max(ages) if ages else None,
        "sets": sum(sum(server["states"][state] for state in _SEALED) for server in servers),
    }


# -- one server ----------------------------------------------------------------------------------------------------


def _judged(row: t.Mapping[str, t.Any], now: datetime.datetime, promise: float, drill_days: float, unread: str | None) -> Row:
    """Return what is judged of a server: C(verdict), C(age_seconds), C(verified), C(newest), C(look) (what to look at, worst first)."""
    verified = catalogue.newest(row["sets"], "verified")
    newest = catalogue.newest(row["sets"], *_SEALED)
    age = max(0, int((now - as_time(verified["began"])).total_seconds())) if verified and verified["began"] else None
    look = []
    if row["backup_host"] is None:
        verdict = NEVER
        look.append(_say("the inventory names no backup host for it, so nobody backs it up", "set seafile_backup_host for it"))
    elif unread is not None:
        verdict = UNKNOWN
        look.append(_say(f"its backup host {row['backup_host']} could not be read: {unread}", "make the backup host reachable, then make this report again"))
    elif age is None:
        verdict = NEVER
        look.append(_say("there is no verified set, so nothing is proved to come back", "run the backup and look at what it says"))
    elif age > promise * 3600:
        verdict = OVERDUE
        # no age in the sentence: it would make a new report of the same facts every hour
        look.append(_say(f"the newest verified set is older than the {hours(promise)} that were promised", "run the backup and look at what it says"))
    else:
        verdict = KEPT
    look += _of_run(row["last_run"]) + _of_set(newest) + _of_drills(row["drills"], now, drill_days)
    look += [_say(problem, "look at the named file; remove it when nobody knows it") for problem in row["problems"][:2]]
    if row["frozen"] and not look:
        look.append(_say(f"old sets are not pruned: {row['frozen'][0]}", "look at the newest sets and at the clocks"))
    if verdict == KEPT and look:
        verdict = ATTENTION
    return {
        "verdict": verdict,
        "age_seconds": age,
        "verified": verified["set_id"] if verified else None,
        "verified_began": verified["began"] if verified else None,
        "newest": newest,
        "look": look,
    }


def _say(text: str, next_step: str) -> dict[str, str]:
    """One thing to look at, without a point at the end. A message that tells its own next step knows better."""
    text, _mark, own = text.partition(" Next: ")
    return {"text": text.strip().rstrip("."), "next": (own or next_step).strip().rstrip(".")}


def hours(number: float) -> str:
    """Return I(number) of hours in words: C(26 hours), C(4 d)."""
    return f"{int(number)} hours" if number == int(number) and 1 < number <= 72 else words.duration(int(number * 3600))


def _of_run(run: Row | None) -> list[dict[str, str]]:
    if not run or run["state"] != "failed":
        return []
    told = ": ".join(part for part in (run["code"], run["message"]) if part) or "no reason was written down"
    return [_say(f"the last run, {short(run['ended'])}, failed: {told}", "do what the message says, then run the backup again")]


def _of_set(newest: Row | None) -> list[dict[str, str]]:
    if not newest:
        return []
    look = []
    reason = f": {newest['reasons'][0]}" if newest["reasons"] else ""
    if newest["state"] == "damaged":
        look.append(_say(f"the newest set {newest['set_id']} is damaged{reason}", "run the backup again, which fetches what the server still has"))
    elif newest["state"] == "sealed":
        look.append(_say(f"the newest set {newest['set_id']} was never verified{reason}", "run the playbook verify"))
    elif newest["damaged_at_source"]:
        count = words.several(newest["damaged_at_source"], "library is", "libraries are")
        look.append(_say(f"{count} damaged on the server itself{reason}", "bring the named files back from an older set or from a user's computer"))
    return look


def _of_drills(drills: t.Sequence[Row], now: datetime.datetime, days: float) -> list[dict[str, str]]:
    if drills and drills[0]["state"] == "failed":
        reason = f": {drills[0]['reasons'][0]}" if drills[0]["reasons"] else ""
        return [_say(f"the last restore drill, {short(drills[0]['ended'])}, failed{reason}", "look at its report, then run the drill again")]
    if not days:
        return []
    passed = next((drill["ended"] for drill in drills if drill["state"] == "passed" and drill["ended"]), None)
    if passed is None:
        return [_say("no restore drill has passed yet", "run the playbook drill")]
    late = (now - as_time(passed)).total_seconds() > days * _DAY
    return [_say(f"the last restore drill that passed, {short(passed)}, is more than {hours(days * 24)} ago", "run the playbook drill")] if late else []


def age(seconds: int | None) -> str:
    """An age as people compare it with a promise in hours: C(26 h 10 min), and days when there are many."""
    if seconds is None:
        return "never"
    if not 86400 <= seconds < 72 * 3600:
        return words.duration(seconds)
    minutes = seconds % 3600 // 60
    return f"{seconds // 3600} h {minutes} min" if minutes else f"{seconds // 3600} h"


def short(moment: str | None) -> str:
    """Return a moment of :mod:`clock` for people, to the minute: C(2026-11-23 03:00)."""
    return moment[:16].replace("T", " ") if moment else "at an unknown time"


# -- what is the same ----------------------------------------------------------------------------------------------

_PASSING = ("made", "age_seconds", "oldest_seconds", "room", "free_percent", "free_inodes_percent")


def same_facts(one: t.Any, other: t.Any) -> bool:
    """Say whether two reports tell the same but for the moment at which they looked: ages grow and free bytes move without anything happening.

    That a promise is broken meanwhile is a verdict, and that little room is left is told of the host: both count.
    """
    return _lasting(one) == _lasting(other)


def _lasting(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        # what came with a set is a fact; what came within the last day depends on the hour
        return {key: _lasting(item) for key, item in value.items() if key not in _PASSING and (key != "new_bytes" or "set_id" in value)}
    return [_lasting(item) for item in value] if isinstance(value, list) else value


def as_json(report: Row) -> str:
    """Return the report as the JSON file holds it."""
    return json.dumps(report, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def headline(report: t.Mapping[str, t.Any]) -> str:
    """Return the one sentence that everybody reads."""
    totals = report["totals"]
    promises = {server["promise_hours"] for server in report["servers"]}
    fresh = f"of the last {hours(promises.pop())}" if len(promises) == 1 else "as fresh as promised"
    if not totals["servers"]:
        return "There is no server in this inventory."
    kept, all_servers = totals["promise_kept"], totals["servers"]
    said = f"{kept} of {words.several(all_servers, 'server has', 'servers have')} a verified backup {fresh}"
    if kept == all_servers:
        said = f"Every one of {all_servers} servers has a verified backup {fresh}" if all_servers > 1 else f"The server has a verified backup {fresh}"
    parts = [f"{totals[verdict]} {name}" for verdict, name in ((OVERDUE, "overdue"), (NEVER, "without any"), (UNKNOWN, "not seen")) if totals[verdict]]
    parts += [f"{totals[ATTENTION]} to look at" if totals[ATTENTION] else ""]
    parts = [part for part in parts if part]
    return f"{said}; {', '.join(parts)}." if parts else f"{said}."
