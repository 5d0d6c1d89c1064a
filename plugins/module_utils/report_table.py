# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a fleet as text that reads well in the log of a job: plain lines, no terminal, nothing but what can be printed. Pure functions."""

from __future__ import annotations

import typing as t
import unicodedata

from ansible_collections.seafleet.seafile.plugins.module_utils import fleet_report, words
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import printable
from ansible_collections.seafleet.seafile.plugins.module_utils.fleet_report import ATTENTION, KEPT, NEVER, OVERDUE, UNKNOWN, short

WORDS = {OVERDUE: "OVERDUE", NEVER: "NO BACKUP", UNKNOWN: "NOT SEEN", ATTENTION: "kept, look", KEPT: "kept"}
_HEADS = ("PROMISE", "SERVER", "VERIFIED AT", "AGE", "NEWEST", "SIZE", "NEW", "TOOK", "DRILL", "BACKUP HOST")
_RIGHT = frozenset(("SIZE", "NEW", "TOOK"))
_LONGEST_CELL = 40


def width(text: str) -> int:
    """Return how many columns of a fixed-width font I(text) takes."""
    return sum(0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def table(heads: t.Sequence[str], rows: t.Sequence[t.Sequence[str]], right: t.Collection[str] = ()) -> list[str]:
    """Return I(rows) below I(heads) in columns, a line each.

    :arg right: heads of the columns that end at the same place.
    """
    cells = [list(heads)] + [[_cut(printable(cell)) for cell in row] for row in rows]
    widths = [max(width(line[number]) for line in cells) for number in range(len(heads))]
    lines = []
    for line in cells:
        padded = []
        for number, cell in enumerate(line):
            space = " " * (widths[number] - width(cell))
            padded.append(space + cell if heads[number] in right else cell + space)
        lines.append("  ".join(padded).rstrip())
    return lines


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 3] + "..."


def lines(report: t.Mapping[str, t.Any]) -> list[str]:
    """Return the report for a log: the headline, the servers (the worst first), what to look at, and the backup hosts."""
    found = [f"{printable(report['title'])}, looked at {short(report['made'])} UTC", fleet_report.headline(report), ""]
    found += table(_HEADS, [_row(server) for server in report["servers"]], _RIGHT)
    look = [line for server in report["servers"] for line in _look(server["server"], server["look"])]
    look += [line for host in report["hosts"] for line in _look(host["backup_host"], host["look"])]
    if look:
        found += ["", "Look at these first:", *look]
    found += [
        "",
        *table(("BACKUP HOST", "DIRECTORY", "SERVERS", "FREE", "FREE INODES"), [_host(host) for host in report["hosts"]], ("SERVERS", "FREE", "FREE INODES")),
    ]
    if report["strangers"]:
        found += [
            "",
            "Kept, but not in this inventory: "
            + ", ".join(printable(f"{row['server']} ({row['backup_host']}, newest set {short(row['newest'])})") for row in report["strangers"]),
        ]
    return found


def _row(server: t.Mapping[str, t.Any]) -> list[str]:
    newest, drill = server["newest"] or {}, server["drills"][0] if server["drills"] else None

    def told(key: str, tell: t.Callable[[t.Any], str]) -> str:
        return "-" if newest.get(key) is None else tell(newest[key])

    unseen = server["verdict"] == UNKNOWN
    return [
        WORDS[server["verdict"]],
        server["server"],
        short(server["verified_began"]) if server["verified_began"] else "-",
        "-" if unseen else fleet_report.age(server["age_seconds"]),
        newest.get("state") or "-",
        told("bytes", words.size),
        told("new_bytes", words.size),
        told("seconds", words.duration),
        f"{drill['state']} {short(drill['ended'])[:10]}" if drill else "-",
        server["backup_host"] or "-",
    ]


def _host(host: t.Mapping[str, t.Any]) -> list[str]:
    row = [host["backup_host"], host["backup_root"], str(host["servers"])]
    if not host["read"]:
        return row + ["NOT SEEN", "-"]
    free = host["free_percent"]
    return row + [
        words.size(host["room"]["free_bytes"]) + (f" ({free} %)" if free is not None else ""),
        f"{host['free_inodes_percent']} %" if host["free_inodes_percent"] is not None else "-",
    ]


def _look(name: str, entries: t.Iterable[t.Mapping[str, str]]) -> list[str]:
    return [printable(f"  {name}: {entry['text']}. Next: {entry['next']}.") for entry in entries]
