# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk of one family (a library with its sub-libraries) by ids alone, in one process or divided among several.

It judges as closure.py does, which is the reference; see verification.py for what is done to be fast.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import proved_index, verification_outcome
from ansible_collections.seafleet.seafile.plugins.module_utils.closure import OPTIONAL, WHOLE, WITHOUT_BLOCKS, Finding, locate
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import OBJECT_KINDS
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import (
    DIRECTORY,
    FILE,
    ZERO_ID,
    Commit,
    Damage,
    ObjectDirectory,
    ObjectStore,
)
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import ORPHAN, Library
from ansible_collections.seafleet.seafile.plugins.module_utils.process_team import LEFT_ALONE, Mesh
from ansible_collections.seafleet.seafile.plugins.module_utils.proved_index import FamilyIndex, IndexDamaged, Section, limit_key, proof
from ansible_collections.seafleet.seafile.plugins.module_utils.verification_outcome import FULL, NEW, Outcome, Request, by_kind

# A directory that changed less than this before it was looked at may change again without another time (ns).
_RACY_NS = 2 * 10**9
# Estimated cost in seconds of one object, and of one byte of a block, by which families are called large. Measured: 25 us, 12 us.
_FS_COST = 30e-6
_COMMIT_COST = 40e-6
_BLOCK_COST = 12e-6
_BYTE_COST = 1 / 0.8e9
_LARGE_SECONDS = 0.3

# What is known of an id that a walk has met.
_UNDER_WHOLE = 1  # met where everything must be there; for a commit: its parents were walked under the same rule
_PROVED = 2  # read and hashed in this walk
_TRUSTED = 4  # proved earlier, not read
_ABSENT = 8  # legally missing
_BAD = 16
_VERSION_0 = 32
_CHAIN = 64  # a commit whose ancestors must all be there
_FOLDER = 128

# What one process tells another: an id, and as what it must be read.
_DIRECTORY_1, _FILE_1, _BLOCK, _DIRECTORY_0, _FILE_0 = range(5)
_SORTS = 5
_RECENT_IDS = 50000


@dataclasses.dataclass(frozen=True)
class Task:
    """One family. Without libraries it is only scrubbed."""

    store: str
    libraries: t.List[Library]


@dataclasses.dataclass(frozen=True)
class Context:
    """What all processes know."""

    request: Request
    tasks: t.List[Task]
    root: int
    """The inode of the directory of the objects."""
    moment: int
    """The time of proofs made now, seconds since 1970."""
    scrub_to: t.Optional[t.Tuple[int, bytes]]
    """Proofs up to this (time, id) are scrubbed."""
    advance: t.Optional[t.Callable[[int, int], None]] = None
    """Told now and then how many (objects, bytes) this process has read or looked at since the last time."""


class Part:
    """One process's part of the walk of one family: the ids from prefix I(low) to below I(high); the leader has the commits too.

    The methods without underscore are the steps of :func:`verification._verify_family`, in their order.

    :arg owners: by first byte of an id: the number of the process that owns it.
    """

    def __init__(self, context: Context, number: int, me: int = 0, owners: bytes = bytes(256)) -> None:
        self.parent = os.getppid()
        self.context = context
        self.request = context.request
        self.task = context.tasks[number]
        self.store = ObjectStore(context.request.objects)
        self.me = me
        self.owners = owners
        self.low = owners.index(me)
        self.high = owners.rindex(me) + 1
        self.alone = self.low == 0 and self.high == 256
        self.leader = me == 0
        self.outcome = Outcome()
        self.index = FamilyIndex(self.task.store, context.root)
        self.has_index = False
        self.gone = 0
        self.stale = False
        self.walked = False
        families = {self.task.store, *(library.id for library in self.task.libraries)}
        self.full = self.request.level == FULL or bool(families & self.request.distrusted)
        self.trust = False
        self.commits: dict[str, dict[bytes, int]] = {}
        self.clear_commits: set[str] = set()
        self.states: dict[str, dict[bytes, int]] = {"fs": {}, "blocks": {}}
        self.bad: dict[tuple[str, str, bytes], tuple[str, str]] = {}
        self.bad_total = 0
        self.looked_at = 0
        self.told = (0, 0)
        self.rule = WHOLE
        self.source: t.Iterator[None] | None = None
        self.later: dict[int, list[tuple[int, bytes]]] = {WITHOUT_BLOCKS: [], OPTIONAL: []}
        self.stacks: list[list[bytes]] = [[] for dummy in range(_SORTS)]
        self.edges: dict[tuple[int, int], bytearray] = {}
        self.recent: set[bytes] = set()
        self.fs = self.store.open("fs", self.task.store)
        self.blocks = self.store.open("blocks", self.task.store)

    def close(self) -> None:
        self.fs.close()
        self.blocks.close()

    def _mine(self) -> t.Iterator[tuple[str, str]]:
        """The sections that this part has to do with."""
        keys = {("fs", self.task.store), ("blocks", self.task.store)}
        if self.leader:
            keys |= {("commits", store) for store in (self.task.store, *(library.id for library in self.task.libraries))}
            keys |= {key for key in self.index.sections if key[0] == "commits"}
        return iter(sorted(keys))

    def _range(self, kind: str) -> tuple[int, int]:
        return (0, 256) if kind == "commits" else (self.low, self.high)

    # -- steps ---------------------------------------------------------------------------------------------------

    def load(self) -> str | None:
        """Read the index and compare it with the directories; return why it is not believed, or None."""
        if self.request.index is None:
            self._look(False)
            return None
        try:
            index = proved_index.load(self.request.index, self.task.store, self.context.root)
            if index is not None:
                for key in list(index.sections):
                    if key[0] == "commits":
                        if not self.leader:
                            del index.sections[key]
                    elif key[1] != self.task.store:
                        raise IndexDamaged("it has objects of another store")
                    elif not self.alone:
                        index.sections[key].restrict(self.low, self.high)
                self.index = index
                self.has_index = True
            self._look(True)
        except IndexDamaged as damage:
            self.forget()
            return str(damage)
        return None

    def forget(self) -> None:
        """Go on without an index."""
        self.index = FamilyIndex(self.task.store, self.context.root)
        self.has_index = False
        self.outcome.rotten = []
        self._look(False)

    def _look(self, compare: bool) -> None:
        """Note the state of all directories; take the proofs of what has gone out of the index.

        It is done before any object is read, so that what happens to a directory afterwards shows the next time.
        """
        self.gone = 0
        self.stale = False
        for kind, store in self._mine():
            section = self.index.section(kind, store)
            with self.store.open(kind, store) as objects:
                inode = objects.inode()
                now = objects.prefixes(*self._range(kind))
                moment = time.time_ns()
                if compare and section.inode and inode and section.inode != inode:
                    raise IndexDamaged(f"it is the index of another place: the directory {kind}/{store} has another inode")
                if compare:
                    self._compare(kind, store, section, objects, now)
                state = {prefix: (changed if moment - changed > _RACY_NS else 0, number) for prefix, (changed, number) in now.items()}
            if section.inode != inode or section.prefixes != state:
                self.stale = True
            section.inode = inode
            section.prefixes = state

    def _compare(self, kind: str, store: str, section: Section, objects: ObjectDirectory, now: dict[int, tuple[int, int]]) -> None:
        gone: list[bytes] = []
        known = [prefix for prefix in range(256) if section.bounds()[prefix] < section.bounds()[prefix + 1]] if len(section) else []
        for prefix in known:
            before = section.prefixes.get(prefix, (0, 0))
            state = now.get(prefix, (0, 0))
            if before == state and before[0]:
                continue
            if before[1] and state[1] and before[1] != state[1]:
                raise IndexDamaged(f"it is the index of another place: the directory {kind}/{store}/{prefix:02x} has another inode")
            names = objects.names(prefix) if state[1] else set()
            for object_id, flags in section.of_prefix(prefix):
                if (object_id in names) == bool(flags & proved_index.ABSENT):
                    gone.append(object_id)
                    if not flags & proved_index.ABSENT:
                        self._rotten(kind, store, object_id)
        if gone:
            section.drop(gone)
            self.stale = True

    def _rotten(self, kind: str, store: str, object_id: bytes) -> None:
        self.gone += 1
        if len(self.outcome.rotten) < verification_outcome.MOST_FINDINGS:
            self.outcome.rotten.append((kind, store, object_id.hex()))

    def large(self) -> tuple[float, float] | None:
        """The weight of the family if it is worth the work of several processes, else None."""
        if not self.task.libraries or (self.request.level == NEW and not self.full and not self.gone and self.unmoved()):
            return None
        weight = self._weigh()
        return weight if sum(weight) > _LARGE_SECONDS else None

    def _weigh(self) -> tuple[float, float]:
        """Estimate the seconds that the family's objects will cost one process: (commits, fs and blocks)."""
        cost = 0.0
        for kind, objects in (("fs", self.fs), ("blocks", self.blocks)):
            count = size = 0
            for prefix in (0x2a, 0xd5):
                names = objects.names(prefix)
                count += len(names)
                if kind == "blocks":
                    for object_id in names:
                        with contextlib.suppress(Damage):
                            size += objects.size(object_id)
            count *= 128
            size *= 128
            rows = len(self.index.section(kind, self.task.store))
            proved = 0.0 if self.full or not count else min(rows / count, 1.0)
            if kind == "fs":
                # Without a proof of wholeness everything is walked, and nobody knows it before.
                whole = self.request.level == NEW and not self.gone and any(library.whole for library in self.index.libraries.values())
                cost += count * _FS_COST * (1 - (proved if whole else 0))
            else:
                cost += (count * _BLOCK_COST + size * _BYTE_COST) * (1 - proved)
        commits = 0
        for library in self.task.libraries:
            with self.store.open("commits", library.id) as objects:
                commits += len(objects.names(0x2a)) * 256
        whole = self.request.level == NEW and not self.full and self.has_index
        return (0.0 if whole else commits * _COMMIT_COST), cost

    def scrub(self) -> None:
        """Read and hash what is due; take the proofs of what is damaged out of the index."""
        if self.context.scrub_to is None or not self.has_index or (self.full and self.task.libraries):
            return
        for (kind, store), section in self.index.sections.items():
            due = [at for moment, at in section.times() if (moment, bytes(section.rows[at:at + 20])) <= self.context.scrub_to]
            bad = []
            with self.store.open(kind, store) as objects:
                for at in due:
                    object_id = bytes(section.rows[at:at + 20])
                    try:
                        self.outcome.scrubbed["bytes"] += _check(objects, kind, object_id, bool(section.rows[at + 24] & proved_index.VERSION_0))
                        section.renew(at, self.context.moment)
                        self.stale = True
                    except Damage:
                        bad.append(object_id)
                        self._rotten(kind, store, object_id)
                    self.outcome.scrubbed["files"] += 1
                    self._stay()
            section.drop(bad)

    def unmoved(self) -> bool:
        """Whether the last walk saw the very same pointers, found nothing wrong, and asked for no less of the history."""
        for library in self.task.libraries:
            record = self.index.libraries.get(library.id)
            if record is None or not record.whole or record.limit > limit_key(library.truncate_time(self.request.now)):
                return False
            if (record.heads, record.base, record.kind) != _record(library):
                return False
        return True

    def state(self) -> tuple[int, bool]:
        """How many proofs were lost, and whether the index must be written."""
        return self.gone, self.stale

    def begin(self, gone: bool) -> None:
        """Get ready for the walk.

        :arg gone: a proved object is missing or damaged somewhere in the family: nothing is trusted to be whole.
        """
        if gone:
            self._distrust()
        self.trust = self.has_index and self.request.level == NEW and not self.full and not gone
        self.walked = True
        if self.leader:
            self.source = self._walk_commits()

    def _distrust(self) -> None:
        for section in self.index.sections.values():
            section.clear(proved_index.WHOLE | proved_index.CHAIN)
        for key, record in self.index.libraries.items():
            self.index.libraries[key] = record._replace(whole=False)

    def walk(self, rule: int, mesh: Mesh | None = None) -> None:
        """One pass: everything below the trees of this rule that no earlier pass has met."""
        self.rule = rule
        for sort, object_id in self.later.pop(rule, ()):
            self._meet(sort, [object_id])
        if mesh is None:
            while self._work():
                self._stay()
            return
        while True:
            busy = self._work()
            self._stay()
            for (peer, sort), ids in self.edges.items():
                mesh.send(peer, sort, ids)
            self.edges.clear()
            if not busy:
                mesh.tell_idle()
            for sort, ids in mesh.exchange(wait=not busy):
                self._meet(sort, [ids[at:at + 20] for at in range(0, len(ids), 20)])
            if mesh.ended:
                mesh.ended = False
                return

    def _stay(self) -> None:
        """End when the process that wants to know the result has been killed; else tell how far this part is."""
        if os.getppid() != self.parent:
            os._exit(LEFT_ALONE)
        if self.context.advance is not None:
            counts = (*self.outcome.hashed.values(), self.outcome.scrubbed)
            done = self.looked_at + sum(count["files"] for count in counts)
            size = sum(count["bytes"] for count in counts)
            self.context.advance(done - self.told[0], size - self.told[1])
            self.told = (done, size)

    def collect(self) -> tuple[dict[tuple[str, str, bytes], tuple[str, str]], int, bool]:
        """What is damaged, how much, and whether something of it was proved before."""
        rotten = self.gone
        for kind, store, object_id in self.bad:
            if kind in OBJECT_KINDS:
                section = self.index.sections.get((kind, store))
                flags = section.flags(object_id) if section and len(section) else -1
                if flags >= 0 and not flags & proved_index.ABSENT and self._state(kind, store, object_id) & _BAD:
                    self._rotten(kind, store, object_id)
        return self.bad, self.bad_total, self.gone > rotten

    def _state(self, kind: str, store: str, object_id: bytes) -> int:
        states = self.commits.get(store, {}) if kind == "commits" else self.states[kind]
        return states.get(object_id, 0)

    def finish(self, grant: bool, gone: bool) -> tuple[FamilyIndex, Outcome]:
        """Return the new index of this part, and its numbers.

        :arg grant: the walk of the whole family ended without a finding.
        :arg gone: see :meth:`begin`; found in the walk itself.
        """
        if gone:
            self._distrust()
        outcome = self.outcome
        for (kind, store), section in self.index.sections.items():
            states = self.commits.get(store, {}) if kind == "commits" else self.states[kind]
            if self.walked:
                section.replace(_rows(states, section, self.context.moment, grant, grant and kind == "commits" and store in self.clear_commits))
            counts = collections.Counter(states.values())
            if self.walked and (self.request.level != NEW or self.full):
                outcome.trusted[kind] += sum(count for state, count in counts.items() if state & _TRUSTED)
                outcome.legally_missing[kind] += sum(count for state, count in counts.items() if state & _ABSENT)
            elif self.task.libraries:
                absent = section.absent()
                outcome.trusted[kind] += len(section) - absent - sum(count for state, count in counts.items() if state & _PROVED)
                outcome.legally_missing[kind] += absent
        self.states = {"fs": {}, "blocks": {}}
        self.commits = {}
        if self.request.index is None:
            outcome.trusted = by_kind()
        if self.leader:
            for library in self.task.libraries:
                limit = limit_key(library.truncate_time(self.request.now))
                if grant:
                    self.index.libraries[library.id] = proved_index.Library(*_record(library), limit, True)
                elif self.walked and library.id in self.index.libraries:
                    self.index.libraries[library.id] = self.index.libraries[library.id]._replace(whole=False)
            outcome.libraries = len(self.task.libraries)
        return self.index, outcome

    def locate(self, bad: dict[tuple[str, str, bytes], tuple[str, str]]) -> Outcome:
        """Tell libraries and paths of what is damaged."""
        found = Outcome()
        named: set[tuple[str, str]] = set()

        class Sink:
            """Remembers which objects were named."""

            @staticmethod
            def append(finding: Finding) -> None:
                named.add((finding.kind, finding.id))
                found.append(finding)

        known = {key: Damage(*damage) for key, damage in bad.items()}
        locate(self.store, self.task.store, self.task.libraries, self.request.now, known, Sink)
        library = self.task.libraries[0]
        for (kind, store, object_id), (damage, cause) in sorted(bad.items()):
            # The store has changed between the two walks: what was found is told all the same.
            if (kind, object_id.hex()) not in named and kind in OBJECT_KINDS:
                found.append(Finding(kind, store, object_id.hex(), library.id, library.name, "", damage, cause, ""))
        return found

    # -- commits -------------------------------------------------------------------------------------------------

    def _damaged(self, kind: str, store: str, object_id: bytes, damage: Damage) -> None:
        key = (kind, store, object_id)
        if key not in self.bad:  # what is damaged in two ways is one object; :meth:`locate` tells of both
            self.bad_total += 1
            if len(self.bad) < verification_outcome.MOST_FINDINGS:
                self.bad[key] = (damage.kind, damage.cause)

    def _count(self, kind: str, size: int) -> None:
        counts = self.outcome.hashed[kind]
        counts["files"] += 1
        counts["bytes"] += size

    def _read_commit(self, objects: ObjectDirectory, states: dict[bytes, int], commit_id: bytes, required: bool) -> Commit | None:
        try:
            commit, size, damage = objects.read_commit(commit_id, True)
        except Damage as found:
            missing = found.kind == "missing"
            states[commit_id] = _ABSENT if missing and not required else _BAD
            if required or not missing:
                self._damaged("commits", objects.store, commit_id, found)
            return None
        self._count("commits", size)
        states[commit_id] = _BAD if damage else _PROVED
        if damage:
            self._damaged("commits", objects.store, commit_id, damage)
        return commit

    def _walk_commits(self) -> t.Iterator[None]:
        """Walk the history of every library as :meth:`closure._Family._walk_commits` does; yield now and then."""
        for library in self.task.libraries:
            with self.store.open("commits", library.id) as objects:
                yield from self._walk_history(library, objects)
        for library in self.task.libraries:
            if library.base and library.base != ZERO_ID and library.heads and library.kind != ORPHAN:
                with self.store.open("commits", self.task.store) as objects:
                    self._add_base(library.base, objects)
                yield

    def _walk_history(self, library: Library, objects: ObjectDirectory) -> t.Iterator[None]:
        required = library.kind != ORPHAN
        if not library.heads and required:
            self._damaged("head", library.id, b"", Damage("missing", "the database has no head for this library"))
        limit = library.truncate_time(self.request.now)
        states = self.commits.setdefault(library.id, {})
        section = self.index.section("commits", library.id)
        record = self.index.libraries.get(library.id)
        same_limit = record is not None and record.limit <= limit_key(limit)
        if not same_limit:
            self.clear_commits.add(library.id)
        trust = self.trust and len(section) > 0
        older: list[bytes] = []
        stack = list(reversed(library.heads))
        while stack or older:
            rule = WHOLE if stack else OPTIONAL
            commit_id = (stack or older).pop()
            if commit_id in states:
                continue
            if trust:
                flags = section.flags(commit_id)
                if flags >= 0 and ((same_limit and flags & proved_index.WHOLE) or (rule == OPTIONAL and flags & proved_index.CHAIN)):
                    states[commit_id] = _TRUSTED
                    continue
            commit = self._read_commit(objects, states, commit_id, required)
            yield
            if commit is None:
                continue
            self._add_tree(rule if required else OPTIONAL, commit)
            parents = [parent for parent in reversed(commit.parents) if parent != ZERO_ID]
            if required:
                states[commit_id] |= _CHAIN
            if rule == OPTIONAL or limit == 0 or (0 < limit and commit.ctime < limit and commit_id not in library.heads):
                older.extend(parents)
            else:
                stack.extend(parents)
                if required:
                    states[commit_id] |= _UNDER_WHOLE

    def _add_base(self, base: bytes, objects: ObjectDirectory) -> None:
        """The tree of the commit that a sub-library was last merged with must be there but for its blocks."""
        states = self.commits.setdefault(self.task.store, {})
        if base in states:
            if states[base] & _TRUSTED and self.index.section("commits", self.task.store).flags(base) & proved_index.WHOLE:
                return
            try:
                commit: Commit | None = objects.read_commit(base)[0]
            except Damage:
                return
        else:
            section = self.index.section("commits", self.task.store)
            flags = section.flags(base) if self.trust and len(section) else -1
            if flags >= 0 and flags & proved_index.WHOLE:
                states[base] = _TRUSTED
                return
            commit = self._read_commit(objects, states, base, True)
        if commit:
            self._add_tree(WITHOUT_BLOCKS, commit)

    def _add_tree(self, rule: int, commit: Commit) -> None:
        if commit.root == ZERO_ID:
            return
        sort = _DIRECTORY_0 if commit.version == 0 else _DIRECTORY_1
        if rule == WHOLE:
            self._meet(sort, [commit.root])
        else:
            self.later[rule].append((sort, commit.root))

    # -- trees ---------------------------------------------------------------------------------------------------

    def _meet(self, sort: int, ids: t.Iterable[bytes]) -> None:
        """An entry, a file or a commit points at I(ids): put those on the stack that are ours and new; pass the others on."""
        states = self.states["blocks" if sort == _BLOCK else "fs"]
        stack = self.stacks[sort]
        state = (_UNDER_WHOLE if self.rule == WHOLE else 0) | (_VERSION_0 if sort in (_DIRECTORY_0, _FILE_0) else 0)
        alone, owners, me = self.alone, self.owners, self.me
        for object_id in ids:
            if object_id in states or object_id == ZERO_ID:
                continue
            if not alone and owners[object_id[0]] != me:
                self._pass_on(owners[object_id[0]], sort, object_id)
                continue
            if self.trust and self._is_trusted(sort, object_id):
                states[object_id] = state | _TRUSTED
                continue
            states[object_id] = state
            stack.append(object_id)

    def _pass_on(self, peer: int, sort: int, object_id: bytes) -> None:
        recent = self.recent
        if object_id in recent:
            return
        if len(recent) >= _RECENT_IDS:
            recent.clear()
        recent.add(object_id)
        edges = self.edges.get((peer, sort))
        if edges is None:
            edges = self.edges[peer, sort] = bytearray()
        edges += object_id

    def _is_trusted(self, sort: int, object_id: bytes) -> bool:
        section = self.index.sections["blocks" if sort == _BLOCK else "fs", self.task.store]
        flags = section.flags(object_id)
        if flags < 0:
            return False
        if sort == _BLOCK:
            return not flags & proved_index.ABSENT
        return bool(flags & proved_index.WHOLE) and bool(flags & proved_index.FOLDER) == (sort in (_DIRECTORY_0, _DIRECTORY_1))

    def _work(self) -> bool:
        """Read some objects; return whether there was one. Commits and fs objects first: they bring work for the others."""
        source = self.source
        if source is not None and self.rule == WHOLE:
            for dummy in range(50):
                if next(source, self) is self:
                    self.source = None
                    break
            if self.source is not None and not self.alone:
                return True  # nobody but the leader can do this, and the trees wait for it
        for sort, version, kind in ((_FILE_1, 1, FILE), (_DIRECTORY_1, 1, DIRECTORY), (_FILE_0, 0, FILE), (_DIRECTORY_0, 0, DIRECTORY)):
            stack = self.stacks[sort]
            if stack:
                for dummy in range(min(len(stack), 50)):
                    self._read_fs(stack.pop(), version, kind)
                return True
        stack = self.stacks[_BLOCK]
        if stack:
            read = 0
            for dummy in range(min(len(stack), 50)):
                read += self._read_block(stack.pop())
                if read > 4 * 1024 * 1024:
                    break
            return True
        return self.source is not None

    def _read_fs(self, object_id: bytes, version: int, kind: int) -> None:
        states = self.states["fs"]
        try:
            found = self.fs.read_children(object_id, version)
        except Damage as damage:
            if damage.kind == "missing" and self.rule == OPTIONAL:
                states[object_id] |= _ABSENT
            else:
                states[object_id] |= _BAD
                self._damaged("fs", self.task.store, object_id, damage)
            return
        self._count("fs", found.size)
        if found.type == DIRECTORY:
            states[object_id] |= _FOLDER
        if found.damage:
            states[object_id] |= _BAD
            self._damaged("fs", self.task.store, object_id, found.damage)
        else:
            states[object_id] |= _PROVED
        if found.type != kind:
            self._damaged("fs", self.task.store, object_id, Damage("mismatch", f"is not {'a directory' if kind == DIRECTORY else 'a file'} as its entry says"))
            return
        if kind == FILE:
            self._meet(_BLOCK, found.blocks)
            return
        if found.files:
            self._meet(_FILE_1 if version else _FILE_0, found.files)
        if found.directories:
            self._meet(_DIRECTORY_1 if version else _DIRECTORY_0, found.directories)

    def _read_block(self, object_id: bytes) -> int:
        """Look at or hash one block; return the bytes that were read."""
        states = self.states["blocks"]
        try:
            if self.has_index and not self.full:
                flags = self.index.sections["blocks", self.task.store].flags(object_id)
                if flags >= 0 and not flags & proved_index.ABSENT:
                    self.blocks.size(object_id)
                    self.looked_at += 1
                    states[object_id] |= _TRUSTED
                    return 0
            size = self.blocks.check_block(object_id)
        except Damage as damage:
            if damage.kind == "missing" and self.rule != WHOLE:
                states[object_id] |= _ABSENT
            else:
                states[object_id] |= _BAD
                self._damaged("blocks", self.task.store, object_id, damage)
            return 0
        states[object_id] |= _PROVED
        self._count("blocks", size)
        return size


def _record(library: Library) -> tuple[tuple[str, ...], str, str]:
    """What of a library must be the same for its family not to be walked again."""
    return tuple(sorted(head.hex() for head in library.heads)), library.base.hex() if library.base else "", library.kind


def _check(objects: ObjectDirectory, kind: str, object_id: bytes, version_0: bool) -> int:
    """Read and hash one object, return its size; raises :class:`Damage`."""
    if kind == "blocks":
        return objects.check_block(object_id)
    if kind == "commits":
        dummy, size, damage = objects.read_commit(object_id, True)
    else:
        children = objects.read_children(object_id, 0 if version_0 else 1)
        size, damage = children.size, children.damage
    if damage:
        raise damage
    return size


def _rows(states: dict[bytes, int], old: Section, moment: int, grant: bool, clear_unseen: bool) -> bytes:
    """The rows of a section after a walk: what was met in it, and what else was known, sorted.

    :arg grant: what was met where everything must be there is whole now.
    :arg clear_unseen: the proofs of wholeness that were not renewed were for a looser limit of the history.
    """
    result = bytearray()
    ids = sorted(states)
    at = 0
    step = 256 if len(ids) + len(old) < 10000 else 1  # a large section goes prefix by prefix, so that memory holds only one as objects
    for prefix in range(0, 256, step):
        known = old.rows_between(prefix, prefix + step) if len(old) else {}
        rows = []
        while at < len(ids) and ids[at][0] < prefix + step:
            object_id = ids[at]
            at += 1
            state = states[object_id]
            row = known.pop(object_id, None)
            if state & _BAD:
                continue
            if state & _TRUSTED:
                rows.append(t.cast(bytes, row))
            elif state & _ABSENT:
                rows.append(object_id + proof(0, proved_index.ABSENT))
            elif state & _PROVED:
                flags = (proved_index.VERSION_0 if state & _VERSION_0 else 0) | (proved_index.FOLDER if state & _FOLDER else 0)
                if row is not None:
                    flags |= row[24] & (proved_index.WHOLE | proved_index.CHAIN)
                if grant:
                    flags |= (proved_index.WHOLE if state & _UNDER_WHOLE else 0) | (proved_index.CHAIN if state & _CHAIN else 0)
                rows.append(object_id + proof(moment, flags))
        if known:
            if clear_unseen:
                rows.extend(row[:24] + bytes([row[24] & ~proved_index.WHOLE]) for row in known.values())
            else:
                rows.extend(known.values())
            rows.sort()
        result += b"".join(rows)
    return bytes(result)
