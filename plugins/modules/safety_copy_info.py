#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: safety_copy_info
short_description: List what restores and rollbacks put aside, and tell what a rollback would meet
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Lists the safety copies of a server with their path, size, age, what they hold and whether they are whole. Changes nothing.
  - With O(rollback=true) tells which copy M(seafleet.seafile.safety_copy) would bring back, and all that is in the way, at once.
  - Runs on the server.
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
  state_dir:
    description: The directory of the server's restore records, which holds the safety copies.
    type: path
    required: true
  sizes:
    description: Whether to tell the size of each copy. Every file of the directories that were set aside is looked at for that.
    type: bool
    default: true
  prove:
    description: Whether to read the dumps of every copy to their end, and compare their checksums. Otherwise only their sizes are looked at.
      The copy that a rollback would bring back is proven always.
    type: bool
    default: false
  rollback:
    description: Whether to look at what a rollback would do and what is in its way.
    type: bool
    default: false
  moment:
    description: The copy that the rollback would bring back, such as V(20261124T081500Z). By default the newest one that a restore made.
    type: str
  name:
    description: The server's name, which O(confirm) must equal. Needed with O(rollback=true).
    type: str
  confirm:
    description: What the user gave as confirmation.
    type: str
    default: ""
  can_stop:
    description: Whether Seafile will be stopped by the rollback. Otherwise a running one is a problem.
    type: bool
    default: false
  login_user:
    description: The account that may create and drop databases, for copies that hold dumps.
"""

EXAMPLES = r"""
- name: What was put aside here?
  seafleet.seafile.safety_copy_info:
    seafile_root: /opt/seafile
    state_dir: /var/lib/seafleet/files.example.org
"""

RETURN = r"""
copies:
  description: All safety copies, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    moment:
      description: When it was made (UTC), by which it is named.
      type: str
      sample: 20261124T081500Z
    made_by:
      description: V(restore) or V(rollback); null for a copy without a record.
      type: str
      sample: restore
    set_id:
      description: The set that was restored after it.
      type: str
      sample: 20261123T030000Z
    rollback_to:
      description: With V(made_by=rollback) the copy that was brought back after it.
      type: str
      sample: null
    path:
      description: Its directory, with the record and the dumps.
      type: str
      sample: /var/lib/seafleet/files.example.org/before-20261124T081500Z
    directory:
      description: Where the Seafile directory lies that was set aside; null when there was none, or when it was brought back.
      type: str
      sample: /opt/seafile.before-20261124T081500Z
    bytes:
      description: Bytes of both, each file once. Null without O(sizes).
      type: int
      sample: 42488201
    age_seconds:
      description: Seconds since it was made.
      type: int
      sample: 86400
    holds:
      description: What it holds, one phrase each.
      type: list
      elements: str
      sample: ["the Seafile directory (9 entries, with seafile-server-11.0.13)", "database seafile-db (27 tables)"]
    databases:
      description: The MySQL databases that it holds, each with C(name), C(tables) and C(bytes).
      type: list
      elements: dict
      sample: [{name: seafile-db, tables: 27, bytes: 4877}]
    programs:
      description: Directories of Seafile's programs in it.
      type: list
      elements: str
      sample: [seafile-server-11.0.13]
    owner:
      description: C(user) and C(group) of the Seafile directory.
      type: dict
      sample: {user: seafile, group: seafile}
    running:
      description: Whether Seafile was running when it was made.
      type: bool
      sample: true
    whole:
      description: Whether it can be brought back.
      type: bool
      sample: true
    reasons:
      description: Why not, one phrase each.
      type: list
      elements: str
      sample: []
    empty:
      description: Whether there was nothing to keep, so that there is nothing to go back to.
      type: bool
      sample: false
    unfinished:
      description: Whether what it holds was left by a restore or rollback that had not ended. Such a copy is brought back only by its moment.
      type: bool
      sample: false
    brought_back:
      description: When it was brought back (C(at)), and the copy of what was there then (C(kept_as)); null when it was not.
      type: dict
      sample: null
report:
  description: The same for people, one line each.
  returned: success
  type: list
  elements: str
  sample: ["20261124T081500Z (1 day old, 42.5 MB) from before the restore of the set 20261123T030000Z: the Seafile directory (9 entries)
    in /opt/seafile.before-20261124T081500Z"]
chosen:
  description: The copy that a rollback would bring back, as in RV(copies); null without O(rollback), or when there is none.
  returned: success
  type: dict
  sample: null
already:
  description: Whether that copy was brought back already and nothing is left to do.
  returned: success
  type: bool
  sample: false
interrupted:
  description: Whether a rollback to that copy was interrupted and will be continued.
  returned: success
  type: bool
  sample: false
running:
  description: Programs of Seafile that run on the server.
  returned: success
  type: list
  elements: dict
  sample: []
owner:
  description: The user that owns the Seafile directory as it is now, else the one of the chosen copy, else null.
  returned: success
  type: str
  sample: seafile
problems:
  description: What is in the way of a rollback, each with C(code), C(message), C(what), C(cause) and C(next_step).
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import deployment, rollback_run, safety_copies
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.restore_login import LOGIN_ARGUMENTS, login


def inform(module):
    """Return the catalogue, and what a rollback would meet."""
    params = module.params
    root, state_dir, now = params["seafile_root"], params["state_dir"], utc_now()
    rows = [safety_copies.describe(state_dir, moment, now, params["sizes"], params["prove"]) for moment in safety_copies.moments(state_dir)]
    owner = deployment.owner_of(root)
    result = {"changed": False, "copies": rows, "report": [safety_copies.in_words(row) for row in rows], "chosen": None, "already": False,
              "interrupted": False, "running": deployment.running([root]),
              "owner": owner["user"] if owner else None, "problems": []}
    if params["rollback"]:
        problems = list(_rollback(params, result, now))
        result["problems"] = [problem.as_problem() for problem in problems]
    return result


def _rollback(params, result, now):
    """Put what a rollback would do into I(result), and yield what is in its way."""
    root, name = params["seafile_root"], params["name"]
    try:
        work = rollback_run.Rollback(params["state_dir"], root, params["moment"] or None, login(params), now)
    except SeafileError as error:
        yield error
    else:
        result["chosen"] = next((row for row in result["copies"] if row["moment"] == work.copy["moment"]), None)
        result["already"] = work.already
        if work.already:
            return
        result["interrupted"] = work.continued
        result["owner"] = result["owner"] or (work.copy.get("owner") or {}).get("user")
    if params["confirm"] != name:
        given = f"rollback_confirm is {params['confirm']!r}" if params["confirm"] else "rollback_confirm is not given"
        yield SeafileError("rollback-not-confirmed", name, f"a rollback replaces what is there, and {given}",
                           f"give -e rollback_confirm={name}; what is there becomes a safety copy itself")
    if result["running"] and not params["can_stop"]:
        try:
            rollback_run.require_stopped(root)
        except SeafileError as error:
            yield error


def main():
    module = AnsibleModule(
        argument_spec=dict(
            seafile_root={"type": "path", "required": True},
            state_dir={"type": "path", "required": True},
            sizes={"type": "bool", "default": True},
            prove={"type": "bool", "default": False},
            rollback={"type": "bool", "default": False},
            moment={"type": "str"},
            name={"type": "str"},
            confirm={"type": "str", "default": ""},
            can_stop={"type": "bool", "default": False},
            **LOGIN_ARGUMENTS,
        ),
        required_if=[("rollback", True, ["name"])],
        supports_check_mode=True,
    )
    run_module(module, inform)


if __name__ == "__main__":
    main()
