# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup host has: every server's sets, drills and last run in short rows, and the room that is left. Reads only.

Whatever is found is told as it is: a file that cannot be read becomes a sentence of C(problems), never a failure, and nothing is left out
in silence. The rows are made for the report, for metrics and for people; a set's whole truth is its manifest.
"""

from __future__ import annotations

import datetime
import json
import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import retention, run_record, set_removal, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, as_time
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, runs, set_time
from ansible_collections.seafleet.seafile.plugins.module_utils.places import room
from ansible_collections.seafleet.seafile.plugins.module_utils.set_order import PARTIAL
from ansible_collections.seafleet.seafile.plugins.module_utils.verification_record import DAMAGED, SOURCE, VERIFIED

FORMAT = 1
STATES = ("verified", "sealed", "damaged", "partial")
MOST_REASONS = 3
MOST_DRILLS = 20
MOST_RUNS = 200
"""So many run results are read, the newest; the last run of a server that is not among them is told by its sets."""
_MOST_BYTES = 8 * 1024 * 1024
_LEASE = 21600
"""Seconds without a sign of life after which a run counts as dead."""
_LONGEST = 400

Row = t.Dict[str, t.Any]


def servers(backup_root: str) -> list[str]:
    """Return the names of all servers that have a backup below I(backup_root), sorted."""
    try:
        names = sorted(os.listdir(backup_root))
    except FileNotFoundError:
        return []
    # a name that no server can have is no server's directory
    return [name for name in names if not name.startswith(".") and name.isprintable() and os.path.isdir(os.path.join(backup_root, name, "sets"))]


def of_host(backup_root: str, now: datetime.datetime, policies: t.Mapping[str, t.Any] | None = None) -> dict[str, t.Any]:
    """Return what the directory I(backup_root) of this host holds.

    :arg policies: options of :class:`retention.Policy` by server, for what would go next; what is not said is the policy's own default.
    :returns: C(format), C(looked), C(backup_root), C(room) (see :func:`places.room`), C(runs) (newest first), C(problems), and C(servers): a row
        of :func:`of_server` for each.
    """
    problems: list[str] = []
    results = _run_results(backup_root, problems)
    last = _last_runs(results)
    return {
        "format": FORMAT,
        "looked": as_text(now),
        "backup_root": backup_root,
        "room": room(backup_root),
        "runs": [{key: run[key] for key in ("run_id", "playbook", "began", "ended", "totals")} for run in results[:MOST_DRILLS]],
        "problems": problems,
        "servers": [of_server(ServerLayout(backup_root, name), name, now, last.get(name), (policies or {}).get(name)) for name in servers(backup_root)],
        # a server whose run failed before anything was written has no directory yet
        "failed_before": [dict(row, server=name) for name, row in sorted(last.items()) if not os.path.isdir(os.path.join(backup_root, name, "sets"))],
    }


def of_server(layout: ServerLayout, server: str, now: datetime.datetime, last_run: Row | None = None, policy: t.Any = None) -> Row:
    """Return the row of one server: C(server), C(sets) (newest first, also partial ones), C(states) (their numbers), C(drills), C(last_run),
    C(quarantine_files), C(goes) (the ids of the sets that would be pruned next), C(frozen) (why none is), C(problems).

    :arg last_run: what the result of its last run says. A set that is newer counts for more.
    :arg policy: options of :class:`retention.Policy`.
    """
    problems: list[str] = []
    rows = [_sealed(layout, set_id) for set_id in sets.sealed_ids(layout)] + [_partial(layout, set_id) for set_id in sets.partial_ids(layout)]
    rows.sort(key=lambda row: row["set_id"], reverse=True)
    states = dict.fromkeys(STATES, 0)
    for row in rows:
        states[row["state"]] += 1
    goes, frozen = _retention(layout, rows, now, policy, problems)
    return {
        "server": server,
        "goes": goes,
        "frozen": frozen,
        "sets": rows,
        "states": states,
        "drills": _drills(layout, problems),
        "last_run": _newer(last_run, rows),
        "quarantine_files": _files_below(layout.quarantine),
        "problems": problems,
    }


def newest(rows: t.Iterable[Row], *states: str) -> Row | None:
    """Return the newest of the sets I(rows), newest first, that is in one of I(states), or None."""
    return next((row for row in rows if row["state"] in states), None)


def seconds_between(began: t.Any, ended: t.Any) -> int | None:
    """Return the seconds from one moment to the other, as texts of :mod:`clock`; None when they do not tell."""
    try:
        return max(0, int((as_time(ended) - as_time(began)).total_seconds()))
    except (TypeError, ValueError):
        return None


# -- sets ----------------------------------------------------------------------------------------------------------


def _number(value: t.Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text(value: t.Any) -> str | None:
    return value[:_LONGEST] if isinstance(value, str) and value else None


def _texts(value: t.Any, most: int) -> list[str]:
    return [text[:_LONGEST] for text in value[:most] if isinstance(text, str)] if isinstance(value, list) else []


def _moment(value: t.Any) -> str | None:
    """Return I(value) when it is a moment as :mod:`clock` writes it, else None: whoever reads on need not ask again."""
    try:
        return as_text(as_time(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _id_moment(set_id: str) -> str | None:
    moment = set_time(set_id)
    return as_text(moment) if moment else None


def _sealed(layout: ServerLayout, set_id: str) -> Row:
    """The short row of a sealed set, however damaged it is."""
    row, manifest, record = sets.look(layout, set_id)
    manifest = manifest or {}
    stages = manifest.get("stages")
    objects = stages.get("objects") if isinstance(stages, dict) else None
    objects = objects if isinstance(objects, dict) else {}
    began = _moment(row.get("began")) or _id_moment(set_id)
    sealed = _moment(row.get("sealed"))
    found = {
        "set_id": set_id,
        "state": row["state"],
        "began": began,
        "ended": sealed,
        "seconds": seconds_between(began, sealed),
        "bytes": _number(row.get("bytes")),
        "new_bytes": _number(objects.get("bytes_transferred")),
        "new_objects": _number(objects.get("transferred")),
        "libraries": _number(row.get("libraries")),
        "engine": _text(row.get("engine")),
        "version": _text(row.get("version")),
        "reasons": _texts(row["reasons"], MOST_REASONS),
        "warnings": _texts(manifest.get("warnings"), MOST_REASONS),
        "checked": None,
        "level": None,
        "findings": 0,
        "objects": None,
        "damaged_here": 0,
        "damaged_at_source": 0,
    }
    if record:
        libraries = record["damaged_libraries"]
        source = sum(1 for library in libraries if library["where"] == SOURCE)
        found.update(
            checked=_moment(record["ended"]),
            level=_text(record["level"]),
            findings=record["findings_total"],
            objects=_objects(record),
            damaged_here=len(libraries) - source,
            damaged_at_source=source,
        )
        if row["state"] == VERIFIED:
            found["reasons"] = _texts(record["reasons"], MOST_REASONS)  # what is damaged on the server itself
    return found


def _objects(record: t.Mapping[str, t.Any]) -> int | None:
    """How many objects the verification found good: those read, and those proved before that are still there."""
    try:
        return sum(kind["files"] for kind in record["hashed"].values()) + sum(record["trusted"].values())
    except (KeyError, TypeError, AttributeError):
        return None


def _partial(layout: ServerLayout, set_id: str) -> Row:
    row = sets.describe(layout, set_id, False)
    return {"set_id": set_id, "state": PARTIAL, "began": _id_moment(set_id), "reasons": _texts(row["reasons"], MOST_REASONS)}


def _retention(layout: ServerLayout, rows: t.Sequence[Row], now: datetime.datetime, options: t.Any, problems: list[str]) -> tuple[list[str], list[str]]:
    """Return the ids of the sets that would go now, oldest first, and why none does, as far as the states of the sets tell."""
    try:
        policy = _policy(options)
    except SeafileError as error:
        problems.append(f"what would be pruned is not known: {error.what}: {error.cause}")
        policy = None
    active = run_record.refusal(layout, run_record.Run(layout).read(), {}, now, _LEASE, None)
    running = active.details["holder"].get("set_id") if active else None
    places = [{**row, "path": layout.partial(row["set_id"]) if row["state"] == PARTIAL else layout.sealed(row["set_id"])} for row in rows]
    decision = retention.decide(set_removal.entries(layout, places, running, now), now, policy or retention.Policy())
    return list(decision.going) if policy else [], [text[:_LONGEST] for text in decision.frozen[:MOST_REASONS]]


def _policy(options: t.Any) -> retention.Policy:
    """Return the policy that I(options) say. Raises C(retention-policy), C(set-id-invalid)."""
    try:
        given = {key: frozenset(map(str, value)) if key == "hold" else int(value) for key, value in (options or {}).items()}
        return retention.Policy(**given)
    except (TypeError, ValueError, AttributeError):
        raise SeafileError("retention-policy", "seafile_retention_*", "a value is no number, or there is no such setting") from None


def _files_below(directory: str) -> int:
    return sum(len(files) for _folder, _names, files in os.walk(directory))


# -- drills and runs -----------------------------------------------------------------------------------------------


def _json(path: str, problems: list[str]) -> dict[str, t.Any] | None:
    """Return the object in the file I(path); None, and a sentence in I(problems), when there is none that can be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            value = json.loads(stream.read(_MOST_BYTES))
    except OSError as error:
        problems.append(f"{path} cannot be read ({error.strerror})")
        return None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        problems.append(f"{path} is not what was written there")
        return None
    return value


def _names(directory: str, problems: list[str]) -> list[str]:
    """Return the names of the JSON files in I(directory), newest first: they begin with their moment."""
    try:
        return sorted((name for name in os.listdir(directory) if name.endswith(".json") and not name.startswith(".")), reverse=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(f"{directory} cannot be read ({error.strerror})")
        return []


def _drills(layout: ServerLayout, problems: list[str]) -> list[Row]:
    """Return the reports of drills, newest first; behind them, when it is older than those, the last one that passed."""
    rows: list[Row] = []
    for name in _names(layout.drills, problems):
        value = _json(os.path.join(layout.drills, name), problems)
        if value is None:
            continue
        passed = value.get("state") == "passed"
        if len(rows) >= MOST_DRILLS and not (passed and all(row["state"] != "passed" for row in rows)):
            continue
        rows.append(
            {
                "id": name[: -len(".json")],
                "state": "passed" if passed else "failed",
                "began": _moment(value.get("began")),
                "ended": _moment(value.get("ended")),
                "set_id": _text(value.get("set_id")),
                "recovery_seconds": _number(value.get("recovery_seconds")),
                "lost_seconds": _number(value.get("lost_seconds")),
                "reasons": _texts(value.get("reasons"), MOST_REASONS),
            }
        )
        if len(rows) >= MOST_DRILLS and any(row["state"] == "passed" for row in rows):
            break
    return rows


def _run_results(backup_root: str, problems: list[str]) -> list[Row]:
    found = []
    directory = runs(backup_root)
    for name in _names(directory, problems)[:MOST_RUNS]:
        value = _json(os.path.join(directory, name), problems)
        if value is None:
            continue
        if not isinstance(value.get("servers"), list) or not _moment(value.get("ended")):
            problems.append(f"{os.path.join(directory, name)} is not what was written there")
            continue
        totals = value.get("totals")
        found.append(
            {
                "run_id": name[: -len(".json")],
                "playbook": _text(value.get("playbook")),
                "began": _moment(value.get("began")),
                "ended": _moment(value["ended"]),
                "totals": {str(key): number for key, number in totals.items() if _number(number) is not None} if isinstance(totals, dict) else {},
                "servers": [row for row in value["servers"] if isinstance(row, dict)],
            }
        )
    return found


def _last_runs(results: t.Sequence[Row]) -> dict[str, Row]:
    """Return for each server what its last backup run gave; a run that left it out says nothing of it."""
    last: dict[str, Row] = {}
    for run in results:
        for row in run["servers"] if run["playbook"] == "backup" else ():
            server, state = row.get("server"), row.get("state")
            if not isinstance(server, str) or server in last or state not in ("verified", "sealed", "damaged", "failed"):
                continue
            if server.startswith(".") or "/" in server or not server.isprintable() or not server:
                continue
            began, ended = _moment(row.get("began")) or run["began"], _moment(row.get("ended")) or run["ended"]
            last[server] = {
                "state": state,
                "code": _text(row.get("code")),
                "message": _text(row.get("message")),
                "began": began,
                "ended": ended,
                "seconds": _number(row.get("seconds")) if _number(row.get("seconds")) is not None else seconds_between(began, ended),
                "set_id": _text(row.get("set_id")),
                "run_id": run["run_id"],
            }
    return last


def _newer(told: Row | None, rows: t.Sequence[Row]) -> Row | None:
    """Return what is known of the last run: its result, or, where that is older or missing, the newest set.

    A role that somebody uses without the playbook writes no result, but it leaves a set.
    """
    for row in rows:
        if told and (told["set_id"] == row["set_id"] or (told["ended"] or "") >= (row["began"] or "")):
            break
        if row["state"] == PARTIAL:
            if not row["reasons"]:
                continue  # it may be at work now
            return {
                "state": "failed",
                "code": None,
                "message": row["reasons"][0],
                "began": row["began"],
                "ended": row["began"],
                "seconds": None,
                "set_id": row["set_id"],
                "run_id": None,
            }
        return {
            "state": row["state"],
            "code": None,
            "message": row["reasons"][0] if row["state"] == DAMAGED and row["reasons"] else None,
            "began": row["began"],
            "ended": row["ended"] or row["began"],
            "seconds": row["seconds"],
            "set_id": row["set_id"],
            "run_id": None,
        }
    return told
