# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Libraries as people know them: names, owners, folders, files, older states. Read from a dump and the objects, never written.

Every object's hash is checked before anything in it is believed. Directories come with sizes and times from version 1 on; in
version 0, the oldest format, the entries have neither.
"""

from __future__ import annotations

import datetime
import heapq
import stat
import struct
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, printable
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import (
    DIRECTORY,
    FILE,
    LIBRARY_ID,
    ZERO_ID,
    Commit,
    Damage,
    ObjectStore,
    list_in,
    load_fs_json,
    parse_id,
)
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import LIVE, REQUIRED_TABLES, TABLES, Library, make_pointers
from ansible_collections.seafleet.seafile.plugins.module_utils.sql_dump import Row, read_tables

_LAST_TIME = 253402300799
"""The end of the year 9999, the last second that can be written as text."""
_NAMED = 5


class Item(t.NamedTuple):
    """One entry of a folder. I(size) in bytes (files), I(mtime) in seconds since 1970; None where the library does not say."""

    name: str
    id: bytes
    is_directory: bool
    size: t.Optional[int]
    mtime: t.Optional[int]


class FileObject(t.NamedTuple):
    """A file's size in bytes, and the ids of its blocks in their order."""

    size: int
    blocks: t.Sequence[bytes]


class State(t.NamedTuple):
    """A library at one commit. I(document): all fields of the commit, which hold an encrypted library's keys."""

    library: Library
    id: bytes
    commit: Commit
    document: t.Dict[str, t.Any]


class ObjectDamage(Exception):
    """An object on the way is damaged. Which one: I(kind) (C(commits), C(fs), C(blocks)), I(store), I(id)."""

    def __init__(self, kind: str, store: str, object_id: bytes, damage: Damage) -> None:
        self.kind = kind
        self.store = store
        self.id = object_id
        self.damage = damage
        super().__init__(str(damage))

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        noun = {"commits": "commit", "fs": "fs object", "blocks": "block"}[self.kind]
        return f"{noun} {self.id.hex()} of {self.store} is {self.damage.kind}: {self.damage.cause}"


def time_text(seconds: int | None) -> str | None:
    """Return seconds since 1970 as ISO 8601 in UTC; None for None and for what no calendar has."""
    if seconds is None or not 0 < seconds <= _LAST_TIME:
        return None
    return as_text(datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=seconds))


# -- libraries ---------------------------------------------------------------------------------------------------------


class Libraries:
    """All libraries that a set's dump points at.

    :arg dump: the dump of Seafile's own database.
    :raises SeafileError: C(storage-missing), and those of :func:`sql_dump.read_rows`.
    """

    def __init__(self, store: ObjectStore, dump: str) -> None:
        store.require()
        self.store = store
        tables = read_tables(dump, TABLES + ("RepoSize",), REQUIRED_TABLES)
        self.libraries = make_pointers(tables).libraries
        self._sizes = {str(row.get("repo_id")): row for row in tables["RepoSize"]}

    def head(self, library: Library) -> State:
        """Return the library as the database points at it.

        :raises SeafileError: C(library-damaged).
        """
        if not library.heads:
            raise SeafileError("library-damaged", library.name or library.id, "the database has no head for it")
        return self._state(library, library.heads[0])

    def at(self, library: Library, commit: str | None) -> State:
        """Return the library at I(commit), which is the id of one of its commits; None: its head.

        :raises SeafileError: C(commit-id-invalid), C(commit-unknown), C(library-damaged).
        """
        if commit is None:
            return self.head(library)
        try:
            commit_id = parse_id(commit)
        except ValueError as error:
            raise SeafileError("commit-id-invalid", commit, str(error)) from None
        try:
            return self._read(library, commit_id)
        except ObjectDamage as error:
            if error.damage.kind == "missing":
                raise SeafileError("commit-unknown", commit, f"the library {library.id} has no such commit in this backup") from None
            raise _damaged(library, error) from None

    def _read(self, library: Library, commit_id: bytes) -> State:
        with self.store.open("commits", library.id) as commits:
            try:
                return State(library, commit_id, *commits.read_commit_document(commit_id))
            except Damage as damage:
                raise ObjectDamage("commits", library.id, commit_id, damage) from None

    def _state(self, library: Library, commit_id: bytes) -> State:
        try:
            return self._read(library, commit_id)
        except ObjectDamage as error:
            raise _damaged(library, error) from None

    def find(self, wanted: str) -> Library:
        """Return the library with the id I(wanted), or the only one with that name; one in use goes before one in the trash.

        :raises SeafileError: C(library-unknown), C(library-ambiguous).
        """
        if LIBRARY_ID.match(wanted):
            for library in self.libraries:
                if library.id == wanted:
                    return library
            raise SeafileError("library-unknown", wanted, "the set has no library with this id")
        names = [self.name(library) for library in self.libraries]
        named = [library for library, name in zip(self.libraries, names) if name == wanted]
        found = [library for library in named if library.kind == LIVE] or named
        if not found:
            near = sorted({name for name in names if wanted and wanted.lower() in name.lower()})[:_NAMED]
            raise SeafileError("library-unknown", wanted, "the set has no library with this name" + (f", but: {', '.join(near)}" if near else ""))
        if len(found) > 1:
            ids = ", ".join(f"{library.id} of {library.owner}" for library in found[:_NAMED])
            raise SeafileError("library-ambiguous", wanted, f"{len(found)} libraries have this name: {ids}")
        return found[0]

    def name(self, library: Library) -> str:
        """Return the library's name, from its head, or from the database when that cannot be read."""
        try:
            return self.head(library).commit.name or library.name
        except SeafileError:
            return library.name

    def describe(self, library: Library) -> dict[str, t.Any]:
        """Return the row of one library for a list. Never fails for a damaged one."""
        row: dict[str, t.Any] = {
            "id": library.id, "name": library.name, "owner": library.owner, "kind": library.kind,
            "head": library.heads[0].hex() if library.heads else None, "encrypted": None, "enc_version": None, "modified": None,
            "bytes": self._bytes(library), "origin": library.origin, "origin_path": library.path, "damage": None}
        try:
            commit = self.head(library).commit
        except SeafileError as error:
            row["damage"] = error.cause
        else:
            row.update(name=commit.name or library.name, encrypted=commit.encrypted, enc_version=commit.enc_version if commit.encrypted else 0,
                       modified=time_text(commit.ctime))
        for key in ("name", "owner", "origin_path"):
            row[key] = row[key] and exact_or_printable(row[key])
        return row

    def _bytes(self, library: Library) -> int | None:
        """The size that Seafile itself has counted, when it is that of this very head; counting it anew means walking everything."""
        row: Row = self._sizes.get(library.id, {})
        size = row.get("size")
        return size if library.heads and row.get("head_id") == library.heads[0].hex() and isinstance(size, int) else None

    def history(self, library: Library, most: int) -> list[dict[str, t.Any]]:
        """Return the newest I(most) commits, newest first: C(commit), C(time), C(creator), C(description). One that is missing ends its line."""
        rows: list[dict[str, t.Any]] = []
        seen: set[bytes] = set()
        queue: list[tuple[int, bytes, State]] = []

        def add(commit_id: bytes) -> None:
            if commit_id not in seen and commit_id != ZERO_ID:
                seen.add(commit_id)
                try:
                    state = self._read(library, commit_id)
                except ObjectDamage:
                    return
                heapq.heappush(queue, (-state.commit.ctime, commit_id, state))

        for head in library.heads[:1]:
            add(head)
        while queue and len(rows) < most:
            state = heapq.heappop(queue)[2]
            rows.append({"commit": state.id.hex(), "time": time_text(state.commit.ctime), "creator": _shown(state.document.get("creator_name")),
                         "description": _shown(state.document.get("description"))})
            for parent in state.commit.parents:
                add(parent)
        return rows


def _shown(value: t.Any) -> str | None:
    return printable(value.strip()) if isinstance(value, str) else None


def exact_or_printable(name: str) -> str:
    """Return I(name) as it is, so that it can be given back as a path; one that is no proper text with its odd bytes as escapes."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return printable(name)
    return name


def _damaged(library: Library, error: ObjectDamage) -> SeafileError:
    return SeafileError("library-damaged", library.name or library.id, error.sentence)


# -- folders and files -------------------------------------------------------------------------------------------------


class Tree:
    """The folders and files of one library at one commit. Close it after use."""

    def __init__(self, store: ObjectStore, state: State) -> None:
        self.state = state
        self.store_id = state.library.store
        self._version = state.commit.version
        self._fs = store.open("fs", self.store_id)

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *dummy: t.Any) -> None:
        self.close()

    def close(self) -> None:
        self._fs.close()

    @property
    def root(self) -> Item:
        """The library's own folder."""
        return Item("", self.state.commit.root, True, None, None)

    def directory(self, object_id: bytes) -> list[Item]:
        """Return the entries of a folder.

        :raises ObjectDamage: its object is not what its id promises.
        """
        return [] if object_id == ZERO_ID else self._parse(object_id, _parse_directory_json, _parse_directory_binary)

    def file(self, object_id: bytes) -> FileObject:
        """Return a file's size and blocks.

        :raises ObjectDamage: its object is not what its id promises.
        """
        return FileObject(0, ()) if object_id == ZERO_ID else self._parse(object_id, _parse_file_json, _parse_file_binary)

    def _parse(self, object_id: bytes, json_form: t.Callable[[bytes], t.Any], binary_form: t.Callable[[bytes], t.Any]) -> t.Any:
        try:
            content = self._fs.read_fs_content(object_id, self._version)
            try:
                return (binary_form if self._version == 0 else json_form)(content)
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, struct.error) as error:
                raise Damage("unparsable", "is not the kind of object that its folder says") from error
        except Damage as damage:
            raise ObjectDamage("fs", self.store_id, object_id, damage) from None

    def find(self, path: str) -> Item:
        """Return the file or folder at I(path), C(/) for the library's own folder.

        :raises SeafileError: C(library-path-unknown), C(library-damaged).
        """
        names = [name for name in path.split("/") if name]
        item = self.root
        for depth, name in enumerate(names):
            above = "/" + "/".join(names[:depth])
            if not item.is_directory:
                raise SeafileError("library-path-unknown", path, f"{above} is a file, not a folder")
            try:
                entries = self.directory(item.id)
            except ObjectDamage as error:
                raise SeafileError("library-damaged", f"{self.state.commit.name} {above}", error.sentence) from None
            # A name that stands there twice is nothing that Seafile writes: the first one counts, as in Seafile itself.
            found = next((entry for entry in entries if entry.name == name), None)
            if found is None:
                raise SeafileError("library-path-unknown", path, f"the folder {above} has no {name}")
            item = found
        return item


def _optional(value: t.Any, most: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None


def _item(document: dict[str, t.Any]) -> Item:
    name = document["name"]
    if not isinstance(name, str):
        raise ValueError("a name is not text")
    is_directory = stat.S_ISDIR(document["mode"])
    size = None if is_directory else _optional(document.get("size"), 1 << 62)
    return Item(name, parse_id(document["id"]), is_directory, size, _optional(document.get("mtime"), _LAST_TIME) or None)


def _parse_directory_json(content: bytes) -> list[Item]:
    document = load_fs_json(content, _item)
    if document["type"] != DIRECTORY:
        raise ValueError("is not a directory")
    return [entry if isinstance(entry, Item) else _item(entry) for entry in list_in(document, "dirents")]


def _parse_file_json(content: bytes) -> FileObject:
    document = load_fs_json(content, _item)
    size = _optional(document["size"], 1 << 62)
    if document["type"] != FILE or size is None:
        raise ValueError("is not a file")
    return FileObject(size, [block if isinstance(block, bytes) else parse_id(block) for block in list_in(document, "block_ids")])


def _parse_directory_binary(content: bytes) -> list[Item]:
    """Entries of u32 mode, 40 letters id, u32 length, name; big-endian (C(DirentOndisk) of fs-mgr.c)."""
    if struct.unpack_from(">I", content)[0] != DIRECTORY:
        raise ValueError("is not a directory")
    items = []
    at = 4
    while at < len(content):
        mode, letters, length = struct.unpack_from(">I40sI", content, at)
        at += 48 + length
        items.append(Item(content[at - length:at].decode("utf-8", "surrogateescape"), parse_id(letters.decode("ascii")), stat.S_ISDIR(mode), None, None))
    return items


def _parse_file_binary(content: bytes) -> FileObject:
    """u32 type, u64 size, 20 bytes a block; big-endian (C(SeafileOndisk) of fs-mgr.c)."""
    kind, size = struct.unpack_from(">IQ", content)
    if kind != FILE:
        raise ValueError("is not a file")
    return FileObject(size, [content[at:at + 20] for at in range(12, len(content), 20)])
