# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a Seafile deployment on its server: what is where, who owns it, what runs, and what is in a backup's way.

Nothing is changed and nothing fails for the state of the deployment: whatever is wrong becomes a problem in a list, so
that a person sees all of them at once. The object store is never walked.
"""

from __future__ import annotations

import dataclasses
import grp
import os
import pwd
import random
import re
import shutil
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import (
    mysql_client,
    mysql_dump_run,
    object_check,
    pull_grant,
    rsync,
    same_source,
    seafile_config,
    sqlite_files,
)
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, printable
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import OBJECT_KINDS
from ansible_collections.seafleet.seafile.plugins.module_utils.places import KEPT, existing_parent, free_bytes, is_inside
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import Configuration

STAGING = ".seafleet"
"""The directory below the haiwen directory where dumps are staged unless another is named."""

SPACE_FACTOR = 1.5
"""Free space that a dump wants, as a multiple of the databases' size: a working copy of one and the dumps of all."""

PROGRAMS = ("seaf-server", "seafserv-gc", "ccnet-server", "seafile-controller", "fileserver", "seaf-fsck", "gunicorn", "seafevents", "seafdav")
_GARBAGE_COLLECTORS = ("seafserv-gc",)

GC_POLL = 2.0
"""Seconds between two looks at a garbage collection that is waited for."""

_STORE_ID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_PLACES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def require_plain_path(path: str, option: str) -> str:
    """Return the absolute path I(path) without a slash at its end. Raises C(path-invalid)."""
    if not os.path.isabs(path) or any(character in path for character in "\n\r\0"):
        raise SeafileError("path-invalid", f"{option} {path}", "it must be an absolute path without line breaks", f"give {option} as an absolute path")
    return os.path.normpath(path)


# --- what a backup leaves out -------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Parts:
    """Paths relative to the haiwen directory that need another treatment than the rest."""

    storage: str
    """The object store."""
    shallow: list[str]
    """Directories that are kept without what is in them."""
    left_out: list[str]
    """What is no part of the backup: programs, staging."""

    @property
    def unsearched(self) -> list[str]:
        """Where no database is looked for."""
        return [self.storage] + self.shallow + self.left_out


def parts(configuration: Configuration, staging: t.Optional[str] = None) -> Parts:
    """Return which paths below the root of I(configuration) are no files of the deployment itself (facts, chapter 7)."""
    root = configuration.root
    data = os.path.relpath(configuration.data_dir, root)
    shallow = ["logs", "pids", os.path.join("seahub-data", "thumbnail"), os.path.join(data, "httptemp"), os.path.join(data, "tmpfiles")]
    left_out = seafile_config.program_directories(root) + [STAGING] + _safety_copies(root)
    if staging and is_inside(staging, root):
        relative = os.path.relpath(os.path.realpath(staging), os.path.realpath(root))
        if relative not in left_out and relative != ".":
            left_out.append(relative)
    return Parts(os.path.join(data, "storage"), shallow, left_out)


def _safety_copies(root: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(root) if name.startswith(KEPT))
    except OSError:
        return []


def excludes(divided: Parts, found: sqlite_files.Findings) -> list[str]:
    """Return rsync's exclude patterns, anchored at the haiwen directory, for a pull of its files.

    Left out are the object store (pulled by itself), every SQLite file with what SQLite puts beside it (dumped), the
    contents of directories that hold nothing worth keeping, programs, sockets and the staging directory.
    """
    patterns = ["/" + escape_pattern(divided.storage), "/seafile-server-*/", "/seafile-pro-server-*/"]
    patterns += ["/" + escape_pattern(path) + "/*" for path in divided.shallow]
    patterns += ["/" + escape_pattern(path) for path in divided.left_out if not seafile_config.PROGRAMS.match(path)]
    for database in found.databases:
        patterns += ["/" + escape_pattern(database.name + suffix) for suffix in ("",) + sqlite_files.SIDECARS]
    return patterns + ["/" + escape_pattern(path) for path in found.sockets]


def escape_pattern(path: str) -> str:
    """Return I(path) as a literal in an rsync pattern: a backslash escapes only where there is a wildcard (rsync(1))."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", path) if re.search(r"[*?\[]", path) else path


# --- who and what is there ----------------------------------------------------------------------------------------


def owner_of(path: str) -> t.Optional[dict[str, t.Any]]:
    """Return C({user, group, uid, gid, home, shell}) of the owner of I(path), or None when there is nothing."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    owner: dict[str, t.Any] = {"uid": status.st_uid, "gid": status.st_gid, "user": str(status.st_uid), "group": str(status.st_gid), "home": None, "shell": None}
    try:
        account = pwd.getpwuid(status.st_uid)
        owner.update(user=account.pw_name, home=account.pw_dir, shell=account.pw_shell)
    except KeyError:
        pass
    try:
        owner["group"] = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        pass
    return owner


def running(roots: t.Iterable[str], proc: str = "/proc") -> list[dict[str, t.Any]]:
    """Return C({pid, program}) of every process of Seafile that works with one of the directories I(roots).

    A process belongs to it when its program, its working directory or a path among its arguments lies there. Processes
    of another root, and those in containers that see the directory under another name, do not count.
    """
    tops = {os.path.realpath(root) for root in roots} | {os.path.normpath(root) for root in roots}
    found = []
    for entry in os.listdir(proc):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        directory = os.path.join(proc, entry)
        try:
            with open(os.path.join(directory, "cmdline"), "rb") as stream:
                arguments = [argument.decode("utf-8", "surrogateescape") for argument in stream.read(1 << 16).split(b"\0")[:-1]]
        except OSError:
            continue
        links = []
        for link in ("exe", "cwd"):
            try:
                links.append(os.readlink(os.path.join(directory, link)))
            except OSError:
                pass
        program = next((name for name in map(os.path.basename, arguments[:4]) if name in PROGRAMS), None)
        if program is None:
            continue
        paths = links + [argument.partition("=")[2] if argument.startswith("-") else argument for argument in arguments]
        if any(path == top or path.startswith(top.rstrip("/") + "/") for path in paths if path.startswith("/") for top in tops):
            found.append({"pid": int(entry), "program": "seahub" if program == "gunicorn" else program})
    return sorted(found, key=lambda process: process["pid"])


def garbage_collectors(processes: t.Iterable[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return those of I(processes), as :func:`running` gives them, that collect garbage."""
    return [process for process in processes if process["program"] in _GARBAGE_COLLECTORS]


def in_words(processes: t.Iterable[dict[str, t.Any]]) -> str:
    """Return I(processes) for a message: C(seafserv-gc (pid 1207))."""
    return ", ".join(f"{process['program']} (pid {process['pid']})" for process in processes)


def wait_for_garbage_collection(roots: t.Sequence[str], seconds: float) -> float:
    """Wait until no garbage collection works with the directories I(roots), for at most I(seconds). Return the seconds waited."""
    began = time.monotonic()
    while True:
        waited = time.monotonic() - began
        if waited >= seconds or not garbage_collectors(running(roots)):
            return waited
        time.sleep(min(GC_POLL, seconds - waited))


def tools() -> dict[str, t.Optional[str]]:
    """Return name -> path (None: not there) of the programs that a backup or restore may want on a server."""
    places = os.pathsep.join([os.environ.get("PATH", "")] + list(_PLACES))
    names = ["rsync", "rrsync", "ssh", "gzip", "zstd", "sqlite3"] + list(mysql_client.CLIENTS.values()) + list(mysql_client.DUMPERS.values())
    return {name: shutil.which(name, path=places) for name in names}


def tool_versions(paths: t.Mapping[str, t.Optional[str]]) -> dict[str, str]:
    """Return name -> version of rsync and the dump programs that are there."""
    versions = {}
    for name in ["rsync"] + list(mysql_client.DUMPERS.values()):
        path = paths.get(name)
        if path is None:
            continue
        text = mysql_client.program_version(path)
        # "mariadb-dump  Ver 10.19 Distrib 10.11.6-MariaDB, ...": the first number is the program's own
        found = re.search(r"\d+(?:\.\d+)+(?:-MariaDB)?", text.partition(" Distrib ")[2] or text)
        if found:
            versions[name] = found.group(0)
    return versions


# --- the whole look -----------------------------------------------------------------------------------------------


class Look:
    """Everything that C(server_info) tells about the deployment at I(root), with the problems in a backup's way."""

    def __init__(self, root: str, staging: t.Optional[str] = None, min_free: t.Optional[int] = None, dump_tools: bool = True, connect: bool = True,
                 gc_waited: float = 0) -> None:
        self.root = require_plain_path(root, "seafile_root")
        self.staging = require_plain_path(staging, "staging") if staging else os.path.join(self.root, STAGING)
        self._min_free = min_free
        self._dump_tools = dump_tools
        self._connect = connect
        self._gc_waited = round(gc_waited)
        self.problems: list[dict[str, str]] = []
        self.notes: list[str] = []
        self.found = sqlite_files.Findings([], [], [])
        self.configuration: t.Optional[Configuration] = None
        self.tools = tools()
        self.database_bytes: t.Optional[int] = None
        self.stores: dict[str, list[str]] = {}

    def _problem(self, error: SeafileError) -> None:
        self.problems.append(error.as_problem())

    def result(self) -> dict[str, t.Any]:
        """Look, and return the values as C(server_info) documents them."""
        values: dict[str, t.Any] = {
            "root": self.root, "root_real": os.path.realpath(self.root), "layout": None, "version": None, "programs": None, "engine": None, "data_dir": None,
            "storage": None, "storage_real": None, "storage_path": None, "inside_root": None, "owner": owner_of(self.root), "databases": [],
            "sqlite_files": [], "libraries": None, "history_days": None, "object_stores": {}, "excludes": [], "shallow": [], "left_out": [],
            "identity": {"ccnet_id": None, "service_url": None, "libraries": []}, "stores": {}, "configuration_files": [],
            "running": [], "gc_waited": self._gc_waited, "tools": self.tools, "tool_versions": tool_versions(self.tools),
        }
        try:
            self.configuration = seafile_config.read_configuration(self.root)
        except SeafileError as error:
            self._problem(error)
            if os.path.isdir(self.root):
                values["version"], values["programs"] = seafile_config.read_version(self.root)
        if self.configuration is not None:
            values.update(self._described(self.configuration))
        self._check_rsync(values["tool_versions"].get("rsync"))
        self.notes += [
            f"the copy of rsync for the pull account {account} is not the rsync that is installed; run the playbook prepare, which renews it"
            for account in pull_grant.stale_copies(values["tools"]["rsync"])]
        values.update(database_bytes=self.database_bytes, free_bytes=self._space(), problems=self.problems, notes=self.notes)
        return values

    def _check_rsync(self, version: t.Optional[str]) -> None:
        if self.tools["rsync"] is None:
            self._problem(SeafileError("missing-tool", "rsync", "not found on this machine, needed by the backup host's pull", "install the package rsync"))
            return
        try:
            rsync.require_version(tuple(map(int, version.split("."))) if version else None, "the server")
        except SeafileError as error:
            self._problem(error)

    def _described(self, configuration: Configuration) -> dict[str, t.Any]:
        self.notes += configuration.warnings
        divided = parts(configuration, self.staging)
        storage_real = os.path.realpath(configuration.storage)
        self._check_layout(configuration)
        stores = self._stores(configuration)
        self.found = sqlite_files.find(self.root, divided.unsearched)
        self._check_sqlite(configuration)
        self._check_mysql(configuration)
        processes = running([self.root, configuration.data_dir])
        collectors = garbage_collectors(processes)
        if collectors:
            cause = f"a garbage collection is running: {in_words(collectors)}"
            self._problem(SeafileError("gc-running", self.root, cause + (f", and had not ended after {self._gc_waited} s" if self._gc_waited else "")))
        owner = owner_of(storage_real) or owner_of(configuration.data_dir) or owner_of(self.root)
        return {
            "layout": configuration.layout, "version": configuration.version, "programs": configuration.programs, "engine": configuration.engine,
            "data_dir": configuration.data_dir, "storage": configuration.storage, "storage_real": storage_real, "storage_path": divided.storage,
            "inside_root": is_inside(storage_real, self.root), "owner": owner,
            "databases": [database.public() for database in configuration.databases],
            "sqlite_files": [dataclasses.asdict(database) for database in self.found.databases],
            "libraries": len(stores["commits"]) if "commits" in stores else None, "stores": {kind: len(ids) for kind, ids in stores.items()},
            "history_days": configuration.keep_days, "object_stores": configuration.object_stores,
            "excludes": excludes(divided, self.found), "shallow": divided.shallow, "left_out": divided.left_out, "running": processes,
            "identity": {
                "ccnet_id": configuration.ccnet_id, "service_url": configuration.service_url,
                "libraries": same_source.sample(stores.get("commits", []))},
            "configuration_files": configuration.files,
        }

    def _check_layout(self, configuration: Configuration) -> None:
        if configuration.layout == "docker":
            self._problem(SeafileError("docker-unsupported", self.root, "this is the volume of a Docker deployment; its database runs in a container"))
        try:
            seafile_config.require_local_objects(configuration)
        except SeafileError as error:
            self._problem(error)
        data = configuration.data_dir
        if os.path.relpath(data, self.root).startswith(".."):
            self._problem(SeafileError("data-dir-outside-root", data, f"Seafile keeps its data there, outside {self.root}"))
        elif not is_inside(data, self.root):
            # its small files (seafile.conf up to 4.4, current_version) would be left out of the pull of the files
            self._problem(SeafileError("data-dir-outside-root", data, f"it is a link to {os.path.realpath(data)}, outside {self.root}"))
        if not os.access(self.root, os.R_OK):
            self._problem(SeafileError("no-rights", self.root, "this account may not list it"))

    def _stores(self, configuration: Configuration) -> dict[str, list[str]]:
        """Return by kind the ids of its stores, by one listing each; add the problem that prevents it and return nothing then."""
        storage = configuration.storage
        try:
            os.stat(storage)
            names = set(os.listdir(storage))
            stores: dict[str, list[str]] = {kind: [] for kind in OBJECT_KINDS}
            for kind in OBJECT_KINDS:
                directory = os.path.join(storage, kind)
                if kind in names:
                    stores[kind] = [name for name in os.listdir(directory) if _STORE_ID.match(name)]
                    if not os.access(directory, os.X_OK):
                        raise PermissionError(13, "Permission denied", directory)
        except PermissionError as error:
            self._problem(SeafileError("no-rights", str(error.filename), "this account may not read the object store"))
            return {}
        except OSError as error:
            if all(store == "fs" for store in configuration.object_stores.values()):
                cause = "there is no such directory" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
                self._problem(SeafileError("storage-missing", storage, cause))
            return {}
        if not stores["commits"] and all(store == "fs" for store in configuration.object_stores.values()):
            self._problem(SeafileError("storage-empty", storage, "it holds no library"))
        others = sorted(name for name in names if name not in (*OBJECT_KINDS, "lost+found") and not name.startswith("."))
        if others:
            self.notes.append(f"{storage} holds more than Seafile's objects; the backup leaves it out: {printable(', '.join(others[:5]))}")
        self.stores = stores
        return stores

    def _check_sqlite(self, configuration: Configuration) -> None:
        for path in self.found.unreadable:
            self._problem(SeafileError("no-rights", os.path.join(self.root, path), "it cannot be read, or its name is not UTF-8"))
        for problem in missing_databases(configuration, self.found):
            self._problem(problem)
        if any(database.engine == "sqlite" for database in configuration.databases):
            self.database_bytes = sum(database.bytes for database in self.found.databases)

    def _check_mysql(self, configuration: Configuration) -> None:
        if configuration.layout == "docker" or not any(database.engine == "mysql" for database in configuration.databases):
            return
        if self._dump_tools or self._connect:
            missing = False
            for programs, purpose in ((mysql_client.CLIENTS, "talk to the database server"), (mysql_client.DUMPERS, "dump the databases")):
                try:
                    mysql_client.find_program(mysql_client.preferred(programs, None), purpose)
                except SeafileError as error:
                    self._problem(error)
                    missing = True
            if missing:
                return
        if not self._connect:
            return
        try:
            source = mysql_dump_run.choose_source(configuration.databases, None, {}, self.root)
            inspection = mysql_dump_run.Inspection(source, "warn")
        except SeafileError as error:
            self._problem(error)
            return
        self.notes += inspection.warnings
        self.database_bytes = sum(database.estimated_bytes for database in inspection.databases.values()) + sum(file.bytes for file in self.found.databases)

    def _space(self) -> dict[str, int]:
        if not os.path.isdir(self.root) and is_inside(self.staging, self.root):
            return {}
        try:
            free = free_bytes(self.staging)
        except OSError as error:
            self._problem(SeafileError("path-invalid", self.staging, error.strerror or str(error), "name another directory as staging"))
            return {}
        needed = self._min_free if self._min_free is not None else int((self.database_bytes or 0) * SPACE_FACTOR)
        if free < needed:
            self._problem(SeafileError("no-space", self.staging, f"{free} bytes are free, {needed} are needed for the dumps"))
        parent = existing_parent(self.staging)
        if not os.path.isdir(parent):
            self._problem(SeafileError("path-invalid", self.staging, f"{parent} is not a directory", "name another directory as staging"))
        elif os.statvfs(parent).f_flag & os.ST_RDONLY:
            self._problem(SeafileError("read-only", self.staging, "the file system is mounted read-only"))
        elif not os.access(parent, os.W_OK | os.X_OK):
            self._problem(SeafileError("no-rights", self.staging, f"this account may not write in {parent}"))
        return {"staging": free}


def look(gc_wait: int, root: str, *options: t.Any, sample: int = 0, damage_limit: float = 100) -> dict[str, t.Any]:
    """Look at the deployment as :class:`Look` does with I(options), and let a garbage collection end for at most I(gc_wait) seconds.

    It is waited for only when nothing else is in the way. Everything is looked at anew after that.

    :arg sample: how many objects are read and hashed, chosen by chance.
    :arg damage_limit: how many percent of them may be damaged.
    """
    looked = Look(root, *options)
    values = looked.result()
    if gc_wait > 0 and {problem["code"] for problem in values["problems"]} == {"gc-running"}:
        waited = wait_for_garbage_collection([values["root"], values["data_dir"]], gc_wait)
        looked = Look(root, *options, gc_waited=waited)
        values = looked.result()
    _look_at_objects(values, looked.stores, sample, damage_limit)
    return values


def _look_at_objects(values: dict[str, t.Any], stores: t.Mapping[str, t.Sequence[str]], count: int, limit: float) -> None:
    """Read about I(count) objects by chance; more than I(limit) percent of them damaged is a problem, fewer are a note."""
    values["sampled"] = {"objects": 0, "damaged": []}
    if count <= 0 or not stores:
        return
    try:
        sample = object_check.take_sample(values["storage_real"], stores, count, random.SystemRandom())
    except OSError as error:
        values["problems"].append(SeafileError("no-rights", str(error.filename), "this account may not read the object store").as_problem())
        return
    values["sampled"] = {"objects": sample.objects, "damaged": sample.damaged}
    if not sample.damaged:
        return
    said = f"{len(sample.damaged)} of {sample.objects} objects that were read by chance are not what their ids promise, such as {sample.damaged[0]}"
    if sample.beyond(limit):
        values["problems"].append(SeafileError("source-damaged", values["storage"], said).as_problem())
    else:
        values["notes"].append(f"{values['storage']}: {said}; look at the disk, and let seaf-fsck name the files")


def missing_databases(configuration: Configuration, found: sqlite_files.Findings) -> list[SeafileError]:
    """Return one C(sqlite-missing) or C(sqlite-corrupt) for each configured SQLite file that was not found by its header."""
    there = {database.name for database in found.databases} | set(found.unreadable)
    problems = []
    for database in configuration.databases:
        if database.path is None or database.path in there:
            continue
        path = os.path.join(configuration.root, database.path)
        if os.path.lexists(path):
            cause = "the file is empty" if os.path.isfile(path) and os.path.getsize(path) == 0 else "the file has no SQLite header"
            problems.append(SeafileError("sqlite-corrupt", path, cause))
        else:
            problems.append(SeafileError("sqlite-missing", path, f"Seafile's configuration names it ({database.role}), but there is no such file"))
    return problems
