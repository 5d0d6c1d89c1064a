# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import socket
import typing as t

from ansible_collections.seafleet.seafile.plugins.plugin_utils.reaching_action import ReachingActionBase


def _boot() -> str:
    """Name this machine's boot and this process namespace, so that a process id means one process."""
    parts = [socket.gethostname()]
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            parts.append(stream.read().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:
        pass
    return "|".join(parts)


def _started(pid: int) -> str | None:
    """Return when the process I(pid) started, in the kernel's ticks, or None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def controller() -> dict[str, t.Any]:
    """Return the identity of the play that runs this task: its host, process and start."""
    pid = os.getppid()
    return {"host": _boot(), "pid": pid, "started": _started(pid)}


def is_dead(holder: dict[str, t.Any]) -> bool:
    """Say whether the process of I(holder) is known to be gone: only this host's own processes can be known.

    In doubt it is alive: then the other run is waited for, or its lease ends.
    """
    pid, started, here = holder.get("pid"), holder.get("started"), _boot()
    if holder.get("host") != here or here.count("|") < 2 or not isinstance(pid, int) or pid < 1 or not isinstance(started, str):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it is another account's
    now = _started(pid)
    # not shown (/proc mounted with hidepid) is not gone
    return now is not None and now != started


class ActionModule(ReachingActionBase):
    """Run the module M(seafleet.seafile.backup_set); take over the lock of a run whose controller process is dead.

    Only the controller can tell whether another run's controller is alive, so this cannot be done by the module.
    """

    MODULE = "seafleet.seafile.backup_set"
    _supports_async = False

    def execute(self, name: str, arguments: dict[str, t.Any], task_vars: dict[str, t.Any], **how: t.Any) -> dict[str, t.Any]:
        if arguments.get("state") != "partial":
            return super().execute(name, arguments, task_vars, **how)
        arguments["controller"] = controller()
        answer = super().execute(name, arguments, task_vars, **how)
        holder = answer.get("holder")
        if answer.get("code") == "run-active" and isinstance(holder, dict) and is_dead(holder.get("controller") or {}):
            arguments["dead_run"] = holder.get("set_id")
            answer = super().execute(name, arguments, task_vars, **how)
        return answer
