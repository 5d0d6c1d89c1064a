#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_place
short_description: Make the scratch place of a restore drill, or remove it with all that the drill made
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - V(present) makes a private directory below O(path), and with O(mysql) and without O(login_host), O(login_unix_socket) and
    O(login_password) a MariaDB of its own in it, which listens on a Unix socket there and,
    unless O(listens), nowhere else.
  - Places of the same server that were left more than a day ago, by drills that were killed, are removed first.
  - V(absent) stops that database server, drops the databases and accounts of this drill on a server that was named, and removes the
    directory. Only a directory with the mark of a drill is ever removed, and only databases with the drill's prefix are dropped.
  - Runs on the host of the drill.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.database_login]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  state:
    description: What there is to be.
    type: str
    choices: [present, absent]
    default: present
  path:
    description: With O(state=present) the directory that holds the places of drills, an absolute path. With O(state=absent) the place.
    type: path
    required: true
  server:
    description: The server whose backup is tried. Needed with O(state=present).
    type: str
  mysql:
    description: Whether the set has MySQL databases.
    type: bool
    default: false
  listens:
    description: Whether the private MariaDB also listens on a port of the loopback, for Seafile 12 and newer, which cannot name a socket.
    type: bool
    default: false
  databases:
    description: The names of the set's MySQL databases, for RV(names).
    type: list
    elements: str
    default: []
  login_host:
    description: A database server to try the restore on, in place of a private one.
  login_user:
    description: The account there that may create and drop databases and accounts.
"""

EXAMPLES = r"""
- name: Make a place with a database server of its own
  seafleet.seafile.drill_place:
    path: /var/tmp/seafleet-drill
    server: files.example.org
    mysql: true
  register: place

- name: Remove it
  seafleet.seafile.drill_place:
    state: absent
    path: "{{ place.path }}"
"""

RETURN = r"""
path:
  description: The place.
  returned: with O(state=present)
  type: str
  sample: /var/tmp/seafleet-drill/files.example.org-20261123T030000Z
id:
  description: The moment the drill began, as a name.
  returned: with O(state=present)
  type: str
  sample: 20261123T030000Z
began:
  description: The same, for people.
  returned: with O(state=present)
  type: str
  sample: "2026-11-23T03:00:00Z"
socket:
  description: The socket of the private database server, or null.
  returned: with O(state=present)
  type: str
  sample: /var/tmp/seafleet-drill/files.example.org-20261123T030000Z/mysql.sock
port:
  description: Its port on the loopback, or null.
  returned: with O(state=present)
  type: int
  sample: null
user:
  description: The account of this machine's user on the private server, or null.
  returned: with O(state=present)
  type: str
  sample: root
prefix:
  description: What the databases and the account of the drill begin with on a database server that others use too; else empty.
  returned: with O(state=present)
  type: str
  sample: drill_20261123t030000z_5f70bf_
names:
  description: What each of O(databases) is called in the drill. Empty with a private server, where they keep their names.
  returned: with O(state=present)
  type: dict
  sample: {seafile-db: drill_20261123t030000z_5f70bf_seafile-db}
removed:
  description: What was removed.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import deployment, private_mariadb, scratch
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import new_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client
from ansible_collections.seafleet.seafile.plugins.module_utils.restore_login import LOGIN_ARGUMENTS, login


def _is_named(params):
    return bool(params["login_host"] or params["login_unix_socket"] or params["login_password"])


def _client(params):
    return Client(login(params)) if _is_named(params) else None


def present(module):
    """Make a place."""
    params = module.params
    parent = deployment.require_plain_path(params["path"], "path")
    now = utc_now()
    private = params["mysql"] and not _is_named(params)
    old = scratch.abandoned(parent, params["server"], now)
    result = {"changed": True, "removed": old, "id": new_set_id(now), "began": as_text(now)}
    if module.check_mode:
        prefix = "" if private else scratch.prefix_of(params["server"], now)
        place = scratch.new_place(parent, params["server"], now)
        made = {"path": place, "prefix": prefix, "socket": private_mariadb.socket_path(place) if private else None, "port": None, "user": None}
    else:
        removed = []
        for place in old:
            removed += scratch.remove(place, _client(params))
        result["removed"] = removed
        made = scratch.make(parent, params["server"], now, private, params["listens"])
    return {**result, **made, "names": scratch.names_of(params["databases"], made["prefix"]) if made["prefix"] else {}}


def absent(module):
    """Remove a place."""
    place = deployment.require_plain_path(module.params["path"], "path")
    if module.check_mode:
        there = scratch.read_mark(place) is not None
        return {"changed": there, "removed": [place] if there else []}
    removed = scratch.remove(place, _client(module.params))
    return {"changed": bool(removed), "removed": removed}


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "path": {"type": "path", "required": True},
            "server": {"type": "str"},
            "mysql": {"type": "bool", "default": False},
            "listens": {"type": "bool", "default": False},
            "databases": {"type": "list", "elements": "str", "default": []},
            **LOGIN_ARGUMENTS,
        },
        required_if=[("state", "present", ["server"])],
        supports_check_mode=True,
    )
    run_module(module, {"present": present, "absent": absent}[module.params["state"]])


if __name__ == "__main__":
    main()
