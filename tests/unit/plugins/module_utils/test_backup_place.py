# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import backup_place, clock
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, set_time

NOW = set_time("20261123T030000Z")


@pytest.fixture
def layout(tmp_path):
    return ServerLayout(str(tmp_path), "server1")


def seal(layout, set_id, **manifest):
    """A sealed set with just the manifest that is read."""
    os.makedirs(layout.sealed(set_id))
    with open(os.path.join(layout.sealed(set_id), "manifest.json"), "w", encoding="ascii") as stream:
        json.dump(dict({"format": 1, "set_id": set_id, "databases": []}, **manifest), stream)


@pytest.mark.parametrize("sets, days, due", [
    ({}, 7, True),
    ({"20261122T030000Z": True}, 7, False),
    ({"20261122T030000Z": True}, 0, True),
    ({"20261122T030000Z": True}, 1, True),
    ({"20261122T030000Z": True}, 1.5, False),
    ({"20261122T030000Z": False, "20261121T030000Z": False}, 7, True),
    ({"20261122T030000Z": False, "20261118T030000Z": True}, 7, False),
    ({"20261122T030000Z": False, "20261116T030000Z": True}, 7, True),
    ({"20261122T030000Z": None}, 7, False),
])
def test_a_sweep_is_due_when_none_of_the_last_days_was_one(layout, sets, days, due):
    for set_id, swept in sets.items():
        seal(layout, set_id, **({} if swept is None else {"swept": swept}))
    assert backup_place.is_sweep_due(layout, days, NOW) is due


def test_a_set_whose_manifest_cannot_be_read_was_no_sweep(layout):
    seal(layout, "20261122T030000Z", format=99)
    assert backup_place.is_sweep_due(layout, 7, NOW)


def test_what_the_server_itself_had_lost_is_not_counted_as_known(layout):
    record = {"format": 1, "state": "verified", "level": "new", "began": "2026-11-22T03:00:00Z", "ended": "2026-11-22T03:01:00Z", "libraries": 1,
              "hashed": {}, "trusted": {}, "scrubbed": {"files": 0, "bytes": 0}, "legally_missing": {}, "healed": [], "healed_total": 0,
              "findings_total": 1, "findings": [], "reasons": [], "notes": [],
              "damaged_libraries": [{"id": "b", "name": "B", "findings": 1, "where": "source"}, {"id": "a", "name": "A", "findings": 1, "where": "source"}]}
    seal(layout, "20261121T030000Z")
    seal(layout, "20261122T030000Z", verification=record)
    assert backup_place.newest_verified(layout) == "20261122T030000Z"
    assert backup_place.distrusted(layout, "20261122T030000Z") == ["a", "b"]
    assert backup_place.distrusted(layout, "20261121T030000Z") == []


def test_clocks_are_compared_whatever_the_controller_thinks_the_time_is():
    assert clock.difference(1000.0, 5000.5, 1003.0, 5003.5) == 0
    assert clock.difference(1000.0, 5061.0, 1003.0, 5003.5) == 60.5
    assert clock.difference(1000.0, 1000.5, 1010.0, 1130.5) == -120.0


@pytest.mark.parametrize("ahead, limit, codes", [(0, 60, []), (59, 60, []), (61, 60, ["clock"]), (-3600, 60, ["clock"]), (-3600, 0, []), (50, 10, ["clock"])])
def test_clocks_that_differ_are_a_problem_that_says_which_way(layout, ahead, limit, codes):
    asked = {"clock": {"asked": 5000.0, "told": 900.0 + ahead}, "asked_at": 5010.0, "clock_limit": limit}
    problems = list(backup_place._clock_problems("server1", asked, 910.0))
    assert [problem.code for problem in problems] == codes
    assert all(("ahead of" if ahead > 0 else "behind") in problem.message for problem in problems)


def test_without_the_servers_clock_nothing_is_compared():
    assert list(backup_place._clock_problems("server1", {"clock": None, "asked_at": 1.0, "clock_limit": 60}, 1e9)) == []
    assert list(backup_place._clock_problems("server1", {}, 1e9)) == []


LIBRARIES = [f"0000000{number}-0000-4000-8000-000000000000" for number in range(8)]


def compare(layout, libraries, stores=None, accept=False):
    params = {"server": "server1", "identity": {"ccnet_id": None, "service_url": None, "libraries": libraries}, "stores": stores,
              "accept_identity": accept, "storage": "/opt/seafile/seafile-data/storage", "shrink_percent": 10}
    problems, notes = backup_place._compare_source(layout, params, backup_place.newest_verified(layout))
    return [problem.code for problem in problems], notes


def test_the_newest_set_says_which_server_it_was(layout):
    assert compare(layout, LIBRARIES[4:]) == ([], []), "a first backup"
    seal(layout, "20261121T030000Z", seafile={"identity": {"libraries": LIBRARIES[4:]}})
    seal(layout, "20261122T030000Z", seafile={"identity": {"libraries": LIBRARIES[:4]}})
    assert compare(layout, LIBRARIES[:2]) == ([], [])
    assert compare(layout, LIBRARIES[4:]) == (["identity-changed"], [])
    assert compare(layout, LIBRARIES[4:], accept=True)[0] == []


def test_a_set_from_before_identities_is_judged_by_the_objects(layout):
    seal(layout, "20261121T030000Z", seafile={"identity": {"ccnet_id": None, "service_url": None}})
    os.makedirs(os.path.join(layout.objects, "commits", LIBRARIES[0]))
    assert compare(layout, LIBRARIES[:2]) == ([], [])
    assert compare(layout, LIBRARIES[1:]) == (["identity-changed"], [])


def test_an_odd_manifest_forbids_nothing(layout):
    seal(layout, "20261122T030000Z", seafile=["nonsense"])
    assert compare(layout, LIBRARIES, {"commits": 1, "fs": 1, "blocks": 1}) == ([], [])
    seal(layout, "20261123T030000Z", seafile={"identity": 7, "stores": "many"})
    assert compare(layout, LIBRARIES, {"commits": 1, "fs": 1, "blocks": 1}) == ([], [])


def test_stores_are_compared_with_the_newest_verified_set(layout):
    record = {"format": 1, "state": "verified", "level": "new", "ended": "2026-11-22T03:01:00Z", "findings_total": 0, "findings": [], "reasons": [],
              "damaged_libraries": []}
    stores = {"commits": 20, "fs": 20, "blocks": 20}
    seal(layout, "20261121T030000Z", verification=record, seafile={"stores": stores})
    seal(layout, "20261122T030000Z", seafile={"stores": {"commits": 1, "fs": 1, "blocks": 1}})
    assert compare(layout, [], dict(stores, blocks=0))[0] == ["storage-empty"]
    assert len(compare(layout, [], dict(stores, commits=10))[1]) == 1
    assert compare(layout, [], stores) == ([], [])
