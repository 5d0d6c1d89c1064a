# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list for rsync of what is new, made family by family from the heads and, where that is cheaper, from directory times."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import stat
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import closure
from ansible_collections.seafleet.seafile.plugins.module_utils.changes import EXPENSIVE, WALKED, WHOLE, Family, find_changes, walk_limit
from ansible_collections.seafleet.seafile.plugins.module_utils.directory_times import State, Store
from ansible_collections.seafleet.seafile.plugins.module_utils.known_heads import Known
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore, object_path
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import Library, Pointers

REASONS_KEPT = 1000
MISSED_KEPT = 100
_JOIN = 4096


class ListWriter:
    """Writes I(dest) when its content changes, or only says so. Every entry is a relative path that ends with NUL."""

    def __init__(self, dest: str, stream: t.IO[bytes] | None) -> None:
        self.same = True
        self._stream = stream
        self._batch: list[str] = []
        self._old = _open_regular(dest)

    def add(self, path: str) -> None:
        self._batch.append(path)
        if len(self._batch) >= _JOIN:
            self.flush()

    def flush(self) -> None:
        piece = ("\0".join(self._batch) + "\0").encode("ascii") if self._batch else b""
        self._batch.clear()
        self.same = self.same and self._old is not None and self._old.read(len(piece)) == piece
        if self._stream:
            self._stream.write(piece)

    def finish(self) -> None:
        """Nothing more comes: I(same) then says whether the file holds exactly this."""
        self.flush()
        self.same = self.same and self._old is not None and not self._old.read(1)
        if self._old:
            self._old.close()


def _open_regular(path: str) -> t.IO[bytes] | None:
    """The file I(path) for reading, when it is a regular one of mode 0600; never follows a link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != 0o600:
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


@dataclasses.dataclass
class Sweep:
    """What a comparison of all directories found.

    :arg unlisted: names in changed directories that nothing had listed; unfinished uploads, objects newer than the dump and
        garbage are among them.
    :arg missed: those of them that a pointer of the dump reaches: what the walks had missed. None when the state of an earlier
        sweep was not there to compare with.
    """

    directories: int = 0
    changed: int = 0
    names: int = 0
    unlisted: int = 0
    missed: t.Optional[int] = None
    missed_objects: t.List[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Outcome:
    """Counts of what was done and listed."""

    libraries: t.Dict[str, int] = dataclasses.field(default_factory=lambda: dict(by_directories=0, gone=0, unmoved=0, walked=0, whole=0))
    objects: t.Dict[str, int] = dataclasses.field(default_factory=lambda: dict(blocks=0, commits=0, fs=0))
    directories: int = 0
    whole: t.List[t.Dict[str, str]] = dataclasses.field(default_factory=list)
    whole_total: int = 0
    sweep: t.Optional[Sweep] = None
    reads: int = 0
    seconds: t.Dict[str, float] = dataclasses.field(default_factory=lambda: collections.defaultdict(float))


class Lister:
    """One run: lists what is new since I(known).

    :arg known: heads of the known set; empty: everything is listed as a whole, for the reason I(doubt).
    :arg state: the directory times, or None to do without.
    :arg sweep: compare all directories too.
    :arg distrusted: see :func:`changes.find_changes`.
    """

    def __init__(self, store: ObjectStore, pointers: Pointers, known: Known, doubt: str, state: State | None, sweep: bool, now: int,
                 distrusted: t.Collection[str] = ()) -> None:
        self.store = store
        self.pointers = pointers
        self.known = known
        self.doubt = doubt
        self.state = state
        self.now = now
        self.distrusted = distrusted
        self.outcome = Outcome(sweep=Sweep() if sweep else None)
        self._libraries: dict[str, Library] = {library.id: library for library in pointers.libraries}

    @contextlib.contextmanager
    def _timed(self, stage: str) -> t.Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.outcome.seconds[stage] += time.monotonic() - began

    def run(self, writer: ListWriter) -> Outcome:
        """Write the list. :raises SeafileError: C(storage-missing). :raises OSError: a directory cannot be read."""
        self.outcome.libraries["gone"] = sum(library_id not in self._libraries for library_id in self.known)
        families = find_changes(self.store, self.pointers, self.known, self.now, walk_limit, self.distrusted)
        while True:
            with self._timed("walk"):
                family = next(families, None)
            if family is None:
                break
            self._take(family, writer)
        writer.finish()
        return self.outcome

    def _take(self, family: Family, writer: ListWriter) -> None:
        counts = self.outcome.libraries
        counts["unmoved"] += len(family.members) - len(family.moved)
        self.outcome.reads += family.reads
        handled: set[Store] = set()
        if family.mode == WALKED:
            counts["walked"] += len(family.moved)
            self._list_objects(family, writer)
        elif family.mode in (WHOLE, EXPENSIVE):
            with self._timed("directories"):
                handled = self._list_stores(family, writer)
        if self.outcome.sweep is not None:
            with self._timed("sweep"):
                self._sweep(family, writer, handled)

    def _list_objects(self, family: Family, writer: ListWriter) -> None:
        found = [(("commits", library), ids) for library, ids in sorted(family.commits.items())]
        found += [(("fs", family.store), family.fs), (("blocks", family.store), family.blocks)]
        for store, ids in found:
            self.outcome.objects[store[0]] += len(ids)
            for object_id in sorted(ids):
                writer.add(object_path(*store, object_id))
            if ids and self.state and self.outcome.sweep is None:
                self.state.add_listed(store, ids)

    def _list_stores(self, family: Family, writer: ListWriter) -> set[Store]:
        """List the changed directories of the stores, or the stores themselves."""
        by_directories = False
        for store in family.stores():
            scan = self.state.scan(self.store.root, store) if self.state else None
            if family.mode == EXPENSIVE and scan and scan.was_known:
                by_directories = True
                self._list_changed(store, scan.changed, writer)
            elif os.path.isdir(os.path.join(self.store.root, *store)):
                self.outcome.directories += 1
                writer.add("/".join(store) + "/")
            if self.state and scan:
                self.state.keep(store, scan)
        self.outcome.libraries["by_directories" if by_directories else "whole"] += len(family.moved)
        reasons = family.reasons
        if family.mode == EXPENSIVE and not by_directories:
            reasons = [(family.moved[0], "so much of it is new that to list all of it is cheaper")]
        for library, reason in reasons:
            self.outcome.whole_total += 1
            if len(self.outcome.whole) < REASONS_KEPT:
                self.outcome.whole.append({"library": library, "reason": reason if self.known else self.doubt})
        return set(family.stores())

    def _list_changed(self, store: Store, changed: t.Mapping[int, t.Any], writer: ListWriter) -> None:
        for prefix in sorted(changed):
            self.outcome.directories += 1
            writer.add(f"{store[0]}/{store[1]}/{prefix:02x}/")

    # -- sweep -------------------------------------------------------------------------------------------------------

    def _sweep(self, family: Family, writer: ListWriter, handled: t.Collection[Store]) -> None:
        sweep = t.cast(Sweep, self.outcome.sweep)
        unlisted: dict[Store, list[bytes]] = {}
        for store in [("commits", library) for library in family.members] + [("fs", family.store), ("blocks", family.store)]:
            if store in handled or self.state is None:
                continue
            scan = self.state.scan(self.store.root, store)
            sweep.directories += len(scan.directories)
            sweep.changed += len(scan.changed)
            sweep.names += sum(map(len, scan.changed.values()))
            self._list_changed(store, scan.changed, writer)
            self.state.keep(store, scan)
            if not scan.was_known:
                continue
            sweep.missed = sweep.missed or 0
            listed = {"fs": family.fs, "blocks": family.blocks, "commits": family.commits.get(store[1], set())}[store[0]]
            names = self.state.unlisted(store, scan, listed)
            if names:
                sweep.unlisted += len(names)
                unlisted[store] = names
        if unlisted:
            self._judge(family, unlisted, sweep)

    def _judge(self, family: Family, unlisted: t.Mapping[Store, t.Sequence[bytes]], sweep: Sweep) -> None:
        """Count the unlisted names that a pointer reaches: by another walk than the one that is being judged."""
        libraries = [self._libraries[library] for library in family.members]
        reached = closure.walk(self.store, Pointers(libraries, []), self.now)
        for store, ids in unlisted.items():
            objects = reached.objects(*store)
            for object_id in ids:
                if object_id in objects.seen and object_id not in objects.absent:
                    sweep.missed = (sweep.missed or 0) + 1
                    if len(sweep.missed_objects) < MISSED_KEPT:
                        sweep.missed_objects.append(object_path(*store, object_id))
