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

from ansible_collections.seafleet.seafile.plugins.module_utils.rsync import Remote, environment, ssh_words

_LINGER = 15
"""Seconds after which an unused connection ends by itself: when this process was killed and could not end it."""


class Connections:
    """Connections to one host, opened when they are first asked for; a context, behind which they are closed.

    Several threads may ask, each for its own number.

    :arg remote: None when nothing goes over ssh.
    """

    def __init__(self, remote: Remote | None) -> None:
        self.remote = remote
        self._directory: str | None = None
        self._opened: dict[int, str | None] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *dummy: t.Any) -> None:
        for path in self._opened.values():
            if path:
                self._ask(["-O", "exit"], path)
        self._opened.clear()
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def path(self, number: int) -> str | None:
        """The socket of the connection I(number), or None when it cannot be shared: then each rsync connects by itself.

        Why a connection fails is told by the rsync that comes next, in words that are known.
        """
        if self.remote is None:
            return None
        if number not in self._opened:
            with self._lock:
                if self._directory is None:
                    # not below the backup: a socket's path may have 107 characters, of which ssh takes some for itself
                    self._directory = tempfile.mkdtemp(prefix="seafleet-")
            path = os.path.join(self._directory, str(number))
            opened = self._ask(["-o", "ControlMaster=yes", "-o", f"ControlPersist={_LINGER}", "-f", "-N"], path) and os.path.exists(path)
            self._opened[number] = path if opened else None
        return self._opened[number]

    def _ask(self, words: t.Sequence[str], path: str) -> bool:
        remote = t.cast(Remote, self.remote)
        account = f"{remote.user}@{remote.host}" if remote.user else remote.host
        argv = [*ssh_words(remote), *words, "-o", f"ControlPath={path}", "--", account]
        # its messages go nowhere: the process that stays in the background would keep a pipe open. No lock is inherited.
        with contextlib.suppress(OSError):
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(), check=False)
            return done.returncode == 0
        return False
