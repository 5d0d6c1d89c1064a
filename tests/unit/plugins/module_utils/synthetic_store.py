# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes object stores of any size and shape in Seafile's format, with right ids, for tests and measurements."""

from __future__ import annotations

import hashlib
import json
import os
import random
import struct
import zlib

ZERO = "0" * 40


class Maker:
    """Writes objects below I(root) and collects the database's rows in I(tables)."""

    def __init__(self, root, seed=1):
        self.root = str(root)
        self.random = random.Random(seed)
        self.count = {"commits": 0, "fs": 0, "blocks": 0}
        self.tables = {name: [] for name in (
            "Branch", "Repo", "RepoHistoryLimit", "RepoInfo", "RepoOwner", "RepoTrash", "RepoValidSince", "SeafileConf", "VirtualRepo")}
        os.makedirs(os.path.join(self.root, "commits"), exist_ok=True)

    def library_id(self):
        digits = f"{self.random.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def path(self, kind, store, object_id):
        return os.path.join(self.root, kind, store, object_id[:2], object_id[2:])

    def write(self, kind, store, object_id, content):
        path = self.path(kind, store, object_id)
        if not os.path.exists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(content)
            self.count[kind] += 1
        return object_id

    def block(self, store, content):
        return self.write("blocks", store, hashlib.sha1(content).hexdigest(), content)

    def fs(self, store, document):
        plain = json.dumps(document, sort_keys=True).encode()
        return self.write("fs", store, hashlib.sha1(plain).hexdigest(), zlib.compress(plain, 1))

    def file(self, store, *contents):
        blocks = [self.block(store, content) for content in contents]
        return self.fs(store, {"block_ids": blocks, "size": sum(map(len, contents)), "type": 1, "version": 1})

    def directory(self, store, files=None, directories=None):
        dirents = [{"id": key, "mode": 33188, "modifier": "a@example.org", "mtime": 1, "name": name, "size": 1} for name, key in sorted((files or {}).items())]
        dirents += [{"id": key, "mode": 16384, "mtime": 1, "name": name} for name, key in sorted((directories or {}).items())]
        return self.fs(store, {"dirents": dirents, "type": 3, "version": 1})

    def commit(self, library, root, parent=None, second=None, ctime=1000, name="Library", **more):
        creator, description = ZERO, f"commit {self.random.getrandbits(64)}"
        digest = hashlib.sha1(b"".join(text.encode() + b"\0" for text in (root, creator, description)) + struct.pack(">q", ctime)).hexdigest()
        document = dict(
            {"commit_id": digest, "root_id": root, "repo_id": library, "creator": creator, "description": description, "ctime": ctime,
             "parent_id": parent, "second_parent_id": second, "repo_name": name, "version": 1}, **more)
        document = {key: value for key, value in document.items() if value != "absent"}
        return self.write("commits", library, digest, json.dumps(document).encode())

    def library(self, head, library, name="Library", days=None, valid_since=None):
        self.tables["Repo"].append({"repo_id": library})
        self.tables["Branch"].append({"name": "master", "repo_id": library, "commit_id": head})
        self.tables["RepoInfo"].append({"repo_id": library, "name": name})
        self.tables["RepoOwner"].append({"repo_id": library, "owner_id": "a@example.org"})
        if days is not None:
            self.tables["RepoHistoryLimit"].append({"repo_id": library, "days": days})
        if valid_since is not None:
            self.tables["RepoValidSince"].append({"repo_id": library, "timestamp": valid_since})

    def dump(self, path):
        """Write the rows as a SQLite dump."""
        with open(path, "w", encoding="utf-8") as stream:
            stream.write("BEGIN TRANSACTION;\n")
            for table in ("Branch", "Repo"):
                columns = list(self.tables[table][0]) if self.tables[table] else ["repo_id"]
                stream.write(f"CREATE TABLE {table} ({', '.join(columns)});\n")
                for row in self.tables[table]:
                    stream.write(f"INSERT INTO \"{table}\" VALUES({', '.join(repr(value) for value in row.values())});\n")
            stream.write("COMMIT;\n")


def fill(maker, objects, libraries=20):
    """Write about I(objects) objects in I(libraries) libraries: directories of 50 files, one or two blocks a file, a commit a directory."""
    for number in range(libraries):
        store = maker.library_id()
        directories, parent = {}, None
        while sum(maker.count.values()) < objects * (number + 1) // libraries:
            files = {}
            for index in range(50):
                contents = [maker.random.getrandbits(256).to_bytes(32, "big") for dummy in range(1 + index % 2)]
                files[f"file-{index}.bin"] = maker.file(store, *contents)
            directories[f"directory-{len(directories)}"] = maker.directory(store, files)
            parent = maker.commit(store, maker.directory(store, {}, directories), parent, name=f"Library {number}")
        if parent:
            maker.library(parent, store, f"Library {number}")
