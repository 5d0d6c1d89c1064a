# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The links between Seafile's programs, which are no part of a backup, and its data.

C(setup-seafile.sh) and the upgrade scripts of Seafile make them once: C(seafile-server-latest), and in Seahub's media directory
C(avatars) and C(custom), which lead into seahub-data. Programs that were just unpacked have a directory C(avatars) of their own in
that place: Seahub would show none of the users' pictures.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import sync_directory

LATEST = "seafile-server-latest"
MEDIA = os.path.join("seahub", "media")
DATA = "seahub-data"
SHARED = ("avatars", "custom")
UNPACKED = ".unpacked"
"""What is added to the name of a directory that came with the programs and makes room for a link."""


class Link(t.NamedTuple):
    """One link to be made.

    :arg path: where, absolute.
    :arg target: what it holds, relative to its directory.
    :arg aside: where that goes which is in its place, None when there is nothing or a link that leads nowhere.
    """

    path: str
    target: str
    aside: str | None


def programs_in(root: str, name: str | None) -> str | None:
    """Return the programs' directory name when it is there.

    :arg name: C(seafile-server-11.0.13) as the backup knows it; None: what the link C(seafile-server-latest) leads to.
    """
    for candidate in (name, _target(os.path.join(root, LATEST))):
        if candidate and candidate == os.path.basename(candidate) and os.path.isdir(os.path.join(root, candidate)):
            return candidate
    return None


def plan(root: str, programs: str) -> tuple[list[Link], list[str]]:
    """Return the links to be made for the I(programs) below I(root), and what was left as it is, in words."""
    links: list[Link] = []
    notes: list[str] = []
    latest = os.path.join(root, LATEST)
    if _target(latest) != programs:
        if os.path.exists(latest):
            notes.append(f"{latest} is left as it is: it leads to {_target(latest) or 'no other place'}, not to {programs}")
        else:
            links.append(Link(latest, programs, None))
    media = os.path.join(root, programs, MEDIA)
    for name in SHARED if os.path.isdir(media) else ():
        path, target = os.path.join(media, name), os.path.relpath(os.path.join(root, DATA, name), media)
        if not os.path.isdir(os.path.join(root, DATA, name)) or _target(path) == target:
            continue
        if not os.path.exists(path):
            links.append(Link(path, target, None))
        elif os.path.islink(path):
            notes.append(f"{path} is left as it is: it leads to {_target(path)}, not to {target}")
        else:
            links.append(Link(path, target, _free(path + UNPACKED)))
    return links, notes


def make(links: t.Iterable[Link]) -> None:
    """Make the I(links), each owned as the directory that it is in. Cut in between, the next call goes on."""
    for link in links:
        directory = os.path.dirname(link.path)
        if link.aside:
            os.rename(link.path, link.aside)
        elif os.path.lexists(link.path):
            os.unlink(link.path)
        os.symlink(link.target, link.path)
        if os.geteuid() == 0:
            owner = os.lstat(directory)
            os.lchown(link.path, owner.st_uid, owner.st_gid)
        sync_directory(directory)


def _target(path: str) -> str | None:
    try:
        return os.readlink(path).rstrip("/")
    except OSError:
        return None


def _free(path: str) -> str:
    number, found = 1, path
    while os.path.lexists(found):
        number += 1
        found = f"{path}-{number}"
    return found
