# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One SQLite file, to change rows of it in one transaction or to see what would be changed."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import sqlite_files
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError


@contextlib.contextmanager
def session(path: str, act: bool, busy_seconds: float = 10) -> t.Iterator[sqlite3.Connection]:
    """With I(act) the file itself, locked for writing, committed when the body ends well; else a private copy of it.

    The file keeps its owner and mode. Reading the file itself could leave a WAL beside it, hence the copy.

    :arg busy_seconds: how long to wait for a lock.
    :raises SeafileError: C(sqlite-missing), C(sqlite-locked), C(sqlite-corrupt), C(no-space).
    """
    if not os.path.isfile(path):
        raise SeafileError("sqlite-missing", path, "there is no such file")
    if not sqlite_files.has_header(path):
        raise SeafileError("sqlite-corrupt", path, "the file has no SQLite header")
    try:
        with contextlib.ExitStack() as stack:
            yield stack.enter_context(_transaction(path, busy_seconds) if act else _private_copy(path, busy_seconds))
    except sqlite3.Error as error:
        raise sqlite_files.as_failure(error, path, busy_seconds) from None


@contextlib.contextmanager
def _transaction(path: str, busy_seconds: float) -> t.Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite_files.connect(path, "rw", busy_seconds)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


@contextlib.contextmanager
def _private_copy(path: str, busy_seconds: float) -> t.Iterator[sqlite3.Connection]:
    with tempfile.TemporaryDirectory(prefix="seafleet-look.") as directory:
        copy = os.path.join(directory, "database")
        sqlite_files.snapshot(path, copy, busy_seconds)
        with contextlib.closing(sqlite_files.connect(copy, "ro")) as connection:
            yield connection


def tables(connection: sqlite3.Connection) -> list[str]:
    """The names of all tables, sorted."""
    return sorted(str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))


def string(text: str) -> str:
    """I(text) as an SQL string."""
    return "'" + text.replace("'", "''") + "'"
