# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers in words: sizes, lengths of time, counts. Pure functions."""

from __future__ import annotations

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def size(number: float) -> str:
    """Return I(number), of bytes, in units of a thousand: C(999 bytes), C(1.5 GB)."""
    value = float(number)
    for unit in ("bytes", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def duration(seconds: int | None) -> str:
    """Return I(seconds) as the two largest units that are needed: C(2 d 3 h), C(4 min 12 s)."""
    if seconds is None:
        return "unknown"
    left, words = seconds, []
    for unit_seconds, unit in _UNITS:
        if left >= unit_seconds or (unit == "s" and not words):
            words.append(f"{left // unit_seconds} {unit}")
            left %= unit_seconds
        elif words:
            break
        if len(words) == 2:
            break
    return " ".join(words)


def count(number: int, noun: str) -> str:
    """Return I(number) with its noun: C(1 object), C(2 objects)."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def several(number: int, one: str, more: str) -> str:
    """The same with a plural of its own: C(several(2, "library", "libraries"))."""
    return f"{number} {one if number == 1 else more}"
