# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import socket
import stat

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import attributes
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

STORE = "11111111-2222-3333-4444-555555555555"
STORAGE = "seafile-data/storage"
ME = pwd.getpwuid(os.getuid()).pw_name
MINE = grp.getgrgid(os.getgid()).gr_name


@pytest.fixture
def root(tmp_path):
    """A small deployment with everything that is recorded in its own way."""
    top = tmp_path / "haiwen"
    for name, mode in (("conf/seafile.conf", 0o640), ("conf/.env", 0o600), ("seahub-data/avatars/\u00fc\udcff.png", 0o644), ("logs/seafile.log", 0o644),
                       ("seafile-server-11/seafile.sh", 0o755), (f"{STORAGE}/blocks/{STORE}/01/{1:038}", 0o600), ("ccnet/script", 0o4750)):
        path = os.path.join(os.fsencode(str(top)), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(b"x")
        os.chmod(path, mode)
    for kind in ("commits", "fs"):
        (top / STORAGE / kind).mkdir()
    (top / "seafile-server-latest").symlink_to("seafile-server-11")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(top / "s"))
    os.chmod(top / "conf", 0o2750)
    os.chmod(top, 0o755)
    return top


def recorded(root):
    return attributes.record(str(root), STORAGE, ["logs"], ["seafile-server-11"])


def stored(root, tmp_path, **changes):
    """What was recorded, through a file as the modules pass it on."""
    value = recorded(root)
    value["entries"].update(changes)
    path = tmp_path / "attributes.json"
    path.write_text(json.dumps(value))
    return attributes.read(str(path))


def modes(root):
    return {os.path.relpath(os.path.join(folder, name), root): stat.S_IMODE(os.lstat(os.path.join(folder, name)).st_mode)
            for folder, names, files in os.walk(root) for name in names + files}


def test_everything_but_objects_programs_and_sockets_is_recorded(root):
    entries = recorded(root)["entries"]
    assert set(entries) == {
        ".", "conf", "conf/seafile.conf", "conf/.env", "ccnet", "ccnet/script", "logs", "seafile-data", STORAGE, f"{STORAGE}/commits", f"{STORAGE}/fs",
        f"{STORAGE}/blocks", "seafile-server-latest", "seahub-data", "seahub-data/avatars", "seahub-data/avatars/\u00fc\udcff.png"}
    assert entries["conf/seafile.conf"] == {"type": "f", "mode": "0640", "user": ME, "group": MINE}
    assert entries["conf"]["mode"] == "2750" and entries["."]["mode"] == "0755"
    assert entries["seafile-server-latest"]["target"] == "seafile-server-11"


def test_a_set_is_no_way_to_a_set_user_id_program(root, tmp_path):
    assert recorded(root)["entries"]["ccnet/script"]["mode"] == "0750"
    value = stored(root, tmp_path, **{"ccnet/script": {"type": "f", "mode": "6755", "user": ME, "group": MINE}})
    attributes.apply(str(root), value, True)
    assert stat.S_IMODE(os.stat(root / "ccnet" / "script").st_mode) == 0o755


def test_what_was_recorded_comes_back_and_a_second_time_nothing_is_left_to_do(root, tmp_path):
    value = stored(root, tmp_path)
    os.chmod(root / "ccnet" / "script", 0o750)  # the one bit that does not come back
    wanted = modes(root)
    for name in wanted:
        if not os.path.islink(root / name) and not name.startswith(("seafile-server-11", "logs/", "s")):
            os.chmod(root / name, 0o700)
    planned = attributes.apply(str(root), value, False)
    assert modes(root) != wanted
    done = attributes.apply(str(root), value, True)
    assert planned == done and done[0] > 5 and done[1] == []
    found = modes(root)
    store = f"{STORAGE}/blocks/{STORE}"
    # below a kind directories get its mode, objects 0600
    for name in (store, f"{store}/01"):
        assert found.pop(name) == wanted.pop(name) == wanted[f"{STORAGE}/blocks"]
    assert found == wanted
    assert attributes.apply(str(root), value, True) == (0, [])


def test_missing_directories_are_made_and_missing_files_told(root, tmp_path):
    value = stored(root, tmp_path)
    os.chmod(root / "ccnet" / "script", 0o750)
    shutil.rmtree(root / "seahub-data")
    shutil.rmtree(root / "logs")
    os.unlink(root / "conf" / ".env")
    lost = ["conf/.env", "seahub-data/avatars/\u00fc\udcff.png"]
    assert attributes.apply(str(root), value, False) == (3, lost) and not (root / "logs").exists()
    assert attributes.apply(str(root), value, True) == (3, lost)
    assert (root / "seahub-data" / "avatars").is_dir() and attributes.apply(str(root), value, True) == (0, lost)


def test_a_link_in_the_place_of_a_file_or_directory_is_told_and_never_followed(root, tmp_path):
    value = stored(root, tmp_path)
    (tmp_path / "victim").mkdir(mode=0o711)
    (tmp_path / "victim" / "seafile.conf").write_bytes(b"")
    os.chmod(tmp_path / "victim" / "seafile.conf", 0o604)
    shutil.rmtree(root / "conf")
    (root / "conf").symlink_to(tmp_path / "victim")
    os.unlink(root / "ccnet" / "script")
    (root / "ccnet" / "script").symlink_to(tmp_path / "victim" / "seafile.conf")
    changed, missing = attributes.apply(str(root), value, True)
    assert missing == ["ccnet/script", "conf"]
    assert stat.S_IMODE(os.stat(tmp_path / "victim").st_mode) == 0o711 and stat.S_IMODE(os.stat(tmp_path / "victim" / "seafile.conf").st_mode) == 0o604


def test_the_root_is_opened_last_so_that_nobody_reaches_in_meanwhile(root, tmp_path, monkeypatch):
    value = stored(root, tmp_path)
    for folder, names, files in os.walk(root):
        os.chmod(folder, 0o700)
        for name in files:
            if not os.path.islink(os.path.join(folder, name)):
                os.chmod(os.path.join(folder, name), 0o400)
    order = []
    real = os.chmod

    def chmod(path, mode):
        order.append(os.path.relpath(path, root))
        real(path, mode)

    monkeypatch.setattr(os, "chmod", chmod)
    attributes.apply(str(root), value, True)
    assert order[-1] == "." and order.index("conf") > order.index("conf/seafile.conf")
    depths = [name.count("/") for name in order if not name.startswith(f"{STORAGE}/blocks/")]
    assert depths == sorted(depths, reverse=True)


def test_a_root_that_is_a_link_is_worked_on_and_the_link_left_alone(root, tmp_path):
    value = stored(root, tmp_path)
    (tmp_path / "link").symlink_to(root)
    os.chmod(root, 0o700)
    attributes.apply(str(tmp_path / "link"), value, True)
    assert stat.S_IMODE(os.stat(root).st_mode) == 0o755


def test_a_data_directory_that_is_a_link_never_opens_the_objects(root, tmp_path):
    os.rename(root / "seafile-data", tmp_path / "data")
    (root / "seafile-data").symlink_to(tmp_path / "data")
    value = stored(root, tmp_path)
    assert value["entries"]["seafile-data"]["type"] == "l" and STORAGE not in value["entries"]
    attributes.apply(str(root), value, True)
    assert stat.S_IMODE(os.stat(tmp_path / "data" / "storage" / "blocks" / STORE).st_mode) == 0o700


def test_an_account_that_does_not_exist_stops_before_any_change(root, tmp_path):
    value = stored(root, tmp_path, **{"conf/.env": {"type": "f", "mode": "0600", "user": "nobody-of-this-name", "group": MINE}})
    os.chmod(root / "conf" / "seafile.conf", 0o600)
    with pytest.raises(SeafileError) as caught:
        attributes.apply(str(root), value, True)
    assert (caught.value.code, caught.value.what) == ("account-missing", "nobody-of-this-name")
    assert stat.S_IMODE(os.stat(root / "conf" / "seafile.conf").st_mode) == 0o600
    assert attributes.apply(str(root), value, True, user=ME)[1] == []


def test_a_number_that_had_no_name_stays_a_number():
    accounts = attributes.Accounts()
    assert accounts.uid("12345678") == accounts.gid("12345678") == 12345678
    assert accounts.uid(ME) == os.getuid() and accounts.gid(MINE) == os.getgid()
    for name in ("\u0661\u0662", "", "-1", "1 "):
        with pytest.raises(SeafileError):
            accounts.uid(name)


def test_the_accounts_of_a_deployment_are_known_beforehand(root, tmp_path):
    value = stored(root, tmp_path, **{"conf/.env": {"type": "f", "mode": "0600", "user": "a", "group": "b"}})
    assert attributes.owners(value) == (sorted({ME, "a"}), sorted({MINE, "b"}))


@pytest.mark.parametrize("change", [
    {"format": 2}, {"storage": 5}, {"storage": "/etc"}, {"storage": "../x"}, {"entries": None}, {"entries": {}}, {"entries": {".": {}}},
    {"entries": {".": {"type": "f"}}}, {"entries": {".": {"type": "df", "mode": "0700", "user": "a", "group": "b"}}},
    {"entries": {".": {"type": "d", "mode": "rwx", "user": "a", "group": "b"}}}, {"entries": {".": {"type": "d", "mode": "77777", "user": "a", "group": "b"}}},
    {"entries": {".": {"type": "d", "mode": "0700", "user": 0, "group": "b"}}}, {"entries": {".": "x"}},
])
def test_a_file_that_is_not_what_was_recorded_is_refused(tmp_path, change):
    good = {"format": 1, "storage": STORAGE, "entries": {".": {"type": "d", "mode": "0700", "user": "a", "group": "b"}}}
    path = tmp_path / "attributes.json"
    path.write_text(json.dumps(good))
    assert attributes.read(str(path)) == good
    path.write_text(json.dumps(dict(good, **change)))
    with pytest.raises(SeafileError) as caught:
        attributes.read(str(path))
    assert caught.value.code == "attributes-damaged"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", ""])
def test_a_path_that_leaves_the_deployment_is_refused(tmp_path, name):
    entry = {"type": "f", "mode": "0600", "user": "a", "group": "b"}
    (tmp_path / "x").write_text(json.dumps({"format": 1, "storage": STORAGE, "entries": {".": dict(entry, type="d"), name: entry}}))
    with pytest.raises(SeafileError) as caught:
        attributes.read(str(tmp_path / "x"))
    assert caught.value.code == "attributes-damaged"


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(SeafileError, match="the file is missing"):
        attributes.read(str(tmp_path / "x"))
