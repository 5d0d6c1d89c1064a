# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Healing: an object that is damaged or missing in the backup is fetched again from where the objects were last pulled.

C(objects/) is add-only. A fetched object lies in C(state/heal/) until its content was found to have its id; only then it
takes the place of the damaged file, which is kept in C(quarantine/), and there is no moment without a file. What the
source sends is believed in nothing: only regular files under the names that were asked for are looked at, within the
sizes of the object store, and a copy that is not right replaces nothing.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
import tempfile
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import locks, pull_stage, rsync
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, sync_file_systems, write_atomically
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import OBJECT_KINDS, ServerLayout, new_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.object_check import check_object
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import LIBRARY_ID, Damage, ObjectStore, object_path, parse_id
from ansible_collections.seafleet.seafile.plugins.module_utils.verification_record import Key

AT_A_TIME = 2000
"""Objects that are fetched by one rsync: they all lie in state/ for a while."""
MOST_BYTES = 1 << 30
"""The largest object that is fetched, in bytes. Seafile's blocks are some megabytes."""
RETRIES = 2
"""How often a lost connection is tried again."""
# What the source was found to have of an object that is not right here.
HEALED, UNPLACED, ALIKE, BAD, ABSENT = "healed", "unplaced", "alike", "bad", "absent"
_NO_FOLLOW = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20


@contextlib.contextmanager
def sole(layout: ServerLayout) -> t.Iterator[int | None]:
    """Hold the lock of the index of proved objects while the body runs; give its descriptor, or None when another one has it."""
    make_private_directory(layout.state)
    descriptor = os.open(layout.proved_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield descriptor if locks.is_taken(descriptor) else None
    finally:
        os.close(descriptor)


def read_source(layout: ServerLayout) -> dict[str, t.Any]:
    """Return where the objects were last pulled from: C(src) and the options of :data:`rsync.REMOTE_ARGUMENTS`.

    :raises SeafileError: C(source-missing) when it is not known.
    """
    next_step = "run the backup, which notes where the objects come from, then verify again"
    try:
        with open(layout.source, encoding="utf-8") as stream:
            source = json.load(stream)
    except FileNotFoundError:
        raise SeafileError("source-missing", layout.source, "no run has noted where this server's objects come from", next_step) from None
    except (OSError, ValueError, RecursionError):
        source = None
    texts = ("host", "user", "private_key", "known_hosts", "host_key_alias", "rsync_module")
    whole = isinstance(source, dict) and isinstance(source.get("src"), str) and isinstance(source.get("port"), (int, type(None)))
    if not whole or not all(isinstance(source.get(key), (str, type(None))) for key in texts):
        raise SeafileError("source-missing", layout.source, "the file does not say where this server's objects come from", next_step)
    return {key: source.get(key) for key in ("src", *rsync.REMOTE_ARGUMENTS)}


def _is_object(key: Key) -> bool:
    kind, store_id, name = key
    try:
        parse_id(name)
    except ValueError:
        return False
    return kind in OBJECT_KINDS and bool(LIBRARY_ID.match(store_id))


class Healer:
    """Asks the source for objects, once for each, and puts good ones in place. One at a time: see :func:`sole`.

    :arg program: returns the path and version of this host's rsync; called once, when there is something to fetch.
    :arg timeout: seconds without any byte after which the connection counts as lost.
    :arg held: descriptors of locks that rsync holds as well.
    """

    def __init__(self, layout: ServerLayout, program: t.Callable[[], tuple[str, t.Any]], timeout: int = 300, held: t.Sequence[int] = ()) -> None:
        self.layout = layout
        self.program = program
        self.timeout = timeout
        self.held = held
        self.answers: dict[Key, str] = {}
        """What the source has of each object that it was asked for; one that it could not be asked for is not in it."""
        self.healed: list[dict[str, str]] = []
        """C(kind), C(store), C(id) of each, and what it C(was): C(missing), C(wrong-hash) and so on."""
        self.problem: SeafileError | None = None
        """Why the source is not asked any more."""
        self.notes: list[str] = []
        self._objects = ObjectStore(layout.objects)
        self._time = new_set_id(utc_now())
        self._way: tuple[str, str, rsync.Remote | None] | None = None

    def heal(self, wanted: t.Iterable[Key]) -> list[Key]:
        """Ask for those of the objects I(wanted) that were not asked for yet; return what was healed."""
        asked = [key for key in wanted if key not in self.answers and _is_object(key)]
        healed: list[Key] = []
        for at in range(0, len(asked), AT_A_TIME):
            if self.problem:
                break
            part = asked[at:at + AT_A_TIME]
            make_private_directory(self.layout.heal)
            staging = tempfile.mkdtemp(dir=self.layout.heal)
            try:
                self._ask(part, staging)
                healed += [key for key in part if self.answers.get(key) == HEALED]
            finally:
                shutil.rmtree(self.layout.heal, ignore_errors=True)
        return healed

    def _ask(self, keys: t.Sequence[Key], staging: str) -> None:
        """Fetch I(keys) into I(staging) and note for each of them what the source has."""
        arrived = os.path.join(staging, "objects")
        os.mkdir(arrived, 0o700)
        try:
            empty = self._fetch(keys, staging, arrived)
        except SeafileError as error:
            self.problem = error
            empty = set()
        fetched = ObjectStore(arrived)
        good: list[tuple[Key, str]] = []
        for key in keys:
            path = object_path(key[0], key[1], parse_id(key[2]))
            if path in empty:
                self.answers[key] = BAD
                continue
            try:
                check_object(fetched, key)
            except Damage as damage:
                if damage.kind != "missing":
                    self.answers[key] = BAD
                elif not self.problem:
                    self.answers[key] = ABSENT
                continue
            good.append((key, os.path.join(arrived, path)))
        self._place(good)

    def _fetch(self, keys: t.Sequence[Key], staging: str, arrived: str) -> set[str]:
        """Run rsync; return the paths of those that are empty at the source."""
        if self._way is None:
            source = read_source(self.layout)
            binary, version = self.program()
            self._way = binary, rsync.require_place(source["src"], "src"), rsync.reach(source, version)
        binary, src, remote = self._way
        # A source that has not even the directory is no object store, and that it lacks an object says nothing.
        paths = ["commits"] + [object_path(kind, store, parse_id(name)) for kind, store, name in keys]
        listed = os.path.join(staging, "list")
        write_atomically(listed, ("\0".join(paths) + "\0").encode("ascii"))
        pull = rsync.Pull(
            content="objects", src=src, dest=arrived, remote=remote, files_from=listed, only_there=True, most_bytes=MOST_BYTES, timeout=self.timeout)
        named = rsync.source_name(remote.host if remote else None, src)
        report = pull_stage.fetch(binary, pull, named, RETRIES, self.held)
        if not os.path.isdir(os.path.join(arrived, "commits")):
            raise SeafileError("storage-empty", named, "there is no directory commits in it, so it is no object store")
        return set(report.empty_objects)

    # -- putting in place ------------------------------------------------------------------------------------------

    def _place(self, good: t.Sequence[tuple[Key, str]]) -> None:
        """Put files whose content is right in the places of what is here.

        All of them are laid beside their places, and what is damaged is kept, before the disk is told once to write it all; then
        they are renamed. A flush for each object would cost ten times all the rest.
        """
        ready: list[tuple[Key, str]] = []
        placed: list[tuple[Key, str]] = []
        try:
            for key, path in good:
                try:
                    check_object(self._objects, key)
                    self.answers[key] = ALIKE
                    continue
                except Damage as damage:
                    was = damage.kind
                if self._in_directory(key, lambda directory, key=key, path=path: self._lay_beside(key, path, directory)):
                    ready.append((key, was))
            if ready and not self._flush([key for key, dummy in ready], self.layout.objects, self.layout.quarantine):
                return
            ready.reverse()
            while ready:
                key, was = ready.pop()
                if self._in_directory(key, lambda directory, key=key: _take_place(key[2][2:], directory)):
                    placed.append((key, was))
        finally:
            for key, dummy in ready:
                self._in_directory(key, lambda directory, key=key: _forget(_beside(key[2][2:]), directory))
        if placed and self._flush([key for key, dummy in placed], self.layout.objects):
            for key, was in placed:
                self.answers[key] = HEALED
                self.healed.append({"kind": key[0], "store": key[1], "id": key[2], "was": was})

    def _flush(self, keys: t.Sequence[Key], *directories: str) -> bool:
        """Flush what was written for I(keys); when that fails, say so, and that they could not be placed."""
        try:
            sync_file_systems(path for path in directories if os.path.isdir(path))
        except OSError as error:
            self.notes.append(f"{len(keys)} objects were fetched but could not be flushed to the disk: {error.strerror}")
            self.answers.update(dict.fromkeys(keys, UNPLACED))
            return False
        return True

    def _in_directory(self, key: Key, action: t.Callable[[int], None]) -> bool:
        """Do something in the directory that holds the object; when that fails, say so, and that the object could not be placed."""
        try:
            with self._directory(key) as directory:
                action(directory)
        except OSError as error:
            self.notes.append(f"{object_path(key[0], key[1], parse_id(key[2]))} was fetched but could not be put in its place: {error.strerror}")
            self.answers[key] = UNPLACED
            return False
        return True

    @contextlib.contextmanager
    def _directory(self, key: Key) -> t.Iterator[int]:
        """Open the directory that holds the object, made if missing; a link on the way is an error and never followed."""
        descriptor = os.open(self.layout.objects, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in (key[0], key[1], key[2][:2]):
                above = descriptor
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=above)
                descriptor = os.open(name, os.O_RDONLY | _NO_FOLLOW, dir_fd=above)
                os.close(above)
            yield descriptor
        finally:
            os.close(descriptor)

    def _lay_beside(self, key: Key, good: str, directory: int) -> None:
        """Give the file I(good) a name beside its place, and what lies in its place a second name in the quarantine."""
        name = key[2][2:]
        _forget(_beside(name), directory)
        _bring(good, _beside(name), directory)
        try:
            there = _status(name, directory)
            if there is not None:
                self._keep(key, name, there, directory)
        except BaseException:
            _forget(_beside(name), directory)
            raise

    def _keep(self, key: Key, name: str, there: os.stat_result, directory: int) -> None:
        """Give the damaged file a second name in the quarantine; what is no file is moved there."""
        path = os.path.join(self.layout.quarantine, self._time, object_path(key[0], key[1], parse_id(key[2])))
        make_private_directory(os.path.dirname(path))
        while os.path.lexists(path):  # two heals within a second
            path += "+"
        if stat.S_ISDIR(there.st_mode):
            os.rename(name, path, src_dir_fd=directory)
        else:
            try:
                os.link(name, path, src_dir_fd=directory, follow_symlinks=False)
            except OSError as error:
                if error.errno != errno.EXDEV or not stat.S_ISREG(there.st_mode):
                    raise
                _copy_readable(name, directory, path)


def _beside(name: str) -> str:
    """A name that is no object's: walks and pulls pass over it."""
    return f"{name}.heal"


def _forget(name: str, directory: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def _take_place(name: str, directory: int) -> None:
    """Rename what lies beside the place of an object to its place."""
    try:
        if _status(name, directory) is None:
            with contextlib.suppress(FileExistsError):  # a pull brought it meanwhile
                os.link(_beside(name), name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
            os.unlink(_beside(name), dir_fd=directory)
        else:
            os.rename(_beside(name), name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        _forget(_beside(name), directory)
        raise


def _status(name: str, directory: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _bring(good: str, name: str, directory: int) -> None:
    """Give the file I(good) the name I(name) in I(directory), mode 0400; copied where state/ is another file system."""
    descriptor = os.open(good, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as source:
        os.fchmod(descriptor, 0o400)
        try:
            os.link(good, name, dst_dir_fd=directory, follow_symlinks=False)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with os.fdopen(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400, dir_fd=directory), "wb") as stream:
                shutil.copyfileobj(source, stream, _CHUNK)


def _copy_readable(name: str, directory: int, path: str) -> None:
    """Copy a damaged file to another file system, as far as the disk gives it."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    with os.fdopen(descriptor, "rb", buffering=0) as source:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400), "wb") as stream:
            with contextlib.suppress(OSError):
                shutil.copyfileobj(source, stream, _CHUNK)
