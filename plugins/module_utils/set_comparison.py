# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is what was restored what the set holds? Counted on both sides: rows in the dumps' text and in the databases, objects by two walks."""

from __future__ import annotations

import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_schema, sql_dump, sqlite_files, sqlite_session
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client, identifier, literal

Rows = t.Dict[str, int]
"""Table -> number of its rows."""


def rows_of_dump(path: str) -> Rows:
    """Return how many rows the dump I(path) has for each of its tables.

    :raises SeafileError: as :func:`sql_dump.read_rows`.
    """
    counts = dict.fromkeys(sql_dump.read_definitions(path), 0)
    for table, unused in sql_dump.read_rows(path, list(counts)):
        counts[table] += 1
    return counts


def rows_of_mysql(client: Client, database: str) -> Rows:
    """Return how many rows each table of I(database) has."""
    tables = mysql_schema.base_tables(client, database)
    selects = [f"SELECT {literal(table)}, COUNT(*) FROM {identifier(table)}" for table in tables]
    return {table: int(count) for table, count in client.query(*selects, what=f"database {database}", database=database)} if selects else {}


def rows_of_sqlite(path: str) -> Rows:
    """Return how many rows each table of the SQLite file I(path) has.

    :raises SeafileError: C(sqlite-...).
    """
    with sqlite_session.session(path, False) as connection:
        names = [name for name in sqlite_session.tables(connection) if not name.startswith("sqlite_")]
        return {name: connection.execute(f"SELECT count(*) FROM {sqlite_files.quote_name(name)}").fetchone()[0] for name in names}


def differing_rows(database: str, expected: Rows, found: Rows) -> list[str]:
    """Return where the I(found) tables of I(database) are not the I(expected) ones, one sentence each. Names compare without case."""
    there = {name.lower(): count for name, count in found.items()}
    wrong = []
    for table, count in sorted(expected.items()):
        if table.lower() not in there:
            wrong.append(f"{database}: the table {table} is missing ({count} rows in the dump)")
        elif there[table.lower()] != count:
            wrong.append(f"{database}: the table {table} has {there[table.lower()]} rows, the dump {count}")
    known = {name.lower() for name in expected}
    return wrong + [f"{database}: the table {table} is not in the dump" for table in sorted(found) if table.lower() not in known]


def differing_objects(expected: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any]) -> list[str]:
    """Return where the walk over the restored objects found others than the walk over the backup did.

    :arg expected: C({kind: {files, bytes}}), as :mod:`set_choice` returns them; I(found): those of the restored tree.
    """
    wrong = []
    for kind in sorted(set(expected) | set(found)):
        for what in ("files", "bytes"):
            there, here = expected.get(kind, {}).get(what, 0), found.get(kind, {}).get(what, 0)
            if there != here:
                wrong.append(f"{kind}: {here} {what} are reachable, {there} in the backup")
    return wrong
