#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: catalogue_info
short_description: Tell what a backup host has of all its servers
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Returns a short row for every set of every server below O(backup_root), with its state, times, sizes and reasons, the drills, what
    the last backup run gave, and the room that is left. What M(seafleet.seafile.fleet_report) makes its page of.
  - A file that cannot be read is told in C(problems) and fails nothing. An O(backup_root) that does not exist fails, for a disk that is not
    mounted must not look like a fleet without backups.
  - For the whole truth about the sets of one server see M(seafleet.seafile.backup_set_info).
  - Runs on the backup host and changes nothing. The servers may be down.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.backup_root]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  policies:
    description: What the inventory says of the retention of each server, as the filter P(seafleet.seafile.retention_policies#filter) returns it,
      so that it can be told which sets would be pruned next. For a server without it the defaults of M(seafleet.seafile.backup_retention) count.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: What is there?
  seafleet.seafile.catalogue_info:
    backup_root: /srv/seafile-backup
  delegate_to: backup.example.org
  register: catalogue

- name: Servers whose newest set is damaged
  ansible.builtin.debug:
    msg: "{{ catalogue.servers | selectattr('sets.0.state', 'equalto', 'damaged') | map(attribute='server') }}"
"""

RETURN = r"""
format:
  description: The version of this form.
  returned: success
  type: int
  sample: 1
looked:
  description: When it was looked.
  returned: success
  type: str
  sample: "2026-11-23T06:00:00Z"
backup_root:
  description: The directory.
  returned: success
  type: str
  sample: /srv/seafile-backup
room:
  description: What the file system has, and what an ordinary account may still use of it.
  returned: success
  type: dict
  sample: {bytes: 2000000000000, free_bytes: 850000000000, inodes: 120000000, free_inodes: 90000000}
servers:
  description:
    - Every server that has a backup there, with C(server), C(sets), C(states) (how many sets are in which state), C(drills), C(last_run),
      C(quarantine_files), C(goes) (the sets that would be pruned next, as far as their states tell), C(frozen) (why none would) and
      C(problems).
    - Of a set, newest first, C(set_id), C(state), C(began), C(ended) (sealed), C(seconds), C(bytes) (dumps and files), C(new_bytes) and
      C(new_objects) (objects that came with it), C(libraries), C(engine), C(version), C(checked) (when it was verified last), C(level),
      C(objects), C(findings), C(damaged_here), C(damaged_at_source) (numbers of libraries), C(reasons), C(warnings). What is not known is null.
      A partial set has C(set_id), C(state), C(began) and C(reasons) alone.
    - C(last_run) has C(state), C(code), C(message), C(began), C(ended), C(seconds), C(set_id), C(run_id); null when none is known.
  returned: success
  type: list
  elements: dict
  sample:
    - server: files.example.org
      sets:
        - set_id: 20261123T030000Z
          state: verified
          began: "2026-11-23T03:00:00Z"
          ended: "2026-11-23T03:04:05Z"
          seconds: 245
          bytes: 48211000
          new_bytes: 91200400
          new_objects: 312
          libraries: 214
          reasons: []
      states: {verified: 29, sealed: 0, damaged: 1, partial: 0}
      drills: []
      last_run: {state: verified, code: null, message: null, began: "2026-11-23T03:00:00Z", ended: "2026-11-23T03:04:05Z", seconds: 245,
                 set_id: 20261123T030000Z, run_id: 20261123T030000Z-5e1f}
      quarantine_files: 0
      goes: [20261001T030000Z]
      frozen: []
      problems: []
failed_before:
  description: Servers that have no directory there yet, with what their last run gave.
  returned: success
  type: list
  elements: dict
  sample: []
runs:
  description: The newest runs, with C(run_id), C(playbook), C(began), C(ended) and C(totals).
  returned: success
  type: list
  elements: dict
  sample: [{run_id: 20261123T030000Z-5e1f, playbook: backup, began: "2026-11-23T03:00:00Z", ended: "2026-11-23T03:09:00Z", totals: {servers: 20, verified: 20}}]
problems:
  description: What could not be read, one sentence each.
  returned: success
  type: list
  elements: str
  sample: []
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: backup-root
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import catalogue
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module


def inform(module):
    """Return the catalogue of this host."""
    root = module.params["backup_root"]
    if not os.path.isdir(root):
        # a disk that is not mounted must not look like a fleet without backups
        raise SeafileError("backup-root-missing", root, "there is no such directory on this host")
    return dict(catalogue.of_host(root, utc_now(), module.params["policies"]), changed=False)


def main():
    module = AnsibleModule(
        argument_spec={"backup_root": {"type": "path", "required": True}, "policies": {"type": "dict", "default": {}}}, supports_check_mode=True
    )
    run_module(module, inform)


if __name__ == "__main__":
    main()
