# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of one library in Seafile's databases: which they are, out of a dump, as JSON, and under another id or owner.

No list of tables is complete: each version of Seafile, and each edition, has others. So the rule is general. A row belongs to a
library when a column that is named for it (C(repo_id), C(origin_repo), C(library_id) ...) holds the library's id. What hangs on such
a row by a foreign key (the comments of a file, the tags of a file) belongs to it as well. Known by name is only what must not
come back: caches, the clients' tokens, logs.
"""

from __future__ import annotations

import dataclasses
import decimal
import json
import re
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import sql_dump
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import LIBRARY_ID, ZERO_ID, parse_id
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import Library
from ansible_collections.seafleet.seafile.plugins.module_utils.sql_dump import Reference, Row, Value

FORMAT = 1
SEAFILE, SEAHUB = "seafile", "seahub"
ROLES = (SEAHUB, SEAFILE)
"""In the order of writing: the library shows itself with its rows in Seafile's own database, so those come last."""

LIBRARY_COLUMN = re.compile(r"(?:.*_)?(?:repo|library|lib)(?:_?id|_uuid)?\Z")
LEFT_OUT = {
    "repousertoken": "clients' sync tokens", "repotokenpeerinfo": "clients' sync tokens", "reposyncerror": "clients' sync tokens",
    "repo_api_tokens": "API tokens of the library",
    "reposize": "cache", "repofilecount": "cache", "onlyoffice_onlyofficedockey": "cache", "virusfile": "cache", "virusscanrecord": "cache",
    "gcid": "state of garbage collection", "lastgcid": "state of garbage collection", "garbagerepos": "state of garbage collection",
    "webuploadtempfiles": "unfinished uploads",
    "activity": "log", "useractivity": "log", "fileaudit": "log", "fileupdate": "log", "filehistory": "log", "filetrash": "log", "permaudit": "log",
    "contentscanrecord": "log", "contentscanresult": "log",
}
"""Tables whose rows are not brought back, in lower case, and what they hold."""
CLEARED = ("garbagerepos", "repofilecount", "reposize", "repousertoken")
"""Those of them whose rows of the library go from the live database: garbage collection would delete what is restored, a size belongs
to another head, and a client that goes on with its token would take the older state for its user's will."""
LAST = ("repotrash", "virtualrepo", "repohead", "branch", "repo")
"""Tables that make a library visible, written behind all others."""
AS_NEW_SEAHUB = frozenset(("custom_share_permission", "share_extragroupssharepermission", "share_extrasharepermission"))
"""What a copy under a new id takes along of seahub's database: rights. Links, stars, comments and tags stay with the original."""
CUSTOM_PERMISSION = "custom_share_permission"

_PEOPLE = frozenset(("email", "from_email", "from_user", "owner", "owner_id", "repo_owner", "share_to", "to_email", "to_user", "user", "user_name", "username"))
_OWNERS = frozenset(("from_email", "from_user", "owner", "owner_id", "repo_owner", "user_name", "username"))
_NOT_OWNERS = frozenset((("base_userstarredfiles", "email"), ("filelocks", "user_name")))
_RECEIVERS = ("share_to", "to_email", "to_user")
_DEPARTMENT = re.compile(r"([0-9]+)@seafile_group\Z")
_DASHED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_FILE_MAP = "tags_fileuuidmap"

Tables = t.Dict[str, t.List[Row]]


# -- values ----------------------------------------------------------------------------------------------------------


def canonical(value: t.Any) -> t.Any:
    """Return I(value) in the form in which values of a dump and of a live database are compared."""
    if value is None or isinstance(value, (str, bytes)):
        return value
    number = value if isinstance(value, decimal.Decimal) else decimal.Decimal(str(value))
    return ("number", number.normalize() if number.is_finite() else str(number))


def key(value: t.Any) -> t.Any:
    """As :func:`canonical`, for keys that one table points with at another: some write a UUID with dashes, some without."""
    if isinstance(value, str) and _DASHED.match(value):
        return value.replace("-", "")
    return canonical(value)


def same(row: t.Mapping[str, t.Any], other: t.Mapping[str, t.Any], but: t.Container[str] = ()) -> bool:
    """Whether two rows hold the same in all columns of I(row) except I(but)."""
    return all(column in but or (column in other and canonical(value) == canonical(other[column])) for column, value in row.items())


def signature(row: t.Mapping[str, t.Any], columns: t.Iterable[str]) -> tuple[t.Any, ...]:
    """What is equal for two rows that hold the same in I(columns)."""
    return tuple(canonical(row[column]) for column in columns)


def encode(value: Value) -> t.Any:
    """Return I(value) as JSON has it."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, (decimal.Decimal, float)):
        return {"number": str(value)}
    return value


def decode(value: t.Any) -> Value:
    """The reverse of :func:`encode`; ValueError for anything else."""
    if isinstance(value, dict) and len(value) == 1:
        if "hex" in value:
            return bytes.fromhex(value["hex"])
        if "number" in value:
            return decimal.Decimal(value["number"])
    if value is None or (isinstance(value, (int, str)) and not isinstance(value, bool)):
        return value
    raise ValueError("is no value of a column")


def library_columns(columns: t.Iterable[str]) -> list[str]:
    """Return those of I(columns) (lower case) that name a library."""
    return [column for column in columns if LIBRARY_COLUMN.match(column)]


# -- one database ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Rows:
    """The rows of a library in one database.

    :arg tables: by table, those of the library itself and what hangs on them.
    :arg shared: rows of others that these point at, such as the name of a tag; never changed, only added where missing.
    :arg columns: of each table in I(tables) and I(shared).
    :arg references: foreign keys of each of them.
    :arg left_out: number of rows by table that belong to the library and do not come back.
    """

    engine: str = ""
    tables: Tables = dataclasses.field(default_factory=dict)
    shared: Tables = dataclasses.field(default_factory=dict)
    columns: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    references: dict[str, list[Reference]] = dataclasses.field(default_factory=dict)
    left_out: dict[str, int] = dataclasses.field(default_factory=dict)

    def count(self) -> dict[str, int]:
        """Number of rows by table."""
        return {table: len(rows) for table, rows in sorted(self.tables.items()) if rows}

    def as_json(self) -> dict[str, t.Any]:
        """For the file."""
        names = sorted(set(self.tables) | set(self.shared))
        return {
            "engine": self.engine, "left_out": self.left_out,
            "columns": {name: self.columns[name] for name in names},
            "references": {name: [list(reference) for reference in self.references.get(name, [])] for name in names},
            **{part: {table: [[encode(row[column]) for column in self.columns[table]] for row in rows] for table, rows in sorted(tables.items())}
               for part, tables in (("tables", self.tables), ("shared", self.shared))}}

    @classmethod
    def from_json(cls, document: t.Mapping[str, t.Any]) -> Rows:
        """The reverse; KeyError, TypeError or ValueError for what is no such document."""
        columns = {str(table): [str(column) for column in names] for table, names in document["columns"].items()}
        parts = [
            {table: [dict(zip(columns[table], map(decode, row))) for row in rows if _of_length(row, columns[table])] for table, rows in document[part].items()}
            for part in ("tables", "shared")]
        references = {table: [Reference(*map(str, reference)) for reference in found] for table, found in document["references"].items()}
        return cls(str(document["engine"]), parts[0], parts[1], columns, references, dict(document["left_out"]))


def _of_length(row: t.Any, columns: t.Sequence[str]) -> bool:
    if not isinstance(row, list) or len(row) != len(columns):
        raise ValueError("a row has another number of columns than its table")
    return True


class Reader(t.Protocol):
    """What rows are read out of: a dump, or a live database."""

    def definitions(self) -> t.Mapping[str, sql_dump.Definition]:
        """All tables."""

    def rows(self, wanted: t.Mapping[str, t.Mapping[str, t.Set[t.Any]]]) -> t.Iterator[tuple[str, Row]]:
        """The rows in which, by table and column, a column holds one of the values (as :func:`key` has them)."""


class DumpReader:
    """Reads a dump file, once for each question, without ever holding more than what is asked for."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._definitions: dict[str, sql_dump.Definition] | None = None

    def definitions(self) -> t.Mapping[str, sql_dump.Definition]:
        """All tables of the dump."""
        if self._definitions is None:
            self._definitions = sql_dump.read_definitions(self.path)
        return self._definitions

    def rows(self, wanted: t.Mapping[str, t.Mapping[str, t.Set[t.Any]]]) -> t.Iterator[tuple[str, Row]]:
        """See :class:`Reader`."""
        for table, row in sql_dump.read_rows(self.path, list(wanted)):
            if any(key(row.get(column)) in values for column, values in wanted[table].items()):
                yield table, row


def references_of(definition: sql_dump.Definition, tables: t.Container[str]) -> list[Reference]:
    """The foreign keys of a table, with those that Seahub keeps without telling the database."""
    implied = [Reference("doc_uuid", _FILE_MAP, "uuid")] if "doc_uuid" in definition.columns and _FILE_MAP in tables else []
    return [*definition.references, *implied]


def collect(reader: Reader, ids: t.Collection[str]) -> Rows:
    """Return the rows of the libraries I(ids), with what hangs on them and what they point at.

    :raises SeafileError: as :func:`sql_dump.read_rows`.
    """
    definitions = reader.definitions()
    own = {table: library_columns(definition.columns) for table, definition in definitions.items()}
    own = {table: columns for table, columns in own.items() if columns}
    references = {table: references_of(definition, definitions) for table, definition in definitions.items()}
    result = Rows()

    def add(tables: Tables, table: str, row: Row) -> bool:
        if table.lower() in LEFT_OUT:
            result.left_out[table] = result.left_out.get(table, 0) + 1
            return False
        result.columns[table] = definitions[table].columns
        result.references[table] = references[table]
        tables.setdefault(table, []).append(row)
        return True

    wanted_ids = {key(library_id) for library_id in ids}
    for table, row in reader.rows({table: {column: wanted_ids for column in columns} for table, columns in own.items()}):
        add(result.tables, table, row)
    _add_dependants(reader, result, references, set(own), add)
    _add_shared(reader, result, set(own), add)
    return result


def _add_dependants(reader: Reader, result: Rows, references: t.Mapping[str, t.Sequence[Reference]], own: t.Collection[str],
                    add: t.Callable[[Tables, str, Row], bool]) -> None:
    """Rows of tables without a library's column that point at rows of the library, and what points at those."""
    fresh: Tables = dict(result.tables)
    known: set[tuple[t.Any, ...]] = set()
    while fresh:
        wanted: dict[str, dict[str, set[t.Any]]] = {}
        for table, found in references.items():
            for reference in found:
                if reference.other_table in fresh and table not in own:
                    values = {key(row.get(reference.other_column)) for row in fresh[reference.other_table]} - {None}
                    if values:
                        wanted.setdefault(table, {}).setdefault(reference.column, set()).update(values)
        fresh = {}
        for table, row in reader.rows(wanted) if wanted else ():
            # the same row may be found through several of its keys
            mark = (table, *signature(row, row))
            if mark not in known and add(result.tables, table, row):
                fresh.setdefault(table, []).append(row)
            known.add(mark)


def _add_shared(reader: Reader, result: Rows, own: t.Collection[str], add: t.Callable[[Tables, str, Row], bool]) -> None:
    """Rows that belong to no library and that rows of the library point at."""
    while True:
        wanted: dict[str, dict[str, set[t.Any]]] = {}
        for table, rows in [*result.tables.items(), *result.shared.items()]:
            for reference in result.references[table]:
                there = {key(row[reference.other_column]) for part in (result.tables, result.shared) for row in part.get(reference.other_table, ())}
                missing = {key(row[reference.column]) for row in rows} - there - {None}
                if missing and reference.other_table not in own:
                    wanted.setdefault(reference.other_table, {}).setdefault(reference.other_column, set()).update(missing)
        found = list(reader.rows(wanted)) if wanted else []
        if not found:
            return
        for table, row in found:
            add(result.shared, table, row)


# -- people and groups -----------------------------------------------------------------------------------------------


class Mentioned(t.NamedTuple):
    """Accounts and groups (by id) that rows name."""

    people: t.Set[str]
    groups: t.Set[int]


def mentioned(databases: t.Iterable[Rows]) -> Mentioned:
    """Return whom the rows of the libraries name as owner, as receiver of a share, or as the one a row is personal to."""
    result = Mentioned(set(), set())
    for rows in databases:
        for row in (row for found in rows.tables.values() for row in found):
            people, groups = _named_in(row)
            result.people.update(people)
            result.groups.update(groups)
    return result


def _named_in(row: Row) -> tuple[set[str], set[int]]:
    people: set[str] = set()
    groups: set[int] = set()
    for column, value in row.items():
        if column == "group_id" and isinstance(value, int):
            groups.add(value)
        elif column in _PEOPLE and isinstance(value, str) and value:
            department = _DEPARTMENT.match(value)
            if department:
                groups.add(int(department.group(1)))
            elif "@" in value:
                people.add(value)
    return people, groups


# -- the file --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Extract:
    """One library out of one set, or as it was in a live server.

    :arg library: its id; I(pointers) holds it first and its sub-libraries behind it.
    :arg people: accounts named in the rows that were accounts of this server then.
    :arg groups: groups named in the rows that were there then: name and time of creation by id.
    :arg known_damage: objects that are missing at the source, C(kind/store/id).
    :arg version: the version of its objects.
    """

    set_id: str
    server: str
    began: str
    now: int
    library: str
    name: str
    kind: str
    head: str
    encrypted: bool
    version: int
    pointers: list[Library]
    databases: dict[str, Rows]
    people: list[str]
    groups: dict[int, dict[str, t.Any]]
    known_damage: list[str]

    def ids(self) -> list[str]:
        """The library and its sub-libraries."""
        return [library.id for library in self.pointers]

    def owner(self) -> str | None:
        """The account or department that owns the library."""
        return self.pointers[0].owner

    def as_json(self) -> dict[str, t.Any]:
        """For the file."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values["format"] = FORMAT
        values["databases"] = {role: rows.as_json() for role, rows in self.databases.items()}
        values["groups"] = {str(group): about for group, about in self.groups.items()}
        values["pointers"] = [
            dict(dataclasses.asdict(library), heads=[head.hex() for head in library.heads], base=library.base.hex() if library.base else None)
            for library in self.pointers]
        return values

    @classmethod
    def from_json(cls, document: t.Mapping[str, t.Any]) -> Extract:
        """The reverse; KeyError, TypeError, AttributeError or ValueError for what is no such document."""
        if document["format"] != FORMAT:
            raise ValueError(f"its format is {document['format']!r}, not {FORMAT}")
        values = {field.name: document[field.name] for field in dataclasses.fields(cls)}
        values["databases"] = {role: Rows.from_json(document["databases"][role]) for role in ROLES if role in document["databases"]}
        values["groups"] = {int(group): dict(about) for group, about in document["groups"].items()}
        values["pointers"] = [
            Library(**dict(library, heads=[parse_id(head) for head in library["heads"]], base=_base(library["base"]))) for library in document["pointers"]]
        for library_id in [values["library"], *(library.id for library in values["pointers"]), *(library.store for library in values["pointers"])]:
            if not isinstance(library_id, str) or not LIBRARY_ID.match(library_id):
                raise ValueError("it names something that is no library id")
        if not values["pointers"] or values["pointers"][0].id != values["library"] or SEAFILE not in values["databases"]:
            raise ValueError("it does not begin with its library")
        return cls(**values)


def _base(text: str | None) -> bytes | None:
    return parse_id(text) if text else None


def read(path: str) -> Extract:
    """Read an extract.

    :raises SeafileError: C(library-extract-damaged).
    """
    try:
        with open(path, "rb") as stream:
            return Extract.from_json(json.load(stream))
    except FileNotFoundError:
        raise SeafileError("library-extract-damaged", path, "there is no such file") from None
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise SeafileError("library-extract-damaged", path, f"it is not what library_extract writes ({error})") from None


# -- under another id, for another owner, without those who are gone -------------------------------------------------


@dataclasses.dataclass
class Change:
    """How the rows of an extract become rows for this server.

    :arg ids: new library ids by old ones; empty to keep them.
    :arg owner: the new owner, or None to keep the old one.
    :arg old_owner: the owner in the extract.
    :arg gone_people: accounts that are no more.
    :arg gone_groups: groups that are no more.
    :arg name: a new name of the library.
    """

    ids: dict[str, str] = dataclasses.field(default_factory=dict)
    owner: str | None = None
    old_owner: str | None = None
    gone_people: frozenset[str] = frozenset()
    gone_groups: frozenset[int] = frozenset()
    name: str | None = None
    library: str = ""


def adapt(rows: Rows, role: str, change: Change) -> tuple[Rows, list[str]]:
    """Return the rows as I(change) has them, and what is left out of them, a line for each."""
    result = dataclasses.replace(rows, tables={}, shared={table: list(found) for table, found in rows.shared.items()})
    notes: list[str] = []
    for table, found in rows.tables.items():
        if change.ids and role == SEAHUB and table.lower() not in AS_NEW_SEAHUB:
            if library_columns(rows.columns[table]):
                notes.append(f"{table}: {len(found)} rows stay with the original")
            continue
        for row in found:
            adapted, why = _adapt_row(table.lower(), row, change)
            if adapted is None:
                notes.append(f"{table}: {why}")
            else:
                result.tables.setdefault(table, []).append(adapted)
    if change.ids and role == SEAHUB:
        result.shared = {}
    return result, notes


def _adapt_row(table: str, row: Row, change: Change) -> tuple[Row | None, str]:
    result = dict(row)
    for column in library_columns(row):
        result[column] = change.ids.get(t.cast(str, row[column]), row[column])
    if change.name is not None and table == "repoinfo" and row.get("repo_id") == change.library:
        result["name"] = change.name
    if change.owner is not None:
        if any(row.get(column) == change.owner for column in _RECEIVERS):
            return None, f"the share to {change.owner}, who is the owner now"
        for column in _OWNERS & set(row):
            if row[column] == change.old_owner and (table, column) not in _NOT_OWNERS:
                result[column] = change.owner
        if table == "orgrepo" and row.get("user") == change.old_owner:
            result["user"] = change.owner
        if table == "repotrash" and row.get("owner_id") == change.old_owner:
            result["owner_id"] = change.owner
    people, groups = _named_in(result)
    gone = sorted(people & change.gone_people) + [f"group {group}" for group in sorted(groups & change.gone_groups)]
    return (None, f"the row of {gone[0]}, who is no more") if gone else (result, "")


def replace_permissions(rows: Rows, numbers: t.Mapping[t.Any, t.Any]) -> None:
    """Give shares with a permission of the library's own (C(custom-7)) its new number, where it got one."""
    for row in (row for found in rows.tables.values() for row in found):
        value = row.get("permission")
        if isinstance(value, str) and value.startswith("custom-"):
            new = numbers.get(key(int(value[7:]))) if value[7:].isdigit() else None
            if new is not None:
                row["permission"] = f"custom-{new}"


def new_pointers(extract: Extract, ids: t.Mapping[str, str]) -> list[Library]:
    """The pointers of the extract under the new ids."""
    return [
        dataclasses.replace(library, id=ids.get(library.id, library.id), store=ids.get(library.store, library.store),
                            origin=ids.get(library.origin, library.origin) if library.origin else None)
        for library in extract.pointers]


def head_of(library: Library) -> str:
    """The head as text; zeros where there is none."""
    return (library.heads[0] if library.heads else ZERO_ID).hex()
