# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to libraries between dump and check is noticed, and nothing stays on the server."""

from __future__ import annotations

import gzip
import os
import sqlite3
import tarfile
import time

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import gc_guard
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import read_configuration

from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets, sqlite_makers as makers
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.packing import pack

A, B, C, D = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abcd")
SET = "20261123T030000Z"
EARLIER = "20261122T030000Z"
LATER = "20261124T030000Z"


def tables(**rows):
    return {name: gc_guard.make_pairs(rows.get(name, [])) for name in gc_guard.COLUMNS}


THEN = {
    "Branch": [(A, "a1"), (B, "b1")], "RepoTrash": [(C, "c1")], "VirtualRepo": [(B, "a0")],
    "GCID": [(A, "gc-a")], "LastGCID": [(A, "gc-old")], "RepoValidSince": [(A, 100)],
}


@pytest.mark.parametrize("changes, collected, moved", [
    pytest.param({}, [], [], id="nothing"),
    pytest.param({"Branch": [(A, "a2"), (B, "b1")]}, [], [A], id="another head"),
    pytest.param({"Branch": [(B, "b1")]}, [], [A], id="gone"),
    pytest.param({"Branch": [(B, "b1")], "RepoTrash": [(A, "a1"), (C, "c1")]}, [], [], id="to the trash with its head"),
    pytest.param({"Branch": [(B, "b1")], "RepoTrash": [(A, "a2"), (C, "c1")]}, [], [A], id="to the trash with another head"),
    pytest.param({"Branch": [(A, "a1"), (B, "b1"), (C, "c1")], "RepoTrash": []}, [], [], id="back from the trash"),
    pytest.param({"RepoTrash": []}, [], [C], id="out of the trash"),
    pytest.param({"Branch": [(A, "a1"), (B, "b1"), (D, "d1")]}, [], [], id="a new library"),
    pytest.param({"VirtualRepo": [(B, "a1")]}, [], [B], id="a sub-library merged with its origin"),
    pytest.param({"GCID": [(A, "gc-a2")]}, [A], [], id="collected"),
    pytest.param({"GCID": [(A, "gc-a"), (B, "gc-b")]}, [B], [], id="collected for the first time"),
    pytest.param({"GCID": []}, [A], [], id="its id vanished"),
    pytest.param({"GCID": [(A, "gc-a"), (D, "gc-d")]}, [], [], id="a library that the dump does not have"),
    pytest.param({"LastGCID": [(A, "gc-a"), (B, "gc-a"), (C, "")]}, [], [], id="clients that upload"),
    pytest.param({"LastGCID": []}, [], [], id="clients that have uploaded"),
    pytest.param({"LastGCID": [(B, "gc-new")]}, [B], [], id="a client that has seen a collection"),
    pytest.param({"RepoValidSince": [(A, 101)]}, [A], [], id="history was cut"),
    pytest.param({"RepoValidSince": [(A, 100), (B, 1)]}, [B], [], id="history was cut for the first time"),
    pytest.param({"Branch": [(A, "a2"), (B, "b1")], "GCID": [(A, "gc-a2")]}, [A], [A], id="both"),
])
def test_what_is_noticed(changes, collected, moved):
    assert gc_guard.compare(tables(**THEN), tables(**{**THEN, **changes}))[:2] == (collected, moved)


def test_a_locked_library_counts_as_collected():
    assert gc_guard.compare(tables(**THEN), tables(**THEN), {B, D}) == ([B], [], [])


def test_rows_that_belong_to_no_library_are_left_out_and_null_is_nothing():
    assert gc_guard.make_pairs([(A, None), (b"x" * 36, "x"), (None, "x"), ("../../etc", "x"), (B.encode(), b"\xff"), (A, None)]) == [(A, ""), (B, "\udcff")]
    none = {"RepoTrash": [(A, None)]}
    assert gc_guard.compare(tables(**none), tables()) == ([], [], [A]), "what left the trash is gone"


def test_a_heads_file_holds_what_was_written_and_nothing_else_is_believed():
    content = gc_guard.encode_heads(tables(**THEN))
    assert gc_guard.decode_heads(content) == tables(**THEN)
    assert gc_guard.encode_heads(gc_guard.decode_heads(content)) == content
    for cut in range(len(content) - 1):
        assert gc_guard.decode_heads(content[:cut]) is None
    for other in (b"", b"null", b"[]", b"{}", b'{"format":1,"tables":[]}', b'{"format":1,"tables":{}}', b"\xff", b"[" * 100000,
                  content.replace(b'"format":1', b'"format":2'), content.replace(A.encode(), b"../" * 12), content.replace(b'"a1"', b"7"),
                  content.replace(b'["' + A.encode() + b'","a1"]', b'["' + A.encode() + b'"]')):
        assert gc_guard.decode_heads(other) is None, other


@pytest.mark.parametrize("version, can", [
    ("10.5.29-MariaDB-0+deb11u1", False), ("10.6.0-MariaDB", True), ("10.11.19-MariaDB-0+deb12u1", True), ("11.8.3-MariaDB", True),
    ("5.7.44-log", False), ("8.0.36", True), ("9.7.0", True), ("strange", False),
])
def test_which_servers_can_skip_locked_rows(version, can):
    assert gc_guard.can_skip_locked(version) is can


@pytest.mark.parametrize("path", ["/", "/opt/seafile", "/opt/seafile/.seafleet", f"/opt/{SET}/..", f"/opt/{SET[:-1]}", "relative/" + SET])
def test_only_a_directory_named_by_a_set_id_is_ever_removed(path):
    with pytest.raises(SeafileError) as failure:
        gc_guard.require_staging(path)
    assert failure.value.code in ("set-id-invalid", "path-invalid")
    assert gc_guard.require_staging(f"/opt/x/{SET}/") == f"/opt/x/{SET}"


def test_the_heads_of_a_real_mysql_dump(tmp_path):
    found = gc_guard.read_dump(str(real_sets.FIXTURES / "seafile-11-mariadb" / "seafile-db.sql.gz"))
    libraries = real_sets.manifest("seafile-11-mariadb")["libraries"]
    heads = {pair for table in ("Branch", "RepoTrash") for pair in found[table]}
    assert {(library["id"], library["head"]) for library in libraries if library["head"]} <= heads
    assert found["GCID"] == [] and len(found["VirtualRepo"]) == 2


# --- the whole way, with a real SQLite deployment ---------------------------------------------------------------------


@pytest.fixture
def root(tmp_path):
    """A deployment that a real server wrote, without the objects, at which nobody looks here."""
    with tarfile.open(real_sets.FIXTURES / "seafile-11-sqlite" / "haiwen.tar.gz") as archive:
        for member in archive:
            if member.isfile() and "/storage/" not in member.name:
                (tmp_path / member.name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / member.name).write_bytes(archive.extractfile(member).read())
    return tmp_path / "haiwen"


@pytest.fixture
def staging(root):
    """The staging directory of a set after the dumps were pulled."""
    path = root / ".seafleet" / SET
    (path / "databases").mkdir(parents=True)
    (path / "attributes.json").write_text("{}", encoding="ascii")
    with gzip.open(path / "databases" / "seafile.db.sql.gz", "wt", encoding="utf-8") as stream:
        connection = sqlite3.connect(root / "seafile-data" / "seafile.db")
        stream.writelines(statement + "\n" for statement in connection.iterdump())
        connection.close()
    return str(path)


def test_the_staged_dump_is_found_however_it_is_compressed(root, staging):
    tables = gc_guard.read_dump(gc_guard.staged_dump(read_configuration(str(root)), staging))
    path = f"{staging}/databases/seafile.db.sql.gz"
    with gzip.open(path, "rb") as stream, open(f"{staging}/databases/seafile.db.sql.zst", "wb") as packed:
        packed.write(pack("zstd", stream.read()))
    os.unlink(path)
    found = gc_guard.staged_dump(read_configuration(str(root)), staging)
    assert found.endswith("seafile.db.sql.zst") and gc_guard.read_dump(found) == tables


def arm(root, staging, check_mode=False):
    return gc_guard.arm(read_configuration(str(root)), staging, check_mode)


def check(root, staging, check_mode=False, busy_timeout=5):
    return gc_guard.check(read_configuration(str(root)), staging, 0, busy_timeout, check_mode)


def change(root, *statements):
    connection = sqlite3.connect(root / "seafile-data" / "seafile.db", isolation_level=None)
    rows = [connection.execute(statement).fetchall() for statement in statements]
    connection.close()
    return rows[-1]


def test_arming_keeps_one_small_private_file_and_removes_the_dumps(root, staging):
    before = makers.state(root)
    planned = arm(root, staging, check_mode=True)
    assert makers.state(root) == before
    result = arm(root, staging)
    assert planned == result
    assert result["changed"] and result["removed"] == [f"{staging}/attributes.json", f"{staging}/databases"] and result["libraries"] >= 12
    assert os.listdir(staging) == ["heads.json"] and os.stat(f"{staging}/heads.json").st_mode & 0o777 == 0o600
    again = arm(root, staging)
    assert not again["changed"] and again["libraries"] == result["libraries"] and not arm(root, staging, check_mode=True)["changed"]


def test_arming_goes_on_where_it_was_killed(root, staging):
    arm(root, staging)
    os.makedirs(f"{staging}/databases")
    with open(f"{staging}/.heads.json.partial", "w", encoding="ascii"):
        pass
    assert arm(root, staging)["changed"] and os.listdir(staging) == ["heads.json"]


def test_arming_without_a_dump_is_a_failure_but_not_in_check_mode(root, staging):
    os.unlink(f"{staging}/databases/seafile.db.sql.gz")
    with pytest.raises(SeafileError) as failure:
        arm(root, staging)
    assert failure.value.code == "dump-missing" and os.path.isdir(f"{staging}/databases")
    assert arm(root, f"{root}/.seafleet/{LATER}", check_mode=True)["changed"]


def test_a_cut_dump_is_named_and_stays(root, staging):
    dump = f"{staging}/databases/seafile.db.sql.gz"
    os.truncate(dump, os.path.getsize(dump) // 2)
    with pytest.raises(SeafileError) as failure:
        arm(root, staging)
    assert failure.value.code == "dump-damaged" and os.listdir(f"{staging}/databases") == ["seafile.db.sql.gz"]


def test_what_dead_runs_left_is_removed_and_nothing_else(root, staging):
    top = os.path.dirname(staging)
    for name in (EARLIER, LATER, "mine"):
        os.makedirs(f"{top}/{name}/databases")
    os.symlink(str(root / "conf"), f"{top}/20200101T000000Z")
    arm(root, staging)
    assert sorted(os.listdir(top)) == [SET, LATER, "mine"] and (root / "conf" / "seafile.conf").exists()
    os.makedirs(f"{top}/{EARLIER}")
    assert check(root, staging)["removed"] == [staging, f"{top}/{EARLIER}"]
    assert sorted(os.listdir(top)) == [LATER, "mine"]


def test_nothing_happened(root, staging):
    arm(root, staging)
    before = makers.state(root / "seafile-data")
    assert check(root, staging, check_mode=True)["removed"] == [staging] and os.path.isdir(staging)
    result = check(root, staging)
    assert (result["collected"], result["moved"], result["gc_running"], result["unknown"], result["notes"]) == ([], [], [], False, [])
    assert result["changed"] and result["removed"] == [staging, os.path.dirname(staging)]
    assert makers.state(root / "seafile-data") == before and not (root / ".seafleet").exists() and (root / "conf").is_dir()


def test_what_happened_to_a_real_server_is_named(root, staging):
    arm(root, staging)
    (moved, head), (deleted, deleted_head), (gone, unused) = change(root, "SELECT repo_id, commit_id FROM Branch ORDER BY repo_id LIMIT 3")
    change(root,
           f"UPDATE Branch SET commit_id = '{'1' * 40}' WHERE repo_id = '{moved}'",
           f"DELETE FROM Branch WHERE repo_id = '{deleted}'",
           f"INSERT INTO RepoTrash (repo_id, repo_name, head_id, owner_id, size, org_id, del_time) VALUES ('{deleted}', 'x', '{deleted_head}', 'x', 1, -1, 1)",
           f"DELETE FROM Branch WHERE repo_id = '{gone}'",
           f"REPLACE INTO RepoValidSince VALUES ('{moved}', 1900000000)")
    result = check(root, staging)
    assert result["moved"] == sorted([moved, gone]) and result["collected"] == [moved]
    assert result["gone"] == [gone]
    assert result["notes"] == [
        "since the dump a garbage collection worked on 1 library",
        "since the dump 1 library went for good: this set may lack objects of that, earlier ones keep theirs"]


@pytest.mark.parametrize("content", [None, b"", b'{"format":1', b"{}"])
def test_lost_or_damaged_staging_makes_every_library_unknown(root, staging, content):
    if content is not None:
        with open(f"{staging}/heads.json", "wb") as stream:
            stream.write(content)
    result = check(root, staging)
    assert result["unknown"] and (result["collected"], result["moved"], result["libraries"]) == ([], [], None)
    assert len(result["notes"]) == 1 and "unknown for every library" in result["notes"][0]
    again = check(root, staging)
    assert again["unknown"] and not again["changed"]
    assert check(root, staging, check_mode=True)["notes"] == []


def test_neither_a_link_nor_a_pipe_in_the_place_of_the_heads_is_read(root, staging):
    arm(root, staging)
    os.rename(f"{staging}/heads.json", root / "elsewhere")
    os.symlink(root / "elsewhere", f"{staging}/heads.json")
    assert check(root, staging)["unknown"] and (root / "elsewhere").exists()
    os.makedirs(staging)
    os.mkfifo(f"{staging}/heads.json")
    assert check(root, staging)["unknown"] and not os.path.lexists(staging)


@pytest.mark.parametrize("fault, code", [
    (os.unlink, "sqlite-missing"),
    (lambda path: os.truncate(path, 0), "sqlite-corrupt"),
    (lambda path: os.truncate(path, 4096), "sqlite-corrupt"),
])
def test_a_live_database_that_cannot_be_read_is_a_failure_and_the_heads_stay(root, staging, fault, code):
    arm(root, staging)
    fault(root / "seafile-data" / "seafile.db")
    with pytest.raises(SeafileError) as failure:
        check(root, staging)
    assert failure.value.code == code and os.listdir(staging) == ["heads.json"]


def test_a_live_database_that_stays_locked_is_a_failure_that_names_the_holder(root, staging):
    arm(root, staging)
    with makers.other_process(root / "seafile-data" / "seafile.db", "BEGIN EXCLUSIVE") as pid:
        with pytest.raises(SeafileError) as failure:
            check(root, staging, busy_timeout=1)
    assert failure.value.code == "sqlite-locked" and (str(pid) in failure.value.message or not os.path.exists("/proc/locks"))
    assert os.listdir(staging) == ["heads.json"]


def test_ten_thousand_libraries_take_no_time(root, staging):
    count = 10000
    connection = sqlite3.connect(root / "seafile-data" / "seafile.db")
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(count)]
    connection.executemany("INSERT INTO Branch (name, repo_id, commit_id) VALUES ('master', ?, ?)", [(library, "1" * 40) for library in ids])
    connection.commit()
    with gzip.open(f"{staging}/databases/seafile.db.sql.gz", "wt", encoding="utf-8") as stream:
        stream.writelines(statement + "\n" for statement in connection.iterdump())
    connection.execute("UPDATE Branch SET commit_id = ? WHERE repo_id LIKE '0000____-0000-%'", ("2" * 40,))
    connection.commit()
    connection.close()
    began = time.monotonic()
    assert arm(root, staging)["libraries"] >= count
    assert check(root, staging)["moved"] == ids
    assert time.monotonic() - began < 60
