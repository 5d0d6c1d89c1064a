# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments of real servers are taken to another place, files and SQLite databases; MariaDB is in the integration target."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pickle
import sqlite3
import tarfile
import types

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import relocation_databases, relocation_mentions
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import read_configuration
from ansible_collections.seafleet.seafile.plugins.modules import deployment_place
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets

DEFAULTS = dict.fromkeys(["from_root", "from_url", "service_url", "database_host", "database_port", "database_user", "database_password",
                          "database_unix_socket", "login_host", "login_port", "login_password", "login_unix_socket"])
NEW = "https://cloud.example.net"


def run(root, check_mode=False, **params):
    given = dict(DEFAULTS, seafile_root=str(root), database_names={}, parts=["files", "databases"], login_user="root", from_root="/opt/haiwen", service_url=NEW)
    return deployment_place.Work(types.SimpleNamespace(params=dict(given, **params), check_mode=check_mode)).run()


def rows(path, statement, values=()):
    connection = sqlite3.connect(path)
    try:
        with connection:
            return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def pickled(value):
    return base64.b64encode(pickle.dumps(value, 2)).decode()


def without_objects(name, directory):
    """Unpack everything but the object store, which takes its time and is nothing here."""
    with tarfile.open(real_sets.FIXTURES / name / "haiwen.tar.gz") as archive:
        for member in archive:
            if member.isfile() and "/storage/" not in member.name:
                target = directory / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.extractfile(member).read())
    return directory / "haiwen"


def deployment(name, directory):
    """A real deployment whose web settings name another address than its files, in all three forms."""
    root = without_objects(name, directory)
    for key, value in (("SERVICE_URL", pickled("https://files.example.org/")), ("FILE_SERVER_ROOT", '"https://files.example.org/seafhttp"'),
                       ("SITE_NAME", "Files of files.example.org"), ("CUSTOM", pickled(["files.example.org"])), ("ENABLE_SIGNUP", pickled(True))):
        rows(root / "seahub.db", "INSERT INTO constance_config (constance_key, value) VALUES (?, ?)", (key, value))
    rows(root / "seafile-data/seafile.db", "DELETE FROM WebUploadTempFiles")
    rows(root / "seafile-data/seafile.db", "INSERT INTO WebUploadTempFiles VALUES ('x', '/a', '/opt/haiwen/seafile-data/httptemp/a'), ('y', '/b', '/other/b')")
    (root / "conf/extra.conf").write_text("[a]\nurl = https://files.example.org/x\n")
    os.chmod(root / "seahub.db", 0o640)
    return root


@pytest.fixture
def haiwen(tmp_path, monkeypatch):
    monkeypatch.setattr(relocation_mentions, "OUTSIDE", ())
    return deployment("seafile-11-sqlite", tmp_path)


@pytest.fixture
def old_haiwen(tmp_path, monkeypatch):
    monkeypatch.setattr(relocation_mentions, "OUTSIDE", ())
    return deployment("seafile-7-sqlite", tmp_path)


def picture(root):
    """Every file by sum and mode."""
    return {str(path.relative_to(root)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode)
            for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("made", ["haiwen", "old_haiwen"])
def test_files_and_databases_of_a_real_server_move_and_a_second_run_changes_nothing(made, request):
    haiwen = request.getfixturevalue(made)
    before = picture(haiwen)
    checked = run(haiwen, check_mode=True)
    assert picture(haiwen) == before

    done = run(haiwen)
    after = picture(haiwen)
    assert checked == done
    assert done["changed"] and done["rows"] == {"constance_config": 3, "WebUploadTempFiles": 1}
    assert done["urls"] == {"http://127.0.0.1:8000": NEW, "https://files.example.org": NEW}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == set(done["files"]) | {"seahub.db", "seafile-data/seafile.db"}
    assert set(done["files"]) == {"conf/ccnet.conf", "conf/extra.conf", "conf/gunicorn.conf.py"} | ({"ccnet/seafile.ini"} & set(before))
    assert all(after[name][0] == value for name, value in done["files"].items())
    assert {name: mode for name, (dummy, mode) in after.items()} == {name: mode for name, (dummy, mode) in before.items()}

    settings = dict(rows(haiwen / "seahub.db", "SELECT constance_key, value FROM constance_config"))
    assert pickle.loads(base64.b64decode(settings["SERVICE_URL"])) == NEW and json.loads(settings["FILE_SERVER_ROOT"]) == NEW + "/seafhttp"
    assert settings["SITE_NAME"] == "Files of cloud.example.net" and settings["ENABLE_SIGNUP"] == pickled(True)
    assert rows(haiwen / "seafile-data/seafile.db", "SELECT repo_id, tmp_file_path FROM WebUploadTempFiles ORDER BY 1") == [
        ("x", f"{haiwen}/seafile-data/httptemp/a"), ("y", "/other/b")]
    assert read_configuration(str(haiwen)).service_url == NEW
    assert any("CUSTOM still mentions" in note for note in done["notes"])
    assert any("/other/b" in note for note in done["notes"])

    again = run(haiwen, from_url="https://files.example.org")
    assert not again["changed"] and again["files"] == {} and again["rows"] == {} and again["diff"] == []
    assert picture(haiwen) == after


def test_each_part_by_itself_does_its_own(haiwen):
    before = picture(haiwen)
    files = run(haiwen, parts=["files"], from_url="https://files.example.org")
    assert files["rows"] == {} and {"conf/extra.conf", "conf/gunicorn.conf.py"} <= set(files["files"])
    between = picture(haiwen)
    assert {name for name in between if between[name] != before[name]} == set(files["files"])
    databases = run(haiwen, parts=["databases"])
    assert databases["files"] == {} and databases["rows"] == {"constance_config": 3, "WebUploadTempFiles": 1}


@pytest.mark.parametrize("form", ["{}", '"{}"', '{{"__type__": "default", "__value__": "{}"}}'])
def test_the_address_of_the_service_is_the_new_one_in_whatever_form_it_is_stored(haiwen, form):
    rows(haiwen / "seahub.db", "UPDATE constance_config SET value = ? WHERE constance_key = 'SERVICE_URL'", (form.format("http://10.1.2.3:8000/"),))
    assert run(haiwen)["urls"]["http://10.1.2.3:8000"] == NEW
    assert rows(haiwen / "seahub.db", "SELECT value FROM constance_config WHERE constance_key = 'SERVICE_URL'") == [(form.format(NEW),)]


def test_what_other_tables_hold_is_counted_and_left(haiwen):
    words = "see https://files.example.org and /opt/haiwen"
    rows(haiwen / "seahub.db", "INSERT INTO options_useroptions (email, option_key, option_val) VALUES ('a', 'b', ?)", (words,))
    found = run(haiwen)
    assert "seahub.db: 1 row mentions the old host or directory in options_useroptions; left as they are" in found["notes"]
    assert rows(haiwen / "seahub.db", "SELECT option_val FROM options_useroptions WHERE option_key = 'b'") == [(words,)]


def test_bytes_that_are_no_text_are_left_and_told(haiwen):
    rows(haiwen / "seahub.db", "UPDATE constance_config SET value = CAST(X'66FF' AS TEXT) WHERE constance_key = 'SITE_NAME'")
    rows(haiwen / "seafile-data/seafile.db", "UPDATE WebUploadTempFiles SET tmp_file_path = CAST(X'2F6F70742F68616977656E2FFF' AS TEXT)")
    result = run(haiwen)
    assert result["rows"] == {"constance_config": 2} and any("SITE_NAME is not UTF-8" in note for note in result["notes"])
    assert json.dumps(result) and any("WebUploadTempFiles names /opt/haiwen/" in note for note in result["notes"])


def test_a_locked_database_is_named_and_nothing_in_it_changes(haiwen, monkeypatch):
    monkeypatch.setattr(relocation_databases, "BUSY_SECONDS", 0.1)
    holder = sqlite3.connect(haiwen / "seahub.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(SeafileError) as failure:
            run(haiwen)
    finally:
        holder.close()
    assert failure.value.code == "sqlite-locked"
    assert dict(rows(haiwen / "seahub.db", "SELECT constance_key, value FROM constance_config"))["SITE_NAME"] == "Files of files.example.org"


def test_a_database_that_lies_behind_a_link_is_left_alone(haiwen, tmp_path):
    (haiwen / "seafile-data").rename(tmp_path / "elsewhere")
    (haiwen / "seafile-data").symlink_to(tmp_path / "elsewhere")
    before = (tmp_path / "elsewhere/seafile.db").read_bytes()
    with pytest.raises(SeafileError) as failure:
        run(haiwen)
    assert failure.value.code == "path-invalid" and (tmp_path / "elsewhere/seafile.db").read_bytes() == before


@pytest.mark.parametrize("params, code", [
    ({"service_url": "cloud.example.net"}, "place-url-invalid"), ({"seafile_root": "relative"}, "path-invalid"), ({"from_root": "relative"}, "path-invalid"),
    ({"from_root": "/"}, "path-invalid"),
    ({"database_host": "db"}, "engine-mismatch"), ({"database_names": {"a": None}}, "database-name-invalid"),
])
def test_bad_options_are_refused_before_anything_changes(haiwen, params, code):
    before = picture(haiwen)
    with pytest.raises(SeafileError) as failure:
        run(haiwen, **params)
    assert failure.value.code == code and picture(haiwen) == before


def test_nothing_asked_for_is_nothing_done(haiwen):
    before = picture(haiwen)
    result = run(haiwen, service_url=None, from_root=None)
    assert result == {"changed": False, "files": {}, "rows": {}, "urls": {}, "notes": [], "diff": []} and picture(haiwen) == before
