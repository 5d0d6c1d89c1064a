#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: run_result
short_description: Keep the result of a run over many servers
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Writes the result of a run, as M(seafleet.seafile.fleet_summary) returns it, to C(.seafleet/runs/<run id>.json) below the backup root, whole or
    not at all, mode 0600.
  - Where the backup root itself is missing, nothing is written; then no server was backed up to it.
  - Runs on the backup host. In check mode nothing is written.
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
  result:
    description: The result of the run.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Keep the result of the run
  seafleet.seafile.run_result:
    backup_root: /srv/seafile-backup
    result: "{{ summary.result }}"
  delegate_to: backup.example.org
"""

RETURN = r"""
path:
  description: The file; null where the backup root is missing.
  returned: success
  type: str
  sample: /srv/seafile-backup/.seafleet/runs/20261123T030000Z-1a2b.json
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: no-rights
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import layout, run_result
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module


def keep(module):
    """Write the result."""
    params = module.params
    run_id = params["result"].get("run_id")
    if not isinstance(run_id, str) or not run_result.is_run_id(run_id):
        raise SeafileError("result-invalid", "run_id", f"{run_id!r} is no id of a run")
    layout.require_backup_root(params["backup_root"])
    if not os.path.isdir(params["backup_root"]):
        return {"changed": False, "path": None}
    directory = layout.runs(params["backup_root"])
    path = os.path.join(directory, f"{run_id}.json")
    if not module.check_mode:
        make_private_directory(directory)
        write_json(path, params["result"])
    return {"changed": True, "path": path}


def main():
    module = AnsibleModule(
        argument_spec={
            "backup_root": {"type": "path", "required": True},
            "result": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    run_module(module, keep)


if __name__ == "__main__":
    main()
