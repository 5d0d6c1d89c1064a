# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backup benchmark makes of its numbers: tables and a plot."""

from __future__ import annotations

import json
import pathlib
import sys
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "benchmarks"))

import backup  # noqa: E402  pylint: disable=wrong-import-position
import plot  # noqa: E402  pylint: disable=wrong-import-position
from lab import Cost  # noqa: E402  pylint: disable=wrong-import-position

HEAD = "A machine"
RUNS = {
    backup.NOTHING: {
        backup.MANUAL: [Cost(2.0, 1.0), Cost(4.0, 3.0, calls=1000)],
        backup.OURS: [Cost(1.0, 0.5), Cost(1.0, 0.75, calls=50)],
        backup.PULL: [Cost(0.5, 0.25), Cost(0.5, 0.3, calls=20)],
        backup.RESTIC: [Cost(8.0, 4.0), Cost(8.0, 6.0)],
    },
}
STORE = {"head": HEAD, "objects": 100500, "bytes": 10 ** 9, "runs": RUNS, "stages": {backup.NOTHING: {"pull": [Cost(0.5, 0.25)], "": [Cost(1.0, 0.5)]}}}


def kept(value):
    """As it comes back from the file."""
    return json.loads(json.dumps(value))


def cells(table, first, second):
    return next(line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith(f"| {first} | {second} |"))


def test_ratios_are_those_within_each_round():
    row = cells(backup.store_table(kept(STORE)), "", backup.OURS)
    assert row[-3:] == ["0.38", "0.38", "0.05"]  # medians of 1/2 and 1/4, of 0.5/1 and 0.75/3; 50/1000


def test_a_program_that_is_not_there_has_a_row_that_says_so():
    assert "borg: not measured" in backup.store_table(kept(STORE))


def test_all_parts_are_told_under_their_machine():
    results = {
        "store": {"100000": STORE},
        "dump": {"head": HEAD, "bytes": 10 ** 9, "runs": {backup.PLAIN: [Cost(10, 8)], backup.GZIP: [Cost(30, 40)], backup.DUMP: [Cost(12, 14)]}},
        "fleet": {"head": HEAD, "20": {"runs": [Cost(20, 40, own=30, connections=60, pulls=20)], "executed": 8, "skipped": 2}},
    }
    text = backup.text(kept(results))
    assert text.count(HEAD) == 3
    assert cells(text, backup.DUMP, "12.00")[-2:] == ["1.20", "0.40"]
    assert cells(text, "20", "20.00")[2:] == ["1.50", "2.00", "8", "2", "3.0", "1.0"]


def test_the_plot_is_xml_with_every_line_and_both_kinds_of_pages():
    sizes = {"100000": STORE, "1000000": {**STORE, "objects": 1005000}}
    picture = backup.picture(kept(sizes))
    root = xml.etree.ElementTree.fromstring(picture)
    lines = [element for element in root.iter() if element.get("class", "").startswith("line")]
    assert len(lines) == 4
    assert "prefers-color-scheme:dark" in picture


def test_the_axis_reaches_beyond_all_values():
    steps = plot.ticks(0.7, 130)
    assert steps[0] <= 0.7 and steps[-1] >= 130
    assert [plot.label(value) for value in (0.5, 2.0, 300000, 1000000)] == ["0.5", "2", "300 k", "1 M"]
