# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removal of sets: the one place that takes sets away. What goes is decided in :mod:`retention`.

A set first gets a name that nobody takes for a set; that rename is its end for every reader. Then what lies under that name is removed.
A removal that was killed is ended by the next one. Only names are unlinked: a file that other sets share stays theirs, and
nothing below C(objects/) is touched.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import shutil
import stat
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import set_use, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import sync_directory
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, printable
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, set_time
from ansible_collections.seafleet.seafile.plugins.module_utils.retention import Entry, Policy
from ansible_collections.seafleet.seafile.plugins.module_utils.set_order import PARTIAL
from ansible_collections.seafleet.seafile.plugins.module_utils.verification_record import VERIFIED

_REMOVED = re.compile(r"\.([0-9]{8}T[0-9]{6}Z)(?:\.partial)?\.removed")
_LONGEST_REASON = 200


class Removed(t.NamedTuple):
    """A set under the name that it has while it is being removed."""

    set_id: str
    path: str


# -- what there is ---------------------------------------------------------------------------------------------------


def entries(layout: ServerLayout, rows: t.Iterable[dict[str, t.Any]], running: str | None, now: datetime.datetime) -> list[Entry]:
    """Return what the decision needs of the sets I(rows), as :func:`sets.catalogue` tells them.

    :arg running: the id of the set whose run is at work, None without one.
    """
    found = []
    sealed = frozenset(sets.sealed_ids(layout))
    for row in rows:
        set_id, partial = row["set_id"], row["state"] == PARTIAL
        try:
            kept_by = [] if stat.S_ISDIR(os.lstat(row["path"]).st_mode) else ["no directory"]
        except FileNotFoundError:
            continue  # it was sealed, or taken away, while this was read
        if partial and set_id in sealed:
            kept_by.append("a sealed set has the same id")
        reason = None if partial else _keep(layout, set_id)
        if reason is not None:
            kept_by.append(f"marked to be kept{reason}")
        began = None if partial else set_use.restore_began(layout, set_id, now)
        if began:
            kept_by.append(f"chosen for a restore at {as_text(began)}")
        found.append(Entry(set_id, row["state"], tuple(kept_by), partial and set_id == running))
    return found


def _keep(layout: ServerLayout, set_id: str) -> str | None:
    """Return what the user wrote into the file that keeps the set, in brackets; None when there is no such file."""
    path = layout.keep(set_id)
    if not os.path.lexists(path):
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            words = stream.read(_LONGEST_REASON).decode("utf-8", "replace").strip().partition("\n")[0]
    except OSError:
        words = ""
    return f" ({printable(words)})" if words else ""


def changed_sets(layout: ServerLayout, rows: t.Sequence[dict[str, t.Any]], policy: Policy) -> list[str]:
    """Read every file of the newest verified sets, which are to stay in place of what goes; return what is not as it was sealed."""
    newest = [row for row in rows if row["state"] == VERIFIED][:policy.keep_verified]
    wrong = ((row["set_id"], sets.check_sums(row["path"])) for row in newest)
    return [printable(f"the verified set {set_id} is not as it was sealed: {'; '.join(found[:3])}") for set_id, found in wrong if found]


def left_over(layout: ServerLayout) -> list[Removed]:
    """Return the sets whose removal was begun and not ended."""
    try:
        names = sorted(os.listdir(layout.sets))
    except (FileNotFoundError, NotADirectoryError):
        return []
    matches = [match for match in map(_REMOVED.fullmatch, names) if match and set_time(match.group(1))]
    return [Removed(match.group(1), os.path.join(layout.sets, match.group(0))) for match in matches]


def old_quarantine(layout: ServerLayout, days: int, reference: datetime.datetime) -> tuple[list[str], int]:
    """Return the directories of quarantined objects that are I(days) old or older (none for 0), and how many there are at all."""
    try:
        names = sorted(name for name in os.listdir(layout.quarantine) if set_time(name) and os.path.isdir(os.path.join(layout.quarantine, name)))
    except (FileNotFoundError, NotADirectoryError):
        return [], 0
    age = datetime.timedelta(days=days)
    old = [name for name in names if days and reference - t.cast(datetime.datetime, set_time(name)) >= age]
    return [os.path.join(layout.quarantine, name) for name in old], len(names)


def freed_bytes(directories: t.Iterable[str]) -> int:
    """Return the bytes of the files whose last names lie below the I(directories): what their removal gives back to the disk."""
    seen: dict[tuple[int, int], int] = {}
    freed = 0
    for directory in directories:
        for folder, dummy, names in os.walk(directory):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    status = os.lstat(os.path.join(folder, name))
                    key = (status.st_dev, status.st_ino)
                    seen[key] = seen.get(key, 0) + 1
                    freed += status.st_size if seen[key] == status.st_nlink else 0
    return freed


# -- taking away -----------------------------------------------------------------------------------------------------


def take_away(layout: ServerLayout, going: t.Mapping[str, str], now: datetime.datetime, check: bool) -> tuple[list[Removed], dict[str, str]]:
    """Give the sets I(going) (id and state) the names that nobody takes for sets. The lock of the runs must be held.

    :arg check: only look, and return the sets under the names that they have.
    :returns: what was taken away, and of the others by id why they stay.
    """
    taken, stayed = [], {}
    for set_id, state in sorted(going.items()):
        path = layout.partial(set_id) if state == PARTIAL else layout.sealed(set_id)
        gone = layout.removed(set_id, state != PARTIAL)
        try:
            lock = set_use.claim(path)
            if lock is None:
                stayed[set_id] = "in use: something reads it at this moment"
                continue
            try:
                # a restore may have chosen it since the decision; now that it is locked none can
                if state != PARTIAL and set_use.restore_began(layout, set_id, now):
                    stayed[set_id] = "in use: a restore has chosen it"
                    continue
                if not check:
                    os.rename(path, gone)
            finally:
                os.close(lock)
        except OSError as error:
            stayed[set_id] = f"it cannot be removed ({error.strerror})"
            continue
        taken.append(Removed(set_id, path if check else gone))
    if taken and not check:
        # before anything below it is unlinked: after a power loss no half set may stand under its old name
        sync_directory(layout.sets)
    return taken, stayed


def remove(layout: ServerLayout, removed: Removed) -> None:
    """Remove a set that was taken away, the records that stand beside it, and what was written for restores out of it.

    :raises SeafileError: C(retention-incomplete).
    """
    if removed.path == layout.removed(removed.set_id):
        for path in (layout.verification(removed.set_id), layout.verification_page(removed.set_id)):
            with _named(path), contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        for place in set_use.restore_places(layout, removed.set_id):
            remove_directory(place)
    remove_directory(removed.path)


def remove_directory(path: str) -> None:
    """Remove the directory I(path) and all below it; what another process removes meanwhile is no error.

    :raises SeafileError: C(retention-incomplete), naming the first that cannot be removed.
    """
    with _named(path):
        while os.path.lexists(path):
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(path)


@contextlib.contextmanager
def _named(path: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as error:
        cause = f"it cannot be removed ({error.strerror})"
        raise SeafileError("retention-incomplete", os.path.join(path, str(error.filename or "")), cause) from None
