# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a scenario are machines of their own, with the services that the other scenarios want."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("name", ["server1", "backup1"])
def test_the_services_answer(molecule_hosts, name):
    host = molecule_hosts[name]
    assert host.service("ssh").is_running
    assert host.run("mysql --batch --skip-column-names --execute 'SELECT 6*7'").stdout.strip() == "42"


def test_converge_reached_only_the_group(molecule_hosts):
    assert molecule_hosts["server1"].file("/root/backup_host").content_string == f"backup1 {molecule_hosts.address('backup1')}\n"
    assert not molecule_hosts["backup1"].file("/root/backup_host").exists
