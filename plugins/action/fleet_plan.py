# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import os
import socket
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.seafleet.seafile.plugins.filter.backup_places import DEFAULT_ROOT
from ansible_collections.seafleet.seafile.plugins.module_utils import fleet_order
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.run_result import new_run_id

_LOCAL = ("localhost", "127.0.0.1", "::1")


def address(name: str, variables: t.Mapping[str, t.Any]) -> str:
    """Return what tells the machine behind the inventory's name I(name) from others, as far as the inventory says."""
    if str(variables.get("ansible_connection") or ("local" if name in _LOCAL else "")) == "local":
        return "this machine"
    return f"{variables.get('ansible_host') or name} port {variables.get('ansible_port') or 22}"


def server(name: str, hostvars: t.Mapping[str, t.Mapping[str, t.Any]], known: t.Mapping[str, t.Mapping[str, t.Any]]) -> fleet_order.Server:
    """Return what the inventory and the backup hosts say of one server. One whose variables cannot be read is only a name: its own run will say so."""
    try:
        variables = hostvars[name]
        backup_host = str(variables.get("seafile_backup_host") or "")
        sets = known.get(name, {})
        return fleet_order.Server(
            name, backup_host, address(backup_host, hostvars[backup_host] if backup_host in hostvars else {}) if backup_host else "",
            str(variables.get("seafile_backup_root") or DEFAULT_ROOT), address(name, variables), str(variables.get("seafile_root") or ""),
            sets.get("newest_verified"), sets.get("newest_sealed"))
    except AnsibleError:
        return fleet_order.Server(name)


def read_answers(results: t.Iterable[t.Mapping[str, t.Any]]) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Return (what is known of each server, the answer that stands in the way of each server) from the results of C(fleet_info)."""
    known: dict[str, t.Any] = {}
    unreachable: dict[str, t.Any] = {}
    for answer in results:
        if answer.get("code") == "unreachable" or answer.get("unreachable"):
            unreachable.update(dict.fromkeys(answer["item"]["servers"], answer))
        else:
            known.update(answer.get("servers") or {})
    return known, unreachable


class ActionModule(ActionBase):
    """Order the servers of a run; see the module's documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        del tmp
        dummy, options = self.validate_argument_spec({
            "servers": {"type": "list", "elements": "str", "required": True},
            "known": {"type": "list", "elements": "dict", "default": []},
            "window": {"type": "float", "default": 0},
        })
        now = utc_now()
        hostvars = (task_vars or {})["hostvars"]
        known, unreachable = read_answers(options["known"])
        servers = [server(name, hostvars, known) for name in options["servers"]]
        refused = {
            name: {"code": error.code, "message": error.message, "kept": known.get(name, {}).get("newest_verified"), "kept_known": name in known}
            for name, error in fleet_order.shared(servers).items()}
        for name, answer in unreachable.items():
            refused.setdefault(name, {"code": "unreachable", "message": f"backup host {answer.get('msg')}", "kept": None, "kept_known": False})
        for one in servers:
            if one.name in refused:
                refused[one.name].update(backup_host=one.backup_host, ended=as_text(now))
        ordered = fleet_order.order([one for one in servers if one.name not in refused])
        window = 0.0 if self._task.check_mode else options["window"]
        begins = [now + datetime.timedelta(seconds=offset) if offset else None for offset in fleet_order.offsets(len(ordered), window)]
        result.update(
            changed=False, run_id=new_run_id(now, int.from_bytes(os.urandom(2), "big")), began=as_text(now), controller=socket.gethostname(), refused=refused,
            order=[
                {"server": one.name, "backup_host": one.backup_host, "place": place, "begins": as_text(moment) if moment else None,
                 "newest_verified": one.newest_verified, "newest_sealed": one.newest_sealed}
                for place, (one, moment) in enumerate(zip(ordered, begins), 1)])
        return result
