#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_attributes
short_description: Record owner, group and mode of a Seafile deployment, or apply what was recorded
version_added: "0.1.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - A backup keeps all files private to the account that holds it, so who owned what on the server is recorded as data.
  - Seafile started with files of the wrong owner finds every library broken, and changes the database; so the recorded
    attributes must be applied before it is started.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.seafile_root]
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
    description:
      - V(recorded) writes the attributes of O(seafile_root) to O(path), V(applied) gives them back, V(checked) fails with the code
        V(owner-wrong) when anything has another owner, group or mode, or is missing, and changes nothing.
      - Objects of libraries are not recorded one by one. They get the owner of the object store and mode 0600.
      - Set-user-id and set-group-id of files are neither recorded nor given back; no file of Seafile needs them.
    type: str
    choices: [recorded, applied, checked]
    required: true
  path:
    description: The file that holds the attributes, written with mode 0600. Missing directories above it are created with mode
      0700 when recording.
    type: path
    required: true
  storage:
    description: Path of the object store relative to O(seafile_root), for recording.
    type: str
    default: seafile-data/storage
  shallow:
    description: Relative paths of directories that are recorded without their contents.
    type: list
    elements: str
    default: []
  skipped:
    description: Relative paths that are left out.
    type: list
    elements: str
    default: []
  owner:
    description: With O(state=recorded) the account that may read O(path), to which the file and the directories made for it are
      given, if this module runs as root; with O(state=applied) and O(state=checked) the user that owns everything, in place of the recorded ones.
    type: str
  group:
    description: As O(owner), for the group.
    type: str
"""

EXAMPLES = r"""
- name: Record who owns what
  seafleet.seafile.file_attributes:
    state: recorded
    seafile_root: /opt/seafile
    path: /opt/seafile/.seafleet/20261123T030000Z/attributes.json

- name: Give everything back to its owner
  seafleet.seafile.file_attributes:
    state: applied
    seafile_root: /opt/seafile
    path: /var/lib/seafleet/files/attributes.json

- name: Would Seafile be able to read what was restored?
  seafleet.seafile.file_attributes:
    state: checked
    seafile_root: /opt/seafile
    path: /var/lib/seafleet/files/attributes.json
"""

RETURN = r"""
entries:
  description: Number of recorded files, directories and links.
  returned: success
  type: int
  sample: 57
applied:
  description: Number of paths whose owner, group or mode was changed, and of directories made.
  returned: with O(state=applied)
  type: int
  sample: 1102
missing:
  description: Recorded names that are not there or are of another type (the first 100).
  returned: with O(state=applied)
  type: list
  elements: str
  sample: []
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import attributes
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module


def recorded(module):
    """Write the attributes file."""
    params = module.params
    accounts = attributes.Accounts()
    uid = accounts.uid(params["owner"]) if params["owner"] else -1
    gid = accounts.gid(params["group"]) if params["group"] else -1
    value = attributes.record(_root(params), params["storage"], params["shallow"], params["skipped"])
    changed = attributes.write(os.path.abspath(params["path"]), value, uid, gid, module.check_mode)
    return {"changed": changed, "entries": len(value["entries"])}


def _root(params):
    root = params["seafile_root"]
    if not os.path.isdir(root):
        raise SeafileError("no-seafile", root, "there is no such directory")
    return root


def applied(module):
    """Apply the attributes file."""
    params = module.params
    value = attributes.read(params["path"])
    count, missing = attributes.apply(_root(params), value, not module.check_mode, params["owner"], params["group"])
    return {"changed": count > 0, "entries": len(value["entries"]), "applied": count, "missing": missing[:100]}


def checked(module):
    """Compare with the attributes file."""
    params = module.params
    value = attributes.read(params["path"])
    count, missing = attributes.apply(_root(params), value, False, params["owner"], params["group"])
    if count or missing:
        named = f", missing: {', '.join(missing[:5])}" if missing else ""
        raise SeafileError("owner-wrong", params["seafile_root"], f"{count} files and directories have another owner, group or mode than they must{named}")
    return {"changed": False, "entries": len(value["entries"])}


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["recorded", "applied", "checked"], "required": True},
            "seafile_root": {"type": "path", "required": True},
            "path": {"type": "path", "required": True},
            "storage": {"type": "str", "default": "seafile-data/storage"},
            "shallow": {"type": "list", "elements": "str", "default": []},
            "skipped": {"type": "list", "elements": "str", "default": []},
            "owner": {"type": "str"},
            "group": {"type": "str"},
        },
        supports_check_mode=True,
    )
    run_module(module, {"recorded": recorded, "applied": applied, "checked": checked}[module.params["state"]])


if __name__ == "__main__":
    main()
