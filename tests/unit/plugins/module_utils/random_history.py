# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that people work on at random: a seeded history of edits, merges, sub-libraries, limits, collections and damage."""

from __future__ import annotations

import os

from ansible_collections.seafleet.seafile.plugins.module_utils import pointers
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import ZERO, Maker

DAY = 24 * 3600
NOW = 1000 * DAY


class Shelf:
    """One library: its current tree (a dict of dicts; a file is a tuple of its blocks' contents) and its history."""

    def __init__(self, library_id, store, days=-1, origin=None, path=None):
        self.id = library_id
        self.store = store
        self.days = days
        self.origin = origin
        self.path = path
        self.base = None
        self.tree = {}
        self.head = None
        self.commits = []  # (commit id, tree), oldest first
        self.trash = False


class World:
    """I(random) decides everything; the objects lie below I(root)."""

    def __init__(self, root, random):
        self.maker = Maker(root, random.getrandbits(32))
        self.random = random
        self.shelves = {}
        self.now = NOW
        self.serial = 0
        for dummy in range(random.randint(1, 3)):
            self.new_library()

    @property
    def root(self):
        return self.maker.root

    def pointers(self):
        """What the database says now."""
        tables = {name: [] for name in self.maker.tables}
        for shelf in self.shelves.values():
            if shelf.trash:
                tables["RepoTrash"].append({"repo_id": shelf.id, "head_id": shelf.head, "repo_name": "T", "owner_id": "o"})
            else:
                tables["Repo"].append({"repo_id": shelf.id})
                tables["Branch"].append({"name": "master", "repo_id": shelf.id, "commit_id": shelf.head})
            tables["RepoHistoryLimit"].append({"repo_id": shelf.id, "days": shelf.days})
            if shelf.origin:
                tables["VirtualRepo"].append({"repo_id": shelf.id, "origin_repo": shelf.origin, "path": shelf.path, "base_commit": shelf.base})
        return pointers.make_pointers(tables)

    # -- writing ---------------------------------------------------------------------------------------------------

    def _content(self):
        # few different contents, so that the same block, file and directory come back in other places and after a collection
        self.serial += 1
        return f"content {self.serial if self.random.random() < 0.5 else self.random.randint(0, 12)}".encode()

    def _file(self):
        return tuple(self._content() for dummy in range(self.random.choice((0, 1, 1, 2, 3))))

    def write_tree(self, store, tree):
        """Return the id of the directory I(tree)."""
        if not tree:
            return ZERO
        files = {name: self.write_file(store, value) for name, value in tree.items() if isinstance(value, tuple)}
        folders = {name: self.write_tree(store, value) for name, value in tree.items() if isinstance(value, dict)}
        return self.maker.directory(store, files, folders)

    def write_file(self, store, blocks):
        return self.maker.file(store, *blocks) if blocks else ZERO

    def commit(self, shelf, tree, parent="head", second=None):
        self.now += self.random.choice((1, 60, DAY, 5 * DAY))
        ctime = self.now + (self.random.choice((-30 * DAY, 30 * DAY)) if self.random.random() < 0.1 else 0)
        parent = shelf.head if parent == "head" else parent
        commit = self.maker.commit(shelf.id, self.write_tree(shelf.store, tree), parent, second, ctime=ctime)
        shelf.commits.append((commit, copy(tree)))
        return commit

    # -- what people do --------------------------------------------------------------------------------------------

    def new_library(self):
        library_id = self.maker.library_id()
        shelf = self.shelves[library_id] = Shelf(library_id, library_id, self.random.choice((-1, -1, 0, 3, 20)))
        for number in range(self.random.randint(0, 3)):
            shelf.tree[f"folder{number}"] = {f"file{index}": self._file() for index in range(3)}
        shelf.head = self.commit(shelf, shelf.tree)

    def _pick(self):
        return self.random.choice([shelf for shelf in self.shelves.values() if not shelf.trash] or list(self.shelves.values()))

    def _folders(self, tree):
        """Every directory of I(tree), itself among them."""
        found, stack = [], [tree]
        while stack:
            folder = stack.pop()
            found.append(folder)
            stack.extend(value for value in folder.values() if isinstance(value, dict))
        return found

    def edit(self, tree):
        """Change I(tree) in place: add, change, remove, rename, move or copy."""
        folder = self.random.choice(self._folders(tree))
        name = f"n{self.random.randint(0, 6)}"
        what = self.random.choice(("file", "file", "folder", "remove", "rename", "move", "copy"))
        if what == "file":
            folder[name] = self._file()
        elif what == "folder":
            folder[name] = {"inside": self._file(), "deep": {"below": self._file()}}
        elif folder:
            old = self.random.choice(sorted(folder))
            value = folder[old]
            if what != "copy":
                del folder[old]
            target = folder if what == "rename" else self.random.choice(self._folders(tree))
            if what != "remove":
                target[name] = copy(value)

    def work(self):
        """One change of the server."""
        self.random.choice((
            self.save, self.save, self.save, self.save, self.merge, self.revert, self.copy_between, self.new_library, self.purge,
            self.trash, self.new_part, self.work_in_part, self.limit, self.collect, self.upload_without_commit, self.go_back))()

    def save(self):
        shelf = self._pick()
        for dummy in range(self.random.randint(1, 3)):
            self.edit(shelf.tree)
        shelf.head = self.commit(shelf, shelf.tree)

    def merge(self):
        """A client was behind: its commit has an older parent, and a merge takes both."""
        shelf = self._pick()
        parent, tree = self.random.choice(shelf.commits)
        tree = copy(tree)
        self.edit(tree)
        theirs = self.commit(shelf, tree, parent)
        shelf.tree.update(copy(tree))
        shelf.head = self.commit(shelf, shelf.tree, shelf.head, theirs)

    def revert(self):
        shelf = self._pick()
        shelf.tree = copy(self.random.choice(shelf.commits)[1])
        shelf.head = self.commit(shelf, shelf.tree)

    def copy_between(self):
        shelf, other = self._pick(), self._pick()
        shelf.tree["copied"] = copy(other.tree)
        if len(self._folders(shelf.tree)) > 60:
            shelf.tree = {}
        shelf.head = self.commit(shelf, shelf.tree)

    def purge(self):
        shelf = self._pick()
        if len(self.shelves) > 2 and not any(other.origin == shelf.id for other in self.shelves.values()):
            del self.shelves[shelf.id]

    def trash(self):
        shelf = self.random.choice(list(self.shelves.values()))
        if not shelf.origin:
            shelf.trash = not shelf.trash

    def _parts(self):
        return [shelf for shelf in self.shelves.values() if shelf.origin and shelf.origin in self.shelves]

    def new_part(self):
        """A folder becomes a sub-library."""
        origin = self._pick()
        names = [name for name, value in sorted(origin.tree.items()) if isinstance(value, dict)]
        if origin.origin or not names:
            return
        name = self.random.choice(names)
        shelf = Shelf(self.maker.library_id(), origin.store, origin.days, origin.id, f"/{name}")
        shelf.tree = copy(origin.tree[name])
        shelf.base = origin.head
        shelf.head = self.commit(shelf, shelf.tree, None)
        self.shelves[shelf.id] = shelf

    def work_in_part(self):
        if not self._parts():
            return
        shelf = self.random.choice(self._parts())
        origin = self.shelves[shelf.origin]
        self.edit(shelf.tree)
        shelf.head = self.commit(shelf, shelf.tree)
        if self.random.random() < 0.6:  # the server has merged it into the origin already
            origin.tree[shelf.path[1:]] = copy(shelf.tree)
            origin.head = self.commit(origin, origin.tree)
            shelf.base = origin.head

    def limit(self):
        shelf = self._pick()
        shelf.days = self.random.choice((-1, 0, 3, 20))

    def go_back(self):
        """An old head is brought back, as a restored database has it."""
        if self.random.random() < 0.2:
            shelf = self._pick()
            shelf.head, tree = self.random.choice(shelf.commits)
            shelf.tree = copy(tree)

    def upload_without_commit(self):
        shelf = self._pick()
        self.maker.file(shelf.store, self._content())

    def collect(self):
        """A garbage collection: of every store only what must be there by the limits is kept."""
        kept = set()
        found = self.pointers()
        for library in found.libraries:
            limit = library.truncate_time(self.now)
            shelf = self.shelves[library.id]
            with ObjectStore(self.root).open("commits", library.id) as commits:
                stack, done = [bytes.fromhex(shelf.head)], set()
                while stack:
                    commit_id = stack.pop()
                    if commit_id in done:
                        continue
                    done.add(commit_id)
                    try:
                        commit = commits.read_commit(commit_id)[0]
                    except Exception:  # damaged on purpose
                        continue
                    self._keep(shelf.store, commit.root.hex(), kept)
                    if limit and not 0 < limit > commit.ctime:
                        stack.extend(commit.parents)
            if shelf.base:
                tree = next((tree for commit, tree in self.shelves[shelf.origin].commits if commit == shelf.base), {}) if shelf.origin in self.shelves else {}
                self._keep(shelf.store, self.write_tree(shelf.store, tree), kept)
        for kind in ("fs", "blocks"):
            for where, dummy, names in os.walk(os.path.join(self.root, kind)):
                for name in names:
                    if (kind, where.split(os.sep)[-2], where[-2:] + name) not in kept:
                        os.unlink(os.path.join(where, name))

    def _keep(self, store, root, kept):
        with ObjectStore(self.root).open("fs", store) as fs:
            stack = [root]
            while stack:
                object_id = stack.pop()
                if object_id == ZERO or ("fs", store, object_id) in kept:
                    continue
                kept.add(("fs", store, object_id))
                try:
                    found = fs.read_fs(bytes.fromhex(object_id), 1)[0]
                except Exception:  # damaged on purpose
                    continue
                stack.extend(entry.id.hex() for entry in found.entries)
                kept.update(("blocks", store, block.hex()) for block in found.blocks)

    def damage(self):
        """Lose or cut one object anywhere."""
        paths = [os.path.join(where, name) for where, dummy, names in os.walk(self.root) for name in names]
        path = self.random.choice(sorted(paths))
        if self.random.random() < 0.5:
            os.unlink(path)
        else:
            with open(path, "r+b") as stream:
                stream.truncate(self.random.randint(0, 30))


def copy(tree):
    """A deep copy of a tree of dicts."""
    return {name: copy(value) for name, value in tree.items()} if isinstance(tree, dict) else tree
