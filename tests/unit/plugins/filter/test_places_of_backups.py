# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.seafleet.seafile.plugins.filter.backup_places import FilterModule

places = FilterModule().filters()["backup_places"]
HOSTVARS = {
    "a": {"seafile_backup_host": "backup2", "seafile_backup_root": "/srv/other/"},
    "b": {"seafile_backup_host": "backup1"},
    "c": {"seafile_backup_host": "backup2", "seafile_backup_root": "/srv/other"},
    "d": {"seafile_backup_host": "backup2"},
    "e": {},
}


def test_each_place_comes_once_with_its_servers_in_the_order_of_the_servers():
    assert places(["a", "b", "c", "d", "e"], HOSTVARS) == [
        {"backup_host": "backup2", "backup_root": "/srv/other", "servers": ["a", "c"]},
        {"backup_host": "backup1", "backup_root": "/srv/seafile-backup", "servers": ["b"]},
        {"backup_host": "backup2", "backup_root": "/srv/seafile-backup", "servers": ["d"]}]


def test_no_server_has_no_place():
    assert places([], HOSTVARS) == []
