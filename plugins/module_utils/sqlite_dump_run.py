# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumping every SQLite file of a deployment: copied by the backup API, checked, written as text, proven, then named."""

from __future__ import annotations

import collections
import errno
import functools
import os
import shutil
import sqlite3
import tempfile
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import atomic, deployment, sqlite_dump_text, sqlite_files
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import sync_directory
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.compression import GZIP, SUFFIXES, existing
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import encode_name
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_dump_run import Reader, partial_path
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import Configuration
from ansible_collections.seafleet.seafile.plugins.module_utils.sqlite_files import SqliteFile

WORKING_COPY = ".sqlite-copy."
"""How the names of the private directories for working copies begin; what a killed run left is removed by the next."""


def targets(configuration: Configuration, dest: t.Optional[str] = None) -> list[SqliteFile]:
    """Return every SQLite file to dump. Raises when a configured one is missing or something cannot be read."""
    found = sqlite_files.find(configuration.root, deployment.parts(configuration, dest).unsearched)
    if found.unreadable:
        raise SeafileError("no-rights", os.path.join(configuration.root, found.unreadable[0]), "it cannot be read, or its name is not UTF-8")
    for problem in deployment.missing_databases(configuration, found):
        raise problem
    if not found.databases:
        raise SeafileError("sqlite-missing", configuration.root, "there is no SQLite database in it", "use the module mysql_dump")
    return found.databases


def role_of(name: str, configuration: Configuration) -> str:
    """Return the role of the SQLite file I(name): as configured, C(ccnet) below ccnet/, else C(other)."""
    for database in configuration.databases:
        if database.path == name:
            return database.role
    return "ccnet" if name.startswith("ccnet/") else "other"


def dump_stems(names: t.Sequence[str]) -> dict[str, str]:
    """Return path -> name of its dump without the suffix: the base name where only one file has it, else the whole path, encoded."""
    count = collections.Counter(os.path.basename(name) for name in names)
    return {name: encode_name(os.path.basename(name) if count[os.path.basename(name)] == 1 else name) for name in names}


def file_names(names: t.Sequence[str], compression: str = GZIP) -> dict[str, str]:
    """Return path -> name of its dump."""
    return {name: stem + SUFFIXES[compression] for name, stem in dump_stems(names).items()}


def require_free_names(dest: str, names: t.Sequence[str]) -> None:
    """Raise C(dump-exists) when I(dest) holds a dump of one of I(names), however it is compressed, or is no directory."""
    if os.path.lexists(dest) and not os.path.isdir(dest):
        raise SeafileError("path-invalid", dest, "it is not a directory", "name a directory as dest")
    for stem in dump_stems(names).values():
        path = existing(dest, stem)
        if path:
            raise SeafileError("dump-exists", path, "the file exists")


def plan(configuration: Configuration, databases: t.Sequence[SqliteFile], dest: str, compression: str = GZIP) -> list[dict[str, t.Any]]:
    """Return what a dump would write (check mode). Raises as the dump would, as far as that is known before."""
    names = [database.name for database in databases]
    files = file_names(names, compression)
    require_free_names(dest, names)
    return [{"name": database.name, "role": role_of(database.name, configuration), "engine": "sqlite", "file": files[database.name],
             "estimated_bytes": database.bytes} for database in databases]


def make_directories(path: str, reader: Reader) -> list[str]:
    """Create I(path) and its missing parents, private but for I(reader); return those created, the uppermost first."""
    missing = []
    while not os.path.isdir(path):
        missing.insert(0, path)
        path = os.path.dirname(path)
    for directory in missing:
        os.mkdir(directory, 0o700)
        give(directory, reader, reader.directory_mode)
    return missing


def give(path: str, reader: Reader, mode: int) -> None:
    """Let I(reader) have I(path) with I(mode). Raises C(no-rights)."""
    try:
        atomic.give(path, reader.uid, reader.gid, mode)
    except PermissionError:
        raise SeafileError("no-rights", path, "this account may not give it to the named owner or group") from None


def dump(configuration: Configuration, databases: t.Sequence[SqliteFile], dest: str, level: int, busy_timeout: float, reader: Reader,
         compression: str = GZIP, progress: t.Optional[t.Callable[[int], t.Any]] = None) -> dict[str, t.Any]:
    """Dump I(databases) into the directory I(dest) and return C(dumps), C(began), C(ended).

    No file has its final name before all are proven. The sources stay as they are.

    :arg level: of the compression, 1 to 9.
    :arg busy_timeout: seconds to wait for a locked database.
    :arg compression: C(gzip) or C(zstd).
    :arg progress: called often with the bytes of the files dumped so far; at the end with the sum of their C(bytes).
    """
    names = [database.name for database in databases]
    files = file_names(names, compression)
    require_free_names(dest, names)
    created = make_directories(dest, reader)
    partials = {name: partial_path(dest, files[name]) for name in names}
    estimated = sum(database.bytes for database in databases)
    entries = []
    try:
        _clear_leftovers(dest, partials.values())
        began = as_text(utc_now())
        with tempfile.TemporaryDirectory(prefix=WORKING_COPY, dir=dest) as work:
            done = 0
            for database in databases:
                name = database.name
                entry = {"name": name, "role": role_of(name, configuration), "engine": "sqlite", "file": files[name]}
                # the text is about as large as the file
                told = None if progress is None else functools.partial(_tell, progress, done, database.bytes)
                writer = functools.partial(sqlite_dump_text.DumpWriter, partials[name], compression, level)
                entry.update(_dump_one(os.path.join(configuration.root, name), name, os.path.join(work, "database"), writer, busy_timeout, told))
                done += database.bytes
                if progress is not None:
                    progress(done)
                give(partials[name], reader, reader.file_mode)
                entries.append(entry)
        ended = as_text(utc_now())
        require_free_names(dest, names)
        for name in names:
            os.rename(partials[name], os.path.join(dest, files[name]))
        sync_directory(dest)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(dest, estimated) from None
        if error.errno == errno.EROFS:
            raise SeafileError("read-only", dest, error.strerror or "read-only") from None
        raise
    except SeafileError as error:
        if error.code == "no-space":
            raise _no_space(dest, estimated) from None
        raise
    finally:
        for partial in partials.values():
            if os.path.lexists(partial):
                os.unlink(partial)
        for directory in reversed(created):
            if os.path.isdir(directory) and not os.listdir(directory):
                os.rmdir(directory)
    return {"dumps": entries, "began": began, "ended": ended}


def _tell(progress: t.Callable[[int], t.Any], done: int, most: int, size: int) -> None:
    progress(done + min(size, most))


def _dump_one(path: str, name: str, copy: str, make_writer: t.Callable[[], sqlite_dump_text.DumpWriter], busy_timeout: float,
              progress: t.Optional[t.Callable[[int], t.Any]]) -> dict[str, t.Any]:
    """Dump the database I(path) to the file of I(make_writer) by way of the private file I(copy), which is removed."""
    try:
        journal_mode = sqlite_files.snapshot(path, copy, busy_timeout)
        connection = sqlite_files.connect(copy, "ro")
        try:
            sqlite_files.check_integrity(connection, path)
            rows: dict[str, int] = {}
            writer = make_writer()
            try:
                writer.dump(sqlite_dump_text.statements(connection, name, journal_mode, rows), progress)
            finally:
                writer.close()
        except sqlite3.Error as error:
            raise sqlite_files.as_failure(error, path) from None
        finally:
            connection.close()
    finally:
        sqlite_files.remove(copy)
    return {"bytes": writer.bytes, "sha256": writer.sha256, "uncompressed_bytes": writer.uncompressed_bytes, "tables": sorted(rows), "rows": rows}


def _clear_leftovers(dest: str, partials: t.Iterable[str]) -> None:
    for partial in partials:
        if os.path.lexists(partial):
            os.unlink(partial)
    for entry in os.listdir(dest):
        path = os.path.join(dest, entry)
        if entry.startswith(WORKING_COPY) and os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)


def _no_space(dest: str, estimated: int) -> SeafileError:
    status = os.statvfs(dest if os.path.isdir(dest) else os.path.dirname(dest))
    free = status.f_bavail * status.f_frsize
    return SeafileError("no-space", dest, f"the file system is full: {free} bytes are free now, the databases hold {estimated}", free_bytes=free,
                        estimated_bytes=estimated)
