# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that lies in rsync's protocol, against the real rsync of this machine."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import sys

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import add_only, hostile_sender, pull_stage, rsync
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout

HERE = pathlib.Path(__file__).parent
STORE = "11111111-2222-3333-4444-555555555555"
OBJECT = f"blocks/{STORE}/ab/{'c' * 38}"


@pytest.fixture(params=["held", "free"], autouse=True)
def kernel(request, monkeypatch):
    """Every attack also as on a kernel that cannot hold rsync to adding."""
    if request.param == "free":
        monkeypatch.setattr(add_only, "is_available", lambda: False)
    elif not add_only.is_available():
        request.param = "free"
    return request.param


@pytest.fixture
def layout(tmp_path):
    """A backup with one object, whose content the server wants to change."""
    layout = ServerLayout(str(tmp_path / "backup"), "server1")
    place = pathlib.Path(layout.objects, OBJECT)
    place.parent.mkdir(parents=True)
    place.write_bytes(b"good")
    os.utime(place, (1600000000, 1600000000))
    os.makedirs(layout.state)
    return layout


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A program named ssh that is the server itself."""
    def choose(attack):
        program = tmp_path / "bin" / "ssh"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{HERE / 'hostile_rsync.py'}' {attack}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return choose


def attacked(layout, tmp_path):
    """Pull objects from that server as a run does; return the error, None when rsync has passed over all that was sent."""
    binary = shutil.which("rsync")
    assert binary, "the program rsync is missing on this machine"
    pull = rsync.Pull("objects", "/storage", layout.objects, rsync.Remote("server1"), timeout=20)
    try:
        with pull_stage.believing_nothing(layout, pull, "server1:/storage"):
            pull_stage.fetch(binary, pull, "server1:/storage", 0)
    except SeafileError as error:
        return error
    return None


def everything(top):
    """Every path below I(top) with content and inode of files, but for quarantine and state."""
    return {str(path.relative_to(top)): (path.read_bytes(), path.stat().st_ino) if path.is_file() else None
            for path in pathlib.Path(top).rglob("*") if not {"quarantine", "state", "bin"} & set(path.relative_to(top).parts)}


@pytest.mark.parametrize("attack", ["overwrite", "twice"])
def test_the_data_of_an_object_that_nobody_asked_for_changes_nothing(layout, server, tmp_path, kernel, attack):
    before = everything(tmp_path)
    server(attack)
    error = attacked(layout, tmp_path)
    assert error.code == "server-hostile" and OBJECT in error.cause and error.details["names"] == [OBJECT]
    assert not os.path.exists(layout.overwritten)
    if (attack, kernel) == ("twice", "free"):
        return  # told, and not undone: docs/limits.md
    assert everything(tmp_path) == before
    assert os.stat(os.path.join(layout.objects, OBJECT)).st_mtime == 1600000000
    if kernel == "free":
        assert pathlib.Path(layout.quarantine, "unasked", OBJECT).read_bytes() == b"put here by the server\n"
    else:
        assert not os.path.exists(layout.quarantine), "it was never replaced"


def test_several_processes_that_overwrite_one_object_lose_it_no_more_than_one(layout, server, tmp_path):
    before = everything(tmp_path)
    server("overwrite")
    pull = rsync.Pull("objects", "/storage", layout.objects, rsync.Remote("server1"), timeout=20)
    with pytest.raises(SeafileError) as caught, pull_stage.believing_nothing(layout, pull, "server1:/storage"):
        for _count in range(2):
            with contextlib.suppress(SeafileError):
                pull_stage.fetch(shutil.which("rsync"), pull, "server1:/storage", 0)
        raise SeafileError("connection-lost", "server1", "it ended")
    assert caught.value.code == "server-hostile" and everything(tmp_path) == before


def test_without_the_defence_the_same_server_overwrites_the_object(layout, server):
    """So that the test above would fail if the attack did nothing."""
    server("overwrite")
    pull = rsync.Pull("objects", "/storage", layout.objects, rsync.Remote("server1"), timeout=20)
    with contextlib.suppress(SeafileError):  # seen with rsync's exit status 0 as well
        pull_stage.fetch(shutil.which("rsync"), pull, "server1:/storage", 0)
    assert pathlib.Path(layout.objects, OBJECT).read_bytes() == b"put here by the server\n"


@pytest.mark.parametrize("attack", ["type", "extra", "outside", "absolute", "through"])
def test_no_other_path_comes_and_nothing_that_is_there_changes(layout, server, tmp_path, attack):
    before = everything(tmp_path)
    victim = pathlib.Path("/tmp/seafleet-victim")
    victim.mkdir(exist_ok=True)
    try:
        server(attack)
        error = attacked(layout, tmp_path)
        assert list(victim.iterdir()) == []
    finally:
        shutil.rmtree(victim)
    assert everything(tmp_path) == before
    if attack in ("extra", "outside", "absolute"):
        assert error.code == "server-hostile", error.message


def test_what_a_killed_pull_left_overwritten_is_put_back_by_the_next(layout):
    kept = pathlib.Path(layout.overwritten, "1-0", OBJECT)
    kept.parent.mkdir(parents=True)
    os.rename(os.path.join(layout.objects, OBJECT), kept)
    pathlib.Path(layout.objects, OBJECT).write_bytes(b"evil")
    pull = rsync.Pull("objects", "/storage", layout.objects)
    with pull_stage.believing_nothing(layout, pull, "server1:/storage"):
        assert pathlib.Path(layout.objects, OBJECT).read_bytes() == b"good"


def test_the_same_content_twice_is_no_attack(layout):
    kept = pathlib.Path(layout.overwritten, "1-0", OBJECT)
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"good")
    assert hostile_sender.put_back(layout) == [] and pathlib.Path(layout.objects, OBJECT).read_bytes() == b"good"
    assert not os.path.exists(layout.quarantine)


def test_with_the_dumps_come_dumps_alone(tmp_path):
    for name in ("databases/seafile-db.sql.gz", "attributes.json", "files/conf/seafile.conf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    expected = ("attributes.json", "objects.list")
    assert hostile_sender.unexpected_dumps(str(tmp_path), expected, {"databases/seafile-db.sql.gz": ""}) == []
    assert hostile_sender.unexpected_dumps(str(tmp_path), expected, {}) == []
    for name in ("manifest.json", "SHA256SUMS", "databases/other.sql.gz", "databases/sub/x.sql.gz", "sets/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "objects.list").symlink_to("/etc/passwd")
    found = hostile_sender.unexpected_dumps(str(tmp_path), expected, {"databases/seafile-db.sql.gz": ""})
    assert found == ["SHA256SUMS", "databases/other.sql.gz", "databases/sub", "databases/sub/x.sql.gz", "manifest.json", "objects.list", "sets", "sets/x"]


def test_a_copy_with_a_link_out_of_it_is_known(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    links = {"inside": "deep", "dangling": "seafile-server-11.0.13", "etc": "/etc", "up": "..", "deep/er/top": "../..", "deep/er/out": "top/.."}
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    assert hostile_sender.leaving_links(str(tmp_path)) == ["deep/er/out", "etc", "up"]


def test_before_files_are_pulled_again_none_is_shared_with_the_set_before(tmp_path):
    (tmp_path / "before").write_bytes(b"x")
    (tmp_path / "now").mkdir()
    os.link(tmp_path / "before", tmp_path / "now" / "shared")
    (tmp_path / "now" / "own").write_bytes(b"y")
    hostile_sender.part_shared(str(tmp_path / "now"))
    assert [path.name for path in (tmp_path / "now").iterdir()] == ["own"] and (tmp_path / "before").read_bytes() == b"x"
