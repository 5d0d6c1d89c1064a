# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment's move to another directory and address, as a replacement of words in texts. Pure functions.

Words are bounded: C(/opt/haiwen) is not in C(/opt/haiwen2), and C(files.example.org) is neither in
C(backup-files.example.org) nor in C(files.example.org.uk).
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t
import urllib.parse

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SOCKETS = {"ws": "http", "wss": "https"}
"""Web sockets go where pages go."""
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\Z")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*\Z")
_ROOT = re.compile(r"/[\w./@+,:~-]*\Z")
"""Such a path means the same in every syntax of the configuration files, with and without quotes."""


@dataclasses.dataclass(frozen=True)
class Address:
    """Where people reach a Seafile server, the C(SERVICE_URL)."""

    scheme: str
    host: str
    """In lower case, as a browser sends it (punycode); IPv6 in brackets."""
    port: t.Optional[int]
    """None for the scheme's own."""
    path: str
    """Without a slash at its end; mostly empty."""

    @property
    def netloc(self) -> str:
        """Host, and port where it is not the scheme's own."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """The URL without its path."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def url(self) -> str:
        """The whole URL, without a slash at its end."""
        return self.origin + self.path

    @property
    def is_distinct(self) -> bool:
        """Whether the host means this server wherever it stands: a full name or an address, not C(localhost) or C(seafile)."""
        try:
            number = ipaddress.ip_address(self.host)
        except ValueError:
            return "." in self.host and not self.host.endswith((".localhost", ".localdomain"))
        return not (number.is_loopback or number.is_unspecified)


def parse_address(text: str) -> t.Optional[Address]:
    """Return the address in the URL I(text), or None when it is none that Seafile could be reached by."""
    if not text.strip().isprintable():
        return None  # what follows would drop line breaks
    try:
        parts = urllib.parse.urlsplit(text.strip())
        host, port = (parts.hostname or ""), parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    path = parts.path.rstrip("/")
    if scheme not in _DEFAULT_PORTS or parts.username is not None or parts.query or parts.fragment or not _PATH.match(path):
        return None
    if ":" in host:
        try:
            host = f"[{ipaddress.IPv6Address(host)}]"
        except ValueError:
            return None
    else:
        host = _ascii(host)
        if not _NAME.match(host) or len(host) > 253:
            return None
    return Address(scheme, host, None if port in (None, _DEFAULT_PORTS[scheme]) else port, path)


def _ascii(host: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""


def _unicode(host: str) -> str:
    """The host as people write it."""
    try:
        return host.encode("ascii").decode("idna")
    except UnicodeError:
        return host


def require_address(text: str, option: str) -> Address:
    """Return the address in I(text).

    :raises SeafileError: C(place-url-invalid).
    """
    address = parse_address(text)
    if address is None:
        raise SeafileError("place-url-invalid", f"{option} {text}", "it is no address that people could reach Seafile by")
    return address


def require_root(path: str, option: str) -> str:
    """Return the directory I(path) in its plain form.

    :raises SeafileError: C(path-invalid) when it cannot stand in every configuration file as it is.
    """
    plain = re.sub(r"/+", "/", path).rstrip("/")
    if not _ROOT.match(plain) or ".." in plain.split("/") or "." in plain.split("/"):
        raise SeafileError("path-invalid", f"{option} {path}", "it is not absolute, or holds characters that mean something in configuration files",
                           "choose a path of letters, digits and ._-/")
    return plain


class Span(t.NamedTuple):
    """A piece of a text and what stands in its place afterwards."""

    start: int
    end: int
    text: str


class Move:
    """What is replaced: the old directory and the old addresses by the new ones.

    :arg from_root: the directory before, None or equal to I(to_root) when it stays.
    :arg old: the addresses before; those with the new host and scheme change nothing.
    :arg new: the address now, None when it stays.
    """

    def __init__(self, from_root: t.Optional[str], to_root: str, old: t.Iterable[Address] = (), new: t.Optional[Address] = None) -> None:
        self.from_root = from_root if from_root and from_root != to_root else None
        self.to_root = to_root
        self.new = new
        self.old = [address for address in dict.fromkeys(old) if new is not None and address.url != new.url]
        self._distinct = {address.host for address in self.old if address.is_distinct and new is not None and address.host != new.host}
        roots = {to_root} | ({self.from_root} if self.from_root else set())
        # the new directory is found too, so that nothing in it is taken for the old one or for the old host
        self._path = re.compile(r"(?:(?<![\w.~/})-])|(?<=://))(?:" + "|".join(re.escape(root) for root in sorted(roots, key=len, reverse=True))
                                + r")(?![\w-])(?!\.\w)")
        hosts = {address.host for address in self.old}
        self._url = _pattern(r"(?<![\w+.-])(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<user>[^\s/@'\"<>]*@)?(?P<host>%s)(?P<port>:[0-9]+)?(?![\w:-])(?!\.\w)", hosts)
        self._host = _pattern(r"(?<![\w-])(?<![\w-]\.)(?P<host>%s)(?P<port>:[0-9]+)?(?![\w-])(?!\.\w)", self._distinct)
        self._loose = _pattern("%s", self._distinct)

    @property
    def urls(self) -> dict[str, str]:
        """Old URL -> new URL."""
        return {address.url: self.new.url for address in self.old} if self.new else {}

    @property
    def hosts(self) -> list[str]:
        """The old hosts that must not be found any more."""
        return sorted(self._distinct)

    @property
    def is_empty(self) -> bool:
        """Whether nothing moves."""
        return self.from_root is None and not self.old

    def spans(self, text: str) -> list[Span]:
        """Return what is to be replaced in I(text), in order, without overlaps."""
        taken: list[Span] = []
        covered = bytearray(len(text))
        for pattern, replace in ((self._path, self._new_path), (self._url, self._new_url), (self._host, self._new_host)):
            for found in pattern.finditer(text) if pattern is not None else ():
                span = replace(found, text)
                if span is not None and not any(covered[span.start:span.end]):
                    taken.append(span)
                    covered[span.start:span.end] = b"\1" * (span.end - span.start)
        return sorted(span for span in taken if text[span.start:span.end] != span.text)

    def replaced(self, text: str) -> str:
        """Return I(text) with everything replaced."""
        return apply(text, self.spans(text))

    def moved_path(self, path: str) -> t.Optional[str]:
        """Return where the absolute I(path) is now, None when it does not lie in the old directory."""
        if self.from_root is None or path == self.to_root or path.startswith(self.to_root + "/"):
            return None
        if path == self.from_root or path.startswith(self.from_root + "/"):
            return self.to_root + path[len(self.from_root):]
        return None

    def file_server(self, value: str) -> str:
        """Return the C(FILE_SERVER_ROOT) that stands for I(value): also when the old host was no more than C(127.0.0.1)."""
        parsed = parse_address(value)
        if parsed is None or self.new is None or parsed.host not in {address.host for address in self.old}:
            return self.replaced(value)
        if parsed.path.endswith("/seafhttp"):
            return self.new.origin + "/seafhttp"
        return dataclasses.replace(parsed, host=self.new.host).url

    def remains(self, text: str) -> list[str]:
        """Return the words in I(text) that hold the old directory or an old host, sorted: what was not replaced, or is another host."""
        found = [_around(text, match.start(), match.end(), ".-") for match in self._loose.finditer(text)] if self._loose else []
        if self.from_root and not self.to_root.startswith(self.from_root):
            found += [_around(text, match.start(), match.end(), "./~-") for match in re.finditer(re.escape(self.from_root), text)]
        return sorted(set(found))

    def _new_path(self, found: t.Match[str], dummy: str) -> Span:
        return Span(found.start(), found.end(), self.to_root)

    def _new_url(self, found: t.Match[str], text: str) -> t.Optional[Span]:
        scheme, host = found.group("scheme").lower(), _ascii(found.group("host"))
        page = _SOCKETS.get(scheme, scheme)
        port = int(found.group("port")[1:]) if found.group("port") else _DEFAULT_PORTS.get(page)
        user = found.group("user") or ""
        same = [address for address in self.old
                if (address.scheme, address.host, address.port or _DEFAULT_PORTS[address.scheme]) == (page, host, port)]
        if same:
            new_scheme = scheme if self.new.scheme == page else "wss" if scheme == "ws" else "ws" if scheme == "wss" else self.new.scheme
            end = found.end()
            text_now = f"{new_scheme}://{user}{self.new.netloc}"
            for address in sorted(same, key=lambda address: -len(address.path)):
                after = text[end + len(address.path):end + len(address.path) + 1]
                if address.path and text.startswith(address.path, end) and not re.match(r"[\w.~-]", after):
                    return Span(found.start(), end + len(address.path), text_now + self.new.path)
                if not address.path and self.new.path and not re.match(r"/\S", text[end:end + 2]) and text[found.start():end] == address.url:
                    return Span(found.start(), end, text_now + self.new.path)
            return Span(found.start(), end, text_now)
        if host not in self._distinct:
            return None
        return Span(found.start("host"), found.end("host"), self.new.host)

    def _new_host(self, found: t.Match[str], dummy: str) -> Span:
        host, port = _ascii(found.group("host")), found.group("port")
        if port and any(address.host == host and f":{address.port}" == port for address in self.old):
            return Span(found.start(), found.end(), self.new.netloc)
        return Span(found.start("host"), found.end("host"), self.new.host)


def _around(text: str, start: int, end: int, joints: str) -> str:
    """Return the word of letters, digits and I(joints) around a place, with at most 100 characters on each side."""
    first, last = start, end
    while first > max(0, start - 100) and (text[first - 1].isalnum() or text[first - 1] in "_" + joints):
        first -= 1
    while last < min(len(text), end + 100) and (text[last].isalnum() or text[last] in "_" + joints):
        last += 1
    return text[first:last].strip(".")


def _pattern(form: str, hosts: t.Collection[str]) -> t.Optional[t.Pattern[str]]:
    words = set(hosts) | {_unicode(host) for host in hosts}
    if not words:
        return None
    return re.compile(form % "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)), re.IGNORECASE)


def apply(text: str, spans: t.Iterable[Span]) -> str:
    """Return I(text) with I(spans), which do not overlap, replaced."""
    result, position = [], 0
    for span in sorted(spans):
        result += [text[position:span.start], span.text]
        position = span.end
    return "".join(result) + text[position:]
