# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of every layout is taken to another place, and what Seafile reads from it then is what was asked for."""

from __future__ import annotations

import hashlib
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.seafleet.seafile.plugins.module_utils import relocation, relocation_diff, relocation_files, relocation_mentions
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.relocation_files import Plan, Wanted
from ansible_collections.seafleet.seafile.plugins.module_utils.relocation_folder import Folder
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import read_configuration
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.properties import examples

NEW = "https://cloud.example.net"
OLD_PASSWORD = "0ld'pass\"w#rd"
ALL = Wanted(names={"ccnet-db": "new_ccnet", "seafile-db": "new-seafile", "seahub-db": "new seahub"}, host="db.example.net", port=3310, user="cloud",
             password="n€w'pa\"ss\\w$rd")

SETTINGS = """# -*- coding: utf-8 -*-
# Seahub of files.example.org, kept apart from backup-files.example.org
SECRET_KEY = "canary-key"
SERVICE_URL = 'https://files.example.org/'
FILE_SERVER_ROOT = 'https://files.example.org/seafhttp'
ALLOWED_HOSTS = ['files.example.org', '.files.example.org', '127.0.0.1']
CSRF_TRUSTED_ORIGINS = ["https://files.example.org", 'http://files.example.org']
ONLYOFFICE_APIJS_URL = 'https://files.example.org/onlyoffice/web-apps/apps/api/documents/api.js'
THUMBNAIL_ROOT = '/opt/haiwen/seahub-data/thumbnail/thumb/'
EMAIL_HOST_PASSWORD = 'canary-mail'
DATABASES = {
    'default': {
        'ENGINE': 'django.db.backends.mysql', 'NAME': 'seahub-db', 'USER': 'seafile',
        'PASSWORD': %r,  # ours
        'HOST': '127.0.0.1',
        'PORT': '3306',
        'OPTIONS': {'charset': 'utf8mb4'},
    }
}
""" % OLD_PASSWORD
GUNICORN = "import os\nbind = \"127.0.0.1:8000\"\npids_dir = '/opt/haiwen/pids'\npidfile = os.path.join(pids_dir, 'seahub.pid')\n"
SEAFILE = ("[fileserver]\nport = 8082\n\n[database]\ntype = mysql\nhost = 127.0.0.1\nport = 3306\nuser = seafile\n"
           f"password = {OLD_PASSWORD}\ndb_name = seafile-db\nconnection_charset = utf8\n\n[history]\nkeep_days = 60\n")
CCNET = ("[General]\nSERVICE_URL = https://files.example.org\n# of files.example.org\n\n[Database]\nENGINE = mysql\nHOST = 127.0.0.1\nPORT = 3306\n"
         f"USER = seafile\nPASSWD = {OLD_PASSWORD}\nDB = ccnet-db\n")
ENVIRONMENT = ("COMPOSE_FILE='seafile-server.yml'\nSEAFILE_VOLUME=/opt/haiwen\nSEAFILE_MYSQL_DB_HOST=127.0.0.1\nSEAFILE_MYSQL_DB_PORT=3306\n"
               "SEAFILE_MYSQL_DB_USER=seafile\nSEAFILE_MYSQL_DB_PASSWORD='0ld'\\''pass\"w#rd'\nSEAFILE_MYSQL_DB_CCNET_DB_NAME=ccnet-db\n"
               "SEAFILE_MYSQL_DB_SEAFILE_DB_NAME=seafile-db\nSEAFILE_MYSQL_DB_SEAHUB_DB_NAME=seahub-db\nJWT_PRIVATE_KEY=canary-jwt\n"
               "SEAFILE_SERVER_HOSTNAME=files.example.org\nSEAFILE_SERVER_PROTOCOL=https\n")
EVENTS = f"[DATABASE]\ntype = mysql\nhost = 127.0.0.1\nport = 3306\nusername = seafile\npassword = {OLD_PASSWORD}\nname = seahub-db\n"

LAYOUTS = {
    "classic": {"ccnet/ccnet.conf": CCNET, "seafile-data/seafile.conf": SEAFILE, "seahub_settings.py": SETTINGS,
                "ccnet/seafile.ini": "/opt/haiwen/seafile-data\n"},
    "conf": {"conf/ccnet.conf": CCNET, "conf/seafile.conf": SEAFILE, "conf/seahub_settings.py": SETTINGS, "conf/gunicorn.conf.py": GUNICORN,
             "ccnet/seafile.ini": "/opt/haiwen/seafile-data", "conf/seafevents.conf": EVENTS, "conf/seahub_settings.py.bak": SETTINGS},
    # 12 and newer: .env alone, and with what upgrades left behind
    "env": {"conf/.env": ENVIRONMENT, "conf/seafile.conf": "[fileserver]\nport = 8082\n", "conf/seahub_settings.py": "TIME_ZONE = 'UTC'\n",
            "conf/gunicorn.conf.py": GUNICORN},
    "env-upgraded": {"conf/.env": ENVIRONMENT, "conf/seafile.conf": SEAFILE, "conf/ccnet.conf": CCNET, "conf/seahub_settings.py": SETTINGS},
    "docker": {"conf/.env": ENVIRONMENT, "conf/seafile.conf": SEAFILE, "conf/seahub_settings.py": SETTINGS},
}


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    (root / "seafile-data").mkdir(exist_ok=True)
    return str(root)


def place(root, wanted=ALL, url=NEW, from_root="/opt/haiwen", act=True):
    with Folder(root) as folder:
        configuration = read_configuration(root)
        relocation_files.check_wanted(wanted, configuration.databases)
        plan = Plan(folder, configuration, from_root, [], relocation.parse_address(url) if url else None, wanted).make()
        if act:
            plan.write()
        return plan


def snapshot(root):
    return {str(path.relative_to(root)): (path.read_bytes(), stat.S_IMODE(path.lstat().st_mode)) for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_back_at_its_new_place_without_the_old_host(tmp_path, layout):
    haiwen = tmp_path / "seafile"
    if layout == "docker":
        (tmp_path / "nginx").mkdir()
    root = write(haiwen, LAYOUTS[layout])
    if layout.startswith("env"):
        (haiwen / "seafile-server-12.0.1").mkdir()
    assert read_configuration(root).layout == layout.partition("-")[0]
    for path in haiwen.rglob("*.conf"):
        path.chmod(0o640)
    before = snapshot(haiwen)

    planned = place(root, act=False)
    assert snapshot(haiwen) == before
    plan = place(root)
    assert plan.sums() == planned.sums() == {name: hashlib.sha256(content).hexdigest() for name, (content, dummy) in snapshot(haiwen).items()
                                             if content != before[name][0]}
    assert {name: mode for name, (dummy, mode) in snapshot(haiwen).items()} == {name: mode for name, (dummy, mode) in before.items()}

    now = read_configuration(root)
    assert now.service_url == NEW and now.data_dir == f"{root}/seafile-data"
    names = {database.role: database.name for database in now.databases}
    assert names == {"ccnet": "new_ccnet", "seafile": "new-seafile", "seahub": "new seahub"}
    assert {(item.host, item.port, item.user, item.password, item.unix_socket) for item in now.databases} == {
        ("db.example.net", 3310, "cloud", ALL.password, None)}
    text = "".join(content.decode() for content, dummy in snapshot(haiwen).values())
    assert text.replace("backup-files.example.org", "").count("files.example.org") == 0
    assert "/opt/haiwen" not in text and text.count("127.0.0.1:8000") == "".join(LAYOUTS[layout].values()).count("127.0.0.1:8000")
    assert place(root).sums() == {}


def test_only_what_moves_changes(tmp_path):
    root = write(tmp_path, LAYOUTS["conf"])
    place(root)
    after = (tmp_path / "conf/seahub_settings.py").read_text("utf-8").splitlines()
    before = SETTINGS.splitlines()
    assert len(after) == len(before)
    assert [old for old, new in zip(before, after) if old == new] == [line for line in before if not any(
        word in line for word in (" files.example", "'https://", '"https', "'files", "/opt", "'NAME'", "'PASSWORD'", "'HOST'", "'PORT'"))]
    assert "# Seahub of cloud.example.net, kept apart from backup-files.example.org" in after
    assert "CSRF_TRUSTED_ORIGINS = [\"https://cloud.example.net\", 'http://cloud.example.net']" in after
    assert f"THUMBNAIL_ROOT = '{root}/seahub-data/thumbnail/thumb/'" in after


def test_no_password_is_in_the_difference_or_in_a_representation(tmp_path):
    root = write(tmp_path, dict(LAYOUTS["conf"], **{"conf/.env": ENVIRONMENT}))
    plan = place(root, act=False)
    shown = repr(plan.differences()) + repr(plan.notes) + repr(plan.wanted)
    assert len(plan.differences()) == len(plan.sums()) >= 7
    for secret in ("canary", "w#rd", "ss\\w", "n€w"):
        assert secret not in shown
    assert "******** (changed)" in shown and "new_ccnet" in shown and "'HOST': 'db.example.net'" in shown.replace("\\", "")


@pytest.mark.parametrize("line, shown", [
    ("password = hunter2", "password = ********"), ("# 'api_token': \"abc\", 'b': 1", "# 'api_token': ********"),
    ("redis://u:pw@h:1/", "redis://u:********@h:1/"),
    ("OAUTH_TOKEN_URL = 'https://h/'", "OAUTH_TOKEN_URL = 'https://h/'"), ("PASSWD = ********", "PASSWD = ********"),
])
def test_what_looks_like_a_secret_is_masked_in_any_file(line, shown):
    assert relocation_diff.changed_lines("", line) == ("", shown + "\n")


def test_absent_settings_are_added_only_where_the_default_is_another(tmp_path):
    shorter = {
        "conf/seafile.conf": "[database]\ntype = mysql\nhost = 127.0.0.1\nuser = s\ndb_name = seafile-db\n",
        "conf/ccnet.conf": "[Database]\nENGINE = mysql\nHOST = 127.0.0.1\nUSER = s\nDB = ccnet-db\n",
        "conf/seahub_settings.py": "DATABASES = {'default': {'ENGINE': 'django.db.backends.mysql', 'NAME': 'seahub-db', 'USER': 's', 'HOST': 'localhost'}}\n",
    }
    root = write(tmp_path, shorter)
    assert place(root, Wanted(port=3306), None, None).sums() == {}
    place(root, Wanted(port=3307, password="p"), NEW, None)
    now = read_configuration(root)
    assert {(item.port, item.password) for item in now.databases} == {(3307, "p")} and now.service_url == NEW
    assert (tmp_path / "conf/ccnet.conf").read_text() == shorter["conf/ccnet.conf"] + "PORT = 3307\nPASSWD = p\n"
    assert (tmp_path / "conf/seahub_settings.py").read_text().splitlines()[1:] == [
        "SERVICE_URL = 'https://cloud.example.net'", "DATABASES['default']['PORT'] = '3307'", "DATABASES['default']['PASSWORD'] = 'p'"]


def test_without_names_in_its_environment_version_12_gets_them_there(tmp_path):
    root = write(tmp_path, {"conf/.env": "SEAFILE_MYSQL_DB_HOST=db\nSEAFILE_MYSQL_DB_USER=s\nSEAFILE_MYSQL_DB_PASSWORD=x\nJWT_PRIVATE_KEY=y\n"})
    (tmp_path / "seafile-server-12.0.1").mkdir()
    place(root, Wanted(names={"ccnet_db": "c", "seahub_db": "h"}, port=3307), "http://cloud.example.net:8000", None)
    now = read_configuration(root)
    assert {item.role: (item.name, item.port) for item in now.databases} == {"ccnet": ("c", 3307), "seafile": ("seafile_db", 3307), "seahub": ("h", 3307)}
    assert now.service_url == "http://cloud.example.net:8000"
    assert "PROTOCOL" not in (tmp_path / "conf/.env").read_text()


def with_sockets():
    return {
        "conf/seafile.conf": SEAFILE.replace("port = 3306", "unix_socket = /run/old.sock"),
        "conf/ccnet.conf": CCNET.replace("PORT = 3306", "UNIX_SOCKET = /run/old.sock"),
        "conf/seahub_settings.py": SETTINGS.replace("'charset': 'utf8mb4'", "'unix_socket': '/run/old.sock', 'charset': 'utf8mb4'"),
    }


def test_from_a_socket_to_a_host_and_back(tmp_path):
    root = write(tmp_path, with_sockets())
    place(root, Wanted(host="db.example.net"))
    assert {(item.host, item.unix_socket) for item in read_configuration(root).databases} == {("db.example.net", None)}
    assert "old.sock" not in "".join(content.decode() for content, dummy in snapshot(tmp_path).values())
    place(root, Wanted(unix_socket="/run/new.sock"))
    assert {item.unix_socket for item in read_configuration(root).databases} == {"/run/new.sock"}
    assert place(root, Wanted(unix_socket="/run/new.sock")).sums() == {}


@pytest.mark.parametrize("settings", [
    "PW = 'old'\nDATABASES = {'default': {'ENGINE': 'django.db.backends.mysql', 'NAME': 'seahub-db', 'USER': 'u', 'PASSWORD': PW, 'HOST': 'a' + 'b'}}\n",
    "import os\nDATABASES = {'default': {'ENGINE': 'django.db.backends.mysql', 'NAME': os.environ.get('N', 'seahub-db'), 'USER': 'u', "
    "'PASSWORD': os.getenv('P', 'x'), 'HOST': 'h'}}\n",
    "D = {'ENGINE': 'django.db.backends.mysql', 'NAME': 'seahub-db', 'USER': 'u'}\nDATABASES = {'default': D}\nDATABASES['default']['PASSWORD'] = 'old'\n",
    "try:\n    DATABASES = {}\n"
    "    DATABASES['default'] = {'ENGINE': 'django.db.backends.mysql', 'NAME': 'seahub-db', 'USER': 'u'}\nexcept Exception:\n    pass\n",
])
def test_computed_values_give_way_to_plain_ones(tmp_path, settings):
    root = write(tmp_path, dict(LAYOUTS["conf"], **{"conf/seahub_settings.py": settings}))
    place(root)
    seahub = next(item for item in read_configuration(root).databases if item.role == "seahub")
    assert (seahub.name, seahub.host, seahub.port, seahub.user, seahub.password) == ("new seahub", "db.example.net", 3310, "cloud", ALL.password)


def test_the_settings_are_never_executed(tmp_path):
    bomb = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    root = write(tmp_path / "s", dict(LAYOUTS["conf"], **{"conf/seahub_settings.py": bomb + SETTINGS, "conf/gunicorn.conf.py": bomb + GUNICORN}))
    place(root)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("wanted, code", [
    (Wanted(names={"nobody": "x"}), "database-unknown"), (Wanted(names={"ccnet-db": "x", "seafile-db": "x"}), "database-name-invalid"),
    (Wanted(names={"ccnet-db": "seafile-db", "seafile-db": "y"}), "database-name-invalid"), (Wanted(names={"ccnet-db": "mysql"}), "database-name-invalid"),
    (Wanted(names={"ccnet-db": "a\nb"}), "database-name-invalid"), (Wanted(host="a b"), "place-value-invalid"),
    (Wanted(password="ends with "), "place-value-invalid"),
])
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, wanted, code):
    root = write(tmp_path, LAYOUTS["conf"])
    before = snapshot(tmp_path)
    with pytest.raises(SeafileError) as failure:
        place(root, wanted)
    assert failure.value.code == code and "ends with" not in failure.value.message
    assert snapshot(tmp_path) == before


def test_a_server_with_sqlite_has_no_database_server(tmp_path):
    root = write(tmp_path, {"conf/seafile.conf": "[fileserver]\n", "conf/ccnet.conf": "[General]\n", "conf/seahub_settings.py": ""})
    with pytest.raises(SeafileError) as failure:
        place(root)
    assert failure.value.code == "engine-mismatch"
    place(root, Wanted(), NEW)
    assert read_configuration(root).service_url == NEW


def test_a_sqlite_file_that_is_named_by_its_path_moves_with_the_directory(tmp_path):
    settings = "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': '/opt/haiwen/seahub.db'}}\n"
    root = write(tmp_path, {"conf/seafile.conf": "[fileserver]\n", "conf/ccnet.conf": "[General]\n", "conf/seahub_settings.py": settings})
    place(root, Wanted(), None)
    assert (tmp_path / "conf/seahub_settings.py").read_text() == settings.replace("/opt/haiwen", root)


def test_links_are_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("seafile.conf", "other.conf"):
        (outside / name).write_text("[x]\nurl = https://files.example.org\n")
    root = tmp_path / "root"
    write(root, LAYOUTS["conf"])
    (root / "conf/other.conf").symlink_to(outside / "other.conf")
    (root / "conf/.ccnet.conf.partial").symlink_to(outside / "other.conf")
    before = snapshot(outside)
    plan = place(str(root), Wanted())
    assert snapshot(outside) == before and "conf/other.conf is a link; what it holds was left as it is" in plan.notes
    assert (root / "conf/other.conf").is_symlink() and not (root / "conf/.ccnet.conf.partial").is_symlink()
    # a whole directory that leads elsewhere
    (root / "conf").rename(outside / "conf")
    (root / "conf").symlink_to(outside / "conf")
    before = snapshot(outside)
    with pytest.raises(SeafileError) as failure:
        place(str(root), Wanted(host="db.example.net"))
    assert failure.value.code == "config-not-rewritten" and snapshot(outside) == before


def test_the_root_may_be_a_link(tmp_path):
    write(tmp_path / "real", LAYOUTS["conf"])
    (tmp_path / "seafile").symlink_to("real")
    place(str(tmp_path / "seafile"))
    assert f"pids_dir = '{tmp_path}/seafile/pids'" in (tmp_path / "real/conf/gunicorn.conf.py").read_text()


@pytest.mark.parametrize("named, there, after", [
    ("/opt/haiwen/seafile-data", None, "{root}/seafile-data"), ("/mnt/real/seafile-data", "seafile-data", "{root}/seafile-data"),
    ("/mnt/real/daten", "daten", "{root}/daten"), ("/mnt/real/daten", None, "/mnt/real/daten"),
])
def test_the_data_directory_is_the_one_in_the_deployment(tmp_path, named, there, after):
    root = write(tmp_path, dict(LAYOUTS["conf"], **{"ccnet/seafile.ini": f"{named}\n"}))
    if there:
        (tmp_path / there).mkdir(exist_ok=True)
    place(root)
    assert (tmp_path / "ccnet/seafile.ini").read_text() == after.format(root=root) + "\n"


def test_what_is_left_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(relocation_mentions, "OUTSIDE", (str(tmp_path / "etc/nginx"), str(tmp_path / "none")))
    root = write(tmp_path / "root", dict(LAYOUTS["conf"], **{
        "conf/key.bin": b"\0\1files.example.org\0", "seahub-data/custom/login.html": "<a href='https://files.example.org'>", "start.sh": "cd /opt/haiwen",
        "conf/__pycache__/x.pyc": b"\0/opt/haiwen"}))
    write(tmp_path / "etc", {"nginx/sites/seafile.conf": "server_name files.example.org;\nroot /opt/haiwen;", "nginx/other": "nothing"})
    (tmp_path / "root/seafile-server-latest").symlink_to("/opt/haiwen/seafile-server-11.0.13")
    plan = place(root, Wanted())
    with Folder(root) as folder:
        notes = plan.notes + relocation_mentions.mentions(folder, plan.move)
    assert notes == [
        "conf/key.bin still mentions files.example.org",
        "conf/seahub_settings.py still mentions backup-files.example.org",
        "conf/seahub_settings.py.bak still mentions backup-files.example.org",
        "seafile-server-latest leads to /opt/haiwen; it was left as it is",
        "start.sh mentions /opt/haiwen; it was left as it is",
        "seahub-data/custom/login.html mentions files.example.org; it was left as it is",
        f"{tmp_path}/etc/nginx/sites/seafile.conf mentions /opt/haiwen, files.example.org; it was left as it is",
    ]


@pytest.mark.parametrize("settings, lacks", [
    ("ALLOWED_HOSTS = ['127.0.0.1']\nCSRF_TRUSTED_ORIGINS = ['http://127.0.0.1']\n", ["ALLOWED_HOSTS lacks cloud", "CSRF_TRUSTED_ORIGINS lacks https://cloud"]),
    ("ALLOWED_HOSTS = ('*',)\n", []), ("ALLOWED_HOSTS = ['.example.net']\n", []), ("ALLOWED_HOSTS = [X]\n", []), ("", []),
    ("ALLOWED_HOSTS = ['files.example.org']\nCSRF_TRUSTED_ORIGINS = ['https://files.example.org']\n", []),
])
def test_lists_that_would_turn_the_new_address_away_are_told(tmp_path, settings, lacks):
    root = write(tmp_path, dict(LAYOUTS["conf"], **{"conf/seahub_settings.py": settings}))
    notes = place(root, Wanted()).notes
    assert len(notes) == len(lacks) + 1 and all(any(words in note for note in notes) for words in lacks)


def test_a_database_server_on_the_old_host_is_not_moved_by_the_address_but_told(tmp_path):
    root = write(tmp_path, {name: content.replace("127.0.0.1", "files.example.org") for name, content in LAYOUTS["conf"].items()})
    plan = place(root, Wanted())
    assert {item.host for item in read_configuration(root).databases} == {"files.example.org"}
    assert "the database server is still files.example.org, the old host; give database_host if it moved too" in plan.notes


def test_a_failed_write_leaves_the_file_and_nothing_beside_it(tmp_path, monkeypatch):
    root = write(tmp_path, LAYOUTS["conf"])
    before = snapshot(tmp_path)

    def full(dummy):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="conf/ccnet.conf|seafile.ini"):
        place(root)
    assert snapshot(tmp_path) == before


PASSWORD = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(lambda text: text == text.strip(" \t\n\r\f\v"))
NAME = st.from_regex(r"[A-Za-z0-9_$'`\"-]{1,20}", fullmatch=True)


@examples(20)
@given(PASSWORD, NAME, st.sampled_from(sorted(set(LAYOUTS) - {"docker", "classic"})))
def test_any_password_and_name_is_read_back_in_every_layout(tmp_path_factory, password, name, layout):
    directory = tmp_path_factory.mktemp("layout")
    files = {path: content for path, content in LAYOUTS[layout].items() if path != "conf/seafevents.conf"}
    root = write(directory, files)
    if layout.startswith("env"):
        (directory / "seafile-server-12.0.1").mkdir()
    place(root, Wanted(names={"seahub-db": "h" + name}, password=password))
    now = read_configuration(root)
    assert {item.password for item in now.databases} == {password}
    assert {item.role: item.name for item in now.databases}["seahub"] == "h" + name
