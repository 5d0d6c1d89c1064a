# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.seafleet.seafile.plugins.filter.retention_policies import FilterModule

policies = FilterModule().filters()["retention_policies"]


def test_each_server_has_what_its_inventory_says_and_nothing_else():
    hostvars = {
        "a": {"seafile_retention_keep_daily": 30, "seafile_retention_hold": ["x"], "seafile_root": "/opt"},
        "b": {},
        "c": {"seafile_retention_keep_last": 1},
        "d": {"seafile_retention_safety_days": 30, "seafile_retention_partial_days": 8},
    }
    assert policies(["a", "b"], hostvars) == {"a": {"keep_daily": 30, "hold": ["x"]}, "b": {}}
    assert policies(["d"], hostvars) == {"d": {"partial_days": 8}}, "safety copies lie on the server, and are no sets"
