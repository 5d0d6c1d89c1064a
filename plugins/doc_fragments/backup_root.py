# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Where the backups of all servers lie, for modules that look at all of them."""

    DOCUMENTATION = r"""
options:
  backup_root:
    description: The directory that holds the backups of all servers.
    type: path
    required: true
"""
