# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
import pathlib
import stat
import sys
import types

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import compression, mysql_dump_run, mysql_schema
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Login
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import DatabaseConnection

NO_OPTIONS = {f"login_{name}": None for name in ("host", "port", "user", "password", "unix_socket")}


def configured(**changes):
    """Three databases as Seafile's configuration names them; changes by role."""
    result = []
    for role in ("ccnet", "seafile", "seahub"):
        values = {"host": "127.0.0.1", "port": 3306, "user": "seafile", "password": "pw"}
        values.update(changes.get(role, {}))
        result.append(DatabaseConnection(role, "mysql", f"{role}-db", **values))
    return result


def code_of(function, *arguments):
    with pytest.raises(SeafileError) as caught:
        function(*arguments)
    return caught.value.code


def test_the_configuration_alone_says_what_to_dump():
    source = mysql_dump_run.choose_source(configured(), None, NO_OPTIONS)
    assert source.names == ("seafile-db", "ccnet-db", "seahub-db")
    assert [(login.user, login.password) for login in source.logins] == [("seafile", "pw")]
    assert source.roles["ccnet-db"] == "ccnet"
    assert "seafile.conf" in source.origin


def test_options_override_the_configuration():
    source = mysql_dump_run.choose_source(configured(), ["other"], dict(NO_OPTIONS, login_user="root", login_unix_socket="/s"))
    assert source.names == ("other",)
    assert source.logins[0].user == "root" and source.logins[0].password == "" and source.logins[0].unix_socket == "/s"


def test_empty_options_are_no_options():
    empty = {name: "" for name in NO_OPTIONS}
    assert mysql_dump_run.choose_source(configured(), None, empty) == mysql_dump_run.choose_source(configured(), None, NO_OPTIONS)


def test_localhost_and_its_addresses_are_one_server():
    source = mysql_dump_run.choose_source(configured(seahub={"host": "localhost"}, ccnet={"unix_socket": "/run/mysqld/mysqld.sock"}), None, NO_OPTIONS)
    assert len(source.names) == 3


@pytest.mark.parametrize("change", [{"host": "db2.example.org"}, {"port": 3307}])
def test_databases_on_different_servers_have_no_one_moment(change):
    assert code_of(mysql_dump_run.choose_source, configured(seahub=change), None, NO_OPTIONS) == "databases-not-one-server"


def test_a_server_named_by_options_decides():
    options = dict(NO_OPTIONS, login_host="proxy.example.org", login_port=3306)
    source = mysql_dump_run.choose_source(configured(seahub={"host": "db2.example.org"}), None, options)
    assert {login.host for login in source.logins} == {"proxy.example.org"}


def test_different_accounts_are_all_candidates():
    source = mysql_dump_run.choose_source(configured(ccnet={"user": "ccnet"}), None, NO_OPTIONS)
    assert [login.user for login in source.logins] == ["seafile", "ccnet"]


def test_sqlite_is_refused_in_words():
    sqlite = [DatabaseConnection("seafile", "sqlite", "seafile-data/seafile.db", path="seafile-data/seafile.db")]
    assert code_of(mysql_dump_run.choose_source, sqlite, None, NO_OPTIONS) == "engine-mismatch"
    assert code_of(mysql_dump_run.choose_source, sqlite + configured(), None, NO_OPTIONS) == "engine-mismatch"


@pytest.mark.parametrize("names", [["a\nb"], [], ["x", "x"], ["mysql"]])
def test_bad_names_are_refused(names):
    assert code_of(mysql_dump_run.choose_source, [], names, NO_OPTIONS) == "database-name-invalid"


def test_one_database_for_two_roles_is_dumped_once():
    databases = configured()
    databases[2] = DatabaseConnection("seahub", "mysql", "seafile-db", host="127.0.0.1", port=3306, user="seafile", password="pw")
    assert mysql_dump_run.choose_source(databases, None, NO_OPTIONS).names == ("seafile-db", "ccnet-db")


def test_a_name_is_never_an_option():
    arguments = mysql_dump_run.dump_arguments("mariadb", ["-rf", "--all-databases"], lock=False)
    assert arguments[arguments.index("--databases"):] == ["--databases", "--", "-rf", "--all-databases"]


def test_one_moment_by_snapshot_or_by_lock_never_both_and_never_force():
    snapshot, lock = (mysql_dump_run.dump_arguments("mariadb", ["a"], lock) for lock in (False, True))
    assert "--single-transaction" in snapshot and "--lock-all-tables" not in snapshot
    assert "--lock-all-tables" in lock and "--single-transaction" not in lock
    assert not [argument for argument in snapshot + lock if argument.startswith(("--force", "-f", "--password", "-p"))]


def test_oracles_program_gets_what_only_it_knows():
    assert "--set-gtid-purged=OFF" in mysql_dump_run.dump_arguments("oracle", ["a"], False)
    assert not [argument for argument in mysql_dump_run.dump_arguments("mariadb", ["a"], False) if "gtid" in argument or "statistics" in argument]


def test_file_names_are_safe_differ_and_fit_into_a_file_system():
    names = ["-rf", "a b", "a`b", "a/b", ".hidden", "日" * 64, "日" * 63 + "本", "seafile-db"]
    files = [mysql_dump_run.dump_file_name(name) for name in names]
    assert len(set(files)) == len(names)
    assert all(not file.startswith((".", "-")) and "/" not in file and len(f".{file}.partial") <= 255 for file in files)
    assert files[-1] == "seafile-db.sql.gz"
    assert mysql_dump_run.dump_file_name("seafile-db", "zstd") == "seafile-db.sql.zst"


def test_an_existing_file_is_never_overwritten(tmp_path):
    (tmp_path / "seafile-db.sql.gz").write_bytes(b"precious")
    assert code_of(mysql_dump_run.require_free_names, str(tmp_path), ["ccnet-db", "seafile-db"]) == "dump-exists"
    mysql_dump_run.require_free_names(str(tmp_path), ["ccnet-db"])
    assert code_of(mysql_dump_run.require_free_names, str(tmp_path / "seafile-db.sql.gz"), ["ccnet-db"]) == "path-invalid"


def test_unknown_readers_are_named():
    assert code_of(mysql_dump_run.find_reader, "no-such-user", None) == "account-unknown"
    assert code_of(mysql_dump_run.find_reader, None, "no-such-group") == "account-unknown"
    assert mysql_dump_run.find_reader(str(os.getuid()), None).uid == os.getuid()


def test_only_a_group_that_was_asked_for_may_read():
    assert mysql_dump_run.Reader().file_mode == 0o600
    assert mysql_dump_run.Reader(gid=5).file_mode == 0o640


# --- a dump program that fails as real ones were seen to fail -----------------------------------------------------

STREAM = pathlib.Path(__file__).parent / "mysql_streams" / "mariadb-10.11.sql"
TABLES = {"-rf": ("t1", "v1", "v5"), "a`b ü \"q' $x": ("gen", "t2", "v2", "v3"), "plain": ("only",)}
PROGRAM = """#!{python}
import os, signal, sys
stream = open({stream!r}, "rb").read()
out = os.fdopen(1, "wb")
{body}
"""


@pytest.fixture(params=["gzip", "zstd"])
def run(request, tmp_path, monkeypatch):
    """Return a function that dumps with a program whose body is given; the directory for the dumps is run.dest."""
    expected = {name: "same" for name in TABLES}
    monkeypatch.setattr(mysql_dump_run, "_signatures", lambda inspection: expected)
    monkeypatch.setattr(mysql_dump_run.mysql_dialect, "of_databases", lambda client, names: {name: {"collations": [], "definers": {}} for name in names})
    dest = tmp_path / "dest"

    def call(body, progress=None, **changes):
        program = tmp_path / "mariadb-dump"
        program.write_text(PROGRAM.format(python=sys.executable, stream=str(STREAM), body=body))
        program.chmod(0o700)
        databases = {name: mysql_schema.Database(name, "utf8mb4", "utf8mb4_general_ci", tables, tuple(table for table in tables if table[0] == "v"), (),
                                                 1 << 20, "same") for name, tables in TABLES.items()}
        values = {"names": list(TABLES), "databases": databases, "program": str(program), "client_version": "mariadb-dump  Ver 10.19 MariaDB", "lock": False,
                  "estimated_bytes": 3 << 20, "server_version": "10.11.19-MariaDB",
                  "client": types.SimpleNamespace(login=Login(user="seafile", password="canary#1"), source="seafile.conf")}
        values.update(changes)
        return mysql_dump_run.dump(types.SimpleNamespace(**values), str(dest), 1, mysql_dump_run.Reader(), request.param, progress)

    call.dest = dest
    call.compression = request.param
    call.suffix = compression.SUFFIXES[request.param]
    return call


def text_of(path):
    with compression.open_reader(str(path)) as text:
        return text.read()


def failure_of(run, body, **changes):
    """The error of a dump; proves that it left nothing behind."""
    with pytest.raises(SeafileError) as caught:
        run(body, **changes)
    assert not run.dest.exists() or not os.listdir(run.dest)
    assert "canary#1" not in caught.value.message
    return caught.value


def test_a_whole_dump_gets_its_names_modes_and_checksums(run):
    result = run("out.write(stream)")
    assert [entry["name"] for entry in result["dumps"]] == list(TABLES)
    assert sorted(os.listdir(run.dest)) == sorted(entry["file"] for entry in result["dumps"])
    assert stat.S_IMODE(os.stat(run.dest).st_mode) == 0o700
    for entry in result["dumps"]:
        path = run.dest / entry["file"]
        content = path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (entry["sha256"], entry["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
        assert entry["uncompressed_bytes"] == len(text_of(path))
        if run.compression == "gzip":
            assert content[4:8] == b"\0\0\0\0", "no time in the header: equal dumps are equal files"


@pytest.mark.parametrize("count", [0, 1000, 9000, 12000])
def test_mysqldump_killed_by_kill_9(run, count):
    error = failure_of(run, f"out.write(stream[:{count}]); out.flush(); os.kill(os.getpid(), signal.SIGKILL)")
    assert error.code == "dump-killed"
    assert "killed (signal 9)" in error.message and error.what.startswith("dump of ")


def test_the_exit_code_wins_over_the_trailer(run):
    error = failure_of(run, "out.write(stream); out.flush(); sys.stderr.write('mysqldump: Got errno 5 on write'); sys.exit(5)")
    assert error.code == "dump-failed"
    assert "exit code 5" in error.message and "errno 5 on write" in error.message


@pytest.mark.parametrize("body", ["", "out.write(stream[:9000])", "out.write(stream[:-60])", "out.write(stream[:stream.index(b'INSERT INTO `only`')])"])
def test_exit_code_0_without_the_trailer_is_no_dump(run, body):
    assert failure_of(run, body).code == "dump-incomplete"


def test_a_missing_table_is_named_even_under_a_trailer(run):
    error = failure_of(run, "out.write(stream.replace(b'-- Table structure for table `only`', b'-- x'))")
    assert error.code == "dump-incomplete" and "only" in error.message


def test_the_programs_words_are_shown_without_the_password_and_cut(run):
    error = failure_of(run, "sys.stderr.write('mysqldump: canary#1 ' + 'x' * 9000); sys.exit(2)")
    assert "********" in error.message and len(error.message) < 900


def test_a_view_that_broke_is_named(run):
    error = failure_of(run, "sys.stderr.write(\"mariadb-dump: Couldn't execute 'SHOW FIELDS FROM `v`': View 'plain.v' references invalid table(s) (1356)\");"
                       " sys.exit(2)")
    assert error.code == "database-view-broken" and error.what == "view plain.v"


def test_a_full_disk_stops_the_program_and_says_how_much_was_free(run, monkeypatch):
    real = os.open
    # the kernel's own full device stands for the disk; O_EXCL would refuse it
    monkeypatch.setattr(mysql_dump_run.os, "open",
                        lambda path, flags, *mode: real("/dev/full", os.O_WRONLY) if str(path).endswith(".partial") else real(path, flags, *mode))
    error = failure_of(run, "out.write(stream[:-600])\nfor i in range(64): out.write(os.urandom(1 << 20))")
    assert error.code == "no-space"
    assert "free" in error.message and error.details["free_bytes"] > 0


def test_partial_files_of_a_killed_run_are_replaced(run):
    run.dest.mkdir()
    (run.dest / f".plain{run.suffix}.partial").write_bytes(b"half")
    result = run("out.write(stream)")
    assert sorted(os.listdir(run.dest)) == sorted(entry["file"] for entry in result["dumps"])


@pytest.mark.parametrize("suffix", [".sql.gz", ".sql.zst"])
def test_a_file_under_one_of_the_names_stays_untouched_however_it_is_compressed(run, suffix):
    run.dest.mkdir()
    (run.dest / f"plain{suffix}").write_bytes(b"precious")
    with pytest.raises(SeafileError) as caught:
        run("out.write(stream)")
    assert caught.value.code == "dump-exists"
    assert os.listdir(run.dest) == [f"plain{suffix}"] and (run.dest / f"plain{suffix}").read_bytes() == b"precious"


def test_progress_is_told_in_bytes_of_the_stream_and_ends_with_all_of_them(run):
    told = []
    run("out.write(stream)", progress=told.append)
    assert told == sorted(told) and told[-1] == STREAM.stat().st_size


def test_the_password_is_in_no_argument_and_no_variable_of_the_program(run, tmp_path):
    seen = tmp_path / "seen"
    run(f"open({str(seen)!r}, 'w').write(repr(sys.argv) + repr(dict(os.environ))); out.write(stream)")
    text = seen.read_text()
    assert "canary" not in text
    assert text.index("--defaults-file=/dev/fd/") < text.index("--single-transaction"), "must be the first argument"


def test_equal_streams_make_equal_files(run):
    first = run("out.write(stream)")
    for name in os.listdir(run.dest):
        os.unlink(run.dest / name)
    assert [entry["sha256"] for entry in run("out.write(stream)")["dumps"]] == [entry["sha256"] for entry in first["dumps"]]
