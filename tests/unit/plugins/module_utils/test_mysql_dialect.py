# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dumps of real servers need, and that nothing but definitions is ever rewritten. With a real server: tests/integration/targets/mysql_import."""

from __future__ import annotations

import gzip
import pathlib
import re

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_dialect
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_dialect import Facts, Rewriting, Text

STREAMS = pathlib.Path(__file__).parent / "mysql_streams"
FIXTURES = pathlib.Path(__file__).parents[3] / "fixtures" / "seafile-11-mariadb"
MYSQL = (STREAMS / "mysql-9.7.sql").read_bytes()
MARIADB = (STREAMS / "mariadb-10.11.sql").read_bytes()

# A table, rows that hold every word there is, and bodies that hold their words in strings and comments too.
TRAPS = rb"""-- MariaDB dump 10.19
-- Server version	11.8.3-MariaDB-0+deb13u1

CREATE TABLE `old_ci` (
  `old_ci` varchar(20) CHARACTER SET utf8mb4 COLLATE old_ci NOT NULL DEFAULT 'old_ci' COMMENT 'COLLATE old_ci, it''s \'old_ci\'',
  `u` uuid NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=old_ci COMMENT='old_ci';
INSERT INTO `old_ci` VALUES
('old_ci','COLLATE old_ci;'),
(old_ci,'DEFINER=`lost`@`%` ; DELIMITER ;;');
INSERT INTO `old_ci` VALUES ('a;','COLLATE=old_ci',old_ci);
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES,NO_AUTO_CREATE_USER' */ ;
/*!50003 SET collation_connection  = old_ci */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`lost`@`%`*/ /*!50003 TRIGGER `tr` BEFORE INSERT ON `old_ci` FOR EACH ROW begin
-- don't: old_ci
# nor this: 'old_ci
/* nor 'old_ci */ set @x = "old_ci
INSERT INTO `old_ci` VALUES ('
;;
DELIMITER ;
" collate old_ci; end */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
INSERT INTO `t` VALUES (old_ci);
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`o``dd`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `v 1` AS select 'old_ci' collate old_ci AS `old_ci` */;

-- Dump completed on 2026-11-23  3:41:19
"""
REWRITTEN = [
    (b"utf8mb4 COLLATE old_ci NOT", b"utf8mb4 COLLATE new_ci NOT"), (b"CHARSET=utf8mb4 COLLATE=old_ci", b"CHARSET=utf8mb4 COLLATE=new_ci"),
    (b"collation_connection  = old_ci", b"collation_connection  = new_ci"), (b'" collate old_ci', b'" collate new_ci'),
    (b"'old_ci' collate old_ci AS", b"'old_ci' collate new_ci AS"), (b"DEFINER=`lost`@`%`*/", b"DEFINER=CURRENT_USER*/"),
    (b"STRICT_TRANS_TABLES,NO_AUTO_CREATE_USER", b"STRICT_TRANS_TABLES"),
]
REWRITING = Rewriting({b"old_ci": b"new_ci"}, {"lost@%"}, frozenset(["NO_AUTO_CREATE_USER"]))


def through(text, rewriting=None, size=None):
    reader = Text(rewriting)
    size = size or len(text) or 1
    out = b"".join(reader.feed(text[start:start + size]) for start in range(0, len(text), size)) + reader.close()
    return out, reader.facts


@pytest.mark.parametrize("text", [MYSQL, MARIADB, TRAPS, b"", b"x", TRAPS.rstrip(b"\n")], ids=["mysql", "mariadb", "traps", "empty", "x", "no line break"])
@pytest.mark.parametrize("size", [1, 7, 4096, None])
def test_without_rewriting_every_byte_is_passed_on_whatever_the_pieces(text, size):
    out, facts = through(text, size=size)
    assert out == text and facts == through(text)[1]


@pytest.mark.parametrize("size", [1, 2, 11, None])
def test_definitions_are_rewritten_and_rows_strings_names_and_comments_never(size):
    expected = TRAPS
    for old, new in REWRITTEN:
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    assert through(TRAPS, REWRITING, size)[0] == expected


def test_the_facts_of_a_dump_are_read_from_its_text():
    facts = through(TRAPS)[1]
    assert facts.server_version == "11.8.3-MariaDB-0+deb13u1" and facts.collations == {"old_ci"} and facts.character_sets == {"utf8mb4"}
    assert facts.sql_modes == {"STRICT_TRANS_TABLES", "NO_AUTO_CREATE_USER"}
    assert facts.definers == {"lost@%": ["trigger tr"], "o`dd@localhost": ["view v 1"]}
    assert facts.features == {"uuid": "a column of the type uuid"}


def test_the_facts_of_real_dumps():
    facts = through(MYSQL)[1]
    assert facts.server_version == "9.7.4-2" and facts.collations == {"utf8mb4_0900_ai_ci"} and list(facts.definers) == ["root@localhost"]
    assert {"trigger tr", "event ev", "procedure p2", "procedure p3", "view v1"} <= set(facts.definers["root@localhost"])
    facts = through(MARIADB)[1]
    assert facts.server_version == "10.11.19-MariaDB-0+deb12u1" and facts.collations == {"utf8mb4_general_ci"}
    assert {"trigger tr", "event ev", "procedure p2", "procedure p3", "view v1"} <= set(facts.definers["root@localhost"])
    assert "NO_AUTO_CREATE_USER" in facts.sql_modes


@pytest.mark.parametrize("name", ["ccnet-db", "seafile-db", "seahub-db"])
def test_seafiles_own_databases_need_nothing_special_and_their_rows_are_never_touched(name):
    text = gzip.decompress((FIXTURES / f"{name}.sql.gz").read_bytes())
    out, facts = through(text, Rewriting({b"utf8mb4": b"old"}), 1000)
    rows = re.compile(rb"^INSERT INTO .*?;\n", re.MULTILINE | re.DOTALL)
    assert rows.findall(out) == rows.findall(text) and len(rows.findall(text)) > 2
    assert b"utf8mb4" in rows.sub(b"", text) and rows.sub(b"", out) == re.sub(rb"utf8mb4\b", b"old", rows.sub(b"", text))
    assert facts.definers == {} and facts.features == {} and facts.server_version


def test_a_body_without_backslash_escapes_does_not_confuse_what_follows():
    text = (b"/*!50003 SET sql_mode              = 'NO_BACKSLASH_ESCAPES' */ ;\nDELIMITER ;;\n"
            b"CREATE DEFINER=`a`@`b` FUNCTION `f`() begin set @x = '\\'; end ;;\n"
            b"DELIMITER ;\nINSERT INTO `t` VALUES (old_ci,'it\\'s');\n) COLLATE=old_ci COMMENT='it\\'s old_ci';\n")
    out, facts = through(text, REWRITING)
    assert out == text.replace(b") COLLATE=old_ci", b") COLLATE=new_ci") and facts.definers == {"a@b": ["function f"]}


def test_a_dump_can_be_imported_under_another_name_though_it_names_its_database():
    text = (b"ALTER DATABASE `se``a` CHARACTER SET utf8mb4 COLLATE old_ci ;\nDELIMITER ;;\nCREATE TRIGGER `t` begin select '\n"
            b"ALTER DATABASE `x` CHARACTER SET a COLLATE b ;;\n'; end ;;\nDELIMITER ;\nINSERT INTO `t` VALUES (1);\n")
    out, facts = through(text, Rewriting({b"old_ci": b"new_ci"}, nameless=True), 5)
    assert facts.names_itself and out == text.replace(b"ALTER DATABASE `se``a` CHARACTER SET utf8mb4 COLLATE old_ci ;",
                                                      b"ALTER DATABASE CHARACTER SET utf8mb4 COLLATE new_ci ;")
    assert not through(TRAPS)[1].names_itself


@pytest.mark.parametrize("made, here, refused", [
    ("11.8.3-MariaDB", "10.11.19-MariaDB-0+deb12u1", True), ("10.11.19-MariaDB", "10.11.6-MariaDB", False), ("10.5.1-MariaDB", "10.11.6-MariaDB", False),
    ("9.7.4-2", "8.0.44", True), ("8.4.0", "8.0.44", True), ("8.0.44", "9.7.4", False), ("9.7.4-2", "10.11.6-MariaDB", False), ("", "10.5.1-MariaDB", False),
    ("11.8.3-MariaDB", "8.0.44", False), ("10.11.2-MariaDB", "5.5.5-10.6.2-MariaDB", True),
])
def test_a_dump_of_a_newer_release_is_refused(made, here, refused):
    problem = mysql_dialect.newer(Facts(server_version=made), here, "dump of x")
    assert (problem is not None) == refused
    if problem:
        assert problem.code == "database-server-older" and "accept_newer_server" in problem.next_step
        assert f"made on {'MariaDB' if 'MariaDB' in made else 'MySQL'} {made.partition('-')[0]}, and this server is" in problem.cause


@pytest.mark.parametrize("here, lacking", [("10.6.2-MariaDB", True), ("10.7.0-MariaDB", False), ("8.4.0", True)])
def test_what_a_server_does_not_have_at_all_is_named(here, lacking):
    facts = Facts(server_version="11.8.3-MariaDB", features={"uuid": "a column of the type uuid"})
    problem = mysql_dialect.missing_features(facts, here, "dump of x")
    assert (problem is not None) == lacking and (not problem or "a column of the type uuid" in problem.cause)


@pytest.mark.parametrize("word, first", [
    ("utf8mb4_0900_ai_ci", ["utf8mb4_uca1400_ai_ci", "utf8mb4_unicode_520_ci"]),
    ("utf8mb4_uca1400_ai_ci", ["utf8mb4_0900_ai_ci", "utf8mb4_unicode_520_ci"]),
    ("utf8mb4_0900_as_cs", ["utf8mb4_uca1400_as_cs", "utf8mb4_bin"]), ("utf8mb4_0900_bin", ["utf8mb4_bin"]),
    ("utf8mb4_uca1400_nopad_ai_ci", ["utf8mb4_0900_ai_ci"]),
    ("utf8mb4_de_pb_0900_as_cs", ["utf8mb4_0900_as_cs"]), ("utf8mb3_general_ci", ["utf8_general_ci"]),
    ("utf8mb3", ["utf8"]), ("latin1_nopad_bin", ["latin1_bin"]),
])
def test_a_replacement_is_proposed_the_nearest_first(word, first):
    found = mysql_dialect.candidates(word)
    assert found[:len(first)] == first and word not in found


def test_an_entry_of_a_manifest_tells_what_it_can_and_no_entry_is_too_odd():
    entry = {"name": "a", "server_version": "9.7.4", "character_set": "utf8mb4", "collation": "utf8mb4_bin", "collations": ["utf8mb4_0900_ai_ci"],
             "definers": {"root@%": ["view v"]}}
    facts = mysql_dialect.facts_of_entry(entry)
    assert (facts.server_version, facts.collations, facts.definers) == ("9.7.4", {"utf8mb4_bin", "utf8mb4_0900_ai_ci"}, {"root@%": ["view v"]})
    assert mysql_dialect.facts_of_entry({"name": "a"}) == Facts()
    assert mysql_dialect.facts_of_entry({"collations": 5, "definers": [1], "server_version": None}) == Facts()
    assert mysql_dialect.facts_of_entry({"definers": {"x": 5}}) == Facts()


@pytest.mark.parametrize("collations", [{"a b": "c"}, {"a": "b; DROP DATABASE x"}, {"a": 5}, {"a": ""}])
def test_words_that_are_no_names_never_reach_a_statement(collations):
    with pytest.raises(SeafileError) as caught:
        mysql_dialect.parse_choices(collations, "refuse", False)
    assert caught.value.code == "database-collation-unknown"


def test_missing_definers_are_named_with_what_they_define():
    facts = Facts(definers={"root@localhost": ["view a"], "lost@%": [f"view v{number}" for number in range(7)], "role": ["function f"]})
    missing = mysql_dialect.missing_definers(facts, {"root@localhost", "role"})
    assert list(missing) == ["lost@%"] and mysql_dialect.missing_definers(facts, None) == {}
    problem = mysql_dialect.definer_problem(missing, "dump of x")
    assert problem.code == "database-definer-missing" and "lost@%, which defines view v0, view v1, view v2, view v3, view v4 and 2 more" in problem.cause
    assert mysql_dialect.definer_problem({}, "dump of x") is None
