#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pull_key
short_description: Make, rotate or remove the key with which a backup host reads one server
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Runs on the backup host. A private key never leaves it and is in no result.
  - A new key is made beside the one in use. It takes its place only with O(state=rotated), after the server has authorised it and it was
    tried, so that a run which is killed at any moment leaves one working key, and the next run ends the rotation.
options:
  state:
    description:
      - V(present) makes the key where there is none, and a new one beside it where a rotation is due or was begun.
      - V(rotated) lets the new key take the place of the one in use, if there is a new one.
      - V(absent) removes both, and O(known_hosts).
    type: str
    choices: [present, rotated, absent]
    default: present
  path:
    description: The private key.
    type: path
    required: true
  server:
    description:
      - The server's name in the inventory. Needed unless O(state=absent).
      - With O(backup_host) it is the comment in the public key, and it stands in C(authorized_keys). A name that cannot stand there is refused before
        anything is changed.
    type: str
  backup_host:
    description: The backup host's name in the inventory. Needed unless O(state=absent).
    type: str
  rotate:
    description: Whether a new key is wanted whatever the age of the one in use.
    type: bool
    default: false
  max_age_days:
    description: A new key is wanted when the one in use is this old, in days. V(0) for never.
    type: float
    default: 0
  known_hosts:
    description: The file with the pinned host keys, which O(state=absent) removes as well.
    type: path
attributes:
  check_mode:
    support: full
    details: Makes no key, so that RV(public_keys) does not hold one that would be made.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
extends_documentation_fragment:
  - seafleet.seafile.attributes
"""

EXAMPLES = r"""
- name: The key of one server, a new one every year
  seafleet.seafile.pull_key:
    path: /etc/seafleet/files.example.org/id_ed25519
    server: files.example.org
    backup_host: backup.example.org
    max_age_days: 365
  register: key

- name: Use the new one from now on
  seafleet.seafile.pull_key:
    state: rotated
    path: /etc/seafleet/files.example.org/id_ed25519
    server: files.example.org
    backup_host: backup.example.org
  when: key.rotating
"""

RETURN = r"""
public_keys:
  description: The public keys that the server has to know. The one in use first, then the new one of a rotation that is at work.
  returned: with O(state=present) and O(state=rotated)
  type: list
  elements: str
  sample: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFZ7a0Jm1n0M9oRj0p5q0rXb2l9sX0aYh8yq7c6v5b4n"]
rotating:
  description: Whether there is a new key beside the one in use. In check mode, whether there would be one.
  returned: success
  type: bool
  sample: false
try_key:
  description: The key to try, which is the new one where there is one.
  returned: with O(state=present) and O(state=rotated)
  type: str
  sample: /etc/seafleet/files.example.org/id_ed25519
age_days:
  description: The age of the key in use, in days. Null when there is none.
  returned: success
  type: float
  sample: 12.5
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: address-invalid
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import pull_grant, pull_key
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module


def act(module):
    """Bring the key into its state; return the module's result."""
    params = module.params
    path, write = params["path"], not module.check_mode
    new = pull_key.next_key(path)
    if not module.get_bin_path("ssh-keygen") and params["state"] != "absent":
        raise SeafileError("missing-tool", "ssh-keygen", "it is not installed on the backup host", "install the package openssh-client on the backup host")

    def run(argv):
        return module.run_command(argv, expand_user_and_vars=False)

    changed = False
    if params["state"] == "absent":
        paths = [new, f"{new}.pub", path, f"{path}.pub"] + ([params["known_hosts"]] if params["known_hosts"] else [])
        changed = bool(pull_key.remove(paths)) if write else any(os.path.lexists(one) for one in paths)
        return dict(changed=changed, rotating=False, age_days=None)
    comment = pull_grant.comment(params["backup_host"], params["server"])
    if params["state"] == "rotated":
        changed = pull_key.promote(run, path, comment) if write else os.path.exists(new)
    elif not os.path.exists(path):
        changed = True
        if write:
            pull_key.make(run, path, comment)
    elif pull_key.is_due(path, params["rotate"], params["max_age_days"]) and not os.path.exists(new):
        changed = True
        if write:
            pull_key.make(run, new, comment)
    there = [one for one in (path, new) if os.path.exists(one)]
    rotating = len(there) == 2 or (not write and changed and bool(there) and params["state"] == "present")
    return dict(
        changed=changed, public_keys=[pull_key.public_half(run, one) for one in there], rotating=rotating, try_key=(there or [path])[-1],
        age_days=round(pull_key.age_days(path), 1) if path in there else None)


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "rotated", "absent"], "default": "present"},
            "path": {"type": "path", "required": True},
            "server": {"type": "str"},
            "backup_host": {"type": "str"},
            "rotate": {"type": "bool", "default": False},
            "max_age_days": {"type": "float", "default": 0},
            "known_hosts": {"type": "path"},
        },
        required_if=[("state", state, ("server", "backup_host")) for state in ("present", "rotated")],
        supports_check_mode=True,
    )
    run_module(module, act)


if __name__ == "__main__":
    main()
