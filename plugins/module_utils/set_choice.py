# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which set a restore takes, and of which libraries it takes an older state.

The newest verified set whose files are as they were sealed and whose every object is there, right now; every newer one
that is passed over is told with its reason. With the fallback it is the newest set at all, and only the libraries that
are damaged in it come from older sets. Rolled forward, libraries get a newer state than the set's, out of objects that were pulled
since its dump. What is decided here reads the backup and never writes to a set.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import closure, roll_forward, sets, verification_record
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, printable
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import Damage, ObjectStore, object_path
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import (
    ORPHAN,
    Library,
    Place,
    Pointers,
    read_keep_days,
    read_pointers,
    with_heads,
)
from ansible_collections.seafleet.seafile.plugins.module_utils.set_order import (
    PARTIAL,
    REASONS,
    SEALED,
    Row,
    began,
    begun_before,
    damaged_libraries,
    named,
    order,
    parts,
    passed_over,
    require_ended,
)
from ansible_collections.seafleet.seafile.plugins.module_utils.set_use import Use
from ansible_collections.seafleet.seafile.plugins.module_utils.verification_record import DAMAGED, SOURCE, VERIFIED

FINDINGS_RETURNED = 100
FINDINGS_NAMED = 5
ROLL_NOTES = 40


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked for.

    :arg set_id: this set and no other.
    :arg before: only sets that were begun before this moment (C(2026-11-23T03:00:00Z)), or before this set (its id).
    :arg accepted: ids of libraries whose damage is known and accepted.
    :arg fallback: take the newest set, and its damaged libraries out of older ones.
    :arg roll_forward: take every library that does not come from an older set to its newest complete commit in the backup.
    """

    set_id: str | None = None
    before: str | None = None
    accepted: frozenset[str] = frozenset()
    fallback: bool = False
    roll_forward: bool = False


# -- one set, read and walked ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Known:
    """What a set's verification says is the server's own damage, which no set can be better than."""

    objects: frozenset[str] = frozenset()
    """C(kind/store/id)."""
    libraries: frozenset[str] = frozenset()
    """Libraries with no other damage, of a record that names not all of its findings."""

    def joined(self, other: Known) -> Known:
        return Known(self.objects | other.objects, self.libraries | other.libraries)

    def covers(self, finding: closure.Finding) -> bool:
        return key_of(finding) in self.objects or finding.library in self.libraries


def key_of(finding: t.Any) -> str:
    """C(kind/store/id) of a finding, from a walk or from a record."""
    return "/".join(verification_record.key_of(finding))


def known_of(record: t.Mapping[str, t.Any] | None) -> Known:
    """Return what the I(record) of a verification says of the source."""
    if not record:
        return Known()
    cut = record["findings_total"] > len(record["findings"])
    libraries = [library["id"] for library in record["damaged_libraries"] if library["where"] == SOURCE and library["id"]]
    return Known(frozenset(key_of(finding) for finding in record["findings"] if finding["where"] == SOURCE), frozenset(libraries) if cut else frozenset())


class Candidate:
    """One sealed set, read: its manifest, the parts' places, the record of its verification, and what its database points at.

    :raises SeafileError: C(set-damaged) unless every file of the set is as it was sealed; what reading the dump raises.
    """

    def __init__(self, layout: ServerLayout, row: Row) -> None:
        self.row = row
        self.use = Use(row["path"])
        """Nobody removes the set while this candidate is looked at."""
        self.manifest = sets.read_manifest(row["path"])
        wrong = sets.check_sums(row["path"])
        if wrong:
            raise SeafileError("set-damaged", row["path"], "; ".join(wrong[:5]), wrong=wrong[:100])
        self.paths = parts(layout, row, self.manifest)
        conf = self.paths["seafile_conf"]
        self.pointers = read_pointers(self.paths["seafile_dump"], read_keep_days(conf) if conf else None)
        self.libraries = {library.id: library for library in self.pointers.libraries}
        self.now = int(began(row).timestamp())
        self.known = known_of(verification_record.newest(layout, row["set_id"], self.manifest)[0])

    @property
    def set_id(self) -> str:
        return self.row["set_id"]

    def family(self, store: str) -> list[Library]:
        """The libraries that share the store I(store): an origin and its sub-libraries."""
        return [library for library in self.pointers.libraries if library.store == store]

    def store_of(self, library_id: str) -> str | None:
        """The family of the library I(library_id); None for what belongs to none."""
        return self.libraries[library_id].store if library_id in self.libraries else None


@dataclasses.dataclass
class Examined:
    """What a walk through a candidate found.

    :arg findings: all, without those that are known as the source's.
    :arg known: those that are.
    """

    candidate: Candidate
    walked: closure.Closure
    findings: list[closure.Finding]
    known: list[closure.Finding]

    def unaccepted(self, accepted: frozenset[str]) -> list[closure.Finding]:
        return [finding for finding in self.findings if finding.library not in accepted]


def examine(store: ObjectStore, candidate: Candidate, pointers: Pointers | None = None) -> Examined:
    """Walk from I(pointers) (default: the candidate's own) to every object.

    Presence and form of everything; content as well in the families (stores) that the set's verification found damaged,
    for a flipped bit shows in nothing else.
    """
    pointers = candidate.pointers if pointers is None else pointers
    walked = closure.walk(store, pointers, candidate.now)
    doubtful = {candidate.store_of(library_id) for library_id in damaged_libraries(candidate.row)}
    findings = [finding for finding in walked.findings if candidate.store_of(finding.library) not in doubtful or not finding.library]
    subset = [library for library in pointers.libraries if library.store in doubtful]
    if subset:
        findings += closure.walk(store, Pointers(subset, []), candidate.now, True).findings
    return Examined(candidate, walked, [finding for finding in findings if not candidate.known.covers(finding)],
                    [finding for finding in findings if candidate.known.covers(finding)])


# -- a library's older state -----------------------------------------------------------------------------------------


@dataclasses.dataclass
class Older:
    """The state of one family in an older set: what must be set in the newer database to get it. Both may hold only what differs."""

    set_id: str
    heads: dict[str, str]
    places: dict[str, Place]


def older_state(family: t.Sequence[Library], older: t.Mapping[str, Library], set_id: str) -> Older | str:
    """Return how the libraries I(family) of a set are taken back to their state in the older set I(set_id), or why they cannot be.

    All of them together: a sub-library and its origin are merged with each other by the server, so that the state of one
    beside a later state of the other would undo changes.

    :arg older: the older set's libraries by id.
    """
    state = Older(set_id, {}, {})
    for library in family:
        if library.kind == ORPHAN:
            continue
        what = printable(library.name or library.id)
        before = older.get(library.id)
        if before is None or before.kind == ORPHAN:
            return f"{what} is not in it"
        if before.origin != library.origin:
            return f"{what} belongs to another library in it"
        if len(library.heads) != 1 or len(before.heads) != 1:
            return f"{what} has not exactly one head"
        if before.heads != library.heads:
            state.heads[library.id] = before.heads[0].hex()
        if library.origin and (before.base, before.path) != (library.base, library.path):
            if before.base is None or not _is_text(before.path or ""):
                return f"the row of the sub-library {what} cannot be used"
            state.places[library.id] = Place(before.base.hex(), before.path or "")
    return state if state.heads or state.places else "it has the same state of the library"


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


class _Fallback:
    """The search for whole older states of the damaged families of one set."""

    def __init__(self, layout: ServerLayout, store: ObjectStore, base: Candidate, rows: t.Sequence[Row]) -> None:
        self.layout = layout
        self.store = store
        self.base = base
        self.rows = [row for row in rows if row["set_id"] < base.set_id]
        self._candidates: dict[str, Candidate | str] = {}

    def _candidate(self, row: Row) -> Candidate | str:
        """The older set, or why it is of no use."""
        set_id = row["set_id"]
        if set_id not in self._candidates:
            try:
                self._candidates[set_id] = Candidate(self.layout, row)
            except SeafileError as error:
                self._candidates[set_id] = f"{error.what}: {error.cause}"
        return self._candidates[set_id]

    def known(self, state: Older) -> Known:
        """What the set of I(state) has as damage of the source."""
        candidate = self._candidates[state.set_id]
        return candidate.known if isinstance(candidate, Candidate) else Known()

    def search(self, store_id: str) -> tuple[Older | None, list[str]]:
        """Return the newest whole older state of the family I(store_id), or None, and why the sets before it do not have one."""
        family = self.base.family(store_id)
        reasons = []
        for row in self.rows:
            candidate = self._candidate(row)
            if isinstance(candidate, str):
                reasons.append(f"{row['set_id']}: {candidate}")
                continue
            state = older_state(family, candidate.libraries, row["set_id"])
            if isinstance(state, str):
                reasons.append(f"{row['set_id']}: {state}")
                continue
            combined = with_heads(Pointers(family, []), state.heads, state.places)
            found = self._wrong(combined, candidate.known)
            if found is None:
                return state, reasons
            reasons.append(f"{row['set_id']}: {found.sentence}")
        return None, reasons

    def _wrong(self, combined: Pointers, known: Known) -> closure.Finding | None:
        """The first object of the family that is not whole. It is known to be damaged, so nothing of it is believed unread."""
        known = known.joined(self.base.known)
        for check_hashes in (False, True):  # what is missing shows at once
            for finding in closure.walk(self.store, combined, self.base.now, check_hashes).findings:
                if not known.covers(finding):
                    return finding
        return None


# -- the choice ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Choice:
    """The set that is taken and everything a person should know of it."""

    examined: Examined
    passed_over: list[Row] = dataclasses.field(default_factory=list)
    heads: dict[str, str] = dataclasses.field(default_factory=dict)
    places: dict[str, Place] = dataclasses.field(default_factory=dict)
    fallbacks: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    rolled_forward: list[dict[str, t.Any]] | None = None
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def candidate(self) -> Candidate:
        return self.examined.candidate

    def list_key(self) -> str:
        """The name of the object list's place: two restores of one set with other heads have other lists."""
        if not self.heads and not self.places:
            return self.candidate.set_id
        text = json.dumps([self.heads, self.places], sort_keys=True)
        return f"{self.candidate.set_id}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def known_damage(self) -> list[str]:
        """C(kind/store/id) of every object that is the source's damage, as recorded and as met."""
        return sorted(self.candidate.known.objects | {key_of(finding) for finding in self.examined.known})


def choose(layout: ServerLayout, rows: t.Sequence[Row], request: Request) -> Choice:
    """Return the set that a restore takes.

    :arg rows: all sets of the server, newest first.
    :raises SeafileError: C(no-set); C(set-damaged) when files of the only candidates were changed; C(set-incomplete) with
        C(findings) when objects are missing or damaged; C(time-invalid); C(storage-missing).
    """
    store = ObjectStore(layout.objects)
    choice = _choose(layout, store, rows, request)
    if request.roll_forward:
        _roll_forward(choice, store)
    return choice


def _choose(layout: ServerLayout, store: ObjectStore, rows: t.Sequence[Row], request: Request) -> Choice:
    if request.set_id is not None:
        asked = [named(rows, request.set_id)]
        store.require()
        if request.fallback:
            return _choose_with_fallback(layout, store, rows, asked, request)
        return _choose_named(layout, store, rows, asked[0], request)
    ended = require_ended(rows, layout.root, request.before)
    asked = begun_before(rows, request.before) if request.before else list(rows)
    store.require()
    if request.fallback:
        return _choose_with_fallback(layout, store, asked, ended, request)
    return _choose_newest(layout, store, asked, request)


def _try(layout: ServerLayout, store: ObjectStore, row: Row, accepted: frozenset[str]) -> tuple[Examined | None, SeafileError | None]:
    """Examine one set; return what was found, and the failure when it cannot be taken as it is."""
    try:
        examined = examine(store, Candidate(layout, row))
    except SeafileError as error:
        return None, error
    problem = incomplete(examined.candidate.row["path"], examined.unaccepted(accepted), {}) if examined.unaccepted(accepted) else None
    return examined, problem


def reasons_of(examined: Examined | None, problem: SeafileError, accepted: frozenset[str]) -> list[str]:
    """Why a set that was examined is not taken, a sentence each."""
    if examined is None:
        wrong = problem.details.get("wrong")
        return [str(line) for line in wrong[:REASONS]] if wrong else [f"{problem.what}: {problem.cause}"]
    found = examined.unaccepted(accepted)
    rest = [f"and {len(found) - REASONS + 1} objects more"] if len(found) > REASONS else []
    return [finding.sentence for finding in found[:REASONS - len(rest)]] + rest


def _choose_named(layout: ServerLayout, store: ObjectStore, rows: t.Sequence[Row], row: Row, request: Request) -> Choice:
    examined, problem = _try(layout, store, row, request.accepted)
    if problem is None and examined is not None:
        choice = Choice(examined)
        _note_state(choice)
        return choice
    problem = t.cast(SeafileError, problem)
    whole = None
    for other in order([other for other in rows if other["set_id"] != row["set_id"]], request.accepted):
        if _try(layout, store, other, request.accepted)[1] is None:
            whole = other["set_id"]
            break
    best = f"restore the set {whole}, the newest whole one" if whole else "there is no other whole set"
    if examined is not None:
        raise incomplete(row["path"], examined.unaccepted(request.accepted), {"newest_whole": whole}, best)
    raise SeafileError(problem.code, problem.what, problem.cause, best if whole else f"{best}; ask for a restore by hand",
                       **dict(problem.details, newest_whole=whole))


def _choose_newest(layout: ServerLayout, store: ObjectStore, rows: t.Sequence[Row], request: Request) -> Choice:
    reasons: dict[str, list[str]] = {}
    failures: list[tuple[Row, Examined | None]] = []
    for row in order(rows, request.accepted):
        examined, problem = _try(layout, store, row, request.accepted)
        if problem is None and examined is not None:
            choice = Choice(examined, passed_over(rows, row, reasons))
            _note_state(choice)
            return choice
        problem = t.cast(SeafileError, problem)
        failures.append((row, examined))
        reasons[row["set_id"]] = reasons_of(examined, problem, request.accepted)
    raise _none_left(layout, rows, reasons, failures, request)


def _none_left(layout: ServerLayout, rows: t.Sequence[Row], reasons: t.Mapping[str, t.Sequence[str]],
               failures: t.Sequence[tuple[Row, Examined | None]], request: Request) -> SeafileError:
    """The failure when no set can be taken: the newest one's findings, and the reason of each."""
    over = passed_over(rows, {"set_id": ""}, reasons)
    said = "; ".join(f"{row['set_id']} ({row['state']}): {', '.join(row['reasons'][:2])}" for row in over if row["state"] != PARTIAL)
    examined = next((examined for dummy, examined in failures if examined is not None), None)
    if examined is not None:
        found = examined.unaccepted(request.accepted)
        return incomplete(layout.root, found, {"passed_over": over, "newest_whole": None}, "", f"no set is whole: {said}")
    for row in rows:
        libraries = sorted(damaged_libraries(row) - {""})
        if libraries and row["set_id"] not in reasons:
            record = verification_record.newest(layout, row["set_id"], sets.read_manifest(row["path"]))[0]
            findings = record["findings"] if record else []
            return SeafileError(
                "set-incomplete", layout.root, f"no set is whole: {said}", next_steps(libraries),
                findings=[dict(finding, accepted=False, known=finding["where"] == SOURCE) for finding in findings[:FINDINGS_RETURNED]],
                findings_total=row["verification"]["findings_total"], passed_over=over, newest_whole=None)
    return SeafileError("set-damaged", layout.root, f"no set is whole: {said}", "there is no other whole set; ask for a restore by hand",
                        passed_over=over, newest_whole=None, wrong=[reason for row in over for reason in row["reasons"]][:100])


def _choose_with_fallback(layout: ServerLayout, store: ObjectStore, rows: t.Sequence[Row], asked: t.Sequence[Row], request: Request) -> Choice:
    """Take the newest of the sets I(asked) that can be read, and what is damaged in it out of older ones of I(rows)."""
    reasons: dict[str, list[str]] = {}
    for row in asked:
        try:
            base = Candidate(layout, row)
        except SeafileError as error:
            reasons[row["set_id"]] = reasons_of(None, error, request.accepted)
            continue
        examined = examine(store, base)
        choice = Choice(examined, passed_over(rows, row, reasons) if request.set_id is None else [])
        _fall_back(choice, layout, store, [other for other in rows if other["state"] != PARTIAL], request)
        _note_state(choice)
        return choice
    raise _none_left(layout, asked, reasons, [], request)


def _fall_back(choice: Choice, layout: ServerLayout, store: ObjectStore, rows: t.Sequence[Row], request: Request) -> None:
    """Give every damaged family of the choice its newest whole older state.

    :raises SeafileError: C(set-incomplete) when a family has none and its damage is not accepted.
    """
    base, left = choice.candidate, choice.examined.unaccepted(request.accepted)
    search = _Fallback(layout, store, base, rows)
    refused: list[str] = []
    sources: dict[str, tuple[str, str]] = {}
    for store_id in sorted({base.store_of(finding.library) or "" for finding in left} - {""}):
        state, reasons = search.search(store_id)
        if state is None:
            # the reasons of each older set are for the message; the findings stay
            refused.append(f"{printable(base.family(store_id)[0].name or store_id)}: " + ("; ".join(reasons[:REASONS]) or "there is no older set"))
            continue
        choice.heads.update(state.heads)
        choice.places.update(state.places)
        base.known = base.known.joined(search.known(state))
        reason = next(finding.sentence for finding in left if base.store_of(finding.library) == store_id)
        sources.update({library_id: (state.set_id, reason) for library_id in (*state.heads, *state.places)})
    if choice.heads or choice.places:
        combined = with_heads(base.pointers, choice.heads, choice.places)
        choice.examined = examine(store, base, combined)
        choice.fallbacks = [
            {"library": library["id"], "name": library["name"], "set_id": sources[library["id"]][0], "head": library["head"],
             "reason": sources[library["id"]][1]}
            for library in choice.examined.walked.libraries if library["id"] in sources]
        left = choice.examined.unaccepted(request.accepted)
    if left:
        why = f" No older set has them whole: {' / '.join(refused)}." if refused else ""
        raise incomplete(base.row["path"], left, {"newest_whole": None, "passed_over": choice.passed_over}, "", "", why)


def _roll_forward(choice: Choice, store: ObjectStore) -> None:
    """Take the libraries to their newest complete commits, and what these reach into the closure.

    What fell back stays where it is, and its whole family with it: its newer state is known to be damaged.
    """
    base, examined = choice.candidate, choice.examined
    older = {base.store_of(library_id) or "" for library_id in (*choice.heads, *choice.places)}
    damaged = {(finding.kind, finding.store, bytes.fromhex(finding.id)) for finding in examined.findings + examined.known}
    rolled = roll_forward.roll_forward(store, base.pointers, examined.walked, base.now, damaged, older)
    choice.heads.update((advance.library, advance.after.hex()) for advance in rolled.advances)
    choice.places.update(rolled.places)
    choice.rolled_forward = [
        {"library": advance.library, "name": advance.name, "from": advance.before.hex(), "to": advance.after.hex(), "commits": advance.commits,
         "time": roll_forward.time_text(advance.time)}
        for advance in rolled.advances]
    left = len(rolled.notes) - ROLL_NOTES
    choice.notes += rolled.notes[:ROLL_NOTES] + ([f"and {left} notes more of this kind"] if left > 0 else [])


class Everything(closure.Closure):
    """All objects that the backup has of the libraries I(pointers), reached or not, for a list in place of the closure's."""

    def __init__(self, store: ObjectStore, pointers: Pointers) -> None:
        super().__init__()
        self._store = store
        found = {("commits", library.id) for library in pointers.libraries}
        self._places = sorted(found.union((kind, library.store) for kind in ("fs", "blocks") for library in pointers.libraries))

    def paths(self) -> t.Iterator[str]:
        """Yield the relative path of every object, in the order of their bytes. An empty file is none."""
        for kind, store in self._places:
            for object_id, dummy in self._sizes(kind, store):
                yield object_path(kind, store, object_id)

    def totals(self) -> dict[str, dict[str, int]]:
        """As of a closure."""
        self.files, self.bytes = dict.fromkeys(self.files, 0), dict.fromkeys(self.bytes, 0)
        for kind, store in self._places:
            for dummy, size in self._sizes(kind, store):
                self.add(kind, size)
        return super().totals()

    def _sizes(self, kind: str, store: str) -> t.Iterator[tuple[bytes, int]]:
        with self._store.open(kind, store) as directory:
            for object_id in directory.ids():
                try:
                    yield object_id, directory.size(object_id)
                except Damage:
                    continue


def _note_state(choice: Choice) -> None:
    row = choice.candidate.row
    if row["state"] == SEALED:
        choice.notes.append(f"the set {row['set_id']} was never verified: all its objects are there and can be read as what they are, "
                            "but their content was not compared with their ids")
        choice.notes.extend(row["reasons"])
    elif row["state"] == DAMAGED:
        choice.notes.append(f"the set {row['set_id']} is recorded as damaged; what it names was read and hashed again for this choice")
    accepted = choice.examined.findings
    if accepted:
        libraries = sorted({printable(finding.library_name or finding.library) for finding in accepted})
        choice.notes.append(f"missing or damaged, which was accepted: {len(accepted)} of {', '.join(libraries)}; first: {accepted[0].sentence}")


# -- in words --------------------------------------------------------------------------------------------------------


def state_in_words(row: Row) -> str:
    """The state of a set, and when that was found."""
    record = row.get("verification")
    if not record:
        return "sealed, never verified" if row["state"] == SEALED else row["state"]
    return f"{'verified' if row['state'] == VERIFIED else 'found damaged'} at {record['ended']} (level {record['level']})"


def report(choice: Choice) -> list[str]:
    """What a person is told of the choice, a line each; without brackets."""
    row = choice.candidate.row
    lines = [f"chosen: {row['set_id']}, begun {row.get('began')}: {state_in_words(row)}"]
    for other in choice.passed_over:
        lines.append(f"passed over: {other['set_id']} ({other['state']}): {'; '.join(other['reasons'])}")
    for entry in choice.fallbacks:
        lines.append(f"from the older set {entry['set_id']}: {printable(entry['name'])} ({entry['library']}); in the chosen one: {entry['reason']}")
    for entry in choice.rolled_forward or ():
        lines.append(f"rolled forward: {printable(entry['name'])} ({entry['library']}) by {entry['commits']} commits, to {entry['to']} of {entry['time']}")
    if choice.rolled_forward == []:
        lines.append("rolled forward: nothing, no library has a newer complete commit in the backup")
    known = choice.known_damage()
    if known:
        names = sorted({printable(finding.library_name or finding.library) for finding in choice.examined.known})
        lines.append(f"damaged at the source, so in every backup: {len(known)}" + (f" of {', '.join(names[:FINDINGS_NAMED])}" if names else "")
                     + f", such as {known[0]}")
    return lines + [f"note: {note}" for note in choice.notes]


def next_steps(libraries: t.Sequence[str], best: str = "") -> str:
    """What to do about damaged libraries."""
    steps = [best] if best else []
    steps.append("set restore_library_fallback to take these libraries out of an older set")
    if libraries:
        steps.append("to go on without what is missing, name the libraries in restore_accept_damage: " + " ".join(libraries[:FINDINGS_NAMED]))
    return "; or ".join(steps)


def as_result(findings: t.Iterable[closure.Finding], accepted: t.Callable[[closure.Finding], bool],
              known: t.Callable[[closure.Finding], bool]) -> list[dict[str, t.Any]]:
    """The first findings for a module's result."""
    return [dict(finding._asdict(), accepted=accepted(finding), known=known(finding)) for finding in list(findings)[:FINDINGS_RETURNED]]


def incomplete(what: str, found: t.Sequence[closure.Finding], details: dict[str, t.Any], best: str = "", cause: str = "", more: str = "") -> SeafileError:
    """The failure that names how much, where, and the first objects.

    :arg best: the first of the next steps.
    :arg cause: said in place of the number of objects and libraries.
    :arg more: said behind it.
    """
    libraries = sorted({printable(finding.library_name or finding.library) for finding in found})
    names = ", ".join(libraries[:FINDINGS_NAMED]) + (", ..." if len(libraries) > FINDINGS_NAMED else "")
    first = "; ".join(finding.sentence for finding in found[:FINDINGS_NAMED])
    ids = sorted({finding.library for finding in found if finding.library})
    given = dict({"findings": as_result(found, lambda finding: False, lambda finding: False), "findings_total": len(found)}, **details)
    return SeafileError(
        "set-incomplete", what,
        cause or f"{len(found)} objects of {len(libraries)} libraries ({names}) are missing or damaged, first: {first}.{more}",
        next_steps(ids, best), **given)
