# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Seafile's database itself points at, read with Seafile's own login: no dump is between.

After a restore this is what Seafile will find when it starts: a database under another name, a wrong password or half an import show here.
"""

from __future__ import annotations

import os
import sqlite3
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_dump_run, pointers, sqlite_files, sqlite_session
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client, identifier, literal
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import Configuration, DatabaseConnection
from ansible_collections.seafleet.seafile.plugins.module_utils.sql_dump import Row

COLUMNS: dict[str, tuple[str, ...]] = {
    "Branch": ("repo_id", "commit_id"),
    "Repo": ("repo_id",),
    "RepoHistoryLimit": ("repo_id", "days"),
    "RepoInfo": ("repo_id", "name"),
    "RepoOwner": ("repo_id", "owner_id"),
    "RepoTrash": ("repo_id", "repo_name", "head_id", "owner_id"),
    "RepoValidSince": ("repo_id", "timestamp"),
    "SeafileConf": ("cfg_group", "cfg_key", "value"),
    "VirtualRepo": ("repo_id", "origin_repo", "path", "base_commit"),
}
"""The tables of :data:`pointers.TABLES` by what :func:`pointers.make_pointers` looks at. Older versions lack some tables and columns."""

Tables = t.Dict[str, t.List[Row]]


def read_live(configuration: Configuration, busy_timeout: int = 30) -> pointers.Pointers:
    """Return what the database of the deployment with this I(configuration) points at.

    :arg busy_timeout: seconds to wait for a locked SQLite file.
    :raises SeafileError: C(database-unknown) when it is not Seafile's own database; the C(database-...) and C(sqlite-...) codes when
        it cannot be read.
    """
    database = next(database for database in configuration.databases if database.role == "seafile")
    if database.engine == "mysql":
        tables = _read_mysql(configuration, database)
    else:
        tables = _read_sqlite(os.path.join(configuration.root, database.name), busy_timeout)
    return pointers.make_pointers(tables, configuration.keep_days)


def _wanted(there: t.Mapping[str, tuple[str, t.Collection[str]]], what: str) -> t.Iterator[tuple[str, str, list[str]]]:
    """Yield (table, its name there, columns there).

    :arg there: tables by their name in lower case: name, columns in lower case.
    """
    if any(table.lower() not in there for table in pointers.REQUIRED_TABLES):
        raise SeafileError("database-unknown", what, "it lacks the table Branch or Repo, so it is not Seafile's own database")
    for table, columns in COLUMNS.items():
        if table.lower() in there:
            name, found = there[table.lower()]
            yield table, name, [column for column in columns if column in found]


def _read_mysql(configuration: Configuration, database: DatabaseConnection) -> Tables:
    source = mysql_dump_run.choose_source([database], None, {}, configuration.root)
    client = Client(source.logins[0], source.origin)
    what = f"database {database.name}"
    there: dict[str, tuple[str, set[str]]] = {}
    for table, column in client.query(
            f"SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = {literal(database.name)}", what=what):
        there.setdefault(table.lower(), (table, set()))[1].add(column.lower())
    wanted = list(_wanted(there, what))
    # COALESCE, since the client writes NULL as text; an empty text means the same to every column here
    selects = [f"SELECT {literal(table)}, " + ", ".join(f"COALESCE({identifier(column)}, '')" for column in columns) + f" FROM {identifier(name)}"
               for table, name, columns in wanted]
    rows = client.query("START TRANSACTION WITH CONSISTENT SNAPSHOT", *selects, "COMMIT", what=what, database=database.name)
    columns_of = {table: columns for table, unused, columns in wanted}
    tables: Tables = {table: [] for table in COLUMNS}
    for row in rows:
        tables[row[0]].append(dict(zip(columns_of[row[0]], row[1:])))
    return tables


def _read_sqlite(path: str, busy_timeout: int) -> Tables:
    tables: Tables = {table: [] for table in COLUMNS}
    with sqlite_session.session(path, False, busy_timeout) as connection:
        there = {name.lower(): (name, _columns(connection, name)) for name in sqlite_session.tables(connection)}
        connection.text_factory = bytes  # names need not be UTF-8
        for table, name, columns in _wanted(there, path):
            for row in connection.execute(f"SELECT {', '.join(columns)} FROM {sqlite_files.quote_name(name)}"):
                tables[table].append(dict(zip(columns, row)))
    return tables


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1].lower() for row in connection.execute(f"PRAGMA table_info({sqlite_files.quote_name(table)})")}
