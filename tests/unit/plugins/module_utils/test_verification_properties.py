# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same properties as in test_closure_properties.py for the verification, at every level, with and without what was proved before."""

from __future__ import annotations

import os
import random
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.seafleet.seafile.plugins.module_utils import pointers, verification
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.model_store import NOW, object_file
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.properties import examples
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.test_closure_properties import (
    MODELS,
    REPLACED,
    Builder,
    Stored,
    identities,
    judge,
    wreck,
)

LEVELS = pytest.mark.parametrize("level", ["full", "quick", "new"])
SEEDS = st.integers(0, 2 ** 32)


def verify(stored, level, index=True, processes=1, **more):
    request = verification.Request(
        objects=stored.objects, index=os.path.join(stored.root, "proved") if index else None, pointers=pointers.make_pointers(stored.model.tables()),
        now=NOW, level=level, processes=processes, **more)
    outcome = verification.verify(request)
    assert outcome.findings_total == len(outcome.findings)
    return outcome


def found_at(level, damaged):
    """The damages that a level promises to find of objects that were proved before."""
    if level == "full":
        return damaged
    if level == "quick":  # presence of everything; commits and fs objects are read
        return {key: value for key, value in damaged.items() if key[0] != "blocks" or value[1] in REPLACED + ("empty",)}
    return {key: value for key, value in damaged.items() if value[1] == "remove"}


@LEVELS
@pytest.mark.parametrize("index", [True, False])
def test_a_whole_store_has_no_findings(level, index):
    @examples(6)
    @given(MODELS)
    def prove(model):
        with Stored(model) as stored:
            for dummy in range(2):
                outcome = verify(stored, level, index)
                assert outcome.findings == [] and outcome.rotten == []

    prove()


@LEVELS
def test_without_anything_proved_before_every_damage_is_found_at_every_level(level):
    @examples(12)
    @given(MODELS, SEEDS)
    def prove(model, seed):
        with Stored(model) as stored:
            damaged = wreck(stored, random.Random(seed))
            judge(model, damaged, verify(stored, level).findings)

    prove()


@LEVELS
def test_after_a_clean_verification_every_damage_that_the_level_promises_is_found(level):
    @examples(25)
    @given(MODELS, SEEDS, st.sampled_from(["full", "new"]))
    def prove(model, seed, first):
        with Stored(model) as stored:
            assert verify(stored, first).findings == []
            damaged = wreck(stored, random.Random(seed))
            findings = verify(stored, level).findings
            promised = found_at(level, damaged)
            # What a level does not look at hides nothing below it: for the rest of the damages it is as if they were not there.
            required = model.required(frozenset(damaged))
            assert {key for key in promised if key in required} <= identities(findings)
            if set(promised) == set(damaged):
                judge(model, damaged, findings)
            elif not any(how in ("swap", "flip", "truncate") and key[0] != "blocks" for key, (dummy, how) in damaged.items()):
                assert identities(findings) <= set(damaged)
            # A damage found once is found again, whatever was written into the index.
            again = identities(verify(stored, level).findings)
            assert {key for key in promised if key in required} <= again

    prove()


@LEVELS
def test_what_is_missing_by_the_rules_is_no_finding_before_and_after_a_clean_verification(level):
    @examples(8)
    @given(MODELS, SEEDS, st.booleans())
    def prove(model, seed, before):
        chance = random.Random(seed)
        required = model.required()
        with Stored(model) as stored:
            if before:
                assert verify(stored, "full").findings == []
            for key in model.objects:
                if key not in required and chance.random() < 0.8:
                    os.unlink(object_file(stored.objects, key))
            assert verify(stored, level).findings == []

    prove()


@LEVELS
def test_a_healed_object_is_no_finding_any_more(level):
    @examples(8)
    @given(MODELS, SEEDS)
    def prove(model, seed):
        with Stored(model) as stored:
            assert verify(stored, "full").findings == []
            damaged = wreck(stored, random.Random(seed))
            verify(stored, level)
            for key in damaged:
                path = object_file(stored.objects, key)
                if os.path.isdir(path) and not os.path.islink(path):
                    os.rmdir(path)
                elif os.path.lexists(path):
                    os.unlink(path)
                with open(path, "wb") as stream:
                    stream.write(model.objects[key])
            assert verify(stored, level).findings == []

    prove()


@examples(8)
@given(SEEDS, SEEDS, st.sampled_from(["quick", "new"]))
def test_an_index_from_another_store_or_a_cut_one_is_never_believed(seed, damage, level):
    mine, other = (Builder(random.Random(number)).model() for number in (seed, seed))
    chance = random.Random(damage)
    with Stored(mine) as stored, Stored(other) as foreign:
        # The same libraries in another place, all of it proved there.
        assert verify(foreign, "full").findings == []
        damaged = dict(wreck(stored, chance))
        shutil.copytree(os.path.join(foreign.root, "proved"), os.path.join(stored.root, "proved"))
        judge(mine, damaged, verify(stored, level).findings)
    with Stored(mine) as stored:
        assert verify(stored, "full").findings == []
        damaged = wreck(stored, chance)
        files = sorted(os.path.join(where, name) for where, dummy, names in os.walk(os.path.join(stored.root, "proved")) for name in names)
        for path in files:
            with open(path, "rb") as stream:
                content = stream.read()
            if content:
                with open(path, "wb") as stream:
                    stream.write(content[:chance.randrange(len(content))])
        judge(mine, damaged, verify(stored, level).findings)


@LEVELS
def test_several_processes_find_the_same_as_one(level):
    @examples(3)
    @given(MODELS, SEEDS)
    def prove(model, seed):
        with Stored(model) as stored:
            wreck(stored, random.Random(seed))
            one = verify(stored, level, index=False)
            assert identities(verify(stored, level, index=False, processes=3).findings) == identities(one.findings)

    prove()
