# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolling forward: from each living library's head in a set to its newest complete descendant among the objects of the backup.

A backup pulls objects that are newer than its dump, and later runs bring more. A commit of them may become a library's head when
the whole way from it back to the dumped head is there and reads, when everything that must be there below it is there
(:mod:`closure` has the rules), and when the content of each object that is newly reached has its id. Nothing is believed of these
objects: no verification has looked at them.

What is read goes with the number of commits that the set does not reach, not with the size of the libraries. Only a library whose
history has a limit is walked once more, because there the walk from the old head does not tell what must be there.

An origin and its sub-libraries are merged with each other by the server, which compares both with the tree of the base commit
(server/virtual-repo.c, merge_virtual_repo()). See :func:`merged_last` for what keeps that from taking changes back.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import closure
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import printable
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import DIRECTORY, FILE, ZERO_ID, Damage, ObjectDirectory, ObjectStore
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import LIVE, ORPHAN, Library, Place, Pointers, with_heads

Key = t.Tuple[str, str, bytes]
"""Kind, store and id of an object."""

_LINES_TOLD = 3
_TRIES = 16
"""So many heads of one family are tried when the walk of the whole family refuses the first."""


@dataclasses.dataclass(frozen=True)
class Advance:
    """One library that goes forward.

    :arg before: its head in the set. :arg after: its new one.
    :arg commits: how many commits are gained. :arg time: of the new head, seconds since 1970.
    """

    library: str
    name: str
    before: bytes
    after: bytes
    commits: int
    time: int


@dataclasses.dataclass
class Rolled:
    """What goes forward, the places of sub-libraries that go with it, and what a person should know."""

    advances: list[Advance] = dataclasses.field(default_factory=list)
    places: dict[str, Place] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)


def roll_forward(store: ObjectStore, pointers: Pointers, walked: closure.Closure, now: int, damaged: t.Collection[Key], excluded: t.Collection[str]) -> Rolled:
    """Return how far the living libraries of I(pointers) can go, and add what they then reach to I(walked).

    :arg walked: the closure of I(pointers).
    :arg now: the moment that history limits count from, as for :func:`closure.walk`.
    :arg damaged: objects of the closure that are damaged or missing, which is accepted: they do not count here either.
    :arg excluded: stores of families that stay as they are.
    """
    rolled = Rolled()
    for store_id, libraries in closure.families_of(pointers).items():
        if store_id not in excluded:
            _Family(store, walked, store_id, libraries, now, damaged).roll(rolled)
    return rolled


def time_text(seconds: int) -> str:
    """The moment I(seconds) since 1970; the number itself when no calendar has it."""
    try:
        return as_text(datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc))
    except (ValueError, OverflowError, OSError):
        return f"{seconds} seconds after 1970"


# -- an origin and its sub-library -----------------------------------------------------------------------------------


class Ambiguous(Exception):
    """Origin and sub-library went back and forth so that their last common state cannot be told."""


def merged_last(origin: t.Sequence[bytes | None], part: t.Sequence[bytes]) -> int | None:
    """Return the position in I(origin) of the state that it last had in common with its sub-library; None when they never had one.

    The server merges by three trees: the origin's folder, the sub-library, and the folder in the base commit, to which the row in
    C(VirtualRepo) points. It takes the side that is as in the base for unchanged and overwrites it with the other. A merge makes both
    sides equal, so that the last state they have in common is the base that the server had. With an older base the next merge would
    call old changes new: deleted files come back, and files that came back are deleted.

    :arg origin: ids of the folder in the origin's heads since the set, oldest first; None where it has no such folder.
    :arg part: ids of the root in the sub-library's heads since the set.
    :raises Ambiguous: each has a later common state than the other. One of them was taken back to an older state, and which of the
        two did not know of it cannot be told: the wrong guess would undo the newest change.
    """
    latest = {root: at for at, root in enumerate(part)}
    common = {(at, latest[root]) for at, root in enumerate(origin) if root is not None and root in latest}
    if not common:
        return None
    last = max(at for at, dummy in common)
    if (last, max(at for dummy, at in common)) not in common:
        raise Ambiguous
    return last


# -- commits ---------------------------------------------------------------------------------------------------------


class _New(t.NamedTuple):
    """A commit that the set does not reach."""

    root: bytes
    parents: t.Tuple[bytes, ...]
    ctime: int
    size: int
    odd: str
    """Why it cannot be the head of this library although it is sound, or nothing."""


@dataclasses.dataclass
class _History:
    """The commits of one library that the set does not reach, and what is wrong with each.

    :arg root: the tree of the I(head) in the set.
    :arg order: those that can be read, parents before their children.
    :arg lost: those that do not lead back to known commits, and why.
    :arg lines: those that descend from the head.
    :arg faults: those of I(lines) that cannot be a head, and why.
    """

    library: Library
    head: bytes
    root: bytes
    new: dict[bytes, _New]
    order: list[bytes]
    lost: dict[bytes, str]
    lines: set[bytes]
    faults: dict[bytes, str] = dataclasses.field(default_factory=dict)

    def gained(self, heads: t.Iterable[bytes]) -> set[bytes]:
        """I(heads) and all commits before them that the set does not reach."""
        found: set[bytes] = set()
        stack = list(heads)
        while stack:
            commit_id = stack.pop()
            if commit_id in self.new and commit_id not in found:
                found.add(commit_id)
                stack.extend(self.new[commit_id].parents)
        return found

    def ends(self) -> list[tuple[int, int, bytes]]:
        """The heads it may get that no other one contains, the best first: most commits, then the newest. C((commits, time, id))."""
        good = [commit_id for commit_id in self.order if commit_id in self.lines and commit_id not in self.faults]
        covered = self.gained(parent for commit_id in good for parent in self.new[commit_id].parents)
        ends = [(len(self.gained([commit_id])), self.new[commit_id].ctime, commit_id) for commit_id in good if commit_id not in covered]
        return sorted(ends, reverse=True)

    def chain(self, head: bytes) -> list[bytes] | None:
        """The heads from the set's to I(head), oldest first: first parents, for a merge keeps the head before it there. None if they lead elsewhere."""
        found = []
        while head != self.head:
            if head not in self.new or not self.new[head].parents or len(found) > len(self.new):
                return None
            found.append(head)
            head = self.new[head].parents[0]
        return [self.head, *reversed(found)]


def _ordered(new: t.Mapping[bytes, _New]) -> list[bytes]:
    """Parents before children. What stands in a circle (no hash covers parents) has a child before its parent somewhere."""
    order: list[bytes] = []
    entered: set[bytes] = set()
    for start in sorted(new):
        stack = [(start, False)]
        while stack:
            commit_id, is_left = stack.pop()
            if is_left:
                order.append(commit_id)
            elif commit_id not in entered:
                entered.add(commit_id)
                stack.append((commit_id, True))
                stack.extend((parent, False) for parent in new[commit_id].parents if parent in new and parent not in entered)
    return order


# -- trees -----------------------------------------------------------------------------------------------------------


class _Trees:
    """Whether trees are whole, each object read and hashed once at most.

    :arg trusts: tells of an object of this kind whether it and all below it is known to be there.
    """

    def __init__(self, fs: ObjectDirectory, blocks: ObjectDirectory, trusts: t.Callable[[str, bytes], bool]) -> None:
        self.fs = fs
        self.blocks = blocks
        self.trusts = trusts
        self.whole: set[bytes] = {ZERO_ID}
        self.faults: dict[bytes, str] = {}
        self.paths: dict[tuple[bytes, str], bytes | None] = {}

    def fault(self, root: bytes, version: int) -> str:
        """What is wrong with the directory I(root); nothing when all of it is there."""
        path: list[tuple[bytes, t.Iterator[tuple[bytes, int]]]] = [(ZERO_ID, iter([(root, DIRECTORY)]))]
        while path:
            above, children = path[-1]
            for object_id, kind in children:
                if object_id in self.whole or self.trusts("fs", object_id):
                    continue
                inside = self._open(object_id, kind, version)
                if isinstance(inside, str):
                    # all that is open stands above it
                    self.faults.update((opened, inside) for opened, dummy in path[1:])
                    return inside
                path.append((object_id, iter(inside)))
                break
            else:
                self.whole.add(above)
                path.pop()
        return ""

    def _open(self, object_id: bytes, kind: int, version: int) -> list[tuple[bytes, int]] | str:
        """The fs objects in it, or what is wrong with it or with its blocks."""
        fault = self.faults.get(object_id)
        if fault is None:
            try:
                found = self.fs.read_children(object_id, version)
                if found.damage:
                    raise found.damage
                if found.type != kind:
                    return f"fs object {object_id.hex()} is not {'a directory' if kind == DIRECTORY else 'a file'} as its entry says"
            except Damage as damage:
                fault = f"fs object {object_id.hex()} {damage.kind} ({damage.cause})"
            else:
                fault = next(filter(None, map(self._block_fault, found.blocks)), None)
        if fault is None:
            return [(entry, DIRECTORY) for entry in found.directories] + [(entry, FILE) for entry in found.files]
        self.faults[object_id] = fault
        return fault

    def _block_fault(self, block: bytes) -> str:
        if block in self.whole or self.trusts("blocks", block):
            return ""
        if block not in self.faults:
            try:
                self.blocks.check_block(block)
            except Damage as damage:
                self.faults[block] = f"block {block.hex()} {damage.kind} ({damage.cause})"
            else:
                self.whole.add(block)
        return self.faults.get(block, "")

    def folder(self, root: bytes, path: str, version: int) -> bytes | None:
        """The id of the folder I(path) in the tree I(root), None when it has none."""
        if (root, path) not in self.paths:
            self.paths[root, path] = self._find(root, [name for name in path.split("/") if name], version)
        return self.paths[root, path]

    def _find(self, root: bytes, names: list[str], version: int) -> bytes | None:
        for name in names:
            try:
                entries = self.fs.read_fs(root, version)[0].entries if root != ZERO_ID else ()
            except Damage:
                return None
            found = [entry.id for entry in entries if entry.name == name and entry.is_directory]
            if not found:
                return None
            root = found[0]
        return root


# -- a family --------------------------------------------------------------------------------------------------------


class _Family:
    """A library with its sub-libraries: all that share one store of fs objects and blocks."""

    def __init__(self, store: ObjectStore, walked: closure.Closure, store_id: str, libraries: list[Library], now: int, damaged: t.Collection[Key]) -> None:
        self.store = store
        self.walked = walked
        self.store_id = store_id
        self.libraries = libraries
        self.now = now
        self.damaged = damaged
        self.entries = {entry["id"]: entry for entry in walked.libraries}
        self.notes: list[str] = []
        self.histories: dict[str, _History] = {}
        self.version = 0
        self.parts = [library for library in libraries if library.origin and library.kind != ORPHAN]
        # The walk from the old heads tells what must be there only when all that it reached must.
        self.is_exact = all(library.kind != ORPHAN and library.truncate_time(now) < 0 and self._has_whole_history(library) for library in libraries)

    def _has_whole_history(self, library: Library) -> bool:
        """Whether each commit that is known of the library is one that its heads reach: a base commit may be another."""
        commits = self.walked.objects("commits", library.id)
        return len(commits.seen) - len(commits.absent) == self.entries[library.id]["commits"]

    def _name(self, library: Library) -> str:
        return printable(self.entries[library.id]["name"] or library.id)

    def roll(self, rolled: Rolled) -> None:
        """Find the new heads, add what they reach to the closure, and tell it in I(rolled)."""
        for library in self.libraries:
            if library.kind == LIVE:
                self._read_history(library)
        if not any(history.new for history in self.histories.values()):
            rolled.notes += self.notes
            return
        with self.store.open("fs", self.store_id) as fs, self.store.open("blocks", self.store_id) as blocks:
            self.trees = _Trees(fs, blocks, self._trusts)
            for history in self.histories.values():
                self._judge(history)
            chosen, places = self._choose()
            advances = [self._advance(self.histories[library_id], head) for library_id, head in chosen.items()]
            if self.is_exact:
                for advance in advances:
                    self._add(self.histories[advance.library], advance)
        for advance in advances:
            entry = self.entries[advance.library]
            entry.update(head=advance.after.hex(), name=advance.name)
        for library_id, history in self.histories.items():
            self._tell(history, chosen.get(library_id))
        rolled.advances += advances
        rolled.places.update(places)
        rolled.notes += self.notes

    # -- commits -------------------------------------------------------------------------------------------------

    def _read_history(self, library: Library) -> None:
        """Read the commits of I(library) that the set does not reach; libraries that cannot go forward get no history."""
        origin = self.entries.get(library.origin or library.id)
        if library.origin and (library.origin != self.store_id or origin is None or origin["kind"] != LIVE):
            return  # its origin is deleted, or a sub-library itself: nothing merges here as it is known
        head = library.heads[0] if len(library.heads) == 1 else ZERO_ID
        with self.store.open("commits", library.id) as commits:
            try:
                current, document = commits.read_commit_document(head)
            except Damage:
                return  # what is wrong with the head is told by the walk
            known = self.walked.objects("commits", library.id)
            new: dict[bytes, _New] = {}
            lost: dict[bytes, str] = {}
            for commit_id in commits.ids():
                if commit_id in known.seen:
                    continue
                try:
                    size = commits.size(commit_id)
                    commit, newer = commits.read_commit_document(commit_id)
                except Damage as damage:
                    lost[commit_id] = f"commit {commit_id.hex()} {damage.kind} ({damage.cause})"
                    continue
                # most commits have one of few reasons, or none
                odd = _odd(commit, newer, current, document)
                new[commit_id] = _New(commit.root, tuple(parent for parent in commit.parents if parent != ZERO_ID), commit.ctime, size, odd)
        self.version = current.version
        history = _History(library, head, current.root, new, _ordered(new), lost, set())
        connected: set[bytes] = set()
        for commit_id in history.order:
            parents = new[commit_id].parents
            fault = next(filter(None, (self._parent_fault(history, parent, known, connected) for parent in parents)), "")
            if fault:
                lost[commit_id] = fault
                continue
            connected.add(commit_id)
            if any(parent == head or parent in history.lines for parent in parents):
                history.lines.add(commit_id)
        # what is older than the head is a leftover that nobody waits for
        history.lost = {commit_id: fault for commit_id, fault in lost.items() if commit_id not in new or new[commit_id].ctime >= current.ctime}
        self.histories[library.id] = history

    def _parent_fault(self, history: _History, parent: bytes, known: t.Any, connected: t.Collection[bytes]) -> str:
        """Why the way back ends at this parent of a commit; nothing when it goes on."""
        if parent in known.seen:
            is_there = parent not in known.absent or ("commits", history.library.id, parent) in self.damaged
            return "" if is_there else f"commit {parent.hex()} missing (there is no such file)"
        if parent in history.lost:
            return history.lost[parent]
        if parent not in history.new:
            return f"commit {parent.hex()} missing (there is no such file)"
        return "" if parent in connected else f"commit {parent.hex()} is its own ancestor"

    # -- which commits may be a head -----------------------------------------------------------------------------

    def _trusts(self, kind: str, object_id: bytes) -> bool:
        """Whether an object needs no look: it is known to be there, or its damage is accepted."""
        if (kind, self.store_id, object_id) in self.damaged:
            return True
        known = self.walked.objects(kind, self.store_id)
        # Elsewhere an fs object may be known although what is below it is not there. A block has nothing below it.
        return (self.is_exact or kind == "blocks") and object_id in known.seen and object_id not in known.absent

    def _judge(self, history: _History) -> None:
        """Find out which commits of the lines cannot be a head. As :mod:`closure` goes down from a head."""
        limit = history.library.truncate_time(self.now)
        needed = history.gained(history.lines)
        below: dict[bytes, str] = {}
        folders: dict[bytes, str] = {}
        for commit_id in history.order:
            if commit_id not in needed:
                continue
            commit = history.new[commit_id]
            fault = self.trees.fault(commit.root, self.version)
            before = next((below[parent] for parent in commit.parents if below.get(parent)), "") if limit else ""
            # a commit that is older than the limit is kept itself, and what is before it need not be there
            below[commit_id] = fault or ("" if 0 < limit and commit.ctime < limit else before)
            if commit_id in history.lines:
                folders[commit_id] = self._folder_fault(history, commit) or next((folders[parent] for parent in commit.parents[:1] if parent in folders), "")
                found = fault or before or commit.odd or folders[commit_id]
                if found:
                    history.faults[commit_id] = found

    def _folder_fault(self, history: _History, commit: _New) -> str:
        """Seafile deletes a sub-library whose folder its origin does not have, unless the last commit alone shows its new name."""
        for part in self.parts:
            path = part.path or ""
            if (part.origin == history.library.id and self.trees.folder(commit.root, path, self.version) is None
                    and self.trees.folder(history.root, path, self.version) is not None):
                return f"it does not have the folder {printable(path)} of the sub-library {self._name(part)}"
        return ""

    # -- which of them are taken ---------------------------------------------------------------------------------

    def _choose(self) -> tuple[dict[str, bytes], dict[str, Place]]:
        """The new heads of the family, and the base commits that belong to them."""
        for dummy in range(_TRIES):
            chosen = {library_id: ends[0][2] for library_id, ends in ((key, history.ends()) for key, history in self.histories.items()) if ends}
            places = self._places(chosen)
            if not chosen or places is None:
                return {}, {}
            refused = set() if self.is_exact else self._walk_again(chosen, places)
            if not refused:
                return chosen, places
            for library_id in refused:
                self.histories[library_id].faults[chosen[library_id]] = "older objects that it reaches again are not there"
        self.notes.append(f"not rolled forward: {self._name(self.libraries[0])}: none of its {_TRIES} newest complete commits reaches all of its history")
        return {}, {}

    def _places(self, chosen: t.Mapping[str, bytes]) -> dict[str, Place] | None:
        """The base commits of sub-libraries that change; None when the family cannot go forward together."""
        places: dict[str, Place] = {}
        for part in self.parts:
            origin = t.cast(str, part.origin)
            if part.kind != LIVE or not {part.id, origin} & set(chosen):
                continue
            mine, theirs = self._heads_since(part.id, chosen), self._heads_since(origin, chosen)
            path = part.path or ""
            try:
                if mine is None or theirs is None:
                    raise Ambiguous
                folders = [self.trees.folder(root, path, self.version) for dummy, root in theirs]
                if folders[0] is None:
                    continue  # lost before the set was made; nothing is merged
                last = merged_last(folders, [root for dummy, root in mine])
            except Ambiguous:
                self.notes.append(f"not rolled forward: {self._name(part)} and the library that it is a part of: their last common state cannot be told, "
                                  "and Seafile's next merge could undo the newest changes. Newer commits can be taken out with library_export")
                return None
            if last is not None and folders[last] != self._base_folder(part, origin):
                places[part.id] = Place(theirs[last][0].hex(), path)
        return places

    def _base_folder(self, part: Library, origin: str) -> bytes | None:
        """The folder as it is in the base commit that the set has."""
        with self.store.open("commits", origin) as commits:
            try:
                return self.trees.folder(commits.read_commit(part.base or ZERO_ID)[0].root, part.path or "", self.version)
            except Damage:
                return None

    def _heads_since(self, library_id: str, chosen: t.Mapping[str, bytes]) -> list[tuple[bytes, bytes]] | None:
        """The heads that the library had from the set's on to the chosen one, with their trees; None when that cannot be told."""
        history = self.histories.get(library_id)
        chain = history.chain(chosen.get(library_id, history.head)) if history else None
        if history is None or chain is None:
            return None
        return [(history.head, history.root)] + [(commit_id, history.new[commit_id].root) for commit_id in chain[1:]]

    # -- what they reach -----------------------------------------------------------------------------------------

    def _advance(self, history: _History, head: bytes) -> Advance:
        with self.store.open("commits", history.library.id) as commits:
            name = commits.read_commit(head)[0].name
        return Advance(history.library.id, name or self.entries[history.library.id]["name"], history.head, head, len(history.gained([head])),
                       history.new[head].ctime)

    def _add(self, history: _History, advance: Advance) -> None:
        """Add what the new head reaches to the closure. All of it was read."""
        commits = self.walked.objects("commits", history.library.id)
        fs, blocks = self.walked.objects("fs", self.store_id), self.walked.objects("blocks", self.store_id)
        for commit_id in history.gained([advance.after]):
            commits.seen.add(commit_id)
            self.walked.add("commits", history.new[commit_id].size)
            stack = [history.new[commit_id].root]
            while stack:
                object_id = stack.pop()
                if object_id in fs.seen or object_id == ZERO_ID:
                    continue
                fs.seen.add(object_id)
                found = self.trees.fs.read_children(object_id, self.version)
                self.walked.add("fs", found.size)
                stack += [*found.directories, *found.files]
                for block in found.blocks:
                    if block not in blocks.seen and block != ZERO_ID:
                        blocks.seen.add(block)
                        self.walked.add("blocks", self.trees.blocks.size(block))
        self.entries[history.library.id]["commits"] += advance.commits

    def _walk_again(self, chosen: t.Mapping[str, bytes], places: t.Mapping[str, Place]) -> set[str]:
        """Walk the whole family from its new heads; return the libraries that are to blame for what is missing, else take the walk over.

        History that is older than its limit may be missing; a new head may need it again.
        """
        combined = with_heads(Pointers(self.libraries, []), {library_id: head.hex() for library_id, head in chosen.items()}, places)
        fresh = closure.walk(self.store, combined, self.now)
        for finding in fresh.findings:
            if (finding.kind, finding.store, bytes.fromhex(finding.id)) not in self.damaged:
                return {finding.library} & set(chosen) or set(chosen)
        keys = [("commits", library.id) for library in self.libraries] + [("fs", self.store_id), ("blocks", self.store_id)]
        sizes: list[tuple[str, int]] = []
        for kind, store_id in keys:
            old, new = self.walked.objects(kind, store_id), fresh.objects(kind, store_id)
            with self.store.open(kind, store_id) as directory:
                for object_id in new.seen - new.absent:
                    if object_id not in old.seen or object_id in old.absent:
                        try:
                            sizes.append((kind, self._proved(directory, object_id)))
                        except Damage:
                            return set(chosen)
        for kind, size in sizes:
            self.walked.add(kind, size)
        for kind, store_id in keys:
            old, new = self.walked.objects(kind, store_id), fresh.objects(kind, store_id)
            old.seen, old.absent = new.seen, new.absent
        for entry in fresh.libraries:
            self.entries[entry["id"]].update(entry)
        return set()

    def _proved(self, directory: ObjectDirectory, object_id: bytes) -> int:
        """The size of an object, its content hashed; raises :class:`Damage`. What is accepted as damaged counts with no bytes."""
        if directory.kind == "blocks":
            return directory.size(object_id) if object_id in self.trees.whole else directory.check_block(object_id)
        if directory.kind == "commits":
            return directory.size(object_id)  # read and hashed when the history was
        found = directory.read_children(object_id, self.version)
        if found.damage:
            raise found.damage
        return found.size

    # -- in words ------------------------------------------------------------------------------------------------

    def _tell(self, history: _History, head: bytes | None) -> None:
        """Say what of a library's newer commits is left behind."""
        name = self._name(history.library)
        gained = history.gained([head] if head else [])
        others = [end for end in history.ends() if end[2] not in gained]
        for count, time, commit_id in others[:_LINES_TOLD]:
            line = "another line and " if head else ""
            self.notes.append(f"{name}: {count} newer commits up to {commit_id.hex()} of {time_text(time)} are {line}not taken")
        if len(others) > _LINES_TOLD:
            self.notes.append(f"{name}: {len(others) - _LINES_TOLD} lines more are not taken")
        left = [commit_id for commit_id in history.faults if commit_id not in gained]
        if left:
            newest = max(left, key=lambda commit_id: (history.new[commit_id].ctime, commit_id))
            self.notes.append(f"{name}: {len(left)} newer commits cannot be taken, the newest is {newest.hex()} of "
                              f"{time_text(history.new[newest].ctime)}: {history.faults[newest]}")
        if history.lost:
            self.notes.append(f"{name}: {len(history.lost)} newer commits do not lead back to the set's: {min(history.lost.values())}")


def _odd(commit: t.Any, document: t.Mapping[str, t.Any], current: t.Any, current_document: t.Mapping[str, t.Any]) -> str:
    """Why the commit cannot follow I(current) in one library. Its password may change, what it is encrypted by may not."""
    if commit.version != current.version:
        return "its format is of another version"
    if (commit.encrypted, commit.enc_version if commit.encrypted else 0) != (current.encrypted, current.enc_version if current.encrypted else 0):
        return "it is encrypted in another way than before"
    if commit.encrypted and any(current_document.get(key) and not document.get(key) for key in ("key", "salt")):
        return "it lacks the key of the library"
    return ""
