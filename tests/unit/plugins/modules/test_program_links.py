# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import types

from ansible_collections.seafleet.seafile.plugins.modules import program_links

NAME = "seafile-server-11.0.13"


def run(root, check_mode=False):
    return program_links.join(types.SimpleNamespace(params={"seafile_root": str(root), "programs": NAME}, check_mode=check_mode))


def test_check_mode_tells_and_makes_nothing_then_it_is_made_once(tmp_path):
    (tmp_path / NAME).mkdir()
    link = str(tmp_path / "seafile-server-latest")
    told = run(tmp_path, True)
    assert told == {"changed": True, "programs": NAME, "links": [link], "notes": []} and not os.path.lexists(link)
    assert run(tmp_path) == told and os.readlink(link) == NAME
    assert run(tmp_path) == {"changed": False, "programs": NAME, "links": [], "notes": []}


def test_without_programs_nothing_changes(tmp_path):
    assert run(tmp_path) == {"changed": False, "programs": None, "links": [], "notes": []} and os.listdir(tmp_path) == []
