# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.seafleet.seafile.plugins.plugin_utils.reaching_action import ReachingActionBase


class ActionModule(ReachingActionBase):
    """Run the module M(seafleet.seafile.backup_metrics); a host that cannot be reached is a failure with a code."""

    MODULE = "seafleet.seafile.backup_metrics"
