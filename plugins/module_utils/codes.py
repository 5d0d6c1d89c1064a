# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every stable failure code with its default next step.

The codes are an interface: people search for them and automation matches on them. A code is never
renamed or given another meaning; a new cause gets a new code. Sorted by name; a test holds the order, and that
every code raised anywhere stands here and every code here is raised somewhere.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "os-error": "read the cause, mend the file system or the rights, and run again",
}
