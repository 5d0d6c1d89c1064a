# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: retention_policies
short_description: What the inventory says of the retention of some servers
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Returns the variables C(seafile_retention_*) of each server, as options of M(seafleet.seafile.backup_retention). What the inventory does not
    say is left out, and so is C(seafile_retention_safety_days), which is for M(seafleet.seafile.safety_copy_retention) on the server.
options:
  _input:
    description: Names of servers.
    type: list
    elements: str
    required: true
  hostvars:
    description: The variables of all hosts, C(hostvars).
    type: dict
    required: true
positional: _input, hostvars
"""

EXAMPLES = r"""
- name: What is there, and what would go?
  seafleet.seafile.catalogue_info:
    backup_root: "{{ item.backup_root }}"
    policies: "{{ item.servers | seafleet.seafile.retention_policies(hostvars) }}"
  loop: "{{ ansible_play_hosts_all | seafleet.seafile.backup_places(hostvars) }}"
  delegate_to: "{{ item.backup_host }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: Options by server.
  type: dict
  sample: {files.example.org: {keep_daily: 30}, cloud.example.org: {}}
"""

import typing as t

_PREFIX = "seafile_retention_"
# no setting for sets: what it is for does not lie on the backup host
_ON_THE_SERVER = "seafile_retention_safety_days"


def retention_policies(servers: t.Iterable[str], hostvars: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    """Return the options of each of I(servers)."""
    return {
        str(server): {
            name[len(_PREFIX):]: hostvars[server][name] for name in hostvars[server] if str(name).startswith(_PREFIX) and name != _ON_THE_SERVER}
        for server in servers}


class FilterModule:
    """The filter :func:`retention_policies`."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The name under which Ansible knows it."""
        return {"retention_policies": retention_policies}
