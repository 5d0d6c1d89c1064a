# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing SQLite files from their dumps: all dumps proven first, each file built beside its place, checked, then named."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import sqlite3
import tempfile
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import sqlite_dump_text, sqlite_files
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import sync_directory, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_dump_run import Reader, partial_path
from ansible_collections.seafleet.seafile.plugins.module_utils.sqlite_dump_run import give, make_directories


@dataclasses.dataclass
class Import:
    """One dump and the file it becomes."""

    name: str
    """The path of the database relative to the haiwen directory."""
    dump: str
    sha256: str
    rows: t.Optional[dict[str, int]]
    path: str
    text_sha256: str = ""
    action: str = ""
    """C(created), C(replaced) or C(unchanged)."""


def relative_path(name: t.Any, what: str) -> str:
    """Return I(name) when it is a plain relative path that stays below where it begins. Raises C(path-invalid)."""
    if not isinstance(name, str) or not name or os.path.isabs(name) or "\0" in name or name != os.path.normpath(name) or name.split("/")[0] in ("..", "."):
        raise SeafileError("path-invalid", f"{what} {name}", "it is no plain relative path")
    return name


def prepare(src: str, dumps: t.Sequence[t.Mapping[str, t.Any]], dest: str) -> list[Import]:
    """Prove every dump in I(src) and return what becomes of them below I(dest). Nothing is changed.

    Raises C(path-invalid) for a name that leads out of I(src) or I(dest) (also through a link), C(dump-damaged).
    """
    imports = []
    for entry in dumps:
        name = relative_path(entry.get("name"), "name")
        file = relative_path(entry.get("file"), "file")
        if entry.get("engine", "sqlite") != "sqlite":
            raise SeafileError("engine-mismatch", name, f"its dump is of the engine {entry['engine']}", "use the module mysql_import")
        path = os.path.join(dest, name)
        parent = os.path.realpath(os.path.dirname(path))
        top = os.path.realpath(dest)
        inside = parent == top or parent.startswith(top.rstrip("/") + "/")
        if not inside and not _is_data_link(dest, name):
            raise SeafileError("path-invalid", f"name {name}", f"a link leads it out of {dest}")
        if os.path.lexists(path) and not (os.path.isfile(path) and not os.path.islink(path)):
            raise SeafileError("path-invalid", path, "it is there and is no regular file", "move it away")
        rows = entry.get("rows")
        imports.append(Import(name, os.path.join(src, file), str(entry.get("sha256")), dict(rows) if rows is not None else None, path))
    if len({task.name for task in imports}) != len(imports):
        raise SeafileError("path-invalid", "dumps", "two dumps have the same name")
    for task in imports:
        task.text_sha256 = sqlite_dump_text.verify(task.dump, task.name, task.sha256)
    return imports


def _is_data_link(dest: str, name: str) -> bool:
    """An administrator may have seafile-data (and only such a whole part) on another file system behind a link."""
    return name.split("/")[0] in ("seafile-data", "ccnet", "seahub-data") and os.path.islink(os.path.join(dest, name.split("/")[0]))


def decide(imports: t.Sequence[Import], replace: bool, record: t.Optional[str]) -> None:
    """Set the action of each of I(imports). Raises C(sqlite-exists) where another database is there and may not be replaced."""
    known = read_record(record)
    for task in imports:
        stray = [task.path + suffix for suffix in sqlite_files.SIDECARS if os.path.lexists(task.path + suffix)]
        if not os.path.lexists(task.path):
            if stray and not replace:
                raise SeafileError("sqlite-exists", stray[0], "it belongs to a database that is not there, and would be taken for the new one's")
            task.action = "created"
        elif _is_recorded(task, known) and not stray:
            task.action = "unchanged"
        elif _same_content(task):
            task.action = "unchanged"
        elif replace:
            holders = sqlite_files.lock_holders(task.path)
            if holders:
                raise sqlite_files.locked(task.path, 0)
            task.action = "replaced"
        else:
            raise SeafileError("sqlite-exists", task.path, "a database with other content is there")


def perform(imports: t.Sequence[Import], dest: str, reader: Reader, mode: int, record: t.Optional[str]) -> None:
    """Write the files of I(imports) whose action is not C(unchanged), and keep I(record) of all."""
    for task in imports:
        if task.action != "unchanged":
            make_directories(os.path.dirname(task.path), Reader(reader.uid, reader.gid))
            _build(task, reader, mode)
    if record:
        known = read_record(record)
        before = dict(known)
        for task in imports:
            known[task.path] = {"dump_sha256": task.sha256, "file_sha256": _sha256(task.path)}
        if known != before:
            make_directories(os.path.dirname(os.path.abspath(record)), Reader())
            write_json(record, {"databases": known})


def _build(task: Import, reader: Reader, mode: int) -> None:
    directory, name = os.path.split(task.path)
    partial = partial_path(directory, name)
    sqlite_files.remove(partial)
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    try:
        _replay(task, partial)
        _check(task, partial)
        give(partial, reader, mode)
        descriptor = os.open(partial, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        for suffix in sqlite_files.SIDECARS:
            # a journal or WAL of the file that goes would be applied to the one that comes
            if os.path.lexists(task.path + suffix):
                os.unlink(task.path + suffix)
        os.rename(partial, task.path)
        sync_directory(directory)
    except sqlite3.Error as error:
        if "disk is full" in str(error):
            raise SeafileError("no-space", directory, f"no space to write {name}") from None
        raise SeafileError("import-failed", task.path, f"a statement of {task.dump} failed: {error}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SeafileError("no-space", directory, f"no space to write {name}") from None
        raise
    finally:
        sqlite_files.remove(partial)


def _replay(task: Import, partial: str) -> None:
    connection = sqlite_files.connect(partial, "rw")
    try:
        # nobody else sees the file yet: a crash leaves only the partial name, which the next run removes
        connection.execute("PRAGMA synchronous=OFF")
        sqlite_dump_text.replay(task.dump, connection)
        if connection.in_transaction:
            raise SeafileError("dump-damaged", task.dump, "its transaction is not committed")
    finally:
        connection.close()


def _check(task: Import, partial: str) -> None:
    connection = sqlite_files.connect(partial, "rw")
    try:
        sqlite_files.check_integrity(connection, task.path)
        found = sqlite_dump_text.count_rows(connection)
    finally:
        connection.close()
    if task.rows is not None and found != task.rows:
        table = sorted(key for key in set(found) | set(task.rows) if found.get(key) != task.rows.get(key))[0]
        raise SeafileError("import-failed", task.path, f"table {table} has {found.get(table, 'no')} rows, the manifest says {task.rows.get(table, 'none')}")


def _same_content(task: Import) -> bool:
    """Whether the database that is there would give this very dump."""
    with tempfile.TemporaryDirectory(prefix=".sqlite-compare.", dir=os.path.dirname(task.path)) as work:
        copy = os.path.join(work, "database")
        try:
            journal_mode = sqlite_files.snapshot(task.path, copy, 0)
            connection = sqlite_files.connect(copy, "ro")
            try:
                return sqlite_dump_text.text_digest(sqlite_dump_text.statements(connection, task.name, journal_mode, {})) == task.text_sha256
            finally:
                connection.close()
        except (SeafileError, sqlite3.Error):
            return False


def _is_recorded(task: Import, known: t.Mapping[str, t.Any]) -> bool:
    entry = known.get(task.path)
    return isinstance(entry, dict) and entry.get("dump_sha256") == task.sha256 and entry.get("file_sha256") == _sha256(task.path)


def read_record(path: t.Optional[str]) -> dict[str, t.Any]:
    """Return path -> C({dump_sha256, file_sha256}) from the record I(path); empty without one. Raises C(record-damaged)."""
    if not path:
        return {}
    try:
        with open(path, encoding="ascii") as stream:
            known = json.load(stream)["databases"]
        return dict(known)
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError):
        raise SeafileError("record-damaged", path, "it is not what this module wrote") from None


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()
