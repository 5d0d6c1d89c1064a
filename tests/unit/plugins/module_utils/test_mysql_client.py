# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_client
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Login

LOGIN = Login("db.example.org", 3307, "seafile", "s3cret#word")

# What the real programs said (MariaDB 10.11.19), and the code it must become.
REAL_MESSAGES = [
    ("ERROR 1045 (28000): Access denied for user 'seafile'@'localhost' (using password: YES)", "database-access-denied"),
    ("mariadb-dump: Got error: 1045: \"Access denied for user 'so'@'localhost' (using password: YES)\" when trying to connect", "database-access-denied"),
    ("ERROR 1698 (28000): Access denied for user 'root'@'localhost'", "database-access-denied"),
    ("mariadb-dump: Couldn't execute 'show events': Access denied for user 'ns'@'localhost' to database 'seafile-db' (1044)", "database-privilege-missing"),
    ("mariadb-dump: Couldn't execute 'show create table `v`': SHOW VIEW command denied to user 'ns'@'localhost' for table `vv`.`v` (1142)",
     "database-privilege-missing"),
    ("mariadb-dump: Couldn't execute 'FLUSH /*!40101 LOCAL */ TABLES': Access denied; you need (at least one of) the RELOAD privilege(s) for this "
     "operation (1227)", "database-privilege-missing"),
    ("mariadb-dump: Got error: 1049: \"Unknown database 'nope'\" when selecting the database", "database-unknown"),
    ("mariadb-dump: Got error: 2002: \"Can't connect to local server through socket '/nope' (2)\" when trying to connect", "database-unreachable"),
    ("ERROR 2002 (HY000): Can't connect to server on '127.0.0.1' (115)", "database-unreachable"),
    ("mariadb-dump: Got error: 2005: \"Unknown server host 'nosuch.invalid' (-2)\" when trying to connect", "database-unreachable"),
    ("mariadb-dump: Error 2013: Lost connection to server during query when dumping table `f` at row: 61201", "database-connection-lost"),
    ("mariadb-dump: Couldn't execute 'SHOW FIELDS FROM `v`': View 'bv.v' references invalid table(s) or column(s) or function(s) or definer/invoker "
     "of view lack rights to use them (1356)", "database-view-broken"),
    ("ERROR 1273 (HY000) at line 1: Unknown collation: 'utf8mb4_0900_ai_ci'", "database-collation-unknown"),
    ("ERROR 1115 (42000) at line 1: Unknown character set: 'latin9'", "database-collation-unknown"),
    ("ERROR 1064 (42000) at line 12: You have an error in your SQL syntax", "import-failed"),
    ("", "import-failed"),
]


@pytest.mark.parametrize("message, code", REAL_MESSAGES)
def test_every_message_becomes_a_stable_code(message, code):
    assert mysql_client.translate(message, "database x", LOGIN, "import-failed").code == code


def test_a_wrong_password_names_the_user_and_where_to_look():
    error = mysql_client.translate(REAL_MESSAGES[0][0], "database server", LOGIN, "database-error", "seafile.conf")
    assert "access denied for user seafile at db.example.org:3307" in error.message
    assert "seafile.conf" in error.next_step


def test_a_broken_view_is_named():
    message = [text for text, code in REAL_MESSAGES if code == "database-view-broken"][0]
    assert mysql_client.translate(message, "dump of bv", LOGIN, "dump-failed").what == "view bv.v"


def test_messages_never_hold_password_or_row_data_and_end_after_500_characters():
    message = "ERROR 1064 (42000) at line 7: syntax; check near '(1,'alice','PBKDF2SHA256$10000$abc')\n' at line 1 s3cret#word " + "x" * 900
    words = mysql_client.own_words(message, LOGIN)
    assert "PBKDF2" not in words and "s3cret#word" not in words
    assert len(words) <= mysql_client.STDERR_LIMIT + len(" [...]")


def test_the_statement_that_the_client_repeats_is_not_shown():
    message = "--------------\nCREATE USER 'u'@'h' IDENTIFIED BY 'other secret'\n--------------\n\nERROR 1227 (42000) at line 1: Access denied; you need\n"
    assert mysql_client.own_words(message) == "ERROR 1227 (42000) at line 1: Access denied; you need"


@pytest.mark.parametrize("value, written", [
    ("plain", '"plain"'),
    ("", '""'),
    ("a#b", '"a#b"'),
    ('say "x"', '"say \\"x\\""'),
    ("it's", '"it\'s"'),
    ("back\\slash\\", '"back\\\\slash\\\\"'),
    ("$HOME %s", '"$HOME %s"'),
    (" lead and trail ", '" lead and trail "'),
    ("two\nlines\r\t\b", '"two\\nlines\\r\\t\\b"'),
    ("Grüße 😀", '"Grüße 😀"'),
])
def test_option_values_are_quoted_as_the_programs_read_them(value, written):
    assert mysql_client.option_value(value) == written


def test_a_password_of_200_characters_is_whole():
    assert b"p" * 200 in mysql_client.option_file(Login(password="p" * 200))


@pytest.mark.parametrize("password", ["p" * 5000, "a\0b"])
def test_what_an_option_file_would_cut_is_refused(password):
    with pytest.raises(SeafileError) as caught:
        mysql_client.option_file(Login(password=password))
    assert caught.value.code == "database-login-invalid"
    assert password not in caught.value.message


def test_a_socket_wins_and_localhost_keeps_its_meaning():
    assert b'socket="/s"' in mysql_client.option_file(Login("db", unix_socket="/s")) and b"host" not in mysql_client.option_file(Login("db", unix_socket="/s"))
    assert b"protocol" not in mysql_client.option_file(Login("localhost"))
    assert b'protocol="tcp"' in mysql_client.option_file(Login("127.0.0.1"))


def test_the_option_file_has_no_name_and_only_its_owner_reads_it():
    with mysql_client.OptionFile(LOGIN) as options:
        status = os.fstat(options.descriptor)
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert status.st_nlink == 0
        read = subprocess.run([sys.executable, "-c", "import sys; print(open(sys.argv[1].split('=')[1]).read())", options.argument],
                              pass_fds=(options.descriptor,), stdout=subprocess.PIPE, check=True)
        assert b's3cret#word"' in read.stdout
        assert "s3cret" not in options.argument
    with pytest.raises(OSError):
        os.fstat(options.descriptor)


def test_a_login_never_shows_its_password():
    assert "s3cret" not in repr(LOGIN) + str(LOGIN) + f"{LOGIN}"


def test_the_environment_cannot_send_the_programs_elsewhere(monkeypatch):
    monkeypatch.setenv("MYSQL_PWD", "x")
    monkeypatch.setenv("MYSQL_HOST", "elsewhere")
    monkeypatch.setenv("MARIADB_TCP_PORT", "1")
    monkeypatch.setenv("MYSQL_TEST_LOGIN_FILE", "/root/.mylogin.cnf")
    environment = mysql_client.environment()
    assert not {"MYSQL_PWD", "MYSQL_HOST", "MARIADB_TCP_PORT"} & set(environment)
    assert not os.path.exists(environment["MYSQL_TEST_LOGIN_FILE"])


@pytest.mark.parametrize("value, written", [
    ("it's", "'it\\'s'"), ("a\\b", "'a\\\\b'"), ("x\ny\r\0", "'x\\ny\\r\\0'"), ("'; DROP DATABASE x; --", "'\\'; DROP DATABASE x; --'"),
])
def test_literals_cannot_end_early(value, written):
    assert mysql_client.literal(value) == written


def test_identifiers_and_grant_patterns():
    assert mysql_client.identifier("a`b") == "`a``b`"
    assert mysql_client.grant_pattern("seafile_db%") == "seafile\\_db\\%"


@pytest.mark.parametrize("field, value", [("a\\tb\\nc", "a\tb\nc"), ("a\\\\nb", "a\\nb"), ("\\0", "\0"), ("plain", "plain")])
def test_batch_fields_are_unescaped(field, value):
    assert mysql_client.unescape_batch(field) == value


@pytest.mark.parametrize("name", ["seafile-db", "a b", "a`b", "-rf", "\"q'", "büro", "x" * 64, "日本"])
def test_odd_database_names_are_names(name):
    assert mysql_client.check_database_name(name) == name


@pytest.mark.parametrize("name", ["", "a\nb", "a\0b", "x" * 65, "mysql", "Information_Schema", "trailing ", "😀", "a\x1bb"])
def test_names_no_dump_may_have_are_refused(name):
    with pytest.raises(SeafileError) as caught:
        mysql_client.check_database_name(name)
    assert caught.value.code == "database-name-invalid"
    assert "\n" not in caught.value.message and "\x1b" not in caught.value.message


def test_a_missing_client_names_the_package(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(mysql_client, "_PLACES", ())
    with pytest.raises(SeafileError) as caught:
        mysql_client.find_program(["mariadb-dump", "mysqldump"], "dump the databases")
    assert caught.value.code == "missing-tool"
    assert "mariadb-client" in caught.value.next_step


@pytest.mark.parametrize("version, flavour", [
    ("mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)", "mariadb"),
    ("mysqldump  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", "oracle"),
    ("10.11.19-MariaDB-0+deb12u1", "mariadb"), ("9.7.4-2", "oracle"), ("8.0.36", "oracle"),
])
def test_mariadb_is_told_from_oracle(version, flavour):
    assert mysql_client.flavour_of(version) == flavour
