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
  server:
    description: The server's name, which is its directory's name.
    type: str
    required: true
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
    type: str
  user:
    description: The pull account on the server.
    type: str
  port:
    description: The port of C(sshd) on the server.
    type: int
  private_key:
    description: The key that opens the pull account.
    type: path
  known_hosts:
    description: The file with the pinned host key of the server.
    type: path
  host_key_alias:
    description: The name under which O(known_hosts) holds the key.
    type: str
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
rsync_version:
  description: The version of rsync on this host, or null.
  returned: success
  type: str
  sample: 3.2.7
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import rsync, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout
from ansible_collections.seafleet.seafile.plugins.module_utils.places import existing_parent, free_bytes, is_inside

# Fewer free inodes than this and even the sets' own directories may not fit.
_LEAST_INODES = 1000


def _place_problems(params, layout):
    root = params["backup_root"]
    seafile_root = params["seafile_root"]
    if not params["host"] and seafile_root and (is_inside(root, seafile_root) or is_inside(seafile_root, os.path.join(root, params["server"]))):
        yield SeafileError("backup-root-inside", root, f"backup and Seafile directory {seafile_root} lie inside each other")
    # an account that owns only the directory of this server may still fill it
    parent = existing_parent(layout.sets)
    if not os.path.isdir(parent):
        yield SeafileError("backup-root", root, f"{parent} is not a directory")
        return
    statistics = os.statvfs(parent)
    if statistics.f_flag & os.ST_RDONLY:
        yield SeafileError("read-only", parent, "the file system is read-only")
    elif not os.access(parent, os.W_OK | os.X_OK):
        yield SeafileError("no-rights", parent, "this account may not write there", "give it to the account that runs the backup, or choose another root")
    free = free_bytes(parent)
    if free < params["needed_bytes"]:
        yield SeafileError("no-space", parent, f"{free} bytes are free, {params['needed_bytes']} are needed")
    if statistics.f_files and statistics.f_favail < _LEAST_INODES:
        yield SeafileError("no-space", parent, f"only {statistics.f_favail} inodes are free")


def _access_problems(module, binary, version):
    params = module.params
    if params["host"]:
        if not module.get_bin_path("ssh"):
            yield SeafileError("missing-tool", "ssh", "it is not installed on the backup host", "install the package openssh-client on the backup host")
            return
        for key in ("private_key", "known_hosts"):
            if params[key] and not os.path.exists(params[key]):
                yield SeafileError("not-prepared", params[key], "the backup host has no access to the server yet")
                return
    try:
        rsync.require_version(version)
        argv = rsync.probe_argv(binary, rsync.require_place(params["src"], "src"), rsync.reach(params, version))
    except SeafileError as error:
        yield error
        return
    status, dummy, stderr = module.run_command(argv, expand_user_and_vars=False, environ_update={"LC_ALL": "C"})
    if status != 0:
        source = f"{params['host']}:{params['src']}" if params["host"] else params["src"]
        yield rsync.explain(status, stderr, None, source)


def inform(module):
    """Return the problems of this host for the backup of one server."""
    params = module.params
    layout = ServerLayout(params["backup_root"], params["server"])
    problems = list(_place_problems(params, layout))
    binary = module.get_bin_path("rsync")
    version = None
    if not binary:
        problems.append(SeafileError("missing-tool", "rsync", "it is not installed on the backup host", "install the package rsync on the backup host"))
    else:
        dummy, stdout, dummy = module.run_command([binary, "--version"], expand_user_and_vars=False)
        numbers = rsync.read_version(stdout)
        version = ".".join(map(str, numbers)) if numbers else None
        problems += list(_access_problems(module, binary, numbers))
    try:
        sets.next_set_id(layout, utc_now())
    except SeafileError as error:
        problems.append(error)
    sealed = sets.sealed_ids(layout)
    # from the newest on, so that a year of sets is not read when last night's is whole
    verified = (set_id for set_id in reversed(sealed) if sets.describe(layout, set_id, True)["state"] == "verified")
    return {
        "changed": False, "problems": [problem.as_problem() for problem in problems], "rsync_version": version,
        "free_bytes": free_bytes(layout.sets), "newest_sealed": sealed[-1] if sealed else None,
        "newest_verified": next(verified, None)}


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
