#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_info
short_description: Tell which servers have a good backup on this backup host, and since when
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Returns for each of the given servers its newest sealed and its newest verified set. One call a backup host, for any number of servers.
  - Lists one directory a server, and reads the manifests of its newest sets until one is verified, which is the first one as a rule.
  - Runs on the backup host and changes nothing.
extends_documentation_fragment: [seafleet.seafile.attributes]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  backup_root:
    description: The directory that holds the backups of all servers.
    type: path
    required: true
  servers:
    description: The names of the servers. One that has no backup yet is no failure.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Which of these servers have a good backup?
  seafleet.seafile.fleet_info:
    backup_root: /srv/seafile-backup
    servers: [files.example.org, cloud.example.org]
  delegate_to: backup.example.org
"""

RETURN = r"""
servers:
  description: C(newest_sealed) and C(newest_verified) of each server, set ids or null.
  returned: success
  type: dict
  sample:
    files.example.org: {newest_sealed: 20261123T030000Z, newest_verified: 20261123T030000Z}
    cloud.example.org: {newest_sealed: null, newest_verified: null}
code:
  description: Stable code of the failure; C(unreachable) when this host could not be reached.
  returned: failure
  type: str
  sample: unreachable
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import backup_place, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout


def newest(backup_root, server):
    """Return the newest sealed and verified set of one server; of one that cannot be looked at nothing is known."""
    try:
        layout = ServerLayout(backup_root, server)
        sealed = sets.sealed_ids(layout)
        return {"newest_sealed": sealed[-1] if sealed else None, "newest_verified": backup_place.newest_verified(layout)}
    except (SeafileError, OSError):  # its own run says what is wrong, and the others go on
        return {"newest_sealed": None, "newest_verified": None}


def inform(module):
    """Return what there is of every server."""
    params = module.params
    return {"changed": False, "servers": {server: newest(params["backup_root"], server) for server in params["servers"]}}


def main():
    module = AnsibleModule(
        argument_spec={
            "backup_root": {"type": "path", "required": True},
            "servers": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    run_module(module, inform)


if __name__ == "__main__":
    main()
