# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils.audience import Abandoned, is_listened_to, while_awaited


@pytest.fixture
def pipe():
    """(end to read, end to write), each of which a test may close."""
    ends = list(os.pipe())
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass


def test_a_pipe_whose_reader_is_there_is_listened_to(pipe):
    assert is_listened_to(pipe[1])


def test_a_pipe_whose_reader_is_gone_is_not(pipe):
    os.close(pipe[0])
    assert not is_listened_to(pipe[1])


def test_a_file_and_dev_null_are_always_listened_to(tmp_path):
    with open(os.devnull, "wb") as null, open(tmp_path / "file", "wb") as file:
        assert is_listened_to(null.fileno()) and is_listened_to(file.fileno())


def test_a_body_that_nobody_waits_for_is_ended_in_the_middle_of_a_wait(pipe):
    os.close(pipe[0])
    with pytest.raises(Abandoned), while_awaited(0.05, pipe[1]):
        threading.Event().wait(600)


def test_a_body_that_is_awaited_runs_to_its_end_and_nothing_is_left_behind(pipe):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)
    with while_awaited(0.01, pipe[1]):
        time.sleep(0.1)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)) == before


def test_a_body_that_is_told_to_end_cleans_up_first_and_is_not_disturbed_meanwhile(pipe):
    cleaned = []
    with pytest.raises(Abandoned), while_awaited(60, pipe[1]):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(600)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned.append(True)
    assert cleaned == [True]


def test_a_child_is_not_ended_by_its_parents_timer(pipe):
    with while_awaited(0.05, pipe[1]):
        child = subprocess.run([sys.executable, "-c", "import time; time.sleep(0.3)"], check=False)
    assert child.returncode == 0


def test_outside_the_main_thread_nothing_is_done(pipe):
    os.close(pipe[0])
    ended = []

    def work():
        with while_awaited(0.01, pipe[1]):
            time.sleep(0.1)
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [True]
