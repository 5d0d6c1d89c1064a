# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is written into a directory that is not the backup of this server."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import backup_marker
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout


@pytest.fixture
def layout(tmp_path):
    return ServerLayout(str(tmp_path), "server1")


def refused(layout, server="server1"):
    with pytest.raises(SeafileError) as caught:
        backup_marker.require(layout, server)
    assert caught.value.code == "backup-root-foreign"
    return caught.value.message


def fill(layout, *names):
    for name in names:
        path = os.path.join(layout.root, name)
        os.makedirs(path if name.endswith("/") else os.path.dirname(path), exist_ok=True)
        if not name.endswith("/"):
            with open(path, "w", encoding="ascii") as stream:
                stream.write("somebody's")


@pytest.mark.parametrize("names", [
    (), ("./",), ("lost+found/",), ("sets/",), ("objects/", "notes.txt"), ("sets/", "objects/", "state/", "RESTORE.md"), ("state/", "drills/"),
])
def test_an_unused_directory_and_a_backup_without_a_marker_are_taken(layout, names):
    fill(layout, *names)
    assert backup_marker.require(layout, "server1") is False


@pytest.mark.parametrize("names", [("notes.txt",), ("home/",), (".bashrc",), ("state/", "conf/"), ("sets", "a"), ("a", "b", "c", "d", "e")])
def test_a_directory_that_holds_something_else_is_refused(layout, names):
    fill(layout, *names)
    assert "holds something else" in refused(layout)


def test_the_marker_is_written_once_private_and_known_again(layout):
    fill(layout, "./")
    backup_marker.write(layout, "server1")
    status = os.stat(layout.marker)
    assert status.st_mode & 0o777 == 0o600
    assert backup_marker.require(layout, "server1") is True
    backup_marker.write(layout, "server1")
    assert os.stat(layout.marker).st_ino == status.st_ino


def test_the_backup_of_another_server_is_refused_by_name(layout):
    fill(layout, "./")
    backup_marker.write(layout, "server2")
    message = refused(layout)
    assert "server2" in message and layout.marker in message


def test_two_names_of_one_directory_are_noticed(layout, tmp_path):
    fill(layout, "./")
    backup_marker.write(layout, "server1")
    os.symlink(layout.root, tmp_path / "server2")
    assert "server1" in refused(ServerLayout(str(tmp_path), "server2"), "server2")


@pytest.mark.parametrize("content", ["", "nonsense", "[]", "{}", '{"kind": "seafleet.seafile backup"}', "[" * 100000,
                                     '{"kind": "seafleet.seafile backup", "format": "1", "server": "server1"}'])
def test_what_is_no_marker_is_refused(layout, content):
    fill(layout, "sets/")
    with open(layout.marker, "w", encoding="ascii") as stream:
        stream.write(content)
    refused(layout)


def test_a_newer_format_is_not_written_into(layout):
    fill(layout, "sets/")
    with open(layout.marker, "w", encoding="ascii") as stream:
        json.dump({"kind": backup_marker.KIND, "format": backup_marker.FORMAT + 1, "server": "server1"}, stream)
    assert "update the collection" in refused(layout)


def test_a_link_in_the_place_of_the_marker_is_not_followed(layout, tmp_path):
    fill(layout, "sets/")
    (tmp_path / "elsewhere").write_text("{}", encoding="ascii")
    os.symlink(tmp_path / "elsewhere", layout.marker)
    refused(layout)
