# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting single values in Seafile's configuration files and leaving every other byte as it is. Pure functions.

Each syntax is read by the class that L(seafile_config, .) reads it with, or by the same rules, so that what is written is
read back as it was meant:

* GLib key files (C(ccnet.conf), C(seafile.conf)) and those of Python's configparser (C(seafevents.conf)).
* C(conf/.env), which a shell sources.
* C(seahub_settings.py): positions come from its syntax tree; it is never executed.
"""

from __future__ import annotations

import ast
import codecs
import io
import re
import tokenize
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.relocation import Span, apply
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import EnvironmentFile, KeyFile, SeahubSettings

_SECRET = re.compile(r"passw|_pw$|pwd|secret|token|private|credential|(?:^|_)key$|salt$", re.IGNORECASE)
_NO_SECRET = re.compile(r"(?:url|uri|path|file|dir|root|length|level|days|hours|required|enabled?|expires?|algorithm|header)s?$", re.IGNORECASE)
MASK = "********"

_SPACE = " \t\n\r\f\v"
_KEY_FILE_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BARE = re.compile(r"[A-Za-z0-9_./:@%+,=-]+\Z")
"""What a shell takes as it is, at any place of a word."""


def is_secret(name: str) -> bool:
    """Whether values of this I(name) are nobody's to see, and no place for words to be replaced in."""
    return _SECRET.search(name) is not None and _NO_SECRET.search(name) is None


class Secret(t.NamedTuple):
    """A value that is not shown: what it belongs to, where it stands in the text, and the text there."""

    name: str
    start: int
    end: int
    text: str


class Document:
    """One configuration file of whatever syntax: its text, and the edits of it.

    The text is decoded so that every byte survives.
    """

    encoding = "utf-8"
    errors = "surrogateescape"

    def __init__(self, path: str, content: bytes) -> None:
        self.path = path
        self.content = content
        self.text = self._decode(content)
        self.edits: list[Span] = []

    def _decode(self, content: bytes) -> str:
        return content.decode(self.encoding, self.errors)

    def secrets(self) -> list[Secret]:
        """Return the values that are never shown and never touched by a replacement of words, in order."""
        return []

    def protected(self) -> list[tuple[int, int]]:
        """Return further places that a replacement of words leaves alone."""
        return []

    def replace_words(self, spans: t.Iterable[Span]) -> None:
        """Take over those of I(spans) that touch neither an edit nor a secret."""
        closed = [(edit.start, edit.end) for edit in self.edits] + [(secret.start, secret.end) for secret in self.secrets()] + self.protected()
        self.edits += [span for span in spans if not any(span.start < end and start < span.end for start, end in closed)]

    def result(self) -> bytes:
        """Return the content with all edits."""
        return apply(self.text, self.edits).encode(self.encoding, self.errors)

    def masked(self, other: t.Optional[Document] = None) -> str:
        """Return the text with the secrets masked, marked where I(other), the file before, has another one under the name."""
        before = {secret.name: secret.text for secret in other.secrets()} if other is not None else None
        spans = []
        for secret in self.secrets():
            changed = before is not None and before.get(secret.name) != secret.text
            spans.append(Span(secret.start, secret.end, MASK + (" (changed)" if changed else "")))
        return apply(self.text, spans)

    def newline(self) -> str:
        """Return how the file ends its lines."""
        return "\r\n" if "\r\n" in self.text else "\n"

    def append_line(self, line: str) -> None:
        """Add a line at the end."""
        end = len(self.text)
        newline = self.newline()
        before = "" if not self.text or self.text.endswith("\n") or any(edit.start == end for edit in self.edits) else newline
        self.edits.append(Span(end, end, before + line + newline))


def refused(path: str, name: str, cause: str) -> SeafileError:
    """Return the failure of a value that the file I(path) cannot hold; the value itself is not in it."""
    return SeafileError("place-value-invalid", f"{path}: {name}", cause)


# --- key files ----------------------------------------------------------------------------------------------------


class _Entry(t.NamedTuple):
    start: int
    end: int
    line_start: int
    line_end: int


class KeyFileDocument(Document):
    """A GLib key file, line by line as L(seafile_config, .).KeyFile reads it. The last of several equal keys is the one."""

    def __init__(self, path: str, content: bytes) -> None:
        super().__init__(path, content)
        self.entries: dict[tuple[str, str], _Entry] = {}
        self.groups: dict[str, int] = {}
        """Where a new key of the group is written: behind its last line that holds something."""
        group = None
        position = 0
        # GLib ends a line at a newline, with the carriage return before it if there is one
        for raw in self.text.split("\n"):
            line_end = min(position + len(raw) + 1, len(self.text))
            stripped = raw[:-1] if raw.endswith("\r") else raw
            body = stripped.lstrip(_SPACE)
            if body and not self._is_comment(body):
                if body.startswith("[") and body.rstrip(" \t").endswith("]"):
                    group = body.rstrip(" \t")[1:-1]
                    self.groups[group] = line_end
                elif "=" in body and group is not None:
                    self._entry(group, stripped, position, line_end)
            position = line_end

    @staticmethod
    def _is_comment(body: str) -> bool:
        return body.startswith("#")

    @staticmethod
    def _key(text: str) -> str:
        return text

    def _entry(self, group: str, line: str, position: int, line_end: int) -> None:
        name, dummy, value = line.partition("=")
        start = position + len(name) + 1
        blank = len(value) - len(value.lstrip(_SPACE))
        if blank == len(value):
            start += min(1, blank)
            end = position + len(line)
        else:
            start += blank
            end = start + len(value.strip(_SPACE))
        self.entries[group, self._key(name.strip(_SPACE))] = _Entry(start, end, position, line_end)
        self.groups[group] = line_end

    def has(self, group: str, key: str) -> bool:
        """Whether the key stands there with a value."""
        entry = self.entries.get((group, key))
        return entry is not None and entry.end > entry.start

    def value(self, group: str, key: str) -> t.Optional[str]:
        """Return the key's value as it is read, None when it is missing or empty."""
        return KeyFile(self.path, self.content).get(group, key)

    def set(self, group: str, key: str, value: str) -> None:
        """Write the value, at the key's place or as a new last line of its group (new at the end of the file if need be).

        :raises SeafileError: C(place-value-invalid).
        """
        written = self.written(key, value)
        entry = self.entries.get((group, key))
        if entry is not None:
            if self.text[entry.start:entry.end] != written:
                self.edits.append(Span(entry.start, entry.end, written))
            return
        line = f"{key} = {written}"
        if group not in self.groups:
            self.append_line(f"[{group}]")
            self.append_line(line)
        else:
            place = self.groups[group]
            whole = self.text[:place].endswith("\n")
            self.edits.append(Span(place, place, line + self.newline() if whole else self.newline() + line))

    def remove(self, group: str, key: str) -> None:
        """Take the key's line out."""
        entry = self.entries.get((group, key))
        if entry is not None:
            self.edits.append(Span(entry.line_start, entry.line_end, ""))

    def written(self, key: str, value: str) -> str:
        """Return I(value) as it is written in the file (escapes of GLib's key files)."""
        _require_text(self.path, key, value)
        if value != value.rstrip(_SPACE):
            raise refused(self.path, key, "white space at its end is cut off by Seafile")
        if value[:1] in ("\f", "\v"):
            raise refused(self.path, key, "it begins with white space that the file cannot hold")
        text = "".join(_KEY_FILE_ESCAPES.get(character, character) for character in value)
        return "\\s" + text[1:] if text.startswith(" ") else text

    def secrets(self) -> list[Secret]:
        return sorted((Secret(f"{group}/{key}", entry.start, entry.end, self.text[entry.start:entry.end])
                       for (group, key), entry in self.entries.items() if is_secret(key)), key=lambda secret: secret.start)

    def protected(self) -> list[tuple[int, int]]:
        # an account, host or database that is called as the server is set by its own option only
        return [(entry.start, entry.end) for (group, dummy), entry in self.entries.items() if group.lower() == "database"]


class ParserFileDocument(KeyFileDocument):
    """A file of Python's configparser, as Seafile's event server reads C(seafevents.conf): C(%%) is a per cent sign."""

    @staticmethod
    def _is_comment(body: str) -> bool:
        return body.startswith(("#", ";"))

    @staticmethod
    def _key(text: str) -> str:
        return text.lower()

    def value(self, group: str, key: str) -> t.Optional[str]:
        entry = self.entries.get((group, key))
        return self.text[entry.start:entry.end].replace("%%", "%") or None if entry is not None else None

    def written(self, key: str, value: str) -> str:
        _require_text(self.path, key, value)
        if value != value.strip() or "\n" in value or "\r" in value:
            raise refused(self.path, key, "it holds a line break, or white space at its beginning or end")
        return value.replace("%", "%%")


def _require_text(path: str, name: str, value: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise refused(path, name, "it is not UTF-8") from None
    if "\0" in value:
        raise refused(path, name, "it holds a NUL")
    if not value:
        raise refused(path, name, "it is empty")


# --- conf/.env ----------------------------------------------------------------------------------------------------


class _Words(EnvironmentFile):
    """The same reader, which also remembers where each value stands."""

    def __init__(self, path: str, content: bytes) -> None:
        self.places: dict[str, tuple[int, int]] = {}
        super().__init__(path, content)

    def _word(self, text: str, position: int) -> tuple[str, int]:
        value, end = super()._word(text, position)
        found = re.search(r"([A-Za-z_][A-Za-z0-9_]*)=\Z", text[max(0, position - 256):position])
        if found:
            self.places[found.group(1)] = (position, end)
        return value, end


class EnvironmentDocument(Document):
    """C(conf/.env). A value keeps its kind of quotes where the new one allows it."""

    errors = "strict"

    def __init__(self, path: str, content: bytes) -> None:
        self.words = _Words(path, content)
        super().__init__(path, content)

    def has(self, name: str) -> bool:
        """Whether I(name) is assigned a value.

        :raises SeafileError: C(config-unreadable) when only a shell could tell.
        """
        return self.words.get(name) is not None

    def set(self, name: str, value: str) -> None:
        """Write the value, at its place or as a new last line.

        :raises SeafileError: C(place-value-invalid), C(config-unreadable).
        """
        _require_text(self.path, name, value)
        self.words.get(name)
        place = self.words.places.get(name)
        if place is None:
            self.append_line(f"{name}={shell_word(value)}")
        elif self.words.get(name) != value:
            old = self.text[place[0]:place[1]]
            self.edits.append(Span(place[0], place[1], shell_word(value, old[:1] if old[:1] in ("'", '"') else "")))

    def secrets(self) -> list[Secret]:
        return [Secret(name, start, end, self.text[start:end]) for name, (start, end) in sorted(self.words.places.items(), key=lambda item: item[1])
                if is_secret(name)]

    def protected(self) -> list[tuple[int, int]]:
        return [place for name, place in self.words.places.items() if name.startswith("SEAFILE_MYSQL_DB_")]


def shell_word(value: str, quote: str = "") -> str:
    """Return I(value) as one word of a shell, in the I(quote) that was there where that can hold it."""
    if _BARE.match(value):
        return quote + value + quote
    if "'" not in value and quote != '"':
        return f"'{value}'"
    if "'" not in value and not re.search(r'[\\"$`!]', value):
        return f'"{value}"'
    return "'" + value + "'" if "'" not in value else '"' + re.sub(r'([\\"$`])', r"\\\1", value) + '"'


# --- seahub_settings.py -------------------------------------------------------------------------------------------


class _Tree(SeahubSettings):
    """The same reader, which also tells the places of what it read."""

    def node(self, name: str) -> t.Optional[ast.AST]:
        """The value of the last plain assignment to I(name)."""
        return self._nodes.get(name)

    def database_node(self, key: str) -> t.Optional[ast.AST]:
        """The value of I(key) in C(DATABASES['default'])."""
        return self._database_nodes.get(key)

    @property
    def uses_mysql(self) -> bool:
        """Whether C(DATABASES['default']) names MySQL."""
        engine = self._constant(self._database_nodes.get("ENGINE"))
        return isinstance(engine, str) and "mysql" in engine


class SettingsDocument(Document):
    """C(seahub_settings.py), edited where its syntax tree says that a value stands."""

    errors = "strict"

    def __init__(self, path: str, content: bytes, environment: t.Optional[EnvironmentFile] = None) -> None:
        self.tree = _Tree(path, content, environment)
        super().__init__(path, content)
        self._root = ast.parse(content)
        self._lines = [0] + [found.end() for found in re.finditer(r"\r\n|\r|\n", self.text)]

    def _decode(self, content: bytes) -> str:
        try:
            self.encoding = tokenize.detect_encoding(io.BytesIO(content).readline)[0]
            return content.decode(self.encoding)
        except (SyntaxError, UnicodeDecodeError, LookupError):
            raise SeafileError("config-unreadable", self.path, "its characters are not in the encoding that it names", file=self.path) from None

    def place(self, node: ast.AST) -> tuple[int, int]:
        """Return where I(node) begins and ends in the text; the tree counts bytes of UTF-8."""
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)

    def _offset(self, line: int, column: int) -> int:
        start = self._lines[line - 1]
        end = self._lines[line] if line < len(self._lines) else len(self.text)
        return start + len(self.text[start:end].encode("utf-8", "surrogatepass")[:column].decode("utf-8", "surrogatepass"))

    def literal(self, value: str, like: str = "") -> str:
        """Return I(value) as a Python string, in the quotes of the text I(like)."""
        found = re.match(r"[A-Za-z]{0,2}(['\"])", like)
        quote = found.group(1) if found else "'"
        result = []
        for character in value:
            if character in ("\\", quote):
                result.append("\\" + character)
            elif character.isprintable() and _can(character, self.encoding):
                result.append(character)
            else:
                result.append(character.encode("unicode_escape").decode("ascii"))
        return quote + "".join(result) + quote

    @staticmethod
    def is_plain(node: ast.AST) -> bool:
        """Whether I(node) is a value as it stands, and nothing that is computed."""
        return isinstance(node, ast.Constant)

    def texts(self, name: str) -> t.Optional[list[str]]:
        """Return the texts in the list that I(name) is set to; None when it is no list of plain texts."""
        node = self.tree.node(name)
        if not isinstance(node, (ast.List, ast.Tuple)) or not all(isinstance(item, ast.Constant) and isinstance(item.value, str) for item in node.elts):
            return None
        return [item.value for item in node.elts]

    def set_node(self, node: ast.AST, value: str) -> None:
        """Write I(value) in the place of the expression I(node); a number stays a number."""
        start, end = self.place(node)
        old = self.text[start:end]
        is_number = isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool) and value.isdigit()
        written = value if is_number else self.literal(value, old)
        if old != written and not (isinstance(node, ast.Constant) and str(node.value) == value):
            self.edits.append(Span(start, end, written))

    def set(self, name: str, value: str) -> None:
        """Set the variable I(name), in its place or as a new last line."""
        node = self.tree.node(name)
        if node is not None:
            self.set_node(node, value)
        else:
            self.append_line(f"{name} = {self.literal(value)}")

    def set_database(self, key: str, value: str) -> None:
        """Set I(key) of C(DATABASES['default']), in its place or as a new last line."""
        node = self.tree.database_node(key)
        if node is not None:
            self.set_node(node, value)
        else:
            self.append_line(f"DATABASES['default']['{key}'] = {self.literal(value)}")

    def option_node(self, name: str) -> t.Optional[ast.AST]:
        """The value of I(name) in C(OPTIONS) of C(DATABASES['default'])."""
        options = self.tree.database_node("OPTIONS")
        if isinstance(options, ast.Dict):
            for key, item in zip(options.keys, options.values):
                if isinstance(key, ast.Constant) and key.value == name:
                    return item
        return None

    def remove_option(self, name: str) -> None:
        """Take I(name) out of C(OPTIONS) of C(DATABASES['default'])."""
        options = self.tree.database_node("OPTIONS")
        item = self.option_node(name)
        if item is None or not isinstance(options, ast.Dict):
            return
        index = options.values.index(item)
        start = self.place(options.keys[index])[0]
        if index + 1 < len(options.values):
            end = self.place(options.keys[index + 1] or options.values[index + 1])[0]
        else:
            end = self.place(item)[1]
            found = re.compile(r"\s*,").match(self.text, end)
            end = found.end() if found else end
        self.edits.append(Span(start, end, ""))

    def _named(self) -> t.Iterator[tuple[str, ast.AST]]:
        """Yield every value that has a name: of assignments, of dictionaries' keys, of keyword arguments."""
        for node in ast.walk(self._root):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    name = target.id if isinstance(target, ast.Name) else getattr(target, "attr", None)
                    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                        name = target.slice.value
                    yield str(name), node.value
            elif isinstance(node, ast.AnnAssign) and node.value is not None and isinstance(node.target, ast.Name):
                yield node.target.id, node.value
            elif isinstance(node, ast.Dict):
                for key, item in zip(node.keys, node.values):
                    if isinstance(key, ast.Constant):
                        yield str(key.value), item
            elif isinstance(node, ast.Call):
                for keyword in node.keywords:
                    if keyword.arg:
                        yield keyword.arg, keyword.value

    def secrets(self) -> list[Secret]:
        found = []
        seen: dict[str, int] = {}
        for name, node in self._named():
            if is_secret(name) and not isinstance(node, (ast.Dict, ast.List, ast.Tuple)):
                start, end = self.place(node)
                seen[name] = seen.get(name, 0) + 1
                found.append(Secret(f"{name}/{seen[name]}", start, end, self.text[start:end]))
        result: list[Secret] = []
        for secret in sorted(found, key=lambda secret: (secret.start, -secret.end)):
            if not result or secret.start >= result[-1].end:
                result.append(secret)
        return result

    def protected(self) -> list[tuple[int, int]]:
        if not self.tree.uses_mysql:
            return []
        nodes = [self.tree.database_node(key) for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")] + [self.option_node("unix_socket")]
        return [self.place(node) for node in nodes if node is not None]


def _can(character: str, encoding: str) -> bool:
    try:
        codecs.encode(character, encoding)
    except UnicodeEncodeError:
        return False
    return True
