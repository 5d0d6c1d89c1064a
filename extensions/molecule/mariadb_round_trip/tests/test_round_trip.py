# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows 1, 2, 4, 15 and 33: a server with MariaDB is backed up while it is written to, lost, and restored on two machines."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[4]))
from tests.truth import deployment, read_back  # noqa: E402  # pylint: disable=wrong-import-position

PROJECT = pathlib.Path(__file__).resolve().parents[4]
SET = "20261123T030000Z"
FIXTURE = "seafile-11-mariadb"
DATABASES = ("ccnet-db", "seafile-db", "seahub-db")
PASSWORD = "seafile-Pass.w0rd"
HOSTS = ("server1", "new1", "backup1")
RESTORED = ("server1", "new1")
WRITTEN = {  # libraries that the writer writes into
    "2dc006d3-9b0b-43e3-83fe-e7c80a9aec6d": "Synced by client",
    "520a1d52-376f-45a4-817b-d964de60f9ed": "Copied to",
    "b3273e68-146b-4ba4-a3ab-dbd5690f21c0": "History",
}


@contextlib.contextmanager
def no_rsync_on_the_controller(directory):
    """Give this process and the playbooks it runs a PATH on which every program is but rsync."""
    for place in os.environ["PATH"].split(os.pathsep):
        for program in pathlib.Path(place).glob("*"):
            if "rsync" not in program.name and not (directory / program.name).is_symlink():
                (directory / program.name).symlink_to(program)
    path = os.environ["PATH"]
    os.environ["PATH"] = str(directory)
    try:
        assert subprocess.run(["sh", "-c", "command -v rsync"], check=False).returncode != 0
        yield
    finally:
        os.environ["PATH"] = path


class Traffic:
    """Bytes that the hosts send, to the controller and to each other, counted by their own kernels."""

    def __init__(self, hosts):
        self.hosts = hosts
        controller = hosts["server1"].check_output("ip -4 route show default").split()[2]
        for name in HOSTS:
            self._iptables(name, "-A", "OUTPUT", "-d", controller)
            for other in HOSTS:
                self._iptables(name, "-A", "OUTPUT", "-d", hosts.address(other))

    def _iptables(self, name, *arguments):
        command = ["nsenter", "-t", str(self.hosts.pid(name)), "-n", "iptables", "-w", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def read(self):
        """Return (bytes to the controller, bytes to each other)."""
        counters = [[int(line.split()[1]) for line in self._iptables(name, "-nvxL", "OUTPUT").splitlines()[2:]] for name in HOSTS]
        return sum(row[0] for row in counters), sum(sum(row[1:]) for row in counters)


def start_watching(host):
    """Look for the password in all processes of I(host) from now on; a process that shows it proves that it is seen."""
    host.check_output("mkdir -p /root/watch && systemd-run --collect --unit=watch python3 /root/watch.py /root/watch/secret /root/watch/report")
    host.check_output("timeout 60 sh -c 'until [ -s /root/watch/report ]; do sleep 0.1; done'")
    host.check_output("bash -c 'exec -a \"shows $(cat /root/watch/secret)\" sleep 3'")


def stop_watching(host):
    host.check_output("systemctl stop watch")
    return json.loads(host.file("/root/watch/report").content_string)


def start_writing(host):
    host.check_output(
        "systemd-run --collect --unit=writer python3 /root/writer.py --haiwen /opt/haiwen --seafile seafile-db --ccnet ccnet-db --seahub seahub-db "
        "--record /root/record --rate 20 " + " ".join(WRITTEN))
    for dummy in range(600):
        if host.run("test $(wc -l < /root/record) -ge 30").rc == 0:
            return
        time.sleep(0.2)
    raise AssertionError(host.check_output("journalctl --no-pager --unit=writer"))


def stop_writing(host):
    """Stop the writer, which must still be at work, and return its record."""
    assert host.run("systemctl is-active writer").rc == 0, host.check_output("journalctl --no-pager --unit=writer")
    host.check_output("systemctl stop writer")
    return [json.loads(line) for line in host.file("/root/record").content_string.splitlines()]


def table_checksums(host):
    """Return {"database.table": checksum} of all tables of Seafile's databases."""
    names = "SELECT CONCAT('CHECKSUM TABLE `', table_schema, '`.`', table_name, '`;') FROM information_schema.tables WHERE table_schema LIKE '%-db'"
    output = host.check_output(f'mariadb -BN -e "{names.replace("`", chr(92) + "`")}" | mariadb -BN')
    return dict(line.split("\t") for line in output.splitlines())


@pytest.fixture(scope="module")
def story(molecule_hosts, tmp_path_factory):
    """All that happens, in order; the tests look at what came of it."""
    hosts = molecule_hosts
    server = hosts["server1"]
    told = types.SimpleNamespace(runs={})
    for name in HOSTS:
        hosts.put(name, PROJECT / "tests" / "writer" / "watch.py", "/root/watch.py")
        hosts[name].check_output(f"mkdir -p -m 700 /root/watch && printf %s '{PASSWORD}' > /root/watch/secret")
        start_watching(hosts[name])
    for name in RESTORED:
        hosts.put(name, PROJECT / "tests" / "truth" / "read_back.py", "/root/read_back.py")
    traffic = Traffic(hosts)
    with no_rsync_on_the_controller(tmp_path_factory.mktemp("path")):
        start_writing(server)
        told.runs["backup"] = hosts.playbook("seafleet.seafile.backup", "-vvv", backup_set_id=SET)
        told.record = stop_writing(server)
        assert told.runs["backup"].code == 0
        told.runs["second backup"] = hosts.playbook("seafleet.seafile.backup", backup_set_id=SET)
        told.listing = deployment.listing(server)
        told.checksums = table_checksums(server)
        told.bytes = deployment.disk_use(server, "/opt/haiwen")
        server.check_output("rm -rf /opt/haiwen")
        server.check_output("mariadb -e 'DROP DATABASE `ccnet-db`; DROP DATABASE `seafile-db`; DROP DATABASE `seahub-db`'")
        told.runs["restore"] = hosts.playbook("seafleet.seafile.restore", "-vvv", seafile_hosts=",".join(RESTORED))
        assert told.runs["restore"].code == 0
        told.runs["second restore"] = hosts.playbook("seafleet.seafile.restore", seafile_hosts=",".join(RESTORED))
    told.to_controller, told.to_each_other = traffic.read()
    told.watched = {name: stop_watching(hosts[name]) for name in HOSTS}
    directory = f"/srv/seafile-backup/server1/sets/{SET}"
    told.manifest = json.loads(hosts["backup1"].file(f"{directory}/manifest.json").content_string)
    told.dumps = {name: gzip.decompress(hosts["backup1"].file(f"{directory}/databases/{name}.sql.gz").content).decode() for name in DATABASES}
    told.counter = int(re.search(r"INSERT INTO `seafleet_counter` VALUES\s*\((\d+)\)", told.dumps["seafile-db"]).group(1))
    told.copies = {name: deployment.fetch(hosts, name, tmp_path_factory.mktemp(name) / "haiwen") for name in RESTORED}
    command = "python3 /root/read_back.py rows --client mariadb --seafile seafile-db --ccnet ccnet-db"
    told.rows = {name: json.loads(hosts[name].check_output(command)) for name in RESTORED}
    return told


def storage(story, name):
    return read_back.Storage(str(story.copies[name] / "seafile-data" / "storage"))


# -- the backup ----------------------------------------------------------------------------------------------------


def test_the_dump_ended_before_the_objects_began_and_writes_landed_in_between(story):
    assert story.manifest["dump"]["ended"] < story.manifest["stages"]["objects"]["began"]
    began = deployment.seconds(story.manifest["stages"]["objects"]["began"])
    assert [write for write in story.record if write["number"] > story.counter and write["time"] < began]


def test_all_databases_are_of_one_moment(story):
    counters = {name: re.search(r"INSERT INTO `seafleet_counter` VALUES\s*\((\d+)\)", story.dumps[name]).group(1) for name in DATABASES}
    assert len(set(counters.values())) == 1, counters
    assert 0 < story.counter < story.record[-1]["number"]


def test_the_set_was_proved_while_the_writer_went_on(story):
    verification = story.manifest["verification"]
    assert (verification["state"], verification["findings_total"]) == ("verified", 0)
    assert verification["hashed"]["blocks"]["files"] > 200


def test_every_head_of_the_dump_resolves_in_the_backup(molecule_hosts, story):
    root = "/srv/seafile-backup/server1"
    closure = {"dump": f"{root}/sets/{SET}/databases/seafile-db.sql.gz", "storage": f"{root}/objects",
               "seafile_conf": f"{root}/sets/{SET}/files/conf/seafile.conf"}
    play = {"hosts": "backup1", "gather_facts": False, "tasks": [{"seafleet.seafile.set_closure": closure}]}
    assert molecule_hosts.playbook([play]).code == 0


@pytest.mark.parametrize("run", ["second backup", "second restore"])
def test_a_second_run_changes_nothing(story, run):
    assert (story.runs[run].code, story.runs[run].changed) == (0, 0)


def test_the_backup_is_not_larger_than_the_source(molecule_hosts, story):
    assert deployment.disk_use(molecule_hosts["backup1"], "/srv/seafile-backup/server1") <= 1.05 * story.bytes


# -- the restored servers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RESTORED)
def test_every_library_file_user_and_group_is_back(story, name):
    manifest = deployment.manifest(FIXTURE)
    libraries, problems = read_back.read_libraries(storage(story, name), story.rows[name], manifest["passwords_of_encrypted_libraries"])
    assert problems == []
    untouched = [library for library in manifest["libraries"] if library["id"] not in WRITTEN]
    assert read_back.compare_libraries(untouched, {key: library for key, library in libraries.items() if key not in WRITTEN}) == []
    assert read_back.compare_accounts(manifest, story.rows[name]) == []
    assert read_back.compare_trash(storage(story, name), manifest, story.rows[name]) == []
    for library in manifest["libraries"]:
        if library["id"] in WRITTEN:
            found = libraries[library["id"]]["files"]
            assert {path: found[path]["sha256"] for path in library["files"]} == {path: file["sha256"] for path, file in library["files"].items()}


@pytest.mark.parametrize("name", RESTORED)
def test_every_write_that_was_acknowledged_before_the_dump_is_back(story, name):
    there = storage(story, name)
    heads = {row["repo_id"]: row["commit_id"] for row in story.rows[name]["Branch"]}
    seen = 0
    for library in WRITTEN:
        commit = heads[library]
        for write in reversed([write for write in story.record if write["library"] == library and write["number"] <= story.counter]):
            assert commit == write["commit"]
            version = there.commit(library, commit)
            folder = next(entry["id"] for entry in there.fs(library, version["root_id"])["dirents"] if entry["name"] == "written")
            file = next(entry["id"] for entry in there.fs(library, folder)["dirents"] if f"/written/{entry['name']}" == write["path"])
            assert read_back.read_file(there, library, file) == {"size": write["size"], "sha256": write["sha256"]}
            commit = version["parent_id"]
            seen += 1
    assert seen == story.counter >= 30


@pytest.mark.parametrize("name", RESTORED)
def test_every_row_of_every_table_is_back(molecule_hosts, story, name):
    found = table_checksums(molecule_hosts[name])
    assert len(found) > 100 and "NULL" not in found.values()
    different = {table for table in set(found) | set(story.checksums) if found.get(table) != story.checksums.get(table)}
    # the writer went on after the dump
    assert different == {"seafile-db.Branch"} | {f"{database}.seafleet_counter" for database in DATABASES}


@pytest.mark.parametrize("name", RESTORED)
def test_seafile_may_log_in_to_its_databases(molecule_hosts, story, name):
    for database in DATABASES:
        client = "mariadb --no-defaults --protocol=tcp --host=127.0.0.1 --user=seafile -BN"
        command = f"MYSQL_PWD='{PASSWORD}' {client} -e 'SELECT n FROM seafleet_counter' {database}"
        assert molecule_hosts[name].check_output(command) == str(story.counter)


@pytest.mark.parametrize("name", RESTORED)
def test_every_file_has_its_owner_and_mode(molecule_hosts, story, name):
    assert deployment.lost_or_altered(story.listing, deployment.listing(molecule_hosts[name])) == []


# -- the password --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTS)
def test_no_process_shows_the_password(story, name):
    watched = story.watched[name]
    # the process that shows it on purpose was seen, so the others would have been
    assert [command for command in watched["found"] if not command.startswith("shows ")] == []
    assert watched["found"] and watched["rounds"] > 300 and watched["processes"] > 100


@pytest.mark.parametrize("run", ["backup", "restore"])
def test_the_most_talkative_run_does_not_say_the_password(story, run):
    assert "task path: " in story.runs[run].output  # -vvv
    assert PASSWORD not in story.runs[run].output


@pytest.mark.parametrize("name", HOSTS)
def test_the_password_is_in_no_file_but_the_configuration(molecule_hosts, story, name):
    command = "grep -rlF --exclude-dir=watch -f /root/watch/secret /etc /home /opt /root /run /srv /tmp /usr/local /var"
    found = molecule_hosts[name].run(command).stdout.split()
    configuration = {"backup1": f"/srv/seafile-backup/server1/sets/{SET}/files/conf"}.get(name, "/opt/haiwen/conf")
    assert sorted(found) == [f"{configuration}/{file}" for file in ("ccnet.conf", "seafile.conf", "seahub_settings.py")]


def test_backup_and_dumps_are_private(molecule_hosts, story):
    assert molecule_hosts["backup1"].check_output("find /srv/seafile-backup -perm /077 ! -type l") == ""
    for name in RESTORED:
        assert molecule_hosts[name].check_output("find /opt /var /tmp /root -name '*.sql.gz' -o -path '*/.seafleet/staging'") == ""


# -- the controller ------------------------------------------------------------------------------------------------


def test_no_data_goes_through_the_controller(story):
    # one backup and two restores went from host to host, by hosts that each only read from another
    assert story.to_each_other > 2.5 * 30_000_000
    assert story.to_controller < 0.03 * story.to_each_other, (story.to_controller, story.to_each_other)
