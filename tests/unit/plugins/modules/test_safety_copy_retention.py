# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old safety copies go, and nothing beside them: real directories, made by the code that restores use, and removals that are killed anywhere."""

from __future__ import annotations

import datetime
import json
import os
import stat
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import deployment, restore_state, rollback_run, safety_copies, safety_removal
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Login
from ansible_collections.seafleet.seafile.plugins.module_utils.words import size
from ansible_collections.seafleet.seafile.plugins.modules import restore_target, safety_copy_info, safety_copy_retention
from ansible_collections.seafleet.seafile.tests.unit.plugins.killed import is_killed

SET = "20261123T030000Z"
LOGIN = {"login_host": None, "login_port": None, "login_user": "root", "login_password": None, "login_unix_socket": None}


@pytest.fixture
def server(tmp_path):
    """A Seafile directory, the place of its records, and something outside that links lead to."""
    top = tmp_path.resolve()
    root = top / "haiwen"
    for name in ("conf", "seafile-data/storage/blocks"):
        (root / name).mkdir(parents=True)
    (root / "conf" / "seafile.conf").write_text("before")
    (root / "seafile-data" / "storage" / "blocks" / "one").write_text("block")
    (top / "outside").mkdir()
    (top / "outside" / "file").write_text("precious")
    (root / "link").symlink_to(top / "outside")
    (root / "conf" / "link").symlink_to(top / "outside" / "file")
    return types.SimpleNamespace(root=str(root), state=str(top / "state" / "server1"), top=top)


def picture(*tops):
    """Everything at and below I(tops): type, mode, inode, time and content."""
    found = {}
    for top in map(str, tops):
        for path in [top] + [os.path.join(folder, name) for folder, names, files in os.walk(top) for name in names + files]:
            status = os.lstat(path)
            content = open(path, "rb").read() if stat.S_ISREG(status.st_mode) else os.readlink(path) if stat.S_ISLNK(status.st_mode) else None
            found[path] = (status.st_mode, status.st_ino, status.st_mtime_ns, content)
    return found


def restore(server, end=True):
    """As much of a restore as matters here; return the moment of its copy."""
    params = dict(LOGIN, seafile_root=server.root, state_dir=server.state, set_id=SET, heads={}, dumps=[], running=True, programs=None)
    moment = restore_target.cleared(types.SimpleNamespace(params=params, check_mode=False))["safety_copy"]
    os.makedirs(os.path.join(server.root, "conf"), exist_ok=True)
    with open(os.path.join(server.root, "conf", "seafile.conf"), "w", encoding="ascii") as stream:
        stream.write("restored")
    if end:
        restore_state.finish(server.state, SET, {}, [], {}, storage="seafile-data/storage")
    return moment


def restore_again(server):
    """Another restore; its copy has a moment of its own."""
    os.unlink(os.path.join(server.state, "restore.json"))
    return restore(server)


def retain(server, days=30, later=40, check=False, roots=None):
    """The module's work, so many days later."""
    now = utc_now() + datetime.timedelta(days=later)
    return safety_removal.retain(server.state, [server.root] if roots is None else roots, days, now, True, check)


def reasons(server, **options):
    """Why the newest copy stays; nothing may have changed."""
    before = picture(server.top)
    result = retain(server, **options)
    assert result["changed"] is False and picture(server.top) == before
    assert result["copies"][0]["verdict"] == "kept"
    return result["copies"][0]["reasons"]


def test_where_nothing_was_put_aside_nothing_is_told(server):
    params = {"state_dir": server.state, "seafile_root": server.root, "days": 7, "sizes": True}
    result = safety_copy_retention.retain(types.SimpleNamespace(params=params, check_mode=False))
    assert result["changed"] is False and result["copies"] == result["report"] == [] and not os.path.exists(server.state)


def test_copies_are_told_with_age_and_size_and_stay_unless_days_are_given(server):
    moment = restore(server)
    row, = retain(server, days=0, later=6)["copies"]
    assert row["directory"] == f"{server.root}.before-{moment}" and row["path"] == f"{server.state}/before-{moment}"
    assert row["bytes"] == len("before") + len("block") + os.path.getsize(f"{row['path']}/copy.json")
    line, = retain(server, days=0, later=6)["report"]
    assert line == f"safety copy {moment} (6 days old, {size(row['bytes'])}) stays: safety copies are never pruned (safety_days is 0)"
    assert reasons(server, days=0, later=4000) == ["safety copies are never pruned (safety_days is 0)"]
    assert reasons(server, later=29) == ["younger than 30 days"]


def test_check_mode_tells_what_would_go_and_removes_nothing(server):
    moment = restore(server)
    before = picture(server.top)
    result = retain(server, check=True)
    assert picture(server.top) == before
    assert result["changed"] and result["removed"] == [moment] and result["report"][0].endswith(" would go: 30 days old or older")
    assert result["diff"]["before"] == f"{moment}\n" and result["diff"]["after"] == ""


def test_an_old_copy_goes_and_nothing_else(server):
    first, second = restore(server), restore_again(server)
    kept = picture(server.root, server.top / "outside", f"{server.root}.before-{second}", f"{server.state}/before-{second}")
    record = f"{server.state}/before-{second}/copy.json"
    soon = (utc_now() + datetime.timedelta(days=35)).timestamp()
    status = os.stat(record)
    os.utime(record, (soon, soon))
    result = retain(server)
    os.utime(record, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert result["removed"] == [first] and [row["verdict"] for row in result["copies"]] == ["kept", "goes"]
    assert picture(server.root, server.top / "outside", f"{server.root}.before-{second}", f"{server.state}/before-{second}") == kept
    assert sorted(os.listdir(server.top)) == ["haiwen", f"haiwen.before-{second}", "outside", "state"]
    assert sorted(os.listdir(server.state)) == [f"before-{second}", "restore.json"]


def test_a_copy_that_lies_inside_the_directory_goes(server, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: path == server.root)
    moment = restore(server)
    kept = picture(os.path.join(server.root, "conf"), server.top / "outside")
    assert retain(server)["removed"] == [moment]
    assert picture(os.path.join(server.root, "conf"), server.top / "outside") == kept and os.listdir(server.root) == ["conf"]


def test_a_copy_that_was_brought_back_goes_with_its_dumps_only(server):
    moment = restore(server)
    kept = rollback_run.Rollback(server.state, server.root, None, Login(), utc_now()).run()["kept_as"]
    live = picture(server.root)
    assert retain(server)["removed"] == [moment, kept]
    assert picture(server.root) == live and sorted(os.listdir(server.top)) == ["haiwen", "outside", "state"]


def test_a_copy_of_nothing_goes(server):
    os.rename(server.root, server.root + ".elsewhere")
    assert retain(server)["removed"] == [] and restore(server)
    assert len(retain(server)["removed"]) == 1


# -- what keeps one ----------------------------------------------------------------------------------------------------


def edit(server, moment, **changes):
    """Change the record, which then is as old as it was."""
    path = f"{server.state}/before-{moment}/copy.json"
    with open(path, encoding="ascii") as stream:
        record = json.load(stream)
    with open(path, "w", encoding="ascii") as stream:
        json.dump(dict(record, **changes), stream)


def test_while_a_restore_is_at_work_or_unfinished_nothing_goes(server):
    first = restore(server)
    os.unlink(os.path.join(server.state, "restore.json"))
    restore(server, end=False)
    result = retain(server)
    assert result["removed"] == [] and result["frozen"] == ["a restore is at work here, or was interrupted and has to come to its end first"]
    restore_state.finish(server.state, SET, {}, [], {}, storage="seafile-data/storage")
    assert first in retain(server)["removed"]


@pytest.mark.parametrize("name, words", [("restore.json", "a restore is at work"), ("rollback.json", "a rollback is at work")])
def test_while_nobody_can_tell_whether_one_is_at_work_nothing_goes(server, name, words):
    restore(server)
    with open(os.path.join(server.state, name), "w", encoding="ascii") as stream:
        stream.write("{")
    assert f"nothing goes: {server.state}/{name} is damaged, so that nobody knows whether {words}" in reasons(server)


def test_while_a_rollback_is_interrupted_nothing_goes(server):
    moment = restore(server)
    safety_copies.write_journal(server.state, {"state": "running", "copy": moment, "made": "x", "root": server.root})
    assert reasons(server) == ["nothing goes: a rollback is at work here, or was interrupted and has to come to its end first"]
    safety_copies.abandon(server.state, server.root)
    assert retain(server)["removed"] == [moment]


def test_while_a_rollback_holds_the_lock_nothing_goes(server):
    restore(server)
    with safety_copies.alone(server.state) as held:
        assert held and reasons(server) == ["in use: a rollback is at work here"]


@pytest.mark.parametrize("state", ["dumping", "dumped"])
def test_while_a_copy_is_being_made_nothing_goes(server, state):
    first, second = restore(server), restore_again(server)
    edit(server, second, state=state)
    assert "never completed" in reasons(server)[0]
    assert retain(server)["copies"][1]["reasons"] == [
        f"nothing goes: a restore or rollback is making the safety copy {second}, or was interrupted at it"]
    assert safety_copies.read(server.state, first)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}'])
def test_a_copy_without_a_readable_record_stays(server, text):
    moment = restore(server)
    with open(f"{server.state}/before-{moment}/copy.json", "w", encoding="ascii") as stream:
        stream.write(text)
    assert "remove it by hand" in reasons(server)[0]


@pytest.mark.parametrize("changes, words", [
    ({"directory": "{top}/outside"}, "is no name that a restore gives"),
    ({"directory": "{root}"}, "is no name that a restore gives"),
    ({"directory": "{root}.before-20200101T000000Z"}, "is no name that a restore gives"),
    ({"directory": "{root}.before-{moment}/../outside"}, "is no name that a restore gives"),
    ({"real_root": "{top}/x/../haiwen"}, "which cannot be"),
    ({"real_root": "haiwen"}, "which cannot be"),
    ({"real_root": "/"}, "which cannot be"),
    ({"directory": None}, "its record does not know of it"),
    ({"brought_back": {"at": "x"}}, "its record does not know of it"),
])
def test_a_record_that_names_another_place_keeps_everything(server, changes, words):
    moment = restore(server)
    edit(server, moment, **{
        name: value.format(top=server.top, root=server.root, moment=moment) if isinstance(value, str) else value for name, value in changes.items()})
    assert words in reasons(server)[0]


def test_a_directory_that_is_a_link_or_gone_stays(server):
    moment = restore(server)
    directory = f"{server.root}.before-{moment}"
    os.rename(directory, directory + ".elsewhere")
    assert "is not there" in reasons(server)[0]
    os.symlink(directory + ".elsewhere", directory)
    assert f"{directory} is a link" in reasons(server)[0]


def test_a_link_on_the_way_stays(server):
    moment = restore(server)
    os.mkdir(server.top / "other")
    for name in ("haiwen", f"haiwen.before-{moment}"):
        os.rename(server.top / name, server.top / "other" / name)
    os.rename(server.top / "other", server.top / "moved")
    os.symlink(server.top / "moved", server.top / "other")
    edit(server, moment, real_root=str(server.top / "other" / "haiwen"), directory=str(server.top / "other" / f"haiwen.before-{moment}"))
    assert "a link is on the way" in reasons(server, roots=[])[0]


def test_a_mount_point_and_another_file_system_in_it_stay(server, monkeypatch):
    moment = restore(server)
    directory = f"{server.root}.before-{moment}"
    with monkeypatch.context() as patch:
        patch.setattr(safety_removal, "mount_points", lambda: ["/", f"{directory}/seafile-data"])
        assert reasons(server) == [f"{directory}/seafile-data is a mount point"]
    with monkeypatch.context() as patch:
        patch.setattr(safety_removal, "foreign", lambda path: f"{path}/seafile-data" if path == directory else None)
        assert reasons(server) == [f"{directory}/seafile-data lies on another file system"]
    assert retain(server)["removed"] == [moment]


def test_mount_points_are_read_with_their_odd_characters(tmp_path):
    (tmp_path / "mountinfo").write_text("36 35 98:0 / /mnt/a\\040b rw,noatime - ext3 /dev/root rw\nrubbish\n")
    assert safety_removal.mount_points(str(tmp_path / "mountinfo")) == ["/mnt/a b"]
    assert "/" in safety_removal.mount_points() and safety_removal.mount_points(str(tmp_path / "none")) == []


def test_what_a_seafile_process_works_with_stays(server, monkeypatch):
    restore(server)
    monkeypatch.setattr(deployment, "running", lambda roots: [{"pid": 7, "program": "seaf-server"}])
    assert reasons(server) == ["seaf-server (pid 7) works with it"]


def test_what_the_seafile_directory_leads_into_stays(server):
    moment = restore(server)
    directory = f"{server.root}.before-{moment}"
    os.symlink(f"{directory}/seafile-data", f"{server.root}/seafile-data")
    assert reasons(server) == [f"{server.root}/seafile-data leads into it"]
    # somebody went back by hand
    os.symlink(directory, server.top / "live")
    assert f"{server.top}/live leads into it" in reasons(server, roots=[str(server.top / "live")])


def test_a_copy_that_holds_another_one_stays_and_so_does_that(server, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os.path, "ismount", lambda path: path == server.root)
        first = restore(server)
    restore_again(server)
    newer, older = retain(server)["copies"]
    assert newer["reasons"] == [f"the safety copy {first} lies in it"] and "is not there" in older["reasons"][0]


# -- a removal that is killed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_a_removal_that_is_killed_anywhere_is_ended_by_the_next_run(server, monkeypatch, after, inside):
    if inside:
        monkeypatch.setattr(os.path, "ismount", lambda path: path == server.root)
    turn, marked = 0, 0
    while True:
        turn += 1
        # what was restored the last time is what is set aside now
        os.makedirs(os.path.join(server.root, "seafile-data", "storage"), exist_ok=True)
        if not os.path.lexists(os.path.join(server.root, "link")):
            os.symlink(server.top / "outside", os.path.join(server.root, "link"))
        moment = restore(server) if turn == 1 else restore_again(server)
        place = f"{server.state}/before-{moment}"
        with open(f"{place}/more", "wb"):
            pass
        live = picture(os.path.join(server.root, "conf"), server.top / "outside")
        killed = is_killed(monkeypatch, turn, after, lambda: retain(server))
        record = safety_copies.read(server.state, moment)
        if record.get("removing"):
            marked += 1
            assert "it is being removed since" in safety_copies.defects(server.state, record, False)[0]
            with pytest.raises(SeafileError) as caught:
                rollback_run.Rollback(server.state, server.root, None, Login(), utc_now())
            assert caught.value.code == "safety-copy-damaged" and "it is being removed" in caught.value.message
        elif record:
            assert safety_copies.defects(server.state, record, False) == [], "nothing of a copy is touched before its record says so"
        assert not restore_state.content(server.root)[1:], "what is being removed inside counts as nothing"
        # no days are needed for the end of what was begun, and check mode tells of it
        told = retain(server, days=0, check=True)
        ended = retain(server, days=0)
        if record and not record.get("removing"):
            assert ended["removed"] == ended["completed"] == [] and retain(server)["removed"] == [moment]
        elif killed:
            assert ended["completed"] in ([moment], []) and told["completed"] == ended["completed"]
        assert picture(os.path.join(server.root, "conf"), server.top / "outside") == live
        assert [name for name in os.listdir(server.top) if "before" in name] == [] and os.listdir(server.root) == ["conf"], turn
        assert os.listdir(server.state) == ["restore.json"], turn
        if not killed:
            break
    assert turn > 10 and marked > 5


def test_a_rollback_does_not_take_a_copy_that_went_while_it_looked(server):
    restore(server)
    work = rollback_run.Rollback(server.state, server.root, None, Login(), utc_now())
    assert retain(server)["removed"]
    before = picture(server.top)
    with pytest.raises(SeafileError) as caught:
        work.run()
    assert caught.value.code == "safety-copy-damaged" and picture(server.top) == before


def test_a_rollback_waits_for_no_lock(server):
    restore(server)
    work = rollback_run.Rollback(server.state, server.root, None, Login(), utc_now())
    before = picture(server.top)
    with safety_copies.alone(server.state), pytest.raises(SeafileError) as caught:
        work.run()
    assert caught.value.code == "rollback-unfinished" and picture(server.top) == before
    assert work.run()["changed"]


def test_a_copy_that_is_being_removed_is_listed_as_such(server, monkeypatch):
    restore(server)
    assert is_killed(monkeypatch, 2, True, lambda: retain(server))
    params = dict(LOGIN, seafile_root=server.root, state_dir=server.state, sizes=True, prove=True, rollback=True, moment=None, name="a", confirm="a",
                  can_stop=False)
    found = safety_copy_info.inform(types.SimpleNamespace(params=params, check_mode=False))
    assert found["copies"][0]["whole"] is False and "it is being removed since" in found["problems"][0]["cause"]


def test_what_cannot_be_removed_is_named_and_the_others_go(server, monkeypatch):
    first, second = restore(server), restore_again(server)
    real = safety_removal.set_removal.shutil.rmtree

    def refusing(path, *arguments, **named):
        if path.startswith(f"{server.root}.before-{first}"):
            raise PermissionError(1, "Operation not permitted", "own")
        real(path, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(safety_removal.set_removal.shutil, "rmtree", refusing)
        with pytest.raises(SeafileError) as caught:
            retain(server)
    assert caught.value.code == "retention-incomplete" and f"{server.root}.before-{first}.removed" in caught.value.message
    assert caught.value.details["removed"] == [first, second] and not os.path.exists(f"{server.root}.before-{second}")
    assert retain(server)["completed"] == [first] and os.listdir(server.state) == ["restore.json"]


def test_a_bad_path_is_refused_with_a_code():
    with pytest.raises(SeafileError) as caught:
        safety_copy_retention.retain(types.SimpleNamespace(params={"state_dir": "x", "seafile_root": None, "days": 0, "sizes": True}, check_mode=False))
    assert caught.value.code == "path-invalid"
