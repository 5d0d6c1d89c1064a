# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Safety copies and rollbacks of a server without MySQL. Those with databases are tests/integration/targets/safety_copy."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import json
import os
import stat
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import restore_state, rollback_run, safety_copies
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Login
from ansible_collections.seafleet.seafile.plugins.modules import restore_target, safety_copy, safety_copy_info
from ansible_collections.seafleet.seafile.tests.unit.plugins.killed import is_killed

ONE, TWO = "20261123T030000Z", "20261124T030000Z"
NOW = datetime.datetime(2026, 11, 25, tzinfo=datetime.timezone.utc)
LOGIN = {"login_host": None, "login_port": None, "login_user": "root", "login_password": None, "login_unix_socket": None}
TEXT = b"-- MariaDB dump 10.19\n\nINSERT INTO `t` VALUES (1);\n\n-- Dump completed on 2026-11-23  3:41:19\n"


@pytest.fixture
def server(tmp_path):
    """A Seafile directory whose files have owners, modes and times of their own, and the place of its records."""
    root = tmp_path / "haiwen"
    for name, mode in (("conf", 0o750), ("seafile-data/storage", 0o700), ("seafile-server-11.0.13", 0o755)):
        (root / name).mkdir(parents=True)
        (root / name).chmod(mode)
    (root / "conf" / "seafile.conf").write_text("before")
    (root / "conf" / "seafile.conf").chmod(0o640)
    (root / "link").symlink_to("conf")
    for path in sorted(root.rglob("*"), reverse=True):
        os.utime(path, (1600000000, 1600000000), follow_symlinks=False)
    root.chmod(0o751)
    os.utime(root, (1500000000, 1500000000))
    return types.SimpleNamespace(root=str(root), state=str(tmp_path / "state"), top=tmp_path)


def picture(root):
    """Everything in I(root), without other safety copies: type, mode, owner, time and content."""
    found = {}
    for path in [root] + [os.path.join(folder, name) for folder, names, files in os.walk(root) for name in names + files]:
        if restore_state.KEPT in path:
            continue
        status = os.lstat(path)
        content = open(path, "rb").read() if stat.S_ISREG(status.st_mode) else os.readlink(path) if stat.S_ISLNK(status.st_mode) else None
        found[os.path.relpath(path, root)] = (stat.filemode(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns, content)
    return found


def module(server, check_mode=False, **params):
    return types.SimpleNamespace(params=dict(LOGIN, seafile_root=server.root, state_dir=server.state, **params), check_mode=check_mode)


def clear(server, set_id=ONE, check_mode=False):
    return restore_target.cleared(module(server, check_mode, set_id=set_id, heads={}, dumps=[], running=True, programs=None))


def restore(server, set_id=ONE):
    """As much of a restore as matters here: what was there is set aside, something else comes."""
    result = clear(server, set_id)
    os.makedirs(os.path.join(server.root, "conf"), exist_ok=True)
    with open(os.path.join(server.root, "conf", "seafile.conf"), "w", encoding="ascii") as stream:
        stream.write(set_id)
    restore_state.finish(server.state, ONE, {}, [], {}, storage="seafile-data/storage")
    return result["safety_copy"]


def rollback(server, moment=None, now=NOW):
    return rollback_run.Rollback(server.state, server.root, moment, Login(), now).run()


def look(server, **changes):
    params = dict(sizes=True, prove=True, rollback=True, moment=None, name="server1", confirm="server1", can_stop=False)
    return safety_copy_info.inform(module(server, **dict(params, **changes)))


def code_of(function, *arguments, **options):
    with pytest.raises(SeafileError) as caught:
        function(*arguments, **options)
    return caught.value.code


def test_what_a_restore_sets_aside_is_recorded_in_private_and_listed(server):
    moment = restore(server)
    path = os.path.join(server.state, f"before-{moment}", "copy.json")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600 and stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    row, = look(server)["copies"]
    assert (row["moment"], row["made_by"], row["set_id"], row["whole"], row["running"]) == (moment, "restore", ONE, True, True)
    assert row["directory"] == f"{server.root}.before-{moment}" and row["programs"] == ["seafile-server-11.0.13"]
    assert row["bytes"] == len("before") + os.path.getsize(path) and row["age_seconds"] < 3600
    assert f"from before the restore of the set {ONE}: the Seafile directory (4 entries, with seafile-server-11.0.13)" in look(server)["report"][0]


def test_check_mode_of_clearing_names_the_copy_and_writes_nothing(server):
    before = picture(str(server.top))
    result = clear(server, check_mode=True)
    assert result["changed"] and result["safety_directory"] == f"{server.root}.before-{result['safety_copy']}" and result["safety_dumps"] is None
    assert picture(str(server.top)) == before


def test_a_rollback_gives_back_every_file_with_owner_mode_and_time(server):
    before = picture(server.root)
    inode = os.stat(server.root).st_ino
    moment = restore(server)
    restored = picture(server.root)
    result = rollback(server)
    assert picture(server.root) == before and os.stat(server.root).st_ino == inode
    assert (result["changed"], result["moment"], result["set_id"], result["was_running"]) == (True, moment, ONE, True)
    assert picture(result["kept_directory"]) == restored, "what was there is a safety copy now"


def test_a_rollback_can_be_rolled_back_and_that_again(server):
    before = picture(server.root)
    restore(server)
    restored = picture(server.root)
    record = restore_state.read(server.state)
    first = rollback(server)
    assert restore_state.read(server.state) == {}, "no restore is to be continued or taken for done over what came back"
    second = rollback(server, first["kept_as"])
    assert picture(server.root) == restored and restore_state.read(server.state) == record
    assert code_of(rollback, server) == "safety-copy-used"
    rollback(server, second["kept_as"])
    assert picture(server.root) == before
    assert len(safety_copies.every(server.state)) == 4


def test_a_second_rollback_changes_nothing(server):
    restore(server)
    first = rollback(server)
    before = picture(str(server.top))
    again = rollback(server)
    assert (again["changed"], again["already"], again["kept_as"]) == (False, True, first["kept_as"])
    assert look(server, confirm="")["already"] is True and look(server, confirm="")["problems"] == []
    assert picture(str(server.top)) == before


def test_check_mode_of_a_rollback_changes_nothing(server):
    moment = restore(server)
    before = picture(str(server.top))
    result = safety_copy.bring_back(module(server, check_mode=True, moment="", running=False))
    assert result["changed"] and result["moment"] == moment and result["kept_directory"] == f"{server.root}.before-{result['kept_as']}"
    assert picture(str(server.top)) == before


def test_after_a_rollback_another_restore_begins_and_is_rolled_back_anew(server):
    before = picture(server.root)
    first = restore(server)
    rollback(server)
    second = restore(server, TWO)
    assert second > first
    assert rollback(server)["moment"] == second and picture(server.root) == before


def test_a_target_that_was_empty_has_no_safety_copy(server):
    os.rename(server.root, server.root + ".elsewhere")
    restore(server)
    found = look(server)
    assert [problem["code"] for problem in found["problems"]] == ["no-safety-copy"] and "empty before the restore of the set" in found["problems"][0]["cause"]
    assert found["copies"][0]["empty"] is True and code_of(rollback, server) == "no-safety-copy"


def test_where_nothing_was_ever_restored_there_is_none(server):
    assert look(server)["copies"] == [] and code_of(rollback, server) == "no-safety-copy"
    assert code_of(rollback, server, "20261124T081500Z") == "safety-copy-unknown"


def test_what_an_unfinished_restore_left_is_not_chosen_by_itself(server):
    before = picture(server.root)
    first = clear(server)["safety_copy"]
    with open(os.path.join(server.root, "half"), "wb"):
        pass
    second = clear(server, TWO)["safety_copy"]
    assert [row["unfinished"] for row in look(server)["copies"]] == [True, False] and look(server)["chosen"]["moment"] == first
    assert rollback(server)["moment"] == first and picture(server.root) == before
    rollback(server, second)
    assert os.listdir(server.root) == ["half"], "but it can be named"


def test_an_unconfirmed_rollback_and_a_running_seafile_are_told_at_once(server, monkeypatch):
    restore(server)
    monkeypatch.setattr(rollback_run.deployment, "running", lambda roots: [{"pid": 7, "program": "seaf-server"}])
    assert [problem["code"] for problem in look(server, confirm="server2")["problems"]] == ["rollback-not-confirmed", "seafile-running"]
    assert [problem["code"] for problem in look(server, can_stop=True)["problems"]] == []
    before = picture(str(server.top))
    assert code_of(rollback, server) == "seafile-running" and picture(str(server.top)) == before


@pytest.mark.parametrize("damage, words", [
    (lambda copy: os.rename(copy["directory"], copy["directory"] + ".moved"), "is not there"),
    (lambda copy: os.unlink(os.path.join(copy["path"], "databases", "t.sql.gz")), "t.sql.gz is missing"),
    (lambda copy: open(os.path.join(copy["path"], "databases", "t.sql.gz"), "ab").write(b"x"), "t.sql.gz has another size"),
])
def test_a_copy_that_is_not_whole_is_refused_before_any_change(server, damage, words):
    moment = restore(server)
    record = safety_copies.read(server.state, moment)
    place = os.path.join(safety_copies.place(server.state, moment), "databases")
    os.mkdir(place)
    packed = gzip.compress(TEXT)
    with open(os.path.join(place, "t.sql.gz"), "wb") as stream:
        stream.write(packed)
    dump = {"name": "t", "engine": "mysql", "file": "t.sql.gz", "sha256": hashlib.sha256(packed).hexdigest(), "bytes": len(packed), "tables": ["t"]}
    safety_copies.write(server.state, dict(record, dumps=[dump]))
    row, = look(server, rollback=False)["copies"]
    assert row["whole"] is True and row["holds"][1] == "database t (1 tables)"
    damage(row)
    row, = look(server, rollback=False, prove=False)["copies"]
    assert row["whole"] is False and words in row["reasons"][0]
    before = picture(str(server.top))
    assert code_of(rollback, server) == "safety-copy-damaged" and picture(str(server.top)) == before


def test_a_flipped_bit_in_a_dump_is_found_when_it_is_proven(server):
    moment = restore(server)
    place = os.path.join(safety_copies.place(server.state, moment), "databases")
    os.mkdir(place)
    packed = bytearray(gzip.compress(TEXT))
    dump = {"name": "t", "engine": "mysql", "file": "t.sql.gz", "sha256": hashlib.sha256(packed).hexdigest(), "bytes": len(packed)}
    packed[len(packed) // 2] ^= 1
    with open(os.path.join(place, "t.sql.gz"), "wb") as stream:
        stream.write(packed)
    safety_copies.write(server.state, dict(safety_copies.read(server.state, moment), dumps=[dump]))
    assert look(server, rollback=False, prove=False)["copies"][0]["whole"] is True
    assert look(server, rollback=False)["copies"][0]["whole"] is False


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1, "moment": "x", "state": "complete"}'])
def test_a_copy_without_a_good_record_is_listed_and_never_brought_back(server, text):
    moment = restore(server)
    with open(os.path.join(safety_copies.place(server.state, moment), "copy.json"), "w", encoding="ascii") as stream:
        stream.write(text)
    row, = look(server)["copies"]
    assert row["whole"] is False and "no record" in row["reasons"][0] and look(server)["problems"][0]["code"] == "no-safety-copy"


def test_copies_of_another_seafile_directory_are_not_this_ones(server):
    restore(server)
    other = types.SimpleNamespace(root=server.root + "2", state=server.state)
    assert code_of(rollback, other) == "no-safety-copy"


def test_a_place_that_cannot_be_renamed_gets_back_its_contents_owner_mode_and_time(server, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: path == server.root)
    before = picture(server.root)
    moment = restore(server)
    assert safety_copies.read(server.state, moment)["directory"] == os.path.join(server.root, f".seafleet-before-{moment}")
    result = rollback(server)
    assert picture(server.root) == before
    assert result["kept_directory"] == os.path.join(server.root, f".seafleet-before-{result['kept_as']}")
    rollback(server, result["kept_as"])
    assert open(os.path.join(server.root, "conf", "seafile.conf"), encoding="ascii").read() == ONE


def test_a_copy_inside_a_place_that_was_renamed_later_is_found(server, monkeypatch):
    before = picture(server.root)
    with monkeypatch.context() as patch:
        patch.setattr(os.path, "ismount", lambda path: path == server.root)
        first = restore(server)
    restore(server, TWO)
    assert look(server, moment=first)["chosen"]["whole"] is True
    rollback(server, first)
    assert picture(server.root) == before


def test_a_place_that_is_a_link_stays_one(server):
    link = str(server.top / "linked")
    os.symlink(server.root, link)
    through = types.SimpleNamespace(root=link, state=server.state, top=server.top)
    before = picture(server.root)
    restore(through)
    rollback(through)
    assert os.readlink(link) == server.root and picture(server.root) == before


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_a_rollback_that_is_killed_anywhere_is_completed_by_the_next_run(server, monkeypatch, after, inside):
    if inside:
        monkeypatch.setattr(os.path, "ismount", lambda path: path == server.root)
    before = picture(server.root)
    restore(server)
    restored = picture(server.root)
    moment, turn = None, 0
    while True:
        turn += 1
        if not is_killed(monkeypatch, turn, after, lambda moment=moment: rollback(server, moment)):
            break
        done = rollback(server, moment)
        assert picture(server.root) == before, turn
        # and back to where it was, for the next turn
        kept = [record for record in safety_copies.every(server.state) if record["state"] == "complete" and not record["brought_back"]]
        assert kept[0]["moment"] == done["kept_as"]
        rollback(server, done["kept_as"])
        assert picture(server.root) == restored, turn
        moment = safety_copies.every(server.state)[0]["moment"]
    assert turn > 8


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_a_restore_that_is_killed_while_it_sets_things_aside_can_always_be_rolled_back(server, monkeypatch, after, inside):
    if inside:
        monkeypatch.setattr(os.path, "ismount", lambda path: path == server.root)
    before = picture(server.root)
    turn = 0
    while True:
        turn += 1
        killed = is_killed(monkeypatch, turn, after, lambda: clear(server))
        restore(server)
        rollback(server)
        assert picture(server.root) == before, turn
        if not killed:
            break
    assert turn > 4


def test_an_interrupted_rollback_must_end_before_another_copy_is_brought_back(server, monkeypatch):
    restore(server)
    first = rollback(server)["kept_as"]
    restore(server, TWO)
    assert is_killed(monkeypatch, 6, True, lambda: rollback(server))
    assert look(server)["interrupted"] is True
    assert code_of(rollback, server, first) == "rollback-unfinished"
    assert rollback(server)["changed"] is True


def test_a_restore_takes_the_place_of_an_interrupted_rollback(server, monkeypatch):
    restore(server)
    assert is_killed(monkeypatch, 6, True, lambda: rollback(server))
    second = restore(server, TWO)
    with open(os.path.join(server.state, "rollback.json"), encoding="ascii") as stream:
        assert json.load(stream)["state"] == "abandoned"
    assert safety_copies.read(server.state, second)["unfinished"] is True
