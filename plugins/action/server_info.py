# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, utc_now
from ansible_collections.seafleet.seafile.plugins.plugin_utils.reaching_action import ReachingActionBase


class ActionModule(ReachingActionBase):
    """Run the module M(seafleet.seafile.server_info) and say when, by this controller's clock; with it the run for a server begins."""

    MODULE = "seafleet.seafile.server_info"

    def execute(self, name: str, arguments: dict[str, t.Any], task_vars: dict[str, t.Any], **how: t.Any) -> dict[str, t.Any]:
        asked = as_text(utc_now())
        return dict(super().execute(name, arguments, task_vars, **how), asked=asked)
