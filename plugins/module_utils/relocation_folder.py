# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory whose content other people could have made: everything below is reached without following a link."""

from __future__ import annotations

import os
import stat
import typing as t

LARGEST = 1 << 20
"""Bytes of a file beyond which it is no configuration."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """The deployment's directory, opened once; everything below is reached without following a link."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._top = os.open(os.path.realpath(root), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *unused: t.Any) -> None:
        os.close(self._top)

    def _open(self, relative: str) -> int:
        descriptor = os.dup(self._top)
        for part in relative.split("/") if relative else []:
            try:
                below = os.open(part, _DIRECTORY, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = below
        return descriptor

    def files(self, relative: str, depth: int = 0) -> list[tuple[str, str]]:
        """Return path and kind (C(file), C(link), C(other)) of what is in the directory I(relative), down to I(depth) further directories."""
        try:
            descriptor = self._open(relative)
        except OSError:
            return []
        found = []
        try:
            for name in sorted(os.listdir(descriptor)):
                path = f"{relative}/{name}" if relative else name
                try:
                    mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
                except FileNotFoundError:
                    continue
                if stat.S_ISDIR(mode):
                    if depth > 0 and name != "__pycache__":
                        found += self.files(path, depth - 1)
                elif not (name.startswith(".") and name.endswith(".partial")):
                    found.append((path, "file" if stat.S_ISREG(mode) else "link" if stat.S_ISLNK(mode) else "other"))
        finally:
            os.close(descriptor)
        return found

    def read(self, relative: str) -> t.Optional[bytes]:
        """Return the content of the regular file I(relative); None for a link, a missing or a very large file."""
        folder, dummy, name = relative.rpartition("/")
        try:
            directory = self._open(folder)
        except OSError:
            return None
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        except OSError:
            return None
        finally:
            os.close(directory)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            return stream.read() if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST else None

    def look(self, relative: str, kind: str) -> t.Optional[bytes]:
        """Return where the link I(relative) leads, or the content of the file."""
        if kind != "link":
            return self.read(relative) if kind == "file" else None
        folder, dummy, name = relative.rpartition("/")
        try:
            directory = self._open(folder)
        except OSError:
            return None
        try:
            return os.fsencode(os.readlink(name, dir_fd=directory))
        except OSError:
            return None
        finally:
            os.close(directory)

    def write(self, relative: str, content: bytes) -> None:
        """Put I(content) in the place of the regular file I(relative), with its owner, group and mode.

        :raises OSError: it cannot be written; then the file is as it was.
        """
        folder, dummy, name = relative.rpartition("/")
        directory = self._open(folder)
        partial = f".{name}.partial"
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            try:
                os.unlink(partial, dir_fd=directory)
            except FileNotFoundError:
                pass
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                        os.fchown(descriptor, status.st_uid, status.st_gid)
                    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
                    os.fsync(descriptor)
                os.rename(partial, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                os.unlink(partial, dir_fd=directory)
                raise
            os.fsync(directory)
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.path.join(self.root, relative)) from error
        finally:
            os.close(directory)
