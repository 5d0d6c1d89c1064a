# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sqlite3
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.modules import set_closure
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import Maker

DEFAULTS = dict(seafile_root=None, seafile_conf=None, began=None, dest=None, verify_hashes=False, accept_damage=[], known_damage=[], heads={}, sub_libraries={},
                fail_on_findings=True)


@pytest.fixture
def made(tmp_path):
    """Two libraries of one file each, their dump, and a function that runs the module's action."""
    maker = Maker(tmp_path / "storage")
    libraries = {}
    for name in ("One", "Two"):
        library = maker.library_id()
        file = maker.file(library, name.encode())
        maker.library(maker.commit(library, maker.directory(library, {"a.txt": file}), name=name), library, name)
        libraries[name] = (library, maker.path("fs", library, file))
    dump = tmp_path / "seafile-db.sql"
    maker.dump(dump)

    def run(check_mode=False, **params):
        given = dict(DEFAULTS, dump=str(dump), storage=maker.root, **params)
        return set_closure.set_closure(types.SimpleNamespace(params=given, check_mode=check_mode))

    return types.SimpleNamespace(run=run, libraries=libraries, dest=str(tmp_path / "list"), root=maker.root)


def test_check_mode_says_what_would_be_written_and_writes_nothing(made):
    result = made.run(check_mode=True, dest=made.dest)
    assert result["changed"] is True and not os.path.lexists(made.dest)
    assert made.run(dest=made.dest)["changed"] is True
    assert made.run(check_mode=True, dest=made.dest)["changed"] is False
    assert made.run(dest=made.dest)["changed"] is False


def test_an_incomplete_set_fails_naming_number_library_path_and_next_step_and_writes_no_list(made):
    for dummy, path in made.libraries.values():
        os.unlink(path)
    with pytest.raises(SeafileError) as caught:
        made.run(dest=made.dest)
    error = caught.value
    assert error.code == "set-incomplete" and not os.path.lexists(made.dest)
    assert "2 objects of 2 libraries (One, Two)" in error.message and "One /a.txt: fs object" in error.message
    assert "take an older set" in error.next_step and made.libraries["Two"][0] in error.next_step
    assert error.details["findings_total"] == 2


def test_the_message_names_five_objects_and_the_result_at_most_a_hundred(tmp_path):
    maker = Maker(tmp_path / "storage")
    library = maker.library_id()
    files = {f"{number:03d}": maker.file(library, str(number).encode()) for number in range(120)}
    maker.library(maker.commit(library, maker.directory(library, files)), library)
    for file in files.values():
        os.unlink(maker.path("fs", library, file))
    maker.dump(tmp_path / "dump.sql")
    params = dict(DEFAULTS, dump=str(tmp_path / "dump.sql"), storage=maker.root)
    with pytest.raises(SeafileError) as caught:
        set_closure.set_closure(types.SimpleNamespace(params=params, check_mode=False))
    assert caught.value.message.count("fs object") == 5 and "120 objects" in caught.value.message
    assert len(caught.value.details["findings"]) == 100 and caught.value.details["findings_total"] == 120


def test_accepted_damage_of_one_library_does_not_cover_another(made):
    for dummy, path in made.libraries.values():
        os.unlink(path)
    with pytest.raises(SeafileError) as caught:
        made.run(accept_damage=[made.libraries["One"][0]])
    assert "1 objects of 1 libraries (Two)" in caught.value.message
    result = made.run(accept_damage=[library for library, dummy in made.libraries.values()], dest=made.dest)
    assert [finding["accepted"] for finding in result["findings"]] == [True, True]
    with open(made.dest, "rb") as stream:
        listed = stream.read().decode().split("\0")[:-1]
    assert listed and all(os.path.exists(os.path.join(made.root, path)) for path in listed)


def test_findings_are_only_told_when_asked_so(made):
    os.unlink(made.libraries["One"][1])
    result = made.run(fail_on_findings=False)
    assert result["findings_total"] == 1 and result["findings"][0]["accepted"] is False


def test_known_damage_does_not_fail_and_covers_only_the_named_objects(made):
    for dummy, path in made.libraries.values():
        os.unlink(path)
    known = [os.path.relpath(path, made.root).replace("/", "|", 2).replace("/", "").replace("|", "/") for dummy, path in made.libraries.values()]
    with pytest.raises(SeafileError) as caught:
        made.run(known_damage=known[:1])
    assert "1 objects of 1 libraries (Two)" in caught.value.message and caught.value.details["findings_total"] == 2
    result = made.run(known_damage=known)
    assert [(finding["known"], finding["accepted"]) for finding in result["findings"]] == [(True, False), (True, False)]


def test_heads_in_place_of_the_dumps_are_walked_from(made):
    library, path = made.libraries["One"]
    result = made.run()
    head = next(row["head"] for row in result["libraries"] if row["id"] == library)
    os.unlink(path)
    with pytest.raises(SeafileError):
        made.run(heads={library: head})
    maker = Maker(made.root, seed=2)
    older = maker.commit(library, maker.directory(library, {"b.txt": maker.file(library, b"older")}), name="One")
    changed = made.run(heads={library: older}, dest=made.dest)
    assert {row["name"]: row["head"] for row in changed["libraries"]}["One"] == older
    with open(made.dest, "rb") as stream:
        assert older[2:] in stream.read().decode()


@pytest.mark.parametrize(
    "params, code",
    [
        (dict(heads={"b0d6c8d0-d232-4563-9899-d92e9741eb8b": "1" * 40}), "library-unknown"),
        (dict(sub_libraries={"b0d6c8d0-d232-4563-9899-d92e9741eb8b": {}}), "commit-id-invalid"),
        (dict(accept_damage=["All"]), "library-id-invalid"),
        (dict(began="yesterday"), "time-invalid"),
        (dict(began="2026-11-23 03:00"), "time-invalid"),
    ],
)
def test_bad_input_has_a_code(made, params, code):
    with pytest.raises(SeafileError) as caught:
        made.run(**params)
    assert caught.value.code == code


def test_the_time_is_read_as_utc():
    assert set_closure.parse_time("1970-01-02T00:00:01Z") == 86401


def test_a_deployment_is_walked_from_the_heads_that_its_own_database_has(tmp_path):
    haiwen = real_sets.unpack("seafile-11-sqlite", tmp_path)

    def run():
        return set_closure.set_closure(types.SimpleNamespace(check_mode=False, params=dict(
            DEFAULTS, dump=None, storage=None, seafile_root=str(haiwen), verify_hashes=True, fail_on_findings=False)))

    whole = run()
    assert whole["findings_total"] == 0 and len(whole["libraries"]) >= 12 and whole["objects"]["blocks"]["files"] > 100
    connection = sqlite3.connect(haiwen / "seafile-data" / "seafile.db")
    connection.execute(f"UPDATE Branch SET commit_id = '{'ab' * 20}' WHERE repo_id = (SELECT repo_id FROM RepoOwner LIMIT 1)")
    connection.commit()
    connection.close()
    found = run()
    assert [(finding["id"], finding["damage"]) for finding in found["findings"]] == [("ab" * 20, "missing")]
