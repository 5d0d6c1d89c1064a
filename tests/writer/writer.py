# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write into a Seafile deployment with MariaDB as its server does, without a pause, until it is stopped.

Each write makes one new version of one file: block, file object, directory objects and last the commit, each beside its
name and renamed, only the commit flushed to disk; then one transaction moves the library's head (``Branch``) and raises a
counter in all three databases. After the server has acknowledged the transaction, one line goes to the record. So every
line of the record is a write that a user was told of, and a moment in between any two of them is seen as three equal
counters and as heads that are the last ones up to that counter.

    writer.py --haiwen /opt/haiwen --seafile seafile-db --ccnet ccnet-db --seahub seahub-db --record FILE [--rate 50] LIBRARY...

SIGTERM ends it after the write at hand. It runs on the server itself as root (the database's root through its socket), and
gives what it writes to the owner of the object store. Standard library and the client ``mariadb`` or ``mysql`` only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib

ZERO = "0" * 40
COUNTER = "seafleet_counter"
DIRECTORY, FILE = 0o040000, 0o100644
NAMES = 25
"""So many file names a library: from then on a write replaces the content of an earlier one, and the history grows."""


class Database:
    """One connection to the server, held by the stock client; every statement is answered before the next one is sent."""

    def __init__(self):
        client = shutil.which("mariadb") or shutil.which("mysql")
        argv = [client, "--batch", "--skip-column-names", "--unbuffered", "--raw", "--default-character-set=utf8mb4"]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.asked = 0

    def ask(self, statements):
        """Run I(statements) and return the rows they gave, as lists of texts. The client ends at the first error."""
        self.asked += 1
        end = f"answer {self.asked}"
        self.process.stdin.write(f"{statements};\nSELECT '{end}';\n".encode())
        self.process.stdin.flush()
        rows = []
        while True:
            line = self.process.stdout.readline().decode()
            if not line:
                raise SystemExit(f"the database client ended at: {statements}")
            if line.rstrip("\n") == end:
                return rows
            rows.append(line.rstrip("\n").split("\t"))


class Store:
    """The object store, written as seaf-server does (facts: an object is written beside its name and renamed)."""

    def __init__(self, storage):
        self.storage = storage
        owner = os.stat(os.path.join(storage, "commits"))
        self.uid, self.gid = owner.st_uid, owner.st_gid

    def read(self, kind, library, name):
        with open(os.path.join(self.storage, kind, library, name[:2], name[2:]), "rb") as stream:
            return stream.read()

    def write(self, kind, library, name, content, flush=False):
        folder = os.path.join(self.storage, kind, library, name[:2])
        path = os.path.join(folder, name[2:])
        if os.path.exists(path):
            return
        for directory in (os.path.dirname(folder), folder):
            if not os.path.isdir(directory):
                os.mkdir(directory, 0o755)
                os.chown(directory, self.uid, self.gid)
        beside = f"{path}.{random.randrange(10 ** 6):06d}"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            os.fchown(stream.fileno(), self.uid, self.gid)
            stream.flush()
            if flush:
                os.fsync(stream.fileno())
        os.rename(beside, path)

    def write_fs(self, library, value):
        """Store a file or directory object and return its id: the SHA-1 of the plain JSON."""
        plain = json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
        name = hashlib.sha1(plain).hexdigest()
        self.write("fs", library, name, zlib.compress(plain))
        return name

    def read_directory(self, library, name):
        return {"dirents": [], "type": 3, "version": 1} if name == ZERO else json.loads(zlib.decompress(self.read("fs", library, name)))


def commit_id(commit, go):
    """The id of a commit by the rule of the C server, or by that of the Go file server (facts, chapter 1)."""
    end = b"" if go else b"\0"
    texts = [commit["root_id"], commit["creator"], commit["creator_name"], commit["description"]]
    return hashlib.sha1(b"".join(text.encode() + end for text in texts) + struct.pack(">q", commit["ctime"])).hexdigest()


def with_entry(directory, entry):
    """Return the directory object I(directory) with I(entry) in place of one of the same name; seaf-server sorts backwards."""
    entries = [other for other in directory["dirents"] if other["name"] != entry["name"]] + [entry]
    return dict(directory, dirents=sorted(entries, key=lambda item: item["name"].encode(), reverse=True))


def write_once(store, library, head, number):
    """Store one new version of one file and its commit; return (commit id, path, SHA-256, size)."""
    before = json.loads(store.read("commits", library, head))
    content = f"write {number} into {library}\n".encode() + random.Random(number).randbytes(1000 + number * 37 % 9000)
    now = int(time.time())
    block = hashlib.sha1(content).hexdigest()
    store.write("blocks", library, block, content)
    file = store.write_fs(library, {"block_ids": [block], "size": len(content), "type": 1, "version": 1})
    name = f"{number % NAMES:02d}.txt"
    root = store.read_directory(library, before["root_id"])
    folder = next((entry["id"] for entry in root["dirents"] if entry["name"] == "written"), ZERO)
    inner = with_entry(store.read_directory(library, folder), {
        "id": file, "mode": FILE, "modifier": "writer@example.org", "mtime": now, "name": name, "size": len(content)})
    root = with_entry(root, {"id": store.write_fs(library, inner), "mode": DIRECTORY, "mtime": now, "name": "written"})
    commit = dict(
        before, root_id=store.write_fs(library, root), creator="0" * 40, creator_name="writer@example.org", ctime=now,
        description=f'Modified "{name}" ({number})', parent_id=head, second_parent_id=None)
    commit["commit_id"] = commit_id(commit, go=number % 2 == 1)
    # the commit last, and it alone flushed: what the server promises when it answers the client
    store.write("commits", library, commit["commit_id"], json.dumps(commit).encode(), flush=True)
    return commit["commit_id"], f"/written/{name}", hashlib.sha256(content).hexdigest(), len(content)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--haiwen", required=True)
    for role in ("seafile", "ccnet", "seahub"):
        parser.add_argument(f"--{role}", required=True, help=f"name of the {role} database")
    parser.add_argument("--record", required=True)
    parser.add_argument("--rate", type=float, default=50, help="writes a second, at most")
    parser.add_argument("libraries", nargs="+", metavar="LIBRARY")
    options = parser.parse_args()
    stopped = []
    signal.signal(signal.SIGTERM, lambda *dummy: stopped.append(True))
    store = Store(os.path.join(options.haiwen, "seafile-data", "storage"))
    database = Database()
    names = (options.seafile, options.ccnet, options.seahub)
    for name in names:
        database.ask(f"CREATE TABLE IF NOT EXISTS `{name}`.{COUNTER} (n BIGINT NOT NULL) ENGINE=InnoDB")
        database.ask(f"INSERT INTO `{name}`.{COUNTER} SELECT 0 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `{name}`.{COUNTER})")
    raise_counters = "; ".join(f"UPDATE `{name}`.{COUNTER} SET n = {{number}}" for name in names)
    heads = {}
    for library in options.libraries:
        heads[library] = database.ask(f"SELECT commit_id FROM `{options.seafile}`.Branch WHERE repo_id = '{library}' AND name = 'master'")[0][0]
    number = int(database.ask(f"SELECT n FROM `{options.seafile}`.{COUNTER}")[0][0])
    with open(options.record, "a", encoding="ascii") as record:
        while not stopped:
            began = time.monotonic()
            number += 1
            library = options.libraries[number % len(options.libraries)]
            commit, path, sha256, size = write_once(store, library, heads[library], number)
            moved = database.ask(
                "START TRANSACTION; "
                f"UPDATE `{options.seafile}`.Branch SET commit_id = '{commit}' "
                f"WHERE repo_id = '{library}' AND name = 'master' AND commit_id = '{heads[library]}'; "
                f"SELECT ROW_COUNT(); {raise_counters.format(number=number)}; COMMIT")
            if moved != [["1"]]:
                raise SystemExit(f"somebody else moved the head of {library}")
            heads[library] = commit
            record.write(json.dumps({
                "number": number, "library": library, "commit": commit, "path": path, "sha256": sha256, "size": size, "time": time.time()}) + "\n")
            record.flush()
            time.sleep(max(0.0, 1 / options.rate - (time.monotonic() - began)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
