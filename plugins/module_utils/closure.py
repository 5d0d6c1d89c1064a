# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The closure: all objects that a set's database can reach, and what of them is missing or damaged.

A restore gives the target exactly these objects: newer ones beside an older database make sync clients delete files.
The walk needs no Seafile. It goes store by store, with stacks and not by recursion, looks at every object once, and
knows what may legally be missing: history older than its limit, the blocks of a base commit, the zero id.

Three passes over a store, in this order, so that an object once seen never has to be looked at under a stricter rule:
what must be there whole; trees whose blocks may be missing (base commits); trees that may be missing (old history),
whose objects are taken where they are there: they belong to the set.
"""

from __future__ import annotations

import fcntl
import os
import stat
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, replacing
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import printable
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import (
    DIRECTORY,
    FILE,
    ZERO_ID,
    Commit,
    Damage,
    FsObject,
    ObjectDirectory,
    ObjectStore,
    object_path,
)
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import ORPHAN, Library, Pointers

# What a pass over trees may not find missing.
WHOLE = 0
WITHOUT_BLOCKS = 1
OPTIONAL = 2

# A path as a chain towards the root: (the chain above, name). Joined only for a finding, so that depth costs no memory.
_Chain = t.Optional[t.Tuple[t.Any, str]]


class Finding(t.NamedTuple):
    """One object that is reachable, must be there, and is not what it should be.

    :arg kind: C(commits), C(fs), C(blocks), or C(head) when the database itself points at nothing.
    :arg damage: C(missing), C(empty), C(truncated), C(unparsable), C(unreadable), C(wrong-hash) or C(mismatch); see
        :class:`object_store.Damage`.
    :arg library: the first library through which it was reached (an origin goes before its sub-libraries).
    :arg path: the file's or directory's path in the library; C("") for commits.
    :arg commit: the commit through which it was reached.
    """

    kind: str
    store: str
    id: str
    library: str
    library_name: str
    path: str
    damage: str
    cause: str
    commit: str

    @property
    def sentence(self) -> str:
        """One line for people."""
        name = printable(self.library_name or self.library)
        noun = {"commits": "commit", "fs": "fs object", "blocks": "block", "head": "head"}[self.kind]
        place = f" {printable(self.path)}" if self.path else ""
        return f"{name}{place}: {noun} {self.id} {self.damage} ({self.cause})".replace("  ", " ")


class _Objects:
    """The ids of one kind in one store that were seen, and those of them that are not there."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self.absent: set[bytes] = set()

    def present(self) -> t.Iterator[bytes]:
        return (object_id for object_id in sorted(self.seen) if object_id not in self.absent)


class Closure:
    """What a walk found. Ids are kept as 20 bytes each: about 120 MB for a million objects."""

    def __init__(self) -> None:
        self.libraries: list[dict[str, t.Any]] = []
        self.findings: t.Any = []
        self.files = {"blocks": 0, "commits": 0, "fs": 0}
        self.bytes = {"blocks": 0, "commits": 0, "fs": 0}
        self._objects: dict[tuple[str, str], _Objects] = {}

    def objects(self, kind: str, store: str) -> _Objects:
        return self._objects.setdefault((kind, store), _Objects())

    def paths(self) -> t.Iterator[str]:
        """Yield the relative path of every object of the closure that is there, in the order of their bytes."""
        for kind, store in sorted(self._objects):
            for object_id in self._objects[kind, store].present():
                yield object_path(kind, store, object_id)

    def totals(self) -> dict[str, dict[str, int]]:
        """C({kind: {files, bytes}}); bytes as they lie on disk, a hard-linked block counted in each of its stores."""
        return {kind: {"files": self.files[kind], "bytes": self.bytes[kind]} for kind in sorted(self.files)}

    def add(self, kind: str, size: int) -> None:
        self.files[kind] += 1
        self.bytes[kind] += size


def walk(store: ObjectStore, pointers: Pointers, now: int, check_hashes: bool = False) -> Closure:
    """Walk from every pointer to every object.

    :arg now: the moment that history limits count from, seconds since 1970: best the one of the dump.
    :arg check_hashes: hash every object too, which reads all blocks.
    :raises SeafileError: C(storage-missing).
    :raises OSError: something cannot be read for want of rights.
    """
    store.require()
    closure = Closure()
    closure.findings.extend(strange_findings(pointers))
    for store_id, libraries in families_of(pointers).items():
        _Family(store, closure, store_id, libraries, now, check_hashes).walk()
    return closure


def strange_findings(pointers: Pointers) -> list[Finding]:
    """A finding for every row that cannot be a pointer."""
    return [Finding("head", "", "", "", "", "", "unparsable", printable(text), "") for text in pointers.strange]


def families_of(pointers: Pointers) -> dict[str, list[Library]]:
    """The libraries by the store of fs objects and blocks that they share, origins before their sub-libraries."""
    families: dict[str, list[Library]] = {}
    for library in pointers.libraries:
        families.setdefault(library.store, []).append(library)
    return families


def locate(store: ObjectStore, store_id: str, libraries: list[Library], now: int, known: t.Mapping[tuple[str, str, bytes], Damage], findings: t.Any) -> None:
    """Walk one family once more, without looking at blocks, to tell libraries and paths of the damages I(known).

    :arg known: what another walk found, by (kind, store id, id).
    :arg findings: a list, or anything else with C(append()), which gets the findings.
    """
    closure = Closure()
    closure.findings = findings
    family = _Family(store, closure, store_id, libraries, now, check_hashes=False)
    family.known = known
    family.walk()


class _Tree(t.NamedTuple):
    """One tree to walk."""

    root: bytes
    version: int
    library: Library
    commit: bytes


class _Family:
    """A library with its sub-libraries: all that share one store of fs objects and blocks."""

    def __init__(self, store: ObjectStore, closure: Closure, store_id: str, libraries: list[Library], now: int, check_hashes: bool) -> None:
        self.store = store
        self.closure = closure
        self.store_id = store_id
        self.libraries = libraries
        self.now = now
        self.check_hashes = check_hashes
        self.known: t.Mapping[tuple[str, str, bytes], Damage] | None = None
        self.names = {library.id: library.name for library in libraries}
        self.trees: tuple[list[_Tree], list[_Tree], list[_Tree]] = ([], [], [])
        self.roots: tuple[set[bytes], set[bytes], set[bytes]] = (set(), set(), set())

    def walk(self) -> None:
        for library in self.libraries:
            with self.store.open("commits", library.id) as commits:
                self._walk_commits(library, commits)
        for library in self.libraries:
            if library.base and library.base != ZERO_ID and library.heads and library.kind != ORPHAN:
                with self.store.open("commits", self.store_id) as commits:
                    self._add_base(library, commits)
        with self.store.open("fs", self.store_id) as fs, self.store.open("blocks", self.store_id) as blocks:
            self.fs = fs
            self.blocks = blocks
            self.seen_fs = self.closure.objects("fs", self.store_id)
            self.seen_blocks = self.closure.objects("blocks", self.store_id)
            for rule, trees in enumerate(self.trees):
                for tree in trees:
                    self._walk_tree(tree, rule)

    def _report(self, kind: str, store: str, object_id: bytes, library: Library, path: str, damage: Damage, commit: bytes) -> None:
        self.closure.findings.append(Finding(
            kind, store, object_id.hex(), library.id, self.names[library.id], path, damage.kind, damage.cause, commit.hex()))

    # -- commits -------------------------------------------------------------------------------------------------

    def _add_tree(self, rule: int, tree: _Tree) -> None:
        if tree.root != ZERO_ID and tree.root not in self.roots[rule]:
            self.roots[rule].add(tree.root)
            self.trees[rule].append(tree)

    def _read_commit(self, library: Library, commits: ObjectDirectory, commit_id: bytes, required: bool = True) -> Commit | None:
        """Read one commit that was not read before; report what is wrong; None when there is nothing to go on with."""
        seen = self.closure.objects("commits", commits.store)
        seen.seen.add(commit_id)
        try:
            commit, size, damage = commits.read_commit(commit_id, self.check_hashes)
        except Damage as found:
            if found.kind == "missing":
                seen.absent.add(commit_id)
            else:
                self.closure.add("commits", 0)
            if required or found.kind != "missing":
                self._report("commits", commits.store, commit_id, library, "", found, commit_id)
            return None
        self.closure.add("commits", size)
        if self.known is not None:
            damage = damage or self.known.get(("commits", commits.store, commit_id))
        if damage:
            self._report("commits", commits.store, commit_id, library, "", damage, commit_id)
        return commit

    def _walk_commits(self, library: Library, commits: ObjectDirectory) -> None:
        """Read the whole history; sort its trees into those that must be there and those older than the limit.

        As the garbage collection does it (C(traverse_commit()) in server/gc/gc-core.c): going down from a head, the
        first commit older than the limit is still kept whole, and the head itself always is. The commits below are
        never deleted, only what their trees hold.
        """
        required = library.kind != ORPHAN
        if not library.heads and required:
            self._report("head", library.id, b"", library, "", Damage("missing", "the database has no head for this library"), b"")
        limit = library.truncate_time(self.now)
        head: Commit | None = None
        count = 0
        older: list[bytes] = []
        stack = list(reversed(library.heads))
        done: set[bytes] = set()
        while stack or older:
            rule = WHOLE if stack else OPTIONAL
            commit_id = (stack or older).pop()
            if commit_id in done:
                continue
            done.add(commit_id)
            commit = self._read_commit(library, commits, commit_id, required)
            if commit is None:
                continue
            count += 1
            is_head = commit_id in library.heads
            if head is None and is_head:
                head = commit
                self.names[library.id] = commit.name or library.name
            self._add_tree(rule if required else OPTIONAL, _Tree(commit.root, commit.version, library, commit_id))
            parents = [parent for parent in reversed(commit.parents) if parent not in done and parent != ZERO_ID]
            if rule == OPTIONAL or limit == 0 or (0 < limit and commit.ctime < limit and not is_head):
                older.extend(parents)
            else:
                stack.extend(parents)
        self.closure.libraries.append({
            "id": library.id,
            "name": self.names[library.id],
            "kind": library.kind,
            "owner": library.owner,
            "head": library.heads[0].hex() if library.heads else None,
            "store_id": library.store,
            "origin": library.origin,
            "encrypted": head.encrypted if head else None,
            "version": head.version if head else None,
            "commits": count,
        })

    def _add_base(self, library: Library, commits: ObjectDirectory) -> None:
        """The commit of the origin that a sub-library was last merged with: needed for the next merge, without blocks."""
        base = t.cast(bytes, library.base)
        if base in self.closure.objects("commits", self.store_id).seen:
            commit = self._quietly(commits, base)
        else:
            commit = self._read_commit(library, commits, base)
        if commit:
            self._add_tree(WITHOUT_BLOCKS, _Tree(commit.root, commit.version, library, base))

    @staticmethod
    def _quietly(commits: ObjectDirectory, commit_id: bytes) -> Commit | None:
        """Read a commit whose damage is reported already."""
        try:
            return commits.read_commit(commit_id)[0]
        except Damage:
            return None

    # -- trees ---------------------------------------------------------------------------------------------------

    def _walk_tree(self, tree: _Tree, rule: int) -> None:
        seen = self.seen_fs.seen
        stack: list[tuple[bytes, _Chain]] = [(tree.root, None)]
        while stack:
            object_id, chain = stack.pop()
            if object_id in seen:
                continue
            directory = self._read_fs(tree, object_id, chain, rule, DIRECTORY)
            if directory is None:
                continue
            for entry in directory.entries:
                if entry.id in seen or entry.id == ZERO_ID:
                    continue
                if entry.is_directory:
                    stack.append((entry.id, (chain, entry.name)))
                    continue
                file = self._read_fs(tree, entry.id, (chain, entry.name), rule, FILE)
                if file is not None:
                    self._look_at_blocks(tree, file, (chain, entry.name), rule)

    def _read_fs(self, tree: _Tree, object_id: bytes, chain: _Chain, rule: int, kind: int) -> FsObject | None:
        """Read one fs object that was not read before; None when it is missing, unreadable or not of this kind."""
        self.seen_fs.seen.add(object_id)
        try:
            result, size, damage = self.fs.read_fs(object_id, tree.version, self.check_hashes)
        except Damage as found:
            self._damaged("fs", self.seen_fs, tree, object_id, chain, found, rule == OPTIONAL)
            return None
        self.closure.add("fs", size)
        if self.known is not None:
            known = self.known.get(("fs", self.store_id, object_id))
            damage = known if known and known.kind != "mismatch" else damage  # which place it does not fit into is seen below
        if damage:
            self._report("fs", self.store_id, object_id, tree.library, _path(chain), damage, tree.commit)
        if result.type != kind:
            wanted = "a directory" if kind == DIRECTORY else "a file"
            self._report("fs", self.store_id, object_id, tree.library, _path(chain), Damage("mismatch", f"is not {wanted} as its entry says"), tree.commit)
            return None
        return result

    def _look_at_blocks(self, tree: _Tree, file: FsObject, chain: _Chain, rule: int) -> None:
        seen = self.seen_blocks.seen
        if self.known is not None:
            for block in file.blocks:
                damage = self.known.get(("blocks", self.store_id, block))
                if damage and block not in seen:
                    seen.add(block)
                    self._damaged("blocks", self.seen_blocks, tree, block, chain, damage, rule != WHOLE)
            return
        look = self.blocks.check_block if self.check_hashes else self.blocks.size
        for block in file.blocks:
            if block in seen or block == ZERO_ID:
                continue
            seen.add(block)
            try:
                self.closure.add("blocks", look(block))
            except Damage as found:
                self._damaged("blocks", self.seen_blocks, tree, block, chain, found, rule != WHOLE)

    def _damaged(self, kind: str, objects: _Objects, tree: _Tree, object_id: bytes, chain: _Chain, found: Damage, may_miss: bool) -> None:
        """Count and report an object that cannot be used. What may be missing may not be there broken either."""
        if found.kind == "missing":
            objects.absent.add(object_id)
            if may_miss:
                return
        else:
            self.closure.add(kind, 0)
        self._report(kind, self.store_id, object_id, tree.library, _path(chain), found, tree.commit)


def _path(chain: _Chain) -> str:
    names: list[str] = []
    while chain is not None:
        chain, name = chain
        names.append(name)
    return "/" + "/".join(reversed(names))


# -- the list ------------------------------------------------------------------------------------------------------

_JOIN = 4096


def _pieces(closure: Closure) -> t.Iterator[bytes]:
    """The list in pieces of some hundred kilobytes."""
    batch: list[str] = []
    for path in closure.paths():
        batch.append(path)
        if len(batch) == _JOIN:
            yield ("\0".join(batch) + "\0").encode("ascii")
            batch.clear()
    if batch:
        yield ("\0".join(batch) + "\0").encode("ascii")


def list_is_current(closure: Closure, dest: str) -> bool:
    """Whether the file I(dest) holds the closure's list already, with mode 0600; never follows a link."""
    try:
        descriptor = os.open(dest, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != 0o600:
        os.close(descriptor)
        return False
    with os.fdopen(descriptor, "rb") as stream:
        return all(stream.read(len(piece)) == piece for piece in _pieces(closure)) and not stream.read(1)


def write_list(closure: Closure, dest: str) -> None:
    """Write the closure's list to I(dest): relative paths, each ended by NUL, sorted, for C(rsync --files-from --from0).

    Mode 0600, whole or not at all; a missing directory is made with mode 0700.
    """
    dest = os.path.abspath(dest)
    directory = os.path.dirname(dest)
    make_private_directory(directory)
    # Two hosts may be restored from one set at once: the second waits, and writes the same list again.
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with replacing(dest) as stream:
            for piece in _pieces(closure):
                stream.write(piece)
    finally:
        os.close(lock)
