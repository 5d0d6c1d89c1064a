#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_turn
short_description: Wait on the controller until a server may begin
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Waits until a moment, and shows how long that will be. No host is reached; with the strategy C(host_pinned) the server that waits holds its
    own fork and nobody else's.
  - An action plugin alone, which runs on the controller.
extends_documentation_fragment: [seafleet.seafile.attributes]
attributes:
  check_mode:
    support: full
    details: In check mode nobody waits.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  begins:
    description: The moment, UTC, such as V(2026-11-23T03:00:00Z). One that has gone by is not waited for.
    type: str
    required: true
  place:
    description: The server's place in the order of the run, which is shown.
    type: int
"""

EXAMPLES = r"""
- name: Wait for this server's turn
  seafleet.seafile.fleet_turn:
    begins: "{{ turn.begins }}"
"""

RETURN = r"""
waited:
  description: Seconds that were waited.
  returned: success
  type: int
  sample: 720
"""
