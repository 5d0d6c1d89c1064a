# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import decimal
import json

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import library_rows, sql_dump
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.library_rows import Change, DumpReader, Rows
from ansible_collections.seafleet.seafile.plugins.module_utils.sql_dump import Reference

A, B, NEW = ("aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002", "aaaaaaaa-0000-4000-8000-000000000003")
HEX = "0123456789abcdef0123456789abcdef"
DASHED = "01234567-89ab-cdef-0123-456789abcdef"

MYSQL = f"""-- MariaDB dump 10.19
CREATE TABLE `Unknown_pro_table` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `library_id` varchar(36) COMMENT 'REFERENCES `x` (`y`)',
  `repo_id_parent_path_md5` char(32),
  PRIMARY KEY (`id`), UNIQUE KEY `two` (`id`,`library_id`)
);
INSERT INTO `Unknown_pro_table` VALUES (1,'{A}','x'),(2,'{B}','{A}');
CREATE TABLE `tags_fileuuidmap` (`uuid` char(32) NOT NULL, `repo_id` varchar(36) NOT NULL, PRIMARY KEY (`uuid`));
INSERT INTO `tags_fileuuidmap` VALUES ('{HEX}','{A}'),('ffff','{B}');
CREATE TABLE `history_name` (`id` int(11), `doc_uuid` varchar(36), `name` varchar(255));
INSERT INTO `history_name` VALUES (1,'{DASHED}','first'),(2,'ffff','of B');
CREATE TABLE `tags_tags` (`id` int(11), `name` varchar(255), PRIMARY KEY (`id`));
INSERT INTO `tags_tags` VALUES (1,'red'),(2,'blue');
CREATE TABLE `tags_filetag` (`id` int(11), `tag_id` int(11), `uuid_id` char(32),
  CONSTRAINT `a` FOREIGN KEY (`tag_id`) REFERENCES `tags_tags` (`id`), CONSTRAINT `b` FOREIGN KEY (`uuid_id`) REFERENCES `tags_fileuuidmap` (`uuid`));
INSERT INTO `tags_filetag` VALUES (5,2,'{HEX}'),(6,1,'ffff');
CREATE TABLE `RepoUserToken` (`id` int(11), `repo_id` char(37), `token` char(41));
INSERT INTO `RepoUserToken` VALUES (1,'{A}','secret');
-- Dump completed
"""


@pytest.fixture
def dump(tmp_path):
    path = tmp_path / "seahub-db.sql"
    path.write_text(MYSQL, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("column, names", [
    ("repo_id", True), ("origin_repo", True), ("origin_repo_id", True), ("library_id", True), ("base_repo_id", True), ("repo_uuid", True),
    ("repo_id_parent_path_md5", False), ("repo_name", False), ("to_email", False), ("report", False), ("id", False), ("calibre", False)])
def test_a_column_that_is_named_for_a_librarys_id_is_known_by_its_name(column, names):
    assert bool(library_rows.library_columns([column])) is names


def test_rows_of_tables_nobody_knows_and_what_hangs_on_them_are_found(dump):
    rows = library_rows.collect(DumpReader(dump), [A])
    assert rows.tables["Unknown_pro_table"] == [{"id": 1, "library_id": A, "repo_id_parent_path_md5": "x"}]
    assert [row["name"] for row in rows.tables["history_name"]] == ["first"], "one table writes a UUID with dashes, another without"
    assert [row["id"] for row in rows.tables["tags_filetag"]] == [5]


def test_what_rows_point_at_comes_along_as_shared_and_tokens_are_only_counted(dump):
    rows = library_rows.collect(DumpReader(dump), [A])
    assert rows.shared == {"tags_tags": [{"id": 2, "name": "blue"}]}
    assert rows.left_out == {"RepoUserToken": 1} and "RepoUserToken" not in rows.tables and "secret" not in json.dumps(rows.as_json())


def test_definitions_tell_columns_and_foreign_keys_of_both_dialects(dump, tmp_path):
    found = sql_dump.read_definitions(dump)
    assert found["tags_filetag"].columns == ["id", "tag_id", "uuid_id"]
    assert found["tags_filetag"].references == [Reference("tag_id", "tags_tags", "id"), Reference("uuid_id", "tags_fileuuidmap", "uuid")]
    assert found["Unknown_pro_table"].references == []
    lite = tmp_path / "lite.sql"
    lite.write_text('BEGIN TRANSACTION;\nCREATE TABLE "one" ("Id" integer PRIMARY KEY, "references" text);\n'
                    'CREATE TABLE "two" ("id" integer, "one_id" integer NOT NULL REFERENCES "one" ("id") DEFERRABLE, x text DEFAULT \'a, (b\', '
                    'FOREIGN KEY ("id", "one_id") REFERENCES "one" ("id", "Id"));\nINSERT INTO "two" VALUES(1,2,\'x\');\nCOMMIT;\n', encoding="utf-8")
    found = sql_dump.read_definitions(str(lite))
    assert found["one"].columns == ["id", "references"] and found["one"].references == []
    assert found["two"].columns == ["id", "one_id", "x"] and found["two"].references == [Reference("one_id", "one", "id")]


def test_a_cut_dump_has_no_definitions(tmp_path):
    path = tmp_path / "cut.sql"
    path.write_text(MYSQL.replace("-- Dump completed\n", ""), encoding="utf-8")
    with pytest.raises(SeafileError) as caught:
        sql_dump.read_definitions(str(path))
    assert caught.value.code == "dump-damaged"


def test_rows_survive_the_file():
    values = {"a": None, "b": 7, "c": "Ü\udcff\n'", "d": decimal.Decimal("1.50"), "e": b"\x00\xff"}
    rows = Rows("sqlite", {"T": [values]}, {}, {"T": list(values)}, {"T": [Reference("a", "B", "c")]}, {"x": 1})
    assert Rows.from_json(json.loads(json.dumps(rows.as_json()))) == rows


@pytest.mark.parametrize("value", [True, 1.5, [1], {"hex": "zz"}, {"number": "x"}, {"other": 1}])
def test_what_is_no_value_of_a_column_is_refused(value):
    with pytest.raises((ValueError, ArithmeticError)):
        library_rows.decode(value)


def adapt(table, row, role=library_rows.SEAFILE, **change):
    rows = Rows("sqlite", {table: [row]}, {}, {table: list(row)}, {}, {})
    result, notes = library_rows.adapt(rows, role, Change(**change))
    return result.tables.get(table, [None])[0], notes


def test_a_new_owner_takes_what_the_old_one_gave_and_is_given_nothing():
    change = dict(owner="new@x.org", old_owner="old@x.org", gone_people=frozenset(["old@x.org"]))
    assert adapt("SharedRepo", {"repo_id": A, "from_email": "old@x.org", "to_email": "bob@x.org"}, **change)[0]["from_email"] == "new@x.org"
    assert adapt("SharedRepo", {"repo_id": A, "from_email": "old@x.org", "to_email": "new@x.org"}, **change)[0] is None
    assert adapt("OrgRepo", {"repo_id": A, "user": "old@x.org"}, **change)[0]["user"] == "new@x.org"
    assert adapt("base_userstarredfiles", {"repo_id": A, "email": "old@x.org"}, **change)[0] is None, "a star is personal"


def test_rows_of_people_and_groups_who_are_gone_are_left_out_and_told():
    row, notes = adapt("SharedRepo", {"repo_id": A, "from_email": "a@x.org", "to_email": "gone@x.org"}, gone_people=frozenset(["gone@x.org"]))
    assert row is None and notes == ["SharedRepo: the row of gone@x.org, who is no more"]
    row, notes = adapt("FolderGroupPerm", {"repo_id": A, "group_id": 3}, gone_groups=frozenset([3]))
    assert row is None and notes == ["FolderGroupPerm: the row of group 3, who is no more"]
    assert adapt("RepoOwner", {"repo_id": A, "owner_id": "4@seafile_group"}, gone_groups=frozenset([4]))[0] is None


def test_under_a_new_id_every_column_that_names_the_library_does_and_links_stay():
    ids = {A: NEW}
    assert adapt("VirtualRepo", {"repo_id": B, "origin_repo": A}, ids=ids)[0] == {"repo_id": B, "origin_repo": NEW}
    row, notes = adapt("share_fileshare", {"repo_id": A, "token": "x"}, role=library_rows.SEAHUB, ids=ids)
    assert row is None and notes == ["share_fileshare: 1 rows stay with the original"]
    assert adapt("share_extrasharepermission", {"repo_id": A}, role=library_rows.SEAHUB, ids=ids)[0] == {"repo_id": NEW}


def test_a_share_with_a_permission_of_the_librarys_own_follows_its_new_number():
    rows = Rows("sqlite", {"SharedRepo": [{"permission": "custom-7"}, {"permission": "custom-8"}, {"permission": "rw"}]})
    library_rows.replace_permissions(rows, {library_rows.key(7): 12})
    assert [row["permission"] for row in rows.tables["SharedRepo"]] == ["custom-12", "custom-8", "rw"]
