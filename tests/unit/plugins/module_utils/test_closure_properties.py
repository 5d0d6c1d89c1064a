# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is damaged in any store: the walk names all of it that must be there, by its right path, and nothing else.

What must be found follows from the model of model_store.py, which reads no object and knows nothing of the walk.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.seafleet.seafile.plugins.module_utils import closure, pointers
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.model_store import (
    DAY,
    NOW,
    CommitModel,
    LibraryModel,
    Model,
    commit_object,
    object_file,
)
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.properties import examples
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import Maker

# --- stores -------------------------------------------------------------------------------------------------------

CONTENTS = [f"content {number}".encode() for number in range(8)]
NAMES = ["a", "b", "\u00dcbung", "new\nline", "it's", "{", "-rf"]


class Builder:
    """Builds a model with choices from I(random): shared branches, merges, limits, sub-libraries, trash, leftovers, garbage."""

    def __init__(self, chance):
        self.random = chance
        self.number = 0

    def library_id(self):
        self.number += 1
        return f"{self.random.getrandbits(32):08x}-0000-4000-8000-{self.number:012x}"

    def file(self):
        return tuple(self.random.choice(CONTENTS) for dummy in range(self.random.randrange(4)))

    def tree(self, pool, depth=0):
        if pool and self.random.random() < 0.3:
            return self.random.choice(pool)
        names = self.random.sample(NAMES, self.random.randrange(4 if depth else 5))
        result = {name: self.tree(pool, depth + 1) if depth < 3 and self.random.random() < 0.4 else self.file() for name in names}
        pool.append(result)
        return result

    def history(self, pool, most):
        commits = []
        for at in range(self.random.randrange(1, most + 1)):
            parents = ()
            if at:
                parents = (at - 1,)
                if at > 1 and self.random.random() < 0.3:
                    parents = tuple(self.random.sample(range(at), 2))
            age = self.random.choice([0, 5, 10, 20, 30, 50])
            commits.append(CommitModel(self.tree(pool), age, parents, self.random.choice(["c", "go"])))
        return commits

    def model(self):
        libraries, garbage = [], []
        for dummy in range(self.random.randrange(1, 4)):
            pool = []
            origin = LibraryModel(
                self.library_id(), self.history(pool, 5), self.random.choice(["live", "live", "live", "trash", "orphan"]), self.random.choice([1, 1, 0]),
                self.random.choice([None, None, -1, 0, 1, 15, 40]), self.random.choice([None, None, NOW - 7 * DAY]))
            libraries.append(origin)
            for dummy2 in range(self.random.choice([0, 0, 1, 2]) if origin.kind == "live" else 0):
                libraries.append(LibraryModel(
                    self.library_id(), self.history(pool, 3), "live", origin.version, origin=origin, base=self.random.randrange(len(origin.commits)),
                    days=self.random.choice([None, 1]), valid_since=self.random.choice([None, NOW - 7 * DAY])))
            garbage.append((origin.id, b"nobody's " + origin.id.encode()))
        return Model(libraries, garbage + [(self.library_id(), b"no library's")])


MODELS = st.integers(0, 2 ** 32).map(lambda seed: Builder(random.Random(seed)).model())


class Stored:
    """A model's objects on disk."""

    def __init__(self, model):
        self.model = model

    def __enter__(self):
        self.root = tempfile.mkdtemp(prefix="seafleet-closure-")
        self.model.write(os.path.join(self.root, "objects"))
        return self

    def __exit__(self, *dummy):
        shutil.rmtree(self.root)

    @property
    def objects(self):
        return os.path.join(self.root, "objects")

    def walk(self, check_hashes=True):
        return closure.walk(ObjectStore(self.objects), pointers.make_pointers(self.model.tables()), NOW, check_hashes).findings

    def damage(self, key, how, chance, other=None):
        """Bring the damage about; return which words for it are right, or None when it could change nothing."""
        path = object_file(self.objects, key)
        content = self.model.objects[key]
        if how == "swap":
            second = object_file(self.objects, other)
            os.rename(path, path + ".x")
            os.rename(second, path)
            os.rename(path + ".x", second)
            return CONTENT
        os.unlink(path)
        if how == "directory":
            os.mkdir(path)
        elif how == "link":
            with open(path + ".real", "wb") as stream:
                stream.write(content)
            os.symlink(path + ".real", path)
        elif how == "fifo":
            os.mkfifo(path)
        elif how != "remove":
            with open(path, "wb") as stream:
                stream.write(changed(key, content, how, chance))
        kinds = {"remove": {"missing"}, "directory": {"missing"}, "link": {"missing"}, "fifo": {"missing"}, "empty": {"empty"}, "zeros": CONTENT}
        return kinds.get(how, CONTENT)


def changed(key, content, how, chance):
    """The damaged bytes of an object; a flipped bit is one that the object's hash covers."""
    if how == "empty":
        return b""
    if how == "zeros":
        return bytes(len(content))
    if how == "truncate":
        return content[:chance.randrange(1, len(content))]
    while True:
        at = chance.randrange(len(content))
        if key[0] == "commits":
            at = content.index(b'"root_id": "') + 12 + chance.randrange(40)
        result = content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1:]
        if key[0] != "fs":
            return result
        if content[:3] == b"\0\0\0":
            if at >= 12 or content[3] == 3:  # the size of a version 0 file is in no hash
                return result
            continue
        try:
            if zlib.decompress(result) != zlib.decompress(content):
                return result
        except zlib.error:
            return result


# What the damage of an object's content is called: how much of it can still be read decides.
CONTENT = {"wrong-hash", "truncated", "unparsable", "mismatch"}
HOWS = ("remove", "flip", "truncate", "empty", "zeros", "swap", "directory", "link", "fifo")
REPLACED = ("remove", "directory", "link", "fifo")


def identities(findings):
    return {(finding.kind, finding.store, finding.id) for finding in findings}


def wreck(stored, chance, most=4):
    """Damage some objects; return {key: (words that are right, how)}."""
    keys = sorted(stored.model.objects)
    victims = chance.sample(keys, min(len(keys), chance.randrange(1, most + 1)))
    result = {}
    while victims:
        key, how = victims.pop(), chance.choice(HOWS)
        if how == "swap":
            others = [other for other in victims if other[0] == key[0] and other[2] != key[2]]
            if not others:
                how = "remove"
            else:
                victims.remove(others[0])
                result[others[0]] = stored.damage(key, how, chance, others[0]), how
                result[key] = result[others[0]]
                continue
        result[key] = stored.damage(key, how, chance), how
    return result


def judge(model, damaged, findings):
    """Every damage that must be found is, rightly named, and nothing else is."""
    found = identities(findings)
    required = model.required(frozenset(damaged))
    assert {key for key in damaged if key in required} <= found
    # An object with another's bytes, or with one bit changed, may be read, and what it says of others is anything.
    readable = any(how in ("swap", "flip", "truncate") and key[0] != "blocks" for key, (dummy, how) in damaged.items())
    if not readable:
        legal = {key for key, (dummy, how) in damaged.items() if how in REPLACED and key not in required}
        assert found <= set(damaged) - legal
        # What may be missing may not be there broken; but nothing that no pointer leads to is ever named.
        assert found <= model.reachable()
    for finding in findings:
        key = (finding.kind, finding.store, finding.id)
        if key in damaged and not readable:
            assert finding.damage in damaged[key][0]
            assert model.leads_to(finding.library, finding.commit, finding.path, finding.kind, finding.id)


@examples(25)
@given(MODELS)
def test_a_whole_store_has_no_findings_and_its_list_is_what_can_be_reached(model):
    with Stored(model) as stored:
        for check_hashes in (False, True):
            walked = closure.walk(ObjectStore(stored.objects), pointers.make_pointers(model.tables()), NOW, check_hashes)
            assert walked.findings == []
            assert {tuple(path.split("/")[:2]) + ("".join(path.split("/")[2:]),) for path in walked.paths()} == model.reachable()


@examples(80)
@given(MODELS, st.integers(0, 2 ** 32))
def test_every_damage_of_a_required_object_is_found_and_no_other(model, seed):
    chance = random.Random(seed)
    with Stored(model) as stored:
        damaged = wreck(stored, chance)
        judge(model, damaged, stored.walk())


@examples(25)
@given(MODELS, st.integers(0, 2 ** 32))
def test_one_damage_alone_is_named_by_kind_store_id_and_a_path_that_leads_to_it(model, seed):
    chance = random.Random(seed)
    required = sorted(model.required())
    if not required:
        return
    key, how = chance.choice(required), chance.choice([how for how in HOWS if how != "swap"])
    with Stored(model) as stored:
        words = stored.damage(key, how, chance)
        findings = [finding for finding in stored.walk() if (finding.kind, finding.store, finding.id) == key]
    assert findings and {finding.damage for finding in findings} <= words
    for finding in findings:
        assert model.leads_to(finding.library, finding.commit, finding.path, finding.kind, finding.id)


@examples(25)
@given(MODELS, st.integers(0, 2 ** 32))
def test_all_that_may_be_missing_can_be_missing_at_once(model, seed):
    chance = random.Random(seed)
    required = model.required()
    with Stored(model) as stored:
        for key in model.objects:
            if key not in required and chance.random() < 0.8:
                os.unlink(object_file(stored.objects, key))
        assert stored.walk() == []


@examples(25)
@given(MODELS, st.integers(0, 2 ** 32))
def test_foreign_files_among_the_objects_change_nothing(model, seed):
    chance = random.Random(seed)
    with Stored(model) as stored:
        before = list(closure.walk(ObjectStore(stored.objects), pointers.make_pointers(model.tables()), NOW).paths())
        for key in chance.sample(sorted(model.objects), min(5, len(model.objects))):
            path = object_file(stored.objects, key)
            name = chance.choice([path + ".A1B2C3", path + "0", path[:-1] + "g", os.path.dirname(path) + "/README",
                                  os.path.dirname(os.path.dirname(path)) + "/lost+found",
                                  os.path.join(stored.objects, key[0], "no-store"), os.path.join(stored.objects, "tmp")])
            if not os.path.exists(name):
                chance.choice([os.mkdir, os.mkfifo, lambda name: os.symlink("/etc/passwd", name), lambda name: open(name, "wb").close()])(name)
        after = closure.walk(ObjectStore(stored.objects), pointers.make_pointers(model.tables()), NOW, True)
        assert after.findings == [] and list(after.paths()) == before


# --- bounds -------------------------------------------------------------------------------------------------------


@pytest.fixture
def maker(tmp_path):
    return Maker(tmp_path / "storage")


def walk(maker, check_hashes=True):
    return closure.walk(ObjectStore(maker.root), pointers.make_pointers(maker.tables), NOW, check_hashes)


def test_a_cycle_of_commits_whose_hashes_are_right_ends(maker):
    """A commit's id covers no parent: nothing but the walk itself keeps it from going round."""
    library = maker.library_id()
    keys = [commit_object(library, "0" * 40, at)[0] for at in range(50)]
    for at in range(50):
        key, content = commit_object(library, "0" * 40, at, (keys[at - 1], keys[at]))
        maker.write("commits", library, key, content)
    maker.library(keys[-1], library)
    assert walk(maker).files["commits"] == 50


def test_a_cycle_of_directories_ends_and_is_named_by_its_hash(maker):
    library = maker.library_id()
    keys = [f"{at:040x}" for at in range(1, 51)]
    for at, key in enumerate(keys):
        tree = {"type": 3, "version": 1, "dirents": [{"id": other, "mode": 16384, "name": name, "mtime": 1} for name, other in
                                                     (("up", keys[at - 1]), ("self", key), ("top", keys[0]))]}
        maker.write("fs", library, key, zlib.compress(json.dumps(tree).encode()))
    maker.library(maker.commit(library, keys[0]), library)
    findings = walk(maker).findings
    assert {finding.id for finding in findings} == set(keys) and {finding.damage for finding in findings} == {"wrong-hash"}
    assert walk(maker, check_hashes=False).files["fs"] == 50


def test_a_directory_of_a_hundred_thousand_entries_takes_bounded_memory(maker):
    library = maker.library_id()
    file = maker.file(library, b"the same in all")
    root = maker.directory(library, {f"file {number:06d} \u00fc{'x' * 40}": file for number in range(100000)})
    maker.library(maker.commit(library, root), library)
    os.unlink(maker.path("fs", library, file))
    tracemalloc.start()
    result = walk(maker)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    finding, = result.findings
    assert (finding.id, finding.damage) == (file, "missing") and result.files == {"commits": 1, "fs": 1, "blocks": 0}
    assert peak < 160 * 1024 * 1024


def test_a_history_of_twenty_thousand_commits_takes_bounded_memory(maker):
    library = maker.library_id()
    parent = None
    for number in range(20000):
        parent = maker.commit(library, "0" * 40, parent, ctime=number)
        if number == 5:
            lost = parent
    maker.library(parent, library)
    os.unlink(maker.path("commits", library, lost))
    tracemalloc.start()
    result = walk(maker)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    finding, = result.findings
    assert (finding.id, finding.damage) == (lost, "missing") and result.files["commits"] == 20000 - 6
    assert peak < 40 * 1024 * 1024
