# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import backup_place
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
