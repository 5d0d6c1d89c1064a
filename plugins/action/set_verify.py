# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout
from ansible_collections.seafleet.seafile.plugins.plugin_utils.watched_action import WatchedActionBase


class ActionModule(WatchedActionBase):
    """Run the module M(seafleet.seafile.set_verify) and show how far it is."""

    MODULE = "seafleet.seafile.set_verify"

    def progress_path(self, arguments: t.Mapping[str, t.Any]) -> str | None:
        return ServerLayout(arguments["backup_root"], arguments["server"]).progress
