# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import compression, restore_state
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.modules import file_attributes, restore_target, restore_target_info

SET = "20261123T030000Z"


@pytest.mark.parametrize("confirm, names, tables, words", [
    ("", [], {}, None),
    ("other", [], {}, None),
    ("", ["conf"], {}, ["holds 1 entries", "restore_confirm is not given"]),
    ("other", ["conf", "ccnet"], {}, ["holds 2 entries", "restore_confirm is 'other'"]),
    ("server1 ", ["conf"], {}, ["restore_confirm is 'server1 '"]),
    ("yes", ["conf"], {}, ["restore_confirm is 'yes'"]),
    ("", [], {"seafile-db": ["Repo", "Branch"]}, ["the database seafile-db has 2 tables"]),
    ("", ["conf"], {"b": ["x"], "a": ["x"]}, ["holds 1 entries, the database a has 1 tables, the database b has 1 tables"]),
    ("server1", ["conf"], {"seafile-db": ["Repo"]}, None),
])
def test_a_target_that_holds_anything_wants_its_name_as_confirmation(confirm, names, tables, words):
    error = restore_target_info.guard("server1", confirm, names, tables)
    assert (error is None) == (words is None)
    if error:
        assert error.code == "target-not-empty" and all(word in error.message for word in words)
        assert "-e restore_confirm=server1" in error.next_step


def module(check_mode=False, **params):
    return types.SimpleNamespace(params=params, check_mode=check_mode, get_bin_path=lambda name: f"/usr/bin/{name}")


def look(tmp_path, **changes):
    params = dict(seafile_root=str(tmp_path / "haiwen"), state_dir=str(tmp_path / "state"), set_id=SET, heads={}, dumps=[], name="server1", confirm="",
                  can_stop=False, users=[], groups=[], needed_bytes=0)
    return restore_target_info.inform(module(**dict(params, **changes)))


def test_everything_in_the_way_is_told_at_once(tmp_path):
    (tmp_path / "haiwen" / "conf").mkdir(parents=True)
    found = look(tmp_path, users=["nobody-of-this-name"], groups=["no-group-of-this-name"], needed_bytes=1 << 60)
    assert [problem["code"] for problem in found["problems"]] == ["target-not-empty", "account-missing", "account-missing", "no-space"]
    assert found["occupied"] is True and found["restored"] is False and found["replaces"] == [f"directory {tmp_path}/haiwen (1 entries)"]


def test_dumps_that_this_host_cannot_read_are_told_before_anything_is_changed(tmp_path, monkeypatch):
    dump = {"name": "seahub.db", "engine": "sqlite", "file": "seahub.db.sql.zst", "sha256": "y"}
    assert look(tmp_path, dumps=[dump])["problems"] == []
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(compression, "PLACES", ())
    assert [(problem["code"], problem["what"]) for problem in look(tmp_path, dumps=[dump])["problems"]] == [("missing-tool", "zstd")]
    assert look(tmp_path, dumps=[dict(dump, file="seahub.db.sql.gz")])["problems"] == []


def test_an_empty_target_is_free_and_stays_untouched(tmp_path):
    found = look(tmp_path)
    assert (found["problems"], found["occupied"], found["interrupted"], found["changed"]) == ([], False, False, False)
    assert os.listdir(tmp_path) == []


def test_a_file_in_the_place_is_a_problem_and_no_traceback(tmp_path):
    (tmp_path / "haiwen").write_bytes(b"")
    assert [problem["code"] for problem in look(tmp_path)["problems"]] == ["target-not-directory"]


def test_an_interrupted_restore_of_the_same_set_needs_no_second_confirmation(tmp_path):
    (tmp_path / "haiwen" / "conf").mkdir(parents=True)
    restore_state.clear(str(tmp_path / "haiwen"), str(tmp_path / "state"), SET, "20261125T000000Z", True)
    (tmp_path / "haiwen" / "half").mkdir()
    assert look(tmp_path)["interrupted"] is True and look(tmp_path)["problems"] == []
    assert [problem["code"] for problem in look(tmp_path, set_id="20261124T030000Z")["problems"]] == ["target-not-empty"]


def test_the_same_set_with_another_library_from_an_older_set_is_another_restore(tmp_path):
    (tmp_path / "haiwen").mkdir()
    heads = {"08cb4330-5c51-4e91-a6a0-5409053e95af": "4" * 40}
    restore_state.clear(str(tmp_path / "haiwen"), str(tmp_path / "state"), SET, "20261125T000000Z", True, heads)
    (tmp_path / "haiwen" / "half").mkdir()
    assert look(tmp_path, heads=heads)["interrupted"] is True
    assert look(tmp_path)["interrupted"] is False and [problem["code"] for problem in look(tmp_path)["problems"]] == ["target-not-empty"]


@pytest.mark.parametrize("dumps", [[{}], ["x"], [{"name": "a"}], [{"name": "../x", "engine": "sqlite", "file": "x", "sha256": "y"}]])
def test_dumps_of_another_form_are_refused_without_a_traceback(tmp_path, dumps):
    with pytest.raises(SeafileError) as caught:
        look(tmp_path, dumps=dumps)
    assert caught.value.code == "set-damaged"


@pytest.mark.parametrize("changes", [{"seafile_root": "/"}, {"seafile_root": "relative"}, {"state_dir": "STATE"}])
def test_a_place_that_must_not_be_moved_aside_is_refused(tmp_path, changes):
    root = str(tmp_path / "haiwen")
    params = dict(seafile_root=root, state_dir=str(tmp_path / "state"), set_id=SET, heads={}, dumps=[], running=False, programs=None)
    params.update({key: f"{root}/state" if value == "STATE" else value for key, value in changes.items()})
    with pytest.raises(SeafileError) as caught:
        restore_target.cleared(module(**params))
    assert caught.value.code == "path-invalid"


@pytest.mark.parametrize("prepare, code", [
    (lambda root, state: None, "restore-not-begun"),
    (lambda root, state: restore_state.clear(root, state, "20201123T030000Z", "20261125T000000Z", True), "restore-not-begun"),
    (lambda root, state: restore_state.clear(root + "2", state, SET, "20261125T000000Z", True), "restore-not-begun"),
    (lambda root, state: restore_state.write(state, {"state": "clearing", "set_id": SET, "root": root}), "restore-not-begun"),
])
def test_the_end_of_a_restore_that_has_not_begun_is_refused(tmp_path, prepare, code):
    root, state = str(tmp_path / "haiwen"), str(tmp_path / "state")
    prepare(root, state)
    with pytest.raises(SeafileError) as caught:
        restore_target.restored(module(seafile_root=root, state_dir=state, set_id=SET, heads={}, dumps=[]))
    assert caught.value.code == code


def record(tmp_path, path, check_mode=False, **changes):
    params = dict(seafile_root=str(tmp_path / "haiwen"), path=str(path), storage="seafile-data/storage", shallow=[], skipped=[], owner=None, group=None)
    return file_attributes.recorded(module(check_mode, **dict(params, **changes)))


def test_recording_is_private_and_a_second_time_changes_nothing(tmp_path):
    (tmp_path / "haiwen" / "conf").mkdir(parents=True)
    path = tmp_path / "staging" / "set" / "attributes.json"
    assert record(tmp_path, path, check_mode=True) == {"changed": True, "entries": 2} and not (tmp_path / "staging").exists()
    assert record(tmp_path, path) == {"changed": True, "entries": 2}
    assert [oct(os.stat(name).st_mode & 0o777) for name in (path, path.parent, path.parent.parent)] == ["0o600", "0o700", "0o700"]
    assert record(tmp_path, path)["changed"] is False
    os.chmod(path, 0o644)
    assert record(tmp_path, path)["changed"] is True
    os.chmod(tmp_path / "haiwen" / "conf", 0o700)
    assert record(tmp_path, path)["changed"] is True


def test_a_missing_deployment_or_account_is_told_before_anything_is_written(tmp_path):
    path = tmp_path / "staging" / "attributes.json"
    with pytest.raises(SeafileError) as caught:
        record(tmp_path, path)
    assert caught.value.code == "no-seafile"
    (tmp_path / "haiwen").mkdir()
    with pytest.raises(SeafileError) as caught:
        record(tmp_path, path, owner="nobody-of-this-name")
    assert caught.value.code == "account-missing" and not path.parent.exists()
