# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.seafleet.seafile.plugins.filter.size import FilterModule


@pytest.mark.parametrize("number, words", [(0, "0 bytes"), (999, "999 bytes"), (1024, "1.0 KB"), (42488832, "42.5 MB")])
def test_a_size_has_units_of_a_thousand(number, words):
    assert FilterModule().filters()["size"](number) == words
