# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A few objects read by chance tell a store that is being destroyed from one with a damaged object."""

from __future__ import annotations

import os
import random

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import object_check

from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets


@pytest.fixture
def storage(tmp_path):
    return real_sets.unpack("seafile-11-sqlite", tmp_path) / "seafile-data" / "storage"


def stores(storage):
    return {kind: sorted(os.listdir(storage / kind)) for kind in ("commits", "fs", "blocks")}


def files(storage):
    return sorted(path for path in storage.rglob("*") if path.is_file() and len(path.name) == 38)


def destroy(paths):
    for path in paths:
        size = path.stat().st_size
        path.chmod(0o600)
        path.write_bytes(os.urandom(max(size, 16)))


def samples(storage):
    """Samples of several chances."""
    return [object_check.take_sample(str(storage), stores(storage), 60, random.Random(seed)) for seed in range(5)]


def test_a_whole_store_has_no_damage(storage):
    for sample in samples(storage):
        assert sample.damaged == [] and sample.objects >= 40 and not sample.beyond(0)


def test_a_store_whose_files_are_overwritten_is_seen_whole_or_in_part(storage):
    destroy(files(storage)[::100])
    assert not any(sample.beyond(10) for sample in samples(storage)), "a hundredth of it stops nobody"
    destroy(files(storage)[::3])
    assert all(sample.beyond(10) for sample in samples(storage))
    destroy(files(storage))
    for sample in samples(storage):
        assert len(sample.damaged) == sample.objects >= 40 and sample.beyond(10) and not sample.beyond(100)


def test_nothing_is_no_damage(tmp_path):
    assert object_check.take_sample(str(tmp_path), {}, 60, random.Random(1)) == (0, [])
    (tmp_path / "blocks").mkdir()
    assert object_check.take_sample(str(tmp_path), {"blocks": ["0b1a8b0e-26d2-4bd1-8b1e-3a3cd1ad7a1c"]}, 60, random.Random(1)) == (0, [])


def test_one_bad_object_of_one_is_no_alarm():
    assert not object_check.Sample(2, ["a", "b"]).beyond(10)
    assert object_check.Sample(3, ["a", "b", "c"]).beyond(10)
