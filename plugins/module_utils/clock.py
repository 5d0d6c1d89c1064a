# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments as results and records hold them: ISO 8601 in UTC, to the second."""

from __future__ import annotations

import datetime

TIME = "%Y-%m-%dT%H:%M:%SZ"


def utc_now() -> datetime.datetime:
    """Return this moment, in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


def difference(asked: float, told: float, asked_here: float, here: float) -> float:
    """Return by how many seconds another host's clock is ahead of this host's; negative when it is behind.

    Neither host knows the other's time, so a third one, which asks both, writes down its own when it asks. Each clock then also holds the time that the
    question took to get there, some tenths of a second to some seconds, and the result is wrong by the difference of the two.

    :arg asked: the third host's time when the other host was asked; I(told) is what its clock said.
    :arg asked_here: the third host's time when this host was asked; I(here) is what the clock said here. All in seconds since 1970.
    """
    return (told - asked) - (here - asked_here)


def as_text(moment: datetime.datetime) -> str:
    """Return I(moment) as ISO 8601 in UTC, to the second."""
    return moment.astimezone(datetime.timezone.utc).strftime(TIME)


def as_time(text: str) -> datetime.datetime:
    """Return the moment that :func:`as_text` wrote."""
    return datetime.datetime.strptime(text, TIME).replace(tzinfo=datetime.timezone.utc)
