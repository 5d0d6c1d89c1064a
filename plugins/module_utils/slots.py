# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many rsync processes, and how many servers, are at work at once on one backup host."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import locks
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory
from ansible_collections.seafleet.seafile.plugins.module_utils.progress import Progress

_LOOK_AGAIN = 0.2
"""Seconds between two looks for a free slot."""


@contextlib.contextmanager
def slot(directory: str, count: int, wanted: t.Callable[[], bool] = lambda: True) -> t.Iterator[bool]:
    """Hold one of I(count) slots while the body runs, waiting until one is free; give whether it is held.

    A slot is a lock of a file in I(directory), so that one of a process that was killed is free at once. Where the directory cannot be
    written (an account that owns only its server's part of the backup) there is no cap.

    :arg wanted: asked while waiting; when it says no, the body runs without a slot.
    """
    descriptor = -1
    try:
        make_private_directory(directory)
        while descriptor < 0 and wanted():
            descriptor = _take(directory, count)
            if descriptor < 0:
                time.sleep(_LOOK_AGAIN)
    except OSError:
        descriptor = -1
    try:
        yield descriptor >= 0
    finally:
        if descriptor >= 0:
            os.close(descriptor)


@contextlib.contextmanager
def place(directory: str, count: int, progress_path: str) -> t.Iterator[None]:
    """Hold one of the backup host's I(count) places for servers while the body runs; 0 for no cap. Waiting is shown as progress, and has no end."""
    if count <= 0:
        yield
        return
    looks = 0
    progress: Progress | None = None

    def wanted() -> bool:
        nonlocal looks, progress
        looks += 1
        if looks == 2:  # there was none at once
            progress = Progress(progress_path, "wait for a place on the backup host", unit="places")
        elif progress is not None:
            progress.advance()
        return True

    with slot(directory, count, wanted):
        if progress is not None:
            progress.close()
        yield


def _take(directory: str, count: int) -> int:
    for number in range(count):
        descriptor = os.open(os.path.join(directory, str(number)), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if locks.is_taken(descriptor):
            return descriptor
        os.close(descriptor)
    return -1
