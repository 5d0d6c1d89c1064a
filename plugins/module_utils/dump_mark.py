# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mark on the Seafile server that says which run dumps, and which one was ended while it did.

The lock of a run lies on the backup host, where no process is while the server dumps. A job that is cancelled then leaves nobody who
could free it. So the dump leaves its set id in a file that it locks (flock) as long as it works, and empties when all is written: a file with an
id that nobody locks tells that this run's dump was cut off, and that the run can make no set any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import set_time

NAME = "dump.lock"
"""The file, in the directory in which the server remembers what one backup host has."""
_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_MOST = 100


@contextlib.contextmanager
def held(state_dir: str, set_id: str) -> t.Iterator[bool]:
    """Mark the dump of I(set_id) as at work while the body runs, and as cut off when the body fails.

    Gives whether that could be done; where the directory cannot be used, the body runs without a mark.
    """
    descriptor = -1
    try:
        make_private_directory(state_dir)
        descriptor = os.open(os.path.join(state_dir, NAME), _FLAGS | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, set_id.encode("ascii"), 0)
    except OSError:
        if descriptor >= 0:
            os.close(descriptor)
        yield False
        return
    try:
        yield True
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def cut_off(state_dir: str) -> str | None:
    """Return the id of the set whose dump was cut off, or None: none was, one is at work, or there is no such directory."""
    try:
        descriptor = os.open(os.path.join(state_dir, NAME), _FLAGS)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        text = os.read(descriptor, _MOST).decode("ascii", "replace")
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return text if set_time(text) else None
