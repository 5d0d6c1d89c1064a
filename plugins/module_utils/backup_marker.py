# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The marker of a server's backup: a small file that says whose backup this directory is.

It is written when the directory is first used. A directory that holds something else, or another server's backup, is then never written
into, whatever a typing error in an inventory says.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout

FORMAT = 1
"""The format of the whole directory; a newer one is not written into."""
KIND = "seafleet.seafile backup"
_MOST_BYTES = 1 << 16
# what a file system of its own has at its top
_EMPTY = {"lost+found"}


def read(layout: ServerLayout) -> dict[str, t.Any] | None:
    """Return the marker of the directory of I(layout), None without one.

    :raises SeafileError: C(backup-root-foreign) when it cannot be understood.
    """
    try:
        descriptor = os.open(layout.marker, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SeafileError("backup-root-foreign", layout.marker, f"it cannot be read ({error.strerror})") from None
    with os.fdopen(descriptor, "rb") as stream:
        try:
            value = json.loads(stream.read(_MOST_BYTES))
        except (OSError, ValueError, RecursionError):
            value = None
    if not isinstance(value, dict) or value.get("kind") != KIND or not isinstance(value.get("format"), int) or not isinstance(value.get("server"), str):
        raise SeafileError("backup-root-foreign", layout.marker, "it is not the marker of a backup")
    return value


def require(layout: ServerLayout, server: str) -> bool:
    """Return whether the directory of I(layout) is marked as the backup of I(server). Without a marker it may be unused, or a backup from before there
    were markers.

    :raises SeafileError: C(backup-root-foreign) when it is marked as something else, or holds something else.
    """
    marker = read(layout)
    if marker is not None:
        if marker["format"] > FORMAT:
            raise SeafileError("backup-root-foreign", layout.root, f"it has the format {marker['format']} of a newer release",
                               "update the collection seafleet.seafile on the controller")
        if marker["server"] != server:
            raise SeafileError("backup-root-foreign", layout.root, f"it is marked as the backup of {marker['server']}",
                               f"give each server a directory of its own; if {marker['server']} was renamed to {server}, remove the file {layout.marker}")
        return True
    try:
        names = set(os.listdir(layout.root)) - _EMPTY
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SeafileError("backup-root-foreign", layout.root, f"it cannot be listed ({error.strerror})") from None
    # a backup from before 0.2.0 has no marker; a damaged one may lack half of it
    if names and not any(os.path.isdir(path) for path in (layout.objects, layout.sets)) and not names <= layout.names:
        strange = sorted(names - layout.names)
        listed = ", ".join(strange[:3]) + (f" and {len(strange) - 3} more" if len(strange) > 3 else "")
        raise SeafileError("backup-root-foreign", layout.root, f"it is no backup and holds something else ({listed})")
    return False


def write(layout: ServerLayout, server: str) -> None:
    """Mark the directory of I(layout), which exists, as the backup of I(server); one that is marked stays as it is."""
    if not os.path.lexists(layout.marker):
        write_json(layout.marker, {"kind": KIND, "format": FORMAT, "server": server, "since": as_text(utc_now())})
