# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A value is written so that Seafile reads it, and no other byte changes, whatever the value and the syntax."""

from __future__ import annotations

import configparser
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.relocation import Move, parse_address
from ansible_collections.seafleet.seafile.plugins.module_utils.relocation_syntax import (
    EnvironmentDocument, KeyFileDocument, ParserFileDocument, SettingsDocument, is_secret, shell_word)
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import EnvironmentFile, KeyFile, SeahubSettings
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.properties import examples

PASSWORDS = ["plain", "pl#in", 'do"uble', "sin'gle", "bo'th\"", "back\\slash\\", "do$llar", "$(id)`id`", "per%cent %(x)s", "ünïcödé 😀", "semi;colon", "x" * 200,
             "a=b", "!", " lead", "tab\tin", "[x]", "#", "a\nb", "\\n", "${X}", "files.example.org", "/opt/haiwen"]
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=12)

KEYS = (b"# files.example.org\r\n\n; \xff not UTF-8 in a comment\n[database]\n type =mysql\r\npassword = old secret \t\r\n\n#x\n[fileserver]\nport=8082\n"
        b"[database]\nhost=127.0.0.1\n\n\n[history]\nkeep_days = 5").replace(b"; ", b"# ")
ENVIRONMENT = "# files.example.org\nexport A='x' # why\nSEAFILE_MYSQL_DB_PASSWORD=\"old\"  # why\r\nB=$A\n\nJWT_PRIVATE_KEY=abc"
SETTINGS = ("# -*- coding: utf-8 -*-\r\nSECRET_KEY = \"k€y\"\nDATABASES = {  # füür\n    'default': {\n\t'ENGINE': 'django.db.backends.mysql', 'NAME': (\n"
            "            'seahub-db'),  # ü\n        'USER': \"sea\" 'file', 'PASSWORD': r'old',\n        'HOST': '127.0.0.1', 'PORT': 3306,\n"
            "        'OPTIONS': {'charset': 'utf8mb4', 'unix_socket': '/run/s'},\n    }\n}\nEMAIL = '''\nö''' ; X = 'files.example.org'")


@pytest.mark.parametrize("password", PASSWORDS)
def test_any_password_is_read_back_from_a_key_file_and_every_other_byte_stays(password):
    document = KeyFileDocument("seafile.conf", KEYS)
    document.set("database", "password", password)
    result = document.result()
    assert KeyFile("f", result).get("database", "password") == password
    before, after = KEYS.split(b"old secret")
    assert result.startswith(before) and result.endswith(after)


@pytest.mark.parametrize("password", PASSWORDS)
def test_any_password_is_read_back_from_an_environment_file_also_by_a_shell(password):
    for old in ('"old"', "old", "'old'", "o''\"ld\""):
        content = ENVIRONMENT.replace('"old"', old)
        document = EnvironmentDocument(".env", content.encode())
        document.set("SEAFILE_MYSQL_DB_PASSWORD", password)
        result = document.result()
        read = EnvironmentFile("f", result)
        assert read.get("SEAFILE_MYSQL_DB_PASSWORD") == password and read.get("B") == "x" and read.get("JWT_PRIVATE_KEY") == "abc"
        before, after = content.encode().split(old.encode())[:2]
        assert result.startswith(before) and result.endswith(after)
    said = subprocess.run(["bash", "-c", f"P={shell_word(password)}; printf %s \"$P\""], stdout=subprocess.PIPE, check=True)
    assert said.stdout.decode() == password


@pytest.mark.parametrize("password", PASSWORDS)
def test_any_password_is_read_back_from_the_settings_and_every_other_byte_stays(password):
    document = SettingsDocument("s.py", SETTINGS.encode())
    for key, value in (("PASSWORD", password), ("USER", "new"), ("PORT", "3307"), ("NAME", "other_db")):
        document.set_database(key, value)
    result = document.result()
    read = SeahubSettings("s.py", result).database()
    assert (read["PASSWORD"], read["USER"], read["PORT"], read["NAME"]) == (password, "new", "3307", "other_db")
    left = result.decode()
    for piece in SETTINGS.replace("\"sea\" 'file'", "|").replace("r'old'", "|").replace("3306", "|").replace("'seahub-db'", "|").split("|"):
        assert piece in left
        left = left.partition(piece)[2]
    assert "'PORT': 3307" in result.decode() and not left


def test_settings_in_latin_1_stay_in_it():
    content = "# coding: latin-1\nX = 'ü'  # \xe9\nSERVICE_URL = \"http://127.0.0.1:8000/\" # ü\n".encode("latin-1")
    document = SettingsDocument("s.py", content)
    document.set("SERVICE_URL", "https://a.b/€")
    assert document.result() == content.replace(b'"http://127.0.0.1:8000/"', b'"https://a.b/\\u20ac"')
    with_mark = SettingsDocument("s.py", b"\xef\xbb\xbfX = 1\r\n")
    with_mark.set("X", "2")
    assert with_mark.result() == b"\xef\xbb\xbfX = 2\r\n"


def test_what_is_absent_is_added_where_it_is_read():
    keys = KeyFileDocument("f", b"[a]\nx = 1\n\n[b]\ny = 2")
    keys.set("a", "n", "v")
    keys.set("b", "n", "v")
    assert keys.result() == b"[a]\nx = 1\nn = v\n\n[b]\ny = 2\nn = v"
    fresh = KeyFileDocument("f", b"[a]\r\nx = 1\r\n")
    fresh.set("c", "n", "v")
    assert fresh.result() == b"[a]\r\nx = 1\r\n[c]\r\nn = v\r\n"
    environment = EnvironmentDocument("f", b"A=1")
    environment.set("B", "it's")
    assert environment.result() == b'A=1\nB="it\'s"\n'
    settings = SettingsDocument("f", b"DATABASES = {'default': {}}")
    settings.set_database("HOST", "db")
    assert SeahubSettings("f", settings.result()).database() == {"HOST": "db"}


@pytest.mark.parametrize("options, left", [
    ("{'charset': 'utf8mb4', 'unix_socket': '/run/s'}", "{'charset': 'utf8mb4', }"), ("{'unix_socket': '/run/s'}", "{}"),
    ("{'unix_socket': '/run/s', # why\n 'charset': 'x',}", "{'charset': 'x',}"), ("{\n'unix_socket' : '/run/s' ,\n}", "{\n\n}"),
])
def test_a_socket_is_taken_out_of_the_options(options, left):
    head = "DATABASES = {'default': {'ENGINE': 'django.db.backends.mysql', 'OPTIONS': "
    document = SettingsDocument("s.py", (head + options + "}}").encode())
    document.remove_option("unix_socket")
    assert document.result().decode() == head + left + "}}"


@pytest.mark.parametrize("value", ["", "a ", "a\t", "\fa", "a\0b", "\udcff"])
def test_what_a_key_file_cannot_hold_is_refused_and_not_shown(value):
    with pytest.raises(SeafileError) as failure:
        KeyFileDocument("/srv/conf/seafile.conf", KEYS).set("database", "password", value + "\0canary" if value == "a\0b" else value)
    assert failure.value.code == "place-value-invalid" and "seafile.conf: password" in failure.value.message and "canary" not in failure.value.message


def test_python_reads_the_events_back_as_its_server_does():
    document = ParserFileDocument("seafevents.conf", b"[DATABASE]\ntype = mysql\nPassword = old\n; password = x\n[AUDIT]\nenabled = true\n")
    document.set("DATABASE", "password", "100%(x)s#;")
    reader = configparser.ConfigParser()
    reader.read_string(document.result().decode())
    assert reader.get("DATABASE", "password") == "100%(x)s#;" and document.value("DATABASE", "password") == "old"
    with pytest.raises(SeafileError, match="line break"):
        document.set("DATABASE", "password", "a\nb")


@pytest.mark.parametrize("name, secret", [
    ("PASSWORD", True), ("EMAIL_HOST_PASSWORD", True), ("SECRET_KEY", True), ("JWT_PRIVATE_KEY", True), ("OAUTH_CLIENT_SECRET", True), ("PASSWD", True),
    ("OAUTH_TOKEN_URL", False), ("SAML_KEY_FILE", False), ("USER_PASSWORD_MIN_LENGTH", False), ("SERVICE_URL", False), ("KEYWORDS", False), ("HOST", False),
])
def test_secrets_are_known_by_their_names(name, secret):
    assert is_secret(name) is secret


@pytest.mark.parametrize("make, content", [
    (KeyFileDocument, "[email]\npassword = files.example.org/opt/haiwen\n# files.example.org\n[database]\nhost = files.example.org\n"),
    (EnvironmentDocument, "JWT_PRIVATE_KEY='files.example.org /opt/haiwen'\n# files.example.org\nSEAFILE_MYSQL_DB_HOST=files.example.org\n"),
    (SettingsDocument, "EMAIL_HOST_PASSWORD = 'files.example.org'\n# files.example.org\n"
                       "DATABASES = {'default': {'ENGINE': 'django.db.backends.mysql', 'HOST': 'files.example.org', 'PASSWORD': '/opt/haiwen'}}\n"),
])
def test_no_word_is_replaced_in_a_secret_or_in_a_database_connection(make, content):
    move = Move("/opt/haiwen", "/srv/seafile", [parse_address("https://files.example.org")], parse_address("https://cloud.example.net"))
    document = make("f", content.encode())
    document.replace_words(move.spans(document.text))
    assert document.result().decode() == content.replace("# files.example.org", "# cloud.example.net")


def test_a_masked_text_shows_no_secret_but_that_it_changed():
    old = SettingsDocument("s", b"A = {'PASSWORD': 'one', 'api_token': 'two'}\nSECRET_KEY = 'three'\nHOST = 'x'\n")
    new = SettingsDocument("s", b"A = {'PASSWORD': 'new', 'api_token': 'two'}\nSECRET_KEY = 'three'\nHOST = 'y'\n")
    assert old.masked() == "A = {'PASSWORD': ********, 'api_token': ********}\nSECRET_KEY = ********\nHOST = 'x'\n"
    assert new.masked(old) == "A = {'PASSWORD': ******** (changed), 'api_token': ********}\nSECRET_KEY = ********\nHOST = 'y'\n"


@examples(120)
@given(TEXT, st.sampled_from([KEYS, KEYS.replace(b"\r\n", b"\n"), b"[database]\npassword=\n", b"[database]\npassword = \r\n"]))
def test_a_key_file_holds_every_text_or_refuses_it(value, content):
    document = KeyFileDocument("f", content)
    try:
        document.set("database", "password", value)
    except SeafileError as error:
        assert error.code == "place-value-invalid"
        return
    assert KeyFile("f", document.result()).get("database", "password") == value


@examples(120)
@given(TEXT, st.sampled_from(["A=1\nP=x\nQ=end\n", "P='a b' # c\nQ=end", "Q=end\r\nP=\"x\"\r\n", "Q=end"]))
def test_an_environment_file_holds_every_text(value, content):
    document = EnvironmentDocument("f", content.encode())
    document.set("P", value)
    read = EnvironmentFile("f", document.result())
    assert read.get("P") == value and read.get("Q") == "end"


@examples(120)
@given(TEXT, st.sampled_from(["'x'", '"x"', "u'x'", "'''x'''", "('x'\n 'y')", "7"]), st.sampled_from(["utf-8", "latin-1", "ascii"]))
def test_the_settings_hold_every_text(value, old, encoding):
    document = SettingsDocument("f", f"# coding: {encoding}\nA = 1; P = {old}; B = 'end'\n".encode(encoding))
    document.set("P", value)
    read = SeahubSettings("f", document.result())
    assert (read.get("P") == value or str(read._value(read._nodes["P"], 0)) == value) and read.get("B") == "end"
