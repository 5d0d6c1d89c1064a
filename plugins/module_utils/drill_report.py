# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill found, as data and as a page for people. All of it out of one dictionary; nothing is looked up here."""

from __future__ import annotations

import html
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import words
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_time
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import printable

FORMAT = 1
PASSED, FAILED = "passed", "failed"

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --good: #1a7f37; --bad: #c93c37; --line: #8886; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; }}
.passed {{ color: var(--good); }}
.failed {{ color: var(--bad); }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: .35rem .5rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }}
th {{ width: 14rem; font-weight: 600; }}
@media print {{ body {{ margin: 0; }} }}
</style>
</head>
<body>
<h1>{title}</h1>
<p class="{state}"><strong>{verdict}</strong></p>
{reasons}
<table>
{rows}
</table>
<p>Nothing was started and nothing was sent. What the drill made was {removed}.</p>
</body>
</html>
"""


def report(server: str, facts: t.Mapping[str, t.Any], reasons: t.Sequence[str]) -> dict[str, t.Any]:
    """Return the report of a drill of I(server).

    :arg facts: C(began), C(ended) (texts of times), and what is known of C(set_id), C(set_began), C(host), C(passed_over), C(libraries),
        C(objects), C(bytes), C(tables), C(rows), C(removed).
    :arg reasons: why it failed, one sentence each; none: it passed.
    """
    began, ended = as_time(facts["began"]), as_time(facts["ended"])
    point = as_time(facts["set_began"]) if facts.get("set_began") else None
    return {
        "format": FORMAT, "server": server, "state": FAILED if reasons else PASSED, "reasons": [printable(reason) for reason in reasons],
        "recovery_seconds": max(0, int((ended - began).total_seconds())),
        "lost_seconds": max(0, int((began - point).total_seconds())) if point else None,
        **facts}


def lines(value: t.Mapping[str, t.Any]) -> list[tuple[str, str]]:
    """Return the I(value) of a report as pairs of a name and what there is to say."""
    found = [
        ("server", value["server"]),
        ("drill", f"began {value['began']}, ended {value['ended']}, on {value.get('host') or 'an unknown host'}"),
        ("set", f"{value['set_id']}, begun {value.get('set_began')}" if value.get("set_id") else "none was chosen"),
        ("recovery time", f"{words.duration(value['recovery_seconds'])} from the choice of the set to the end of all checks"),
        ("what would be lost", f"{words.duration(value['lost_seconds'])}: from the beginning of the set to that of the drill"),
    ]
    if value.get("libraries") is not None:
        found.append(("checked", f"{value['libraries']} libraries with {value['objects']} objects of {value['bytes']} bytes, each read and hashed; "
                                 f"{value['rows']} rows in {value['tables']} tables, as many as in the dumps; the set's files are as its SHA256SUMS says"))
    found += [("passed over", f"{entry['set_id']}: {'; '.join(entry['reasons'][:3])}") for entry in value.get("passed_over") or ()]
    return [(name, printable(str(text))) for name, text in found]


def verdict(value: t.Mapping[str, t.Any]) -> str:
    """Return the one sentence that everybody reads."""
    if value["state"] == PASSED:
        return f"The backup of {value['server']} came back whole in {words.duration(value['recovery_seconds'])}."
    count = len(value["reasons"])
    return f"The backup of {value['server']} did not come back as it should: {count} reason{'' if count == 1 else 's'}."


def page(value: t.Mapping[str, t.Any]) -> str:
    """Return the report as a page that stands alone."""
    rows = "\n".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in lines(value))
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in value["reasons"][:200])
    return _PAGE.format(
        title=html.escape(f"Restore drill of {value['server']}, {value['began']}"), state=value["state"], verdict=html.escape(verdict(value)),
        reasons=f"<ul>{reasons}</ul>" if reasons else "", rows=rows, removed="removed" if value.get("removed", True) else "left where it is")
