# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import os
import random
import struct
import tracemalloc

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import changes, closure, pointers
from ansible_collections.seafleet.seafile.plugins.module_utils.known_heads import known_of
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore, object_path
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.random_history import DAY, NOW, World, copy
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import ZERO, Maker, fill


def below(root, directory):
    return {os.path.relpath(os.path.join(where, name), root) for where, dummy, names in os.walk(os.path.join(root, directory)) for name in names}


def paths_of(root, family):
    """The paths that rsync would look at for a family."""
    if family.mode in (changes.WHOLE, changes.EXPENSIVE):
        return set().union(*(below(root, "/".join(store)) for store in family.stores()))
    found = {object_path("commits", library, object_id) for library, ids in family.commits.items() for object_id in ids}
    found |= {object_path("fs", family.store, object_id) for object_id in family.fs}
    return found | {object_path("blocks", family.store, object_id) for object_id in family.blocks}


def reached(root, found, now=NOW):
    return set(closure.walk(ObjectStore(root), found, now).paths())


class Server:
    """One library whose state before and after can be compared."""

    def __init__(self, tmp_path):
        self.maker = Maker(tmp_path / "storage")
        self.library = self.maker.library_id()
        self.heads = {}
        self.more = {}
        self.known = {}
        self.had = set()

    def pointers(self):
        tables = {name: [] for name in self.maker.tables}
        for library, head in self.heads.items():
            tables["Repo"].append({"repo_id": library})
            tables["Branch"].append({"name": "master", "repo_id": library, "commit_id": head})
        for table, rows in self.more.items():
            tables[table] += rows
        return pointers.make_pointers(tables)

    def commit(self, files=None, directories=None, parent="head", second=None, library=None, **more):
        """Commit a tree of file ids and directory ids to the library."""
        library = library or self.library
        parent = self.heads.get(library) if parent == "head" else parent
        root = self.maker.directory(self.library, files, directories)
        self.heads[library] = self.maker.commit(library, root, parent, second, **more)
        return self.heads[library]

    def file(self, *contents):
        return self.maker.file(self.library, *(content.encode() for content in contents))

    def remember(self):
        """A set is made and verified now."""
        self.known = known_of(self.pointers())
        self.had = reached(self.maker.root, self.pointers())

    def families(self, limit=None):
        return list(changes.find_changes(ObjectStore(self.maker.root), self.pointers(), self.known, NOW, limit))

    def listed(self):
        return set().union(*(paths_of(self.maker.root, family) for family in self.families()))

    def new(self):
        return reached(self.maker.root, self.pointers()) - self.had

    def family(self):
        family, = self.families()
        return family


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    made.kept = made.maker.directory(made.library, {name: made.file(name) for name in "abc"})
    made.commit({"one": made.file("one")}, {"kept": made.kept})
    made.remember()
    return made


def test_a_library_that_has_not_moved_is_not_looked_at(server):
    for where in ("commits", "fs"):
        os.rename(os.path.join(server.maker.root, where, server.library), os.path.join(server.maker.root, where, "away"))
    family = server.family()
    assert (family.mode, family.reads, server.listed()) == (changes.UNMOVED, 0, set())


@pytest.mark.parametrize("commits", [1, 5])
def test_of_plain_edits_exactly_the_new_objects_are_listed(server, commits):
    files = {"one": server.file("one")}
    for number in range(commits):
        files[f"new{number}"] = server.file("one", f"new {number}")  # shares no file, but a block, with the old one
        files["one"] = server.file("one", *(f"line {line}" for line in range(number + 1)))
        server.commit(files, {"kept": server.kept, f"folder{number}": server.maker.directory(server.library, {"x": server.file(f"x{number}")})})
    family = server.family()
    assert family.mode == changes.WALKED
    assert server.new() and server.listed() - {object_path("blocks", server.library, hashlib.sha1(b"one").digest())} == server.new()


def test_what_only_a_commit_in_between_had_is_listed(server):
    server.commit({"gone": server.file("soon gone")}, {"kept": server.kept})
    server.commit({"one": server.file("one")}, {"kept": server.kept})
    assert server.listed() == server.new() and len(server.new()) == 2 + 1 + 1 + 1  # two commits, a root, a file, its block


def test_a_folder_that_was_renamed_or_moved_is_not_listed_again(server):
    server.commit({"one": server.file("one")}, {"deep": server.maker.directory(server.library, {}, {"renamed": server.kept})})
    assert server.listed() == server.new() and len(server.new()) == 3  # commit, root, deep
    assert server.family().reads < 8


def test_equal_subtrees_are_not_read(server):
    os.unlink(server.maker.path("fs", server.library, server.kept))
    server.commit({"one": server.file("another")}, {"kept": server.kept})
    assert server.family().mode == changes.WALKED


def test_the_edits_of_one_known_and_one_new_parent_are_listed(server):
    old = server.heads[server.library]
    first = server.commit({"one": server.file("theirs")}, {"kept": server.kept}, ctime=1001)
    server.remember()
    branch = server.commit({"branch": server.file("of a client that was behind")}, parent=old, ctime=1002)
    server.commit({"one": server.file("theirs"), "branch": server.file("of a client that was behind")}, {"kept": server.kept}, first, branch, ctime=1003)
    assert server.family().mode == changes.WALKED and server.listed() == server.new()


def test_a_tree_of_the_known_history_is_no_base_since_a_limit_may_have_emptied_it(server):
    """The known set's old trees may lack objects that a client has uploaded again."""
    old = server.heads[server.library]
    server.more["RepoHistoryLimit"] = [{"repo_id": server.library, "days": 0}]
    server.commit({"other": server.file("other")}, ctime=1001)
    for where, dummy, names in os.walk(server.maker.root):  # what the collection leaves
        for name in names:
            path = os.path.relpath(os.path.join(where, name), server.maker.root)
            if not path.startswith("commits") and path in server.had:
                os.unlink(os.path.join(where, name))
    server.remember()
    again = server.maker.directory(server.library, {name: server.file(name) for name in "abc"})
    assert again == server.kept
    head = server.heads[server.library]
    branch = server.commit({"one": server.file("one")}, {"kept": again}, parent=old, ctime=1002)
    server.commit({"one": server.file("one"), "other": server.file("other")}, {"kept": again}, head, branch, ctime=1003)
    assert server.family().mode == changes.WALKED
    assert server.new() <= server.listed() and object_path("fs", server.library, bytes.fromhex(again)) in server.listed()


def test_an_older_tree_that_comes_back_is_listed(server):
    server.commit({"two": server.file("two")})
    server.remember()
    server.commit({"one": server.file("one")}, {"kept": server.kept})
    assert server.new() <= server.listed()


def sub_library(server, **more):
    part = server.maker.library_id()
    server.more["VirtualRepo"] = [{"repo_id": part, "origin_repo": server.library, "path": "/kept", "base_commit": server.heads[server.library]}]
    server.heads[part] = server.maker.commit(part, server.kept, **more)
    return part


def test_a_new_sub_library_costs_its_commit_because_its_folder_is_known(server):
    part = sub_library(server)
    assert server.listed() == server.new() == {object_path("commits", part, bytes.fromhex(server.heads[part]))}


def test_the_files_of_a_sub_library_are_listed_in_its_origins_store(server):
    part = sub_library(server)
    server.remember()
    server.commit({"ahead": server.file("ahead of the origin")}, library=part)
    family = server.family()
    assert family.moved == [part] and server.listed() == server.new()
    assert any(path.startswith(f"fs/{server.library}/") for path in server.listed())


def test_a_base_commit_that_moved_is_listed_even_where_no_head_reaches_it(server):
    part = sub_library(server)
    server.remember()
    head = server.heads[server.library]
    base = server.commit({"base": server.file("only in the base")})
    server.heads[server.library] = head
    server.more["VirtualRepo"][0]["base_commit"] = base
    assert server.family().moved == [part] and server.new() <= server.listed() and len(server.new()) >= 3


def test_a_new_library_goes_as_a_whole_with_the_reason(server):
    library = server.maker.library_id()
    server.heads[library] = server.maker.commit(library, server.maker.directory(library, {"f": server.maker.file(library, b"f")}))
    family = next(family for family in server.families() if family.store == library)
    assert family.mode == changes.WHOLE and family.reasons == [(library, "it is not in the known set")]
    assert server.listed() == server.new()


def test_a_purged_library_is_not_looked_at_and_one_in_the_trash_has_not_moved(server):
    head = server.heads.pop(server.library)
    assert server.families() == []
    server.more["RepoTrash"] = [{"repo_id": server.library, "head_id": head, "repo_name": "x", "owner_id": "y"}]
    assert server.family().mode == changes.UNMOVED


def set_of_reasons(server):
    return {reason for dummy, reason in server.family().reasons}


def test_without_known_heads_everything_goes_as_a_whole(server):
    server.known = {}
    assert server.family().mode == changes.WHOLE and server.listed() >= server.had


def test_a_known_head_that_is_no_ancestor_makes_the_library_go_as_a_whole(server):
    known = server.heads[server.library]
    server.commit({"x": server.file("x")}, parent=None)
    assert set_of_reasons(server) == {f"its known head {known} is not in the history of its new one"}
    assert server.new() <= server.listed()


def test_an_unknown_parent_makes_the_library_go_as_a_whole(server):
    lost = server.commit({"x": server.file("x")})
    server.commit({"y": server.file("y")})
    os.unlink(server.maker.path("commits", server.library, lost))
    assert set_of_reasons(server) == {f"its commit {lost} is missing"}
    assert server.new() <= server.listed()


@pytest.mark.parametrize("how, word", [("lost", "missing"), ("cut", "unparsable"), ("emptied", "empty")])
def test_a_new_object_that_cannot_be_read_makes_the_library_go_as_a_whole(server, how, word):
    bad = server.file("bad")
    server.commit({"bad": bad, "good": server.file("good")})
    path = server.maker.path("fs", server.library, bad)
    if how == "lost":
        os.unlink(path)
    else:
        with open(path, "wb") as stream:
            stream.write(b"" if how == "emptied" else b"xx")
    reason, = set_of_reasons(server)
    assert f"fs object {bad} is {word}" in reason and server.new() <= server.listed()


def test_a_known_head_that_rotted_makes_the_library_go_as_a_whole(server):
    known = server.heads[server.library]
    server.commit({"x": server.file("x")})
    with open(server.maker.path("commits", server.library, known), "wb") as stream:
        stream.write(b"{}")
    assert set_of_reasons(server) == {f"its known head {known} is unparsable"}


def test_a_known_directory_that_rotted_only_makes_the_list_longer(server):
    root = ObjectStore(server.maker.root).open("commits", server.library).read_commit(bytes.fromhex(server.heads[server.library]))[0].root
    server.commit({"x": server.file("x")}, {"kept": server.kept})
    os.unlink(server.maker.path("fs", server.library, root.hex()))
    assert server.family().mode == changes.WALKED and server.listed() > server.new()


def test_a_library_in_which_the_known_set_lacks_objects_goes_as_a_whole_though_it_has_not_moved(server):
    family, = changes.find_changes(ObjectStore(server.maker.root), server.pointers(), server.known, NOW, None, {server.library})
    assert family.mode == changes.WHOLE and family.reasons == [(server.library, "the known set lacks objects of it")]
    assert paths_of(server.maker.root, family) == server.had


def test_what_is_older_than_the_limit_may_be_missing_without_a_word(server):
    server.more["RepoHistoryLimit"] = [{"repo_id": server.library, "days": 5}]
    gone = server.file("gone")
    server.commit({"gone": gone}, ctime=NOW - 50 * DAY)
    server.commit({"one": server.file("one")}, {"kept": server.kept}, ctime=NOW)
    os.unlink(server.maker.path("fs", server.library, gone))
    assert server.family().mode == changes.WALKED and server.listed() >= server.new()


@pytest.mark.parametrize("parents", ["itself", "each other"])
def test_commits_whose_parents_form_a_loop_end_the_walk(server, parents):
    """An id does not cover the parents: anybody could write such commits."""
    known = server.heads[server.library]
    first = server.commit({"x": server.file("x")})
    second = server.commit({"y": server.file("y")})
    path = server.maker.path("commits", server.library, first)
    with open(path, encoding="utf-8") as stream:
        document = json.load(stream)
    document.update(parent_id=known, second_parent_id=first if parents == "itself" else second)
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(document, stream)
    assert server.new() <= server.listed()


@pytest.mark.parametrize("known_time, new_time", [(10 ** 9, 5), (5, 10 ** 9), (0, 0), (-5, 2 ** 62)])
def test_a_wrong_clock_loses_nothing(server, known_time, new_time):
    parent = None
    commits = []
    for number in range(20):
        parent = server.commit({"n": server.file(str(number))}, parent=parent, ctime=known_time + number)
        commits.append(parent)
    server.remember()
    branch = server.commit({"branch": server.file("branch")}, parent=commits[3], ctime=new_time)
    server.commit({"n": server.file("merged"), "branch": server.file("branch")}, {}, commits[-1], branch, ctime=new_time + 1)
    assert server.family().mode == changes.WALKED and server.new() <= server.listed()


def test_of_commits_of_one_second_no_known_ones_are_read_for_nothing(server):
    for number in range(200):
        server.commit({"n": server.file(str(number))}, ctime=1000)
    server.remember()
    server.commit({"n": server.file("new")}, ctime=1000)
    assert server.listed() == server.new() and server.family().reads < 8


def test_a_short_merge_reads_only_the_commits_in_between(server):
    parent, commits = None, []
    for number in range(500):
        parent = server.commit({"n": server.file(str(number))}, parent=parent, ctime=1000 + number)
        commits.append(parent)
    server.remember()
    branch = server.commit({"b": server.file("b")}, parent=commits[-5], ctime=2000)
    server.commit({"b": server.file("b"), "n": server.file("499")}, {}, commits[-1], branch, ctime=2001)
    assert server.listed() == server.new() and server.family().reads < 30


def binary(server, library, *entries, kind=3):
    """A version 0 object: its id and bytes by the rules of fs-mgr.c."""
    digest = hashlib.sha1()
    if kind == 1:
        content = struct.pack(">IQ", 1, 1) + b"".join(map(bytes.fromhex, entries))
        digest.update(content[12:])
    else:
        content = struct.pack(">I", 3)
        for name, object_id, mode in entries:
            content += struct.pack(">I40sI", mode, object_id.encode(), len(name)) + name.encode()
            digest.update(object_id.encode() + name.encode() + struct.pack("<I", mode))
    return server.maker.write("fs", library, digest.hexdigest(), content)


def test_a_library_of_version_0_is_walked_too(server):
    library = server.library
    one = binary(server, library, server.maker.block(library, b"1"), kind=1)
    folder = binary(server, library, ("one", one, 0o100644))
    server.heads[library] = server.maker.commit(library, binary(server, library, ("folder", folder, 0o40000)), version="absent")
    server.remember()
    two = binary(server, library, server.maker.block(library, b"2"), kind=1)
    root = binary(server, library, ("folder", folder, 0o40000), ("two", two, 0o100644))
    server.heads[library] = server.maker.commit(library, root, server.heads[library], version="absent")
    assert server.listed() == server.new() and len(server.new()) == 4


def test_a_walk_that_costs_more_than_the_other_way_gives_way(server):
    server.commit({f"{number}": server.file(f"new {number}") for number in range(300)})
    family, = server.families(lambda *dummy: 100)
    assert family.mode == changes.EXPENSIVE and family.reads <= 101 and not family.fs
    assert {("commits", server.library), ("fs", server.library), ("blocks", server.library)} == set(family.stores())


def test_the_limit_grows_with_the_store(tmp_path):
    maker = Maker(tmp_path)
    fill(maker, 20000, libraries=1)
    store, = os.listdir(tmp_path / "fs")
    names = maker.count["fs"] + maker.count["blocks"]
    assert names / 9 < changes.walk_limit(ObjectStore(maker.root), store) < names / 4
    assert changes.walk_limit(ObjectStore(maker.root), maker.library_id()) == 500


def test_a_tree_of_a_thousand_levels_needs_no_recursion(server):
    below_it = server.maker.directory(server.library, {"deep": server.file("deep")})
    for dummy in range(3000):
        below_it = server.maker.directory(server.library, {}, {"d": below_it})
    server.commit({}, {"d": below_it})
    assert server.listed() == server.new() and len(server.new()) > 3000


def test_a_history_of_a_thousand_edits_in_a_large_folder_takes_little_memory(server):
    files = {f"file {number}": hashlib.sha1(str(number).encode()).hexdigest() for number in range(3000)}
    server.commit(files)
    server.remember()
    for number in range(60):
        files[f"file {number}"] = server.file(f"new {number}")
        server.commit(files)
    server.families()
    tracemalloc.start()
    family, = server.families()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert family.mode == changes.WALKED and len(family.fs) == 120
    assert peak < 60 * 1024 * 1024


@pytest.mark.parametrize("seed", range(300))
def test_of_any_history_nothing_that_a_pointer_reaches_is_left_out(tmp_path, seed):
    chance = random.Random(seed)
    world = World(tmp_path / "storage", chance)
    known, backup, distrusted = {}, set(), set()
    damaged = seed % 3 == 0
    for dummy in range(8):
        for dummy in range(chance.randint(0, 6)):
            world.work()
        if damaged and chance.random() < 0.5:
            world.damage()
        found = world.pointers()
        families = list(changes.find_changes(ObjectStore(world.root), found, known, world.now, lambda *dummy: chance.choice((10, 10 ** 6)), distrusted))
        arrived = {path for family in families for path in paths_of(world.root, family) if os.path.exists(os.path.join(world.root, path))}
        walked = closure.walk(ObjectStore(world.root), found, world.now)
        needed = set(walked.paths())
        assert needed - backup - arrived == set()
        if chance.random() < 0.8:  # the set was made and verified; else the next run knows only the one before
            known = known_of(found)
            backup = needed  # the least that a backup has: what this set's database reached, nothing of earlier ones
            distrusted = {finding.library for finding in walked.findings}


def test_the_random_histories_are_walked_and_not_only_taken_as_a_whole(tmp_path):
    modes = {mode: 0 for mode in (changes.UNMOVED, changes.WALKED, changes.WHOLE)}
    for seed in range(20):
        chance = random.Random(seed)
        world = World(tmp_path / str(seed), chance)
        for dummy in range(8):
            known = known_of(world.pointers())
            for dummy in range(3):
                world.work()
            for family in changes.find_changes(ObjectStore(world.root), world.pointers(), known, world.now):
                modes[family.mode] += 1
    assert modes[changes.WALKED] > modes[changes.WHOLE] > 0


def test_a_copied_tree_is_another_tree():
    tree = {"a": {"b": (b"x",)}}
    copy(tree)["a"]["b"] = ()
    assert tree == {"a": {"b": (b"x",)}} and ZERO == "0" * 40
