# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of one library into the store of a server that is running: which of them it lacks, and putting them there.

An object that is there and has its id's content is never touched. A new one is put beside its name and renamed, with the owner of the
store, and every directory is entered without following a link, for they belong to the account that Seafile runs as.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import json
import os
import shutil
import stat
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import library_crypto, places, restore_state
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import replacing, sync_file_systems
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import LIBRARY_ID, Damage, ObjectDirectory, ObjectStore

LIST = "objects.list"
WANTED = "wanted.list"
OBJECTS = "objects"
FILE_MODE = 0o600
"""Seafile's own (measured); nobody but its account reads objects."""
_ORDER = {"blocks": 0, "fs": 1, "commits": 2}
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Name(t.NamedTuple):
    """One object of a list."""

    kind: str
    store: str
    id: bytes


def read_list(path: str) -> list[Name]:
    """Return the objects of the list at I(path), content before what points at it.

    :raises SeafileError: C(library-extract-damaged).
    """
    names = []
    try:
        for text in restore_state.read_object_list(path):
            kind, store, prefix, rest = text.split("/")
            if kind not in _ORDER or not LIBRARY_ID.match(store) or len(prefix) != 2 or len(rest) != 38:
                raise ValueError(text)
            names.append(Name(kind, store, bytes.fromhex(prefix + rest)))
    except FileNotFoundError:
        raise SeafileError("library-extract-damaged", path, "there is no such file") from None
    except ValueError:
        raise SeafileError("library-extract-damaged", path, "it holds something that is no object's path") from None
    return sorted(names, key=lambda name: (_ORDER[name.kind], name.store, name.id))


def write_list(path: str, names: t.Iterable[Name]) -> None:
    """Write the objects as a list that rsync reads (C(--files-from --from0))."""
    with replacing(path) as stream:
        for name in names:
            stream.write(f"{name.kind}/{name.store}/{name.id.hex()[:2]}/{name.id.hex()[2:]}\0".encode("ascii"))


def is_good(directory: ObjectDirectory, object_id: bytes, version: int) -> bool:
    """Whether an object is there with the content that its id says. It is read for that."""
    try:
        if directory.kind == "commits":
            return directory.read_commit(object_id, True)[2] is None
        if directory.kind == "fs":
            return directory.read_fs(object_id, version, True)[2] is None
        directory.check_block(object_id)
        return True
    except Damage:
        return False


def lacking(storage: str, names: t.Iterable[Name], ids: t.Mapping[str, str], version: int) -> list[Name]:
    """Return those of I(names) that the store at I(storage) does not have, neither under the new ids nor under the old ones."""
    store = ObjectStore(storage)
    result = []
    for (kind, library), group in itertools.groupby(names, lambda name: (name.kind, name.store)):
        with store.open(kind, library) as own, store.open(kind, ids.get(library, library)) as new:
            result += [name for name in group if not is_good(own, name.id, version) and not (ids and is_good(new, name.id, version))]
    return result


@dataclasses.dataclass(frozen=True)
class NewCommits:
    """What commits say under a new library id.

    :arg ids: new ids by old ones.
    :arg names: new names of libraries by old id.
    :arg password: of an encrypted library.
    """

    ids: t.Mapping[str, str]
    names: t.Mapping[str, str]
    password: str | None = None

    def rewrite(self, content: bytes) -> bytes:
        """Return the bytes of a commit as one of the new library. Its id stays: it covers neither the library nor these fields.

        :raises SeafileError: C(library-encryption-unknown), C(library-key-damaged), C(library-encrypted-new-id).
        """
        # whatever bytes a name holds come out as they went in
        document = json.loads(content.decode("utf-8", "surrogateescape"))
        old = document["repo_id"]
        if document.get("magic") and self.password is not None:
            # a commit from before a change of the password keeps its own; only the head's is asked
            document["magic"] = library_crypto.magic_under(document, self.password, self.ids[old]) or document["magic"]
        document["repo_id"] = self.ids[old]
        if old in self.names:
            document["repo_name"] = self.names[old]
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogateescape")


class Place:
    """The store of the server, and the owner that everything in it has."""

    def __init__(self, storage: str) -> None:
        self.storage = storage
        ObjectStore(storage).require()
        status = os.stat(os.path.join(storage, "commits"))
        self.uid, self.gid, self.mode = status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)

    def put(self, names: t.Iterable[Name], staged: str, ids: t.Mapping[str, str], version: int, commits: NewCommits | None) -> int:
        """Put those of I(names) into the store that it lacks, out of I(staged) or, under new ids, out of what it has of the old ones.

        :returns: how many were put.
        :raises SeafileError: C(library-damaged) when one is neither here nor there with the right content.
        """
        os.makedirs(staged, mode=0o700, exist_ok=True)  # nothing has come where nothing was lacking
        store, source = ObjectStore(self.storage), ObjectStore(staged)
        count = 0
        for (kind, library), group in itertools.groupby(names, lambda name: (name.kind, name.store)):
            target = ids.get(library, library)
            with contextlib.ExitStack() as stack:
                came, old = stack.enter_context(source.open(kind, library)), stack.enter_context(store.open(kind, library))
                new = stack.enter_context(store.open(kind, target))
                directory = self._directories(stack, kind, target)
                for name in group:
                    if is_good(new, name.id, version):
                        continue
                    place = next((root for root, found in ((staged, came), (self.storage, old)) if is_good(found, name.id, version)), None)
                    if place is None:
                        raise SeafileError("library-damaged", f"{kind}/{library}/{name.id.hex()}", "it has not come, or with another content",
                                           "fetch the objects of wanted.list again")
                    prefix, rest = name.id.hex()[:2], name.id.hex()[2:]
                    above = _open_below(place, kind, library, prefix)
                    try:
                        self._put(directory(prefix), rest, above, commits if kind == "commits" else None)
                    finally:
                        os.close(above)
                    count += 1
        if count:
            sync_file_systems([self.storage])
        return count

    def _directories(self, stack: contextlib.ExitStack, kind: str, library: str) -> t.Callable[[str], int]:
        """Return a function that gives the open directory of a prefix, made where it is missing."""
        opened: list[int] = []
        prefixes: dict[str, int] = {}

        def enter(name: str, above: int | None) -> int:
            with contextlib.suppress(FileNotFoundError):
                return os.open(name, _DIRECTORY, dir_fd=above)
            os.mkdir(name, 0o700, dir_fd=above)
            descriptor = os.open(name, _DIRECTORY, dir_fd=above)
            os.fchown(descriptor, self.uid, self.gid)
            os.fchmod(descriptor, self.mode)
            return descriptor

        def directory(prefix: str) -> int:
            if not opened:
                kinds = os.open(os.path.join(self.storage, kind), _DIRECTORY)
                stack.callback(os.close, kinds)
                opened.append(enter(library, kinds))
                stack.callback(os.close, opened[0])
            if prefix not in prefixes:
                prefixes[prefix] = enter(prefix, opened[0])
                stack.callback(os.close, prefixes[prefix])
            return prefixes[prefix]

        return directory

    def _put(self, directory: int, name: str, above: int, commits: NewCommits | None) -> None:
        """Put the file I(name) of the directory I(above), or the commit that it is under another id, into I(directory)."""
        partial = f".{name}.partial"  # no name of an object, so that Seafile passes it over
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=directory)
        if commits is None and _link(name, above, partial, directory):
            descriptor = os.open(partial, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        else:
            source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=above)
            with os.fdopen(source, "rb") as stream:
                descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE, dir_fd=directory)
                with os.fdopen(os.dup(descriptor), "wb") as target:
                    if commits is not None:
                        target.write(commits.rewrite(stream.read()))
                    else:
                        shutil.copyfileobj(stream, target, 1 << 20)
        self._finish(descriptor, partial, name, directory)

    def _finish(self, descriptor: int, partial: str, name: str, directory: int) -> None:
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EPERM, "another file was put in its place", name)
            os.fchown(descriptor, self.uid, self.gid)
            os.fchmod(descriptor, FILE_MODE)
        finally:
            os.close(descriptor)
        os.rename(partial, name, src_dir_fd=directory, dst_dir_fd=directory)


def _open_below(root: str, *names: str) -> int:
    """Open a directory below I(root) without following a link."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in names:
        above = descriptor
        try:
            descriptor = os.open(name, _DIRECTORY, dir_fd=above)
        finally:
            os.close(above)
    return descriptor


def _link(name: str, above: int, other: str, directory: int) -> bool:
    """Give a file a second name; False where that cannot be, as on another file system."""
    try:
        os.link(name, other, src_dir_fd=above, dst_dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            return False
        raise
    return True


def keep(storage: str, libraries: t.Sequence[str], dest: str) -> list[Name]:
    """Give every object of I(libraries) a second name below I(dest), or copy it where that is another file system.

    :raises SeafileError: C(no-space).
    """
    names = []
    store = ObjectStore(storage)
    for kind in ("commits", "fs", "blocks"):
        for library in libraries:
            with store.open(kind, library) as directory:
                names += [Name(kind, library, object_id) for object_id in directory.ids()]
    paths = [os.path.join(name.kind, name.store, name.id.hex()[:2], name.id.hex()[2:]) for name in names]
    if os.stat(storage).st_dev != os.stat(places.existing_parent(dest)).st_dev:
        needed = sum(os.lstat(os.path.join(storage, path)).st_size for path in paths)
        if needed > places.free_bytes(dest):
            raise SeafileError("no-space", dest, f"the safety copy of the library needs {needed} bytes there, for it is not the store's file system",
                               "free the named space, or give a state_dir on the file system of the object store")
    for path in paths:
        target = os.path.join(dest, path)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        try:
            os.link(os.path.join(storage, path), target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                raise
            shutil.copyfile(os.path.join(storage, path), target, follow_symlinks=False)
    return names
