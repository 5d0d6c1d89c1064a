# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a run: one row a server, the totals, and what is kept of it as JSON. Pure functions. See C(docs/fleet.md)."""

from __future__ import annotations

import datetime
import re
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.clock import TIME, as_text
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import printable
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import SET_ID_FORMAT

FORMAT = 1
VERIFIED, SEALED, DAMAGED, FAILED, SKIPPED = "verified", "sealed", "damaged", "failed", "skipped"
STATES = (FAILED, DAMAGED, SEALED, SKIPPED, VERIFIED)
"""What became of a server, the worst first. Skipped is a server that nothing was done for, as in check mode."""
BAD = (FAILED, DAMAGED)
NO_CODE = "failed"
"""The code of a failure that is none of this collection's own, such as a missing Python."""
_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}")
_MOST_TEXTS = 20
_LONGEST_TEXT = 2000


def new_run_id(now: datetime.datetime, noise: int) -> str:
    """Return the id of a run that begins I(now); I(noise) keeps runs of several controllers apart."""
    return f"{now.astimezone(datetime.timezone.utc).strftime(SET_ID_FORMAT)}-{noise & 0xFFFF:04x}"


def is_run_id(text: str) -> bool:
    """Say whether I(text) has the form of a run's id, so that it may be the name of a file."""
    return bool(_RUN_ID.fullmatch(text))


def _text(value: t.Any) -> str:
    return printable(str(value))[:_LONGEST_TEXT]


def _texts(values: t.Any) -> list[str]:
    return [_text(value) for value in values][:_MOST_TEXTS] if isinstance(values, (list, tuple)) else []


def _mapping(value: t.Any) -> t.Mapping[str, t.Any]:
    return value if isinstance(value, t.Mapping) else {}


def _number(value: t.Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _seconds(began: str, ended: str) -> int:
    try:
        return max(0, round((datetime.datetime.strptime(ended, TIME) - datetime.datetime.strptime(began, TIME)).total_seconds()))
    except ValueError:
        return 0


def row(server: str, backup_host: str, state: str, began: str, ended: str, **known: t.Any) -> dict[str, t.Any]:
    """Return the row of one server, with the value of an absent thing for all that is not I(known)."""
    values: dict[str, t.Any] = {
        "server": server, "backup_host": backup_host, "state": state, "set_id": None, "code": None, "message": None, "began": began, "ended": ended,
        "seconds": _seconds(began, ended), "bytes": 0, "new_objects": 0, "new_bytes": 0, "kept": None, "reasons": [], "warnings": [], "pruned": []}
    values.update(known)
    return values


def failed_row(server: str, backup_host: str, began: str, ended: str, code: t.Any, message: t.Any, **known: t.Any) -> dict[str, t.Any]:
    """Return the row of a server that failed; I(message) is one sentence."""
    return row(server, backup_host, FAILED, began, ended, code=_text(code or NO_CODE), message=_text(message), **known)


def finished_row(
    server: str, backup_host: str, began: str, ended: str, begun: t.Any, sealed: t.Any, pulls: t.Sequence[t.Any], verdict: t.Any, pruned: t.Any,
    warnings: t.Any, check_mode: bool, kept: str | None,
) -> dict[str, t.Any]:
    """Return the row of a server whose run came to its end.

    :arg begun, sealed: what the modules C(backup_set) and C(set_verify) returned; anything else for none.
    :arg pulls: what C(set_pull) returned, each time; likewise.
    :arg verdict: the verification of the set, C(state) and C(reasons).
    :arg pruned: ids of sets that this run removed.
    :arg kept: the last good set before this run.
    """
    sealed, verdict = _mapping(sealed), _mapping(verdict)
    objects = [_mapping(_mapping(pulled).get("objects")) for pulled in pulls]
    state = SKIPPED if check_mode else verdict.get("state") if verdict.get("state") in (VERIFIED, DAMAGED) else SEALED
    set_id = sealed.get("set_id") or _mapping(begun).get("set_id")
    reasons = _texts(verdict.get("reasons"))
    known: dict[str, t.Any] = {
        "set_id": set_id, "bytes": _number(sealed.get("bytes")), "new_objects": sum(_number(part.get("transferred")) for part in objects),
        "new_bytes": sum(_number(part.get("bytes_transferred")) for part in objects), "kept": set_id if state == VERIFIED else kept, "reasons": reasons,
        "warnings": _texts(warnings), "pruned": _texts(pruned)}
    if state == DAMAGED:
        known.update(code="set-incomplete", message=(
            f"set-incomplete: {' '.join(reasons)} Next: run the backup again, which fetches what the server still has; details: "
            f"{backup_host}:{sealed.get('path')}/manifest.json"))
    return row(server, backup_host, str(state), began, ended, **known)


def totals(rows: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, int]:
    """Return how many servers came to which end, and their bytes."""
    counts = {state: sum(1 for one in rows if one["state"] == state) for state in (VERIFIED, SEALED, DAMAGED, FAILED)}
    return {"servers": len(rows), **counts, "bytes": sum(one["bytes"] for one in rows), "new_bytes": sum(one["new_bytes"] for one in rows)}


def document(run_id: str, playbook: str, began: str, ended: datetime.datetime, controller: str, rows: t.Sequence[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Return the result of a run as it is kept."""
    return {
        "format": FORMAT, "run_id": run_id, "playbook": playbook, "began": began, "ended": as_text(ended), "controller": controller,
        "servers": list(rows), "totals": totals(rows)}


def statistics(result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the part of a result that C(set_stats) hands to a workflow."""
    return {
        "run_id": result["run_id"], "totals": dict(result["totals"]),
        "servers": {one["server"]: {key: one[key] for key in ("state", "set_id", "code", "bytes", "reasons")} for one in result["servers"]}}


def without_server(message: t.Any, server: str) -> str:
    """Return I(message) without the server's name at its beginning, for where the name stands already."""
    text = str(message or "")
    return text[len(server) + 2:] if text.startswith(f"{server}: ") else text


def sentence(one: t.Mapping[str, t.Any], kept_known: bool = True) -> str:
    """Return why a server has no good set, in one line that names it, the next step and what is kept.

    :arg kept_known: False when nobody could be asked what there is.
    """
    kept = f"set {one['kept']}" if one["kept"] else "no sealed set yet" if kept_known else "every earlier set"
    return f"{one['server']}: {without_server(one['message'] or one['state'], one['server']).rstrip('.')}. Kept: {kept}."
