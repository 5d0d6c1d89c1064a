# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: run_notice
short_description: What to tell others of a run
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Returns a notice of the result of a run, short enough for a chat and whole enough for a program.
options:
  _input:
    description: The result of a run, as M(seafleet.seafile.fleet_summary) returns it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Send a mail
  community.general.mail:
    to: admin@example.org
    subject: "Backups: {{ notice.event }}"
    body: "{{ notice.text }}"
  vars:
    notice: "{{ summary.result | seafleet.seafile.run_notice }}"
"""

RETURN = r"""
_value:
  description: C(event) (V(success), or V(failure) when a server failed, its set is damaged, or there was no server), C(text) (lines for people),
    C(run_id), C(playbook), C(began), C(ended), C(controller), C(totals), and C(servers) with what became of each.
  type: dict
  sample:
    event: failure
    text: "Seafile backup: 19 of 20 servers went well.\ncloud.example.org: failed: no-space: ..."
"""

import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.notices import of_run


class FilterModule:
    """The filter :func:`notices.of_run`."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The name under which Ansible knows it."""
        return {"run_notice": of_run}
