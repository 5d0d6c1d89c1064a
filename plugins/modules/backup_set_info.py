#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_set_info
short_description: List the backup sets of a server, choose one, check its checksums
version_added: "0.1.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Lists every set of a server with its state, newest first.
  - Chooses a set as a restore does, the one of O(set_id) or the newest sealed one, and returns its manifest. A damaged one
    fails and names the newest whole one; an older set is never taken in silence.
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
  server:
    description: The server's name, which is its directory's name. Without it the sets of all servers are listed and none is chosen.
    type: str
  set_id:
    description: The set to choose. An unknown or partial one fails.
    type: str
  choose:
    description: Choose a set; without O(set_id) the newest one whose run has ended. Fails when there is none, and when that one is
      damaged; an older set is named then and never taken in silence. Giving O(set_id) chooses as well.
    type: bool
    default: false
  checksums:
    description: Read every file of the chosen set again and compare it with the set's C(SHA256SUMS). A difference fails.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: List all sets of a server
  seafleet.seafile.backup_set_info:
    backup_root: /srv/seafile-backup
    server: files.example.org

- name: Choose the newest set and check that nobody changed it
  seafleet.seafile.backup_set_info:
    backup_root: /srv/seafile-backup
    server: files.example.org
    choose: true
    checksums: true
"""

RETURN = r"""
servers:
  description: The sets of each server, newest first.
  returned: success
  type: dict
  contains:
    SERVER:
      description: A list of sets with C(set_id), C(state) (V(partial), V(sealed) or V(damaged)), C(path), C(reasons) and,
        from the manifest, C(began), C(sealed), C(engine), C(version), C(databases), C(libraries), C(bytes).
      type: list
      elements: dict
      returned: success
  sample:
    files.example.org:
      - set_id: 20261123T030000Z
        state: sealed
        path: /srv/seafile-backup/files.example.org/sets/20261123T030000Z
        reasons: []
set:
  description: The chosen set, one row of RV(servers).
  returned: when a set was chosen
  type: dict
manifest:
  description: The manifest of the chosen set.
  returned: when a set was chosen
  type: dict
paths:
  description:
    - Where the parts of the chosen set lie, C(root) (of the server's backup), C(set), C(databases), C(files), C(objects),
      C(seafile_dump) (the dump of the database that points at the objects), C(seafile_conf) (null when the set has none) and
      C(object_list) (where a list of the set's objects goes).
  returned: when a set was chosen
  type: dict
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: no-set
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import sets
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout


def _servers(backup_root):
    try:
        names = sorted(os.listdir(backup_root))
    except FileNotFoundError:
        return []
    # a name that no server can have is no server's directory
    return [name for name in names if not name.startswith(".") and name.isprintable() and os.path.isdir(os.path.join(backup_root, name, "sets"))]


def choose(rows, set_id, what):
    """Return the row of I(set_id), or of the newest set whose run has ended. It may be a damaged one: an older set is never taken in silence.

    :raises SeafileError: C(no-set), naming what there is.
    """
    ended = [row for row in rows if row["state"] != "partial"]
    have = f"sealed sets: {', '.join(row['set_id'] for row in ended[:5] if row['state'] == 'sealed') or 'none'}"
    if set_id is None:
        if not ended:
            raise SeafileError("no-set", what, "there is no sealed set", "make a backup first")
        return ended[0]
    for row in rows:
        if row["set_id"] == set_id:
            if row["state"] != "partial":
                return row
            reasons = "; ".join(row["reasons"]) or "its run has not ended well"
            raise SeafileError("no-set", set_id, f"the set is partial: {reasons} ({have})")
    raise SeafileError("no-set", set_id, f"there is no such set ({have})")


def parts(layout, row, manifest):
    """Return where the parts of a sealed set lie.

    :raises SeafileError: C(set-damaged) when the manifest names no dump of Seafile's own database.
    """
    databases = os.path.join(row["path"], "databases")
    files = os.path.join(row["path"], "files")
    dumps = [dump["file"] for dump in manifest["databases"] if dump.get("role") == "seafile"]
    if len(dumps) != 1:
        raise SeafileError("set-damaged", row["path"], f"the manifest names {len(dumps)} dumps of the database that points at the libraries")
    # 5 and newer keep it in conf, 4.4 and older beside the data
    places = (os.path.join(files, "conf", "seafile.conf"), os.path.join(files, "seafile-data", "seafile.conf"))
    return {
        "root": layout.root, "set": row["path"], "databases": databases, "files": files, "objects": layout.objects,
        "seafile_dump": os.path.join(databases, dumps[0]), "seafile_conf": next((place for place in places if os.path.isfile(place)), None),
        "object_list": layout.object_list(row["set_id"])}


def _whole_before(layout, rows, damaged):
    for row in rows:
        if row["set_id"] != damaged and row["state"] == "sealed" and not sets.check_sums(layout.sealed(row["set_id"])):
            return row["set_id"]
    return None


def inform(module):
    """Return the catalogue and, where asked, the chosen set."""
    params = module.params
    names = [params["server"]] if params["server"] else _servers(params["backup_root"])
    layouts = {name: ServerLayout(params["backup_root"], name) for name in names}
    result = {"changed": False, "servers": {name: sets.catalogue(layout) for name, layout in layouts.items()}}
    if not (params["choose"] or params["set_id"]):
        return result
    layout, rows = layouts[params["server"]], result["servers"][params["server"]]
    row = choose(rows, params["set_id"], layout.root)
    if params["checksums"] or row["state"] == "damaged":
        wrong = row["reasons"] or sets.check_sums(row["path"])
        if wrong:
            whole = _whole_before(layout, rows, row["set_id"])
            next_step = f"restore the set {whole}, the newest whole one" if whole else "there is no other whole set; ask for a restore by hand"
            raise SeafileError("set-damaged", row["path"], "; ".join(wrong[:5]), next_step, wrong=wrong[:100], newest_whole=whole)
    manifest = sets.read_manifest(row["path"])
    return dict(result, set=row, manifest=manifest, paths=parts(layout, row, manifest))


def main():
    module = AnsibleModule(
        argument_spec={
            "backup_root": {"type": "path", "required": True},
            "server": {"type": "str"},
            "set_id": {"type": "str"},
            "choose": {"type": "bool", "default": False},
            "checksums": {"type": "bool", "default": False},
        },
        required_by={"set_id": ["server"]},
        required_if=[("choose", True, ["server"])],
        supports_check_mode=True,
    )
    run_module(module, inform)


if __name__ == "__main__":
    main()
