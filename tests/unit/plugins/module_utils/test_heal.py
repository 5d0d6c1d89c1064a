# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import struct
import zlib

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import heal
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import Damage, ObjectStore
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import Maker

RSYNC = shutil.which("rsync")
needs_rsync = pytest.mark.skipif(RSYNC is None, reason="no rsync on this machine")


class Place:
    """A source with one library of every kind of object, and a backup of it."""

    def __init__(self, tmp_path):
        self.maker = Maker(tmp_path / "source")
        self.library = self.maker.library_id()
        self.layout = ServerLayout(str(tmp_path / "backup"), "server1")
        block = self.maker.block(self.library, b"content")
        file = self.maker.fs(self.library, {"block_ids": [block], "size": 7, "type": 1, "version": 1})
        tree = self.maker.directory(self.library, {"a": file})
        commit = self.maker.commit(self.library, tree)
        self.keys = {"blocks": ("blocks", self.library, block), "fs": ("fs", self.library, tree), "commits": ("commits", self.library, commit)}
        shutil.copytree(self.maker.root, self.layout.objects)
        self.note_source()

    def note_source(self, **changes):
        source = dict({"src": self.maker.root, "host": None, "user": None, "port": None, "private_key": None, "known_hosts": None, "host_key_alias": None,
                       "time": "2026-11-23T03:00:00Z"}, **changes)
        os.makedirs(self.layout.state, exist_ok=True)
        write_json(self.layout.source, source)

    def healer(self):
        return heal.Healer(self.layout, lambda: (RSYNC, None))

    def here(self, kind):
        return self.path(self.layout.objects, kind)

    def there(self, kind):
        return self.path(self.maker.root, kind)

    def path(self, root, kind):
        dummy, store, name = self.keys[kind]
        return os.path.join(root, kind, store, name[:2], name[2:])

    def quarantined(self):
        return sorted(os.path.join(folder, name) for folder, dummy, names in os.walk(self.layout.quarantine) for name in names)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def read(path):
    with open(path, "rb") as stream:
        return stream.read()


def spoil(path, content=b"rot"):
    os.unlink(path)
    with open(path, "wb") as stream:
        stream.write(content)


KINDS = ["blocks", "fs", "commits"]


@needs_rsync
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_object_is_replaced_by_the_good_one_and_kept_in_the_quarantine(place, kind):
    good = read(place.here(kind))
    spoil(place.here(kind))
    inode = os.lstat(place.here(kind)).st_ino
    healer = place.healer()
    assert healer.heal([place.keys[kind]]) == [place.keys[kind]]
    assert read(place.here(kind)) == good and os.lstat(place.here(kind)).st_mode & 0o777 == 0o400
    (kept,) = place.quarantined()
    assert read(kept) == b"rot" and os.lstat(kept).st_ino == inode
    assert kept.endswith(place.here(kind)[len(place.layout.objects):])
    assert healer.healed == [{"kind": kind, "store": place.library, "id": place.keys[kind][2], "was": "wrong-hash" if kind == "blocks" else "unparsable"}]
    assert not os.path.exists(place.layout.heal) and os.listdir(os.path.dirname(place.here(kind))) == [os.path.basename(kept)]


@needs_rsync
@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_object_comes_back_with_its_directories_and_nothing_is_quarantined(place, kind):
    good = read(place.here(kind))
    shutil.rmtree(os.path.join(place.layout.objects, kind))
    assert place.healer().heal([place.keys[kind]]) == [place.keys[kind]]
    assert read(place.here(kind)) == good and place.quarantined() == []
    assert {os.lstat(folder).st_mode & 0o777 for folder, dummy, dummy in os.walk(os.path.join(place.layout.objects, kind))} == {0o700}


@needs_rsync
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [b"other rot", b""])
def test_a_worse_copy_of_the_source_replaces_nothing(place, kind, content):
    spoil(place.here(kind))
    spoil(place.there(kind), content)
    healer = place.healer()
    assert healer.heal([place.keys[kind]]) == []
    assert healer.answers == {place.keys[kind]: heal.BAD} and read(place.here(kind)) == b"rot" and place.quarantined() == []


@needs_rsync
def test_what_the_source_lacks_is_absent_and_each_object_is_asked_for_once(place):
    for kind in KINDS:
        spoil(place.here(kind))
    os.unlink(place.there("blocks"))
    calls = []
    healer = heal.Healer(place.layout, lambda: calls.append(1) or (RSYNC, None))
    wanted = list(place.keys.values())
    assert set(healer.heal(wanted)) == {place.keys["fs"], place.keys["commits"]}
    assert healer.answers[place.keys["blocks"]] == heal.ABSENT and read(place.here("blocks")) == b"rot"
    assert healer.heal(wanted) == [] and calls == [1]


@needs_rsync
def test_more_objects_than_fit_into_one_fetch_are_healed(place, monkeypatch):
    monkeypatch.setattr(heal, "AT_A_TIME", 2)
    blocks = [place.maker.block(place.library, str(number).encode()) for number in range(5)]
    assert len(place.healer().heal([("blocks", place.library, block) for block in blocks])) == 5
    for block in blocks:
        heal.check_object(ObjectStore(place.layout.objects), ("blocks", place.library, block))


@needs_rsync
@pytest.mark.parametrize("kind", KINDS)
def test_a_link_at_the_source_is_never_followed_nor_stored(place, kind):
    os.unlink(place.here(kind))
    content = place.there(kind) + ".real"
    os.rename(place.there(kind), content)
    os.symlink(content, place.there(kind))
    healer = place.healer()
    assert healer.heal([place.keys[kind]]) == [] and not os.path.lexists(place.here(kind))
    assert healer.answers == {place.keys[kind]: heal.ABSENT}


@needs_rsync
def test_a_link_in_the_backup_is_never_written_through(place, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    store = os.path.join(place.layout.objects, "blocks", place.library)
    shutil.rmtree(store)
    os.symlink(elsewhere, store)
    healer = place.healer()
    assert healer.heal([place.keys["blocks"]]) == []
    assert list(elsewhere.iterdir()) == [] and healer.answers == {place.keys["blocks"]: heal.UNPLACED} and "could not be put in its place" in healer.notes[0]


@needs_rsync
@pytest.mark.parametrize("make", [os.mkdir, lambda path: os.symlink("/etc/passwd", path)])
def test_what_lies_in_an_objects_place_and_is_no_file_goes_to_the_quarantine(place, make):
    good = read(place.here("blocks"))
    os.unlink(place.here("blocks"))
    make(place.here("blocks"))
    assert place.healer().heal([place.keys["blocks"]]) == [place.keys["blocks"]]
    assert not os.path.islink(place.here("blocks")) and read(place.here("blocks")) == good


@needs_rsync
def test_an_object_that_is_right_here_is_left_alone(place):
    before = os.lstat(place.here("fs"))
    healer = place.healer()
    assert healer.heal([place.keys["fs"]]) == [] and healer.answers == {place.keys["fs"]: heal.ALIKE}
    after = os.lstat(place.here("fs"))
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@needs_rsync
def test_a_commit_of_another_library_is_not_taken(place):
    spoil(place.here("commits"))
    document = json.loads(read(place.there("commits")))
    spoil(place.there("commits"), json.dumps(dict(document, repo_id=place.maker.library_id())).encode())
    healer = place.healer()
    assert healer.heal([place.keys["commits"]]) == [] and healer.answers == {place.keys["commits"]: heal.BAD}


@needs_rsync
@pytest.mark.parametrize("changes, code", [
    ({"src": "/nowhere/at/all"}, "source-missing"), ({"src": "relative"}, "path-invalid"), ({"host": "-oProxyCommand=x"}, "address-invalid"),
    ({"src": 5}, "source-missing"), ({"port": "22"}, "source-missing"),
])
def test_a_source_that_cannot_be_asked_is_told_once_and_nothing_is_said_of_its_objects(place, changes, code):
    place.note_source(**changes)
    os.unlink(place.here("blocks"))
    healer = place.healer()
    assert healer.heal([place.keys["blocks"]]) == [] and healer.answers == {}
    assert healer.problem.code == code and not os.path.exists(place.layout.heal)


@needs_rsync
def test_a_source_that_is_no_object_store_says_nothing_by_lacking_an_object(place, tmp_path):
    (tmp_path / "not mounted").mkdir()
    place.note_source(src=str(tmp_path / "not mounted"))
    os.unlink(place.here("blocks"))
    healer = place.healer()
    assert healer.heal([place.keys["blocks"]]) == [] and healer.answers == {} and healer.problem.code == "storage-empty"


def test_without_a_noted_source_it_says_what_to_do(place):
    os.unlink(place.layout.source)
    with pytest.raises(SeafileError) as caught:
        heal.read_source(place.layout)
    assert caught.value.code == "source-missing" and "run the backup" in caught.value.next_step


def test_an_id_that_could_be_a_path_is_not_asked_for(place):
    healer = place.healer()
    name = place.keys["blocks"][2]
    for key in (("blocks", "../x", name), ("heads", place.library, name), ("blocks", place.library, "../" + name[3:]), ("blocks", place.library, "")):
        assert healer.heal([key]) == []
    assert healer.answers == {} and healer.problem is None


def test_only_one_verification_holds_the_lock(place):
    with heal.sole(place.layout) as first, heal.sole(place.layout) as second:
        assert first is not None and second is None
    with heal.sole(place.layout) as third:
        assert third is not None


def test_both_forms_of_fs_objects_are_checked_by_their_own_rule(tmp_path):
    maker = Maker(tmp_path)
    library = maker.library_id()
    raw = bytes(range(20))
    binary = struct.pack(">IQ", 1, 5) + raw
    name = maker.write("fs", library, hashlib.sha1(raw).hexdigest(), binary)
    store = ObjectStore(maker.root)
    heal.check_object(store, ("fs", library, name))
    wrong = maker.write("fs", library, "ab" * 20, binary)
    with pytest.raises(Damage, match="wrong-hash"):
        heal.check_object(store, ("fs", library, wrong))
    bomb = maker.write("fs", library, "cd" * 20, zlib.compress(b"0" * (300 << 20), 9))
    with pytest.raises(Damage):
        heal.check_object(store, ("fs", library, bomb))


@needs_rsync
@pytest.mark.parametrize("flush", [1, 2])
def test_what_may_not_be_on_the_disk_is_not_called_healed(place, monkeypatch, flush):
    """The first flush comes before anything is renamed, the second one behind the last."""
    spoil(place.here("blocks"))
    calls = []

    def fail(paths):
        calls.append(list(paths))
        if len(calls) == flush:
            raise OSError(errno.EIO, "sync -f failed (Input/output error)")

    monkeypatch.setattr(heal, "sync_file_systems", fail)
    healer = place.healer()
    assert healer.heal([place.keys["blocks"]]) == [] and healer.healed == [] and len(calls) == flush
    assert healer.answers == {place.keys["blocks"]: heal.UNPLACED} and "could not be flushed" in healer.notes[0]
    assert read(place.here("blocks")) == (b"rot" if flush == 1 else b"content")
    assert os.listdir(os.path.dirname(place.here("blocks"))) == [os.path.basename(place.here("blocks"))]
    assert [read(path) for path in place.quarantined()] == [b"rot"]
