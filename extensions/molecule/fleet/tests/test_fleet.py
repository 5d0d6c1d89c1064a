# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fault 51 and a part of row 32: one server that is down does not hold up the others, and is named."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

SET = "20261123T030000Z"
UP = ("fleet1", "fleet2")
DOWN = "fleet3"


def refuse(hosts, name, *source):
    """Make the host I(name) refuse connections to its sshd, from everywhere or from one address; return how to undo it."""
    rule = ["INPUT", "-p", "tcp", "--dport", "22", *source, "-j", "REJECT", "--reject-with", "tcp-reset"]
    command = ["nsenter", "-t", str(hosts.pid(name)), "-n", "iptables", "-w"]
    subprocess.run([*command, "-I", *rule], check=True)
    return lambda: subprocess.run([*command, "-D", *rule], check=True)


def sets(hosts, server):
    """Names of the sets of a server on the backup host, with those that are not sealed."""
    return hosts["backup1"].run(f"find /srv/seafile-backup/{server}/sets -mindepth 1 -type d -prune -printf '%f\\n'").stdout.split()


@pytest.fixture(scope="module")
def run(molecule_hosts):
    """A backup of all three while one is down."""
    undo = refuse(molecule_hosts, DOWN)
    result = molecule_hosts.playbook("seafleet.seafile.backup", backup_set_id=SET)
    undo()
    return result


def test_the_servers_that_are_up_have_their_set(molecule_hosts, run):
    for server in UP:
        assert run.recap[server]["failed"] == run.recap[server]["unreachable"] == 0
        assert sets(molecule_hosts, server) == [SET]
        manifest = json.loads(molecule_hosts["backup1"].file(f"/srv/seafile-backup/{server}/sets/{SET}/manifest.json").content_string)
        assert (manifest["state"], manifest["server"], manifest["stages"]["objects"]["listed"]) == ("sealed", server, 1078)
        sums = molecule_hosts["backup1"].run(f"cd /srv/seafile-backup/{server}/sets/{SET} && sha256sum --check --quiet SHA256SUMS")
        assert (sums.rc, sums.stdout) == (0, "")


def test_the_server_that_is_down_is_named_with_the_reason(molecule_hosts, run):
    assert run.code != 0
    assert run.recap[DOWN]["failed"] == 1 and run.recap[DOWN]["unreachable"] == 0
    # the table cuts a long reason; the failure at the end has the whole sentence
    assert re.search(rf"^{DOWN} +failed .*unreachable: ", run.output, re.MULTILINE)
    assert re.search(rf"{DOWN}: .*Connection refused.*Kept: no sealed set yet\.", run.output)
    assert sets(molecule_hosts, DOWN) == []


def test_a_server_that_only_the_backup_host_cannot_reach_is_named_with_the_reason(molecule_hosts, run):
    undo = refuse(molecule_hosts, DOWN, "--source", molecule_hosts.address("backup1"))
    stop = molecule_hosts.playbook("seafleet.seafile.backup", "--limit", DOWN, backup_set_id=SET)
    undo()
    assert stop.code == 2 and stop.changed == 0
    assert f"{DOWN}: connection-lost" in stop.output and "Connection refused" in stop.output and "Next: " in stop.output
    assert sets(molecule_hosts, DOWN) == []
