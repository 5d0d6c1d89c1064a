# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import gzip
import json
import pathlib
import sqlite3
import tracemalloc

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import compression, sql_dump, sqlite_dump_text
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.packing import KINDS, pack

# mariadb-dump 10.11 of a table with every hard value, a trigger, a routine and an event; and what SELECT says of it.
# sqlite3 3.40's .dump of the same kind of table.
DATA = pathlib.Path(__file__).parent / "sql_dump"
MYSQL = "-- MariaDB dump 10.19\nCREATE TABLE `Repo` (`a` int, `b` text);\n%s\n-- Dump completed on 2026-11-23  3:00:00\n"
SQLITE = "BEGIN TRANSACTION;\nCREATE TABLE Repo(a,b);\n%s\nCOMMIT;\n"


def code_of(call, *arguments):
    with pytest.raises(SeafileError) as caught:
        call(*arguments)
    return caught.value.code


def read(tmp_path, text, tables=("Repo",), **more):
    path = tmp_path / "dump.sql"
    path.write_bytes(text.encode("utf-8"))
    return sql_dump.read_tables(str(path), tables, **more)


@pytest.mark.parametrize("chunk", [1, 7, 256 * 1024])
@pytest.mark.parametrize("name", ["hex", "raw", "columns"])
def test_every_value_of_a_mariadb_dump_is_read_as_the_server_has_it(name, chunk, monkeypatch):
    monkeypatch.setattr(sql_dump, "CHUNK_BYTES", chunk)
    tables = sql_dump.read_tables(str(DATA / f"mariadb-{name}.sql.gz"), ("Branch", "Repo"), ("Branch", "Repo"))
    assert [row["repo_id"] for row in tables["Repo"]] == ["r1", "r2"]
    expected = json.loads((DATA / "mariadb-rows.json").read_text(encoding="utf-8"))
    assert len(tables["Branch"]) == len(expected) == 5
    for want, got in zip(expected, tables["Branch"]):
        for column in ("name", "repo_id"):
            assert got[column] == (None if want[column] is None else base64.b64decode(want[column]).decode("utf-8"))
        blob = got["commit_id"]
        blob = blob.encode("utf-8", "surrogateescape") if isinstance(blob, str) else blob
        assert blob == (None if want["commit_id"] is None else bytes.fromhex(want["commit_id"]))
        assert (got["id"], got["e"]) == (want["id"], want["e"])
        for column in ("n", "f"):
            assert (None if got[column] is None else float(got[column])) == want[column]


@pytest.mark.parametrize("chunk", [1, 7, 256 * 1024])
def test_every_value_of_the_sqlite_programs_dump_is_read(chunk, monkeypatch):
    monkeypatch.setattr(sql_dump, "CHUNK_BYTES", chunk)
    tables = sql_dump.read_tables(str(DATA / "sqlite3-program.sql.gz"), ("Branch", "Repo"), ("Branch", "Repo"))
    assert [row["repo_id"] for row in tables["Repo"]] == ["r1", "r2"]
    rows = [tuple(float(value) if column == "n" and value is not None else value for column, value in row.items()) for row in tables["Branch"]]
    assert list(tables["Branch"][0]) == ["na me", "repo_id", "commit_id", "n", "key"]
    assert rows == [
        ("plain", "a", b"\x00\xff''\\", -12.5, -7),
        ("line\ntwo\r\nback\\nslash \\r", "it's", None, float("inf"), 9223372036854775807),
        ("emoji \U0001f600 \"d\" `t` ; -- no /* nor */ \\", "c", b"", None, None),
        ("INSERT INTO Branch VALUES(1);\nCOMMIT;\n", "d", b"\x01", 1e-300, 0),
    ]


def test_every_value_of_pythons_iterdump_is_read(tmp_path):
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE Repo (a TEXT, b BLOB, c INTEGER, d REAL)")
    rows = [("it's\n;'", b"\x00'", -1, 0.5), (None, None, 2 ** 62, -1e-9), ("\\", b"", 0, 3.0)]
    connection.executemany("INSERT INTO Repo VALUES (?, ?, ?, ?)", rows)
    got = read(tmp_path, "\n".join(connection.iterdump()) + "\n")["Repo"]
    assert [(row["a"], row["b"], row["c"], None if row["d"] is None else float(row["d"])) for row in got] == rows


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_every_value_of_this_collections_own_dump_is_read(tmp_path, encoding):
    connection = sqlite3.connect(":memory:")
    connection.execute(f"PRAGMA encoding = '{encoding}'")
    connection.execute("CREATE TABLE Repo (a TEXT, b BLOB, c INTEGER, d REAL)")
    rows = [
        ("it's\n;'\\n\r\0end", b"\x00'", -1, 0.1), (None, None, -2 ** 63, -1e-300), ("\U0001f600", b"", 2 ** 63 - 1, 1e300), ("", b"x", 0, float("inf")),
        ("a\nb", b"", 1, 2.0 / 3), ("", None, 2, -0.5),
    ]
    connection.executemany("INSERT INTO Repo VALUES (?, ?, ?, ?)", rows)
    path = tmp_path / "dump.sql"
    path.write_bytes(b"".join(sqlite_dump_text.statements(connection, "seafile.db", "delete", {})))
    got = sql_dump.read_tables(str(path), ("Repo",))["Repo"]
    assert [(row["a"], row["b"], row["c"], None if row["d"] is None else float(row["d"])) for row in got] == rows


@pytest.mark.parametrize(
    "expression, value",
    [
        ("unistr('a\\u000ab\\\\c\\+01F600')", "a\nb\\c\U0001f600"),
        ("CAST(X'610062' AS TEXT)", "a\0b"),
        ("'a'||char(10)||'b'", "a\nb"),
        ("-9.0e+999", float("-inf")),
    ],
)
def test_the_forms_that_sqlite_writes_around_a_text_are_understood(tmp_path, expression, value):
    assert read(tmp_path, SQLITE % f"INSERT INTO \"Repo\" VALUES(1,{expression});")["Repo"] == [{"a": 1, "b": value}]


def test_a_column_list_goes_before_the_tables_order(tmp_path):
    assert read(tmp_path, MYSQL % "INSERT INTO `Repo` (`b`, `a`) VALUES ('x',1);")["Repo"] == [{"a": 1, "b": "x"}]


@pytest.mark.parametrize("name", ["mariadb-hex.sql.gz", "mariadb-columns.sql.gz", "sqlite3-program.sql.gz"])
def test_a_dump_cut_anywhere_is_refused(tmp_path, name):
    text = gzip.decompress((DATA / name).read_bytes())
    path = tmp_path / "dump.sql"
    trailer = text.rstrip().rfind(b"-- Dump completed") + len("-- Dump completed") if b"-- Dump completed on" in text else len(text.rstrip())
    for length in range(0, trailer, 19):
        path.write_bytes(text[:length])
        assert code_of(sql_dump.read_tables, str(path), ("Branch", "Repo")) == "dump-damaged", length


def test_a_zstd_dump_is_read_as_the_gzip_one(tmp_path, monkeypatch):
    path = tmp_path / "dump.sql.zst"
    path.write_bytes(pack("zstd", gzip.decompress((DATA / "mariadb-hex.sql.gz").read_bytes())))
    for chunk in (7, 256 * 1024):
        monkeypatch.setattr(sql_dump, "CHUNK_BYTES", chunk)
        tables = sql_dump.read_tables(str(path), ("Branch", "Repo"), ("Branch", "Repo"))
        assert tables == sql_dump.read_tables(str(DATA / "mariadb-hex.sql.gz"), ("Branch", "Repo"))
    path.write_bytes(path.read_bytes() + b"garbage")
    assert code_of(sql_dump.read_tables, str(path), ("Branch",)) == "dump-damaged"
    path.write_bytes((DATA / "mariadb-hex.sql.gz").read_bytes())
    assert code_of(sql_dump.read_tables, str(path), ("Branch",)) == "dump-damaged"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(compression, "PLACES", ())
    assert code_of(sql_dump.read_tables, str(path), ("Branch",)) == "missing-tool"


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_compressed_dump_cut_anywhere_is_refused(tmp_path, kind):
    packed = pack(kind, (MYSQL % "INSERT INTO `Repo` VALUES (1,'one'),(2,'two');").encode("ascii"))
    path = tmp_path / f"dump{KINDS[kind]}"
    for length in range(len(packed)):
        path.write_bytes(packed[:length])
        assert code_of(sql_dump.read_tables, str(path), ("Repo",)) == "dump-damaged", length
    path.write_bytes(packed)
    assert len(sql_dump.read_tables(str(path), ("Repo",))["Repo"]) == 2
    packed = pack(kind, gzip.decompress((DATA / "mariadb-hex.sql.gz").read_bytes()))
    for length in range(0, len(packed), 37 if kind == "gzip" else 301):
        path.write_bytes(packed[:length])
        assert code_of(sql_dump.read_tables, str(path), ("Branch", "Repo")) == "dump-damaged", length


def test_a_gzip_with_a_flipped_bit_is_refused_or_read_without_harm(tmp_path):
    packed = (DATA / "mariadb-hex.sql.gz").read_bytes()
    whole = sql_dump.read_tables(str(DATA / "mariadb-hex.sql.gz"), ("Branch", "Repo"))
    path = tmp_path / "dump.sql.gz"
    refused = 0
    for at in range(2, len(packed), 13):  # the first two bytes say that it is gzip
        path.write_bytes(packed[:at] + bytes([packed[at] ^ 4]) + packed[at + 1:])
        try:
            assert sql_dump.read_tables(str(path), ("Branch", "Repo")) == whole
        except SeafileError as error:
            assert error.code == "dump-damaged"
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n \n",
        "hello\n",
        "\x00\x01\x02",
        SQLITE.replace("COMMIT;", "ROLLBACK; -- due to errors") % "",
        SQLITE % "INSERT INTO Repo VALUES(1);",
        SQLITE % "INSERT INTO Repo VALUES(1,2,3);",
        SQLITE % "INSERT INTO Repo VALUES(1,load_extension('x'));",
        SQLITE % ("INSERT INTO Repo VALUES(1," + "replace(" * 60 + "1" + ",'','')" * 60 + ");"),
        SQLITE % "INSERT INTO Repo VALUES(1,X'123');",
        SQLITE % f"INSERT INTO Repo VALUES(1,{'9' * 5000}.{'9' * 5000}e99999999999999999999);",
        SQLITE % "INSERT INTO Repo VALUES(1,unistr('\\UFFFFFFFF'));",
        SQLITE % "INSERT INTO Repo VALUES(1,'a'*2);",
        SQLITE % ("INSERT INTO Repo VALUES(1," + "(" * 5000 + "1" + ")" * 5000 + ");"),
        "PRAGMA encoding='UTF-16le';\n" + SQLITE % "INSERT INTO Repo VALUES(1,CAST(X'00' AS TEXT));",
        SQLITE.replace("CREATE TABLE Repo(a,b);", "") % "INSERT INTO Repo VALUES(1,2);",
        MYSQL % "INSERT INTO `Repo` VALUES (1,'Dump completed",
        MYSQL.replace("-- Dump completed", "-- Dump failed") % "",
        (MYSQL % "") + "INSERT INTO `Repo` VALUES (1,'more');\n",
    ],
    ids=[str(number) for number in range(19)],
)
def test_what_is_no_complete_dump_is_refused_with_a_code(tmp_path, text):
    assert code_of(read, tmp_path, text) == "dump-damaged"


def test_a_file_that_is_not_there_is_refused_and_not_created(tmp_path):
    assert code_of(sql_dump.read_tables, str(tmp_path / "none.sql.gz"), ("Repo",)) == "dump-missing"
    assert code_of(sql_dump.read_tables, str(tmp_path), ("Repo",)) == "dump-missing"
    assert not list(tmp_path.iterdir())


def test_the_dump_of_another_database_is_refused(tmp_path):
    with pytest.raises(SeafileError) as caught:
        read(tmp_path, SQLITE % "", required=("Repo", "Branch"))
    assert caught.value.code == "dump-wrong-database"
    assert "Branch" in caught.value.message


def test_memory_does_not_grow_with_the_dump(tmp_path):
    path = tmp_path / "dump.sql.gz"
    row = "INSERT INTO `Other` VALUES " + ",".join("(1,'it\\'s; %s')" % ("x" * 1000) for dummy in range(200)) + ";\n"
    with gzip.open(path, "wt", compresslevel=1) as stream:
        stream.write("-- MariaDB dump 10.19\nCREATE TABLE `Repo` (`a` int, `b` text);\n")
        for dummy in range(60):
            stream.write(row)
        stream.write("INSERT INTO `Repo` VALUES (1,'x');\n-- Dump completed\n")
    tracemalloc.start()
    assert sql_dump.read_tables(str(path), ("Repo",))["Repo"] == [{"a": 1, "b": "x"}]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 1024 * 1024  # of 12 MB
