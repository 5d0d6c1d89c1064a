# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which dump is at work and which was cut off, with processes that really end."""

from __future__ import annotations

import os
import signal

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import dump_mark

ONE, TWO = "20261130T020000Z", "20261130T030000Z"


@pytest.fixture
def state(tmp_path):
    return str(tmp_path / "state" / "backup1")


def test_a_dump_that_is_at_work_or_has_ended_is_not_cut_off(state):
    assert dump_mark.cut_off(state) is None and not os.path.exists(state), "looking makes nothing"
    with dump_mark.held(state, ONE) as marked:
        assert marked and dump_mark.cut_off(state) is None
        assert os.stat(state).st_mode & 0o777 == 0o700
    assert dump_mark.cut_off(state) is None


def test_a_dump_that_failed_is_cut_off_until_another_one_has_ended(state):
    with pytest.raises(KeyboardInterrupt), dump_mark.held(state, ONE):
        raise KeyboardInterrupt
    assert dump_mark.cut_off(state) == ONE
    with dump_mark.held(state, TWO) as marked:
        assert marked and dump_mark.cut_off(state) is None
    assert dump_mark.cut_off(state) is None


def test_a_dump_whose_process_was_killed_is_cut_off(state):
    child = os.fork()
    if child == 0:
        with dump_mark.held(state, ONE):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert dump_mark.cut_off(state) == ONE


def test_two_dumps_for_one_backup_host_do_not_take_each_others_mark(state):
    with dump_mark.held(state, ONE), dump_mark.held(state, TWO) as marked:
        assert not marked
    assert dump_mark.cut_off(state) is None


@pytest.mark.parametrize("content", [b"", b"nonsense", b"20261130T020000Z\n", b"../../etc", b"\xff" * 200])
def test_what_is_no_set_id_is_no_mark(state, content):
    os.makedirs(state)
    with open(os.path.join(state, dump_mark.NAME), "wb") as stream:
        stream.write(content)
    assert dump_mark.cut_off(state) is None


@pytest.mark.parametrize("make", [
    lambda state: open(state, "wb").close(), lambda state: os.makedirs(os.path.join(state, dump_mark.NAME)),
    lambda state: (os.mkdir(state), os.symlink("/etc/passwd", os.path.join(state, dump_mark.NAME)))])
def test_where_no_mark_can_be_the_dump_goes_on_without(state, make):
    os.makedirs(os.path.dirname(state))
    make(state)
    with dump_mark.held(state, ONE) as marked:
        assert not marked
    assert dump_mark.cut_off(state) is None
