# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.modules import library_info
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.library_backups import Backup, make_set
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.synthetic_store import Maker


@pytest.fixture
def maker(tmp_path):
    return Maker(tmp_path / "storage")


def add(maker, name, files=None, **more):
    library = maker.library_id()
    root = maker.directory(library, {path: maker.file(library, path.encode()) for path in files or ("a.txt",)})
    head = maker.commit(library, root, name=name, **more)
    maker.library(head, library, name)
    return library, head


def backup_of(maker, tmp_path):
    maker.dump(tmp_path / "dump.sql")
    return Backup(tmp_path / "backup", "files.example.org", maker.root, tmp_path / "dump.sql")


def failure(call, **params):
    with pytest.raises(SeafileError) as caught:
        call(**params)
    return caught.value


def test_a_name_that_two_libraries_have_is_not_guessed(maker, tmp_path):
    first, second = add(maker, "Same")[0], add(maker, "Same")[0]
    add(maker, "Other")
    backup = backup_of(maker, tmp_path)
    error = failure(backup.info, library="Same")
    assert error.code == "library-ambiguous" and first in error.message and second in error.message
    assert backup.info(library=first)["library"]["id"] == first
    assert backup.info(library="Other")["library"]["name"] == "Other"
    assert [row["name"] for row in backup.info()["libraries"]] == ["Other", "Same", "Same"]
    assert ", but: Other." in failure(backup.info, library="other").message


def test_a_library_in_use_goes_before_one_of_the_name_in_the_trash(maker, tmp_path):
    live = add(maker, "Same")[0]
    trashed, head = add(maker, "Same")
    gone, gone_head = add(maker, "Gone")
    for table in ("Repo", "Branch"):
        maker.tables[table] = [row for row in maker.tables[table] if row["repo_id"] == live]
    maker.dump(tmp_path / "dump.sql")
    text = (tmp_path / "dump.sql").read_text().replace("COMMIT;", "CREATE TABLE RepoTrash (repo_id, repo_name, head_id, owner_id);\n" + "".join(
        f"INSERT INTO RepoTrash VALUES('{library}', '{name}', '{commit}', 'b@example.org');\n"
        for library, name, commit in ((trashed, "Same", head), (gone, "Gone", gone_head))) + "COMMIT;")
    (tmp_path / "dump.sql").write_text(text)
    backup = Backup(tmp_path / "backup", "files.example.org", maker.root, tmp_path / "dump.sql")
    assert backup.info(library="Same")["library"]["id"] == live
    row = backup.info(library="Gone")["library"]
    assert (row["id"], row["kind"], row["owner"]) == (gone, "trash", "b@example.org")


def test_an_unreadable_head_does_not_hide_the_other_libraries(maker, tmp_path):
    broken, head = add(maker, "Broken")
    add(maker, "Whole")
    path = maker.path("commits", broken, head)
    with open(path, "r+b") as stream:
        content = stream.read().replace(b"commit ", b"tocmim ")
        stream.seek(0)
        stream.write(content)
    backup = backup_of(maker, tmp_path)
    rows = {row["id"]: row for row in backup.info()["libraries"]}
    assert rows[broken]["damage"] and "wrong-hash" in rows[broken]["damage"] and rows[broken]["encrypted"] is None
    assert len(rows) == 2 and any("damaged" in line for line in backup.info()["report"])
    os.unlink(path)
    assert "missing" in {row["id"]: row for row in backup.info()["libraries"]}[broken]["damage"]


def test_names_that_could_drive_a_terminal_are_escaped_in_the_report_and_exact_in_the_rows(maker, tmp_path):
    library = add(maker, "red \x1b[31m\nname", files=("x\x1b[2J\ny",))[0]
    backup = backup_of(maker, tmp_path)
    result = backup.info(library=library)
    assert result["entries"][0]["name"] == "x\x1b[2J\ny" and result["library"]["name"] == "red \x1b[31m\nname"
    assert all(line.isprintable() for line in result["report"] + backup.info()["report"])
    assert backup.info(library=library, path="/x\x1b[2J\ny")["entries_total"] == 1


def test_a_very_large_folder_is_cut_and_counted(maker, tmp_path, monkeypatch):
    monkeypatch.setattr(library_info, "ENTRIES_RETURNED", 3)
    library = add(maker, "Large", files=[f"{number}" for number in range(5)])[0]
    result = backup_of(maker, tmp_path).info(library=library)
    assert len(result["entries"]) == 3 and result["entries_total"] == 5


def test_a_history_that_goes_round_ends(maker, tmp_path):
    library, head = add(maker, "Round")
    path = maker.path("commits", library, head)
    with open(path, encoding="utf-8") as stream:
        content = stream.read()
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(content.replace('"parent_id": null', f'"parent_id": "{head}"').replace('"second_parent_id": null', f'"second_parent_id": "{"ab" * 20}"'))
    commits = backup_of(maker, tmp_path).info(library=library, history=10)["commits"]
    assert [row["commit"] for row in commits] == [head]


def test_the_newest_set_is_read_and_a_damaged_one_only_when_it_is_named_or_the_last(maker, tmp_path):
    add(maker, "Old")
    backup = backup_of(maker, tmp_path)
    add(maker, "New")
    maker.dump(tmp_path / "dump2.sql")
    newer = make_set(tmp_path / "backup", "files.example.org", maker.root, tmp_path / "dump2.sql", "20261124T030000Z")
    result = backup.info()
    assert result["set"]["set_id"] == "20261124T030000Z" and [row["name"] for row in result["libraries"]] == ["New", "Old"]
    assert [row["name"] for row in backup.info(set_id="20261123T030000Z")["libraries"]] == ["Old"]
    os.unlink(newer / "manifest.json")
    result = backup.info()
    assert result["set"]["set_id"] == "20261123T030000Z" and "20261124T030000Z" in result["notes"][0]
    assert failure(backup.info, set_id="20261124T030000Z").code == "set-damaged"
    assert failure(backup.info, set_id="20260101T000000Z").code == "no-set"


def test_a_store_that_is_not_mounted_is_not_taken_for_empty(maker, tmp_path):
    add(maker, "Library")
    backup = backup_of(maker, tmp_path)
    os.unlink(tmp_path / "backup" / "files.example.org" / "objects")
    os.mkdir(tmp_path / "backup" / "files.example.org" / "objects")
    assert failure(backup.info).code == "storage-missing"
