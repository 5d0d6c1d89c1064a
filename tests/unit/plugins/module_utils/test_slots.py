# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import threading
import time

from ansible_collections.seafleet.seafile.plugins.module_utils.slots import place, slot


def test_never_more_than_the_slots_are_held_and_everybody_gets_one(tmp_path):
    held, most, lock, both = [0], [0], threading.Lock(), threading.Event()

    def work():
        with slot(str(tmp_path / "slots"), 2) as has:
            assert has
            with lock:
                held[0] += 1
                most[0] = max(most[0], held[0])
                if held[0] == 2:
                    both.set()
            both.wait(60)
            time.sleep(0.05)
            with lock:
                held[0] -= 1

    threads = [threading.Thread(target=work) for dummy in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (held, most) == ([0], [2])
    assert os.stat(tmp_path / "slots").st_mode & 0o777 == 0o700


def test_the_slot_of_a_process_that_was_killed_is_free(tmp_path):
    directory = str(tmp_path / "slots")
    child = os.fork()
    if child == 0:
        with slot(directory, 1):
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    with slot(directory, 1) as has:
        assert has


def test_who_does_not_want_it_any_more_does_not_wait(tmp_path):
    directory = str(tmp_path / "slots")
    with slot(directory, 1), slot(directory, 1, lambda: False) as has:
        assert not has


def test_without_a_place_for_locks_there_is_no_cap(tmp_path):
    (tmp_path / "file").write_text("")
    with slot(str(tmp_path / "file" / "slots"), 1) as has:
        assert not has


def test_a_server_that_waits_for_a_place_says_so_and_gets_it_when_another_has_ended(tmp_path):
    directory, progress = str(tmp_path / "places"), tmp_path / "progress.json"
    shown, order = [], []

    def wait():
        with place(directory, 1, str(progress)):
            order.append("second")

    with place(directory, 1, str(tmp_path / "other.json")):
        second = threading.Thread(target=wait)
        second.start()
        while not progress.exists():
            time.sleep(0.01)
        shown.append(json.loads(progress.read_text())["what"])
        order.append("first")
    second.join()
    assert (shown, order) == (["wait for a place on the backup host"], ["first", "second"])
    assert not progress.exists() and not (tmp_path / "other.json").exists()


def test_without_a_cap_no_place_is_taken(tmp_path):
    with place(str(tmp_path / "places"), 0, str(tmp_path / "progress.json")):
        assert list(tmp_path.iterdir()) == []
