# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What benchmarks measure on is a deployment as real servers write it, and the same one every time."""

from __future__ import annotations

import os
import pathlib
import stat
import subprocess
import sys

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import closure, pointers, seafile_config
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore

BENCHMARKS = pathlib.Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import generate  # noqa: E402  pylint: disable=wrong-import-position

OBJECTS, LIBRARIES = 5000, 40


def walk(directory, state):
    """Hash everything that the dump points at."""
    found = pointers.read_pointers(str(directory / "databases" / "seafile-db.sql.gz"))
    assert found.strange == []
    return found, closure.walk(ObjectStore(str(directory / "haiwen" / "seafile-data" / "storage")), found, state["moment"], check_hashes=True)


@pytest.fixture(scope="module", name="made")
def fixture_made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("made")
    return directory, generate.generate(str(directory), OBJECTS, LIBRARIES, processes=1)


def test_every_object_has_its_id_and_can_be_reached(made):
    directory, state = made
    dummy, found = walk(directory, state)
    assert found.findings == []
    assert found.files == state["objects"]
    assert found.bytes == state["bytes"]


def test_there_are_exactly_as_many_objects_as_asked_for(made):
    directory, state = made
    assert sum(state["objects"].values()) == OBJECTS == len(list(generate.ids(str(directory))))


def test_objects_are_private_files(made):
    directory = made[0]
    storage = directory / "haiwen" / "seafile-data" / "storage"
    assert {stat.S_IMODE((storage / path).stat().st_mode) for path in generate.ids(str(directory))} == {0o600}


def test_the_dump_holds_what_makes_a_walk_hard(made):
    libraries = walk(*made)[0].libraries
    assert len([library for library in libraries if not library.origin]) == LIBRARIES
    assert len([library for library in libraries if library.origin and library.base and library.store == library.origin]) == 2
    assert [library.days for library in libraries if library.days != -1] == [90]
    assert any(library.kind == pointers.TRASH for library in libraries)
    assert any(library.name.startswith("Ann's \\ Bibliothek ä") for library in libraries)


def test_a_garbage_collection_has_taken_blocks_of_the_library_with_a_limit(made):
    directory, state = made
    dump, found = walk(directory, state)
    (limited,) = [library for library in dump.libraries if library.days == 90]
    assert state["legally_missing"] == len(found.objects("blocks", limited.store).absent) > 0
    limited.days, limited.valid_since = -1, -1
    found = closure.walk(ObjectStore(str(directory / "haiwen" / "seafile-data" / "storage")), dump, state["moment"])
    assert {(finding.kind, finding.damage, finding.library) for finding in found.findings} == {("blocks", "missing", limited.id)}


@pytest.mark.parametrize("processes", [1, 2])
def test_the_same_seed_gives_the_same_objects(made, tmp_path, processes):
    command = [sys.executable, str(BENCHMARKS / "generate.py"), str(tmp_path / "again"), "--digest",
               "--objects", str(OBJECTS), "--libraries", str(LIBRARIES), "--processes", str(processes)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert output.splitlines()[-1] == generate.digest(str(made[0]))
    dumps = [(directory / "databases" / "seafile-db.sql.gz").read_bytes() for directory in (made[0], tmp_path / "again")]
    assert dumps[0] == dumps[1]


def test_another_seed_gives_other_objects(tmp_path):
    for seed in (1, 2):
        generate.generate(str(tmp_path / str(seed)), 500, 5, seed=seed, processes=1)
    assert not set(generate.ids(str(tmp_path / "1"))) & set(generate.ids(str(tmp_path / "2")))


def test_a_change_adds_new_commits_and_leaves_the_rest(tmp_path):
    before = generate.generate(str(tmp_path), 2000, 20, processes=1)
    old = set(generate.ids(str(tmp_path)))
    after = generate.change(str(tmp_path), 5, processes=1)
    new = set(generate.ids(str(tmp_path)))
    assert old < new and len(new) == 2100 == sum(after["objects"].values())
    heads = [{library["id"]: library["head"] for library in state["libraries"]} for state in (before, after)]
    assert 1 <= sum(heads[0][library] != heads[1][library] for library in heads[0]) <= 10
    dump, found = walk(tmp_path, after)
    assert (found.findings, found.files) == ([], after["objects"])
    assert {library.heads[0].hex() for library in dump.libraries} == set(heads[1].values())


def test_the_configuration_is_one_that_a_backup_understands(made):
    configuration = seafile_config.read_configuration(str(made[0] / "haiwen"))
    assert {(database.role, database.engine, database.name) for database in configuration.databases} == {
        ("seafile", "mysql", "seafile-db"), ("ccnet", "mysql", "ccnet-db"), ("seahub", "mysql", "seahub-db")}
    assert seafile_config.read_version(str(made[0] / "haiwen"))[0] == "11.0.13"
    seafile_config.require_local_objects(configuration)


def test_a_deployment_that_is_there_is_not_written_over(made):
    before = sorted(os.listdir(made[0]))
    with pytest.raises(FileExistsError):
        generate.generate(str(made[0]), 100)
    assert sorted(os.listdir(made[0])) == before


@pytest.mark.parametrize("objects", [25, 60, 333])
def test_small_ones_are_right_too(tmp_path, objects):
    state = generate.generate(str(tmp_path), objects, processes=1)
    found = walk(tmp_path, state)[1]
    assert (found.findings, sum(found.files.values())) == ([], objects)
