# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old sets go by the playbook prune, and in a backup where that is wanted; only they go, and nothing while the newest set is not good.

One server with four backups, the first three of them dated weeks back. The tests follow each other.
"""

from __future__ import annotations

import datetime
import json
import types
import typing as t

import pytest

from fleet import BACKUPS, ROOT, Fleet

STORE = f"{BACKUPS}/server1"
# nothing but what no policy may let go
LEAST = {f"seafile_retention_keep_{kind}": 0 for kind in ("last", "daily", "weekly", "monthly", "yearly")}


def dated(days: int) -> str:
    """The id of a set of so many days ago."""
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days)).strftime("%Y%m%dT%H%M%SZ")


def below(listing: dict[str, list[t.Any]], *parts: str) -> dict[str, list[t.Any]]:
    """What of a listing lies below one of the directories, without the directories' own times."""
    return {path: entry for path, entry in listing.items() if path.startswith(tuple(f"{STORE}/{part}/" for part in parts))}


@pytest.fixture(scope="module")
def aged(shared_hosts: t.Callable[..., t.Any]) -> types.SimpleNamespace:
    """A server with three verified sets of 40, 30 and 20 days ago."""
    fleet = Fleet(shared_hosts("server1", "backup1"))
    fleet.add("server1")
    fleet.deploy("server1")
    fleet.ok("prepare")
    sets = []
    for days in (40, 30, 20):
        fleet.run("server1", f"echo '# {days}' >> {ROOT}/conf/seahub_settings.py")
        sets.append(fleet.backup(backup_set_id=dated(days), **LEAST))
    return types.SimpleNamespace(fleet=fleet, sets=sets)


def test_without_being_asked_a_backup_removes_nothing(aged: types.SimpleNamespace) -> None:
    assert aged.fleet.sets("server1") == aged.sets


def test_check_and_diff_tell_what_would_go_and_why_the_others_stay_and_change_nothing(aged: types.SimpleNamespace) -> None:
    before = aged.fleet.listing("backup1", BACKUPS)
    result = aged.fleet.ok("prune", check=True, **LEAST)
    assert aged.fleet.listing("backup1", BACKUPS) == before
    oldest, middle, newest = aged.sets
    assert "1 of 3 sets would be pruned" in result.output
    assert f"goes: {oldest} (verified): 7 days old or older, and nothing keeps it" in result.output
    assert f"kept: {middle} (verified): one of the 2 newest verified" in result.output
    assert f"kept: {newest} (verified): younger than 7 days; newest verified" in result.output
    assert f"\n-{oldest} verified" in result.output and f"\n-{middle}" not in result.output


def test_a_backup_that_is_asked_to_removes_what_nothing_keeps_and_touches_nothing_else(aged: types.SimpleNamespace) -> None:
    fleet, (oldest, middle, third) = aged.fleet, aged.sets
    fleet.run("backup1", f"echo 'for the auditors' > {STORE}/sets/{middle}.keep")
    before = fleet.listing("backup1", STORE)
    result = fleet.ok("backup", backup_retention=True, **LEAST)
    newest = fleet.sets("server1")[-1]
    assert fleet.sets("server1") == [middle, third, newest] and "retention: 1 of 4 sets is pruned" in result.output
    after = fleet.listing("backup1", STORE)
    assert not [path for path in after if oldest in path]
    kept = (f"sets/{middle}", f"sets/{third}", "objects")
    assert {path: entry for path, entry in below(before, *kept).items() if after.get(path) != entry} == {}
    row = json.loads(fleet.run("backup1", f"cat $(ls -t {BACKUPS}/.seafleet/runs/*.json | head -1)"))["servers"][0]
    assert row["state"] == "verified" and row["pruned"] == [oldest] and row["warnings"] == []
    verified = fleet.ok("verify", verify_set_id="all", verify_level="full")
    assert verified.output.count("VERIFIED") == 3
    aged.sets = [middle, third, newest]


def test_a_set_that_a_restore_has_chosen_stays(aged: types.SimpleNamespace) -> None:
    fleet, (middle, third, newest) = aged.fleet, aged.sets
    fleet.run("backup1", f"rm {STORE}/sets/{middle}.keep")
    chosen = fleet.group.playbook([{"hosts": "backup1", "gather_facts": False, "tasks": [
        {"seafleet.seafile.set_choice": {"backup_root": BACKUPS, "server": "server1", "set_id": middle}}]}])
    assert chosen.code == 0, chosen.output
    result = fleet.ok("prune", **LEAST)
    assert f"kept: {middle} (verified): chosen for a restore at " in result.output and fleet.sets("server1") == [middle, third, newest]


def test_a_retention_that_fails_is_a_warning_of_a_verified_backup(aged: types.SimpleNamespace) -> None:
    fleet = aged.fleet
    result = fleet.ok("backup", backup_retention=True, seafile_retention_min_age_days=3)
    aged.sets = fleet.sets("server1")
    row = json.loads(fleet.run("backup1", f"cat $(ls -t {BACKUPS}/.seafleet/runs/*.json | head -1)"))["servers"][0]
    assert len(aged.sets) == 4 and row["state"] == "verified" and row["pruned"] == []
    assert [warning for warning in row["warnings"] if warning.startswith("retention: retention-policy: min_age_days=3: it may be 7 to 36500")]
    assert "retention: retention-policy: min_age_days=3" in result.output


def test_while_the_newest_run_has_failed_nothing_goes(aged: types.SimpleNamespace) -> None:
    fleet = aged.fleet
    # the restore of the test before is over
    fleet.run("backup1", f"rm -r {STORE}/state/restore")
    begun = dated(0)
    fleet.run("backup1", f"mkdir {STORE}/sets/.{begun}.partial")
    result = fleet.ok("prune", **LEAST)
    assert f"nothing goes: the newest set {begun} has failed and is partial" in result.output and fleet.sets("server1") == aged.sets
    fleet.run("backup1", f"rmdir {STORE}/sets/.{begun}.partial")
    # and when a run has ended well again, it does
    fleet.ok("prune", **LEAST)
    assert fleet.sets("server1") == aged.sets[2:]
