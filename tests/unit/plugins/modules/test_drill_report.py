# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.modules import drill_report

ROWS = {"seafile-db": {"Branch": 12, "Repo": 12}}
OBJECTS = {"commits": {"files": 5, "bytes": 50}, "fs": {"files": 3, "bytes": 30}, "blocks": {"files": 2, "bytes": 20}}
GOOD = {"expected_rows": ROWS, "found_rows": ROWS, "expected_objects": OBJECTS, "found_objects": OBJECTS, "libraries": 4}


@pytest.fixture(name="keep")
def _keep(tmp_path):
    def keep(check_mode=False, number="20261123T030000Z", **given):
        params = {"backup_root": str(tmp_path), "server": "files", "id": number, "reasons": [], "libraries": 0,
                  "facts": {"began": "2026-11-23T03:00:00Z", "ended": "2026-11-23T03:01:00Z", "set_id": "20261123T020000Z",
                            "set_began": "2026-11-23T02:00:00Z"},
                  "expected_rows": {}, "found_rows": {}, "expected_objects": {}, "found_objects": {}, **given}
        return drill_report.keep(types.SimpleNamespace(params=params, check_mode=check_mode))
    return keep


def test_a_drill_that_brought_everything_back_passes_and_its_report_stays(keep, tmp_path):
    result = keep(**GOOD)
    assert (result["state"], result["reasons"]) == ("passed", [])
    assert result["lines"][0] == "The backup of files came back whole in 1 min."
    with open(result["files"][0], encoding="ascii") as stream:
        assert json.load(stream) == result["report"]
    assert (result["report"]["objects"], result["report"]["rows"], result["report"]["libraries"]) == (10, 24, 4)
    assert [os.stat(path).st_mode & 0o777 for path in result["files"]] == [0o600, 0o600] and os.listdir(tmp_path) == ["files"]


def test_check_mode_writes_nothing(keep, tmp_path):
    assert keep(check_mode=True, **GOOD)["state"] == "passed" and os.listdir(tmp_path) == []


@pytest.mark.parametrize("change, reason", [
    ({"found_rows": {"seafile-db": {"Branch": 11, "Repo": 12}}}, "the table Branch has 11 rows, the dump 12"),
    ({"found_rows": {"other": {"Branch": 12}}}, "the table Branch is missing"),
    ({"found_objects": {**OBJECTS, "fs": {"files": 2, "bytes": 30}}}, "fs: 2 files are reachable, 3 in the backup"),
    ({"reasons": ["restore: it broke"]}, "restore: it broke"),
    ({"found_objects": {}}, "did not come to its comparison"),
    ({"found_rows": {}}, "did not come to its comparison"),
])
def test_whatever_is_not_as_the_set_says_fails_the_drill_with_its_reason(keep, change, reason):
    result = keep(**{**GOOD, **change})
    assert result["state"] == "failed" and any(reason in said for said in result["reasons"]), result["reasons"]
