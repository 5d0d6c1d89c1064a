# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking libraries of a restored database to other heads: what is to be changed (pure), and the two engines that change it.

The head of a living library is C(Branch.commit_id) of its branch C(master), that of a deleted one C(RepoTrash.head_id). A
sub-library is merged with its origin from C(VirtualRepo.base_commit) on, so that it must go back together with the heads.
"""

from __future__ import annotations

import dataclasses
import sqlite3
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_schema, sqlite_files, sqlite_session
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client, identifier, literal
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import LIBRARY_ID
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import Place, require_commit_id

CACHES = ("RepoFileCount", "RepoSize")
"""What Seafile counts of a library's head, a row each; the server counts again what is not there."""
NEEDED = ("Branch", "Repo")


@dataclasses.dataclass
class Rows:
    """What a database has of the libraries in question.

    :arg repo: ids in C(Repo).
    :arg branch: commit of the branch C(master) by library.
    :arg trash: C(RepoTrash.head_id) by library.
    :arg virtual: base and path by sub-library.
    :arg caches: number of rows in the tables :data:`CACHES` by library.
    """

    repo: set[str] = dataclasses.field(default_factory=set)
    branch: dict[str, str] = dataclasses.field(default_factory=dict)
    trash: dict[str, str] = dataclasses.field(default_factory=dict)
    virtual: dict[str, Place] = dataclasses.field(default_factory=dict)
    caches: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Change:
    """One library as it is and as it shall be; equal when nothing is to be done. I(place) only for sub-libraries that were named."""

    library: str
    kind: str
    before: str
    after: str
    place_before: Place | None = None
    place_after: Place | None = None
    caches: int = 0

    @property
    def is_change(self) -> bool:
        return (self.before, self.place_before) != (self.after, self.place_after)

    def line(self, head: str, place: Place | None) -> str:
        """One line of the difference."""
        where = f", base {place.base}, path {place.path}" if place else ""
        return f"{self.library} ({self.kind}): {head}{where}\n"

    def result(self) -> dict[str, t.Any]:
        """For the module's result."""
        value: dict[str, t.Any] = {"id": self.library, "kind": self.kind, "before": self.before, "after": self.after, "changed": self.is_change}
        if self.place_after and self.place_before:
            value.update(base_before=self.place_before.base, base_after=self.place_after.base, path_before=self.place_before.path,
                         path_after=self.place_after.path)
        return value


def check(heads: t.Mapping[str, t.Any], places: t.Mapping[str, Place]) -> list[str]:
    """Return the ids of all libraries named, sorted.

    :raises SeafileError: C(library-id-invalid), C(commit-id-invalid): nothing else ever gets into a statement.
    """
    for library_id, head in heads.items():
        if not isinstance(library_id, str) or not LIBRARY_ID.match(library_id):
            raise SeafileError("library-id-invalid", f"heads {library_id!r}", "is not a library id (36 characters, lower case)")
        require_commit_id(head)
    for library_id, place in places.items():
        if not LIBRARY_ID.match(library_id):
            raise SeafileError("library-id-invalid", f"sub_libraries {library_id!r}", "is not a library id (36 characters, lower case)")
        require_commit_id(place.base)
    return sorted(set(heads) | set(places))


def plan(rows: Rows, heads: t.Mapping[str, str], places: t.Mapping[str, Place], what: str) -> list[Change]:
    """Return what becomes of each library named.

    :raises SeafileError: C(library-unknown) when the database I(what) lacks one, or has no row for its head.
    """
    changes = []
    for library_id in check(heads, places):
        # as in the walk: a library with a row in Repo lives, whatever the trash says
        kind, found = ("live", rows.branch) if library_id in rows.repo else ("trash", rows.trash)
        if library_id not in found:
            cause = "it has no head to set" if kind == "live" else "there is no such library, neither a living nor a deleted one"
            raise SeafileError("library-unknown", f"library {library_id} in {what}", f"{cause}; nothing was changed")
        if library_id in places and library_id not in rows.virtual:
            raise SeafileError("library-unknown", f"library {library_id} in {what}", "it is no sub-library there; nothing was changed")
        before = found[library_id]
        place = rows.virtual.get(library_id) if library_id in places else None
        changes.append(Change(library_id, kind, before, heads.get(library_id, before), place, places.get(library_id), rows.caches.get(library_id, 0)))
    return changes


# -- statements, the same for both engines ---------------------------------------------------------------------------


def _reading(tables: t.Collection[str], wanted: str) -> t.Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield (table, condition, columns) of what has to be read; I(wanted) is the list of ids as SQL."""
    yield "Repo", f"repo_id IN {wanted}", ("repo_id",)
    yield "Branch", f"repo_id IN {wanted} AND name = 'master'", ("repo_id", "commit_id")
    if "RepoTrash" in tables:
        yield "RepoTrash", f"repo_id IN {wanted}", ("repo_id", "head_id")
    if "VirtualRepo" in tables:
        yield "VirtualRepo", f"repo_id IN {wanted}", ("repo_id", "base_commit", "path")
    for table in CACHES:
        if table in tables:
            yield table, f"repo_id IN {wanted}", ("repo_id",)


def _take(rows: Rows, table: str, row: t.Sequence[t.Any]) -> None:
    values = [str(value) for value in row]
    if table == "Repo":
        rows.repo.add(values[0])
    elif table == "Branch":
        rows.branch[values[0]] = values[1]
    elif table == "RepoTrash":
        rows.trash[values[0]] = values[1]
    elif table == "VirtualRepo":
        rows.virtual[values[0]] = Place(values[1], values[2])
    else:
        rows.caches[values[0]] = rows.caches.get(values[0], 0) + 1


def writing(changes: t.Iterable[Change], tables: t.Collection[str], quoted: t.Callable[[str], str], string: t.Callable[[str], str]) -> list[str]:
    """Return the statements that make I(changes). A row that is not as it was read is left alone.

    :arg quoted: quotes a name.
    :arg string: quotes a text.
    """
    statements = []
    for change in changes:
        if not change.is_change:
            continue
        same = f"{quoted('repo_id')} = {string(change.library)}"
        if change.before != change.after:
            table, column, more = ("Branch", "commit_id", f" AND {quoted('name')} = 'master'") if change.kind == "live" else ("RepoTrash", "head_id", "")
            statements.append(f"UPDATE {quoted(table)} SET {quoted(column)} = {string(change.after)} WHERE {same}{more}"
                              f" AND {quoted(column)} = {string(change.before)}")
            statements += [f"DELETE FROM {quoted(cache)} WHERE {same}" for cache in CACHES if cache in tables]
        if change.place_after and change.place_after != change.place_before:
            statements.append(f"UPDATE {quoted('VirtualRepo')} SET {quoted('base_commit')} = {string(change.place_after.base)}, "
                              f"{quoted('path')} = {string(change.place_after.path)} WHERE {same}")
    return statements


def _require(tables: t.Collection[str], what: str) -> None:
    absent = [table for table in NEEDED if table not in tables]
    if absent:
        raise SeafileError("dump-wrong-database", what, f"it has no table {' and '.join(absent)}",
                           "name Seafile's own database (its role in the manifest is seafile)")


def _unchanged(what: str) -> SeafileError:
    return SeafileError("database-changed", what, "its heads changed while they were being set", "stop Seafile, then run again")


# -- MySQL and MariaDB -----------------------------------------------------------------------------------------------


def _mysql_rows(client: Client, database: str, tables: t.Collection[str], ids: t.Iterable[str]) -> Rows:
    wanted = mysql_schema.names_in(ids)
    statements = []
    for table, condition, columns in _reading(tables, wanted):
        values = ", ".join(f"COALESCE({identifier(column)}, '')" for column in columns)
        statements.append(f"SELECT {literal(table)}, {values} FROM {identifier(table)} WHERE {condition}")
    rows = Rows()
    for row in client.query(*statements, what=f"database {database}", database=database):
        _take(rows, row[0], row[1:])
    return rows


def set_in_mysql(client: Client, database: str, heads: t.Mapping[str, str], places: t.Mapping[str, Place], act: bool) -> list[Change]:
    """Set the heads in the database I(database), in one transaction; return what was changed, or would be without I(act).

    :raises SeafileError: C(library-unknown), C(dump-wrong-database), C(database-unknown), C(database-changed) and what the client says.
    """
    what = f"database {database}"
    ids = check(heads, places)
    if database not in mysql_schema.visible(client):
        raise SeafileError("database-unknown", what, "the account cannot see it")
    tables = mysql_schema.base_tables(client, database)
    _require(tables, what)
    changes = plan(_mysql_rows(client, database, tables, ids), heads, places, what) if ids else []
    statements = writing(changes, tables, identifier, literal)
    if statements and act:
        # the client ends at the first error, and the server takes an unfinished transaction back
        client.query("START TRANSACTION", *statements, "COMMIT", what=what, database=database)
        if any(change.is_change for change in plan(_mysql_rows(client, database, tables, ids), heads, places, what)):
            raise _unchanged(what)
    return changes


# -- SQLite ----------------------------------------------------------------------------------------------------------


def _sqlite_rows(connection: sqlite3.Connection, tables: t.Collection[str], ids: t.Iterable[str]) -> Rows:
    rows = Rows()
    for table, condition, columns in _reading(tables, "(" + ", ".join(map(sqlite_session.string, ids)) + ")"):
        values = ", ".join(f"COALESCE({sqlite_files.quote_name(column)}, '')" for column in columns)
        for row in connection.execute(f"SELECT {values} FROM {sqlite_files.quote_name(table)} WHERE {condition}"):
            _take(rows, table, row)
    return rows


def set_in_sqlite(path: str, heads: t.Mapping[str, str], places: t.Mapping[str, Place], act: bool) -> list[Change]:
    """The same in the SQLite file I(path), which keeps its owner and mode.

    :raises SeafileError: C(library-unknown), C(dump-wrong-database), C(sqlite-missing), C(sqlite-locked), C(sqlite-corrupt).
    """
    ids = check(heads, places)
    with sqlite_session.session(path, act) as connection:
        tables = sqlite_session.tables(connection)
        _require(tables, path)
        changes = plan(_sqlite_rows(connection, tables, ids), heads, places, path) if ids else []
        for statement in writing(changes, tables, sqlite_files.quote_name, sqlite_session.string) if act else ():
            connection.execute(statement)
    return changes
