# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of examples/awx-project: what the runs of jobs share. Hosts and servers are those of tests/system."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
for directory in ("awx", "hosts", "system"):
    sys.path.insert(0, str(TESTS / directory))

import testhosts  # noqa: E402  # pylint: disable=wrong-import-position
from fleet import BACKUPS, PASSWORD, Fleet  # noqa: E402  # pylint: disable=wrong-import-position
from jobs import BIG, WRONG_PASSWORD, Controller, Job  # noqa: E402  # pylint: disable=wrong-import-position
from pytest_testhosts import Hosts, pytest_configure  # noqa: E402, F401  # pylint: disable=wrong-import-position,unused-import

# broken has a wrong database password; the others of the second line are for jobs that are cancelled.
SERVERS = ("files", "cloud", "broken",
           "dumping", "pulling")


@pytest.fixture(scope="session")
def controller(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Controller]:
    """Servers on one machine, a backup host, and the controller's side of their jobs."""
    directory = tmp_path_factory.mktemp("awx") / "group"
    testhosts.up(directory, testhosts.parse(["server1", "backup1"]))
    fleet = Fleet(Hosts(directory))
    for server in SERVERS:
        fleet.add(server, machine="server1", root=f"/opt/{server}")
    fleet.deploy("files")
    for server in ("dumping", "pulling"):
        fleet.clone(server, "files")
    fleet.deploy("cloud", "seafile-11-mariadb")
    fleet.clone("broken", "cloud")
    fleet.run("server1", f"grep -rl '{PASSWORD}' /opt/broken/conf | xargs sed -i 's/{PASSWORD}/{WRONG_PASSWORD}/'")
    for server in ("files", "pulling"):
        place = f"/opt/{server}/seahub-data/custom/big"
        fleet.run("server1", f"head -c {BIG} /dev/urandom > {place} && chown seafile: {place}")
    yield Controller(fleet, inventory(fleet), tmp_path_factory.mktemp("controller"))
    testhosts.down(directory)


def inventory(fleet: Fleet) -> dict[str, t.Any]:
    """The inventory of the project: addresses and places; how to log in is the machine credential's."""
    machines = {name: record.address for name, record in fleet.group.records.items()}
    servers = {name: {"ansible_host": machines["server1"], "seafile_root": fleet.root(name)} for name in fleet.servers}
    return {"seafile_servers": {"hosts": servers, "vars": {"seafile_backup_host": "backup1", "seafile_backup_root": BACKUPS}},
            "backup_hosts": {"hosts": {"backup1": {"ansible_host": machines["backup1"]}}}}


@pytest.fixture(scope="session")
def prepared(controller: Controller) -> Job:
    """The job that gives the backup host its access."""
    return controller.run("prepare.yml")
