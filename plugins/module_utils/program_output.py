# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs have written into a file that was opened for them.

They share the file's offset with whoever opened it. To seek in it moves the place where they write: a process that outlives its
parent for a moment (rsync's receiver does) writes over the first words, and what is read begins behind them.
"""

from __future__ import annotations

import io
import os
import typing as t


class _Reader(io.RawIOBase):
    """A descriptor read from its first byte, with an offset of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        count = os.preadv(self._descriptor, [buffer], self._at)
        self._at += count
        return count


def read_back(written: t.BinaryIO) -> io.BufferedReader:
    """Return a stream of what is in the regular file I(written), from its beginning; the file's own offset stays where it is.

    I(written) must stay open for as long as the stream is read, and is not closed with it.
    """
    return io.BufferedReader(_Reader(written.fileno()))
