# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The directory of one Seafile deployment."""

    DOCUMENTATION = r"""
options:
  seafile_root:
    description: The Seafile directory, which Seafile calls haiwen, an absolute path. It holds C(conf) (or C(ccnet)), C(seafile-data) and
      the programs.
    type: path
    required: true
"""
