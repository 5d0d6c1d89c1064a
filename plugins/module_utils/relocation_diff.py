# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed in a text, for people and logs: changed lines alone, without what looks like a secret. Pure functions."""

from __future__ import annotations

import difflib
import re

from ansible_collections.seafleet.seafile.plugins.module_utils.relocation_syntax import MASK, is_secret

_LONGEST_LINE = 2000
_NAMED = re.compile(r"([\w-]*(?:passw|pwd|secret|token|private|credential|key|salt)[\w-]*)(['\"\]]*\s*(?:=>|[:=,])\s*)(?!\*{8})(\S.*)", re.IGNORECASE)
_USER = re.compile(r"(://[^/\s:@'\"]*:)[^@\s'\"]+@")


def changed_lines(before: str, after: str) -> tuple[str, str]:
    """Return the lines of each text that the other does not have in that place, with whatever looks like a secret masked.

    Unchanged lines are left out, for they hold secrets too.
    """
    old, new = before.splitlines(), after.splitlines()
    result: tuple[list[str], list[str]] = ([], [])
    for kind, start, end, new_start, new_end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            result[0].extend(old[start:end])
            result[1].extend(new[new_start:new_end])
    first, second = ("".join(f"{masked_line(line)}\n" for line in lines) for lines in result)
    return first, second


def masked_line(line: str) -> str:
    """Return one line with the value behind a name that sounds like a secret masked, and the password in a URL."""
    line = line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + " [...]"
    line = _NAMED.sub(lambda found: found.group(0) if not is_secret(found.group(1)) else found.group(1) + found.group(2) + MASK, line)
    return _USER.sub(lambda found: f"{found.group(1)}{MASK}@", line)
