# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import stat
import threading
import time

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils.progress import Progress, SharedCounts


@pytest.fixture(name="path")
def fixture_path(tmp_path):
    return tmp_path / "progress.json"


def content(path):
    return json.loads(path.read_text(encoding="ascii"))


def test_the_file_says_what_is_done_of_what(path):
    before = time.time()
    with Progress(str(path), "pull objects", total=10, bytes_total=1000, interval=0) as progress:
        progress.advance(1, 100)
        progress.advance(2, 50)
        found = content(path)
        assert before <= found.pop("began") <= found.pop("now") <= time.time()
        assert found == {
            "format": 1, "what": "pull objects", "done": 3, "total": 10, "unit": "objects", "bytes": 150, "bytes_total": 1000}


def test_it_begins_with_nothing_done(path):
    Progress(str(path), "verify", interval=60)
    assert (content(path)["done"], content(path)["total"]) == (0, None)


def test_absolute_counts_take_the_place_of_added_ones(path):
    progress = Progress(str(path), "dump", interval=0)
    progress.advance(5, 5)
    progress.set(3, 700)
    assert (content(path)["done"], content(path)["bytes"]) == (3, 700)


def test_a_total_that_is_known_later_is_told(path):
    progress = Progress(str(path), "verify", interval=60)
    progress.expect(20, 5000)
    assert (content(path)["total"], content(path)["bytes_total"]) == (20, 5000)


def test_what_an_earlier_run_left_is_gone_at_once(path):
    path.write_text("left by another run", encoding="ascii")
    (path.parent / ".progress.json.partial").write_text("cut", encoding="ascii")
    Progress(str(path), "verify")
    assert content(path)["done"] == 0
    assert os.listdir(path.parent) == ["progress.json"]


def test_the_file_is_gone_at_the_end_and_stays_away(path):
    progress = Progress(str(path), "verify", interval=0)
    progress.close()
    progress.advance(1)
    progress.set(5, 5)
    progress.close()
    assert os.listdir(path.parent) == []


def test_only_the_owner_may_read_it(path):
    old = os.umask(0)
    try:
        Progress(str(path), "verify")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_written_at_most_once_an_interval(path):
    progress = Progress(str(path), "verify", interval=60)
    inode = path.stat().st_ino
    for dummy in range(1000):
        progress.advance(1, 1)
    assert path.stat().st_ino == inode and content(path)["done"] == 0


def test_without_a_path_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Progress(None, "verify", interval=0) as progress:
        progress.advance(1, 1)
        progress.set(1, 1)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("hindrance", ["no directory", "a file in its place", "a directory of its name", "the directory goes away"])
def test_a_task_does_not_suffer_from_being_watched(tmp_path, hindrance):
    place = tmp_path / "state"
    if hindrance == "a file in its place":
        place.write_text("", encoding="ascii")
    elif hindrance == "a directory of its name":
        (place / "progress.json").mkdir(parents=True)
    elif hindrance == "the directory goes away":
        place.mkdir()
    with Progress(str(place / "progress.json"), "verify", interval=0) as progress:
        if hindrance == "the directory goes away":
            os.rename(place, tmp_path / "elsewhere")
        progress.advance(1)
    assert progress.done == 1


def test_it_follows_no_link_that_lies_in_its_way(path):
    other = path.parent / "other"
    other.write_text("precious", encoding="ascii")
    path.symlink_to(other)
    (path.parent / ".progress.json.partial").symlink_to(other)
    Progress(str(path), "verify")
    assert other.read_text(encoding="ascii") == "precious" and not path.is_symlink()


def test_threads_that_count_together_lose_nothing(path):
    progress = Progress(str(path), "pull", interval=0.001)
    threads = [threading.Thread(target=lambda: [progress.advance(1, 2) for dummy in range(2000)]) for dummy in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (progress.done, progress.size) == (8000, 16000)


def test_processes_count_together():
    counts = SharedCounts(3)
    children = []
    for slot in range(3):
        child = os.fork()
        if child == 0:
            add = counts.adder(slot)
            for dummy in range(1000):
                add(1, slot)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert counts.sum() == (3000, 3000)
