# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: size
short_description: A number of bytes in words
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Returns a number of bytes as every report of this collection shows it, in units of a thousand. C(ansible.builtin.human_readable) gives units
    of 1024 the same names, so that one size would have two figures in one report.
options:
  _input:
    description: The number of bytes.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Say 42.5 MB
  ansible.builtin.debug:
    msg: "{{ 42488832 | seafleet.seafile.size }}"
"""

RETURN = r"""
_value:
  description: The size with its unit (V(bytes), V(KB), V(MB), V(GB) or V(TB)).
  type: str
  sample: 42.5 MB
"""

import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.words import size


class FilterModule:
    """The filter :func:`words.size`."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The name under which Ansible knows it."""
        return {"size": size}
