# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

from ansible_collections.seafleet.seafile.plugins.module_utils import run_result
from ansible_collections.seafleet.seafile.plugins.module_utils.fleet_table import WIDTH, table

NOW = datetime.datetime(2026, 11, 30, 4, 0, 0, tzinfo=datetime.timezone.utc)
BEGAN, ENDED = "2026-11-30T03:00:00Z", "2026-11-30T03:01:30Z"
SET = "20261130T030000Z"


def good(name, **values):
    return run_result.row(name, "backup1", "verified", BEGAN, ENDED, **dict({"set_id": SET, "kept": SET, "new_objects": 3, "new_bytes": 1500000}, **values))


def bad(name, message="it cannot be reached: refused", code="unreachable", kept="20261128T040000Z"):
    return run_result.failed_row(name, "backup1", BEGAN, ENDED, code, message, kept=kept)


def lines(*rows, **values):
    return table(run_result.document("20261130T030000Z-00ff", "backup", BEGAN, NOW, "control", list(rows)), NOW, **values)


def test_the_verdict_over_all_comes_first():
    assert lines(good("a"), bad("b"), good("c"))[0] == "backup 20261130T030000Z-00ff: 2 of 3 servers verified, 1 failed; 1 h, 3.0 MB new"


def test_the_worst_come_first_with_their_reason_and_the_age_of_what_there_is():
    damaged = run_result.row(
        "d", "backup1", "damaged", BEGAN, ENDED, set_id=SET, code="set-incomplete", message="set-incomplete: Library: 1 object.", reasons=["x"])
    told = lines(good("v"), damaged, bad("f"))
    assert [line.split()[:2] for line in told[1:]] == [["SERVER", "VERDICT"], ["f", "failed"], ["d", "damaged"], ["v", "verified"]]
    assert "2 d" in told[2] and told[2].endswith("unreachable: it cannot be reached: refused")
    assert "none" in told[3] and told[3].endswith("set-incomplete: Library: 1 object.")
    assert "1 h" in told[4] and "1.5 MB" in told[4] and "1 min 30 s" in told[4]


def test_neither_the_server_nor_the_code_is_said_twice():
    told = lines(bad("f", "f: no-space: /srv: full", "no-space"))
    assert told[-1].endswith("  no-space: /srv: full")


def test_no_line_is_longer_than_the_table_and_reasons_are_cut():
    told = lines(bad("f", "x" * 500), *(good(f"s{number}") for number in range(50)))
    assert max(map(len, told)) == WIDTH and told[2].endswith("...")


def test_hundreds_of_good_servers_are_one_line_and_each_bad_one_is_named():
    told = lines(*(good(f"server{number}") for number in range(197)), bad("down1"), bad("down2"), bad("down3"))
    assert len(told) == 6
    assert told[5] == "197 servers verified, 295.5 MB new, the longest was server0 with 1 min 30 s"
    assert all(any(line.startswith(name) for line in told) for name in ("down1", "down2", "down3"))


def test_of_hundreds_of_bad_servers_none_goes_unnamed():
    told = lines(*(bad(f"server{number}") for number in range(60)))
    text = "\n".join(told)
    assert "and 40 more failed: server20, server21" in text and "server59" in text
    assert max(map(len, told)) <= WIDTH


def test_only_printable_ascii_reaches_the_terminal():
    told = "\n".join(lines(bad("s\x1b[31m", "caf\xe9 \x1b]0;x\x07 \u202e")))
    assert told.replace("\n", "").isascii() and told.replace("\n", "").isprintable()
    assert "caf\\xe9" in told


def test_a_warning_of_a_good_server_is_shown_where_there_is_room():
    assert lines(good("a", warnings=["one machine"]))[-1].endswith("warning: one machine")


def test_a_run_over_nobody_says_so():
    assert lines() == ["backup 20261130T030000Z-00ff: 0 of 0 servers verified; 1 h, 0 bytes new"]


def test_check_mode_says_that_it_only_looked():
    assert "2 only looked at" in lines(*(run_result.row(name, "b", "skipped", BEGAN, ENDED) for name in "ab"))[0]
