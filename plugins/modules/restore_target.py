#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_target
short_description: Clear the place of a restore without losing anything, and record its end
version_added: "0.1.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - V(cleared) makes a safety copy of what is there and notes that a restore has begun. Those of the databases of O(dumps) that are there
    are dumped, the Seafile directory is moved aside by a rename, and both are recorded as one thing, which M(seafleet.seafile.safety_copy_info)
    lists and M(seafleet.seafile.safety_copy) brings back. This collection never removes one.
  - A restore of the same set that was interrupted is continued instead; what it has imported is no state worth keeping.
  - A Seafile directory that is a mount point keeps its place; its contents move into C(.seafleet-before-<time>) inside it.
  - V(restored) notes that the restore has ended, with fingerprints of all that was restored, so that a second run can
    tell that nothing is left to do.
  - Runs on the restore target.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.database_login, seafleet.seafile.seafile_root]
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
    description: V(cleared) at the beginning of a restore, V(restored) at its end.
    type: str
    choices: [cleared, restored]
    required: true
  seafile_root:
    description: The Seafile directory, an absolute path. Where it is a link, the link stays and what it leads to is moved.
  state_dir:
    description: The directory of this restore's record, private to its account. It may not lie in O(seafile_root).
    type: path
    required: true
  set_id:
    description: The set that is restored.
    type: str
    required: true
  heads:
    description: The libraries that come from an older set, with their heads, as M(seafleet.seafile.set_choice) returns them. The same set
      with other heads is another restore. An interrupted one is then not continued but moved aside.
    type: dict
    default: {}
    version_added: "0.2.0"
  storage:
    description: Path of the object store relative to O(seafile_root).
    type: str
    default: seafile-data/storage
  programs:
    description: The directory of Seafile's programs that the set was made with, such as V(seafile-server-11.0.13). Where the
      directory that is moved aside has it, it is copied back, for programs are no part of a backup.
    type: str
  dumps:
    description: The set's C(databases), as in its manifest, under the names that they get on this target.
    type: list
    elements: dict
    default: []
  running:
    description: Whether Seafile was running before it was stopped for this restore; the safety copy tells it.
    type: bool
    default: false
    version_added: "0.2.0"
  rewritten:
    description: Files that were changed on purpose after they came, relative path to SHA-256, as M(seafleet.seafile.deployment_place) returns them.
    type: dict
    default: {}
    version_added: "0.2.0"
  owner:
    description: The user that owns everything in place of the recorded ones, if one was given to M(seafleet.seafile.file_attributes).
    type: str
  group:
    description: As O(owner), for the group.
    type: str
  login_user:
    description: The account that may read the databases, for their dumps and fingerprints.
"""

EXAMPLES = r"""
- name: Make room for the restore
  seafleet.seafile.restore_target:
    state: cleared
    seafile_root: /opt/seafile
    state_dir: /var/lib/seafleet/files.example.org
    set_id: 20261123T030000Z
    dumps: "{{ manifest.databases }}"
"""

RETURN = r"""
safety_directory:
  description: Where the earlier contents of the Seafile directory are now, or null when there were none.
  returned: success
  type: str
  sample: /opt/seafile.before-20261124T081500Z
safety_copy:
  description: The moment by which the safety copy is named. Null when a restore is continued whose copy an older release made.
  returned: with O(state=cleared)
  type: str
  sample: 20261124T081500Z
  version_added: "0.2.0"
safety_dumps:
  description: Directory of the dumps of the databases that were there, or null when there were none.
  returned: with O(state=cleared)
  type: str
  sample: /var/lib/seafleet/files.example.org/before-20261124T081500Z/databases
  version_added: "0.2.0"
earlier:
  description: Safety copies of restores that were begun here before and have not ended; the oldest holds what was there at first.
  returned: with O(state=cleared)
  type: list
  elements: str
  sample: []
programs:
  description: The directory of programs that was copied back from the safety copy, or null.
  returned: with O(state=cleared)
  type: str
  sample: seafile-server-11.0.13
continued:
  description: Whether an interrupted restore of the same set is continued.
  returned: with O(state=cleared)
  type: bool
  sample: false
"""

import os
import shutil

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_client, mysql_schema, restore_state, rsync, safety_copies, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ATTRIBUTES, new_set_id, require_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.places import is_inside
from ansible_collections.seafleet.seafile.plugins.module_utils.restore_login import LOGIN_ARGUMENTS, login


def _continue(params, root, check_mode):
    """Go on with the restore that was interrupted here; None when there is none."""
    record = restore_state.read(params["state_dir"])
    if not restore_state.continues(record, params["set_id"], root, params["heads"]):
        return None
    result = restore_state.clear(root, params["state_dir"], params["set_id"], record.get("began", ""), not check_mode, params["heads"])
    copy = safety_copies.read(params["state_dir"], record.get("began", ""))
    return dict(result, safety_copy=copy.get("moment"), safety_dumps=_dumps_of(params["state_dir"], copy, []))


def _begin(params, root, check_mode):
    """Make the safety copy, then clear the place."""
    state_dir, set_id = params["state_dir"], params["set_id"]
    copy = safety_copies.pending(state_dir, root)
    there = safety_copies.locate(copy) if copy else None
    to_dump = []
    if copy is None:
        moment = safety_copies.new_moment(state_dir, root, utc_now())
        copy = safety_copies.plan(state_dir, root, moment, "restore", params["running"], set_id=set_id)
        names = [dump["name"] for dump in sets.require_dumps(params["dumps"], "dumps") if dump["engine"] == "mysql"]
        client = mysql_client.Client(login(params)) if names else None
        to_dump = safety_copies.add_databases(copy, client, names) if client else []
        if not check_mode:
            safety_copies.abandon(state_dir, root)
            safety_copies.make(state_dir, copy, client, to_dump)
    result = restore_state.clear(root, state_dir, set_id, copy["moment"], not check_mode, params["heads"])
    result["safety_directory"] = result["safety_directory"] or there
    if not check_mode:
        safety_copies.complete(state_dir, dict(copy, set_id=set_id), result["safety_directory"])
    return dict(result, safety_copy=copy["moment"], safety_dumps=_dumps_of(state_dir, copy, to_dump))


def _dumps_of(state_dir, copy, to_dump):
    return os.path.join(safety_copies.place(state_dir, copy["moment"]), safety_copies.DATABASES) if copy.get("dumps") or to_dump else None


def cleared(module):
    """Make room."""
    params = module.params
    root = rsync.require_place(params["seafile_root"], "seafile_root")
    if os.path.realpath(root) == "/":
        raise SeafileError("path-invalid", root, "it is the root of the file system", "give the Seafile directory as seafile_root")
    require_set_id(params["set_id"])
    if is_inside(params["state_dir"], root):
        raise SeafileError("path-invalid", params["state_dir"], "it lies inside the directory that is moved aside", "choose another state_dir")
    result = _continue(params, root, module.check_mode) or _begin(params, root, module.check_mode)
    result["programs"] = None
    if not module.check_mode:
        copies = [result["safety_directory"], *reversed(result["earlier"])]
        result["programs"] = restore_state.bring_programs(os.path.realpath(root), filter(None, copies), params["programs"])
        result["changed"] = result["changed"] or result["programs"] is not None
    return result


def restored(module):
    """Note the end, with fingerprints."""
    params = module.params
    state_dir = params["state_dir"]
    record = restore_state.read(state_dir)
    if not restore_state.is_of(record, params["set_id"], params["seafile_root"], params["heads"]) or record.get("state") == "clearing":
        raise SeafileError("restore-not-begun", state_dir, f"no restore of the set {params['set_id']} into {params['seafile_root']} has begun here")
    if record.get("state") == "restored":
        return {"changed": False, "safety_directory": record.get("safety_directory")}
    dumps = sets.require_dumps(params["dumps"], "dumps")
    if module.check_mode:
        return {"changed": True, "safety_directory": record.get("safety_directory")}
    mysql = [dump["name"] for dump in dumps if dump["engine"] == "mysql"]
    fingerprints = {}
    if mysql:
        client = mysql_client.Client(login(params))
        fingerprints = {name: mysql_schema.fingerprint(client, name) for name in mysql}
    staged = os.path.join(state_dir, restore_state.SET)
    with open(os.path.join(staged, sets.SUMS), "rb") as stream:
        sums = sets.parse_sums(stream.read())
    sums.update({f"files/{name}": value for name, value in params["rewritten"].items()})
    os.replace(os.path.join(staged, ATTRIBUTES), os.path.join(state_dir, ATTRIBUTES))
    record = restore_state.finish(
        state_dir, new_set_id(utc_now()), fingerprints, [dump["name"] for dump in dumps if dump["engine"] == "sqlite"], sums,
        storage=params["storage"], owner=params["owner"], group=params["group"])
    # the dumps hold password hashes and tokens; they have done their work
    shutil.rmtree(staged)
    return {"changed": True, "safety_directory": record.get("safety_directory")}


def main():
    module = AnsibleModule(
        argument_spec=dict(
            state={"type": "str", "choices": ["cleared", "restored"], "required": True},
            seafile_root={"type": "path", "required": True},
            state_dir={"type": "path", "required": True},
            set_id={"type": "str", "required": True},
            heads={"type": "dict", "default": {}},
            programs={"type": "str"},
            storage={"type": "str", "default": "seafile-data/storage"},
            dumps={"type": "list", "elements": "dict", "default": []},
            running={"type": "bool", "default": False},
            rewritten={"type": "dict", "default": {}},
            owner={"type": "str"},
            group={"type": "str"},
            **LOGIN_ARGUMENTS,
        ),
        supports_check_mode=True,
    )
    run_module(module, {"cleared": cleared, "restored": restored}[module.params["state"]])


if __name__ == "__main__":
    main()
