# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seafile's object store on disk: C({commits,fs,blocks}/<store id>/<2>/<38>), read and checked, never written.

The formats are those of seafile-server (C(common/commit-mgr.c), C(common/fs-mgr.c), tag v11.0.13-server) and were
measured on stores that real servers wrote. No link is followed below the root, only regular files are read, and what
is read is bounded: a store comes from another machine and may hold anything.
"""

from __future__ import annotations

import codecs
import errno
import hashlib
import json
import os
import re
import stat
import struct
import typing as t
import zlib

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import OBJECT_KINDS

# An id is kept as its 20 bytes: a third of the memory of its 40 letters.
ZERO_ID = bytes(20)
LIBRARY_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")

# Far above what Seafile writes: a commit is some hundred bytes; a file of 1 TB in 1 MB blocks is 44 MB of JSON.
MAX_COMMIT_BYTES = 1024 * 1024
MAX_FS_BYTES = 256 * 1024 * 1024
# Above this size, JSON is reduced while it is parsed, so that a directory of a million entries fits into memory.
_LARGE_JSON_BYTES = 4 * 1024 * 1024
_LARGE_PIECE_BYTES = 256 * 1024
_READ_BYTES = 1024 * 1024
# Blocks are hashed through one buffer that stays in the processor's cache: a new mebibyte for each read costs a quarter of the time.
_HASH_BUFFER_BYTES = 256 * 1024
_JSON_SPACE = re.compile(r"[ \t\r\n]*")
_HEX_NAME = re.compile(r"[0-9a-f]{38}\Z")
_HEX_PREFIX = re.compile(r"[0-9a-f]{2}\Z")

FILE, DIRECTORY = 1, 3


class Damage(Exception):
    """An object that is not what its id promises.

    :arg kind: C(missing); C(empty); C(truncated): the beginning is there and the end is not; C(unparsable); C(unreadable): by the disk;
        C(wrong-hash); C(mismatch): it is sound, and another object than its place or its parent says.
    :arg cause: the reason in a few words.
    """

    def __init__(self, kind: str, cause: str) -> None:
        self.kind = kind
        self.cause = cause
        super().__init__(f"{kind}: {cause}")


class Commit(t.NamedTuple):
    """What the walk needs of a commit. Ids are 20 bytes; I(ctime) is in seconds since 1970."""

    root: bytes
    parents: t.Tuple[bytes, ...]
    ctime: int
    version: int
    library: str
    name: str
    encrypted: bool
    enc_version: int


class Entry(t.NamedTuple):
    """One entry of a directory object."""

    name: str
    id: bytes
    is_directory: bool


class FsObject(t.NamedTuple):
    """A directory with its entries, or a file with its blocks' ids."""

    type: int
    entries: t.Sequence[Entry]
    blocks: t.Sequence[bytes]


class Children(t.NamedTuple):
    """What an fs object points at, without names: ids of 20 bytes, in its order, zero ids and repetitions included.

    :arg size: bytes on disk.
    :arg damage: what is wrong with the object although it can be read.
    """

    type: int
    directories: t.Sequence[bytes]
    files: t.Sequence[bytes]
    blocks: t.Sequence[bytes]
    size: int
    damage: t.Optional[Damage]


def parse_id(text: t.Any) -> bytes:
    """Return the 20 bytes of the id I(text) (40 lower case hexadecimal digits); ValueError for anything else."""
    if not isinstance(text, str) or len(text) != 40:
        raise ValueError("an id must have 40 hexadecimal digits")
    raw = bytes.fromhex(text)
    if len(raw) != 20 or raw.hex() != text:
        raise ValueError("an id must have 40 hexadecimal digits")
    return raw


def object_path(kind: str, store: str, object_id: bytes) -> str:
    """The path of an object relative to the root of the store."""
    name = object_id.hex()
    return f"{kind}/{store}/{name[:2]}/{name[2:]}"


class ObjectStore:
    """The directory that holds C(commits), C(fs) and C(blocks): C(objects/) of a backup, or C(storage/) of a server."""

    def __init__(self, root: str) -> None:
        self.root = root

    def require(self) -> None:
        """Raise C(storage-missing) unless the root is a directory that holds at least C(commits)."""
        if not os.path.isdir(os.path.join(self.root, "commits")):
            raise SeafileError("storage-missing", self.root, "there is no directory commits/ in it",
                               "name the directory that holds commits, fs and blocks, and see that its file system is mounted")

    def open(self, kind: str, store: str) -> ObjectDirectory:
        """Open the objects of I(kind) (C(commits), C(fs) or C(blocks)) of one store. Close it after use."""
        if kind not in OBJECT_KINDS or not LIBRARY_ID.match(store):
            raise ValueError(f"no store {kind}/{store}")
        return ObjectDirectory(self.root, kind, store)


class ObjectDirectory:
    """The objects of one kind of one store. A store that is not there at all reads as one without objects."""

    def __init__(self, root: str, kind: str, store: str) -> None:
        self.kind = kind
        self.store = store
        self.path = os.path.join(root, kind, store)
        self._known: dict[str, bool] = {}
        self._buffer = bytearray()
        self._descriptor = self._open_directory(root)

    def _open_directory(self, root: str) -> int | None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        descriptor = os.open(root, flags)
        for name in (self.kind, self.store):
            above = descriptor
            try:
                descriptor = os.open(name, flags | os.O_NOFOLLOW, dir_fd=above)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    return None
                raise self._named(error, "") from error
            finally:
                os.close(above)
        return descriptor

    def __enter__(self) -> ObjectDirectory:
        return self

    def __exit__(self, *dummy: t.Any) -> None:
        self.close()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _named(self, error: OSError, name: str) -> OSError:
        """The same error with the whole path, for the message."""
        return OSError(error.errno, error.strerror, os.path.join(self.path, name) if name else self.path)

    def _name(self, object_id: bytes) -> str:
        """The object's path below the store; raises :class:`Damage` unless its directory is a real one."""
        name = object_id.hex()
        prefix = name[:2]
        known = self._known.get(prefix)
        if known is None:
            known = self._is_directory(prefix)
            self._known[prefix] = known
        if not known:
            raise Damage("missing", "there is no such file")
        return f"{prefix}/{name[2:]}"

    def _is_directory(self, prefix: str) -> bool:
        if self._descriptor is None:
            return False
        try:
            return stat.S_ISDIR(os.stat(prefix, dir_fd=self._descriptor, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._named(error, prefix) from error

    def size(self, object_id: bytes) -> int:
        """Return the object's size on disk in bytes without reading it; raises :class:`Damage` (missing, empty)."""
        name = self._name(object_id)
        try:
            status = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError as error:
            raise Damage("missing", "there is no such file") from error
        except OSError as error:
            raise self._failure(error, name) from error
        return _size_of(status)

    def _failure(self, error: OSError, name: str) -> Exception:
        """A bad sector is the object's damage; a missing right is this run's failure."""
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            return Damage("missing", "is not a regular file")
        if error.errno == errno.EIO:
            return Damage("unreadable", "the disk cannot read it (input/output error)")
        return self._named(error, name)

    def _open(self, object_id: bytes) -> tuple[int, int]:
        name = self._name(object_id)
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._descriptor)
        except FileNotFoundError as error:
            raise Damage("missing", "there is no such file") from error
        except OSError as error:
            raise self._failure(error, name) from error
        try:
            return descriptor, _size_of(os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise

    def _read(self, object_id: bytes, limit: int) -> bytes:
        """The whole file; raises :class:`Damage` (missing, empty, unparsable when longer than I(limit), unreadable)."""
        descriptor, size = self._open(object_id)
        try:
            if size > limit:
                raise Damage("unparsable", f"is larger than {limit} bytes")
            content = os.read(descriptor, size + 1)  # a byte more, so that a file that grows is noticed by its hash
            while len(content) < size:
                more = os.read(descriptor, size - len(content))
                if not more:
                    break
                content += more
            return content
        except OSError as error:
            raise self._failure(error, object_id.hex()) from error
        finally:
            os.close(descriptor)

    def read_commit(self, object_id: bytes, check_hash: bool = False) -> tuple[Commit, int, Damage | None]:
        """Return the commit, its size on disk, and what is wrong with it although it can be read.

        A commit's id covers neither its parents nor its library (facts measured on real stores), so that beside the
        hash its own C(commit_id) and C(repo_id) are compared with its place.
        """
        content = self._read(object_id, MAX_COMMIT_BYTES)
        commit, document = _parse_commit(content)
        damage = None
        if document.get("commit_id") != object_id.hex():
            damage = Damage("mismatch", "its commit_id is not its file's name")
        elif document.get("repo_id") != self.store:
            damage = Damage("mismatch", "its repo_id is not its directory")
        elif check_hash and object_id not in _commit_ids(document):
            damage = Damage("wrong-hash", "its content does not have its id")
        return commit, len(content), damage

    def read_fs(self, object_id: bytes, version: int, check_hash: bool = False) -> tuple[FsObject, int, Damage | None]:
        """Return the directory or file object, its size on disk, and what is wrong with it although it can be read.

        :arg version: of the library: 0 is binary, from 1 on a zlib stream of JSON.
        """
        content = self._read(object_id, MAX_FS_BYTES)
        if version == 0:
            result, digest = _parse_fs_binary(content)
        else:
            result, digest = _parse_fs_json(content, check_hash)
        damage = Damage("wrong-hash", "its content does not have its id") if check_hash and digest != object_id else None
        return result, len(content), damage

    def read_children(self, object_id: bytes, version: int) -> Children:
        """Read and hash an fs object and return what it points at; raises :class:`Damage`.

        The same judgement as :meth:`read_fs` with its hash, in half of the time: names are checked and not kept.
        """
        content = self._read(object_id, MAX_FS_BYTES)
        if version == 0:
            result, digest = _parse_fs_binary(content)
            found = _children(result)
        else:
            found, digest = _parse_children(content)
        return Children(*found, len(content), None if digest == object_id else Damage("wrong-hash", "its content does not have its id"))

    def check_block(self, object_id: bytes) -> int:
        """Hash a block and return its size; raises :class:`Damage`. Ciphertext is hashed as it lies on disk."""
        descriptor, size = self._open(object_id)
        digest = hashlib.sha1()
        if not self._buffer:
            self._buffer = bytearray(_HASH_BUFFER_BYTES)
        view = memoryview(self._buffer)
        try:
            while True:
                length = os.readv(descriptor, [view])
                if not length:
                    break
                digest.update(view[:length])
        except OSError as error:
            raise self._failure(error, object_id.hex()) from error
        finally:
            os.close(descriptor)
        if digest.digest() != object_id:
            raise Damage("wrong-hash", "its content does not have its id")
        return size

    # -- for those who take content out: nothing is handed on whose hash is not right -------------------------------

    def read_commit_document(self, object_id: bytes) -> tuple[Commit, dict[str, t.Any]]:
        """Return the commit and all its fields, which hold an encrypted library's keys; raises :class:`Damage` for anything wrong with it."""
        content = self._read(object_id, MAX_COMMIT_BYTES)
        commit, document = _parse_commit(content)
        if document.get("commit_id") != object_id.hex() or document.get("repo_id") != self.store:
            raise Damage("mismatch", "it is another commit, or another library's")
        if object_id not in _commit_ids(document):
            raise Damage("wrong-hash", "its content does not have its id")
        return commit, document

    def read_fs_content(self, object_id: bytes, version: int) -> bytes:
        """Return an fs object's bytes, decompressed, their hash checked; raises :class:`Damage`. See :meth:`read_fs`."""
        content = self._read(object_id, MAX_FS_BYTES)
        if version == 0:
            digest = _parse_fs_binary(content)[1]
        else:
            content = b"".join(_inflate(content))
            digest = hashlib.sha1(content).digest()
        if digest != object_id:
            raise Damage("wrong-hash", "its content does not have its id")
        return content

    def read_block(self, object_id: bytes) -> t.Iterator[bytes]:
        """Yield a block's bytes as they lie on disk, a mebibyte at a time; raises :class:`Damage`, for a wrong hash behind the last one.

        Use nothing of it before the iterator is exhausted.
        """
        descriptor = self._open(object_id)[0]
        digest = hashlib.sha1()
        try:
            while True:
                chunk = os.read(descriptor, _READ_BYTES)
                if not chunk:
                    break
                digest.update(chunk)
                yield chunk
        except OSError as error:
            raise self._failure(error, object_id.hex()) from error
        finally:
            os.close(descriptor)
        if digest.digest() != object_id:
            raise Damage("wrong-hash", "its content does not have its id")

    # -- directories: what tells cheaply that no name has come or gone ----------------------------------------------

    def inode(self) -> int:
        """The inode of the store's directory, 0 when there is none."""
        return 0 if self._descriptor is None else os.fstat(self._descriptor).st_ino

    def prefixes(self, low: int = 0, high: int = 256) -> dict[int, tuple[int, int]]:
        """Of every directory C(00) to C(ff) that there is, from I(low) to below I(high): time of change in ns since 1970, and inode."""
        result: dict[int, tuple[int, int]] = {}
        if self._descriptor is None:
            return result
        for name in os.listdir(self._descriptor):
            if not _HEX_PREFIX.match(name) or not low <= int(name, 16) < high:
                continue
            try:
                status = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._named(error, name) from error
            if stat.S_ISDIR(status.st_mode):
                result[int(name, 16)] = (status.st_ctime_ns, status.st_ino)
        return result

    def listed_prefixes(self) -> list[int]:
        """The first bytes for which there is a name such as C(00) to C(ff), sorted; whether each is a directory is not looked at."""
        return [] if self._descriptor is None else sorted(int(name, 16) for name in os.listdir(self._descriptor) if _HEX_PREFIX.match(name))

    def names(self, prefix: int) -> set[bytes]:
        """The ids of the files in one directory, which may be any kind of file: presence only."""
        first = f"{prefix:02x}"
        if not self._is_directory(first):
            return set()
        try:
            descriptor = os.open(first, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._descriptor)
        except OSError as error:
            raise self._named(error, first) from error
        try:
            return {bytes.fromhex(first + name) for name in os.listdir(descriptor) if _HEX_NAME.match(name)}
        finally:
            os.close(descriptor)

    def ids(self) -> t.Iterator[bytes]:
        """Yield the id of every object that lies here, sorted. Leftovers (names that are no id) are not objects."""
        if self._descriptor is None:
            return
        for prefix in sorted(name for name in os.listdir(self._descriptor) if _HEX_PREFIX.match(name)):
            if not self._is_directory(prefix):
                continue
            descriptor = os.open(prefix, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._descriptor)
            try:
                with os.scandir(descriptor) as entries:
                    names = sorted(entry.name for entry in entries if _HEX_NAME.match(entry.name) and entry.is_file(follow_symlinks=False))
            finally:
                os.close(descriptor)
            for name in names:
                yield bytes.fromhex(prefix + name)


def _size_of(status: os.stat_result) -> int:
    if not stat.S_ISREG(status.st_mode):
        raise Damage("missing", "is not a regular file")
    if status.st_size == 0:
        raise Damage("empty", "the file is empty")  # objects are never empty; a power loss leaves such blocks behind
    return status.st_size


def _inflate_small(content: bytes) -> bytes | None:
    """What the zlib stream I(content) holds, or None when that is large: :func:`_inflate` reads it then; raises :class:`Damage`."""
    inflater = zlib.decompressobj()
    most = min(_LARGE_JSON_BYTES, MAX_FS_BYTES)
    try:
        plain = inflater.decompress(content, most + 1)
    except zlib.error as error:
        raise Damage("unparsable", "is not a zlib stream") from error
    if len(plain) > most:
        return None
    if not inflater.eof:
        raise Damage("truncated", "its zlib stream is cut")
    if inflater.unused_data:
        raise Damage("unparsable", "something follows its zlib stream")
    return plain


def _inflate(content: bytes, digest: t.Any = None) -> t.Iterator[bytes]:
    """Yield what the zlib stream I(content) holds in pieces, and hash them: a bomb is given up where it stops being an fs object.

    :arg digest: of hashlib, gets all that was yielded.
    :raises Damage: C(truncated), C(unparsable), at the piece where it is found.
    """
    inflater = zlib.decompressobj()
    total = 0
    for at in range(0, len(content), _LARGE_PIECE_BYTES):  # what was not taken yet is copied at each step: so it is never much
        piece = content[at:at + _LARGE_PIECE_BYTES]
        while True:
            try:
                plain = inflater.decompress(piece, _LARGE_PIECE_BYTES)
            except zlib.error as error:
                raise Damage("unparsable", "is not a zlib stream") from error
            total += len(plain)
            if total > MAX_FS_BYTES:
                raise Damage("unparsable", f"is larger than {MAX_FS_BYTES} bytes when decompressed")
            if digest is not None:
                digest.update(plain)
            if plain:
                yield plain
            piece = inflater.unconsumed_tail
            if not piece and len(plain) < _LARGE_PIECE_BYTES:
                break
        if inflater.unused_data or (inflater.eof and at + _LARGE_PIECE_BYTES < len(content)):
            raise Damage("unparsable", "something follows its zlib stream")
    if not inflater.eof:
        raise Damage("truncated", "its zlib stream is cut")


def _parse_commit(content: bytes) -> tuple[Commit, dict[str, t.Any]]:
    try:
        document = json.loads(content)
        if not isinstance(document, dict):
            raise ValueError("is not an object")
        commit = Commit(
            root=parse_id(document["root_id"]),
            parents=tuple(parse_id(document[key]) for key in ("parent_id", "second_parent_id") if document.get(key)),
            ctime=_integer(document["ctime"]),
            version=_integer(document.get("version", 0)),
            library=str(document.get("repo_id", "")),
            name=str(document.get("repo_name") or ""),
            encrypted=str(document.get("encrypted")).lower() == "true",  # the Go file server writes "false", C leaves it out
            enc_version=_integer(document.get("enc_version") or 0),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        # The JSON of a commit is one flat object, so that only its end is a brace.
        if content.lstrip()[:1] == b"{" and content.rstrip()[-1:] != b"}":
            raise Damage("truncated", "its JSON is cut") from error
        raise Damage("unparsable", "is not the JSON of a commit") from error
    return commit, document


def _integer(value: t.Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("is not a whole number")
    return value


def _commit_ids(document: dict[str, t.Any]) -> set[bytes]:
    """The two ids that a commit's content may have: C programs end each text with NUL, the Go file server does not.

    Measured: both occur in one store.
    """
    try:
        texts = [document["root_id"], document["creator"], document.get("creator_name"), document.get("description") or ""]
        raw = [text.encode("utf-8", "surrogateescape") for text in texts if text is not None]
        ctime = struct.pack(">q", document["ctime"])
    except (KeyError, AttributeError, struct.error, UnicodeEncodeError):
        return set()
    return {hashlib.sha1(b"".join(text + b"\0" for text in raw) + ctime).digest(), hashlib.sha1(b"".join(raw) + ctime).digest()}


_NO_FS_JSON = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
_Pointed = t.Tuple[int, t.Sequence[bytes], t.Sequence[bytes], t.Sequence[bytes]]


def _parse_fs_json(content: bytes, hashed: bool = True) -> tuple[FsObject, bytes]:
    """The object in the zlib stream I(content), and the id that it has (of no meaning unless I(hashed)); raises :class:`Damage`."""
    small = _inflate_small(content)
    digest = hashlib.sha1(small if small and hashed else b"")
    try:
        document = _parse_large_json(_inflate(content, digest if hashed else None)) if small is None else json.loads(small)
        kind = document["type"]
        if kind == DIRECTORY:
            entries = [entry if isinstance(entry, Entry) else _entry(entry) for entry in list_in(document, "dirents")]
            return FsObject(DIRECTORY, entries, ()), digest.digest()
        if kind == FILE:
            return FsObject(FILE, (), [block if isinstance(block, bytes) else parse_id(block) for block in list_in(document, "block_ids")]), digest.digest()
        raise ValueError("is neither file nor directory")
    except _NO_FS_JSON as error:
        raise Damage("unparsable", "is not the JSON of a file or directory") from error


def _children(found: FsObject) -> _Pointed:
    """What an object points at: type, directories, files, blocks."""
    directories = [entry.id for entry in found.entries if entry.is_directory]
    return found.type, directories, [entry.id for entry in found.entries if not entry.is_directory], found.blocks


def _parse_children(content: bytes) -> tuple[_Pointed, bytes]:
    """As :func:`_parse_fs_json`, but all ids of an object at once and without its names: type, directories, files, blocks."""
    small = _inflate_small(content)
    if small is None:
        result, digest = _parse_fs_json(content)
        return _children(result), digest
    try:
        return _parse_children_json(small), hashlib.sha1(small).digest()
    except _NO_FS_JSON as error:
        raise Damage("unparsable", "is not the JSON of a file or directory") from error


def _parse_children_json(plain: bytes) -> _Pointed:
    document = json.loads(plain)
    kind = document["type"]
    if kind == FILE:
        return FILE, [], [], _parse_ids(document["block_ids"])
    if kind != DIRECTORY:
        raise ValueError("is neither file nor directory")
    entries = list_in(document, "dirents")
    if not entries:
        return DIRECTORY, [], [], []
    ids = _parse_ids([entry["id"] for entry in entries])
    "".join([entry["name"] for entry in entries])  # a TypeError unless all are text
    modes = [stat.S_ISDIR(entry["mode"]) for entry in entries]
    directories: list[bytes] = []
    files: list[bytes] = []
    for object_id, is_directory in zip(ids, modes):
        (directories if is_directory else files).append(object_id)
    return DIRECTORY, directories, files, []


def _parse_ids(texts: list[t.Any]) -> list[bytes]:
    """As :func:`parse_id` of each; ValueError or TypeError for anything that is no list of ids."""
    if not isinstance(texts, list):
        raise ValueError("ids are no list")
    if not texts:
        return []
    joined = "".join(texts)
    raw = bytes.fromhex(joined)
    if set(map(len, texts)) != {40} or raw.hex() != joined:
        raise ValueError("an id must have 40 hexadecimal digits")
    return [raw[at:at + 20] for at in range(0, len(raw), 20)]


def _entry(document: dict[str, t.Any]) -> Entry:
    return Entry(_entry_name(document["name"]), parse_id(document["id"]), stat.S_ISDIR(document["mode"]))


def list_in(document: dict[str, t.Any], key: str) -> list[t.Any]:
    """The list I(key) of an fs object; ValueError for what is none, KeyError when there is nothing."""
    value = document[key]
    if not isinstance(value, list):
        raise ValueError(f"{key} is no list")
    return value


def load_fs_json(plain: bytes, entry: t.Callable[[dict[str, t.Any]], t.Any]) -> dict[str, t.Any]:
    """The JSON of an fs object; of a large one the entries are what I(entry) makes of them, and block ids are bytes, already.

    :raises ValueError: it is no JSON; and what I(entry) raises.
    """
    if len(plain) <= _LARGE_JSON_BYTES:
        return t.cast(t.Dict[str, t.Any], json.loads(plain))
    return _parse_large_json((plain[at:at + _LARGE_PIECE_BYTES] for at in range(0, len(plain), _LARGE_PIECE_BYTES)), entry)


def _parse_large_json(pieces: t.Iterator[bytes], entry: t.Callable[[dict[str, t.Any]], t.Any] = _entry) -> dict[str, t.Any]:
    """The same as json.loads() for a large fs object that comes in I(pieces), its list in reduced form, item by item.

    A directory of a million entries fits into memory so, and a zip bomb of a hundred million empty lists (JSON that
    takes 25 times its size once it is parsed) is found to be no fs object at its first item.
    """
    start = b""
    while len(start) < _LARGE_PIECE_BYTES:
        piece = next(pieces, b"")
        start += piece
        if not piece:
            break
    begin = start.find(b"[", 0, _LARGE_PIECE_BYTES) + 1  # no text stands before the list
    if not begin:
        raise ValueError("has no list")
    decoder = json.JSONDecoder()
    reader = codecs.getincrementaldecoder("utf-8")()
    items: list[t.Any] = []
    text, more, last = "", start[begin:], False
    while True:
        text += reader.decode(more, last)
        position, ended = 0, False
        while not ended:
            # An item that the piece cuts is looked at again together with the next piece.
            found = _JSON_SPACE.match(text, position).end()  # type: ignore[union-attr]
            try:
                item, found = decoder.raw_decode(text, found)
            except ValueError:
                break
            found = _JSON_SPACE.match(text, found).end()  # type: ignore[union-attr]
            if text[found:found + 1] not in (",", "]"):
                break
            items.append(entry(item) if isinstance(item, dict) else parse_id(item))
            ended = text[found] == "]"
            position = found + 1
        text = text[position:]
        if ended:
            break
        if last or len(text) >= 2 * _LARGE_PIECE_BYTES:
            raise ValueError("its list is cut, or holds something else")
        more = next(pieces, b"")
        last = not more
    rest = text.encode("utf-8") + reader.getstate()[0]
    for piece in pieces:
        rest += piece
        if len(rest) > 2 * _LARGE_PIECE_BYTES:
            raise ValueError("something large follows its list")
    document = json.loads(start[:begin] + b"]" + rest)
    for key in ("dirents", "block_ids"):
        if document.get(key) == []:
            document[key] = items
    return t.cast(t.Dict[str, t.Any], document)


def _entry_name(name: t.Any) -> str:
    if not isinstance(name, str):
        raise ValueError("a name is not text")
    return name


def _parse_fs_binary(content: bytes) -> tuple[FsObject, bytes]:
    """Version 0 (C(SeafileOndisk), C(SeafdirOndisk), C(DirentOndisk) of fs-mgr.c), and the id its content has.

    File: u32 type, u64 size, 20 bytes a block. Directory: u32 type, then entries of u32 mode, 40 letters id,
    u32 length, name. All big-endian; the mode in a directory's hash is little-endian.
    """
    cut = Damage("truncated", "its binary form is cut")
    try:
        if len(content) < 4:
            raise cut
        (kind,) = struct.unpack_from(">I", content)
        digest = hashlib.sha1()
        if kind == FILE:
            raw = content[12:]
            if len(content) < 12 or len(raw) % 20:
                raise cut
            digest.update(raw)
            return FsObject(FILE, (), [raw[at:at + 20] for at in range(0, len(raw), 20)]), digest.digest()
        if kind != DIRECTORY:
            raise ValueError("is neither file nor directory")
        entries = []
        at = 4
        while at < len(content):
            if len(content) - at < 48:
                raise cut
            mode, letters, length = struct.unpack_from(">I40sI", content, at)
            at += 48
            name = content[at:at + length]
            if len(name) != length:
                raise cut
            at += length
            entries.append(Entry(name.decode("utf-8", "surrogateescape"), parse_id(letters.decode("ascii")), stat.S_ISDIR(mode)))
            digest.update(letters + name + struct.pack("<I", mode))
        return FsObject(DIRECTORY, entries, ()), digest.digest()
    except (ValueError, struct.error) as error:
        raise Damage("unparsable", "is not the binary form of a file or directory") from error
