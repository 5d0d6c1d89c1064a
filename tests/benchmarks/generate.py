# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a Seafile deployment of any size for measurements: its object store, its database as a dump, its configuration.

C(python3 tests/benchmarks/generate.py DIR --objects 1000000) makes:

    DIR/haiwen/                       conf/, seafile-data/storage/{commits,fs,blocks}, ... as a server 11.0 with MySQL has them
    DIR/databases/seafile-db.sql.gz   what mysqldump writes of Seafile's own database
    DIR/store.json                    what is in it: numbers of objects and bytes, every library with its head

C(python3 tests/benchmarks/generate.py DIR --change 0.1) goes on with such a deployment: commits in a few of its libraries that
bring 0.1 % new objects, heads moved, a new dump of the next day.

The same options give the same objects, whatever the number of processes. The content of blocks is random; everything else has
the form that real servers write, and every id is right. The libraries' sizes fall like 1/rank. Among them: sub-libraries, a
library with a history limit whose old blocks a garbage collection has taken, encrypted libraries (by their commits; blocks are
noise anyway), libraries in the trash, commits by both rules for their ids. It uses nothing of the collection, so that it cannot
share its mistakes.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import math
import multiprocessing
import os
import random
import struct
import sys
import time
import typing as t
import zlib

from surroundings import DAY, make_surroundings, write_dump

FORMAT = 2  # 2: the noise is larger
KINDS = ("blocks", "commits", "fs")
ZERO = "0" * 40
FIRST_DUMP = 1795392000  # 2026-11-23 00:00 UTC
HISTORY_DAYS = 700  # how long before the first dump a library's first commit is
LIMIT_DAYS = 90
NOISE = 64 << 20  # bytes; much more than what a compressor looks back, which would find the same piece in another block
SMALLEST = 25  # objects of the smallest library
ENOUGH = 40  # what a commit with a deep path may need: a library with less left is filled up at its root
MOST_FILES = 50  # of one directory
MOST_FOLDERS = 12
MOST_DEPTH = 7

WORDS = ("report", "IMG", "Übersicht", "notes", "Ann's draft", "data \\ raw", "Протокол", "scan", "invoice", "表")
ENDINGS = ("pdf", "jpg", "odt", "txt", "md", "csv", "docx", "bin")


class Plan(t.NamedTuple):
    """What one process does for one library and its sub-libraries. C(state): their entries in store.json, or nothing yet."""

    storage: str
    seed: str
    pool: int
    block_bytes: t.Tuple[int, int]
    objects: int
    began: int
    ended: int
    library: t.Dict[str, t.Any]
    subs: t.List[t.Dict[str, t.Any]]
    limited: bool


class Done(t.NamedTuple):
    """What came of a plan: entries of store.json, numbers of objects and bytes written, blocks that may be missing."""

    libraries: t.List[t.Dict[str, t.Any]]
    objects: t.Dict[str, int]
    bytes: t.Dict[str, int]
    legally_missing: int


class Folder:
    """A directory of the newest tree. Its files are kept as the text of their entries; it is read when somebody looks."""

    __slots__ = ("above", "depth", "id", "mtime", "files", "folders", "loaded", "dirty")

    def __init__(self, above: Folder | None, object_id: str, mtime: int) -> None:
        self.above = above
        self.depth: int = above.depth + 1 if above else 0
        self.id = object_id
        self.mtime = mtime
        self.files: dict[str, str] = {}
        self.folders: dict[str, Folder] = {}
        self.loaded = object_id == ZERO
        self.dirty = False


class Family:
    """A library with its sub-libraries, which share one store of fs objects and blocks, growing by one commit after another."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = random.Random(plan.seed)
        self.noise = _noise(plan.pool, 2 * plan.block_bytes[1] + NOISE)
        self.library = dict(plan.library)
        self.store = self.library["id"]
        self.objects = dict.fromkeys(KINDS, 0)
        self.bytes = dict.fromkeys(KINDS, 0)
        self.legally_missing = 0
        self.blocks_are_kept = True
        self.pending = 0  # directories that the next commit has to write
        self.fresh: set[tuple[int, str]] = set()  # files that no commit holds yet
        self.root = Folder(None, self.library.get("root", ZERO), plan.began)

    @property
    def left(self) -> int:
        return self.plan.objects - sum(self.objects.values())

    @property
    def now(self) -> int:
        """The time goes on with the number of objects."""
        return self.plan.ended - (self.plan.ended - self.plan.began) * max(self.left, 0) // max(self.plan.objects, 1)

    # -- objects -------------------------------------------------------------------------------------------------

    def _path(self, kind: str, store: str, object_id: str) -> str:
        return f"{self.plan.storage}/{kind}/{store}/{object_id[:2]}/{object_id[2:]}"

    def _write(self, kind: str, store: str, object_id: str, content: bytes) -> None:
        """Write an object unless it is there already."""
        path = self._path(kind, store, object_id)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileExistsError:
            return
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor = os.open(path, flags, 0o600)
        with open(descriptor, "wb", buffering=0) as stream:
            if stream.write(content) != len(content):
                raise OSError(f"{path} could not be written whole")
        self.objects[kind] += 1
        self.bytes[kind] += len(content)

    def _fs(self, text: str) -> str:
        plain = text.encode("utf-8")
        object_id = hashlib.sha1(plain).hexdigest()
        self._write("fs", self.store, object_id, zlib.compress(plain))
        return object_id

    def _read_fs(self, object_id: str) -> dict[str, t.Any]:
        with open(self._path("fs", self.store, object_id), "rb") as stream:
            return json.loads(zlib.decompress(stream.read()))

    def _block(self) -> tuple[str, int]:
        """Write a block of noise; its id and size."""
        low, high = self.plan.block_bytes
        size = round(math.exp(self.random.uniform(math.log(low), math.log(high))))
        start = self.random.randrange(len(self.noise) - size)
        head = self.random.getrandbits(128).to_bytes(16, "big")[:size]
        content = head + self.noise[start:start + size - len(head)]
        object_id = hashlib.sha1(content).hexdigest()
        if self.blocks_are_kept:
            self._write("blocks", self.store, object_id, content)
        else:
            self.legally_missing += 1
        return object_id, size

    def _file(self, blocks: list[str], size: int) -> str:
        return self._fs(json.dumps({"block_ids": blocks, "size": size, "type": 1, "version": 1}))

    def commit(self, library: dict[str, t.Any], root: str, description: str) -> None:
        """Write a commit on top of the library's head, which it becomes.

        Web uploads go through the Go file server, which leaves out the NULs and writes compact JSON; a client names its device.
        """
        go = self.random.random() < 0.3
        client = not go and self.random.random() < 0.5
        creator = f"{self.random.getrandbits(160):040x}" if client else ZERO
        ctime = self.now
        end = b"" if go else b"\0"
        digest = hashlib.sha1(b"".join(text.encode("utf-8") + end for text in (root, creator, library["owner"], description)))
        digest.update(struct.pack(">q", ctime))
        document: dict[str, t.Any] = {
            "commit_id": digest.hexdigest(), "root_id": root, "repo_id": library["id"], "creator_name": library["owner"], "creator": creator,
            "description": description, "ctime": ctime, "parent_id": library.get("head"), "second_parent_id": None,
            "repo_name": library["name"], "repo_desc": "", "repo_category": None,
        }
        if client:
            document.update(device_name="desk", client_version="9.0.5")
        if library["encrypted"]:
            document.update(encrypted="true", enc_version=2, magic=library["magic"], key=library["key"])
        elif go:
            document.update(encrypted="false")
        document.update(no_local_history=1, version=1)
        content = json.dumps(document, ensure_ascii=False, separators=(",", ":") if go else None).encode("utf-8")
        self._write("commits", library["id"], document["commit_id"], content)
        library.update(head=document["commit_id"], root=root)

    # -- the tree ------------------------------------------------------------------------------------------------

    def _look(self, folder: Folder) -> Folder:
        """Read a directory of an earlier run."""
        if not folder.loaded:
            for entry in self._read_fs(folder.id)["dirents"]:
                if entry["mode"] == 16384:
                    folder.folders[entry["name"]] = Folder(folder, entry["id"], entry["mtime"])
                else:
                    folder.files[entry["name"]] = json.dumps(entry, ensure_ascii=False)
            folder.loaded = True
        return folder

    def _pick(self) -> Folder:
        """Any directory; the root when there is not enough left for the path to a deeper one."""
        folder = self._look(self.root)
        while self.left >= ENOUGH and folder.folders and self.random.random() < 0.8:
            folder = self._look(self.random.choice(list(folder.folders.values())))
        return folder

    def _touch(self, folder: Folder | None) -> None:
        """The directory and all above it will be written with the next commit."""
        while folder is not None and not folder.dirty:
            folder.dirty = True
            folder.mtime = self.now
            self.pending += 1
            folder = folder.above

    def _save(self, folder: Folder) -> str:
        """Write a directory and what has changed below it; its id. Servers sort the entries from z to a."""
        if folder.dirty:
            texts = dict(folder.files)
            for name, below in folder.folders.items():
                name_text = json.dumps(name, ensure_ascii=False)
                texts[name] = f'{{"id": "{self._save(below)}", "mode": 16384, "mtime": {below.mtime}, "name": {name_text}}}'
            entries = ", ".join(texts[name] for name in sorted(texts, reverse=True))
            folder.id = self._fs(f'{{"dirents": [{entries}], "type": 3, "version": 1}}') if texts else ZERO
            folder.dirty = False
            self.pending -= 1
        return folder.id

    def _name(self, folder: Folder, ending: str = "") -> str:
        while True:
            name = f"{self.random.choice(WORDS)} {self.random.getrandbits(32):08x}{ending}"
            if name not in folder.files and name not in folder.folders:
                return name

    def _new_folder(self, beside: Folder) -> Folder:
        """A new directory in I(beside) or, where that is full or deep, above it, where all will be written anyway."""
        above = beside
        while above.above is not None and (len(above.folders) >= MOST_FOLDERS or above.depth >= MOST_DEPTH or self.random.random() < 0.3):
            above = above.above
        folder = Folder(above, ZERO, self.now)
        above.folders[self._name(above)] = folder
        self._touch(folder)
        return folder

    def _new_file(self, folder: Folder, blocks: int) -> None:
        parts = [self._block() for dummy in range(blocks)]
        size = sum(part[1] for part in parts)
        name = self._name(folder, "." + self.random.choice(ENDINGS))
        self._enter(folder, name, self._file([part[0] for part in parts], size), size)

    def _enter(self, folder: Folder, name: str, object_id: str, size: int) -> None:
        folder.files[name] = json.dumps({
            "id": object_id, "mode": 33188, "modifier": self.library["owner"], "mtime": self.now, "name": name, "size": size,
        }, ensure_ascii=False)
        self.fresh.add((id(folder), name))

    def _edit_file(self, folder: Folder, blocks: int) -> bool:
        """Give one file of the directory I(blocks) other blocks; False when there is none that a commit holds already."""
        names = [name for name in folder.files if (id(folder), name) not in self.fresh]
        if not names:
            return False
        name = self.random.choice(names)
        entry = json.loads(folder.files[name])
        if entry["id"] == ZERO:
            return False
        old = self._read_fs(entry["id"])["block_ids"]
        at = self.random.randrange(len(old))
        parts = [self._block() for dummy in range(blocks)]
        size = entry["size"] + sum(part[1] for part in parts)
        size -= sum(os.stat(self._path("blocks", self.store, block)).st_size for block in old[at:at + blocks])
        self._enter(folder, name, self._file(old[:at] + [part[0] for part in parts] + old[at + blocks:], size), size)
        return True

    # -- one commit after another --------------------------------------------------------------------------------

    def _fill(self, folder: Folder, objects: int) -> None:
        """New and changed files in I(folder) and new directories, until the commit will bring exactly I(objects) objects."""
        self._touch(folder)
        room = objects - self.pending - 1
        while room > 0:
            if len(folder.files) >= MOST_FILES and room > 3:
                folder = self._new_folder(folder)
                room -= 1
            blocks = self.random.choices((1, 2, self.random.randint(3, 8)), (70, 20, 10))[0]
            # A file has at least one block, so that one object alone must not remain.
            blocks = room - 1 if blocks + 1 > room else blocks + (room - blocks - 1 == 1)
            if not (self.blocks_are_kept and self.random.random() < 0.15 and self._edit_file(folder, blocks)):
                self._new_file(folder, blocks)
            room -= blocks + 1
        if self.random.random() < 0.02:
            self._enter(folder, self._name(folder, ".txt"), ZERO, 0)

    def _upload(self, keep: int = 0) -> None:
        """One commit with new files: many of a few objects, few of hundreds. I(keep) objects, or more, stay for later."""
        objects = round(math.exp(self.random.uniform(math.log(ENOUGH // 2), math.log(400))))
        if self.left - keep - objects < ENOUGH:
            objects = self.left - keep
        self._fill(self._pick(), objects)
        self._end("Added or modified files.\n")

    def _remove(self) -> None:
        """One commit without a file that was there."""
        folder = self._pick()
        names = sorted(name for name in folder.files if (id(folder), name) not in self.fresh)
        if names:
            name = self.random.choice(names)
            del folder.files[name]
            self._touch(folder)
            self._end(f'Deleted "{name}"')

    def _end(self, description: str) -> None:
        self.commit(self.library, self._save(self.root), description)
        self.fresh.clear()

    def _forget(self) -> None:
        """The oldest fifth of the library: its blocks have been collected as garbage, its commits and fs objects are there."""
        before = self.plan.objects * 4 // 5
        self.blocks_are_kept = False
        while self.left > before:
            self._fill(self._pick(), ENOUGH + self.random.randrange(40))
            self._end("Added files.\n")
        self.blocks_are_kept = True
        self.root = Folder(None, ZERO, self.now)
        self._end("Deleted everything")

    def _share(self, sub: dict[str, t.Any], merged: bool) -> None:
        """Make a sub-library of a directory, and write to it; what is not merged yet only it can reach."""
        folder = self.root
        while folder.folders and (folder is self.root or self.random.random() < 0.3):
            folder = self._look(self.random.choice(list(folder.folders.values())))
        if folder is self.root:
            folder = self._new_folder(folder)
            self._fill(folder, ENOUGH)
            self._end("Added a directory.\n")
        names = []
        above: Folder | None = folder
        while above is not None and above.above is not None:
            names.append(next(name for name, below in above.above.folders.items() if below is above))
            above = above.above
        sub.update(path="/" + "/".join(reversed(names)), base=self.library["head"])
        self.commit(sub, folder.id, sub["name"])
        self._fill(folder, ENOUGH)
        self.commit(sub, self._save(folder), "Added files.\n")
        if merged:
            self._end("Changed in a sub-library.\n")
            sub["base"] = self.library["head"]
        # Without a merge they stay fresh: some may lie beside the directory, where only the library's next commit finds them.

    def grow(self) -> Done:
        """Commit until the library has as many objects as planned."""
        subs = [dict(sub) for sub in self.plan.subs]
        if not self.library.get("head"):
            self.commit(self.library, ZERO, "Created library")
            if self.plan.limited:
                self._forget()
            while subs and self.left > self.plan.objects // 2:
                self._upload(keep=self.plan.objects // 4)
            for number, sub in enumerate(subs):
                self._share(sub, merged=number % 2 == 0)
        while self.left > 0:
            if self.left == 1 and not self.pending:
                # a directory that came back to what it was before is no new object; a commit alone can have the tree of the one before
                self.commit(self.library, self.library["root"], "Changed library name or description")
            elif self.left > 200 and self.random.random() < 0.1:
                self._remove()
            else:
                self._upload()
        if self.left:
            raise RuntimeError(f"{self.library['name']} has {-self.left} objects too many")
        self.library["objects"] += sum(self.objects.values())
        return Done([self.library, *subs], self.objects, self.bytes, self.legally_missing)


@functools.lru_cache(maxsize=1)
def _noise(seed: int, size: int) -> bytes:
    """Bytes that do not compress; every block is a piece of them behind 16 bytes of its own."""
    return random.Random(seed).getrandbits(8 * size).to_bytes(size, "big")


def _grow(plan: Plan) -> Done:
    return Family(plan).grow()


def _grow_all(plans: list[Plan], processes: int) -> list[Done]:
    """All plans in their order; the large ones begin first."""
    order = sorted(range(len(plans)), key=lambda number: -plans[number].objects)
    done: dict[int, Done] = {}
    if processes == 1:
        done = {number: _grow(plans[number]) for number in order}
    else:
        with multiprocessing.get_context("fork").Pool(processes) as pool:
            for number, result in zip(order, pool.imap(_grow, [plans[number] for number in order], chunksize=1)):
                done[number] = result
    return [done[number] for number in range(len(plans))]


# -- a deployment ------------------------------------------------------------------------------------------------------


def _library(chance: random.Random, number: int, name: str, **more: t.Any) -> dict[str, t.Any]:
    digits = f"{chance.getrandbits(128):032x}"
    result: dict[str, t.Any] = {
        "id": "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])), "name": name,
        "owner": f"user{number % 40}@example.org", "kind": "live", "days": None, "encrypted": False, "origin": None, "path": None, "base": None,
        "head": None, "root": ZERO, "objects": 0,
    }
    result.update(more)
    if result["encrypted"]:
        result.update(magic=f"{chance.getrandbits(256):064x}", key=f"{chance.getrandbits(384):096x}")
    return result


def _shares(objects: int, libraries: int) -> list[int]:
    """How many objects each library has: like 1/rank above the smallest, together exactly I(objects)."""
    rest = objects - SMALLEST * libraries
    total = sum(1 / rank for rank in range(1, libraries + 1))
    shares = [SMALLEST + int(rest / total / rank) for rank in range(1, libraries + 1)]
    shares[0] += objects - sum(shares)
    return shares


def generate(
    directory: str, objects: int, libraries: int = 200, seed: int = 1, block_bytes: tuple[int, int] = (300, 65536), processes: int = 0,
) -> dict[str, t.Any]:
    """Make the deployment in I(directory), which must not hold one, and return what store.json says.

    :arg objects: commits, fs objects and blocks together; exactly that many are written.
    :arg libraries: without their sub-libraries, which come on top. Fewer are made when that many would be too small.
    :arg block_bytes: the smallest and largest size of a block; sizes between are as likely on a logarithmic scale.
    :arg processes: 0: one per CPU.
    """
    if objects < SMALLEST:
        raise ValueError(f"there must be at least {SMALLEST} objects")
    if not 1 <= block_bytes[0] <= block_bytes[1]:
        raise ValueError("the sizes of blocks must be 1 or more, the smaller one first")
    if os.path.exists(os.path.join(directory, "store.json")) or os.path.exists(os.path.join(directory, "haiwen")):
        raise FileExistsError(f"{directory} holds a deployment already")
    libraries = max(1, min(libraries, objects // (2 * SMALLEST)))
    storage = make_surroundings(directory)
    chance = random.Random(f"{seed} {objects} {libraries}")
    plans = []
    for number, share in enumerate(_shares(objects, libraries)):
        limited = number == 3
        library = _library(
            chance, number, f"Library {number}" if number % 3 else f"Ann's \\ Bibliothek ä {number}",
            kind="trash" if number % 50 == 7 else "live", days=LIMIT_DAYS if limited else None, encrypted=number % 10 == 4)
        subs = [
            _library(chance, number, f"Shared {number}.{count}", owner=library["owner"], origin=library["id"])
            for count in range({0: 2, 2: 1, 5: 1}.get(number, 0) if share >= 20 * ENOUGH else 0)]
        plans.append(Plan(
            storage, f"{seed} {objects} {number}", seed, block_bytes, share, FIRST_DUMP - HISTORY_DAYS * DAY, FIRST_DUMP, library, subs, limited))
    state: dict[str, t.Any] = {
        "format": FORMAT, "seed": seed, "asked": objects, "block_bytes": list(block_bytes), "generation": 0, "moment": FIRST_DUMP,
        "objects": dict.fromkeys(KINDS, 0), "bytes": dict.fromkeys(KINDS, 0), "legally_missing": 0, "libraries": [],
    }
    return _finish(directory, state, _grow_all(plans, processes or os.cpu_count() or 1))


def change(directory: str, percent: float, processes: int = 0) -> dict[str, t.Any]:
    """Add I(percent) % of objects to at most ten libraries of the deployment in I(directory); return what store.json says now."""
    state = read_state(directory)
    state["generation"] += 1
    chance = random.Random(f"{state['seed']} change {state['generation']}")
    origins = [library for library in state["libraries"] if library["kind"] == "live" and not library["origin"]]
    objects = max(SMALLEST, round(sum(state["objects"].values()) * percent / 100))
    chosen = chance.sample(origins, max(1, min(10, len(origins), objects // SMALLEST)))
    began, state["moment"] = state["moment"], state["moment"] + DAY
    share, over = divmod(objects, len(chosen))
    plans = [
        Plan(os.path.join(directory, "haiwen", "seafile-data", "storage"), f"{state['seed']} change {state['generation']} {number}",
             state["seed"], tuple(state["block_bytes"]), share + (over if number == 0 else 0), began + 1, state["moment"], library, [], False)
        for number, library in enumerate(chosen)]
    return _finish(directory, state, _grow_all(plans, processes or os.cpu_count() or 1))


def _finish(directory: str, state: dict[str, t.Any], results: list[Done]) -> dict[str, t.Any]:
    """Write the dump and, last, store.json."""
    libraries = {library["id"]: library for library in state["libraries"]}
    for result in results:
        libraries.update((library["id"], library) for library in result.libraries)
        for kind in KINDS:
            state["objects"][kind] += result.objects[kind]
            state["bytes"][kind] += result.bytes[kind]
        state["legally_missing"] += result.legally_missing
    state["libraries"] = list(libraries.values())
    write_dump(os.path.join(directory, "databases", "seafile-db.sql.gz"), state)
    path = os.path.join(directory, "store.json")
    with open(path + ".partial", "w", encoding="utf-8") as stream:
        json.dump(state, stream, indent=1)
    os.rename(path + ".partial", path)
    return state


def read_state(directory: str) -> dict[str, t.Any]:
    """What store.json of the deployment in I(directory) says."""
    with open(os.path.join(directory, "store.json"), encoding="utf-8") as stream:
        return json.load(stream)


def ids(directory: str) -> t.Iterator[str]:
    """The paths of all objects as they lie on disk, C(kind/store/2/38), sorted."""
    root = os.path.join(directory, "haiwen", "seafile-data", "storage")
    for kind in KINDS:
        for store in sorted(os.listdir(os.path.join(root, kind))):
            for prefix in sorted(os.listdir(os.path.join(root, kind, store))):
                for name in sorted(os.listdir(os.path.join(root, kind, store, prefix))):
                    yield f"{kind}/{store}/{prefix}/{name}"


def digest(directory: str) -> str:
    """The SHA-256 of :func:`ids`, a line each."""
    result = hashlib.sha256()
    for path in ids(directory):
        result.update(path.encode("ascii") + b"\n")
    return result.hexdigest()


# -- the command -------------------------------------------------------------------------------------------------------


def sizes(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    return int(low), int(high if dash else low)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write a Seafile deployment of any size for measurements, or change one.")
    parser.add_argument("directory")
    parser.add_argument("--objects", type=int, default=100000, help="commits, fs objects and blocks together (default: %(default)s)")
    parser.add_argument("--libraries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--block-bytes", type=sizes, default=(300, 65536), metavar="MIN-MAX", help="default: 300-65536")
    parser.add_argument("--processes", type=int, default=0, help="default: one per CPU")
    parser.add_argument("--change", type=float, metavar="PERCENT", help="go on with the deployment that is there")
    parser.add_argument("--digest", action="store_true", help="print the SHA-256 of the sorted list of all objects too")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        if options.change is None:
            state = generate(options.directory, options.objects, options.libraries, options.seed, options.block_bytes, options.processes)
        else:
            state = change(options.directory, options.change, options.processes)
    except (OSError, ValueError) as error:
        print(f"generate.py: {error}", file=sys.stderr)
        return 1
    numbers = [f"{state['objects'][kind]} {kind}" for kind in KINDS]
    print(f"{sum(state['objects'].values())} objects ({', '.join(numbers)}), "
          f"{sum(state['bytes'].values()) / 1e6:.0f} MB, {len(state['libraries'])} libraries, in {time.monotonic() - began:.1f} s")
    if options.digest:
        print(digest(options.directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
