# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the 256 directories of a kind in a store have changed since all their names were last handed on.

A new object changes the time of its directory. Of every directory whose names were all listed at once the time (ctime in
nanoseconds) and the inode are kept, and compared for equality, never with a clock; a directory that only received objects that
a walk listed stays a changed one, because other names may have come with them: blocks are uploaded long before their commit.
A time younger than two seconds is not kept: another name could still come under the same one.

With the time go the names, eight bytes each, and those that walks listed since: so that a sweep can say which names neither a
sweep nor a walk has listed.

The state belongs to one known set. What a run finds lies in I(pending) until a later run names that run's set as the known one,
which is verified; any other known set, and anything damaged, and the state is thrown away. Safe to lose: everything counts as
changed then.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import struct
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

_FORMAT = 1
_RACY_NANOSECONDS = 2 * 10 ** 9
_HEX_NAME = re.compile(r"[0-9a-f]{38}\Z")
_HEX_PREFIX = re.compile(r"[0-9a-f]{2}\Z")
_MAGIC = b"seafleet directory times 1\n"
_RECORD = struct.Struct("<BqQI")  # prefix, ctime in nanoseconds, inode, number of names
_PRINT = 8  # bytes of an id behind its prefix that stand for the name
_DIGEST_BYTES = 32

Store = t.Tuple[str, str]
"""(kind, store id)."""


class Directory(t.NamedTuple):
    """One 2-hex directory as it was: time 0 for one that must count as changed. I(prints): the names, eight bytes each."""

    ctime_ns: int
    inode: int
    prints: bytes


class Scan(t.NamedTuple):
    """What a look at one store of one kind found.

    :arg directories: every 2-hex directory that is there.
    :arg changed: those of them whose time is not the one of the state, with the ids of their names.
    :arg was_known: whether the state had this store at all.
    """

    directories: t.Dict[int, Directory]
    changed: t.Dict[int, t.List[bytes]]
    was_known: bool


def _seal(pieces: t.Iterable[bytes]) -> t.Iterator[bytes]:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    yield digest.digest()


def _unseal(content: bytes) -> bytes | None:
    """The content without its digest, or None when they do not fit."""
    body = content[:-_DIGEST_BYTES]
    return body if len(content) >= _DIGEST_BYTES and hashlib.sha256(body).digest() == content[-_DIGEST_BYTES:] else None


def _read(path: str) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as stream:
        return _unseal(stream.read())


def _write(path: str, pieces: t.Iterable[bytes]) -> None:
    """Without fsync: a file that a power loss cut has the wrong digest, and counts as none."""
    partial = f"{path}.partial"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.writelines(_seal(pieces))
    os.rename(partial, path)


class State:
    """The directory I(path) with what earlier runs found. Made by :func:`opened`."""

    def __init__(self, path: str, known_set_id: str | None, set_id: str | None) -> None:
        self.path = path
        self.usable = False
        self._pending = os.path.join(path, "pending", set_id) if set_id else None
        self._generation = os.path.join(path, "state.json")
        self._known = known_set_id

    # -- which set the state belongs to ----------------------------------------------------------------------------

    def _belongs_to(self) -> dict[str, t.Any]:
        try:
            with open(self._generation, "rb") as stream:
                document = json.load(stream)
            return document if isinstance(document, dict) and document.get("format") == _FORMAT else {}
        except (OSError, ValueError, RecursionError):
            return {}

    def begin(self) -> str | None:
        """Bring the state to the known set, empty the pending part of this run; return why there is no state, or None."""
        note = None
        belongs = self._belongs_to()
        pending = os.path.join(self.path, "pending", self._known) if self._known else ""
        if self._known and belongs.get("adopting") in (None, self._known) and os.path.isfile(os.path.join(pending, "complete")):
            self._adopt(pending)
        elif not self._known or belongs.get("set_id") != self._known:
            for name in ("directories", "listed"):
                shutil.rmtree(os.path.join(self.path, name), ignore_errors=True)
            write_json(self._generation, {"format": _FORMAT, "set_id": self._known})
            note = "there are no directory times of the known set" if self._known else "there is no known set"
        shutil.rmtree(os.path.join(self.path, "pending"), ignore_errors=True)
        for name in ("directories", "listed"):
            make_private_directory(os.path.join(self.path, name))
            if self._pending:
                make_private_directory(os.path.join(self._pending, name))
        self.usable = True
        return note

    def _adopt(self, pending: str) -> None:
        """Make what the run of the known set found the state. Cut anywhere, the next run goes on with it or throws it away."""
        write_json(self._generation, {"format": _FORMAT, "adopting": self._known})
        for name in ("directories", "listed"):
            make_private_directory(os.path.join(self.path, name))
        for name in _names(os.path.join(pending, "directories")):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.path, "listed", name))
            os.rename(os.path.join(pending, "directories", name), os.path.join(self.path, "directories", name))
        for name in _names(os.path.join(pending, "listed")):
            target = os.path.join(self.path, "listed", name)
            _write(target, [_read(target) or b"", _read(os.path.join(pending, "listed", name)) or b""])
            os.unlink(os.path.join(pending, "listed", name))
        write_json(self._generation, {"format": _FORMAT, "set_id": self._known})

    def end(self) -> None:
        """What this run found is complete."""
        if self._pending:
            _write(os.path.join(self._pending, "complete"), [])

    # -- one store -------------------------------------------------------------------------------------------------

    def _directories(self, store: Store) -> dict[int, Directory] | None:
        content = _read(os.path.join(self.path, "directories", "-".join(store))) if self.usable else None
        if content is None or not content.startswith(_MAGIC):
            return None
        result = {}
        at = len(_MAGIC)
        while at + _RECORD.size <= len(content):
            prefix, ctime_ns, inode, count = _RECORD.unpack_from(content, at)
            at += _RECORD.size
            result[prefix] = Directory(ctime_ns, inode, content[at:at + count * _PRINT])
            at += count * _PRINT
        return result

    def listed(self, store: Store) -> set[bytes]:
        """What walks listed since the last time all names were: prefix and eight bytes each."""
        content = _read(os.path.join(self.path, "listed", "-".join(store))) or b""
        return {content[at:at + _PRINT + 1] for at in range(0, len(content), _PRINT + 1)}

    def add_listed(self, store: Store, ids: t.Iterable[bytes]) -> None:
        """Note what a walk of this run listed."""
        if self._pending and os.path.exists(os.path.join(self.path, "directories", "-".join(store))):
            _write(os.path.join(self._pending, "listed", "-".join(store)), [b"".join(object_id[:_PRINT + 1] for object_id in ids)])

    def scan(self, root: str, store: Store) -> Scan:
        """Compare the directories of one store with the state; read the names of those that changed.

        :raises OSError: they cannot be read.
        """
        before = self._directories(store)
        found: dict[int, Directory] = {}
        changed: dict[int, list[bytes]] = {}
        now = time.time_ns()
        path = os.path.join(root, *store)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return Scan({}, {}, before is not None)
        try:
            with os.scandir(descriptor) as entries:
                names = [entry.name for entry in entries if _HEX_PREFIX.match(entry.name)]
            for name in names:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if not stat.S_ISDIR(status.st_mode):
                    continue
                prefix = int(name, 16)
                old = before.get(prefix) if before else None
                if old and old.ctime_ns == status.st_ctime_ns and old.inode == status.st_ino:
                    found[prefix] = old
                    continue
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
                try:
                    ids = [bytes.fromhex(name + rest) for rest in os.listdir(inner) if _HEX_NAME.match(rest)]
                finally:
                    os.close(inner)
                changed[prefix] = ids
                racy = now - status.st_ctime_ns < _RACY_NANOSECONDS
                prints = b"".join(object_id[1:_PRINT + 1] for object_id in ids)
                found[prefix] = Directory(0 if racy else status.st_ctime_ns, 0 if racy else status.st_ino, prints)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error
        finally:
            os.close(descriptor)
        return Scan(found, changed, before is not None)

    def keep(self, store: Store, scan: Scan) -> None:
        """Note that every name in the scan's directories is listed in this run."""
        if self._pending and (scan.changed or not scan.was_known):
            pieces = [_MAGIC]
            for prefix, directory in scan.directories.items():
                pieces += [_RECORD.pack(prefix, directory.ctime_ns, directory.inode, len(directory.prints) // _PRINT), directory.prints]
            _write(os.path.join(self._pending, "directories", "-".join(store)), pieces)

    def unlisted(self, store: Store, scan: Scan, listed_now: t.Collection[bytes]) -> list[bytes]:
        """The ids in changed directories that were neither there when all names were listed nor listed by a walk since."""
        before = self._directories(store) or {}
        walked = self.listed(store)
        result = []
        for prefix, ids in scan.changed.items():
            old = before[prefix].prints if prefix in before else b""
            there = {old[at:at + _PRINT] for at in range(0, len(old), _PRINT)}
            result += [object_id for object_id in ids
                       if object_id[1:_PRINT + 1] not in there and object_id[:_PRINT + 1] not in walked and object_id not in listed_now]
        return result


def _names(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def opened(path: str, known_set_id: str | None, set_id: str, read_only: bool) -> t.Iterator[tuple[State, str | None]]:
    """Give the state in the directory I(path), held against other runs, and a note when there is nothing in it to compare with.

    :arg read_only: change nothing; the state then counts as empty unless it belongs to I(known_set_id) already.
    :raises SeafileError: C(run-active) when another run holds it; C(path-invalid) when the directory is not this account's alone.
    """
    if read_only:
        state = State(path, known_set_id, None)
        state.usable = bool(known_set_id) and state._belongs_to().get("set_id") == known_set_id
        yield state, None if state.usable else "check mode: the directory times of the known set are not taken over"
        return
    make_private_directory(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise SeafileError("path-invalid", path, "it is not a directory of this account alone (mode 0700)",
                               "give state_dir as a directory that does not exist yet, or correct its owner and mode")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SeafileError("run-active", path, "another run is looking for what is new with the same state") from None
        state = State(path, known_set_id, set_id)
        yield state, state.begin()
    finally:
        os.close(descriptor)
