# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of libraries with their history, their objects in Seafile's formats, and what must be found of a damage.

Nothing here reads an object or uses the code under test: what is reachable follows from the model's own trees.

A tree is a dictionary of names: C(bytes) joined as a tuple are a file's blocks, a dictionary is a directory. An empty file or
directory has the zero id and no object.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import struct
import typing as t
import zlib

ZERO = "0" * 40
DAY = 24 * 3600
NOW = 20000 * DAY


# --- the formats --------------------------------------------------------------------------------------------------


def block(content):
    """C((id, bytes on disk)) of a block."""
    return hashlib.sha1(content).hexdigest(), content


def file_object(blocks, version, size, level=-1, **style):
    """C((id, bytes on disk)) of a file with the ids I(blocks)."""
    if version == 0:
        raw = b"".join(bytes.fromhex(key) for key in blocks)
        return hashlib.sha1(raw).hexdigest(), struct.pack(">IQ", 1, size) + raw
    return _json_object({"block_ids": list(blocks), "size": size, "type": 1, "version": version}, level, style)


def directory_object(entries, version, level=-1, **style):
    """C((id, bytes on disk)) of a directory with I(entries) C([(name, id, is_directory)])."""
    if version == 0:
        digest, content = hashlib.sha1(), struct.pack(">I", 3)
        for name, key, is_directory in entries:
            mode, raw = (0o040000 if is_directory else 0o100644), name.encode("utf-8", "surrogateescape")
            digest.update(key.encode("ascii") + raw + struct.pack("<I", mode))
            content += struct.pack(">I", mode) + key.encode("ascii") + struct.pack(">I", len(raw)) + raw
        return digest.hexdigest(), content
    dirents = []
    for name, key, is_directory in entries:
        entry = {"id": key, "mode": 16384 if is_directory else 33188, "mtime": 1700000000, "name": name}
        dirents.append(entry if is_directory else dict(entry, modifier="a@example.org", size=5))
    return _json_object({"dirents": dirents, "type": 3, "version": version}, level, style)


def _json_object(document, level, style):
    plain = json.dumps(document, **dict({"sort_keys": True, "ensure_ascii": False}, **style)).encode("utf-8", "surrogatepass")
    return hashlib.sha1(plain).hexdigest(), zlib.compress(plain, level)


def commit_object(library, root, ctime, parents=(), version=1, rule="c", creator=ZERO, creator_name="a@example.org", description="", **more):
    """C((id, bytes on disk)) of a commit; I(rule) C(c) ends every text by NUL, C(go) does not."""
    texts = [root, creator] + ([creator_name] if creator_name is not None else []) + [description]
    end = b"\0" if rule == "c" else b""
    key = hashlib.sha1(b"".join(text.encode("utf-8") + end for text in texts) + struct.pack(">q", ctime)).hexdigest()
    document = {
        "commit_id": key, "root_id": root, "repo_id": library, "creator": creator, "description": description, "ctime": ctime,
        "parent_id": parents[0] if parents else None, "second_parent_id": parents[1] if len(parents) > 1 else None, "repo_name": "L", "repo_desc": "",
        "repo_category": None, "no_local_history": 1}
    if creator_name is not None:
        document["creator_name"] = creator_name
    if version:
        document["version"] = version
    document.update(more)
    return key, json.dumps(document).encode("ascii")


# --- the model ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class CommitModel:
    """One commit: I(parents) are positions in its library's list; I(number) makes its id its own."""

    tree: dict
    age: int
    parents: t.Tuple[int, ...]
    rule: str = "c"
    number: int = 0
    id: str = ""


@dataclasses.dataclass
class LibraryModel:
    """One library; its head is its last commit. I(origin) and I(base) (a position there) make it a sub-library."""

    id: str
    commits: t.List[CommitModel]
    kind: str = "live"
    version: int = 1
    days: t.Optional[int] = None
    valid_since: t.Optional[int] = None
    origin: t.Optional["LibraryModel"] = None
    base: int = 0

    @property
    def store(self):
        """Where its fs objects and blocks lie."""
        return self.origin.id if self.origin else self.id


class Model:
    """Libraries, their objects on disk, and the rows of the database."""

    def __init__(self, libraries, garbage=()):
        self.libraries = libraries
        self.objects = {}
        self.ids = {}
        for library in libraries:
            for number, commit in enumerate(library.commits):
                commit.number = number
                root = self._tree_object(library.store, library.version, commit.tree)
                parents = [library.commits[at].id for at in commit.parents]
                commit.id, content = commit_object(
                    library.id, root, NOW - commit.age * DAY, parents, library.version, commit.rule, description=f"{library.id} {number}")
                self.objects["commits", library.id, commit.id] = content
        self.garbage = []
        for store, content in garbage:
            self.garbage += [self._add("blocks", store, block(content)), self._add("fs", store, file_object([block(content)[0]], 1, 12345))]
            self.garbage.append(self._add("commits", store, commit_object(store, "5" * 40, 7)))

    def _add(self, kind, store, made):
        self.objects[kind, store, made[0]] = made[1]
        return kind, store, made[0]

    def _tree_object(self, store, version, node):
        """Add the objects of a tree; remember and return the id of its top."""
        if isinstance(node, tuple):
            keys = [self._add("blocks", store, block(content))[2] for content in node]
            made = file_object(keys, version, sum(map(len, node))) if keys else None
        else:
            entries = [(name, self._tree_object(store, version, child), isinstance(child, dict)) for name, child in sorted(node.items())]
            made = directory_object(entries, version) if entries else None
        # Trees may share branches: the same object of Python is the same object of Seafile where the format is the same.
        self.ids[id(node), version] = made[0] if made else ZERO
        if made:
            self._add("fs", store, made)
        return self.ids[id(node), version]

    def tables(self):
        """The rows of the database."""
        rows = {name: [] for name in (
            "Branch", "Repo", "RepoHistoryLimit", "RepoInfo", "RepoOwner", "RepoTrash", "RepoValidSince", "SeafileConf", "VirtualRepo")}
        for library in self.libraries:
            head = library.commits[-1].id
            if library.kind == "trash":
                rows["RepoTrash"].append({"repo_id": library.id, "repo_name": "T", "head_id": head, "owner_id": "a@example.org"})
            else:
                rows["Branch"].append({"name": "master", "repo_id": library.id, "commit_id": head})
            if library.kind == "live":
                rows["Repo"].append({"repo_id": library.id})
            if library.days is not None:
                rows["RepoHistoryLimit"].append({"repo_id": library.id, "days": library.days})
            if library.valid_since is not None:
                rows["RepoValidSince"].append({"repo_id": library.id, "timestamp": library.valid_since})
            if library.origin:
                rows["VirtualRepo"].append({
                    "repo_id": library.id, "origin_repo": library.origin.id, "path": "/p", "base_commit": library.origin.commits[library.base].id})
        return rows

    def write(self, root):
        """Write every object below I(root)."""
        os.makedirs(os.path.join(root, "commits"), exist_ok=True)
        for (kind, store, key), content in self.objects.items():
            path = object_file(root, (kind, store, key))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(content)

    # -- what the rules say ------------------------------------------------------------------------------------------

    @staticmethod
    def _limit(library):
        """The time before which history may be missing; 0: only the head is kept; negative: all of it."""
        days = (library.origin or library).days
        since = -1 if library.valid_since is None else library.valid_since
        if days is None or days < 0:
            return since
        return max(NOW - days * DAY, since) if days else 0

    def _is_last_kept(self, library, at):
        """Whether the parents of this kept commit may be missing their trees: it is the first that is older than the limit."""
        limit = self._limit(library)
        is_head = at == len(library.commits) - 1
        return limit == 0 or (limit > 0 and not is_head and NOW - library.commits[at].age * DAY < limit)

    def _history(self, library, damaged=frozenset()):
        """C((whole, all)): the commits whose trees must be there, and all that a walk from the head comes to."""
        whole, everything = set(), set()
        todo = [(len(library.commits) - 1, True)]
        while todo:
            at, is_kept = todo.pop()
            if at in (whole if is_kept else everything):
                continue
            everything.add(at)
            if is_kept:
                whole.add(at)
            if ("commits", library.id, library.commits[at].id) not in damaged:
                todo.extend((parent, is_kept and not self._is_last_kept(library, at)) for parent in library.commits[at].parents)
        return whole, everything

    def required(self, damaged=frozenset()):
        """The objects that must be there, as far as a walk can come to them: nothing leads on from an object in I(damaged)."""
        found = set()
        for library in self.libraries:
            if library.kind == "orphan":
                continue
            whole, everything = self._history(library, damaged)
            found.update(("commits", library.id, library.commits[at].id) for at in everything)
            for at in whole:
                if ("commits", library.id, library.commits[at].id) not in damaged:
                    self._descend(library, library.commits[at].tree, damaged, found, True)
            if library.origin:
                base = library.origin.commits[library.base]
                found.add(("commits", library.store, base.id))
                if ("commits", library.store, base.id) not in damaged:
                    self._descend(library, base.tree, damaged, found, False)
        return found

    def _descend(self, library, node, damaged, found, with_blocks):
        if not node:
            return
        key = ("fs", library.store, self.ids[id(node), library.version])
        found.add(key)
        if key in damaged:
            return
        if isinstance(node, dict):
            for child in node.values():
                self._descend(library, child, damaged, found, with_blocks)
        elif with_blocks:
            found.update(("blocks", library.store, block(content)[0]) for content in node)

    def reachable(self):
        """Everything that any pointer leads to, required or not."""
        found = set()
        for library in self.libraries:
            for at in self._history(library)[1]:
                found.add(("commits", library.id, library.commits[at].id))
                self._descend(library, library.commits[at].tree, frozenset(), found, True)
            if library.origin:
                base = library.origin.commits[library.base]
                found.add(("commits", library.store, base.id))
                self._descend(library, base.tree, frozenset(), found, True)
        return found

    def leads_to(self, library_id, commit_id, path, kind, key):
        """Whether I(path) in that commit of that library is the object I(key), or for a block the file that holds it."""
        library = next(library for library in self.libraries if library.id == library_id)
        if kind == "commits":
            own = library.commits + (library.origin.commits if library.origin else [])
            return path == "" and key == commit_id and any(commit.id == key for commit in own)
        commits = [commit for commit in library.commits if commit.id == commit_id]
        if library.origin:
            commits += [commit for commit in library.origin.commits if commit.id == commit_id]
        node = commits[0].tree
        for name in path.split("/")[1:]:
            if name:
                node = node[name]
        if kind == "fs":
            return self.ids[id(node), library.version] == key
        return isinstance(node, tuple) and key in [block(content)[0] for content in node]


def object_file(root, key):
    """The path of an object's file."""
    return os.path.join(root, key[0], key[1], key[2][:2], key[2][2:])
