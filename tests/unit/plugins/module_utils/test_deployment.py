# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look tells what a deployment is and all that is in a backup's way, at once, and changes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import deployment
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets, sqlite_makers as makers


@pytest.fixture
def root(tmp_path):
    return makers.deployment(tmp_path / "haiwen")


def look(root, **options):
    return deployment.Look(str(root), **options).result()


def codes(result):
    # whether this machine has rsync is not what these tests are about
    return sorted(problem["code"] for problem in result["problems"] if problem["what"] != "rsync")


@pytest.mark.parametrize("name", ["seafile-7-sqlite", "seafile-11-sqlite"])
def test_a_real_server_is_described_and_nothing_is_in_the_way(name, tmp_path):
    root = real_sets.unpack(name, tmp_path)
    before = makers.state(root)
    result = look(root)
    assert makers.state(root) == before
    assert codes(result) == []
    assert (result["layout"], result["engine"], result["storage_path"], result["inside_root"]) == ("conf", "sqlite", "seafile-data/storage", True)
    assert len(result["sqlite_files"]) == 6 and result["libraries"] >= 12
    assert result["database_bytes"] == sum(os.path.getsize(root / file["name"]) for file in result["sqlite_files"])
    assert result["owner"]["uid"] == os.getuid()
    assert result["identity"]["ccnet_id"] == ("952c2911f3f1daa138d1006c8fc1a1d77f194f31" if "7" in name else None)
    json.dumps(result)


def test_a_mysql_server_is_described_without_its_password(tmp_path):
    root = real_sets.unpack("seafile-11-mariadb", tmp_path)
    result = look(root, connect=False, dump_tools=False)
    assert [database["name"] for database in result["databases"]] == ["ccnet-db", "seafile-db", "seahub-db"]
    assert codes(result) == [] and result["database_bytes"] is None
    assert "seafile-Pass.w0rd" not in json.dumps(result)


@pytest.mark.parametrize("make, code", [
    (lambda path: None, "no-seafile"),
    (lambda path: path.write_text("a file", encoding="ascii"), "no-seafile"),
    (lambda path: path.mkdir(), "no-seafile"),
    (lambda path: (path / "seafile-data").mkdir(parents=True), "unknown-layout"),
])
def test_a_wrong_path_is_a_problem_not_a_failure(make, code, tmp_path):
    make(tmp_path / "there")
    result = look(tmp_path / "there")
    assert codes(result) == [code]
    assert result["databases"] == [] and result["excludes"] == [] and result["layout"] is None


@pytest.mark.parametrize("path", ["relative/path", "/opt/line\nbreak"])
def test_a_path_that_makes_no_sense_is_a_failure(path):
    with pytest.raises(SeafileError) as failure:
        deployment.Look(path)
    assert failure.value.code == "path-invalid"


def test_all_problems_are_told_at_once(root):
    os.unlink(os.path.join(root, "seahub.db"))
    with open(os.path.join(root, "ccnet/PeerMgr/usermgr.db"), "wb"):
        pass
    shutil.rmtree(os.path.join(root, "seafile-data/storage"))
    with open(os.path.join(root, "conf/seafile.conf"), "a", encoding="ascii") as stream:
        stream.write("[block_backend]\nname = s3\n")
    result = look(root, min_free=1 << 62)
    assert codes(result) == ["no-space", "object-store-elsewhere", "sqlite-corrupt", "sqlite-missing"]
    for problem in result["problems"]:
        assert set(problem) == {"code", "message", "what", "cause", "next_step"} and all(problem.values())


def test_a_storage_that_is_not_mounted_is_noticed(root):
    shutil.rmtree(os.path.join(root, "seafile-data/storage/commits"))
    assert codes(look(root)) == ["storage-empty"]
    shutil.rmtree(os.path.join(root, "seafile-data/storage"))
    assert codes(look(root)) == ["storage-missing"]


def test_what_lies_beside_the_objects_and_is_left_out_is_said(root):
    assert look(root)["notes"] == []
    for name in ("lost+found", ".cache", "archive\x1b[2J"):
        os.mkdir(os.path.join(root, "seafile-data/storage", name))
    result = look(root)
    assert codes(result) == [] and len(result["notes"]) == 1
    assert "leaves it out" in result["notes"][0] and "archive" in result["notes"][0] and "\x1b" not in result["notes"][0]
    assert "lost+found" not in result["notes"][0]


def test_a_malformed_file_is_named_with_its_line(root):
    with open(os.path.join(root, "conf/seafile.conf"), "a", encoding="ascii") as stream:
        stream.write("nonsense\n")
    result = look(root)
    assert codes(result) == ["config-unreadable"] and result["problems"][0]["what"].endswith("conf/seafile.conf:3")


def test_storage_behind_a_link_is_told_with_its_real_place(root, tmp_path):
    os.rename(os.path.join(root, "seafile-data/storage"), tmp_path / "disk")
    os.symlink(tmp_path / "disk", os.path.join(root, "seafile-data/storage"))
    result = look(root)
    assert codes(result) == []
    assert (result["storage_real"], result["inside_root"], result["storage_path"]) == (os.path.realpath(tmp_path / "disk"), False, "seafile-data/storage")


def test_a_data_directory_outside_is_a_problem(root, tmp_path):
    os.rename(os.path.join(root, "seafile-data"), tmp_path / "data")
    with open(os.path.join(root, "ccnet/seafile.ini"), "w", encoding="utf-8") as stream:
        stream.write(str(tmp_path / "data"))
    assert "data-dir-outside-root" in codes(look(root))


def test_a_data_directory_behind_a_link_to_the_outside_is_a_problem(root, tmp_path):
    os.rename(os.path.join(root, "seafile-data"), tmp_path / "data")
    os.symlink(tmp_path / "data", os.path.join(root, "seafile-data"))
    assert "data-dir-outside-root" in codes(look(root))


def test_a_docker_volume_is_a_problem_and_nothing_else_is_asked(tmp_path):
    root = makers.deployment(tmp_path / "volume" / "seafile")
    os.unlink(os.path.join(root, "seafile-server-latest"))
    os.mkdir(tmp_path / "volume" / "nginx")
    assert codes(look(root)) == ["docker-unsupported"]


def test_looking_costs_the_same_whatever_the_size_of_the_store(root):
    store = os.path.join(root, "seafile-data/storage/blocks/010dbf6c-aa5a-416e-a642-840336b5c3af")
    os.makedirs(store)
    os.chmod(store, 0)  # whoever enters it would fail or be seen in its access time
    before = os.stat(store).st_atime_ns
    assert codes(look(root)) == []
    assert os.stat(store).st_atime_ns == before
    os.chmod(store, 0o700)


@contextlib.contextmanager
def process(program, *arguments, cwd="/"):
    child = subprocess.Popen([program] + list(arguments), cwd=cwd)
    try:
        yield child.pid
    finally:
        child.kill()
        child.wait()


@pytest.fixture
def fake(tmp_path):
    """Make a program of a given name that does nothing for a while."""
    def make(directory, name):
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, name)
        with open(path, "w", encoding="ascii") as stream:
            stream.write("#!/bin/sh\nread line < /dev/zero\n")
        os.chmod(path, 0o700)
        return path
    return make


def test_a_running_garbage_collection_is_noticed(root, fake):
    with process(fake(os.path.join(root, "seafile-server-11.0.13/seafile/bin"), "seafserv-gc")) as pid:
        result = look(root)
    assert result["running"] == [{"pid": pid, "program": "seafserv-gc"}]
    assert codes(result) == ["gc-running"] and str(pid) in result["problems"][0]["message"]


@pytest.fixture
def with_rsync(tmp_path, monkeypatch):
    """A machine that has rsync, whether this one does or not."""
    os.makedirs(tmp_path / "tools")
    os.symlink("/bin/true", tmp_path / "tools" / "rsync")
    monkeypatch.setenv("PATH", f"{tmp_path / 'tools'}:{os.environ['PATH']}")


def test_a_garbage_collection_that_ends_in_time_is_no_problem(root, fake, with_rsync, monkeypatch):
    monkeypatch.setattr(deployment, "GC_POLL", 0.1)
    with process(fake(os.path.join(root, "bin"), "seafserv-gc")) as pid:
        killer = subprocess.Popen(["sh", "-c", f"sleep 3; kill {pid}"])
        result = deployment.look(30, str(root))
        killer.wait()
    assert codes(result) == [] and result["running"] == []
    assert 1 <= result["gc_waited"] < 30


def test_a_garbage_collection_that_outlasts_the_wait_is_a_problem_that_tells_how_long_it_was(root, fake, with_rsync):
    with process(fake(os.path.join(root, "bin"), "seafserv-gc")) as pid:
        result = deployment.look(1, str(root))
        impatient = deployment.look(0, str(root))
    assert codes(result) == ["gc-running"] and f"pid {pid}), and had not ended after 1 s" in result["problems"][0]["message"]
    assert result["gc_waited"] == 1 and result["running"] == [{"pid": pid, "program": "seafserv-gc"}]
    assert codes(impatient) == ["gc-running"] and impatient["gc_waited"] == 0 and "ended after" not in impatient["problems"][0]["message"]


def test_nobody_waits_for_a_garbage_collection_when_something_else_is_in_the_way(root, fake, with_rsync):
    os.unlink(os.path.join(root, "seahub.db"))
    with process(fake(os.path.join(root, "bin"), "seafserv-gc")):
        result = deployment.look(600, str(root))
    assert codes(result) == ["gc-running", "sqlite-missing"] and result["gc_waited"] == 0


def test_the_processes_of_this_deployment_are_told_from_those_of_another(root, fake, tmp_path):
    server = fake(str(tmp_path / "bin"), "seaf-server")
    with process(server, "-F", os.path.join(root, "conf"), "-d", os.path.join(root, "seafile-data")) as mine:
        with process(server, "-d", root + "-of-another/seafile-data"), process(server, "-d", str(tmp_path / "other")):
            with process(server, cwd=root) as also_mine:
                assert look(root)["running"] == sorted(
                    [{"pid": mine, "program": "seaf-server"}, {"pid": also_mine, "program": "seaf-server"}], key=lambda item: item["pid"])
    assert look(root)["running"] == []


def test_what_a_pull_leaves_out(root):
    makers.database(os.path.join(root, "custom", "plain\\name.db"))
    makers.database(os.path.join(root, "custom", "w*ld[1]\\?.db"))
    os.mkdir(os.path.join(root, "seafile-server-10.0.1"))
    result = look(root, staging=os.path.join(root, "stage"))
    assert result["left_out"] == ["seafile-server-10.0.1", ".seafleet", "stage"]
    patterns = result["excludes"]
    assert all(pattern.startswith("/") for pattern in patterns)
    for wanted in (
            "/seafile-data/storage", "/seafile-server-*/", "/seafile-pro-server-*/", "/logs/*", "/pids/*", "/seahub-data/thumbnail/*",
            "/seafile-data/httptemp/*", "/seafile-data/tmpfiles/*", "/.seafleet", "/stage",
            "/seahub.db", "/seahub.db-wal", "/seahub.db-shm", "/seahub.db-journal",
            "/custom/plain\\name.db", "/custom/w\\*ld\\[1\\]\\\\\\?.db"):
        assert wanted in patterns


@pytest.mark.skipif(shutil.which("rsync") is None, reason="the program rsync is not installed")
def test_rsync_with_these_patterns_takes_the_configuration_and_no_database(root, tmp_path):
    for name in ("logs/seafile.log", "pids/seahub.pid", "seafile-data/httptemp/upload", "seafile-data/current_version", "seafile-server-11.0.13/seafile.sh",
                 "seahub-data/avatars/a.png", "seahub-data/thumbnail/1/2", "conf/.env.bak", "custom/wild.txt"):
        os.makedirs(os.path.join(root, os.path.dirname(name)), exist_ok=True)
        with open(os.path.join(root, name), "w", encoding="ascii") as stream:
            stream.write(name)
    makers.with_crashed_wal(os.path.join(root, "custom", "w*ld.db"))
    arguments = [f"--exclude={pattern}" for pattern in look(root)["excludes"]]
    subprocess.run(["rsync", "-a"] + arguments + [root + "/", str(tmp_path / "pulled") + "/"], check=True)
    assert sorted(makers.state(tmp_path / "pulled")) == [
        "conf/.env.bak", "conf/ccnet.conf", "conf/seafile.conf", "custom/wild.txt", "seafile-data/current_version", "seafile-server-latest",
        "seahub-data/avatars/a.png"]
    assert os.path.islink(tmp_path / "pulled" / "seafile-server-latest") and not os.path.lexists(tmp_path / "pulled" / "seafile-server-11.0.13")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another account")
def test_missing_rights_are_a_problem(root, tmp_path):
    # pytest makes its directories private, one more of them for each parallel worker
    for directory in (tmp_path, *tmp_path.parents):
        if "pytest-of-" in str(directory):
            os.chmod(directory, 0o755)
    os.chmod(os.path.join(root, "seafile-data/storage"), 0o700)
    os.chmod(os.path.join(root, "seahub.db"), 0o600)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(writer, json.dumps(look(root)["problems"]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        problems = json.loads(stream.read())
    os.waitpid(child, 0)
    named = {problem["what"] for problem in problems if problem["code"] == "no-rights"}
    assert os.path.join(root, "seafile-data/storage") in named and os.path.join(root, "seahub.db") in named
    assert os.path.join(root, ".seafleet") in named


def test_a_store_that_is_being_destroyed_is_a_problem_and_single_objects_are_a_note(tmp_path, with_rsync):
    root = real_sets.unpack("seafile-11-sqlite", tmp_path)
    storage = root / "seafile-data" / "storage"
    whole = deployment.look(0, str(root), sample=60, damage_limit=10)
    assert codes(whole) == [] and whole["sampled"]["objects"] >= 40 and whole["sampled"]["damaged"] == []
    assert deployment.look(0, str(root))["sampled"] == {"objects": 0, "damaged": []}
    for path in storage.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"encrypted for a ransom")
    destroyed = deployment.look(0, str(root), sample=60, damage_limit=10)
    assert codes(destroyed) == ["source-damaged"] and "backup_damage_limit" in destroyed["problems"][0]["message"]
    taken = deployment.look(0, str(root), sample=60, damage_limit=100)
    assert codes(taken) == [] and any("not what their ids promise" in note for note in taken["notes"])


def test_a_server_is_known_by_its_libraries_and_its_stores_are_counted(tmp_path):
    root = real_sets.unpack("seafile-11-sqlite", tmp_path)
    result = look(root)
    libraries = result["identity"]["libraries"]
    assert libraries == sorted(os.listdir(root / "seafile-data" / "storage" / "commits"))[:100] and len(libraries) >= 12
    assert result["stores"]["commits"] == result["libraries"] == len(libraries)
    shutil.rmtree(root / "seafile-data" / "storage" / "blocks")
    assert look(root)["stores"]["blocks"] == 0
