# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention on a real disk: what is removed, what stays untouched, and what a kill leaves."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import shutil
import time

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import atomic, retention_run, set_removal, set_use, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, new_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.retention import Policy
from ansible_collections.seafleet.seafile.plugins.module_utils.run_record import between_runs
from ansible_collections.seafleet.seafile.tests.unit.plugins.killed import is_killed

NOW = datetime.datetime(2026, 11, 30, 4, 0, 0, tzinfo=datetime.timezone.utc)
LEASE = 3600
LEAST = dict(keep_last=0, keep_daily=0, keep_weekly=0, keep_monthly=0, keep_yearly=0)
RECORD = {"format": 1, "state": "verified", "level": "new", "ended": "2026-01-01T00:00:00Z", "findings_total": 0, "findings": [], "damaged_libraries": [],
          "reasons": []}


def id_of(days):
    return new_set_id(NOW - datetime.timedelta(days=days, hours=1))


@pytest.fixture
def layout(tmp_path):
    return ServerLayout(str(tmp_path), "server1")


def make(layout, days, before=None, **manifest):
    """A sealed and verified set; its file C(same) is a hard link to that of the set I(before)."""
    set_id = id_of(days)
    directory = layout.sealed(set_id)
    os.makedirs(os.path.join(directory, "files", "conf"))
    atomic.write_atomically(os.path.join(directory, "files", "own"), b"x" * 1000)
    same = os.path.join(directory, "files", "conf", "same")
    if before:
        os.link(os.path.join(layout.sealed(before), "files", "conf", "same"), same)
    else:
        atomic.write_atomically(same, b"y" * 500)
    atomic.write_json(os.path.join(directory, sets.MANIFEST), dict(
        {"format": 1, "set_id": set_id, "databases": [], "began": "2026-01-01T00:00:00Z", "verification": RECORD}, **manifest))
    sums = {path: sets.file_sha256(os.path.join(directory, path)) for path in sets.regular_files(directory)}
    atomic.write_atomically(os.path.join(directory, sets.SUMS), sets.format_sums(sums))
    return set_id


@pytest.fixture
def nights(layout):
    """Six sets that share one file; the two oldest may go."""
    made = []
    for days in (20, 15, 6, 2, 1, 0):
        made.append(make(layout, days, made[-1] if made else None))
    return made


def retain(layout, check=False, now=NOW, **policy):
    return retention_run.retain(layout, Policy(**dict(LEAST, **policy)), now, LEASE, check)


def snapshot(top):
    """All that is there, with inode, size and time."""
    found = {}
    for folder, names, files in os.walk(top):
        for name in names + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            found[os.path.relpath(path, top)] = (status.st_ino, status.st_mtime_ns, 0 if os.path.isdir(path) else status.st_size)
    return found


def test_what_goes_is_gone_with_all_that_belongs_to_it_and_the_rest_is_untouched(layout, nights):
    os.makedirs(os.path.join(layout.objects, "blocks"))
    for set_id in (nights[0], nights[3]):
        atomic.write_json(layout.verification(set_id), RECORD)
        atomic.write_atomically(layout.verification_page(set_id), b"")
    atomic.make_private_directory(os.path.dirname(layout.object_list(nights[0])))
    atomic.write_atomically(layout.object_list(nights[0]), b"")
    os.utime(layout.object_list(nights[0]), (0, 0))
    os.utime(os.path.dirname(layout.object_list(nights[0])), (0, 0))
    before = snapshot(layout.root)
    result = retain(layout)
    assert result["changed"] and result["pruned"] == nights[:2] and not result["frozen"] and not result["stayed"]
    assert result["freed_bytes"] == sum(
        size for path, (inode, dummy, size) in before.items() if path.startswith(tuple(f"sets/{set_id}/" for set_id in nights[:2])) and "same" not in path)
    after = snapshot(layout.root)
    gone = set(before) - set(after)
    assert gone == {path for path in before if any(set_id in path for set_id in nights[:2])}
    changed = {path for path in after if before.get(path) != after[path]}
    assert changed <= {"sets", "state", "state/restore", "state/lock"}
    assert [sets.check_sums(layout.sealed(set_id)) for set_id in nights[2:]] == [[]] * 4
    with open(os.path.join(layout.sealed(nights[2]), "files", "conf", "same"), "rb") as stream:
        assert stream.read() == b"y" * 500 and os.fstat(stream.fileno()).st_nlink == 4
    assert not retain(layout)["changed"]


def test_check_mode_tells_the_same_and_changes_nothing(layout, nights):
    before = snapshot(layout.root)
    told = retain(layout, check=True)
    assert snapshot(layout.root) == before
    done = retain(layout)
    assert {key: told[key] for key in ("changed", "sets", "pruned", "freed_bytes", "diff")} == {
        key: done[key] for key in ("changed", "sets", "pruned", "freed_bytes", "diff")}
    assert told["diff"]["before"].count("verified\n") == 6 and told["diff"]["after"].count("verified\n") == 4
    assert told["report"][0].startswith("2 of 6 sets would be pruned (") and told["report"][0].endswith("), 4 stay")
    assert f"goes: {nights[1]} (verified): 7 days old or older, and nothing keeps it" in told["report"]
    assert f"kept: {nights[5]} (verified): younger than 7 days; newest verified; one of the 2 newest verified" in told["report"]


def test_no_backup_is_no_error(layout):
    result = retain(layout)
    assert not result["changed"] and result["report"] == ["there are no sets"] and not os.path.exists(layout.root)


# -- kills -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_removal_that_was_killed_anywhere_is_ended_by_the_next(layout, nights, monkeypatch, turn, after):
    atomic.write_json(layout.verification(nights[0]), RECORD)
    whole = snapshot(layout.root)
    assert is_killed(monkeypatch, turn, after, lambda: retain(layout))
    # whatever happened: what stands under a set's name is a whole set
    for set_id in sets.sealed_ids(layout):
        assert sets.check_sums(layout.sealed(set_id)) == []
    assert sets.sealed_ids(layout)[-4:] == nights[2:]
    result = retain(layout)
    assert sorted(result["pruned"] + result["completed"]) == nights[:2]
    assert sorted(os.listdir(layout.sets)) == nights[2:]
    assert {path: there for path, there in whole.items() if any(set_id in path for set_id in nights[2:]) and os.path.isfile(os.path.join(layout.root, path))} \
        == {path: there for path, there in snapshot(layout.root).items()
            if path.startswith("sets/") and os.path.isfile(os.path.join(layout.root, path))}


def test_an_interrupted_removal_is_ended_also_while_nothing_else_may_go(layout, nights):
    os.rename(layout.sealed(nights[0]), layout.removed(nights[0]))
    os.mkdir(layout.partial(new_set_id(NOW)))
    told = retain(layout, check=True)
    assert told["completed"] == [nights[0]] and told["changed"] and os.path.isdir(layout.removed(nights[0]))
    result = retain(layout)
    assert result["frozen"] and result["completed"] == [nights[0]] and result["pruned"] == []
    assert set_removal.left_over(layout) == []


def test_a_set_under_removal_is_no_set(layout, nights):
    for set_id in nights:
        os.rename(layout.sealed(set_id), layout.removed(set_id))
    os.mkdir(layout.removed(id_of(30), sealed=False))
    assert sets.catalogue(layout) == [] and sets.partial_ids(layout) == []
    assert len(set_removal.left_over(layout)) == 7


# -- sets in use, runs at work ---------------------------------------------------------------------------------------


def _read(directory, said):
    use = set_use.Use(directory)
    said.send("reading")
    time.sleep(600)
    del use


def test_a_set_that_another_process_reads_stays_until_it_has_ended(layout, nights):
    context = multiprocessing.get_context("fork")
    heard, said = context.Pipe(duplex=False)
    reader = context.Process(target=_read, args=(layout.sealed(nights[0]), said))
    reader.start()
    try:
        assert heard.recv() == "reading"
        assert retain(layout, check=True)["pruned"] == [nights[1]]
        result = retain(layout)
        assert result["pruned"] == [nights[1]] and result["stayed"] == {nights[0]: "in use: something reads it at this moment"}
        assert result["sets"][-1] == {"set_id": nights[0], "state": "verified", "verdict": "kept", "reasons": [result["stayed"][nights[0]]]}
    finally:
        # the lock is the kernel's: it ends with its process, however that ends
        reader.kill()
        reader.join()
    assert retain(layout)["pruned"] == [nights[0]]


def test_a_reader_that_comes_too_late_is_told(layout, nights):
    directory = layout.sealed(nights[0])
    lock = set_use.claim(directory)
    with pytest.raises(SeafileError) as caught:
        set_use.Use(directory)
    assert caught.value.code == "no-set" and "being removed" in caught.value.message
    os.close(lock)
    use = set_use.Use(directory)
    assert set_use.claim(directory) is None
    use.end()
    os.close(set_use.claim(directory))
    os.rename(directory, layout.removed(nights[0]))
    with pytest.raises(SeafileError) as caught:
        set_use.Use(directory)
    assert caught.value.code == "no-set"


def test_a_set_that_was_renamed_between_opening_and_locking_is_not_in_use(layout, nights, monkeypatch):
    directory = layout.sealed(nights[0])
    real = set_use.fcntl.flock

    def late(descriptor, kind):
        os.rename(directory, layout.removed(nights[0]))
        return real(descriptor, kind)

    monkeypatch.setattr(set_use.fcntl, "flock", late)
    with pytest.raises(SeafileError) as caught:
        set_use.Use(directory)
    assert caught.value.code == "no-set"


def test_a_use_ends_with_what_holds_it(layout, nights):
    use = set_use.Use(layout.sealed(nights[0]))
    assert set_use.claim(layout.sealed(nights[0])) is None
    del use
    os.close(set_use.claim(layout.sealed(nights[0])))


@pytest.mark.parametrize("name", ["{0}", "{0}-all", "{0}-0123456789abcdef", "{0}-b0d6c8d0-d232-4563-9899-d92e9741eb8b"])
def test_a_set_that_a_restore_chose_stays_three_days(layout, nights, name):
    listed = layout.object_list(name.format(nights[0]))
    atomic.make_private_directory(os.path.dirname(listed))
    atomic.write_atomically(listed, b"")
    now = utc_now()
    # NOW is the time of the story; the list's time is that of the disk
    for days, stays in ((2.9, True), (3.1, False)):
        stamp = (NOW - datetime.timedelta(days=days)).timestamp()
        os.utime(listed, (stamp, stamp))
        os.utime(os.path.dirname(listed), (stamp, stamp))
        told = retain(layout, check=True)
        assert (nights[0] in told["pruned"]) != stays
        if stays:
            assert told["sets"][-1]["reasons"][0].startswith("chosen for a restore at 2026-11-27T")
    set_use.note_restore(listed)
    assert abs(os.stat(listed).st_mtime - now.timestamp()) < 600
    assert set_use.restore_began(layout, nights[0], utc_now()) and set_use.restore_began(layout, nights[1], utc_now()) is None


def test_a_restore_that_chose_the_set_after_the_decision_has_it(layout, nights):
    listed = layout.object_list(nights[0])
    atomic.make_private_directory(os.path.dirname(listed))
    atomic.write_atomically(listed, b"")
    taken, stayed = set_removal.take_away(layout, dict.fromkeys(nights[:2], "verified"), utc_now(), False)
    assert [removed.set_id for removed in taken] == [nights[1]] and stayed == {nights[0]: "in use: a restore has chosen it"}
    assert sets.check_sums(layout.sealed(nights[0])) == []


def run(layout, state="running", renewed=NOW, set_id="20261130T030000Z"):
    atomic.make_private_directory(layout.state)
    atomic.write_json(os.path.join(layout.state, "run.json"), {
        "set_id": set_id, "state": state, "began": as_text(renewed), "renewed": as_text(renewed), "controller": {}, "stages": {}})


def test_nothing_is_taken_while_a_run_is_at_work(layout, nights):
    running = new_set_id(NOW)
    os.mkdir(layout.partial(running))
    now = utc_now()
    run(layout, renewed=now, set_id=running)
    before = snapshot(layout.sets)
    for check in (True, False):
        with pytest.raises(SeafileError) as caught:
            retention_run.retain(layout, Policy(**LEAST), NOW if check else now, 10 ** 9, check)
        assert caught.value.code == "run-active" and running in caught.value.message
    assert snapshot(layout.sets) == before


def test_nothing_is_taken_while_a_process_holds_the_lock(layout, nights):
    with between_runs(layout, LEASE):
        with pytest.raises(SeafileError) as caught:
            retain(layout)
    assert caught.value.code == "run-active" and sets.sealed_ids(layout) == nights


def test_a_run_at_work_is_told_and_does_not_matter_where_nothing_goes(layout, nights):
    for set_id in nights[:2]:
        shutil.rmtree(layout.sealed(set_id))
    running = new_set_id(NOW)
    os.mkdir(layout.partial(running))
    run(layout, set_id=running)
    result = retain(layout)
    assert not result["changed"] and result["sets"][0]["reasons"] == ["its run is at work"] and not result["frozen"]


# -- what is odd -----------------------------------------------------------------------------------------------------


def test_a_set_whose_manifest_cannot_be_read_goes_by_its_age_alone_and_is_named(layout, nights):
    old, newer = make(layout, 40), make(layout, 25)
    for set_id in (old, newer):
        os.unlink(os.path.join(layout.sealed(set_id), sets.MANIFEST))
    result = retain(layout)
    assert old in result["pruned"] and newer not in result["pruned"]
    assert f"goes: {old} (damaged): damaged, 30 days old or older, and 2 newer sets are verified" in result["report"]
    assert f"kept: {newer} (damaged): damaged, and younger than 30 days" in result["report"]


def test_nothing_goes_while_a_verified_set_that_is_to_stay_was_changed(layout, nights):
    with open(os.path.join(layout.sealed(nights[4]), "files", "own"), "wb") as stream:
        stream.write(b"z" * 1000)
    for check in (True, False):
        result = retain(layout, check=check)
        assert not result["changed"] and result["frozen"] == [f"the verified set {nights[4]} is not as it was sealed: files/own was changed after sealing"]
    assert sets.sealed_ids(layout) == nights


def test_a_file_beside_the_set_keeps_it(layout, nights):
    atomic.write_atomically(layout.keep(nights[0]), "before the great\x1b[31m move\nsecond line".encode())
    result = retain(layout)
    assert result["pruned"] == [nights[1]]
    assert result["sets"][-1]["reasons"] == ["marked to be kept (before the great\\x1b[31m move)"]


@pytest.mark.parametrize("make_marker", [
    lambda path: open(path, "w").close(), os.mkdir, lambda path: os.symlink("nowhere", path), os.mkfifo], ids=["empty", "directory", "link", "fifo"])
def test_whatever_has_the_name_of_such_a_file_keeps(layout, nights, make_marker):
    make_marker(layout.keep(nights[0]))
    result = retain(layout)
    assert result["pruned"] == [nights[1]] and result["sets"][-1]["reasons"] == ["marked to be kept"]


def test_a_link_in_place_of_a_set_is_left_alone(layout, nights, tmp_path):
    moved = str(tmp_path / "elsewhere")
    os.rename(layout.sealed(nights[0]), moved)
    os.symlink(moved, layout.sealed(nights[0]))
    result = retain(layout)
    assert result["pruned"] == [nights[1]] and result["sets"][-1]["reasons"] == ["no directory"]
    assert sorted(sets.regular_files(moved)) == ["SHA256SUMS", "files/conf/same", "files/own", "manifest.json"]


def test_links_in_a_set_are_unlinked_and_not_followed(layout, nights, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"precious")
    os.symlink(str(outside), os.path.join(layout.sealed(nights[0]), "files", "link"))
    assert retain(layout)["pruned"] == nights[:2]
    assert (outside / "file").read_bytes() == b"precious"


def test_what_cannot_be_removed_is_named_and_the_rest_goes(layout, nights, monkeypatch):
    real = shutil.rmtree

    def refusing(path, *arguments, **named):
        if nights[0] in path:
            raise PermissionError(1, "Operation not permitted", "own")
        real(path, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(set_removal.shutil, "rmtree", refusing)
        with pytest.raises(SeafileError) as caught:
            retain(layout)
    assert caught.value.code == "retention-incomplete" and nights[0] in caught.value.message and "Operation not permitted" in caught.value.message
    assert caught.value.details["pruned"] == nights[:2]
    assert sorted(os.listdir(layout.sets)) == [f".{nights[0]}.removed", *nights[2:]]
    assert retain(layout)["completed"] == [nights[0]] and sorted(os.listdir(layout.sets)) == nights[2:]


def test_a_set_that_cannot_be_renamed_stays_and_is_told(layout, nights, monkeypatch):
    def refusing(source, dest):
        raise PermissionError(1, "Operation not permitted", source)

    monkeypatch.setattr(set_removal.os, "rename", refusing)
    result = retain(layout)
    assert result["pruned"] == [] and result["stayed"] == dict.fromkeys(nights[:2], "it cannot be removed (Operation not permitted)")
    assert f"stays: {nights[0]}: it cannot be removed (Operation not permitted)" in result["report"]


# -- partial sets and quarantine -------------------------------------------------------------------------------------


def test_partial_sets_and_quarantine_are_listed_and_go_only_when_asked_for(layout, nights):
    partial = id_of(40)
    os.makedirs(os.path.join(layout.partial(partial), "files"))
    os.link(os.path.join(layout.sealed(nights[5]), "files", "own"), os.path.join(layout.partial(partial), "files", "own"))
    for days in (40, 3):
        os.makedirs(os.path.join(layout.quarantine, id_of(days), "blocks"))
    os.makedirs(os.path.join(layout.quarantine, "of-a-user"))
    result = retain(layout, min_age_days=30)
    assert not result["changed"] and result["quarantine"] == 2
    assert f"kept: {partial} (partial): partial, and partial sets are never pruned (partial_days is 0)" in result["report"]
    assert "quarantine: 2 directories, of which 0 go" in result["report"]
    result = retain(layout, min_age_days=30, partial_days=30, quarantine_days=30)
    assert result["pruned"] == [] and result["pruned_partial"] == [partial]
    assert result["pruned_quarantine"] == [os.path.join(layout.quarantine, id_of(40))]
    assert sorted(os.listdir(layout.quarantine)) == [id_of(3), "of-a-user"] and sets.partial_ids(layout) == []
    assert sets.check_sums(layout.sealed(nights[5])) == []


def test_what_is_left_of_a_partial_set_takes_nothing_from_the_sealed_one_of_its_id(layout, nights):
    atomic.write_json(layout.verification(nights[5]), RECORD)
    os.makedirs(os.path.join(layout.removed(nights[5], sealed=False), "files"))
    assert retain(layout, min_age_days=30)["completed"] == [nights[5]]
    assert os.path.isfile(layout.verification(nights[5])) and sets.check_sums(layout.sealed(nights[5])) == []
    assert set_removal.left_over(layout) == []


def test_nothing_of_the_quarantine_goes_while_nothing_may_go(layout, nights):
    os.makedirs(os.path.join(layout.quarantine, id_of(40)))
    os.mkdir(layout.partial(new_set_id(NOW)))
    assert retain(layout, quarantine_days=7)["pruned_quarantine"] == []
