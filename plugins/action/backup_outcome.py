# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.seafleet.seafile.plugins.module_utils import run_result
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import printable
from ansible_collections.seafleet.seafile.plugins.plugin_utils.output import is_for_programs


class ActionModule(ActionBase):
    """Make the row of one server; see the module's documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        del tmp
        dummy, options = self.validate_argument_spec({
            "backup_host": {"type": "str", "required": True},
            "began": {"type": "str"},
            **{name: {"type": "dict"} for name in ("failure", "begun", "warmed", "pulled", "sealed", "verdict")},
            **{name: {"type": "list", "elements": "str", "default": []} for name in ("pruned", "warnings", "report")},
            "kept": {"type": "str"},
            "kept_known": {"type": "bool", "default": True},
        })
        server = str((task_vars or {}).get("inventory_hostname", ""))
        ended = as_text(utc_now())
        who = (server, options["backup_host"], options["began"] or ended, ended)
        failure = options["failure"]
        if failure is not None:
            row = run_result.failed_row(
                *who, failure.get("code"), failure.get("msg") or "the run failed", set_id=(options["begun"] or {}).get("set_id"), kept=options["kept"] or None)
        else:
            row = run_result.finished_row(
                *who, options["begun"], options["sealed"], (options["warmed"], options["pulled"]), options["verdict"], options["pruned"], options["warnings"],
                bool(self._task.check_mode), options["kept"] or None)
        good = row["state"] not in run_result.BAD
        if options["report"] and not is_for_programs():
            # one text, so that no line of another server comes between
            Display().display("\n".join(printable(line) for line in options["report"]))
        return dict(
            result, changed=False, row=row, good=good, sentence="" if good else run_result.sentence(row, options["kept_known"]), report=options["report"])
