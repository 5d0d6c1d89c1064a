# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories that people copy, from examples/ and out of the guides, say what the roles understand; the playbooks are sound."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import pages
import pytest
import yaml

BIN = pathlib.Path(sys.executable).parent
# Inventories in guides: blocks of YAML. Whole ones name hosts.
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
PREFIXES = ("seafile_", *(f"{path.name}_" for path in (pages.ROOT / "roles").iterdir() if path.is_dir()))


def in_guides() -> dict[str, str]:
    """The inventories that stand in Markdown files."""
    found = {}
    for file in pages.files():
        for match in BLOCK.finditer((pages.ROOT / file).read_text(encoding="utf-8")):
            if re.search(r"^(?:seafile_servers|all):", match[1], re.MULTILINE):
                found[f"{file}:{len(found) + 1}"] = match[1]
    return found


def in_examples() -> list[pathlib.Path]:
    """The files of examples/ that are inventories."""
    return sorted(
        path for path in (pages.ROOT / "examples").rglob("*.y*ml")
        if re.search(r"^(?:seafile_servers|all):", path.read_text(encoding="utf-8"), re.MULTILINE)
    )


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(pages.ROOT / ".build" / "run-collections"), "LC_ALL": "C.UTF-8",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true", "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    return subprocess.run([str(BIN / command[0]), *command[1:]], env=environment, cwd=pages.ROOT, capture_output=True, text=True, check=False)


def known_variables() -> set[str]:
    """Every input of a role."""
    specs = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (pages.ROOT / "roles").glob("*/meta/argument_specs.yml"))
    return {name for spec in specs for entry in spec["argument_specs"].values() for name in entry.get("options") or {}}


def assert_known(names: t.Iterable[str]) -> None:
    """Assert that a role has each variable of an inventory that is named like a role's input."""
    # The group of the servers, and the variable of the playbooks that names another one.
    known = known_variables() | {"seafile_servers", "seafile_hosts"}
    assert {name for name in names if name.startswith(PREFIXES)} - known == set(), "no role has such inputs"


def members(listing: dict[str, t.Any], group: str) -> list[str]:
    """The hosts of a group and of the groups below it, as ansible-inventory lists them."""
    found = listing.get(group, {})
    return [*found.get("hosts", []), *(host for child in found.get("children", []) for host in members(listing, child))]


def look_at(inventory: pathlib.Path) -> None:
    """Assert that Ansible reads an inventory, and that it says where every server's backup goes, in words that the roles know."""
    done = run("ansible-inventory", "-i", str(inventory), "--list")
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    listing = json.loads(done.stdout)
    hosts = listing["_meta"]["hostvars"]
    servers = members(listing, "seafile_servers")
    everything = {host for group in listing.values() for host in group.get("hosts", [])} | {"localhost"}
    assert servers
    for server in servers:
        values = hosts[server]
        assert str(values["seafile_root"]).startswith(("/", "{{"))
        assert str(values["seafile_backup_root"]).startswith(("/", "{{"))
        assert values["seafile_backup_host"] in everything, f"{server}: its backup host is not in the inventory"
    assert_known(name for values in hosts.values() for name in values)


@pytest.mark.parametrize("path", in_examples(), ids=lambda path: str(path.relative_to(pages.ROOT)))
def test_an_example_inventory_is_understood(path):
    look_at(path)


@pytest.mark.parametrize("name", in_guides())
def test_an_inventory_in_a_guide_is_understood(name, tmp_path):
    if not re.search(r"^ +hosts:", in_guides()[name], re.MULTILINE):
        return assert_known(re.findall(r"^ *(\w+):", in_guides()[name], re.MULTILINE))
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(in_guides()[name], encoding="utf-8")
    look_at(inventory)


def test_what_a_server_does_not_say_is_not_taken_from_the_backup_host(tmp_path):
    """Tasks of these roles run delegated, where Ansible lends the backup host's ansible_host and its kind to a server that has none."""
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"seafile_servers": {
        "hosts": {"files.example.org": None},
        "vars": {"seafile_root": "/opt/seafile", "seafile_backup_host": "keeper", "seafile_backup_root": "/srv/seafile-backup", "__backup_server": {}},
    }, "ungrouped": {"hosts": {"keeper": {"ansible_host": "192.0.2.7", "ansible_port": 2222, "ansible_connection": "local"}}}}), encoding="utf-8")
    prefixes = {"backup": "__backup_", "pull_access": "__pull_access_", "restore": "__restore_", "restore_library": "__restore_library_"}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{
        "hosts": "seafile_servers", "gather_facts": False,
        "vars_files": [str(pages.ROOT / "roles" / role / "vars" / "main.yml") for role in prefixes],
        "tasks": [{"delegate_to": "keeper", "ansible.builtin.assert": {"that": [
            "__backup_pull_host == 'files.example.org'", "__backup_pull_port | int == 22",
            *(f"not {prefix}same_machine" for prefix in prefixes.values()),
        ]}}],
    }]), encoding="utf-8")
    done = run("ansible-playbook", "-i", str(tmp_path / "inventory.yml"), str(tmp_path / "play.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_inventories_to_look_at():
    assert len(in_examples()) > 1 and any(name.startswith("README.md:") for name in in_guides())


def test_every_playbook_is_sound():
    playbooks = sorted(str(path.relative_to(pages.ROOT)) for path in (pages.ROOT / "playbooks").glob("*.yml"))
    assert playbooks
    done = run("ansible-playbook", "-i", "examples/inventory.yml", "--syntax-check", *playbooks)
    # Groups that are made while a playbook runs are not there yet, which is a warning of its own.
    assert done.returncode == 0 and "DEPRECATION" not in done.stderr, done.stdout + done.stderr
    assert [f"playbook: {playbook}" for playbook in playbooks] == [line for line in done.stdout.splitlines() if line.startswith("playbook: ")]
