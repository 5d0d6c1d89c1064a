# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdicts of the report, and what is said of each server."""

from __future__ import annotations

import copy
import datetime

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import catalogue, fleet_report, report_table
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_time
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import backup_records as records

OLD, NEW = "20261122T030000Z", "20261123T030000Z"
NOW = as_time("2026-11-23T06:00:00Z")


def place(root, *servers):
    """The place I(root) with its catalogue."""
    return {"backup_host": "backup1", "backup_root": "/srv/seafile-backup", "servers": list(servers), "catalogue": catalogue.of_host(str(root), NOW)}


def report(*places, now=NOW, **more):
    """The report with a promise of 26 hours."""
    return fleet_report.build(places, now, "Backups", 26, **more)


def only(root, **more):
    """What the report says of the one server C(files)."""
    return report(place(root, "files"), **more)["servers"][0]


def test_a_server_whose_verified_set_is_young_enough_is_kept_and_nothing_is_to_be_looked_at(tmp_path):
    records.sealed(tmp_path, "files", NEW, records.verification())
    server = only(tmp_path)
    assert (server["verdict"], server["age_seconds"], server["verified"], server["look"]) == ("kept", 3 * 3600, NEW, [])


@pytest.mark.parametrize("after, verdict", [(26 * 3600, "kept"), (26 * 3600 + 1, "overdue")])
def test_the_promise_ends_with_its_last_second(tmp_path, after, verdict):
    records.sealed(tmp_path, "files", NEW, records.verification())
    assert only(tmp_path, now=as_time("2026-11-23T03:00:00Z") + datetime.timedelta(seconds=after))["verdict"] == verdict


def test_a_server_may_be_promised_something_else(tmp_path):
    records.sealed(tmp_path, "files", NEW, records.verification())
    records.sealed(tmp_path, "cloud", NEW, records.verification())
    made = report(place(tmp_path, "files", "cloud"), promises={"files": 2})
    assert [(row["server"], row["verdict"], row["promise_hours"]) for row in made["servers"]] == [("files", "overdue", 2), ("cloud", "kept", 26)]
    assert "older than the 2 hours that were promised" in made["servers"][0]["look"][0]["text"]
    assert fleet_report.headline(made) == "1 of 2 servers have a verified backup as fresh as promised; 1 overdue."


def test_a_newer_set_that_is_damaged_or_never_verified_does_not_keep_a_promise(tmp_path):
    records.sealed(tmp_path, "files", "20261101T030000Z", records.verification())
    records.sealed(tmp_path, "files", OLD)
    records.sealed(
        tmp_path, "files", NEW, records.verification("damaged", libraries=[records.damage("backup")], reasons=["Films: 1 object damaged in this backup."])
    )
    server = only(tmp_path)
    assert (server["verdict"], server["verified"]) == ("overdue", "20261101T030000Z")
    assert [entry["text"] for entry in server["look"]][1] == f"the newest set {NEW} is damaged: Films: 1 object damaged in this backup"


def test_without_a_verified_set_there_is_no_backup_and_with_one_from_the_future_no_age_below_zero(tmp_path):
    records.sealed(tmp_path, "files", NEW)
    assert (only(tmp_path)["verdict"], only(tmp_path)["age_seconds"]) == ("never", None)
    assert "never verified" in only(tmp_path)["look"][1]["text"]
    records.sealed(tmp_path, "files", "20261123T070000Z", records.verification())
    server = only(tmp_path)
    assert (server["verdict"], server["age_seconds"]) == ("attention", 0) and "from the future" in server["look"][0]["text"]


def test_a_failed_run_is_told_with_its_own_next_step_though_the_promise_is_kept(tmp_path):
    records.sealed(tmp_path, "files", OLD, records.verification())
    records.run(tmp_path, NEW, records.row("files", "failed", code="no-space", message="/srv: full. Next: free some space."))
    server = only(tmp_path, now=as_time("2026-11-23T04:10:00Z"))
    assert server["verdict"] == "attention"
    assert server["look"] == [{"text": "the last run, 2026-11-23 04:00, failed: no-space: /srv: full", "next": "free some space"}]


def test_damage_on_the_server_itself_is_to_be_looked_at_and_keeps_the_promise(tmp_path):
    records.sealed(
        tmp_path, "files", NEW, records.verification(libraries=[records.damage("source")], reasons=["Films: 1 object damaged on the server itself."])
    )
    server = only(tmp_path)
    assert server["verdict"] == "attention" and server["look"][0]["text"].startswith("1 library is damaged on the server itself: Films")


def test_drills_that_failed_or_are_too_long_ago_are_to_be_looked_at(tmp_path):
    records.sealed(tmp_path, "files", NEW, records.verification())
    assert only(tmp_path)["look"] == [] and only(tmp_path, drill_days=30)["look"][0]["text"] == "no restore drill has passed yet"
    records.drill(tmp_path, "files", "20261001T030000Z")
    assert "more than 30 d ago" in only(tmp_path, drill_days=30)["look"][0]["text"] and only(tmp_path, drill_days=60)["look"] == []
    records.drill(tmp_path, "files", OLD, state="failed", reasons=["a row is missing"])
    assert only(tmp_path)["look"][0]["text"] == "the last restore drill, 2026-11-22 03:00, failed: a row is missing"


def test_a_backup_host_that_is_down_is_named_and_so_are_its_servers():
    made = report({"backup_host": "backup2", "backup_root": "/b", "servers": ["cloud", "files"], "message": "no route to host"})
    assert [row["verdict"] for row in made["servers"]] == ["unknown", "unknown"]
    assert made["servers"][0]["look"][0]["text"] == "its backup host backup2 could not be read: no route to host"
    assert (made["hosts"][0]["read"], made["hosts"][0]["message"]) == (False, "no route to host")
    assert fleet_report.headline(made) == "0 of 2 servers have a verified backup of the last 26 hours; 2 not seen."


def test_a_server_without_a_backup_host_is_named_as_one_that_nobody_backs_up():
    made = report({"backup_host": None, "backup_root": None, "servers": ["files"]})
    assert made["hosts"] == [] and (made["servers"][0]["verdict"], made["servers"][0]["look"][0]["next"]) == ("never", "set seafile_backup_host for it")


def test_a_server_of_the_inventory_that_has_nothing_there_is_not_left_out_and_a_stranger_is_told(tmp_path):
    records.sealed(tmp_path, "gone", OLD)
    records.run(tmp_path, NEW, records.row("files", "failed", code="unreachable", message="no route"))
    made = report(place(tmp_path, "files", "never"))
    assert [(row["server"], row["verdict"]) for row in made["servers"]] == [("files", "never"), ("never", "never")]
    assert "unreachable: no route" in made["servers"][0]["look"][1]["text"]
    assert [(row["server"], row["sets"]) for row in made["strangers"]] == [("gone", 1)]


def test_the_worst_servers_come_first_and_among_them_the_oldest(tmp_path):
    for name, set_id in (("b", "20261120T030000Z"), ("a", "20261121T030000Z"), ("ok", NEW), ("look", NEW)):
        records.sealed(tmp_path, name, set_id, records.verification())
    records.partial(tmp_path, "look", "20261123T040000Z", "stopped")
    records.partial(tmp_path, "none", NEW, "stopped")
    down = {"backup_host": "backup2", "backup_root": "/b", "servers": ["down"], "message": "no route"}
    assert [row["server"] for row in report(place(tmp_path, "ok", "look", "a", "b", "none"), down)["servers"]] == ["b", "a", "none", "down", "look", "ok"]


def test_little_room_is_to_be_looked_at():
    host = {"read": True, "servers": 1, "free_percent": 9, "free_inodes_percent": 10, "problems": []}
    assert [entry["text"] for entry in fleet_report.of_host(host)] == ["less than 10 % of its room are free"]
    assert fleet_report.of_host({**host, "free_percent": None, "free_inodes_percent": None}) == []


# -- the same facts ------------------------------------------------------------------------------------------------


def test_ages_and_free_bytes_that_moved_are_the_same_facts_and_a_broken_promise_is_not(tmp_path):
    records.sealed(tmp_path, "files", NEW, records.verification())
    first = report(place(tmp_path, "files"))
    fuller = place(tmp_path, "files")
    fuller["catalogue"]["room"]["free_bytes"] = fuller["catalogue"]["room"]["bytes"] // 2
    later = report(fuller, now=NOW + datetime.timedelta(hours=9))
    assert first != later and fleet_report.same_facts(first, later)
    assert not fleet_report.same_facts(first, report(place(tmp_path, "files"), now=NOW + datetime.timedelta(hours=40)))


@pytest.mark.parametrize(
    "change",
    [
        lambda made: made["servers"][0]["sets"][0].update(new_bytes=1),
        lambda made: made["servers"][0].update(quarantine_files=1),
        lambda made: made["hosts"][0].update(look=[{"text": "less than 10 % of its room are free", "next": "x"}]),
        lambda made: made.update(title="x"),
        lambda made: made["servers"].pop(),
    ],
)
def test_any_other_fact_makes_another_report(tmp_path, change):
    records.sealed(tmp_path, "files", NEW, records.verification())
    one = report(place(tmp_path, "files"))
    other = copy.deepcopy(one)
    change(other)
    assert not fleet_report.same_facts(one, other)


# -- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seconds, text",
    [(None, "never"), (0, "0 s"), (86399, "23 h 59 min"), (86400, "24 h"), (93780, "26 h 3 min"), (3 * 86400, "3 d"), (4 * 86400 + 7200, "4 d 2 h")],
)
def test_ages_are_told_so_that_they_compare_with_a_promise(seconds, text):
    assert fleet_report.age(seconds) == text


@pytest.mark.parametrize(
    "servers, said",
    [
        ([], "There is no server in this inventory."),
        (["kept"], "The server has a verified backup of the last 26 hours."),
        (["kept", "kept"], "Every one of 2 servers has a verified backup of the last 26 hours."),
        (["kept", "attention"], "Every one of 2 servers has a verified backup of the last 26 hours; 1 to look at."),
        (["overdue"], "0 of 1 server has a verified backup of the last 26 hours; 1 overdue."),
        (
            ["overdue", "never", "unknown", "kept", "attention"],
            "2 of 5 servers have a verified backup of the last 26 hours; 1 overdue, 1 without any, 1 not seen, 1 to look at.",
        ),
    ],
)
def test_the_headline_says_it_in_one_sentence(servers, said):
    rows = [{"verdict": verdict, "promise_hours": 26} for verdict in servers]
    totals = {verdict: servers.count(verdict) for verdict in fleet_report.ORDER}
    totals.update(servers=len(servers), promise_kept=totals["kept"] + totals["attention"])
    assert fleet_report.headline({"servers": rows, "totals": totals, "promise_hours": 26}) == said


# -- the table for a log -------------------------------------------------------------------------------------------


def test_the_table_has_a_line_a_server_in_columns_and_says_what_to_look_at(tmp_path):
    records.sealed(tmp_path, "files", NEW, records.verification())
    records.sealed(tmp_path, "cloud.example.org", "20261120T030000Z", records.verification())
    lines = report_table.lines(report(place(tmp_path, "files", "cloud.example.org")))
    assert lines[:2] == ["Backups, looked at 2026-11-23 06:00 UTC", "1 of 2 servers have a verified backup of the last 26 hours; 1 overdue."]
    assert lines[3].startswith("PROMISE  SERVER             VERIFIED AT       AGE")
    assert lines[4].startswith("OVERDUE  cloud.example.org  2026-11-20 03:00  3 d 3 h  verified  5.0 KB")
    assert lines[5].startswith("kept     files              2026-11-23 03:00  3 h      verified  5.0 KB")
    assert any(line.startswith("  cloud.example.org: the newest verified set is older") for line in lines)
    assert all(line == line.rstrip() and line.isascii() for line in lines)


def test_columns_stay_in_line_for_wide_characters_and_long_names():
    lines = report_table.table(("A", "B"), [("日本", "x"), ("n" * 80, "y"), ("a\u0301", "z")])
    assert [report_table.width(line) for line in lines[1:]] == [43, 43, 43]


def test_a_terminal_escape_in_a_name_is_never_printed_raw():
    made = report({"backup_host": "b\x1b[2J", "backup_root": "/b\x07", "servers": ["s\x1b]0;x\x07\u202e"], "message": "m\x1b[31m"})
    assert all(character.isprintable() for line in report_table.lines(made) for character in line)
