# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a directory with a library of a MANIFEST.json: every path, size, sha256, and the folders. Prints what differs."""

from __future__ import annotations

import hashlib
import json
import os
import sys


def main(manifest: str, library_id: str, dest: str) -> int:
    """Return 0 when they are equal."""
    with open(manifest, encoding="utf-8") as stream:
        library = next(library for library in json.load(stream)["libraries"] if library["id"] == library_id)
    found, folders = {}, []
    for top, names, files in os.walk(dest):
        folders += ["/" + os.path.relpath(os.path.join(top, name), dest) for name in names]
        for name in files:
            path = os.path.join(top, name)
            with open(path, "rb") as stream:
                content = stream.read()
            found["/" + os.path.relpath(path, dest)] = (len(content), hashlib.sha256(content).hexdigest())
    wanted = {path: (file["size"], file["sha256"]) for path, file in library["files"].items()}
    differ = sorted(path for path in set(wanted) | set(found) if wanted.get(path) != found.get(path)) + sorted(set(folders) ^ set(library["dirs"]))
    print("\n".join(differ) or f"equal: {len(found)} files, {len(folders)} folders")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
