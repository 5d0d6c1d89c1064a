# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that name the old place and are not rewritten, for they belong to other programs or to people."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.relocation import Move
from ansible_collections.seafleet.seafile.plugins.module_utils.relocation_files import configuration_files
from ansible_collections.seafleet.seafile.plugins.module_utils.relocation_folder import Folder

OUTSIDE = ("/etc/nginx", "/etc/apache2", "/etc/httpd", "/etc/caddy", "/etc/haproxy", "/etc/systemd/system", "/etc/cron.d", "/etc/logrotate.d")
"""Where other programs of the machine have configuration that names a Seafile server."""
_DEPTH = 4
_MOST_FILES = 2000
_MOST_NOTES = 50


def mentions(folder: Folder, move: Move) -> list[str]:
    """Return a note for each other file, in the deployment and in the places :data:`OUTSIDE`, that names the old directory or host.

    Such files belong to other programs or to people and are left as they are.
    """
    words = move.hosts
    if move.from_root and not move.to_root.startswith(move.from_root):
        words = words + [move.from_root]
    if not words:
        return []
    pattern = re.compile(b"|".join(re.escape(os.fsencode(word)) for word in words), re.IGNORECASE)
    configuration = {path for path, dummy in configuration_files(folder)}
    places = (("", 0), ("seahub-data", 0), ("ccnet", _DEPTH), ("seahub-data/custom", _DEPTH))
    own = [(path, kind) for place, depth in places for path, kind in folder.files(place, depth)
           if path not in configuration or kind == "link"]
    notes = []
    for path, kind in own[:_MOST_FILES]:
        notes += _note(path, kind, folder.look(path, kind), pattern)
    for directory in OUTSIDE:
        if not os.path.isdir(directory):
            continue
        with Folder(directory) as other:
            for path, kind in other.files("", _DEPTH)[:_MOST_FILES]:
                notes += _note(os.path.join(directory, path), kind, other.look(path, kind), pattern)
    if len(notes) > _MOST_NOTES:
        notes = notes[:_MOST_NOTES] + [f"and {len(notes) - _MOST_NOTES} more files"]
    return notes


def _note(path: str, kind: str, content: t.Optional[bytes], pattern: t.Pattern[bytes]) -> list[str]:
    if content is None or content.startswith(b"SQLite format 3\0"):
        return []
    words = sorted({found.group(0).decode("utf-8", "replace") for found in pattern.finditer(content)})
    verb = "leads to" if kind == "link" else "mentions"
    return [f"{path} {verb} {', '.join(words)}; it was left as it is"] if words else []
