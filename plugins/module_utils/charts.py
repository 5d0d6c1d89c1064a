# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures as inline SVG: a strip of days, and bars over time. Pure functions.

Shapes are stretched to the width that there is (preserveAspectRatio none), so all text stands beside them as HTML. What a colour says, a
height or a pattern says too. The pattern C(HATCH) must stand once among the definitions of the page.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.markup import Markup, element, joined

HATCH = Markup(
    '<pattern id="hatch" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="hatch-ground" width="4" height="4"/><rect class="hatch-line" width="1.6" height="4"/></pattern>')
# state: (class of the shape, share of the height, word)
_DAYS = {
    "verified": ("ok", 1.0, "verified"), "sealed": ("plain", 0.62, "sealed, never verified"), "damaged": ("bad", 1.0, "damaged"),
    "partial": ("fail", 0.32, "failed"), "none": ("none", 0.08, "no set")}
_BEST_FIRST = ("verified", "sealed", "damaged", "partial")
_HEIGHT = 24
_CLOCK = (1, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 345600)


class Point(t.NamedTuple):
    """One bar: when, how much, in which state, and what is said of it."""

    at: datetime.datetime
    value: float
    state: str
    said: str


def best_of_days(marks: t.Iterable[tuple[datetime.date, str]], last: datetime.date, days: int) -> list[tuple[datetime.date, str]]:
    """Return for each of I(days) up to I(last) the best state of its sets, C(none) without any."""
    best: dict[datetime.date, str] = {}
    for day, state in marks:
        if day not in best or _BEST_FIRST.index(state) < _BEST_FIRST.index(best[day]):
            best[day] = state
    wanted = [last - datetime.timedelta(days=number) for number in range(days - 1, -1, -1)]
    return [(day, best.get(day, "none")) for day in wanted]


def said_of_days(days: t.Sequence[tuple[datetime.date, str]]) -> str:
    """Return a strip in words: C(last 30 days: 28 verified, 1 damaged, 1 no set)."""
    counts = [(sum(1 for _day, state in days if state == name), word) for name, (_class, _share, word) in _DAYS.items()]
    return f"last {len(days)} days: " + ", ".join(f"{count} {word}" for count, word in counts if count)


def strip(days: t.Sequence[tuple[datetime.date, str]]) -> Markup:
    """Return a strip with one bar a day."""
    shapes = []
    for number, (day, state) in enumerate(days):
        class_, share, word = _DAYS[state]
        height = _HEIGHT * share
        shapes.append(element("g", element("title", f"{day.isoformat()}: {word}"), element(
            "rect", class_=class_, x=f"{number + 0.12:g}", width="0.76", y=f"{_HEIGHT - height:g}", height=f"{height:g}")))
    return element("svg", *shapes, class_="strip", role="img", aria_label=said_of_days(days), viewBox=f"0 0 {len(days)} {_HEIGHT}",
                   preserveAspectRatio="none")


def ceiling(value: float) -> float:
    """Return the next number of the form 1, 2, 2.5 or 5 times a power of ten that is not below I(value): where an axis ends."""
    if value <= 0:
        return 1.0
    step = 1.0
    while step * 10 <= value:
        step *= 10
    while step > value:
        step /= 10
    return next(step * factor for factor in (1, 2, 2.5, 5, 10) if step * factor >= value * (1 - 1e-9))


def ceiling_of_time(seconds: float) -> float:
    """The same for an axis of seconds, whose steps are those of a clock."""
    return next((step for step in _CLOCK if step >= seconds), ceiling(seconds))


def bars(points: t.Sequence[Point], began: datetime.datetime, ended: datetime.datetime, top: float, label: str) -> Markup:
    """Return bars over time, from I(began) to I(ended): a night without a set is a gap.

    :arg points: oldest first.
    :arg top: where the axis ends, as :func:`ceiling` chooses it.
    """
    span = max(1.0, (ended - began).total_seconds())
    width = min(12.0, max(2.0, 1000 / max(1, len(points)) * 0.6))
    shapes: list[Markup] = [element("line", class_="grid", x1="0", x2="1000", y1=y, y2=y, vector_effect="non-scaling-stroke") for y in ("0.5", "50", "99.5")]
    for point in points:
        class_ = _DAYS[point.state][0]
        x = (point.at - began).total_seconds() / span * (1000 - width)
        height = max(1.5, point.value / top * 100)
        shapes.append(element("g", element("title", point.said), element(
            "rect", class_=class_, x=f"{x:.1f}", width=f"{width:.1f}", y=f"{100 - height:.1f}", height=f"{height:.1f}", vector_effect="non-scaling-stroke")))
    return element("svg", joined(*shapes), class_="bars", role="img", aria_label=label, viewBox="0 0 1000 100", preserveAspectRatio="none")
