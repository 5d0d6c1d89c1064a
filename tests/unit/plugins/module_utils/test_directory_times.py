# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
import time

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import directory_times
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

ONE, TWO, THREE, FOUR = "20261101T000000Z", "20261102T000000Z", "20261103T000000Z", "20261104T000000Z"
STORE = ("fs", "f80ccfb3-2029-4f0f-9307-49b17b935c56")


class Disk:
    """A store, and runs over it."""

    def __init__(self, tmp_path):
        self.root = str(tmp_path / "storage")
        self.state = str(tmp_path / "state")
        for number in range(200):
            self.add(str(number))

    def add(self, text):
        name = hashlib.sha1(text.encode()).hexdigest()
        directory = os.path.join(self.root, *STORE, name[:2])
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, name[2:]), "w", encoding="ascii"):
            return bytes.fromhex(name)

    def run(self, set_id, known=None, keep=True, listed=(), end=True):
        """One run; returns (changed directories, unlisted ids, note)."""
        time.sleep(0.05)
        with directory_times.opened(self.state, known, set_id, False) as (state, note):
            scan = state.scan(self.root, STORE)
            unlisted = state.unlisted(STORE, scan, ()) if scan.was_known else None
            if keep:
                state.keep(STORE, scan)
            if listed:
                state.add_listed(STORE, listed)
            if end:
                state.end()
        return sorted(scan.changed), unlisted, note


@pytest.fixture
def disk(tmp_path, monkeypatch):
    monkeypatch.setattr(directory_times, "_RACY_NANOSECONDS", 20 * 10 ** 6)
    made = Disk(tmp_path)
    made.everything = sorted(int(name, 16) for name in os.listdir(os.path.join(made.root, *STORE)))
    return made


def test_after_a_run_whose_set_is_verified_only_directories_with_something_new_count_as_changed(disk):
    assert disk.run(ONE)[0] == disk.everything
    assert disk.run(TWO, known=ONE)[:2] == ([], [])
    new = disk.add("new")
    assert disk.run(THREE, known=TWO)[:2] == ([new[0]], [new])


def test_a_directory_that_came_new_counts_as_changed(disk):
    disk.run(ONE)
    free = next(text for text in map(str, range(10 ** 6)) if hashlib.sha1(text.encode()).digest()[0] not in disk.everything)
    new = disk.add(free)
    assert disk.run(TWO, known=ONE)[:2] == ([new[0]], [new])


def test_a_removed_object_changes_its_directory_and_is_nothing_new(disk):
    disk.run(ONE)
    gone = hashlib.sha1(b"7").hexdigest()
    os.unlink(os.path.join(disk.root, *STORE, gone[:2], gone[2:]))
    assert disk.run(TWO, known=ONE)[:2] == ([int(gone[:2], 16)], [])


def test_a_store_that_was_copied_to_another_disk_is_all_changed(disk):
    disk.run(ONE)
    path = os.path.join(disk.root, *STORE)
    os.rename(path, path + ".old")
    for name in os.listdir(path + ".old"):
        os.makedirs(os.path.join(path, name))
        for rest in os.listdir(os.path.join(path + ".old", name)):
            os.link(os.path.join(path + ".old", name, rest), os.path.join(path, name, rest))
    assert disk.run(TWO, known=ONE)[:2] == (disk.everything, [])


def test_a_directory_stays_changed_until_all_its_names_are_listed_and_what_a_walk_listed_is_no_news(disk):
    """Blocks are uploaded long before the commit that names them."""
    disk.run(ONE)
    listed, waiting = disk.add("listed"), disk.add("waiting for its commit")
    assert disk.run(TWO, known=ONE, keep=False, listed=[listed])[0] == sorted({listed[0], waiting[0]})
    assert disk.run(THREE, known=TWO, keep=False)[:2] == (sorted({listed[0], waiting[0]}), [waiting])
    assert disk.run(FOUR, known=THREE)[:2] == (sorted({listed[0], waiting[0]}), [waiting])


def test_what_two_walks_listed_adds_up_until_the_next_time_all_names_are(disk):
    disk.run(ONE)
    first, second = disk.add("first"), disk.add("second")
    disk.run(TWO, known=ONE, keep=False, listed=[first])
    disk.run(THREE, known=TWO, keep=False, listed=[second])
    assert disk.run(FOUR, known=THREE)[1] == []
    assert disk.run(ONE, known=FOUR)[:2] == ([], [])
    assert os.listdir(os.path.join(disk.state, "listed")) == []


def test_what_a_run_found_counts_only_when_its_set_is_the_known_one(disk):
    disk.run(ONE)
    new = disk.add("new")
    assert disk.run(TWO, known=ONE)[0] == [new[0]]
    assert disk.run(THREE, known=ONE)[:2] == ([new[0]], [new])  # TWO was never verified


@pytest.mark.parametrize("known", [None, TWO, FOUR])
def test_with_another_known_set_the_state_is_thrown_away(disk, known):
    disk.run(ONE)
    changed, unlisted, note = disk.run(THREE, known=known)
    assert changed == disk.everything and unlisted is None and "known set" in note


def test_a_run_that_did_not_end_leaves_nothing_to_believe(disk):
    disk.run(ONE, end=False)
    assert disk.run(TWO, known=ONE)[1] is None


@pytest.mark.parametrize("steps", range(5))
def test_a_take_over_that_was_cut_goes_on_and_is_of_no_use_to_another_set(disk, monkeypatch, steps):
    disk.run(ONE)
    disk.add("new")
    disk.run(TWO, known=ONE)
    rename = os.rename
    left = [steps]

    def cut(source, target):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        rename(source, target)

    def begin(known):
        with monkeypatch.context() as patch:
            patch.setattr(directory_times.os, "rename", cut)
            try:
                directory_times.State(disk.state, known, THREE).begin()
            except KeyboardInterrupt:
                return True
        return False

    assert begin(TWO) == (steps < 3)  # the mark, the store's file, the mark
    if steps % 2:
        assert disk.run(THREE, known=TWO)[:2] == ([], [])
    else:
        assert disk.run(FOUR, known=ONE)[1] in (None, [hashlib.sha1(b"new").digest()] if steps == 0 else None)


@pytest.mark.parametrize("content", [b"", b"x" * 40, b"seafleet directory times 1\n" + bytes(32)])
def test_a_damaged_state_counts_as_none(disk, content):
    disk.run(ONE)
    disk.run(TWO, known=ONE)
    with open(os.path.join(disk.state, "directories", "-".join(STORE)), "r+b") as stream:
        stream.truncate(0)
        stream.write(content)
    assert disk.run(THREE, known=TWO, keep=False)[:2] == (disk.everything, None)


def test_every_flipped_bit_of_the_state_is_noticed(disk):
    disk.run(ONE)
    disk.run(TWO, known=ONE)
    path = os.path.join(disk.state, "directories", "-".join(STORE))
    with open(path, "rb") as stream:
        content = stream.read()
    for at in range(0, len(content), 97):
        assert directory_times._unseal(content[:at] + bytes([content[at] ^ 4]) + content[at + 1:]) is None
    assert directory_times._unseal(content) is not None


def test_a_time_so_young_that_another_name_may_come_under_it_is_not_kept(disk, monkeypatch):
    monkeypatch.setattr(directory_times, "_RACY_NANOSECONDS", 2 * 10 ** 9)
    new = disk.add("now")
    disk.run(ONE)
    changed, unlisted, dummy = disk.run(TWO, known=ONE)
    assert new[0] in changed and unlisted == []


def test_a_time_of_the_future_is_not_kept(disk, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(directory_times.time, "time_ns", lambda: 10 ** 9)
        disk.run(ONE)
    assert disk.run(TWO, known=ONE)[:2] == (disk.everything, [])


def test_the_state_is_private_and_leftovers_are_no_objects(disk):
    path = os.path.join(disk.root, *STORE)
    for name in ("zz", "0", f"{disk.everything[0]:02x}/leftover", f"{disk.everything[0]:02x}/{'a' * 38}.XYZ123"):
        with open(os.path.join(path, name), "w", encoding="ascii"):
            pass
    disk.run(ONE)
    disk.run(TWO, known=ONE)
    for where, directories, names in os.walk(disk.state):
        assert all(os.stat(os.path.join(where, name)).st_mode & 0o777 == 0o700 for name in directories)
        assert all(os.stat(os.path.join(where, name)).st_mode & 0o777 == 0o600 for name in names)
    with directory_times.opened(disk.state, TWO, THREE, False) as (state, dummy):
        assert sum(len(directory.prints) // 8 for directory in state.scan(disk.root, STORE).directories.values()) == 200


def test_two_runs_do_not_use_one_state_at_once(disk):
    with directory_times.opened(disk.state, None, ONE, False), pytest.raises(SeafileError) as caught:
        disk.run(TWO)
    assert caught.value.code == "run-active"


def test_a_state_that_others_may_write_is_refused(disk):
    os.makedirs(disk.state)
    os.chmod(disk.state, 0o755)
    with pytest.raises(SeafileError) as caught:
        disk.run(ONE)
    assert caught.value.code == "path-invalid"


def test_read_only_changes_nothing(disk):
    disk.run(ONE)
    before = sorted(os.walk(disk.state))
    with directory_times.opened(disk.state, ONE, TWO, True) as (state, note):
        assert note and not state.scan(disk.root, STORE).was_known
        state.keep(STORE, state.scan(disk.root, STORE))
        state.end()
    assert sorted(os.walk(disk.state)) == before


def test_a_store_that_is_not_there_has_no_directories(disk):
    with directory_times.opened(disk.state, None, ONE, False) as (state, dummy):
        assert state.scan(disk.root, ("blocks", STORE[1])) == ({}, {}, False)
