# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be done in one live database so that it holds a library's rows: decided here, done by :mod:`live_tables`.

A row that is there already stays as it is, so that an interrupted restore goes on where it ended. Numbers that the database gives are
kept where they are free; a row whose number another row has gets a new one, and the rows that point at it follow.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.library_rows import CLEARED, LAST, LEFT_OUT, Rows, key, library_columns, same, signature
from ansible_collections.seafleet.seafile.plugins.module_utils.live_tables import Delete, Insert, NewId, Operation, Session, Table
from ansible_collections.seafleet.seafile.plugins.module_utils.sql_dump import Reference, Row


@dataclasses.dataclass
class Plan:
    """What becomes of one database.

    :arg kept: number of rows by table that are there already.
    :arg notes: what is left out, and why, a line each.
    :arg numbers: by table the number that a row had in the set, and the one (or :class:`NewId`) that it has now, where it is another.
    """

    operations: list[Operation] = dataclasses.field(default_factory=list)
    kept: dict[str, int] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    numbers: dict[str, dict[t.Any, t.Any]] = dataclasses.field(default_factory=dict)

    def count(self, kind: type) -> dict[str, int]:
        """Number of rows by table that are inserted (:class:`Insert`) or deleted (:class:`Delete`)."""
        result: dict[str, int] = {}
        for operation in self.operations:
            if isinstance(operation, kind):
                result[operation.table.name] = result.get(operation.table.name, 0) + 1
        return dict(sorted(result.items()))


def check_schema(rows: Rows, tables: t.Mapping[str, Table], what: str) -> None:
    """Refuse when the live database I(what) cannot take the rows as they are.

    :raises SeafileError: C(library-schema-differs), naming every table and column.
    """
    wrong = []
    for table in sorted({name for part in (rows.tables, rows.shared) for name, found in part.items() if found}):
        live = tables.get(table.lower())
        if live is None:
            wrong.append(f"table {table} is missing")
            continue
        columns = rows.columns[table]
        wrong += [f"{table}.{column} is missing" for column in columns if column not in live.columns]
        wrong += [f"{table}.{column} wants a value that the set does not have" for column in sorted(live.required - set(columns))]
    if wrong:
        raise SeafileError("library-schema-differs", what, "; ".join(wrong))


def order(rows: Rows, tables: t.Mapping[str, Table]) -> list[str]:
    """Return the names of the tables so that each stands behind those it points at, and what shows the library last."""
    names = sorted(set(rows.tables) | set(rows.shared))
    result: list[str] = []

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in result or name in above:
            return
        for reference in _references(rows, tables, name):
            other = next((known for known in names if known.lower() == reference.other_table.lower()), None)
            if other:
                add(other, (*above, name))
        result.append(name)

    for name in names:
        add(name, ())
    return sorted(result, key=lambda name: LAST.index(name.lower()) if name.lower() in LAST else -1)


def _references(rows: Rows, tables: t.Mapping[str, Table], name: str) -> list[Reference]:
    """The foreign keys of the dump and of the live table."""
    live = tables[name.lower()].references if name.lower() in tables else []
    return list(dict.fromkeys([*rows.references.get(name, []), *live]))


class _Planner:
    """One database."""

    def __init__(self, session: Session, rows: Rows, live: Rows, replace: bool) -> None:
        self.session = session
        self.rows = rows
        self.live = live
        self.replace = replace
        self.plan = Plan()
        self.count = 0
        self.targets = {
            (reference.other_table.lower(), reference.other_column)
            for name in {*rows.tables, *rows.shared} for reference in _references(rows, session.tables, name)}
        self.placed: dict[tuple[str, str], dict[t.Any, t.Any]] = {}
        """By table and column of a key: the value in the set, and what it is now."""

    def run(self) -> Plan:
        inserts: list[Operation] = []
        unmatched: list[tuple[Table, Row]] = []
        deletes: list[Operation] = []
        names = order(self.rows, self.session.tables)
        theirs = {name.lower(): name for name in names}
        for name, found in self.live.tables.items():
            if name.lower() not in theirs:
                unmatched += [(self.session.tables[name.lower()], row) for row in found]
        for name in names:
            table = self.session.tables[name.lower()]
            live = list(next((found for other, found in self.live.tables.items() if other.lower() == name.lower()), []))
            inserts += self._table(name, table, live, deletes)
            unmatched += [(table, row) for row in live]
        if self.replace:
            deletes += [Delete(table, row) for table, row in unmatched]
        order_of = {name.lower(): number for number, name in enumerate(order(self.live, self.session.tables))}
        deletes.sort(key=lambda operation: -order_of.get(operation.table.name.lower(), 0))
        self.plan.operations = [*deletes, *inserts]
        return self.plan

    def _table(self, name: str, table: Table, live: list[Row], deletes: list[Operation]) -> t.Iterator[Operation]:
        """Yield what is to be inserted into one table; takes out of I(live) what is accounted for."""
        references = _references(self.rows, self.session.tables, name)
        todo: list[tuple[Row, Row, bool]] = []
        compared = [column for column in self.rows.columns[name] if column != table.auto]
        twins: dict[tuple[t.Any, ...], list[Row]] = {}
        for own in live:
            twins.setdefault(signature(own, compared), []).append(own)
        taken: set[int] = set()
        for shared, found in ((True, self.rows.shared.get(name, [])), (False, self.rows.tables.get(name, []))):
            for row in found:
                mapped = self._mapped(name, row, references)
                if mapped is None:
                    continue
                # what points at a row that is only now inserted is not there yet
                found_twins = [] if shared or not _plain(mapped) else twins.get(signature(mapped, compared), [])
                if found_twins:
                    there = found_twins.pop(0)
                    taken.add(id(there))
                    self._note(name, table, row, there)
                    self.plan.kept[table.name] = self.plan.kept.get(table.name, 0) + 1
                else:
                    todo.append((row, mapped, shared))
        live[:] = [own for own in live if id(own) not in taken]
        clashes = self._clashes(table, [mapped for _row, mapped, _shared in todo])
        for row, mapped, shared in todo:
            other = self._other_with_its_key(table, mapped, clashes)
            if shared:
                # the name of a tag is the same tag, whoever made it
                twin = other or next((found for found in clashes if _plain(mapped) and same(mapped, found)), None)
                if twin is not None:
                    self._note(name, table, row, twin)
                    continue
            elif other is not None:
                own = next((found for found in live if same(other, found)), None)
                if own is not None:
                    live.remove(own)
                    deletes.append(Delete(table, own))
                    clashes = [found for found in clashes if not same(own, found)]
                else:
                    self.plan.notes.append(f"{name}: a row whose key ({', '.join(self._key_of(table, mapped, other))}) another row has by now")
                    continue
            # the number of a row that goes in this very transaction is free
            leaving = live if self.replace else []
            yield self._insert(name, table, row, mapped, [found for found in clashes if not any(same(found, own) for own in leaving)])

    def _mapped(self, name: str, row: Row, references: t.Sequence[Reference]) -> dict[str, t.Any] | None:
        """The row pointing at what its references are now; None, with a note, when one of them is nowhere."""
        result: dict[str, t.Any] = dict(row)
        for reference in references:
            value = row.get(reference.column)
            if value is None or reference.column not in row:
                continue
            now = self.placed.get((reference.other_table.lower(), reference.other_column), {}).get(key(value))
            if now is not None:
                result[reference.column] = now if not isinstance(value, str) else value
                continue
            other = self.session.tables.get(reference.other_table.lower())
            # a number says nothing of a row that did not come along: another row may have it by now
            if (other is None or reference.other_column not in other.columns or reference.other_column == other.auto
                    or not self.session.find(other, [{reference.other_column: value}])):
                self.plan.notes.append(f"{name}: a row that points at something in {reference.other_table} that is no more")
                return None
        return result

    def _clashes(self, table: Table, rows: t.Sequence[Row]) -> list[Row]:
        """Live rows that have the number or a unique key of one of I(rows)."""
        keys = [*([(table.auto,)] if table.auto else []), *table.uniques]
        conditions = []
        for columns in keys:
            for row in rows:
                values = {column: row[column] for column in columns if column in row}
                if len(values) == len(columns) and not any(value is None or isinstance(value, NewId) for value in values.values()):
                    conditions.append(values)
        return self.session.find(table, conditions) if conditions else []

    @staticmethod
    def _key_of(table: Table, row: Row, other: Row) -> tuple[str, ...]:
        """The unique key that the two rows share."""
        for columns in table.uniques:
            if all(column in row and row[column] is not None and _alike(row[column], other[column]) for column in columns):
                return columns
        return ()

    def _other_with_its_key(self, table: Table, row: Row, clashes: t.Sequence[Row]) -> Row | None:
        return next((other for other in clashes if self._key_of(table, row, other)), None)

    def _insert(self, name: str, table: Table, row: Row, mapped: dict[str, t.Any], clashes: t.Sequence[Row]) -> Insert:
        auto = table.auto
        if auto is None or auto not in mapped or not any(_alike(mapped[auto], other[auto]) for other in clashes):
            self._note(name, table, row, mapped)
            return Insert(table, mapped)
        self.count += 1
        new = NewId(self.count)
        self._note(name, table, row, dict(mapped, **{auto: new}))
        return Insert(table, {column: value for column, value in mapped.items() if column != auto}, new)

    def _note(self, name: str, table: Table, row: Row, now: t.Mapping[str, t.Any]) -> None:
        """Remember where the row of the set is, for those that point at it."""
        for column in row:
            if column in now and (name.lower(), column) in self.targets:
                self.placed.setdefault((name.lower(), column), {})[key(row[column])] = now[column]
        if table.auto and table.auto in row and key(row[table.auto]) != _key(now[table.auto]):
            self.plan.numbers.setdefault(name, {})[key(row[table.auto])] = now[table.auto]


def _plain(row: t.Mapping[str, t.Any]) -> bool:
    return not any(isinstance(value, NewId) for value in row.values())


def _key(value: t.Any) -> t.Any:
    return value if isinstance(value, NewId) else key(value)


def _alike(value: t.Any, other: t.Any) -> bool:
    """Whether a unique index may take two values for the same; databases differ in how they compare texts."""
    if isinstance(value, NewId) or isinstance(other, NewId):
        return False
    if isinstance(value, str) and isinstance(other, str):
        return value.casefold() == other.casefold()
    return key(value) == key(other)


def make(session: Session, rows: Rows, live: Rows, replace: bool) -> Plan:
    """Return what must be done so that the database of I(session) holds I(rows).

    :arg live: what it holds of the same libraries now.
    :arg replace: remove what is there of them and not in I(rows).
    """
    return _Planner(session, rows, live, replace).run()


def clearing(session: Session, ids: t.Iterable[str], tables: t.Container[str] = CLEARED) -> list[Operation]:
    """Return the removal of what must not stay of the libraries I(ids): caches, tokens, their place among the garbage."""
    operations: list[Operation] = []
    for name, table in sorted(session.tables.items()):
        if name in tables and name in LEFT_OUT:
            conditions = [{column: library_id} for column in library_columns(table.columns) for library_id in ids]
            operations += [Delete(table, row) for row in session.find(table, conditions)]
    return operations
