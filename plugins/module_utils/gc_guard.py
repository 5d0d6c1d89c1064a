# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened to the libraries of a Seafile server between the dump of its database and the end of the pull.

A garbage collection in that time removes objects that the dump still points at; nobody sees it by hashing, for the
objects are simply gone. So the pointers of the dump and the traces of garbage collection in it are kept in a small file
on the server (the guard is armed) and compared with the live database when the pull has ended (the guard is checked).

What a garbage collection leaves behind, as server/gc/gc-core.c of seafile-server has it:

* C(GCID): with MySQL, 12 and newer write a new id for the library into this table at the beginning of a transaction that
  stays open until the last object is removed (C(update_gc_id()), C(gc_v1_repo())). A snapshot would show the old id, so the
  table is read uncommitted, and a second, locking read finds rows that somebody holds without having changed them.
* C(LastGCID): clients keep there, for the time of an upload, the GCID they began with. Its rows come and go with every
  upload; only an id that the dump does not know tells of a garbage collection.
* C(RepoValidSince): every version writes it for each library with a history limit before it removes anything
  (C(update_valid_since_time())), with SQLite too. A library without a limit loses nothing that a dump can point at.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import compression, deployment, mysql_client, mysql_dump_run, sqlite_files
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import write_atomically
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import HEADS, encode_name, require_set_id, set_time
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client, identifier, literal
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import LIBRARY_ID
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import Configuration, DatabaseConnection
from ansible_collections.seafleet.seafile.plugins.module_utils.sql_dump import Row, Value, read_tables

FORMAT = 1

POINTERS = {"Branch": "commit_id", "RepoTrash": "head_id", "VirtualRepo": "base_commit"}
"""Tables by their columns that hold a commit which must stay whole."""

TRACES = {"GCID": "gc_id", "LastGCID": "gc_id", "RepoValidSince": "timestamp"}
"""Tables by their columns that a garbage collection changes."""

COLUMNS = {**POINTERS, **TRACES}

_MOST_BYTES = 256 << 20
"""Bytes of a heads file that are read at the most; a million libraries need less."""

_POLL = 0.5
"""Seconds between two looks at locked rows."""

_LOCK_ERRORS = (1205, 3572)
"""ER_LOCK_WAIT_TIMEOUT and ER_LOCK_NOWAIT (include/mysqld_error.h)."""

Pairs = t.List[t.Tuple[str, str]]
Tables = t.Dict[str, Pairs]
"""Table -> sorted pairs of a library's id and the column of :data:`COLUMNS` as text, C("") for NULL."""


class Difference(t.NamedTuple):
    """The libraries of the dump that are not as they were, by id, sorted."""

    collected: t.List[str]
    """A garbage collection worked on it."""
    moved: t.List[str]
    """A commit that the dump points at is no longer a head."""
    gone: t.List[str]
    """It is neither there nor in the trash any more."""


def make_pairs(rows: t.Iterable[tuple[Value, Value]]) -> Pairs:
    """Return I(rows) of one table as sorted pairs of text, without ids that no library can have."""
    pairs = {(_text(library), _text(value)) for library, value in rows}
    return sorted(pair for pair in pairs if LIBRARY_ID.match(pair[0]))


def _text(value: Value) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return "" if value is None else str(value)


def compare(then: Tables, now: Tables, locked: t.Collection[str] = ()) -> Difference:
    """Return which libraries that I(then) points at were collected or moved.

    :arg then: the tables at the moment of the dump.
    :arg now: the tables of the live database.
    :arg locked: ids of the libraries whose row in GCID somebody holds locked.
    """
    libraries = {library for table in POINTERS for library, unused in then.get(table, [])}
    known = {value for table in ("GCID", "LastGCID") for unused, value in then.get(table, [])}
    collected = set(locked)
    for table in ("GCID", "RepoValidSince"):
        collected |= {library for library, unused in set(then.get(table, [])) ^ set(now.get(table, []))}
    collected |= {library for library, value in now.get("LastGCID", []) if value and value not in known}
    # a head that went from Branch to RepoTrash is a head as before
    there = {pair for table in POINTERS for pair in now.get(table, [])}
    moved = {library for table in POINTERS for library, commit in then.get(table, []) if commit and (library, commit) not in there}
    gone = libraries - {library for library, unused in there}
    return Difference(sorted(collected & libraries), sorted(moved), sorted(gone))


# --- the dump and the file that is kept of it -----------------------------------------------------------------------


def staged_dump(configuration: Configuration, staging: str) -> t.Optional[str]:
    """Return the path of the dump of Seafile's own database in I(staging), None when there is none."""
    database = own_database(configuration)
    if database.engine == "mysql":
        stems = [mysql_dump_run.dump_stem(database.name)]
    else:
        # the base name where only one file has it, else the whole path (see sqlite_dump_run.dump_stems)
        stems = [encode_name(name) for name in (os.path.basename(database.name), database.name)]
    paths = [os.path.join(staging, "databases", name) for stem in stems for name in compression.names(stem)]
    return next((path for path in paths if os.path.isfile(path)), None)


def own_database(configuration: Configuration) -> DatabaseConnection:
    """Return the connection of Seafile's own database, the one with the libraries."""
    return next(database for database in configuration.databases if database.role == "seafile")


def read_dump(path: str) -> Tables:
    """Return the tables of the dump I(path). Raises as :func:`sql_dump.read_rows`."""
    return tables_of(read_tables(path, tuple(COLUMNS), ("Branch",)))


def tables_of(rows: t.Mapping[str, t.Sequence[Row]]) -> Tables:
    """Return the tables out of the I(rows) of a dump, by table, as :func:`sql_dump.read_tables` gives them."""
    return {table: make_pairs((row.get("repo_id"), row.get(column)) for row in rows[table]) for table, column in COLUMNS.items()}


def encode_heads(tables: Tables) -> bytes:
    """Return the content of a heads file: JSON, the same bytes for the same tables."""
    return (json.dumps({"format": FORMAT, "tables": tables}, separators=(",", ":"), sort_keys=True) + "\n").encode("ascii")


def decode_heads(content: bytes) -> t.Optional[Tables]:
    """Return the tables in the I(content) of a heads file, None when it is not one of this format and whole."""
    try:
        value = json.loads(content.decode("ascii"))
        if value["format"] != FORMAT or set(value["tables"]) != set(COLUMNS):
            return None
        tables = {table: [tuple(pair) for pair in pairs] for table, pairs in value["tables"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    whole = all(len(pair) == 2 and all(isinstance(part, str) for part in pair) and LIBRARY_ID.match(pair[0]) for pairs in tables.values() for pair in pairs)
    return t.cast(Tables, tables) if whole else None


def _read_heads(path: str) -> bytes:
    """Return the bytes of the heads file I(path), nothing when it is missing, no plain file or larger than one can be."""
    try:
        # the directory may belong to the pull's account: neither a link nor a pipe is opened
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as stream:
        try:
            content = stream.read(_MOST_BYTES + 1)
        except OSError:
            return b""
    return content if len(content) <= _MOST_BYTES else b""


# --- staging --------------------------------------------------------------------------------------------------------


def require_staging(path: str) -> str:
    """Return the plain path of the set's staging directory. Its name has to be a set id, so that nothing else is ever removed.

    Raises C(path-invalid), C(set-id-invalid).
    """
    plain = deployment.require_plain_path(path, "staging")
    require_set_id(os.path.basename(plain))
    return plain


def leftovers(staging: str) -> list[str]:
    """Return the directories beside I(staging) that dead runs left: those named by an earlier set id, sorted.

    A later set id belongs to a run that is still at work, for another backup host.
    """
    top, own = os.path.split(staging)
    return [os.path.join(top, name) for name in _names_in(top) if set_time(name) is not None and name < own]


def _names_in(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove(path: str) -> None:
    """Remove I(path) with all that is in it; a link itself, never what it points at."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        pass


def _remove_empty(staging: str) -> list[str]:
    """Remove the directory above I(staging), and above that one C(.seafleet), where nothing else is in them; return those removed."""
    removed = []
    top = os.path.dirname(staging)
    above = os.path.dirname(top)
    for directory in [top] + ([above] if os.path.basename(above) == deployment.STAGING else []):
        try:
            os.rmdir(directory)
        except OSError:
            break  # somebody else's files, a mount point, or already gone
        removed.append(directory)
    return removed


# --- arming ---------------------------------------------------------------------------------------------------------


def arm(configuration: Configuration, staging: str, check_mode: bool = False, *, keep_dumps: bool = False,
        tables: t.Optional[Tables] = None) -> dict[str, t.Any]:
    """Keep the pointers of the staged dump in I(staging), remove everything else there and what dead runs left beside it.

    :arg keep_dumps: leave everything in I(staging) as it is: the dumps are pulled later, and :func:`check` removes them.
    :arg tables: what :func:`tables_of` or :func:`read_dump` said of the dump; None: the dump is read.

    Returns C(changed), C(libraries), C(removed), C(notes). Raises C(dump-missing) and as :func:`read_dump`.
    """
    path = os.path.join(staging, HEADS)
    kept = _read_heads(path)
    if tables is None:
        dump = staged_dump(configuration, staging)
        tables = read_dump(dump) if dump else decode_heads(kept)
    if tables is None and not check_mode:
        raise SeafileError("dump-missing", os.path.join(staging, "databases"), "there is no dump of Seafile's own database")
    changed = tables is None or encode_heads(tables) != kept
    if changed and tables is not None and not check_mode:
        write_atomically(path, encode_heads(tables))
    removed = [] if keep_dumps else [os.path.join(staging, name) for name in _names_in(staging) if name != HEADS]
    removed += leftovers(staging)
    if not check_mode:
        for entry in removed:
            _remove(entry)
    return {"changed": changed or bool(removed), "libraries": None if tables is None else _count(tables), "removed": removed, "notes": []}


def _count(tables: Tables) -> int:
    return len({library for table in POINTERS for library, unused in tables[table]})


# --- checking -------------------------------------------------------------------------------------------------------


def check(configuration: Configuration, staging: str, lock_timeout: int, busy_timeout: int, check_mode: bool = False) -> dict[str, t.Any]:
    """Compare what was kept in I(staging) with the live database, then remove I(staging) and what is empty without it.

    :arg lock_timeout: seconds after which a row of GCID that stays locked counts as a garbage collection at work.
    :arg busy_timeout: seconds to wait for a locked SQLite file.

    Returns C(changed), C(collected), C(moved), C(gone), C(gc_running), C(unknown), C(libraries), C(removed), C(notes).
    Raises the C(database-...) and C(sqlite-...) codes when the live database cannot be read; staging then stays.
    """
    path = os.path.join(staging, HEADS)
    content = _read_heads(path)
    then = decode_heads(content)
    notes = []
    difference = Difference([], [], [])
    if then is not None:
        database = own_database(configuration)
        if database.engine == "mysql":
            now, locked = read_mysql(configuration, database, then, lock_timeout)
        else:
            now, locked = read_sqlite(os.path.join(configuration.root, database.name), None if check_mode else staging, busy_timeout), set()
        difference = compare(then, now, locked)
        if difference.collected:
            notes.append(f"since the dump a garbage collection worked on {_numbered(len(difference.collected))}")
        if difference.gone:
            notes.append(f"since the dump {_numbered(len(difference.gone))} went for good: this set may lack objects of that, earlier ones keep theirs")
    elif not check_mode or content:
        # in check mode nothing was kept, and nobody has to know
        notes.append(f"{path} is {'damaged' if content else 'gone'}: what was collected or moved since the dump is unknown for every library")
    collectors = deployment.garbage_collectors(deployment.running([configuration.root, configuration.data_dir]))
    if collectors:
        notes.append("a garbage collection is running: " + deployment.in_words(collectors))
    removed = ([staging] if os.path.lexists(staging) else []) + leftovers(staging)
    if not check_mode:
        for entry in removed:
            _remove(entry)
        removed += _remove_empty(staging)
    return {
        "changed": bool(removed), "collected": difference.collected, "moved": difference.moved, "gone": difference.gone, "gc_running": collectors,
        "unknown": then is None, "libraries": None if then is None else _count(then), "removed": removed, "notes": notes,
    }


def _numbered(count: int) -> str:
    return "1 library" if count == 1 else f"{count} libraries"


def read_sqlite(path: str, directory: t.Optional[str], busy_timeout: int) -> Tables:
    """Return the tables of the SQLite database I(path), read in a private copy: no file appears beside it.

    :arg directory: for the copy; None for the system's temporary directory.

    Raises the codes of :func:`sqlite_files.snapshot`, and C(database-unknown) when it is no database of Seafile.
    """
    with tempfile.TemporaryDirectory(prefix=".gc-guard.", dir=directory) as work:
        copy = os.path.join(work, "database")
        sqlite_files.snapshot(path, copy, busy_timeout)
        connection = sqlite_files.connect(copy, "ro")
        try:
            there = {row[0].lower() for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "branch" not in there:
                raise SeafileError("database-unknown", path, "it has no table Branch, so it is not Seafile's own database")
            connection.text_factory = bytes  # whatever stands there, it is only compared
            return {table: make_pairs(connection.execute(f"SELECT repo_id, {column} FROM {table}")) if table.lower() in there else []
                    for table, column in COLUMNS.items()}
        except sqlite3.Error as error:
            raise sqlite_files.as_failure(error, path) from None
        finally:
            connection.close()


def read_mysql(configuration: Configuration, database: DatabaseConnection, then: Tables, lock_timeout: int) -> tuple[Tables, set[str]]:
    """Return the tables of the live I(database), and the libraries whose row in GCID stays locked without being changed.

    :arg then: the tables of the dump; a row that differs from it is a garbage collection, whoever holds it.
    :arg lock_timeout: seconds to wait for locked rows: an upload holds one for milliseconds.
    """
    source = mysql_dump_run.choose_source([database], None, {}, configuration.root)
    client = Client(source.logins[0], source.origin)
    return _LiveDatabase(client, database.name, lock_timeout).read(then)


def can_skip_locked(version: str) -> bool:
    """Return whether a server of I(version) knows SKIP LOCKED: MariaDB from 10.6 on, MySQL from 8.0 on."""
    found = re.match(r"(\d+)\.(\d+)", version)
    numbers = tuple(int(number) for number in found.groups()) if found else (0, 0)
    return numbers >= ((10, 6) if mysql_client.flavour_of(version) == mysql_client.MARIADB else (8, 0))


class _LiveDatabase:
    """The database I(name) that Seafile works with, as I(client) sees it. A few statements, whatever the number of libraries."""

    def __init__(self, client: Client, name: str, lock_timeout: int) -> None:
        self._client = client
        self._name = name
        self._lock_timeout = lock_timeout
        version = client.value("VERSION()")
        self._share = "LOCK IN SHARE MODE" if mysql_client.flavour_of(version) == mysql_client.MARIADB or not can_skip_locked(version) else "FOR SHARE"
        self._skips = can_skip_locked(version)
        # where names of tables have no case, the server keeps them in lower case
        rows = self._query("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
        self._there = {row[0].lower(): row[0] for row in rows}
        if "branch" not in self._there:
            raise SeafileError("database-unknown", f"database {name}", "it has no table Branch, so it is not Seafile's own database")

    def _query(self, *statements: str) -> list[list[str]]:
        # a table that is being altered holds a reader up, by the server's default for a day
        patience = f"SET SESSION lock_wait_timeout = {max(1, self._lock_timeout)}"
        return self._client.query(patience, *statements, what=f"database {self._name}", database=self._name)

    def _selects(self, tables: t.Iterable[str]) -> list[str]:
        return [f"SELECT {literal(table)}, repo_id, COALESCE({identifier(COLUMNS[table])}, '') FROM {identifier(self._there[table.lower()])}"
                for table in tables if table.lower() in self._there]

    def _read(self, isolation: str, tables: t.Sequence[str]) -> Tables:
        """Return I(tables) as they are in one transaction of the level I(isolation)."""
        rows = self._query(f"SET SESSION TRANSACTION ISOLATION LEVEL {isolation}", "START TRANSACTION WITH CONSISTENT SNAPSHOT",
                           *self._selects(tables), "COMMIT")
        found: dict[str, list[tuple[Value, Value]]] = {table: [] for table in tables}
        for table, library, value in rows:
            found[table].append((library, value))
        return {table: make_pairs(pairs) for table, pairs in found.items()}

    def read(self, then: Tables) -> tuple[Tables, set[str]]:
        deadline = time.monotonic() + self._lock_timeout
        tables = self._read("REPEATABLE READ", tuple(POINTERS) + ("RepoValidSince",))
        while True:
            # what a garbage collection has written and not yet committed is seen by this level alone
            traces = self._read("READ UNCOMMITTED", ("GCID", "LastGCID"))
            changed = {library for library, unused in set(traces["GCID"]) ^ set(then["GCID"])}
            waiting = {library for library, unused in traces["GCID"]} - changed
            waiting -= self._unlocked(waiting) if waiting else set()
            left = deadline - time.monotonic()
            if not waiting or left <= 0:
                return {**tables, **traces}, waiting
            time.sleep(min(_POLL, left))

    def _unlocked(self, libraries: t.Collection[str]) -> set[str]:
        """Return the libraries whose row in GCID can be locked for reading right now."""
        table = identifier(self._there["gcid"])
        if self._skips:
            # without gaps (READ COMMITTED), so that no insert waits for this read
            rows = self._query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", f"SELECT repo_id FROM {table} {self._share} SKIP LOCKED")
            return {row[0] for row in rows}
        try:
            self._query("SET SESSION innodb_lock_wait_timeout = 0", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                        f"SELECT repo_id FROM {table} {self._share}")
            return set(libraries)
        except SeafileError as error:
            if not set(mysql_client.error_numbers(error.cause)) & set(_LOCK_ERRORS):
                raise
        return self._unlocked_one_by_one(table, libraries)

    def _unlocked_one_by_one(self, table: str, libraries: t.Collection[str]) -> set[str]:
        """As :meth:`_unlocked`, for servers that cannot skip locked rows: one session, in which a locked row is an error that is passed over."""
        statements = ["SET SESSION sql_mode=''", "SET SESSION innodb_lock_wait_timeout = 0", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"]
        statements += [f"SELECT repo_id FROM {table} WHERE repo_id = {literal(library)} {self._share}" for library in sorted(libraries)]
        with mysql_client.OptionFile(self._client.login) as options:
            argv = [self._client.program, options.argument] + self._client.arguments() + ["--force", "--unbuffered", f"--database={self._name}"]
            try:
                # Client.query ends with the first error; run_command would put its own environment over this one
                answer = subprocess.run(  # pylint: disable=ansible-bad-function
                    argv, input=(";\n".join(statements) + ";\n").encode("ascii"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    env=mysql_client.environment(), pass_fds=(options.descriptor,), timeout=max(10, self._lock_timeout), check=False)
                output, message, status = answer.stdout, answer.stderr.decode("utf-8", "replace"), answer.returncode
            except subprocess.TimeoutExpired as error:
                # who did not answer in time is locked
                output, message, status = error.output or b"", "", 0
        numbers = mysql_client.error_numbers(message)
        if set(numbers) - set(_LOCK_ERRORS) or (status != 0 and not numbers):
            raise mysql_client.translate(message, f"database {self._name}", self._client.login, "database-error", self._client.source)
        return set(output.decode("ascii", "replace").split())
