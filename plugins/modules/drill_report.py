#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_report
short_description: Judge a restore drill and keep its report
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Compares what a drill brought back with what the set holds, and writes the result beside the server's sets as C(drills/ID.json) and as
    a page for people, C(drills/ID.html).
  - Does not fail when the drill has failed. RV(state) says so, and the role C(drill) fails.
  - Runs on the backup host.
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
  id:
    description: The moment that the drill began, as a name, as M(seafleet.seafile.drill_place) returns it.
    type: str
    required: true
  facts:
    description: What is known of the drill, C(began), C(host), C(set_id), C(set_began), C(passed_over), C(removed).
    type: dict
    required: true
  reasons:
    description: Why the drill has failed, when that is known already.
    type: list
    elements: str
    default: []
  expected_rows:
    description: The rows of the set's dumps, as M(seafleet.seafile.row_counts) returns them.
    type: dict
    default: {}
  found_rows:
    description: The rows of the restored databases.
    type: dict
    default: {}
  expected_objects:
    description: The objects of the set, as M(seafleet.seafile.set_choice) returns them.
    type: dict
    default: {}
  found_objects:
    description: The objects that the restored databases reach, as M(seafleet.seafile.set_closure) returns them.
    type: dict
    default: {}
  libraries:
    description: The number of libraries.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Keep the report of a drill
  seafleet.seafile.drill_report:
    backup_root: /srv/seafile-backup
    server: files.example.org
    id: "{{ place.id }}"
    facts:
      began: "{{ place.began }}"
      host: drill.example.org
"""

RETURN = r"""
state:
  description: V(passed) or V(failed).
  returned: success
  type: str
  sample: passed
reasons:
  description: Why it failed.
  returned: success
  type: list
  elements: str
  sample: []
report:
  description: The report, as it stands in the JSON file.
  returned: success
  type: dict
lines:
  description: The report for people, a line each.
  returned: success
  type: list
  elements: str
  sample: ["The backup of files.example.org came back whole in 4 min 12 s."]
files:
  description: The files that were written.
  returned: success
  type: list
  elements: str
  sample: [/srv/seafile-backup/files.example.org/drills/20261123T030000Z.json, /srv/seafile-backup/files.example.org/drills/20261123T030000Z.html]
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import drill_report, set_comparison
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, write_atomically, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, require_set_id


def judge(params):
    """Return the report."""
    reasons = list(params["reasons"])
    expected, found = params["expected_rows"], params["found_rows"]
    complete = bool(expected and found and params["expected_objects"] and params["found_objects"])
    if complete:
        for database in sorted(set(expected) | set(found)):
            reasons += set_comparison.differing_rows(database, expected.get(database, {}), found.get(database, {}))
        reasons += set_comparison.differing_objects(params["expected_objects"], params["found_objects"])
    elif not reasons:
        reasons.append("the drill did not come to its comparison")
    facts = {"ended": as_text(utc_now()), **params["facts"]}
    if complete:
        totals = params["found_objects"].values()
        facts.update(libraries=params["libraries"], objects=sum(entry["files"] for entry in totals), bytes=sum(entry["bytes"] for entry in totals),
                     tables=sum(map(len, found.values())), rows=sum(sum(tables.values()) for tables in found.values()))
    return drill_report.report(params["server"], facts, reasons)


def keep(module):
    """Judge, and write."""
    params = module.params
    require_set_id(params["id"])
    layout = ServerLayout(params["backup_root"], params["server"])
    value = judge(params)
    files = [os.path.join(layout.drills, params["id"] + suffix) for suffix in (".json", ".html")]
    if not module.check_mode:
        make_private_directory(layout.drills)
        write_json(files[0], value)
        write_atomically(files[1], drill_report.page(value).encode("utf-8"))
    lines = [drill_report.verdict(value), *value["reasons"], *(f"{name}: {text}" for name, text in drill_report.lines(value))]
    return {"changed": True, "state": value["state"], "reasons": value["reasons"], "report": value, "lines": lines, "files": files}


def main():
    module = AnsibleModule(
        argument_spec={
            "backup_root": {"type": "path", "required": True},
            "server": {"type": "str", "required": True},
            "id": {"type": "str", "required": True},
            "facts": {"type": "dict", "required": True},
            "reasons": {"type": "list", "elements": "str", "default": []},
            "expected_rows": {"type": "dict", "default": {}},
            "found_rows": {"type": "dict", "default": {}},
            "expected_objects": {"type": "dict", "default": {}},
            "found_objects": {"type": "dict", "default": {}},
            "libraries": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    run_module(module, keep)


if __name__ == "__main__":
    main()
