# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins of long modules have in common: they run the module, and show how far it is while it runs."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import shlex
import typing as t

from ansible.utils.display import Display

from ansible_collections.seafleet.seafile.plugins.plugin_utils.output import is_for_programs
from ansible_collections.seafleet.seafile.plugins.plugin_utils.progress import INTERVAL, Watch, shared_interval
from ansible_collections.seafleet.seafile.plugins.plugin_utils.reaching_action import ReachingActionBase

VARIABLE = "seafleet_progress_interval"
"""Seconds from one line to the next; 0: none at all."""
_MOST_BYTES = 4096


class WatchedActionBase(ReachingActionBase):
    """Runs the module :attr:`MODULE` as its base does, and meanwhile shows its progress file.

    No polling of an async job: that makes every task a second slower, also those that end at once. The module runs in this process as
    usual; a thread with a copy of the connection begins to look when the first interval has gone by.
    """

    def progress_path(self, arguments: t.Mapping[str, t.Any]) -> str | None:
        """Return the path of the progress file on the host that the module runs on; None when the arguments do not tell."""
        raise NotImplementedError

    def execute(self, name: str, arguments: dict[str, t.Any], task_vars: dict[str, t.Any], **how: t.Any) -> dict[str, t.Any]:
        with contextlib.nullcontext() if how.get("wrap_async") else self._watch(arguments, task_vars):
            return super().execute(name, arguments, task_vars, **how)

    def _watch(self, arguments: t.Mapping[str, t.Any], task_vars: t.Mapping[str, t.Any]) -> t.ContextManager[t.Any]:
        interval = shared_interval(self._interval(task_vars), len(task_vars.get("ansible_play_batch", ())))
        if not interval or self._task.check_mode or self._task.no_log or is_for_programs():
            return contextlib.nullcontext()
        try:
            path = self.progress_path(arguments)
        except Exception:  # pylint: disable=broad-except  # the module itself says what is wrong with its arguments
            path = None
        if path is None or not os.path.isabs(path):
            return contextlib.nullcontext()
        host = str(task_vars.get("inventory_hostname", ""))
        look = self._looker(path)
        display = Display()
        # With -vvv a connection plugin displays something too: its thread must not do so while the process ends.
        return Watch(look, lambda line: display.display(f"{host}: {line}"), interval, 1.0 if display.verbosity < 3 else 10.0)

    def _interval(self, task_vars: t.Mapping[str, t.Any]) -> float:
        """Return the seconds from one line to the next; 0 for none."""
        try:
            interval = float(self._templar.template(task_vars.get(VARIABLE, INTERVAL)))
        except Exception:  # pylint: disable=broad-except  # progress is not worth a failure
            return INTERVAL
        return interval if math.isfinite(interval) and interval > 0 else 0.0

    def _looker(self, path: str) -> t.Callable[[], str]:
        """Return what reads the file, over copies of whatever keeps state while a command runs: this action's own is at work with the module."""
        action = copy.copy(self)
        action._connection = connection = copy.copy(self._connection)
        connection._shell = copy.copy(connection._shell)
        if getattr(connection, "become", None) is not None:
            connection.become = copy.copy(connection.become)
        # The time of the same host tells whether the file was begun by this task. A named pipe in its place would never be read to its end.
        file = shlex.quote(path)
        command = f"date +%s; [ -f {file} ] && head -c {_MOST_BYTES} {file}"
        return lambda: str(action._low_level_execute_command(command)["stdout"])
