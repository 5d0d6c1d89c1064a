# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup host holds, as the collection writes it, for tests of what reads it."""

from __future__ import annotations

import json

LIBRARY = "08cb4330-5c51-4e91-a6a0-5409053e95af"


def moment(set_id):
    """The moment that a set id names."""
    return f"{set_id[:4]}-{set_id[4:6]}-{set_id[6:8]}T{set_id[9:11]}:{set_id[11:13]}:{set_id[13:15]}Z"


def write(path, value):
    """Write I(value) as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="ascii")


def verification(state="verified", ended="2026-11-23T03:05:00Z", libraries=(), reasons=()):
    """The record of a verification."""
    kinds = ("blocks", "commits", "fs")
    return {
        "format": 1,
        "state": state,
        "level": "new",
        "ended": ended,
        "findings_total": len(libraries),
        "findings": [],
        "damaged_libraries": list(libraries),
        "reasons": list(reasons),
        "hashed": {kind: {"files": 1, "bytes": 10} for kind in kinds},
        "trusted": dict.fromkeys(kinds, 2),
    }


def damage(where, name="Films"):
    """A damaged library."""
    return {"id": LIBRARY, "name": name, "findings": 1, "where": where}


def sealed(root, server, set_id, record=None, **more):
    """A sealed set, as far as the catalogue reads it."""
    value = {
        "format": 1,
        "set_id": set_id,
        "began": moment(set_id),
        "sealed": moment(set_id)[:17] + "45Z",
        "engine": "mysql",
        "libraries": 12,
        "bytes": 5000,
        "databases": [{"name": "seafile-db", "role": "seafile", "engine": "mysql", "file": "seafile-db.sql.gz", "sha256": "0" * 64}],
        "seafile": {"version": "11.0.13"},
        "warnings": [],
        "stages": {"objects": {"transferred": 3, "bytes_transferred": 700}},
        **more,
    }
    if record:
        value["verification"] = record
    write(root / server / "sets" / set_id / "manifest.json", value)


def partial(root, server, set_id, reason=None):
    """A set that was given up, or, without a reason, one that is being written."""
    directory = root / server / "sets" / f".{set_id}.partial"
    directory.mkdir(parents=True)
    if reason:
        write(directory / "failure.json", {"reason": reason})


def drill(root, server, moment_id, **more):
    """The report of a drill."""
    write(
        root / server / "drills" / f"{moment_id}.json",
        {
            "format": 1,
            "state": "passed",
            "began": moment(moment_id),
            "ended": moment(moment_id),
            "set_id": moment_id,
            "recovery_seconds": 61,
            "lost_seconds": 3600,
            "reasons": [],
            **more,
        },
    )


def run(root, run_id, *rows, playbook="backup"):
    """The result of a run that ended an hour after it began."""
    began = moment(run_id)
    write(
        root / ".seafleet" / "runs" / f"{run_id}-5e1f.json",
        {
            "format": 1,
            "run_id": f"{run_id}-5e1f",
            "playbook": playbook,
            "began": began,
            "ended": began[:11] + "04:00:00Z",
            "servers": list(rows),
            "totals": {"servers": len(rows)},
        },
    )


def row(server, state="verified", **more):
    """A server's row in the result of a run."""
    return {"server": server, "state": state, "began": None, "ended": None, "seconds": 50, "set_id": None, "code": None, "message": None, **more}
