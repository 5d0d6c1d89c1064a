# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another host behind the name is told from the same server elsewhere, and a lost object store from a smaller one."""

from __future__ import annotations

import uuid

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import same_source

IDS = sorted(str(uuid.UUID(int=number << 100)) for number in range(1, 300))


def identity(libraries, **more):
    return dict({"ccnet_id": None, "service_url": None, "libraries": same_source.sample(libraries)}, **more)


def judge(before, now, known=(), accepted=False):
    problem, notes = same_source.judge_identity("server1", before, now, set(known), accepted)
    return problem.code if problem else None, notes


def test_a_server_without_any_of_the_libraries_is_another_one():
    assert judge(identity(IDS[:20]), identity(IDS[20:40])) == ("identity-changed", [])


def test_the_problem_tells_both_servers():
    problem = same_source.judge_identity(
        "server1", identity(IDS[:2], service_url="https://a.example"), identity(IDS[2:4], ccnet_id="f" * 40), (), False)[0]
    assert "https://a.example" in problem.message and "f" * 40 in problem.message and "backup_accept_identity" in problem.next_step


@pytest.mark.parametrize("now", [IDS[:20], IDS[10:40], IDS[19:200], IDS[19:20], []])
def test_a_server_with_some_of_the_libraries_is_the_same_whatever_came_and_went(now):
    assert judge(identity(IDS[:20]), identity(now)) == (None, [])


def test_another_server_may_be_accepted_and_is_told():
    code, notes = judge(identity(IDS[:20]), identity(IDS[20:40]), accepted=True)
    assert code is None and len(notes) == 1 and "as was asked for" in notes[0]


def test_a_restored_or_moved_server_with_another_address_goes_on_with_a_note():
    code, notes = judge(identity(IDS[:20], service_url="https://old.example:8000/"), identity(IDS[:20], service_url="http://new.example"))
    assert code is None and len(notes) == 1 and "old.example" in notes[0] and "new.example" in notes[0]


@pytest.mark.parametrize("old, new", [("http://a.example", "https://A.example:8000/seafile"), (None, "https://a.example"), ("https://a.example", None)])
def test_another_scheme_or_port_is_no_other_address(old, new):
    assert judge(identity(IDS[:5], service_url=old), identity(IDS[:5], service_url=new)) == (None, [])


def test_another_id_of_ccnet_with_the_same_libraries_is_a_note():
    code, notes = judge(identity(IDS[:5], ccnet_id="a" * 40), identity(IDS[:5], ccnet_id="b" * 40))
    assert code is None and len(notes) == 1


def test_a_set_that_remembers_no_libraries_is_judged_by_the_objects_that_are_here():
    old = {"ccnet_id": None, "service_url": None}
    assert judge(old, identity(IDS[:5]), known=IDS[4:9]) == (None, [])
    assert judge(old, identity(IDS[:5]), known=IDS[5:9])[0] == "identity-changed"
    assert judge({}, identity(IDS[:5])) == (None, []), "a first backup has nothing to compare with"


def test_what_is_not_an_identity_is_none():
    assert judge({"libraries": "nonsense", "service_url": 7, "ccnet_id": []}, {"libraries": [3, None]}) == (None, [])


def test_the_sample_of_a_grown_server_still_holds_what_was_there():
    assert set(same_source.sample(IDS)) & set(same_source.sample(IDS[::5])) and len(same_source.sample(IDS)) == same_source.SAMPLE


def stores(commits, fs, blocks):
    return {"commits": commits, "fs": fs, "blocks": blocks}


@pytest.mark.parametrize("before, now, code, notes", [
    (stores(20, 20, 20), stores(20, 20, 20), None, 0),
    (stores(20, 20, 20), stores(25, 30, 21), None, 0),
    (stores(20, 20, 20), stores(18, 18, 18), None, 0),
    (stores(20, 20, 20), stores(17, 18, 18), None, 1),
    (stores(20, 20, 20), stores(1, 1, 1), None, 3),
    (stores(20, 20, 20), stores(20, 20, 0), "storage-empty", 0),
    (stores(20, 20, 20), stores(20, 0, 20), "storage-empty", 0),
    (stores(2, 1, 0), stores(1, 1, 0), None, 0),
    ({}, stores(20, 20, 20), None, 0),
    (stores(20, 20, 20), {}, None, 0),
    ({"commits": "many", "fs": None}, stores(1, 1, 1), None, 0),
])
def test_a_store_that_is_gone_stops_and_one_that_shrank_is_told(before, now, code, notes):
    problem, told = same_source.judge_stores("/opt/seafile/seafile-data/storage", before, now, 10)
    assert (problem.code if problem else None, len(told)) == (code, notes)
