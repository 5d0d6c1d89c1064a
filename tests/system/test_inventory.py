# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories that say little: a server that is known by its name alone, and one that is its own backup host."""

from __future__ import annotations

import json
import re
import shlex
import types
import typing as t

import pytest

from fleet import BACKUPS, Fleet

NAMED, ALONE = "server1", "alone"
WARNING = "server and backup host are one machine: this backup does not survive that machine"


@pytest.fixture(scope="module")
def fleet(shared_hosts: t.Callable[..., t.Any]) -> Fleet:
    """Both on one machine; no ansible_host for the one, whose name the backup host resolves."""
    fleet = Fleet(shared_hosts("server1", "backup1"))
    fleet.add(NAMED, root="/opt/named")
    address = fleet.servers[NAMED].pop("ansible_host")
    path = fleet.group.directory / "inventory.yml"
    inventory = json.loads(path.read_text())
    del inventory["all"]["hosts"]["server1"]["ansible_host"]
    path.write_text(json.dumps(inventory))
    fleet.run("backup1", f"echo {shlex.quote(f'{address} server1')} >> /etc/hosts")
    fleet.add(ALONE, machine="server1", root="/opt/alone", seafile_backup_host=ALONE)
    for server in (NAMED, ALONE):
        fleet.deploy(server)
    fleet.ok("prepare")
    return fleet


@pytest.fixture(scope="module")
def run(fleet: Fleet) -> types.SimpleNamespace:
    """One run of both, and a restore of both in place of what was removed."""
    backup = fleet.ok("backup")
    fleet.run("server1", "rm -r /opt/named /opt/alone")
    restore = fleet.ok("restore")
    return types.SimpleNamespace(backup=backup, restore=restore)


def test_nobody_but_the_servers_is_counted(run):
    assert set(run.backup.recap) == set(run.restore.recap) == {NAMED, ALONE}


def test_a_server_without_an_address_is_reached_by_its_name(fleet, run):
    assert len(fleet.sets(NAMED)) == 1
    listed, new = re.search(r"^server1: set .*\n(?:.*\n){2}objects: (\d+) with .* new (\d+) with [1-9]", run.backup.output, re.MULTILINE).groups()
    # one block is there twice, by a hard link, and comes once
    assert int(new) == int(listed) - 1 > 1000, "those that came before the dump are counted too"
    assert "ansible_host" not in fleet.servers[NAMED]
    assert fleet.truth(NAMED).startswith("equal to the manifest")


def test_a_server_that_is_its_own_backup_host_is_backed_up_without_ssh_and_warned(fleet, run):
    assert fleet.run("server1", f"ls {BACKUPS}/{ALONE}/sets | grep -c 'Z$'") == "1\n"
    assert fleet.run("server1", "ls /etc/seafleet 2>/dev/null || true") == "", "no key was made for it"
    assert fleet.run("backup1", f"ls {BACKUPS}").split() == [NAMED]
    assert run.backup.output.count(WARNING) >= 1
    assert fleet.truth(ALONE).startswith("equal to the manifest")
