# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all action plugins that run a module on another host have in common: a host that cannot be reached is a failure like any other."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import threading
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

_LOOK_EVERY = 2.0
_OPENING = re.compile(r'^(?:Task failed: )?(?:Failed to connect to the host via ssh: |'
                      r'Data could not be sent to remote host "[^"]*"\. Make sure this host can be reached over ssh: )')
"""What Ansible says before ssh's own words."""


def unreachable(host: str, error: str) -> dict[str, t.Any]:
    """Return the failure of a task whose host could not be reached.

    Ansible's own kind, C(unreachable), takes the server out of the play: no rescue runs, so that no lock is freed and nobody is told what is kept.
    """
    problem = SeafileError("unreachable", host, f"it cannot be reached: {_OPENING.sub('', ' '.join(error.split()))}")
    return {"failed": True, "msg": problem.message, "code": problem.code, "what": problem.what, "next_step": problem.next_step, "host": host}


class ReachingActionBase(ActionBase):
    """Runs the module :attr:`MODULE` as Ansible itself would."""

    TRANSFERS_FILES = False
    MODULE = ""
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        del tmp
        background = bool(self._task.async_val) and not self._connection.has_native_async
        result.update(self.execute(self.MODULE, dict(self._task.args), task_vars or {}, wrap_async=background))
        return result

    def execute(self, name: str, arguments: dict[str, t.Any], task_vars: dict[str, t.Any], **how: t.Any) -> dict[str, t.Any]:
        """Run a module on the task's host and return its result, or the failure C(unreachable)."""
        try:
            with ended_with_the_play():
                return t.cast("dict[str, t.Any]", self._execute_module(module_name=name, module_args=arguments, task_vars=task_vars, **how))
        except AnsibleConnectionFailure as error:
            return unreachable(self.host(task_vars), self._reason(error))

    def _reason(self, error: AnsibleConnectionFailure) -> str:
        """Return why the host could not be reached.

        Where ssh closed its input before it had all of the module, and ended a moment later, Ansible tells of the broken pipe and not what ssh said.
        ssh is asked once more then, with nothing to send.
        """
        if isinstance(error.__context__, OSError):
            try:
                self._connection.exec_command("true", sudoable=False)
            except AnsibleError as again:
                return str(again)
        return str(error)

    def host(self, task_vars: t.Mapping[str, t.Any]) -> str:
        """Name the host that this task talks to."""
        return str(self._task.delegate_to or task_vars.get("inventory_hostname", "the host"))


@contextlib.contextmanager
def ended_with_the_play() -> t.Iterator[None]:
    """End this worker process, and the ssh that it waits for, when ansible-playbook itself is gone.

    Ansible ends its workers when it is told to end (since 2.19), but not when it is killed: then a worker waits for its module, maybe for hours.
    Once its ssh has ended, the module on the other host sees that nobody listens any more, see C(module_utils/audience.py).
    """
    parent = os.getppid()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK_EVERY):
            if os.getppid() != parent:
                for child in children():
                    with contextlib.suppress(OSError):
                        os.kill(child, signal.SIGTERM)
                os._exit(1)

    with contextlib.suppress(RuntimeError):  # no thread to be had: then without
        threading.Thread(target=watch, name="seafleet-play", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def children() -> list[int]:
    """Return the process ids of this process's children, as far as the kernel tells."""
    found = []
    for path in pathlib.Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError, ValueError):
            found += [int(word) for word in path.read_text(encoding="ascii").split()]
    return found
