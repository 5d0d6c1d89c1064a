# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restored deployment's databases taken to another directory and address.

Two tables hold them: C(WebUploadTempFiles) the paths of unfinished uploads, C(constance_config) the settings that were made in
the web interface, which win over the files. Other tables are only searched: what is in them was written by people.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sqlite3
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_schema, relocation_stored, sqlite_files, sqlite_session
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client, identifier, literal
from ansible_collections.seafleet.seafile.plugins.module_utils.places import is_inside
from ansible_collections.seafleet.seafile.plugins.module_utils.relocation import Address, Move, parse_address
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import DatabaseConnection

SETTINGS = "constance_config"
UPLOADS = "WebUploadTempFiles"
_KEYS = ("constance_key", "key")
"""Names of the column with a setting's name, in Seahub since 5 and before."""
_TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "json")
_MOST_MATCHES = 1000
BUSY_SECONDS = 10


class Database(t.Protocol):
    """One database of either engine. Every change is part of one transaction."""

    name: str

    def columns(self) -> dict[str, list[str]]:
        """The columns with text by table."""

    def settings(self, key: str) -> list[tuple[str, str]]:
        """Name and stored value of every setting; I(key) is the column of the name."""

    def uploads(self) -> list[str]:
        """The distinct paths of unfinished uploads."""

    def matches(self, table: str, columns: t.Sequence[str], words: t.Sequence[str]) -> int:
        """Rows of I(table) with one of I(words) in one of I(columns), at most 1000."""

    def update(self, changes: t.Sequence[Change], key: t.Optional[str]) -> None:
        """Make I(changes)."""


@dataclasses.dataclass(frozen=True)
class Change:
    """One value of one row; C(setting) is the name of a setting, None for the path of an upload."""

    setting: t.Optional[str]
    before: str
    after: str


@dataclasses.dataclass
class Outcome:
    """What became of one database."""

    rows: dict[str, int] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    before: list[str] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)


def setting_key(columns: t.Mapping[str, t.Sequence[str]]) -> t.Optional[str]:
    """Return the column that names a setting, None without such a table."""
    return next((key for key in _KEYS if key in columns.get(SETTINGS, ())), None)


def stored_addresses(database: Database) -> list[Address]:
    """Return the address that the settings in I(database) name as that of the service."""
    key = setting_key(database.columns())
    found = []
    for name, value in database.settings(key) if key else []:
        if name == "SERVICE_URL":
            found += [address for address in map(parse_address, relocation_stored.texts(value)) if address is not None]
    return found


def plan(settings: t.Iterable[tuple[str, str]], uploads: t.Iterable[str], move: Move) -> tuple[list[Change], list[str]]:
    """Return what changes, and notes on what could not be."""
    changes, notes = [], []
    for name, value in settings:
        if not _is_text(value):
            notes.append(f"{SETTINGS} {name} is not UTF-8 and was left as it is")
            continue
        try:
            now = relocation_stored.replaced(value, lambda text, name=name: _setting(name, text, move))
        except relocation_stored.NotText:
            now = value
        if now != value:
            changes.append(Change(name, value, now))
        words = sorted({word for text in relocation_stored.texts(now) for word in move.remains(text)})
        if words:
            notes.append(f"{SETTINGS} {name} still mentions {', '.join(words)}")
    for path in uploads:
        moved = move.moved_path(path) if _is_text(path) else None
        if moved is not None:
            changes.append(Change(None, path, moved))
        elif move.from_root and path and not path.startswith(move.to_root + "/"):
            notes.append(f"{UPLOADS} names {path}, which lies neither in the old nor in the new directory")
    return changes, notes


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _setting(name: str, text: str, move: Move) -> str:
    # other texts may stand beside the value, such as the name of its type
    if move.new is not None and name == "SERVICE_URL" and parse_address(text) is not None:
        return move.new.url
    return move.file_server(text) if name == "FILE_SERVER_ROOT" else move.replaced(text)


def relocate(database: Database, move: Move, act: bool) -> Outcome:
    """Change the rows of I(database), or tell without I(act) which would be.

    :raises SeafileError: what the engine says; then nothing was changed.
    """
    columns = database.columns()
    key = setting_key(columns)
    settings = database.settings(key) if key else []
    uploads = database.uploads() if UPLOADS in columns else []
    changes, notes = plan(settings, uploads, move)
    outcome = Outcome(notes=[f"{database.name}: {note}" for note in notes])
    for change in changes:
        table = UPLOADS if change.setting is None else SETTINGS
        outcome.rows[table] = outcome.rows.get(table, 0) + 1
        name = change.setting or "path"
        outcome.before += [f"{table} {name} = {text}" for text in relocation_stored.texts(change.before)] if change.setting else [f"{table}: {change.before}"]
        outcome.after += [f"{table} {name} = {text}" for text in relocation_stored.texts(change.after)] if change.setting else [f"{table}: {change.after}"]
    if changes and act:
        database.update(changes, key)
        again, dummy = plan(database.settings(key) if key else [], database.uploads() if UPLOADS in columns else [], move)
        if again:
            raise SeafileError("database-changed", database.name, "its rows changed while they were being rewritten", "stop Seafile, then run again")
    outcome.notes += _searched(database, columns, move)
    return outcome


def _searched(database: Database, columns: t.Mapping[str, t.Sequence[str]], move: Move) -> list[str]:
    words = move.hosts
    if move.from_root and not move.to_root.startswith(move.from_root):
        words = words + [move.from_root]
    notes = []
    for table, names in sorted(columns.items()):
        count = database.matches(table, names, words) if words and names and table not in (SETTINGS, UPLOADS) else 0
        if count:
            rows = f"{_MOST_MATCHES} or more rows mention" if count >= _MOST_MATCHES else "1 row mentions" if count == 1 else f"{count} rows mention"
            notes.append(f"{database.name}: {rows} the old host or directory in {table}; left as they are")
    return notes


def _pattern(word: str) -> str:
    """I(word) anywhere, for LIKE with C(!) as escape."""
    return "%" + word.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"


# -- MySQL and MariaDB -----------------------------------------------------------------------------------------------


class MysqlDatabase:
    """The database I(name) on the server of I(client)."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self._client = client

    def _query(self, *statements: str) -> list[list[str]]:
        return self._client.query(*statements, what=f"database {self.name}", database=self.name)

    def columns(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for table, column in self._query(
                "SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN information_schema.tables t"
                " ON t.table_schema = c.table_schema AND t.table_name = c.table_name"
                f" WHERE c.table_schema = {literal(self.name)} AND t.table_type IN {mysql_schema.names_in(mysql_schema.STORED)}"
                f" AND c.data_type IN {mysql_schema.names_in(_TEXTS)}"):
            found.setdefault(table, []).append(column)
        return found

    def settings(self, key: str) -> list[tuple[str, str]]:
        rows = self._query(f"SELECT HEX(CONVERT({identifier(key)} USING utf8mb4)), HEX(CONVERT(value USING utf8mb4)) FROM {SETTINGS}"
                           f" WHERE value IS NOT NULL ORDER BY {identifier(key)}")
        return [(_text(row[0]), _text(row[1])) for row in rows]

    def uploads(self) -> list[str]:
        return [_text(row[0]) for row in self._query(f"SELECT DISTINCT HEX(CONVERT(tmp_file_path USING utf8mb4)) FROM {UPLOADS} ORDER BY 1")]

    def matches(self, table: str, columns: t.Sequence[str], words: t.Sequence[str]) -> int:
        condition = " OR ".join(f"CONVERT({identifier(column)} USING utf8mb4) LIKE {literal(_pattern(word))} ESCAPE '!'"
                                for column in columns for word in words)
        return int(self._query(f"SELECT COUNT(*) FROM (SELECT 1 FROM {identifier(table)} WHERE {condition} LIMIT {_MOST_MATCHES}) AS found")[0][0])

    def update(self, changes: t.Sequence[Change], key: t.Optional[str]) -> None:
        statements = []
        for change in changes:
            if change.setting is None:
                statements.append(f"UPDATE {UPLOADS} SET tmp_file_path = {literal(change.after)}"
                                  f" WHERE CONVERT(tmp_file_path USING utf8mb4) = {literal(change.before)} COLLATE utf8mb4_bin")
            else:
                statements.append(f"UPDATE {SETTINGS} SET value = {literal(change.after)} WHERE {identifier(key or '')} = {literal(change.setting)}"
                                  f" AND CONVERT(value USING utf8mb4) = {literal(change.before)} COLLATE utf8mb4_bin")
        # the client ends at the first error, and the server takes an unfinished transaction back
        self._query("START TRANSACTION", *statements, "COMMIT")


def _text(digits: str) -> str:
    return bytes.fromhex(digits).decode("utf-8", "replace")


# -- SQLite ----------------------------------------------------------------------------------------------------------


class SqliteDatabase:
    """The SQLite file at I(path), through an open connection."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self.name = name
        self._connection = connection

    def columns(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for (table,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'").fetchall():
            found[table] = [row[1] for row in self._connection.execute(f"PRAGMA table_info({sqlite_files.quote_name(table)})")
                            if any(word in (row[2] or "").lower() for word in ("char", "text", "clob"))]
        return found

    def settings(self, key: str) -> list[tuple[str, str]]:
        return [(str(row[0]), str(row[1])) for row in self._connection.execute(
            f"SELECT {sqlite_files.quote_name(key)}, value FROM {SETTINGS} WHERE value IS NOT NULL ORDER BY 1")]

    def uploads(self) -> list[str]:
        return [str(row[0]) for row in self._connection.execute(f"SELECT DISTINCT tmp_file_path FROM {UPLOADS} ORDER BY 1")]

    def matches(self, table: str, columns: t.Sequence[str], words: t.Sequence[str]) -> int:
        condition = " OR ".join(f"{sqlite_files.quote_name(column)} LIKE ? ESCAPE '!'" for column in columns for dummy in words)
        values = [_pattern(word) for dummy in columns for word in words]
        return int(self._connection.execute(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM {sqlite_files.quote_name(table)} WHERE {condition} LIMIT {_MOST_MATCHES})", values).fetchone()[0])

    def update(self, changes: t.Sequence[Change], key: t.Optional[str]) -> None:
        for change in changes:
            if change.setting is None:
                self._connection.execute(f"UPDATE {UPLOADS} SET tmp_file_path = ? WHERE tmp_file_path = ?", (change.after, change.before))
            else:
                self._connection.execute(f"UPDATE {SETTINGS} SET value = ? WHERE {sqlite_files.quote_name(key or '')} = ? AND value = ?",
                                         (change.after, change.setting, change.before))


@contextlib.contextmanager
def opened(root: str, connection: DatabaseConnection, client: t.Optional[Client], act: bool) -> t.Iterator[Database]:
    """Give the database of I(connection), in the deployment at I(root)."""
    if connection.path is None:
        if client is None:
            raise ValueError("a MySQL database without a client")
        if connection.name not in mysql_schema.visible(client):
            raise SeafileError("database-unknown", f"database {connection.name}", "the account cannot see it", "import the databases first")
        yield MysqlDatabase(client, connection.name)
    else:
        path = os.path.join(root, connection.path)
        if not is_inside(path, root):
            raise SeafileError("path-invalid", path, "it leads out of the deployment through a link", "put the directory in the place of the link")
        with sqlite_session.session(path, act, BUSY_SECONDS) as session:
            session.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            yield SqliteDatabase(session, connection.path)
