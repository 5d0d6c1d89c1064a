# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import atomic, places


def test_the_nearest_parent_that_exists_is_found_from_any_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert places.existing_parent(str(tmp_path / "a" / "b" / "c")) == str(tmp_path)
    assert places.existing_parent(str(tmp_path)) == str(tmp_path)
    assert places.existing_parent("a/b") == places.existing_parent("") == str(tmp_path)
    assert places.free_bytes("a/b") > 0


@pytest.mark.parametrize("path, directory, inside", [
    ("/a/b", "/a", True), ("/a", "/a", True), ("/ab", "/a", False), ("/a/../b", "/a", False), ("/x", "/", True), ("/a", "/a/b", False),
])
def test_inside_means_the_directory_or_below(path, directory, inside):
    assert places.is_inside(path, directory) is inside


def test_a_link_does_not_hide_what_lies_inside(tmp_path):
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "sub")
    assert places.is_inside(str(tmp_path / "link" / "new"), str(tmp_path / "real"))


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
    path = str(tmp_path / "manifest.json")
    atomic.write_json(path, {"b": 1, "a": "\u00fc\udcff"})
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert open(path, "rb").read() == b'{\n "a": "\\u00fc\\udcff",\n "b": 1\n}\n'
    with pytest.raises(TypeError):
        atomic.write_atomically(path, "no bytes")
    assert open(path, "rb").read().startswith(b"{") and os.listdir(tmp_path) == ["manifest.json"]


def test_a_leftover_or_a_planted_link_at_the_partial_name_is_replaced(tmp_path):
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / ".x.partial").symlink_to(tmp_path / "victim")
    atomic.write_atomically(str(tmp_path / "x"), b"new")
    assert (tmp_path / "victim").read_bytes() == b"mine" and (tmp_path / "x").read_bytes() == b"new"
    assert not os.path.islink(tmp_path / "x") and sorted(os.listdir(tmp_path)) == ["victim", "x"]


def test_directories_are_private_with_all_parents_that_were_missing(tmp_path):
    assert atomic.make_private_directory(str(tmp_path / "a" / "b")) is True
    assert [stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("a", "a/b")] == [0o700, 0o700]
    assert atomic.make_private_directory(str(tmp_path / "a" / "b")) is False
