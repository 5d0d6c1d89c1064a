# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import change_list, closure, directory_times, library_listing, pointers
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore
from ansible_collections.seafleet.seafile.plugins.module_utils.rsync import OBJECT_FILTERS
from ansible_collections.seafleet.seafile.plugins.modules import library_changes
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.random_history import World
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import Maker, fill

DEFAULTS = dict(seafile_conf=None, known_set_id=None, known=None, heads_to=None, level="auto", sweep=False, distrusted=[])
NOTHING = dict(by_directories=0, gone=0, unmoved=0, walked=0, whole=0)


def set_id(number):
    return f"20261101T{number // 60:02d}{number % 60:02d}00Z"


def entries(path):
    with open(path, "rb") as stream:
        content = stream.read()
    assert not content or content.endswith(b"\0")
    return content.decode("ascii").split("\0")[:-1]


def expand(root, listed):
    """The objects that rsync would look at."""
    found = set()
    for entry in listed:
        path = os.path.join(root, entry)
        if entry.endswith("/"):
            found |= {os.path.relpath(os.path.join(where, name), root) for where, dummy, names in os.walk(path) for name in names}
        elif os.path.exists(path):
            found.add(entry)
    return found


class Server:
    """Libraries, their dump and a function that runs the module's action."""

    def __init__(self, tmp_path):
        self.maker = Maker(tmp_path / "storage")
        self.dump = str(tmp_path / "seafile-db.sql")
        self.state = str(tmp_path / "state")
        self.dest = str(tmp_path / "staging" / "objects.list")
        self.check = False

    def save(self, number=0, text="new"):
        """Write a file into one library."""
        branch = self.maker.tables["Branch"][number]
        store = branch["repo_id"]
        root = self.maker.directory(store, {text: self.maker.file(store, text.encode())})
        branch["commit_id"] = self.maker.commit(store, root, branch["commit_id"])

    def run(self, number, since=None, **params):
        self.maker.dump(self.dump)
        given = dict(DEFAULTS, dump=self.dump, storage=self.maker.root, set_id=set_id(number), state_dir=self.state, dest=self.dest,
                     known_set_id=None if since is None else set_id(since))
        given.update(params)
        return library_changes.library_changes(types.SimpleNamespace(params=given, check_mode=self.check))

    def listed(self):
        return expand(self.maker.root, entries(self.dest))


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(directory_times, "_RACY_NANOSECONDS", 10 ** 6)
    made = Server(tmp_path)
    fill(made.maker, 900, libraries=3)
    return made


def test_the_first_run_lists_every_store_of_the_database_and_no_other(server):
    garbage = server.maker.library_id()
    server.maker.file(garbage, b"of a purged library")
    result = server.run(1)
    assert result["changed"] and result["everything"] and not result["empty"]
    assert result["libraries"] == dict(NOTHING, whole=3) and result["directories"] == 9
    assert sorted(entries(server.dest)) == sorted(
        f"{kind}/{row['repo_id']}/" for row in server.maker.tables["Repo"] for kind in ("commits", "fs", "blocks"))
    assert {item["reason"] for item in result["whole"]} == {"there is no verified set to compare with"}


def test_with_unmoved_heads_nothing_is_listed_and_nothing_is_read(server):
    server.run(1)
    result = server.run(2, since=1)
    assert result["libraries"] == dict(NOTHING, unmoved=3) and result["empty"] and entries(server.dest) == [] and result["reads"] == 0


def test_what_is_new_is_listed_sorted_and_only_that(server):
    server.run(1)
    server.save(1)
    result = server.run(2, since=1)
    assert result["libraries"] == dict(NOTHING, unmoved=2, walked=1) and result["objects"] == dict(blocks=1, commits=1, fs=2)
    assert len(entries(server.dest)) == 4 and os.stat(server.dest).st_mode & 0o7777 == 0o600
    assert all(os.path.isfile(os.path.join(server.maker.root, path)) for path in entries(server.dest))


def test_of_a_set_that_was_not_verified_nothing_is_believed(server):
    server.run(1)
    server.save(0, "first")
    server.run(2, since=1)
    first = entries(server.dest)
    server.save(0, "second")
    server.run(3, since=1)
    assert set(first) < set(entries(server.dest))


def test_a_second_run_of_the_same_set_changes_nothing(server):
    server.run(1)
    server.save()
    assert server.run(2, since=1)["changed"] is True
    assert server.run(2, since=1)["changed"] is False


def test_check_mode_says_what_would_be_listed_and_writes_nothing(server, tmp_path):
    server.check = True
    assert server.run(1)["changed"] is True
    assert not os.path.lexists(server.dest) and not os.path.lexists(server.state)
    server.check = False
    server.run(1)
    server.save()
    server.maker.dump(server.dump)
    before = [(where, names) for where, dummy, names in sorted(os.walk(tmp_path))]
    server.check = True
    result = server.run(2, since=1)
    assert result["changed"] and result["objects"] == dict(blocks=1, commits=1, fs=2)
    assert [(where, names) for where, dummy, names in sorted(os.walk(tmp_path))] == before


def heads_of(server, number):
    return os.path.join(server.state, "heads", f"{set_id(number)}.json")


@pytest.mark.parametrize("how", ["gone", "cut", "of another set", "writable"])
def test_known_heads_that_cannot_be_believed_make_everything_whole_with_a_note(server, how):
    server.run(1)
    path = heads_of(server, 1)
    if how == "gone":
        os.unlink(path)
    elif how == "cut":
        os.truncate(path, 100)
    elif how == "writable":
        os.chmod(path, 0o666)
    else:
        shutil.copy(path, heads_of(server, 2))
    result = server.run(3, since=2 if how == "of another set" else 1)
    assert result["everything"] and result["libraries"]["whole"] == 3 and result["notes"][0].startswith("everything is listed as a whole: ")
    assert result["whole"][0]["reason"] in result["notes"][0]


def test_libraries_in_which_the_known_set_lacks_objects_are_listed_as_a_whole(server):
    server.run(1)
    library = server.maker.tables["Repo"][2]["repo_id"]
    result = server.run(2, since=1, distrusted=[library])
    assert result["libraries"] == dict(NOTHING, unmoved=2, whole=1) and len(entries(server.dest)) == 3
    assert result["whole"] == [{"library": library, "reason": "the known set lacks objects of it"}]


def test_everything_can_be_asked_for(server):
    server.run(1)
    result = server.run(2, since=1, level="whole")
    assert result["everything"] and result["directories"] == 9 and result["whole"][0]["reason"] == "it was asked for"


def test_a_purged_library_is_counted_and_not_listed(server):
    server.run(1)
    for table in ("Repo", "Branch"):
        del server.maker.tables[table][0]
    assert server.run(2, since=1)["libraries"] == dict(NOTHING, unmoved=2, gone=1)


def test_the_heads_can_lie_elsewhere(server, tmp_path):
    heads = str(tmp_path / "elsewhere" / "heads.json")
    assert server.run(1, heads_to=heads)["heads"] == heads
    assert server.run(2, since=1, known=heads)["libraries"]["unmoved"] == 3


def test_the_heads_of_the_known_set_are_kept_however_many_runs_fail(server):
    server.run(1)
    for number in range(2, 16):
        assert server.run(number, since=1)["libraries"]["unmoved"] == 3
    assert sorted(os.listdir(os.path.join(server.state, "heads"))) == [f"{set_id(number)}.json" for number in [1, *range(6, 16)]]


@pytest.mark.parametrize("params, code", [
    (dict(set_id="yesterday"), "set-id-invalid"),
    (dict(known_set_id="../../etc/passwd"), "set-id-invalid"),
    (dict(storage="/nonexistent"), "storage-missing"),
])
def test_bad_input_has_a_code(server, params, code):
    with pytest.raises(SeafileError) as caught:
        server.run(1, **params)
    assert caught.value.code == code


def test_where_most_is_new_the_changed_directories_are_listed(server, monkeypatch):
    server.run(1)
    time.sleep(0.02)
    server.save()
    assert server.run(2, since=1)["libraries"]["walked"] == 1
    monkeypatch.setattr(change_list, "walk_limit", lambda *dummy: 0)
    result = server.run(3, since=1)
    assert result["libraries"] == dict(NOTHING, unmoved=2, by_directories=1)
    assert 3 <= result["directories"] <= 6 and all(entry.endswith("/") and entry.count("/") == 3 for entry in entries(server.dest))
    needed = set(closure.walk(ObjectStore(server.maker.root), pointers.read_pointers(server.dump), 0).paths())
    assert len(server.listed() & needed) >= 4


# -- sweep -----------------------------------------------------------------------------------------------------------


def test_a_sweep_of_an_unchanged_server_lists_nothing(server):
    assert server.run(1, sweep=True)["sweep"]["missed"] is None
    time.sleep(0.02)
    result = server.run(2, since=1, sweep=True)
    assert result["sweep"] == dict(directories=result["sweep"]["directories"], changed=0, names=0, unlisted=0, missed=0, missed_objects=[])
    assert result["sweep"]["directories"] > 300 and result["empty"]


def test_a_sweep_finds_nothing_that_the_walks_had_missed(server):
    server.run(1)
    for number in range(2, 5):
        server.save(number % 3, f"text {number}")
        server.run(number, since=number - 1)
    server.save(0, "text in the sweep's own run")
    result = server.run(5, since=4, sweep=True)["sweep"]
    assert result["changed"] > 8 and (result["unlisted"], result["missed"]) == (0, 0)


def test_unfinished_uploads_and_objects_newer_than_the_dump_are_not_missed_but_they_come_along(server):
    server.run(1)
    store = server.maker.tables["Repo"][0]["repo_id"]
    upload = server.maker.file(store, b"no commit names it")
    result = server.run(2, since=1, sweep=True)
    assert (result["sweep"]["unlisted"], result["sweep"]["missed"]) == (2, 0)
    assert f"fs/{store}/{upload[:2]}/{upload[2:]}" in server.listed()


def test_what_a_walk_had_missed_is_counted_named_and_listed(server, monkeypatch):
    server.run(1)
    server.save()
    real = change_list.find_changes

    def blind(*args):
        for family in real(*args):
            family.fs.clear()
            yield family

    with monkeypatch.context() as patch:
        patch.setattr(change_list, "find_changes", blind)
        server.run(2, since=1)
    result = server.run(3, since=2, sweep=True)
    assert (result["sweep"]["unlisted"], result["sweep"]["missed"]) == (2, 2)
    assert len(result["sweep"]["missed_objects"]) == 2 and set(result["sweep"]["missed_objects"]) <= server.listed()
    assert "had missed 2 objects" in result["notes"][-1]


def test_without_an_earlier_sweep_to_compare_with_it_says_so(server):
    server.run(1)
    server.run(2, since=1)
    shutil.rmtree(os.path.join(server.state, "directories"))
    result = server.run(3, since=2, sweep=True)
    assert result["sweep"]["missed"] is None and len(server.listed()) == sum(server.maker.count.values())


def test_the_command_that_the_module_names_carries_the_list(server, tmp_path):
    """The flags of the documentation, with the real program, over objects, directories, and what is missing or no object."""
    rsync = shutil.which("rsync")
    if not rsync:
        pytest.skip("no rsync on this machine")
    server.run(1)
    server.save(0)
    server.run(2, since=1, distrusted=[server.maker.tables["Repo"][1]["repo_id"]])
    wanted = server.listed()
    lost = next(path for path in entries(server.dest) if path.startswith("blocks") and not path.endswith("/"))
    os.unlink(os.path.join(server.maker.root, lost))
    leftover = os.path.join(server.maker.root, next(path for path in wanted if path.startswith("fs/")) + ".XYZ123")
    with open(leftover, "w", encoding="ascii"):
        pass
    backup = tmp_path / "backup"
    backup.mkdir()
    subprocess.run([rsync, "--recursive", "--times", "--from0", f"--files-from={server.dest}", "--ignore-missing-args", "--ignore-existing",
                    *OBJECT_FILTERS, "--", f"{server.maker.root}/", f"{backup}/"], check=True)
    arrived = {os.path.relpath(os.path.join(where, name), backup) for where, dummy, names in os.walk(backup) for name in names}
    assert arrived == wanted - {lost}


@pytest.mark.parametrize("seed", range(60))
def test_after_any_run_of_any_history_the_backup_has_all_that_the_dump_reaches(tmp_path, monkeypatch, seed):
    """Walks, changed directories, sweeps and failed runs in any order; uploads that wait for their commit."""
    monkeypatch.setattr(directory_times, "_RACY_NANOSECONDS", 10 ** 6)
    chance = random.Random(seed)
    world = World(tmp_path / "storage", chance)
    known, backup, distrusted, missed = None, set(), set(), []
    for number in range(1, 9):
        for dummy in range(chance.randint(0, 5)):
            world.work()
        found = world.pointers()
        time.sleep(0.02)  # longer than a tick of the clock by which the kernel dates changes
        monkeypatch.setattr(library_changes.pointers, "read_pointers", lambda *dummy, current=found: current)
        monkeypatch.setattr(library_listing.time, "time", lambda: world.now)
        monkeypatch.setattr(change_list, "walk_limit", lambda *dummy: chance.choice((5, 5, 10 ** 6)))
        params = dict(DEFAULTS, dump="", storage=world.root, set_id=set_id(number), state_dir=str(tmp_path / "state"), dest=str(tmp_path / "list"),
                      known_set_id=known, distrusted=sorted(distrusted), sweep=chance.random() < 0.3)
        result = library_changes.library_changes(types.SimpleNamespace(params=params, check_mode=False))
        arrived = expand(world.root, entries(params["dest"]))
        walked = closure.walk(ObjectStore(world.root), found, world.now)
        needed = set(walked.paths())
        assert needed - backup - arrived == set()
        if result["sweep"]:
            missed.append(result["sweep"]["missed"])
        if chance.random() < 0.8:
            known = params["set_id"]
            backup |= arrived
            distrusted = {finding.library for finding in walked.findings}
    assert not any(missed)
