# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets in use: whoever reads a sealed set holds a shared lock of its directory, and retention takes only what nobody holds.

The lock is the kernel's (flock), so that a process that was killed holds nothing. A restore reads the set from another host long after
the module that chose it has ended; for that the list of objects stands which was written for it, see :func:`restore_began`.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import typing as t
import weakref

from ansible_collections.seafleet.seafile.plugins.module_utils import locks
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout

RESTORE_LASTS = datetime.timedelta(days=3)
"""So long a set stays for the restore that chose it. The key of a restore ends by itself after two days."""


class Use:
    """Holds the set in I(directory) in its place, until :meth:`end` or until nothing refers to this any more.

    :raises SeafileError: C(no-set) when the set was removed, or is being removed.
    """

    def __init__(self, directory: str) -> None:
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise SeafileError("no-set", os.path.basename(directory), "the set was removed") from None
        except OSError:
            # what cannot be opened cannot be read either, and whoever reads says so
            self.end: t.Callable[[], object] = lambda: None
            return
        self.end = weakref.finalize(self, os.close, descriptor)
        if not locks.is_taken(descriptor, fcntl.LOCK_SH) or not _is_at(descriptor, directory):
            self.end()
            raise SeafileError("no-set", os.path.basename(directory), "the set is being removed")


def claim(directory: str) -> int | None:
    """Lock the set in I(directory) against every use; return the descriptor, to be closed after the set has another name. None when it is in use.

    :raises OSError: it is no directory, or cannot be locked.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if locks.is_taken(descriptor):
            return descriptor
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_at(descriptor: int, directory: str) -> bool:
    """Whether the directory behind I(descriptor) still has the name: it may have been renamed between opening and locking."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(directory, follow_symlinks=False))
    except FileNotFoundError:
        return False


def note_restore(path: str) -> None:
    """Say with the time of the list I(path) that a restore begins now that will read its set."""
    os.utime(path, follow_symlinks=False)


def restore_places(layout: ServerLayout, set_id: str) -> list[str]:
    """Return the directories of what was written for restores out of the set I(set_id)."""
    try:
        names = sorted(os.listdir(layout.restores))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [os.path.join(layout.restores, name) for name in names if name == set_id or name.startswith(f"{set_id}-")]


def restore_began(layout: ServerLayout, set_id: str, now: datetime.datetime) -> datetime.datetime | None:
    """Return when the newest restore chose the set I(set_id), if it may still be at work, else None."""
    changed = []
    for place in restore_places(layout, set_id):
        for path in (place, os.path.join(place, os.path.basename(layout.object_list(set_id)))):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                changed.append(datetime.datetime.fromtimestamp(int(os.lstat(path).st_mtime), datetime.timezone.utc))
    return max(changed) if changed and now - max(changed) < RESTORE_LASTS else None
