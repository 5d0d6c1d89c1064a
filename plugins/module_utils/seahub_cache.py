# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Seahub remembers between two pages, and forgetting it: after a restore it tells of users and libraries that are no more.

Where it is: up to version 11 C(CACHES) in seahub_settings.py (without it files in /tmp/seahub_cache), from 12 on C(CACHE_PROVIDER) and the
names beside it in .env.
"""

from __future__ import annotations

import contextlib
import os
import socket
import typing as t
import urllib.parse

from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import EnvironmentFile, SeahubSettings, read_configuration

FILES, MEMCACHED, REDIS = "files", "memcached", "redis"
KINDS = (FILES, MEMCACHED, REDIS)
DEFAULT_DIRECTORY = "/tmp/seahub_cache"
SUFFIX = ".djcache"
"""Of every file of Django's file-based cache (django/core/cache/backends/filebased.py)."""
_PORTS = {MEMCACHED: 11211, REDIS: 6379}
_SECONDS = 5.0
_MOST_ANSWER = 1 << 20


class Cache(t.NamedTuple):
    """One cache.

    :arg place: directory, host, or path of a Unix socket.
    :arg number: of the database in Redis.
    """

    kind: str
    place: str
    port: int = 0
    password: str = ""
    number: int = 0

    @property
    def name(self) -> str:
        """In words, without the password."""
        return self.place if self.kind == FILES or self.place.startswith("/") else f"{self.kind} at {self.place}:{self.port}"


class Unreachable(Exception):
    """A cache did not answer as it should; the text says how."""


def find(root: str) -> list[Cache]:
    """Return the caches of the deployment at I(root).

    :raises SeafileError: when its configuration cannot be read.
    """
    configuration = read_configuration(root)
    conf = root if configuration.layout == "classic" else os.path.join(root, "conf")
    path = os.path.join(root, "conf", ".env")
    environment = EnvironmentFile(path, _content(path))
    path = os.path.join(conf, "seahub_settings.py")
    return named(SeahubSettings(path, _content(path), environment).plain("CACHES"), environment)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return b""


def named(settings: t.Any, environment: EnvironmentFile) -> list[Cache]:
    """Return the caches that the value of C(CACHES) and .env name; the one that Seahub takes without either."""
    found = []
    for entry in settings.values() if isinstance(settings, dict) else ():
        found += _of_setting(entry) if isinstance(entry, dict) else []
    provider = (environment.get("CACHE_PROVIDER") or "").strip().lower()
    if provider in (MEMCACHED, REDIS):
        prefix = provider.upper()
        port = environment.get(f"{prefix}_PORT") or ""
        found.append(Cache(provider, environment.get(f"{prefix}_HOST") or provider, int(port) if port.isdigit() else _PORTS[provider],
                           environment.get("REDIS_PASSWORD") or "" if provider == REDIS else ""))
    if not found and not settings:
        found.append(Cache(FILES, DEFAULT_DIRECTORY))
    return list(dict.fromkeys(found))


def _of_setting(entry: t.Mapping[str, t.Any]) -> list[Cache]:
    backend, location = str(entry.get("BACKEND", "")).lower(), entry.get("LOCATION")
    places = [place for place in (location if isinstance(location, list) else [location]) if isinstance(place, str) and place]
    if "filebased" in backend:
        return [Cache(FILES, place) for place in places]
    if "memcached" in backend:
        return [_memcached(place) for place in places]
    if "redis" in backend:
        return [cache for cache in map(_redis, places) if cache]
    return []


def _memcached(place: str) -> Cache:
    place = place[5:] if place.startswith("unix:") else place
    host, colon, port = place.rpartition(":")
    if place.startswith("/"):
        return Cache(MEMCACHED, place)
    return Cache(MEMCACHED, host, int(port)) if colon and port.isdigit() else Cache(MEMCACHED, place, _PORTS[MEMCACHED])


def _redis(place: str) -> Cache | None:
    try:
        parts = urllib.parse.urlsplit(place)
        port, number = parts.port or _PORTS[REDIS], parts.path.strip("/")
    except ValueError:
        return None
    if parts.scheme != "redis" or not parts.hostname:
        return None
    return Cache(REDIS, parts.hostname, port, urllib.parse.unquote(parts.password or ""), int(number) if number.isdigit() else 0)


def clear(cache: Cache, act: bool) -> int:
    """Empty I(cache); return how many entries it had.

    :arg act: otherwise only count.
    :raises Unreachable: it did not answer as it should.
    """
    try:
        if cache.kind == FILES:
            return _clear_files(cache.place, act)
        with contextlib.closing(_connect(cache)) as connection, connection.makefile("rwb") as stream:
            return (_clear_memcached if cache.kind == MEMCACHED else _clear_redis)(cache, t.cast(t.IO[bytes], stream), act)
    except OSError as error:
        raise Unreachable(error.strerror or str(error)) from None
    except ValueError:
        raise Unreachable("it gave an answer that none should give") from None


def _clear_files(directory: str, act: bool) -> int:
    """Remove Django's files, and nothing else: what the directory is called is anybody's choice."""
    try:
        names = [name for name in os.listdir(directory) if name.endswith(SUFFIX)]
    except (FileNotFoundError, NotADirectoryError):
        return 0
    if act:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, name))
    return len(names)


def _connect(cache: Cache) -> socket.socket:
    if not cache.place.startswith("/"):
        return socket.create_connection((cache.place, cache.port), _SECONDS)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_SECONDS)
    connection.connect(cache.place)
    return connection


def _send(stream: t.IO[bytes], line: bytes) -> None:
    stream.write(line)
    stream.flush()


def _clear_memcached(dummy: Cache, stream: t.IO[bytes], act: bool) -> int:
    """The text protocol (protocol.txt of memcached): C(stats), C(flush_all)."""
    _send(stream, b"stats\r\n")
    count = None
    for unused in range(1000):
        words = stream.readline(_MOST_ANSWER).split()
        if words[:2] == [b"STAT", b"curr_items"]:
            count = int(words[2])
        if words == [b"END"]:
            break
    if count is None:
        raise Unreachable("it does not speak memcached's text protocol")
    if act and count:
        _send(stream, b"flush_all\r\n")
        if stream.readline(_MOST_ANSWER).strip() != b"OK":
            raise Unreachable("it refused to be emptied")
    return count


def _clear_redis(cache: Cache, stream: t.IO[bytes], act: bool) -> int:
    """Redis' protocol (RESP): C(AUTH), C(SELECT), C(DBSIZE), C(FLUSHDB)."""
    if cache.password:
        _ask_redis(stream, b"AUTH", cache.password.encode("utf-8", "surrogateescape"))
    _ask_redis(stream, b"SELECT", str(cache.number).encode("ascii"))
    count = int(_ask_redis(stream, b"DBSIZE"))
    if act and count:
        _ask_redis(stream, b"FLUSHDB")
    return count


def _ask_redis(stream: t.IO[bytes], *words: bytes) -> bytes:
    _send(stream, b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
    answer = stream.readline(_MOST_ANSWER).strip()
    if answer[:1] not in (b"+", b":"):
        # what it says may repeat what was sent
        raise Unreachable(f"it refused {words[0].decode('ascii')}")
    return answer[1:]
