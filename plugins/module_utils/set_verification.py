# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One set's way from the walk to its record: verify, heal, walk again, say where each damage lies; and the other sets it hits."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import compression, pointers, sets, verification, verification_record
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, as_time, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.closure import Finding
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.heal import ABSENT, ALIKE, BAD, HEALED, UNPLACED, Healer
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, require_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.progress import Progress
from ansible_collections.seafleet.seafile.plugins.module_utils.set_use import Use
from ansible_collections.seafleet.seafile.plugins.module_utils.verification_record import BACKUP, SOURCE, UNKNOWN, Key, key_of

MOST_ROUNDS = 100
"""Heal and walk again at most so often; each round reaches one level deeper below what was missing."""
LEAST_DAMAGE = 10
"""With fewer damaged objects than this nobody speaks of an attack or of a failing disk."""
_SET_IS_BROKEN = ("dump-damaged", "dump-missing", "dump-wrong-database", "set-damaged")
"""Failures that are the set's own damage and not this run's."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """A set to verify.

    :arg moment: when its dump began, seconds since 1970.
    :arg earlier: the record that decides its state now, None without one.
    :arg sealed: False for the partial set of a run.
    :arg known: what its dump points at, where that was read already.
    """

    set_id: str
    directory: str
    dump: str
    moment: int
    earlier: dict[str, t.Any] | None = None
    sealed: bool = True
    known: pointers.Pointers | None = None
    use: Use | None = None
    """Nobody removes the sealed set while this stands."""

    def pointers(self) -> pointers.Pointers:
        """Read what the set's database points at; raises SeafileError C(dump-...)."""
        return self.known or pointers.read_pointers(self.dump, read_keep_days(self.directory))


def read_keep_days(directory: str) -> int | None:
    """Return the history limit that the C(seafile.conf) of the set in I(directory) has, None without one."""
    # 5 and newer keep it in conf, 4.4 and older beside the data
    for folder in ("conf", "seafile-data"):
        path = os.path.join(directory, "files", folder, "seafile.conf")
        if os.path.isfile(path):
            return pointers.read_keep_days(path)
    return None


def sealed_subject(layout: ServerLayout, set_id: str) -> Subject:
    """Return the sealed set I(set_id).

    :raises SeafileError: C(set-damaged) when its manifest cannot tell which dump points at the objects; C(no-set) when it was removed.
    """
    directory = layout.sealed(set_id)
    use = Use(directory)
    manifest = sets.read_manifest(directory)
    dumps = [dump["file"] for dump in manifest["databases"] if dump.get("role") == "seafile"]
    if len(dumps) != 1:
        raise SeafileError("set-damaged", directory, f"the manifest names {len(dumps)} dumps of the database that points at the libraries")
    return Subject(
        set_id, directory, os.path.join(directory, "databases", dumps[0]), _moment(manifest.get("began"), set_id),
        verification_record.newest(layout, set_id, manifest)[0], use=use)


def partial_subject(layout: ServerLayout, set_id: str, began: t.Any, arrived: t.Iterable[str]) -> Subject:
    """Return the partial set of a run, which has no manifest yet.

    :arg arrived: the paths of the dumps that arrived, relative to the set. Which one points at the objects is told by its tables.
    :raises SeafileError: C(dump-missing) when none of them does.
    """
    directory = layout.partial(set_id)
    keep_days = read_keep_days(directory)
    # the likely one first: the others are only read to find out that they are not it
    for path in sorted(arrived, key=lambda path: ("seafile" not in os.path.basename(path), path)):
        dump = os.path.join(directory, path)
        if os.path.dirname(path) != "databases" or not compression.is_dump_name(path):
            continue
        try:
            known = pointers.read_pointers(dump, keep_days)
        except SeafileError as error:
            if error.code != "dump-wrong-database":
                raise
            continue
        return Subject(set_id, directory, dump, _moment(began, set_id), None, False, known)
    raise SeafileError("dump-missing", directory, "none of the dumps that arrived is that of the database that points at the libraries")


def _moment(began: t.Any, set_id: str) -> int:
    try:
        return int(as_time(began).timestamp())
    except (TypeError, ValueError):
        return int(require_set_id(set_id).timestamp())


@dataclasses.dataclass
class Verifier:
    """Verifies sets of one server one after the other.

    :arg level: C(new), C(quick) or C(full).
    :arg collected: libraries that a garbage collection touched during the run: hashed in full.
    :arg moved: libraries whose head moved since the dump, or that are gone; None when that is not known, which is as if all had.
    :arg gone: libraries that were deleted for good since the dump: what the server no longer has of them is not missing in the backup.
    :arg healer: None where nothing may be healed.
    :arg write_index: whether this verification holds the lock of the index.
    :arg progress: the file that tells how far it is, None for none.
    :arg arrived: how many objects came in this run, as far as that is known.
    """

    layout: ServerLayout
    level: str
    scrub_percent: float = 0.0
    collected: t.FrozenSet[str] = frozenset()
    moved: t.Optional[t.FrozenSet[str]] = None
    gone: t.FrozenSet[str] = frozenset()
    processes: int = 0
    healer: t.Optional[Healer] = None
    write_index: bool = True
    progress: t.Optional[str] = None
    arrived: t.Optional[int] = None
    index: str = ""
    """The index of proved objects; by default the layout's."""
    rotten: t.Set[Key] = dataclasses.field(default_factory=set)
    """Objects that were proved before, are not right any more, and could not be healed: other sets may need them."""

    def __post_init__(self) -> None:
        self.index = self.index or self.layout.proved

    @contextlib.contextmanager
    def reading_all_once(self) -> t.Iterator[None]:
        """While the body runs, an object that was read for one set is not read again for the next, though all are verified in full.

        An empty index takes down what is proved meanwhile, and takes the place of the old one when the body ends well.
        """
        fresh = f"{self.layout.proved}.full"
        shutil.rmtree(fresh, ignore_errors=True)
        self.index = fresh
        try:
            yield
            old = f"{self.layout.proved}.old"
            shutil.rmtree(old, ignore_errors=True)
            if os.path.isdir(fresh):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(self.layout.proved, old)
                os.rename(fresh, self.layout.proved)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            self.index = self.layout.proved
            shutil.rmtree(fresh, ignore_errors=True)

    def verify(self, subject: Subject, level: str | None = None, with_files: bool = True) -> dict[str, t.Any]:
        """Verify one set; return its record. Nothing is written but the index and what is healed.

        :raises SeafileError: C(storage-missing); for a partial set also what is wrong with its dump.
        """
        began = as_text(utc_now())
        level = level or self.level
        try:
            found = subject.pointers()
        except SeafileError as error:
            if not subject.sealed or error.code not in _SET_IS_BROKEN:
                raise
            return self.broken(error, level)
        families = {library.id: library.store for library in found.libraries}
        # in an index that begins empty, what is proved was read in this verification
        walk = "new" if self.index != self.layout.proved else level
        request = verification.Request(
            objects=self.layout.objects, index=self.index, pointers=found, now=subject.moment, level=walk, distrusted=self.collected,
            scrub_percent=self.scrub_percent, processes=self.processes, write_index=self.write_index, arrived=self.arrived)
        with Progress(self.progress, f"verify {subject.set_id}") as progress:
            outcome = verification.verify(request if self.progress is None else dataclasses.replace(request, progress=progress))
        healed, notes = self._heal(request, outcome, families)
        self.rotten = {key for key in self.rotten.union(_keys(outcome.rotten)) if not self._is_healed(key)}
        wrong = sets.check_sums(subject.directory) if subject.sealed and with_files and level != "new" else []
        places = self._places(outcome, families, subject.earlier)
        notes += outcome.notes + self._unasked(places)
        return verification_record.make(level, began, as_text(utc_now()), outcome, places, healed, notes, [f"{subject.directory}: {text}." for text in wrong])

    def broken(self, error: SeafileError, level: str | None = None) -> dict[str, t.Any]:
        """Return the record of a set whose own files do not let it be verified."""
        now = as_text(utc_now())
        return verification_record.make(level or self.level, now, now, verification.Outcome(), {}, [], [], [f"{error.what}: {error.cause}."])

    def look_for_rot(self, subject: Subject) -> dict[str, t.Any] | None:
        """Walk only the libraries of a sealed set that :attr:`rotten` may hit; return its new record, None when it is as it was."""
        began = as_text(utc_now())
        found = subject.pointers()
        families = {library.id: library.store for library in found.libraries}
        hit = frozenset(families.get(store, store) for dummy, store, dummy in self.rotten)
        if not hit.intersection(families.values()):
            return None
        request = verification.Request(
            objects=self.layout.objects, index=self.index, pointers=found, now=subject.moment, level="quick", only=hit,
            processes=self.processes, write_index=self.write_index)
        outcome = verification.verify(request)
        if not outcome.findings_total:
            return None
        if subject.earlier is None:
            return self.verify(subject, "quick", with_files=False)
        places = self._places(outcome, families, subject.earlier)
        notes = ["only the libraries that share a damaged object were walked this time"] + outcome.notes
        places.update(_add_earlier(outcome, subject.earlier, families, hit))
        outcome.libraries = subject.earlier.get("libraries", outcome.libraries)
        wrong = subject.earlier.get("wrong_files", [])
        record = verification_record.make("quick", began, as_text(utc_now()), outcome, places, [], notes, wrong)
        return None if verification_record.verdict(record) == verification_record.verdict(subject.earlier) else record

    # -- healing -----------------------------------------------------------------------------------------------

    def _is_healed(self, key: Key) -> bool:
        return self.healer is not None and self.healer.answers.get(key) == HEALED

    def _heal(self, request: verification.Request, outcome: verification.Outcome, families: t.Mapping[str, str]) -> tuple[list[dict[str, str]], list[str]]:
        """Heal what was found and walk again until a round heals nothing; return what was healed, and notes.

        A healed commit or fs object opens what is below it, which the first walk could not see.
        """
        if self.healer is None:
            return [], []
        before, told = len(self.healer.healed), len(self.healer.notes)
        for dummy in range(MOST_ROUNDS):
            found = [key_of(finding) for finding in outcome.findings if finding.kind != "head"]
            healed = self.healer.heal(dict.fromkeys(_keys(outcome.rotten) + found))
            if not healed:
                break
            again = frozenset(families.get(store, store) for dummy, store, dummy in healed)
            # what the first walk read is proved now, and is not read twice
            level = "new" if request.level == "new" else "quick"
            more = verification.verify(dataclasses.replace(request, level=level, only=again, distrusted=frozenset(), scrub_percent=0.0))
            _merge(outcome, more, again, families)
        else:
            self.healer.notes.append(f"healing stopped after {MOST_ROUNDS} rounds: run the backup again, which fetches all that is missing at once")
        return self.healer.healed[before:], self.healer.notes[told:]

    def _places(self, outcome: verification.Outcome, families: t.Mapping[str, str], earlier: t.Mapping[str, t.Any] | None) -> dict[Key, str]:
        """Say of each finding's object where it is damaged: in the backup alone, at the source as well, or unknown."""
        moved = None if self.moved is None else {families.get(library, library) for library in self.moved}
        rotten = set(_keys(outcome.rotten))
        before = _Earlier(earlier, families)
        # what a library that is still there shares with one that is gone has to be there
        alive = {families.get(library, library) for library in families if library not in self.gone}
        places = {}
        for finding in outcome.findings:
            family = families.get(finding.library, finding.store)
            key = key_of(finding)
            known = before.place(key)
            if finding.kind == "head":
                places[key] = SOURCE  # the dump is proven whole: the server's own database points at nothing
            elif key in rotten or (known is None and before.was_whole(family)):
                places[key] = BACKUP  # it was here and right once
            else:
                answer = self.healer.answers.get(key) if self.healer else None
                if answer in (BAD, ALIKE):
                    places[key] = SOURCE
                elif answer == ABSENT and finding.library in self.gone and family not in alive:
                    places[key] = SOURCE
                elif answer == ABSENT:
                    # what was not there and is not missed by a head that has not moved, the server lost itself
                    places[key] = known if known == SOURCE else BACKUP if moved is None or family in moved else SOURCE
                elif answer in (HEALED, UNPLACED):
                    places[key] = BACKUP
                else:
                    places[key] = known or UNKNOWN
        return places

    def _unasked(self, places: t.Mapping[Key, str]) -> list[str]:
        number = sum(1 for place in places.values() if place == UNKNOWN)
        if not number or self.healer is None or self.healer.problem is None:
            return []
        return [f"the source could not be asked for {number} objects: {self.healer.problem.message}"]


def damage_in_what_came(
    record: t.Mapping[str, t.Any], earlier: t.Mapping[str, t.Any] | None, arrived: int, percent: float, gone: t.Collection[str] = (),
) -> str | None:
    """Say in words that too much of what a run brought is damaged on the server itself; None when it is not, or too little to judge by.

    A disk that fails, and somebody who encrypts or overwrites files, show in what comes new; single objects that clients have damaged are no more
    than some in many.

    :arg record: of the run's own set. I(earlier) is that of the newest verified set: what it knew is not new. None on a first run.
    :arg arrived: how many objects came in this run. On a first run all that were read count.
    :arg percent: how many percent may be damaged.
    :arg gone: libraries that were deleted meanwhile do not count.
    """
    known = {key_of(finding) for finding in earlier["findings"]} if earlier else set()
    found = [
        finding for finding in record["findings"]
        if finding["where"] == SOURCE and finding["kind"] != "head" and key_of(finding) not in known and finding["library"] not in gone]
    untold = record["findings_total"] - len(record["findings"]) - ((earlier["findings_total"] - len(earlier["findings"])) if earlier else 0)
    count = len(found) + (max(untold, 0) if found else 0)
    came = max(count, arrived if earlier else sum(read["files"] for read in record["hashed"].values()))
    if count < LEAST_DAMAGE or count * 100 <= percent * came:
        return None
    first = found[0]
    return f"{count} of {came} objects that are new are damaged there, first {first['kind']} {first['id']} of library {first['library']} ({first['damage']})"


class _Earlier:
    """What the record before says of objects: immutable as they are, what it found at the source stays true."""

    def __init__(self, record: t.Mapping[str, t.Any] | None, families: t.Mapping[str, str]) -> None:
        self.places = {key_of(finding): finding["where"] for finding in record["findings"]} if record else {}
        self.seen = record is not None and record["findings_total"] == len(record["findings"]) and bool(record.get("libraries"))
        self.damaged = {families.get(row["id"], row["id"]) for row in record["damaged_libraries"]} if record else set()

    def place(self, key: Key) -> str | None:
        """Where the object was damaged then; None when it was not found damaged, or that was not known."""
        place = self.places.get(key)
        return place if place != UNKNOWN else None

    def was_whole(self, family: str) -> bool:
        """Whether all objects of the family were there and right then."""
        return self.seen and family not in self.damaged


def _keys(objects: t.Iterable[t.Sequence[str]]) -> list[Key]:
    return [t.cast(Key, tuple(key)) for key in objects]


def _merge(outcome: verification.Outcome, more: verification.Outcome, again: t.Collection[str], families: t.Mapping[str, str]) -> None:
    """Replace in I(outcome) what it says of the families I(again) by what I(more) says, which walked only those."""
    counts = {library: number for library, number in outcome.findings_by_library.items() if families.get(library, library) not in again}
    counts.update(more.findings_by_library)
    outcome.findings_by_library = counts
    kept = [finding for finding in outcome.findings if families.get(finding.library, finding.library) not in again]
    # rows of the dump that point at nothing belong to no family, and each walk finds them
    known = set(kept)
    outcome.findings = kept + [finding for finding in more.findings if finding not in known]
    outcome.findings_total = max(sum(counts.values()), len(outcome.findings))
    for kind, read in more.hashed.items():
        so_far = outcome.hashed.setdefault(kind, {"files": 0, "bytes": 0})
        for unit, number in read.items():
            so_far[unit] = so_far.get(unit, 0) + number
    outcome.rotten += [key for key in more.rotten if key not in set(outcome.rotten)]
    outcome.notes += [note for note in more.notes if note not in outcome.notes]


def _add_earlier(outcome: verification.Outcome, earlier: t.Mapping[str, t.Any], families: t.Mapping[str, str], hit: t.Collection[str]) -> dict[Key, str]:
    """Add to I(outcome), which walked the families I(hit) only, the findings of the record before in all others; return their places."""
    fields = Finding._fields
    kept = [row for row in earlier["findings"] if families.get(row["library"], row["library"]) not in hit]
    outcome.findings += [Finding(*(str(row.get(field, "")) for field in fields)) for row in kept]
    for row in earlier["damaged_libraries"]:
        if families.get(row["id"], row["id"]) not in hit and isinstance(row.get("findings"), int):
            outcome.findings_by_library[row["id"]] = row["findings"]
    outcome.findings_total = max(sum(outcome.findings_by_library.values()), len(outcome.findings))
    return {key_of(row): row["where"] for row in kept}
