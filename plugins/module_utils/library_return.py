# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One library into a server that is running: everything that can refuse first, then objects, then rows, what shows it last.

Interrupted anywhere, the library is not to be seen (or, where it is replaced, still as it was), and another run completes it.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import typing as t
import uuid

from ansible_collections.seafleet.seafile.plugins.module_utils import (
    closure,
    deployment,
    library_crypto,
    library_objects,
    library_plan,
    library_rows,
    mysql_client,
    pointers,
    seafile_config,
    set_choice,
)
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, printable
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import new_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.library_choice import ROWS
from ansible_collections.seafleet.seafile.plugins.module_utils.library_rows import SEAFILE, SEAHUB, Change, Extract, Rows
from ansible_collections.seafleet.seafile.plugins.module_utils.live_tables import Delete, Insert, LiveReader, MysqlDatabase, NewId, Session, SqliteDatabase
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore

NEW, AS_NEW, REPLACE = "new", "as_new", "replace"
MODES = (NEW, AS_NEW, REPLACE)
RECORD = "libraries.json"
SAFETY = "before-"
_TRIES = 3
_AGAIN = ("database-changed", "database-error")
"""What another try may get over: a row that Seafile wrote between reading and writing, a lock."""

Database = t.Union[SqliteDatabase, MysqlDatabase]


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked for; see the options of the module library_restore."""

    seafile_root: str
    src: str
    state_dir: str
    mode: str = NEW
    owner: str | None = None
    name: str | None = None
    password: str | None = None
    again: bool = False


class Record:
    """Which libraries were brought back on this server, and out of which set."""

    def __init__(self, state_dir: str) -> None:
        self.path = os.path.join(state_dir, RECORD)
        self.entries: dict[str, dict[str, t.Any]] = {}
        try:
            with open(self.path, "rb") as stream:
                self.entries = dict(json.load(stream)["libraries"])
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError):
            raise SeafileError("record-damaged", self.path, "it is not a record of this module") from None

    def put(self, library_id: str, entry: dict[str, t.Any]) -> None:
        """Keep I(entry), on disk before this returns."""
        self.entries[library_id] = entry
        make_private_directory(os.path.dirname(self.path))
        write_json(self.path, {"libraries": self.entries})


def new_id(library_id: str, set_id: str) -> str:
    """Return the id of the copy of a library out of a set: always the same, so that a second run finds what the first one made."""
    digest = hashlib.sha256(f"{library_id} {set_id}".encode("ascii")).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def databases_of(configuration: seafile_config.Configuration) -> dict[str, list[Database]]:
    """Return the live databases by role.

    :raises SeafileError: C(database-unknown), C(sqlite-missing), C(database-access-denied) and others of the login.
    """
    result: dict[str, list[Database]] = {}
    for found in configuration.databases:
        if found.engine == "sqlite":
            database: Database = SqliteDatabase(os.path.join(configuration.root, found.path or found.name))
        else:
            login = mysql_client.Login(found.host or "localhost", found.port or 3306, found.user, found.password, found.unix_socket)
            database = MysqlDatabase(mysql_client.Client(login, "Seafile's configuration"), found.name)
        result.setdefault(found.role, []).append(database)
    return result


class Return:
    """One library on its way back. The constructor reads and refuses; :meth:`run` changes."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.extract = library_rows.read(os.path.join(request.src, ROWS))
        self.names = library_objects.read_list(os.path.join(request.src, library_objects.LIST))
        self.configuration = seafile_config.read_configuration(request.seafile_root)
        seafile_config.require_local_objects(self.configuration)
        self.databases = databases_of(self.configuration)
        self.record = Record(request.state_dir)
        self.notes: list[str] = []
        self.safety: str | None = None
        self.placed = 0
        extract = self.extract
        self.ids = {library_id: new_id(library_id, extract.set_id) for library_id in extract.ids()} if request.mode == AS_NEW else {}
        self.targets = [self.ids.get(library_id, library_id) for library_id in extract.ids()]
        self.pointers = library_rows.new_pointers(extract, self.ids)
        self.target = self.targets[0]
        self.name = extract.name
        if request.mode == AS_NEW:
            self.name = request.name or f"{extract.name} ({extract.set_id})"
        self._require_engines()
        self.there = self._there()
        self.done = self._is_done()
        if self.done:
            return
        self._require_free()
        change = self._change()
        self.rows = {role: self._adapted(role, change) for role in library_rows.ROLES if role in extract.databases}
        self._require_password()
        for role, rows in self.rows.items():
            with self._session(role, False) as session:
                library_plan.check_schema(rows, session.tables, self._database(role).what)
        self._require_no_collection()
        self.plans = {role: self._preview(role) for role in self.rows}

    # -- what can refuse --------------------------------------------------------------------------------------------

    def _database(self, role: str) -> Database:
        return self.databases[role][0]

    def _session(self, role: str, act: bool) -> t.ContextManager[Session]:
        return self._database(role).session(act)

    def _refresh(self) -> None:
        for databases in self.databases.values():
            for database in databases:
                database.refresh()

    def _require_engines(self) -> None:
        for role, rows in self.extract.databases.items():
            if role not in self.databases:
                raise SeafileError("database-unknown", self.request.seafile_root, f"its configuration names no database {role}")
            if self._database(role).engine != rows.engine:
                raise SeafileError("engine-mismatch", self._database(role).what, f"the set was made with {rows.engine}",
                                   "restore the library on a server with the same engine, or export its files")

    def _there(self) -> dict[str, str]:
        """Which of the libraries are in the live server, V(live) or V(trash)."""
        found: dict[str, str] = {}
        with self._session(SEAFILE, False) as session:
            for table, kind in (("repotrash", "trash"), ("repo", "live")):
                if table in session.tables:
                    for row in session.find(session.tables[table], [{"repo_id": library_id} for library_id in self.targets]):
                        found[str(row["repo_id"])] = kind
        return found

    def _is_done(self) -> bool:
        """Whether this very library was brought back from this very set before, and is there."""
        entry = self.record.entries.get(self.target, {})
        there = self.there.get(self.target)
        if entry.get("set_id") != self.extract.set_id or entry.get("mode") != self.request.mode or there is None or self.request.again:
            return False
        if there != "live" and self.extract.kind == pointers.LIVE:
            return False  # it was deleted since
        # With nothing to replace, only the last transaction of the interrupted run can have made it visible.
        return entry.get("state") == "restored" or self.request.mode != REPLACE

    def _require_free(self) -> None:
        if self.request.mode == REPLACE or not self.there:
            return
        library_id = self.target if self.target in self.there else sorted(self.there)[0]
        what = f"library {library_id}"
        if library_id != self.target:
            what = f"sub-library {library_id} of {self.target}"
        if self.there[library_id] == "trash":
            raise SeafileError("library-exists", what, "it is in the server's trash, where its owner or an administrator can restore it",
                               "restore it from the trash, or use mode replace, which keeps what is there as a safety copy; or mode as_new")
        if self.request.mode == AS_NEW:
            raise SeafileError("library-exists", what, "the server has the copy of the library out of this set already", "take another set")
        raise SeafileError("library-exists", what, "the server has it")

    def _change(self) -> Change:
        """Who is gone, and who owns the library.

        :raises SeafileError: C(library-owner-gone), C(library-group-gone).
        """
        extract, owner = self.extract, self.request.owner
        people, groups = self._gone()
        old = extract.owner()
        named = library_rows.mentioned([Rows(tables={"RepoOwner": [{"owner_id": owner or old}]})])
        if owner is not None and not self._people_there([owner]):
            raise SeafileError("library-owner-gone", owner, "this server has no such account", "name another account as owner, or create this one")
        if owner is None and named.people & people:
            raise SeafileError("library-owner-gone", f"library {extract.library}", f"its owner {old} is no account of this server any more")
        if owner is None and groups:
            told = ", ".join(f"{extract.groups[group]['name']} ({group})" for group in sorted(groups))
            raise SeafileError("library-group-gone", f"library {extract.library}", f"groups that it belongs to or was shared with are no more: {told}")
        return Change(self.ids, owner, old, frozenset(people), frozenset(groups), self.name if self.request.mode == AS_NEW else None, extract.library)

    def _gone(self) -> tuple[set[str], set[int]]:
        """Accounts and groups of the set that this server does not have any more."""
        extract = self.extract
        people = set(extract.people) - self._people_there(extract.people)
        groups = set(extract.groups)
        for row in self._ccnet("group", [{"group_id": group} for group in extract.groups]):
            # a number may have been given again to another group
            if str(row.get("timestamp")) == extract.groups.get(row["group_id"], {}).get("timestamp"):
                groups.discard(row["group_id"])
        return people, groups

    def _people_there(self, people: t.Iterable[str]) -> set[str]:
        wanted = {person.lower(): person for person in people}
        conditions = [{"email": spelling} for lower, person in wanted.items() for spelling in dict.fromkeys((lower, person))]
        found = [row for table in ("emailuser", "ldapusers") for row in self._ccnet(table, conditions)]
        return {wanted[str(row["email"]).lower()] for row in found if str(row["email"]).lower() in wanted}

    def _ccnet(self, table: str, conditions: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
        found: list[dict[str, t.Any]] = []
        for database in self.databases.get("ccnet", []) if conditions else []:
            with database.session(False) as session:
                if table in session.tables:
                    found += session.find(session.tables[table], conditions)
        return found

    def _adapted(self, role: str, change: Change) -> Rows:
        rows, notes = library_rows.adapt(self.extract.databases[role], role, change)
        self.notes += [f"left out: {note}" for note in notes]
        self.notes += [f"left out: {table}: {count} rows ({library_rows.LEFT_OUT[table.lower()]})" for table, count in sorted(rows.left_out.items())]
        return rows

    def _require_password(self) -> None:
        """Under another id an encrypted library's password must be known, for what checks it is made of the id too."""
        if self.request.mode != AS_NEW or not self.extract.encrypted:
            return
        what = f"library {self.extract.library}"
        if not self.request.password:
            raise SeafileError("library-encrypted-new-id", what, "it is encrypted, and what its password is checked with belongs to its id",
                               "give its password, or bring it back under its own id")

    def _check_password(self) -> None:
        """The head's password counts; it is known as soon as the objects are here."""
        if self.request.mode != AS_NEW or not self.extract.encrypted:
            return
        for root in (os.path.join(self.request.src, library_objects.OBJECTS), self.configuration.storage):
            if not os.path.isdir(root):
                continue
            with ObjectStore(root).open("commits", self.extract.library) as commits:
                if not library_objects.is_good(commits, self.extract.pointers[0].heads[0], self.extract.version):
                    continue
                document = commits.read_commit_document(self.extract.pointers[0].heads[0])[1]
            if library_crypto.magic_under(document, t.cast(str, self.request.password), self.target) is None:
                raise SeafileError("library-password-wrong", f"library {self.extract.library}", "the password does not open it")
            return

    def _require_no_collection(self) -> None:
        collectors = deployment.garbage_collectors(deployment.running([self.configuration.root, self.configuration.data_dir]))
        if collectors:
            raise SeafileError("gc-running", self.configuration.root, f"garbage collection is running: {deployment.in_words(collectors)}")

    def _live_ids(self) -> list[str]:
        """The libraries whose live rows are this library's: with replace also sub-libraries that were made since the set."""
        ids = list(self.targets)
        if self.request.mode != REPLACE:
            return ids
        with self._session(SEAFILE, False) as session:
            if "virtualrepo" in session.tables:
                found = session.find(session.tables["virtualrepo"], [{"origin_repo": self.target}])
                ids += [str(row["repo_id"]) for row in found if row["repo_id"] not in ids]
        return ids

    def _plan(self, role: str, session: Session, ids: t.Sequence[str]) -> library_plan.Plan:
        live = library_rows.collect(LiveReader(session), ids)
        plan = library_plan.make(session, self.rows[role], live, self.request.mode == REPLACE)
        plan.operations = [*library_plan.clearing(session, ids), *plan.operations]
        return plan

    def _preview(self, role: str) -> library_plan.Plan:
        ids = self._live_ids()
        with self._session(role, False) as session:
            return self._plan(role, session, ids)

    # -- what changes -----------------------------------------------------------------------------------------------

    def lacking(self) -> list[library_objects.Name]:
        """The objects that the server's store does not have, by their names in the backup."""
        return library_objects.lacking(self.configuration.storage, self.names, self.ids, self.extract.version)

    def run(self) -> None:
        """Bring the library back."""
        entry = {"set_id": self.extract.set_id, "mode": self.request.mode, "library": self.extract.library, "state": "running"}
        if self.done:
            if self.record.entries[self.target].get("state") != "restored":
                self.record.put(self.target, dict(entry, state="restored", ended=new_set_id(utc_now())))
            return
        self._check_password()
        self._refresh()
        self.record.put(self.target, entry)
        if self.request.mode == REPLACE and self.there and any(plan.operations for plan in self.plans.values()):
            self._keep()
        # garbage collection deletes the objects of whatever stands there
        self._apply(SEAFILE, lambda session: library_plan.clearing(session, self.targets, ("garbagerepos",)))
        self._put_objects()
        self._refresh()
        numbers: dict[t.Any, t.Any] = {}
        for role, rows in self.rows.items():
            if role == SEAFILE:
                library_rows.replace_permissions(rows, numbers)
            plan = self._write(role)
            if role == SEAHUB:
                numbers = plan.numbers.get(library_rows.CUSTOM_PERMISSION, {})
        self.record.put(self.target, dict(entry, state="restored", ended=new_set_id(utc_now()), safety_copy=self.safety))

    def _apply(self, role: str, operations: t.Callable[[Session], t.Sequence[t.Any]]) -> None:
        with self._session(role, False) as session:
            if not operations(session):
                return
        with self._session(role, True) as session:
            session.apply(operations(session))

    def _write(self, role: str) -> library_plan.Plan:
        """Make one database hold the rows, in one transaction; return the plan with the numbers that rows got."""
        for attempt in range(1, _TRIES + 1):
            try:
                ids = self._live_ids()
                with self._session(role, True) as session:
                    plan = self._plan(role, session, ids)
                    given = session.apply(plan.operations)
            except SeafileError as error:
                if error.code not in _AGAIN or attempt == _TRIES:
                    raise
                self._refresh()
                continue
            break
        for numbers in plan.numbers.values():
            numbers.update({old: given[now] for old, now in numbers.items() if isinstance(now, NewId)})
        return plan

    def _put_objects(self) -> None:
        commits = None
        if self.ids:
            commits = library_objects.NewCommits(self.ids, {self.extract.library: self.name}, self.request.password if self.extract.encrypted else None)
        place = library_objects.Place(self.configuration.storage)
        self.placed = place.put(self.names, os.path.join(self.request.src, library_objects.OBJECTS), self.ids, self.extract.version, commits)
        # one that began meanwhile may have taken what no row points at yet
        self._require_no_collection()
        found = closure.walk(ObjectStore(self.configuration.storage), pointers.Pointers(self.pointers, []), self.extract.now).findings
        known = {"/".join((kind, self.ids.get(store, store), object_id)) for kind, store, object_id in (key.split("/") for key in self.extract.known_damage)}
        wrong = [finding for finding in found if set_choice.key_of(finding) not in known]
        if wrong:
            raise SeafileError("set-incomplete", self.configuration.storage, f"the library is not whole on the server, first: {wrong[0].sentence}",
                               "fetch its objects again; it is not shown to anybody before it is whole")

    def _keep(self) -> None:
        """Save the rows and objects that the library has in the server; nobody removes them but you."""
        now = utc_now()
        while os.path.lexists(os.path.join(self.request.state_dir, f"{SAFETY}{new_set_id(now)}-{self.target}")):
            now += datetime.timedelta(seconds=1)
        moment = new_set_id(now)
        live: dict[str, Rows] = {}
        ids = self._live_ids()
        for role in self.rows:
            with self._session(role, False) as session:
                live[role] = library_rows.collect(LiveReader(session), ids)
                live[role].engine = self._database(role).engine
        tables = {table: next((rows for name, rows in live[SEAFILE].tables.items() if name.lower() == table.lower()), []) for table in pointers.TABLES}
        found = pointers.make_pointers(tables, self.configuration.keep_days).libraries
        found = sorted((library for library in found if library.id in ids), key=lambda library: library.id != self.target)
        mentioned = library_rows.mentioned(live.values())
        groups = {row["group_id"]: {"name": str(row.get("group_name")), "timestamp": str(row.get("timestamp"))}
                  for row in self._ccnet("group", [{"group_id": group} for group in mentioned.groups])}
        kept = Extract(
            set_id=moment, server=self.extract.server, began=moment, now=int(utc_now().timestamp()), library=self.target, name=found[0].name,
            kind=found[0].kind, head=library_rows.head_of(found[0]), encrypted=self.extract.encrypted, version=self.extract.version, pointers=found,
            databases=live,
            people=sorted(self._people_there(mentioned.people)), groups=groups, known_damage=[])
        safety = os.path.join(self.request.state_dir, f"{SAFETY}{moment}-{self.target}")
        make_private_directory(safety)
        names = library_objects.keep(self.configuration.storage, ids, os.path.join(safety, library_objects.OBJECTS))
        library_objects.write_list(os.path.join(safety, library_objects.LIST), names)
        # the last file: without it the copy is not whole, and nothing takes it for one
        write_json(os.path.join(safety, ROWS), kept.as_json())
        self.safety = safety

    # -- in words ---------------------------------------------------------------------------------------------------

    def counts(self, kind: type) -> dict[str, dict[str, int]]:
        """Rows by role and table that were, or would be, inserted or deleted."""
        return {} if self.done else {role: plan.count(kind) for role, plan in self.plans.items() if plan.count(kind)}

    def all_notes(self) -> list[str]:
        """What a person should know."""
        if self.done:
            return []
        return sorted(dict.fromkeys([*self.notes, *(f"left out: {note}" for plan in self.plans.values() for note in plan.notes)]))

    def report(self, act: bool) -> list[str]:
        """What was, or would be, done, a line each; without brackets."""
        extract = self.extract
        if self.done:
            return [f"library {printable(self.name)} ({self.target}): was brought back from the set {extract.set_id} before; nothing was changed"]
        done = "is back" if act else "would be brought back"
        lines = [f"library {printable(self.name)} ({self.target}): {done} from the set {extract.set_id} of {extract.began}, head {extract.head[:12]}"]
        added, removed = (sum(sum(tables.values()) for tables in self.counts(kind).values()) for kind in (Insert, Delete))
        lines.append(f"rows: {added} added, {removed} removed; objects: {len(self.names)}" + (f", of them {self.placed} put into the store" if act else ""))
        if self.safety:
            lines.append(f"kept as it was: {self.safety}")
        return lines + [f"note: {note}" for note in self.all_notes()]

    def diff(self) -> dict[str, str]:
        """Rows by table; never their content, which may be secret."""
        before: list[str] = []
        after: list[str] = []
        for kind, lines in ((Delete, before), (Insert, after)):
            for role, tables in self.counts(kind).items():
                lines += [f"{role}: {table}: {number} rows\n" for table, number in tables.items()]
        if self.target in self.there:
            before.insert(0, f"library {self.target}: {self.there[self.target]}\n")
        if self.done or self.target not in self.there or self.request.mode == REPLACE:
            after.insert(0, f"library {self.target}: {self.extract.kind}, head {self.extract.head}\n")
        if self.done:
            before = after = []
        return {"before_header": "rows of the library", "after_header": "rows of the library", "before": "".join(before), "after": "".join(after)}


def safety_copies(state_dir: str) -> list[str]:
    """The safety copies of libraries that were replaced on this server, oldest first."""
    try:
        names = os.listdir(state_dir)
    except FileNotFoundError:
        return []
    return [os.path.join(state_dir, name) for name in sorted(names) if name.startswith(SAFETY) and os.path.isfile(os.path.join(state_dir, name, ROWS))]
