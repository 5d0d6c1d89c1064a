# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import words


@pytest.mark.parametrize("seconds, text", [
    (0, "0 s"), (59, "59 s"), (60, "1 min"), (252, "4 min 12 s"), (3600, "1 h"), (3661, "1 h 1 min"), (90000, "1 d 1 h"), (86401, "1 d"), (None, "unknown")])
def test_times_are_told_in_two_units(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize("number, text", [
    (0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 KB"), (1234567, "1.2 MB"), (5 * 10**9, "5.0 GB"), (7 * 10**15, "7000.0 TB")])
def test_sizes_are_told_in_units_of_a_thousand(number, text):
    assert words.size(number) == text


def test_counts_agree_with_their_nouns():
    assert [words.count(number, "object") for number in (0, 1, 2)] == ["0 objects", "1 object", "2 objects"]
    assert [words.several(number, "library", "libraries") for number in (1, 2)] == ["1 library", "2 libraries"]
