# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pathlib
import stat

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import compression, mysql_import_run
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Login
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import DatabaseConnection

from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.packing import KINDS, pack

FIXTURES = pathlib.Path(__file__).parents[3] / "fixtures" / "seafile-11-mariadb"
TEXT = b"-- MariaDB dump 10.19\n\nINSERT INTO `t` VALUES (1);\n" + b"x" * 5000 + b"\n\n-- Dump completed on 2026-11-23  3:41:19\n"


both = pytest.mark.parametrize("kind", list(KINDS))


def dump_of(directory, content, kind="gzip", **changes):
    path = directory / f"t{KINDS[kind]}"
    path.write_bytes(content)
    return mysql_import_run.parse_dumps(str(directory), [dict({"name": "t", "file": path.name}, **changes)])[0]


def code_of(function, *arguments):
    with pytest.raises(SeafileError) as caught:
        function(*arguments)
    return caught.value.code


@pytest.mark.parametrize("name", ["ccnet-db", "seafile-db", "seahub-db"])
def test_dumps_of_a_real_server_are_proven(name):
    content = (FIXTURES / f"{name}.sql.gz").read_bytes()
    entry = {"name": name, "file": f"{name}.sql.gz", "sha256": hashlib.sha256(content).hexdigest()}
    proof = mysql_import_run.prove(mysql_import_run.parse_dumps(str(FIXTURES), [entry])[0])
    text = gzip.decompress(content)
    assert proof.uncompressed_bytes == len(text)
    assert proof.longest_line == max(map(len, text.split(b"\n")))


@pytest.mark.parametrize("name", ["ccnet-db", "seafile-db", "seahub-db"])
def test_a_real_dump_cut_at_any_statement_is_refused(tmp_path, name):
    text = gzip.decompress((FIXTURES / f"{name}.sql.gz").read_bytes())
    cuts = [position + 2 for position in range(len(text)) if text.startswith(b";\n", position)]
    assert len(cuts) > 50
    for cut in cuts[::7]:
        assert code_of(mysql_import_run.prove, dump_of(tmp_path, gzip.compress(text[:cut], 1))) == "dump-damaged"


@both
def test_a_file_cut_at_any_byte_is_refused(tmp_path, kind):
    packed = pack(kind, TEXT)
    for cut in range(0, len(packed), 1 if kind == "gzip" else 11):
        assert code_of(mysql_import_run.prove, dump_of(tmp_path, packed[:cut], kind)) == "dump-damaged"


@both
def test_a_flipped_bit_is_found(tmp_path, kind):
    packed = bytearray(pack(kind, TEXT))
    packed[len(packed) // 2] ^= 1
    assert code_of(mysql_import_run.prove, dump_of(tmp_path, bytes(packed), kind)) == "dump-damaged"


@both
def test_another_checksum_than_the_manifests_is_refused(tmp_path, kind):
    packed = pack(kind, TEXT)
    assert code_of(mysql_import_run.prove, dump_of(tmp_path, packed, kind, sha256="0" * 64)) == "dump-damaged"
    proof = mysql_import_run.prove(dump_of(tmp_path, packed, kind, sha256=hashlib.sha256(packed).hexdigest().upper()))
    assert (proof.longest_line, proof.uncompressed_bytes, proof.sha256) == (5000, len(TEXT), hashlib.sha256(packed).hexdigest())


@both
def test_text_after_the_trailer_and_plain_text_are_refused(tmp_path, kind):
    assert code_of(mysql_import_run.prove, dump_of(tmp_path, pack(kind, TEXT + b"DROP TABLE x;\n"), kind)) == "dump-damaged"
    assert code_of(mysql_import_run.prove, dump_of(tmp_path, pack(kind, TEXT) + pack("gzip", b"DROP TABLE x;\n"), kind)) == "dump-damaged"
    assert code_of(mysql_import_run.prove, dump_of(tmp_path, TEXT, kind)) == "dump-damaged"
    assert code_of(mysql_import_run.prove, dump_of(tmp_path, pack(kind, TEXT) + b"garbage", kind)) == "dump-damaged"


@both
def test_joined_files_are_one_dump(tmp_path, kind):
    assert mysql_import_run.prove(dump_of(tmp_path, pack(kind, TEXT[:30]) + pack(kind, TEXT[30:]), kind)).uncompressed_bytes == len(TEXT)


def test_a_host_without_zstd_is_told_what_to_install_and_gzip_is_read_on_it(tmp_path, monkeypatch):
    dumps = [dump_of(tmp_path, pack(kind, TEXT), kind) for kind in KINDS]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(compression, "PLACES", ())
    mysql_import_run.prove(dumps[0])
    with pytest.raises(SeafileError) as caught:
        mysql_import_run.prove(dumps[1])
    assert caught.value.code == "missing-tool" and "t.sql.zst" in caught.value.message and "install the package zstd" in caught.value.next_step


def test_links_and_missing_files_are_refused(tmp_path):
    dump = dump_of(tmp_path, gzip.compress(TEXT))
    os.rename(dump.path, dump.path + ".real")
    assert code_of(mysql_import_run.prove, dump) == "dump-missing"
    os.mkdir(dump.path)
    assert code_of(mysql_import_run.prove, dump) == "dump-damaged"


@pytest.mark.parametrize("entry, code", [
    ({"name": "a", "file": "../a.sql.gz"}, "path-invalid"),
    ({"name": "a", "file": "/etc/passwd"}, "path-invalid"),
    ({"name": "a", "file": ".."}, "path-invalid"),
    ({"name": "a\nb", "file": "a"}, "database-name-invalid"),
    ({"name": "mysql", "file": "a"}, "database-name-invalid"),
    ({"file": "a"}, "database-name-invalid"),
    ({"name": "a", "file": 5}, "database-name-invalid"),
    ({"name": "a", "file": "a", "tables": "x"}, "database-name-invalid"),
    ({"name": "a", "file": "a", "engine": "sqlite"}, "engine-mismatch"),
    ({"name": "a", "file": "a", "collation": "x; DROP DATABASE y"}, "database-collation-unknown"),
    ({"name": "a", "file": "a", "character_set": 8}, "database-collation-unknown"),
])
def test_bad_entries_are_refused(entry, code):
    assert code_of(mysql_import_run.parse_dumps, "/src", [entry]) == code


def test_no_dump_and_a_name_twice_are_refused():
    assert code_of(mysql_import_run.parse_dumps, "/src", []) == "database-name-invalid"
    assert code_of(mysql_import_run.parse_dumps, "/src", [{"name": "a", "file": "a"}, {"name": "a", "file": "b"}]) == "database-name-invalid"


def connections(host="127.0.0.1", **changes):
    return [DatabaseConnection(role, "mysql", f"{role}-db", **dict({"host": host, "port": 3306, "user": "seafile", "password": "pw"}, **changes))
            for role in ("ccnet", "seafile", "seahub")]


def test_the_administrator_goes_where_seafile_goes():
    assert mysql_import_run.admin_login(connections(), {"login_user": "root"}) == Login("localhost", 3306, "root", "")
    assert mysql_import_run.admin_login(connections(), {"login_user": "root", "login_password": "x"}).host == "127.0.0.1"
    assert mysql_import_run.admin_login(connections("db.example.org", port=3307), {}).place == "db.example.org:3307"
    assert mysql_import_run.admin_login(connections(), {"login_host": "other"}).host == "other"
    assert mysql_import_run.admin_login([], {}) == Login()
    assert mysql_import_run.admin_login(connections(unix_socket="/s"), {}).unix_socket == "/s"


def test_one_account_serves_all_databases():
    accounts = mysql_import_run.accounts_of(connections())
    assert [(account.login.user, account.databases) for account in accounts] == [("seafile", ["seafile-db", "ccnet-db", "seahub-db"])]
    assert "pw" not in repr(accounts)


@pytest.mark.parametrize("login, skip, hosts", [
    (Login("127.0.0.1"), False, ["localhost"]), (Login("localhost"), False, ["localhost"]), (Login("db.example.org"), False, ["%"]),
    (Login("127.0.0.1"), True, ["localhost", "127.0.0.1", "::1"]), (Login("x", unix_socket="/s"), False, ["localhost"]),
])
def test_an_account_is_made_for_where_seafile_connects_from(login, skip, hosts):
    assert mysql_import_run.account_hosts(login, skip) == hosts


def test_the_record_is_private_and_survives(tmp_path):
    path = str(tmp_path / "record.json")
    mysql_import_run.Record(path).put("a", {"state": "importing", "sha256": "x"})
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    record = mysql_import_run.Record(path)
    assert record.interrupted("a") and not record.interrupted("b")
    record.put("a", None)
    assert not mysql_import_run.Record(path).interrupted("a")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2, "databases": {}}', '{"version": 1, "databases": {"a": 1}}', '{"version": 1}'])
def test_a_damaged_record_is_named(tmp_path, content):
    path = tmp_path / "record.json"
    path.write_text(content)
    assert code_of(mysql_import_run.Record, str(path)) == "record-damaged"


def test_a_record_of_another_dump_or_server_does_not_count(tmp_path):
    path = tmp_path / "record.json"
    entry = {"state": "imported", "sha256": "x", "server": "the local socket", "fingerprint": {}}
    path.write_text(json.dumps({"version": 1, "databases": {"a": entry}}))

    class Elsewhere:
        login = Login("db.example.org")

    assert not mysql_import_run.Record(str(path)).holds(Elsewhere(), "a", "x")
    assert not mysql_import_run.Record(str(path)).holds(Elsewhere(), "a", "y")
