# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a SQLite dump: written exactly, proved whole, and read back statement by statement.

The text is plain SQL that C(sqlite3 new.db < dump) imports. Unlike the shell's C(.dump) it brings every value back
bit by bit: text with NUL or bytes that are no UTF-8, blobs, infinity, and floating point numbers whatever the rounding
of the importing SQLite. Its last statement is C(COMMIT;): without it the dump is cut.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import compression
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import encode_name
from ansible_collections.seafleet.seafile.plugins.module_utils.sqlite_files import quote_name

TRAILER = b"COMMIT;\n"
_NEWLINE_MARK = "\\n"
_POWER = 62


class _Text(bytes):
    """A value of SQLite's type TEXT as its bytes; a BLOB comes as plain bytes."""


# --- values -------------------------------------------------------------------------------------------------------


def literal(value: t.Any) -> str:
    """Return the SQL expression that gives exactly I(value) (None, int, float, bytes, or text as :class:`_Text`).

    It never holds a line break, so that one row is one line.
    """
    if value is None:
        return "NULL"
    if isinstance(value, _Text):
        return _text_literal(value)
    if isinstance(value, bytes):
        return "X'" + value.hex() + "'"
    if isinstance(value, float):
        return _real_literal(value)
    # the smallest integer has no literal of its own: its digits without the sign do not fit
    return str(value) if value != -(1 << 63) else "(-9223372036854775807-1)"


def _text_literal(value: bytes) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return _text_from_bytes(value)
    if "\0" in text or "\r" in text:
        return _text_from_bytes(value)
    quoted = "'" + text.replace("'", "''") + "'"
    if "\n" not in text:
        return quoted
    if _NEWLINE_MARK in text:
        return _text_from_bytes(value)
    return "replace(" + quoted.replace("\n", _NEWLINE_MARK) + ",'" + _NEWLINE_MARK + "',char(10))"


def _text_from_bytes(value: bytes) -> str:
    return "CAST(X'" + value.hex() + "' AS TEXT)"


def _real_literal(value: float) -> str:
    """A decimal literal where it is exact; else integers and powers of two, which no SQLite can round.

    SQLite's own conversion of decimals is not always the nearest number (sqlite.org/releaselog, 3.43).
    """
    if math.isinf(value):
        return "9e999" if value > 0 else "-9e999"
    if value == 0:
        return "-0.0" if math.copysign(1, value) < 0 else "0.0"
    text = repr(value)
    if abs(value) < 1e15 and "e" not in text and len(text) <= 16:
        numerator, denominator = value.as_integer_ratio()
        places = len(text.partition(".")[2])
        if (10 ** places) % denominator == 0:
            return text
    numerator, denominator = value.as_integer_ratio()
    exponent = -(denominator.bit_length() - 1)
    while numerator % 2 == 0:
        numerator //= 2
        exponent += 1
    expression = f"CAST({numerator} AS REAL)"
    operator = "*" if exponent > 0 else "/"
    exponent = abs(exponent)
    while exponent:
        step = min(exponent, _POWER)
        expression += f"{operator}{1 << step}"
        exponent -= step
    return f"({expression})"


# --- writing ------------------------------------------------------------------------------------------------------


def statements(connection: sqlite3.Connection, name: str, journal_mode: str, rows: dict[str, int]) -> t.Iterator[bytes]:
    """Yield the lines of the dump of the database behind I(connection); put the rows of each table into I(rows).

    I(name): what the first line calls it. I(journal_mode): C(wal) is set in the restored file too.
    Raises C(sqlite-not-text) for a virtual table or a schema that is not UTF-8; sqlite3.Error for a damaged file.
    """
    connection.text_factory = _Text
    pragma = {key: connection.execute(f"PRAGMA {key}").fetchone()[0] for key in ("encoding", "page_size", "auto_vacuum", "user_version", "application_id")}
    encoding = bytes(pragma["encoding"]).decode("ascii")
    yield f"-- SQLite dump of {encode_name(name)}, for an empty database\n".encode("ascii")
    yield f"PRAGMA encoding='{encoding}';\nPRAGMA page_size={pragma['page_size']};\nPRAGMA auto_vacuum={pragma['auto_vacuum']};\n".encode("ascii")
    if journal_mode == "wal":
        yield b"PRAGMA journal_mode=WAL;\n"
    yield b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n"
    schema = _schema(connection, name)
    tables = [(table, sql) for kind, table, sql in schema if kind == "table"]
    for table, sql in tables:
        if not table.startswith("sqlite_"):
            yield _definition(sql)
            rows[table] = 0
            for line in _rows(connection, table, encoding):
                rows[table] += 1
                yield line
    internal = {table for table, unused in tables if table.startswith("sqlite_")}
    if "sqlite_sequence" in internal and any("AUTOINCREMENT" in sql.upper() for unused, sql in tables):
        yield b"DELETE FROM sqlite_sequence;\n"
        yield from _rows(connection, "sqlite_sequence", encoding)
    for wanted in ("view", "index", "trigger"):
        for kind, unused, sql in schema:
            if kind == wanted:
                yield _definition(sql)
    if "sqlite_stat1" in internal:
        yield b"ANALYZE sqlite_master;\nDELETE FROM sqlite_stat1;\n"
        yield from _rows(connection, "sqlite_stat1", encoding)
        yield b"ANALYZE sqlite_master;\n"
    yield f"PRAGMA user_version={pragma['user_version']};\nPRAGMA application_id={pragma['application_id']};\n".encode("ascii")
    yield TRAILER


def _schema(connection: sqlite3.Connection, name: str) -> list[tuple[str, str, str]]:
    """Return (type, name, sql) of everything with a definition, in the order of creation."""
    result = []
    for kind, entry, sql in connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid").fetchall():
        try:
            kind, entry, sql = kind.decode("utf-8"), entry.decode("utf-8"), sql.decode("utf-8")
        except UnicodeDecodeError:
            raise SeafileError("sqlite-not-text", name, "the schema holds a name or definition that is not UTF-8") from None
        if "\0" in sql + entry:
            raise SeafileError("sqlite-not-text", name, f"the definition of {entry} holds a NUL")
        if kind == "table" and sql[:14].upper() == "CREATE VIRTUAL":
            raise SeafileError("sqlite-not-text", name, f"the virtual table {entry} cannot be written as plain SQL")
        result.append((kind, entry, sql))
    return result


def _definition(sql: str) -> bytes:
    last_line = sql.rpartition("\n")[2]
    return (sql + ("\n;" if "--" in last_line else ";") + "\n").encode("utf-8")


def _rows(connection: sqlite3.Connection, table: str, encoding: str) -> t.Iterator[bytes]:
    """Yield one INSERT a row, in the order of the table's key, generated columns left out."""
    quoted = quote_name(table)
    try:
        information = connection.execute(f"PRAGMA table_xinfo({quoted})").fetchall()
    except sqlite3.OperationalError:
        information = []
    columns = [quote_name(row[1].decode("utf-8")) for row in information if row[6] == 0]
    listed = "(" + ",".join(columns) + ")" if len(columns) < len(information) else ""
    start = f"INSERT INTO {quoted}{listed} VALUES("
    if encoding == "UTF-8":
        for row in connection.execute(f"SELECT {','.join(columns) or '*'} FROM {quoted} NOT INDEXED"):
            yield (start + ",".join(map(literal, row)) + ");\n").encode("utf-8")
        return
    # In a UTF-16 database text is written as its own bytes: a conversion to UTF-8 would lose lone surrogates
    pairs = ",".join(f"typeof({column}),CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) ELSE {column} END" for column in columns)
    for row in connection.execute(f"SELECT {pairs} FROM {quoted} NOT INDEXED"):
        values = [_text_from_bytes(value) if kind == b"text" else literal(value) for kind, value in zip(row[::2], row[1::2])]
        yield (start + ",".join(values) + ");\n").encode("utf-8")


class DumpWriter(compression.CompressedFile):
    """The file of one dump: compressed and hashed in the same pass. The same content gives the same bytes."""

    def dump(self, lines: t.Iterable[bytes], progress: t.Optional[t.Callable[[int], t.Any]] = None) -> None:
        """Compress I(lines), then flush everything to the disk. I(progress) is called with the bytes of text so far."""
        gathered: list[bytes] = []
        size = 0
        for line in lines:
            gathered.append(line)
            size += len(line)
            if size >= 1 << 18:
                self.write(b"".join(gathered))
                gathered, size = [], 0
                if progress is not None:
                    progress(self.uncompressed_bytes)
        self.write(b"".join(gathered))
        self.finish()


# --- reading ------------------------------------------------------------------------------------------------------


def verify(path: str, name: str, sha256: str) -> str:
    """Prove that the stored dump I(path) is whole; return the sha256 of its text without the first line.

    Raises C(dump-damaged) when the file is missing, has another checksum, is damaged, or is cut; C(missing-tool) for zstd.
    """
    stored, digest = hashlib.sha256(), hashlib.sha256()
    tail = b""
    try:
        with open(path, "rb") as stream:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                stored.update(chunk)
    except FileNotFoundError:
        raise SeafileError("dump-damaged", path, f"the dump of {name} is missing") from None
    if stored.hexdigest() != sha256:
        raise SeafileError("dump-damaged", path, f"the dump of {name} has sha256 {stored.hexdigest()}, not {sha256}")
    try:
        with compression.open_reader(path) as text:
            text.readline(1 << 16)
            for chunk in compression.pieces(text):
                digest.update(chunk)
                tail = (tail + chunk[-64:])[-64:]
    except (OSError, compression.Damage) as error:
        raise SeafileError("dump-damaged", path, f"the dump of {name} cannot be read to its end: {error}") from None
    if not tail.endswith(b"\n" + TRAILER):
        raise SeafileError("dump-damaged", path, f"the dump of {name} is cut: its last statement is not COMMIT")
    return digest.hexdigest()


def text_digest(lines: t.Iterable[bytes]) -> str:
    """Return the sha256 of the text I(lines) without its first line, comparable with :func:`verify`'s."""
    digest = hashlib.sha256()
    iterator = iter(lines)
    next(iterator)
    for line in iterator:
        digest.update(line)
    return digest.hexdigest()


def read_statements(path: str) -> t.Iterator[str]:
    """Yield the statements of the stored dump I(path) one by one, without holding the whole text."""
    gathered = ""
    try:
        with compression.open_reader(path) as text:
            for raw in text:
                line = raw.decode("utf-8")
                if not gathered and line.startswith("--"):
                    continue
                gathered += line
                if line.endswith(";\n") and sqlite3.complete_statement(gathered):
                    yield gathered
                    gathered = ""
    except compression.Damage as error:
        raise SeafileError("dump-damaged", path, str(error)) from None
    if gathered.strip():
        raise SeafileError("dump-damaged", path, "its last statement is not complete")


def replay(path: str, connection: sqlite3.Connection) -> None:
    """Execute the statements of the stored dump I(path) in the empty database behind I(connection).

    Statements that reach outside this one database file are refused, also later on this connection (Python before 3.11
    cannot take an authorizer back). Raises sqlite3.Error.
    """
    refused = (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH)
    connection.set_authorizer(lambda action, *unused: sqlite3.SQLITE_DENY if action in refused else sqlite3.SQLITE_OK)
    for statement in read_statements(path):
        connection.execute(statement)


def count_rows(connection: sqlite3.Connection) -> dict[str, int]:
    """Return table -> number of rows, SQLite's own tables left out."""
    connection.text_factory = str
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    names = [row[0] for row in tables if not row[0].startswith("sqlite_")]
    return {name: connection.execute(f"SELECT count(*) FROM {quote_name(name)}").fetchone()[0] for name in names}
