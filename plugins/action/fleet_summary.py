# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.seafleet.seafile.plugins.filter.backup_places import backup_places
from ansible_collections.seafleet.seafile.plugins.module_utils import fleet_table, run_result
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.codes import CODES
from ansible_collections.seafleet.seafile.plugins.plugin_utils.output import is_for_programs

_NO_RESULT = "no-result"


def gather(
    plan: t.Mapping[str, t.Any], servers: t.Sequence[str], outcomes: t.Mapping[str, t.Any], ended: str,
) -> tuple[list[dict[str, t.Any]], dict[str, str]]:
    """Return (the rows in the order of the run, why each server without a good set has none).

    :arg outcomes: what each server's run has registered; a server that is not in it has left no word.
    """
    rows, failures = [], {}
    planned = {one["server"]: one for one in plan.get("order", ())}
    for name in [*planned, *(name for name in servers if name not in planned)]:
        if name not in servers:
            continue
        outcome = outcomes.get(name)
        # one that ended before this run began is an earlier run's, in the same playbook
        if isinstance(outcome, t.Mapping) and isinstance(outcome.get("row"), t.Mapping) and str(outcome["row"].get("ended")) >= str(plan.get("began")):
            row, told = dict(outcome["row"], server=name), str(outcome.get("sentence") or "")
        else:
            why = plan.get("refused", {}).get(name)
            if why is None:
                before = planned.get(name, {})
                why = {
                    "code": _NO_RESULT, "backup_host": before.get("backup_host"), "kept": before.get("newest_verified"), "kept_known": bool(before),
                    "message": f"its run left no result. Next: {CODES[_NO_RESULT].next_step}"}
            began = str(plan.get("began") or ended)
            row = run_result.failed_row(
                name, str(why.get("backup_host") or ""), began, str(why.get("ended") or ended), why["code"], why["message"], kept=why.get("kept"))
            told = run_result.sentence(row, bool(why.get("kept_known")))
        rows.append(row)
        if row["state"] in run_result.BAD:
            failures[name] = told or run_result.sentence(row)
    return rows, failures


class ActionModule(ActionBase):
    """Sum up a run; see the module's documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        del tmp
        dummy, options = self.validate_argument_spec({
            "plan": {"type": "dict", "required": True},
            "servers": {"type": "list", "elements": "str", "required": True},
            "variable": {"type": "str", "required": True},
            "playbook": {"type": "str", "default": "backup"},
            "result_file": {"type": "path"},
        })
        hostvars = (task_vars or {})["hostvars"]
        outcomes, readable = {}, []
        for name in options["servers"]:
            try:
                outcomes[name] = hostvars[name].get(options["variable"])
                hostvars[name].get("seafile_backup_host")
                readable.append(name)
            except AnsibleError:
                pass  # a variable that cannot be read; the server's run has failed by it
        now = utc_now()
        plan = options["plan"]
        rows, failures = gather(plan, options["servers"], outcomes, as_text(now))
        document = run_result.document(
            str(plan.get("run_id")), options["playbook"], str(plan.get("began") or as_text(now)), now, str(plan.get("controller")), rows)
        table = fleet_table.table(document, now)
        if not is_for_programs():
            Display().display("\n".join(table))
        path = options["result_file"] or None
        if path and not self._task.check_mode:
            try:
                write_json(path, document)
            except OSError as error:
                result.setdefault("warnings", []).append(f"the result was not written to {path}: {error.strerror}")
                path = None
        result.update(
            changed=False, result=document, table=table, stats={"seafleet_run": run_result.statistics(document)}, failures=failures,
            places=backup_places(readable, hostvars), path=path if not self._task.check_mode else None)
        return result
