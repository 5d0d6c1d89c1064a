# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQLite databases in the states that unit tests need: open in another process, crashed, locked, damaged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import subprocess
import sys


def database(path, rows=20, script=""):
    """Make a database with the table t of I(rows) rows and an index, and run I(script)."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA synchronous=OFF; CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, data BLOB); CREATE INDEX t_name ON t(name);")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO t(name, data) VALUES(?, ?)", [(f"name {number:06}", os.urandom(300)) for number in range(rows)])
    connection.execute("COMMIT")
    connection.executescript(script)
    connection.close()
    return str(path)


def rows(path):
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT count(*), sum(length(data)) FROM t").fetchone()
    finally:
        connection.close()


@contextlib.contextmanager
def other_process(path, *statements):
    """Hold the database I(path) open in another process that has executed I(statements); yield its pid."""
    code = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    code += "for s in sys.argv[2:]: c.execute(s).fetchall()\nprint('ready', flush=True)\nsys.stdin.read()\n"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)] + list(statements), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def crash(path, *statements):
    """Execute I(statements) on the database I(path) in a process that dies before it can tidy up."""
    code = "import os, sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\nfor s in sys.argv[2:]: c.execute(s).fetchall()\nos._exit(9)\n"
    assert subprocess.run([sys.executable, "-c", code, str(path)] + list(statements), check=False).returncode == 9


def with_hot_journal(path):
    """Make a database whose last transaction was cut by a crash after some of its pages were written."""
    database(path, rows=200)
    crash(path, "PRAGMA cache_size=5", "BEGIN", "UPDATE t SET data = zeroblob(900)", "DELETE FROM t WHERE id < 100")
    assert os.path.getsize(path + "-journal") > 0
    return str(path)


def with_crashed_wal(path):
    """Make a database in WAL mode whose last committed rows are in the WAL only, and that nobody has open."""
    database(path, rows=20)
    crash(path, "PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=0", "INSERT INTO t(name, data) VALUES('in the WAL', zeroblob(10))")
    assert os.path.getsize(path + "-wal") > 0
    return str(path)


def damaged(path, table="t"):
    """Make a database with a page of I(table) (a table or an index) overwritten."""
    database(path, rows=400)
    connection = sqlite3.connect(path)
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    connection.close()
    with open(path, "r+b") as stream:
        # the root page's first cell tells a child page
        stream.seek((root - 1) * size)
        page = stream.read(size)
        cell = int.from_bytes(page[12:14], "big")
        child = int.from_bytes(page[cell:cell + 4], "big")
        stream.seek((child - 1) * size)
        stream.write(b"\xa5" * size)
    return str(path)


def state(directory):
    """Everything about the files in I(directory): content, size, inode, times, modes."""
    result = {}
    for top, unused, files in os.walk(directory):
        for name in files:
            path = os.path.join(top, name)
            status = os.lstat(path)
            if os.path.islink(path):
                result[os.path.relpath(path, directory)] = (os.readlink(path), status.st_ino)
                continue
            with open(path, "rb") as stream:
                result[os.path.relpath(path, directory)] = (
                    hashlib.sha256(stream.read()).hexdigest(), status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode, status.st_uid)
    return result


def deployment(root, paths=("seafile-data/seafile.db", "ccnet/PeerMgr/usermgr.db", "ccnet/GroupMgr/groupmgr.db", "seahub.db")):
    """Make a small deployment with SQLite databases; return its path."""
    for name, content in {"conf/seafile.conf": "[fileserver]\nport = 8082\n", "conf/ccnet.conf": "[General]\nSERVICE_URL = http://files.example.org\n",
                          "seafile-data/storage/commits/010dbf6c-aa5a-416e-a642-840336b5c3af/89/x": "", "seafile-data/storage/fs/x": "",
                          "seafile-data/storage/blocks/x": ""}.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(content)
    for path in paths:
        database(os.path.join(root, path))
    os.symlink("seafile-server-11.0.13", os.path.join(root, "seafile-server-latest"))
    return str(root)
