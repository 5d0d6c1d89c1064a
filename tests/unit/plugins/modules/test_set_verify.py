# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets made by the modules themselves out of a small store, verified with the real engine and healed by the real rsync."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import clock, heal, run_record, set_verification, sets, verification_record
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout
from ansible_collections.seafleet.seafile.plugins.module_utils.progress import Progress
from ansible_collections.seafleet.seafile.plugins.modules import backup_set, set_verify
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.packing import KINDS, pack
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import Maker

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="no rsync on this machine")

ONE, TWO = "20261120T030000Z", "20261121T030000Z"
DEFAULTS = dict(set_id=None, all=False, run=False, level="quick", scrub_percent=0.0, heal=True, collected=[], moved=None, gone=[], processes=1, timeout=60,
                fail_on_damage=False, damage_limit=100, seal=None, host_servers=0)


def run_command(argv, expand_user_and_vars=True):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Host:
    """A backup host with one server's backup; the server's storage lies beside it."""

    kind = "gzip"

    def __init__(self, tmp_path):
        self.tmp = tmp_path
        self.maker = Maker(tmp_path / "storage")
        self.layout = ServerLayout(str(tmp_path / "backup"), "server1")
        self.libraries, self.objects = {}, {}
        for name in ("One", "Two"):
            self.grow(name, b"first content of " + name.encode())

    def grow(self, name, content):
        """A library, or a new commit in it, with one file."""
        maker = self.maker
        library, parent = self.libraries.get(name, (maker.library_id(), None))
        block = maker.block(library, content)
        file = maker.fs(library, {"block_ids": [block], "size": len(content), "type": 1, "version": 1})
        tree = maker.directory(library, {"a.txt": file})
        commit = maker.commit(library, tree, parent, name=name)
        if parent is None:
            maker.library(commit, library, name)
        else:
            next(row for row in maker.tables["Branch"] if row["repo_id"] == library)["commit_id"] = commit
        self.libraries[name] = library, commit
        self.objects[name] = {"blocks": block, "file": file, "fs": tree, "commits": commit}

    def bring(self, set_id):
        """Begin the run of I(set_id) and do what its pulls do."""
        self.set_module("partial", set_id)
        databases = os.path.join(self.layout.partial(set_id), "databases")
        os.makedirs(databases)
        self.maker.dump(self.tmp / "dump.sql")
        content = pack(self.kind, (self.tmp / "dump.sql").read_bytes())
        other = pack(self.kind, b"BEGIN TRANSACTION;\nCREATE TABLE EmailUser (id INTEGER);\nCOMMIT;\n")
        sums = {}
        own = f"seafile.db{KINDS[self.kind]}"
        for name, data in ((own, content), (f"ccnet.db{KINDS[self.kind]}", other)):
            with open(os.path.join(databases, name), "wb") as stream:
                stream.write(data)
            sums[f"databases/{name}"] = hashlib.sha256(data).hexdigest()
        self.dumps = [{"name": "seafile-data/seafile.db", "role": "seafile", "engine": "sqlite", "file": own, "sha256": sums[f"databases/{own}"]}]
        subprocess.run(["rsync", "-r", "--ignore-existing", "--min-size=1", f"{self.maker.root}/", f"{self.layout.objects}/"], check=True)
        source = {key: None for key in ("host", "user", "port", "private_key", "known_hosts", "host_key_alias")}
        write_json(self.layout.source, dict(source, src=self.maker.root, time="2026-11-20T03:00:00Z"))
        with run_record.joined(self.layout, set_id) as run:
            for stage in run_record.STAGES:
                run.finish(stage, clock.utc_now(), {"sha256": sums} if stage == "dumps" else {})

    def set_module(self, state, set_id):
        params = {"state": state, "server": "server1", "set_id": set_id, "manifest": {"databases": getattr(self, "dumps", [])}, "reason": "x",
                  "lock_lease": 3600, "controller": {}, "dead_run": None, "preflight": None, "renew": False}
        module = types.SimpleNamespace(params=params, check_mode=False, run_command=run_command)
        return {"partial": backup_set.begin_set, "sealed": backup_set.seal_set}[state](module, self.layout)

    def backup(self, set_id, **params):
        """A whole run: bring, verify, seal."""
        self.bring(set_id)
        result = self.verify(set_id=set_id, run=True, **dict({"level": "new", "moved": []}, **params))
        self.set_module("sealed", set_id)
        return result

    def verify(self, check_mode=False, **params):
        given = dict(DEFAULTS, backup_root=str(self.tmp / "backup"), server="server1", **params)
        module = types.SimpleNamespace(
            params=given, check_mode=check_mode, run_command=run_command, get_bin_path=shutil.which)
        return set_verify.set_verify(module)

    def here(self, name, kind):
        return self._path(self.layout.objects, name, kind)

    def there(self, name, kind):
        return self._path(self.maker.root, name, kind)

    def _path(self, root, name, kind):
        object_id = self.objects[name][kind]
        return os.path.join(root, "fs" if kind == "file" else kind, self.libraries[name][0], object_id[:2], object_id[2:])

    def state(self, set_id):
        return sets.describe(self.layout, set_id, True)["state"]

    def quarantined(self):
        return [name for dummy, dummy, names in os.walk(self.layout.quarantine) for name in names]


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def spoil(path):
    """Change one byte as a disk does: neither size nor time tell."""
    status = os.stat(path)
    with open(path, "rb") as stream:
        content = bytearray(stream.read())
    content[-1] ^= 1
    os.chmod(path, 0o600)
    with open(path, "r+b") as stream:
        stream.write(content)
    os.chmod(path, status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def read(path):
    with open(path, "rb") as stream:
        return stream.read()


def tree(path):
    paths = sorted(os.path.join(folder, name) for folder, names, files in os.walk(path) for name in names + files)
    return [(name, os.lstat(name).st_mtime_ns, os.lstat(name).st_ino) for name in paths]


def test_a_run_that_verifies_its_set_seals_a_verified_one(host):
    result = host.backup(ONE)
    assert result["state"] == "verified" and result["sets"][ONE]["findings_total"] == 0 and result["changed"] is True
    manifest = sets.read_manifest(host.layout.sealed(ONE))
    assert manifest["verification"]["state"] == "verified" and manifest["verification"]["level"] == "new" and manifest["verification"]["libraries"] == 2
    assert manifest["stages"]["verify"]["ended"] >= manifest["stages"]["objects"]["ended"] and "record" not in manifest["stages"]["verify"]
    assert host.state(ONE) == "verified" and sets.check_sums(host.layout.sealed(ONE)) == []
    row = sets.catalogue(host.layout)[0]
    assert row["verification"]["findings_total"] == 0 and "findings" not in row["verification"]
    assert sets.sealed_ids(host.layout) == [ONE] and sets.partial_ids(host.layout) == []


def test_a_set_whose_dumps_are_of_zstd_is_verified_as_any_other(host):
    host.kind = "zstd"
    assert host.backup(ONE)["state"] == "verified"
    assert host.verify(set_id=ONE, level="full")["state"] == "verified"


def test_a_set_that_was_not_verified_is_sealed_and_never_called_verified(host):
    host.bring(ONE)
    assert host.set_module("sealed", ONE)["verification"] is None
    assert host.state(ONE) == "sealed"


def test_sealing_tells_the_verdict_now_and_later(host):
    host.bring(ONE)
    host.verify(set_id=ONE, run=True, level="new", moved=[])
    first = host.set_module("sealed", ONE)
    assert (first["set_state"], first["verification"]["state"]) == ("sealed", "verified")
    for state in ("partial", "sealed"):
        again = host.set_module(state, ONE)
        assert (again["changed"], again["set_state"], again["verification"]) == (False, "sealed", first["verification"])


def test_a_run_is_not_verified_before_its_objects_have_arrived(host):
    host.set_module("partial", ONE)
    with pytest.raises(SeafileError) as caught:
        host.verify(set_id=ONE, run=True)
    assert caught.value.code == "order"


def test_what_is_pulled_after_the_verification_was_not_verified(host):
    host.bring(ONE)
    host.verify(set_id=ONE, run=True, moved=[])
    with run_record.joined(host.layout, ONE) as run:
        run.finish("objects", clock.utc_now(), {})
    assert host.set_module("sealed", ONE)["verification"] is None


@pytest.mark.parametrize("level", ["quick", "full"])
def test_verifying_a_whole_set_again_changes_nothing_but_the_time_of_its_record(host, level):
    host.backup(ONE)
    before = tree(host.layout.objects) + tree(host.layout.sealed(ONE))
    for dummy in range(2):
        result = host.verify(level=level)
        assert (result["changed"], result["state"], list(result["sets"])) == (False, "verified", [ONE])
    assert tree(host.layout.objects) + tree(host.layout.sealed(ONE)) == before
    assert os.stat(host.layout.verification(ONE)).st_mode & 0o777 == os.stat(host.layout.verification_page(ONE)).st_mode & 0o777 == 0o600
    assert json.loads(read(host.layout.verification(ONE)))["level"] == level


@pytest.mark.parametrize("kind", ["blocks", "file", "fs", "commits"])
def test_a_flipped_byte_is_found_named_and_healed(host, kind):
    host.backup(ONE)
    good = read(host.here("One", kind))
    spoil(host.here("One", kind))
    told = host.verify(level="full", heal=False)
    record = told["sets"][ONE]
    assert (record["state"], record["findings_total"], told["changed"], host.state(ONE)) == ("damaged", 1, True, "damaged")
    finding = record["findings"][0]
    # the name stands in the head commit alone: without that one it is the database's, which this small dump does not have
    name = "" if kind == "commits" else "One"
    assert (finding["id"], finding["library"], finding["library_name"]) == (host.objects["One"][kind], host.libraries["One"][0], name)
    assert record["damaged_libraries"] == [{"id": host.libraries["One"][0], "name": name, "findings": 1, "where": "backup"}]
    healed = host.verify(level="full")
    assert (healed["state"], healed["changed"], healed["sets"][ONE]["healed_total"]) == ("verified", True, 1)
    assert read(host.here("One", kind)) == good and len(host.quarantined()) == 1 and host.state(ONE) == "verified"
    assert host.verify(level="full")["changed"] is False


def test_what_lies_below_a_lost_commit_is_healed_level_by_level(host):
    host.backup(ONE)
    for kind in ("blocks", "file", "fs", "commits"):
        os.unlink(host.here("One", kind))
    result = host.verify()
    assert (result["state"], result["sets"][ONE]["healed_total"]) == ("verified", 4)
    assert sorted(row["kind"] for row in result["sets"][ONE]["healed"]) == ["blocks", "commits", "fs", "fs"]
    assert host.quarantined() == [] and result["sets"][ONE]["findings"] == []


def test_without_an_index_it_is_healed_as_well(host):
    host.backup(ONE)
    for kind in ("blocks", "file", "fs", "commits"):
        os.unlink(host.here("One", kind))
    shutil.rmtree(host.layout.proved)
    result = host.verify()
    # each round opens what lies below
    assert (result["state"], [row["kind"] for row in result["sets"][ONE]["healed"]]) == ("verified", ["commits", "fs", "fs", "blocks"])


def test_check_mode_finds_the_damage_and_changes_nothing(host):
    host.backup(ONE)
    os.unlink(host.here("One", "blocks"))
    before = tree(host.layout.root)
    result = host.verify(check_mode=True, level="full")
    assert (result["changed"], result["state"]) == (True, "damaged") and tree(host.layout.root) == before
    host.verify()
    assert host.verify(check_mode=True)["changed"] is False


def test_it_says_how_far_it_is_while_it_works_and_leaves_nothing(host, monkeypatch):
    seen = []

    class Seen(Progress):
        def close(self):
            with open(self.path, encoding="ascii") as stream:
                seen.append((self.path, json.load(stream)["what"]))
            super().close()

    monkeypatch.setattr(set_verification, "Progress", Seen)
    host.backup(ONE)
    host.backup(TWO)
    seen.clear()
    host.verify(all=True)
    assert seen == [(host.layout.progress, f"verify {TWO}"), (host.layout.progress, f"verify {ONE}")]
    assert not os.path.lexists(host.layout.progress)


def test_damage_of_the_server_itself_is_told_and_does_not_make_the_set_damaged(host):
    spoil(host.there("One", "blocks"))
    os.unlink(host.there("Two", "blocks"))
    result = host.backup(ONE)
    record = result["sets"][ONE]
    assert (record["state"], record["findings_total"]) == ("verified", 2) and {finding["where"] for finding in record["findings"]} == {"source"}
    assert any("Damaged on the server itself" in line for line in result["report"]) and any("One" in reason for reason in record["reasons"])
    # later too, though nobody says then what has moved: what the run found out stays true
    assert (host.verify()["state"], host.verify(heal=False)["state"]) == ("verified", "verified")


@pytest.mark.parametrize("moved", [None, ["One"]])
def test_what_the_server_lost_after_the_dump_makes_the_set_damaged(host, moved):
    os.unlink(host.there("One", "blocks"))
    result = host.backup(ONE, moved=None if moved is None else [host.libraries[name][0] for name in moved])
    assert result["state"] == "damaged" and result["sets"][ONE]["findings"][0]["where"] == "backup"
    assert host.state(ONE) == "damaged" and sets.catalogue(host.layout)[0]["reasons"] == result["sets"][ONE]["reasons"]


def test_another_librarys_move_says_nothing_of_this_one(host):
    os.unlink(host.there("One", "blocks"))
    assert host.backup(ONE, moved=[host.libraries["Two"][0]])["state"] == "verified"


def test_what_was_whole_once_and_is_lost_on_both_sides_is_the_backups_damage(host):
    host.backup(ONE)
    os.unlink(host.there("One", "blocks"))
    spoil(host.here("One", "blocks"))
    result = host.verify(level="full", moved=[])
    assert result["state"] == "damaged" and result["sets"][ONE]["findings"][0]["where"] == "backup"


def test_a_server_that_cannot_be_asked_leaves_it_open_and_says_why(host):
    host.bring(ONE)
    host.set_module("sealed", ONE)
    os.unlink(host.here("One", "blocks"))
    os.unlink(host.layout.source)
    result = host.verify()
    assert result["state"] == "damaged" and result["sets"][ONE]["findings"][0]["where"] == "unknown"
    assert any("could not be asked for 1 objects" in note and "run the backup" in note for note in result["notes"])


def test_with_failing_asked_for_it_fails_with_the_same_values(host):
    host.backup(ONE)
    os.unlink(host.here("One", "blocks"))
    os.unlink(host.there("One", "blocks"))
    with pytest.raises(SeafileError) as caught:
        host.verify(fail_on_damage=True)
    error = caught.value
    assert error.code == "set-incomplete" and host.objects["One"]["blocks"] in error.message and "/a.txt" in error.message and "One" in error.message
    assert error.details["state"] == "damaged" and error.details["changed"] is True and set(error.details["sets"]) == {ONE} and error.details["report"]


@pytest.mark.parametrize("healing", [True, False])
def test_rot_that_a_run_finds_hits_the_older_sets_that_need_the_object(host, healing):
    host.backup(ONE)
    spoil(host.here("One", "blocks"))
    good = read(host.there("One", "blocks"))
    if not healing:
        spoil(host.there("One", "blocks"))
    host.grow("Two", b"second content of Two")
    result = host.backup(TWO, scrub_percent=100.0)
    if healing:
        assert (set(result["sets"]), result["state"]) == ({TWO}, "verified") and read(host.here("One", "blocks")) == good
        assert result["sets"][TWO]["healed_total"] == 1 and result["sets"][TWO]["scrubbed"]["files"] > 0
    else:
        assert result["state"] == "damaged" and {set_id: record["state"] for set_id, record in result["sets"].items()} == {ONE: "damaged", TWO: "damaged"}
        assert host.state(ONE) == host.state(TWO) == "damaged"
        assert [row["name"] for row in result["sets"][ONE]["damaged_libraries"]] == ["One"]
        assert sets.check_sums(host.layout.sealed(ONE)) == []


def test_when_it_is_healed_the_other_sets_are_verified_again(host):
    host.backup(ONE)
    host.backup(TWO)
    spoil(host.here("One", "blocks"))
    assert host.verify(all=True, level="full", heal=False)["state"] == "damaged"
    assert (host.state(ONE), host.state(TWO)) == ("damaged", "damaged")
    result = host.verify(level="full")
    assert set(result["sets"]) == {ONE, TWO} and result["state"] == "verified"
    assert (host.state(ONE), host.state(TWO)) == ("verified", "verified")


def test_all_sets_in_full_read_each_object_once(host):
    host.backup(ONE)
    host.grow("Two", b"second content of Two")
    host.backup(TWO)
    result = host.verify(all=True, level="full")
    files = sum(kind["files"] for record in result["sets"].values() for kind in record["hashed"].values())
    assert list(result["sets"]) == [TWO, ONE] and files == sum(host.maker.count.values())
    assert {record["level"] for record in result["sets"].values()} == {"full"}
    assert os.path.isdir(host.layout.proved) and not os.path.exists(host.layout.proved + ".full")
    # what was proved then is believed afterwards
    assert sum(kind["files"] for kind in host.verify(level="new")["sets"][TWO]["hashed"].values()) == 0


def test_a_second_verification_beside_the_first_heals_nothing_and_says_so(host):
    host.backup(ONE)
    os.unlink(host.here("One", "blocks"))
    with heal.sole(host.layout):
        result = host.verify()
    assert result["state"] == "damaged" and not os.path.exists(host.here("One", "blocks"))
    assert any("another verification of this server is at work" in note for note in result["notes"])
    assert host.verify()["state"] == "verified"


def test_a_damaged_dump_is_the_sets_damage_and_the_others_are_verified(host):
    host.backup(ONE)
    host.backup(TWO)
    dump = os.path.join(host.layout.sealed(ONE), "databases", "seafile.db.sql.gz")
    with open(dump, "r+b") as stream:
        stream.truncate(40)
    result = host.verify(all=True)
    assert {set_id: record["state"] for set_id, record in result["sets"].items()} == {ONE: "damaged", TWO: "verified"}
    assert "seafile.db.sql.gz" in result["sets"][ONE]["reasons"][0] and any("restore another set" in line for line in result["report"])


def test_an_edited_file_of_the_set_is_found_beside_its_objects(host):
    host.backup(ONE)
    os.makedirs(os.path.join(host.layout.sealed(ONE), "files"))
    with open(os.path.join(host.layout.sealed(ONE), "files", "new"), "wb"):
        pass
    result = host.verify()
    assert result["state"] == "damaged" and "files/new was added after sealing" in result["sets"][ONE]["reasons"][0]
    os.unlink(os.path.join(host.layout.sealed(ONE), "files", "new"))
    assert host.verify()["state"] == "verified"


def test_a_set_without_its_manifest_is_damaged_and_never_a_traceback(host):
    host.backup(ONE)
    os.unlink(os.path.join(host.layout.sealed(ONE), sets.MANIFEST))
    result = host.verify()
    assert result["state"] == "damaged" and "the manifest is missing" in result["sets"][ONE]["reasons"][0]


def test_a_record_beside_the_set_that_cannot_be_read_hides_the_older_one(host):
    host.backup(ONE)
    with open(host.layout.verification(ONE), "wb") as stream:
        stream.write(b'{"format": 1, "state": "ver')
    row = sets.describe(host.layout, ONE, True)
    assert row["state"] == "sealed" and "verify the set again" in row["reasons"][0]
    assert host.verify()["state"] == "verified" and host.state(ONE) == "verified"


@pytest.mark.parametrize("params, code", [
    ({"set_id": TWO}, "no-set"), ({"set_id": "../x"}, "set-id-invalid"), ({"collected": ["x"]}, "library-id-invalid"), ({"moved": ["x"]}, "library-id-invalid"),
    ({"gone": ["x"]}, "library-id-invalid"),
    ({"run": True, "set_id": TWO}, "run-lost"),
])
def test_bad_input_has_a_code(host, params, code):
    host.backup(ONE)
    with pytest.raises(SeafileError) as caught:
        host.verify(**params)
    assert caught.value.code == code


def test_without_any_set_there_is_nothing_to_verify(host):
    with pytest.raises(SeafileError) as caught:
        host.verify()
    assert caught.value.code == "no-set"


def test_a_partial_set_is_verified_by_its_run_alone(host):
    host.bring(ONE)
    with pytest.raises(SeafileError, match="the set is partial"):
        host.verify(set_id=ONE)


def test_objects_that_are_not_mounted_are_no_sets_damage(host):
    host.backup(ONE)
    os.rename(host.layout.objects, host.layout.objects + ".away")
    with pytest.raises(SeafileError) as caught:
        host.verify()
    assert caught.value.code == "storage-missing" and host.state(ONE) == "verified"


def test_the_result_has_a_hundred_findings_the_record_a_thousand_and_the_page_a_few(host):
    maker = host.maker
    library = maker.library_id()
    files = {f"{number:04d}\x1b[31m": maker.file(library, str(number).encode()) for number in range(1200)}
    maker.library(maker.commit(library, maker.directory(library, files), name="Many\x1b[2J"), library, "Many")
    host.bring(ONE)
    host.set_module("sealed", ONE)
    shutil.rmtree(os.path.join(host.layout.objects, "blocks", library))
    result = host.verify(heal=False)
    record = json.loads(read(host.layout.verification(ONE)))
    assert record["findings_total"] == 1200 and len(record["findings"]) == 1000 and len(result["sets"][ONE]["findings"]) == 100
    text = read(host.layout.verification_page(ONE)).decode()
    assert "and 1195 more" in text and "\x1b" not in text and "\\x1b" in text and len(text.splitlines()) < 25
    assert result["report"] == text.splitlines() and verification_record.is_record(record)
    assert all(word in text for word in ("DAMAGED", "Many", library, "What to do", "Run the backup again"))


@pytest.mark.parametrize("gone, state", [(["One"], "verified"), (["Two"], "damaged"), ([], "damaged")])
def test_a_library_that_was_deleted_for_good_while_the_backup_ran_is_no_damage_of_the_backup(tmp_path, gone, state):
    host = Host(tmp_path)
    for place in ("commits", "fs", "blocks"):
        shutil.rmtree(tmp_path / "storage" / place / host.libraries["One"][0])
    ids = [host.libraries[name][0] for name in gone]
    result = host.backup(ONE, moved=[host.libraries["One"][0], *ids], gone=ids, damage_limit=0)
    assert result["state"] == state and result["sets"][ONE]["findings_total"] > 0
    assert {finding["library"] for finding in result["sets"][ONE]["findings"]} == {host.libraries["One"][0]}


def encrypt_new_files(host, count):
    """On the server come libraries whose files somebody encrypts before they are backed up."""
    for number in range(count):
        host.grow(f"New {number}", b"a new file %d" % number)
        with open(host.there(f"New {number}", "blocks"), "wb") as stream:
            stream.write(b"encrypted for a ransom %d" % number)


def test_too_much_damage_in_what_comes_new_fails_the_run_and_earlier_sets_stay_verified(tmp_path):
    host = Host(tmp_path)
    host.backup(ONE)
    encrypt_new_files(host, 12)
    host.bring(TWO)
    with pytest.raises(SeafileError) as caught:
        host.verify(set_id=TWO, run=True, level="new", moved=[], damage_limit=10)
    assert caught.value.code == "source-damaged" and "12 of 12 objects" in caught.value.message
    assert host.state(ONE) == "verified" and sets.sealed_ids(host.layout) == [ONE]


def test_damage_that_is_known_or_little_or_accepted_fails_no_run(tmp_path):
    host = Host(tmp_path)
    encrypt_new_files(host, 9)
    assert host.backup(ONE, damage_limit=0)["state"] == "verified", "nine are too few"
    encrypt_new_files(host, 21)
    result = host.backup(TWO, damage_limit=100)
    assert result["state"] == "verified" and {finding["where"] for finding in result["sets"][TWO]["findings"]} == {"source"}
    assert host.backup("20261122T030000Z", damage_limit=0)["state"] == "verified", "the set before knows all of them"


def record(where="source", total=None, kind="blocks", first=0, count=20, hashed=0):
    findings = [{"kind": kind, "store": "s", "id": f"{number:040x}", "library": "l", "where": where, "damage": "wrong-hash"}
                for number in range(first, first + count)]
    return {"findings": findings, "findings_total": count if total is None else total, "hashed": {"blocks": {"files": hashed, "bytes": 0}}}


@pytest.mark.parametrize("now, before, arrived, said", [
    (record(), record(count=0), 100, "20 of 100"),
    (record(), record(count=0), 200, None),
    (record(), record(count=0), 199, "20 of 199"),
    (record(), record(count=0), 0, "20 of 20"),
    (record(count=9), record(count=0), 9, None),
    (record(where="backup"), record(count=0), 20, None),
    (record(kind="head"), record(count=0), 20, None),
    (record(), record(), 20, None),
    (record(), record(first=10), 20, "10 of 20"),
    (record(hashed=100), None, 0, "20 of 100"),
    (record(hashed=1000), None, 20, None),
    (record(total=5000), record(count=0), 10000, "5000 of 10000"),
    (record(total=5000), record(total=5000), 10000, None),
])
def test_what_counts_as_new_damage(now, before, arrived, said):
    told = set_verification.damage_in_what_came(now, before, arrived, 10)
    assert (told or "").startswith(said or "") and (told is None) == (said is None)
