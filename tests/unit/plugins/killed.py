# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that is killed at any change of the file system, played inside the test's own process."""

from __future__ import annotations

import os

NAMES = ("rename", "replace", "rmdir", "mkdir", "unlink", "chmod", "utime")


class _Killed(BaseException):
    """What a SIGKILL looks like from inside: nothing that cleans up catches it."""


def is_killed(monkeypatch, turn, after, run):
    """Call I(run), and kill it before or after its I(turn)th change of the file system: from then on nothing changes, whoever wants to clean up.

    Returns whether it was killed: False when it makes fewer changes.
    """
    left = turn

    def wrapped(real):
        def call(*arguments, **options):
            nonlocal left
            left -= 1
            if left < 0 or (left == 0 and not after):
                raise _Killed
            result = real(*arguments, **options)
            if left == 0:
                raise _Killed
            return result

        return call

    with monkeypatch.context() as patch:
        for name in NAMES:
            patch.setattr(os, name, wrapped(getattr(os, name)))
        try:
            run()
        except _Killed:
            return True
    assert left > 0, "something has caught the kill"
    return False
