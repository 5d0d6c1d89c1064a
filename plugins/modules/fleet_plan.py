#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_plan
short_description: Say in which order the servers of a run begin, and which are refused
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Begins a run over many servers. Of each backup host those servers come first that were never verified, then those whose last verified set
    is the oldest; the backup hosts take turns.
  - Refuses servers that would write into one backup (C(backup-shared)), and those whose backup host could not be reached (C(unreachable)).
    The others go on.
  - An action plugin alone, which runs on the controller, reaches no host and changes nothing.
extends_documentation_fragment: [seafleet.seafile.attributes]
attributes:
  check_mode:
    support: full
    details: In check mode every server may begin at once, whatever O(window) says.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  servers:
    description: The inventory names of the servers, such as C(ansible_play_hosts_all).
    type: list
    elements: str
    required: true
  known:
    description: What M(seafleet.seafile.fleet_info) returned for each backup host, the C(results) of a loop over the places that the filter
      P(seafleet.seafile.backup_places#filter) returns.
    type: list
    elements: dict
    default: []
  window:
    description: Seconds over which the beginnings are spread; V(0) for none.
    type: float
    default: 0
"""

EXAMPLES = r"""
- name: Ask each backup host
  seafleet.seafile.fleet_info:
    backup_root: "{{ item.backup_root }}"
    servers: "{{ item.servers }}"
  loop: "{{ ansible_play_hosts_all | seafleet.seafile.backup_places(hostvars) }}"
  delegate_to: "{{ item.backup_host }}"
  run_once: true
  failed_when: false
  register: asked

- name: Order the servers
  seafleet.seafile.fleet_plan:
    servers: "{{ ansible_play_hosts_all }}"
    known: "{{ asked.results }}"
  run_once: true
  register: plan
"""

RETURN = r"""
run_id:
  description: The id of the run, its beginning and four digits that keep the runs of several controllers apart.
  returned: success
  type: str
  sample: 20261123T030000Z-1a2b
began:
  description: When the run began, UTC, by the controller's clock.
  returned: success
  type: str
  sample: "2026-11-23T03:00:00Z"
controller:
  description: The name of the controller.
  returned: success
  type: str
  sample: control.example.org
order:
  description: The servers that are not refused, in their order, with C(server), C(backup_host), C(place) (from 1), C(begins) (when it may begin;
    null for at once), C(newest_verified) and C(newest_sealed).
  returned: success
  type: list
  elements: dict
  sample:
    - {server: files.example.org, backup_host: backup.example.org, place: 1, begins: null,
       newest_verified: 20261122T030000Z, newest_sealed: 20261122T030000Z}
refused:
  description: The servers that are not begun, and why, with C(code), C(message), C(backup_host), C(ended), and with C(kept), which
    says something where C(kept_known) is true.
  returned: success
  type: dict
  sample: {}
"""
