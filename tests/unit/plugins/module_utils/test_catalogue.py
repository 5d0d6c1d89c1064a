# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the catalogue tells of a backup host, also of one whose records were cut, spoilt or swapped."""

from __future__ import annotations

import os

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import catalogue
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_time
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import backup_records as records

OLD, NEW, NEXT = "20261122T030000Z", "20261123T030000Z", "20261124T030000Z"


def look(root, policies=None):
    """The catalogue of I(root), its servers by name."""
    found = catalogue.of_host(str(root), as_time("2026-11-24T06:00:00Z"), policies)
    return found, {server["server"]: server for server in found["servers"]}


def test_a_set_is_told_with_its_times_sizes_and_what_came_with_it(tmp_path):
    records.sealed(tmp_path, "files", NEW, records.verification())
    _found, servers = look(tmp_path)
    row = servers["files"]["sets"][0]
    assert {
        key: row[key]
        for key in ("set_id", "state", "began", "ended", "seconds", "bytes", "new_bytes", "new_objects", "libraries", "version", "objects", "level")
    } == {
        "set_id": NEW,
        "state": "verified",
        "began": "2026-11-23T03:00:00Z",
        "ended": "2026-11-23T03:00:45Z",
        "seconds": 45,
        "bytes": 5000,
        "new_bytes": 700,
        "new_objects": 3,
        "libraries": 12,
        "version": "11.0.13",
        "objects": 9,
        "level": "new",
    }
    assert servers["files"]["states"] == {"verified": 1, "sealed": 0, "damaged": 0, "partial": 0}


def test_sets_come_newest_first_partial_ones_among_them_with_their_reasons(tmp_path):
    records.sealed(tmp_path, "files", OLD)
    records.sealed(
        tmp_path, "files", NEW, records.verification("damaged", libraries=[records.damage("backup"), records.damage("source")], reasons=["a", "b", "c", "d"])
    )
    records.partial(tmp_path, "files", NEXT, "the network went away")
    _found, servers = look(tmp_path)
    assert [(row["set_id"], row["state"], row["reasons"]) for row in servers["files"]["sets"]] == [
        (NEXT, "partial", ["the network went away"]),
        (NEW, "damaged", ["a", "b", "c"]),
        (OLD, "sealed", []),
    ]
    assert (servers["files"]["sets"][1]["damaged_here"], servers["files"]["sets"][1]["damaged_at_source"]) == (1, 1)


def test_a_set_whose_manifest_is_gone_is_damaged_and_stays_in_the_list(tmp_path):
    records.sealed(tmp_path, "files", NEW)
    (tmp_path / "files" / "sets" / NEW / "manifest.json").unlink()
    row = look(tmp_path)[1]["files"]["sets"][0]
    assert (row["state"], row["began"], row["bytes"]) == ("damaged", "2026-11-23T03:00:00Z", None) and "manifest is missing" in row["reasons"][0]


@pytest.mark.parametrize(
    "more",
    [
        {"began": "yesterday", "sealed": 7},
        {"bytes": -1},
        {"bytes": True, "libraries": "many"},
        {"stages": []},
        {"stages": {"objects": [1]}},
        {"seafile": "x"},
        {"warnings": {"a": 1}},
        {"verification": {"format": 1}},
        {"engine": ["mysql"], "began": None},
    ],
)
def test_a_manifest_with_nonsense_in_it_gives_a_row_without_what_is_not_known(tmp_path, more):
    records.sealed(tmp_path, "files", NEW, **more)
    row = look(tmp_path)[1]["files"]["sets"][0]
    assert row["began"] == "2026-11-23T03:00:00Z" and all(row[key] is None or row[key] >= 0 for key in ("bytes", "new_bytes", "libraries", "seconds"))


def test_the_last_run_is_told_by_the_newest_result_that_names_the_server(tmp_path):
    records.sealed(tmp_path, "files", OLD, records.verification())
    records.sealed(tmp_path, "cloud", NEW, records.verification())
    records.run(tmp_path, OLD, records.row("files", set_id=OLD), records.row("cloud", "failed", code="no-space", message="full"))
    records.run(tmp_path, NEW, records.row("cloud", set_id=NEW, seconds=90))
    records.run(tmp_path, NEXT, records.row("files", "failed"), playbook="verify")
    _found, servers = look(tmp_path)
    assert (servers["files"]["last_run"]["state"], servers["files"]["last_run"]["ended"]) == ("verified", "2026-11-22T04:00:00Z")
    assert (servers["cloud"]["last_run"]["state"], servers["cloud"]["last_run"]["seconds"]) == ("verified", 90)


def test_a_run_that_skipped_the_server_says_nothing_of_it(tmp_path):
    records.sealed(tmp_path, "files", OLD, records.verification())
    records.run(tmp_path, OLD, records.row("files", "failed", code="no-space", message="full"))
    records.run(tmp_path, NEW, records.row("files", "skipped"))
    assert look(tmp_path)[1]["files"]["last_run"]["code"] == "no-space"


def test_a_set_that_is_newer_than_every_result_counts_as_the_last_run(tmp_path):
    records.run(tmp_path, OLD, records.row("files", "failed", code="no-space", message="full"))
    records.sealed(tmp_path, "files", NEW, records.verification())
    assert look(tmp_path)[1]["files"]["last_run"] == {
        "state": "verified",
        "code": None,
        "message": None,
        "began": "2026-11-23T03:00:00Z",
        "ended": "2026-11-23T03:00:45Z",
        "seconds": 45,
        "set_id": NEW,
        "run_id": None,
    }


def test_a_set_that_was_given_up_counts_as_a_failed_run_and_one_at_work_does_not(tmp_path):
    records.sealed(tmp_path, "files", OLD, records.verification())
    records.partial(tmp_path, "files", NEXT)
    assert look(tmp_path)[1]["files"]["last_run"]["state"] == "verified"
    records.partial(tmp_path, "files", NEW, "the disk is full")
    assert (look(tmp_path)[1]["files"]["last_run"]["state"], look(tmp_path)[1]["files"]["last_run"]["message"]) == ("failed", "the disk is full")


def test_a_server_that_failed_before_anything_was_written_is_not_left_out(tmp_path):
    records.run(
        tmp_path, NEW, records.row("files", "failed", code="unreachable", message="no route"), records.row("../x", "failed"), records.row("a\x1b", "failed")
    )
    found, servers = look(tmp_path)
    assert not servers and [(row["server"], row["code"]) for row in found["failed_before"]] == [("files", "unreachable")]


def test_drills_come_newest_first_and_the_last_one_that_passed_is_never_lost(tmp_path):
    records.sealed(tmp_path, "files", OLD)
    records.drill(tmp_path, "files", "20260101T030000Z")
    for day in range(1, 29):
        records.drill(tmp_path, "files", f"202611{day:02}T030000Z", state="failed", reasons=["a block is missing"])
    drills = look(tmp_path)[1]["files"]["drills"]
    assert len(drills) == catalogue.MOST_DRILLS + 1 and drills[0]["id"] == "20261128T030000Z"
    assert (drills[-1]["id"], drills[-1]["state"], drills[-1]["recovery_seconds"]) == ("20260101T030000Z", "passed", 61)


def test_files_in_quarantine_are_counted(tmp_path):
    records.sealed(tmp_path, "files", OLD)
    records.write(tmp_path / "files" / "quarantine" / "blocks" / "a" / "b.1", 1)
    records.write(tmp_path / "files" / "quarantine" / "fs" / "c", 1)
    assert look(tmp_path)[1]["files"]["quarantine_files"] == 2


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff", "[" * 100000, '{"servers": 1, "ended": "2026-11-23T03:00:00Z"}', '{"servers": [], "ended": "soon"}'])
def test_a_record_that_was_spoilt_is_said_and_fails_nothing(tmp_path, text):
    records.run(tmp_path, OLD, records.row("files", "failed", code="no-space"))
    (tmp_path / ".seafleet" / "runs" / f"{NEW}-5e1f.json").write_text(text, encoding="latin-1")
    records.sealed(tmp_path, "files", "20261101T030000Z")
    (tmp_path / "files" / "drills").mkdir()
    (tmp_path / "files" / "drills" / "20261101T040000Z.json").write_text(text, encoding="latin-1")
    found, servers = look(tmp_path)
    assert len(found["problems"]) == 1 and NEW in found["problems"][0] and servers["files"]["last_run"]["code"] == "no-space"
    assert len(servers["files"]["problems"]) == (0 if "servers" in text else 1)


def test_a_link_in_the_place_of_a_record_is_not_followed(tmp_path):
    records.write(tmp_path / "elsewhere.json", {"state": "passed"})
    records.sealed(tmp_path, "files", NEW)
    (tmp_path / "files" / "drills").mkdir()
    os.symlink(tmp_path / "elsewhere.json", tmp_path / "files" / "drills" / f"{NEW}.json")
    assert look(tmp_path)[1]["files"]["drills"] == [] and "cannot be read" in look(tmp_path)[1]["files"]["problems"][0]


def test_room_is_told_in_bytes_and_inodes(tmp_path):
    room = look(tmp_path)[0]["room"]
    assert 0 < room["free_bytes"] <= room["bytes"] and room["free_inodes"] <= room["inodes"]


# -- what goes next ------------------------------------------------------------------------------------------------


def test_what_would_be_pruned_next_is_told_by_the_policy_of_each_server(tmp_path):
    for server in ("files", "cloud"):
        for day in range(1, 25):
            records.sealed(tmp_path, server, f"202611{day:02}T030000Z", records.verification())
    few = {"keep_last": 2, "keep_daily": "0", "keep_weekly": 0, "keep_monthly": 0, "keep_yearly": 0, "hold": ["20261102T030000Z"]}
    _found, servers = look(tmp_path, {"files": few})
    assert servers["files"]["goes"][:2] == ["20261101T030000Z", "20261103T030000Z"] and len(servers["files"]["goes"]) == 16 and servers["files"]["frozen"] == []
    assert servers["cloud"]["goes"] and servers["cloud"]["goes"] != servers["files"]["goes"]


def test_why_nothing_goes_is_told(tmp_path):
    records.sealed(tmp_path, "files", OLD, records.verification())
    records.sealed(tmp_path, "files", NEW)
    assert look(tmp_path)[1]["files"]["frozen"] == [f"the newest set {NEW} was never verified"]


@pytest.mark.parametrize("policy", [{"min_age_days": 1}, {"keep_daily": "many"}, {"keep_nights": 3}, {"hold": ["x"]}, {"hold": 3}, "all"])
def test_a_policy_that_makes_no_sense_is_said_and_nothing_is_told_to_go(tmp_path, policy):
    for day in range(1, 25):
        records.sealed(tmp_path, "files", f"202611{day:02}T030000Z", records.verification())
    server = look(tmp_path, {"files": policy})[1]["files"]
    assert server["goes"] == [] and len(server["problems"]) == 1 and "what would be pruned is not known" in server["problems"][0]
