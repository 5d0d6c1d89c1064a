# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Which backup it is: that of one server, below the directory of all."""

    DOCUMENTATION = r"""
options:
  backup_root:
    description: The directory that holds the backups of all servers.
    type: path
    required: true
  server:
    description: The server's name, which is its directory's name.
    type: str
    required: true
"""
