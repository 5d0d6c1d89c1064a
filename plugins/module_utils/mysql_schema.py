# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database server knows of its databases: tables, engines, character sets, privileges, checksums."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_client
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import identifier, literal

DUMP_PRIVILEGES = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")
"""What an account needs on a database for a whole dump of it. Without TRIGGER the programs leave triggers out in silence."""

VIEWS = ("VIEW", "SYSTEM VIEW")
STORED = ("BASE TABLE", "SYSTEM VERSIONED")


@dataclasses.dataclass(frozen=True)
class Database:
    """One database as information_schema shows it."""

    name: str
    character_set: str
    collation: str
    tables: tuple[str, ...]
    """Names of tables, views and sequences, sorted."""
    views: tuple[str, ...]
    nontransactional: tuple[str, ...]
    """Tables whose engine has no transactions, such as MyISAM."""
    estimated_bytes: int
    """Data length of all tables, as the server estimates it."""
    signature: str
    """Changes when a table, view or column comes, goes or is altered."""


def names_in(names: t.Iterable[str]) -> str:
    """Return I(names) as an SQL list."""
    return "(" + ", ".join(literal(name) for name in names) + ")"


def visible(client: mysql_client.Client) -> list[str]:
    """Return the databases the account can see, without the server's own, sorted."""
    rows = client.query("SELECT schema_name FROM information_schema.schemata")
    return sorted(row[0] for row in rows if row[0].lower() not in mysql_client.SYSTEM_SCHEMAS)


def describe(client: mysql_client.Client, names: t.Sequence[str]) -> dict[str, Database]:
    """Return the databases of I(names) that exist, by name."""
    if not names:
        return {}
    wanted = names_in(names)
    schemata = client.query(
        f"SELECT schema_name, default_character_set_name, default_collation_name FROM information_schema.schemata WHERE schema_name IN {wanted}",
        what=f"databases {', '.join(names)}")
    transactional = {row[0] for row in client.query("SELECT engine FROM information_schema.engines WHERE transactions = 'YES'")}
    tables: dict[str, list[list[str]]] = {}
    for row in client.query(
            "SELECT table_schema, table_name, table_type, COALESCE(engine, ''), COALESCE(data_length, 0)"
            f" FROM information_schema.tables WHERE table_schema IN {wanted}"):
        tables.setdefault(row[0], []).append(row[1:])
    columns: dict[str, list[list[str]]] = {}
    for row in client.query(
            "SELECT table_schema, table_name, column_name, ordinal_position, column_type, is_nullable"
            f" FROM information_schema.columns WHERE table_schema IN {wanted}"):
        columns.setdefault(row[0], []).append(row[1:])
    result = {}
    for name, character_set, collation in schemata:
        if name not in names:
            # the server may compare names without case
            continue
        own = sorted(tables.get(name, []))
        text = repr((sorted(row[:3] for row in own), sorted(columns.get(name, []))))
        result[name] = Database(
            name=name, character_set=character_set, collation=collation,
            tables=tuple(row[0] for row in own),
            views=tuple(row[0] for row in own if row[1] in VIEWS),
            nontransactional=tuple(row[0] for row in own if row[1] in STORED and row[2] not in transactional),
            estimated_bytes=sum(int(row[3]) for row in own),
            signature=hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest(),
        )
    return result


def own_account(client: mysql_client.Client) -> t.Optional[str]:
    """Return the account of I(client) as the server knows it, C('user'@'host').

    None when it has roles: what it may through them cannot be read in one way on all servers, so the server decides.
    """
    user, at, host = client.value("CURRENT_USER()").rpartition("@")
    try:
        if client.query("SELECT role_name FROM information_schema.applicable_roles LIMIT 1"):
            return None
    except SeafileError:
        # servers before roles do not have the table
        pass
    return f"'{user}'@'{host}'" if at else host


def missing_privileges(client: mysql_client.Client, account: t.Optional[str], name: str, needed: t.Sequence[str]) -> list[str]:
    """Return which of the privileges I(needed) on the database I(name) the I(account) lacks (see :func:`own_account`; None lacks none)."""
    if account is None:
        return []
    rows = client.query(
        f"SELECT privilege_type FROM information_schema.user_privileges WHERE grantee = {literal(account)}",
        f"SELECT privilege_type FROM information_schema.schema_privileges WHERE grantee = {literal(account)} AND {literal(name)} LIKE table_schema")
    held = {row[0] for row in rows}
    return [privilege for privilege in needed if privilege not in held]


def base_tables(client: mysql_client.Client, database: str) -> list[str]:
    """Return the names of the tables (no views) of I(database), sorted."""
    rows = client.query(
        f"SELECT table_name FROM information_schema.tables WHERE table_schema = {literal(database)} AND table_type IN {names_in(STORED)}")
    return sorted(row[0] for row in rows)


def stored_programs(client: mysql_client.Client, database: str) -> int:
    """Return how many routines and events I(database) holds."""
    return int(client.value(f"(SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = {literal(database)})"
                            f" + (SELECT COUNT(*) FROM information_schema.events WHERE event_schema = {literal(database)})"))


def fingerprint(client: mysql_client.Client, database: str) -> dict[str, int]:
    """Return the checksum of the rows of every table of I(database), by name (C(CHECKSUM TABLE)).

    The numbers can be compared on one server; another version or engine may compute others. An empty or missing
    database gives an empty dictionary. Every row is read.
    """
    tables = base_tables(client, database)
    if not tables:
        return {}
    statement = "CHECKSUM TABLE " + ", ".join(f"{identifier(database)}.{identifier(table)}" for table in tables)
    rows = client.query(statement, what=f"database {database}")
    return {table: int(row[1]) if row[1].isdigit() else -1 for table, row in zip(tables, rows)}
