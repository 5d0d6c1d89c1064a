# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import xml.etree.ElementTree

from ansible_collections.seafleet.seafile.plugins.module_utils import drill_report

FACTS = {"began": "2026-11-23T03:00:00Z", "ended": "2026-11-23T03:04:12Z", "set_id": "20261122T150000Z", "set_began": "2026-11-22T15:00:00Z", "host": "drill1",
         "libraries": 12, "objects": 900, "bytes": 12345, "tables": 40, "rows": 300,
         "passed_over": [{"set_id": "20261123T010000Z", "reasons": ["<b>History</b>: commit missing"]}]}


def test_a_drill_that_passed_tells_its_times():
    value = drill_report.report("files.example.org", FACTS, [])
    assert (value["state"], value["recovery_seconds"], value["lost_seconds"]) == ("passed", 252, 43200)
    assert drill_report.verdict(value) == "The backup of files.example.org came back whole in 4 min 12 s."
    assert dict(drill_report.lines(value))["what would be lost"].startswith("12 h")


def test_a_drill_that_failed_before_a_set_was_chosen_has_a_page_too():
    value = drill_report.report("x", {"began": FACTS["began"], "ended": FACTS["ended"]}, ["no-set: nothing\x1b[31m"])
    page = drill_report.page(value)
    assert value["state"] == "failed" and value["lost_seconds"] is None and "\x1b" not in page
    assert "none was chosen" in page and "no-set: nothing" in page and "1 reason." in page


def test_names_from_a_library_are_text_in_the_page_and_nothing_is_fetched():
    page = drill_report.page(drill_report.report("a<script>", FACTS, ["<img src=x>"]))
    root = xml.etree.ElementTree.fromstring(page.partition("\n")[2].replace('<meta charset="utf-8">', "").replace(
        '<meta name="viewport" content="width=device-width, initial-scale=1">', "").replace(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">", ""))
    tags = {element.tag for element in root.iter()}
    assert not tags & {"script", "img", "b", "link", "a"}
    text = "".join(root.itertext())
    assert "<b>History</b>: commit missing" in text and "<img src=x>" in text
    assert "http://" not in page.replace("http-equiv", "") and "https://" not in page
