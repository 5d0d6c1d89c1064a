# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The streams in mysql_streams/ are real output, of databases made to fool a splitter: routine bodies, rows, views and
defaults in them hold whole separators."""

from __future__ import annotations

import pathlib
import re

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_dump_stream import HOLD, Splitter, StreamError, separator, structure_key

STREAMS = pathlib.Path(__file__).parent / "mysql_streams"
NAMES = ["-rf", "a`b ü \"q' $x", "plain"]
TABLES = [{"t1", "v1", "v5"}, {"gen", "t2", "v2", "v3"}, {"only"}]
HEADER_END = b"SQL_NOTES=0 */;\n"
FOOTER = b"\n/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n"


def split(stream, names=None, views=True, size=1 << 20):
    names = NAMES if names is None else names
    parts = [[] for unused in names]
    splitter = Splitter(names, lambda index, content: parts[index].append(content), views)
    for start in range(0, len(stream), size):
        splitter.feed(stream[start:start + size])
    splitter.close()
    return [b"".join(part) for part in parts], splitter


@pytest.fixture(params=sorted(path.name for path in STREAMS.glob("*.sql")))
def stream(request):
    return (STREAMS / request.param).read_bytes()


def body(part):
    """What is between header and footer."""
    return part[part.index(HEADER_END) + len(HEADER_END):part.rindex(FOOTER)]


def test_every_byte_lands_in_one_file_in_its_order_and_only_separators_are_dropped(stream):
    parts, unused = split(stream)
    bodies = [body(part) for part in parts]
    # put them together again: each body is the part of the first pass and the part with the views
    begin, end = stream.index(HEADER_END) + len(HEADER_END), stream.rindex(FOOTER)
    seconds = [stream.rindex(separator(name)) for name in NAMES]
    assert seconds == sorted(seconds)
    views = [stream[start + len(separator(name)) - 1:stop] for start, name, stop in zip(seconds, NAMES, seconds[1:] + [end])]
    assert all(whole.endswith(view) for whole, view in zip(bodies, views))
    firsts = [whole[:len(whole) - len(view)] for whole, view in zip(bodies, views)]
    rebuilt = b"".join(separator(name)[:-1] + part for name, part in zip(NAMES, firsts)) + b"".join(
        separator(name)[:-1] + part for name, part in zip(NAMES, views))
    assert rebuilt == stream[begin:end]


def test_every_table_is_in_the_file_of_its_database(stream):
    parts, splitter = split(stream)
    for number, tables in enumerate(TABLES):
        assert splitter.structures[number] == {structure_key(table) for table in tables}
        for table in tables:
            assert [b"`%s`" % table.encode() in part and b"DROP TABLE IF EXISTS `%s`" % table.encode() in part for part in parts].index(True) == number


def test_separators_inside_rows_routines_views_and_defaults_split_nothing(stream):
    parts, unused = split(stream)
    assert b"'a\\nUSE `plain`;\\n\\n--\\n-- Current Database: `plain`" in parts[0]
    assert b"PROCEDURE `p2`()" in parts[0] and b"PROCEDURE `p3`()" in parts[0]
    assert parts[0].count(separator(NAMES[1])) == 1, "a comment in p2 holds the separator that is due next"
    assert parts[0].count(separator("plain")) == 1
    assert b"PROCEDURE" not in parts[1] + parts[2]


def test_views_of_the_second_pass_join_their_database(stream):
    parts, unused = split(stream)
    assert b"VIEW `v1` AS select" in parts[0] and b"VIEW `v3` AS select" in parts[1]
    assert b"Final view structure" not in parts[2]


def test_each_file_is_complete_by_itself(stream):
    parts, unused = split(stream)
    for name, part in zip(NAMES, parts):
        assert part.startswith((b"-- MariaDB dump", b"-- MySQL dump")), "the sandbox line is gone"
        assert b"    Database: " + name.encode() + b"\n" in part[:400]
        assert b"CREATE DATABASE" not in part
        assert re.search(rb"\n-- Dump completed on [^\n]+\n\Z", part)
        assert part.count(b"SET NAMES utf8mb4") == 1


@pytest.mark.parametrize("size", [1, 3, 17, 1000, 4096])
def test_the_outcome_does_not_depend_on_how_the_stream_is_cut_into_chunks(stream, size):
    assert split(stream, size=size)[0] == split(stream)[0]


@pytest.mark.parametrize("size", [5000, HOLD, 1 << 20])
def test_large_rows_pass_unchanged_across_chunks(stream, size):
    row = b"INSERT INTO `t1` VALUES (9,'" + b"-- x\\n`;; " * 400000 + b"');\n"
    place = stream.index(b"/*!40000 ALTER TABLE `t1` ENABLE KEYS */;")
    parts, unused = split(stream[:place] + row + stream[place:], size=size)
    assert parts[0].count(row) == 1
    assert parts[0].replace(row, b"") == split(stream)[0][0]
    assert parts[1:] == split(stream)[0][1:]


def test_a_stream_cut_after_any_line_is_refused(stream):
    ends = [found.end() for found in re.finditer(b"\n", stream)][:-1]
    assert len(ends) > 300
    for end in ends:
        with pytest.raises(StreamError):
            split(stream[:end])


def test_an_empty_stream_and_a_lone_header_are_refused(stream):
    with pytest.raises(StreamError, match="empty"):
        split(b"")
    with pytest.raises(StreamError, match="ends in its header"):
        split(stream[:stream.index(separator(NAMES[0]))])


def test_a_trailer_does_not_make_up_for_a_missing_database(stream):
    start = stream.rindex(separator(NAMES[2]), 0, stream.index(b"Table structure for table `only`"))
    end = stream.index(separator(NAMES[0]), start)
    with pytest.raises(StreamError, match="stands where it is not due"):
        split(stream[:start] + stream[end:])
    last = stream.rindex(separator(NAMES[2]))
    with pytest.raises(StreamError, match="plain is missing"):
        split(stream[:last] + stream[stream.rindex(FOOTER):])


def test_text_after_the_trailer_is_refused(stream):
    with pytest.raises(StreamError, match="no trailer"):
        split(stream + b"INSERT INTO `t1` VALUES (1);\n")


@pytest.mark.parametrize("forged", NAMES)
def test_a_separator_in_the_text_of_a_table_or_view_fails_rather_than_misplaces(stream, forged):
    """Servers write line breaks there as escapes; should one not, the dump must not be split wrongly."""
    place = stream.index(b"LOCK TABLES `t1` WRITE;")
    with pytest.raises(StreamError, match="stands where it is not due"):
        split(stream[:place] + separator(forged) + stream[place:])


def test_a_routine_that_forges_the_end_of_its_section_and_a_separator_fails_rather_than_misplaces(stream):
    place = stream.index(b"*/ select '")
    with pytest.raises(StreamError, match="stands where it is not due"):
        split(stream[:place] + b" ;;\nDELIMITER ;\n" + separator(NAMES[1]) + stream[place:])


def test_without_views_there_is_no_second_pass(stream):
    second = stream.rindex(separator(NAMES[0]))
    without = stream[:second] + stream[stream.rindex(FOOTER):]
    parts, unused = split(without, views=False)
    assert b"Table structure for table `only`" in parts[2]
    with pytest.raises(StreamError, match="part of database -rf is missing"):
        split(without, views=True)
    with pytest.raises(StreamError, match="stands where it is not due"):
        split(stream, views=False)


def test_another_order_of_names_is_noticed(stream):
    with pytest.raises(StreamError, match="not due"):
        split(stream, names=[NAMES[1], NAMES[0], NAMES[2]])


def test_what_is_no_dump_is_refused_before_it_fills_memory():
    with pytest.raises(StreamError, match="no database begins"):
        split(b"x" * (3 << 20))


def test_the_current_database_is_known_while_reading(stream):
    splitter = Splitter(NAMES, lambda index, content: None, True)
    splitter.feed(stream[:100])
    assert splitter.current == "-rf"
    splitter.feed(stream[100:] + b"\n" * 3 * HOLD)
    assert splitter.current == "plain"
