# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far heads go forward: against a slow oracle on random histories, and case by case."""

from __future__ import annotations

import json
import os
import random
import tempfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.seafleet.seafile.plugins.module_utils import closure, pointers, roll_forward
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.properties import examples
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.random_history import World
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import ZERO, Maker

DAY = 24 * 3600


# -- random histories, and an oracle that tries every commit -----------------------------------------------------------


class Oracle:
    """Reads commits and trees by itself; that a commit's closure is complete is what a walk from nothing says of it."""

    def __init__(self, root, found, now):
        self.root = root
        self.store = ObjectStore(root)
        self.found = found
        self.now = now
        self.libraries = {library.id: library for library in found.libraries}
        self.reached = {path.split("/", 2)[1] + "/" + path[-41:].replace("/", "") for path in closure.walk(self.store, found, now).paths()
                        if path.startswith("commits/")}

    def commits(self, library):
        result = {}
        for where, dummy, names in os.walk(os.path.join(self.root, "commits", library)):
            for name in names:
                try:
                    with open(os.path.join(where, name), "rb") as stream:
                        document = json.loads(stream.read())
                    result[where[-2:] + name] = (document["root_id"], [document[key] for key in ("parent_id", "second_parent_id") if document.get(key)],
                                                 document["ctime"])
                except (ValueError, KeyError):
                    pass
        return result

    def folder(self, store, tree, path):
        for name in path.strip("/").split("/"):
            if tree == ZERO:
                return None
            try:
                with open(os.path.join(self.root, "fs", store, tree[:2], tree[2:]), "rb") as stream:
                    entries = json.loads(zlib.decompress(stream.read()))["dirents"]
            except (OSError, ValueError, zlib.error):
                return None
            tree = next((entry["id"] for entry in entries if entry["name"] == name and entry["mode"] == 16384), None)
            if tree is None:
                return None
        return tree

    def is_complete(self, library, commit):
        family = [other for other in self.found.libraries if other.store == library.store]
        combined = pointers.with_heads(pointers.Pointers(family, []), {library.id: commit})
        return not closure.walk(self.store, combined, self.now, True).findings

    def keeps_folders(self, library, commits, commit):
        first = commits[library.heads[0].hex()][0]
        parts = [part for part in self.found.libraries if part.origin == library.id and self.folder(library.store, first, part.path) is not None]
        while commit in commits and f"{library.id}/{commit}" not in self.reached:
            if any(self.folder(library.store, commits[commit][0], part.path) is None for part in parts):
                return False
            commit = (commits[commit][1] or [""])[0]
        return True

    def pick(self, library_id):
        """The commit that the library must get, None when it stays."""
        library = self.libraries[library_id]
        head, commits = library.heads[0].hex(), self.commits(library_id)
        before = {}
        for commit in commits:
            seen, stack = set(), [commit]
            while stack:
                at = stack.pop()
                if at not in seen:
                    seen.add(at)
                    stack.extend(commits[at][1] if at in commits else [])
            before[commit] = seen
        good = [commit for commit in commits if commit != head and head in before[commit] and f"{library_id}/{commit}" not in self.reached
                and self.keeps_folders(library, commits, commit) and self.is_complete(library, commit)]
        ends = [commit for commit in good if not any(commit in before[other] for other in good if other != commit)]
        return max(ends, default=None, key=lambda commit: (
            sum(f"{library_id}/{other}" not in self.reached for other in before[commit]), commits[commit][2], commit))


def hurt(world, newer, chance):
    """Lose, cut or change some of the objects that are newer than the set."""
    share = chance.choice((0, 0.02, 0.1, 0.3))
    for path in sorted(newer):
        if chance.random() < share:
            path = os.path.join(world.root, path)
            how = chance.choice(("remove", "cut", "flip"))
            with open(path, "rb") as stream:
                content = stream.read()
            os.unlink(path)
            if how != "remove":
                with open(path, "wb") as stream:
                    stream.write(content[:len(content) // 2] if how == "cut" else content.replace(b"content", b"Content").replace(b'"ctime": ', b'"ctime": 1'))


def objects(root):
    return {os.path.relpath(os.path.join(where, name), root) for where, dummy, names in os.walk(root) for name in names}


def rolled(root, found, now, damaged=frozenset(), excluded=frozenset()):
    """C((result, the closure that it extended))."""
    walked = closure.walk(ObjectStore(root), found, now)
    assert not [finding for finding in walked.findings if (finding.kind, finding.store, bytes.fromhex(finding.id)) not in damaged]
    return roll_forward.roll_forward(ObjectStore(root), found, walked, now, damaged, excluded), walked


@examples(60)
@given(st.integers(0, 2 ** 32))
def test_every_head_becomes_the_newest_descendant_whose_closure_is_complete(seed):
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as directory:
        world = World(os.path.join(directory, "objects"), chance)
        for dummy in range(chance.randint(0, 25)):
            world.work()
        found, now = world.pointers(), world.now
        old = objects(world.root)
        if closure.walk(ObjectStore(world.root), found, now).findings:
            return  # a head was taken back to history that the collection had taken
        world.collect = lambda: None  # a backup only grows
        for dummy in range(chance.randint(1, 15)):
            world.work()
        hurt(world, objects(world.root) - old, chance)
        if closure.walk(ObjectStore(world.root), found, now).findings:
            return  # what may be missing from the set came back broken: such a set is not taken
        result, walked = rolled(world.root, found, now)
        told = {advance.library: advance for advance in result.advances}
        oracle = Oracle(world.root, found, now)
        parents = {library.origin for library in found.libraries}
        for library in found.libraries:
            origin = oracle.libraries.get(library.origin or library.id)
            if library.kind != "live" or origin is None or origin.kind != "live":
                assert library.id not in told
                continue
            expected = oracle.pick(library.id)
            if library.id not in told and expected and (library.origin or library.id in parents):
                assert any(note.startswith("not rolled forward: ") for note in result.notes)
                continue
            assert (told[library.id].after.hex() if library.id in told else None) == expected
        combined = pointers.with_heads(found, {key: advance.after.hex() for key, advance in told.items()}, result.places)
        again = closure.walk(ObjectStore(world.root), combined, now, True)
        assert again.findings == []
        assert list(again.paths()) == list(walked.paths()) and again.totals() == walked.totals()
        assert sorted(map(str, again.libraries)) == sorted(map(str, walked.libraries))


# -- case by case --------------------------------------------------------------------------------------------------------


class Shop:
    """One library with a set's head, and commits that came later."""

    def __init__(self, directory, **head):
        self.maker = Maker(directory / "objects")
        self.id = self.maker.library_id()
        self.number = 0
        self.kind = "live"
        self.damaged = set()
        self.excluded = set()
        self.head = self.commit(None, **head)
        self.parts = []

    def tree(self, *names):
        self.number += 1
        files = {f"{self.number}.txt": self.maker.file(self.id, f"{self.number}".encode())}
        return self.maker.directory(self.id, files, {name: self.maker.directory(self.id, {"x": self.maker.file(self.id, name.encode())}) for name in names})

    def commit(self, parent="head", second=None, folders=(), ctime=None, **more):
        parent = self.head if parent == "head" else parent
        root = self.tree(*folders)
        return self.maker.commit(self.id, root, parent, second, ctime=1000 + self.number if ctime is None else ctime, **more)

    def path(self, kind, key):
        return self.maker.path(kind, self.id, key)

    def block(self):
        """The block of the tree that was written last."""
        return self.path("blocks", self.maker.block(self.id, f"{self.number}".encode()))

    def pointers(self):
        library = pointers.Library(self.id, self.kind, [bytes.fromhex(self.head)], self.id, name="Shop")
        return pointers.Pointers([library, *self.parts], [])

    def roll(self):
        return rolled(str(self.maker.root), self.pointers(), 2000, self.damaged, self.excluded)[0]

    def after(self):
        """The library's new head; None when it stays."""
        return next((advance.after.hex() for advance in self.roll().advances if advance.library == self.id), None)

    def said(self):
        return "\n".join(self.roll().notes)


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def overwrite(path, content):
    os.unlink(path)
    with open(path, "wb") as stream:
        stream.write(content)


def test_without_newer_commits_nothing_is_told(shop):
    result = shop.roll()
    assert (result.advances, result.places, result.notes) == ([], {}, [])


def test_what_is_gained_is_counted_and_dated(shop):
    first = shop.commit(name="Old name")
    second = shop.commit(first, name="New name")
    (advance,) = shop.roll().advances
    assert advance == roll_forward.Advance(shop.id, "New name", bytes.fromhex(shop.head), bytes.fromhex(second), 2, 1003)
    assert roll_forward.time_text(advance.time) == "1970-01-01T00:16:43Z" and roll_forward.time_text(10 ** 20) == f"{10 ** 20} seconds after 1970"


@pytest.mark.parametrize("how", ["missing", "empty", "wrong-hash"])
def test_an_incomplete_commit_is_left_and_the_complete_one_before_it_is_taken_and_that_is_told(shop, how):
    first = shop.commit()
    second = shop.commit(first)
    if how == "missing":
        os.unlink(shop.block())
    else:
        overwrite(shop.block(), b"" if how == "empty" else b"x")
    third = shop.commit(second)
    assert shop.after() == first
    said = shop.said()
    assert "Library: 2 newer commits cannot be taken, the newest is " + third in said and "block " in said and how in said


def test_the_whole_way_back_must_be_there(shop):
    first = shop.commit()
    second = shop.commit(first)
    shop.commit(second)
    os.unlink(shop.path("commits", second))
    assert shop.after() == first
    assert f"1 newer commits do not lead back to the set's: commit {second} missing" in shop.said()
    overwrite(shop.path("commits", first), b"{")
    assert shop.after() is None and "newer commits do not lead back" in shop.said()


def test_a_way_that_goes_in_a_circle_leads_nowhere(shop):
    first = shop.commit()
    with open(shop.path("commits", first), "rb") as stream:
        document = json.loads(stream.read())
    second = shop.commit(first)
    overwrite(shop.path("commits", first), json.dumps(dict(document, second_parent_id=second)).encode())
    assert shop.after() is None and "is its own ancestor" in shop.said()


def test_a_commit_of_another_content_than_its_id_is_not_taken(shop):
    first = shop.commit()
    path = shop.path("commits", shop.commit(first))
    with open(path, "rb") as stream:
        content = stream.read()
    overwrite(path, content.replace(b'"description": "commit', b'"description": "Commit'))
    assert shop.after() == first


def test_both_parents_of_a_merge_must_be_there(shop):
    side = shop.commit()
    first = shop.commit()
    merge = shop.commit(first, side)
    assert shop.after() == merge and shop.roll().advances[0].commits == 3
    os.unlink(shop.path("commits", side))
    assert shop.after() == first


def test_a_client_that_was_behind_the_set_is_merged_like_any_other(shop):
    older, shop.head = shop.head, shop.commit()
    assert shop.after() is None
    theirs = shop.commit(older)
    assert shop.after() is None, "a side line does not descend from the head"
    merge = shop.commit(shop.head, theirs)
    assert shop.after() == merge


def test_of_several_lines_the_one_with_most_commits_is_taken_then_the_newest_and_the_others_are_told(shop):
    shop.commit(ctime=1900)
    first = shop.commit()
    long = shop.commit(first)
    assert shop.after() == long
    other = shop.commit(first, ctime=1950)
    assert shop.after() == other
    said = shop.said()
    assert f"2 newer commits up to {long} of 1970-01-01T00:16:44Z are another line and not taken" in said and said.count("another line") == 2
    for dummy in range(4):
        shop.commit()
    assert shop.after() == other and "Library: 3 lines more are not taken" in shop.said()


def test_what_the_set_reaches_is_not_read_again(shop):
    overwrite(shop.block(), b"as long as it is there")
    first = shop.commit()
    assert shop.after() == first


def test_accepted_damage_of_the_set_stops_nothing_and_new_damage_does(shop):
    block = os.path.relpath(shop.block(), shop.maker.root).split("/")
    os.unlink(shop.block())
    shop.damaged = {("blocks", shop.id, bytes.fromhex(block[2] + block[3]))}
    first = shop.commit()
    assert shop.after() == first
    os.unlink(shop.block())
    assert shop.after() is None


@pytest.mark.parametrize("kind", ["trash", "orphan"])
def test_deleted_libraries_stay(shop, kind):
    shop.commit()
    shop.kind = kind
    assert shop.roll() == roll_forward.Rolled()


def test_excluded_families_stay(shop):
    shop.commit()
    shop.excluded = {shop.id}
    assert shop.roll() == roll_forward.Rolled()


KEYS = {"encrypted": "true", "enc_version": 2, "magic": "1" * 64, "key": "2" * 96}


@pytest.mark.parametrize("head, newer, why", [
    (KEYS, dict(KEYS, magic="3" * 64, key="4" * 96), None),
    (KEYS, {"encrypted": "true", "enc_version": 2, "magic": "1" * 64}, "it lacks the key of the library"),
    (KEYS, {}, "it is encrypted in another way than before"),
    (KEYS, dict(KEYS, enc_version=4), "it is encrypted in another way than before"),
    ({}, KEYS, "it is encrypted in another way than before"),
    ({}, {"encrypted": "false"}, None),
    ({}, {"version": 0}, "its format is of another version"),
], ids=["new password", "no key", "plain", "other version", "encrypted now", "go server", "format"])
def test_a_password_may_change_and_what_a_library_is_encrypted_by_may_not(tmp_path, head, newer, why):
    shop = Shop(tmp_path, **head)
    first = shop.commit(**head)
    second = shop.commit(first, **newer)
    assert shop.after() == (first if why else second)
    assert (why or "") in shop.said()


def test_a_library_that_keeps_no_history_goes_over_commits_whose_trees_are_gone(shop):
    first = shop.commit()
    os.unlink(shop.block())
    second = shop.commit(first)
    found = shop.pointers()
    assert shop.after() is None
    found.libraries[0].days = 0
    result, walked = rolled(str(shop.maker.root), found, 2000)
    assert result.advances[0].after.hex() == second
    again = closure.walk(ObjectStore(shop.maker.root), pointers.with_heads(found, {shop.id: second}), 2000)
    assert list(again.paths()) == list(walked.paths()) and again.findings == []


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    return real_sets.Unpacked(tmp_path_factory.mktemp("real"))


@pytest.mark.parametrize("name", real_sets.NAMES)
def test_libraries_that_a_real_server_wrote_come_back_from_an_older_head_to_the_dumped_one(unpacked, name):
    haiwen, dump = unpacked[name]
    store = ObjectStore(str(haiwen / "seafile-data" / "storage"))
    found = pointers.read_pointers(str(dump))
    whole = closure.walk(store, found, 1795405255)
    older = {}
    for library in found.libraries:
        with store.open("commits", library.id) as commits:
            parents = commits.read_commit(library.heads[0])[0].parents if library.kind == "live" else ()
        # the library without history lacks the tree of its parent, and the origin is where its sub-libraries were merged last
        if parents and library.days and library.id not in {other.origin for other in found.libraries}:
            older[library.id] = parents[0].hex()
    assert len(older) >= 6 and any(library.origin and library.id in older for library in found.libraries)
    result, walked = rolled(str(store.root), pointers.with_heads(found, older), 1795405255)
    heads = {library.id: library.heads[0] for library in found.libraries if library.id in older}
    assert {advance.library: advance.after for advance in result.advances} == heads
    assert list(walked.paths()) == list(whole.paths()) and walked.totals() == whole.totals() and result.notes == []


# -- sub-libraries -------------------------------------------------------------------------------------------------------


class Parts(Shop):
    """The library has a folder F that is a sub-library."""

    def __init__(self, directory):
        super().__init__(directory)
        self.roots = {}
        self.head = self.origin("0", None)
        self.part_id = self.maker.library_id()
        self.part_head = self.part("0", None)
        self.base = self.head
        self.parts = [None]

    def folder(self, state):
        return self.maker.directory(self.id, {"state": self.maker.file(self.id, state.encode())})

    def origin(self, state, parent, name="F"):
        self.number += 1
        files = {f"{self.number}.txt": self.maker.file(self.id, f"{self.number}".encode())}
        root = self.maker.directory(self.id, files, {name: self.folder(state)} if name else {})
        return self.maker.commit(self.id, root, parent, ctime=1000 + self.number)

    def part(self, state, parent):
        self.number += 1
        return self.maker.commit(self.part_id, self.folder(state), parent, ctime=1000 + self.number, name="F")

    def states(self, origin="", part=""):
        """Write heads with these states one after the other."""
        heads = {"origin": [self.head], "part": [self.part_head]}
        for state in origin:
            heads["origin"].append(self.origin(state, heads["origin"][-1]))
        for state in part:
            heads["part"].append(self.part(state, heads["part"][-1]))
        return heads

    def pointers(self):
        library = pointers.Library(self.part_id, "live", [bytes.fromhex(self.part_head)], self.id, self.id, "/F", bytes.fromhex(self.base))
        self.parts = [library]
        return super().pointers()


@pytest.fixture
def parts(tmp_path):
    return Parts(tmp_path)


@pytest.mark.parametrize("origin, part, base", [
    ("", "1", None),  # not merged yet: the set's base is right
    ("1", "", None),
    ("1", "2", None),  # both changed, as the server will find
    ("00", "1", None),  # the origin changed elsewhere
    ("1", "1", 1),  # merged
    ("12", "1", 1),  # merged, then the origin went on
    ("1", "12", 1),
    ("123", "13", 3),
], ids=str)
def test_a_sub_library_gets_the_base_that_the_last_merge_left(parts, origin, part, base):
    heads = parts.states(origin, part)
    result = parts.roll()
    assert {advance.library: advance.after.hex() for advance in result.advances} == {
        key: heads[name][-1] for key, name in ((parts.id, "origin"), (parts.part_id, "part")) if len(heads[name]) > 1}
    assert result.places == ({} if base is None else {parts.part_id: pointers.Place(heads["origin"][base], "/F")})


@pytest.mark.parametrize("origin, part", [("1", "10"), ("10", "1")])
def test_when_the_last_common_state_cannot_be_told_neither_goes_forward_and_that_is_said(parts, origin, part):
    parts.states(origin, part)  # merged, then taken back in one of them: the next merge must not undo that
    result = parts.roll()
    assert result.advances == [] and result.places == {}
    assert result.notes[0].startswith("not rolled forward: F and the library that it is a part of") and "library_export" in result.notes[0]


def test_an_origin_does_not_go_past_the_commit_that_takes_the_folder_of_its_sub_library_away(parts):
    first = parts.origin("0", parts.head)
    gone = parts.origin("0", first, name="G")
    parts.origin("0", gone)
    assert parts.after() == first, "Seafile would delete the sub-library"
    assert "it does not have the folder /F of the sub-library F" in parts.said()


def test_a_folder_that_the_sets_head_does_not_have_holds_nothing_up(parts):
    parts.head = parts.origin("0", parts.head, name="G")
    last = parts.origin("0", parts.head, name="G")
    result = parts.roll()
    assert [advance.after.hex() for advance in result.advances] == [last] and result.places == {}


def test_a_sub_library_of_a_deleted_origin_stays(parts):
    parts.states("1", "1")
    parts.kind = "trash"
    assert parts.roll().advances == []


@pytest.mark.parametrize("origin, part, expected", [
    ("a", "a", 0), ("ab", "c", None), ("abc", "ab", 1), ("ab", "abc", 1), ("aba", "ab", "?"), ("ab", "aba", "?"), ("aba", "aba", 2), ("", "a", None)])
def test_the_last_common_state_is_one_that_both_had_and_neither_has_a_later_one(origin, part, expected):
    arguments = [letter.encode() for letter in origin], [letter.encode() for letter in part]
    if expected == "?":
        with pytest.raises(roll_forward.Ambiguous):
            roll_forward.merged_last(*arguments)
    else:
        assert roll_forward.merged_last(*arguments) == expected
        assert roll_forward.merged_last([None, *arguments[0]], arguments[1]) == (None if expected is None else expected + 1)
