# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text that mysqldump and mariadb-dump write: splitting one stream into one dump for each database.

C(mysqldump --databases a b --no-create-db) writes (C(client/mysqldump.c), C(init_dumping) and C(dump_databases)): a
header with the session's settings; for each database in the order given a separator and its tables, events and
routines; when any database has a view, each database's separator again with its views; a footer that restores the
settings and ends with C(-- Dump completed). The separator is, byte for byte::

    <empty line>
    --
    -- Current Database: `a`
    --
    <empty line>
    USE `a`;

Row data holds no real line break (the programs escape them), but the bodies of routines, triggers and events, the
text of views and expressions in tables may hold any text, also this one. So a separator counts only where the next
database in that order is due and outside C(DELIMITER ;;) sections; one that turns up anywhere else makes the whole
dump fail rather than land in the wrong file.
"""

from __future__ import annotations

import re
import typing as t

SANDBOX_LINE = re.compile(rb"\A/\*M?!999999\\- enable the sandbox mode \*/[ \t]*\r?\n")
"""First line of dumps by MariaDB 10.11.8 and newer; older and Oracle's clients refuse it."""

HOLD = 16384
"""Bytes kept back while streaming: more than the longest separator and than the footer."""

_SECTION = b"\n--\n-- "
_DATABASE = b"Current Database: "
_STRUCTURE = re.compile(rb"(?:Table structure for table|Temporary (?:table|view) structure for view|Sequence structure for) (`[^\n]*)\n")
_DELIMITER = b"\nDELIMITER ;;\n"
# one pass for both: twice as fast as looking for each
_MARK = re.compile(re.escape(_SECTION) + b"|" + re.escape(_DELIMITER))
_DELIMITER_END = b";;\nDELIMITER ;\n"
_FOOTER = b"\n/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n"
_FOOTER_LINE = re.compile(rb"(?:/\*M?![0-9]+ SET [^\n]* \*/;|SET @@SESSION\.SQL_LOG_BIN = @MYSQLDUMP_TEMP_LOG_BIN;|--[^\n]*)?\Z")
TRAILER = re.compile(rb"\n-- Dump completed(?: on [0-9: -]{8,24})?\s*\Z")


class StreamError(Exception):
    """The stream is not a whole dump of the expected databases; the text says what is wrong with it."""


def quoted(name: str) -> bytes:
    """Return I(name) as mysqldump writes it, in backticks."""
    return b"`" + name.encode("utf-8", "surrogateescape").replace(b"`", b"``") + b"`"


def separator(name: str) -> bytes:
    """Return the bytes that begin the part of the database I(name)."""
    return _SECTION + _DATABASE + quoted(name) + b"\n--\n\nUSE " + quoted(name) + b";\n"


def structure_key(table: str) -> bytes:
    """Return what the comment above the definition of I(table) shows of its name: its first line, in backticks."""
    return quoted(table).split(b"\n")[0]


class Splitter:
    """Splits the stream of one mysqldump run over I(names), in this order.

    :arg write: called with the index of a database and bytes (or a view of bytes) that belong to its dump, in their order.
    :arg views: whether any of the databases has a view (then every database comes twice).

    C(structures) holds, for each database, the keys (:func:`structure_key`) of the tables and views defined in it.
    """

    def __init__(self, names: t.Sequence[str], write: t.Callable[[int, t.Union[bytes, memoryview]], t.Any], views: bool) -> None:
        if not names or len(set(names)) != len(names):
            raise ValueError("names must be given and differ")
        self.names = list(names)
        self.structures: list[set[bytes]] = [set() for unused in names]
        self._write = write
        self._separators = [separator(name) for name in names]
        self._due = list(range(len(names))) * (2 if views else 1)
        self._turn = 0
        self._current: t.Optional[int] = None
        self._in_delimiter = False
        self._buffer = b""

    @property
    def current(self) -> str:
        """The name of the database whose part is being read; before the first, the first."""
        return self.names[self._current if self._current is not None else 0]

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream. Raises :class:`StreamError`."""
        self._buffer += chunk
        if len(self._buffer) > 2 * HOLD:
            self._scan(len(self._buffer) - HOLD)
        if self._current is None and len(self._buffer) > 1 << 20:
            raise StreamError("no database begins in the first MiB of the dump")

    def close(self) -> None:
        """Take the end of the stream: prove the trailer and complete every file. Raises :class:`StreamError`."""
        self._scan(len(self._buffer))
        if self._current is None:
            raise StreamError("the dump is empty" if not self._buffer else "the dump ends in its header")
        tail = self._buffer
        start = tail.rfind(_FOOTER)
        if start < 0 or not TRAILER.search(tail) or not all(_FOOTER_LINE.match(line) for line in tail[start:].split(b"\n")):
            raise StreamError("the dump has no trailer: it was cut short")
        if self._turn < len(self._due):
            raise StreamError(f"the part of database {self.names[self._due[self._turn]]} is missing")
        self._write(self._current, tail[:start])
        self._buffer = b""
        for index in range(len(self.names)):
            self._write(index, tail[start:])

    def _scan(self, limit: int) -> None:
        """Find separators and sections that begin before I(limit); pass on what is settled, keep the last HOLD bytes."""
        position = passed = 0
        buffer = self._buffer
        while True:
            if self._in_delimiter:
                end = buffer.find(_DELIMITER_END, position)
                if end < 0 or end >= limit:
                    break
                # the line break at its end may begin the next separator
                position = end + len(_DELIMITER_END) - 1
                self._in_delimiter = False
                continue
            mark = _MARK.search(buffer, position, limit + len(_DELIMITER))
            if mark is None or mark.start() >= limit:
                break
            section = mark.start()
            if mark.group() == _DELIMITER:
                # the line break at its end may begin the section's end
                position = section + len(_DELIMITER) - 1
                self._in_delimiter = True
                continue
            inside = section + len(_SECTION)
            if buffer.startswith(_DATABASE, inside):
                found = self._separator_at(section)
                if found is not None:
                    self._begin(found, buffer[passed:section])
                    # its last line break stays: it may begin the next separator or the footer
                    passed = position = section + len(self._separators[found]) - 1
                    continue
            elif self._current is not None:
                structure = _STRUCTURE.match(buffer, inside)
                if structure:
                    self.structures[self._current].add(structure.group(1))
            position = section + len(_SECTION) - 1
        if self._current is None:
            return
        # Everything before the last HOLD bytes has been looked at: what begins before `limit` was found above.
        settled = max(passed, min(limit, len(buffer) - HOLD))
        if settled > passed:
            # a view: nothing is copied
            self._write(self._current, memoryview(buffer)[passed:settled])
        self._buffer = buffer[settled:]

    def _separator_at(self, section: int) -> t.Optional[int]:
        """Return the index of the database whose separator stands at I(section), None if it is other text."""
        for index, expected in enumerate(self._separators):
            if self._buffer.startswith(expected, section):
                if self._turn >= len(self._due) or self._due[self._turn] != index:
                    raise StreamError(f"the separator of database {self.names[index]} stands where it is not due: "
                                      f"a view, routine or table definition holds that text")
                return index
        return None

    def _begin(self, index: int, before: bytes) -> None:
        if self._current is None:
            header = clean_header(before)
            for number, name in enumerate(self.names):
                self._write(number, header_for(header, name))
        else:
            self._write(self._current, before)
        self._current = index
        self._turn += 1


def clean_header(header: bytes) -> bytes:
    """Return the I(header) of a dump without MariaDB's sandbox line, ending in a line break."""
    header = SANDBOX_LINE.sub(b"", header)
    return header if header.endswith(b"\n") else header + b"\n"


def header_for(header: bytes, name: str) -> bytes:
    """Return I(header) with the comment C(-- Host: ... Database: ...) naming the database I(name)."""
    comment = name.encode("utf-8", "surrogateescape")
    return re.sub(rb"^(-- Host: [^\n]*?    Database: )[^\n]*$", lambda found: found.group(1) + comment, header, count=1, flags=re.MULTILINE)
