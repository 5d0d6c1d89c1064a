# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table at the end of a run: what a person reads in ten seconds. Pure functions; plain ASCII, no escapes, no colours."""

from __future__ import annotations

import datetime
import textwrap
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import words
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_time
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import printable
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import set_time
from ansible_collections.seafleet.seafile.plugins.module_utils.run_result import BAD, STATES, without_server

WIDTH = 132
"""Characters of a line. Reasons are cut to it; whole they stand in the result and in the failure of the server."""
MOST_ROWS = 20
"""Servers of one verdict that have a row each; beyond it those that are well are only counted, and those that are not are named."""
_LONGEST_NAME = 40
_HEAD = ("SERVER", "VERDICT", "SET", "LAST GOOD", "NEW", "TIME", "REASON")
_TO_THE_RIGHT = (4, 5)


def plain(text: t.Any) -> str:
    """Return I(text) in printable ASCII, everything else as escapes that a terminal does not obey."""
    return printable(str(text)).encode("ascii", "backslashreplace").decode("ascii")


def cut(text: str, width: int) -> str:
    """Return I(text) in at most I(width) characters, its end replaced by three dots where it is longer."""
    return text if len(text) <= width else f"{text[:max(0, width - 3)]}..."[:width]


def _age(set_id: t.Any, now: datetime.datetime) -> str:
    moment = set_time(set_id) if isinstance(set_id, str) else None
    # the backup host's clock made the id, and may be a little ahead
    return "none" if moment is None else words.duration(max(0, int((now - moment).total_seconds())))


def _cells(row: t.Mapping[str, t.Any], now: datetime.datetime) -> tuple[str, ...]:
    reason = ""
    if row["state"] in BAD:
        reason = f"{row['code']}: {without_server(without_server(row['message'], row['server']), row['code'])}"
    elif row["reasons"]:
        reason = " ".join(row["reasons"])
    elif row["warnings"]:
        reason = f"warning: {row['warnings'][0]}"
    new = words.size(row["new_bytes"]) if row["new_objects"] else "-"
    return (cut(plain(row["server"]), _LONGEST_NAME), plain(row["state"]), plain(row["set_id"] or "-"), _age(row["kept"], now), new,
            words.duration(row["seconds"]), plain(reason))


def _line(cells: t.Sequence[str], widths: t.Sequence[int], width: int) -> str:
    told = [cell.rjust(widths[at]) if at in _TO_THE_RIGHT else cell.ljust(widths[at]) for at, cell in enumerate(cells[:-1])]
    return cut("  ".join([*told, cells[-1]]).rstrip(), width)


def headline(result: t.Mapping[str, t.Any]) -> str:
    """Return the verdict over all: C(17 of 20 servers verified, 2 failed, 1 damaged, 4 min 12 s, 1.2 GB new)."""
    totals = result["totals"]
    parts = [f"{totals['verified']} of {words.count(totals['servers'], 'server')} verified"]
    parts += [f"{totals[state]} {state}" for state in ("failed", "damaged", "sealed") if totals[state]]
    skipped = totals["servers"] - sum(totals[state] for state in ("verified", "sealed", "damaged", "failed"))
    parts += [f"{skipped} only looked at"] if skipped else []
    seconds = int((as_time(result["ended"]) - as_time(result["began"])).total_seconds())
    run = f"{plain(result['playbook'])} {plain(result['run_id'])}"
    return f"{run}: {', '.join(parts)}; {words.duration(max(0, seconds))}, {words.size(totals['new_bytes'])} new"


def _more(rows: t.Sequence[t.Mapping[str, t.Any]], state: str, width: int) -> list[str]:
    """Return the lines for servers that have no row of their own."""
    if state in BAD:
        names = ", ".join(plain(row["server"]) for row in rows)
        return textwrap.wrap(f"and {len(rows)} more {state}: {names}", width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    longest = max(rows, key=lambda row: row["seconds"])
    new = words.size(sum(row["new_bytes"] for row in rows))
    return [cut(f"{words.count(len(rows), 'server')} {state}, {new} new, the longest was {plain(longest['server'])} with "
                f"{words.duration(longest['seconds'])}", width)]


def table(result: t.Mapping[str, t.Any], now: datetime.datetime, width: int = WIDTH, most_rows: int = MOST_ROWS) -> list[str]:
    """Return the lines: the verdict over all first, then the servers, the worst first; of each verdict in the order of the run."""
    of_state: dict[str, list[t.Mapping[str, t.Any]]] = {state: [row for row in result["servers"] if row["state"] == state] for state in STATES}
    shown: dict[str, list[t.Mapping[str, t.Any]]] = {}
    for state, rows in of_state.items():
        if len(rows) <= most_rows:
            shown[state] = rows
        else:
            # what is well needs no row each; what is not is all named
            shown[state] = rows[:most_rows] if state in BAD else []
    cells = {state: [_cells(row, now) for row in rows] for state, rows in shown.items()}
    every = [_HEAD, *(row for rows in cells.values() for row in rows)]
    widths = [max(len(row[at]) for row in every) for at in range(len(_HEAD) - 1)]
    lines = [headline(result)]
    if len(every) > 1:
        lines.append(_line(_HEAD, widths, width))
    for state in STATES:
        lines += [_line(row, widths, width) for row in cells[state]]
        rest = of_state[state][len(shown[state]):]
        lines += _more(rest, state, width) if rest else []
    return lines
