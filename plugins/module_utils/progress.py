# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a long module is, in a small file that the controller reads now and then.

A module cannot say anything before it ends: Ansible takes its output as one result. So it writes how far it is beside its work, and
the action plugin of the same name, which has a connection of its own, reads and shows it. See C(docs/progress.md).
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import struct
import threading
import time
import typing as t

FORMAT = 1
NAME = "progress.json"
_COUNTS = struct.Struct("=QQ")


class Progress:
    """Writes how far one phase of a module is. It never fails and costs nothing to speak of: a task is not to suffer from being watched.

    :arg path: the file, C({format, what, done, total, unit, bytes, bytes_total, began, now}), times in seconds since 1970. It is replaced
        whole, and what an earlier run left is gone as soon as the object exists. None: nothing is written.
    :arg what: the phase, for people, such as C(pull objects). No secret, no name of a file.
    :arg total: how many I(unit) there will be; None when that is not known. See :meth:`expect`.
    :arg bytes_total: how many bytes; likewise.
    :arg interval: seconds from one write to the next.
    """

    def __init__(
        self, path: str | None, what: str, total: int | None = None, unit: str = "objects", bytes_total: int | None = None, interval: float = 1.0,
    ) -> None:
        self.path = path
        self.what = what
        self.total = total
        self.unit = unit
        self.bytes_total = bytes_total
        self.interval = interval
        self.done = 0
        self.size = 0
        self._began = time.time()
        self._next = 0.0
        self._lock = threading.Lock()
        if path is not None:
            with contextlib.suppress(OSError):  # even where the first write fails, nobody is to see the end of another run
                os.unlink(path)
            self._write_when_due()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *dummy: t.Any) -> None:
        self.close()

    def expect(self, total: int | None, bytes_total: int | None = None) -> None:
        """Say how much there will be, where that is known later than what is done; written at once."""
        with self._lock:
            self.total = total
            self.bytes_total = bytes_total
            self._next = 0.0
            self._write_when_due()

    def advance(self, done: int = 0, size: int = 0) -> None:
        """Add what was done since the last call: so many I(unit), so many bytes. Any thread may call it."""
        if self.path is None:
            return
        with self._lock:
            self.done += done
            self.size += size
            self._write_when_due()

    def set(self, done: int, size: int) -> None:
        """Say how much is done altogether. Any thread may call it."""
        if self.path is None:
            return
        with self._lock:
            self.done = done
            self.size = size
            self._write_when_due()

    def close(self) -> None:
        """Remove the file; nothing is written after this."""
        path = self.path
        if path is not None:
            with self._lock:
                self.path = None
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def _write_when_due(self) -> None:
        moment = time.monotonic()
        if self.path is None or moment < self._next:
            return
        self._next = moment + self.interval
        content = json.dumps({
            "format": FORMAT, "what": self.what, "done": self.done, "total": self.total, "unit": self.unit, "bytes": self.size,
            "bytes_total": self.bytes_total, "began": self._began, "now": time.time(),
        })
        directory, name = os.path.split(self.path)
        partial = os.path.join(directory, f".{name}.partial")
        with contextlib.suppress(OSError):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(content + "\n")
            os.rename(partial, self.path)


class SharedCounts:
    """What several processes of one program have done, in memory that they share. Made before they are forked; each has a slot of its own.

    No lock: a slot has one writer, and a reader that sees a number half a moment too early only shows it half a moment too early.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._memory = mmap.mmap(-1, _COUNTS.size * slots)

    def adder(self, slot: int) -> t.Callable[[int, int], None]:
        """Return what the process that owns I(slot) calls with (things, bytes) that it has done since its last call."""
        done = size = 0

        def add(more: int, more_bytes: int) -> None:
            nonlocal done, size
            done += more
            size += more_bytes
            _COUNTS.pack_into(self._memory, slot * _COUNTS.size, done, size)

        return add

    def sum(self) -> tuple[int, int]:
        """Return (things, bytes) of all processes together."""
        counts = [_COUNTS.unpack_from(self._memory, slot * _COUNTS.size) for slot in range(self._slots)]
        return sum(done for done, dummy in counts), sum(size for dummy, size in counts)
