# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import errno
import hashlib
import json
import math
import os
import random
import shutil
import signal
import struct
import time
import zlib

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import (
    closure,
    family_walk,
    object_store,
    pointers,
    proved_index,
    verification,
    verification_outcome,
)
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectDirectory, ObjectStore
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import ZERO, Maker, fill

DAY = 24 * 3600
NOW = 1000 * DAY
DAMAGES = json.loads((real_sets.FIXTURES / "damage.json").read_text(encoding="utf-8"))
NOTHING = {"blocks": 0, "commits": 0, "fs": 0}
TEAMS = pytest.mark.parametrize("processes", [1, 3], ids=["alone", "together"])


@pytest.fixture(autouse=True)
def fixture_every_family_is_large(monkeypatch):
    """With several processes, walk every family with all of them together: that is the harder way."""
    monkeypatch.setattr(family_walk, "_LARGE_SECONDS", -1)


@pytest.fixture(scope="module", name="unpacked")
def fixture_unpacked(tmp_path_factory):
    return real_sets.Unpacked(tmp_path_factory.mktemp("unpacked"))


@pytest.fixture(name="maker")
def fixture_maker(tmp_path):
    return Maker(tmp_path / "storage")


@pytest.fixture(name="index")
def fixture_index(tmp_path):
    return str(tmp_path / "proved")


@pytest.fixture(name="reads")
def fixture_reads(monkeypatch):
    """The paths of all objects that were opened since it was last cleared; only with one process."""
    opened = []
    original = ObjectDirectory._open

    def _open(self, object_id):
        opened.append(f"{self.kind}/{object_id.hex()}")
        return original(self, object_id)

    monkeypatch.setattr(ObjectDirectory, "_open", _open)
    return opened


def settle(monkeypatch):
    """Let directories count as quiet, although the test has just written them; changes come more than a clock's tick later."""
    monkeypatch.setattr(family_walk, "_RACY_NS", 0)
    time.sleep(0.02)


def verify(maker, index=None, level="new", tables=None, now=NOW, **more):
    more.setdefault("processes", 1)
    return verification.verify(verification.Request(maker.root, index, pointers.make_pointers(tables or maker.tables), now, level, **more))


def verify_real(haiwen, dump, index, level, **more):
    keep_days = pointers.read_keep_days(str(haiwen / "conf" / "seafile.conf"))
    storage = str(haiwen / "seafile-data" / "storage")
    return verification.verify(verification.Request(storage, index, pointers.read_pointers(str(dump), keep_days), int(time.time()), level, **more))


def damages(outcome):
    assert outcome.findings_total == len(outcome.findings) == sum(outcome.findings_by_library.values())
    return sorted((finding.kind, finding.damage, finding.id) for finding in outcome.findings)


def files(numbers):
    return {kind: number["files"] for kind, number in numbers.items()}


def snapshot(maker):
    """The database of this moment, for a set."""
    return copy.deepcopy(maker.tables)


def move_head(maker, library, head):
    for row in maker.tables["Branch"]:
        if row["repo_id"] == library:
            row["commit_id"] = head


def remove(maker, kind, store, object_id):
    os.unlink(maker.path(kind, store, object_id))


def flip(path):
    with open(path, "rb") as stream:
        content = bytearray(stream.read())
    content[len(content) // 2] ^= 1
    os.unlink(path)
    with open(path, "wb") as stream:
        stream.write(content)


def rot(path):
    """Flip a bit in place: no name, and no time of a directory, changes."""
    with open(path, "r+b") as stream:
        content = stream.read()
        middle = len(content) // 2
        stream.seek(middle)
        stream.write(bytes([content[middle] ^ 1]))


def small(maker, *contents, name="Library"):
    """A library with one file for each content; returns (library, head, {content: (file, block)})."""
    library = maker.library_id()
    made = {}
    for content in contents:
        block = maker.block(library, content)
        made[content] = (maker.file(library, content), block)
    head = maker.commit(library, maker.directory(library, {content.decode(): made[content][0] for content in contents}), name=name)
    maker.library(head, library, name)
    return library, head, made


def history(maker, ages, **limits):
    """A library with a commit of each age in days, newest last, each with a file of its own and one that all have."""
    library = maker.library_id()
    commits, own, parent = [], [], None
    common = maker.file(library, b"common")
    for age in ages:
        own.append(maker.file(library, f"{library} {age}".encode()))
        parent = maker.commit(library, maker.directory(library, {"a": own[-1], "common": common}), parent, ctime=NOW - age * DAY)
        commits.append(parent)
    maker.library(parent, library, **limits)
    return library, commits, own


# -- real stores -----------------------------------------------------------------------------------------------------


@TEAMS
@pytest.mark.parametrize("name", real_sets.NAMES)
def test_a_whole_deployment_of_a_real_server_is_verified_at_every_level(unpacked, name, processes, index):
    haiwen, dump = unpacked[name]
    reference = closure.walk(ObjectStore(str(haiwen / "seafile-data" / "storage")), pointers.read_pointers(str(dump)), int(time.time()))
    for level in ("new", "new", "quick", "full"):
        outcome = verify_real(haiwen, dump, index, level, processes=processes)
        assert (outcome.findings, outcome.rotten, outcome.notes) == ([], [], [])
        assert outcome.libraries == len(reference.libraries)
        if level == "full":
            assert outcome.hashed == reference.totals() and outcome.trusted == NOTHING


def test_the_objects_that_a_real_garbage_collection_took_are_counted_as_legally_missing(unpacked):
    assert sum(verify_real(*unpacked["seafile-11-sqlite"], None, "full").legally_missing.values()) > 0


@TEAMS
@pytest.mark.parametrize("damage", DAMAGES["damages"], ids=lambda damage: damage["name"])
def test_a_damage_that_a_real_store_may_have_is_found_at_the_level_that_promises_it(unpacked, tmp_path, damage, processes, index):
    haiwen, dump = unpacked[DAMAGES["base"]]
    haiwen = real_sets.copied(haiwen, tmp_path)
    assert verify_real(haiwen, dump, index, "full", processes=processes).findings == []
    real_sets.apply_damage(haiwen, damage)
    words = {"bitflip": "wrong-hash", "missing": "missing", "truncated": "truncated"}
    for level in ("new", "quick", "full"):
        outcome = verify_real(haiwen, dump, index, level, processes=processes, write_index=False)
        word = words.get(damage["name"].split("_")[0])
        read_again = {"new": (), "quick": ("truncated",), "full": ("truncated", "wrong-hash")}[level]
        if word is None or (word != "missing" and word not in read_again):
            assert (outcome.findings, outcome.rotten) == ([], [])
            continue
        kind, store, prefix, rest = damage["paths"][0].split("/")[-4:]
        finding = next(finding for finding in outcome.findings if finding.id == prefix + rest)
        assert (finding.kind, finding.store, finding.damage) == (kind, store, word)
        assert (kind, store, prefix + rest) in outcome.rotten
        reference = closure.walk(ObjectStore(str(haiwen / "seafile-data" / "storage")), pointers.read_pointers(str(dump)), int(time.time()), True)
        assert outcome.findings == reference.findings
    if damage["name"] == "bitflip_block":
        outcome = verify_real(haiwen, dump, index, "new", processes=processes, scrub_percent=100)
        assert [finding.damage for finding in outcome.findings] == ["wrong-hash"] and len(outcome.rotten) == 1


# -- the reference ---------------------------------------------------------------------------------------------------


def random_store(maker, rng):
    """Libraries of all kinds that share objects, with histories, limits, merges, sub-libraries, trash and orphans."""
    contents = [f"content {number}".encode() for number in range(12)]
    for dummy in range(3):
        library = maker.library_id()
        commits = []
        for number in range(rng.randint(1, 6)):
            inner = maker.directory(library, {name: maker.file(library, *rng.sample(contents, rng.randint(1, 3))) for name in "ab"})
            tree = maker.directory(library, {"f": maker.file(library, rng.choice(contents))}, {"d": inner, "e": rng.choice((inner, ZERO))})
            age = (6 - number) * 10
            second = rng.choice(commits) if commits and rng.random() < 0.3 else None
            commits.append(maker.commit(library, rng.choice((tree, inner, ZERO)), commits[-1] if commits else None, second, ctime=NOW - age * DAY))
        kind = rng.random()
        if kind < 0.15:
            maker.tables["RepoTrash"].append({"repo_id": library, "repo_name": "Trash", "head_id": commits[-1], "owner_id": "a@example.org"})
        elif kind < 0.3:
            maker.tables["Branch"].append({"repo_id": library, "commit_id": commits[-1]})
        else:
            maker.library(commits[-1], library, days=rng.choice((None, -1, 0, 15, 35)))
            if rng.random() < 0.5:
                part = maker.library_id()
                maker.library(maker.commit(part, maker.directory(library, {"p": maker.file(library, rng.choice(contents))})), part)
                maker.tables["VirtualRepo"].append({"repo_id": part, "origin_repo": library, "path": "/d", "base_commit": rng.choice(commits)})


def objects_of(maker):
    return sorted(os.path.join(where, name) for where, dummy, names in os.walk(maker.root) for name in names)


def damage_at_random(maker, rng):
    for path in rng.sample(objects_of(maker), rng.randint(1, 4)):
        way = rng.choice(("remove", "remove", "empty", "flip", "cut"))
        if way == "flip":
            flip(path)
            continue
        with open(path, "rb") as stream:
            content = stream.read()
        os.unlink(path)
        if way != "remove":
            with open(path, "wb") as stream:
                stream.write(content[:len(content) // 2] if way == "cut" else b"")


def walk_reference(maker, tables=None, now=NOW):
    return closure.walk(ObjectStore(maker.root), pointers.make_pointers(tables or maker.tables), now, check_hashes=True)


@TEAMS
@pytest.mark.parametrize("seed", range(12))
def test_every_verdict_is_the_one_of_the_slow_walk(maker, index, seed, processes):
    rng = random.Random(seed)
    maker.random = random.Random(seed + 1000)
    random_store(maker, rng)
    reference = walk_reference(maker)
    first = verify(maker, index, rng.choice(verification.LEVELS), processes=processes)
    assert first.findings == reference.findings == [] and files(first.hashed) == reference.files
    damage_at_random(maker, rng)
    reference = walk_reference(maker)
    for level, used in (("full", index), ("new", None), ("quick", None)):
        outcome = verify(maker, used, level, processes=processes, write_index=False)
        assert outcome.findings == reference.findings
    if all(finding.damage == "missing" for finding in reference.findings):
        assert verify(maker, index, "new", processes=processes, write_index=False).findings == reference.findings
    # What was found is found again by the index that was written after it, and whatever has gone is healed by putting it back.
    assert verify(maker, index, "full", processes=processes).findings == reference.findings
    assert verify(maker, index, "new", processes=processes).findings == reference.findings


@pytest.mark.parametrize("seed", range(8))
def test_sets_of_different_times_share_one_index_and_each_gets_its_own_verdict(maker, index, seed):
    rng = random.Random(seed)
    maker.random = random.Random(seed + 2000)
    random_store(maker, rng)
    sets = [(snapshot(maker), NOW)]
    for day in range(1, 4):
        for row in maker.tables["Branch"]:
            if rng.random() < 0.6:
                library = row["repo_id"]
                store = next((virtual["origin_repo"] for virtual in maker.tables["VirtualRepo"] if virtual["repo_id"] == library), library)
                tree = maker.directory(store, {"n": maker.file(store, f"new {rng.random()}".encode())})
                row["commit_id"] = maker.commit(library, tree, row["commit_id"], ctime=NOW + day * 10 * DAY)
        sets.append((snapshot(maker), NOW + day * 10 * DAY))
    for dummy in range(12):
        tables, now = rng.choice(sets)
        if rng.random() < 0.3:
            os.unlink(rng.choice(objects_of(maker)))
        level = rng.choice(("new", "new", "quick"))
        assert verify(maker, index, level, tables, now).findings == walk_reference(maker, tables, now).findings


# -- what a second verification reads --------------------------------------------------------------------------------


@TEAMS
def test_a_second_verification_trusts_everything_and_reads_nothing(maker, index, reads, processes):
    fill(maker, 2000, libraries=3)
    first = verify(maker, index, processes=processes)
    assert files(first.hashed) == maker.count and first.trusted == NOTHING
    reads.clear()
    second = verify(maker, index, processes=processes)
    assert (second.findings, files(second.hashed), second.trusted, reads) == ([], NOTHING, maker.count, [])
    assert second.libraries == 3


def test_directories_are_listed_only_when_they_have_changed(maker, index, monkeypatch):
    library, dummy, made = small(maker, b"one", b"two")
    settle(monkeypatch)
    verify(maker, index)
    listed = []
    original = ObjectDirectory.names
    monkeypatch.setattr(ObjectDirectory, "names", lambda self, prefix: listed.append((self.kind, prefix)) or original(self, prefix))
    assert verify(maker, index).findings == [] and listed == []
    block = made[b"one"][1]
    path = maker.path("blocks", library, block)
    with open(path + ".AbCdEf", "wb") as stream:
        stream.write(b"left over")
    assert verify(maker, index).findings == [] and listed == [("blocks", int(block[:2], 16))]
    time.sleep(0.02)
    listed.clear()
    os.rename(path, path + ".away")
    assert damages(verify(maker, index)) == [("blocks", "missing", block)] and listed == [("blocks", int(block[:2], 16))]


def test_a_library_that_stands_still_is_not_walked_however_often(maker, index, monkeypatch):
    fill(maker, 300, libraries=2)
    verify(maker, index)
    monkeypatch.setattr(family_walk.Part, "begin", None)
    for pause in (0.0, 0.02, 0.0):
        time.sleep(pause)
        assert verify(maker, index).trusted == maker.count
        monkeypatch.setattr(family_walk, "_RACY_NS", 0)


def test_a_directory_that_has_just_changed_is_listed_the_next_time_too(maker, index, monkeypatch):
    monkeypatch.setattr(family_walk, "_RACY_NS", 3600 * 10**9)  # two seconds, for a machine that stalls
    library, dummy, made = small(maker, b"one")
    verify(maker, index)
    path = maker.path("blocks", library, made[b"one"][1])
    before = os.stat(os.path.dirname(path))
    known = proved_index.load(index, library, os.stat(maker.root).st_ino)
    assert known.sections["blocks", library].prefixes == {int(made[b"one"][1][:2], 16): (0, before.st_ino)}


def test_a_library_whose_head_moved_reads_only_what_is_new(maker, index, reads):
    fill(maker, 1500, libraries=2)
    verify(maker, index)
    library = maker.tables["Branch"][0]["repo_id"]
    with ObjectStore(maker.root).open("commits", library) as commits:
        head = commits.read_commit(bytes.fromhex(maker.tables["Branch"][0]["commit_id"]))[0]
    new_file = maker.file(library, b"new")
    new_tree = maker.directory(library, {"new": new_file}, {"old": head.root.hex()})
    new_head = maker.commit(library, new_tree, maker.tables["Branch"][0]["commit_id"])
    move_head(maker, library, new_head)
    reads.clear()
    outcome = verify(maker, index)
    assert outcome.findings == [] and files(outcome.hashed) == {"blocks": 1, "commits": 1, "fs": 2}
    assert len(reads) == 4 and {f"fs/{new_file}", f"fs/{new_tree}", f"commits/{new_head}"} < set(reads)
    assert sum(outcome.trusted.values()) == sum(maker.count.values()) - 4
    reads.clear()
    verify(maker, index)
    assert reads == []


def test_history_beyond_the_limit_is_not_read_again_when_the_head_moves(maker, index, reads):
    library, commits, dummy = history(maker, (50, 40, 30, 20, 5), days=10)
    verify(maker, index)
    move_head(maker, library, maker.commit(library, ZERO, commits[-1], ctime=NOW))
    reads.clear()
    assert verify(maker, index).findings == [] and len([path for path in reads if path.startswith("commits/")]) == 1
    assert len(reads) == 1


def test_an_object_that_has_gone_is_found_below_a_head_that_moved(maker, index):
    library, head, made = small(maker, b"one", b"two")
    verify(maker, index)
    move_head(maker, library, maker.commit(library, maker.directory(library, {"two": made[b"two"][0]}), head))
    remove(maker, "blocks", library, made[b"one"][1])
    outcome = verify(maker, index)
    finding, = outcome.findings
    assert (finding.kind, finding.id, finding.path) == ("blocks", made[b"one"][1], "/one")
    assert outcome.rotten == [("blocks", library, made[b"one"][1])]


def test_a_finding_is_found_again_until_it_is_healed(maker, index):
    library, dummy, made = small(maker, b"one", b"two")
    file, block = made[b"one"]
    verify(maker, index)
    path = maker.path("fs", library, file)
    os.rename(path, path + ".away")
    assert [damages(verify(maker, index)) for dummy in range(3)] == [[("fs", "missing", file)]] * 3
    os.rename(path + ".away", path)
    outcome = verify(maker, index)
    assert outcome.findings == [] and outcome.hashed["fs"]["files"] > 0
    remove(maker, "blocks", library, block)
    assert damages(verify(maker, index)) == [("blocks", "missing", block)]


def test_an_object_that_another_set_needs_is_told_as_rotten_although_this_set_is_whole(maker, index):
    library, head, made = small(maker, b"old")
    old = snapshot(maker)
    verify(maker, index)
    maker.tables["RepoHistoryLimit"].append({"repo_id": library, "days": 0})
    move_head(maker, library, maker.commit(library, maker.directory(library, {"new": maker.file(library, b"new")}), head, ctime=NOW))
    verify(maker, index)
    remove(maker, "blocks", library, made[b"old"][1])
    outcome = verify(maker, index)
    assert outcome.findings == [] and outcome.rotten == [("blocks", library, made[b"old"][1])] and outcome.legally_missing["blocks"] == 1
    assert damages(verify(maker, index, tables=old)) == [("blocks", "missing", made[b"old"][1])]


@pytest.mark.parametrize("kind", ["fs", "blocks"])
def test_a_damage_of_an_object_that_may_be_missing_is_a_finding(maker, index, kind):
    library, dummy, own = history(maker, (30, 5, 1), days=1)
    object_id = own[0]
    if kind == "blocks":
        with ObjectStore(maker.root).open("fs", library) as fs:
            object_id = fs.read_children(bytes.fromhex(own[0]), 1).blocks[0].hex()
    rot(maker.path(kind, library, object_id))
    assert [finding.id for finding in verify(maker, index).findings] == [object_id]


# -- limits, sub-libraries -------------------------------------------------------------------------------------------


def test_what_may_be_missing_is_counted_and_stays_counted(maker, index):
    library, dummy, own = history(maker, (30, 20, 10, 5), days=7)
    for file in own[:2]:
        with ObjectStore(maker.root).open("fs", library) as fs:
            remove(maker, "blocks", library, fs.read_children(bytes.fromhex(file), 1).blocks[0].hex())
    remove(maker, "fs", library, own[0])
    expected = {"blocks": 1, "commits": 0, "fs": 1}  # the block of a file that is missing is not known
    for level in ("new", "new", "quick", "full", "new"):
        outcome = verify(maker, index, level)
        assert outcome.findings == [] and outcome.legally_missing == expected


def test_a_limit_that_was_loosened_asks_for_the_history_again(maker, index):
    library, dummy, own = history(maker, (30, 20, 10, 5), days=7)
    with ObjectStore(maker.root).open("fs", library) as fs:
        lost = fs.read_children(bytes.fromhex(own[0]), 1).blocks[0].hex()
    remove(maker, "blocks", library, lost)
    assert verify(maker, index).findings == []
    for days in (25, 40, -1):
        maker.tables["RepoHistoryLimit"][0]["days"] = days
        assert verify(maker, index, write_index=False).findings == walk_reference(maker).findings
    assert [finding.id for finding in verify(maker, index).findings] == [lost]
    maker.tables["RepoHistoryLimit"][0]["days"] = 7
    assert verify(maker, index).findings == []


def test_a_limit_that_moves_on_with_time_does_not_read_the_history_again(maker, index, reads):
    history(maker, range(100, 0, -1), days=30)
    verify(maker, index)
    reads.clear()
    assert verify(maker, index, now=NOW + DAY).findings == [] and reads == []
    assert verify(maker, index, now=NOW - 20 * DAY).findings == [] and reads != []


def test_a_sub_library_is_verified_with_its_origin(maker, index, reads):
    origin, part = maker.library_id(), maker.library_id()
    inner_file = maker.file(origin, b"in the base only")
    base = maker.commit(origin, maker.directory(origin, {"a": inner_file}), ctime=NOW - 50 * DAY)
    older = maker.commit(origin, ZERO, base, ctime=NOW - 40 * DAY)
    maker.library(maker.commit(origin, ZERO, older, ctime=NOW), origin, "Origin", days=1)
    ahead = maker.file(origin, b"ahead")
    maker.library(maker.commit(part, maker.directory(origin, {"b": ahead}), ctime=NOW), part, "Part")
    maker.tables["VirtualRepo"].append({"repo_id": part, "origin_repo": origin, "path": "/part", "base_commit": base})
    assert verify(maker, index).findings == []
    reads.clear()
    assert verify(maker, index).findings == [] and reads == []
    with ObjectStore(maker.root).open("fs", origin) as fs:
        remove(maker, "blocks", origin, fs.read_children(bytes.fromhex(inner_file), 1).blocks[0].hex())
    assert verify(maker, index).findings == []
    remove(maker, "fs", origin, inner_file)
    assert damages(verify(maker, index)) == [("fs", "missing", inner_file)]
    remove(maker, "fs", origin, ahead)
    finding = next(finding for finding in verify(maker, index).findings if finding.id == ahead)
    assert (finding.library, finding.store, finding.path) == (part, origin, "/b")


def test_a_library_without_head_and_a_row_that_is_no_pointer_are_findings_every_time(maker, index):
    library = maker.library_id()
    maker.tables["Repo"].append({"repo_id": library})
    maker.tables["Repo"].append({"repo_id": "../../etc"})
    for level in ("new", "new", "full"):
        assert [(finding.kind, finding.damage) for finding in verify(maker, index, level).findings] == [("head", "unparsable"), ("head", "missing")]


def test_an_orphan_of_a_deletion_need_not_be_there(maker, index):
    maker.tables["Branch"].append({"repo_id": maker.library_id(), "commit_id": "a" * 40})
    for dummy in range(2):
        outcome = verify(maker, index)
        assert outcome.findings == [] and outcome.legally_missing == {"blocks": 0, "commits": 1, "fs": 0}


# -- parts of a verification -----------------------------------------------------------------------------------------


def test_only_walks_the_families_that_were_asked_for(maker, index):
    first, dummy, one = small(maker, b"one")
    second, dummy, two = small(maker, b"two")
    verify(maker, index, "full")
    for library, made in ((first, one[b"one"]), (second, two[b"two"])):
        remove(maker, "blocks", library, made[1])
    outcome = verify(maker, index, "quick", only=frozenset([second]))
    assert (damages(outcome), outcome.libraries) == ([("blocks", "missing", two[b"two"][1])], 1)
    assert verify(maker, index, "quick", only=frozenset()).libraries == 0
    assert len(verify(maker, index).findings) == 2


@pytest.mark.parametrize("level", ["new", "quick"])
def test_a_distrusted_library_is_read_again(maker, index, level):
    first, dummy, one = small(maker, b"one")
    second, dummy, two = small(maker, b"two")
    verify(maker, index)
    rot(maker.path("blocks", first, one[b"one"][1]))
    rot(maker.path("blocks", second, two[b"two"][1]))
    assert verify(maker, index, level).findings == []
    outcome = verify(maker, index, level, distrusted=frozenset([second]))
    assert damages(outcome) == [("blocks", "wrong-hash", two[b"two"][1])] and outcome.hashed["blocks"]["files"] == 0 < outcome.hashed["fs"]["files"]
    assert outcome.rotten == [("blocks", second, two[b"two"][1])]


@TEAMS
def test_scrubbing_reads_everything_within_a_cycle_oldest_first(maker, index, processes, monkeypatch):
    fill(maker, 600, libraries=2)
    moment = [1000]
    monkeypatch.setattr(verification.time, "time", lambda: moment[0])
    verify(maker, index, processes=processes)
    total = sum(maker.count.values())
    for step in range(1, 5):
        moment[0] += 1000
        outcome = verify(maker, index, processes=processes, scrub_percent=25)
        assert outcome.scrubbed["files"] == total // 4 + (total % 4 > 0) and outcome.scrubbed["bytes"] > 0 and outcome.findings == []
        times = []
        for store in proved_index.stores(index):
            for section in proved_index.load(index, store, os.stat(maker.root).st_ino).sections.values():
                times.extend(proved for proved, dummy in section.times())
        assert times.count(moment[0]) >= total // 4 and min(times) == (1000 if step < 4 else 2000)


@pytest.mark.parametrize("percent", [4, 7.5, 33.4, 60])
def test_whatever_the_percentage_a_rotten_block_is_found_within_its_cycle_though_the_store_grows(maker, index, monkeypatch, percent):
    fill(maker, 60, libraries=2)
    moment = [1000]
    monkeypatch.setattr(verification.time, "time", lambda: moment[0])
    verify(maker, index)
    blocks = sorted(os.path.join(folder, name) for folder, dummy, names in os.walk(os.path.join(maker.root, "blocks")) for name in names)
    rotten = [blocks[0], blocks[len(blocks) // 2], blocks[-1]]
    for path in rotten:
        rot(path)
    found = set()
    for dummy in range(math.ceil(100 / percent)):
        moment[0] += 1000
        small(maker, b"new at %d" % moment[0])
        found.update(finding.id for finding in verify(maker, index, scrub_percent=percent).findings)
    assert found == {"".join(path.split("/")[-2:]) for path in rotten}


@TEAMS
@pytest.mark.parametrize("kind", ["commits", "fs", "blocks"])
def test_a_rotten_object_is_found_by_scrubbing_and_named(maker, index, kind, processes):
    library, head, made = small(maker, b"one", b"two", name="Photos")
    verify(maker, index)
    object_id = {"commits": head, "fs": made[b"one"][0], "blocks": made[b"one"][1]}[kind]
    rot(maker.path(kind, library, object_id))
    assert verify(maker, index, processes=processes).findings == []
    outcome = verify(maker, index, processes=processes, scrub_percent=100)
    finding, = outcome.findings
    path = {"commits": "", "fs": "/one", "blocks": "/one"}[kind]
    assert (finding.kind, finding.id, finding.library_name, finding.path) == (kind, object_id, "Photos", path)
    assert outcome.rotten == [(kind, library, object_id)] and outcome.scrubbed["files"] == sum(maker.count.values())
    assert len(verify(maker, index).findings) == 1


def test_scrubbing_reads_the_stores_of_libraries_that_this_set_does_not_have(maker, index):
    library, dummy, made = small(maker, b"gone")
    verify(maker, index)
    rot(maker.path("blocks", library, made[b"gone"][1]))
    empty = {name: [] for name in maker.tables}
    outcome = verify(maker, index, tables=empty, scrub_percent=100)
    assert (outcome.findings, outcome.rotten, outcome.libraries) == ([], [("blocks", library, made[b"gone"][1])], 0)
    assert library in outcome.notes[0]
    assert damages(verify(maker, index)) == [("blocks", "wrong-hash", made[b"gone"][1])]


def test_a_version_0_library_is_verified_and_scrubbed(maker, index):
    library = maker.library_id()
    block = maker.block(library, b"old")
    file = maker.write("fs", library, hashlib.sha1(bytes.fromhex(block)).hexdigest(), struct.pack(">IQ", 1, 3) + bytes.fromhex(block))
    entry = struct.pack(">I40sI", 0o100644, file.encode(), 1) + b"a"
    tree = maker.write("fs", library, hashlib.sha1(file.encode() + b"a" + struct.pack("<I", 0o100644)).hexdigest(), struct.pack(">I", 3) + entry)
    maker.library(maker.commit(library, tree, version="absent"), library)
    assert verify(maker, index).findings == [] == verify(maker, index).findings
    outcome = verify(maker, index, scrub_percent=100)
    assert (outcome.findings, outcome.scrubbed["files"], outcome.rotten) == ([], 4, [])


# -- the index -------------------------------------------------------------------------------------------------------


def test_an_index_that_is_cut_or_changed_anywhere_changes_no_verdict(maker, index):
    library, dummy, made = small(maker, b"one", b"two")
    verify(maker, index)
    rot(maker.path("blocks", library, made[b"one"][1]))
    expected = [("blocks", "wrong-hash", made[b"one"][1])]
    path = proved_index.index_path(index, library)
    with open(path, "rb") as stream:
        whole = stream.read()
    assert damages(verify(maker, index, write_index=False)) == []  # it is believed
    rng = random.Random(1)
    changed = [whole[:length] for length in (0, 1, 15, 16, 19, 20, 21, len(whole) - 33, len(whole) - 32, len(whole) - 1)]
    changed += [whole[:rng.randrange(len(whole))] for dummy in range(60)] + [whole + b"x"]
    for at in rng.sample(range(len(whole)), 60):
        changed.append(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1:])
    for content in changed:
        with open(path, "wb") as stream:
            stream.write(content)
        outcome = verify(maker, index, write_index=False)
        assert damages(outcome) == expected and library in outcome.notes[0] and outcome.trusted == NOTHING
    verify(maker, index)
    assert verify(maker, index).notes == []


def test_an_emptied_index_is_made_anew(maker, index):
    small(maker, b"one")
    verify(maker, index)
    shutil.rmtree(index)
    assert files(verify(maker, index).hashed) == maker.count
    assert verify(maker, index).trusted == maker.count


def test_an_index_is_not_believed_beside_a_copy_of_its_store(maker, index, tmp_path):
    library, dummy, made = small(maker, b"one")
    verify(maker, index)
    moved = Maker(tmp_path / "copy")
    moved.tables = maker.tables
    shutil.rmtree(moved.root)
    shutil.copytree(maker.root, moved.root)
    flip(moved.path("blocks", library, made[b"one"][1]))
    outcome = verify(moved, index)
    assert damages(outcome) == [("blocks", "wrong-hash", made[b"one"][1])] and "another place" in outcome.notes[0]


@pytest.mark.parametrize("levels", [1, 2])
def test_an_index_is_not_believed_when_a_directory_was_replaced_by_a_copy(maker, index, levels):
    library, dummy, made = small(maker, b"one")
    verify(maker, index)
    path = maker.path("blocks", library, made[b"one"][1])
    directory = os.path.dirname(path) if levels == 1 else os.path.dirname(os.path.dirname(path))
    shutil.copytree(directory, directory + ".copy")
    os.rename(directory, directory + ".away")
    os.rename(directory + ".copy", directory)
    flip(path)
    outcome = verify(maker, index)
    assert damages(outcome) == [("blocks", "wrong-hash", made[b"one"][1])] and "another place" in outcome.notes[0]


def test_an_index_of_another_store_under_this_stores_name_is_not_believed(maker, index):
    first, dummy, made = small(maker, b"one")
    second, dummy, dummy2 = small(maker, b"two")
    verify(maker, index)
    shutil.copy(proved_index.index_path(index, second), proved_index.index_path(index, first))
    rot(maker.path("blocks", first, made[b"one"][1]))
    outcome = verify(maker, index)
    assert damages(outcome) == [("blocks", "wrong-hash", made[b"one"][1])] and "another store" in outcome.notes[0]


def test_foreign_files_among_the_indexes_do_not_matter(maker, index):
    library, dummy, dummy2 = small(maker, b"one")
    os.mkdir(index)
    for name in ("README", ".x.partial", "..proved", "zz.proved"):
        with open(os.path.join(index, name), "wb") as stream:
            stream.write(b"foreign")
    os.mkdir(proved_index.index_path(index, library))
    outcome = verify(maker, index, scrub_percent=50)
    assert outcome.findings == [] and any("cannot be read" in note for note in outcome.notes)
    os.rmdir(proved_index.index_path(index, library))
    os.symlink("/etc/passwd", proved_index.index_path(index, library))
    assert verify(maker, index).findings == [] and verify(maker, index).trusted == maker.count
    with open("/etc/passwd", "rb") as stream:
        assert b"seafleet" not in stream.read(16)


def test_the_index_is_private_and_only_written_when_wanted(maker, index):
    library, dummy, dummy2 = small(maker, b"one")
    verify(maker, None)
    verify(maker, index, write_index=False)
    assert not os.path.exists(index)
    verify(maker, index)
    assert os.stat(index).st_mode & 0o7777 == 0o700
    assert os.listdir(index) == [f"{library}.proved"] and os.stat(proved_index.index_path(index, library)).st_mode & 0o7777 == 0o600


def test_an_index_that_cannot_be_written_is_noted_and_the_verdict_stands(maker, index, monkeypatch):
    library, dummy, made = small(maker, b"one")
    verify(maker, index)

    def full(*dummy, **dummy2):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(proved_index.os, "rename", full)
        outcome = verify(maker, index, "full")
        assert outcome.findings == [] and "No space left on device" in outcome.notes[0]
        assert os.listdir(index) == [f"{library}.proved"]
        rot(maker.path("blocks", library, made[b"one"][1]))
        assert damages(verify(maker, index, "full")) == [("blocks", "wrong-hash", made[b"one"][1])]
    # The old index says that the block was proved: it must not be believed any more.
    assert damages(verify(maker, index)) == [("blocks", "wrong-hash", made[b"one"][1])]


def test_a_directory_that_cannot_be_made_for_the_index_is_noted(maker, tmp_path):
    small(maker, b"one")
    (tmp_path / "file").write_bytes(b"")
    outcome = verify(maker, str(tmp_path / "file" / "proved"))
    assert outcome.findings == [] and "cannot be written" in outcome.notes[0]


# -- processes -------------------------------------------------------------------------------------------------------


def no_children():
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize("step", ["load", "begin", "walk", "finish"])
@pytest.mark.parametrize("large", [-1, 1000], ids=["together", "each alone"])
def test_a_process_that_is_killed_fails_the_verification_at_once(maker, index, monkeypatch, step, large):
    fill(maker, 300, libraries=3)
    monkeypatch.setattr(family_walk, "_LARGE_SECONDS", large)
    original = getattr(family_walk.Part, step)

    def die(self, *arguments):
        if self.me == 1 or large > 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, *arguments)

    monkeypatch.setattr(family_walk.Part, step, die)
    began = time.monotonic()
    with pytest.raises(SeafileError) as caught:
        verify(maker, index, processes=2)
    assert caught.value.code == "verification-interrupted" and "signal 9" in caught.value.message
    assert time.monotonic() - began < 120
    no_children()


@pytest.mark.parametrize(
    "error, raised",
    [
        (SeafileError("storage-missing", "x", "y"), SeafileError),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), PermissionError),
        (MemoryError(), SeafileError),
        (ZeroDivisionError("defect"), RuntimeError),
    ],
)
def test_what_fails_in_a_process_fails_the_verification(maker, index, monkeypatch, error, raised):
    fill(maker, 300, libraries=3)

    def fail(*dummy):
        raise error

    monkeypatch.setattr(family_walk.Part, "begin", fail)
    with pytest.raises(raised) as caught:
        verify(maker, index, processes=2)
    if isinstance(error, PermissionError):
        assert caught.value.filename == "/x/y"
    no_children()


def test_no_process_is_left_and_each_object_is_read_once(maker, index):
    fill(maker, 3000, libraries=4)
    for processes in (2, 3, 4, 7):
        outcome = verify(maker, None, "full", processes=processes)
        assert files(outcome.hashed) == maker.count and outcome.findings == []
        no_children()
    assert len(os.listdir("/proc/self/fd")) < 100


def test_many_small_libraries_and_a_large_one_are_verified_together(maker, index, monkeypatch):
    monkeypatch.setattr(family_walk, "_LARGE_SECONDS", 0.01)
    fill(maker, 2000, libraries=1)
    for number in range(30):
        small(maker, f"file {number}".encode())
    outcome = verify(maker, index, processes=2)
    assert outcome.findings == [] and files(outcome.hashed) == maker.count and outcome.libraries == 31
    assert verify(maker, index, processes=2).trusted == maker.count


@pytest.mark.parametrize("count", [2, 3, 4, 16])
@pytest.mark.parametrize("commits, others", [(0, 1), (1, 0), (1, 1), (100, 1), (1, 100), (0, 0)])
def test_every_id_has_one_owner_and_every_process_some_ids(count, commits, others):
    owners = verification._share(count, commits, others)
    assert len(owners) == 256 and sorted(set(owners)) == list(range(count)) and list(owners) == sorted(owners)


# -- hostile stores --------------------------------------------------------------------------------------------------


@TEAMS
def test_cycles_end(maker, index, processes):
    library = maker.library_id()
    loop = "c" * 40
    tree = {"type": 3, "version": 1, "dirents": [{"id": loop, "mode": 16384, "name": "again", "mtime": 1}]}
    maker.write("fs", library, loop, zlib.compress(json.dumps(tree).encode()))
    first, second = "a" * 40, "b" * 40
    for key, parent in ((first, second), (second, first)):
        document = {"commit_id": key, "root_id": loop, "repo_id": library, "ctime": 1, "parent_id": parent, "version": 1}
        maker.write("commits", library, key, json.dumps(document).encode())
    maker.library(first, library)
    outcome = verify(maker, index, processes=processes)
    assert damages(outcome) == sorted((kind, "wrong-hash", key) for kind, key in (("fs", loop), ("commits", first), ("commits", second)))


@TEAMS
def test_a_deep_tree_and_a_long_history_are_walked(maker, index, processes):
    library = maker.library_id()
    lost = maker.file(library, b"deep")
    key = maker.directory(library, {"deep": lost})
    parent = None
    for dummy in range(700):
        key = maker.directory(library, {}, {"d": key})
        parent = maker.commit(library, key, parent)
    maker.library(parent, library)
    assert verify(maker, index, processes=processes).findings == []
    remove(maker, "fs", library, lost)
    finding, = verify(maker, index, processes=processes).findings
    assert finding.path.endswith("/d/deep")


def test_a_zip_bomb_is_a_finding(maker, index, monkeypatch):
    monkeypatch.setattr(object_store, "MAX_FS_BYTES", 1024 * 1024)
    library = maker.library_id()
    bomb = maker.write("fs", library, "d" * 40, zlib.compress(b" " * (64 * 1024 * 1024), 9))
    maker.library(maker.commit(library, bomb), library)
    assert damages(verify(maker, index)) == [("fs", "unparsable", bomb)]


def test_a_directory_of_a_hundred_thousand_entries_is_verified(maker, index):
    library = maker.library_id()
    file = maker.file(library, b"x")
    lost = maker.file(library, b"lost")
    entries = {f"file-{number:06d}": file for number in range(100000)}
    maker.library(maker.commit(library, maker.directory(library, dict(entries, lost=lost))), library)
    assert verify(maker, index, processes=2).findings == []
    remove(maker, "fs", library, lost)
    assert [finding.path for finding in verify(maker, index, processes=2).findings] == ["/lost"]


@TEAMS
def test_findings_are_bounded_and_counted(maker, index, processes, monkeypatch):
    monkeypatch.setattr(verification_outcome, "MOST_FINDINGS", 7)
    contents = [f"content {number}".encode() for number in range(40)]
    library, dummy, made = small(maker, *contents)
    other, dummy, made_there = small(maker, *contents)
    verify(maker, index)
    for file, block in made.values():
        remove(maker, "blocks", library, block)
    for file, block in made_there.values():
        remove(maker, "fs", other, file)
    outcome = verify(maker, index, processes=processes)
    assert len(outcome.findings) == 7 == len(outcome.rotten) and outcome.findings_total == 80


def test_a_store_that_is_not_there_is_an_error_and_not_a_finding(tmp_path):
    with pytest.raises(SeafileError) as caught:
        verification.verify(verification.Request(str(tmp_path / "none"), None, pointers.Pointers([], []), NOW, "new"))
    assert caught.value.code == "storage-missing"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@TEAMS
def test_a_store_that_may_not_be_read_is_an_error_and_not_a_finding(maker, index, processes):
    library, dummy, made = small(maker, b"one")
    os.chmod(maker.path("blocks", library, made[b"one"][1]), 0)
    with pytest.raises(PermissionError) as caught:
        verify(maker, index, processes=processes)
    assert made[b"one"][1][2:] in caught.value.filename


def test_a_level_that_is_none_is_a_defect_of_the_caller(maker):
    with pytest.raises(ValueError):
        verify(maker, None, "deep")
