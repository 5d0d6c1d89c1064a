# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever rows a database has: read from a dump in any of its forms they are the same, and a cut dump is never taken as whole.

The renderers below write the dumps' forms on their own; they share nothing with the reader.
"""

from __future__ import annotations

import decimal
import gzip
import math
import os
import shutil
import socket
import sqlite3
import tempfile
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.seafleet.seafile.plugins.module_utils import pointers, sql_dump, sqlite_dump_text
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.properties import examples

CHUNKS = st.sampled_from([1, 2, 3, 5, 61, 4096, 256 * 1024])
HARD = ("'", '"', "\\", "`", ";", "--", "/*", "*/", "#", "\n", "\r", "\0", "\x1a", "\t", "\b", "%", "_", "\\n", "\\%", "()", ",", "[", "]", "\udcff", "\udcc3",
        "\u00fc", "\U0001f600", "\u2028", "\ufffe", "INSERT INTO `Branch` VALUES (1);\n", "COMMIT;\n", "-- Dump completed",
        "\nDELIMITER ;;\n", "END;\n", "a", "Z", "0")
PIECES = st.one_of(st.sampled_from(HARD), st.characters(min_codepoint=0, max_codepoint=0x2FF), st.characters(min_codepoint=0x1F300, max_codepoint=0x1F64F))


def decoded(raw):
    return raw.decode("utf-8", "surrogateescape")


# Text as the reader gives it: bytes that are not UTF-8 as lone surrogates; joined pieces may have become valid UTF-8.
TEXTS = st.lists(PIECES, max_size=8).map(lambda pieces: decoded("".join(pieces).encode("utf-8", "surrogateescape")))
# Longer than the reader looks ahead: the end of its window may be anywhere in them.
TEXTS = st.one_of(TEXTS, st.tuples(TEXTS, st.integers(1, 30)).map(lambda pair: decoded((pair[0] * pair[1]).encode("utf-8", "surrogateescape"))))
INTEGERS = st.one_of(st.integers(-(1 << 63), (1 << 64) - 1), st.sampled_from([0, 1, -1, 1 << 63, -(1 << 63)]))
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-10 ** 9, max_value=10 ** 9)
BLOBS = st.one_of(st.binary(max_size=12), st.sampled_from([b"", b"\0", b"'", b"\\'", bytes(range(256))]))
COLUMN_NAMES = st.one_of(
    st.sampled_from(["repo_id", "key", "primary", "na me", "a`b", 'a"b', "x]", "commit_id", "values", "default", "a,b", "(c)", "1"]),
    st.lists(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=5).map("".join))
# The reader takes the first 4096 bytes at once, to see what it has: only behind them do small chunks make a small window.
PADDING = "-- " + "p" * 4096 + "\n"
TABLES = ("Branch", "Repo", "VirtualRepo")
OTHERS = ("Other", "RepoUserToken", "od`d")


def typed(rows):
    """The rows with the type of each value: 1, 1.0 and Decimal(1) are equal in Python."""
    return {table: [{name: (type(value).__name__, value) for name, value in row.items()} for row in found] for table, found in rows.items()}


@st.composite
def databases(draw, values):
    """Tables with their columns and rows: {name: (columns, [values])}, some of them that nobody asks for."""
    result = {}
    names = [draw(st.sampled_from(TABLES))] + draw(st.lists(st.sampled_from(TABLES + OTHERS), max_size=3))
    for table in draw(st.permutations(sorted(set(names)))):
        columns = draw(st.lists(COLUMN_NAMES, min_size=1, max_size=4, unique_by=lambda name: name.lower()))
        row = st.tuples(*[values for dummy in columns])
        result[table] = (columns, draw(st.lists(row, min_size=1, max_size=6)) if draw(st.integers(0, 9)) else [])
    return result


def expected(database, meaning):
    wanted = {table: [] for table in TABLES}
    for table, (columns, rows) in database.items():
        if table in wanted:
            wanted[table] = [{name.lower(): meaning(value) for name, value in zip(columns, row)} for row in rows]
    return wanted


# --- mysqldump ----------------------------------------------------------------------------------------------------

NAMED = {"\0": "\\0", "\n": "\\n", "\r": "\\r", "\x1a": "\\Z", "\t": "\\t", "\b": "\\b", "'": "\\'", '"': '\\"', "\\": "\\\\"}
MYSQL_VALUES = st.one_of(st.none(), INTEGERS, DECIMALS, TEXTS, BLOBS)


class MysqlText:
    """Renders with choices from I(random)."""

    def __init__(self, random):
        self.random = random

    def blank(self):
        return self.random.choice([" ", "\n", "\t", " \r\n ", " /* it's; */ ", " -- 'not\n", " /*!40000 x */ ", "\n# `neither\n"])

    def escaped(self, text):
        quote = self.random.choice("''''\"")
        result = []
        for at, character in enumerate(text):
            following = text[at + 1:at + 2]
            if character == "\\" and following and following in "%_" and self.random.random() < 0.5:
                result.append("\\")  # the server reads \% and \_ as they stand
            elif character in "\\" or character == quote or (character in NAMED and self.random.random() < 0.6):
                result.append(quote + quote if character == quote and self.random.random() < 0.5 else NAMED[character])
            elif character.isascii() and character.isalpha() and character not in "bnrtZ" and self.random.random() < 0.05:
                result.append("\\" + character)  # an escape without a meaning is the letter
            else:
                result.append(character)
        return quote + "".join(result) + quote

    def value(self, value):
        if value is None:
            return "NULL"
        if isinstance(value, bytes):
            form = self.random.choice(["hex", "binary", "x"])
            if form == "hex" and value:
                return "0x" + (value.hex().upper() if self.random.random() < 0.5 else value.hex())
            return f"_binary {self.escaped(decoded(value))}" if form == "binary" else f"x'{value.hex()}'"
        if isinstance(value, str):
            return self.random.choice(["", "", "_utf8mb4 "]) + self.escaped(value)
        return str(value)

    def name(self, name):
        return "`" + name.replace("`", "``") + "`"

    def insert(self, table, columns, rows):
        order = list(range(len(columns)))
        named = self.random.random() < 0.4
        if named:
            self.random.shuffle(order)
        names = self.blank() + "(" + ", ".join(self.name(columns[at]) for at in order) + ")" if named else ""
        tuples = ["(" + ",".join(self.random.choice(["", " ", "\n"]) + self.value(row[at]) for at in order) + ")" for row in rows]
        verb = self.random.choice(["INSERT INTO", "INSERT IGNORE INTO", "REPLACE INTO", "insert into"])
        return f"{verb} {self.name(table)}{names} VALUES{self.random.choice(['', ' '])}" + self.random.choice([",", ",\n", " , "]).join(tuples) + ";\n"

    def table(self, table, columns, rows):
        kinds = ["varchar(255) COLLATE utf8mb4_unicode_ci DEFAULT 'a),(;b'", "bigint(20) NOT NULL", "enum('a','it''s,','(') DEFAULT 'a'",
                 "decimal(10,3) DEFAULT NULL COMMENT 'with \\' and \"'", "longblob"]
        definitions = [f"  {self.name(column)} {self.random.choice(kinds)}" for column in columns]
        definitions += self.random.sample(
            ["  PRIMARY KEY (`a`,`b`(12))", "  UNIQUE KEY `k` (`a`)", "  KEY `x)` (`b`)", "  CONSTRAINT `c` FOREIGN KEY (`a`) REFERENCES `t` (`a`)"],
            self.random.randrange(3))
        yield f"--\n-- Table structure for table {self.name(table)}\n--\n\n"
        yield f"DROP TABLE IF EXISTS {self.name(table)};\n/*!40101 SET character_set_client = utf8 */;\n"
        yield f"CREATE TABLE {self.name(table)} (\n" + ",\n".join(definitions) + "\n) ENGINE=InnoDB COMMENT='the; table';\n"
        yield f"LOCK TABLES {self.name(table)} WRITE;\n/*!40000 ALTER TABLE {self.name(table)} DISABLE KEYS */;\n"
        rest = list(rows)
        while rest:
            count = self.random.randrange(1, len(rest) + 1)
            yield self.insert(table, columns, rest[:count])
            rest = rest[count:]
        yield "/*!40000 ALTER TABLE x ENABLE KEYS */;\nUNLOCK TABLES;\n"
        if self.random.random() < 0.4:
            yield ("DELIMITER ;;\n/*!50003 CREATE*/ /*!50003 TRIGGER `t` AFTER INSERT ON `Repo` FOR EACH ROW "
                   "BEGIN INSERT INTO `Repo` VALUES ('it''s'); END */;;\n"
                   "DELIMITER ;\n")

    def dump(self, database):
        head = "-- MariaDB dump 10.19  Distrib 10.11.14-MariaDB, for debian-linux-gnu (x86_64)\n--\n-- Host: localhost    Database: it's\n"
        sandbox = "/*M!999999\\- enable the sandbox mode */ \n" if self.random.random() < 0.5 else ""
        body = "".join(piece for table, (columns, rows) in database.items() for piece in self.table(table, columns, rows))
        text = sandbox + head + self.random.choice(["", PADDING]) + "/*!40101 SET NAMES utf8mb4 */;\n" + body + "/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;\n\n"
        return text.encode("utf-8", "surrogateescape"), b"-- Dump completed", b" on 2026-11-23  3:00:00\n"


def mysql_meaning(value):
    """What a reader can know: an empty blob in hexadecimal is written as an empty string."""
    return decimal.Decimal(str(value)) if isinstance(value, decimal.Decimal) else value


# --- SQLite -------------------------------------------------------------------------------------------------------

SQLITE_VALUES = st.one_of(
    st.none(), st.integers(-(1 << 63) + 1, (1 << 63) - 1), DECIMALS, TEXTS, BLOBS, st.sampled_from([float("inf"), float("-inf")]))


class SqliteText:
    """Renders with choices from I(random) what the programs sqlite3 of different versions and Python's iterdump write."""

    def __init__(self, random):
        self.random = random

    @staticmethod
    def quoted(text):
        return "'" + text.replace("'", "''") + "'"

    def text(self, text):
        raw = text.encode("utf-8", "surrogateescape")
        if "\0" in text or any("\udc80" <= character <= "\udcff" for character in text):
            return f"CAST(X'{raw.hex()}' AS TEXT)"
        form = self.random.choice(["plain", "replace", "unistr", "cast", "joined"])
        if form == "replace" and "\n" in text:
            mark = next(mark for mark in ("\\n", "\\012", "(%s1)", "(%s2)", "(%s3)") if mark not in text)
            inner = self.quoted(text.replace("\n", mark))
            outer = f"replace({inner},'{mark}',char(10))"
            if "\r" in text:
                mark2 = next(mark for mark in ("\\r", "\\015", "(%r1)", "(%r2)") if mark not in text)
                inner = self.quoted(text.replace("\n", mark).replace("\r", mark2))
                outer = f"replace(replace({inner},'{mark2}',char(13)),'{mark}',char(10))"
            return outer
        if form == "unistr":
            escaped = "".join("\\\\" if c == "\\" else f"\\u{ord(c):04x}" if ord(c) < 32 else f"\\+{ord(c):06x}" if ord(c) > 0xFFFF else c for c in text)
            return "unistr(" + self.quoted(escaped) + ")"
        if form == "cast":
            return f"CAST(X'{raw.hex()}' AS TEXT)"
        if form == "joined" and "\n" in text:
            return "||char(10)||".join(self.quoted(part) for part in text.split("\n"))
        return self.quoted(text)

    def value(self, value):
        if value is None:
            return "NULL"
        if isinstance(value, bytes):
            return f"X'{value.hex()}'"
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, float):
            return "9.0e+999" if value > 0 else "-9.0e+999"
        return str(value)

    def name(self, name):
        forms = ['"' + name.replace('"', '""') + '"', "`" + name.replace("`", "``") + "`"]
        return self.random.choice(forms + ([f"[{name}]"] if "]" not in name else []))

    def dump(self, database):
        random = self.random
        pieces = [
            random.choice(["PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n", "BEGIN TRANSACTION;\n", "-- made\nPRAGMA encoding='UTF-8';\nBEGIN;\n"]),
            random.choice(["", PADDING])]
        for table, (columns, rows) in database.items():
            kinds = ["TEXT DEFAULT 'a),(;b'", "INTEGER NOT NULL DEFAULT (1+(2))", "VARCHAR(255) CHECK (x <> ',')", "", "BLOB /* it's, */"]
            definitions = [f"{self.name(column)} {random.choice(kinds)}" for column in columns]
            definitions += random.sample(["PRIMARY KEY (\"a\", 'b')", "UNIQUE (x,y)", "CONSTRAINT c CHECK (a > (1))"], random.randrange(2))
            pieces.append(f"CREATE TABLE {random.choice(['', 'IF NOT EXISTS '])}{self.name(table)} ({random.choice([',', ', '])}"
                          .replace("(,", "(").replace("(, ", "("))
            pieces.append(",\n".join(definitions) + random.choice([");\n", ") WITHOUT ROWID;\n", ") -- it's\n;\n"]))
            for row in rows:
                order = list(range(len(columns)))
                names = ""
                if random.random() < 0.3:
                    random.shuffle(order)
                    names = "(" + ",".join(self.name(columns[at]) for at in order) + ")"
                pieces.append(f"INSERT INTO {self.name(table)}{names} VALUES(" + ",".join(self.value(row[at]) for at in order) + ");\n")
        pieces.append(random.choice(["", "CREATE TRIGGER t AFTER INSERT ON Repo BEGIN UPDATE Repo SET a = 'it''s; END;'; SELECT 1; END;\n"]))
        pieces.append(random.choice(["", "DELETE FROM sqlite_sequence;\nCREATE INDEX i ON Repo (a);\nCREATE VIEW v AS SELECT ';' FROM \"a;b\";\n"]))
        return "".join(pieces).encode("utf-8", "surrogateescape"), b"COMMIT;", b"\n"


def sqlite_meaning(value):
    return value


DIALECTS = {"mysql": (MysqlText, MYSQL_VALUES, mysql_meaning), "sqlite": (SqliteText, SQLITE_VALUES, sqlite_meaning)}
dialects = pytest.mark.parametrize("dialect", sorted(DIALECTS))


@st.composite
def dumps(draw, dialect):
    """A database's rows and their dump: (rows by table, text before the trailer, trailer, the rest)."""
    writer, values, meaning = DIALECTS[dialect]
    database = draw(databases(values))
    text, trailer, rest = writer(draw(st.randoms(use_true_random=True))).dump(database)
    return expected(database, meaning), text, trailer, rest


class Directory:
    """A file that is written again and again."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="seafleet-dump-")
        self.file = os.path.join(self.path, "dump.sql")
        return self

    def __exit__(self, *dummy):
        shutil.rmtree(self.path)

    def read(self, content, chunk=256 * 1024):
        with open(self.file, "wb") as stream:
            stream.write(content)
        with mock.patch.object(sql_dump, "CHUNK_BYTES", chunk):
            return sql_dump.read_tables(self.file, TABLES)

    def code(self, content):
        """The code with which the content is refused, or None when rows come out of it."""
        try:
            self.read(content)
        except SeafileError as error:
            assert error.what == self.file
            return error.code
        return None


@dialects
def test_the_rows_of_any_dump_are_read_as_they_were_written(dialect):
    @examples(200)
    @given(dumps(dialect), CHUNKS, st.booleans())
    def prove(dump, chunk, packed):
        rows, text, trailer, rest = dump
        content = text + trailer + rest
        with Directory() as directory:
            assert typed(directory.read(gzip.compress(content, 1) if packed else content, chunk)) == typed(rows)

    prove()


@pytest.mark.parametrize("head, quote, tail", [
    ("-- MariaDB dump 10.19\nCREATE TABLE `Repo` (`a``b` text);\nINSERT INTO `Repo` VALUES ", "'", "-- Dump completed\n"),
    ("-- MariaDB dump 10.19\nCREATE TABLE `Repo` (`a``b` text);\nINSERT INTO `Repo` VALUES ", '"', "-- Dump completed\n"),
    ("BEGIN TRANSACTION;\nCREATE TABLE Repo (`a``b` text);\nINSERT INTO Repo VALUES ", "'", "COMMIT;\n")])
def test_the_window_may_end_anywhere_in_a_doubled_quote_or_behind_it(head, quote, tail):
    value = f"first{quote}second{quote}{quote}" + "x" * 20 + quote
    rendered = quote + value.replace(quote, quote * 2) + quote
    head = head.replace("INSERT", PADDING + "INSERT")
    content = f"{head}({rendered});\n{tail}".encode("ascii")
    with Directory() as directory:
        for begin in range(len(head) - 10, len(head) + len(rendered) + 5):
            with mock.patch.object(sql_dump, "_LOOK_AHEAD", 1):
                assert directory.read(content, begin)["Repo"] == [{"a`b": value}]


@examples(60)
@given(st.lists(st.tuples(
    st.one_of(st.none(), TEXTS), st.one_of(st.none(), BLOBS), st.one_of(st.none(), st.integers(-(1 << 63), (1 << 63) - 1)),
    st.one_of(st.none(), st.floats(allow_nan=False))), max_size=6), st.sampled_from(["UTF-8", "UTF-16le", "UTF-16be"]), CHUNKS)
def test_what_the_real_sqlite_holds_comes_back_from_this_collections_dump(rows, encoding, chunk):
    if encoding != "UTF-8":  # SQLite itself keeps neither bytes that are not Unicode nor U+FFFE there
        rows = [(None if row[0] is None else row[0].encode("utf-8", "replace").decode("utf-8").replace("\ufffe", "?"),) + row[1:] for row in rows]
    connection = sqlite3.connect(":memory:")
    connection.execute(f"PRAGMA encoding = '{encoding}'")
    connection.execute('CREATE TABLE Repo ("na me", `key`, c, d REAL)')
    texts = [(None if row[0] is None else row[0].encode("utf-8", "surrogateescape"),) + row[1:] for row in rows]
    connection.executemany("INSERT INTO Repo VALUES (CAST(? AS TEXT), ?, ?, ?)" if encoding == "UTF-8" else "INSERT INTO Repo VALUES (?, ?, ?, ?)",
                           texts if encoding == "UTF-8" else rows)
    connection.commit()
    content = b"".join(sqlite_dump_text.statements(connection, "seafile.db", "delete", {}))
    connection.close()
    with Directory() as directory:
        found = directory.read(content, chunk)["Repo"]
    assert [(row["na me"], row["key"], row["c"]) for row in found] == [row[:3] for row in rows]
    for row, (dummy, dummy2, dummy3, number) in zip(found, rows):
        assert row["d"] is None if number is None else float(row["d"]) == number
        if number == 0:
            assert row["d"] == 0 and math.copysign(1, float(row["d"])) in (1, math.copysign(1, number))


def places_to_cut(data, length):
    """Some places anywhere, and all of the last ones: the trailer is where a cut is hardest to see."""
    return sorted(set(data.draw(st.lists(st.integers(0, length - 1), max_size=25))) | set(range(max(0, length - 12), length)) | {0, 1, 2})


@dialects
def test_a_dump_cut_at_any_byte_is_refused(dialect):
    @examples(25)
    @given(dumps(dialect), st.data())
    def prove(dump, data):
        dummy, text, trailer, rest = dump
        content = text + trailer + rest
        with Directory() as directory:
            for length in places_to_cut(data, len(text) + len(trailer)):
                assert directory.code(content[:length]) == "dump-damaged", content[:length]
            packed = gzip.compress(content, 1)
            for length in places_to_cut(data, len(packed)):
                assert directory.code(packed[:length]) == "dump-damaged", length

    prove()


@dialects
def test_a_changed_byte_is_refused_by_gzip_and_gives_rows_or_a_code_in_plain_text(dialect):
    @examples(25)
    @given(dumps(dialect), st.data())
    def prove(dump, data):
        rows, text, trailer, rest = dump
        content = text + trailer + rest
        packed = gzip.compress(content, 1)
        with Directory() as directory:
            for dummy in range(10):
                at, bits = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
                assert directory.code(content[:at] + bytes([content[at] ^ bits]) + content[at + 1:]) in (None, "dump-damaged")
                at = data.draw(st.integers(10, len(packed) - 1))  # behind the header, whose time and system nothing depends on
                changed = packed[:at] + bytes([packed[at] ^ bits]) + packed[at + 1:]
                if directory.code(changed) is None:  # a bit of padding
                    assert typed(directory.read(changed)) == typed(rows)

    prove()


STARTS = st.sampled_from([
    b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0\0\x10JFIF", b"%PDF-1.7\n", b"PK\x03\x04", b"\x1f\x8b", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"BZh9",
    b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"SQLite format 3\0", b"<!DOCTYPE html>\n<html>", b"\xef\xbb\xbf", b"\xff\xfe", b"-- MySQL dump 10\n", b"BEGIN;\n",
    b"BEGIN TRANSACTION;\nCREATE TABLE Repo(a);\nINSERT INTO Repo VALUES(", b"-- MariaDB dump\nCREATE TABLE `Repo` (`a` int);\nINSERT INTO `Repo` VALUES (",
    b"-- MariaDB dump\nCREATE TABLE `Repo` (", b"PRAGMA encoding=", b"BEGIN;\nCREATE TRIGGER x BEGIN", b"/*M!", b"DELIMITER ;;\n"])
TOKENS = st.sampled_from([
    b"(", b")", b"'", b'"', b"`", b"\\", b";", b",", b"--", b"/*", b"*/", b"#", b"\n", b" ", b"X'", b"0x", b"1", b".", b"e9", b"-", b"||", b"*", b"/", b"NULL",
    b"CAST(", b" AS TEXT)", b" AS REAL)", b"replace(", b"char(", b"unistr(", b"\\U", b"\\uD800", b"INSERT INTO Repo VALUES(",
    b"CREATE TABLE Repo(a,b);", b"_x ",
    b"COMMIT;", b"ROLLBACK;", b"PRAGMA encoding='UTF-16le';", b"DELIMITER ;\n", b"b'", b"\xff", b"\0", b"99999999999999999999", b"END;"])


@examples(300)
@given(STARTS, st.one_of(st.binary(max_size=200), st.lists(TOKENS, max_size=40).map(b"".join)))
def test_a_file_that_is_no_dump_is_refused_with_a_code(start, rest):
    with Directory() as directory:
        code = directory.code(start + rest)
        trailed = rest.rstrip().endswith(b"COMMIT;") or b"COMMIT" in rest
        assert code == "dump-damaged" or (code is None and trailed)


@pytest.mark.parametrize("make", ["directory", "fifo", "socket", "device", "missing", "below-a-file"])
def test_what_is_no_regular_file_is_refused_and_never_waited_for(make, tmp_path):
    path = tmp_path / "dump.sql"
    keep = None
    if make == "directory":
        path.mkdir()
    elif make == "fifo":
        os.mkfifo(path)
    elif make == "socket":
        keep = socket.socket(socket.AF_UNIX)
        keep.bind(str(path))
    elif make == "device":
        path = "/dev/zero"
    elif make == "below-a-file":
        path.write_bytes(b"x")
        path = path / "dump.sql"
    with pytest.raises((SeafileError, OSError)) as caught:
        sql_dump.read_tables(str(path), TABLES)
    if keep:
        keep.close()
        assert caught.type in (SeafileError, OSError)  # the system itself refuses to open a socket
    else:
        assert caught.value.code == "dump-missing"


def test_a_replacement_that_multiplies_is_refused_before_it_takes_the_memory(tmp_path):
    expression = "'" + "a" * 100 + "'"
    for dummy in range(20):
        expression = f"replace({expression},'a','{'a' * 100}')"
    path = tmp_path / "dump.sql"
    path.write_text(f"BEGIN TRANSACTION;\nCREATE TABLE Repo(a);\nINSERT INTO Repo VALUES({expression});\nCOMMIT;\n", encoding="ascii")
    with pytest.raises(SeafileError) as caught:
        sql_dump.read_tables(str(path), TABLES)
    assert caught.value.code == "dump-damaged" and "longer than" in caught.value.message


# --- pointers -----------------------------------------------------------------------------------------------------

IDS = st.integers(0, 5).map(lambda number: f"{number:08x}-0000-4000-8000-000000000000")
COMMITS = st.integers(0, 5).map(lambda number: f"{number:040x}")
WILD = st.one_of(st.none(), INTEGERS, DECIMALS, st.floats(), TEXTS, BLOBS, IDS, COMMITS, IDS.map(str.encode),
                 st.sampled_from(["", "../../etc", "a/b", "A" * 40]))
COLUMNS = ("repo_id", "commit_id", "name", "head_id", "repo_name", "owner_id", "days", "timestamp", "origin_repo", "base_commit",
           "path", "cfg_group", "cfg_key", "value")


@examples(80)
@given(st.fixed_dictionaries({table: st.lists(st.dictionaries(st.sampled_from(COLUMNS), WILD, max_size=6), max_size=4) for table in pointers.TABLES}),
       st.one_of(st.none(), st.integers(-1, 100)))
def test_rows_of_any_kind_become_pointers_or_are_told(tables, keep_days):
    found = pointers.make_pointers(tables, keep_days)
    known = {library.id for library in found.libraries}
    assert len(known) == len(found.libraries)
    for library in found.libraries:
        assert pointers.LIBRARY_ID.match(library.id) and pointers.LIBRARY_ID.match(library.store)
        assert all(len(head) == 20 and head != bytes(20) for head in library.heads)
        assert library.base is None or len(library.base) == 20
        library.truncate_time(10 ** 9)
    for table in ("Repo", "Branch", "RepoTrash"):
        for row in tables[table]:
            value = row.get("repo_id")
            text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else "" if value is None else str(value)
            assert text in known or any(repr(text[:80]) in line for line in found.strange)
