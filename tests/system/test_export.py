# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files out of a backup while the server is gone: row 23 by the playbook export. What the modules do in each case is tested with them."""

from __future__ import annotations

import json
import re
import types
import typing as t

import pytest
import testhosts

from fleet import FIXTURES, Fleet

FIXTURE = "seafile-11-mariadb"
COMPARE = testhosts.PROJECT / "tests" / "integration" / "targets" / "library_export" / "files" / "compare.py"
MANIFEST = json.loads((FIXTURES / FIXTURE / "MANIFEST.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def told(shared_hosts: t.Callable[..., t.Any]) -> types.SimpleNamespace:
    """A server is backed up and its machine stopped; then every library is exported on the backup host."""
    fleet = Fleet(shared_hosts("server1", "backup1"))
    fleet.add("server1")
    fleet.deploy("server1", FIXTURE)
    fleet.ok("prepare")
    told = types.SimpleNamespace(fleet=fleet, set_id=fleet.backup("server1"), runs={}, compared={})
    fleet.group.podman("server1", "stop")
    fleet.run("backup1", "dpkg --install /opt/debs/*.deb")
    fleet.group.put("backup1", COMPARE, "/root/compare.py")
    fleet.group.put("backup1", FIXTURES / FIXTURE / "MANIFEST.json", "/root/MANIFEST.json")
    told.backup = fleet.listing("backup1", fleet.store("server1"))
    told.list = fleet.playbook("export", "server1", export_list=True)
    told.nothing = fleet.playbook("export", "server1")
    told.check = fleet.playbook("export", "server1", check=True, export_library="Alice documents", export_dest="/srv/export/checked")
    for library in MANIFEST["libraries"]:
        key = library["id"]
        password = MANIFEST["passwords_of_encrypted_libraries"].get(key)
        secret = {"export_password": password} if password else {}
        told.runs[key] = fleet.playbook("export", "server1", export_library=key, export_dest=f"/srv/export/{key}", **secret)
        told.compared[key] = fleet.run("backup1", f"python3 /root/compare.py /root/MANIFEST.json {key} /srv/export/{key} 2>&1", check=False).strip()
    told.again = fleet.playbook("export", "server1", export_library="Alice documents",
                                export_dest=f"/srv/export/{next(library['id'] for library in MANIFEST['libraries'] if library['name'] == 'Alice documents')}")
    told.backup_after = fleet.listing("backup1", fleet.store("server1"))
    return told


def test_every_library_comes_out_equal_while_the_server_is_gone(told):
    assert {key: result.code for key, result in told.runs.items()} == dict.fromkeys(told.runs, 0)
    assert [text for text in told.compared.values() if not text.startswith("equal: ")] == []
    counts = {key: int(re.search(r"equal: (\d+) files", text).group(1)) for key, text in told.compared.items()}
    assert counts == {library["id"]: len(library["files"]) for library in MANIFEST["libraries"]} and sum(counts.values()) > 300


def test_a_second_export_changes_nothing(told):
    assert told.again.code == 0 and told.again.changed == 0, told.again.output


def test_the_backup_is_as_it_was(told):
    assert told.backup_after == told.backup


def test_the_list_names_the_set_and_every_library(told):
    assert told.list.code == 0 and told.set_id in told.list.output and told.list.changed == 0
    assert all(library["id"] in told.list.output for library in [*MANIFEST["libraries"], *MANIFEST["trash"]])


def test_without_a_library_it_is_said_what_is_missing(told):
    assert told.nothing.code == 2 and "give export_library and export_dest" in told.nothing.output


def test_check_mode_shows_the_files_and_writes_nothing(told):
    assert told.check.code == 0 and "+/big/large-20MiB.bin" in told.check.output
    assert told.fleet.run("backup1", "ls /srv/export").find("checked") == -1


def test_no_password_is_in_any_output(told):
    outputs = "".join(result.output for result in told.runs.values())
    assert outputs and not any(password in outputs for password in MANIFEST["passwords_of_encrypted_libraries"].values())
