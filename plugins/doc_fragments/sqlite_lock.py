# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How long SQLite's locks are waited for."""

    DOCUMENTATION = r"""
options:
  busy_timeout:
    description:
      - Seconds to wait for a SQLite database that is locked. Then the module fails with the code V(sqlite-locked) and names the processes.
    type: int
    default: 30
"""
