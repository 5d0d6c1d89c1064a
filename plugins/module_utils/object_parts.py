# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of one pull in parts that rsync processes take in turn.

A part is not a library: one process a library costs more to start than to run, and one large library would leave the other streams
idle. Everything is divided by the first digit of the ids, which are spread evenly, and hard-linked copies of one object in several
stores stay in one part, because they have one id. A list is cut: rsync from 3.2.5 on compares every name that comes over the net with
every entry of its list (measured: 21,321 names in one list took 37 s, in lists of 2,000 under 2 s).
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

MOST_STREAMS = 16
_ENTRIES_OF_A_PART = 2000
# A directory or a store stands for many names, and each of them is compared with all entries.
_DIRECTORIES_OF_A_PART = 64
_FEW = 100
# Every process takes an eighth of a second to begin: above this number a comparison of everything, without a list, has ended sooner.
_MOST_DIRECTORIES = 4096
_DIGITS = "0123456789abcdef"
_NAME_LENGTH = 38
_READ_BYTES = 1 << 20
_STORE = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ENTRY = re.compile(rb"(?:commits|fs|blocks)/" + _STORE + rb"/(?:[0-9a-f]{2}/([0-9a-f]{38})?)?")


@dataclasses.dataclass(frozen=True)
class Part:
    """What one rsync process pulls: the objects whose ids begin with a digit of I(prefixes), or what the file I(listed) names."""

    prefixes: str = ""
    listed: t.Optional[str] = None
    entries: int = 0


def of_everything(streams: int) -> list[Part]:
    """Divide all objects into I(streams) parts of about the same size."""
    streams = max(1, min(streams, MOST_STREAMS))
    if streams == 1:
        return [Part()]
    ends = [len(_DIGITS) * number // streams for number in range(streams + 1)]
    return [Part(_DIGITS[low:high]) for low, high in zip(ends, ends[1:])]


def of_list(path: str, directory: str, streams: int) -> list[Part] | None:
    """Cut the list in the file I(path) into lists in I(directory), which must exist; None when to compare everything is cheaper.

    :arg streams: a list that one process could take is divided too when it is long enough to be worth a second one.
    :raises SeafileError: C(list-invalid) for an entry that is no object, directory of objects or store.
    """
    directories = _directories(path)
    if directories is None:
        return None
    covered = set(directories)
    singles: list[bytes] = []
    parts: list[Part] = []
    for entry, is_object in _entries(path):
        if not is_object or entry[:-_NAME_LENGTH] in covered or _store(entry) in covered:
            continue
        singles.append(entry)
        if len(singles) >= _ENTRIES_OF_A_PART * streams:
            parts += _written(directory, len(parts), singles, streams, _ENTRIES_OF_A_PART)
            singles = []
    if len(directories) + len(singles) <= _FEW and not parts:  # one process has done it before a second one has begun
        return _written(directory, 0, directories + singles, 1, _FEW)
    parts += _written(directory, len(parts), directories, streams, _DIRECTORIES_OF_A_PART)
    parts += _written(directory, len(parts), singles, streams, _ENTRIES_OF_A_PART)
    return parts


def _directories(path: str) -> list[bytes] | None:
    """Return what of the list in the file I(path) is no object, each once; None when there are too many.

    Nothing may be in two parts: what two processes bring at once looks to each of them as if the server had sent an object that is here
    already. So what lies in a listed directory or store is left to that entry.
    """
    found: dict[bytes, None] = {}
    for entry, is_object in _entries(path):
        if not is_object:
            found[entry] = None
            if len(found) > _MOST_DIRECTORIES:
                return None
    return [entry for entry in found if _digits(entry) is None or _store(entry) not in found]


def _store(entry: bytes) -> bytes:
    """The entry of the whole store in which I(entry) lies."""
    return b"/".join(entry.split(b"/", 2)[:2]) + b"/"


def _written(directory: str, first: int, entries: list[bytes], streams: int, most: int) -> list[Part]:
    """Write I(entries) into as few lists as their length and the number of streams allow."""
    if not entries:
        return []
    count = max(-(-len(entries) // most), min(streams, len(entries) // (most // 4) or 1))
    pieces: list[list[bytes]] = [[] for dummy in range(count)]
    for number, entry in enumerate(entries):
        digits = _digits(entry)
        pieces[number % count if digits is None else digits * count // 256].append(entry)
    parts = []
    for number, piece in enumerate(filter(None, pieces)):
        path = os.path.join(directory, f"part{first + number}.list")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(b"\0".join(piece) + b"\0")
        parts.append(Part(listed=path, entries=len(piece)))
    return parts


def _digits(entry: bytes) -> int | None:
    """The first byte of the ids that I(entry) stands for; None for a whole store."""
    first = entry.split(b"/")[2]
    return int(first, 16) if first else None


def _entries(path: str) -> t.Iterator[tuple[bytes, bool]]:
    """Yield (entry, whether it is one object) of a list whose entries end with NUL."""
    rest = b""
    with open(path, "rb") as stream:
        while True:
            chunk = stream.read(_READ_BYTES)
            if not chunk:
                break
            *whole, rest = (rest + chunk).split(b"\0")
            for entry in whole:
                match = _ENTRY.fullmatch(entry)
                if match is None:
                    raise _invalid(path, f"an entry is no object: {entry[:100]!r}")
                yield entry, match.group(1) is not None
            if len(rest) > 4096:
                raise _invalid(path, "an entry has no end")
    if rest:
        raise _invalid(path, "it is cut")


def _invalid(path: str, cause: str) -> SeafileError:
    return SeafileError("list-invalid", path, cause)
