# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a taken-over server could do with its end of a pull, and what undoes it on the backup host.

The options of rsync bind the two processes on this host, and not the one at the other end. Seen with a sender that keeps to the
protocol and to nothing else, and rsync 3.2.3 to 3.5.0: under C(--ignore-existing) the data of a file that nobody asked for is taken, and
replaces what is here. So the kernel lets it add objects and not replace one (:mod:`add_only`). Where the kernel cannot, rsync is told to move
aside what it replaces (C(--backup-dir)), which never happens in an honest pull, and it is put back from there; a server that sends an object
twice to one process then still destroys it. Names are judged here as well, because rsync before 3.2.5 believed the other end's list (CVE-2022-29154).
"""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import stat
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, sync_directory
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout
from ansible_collections.seafleet.seafile.plugins.module_utils.object_check import check_object
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import Damage, ObjectStore
from ansible_collections.seafleet.seafile.plugins.module_utils.places import is_inside

_NAMED = 5
_ESCAPED = re.compile(rb"\\#([0-3][0-7]{2})")
_DUMP = re.compile(r"databases/[A-Za-z0-9%_.-]+\.sql\.(?:gz|zst)")


def refusal(source: str, deed: str, names: t.Sequence[str]) -> SeafileError:
    """Return the error C(server-hostile) that names the first of I(names), which the source did I(deed) to."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return SeafileError("server-hostile", source, f"{deed}: {', '.join(names[:_NAMED])}{more}", names=list(names[:100]))


def attempted(layout: ServerLayout) -> list[str]:
    """Return the objects that the other end has overwritten, or tried to, in the pulls since :func:`put_back`."""
    return sorted(_kept(layout))


def _kept(layout: ServerLayout) -> dict[str, list[str]]:
    """Return for each object, by its path below C(objects/), the files that were moved aside; each rsync has a directory of its own for them."""
    found: dict[str, list[str]] = {}
    for pull in sorted(os.listdir(layout.overwritten)) if os.path.isdir(layout.overwritten) else ():
        top = os.path.join(layout.overwritten, pull)
        for folder, unused, names in os.walk(top):
            for name in names:
                kept = os.path.join(folder, name)
                if stat.S_ISREG(os.lstat(kept).st_mode):
                    found.setdefault(os.path.relpath(kept, top), []).append(kept)
    return found


def _is_right(kept: str, path: str) -> bool:
    kind, store, *name = path.split("/")
    try:
        check_object(ObjectStore(kept[:-len(path)]), (kind, store, "".join(name)))
    except (Damage, ValueError, OSError, SeafileError):
        return False
    return True


def put_back(layout: ServerLayout) -> list[str]:
    """Put every object that was overwritten unasked back in its place; return those whose content was another one.

    To be called with the server's lock held, at the end of a pull whatever became of it, and before the next one for a pull that was
    killed. What came instead is kept in C(quarantine/). Paths are relative to C(objects/). Of an object that was overwritten by several processes
    the content that its id promises is taken, else the one that was moved aside first.
    """
    changed = []
    for path, versions in sorted(_kept(layout).items()):
        place = os.path.join(layout.objects, path)
        kept = min(versions, key=lambda version: (not _is_right(version, path), os.lstat(version).st_ctime_ns))
        if os.path.lexists(place) and _equal(kept, place):
            continue  # never replaced, or by the same; what stands there may have other names, which a new file would not
        changed.append(path)
        if os.path.lexists(place):
            _set_aside(layout, place, path)
        make_private_directory(os.path.dirname(place))
        os.rename(kept, place)
        sync_directory(os.path.dirname(place))
    if os.path.isdir(layout.overwritten):
        shutil.rmtree(layout.overwritten)
    return changed


def _equal(one: str, other: str) -> bool:
    return stat.S_ISREG(os.lstat(other).st_mode) and filecmp.cmp(one, other, shallow=False)


def _set_aside(layout: ServerLayout, place: str, path: str) -> None:
    directory = os.path.join(layout.quarantine, "unasked", os.path.dirname(path))
    make_private_directory(directory)
    os.rename(place, os.path.join(directory, os.path.basename(path)))


def set_apart(layout: ServerLayout, names: t.Sequence[str]) -> list[str]:
    """Move what came among the objects under names that no object has into C(quarantine/); return what was there.

    :arg names: paths relative to C(objects/) as rsync prints them, with C(\\#ooo) for what is not ASCII.
    """
    moved = []
    for printed in names:
        name = os.fsdecode(_ESCAPED.sub(lambda match: bytes([int(match.group(1), 8)]), os.fsencode(printed)))
        place = os.path.join(layout.objects, name.rstrip("/"))
        parent = os.path.realpath(os.path.dirname(place))
        # a name that leads elsewhere was refused by rsync; nothing is moved on its word
        if not is_inside(parent, layout.objects) or os.path.basename(place) in ("", ".", "..") or not os.path.lexists(place):
            continue
        if os.path.isdir(place) and not os.path.islink(place):
            moved.append(name)  # empty, or its files have names of their own here
            continue
        _set_aside(layout, place, os.path.relpath(place, layout.objects))
        moved.append(name)
    return moved


def unexpected_dumps(directory: str, expected: t.Collection[str], checksums: t.Collection[str]) -> list[str]:
    """Return what lies in the partial set I(directory) after the dumps have come and is no dump and not I(expected).

    :arg checksums: the dumps that were made, as paths; without any, whatever has the name of a dump.
    """
    found = []
    for folder, names, files in os.walk(directory):
        if folder == directory and "files" in names:
            names.remove("files")  # of an earlier try; the next stage fills it with whatever the server has
        for name in names + files:
            path = os.path.relpath(os.path.join(folder, name), directory)
            mode = os.lstat(os.path.join(folder, name)).st_mode
            if stat.S_ISDIR(mode):
                fine = path == "databases"
            else:
                fine = stat.S_ISREG(mode) and (path in expected or (path in checksums if checksums else bool(_DUMP.fullmatch(path))))
            if not fine:
                found.append(path)
    return sorted(found)


def leaving_links(directory: str) -> list[str]:
    """Return the links below I(directory) that lead out of it, relative to it.

    A copy with such a link is no base for C(--link-dest): rsync would look for files to compare through it, anywhere on this host, and tell
    the other end what it finds.
    """
    found = []
    for folder, names, files in os.walk(directory):
        for name in names + files:
            path = os.path.join(folder, name)
            if os.path.islink(path) and not is_inside(os.path.realpath(path), directory):
                found.append(os.path.relpath(path, directory))
    return sorted(found)


def part_shared(directory: str) -> None:
    """Remove the files below I(directory) that have another name too.

    Before a pull of files is tried again: what the first try has linked to the set before is one inode with it, and a server that tells
    another time or mode the second time would change the older set's.
    """
    for folder, unused, files in os.walk(directory):
        for name in files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
                os.unlink(path)
