# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every layout of Seafile's configuration is read as Seafile reads it, and what cannot be read is named."""

from __future__ import annotations

import json

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import seafile_config
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import EnvironmentFile, KeyFile, SeahubSettings, read_configuration

from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets

# What g_key_file_get_string of GLib 2.74 gave for "password = " and these bytes, white space at the end stripped as Seafile does
GLIB = [
    (b"plain", "plain"),
    (b"  spaces before", "spaces before"),
    (b"spaces after  ", "spaces after"),
    (b"100%done %(user)s", "100%done %(user)s"),
    (b"a#b;c", "a#b;c"),
    (b"#first", "#first"),
    (b";first", ";first"),
    (b'"quoted"', '"quoted"'),
    (b"it's", "it's"),
    (b"a=b==", "a=b=="),
    (b"$HOME `id`", "$HOME `id`"),
    (b"back\\\\slash", "back\\slash"),
    (b"tab\\tnew\\nline\\sspace", "tab\tnew\nline space"),
    (b"unknown\\qescape\\x", "unknown\\qescape\\x"),
    (b"at the end\\\\", "at the end\\"),
    ("umläut € 😀".encode(), "umläut € 😀"),
    (b"[brackets]", "[brackets]"),
    (b"\xc2\xa0nbsp", "\u00a0nbsp"),
    (b"x" * 200, "x" * 200),
    (b"", None),
    (b"   ", None),
]

# What bash 5.2 gave for P=... after X=ecks
SHELL = [
    ("plain", "plain"),
    ("'single $x #y'", "single $x #y"),
    ('"double $X #y"', "double ecks #y"),
    ("a#b", "a#b"),
    ("a #comment", "a"),
    ("'it'\\''s'", "it's"),
    ('"a\\"b\\\\c\\$d"', 'a"b\\c$d'),
    ("back\\slash", "backslash"),
    ("100%", "100%"),
    ("$X-$Y", "ecks-"),
    ('"$X${X}"', "ecksecks"),
    ("$", "$"),
    ('"cost $"', "cost $"),
    ("''", None),
    ("'multi\nline'", "multi\nline"),
    ("ü€😀", "ü€😀"),
    ("a;", "a"),
    ("a'b'\"c\"", "abc"),
]

ODD_PASSWORDS = ["pl#in", 'do"uble', "sin'gle", "back\\slash", "do$llar", "per%cent %(x)s", "line\nbreak", "ünïcödé 😀", "semi;colon", "x" * 200, " lead", "a=b"]


def key_file_value(text):
    """Write a value as Seafile's administrator has to write it in a key file."""
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    return "\\s" + escaped[1:] if escaped.startswith(" ") else escaped


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return str(root)


def mysql_files(password="secret-Pass", where="conf/"):
    return {
        f"{where}seafile.conf": "[fileserver]\nport = 8082\n\n[database]\ntype = mysql\nhost = db.example.org\nport = 3307\nuser = sea\n"
                                f"password = {key_file_value(password)}\ndb_name = seafile-db\nconnection_charset = utf8\n\n[history]\nkeep_days = 60\n",
        f"{where}ccnet.conf": "[General]\nSERVICE_URL = https://files.example.org\nID = 952c2911f3f1daa138d1006c8fc1a1d77f194f31\n\n"
                              "[Database]\nENGINE = mysql\n"
                              f"HOST = db.example.org\nUSER = sea\nPASSWD = {key_file_value(password)}\nDB = ccnet-db\n",
        f"{where}seahub_settings.py": "# -*- coding: utf-8 -*-\nSECRET_KEY = 'x'\n"
                                      "DATABASES = {'default': {'ENGINE': 'django.db.backends.mysql', 'NAME': 'seahub-db',\n"
                                      f" 'USER': 'sea', 'PASSWORD': {password!r}, 'HOST': 'db.example.org',\n"
                                      " 'PORT': '3307', 'OPTIONS': {'charset': 'utf8mb4'}}}\n",
    }


def by_role(configuration):
    return {database.role: database for database in configuration.databases}


@pytest.mark.parametrize("written, value", GLIB)
def test_a_key_file_is_read_as_glib_reads_it(written, value):
    assert KeyFile("f", b"# a comment\n[database]\npassword = " + written + b"\n").get("database", "password") == value


def test_in_a_key_file_the_last_value_wins_and_groups_may_come_twice():
    assert KeyFile("f", b"[a]\r\nx=1\r\n[b]\nx=2\n[a]\n\tx =3").get("a", "x") == "3"


@pytest.mark.parametrize("content, line", [(b"[a]\nx = 1\nnonsense\n", 3), (b"x = 1\n", 1), (b"[a]\n= 1\n", 2), (b"[a]\n; no comment here\n", 2)])
def test_a_malformed_key_file_is_named_with_its_line(content, line):
    with pytest.raises(SeafileError) as failure:
        KeyFile("/srv/conf/seafile.conf", content)
    assert failure.value.code == "config-unreadable"
    assert f"/srv/conf/seafile.conf:{line}" in failure.value.message


def test_a_value_that_is_not_utf8_is_refused_only_when_it_is_wanted():
    file = KeyFile("f", b"[a]\ny = \xff\nx = 1\n# \xfe\n")
    assert file.get("a", "x") == "1"
    with pytest.raises(SeafileError, match="f:2"):
        file.get("a", "y")


@pytest.mark.parametrize("written, value", SHELL)
def test_an_environment_file_is_read_as_the_shell_reads_it(written, value):
    file = EnvironmentFile("f", f"X=ecks\nexport P={written}\nQ=end\n".encode())
    assert file.get("P") == value
    assert file.get("Q") == "end"


@pytest.mark.parametrize("written", ["$(id)", "`id`", '"a`b"', "a b", "'open", '"pa$$word"', "~", "a&b"])
def test_a_value_only_a_shell_could_know_is_refused_with_its_line_and_not_shown(written):
    file = EnvironmentFile("conf/.env", f"X=1\nP={written}\n".encode())
    assert file.get("X") == "1"
    with pytest.raises(SeafileError) as failure:
        file.get("P")
    assert failure.value.code == "config-unreadable" and "conf/.env:2" in failure.value.message


def test_the_settings_of_seahub_are_never_executed(tmp_path):
    witness = tmp_path / "executed"
    settings = SeahubSettings("s", f"open({str(witness)!r}, 'w')\nDATABASES = {{'default': {{'ENGINE': 'x.mysql', 'NAME': 'n'}}}}\n".encode())
    assert settings.database() == {"ENGINE": "x.mysql", "NAME": "n"}
    assert not witness.exists()


@pytest.mark.parametrize("content", [
    "DATABASES = {'default': {'NAME': 'one', 'PASSWORD': 'pw'}}",
    "DATABASES = {}\nDATABASES['default'] = {'NAME': 'one', 'PASSWORD': 'pw'}",
    "PW = 'p' + 'w'\nMAIN = {'NAME': 'one', 'PASSWORD': PW}\nDATABASES = {'default': MAIN}",
    "DATABASES = {'default': {'NAME': 'x', 'PASSWORD': 'x'}}\nDATABASES['default']['NAME'] = 'one'\nDATABASES['default']['PASSWORD'] = 'pw'",
    "import os\nDATABASES = {'default': {'NAME': os.environ.get('NOT_THERE', 'one'), 'PASSWORD': os.environ['PW']}}",
    "try:\n    DATABASES = {'default': {'NAME': 'one', 'PASSWORD': str('pw')}}\nexcept Exception:\n    pass",
])
def test_the_usual_ways_of_setting_the_database_of_seahub_are_understood(content):
    assert SeahubSettings("s", content.encode(), EnvironmentFile("e", b"PW=pw\n")).database() == {"NAME": "one", "PASSWORD": "pw"}


@pytest.mark.parametrize("content, line", [
    ("SECRET_KEY = 'x'\nDATABASES = load('x')\n", 2),
    ("import os\n\nDATABASES = {'default': {'ENGINE': 'mysql',\n 'PASSWORD': open('/x').read()}}\n", 4),
    ("x = (\n", 1),
])
def test_settings_that_would_have_to_be_executed_are_named_with_their_line(content, line):
    with pytest.raises(SeafileError) as failure:
        SeahubSettings("conf/seahub_settings.py", content.encode()).database()
    assert failure.value.code == "config-unreadable"
    assert failure.value.what.startswith(f"conf/seahub_settings.py:{line}")


def test_the_classic_layout_of_the_manual_with_mysql(tmp_path):
    files = mysql_files(where="")
    root = write(tmp_path, {
        "seafile-data/seafile.conf": files["seafile.conf"], "ccnet/ccnet.conf": files["ccnet.conf"],
        "ccnet/seafile.ini": f"{tmp_path}/seafile-data", "seahub_settings.py": files["seahub_settings.py"], "seafile-server-4.4.6/seafile.sh": "",
    })
    configuration = read_configuration(root)
    assert (configuration.layout, configuration.engine, configuration.version) == ("classic", "mysql", "4.4.6")
    assert [(database.role, database.name, database.port) for database in configuration.databases] == [
        ("ccnet", "ccnet-db", 3306), ("seafile", "seafile-db", 3307), ("seahub", "seahub-db", 3307)]
    assert {database.password for database in configuration.databases} == {"secret-Pass"}
    assert configuration.data_dir == f"{root}/seafile-data" and configuration.keep_days == 60
    assert configuration.service_url == "https://files.example.org" and configuration.ccnet_id.startswith("952c")


def test_the_classic_layout_of_the_manual_with_sqlite(tmp_path):
    root = write(tmp_path, {"seafile-data/seafile.conf": "[network]\nport = 12001\n", "ccnet/ccnet.conf": "[General]\nID = abc\n"})
    configuration = read_configuration(root)
    assert (configuration.layout, configuration.engine, configuration.version, configuration.keep_days) == ("classic", "sqlite", None, None)
    assert {database.path for database in configuration.databases} == {
        "ccnet/PeerMgr/usermgr.db", "ccnet/GroupMgr/groupmgr.db", "seafile-data/seafile.db", "seahub.db"}


@pytest.mark.parametrize("name", ["seafile-7-sqlite", "seafile-11-sqlite", "seafile-11-mariadb"])
def test_the_configuration_of_a_real_server(name, tmp_path):
    root = real_sets.unpack(name, tmp_path)
    configuration = read_configuration(str(root))
    assert configuration.layout == "conf"
    assert set(configuration.object_stores.values()) == {"fs"}
    if name.endswith("mariadb"):
        names = {role: database.name for role, database in by_role(configuration).items()}
        assert names == {"ccnet": "ccnet-db", "seafile": "seafile-db", "seahub": "seahub-db"}
    else:
        assert {database.engine for database in configuration.databases} == {"sqlite"}
        assert all((root / database.path).is_file() for database in configuration.databases)


def test_a_data_directory_elsewhere_is_taken_from_seafile_ini(tmp_path):
    elsewhere = tmp_path / "data"
    elsewhere.mkdir()
    root = write(tmp_path / "haiwen", dict(mysql_files(), **{"ccnet/seafile.ini": f"{elsewhere}\n"}))
    configuration = read_configuration(root)
    assert (configuration.data_dir, configuration.data_dir_from) == (str(elsewhere), "ccnet/seafile.ini")


def test_a_seafile_ini_that_names_a_path_of_another_time_is_told_and_not_followed(tmp_path):
    root = write(tmp_path / "haiwen", dict(mysql_files(), **{"ccnet/seafile.ini": "/opt/of-another-time/seafile-data", "seafile-data/current_version": "7"}))
    configuration = read_configuration(root)
    assert (configuration.data_dir, configuration.data_dir_from) == (f"{root}/seafile-data", "default")
    assert any("/opt/of-another-time/seafile-data" in warning for warning in configuration.warnings)


def test_a_seafile_ini_through_a_link_to_the_same_place_is_the_same_place(tmp_path):
    root = write(tmp_path / "haiwen", dict(mysql_files(), **{"seafile-data/current_version": "7"}))
    (tmp_path / "link").symlink_to(root)
    write(tmp_path / "haiwen", {"ccnet/seafile.ini": f"{tmp_path}/link/seafile-data"})
    assert read_configuration(root).data_dir == f"{root}/seafile-data"


ENVIRONMENT = ("JWT_PRIVATE_KEY='k'\nSEAFILE_MYSQL_DB_HOST=10.0.0.5\nSEAFILE_MYSQL_DB_PORT=3308\nSEAFILE_MYSQL_DB_USER=envuser\n"
               "SEAFILE_MYSQL_DB_PASSWORD='env #pw'\nSEAFILE_SERVER_PROTOCOL=https\nSEAFILE_SERVER_HOSTNAME=files.example.org\n")


def test_in_version_12_the_environment_wins_over_the_files_and_names_have_defaults(tmp_path):
    files = dict(mysql_files(), **{"conf/.env": ENVIRONMENT, "seafile-server-12.0.14/x": ""})
    del files["conf/ccnet.conf"]
    configuration = read_configuration(write(tmp_path, files))
    databases = by_role(configuration)
    assert (configuration.layout, configuration.engine, configuration.service_url) == ("env", "mysql", "https://files.example.org")
    assert {(database.host, database.port, database.user, database.password) for database in databases.values()} == {("10.0.0.5", 3308, "envuser", "env #pw")}
    assert {role: database.name for role, database in databases.items()} == {"ccnet": "ccnet_db", "seafile": "seafile-db", "seahub": "seahub-db"}


def test_version_13_needs_nothing_but_the_environment(tmp_path):
    files = {"conf/.env": ENVIRONMENT + "SEAFILE_MYSQL_DB_SEAFILE_DB_NAME=other\n",
             "conf/seafile.conf": "[fileserver]\nport = 8082\n", "seafile-server-13.0.9/x": ""}
    configuration = read_configuration(write(tmp_path, files))
    assert {role: database.name for role, database in by_role(configuration).items()} == {"ccnet": "ccnet_db", "seafile": "other", "seahub": "seahub_db"}
    assert {database.password for database in configuration.databases} == {"env #pw"}


def test_version_12_takes_from_seafile_conf_what_the_environment_leaves_out(tmp_path):
    files = dict(mysql_files("from-conf"), **{"conf/.env": "JWT_PRIVATE_KEY=k\nSEAFILE_MYSQL_DB_CCNET_DB_NAME=users\n", "seafile-server-12.0.14/x": ""})
    configuration = read_configuration(write(tmp_path, files))
    assert by_role(configuration)["ccnet"].name == "users"
    assert {(database.host, database.password) for database in configuration.databases} == {("db.example.org", "from-conf")}
    assert any("ccnet-db" in warning for warning in configuration.warnings)  # the left-over ccnet.conf


def test_version_12_with_sqlite(tmp_path):
    files = {"conf/.env": "JWT_PRIVATE_KEY=k\n", "conf/seafile.conf": "[database]\ntype = sqlite\n", "seafile-server-12.0.14/x": ""}
    assert read_configuration(write(tmp_path, files)).engine == "sqlite"


def test_a_docker_volume_is_recognised_by_its_root_alone(tmp_path):
    files = dict(mysql_files(), **{"seafile-data/storage/x": "", "../nginx/conf": ""})
    root = tmp_path / "volume" / "seafile"
    root.mkdir(parents=True)
    assert read_configuration(write(root, files)).layout == "docker"


def test_a_restored_tree_without_programs_is_no_docker_volume(tmp_path):
    root = tmp_path / "seafile"
    root.mkdir()
    (root / "seafile-server-latest").symlink_to("seafile-server-11.0.13")
    configuration = read_configuration(write(root, mysql_files()))
    assert (configuration.layout, configuration.version, configuration.programs) == ("conf", "11.0.13", "seafile-server-11.0.13")


def test_the_newest_programs_are_found_by_number_not_by_alphabet(tmp_path):
    for name in ("seafile-server-9.0.10", "seafile-pro-server-11.0.2", "seafile-server-backup"):
        (tmp_path / name).mkdir()
    assert seafile_config.read_version(str(tmp_path)) == ("11.0.2", "seafile-pro-server-11.0.2")


@pytest.mark.parametrize("password", ODD_PASSWORDS)
def test_a_password_may_hold_any_character_and_is_never_shown(password, tmp_path):
    configuration = read_configuration(write(tmp_path, mysql_files(password)))
    assert [database.password for database in configuration.databases] == [password] * 3
    shown = repr(configuration) + json.dumps([database.public() for database in configuration.databases], ensure_ascii=False)
    assert password not in shown and repr(password)[1:-1] not in shown


@pytest.mark.parametrize("added, store", [
    ("[commit_object_backend]\nname = s3\nbucket = x\nkey = y\n", "s3"),
    ("[block_backend]\nname = ceph\n", "ceph"),
    ("[fs_object_backend]\nname = swift\n", "swift"),
    ("[storage]\nenable_storage_classes = true\n", "multiple"),
])
def test_an_object_store_elsewhere_is_refused_in_words(added, store, tmp_path):
    files = mysql_files()
    files["conf/seafile.conf"] += added
    with pytest.raises(SeafileError) as failure:
        seafile_config.require_local_objects(read_configuration(write(tmp_path, files)))
    assert failure.value.code == "object-store-elsewhere" and store in failure.value.message


def test_an_object_store_elsewhere_by_the_environment_is_refused_too(tmp_path):
    files = dict(mysql_files(), **{"conf/.env": ENVIRONMENT + "SEAF_SERVER_STORAGE_TYPE=s3\n"})
    with pytest.raises(SeafileError, match="s3"):
        seafile_config.require_local_objects(read_configuration(write(tmp_path, files)))


def test_a_back_end_of_plain_files_is_local(tmp_path):
    files = mysql_files()
    files["conf/seafile.conf"] += "[block_backend]\nname = filesystem\n"
    seafile_config.require_local_objects(read_configuration(write(tmp_path, files)))


@pytest.mark.parametrize("files, code", [
    ({}, "no-seafile"),
    ({"readme.txt": ""}, "no-seafile"),
    ({"seafile-data/current_version": "11"}, "unknown-layout"),
    ({"seafile-server-11.0.13/seafile.sh": ""}, "unknown-layout"),
    ({"ccnet/ccnet.conf": "[General]\n"}, "config-unreadable"),
    ({"conf/ccnet.conf": "[General]\n"}, "config-unreadable"),
])
def test_a_half_installed_seafile_is_named_as_what_it_is(files, code, tmp_path):
    with pytest.raises(SeafileError) as failure:
        read_configuration(write(tmp_path, files))
    assert failure.value.code == code


@pytest.mark.parametrize("old, new, missing", [
    ("host = db.example.org\n", "", "no host"), ("user = sea\n", "", "no user"), ("db_name = seafile-db\n", "", "no name"),
    ("type = mysql", "type = pgsql", "pgsql"),
])
def test_a_database_that_seafile_itself_could_not_open_is_named(old, new, missing, tmp_path):
    files = mysql_files()
    files["conf/seafile.conf"] = files["conf/seafile.conf"].replace(old, new)
    with pytest.raises(SeafileError) as failure:
        read_configuration(write(tmp_path, files))
    assert failure.value.code == "config-unreadable" and missing in failure.value.message and "seafile.conf:" in failure.value.what


def test_a_socket_needs_no_host(tmp_path):
    files = mysql_files()
    files["conf/seafile.conf"] = files["conf/seafile.conf"].replace("host = db.example.org", "unix_socket = /run/mysqld/mysqld.sock")
    database = by_role(read_configuration(write(tmp_path, files)))["seafile"]
    assert (database.unix_socket, database.host) == ("/run/mysqld/mysqld.sock", "localhost")
