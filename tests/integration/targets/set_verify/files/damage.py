# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply one entry of damage.json to a file; as rot of a disk (rot_*) neither size nor time tell."""

from __future__ import annotations

import os
import sys

name, path = sys.argv[1:]
if name == "stray_files":
    with open(path, "wb") as stream:
        stream.write(b"left over")
    sys.exit()
status = os.stat(path)
with open(path, "rb") as stream:
    content = stream.read()
if name.startswith("rot_"):
    with open(path, "r+b") as stream:
        stream.write(content[:100] + bytes([content[100] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    sys.exit()
os.unlink(path)
if name.startswith("bitflip_"):
    content = content[:100] + bytes([content[100] ^ 1]) + content[101:]
elif name.startswith("truncated_"):
    content = content[:200]
else:
    sys.exit()
with open(path, "wb") as stream:
    stream.write(content)
os.chmod(path, status.st_mode & 0o777)
os.chown(path, status.st_uid, status.st_gid)
