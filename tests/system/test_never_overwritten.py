# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a backup stays as it is, whatever happens at the source; what does not belong into it never comes.

One server is backed up three times. Before the second and the third time somebody deletes, alters and plants things on it.
"""

from __future__ import annotations

import shlex
import types
import typing as t

import pytest

from fleet import BACKUPS, ROOT, Fleet

STORE = f"{BACKUPS}/server1"
STORAGE = f"{ROOT}/seafile-data/storage"
SETTINGS = f"{ROOT}/conf/seahub_settings.py"
NAME = "c" * 38


def edit_settings(fleet: Fleet, edition: int) -> None:
    """Write another edition of the settings at the same size within the same second, down to the nanosecond."""
    fleet.run("server1", f"sed -i '/^# edition/d' {SETTINGS} && echo '# edition {edition}' >> {SETTINGS}"
              f" && chown seafile:seafile {SETTINGS} && touch -d '2026-11-01 03:00:00' {SETTINGS}")


def objects(fleet: Fleet, kind: str) -> list[str]:
    """Paths of the first 40 objects of I(kind), relative to the storage."""
    return fleet.run("server1", f"cd {STORAGE} && find {kind} -type f | sort | head -40").split()


def plant(fleet: Fleet, store: str) -> None:
    """Put everything into the tree that no backup should hold as it is; I(store) is a directory of blocks."""
    place = f"{STORAGE}/{store}"
    fleet.run("server1", " && ".join([
        f"mkdir -p {place}/e0 {place}/e1",
        f": > {place}/e0/{'0' * 38}",
        f"echo half > {place}/e0/{'1' * 38}.AbCdEf", f"echo half > {place}/e0/{'2' * 40}.1234",
        f"ln -s /etc/passwd {place}/e1/{NAME}", f"mkfifo {place}/e1/{'d' * 38}", f"mknod {place}/e1/{'e' * 38} c 1 3",
        f"echo shell > {place}/e1/{'f' * 38}", f"chmod 6755 {place}/e1/{'f' * 38}",
        f"ln -s /etc {place}/e2",
        f"mkfifo {ROOT}/conf/fifo", f"mknod {ROOT}/conf/null c 1 3", f"mknod {ROOT}/conf/disk b 7 0", f"ln -s /etc/shadow {ROOT}/conf/link",
        f"cp /bin/true {ROOT}/conf/suid", f"chmod 6755 {ROOT}/conf/suid",
        f"python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('{ROOT}/conf/socket')\"",
    ]))


@pytest.fixture(scope="module")
def history(shared_hosts: t.Callable[..., t.Any]) -> types.SimpleNamespace:
    """Three backups with changes at the source in between; what was there after each."""
    fleet = Fleet(shared_hosts("server1", "backup1", options=["--cap-add=MKNOD"]))
    fleet.add("server1")
    fleet.deploy("server1")
    edit_settings(fleet, 1)
    fleet.ok("prepare")
    first = fleet.backup()
    after_first = fleet.listing("backup1", STORE)

    blocks, commits, fs = (objects(fleet, kind) for kind in ("blocks", "commits", "fs"))
    deleted = [blocks[1], commits[0], fs[1]]
    # ransomware at its beginning: a hundredth of all is overwritten
    everything = fleet.run("server1", f"cd {STORAGE} && find blocks fs -type f | sort").split()
    garbage = [blocks[0], fs[0], *(name for name in everything[::100] if name not in deleted)]
    edit_settings(fleet, 2)
    for name in garbage:
        fleet.run("server1", f"truncate -s 0 {STORAGE}/{name} && head -c 5000 /dev/urandom > {STORAGE}/{name}")
    fleet.run("server1", f"cd {STORAGE} && rm {' '.join(deleted)} && rm {ROOT}/seafile-data/current_version")
    plant(fleet, blocks[0].rsplit("/", 2)[0])
    # no head has moved, so that only a sweep looks at what is there
    second = fleet.backup(backup_sweep_days=0)
    after_second = fleet.listing("backup1", STORE)

    edit_settings(fleet, 3)
    fleet.run("server1", f"cd {STORAGE}/fs && rm -r $(ls | tail -n +2) {ROOT}/seahub-data/avatars")
    third = fleet.backup()
    after_third = fleet.listing("backup1", STORE)

    # and at its end: all of it
    fleet.run("server1", f"find {STORAGE} -type f -size -100k -exec sh -c 'for file; do echo encrypted > \"$file\"; done' sh {{}} +")
    ransom = fleet.playbook("backup")
    return types.SimpleNamespace(
        fleet=fleet, sets=[first, second, third], after=[after_first, after_second, after_third, fleet.listing("backup1", STORE)], garbage=garbage,
        deleted=deleted, planted=blocks[0].rsplit("/", 2)[0], ransom=ransom)


def regular(listing: dict[str, list[t.Any]], below: str) -> dict[str, list[t.Any]]:
    """The regular files of a listing at I(below)."""
    return {path: entry for path, entry in listing.items() if path.startswith(below) and entry[0].startswith("-")}


@pytest.mark.parametrize("backups", [2, 3, 4])
def test_stored_objects_keep_inode_time_and_content_through_later_backups(history, backups):
    before, after = history.after[backups - 2], history.after[backups - 1]
    stored = regular(before, f"{STORE}/objects/")
    assert len(stored) > 1000
    assert {path: after.get(path) for path in stored} == stored


@pytest.mark.parametrize("backups", [2, 3, 4])
def test_sealed_sets_keep_every_file_through_later_backups(history, backups):
    before, after = history.after[backups - 2], history.after[backups - 1]
    for set_id in history.sets[: backups - 1]:
        sealed = {path: entry for path, entry in before.items() if path.startswith(f"{STORE}/sets/{set_id}")}
        assert len(sealed) > 20
        assert {path: entry for path, entry in after.items() if path.startswith(f"{STORE}/sets/{set_id}")} == sealed


def test_an_object_altered_or_deleted_at_the_source_stays_as_it_was_stored(history):
    for name in history.garbage + history.deleted:
        path = f"{STORE}/objects/{name}"
        assert history.after[2][path] == history.after[0][path]
    assert history.fleet.run("server1", f"sha256sum {STORAGE}/{history.garbage[0]}").split()[0] != history.after[2][f"{STORE}/objects/{history.garbage[0]}"][-1]


def test_a_source_that_is_overwritten_stops_the_run_before_anything_is_changed(history):
    assert history.ransom.code != 0 and "source-damaged: " in history.ransom.output, history.ransom.output
    assert f"Kept: set {history.sets[2]}." in history.ransom.output
    assert history.after[3] == history.after[2]
    assert history.fleet.sets("server1") == history.sets


def test_a_source_that_lost_most_of_its_directories_is_told(history):
    warnings = history.fleet.manifest("server1", history.sets[2])["warnings"]
    assert any("stores of directories are gone from the server" in warning for warning in warnings), warnings


def test_each_set_has_its_own_copy_of_the_files_of_its_time(history):
    first, second, third = (f"{STORE}/sets/{set_id}/files" for set_id in history.sets)
    everything = history.after[2]
    assert f"{first}/seafile-data/current_version" in everything
    assert f"{second}/seafile-data/current_version" not in everything
    assert f"{second}/seahub-data/avatars" in everything
    assert f"{third}/seahub-data/avatars" not in everything
    inodes = [everything[f"{files}/conf/seafdav.conf"][3] for files in (first, second, third)]
    assert inodes[0] == inodes[1], "an unchanged file is the same inode in both sets"
    assert inodes[1] != inodes[2], "the second set has a link that leads out of it, so that nothing is compared with it"


def test_both_editions_of_the_settings_come_back_by_set_id_though_size_and_time_are_equal(history):
    editions = [history.after[2][f"{STORE}/sets/{set_id}/files/conf/seahub_settings.py"] for set_id in history.sets]
    assert len({edition[4] for edition in editions}) == 1 and len({edition[5] for edition in editions}) == 1
    fleet = history.fleet
    for name, set_id in (("one", history.sets[0]), ("two", history.sets[1])):
        fleet.add(name, machine="server1", root=f"/opt/{name}", restore_server="server1", restore_set_id=set_id)
    fleet.ok("restore", "one", "two")
    for name, edition in (("one", 1), ("two", 2)):
        assert fleet.run("server1", f"tail -n 1 /opt/{name}/conf/seahub_settings.py") == f"# edition {edition}\n"
        # the second set was made when objects were gone or garbage at the source: the backup has them all
        assert fleet.truth(name).startswith("equal to the manifest")


def test_an_empty_object_is_reported_and_not_stored(history):
    empty = f"{history.planted}/e0/{'0' * 38}"
    assert f"{STORE}/objects/{empty}" not in history.after[1]
    warnings = history.fleet.manifest("server1", history.sets[1])["warnings"]
    assert any(empty in warning and "empty" in warning for warning in warnings), warnings


def test_names_that_are_no_objects_are_not_stored(history):
    names = [path.rpartition("/objects/")[2] for path in regular(history.after[2], f"{STORE}/objects/")]
    assert f"{history.planted}/e1/{'f' * 38}" in names
    assert not [name for name in names if len(name.rsplit("/", 1)[1]) != 38]


def test_links_devices_fifos_sockets_and_setuid_files_never_arrive_as_such(history):
    found = history.fleet.run("backup1", rf"find {BACKUPS} \( -type f -o -type d \) -perm /7000 -o -type p -o -type b -o -type c -o -type s")
    assert found == ""
    assert history.fleet.run("backup1", f"find {STORE}/objects -type l") == ""
    files = f"{STORE}/sets/{history.sets[1]}/files/conf"
    assert history.after[1][f"{files}/suid"][0] == "-rwx------"
    assert history.after[1][f"{files}/link"][0].startswith("l") and history.after[1][f"{files}/link"][-1] == "/etc/shadow"
    assert not [path for path in history.after[1] if path.endswith(("/fifo", "/null", "/disk", "/socket", f"/e1/{NAME}", f"/e1/{'d' * 38}", f"/e1/{'e' * 38}"))]


def test_a_backup_and_its_sets_are_private(history):
    assert history.fleet.run("backup1", f"find {shlex.quote(STORE)} ! -type l -perm /077") == ""
