# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader that other tests take the truth from is itself held to what real servers wrote."""

from __future__ import annotations

import copy
import importlib.util
import os
import pathlib
import shutil
import time

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import closure, pointers, sql_dump
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets

SOURCE = pathlib.Path(__file__).resolve().parents[1] / "truth" / "read_back.py"
SPEC = importlib.util.spec_from_file_location("read_back", SOURCE)
read_back = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(read_back)

NAME = "seafile-11-sqlite"


@pytest.fixture(scope="module", name="unpacked")
def fixture_unpacked(tmp_path_factory):
    return real_sets.Unpacked(tmp_path_factory.mktemp("unpacked"))


def rows_of(name, haiwen):
    if "sqlite" in name:
        return read_back.rows_from_sqlite(haiwen)
    rows = {}
    for part, tables in read_back.TABLES.items():
        rows.update(sql_dump.read_tables(str(real_sets.FIXTURES / name / f"{part}-db.sql.gz"), list(tables)))
    return rows


def compare(name, haiwen, rows, manifest=None):
    storage = read_back.Storage(str(haiwen / "seafile-data" / "storage"))
    return read_back.compare(manifest or real_sets.manifest(name), storage, rows)


def test_the_reader_uses_nothing_of_the_collection():
    assert "ansible" not in SOURCE.read_text(encoding="utf-8").replace("Ansible", "")


@pytest.mark.parametrize("name", real_sets.NAMES)
def test_every_file_of_a_real_deployment_is_read_back_as_its_manifest_says(unpacked, name):
    haiwen = unpacked[name][0]
    assert compare(name, haiwen, rows_of(name, haiwen)) == []


def test_every_difference_is_told(unpacked):
    haiwen = unpacked[NAME][0]
    rows = rows_of(NAME, haiwen)
    manifest = real_sets.manifest(NAME)

    def told(change):
        wanted, changed = copy.deepcopy(manifest), copy.deepcopy(rows)
        change(wanted, changed)
        return compare(NAME, haiwen, changed, wanted)

    library = next(number for number, item in enumerate(manifest["libraries"]) if item["name"] == "Alice documents")
    path = "/big/random-300k.bin"
    for field, value in (("owner", "x"), ("name", "x"), ("head", "x"), ("store_id", "x"), ("origin", "x"), ("dirs", []), ("encrypted", True)):
        assert len(told(lambda wanted, dummy, f=field, v=value: wanted["libraries"][library].update({f: v}))) == 1, field
    for field in ("sha256", "size", "id"):
        assert len(told(lambda wanted, dummy, f=field: wanted["libraries"][library]["files"][path].update({f: 0}))) == 1, field
    assert "missing" in told(lambda wanted, dummy: wanted["libraries"][library]["files"].update(more={}))[0]
    assert "not in the manifest" in told(lambda wanted, dummy: wanted["libraries"][library]["files"].pop(path))[0]
    assert "not in the manifest" in told(lambda wanted, dummy: wanted["libraries"].pop(library))[0]
    assert any("missing" in line for line in told(lambda dummy, changed: changed["Repo"].pop()))
    assert "has no head" in told(lambda dummy, changed: changed["Branch"].pop())[0]
    assert told(lambda dummy, changed: changed["EmailUser"].pop())[0].startswith("users")
    assert "password" in told(lambda wanted, dummy: wanted["users"].update({"alice@example.org": "wrong"}))[0]
    assert told(lambda dummy, changed: changed["GroupUser"].pop())[0].startswith("groups")
    assert told(lambda dummy, changed: changed["RepoTrash"].pop())[0].startswith("trash")
    assert told(lambda dummy, changed: changed["GarbageRepos"].pop())[0].startswith("garbage")
    assert any("password" in line for line in told(lambda wanted, dummy: wanted["passwords_of_encrypted_libraries"].update(
        dict.fromkeys(wanted["passwords_of_encrypted_libraries"], "wrong"))))


@pytest.mark.parametrize("missing", ["blocks", "fs", "commits"])
def test_a_store_without_one_kind_of_objects_is_not_equal(unpacked, tmp_path, missing):
    haiwen = tmp_path / "haiwen"
    shutil.copytree(unpacked[NAME][0], haiwen, copy_function=os.link)
    shutil.rmtree(haiwen / "seafile-data" / "storage" / missing)
    assert compare(NAME, haiwen, rows_of(NAME, unpacked[NAME][0]))


@pytest.mark.parametrize("name", real_sets.NAMES)
def test_the_objects_of_the_closure_alone_give_back_every_file(unpacked, tmp_path, name):
    haiwen, dump = unpacked[name]
    source = haiwen / "seafile-data" / "storage"
    walked = closure.walk(ObjectStore(str(source)), pointers.read_pointers(str(dump)), int(time.time()))
    restored = tmp_path / "haiwen"
    for path in walked.paths():
        target = restored / "seafile-data" / "storage" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source / path, target)
    assert compare(name, restored, rows_of(name, haiwen)) == []
