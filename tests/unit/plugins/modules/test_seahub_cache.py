# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import types

from ansible_collections.seafleet.seafile.plugins.modules import seahub_cache
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets


def test_what_is_configured_is_emptied_and_what_is_not_asked_for_or_does_not_answer_is_told(tmp_path):
    haiwen = real_sets.unpack("seafile-11-sqlite", tmp_path)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "abc.djcache").write_text("x")
    with open(haiwen / "conf" / "seahub_settings.py", "a", encoding="utf-8") as stream:
        stream.write(f"\nCACHES = {{'default': {{'BACKEND': 'filebased', 'LOCATION': '{cache}'}},"
                     " 'a': {'BACKEND': 'memcached', 'LOCATION': '127.0.0.1:1'}, 'b': {'BACKEND': 'redis', 'LOCATION': 'redis://:x@localhost/1'}}\n")

    def run(check_mode):
        return seahub_cache.forget(types.SimpleNamespace(check_mode=check_mode, params={"seafile_root": str(haiwen), "kinds": ["files", "memcached"]}))

    told = run(True)
    assert told["changed"] and told["caches"] == [{"kind": "files", "name": str(cache), "entries": 1}] and list(cache.iterdir())
    assert [note.split(" was ")[0] for note in told["notes"]] == ["memcached at 127.0.0.1:1", "redis at localhost:6379"]
    assert run(False) == told and not list(cache.iterdir())
    assert run(False) == {**told, "changed": False, "caches": []}
