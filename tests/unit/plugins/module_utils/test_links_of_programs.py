# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import program_links

NAME = "seafile-server-11.0.13"


@pytest.fixture(name="root")
def _root(tmp_path):
    """A restored deployment, and programs that were just unpacked beside it."""
    for name in ("avatars", "custom"):
        (tmp_path / "seahub-data" / name).mkdir(parents=True)
        (tmp_path / "seahub-data" / name / "own.png").write_text(name)
    (tmp_path / NAME / "seahub" / "media" / "avatars").mkdir(parents=True)
    (tmp_path / NAME / "seahub" / "media" / "avatars" / "default.png").write_text("of the package")
    return str(tmp_path)


def run(root, name=NAME):
    links, notes = program_links.plan(root, program_links.programs_in(root, name))
    program_links.make(links)
    return [os.path.relpath(link.path, root) for link in links], notes


def test_programs_that_were_just_unpacked_show_the_restored_pictures(root):
    media = os.path.join(NAME, "seahub", "media")
    assert run(root) == (["seafile-server-latest", f"{media}/avatars", f"{media}/custom"], [])
    assert os.readlink(f"{root}/seafile-server-latest") == NAME
    for name in ("avatars", "custom"):
        assert os.readlink(f"{root}/{media}/{name}") == f"../../../seahub-data/{name}"  # as Seafile's own setup has it
        assert os.path.exists(f"{root}/{media}/{name}/own.png")
    assert os.listdir(f"{root}/{media}/avatars.unpacked") == ["default.png"]
    assert run(root) == ([], []) == run(root, None)


def test_a_directory_that_was_kept_before_is_not_lost(root):
    kept = f"{root}/{NAME}/seahub/media/avatars.unpacked"
    os.mkdir(kept)
    run(root)
    assert os.listdir(kept) == [] and os.listdir(kept + "-2") == ["default.png"]


def test_a_link_that_leads_nowhere_is_replaced_and_one_that_leads_elsewhere_is_told(root):
    os.symlink("seafile-server-10.0.1", f"{root}/seafile-server-latest")
    elsewhere = f"{root}/{NAME}/seahub/media/custom"
    os.symlink(root, elsewhere)
    made, notes = run(root)
    assert os.readlink(f"{root}/seafile-server-latest") == NAME and "seafile-server-latest" in made
    assert os.readlink(elsewhere) == root and len(notes) == 1 and elsewhere in notes[0]


def test_newer_programs_stay_the_ones_that_run(root):
    os.mkdir(f"{root}/seafile-server-12.0.1")
    os.symlink("seafile-server-12.0.1", f"{root}/seafile-server-latest")
    made, notes = run(root)
    assert os.readlink(f"{root}/seafile-server-latest") == "seafile-server-12.0.1"
    assert "seafile-server-latest" not in made and "12.0.1" in notes[0]


@pytest.mark.parametrize("name", [None, "seafile-server-9.0.1", "../seafile-server-11.0.13", ""])
def test_without_programs_nothing_is_done(tmp_path, name):
    (tmp_path / "seahub-data" / "avatars").mkdir(parents=True)
    assert program_links.programs_in(str(tmp_path), name) is None


def test_what_the_deployment_does_not_have_is_not_linked(root):
    os.rename(f"{root}/seahub-data", f"{root}/moved")
    assert run(root) == (["seafile-server-latest"], [])
    assert os.listdir(f"{root}/{NAME}/seahub/media/avatars") == ["default.png"]
