# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of files and directories (flock) that are taken at once or not at all. A process that is killed lets them go."""

from __future__ import annotations

import fcntl


def is_taken(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Take the lock of what is open as I(descriptor); say whether that was possible, or somebody else has it.

    :arg kind: C(fcntl.LOCK_EX) or C(fcntl.LOCK_SH).
    :raises OSError: it cannot be locked at all.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
