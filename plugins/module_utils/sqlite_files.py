# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQLite files of a deployment: finding them by their header, and reading one rightly without changing its source.

What was found by experiment with SQLite 3.40, and what follows from it:

* C(mode=ro) never creates a missing file, and leaves a database in rollback mode as it is. So that is the rule.
* A hot journal (left by a crash) makes C(mode=ro) fail with "attempt to write a readonly database". Database and
  journal are then copied under SQLite's own shared lock, which keeps every writer off, and the copy is rolled back.
* C(mode=ro) on a database in WAL mode that no process has open creates C(-shm) and C(-wal) beside it. So when nobody
  holds a lock on it, database and WAL are copied (and it is made sure that neither changed meanwhile) and read there.
* C(mode=ro) on a live database in WAL mode changes nothing but a read mark in C(-shm), the processes' shared memory,
  as every reader does.
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import os
import shutil
import sqlite3
import stat
import time
import typing as t
import urllib.parse

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

MAGIC = b"SQLite format 3\0"
SIDECARS = ("-wal", "-shm", "-journal")

# The byte ranges of SQLite's locks (sqlite.org/fileformat2.html and os_unix.c)
_PENDING_BYTE = 0x40000000
_SHARED_FIRST = _PENDING_BYTE + 2
_SHARED_SIZE = 510


@dataclasses.dataclass(frozen=True)
class SqliteFile:
    """One SQLite database found below a deployment's root."""

    name: str
    """The path relative to the root."""
    bytes: int
    """The size with the WAL beside it."""
    sidecars: list[str]
    """The names of C(-wal), C(-shm), C(-journal) beside it, relative to the root."""


@dataclasses.dataclass(frozen=True)
class Findings:
    """What one walk over a deployment's root found."""

    databases: list[SqliteFile]
    sockets: list[str]
    unreadable: list[str]
    """Paths relative to the root that could not be read or whose name is not UTF-8."""


def has_header(path: str) -> bool:
    """Return whether I(path) is a regular file that begins with SQLite's header (sqlite.org/fileformat2.html)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode) and os.read(descriptor, len(MAGIC)) == MAGIC
    finally:
        os.close(descriptor)


def find(root: str, skip: t.Iterable[str]) -> Findings:
    """Return every SQLite database below I(root), found by header, and the sockets there, sorted by name.

    Never descends into the directories I(skip) (paths relative to I(root)) nor through links, except the links
    that stand for a whole part of the deployment (C(seafile-data), C(ccnet), C(seahub-data), C(conf)).
    """
    skipped = {os.path.normpath(entry) for entry in skip}
    databases: list[SqliteFile] = []
    sockets: list[str] = []
    unreadable: list[str] = []
    pending = [""]
    while pending:
        directory = pending.pop()
        try:
            with os.scandir(os.path.join(root, directory)) as listing:
                entries = list(listing)
        except OSError:
            unreadable.append(directory or ".")
            continue
        names = {entry.name for entry in entries}
        for entry in entries:
            relative = os.path.join(directory, entry.name)
            if relative in skipped or (entry.name.startswith(".") and entry.name.endswith(".partial")):
                continue
            try:
                if entry.is_dir(follow_symlinks=relative in ("seafile-data", "ccnet", "seahub-data", "conf")):
                    pending.append(relative)
                    continue
                mode = entry.stat().st_mode
                if stat.S_ISSOCK(mode):
                    sockets.append(relative)
                elif stat.S_ISREG(mode) and entry.stat().st_size >= 512 and has_header(entry.path):
                    relative.encode("utf-8")
                    databases.append(_described(root, relative, entry.stat().st_size, names))
            except UnicodeEncodeError:
                unreadable.append(relative)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ELOOP):  # gone meanwhile, or a link to nowhere
                    unreadable.append(relative)
    return Findings(sorted(databases, key=lambda database: database.name), sorted(sockets), sorted(unreadable))


def _described(root: str, name: str, size: int, neighbours: set[str]) -> SqliteFile:
    sidecars = [name + suffix for suffix in SIDECARS if os.path.basename(name) + suffix in neighbours]
    wal = os.path.getsize(os.path.join(root, name + "-wal")) if name + "-wal" in sidecars else 0
    return SqliteFile(name, size + wal, sidecars)


# --- locks --------------------------------------------------------------------------------------------------------


def lock_holders(path: str) -> list[dict[str, t.Any]]:
    """Return C({pid, program}) of every other process with a lock on the file I(path), as /proc/locks tells.

    An empty list where /proc does not tell (another pid namespace, another system).
    """
    try:
        status = os.stat(path)
        with open("/proc/locks", encoding="ascii", errors="replace") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return []
    pids: set[int] = set()
    for line in lines:
        # "1: POSIX  ADVISORY  WRITE 1234 08:01:123456 0 EOF"; a waiting lock has "->" in the second field
        fields = line.split()
        if len(fields) < 8 or fields[1] == "->":
            continue
        major, minor, inode = fields[5].split(":")
        # some file systems (btrfs, overlay) show another device than stat(): then the inode alone must do
        device = (int(major, 16), int(minor, 16))
        if int(inode) == status.st_ino and (device == (os.major(status.st_dev), os.minor(status.st_dev)) or device[0] == 0):
            pids.add(int(fields[4]))
    return [{"pid": pid, "program": _program(pid)} for pid in sorted(pids - {os.getpid()}) if pid > 0]


def _program(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return "unknown"


def locked(path: str, busy_timeout: float) -> SeafileError:
    """Return the error for a database that stayed locked for I(busy_timeout) seconds, naming who holds it."""
    holders = ", ".join(f"{holder['program']} (pid {holder['pid']})" for holder in lock_holders(path))
    return SeafileError("sqlite-locked", path, f"database is locked by {holders or 'another process'}, and was not free within {busy_timeout:g} s",
                        holders=lock_holders(path))


class _SharedLock:
    """SQLite's SHARED lock on a database file, taken without SQLite: while it is held nobody writes to the file.

    No connection to the same file may be open in this process: closing it would drop the lock (POSIX).
    """

    def __init__(self, path: str, busy_timeout: float) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        deadline = time.monotonic() + busy_timeout
        while not self._try():
            if time.monotonic() >= deadline:
                os.close(self._descriptor)
                raise locked(path, busy_timeout)
            time.sleep(0.05)

    def _try(self) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, _PENDING_BYTE)
            fcntl.lockf(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
            return True
        except (BlockingIOError, PermissionError):
            return False
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _PENDING_BYTE)

    def __enter__(self) -> _SharedLock:
        return self

    def __exit__(self, *unused: t.Any) -> None:
        os.close(self._descriptor)


# --- a snapshot ---------------------------------------------------------------------------------------------------


def snapshot(path: str, copy: str, busy_timeout: float) -> str:
    """Write the committed state of the database I(path) to the new private file I(copy); return its journal mode.

    The copy is one file without a WAL or journal, mode 0600. Nothing changes at the source. The journal mode is the
    source's, C(wal) or C(delete). I(busy_timeout): seconds to wait for a lock.

    Raises C(sqlite-missing), C(sqlite-corrupt), C(sqlite-locked), C(no-space). The caller removes I(copy) on failure.
    """
    real = os.path.realpath(path)
    try:
        with open(real, "rb") as stream:
            header = stream.read(20)
    except FileNotFoundError:
        raise SeafileError("sqlite-missing", path, "the file is missing") from None
    if not header.startswith(MAGIC) or len(header) < 20:
        raise SeafileError("sqlite-corrupt", path, "the file is empty" if not header else "the file has no SQLite header")
    wal = header[18] == 2
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    try:
        if not (wal and _copy_closed_wal(real, copy)):
            try:
                _backup(real, copy, busy_timeout)
            except _HotJournal:
                _copy_with_journal(real, copy, busy_timeout)
        _fold(copy)
    except sqlite3.Error as error:
        raise as_failure(error, path, busy_timeout) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SeafileError("no-space", copy, f"no space for the working copy of {path}") from None
        raise
    return "wal" if wal else "delete"


def as_failure(error: sqlite3.Error, path: str, busy_timeout: float = 0) -> SeafileError:
    """Return the failure that the exception I(error) of SQLite means for the file I(path)."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return locked(path, busy_timeout)
    if "disk is full" in text:
        return SeafileError("no-space", path, text)
    if "unable to open" in text or "disk I/O" in text or "readonly" in text:
        return SeafileError("no-rights" if not os.access(path, os.R_OK) else "sqlite-corrupt", path, text)
    return SeafileError("sqlite-corrupt", path, text)


_WAIT = 1.0
"""Seconds that SQLite waits for a lock by itself: only in between does a signal reach Python, such as the one that ends the module."""


class _HotJournal(Exception):
    """The database needs a rollback before it can be read. Caught by :func:`snapshot`."""


def connect(path: str, mode: str, timeout: float = 0) -> sqlite3.Connection:
    """Open the existing database I(path) by URI with C(mode=ro) or C(mode=rw); it is never created."""
    uri = "file:" + urllib.parse.quote(os.fsencode(os.path.abspath(path))) + "?mode=" + mode
    return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, cached_statements=0)


def _backup(real: str, copy: str, busy_timeout: float) -> None:
    source = connect(real, "ro", min(busy_timeout, _WAIT))
    try:
        _begin(source, time.monotonic() + busy_timeout)
        target = connect(copy, "rw")
        try:
            target.execute("PRAGMA synchronous=OFF")
            source.backup(target)
        finally:
            target.close()
    finally:
        source.close()


def _begin(source: sqlite3.Connection, deadline: float) -> None:
    """Begin to read. The transaction is what waits for the lock; Connection.backup alone would wait for ever."""
    while True:
        try:
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return
        except sqlite3.OperationalError as error:
            if "readonly" in str(error):
                raise _HotJournal from None
            if "locked" not in str(error) or time.monotonic() >= deadline:
                raise
        if source.in_transaction:
            source.execute("ROLLBACK")


def _copy_with_journal(real: str, copy: str, busy_timeout: float) -> None:
    with _SharedLock(real, busy_timeout):
        shutil.copyfile(real, copy)
        try:
            _copy_private(real + "-journal", copy + "-journal")
        except FileNotFoundError:
            pass  # somebody rolled it back before the lock was ours: the file is whole


def _copy_closed_wal(real: str, copy: str) -> bool:
    """Copy a database in WAL mode that nobody has open, with its WAL; return False when somebody may have it open."""
    before = _signature(real)
    if lock_holders(real):
        return False
    shutil.copyfile(real, copy)
    try:
        _copy_private(real + "-wal", copy + "-wal")
    except FileNotFoundError:
        pass
    if lock_holders(real) or _signature(real) != before:
        for suffix in ("", "-wal"):
            if os.path.lexists(copy + suffix):
                os.truncate(copy, 0) if not suffix else os.unlink(copy + suffix)
        return False
    return True


def _signature(real: str) -> list[t.Optional[tuple[int, ...]]]:
    result: list[t.Optional[tuple[int, ...]]] = []
    for suffix in ("", "-wal"):
        try:
            status = os.stat(real + suffix)
            result.append((status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        except FileNotFoundError:
            result.append(None)
    return result


def _copy_private(source: str, target: str) -> None:
    with open(source, "rb") as reader:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)


def _fold(copy: str) -> None:
    """Roll back or check in what lies beside the private copy, so that it is one file."""
    connection = connect(copy, "rw")
    try:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        connection.close()


def remove(path: str) -> None:
    """Remove the private file I(path) and what SQLite may have put beside it."""
    for suffix in ("",) + SIDECARS:
        try:
            os.unlink(path + suffix)
        except FileNotFoundError:
            pass


def check_integrity(connection: sqlite3.Connection, path: str) -> None:
    """Raise C(sqlite-corrupt), naming I(path) and the damaged tables and indexes, unless C(integrity_check) is content."""
    try:
        findings = [row[0] for row in connection.execute("PRAGMA integrity_check(100)")]
    except sqlite3.DatabaseError as error:
        findings = [str(error)]
    if findings == ["ok"]:
        return
    damaged = _damaged(connection, findings)
    places = ", ".join(damaged) if damaged else "the schema or the list of free pages"
    first = " ".join(str(findings[0]).replace("*** in database main ***", "").split())
    raise SeafileError("sqlite-corrupt", path, f"damaged in {places}: {first[:300]}", damaged=damaged)


def _damaged(connection: sqlite3.Connection, findings: list[str]) -> list[str]:
    """Return C(table X) and C(index Y) for what cannot be read whole, found by reading each by itself."""
    damaged = []
    try:
        objects = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE rootpage > 0 ORDER BY type DESC, name").fetchall()
    except sqlite3.DatabaseError:
        return []
    text = "\n".join(str(finding) for finding in findings)
    connection.text_factory = bytes  # text that is not UTF-8 is no damage
    for kind, name, table, sql in objects:
        try:
            if kind == "table":
                for unused in connection.execute(f"SELECT * FROM {quote_name(name)} NOT INDEXED"):
                    pass
            elif sql:
                connection.execute(f"SELECT count(*) FROM {quote_name(table)} INDEXED BY {quote_name(name)}").fetchone()
        except sqlite3.OperationalError as error:
            if "no query solution" not in str(error):  # a partial index that this question cannot use
                damaged.append(f"{kind} {name}")
        except sqlite3.DatabaseError:
            damaged.append(f"{kind} {name}")
        else:
            if (kind == "index" and f"index {name}" in text) or (kind == "table" and f" {name}." in text):
                damaged.append(f"{kind} {name}")
    if not damaged and sqlite3.sqlite_version_info >= (3, 33):
        for kind, name, table, sql in objects:
            if kind == "table" and [row[0] for row in connection.execute(f"PRAGMA integrity_check({quote_name(name)})")] != [b"ok"]:
                damaged.append(f"table {name}")
    return damaged


def quote_name(name: str) -> str:
    """Return the identifier I(name) quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'
