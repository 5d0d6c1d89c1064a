# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socketserver
import threading

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import seahub_cache
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import EnvironmentFile, SeahubSettings
from ansible_collections.seafleet.seafile.plugins.module_utils.seahub_cache import FILES, MEMCACHED, REDIS, Cache

MEMCACHED_SETTING = """
CACHES = {
    'default': {
        'BACKEND': 'django_pylibmc.memcached.PyLibMCCache',
        'LOCATION': '10.0.0.5:11311',
    },
    'locmem': {'BACKEND': 'django.core.cache.backends.locmem.LocMemCache'},
}
COMPRESS_CACHE_BACKEND = 'locmem'
"""
REDIS_SETTING = """
CACHES = {'default': {'BACKEND': 'django_redis.cache.RedisCache', 'LOCATION': 'redis://:p%40ss@cache.example.org:6380/3',
                      'OPTIONS': {'CLIENT_CLASS': 'django_redis.client.DefaultClient'}}}
"""
NEWER = b"CACHE_PROVIDER=redis # or memcached\nREDIS_HOST=redis\nREDIS_PORT=6379\nREDIS_PASSWORD='se cret'\nMEMCACHED_HOST=memcached\n"


def named(settings="", environment=b""):
    env = EnvironmentFile(".env", environment)
    return seahub_cache.named(SeahubSettings("seahub_settings.py", settings.encode(), env).plain("CACHES"), env)


@pytest.mark.parametrize("settings, environment, expected", [
    ("", b"", [Cache(FILES, "/tmp/seahub_cache")]),
    (MEMCACHED_SETTING, b"", [Cache(MEMCACHED, "10.0.0.5", 11311)]),
    ("CACHES = {'default': {'BACKEND': 'x.memcached.y', 'LOCATION': ['one', 'two:1', 'unix:/run/m.sock']}}", b"",
     [Cache(MEMCACHED, "one", 11211), Cache(MEMCACHED, "two", 1), Cache(MEMCACHED, "/run/m.sock")]),
    (REDIS_SETTING, b"", [Cache(REDIS, "cache.example.org", 6380, "p@ss", 3)]),
    ("", NEWER, [Cache(REDIS, "redis", 6379, "se cret")]),
    ("", b"CACHE_PROVIDER=memcached\n", [Cache(MEMCACHED, "memcached", 11211)]),
    ("CACHES = {'default': {'BACKEND': 'django.core.cache.backends.filebased.FileBasedCache', 'LOCATION': '/var/cache/seahub'}}", b"",
     [Cache(FILES, "/var/cache/seahub")]),
    # nothing that could be taken for a cache, and no guess either
    ("CACHES = {'default': {'BACKEND': 'redis', 'LOCATION': 'redis://host:port/'}}", b"", []),
    ("CACHES = {'default': {'BACKEND': 'django.core.cache.backends.locmem.LocMemCache'}}", b"", []),
])
def test_the_caches_are_those_of_seafiles_configuration(settings, environment, expected):
    assert named(settings, environment) == expected


def test_a_password_is_in_no_name():
    assert "p@ss" not in named(REDIS_SETTING)[0].name


def test_only_djangos_own_files_go(tmp_path):
    (tmp_path / f"{'a' * 32}.djcache").write_text("x")
    (tmp_path / "important").write_text("x")
    cache = Cache(FILES, str(tmp_path))
    assert seahub_cache.clear(cache, False) == 1 == seahub_cache.clear(cache, True) and seahub_cache.clear(cache, True) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["important"]
    assert seahub_cache.clear(Cache(FILES, str(tmp_path / "absent")), True) == 0


class _Answering(socketserver.StreamRequestHandler):
    """Stands in for a cache: notes each line, answers as the server's script says."""

    def handle(self):
        for line in self.rfile:
            self.server.lines.append(line.strip())
            self.wfile.write(self.server.answers.get(line.strip(), b""))


@pytest.fixture(name="serve")
def _serve():
    servers = []

    def serve(answers):
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Answering)
        server.answers, server.lines, server.daemon_threads = answers, [], True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return server

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_memcached_is_emptied_when_it_holds_something_and_not_in_check_mode(serve):
    server = serve({b"stats": b"STAT pid 1\r\nSTAT curr_items 7\r\nEND\r\n", b"flush_all": b"OK\r\n"})
    cache = Cache(MEMCACHED, *server.server_address)
    assert seahub_cache.clear(cache, False) == 7 and server.lines == [b"stats"]
    assert seahub_cache.clear(cache, True) == 7 and server.lines == [b"stats"] * 2 + [b"flush_all"]


def test_only_the_configured_database_of_redis_is_emptied(serve):
    server = serve({b"p@ss": b"+OK\r\n", b"3": b"+OK\r\n", b"DBSIZE": b":2\r\n", b"FLUSHDB": b"+OK\r\n"})
    cache = Cache(REDIS, *server.server_address, "p@ss", 3)
    assert seahub_cache.clear(cache, True) == 2
    assert server.lines == [b"*2", b"$4", b"AUTH", b"$4", b"p@ss", b"*2", b"$6", b"SELECT", b"$1", b"3", b"*1", b"$6", b"DBSIZE", b"*1", b"$7", b"FLUSHDB"]


@pytest.mark.parametrize("kind, answers", [
    (MEMCACHED, {b"stats": b"END\r\n"}),
    (MEMCACHED, {b"stats": b"STAT curr_items many\r\nEND\r\n"}),
    (MEMCACHED, {b"stats": b"STAT curr_items 7\r\nEND\r\n", b"flush_all": b"CLIENT_ERROR\r\n"}),
    (REDIS, {b"p@ss": b"-WRONGPASS p@ss\r\n"}),
    (REDIS, {b"p@ss": b"+OK\r\n", b"0": b"+OK\r\n", b"DBSIZE": b"+?\r\n"}),
])
def test_a_cache_that_answers_otherwise_is_told_without_its_words(serve, kind, answers):
    with pytest.raises(seahub_cache.Unreachable) as caught:
        seahub_cache.clear(Cache(kind, *serve(answers).server_address, "p@ss" if kind == REDIS else ""), True)
    assert "p@ss" not in str(caught.value)


def test_a_cache_that_is_not_there_is_told():
    with pytest.raises(seahub_cache.Unreachable, match="refused"):
        seahub_cache.clear(Cache(MEMCACHED, "127.0.0.1", 1), True)
