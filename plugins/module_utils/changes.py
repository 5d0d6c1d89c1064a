# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is new in an object store since a known set: the objects that the new heads reach and the known ones did not.

A library whose heads have not moved is not looked at: an id covers everything below it. In one that moved the new commits are
those that the new heads reach and the known heads do not; each of their trees is compared with the trees of its parents, and
below equal ids nothing is read. Every tree along the way counts, not only the last one: the history is part of a set.

Why nothing is missed. An fs object is skipped only when its id is *known*, and an id is known only when everything below it is
in the known set, or was listed before in this run, or is missing here:

- The tree of a known head is known. It is the only tree of the known set that is: trees further down may be older than a history
  limit, so that parts of them were never copied, and a client may upload those parts again.
- The tree of a new commit is known once it was compared. Parents go before their children, and a parent that was not compared
  (an older known commit, a loop in forged commits) is no base; a known head takes its place.
- An entry of a directory in a known tree is known under whatever name it comes back, so that a move costs nothing.
- A sub-library shares the store of its origin, so that the trees of both are known to both.

What is listed may be in the known set already (a file brought back from old history): rsync skips what is there. Where the walk
cannot tell (the known head is no ancestor of the new one, an object is missing or damaged that must be there) the family, a
library with its sub-libraries, is listed as a whole with the reason.

When the walk gives way. It reads every new commit and fs object, and what they are compared with: 35 to 45 microseconds of CPU
each from a warm cache, and rsync another 15 for every object that is listed, of which there are two or three to one that was
read. The other way is to list the changed directories of the stores, by their times (:mod:`directory_times`): one to two
milliseconds a library, 3 microseconds for every name in them to note it, and 8 for rsync to look at it on both ends, new or not.
Ids are spread evenly, so that some hundred new objects change all 256 directories of a kind, and every name counts. Measured with
200 libraries: with 0.1 and 1 % new the walk is cheaper at every size of store, rsync included; with half of a library new the
directories are, by up to a half. So the walk goes first, and gives way once it has cost as much as the other way would:
:func:`walk_limit`. It never costs more than twice what the better way does.
"""

from __future__ import annotations

import collections
import heapq
import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.known_heads import Known
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import (
    DIRECTORY,
    FILE,
    ZERO_ID,
    Commit,
    Damage,
    FsObject,
    ObjectDirectory,
    ObjectStore,
)
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import ORPHAN, Library, Pointers

UNMOVED = "unmoved"
WALKED = "walked"
EXPENSIVE = "expensive"
WHOLE = "whole"

# Measured, see the module's text: the walk's cost is counted in objects read; a large one counts as several.
_BYTES_OF_ONE_READ = 2048
_LEAST_LIMIT = 500
_NAMES_OF_ONE_READ = 6
_SAMPLES = ("00", "55", "aa", "ff")
_CACHED_ENTRIES = 200000

_NEW, _KNOWN = 1, 2


class _CannotTell(Exception):
    """The walk cannot say what is new: the library's id, and why."""

    def __init__(self, library: str, reason: str) -> None:
        super().__init__(reason)
        self.library = library
        self.reason = reason


class _TooExpensive(Exception):
    """Listing directories is cheaper from here on."""


class Family:
    """What is new in a library with its sub-libraries: all that share one store of fs objects and blocks.

    :ivar mode: :data:`UNMOVED`; :data:`WALKED`: exactly the ids in I(commits), I(fs) and I(blocks) are new; :data:`EXPENSIVE`:
        the walk would cost more than to list directories; :data:`WHOLE`: it cannot tell.
    :ivar members: ids of all libraries of the family that the database has.
    :ivar moved: those of them whose heads moved.
    :ivar commits: by library id.
    :ivar reasons: (library id, sentence) for :data:`WHOLE`.
    :ivar reads: how many objects were read.
    """

    def __init__(self, store: str, members: list[str]) -> None:
        self.store = store
        self.mode = UNMOVED
        self.members = members
        self.moved: list[str] = []
        self.commits: dict[str, set[bytes]] = {}
        self.fs: set[bytes] = set()
        self.blocks: set[bytes] = set()
        self.reasons: list[tuple[str, str]] = []
        self.reads = 0

    def stores(self) -> list[tuple[str, str]]:
        """The (kind, store id) in which something may be new."""
        commits = set(self.moved) | ({self.store} if set(self.moved) - {self.store} else set())  # a base commit is one of the origin's
        return [("commits", library) for library in sorted(commits)] + [("fs", self.store), ("blocks", self.store)]

    def forget(self) -> None:
        """Drop what was found: the family is listed another way."""
        self.commits, self.fs, self.blocks = {}, set(), set()


def find_changes(store: ObjectStore, pointers: Pointers, known: Known, now: int,
                 limit: t.Callable[[ObjectStore, str], int] | None = None, distrusted: t.Collection[str] = ()) -> t.Iterator[Family]:
    """Yield every family of the pointers with what is new in it since I(known). Blocks are not looked at.

    :arg known: the heads of a set that was verified; without them everything is new.
    :arg now: the moment history limits count from, seconds since 1970: says which missing objects are no reason to give up.
    :arg limit: gives the cost (in reads) above which a walk in this store gives way; None for no limit. See :func:`walk_limit`.
    :arg distrusted: ids of libraries in which the known set lacks something that it should have: their families are listed as a
        whole, moved or not, until a set has all of it.
    :raises SeafileError: C(storage-missing).
    """
    store.require()
    families: dict[str, list[Library]] = {}
    for library in pointers.libraries:
        families.setdefault(library.store, []).append(library)
    known_stores = {value.store for value in known.values() if value.kind != ORPHAN}
    for store_id, libraries in families.items():
        family = Family(store_id, [library.id for library in libraries])
        moved = [library for library in libraries if _moved(library, known)]
        family.moved = [library.id for library in moved]
        doubtful = [library.id for library in libraries if library.id in distrusted or library.store in distrusted]
        if doubtful:
            family.moved = family.members
            family.mode = WHOLE
            family.reasons.append((doubtful[0], "the known set lacks objects of it"))
        elif moved:
            _find(store, family, moved, known, store_id in known_stores, now, limit)
        yield family


def _moved(library: Library, known: Known) -> bool:
    before = known.get(library.id)
    if before is None:
        return True
    if library.kind != ORPHAN and before.kind == ORPHAN:  # nothing of an orphan had to be in the known set
        return True
    return (frozenset(library.heads), library.store, library.base) != (before.heads, before.store, before.base)


def _find(store: ObjectStore, family: Family, moved: list[Library], known: Known, store_is_known: bool, now: int,
          limit: t.Callable[[ObjectStore, str], int] | None) -> None:
    for library in moved:
        before = known.get(library.id)
        if before is None and library.store == library.id:
            family.reasons.append((library.id, "it is not in the known set"))
        elif before is not None and before.store != library.store:
            family.reasons.append((library.id, "it has moved to another store"))
        elif before is not None and before.kind == ORPHAN and library.kind != ORPHAN:
            family.reasons.append((library.id, "it was no library in the known set"))
    if not store_is_known and not family.reasons:
        family.reasons.append((moved[0].id, "its store is not in the known set"))
    family.mode = WHOLE
    if family.reasons:
        return
    try:
        most = limit(store, family.store) if limit else None
        with store.open("fs", family.store) as fs:
            walk = _Walk(store, family, fs, known, now, most)
            try:
                walk.walk(moved)
            finally:
                family.reads = walk.reads
        family.mode = WALKED
    except _TooExpensive:
        family.mode = EXPENSIVE
        family.forget()
    except _CannotTell as doubt:
        family.reasons.append((doubt.library, doubt.reason))
        family.forget()
    except OSError as error:  # for want of rights: the copying itself will tell it again, for every object
        family.reasons.append((moved[0].id, f"{error.filename or 'the store'} cannot be read ({error.strerror})"))
        family.forget()


class _Tree(t.NamedTuple):
    """The tree that is being compared: what a missing object in it means depends on its commit."""

    library: Library
    commit: bytes
    version: int
    must_be_whole: bool


class _Walk:
    """Compares the new trees of one family."""

    def __init__(self, store: ObjectStore, family: Family, fs: ObjectDirectory, known: Known, now: int, limit: int | None) -> None:
        self.store = store
        self.family = family
        self.fs = fs
        self.heads = known
        self.now = now
        self.limit = limit
        self.cost = 0
        self.reads = 0
        self.known: set[bytes] = set()
        self.absent: set[bytes] = set()
        self.version = 1
        self.roots: dict[str, list[bytes]] = {}  # of the heads of a library whose trees are known
        self.done: dict[bytes, bytes] = {}  # commit to the root of its tree, which is known
        self._cache: collections.OrderedDict[bytes, FsObject] = collections.OrderedDict()
        self._cached = 0

    def _spend(self, size: int) -> None:
        self.reads += 1
        self.cost += 1 + size // _BYTES_OF_ONE_READ
        if self.limit is not None and self.cost > self.limit:
            raise _TooExpensive

    def walk(self, moved: list[Library]) -> None:
        """Fill the family. :raises _CannotTell, _TooExpensive:"""
        for library in moved:
            self._walk_library(library)
        for library in moved:
            if library.base and library.base != ZERO_ID and library.heads and library.kind != ORPHAN:
                self._walk_base(library)

    # -- commits -------------------------------------------------------------------------------------------------

    def _walk_library(self, library: Library) -> None:
        before = self.heads.get(library.id)
        limit = library.truncate_time(self.now)
        listed = self.family.commits.setdefault(library.id, set())
        with self.store.open("commits", library.id) as directory:
            history = _History(library, directory, before.heads if before else frozenset(), self._spend)
            new = history.new_commits()
        whole = {head: history.commits[head].root for head in history.known if before and before.kind != ORPHAN}
        self.known.update(whole.values())
        bases = list(whole.values()) if before else self._roots_of_folder(library)
        for commit_id in new:
            commit = history.commits[commit_id]
            listed.add(commit_id)
            must_be_whole = library.kind != ORPHAN and (commit_id in library.heads or limit < 0 or 0 < limit <= commit.ctime)
            parents = [self.done[parent] for parent in commit.parents if parent in self.done]
            parents += [whole[parent] for parent in commit.parents if parent in whole]
            self._compare(commit.root, _Tree(library, commit_id, commit.version, must_be_whole), parents or bases)
            self.done[commit_id] = commit.root
        self.roots.setdefault(library.id, []).extend(bases + [self.done[head] for head in library.heads if head in self.done])

    def _known_roots(self, library_id: str) -> list[bytes]:
        """The roots of a library's known heads, and of its new ones where those were walked already."""
        if library_id not in self.roots:
            before = self.heads.get(library_id)
            self.roots[library_id] = []
            if before is not None and before.kind != ORPHAN and before.store == self.family.store:
                with self.store.open("commits", library_id) as directory:
                    for head in before.heads:
                        try:
                            commit, size, dummy = directory.read_commit(head)
                        except Damage:
                            continue
                        self._spend(size)
                        self.version = commit.version
                        self.roots[library_id].append(commit.root)
        return self.roots[library_id]

    def _roots_of_folder(self, library: Library) -> list[bytes]:
        """For a new sub-library: what its folder in the origin was, which is where its content came from."""
        found = []
        for root in self._known_roots(library.store) if library.path else []:
            for name in (name for name in t.cast(str, library.path).split("/") if name):
                directory = self._base(root, self.version)
                entries = directory.entries if directory and directory.type == DIRECTORY else ()
                root = next((entry.id for entry in entries if entry.name == name and entry.is_directory), ZERO_ID)
            if root != ZERO_ID:
                found.append(root)
        return found

    def _walk_base(self, library: Library) -> None:
        """The commit of the origin that a sub-library was last merged with."""
        base = t.cast(bytes, library.base)
        before = self.heads.get(library.id)
        origin = self.heads.get(self.family.store)
        if base in self.done or (before and before.base == base) or (origin and origin.kind != ORPHAN and base in origin.heads):
            return
        with self.store.open("commits", self.family.store) as directory:
            try:
                commit, size, damage = directory.read_commit(base)
            except Damage as found:
                damage = found
            if damage:
                raise _CannotTell(library.id, f"its base commit {base.hex()} is {damage.kind}")
        self._spend(size)
        self.family.commits.setdefault(self.family.store, set()).add(base)
        self._compare(commit.root, _Tree(library, base, commit.version, False), self._known_roots(self.family.store) + self._known_roots(library.id))

    # -- trees ---------------------------------------------------------------------------------------------------

    def _compare(self, root: bytes, tree: _Tree, bases: t.Sequence[bytes]) -> None:
        """List what the tree below I(root) has and the known trees below I(bases) do not.

        First the directories that have a counterpart of the same name, side by side; what is left then goes last, because by
        that time the ids that moved away from elsewhere are known.
        """
        listed, known = self.family.fs, self.known
        later: list[tuple[bytes, bool, tuple[bytes, ...]]] = []
        stack: list[tuple[bytes, tuple[bytes, ...]]] = [(root, tuple(base for base in bases if base != ZERO_ID))]
        while stack:
            object_id, counterparts = stack.pop()
            if object_id == ZERO_ID or object_id in listed or object_id in known or object_id in counterparts:
                continue
            directory = self._read(object_id, DIRECTORY, tree)
            if directory is None:
                continue
            listed.add(object_id)
            olds = [old for old in (self._base(base, tree.version) for base in counterparts) if old is not None and old.type == DIRECTORY]
            for old in olds:
                known.update(entry.id for entry in old.entries)
            new = [entry for entry in directory.entries if entry.id not in known and entry.id not in listed and entry.id != ZERO_ID]
            names = {entry.name for entry in new}
            before: dict[tuple[str, bool], list[bytes]] = {}
            for old in olds:
                for entry in old.entries:
                    if entry.name in names and entry.id != ZERO_ID:
                        before.setdefault((entry.name, entry.is_directory), []).append(entry.id)
            for entry in new:
                same = tuple(before.get((entry.name, entry.is_directory), ()))
                if entry.is_directory and same:
                    stack.append((entry.id, same))
                else:
                    later.append((entry.id, entry.is_directory, same))
        while later:
            object_id, is_directory, same = later.pop()
            if object_id in listed or object_id in known:
                continue
            found = self._read(object_id, DIRECTORY if is_directory else FILE, tree)
            if found is None:
                continue
            listed.add(object_id)
            if is_directory:
                later.extend((entry.id, entry.is_directory, ()) for entry in found.entries
                             if entry.id not in known and entry.id not in listed and entry.id != ZERO_ID)
            else:
                self._list_blocks(found, tree, same)

    def _list_blocks(self, file: FsObject, tree: _Tree, before: t.Sequence[bytes]) -> None:
        old_blocks = {ZERO_ID}
        for base in before:
            old = self._base(base, tree.version)
            if old is not None and old.type == FILE:
                old_blocks.update(old.blocks)
        self.family.blocks.update(block for block in file.blocks if block not in old_blocks)

    def _read(self, object_id: bytes, kind: int, tree: _Tree) -> FsObject | None:
        """Read a new object; None when it is legally missing."""
        cached = self._cache.get(object_id)
        if cached is None:
            if object_id in self.absent:
                return None
            try:
                cached, size, dummy = self.fs.read_fs(object_id, tree.version)
            except Damage as damage:
                if damage.kind == "missing" and not tree.must_be_whole:
                    self.absent.add(object_id)
                    return None
                raise _CannotTell(tree.library.id, f"its fs object {object_id.hex()} is {damage.kind} (commit {tree.commit.hex()})") from damage
            self._spend(size)
            self._keep(object_id, cached)
        if cached.type != kind:
            raise _CannotTell(tree.library.id, f"its fs object {object_id.hex()} is not what its entry says (commit {tree.commit.hex()})")
        return cached

    def _base(self, object_id: bytes, version: int) -> FsObject | None:
        """Read a known object; without it there is nothing to compare with, and more is listed."""
        cached = self._cache.get(object_id)
        if cached is None and object_id not in self.absent:
            try:
                cached, size, dummy = self.fs.read_fs(object_id, version)
            except Damage:
                return None
            self._spend(size)
            self._keep(object_id, cached)
        return cached

    def _keep(self, object_id: bytes, found: FsObject) -> None:
        """Directories are read once as the new tree and once as the base of the next one."""
        if found.type != DIRECTORY:
            return
        self._cache[object_id] = found
        self._cached += len(found.entries) + 1
        while self._cached > _CACHED_ENTRIES and len(self._cache) > 1:
            self._cached -= len(self._cache.popitem(last=False)[1].entries) + 1


class _History:
    """The new commits of one library: those that its heads reach and its known heads do not.

    Newest first from both ends at once, as C(git) does it, so that a merge with an old commit costs only the commits in between.
    A wrong clock can make a known commit look new, never a new one known: then more is listed.
    """

    def __init__(self, library: Library, directory: ObjectDirectory, known: t.FrozenSet[bytes], spend: t.Callable[[int], None]) -> None:
        self.library = library
        self.directory = directory
        self.known = known
        self.spend = spend
        self.commits: dict[bytes, Commit] = {}
        self._sides: dict[bytes, int] = {}
        self._queue: list[tuple[int, bool, bytes]] = []
        self._waiting: set[bytes] = set()
        self._new_in_queue = 0

    def new_commits(self) -> list[bytes]:
        """Return the new commits, parents before children, and leave all that were read in I(commits).

        :raises _CannotTell: a commit cannot be read, or the known heads are no ancestors of the new ones.
        """
        for head in sorted(self.known):
            self._reach(head, _KNOWN)
        for head in self.library.heads:
            self._reach(head, _NEW)
        while self._new_in_queue:
            commit_id = heapq.heappop(self._queue)[2]
            self._waiting.discard(commit_id)
            sides = self._sides[commit_id]
            if sides == _NEW:
                self._new_in_queue -= 1
            for parent in self.commits[commit_id].parents if commit_id in self.commits else ():
                if parent != ZERO_ID:
                    self._reach(parent, sides)
        for head in self.known:
            if not self._sides[head] & _NEW and self.library.heads:
                raise _CannotTell(self.library.id, f"its known head {head.hex()} is not in the history of its new one")
        return self._in_order([commit_id for commit_id, sides in self._sides.items() if sides == _NEW and commit_id in self.commits])

    def _reach(self, commit_id: bytes, side: int) -> None:
        before = self._sides.get(commit_id)
        if before is not None and before | side == before:
            return
        after = (before or 0) | side
        self._sides[commit_id] = after
        if before is None:
            self._read(commit_id, side)
        if commit_id not in self.commits:
            if after == _NEW and self.library.kind != ORPHAN:
                raise _CannotTell(self.library.id, f"its commit {commit_id.hex()} cannot be read")
            return
        if commit_id in self._waiting:  # it waits still, and will go on with both sides
            self._new_in_queue -= before == _NEW
            return
        self._new_in_queue += after == _NEW
        self._waiting.add(commit_id)
        # within one second the new ones go first, or a row of known ones would be read for nothing
        heapq.heappush(self._queue, (-self.commits[commit_id].ctime, after != _NEW, commit_id))

    def _read(self, commit_id: bytes, side: int) -> None:
        try:
            commit, size, damage = self.directory.read_commit(commit_id)
        except Damage as found:
            damage = found
        if damage is None:
            self.spend(size)
            self.commits[commit_id] = commit
        elif commit_id in self.known:
            raise _CannotTell(self.library.id, f"its known head {commit_id.hex()} is {damage.kind}")
        elif side == _NEW and self.library.kind != ORPHAN:
            raise _CannotTell(self.library.id, f"its commit {commit_id.hex()} is {damage.kind}")

    def _in_order(self, new: list[bytes]) -> list[bytes]:
        wanted = set(new)
        order: list[bytes] = []
        begun: set[bytes] = set()
        for first in new:
            stack = [(first, False)]
            while stack:
                commit_id, parents_done = stack.pop()
                if parents_done:
                    order.append(commit_id)
                elif commit_id not in begun:
                    begun.add(commit_id)
                    stack.append((commit_id, True))
                    stack.extend((parent, False) for parent in self.commits[commit_id].parents if parent in wanted and parent not in begun)
        return order


def walk_limit(store: ObjectStore, store_id: str) -> int:
    """Return how many objects a walk may read before listing directories is cheaper: a sixth of the names in the store.

    The number of names is taken from a few of the 256 directories of a kind: ids are spread evenly.
    """
    names = 0
    for kind in ("fs", "blocks"):
        for prefix in _SAMPLES:
            try:
                names += len(os.listdir(os.path.join(store.root, kind, store_id, prefix)))
            except OSError:
                continue
    return max(_LEAST_LIMIT, names * (256 // len(_SAMPLES)) // _NAMES_OF_ONE_READ)
