# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Row 22: one library back into a server that goes on running, by the playbook restore_library, with SQLite and with MariaDB.

A library with two sub-libraries, shares and links is deleted for good, as Seafile and its garbage collection do it, and comes back. Dumps
of all databases from before and after are compared row by row. What the modules refuse is tested with them.
"""

from __future__ import annotations

import json
import shlex
import types
import typing as t

import pytest

import writing
from fleet import DATABASES, FIXTURES, Fleet

SERVERS = {"lite": "seafile-11-sqlite", "maria": "seafile-11-mariadb"}
FAMILY = ("Alice documents", "Projekte", "many")
NEVER_BACK = ("RepoSize", "RepoFileCount", "RepoUserToken", "RepoTokenPeerInfo", "WebUploadTempFiles")
"""What a library had in these tables does not return: caches, clients' tokens, unfinished uploads."""
LIBRARIES = {server: writing.library_ids(fixture, *FAMILY, "History") for server, fixture in SERVERS.items()}

# The rows of libraries and their place in the store go; their ids stand among the garbage.
PURGE = """
import shutil, sqlite3, subprocess, sys
root, engine, ids = sys.argv[1], sys.argv[2], sys.argv[3:]
places = {"sqlite": [root + "/seafile-data/seafile.db", root + "/seahub.db"], "mariadb": ["seafile-db", "seahub-db"]}[engine]
def ask(place, statement):
    if engine == "sqlite":
        with sqlite3.connect(place) as connection:
            return connection.execute(statement).fetchall()
    done = subprocess.run(["mariadb", "-N", "-B", place, "-e", "SET foreign_key_checks=0; " + statement], check=True, stdout=subprocess.PIPE, text=True)
    return [line.split("\\t") for line in done.stdout.splitlines()]
wanted = ", ".join(f"'{library}'" for library in ids)
for place in places:
    if engine == "sqlite":
        tables = [row[0] for row in ask(place, "SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [(table, row[1]) for table in tables for row in ask(place, f'PRAGMA table_info("{table}")')]
    else:
        columns = ask(place, f"SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = '{place}'")
    for table, column in columns:
        if column in ("repo_id", "origin_repo", "origin_repo_id"):
            ask(place, f"DELETE FROM {table} WHERE {column} IN ({wanted})")
for library in ids:
    ask(places[0], f"INSERT INTO GarbageRepos (repo_id) VALUES ('{library}')")
    for kind in ("commits", "fs", "blocks"):
        shutil.rmtree(f"{root}/seafile-data/storage/{kind}/{library}", ignore_errors=True)
"""

# A server that goes on writing: short transactions of its own, one after the other; prints how many were made and how many failed.
BUSY = """
import os, sqlite3, subprocess, sys, time
root, engine = sys.argv[1:]
made = failed = 0
while not os.path.exists("/root/enough"):
    try:
        statement = f"UPDATE SystemInfo SET info_value = '{made}' WHERE info_key = 'busy'"
        if engine == "sqlite":
            with sqlite3.connect(root + "/seafile-data/seafile.db", timeout=5) as connection:
                connection.execute(statement)
        else:
            subprocess.run(["mariadb", "seafile-db", "-e", statement], check=True)
        made += 1
    except (sqlite3.Error, subprocess.CalledProcessError):
        failed += 1
    time.sleep(0.02)
print(made, failed)
"""


def engine(server: str) -> str:
    return SERVERS[server].rpartition("-")[2]


def family(server: str) -> list[str]:
    return [LIBRARIES[server][name] for name in FAMILY]


def dump(fleet: Fleet, server: str) -> dict[str, list[str]]:
    """Every row of every database, by database. What counts upwards only is no row."""
    found = {}
    if server == "maria":
        for name in DATABASES:
            text = fleet.run("server1", f"mariadb-dump --skip-dump-date --hex-blob --skip-extended-insert --complete-insert {name}")
            found[name] = [line for line in text.splitlines() if line.startswith("INSERT ")]
        return found
    root = fleet.root(server)
    for path in fleet.run("server1", f"find {root} -name '*.db' -size +0").split():
        found[path] = [line for line in fleet.run("server1", f"sqlite3 {path} .dump").splitlines() if line.startswith("INSERT ")]
    return found


def difference(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    """The rows that only one of two dumps has, without those of tables that never return."""
    lines = [("-", line) for name, rows in before.items() for line in set(rows) - set(after[name])]
    lines += [("+", line) for name, rows in after.items() for line in set(rows) - set(before[name])]
    return sorted(f"{sign} {line}" for sign, line in lines if line.split()[2].strip('`"') not in (*NEVER_BACK, "sqlite_sequence"))


def purge(fleet: Fleet, server: str, libraries: t.Iterable[str]) -> None:
    fleet.run("server1", f"python3 -c {shlex.quote(PURGE)} {fleet.root(server)} {engine(server)} {' '.join(libraries)}")


def sql(fleet: Fleet, server: str, statement: str) -> list[str]:
    command = f"sqlite3 {fleet.root(server)}/seafile-data/seafile.db" if server == "lite" else "mariadb -N seafile-db -e"
    return fleet.run("server1", f"{command} {shlex.quote(statement)}").splitlines()


def leftovers(fleet: Fleet) -> str:
    """Keys and fetched files of a run that has ended: there must be none."""
    return (fleet.run("backup1", "cat /root/.ssh/authorized_keys | grep seafleet-library; find /srv/seafile-backup -name library.json", check=False)
            + fleet.run("server1", "find /var/lib/seafleet -name '*.library'", check=False))


@pytest.fixture(scope="module")
def fleet(shared_hosts: t.Callable[..., t.Any]) -> Fleet:
    fleet = Fleet(shared_hosts("server1", "backup1"))
    access = fleet.own_access(*SERVERS)
    for server, fixture in SERVERS.items():
        fleet.add(server, machine="server1", root=f"/opt/{server}", **access)
        fleet.deploy(server, fixture)
        sql(fleet, server, "INSERT INTO SystemInfo (info_key, info_value) VALUES ('busy', '0')")
    fleet.backup()
    return fleet


@pytest.fixture(scope="module", params=SERVERS)
def told(request: pytest.FixtureRequest, fleet: Fleet) -> types.SimpleNamespace:
    """The library goes and returns while the server writes; then everything else that one may ask for."""
    server = request.param
    library = LIBRARIES[server]["Alice documents"]
    told = types.SimpleNamespace(server=server, library=library, fixture=SERVERS[server])
    told.exists = fleet.playbook("restore_library", server, restore_library_id=library)
    told.before = dump(fleet, server)
    purge(fleet, server, family(server))
    told.purged = dump(fleet, server)
    told.gone = fleet.truth(server, told.fixture)
    told.checked = fleet.playbook("restore_library", server, check=True, restore_library_id="Alice documents")
    told.after_check = dump(fleet, server)
    told.left_by_check = leftovers(fleet)
    busy = f"python3 -c {shlex.quote(BUSY)} {fleet.root(server)} {engine(server)}"
    fleet.run("server1", f"rm -f /root/enough; nohup {busy} >/root/busy 2>&1 </dev/null & echo $! >/root/busy.pid")
    told.back = fleet.playbook("restore_library", server, restore_library_id="Alice documents")
    told.busy = [int(word) for word in fleet.run("server1", "touch /root/enough; tail --pid=$(cat /root/busy.pid) -f /dev/null; cat /root/busy").split()]
    sql(fleet, server, "UPDATE SystemInfo SET info_value = '0' WHERE info_key = 'busy'")
    told.after = dump(fleet, server)
    told.truth = fleet.truth(server, told.fixture)
    told.left = leftovers(fleet)
    told.owners = fleet.run("server1", f"find {fleet.root(server)}/seafile-data/storage \\( ! -user seafile -o -type f ! -perm 600 \\) -path '*{library}*'")
    told.tokens = sql(fleet, server, f"SELECT token FROM RepoUserToken WHERE repo_id = '{library}'")
    told.listing = fleet.listing("server1", fleet.root(server))
    told.again = fleet.playbook("restore_library", server, restore_library_id=library)
    told.listing_again = fleet.listing("server1", fleet.root(server))
    return told


def test_a_library_that_is_there_is_refused(told):
    assert told.exists.code == 2 and "library-exists" in told.exists.output and told.exists.changed == 0


def test_check_mode_tells_the_rows_and_changes_no_database(told):
    assert told.checked.code == 0, told.checked.output
    assert f"library {told.library}: live" in told.checked.output and "would be brought back" in told.checked.output
    assert "seahub: share_fileshare: 40 rows" in told.checked.output and told.after_check == told.purged and told.left_by_check == ""


def test_the_purged_library_returns_with_its_rows_and_every_other_row_is_as_it_was(told):
    assert told.back.code == 0, told.back.output
    assert "library " in told.gone and difference(told.before, told.purged) != []
    assert difference(told.before, told.after) == []


def test_head_history_and_every_file_are_those_of_the_manifest(told):
    assert [line for line in told.truth.splitlines() if line.startswith("library ")] == []


def test_the_server_could_write_all_the_time(told):
    made, failed = told.busy
    assert made > 20 and failed == 0


def test_objects_have_the_owner_and_mode_of_the_store_and_no_client_has_a_token(told):
    assert told.owners == "" and told.tokens == []


def test_no_key_and_nothing_that_was_fetched_outlives_the_run(told):
    assert told.left == ""


def test_a_second_run_changes_nothing(told):
    assert told.again.code == 0 and told.again.changed == 0 and "nothing was changed" in told.again.output
    assert told.listing == told.listing_again


@pytest.fixture(scope="module")
def others(fleet: Fleet) -> types.SimpleNamespace:
    """A copy beside the original, a replacement, and a run that is killed."""
    server, history = "lite", LIBRARIES["lite"]["History"]
    others = types.SimpleNamespace()
    others.before = dump(fleet, server)
    others.as_new = fleet.playbook("restore_library", server, restore_library_id="History", restore_library_mode="as_new")
    others.heads = sql(fleet, server, "SELECT commit_id FROM Branch WHERE commit_id IN (SELECT commit_id FROM Branch GROUP BY commit_id HAVING COUNT(*) > 1)")
    others.after_new = dump(fleet, server)
    manifest = json.loads((FIXTURES / SERVERS[server] / "MANIFEST.json").read_text(encoding="utf-8"))
    others.head = next(library["head"] for library in manifest["libraries"] if library["id"] == history)
    sql(fleet, server, f"UPDATE Branch SET commit_id = '{'1' * 40}' WHERE repo_id = '{history}'")
    others.replaced = fleet.playbook("restore_library", server, restore_library_id=history, restore_library_mode="replace")
    others.head_after = sql(fleet, server, f"SELECT commit_id FROM Branch WHERE repo_id = '{history}'")
    others.copies = fleet.run("server1", f"find /var/lib/seafleet/{server}/libraries -maxdepth 2 -path '*before-*' -name library.json -perm 600").split()
    purge(fleet, server, [history])
    killed = fleet.start("restore_library", server, restore_library_id=history)
    # its own words, for what lies on the server is there for moments only; the list of what it has to fetch is written by then
    killed.wait_until(lambda: "Fetch the objects that the server lacks" in killed.output)
    killed.kill()
    others.while_killed = sql(fleet, server, f"SELECT repo_id FROM Repo WHERE repo_id = '{history}'")
    others.completed = fleet.playbook("restore_library", server, restore_library_id=history)
    others.after_all = dump(fleet, server)
    others.left = leftovers(fleet)
    return others


def test_as_new_the_library_stands_beside_the_original(others):
    assert others.as_new.code == 0, others.as_new.output
    lines = difference(others.before, others.after_new)
    assert lines and all(line.startswith("+ ") for line in lines) and others.heads == [others.head] * 2


def test_replaced_the_library_has_the_head_of_the_set_and_a_safety_copy_is_kept(others):
    assert others.replaced.code == 0, others.replaced.output
    assert others.head_after == [others.head] and len(others.copies) == 1 and others.copies[0].rpartition("/")[0] in others.replaced.output


def test_a_killed_run_shows_nothing_and_another_one_completes_it(others):
    assert others.while_killed == [] and others.completed.code == 0, others.completed.output
    assert difference(others.after_new, others.after_all) == [] and others.left == ""
