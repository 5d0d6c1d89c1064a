# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Seafile's database points at: every library with its heads, its store and how much of its history must be there."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import LIBRARY_ID, ZERO_ID, parse_id
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import KeyFile
from ansible_collections.seafleet.seafile.plugins.module_utils.sql_dump import Row, Value, read_tables

REQUIRED_TABLES = ("Branch", "Repo")
# The other tables may be missing: older versions of Seafile do not have them all.
TABLES = REQUIRED_TABLES + ("RepoHistoryLimit", "RepoInfo", "RepoOwner", "RepoTrash", "RepoValidSince", "SeafileConf", "VirtualRepo")

LIVE = "live"
TRASH = "trash"
ORPHAN = "orphan"

_DAY_SECONDS = 24 * 3600


@dataclasses.dataclass
class Library:
    """One library as the database has it.

    :arg kind: C(live); C(trash): deleted but still recoverable; C(orphan): a head without a library, a leftover of a
        deletion, whose objects the garbage collection may have taken.
    :arg heads: ids of the commits that its branches, or its row in RepoTrash, point at.
    :arg store: the library whose fs objects and blocks it uses: its own id, or its origin's for a sub-library.
    :arg base: for a sub-library the commit of its origin that it was last merged with.
    :arg days: how many days of history are kept; 0 only the head, negative all.
    :arg valid_since: seconds since 1970 before which history may be missing (RepoValidSince), or -1.
    """

    id: str
    kind: str = LIVE
    heads: list[bytes] = dataclasses.field(default_factory=list)
    store: str = ""
    origin: str | None = None
    path: str | None = None
    base: bytes | None = None
    days: int = -1
    valid_since: int = -1
    name: str = ""
    owner: str | None = None

    def truncate_time(self, now: int) -> int:
        """The time before which history may be missing: seconds since 1970; 0 only the head is kept; negative all of it.

        As C(seaf_repo_manager_get_repo_truncate_time()) has it (server/gc/repo-mgr.c).
        """
        if self.days > 0:
            return max(now - self.days * _DAY_SECONDS, self.valid_since)
        return self.valid_since if self.days < 0 else 0


class Pointers(t.NamedTuple):
    """The libraries, origins before their sub-libraries, and the rows that cannot be a pointer, as text."""

    libraries: t.List[Library]
    strange: t.List[str]


def read_pointers(dump: str, keep_days: int | None = None) -> Pointers:
    """Return what the dump I(dump) of Seafile's own database points at.

    :arg keep_days: C([history] keep_days) of seafile.conf; None when it is not set.
    :raises SeafileError: see :func:`sql_dump.read_rows`.
    """
    return make_pointers(read_tables(dump, TABLES, REQUIRED_TABLES), keep_days)


class Place(t.NamedTuple):
    """Where a sub-library hangs in its origin: the commit of the origin that it was last merged with, and its folder there."""

    base: str
    path: str


def places_of(rows: t.Mapping[str, t.Any]) -> dict[str, Place]:
    """Return the places that a module was given: C(base_commit) and C(path) by library id.

    :raises SeafileError: C(commit-id-invalid).
    """
    places = {}
    for library_id, row in rows.items():
        base, path = (row.get("base_commit"), row.get("path")) if isinstance(row, dict) else (None, None)
        require_commit_id(base)
        if not isinstance(path, str):
            raise SeafileError("commit-id-invalid", f"sub-library {library_id}", "needs base_commit and path", "give both")
        places[library_id] = Place(t.cast(str, base), path)
    return places


def with_heads(pointers: Pointers, heads: t.Mapping[str, str], places: t.Mapping[str, Place] | None = None) -> Pointers:
    """Return I(pointers) where the libraries I(heads) (library id to commit id) point at these commits and at no others.

    :arg places: for sub-libraries what their row in VirtualRepo says in place of the dump's. Beside an older head a newer base would
        make the server's next merge take changes back.
    :raises SeafileError: C(library-unknown) for a library that the pointers do not have, or a place for one that is no sub-library;
        C(commit-id-invalid).
    """
    places = places or {}
    known = {library.id: library for library in pointers.libraries}
    for library_id in sorted(set(heads) | set(places)):
        if library_id not in known:
            raise SeafileError("library-unknown", f"library {library_id}", "the dump has no such library")
        if library_id in places and not known[library_id].origin:
            raise SeafileError("library-unknown", f"library {library_id}", "it is no sub-library")
    result = []
    for library in pointers.libraries:
        if library.id in heads:
            library = dataclasses.replace(library, heads=[require_commit_id(heads[library.id])])
        if library.id in places:
            place = places[library.id]
            library = dataclasses.replace(library, base=require_commit_id(place.base), path=place.path)
        result.append(library)
    return Pointers(result, pointers.strange)


def require_commit_id(text: t.Any) -> bytes:
    """Return the 20 bytes of the commit id I(text).

    :raises SeafileError: C(commit-id-invalid).
    """
    try:
        return parse_id(text)
    except ValueError:
        raise SeafileError("commit-id-invalid", f"commit {text!r}", "is not the id of a commit") from None


def read_keep_days(path: str) -> int | None:
    """Return C([history] keep_days) of the seafile.conf at I(path), or None when it is not set."""
    with open(path, "rb") as stream:
        return KeyFile(path, stream.read()).get_integer("history", "keep_days")


def make_pointers(tables: t.Mapping[str, t.Sequence[Row]], keep_days: int | None = None) -> Pointers:
    """Make the libraries out of the rows of the tables :data:`TABLES`."""
    libraries: dict[str, Library] = {}
    strange: list[str] = []

    def known(row: Row, column: str) -> Library | None:
        return libraries.get(_text(row.get(column)))

    for row in tables["Repo"]:
        _add(libraries, strange, "Repo", row, LIVE)
    for row in tables["RepoTrash"]:
        library = _add(libraries, strange, "RepoTrash", row, TRASH)
        if library:
            library.name = library.name or _text(row.get("repo_name"))
            library.owner = library.owner or _text(row.get("owner_id")) or None
            _add_head(library, strange, "RepoTrash", row.get("head_id"))
    for row in tables["Branch"]:
        library = known(row, "repo_id") or _add(libraries, strange, "Branch", row, ORPHAN)
        if library:
            _add_head(library, strange, "Branch", row.get("commit_id"))
    for row in tables["RepoOwner"]:
        library = known(row, "repo_id")
        if library and library.kind == LIVE:
            library.owner = _text(row.get("owner_id")) or None
    for row in tables["RepoInfo"]:
        library = known(row, "repo_id")
        if library and not library.name:
            library.name = _text(row.get("name"))
    for row in tables["RepoValidSince"]:
        library = known(row, "repo_id")
        if library:
            library.valid_since = _integer(row.get("timestamp"), -1)
    limits = {_text(row.get("repo_id")): _integer(row.get("days"), -1) for row in tables["RepoHistoryLimit"]}
    default = _default_days(tables["SeafileConf"], keep_days)
    for library in libraries.values():
        library.days = limits.get(library.id, default)
    for row in tables["VirtualRepo"]:
        library = known(row, "repo_id")
        if library:
            _make_virtual(library, strange, row, limits.get(_text(row.get("origin_repo")), default))
    for library in libraries.values():
        library.store = _store(libraries, library)
    order = sorted(libraries.values(), key=lambda library: (library.origin is not None, library.kind == ORPHAN, library.id))
    return Pointers(order, strange)


def _text(value: Value) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return "" if value is None else str(value)


def _integer(value: Value, default: int) -> int:
    try:
        return default if value is None else int(value)
    except (ValueError, OverflowError):  # text, or the infinity that SQLite's REAL may hold
        return default


def _add(libraries: dict[str, Library], strange: list[str], table: str, row: Row, kind: str) -> Library | None:
    """The library of the row, which begins to exist; None when its id could not be a directory's name in the store."""
    library_id = _text(row.get("repo_id"))
    if not LIBRARY_ID.match(library_id):
        strange.append(f"{table}.repo_id {library_id[:80]!r}")
        return None
    return libraries.setdefault(library_id, Library(id=library_id, kind=kind))


def _add_head(library: Library, strange: list[str], table: str, value: Value) -> None:
    try:
        head = parse_id(_text(value))
    except ValueError:
        strange.append(f"{table} of library {library.id}: head {_text(value)[:80]!r}")
        return
    if head not in library.heads and head != ZERO_ID:
        library.heads.append(head)


def _make_virtual(library: Library, strange: list[str], row: Row, origin_days: int) -> None:
    origin = _text(row.get("origin_repo"))
    if not LIBRARY_ID.match(origin):
        strange.append(f"VirtualRepo.origin_repo {origin[:80]!r}")
        return
    library.origin = origin
    library.path = _text(row.get("path"))
    library.days = origin_days
    try:
        library.base = parse_id(_text(row.get("base_commit")))
    except ValueError:
        strange.append(f"VirtualRepo of library {library.id}: base_commit {_text(row.get('base_commit'))[:80]!r}")


def _store(libraries: dict[str, Library], library: Library) -> str:
    """The id under which the fs objects and blocks lie. Seafile makes no sub-library of a sub-library; if one is found, follow it."""
    seen = {library.id}
    store = library.id
    while library.origin and library.origin not in seen:
        store = library.origin
        seen.add(store)
        if store not in libraries:
            break
        library = libraries[store]
    return store


def _default_days(rows: t.Sequence[Row], keep_days: int | None) -> int:
    """The limit of libraries without one of their own. A row in SeafileConf goes before seafile.conf (common/config-mgr.c)."""
    for row in rows:
        if _text(row.get("cfg_group")) == "history" and _text(row.get("cfg_key")) == "keep_days":
            keep_days = _integer(row.get("value"), -1)
    return -1 if keep_days is None else keep_days
