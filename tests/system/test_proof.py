# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup that shows it can be restored: rot in the backup, damage at the source, a garbage collection in between.

Rows 8, 9, 14 and 27, faults 34, 48, 54 and 61 of the whole way, by the playbooks; what the walk finds in every damage of
tests/fixtures/damage.json is tested with the module set_verify.
"""

from __future__ import annotations

import json
import re
import shlex
import types
import typing as t

import pytest

from fleet import FIXTURES, READER, Fleet

DAMAGES = {damage["name"]: damage for damage in json.loads((FIXTURES / "damage.json").read_text())["damages"]}
ALICE = "b0d6c8d0-d232-4563-9899-d92e9741eb8b"
HISTORY = "08cb4330-5c51-4e91-a6a0-5409053e95af"
SERVERS = ("healthy", "ill", "collected", "collecting")

# As a garbage collection between dump and copy does it: the head has moved on, and what only the dumped head had is gone.
# Here the head moves between the newest commit and its parent, and the objects lie aside meanwhile.
TIME_MACHINE = """
import os, shutil, sqlite3, sys
sys.path.insert(0, "/root")
import read_back
root, library, head, wanted = sys.argv[1:]
place = root + "/seafile-data/storage"
aside = root + "-aside"
store = read_back.Storage(place)

def reach(tree, found):
    if tree == "0" * 40 or ("fs", tree) in found:
        return found
    found.add(("fs", tree))
    document = store.fs(library, tree)
    for entry in document.get("dirents", []):
        reach(entry["id"], found)
    found.update(("blocks", block) for block in document.get("block_ids", []))
    return found

newest = store.commit(library, head)
parent = newest["parent_id"]
def path(top, kind, name):
    return f"{top}/{kind}/{library}/{name[:2]}/{name[2:]}"
if wanted == "older":
    only = reach(newest["root_id"], set()) - reach(store.commit(library, parent)["root_id"], set())
    assert only
    for kind, name in only:
        os.makedirs(os.path.dirname(path(aside, kind, name)), exist_ok=True)
        shutil.move(path(place, kind, name), path(aside, kind, name))
else:
    for folder, names, files in os.walk(aside):
        for name in files:
            shutil.move(os.path.join(folder, name), os.path.join(folder, name).replace(aside, place, 1))
with sqlite3.connect(root + "/seafile-data/seafile.db") as database:
    database.execute("UPDATE Branch SET commit_id = ? WHERE repo_id = ?", (parent if wanted == "older" else head, library))
print(parent)
"""

# rsync of the backup host, which waits before it fetches objects for as long as the test likes.
HELD_RSYNC = """#!/bin/sh
case "$*" in
*/objects/*) while [ -e /root/held ]; do sleep 0.1; done ;;
esac
exec /usr/bin/rsync "$@"
"""
# It may write nothing but objects, so that it cannot leave a mark: its process is the sign. The brackets keep pgrep from finding its own shell.
WAITING = "pgrep -f '/usr/local/bin/[r]sync .*/objects/'"


@pytest.fixture(scope="module")
def fleet(shared_hosts: t.Callable[..., t.Any]) -> Fleet:
    fleet = Fleet(shared_hosts("server1", "backup1"))
    access = fleet.own_access(*SERVERS)
    for name in SERVERS:
        fleet.add(name, machine="server1", root=f"/opt/{name}", **access)
    fleet.deploy("healthy")
    for name in SERVERS[1:]:
        fleet.clone(name, "healthy")
    fleet.group.put("server1", READER, "/root/read_back.py")
    return fleet


def stored(fleet: Fleet, server: str, path: str) -> str:
    """The path in the backup of the object that lies at I(path) of the deployment."""
    return f"{fleet.store(server)}/objects/{path.partition('/storage/')[2]}"


def flip(fleet: Fleet, machine: str, path: str) -> None:
    """Change one byte in the middle, as a disk does: neither size nor time tell."""
    script = "import os, sys; f = sys.argv[1]; s = os.stat(f); d = bytearray(open(f, 'rb').read()); d[len(d) // 2] ^= 1; os.chmod(f, 0o600); " \
             "open(f, 'r+b').write(d); os.chmod(f, s.st_mode); os.utime(f, ns=(s.st_atime_ns, s.st_mtime_ns))"
    fleet.run(machine, f"python3 -c {shlex.quote(script)} {shlex.quote(path)}")


def verification(fleet: Fleet, server: str, set_id: str) -> dict[str, t.Any]:
    """What the manifest says of the verification in the backup run."""
    return fleet.manifest(server, set_id)["verification"]


# -- rot in the backup, while the server is well -------------------------------------------------------------------


@pytest.fixture(scope="module")
def rot(fleet: Fleet) -> types.SimpleNamespace:
    """A byte flips in the backup; verify finds it with the server shut away, and again with the server there."""
    told = types.SimpleNamespace(path=DAMAGES["bitflip_block"]["paths"][0])
    told.first = fleet.backup("healthy")
    told.place = stored(fleet, "healthy", told.path)
    told.good = fleet.run("backup1", f"sha1sum {told.place}").split()[0]
    told.unchanged = fleet.playbook("verify", "healthy", verify_level="quick")
    flip(fleet, "backup1", told.place)
    told.bad = fleet.run("backup1", f"sha1sum {told.place}").split()[0]
    told.quick = fleet.playbook("verify", "healthy", verify_level="quick")
    told.alone = fleet.playbook("verify", "healthy", verify_level="full", verify_heal=False)
    told.restore = fleet.playbook("restore", "healthy", check=True, restore_confirm="healthy")
    told.healed = fleet.playbook("verify", "healthy", verify_level="full")
    told.after = fleet.run("backup1", f"sha1sum {told.place}").split()[0]
    told.quarantine = fleet.run("backup1", f"find {fleet.store('healthy')}/quarantine -type f -exec sha1sum {{}} +").split()
    flip(fleet, "backup1", told.place)
    told.scrubbed = fleet.playbook("backup", "healthy", backup_scrub_percent=100)
    told.at_last = fleet.run("backup1", f"sha1sum {told.place}").split()[0]
    return told


def test_a_first_backup_is_verified_and_says_so(fleet, rot):
    record = verification(fleet, "healthy", rot.first)
    assert record["state"] == "verified" and record["findings_total"] == 0
    assert record["hashed"]["blocks"]["files"] > 200 and record["hashed"]["fs"]["files"] > 500 and record["hashed"]["commits"]["files"] > 200


def test_verify_without_damage_changes_nothing(rot):
    assert rot.unchanged.code == 0, rot.unchanged.output
    assert rot.unchanged.changed == 0


def test_a_flipped_byte_is_found_by_name_of_library_path_and_object(rot):
    assert rot.good != rot.bad
    assert rot.alone.code == 2
    for word in ("Alice documents", "/big/random-300k.bin", rot.good, "set-incomplete"):
        assert word in rot.alone.output, rot.alone.output


def test_a_damaged_set_is_not_restored_by_itself(rot):
    assert rot.restore.code == 2 and rot.first in rot.restore.output and "damaged" in rot.restore.output


def test_the_server_heals_the_backup_and_the_bad_file_is_kept(rot):
    assert rot.healed.code == 0, rot.healed.output
    assert rot.after == rot.good
    assert rot.quarantine[0] == rot.bad


def test_a_scrub_within_the_backup_finds_and_heals_it_too(fleet, rot):
    assert rot.scrubbed.code == 0, rot.scrubbed.output
    assert rot.at_last == rot.good
    record = verification(fleet, "healthy", fleet.sets("healthy")[-1])
    assert record["state"] == "verified" and record["healed_total"] == 1 and record["scrubbed"]["files"] > 1000


# -- damage at the source ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ill(fleet: Fleet) -> types.SimpleNamespace:
    """A server that lost a block and had another one altered before its first backup."""
    told = types.SimpleNamespace(flipped=DAMAGES["bitflip_block"]["paths"][0], lost=DAMAGES["missing_block"]["paths"][0])
    flip(fleet, "server1", told.flipped.replace("haiwen", "/opt/ill", 1))
    fleet.run("server1", f"rm {told.lost.replace('haiwen', '/opt/ill', 1)}")
    told.result = fleet.playbook("backup", "ill")
    told.again = fleet.playbook("backup", "ill")
    told.set = fleet.sets("ill")[-1]
    return told


def test_damage_of_the_server_itself_is_told_and_does_not_fail_its_backup_for_ever(fleet, ill):
    for result in (ill.result, ill.again):
        assert result.code == 0, result.output
        assert "/big/random-300k.bin" in result.output and "/big/large-20MiB.bin" in result.output
    record = verification(fleet, "ill", ill.set)
    assert record["state"] == "verified"
    assert {finding["where"] for finding in record["findings"]} == {"source"}
    assert {finding["id"][:2] + "/" + finding["id"][2:] for finding in record["findings"]} == {
        path.partition(ALICE + "/")[2] for path in (ill.flipped, ill.lost)}


# -- a garbage collection between dump and copy ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def collected(fleet: Fleet) -> types.SimpleNamespace:
    """Two sets; while the second is made, after its dump, a library's head moves and the dumped head's objects go."""
    told = types.SimpleNamespace(head=json.loads((FIXTURES / "seafile-11-sqlite" / "MANIFEST.json").read_text()))
    told.head = next(library["head"] for library in told.head["libraries"] if library["id"] == HISTORY)

    def travel(wanted: str) -> str:
        return fleet.run("server1", f"python3 -c {shlex.quote(TIME_MACHINE)} /opt/collected {HISTORY} {told.head} {wanted}").strip()

    told.parent = travel("older")
    told.first = fleet.backup("collected")
    travel("newer")
    fleet.run("backup1", f"printf '%s' {shlex.quote(HELD_RSYNC)} > /usr/local/bin/rsync && chmod 755 /usr/local/bin/rsync && touch /root/held")
    run = fleet.start("backup", "collected")
    try:
        run.wait_until(lambda: fleet.group["backup1"].run(WAITING).rc == 0)
        travel("older")
        fleet.run("backup1", "rm /root/held")
        told.code = run.wait()
    finally:
        run.kill()
    told.output = run.output
    told.second = fleet.sets("collected")[-1]
    told.restore = fleet.playbook("restore", "collected", restore_confirm="collected")
    return told


def test_a_set_that_lost_objects_to_a_collection_is_damaged_and_names_exactly_that_library(fleet, collected):
    assert collected.second != collected.first
    assert collected.code == 2 and "set-incomplete" in collected.output
    record = verification(fleet, "collected", collected.second)
    assert record["state"] == "damaged"
    assert [library["id"] for library in record["damaged_libraries"]] == [HISTORY]
    assert {finding["where"] for finding in record["findings"]} == {"backup"}


def test_the_older_whole_set_is_restored_and_the_reason_said(fleet, collected):
    assert collected.restore.code == 0, collected.restore.output
    assert f"set {collected.first}" in collected.restore.output
    assert re.search(rf"{collected.second}.*damaged", collected.restore.output)
    query = f"sqlite3 /opt/collected/seafile-data/seafile.db \"SELECT commit_id FROM Branch WHERE repo_id = '{HISTORY}'\""
    assert fleet.run("server1", query).strip() == collected.parent


# -- an online garbage collection (Seafile 12 and newer), which leaves its mark in the database ------------------------


def database(fleet: Fleet, statement: str) -> str:
    return fleet.run("server1", f"mariadb --batch --skip-column-names seafile-db -e {shlex.quote(statement)}")


def test_a_collection_that_has_been_or_is_at_work_in_the_database_makes_its_libraries_be_read_in_full(fleet):
    fleet.add("online", machine="server1", root="/opt/online", **fleet.own_access("online"))
    fleet.deploy("online", "seafile-11-mariadb")
    been, at_work = database(fleet, "SELECT repo_id FROM Branch ORDER BY repo_id LIMIT 2").split()
    database(fleet, f"INSERT INTO GCID (repo_id, gc_id) VALUES ('{been}', 'before'), ('{at_work}', 'before')")
    fleet.run("backup1", f"printf '%s' {shlex.quote(HELD_RSYNC)} > /usr/local/bin/rsync && chmod 755 /usr/local/bin/rsync")
    fleet.run("backup1", "touch /root/held")
    run = fleet.start("backup", "online", backup_warm_up=False)
    try:
        run.wait_until(lambda: fleet.group["backup1"].run(WAITING).rc == 0)
        database(fleet, f"UPDATE GCID SET gc_id = 'after' WHERE repo_id = '{been}'")
        # online collection holds this open for as long as it removes objects
        update = f"BEGIN; UPDATE GCID SET gc_id = 'after' WHERE repo_id = '{at_work}';"
        fleet.run("server1", f"systemd-run --collect --unit=online-gc sh -c {shlex.quote(f'(echo {shlex.quote(update)}; sleep 900) | mariadb seafile-db')}")
        run.wait_until(lambda: database(fleet, "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_rows_modified > 0").strip() == "1")
        fleet.run("backup1", "rm /root/held")
        code = run.wait()
    finally:
        run.kill()
        fleet.run("backup1", "rm -f /root/held")
        fleet.run("server1", "systemctl stop online-gc", check=False)
    assert code == 0, run.output
    manifest = fleet.manifest("online", fleet.sets("online")[-1])
    assert manifest["verification"]["state"] == "verified"
    assert "since the dump a garbage collection worked on 2 libraries" in manifest["warnings"]


# -- a garbage collection at work ------------------------------------------------------------------------------------


def start_collection(fleet: Fleet, seconds: int) -> None:
    """A process that looks like the garbage collection of the server called collecting."""
    fleet.run("server1", "printf '#!/bin/sh\\nsleep \"$1\"\\n' > /root/seafserv-gc && chmod 755 /root/seafserv-gc")
    fleet.run("server1", f"systemd-run --collect --unit=gc --working-directory=/opt/collecting /root/seafserv-gc {seconds}")


def test_a_running_collection_is_waited_for(fleet):
    start_collection(fleet, 8)
    result = fleet.playbook("backup", "collecting", backup_gc_wait=60)
    assert result.code == 0, result.output
    assert fleet.group["server1"].run("systemctl is-active gc").rc != 0
    assert fleet.manifest("collecting", fleet.sets("collecting")[-1])["verification"]["state"] == "verified"


def test_a_collection_that_goes_on_stops_the_run_before_any_change(fleet):
    before = fleet.sets("collecting")
    start_collection(fleet, 600)
    try:
        result = fleet.playbook("backup", "collecting", backup_gc_wait=3)
    finally:
        fleet.run("server1", "systemctl stop gc")
    assert result.code == 2 and "gc-running" in result.output
    assert fleet.sets("collecting") == before and fleet.sets("collecting", partial=True) == []


# -- without the server --------------------------------------------------------------------------------------------


def test_verify_works_while_the_server_is_down(fleet, rot):
    fleet.group.podman("server1", "pause")
    try:
        result = fleet.playbook("verify", "healthy", verify_set_id="all", verify_level="full")
    finally:
        fleet.group.podman("server1", "unpause")
    assert result.code == 0, result.output
    assert all(set_id in result.output for set_id in fleet.sets("healthy"))
