# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking to MariaDB and MySQL with their own command line programs.

Finds the programs, hands them the account by an option file that never has a name on a disk, quotes what needs
quoting, sends statements through stdin, and turns the programs' errors into stable codes. A password is never on a
command line, in the environment, in a message, or in a file with a name.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import tempfile
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

MARIADB = "mariadb"
ORACLE = "oracle"

CLIENTS = {MARIADB: "mariadb", ORACLE: "mysql"}
DUMPERS = {MARIADB: "mariadb-dump", ORACLE: "mysqldump"}

PACKAGES = "package mariadb-client (Debian, Ubuntu), mariadb (Red Hat, SUSE) or mysql-client"
STDERR_LIMIT = 500
"""Characters of a program's own message that go into ours."""

MAX_OPTION_LINE = 4000
"""C(my_default.c) reads option files in lines of 4096 bytes and cuts what is longer."""

SYSTEM_SCHEMAS = ("information_schema", "performance_schema", "mysql", "sys")

_OPTION_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b"}
_LITERAL_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\x1a": "\\Z"}
_BATCH_ESCAPES = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
_PLACES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/mysql/bin", "/opt/mysql/bin")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

# Error numbers of the servers (include/mysqld_error.h) and of the client library (include/errmsg.h) by our code.
_CODE_OF_ERROR = {
    1044: "database-privilege-missing", 1142: "database-privilege-missing", 1143: "database-privilege-missing",
    1227: "database-privilege-missing", 1370: "database-privilege-missing", 1410: "database-privilege-missing",
    1045: "database-access-denied", 1130: "database-access-denied", 1698: "database-access-denied", 1862: "database-access-denied",
    1049: "database-unknown",
    1040: "database-unreachable", 1203: "database-unreachable", 2002: "database-unreachable", 2003: "database-unreachable",
    2005: "database-unreachable", 2012: "database-unreachable",
    1053: "database-connection-lost", 1317: "database-connection-lost", 1927: "database-connection-lost", 2006: "database-connection-lost",
    2013: "database-connection-lost", 2055: "database-connection-lost", 4031: "database-connection-lost",
    1153: "database-packet-too-small", 1301: "database-packet-too-small", 2020: "database-packet-too-small",
    1356: "database-view-broken", 1449: "database-view-broken",
    1115: "database-collation-unknown", 1273: "database-collation-unknown",
    2026: "database-tls", 3159: "database-tls",
    1021: "database-disk-full", 1114: "database-disk-full", 1030: "database-disk-full", 3: "database-disk-full",
}
_ERROR_NUMBER = re.compile(r"\bERROR (\d{1,5})\b|\berror: (\d{1,5}):|\bError (\d{4,5}):|\((\d{4,5})\)(?=\s|$)|\(errno: (28)\b")


@dataclasses.dataclass(frozen=True)
class Login:
    """Where a database server is and who connects."""

    host: str = "localhost"
    port: int = 3306
    user: str = "root"
    password: str = dataclasses.field(default="", repr=False)
    unix_socket: t.Optional[str] = None

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, as far as the address tells."""
        return bool(self.unix_socket) or self.host in _LOOPBACK

    @property
    def place(self) -> str:
        """The server in words, for messages."""
        if self.unix_socket:
            return f"socket {self.unix_socket}"
        return "the local socket" if self.host == "localhost" else f"{self.host}:{self.port}"

    def redact(self, text: str) -> str:
        """Return I(text) without this login's password."""
        return text.replace(self.password, "********") if self.password else text


def option_value(value: str) -> str:
    """Return I(value) quoted for an option file, so that the programs read exactly I(value).

    Rules of C(mysys/my_default.c): inside double quotes a C(#) is no comment; a backslash begins an escape, of which
    C(\\\\), C(\\"), C(\\n), C(\\r), C(\\t), C(\\b) are used here.
    """
    return '"' + "".join(_OPTION_ESCAPES.get(character, character) for character in value) + '"'


def option_file(login: Login) -> bytes:
    """Return the content of an option file for I(login). Raises C(database-login-invalid) for what no option file can hold."""
    options = {"user": login.user, "password": login.password}
    if login.unix_socket:
        options.update(socket=login.unix_socket, protocol="socket")
    else:
        options.update(host=login.host, port=str(login.port))
        if login.host != "localhost":
            options["protocol"] = "tcp"
    lines = ["[client]"]
    for name, value in options.items():
        line = f"{name}={option_value(value)}"
        if "\0" in value or len(line.encode("utf-8", "surrogateescape")) > MAX_OPTION_LINE:
            raise SeafileError("database-login-invalid", f"the {name} of the database login", "it holds a NUL or is longer than 4000 bytes")
        lines.append(line)
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def literal(value: str) -> str:
    """Return I(value) as an SQL string. The session's sql_mode must not hold NO_BACKSLASH_ESCAPES (see :meth:`Client.query`)."""
    return "'" + "".join(_LITERAL_ESCAPES.get(character, character) for character in value) + "'"


def identifier(name: str) -> str:
    """Return I(name) as a quoted SQL identifier."""
    return "`" + name.replace("`", "``") + "`"


def grant_pattern(name: str) -> str:
    """Return the database I(name) as GRANT wants it: there C(_) and C(%) are wildcards unless escaped."""
    return re.sub(r"([\\_%])", r"\\\1", name)


def check_database_name(name: str) -> str:
    """Return I(name), or raise C(database-name-invalid) for a name no dump may have."""
    if not name or len(name) > 64:
        raise SeafileError("database-name-invalid", name or "(empty)", "a database name has 1 to 64 characters")
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        raise SeafileError("database-name-invalid", name, "it holds a line break or another control character")
    if name.endswith(" ") or any(ord(character) > 0xFFFF or 0xD800 <= ord(character) <= 0xDFFF for character in name):
        raise SeafileError("database-name-invalid", name, "it ends with a space or holds a character that no database name can have")
    if name.lower() in SYSTEM_SCHEMAS:
        raise SeafileError("database-name-invalid", name, "it is a schema of the database server itself")
    return name


def unescape_batch(field: str) -> str:
    """Undo the escapes that C(--batch) writes into a field."""
    return re.sub(r"\\(.)", lambda found: _BATCH_ESCAPES.get(found.group(1), found.group(0)), field, flags=re.DOTALL)


def find_program(names: t.Iterable[str], purpose: str) -> str:
    """Return the path of the first of the programs I(names) that this machine has. Raises C(missing-tool)."""
    names = list(names)
    places = os.pathsep.join([os.environ.get("PATH", "")] + list(_PLACES))
    for name in names:
        path = shutil.which(name, path=places)
        if path:
            return path
    raise SeafileError("missing-tool", " or ".join(names), f"not found on this machine, needed to {purpose}", f"install {PACKAGES}")


def preferred(programs: dict[str, str], flavour: t.Optional[str]) -> list[str]:
    """Return the names in I(programs), the one for the server's I(flavour) first, else MariaDB's."""
    return [programs[ORACLE], programs[MARIADB]] if flavour == ORACLE else [programs[MARIADB], programs[ORACLE]]


def flavour_of(version: str) -> str:
    """Return C(mariadb) or C(oracle) for a version text of a program or a server."""
    return MARIADB if "mariadb" in version.lower() else ORACLE


def environment() -> dict[str, str]:
    """Return the environment for the programs: nothing in it that could name another server, account or option.

    Oracle's programs read C(~/.mylogin.cnf) even with C(--defaults-file); C(MYSQL_TEST_LOGIN_FILE) sends them past it.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYSQL", "MARIADB"))}
    kept.update(LC_ALL="C", MYSQL_TEST_LOGIN_FILE="/nonexistent/mylogin.cnf", MYSQL_HISTFILE="/dev/null", MARIADB_HISTFILE="/dev/null")
    return kept


def program_version(path: str) -> str:
    """Return what the program I(path) says of its version, without its path."""
    # run_command needs a module; this file serves programs without one
    answer = subprocess.run(  # pylint: disable=ansible-bad-function
        [path, "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), check=False)
    text = answer.stdout.decode("utf-8", "replace").strip()
    return re.sub(r"^\S*?([^/\s]+)(?=\s)", r"\1", text)


class OptionFile:
    """An option file that only this process and the programs it starts can see.

    Use it as a context manager and pass C(descriptor) on (C(pass_fds)); C(argument) must be the first argument.
    """

    def __init__(self, login: Login) -> None:
        self._content = option_file(login)
        self.descriptor = -1

    def __enter__(self) -> OptionFile:
        self.descriptor = _nameless_file()
        os.fchmod(self.descriptor, 0o600)
        written = 0
        while written < len(self._content):
            written += os.write(self.descriptor, self._content[written:])
        return self

    def __exit__(self, *unused: t.Any) -> None:
        os.close(self.descriptor)

    @property
    def argument(self) -> str:
        """The option that names the file. C(--defaults-file) is hermetic, C(--defaults-extra-file) is not."""
        return f"--defaults-file=/dev/fd/{self.descriptor}"


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        try:
            return os.memfd_create("options")
        except OSError:
            pass
    # kernels and libraries without memfd: a file in memory whose name is gone before anything is written
    descriptor, path = tempfile.mkstemp(prefix="seafleet-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    os.unlink(path)
    return descriptor


def error_numbers(message: str) -> list[int]:
    """Return the error numbers in a I(message) of mysql, mariadb, mysqldump or mariadb-dump, in their order."""
    return [int(next(number for number in found if number)) for found in _ERROR_NUMBER.findall(message)]


def own_words(message: str, login: t.Optional[Login] = None) -> str:
    """Return the part of a program's I(message) that may be shown: no password, no row data, at most 500 characters."""
    text = re.sub(r"^-{14}\n.*?^-{14}\n", "", message, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"near '.*?' at line", "near '...' at line", text, flags=re.DOTALL)
    text = " ".join(text.split())
    if login is not None:
        text = login.redact(text)
    return text if len(text) <= STDERR_LIMIT else text[:STDERR_LIMIT] + " [...]"


def translate(message: str, what: str, login: Login, otherwise: str, source: str = "") -> SeafileError:
    """Return the error for a I(message) of a client program.

    :arg what: what was being done or with which database.
    :arg otherwise: the code for errors this function does not know.
    :arg source: where the login comes from, such as C(seafile.conf), for the next step.
    """
    words = own_words(message, login) or "the program said nothing"
    for number in error_numbers(message):
        code = _CODE_OF_ERROR.get(number)
        if code is None or (number == 1030 and not re.search(r"\berror 28\b|No space left", message)):
            continue
        details = {"error_number": number, "login_user": login.user}
        if code == "database-access-denied":
            where = f"check the database user and password in {source}" if source else "check login_user and login_password"
            return SeafileError(code, what, f"access denied for user {login.user} at {login.place} (error {number})", where, **details)
        if code == "database-view-broken":
            view = re.search(r"View '([^']+)'", message) or re.search(r"(?:SHOW FIELDS FROM|show create table|SHOW CREATE VIEW) `((?:[^`]|``)+)`", message)
            if view:
                return SeafileError(code, f"view {view.group(1)}", words, **details)
        return SeafileError(code, what, words, **details)
    return SeafileError(otherwise, what, words)


class Client:
    """Sends statements to one server as one account, each call in a session of its own."""

    def __init__(self, login: Login, source: str = "", program: t.Optional[str] = None) -> None:
        self.login = login
        self.source = source
        self.program = program or find_program(preferred(CLIENTS, None), "talk to the database server")

    def arguments(self) -> list[str]:
        """The options for every call. C(--binary-mode) also switches off client commands such as C(\\!) in what is sent."""
        return ["--batch", "--skip-column-names", "--binary-mode", "--default-character-set=utf8mb4", "--connect-timeout=20", "--max-allowed-packet=1G"]

    def query(self, *statements: str, what: str = "database server", database: t.Optional[str] = None) -> list[list[str]]:
        """Run I(statements) and return their rows as lists of texts. NULL comes as C(NULL); use COALESCE where it matters.

        Raises a :class:`SeafileError` that names I(what).
        """
        script = ";\n".join(("SET SESSION sql_mode=''",) + statements) + ";\n"
        with OptionFile(self.login) as options:
            argv = [self.program, options.argument] + self.arguments()
            if database is not None:
                argv.append(f"--database={database}")
            # run_command would put its own environment over this one
            answer = subprocess.run(  # pylint: disable=ansible-bad-function
                argv, input=script.encode("utf-8", "surrogateescape"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=environment(), pass_fds=(options.descriptor,), check=False)
        if answer.returncode != 0:
            message = answer.stderr.decode("utf-8", "replace")
            if answer.returncode < 0:
                message = f"{os.path.basename(self.program)} was killed by signal {-answer.returncode}. {message}"
            raise translate(message, what, self.login, "database-error", self.source)
        text = answer.stdout.decode("utf-8", "surrogateescape")
        return [[unescape_batch(field) for field in line.split("\t")] for line in text.split("\n")[:-1]]

    def value(self, expression: str, what: str = "database server") -> str:
        """Return the value of one I(expression)."""
        return self.query(f"SELECT {expression}", what=what)[0][0]
