# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a backup run wants of the Seafile server before anything is pulled, in one go and in its order.

Owners and modes, the MySQL databases, the SQLite databases, the heads for the guard against garbage collection, and the list
of what is new since a verified set. Each part is the one that has a module of its own too; the configuration is read once,
and so is the dump of Seafile's own database. Whatever can be refused is refused before the first file is written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import (
    attributes,
    compression,
    dump_mark,
    gc_guard,
    library_listing,
    mysql_dump_run,
    pointers,
    sql_dump,
    sqlite_dump_run,
)
from ansible_collections.seafleet.seafile.plugins.module_utils.deployment import parts, require_plain_path
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, printable
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ATTRIBUTES, CHANGES, HEADS, require_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore
from ansible_collections.seafleet.seafile.plugins.module_utils.places import missing_directories
from ansible_collections.seafleet.seafile.plugins.module_utils.progress import NAME as PROGRESS, Progress
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import Configuration, read_configuration

DATABASES = "databases"

PARTS = {
    "attributes": "recording owners and modes",
    "mysql": "dumping the MySQL databases",
    "sqlite": "dumping the SQLite databases",
    "heads": "noting the heads of the dump",
    "changes": "listing what is new",
}
"""The parts in their order, by the name in a failure's C(part), with the words in its message."""

_TABLES = tuple(dict.fromkeys(pointers.TABLES + tuple(gc_guard.COLUMNS)))

_WITHOUT_LIST = ("path-invalid", "run-active")
"""Failures of the state directory: the list is left out, and the run goes on without it."""

Result = t.Dict[str, t.Any]


class PartError(SeafileError):
    """A failure of one of the :data:`PARTS`, which its message and C(part) name."""

    def __init__(self, part: str, error: SeafileError) -> None:
        super().__init__(error.code, error.what, error.cause, error.next_step, **{**error.details, "part": part})

    @property
    def message(self) -> str:
        return f"{PARTS[self.details['part']]}: {super().message}"


@dataclasses.dataclass(frozen=True)
class Changes:
    """Which list of what is new is wanted; see :class:`library_listing.Request`."""

    state_dir: str
    known_set_id: t.Optional[str] = None
    distrusted: t.Sequence[str] = ()
    level: str = library_listing.AUTO
    sweep: bool = False


@dataclasses.dataclass(frozen=True)
class Options:
    """What the module C(server_dump) was given, under the names of its options."""

    seafile_root: str
    dest: str
    owner: t.Optional[str] = None
    storage: t.Optional[str] = None
    shallow: t.Optional[t.Sequence[str]] = None
    skipped: t.Optional[t.Sequence[str]] = None
    nontransactional: str = "lock"
    compression: str = "gzip"
    compression_level: int = 1
    busy_timeout: int = 30
    changes: t.Optional[Changes] = None


class ServerDump:
    """One run. Making it looks at everything and changes nothing; whatever can be refused is refused here.

    :raises SeafileError: C(path-invalid), C(set-id-invalid), C(missing-tool), C(account-unknown), C(storage-missing), the
        codes of :func:`seafile_config.read_configuration`, and as :class:`PartError` those of the databases, also C(dump-exists).
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.seconds: dict[str, float] = {part: 0.0 for part in PARTS}
        self.staging = gc_guard.require_staging(options.dest)
        self.databases = os.path.join(self.staging, DATABASES)
        self.attributes = os.path.join(self.staging, ATTRIBUTES)
        self.list = os.path.join(self.staging, CHANGES)
        self.progress = os.path.join(self.staging, PROGRESS)
        self.set_id = os.path.basename(self.staging)
        if options.changes:
            require_plain_path(options.changes.state_dir, "changes.state_dir")
            if options.changes.known_set_id:
                require_set_id(options.changes.known_set_id)
        compression.require(options.compression)
        self.uid = mysql_dump_run.find_reader(options.owner, None).uid
        if self.uid not in (-1, os.geteuid()) and os.geteuid() != 0:
            raise SeafileError("no-rights", self.staging, f"only root may give it to {options.owner}")
        self.configuration = read_configuration(require_plain_path(options.seafile_root, "seafile_root"))
        self.notes = list(self.configuration.warnings)
        self.root = os.path.realpath(self.configuration.root)
        # the directory above it holds the staging of other runs; at the top of the deployment it is not ours
        above = os.path.dirname(self.staging)
        ours = self.staging if os.path.realpath(above) == self.root else above
        self.divided = parts(self.configuration, ours)
        self.store = ObjectStore(os.path.join(self.configuration.root, options.storage or self.divided.storage))
        self.store.require()
        self.inspection: t.Optional[mysql_dump_run.Inspection] = None
        with self._part("mysql"):
            if any(database.engine == "mysql" for database in self.configuration.databases):
                self.inspection = self._inspect_mysql()
                self.notes += self.inspection.warnings
        with self._part("sqlite"):
            self.sqlite = _sqlite_files(self.configuration, ours)
            self.sqlite_plan = sqlite_dump_run.plan(self.configuration, self.sqlite, self.databases, options.compression) if self.sqlite else []

    def _inspect_mysql(self) -> mysql_dump_run.Inspection:
        source = mysql_dump_run.choose_source(self.configuration.databases, None, {}, self.configuration.root)
        mysql_dump_run.require_free_names(self.databases, source.names)
        return mysql_dump_run.Inspection(source, self.options.nontransactional)

    @contextlib.contextmanager
    def _part(self, name: str) -> t.Iterator[None]:
        """Count the time of a part, and let its failures name it."""
        began = time.monotonic()
        try:
            yield
        except SeafileError as error:
            raise PartError(name, error) from error
        except OSError as error:
            raise PartError(name, self._system_error(error)) from error
        finally:
            self.seconds[name] += time.monotonic() - began

    def _system_error(self, error: OSError) -> SeafileError:
        cause = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return SeafileError("no-space", self.staging, cause)
        if error.errno == errno.EROFS:
            return SeafileError("read-only", self.staging, cause)
        return SeafileError("os-error", str(error.filename or self.staging), cause)

    def _result(self, dumps: t.Sequence[Result], **more: t.Any) -> Result:
        return {
            "changed": True, "dumps": list(dumps), "notes": self.notes, "seconds": {part: round(spent, 3) for part, spent in self.seconds.items()},
            "server_version": self.inspection.server_version if self.inspection else None,
            "client_version": self.inspection.client_version if self.inspection else None, **more,
        }

    def planned(self) -> Result:
        """Return what :meth:`run` would do, as far as that is known without a dump."""
        with self._part("attributes"):
            value = self._attributes()
        inspection = self.inspection
        dumps = mysql_dump_run.planned(inspection, inspection.source.roles, self.options.compression) if inspection else []
        return self._result(dumps + self.sqlite_plan, attributes={"entries": len(value["entries"])}, libraries=None,
                            removed=gc_guard.leftovers(self.staging), changes=None)

    def run(self) -> Result:
        """Do it all. On a failure no dump of this run stays; what the parts leave of themselves is nothing either.

        :raises SeafileError: as :class:`PartError`.
        """
        with self._part("attributes"):
            self._make_way()  # its directories before that of what is remembered, which nobody else may pass
        if not self.options.changes:
            return self._run()
        with dump_mark.held(self.options.changes.state_dir, self.set_id):
            return self._run()

    def _run(self) -> Result:
        with self._part("attributes"):
            value = self._attributes()
            attributes.write(self.attributes, value, -1, -1)
        done: list[Result] = []
        try:
            if self.inspection:
                with self._part("mysql"):
                    done.append(self._dump_mysql(self.inspection))
            if self.sqlite:
                with self._part("sqlite"):
                    done.append(self._dump_sqlite())
            dumps = [entry for result in done for entry in result["dumps"]]
            with self._part("heads"):
                rows = sql_dump.read_tables(self._own_dump(dumps), _TABLES, pointers.REQUIRED_TABLES)
                armed = gc_guard.arm(self.configuration, self.staging, keep_dumps=True, tables=gc_guard.tables_of(rows))
            with self._part("changes"):
                changes = self._list_changes(pointers.make_pointers(rows, self.configuration.keep_days)) if self.options.changes else None
                if changes is None:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(self.list)  # of an earlier dump: nobody must take it for this one's
            self._give_away([os.path.join(self.databases, entry["file"]) for entry in dumps])
        except BaseException:
            self._discard(done)
            raise
        return self._result(dumps, began=done[0]["began"], ended=done[-1]["ended"], attributes={"entries": len(value["entries"])},
                            libraries=armed["libraries"], removed=armed["removed"], changes=changes)

    def _make_way(self) -> None:
        """Make the staging directory, for this account alone as long as it is written.

        Every account may pass the directories above it, and no other may see what is in them: they outlive the run, for what is
        remembered lies beside, and the next run may be pulled by another account.
        """
        for directory in missing_directories(os.path.dirname(self.staging)):
            os.mkdir(directory, 0o700)
            os.chmod(directory, 0o711)
        for directory in (self.staging, self.databases):
            with contextlib.suppress(FileExistsError):
                os.mkdir(directory, 0o700)
            # what a killed run has given away already is taken back
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.geteuid() == 0:
                    os.fchown(descriptor, 0, -1)
                os.fchmod(descriptor, 0o700)
            finally:
                os.close(descriptor)

    def _give_away(self, dumps: t.Sequence[str]) -> None:
        """Give what is to be pulled to the account that pulls, when all of it is written and from below.

        An account that had the directory before could put a link in the place of a file, and be given what the link leads to.
        """
        if self.uid < 0:
            return
        lists = [self.list] if os.path.lexists(self.list) else []
        for path in [*dumps, self.attributes, *lists, self.databases, self.staging]:
            os.lchown(path, self.uid, -1)

    # -- the parts ---------------------------------------------------------------------------------------------------

    def _attributes(self) -> dict[str, t.Any]:
        options, divided = self.options, self.divided
        return attributes.record(
            self.root, options.storage or divided.storage, divided.shallow if options.shallow is None else options.shallow,
            divided.left_out if options.skipped is None else options.skipped)

    def _dump_mysql(self, inspection: mysql_dump_run.Inspection) -> Result:
        options, roles = self.options, inspection.source.roles
        with Progress(self.progress, "dump MySQL", unit="bytes", bytes_total=inspection.estimated_bytes) as progress:
            result = mysql_dump_run.dump(
                inspection, self.databases, options.compression_level, mysql_dump_run.Reader(), options.compression, lambda size: progress.set(0, size))
        return dict(result, dumps=[mysql_dump_run.result_entry(entry, roles) for entry in result["dumps"]])

    def _dump_sqlite(self) -> Result:
        options = self.options
        total = sum(database.bytes for database in self.sqlite)
        with Progress(self.progress, "dump SQLite", unit="bytes", bytes_total=total) as progress:
            return sqlite_dump_run.dump(
                self.configuration, self.sqlite, self.databases, options.compression_level, options.busy_timeout, mysql_dump_run.Reader(),
                options.compression, lambda size: progress.set(0, size))

    def _own_dump(self, dumps: t.Sequence[Result]) -> str:
        """The path of the dump of Seafile's own database."""
        own = gc_guard.own_database(self.configuration)
        return next(os.path.join(self.databases, entry["file"]) for entry in dumps if (entry["engine"], entry["name"]) == (own.engine, own.name))

    def _list_changes(self, found: pointers.Pointers) -> t.Optional[Result]:
        """Return what :func:`library_listing.list_changes` does, or None when there can be no list; everything is pulled then."""
        changes = t.cast(Changes, self.options.changes)
        request = library_listing.Request(
            set_id=self.set_id, known_set_id=changes.known_set_id or None, state_dir=changes.state_dir, dest=self.list, distrusted=changes.distrusted,
            level=changes.level, sweep=changes.sweep)
        try:
            result = library_listing.list_changes(self.store, found, request, False)
        except SeafileError as error:
            if error.code not in _WITHOUT_LIST:
                raise
            self._note_no_list(f"{error.what}: {error.cause}")
            return None
        except OSError as error:
            # whatever could not be read or written here: without the list nothing is missing in the backup, it only takes longer
            self._note_no_list(f"{error.filename or changes.state_dir}: {error.strerror or error}")
            return None
        self.notes += result.pop("notes")
        result["list"] = CHANGES
        for name in ("changed", "heads"):
            del result[name]
        return result

    def _note_no_list(self, cause: str) -> None:
        self.notes.append(f"what is new could not be listed, so everything is compared: {printable(cause)}")

    def _discard(self, done: t.Sequence[Result]) -> None:
        """Remove what this run has finished."""
        paths = [os.path.join(self.databases, entry["file"]) for result in done for entry in result["dumps"]]
        for path in paths + [os.path.join(self.staging, HEADS), self.list]:
            with contextlib.suppress(OSError):  # the first failure is the one to report
                os.unlink(path)
        with contextlib.suppress(OSError):
            os.rmdir(self.databases)


def _sqlite_files(configuration: Configuration, staging: str) -> list[t.Any]:
    """Return every SQLite file to dump, none when Seafile keeps its data in MySQL and there is no other database."""
    try:
        return sqlite_dump_run.targets(configuration, staging)
    except SeafileError as error:
        # when the configuration names no SQLite file, the code says that there is none at all
        if error.code == "sqlite-missing" and configuration.engine == "mysql":
            return []
        raise
