# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import calendar
import errno
import fcntl
import hashlib
import json
import os
import resource
import stat
import struct
import time
import tracemalloc
import zlib

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import library_crypto, plain_files
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.library_backups import Backup, tree_of
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import ZERO, Maker

TIME = 1600000000
FORETOLD = ("changed", "written", "written_bytes", "equal", "folders", "times", "diff")


def file_entry(name, key, size=1, mtime=TIME):
    return {"id": key, "mode": 33188, "modifier": "a@example.org", "mtime": mtime, "name": name, "size": size}


def folder_entry(name, key, mtime=TIME):
    return {"id": key, "mode": 16384, "mtime": mtime, "name": name}


class Made:
    """One library, made object by object."""

    def __init__(self, tmp_path):
        self.tmp_path = tmp_path
        self.maker = Maker(tmp_path / "storage")
        self.library = self.maker.library_id()
        self.dest = tmp_path / "dest"

    def file(self, *contents):
        return self.maker.file(self.library, *contents)

    def folder(self, *entries):
        return self.maker.fs(self.library, {"dirents": list(entries), "type": 3, "version": 1})

    def lose(self, kind, key):
        os.unlink(self.maker.path(kind, self.library, key))

    def backup(self, root, **commit):
        self.maker.library(self.maker.commit(self.library, root, name="Made", **commit), self.library, "Made")
        self.maker.dump(self.tmp_path / "dump.sql")
        return Backup(self.tmp_path / "backup", "files.example.org", self.maker.root, self.tmp_path / "dump.sql")


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path)


def failure(call, *arguments, **params):
    """Return the error without its traceback, which would keep the frames of the call, and with them the set in its place."""
    try:
        call(*arguments, **params)
    except SeafileError as error:
        return error.with_traceback(None)
    return pytest.fail("it did not fail")


# -- real libraries ----------------------------------------------------------------------------------------------------


def read_back(dest):
    """{/path: sha256} of the files and [/path] of the folders."""
    found = tree_of(dest)
    files = {f"/{path}": hashlib.sha256(content).hexdigest() for path, content in found.items() if content is not None}
    return files, sorted(f"/{path}" for path, content in found.items() if content is None)


@pytest.mark.parametrize("name", real_sets.NAMES)
def test_every_file_of_every_library_of_a_real_server_comes_out_as_it_was(tmp_path, name):
    haiwen = real_sets.unpack(name, tmp_path)
    backup = Backup(tmp_path / "backup", name, haiwen / "seafile-data" / "storage", real_sets.dump(name, haiwen, tmp_path))
    manifest = real_sets.manifest(name)
    passwords = manifest["passwords_of_encrypted_libraries"]
    listed = {row["id"]: row for row in backup.info()["libraries"]}
    before = tree_of(haiwen)
    kinds = set()
    for library in manifest["libraries"]:
        dest = tmp_path / "out" / library["id"]
        wanted = {path: file["sha256"] for path, file in library["files"].items()}
        password = passwords.get(library["id"])
        told = backup.export(dest, check_mode=True, library=library["id"], password=password)
        assert not dest.exists()
        result = backup.export(dest, library=library["id"], password=password)
        assert read_back(dest) == (wanted, sorted(library["dirs"])), library["name"]
        assert result["written"] == len(wanted) and result["written_bytes"] == sum(file["size"] for file in library["files"].values())
        assert result["changed"] and {key: told.get(key) for key in FORETOLD} == {key: result.get(key) for key in FORETOLD}
        again = backup.export(dest, library=library["id"], password=password)
        assert not again["changed"] and again["equal"] == len(wanted) and again["written"] == 0
        row = listed[library["id"]]
        assert (row["name"], row["head"], row["encrypted"], row["enc_version"], row["kind"]) == (
            library["name"], library["head"], library["encrypted"], library["enc_version"], "live")
        assert row["bytes"] in (None, sum(file["size"] for file in library["files"].values()))
        kinds.add((library["encrypted"] and library["enc_version"], library["virtual"]))
    assert kinds == {(False, False), (False, True), (2, False), (4, False)}
    for item in manifest["trash"]:
        assert listed[item["id"]]["kind"] == "trash" and listed[item["id"]]["owner"] == item["owner"]
        backup.export(tmp_path / "trash", library=item["name"])
        assert read_back(tmp_path / "trash")[0] == dict([item["files"]])
    assert tree_of(haiwen) == before


def test_one_folder_one_file_an_older_state_and_the_times_of_a_real_library(tmp_path):
    name = "seafile-11-mariadb"
    haiwen = real_sets.unpack(name, tmp_path)
    backup = Backup(tmp_path / "backup", name, haiwen / "seafile-data" / "storage", real_sets.dump(name, haiwen, tmp_path))
    documents = next(library for library in real_sets.manifest(name)["libraries"] if library["name"] == "Alice documents")
    backup.export(tmp_path / "folder", library="Alice documents", path="/Projekte")
    wanted = {path[len("/Projekte"):]: file["sha256"] for path, file in documents["files"].items() if path.startswith("/Projekte/")}
    assert len(wanted) == 5 and read_back(tmp_path / "folder")[0] == wanted
    backup.export(tmp_path / "file", library=documents["id"], path="/big/large-20MiB.bin")
    assert read_back(tmp_path / "file") == ({"/large-20MiB.bin": documents["files"]["/big/large-20MiB.bin"]["sha256"]}, [])

    def check_times(path, dest):
        for entry in backup.info(library=documents["id"], path=path)["entries"]:
            status = os.lstat(dest / entry["name"])
            text = entry["modified"]
            assert text and abs(status.st_mtime - calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))) < 1
            assert stat.S_IMODE(status.st_mode) == (0o700 if entry["type"] == "folder" else 0o600)
            if entry["type"] == "folder":
                check_times(f"{path}/{entry['name']}", dest / entry["name"])

    check_times("/Projekte", tmp_path / "folder")
    commits = backup.info(library="History", history=1000)["commits"]
    assert len(commits) > 50 and commits == sorted(commits, key=lambda row: row["time"], reverse=True)
    first = commits[-1]["commit"]
    states = {row["commit"]: backup.info(library="History", commit=row["commit"])["entries_total"] for row in (commits[0], commits[-1])}
    assert states[first] == 0 and states[commits[0]["commit"]] == 6
    middle = commits[len(commits) // 2]["commit"]
    backup.export(tmp_path / "then", library="History", commit=middle)
    now = next(library for library in real_sets.manifest(name)["libraries"] if library["name"] == "History")
    then = read_back(tmp_path / "then")[0]
    assert then and then != {path: file["sha256"] for path, file in now["files"].items()}


@pytest.mark.parametrize("password, code", [(None, "library-password-missing"), ("", "library-password-missing"), ("geheim-3", "library-password-wrong")])
def test_an_encrypted_library_without_its_password_writes_nothing(tmp_path, password, code):
    name = "seafile-11-sqlite"
    haiwen = real_sets.unpack(name, tmp_path)
    backup = Backup(tmp_path / "backup", name, haiwen / "seafile-data" / "storage", real_sets.dump(name, haiwen, tmp_path))
    error = failure(backup.export, tmp_path / "out", library="Encrypted v4", password=password)
    assert error.code == code and not (tmp_path / "out").exists()
    assert backup.info(library="Encrypted v4")["entries_total"] > 0


# -- damage ------------------------------------------------------------------------------------------------------------


def damaged_library(made):
    lost, flipped, cut, gone, strange = (made.file(text.encode() * 100) for text in ("lost", "flipped", "cut", "gone", "strange"))
    blocks = {text: hashlib.sha1(text.encode() * 100).hexdigest() for text in ("lost", "flipped", "cut", "strange")}
    short = made.maker.fs(made.library, {"block_ids": [blocks["strange"]], "size": 9999, "type": 1, "version": 1})
    long = made.maker.fs(made.library, {"block_ids": [blocks["strange"]] * 3, "size": 700, "type": 1, "version": 1})
    inside = made.folder(file_entry("inside", made.file(b"inside")))
    lost_folder = made.folder(file_entry("never seen", made.file(b"never")))
    root = made.folder(
        file_entry("a-whole", made.file(b"whole", b"two")), file_entry("b-lost", lost), file_entry("c-flipped", flipped), file_entry("d-cut", cut),
        file_entry("e-gone", gone), file_entry("f-short", short), file_entry("g-long", long), file_entry("h-a-folder", inside),
        folder_entry("i-a-file", lost), folder_entry("lost", lost_folder), folder_entry("whole", inside), file_entry("z-last", made.file(b"last")))
    backup = made.backup(root)
    made.lose("blocks", blocks["lost"])
    for text, content in (("flipped", b"Flipped" + b"flipped" * 99), ("cut", b"")):
        with open(made.maker.path("blocks", made.library, blocks[text]), "wb") as stream:
            stream.write(content)
    made.lose("fs", gone)
    made.lose("fs", lost_folder)
    return backup, blocks, {"gone": gone, "short": short, "long": long, "inside": inside, "lost": lost, "lost_folder": lost_folder}


def test_what_is_damaged_is_not_written_and_told_and_the_rest_is_there(made):
    backup, blocks, keys = damaged_library(made)
    error = failure(backup.export, made.dest, library="Made")
    assert error.code == "export-incomplete" and error.details["changed"] is True
    assert tree_of(made.dest) == {"a-whole": b"wholetwo", "whole": None, "whole/inside": b"inside", "z-last": b"last"}
    assert {row["path"]: (row["kind"], row["id"], row["damage"]) for row in error.details["damaged"]} == {
        "/b-lost": ("blocks", blocks["lost"], "missing"), "/c-flipped": ("blocks", blocks["flipped"], "wrong-hash"),
        "/d-cut": ("blocks", blocks["cut"], "empty"), "/e-gone": ("fs", keys["gone"], "missing"),
        "/f-short": ("fs", keys["short"], "mismatch"), "/g-long": ("fs", keys["long"], "mismatch"),
        "/h-a-folder": ("fs", keys["inside"], "unparsable"), "/i-a-file": ("fs", keys["lost"], "unparsable"),
        "/lost": ("fs", keys["lost_folder"], "missing")}
    assert error.details["damaged_total"] == 9 and error.details["written"] == 3
    assert "9 damaged" in error.message and "/b-lost: block" in error.message
    assert any(blocks["flipped"] in line for line in error.details["report"])


def test_a_damaged_block_is_not_taken_for_a_different_file_that_stands_there(made):
    content = b"content of three pieces" * 150000
    backup = made.backup(made.folder(file_entry("a.txt", made.file(content), len(content))))
    backup.export(made.dest, library="Made")
    with open(made.maker.path("blocks", made.library, hashlib.sha1(content).hexdigest()), "r+b") as stream:
        stream.write(b"k")
    error = failure(backup.export, made.dest, library="Made")
    assert [row["damage"] for row in error.details["damaged"]] == ["wrong-hash"] and error.details["conflicts"] == []
    assert tree_of(made.dest) == {"a.txt": content}


@pytest.mark.parametrize("what", ["head", "root"])
def test_a_library_whose_head_or_own_folder_is_damaged_is_told_and_an_older_state_still_comes_out(made, what):
    old = made.maker.commit(made.library, made.folder(file_entry("old", made.file(b"old"))), name="Made")
    root = made.folder(file_entry("new", made.file(b"new")))
    backup = made.backup(root, parent=old)
    head = backup.info()["libraries"][0]["head"]
    made.lose("commits" if what == "head" else "fs", head if what == "head" else root)
    error = failure(backup.export, made.dest, library=made.library)
    assert error.code == ("library-damaged" if what == "head" else "export-incomplete") and tree_of(made.dest) == {}
    assert failure(backup.info, library=made.library).code == "library-damaged"
    assert bool(backup.info()["libraries"][0]["damage"]) == (what == "head")
    backup.export(made.dest, library=made.library, commit=old)
    assert tree_of(made.dest) == {"old": b"old"}


# -- what stands there already, and interruptions ------------------------------------------------------------------------


def test_nothing_that_is_there_is_overwritten(made):
    backup = made.backup(made.folder(
        file_entry("equal", made.file(b"equal")), file_entry("longer", made.file(b"mine")), file_entry("other", made.file(b"mine")),
        file_entry("is-folder", made.file(b"x")), folder_entry("is-file", made.folder(file_entry("x", made.file(b"x")))),
        file_entry("is-link", made.file(b"x")), folder_entry("is-linked", made.folder(file_entry("passwd", made.file(b"x")))),
        file_entry("fifo", made.file(b"x")), file_entry("new", made.file(b"new"))))
    outside = made.tmp_path / "outside"
    outside.mkdir()
    made.dest.mkdir()
    for name, content in (("equal", b"equal"), ("longer", b"their"), ("other", b"ours"), ("is-file", b"a file"), ("foreign", b"foreign")):
        (made.dest / name).write_bytes(content)
    (made.dest / "is-folder").mkdir()
    os.symlink(outside / "target", made.dest / "is-link")
    os.symlink(outside, made.dest / "is-linked")
    os.mkfifo(made.dest / "fifo")
    inodes = {name: os.lstat(made.dest / name).st_ino for name in os.listdir(made.dest)}
    for check_mode in (True, False):
        error = failure(backup.export, made.dest, check_mode=check_mode, library="Made")
        assert error.code == "export-incomplete"
        assert sorted(row["path"] for row in error.details["conflicts"]) == [
            "/fifo", "/is-file", "/is-folder", "/is-link", "/is-linked", "/longer", "/other"]
        assert error.details["equal"] == 1 and error.details["written"] == 1
        assert (made.dest / "new").exists() != check_mode
    assert (made.dest / "new").read_bytes() == b"new" and os.listdir(outside) == []
    assert {name: os.lstat(made.dest / name).st_ino for name in inodes} == inodes
    assert (made.dest / "other").read_bytes() == b"ours" and (made.dest / "longer").read_bytes() == b"their"


def test_an_interrupted_export_is_completed_by_the_next_one(made, monkeypatch):
    files = [made.file(f"file {number}".encode()) for number in range(6)]
    backup = made.backup(made.folder(
        *(file_entry(f"{number}", key) for number, key in enumerate(files[:3])),
        folder_entry("folder", made.folder(*(file_entry(f"{number}", key) for number, key in enumerate(files[3:]))))))
    real = plain_files._write_all
    calls = []

    def killed(stream, piece):
        calls.append(piece)
        if len(calls) == 5:
            real(stream, piece[:2])
            os._exit(9)
        real(stream, piece)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(plain_files, "_write_all", killed)
        backup.export(made.dest, library="Made")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    left = tree_of(made.dest)
    assert sum(content is not None and path.endswith(".seafleet-partial") for path, content in left.items()) == 1
    assert all(path.endswith(".seafleet-partial") or content is None or content.startswith(b"file ") for path, content in left.items())
    result = backup.export(made.dest, library="Made")
    assert (result["equal"], result["written"]) == (4, 2)
    written = {"0": b"file 0", "1": b"file 1", "2": b"file 2", "folder/0": b"file 3", "folder/1": b"file 4", "folder/2": b"file 5"}
    assert tree_of(made.dest) == dict(written, folder=None)
    assert os.stat(made.dest / "folder").st_mtime == TIME
    assert not backup.export(made.dest, library="Made")["changed"]


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(made, monkeypatch):
    below = made.folder(file_entry("b", made.file(b"b")))
    backup = made.backup(made.folder(folder_entry("f", made.folder(file_entry("a", made.file(b"a")), folder_entry("g", below)))))
    outside = made.tmp_path / "outside"
    (outside / "g").mkdir(parents=True)
    real = plain_files._write_all

    def swapped(stream, piece):
        real(stream, piece)
        if bytes(piece) == b"a":
            os.rename(made.dest / "f", made.tmp_path / "aside")
            os.symlink(outside, made.dest / "f")

    monkeypatch.setattr(plain_files, "_write_all", swapped)
    error = failure(backup.export, made.dest, library="Made")
    assert [row["path"] for row in error.details["conflicts"]] == ["/f/g"]
    assert tree_of(outside) == {"g": None} and tree_of(made.tmp_path / "aside") == {"a": b"a"}


def test_a_time_that_was_changed_is_put_right_and_said(made):
    backup = made.backup(made.folder(file_entry("a", made.file(b"a")), folder_entry("f", made.folder())))
    backup.export(made.dest, library="Made")
    os.utime(made.dest / "a", (1, 1))
    os.utime(made.dest / "f", (1, 1))
    assert backup.export(made.dest, check_mode=True, library="Made")["times"] == 2
    assert os.stat(made.dest / "a").st_mtime == 1
    result = backup.export(made.dest, library="Made")
    assert result["changed"] and result["times"] == 2 and result["written"] == 0
    assert os.stat(made.dest / "a").st_mtime == TIME and os.stat(made.dest / "f").st_mtime == TIME


def test_the_umask_holds(made):
    backup = made.backup(made.folder(file_entry("a", made.file(b"a")), folder_entry("f", made.folder())))
    before = os.umask(0o277)
    try:
        backup.export(made.dest, library="Made")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(os.lstat(made.dest / name).st_mode) for name in ("a", "f")] == [0o400, 0o500]


def test_two_exports_to_one_place_are_kept_apart(made):
    backup = made.backup(made.folder(file_entry("a", made.file(b"a"))))
    made.dest.mkdir()
    held = os.open(made.dest, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert failure(backup.export, made.dest, library="Made").code == "export-dest"
    os.close(held)
    assert backup.export(made.dest, library="Made")["written"] == 1


# -- names, and content made to harm -----------------------------------------------------------------------------------


def test_names_that_are_none_are_refused_and_never_leave_the_destination(made):
    harm = made.file(b"harm")
    inner = made.folder(file_entry("x", harm))
    names = ["..", ".", "", "../escaped", "/etc/escaped", "a/b", "nul\0", "n" * 256, "\ud800", ".0123456789abcdef.seafleet-partial"]
    backup = made.backup(made.folder(
        *(file_entry(name, harm) for name in names), *(folder_entry(name, inner) for name in names), file_entry("n" * 255, made.file(b"long")),
        file_entry("new\nline \x1b[31m -rf $(id) 'ö", made.file(b"odd")), file_entry("bytes \udcff", made.file(b"bytes"))))
    before = tree_of(made.tmp_path)
    error = failure(backup.export, made.dest, library="Made")
    assert error.code == "export-incomplete" and error.details["refused_total"] == 2 * len(names) and error.details["damaged"] == []
    assert tree_of(made.dest) == {"n" * 255: b"long", "new\nline \x1b[31m -rf $(id) 'ö": b"odd", "bytes \udcff": b"bytes"}
    assert {path: content for path, content in tree_of(made.tmp_path).items() if path.partition("/")[0] != "dest"} == before
    json.dumps(error.details, ensure_ascii=False).encode("utf-8")
    assert "\x1b" not in error.message and "\n" not in error.message
    result = backup.export(made.dest, library="Made", accept_refused=True)
    assert result["refused_total"] == 2 * len(names) and not result["changed"]


def test_accepted_names_do_not_cover_damage(made):
    backup = made.backup(made.folder(file_entry("..", made.file(b"x")), file_entry("lost", "ab" * 20)))
    assert failure(backup.export, made.dest, library="Made", accept_refused=True).code == "export-incomplete"


def test_two_entries_of_one_name_are_told(made):
    backup = made.backup(made.folder(file_entry("a", made.file(b"one")), file_entry("a", made.file(b"two")), folder_entry("a", made.folder())))
    error = failure(backup.export, made.dest, library="Made")
    assert tree_of(made.dest) == {"a": b"one"} and error.details["conflicts_total"] == 2


@pytest.mark.parametrize("name, why", [("d" * 60, "longer than 4095 bytes"), ("d", "deeper than 500 folders")])
def test_a_tower_of_folders_ends_where_other_programs_end_and_needs_few_open_files(made, name, why):
    key = made.folder(file_entry("x", made.file(b"deep")))
    for dummy in range(600):
        key = made.folder(folder_entry(name, key))
    backup = made.backup(key)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 10, limits[1]))
    try:
        error = failure(backup.export, made.dest, library="Made")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert error.code == "export-incomplete" and error.details["refused_total"] == 1 and why in error.details["refused"][0]["cause"]
    assert len(os.listdir("/proc/self/fd")) == opened


def test_a_few_objects_that_name_each_other_into_a_universe_are_stopped_before_anything_is_written(made, monkeypatch):
    monkeypatch.setattr(plain_files, "MOST_ENTRIES", 5000)
    key = made.folder(file_entry("x", made.file(b"x")))
    for dummy in range(60):
        key = made.folder(folder_entry("a", key), folder_entry("b", key))
    backup = made.backup(key)
    assert failure(backup.export, made.dest, library="Made").code == "export-too-large"
    assert tree_of(made.dest) == {}


def test_a_cycle_of_folders_ends_at_the_object_that_has_not_its_id(made):
    key = "ab" * 20
    made.maker.write("fs", made.library, key, zlib.compress(json.dumps(
        {"dirents": [folder_entry("again", key)], "type": 3, "version": 1}).encode()))
    error = failure(made.backup(made.folder(folder_entry("in", key))).export, made.dest, library="Made")
    assert [row["damage"] for row in error.details["damaged"]] == ["wrong-hash"]


@pytest.mark.parametrize("document", [
    [], 7, {}, {"type": 3}, {"type": 3, "dirents": 7}, {"type": 3, "dirents": [7]}, {"type": 3, "dirents": [{"name": "x"}]},
    {"type": 3, "dirents": [{"name": 7, "id": ZERO, "mode": 33188}]}, {"type": 3, "dirents": [{"name": "x", "id": "zz", "mode": 33188}]},
    {"type": 3, "dirents": [{"name": "x", "id": ZERO, "mode": "dir"}]}, {"type": 3, "dirents": [{"name": "x", "id": ZERO, "mode": 1 << 70}]},
    {"type": 1, "block_ids": [], "size": 0}, {"type": 3, "dirents": [{"dirents": []}]},
])
def test_an_object_of_another_form_is_damage_and_never_a_traceback(made, document):
    error = failure(made.backup(made.folder(folder_entry("odd", made.maker.fs(made.library, document)))).export, made.dest, library="Made")
    assert [row["damage"] for row in error.details["damaged"]] == ["unparsable"]


@pytest.mark.parametrize("document", [
    [], {"type": 1}, {"type": 1, "size": -1, "block_ids": []}, {"type": 1, "size": "7", "block_ids": []}, {"type": 1, "size": 0, "block_ids": ["../../x"]},
    {"type": 1, "size": 1 << 80, "block_ids": []}, {"type": 3, "dirents": []}, {"type": 1, "size": 0, "block_ids": [7]},
])
def test_a_file_object_of_another_form_is_damage(made, document):
    error = failure(made.backup(made.folder(file_entry("odd", made.maker.fs(made.library, document)))).export, made.dest, library="Made")
    assert [row["damage"] for row in error.details["damaged"]] == ["unparsable"] and tree_of(made.dest) == {}


def test_a_large_folder_and_a_bomb_of_json_need_bounded_memory(made):
    many = [folder_entry(f"{number:07d}", ZERO) for number in range(60000)]  # above 4 MiB, entries are reduced while they are read
    large = made.folder(*many)
    bomb = b'{"dirents": [' + b"[]," * 5_000_000 + b'[]], "type": 3, "version": 1}'
    key = made.maker.write("fs", made.library, hashlib.sha1(bomb).hexdigest(), zlib.compress(bomb, 1))
    backup = made.backup(made.folder(folder_entry("bomb", key), folder_entry("large", large)))
    length = len(bomb)
    del bomb
    tracemalloc.start()
    entries = backup.info(library="Made", path="/large")["entries_total"]
    error = failure(backup.export, made.dest, library="Made", path="/bomb")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert entries == 60000 and error.code == "export-incomplete" and [row["damage"] for row in error.details["damaged"]] == ["unparsable"]
    assert peak < 4 * length and tree_of(made.dest) == {}


def test_strange_times_and_sizes_of_entries_do_no_harm(made):
    key = made.file(b"x")
    entries = [dict(file_entry(f"{number}", key), mtime=value, size=value) for number, value in enumerate((0, -5, 1 << 70, "7", None, True, 1.5, [1]))]
    result = made.backup(made.folder(*entries, file_entry("absent", key))).export(made.dest, library="Made")
    assert result["written"] == len(entries) + 1 and set(tree_of(made.dest).values()) == {b"x"}


# -- versions, sizes, space --------------------------------------------------------------------------------------------


def test_a_library_of_version_0_comes_out(made):
    content = b"content of an old library"
    block = made.maker.block(made.library, content)
    file = hashlib.sha1(bytes.fromhex(block)).hexdigest()
    made.maker.write("fs", made.library, file, struct.pack(">IQ", 1, len(content)) + bytes.fromhex(block))

    def folder(*entries):
        raw, digest = struct.pack(">I", 3), hashlib.sha1()
        for mode, key, name in entries:
            raw += struct.pack(">I40sI", mode, key.encode(), len(name)) + name
            digest.update(key.encode() + name + struct.pack("<I", mode))
        return made.maker.write("fs", made.library, digest.hexdigest(), raw)

    inner = folder((33188, file, "ä.txt".encode()), (33188, ZERO, b"empty"), (33188, file, b"latin \xe4"))
    backup = made.backup(folder((16384, inner, b"inner"), (16384, ZERO, b"void")), version="absent")
    backup.export(made.dest, library="Made")
    assert tree_of(made.dest) == {"inner": None, "inner/ä.txt": content, "inner/empty": b"", "inner/latin \udce4": content, "void": None}
    entries = backup.info(library="Made", path="/inner")["entries"]
    assert [(row["name"], row["bytes"], row["modified"]) for row in entries] == [("empty", None, None), ("latin \\udce4", None, None), ("ä.txt", None, None)]


def test_a_large_file_needs_no_memory_of_its_size(made):
    piece = bytes(range(256)) * 4096 * 4
    key = made.maker.fs(made.library, {"block_ids": [made.maker.block(made.library, piece)] * 30, "size": len(piece) * 30, "type": 1, "version": 1})
    backup = made.backup(made.folder(file_entry("large", key, len(piece) * 30)))
    tracemalloc.start()
    backup.export(made.dest, library="Made")
    backup.export(made.dest, library="Made")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert os.stat(made.dest / "large").st_size == len(piece) * 30 and peak < 8 * 1024 * 1024


def test_what_cannot_fit_stops_before_anything_is_written_and_says_both_numbers(made, monkeypatch):
    backup = made.backup(made.folder(file_entry("large", made.file(b"x"), 1 << 60)))
    error = failure(backup.export, made.dest, library="Made")
    assert error.code == "no-space" and str(1 << 60) in error.message and tree_of(made.dest) == {}


def test_a_full_disk_leaves_no_half_file_and_says_what_was_written(made, monkeypatch):
    backup = made.backup(made.folder(file_entry("a", made.file(b"a")), file_entry("b", made.file(b"full")), file_entry("c", made.file(b"c"))))
    real = plain_files._write_all

    def full(stream, piece):
        if bytes(piece) == b"full":
            stream.write(b"fu")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(stream, piece)

    monkeypatch.setattr(plain_files, "_write_all", full)
    error = failure(backup.export, made.dest, library="Made")
    assert error.code == "no-space" and "/b" in error.message and error.details["written"] == 1
    assert tree_of(made.dest) == {"a": b"a"}


def test_without_hard_links_a_file_still_gets_its_name_and_never_in_the_place_of_another(made, monkeypatch):
    backup = made.backup(made.folder(file_entry("a", made.file(b"a"))))

    def none(*arguments, **more):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    backup.export(made.dest, library="Made")
    assert tree_of(made.dest) == {"a": b"a"}


# -- what is asked for -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params, code", [
    (dict(library="No such"), "library-unknown"), (dict(library="00000000-0000-4000-8000-000000000000"), "library-unknown"),
    (dict(path="/no/such"), "library-path-unknown"), (dict(path="/f/../a"), "library-path-unknown"), (dict(path="/a/below"), "library-path-unknown"),
    (dict(commit="abc"), "commit-id-invalid"), (dict(commit="../../../etc/passwd"), "commit-id-invalid"), (dict(commit="ab" * 20), "commit-unknown"),
    (dict(set_id="20200101T000000Z"), "no-set"), (dict(set_id="../x"), "no-set"),
])
def test_bad_input_has_a_code_and_writes_nothing(made, params, code):
    backup = made.backup(made.folder(file_entry("a", made.file(b"a")), folder_entry("f", made.folder())))
    assert failure(backup.export, made.dest, **dict(dict(library="Made"), **params)).code == code
    assert not made.dest.exists()


def test_a_destination_that_is_none_is_refused(made):
    backup = made.backup(made.folder(file_entry("a", made.file(b"a"))))
    (made.tmp_path / "file").write_bytes(b"")
    (made.tmp_path / "real").mkdir()
    os.symlink("real", made.tmp_path / "link")
    os.symlink("nowhere", made.tmp_path / "dangling")
    inside = made.tmp_path / "backup" / "files.example.org"
    before = tree_of(made.tmp_path)
    outside = (made.tmp_path / "file", made.tmp_path / "link", f"{made.tmp_path}/link/", made.tmp_path / "dangling")
    for dest in ("relative", *outside, inside, inside / "sets" / "x"):
        assert failure(backup.export, dest, library="Made").code == "export-dest"
    assert tree_of(made.tmp_path) == before


def test_a_dump_that_was_changed_after_sealing_is_not_believed(made):
    backup = made.backup(made.folder())
    with open(backup.set / "databases" / "seafile-db.sql.gz", "ab") as stream:
        stream.write(b"-- more\n")
    assert failure(backup.export, made.dest, library="Made").code == "set-damaged"


def test_the_password_of_the_head_or_of_the_older_state_serves(made, monkeypatch):
    root = made.folder()
    keys = dict(encrypted="true", enc_version=2)
    old = made.maker.commit(made.library, root, name="Made", magic="old", **keys)
    backup = made.backup(root, parent=old, magic="new", **keys)

    def open_library(document, password):
        if document["magic"] != password:
            raise SeafileError("library-password-wrong", "Made", "no")

    from ansible_collections.seafleet.seafile.plugins.modules import library_export
    monkeypatch.setattr(library_export, "open_library", open_library)
    assert library_crypto.HAS_CRYPTOGRAPHY
    for password in ("old", "new"):
        backup.export(made.dest, library="Made", commit=old, password=password)
    assert failure(backup.export, made.dest, library="Made", password="old").code == "library-password-wrong"
