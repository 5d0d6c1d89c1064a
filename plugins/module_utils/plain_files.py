# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and folders of a library written out as plain files, and nothing ever overwritten.

What a library holds comes from other people's machines: names are never joined to a path that the kernel resolves by itself.
Every folder is reached from the open destination by one name at a time, without following a link, and a file gets its name by
a hard link from its partial name, which fails where something stands already. A partial name is a function of the name, so
that a run after a killed one takes its leftovers away.

Nothing grows with a file's size, and at most eight files are open, however deep the folders are.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import re
import stat
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import locks
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, printable
from ansible_collections.seafleet.seafile.plugins.module_utils.library_crypto import Decryption
from ansible_collections.seafleet.seafile.plugins.module_utils.library_tree import FileObject, Item, ObjectDamage, Tree
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ZERO_ID, Damage, ObjectStore
from ansible_collections.seafleet.seafile.plugins.module_utils.places import free_bytes, is_inside

MOST_ENTRIES = 10_000_000
"""Files and folders of one export. A few small objects can name each other into more entries than any disk holds."""
MOST_ROWS = 1000
"""Rows of each kind that a result holds; all are counted."""
_LARGE = 64 * 1024 * 1024
_LONGEST_PATH = 4095
"""PATH_MAX: what lies deeper cannot be opened by its path."""
_DEEPEST = 500
"""Folders within each other: many programs that could remove them again, Python's among them, end at a thousand."""
_PARTIAL = re.compile(rb"\.[0-9a-f]{16}\.seafleet-partial\Z")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME_ERRORS = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


class _Refused(Exception):
    """The file system cannot hold the name, or the path, or a file of this size."""


class _Conflict(Exception):
    """Something else stands in the place already."""


@dataclasses.dataclass
class Outcome:
    """What an export has done, or in check mode would do.

    :arg written: files that are new; I(equal): files that were there with the same content; I(folders): made;
        I(times): modification times put right of what was there.
    :arg damaged: files and folders that were not written because an object is not what its id promises.
    :arg refused: names that the file system cannot hold.
    :arg conflicts: places where something else stands already, which was left as it is.
    """

    written: int = 0
    written_bytes: int = 0
    equal: int = 0
    equal_bytes: int = 0
    folders: int = 0
    times: int = 0
    damaged: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    damaged_total: int = 0
    refused: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    refused_total: int = 0
    conflicts: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    conflicts_total: int = 0
    paths: list[str] = dataclasses.field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.written or self.folders or self.times)

    def add(self, kind: str, row: dict[str, t.Any]) -> None:
        """Count one row of C(damaged), C(refused) or C(conflicts), and keep it while there is room."""
        rows = getattr(self, kind)
        setattr(self, f"{kind}_total", getattr(self, f"{kind}_total") + 1)
        if len(rows) < MOST_ROWS:
            rows.append(row)

    def result(self) -> dict[str, t.Any]:
        """The values of a module's result."""
        values = dataclasses.asdict(self)
        del values["paths"]
        return dict(values, changed=self.changed)


class _Place(t.NamedTuple):
    """A folder below the destination: its path there in bytes (empty: the destination itself), and in the library for people."""

    path: bytes
    shown: str

    def below(self, name: bytes, shown: str) -> _Place:
        return _Place(self.path + b"/" + name if self.path else name, f"{self.shown.rstrip('/')}/{shown}")


class _Done(t.NamedTuple):
    """A folder whose content is written; I(is_new): this run has made it."""

    is_new: bool


def check_destination(dest: str, backup: str) -> str:
    """Return I(dest) as a clean absolute path.

    :arg backup: the server's backup, in which nothing may be written.
    :raises SeafileError: C(export-dest).
    """
    if not os.path.isabs(dest):
        raise SeafileError("export-dest", dest, "it is not an absolute path")
    dest = os.path.normpath(dest)
    if is_inside(dest, backup):
        raise SeafileError("export-dest", dest, "it lies inside the backup, which an export never changes")
    if os.path.islink(dest) or (os.path.lexists(dest) and not os.path.isdir(dest)):
        raise SeafileError("export-dest", dest, "it is there and is not a directory")
    return dest


class Export:
    """One export of a file or folder of I(tree) into the directory I(dest).

    :arg decryption: of an encrypted library; None for one that is not.
    :arg check_mode: only tell; blocks of new files are then looked for and not read.
    """

    def __init__(self, store: ObjectStore, tree: Tree, decryption: Decryption | None, dest: str, check_mode: bool = False) -> None:
        self.tree = tree
        self.decryption = decryption
        self.dest = dest
        self.check_mode = check_mode
        self.outcome = Outcome()
        self._blocks = store.open("blocks", tree.store_id)
        self._prefix = len(os.fsencode(dest)) + 1
        self._top: int | None = None

    def run(self, path: str, item: Item) -> Outcome:
        """Write I(item), which lies at I(path) in the library: a folder's content, or one file, into the destination.

        :raises SeafileError: C(no-space), C(export-dest), C(export-too-large). What is damaged, refused or in the way is no
            exception: the outcome has it.
        :raises OSError: the destination cannot be written, for want of rights or because of its disk.
        """
        try:
            self._open_top()
            if item.is_directory:
                self._require_space(item)
                self._folders(_Place(b"", path), item)
            else:
                self._entries(_Place(b"", path.rstrip("/").rpartition("/")[0] or "/"), self._top, [item])
            if self._top is not None and not self.check_mode:
                _flush_folder(self._top)
        finally:
            self._blocks.close()
            if self._top is not None:
                os.close(self._top)
        return self.outcome

    def _open_top(self) -> None:
        if not self.check_mode and make_private_directory(self.dest):
            self.outcome.folders += 1
        try:
            self._top = os.open(self.dest, _DIRECTORY)
        except FileNotFoundError:
            self.outcome.folders += 1  # check mode, and it would be made
            return
        if self.check_mode:
            return
        try:
            alone = locks.is_taken(self._top)
        except OSError:
            return  # a file system without locks
        if not alone:
            raise SeafileError("export-dest", self.dest, "another export is writing to it", "wait until that one has ended")

    # -- folders -----------------------------------------------------------------------------------------------------

    def _require_space(self, item: Item) -> None:
        """Walk the folders once before anything is written: count what would be new, and stop when it cannot fit."""
        needed = entries = 0
        stack = [(b"", item.id)]
        while stack:
            path, object_id = stack.pop()
            try:
                items = self.tree.directory(object_id)
            except ObjectDamage:
                continue
            entries += len(items)
            if entries > MOST_ENTRIES:
                raise SeafileError("export-too-large", self.dest, f"it would be more than {MOST_ENTRIES} files and folders")
            descriptor = self._open_below(path)
            try:
                for entry in items:
                    try:
                        name = _file_name(entry.name)
                        below = self._path_below(path, name)
                    except _Refused:
                        continue
                    if entry.is_directory:
                        stack.append((below, entry.id))
                    elif descriptor is None or _is_new(name, descriptor):
                        needed += entry.size or 0
            finally:
                if descriptor is not None:
                    os.close(descriptor)
        free = free_bytes(self.dest)
        if needed > free:
            raise SeafileError("no-space", self.dest, f"the files need {needed} bytes and {free} are free there; nothing was written")

    def _path_below(self, path: bytes, name: bytes) -> bytes:
        below = path + b"/" + name if path else name
        if self._prefix + len(below) > _LONGEST_PATH:
            raise _Refused(f"the path would be longer than {_LONGEST_PATH} bytes")
        if below.count(b"/") > _DEEPEST:
            raise _Refused(f"it lies deeper than {_DEEPEST} folders")
        return below

    def _open_below(self, path: bytes) -> int | None:
        """Open a folder below the destination, one name at a time; None when it is not there or not a folder."""
        if self._top is None:
            return None
        descriptor = os.dup(self._top)
        for name in path.split(b"/") if path else ():
            above = descriptor
            try:
                descriptor = os.open(name, _DIRECTORY, dir_fd=above)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) + _NAME_ERRORS:
                    return None
                raise self._named(error, path) from error
            finally:
                os.close(above)
        return descriptor

    def _named(self, error: OSError, path: bytes) -> OSError:
        """The same error with the whole path, for the message. One of the object store has its path already."""
        return error if isinstance(error.filename, str) else OSError(error.errno, error.strerror, os.path.join(self.dest, os.fsdecode(path)))

    def _failure(self, error: OSError, path: bytes, shown: str) -> Exception:
        """What ends an export: a full disk with what was done so far; everything else as it is."""
        return self._no_space(f"it is full at {shown}") if error.errno in (errno.ENOSPC, errno.EDQUOT) else self._named(error, path)

    def _no_space(self, cause: str) -> SeafileError:
        return SeafileError("no-space", self.dest, f"{cause}; what was written whole is kept", **self.outcome.result())

    def _folders(self, place: _Place, item: Item) -> None:
        """Write a folder and all below it. A folder's time is set behind all that is written in it."""
        stack: list[tuple[_Place, Item, _Done | None]] = [(place, item, None)]
        while stack:
            place, item, done = stack.pop()
            if done:
                self._finish(place, item, done.is_new)
                continue
            try:
                entries = self.tree.directory(item.id)
            except ObjectDamage as error:
                self._damaged(place.shown, error)
                continue
            try:
                folders_before = self.outcome.folders
                descriptor = self._make(place)
            except _Refused as refused:
                self.outcome.add("refused", {"path": printable(place.shown), "cause": str(refused)})
                continue
            except _Conflict as conflict:
                self.outcome.add("conflicts", {"path": printable(place.shown), "cause": str(conflict)})
                continue
            try:
                folders = self._entries(place, descriptor, entries)
            finally:
                if descriptor is not None:
                    os.close(descriptor)
            stack.append((place, item, _Done(self.outcome.folders > folders_before)))
            stack.extend((below, entry, None) for below, entry in reversed(folders))

    def _make(self, place: _Place) -> int | None:
        """Make a folder unless it is there, and open it; None in check mode where it is not there."""
        if not place.path:
            return None if self._top is None else os.dup(self._top)
        above, dummy, name = place.path.rpartition(b"/")
        parent = self._open_below(above)
        if parent is None:
            if self.check_mode:
                self._count_folder(place)
                return None
            raise _Conflict("the folder above it was taken away meanwhile")
        try:
            status = _status(name, parent)
            if status is None:
                self._count_folder(place)
                if self.check_mode:
                    return None
                os.mkdir(name, 0o700, dir_fd=parent)
            elif not stat.S_ISDIR(status.st_mode):
                raise _Conflict("something that is not a folder has its name")
            return os.open(name, _DIRECTORY, dir_fd=parent)
        except OSError as error:
            if error.errno in _NAME_ERRORS:
                raise _Refused(error.strerror) from error
            if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EEXIST):
                raise _Conflict("something that is not a folder has its name") from error
            raise self._failure(error, place.path, place.shown) from error
        finally:
            os.close(parent)

    def _count_folder(self, place: _Place) -> None:
        self.outcome.folders += 1
        self._list(place.shown.rstrip("/") + "/")

    def _list(self, shown: str) -> None:
        if len(self.outcome.paths) < MOST_ROWS:
            self.outcome.paths.append(printable(shown))

    def _finish(self, place: _Place, item: Item, is_new: bool) -> None:
        """The folder's own time, when the library has it; never that of the destination, which is not the library's."""
        descriptor = self._open_below(place.path) if place.path else None
        if descriptor is None:
            return
        try:
            self._set_time(descriptor, item.mtime, is_new)
            if not self.check_mode:
                _flush_folder(descriptor)
        finally:
            os.close(descriptor)

    def _set_time(self, descriptor: int, mtime: int | None, is_new: bool) -> None:
        """Give the open file or folder the time that the library has, when it has one."""
        before = os.fstat(descriptor).st_mtime_ns
        if mtime is None or before == mtime * 10**9:
            return
        if self.check_mode:
            is_other = abs(before - mtime * 10**9) >= 2 * 10**9  # some file systems keep times to two seconds
        else:
            os.utime(descriptor, ns=(mtime * 10**9, mtime * 10**9))
            is_other = os.fstat(descriptor).st_mtime_ns != before
        if is_other and not is_new:
            self.outcome.times += 1

    # -- files -------------------------------------------------------------------------------------------------------

    def _entries(self, place: _Place, descriptor: int | None, entries: t.Iterable[Item]) -> list[tuple[_Place, Item]]:
        """Write the files among I(entries) into the open folder; return the folders among them."""
        folders = []
        for entry in entries:
            shown = f"{place.shown.rstrip('/')}/{entry.name}"
            try:
                name = _file_name(entry.name)
                self._path_below(place.path, name)
                if entry.is_directory:
                    folders.append((place.below(name, entry.name), entry))
                else:
                    self._file(place, descriptor, name, entry, shown)
            except _Refused as refused:
                self.outcome.add("refused", {"path": printable(shown), "cause": str(refused)})
            except _Conflict as conflict:
                self.outcome.add("conflicts", {"path": printable(shown), "cause": str(conflict)})
            except ObjectDamage as error:
                self._damaged(shown, error)
            except OSError as error:
                if error.errno in _NAME_ERRORS:
                    self.outcome.add("refused", {"path": printable(shown), "cause": error.strerror})
                elif error.errno == errno.EFBIG:
                    self.outcome.add("refused", {"path": printable(shown), "cause": "the file system holds no file of this size"})
                else:
                    raise self._failure(error, place.path, shown) from error
        return folders

    def _damaged(self, shown: str, error: ObjectDamage) -> None:
        self.outcome.add("damaged", {"path": printable(shown), "kind": error.kind, "store": error.store, "id": error.id.hex(),
                                     "damage": error.damage.kind, "cause": error.damage.cause})

    def _file(self, place: _Place, directory: int | None, name: bytes, entry: Item, shown: str) -> None:
        file = self.tree.file(entry.id)
        status = None if directory is None else _status(name, directory)
        if directory is not None and status is not None:
            self._compare(directory, name, status, file, entry)
            return
        if self.check_mode:
            self._look_at_blocks(file)
        else:
            if file.size > _LARGE and file.size > free_bytes(self.dest):
                raise self._no_space(f"{shown} needs {file.size} bytes, which are not free there")
            self._write(t.cast(int, directory), name, file, entry)
        self.outcome.written += 1
        self.outcome.written_bytes += file.size
        self._list(shown)

    def _content(self, file: FileObject, object_id: bytes) -> t.Iterator[bytes]:
        """A file's plain bytes in pieces. Use nothing of them before the iterator is exhausted.

        :raises ObjectDamage: a block is not what its id promises, or all of them together are not as long as the file.
        """
        size = 0
        for block in file.blocks:
            if block == ZERO_ID:
                continue
            try:
                pieces = self._blocks.read_block(block)
                for piece in self.decryption.plain(pieces) if self.decryption else pieces:
                    size += len(piece)
                    if size > file.size:
                        break
                    yield piece
            except Damage as damage:
                raise ObjectDamage("blocks", self.tree.store_id, block, damage) from None
            if size > file.size:
                break
        if size != file.size:
            cause = f"says {file.size} bytes, and its blocks have {'more' if size > file.size else size}"
            raise ObjectDamage("fs", self.tree.store_id, object_id, Damage("mismatch", cause))

    def _look_at_blocks(self, file: FileObject) -> None:
        for block in file.blocks:
            try:
                if block != ZERO_ID:
                    self._blocks.size(block)
            except Damage as damage:
                raise ObjectDamage("blocks", self.tree.store_id, block, damage) from None

    def _compare(self, directory: int, name: bytes, status: os.stat_result, file: FileObject, entry: Item) -> None:
        """Look at what stands there: equal to its last byte, and then only the time may be put right, or in the way."""
        if not stat.S_ISREG(status.st_mode):
            raise _Conflict("something that is not a file has its name")
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        with os.fdopen(descriptor, "rb") as stream:
            is_equal = status.st_size == file.size
            if is_equal:
                # To the end even when they differ: it may be the backup's block that is damaged.
                for piece in self._content(file, entry.id):
                    is_equal = is_equal and stream.read(len(piece)) == piece
            if not is_equal:
                raise _Conflict("another file has its name; it was left as it is")
            self._set_time(descriptor, entry.mtime, is_new=False)
        self.outcome.equal += 1
        self.outcome.equal_bytes += file.size

    def _write(self, directory: int, name: bytes, file: FileObject, entry: Item) -> None:
        """Write a file under its partial name, flush it, and only then give it its name; never in the place of another."""
        partial = b"." + hashlib.sha256(name).hexdigest()[:16].encode("ascii") + b".seafleet-partial"
        if _status(partial, directory) is not None:
            os.unlink(partial, dir_fd=directory)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as stream:
                for piece in self._content(file, entry.id):
                    _write_all(stream, piece)
                self._set_time(descriptor, entry.mtime, is_new=True)
                os.fsync(descriptor)
            try:
                os.link(partial, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
            except FileExistsError:
                raise _Conflict("another file has its name; it was left as it is") from None
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                # No hard links here: the moment between looking and renaming is all that another program has.
                if _status(name, directory) is not None:
                    raise _Conflict("another file has its name; it was left as it is") from None
                os.rename(partial, name, src_dir_fd=directory, dst_dir_fd=directory)
        finally:
            try:
                os.unlink(partial, dir_fd=directory)
            except FileNotFoundError:
                pass


def _status(name: bytes, directory: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_new(name: bytes, directory: int) -> bool:
    """Whether nothing has the name yet, and something could."""
    try:
        return _status(name, directory) is None
    except OSError:
        return False  # what is wrong is told when the file is to be written


def _flush_folder(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems have no such thing for folders
            raise


def _write_all(stream: t.Any, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[stream.write(view):]


def _file_name(name: str) -> bytes:
    """The name as the file system gets it; raises :class:`_Refused` for one that is none, or that leaves its folder."""
    if name in ("", ".", ".."):
        raise _Refused("it is no name of a file")
    if "/" in name:
        raise _Refused("a name cannot hold a slash")
    if "\0" in name:
        raise _Refused("a name cannot hold a NUL")
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise _Refused("the name is no proper text") from None
    if b"/" in raw or b"\0" in raw:
        raise _Refused("a name cannot hold a slash or a NUL")
    if _PARTIAL.match(raw):
        raise _Refused("names of this form are the export's own, for files that are being written")
    return raw
