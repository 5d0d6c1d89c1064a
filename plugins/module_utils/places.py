# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about places on a file system: what exists, what is free, what lies inside what."""

from __future__ import annotations

import os

KEPT = ".seafleet-before-"
"""How the name of a restore's safety copy inside a Seafile directory begins, where that directory cannot be renamed."""


def existing_parent(path: str) -> str:
    """Return I(path), as an absolute path, or its nearest parent that exists."""
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def missing_directories(path: str) -> list[str]:
    """Return I(path), an absolute path, and those above it that do not exist, the uppermost first."""
    missing: list[str] = []
    while not os.path.lexists(path):
        missing.insert(0, path)
        path = os.path.dirname(path)
    return missing


def free_bytes(path: str) -> int:
    """Return the bytes that an ordinary account may still write on the file system that holds, or will hold, I(path)."""
    statistics = os.statvfs(existing_parent(path))
    return statistics.f_bavail * statistics.f_frsize


def room(path: str) -> dict[str, int]:
    """Return what the file system that holds, or will hold, I(path) has: C(bytes), C(free_bytes), C(inodes), C(free_inodes).

    Free is what an ordinary account may still use. A file system that makes inodes as it needs them (btrfs) tells zero of them.
    """
    found = os.statvfs(existing_parent(path))
    return {
        "bytes": found.f_blocks * found.f_frsize, "free_bytes": found.f_bavail * found.f_frsize, "inodes": found.f_files, "free_inodes": found.f_favail}


def is_inside(path: str, directory: str) -> bool:
    """Say whether I(path) is I(directory) or lies below it, links resolved."""
    real, top = os.path.realpath(path), os.path.realpath(directory)
    return real == top or real.startswith(top.rstrip("/") + "/")
