# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows 2, 30 and a part of 37: two SQLite servers come back whole, one emptied, one on another machine."""

from __future__ import annotations

import pathlib
import sys
import tarfile
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[4]))
from tests.truth import deployment  # noqa: E402  # pylint: disable=wrong-import-position

BACKUP_ROOT = "/srv/back up's \"root\""
RESTORED = {"seafile7": ("seafile7", "seafile-7-sqlite"), "new11": ("seafile11", "seafile-11-sqlite")}
"""Where a deployment comes back: the server it was on, and the fixture it was made of."""


@pytest.fixture(scope="module")
def before(molecule_hosts):
    """What the servers and the backup host are before anything is lost."""
    servers = [server for server, fixture in RESTORED.values()]
    return types.SimpleNamespace(
        listings={server: deployment.listing(molecule_hosts[server]) for server in servers},
        bytes={server: deployment.disk_use(molecule_hosts[server], "/opt/haiwen") for server in servers})


@pytest.fixture(scope="module")
def restored(molecule_hosts, before):
    """One server loses all, the other one is replaced; both are restored by one run."""
    molecule_hosts["seafile7"].check_output("rm -rf /opt/haiwen")
    result = molecule_hosts.playbook("seafleet.seafile.restore", seafile_hosts="seafile7,new11")
    assert result.code == 0
    return result


@pytest.fixture(scope="module")
def copies(molecule_hosts, restored, tmp_path_factory):
    """A local copy of each restored deployment."""
    return {name: deployment.fetch(molecule_hosts, name, tmp_path_factory.mktemp(name) / "haiwen") for name in RESTORED}


def from_backup_host(molecule_hosts, server, command):
    """Run ssh on the backup host with its key for I(server); {ssh} in the command stands for it."""
    ssh = (f"ssh -i /etc/seafleet/{server}/id_ed25519 -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes "
           f"-o UserKnownHostsFile=/etc/seafleet/{server}/known_hosts -o HostKeyAlias={server}")
    return molecule_hosts["backup1"].run(command.replace("{ssh}", ssh).replace("{address}", molecule_hosts.address(server)))


@pytest.mark.parametrize("name", RESTORED)
def test_every_library_file_user_and_group_is_back(copies, name):
    said = deployment.compare(RESTORED[name][1], copies[name])
    assert said.startswith("equal to the manifest"), said


@pytest.mark.parametrize("name", RESTORED)
def test_every_row_of_every_database_is_back(copies, name, tmp_path):
    with tarfile.open(deployment.FIXTURES / RESTORED[name][1] / "haiwen.tar.gz") as archive:
        archive.extractall(tmp_path, [member for member in archive if member.name.endswith(".db")], filter="data")
    wanted = deployment.sqlite_tables(tmp_path / "haiwen")
    assert len(wanted) == 6
    assert sum(len(rows) for tables in wanted.values() for rows in tables.values()) > 300
    assert deployment.sqlite_tables(copies[name]) == wanted


@pytest.mark.parametrize("name", RESTORED)
def test_every_file_has_its_owner_and_mode(molecule_hosts, before, restored, name):
    assert deployment.lost_or_altered(before.listings[RESTORED[name][0]], deployment.listing(molecule_hosts[name])) == []


def test_the_account_is_another_number_on_the_new_machine(molecule_hosts):
    assert molecule_hosts["new11"].user("seafile").uid != molecule_hosts["seafile11"].user("seafile").uid


@pytest.mark.parametrize("name", RESTORED)
def test_neither_backup_nor_restored_server_is_larger_than_the_source(molecule_hosts, before, restored, name):
    server = RESTORED[name][0]
    assert deployment.disk_use(molecule_hosts["backup1"], f"{BACKUP_ROOT}/{server}") <= 1.05 * before.bytes[server]
    assert deployment.disk_use(molecule_hosts[name], "/opt/haiwen") <= 1.05 * before.bytes[server]


def test_a_second_restore_changes_nothing(molecule_hosts, restored):
    result = molecule_hosts.playbook("seafleet.seafile.restore", seafile_hosts="seafile7,new11")
    assert (result.code, result.changed) == (0, 0)
    assert set(result.recap) == {"seafile7", "new11"}


def test_no_key_outlives_the_restore(molecule_hosts, restored):
    assert "seafleet-restore" not in molecule_hosts["backup1"].file("/root/.ssh/authorized_keys").content_string
    for name in RESTORED:
        assert molecule_hosts[name].check_output("find /var/lib/seafleet -name 'id_*' -o -name access -o -name '*.sql.*'") == ""


def test_an_occupied_server_is_not_restored_without_its_name(molecule_hosts, restored, before):
    result = molecule_hosts.playbook("seafleet.seafile.restore", "--limit", "seafile11", restore_confirm="seafile7")
    assert result.code == 2 and result.changed == 0
    assert "target-not-empty: seafile11" in result.output
    assert deployment.listing(molecule_hosts["seafile11"]) == before.listings["seafile11"]


def test_the_pull_account_gives_no_shell(molecule_hosts, restored):
    answer = from_backup_host(molecule_hosts, "seafile11", "{ssh} seafile@{address} id")
    assert answer.rc != 0 and "uid=" not in answer.stdout
    answer = from_backup_host(molecule_hosts, "seafile11", "{ssh} -tt seafile@{address} < /dev/null")
    assert answer.rc != 0 and "seafile@" not in answer.stdout


def test_the_pull_account_forwards_nothing(molecule_hosts, restored):
    answer = from_backup_host(molecule_hosts, "seafile11", "timeout 10 {ssh} -W 127.0.0.1:22 seafile@{address} < /dev/null")
    assert answer.rc not in (0, 124) and "SSH-2.0" not in answer.stdout


def test_the_pull_account_takes_no_file(molecule_hosts, restored):
    answer = from_backup_host(molecule_hosts, "seafile11", "rsync -e '{ssh}' /etc/hostname seafile@{address}:/conf/planted")
    assert answer.rc != 0
    assert not molecule_hosts["seafile11"].file("/opt/haiwen/conf/planted").exists


def test_the_pull_account_reads_nothing_outside(molecule_hosts, restored):
    inside = from_backup_host(molecule_hosts, "seafile11", "rsync -e '{ssh}' seafile@{address}:/conf/seafile.conf /root/inside")
    assert inside.rc == 0 and molecule_hosts["backup1"].file("/root/inside").size > 0
    for path in ("/etc/passwd", "/../../etc/passwd", "/../../../../etc/passwd"):
        answer = from_backup_host(molecule_hosts, "seafile11", "rsync -e '{ssh}' seafile@{address}:" + path + " /root/outside")
        assert answer.rc != 0
        assert not molecule_hosts["backup1"].file("/root/outside").exists
