# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import shlex
import subprocess

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import restore_guide
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, encode_name

ODD = ["plain", "with space", "quo'te", 'dou"ble', "back`tick", "dol$(touch x)lar", "-dash", "b\\s", "\u00fc", "{brace}", "semi;colon", "a&b", "*?"]


def mysql(name, **more):
    return dict({"name": name, "role": "seafile", "engine": "mysql", "file": encode_name(name) + ".sql.gz", "sha256": "0" * 64}, **more)


def manifest(databases, **seafile):
    return {"server": "server1", "set_id": "20261123T030000Z", "databases": databases, "seafile": seafile}


def blocks(text):
    """The commands of the guide, as a person copies them."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def run(script, tmp_path):
    """Run I(script) where every program only tells its arguments, in a file of its own, NUL behind each."""
    programs, told = tmp_path / "bin", tmp_path / "told"
    programs.mkdir()
    told.mkdir()
    for name in ("mariadb", "sqlite3", "rsync", "chown", "chmod", "mkdir", "sha256sum", "gunzip", "zstd"):
        (programs / name).write_text(
            f'#!/bin/sh\nprintf "%s\\0" {name} "$@" > "{told}/$$"\n'
            + (f'cat >> "{tmp_path}/input"\n' if name == "mariadb" else ""))
        (programs / name).chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    pipe = subprocess.PIPE
    done = subprocess.run(["sh", "-c", script], stdout=pipe, stderr=pipe, stdin=subprocess.DEVNULL, cwd=tmp_path, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr
    return [path.read_text(encoding="utf-8").split("\0")[:-1] for path in told.iterdir()]


@pytest.mark.parametrize("name", ODD)
def test_any_name_of_database_server_and_directory_reaches_the_programs_unchanged(name, tmp_path):
    layout = ServerLayout(str(tmp_path / name), "server1")
    os.makedirs(layout.sealed("20261123T030000Z"))
    target = str(tmp_path / "target" / name)
    text = restore_guide.render(manifest([mysql(name)], root=target, storage_path=f"{name}/storage", owner={"user": name, "group": name}), layout)
    calls = run(blocks(text), tmp_path)
    dump = f"{layout.root}/sets/20261123T030000Z/databases/{encode_name(name)}.sql.gz"
    assert ["gunzip", "-c", dump] in calls
    assert ["mariadb", "--default-character-set=utf8mb4", "--max-allowed-packet=1G", f"--database={name}"] in calls
    assert ["rsync", "-a", f"{layout.root}/sets/20261123T030000Z/files/", f"{target}/"] in calls
    assert ["rsync", "-aH", "--chmod=D0755,F0600", f"{layout.root}/objects/", f"{target}/{name}/storage/"] in calls
    assert ["chown", "-hR", "--", f"{name}:{name}", target] in calls
    assert (tmp_path / "input").read_text(encoding="utf-8").startswith("CREATE DATABASE `" + name.replace("`", "``") + "`;")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ODD)
def test_any_path_of_a_sqlite_file_reaches_sqlite3_unchanged(name, tmp_path):
    layout = ServerLayout(str(tmp_path), "server1")
    os.makedirs(layout.sealed("20261123T030000Z"))
    dump = dict(mysql(f"seafile-data/{name}"), engine="sqlite", file="x.sql.gz")
    text = restore_guide.render(manifest([dump], root="/opt/seafile"), layout)
    calls = run(blocks(text), tmp_path)
    assert ["mkdir", "-p", "/opt/seafile/seafile-data"] in calls
    assert ["sqlite3", "-bail", f"/opt/seafile/seafile-data/{name}"] in calls
    tokens = shlex.split(re.search(r"^    (sqlite3 .*)$", text, re.MULTILINE).group(1))
    assert tokens == ["sqlite3", f"$TARGET/seafile-data/{name}", "DELETE FROM RepoUserToken;"]


def test_each_dump_is_unpacked_by_the_program_that_its_name_calls_for(tmp_path):
    layout = ServerLayout(str(tmp_path), "server1")
    os.makedirs(layout.sealed("20261123T030000Z"))
    dumps = [mysql("one"), dict(mysql("two"), file="two.sql.zst"), dict(mysql("seahub.db"), engine="sqlite", file="seahub.db.sql.zst")]
    text = restore_guide.render(manifest(dumps, root="/opt/seafile"), layout)
    databases = f"{layout.sealed('20261123T030000Z')}/databases"
    calls = [call for call in run(blocks(text), tmp_path) if call[0] in ("gunzip", "zstd")]
    assert sorted(calls) == [["gunzip", "-c", f"{databases}/one.sql.gz"], ["zstd", "-dcq", f"{databases}/seahub.db.sql.zst"],
                             ["zstd", "-dcq", f"{databases}/two.sql.zst"]]
    assert "`rsync`, `gunzip`, `zstd`" in text
    assert "`rsync`, `gunzip`\nand" in restore_guide.render(manifest(dumps[:1], root="/opt/seafile"), layout)


def test_a_database_comes_back_with_its_character_set(tmp_path):
    layout = ServerLayout("/srv", "server1")
    text = restore_guide.render(manifest([mysql("seafile-db", character_set="utf8mb4", collation="utf8mb4_bin")]), layout)
    assert "CREATE DATABASE `seafile-db` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;" in text and "`mariadb` (or `mysql`)" in text


def test_the_order_is_check_copy_import_owner_and_only_then_start():
    text = restore_guide.render(manifest([mysql("seafile-db")]), ServerLayout("/srv", "server1"))
    places = [text.index(word) for word in ("Stop Seafile first", "sha256sum --quiet --check", "rsync -a ", "CREATE DATABASE", "chown -hR", "then start it")]
    assert places == sorted(places)


@pytest.mark.parametrize("record, words", [
    ({"state": "verified"}, "the set 20261123T030000Z was verified."),
    ({"state": "damaged"}, "the set 20261123T030000Z was DAMAGED: do not restore it"),
    (None, "the set 20261123T030000Z was not verified."),
    ("x", "the set 20261123T030000Z was not verified."),
])
def test_the_guide_says_in_words_whether_its_set_is_proven_and_where_to_look(record, words):
    text = " ".join(restore_guide.render(dict(manifest([mysql("seafile-db")]), verification=record), ServerLayout("/srv", "server1")).split())
    assert words in text
    assert "`sets/<set id>.verification.txt`" in text and "Do not choose a damaged set" in text


@pytest.mark.parametrize("value", [None, "x", {"owner": "x"}, {"owner": None, "version": None, "programs": None}])
def test_a_manifest_that_tells_little_gives_a_guide_all_the_same(value):
    text = restore_guide.render(dict(manifest([]), seafile=value), ServerLayout("/srv", "server1"))
    assert "TARGET=/opt/seafile\nOWNER=seafile:seafile\n" in text and "{" not in re.sub(r"\$\{.*?\}", "", text)
