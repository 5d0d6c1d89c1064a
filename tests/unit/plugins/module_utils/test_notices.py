# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a notice says, and the address of a ping. That nobody can be held up by one is tested with the module."""

from __future__ import annotations

import json

import pytest
from ansible_collections.seafleet.seafile.plugins.filter.run_notice import FilterModule
from ansible_collections.seafleet.seafile.plugins.module_utils import notices


def row(server, state="verified", **more):
    """A server's row in the result of a run."""
    return {
        "server": server,
        "backup_host": "b",
        "state": state,
        "set_id": None,
        "code": None,
        "message": None,
        "seconds": 1,
        "bytes": 2,
        "new_bytes": 3,
        "reasons": ["long"],
        "warnings": [],
        **more,
    }


def result(*rows):
    """The result of a run."""
    return {
        "format": 1,
        "run_id": "20261123T030000Z-5e1f",
        "playbook": "backup",
        "began": "2026-11-23T03:00:00Z",
        "ended": "2026-11-23T03:09:00Z",
        "controller": "c",
        "totals": {"servers": len(rows)},
        "servers": list(rows),
    }


def test_a_run_that_went_well_is_a_success_in_one_line():
    told = FilterModule().filters()["run_notice"](result(row("a"), row("b", "sealed")))
    assert (told["event"], told["text"]) == ("success", "Seafile backup: 2 of 2 servers went well.")
    assert told["servers"][0] == {
        "server": "a",
        "backup_host": "b",
        "state": "verified",
        "set_id": None,
        "code": None,
        "message": None,
        "seconds": 1,
        "bytes": 2,
        "new_bytes": 3,
    }
    json.dumps(told)


@pytest.mark.parametrize("state", ["failed", "damaged"])
def test_one_bad_server_makes_a_failure_that_names_it(state):
    told = notices.of_run(result(row("a"), row("b", state, code="no-space", message="/srv: full.\x1b[31m Next: free some")))
    assert told["event"] == "failure"
    assert told["text"].splitlines() == ["Seafile backup: 1 of 2 servers went well.", f"b: {state}: no-space: /srv: full.\\x1b[31m Next: free some"]


def test_many_bad_servers_and_long_reasons_are_cut():
    lines = notices.of_run(result(*(row(f"s{number}", "failed", message="x" * 9999) for number in range(30))))["text"].splitlines()
    assert len(lines) == 12 and lines[-1] == "and 20 more" and max(map(len, lines)) == 300


def test_a_run_over_no_server_is_no_success():
    assert notices.of_run(result())["event"] == "failure"


@pytest.mark.parametrize(
    "url, event, address",
    [
        ("https://ping.example.org/abc", "begun", "https://ping.example.org/abc/start"),
        ("https://ping.example.org/abc", "success", "https://ping.example.org/abc"),
        ("https://ping.example.org/abc/", "failure", "https://ping.example.org/abc/fail"),
        ("https://ping.example.org/abc/?rid=1", "success", "https://ping.example.org/abc/?rid=1"),
        ("https://ping.example.org/abc?rid=1", "failure", "https://ping.example.org/abc/fail?rid=1"),
    ],
)
def test_a_ping_has_an_address_for_each_event(url, event, address):
    assert notices.ping_address(url, event) == address
