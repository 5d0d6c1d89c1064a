# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.seafleet.seafile.plugins.plugin_utils.output import is_for_programs


class ActionModule(ActionBase):
    """Run the module M(seafleet.seafile.fleet_report) and show its table as it is: as a result it would stand in quotes, a line in each.

    The catalogues that it was given are not shown again, and not kept with its result.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        del tmp
        result.update(self._execute_module(task_vars=task_vars))
        result.pop("invocation", None)
        if not is_for_programs() and not self._task.no_log:
            for line in result.get("lines") or ():
                Display().display(line)
        return result
