# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import stat

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import attributes, deployment, restore_state, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

ONE, TWO = "20261123T030000Z", "20261124T030000Z"
MOMENT = "20261125T000000Z"
OBJECT = "blocks/11111111-2222-3333-4444-555555555555/01/00000000000000000000000000000000000001"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "haiwen").mkdir()
    (tmp_path / "haiwen" / "conf").mkdir()
    return str(tmp_path / "haiwen")


@pytest.fixture
def state(tmp_path):
    return str(tmp_path / "state")


def clear(root, state, set_id=ONE, moment=MOMENT, act=True):
    return restore_state.clear(root, state, set_id, moment, act)


def test_what_is_there_is_moved_aside_whole_and_the_place_is_private(root, state):
    inode = os.stat(root).st_ino
    result = clear(root, state)
    assert result == {"changed": True, "continued": False, "safety_directory": f"{root}.before-{MOMENT}", "earlier": []}
    assert os.stat(result["safety_directory"]).st_ino == inode and os.listdir(result["safety_directory"]) == ["conf"]
    assert os.listdir(root) == [] and stat.S_IMODE(os.stat(root).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(state).st_mode) == 0o700


def test_check_mode_tells_it_and_changes_nothing(root, state):
    assert clear(root, state, act=False)["safety_directory"] == f"{root}.before-{MOMENT}"
    assert os.listdir(root) == ["conf"] and not os.path.exists(state) and not os.path.exists(f"{root}.before-{MOMENT}")


@pytest.mark.parametrize("prepare", [lambda root: os.rmdir(f"{root}/conf"), lambda root: (os.rmdir(f"{root}/conf"), os.rmdir(root)),
                                     lambda root: os.rename(f"{root}/conf", f"{root}/lost+found")])
def test_an_empty_or_missing_place_needs_no_safety_copy(root, state, prepare):
    prepare(root)
    assert clear(root, state)["safety_directory"] is None and os.path.isdir(root)


def test_an_interrupted_restore_of_the_same_set_is_continued_with_all_it_has_brought(root, state):
    first = clear(root, state)
    open(os.path.join(root, "brought"), "w", encoding="ascii").close()
    again = clear(root, state, moment="20261125T010000Z")
    assert again == {"changed": False, "continued": True, "safety_directory": first["safety_directory"], "earlier": []}
    assert os.listdir(root) == ["brought"]


def test_another_set_begins_anew_and_the_first_safety_copy_is_not_forgotten(root, state):
    first = clear(root, state)
    open(os.path.join(root, "half"), "w", encoding="ascii").close()
    second = clear(root, state, TWO, "20261125T010000Z")
    assert second["continued"] is False and second["earlier"] == [first["safety_directory"]]
    assert os.listdir(second["safety_directory"]) == ["half"] and os.listdir(first["safety_directory"]) == ["conf"]
    assert clear(root, state, TWO)["earlier"] == [first["safety_directory"]]


def test_a_restore_with_other_libraries_from_older_sets_is_not_continued(root, state):
    older = {"08cb4330-5c51-4e91-a6a0-5409053e95af": "4" * 40}
    restore_state.clear(root, state, ONE, MOMENT, True, older)
    assert restore_state.clear(root, state, ONE, "20261125T010000Z", True, older)["continued"] is True
    os.mkdir(os.path.join(root, "brought"))
    again = restore_state.clear(root, state, ONE, "20261125T010000Z", True)
    assert again["continued"] is False and os.listdir(again["safety_directory"]) == ["brought"] and os.listdir(root) == []


def test_a_kill_before_the_move_never_makes_a_restore_over_what_is_there(root, state, monkeypatch):
    def die(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(restore_state, "set_aside", die)
    with pytest.raises(KeyboardInterrupt):
        clear(root, state)
    monkeypatch.undo()
    assert os.listdir(root) == ["conf"]
    result = clear(root, state, moment="20261125T010000Z")
    assert result["continued"] is False and result["safety_directory"] == f"{root}.before-20261125T010000Z" and os.listdir(root) == []


def test_a_kill_after_the_move_forgets_no_safety_copy(root, state, monkeypatch):
    real = restore_state.set_aside

    def move_and_die(*args):
        real(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(restore_state, "set_aside", move_and_die)
    with pytest.raises(KeyboardInterrupt):
        clear(root, state)
    monkeypatch.undo()
    result = clear(root, state, moment="20261125T010000Z")
    assert result["safety_directory"] is None and result["earlier"] == [f"{root}.before-{MOMENT}"] and os.path.isdir(root)


def test_a_place_that_cannot_be_renamed_keeps_it_and_its_contents_go_inside(root, state, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: path == root)
    result = clear(root, state)
    inside = os.path.join(root, f".seafleet-before-{MOMENT}")
    assert result["safety_directory"] == inside and os.listdir(inside) == ["conf"]
    # the safety copy is no content: the next restore asks for no confirmation because of it and leaves it where it is
    assert restore_state.content(root) == []
    assert deployment._safety_copies(root) == [f".seafleet-before-{MOMENT}"]  # and no part of the next backup
    assert clear(root, state, TWO, "20261125T010000Z") == {"changed": True, "continued": False, "safety_directory": None, "earlier": [inside]}
    assert os.listdir(inside) == ["conf"]


def test_a_place_that_is_a_link_stays_one(root, state, tmp_path):
    link = str(tmp_path / "link")
    os.symlink(root, link)
    result = clear(link, state)
    assert result["safety_directory"] == f"{root}.before-{MOMENT}" and os.readlink(link) == root and os.listdir(link) == []


def test_a_safety_copy_never_replaces_another(root, state):
    os.mkdir(f"{root}.before-{MOMENT}")
    result = clear(root, state)
    assert result["safety_directory"] == f"{root}/.seafleet-before-{MOMENT}" and os.listdir(f"{root}.before-{MOMENT}") == []


def test_a_file_in_the_place_is_refused(tmp_path, state):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SeafileError) as caught:
        clear(str(tmp_path / "file"), state)
    assert caught.value.code == "target-not-directory"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"state": "running"}', '{"state": "restored", "set_id": "x", "root": "/"}', '{"state": 5}', "\xff"])
def test_a_damaged_record_is_none(state, text):
    os.makedirs(state)
    with open(os.path.join(state, restore_state.RECORD), "w", encoding="latin-1") as stream:
        stream.write(text)
    assert restore_state.read(state) == {}
    assert restore_state.differences(restore_state.read(state), state, {}) == ["no restore has ended here"]


@pytest.fixture
def ended(root, state):
    """A restore that has ended: a file, a SQLite file, an object, a MySQL database."""
    clear(root, state)
    storage = os.path.join(root, "seafile-data", "storage")
    os.makedirs(os.path.dirname(os.path.join(storage, OBJECT)))
    for path in (os.path.join(root, "seahub.db"), os.path.join(root, "settings.py"), os.path.join(storage, OBJECT)):
        with open(path, "wb") as stream:
            stream.write(path.encode())
        os.chmod(path, 0o600)
    with open(os.path.join(state, restore_state.OBJECT_LIST), "wb") as stream:
        stream.write(OBJECT.encode() + b"\0")
    with open(os.path.join(state, "attributes.json"), "w", encoding="ascii") as stream:
        json.dump(attributes.record(root, "seafile-data/storage", [], []), stream)
    sums = {"files/settings.py": sets.file_sha256(os.path.join(root, "settings.py")), "databases/x.sql.gz": "0" * 64}
    restore_state.finish(state, MOMENT, {"seafile-db": "print"}, ["seahub.db"], sums, storage="seafile-data/storage", owner=None, group=None)
    return root


def test_a_restore_that_nobody_touched_differs_in_nothing(ended, state):
    record = restore_state.read(state)
    assert record["state"] == "restored" and record["set_id"] == ONE
    assert restore_state.differences(record, state, {"seafile-db": "print"}) == []


@pytest.mark.parametrize("damage, sentence", [
    (lambda root, state: open(f"{root}/settings.py", "ab").write(b"x"), "settings.py differs"),
    (lambda root, state: os.unlink(f"{root}/settings.py"), "settings.py is missing"),
    (lambda root, state: open(f"{root}/seahub.db", "ab").write(b"x"), "seahub.db differs"),
    (lambda root, state: os.unlink(f"{root}/seafile-data/storage/{OBJECT}"), f"object {OBJECT} is missing"),
    (lambda root, state: os.truncate(f"{root}/seafile-data/storage/{OBJECT}", 0), f"object {OBJECT} is damaged"),
    (lambda root, state: os.chmod(f"{root}/settings.py", 0o644), "1 owners or modes differ"),
    (lambda root, state: os.unlink(f"{state}/objects.list"), "objects.list: No such file or directory"),
    (lambda root, state: os.unlink(f"{state}/attributes.json"), "attributes.json: the file is missing"),
    (lambda root, state: open(f"{state}/attributes.json", "wb").close(), "attributes.json: it is not what was recorded"),
])
def test_every_later_change_is_told(ended, state, damage, sentence):
    damage(ended, state)
    found = restore_state.differences(restore_state.read(state), state, {"seafile-db": "print"})
    assert len(found) == 1 and sentence in found[0]


@pytest.mark.parametrize("prints", [{}, {"seafile-db": "another"}])
def test_a_changed_or_missing_database_is_told(ended, state, prints):
    assert restore_state.differences(restore_state.read(state), state, prints) == ["database seafile-db differs"]


def test_a_restored_place_is_cleared_anew_when_asked_again(ended, state):
    result = clear(ended, state, moment="20261126T000000Z")
    assert result["continued"] is False and "settings.py" in os.listdir(result["safety_directory"])


def test_programs_come_back_out_of_the_safety_copy_and_stay_in_it(tmp_path):
    root, first, second = (tmp_path / name for name in ("seafile", "first", "second"))
    for directory in (root, first, second / "seafile-server-11.0.13" / "bin"):
        directory.mkdir(parents=True)
    program = second / "seafile-server-11.0.13" / "bin" / "seaf-server"
    program.write_text("program")
    program.chmod(0o755)
    assert restore_state.bring_programs(str(root), [str(first), str(second)], "seafile-server-11.0.13") == "seafile-server-11.0.13"
    brought = root / "seafile-server-11.0.13" / "bin" / "seaf-server"
    assert brought.read_text() == "program" and brought.stat().st_mode & 0o777 == 0o755 and brought.stat().st_ino != program.stat().st_ino
    assert restore_state.bring_programs(str(root), [str(second)], "seafile-server-11.0.13") is None, "they are there"
    assert sorted(path.name for path in root.iterdir()) == ["seafile-server-11.0.13"]


@pytest.mark.parametrize("name", [None, "", "../conf", "/etc", ".ssh", "seafile-server-12.0.1", "link"])
def test_nothing_but_a_directory_of_programs_is_brought(tmp_path, name):
    root, aside = tmp_path / "seafile", tmp_path / "aside"
    root.mkdir()
    (aside / ".ssh").mkdir(parents=True)
    (tmp_path / "conf").mkdir()
    (aside / "link").symlink_to("/etc")
    assert restore_state.bring_programs(str(root), [str(aside)], name) is None
    assert list(root.iterdir()) == []


def test_half_a_copy_of_the_programs_is_made_anew(tmp_path):
    root, aside = tmp_path / "seafile", tmp_path / "aside"
    (aside / "seafile-server-11.0.13").mkdir(parents=True)
    (aside / "seafile-server-11.0.13" / "seafile.sh").write_text("program")
    (root / ".seafile-server-11.0.13.partial" / "old").mkdir(parents=True)
    assert restore_state.bring_programs(str(root), [str(aside)], "seafile-server-11.0.13") == "seafile-server-11.0.13"
    assert [path.relative_to(root).as_posix() for path in sorted(root.rglob("*"))] == ["seafile-server-11.0.13", "seafile-server-11.0.13/seafile.sh"]
