# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode, the guard of a restore, the safety copy, and the restore by hand: one SQLite and one MariaDB server."""

from __future__ import annotations

import re
import shlex
import types
import typing as t

import pytest

from fleet import BACKUPS, DATABASES, PASSWORD, Fleet

SERVERS = {"lite": "seafile-11-sqlite", "maria": "seafile-11-mariadb"}
# Everything that a backup or a restore may write to. The run time files of sshd and systemd are not among them.
PLACES = ("/opt", "/srv", "/etc", "/root", "/home", "/var/lib/seafleet")
# Text that the servers get after the backup, so that what is replaced can be told from what was backed up.
LATER = "written after the backup"


def state(fleet: Fleet) -> dict[str, t.Any]:
    """Both hosts as they are: every file, and every row of MariaDB."""
    fleet.run("server1", "rm -rf /root/.ansible")
    fleet.run("backup1", "rm -rf /root/.ansible")
    return {
        "server": fleet.listing("server1", *PLACES), "backup": fleet.listing("backup1", *PLACES),
        "databases": fleet.checksums("server1") + fleet.checksums("backup1"),
    }


@pytest.fixture(scope="module")
def fleet(shared_hosts: t.Callable[..., t.Any]) -> Fleet:
    """The servers, reachable for the backup host."""
    fleet = Fleet(shared_hosts("server1", "backup1", "bare1"))
    for server, fixture in SERVERS.items():
        fleet.add(server, machine="server1", root=f"/opt/{server}")
        fleet.deploy(server, fixture)
    fleet.ok("prepare")
    return fleet


@pytest.fixture(scope="module")
def checked_backup(fleet: Fleet) -> types.SimpleNamespace:
    """C(backup --check --diff) before anything was backed up."""
    before = state(fleet)
    result = fleet.ok("backup", check=True)
    return types.SimpleNamespace(before=before, result=result, after=state(fleet))


@pytest.fixture(scope="module")
def backed_up(fleet: Fleet, checked_backup: types.SimpleNamespace) -> dict[str, str]:
    """A set of each server, and something new on both since."""
    fleet.backup("lite", "maria")
    fleet.run("server1", f"echo '{LATER}' > /opt/lite/conf/later && echo '{LATER}' > /opt/maria/conf/later")
    fleet.run("server1", f"sqlite3 /opt/lite/seahub.db \"CREATE TABLE later AS SELECT '{LATER}' AS words\"")
    fleet.run("server1", f"mariadb seahub-db -e \"CREATE TABLE later AS SELECT '{LATER}' AS words\"")
    return {server: fleet.sets(server)[-1] for server in SERVERS}


@pytest.fixture(scope="module")
def refused(fleet: Fleet, backed_up: dict[str, str]) -> types.SimpleNamespace:
    """A restore onto what is there, without confirmation and with the name of another server."""
    before = state(fleet)
    result = fleet.playbook("restore", restore_confirm="lite1")
    # the list of the set's objects: made anew for every restore, in the backup's own state
    fleet.run("backup1", f"rm -r {BACKUPS}/*/state/restore")
    return types.SimpleNamespace(before=before, result=result, after=state(fleet))


@pytest.fixture(scope="module")
def checked_restore(fleet: Fleet, backed_up: dict[str, str]) -> types.SimpleNamespace:
    """C(restore --check --diff), confirmed."""
    before = state(fleet)
    fleet.add("lite", machine="server1", root="/opt/lite", restore_confirm="lite")
    fleet.add("maria", machine="server1", root="/opt/maria", restore_confirm="maria")
    result = fleet.ok("restore", check=True)
    return types.SimpleNamespace(before=before, result=result, after=state(fleet))


@pytest.fixture(scope="module")
def restored(fleet: Fleet, refused: types.SimpleNamespace, checked_restore: types.SimpleNamespace) -> types.SimpleNamespace:
    """The same restore in earnest."""
    result = fleet.ok("restore")
    return types.SimpleNamespace(before=checked_restore.after, result=result)


def differences(before: dict[str, t.Any], after: dict[str, t.Any], but: str = "") -> list[str]:
    """The paths that differ between two states, except those that end with I(but)."""
    found = [] if before["databases"] == after["databases"] else ["the databases"]
    for host in ("server", "backup"):
        paths = set(before[host]) | set(after[host])
        found += [f"{host}:{path}" for path in sorted(paths) if before[host].get(path) != after[host].get(path) and not (but and path.endswith(but))]
    return found


def report(output: str, server: str) -> str:
    """The report of I(server) in the output of a playbook: a backup prints lines, a restore a list."""
    listed = output.partition(f'"{server}: set ')[2].partition("]")[0]
    return listed or output.partition(f"\n{server}: set ")[2].partition("\nok: [")[0]


def test_a_backup_in_check_mode_leaves_both_hosts_bit_identical(checked_backup):
    assert differences(checked_backup.before, checked_backup.after) == []


@pytest.mark.parametrize("server", SERVERS)
def test_a_backup_in_check_mode_says_how_many_libraries_objects_and_bytes_would_come(checked_backup, server):
    said = report(checked_backup.result.output, server)
    assert "would be made (check mode)" in said
    objects, size, libraries, new, new_size = re.search(
        r"objects: (\d+) with ([\d.]+) MB in (\d+) libraries on the server, new (\d+) with ([\d.]+) MB", said).groups()
    # one block is there twice, by a hard link, and would come once
    assert int(objects) > 1000 and int(libraries) >= 12 and int(new) == int(objects) - 1 and 0 < float(new_size) < float(size)
    databases, files = re.search(r"dumps and files: [\d.]+ [KM]B in (\d) databases \(\w+\) and (\d+) files", said).groups()
    assert int(databases) == {"lite": 6, "maria": 3}[server] and int(files) >= 9


@pytest.mark.parametrize("server", SERVERS)
def test_a_restore_onto_a_target_that_holds_anything_is_refused_without_its_name(refused, server):
    assert refused.result.recap[server]["failed"] == 1
    assert f"target-not-empty: {server}: the Seafile directory holds" in refused.result.output
    assert f"give -e restore_confirm={server} to replace it" in refused.result.output
    assert "the database seafile-db has" in refused.result.output
    assert "Traceback" not in refused.result.output and PASSWORD not in refused.result.output


def test_a_refused_restore_writes_nothing_on_either_host(refused):
    assert differences(refused.before, refused.after, but="/state") == []


def test_a_restore_in_check_mode_leaves_both_hosts_bit_identical(checked_restore):
    assert differences(checked_restore.before, checked_restore.after) == []


def test_a_restore_in_check_mode_says_what_would_be_replaced(checked_restore):
    said = report(checked_restore.result.output, "maria")
    assert "would be restored (check mode)" in said
    assert re.search(r"libraries: 1[0-9] with \d{4} objects of [\d.]+ MB", said)
    for name in DATABASES:
        assert re.search(rf"database {name} \(\d+ tables", said), said
    assert "/opt/maria" in said.partition("replaced: ")[2].partition('"')[0], said
    said = report(checked_restore.result.output, "lite")
    assert "/opt/lite" in said.partition("replaced: ")[2].partition('"')[0], said


@pytest.mark.parametrize(("server", "fixture"), SERVERS.items())
def test_a_confirmed_restore_brings_the_set_back(fleet, restored, server, fixture):
    assert fleet.truth(server, fixture).startswith("equal to the manifest")
    assert not fleet.group["server1"].file(f"/opt/{server}/conf/later").exists


@pytest.mark.parametrize("server", SERVERS)
def test_what_a_restore_replaces_is_set_aside_whole(fleet, restored, server):
    aside = fleet.run("server1", f"ls -d /opt/{server}.before-*").strip()
    before = {path[len(f"/opt/{server}"):]: entry for path, entry in restored.before["server"].items() if path.startswith(f"/opt/{server}/")}
    after = {path[len(aside):]: entry for path, entry in fleet.listing("server1", aside).items() if path.startswith(f"{aside}/")}
    assert len(before) > 1000 and after == before


def test_replaced_databases_are_dumped_before_they_are_replaced(fleet, restored):
    place = fleet.run("server1", "ls -d /var/lib/seafleet/maria/before-*/databases").strip()
    assert fleet.run("server1", f"find {place}/.. -perm /077") == ""
    assert LATER in fleet.run("server1", f"zcat {place}/seahub-db.sql.gz")
    fleet.run("server1", "mariadb -e 'CREATE DATABASE again' && "
              f"for name in {' '.join(DATABASES)}; do zcat {place}/$name.sql.gz | mariadb again; done")
    query = "SELECT words FROM later; SELECT count(*) > 5 FROM Branch; SELECT count(*) > 0 FROM EmailUser"
    assert fleet.run("server1", f"mariadb -N again -e '{query}'") == f"{LATER}\n1\n1\n"
    assert fleet.group["server1"].run("mariadb seahub-db -e 'SELECT * FROM later'").rc != 0


@pytest.mark.parametrize(("server", "fixture"), SERVERS.items())
def test_the_commands_of_restore_md_restore_with_stock_tools_only(fleet, backed_up, server, fixture):
    fleet.accounts("bare1")
    fleet.carry("backup1", f"{BACKUPS}/{server}", "bare1", "/mnt/disk")
    text = fleet.run("bare1", f"cat /mnt/disk/{server}/RESTORE.md")
    commands = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    names = {"BACKUP": f"/mnt/disk/{server}", "SET": backed_up[server], "TARGET": f"/opt/by hand {server}", "OWNER": "seafile:seafile"}
    for name, value in names.items():
        commands, count = re.subn(rf"^{name}=.*$", lambda found, name=name, value=value: f"{name}={shlex.quote(value)}", commands, flags=re.MULTILINE)
        assert count == 1, name
    assert fleet.run("bare1", f"sh -c {shlex.quote(commands)} 2>&1") == ""
    assert fleet.truth_at("bare1", names["TARGET"], fixture).startswith("equal to the manifest")
    assert fleet.run("bare1", f"find {shlex.quote(names['TARGET'])} ! -user seafile") == ""
