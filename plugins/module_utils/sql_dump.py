# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of chosen tables out of a dump file, without a database server.

Reads what C(mysqldump)/C(mariadb-dump) and SQLite's C(.dump) (the program's, Python's and this collection's own)
write: SQL text, in gzip, zstd or plain. The text is streamed: memory does not grow with the dump, and tables nobody asked
for are stepped over without being taken apart. A dump that is cut anywhere is refused: mysqldump and sqlite3 both
leave a cut dump behind with exit status 0, and only the trailer tells.
"""

from __future__ import annotations

import decimal
import os
import re
import stat
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import compression
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

Value = t.Union[None, int, decimal.Decimal, float, str, bytes]
Row = t.Dict[str, Value]

CHUNK_BYTES = 256 * 1024
# One value, comment or definition in a chosen table; the columns of Seafile's tables hold at most some kilobytes.
MAX_TOKEN_BYTES = 64 * 1024 * 1024

_ANOTHER = "take another set, or fetch the dump again"
_NAME_IT = "name the dump of Seafile's own database in the set's directory databases/"


class _Token(t.NamedTuple):
    """A pattern, and how it begins when it may be longer than what is in memory."""

    whole: t.Pattern[bytes]
    begin: t.Optional[t.Pattern[bytes]] = None


# What decides whether a token begins here is never longer.
_LOOK_AHEAD = 64

_SPACE = _Token(re.compile(rb"\s+"))
_COMMENT = _Token(re.compile(rb"--[^\n]*(?:\n|\Z)|/\*.*?\*/", re.DOTALL), re.compile(rb"--|/\*"))
_HASH_COMMENT = _Token(re.compile(rb"#[^\n]*(?:\n|\Z)"), re.compile(rb"#"))
_WORD = _Token(re.compile(rb"[A-Za-z_][A-Za-z0-9_$]*"))
_NUMBER = _Token(re.compile(rb"[-+]?\s*(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"))
_HEX_NUMBER = _Token(re.compile(rb"0[xX]([0-9A-Fa-f]+)"))
_HEX_STRING = _Token(re.compile(rb"[xX]'([0-9A-Fa-f]*)'"), re.compile(rb"[xX]'"))
_BIT_STRING = _Token(re.compile(rb"[bB]'([01]*)'"), re.compile(rb"[bB]'"))
# A quote that another follows ends nothing: without that, the first of a doubled pair would where the window ends before the string does.
_NAME_QUOTED = _Token(re.compile(rb'`([^`]*(?:``[^`]*)*)`(?!`)|"([^"]*(?:""[^"]*)*)"(?!")|\[([^\]]*)\]'), re.compile(rb'[`"\[]'))
_MYSQL_STRING = _Token(
    re.compile(rb"'([^'\\]*(?:(?:\\.|'')[^'\\]*)*)'(?!')|\"([^\"\\]*(?:(?:\\.|\"\")[^\"\\]*)*)\"(?!\")", re.DOTALL), re.compile(rb"['\"]"))
_SQLITE_STRING = _Token(re.compile(rb"'([^']*(?:''[^']*)*)'(?!')"), re.compile(rb"'"))
# Only the quote that the string stands in is doubled in it: '""' holds two.
_MYSQL_ESCAPE = {quote: re.compile(rb"\\(.)|(" + quote + rb"){2}", re.DOTALL) for quote in (b"'", b'"')}
_MYSQL_ESCAPES = {b"0": b"\0", b"b": b"\b", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"Z": b"\x1a", b"%": b"\\%", b"_": b"\\_"}
# What a statement that is stepped over consists of mostly: taken in one go; whatever else comes is looked at singly.
_PLAIN = re.compile(rb"(?:[^'\"`;#/\[\\-]+|'[^'\\]*'|\"[^\"\\]*\")*")
_STRING_ENDS = {quote: re.compile(rb"[\\" + quote + rb"]") for quote in (b"'", b'"')}
_UNISTR_ESCAPE = re.compile(r"\\(?:(\\)|\+([0-9A-Fa-f]{6})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-9A-Fa-f]{4}))")
# Words that begin a constraint in CREATE TABLE instead of a column; in SQLite KEY and INDEX are names like any other.
_SQLITE_CONSTRAINTS = frozenset((b"PRIMARY", b"UNIQUE", b"CONSTRAINT", b"FOREIGN", b"CHECK"))
_MYSQL_CONSTRAINTS = _SQLITE_CONSTRAINTS | frozenset((b"KEY", b"INDEX", b"FULLTEXT", b"SPATIAL", b"PERIOD"))


class Reference(t.NamedTuple):
    """A foreign key of one column: C(column) names C(other_column) of C(other_table)."""

    column: str
    other_table: str
    other_column: str


class Definition(t.NamedTuple):
    """What a dump's CREATE TABLE says of a table: columns in their order (lower case), and foreign keys of one column."""

    columns: t.List[str]
    references: t.List[Reference]


class _Cut(Exception):
    """The text ends where more must follow."""


class _Strange(Exception):
    """The text is not what such a dump holds."""


class _Text:
    """A window that moves over the stream: at most one chunk, or one long value, is in memory."""

    def __init__(self, stream: t.BinaryIO) -> None:
        self.stream = stream
        self.buffer = b""
        self.at = 0
        self.ended = False

    def fill(self) -> None:
        """Drop what was consumed and read on. Doubles with what is pending, so that a long value costs linear time."""
        pending = len(self.buffer) - self.at
        if pending > MAX_TOKEN_BYTES:
            raise _Strange(f"a value is longer than {MAX_TOKEN_BYTES} bytes")
        chunk = self.stream.read(max(CHUNK_BYTES, pending))
        if not chunk:
            self.ended = True
        self.buffer = self.buffer[self.at:] + chunk
        self.at = 0

    def match(self, token: _Token) -> t.Match[bytes] | None:
        """Match I(token) here and step behind it; None when it does not begin here. Reads on while it may go on."""
        while len(self.buffer) - self.at < _LOOK_AHEAD and not self.ended:
            self.fill()
        while True:
            found = token.whole.match(self.buffer, self.at)
            if self.ended or (found and found.end() < len(self.buffer)):
                if found:
                    self.at = found.end()
                return found
            if not found and not (token.begin and token.begin.match(self.buffer, self.at)):
                return None
            self.fill()

    def peek(self) -> bytes:
        """The next byte, or C(b"") at the end."""
        while self.at >= len(self.buffer) and not self.ended:
            self.fill()
        return self.buffer[self.at:self.at + 1]

    def starts_with(self, text: bytes) -> bool:
        while len(self.buffer) - self.at < len(text) and not self.ended:
            self.fill()
        return self.buffer.startswith(text, self.at)

    def skip_past(self, mark: bytes) -> None:
        """Step behind the next I(mark), without keeping what lies before it."""
        while True:
            found = self.buffer.find(mark, self.at)
            if found >= 0:
                self.at = found + len(mark)
                return
            if self.ended:
                raise _Cut
            self.at = max(self.at, len(self.buffer) - len(mark) + 1)
            self.fill()


class _Dump:
    """One pass over the statements of a dump."""

    def __init__(self, stream: t.BinaryIO, tables: t.Iterable[str], definitions: dict[str, Definition] | None = None) -> None:
        self.text = _Text(stream)
        self.definitions = definitions
        self.wanted = {name.lower().encode("ascii"): name for name in tables}
        self.columns: dict[str, list[str]] = {}
        self.mysql = self._is_mysql()
        self.string = _MYSQL_STRING if self.mysql else _SQLITE_STRING
        self.interesting = re.compile(rb"['\"`;#]|--|/\*" if self.mysql else rb"['\"`;\[]|--|/\*")
        self.last_comment = b""
        self.last_statement = b""
        self.encoding = "utf-8"

    def _is_mysql(self) -> bool:
        while len(self.text.buffer) < 4096 and not self.text.ended:
            self.text.fill()
        start = self.text.buffer[:4096]
        if not start.strip():
            raise _Cut
        code = _SPACE.whole.sub(b" ", _COMMENT.whole.sub(b" ", start)).lstrip().upper()
        if code.startswith((b"PRAGMA", b"BEGIN")):
            return False
        if re.search(rb"-- (?:MySQL|MariaDB) dump|/\*M?!", start):
            return True
        raise _Strange("it does not begin like a dump of mysqldump or of SQLite")

    # -- small steps ---------------------------------------------------------------------------------------------

    def blank(self) -> None:
        """Step over white space and comments, and remember the last comment."""
        while True:
            if self.text.match(_SPACE):
                continue
            if self.text.starts_with(b"--") or self.text.starts_with(b"/*"):
                found = self.text.match(_COMMENT)
            elif self.mysql and self.text.peek() == b"#":
                found = self.text.match(_HASH_COMMENT)
            else:
                return
            if not found:
                raise _Cut
            self.last_comment = found.group()

    def word(self) -> bytes:
        """The next bare word in upper case, or C(b"")."""
        self.blank()
        found = self.text.match(_WORD)
        return found.group().upper() if found else b""

    def take(self, mark: bytes) -> bool:
        """Step over the character I(mark) if it is next."""
        self.blank()
        if self.text.peek() == mark:
            self.text.at += 1
            return True
        return False

    def expect(self, mark: bytes) -> None:
        if not self.take(mark):
            if not self.text.peek():
                raise _Cut
            raise _Strange(f"expected {mark.decode('ascii')!r}, found {self.around()}")

    def around(self) -> str:
        """A few characters from here, for a message about syntax (never a whole value)."""
        return repr(self.text.buffer[self.text.at:self.text.at + 12].decode("ascii", "replace"))

    def name(self) -> bytes:
        """A table's or column's name, bare or quoted in any of the three ways; of C(a.b) the last part."""
        while True:
            self.blank()
            found = self.text.match(_NAME_QUOTED)
            if found:
                quoted = next(group for group in found.groups() if group is not None)
                mark = found.group()[:1]
                result = quoted.replace(mark + mark, mark)
            else:
                found = self.text.match(_WORD)
                if not found:
                    if not self.text.peek():
                        raise _Cut
                    raise _Strange(f"expected a name, found {self.around()}")
                result = found.group()
            if not self.take(b"."):
                return result

    def skip_statement(self) -> None:
        """Step behind the semicolon that ends this statement, keeping nothing of it."""
        text = self.text
        while True:
            if self.mysql:
                text.at = t.cast(t.Match[bytes], _PLAIN.match(text.buffer, text.at)).end()
            found = self.interesting.search(text.buffer, text.at)
            if not found:
                if text.ended:
                    raise _Cut
                text.at = max(text.at, len(text.buffer) - 1)  # a comment's first character may be the last one here
                text.fill()
                continue
            mark = found.group()
            text.at = found.end()
            if mark == b";":
                return
            if mark in (b"--", b"#"):
                text.skip_past(b"\n")
            elif mark == b"/*":
                text.skip_past(b"*/")
            elif mark == b"[":
                text.skip_past(b"]")
            elif self.mysql and mark != b"`":
                self._skip_escaped(mark)
            else:
                text.skip_past(mark)  # a doubled quote ends one string and begins the next: the same for skipping

    def _skip_escaped(self, quote: bytes) -> None:
        text = self.text
        while True:
            found = _STRING_ENDS[quote].search(text.buffer, text.at)
            if not found:
                if text.ended:
                    raise _Cut
                text.at = len(text.buffer)
                text.fill()
                continue
            text.at = found.end()
            if found.group() == quote:
                return
            if not text.peek():
                raise _Cut
            text.at += 1

    # -- values --------------------------------------------------------------------------------------------------

    def value(self, depth: int = 0) -> Value:
        """One expression: a literal, or one of the few functions that C(.dump) writes around a text."""
        if depth > 32:
            raise _Strange("an expression is nested too deeply")
        result = self._term(depth)
        while not self.mysql:
            if self.take(b"|"):
                self.expect(b"|")
                result = _as_text(result) + _as_text(self._term(depth))
            elif self.take(b"*"):
                result = _as_number(result) * _as_number(self._term(depth))
            elif self.take(b"/"):
                result = _as_number(result) / (_as_number(self._term(depth)) or 1)
            elif self.take(b"-"):
                result = _as_number(result) - _as_number(self._term(depth))
            else:
                break
        return result

    def _term(self, depth: int) -> Value:
        self.blank()
        text = self.text
        if not self.mysql and self.take(b"("):
            inner = self.value(depth + 1)
            self.expect(b")")
            return inner
        found = text.match(self.string)
        if found:
            return self._text_of(found)
        found = text.match(_HEX_NUMBER) if self.mysql else None
        if found:
            return bytes.fromhex((b"0" * (len(found.group(1)) % 2) + found.group(1)).decode("ascii"))
        found = text.match(_HEX_STRING)
        if found:
            if len(found.group(1)) % 2:
                raise _Strange("a blob has half a byte")
            return bytes.fromhex(found.group(1).decode("ascii"))
        found = text.match(_BIT_STRING)
        if found:
            return int(found.group(1) or b"0", 2)
        found = text.match(_NUMBER)
        if found:
            return _number(found.group())
        word = self.word()
        if word == b"NULL":
            return None
        if word in (b"TRUE", b"FALSE"):
            return int(word == b"TRUE")
        if self.mysql and word.startswith(b"_"):  # _binary '...', _utf8mb4 '...': how to read the string that follows
            following = self.value(depth + 1)
            return following.encode("utf-8", "surrogateescape") if word == b"_BINARY" and isinstance(following, str) else following
        if word == b"CAST":
            self.expect(b"(")
            inner = self.value(depth + 1)
            if self.word() != b"AS":
                raise _Strange("CAST without AS")
            kind = self.word()
            self.expect(b")")
            if kind == b"REAL":
                return float(_as_number(inner))
            if kind == b"TEXT" and isinstance(inner, bytes):
                return inner.decode(self.encoding, "surrogateescape" if self.encoding == "utf-8" else "surrogatepass")
            return _as_text(inner) if kind == b"TEXT" else inner
        if word and not self.mysql:
            return self._function(word, depth)
        if not text.peek():
            raise _Cut
        raise _Strange(f"expected a value, found {self.around()}")

    def _text_of(self, found: t.Match[bytes]) -> str:
        if self.mysql:
            raw = found.group(1) if found.group(1) is not None else found.group(2)
            if b"\\" in raw or found.group()[:1] in raw:
                raw = _MYSQL_ESCAPE[found.group()[:1]].sub(lambda m: m.group(2) or _MYSQL_ESCAPES.get(m.group(1), m.group(1)), raw)
        else:
            raw = found.group(1).replace(b"''", b"'")
        return raw.decode("utf-8", "surrogateescape")

    def _function(self, word: bytes, depth: int) -> Value:
        self.expect(b"(")
        arguments = [self.value(depth + 1)]
        while self.take(b","):
            arguments.append(self.value(depth + 1))
        self.expect(b")")
        if word == b"REPLACE" and len(arguments) == 3:
            return _replace(*(_as_text(argument) for argument in arguments))
        if word == b"CHAR" and all(isinstance(code, int) and 0 <= code < 0x110000 for code in arguments):
            return "".join(chr(t.cast(int, code)) for code in arguments)
        if word == b"UNISTR" and len(arguments) == 1:
            return _UNISTR_ESCAPE.sub(lambda m: m.group(1) or chr(int(next(g for g in m.groups()[1:] if g), 16)), _as_text(arguments[0]))
        raise _Strange(f"the function {word.decode('ascii', 'replace')} is not one that a dump holds")

    # -- statements ----------------------------------------------------------------------------------------------

    def rows(self) -> t.Iterator[tuple[str, Row]]:
        """Every row of the wanted tables in the dump's order; raises :class:`_Cut` unless the trailer ends the dump."""
        while True:
            self.blank()
            if not self.text.peek():
                break
            if self.take(b";"):
                continue
            self.last_comment = b""
            word = self.word()
            self.last_statement = word
            if word in (b"INSERT", b"REPLACE"):
                yield from self._insert()
            elif word == b"CREATE":
                self._create()
            elif word == b"DELIMITER" and self.mysql:
                self._delimiter()
            elif word == b"PRAGMA" and not self.mysql:
                self._pragma()
            else:
                self.skip_statement()
        complete = self.last_comment.startswith(b"-- Dump completed") if self.mysql else self.last_statement == b"COMMIT"
        if not complete:
            raise _Cut

    def _insert(self) -> t.Iterator[tuple[str, Row]]:
        word = self.word()
        while word and word != b"INTO":
            word = self.word()
        if not word:
            raise _Cut if not self.text.peek() else _Strange("INSERT without INTO")
        table = self.wanted.get(self.name().lower())
        if table is None:
            self.skip_statement()
            return
        columns = self.columns.get(table)
        if self.take(b"("):
            columns = [_column(self.name())]
            while self.take(b","):
                columns.append(_column(self.name()))
            self.expect(b")")
        if columns is None:
            raise _Strange(f"rows of {table} stand before its CREATE TABLE")
        if self.word() not in (b"VALUES", b"VALUE"):
            raise _Cut if not self.text.peek() else _Strange(f"INSERT into {table} without VALUES")
        while True:
            self.expect(b"(")
            values = [self.value()]
            while self.take(b","):
                values.append(self.value())
            self.expect(b")")
            if len(values) != len(columns):
                raise _Strange(f"a row of {table} has {len(values)} values for {len(columns)} columns")
            yield table, dict(zip(columns, values))
            if not self.take(b","):
                break
        self.expect(b";")

    def _create(self) -> None:
        word = self.word()
        while word in (b"TEMP", b"TEMPORARY", b"OR", b"REPLACE"):
            word = self.word()
        if word == b"TRIGGER" and not self.mysql:
            # The body holds statements of its own; as sqlite3_complete() has it, "; END ;" ends it.
            self.skip_statement()
            while self.word() != b"END":
                self.skip_statement()
            self.expect(b";")
            return
        if word != b"TABLE":
            self.skip_statement()
            return
        self.blank()
        if self.text.starts_with(b"IF ") or self.text.starts_with(b"if "):
            for dummy in range(3):
                self.word()
        name = self.name()
        table = self.wanted.get(name.lower())
        if self.definitions is not None and self.take(b"("):
            self.definitions[name.decode("utf-8", "surrogateescape")] = self._definition()
            self.skip_statement()
            return
        if table is None or not self.take(b"("):
            self.skip_statement()
            return
        self.columns[table] = self._column_names()
        self.skip_statement()

    def _column_names(self) -> list[str]:
        """The names of the columns in their order; ends behind the bracket that closes the definition."""
        constraints = _MYSQL_CONSTRAINTS if self.mysql else _SQLITE_CONSTRAINTS
        names: list[str] = []
        while True:
            self.blank()
            bare = self.text.peek() not in (b"`", b'"', b"[")
            name = self.name()
            if not (bare and name.upper() in constraints):
                names.append(_column(name))
            depth = 0
            while True:
                self.blank()
                mark = self.text.peek()
                if not mark:
                    raise _Cut
                if mark in b",)" and depth == 0:
                    break
                if mark == b";":
                    raise _Strange("CREATE TABLE ends within its columns")
                if not (self.text.match(self.string) or self.text.match(_NAME_QUOTED) or self.text.match(_WORD)):
                    depth += (mark == b"(") - (mark == b")")
                    self.text.at += 1
            self.text.at += 1
            if mark == b")":
                return names

    def _definition(self) -> Definition:
        """Columns and foreign keys; ends behind the bracket that closes the definition."""
        constraints = _MYSQL_CONSTRAINTS if self.mysql else _SQLITE_CONSTRAINTS
        result = Definition([], [])
        while True:
            self.blank()
            bare = self.text.peek() not in (b"`", b'"', b"[")
            name = self.name()
            is_column = not (bare and name.upper() in constraints)
            if is_column:
                result.columns.append(_column(name))
            words, mark = self._element()
            reference = _reference(name if is_column else None, words)
            if reference:
                result.references.append(reference)
            if mark == b")":
                return result

    def _element(self) -> tuple[list[bytes], bytes]:
        """The words up to the comma or bracket that ends a column or constraint (names with a backtick in front), and that mark."""
        words: list[bytes] = []
        depth = 0
        while True:
            self.blank()
            mark = self.text.peek()
            if not mark:
                raise _Cut
            if mark in b",)" and depth == 0:
                self.text.at += 1
                return words, mark
            if mark == b";":
                raise _Strange("CREATE TABLE ends within its columns")
            if self.text.match(self.string):
                continue
            found = self.text.match(_NAME_QUOTED)
            if found:
                words.append(b"`" + next(group for group in found.groups() if group is not None))
                continue
            found = self.text.match(_WORD)
            if found:
                words.append(found.group())
                continue
            depth += (mark == b"(") - (mark == b")")
            words.append(mark)
            self.text.at += 1

    def _pragma(self) -> None:
        """In a UTF-16 database C(CAST(X'...' AS TEXT)) holds UTF-16."""
        if self.word() == b"ENCODING" and self.take(b"="):
            encoding = _as_text(self.value()).lower()
            if encoding not in ("utf-8", "utf-16le", "utf-16be"):
                raise _Strange(f"the encoding {encoding[:20]!r} is not known")
            self.encoding = encoding
        self.skip_statement()

    def _delimiter(self) -> None:
        """Step over the statements between C(DELIMITER ;;) and C(DELIMITER ;): routines, triggers and events."""
        self.text.skip_past(b"\n")
        self.text.skip_past(b"DELIMITER ;\n")


def _column(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape").lower()


def _reference(column: bytes | None, words: t.Sequence[bytes]) -> Reference | None:
    """The foreign key in the words of a column, or of a constraint (I(column) None); None for one of several columns."""
    upper = [word.upper() for word in words]
    if b"REFERENCES" not in upper:
        return None
    at = upper.index(b"REFERENCES")
    if column is None:
        own = list(words[upper.index(b"KEY") + 1:at]) if b"KEY" in upper[:at] else []
        if len(own) != 3:
            return None
        column = own[1]
    other = list(words[at + 1:at + 5])
    if len(other) != 4 or (other[1], other[3]) != (b"(", b")"):
        return None
    names = [word.lstrip(b"`").decode("utf-8", "surrogateescape") for word in (column, other[0], other[2])]
    return Reference(names[0].lower(), names[1], names[2].lower())


def _as_text(value: Value) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return "" if value is None else str(value)


def _replace(text: str, old: str, new: str) -> str:
    """As SQLite's replace(). One call in another multiplies: a few lines could ask for more memory than there is."""
    times = text.count(old) if old else 0
    if len(text) + times * (len(new) - len(old)) > MAX_TOKEN_BYTES:
        raise _Strange(f"a value is longer than {MAX_TOKEN_BYTES} bytes")
    return text.replace(old, new) if old else text


def _as_number(value: Value) -> int | float:
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, (int, float)):
        return value
    raise _Strange("arithmetic with something that is no number")


def _number(text: bytes) -> Value:
    plain = re.sub(rb"\s", b"", text).decode("ascii")
    if re.match(r"[-+]?[0-9]+$", plain):
        return int(plain)
    try:
        number = decimal.Decimal(plain)
    except decimal.InvalidOperation as error:
        raise _Strange("a number cannot be read") from error
    return float(plain) if abs(number) > decimal.Decimal("1e308") else number  # SQLite writes infinity as 9.0e+999


def _open(path: str) -> t.BinaryIO:
    try:
        # Without blocking: the opening of a named pipe that nobody writes to would never end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SeafileError("dump-missing", path, "there is no such dump file", _NAME_IT) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SeafileError("dump-missing", path, "is not a regular file", _NAME_IT)
    return compression.reader(os.fdopen(descriptor, "rb"), path, plain=True)


def _read(path: str, tables: t.Sequence[str], definitions: dict[str, Definition] | None = None,
          seen: dict[str, list[str]] | None = None) -> t.Iterator[tuple[str, Row]]:
    """Read the dump I(path) to its end, or raise what :func:`read_rows` tells; I(seen) gets the columns of I(tables)."""
    try:
        stream = _open(path)
        with stream:
            dump = _Dump(stream, tables, definitions)
            yield from dump.rows()
            if seen is not None:
                seen.update(dump.columns)
    except _Cut as error:
        raise SeafileError("dump-damaged", path, "the dump is cut: its last line does not say that it is complete", _ANOTHER) from error
    except _Strange as error:
        raise SeafileError("dump-damaged", path, str(error), _ANOTHER) from error
    except (ValueError, ArithmeticError) as error:
        raise SeafileError("dump-damaged", path, "it holds a value that cannot be read", _ANOTHER) from error
    except compression.Damage as error:
        raise SeafileError("dump-damaged", path, str(error), _ANOTHER) from error


def read_rows(path: str, tables: t.Sequence[str], required: t.Sequence[str] = ()) -> t.Iterator[tuple[str, Row]]:
    """Yield C((table, row)) for every row of I(tables) in the dump I(path), in the dump's order.

    :arg path: a dump of one database, SQL text in zstd (told by the name), gzip or plain, by mysqldump, mariadb-dump or SQLite.
    :arg tables: names as Seafile writes them; found whatever case the dump has them in. A table without rows, or one
        that this version of Seafile does not have, yields nothing.
    :arg required: tables that must be defined in the dump.
    :returns: rows as dictionaries by column name in lower case; values C(None), C(int), C(Decimal), C(str) (UTF-8;
        bytes that are not UTF-8 as lone surrogates) or C(bytes) (blobs).
    :raises SeafileError: C(dump-missing), C(dump-damaged) (cut, without the trailer, or not a dump; known only at the end: use
        no row before the iterator is exhausted), C(dump-wrong-database), C(missing-tool) for a zstd file where there is no zstd.
    """
    seen: dict[str, list[str]] = {}
    yield from _read(path, tables, None, seen)
    missing = [name for name in required if name not in seen]
    if missing:
        raise SeafileError("dump-wrong-database", path, f"the dump has no table {', '.join(missing)}: it is not the dump of a Seafile database")


def read_tables(path: str, tables: t.Sequence[str], required: t.Sequence[str] = ()) -> dict[str, list[Row]]:
    """Return the rows of I(tables) in the dump I(path); an absent table has an empty list. See :func:`read_rows`."""
    result: dict[str, list[Row]] = {name: [] for name in tables}
    for table, row in read_rows(path, tables, required):
        result[table].append(row)
    return result


def read_definitions(path: str) -> dict[str, Definition]:
    """Return what the dump I(path) says of each of its tables, by name.

    :raises SeafileError: as :func:`read_rows`.
    """
    definitions: dict[str, Definition] = {}
    for dummy in _read(path, (), definitions):
        pass
    return definitions
