# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification: every pointer of a set's database resolves to intact objects in the backup.

It judges as :func:`closure.walk` with hashes does, which is the reference and is simpler; here is what makes it fast.

**Processes.** The unit of work is a family: a library with its sub-libraries, all that share one store. Small families go whole to
the next idle process. A large one is walked by all processes together, each of which owns a range of ids: it alone reads, hashes and
remembers the objects in its range, and sends the ids that it finds in the others' ranges to them. So one huge library is spread as
evenly as a thousand small ones, fs objects as well as blocks, and the memory for the ids that were seen is divided, not multiplied.
Everything happens in three passes over the trees, as in closure.py, and a pass has ended when every process has run out of work and
every message that was sent has been received. Processes are forked, because modules are run out of an archive that a spawned
interpreter could not import. One that dies is an error of the whole verification, never a missing part.

**Names.** The fast walk knows ids only. Library and path of a damage are found by a second walk of the damaged family, by closure.py
itself, which is told what is damaged (:func:`closure.locate`). It costs only where there is damage.

**Trust.** The index (proved_index.py) has facts about the store, not about a set: this object was read and hashed then; this
directory and all below it was proved. So sets of different times share it. Before anything of it is used, the directories' times
are compared, and those that have changed are listed: an object that has gone is no longer proved, and nothing above it is trusted
to be whole. Whatever must be read anyway (commits and fs objects of a walk) is hashed too, at every level: that costs a twentieth.
A family with a finding gets no new proof of wholeness, so that it is walked again the next time.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import heapq
import math
import os
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import proved_index
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory
from ansible_collections.seafleet.seafile.plugins.module_utils.closure import (
    OPTIONAL,
    WHOLE,
    WITHOUT_BLOCKS,
    families_of,
    strange_findings,
)
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.family_walk import Context, Part, Task
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore
from ansible_collections.seafleet.seafile.plugins.module_utils.process_team import Mesh, Team
from ansible_collections.seafleet.seafile.plugins.module_utils.progress import SharedCounts
from ansible_collections.seafleet.seafile.plugins.module_utils.proved_index import FamilyIndex, IndexDamaged, Section
from ansible_collections.seafleet.seafile.plugins.module_utils.verification_outcome import (
    FULL,
    LEVELS,
    MOST_FINDINGS,
    NEW,
    Outcome,
    Request,
)

MOST_PROCESSES = 4
_MOST_NOTES = 20
_MOST_SECONDS_OF_ESTIMATE = 1.0


def verify(request: Request) -> Outcome:
    """Verify what the database points at.

    :raises SeafileError: C(storage-missing); C(verification-interrupted) when a process dies or memory does not suffice.
    :raises OSError: something cannot be read for want of rights.
    """
    if request.level not in LEVELS:
        raise ValueError(f"no level {request.level!r}")
    ObjectStore(request.objects).require()
    outcome = Outcome()
    request = _prepare_directory(request, outcome.notes)
    tasks = []
    families = families_of(request.pointers)
    for store, libraries in families.items():
        if request.only is None or store in request.only or any(library.id in request.only for library in libraries):
            tasks.append(Task(store, libraries))
    if request.only is None:
        outcome.extend(strange_findings(request.pointers))
    root = os.stat(request.objects).st_ino
    scrub_to = None
    if request.index is not None and request.scrub_percent > 0:
        chosen = {task.store for task in tasks}
        indexed = proved_index.stores(request.index)
        scrub_to = _choose_scrub(request.index, indexed, root, request.scrub_percent)
        tasks.extend(Task(store, []) for store in indexed if store not in chosen)
    if request.progress is not None and request.progress.total is None:
        request.progress.expect(_estimate(request, tasks))
    context = Context(request, tasks, root, int(time.time()), scrub_to)
    processes = request.processes or min(len(os.sched_getaffinity(0)), MOST_PROCESSES)
    try:
        if processes == 1 or not tasks:
            parts = _verify_here(context)
        else:
            parts = _verify_in_processes(context, processes)
    except MemoryError:
        raise SeafileError("verification-interrupted", request.objects, "memory does not suffice") from None
    for number in sorted(parts):
        outcome.add(parts[number])
    if len(outcome.notes) > _MOST_NOTES:
        outcome.notes[_MOST_NOTES:] = [f"and {len(outcome.notes) - _MOST_NOTES} more notes"]
    return outcome


def _prepare_directory(request: Request, notes: list[str]) -> Request:
    if request.index is None or not request.write_index:
        return request
    try:
        make_private_directory(request.index)
    except OSError as error:
        notes.append(f"the index of proved objects cannot be written: {request.index}: {error.strerror}")
        return dataclasses.replace(request, write_index=False)
    return request


def _choose_scrub(directory: str, stores: list[str], root: int, percent: float) -> tuple[int, bytes] | None:
    """Choose I(percent) of all proofs, the oldest first and among those of one time by id; return the last that is chosen."""
    def sections() -> t.Iterator[Section]:
        for store in stores:
            with contextlib.suppress(IndexDamaged):
                index = proved_index.load(directory, store, root)
                if index is not None:
                    yield from index.sections.values()

    count: collections.Counter[int] = collections.Counter()
    for section in sections():
        count.update(moment for moment, dummy in section.times())
    left = math.ceil(sum(count.values()) * min(percent, 100) / 100)
    for moment in sorted(count):
        if count[moment] >= left:
            break
        left -= count[moment]
    else:
        return None
    if left == count[moment]:
        return moment, b"\xff" * 20
    ids = (bytes(section.rows[at:at + 20]) for section in sections() for proved, at in section.times() if proved == moment)
    return moment, heapq.nsmallest(left, ids)[-1]


def _estimate(request: Request, tasks: t.Sequence[Task]) -> int | None:
    """Estimate how many objects will be read or looked at; None when nothing tells it.

    What was proved before is known from the index. Where it does not count, a few directories of each store are listed, which is done
    later anyway and costs little twice. A store may hold more than the set reaches.
    """
    index = request.index
    proved = 0 if index is None else sum(proved_index.count(index, store) for store in proved_index.stores(index))
    if request.level == NEW and proved:
        expected = request.arrived or 0
    else:
        expected = _count_stored(ObjectStore(request.objects), tasks)
    if expected is None:
        return None
    if request.level != FULL:
        expected += int(proved * min(request.scrub_percent, 100) / 100)
    return expected or None


def _count_stored(store: ObjectStore, tasks: t.Sequence[Task]) -> int | None:
    """Estimate the number of objects out of two of 256 directories of each kind; None when that takes too long."""
    deadline = time.monotonic() + _MOST_SECONDS_OF_ESTIMATE
    count = 0
    for task in tasks:
        owners = {("fs", task.store), ("blocks", task.store)} | {("commits", library.id) for library in task.libraries}
        try:
            for kind, owner in owners if task.libraries else ():
                with store.open(kind, owner) as objects:
                    count += 128 * sum(len(objects.names(prefix)) for prefix in (0x2a, 0xd5))
        except OSError:
            return None  # the walk itself says it
        if time.monotonic() > deadline:
            return None
    return count


# -- one family ------------------------------------------------------------------------------------------------------


class _Here:
    """A team of one part in this process."""

    def __init__(self, part: Part) -> None:
        self.part = part

    def call(self, name: str, *arguments: t.Any) -> list[t.Any]:
        """Let every part take the step I(name); return what each says."""
        return [getattr(self.part, name)(*arguments)]

    first = call


def _verify_family(context: Context, number: int, team: t.Any, may_pass: bool) -> Outcome | tuple[float, float]:
    """Verify one family with a team of one part or several; return only its weight when it is too large for one and I(may_pass)."""
    request, task = context.request, context.tasks[number]
    notes: list[str] = []
    reasons = [reason for reason in team.call("load") if reason]
    if reasons:
        notes.append(f"the index of proved objects of library {task.store} is not believed, its objects are proved anew: {reasons[0]}")
        team.call("forget")
    weight = team.call("large")[0] if may_pass else None
    if weight:
        return t.cast("tuple[float, float]", weight)
    team.call("scrub")
    states = team.call("state")
    gone = any(count for count, dummy in states)
    stale = bool(reasons) or any(dirty for dummy, dirty in states)
    full = request.level == FULL or bool({task.store, *(library.id for library in task.libraries)} & request.distrusted)
    still = request.level == NEW and not full and not gone and all(team.call("unmoved"))
    bad: dict[tuple[str, str, bytes], tuple[str, str]] = {}
    bad_total = 0
    walk = bool(task.libraries) and not still
    if walk:
        team.call("begin", gone)
        for rule in (WHOLE, WITHOUT_BLOCKS, OPTIONAL):
            team.call("walk", rule)
        rotten = False
        for found, count, proved in team.call("collect"):
            bad.update(found)
            bad_total += count
            rotten = rotten or proved
    else:
        rotten = gone
    parts = team.call("finish", walk and not bad, rotten)
    outcome = Outcome()
    for dummy, part in parts:
        outcome.add(part)
    if gone and not task.libraries:
        notes.append(f"library {task.store}, which was scrubbed and not walked: {len(outcome.rotten)} objects that were proved are missing or damaged")
    if request.index is not None and request.write_index and (walk or stale or gone):
        note = _save(request.index, [index for index, dummy in parts], gone or rotten)
        notes.extend([note] if note else [])
    del parts
    if bad:
        found = team.first("locate", bad)[0]
        if bad_total > len(bad):  # those that are known by their number only
            found.findings_total = max(found.findings_total, bad_total)
        outcome.add(found)
    outcome.notes.extend(notes)
    return outcome


def _save(directory: str, parts: list[FamilyIndex], worse: bool) -> str | None:
    """Put the parts of an index together and write it; return a note when that fails.

    :arg worse: proofs were taken back, so that the old index must not be believed any more.
    """
    index = parts[0]
    for other in parts[1:]:
        for key, section in other.sections.items():
            first = index.section(*key)
            first.prefixes.update(section.prefixes)
            first.rows = bytes(first.rows) + bytes(section.rows)
    for key in [key for key, section in index.sections.items() if not len(section) and not section.inode]:
        del index.sections[key]
    try:
        proved_index.save(directory, index)
    except OSError as error:
        if worse:
            with contextlib.suppress(OSError):
                os.unlink(proved_index.index_path(directory, index.store))
        return f"the index of proved objects cannot be written: {directory}: {error.strerror}"
    return None


def _verify_here(context: Context) -> dict[int, Outcome]:
    if context.request.progress is not None:
        context = dataclasses.replace(context, advance=context.request.progress.advance)
    return {number: t.cast(Outcome, _verify_alone(context, number, False)) for number in range(len(context.tasks))}


def _verify_alone(context: Context, number: int, may_pass: bool) -> Outcome | tuple[float, float]:
    part = Part(context, number)
    try:
        return _verify_family(context, number, _Here(part), may_pass)
    finally:
        part.close()


# -- several processes -----------------------------------------------------------------------------------------------


class _Member:
    """What each process of the team does for the first one."""

    def __init__(self, context: Context, me: int, mesh: Mesh) -> None:
        self.context = context
        self.me = me
        self.mesh = mesh
        self.part: Part | None = None

    def obey(self, order: str, *arguments: t.Any) -> t.Any:
        """Carry out one order: verify a family alone, or take a part in one."""
        if order == "alone":
            return arguments[0], _verify_alone(self.context, arguments[0], True)
        if order == "part":
            self.part = Part(self.context, arguments[0], self.me, arguments[1])
            return None
        part = t.cast(Part, self.part)
        if order == "close":
            part.close()
            self.part = None
            return None
        if order == "walk":
            return part.walk(arguments[0], self.mesh)
        return getattr(part, order)(*arguments)


class _Together:
    """A team of one part in each process."""

    def __init__(self, team: Team) -> None:
        self.team = team

    def call(self, name: str, *arguments: t.Any) -> list[t.Any]:
        """Let every part take the step I(name); return what each says."""
        self.team.tell_all(name, *arguments)
        if name == "walk":
            self.team.wait_for_silence()
        return self.team.hear_all()

    def first(self, name: str, *arguments: t.Any) -> list[t.Any]:
        """Let one part take the step I(name)."""
        self.team.tell(0, name, *arguments)
        return [self.team.hear()[1]]


def _verify_in_processes(context: Context, count: int) -> dict[int, Outcome]:
    """Each family in one process, the large ones afterwards in all of them together."""
    results: dict[int, Outcome] = {}
    large: dict[int, tuple[float, float]] = {}
    waiting = list(reversed(range(len(context.tasks))))
    progress = context.request.progress
    counts = SharedCounts(count)

    def member(me: int, mesh: Mesh) -> _Member:
        return _Member(context if progress is None else dataclasses.replace(context, advance=counts.adder(me)), me, mesh)

    def show() -> None:
        if progress is not None:
            progress.set(*counts.sum())

    with Team(count, context.request.objects, member, show if progress is not None else None) as team:
        busy = min(count, len(waiting))
        for me in range(busy):
            team.tell(me, "alone", waiting.pop())
        kept = 0
        while busy:
            me, (number, outcome) = team.hear()
            if waiting:
                team.tell(me, "alone", waiting.pop())
            else:
                busy -= 1
            if isinstance(outcome, Outcome):
                kept += len(outcome.findings)
                if kept > MOST_FINDINGS:
                    del outcome.findings[:]  # they are counted
                results[number] = outcome
            else:
                large[number] = outcome
        for number, weight in sorted(large.items()):
            team.tell_all("part", number, _share(count, *weight))
            team.hear_all()
            results[number] = t.cast(Outcome, _verify_family(context, number, _Together(team), False))
            team.tell_all("close")
            team.hear_all()
        show()
    return results


def _share(count: int, commits: float, others: float) -> bytes:
    """Give each process a range of first bytes; the leader, who reads all commits, gets less."""
    share = max(0.0, (commits + others) / count - commits) / others if others > 0 else 1 / count
    first = min(max(1, round(256 * share)), 257 - count)
    rest = 256 - first
    ends = [first + rest * number // (count - 1) for number in range(count)]
    return b"".join(bytes([me]) * (end - start) for me, (start, end) in enumerate(zip([0, *ends], ends)))
