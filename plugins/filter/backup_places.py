# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_places
short_description: Where the backups of some servers are kept, each place once
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Returns the places that hold the backups of the given servers, each once, in the order in which the servers name them. A place is a backup
    host (C(seafile_backup_host)) and a directory on it (C(seafile_backup_root), by default C(/srv/seafile-backup)).
  - For tasks that run once for each backup host and not once for each server.
  - A server that names no backup host is left out.
options:
  _input:
    description: Names of servers, such as C(ansible_play_hosts_all).
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
- name: Leave metrics on every backup host
  seafleet.seafile.backup_metrics:
    backup_root: "{{ item.backup_root }}"
    metrics_dir: /var/lib/prometheus/node-exporter
  loop: "{{ ansible_play_hosts_all | seafleet.seafile.backup_places(hostvars) }}"
  delegate_to: "{{ item.backup_host }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: Each place with C(backup_host), C(backup_root) and the C(servers) whose backups it holds.
  type: list
  elements: dict
  sample:
    - backup_host: backup.example.org
      backup_root: /srv/seafile-backup
      servers: [files.example.org, cloud.example.org]
"""

import typing as t

DEFAULT_ROOT = "/srv/seafile-backup"


def backup_places(servers: t.Iterable[str], hostvars: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return the places that hold the backups of I(servers), each once."""
    places: dict[tuple[str, str], list[str]] = {}
    for server in servers:
        variables = hostvars[server]
        host = variables.get("seafile_backup_host")
        if host:
            places.setdefault((str(host), str(variables.get("seafile_backup_root") or DEFAULT_ROOT).rstrip("/") or "/"), []).append(str(server))
    return [{"backup_host": host, "backup_root": root, "servers": names} for (host, root), names in places.items()]


class FilterModule:
    """The filter :func:`backup_places`."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The name under which Ansible knows it."""
        return {"backup_places": backup_places}
