# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a verification is, told by all its processes while they work; and how many objects it expects."""

from __future__ import annotations

import os

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import family_walk, pointers, proved_index, verification
from ansible_collections.seafleet.seafile.plugins.module_utils.progress import Progress
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import Maker, fill

NOW = 86400000
WAYS = pytest.mark.parametrize("processes, large", [(1, False), (2, False), (3, True)], ids=["alone", "families divided", "together"])


class Told(Progress):
    """Remembers what it was told."""

    def __init__(self, tmp_path):
        self.told = []
        super().__init__(str(tmp_path / "progress.json"), "verify", interval=0)

    def _write_when_due(self):
        super()._write_when_due()
        self.told.append((self.done, self.size))


@pytest.fixture(name="maker", scope="module")
def fixture_maker(tmp_path_factory):
    maker = Maker(tmp_path_factory.mktemp("store") / "storage")
    fill(maker, 4000, libraries=6)
    return maker


def verify(maker, tmp_path, level="full", index=None, **more):
    told = Told(tmp_path)
    request = verification.Request(maker.root, index, pointers.make_pointers(maker.tables), NOW, level, progress=told, **more)
    return verification.verify(request), told


def count(outcome):
    return sum(kind["files"] for kind in outcome.hashed.values()), sum(kind["bytes"] for kind in outcome.hashed.values())


@WAYS
def test_all_objects_are_counted_and_the_count_only_grows(maker, tmp_path, monkeypatch, processes, large):
    if large:
        monkeypatch.setattr(family_walk, "_LARGE_SECONDS", -1)
    outcome, told = verify(maker, tmp_path, processes=processes)
    assert told.told == sorted(told.told)
    assert told.told[0] == (0, 0) and told.told[-1] == count(outcome)
    assert len(set(told.told)) > 3


def test_the_result_is_the_same_whether_somebody_watches_or_not(maker, tmp_path):
    silent = verification.verify(verification.Request(maker.root, None, pointers.make_pointers(maker.tables), NOW, "full", processes=2))
    assert verify(maker, tmp_path, processes=2)[0] == silent


def test_the_first_verification_expects_about_what_is_stored(maker, tmp_path):
    outcome, told = verify(maker, tmp_path, level="new", index=str(tmp_path / "proved"), processes=1)
    assert 0.6 * count(outcome)[0] < told.total < 1.6 * count(outcome)[0]


def test_when_all_is_proved_only_what_arrived_and_what_is_scrubbed_is_expected(maker, tmp_path):
    index = str(tmp_path / "proved")
    stored = count(verify(maker, tmp_path, level="new", index=index, processes=1)[0])[0]
    assert verify(maker, tmp_path, level="new", index=index, processes=1)[1].total is None
    assert verify(maker, tmp_path, level="new", index=index, processes=1, arrived=17)[1].total == 17
    outcome, told = verify(maker, tmp_path, level="new", index=index, processes=1, scrub_percent=50.0)
    assert told.total == stored // 2 == told.told[-1][0] == outcome.scrubbed["files"]


def test_an_index_that_is_no_index_proves_nothing(tmp_path):
    store = "9a6237b0-0a39-4821-9e22-447c96f1afd7"
    for content in (b"", b"x" * 10, b"\xff" * 1000, proved_index._MAGIC + b"\xff" * 100):
        (tmp_path / f"{store}.proved").write_bytes(content)
        assert proved_index.count(str(tmp_path), store) == 0
    assert proved_index.count(str(tmp_path / "none"), store) == 0


def test_blocks_that_are_only_looked_at_count_too(maker, tmp_path):
    index = str(tmp_path / "proved")
    verify(maker, tmp_path, level="new", index=index, processes=1)
    outcome, told = verify(maker, tmp_path, level="quick", index=index, processes=1)
    assert outcome.hashed["blocks"]["files"] == 0 < outcome.trusted["blocks"]
    assert told.told[-1][0] == count(outcome)[0] + outcome.trusted["blocks"]


def test_an_object_store_that_cannot_be_listed_quickly_has_no_total(maker, tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "_MOST_SECONDS_OF_ESTIMATE", -1)
    outcome, told = verify(maker, tmp_path, processes=1)
    assert told.total is None and told.told[-1][0] > 0 and outcome.findings_total == 0


def test_no_file_is_left_and_none_is_made_without_a_watcher(maker, tmp_path):
    told = verify(maker, tmp_path, processes=1)[1]
    assert os.listdir(tmp_path) == ["progress.json"]
    told.close()
    verification.verify(verification.Request(maker.root, None, pointers.make_pointers(maker.tables), NOW, "full", processes=2))
    assert os.listdir(tmp_path) == []
