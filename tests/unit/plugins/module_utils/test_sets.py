# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import hashlib
import os
import re
import shutil
import subprocess

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import atomic, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout

ID = "20261123T030000Z"
NOW = datetime.datetime(2026, 11, 23, 3, 0, 0, tzinfo=datetime.timezone.utc)
DUMP = {"name": "seafile-db", "role": "seafile", "engine": "mysql", "file": "seafile-db.sql.gz", "sha256": "0" * 64}
ODD_NAMES = ["plain", " a b ", "back\\slash", "new\nline", "both\\\nx", "\u00fc", "\udcff", "-dash", "*", "sub/\\n", "#", "\\"]


@pytest.fixture
def layout(tmp_path):
    return ServerLayout(str(tmp_path), "server1")


def make(layout, name=ID, **manifest):
    """A sealed set as the module seals it."""
    directory = layout.sealed(name)
    os.makedirs(os.path.join(directory, "files"))
    for file in ("files/a", "files/b"):
        atomic.write_atomically(os.path.join(directory, file), file.encode())
    os.symlink("a", os.path.join(directory, "files", "link"))
    manifest = dict({"format": 1, "set_id": name, "databases": [DUMP], "links": sets.links(directory)}, **manifest)
    atomic.write_json(os.path.join(directory, sets.MANIFEST), manifest)
    seal(directory)
    return directory


def seal(directory):
    sums = {path: sets.file_sha256(os.path.join(directory, path)) for path in sets.regular_files(directory) if path != sets.SUMS}
    atomic.write_atomically(os.path.join(directory, sets.SUMS), sets.format_sums(sums))


def coreutils():
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum on this machine")
    text = subprocess.run(["sha256sum", "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
    return int(re.search(r" (\d+)\.", text).group(1))


def write_odd(tmp_path, names):
    for name in names:
        path = os.fsencode(str(tmp_path / "odd")) + b"/" + os.fsencode(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(os.fsencode(name))
    return {name: hashlib.sha256(os.fsencode(name)).hexdigest() for name in names}


def test_sums_are_what_sha256sum_itself_writes_and_reads(tmp_path):
    # a carriage return is escaped since coreutils 9
    names = ODD_NAMES + (["a\rb", "end\r"] if coreutils() >= 9 else [])
    sums = write_odd(tmp_path, names)
    ours = sets.format_sums(sums)
    argv = [b"sha256sum", b"--"] + [os.fsencode(name) for name in sorted(names)]
    theirs = subprocess.run(argv, cwd=tmp_path / "odd", stdout=subprocess.PIPE, check=True).stdout
    assert ours == theirs
    assert sets.parse_sums(theirs) == sums
    (tmp_path / "SUMS").write_bytes(ours)
    subprocess.run(["sha256sum", "--quiet", "--strict", "--check", str(tmp_path / "SUMS")], cwd=tmp_path / "odd", check=True)


def test_sums_come_back_as_they_were():
    sums = {name: hashlib.sha256(os.fsencode(name)).hexdigest() for name in ODD_NAMES + ["a\rb", "\r", "\\r", "\\\\n", "a\x0bb\x1cc\u2028"]}
    assert sets.parse_sums(sets.format_sums(sums)) == sums


@pytest.mark.parametrize("line", [b"nonsense", b"0" * 64 + b" x", b"0" * 64 + b"  ", b"0" * 64 + b"  /etc/passwd", b"0" * 64 + b"  a/../../b",
                                  b"G" * 64 + b"  x"])
def test_a_line_of_another_form_or_a_path_that_leaves_the_set_is_refused(line):
    with pytest.raises(SeafileError) as caught:
        sets.parse_sums(line + b"\n")
    assert caught.value.code == "set-damaged"


def test_a_whole_set_is_whole(layout):
    assert sets.check_sums(make(layout)) == []


@pytest.mark.parametrize("damage, sentence", [
    (lambda path: open(f"{path}/files/a", "ab").write(b"x"), "files/a was changed after sealing"),
    (lambda path: os.unlink(f"{path}/files/b"), "files/b is missing"),
    (lambda path: open(f"{path}/files/new", "wb").close(), "files/new was added after sealing"),
    (lambda path: open(f"{path}/manifest.json", "ab").write(b" "), "manifest.json was changed after sealing"),
    (lambda path: os.unlink(f"{path}/SHA256SUMS"), "SHA256SUMS is missing"),
    (lambda path: open(f"{path}/SHA256SUMS", "ab").write(b"x\n"), "SHA256SUMS: a line is not of the form '<sha256>  <path>'"),
    (lambda path: (os.unlink(f"{path}/files/a"), os.symlink("b", f"{path}/files/a")), "files/a is missing"),
    (lambda path: (os.unlink(f"{path}/files/link"), os.symlink("/etc/passwd", f"{path}/files/link")),
     "the link files/link was changed, added or removed after sealing"),
    (lambda path: os.symlink("/etc", f"{path}/files/planted"), "the link files/planted was changed, added or removed after sealing"),
    (lambda path: os.unlink(f"{path}/files/link"), "the link files/link was changed, added or removed after sealing"),
])
def test_every_edit_of_a_sealed_set_is_found_and_named(layout, damage, sentence):
    directory = make(layout)
    damage(directory)
    assert sets.check_sums(directory) == [sentence]


def test_a_manifest_that_no_sum_covers_is_found(layout):
    directory = make(layout)
    sums = sets.parse_sums(open(f"{directory}/SHA256SUMS", "rb").read())
    del sums["manifest.json"]
    atomic.write_atomically(f"{directory}/SHA256SUMS", sets.format_sums(sums))
    assert sets.check_sums(directory) == ["manifest.json was added after sealing", "manifest.json is not covered by SHA256SUMS"]


@pytest.mark.parametrize("manifest, reason", [
    ({"format": 2}, "not of format 1"), ({"set_id": "20200101T000000Z"}, "is that of the set 20200101T000000Z"), ({"databases": None}, "not a list of dumps"),
    ({"databases": ["x"]}, "not a list of dumps"), ({"databases": [{}]}, "has no name"), ({"databases": [dict(DUMP, file="../../x")]}, "unknown kind or place"),
    ({"databases": [dict(DUMP, engine="sqlite", name="../x")]}, "would leave the Seafile directory"), ({"databases": [dict(DUMP, engine="x")]}, "unknown kind"),
])
def test_a_manifest_of_another_form_makes_a_damaged_set_and_never_a_traceback(layout, manifest, reason):
    make(layout, **manifest)
    row = sets.catalogue(layout)[0]
    assert row["state"] == "damaged" and reason in row["reasons"][0]


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b'{"format": 1}'])
def test_a_manifest_that_is_no_manifest_makes_a_damaged_set(layout, text):
    atomic.write_atomically(os.path.join(make(layout), sets.MANIFEST), text)
    assert sets.catalogue(layout)[0]["state"] == "damaged"


def test_the_catalogue_is_newest_first_with_state_and_reason(layout):
    make(layout, seafile={"version": "11.0.13"}, engine="mysql", libraries=12, bytes=5)
    os.unlink(os.path.join(make(layout, "20261122T030000Z"), sets.MANIFEST))
    os.makedirs(layout.partial("20261124T030000Z"))
    atomic.write_json(os.path.join(layout.partial("20261124T030000Z"), sets.FAILURE), {"reason": "the disk is full"})
    os.makedirs(layout.partial("20261125T030000Z"))
    for name in ("notes", "20261399T000000Z", ".20261399T000000Z.partial"):
        os.makedirs(os.path.join(layout.sets, name))
    rows = sets.catalogue(layout)
    assert [(row["set_id"], row["state"]) for row in rows] == [
        ("20261125T030000Z", "partial"), ("20261124T030000Z", "partial"), (ID, "sealed"), ("20261122T030000Z", "damaged")]
    assert rows[1]["reasons"] == ["the disk is full"]
    assert {key: rows[2][key] for key in ("version", "engine", "libraries", "bytes", "databases")} == {
        "version": "11.0.13", "engine": "mysql", "libraries": 12, "bytes": 5, "databases": ["seafile-db"]}


def test_no_backup_at_all_is_an_empty_catalogue(layout):
    assert sets.catalogue(layout) == [] and sets.next_set_id(layout, NOW) == ID


@pytest.mark.parametrize("there, now, expected", [
    ([], 0, ID), (["20261122T030000Z"], 0, ID), ([ID], 0, "20261123T030001Z"), ([ID], -5, "20261123T030001Z"), ([ID], 1, "20261123T030001Z"),
    (["20261123T030959Z"], 0, "20261123T031000Z"), (["20261231T235959Z"], 39 * 86400, "20270101T030000Z"),
])
@pytest.mark.parametrize("partial", [False, True])
def test_set_ids_only_ever_grow(layout, there, now, expected, partial):
    for set_id in there:
        os.makedirs(layout.partial(set_id) if partial else layout.sealed(set_id))
    found = sets.next_set_id(layout, NOW + datetime.timedelta(seconds=now))
    assert found == expected and all(found > set_id for set_id in there)


def test_runs_within_one_second_get_ids_of_their_own(layout):
    ids = []
    for dummy in range(5):
        ids.append(sets.next_set_id(layout, NOW))
        os.makedirs(layout.sealed(ids[-1]))
    assert ids == [f"2026112{3}T03000{count}Z" for count in range(5)]


def test_the_hour_that_comes_twice_at_the_end_of_summer_time_gives_two_ids_in_order(layout):
    ids = []
    for offset in (2, 1):  # half past two in Berlin, and half past two again
        zone = datetime.timezone(datetime.timedelta(hours=offset))
        ids.append(sets.next_set_id(layout, datetime.datetime(2026, 10, 25, 2, 30, tzinfo=zone)))
        os.makedirs(layout.sealed(ids[-1]))
    assert ids == ["20261025T003000Z", "20261025T013000Z"]


@pytest.mark.parametrize("back, expected", [(1, "20261123T030001Z"), (599, "20261123T030001Z"), (601, None), (3600, None)])
def test_a_clock_that_was_set_back_a_little_is_waited_out_and_a_lot_is_refused(layout, back, expected):
    os.makedirs(layout.sealed(ID))
    now = NOW - datetime.timedelta(seconds=back)
    if expected:
        assert sets.next_set_id(layout, now) == expected
        return
    with pytest.raises(SeafileError) as caught:
        sets.next_set_id(layout, now)
    assert caught.value.code == "clock"


@pytest.mark.parametrize("newest", ["20261123T040000Z", "20270101T000000Z"])
def test_a_newest_set_from_the_future_is_refused_for_one_of_the_clocks_is_wrong(layout, newest):
    os.makedirs(layout.sealed(newest))
    with pytest.raises(SeafileError, match=newest) as caught:
        sets.next_set_id(layout, NOW)
    assert caught.value.code == "clock"


def test_a_directory_that_cannot_be_listed_is_never_passed_over(tmp_path):
    for listing in (sets.regular_files, sets.links):
        with pytest.raises(FileNotFoundError):
            list(listing(str(tmp_path / "gone")))


def test_a_link_is_never_read_in_place_of_a_file(tmp_path):
    (tmp_path / "x").symlink_to("/etc/passwd")
    with pytest.raises(OSError):
        sets.file_sha256(str(tmp_path / "x"))


def record(ended, state="damaged", **changes):
    found = {"format": 1, "state": state, "level": "full", "ended": ended, "findings_total": 0, "findings": [], "damaged_libraries": [],
             "reasons": [f"the reason of {ended}"]}
    return dict(found, **changes)


EARLY, LATE = "2026-11-23T03:10:00Z", "2026-11-24T03:10:00Z"


@pytest.mark.parametrize("own, beside, state, reasons", [
    (None, None, "sealed", 0), (record(EARLY, "verified"), None, "verified", 0), (record(EARLY), None, "damaged", 1),
    (record(EARLY, "verified"), record(LATE), "damaged", 1), (record(EARLY), record(LATE, "verified"), "verified", 0),
    # records brought back from a copy: the newer one counts, wherever it lies
    (record(LATE), record(EARLY, "verified"), "damaged", 1), (None, record(EARLY), "damaged", 1),
    (record(EARLY, "verified"), record(EARLY), "damaged", 1),
    ({"format": 1, "state": "verified"}, None, "sealed", 0), (record(EARLY, "fine"), None, "sealed", 0), ("verified", None, "sealed", 0),
])
def test_the_newest_verification_says_whether_a_set_is_verified_or_damaged(layout, own, beside, state, reasons):
    make(layout, **({"verification": own} if own else {}))
    if beside:
        atomic.write_json(layout.verification(ID), beside)
    row = sets.catalogue(layout)[0]
    assert (row["state"], len(row["reasons"])) == (state, reasons)
    assert (row["verification"] or {}).get("state") == (None if state == "sealed" else state)


def test_what_lies_beside_the_sets_is_no_set_and_no_part_of_one(layout):
    directory = make(layout)
    for path in (layout.verification(ID), layout.verification_page(ID), os.path.join(layout.sets, f".{ID}.verification.json.partial")):
        atomic.write_atomically(path, b"{")
    assert sets.check_sums(directory) == [] and sets.sealed_ids(layout) == [ID] and sets.partial_ids(layout) == []
    assert len(sets.catalogue(layout)) == 1 and sets.next_set_id(layout, NOW + datetime.timedelta(seconds=5)) == "20261123T030005Z"
