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
  - Chooses a set on request, the one of O(set_id) or the newest verified one, and returns its manifest. It goes by what is
    recorded of the sets; M(seafleet.seafile.set_choice), which a restore uses, proves them now.
  - An older set is never taken in silence, each newer one that was passed over is returned with its reasons.
  - Runs on the backup host and changes nothing.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.server_backup]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  server:
    description: The server's name, which is its directory's name. Without it the sets of all servers are listed and none is chosen.
    required: false
  set_id:
    description: The set to choose. An unknown or partial one fails, and one whose manifest cannot be read. One that a verification
      found damaged is returned as such.
    type: str
  choose:
    description: Choose a set; without O(set_id) the newest verified one, else the newest that was sealed and never verified. Fails
      when there is none, and when all are damaged. Giving O(set_id) chooses as well.
    type: bool
    default: false
  checksums:
    description: Read every file of the chosen set again and compare it with the set's C(SHA256SUMS). A difference fails and names
      the newest whole set.
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
      description:
        - A list of sets with C(set_id), C(state), C(path), C(reasons) and, from the manifest, C(began), C(sealed), C(server), C(engine),
          C(version), C(databases), C(libraries), C(bytes).
        - The state is V(partial) while a run writes the set or when it was given up; V(sealed) for a set that is complete and was never
          verified; V(verified) or V(damaged) as the newest verification found, which may be later than the backup; V(damaged) also when
          the manifest cannot be read. C(reasons) say why it is partial or damaged.
        - C(verification) tells of that newest verification C(state), C(level), C(ended), C(findings_total), C(damaged_libraries) and
          C(reasons); null without one. What is damaged on the server itself is named there too and does not make a set damaged.
      type: list
      elements: dict
      returned: success
  sample:
    files.example.org:
      - set_id: 20261123T030000Z
        state: verified
        path: /srv/seafile-backup/files.example.org/sets/20261123T030000Z
        reasons: []
        verification: {state: verified, level: new, ended: "2026-11-23T03:04:05Z", findings_total: 0, damaged_libraries: [], reasons: []}
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
passed_over:
  description: Every set newer than the chosen one, with C(set_id), C(state) and C(reasons); empty with O(set_id).
  returned: when a set was chosen
  type: list
  elements: dict
  version_added: "0.2.0"
  sample: []
newest_whole:
  description: The newest other set whose files are as they were sealed; null when there is none.
  returned: with the code V(set-damaged)
  type: str
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: no-set
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import catalogue, set_order, set_use, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout


def pick(rows, set_id, what):
    """Return the row of I(set_id), or the one that a restore tries first: the newest verified set, else the newest sealed one.

    :raises SeafileError: C(no-set), naming what there is; C(set-damaged) when all are damaged, or when the manifest of I(set_id) cannot be read.
    """
    row = set_order.named(rows, set_id) if set_id is not None else None
    ended = set_order.require_ended(rows, what) if row is None else [row]
    best = row or next(iter(set_order.order(ended)), None)
    # a row without the manifest's values is that of a set whose manifest cannot be read
    if best is None or "began" not in best:
        worst = best or ended[0]
        raise SeafileError("set-damaged", worst["path"], "; ".join(worst["reasons"][:5]))
    return best


def _whole_before(layout, rows, damaged):
    for row in set_order.order(rows):
        if row["set_id"] != damaged and not sets.check_sums(layout.sealed(row["set_id"])):
            return row["set_id"]
    return None


def inform(module):
    """Return the catalogue and, where asked, the chosen set."""
    params = module.params
    names = [params["server"]] if params["server"] else catalogue.servers(params["backup_root"])
    layouts = {name: ServerLayout(params["backup_root"], name) for name in names}
    result = {"changed": False, "servers": {name: sets.catalogue(layout) for name, layout in layouts.items()}}
    if not (params["choose"] or params["set_id"]):
        return result
    layout, rows = layouts[params["server"]], result["servers"][params["server"]]
    try:
        row = pick(rows, params["set_id"], layout.root)
        use = set_use.Use(row["path"])
        wrong = sets.check_sums(row["path"]) if params["checksums"] else []
        if wrong:
            raise SeafileError("set-damaged", row["path"], "; ".join(wrong[:5]), wrong=wrong[:100])
    except SeafileError as error:
        if error.code != "set-damaged":
            raise
        whole = _whole_before(layout, rows, os.path.basename(error.what))
        next_step = f"restore the set {whole}, the newest whole one" if whole else "there is no other whole set; ask for a restore by hand"
        raise SeafileError(error.code, error.what, error.cause, next_step, **dict({"wrong": [error.cause]}, **error.details, newest_whole=whole)) from None
    manifest = sets.read_manifest(row["path"])
    use.end()
    over = [] if params["set_id"] else set_order.passed_over(rows, row, {})
    return dict(result, set=row, manifest=manifest, paths=set_order.parts(layout, row, manifest), passed_over=over)


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
