#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_host_info
short_description: Tell whether this backup host can receive the backup of a server
version_added: "0.1.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Looks at tools, free space, the place of the backup and the access to the server, and reports everything that is in
    the way at once, each problem with a stable code. Changes nothing.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.server_backup, seafleet.seafile.ssh_source]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  seafile_root:
    description: The Seafile directory of the server, where server and backup host are one machine. Neither may the backup lie inside
      it, nor it inside the backup.
    type: path
  src:
    description: The directory that will be pulled, an absolute path as the server's rsync sees it.
    type: str
    required: true
  host:
    description: The server's address for ssh. Without it server and backup host are one machine.
  needed_bytes:
    description: Bytes that the next set needs at the least.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Can this host take the backup?
  seafleet.seafile.backup_host_info:
    backup_root: /srv/seafile-backup
    server: files.example.org
    src: /
    host: files.example.org
    user: seafile
    private_key: /etc/seafleet/files.example.org/id_ed25519
    known_hosts: /etc/seafleet/files.example.org/known_hosts
    host_key_alias: files.example.org
"""

RETURN = r"""
problems:
  description: What is in the way, each with C(code), C(message), C(what), C(cause) and C(next_step). Empty when nothing is.
  returned: success
  type: list
  elements: dict
  sample: []
free_bytes:
  description: Free bytes on the file system that holds the backup.
  returned: success
  type: int
  sample: 85899345920
newest_sealed:
  description: The set id of the newest sealed set, or null.
  returned: success
  type: str
  sample: 20261122T030000Z
newest_verified:
  description: The set id of the newest set that was proved to be restorable, or null.
  returned: success
  type: str
  sample: 20261122T030000Z
  version_added: "0.2.0"
zstd:
  description: Whether the program C(zstd) is on this host, so that dumps may be compressed with it.
  returned: success
  type: bool
  sample: true
  version_added: "0.2.0"
rsync_version:
  description: The version of rsync on this host, or null.
  returned: success
  type: str
  sample: 3.2.7
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import backup_place, rsync
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout


def inform(module):
    """Return the problems of this host for the backup of one server."""
    params = module.params
    return dict(backup_place.inform(module, params, ServerLayout(params["backup_root"], params["server"])), changed=False)


def main():
    module = AnsibleModule(
        argument_spec={
            "backup_root": {"type": "path", "required": True},
            "server": {"type": "str", "required": True},
            "seafile_root": {"type": "path"},
            "src": {"type": "str", "required": True},
            **rsync.REMOTE_ARGUMENTS,
            "needed_bytes": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    run_module(module, inform)


if __name__ == "__main__":
    main()
