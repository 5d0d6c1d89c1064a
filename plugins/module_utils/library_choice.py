# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One library out of the sets of a server: the newest set in which it is whole, and everything of it that a restore needs.

Only the library and its sub-libraries are looked at: a set that is damaged in others serves as well. Unless the set is verified,
every object of the library is read and hashed now.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import closure, library_rows, set_choice, set_order, sets, sql_dump
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, printable
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout
from ansible_collections.seafleet.seafile.plugins.module_utils.library_rows import Extract, Rows
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import ORPHAN, TRASH, Library, Pointers
from ansible_collections.seafleet.seafile.plugins.module_utils.verification_record import VERIFIED

ROWS = "library.json"
"""Beside the list of objects: what :class:`library_rows.Extract` holds."""
_ACCOUNTS = ("EmailUser", "LDAPUsers", "Group")


@dataclasses.dataclass
class Found:
    """The library in the set that is taken.

    :arg known: findings that are the source's own damage.
    """

    candidate: set_choice.Candidate
    family: list[Library]
    walked: closure.Closure
    known: list[closure.Finding]
    passed_over: list[dict[str, t.Any]]


def choose(layout: ServerLayout, wanted: str, set_id: str | None, before: str | None) -> Found:
    """Return the newest set that has the library I(wanted) (its id, or its name where only one has it) whole.

    :arg set_id: this set and no other.
    :arg before: only sets from before this moment, or before this set.
    :raises SeafileError: C(no-set), C(library-unknown), C(library-ambiguous), C(library-is-sub-library), C(set-incomplete),
        C(set-damaged), C(time-invalid), C(storage-missing).
    """
    rows = sets.catalogue(layout)
    store = ObjectStore(layout.objects)
    if set_id is not None:
        asked = [set_order.named(rows, set_id)]
    else:
        asked = set_order.require_ended(rows, layout.root, before)
    store.require()
    failures: list[tuple[str, SeafileError]] = []
    for row in asked:
        try:
            candidate = set_choice.Candidate(layout, row)
            family = family_of(candidate.pointers, wanted)
            found = _examine(store, candidate, family)
        except SeafileError as error:
            # which library is meant, another set cannot tell better
            if error.code in ("library-ambiguous", "library-is-sub-library"):
                raise
            failures.append((row["set_id"], error))
            continue
        found.passed_over = [{"set_id": other, "reason": f"{error.what}: {error.cause}"} for other, error in failures]
        return found
    first = failures[0][1]
    if len(failures) > 1:
        others = "; ".join(f"{other}: {error.cause}" for other, error in failures[1:4])
        cause = f"{first.cause} (set {failures[0][0]}); no older set has it whole ({others})"
        first = SeafileError(first.code, first.what, cause, first.next_step, **first.details)
    raise first


def family_of(pointers: Pointers, wanted: str) -> list[Library]:
    """Return the library I(wanted) and its sub-libraries.

    :raises SeafileError: C(library-unknown), C(library-ambiguous), C(library-is-sub-library).
    """
    there = [library for library in pointers.libraries if library.kind != ORPHAN]
    chosen = [library for library in there if library.id == wanted] or [library for library in there if library.name == wanted and not library.origin]
    if not chosen:
        raise SeafileError("library-unknown", f"library {wanted}", "the set has no such library")
    if len(chosen) > 1:
        raise SeafileError("library-ambiguous", f"library {wanted}", f"{len(chosen)} libraries have that name: {', '.join(library.id for library in chosen)}")
    library = chosen[0]
    if library.origin:
        raise SeafileError("library-is-sub-library", f"library {library.id}", f"it is a folder of the library {library.origin} that is shared by itself")
    return [library, *(other for other in there if other.origin == library.id)]


def _examine(store: ObjectStore, candidate: set_choice.Candidate, family: list[Library]) -> Found:
    """Walk the library. The content counts too, unless a verification has just that proved.

    :raises SeafileError: C(set-incomplete).
    """
    doubtful = candidate.row["state"] != VERIFIED
    walked = closure.walk(store, Pointers(family, []), candidate.now, doubtful)
    known = [finding for finding in walked.findings if candidate.known.covers(finding)]
    wrong = [finding for finding in walked.findings if not candidate.known.covers(finding)]
    if wrong:
        raise SeafileError(
            "set-incomplete", candidate.row["path"],
            f"{len(wrong)} objects of the library {printable(family[0].name or family[0].id)} are missing or damaged, first: {wrong[0].sentence}",
            "name an older set, or give before", findings=set_choice.as_result(wrong, lambda finding: False, lambda finding: False), findings_total=len(wrong))
    return Found(candidate, family, walked, known, [])


def extract(layout: ServerLayout, found: Found) -> Extract:
    """Read the library's rows, and what is needed to judge them on a server, out of the set's dumps.

    :raises SeafileError: C(dump-damaged) and others of :func:`sql_dump.read_rows`, C(set-damaged) when a database has no dump in it.
    """
    candidate = found.candidate
    ids = [library.id for library in found.family]
    dumps = candidate.manifest["databases"]
    databases: dict[str, Rows] = {}
    for role in library_rows.ROLES:
        named = [dump for dump in dumps if dump.get("role") == role]
        if len(named) > 1 or (role == library_rows.SEAFILE and not named):
            raise SeafileError("set-damaged", candidate.row["path"], f"the manifest names {len(named)} dumps of the database {role}")
        for dump in named:
            databases[role] = library_rows.collect(library_rows.DumpReader(os.path.join(candidate.paths["databases"], dump["file"])), ids)
            databases[role].engine = dump["engine"]
    people, groups = _accounts([os.path.join(candidate.paths["databases"], dump["file"]) for dump in dumps if dump.get("role") == "ccnet"],
                               library_rows.mentioned(databases.values()))
    first = found.walked.libraries[0]
    for library, told in zip(found.family, found.walked.libraries):
        library.name = told["name"] or library.name
    main = found.family[0]
    return Extract(
        set_id=candidate.set_id, server=os.path.basename(layout.root), began=set_order.began(candidate.row).strftime("%Y-%m-%dT%H:%M:%SZ"),
        now=candidate.now, library=main.id, name=main.name, kind=main.kind, head=library_rows.head_of(main), encrypted=bool(first["encrypted"]),
        version=first["version"] if isinstance(first["version"], int) else 1, pointers=found.family, databases=databases, people=people, groups=groups,
        known_damage=sorted(set_choice.key_of(finding) for finding in found.known))


def _accounts(dumps: t.Iterable[str], mentioned: library_rows.Mentioned) -> tuple[list[str], dict[int, dict[str, t.Any]]]:
    """Those of the people and groups I(mentioned) that the dumps of ccnet have."""
    people: set[str] = set()
    groups: dict[int, dict[str, t.Any]] = {}
    lower = {person.lower(): person for person in mentioned.people}
    for dump in dumps:
        for table, row in sql_dump.read_rows(dump, _ACCOUNTS):
            if table == "Group":
                if row.get("group_id") in mentioned.groups:
                    groups[t.cast(int, row["group_id"])] = {"name": str(row.get("group_name")), "timestamp": str(row.get("timestamp"))}
            elif str(row.get("email")).lower() in lower:
                people.add(lower[str(row["email"]).lower()])
    return sorted(people), groups


def list_key(found: Found) -> str:
    """The name of the place of what is written for a restore of this library out of this set."""
    return f"{found.candidate.set_id}-{found.family[0].id}"


def report(found: Found, extracted: Extract) -> list[str]:
    """What a person is told, a line each; without brackets."""
    lines = [f"chosen: {found.candidate.set_id}, begun {extracted.began}: {set_choice.state_in_words(found.candidate.row)}"]
    lines += [f"passed over: {entry['set_id']}: {entry['reason']}" for entry in found.passed_over]
    head = extracted.head[:12]
    where = "in the trash" if extracted.kind == TRASH else f"of {printable(extracted.owner() or 'nobody')}"
    lines.append(f"library: {printable(extracted.name)} ({extracted.library}) {where}, head {head}, {len(extracted.pointers) - 1} sub-libraries")
    if extracted.known_damage:
        lines.append(f"missing on the server itself when the set was made, so in every backup: {len(extracted.known_damage)} objects, "
                     f"such as {extracted.known_damage[0]}")
    return lines
