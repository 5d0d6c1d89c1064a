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


def as_text(moment: datetime.datetime) -> str:
    """Return I(moment) as ISO 8601 in UTC, to the second."""
    return moment.astimezone(datetime.timezone.utc).strftime(TIME)


def as_time(text: str) -> datetime.datetime:
    """Return the moment that :func:`as_text` wrote."""
    return datetime.datetime.strptime(text, TIME).replace(tzinfo=datetime.timezone.utc)
