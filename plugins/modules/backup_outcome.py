#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_outcome
short_description: Say what became of the backup of one server
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Makes one row of the result of a run out of what the stages of the role C(backup) returned, or out of the failure of one of them, and shows
    the report of the server.
  - Never fails for a server that failed; the role does that, or the summary of the run.
  - An action plugin alone, which runs on the controller, reaches no host and changes nothing.
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
  backup_host:
    description: The inventory's name of the backup host.
    type: str
    required: true
  began:
    description: When the run for this server began, UTC; now where it is not known.
    type: str
  failure:
    description: The result of the task that failed; left out when none did.
    type: dict
  begun:
    description: What M(seafleet.seafile.backup_set) returned when the set began.
    type: dict
  warmed:
    description: What M(seafleet.seafile.set_pull) returned before the dump.
    type: dict
  pulled:
    description: What M(seafleet.seafile.set_pull) returned after it.
    type: dict
  sealed:
    description: What M(seafleet.seafile.set_verify) returned when it sealed the set.
    type: dict
  verdict:
    description: The verification of the set.
    type: dict
  pruned:
    description: The ids of the sets that the run removed.
    type: list
    elements: str
    default: []
  warnings:
    description: What a person should know, one sentence each.
    type: list
    elements: str
    default: []
  kept:
    description: The id of the last good set before this run; none where there is none.
    type: str
  kept_known:
    description: Whether the backup host could be asked for O(kept).
    type: bool
    default: true
  report:
    description: The lines to show.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Say what became of the backup
  seafleet.seafile.backup_outcome:
    backup_host: backup.example.org
    began: "{{ looked.asked }}"
    begun: "{{ begun }}"
    pulled: "{{ pulled }}"
    sealed: "{{ sealed }}"
    verdict: "{{ sealed.sets[begun.set_id] }}"
  register: outcome
"""

RETURN = r"""
row:
  description: What became of the server, as the guide on fleets describes it.
  returned: success
  type: dict
  sample: {server: files.example.org, backup_host: backup.example.org, state: verified, set_id: 20261123T030000Z, code: null, message: null,
    began: "2026-11-23T03:00:00Z", ended: "2026-11-23T03:00:09Z", seconds: 9, bytes: 61234, new_objects: 12, new_bytes: 204800,
    kept: 20261123T030000Z, reasons: [], warnings: [], pruned: []}
good:
  description: Whether there is a new set that can be restored whole; in check mode, whether nothing stands in the way of one.
  returned: success
  type: bool
  sample: true
sentence:
  description: Why the server has no good set, what is kept and what to do, in one line that begins with the server; empty when RV(good).
  returned: success
  type: str
  sample: ""
report:
  description: The lines that were shown.
  returned: success
  type: list
  elements: str
  sample: ["files.example.org: set 20261123T030000Z is sealed and verified"]
"""
