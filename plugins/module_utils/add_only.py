# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that may add files to a directory and may neither replace nor remove any: held to it by the kernel (Landlock).

From Linux 5.19 on (its second revision, which knows of moving between directories), where the distribution has switched it on: Debian 12, Ubuntu
22.10, RHEL 9.6 and newer. Elsewhere the program runs as it is. Reading is not restricted. Numbers: include/uapi/linux/landlock.h; the system calls
have the same on all architectures.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import typing as t

_CREATE_RULESET, _VERSION, _LEAST = 444, 1, 2
_WRITE_FILE, _MAKE_DIR, _MAKE_REG, _REFER = 1 << 1, 1 << 7, 1 << 8, 1 << 13
# all that changes a file system: writing, removing, making of each kind, moving between directories
_HANDLED = _WRITE_FILE | sum(1 << bit for bit in range(4, 14))
_ADD = _MAKE_DIR | _MAKE_REG | _REFER

# Runs in a process of its own, which then becomes the program: rules in a thread of this one would bind it for ever.
_LAUNCHER = """
import ctypes, json, os, struct, sys
rules = json.loads(sys.argv[1])
call = ctypes.CDLL(None, use_errno=True)
word = ctypes.c_long
attributes = struct.pack("<Q", rules["handled"])
ruleset = call.syscall(word(444), attributes, word(len(attributes)), word(0))
for path, rights in rules["paths"]:
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    beneath = struct.pack("<Qi", rights, opened)
    if call.syscall(word(445), word(ruleset), word(1), beneath, word(0)) != 0:
        sys.exit("landlock: no rule for " + path)
if ruleset < 0 or call.prctl(38, word(1), word(0), word(0), word(0)) != 0 or call.syscall(word(446), word(ruleset), word(0)) != 0:
    sys.exit("landlock: it cannot be used")
os.execvp(sys.argv[2], sys.argv[2:])
"""


def is_available() -> bool:
    """Say whether this kernel can do it."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return bool(libc.syscall(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_long(0), ctypes.c_long(_VERSION)) >= _LEAST)
    except (OSError, AttributeError):
        return False


def words(directory: str, free: t.Sequence[str]) -> list[str]:
    """Return the words before a command that may then add to I(directory) and do whatever it likes in the directories I(free), and write nowhere else."""
    paths = [(directory, _ADD), *((path, _HANDLED) for path in free), ("/dev", _WRITE_FILE)]
    rules = {"handled": _HANDLED, "paths": [(os.path.realpath(path), rights) for path, rights in paths]}
    return [sys.executable or "python3", "-I", "-S", "-c", _LAUNCHER, json.dumps(rules)]
