# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and changing single rows of a database that Seafile is using, the same way for both engines.

Every change is one transaction, as short as it can be: SQLite is locked only between the reading of what is there and the commit, MySQL
not at all until the statements are sent. A row that is not as it was read is left alone, and the transaction fails.
"""

from __future__ import annotations

import contextlib
import dataclasses
import decimal
import os
import re
import sqlite3
import tempfile
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_schema, sqlite_files
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.library_rows import canonical, key
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client, identifier, literal
from ansible_collections.seafleet.seafile.plugins.module_utils.sql_dump import Definition, Reference, Row

BUSY_SECONDS = 30
_IN_ONE_STATEMENT = 400
_BINARY = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_NUMBERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "year", "bit")


@dataclasses.dataclass(frozen=True)
class NewId:
    """A number that the database gives when the row is inserted; rows that follow may point at it."""

    number: int


@dataclasses.dataclass
class Table:
    """One table of the live database; all column names in lower case.

    :arg required: columns that a new row must give a value.
    :arg auto: the column that the database numbers by itself.
    :arg primary: the columns of the primary key.
    :arg uniques: the columns of each other unique key.
    """

    name: str
    columns: dict[str, str] = dataclasses.field(default_factory=dict)
    required: set[str] = dataclasses.field(default_factory=set)
    auto: str | None = None
    primary: tuple[str, ...] = ()
    uniques: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    references: list[Reference] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Insert:
    """A row to add. A value may be a :class:`NewId`; I(new) is the one that this row gets in I(table.auto)."""

    table: Table
    row: dict[str, t.Any]
    new: NewId | None = None


@dataclasses.dataclass(frozen=True)
class Delete:
    """A row, whole as it was read, to remove."""

    table: Table
    row: Row


Operation = t.Union[Insert, Delete]
Conditions = t.Sequence[t.Mapping[str, t.Any]]


class Session(t.Protocol):
    """One look at the tables, and with C(apply) the change that follows from it."""

    tables: dict[str, Table]
    """By name in lower case."""

    def find(self, table: Table, conditions: Conditions) -> list[Row]:
        """The rows in which all columns of one of I(conditions) have the values given."""

    def apply(self, operations: t.Sequence[Operation]) -> dict[NewId, int]:
        """Make the change; return which numbers were given."""


class LiveReader:
    """Reads a library's rows out of a live database (:class:`library_rows.Reader`)."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def definitions(self) -> dict[str, Definition]:
        """All tables of the database."""
        return {table.name: Definition(list(table.columns), table.references) for table in self.session.tables.values()}

    def rows(self, wanted: t.Mapping[str, t.Mapping[str, t.Set[t.Any]]]) -> t.Iterator[tuple[str, Row]]:
        """See :class:`library_rows.Reader`."""
        for name, columns in wanted.items():
            conditions = [{column: value} for column, values in columns.items() for key_value in sorted(values, key=repr) for value in _spellings(key_value)]
            seen: list[Row] = []
            for row in self.session.find(self.session.tables[name.lower()], conditions):
                # a text may be found in another case than it was asked for
                if any(key(row[column]) in values for column, values in columns.items()):
                    seen.append(row)
            yield from ((name, row) for row in seen)


def _spellings(value: t.Any) -> list[t.Any]:
    """What a database may hold for a key of :func:`library_rows.key`."""
    if isinstance(value, tuple):
        return [int(value[1])]
    if isinstance(value, str) and re.match(r"[0-9a-f]{32}\Z", value):
        return [value, f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"]
    return [value]


def _chunks(conditions: Conditions) -> t.Iterator[Conditions]:
    for start in range(0, len(conditions), _IN_ONE_STATEMENT):
        yield conditions[start:start + _IN_ONE_STATEMENT]


def _unique_rows(rows: t.Iterable[Row], primary: t.Sequence[str]) -> list[Row]:
    """Rows once each, where two statements may have found one of them; without a primary key nothing can be told apart."""
    if not primary:
        return list(rows)
    found = {tuple(repr(canonical(row[column])) for column in primary): row for row in rows}
    return list(found.values())


def _changed(what: str) -> SeafileError:
    return SeafileError("database-changed", what, "its rows changed while they were being set; nothing was changed in it", "run again")


# -- SQLite ----------------------------------------------------------------------------------------------------------


class SqliteDatabase:
    """A SQLite file that Seafile is using."""

    engine = "sqlite"

    def __init__(self, path: str) -> None:
        self.path = path
        self.what = path
        self._copies: tempfile.TemporaryDirectory[str] | None = None
        if not os.path.isfile(path):
            raise SeafileError("sqlite-missing", path, "there is no such file")
        if not sqlite_files.has_header(path):
            raise SeafileError("sqlite-corrupt", path, "the file has no SQLite header")

    def refresh(self) -> None:
        """Let the next look see what is there then: looks share one private copy."""
        if self._copies is not None:
            self._copies.cleanup()
            self._copies = None

    def _copy(self) -> str:
        if self._copies is None:
            self._copies = tempfile.TemporaryDirectory(prefix="seafleet-library.")
            sqlite_files.snapshot(self.path, os.path.join(self._copies.name, "database"), BUSY_SECONDS)
        return os.path.join(self._copies.name, "database")

    @contextlib.contextmanager
    def session(self, act: bool) -> t.Iterator[Session]:
        """With I(act) a transaction that is committed when the body ends well; else a look at a private copy, which changes nothing.

        :raises SeafileError: C(sqlite-locked), C(sqlite-corrupt).
        """
        try:
            with contextlib.ExitStack() as stack:
                if act:
                    connection = stack.enter_context(contextlib.closing(sqlite_files.connect(self.path, "rw", BUSY_SECONDS)))
                    connection.execute("BEGIN IMMEDIATE")
                else:
                    connection = stack.enter_context(contextlib.closing(sqlite_files.connect(self._copy(), "ro")))
                try:
                    yield _SqliteSession(connection, self.path)
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
                if act:
                    connection.execute("COMMIT")
                    self.refresh()
        except sqlite3.Error as error:
            raise sqlite_files.as_failure(error, self.path, BUSY_SECONDS) from None


class _SqliteSession:
    """See :class:`Session`."""

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self.connection = connection
        self.path = path
        # bytes that are no text must come back as they are
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        names = [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'")]
        self.tables = {name.lower(): self._table(name) for name in names}

    def _table(self, name: str) -> Table:
        table = Table(name)
        quoted = sqlite_files.quote_name(name)
        primary: list[tuple[int, str, str]] = []
        for _number, column, kind, not_null, default, position in self.connection.execute(f"PRAGMA table_info({quoted})"):
            column = column.lower()
            table.columns[column] = kind
            if not_null and default is None:
                table.required.add(column)
            if position:
                primary.append((position, column, kind))
        table.primary = tuple(column for _position, column, _kind in sorted(primary))
        if len(primary) == 1 and primary[0][2].upper() == "INTEGER":
            table.auto = primary[0][1]
            table.required.discard(table.auto)
        for index in self.connection.execute(f"PRAGMA index_list({quoted})").fetchall():
            columns = [row[2] for row in self.connection.execute(f"PRAGMA index_info({sqlite_files.quote_name(index[1])})")]
            # neither an index of expressions nor one of some rows only says that two rows cannot stand beside each other
            if index[2] and None not in columns and not (len(index) > 4 and index[4]):
                unique = tuple(column.lower() for column in columns)
                if unique != table.primary or table.auto is None:
                    table.uniques.append(unique)
        for reference in self.connection.execute(f"PRAGMA foreign_key_list({quoted})").fetchall():
            table.references.append(Reference(reference[3].lower(), reference[2], (reference[4] or "id").lower()))
        return table

    def find(self, table: Table, conditions: Conditions) -> list[Row]:
        """See :class:`Session`."""
        found: list[Row] = []
        names = list(table.columns)
        columns = ", ".join(map(sqlite_files.quote_name, names))
        for chunk in _chunks(conditions):
            where = " OR ".join("(" + " AND ".join(f"{sqlite_files.quote_name(column)} = ?" for column in condition) + ")" for condition in chunk)
            values = [_plain(value) for condition in chunk for value in condition.values()]
            for row in self.connection.execute(f"SELECT {columns} FROM {sqlite_files.quote_name(table.name)} WHERE {where}", values):
                found.append(dict(zip(names, row)))
        return _unique_rows(found, table.primary)

    def apply(self, operations: t.Sequence[Operation]) -> dict[NewId, int]:
        """See :class:`Session`."""
        given: dict[NewId, int] = {}
        for operation in operations:
            name = sqlite_files.quote_name(operation.table.name)
            values = {column: _plain(given[value] if isinstance(value, NewId) else value) for column, value in operation.row.items()}
            if isinstance(operation, Delete):
                where = " AND ".join(f"{sqlite_files.quote_name(column)} IS ?" for column in values)
                done = self.connection.execute(f"DELETE FROM {name} WHERE rowid = (SELECT rowid FROM {name} WHERE {where} LIMIT 1)", list(values.values()))
                if done.rowcount != 1:
                    raise _changed(self.path)
                continue
            columns = ", ".join(map(sqlite_files.quote_name, values))
            done = self.connection.execute(f"INSERT INTO {name} ({columns}) VALUES ({', '.join('?' * len(values))})", list(values.values()))
            if operation.new:
                given[operation.new] = t.cast(int, done.lastrowid)
        return given


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    return value


# -- MySQL and MariaDB -----------------------------------------------------------------------------------------------


class MysqlDatabase:
    """A database on a MySQL or MariaDB server, as Seafile's own account sees it."""

    engine = "mysql"

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self.what = f"database {name}"
        self._tables: dict[str, Table] | None = None
        if name not in mysql_schema.visible(client):
            raise SeafileError("database-unknown", self.what, "the account cannot see it")

    def refresh(self) -> None:
        """See :meth:`SqliteDatabase.refresh`; here every look sees what is there, and only the tables' definitions are read once."""

    @contextlib.contextmanager
    def session(self, act: bool) -> t.Iterator[Session]:
        """See :meth:`SqliteDatabase.session`; here nothing is locked before C(apply), which is the transaction."""
        del act
        session = _MysqlSession(self.client, self.name, self.what, self._tables)
        self._tables = session.tables
        yield session


class _MysqlSession:
    """See :class:`Session`."""

    def __init__(self, client: Client, name: str, what: str, tables: dict[str, Table] | None) -> None:
        self.client = client
        self.name = name
        self.what = what
        self.tables: dict[str, Table] = tables or {}
        if not self.tables:
            self._read_schema()

    def _query(self, *statements: str) -> list[list[str]]:
        return self.client.query("SET SESSION time_zone='+00:00'", *statements, what=self.what, database=self.name)

    def _read_schema(self) -> None:
        own = f"table_schema = {literal(self.name)}"
        for name in mysql_schema.base_tables(self.client, self.name):
            self.tables[name.lower()] = Table(name)
        columns = self._query(
            "SELECT table_name, column_name, data_type, is_nullable, column_default IS NULL, COALESCE(extra, '')"
            f" FROM information_schema.columns WHERE {own} ORDER BY table_name, ordinal_position")
        for name, column, kind, nullable, no_default, extra in columns:
            table = self.tables.get(name.lower())
            if table is None or "GENERATED" in extra.upper().replace("DEFAULT_GENERATED", ""):
                continue
            column = column.lower()
            table.columns[column] = kind.lower()
            if "auto_increment" in extra:
                table.auto = column
            elif nullable == "NO" and no_default == "1":
                table.required.add(column)
        keys: dict[tuple[str, str], list[str]] = {}
        for name, index, column in self._query(
                f"SELECT table_name, index_name, column_name FROM information_schema.statistics WHERE {own} AND non_unique = 0"
                " ORDER BY table_name, index_name, seq_in_index"):
            keys.setdefault((name.lower(), index), []).append(column.lower())
        for (name, index), key_columns in keys.items():
            if name not in self.tables:
                continue
            if index == "PRIMARY":
                self.tables[name].primary = tuple(key_columns)
            if index != "PRIMARY" or tuple(key_columns) != (self.tables[name].auto,):
                self.tables[name].uniques.append(tuple(key_columns))
        for name, column, other, other_column in self._query(
                "SELECT table_name, column_name, referenced_table_name, referenced_column_name FROM information_schema.key_column_usage"
                f" WHERE {own} AND referenced_table_schema = {literal(self.name)}"):
            if name.lower() in self.tables:
                self.tables[name.lower()].references.append(Reference(column.lower(), other, other_column.lower()))

    def find(self, table: Table, conditions: Conditions) -> list[Row]:
        """See :class:`Session`."""
        values = []
        for column, kind in table.columns.items():
            quoted = identifier(column)
            text = f"HEX({quoted})" if kind in _BINARY else f"HEX(CONVERT(CAST({'0 + ' if kind == 'bit' else ''}{quoted} AS CHAR) USING utf8mb4))"
            values.append(f"COALESCE(CONCAT('v', {text}), 'n')")
        found = []
        for chunk in _chunks(conditions):
            wanted = (" AND ".join(f"{identifier(column)} = {_literal(value)}" for column, value in condition.items()) for condition in chunk)
            where = " OR ".join(f"({condition})" for condition in wanted)
            for fields in self._query(f"SELECT {', '.join(values)} FROM {identifier(table.name)} WHERE {where}"):
                found.append({column: _value(kind, field) for (column, kind), field in zip(table.columns.items(), fields)})
        return _unique_rows(found, table.primary)

    def apply(self, operations: t.Sequence[Operation]) -> dict[NewId, int]:
        """See :class:`Session`. The client ends at the first error, and the server takes an unfinished transaction back."""
        if not operations:
            return {}
        statements = ["SET SESSION sql_mode='STRICT_ALL_TABLES'", f"SET SESSION innodb_lock_wait_timeout={BUSY_SECONDS}", "START TRANSACTION"]
        new: list[NewId] = []
        # A delete that finds nothing must end the transaction; a subquery of two rows is an error on every server.
        check = ["SET @seafleet_rows = ROW_COUNT()", "SET @seafleet_check = (SELECT 1 UNION ALL SELECT 1 FROM DUAL WHERE @seafleet_rows <> 1)"]
        for operation in operations:
            name = identifier(operation.table.name)
            if isinstance(operation, Delete):
                columns = operation.table.primary or tuple(operation.row)
                where = " AND ".join(f"{identifier(column)} <=> {_literal(operation.row[column])}" for column in columns)
                statements += [f"DELETE FROM {name} WHERE {where} LIMIT 1", *check]
                continue
            columns = ", ".join(map(identifier, operation.row))
            values = ", ".join(f"@seafleet_{value.number}" if isinstance(value, NewId) else _literal(value) for value in operation.row.values())
            statements.append(f"INSERT INTO {name} ({columns}) VALUES ({values})")
            if operation.new:
                statements.append(f"SET @seafleet_{operation.new.number} = LAST_INSERT_ID()")
                new.append(operation.new)
        statements += [f"SELECT '{number.number}', @seafleet_{number.number}" for number in new]
        try:
            rows = self._query(*statements, "COMMIT")
        except SeafileError as error:
            if error.code == "database-error" and "ERROR 1242" in error.cause:
                raise _changed(self.what) from None
            raise
        return {NewId(int(number)): int(value) for number, value in rows}


def _literal(value: t.Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'" if value else "''"
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return f"CONVERT(x'{value.encode('utf-8', 'surrogateescape').hex()}' USING binary)"
        return literal(value)
    return str(value)


def _value(kind: str, field: str) -> t.Any:
    if field == "n":
        return None
    raw = bytes.fromhex(field[1:])
    if kind in _BINARY:
        return raw
    text = raw.decode("utf-8", "surrogateescape")
    if kind in _NUMBERS:
        return int(text) if re.match(r"-?[0-9]+\Z", text) else decimal.Decimal(text)
    return text
