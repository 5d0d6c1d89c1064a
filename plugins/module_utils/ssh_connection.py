# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One ssh connection that several rsync processes use in turn.

A connection costs a key exchange and a login on the server, a tenth of a second or more, and a line in its log. Every stream of a pull
opens one and keeps it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.rsync import Remote, environment, ssh_path, ssh_words

_LINGER = 15
"""Seconds after which an unused connection ends by itself: when this process was killed and could not end it."""
KEPT_SECONDS = 600
"""The same for a connection that one task leaves to another."""
_PREFIX = "seafleet-"


class Connections:
    """Connections to one host, opened when they are first asked for; a context, behind which they are closed.

    Several threads may ask, each for its own number.

    :arg remote: None when nothing goes over ssh.
    :arg inherited: what :meth:`leave` returned to an earlier task; used as the first connection if it still stands.
    """

    def __init__(self, remote: Remote | None, inherited: t.Any = None) -> None:
        self.remote = remote
        self._directory: str | None = None
        self._opened: dict[int, str | None] = {}
        self._lock = threading.Lock()
        if remote is not None and _is_ours(inherited):
            if _tell("check", inherited):
                self._directory = os.path.dirname(inherited)
                self._opened[0] = inherited
            else:
                end(inherited)

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *dummy: t.Any) -> None:
        self.close()

    def close(self) -> None:
        """End all connections."""
        for path in self._opened.values():
            if path:
                _tell("exit", path)
        self._opened.clear()
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def leave(self) -> str | None:
        """Leave the first connection to another task, which must begin within :data:`KEPT_SECONDS`; return how it finds it.

        Called in place of leaving the context.
        """
        return self._opened.get(0)

    def path(self, number: int, linger: int = _LINGER) -> str | None:
        """The socket of the connection I(number), or None when it cannot be shared: then each rsync connects by itself.

        Why a connection fails is told by the rsync that comes next, in words that are known.
        """
        if self.remote is None:
            return None
        if number not in self._opened:
            with self._lock:
                if self._directory is None:
                    # not below the backup: a socket's path may have 107 characters, of which ssh takes some for itself
                    self._directory = tempfile.mkdtemp(prefix=_PREFIX)
            path = os.path.join(self._directory, str(number))
            opened = self._ask(["-o", "ControlMaster=yes", "-o", f"ControlPersist={linger}", "-f", "-N"], path) and os.path.exists(path)
            self._opened[number] = path if opened else None
        return self._opened[number]

    def _ask(self, words: t.Sequence[str], path: str) -> bool:
        remote = t.cast(Remote, self.remote)
        account = f"{remote.user}@{remote.host}" if remote.user else remote.host
        argv = [*ssh_words(remote), *words, "-o", f"ControlPath={ssh_path(path)}", "--", account]
        return _quiet(argv)


def _is_ours(path: t.Any) -> bool:
    return isinstance(path, str) and os.path.isabs(path) and os.path.basename(os.path.dirname(path)).startswith(_PREFIX)


def end(inherited: t.Any) -> None:
    """End a connection that an earlier task had left; nothing when there is none."""
    if _is_ours(inherited):
        _tell("exit", inherited)
        shutil.rmtree(os.path.dirname(inherited), ignore_errors=True)


def _tell(order: str, path: str) -> bool:
    """Give an order to the process that holds a connection; the name of a host is not looked at for that."""
    return _quiet(["ssh", "-O", order, "-o", f"ControlPath={ssh_path(path)}", "--", "any"])


def _quiet(argv: t.Sequence[str]) -> bool:
    # its messages go nowhere: the process that stays in the background would keep a pipe open. No lock is inherited.
    with contextlib.suppress(OSError):
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(), check=False)
        return done.returncode == 0
    return False
