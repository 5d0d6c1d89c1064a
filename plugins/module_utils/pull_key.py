# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key on the backup host that opens one server, and its rotation.

A rotation has three steps, each of which may be the last before a run is killed: a new key is made beside the one in use; the server
authorises both, and the new one is tried; the new one takes the place of the old by one rename, and the server forgets the old. After every one of
them the key in use is one that the server knows.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, sync_directory, write_atomically
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

Run = t.Callable[[t.Sequence[str]], t.Tuple[int, str, str]]
"""Runs a command; returns (status, stdout, stderr)."""
_DAY = 86400.0


def next_key(path: str) -> str:
    """Where the new key lies while the one at I(path) is still in use."""
    return f"{path}.new"


def age_days(path: str) -> float:
    """The age in days of the key at I(path): nothing ever writes into it after it was made."""
    return max(0.0, time.time() - os.stat(path).st_mtime) / _DAY


def is_due(path: str, rotate: bool, max_age_days: float) -> bool:
    """Say whether a new key is wanted: by order, by age (0 for never), or because a rotation has begun that did not end."""
    return rotate or os.path.exists(next_key(path)) or (max_age_days > 0 and age_days(path) >= max_age_days)


def make(run: Run, path: str, ending: str) -> None:
    """Make a key at I(path) with the comment I(ending): whole or not at all."""
    directory = os.path.dirname(path)
    make_private_directory(directory)
    work = tempfile.mkdtemp(prefix=".seafleet-key-", dir=directory)
    try:
        made = os.path.join(work, "key")
        status, dummy, stderr = run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", ending, "-f", made])
        if status != 0:
            raise SeafileError("key-unusable", path, f"ssh-keygen failed: {stderr.strip()[:300]}")
        os.rename(f"{made}.pub", f"{path}.pub")
        os.rename(made, path)
        sync_directory(directory)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def public_half(run: Run, path: str) -> str:
    """Return the public key of the private one at I(path). Raises C(key-unusable)."""
    status, stdout, stderr = run(["ssh-keygen", "-y", "-P", "", "-f", path])
    words = stdout.split()
    if status != 0 or len(words) < 2:
        raise SeafileError("key-unusable", path, f"ssh-keygen cannot read it: {stderr.strip()[:300]}")
    return " ".join(words[:2])


def promote(run: Run, path: str, ending: str) -> bool:
    """Let the new key take the place of the one in use; return whether there was one."""
    if not os.path.exists(next_key(path)):
        return False
    public = public_half(run, next_key(path))
    os.replace(next_key(path), path)
    write_atomically(f"{path}.pub", f"{public} {ending}\n".encode("ascii", "replace"), 0o644)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{next_key(path)}.pub")
    return True


def remove(paths: t.Iterable[str]) -> list[str]:
    """Remove files, and their directory when nothing else is in it; return what was there."""
    gone = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
            gone.append(path)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(path))
    return gone
