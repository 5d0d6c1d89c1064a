# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading Seafile's own configuration: which databases, which data directory, which object store.

Everything is read as Seafile itself reads it and nothing is executed:

* C(ccnet.conf) and C(seafile.conf) are GLib key files (C(common/seaf-utils.c) and C(gkeyfile.c)): C(#) begins a
  comment only at the start of a line, C(;) and C(%) mean nothing, values know the escapes C(\\s \\t \\n \\r \\\\).
* C(conf/.env) (12 and newer) is sourced by C(seafile.sh), so it follows the shell's quoting.
* C(seahub_settings.py) is Python; its syntax tree is read, never run.
"""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

MYSQL_PORT = 3306
LATEST_LINK = "seafile-server-latest"
PROGRAMS = re.compile(r"^seafile-(?:pro-)?server-(?P<version>[0-9]+(?:\.[0-9]+)*)$")
SQLITE_CCNET = ("ccnet/PeerMgr/usermgr.db", "ccnet/GroupMgr/groupmgr.db")
"""The databases of ccnet that every version has; more are found by their header."""

_GLIB_SPACE = " \t\n\r\f\v"
_GLIB_ESCAPES = {"s": " ", "t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
_LOCAL_BACK_ENDS = ("fs", "filesystem")


@dataclasses.dataclass(frozen=True)
class DatabaseConnection:
    """One database that Seafile uses, with the account Seafile itself uses.

    C(name) is the database's name; for SQLite it equals C(path), the file relative to the haiwen directory.
    """

    role: str
    engine: str
    name: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    unix_socket: t.Optional[str] = None
    path: t.Optional[str] = None

    def public(self) -> dict[str, t.Any]:
        """The connection without its password, for results and messages."""
        values = dataclasses.asdict(self)
        del values["password"]
        return values


@dataclasses.dataclass(frozen=True)
class Configuration:
    """What Seafile's configuration says about a deployment."""

    root: str
    """The haiwen directory as given."""
    layout: str
    """C(classic) (4.4 and older), C(conf) (5 to 11), C(env) (12 and newer) or C(docker)."""
    version: t.Optional[str]
    """From the name of the programs' directory, such as C(11.0.13)."""
    programs: t.Optional[str]
    """The name of the programs' directory."""
    data_dir: str
    """The absolute path of the seafile-data directory in use."""
    data_dir_from: str
    """Which statement decided C(data_dir): C(ccnet/seafile.ini) or C(default)."""
    databases: list[DatabaseConnection]
    object_stores: dict[str, str]
    """The back end of C(commits), C(fs) and C(blocks); C(fs) means files below C(data_dir/storage)."""
    keep_days: t.Optional[int]
    """C([history] keep_days): days of history that garbage collection keeps; None: all."""
    service_url: t.Optional[str]
    ccnet_id: t.Optional[str]
    """C([General] ID) of ccnet.conf (7.0 and older)."""
    files: list[str]
    """The files read, relative to C(root)."""
    warnings: list[str]

    @property
    def engine(self) -> str:
        """C(mysql), C(sqlite), or C(mixed) when the databases differ."""
        engines = {database.engine for database in self.databases}
        return engines.pop() if len(engines) == 1 else "mixed"

    @property
    def storage(self) -> str:
        """The directory of the objects."""
        return os.path.join(self.data_dir, "storage")


def require_local_objects(configuration: Configuration) -> None:
    """Raise C(object-store-elsewhere) unless every object lies in files below C(storage/)."""
    elsewhere = {kind: store for kind, store in configuration.object_stores.items() if store != "fs"}
    if elsewhere:
        stores = ", ".join(f"{kind} in {store}" for kind, store in sorted(elsewhere.items()))
        raise SeafileError("object-store-elsewhere", configuration.root, f"objects are not below {configuration.storage}: {stores}")


def read_configuration(seafile_root: str) -> Configuration:
    """Return what Seafile's configuration below I(seafile_root) says.

    Raises C(no-seafile), C(unknown-layout) or C(config-unreadable) (which names file and line).
    """
    return _Reader(seafile_root).read()


def read_version(seafile_root: str) -> tuple[t.Optional[str], t.Optional[str]]:
    """Return version and name of the programs' directory, as C(seafile-server-latest) or else the newest one says.

    The link counts even when its target is gone: a restored server may have the link before its programs.
    """
    try:
        name = os.path.basename(os.readlink(os.path.join(seafile_root, LATEST_LINK)).rstrip("/"))
    except OSError:
        name = ""
    found = PROGRAMS.match(name)
    if found:
        return found.group("version"), name
    candidates = program_directories(seafile_root)
    if not candidates:
        return None, None
    newest = max(candidates, key=lambda entry: version_key(PROGRAMS.match(entry).group("version")))
    return PROGRAMS.match(newest).group("version"), newest


def program_directories(seafile_root: str) -> list[str]:
    """Return the sorted names of the directories of programs in I(seafile_root)."""
    try:
        names = os.listdir(seafile_root)
    except OSError:
        return []
    return sorted(name for name in names if PROGRAMS.match(name) and os.path.isdir(os.path.join(seafile_root, name)))


def version_key(version: str) -> tuple[int, ...]:
    """Return I(version) as numbers that compare rightly: C(11.0.13) is newer than C(9.0.2)."""
    return tuple(int(part) for part in version.split("."))


# --- GLib key files ---------------------------------------------------------------------------------------------


class KeyFile:
    """A GLib key file, read as C(g_key_file_load_from_file) and C(g_key_file_get_string) read it.

    Values come without trailing white space, as Seafile strips it; an empty value counts as missing.
    """

    def __init__(self, path: str, content: bytes) -> None:
        self.path = path
        self._values: dict[tuple[str, str], tuple[int, str]] = {}
        group = None
        # GLib ends a line at a newline, with the carriage return before it if there is one
        for number, raw in enumerate(content.decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n"), 1):
            line = raw.lstrip(_GLIB_SPACE)
            if not line or line.startswith("#"):
                continue
            if line.startswith("[") and line.rstrip(" \t").endswith("]"):
                group = line.rstrip(" \t")[1:-1]
                continue
            key, equals, value = line.partition("=")
            if not equals or not key:
                raise unreadable(path, number, "neither a comment, a [group] nor a key = value")
            if group is None:
                raise unreadable(path, number, "a key before the first [group]")
            self._values[group, key.rstrip(_GLIB_SPACE)] = (number, value.lstrip(_GLIB_SPACE))

    def get(self, group: str, key: str) -> t.Optional[str]:
        """Return the value of I(key) in I(group), or None when it is missing or empty."""
        if (group, key) not in self._values:
            return None
        number, value = self._values[group, key]
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise unreadable(self.path, number, f"the value of {key} is not UTF-8") from None
        return _unescape(value).rstrip(_GLIB_SPACE) or None

    def get_integer(self, group: str, key: str) -> t.Optional[int]:
        """Return the value of I(key) as a number, or None when it is missing or no number (as Seafile's default)."""
        value = self.get(group, key)
        return int(value) if value is not None and re.match(r"^[+-]?[0-9]{1,18}$", value) else None

    def line_of(self, group: str, key: str) -> int:
        """Return the line of I(key) in I(group), 1 when it is not there."""
        return self._values.get((group, key), (1, ""))[0]


def _unescape(value: str) -> str:
    """Undo the escapes of a key file's value. What follows an unknown escape stays with its backslash, as in GLib."""
    return re.sub(r"\\(.?)", lambda found: _GLIB_ESCAPES.get(found.group(1), found.group(0) if found.group(1) else ""), value, flags=re.DOTALL)


# --- conf/.env ----------------------------------------------------------------------------------------------------


class EnvironmentFile:
    """The assignments of a file that a shell would source: quotes, escapes, comments, C($NAME) of earlier lines.

    A value that only a running shell could give (a command substitution) is an error when it is asked for.
    """

    _ASSIGNMENT = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=")
    _REFERENCE = re.compile(r"\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)")

    def __init__(self, path: str, content: bytes) -> None:
        self.path = path
        self._values: dict[str, str] = {}
        self._broken: dict[str, tuple[int, str]] = {}
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise unreadable(path, content.count(b"\n", 0, error.start) + 1, "not UTF-8") from None
        position = 0
        while position < len(text):
            found = self._ASSIGNMENT.match(text, position)
            if found is None:
                position = self._line_end(text, position)
                continue
            name, line = found.group("name"), text.count("\n", 0, position) + 1
            self._values.pop(name, None)
            self._broken.pop(name, None)
            try:
                self._values[name], position = self._word(text, found.end())
            except ValueError as error:
                self._broken[name] = (line, str(error))
                position = self._line_end(text, position)
                continue
            rest = text[position:self._line_end(text, position)].split("#")[0] if text[position:position + 1] in " \t;" else ""
            if rest.strip(" \t\r\n;") and not self._ASSIGNMENT.match(rest.lstrip(" \t;")):
                del self._values[name]
                self._broken[name] = (line, "words after the value; put a value with spaces in quotes")
                position = self._line_end(text, position)
            elif text[position:position + 1] == ";":
                position += 1
            elif not rest.strip(" \t\r\n;"):
                position = self._line_end(text, position)

    @staticmethod
    def _line_end(text: str, position: int) -> int:
        end = text.find("\n", position)
        return len(text) if end < 0 else end + 1

    def _word(self, text: str, position: int) -> tuple[str, int]:
        """Return the shell word that begins at I(position), and where it ends. Raises ValueError."""
        result: list[str] = []
        if text.startswith("~", position):
            raise ValueError("an unquoted ~ that only a shell can interpret")
        while position < len(text):
            character = text[position]
            if character in " \t\n;" or text.startswith("\r\n", position):
                break
            if character in "&|<>()`":
                raise ValueError(f"an unquoted {character} that only a shell can interpret")
            if character == "'":
                end = text.find("'", position + 1)
                if end < 0:
                    raise ValueError("a single quote that is never closed")
                result.append(text[position + 1:end])
                position = end + 1
            elif character == '"':
                value, position = self._double_quoted(text, position + 1)
                result.append(value)
            elif character == "\\":
                following = text[position + 1:position + 2]
                result.append("" if following == "\n" else following)
                position += 2
            elif text.startswith('$"', position):
                position += 1  # a translated string: the same as without the dollar
            elif character == "$":
                value, position = self._reference(text, position)
                result.append(value)
            else:
                result.append(character)
                position += 1
        return "".join(result), position

    def _double_quoted(self, text: str, position: int) -> tuple[str, int]:
        result: list[str] = []
        while position < len(text):
            character = text[position]
            if character == '"':
                return "".join(result), position + 1
            if character == "`":
                raise ValueError("a command substitution")
            if character == "\\" and text[position + 1:position + 2] in ("$", "`", '"', "\\", "\n"):
                result.append("" if text[position + 1] == "\n" else text[position + 1])
                position += 2
            elif character == "$":
                value, position = self._reference(text, position)
                result.append(value)
            else:
                result.append(character)
                position += 1
        raise ValueError("a double quote that is never closed")

    def _reference(self, text: str, position: int) -> tuple[str, int]:
        """Return what C($NAME) at I(position) stands for; a dollar sign that names nothing stays as it is."""
        found = self._REFERENCE.match(text, position + 1)
        if found:
            return self._values.get(found.group("braced") or found.group("plain"), ""), found.end()
        if text[position + 1:position + 2] and text[position + 1] in "({'\"?!$@*#-0123456789":
            if text[position + 1] == '"':  # "...$" at the end of a quoted value: a plain dollar
                return "$", position + 1
            raise ValueError("a $ that only a shell can interpret; put the value in single quotes")
        return "$", position + 1

    def get(self, name: str) -> t.Optional[str]:
        """Return the value of I(name), or None when it is missing or empty."""
        if name in self._broken:
            line, cause = self._broken[name]
            raise unreadable(self.path, line, f"{name}: {cause}")
        return self._values.get(name) or None

    def names(self) -> set[str]:
        """The names that the file assigns."""
        return set(self._values) | set(self._broken)


# --- seahub_settings.py -------------------------------------------------------------------------------------------


class _NotPlain(Exception):
    """A setting's value cannot be known without running the file. Caught by the methods of :class:`SeahubSettings`."""


class SeahubSettings:
    """C(seahub_settings.py), read by its syntax tree: constants, names of constants, joined strings, os.environ."""

    def __init__(self, path: str, content: bytes, environment: t.Optional[EnvironmentFile] = None) -> None:
        self.path = path
        self._environment = environment
        self._nodes: dict[str, ast.AST] = {}
        try:
            tree = ast.parse(content)
        except SyntaxError as error:
            raise unreadable(path, error.lineno or 1, "not valid Python") from None
        except (ValueError, RecursionError, MemoryError):
            raise unreadable(path, 1, "not valid Python") from None
        self._database_nodes: dict[str, ast.AST] = {}
        self._walk(tree.body)

    def _walk(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if isinstance(statement, ast.Assign):
                for target in statement.targets:
                    self._assign(target, statement.value)
            elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
                self._assign(statement.target, statement.value)
            else:
                for field in ("body", "orelse", "finalbody"):
                    if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                        self._walk(getattr(statement, field, []))

    def _assign(self, target: ast.AST, value: ast.AST) -> None:
        if isinstance(target, ast.Name):
            self._nodes[target.id] = value
            if target.id == "DATABASES":
                self._database_nodes = {}
                if isinstance(value, ast.Dict):
                    for key, item in zip(value.keys, value.values):
                        if self._constant(key) == "default":
                            self._take_default(item)
                else:
                    self._database_nodes["*"] = value
        elif isinstance(target, ast.Subscript):
            keys = self._subscripts(target)
            if keys == ["DATABASES", "default"]:
                self._database_nodes = {}
                self._take_default(value)
            elif keys is not None and len(keys) == 3 and keys[:2] == ["DATABASES", "default"]:
                self._database_nodes[keys[2]] = value

    def _take_default(self, value: ast.AST) -> None:
        if isinstance(value, ast.Name) and isinstance(self._nodes.get(value.id), ast.Dict):
            value = self._nodes[value.id]
        if isinstance(value, ast.Dict):
            self._database_nodes.update({str(self._constant(key)): item for key, item in zip(value.keys, value.values) if key is not None})
        else:
            self._database_nodes["*"] = value

    @staticmethod
    def _constant(node: t.Optional[ast.AST]) -> t.Any:
        return node.value if isinstance(node, ast.Constant) else None

    def _subscripts(self, node: ast.AST) -> t.Optional[list[str]]:
        keys: list[str] = []
        while isinstance(node, ast.Subscript):
            index = node.slice
            key = self._constant(index)
            if not isinstance(key, str):
                return None
            keys.insert(0, key)
            node = node.value
        return [node.id] + keys if isinstance(node, ast.Name) else None

    def get(self, name: str) -> t.Optional[str]:
        """Return the string that I(name) is set to; None when it is not set, or not plainly."""
        value = self.plain(name)
        return value if isinstance(value, str) else None

    def plain(self, name: str) -> t.Any:
        """Return the value of any kind (text, number, dictionary, list) that I(name) is set to; None when it is not set, or not plainly."""
        try:
            return self._value(self._nodes[name], 0) if name in self._nodes else None
        except _NotPlain:
            return None

    def database(self) -> t.Optional[dict[str, str]]:
        """Return C(DATABASES['default']) as strings, or None when the file sets none."""
        if not self._database_nodes:
            return None
        wanted = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")
        result: dict[str, str] = {}
        for key, node in self._database_nodes.items():
            if key == "*":
                raise unreadable(self.path, getattr(node, "lineno", 1), "DATABASES is computed; only plain values can be read")
            if key not in wanted and key != "OPTIONS":
                continue
            try:
                value = self._value(node, 0)
            except _NotPlain:
                if key == "OPTIONS" or (key == "NAME" and "sqlite" in result.get("ENGINE", "")):
                    continue
                raise unreadable(self.path, getattr(node, "lineno", 1), f"{key} of DATABASES['default'] is computed; only plain values can be read") from None
            if key == "OPTIONS":
                if isinstance(value, dict) and value.get("unix_socket"):
                    result["UNIX_SOCKET"] = str(value["unix_socket"])
            else:
                result[key] = "" if value is None else str(value)
        return result

    def _value(self, node: ast.AST, depth: int) -> t.Any:
        if depth > 50:
            raise _NotPlain
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name) and node.id in self._nodes:
            return self._value(self._nodes[node.id], depth + 1)
        if isinstance(node, ast.Dict):
            return {self._constant(key): self._value(item, depth + 1) for key, item in zip(node.keys, node.values) if isinstance(self._constant(key), str)}
        if isinstance(node, (ast.List, ast.Tuple)):
            return [self._value(item, depth + 1) for item in node.elts]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self._value(node.left, depth + 1), self._value(node.right, depth + 1)
            if isinstance(left, str) and isinstance(right, str):
                return left + right
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            return self._from_environment(self._value(node.slice, depth + 1), None)
        if isinstance(node, ast.Call) and not node.keywords:
            called = ast.unparse(node.func)
            if called in ("os.environ.get", "os.getenv") and len(node.args) in (1, 2):
                arguments = [self._value(argument, depth + 1) for argument in node.args]
                return self._from_environment(arguments[0], arguments[1] if len(arguments) == 2 else None)
            if called in ("int", "str") and len(node.args) == 1:
                return str(self._value(node.args[0], depth + 1))
        raise _NotPlain

    def _from_environment(self, name: t.Any, default: t.Any) -> t.Any:
        value = self._environment.get(name) if self._environment is not None and isinstance(name, str) else None
        if value is None and default is None:
            raise _NotPlain
        return default if value is None else value


# --- putting it together ------------------------------------------------------------------------------------------


def unreadable(path: str, line: int, cause: str) -> SeafileError:
    """Return the error for the configuration file I(path), naming the I(line)."""
    return SeafileError("config-unreadable", f"{path}:{line}", cause, file=path, line=line)


class _Reader:
    """Collects one deployment's configuration. Used by :func:`read_configuration` only."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.files: list[str] = []
        self.warnings: list[str] = []

    def read(self) -> Configuration:
        layout = self._find_layout()
        version, programs = read_version(self.root)
        data_dir, data_dir_from = self._find_data_dir()
        conf = {"classic": data_dir}.get(layout, os.path.join(self.root, "conf"))
        ccnet_conf = os.path.join(self.root, "ccnet" if layout == "classic" else "conf", "ccnet.conf")
        environment = EnvironmentFile(*self._load(os.path.join(self.root, "conf", ".env"))) if layout in ("env", "docker") else EnvironmentFile("", b"")
        new = layout == "env" or (layout == "docker" and not os.path.lexists(ccnet_conf))
        seafile = KeyFile(*self._load(os.path.join(conf, "seafile.conf"), required=not new))
        ccnet = KeyFile(*self._load(ccnet_conf, required=not new))
        settings_path = os.path.join(self.root, "seahub_settings.py") if layout == "classic" else os.path.join(conf, "seahub_settings.py")
        seahub = SeahubSettings(*self._load(settings_path), environment=environment)

        seafile_database = self._seafile_database(seafile, environment, version, data_dir, layout)
        ccnet_databases = self._ccnet_databases(ccnet, environment, seafile_database, new)
        seahub_database = self._seahub_database(seahub, environment, seafile_database, new)
        return Configuration(
            root=self.root, layout=layout, version=version, programs=programs, data_dir=data_dir, data_dir_from=data_dir_from,
            databases=ccnet_databases + [seafile_database, seahub_database],
            object_stores=_object_stores(seafile, environment, data_dir),
            keep_days=_keep_days(seafile),
            service_url=self._service_url(ccnet, seahub, environment),
            ccnet_id=ccnet.get("General", "ID"),
            files=self.files, warnings=self.warnings,
        )

    def _load(self, path: str, required: bool = False) -> tuple[str, bytes]:
        """Return I(path) and its content; nothing when it is missing and not required."""
        try:
            with open(path, "rb") as stream:
                content = stream.read(4 << 20)
        except FileNotFoundError:
            if required:
                raise SeafileError("config-unreadable", path, "the file is missing", file=path) from None
            return path, b""
        except OSError as error:
            raise SeafileError("config-unreadable", path, error.strerror or str(error), file=path) from None
        self.files.append(os.path.relpath(path, self.root))
        return path, content

    def _find_layout(self) -> str:
        root = self.root
        if not os.path.isdir(root):
            raise SeafileError("no-seafile", root, "it is not a directory" if os.path.lexists(root) else "there is no such directory")
        here = {name for name in ("conf/seafile.conf", "conf/ccnet.conf", "conf/.env", "ccnet/ccnet.conf", "seafile-data/seafile.conf",
                                  "seafile-data", "ccnet", "seahub-data") if os.path.lexists(os.path.join(root, name))}
        if not os.access(root, os.R_OK | os.X_OK) or (os.path.isdir(os.path.join(root, "conf")) and not os.access(os.path.join(root, "conf"), os.X_OK)):
            raise SeafileError("config-unreadable", root, "Permission denied")
        if not here and not program_directories(root) and not os.path.lexists(os.path.join(root, LATEST_LINK)):
            raise SeafileError("no-seafile", root, "nothing of Seafile is in it: no conf, ccnet or seafile-data")
        if here & {"conf/seafile.conf", "conf/ccnet.conf", "conf/.env"}:
            if self._is_docker():
                return "docker"
            return "env" if "conf/.env" in here or self._is_new() else "conf"
        if "ccnet/ccnet.conf" in here:
            return "classic"
        raise SeafileError("unknown-layout", root, "parts of Seafile are in it (" + (", ".join(sorted(here)) or "programs only")
                           + ") but neither conf/seafile.conf nor ccnet/ccnet.conf")

    def _is_new(self) -> bool:
        version = read_version(self.root)[0]
        return version is not None and version_key(version) >= (12,)

    def _is_docker(self) -> bool:
        """Docker keeps the programs in the image: a volume named C(seafile) with conf/ but no programs and no link to them."""
        root = os.path.abspath(self.root)
        if program_directories(root) or os.path.lexists(os.path.join(root, LATEST_LINK)) or os.path.basename(root) != "seafile":
            return False
        parent = os.path.dirname(root)
        if any(os.path.isdir(os.path.join(parent, name)) for name in ("nginx", "ssl", "nginx-logs", "letsencrypt")):
            return True
        try:
            with open(os.path.join(root, "conf", "gunicorn.conf.py"), encoding="utf-8", errors="replace") as stream:
                return re.search(r"^pids_dir\s*=\s*['\"]/opt/seafile/pids['\"]", stream.read(1 << 20), re.MULTILINE) is not None and root != "/opt/seafile"
        except OSError:
            return False

    def _find_data_dir(self) -> tuple[str, str]:
        """C(ccnet/seafile.ini) holds nothing but an absolute path (read by C(seafile.sh) up to 7.0)."""
        default = os.path.join(self.root, "seafile-data")
        path, content = self._load(os.path.join(self.root, "ccnet", "seafile.ini"))
        named = content.decode("utf-8", "surrogateescape").strip()
        if not named:
            return default, "default"
        if os.path.isabs(named) and os.path.isdir(named):
            if os.path.isdir(default) and not os.path.samefile(named, default):
                self.warnings.append(f"{path} names {named}, which is used; {default} exists too and is not the same directory")
            same = os.path.isdir(default) and os.path.samefile(named, default)
            return (default if same else os.path.normpath(named)), "ccnet/seafile.ini"
        if os.path.isdir(default):
            self.warnings.append(f"{path} names {named}, which does not exist; {default} is used")
        return default, "default"

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self.root)

    def _seafile_database(self, seafile: KeyFile, environment: EnvironmentFile, version: t.Optional[str], data_dir: str, layout: str) -> DatabaseConnection:
        engine = (seafile.get("database", "type") or "").lower()
        sqlite_path = os.path.join(data_dir, "seafile.db")
        if not engine:
            named = any(name.startswith("SEAFILE_MYSQL_DB_") for name in environment.names())
            from_13 = version is not None and version_key(version) >= (13,)
            engine = "mysql" if from_13 or ((named or layout == "docker") and not os.path.lexists(sqlite_path)) else "sqlite"
        if engine == "sqlite":
            relative = self._relative(sqlite_path)
            return DatabaseConnection("seafile", "sqlite", relative, path=relative)
        if engine != "mysql":
            raise unreadable(seafile.path, seafile.line_of("database", "type"), f"database type {engine} is not supported (mysql or sqlite)")
        docker = layout == "docker"
        return self._mysql(
            "seafile", seafile.path, seafile.line_of("database", "type"),
            name=(environment.get("SEAFILE_MYSQL_DB_SEAFILE_DB_NAME") or seafile.get("database", "db_name")
                  or ("seafile_db" if layout in ("env", "docker") else None)),
            host=environment.get("SEAFILE_MYSQL_DB_HOST") or seafile.get("database", "host") or ("db" if docker else None),
            port=environment.get("SEAFILE_MYSQL_DB_PORT") or seafile.get("database", "port"),
            user=environment.get("SEAFILE_MYSQL_DB_USER") or seafile.get("database", "user") or ("seafile" if docker else None),
            password=environment.get("SEAFILE_MYSQL_DB_PASSWORD") or seafile.get("database", "password"),
            unix_socket=seafile.get("database", "unix_socket") if not environment.get("SEAFILE_MYSQL_DB_HOST") else None,
        )

    def _ccnet_databases(self, ccnet: KeyFile, environment: EnvironmentFile, seafile: DatabaseConnection, new: bool) -> list[DatabaseConnection]:
        if new:
            if seafile.engine == "mysql":
                name = environment.get("SEAFILE_MYSQL_DB_CCNET_DB_NAME") or "ccnet_db"
                left_over = ccnet.get("Database", "DB")
                if left_over and left_over != name:
                    self.warnings.append(f"{ccnet.path} names the database {left_over}, but from version 12 on Seafile uses {name}")
                return [dataclasses.replace(seafile, role="ccnet", name=name)]
            return [DatabaseConnection("ccnet", "sqlite", path, path=path) for path in SQLITE_CCNET]
        engine = (ccnet.get("Database", "ENGINE") or "sqlite").lower()
        if engine == "sqlite":
            return [DatabaseConnection("ccnet", "sqlite", path, path=path) for path in SQLITE_CCNET]
        if engine != "mysql":
            raise unreadable(ccnet.path, ccnet.line_of("Database", "ENGINE"), f"database engine {engine} is not supported (mysql or sqlite)")
        return [self._mysql(
            "ccnet", ccnet.path, ccnet.line_of("Database", "ENGINE"),
            name=ccnet.get("Database", "DB"), host=ccnet.get("Database", "HOST"), port=ccnet.get("Database", "PORT"),
            user=ccnet.get("Database", "USER"), password=ccnet.get("Database", "PASSWD"), unix_socket=ccnet.get("Database", "UNIX_SOCKET"),
        )]

    def _seahub_database(self, seahub: SeahubSettings, environment: EnvironmentFile, seafile: DatabaseConnection, new: bool) -> DatabaseConnection:
        settings = seahub.database() or {}
        engine = settings.get("ENGINE", "")
        if "mysql" in engine or (new and seafile.engine == "mysql" and "sqlite" not in engine):
            host = settings.get("HOST") or ""
            socket = settings.get("UNIX_SOCKET") or (host if host.startswith("/") else None)
            fallback = seafile if new else None
            return self._mysql(
                "seahub", seahub.path, 1,
                name=environment.get("SEAFILE_MYSQL_DB_SEAHUB_DB_NAME") or settings.get("NAME") or ("seahub_db" if new else None),
                # Django's default for a missing HOST is the local server
                host=environment.get("SEAFILE_MYSQL_DB_HOST") or ("" if host.startswith("/") else host) or (fallback.host if fallback else None) or "localhost",
                port=environment.get("SEAFILE_MYSQL_DB_PORT") or settings.get("PORT") or (str(fallback.port) if fallback else None),
                user=environment.get("SEAFILE_MYSQL_DB_USER") or settings.get("USER") or (fallback.user if fallback else None),
                password=environment.get("SEAFILE_MYSQL_DB_PASSWORD") or settings.get("PASSWORD") or (fallback.password if fallback else None),
                unix_socket=None if environment.get("SEAFILE_MYSQL_DB_HOST") else socket or (fallback.unix_socket if fallback and not host else None),
            )
        if engine and "sqlite" not in engine:
            raise unreadable(seahub.path, 1, f"database engine {engine} is not supported (mysql or sqlite)")
        path = "seahub.db"
        named = settings.get("NAME") or ""
        if named and os.path.isabs(named):
            inside = os.path.relpath(os.path.realpath(named), os.path.realpath(self.root))
            if not inside.startswith("../") and inside != "..":
                path = inside
            elif os.path.lexists(named):
                path = self._relative(named)
        return DatabaseConnection("seahub", "sqlite", path, path=path)

    def _mysql(self, role: str, file: str, line: int, **values: t.Optional[str]) -> DatabaseConnection:
        """Return the connection, or raise C(config-unreadable) when Seafile could not connect with these values either."""
        socket = values["unix_socket"]
        if not values["name"]:
            raise unreadable(file, line, f"no name for the {role} database")
        if not socket and not values["host"]:
            raise unreadable(file, line, f"no host for the {role} database")
        if not socket and not values["user"]:
            raise unreadable(file, line, f"no user for the {role} database")
        port = values["port"] or ""
        if any(character in values["name"] for character in "\n\r\0"):
            raise unreadable(file, line, f"the name of the {role} database holds a line break")
        return DatabaseConnection(
            role, "mysql", values["name"], host=values["host"] or "localhost",
            port=int(port) if re.match(r"^[0-9]{1,5}$", port) and 0 < int(port) < 65536 else MYSQL_PORT,
            user=values["user"] or "", password=values["password"] or "", unix_socket=socket,
        )

    @staticmethod
    def _service_url(ccnet: KeyFile, seahub: SeahubSettings, environment: EnvironmentFile) -> t.Optional[str]:
        host = environment.get("SEAFILE_SERVER_HOSTNAME")
        if host:
            return f"{environment.get('SEAFILE_SERVER_PROTOCOL') or 'http'}://{host}"
        return seahub.get("SERVICE_URL") or ccnet.get("General", "SERVICE_URL")


def _object_stores(seafile: KeyFile, environment: EnvironmentFile, data_dir: str) -> dict[str, str]:
    """Return kind -> C(fs), or the name of what holds the objects instead."""
    stores = {}
    overall = (environment.get("SEAF_SERVER_STORAGE_TYPE") or "disk").lower()
    if overall == "disk" and (seafile.get("storage", "enable_storage_classes") or "").lower() == "true":
        overall = "multiple"
    for kind, group in (("commits", "commit_object_backend"), ("fs", "fs_object_backend"), ("blocks", "block_backend")):
        name = seafile.get(group, "name") or "fs"
        directory = seafile.get(group, "block_dir") or seafile.get(group, "object_dir")
        if overall != "disk":
            stores[kind] = overall
        elif name.lower() not in _LOCAL_BACK_ENDS:
            stores[kind] = name.lower()
        elif directory and os.path.realpath(directory) != os.path.realpath(os.path.join(data_dir, "storage", kind)):
            stores[kind] = directory
        else:
            stores[kind] = "fs"
    return stores


def _keep_days(seafile: KeyFile) -> t.Optional[int]:
    """C([history] keep_days); a negative or missing number keeps everything (C(server/gc))."""
    days = seafile.get_integer("history", "keep_days")
    return None if days is None or days < 0 else days
