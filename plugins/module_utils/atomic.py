# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all: partial name, fsync, rename, fsync of the directory."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import subprocess
import typing as t


def sync_directory(path: str) -> None:
    """Flush the entries of the directory I(path), so that a rename or a new name in it survives a power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_systems(paths: t.Iterable[str]) -> None:
    """Flush the file systems that the I(paths) lie on: after many small files one flush instead of one for each.

    :raises OSError: it failed, so that nobody may call what was written safe.
    """
    arguments = sorted(set(paths))
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            ["sync", "-f", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    except FileNotFoundError:
        os.sync()
        return
    if done.returncode != 0:
        raise OSError(errno.EIO, f"sync -f failed ({done.stderr.decode('utf-8', 'replace').strip()})", arguments[0])


@contextlib.contextmanager
def replacing(path: str, mode: int = 0o600) -> t.Iterator[t.IO[bytes]]:
    """Give a stream to a partial name beside I(path), which takes the place of I(path) when the body ends well."""
    directory, name = os.path.split(path)
    partial = os.path.join(directory, f".{name}.partial")
    if os.path.lexists(partial):
        os.unlink(partial)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(partial, path)
    except BaseException:
        if os.path.lexists(partial):
            os.unlink(partial)
        raise
    sync_directory(directory)


def write_atomically(path: str, content: bytes, mode: int = 0o600) -> None:
    """Write I(content) to I(path), whole or not at all."""
    with replacing(path, mode) as stream:
        stream.write(content)


def write_json(path: str, value: t.Any, mode: int = 0o600) -> None:
    """Write I(value) as readable JSON to I(path), whole or not at all."""
    write_atomically(path, (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True) + "\n").encode("ascii"), mode)


def give(path: str, uid: int, gid: int, mode: int) -> None:
    """Give the file or directory I(path) to another account, -1 for unchanged, with I(mode).

    Never through a link, and never a file that has another name too: in a directory that belongs to that account already it could
    have put either in our file's place, to be given what is not its own. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not (stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1)):
            raise OSError(errno.EPERM, "another file was put in its place", path)
        if uid >= 0 or gid >= 0:
            os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)  # behind chown, which drops bits
    finally:
        os.close(descriptor)


def make_private_directory(path: str) -> bool:
    """Create the directory I(path) and its missing parents with mode 0700; return whether it was missing."""
    if os.path.isdir(path):
        return False
    old_umask = os.umask(0o077)
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    finally:
        os.umask(old_umask)
    return True
