# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print a pip.conf with every setting that pip has here, from its files and from the environment (PIP_*)."""

from __future__ import annotations

import ast
import collections
import subprocess
import sys

settings: dict[str, dict[str, str]] = collections.defaultdict(dict)
listing = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
for line in listing.splitlines():
    name, found, value = line.partition("=")
    section, dot, key = name.rpartition(".")
    if found and dot:
        settings["global" if section == ":env:" else section][key] = str(ast.literal_eval(value))
for section, values in sorted(settings.items()):
    print(f"[{section}]")
    for key, value in sorted(values.items()):
        print(f"{key} = " + value.replace("\n", "\n    "))
