# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The heads that a set was made from, kept on the server until a later run asks what is new since then.

Safe to lose. What cannot be believed (another set's, damaged, written by somebody else) is never used: everything is then
looked at as on the first run, and a note says why.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import LIBRARY_ID, ZERO_ID, parse_id
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import LIVE, ORPHAN, TRASH, Pointers

_FORMAT = 1
_MAX_BYTES = 1024 * 1024 * 1024  # some 300 bytes a library


class KnownLibrary(t.NamedTuple):
    """What the database said of a library when the known set was made. See :class:`pointers.Library`."""

    kind: str
    heads: t.FrozenSet[bytes]
    store: str
    base: t.Optional[bytes]


Known = t.Dict[str, KnownLibrary]
"""By library id."""


class Doubt(Exception):
    """The known heads cannot be used; the message says why in a few words."""


def known_of(pointers: Pointers) -> Known:
    """Return what a later run must know of these pointers."""
    return {library.id: KnownLibrary(library.kind, frozenset(library.heads), library.store, library.base) for library in pointers.libraries}


def encode(set_id: str, known: Known) -> bytes:
    """Return the content of the file: one line of JSON, and the SHA-256 of that line."""
    libraries = {
        library_id: {"kind": value.kind, "heads": sorted(head.hex() for head in value.heads), "store": value.store,
                     "base": value.base.hex() if value.base else None}
        for library_id, value in known.items()}
    line = json.dumps({"format": _FORMAT, "set_id": set_id, "libraries": libraries}, sort_keys=True, ensure_ascii=True).encode("ascii") + b"\n"
    return line + hashlib.sha256(line).hexdigest().encode("ascii") + b"\n"


def decode(content: bytes, set_id: str) -> Known:
    """Return what :func:`encode` wrote for the set I(set_id).

    :raises Doubt: it is damaged, or of another set.
    """
    line, newline, digest = content.partition(b"\n")
    if digest != hashlib.sha256(line + newline).hexdigest().encode("ascii") + b"\n":
        raise Doubt("the file of known heads is damaged")
    try:
        document = json.loads(line)
        if document["format"] != _FORMAT:
            raise Doubt("the file of known heads is of another version of this collection")
        if document["set_id"] != set_id:
            raise Doubt(f"the file of known heads belongs to another set than {set_id}")
        known = {}
        for library_id, value in document["libraries"].items():
            if not LIBRARY_ID.match(library_id) or not LIBRARY_ID.match(value["store"]) or value["kind"] not in (LIVE, TRASH, ORPHAN):
                raise ValueError("is no library")
            base = parse_id(value["base"]) if value["base"] is not None else None
            known[library_id] = KnownLibrary(value["kind"], frozenset(map(parse_id, value["heads"])) - {ZERO_ID}, value["store"], base)
        return known
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Doubt("the file of known heads is damaged") from error


def read(path: str, set_id: str) -> Known:
    """Return the known heads of the set I(set_id) in the file I(path).

    :raises Doubt: there is none that can be believed: missing, damaged, another set's, or a file that another account may write.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Doubt(f"there are no known heads of set {set_id}") from None
    except OSError as error:
        raise Doubt(f"the file of known heads cannot be read ({error.strerror})") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
        os.close(descriptor)
        raise Doubt("the file of known heads is one that another account may write")
    with os.fdopen(descriptor, "rb") as stream:
        try:
            return decode(stream.read(_MAX_BYTES), set_id)
        except OSError as error:
            raise Doubt(f"the file of known heads cannot be read ({error.strerror})") from error
