# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One library out of a set of a real deployment (SQLite) and back into it: both modules, as one restore runs them."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import atomic, library_return, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.modules import library_extract, library_restore
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets

NAME = "seafile-11-sqlite"
SET_ID = "20261123T030000Z"
DUMPS = {
    "seafile-data/seafile.db": "seafile", "seahub.db": "seahub", "ccnet/PeerMgr/usermgr.db": "ccnet", "ccnet/GroupMgr/groupmgr.db": "ccnet"}
NEVER_BACK = ("RepoSize", "RepoFileCount", "RepoUserToken", "WebUploadTempFiles", "RepoTokenPeerInfo")
"""Tables whose rows of a library do not return."""


def link(source, target):
    """As a copy, for files that nobody ever writes into."""
    if not os.path.exists(target):
        os.link(source, target)


class Lab:
    """A deployment, a set of it, and the modules."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.root = real_sets.unpack(NAME, directory)
        self.storage = self.root / "seafile-data" / "storage"
        self.backup = self.directory / "backup"
        self.src = self.directory / "state" / "library"
        self.libraries = {library["name"]: library["id"] for library in real_sets.manifest(NAME)["libraries"]}
        for path in self.storage.rglob("*"):
            if path.is_dir():
                path.chmod(0o700)

    # -- the set

    def seal(self, set_id=SET_ID):
        """What is there now becomes a verified set; objects are copied, as a pull does."""
        top = self.backup / "server1"
        shutil.copytree(self.storage, top / "objects", dirs_exist_ok=True, copy_function=link)
        directory = top / "sets" / set_id
        (directory / "databases").mkdir(parents=True)
        dumps = []
        for name, role in DUMPS.items():
            file = f"{name.rsplit('/', 1)[-1]}.sql.gz"
            with sqlite3.connect(self.root / name) as connection, gzip.open(directory / "databases" / file, "wt", encoding="utf-8") as stream:
                stream.write("\n".join(connection.iterdump()) + "\n")
            digest = hashlib.sha256((directory / "databases" / file).read_bytes()).hexdigest()
            dumps.append({"name": name, "role": role, "engine": "sqlite", "file": file, "sha256": digest})
        record = {"state": "verified", "level": "new", "ended": "2026-11-23T03:04:05Z", "findings_total": 0, "findings": [], "damaged_libraries": []}
        manifest = {"format": 1, "set_id": set_id, "began": "2026-11-23T03:00:00Z", "databases": dumps, "links": {}, "verification": record}
        atomic.write_json(str(directory / sets.MANIFEST), manifest)
        sums = {path: sets.file_sha256(str(directory / path)) for path in sets.regular_files(str(directory))}
        atomic.write_atomically(str(directory / sets.SUMS), sets.format_sums(sums))

    # -- what happens to the server

    def sql(self, statement, *values, database="seafile-data/seafile.db"):
        with sqlite3.connect(self.root / database) as connection:
            return connection.execute(statement, values).fetchall()

    def dump(self):
        """Every row and definition of every database."""
        lines = {}
        for name in DUMPS:
            with sqlite3.connect(self.root / name) as connection:
                lines[name] = sorted(line for line in connection.iterdump() if "sqlite_sequence" not in line)
        return lines

    def difference(self, before, after):
        """The rows that only one of two dumps has: (gone, new), without those that never return."""
        def only(one, other):
            return [line for name in DUMPS for line in one[name] if line not in other[name] and not any(f'INTO "{table}"' in line for table in NEVER_BACK)]
        return only(before, after), only(after, before)

    def purge(self, *libraries):
        """As Seafile deletes a library for good, and Seahub its rows; garbage collection has run."""
        for library in libraries:
            for database in ("seafile-data/seafile.db", "seahub.db"):
                for table, columns in self.tables(database).items():
                    for column in columns:
                        self.sql(f'DELETE FROM "{table}" WHERE "{column}" = ?', library, database=database)
            self.sql("INSERT INTO GarbageRepos (repo_id) VALUES (?)", library)
            for kind in ("commits", "fs", "blocks"):
                shutil.rmtree(self.storage / kind / library, ignore_errors=True)

    def tables(self, database):
        """Columns that name a library, by table."""
        names = [row[0] for row in self.sql("SELECT name FROM sqlite_master WHERE type = 'table'", database=database)]
        columns = {name: [row[1] for row in self.sql(f'PRAGMA table_info("{name}")', database=database)] for name in names}
        return {name: [column for column in found if column in ("repo_id", "origin_repo", "origin_repo_id")] for name, found in columns.items()}

    # -- the modules

    def extract(self, library, check_mode=False, **params):
        given = dict({"backup_root": str(self.backup), "server": "server1", "library": library, "set_id": None, "before": None}, **params)
        result = library_extract.extract(types.SimpleNamespace(params=given, check_mode=check_mode))
        if not check_mode:
            shutil.rmtree(self.src, ignore_errors=True)
            shutil.copytree(result["paths"]["directory"], self.src)
        return result

    def restore(self, state="present", check_mode=False, src=None, fetch=True, **params):
        given = dict({"state": state, "seafile_root": str(self.root), "src": str(src or self.src), "state_dir": str(self.directory / "state"), "mode": "new",
                      "owner": None, "name": None, "password": None, "again": False}, **params)
        if state == "present" and not check_mode and fetch and src is None:
            self.restore("planned", **params)
            self.fetch()
        return library_restore.restore(types.SimpleNamespace(params=given, check_mode=check_mode))

    def fetch(self):
        """What rsync brings: the objects of wanted.list."""
        try:
            wanted = (self.src / "wanted.list").read_bytes().decode().split("\0")[:-1]
        except FileNotFoundError:
            wanted = []
        for path in wanted:
            (self.src / "objects" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.backup / "server1" / "objects" / path, self.src / "objects" / path)
        return wanted

    def bring_back(self, library, **params):
        self.extract(library)
        return self.restore(**params)

    def objects(self, *libraries):
        """Content of every object of the libraries, by path."""
        return {str(path.relative_to(self.storage)): path.read_bytes() for library in libraries for kind in ("commits", "fs", "blocks")
                for path in (self.storage / kind / library).rglob("*") if path.is_file()}


@pytest.fixture
def lab(tmp_path):
    made = Lab(tmp_path)
    made.seal()
    return made


def code(action, *arguments, **params):
    with pytest.raises(SeafileError) as caught:
        action(*arguments, **params)
    return caught.value.code


def test_a_purged_library_with_its_sub_libraries_returns_with_all_its_rows_and_objects_and_nothing_else_changes(lab):
    library = lab.libraries["Alice documents"]
    family = [library, lab.libraries["Projekte"], lab.libraries["many"]]
    before, objects = lab.dump(), lab.objects(*family)
    lab.purge(*family)
    extracted = lab.extract("Alice documents")
    assert extracted["library"]["id"] == library and sorted(extracted["library"]["sub_libraries"]) == sorted(family[1:])
    result = lab.restore()
    assert result["changed"] and result["removed"] == {"seafile": {"GarbageRepos": 3}}
    assert result["added"]["seafile"]["Repo"] == 3 and result["added"]["seahub"]["share_fileshare"] == 40
    assert lab.difference(before, lab.dump()) == ([], [])
    after = lab.objects(*family)
    assert after and all(objects[path] == content for path, content in after.items())
    assert lab.sql("SELECT * FROM RepoUserToken WHERE repo_id = ?", library) == []


def test_objects_get_the_owner_and_mode_of_the_store(lab):
    library = lab.libraries["History"]
    lab.purge(library)
    lab.bring_back(library)
    path = next(path for path in (lab.storage / "commits" / library).rglob("*") if path.is_file())
    store = (lab.storage / "commits").stat()
    assert path.stat().st_mode & 0o7777 == 0o600 and path.parent.stat().st_mode & 0o7777 == store.st_mode & 0o7777 and path.stat().st_uid == store.st_uid


def test_a_second_run_changes_nothing_even_when_the_library_was_written_to(lab):
    library = lab.libraries["History"]
    lab.purge(library)
    lab.bring_back(library)
    lab.sql("UPDATE Branch SET commit_id = ? WHERE repo_id = ?", "1" * 40, library)
    after = lab.dump()
    result = lab.restore()
    assert result["restored_before"] and not result["changed"] and lab.dump() == after
    assert "was brought back from the set" in result["report"][0]


def test_check_mode_and_planned_change_nothing_and_tell_the_rows(lab):
    library = lab.libraries["History"]
    lab.purge(library)
    before, objects = lab.dump(), lab.objects(*lab.libraries.values())
    assert lab.extract(library, check_mode=True)["changed"] and not (lab.backup / "server1" / "state").exists()
    lab.extract(library)
    checked = lab.restore(check_mode=True)
    planned = lab.restore("planned")
    assert checked["changed"] and not planned["changed"] and planned["objects"]["lacking"] == planned["objects"]["listed"] > 100
    assert f"library {library}: live" in checked["diff"]["after"] and "seafile: Branch: 1 rows" in checked["diff"]["after"]
    assert lab.dump() == before and lab.objects(*lab.libraries.values()) == objects
    assert not (lab.directory / "state" / library_return.RECORD).exists()
    assert lab.extract(library)["changed"] is False


def test_only_what_the_store_lacks_is_fetched_and_a_damaged_object_counts_as_lacking(lab):
    library = lab.libraries["History"]
    store = lab.objects(library)
    lab.purge(library)
    for path, content in store.items():
        (lab.storage / path).parent.mkdir(parents=True, exist_ok=True)
        (lab.storage / path).write_bytes(content)
    damaged = sorted(store)[0]
    (lab.storage / damaged).write_bytes(b"")
    lab.extract(library)
    lab.restore("planned")
    assert lab.fetch() == [damaged]
    result = lab.restore(fetch=False)
    assert result["objects"]["placed"] == 1 and lab.objects(library) == store


def test_an_existing_library_is_refused_and_one_in_the_trash_is_told_as_such(lab):
    library = lab.libraries["History"]
    lab.extract(library)
    before = lab.dump()
    assert code(lab.restore, "planned") == code(lab.restore) == "library-exists"
    lab.sql("INSERT INTO RepoTrash (repo_id, repo_name, head_id, owner_id) SELECT repo_id, 'x', commit_id, 'a@b.c' FROM Branch WHERE repo_id = ?", library)
    for table in ("Repo", "Branch"):
        lab.sql(f"DELETE FROM {table} WHERE repo_id = ?", library)
    with pytest.raises(SeafileError) as caught:
        lab.restore()
    assert caught.value.code == "library-exists" and "trash" in caught.value.cause and lab.dump() != before


@pytest.mark.parametrize("stage", ["seahub", "seafile"])
def test_interrupted_at_either_database_the_library_is_not_seen_and_a_rerun_completes_it(lab, monkeypatch, stage):
    library = lab.libraries["Alice documents"]
    family = [library, lab.libraries["Projekte"], lab.libraries["many"]]
    before = lab.dump()
    lab.purge(*family)
    lab.extract(library)
    write = library_return.Return._write

    def killed(self, role):
        if role == stage:
            raise KeyboardInterrupt
        return write(self, role)

    monkeypatch.setattr(library_return.Return, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        lab.restore()
    assert lab.sql("SELECT * FROM Repo WHERE repo_id = ?", library) == [] and lab.sql("SELECT * FROM GarbageRepos WHERE repo_id = ?", library) == []
    monkeypatch.undo()
    assert lab.restore()["changed"] and lab.difference(before, lab.dump()) == ([], [])


def test_an_object_that_does_not_come_leaves_the_library_unseen(lab):
    library = lab.libraries["History"]
    lab.purge(library)
    lab.extract(library)
    lab.restore("planned")
    missing = lab.fetch()[-1]
    (lab.src / "objects" / missing).write_bytes(b"another content")
    assert code(lab.restore, fetch=False) == "library-damaged"
    assert lab.sql("SELECT * FROM Repo WHERE repo_id = ?", library) == []


def test_numbers_that_others_have_by_now_get_new_values_and_dependants_follow(lab):
    library = lab.libraries["Alice documents"]
    for number, tag in ((1, "red"), (2, "blue")):
        lab.sql("INSERT INTO repo_tags_repotags (id, repo_id, name, color) VALUES (?, ?, ?, '#fff')", number, library, tag, database="seahub.db")
    uuid = lab.sql("SELECT uuid FROM tags_fileuuidmap WHERE repo_id = ?", library, database="seahub.db")[0][0]
    lab.sql("INSERT INTO file_tags_filetags (id, file_uuid_id, repo_tag_id) VALUES (7, ?, 2)", uuid, database="seahub.db")
    lab.sql("INSERT INTO base_filecomment VALUES (5, 'a@b.c', 'hello', '2026-01-01', '2026-01-01', ?, '', 0)", uuid, database="seahub.db")
    lab.seal("20261124T030000Z")
    lab.sql("DELETE FROM file_tags_filetags", database="seahub.db")
    lab.sql("DELETE FROM base_filecomment", database="seahub.db")
    lab.purge(library, lab.libraries["Projekte"], lab.libraries["many"])
    lab.sql("INSERT INTO repo_tags_repotags (id, repo_id, name, color) VALUES (2, ?, 'other', '#000')", lab.libraries["History"], database="seahub.db")
    lab.sql("INSERT INTO file_tags_filetags (id, file_uuid_id, repo_tag_id) VALUES (7, 'x', 2)", database="seahub.db")
    result = lab.bring_back(library)
    assert result["added"]["seahub"]["file_tags_filetags"] == 1 and result["added"]["seahub"]["base_filecomment"] == 1
    tags = dict(lab.sql("SELECT name, id FROM repo_tags_repotags", database="seahub.db"))
    assert tags["red"] == 1 and tags["other"] == 2 and tags["blue"] not in (1, 2)
    assert lab.sql("SELECT repo_tag_id FROM file_tags_filetags WHERE file_uuid_id = ?", uuid, database="seahub.db") == [(tags["blue"],)]
    lab.sql("DELETE FROM Repo")  # as if interrupted just before the last transaction
    lab.sql("DELETE FROM repo_tags_repotags WHERE name = 'blue'", database="seahub.db")
    lab.sql("INSERT INTO repo_tags_repotags (id, repo_id, name, color) VALUES (?, 'x', 'third', '')", tags["blue"], database="seahub.db")
    again = lab.restore()
    assert again["added"]["seahub"] == {"repo_tags_repotags": 1, "file_tags_filetags": 1}, "a row that stands at what is no longer its own stays as it is"


def test_a_link_whose_address_another_has_by_now_is_left_out_and_told(lab):
    library = lab.libraries["Alice documents"]
    token = lab.sql("SELECT token FROM share_fileshare WHERE repo_id = ?", library, database="seahub.db")[0][0]
    number = lab.sql("SELECT id FROM share_fileshare WHERE repo_id = ?", library, database="seahub.db")[0][0]
    lab.sql("INSERT INTO share_orgfileshare (id, org_id, file_share_id) VALUES (1, 1, ?)", number, database="seahub.db")
    lab.seal("20261124T030000Z")
    lab.sql("DELETE FROM share_orgfileshare", database="seahub.db")
    lab.purge(library, lab.libraries["Projekte"], lab.libraries["many"])
    columns = "username, repo_id, path, token, ctime, view_cnt, s_type, permission"
    lab.sql(f"INSERT INTO share_fileshare (id, {columns}) VALUES (?, 'x', 'y', '/', ?, '2026-01-01', 0, 'f', '')", number, token, database="seahub.db")
    result = lab.bring_back(library)
    assert result["added"]["seahub"]["share_fileshare"] == 39
    assert lab.sql("SELECT * FROM share_orgfileshare", database="seahub.db") == [], "what hung on it hangs on nobody else's"
    assert any("share_fileshare: a row whose key (token) another row has by now" in note for note in result["notes"])


def test_an_owner_who_is_gone_is_refused_by_name_unless_another_is_given(lab):
    library = lab.libraries["Alice documents"]
    lab.purge(library, lab.libraries["Projekte"], lab.libraries["many"])
    lab.sql("DELETE FROM EmailUser WHERE email LIKE 'alice%'", database="ccnet/PeerMgr/usermgr.db")
    lab.extract(library)
    before = lab.dump()
    with pytest.raises(SeafileError) as caught:
        lab.restore("planned")
    assert caught.value.code == "library-owner-gone" and "alice@example.org" in caught.value.message
    assert code(lab.restore, "planned", owner="nobody@example.org") == "library-owner-gone" and lab.dump() == before
    result = lab.restore(owner="bob@example.org")
    owners = {row[0] for row in lab.sql("SELECT owner_id FROM RepoOwner WHERE repo_id IN (?, ?)", library, lab.libraries["many"])}
    assert owners == {"bob@example.org"} and result["library"]["owner"] == "bob@example.org"
    shares = lab.sql("SELECT from_email, to_email FROM SharedRepo WHERE repo_id IN (?, ?, ?)", library, lab.libraries["many"], lab.libraries["Projekte"])
    assert shares and all(sender == "bob@example.org" != receiver for sender, receiver in shares)
    assert {row[0] for row in lab.sql("SELECT username FROM share_fileshare WHERE repo_id = ?", library, database="seahub.db")} == {"bob@example.org"}


def test_a_group_that_is_gone_is_refused_by_name_also_when_its_number_was_given_again(lab):
    library = lab.libraries["Alice documents"]
    shared = lab.sql("SELECT group_id FROM RepoGroup WHERE repo_id = ?", library)[0][0]
    name = lab.sql("SELECT group_name FROM \"Group\" WHERE group_id = ?", shared, database="ccnet/GroupMgr/groupmgr.db")[0][0]
    lab.purge(library, lab.libraries["Projekte"], lab.libraries["many"])
    lab.sql("UPDATE \"Group\" SET timestamp = timestamp + 5, group_name = 'Others' WHERE group_id = ?", shared, database="ccnet/GroupMgr/groupmgr.db")
    lab.extract(library)
    with pytest.raises(SeafileError) as caught:
        lab.restore("planned")
    assert caught.value.code == "library-group-gone" and name in caught.value.message
    result = lab.restore(owner="alice@example.org")
    assert lab.sql("SELECT * FROM RepoGroup WHERE repo_id = ?", library) == [] and any("RepoGroup: the row of group" in note for note in result["notes"])


def test_a_schema_that_cannot_take_the_rows_is_refused_before_any_change_naming_all_of_it(lab):
    library = lab.libraries["History"]
    lab.purge(library)
    lab.extract(library)
    lab.sql("ALTER TABLE RepoInfo ADD COLUMN given INTEGER NOT NULL DEFAULT 1")
    assert lab.restore(check_mode=True)["changed"], "a value that the database gives is no hindrance"
    lab.sql("DROP TABLE RepoHead")
    lab.sql("ALTER TABLE RepoOwner RENAME COLUMN owner_id TO owned_by")
    lab.sql("CREATE TABLE New (repo_id CHAR(37) PRIMARY KEY, needed TEXT NOT NULL)")
    before = lab.dump()
    with pytest.raises(SeafileError) as caught:
        lab.restore("planned")
    assert caught.value.code == "library-schema-differs" and lab.dump() == before
    assert "table RepoHead is missing" in caught.value.cause and "RepoOwner.owner_id is missing" in caught.value.cause


def test_as_new_the_library_stands_beside_the_original_under_an_id_of_its_own(lab):
    library = lab.libraries["Alice documents"]
    before, objects = lab.dump(), lab.objects(*lab.libraries.values())
    result = lab.bring_back(library, mode="as_new")
    new = result["library"]["id"]
    assert new != library and lab.difference(before, lab.dump())[0] == []
    assert lab.sql("SELECT commit_id FROM Branch WHERE repo_id = ?", new) == lab.sql("SELECT commit_id FROM Branch WHERE repo_id = ?", library)
    assert lab.sql("SELECT name FROM RepoInfo WHERE repo_id = ?", new) == [(f"Alice documents ({SET_ID})",)]
    assert len(lab.sql("SELECT * FROM VirtualRepo WHERE origin_repo = ?", new)) == 2
    assert lab.objects(*lab.libraries.values()) == objects
    commits = [json.loads(content) for path, content in lab.objects(new).items() if path.startswith("commits/")]
    assert commits and {commit["repo_id"] for commit in commits} == {new} and {commit["repo_name"] for commit in commits} == {f"Alice documents ({SET_ID})"}
    blocks = [path for path in (lab.storage / "blocks" / new).rglob("*") if path.is_file()]
    assert blocks and all(path.stat().st_nlink > 1 for path in blocks), "what the store has is not stored twice"
    again = lab.restore(mode="as_new")
    assert again["restored_before"] and not again["changed"]


def test_as_new_an_encrypted_library_opens_with_its_password_and_is_refused_without(lab):
    for name, version in (("Encrypted v2", 2), ("Encrypted v4", 4)):
        library = lab.libraries[name]
        password = real_sets.manifest(NAME)["passwords_of_encrypted_libraries"][library]
        lab.extract(library)
        assert code(lab.restore, mode="as_new") == "library-encrypted-new-id"
        assert code(lab.restore, mode="as_new", password="wrong") == "library-password-wrong"
        new = lab.restore(mode="as_new", password=password)["library"]["id"]
        head = lab.sql("SELECT commit_id FROM Branch WHERE repo_id = ?", new)[0][0]
        commit = json.loads((lab.storage / "commits" / new / head[:2] / head[2:]).read_bytes())
        salt = bytes.fromhex(commit["salt"]) if version == 4 else bytes.fromhex("da9045c306c7cc26")
        assert commit["magic"] == hashlib.pbkdf2_hmac("sha256", (new + password).encode(), salt, 1000, 32).hex()


def test_replace_takes_the_library_back_and_what_was_there_can_be_brought_back_from_the_safety_copy(lab):
    library = lab.libraries["Alice documents"]
    lab.sql("INSERT INTO RepoUserToken (repo_id, email, token) VALUES (?, 'bob@example.org', 'tok')", library)
    before = lab.dump()
    parent = next(json.loads(content)["parent_id"] for path, content in lab.objects(library).items()
                  if path.startswith("commits/") and json.loads(content)["parent_id"])
    lab.sql("UPDATE Branch SET commit_id = ? WHERE repo_id = ?", parent, library)
    lab.sql("DELETE FROM SharedRepo WHERE repo_id = ?", library)
    lab.sql("INSERT INTO share_uploadlinkshare (username, repo_id, path, token, ctime, view_cnt) "
            "VALUES ('bob@example.org', ?, '/', 'newtoken', '2026-01-01', 0)", library, database="seahub.db")
    changed = lab.dump()
    result = lab.bring_back(library, mode="replace")
    assert lab.difference(before, lab.dump()) == ([], [])
    assert lab.sql("SELECT * FROM RepoUserToken WHERE repo_id = ?", library) == [], "no client goes on as if nothing had happened"
    copy = pathlib.Path(result["safety_copy"])
    assert result["safety_copies"] == [str(copy)] and copy.stat().st_mode & 0o777 == 0o700 and (copy / "library.json").stat().st_mode & 0o777 == 0o600
    assert lab.restore(mode="replace")["restored_before"]
    back = lab.restore(src=copy, mode="replace")
    assert lab.difference(changed, lab.dump()) == ([], []) and len(back["safety_copies"]) == 2 and copy.is_dir()


def test_replace_brings_a_library_out_of_the_trash_to_the_state_of_the_set(lab):
    library = lab.libraries["History"]
    before = lab.dump()
    lab.sql("INSERT INTO RepoTrash (repo_id, repo_name, head_id, owner_id) SELECT repo_id, 'x', commit_id, 'a@b.c' FROM Branch WHERE repo_id = ?", library)
    for table in ("Repo", "Branch", "RepoOwner"):
        lab.sql(f"DELETE FROM {table} WHERE repo_id = ?", library)
    lab.bring_back(library, mode="replace")
    assert lab.difference(before, lab.dump()) == ([], [])


def test_a_library_from_the_trash_of_the_set_returns_to_the_trash(lab):
    library = real_sets.manifest(NAME)["trash"][0]["id"]
    before = lab.dump()
    lab.purge(library)
    assert lab.extract(library)["library"]["kind"] == "trash"
    lab.restore()
    assert lab.difference(before, lab.dump()) == ([], [])


def test_a_sub_library_an_unknown_one_and_a_name_of_two_are_refused(lab):
    assert code(lab.extract, lab.libraries["many"]) == "library-is-sub-library"
    assert code(lab.extract, "No such library") == "library-unknown"


def test_damage_in_the_newest_set_makes_an_older_one_be_taken_and_told_and_damage_of_others_does_not(lab):
    library = lab.libraries["History"]
    store = lab.backup / "server1" / "objects"
    head = lab.sql("SELECT commit_id FROM Branch WHERE repo_id = ?", library)[0][0]
    parent = json.loads((store / "commits" / library / head[:2] / head[2:]).read_bytes())["parent_id"]
    lab.sql("UPDATE Branch SET commit_id = ? WHERE repo_id = ?", parent, library)
    shutil.rmtree(lab.backup / "server1" / "sets")
    lab.seal("20261122T030000Z")
    lab.sql("UPDATE Branch SET commit_id = ? WHERE repo_id = ?", head, library)
    lab.seal("20261123T030000Z")
    shutil.rmtree(store / "blocks" / lab.libraries["Copied to"])
    assert lab.extract(library)["set_id"] == "20261123T030000Z"
    os.unlink(store / "commits" / library / head[:2] / head[2:])
    result = lab.extract(library)
    assert result["set_id"] == "20261122T030000Z" and head in result["passed_over"][0]["reason"]
    assert code(lab.extract, library, set_id="20261123T030000Z") == "set-incomplete"
    assert code(lab.extract, lab.libraries["Copied to"]) == "set-incomplete"


def test_an_extract_that_was_changed_by_hand_is_refused(lab):
    lab.extract(lab.libraries["History"])
    (lab.src / "library.json").write_text('{"format": 1}', encoding="utf-8")
    assert code(lab.restore, "planned") == "library-extract-damaged"


def test_a_permission_of_the_librarys_own_gets_a_new_number_where_it_is_taken_and_the_share_follows(lab):
    library = lab.libraries["History"]
    lab.sql("INSERT INTO custom_share_permission (id, repo_id, name, description, permission) VALUES (7, ?, 'look', '', '{}')", library, database="seahub.db")
    lab.sql("INSERT INTO SharedRepo (repo_id, from_email, to_email, permission) VALUES (?, 'alice@example.org', 'bob@example.org', 'custom-7')", library)
    lab.seal("20261124T030000Z")
    new = lab.bring_back(library, mode="as_new")["library"]["id"]
    number = lab.sql("SELECT id FROM custom_share_permission WHERE repo_id = ?", new, database="seahub.db")[0][0]
    assert number != 7 and lab.sql("SELECT permission FROM SharedRepo WHERE repo_id = ? AND permission LIKE 'custom%'", new) == [(f"custom-{number}",)]
