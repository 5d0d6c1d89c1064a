# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dump's text brings back is what was there, bit by bit; and a text that is not whole is refused."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import compression, sqlite_dump_text, sqlite_files
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import sqlite_makers as makers


def write_dump(path, dump, journal_mode="delete"):
    connection = sqlite_files.connect(path, "ro")
    rows = {}
    writer = sqlite_dump_text.DumpWriter(dump, compression.ZSTD if dump.endswith(".zst") else compression.GZIP, 1)
    try:
        writer.dump(sqlite_dump_text.statements(connection, os.path.basename(path), journal_mode, rows))
    finally:
        writer.close()
        connection.close()
    return writer, rows


def replay(dump, path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    try:
        sqlite_dump_text.replay(dump, connection)
        assert not connection.in_transaction
    finally:
        connection.close()


def bits(value):
    return ("real", struct.pack(">d", value)) if isinstance(value, float) else (type(value).__name__, value)


def content(path):
    """Every row of every table with types and bits, and everything else a database knows about itself."""
    connection = sqlite3.connect(path)
    connection.text_factory = sqlite_dump_text._Text
    try:
        schema = sorted(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'").fetchall(), key=repr)
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("encoding", "page_size", "auto_vacuum", "user_version", "application_id")]
        tables = {}
        for kind, name, unused, sql in schema:
            if kind == b"table":
                table = sqlite_files.quote_name(name.decode())
                tables[name] = [[bits(value) for value in row] for row in connection.execute(f"SELECT * FROM {table} NOT INDEXED")]
        return schema, pragmas, tables
    finally:
        connection.close()


def random_value(chance):
    kind = chance.randrange(9)
    if kind == 0:
        return None
    if kind == 1:
        return chance.choice([0, 1, -1, 2 ** 63 - 1, -2 ** 63, 2 ** 53 + 1, chance.getrandbits(63), -chance.getrandbits(63)])
    if kind in (2, 3):
        value = struct.unpack(">d", struct.pack(">Q", chance.getrandbits(64)))[0]
        plain = [0.1, -0.1, 1e22, 1e23, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, math.inf, -math.inf, 0.0, -0.0, 1e15, 123456.75,
                 9007199254740993.0, chance.random(), chance.uniform(-1e6, 1e6)]
        return chance.choice(plain) if math.isnan(value) or kind == 3 else value
    if kind == 4:
        return bytes(chance.getrandbits(8) for unused in range(chance.randrange(40)))
    alphabet = ["a", "Ω", "😀", "'", '"', "\n", "\\n", "\\", "\r", "\0", ";", "--", "/*", "\t", "$", "%", "\x1b", "\u2028"]
    return "".join(chance.choice(alphabet) for unused in range(chance.randrange(12)))


SCHEMA = """
CREATE TABLE "odd ""name"" ; 'x'" ("a b" , "select" TEXT, c REAL, d BLOB, e NUMERIC, f INTEGER);
CREATE TABLE keyed(k TEXT, n INTEGER, v, PRIMARY KEY(k, n)) WITHOUT ROWID;
CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, v);
CREATE TABLE made(a INTEGER, b AS (a * 2) STORED, c TEXT AS (a || 'x'), d);
CREATE TABLE logged(x);
CREATE UNIQUE INDEX counted_v ON counted(id, v);
CREATE INDEX part ON counted(v) WHERE id > 5;
CREATE VIEW seen AS SELECT id, v -- a comment; with semicolon
  FROM counted;
CREATE TRIGGER t1 AFTER INSERT ON counted BEGIN INSERT INTO logged VALUES('fired;
'); UPDATE keyed SET v = 1 WHERE 0; END;
CREATE TRIGGER t2 INSTEAD OF INSERT ON seen BEGIN SELECT 1; END;
"""


def random_database(path, seed, first=""):
    chance = random.Random(seed)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA synchronous=OFF;" + first + SCHEMA)
    connection.execute("BEGIN")
    connection.execute("PRAGMA recursive_triggers=OFF")
    for number in range(60):
        connection.execute("""INSERT INTO "odd ""name"" ; 'x'" VALUES(?,?,?,?,?,?)""", [random_value(chance) for unused in range(6)])
        connection.execute("INSERT INTO keyed VALUES(?,?,?)", [f"{chance.random()}\n{number}", number, random_value(chance)])
        connection.execute("INSERT INTO counted(v) VALUES(?)", [random_value(chance)])
        connection.execute("INSERT INTO made(a, d) VALUES(?,?)", [chance.randrange(1000), random_value(chance)])
    connection.execute("INSERT INTO counted(v) VALUES(CAST(X'ff41fe00c3' AS TEXT))")
    connection.execute("DELETE FROM counted WHERE id > 50")
    connection.execute("COMMIT")
    connection.executescript("PRAGMA user_version=42; PRAGMA application_id=4711;")
    connection.close()


@pytest.mark.parametrize("seed, first", [
    (1, ""), (2, ""), (3, "PRAGMA page_size=512; PRAGMA auto_vacuum=2;"), (4, ""), (5, "PRAGMA page_size=65536;"),
    (6, "PRAGMA encoding='UTF-16le';"), (7, "PRAGMA encoding='UTF-16be';"),
])
def test_a_random_database_comes_back_bit_by_bit(seed, first, tmp_path):
    random_database(tmp_path / "a.db", seed, first)
    writer, rows = write_dump(str(tmp_path / "a.db"), str(tmp_path / "dump"))
    digest = sqlite_dump_text.verify(str(tmp_path / "dump"), "a.db", writer.sha256)
    replay(str(tmp_path / "dump"), tmp_path / "b.db")
    assert content(tmp_path / "b.db") == content(tmp_path / "a.db")
    assert rows["counted"] == 50 and rows["odd \"name\" ; 'x'"] == 60
    # and the text of what came back is the same text
    again = sqlite_files.connect(str(tmp_path / "b.db"), "ro")
    try:
        assert sqlite_dump_text.text_digest(sqlite_dump_text.statements(again, "another name", "delete", {})) == digest
        assert sqlite_dump_text.count_rows(again) == rows
    finally:
        again.close()


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the program sqlite3 is not installed")
def test_the_stock_program_sqlite3_imports_the_same_text_by_hand(tmp_path):
    random_database(tmp_path / "a.db", 8)
    write_dump(str(tmp_path / "a.db"), str(tmp_path / "dump"))
    answer = subprocess.run(["sqlite3", str(tmp_path / "b.db")], input=gzip.decompress((tmp_path / "dump").read_bytes()), stderr=subprocess.PIPE, check=False)
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert content(tmp_path / "b.db") == content(tmp_path / "a.db")


def test_statistics_and_wal_mode_come_back(tmp_path):
    makers.database(str(tmp_path / "a.db"), script="ANALYZE;")
    write_dump(str(tmp_path / "a.db"), str(tmp_path / "dump"), "wal")
    replay(str(tmp_path / "dump"), tmp_path / "b.db")
    connections = [sqlite3.connect(tmp_path / name) for name in ("a.db", "b.db")]
    statistics = [connection.execute("SELECT * FROM sqlite_stat1").fetchall() for connection in connections]
    assert statistics[0] == statistics[1] != []
    assert connections[1].execute("PRAGMA journal_mode").fetchone() == ("wal",)
    for connection in connections:
        connection.close()


def test_every_row_is_one_line_whatever_it_holds(tmp_path):
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("CREATE TABLE t(a)")
    connection.executemany("INSERT INTO t VALUES(?)", [("one\ntwo;\n",), ("\\n and\n",), ("\r\n",), ("');\nDROP TABLE t;\n",), ("x\0\n",)])
    connection.commit()
    connection.close()
    write_dump(str(tmp_path / "a.db"), str(tmp_path / "dump"))
    lines = gzip.decompress((tmp_path / "dump").read_bytes()).split(b"\n")
    inserts = [line for line in lines if line.startswith(b"INSERT")]
    assert len(inserts) == 5 and all(line.endswith(b");") for line in inserts)
    assert not any(b"\r" in line or b"\0" in line for line in lines)


def test_the_same_database_gives_the_same_bytes(tmp_path):
    makers.database(str(tmp_path / "a.db"))
    first, unused = write_dump(str(tmp_path / "a.db"), str(tmp_path / "one"))
    second, unused = write_dump(str(tmp_path / "a.db"), str(tmp_path / "two"))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert first.sha256 == second.sha256 == hashlib.sha256((tmp_path / "one").read_bytes()).hexdigest()
    assert first.bytes == (tmp_path / "one").stat().st_size
    assert first.uncompressed_bytes == len(gzip.decompress((tmp_path / "one").read_bytes()))


def test_a_virtual_table_is_refused_by_name(tmp_path):
    connection = sqlite3.connect(tmp_path / "a.db")
    try:
        connection.execute("CREATE VIRTUAL TABLE words USING fts4(body)")
    except sqlite3.OperationalError:
        pytest.skip("this SQLite has no virtual tables")
    connection.close()
    with pytest.raises(SeafileError) as failure:
        write_dump(str(tmp_path / "a.db"), str(tmp_path / "dump"))
    assert failure.value.code == "sqlite-not-text" and "words" in failure.value.message


def stored(path, text):
    path.write_bytes(gzip.compress(text))
    return str(path), hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("text", [
    b"-- x\nBEGIN TRANSACTION;\nCREATE TABLE t(a);\nROLLBACK; -- due to errors\n",
    b"-- x\nBEGIN TRANSACTION;\nCREATE TABLE t(a);\n",
    b"-- x\nBEGIN TRANSACTION;\nINSERT INTO t VALUES('COMMIT;')",
    b"",
])
def test_a_dump_without_commit_as_its_last_statement_is_refused(text, tmp_path):
    path, sha256 = stored(tmp_path / "dump", text)
    with pytest.raises(SeafileError) as failure:
        sqlite_dump_text.verify(path, "seahub.db", sha256)
    assert failure.value.code == "dump-damaged" and "seahub.db" in failure.value.message


@pytest.mark.parametrize("name", ["a.db.sql.gz", "a.db.sql.zst"])
def test_a_dump_cut_edited_or_missing_is_refused(tmp_path, name):
    makers.database(str(tmp_path / "a.db"))
    writer, unused = write_dump(str(tmp_path / "a.db"), str(tmp_path / name))
    whole = (tmp_path / name).read_bytes()
    for damaged in (whole[:-1], whole[:100], b"", whole[:50] + b"\0" + whole[51:], whole + b"garbage", b"plain text\nCOMMIT;\n"):
        (tmp_path / name).write_bytes(damaged)
        for sha256 in (writer.sha256, hashlib.sha256(damaged).hexdigest()):
            with pytest.raises(SeafileError) as failure:
                sqlite_dump_text.verify(str(tmp_path / name), "a.db", sha256)
            assert failure.value.code == "dump-damaged"
    (tmp_path / name).unlink()
    with pytest.raises(SeafileError, match="missing"):
        sqlite_dump_text.verify(str(tmp_path / name), "a.db", writer.sha256)


def test_a_dump_cannot_reach_another_file(tmp_path):
    path, unused = stored(tmp_path / "dump", f"ATTACH '{tmp_path}/stolen.db' AS other;\n".encode())
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with pytest.raises(sqlite3.DatabaseError, match="authorized"):
        sqlite_dump_text.replay(path, connection)
    connection.close()
    assert not (tmp_path / "stolen.db").exists()


def test_a_large_table_is_written_and_read_in_little_memory(tmp_path):
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("CREATE TABLE t(a)")
    connection.executemany("INSERT INTO t VALUES(?)", (("x" * 2000,) for unused in range(50000)))
    connection.commit()
    connection.close()
    code = ("import resource, sys\nfrom ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import test_sqlite_dump_text as tests\n"
            "base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "tests.write_dump(sys.argv[1], sys.argv[2])\ntests.replay(sys.argv[2], sys.argv[3])\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)\n")
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(entry for entry in sys.path if entry))
    answer = subprocess.run([sys.executable, "-c", code] + [str(tmp_path / name) for name in ("a.db", "dump", "b.db")],
                            stdout=subprocess.PIPE, env=environment, check=True)
    assert int(answer.stdout) < 40000  # KiB; the table holds 100 MB
