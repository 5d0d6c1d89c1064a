# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restored deployment's configuration files taken to another directory, address and database server.

All files are read first, changed in memory, and what Seafile would read from them is compared with what was asked for. Only
then are they written, one by one, each whole or not at all, with its owner and mode. No link is followed below the directory.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import check_database_name
from ansible_collections.seafleet.seafile.plugins.module_utils.relocation import Address, Move, parse_address
from ansible_collections.seafleet.seafile.plugins.module_utils.relocation_diff import changed_lines, masked_line
from ansible_collections.seafleet.seafile.plugins.module_utils.relocation_folder import Folder
from ansible_collections.seafleet.seafile.plugins.module_utils.relocation_syntax import (
    Document, EnvironmentDocument, KeyFileDocument, ParserFileDocument, SettingsDocument, refused)
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import (
    Configuration, DatabaseConnection, EnvironmentFile, KeyFile, SeahubSettings, _Reader)

ENVIRONMENT = "conf/.env"
DATA_PLACE = "ccnet/seafile.ini"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What shall be other in the connection to the databases; None and empty for what stays."""

    names: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    host: t.Optional[str] = None
    port: t.Optional[int] = None
    user: t.Optional[str] = None
    password: t.Optional[str] = dataclasses.field(default=None, repr=False)
    unix_socket: t.Optional[str] = None

    @property
    def is_empty(self) -> bool:
        """Whether everything stays."""
        return not (self.names or self.host or self.port or self.user or self.password or self.unix_socket)

    def name(self, old: str) -> str:
        """The name that the database I(old) has now."""
        return self.names.get(old, old)

    def values(self) -> dict[str, str]:
        """The values that are the same for all databases, by the name of the field."""
        values = {"host": self.host, "port": str(self.port) if self.port else None, "user": self.user, "password": self.password}
        return {field: value for field, value in values.items() if value}

    def missing(self, now: DatabaseConnection, name: str) -> list[str]:
        """Return the fields in which the connection I(now) to the database I(name) is not as wanted."""
        fields = [field for field, value in self.values().items() if str(getattr(now, field)) != value and not (field == "host" and now.unix_socket)]
        if self.host and now.unix_socket:
            fields.append("unix_socket")
        if self.unix_socket and now.unix_socket != self.unix_socket:
            fields.append("unix_socket")
        return fields + (["name"] if now.name != name else [])


def check_wanted(wanted: Wanted, databases: t.Sequence[DatabaseConnection]) -> None:
    """Look at what is wanted before anything is read or written.

    :raises SeafileError: C(database-name-invalid), C(database-unknown), C(engine-mismatch), C(place-value-invalid).
    """
    if wanted.is_empty:
        return
    names = {database.name for database in databases if database.engine == "mysql"}
    if not names:
        raise SeafileError("engine-mismatch", "database_names, database_host and the like", "this deployment keeps its databases in SQLite files",
                           "leave these options out")
    for old, new in wanted.names.items():
        check_database_name(new)
        if old != new and new in wanted.names:
            raise SeafileError("database-name-invalid", new, "it is an old and a new name at once, so that a second run would rename again")
        if old not in names and new not in names:
            raise SeafileError("database-unknown", old, f"Seafile's configuration names {', '.join(sorted(names))}")
    if len(set(wanted.names.values())) != len(wanted.names):
        raise SeafileError("database-name-invalid", ", ".join(wanted.names.values()), "two databases would have one name")
    for field in ("host", "user", "password", "unix_socket"):
        value = getattr(wanted, field)
        if value and field != "password" and not (value.isprintable() and value == value.strip() and " " not in value):
            raise refused("options", f"database_{field}", "it holds white space or control characters")


# --- what the files become -------------------------------------------------------------------------------------------


class _Preview(_Reader):
    """Seafile's configuration as it will be: the same reader, on contents that are not written yet."""

    def __init__(self, root: str, contents: t.Mapping[str, bytes]) -> None:
        super().__init__(root)
        self._contents = contents

    def _load(self, path: str, required: bool = False) -> tuple[str, bytes]:
        relative = os.path.relpath(path, self.root)
        if relative not in self._contents:
            return super()._load(path, required)
        self.files.append(relative)
        return path, self._contents[relative]


def configuration_files(folder: Folder) -> list[tuple[str, str]]:
    """Return path and kind of every configuration file of all layouts (facts, chapter 7), sorted."""
    found = folder.files("conf", depth=2)
    found += [(path, kind) for path, kind in folder.files("") if path == "seahub_settings.py"]
    for directory in ("ccnet", "seafile-data"):
        found += [(path, kind) for path, kind in folder.files(directory) if path.endswith((".conf", ".ini"))]
    return sorted(found)


class Plan:
    """What the configuration files of the deployment in I(folder) become.

    :arg addresses: old addresses beside those that the files name.
    :arg new: the new address, None when it stays.
    :arg planned: contents of an earlier plan that were not written (check mode).
    """

    def __init__(self, folder: Folder, configuration: Configuration, from_root: t.Optional[str], addresses: t.Iterable[Address],
                 new: t.Optional[Address], wanted: Wanted, planned: t.Optional[t.Mapping[str, bytes]] = None) -> None:
        self.root = folder.root
        self.folder = folder
        self.configuration = configuration
        self.wanted = wanted
        self.notes: list[str] = []
        self.before: dict[str, bytes] = {}
        for path, kind in configuration_files(folder):
            content = folder.read(path) if kind == "file" else None
            if content is not None:
                self.before[path] = (planned or {}).get(path, content)
            elif kind != "other":
                self.notes.append(f"{path} is {'a link' if kind == 'link' else 'very large'}; what it holds was left as it is")
        self.contents = dict(self.before)
        self._settings = "seahub_settings.py" if configuration.layout == "classic" else "conf/seahub_settings.py"
        conf = "seafile-data" if configuration.layout == "classic" else "conf"
        self._key_files = {"seafile": f"{conf}/seafile.conf", "ccnet": ("ccnet" if configuration.layout == "classic" else "conf") + "/ccnet.conf"}
        self.move = Move(from_root, self.root, list(addresses) + self.addresses() if new else (), new)

    # -- steps

    def make(self) -> Plan:
        """Work everything out; nothing is written.

        :raises SeafileError: C(config-unreadable), C(config-not-rewritten), C(place-value-invalid).
        """
        if not self.move.is_empty:
            self._replace_words()
        if self.move.from_root:
            self._data_place()
        if self.move.new:
            self._service_url()
        if not self.wanted.is_empty:
            self._databases()
        self._remaining()
        return self

    def addresses(self) -> list[Address]:
        """Return every address that the files name as that of the service."""
        urls = [self.configuration.service_url]
        if self._key_files["ccnet"] in self.contents:
            urls.append(KeyFile("ccnet.conf", self.contents[self._key_files["ccnet"]]).get("General", "SERVICE_URL"))
        if self._settings in self.contents:
            urls.append(SeahubSettings(self._settings, self.contents[self._settings], self._environment()).get("SERVICE_URL"))
        return [address for address in (parse_address(url) for url in urls if url) if address is not None]

    def _environment(self) -> t.Optional[EnvironmentFile]:
        if ENVIRONMENT not in self.contents or self.configuration.layout not in ("env", "docker"):
            return None
        return EnvironmentFile(os.path.join(self.root, ENVIRONMENT), self.contents[ENVIRONMENT])

    def document(self, path: str, content: t.Optional[bytes] = None) -> Document:
        """Return the file I(path) as a document of its syntax."""
        content = self.contents[path] if content is None else content
        name, full = os.path.basename(path), os.path.join(self.root, path)
        if path == ENVIRONMENT:
            return EnvironmentDocument(full, content)
        if path == self._settings:
            return SettingsDocument(full, content, self._environment())
        if name == "seafevents.conf":
            return ParserFileDocument(full, content)
        if name.endswith((".conf", ".ini")) and path != DATA_PLACE:
            return KeyFileDocument(full, content)
        return Document(full, content)

    def _edit(self, path: str, change: t.Callable[[t.Any], None]) -> None:
        if path in self.contents:
            document = self.document(path)
            change(document)
            self.contents[path] = document.result()

    def _replace_words(self) -> None:
        for path, content in list(self.contents.items()):
            if b"\0" in content:
                continue  # told with what remains

            def words(document: Document) -> None:
                if isinstance(document, SettingsDocument):
                    self._file_server(document)
                document.replace_words(self.move.spans(document.text))
            self._edit(path, words)

    def _file_server(self, document: SettingsDocument) -> None:
        value, node = document.tree.get("FILE_SERVER_ROOT"), document.tree.node("FILE_SERVER_ROOT")
        if value and node is not None and document.is_plain(node):
            document.set_node(node, self.move.file_server(value))

    def _data_place(self) -> None:
        """C(ccnet/seafile.ini) is nothing but a path: the data lies in the deployment now, whatever name that had before."""
        content = self.contents.get(DATA_PLACE)
        named = content.decode("utf-8", "surrogateescape").strip() if content else ""
        if not named or named == self.root or named.startswith(self.root + "/"):
            return
        place = os.path.join(self.root, os.path.basename(named.rstrip("/")))
        if os.path.isdir(place) and not os.path.islink(place):
            self.contents[DATA_PLACE] = content.replace(os.fsencode(named), os.fsencode(place), 1)

    def _service_url(self) -> None:
        new = self.move.new
        has_environment = self.configuration.layout in ("env", "docker") and ENVIRONMENT in self.contents

        def environment(document: EnvironmentDocument) -> None:
            document.set("SEAFILE_SERVER_HOSTNAME", new.netloc)
            if document.has("SEAFILE_SERVER_PROTOCOL") or new.scheme != "http":
                document.set("SEAFILE_SERVER_PROTOCOL", new.scheme)

        def ccnet(document: KeyFileDocument) -> None:
            if document.has("General", "SERVICE_URL"):
                document.set("General", "SERVICE_URL", new.url)

        def settings(document: SettingsDocument) -> None:
            node = document.tree.node("SERVICE_URL")
            value = document.tree.get("SERVICE_URL")
            if node is not None and value is None:
                if not has_environment:
                    self.notes.append(f"{self._settings}: SERVICE_URL is computed; see whether it is {new.url} now")
            elif node is not None and value != new.url:
                document.set_node(node, new.url)

        if has_environment:
            self._edit(ENVIRONMENT, environment)
            if new.path:
                self.notes.append(f"{ENVIRONMENT} has no place for the path {new.path} of the new address")
        self._edit(self._key_files["ccnet"], ccnet)
        self._edit(self._settings, settings)
        if self.after().service_url is None:
            # Seahub's own default is http://127.0.0.1:8000
            self._edit(self._settings, lambda document: document.set("SERVICE_URL", new.url))
            if self._settings not in self.contents:
                self.notes.append(f"no file names the address of the service; write SERVICE_URL = '{new.url}' into {self._settings}")
        self._admitted()
        if new.path != next((address.path for address in self.move.old), new.path):
            self.notes.append("the path in the address changed: look at SITE_ROOT and at the proxy in front of Seahub")

    def _admitted(self) -> None:
        """Seahub turns away whoever comes by a name that these lists lack."""
        document = self.document(self._settings) if self._settings in self.contents else None
        host = self.move.new.host
        hosts = document.texts("ALLOWED_HOSTS") if document else None
        if hosts is not None and not any(name in ("*", host) or (name.startswith(".") and ("." + host).endswith(name)) for name in map(str.lower, hosts)):
            self.notes.append(f"{self._settings}: ALLOWED_HOSTS lacks {host}; add it, or Seahub answers with Bad Request")
        origins = document.texts("CSRF_TRUSTED_ORIGINS") if document else None
        if origins is not None and not any(name.lower() in (self.move.new.origin, host) or "*" in name for name in origins):
            self.notes.append(f"{self._settings}: CSRF_TRUSTED_ORIGINS lacks {self.move.new.origin}; add it, or nobody can log in")

    # -- databases

    def _databases(self) -> None:
        self._edit(ENVIRONMENT, self._in_environment)
        for role, path in self._key_files.items():
            self._edit(path, self._in_key_file if role == "seafile" else self._in_ccnet)
        self._edit("conf/seafevents.conf", self._in_events)
        self._edit(self._settings, self._in_settings)
        for database, fields in self._missing():
            for field in fields:
                self._add(database, field)
        for database, fields in self._missing():
            what = self._settings if database.role == "seahub" else self._key_files.get(database.role, ENVIRONMENT)
            raise SeafileError("config-not-rewritten", os.path.join(self.root, what),
                               f"{' and '.join(fields)} of the {database.role} database cannot be set there without changing more than the value")

    def after(self) -> Configuration:
        """Return what Seafile will read from the files."""
        return _Preview(self.root, self.contents).read()

    def _missing(self) -> list[tuple[DatabaseConnection, list[str]]]:
        """Return the databases whose connection is not as wanted, as Seafile would read the contents now."""
        names = {database.role: self.wanted.name(database.name) for database in self.configuration.databases}
        found = [(database, self.wanted.missing(database, names.get(database.role, database.name)))
                 for database in self.after().databases if database.engine == "mysql"]
        return [(database, fields) for database, fields in found if fields]

    def _in_environment(self, document: EnvironmentDocument) -> None:
        if self.configuration.layout not in ("env", "docker"):
            return
        if self.wanted.unix_socket and document.has("SEAFILE_MYSQL_DB_HOST"):
            raise SeafileError("place-value-invalid", f"{document.path}: database_unix_socket",
                               "Seafile 12 and newer reaches its databases by host and port", "give database_host")
        for field, value in self.wanted.values().items():
            if document.has(f"SEAFILE_MYSQL_DB_{field.upper()}"):
                document.set(f"SEAFILE_MYSQL_DB_{field.upper()}", value)
        for role in ("CCNET", "SEAFILE", "SEAHUB"):
            name = document.words.get(f"SEAFILE_MYSQL_DB_{role}_DB_NAME")
            if name:
                document.set(f"SEAFILE_MYSQL_DB_{role}_DB_NAME", self.wanted.name(name))

    def _in_key_file(self, document: KeyFileDocument) -> None:
        self._keys(document, "database", {"name": "db_name", "host": "host", "port": "port", "user": "user", "password": "password",
                                          "unix_socket": "unix_socket"})

    def _in_ccnet(self, document: KeyFileDocument) -> None:
        self._keys(document, "Database", {"name": "DB", "host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWD", "unix_socket": "UNIX_SOCKET"})

    def _in_events(self, document: ParserFileDocument) -> None:
        self._keys(document, "DATABASE", {"name": "name", "host": "host", "port": "port", "user": "username", "password": "password",
                                          "unix_socket": "unix_socket"})

    def _keys(self, document: KeyFileDocument, group: str, keys: t.Mapping[str, str]) -> None:
        for field, value in self.wanted.values().items():
            if document.has(group, keys[field]):
                document.set(group, keys[field], value)
        name = document.value(group, keys["name"])
        if name is not None and self.wanted.name(name) != name:
            document.set(group, keys["name"], self.wanted.name(name))
        if document.has(group, keys["unix_socket"]):
            if self.wanted.host:
                document.remove(group, keys["unix_socket"])
            elif self.wanted.unix_socket:
                document.set(group, keys["unix_socket"], self.wanted.unix_socket)

    def _in_settings(self, document: SettingsDocument) -> None:
        if not document.tree.uses_mysql:
            return
        for field, value in self.wanted.values().items():
            node = document.tree.database_node(field.upper())
            if node is not None and document.is_plain(node):
                document.set_node(node, value)
        node = document.tree.database_node("NAME")
        if node is not None and document.is_plain(node):
            document.set_node(node, self.wanted.name(str(node.value)))
        if self.wanted.host:
            document.remove_option("unix_socket")
        elif self.wanted.unix_socket:
            node = document.option_node("unix_socket")
            if node is not None:
                document.set_node(node, self.wanted.unix_socket)
            else:
                document.set_database("HOST", self.wanted.unix_socket)

    def _add(self, database: DatabaseConnection, field: str) -> None:
        """Write what no file says yet, and Seafile would take another default for, where its version looks for it."""
        names = {item.role: self.wanted.name(item.name) for item in self.configuration.databases}
        value = names[database.role] if field == "name" else self.wanted.unix_socket if field == "unix_socket" else self.wanted.values()[field]
        if value is None:
            return
        if self.configuration.layout in ("env", "docker") and ENVIRONMENT in self.contents and field != "unix_socket":
            variable = f"SEAFILE_MYSQL_DB_{database.role.upper()}_DB_NAME" if field == "name" else f"SEAFILE_MYSQL_DB_{field.upper()}"
            self._edit(ENVIRONMENT, lambda document: document.set(variable, value))
        elif database.role == "seahub":
            self._edit(self._settings, lambda document: document.set_database("HOST" if field == "unix_socket" else field.upper(), value))
        elif database.role == "ccnet":
            key = {"name": "DB", "password": "PASSWD"}.get(field, field.upper())
            self._edit(self._key_files["ccnet"], lambda document: document.set("Database", key, value))
        else:
            self._edit(self._key_files["seafile"], lambda document: document.set("database", {"name": "db_name"}.get(field, field), value))

    # -- what is told

    @property
    def rewritten(self) -> dict[str, bytes]:
        """The new contents of the files that change."""
        return {path: content for path, content in self.contents.items() if content != self.before[path]}

    def sums(self) -> dict[str, str]:
        """Path -> SHA-256 of each file that changes, as it is afterwards."""
        return {path: hashlib.sha256(content).hexdigest() for path, content in self.rewritten.items()}

    def differences(self) -> list[dict[str, str]]:
        """The changed lines of each file, without secrets."""
        result = []
        for path, content in self.rewritten.items():
            old, new = self.document(path, self.before[path]), self.document(path, content)
            before, after = changed_lines(old.masked(), new.masked(old))
            result.append({"before_header": os.path.join(self.root, path), "after_header": os.path.join(self.root, path), "before": before, "after": after})
        return result

    def write(self) -> None:
        """Write the files that change. :raises OSError: the first that cannot be written; those before it are written."""
        for path, content in self.rewritten.items():
            self.folder.write(path, content)

    def _remaining(self) -> None:
        for path, content in self.contents.items():
            # a word may be part of a secret, so the secrets are out of the way first
            text = content.decode("utf-8", "replace") if b"\0" in content else self.document(path, content).masked()
            words = self.move.remains("\n".join(masked_line(line) for line in text.splitlines() if self.move.remains(line)))
            if words:
                self.notes.append(f"{path} still mentions {', '.join(words[:10])}")
        if self.move.new and not self.wanted.host:
            hosts = {database.host for database in self.configuration.databases if database.engine == "mysql"} & set(self.move.hosts)
            self.notes += [f"the database server is still {host}, the old host; give database_host if it moved too" for host in sorted(hosts)]
