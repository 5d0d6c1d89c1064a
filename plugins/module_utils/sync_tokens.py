# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sync tokens of a Seafile database: each stands for one library on one device, and without it the device cannot synchronise.

C(RepoUserToken) has the tokens; C(RepoTokenPeerInfo) (device, address, time) and C(RepoSyncError) hang on them by the token itself.
Seafile makes a new token when a user sets the library up anew in the client. Tables as MySQL and SQLite have them since Seafile 6,
seen in databases of 7.0 and 11.0.
"""

from __future__ import annotations

import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_schema, sqlite_files, sqlite_session
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client, identifier, literal

TOKENS = "RepoUserToken"
HANGING = ("RepoTokenPeerInfo", "RepoSyncError")
"""What has a row for a token. Older versions lack some."""
_NEEDED = ("Repo", TOKENS)
_LIBRARIES_IN_ONE_STATEMENT = 500

Quote = t.Callable[[str], str]


class Found(t.NamedTuple):
    """The tokens of one library: how many, and whose they are."""

    library: str
    tokens: int
    users: t.List[str]

    @property
    def line(self) -> str:
        """One line of the difference. A token itself is a secret."""
        return f"{self.library}: {self.tokens} sync tokens of {', '.join(self.users)}\n"


class Removal(t.NamedTuple):
    """What is removed: the libraries' tokens, and the number of rows that hang on them."""

    libraries: t.List[Found]
    hanging: int


class Statements:
    """The statements for some libraries, or for all of them (None), in the words of one engine.

    :arg name: quotes a name. :arg string: quotes a text.
    """

    def __init__(self, libraries: t.Collection[str] | None, tables: t.Collection[str], name: Quote, string: Quote) -> None:
        self._name = name
        self.hanging = [table for table in HANGING if table in tables]
        if libraries is None:
            self._conditions = [""]
        else:
            ids = sorted(set(libraries))
            self._conditions = [
                f" WHERE {name('repo_id')} IN ({', '.join(map(string, ids[at:at + _LIBRARIES_IN_ONE_STATEMENT]))})"
                for at in range(0, len(ids), _LIBRARIES_IN_ONE_STATEMENT)]

    def count_tokens(self) -> list[str]:
        """Queries for (library, user, number)."""
        columns = f"COALESCE({self._name('repo_id')}, ''), COALESCE({self._name('email')}, '')"
        grouped = f"{self._name('repo_id')}, {self._name('email')}"
        return [f"SELECT {columns}, COUNT(*) FROM {self._name(TOKENS)}{condition} GROUP BY {grouped}" for condition in self._conditions]

    def count_hanging(self) -> list[str]:
        """Queries for one number each."""
        return [f"SELECT COUNT(*) FROM {self._name(table)} WHERE {self._hangs(condition)}" for condition in self._conditions for table in self.hanging]

    def remove(self) -> list[str]:
        """What hangs on the tokens goes first, for it is found by them."""
        statements = []
        for condition in self._conditions:
            statements += [f"DELETE FROM {self._name(table)} WHERE {self._hangs(condition)}" for table in self.hanging]
            statements.append(f"DELETE FROM {self._name(TOKENS)}{condition}")
        return statements

    def _hangs(self, condition: str) -> str:
        token = self._name("token")
        return f"{token} IN (SELECT {token} FROM {self._name(TOKENS)}{condition})"


def _removal(rows: t.Iterable[t.Sequence[t.Any]], hanging: t.Iterable[t.Sequence[t.Any]]) -> Removal:
    tokens: dict[str, int] = {}
    users: dict[str, set[str]] = {}
    for library, user, number in rows:
        tokens[str(library)] = tokens.get(str(library), 0) + int(number)
        users.setdefault(str(library), set()).add(str(user))
    return Removal([Found(library, tokens[library], sorted(users[library])) for library in sorted(tokens)], sum(int(row[0]) for row in hanging))


def _require(tables: t.Collection[str], what: str) -> None:
    absent = [table for table in _NEEDED if table not in tables]
    if absent:
        raise SeafileError("dump-wrong-database", what, f"it has no table {' and '.join(absent)}",
                           "name Seafile's own database (its role in the manifest is seafile)")


def remove_in_mysql(client: Client, database: str, libraries: t.Collection[str] | None, act: bool) -> Removal:
    """Remove the tokens of I(libraries) (ids; None: of all) from the database I(database), in one transaction.

    :arg act: False only looks.
    :raises SeafileError: C(database-unknown), C(dump-wrong-database) and what the client says.
    """
    what = f"database {database}"
    if database not in mysql_schema.visible(client):
        raise SeafileError("database-unknown", what, "the account cannot see it")
    tables = mysql_schema.base_tables(client, database)
    _require(tables, what)
    statements = Statements(libraries, tables, identifier, literal)

    def ask(queries: list[str]) -> list[list[str]]:
        return client.query(*queries, what=what, database=database) if queries else []

    removal = _removal(ask(statements.count_tokens()), ask(statements.count_hanging()))
    if act and removal.libraries:
        # the client ends at the first error, and the server takes an unfinished transaction back
        client.query("START TRANSACTION", *statements.remove(), "COMMIT", what=what, database=database)
    return removal


def remove_in_sqlite(path: str, libraries: t.Collection[str] | None, act: bool) -> Removal:
    """The same in the SQLite file I(path), which keeps its owner and mode.

    :raises SeafileError: C(dump-wrong-database), C(sqlite-missing), C(sqlite-locked), C(sqlite-corrupt).
    """
    with sqlite_session.session(path, act) as connection:
        # names of users are shown, and may hold anything
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        tables = sqlite_session.tables(connection)
        _require(tables, path)
        statements = Statements(libraries, tables, sqlite_files.quote_name, sqlite_session.string)

        def ask(queries: list[str]) -> list[t.Any]:
            return [row for query in queries for row in connection.execute(query)]

        removal = _removal(ask(statements.count_tokens()), ask(statements.count_hanging()))
        for statement in statements.remove() if act and removal.libraries else ():
            connection.execute(statement)
    return removal
