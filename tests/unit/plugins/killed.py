# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that is killed at any change of the file system, played inside the test's own process."""

from __future__ import annotations

import os

NAMES = ("rename", "replace", "rmdir", "mkdir", "unlink", "chmod", "utime")


class Killed(BaseException):
    """What a SIGKILL looks like from inside: nothing that cleans up catches it."""


class Killer:
    """Ends the process before or after the I(turn)th change of the file system: from then on nothing changes, whoever wants to clean up.

    :ivar left: above 0: it was not killed, for the body makes fewer changes.
    """

    def __init__(self, monkeypatch, turn, after):
        self.left = turn
        for name in NAMES:
            monkeypatch.setattr(os, name, self._wrapped(getattr(os, name), after))

    def _wrapped(self, real, after):
        def call(*arguments, **options):
            self.left -= 1
            if self.left < 0 or (self.left == 0 and not after):
                raise Killed
            result = real(*arguments, **options)
            if self.left == 0:
                raise Killed
            return result

        return call
