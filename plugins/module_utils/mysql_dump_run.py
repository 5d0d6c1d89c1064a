# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making dumps: one mysqldump process, its stream split, compressed, hashed and proven before any file gets its name."""

from __future__ import annotations

import dataclasses
import errno
import functools
import grp
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_client, mysql_dialect, mysql_schema
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import give, make_private_directory, sync_directory
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.compression import GZIP, SUFFIXES, CompressedFile, enlarge_pipe, existing
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import encode_name
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client, Login
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_dump_stream import Splitter, StreamError, structure_key
from ansible_collections.seafleet.seafile.plugins.module_utils.program_output import read_back

LOCK_PRIVILEGES = ("RELOAD", "FLUSH_TABLES")
"""One of them is needed for C(--lock-all-tables); the second exists in MySQL 8 and newer only."""

_PIECE = 1 << 17
"""Bytes read at once: larger ones cost more, since the memory of each comes new from the system."""

_PAUSE = 0.002
"""Seconds in which a dump program fills less than half a pipe of 1 MiB."""

_DDL_ERRORS = (1146, 1412, 1356, 1049)
"""mysqldump met a table that changed or went while it was dumping: worth one more try."""


@dataclasses.dataclass(frozen=True)
class Source:
    """What to dump, from where: the outcome of looking into Seafile's configuration and the module's options."""

    logins: tuple[Login, ...]
    """Accounts to try, in this order."""
    names: tuple[str, ...]
    roles: dict[str, str]
    origin: str = ""
    """Which files name the account, for messages."""
    may_be_empty: bool = False
    """Whether a database without tables is worth a dump: for named databases yes, for Seafile's own it is a failure."""


def choose_source(databases: t.Sequence[t.Any], names: t.Optional[t.Sequence[str]], overrides: dict[str, t.Any], root: str = "") -> Source:
    """Return what to dump.

    :arg databases: the C(DatabaseConnection) objects of Seafile's configuration; empty without one.
    :arg names: the databases wanted, None for those of the configuration.
    :arg overrides: C(login_host), C(login_port), C(login_user), C(login_password), C(login_unix_socket) where given.
    :arg root: the Seafile directory, for messages.

    Raises C(engine-mismatch), C(databases-not-one-server), C(database-name-invalid).
    """
    configured = [database for database in databases if database.engine == "mysql"]
    if databases and not configured:
        raise SeafileError("engine-mismatch", root, "this Seafile keeps its data in SQLite, not in MySQL or MariaDB", "use the module sqlite_dump")
    if len(configured) != len(databases):
        raise SeafileError("engine-mismatch", root, "some of its databases are SQLite files and some are on a MySQL or MariaDB server",
                           "finish the migration, so that all three databases are of one kind")
    # Seafile's own database leads: its account is the one a person looks at first
    configured.sort(key=lambda database: database.role != "seafile")
    wanted = list(names) if names else [database.name for database in configured]
    if not wanted:
        raise SeafileError("database-name-invalid", root or "databases", "no database is named", "give databases or seafile_root")
    for name in wanted:
        mysql_client.check_database_name(name)
    if len(set(wanted)) != len(wanted):
        twice = sorted({name for name in wanted if wanted.count(name) > 1})
        if names:
            raise SeafileError("database-name-invalid", ", ".join(twice), "named twice")
        wanted = list(dict.fromkeys(wanted))
    roles = {database.name: database.role for database in configured}
    changes = _login_changes(overrides)
    places = {_place(database, changes) for database in configured}
    if len(places) > 1:
        listed = ", ".join(sorted(f"{database.name} on {_login(database, changes).place}" for database in configured))
        raise SeafileError("databases-not-one-server", root, f"its databases are on different servers ({listed}), so there is no one moment over all of them")
    logins = [dataclasses.replace(_login(database, {}), **changes) for database in configured] or [Login(**changes)]
    return Source(tuple(dict.fromkeys(logins)), tuple(wanted), roles, "" if "user" in changes or not configured else _origin(configured), bool(names))


def _login_changes(overrides: dict[str, t.Any]) -> dict[str, t.Any]:
    # an empty text, as a role may hand it over, is no value
    changes = {name: overrides[f"login_{name}"] for name in ("host", "port", "user", "password", "unix_socket") if overrides.get(f"login_{name}")}
    if "user" in changes:
        # another account has another password: none means the server trusts the system's user
        changes.setdefault("password", "")
    if "host" in changes and "unix_socket" not in changes:
        changes["unix_socket"] = None
    return changes


def _login(database: t.Any, changes: dict[str, t.Any]) -> Login:
    login = Login(database.host or "localhost", database.port or 3306, database.user, database.password, database.unix_socket)
    return dataclasses.replace(login, **changes)


def _place(database: t.Any, changes: dict[str, t.Any]) -> tuple[str, int]:
    login = _login(database, changes)
    return ("local" if login.is_local else login.host.lower(), login.port)


def _origin(configured: t.Sequence[t.Any]) -> str:
    files = {"seafile": "seafile.conf", "ccnet": "ccnet.conf", "seahub": "seahub_settings.py"}
    return " and ".join(dict.fromkeys(files.get(database.role, "the configuration") for database in configured)) + " (or .env)"


def dump_stem(name: str) -> str:
    """Return the file name for the dump of the database I(name) without its suffix. Names that no file system could hold are cut and hashed."""
    encoded = encode_name(name)
    if len(encoded) > 200:
        encoded = f"{encoded[:150]}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
    return encoded


def dump_file_name(name: str, compression: str = GZIP) -> str:
    """Return the file name for the dump of the database I(name)."""
    return dump_stem(name) + SUFFIXES[compression]


def dump_arguments(flavour: str, names: t.Sequence[str], lock: bool) -> list[str]:
    """Return the options of mysqldump (without the login) for one moment over the databases I(names).

    :arg flavour: of the program: C(mariadb) or C(oracle).
    :arg lock: hold a global read lock instead of one transaction, for tables without transactions.
    """
    arguments = [
        "--lock-all-tables" if lock else "--single-transaction",
        "--quick",
        "--hex-blob",
        "--routines",
        "--events",
        "--triggers",
        "--no-tablespaces",
        "--default-character-set=utf8mb4",
        "--max-allowed-packet=1G",
        # the splitter drops these lines anyway; without them a separator is the same bytes on every server
        "--no-create-db",
    ]
    if flavour == mysql_client.ORACLE:
        arguments += ["--set-gtid-purged=OFF", "--loose-column-statistics=0"]
    # after -- a name like -rf is a name
    return arguments + ["--databases", "--"] + list(names)


class Inspection:
    """One look at the databases as the account sees them, all refusals included. Changes nothing."""

    def __init__(self, source: Source, nontransactional: str) -> None:
        self.warnings: list[str] = []
        self.source = source
        self.nontransactional = nontransactional
        self.client, self.databases = self._choose_account(source)
        self.names = list(source.names)
        self.server_version = self.client.value("VERSION()")
        flavour = mysql_client.flavour_of(self.server_version)
        self.program = mysql_client.find_program(mysql_client.preferred(mysql_client.DUMPERS, flavour), "dump the databases")
        self.client_version = mysql_client.program_version(self.program)
        for name in self.names:
            if not self.databases[name].tables and not source.may_be_empty:
                raise SeafileError("dump-incomplete", f"database {name}", "it has no tables")
        self.lock = self._decide_on_lock()

    @property
    def estimated_bytes(self) -> int:
        """What the server says all tables hold, before compression."""
        return sum(self.databases[name].estimated_bytes for name in self.names)

    def _choose_account(self, source: Source) -> tuple[Client, dict[str, mysql_schema.Database]]:
        """Return the first account that may dump all databases. Raises what is wrong with the first account."""
        program = mysql_client.find_program(mysql_client.preferred(mysql_client.CLIENTS, None), "talk to the database server")
        problems = []
        for login in source.logins:
            client = Client(login, source.origin, program)
            try:
                databases = mysql_schema.describe(client, source.names)
                self._require(client, source.names, databases)
                return client, databases
            except SeafileError as problem:
                problems.append(problem)
        if len(source.logins) > 1 and all(problem.code in ("database-unknown", "database-privilege-missing") for problem in problems):
            users = ", ".join(login.user for login in source.logins)
            raise SeafileError("databases-many-accounts", ", ".join(source.names),
                               f"Seafile's accounts ({users}) each see only some of the databases, so none can dump them in one moment")
        raise problems[0]

    @staticmethod
    def _require(client: Client, names: t.Sequence[str], databases: dict[str, mysql_schema.Database]) -> None:
        missing = [name for name in names if name not in databases]
        if missing:
            there = mysql_schema.visible(client)
            raise SeafileError("database-unknown", ", ".join(missing), f"not on {client.login.place}, as far as user {client.login.user} can see; there are: "
                               + (", ".join(there) or "none"), databases=there)
        account = mysql_schema.own_account(client)
        for name in names:
            lacking = mysql_schema.missing_privileges(client, account, name, mysql_schema.DUMP_PRIVILEGES)
            if lacking:
                raise SeafileError(
                    "database-privilege-missing", f"database {name}", f"user {client.login.user} lacks {', '.join(lacking)}",
                    f"as an administrator: GRANT {', '.join(lacking)} ON {mysql_client.identifier(mysql_client.grant_pattern(name))}.* TO that user; "
                    "then run again",
                    privileges=lacking)

    def _decide_on_lock(self) -> bool:
        found = [f"{name}.{table}" for name in self.names for table in self.databases[name].nontransactional]
        if not found:
            return False
        listed = ", ".join(found)
        if self.nontransactional == "fail":
            raise SeafileError("nontransactional-tables", listed, "these tables have no transactions, so no snapshot covers them", tables=found)
        if self.nontransactional == "warn":
            self.warnings.append(f"these tables have no transactions and may be of another moment than the rest: {listed}")
            return False
        lacking = mysql_schema.missing_privileges(self.client, mysql_schema.own_account(self.client), self.names[0], LOCK_PRIVILEGES)
        if len(lacking) == len(LOCK_PRIVILEGES):
            raise _no_lock(listed, self.client.login.user)
        self.warnings.append(f"these tables have no transactions, so all tables were locked against writing during the dump: {listed}")
        return True


def _no_lock(tables: str, user: str) -> SeafileError:
    return SeafileError("nontransactional-lock", tables, f"these tables have no transactions, and user {user} lacks RELOAD to lock all tables against writing")


class _DumpFile(CompressedFile):
    """The dump of one database under its partial name."""

    def __init__(self, directory: str, name: str, compression: str, level: int) -> None:
        self.file = dump_file_name(name, compression)
        self.final = os.path.join(directory, self.file)
        super().__init__(partial_path(directory, self.file), compression, level)

    def discard(self) -> None:
        """Remove it, unless it has its name already."""
        self.close()
        if os.path.lexists(self.path):
            os.unlink(self.path)


def partial_path(directory: str, file: str) -> str:
    """Return the name of I(file) while it is being written."""
    return os.path.join(directory, f".{file}.partial")


@dataclasses.dataclass(frozen=True)
class Reader:
    """The account that may read the result: numbers for chown (-1: unchanged) and whether a group reads."""

    uid: int = -1
    gid: int = -1

    @property
    def file_mode(self) -> int:
        return 0o600 if self.gid < 0 else 0o640

    @property
    def directory_mode(self) -> int:
        return 0o700 if self.gid < 0 else 0o750


def find_reader(owner: t.Optional[str], group: t.Optional[str]) -> Reader:
    """Return the numbers of the account I(owner) and the group I(group). Raises C(account-unknown)."""
    try:
        uid = -1 if owner is None else int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise SeafileError("account-unknown", f"owner {owner}", "this machine has no such user") from None
    try:
        gid = -1 if group is None else int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise SeafileError("account-unknown", f"group {group}", "this machine has no such group") from None
    return Reader(uid, gid)


def require_free_names(dest: str, names: t.Sequence[str]) -> None:
    """Raise C(dump-exists) when I(dest) holds a file under a name this dump would take."""
    if os.path.lexists(dest) and not os.path.isdir(dest):
        raise SeafileError("path-invalid", dest, "it is not a directory", "name a directory as dest")
    for name in names:
        # two dumps of one database beside each other could be taken for one set
        path = existing(dest, dump_stem(name))
        if path:
            raise SeafileError("dump-exists", path, "the file exists")


def dump(inspection: Inspection, dest: str, level: int, reader: Reader, compression: str = GZIP, progress: t.Optional[t.Callable[[int], t.Any]] = None
         ) -> dict[str, t.Any]:
    """Dump the databases of I(inspection) into the directory I(dest) and return C(dumps), C(began), C(ended).

    No file has its final name before all are proven: exit code 0, the trailer, every expected table, the same tables
    before and after. When tables changed in between, one more try is made.

    :arg level: of the compression, 1 (quick) to 9 (small).
    :arg compression: C(gzip) or C(zstd).
    :arg progress: called often with the bytes of SQL text dumped so far (see :attr:`Inspection.estimated_bytes` for what to expect).
    """
    require_free_names(dest, inspection.names)
    created = make_private_directory(dest)
    if created and (reader.uid >= 0 or reader.gid >= 0):
        give(dest, reader.uid, reader.gid, reader.directory_mode)
    make_files = functools.partial(_make_files, dest, inspection.names, compression, level)
    try:
        try:
            return _attempt(inspection, dest, make_files, reader, progress)
        except _Changed:
            inspection = Inspection(inspection.source, inspection.nontransactional)
        try:
            return _attempt(inspection, dest, make_files, reader, progress)
        except _Changed as change:
            raise change.error from None
    except BaseException:
        if created and not os.listdir(dest):
            os.rmdir(dest)
        raise


def _make_files(dest: str, names: t.Sequence[str], compression: str, level: int, files: list[_DumpFile]) -> None:
    """Put a new file for each of I(names) into I(files)."""
    for name in names:
        stale = partial_path(dest, dump_file_name(name, compression))
        if os.path.lexists(stale):
            os.unlink(stale)
        files.append(_DumpFile(dest, name, compression, level))


class _Changed(Exception):
    """The tables changed while they were dumped; C(error) says so."""

    def __init__(self, error: SeafileError) -> None:
        super().__init__(error.message)
        self.error = error


def _attempt(inspection: Inspection, dest: str, make_files: t.Callable[[list[_DumpFile]], None], reader: Reader,
             progress: t.Optional[t.Callable[[int], t.Any]]) -> dict[str, t.Any]:
    names = inspection.names
    estimated = inspection.estimated_bytes
    files: list[_DumpFile] = []
    try:
        make_files(files)
        began = as_text(utc_now())
        splitter = Splitter(names, lambda index, content: files[index].write(content), any(inspection.databases[name].views for name in names))
        try:
            _stream(inspection, splitter, progress)
        except SeafileError as error:
            if error.details.get("error_number") in _DDL_ERRORS and _signatures(inspection) != _expected(inspection):
                raise _Changed(_changed_error(inspection)) from None
            raise
        for file in files:
            # the rest is compressed and flushed while the tables are looked at
            file.end()
        if _signatures(inspection) != _expected(inspection):
            raise _Changed(_changed_error(inspection))
        ended = as_text(utc_now())
        # what another server would need to take the dumps, so that a restore can tell before it changes anything
        dialects = mysql_dialect.of_databases(inspection.client, names)
        for index, name in enumerate(names):
            absent = [table for table in inspection.databases[name].tables if structure_key(table) not in splitter.structures[index]]
            if absent:
                raise SeafileError("dump-incomplete", f"dump of {name}", f"tables are missing in it: {', '.join(absent)}", tables=absent)
        for file in files:
            file.finish()
            if reader.uid >= 0 or reader.gid >= 0:
                give(file.path, reader.uid, reader.gid, reader.file_mode)
        require_free_names(dest, names)
        for file in files:
            os.rename(file.path, file.final)
        sync_directory(dest)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SeafileError("no-space", dest, _space_words(dest, estimated, files), free_bytes=_free(dest), estimated_bytes=estimated) from None
        raise
    finally:
        for file in files:
            file.discard()
    return {"began": began, "ended": ended, "dumps": [
        dict(_entry(inspection.databases[name], file), server_version=inspection.server_version, **dialects[name]) for name, file in zip(names, files)]}


def _entry(database: mysql_schema.Database, file: _DumpFile) -> dict[str, t.Any]:
    return {
        "name": database.name, "engine": "mysql", "file": file.file, "bytes": file.bytes, "sha256": file.sha256,
        "uncompressed_bytes": file.uncompressed_bytes, "tables": list(database.tables),
        "character_set": database.character_set, "collation": database.collation,
    }


def _expected(inspection: Inspection) -> dict[str, str]:
    return {name: inspection.databases[name].signature for name in inspection.names}


def _signatures(inspection: Inspection) -> dict[str, str]:
    return {name: database.signature for name, database in mysql_schema.describe(inspection.client, inspection.names).items()}


def _changed_error(inspection: Inspection) -> SeafileError:
    return SeafileError("database-changed", ", ".join(inspection.names), "tables were created, altered or dropped during the dump, twice")


def _stream(inspection: Inspection, splitter: Splitter, progress: t.Optional[t.Callable[[int], t.Any]] = None) -> None:
    """Run mysqldump through I(splitter). Raises when it did not end well or its stream is not whole."""
    flavour = mysql_client.flavour_of(inspection.client_version)
    login = inspection.client.login
    program = os.path.basename(inspection.program)
    with mysql_client.OptionFile(login) as options, tempfile.TemporaryFile() as messages:
        argv = [inspection.program, options.argument] + dump_arguments(flavour, inspection.names, inspection.lock)
        # run_command would keep the whole dump in memory
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages, env=mysql_client.environment(),
            pass_fds=(options.descriptor,), bufsize=0)
        failure: t.Optional[StreamError] = None
        size = 0
        try:
            for chunk in _pieces(process.stdout):
                size += len(chunk)
                if progress is not None:
                    progress(size)
                if failure is None:
                    try:
                        splitter.feed(chunk)
                    except StreamError as error:
                        # the program's own failure explains more, so it may come to its end
                        failure = error
            status = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()
        message = read_back(messages).read(65536).decode("utf-8", "replace")
    what = f"dump of {splitter.current}"
    if status < 0:
        said = mysql_client.own_words(message, login)
        raise SeafileError("dump-killed", what, f"killed ({_signal_name(-status)})" + (f"; {program} said: {said}" if said else ""), signal=-status)
    if status != 0:
        raise _failure(message, status, what, program, inspection)
    if failure is None:
        try:
            splitter.close()
        except StreamError as error:
            failure = error
    if failure is not None:
        raise SeafileError("dump-incomplete", what, f"{program} ended with exit code 0, but {failure}")


def _failure(message: str, status: int, what: str, program: str, inspection: Inspection) -> SeafileError:
    error = mysql_client.translate(message, what, inspection.client.login, "dump-failed", inspection.client.source)
    if error.code == "database-privilege-missing" and inspection.lock and "RELOAD" in message:
        tables = ", ".join(f"{name}.{table}" for name in inspection.names for table in inspection.databases[name].nontransactional)
        return _no_lock(tables, inspection.client.login.user)
    if error.code == "dump-failed":
        return SeafileError("dump-failed", what, f"{program} ended with exit code {status}: {mysql_client.own_words(message, inspection.client.login)}")
    return error


def _signal_name(number: int) -> str:
    """Return C(signal 9) and, where it explains more, the cause."""
    return f"signal {number}" + ("" if number != signal.SIGPIPE else ", its reader went away")


def _pieces(pipe: t.IO[bytes]) -> t.Iterator[bytes]:
    """Yield what comes through I(pipe)."""
    enlarge_pipe(pipe.fileno())
    while True:
        content = os.read(pipe.fileno(), _PIECE)
        if not content:
            return
        yield content
        if len(content) < _PIECE:
            # The program writes 4 KiB at a time. Woken for each of them, both would do little else than wake each other.
            time.sleep(_PAUSE)


def _free(path: str) -> int:
    return shutil.disk_usage(path).free


def _space_words(dest: str, estimated: int, files: t.Sequence[_DumpFile]) -> str:
    written = sum(file.bytes for file in files)
    raw = sum(file.uncompressed_bytes for file in files)
    words = f"no space left after {written} bytes; {_free(dest)} bytes were free when it stopped"
    if raw and written and estimated:
        words += f"; about {max(int(estimated * written / raw), written)} bytes are needed (tables hold {estimated} bytes before compression)"
    return words


def result_entry(entry: dict[str, t.Any], roles: dict[str, str]) -> dict[str, t.Any]:
    """Return I(entry) with its role, C(other) for a database that Seafile's configuration does not name."""
    return {"name": entry["name"], "role": roles.get(entry["name"], "other"), **{key: value for key, value in entry.items() if key != "name"}}


def planned(inspection: Inspection, roles: dict[str, str], compression: str = GZIP) -> list[dict[str, t.Any]]:
    """Return what a dump would write, as far as it is known without writing it."""
    return [result_entry({
        "name": database.name, "engine": "mysql", "file": dump_file_name(database.name, compression), "tables": list(database.tables),
        "character_set": database.character_set, "collation": database.collation, "estimated_bytes": database.estimated_bytes,
    }, roles) for database in (inspection.databases[name] for name in inspection.names)]
