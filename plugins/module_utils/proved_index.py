# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of proved objects: what was read and hashed, and when, so that it need not be read again for every set.

One file for each family (a library with its sub-libraries: all that share one store of fs objects and blocks), with the commits of
each of its libraries, its fs objects and its blocks. They are one file because they stand for each other: that all below a
directory is proved means nothing when the proofs of its blocks are lost.

    16 bytes magic, u32 length of the header, the header (JSON)
    for each section of the header: its directories (u8 prefix, u64 time of change in ns, u64 inode), then its rows, sorted by id
    a row is 25 bytes: id (20), time of the proof (u32, seconds since 1970), flags (u8)
    32 bytes SHA-256 of everything before

All numbers are big-endian. What cannot be believed is not used at all: the file then counts as missing, and the family is proved
anew. Not believed is a file whose digest or form is wrong, whose name is another store's, or where the inode of any directory is
not the noted one: that is a copied index, or a store that was copied or restored to another place. Device numbers are not
compared, because they change when a machine starts. The file is put in place by a rename, but not flushed to the disk: what a
power loss leaves of it has another digest.
"""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import json
import os
import struct
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.layout import OBJECT_KINDS
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import LIBRARY_ID

_MAGIC = b"seafleet-proved1"
_LENGTH = struct.Struct(">I")
_PREFIX = struct.Struct(">BQQ")
_PROOF = struct.Struct(">IB")
_DIGEST_BYTES = 32
ROW = 25

WHOLE = 1
"""Proved is not only this object but all that must be there below it: for a directory down to its blocks, for a commit its tree, its
parents and theirs as far as the limit that is noted for its library."""
CHAIN = 2
"""A commit all of whose ancestors were there, whatever of their trees may be missing."""
ABSENT = 4
"""No proof: the object was reachable, was not there, and need not be."""
VERSION_0 = 8
"""An fs object in the binary form of old libraries, whose id is made by another rule."""

FOLDER = 16
"""An fs object that is a directory, not a file."""


class IndexDamaged(Exception):
    """An index that cannot be believed; the message says why."""


class Library(t.NamedTuple):
    """What the last walk without a finding saw of one library.

    :arg heads: hexadecimal, sorted. :arg base: hexadecimal, or C("").
    :arg limit: see :func:`limit_key`; the proofs of commits hold for this limit and looser ones.
    :arg whole: whether that walk ended without a finding in the whole family.
    """

    heads: t.Tuple[str, ...]
    base: str
    kind: str
    limit: int
    whole: bool


ONLY_HEADS = 1 << 62


def limit_key(truncate_time: int) -> int:
    """Bring C(pointers.Library.truncate_time()) into an order: what is greater lets more of the history be missing."""
    if truncate_time < 0:
        return -1
    return ONLY_HEADS if truncate_time == 0 else truncate_time


class Section:
    """The proofs for one kind of objects in one store.

    :arg inode: of the store's directory; 0 when there was none.
    :arg prefixes: by prefix (0 to 255) its directory's time of change in ns and its inode; time 0: it must be listed next time.
    :arg rows: sorted, without repetitions.
    """

    def __init__(self, inode: int = 0, prefixes: dict[int, tuple[int, int]] | None = None, rows: bytes = b"") -> None:
        self.inode = inode
        self.prefixes = prefixes or {}
        self.rows: bytes | bytearray = rows
        self._bounds: list[int] | None = None

    def __len__(self) -> int:
        return len(self.rows) // ROW

    def bounds(self) -> list[int]:
        """The number of the first row of every prefix, and behind them the number of rows: 257 numbers."""
        if self._bounds is None:
            firsts = self.rows[0::ROW]
            self._bounds = [bisect.bisect_left(firsts, prefix) for prefix in range(256)] + [len(self)]
        return self._bounds

    def replace(self, rows: bytes) -> None:
        """Take other rows, sorted and without repetitions."""
        self.rows = rows
        self._bounds = None

    def find(self, object_id: bytes) -> int:
        """The position of the row's first byte, or -1."""
        bounds = self._bounds or self.bounds()
        low, high = bounds[object_id[0]], bounds[object_id[0] + 1]
        rows = self.rows
        while low < high:
            middle = (low + high) >> 1
            at = middle * ROW
            found = rows[at:at + 20]
            if found < object_id:
                low = middle + 1
            elif found == object_id:
                return at
            else:
                high = middle
        return -1

    def flags(self, object_id: bytes) -> int:
        """The flags of the id, or -1 when there is no row for it."""
        at = self.find(object_id)
        return -1 if at < 0 else self.rows[at + 24]

    def of_prefix(self, prefix: int) -> t.Iterator[tuple[bytes, int]]:
        """Yield (id, flags) of every row in one directory."""
        bounds = self.bounds()
        rows = self.rows
        for at in range(bounds[prefix] * ROW, bounds[prefix + 1] * ROW, ROW):
            yield bytes(rows[at:at + 20]), rows[at + 24]

    def rows_between(self, low: int, high: int) -> dict[bytes, bytes]:
        """The rows of the prefixes from I(low) to below I(high), by their ids."""
        bounds = self.bounds()
        rows = bytes(self.rows[bounds[low] * ROW:bounds[high] * ROW])
        return {rows[at:at + 20]: rows[at:at + ROW] for at in range(0, len(rows), ROW)}

    def restrict(self, low: int, high: int) -> None:
        """Keep only the prefixes from I(low) to below I(high)."""
        bounds = self.bounds()
        self.rows = self.rows[bounds[low] * ROW:bounds[high] * ROW]
        self.prefixes = {prefix: state for prefix, state in self.prefixes.items() if low <= prefix < high}
        self._bounds = None

    def drop(self, ids: t.Collection[bytes]) -> None:
        """Take the rows of I(ids) out."""
        positions = sorted(at for at in map(self.find, ids) if at >= 0)
        if positions:
            ends = [*positions, len(self.rows)]
            starts = [0, *(at + ROW for at in positions)]
            self.rows = b"".join(self.rows[start:end] for start, end in zip(starts, ends))
            self._bounds = None

    def clear(self, flags: int) -> None:
        """Take I(flags) away from every row."""
        column = self.rows[24::ROW]
        if any(column.find(bytes([value])) >= 0 for value in range(32) if value & flags):
            rows = bytearray(self.rows)
            rows[24::ROW] = bytes(column).translate(bytes(value & ~flags & 0xFF for value in range(256)))
            self.rows = rows

    def absent(self) -> int:
        """The number of rows that are no proof."""
        column = self.rows[24::ROW]
        return sum(column.count(value) for value in range(32) if value & ABSENT)

    def renew(self, at: int, now: int) -> None:
        """Set the time of the proof of the row at position I(at)."""
        if not isinstance(self.rows, bytearray):
            self.rows = bytearray(self.rows)
        self.rows[at + 20:at + 24] = _LENGTH.pack(now)

    def times(self) -> t.Iterator[tuple[int, int]]:
        """Yield (time of the proof, position) of every row that is a proof."""
        rows = self.rows
        for at in range(0, len(rows), ROW):
            if not rows[at + 24] & ABSENT:
                yield _LENGTH.unpack_from(rows, at + 20)[0], at


def proof(now: int, flags: int) -> bytes:
    """The end of a row, behind its id."""
    return _PROOF.pack(now, flags)


class FamilyIndex:
    """What is known of one family.

    :arg store: the store id of the family. :arg root: inode of the directory that holds commits, fs and blocks.
    :arg sections: by (kind, store id).
    """

    def __init__(self, store: str, root: int) -> None:
        self.store = store
        self.root = root
        self.libraries: dict[str, Library] = {}
        self.sections: dict[tuple[str, str], Section] = {}

    def section(self, kind: str, store: str) -> Section:
        """The section, made empty when there is none."""
        return self.sections.setdefault((kind, store), Section())


def index_path(directory: str, store: str) -> str:
    """Where the index of the family I(store) lies below the directory of all indexes."""
    return os.path.join(directory, f"{store}.proved")


def stores(directory: str) -> list[str]:
    """The families that the directory has an index of, sorted; none when there is no directory."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    ends = [name[:-len(".proved")] for name in names if name.endswith(".proved")]
    return sorted(name for name in ends if LIBRARY_ID.match(name))


def count(directory: str, store: str) -> int:
    """Return how many rows the index of the family I(store) says it has, 0 where it does not: a hint, for nothing of it is checked."""
    try:
        descriptor = os.open(index_path(directory, store), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            start = stream.read(len(_MAGIC) + _LENGTH.size)
            (length,) = _LENGTH.unpack_from(start, len(_MAGIC))
            size = os.fstat(stream.fileno()).st_size
            header = json.loads(stream.read(min(length, size)))
            return int(max(0, min(size // ROW, sum(section[4] for section in header["sections"]))))
    except (OSError, ValueError, KeyError, TypeError, IndexError, struct.error, RecursionError, OverflowError):
        return 0


def load(directory: str, store: str, root: int) -> FamilyIndex | None:
    """Read the index of the family I(store), or None when there is none.

    :arg root: inode of the directory that holds commits, fs and blocks now.
    :raises IndexDamaged: it cannot be believed.
    """
    try:
        descriptor = os.open(index_path(directory, store), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            content = stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IndexDamaged(f"it cannot be read ({error.strerror})") from error
    end = len(content) - _DIGEST_BYTES
    if content[:len(_MAGIC)] != _MAGIC or end < len(_MAGIC) + _LENGTH.size:
        raise IndexDamaged("it is cut, or no index of this version")
    with memoryview(content) as view:
        if hashlib.sha256(view[:end]).digest() != content[end:]:
            raise IndexDamaged("it is cut or changed: its checksum is wrong")
        try:
            return _parse(view[:end], store, root)
        except (ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError) as error:
            raise IndexDamaged("its content has another form") from error


def _parse(content: memoryview, store: str, root: int) -> FamilyIndex:
    at = len(_MAGIC)
    (length,) = _LENGTH.unpack_from(content, at)
    at += _LENGTH.size
    header = json.loads(bytes(content[at:at + length]))
    at += length
    if header["store"] != store:
        raise IndexDamaged("it is the index of another store")
    if header["root"] != root:
        raise IndexDamaged("it is the index of another place: the directory of the objects has another inode")
    index = FamilyIndex(store, root)
    for key, (heads, base, kind, limit, whole) in header["libraries"].items():
        index.libraries[key] = Library(tuple(heads), base, kind, limit, whole)
    for kind, name, inode, prefixes, rows in header["sections"]:
        if kind not in OBJECT_KINDS or not LIBRARY_ID.match(name) or (kind, name) in index.sections:
            raise ValueError("no section")
        section = Section(inode)
        end = at + prefixes * _PREFIX.size
        section.prefixes = {prefix: (changed, number) for prefix, changed, number in _PREFIX.iter_unpack(content[at:end])}
        section.rows = bytes(content[end:end + rows * ROW])
        if len(section.prefixes) != prefixes or len(section) != rows:
            raise ValueError("a section is cut")
        index.sections[kind, name] = section
        at = end + rows * ROW
    if at != len(content):
        raise ValueError("there is more than the header says")
    return index


def save(directory: str, index: FamilyIndex) -> None:
    """Write the index, mode 0600, whole or not at all; the directory must exist. Raises OSError."""
    header = json.dumps({
        "store": index.store,
        "root": index.root,
        "libraries": index.libraries,
        "sections": [[kind, store, section.inode, len(section.prefixes), len(section)] for (kind, store), section in sorted(index.sections.items())],
    }).encode("ascii")
    path = index_path(directory, index.store)
    partial = os.path.join(directory, f".{index.store}.partial")
    digest = hashlib.sha256()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            def put(content: bytes | bytearray) -> None:
                digest.update(content)
                stream.write(content)

            put(_MAGIC + _LENGTH.pack(len(header)) + header)
            for dummy, section in sorted(index.sections.items()):
                put(b"".join(_PREFIX.pack(prefix, *state) for prefix, state in sorted(section.prefixes.items())))
                put(section.rows)
            stream.write(digest.digest())
        os.rename(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise
