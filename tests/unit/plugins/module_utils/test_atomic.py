# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import atomic


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_file_or_directory_gets_its_mode(tmp_path, kind):
    path = tmp_path / "mine"
    path.mkdir(0o700) if kind == "directory" else path.write_text("x")
    atomic.give(str(path), -1, -1, 0o750)
    atomic.give(str(path), os.getuid(), os.getgid(), 0o700)
    assert path.stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize("place", [os.symlink, os.link])
def test_what_another_account_put_in_the_place_is_not_given_away(tmp_path, place):
    secret, path = tmp_path / "secret", tmp_path / "mine"
    secret.write_text("x")
    secret.chmod(0o600)
    place(secret, path)
    with pytest.raises(OSError):
        atomic.give(str(path), os.getuid(), os.getgid(), 0o644)
    assert secret.stat().st_mode & 0o777 == 0o600


def test_a_named_pipe_in_the_place_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "mine")
    with pytest.raises(OSError):
        atomic.give(str(tmp_path / "mine"), -1, -1, 0o600)


def test_file_systems_are_flushed_also_where_the_program_is_missing(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(atomic.os, "sync", lambda: flushed.append(True))
    atomic.sync_file_systems([str(tmp_path)])
    assert flushed == [], "sync -f knows one file system"
    monkeypatch.setenv("PATH", "/nowhere")
    atomic.sync_file_systems([str(tmp_path)])
    assert flushed == [True]


def test_a_flush_that_fails_is_told(tmp_path):
    with pytest.raises(OSError, match="sync -f failed"):
        atomic.sync_file_systems([str(tmp_path / "gone")])
