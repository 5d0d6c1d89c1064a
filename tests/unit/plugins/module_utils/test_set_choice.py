# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The choice on real directories: one object store, several sets, objects that are damaged or gone."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import atomic, pointers, set_choice, set_order, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore
from ansible_collections.seafleet.seafile.plugins.module_utils.set_choice import Request
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import Maker

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (f"2026112{day}T030000Z" for day in (3, 4, 5, 6))


def time_of(set_id):
    return f"{set_id[:4]}-{set_id[4:6]}-{set_id[6:8]}T{set_id[9:11]}:{set_id[11:13]}:{set_id[13:15]}Z"


class Backup:
    """A server's backup that grows set by set. Libraries: A and B, and on request S, a part of A."""

    def __init__(self, directory):
        self.layout = ServerLayout(str(directory), "server1")
        self.maker = Maker(self.layout.objects)
        self.heads = {}
        self.rows = {name: [] for name in ("Repo", "RepoInfo", "RepoTrash", "VirtualRepo")}
        self.ids = {}
        self.files = {}
        self.number = 0
        for name in ("A", "B"):
            self.add(name)

    def add(self, name, origin=None):
        library = self.ids[name] = self.maker.library_id()
        self.rows["Repo"].append({"repo_id": library})
        self.rows["RepoInfo"].append({"repo_id": library, "name": name})
        if origin:
            self.rows["VirtualRepo"].append({"repo_id": library, "origin_repo": self.ids[origin], "path": f"/{name}", "base_commit": self.heads[origin]})
        self.write(name)

    def store(self, name):
        return next((row["origin_repo"] for row in self.rows["VirtualRepo"] if row["repo_id"] == self.ids[name]), self.ids[name])

    def write(self, name):
        """One more commit in the library, with a file of its own; return (commit, path of the file's block)."""
        self.number += 1
        content = f"{name} {self.number}".encode()
        store = self.store(name)
        file = self.maker.file(store, content)
        root = self.maker.directory(store, {f"{self.number}.txt": file})
        self.heads[name] = self.maker.commit(self.ids[name], root, self.heads.get(name), ctime=1000 + self.number, name=name)
        self.files[name] = self.maker.path("blocks", store, self.maker.block(store, content))
        return self.heads[name], self.files[name]

    def commit_path(self, name, commit=None):
        return self.maker.path("commits", self.ids[name], commit or self.heads[name])

    def dump(self):
        tables = dict(self.rows, Branch=[
            {"name": "master", "repo_id": self.ids[name], "commit_id": head} for name, head in self.heads.items()
            if any(row["repo_id"] == self.ids[name] for row in self.rows["Repo"])])
        lines = ["BEGIN TRANSACTION;"]
        for table, rows in sorted(tables.items()):
            if rows:
                lines.append(f"CREATE TABLE {table} ({', '.join(rows[0])});")
                lines += [f"INSERT INTO \"{table}\" VALUES({', '.join(repr(value) for value in row.values())});" for row in rows]
        return ("\n".join(lines + ["COMMIT;"]) + "\n").encode()

    def seal(self, set_id, record=None, **manifest):
        """Make a set of the state as it is."""
        directory = self.layout.sealed(set_id)
        os.makedirs(os.path.join(directory, "databases"))
        os.makedirs(os.path.join(directory, "files", "conf"))
        atomic.write_atomically(os.path.join(directory, "databases", "seafile.db.sql"), self.dump())
        atomic.write_atomically(os.path.join(directory, "files", "conf", "seafile.conf"), b"[fileserver]\n")
        dump = {"name": "seafile-data/seafile.db", "role": "seafile", "engine": "sqlite", "file": "seafile.db.sql", "sha256": "0" * 64}
        manifest = dict({"format": 1, "set_id": set_id, "began": time_of(set_id), "databases": [dump], "links": {}}, **manifest)
        if record:
            manifest["verification"] = record
        atomic.write_json(os.path.join(directory, sets.MANIFEST), manifest)
        sums = {path: sets.file_sha256(os.path.join(directory, path)) for path in sets.regular_files(directory)}
        atomic.write_atomically(os.path.join(directory, sets.SUMS), sets.format_sums(sums))
        return directory

    def finding(self, name, path, where="backup", damage="missing"):
        kind, store, first, rest = os.path.relpath(path, self.layout.objects).split("/")
        return {"kind": kind, "store": store, "id": first + rest, "library": self.ids[name], "library_name": name, "path": "", "damage": damage,
                "cause": "there is no such file", "commit": "", "where": where}

    def record(self, *findings, ended="2026-11-27T00:00:00Z"):
        """The record of a verification that found this."""
        damaged = [{"id": finding["library"], "name": finding["library_name"], "findings": 1, "where": finding["where"]} for finding in findings]
        return {"format": 1, "state": "damaged" if any(finding["where"] != "source" for finding in findings) else "verified", "level": "new",
                "ended": ended, "findings_total": len(findings), "findings": list(findings), "damaged_libraries": damaged,
                "reasons": [f"{finding['library_name']}: damaged in this backup" for finding in findings if finding["where"] != "source"]}

    def verify_later(self, set_id, record):
        atomic.write_json(self.layout.verification(set_id), record)

    def choose(self, **request):
        if "accepted" in request:
            request["accepted"] = frozenset(self.ids[name] for name in request["accepted"])
        return set_choice.choose(self.layout, sets.catalogue(self.layout), Request(**request))

    def fails(self, **request):
        with pytest.raises(SeafileError) as caught:
            self.choose(**request)
        return caught.value

    def paths(self, choice):
        return set(choice.examined.walked.paths())


@pytest.fixture
def backup(tmp_path):
    return Backup(tmp_path)


def damage(path):
    """Flip one bit without changing the length: only the hash tells."""
    with open(path, "r+b") as stream:
        first = stream.read(1)
        stream.seek(0)
        stream.write(bytes([first[0] ^ 1]))


def taken(choice):
    return choice.candidate.set_id


# -- which set -------------------------------------------------------------------------------------------------------


def test_the_newest_verified_set_is_taken_and_a_newer_one_that_lacks_a_commit_is_told_with_its_reason(backup):
    backup.seal(MONDAY, backup.record())
    commit, dummy = backup.write("A")
    os.unlink(backup.commit_path("A"))
    backup.seal(TUESDAY, backup.record(backup.finding("A", backup.commit_path("A"))))
    choice = backup.choose()
    assert taken(choice) == MONDAY and choice.notes == []
    assert [(row["set_id"], row["state"], row["reasons"]) for row in choice.passed_over] == [(TUESDAY, "damaged", ["A: damaged in this backup"])]
    said = set_choice.report(choice)
    assert said[0] == f"chosen: {MONDAY}, begun 2026-11-23T03:00:00Z: verified at 2026-11-27T00:00:00Z (level new)"
    assert said[1] == f"passed over: {TUESDAY} (damaged): A: damaged in this backup"
    assert commit not in "".join(backup.paths(choice)).replace("/", "")


def test_what_is_recorded_is_not_believed_alone(backup):
    backup.seal(MONDAY, backup.record())
    dummy, block = backup.write("A")
    backup.seal(TUESDAY, backup.record())
    assert taken(backup.choose()) == TUESDAY
    os.unlink(block)
    choice = backup.choose()
    assert taken(choice) == MONDAY
    assert choice.passed_over[0]["state"] == "verified" and "A /3.txt: block" in choice.passed_over[0]["reasons"][0]


def test_a_set_whose_files_were_edited_is_passed_over(backup):
    backup.seal(MONDAY, backup.record())
    with open(os.path.join(backup.seal(TUESDAY, backup.record()), "files", "conf", "seafile.conf"), "ab") as stream:
        stream.write(b"#")
    choice = backup.choose()
    assert taken(choice) == MONDAY and choice.passed_over[0]["reasons"] == ["files/conf/seafile.conf was changed after sealing"]


def test_a_set_that_was_never_verified_is_taken_only_when_no_verified_one_can_be_and_that_is_said(backup):
    backup.seal(MONDAY, backup.record())
    backup.seal(TUESDAY)
    choice = backup.choose()
    assert taken(choice) == MONDAY and choice.passed_over[0]["reasons"] == ["it was never verified, and an older set is"]
    os.unlink(os.path.join(backup.layout.sealed(MONDAY), sets.MANIFEST))
    choice = backup.choose()
    assert taken(choice) == TUESDAY and "was never verified" in choice.notes[0]
    assert set_choice.report(choice)[0].endswith("sealed, never verified")


def test_the_newest_record_decides(backup):
    backup.seal(MONDAY, backup.record())
    backup.seal(TUESDAY, backup.record())
    backup.verify_later(TUESDAY, backup.record(backup.finding("A", backup.files["A"]), ended="2026-11-28T00:00:00Z"))
    assert taken(backup.choose()) == MONDAY
    backup.verify_later(TUESDAY, backup.record(ended="2026-11-29T00:00:00Z"))
    assert taken(backup.choose()) == TUESDAY


def test_a_partial_set_is_never_taken_and_told_when_it_is_the_newest(backup):
    backup.seal(MONDAY, backup.record())
    os.makedirs(backup.layout.partial(TUESDAY))
    atomic.write_json(os.path.join(backup.layout.partial(TUESDAY), sets.FAILURE), {"reason": "no space"})
    choice = backup.choose()
    assert taken(choice) == MONDAY and choice.passed_over == [{"set_id": TUESDAY, "state": "partial", "reasons": ["no space"]}]
    assert backup.fails(set_id=TUESDAY).code == "no-set"


def test_without_any_set_nothing_is_taken(backup):
    assert (backup.fails().code, backup.fails(fallback=True).code, backup.fails(set_id=MONDAY).code) == ("no-set", "no-set", "no-set")


def test_when_no_set_is_whole_the_failure_names_each_with_its_reason_and_what_to_do(backup):
    backup.seal(MONDAY)
    backup.seal(TUESDAY, backup.record(backup.finding("B", backup.files["B"])))
    os.unlink(backup.files["A"])
    error = backup.fails()
    assert error.code == "set-incomplete" and MONDAY in error.message and TUESDAY in error.message and "A /1.txt: block" in error.message
    assert "restore_library_fallback" in error.next_step and backup.ids["A"] in error.next_step
    assert [(finding["kind"], finding["library"], finding["path"], finding["damage"]) for finding in error.details["findings"]] == [
        ("blocks", backup.ids["A"], "/1.txt", "missing")]
    assert [row["set_id"] for row in error.details["passed_over"]] == [TUESDAY, MONDAY]


def test_when_all_sets_are_recorded_as_damaged_the_findings_of_the_newest_are_named(backup):
    backup.seal(MONDAY, backup.record(backup.finding("A", backup.files["A"])))
    backup.seal(TUESDAY, backup.record(backup.finding("B", backup.files["B"])))
    error = backup.fails()
    assert error.code == "set-incomplete" and error.details["findings"][0]["library"] == backup.ids["B"] and backup.ids["B"] in error.next_step


# -- a point in time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before, expected", [
    ("2026-11-25T03:00:01Z", WEDNESDAY), ("2026-11-25T03:00:00Z", TUESDAY), (WEDNESDAY, TUESDAY), (TUESDAY, MONDAY), ("2026-11-23T03:00:01Z", MONDAY),
    (THURSDAY, WEDNESDAY), ("20261125T120000Z", WEDNESDAY)])
def test_before_takes_the_newest_set_begun_before_the_moment_or_the_named_set(backup, before, expected):
    for set_id in (MONDAY, TUESDAY, WEDNESDAY):
        backup.seal(set_id, backup.record())
    choice = backup.choose(before=before)
    assert taken(choice) == expected and choice.passed_over == []


def test_a_set_counts_by_when_it_was_begun_and_not_by_its_id(backup):
    backup.seal(MONDAY, backup.record())
    backup.seal(TUESDAY, backup.record(), began="2026-11-23T02:00:00Z")  # the clock was set back between the two
    assert taken(backup.choose(before="2026-11-23T02:30:00Z")) == TUESDAY


@pytest.mark.parametrize("before", ["yesterday", "2026-11-23", "20261399T030000Z", ""])
def test_a_moment_that_is_none_is_refused(backup, before):
    with pytest.raises(SeafileError) as caught:
        set_order.begun_before([], before)
    assert caught.value.code == "time-invalid"


def test_nothing_before_the_moment_fails_naming_what_there_is(backup):
    backup.seal(TUESDAY, backup.record())
    error = backup.fails(before=TUESDAY)
    assert error.code == "no-set" and TUESDAY in error.message


# -- a named set -----------------------------------------------------------------------------------------------------


def test_a_named_set_that_was_damaged_is_taken_when_nothing_of_it_is_damaged_any_more(backup):
    backup.seal(MONDAY, backup.record())
    backup.seal(TUESDAY, backup.record(backup.finding("A", backup.files["A"])))
    choice = backup.choose(set_id=TUESDAY)
    assert taken(choice) == TUESDAY and "recorded as damaged" in choice.notes[0] and choice.passed_over == []


def test_a_named_set_is_hashed_where_its_record_says_so_for_presence_shows_no_flipped_bit(backup):
    backup.seal(MONDAY, backup.record())
    backup.write("A")
    damage(backup.files["A"])
    backup.seal(TUESDAY, backup.record(backup.finding("A", backup.files["A"], damage="wrong-hash")))
    error = backup.fails(set_id=TUESDAY)
    assert error.code == "set-incomplete" and "wrong-hash" in error.message and f"restore the set {MONDAY}, the newest whole one" in error.next_step
    assert error.details["newest_whole"] == MONDAY
    assert taken(backup.choose(set_id=TUESDAY, accepted=["A"])) == TUESDAY


def test_a_named_set_that_was_edited_fails_and_names_the_newest_whole_one(backup):
    backup.seal(MONDAY, backup.record())
    os.unlink(os.path.join(backup.seal(TUESDAY, backup.record()), "files", "conf", "seafile.conf"))
    error = backup.fails(set_id=TUESDAY)
    assert error.code == "set-damaged" and "files/conf/seafile.conf is missing" in error.message and error.details["newest_whole"] == MONDAY


# -- accepted and known damage ---------------------------------------------------------------------------------------


def test_accepted_damage_of_one_library_does_not_cover_another(backup):
    backup.seal(MONDAY, backup.record())
    for name in ("A", "B"):
        backup.write(name)
        os.unlink(backup.files[name])
    backup.seal(TUESDAY, backup.record(*(backup.finding(name, backup.files[name]) for name in ("A", "B"))))
    assert taken(backup.choose(accepted=["A"])) == MONDAY
    choice = backup.choose(accepted=["A", "B"])
    assert taken(choice) == TUESDAY and "missing or damaged, which was accepted: 2 of A, B; first: " in " ".join(choice.notes)


def test_what_is_damaged_at_the_source_does_not_count_against_a_set_and_is_told(backup):
    backup.seal(MONDAY, backup.record())
    dummy, block = backup.write("A")
    os.unlink(block)
    backup.seal(TUESDAY, backup.record(backup.finding("A", block, where="source")))
    choice = backup.choose()
    assert taken(choice) == TUESDAY and choice.known_damage() == [set_choice.key_of(backup.finding("A", block))]
    assert any(line.startswith("damaged at the source, so in every backup: 1 of A") for line in set_choice.report(choice))
    os.unlink(backup.files["B"])
    assert backup.fails(set_id=TUESDAY).details["findings_total"] == 1, "what the record does not name counts"


def test_a_record_that_names_not_all_findings_covers_libraries_that_are_damaged_at_the_source_alone(backup):
    blocks = [backup.write("A")[1] for dummy in range(3)]
    record = backup.record(backup.finding("A", blocks[0], where="source"))
    record["findings_total"] = 3
    backup.seal(MONDAY, record)
    for block in blocks:
        os.unlink(block)
    choice = backup.choose()
    assert len(choice.known_damage()) == 3 and choice.examined.findings == []


# -- libraries from older sets ---------------------------------------------------------------------------------------


def test_with_the_fallback_only_the_damaged_library_comes_from_the_set_before(backup):
    old = backup.heads["A"]
    backup.seal(MONDAY, backup.record())
    for name in ("A", "B"):
        backup.write(name)
    lost = backup.heads["A"]
    os.unlink(backup.commit_path("A"))
    backup.seal(TUESDAY, backup.record(backup.finding("A", backup.commit_path("A"))))
    choice = backup.choose(fallback=True)
    assert taken(choice) == TUESDAY and choice.heads == {backup.ids["A"]: old} and choice.passed_over == []
    reason = choice.fallbacks[0].pop("reason")
    assert choice.fallbacks == [{"library": backup.ids["A"], "name": "A", "set_id": MONDAY, "head": old}]
    assert reason == f"A: commit {lost} missing (there is no such file)"
    assert {row["name"]: row["head"] for row in choice.examined.walked.libraries} == {"A": old, "B": backup.heads["B"]}
    paths = backup.paths(choice)
    assert os.path.relpath(backup.files["B"], backup.layout.objects) in paths
    assert os.path.relpath(backup.files["A"], backup.layout.objects) not in paths, "newer objects beside an older head make clients delete files"
    choice.fallbacks[0]["reason"] = reason
    assert f"from the older set {MONDAY}: A ({backup.ids['A']}); in the chosen one: {reason}" in set_choice.report(choice)
    assert choice.list_key().startswith(TUESDAY) and choice.list_key() != TUESDAY


def test_the_fallback_goes_on_to_the_newest_set_in_which_the_library_is_whole(backup):
    oldest = backup.heads["A"]
    backup.seal(MONDAY, backup.record())
    for set_id in (TUESDAY, WEDNESDAY):
        dummy, block = backup.write("A")
        backup.seal(set_id, backup.record())
    middle = backup.heads["A"]
    damage(block)  # of Wednesday's state; Tuesday's commit shares none of it
    dummy, newest = backup.write("A")
    damage(newest)
    backup.seal(THURSDAY, backup.record(backup.finding("A", newest, damage="wrong-hash")))
    choice = backup.choose(fallback=True)
    assert choice.fallbacks[0]["set_id"] == TUESDAY and choice.heads[backup.ids["A"]] not in (oldest, middle)


def test_whole_means_hashed_for_what_falls_back(backup):
    backup.seal(MONDAY, backup.record())
    backup.write("A")
    backup.seal(TUESDAY, backup.record())
    damage(backup.files["A"])  # its length is right, so that only the hash tells
    os.unlink(backup.write("A")[1])
    backup.seal(WEDNESDAY, backup.record(backup.finding("A", backup.files["A"])))
    assert backup.choose(fallback=True).fallbacks[0]["set_id"] == MONDAY


def test_an_origin_falls_back_with_its_sub_library_and_the_place_they_were_merged(backup):
    backup.add("S", origin="A")
    base = backup.heads["A"]
    backup.seal(MONDAY, backup.record())
    monday = dict(backup.heads)
    backup.write("S")
    backup.write("A")
    backup.rows["VirtualRepo"][0].update(base_commit=backup.heads["A"], path="/renamed")
    os.unlink(backup.files["S"])
    backup.seal(TUESDAY, backup.record(backup.finding("S", backup.files["S"])))
    choice = backup.choose(fallback=True)
    assert choice.heads == {backup.ids[name]: monday[name] for name in ("A", "S")}
    assert choice.places == {backup.ids["S"]: pointers.Place(base, "/S")}
    assert sorted(entry["name"] for entry in choice.fallbacks) == ["A", "S"]


def test_a_library_that_no_older_set_has_stays_a_finding(backup):
    backup.seal(MONDAY, backup.record())
    backup.add("New")
    os.unlink(backup.files["New"])
    backup.seal(TUESDAY, backup.record(backup.finding("New", backup.files["New"])))
    error = backup.fails(fallback=True)
    assert error.code == "set-incomplete" and f"No older set has them whole: New: {MONDAY}: New is not in it" in error.message
    assert backup.ids["New"] in error.next_step and error.details["findings"][0]["path"] == "/3.txt"
    choice = backup.choose(fallback=True, accepted=["New"])
    assert taken(choice) == TUESDAY and choice.heads == {}


def test_a_sub_library_made_since_keeps_its_origin_from_falling_back(backup):
    backup.seal(MONDAY, backup.record())
    backup.add("S", origin="A")
    os.unlink(backup.write("A")[1])
    backup.seal(TUESDAY, backup.record(backup.finding("A", backup.files["A"])))
    assert "S is not in it" in backup.fails(fallback=True).message


def test_the_same_damaged_state_in_an_older_set_is_no_fallback(backup):
    backup.seal(MONDAY, backup.record())
    os.unlink(backup.files["A"])
    backup.seal(TUESDAY, backup.record(backup.finding("A", backup.files["A"])))
    assert "it has the same state of the library" in backup.fails(fallback=True).message


def test_a_deleted_library_falls_back_too(backup):
    old = backup.heads["A"]
    backup.seal(MONDAY, backup.record())
    backup.write("A")
    library = backup.ids["A"]
    backup.rows["Repo"] = [row for row in backup.rows["Repo"] if row["repo_id"] != library]
    backup.rows["RepoTrash"].append({"repo_id": library, "repo_name": "A", "head_id": backup.heads["A"], "owner_id": "a@example.org"})
    os.unlink(backup.files["A"])
    backup.seal(TUESDAY, backup.record(backup.finding("A", backup.files["A"])))
    assert backup.choose(fallback=True).heads == {library: old}


def test_the_fallback_takes_a_set_whose_files_are_whole_and_tells_of_those_that_are_not(backup):
    backup.seal(MONDAY, backup.record())
    backup.write("A")
    os.unlink(backup.files["A"])
    backup.seal(TUESDAY, backup.record(backup.finding("A", backup.files["A"])))
    os.unlink(os.path.join(backup.seal(WEDNESDAY), "files", "conf", "seafile.conf"))
    choice = backup.choose(fallback=True)
    assert taken(choice) == TUESDAY and [row["set_id"] for row in choice.passed_over] == [WEDNESDAY] and choice.fallbacks[0]["set_id"] == MONDAY


def test_a_whole_newest_set_needs_no_fallback(backup):
    backup.seal(MONDAY, backup.record())
    backup.seal(TUESDAY)
    choice = backup.choose(fallback=True)
    assert (taken(choice), choice.heads, choice.fallbacks, choice.list_key()) == (TUESDAY, {}, [], TUESDAY)


def test_a_library_whose_row_of_heads_is_double_does_not_fall_back(backup):
    backup.seal(MONDAY, backup.record())
    candidate = set_choice.Candidate(backup.layout, sets.catalogue(backup.layout)[0])
    family = candidate.family(backup.ids["A"])
    family[0].heads.append(bytes(range(20)))
    assert set_choice.older_state(family, candidate.libraries, MONDAY) == "A has not exactly one head"


# -- newer states than the set's ---------------------------------------------------------------------------------------


def test_rolled_forward_libraries_get_what_was_pulled_since_the_dump_and_each_is_listed(backup):
    backup.seal(MONDAY, backup.record())
    before = dict(backup.heads)
    for dummy in range(2):
        backup.write("A")
    choice = backup.choose(roll_forward=True)
    assert choice.heads == {backup.ids["A"]: backup.heads["A"]} and choice.places == {}
    time = "1970-01-01T00:16:44Z"
    assert choice.rolled_forward == [
        {"library": backup.ids["A"], "name": "A", "from": before["A"], "to": backup.heads["A"], "commits": 2, "time": time}]
    assert {row["name"]: row["head"] for row in choice.examined.walked.libraries} == backup.heads
    assert os.path.relpath(backup.files["A"], backup.layout.objects) in backup.paths(choice)
    said = set_choice.report(choice)
    assert f"rolled forward: A ({backup.ids['A']}) by 2 commits, to {backup.heads['A']} of {time}" in said
    assert choice.list_key().startswith(MONDAY) and choice.list_key() != MONDAY
    plain = backup.choose()
    assert (plain.heads, plain.rolled_forward, plain.list_key()) == ({}, None, MONDAY), "off by default"


def test_when_nothing_is_newer_that_is_said(backup):
    backup.seal(MONDAY, backup.record())
    choice = backup.choose(roll_forward=True)
    assert choice.rolled_forward == [] and choice.list_key() == MONDAY
    assert "rolled forward: nothing, no library has a newer complete commit in the backup" in set_choice.report(choice)


def test_a_library_that_falls_back_is_not_rolled_forward_and_the_others_are(backup):
    old = backup.heads["A"]
    backup.seal(MONDAY, backup.record())
    backup.write("A")
    lost = backup.files["A"]
    backup.seal(TUESDAY, backup.record(backup.finding("A", lost)))
    os.unlink(lost)
    for name in ("A", "B"):
        backup.write(name)
    choice = backup.choose(fallback=True, roll_forward=True)
    assert taken(choice) == TUESDAY and choice.heads == {backup.ids["A"]: old, backup.ids["B"]: backup.heads["B"]}
    assert [entry["name"] for entry in choice.fallbacks] == ["A"] and [entry["name"] for entry in choice.rolled_forward] == ["B"]


def test_an_older_set_rolled_forward_goes_to_the_newest_state_of_its_libraries_alone(backup):
    backup.seal(MONDAY, backup.record())
    backup.write("A")
    backup.add("New")
    backup.seal(TUESDAY, backup.record())
    choice = backup.choose(before=TUESDAY, roll_forward=True)
    assert taken(choice) == MONDAY and choice.heads == {backup.ids["A"]: backup.heads["A"]}


def test_what_is_damaged_at_the_source_keeps_no_library_from_going_forward(backup):
    backup.write("A")
    block = backup.files["A"]
    os.unlink(block)
    backup.seal(MONDAY, backup.record(backup.finding("A", block, where="source")))
    backup.write("A")
    choice = backup.choose(roll_forward=True)
    assert choice.heads == {backup.ids["A"]: backup.heads["A"]} and len(choice.known_damage()) == 1


def test_everything_is_what_the_backup_has_of_the_sets_libraries(backup):
    backup.add("S", origin="A")
    backup.seal(MONDAY, backup.record())
    backup.write("S")
    backup.write("A")
    choice = backup.choose()
    backup.add("New")
    empty = backup.maker.path("blocks", backup.ids["A"], "f" * 40)
    os.makedirs(os.path.dirname(empty), exist_ok=True)
    with open(empty, "wb"):
        pass  # what a power loss leaves is no object
    everything = set_choice.Everything(ObjectStore(backup.layout.objects), choice.candidate.pointers)
    paths = list(everything.paths())
    there = {os.path.relpath(os.path.join(where, name), backup.layout.objects) for where, dummy, names in os.walk(backup.layout.objects) for name in names}
    assert paths == sorted(paths) and set(paths) == {path for path in there if backup.ids["New"] not in path and not path.endswith("f" * 38)}
    assert set(paths) > backup.paths(choice)
    totals = everything.totals()
    assert sum(kind["files"] for kind in totals.values()) == len(paths)
    assert totals["commits"]["bytes"] == sum(os.path.getsize(os.path.join(backup.layout.objects, path)) for path in paths if path.startswith("commits/"))


@pytest.mark.parametrize("ids", [["All"], [None], ["A" * 36], [1]])
def test_accepted_libraries_are_ids(ids):
    with pytest.raises(SeafileError) as caught:
        set_order.require_library_ids(ids, "accept_damage")
    assert caught.value.code == "library-id-invalid"


def test_the_choice_can_be_told_as_json(backup):
    backup.seal(MONDAY, backup.record())
    choice = backup.choose()
    assert json.loads(json.dumps(choice.candidate.row))["set_id"] == MONDAY
