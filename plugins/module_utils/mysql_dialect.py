# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dialects: what the text of a dump needs of a database server, and the few words that may be rewritten on its way into another one.

The text is that of mysqldump and mariadb-dump (see C(mysql_dump_stream)). What makes it possible to tell definitions from rows without
an SQL parser:

* rows stand only in statements that begin with C(INSERT INTO `) at the start of a line; a line break inside a row is escaped, so that
  such a statement ends with the first C(;) before a line break;
* outside of C(DELIMITER ;;) sections no string goes over the end of a line; inside (bodies of triggers, events and routines) it may.

Rows are never looked into and never changed. In definitions only bare words are seen: what stands in quotes, backticks or comments
is passed on as it is; C(/*!50013 ... */) is no comment.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_client, mysql_schema
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client, identifier, literal

DROPPED_MODES = frozenset(["NO_AUTO_CREATE_USER"])
"""SQL modes that a body may lose where the server does not know them: they say nothing about what a body does."""

IMPORT_PRIVILEGES = ("SELECT", "INSERT", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "LOCK TABLES")
"""What an account needs on a database to create it from a dump. What else a dump may hold is in :data:`OBJECT_PRIVILEGES`."""

OBJECT_PRIVILEGES = {"view": ("CREATE VIEW",), "procedure": ("CREATE ROUTINE", "ALTER ROUTINE"), "function": ("CREATE ROUTINE", "ALTER ROUTINE"),
                     "event": ("EVENT",), "trigger": ("TRIGGER",)}
DEFINER_CHOICES = ("refuse", "keep", "replace")

_NAME = rb"`(?:[^`]|``)*`"
_TOKEN = re.compile(
    rb"(?P<comment>/\*(?!M?!))"
    rb"|(?P<line>--(?=\s|\Z)[^\n]*|\#[^\n]*)"
    rb"|(?P<definer>\bDEFINER\s*=\s*(?P<account>" + _NAME + rb"(?:@" + _NAME + rb")?))"
    rb"|(?P<object>\b(?P<kind>VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT|PACKAGE(?:\s+BODY)?)\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>" + _NAME + rb"|[\w$]+))"
    rb"|(?P<quote>['\"`])"
    rb"|(?P<collate>\b(?:COLLATE|collation_connection)\b\s*=?\s*)(?P<collation>[A-Za-z]\w*)"
    rb"|(?P<charset>\b(?:CHARSET|CHARACTER\s+SET|character_set_client|character_set_results)\b\s*=?\s*)(?P<character_set>[A-Za-z]\w*)"
    rb"|(?P<mode>\bsql_mode\s*=\s*)'(?P<modes>[A-Z0-9_,]*)'"
    rb"|(?P<word>@*[\w$]+)", re.IGNORECASE)
_QUOTE_END = {quote: re.compile(rb"(?:[^\\" + quote + rb"]|\\.|" + quote + quote + rb")*" + quote, re.DOTALL) for quote in (b"'", b'"')}
_PLAIN_END = {quote: re.compile(rb"(?:[^" + quote + rb"]|" + quote + quote + rb")*" + quote, re.DOTALL) for quote in (b"'", b'"', b"`")}
_ROWS = (b"INSERT INTO `", b"INSERT  IGNORE INTO `", b"INSERT IGNORE INTO `", b"REPLACE INTO `")
_ALTER = re.compile(rb"(ALTER DATABASE )" + _NAME + rb" (CHARACTER SET \w+ COLLATE \w+ ;;?\n)")
"""Around triggers and routines that were made under another collation of the database. Without a name it means the one that is used."""
_VERSION = re.compile(rb"\A-- Server version\t([^\r\n]+)")
_COLUMN_TYPE = re.compile(rb"  " + _NAME + rb" (uuid|inet4|inet6|vector|xmltype)\b", re.IGNORECASE)
_SEQUENCE = re.compile(rb"CREATE SEQUENCE (" + _NAME + rb")")
_VERSIONING = re.compile(rb"\)? .*\bWITH SYSTEM VERSIONING\b|  PERIOD FOR SYSTEM_TIME\b")

_FEATURES: dict[str, tuple[int, int]] = {
    "uuid": (10, 7), "inet4": (10, 10), "inet6": (10, 5), "vector": (11, 7), "xmltype": (12, 3), "sequence": (10, 3), "system versioning": (10, 3),
}
"""What only MariaDB has, with the version that brought it."""


# --- what a dump holds --------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Facts:
    """What a dump needs of the server that takes it. From its text, or as far as a manifest tells."""

    server_version: str = ""
    character_sets: set[str] = dataclasses.field(default_factory=set)
    collations: set[str] = dataclasses.field(default_factory=set)
    sql_modes: set[str] = dataclasses.field(default_factory=set)
    definers: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    """Account (C(user@host), as the server writes it) to what it defines (C(view v1))."""
    features: dict[str, str] = dataclasses.field(default_factory=dict)
    """Key of C(_FEATURES) to where it stands."""
    names_itself: bool = False
    """Whether a statement names the database that was dumped, which may get another name."""

    def add_definer(self, account: str, thing: str) -> None:
        """Note that I(account) defines I(thing)."""
        things = self.definers.setdefault(account, [])
        if thing not in things:
            things.append(thing)


def facts_of_entry(entry: t.Mapping[str, t.Any]) -> Facts:
    """Return what the entry of a dump in a manifest tells; sets of older releases tell less."""
    facts = Facts(server_version=str(entry.get("server_version") or ""))
    if entry.get("character_set"):
        facts.character_sets.add(str(entry["character_set"]))
    collations = entry.get("collations")
    facts.collations.update(str(name) for name in (collations if isinstance(collations, list) else []))
    if entry.get("collation"):
        facts.collations.add(str(entry["collation"]))
    definers = entry.get("definers")
    for account, things in (definers if isinstance(definers, dict) else {}).items():
        for thing in things if isinstance(things, list) else []:
            facts.add_definer(str(account), str(thing))
    return facts


def of_databases(client: Client, names: t.Sequence[str]) -> dict[str, dict[str, t.Any]]:
    """Return C(collations) and C(definers) of each of the databases I(names), for the manifest (see :func:`facts_of_entry`)."""
    wanted = mysql_schema.names_in(names)
    queries = [
        ("collation", "tables", "table_schema", "table_collation", ""), ("collation", "columns", "table_schema", "collation_name", ""),
        ("collation", "routines", "routine_schema", "collation_connection", ""), ("collation", "views", "table_schema", "collation_connection", ""),
        ("collation", "triggers", "trigger_schema", "collation_connection", ""), ("collation", "events", "event_schema", "collation_connection", ""),
        ("definer", "views", "table_schema", "definer", "CONCAT('view ', table_name)"),
        ("definer", "triggers", "trigger_schema", "definer", "CONCAT('trigger ', trigger_name)"),
        ("definer", "routines", "routine_schema", "definer", "CONCAT(LOWER(routine_type), ' ', routine_name)"),
        ("definer", "events", "event_schema", "definer", "CONCAT('event ', event_name)"),
    ]
    rows = client.query(*(
        f"SELECT DISTINCT '{kind}', {schema}, {value}, {thing or repr('')} FROM information_schema.{table} WHERE {schema} IN {wanted} AND {value} IS NOT NULL"
        for kind, table, schema, value, thing in queries))
    result: dict[str, dict[str, t.Any]] = {name: {"collations": [], "definers": {}} for name in names}
    for kind, schema, value, thing in sorted(rows):
        if schema not in result:
            continue
        if kind == "definer":
            result[schema]["definers"].setdefault(value, []).append(thing)
        elif value not in result[schema]["collations"]:
            result[schema]["collations"].append(value)
    return result


def account_text(name: bytes) -> str:
    """Return C(user@host) for an account as it stands in a definition, in backticks; a role has no host."""
    parts = [part.replace(b"``", b"`").decode("utf-8", "surrogateescape") for part in re.findall(rb"`((?:[^`]|``)*)`", name)]
    return "@".join(parts)


@dataclasses.dataclass
class Rewriting:
    """What to change in definitions. Empty, the text stays what it is."""

    words: dict[bytes, bytes] = dataclasses.field(default_factory=dict)
    """Collations and character sets, in lower case, to their replacements."""
    definers: set[str] = dataclasses.field(default_factory=set)
    """Accounts in whose place the one that imports takes."""
    modes: frozenset[str] = frozenset()
    """SQL modes to leave out."""
    nameless: bool = False
    """Whether to leave the name of the dumped database out."""

    def __bool__(self) -> bool:
        return bool(self.words or self.definers or self.modes or self.nameless)


class Text:
    """Reads the text of a dump piece by piece, notes C(facts), and passes it on with I(rewriting) applied to its definitions."""

    def __init__(self, rewriting: t.Optional[Rewriting] = None, keep: bool = True) -> None:
        """:arg keep: whether to return the text; without it only the facts are noted."""
        self.facts = Facts()
        self._rewriting = rewriting or Rewriting()
        self._keep = keep
        self._rest = b""
        self._in_rows = False
        self._in_body = False
        self._quote = b""
        """The quote or C(/*) that is open, in a body."""
        self._backslash = True
        self._ends_statement = False
        self._definer = ""

    def feed(self, piece: bytes) -> bytes:
        """Take the next I(piece) and return what is settled."""
        out: list[bytes] = []
        text = self._rest + piece if self._rest else piece
        position = 0
        while True:
            if self._in_rows:
                end = text.find(b";\n", position)
                if end < 0:
                    # a semicolon at the very end may be followed by the line break
                    stop = len(text) - (1 if text.endswith(b";") else 0)
                    if self._keep:
                        out.append(text[position:stop])
                    position = max(stop, position)
                    break
                if self._keep:
                    out.append(text[position:end + 2])
                position = end + 2
                self._in_rows = False
                continue
            end = text.find(b"\n", position)
            if not self._in_body and text.startswith(_ROWS, position):
                self._in_rows = True
                continue
            if end < 0:
                break
            out.append(self._definition(text[position:end + 1]))
            position = end + 1
        self._rest = text[position:]
        return b"".join(out) if self._keep else b""

    def close(self) -> bytes:
        """Return what is left at the end of the text."""
        rest, self._rest = self._rest, b""
        return rest if self._in_rows or not rest else self._definition(rest)

    def _definition(self, line: bytes) -> bytes:
        """Take one I(line) that holds no rows."""
        facts = self.facts
        if not self._in_body:
            # no string of a definition goes over a line break here, whatever was read before
            self._quote = b""
            if line.startswith(b"-- "):
                found = _VERSION.match(line)
                if found and not facts.server_version:
                    facts.server_version = found.group(1).decode("utf-8", "replace").strip()
                return line
            if line == b"DELIMITER ;;\n":
                self._in_body, self._ends_statement = True, False
                return line
            self._look_for_features(line)
        elif line == b"DELIMITER ;\n" and not self._quote and self._ends_statement:
            self._in_body, self._backslash = False, True
            return line
        alter = _ALTER.fullmatch(line) if not self._quote else None
        if alter:
            facts.names_itself = True
            line = alter.group(1) + alter.group(2) if self._rewriting.nameless else line
        if line.strip():
            # an event that is dumped by MySQL ends its section with lines that end like this one too
            self._ends_statement = line.rstrip().endswith(b";;")
        return self._rewritten(line)

    def _look_for_features(self, line: bytes) -> None:
        features = self.facts.features
        column = _COLUMN_TYPE.match(line)
        if column:
            features.setdefault(column.group(1).decode().lower(), f"a column of the type {column.group(1).decode()}")
        sequence = _SEQUENCE.match(line)
        if sequence:
            features.setdefault("sequence", f"the sequence {account_text(sequence.group(1))}")
        if _VERSIONING.match(line):
            features.setdefault("system versioning", "a table with system versioning")

    def _rewritten(self, line: bytes) -> bytes:
        out: list[bytes] = []
        position = 0
        while position < len(line):
            if self._quote:
                position = self._pass_quoted(line, position, out)
                continue
            token = _TOKEN.search(line, position)
            if token is None:
                break
            out.append(line[position:token.start()])
            position = token.end()
            if token.group("quote"):
                self._quote = token.group("quote")
                out.append(token.group())
            elif token.group("comment"):
                self._quote = b"/*"
                out.append(token.group())
            else:
                out.append(self._token(token))
        out.append(line[position:])
        return b"".join(out)

    def _pass_quoted(self, line: bytes, position: int, out: list[bytes]) -> int:
        if self._quote == b"/*":
            end = line.find(b"*/", position)
            end = end + 2 if end >= 0 else -1
        else:
            rule = _QUOTE_END if self._backslash and self._quote != b"`" else _PLAIN_END
            found = rule[self._quote].match(line, position)
            end = found.end() if found else -1
        if end < 0:
            out.append(line[position:])
            return len(line)
        out.append(line[position:end])
        self._quote = b""
        return end

    def _token(self, token: t.Match[bytes]) -> bytes:
        whole = token.group()
        facts, rewriting = self.facts, self._rewriting
        if token.group("definer"):
            account = account_text(token.group("account"))
            self._definer = account
            if account in rewriting.definers:
                return whole[:token.start("account") - token.start()] + b"CURRENT_USER"
            return whole
        if token.group("object"):
            if self._definer:
                name = token.group("name")
                shown = account_text(name) if name.startswith(b"`") else name.decode("utf-8", "replace")
                facts.add_definer(self._definer, f"{token.group('kind').decode().lower()} {shown}")
                self._definer = ""
            return whole
        if token.group("modes") is not None:
            modes = token.group("modes").decode("ascii").upper()
            self._backslash = "NO_BACKSLASH_ESCAPES" not in modes.split(",")
            facts.sql_modes.update(filter(None, modes.split(",")))
            kept = ",".join(mode for mode in modes.split(",") if mode not in rewriting.modes)
            return token.group("mode") + b"'" + kept.encode("ascii") + b"'" if kept != modes else whole
        for key, kind in (("collation", facts.collations), ("character_set", facts.character_sets)):
            word = token.group(key)
            if word:
                if word.upper() not in (b"DEFAULT", b"BINARY", b"NULL"):
                    kind.add(word.decode("ascii", "replace").lower())
                return whole[:len(whole) - len(word)] + rewriting.words.get(word.lower(), word)
        return rewriting.words.get(whole.lower(), whole)


# --- whether a server takes it ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Choices:
    """What the user said about dialects."""

    collations: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    definers: str = "refuse"
    accept_newer: bool = False


def parse_choices(collations: t.Optional[t.Mapping[str, t.Any]], definers: str, accept_newer: bool) -> Choices:
    """Return the user's choices. Raises C(database-collation-unknown) for words that are no names."""
    for word in [*(collations or {}), *(collations or {}).values()]:
        if not isinstance(word, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", word):
            raise SeafileError("database-collation-unknown", "collations", f"{word!r} is no name of a collation", "give collations as {old: new}")
    return Choices({old.lower(): new.lower() for old, new in (collations or {}).items()}, definers, accept_newer)


def version_of(text: str) -> tuple[int, ...]:
    """Return the first two numbers of a server's version, such as C((10, 11)); older clients put C(5.5.5-) in front of MariaDB's."""
    found = re.match(r"(?:5\.5\.5-)?(\d+)\.(\d+)", text)
    return (int(found.group(1)), int(found.group(2))) if found else ()


def _product(text: str) -> str:
    return ("MariaDB " if mysql_client.flavour_of(text) == mysql_client.MARIADB else "MySQL ") + re.sub(r"^5\.5\.5-(?=\d+\.)", "", text).partition("-")[0]


def newer(facts: Facts, version: str, what: str) -> t.Optional[SeafileError]:
    """Return the refusal of a dump from a newer server than the one of I(version), or None."""
    made = facts.server_version
    if not made or mysql_client.flavour_of(made) != mysql_client.flavour_of(version) or version_of(made) <= version_of(version):
        return None
    return SeafileError("database-server-older", what, f"it was made on {_product(made)}, and this server is {_product(version)}",
                        made_on=made, server_version=version)


def missing_features(facts: Facts, version: str, what: str) -> t.Optional[SeafileError]:
    """Return the refusal of a dump that holds what the server of I(version) does not have at all, or None."""
    mariadb = mysql_client.flavour_of(version) == mysql_client.MARIADB
    of_mariadb = not facts.server_version or mysql_client.flavour_of(facts.server_version) == mysql_client.MARIADB
    if not of_mariadb:
        return None
    lacking = [where for key, where in sorted(facts.features.items()) if not mariadb or version_of(version) < _FEATURES[key]]
    return SeafileError("database-feature-missing", what, f"it holds {', '.join(lacking)}, which {_product(version)} does not have") if lacking else None


_PROPOSALS = (
    # binary and case sensitive ones first: their names hold what the others look for
    (re.compile(r"(\w+?)_(?:0900|uca1400\w*?)_bin|(\w+?)_nopad_bin"), ("{0}_bin",)),
    (re.compile(r"(utf8mb\d|utf8)_(?:\w+_)?(?:0900|uca1400)\w*_as_cs"), ("{0}_0900_as_cs", "{0}_uca1400_as_cs", "{0}_bin")),
    (re.compile(r"(utf8mb\d|utf8)_(?:\w+_)?(?:0900|uca1400)\w*_as_ci"), ("{0}_0900_as_ci", "{0}_uca1400_as_ci", "{0}_unicode_520_ci", "{0}_unicode_ci")),
    (re.compile(r"(utf8mb\d|utf8)_(?:\w+_)?(?:0900|uca1400)\w*"), ("{0}_0900_ai_ci", "{0}_uca1400_ai_ci", "{0}_unicode_520_ci", "{0}_unicode_ci")),
    (re.compile(r"utf8mb3_(\w+)"), ("utf8_{0}",)),
    (re.compile(r"utf8_(\w+)"), ("utf8mb3_{0}",)),
    (re.compile(r"(\w+?)_nopad_(\w*ci)"), ("{0}_{1}",)),
    (re.compile(r"([a-z0-9]+)_\w+_cs"), ("{0}_bin",)),
    (re.compile(r"([a-z0-9]+)_\w+"), ("{0}_unicode_520_ci", "{0}_unicode_ci", "{0}_general_ci")),
    (re.compile(r"utf8mb3"), ("utf8",)),
    (re.compile(r"utf8"), ("utf8mb3",)),
)


def candidates(word: str) -> list[str]:
    """Return what could stand for the collation or character set I(word) on a server that lacks it, the nearest first."""
    found: list[str] = []
    for pattern, forms in _PROPOSALS:
        match = pattern.fullmatch(word)
        if match:
            groups = [group for group in match.groups() if group is not None]
            found += [form.format(*groups) for form in forms]
    return [name for name in dict.fromkeys(found) if name != word]


def _expression(word: str, is_collation: bool) -> str:
    if not is_collation:
        return f"CONVERT('' USING {word})"
    character_set = word.partition("_")[0]
    return f"CONVERT('' USING {character_set}) COLLATE {word}" if character_set != "binary" else "BINARY ''"


def unknown_words(client: Client, words: t.Iterable[str], is_collation: bool) -> list[str]:
    """Return those of the collations or character sets I(words) that the server does not know."""
    expressions = {word: _expression(word, is_collation) for word in sorted(set(words))}

    def known(parts: t.Iterable[str]) -> bool:
        try:
            client.query(f"SELECT {', '.join(parts)}")
        except SeafileError as error:
            if error.code != "database-collation-unknown" and error.details.get("error_number") != 1253:
                raise
            return False
        return True

    if not expressions or known(expressions.values()):
        return []
    return [word for word, expression in expressions.items() if not known([expression])]


def collation_problem(client: Client, facts: Facts, choices: Choices, what: str) -> t.Optional[SeafileError]:
    """Return the refusal of a dump with collations or character sets that the server lacks and I(choices) do not map, or None.

    The next step names a replacement for each that the server has.
    """
    lacking: list[str] = []
    proposals: dict[str, str] = {}
    for words, is_collation in ((facts.collations, True), (facts.character_sets, False)):
        for word in unknown_words(client, {choices.collations.get(word, word) for word in words}, is_collation):
            lacking.append(word)
            possible = candidates(word)
            unknown = set(unknown_words(client, possible, is_collation))
            better = next((name for name in possible if name not in unknown), None)
            for old in [old for old, new in choices.collations.items() if new == word] or [word]:
                if better:
                    proposals[old] = better
    if not lacking:
        return None
    given = ", ".join(f"{old}: {new}" for old, new in sorted(proposals.items()))
    next_step = (f"give collations={{{given}}} (restore_collations) to have these words replaced in all definitions; two names that differ only in ways "
                 "that the new collation does not tell apart would then collide") if given else None
    return SeafileError("database-collation-unknown", what, f"the server does not know {', '.join(lacking)}", next_step, unknown=lacking, proposals=proposals)


def accounts_there(client: Client) -> t.Optional[set[str]]:
    """Return all accounts and roles of the server, C(user@host) (a role without C(@)); None when this account may not read them."""
    try:
        return {f"{user}@{host}" if host else user for user, host in client.query("SELECT user, host FROM mysql.user", what="table mysql.user")}
    except SeafileError as error:
        if error.code != "database-privilege-missing":
            raise
        return None


def missing_definers(facts: Facts, there: t.Optional[set[str]]) -> dict[str, list[str]]:
    """Return those definers of I(facts), with what they define, that are not among the accounts I(there)."""
    return {} if there is None else {account: things for account, things in sorted(facts.definers.items()) if account.rstrip("@") not in there}


def definer_problem(missing: t.Mapping[str, t.Sequence[str]], what: str) -> t.Optional[SeafileError]:
    """Return the refusal of a dump whose definers are I(missing), or None."""
    if not missing:
        return None
    named = "; ".join(f"{account}, which defines {', '.join(things[:5])}{f' and {len(things) - 5} more' if len(things) > 5 else ''}"
                      for account, things in missing.items())
    return SeafileError("database-definer-missing", what, f"the server has no account {named}",
                        definers={name: list(things) for name, things in missing.items()})


def mode_problem(client: Client, facts: Facts, what: str) -> tuple[t.Optional[SeafileError], frozenset[str]]:
    """Return the refusal of a dump whose bodies need SQL modes that the server lacks, or None; and the modes that may be left out."""
    unknown = []
    for mode in sorted(facts.sql_modes):
        try:
            client.query(f"SET SESSION sql_mode = {literal(mode)}")
        except SeafileError as error:
            if error.details.get("error_number", 1231) != 1231:
                raise
            unknown.append(mode)
    refused = [mode for mode in unknown if mode not in DROPPED_MODES]
    problem = SeafileError("database-sql-mode-unknown", what, f"its triggers or routines need the sql_mode {', '.join(refused)}, which the server does not know"
                           ) if refused else None
    return problem, frozenset(unknown) & DROPPED_MODES


def table_name_problem(client: Client, tables: t.Iterable[str], what: str) -> t.Optional[SeafileError]:
    """Return the refusal of a dump whose tables would get other names by the server's C(lower_case_table_names), or None."""
    tables = set(tables)
    setting = client.value("@@lower_case_table_names")
    upper = sorted(table for table in tables if table != table.lower())
    if setting != "0" and upper:
        return SeafileError("database-table-names", what,
                            f"its tables have names such as {upper[0]}, and the server (lower_case_table_names={setting}) does not keep upper case")
    lowered = sorted(name for name in ("branch", "repo", "emailuser", "groupuser") if name in tables)
    if setting == "0" and lowered and not upper:
        return SeafileError("database-table-names", what, f"its tables have lost their upper case ({lowered[0]}), so that Seafile would not find them on "
                            "this server (lower_case_table_names=0)")
    return None


def privilege_problem(client: Client, names: t.Sequence[str], kinds: t.Iterable[str], replaced: t.Collection[str], account: t.Optional[str]
                      ) -> t.Optional[SeafileError]:
    """Return the refusal of an account that may not create the databases I(names) from dumps, with all that it lacks, or None.

    :arg kinds: what the dumps hold beside tables: keys of :data:`OBJECT_PRIVILEGES`.
    :arg replaced: those of I(names) that are there and will be dumped before they are replaced.
    :arg account: Seafile's own database account, which must be made or be granted its databases; None when nobody knows it.
    """
    own = mysql_schema.own_account(client)
    if own is None:
        return None
    needed = list(dict.fromkeys([*IMPORT_PRIVILEGES, *(privilege for kind in kinds for privilege in OBJECT_PRIVILEGES.get(kind, ()))]))
    lacking = {name: mysql_schema.missing_privileges(
        client, own, name, list(dict.fromkeys([*needed, *(mysql_schema.DUMP_PRIVILEGES if name in replaced else ())]))) for name in names}
    words = [f"{', '.join(privileges)} on {name}" for name, privileges in lacking.items() if privileges]
    grants = {name: f"GRANT {', '.join(privileges)} ON {_pattern(name)} TO {own}" for name, privileges in lacking.items() if privileges}
    there = accounts_there(client) if account is not None else None
    # an account that may not look is believed: the import tells in time what it lacks
    makes_account = there is not None and all(entry.rpartition("@")[0] != account for entry in there)
    if makes_account and mysql_schema.missing_privileges(client, own, "", ("CREATE USER",)):
        words.append(f"CREATE USER, needed to make Seafile's account {account}")
        grants[""] = f"GRANT CREATE USER ON *.* TO {own}"
    if makes_account and not _may_grant(client, own, names):
        words.append("GRANT OPTION, needed to give Seafile's account its databases")
        grants.update({name: f"GRANT ALL PRIVILEGES ON {_pattern(name)} TO {own} WITH GRANT OPTION" for name in names})
    if not words:
        return None
    return SeafileError("database-privilege-missing", f"database account {client.login.user}", f"it lacks {'; '.join(words)}",
                        f"as an administrator: {'; '.join(grants.values())}; or give the login of an account that may do it (restore_db_login_user)",
                        privileges=lacking)


def _pattern(name: str) -> str:
    return identifier(mysql_client.grant_pattern(name)) + ".*"


def _may_grant(client: Client, own: str, names: t.Sequence[str]) -> bool:
    """Whether the account I(own) may give others what it has on each of I(names)."""
    rows = client.query(
        f"SELECT '' FROM information_schema.user_privileges WHERE grantee = {literal(own)} AND is_grantable = 'YES' LIMIT 1",
        *(f"SELECT {literal(name)} FROM information_schema.schema_privileges WHERE grantee = {literal(own)} AND is_grantable = 'YES' "
          f"AND {literal(name)} LIKE table_schema LIMIT 1" for name in names))
    found = {row[0] for row in rows}
    return "" in found or set(names) <= found
