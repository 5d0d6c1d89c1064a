# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Importing dumps: every file proven first, every refusal before the first change, then one database after the other."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import re
import stat
import subprocess
import tempfile
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import compression, mysql_client, mysql_dialect, mysql_schema
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client, Login, grant_pattern, identifier, literal
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_dump_stream import SANDBOX_LINE, TRAILER
from ansible_collections.seafleet.seafile.plugins.module_utils.program_output import read_back

APPLICATION_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "INDEX", "ALTER")
"""What Seafile's account needs at least; when one lacks, all privileges on the database are granted, as Seafile's setup does."""

DEFAULT_STATEMENT = 1 << 20
"""Dump programs join rows to statements of up to this many bytes (net_buffer_length); every server takes that much."""

RECORD_VERSION = 1
_WORD = re.compile(r"^[A-Za-z0-9_]{1,64}$")
_LAX = "SET SESSION innodb_strict_mode = OFF"
_DENIED = ("database-access-denied",)


@dataclasses.dataclass(frozen=True)
class DumpFile:
    """One dump to import: an entry of a manifest, checked for its form only."""

    name: str
    path: str
    sha256: t.Optional[str]
    tables: tuple[str, ...]
    character_set: str
    collation: t.Optional[str]


@dataclasses.dataclass(frozen=True)
class Proof:
    """What reading a whole dump file showed."""

    sha256: str
    uncompressed_bytes: int
    longest_line: int
    """Bytes of the longest line; a row never spans two."""
    facts: mysql_dialect.Facts = dataclasses.field(default_factory=mysql_dialect.Facts)
    """What its text needs of a server."""


def parse_dumps(src: str, entries: t.Sequence[t.Any]) -> list[DumpFile]:
    """Return the dumps of I(entries) (dictionaries as in a manifest). Raises C(path-invalid), C(database-name-invalid), C(engine-mismatch)."""
    dumps = []
    for entry in entries:
        name, file = entry.get("name"), entry.get("file")
        if not isinstance(name, str) or not isinstance(file, str) or not name or not file:
            raise SeafileError("database-name-invalid", "dumps", "every entry needs a name and a file", "hand over dumps as mysql_dump returns them")
        mysql_client.check_database_name(name)
        if entry.get("engine", "mysql") != "mysql":
            raise SeafileError("engine-mismatch", name, "its dump is one of a SQLite file", "use the module sqlite_import")
        if "/" in file or "\0" in file or file in (".", ".."):
            raise SeafileError("path-invalid", file, "the file of a dump is a plain name in src")
        character_set, collation = entry.get("character_set") or "utf8mb4", entry.get("collation") or None
        for word in (character_set, collation):
            if word is not None and not (isinstance(word, str) and _WORD.match(word)):
                raise SeafileError("database-collation-unknown", name, f"{word} is no name of a character set or collation")
        tables = entry.get("tables") or []
        if not isinstance(tables, list) or not all(isinstance(table, str) for table in tables):
            raise SeafileError("database-name-invalid", name, "tables is not a list of names", "hand over dumps as mysql_dump returns them")
        dumps.append(DumpFile(name, os.path.join(src, file), entry.get("sha256") or None, tuple(tables), character_set, collation))
    names = [dump.name for dump in dumps]
    if not dumps or len(set(names)) != len(names):
        raise SeafileError("database-name-invalid", "dumps", "no dump is named" if not dumps else "a database is named twice",
                           "hand over dumps as mysql_dump returns them")
    return dumps


def prove(dump: DumpFile) -> Proof:
    """Read the whole file of I(dump). Raises C(dump-missing) or C(dump-damaged) unless it is whole and ends with the trailer.

    Raises C(missing-tool) for a zstd file where there is no zstd.
    """
    digest = hashlib.sha256()
    size = longest = open_line = 0
    tail = b""
    reader = mysql_dialect.Text(keep=False)
    try:
        if not stat.S_ISREG(os.lstat(dump.path).st_mode):
            raise SeafileError("dump-damaged", dump.path, "it is not a regular file")
        with compression.open_reader(dump.path, digest.update) as stream:
            for text in compression.pieces(stream):
                reader.feed(text)
                size += len(text)
                lines = text.split(b"\n")
                open_line += len(lines[0])
                if len(lines) > 1:
                    longest = max(longest, open_line, *map(len, lines[1:-1]))
                    open_line = len(lines[-1])
                tail = (tail + text)[-4096:] if len(text) < 4096 else text[-4096:]
    except FileNotFoundError:
        raise SeafileError("dump-missing", dump.path, "there is no such file", "look at src and at the names in dumps; nothing was imported") from None
    except compression.Damage as error:
        raise SeafileError("dump-damaged", dump.path, str(error)) from None
    if dump.sha256 and digest.hexdigest() != dump.sha256.lower():
        raise SeafileError("dump-damaged", dump.path, f"its sha256 is {digest.hexdigest()}, not {dump.sha256}")
    if not TRAILER.search(tail):
        raise SeafileError("dump-damaged", dump.path, "the trailer '-- Dump completed' is missing: the dump was cut short")
    reader.close()
    return Proof(digest.hexdigest(), size, max(longest, open_line), reader.facts)


def admin_login(configured: t.Sequence[t.Any], overrides: dict[str, t.Any]) -> Login:
    """Return who imports: the account of the options at the server of the configuration, unless the options name another.

    For a server on this machine that is the Unix socket, by which the system's root is the database's root.
    """
    host, port, socket = (overrides.get(f"login_{name}") or None for name in ("host", "port", "unix_socket"))
    mysql = sorted((database for database in configured if database.engine == "mysql"), key=lambda database: database.role != "seafile")
    if mysql and host is None and socket is None:
        first = Login(mysql[0].host or "localhost", mysql[0].port or 3306, unix_socket=mysql[0].unix_socket)
        host, socket = first.host, first.unix_socket
        port = port or first.port
        if first.is_local and not overrides.get("login_password"):
            host = "localhost"
    return Login(host or "localhost", port or 3306, overrides.get("login_user") or "root", overrides.get("login_password") or "", socket)


@dataclasses.dataclass
class Account:
    """Seafile's own database account: what it is to have, and what was done."""

    login: Login
    databases: list[str]
    exists: bool = False
    created: bool = False
    granted: list[str] = dataclasses.field(default_factory=list)

    def result(self) -> dict[str, t.Any]:
        """For the module's result."""
        return {"user": self.login.user, "created": self.created, "granted": self.granted}


def accounts_of(configured: t.Sequence[t.Any]) -> list[Account]:
    """Return the accounts that the configuration names, that of Seafile's own database first."""
    accounts: dict[tuple[str, str], Account] = {}
    for database in sorted(configured, key=lambda database: database.role != "seafile"):
        if database.engine != "mysql" or not database.user:
            continue
        login = Login(database.host or "localhost", database.port or 3306, database.user, database.password, database.unix_socket)
        account = accounts.setdefault((login.user, login.password), Account(login, []))
        account.databases.append(database.name)
    return list(accounts.values())


def account_hosts(login: Login, skip_name_resolve: bool) -> list[str]:
    """Return the host parts for an account that connects as I(login) does.

    A server that resolves names sees every local connection come from C(localhost); one that does not sees the address.
    """
    if not login.is_local:
        return ["%"]
    return ["localhost", "127.0.0.1", "::1"] if skip_name_resolve else ["localhost"]


@dataclasses.dataclass
class Plan:
    """What is to be done with one database."""

    dump: DumpFile
    proof: Proof
    action: str
    """C(kept), C(created) or C(replaced)."""
    before: tuple[str, ...]
    """Tables there before."""
    exists: bool

    def result(self) -> dict[str, t.Any]:
        """For the module's result."""
        return {"name": self.dump.name, "changed": self.action != "kept", "action": self.action, "tables": sorted(self.dump.tables)}


class Record:
    """What earlier imports left behind: sha256 of the dump and checksums of the tables, in a file that only the owner reads.

    An entry C(importing) marks a database that is half there because an import was interrupted.
    """

    def __init__(self, path: t.Optional[str]) -> None:
        self.path = path
        self.entries: dict[str, dict[str, t.Any]] = {}
        if not path or not os.path.lexists(path):
            return
        try:
            with open(path, encoding="utf-8") as stream:
                content = json.load(stream)
            if content["version"] != RECORD_VERSION or not all(isinstance(entry["state"], str) for entry in content["databases"].values()):
                raise ValueError("unknown form")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SeafileError("record-damaged", path, "it is not a record of this module") from None
        self.entries = content["databases"]

    def put(self, name: str, entry: t.Optional[dict[str, t.Any]]) -> None:
        """Keep I(entry) for the database I(name) (None: forget it), on disk before this returns."""
        if not self.path:
            return
        if entry is None:
            self.entries.pop(name, None)
        else:
            self.entries[name] = entry
        write_json(self.path, {"version": RECORD_VERSION, "databases": self.entries})

    def interrupted(self, name: str) -> bool:
        """Whether an import into I(name) began and did not end."""
        return self.entries.get(name, {}).get("state") == "importing"

    def holds(self, client: Client, name: str, sha256: str) -> bool:
        """Whether the database I(name) still is what was imported from the dump I(sha256)."""
        entry = self.entries.get(name, {})
        if entry.get("state") != "imported" or entry.get("sha256") != sha256 or entry.get("server") != client.login.place:
            return False
        return entry.get("fingerprint") == mysql_schema.fingerprint(client, name)


class Import:
    """One run: everything that can refuse is in the constructor, everything that changes is in :meth:`run`."""

    def __init__(self, client: Client, dumps: t.Sequence[DumpFile], accounts: t.Sequence[Account], replace: bool, record: Record,
                 choices: mysql_dialect.Choices = mysql_dialect.Choices()) -> None:
        self.client = client
        self.choices = choices
        self.notes: list[str] = []
        self.rewritings: dict[str, mysql_dialect.Rewriting] = {}
        self.accounts = list(accounts)
        self.record = record
        proofs = [prove(dump) for dump in dumps]
        self._require_server()
        self.plans = self._plan(dumps, proofs, replace)
        for account in self.accounts:
            self._look_at(account)
        if any(plan.action != "kept" for plan in self.plans):
            self._require_packet()
            self._require_dialect()

    def _require_server(self) -> None:
        """A local socket may belong to another server than the port that Seafile's configuration names."""
        port = int(self.client.value("@@port", what="database server"))
        for account in self.accounts:
            login = account.login
            if login.is_local and self.client.login.is_local and not login.unix_socket and login.host != "localhost" and port not in (0, login.port):
                raise SeafileError(
                    "database-unreachable", self.client.login.place,
                    f"the server there listens on port {port}, but Seafile's configuration names {login.place}",
                    "give login_unix_socket, or login_host, login_port, login_user and login_password of the server that Seafile uses")

    def _plan(self, dumps: t.Sequence[DumpFile], proofs: t.Sequence[Proof], replace: bool) -> list[Plan]:
        there = mysql_schema.describe(self.client, [dump.name for dump in dumps])
        plans, refused = [], []
        for dump, proof in zip(dumps, proofs):
            name = dump.name
            before = there[name].tables if name in there else ()
            if name in there and self.record.holds(self.client, name, proof.sha256):
                plans.append(Plan(dump, proof, "kept", before, True))
                continue
            full = bool(before) or (name in there and mysql_schema.stored_programs(self.client, name) > 0)
            if full and not replace and not self.record.interrupted(name):
                refused.append(f"{name} ({len(before)} tables)")
            plans.append(Plan(dump, proof, "replaced" if full else "created", before, name in there))
        if refused:
            raise SeafileError("target-not-empty", ", ".join(refused), "the database exists and is not empty", databases=refused)
        return plans

    def _require_packet(self) -> None:
        allowed = int(self.client.value("@@global.max_allowed_packet"))
        for plan in self.plans:
            needed = plan.proof.longest_line + 1024
            if plan.action != "kept" and needed > max(allowed, DEFAULT_STATEMENT):
                raise SeafileError("database-packet-too-small", f"dump of {plan.dump.name}",
                                   f"it holds a row of {plan.proof.longest_line} bytes, and the server's max_allowed_packet is {allowed}",
                                   f"SET GLOBAL max_allowed_packet = {_round_up(needed)} on the server (and in its configuration file), then run again",
                                   needed_bytes=needed, max_allowed_packet=allowed)

    def _require_dialect(self) -> None:
        """Everything that the server does not take, of all dumps at once; decide what is to be rewritten."""
        problems: list[SeafileError] = []
        version = self.client.value("VERSION()")
        there = mysql_dialect.accounts_there(self.client) if any(plan.proof.facts.definers for plan in self.plans) else set()
        if there is not None:
            there |= {f"{account.login.user}@{host}" for account in self.accounts if not account.exists for host in self._hosts(account.login)}
        for plan in self.plans:
            if plan.action == "kept":
                continue
            what, facts, choices = f"dump of {plan.dump.name}", plan.proof.facts, self.choices
            facts.character_sets.add(plan.dump.character_set.lower())
            facts.collations |= {plan.dump.collation.lower()} if plan.dump.collation else set()
            missing = mysql_dialect.missing_definers(facts, there)
            refused, modes = mysql_dialect.mode_problem(self.client, facts, what)
            found = [
                None if choices.accept_newer else mysql_dialect.newer(facts, version, what), mysql_dialect.missing_features(facts, version, what),
                mysql_dialect.collation_problem(self.client, facts, choices, what), mysql_dialect.table_name_problem(self.client, plan.dump.tables, what),
                mysql_dialect.definer_problem(missing, what) if choices.definers == "refuse" else None, refused]
            problems += [problem for problem in found if problem is not None]
            rewriting = mysql_dialect.Rewriting(
                {old.encode(): new.encode() for old, new in choices.collations.items()}, set(missing) if choices.definers == "replace" else set(), modes,
                facts.names_itself)
            self._note(what, facts, rewriting)
            self.rewritings[plan.dump.name] = rewriting
        if problems:
            first = problems[0]
            if len(problems) == 1:
                raise first
            raise SeafileError(first.code, first.what, first.cause + "".join(f"; {problem.what}: {problem.cause}" for problem in problems[1:]),
                               "; ".join(dict.fromkeys(problem.next_step for problem in problems)), problems=[problem.as_problem() for problem in problems])

    def _note(self, what: str, facts: mysql_dialect.Facts, rewriting: mysql_dialect.Rewriting) -> None:
        """Tell what of a dump is rewritten."""
        words = [f"{old} became {new}" for old, new in sorted(self.choices.collations.items()) if old in facts.collations | facts.character_sets]
        words += [f"{thing} of {account} belongs to {self.client.login.user}" for account in sorted(rewriting.definers) for thing in facts.definers[account]]
        words += [f"the sql_mode {mode} was left out" for mode in sorted(rewriting.modes)]
        self.notes += [f"{what}: {word}" for word in words]

    def _look_at(self, account: Account) -> None:
        """Find out whether I(account) exists and lets Seafile in. An existing account is never given another password."""
        login = account.login
        if login.user == self.client.login.user and login.password == self.client.login.password:
            account.exists = True
            return
        try:
            Client(login, program=self.client.program).value("1")
            account.exists = True
        except SeafileError as problem:
            if problem.code not in _DENIED:
                raise
            there = {row[0] for row in self.client.query(f"SELECT host FROM mysql.user WHERE user = {literal(login.user)}", what="table mysql.user")}
            if there & set(self._hosts(login)):
                raise SeafileError("application-account-refused", f"database account {login.user}",
                                   f"it exists, but the server at {login.place} does not let it in with the password of Seafile's configuration",
                                   login_user=login.user) from None

    def _hosts(self, login: Login) -> list[str]:
        return account_hosts(login, self.client.value("@@skip_name_resolve") in ("1", "ON"))

    @property
    def missing_grants(self) -> dict[int, list[str]]:
        """The databases on which each existing account (by its position) lacks what Seafile needs."""
        return {number: self._lacking(account)[1] if account.exists else list(account.databases) for number, account in enumerate(self.accounts)}

    def _lacking(self, account: Account) -> tuple[str, list[str]]:
        """Return the account's name as the server knows it, C('user'@'host'), and the databases on which it lacks privileges."""
        user, unused, host = Client(account.login, program=self.client.program).value("CURRENT_USER()").rpartition("@")
        names = [name for name in account.databases
                 if mysql_schema.missing_privileges(self.client, f"'{user}'@'{host}'", name, APPLICATION_PRIVILEGES)]
        return f"{literal(user)}@{literal(host)}", names

    def preview(self) -> dict[str, t.Any]:
        """Return the result a run would have, changing nothing."""
        missing = self.missing_grants
        for number, account in enumerate(self.accounts):
            account.created = not account.exists
            account.granted = missing[number]
        return self._result()

    def run(self) -> dict[str, t.Any]:
        """Create the accounts, then the databases, each whole or not at all. Returns the module's result."""
        for account in self.accounts:
            self._provide(account)
        for plan in self.plans:
            if plan.action != "kept":
                self._import(plan)
        return self._result()

    def _result(self) -> dict[str, t.Any]:
        accounts = [account.result() for account in self.accounts]
        changed = any(plan.action != "kept" for plan in self.plans) or any(account["created"] or account["granted"] for account in accounts)
        return {
            "changed": changed, "databases": [plan.result() for plan in self.plans],
            "account": accounts[0] if accounts else None, "accounts": accounts, "notes": self.notes,
            "diff": {"before": "".join(_listing(plan.dump.name, plan.before, plan.exists) for plan in self.plans),
                     "after": "".join(_listing(plan.dump.name, plan.before if plan.action == "kept" else plan.dump.tables, True) for plan in self.plans)},
        }

    def _provide(self, account: Account) -> None:
        login = account.login
        if not account.exists:
            what = f"database account {login.user}"
            self.client.query(*(f"CREATE USER IF NOT EXISTS {literal(login.user)}@{literal(host)} IDENTIFIED BY {literal(login.password)}"
                                for host in self._hosts(login)), what=what)
            account.created = True
            try:
                Client(login, program=self.client.program).value("1")
            except SeafileError as problem:
                raise SeafileError("application-account-refused", what, f"it was created, but cannot connect: {problem.cause}", login_user=login.user) from None
        name, lacking = self._lacking(account)
        for database in lacking:
            self.client.query(f"GRANT ALL PRIVILEGES ON {identifier(grant_pattern(database))}.* TO {name}", what=f"database account {login.user}")
        account.granted = lacking

    def _import(self, plan: Plan) -> None:
        dump, client = plan.dump, self.client
        what = f"database {dump.name}"
        self.record.put(dump.name, {"state": "importing", "sha256": plan.proof.sha256, "server": client.login.place})
        words = {name: self.choices.collations.get(name.lower(), name) for name in (dump.character_set, dump.collation or "")}
        create = f"CREATE DATABASE {identifier(dump.name)} CHARACTER SET {words[dump.character_set]}"
        create += f" COLLATE {words[dump.collation]}" if dump.collation else ""
        try:
            client.query(f"DROP DATABASE IF EXISTS {identifier(dump.name)}", what=what)
        except SeafileError:
            self.record.put(dump.name, None)
            raise
        try:
            client.query(create, what=what)
            self._feed(dump)
            now = set(mysql_schema.describe(client, [dump.name])[dump.name].tables)
            absent = sorted(set(dump.tables) - now)
            if absent:
                raise SeafileError("import-incomplete", what, f"tables are missing after the import: {', '.join(absent)}", tables=absent)
        except (SeafileError, OSError, compression.Damage) as error:
            self._undo(dump.name)
            if isinstance(error, compression.Damage):
                raise SeafileError("dump-damaged", dump.path, "it changed while it was imported",
                                   "fetch the dump again, then run again; the database was dropped again") from None
            raise
        if not dump.tables:
            plan.dump = dataclasses.replace(dump, tables=tuple(sorted(now)))
        if self.record.path:
            self.record.put(dump.name, {"state": "imported", "sha256": plan.proof.sha256, "server": client.login.place,
                                        "fingerprint": mysql_schema.fingerprint(client, dump.name)})

    @functools.cached_property
    def _lax(self) -> bool:
        """Whether this account may switch InnoDB's strictness off for its own session."""
        try:
            self.client.query(_LAX)
        except SeafileError:
            return False
        return True

    def _undo(self, name: str) -> None:
        """Leave no half database behind. When even that fails, the record still says that it is half."""
        try:
            self.client.query(f"DROP DATABASE IF EXISTS {identifier(name)}")
            self.record.put(name, None)
        except SeafileError:
            pass

    def _feed(self, dump: DumpFile) -> None:
        """Send the text of I(dump) to the client program."""
        client = self.client
        rewriting = self.rewritings.get(dump.name)
        text_of = mysql_dialect.Text(rewriting) if rewriting else None
        with mysql_client.OptionFile(client.login) as options, tempfile.TemporaryFile() as messages, compression.open_reader(dump.path) as stream:
            argv = [client.program, options.argument] + client.arguments() + [f"--database={dump.name}"]
            # run_command would take the whole dump from memory
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=messages, env=mysql_client.environment(),
                pass_fds=(options.descriptor,), bufsize=0)
            try:
                if self._lax:
                    # a table that its own server took must not be refused here for the width of its rows
                    _write_all(process.stdin, _LAX.encode() + b";\n")
                first = True
                for text in compression.pieces(stream):
                    if first:
                        # older and Oracle's clients refuse the line that MariaDB puts in front
                        text, first = SANDBOX_LINE.sub(b"", text), False
                    _write_all(process.stdin, text if text_of is None else text_of.feed(text))
                if text_of is not None:
                    _write_all(process.stdin, text_of.close())
            except BrokenPipeError:
                # the client ended early; what it said follows
                pass
            except BaseException:
                process.kill()
                raise
            finally:
                try:
                    process.stdin.close()
                except BrokenPipeError:
                    pass
                status = process.wait()
            message = read_back(messages).read(65536).decode("utf-8", "replace")
        if status == 0:
            return
        what = f"import of {dump.name}"
        again = "mend the cause and run again; the half database was dropped again"
        if status < 0:
            raise SeafileError("import-failed", what, f"{os.path.basename(client.program)} was killed (signal {-status})", again, signal=-status)
        error = mysql_client.translate(message, what, client.login, "import-failed")
        if error.code == "import-failed":
            error = SeafileError("import-failed", what, f"exit code {status}: {mysql_client.own_words(message, client.login)}", again)
        raise error


def _write_all(stream: t.Any, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[stream.write(view):]


def _round_up(size: int) -> int:
    """Return I(size) rounded up to whole MiB; servers round down to multiples of 1024."""
    return -(-size // (1 << 20)) * (1 << 20)


def _listing(name: str, tables: t.Iterable[str], exists: bool) -> str:
    if not exists:
        return f"{name}: absent\n"
    return f"{name}: exists\n" + "".join(f"{name}.{table}\n" for table in sorted(tables))
