# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a fleet as one page that stands alone: no script, nothing from elsewhere, every name escaped. Pure functions."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import charts, fleet_report, words
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_time
from ansible_collections.seafleet.seafile.plugins.module_utils.fleet_page_style import STYLE
from ansible_collections.seafleet.seafile.plugins.module_utils.fleet_report import ATTENTION, KEPT, NEVER, ORDER, OVERDUE, UNKNOWN, short
from ansible_collections.seafleet.seafile.plugins.module_utils.markup import Markup, element, joined

WORDS = {OVERDUE: "Overdue", NEVER: "No backup", UNKNOWN: "Not seen", ATTENTION: "Kept, but look", KEPT: "Kept"}
DAYS = 30
"""So many days has the strip of each server, and its charts at the most three times as many."""
MOST_SETS = 40
MOST_GOING = 6
_SEALED = ("verified", "sealed", "damaged")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

Row = t.Dict[str, t.Any]

_SHAPES = {
    "check": "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm3.6 5.2-4.2 4.6a.9.9 0 0 1-1.3 0L4.3 9a.9.9 0 1 1 1.3-1.3l1.1 1.1 3.6-3.9a.9.9 0 1 1 1.3 1.3Z",
    "stop": "M5.2 1h5.6L15 5.2v5.6L10.8 15H5.2L1 10.8V5.2L5.2 1Zm5.4 5.7L9.3 8l1.3 1.3-1.3 1.3L8 9.3l-1.3 1.3-1.3-1.3L6.7 8 "
    "5.4 6.7l1.3-1.3L8 6.7l1.3-1.3 1.3 1.3Z",
    "look": "M7.1 1.6a1 1 0 0 1 1.8 0l6.2 11.9a1 1 0 0 1-.9 1.5H1.8a1 1 0 0 1-.9-1.5L7.1 1.6ZM7.1 5.6l.3 4.2h1.2l.3-4.2H7.1ZM8 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2Z",
    "ask": "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 2.8c1.5 0 2.6 1 2.6 2.3 0 1-.6 1.6-1.2 "
    "2-.5.4-.6.5-.6.9v.2H7.2V9c0-1 .6-1.5 1.1-1.9.4-.3.6-.5.6-.9s-.3-.8-.9-.8-1 .4-1 1H5.4c0-1.5 1.1-2.6 "
    "2.6-2.6ZM8 10.2a1 1 0 1 1 0 2 1 1 0 0 1 0-2Z",
}
_ICONS = {
    OVERDUE: "stop",
    NEVER: "stop",
    UNKNOWN: "ask",
    ATTENTION: "look",
    KEPT: "check",
    "verified": "check",
    "sealed": "ask",
    "damaged": "stop",
    "partial": "look",
    "passed": "check",
    "failed": "stop",
    "none": "ask",
}
_MARK = Markup(
    '<svg viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round" stroke-linecap="round">'
    '<path d="M12 2.5 3 7l9 4.5L21 7 12 2.5Z"/><path d="M3 12l9 4.5 9-4.5"/><path d="M3 17l9 4.5 9-4.5"/></svg>'
)


def page(report: t.Mapping[str, t.Any]) -> str:
    """Return the page of I(report), as :func:`fleet_report.build` returns it."""
    title = report["title"]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="robots", content="noindex"),
        element("meta", name="referrer", content="no-referrer"),
        element("link", rel="icon", href="data:,"),
        element("title", f"{title}: {fleet_report.headline(report)}"),
        element("style", Markup(STYLE)),
    )
    body = element(
        "body",
        _definitions(),
        element("a", "To the servers", href="#servers", class_="skip"),
        _header(report),
        element("main", _first(report), _fleet(report), _servers(report), _drills(report), _pruned(report), _hosts(report), _strangers(report)),
        _footer(report),
    )
    return f'<!DOCTYPE html>\n<html lang="en">\n{head}\n{body}\n</html>\n'


# -- small pieces --------------------------------------------------------------------------------------------------


def _definitions() -> Markup:
    """What the pictures share, once in the page."""
    shapes = (
        element("symbol", element("path", d=shape, fill="currentColor", fill_rule="evenodd"), id=f"icon-{name}", viewBox="0 0 16 16")
        for name, shape in _SHAPES.items()
    )
    return element("svg", element("defs", charts.HATCH, *shapes), width="0", height="0", style="position:absolute", aria_hidden="true", focusable="false")


def _icon(name: str) -> Markup:
    return element("svg", element("use", href=f"#icon-{_ICONS[name]}"), aria_hidden="true")


def _badge(name: str, word: str | None = None) -> Markup:
    return element("span", _icon(name), word or name, class_=f"verdict {name}")


def _time(moment: str | None) -> Markup | str:
    return element("time", short(moment), datetime=moment) if moment else "unknown"


def _size(number: int | None) -> str:
    return "–" if number is None else words.size(number)


def _took(seconds: int | None) -> str:
    return "–" if seconds is None else words.duration(seconds)


def _anchor(report: t.Mapping[str, t.Any], server: Row) -> str:
    return f"server-{report['servers'].index(server) + 1}"


def _table(caption: str, heads: t.Sequence[tuple[str, str | None]], rows: t.Sequence[t.Sequence[t.Any]], class_: str = "rows") -> Markup:
    """Return a table whose first column is the rows' heading. On a phone each row becomes a block, and each cell tells its column.

    :arg heads: word and class of each column.
    """
    head = element("thead", element("tr", *(element("th", word, scope="col", class_=kind) for word, kind in heads)))
    lines = []
    for row in rows:
        cells = [element("th", row[0], scope="row")]
        # a grid takes each piece of text for a cell of its own, so what belongs together stands in one element
        cells += [element("td", element("div", cell), data_label=word, class_=kind) for (word, kind), cell in list(zip(heads, row))[1:]]
        lines.append(element("tr", *cells))
    return element("div", element("table", element("caption", caption), head, element("tbody", *lines), class_=class_), class_="wide")


# -- the parts of the page -----------------------------------------------------------------------------------------


def _header(report: t.Mapping[str, t.Any]) -> Markup:
    totals = report["totals"]
    share = [element("span", class_=verdict, style=f"flex:{totals[verdict]}") for verdict in ORDER if totals[verdict]]
    keys = [element("li", _badge(verdict, f"{totals[verdict]} {WORDS[verdict].lower()}")) for verdict in ORDER if totals[verdict]]
    return element(
        "header",
        element("h1", _MARK, report["title"]),
        element("p", fleet_report.headline(report), class_="headline"),
        element("p", "Looked at ", element("time", f"{short(report['made'])} UTC", datetime=report["made"]), ". All ages are as of then.", class_="soft small"),
        element("div", *share, class_="share", aria_hidden="true"),
        element("ul", *keys, class_="keys", aria_label="Servers by their state"),
        _tiles(report),
    )


def _tiles(report: t.Mapping[str, t.Any]) -> Markup:
    totals = report["totals"]
    oldest = next((row for row in sorted(report["servers"], key=lambda row: -(row["age_seconds"] or 0)) if row["age_seconds"] is not None), None)
    drills = [drill["ended"] for row in report["servers"] for drill in row["drills"] if drill["state"] == "passed" and drill["ended"]]
    tight = min((host for host in report["hosts"] if host.get("free_percent") is not None), key=lambda host: host["free_percent"], default=None)
    tiles: list[tuple[str, t.Any, t.Any]] = [
        ("Oldest verified backup", fleet_report.age(totals["oldest_seconds"]), oldest["server"] if oldest else "no server has one"),
        ("Sets kept", f"{totals['sets']}", f"dumps and files of the newest: {words.size(totals['bytes'])}"),
        ("New in the last 24 hours", words.size(totals["new_bytes"]), "objects of all libraries"),
        ("Last drill that passed", short(max(drills))[:10] if drills else "none yet", "a restore for trial, removed again"),
        (
            "Room on the fullest host",
            f"{tight['free_percent']} % free" if tight else "unknown",
            f"{words.size(tight['room']['free_bytes'])} on {tight['backup_host']}" if tight else "no backup host could be read",
        ),
    ]
    return element(
        "dl", *(element("div", element("dt", name), element("dd", value, element("small", said)), class_="card") for name, value, said in tiles), class_="tiles"
    )


def _first(report: t.Mapping[str, t.Any]) -> Markup | None:
    entries = []
    for server in report["servers"]:
        if server["look"]:
            entries.append(
                element(
                    "li",
                    element(
                        "div",
                        element("a", server["server"], href=f"#{_anchor(report, server)}", class_="name"),
                        _badge(server["verdict"], WORDS[server["verdict"]]),
                    ),
                    element("ul", *(_look(entry) for entry in server["look"])),
                    class_=f"card {server['verdict']}",
                )
            )
    for host in report["hosts"]:
        entries += [
            element(
                "li",
                element("div", element("a", host["backup_host"], href="#hosts", class_="name"), _badge(ATTENTION, "Backup host")),
                element("ul", *map(_look, said)),
                class_="card attention",
            )
            for said in [host["look"]]
            if said
        ]
    if not entries:
        return None
    return element("section", element("h2", "Look at these first", id="first"), element("ul", *entries, class_="first"), aria_labelledby="first")


def _look(entry: t.Mapping[str, str]) -> Markup:
    text = entry["text"]
    return element("li", text[:1].upper() + text[1:] + ". ", element("span", element("b", "Next: "), f"{entry['next']}.", class_="next"))


def _fleet(report: t.Mapping[str, t.Any]) -> Markup:
    rows = []
    last = as_time(report["made"]).date()
    for server in report["servers"]:
        newest, drill = server["newest"], server["drills"][0] if server["drills"] else None
        days = charts.best_of_days([(as_time(row["began"]).date(), row["state"]) for row in server["sets"] if row["began"]], last, DAYS)
        rows.append(
            (
                element("a", server["server"], href=f"#{_anchor(report, server)}"),
                _badge(server["verdict"], WORDS[server["verdict"]]),
                "not seen"
                if server["verdict"] == UNKNOWN
                else joined(fleet_report.age(server["age_seconds"]), element("small", _time(server["verified_began"])) if server["verified_began"] else None),
                charts.strip(days) if server["verdict"] != UNKNOWN else "–",
                _size(newest["bytes"] if newest else None),
                _size(newest["new_bytes"] if newest else None),
                _took(newest["seconds"] if newest else None),
                joined("passed" if drill["state"] == "passed" else "failed", element("small", short(drill["ended"])[:10])) if drill else "–",
            )
        )
    heads = [
        ("Server", None),
        ("Promise", None),
        ("Last verified", None),
        (f"Last {DAYS} days", None),
        ("Size", "number"),
        ("New", "number"),
        ("Took", "number"),
        ("Drill", None),
    ]
    hours = fleet_report.hours(report["promise_hours"])
    caption = (
        f"Promised: a verified set no older than {hours}, where nothing else is said. Size: dumps and files of the newest set. New: objects that came with it."
    )
    return element(
        "section",
        element("h2", "All servers", id="servers"),
        element("div", _table(caption, heads, rows, "rows fleet"), class_="card"),
        aria_labelledby="servers",
    )


def _servers(report: t.Mapping[str, t.Any]) -> Markup | None:
    if not report["servers"]:
        return None
    return element(
        "section",
        element("h2", "Server by server", id="each"),
        element("div", *(_server(report, server) for server in report["servers"]), class_="servers"),
        aria_labelledby="each",
    )


def _server(report: t.Mapping[str, t.Any], server: Row) -> Markup:
    newest, states, run = server["newest"], server["states"], server["last_run"]
    facts: list[tuple[str, t.Any]] = [("kept on", f"{server['backup_host']}:{server['backup_root']}" if server["backup_host"] else "no backup host")]
    if server["promise_hours"] != report["promise_hours"]:
        facts.append(("promised", fleet_report.hours(server["promise_hours"])))
    if newest:
        version = " ".join(
            part for part in (newest["version"], {"mysql": "MySQL/MariaDB", "sqlite": "SQLite"}.get(newest["engine"] or "", newest["engine"])) if part
        )
        facts += [("Seafile", version or "unknown"), ("libraries", newest["libraries"] if newest["libraries"] is not None else "unknown")]
        if newest["objects"] is not None:
            facts.append(("objects proved", f"{newest['objects']:,}".replace(",", " ")))
    counted = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    facts.append(("sets", counted or "none"))
    if run:
        facts.append(("last run", f"{run['state']}, {short(run['ended'])}"))
    if server["quarantine_files"]:
        facts.append(("in quarantine", words.count(server["quarantine_files"], "replaced file")))
    return element(
        "article",
        element("header", element("h3", server["server"]), _badge(server["verdict"], WORDS[server["verdict"]])),
        element("p", *(element("span", f"{name} ", element("b", value)) for name, value in facts), class_="facts"),
        _charts(report, server),
        _sets(server),
        class_="card server",
        id=_anchor(report, server),
    )


def _charts(report: t.Mapping[str, t.Any], server: Row) -> Markup | None:
    made = as_time(report["made"])
    recent = [
        row
        for row in reversed(server["sets"])
        if row["began"] and row["state"] in _SEALED and made - as_time(row["began"]) <= datetime.timedelta(days=3 * DAYS)
    ]
    if len(recent) < 2:
        return None
    began = as_time(recent[0]["began"])
    figures = []
    for key, title, tell, ceiling in (("bytes", "Dumps and files", _size, charts.ceiling), ("seconds", "Time the run took", _took, charts.ceiling_of_time)):
        points = [
            charts.Point(as_time(row["began"]), row[key], row["state"], f"{short(row['began'])}: {tell(row[key])}, {row['state']}")
            for row in recent
            if row[key] is not None
        ]
        if not points:
            continue
        top = ceiling(max(point.value for point in points))
        values = sorted(point.value for point in points)
        days = f"from {short(recent[0]['began'])[:10]} to {short(recent[-1]['began'])[:10]}"
        said = f"{title}, {len(points)} sets {days}: from {tell(int(values[0]))} to {tell(int(values[-1]))}"
        figures.append(
            element(
                "figure",
                element("figcaption", element("span", element("b", title), f", newest {tell(int(points[-1].value))}"), element("span", f"to {tell(int(top))}")),
                charts.bars(points, began, made, top, said),
                element("div", element("span", short(recent[0]["began"])[:10]), element("span", short(report["made"])[:10]), class_="axis", aria_hidden="true"),
            )
        )
    return element("div", *figures, class_="charts")


def _sets(server: Row) -> Markup | None:
    rows = []
    for row in server["sets"][:MOST_SETS]:
        said = "; ".join(row["reasons"])
        rows.append(
            (
                element("span", row["set_id"], class_="mono"),
                _badge(row["state"]),
                _size(row.get("bytes")),
                _size(row.get("new_bytes")),
                _took(row.get("seconds")),
                joined(_time(row.get("checked")), element("small", row.get("level"))) if row.get("checked") else "–",
                said or "–",
            )
        )
    if not rows:
        return None
    heads = [("Set", None), ("State", None), ("Size", "number"), ("New", "number"), ("Took", "number"), ("Verified", None), ("Reasons", None)]
    older = len(server["sets"]) - len(rows)
    caption = f"The newest first; {older} older ones are in the JSON file." if older else "The newest first."
    return element("details", element("summary", words.count(len(server["sets"]), "set")), _table(caption, heads, rows))


def _drills(report: t.Mapping[str, t.Any]) -> Markup | None:
    rows = []
    for server in sorted(report["servers"], key=lambda row: row["drills"][0]["ended"] or "" if row["drills"] else "", reverse=True):
        if server["drills"]:
            drill = server["drills"][0]
            rows.append(
                (
                    server["server"],
                    _badge(drill["state"]),
                    _time(drill["ended"]),
                    element("span", drill["set_id"] or "none", class_="mono"),
                    _took(drill["recovery_seconds"]),
                    _took(drill["lost_seconds"]),
                    "; ".join(drill["reasons"]) or "–",
                )
            )
    without = [server["server"] for server in report["servers"] if not server["drills"] and server["verdict"] != UNKNOWN]
    if not rows:
        body: Markup = element(
            "p",
            "No server has had one yet. A backup that was never restored is a hope: run the playbook ",
            element("span", "seafleet.seafile.drill", class_="mono"),
            ".",
            class_="soft",
        )
    else:
        heads = [("Server", None), ("Result", None), ("When", None), ("Set", None), ("Recovery took", "number"), ("Would be lost", "number"), ("Reasons", None)]
        body = element(
            "div", _table("The last drill of each server: a restore into a scratch place, checked to the last object and row.", heads, rows), class_="card"
        )
        if without:
            body = joined(body, element("p", f"None yet: {', '.join(without)}.", class_="soft small"))
    return element("section", element("h2", "Restore drills", id="drills"), body, aria_labelledby="drills")


def _pruned(report: t.Mapping[str, t.Any]) -> Markup | None:
    rows = []
    for server in report["servers"]:
        if server["goes"] or server["frozen"]:
            named = ", ".join(server["goes"][:MOST_GOING]) + (f" and {len(server['goes']) - MOST_GOING} more" if len(server["goes"]) > MOST_GOING else "")
            sets = element("span", named, class_="mono") if named else "–"
            rows.append((server["server"], len(server["goes"]), sets, "; ".join(server["frozen"]) or "–"))
    heads = [("Server", None), ("Sets", "number"), ("Oldest first", None), ("Nothing goes because", None)]
    caption = "What the next run or the playbook prune would remove, as far as the states of the sets tell; it reads the newest sets once more before."
    body = element("div", _table(caption, heads, rows), class_="card") if rows else element("p", "Every set that there is stays for now.", class_="soft")
    return element("section", element("h2", "What is pruned next", id="pruned"), body, aria_labelledby="pruned")


def _hosts(report: t.Mapping[str, t.Any]) -> Markup | None:
    rows = []
    for host in report["hosts"]:
        if host["read"]:
            free, inodes = host["free_percent"], host["free_inodes_percent"]
            used = 100 - (free if free is not None else 100)
            meter = element(
                "span",
                element("i", style=f"width:{used}%"),
                class_="meter full" if free is not None and free < fleet_report.LITTLE_ROOM else "meter",
                aria_hidden="true",
            )
            room: t.Any = joined(
                f"{words.size(host['room']['free_bytes'])} of {words.size(host['room']['bytes'])}", element("small", f"{free} %") if free is not None else None
            )
            run = next((entry for entry in host["runs"] if entry["playbook"] == "backup"), None)
            rows.append(
                (
                    host["backup_host"],
                    element("span", host["backup_root"], class_="mono"),
                    host["servers"],
                    meter,
                    room,
                    f"{inodes} %" if inodes is not None else "–",
                    joined(_time(run["ended"]), element("small", _took_from(run))) if run else "–",
                )
            )
        else:
            rows.append(
                (
                    host["backup_host"],
                    element("span", host["backup_root"], class_="mono"),
                    host["servers"],
                    _badge(UNKNOWN, "Not seen"),
                    host["message"] or "it could not be read",
                    "–",
                    "–",
                )
            )
    if not rows:
        return None
    heads = [("Backup host", None), ("Directory", None), ("Servers", "number"), ("Used", None), ("Free", None), ("Free inodes", "number"), ("Last run", None)]
    return element(
        "section",
        element("h2", "Backup hosts", id="hosts"),
        element("div", _table("Where the backups are kept.", heads, rows), class_="card"),
        aria_labelledby="hosts",
    )


def _took_from(run: Row) -> str:
    totals = run["totals"]
    parts = [f"{totals[state]} {state}" for state in ("verified", "sealed", "damaged", "failed") if totals.get(state)]
    return ", ".join(parts) or run["run_id"]


def _strangers(report: t.Mapping[str, t.Any]) -> Markup | None:
    if not report["strangers"]:
        return None
    rows = [(row["server"], f"{row['backup_host']}:{row['backup_root']}", row["sets"], _time(row["newest"])) for row in report["strangers"]]
    heads = [("Name", None), ("Kept on", None), ("Sets", "number"), ("Newest set", None)]
    caption = "These directories are no server of this inventory or of this run: a server that was renamed, retired or left out. Nobody backs them up now."
    return element(
        "section",
        element("h2", "Kept, but not in this inventory", id="strangers"),
        element("div", _table(caption, heads, rows), class_="card"),
        aria_labelledby="strangers",
    )


def _footer(report: t.Mapping[str, t.Any]) -> Markup:
    day = as_time(report["made"]).date()
    meanings = [
        ("verified", "Verified: every pointer of the dumped databases leads to an intact object."),
        ("sealed", "Sealed: complete, and never verified."),
        ("damaged", "Damaged: objects are missing or damaged, see the reasons."),
        ("partial", "Failed: the run was given up; nothing of it is offered for a restore."),
        ("none", "No set on that day."),
    ]
    keys = [part for state, said in meanings for part in (element("dt", charts.strip([(day, state)])), element("dd", said))]
    return element(
        "footer",
        element("h2", "How to read this", id="read"),
        element("dl", *keys),
        element(
            "p",
            "The age of a backup counts from the beginning of its dump, for a restore brings back that moment. This page does not renew itself: when "
            "it is older than your runs are apart, nobody has looked.",
        ),
        element("p", f"Made by seafleet.seafile {report['version']}. The same facts stand in the JSON file beside it."),
    )
