# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import json

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import run_result

NOW = datetime.datetime(2026, 11, 30, 3, 10, 0, tzinfo=datetime.timezone.utc)
WHO = ("files.example.org", "backup1", "2026-11-30T03:00:00Z", "2026-11-30T03:01:30Z")
SET = "20261130T030001Z"


def finished(state="verified", **values):
    arguments = dict(
        begun={"set_id": SET}, sealed={"set_id": SET, "bytes": 61234, "path": f"/srv/{SET}"}, verdict={"state": state, "reasons": []}, pruned=[], warnings=[],
        pulls=[{"objects": {"transferred": 10, "bytes_transferred": 1000}}, {"objects": {"transferred": 2, "bytes_transferred": 50}}],
        check_mode=False, kept="20261129T030000Z")
    return run_result.finished_row(*WHO, **dict(arguments, **values))


def test_a_verified_set_is_what_is_kept_from_now_on():
    row = finished()
    assert (row["state"], row["set_id"], row["kept"], row["code"], row["message"]) == ("verified", SET, SET, None, None)
    assert (row["seconds"], row["bytes"], row["new_objects"], row["new_bytes"]) == (90, 61234, 12, 1050)


def test_a_damaged_set_names_its_reasons_and_the_earlier_set_is_kept():
    row = finished("damaged", verdict={"state": "damaged", "reasons": ["Library A: 1 object damaged."]})
    assert (row["state"], row["code"], row["kept"], row["reasons"]) == ("damaged", "set-incomplete", "20261129T030000Z", ["Library A: 1 object damaged."])
    assert "Library A" in row["message"] and "Next: " in row["message"]


def test_a_set_without_a_verdict_is_only_sealed():
    assert finished(verdict={})["state"] == "sealed"
    assert finished(verdict=None)["kept"] == "20261129T030000Z"


def test_check_mode_makes_no_set_and_says_so():
    assert finished(check_mode=True)["state"] == "skipped"


@pytest.mark.parametrize("junk", [None, "", 5, [], {"objects": None}, {"objects": {"transferred": "many", "bytes_transferred": True}}])
def test_what_a_skipped_task_returned_counts_as_nothing(junk):
    row = finished(pulls=[junk], sealed=None, begun=junk)
    assert (row["new_objects"], row["new_bytes"], row["bytes"]) == (0, 0, 0)


def test_every_row_has_the_same_keys_and_is_json():
    failed = run_result.failed_row(*WHO, None, "a\x1b[31mb\nc")
    assert set(failed) == set(finished()) and json.loads(json.dumps(failed)) == failed
    assert (failed["code"], failed["message"]) == ("failed", "a\\x1b[31mb\\nc")


def test_totals_count_every_server_once():
    rows = [finished(), finished("damaged"), finished(verdict=None), run_result.failed_row(*WHO, "unreachable", "no"), finished(check_mode=True)]
    assert run_result.totals(rows) == {
        "servers": 5, "verified": 1, "damaged": 1, "sealed": 1, "failed": 1, "bytes": 4 * 61234, "new_bytes": 4 * 1050}


def test_the_document_is_what_the_guide_says():
    document = run_result.document("20261130T030000Z-00ff", "backup", "2026-11-30T03:00:00Z", NOW, "control", [finished()])
    assert list(document) == ["format", "run_id", "playbook", "began", "ended", "controller", "servers", "totals"]
    assert (document["format"], document["ended"]) == (1, "2026-11-30T03:10:00Z")
    assert run_result.statistics(document)["servers"] == {
        "files.example.org": {"state": "verified", "set_id": SET, "code": None, "bytes": 61234, "reasons": []}}


def test_a_run_id_is_its_beginning_and_four_digits():
    assert run_result.new_run_id(NOW, 0x1A2B3) == "20261130T031000Z-a2b3"
    assert run_result.is_run_id("20261130T031000Z-a2b3")
    assert not any(map(run_result.is_run_id, ("", "../x", "20261130T031000Z", "20261130T031000Z-a2b3\n", "20261130T031000Z-A2B3")))


@pytest.mark.parametrize(("kept", "known", "end"), [
    ("20261129T030000Z", True, "Kept: set 20261129T030000Z."), (None, True, "Kept: no sealed set yet."), (None, False, "Kept: every earlier set."),
])
def test_the_sentence_names_the_server_once_and_what_is_kept(kept, known, end):
    row = run_result.failed_row(*WHO, "unreachable", "files.example.org: it cannot be reached: refused. Next: start it", kept=kept)
    assert run_result.sentence(row, known) == f"files.example.org: it cannot be reached: refused. Next: start it. {end}"
