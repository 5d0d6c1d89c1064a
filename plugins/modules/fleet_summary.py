#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_summary
short_description: Sum up a run over many servers, as a table for people and a result for programs
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Gathers what became of every server of the run, shows a table that is read in ten seconds, the worst first, and returns the whole as one
    result. A server that left no word counts as failed.
  - Never fails for a server that failed; the tasks behind it do.
  - An action plugin alone, which runs on the controller and reaches no host.
extends_documentation_fragment: [seafleet.seafile.attributes]
attributes:
  check_mode:
    support: full
    details: In check mode O(result_file) is not written.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  plan:
    description: What M(seafleet.seafile.fleet_plan) returned at the beginning of the run.
    type: dict
    required: true
  servers:
    description: The inventory names of all servers of the run, such as C(ansible_play_hosts_all).
    type: list
    elements: str
    required: true
  variable:
    description: The name of the variable in which each server's run has registered its result, which has C(row) and C(sentence) as
      M(seafleet.seafile.backup_outcome) returns them.
    type: str
    required: true
  playbook:
    description: What the run was.
    type: str
    default: backup
  result_file:
    description: A file on the controller that receives the result as JSON, mode 0600, whole or not at all. One that cannot be written is a
      warning, for the servers' verdicts are the same without it.
    type: path
"""

EXAMPLES = r"""
- name: Sum up the run
  seafleet.seafile.fleet_summary:
    plan: "{{ plan }}"
    servers: "{{ ansible_play_hosts_all }}"
    variable: outcome
  run_once: true
  register: summary
"""

RETURN = r"""
result:
  description: The result of the run, as the guide on fleets describes it.
  returned: success
  type: dict
  sample: {format: 1, run_id: 20261123T030000Z-1a2b, playbook: backup, began: "2026-11-23T03:00:00Z", ended: "2026-11-23T03:01:00Z",
    controller: control.example.org, servers: [], totals: {servers: 0, verified: 0, sealed: 0, damaged: 0, failed: 0, bytes: 0, new_bytes: 0}}
table:
  description: The table as lines, plain ASCII.
  returned: success
  type: list
  elements: str
  sample: ["backup 20261123T030000Z-1a2b: 2 of 2 servers verified; 1 min, 12.3 MB new"]
stats:
  description: The part of the result that is handed to C(set_stats).
  returned: success
  type: dict
  sample: {seafleet_run: {run_id: 20261123T030000Z-1a2b, totals: {}, servers: {}}}
failures:
  description: The servers without a good set, and why, in one line each.
  returned: success
  type: dict
  sample: {}
places:
  description: The places that keep backups of the servers of this run, as the filter P(seafleet.seafile.backup_places#filter) returns them.
  returned: success
  type: list
  elements: dict
  sample:
    - {backup_host: backup.example.org, backup_root: /srv/seafile-backup, servers: [files.example.org]}
path:
  description: The file of O(result_file) that was written; null without one.
  returned: success
  type: str
  sample: /var/log/seafleet.json
"""
