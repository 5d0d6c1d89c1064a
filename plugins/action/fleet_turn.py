# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.seafleet.seafile.plugins.module_utils import words
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_time, utc_now
from ansible_collections.seafleet.seafile.plugins.plugin_utils.output import is_for_programs
from ansible_collections.seafleet.seafile.plugins.plugin_utils.reaching_action import ended_with_the_play

_LONGEST_SLEEP = 60.0


class ActionModule(ActionBase):
    """Wait for a server's turn; see the module's documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        del tmp
        dummy, options = self.validate_argument_spec({"begins": {"type": "str", "required": True}, "place": {"type": "int"}})
        try:
            begins = as_time(options["begins"])
        except ValueError:
            return dict(result, failed=True, msg=f"begins: {options['begins']!r} is no time such as 2026-11-23T03:00:00Z")
        left = (begins - utc_now()).total_seconds()
        if self._task.check_mode or left <= 0:
            return dict(result, changed=False, waited=0)
        if not is_for_programs():
            place = f", place {options['place']}" if options["place"] else ""
            host = (task_vars or {}).get("inventory_hostname", "")
            Display().display(f"{host}: begins at {options['begins']}, in {words.duration(int(left) + 1)}{place}")
        began = time.monotonic()
        with ended_with_the_play():
            # by the clock of the day, which may be set meanwhile, but never longer than it looked at first
            while (begins - utc_now()).total_seconds() > 0 and time.monotonic() - began < left:
                time.sleep(min(_LONGEST_SLEEP, max(0.05, (begins - utc_now()).total_seconds())))
        return dict(result, changed=False, waited=int(time.monotonic() - began))
