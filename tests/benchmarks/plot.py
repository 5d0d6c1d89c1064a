# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines over logarithmic axes as SVG, with the standard library alone; readable on light and on dark pages."""

from __future__ import annotations

import math
import typing as t
from xml.sax.saxutils import escape

Series = t.Dict[str, t.List[t.Tuple[float, float]]]

WIDTH, HEIGHT = 330, 250  # of the area within the axes of one panel
LEFT, TOP, GAP, LEGEND, COLUMNS = 52, 42, 56, 26, 2
ROW = TOP + HEIGHT + 42
LIGHT = ("#b3261e", "#0b57d0", "#0b8043", "#8430ce", "#b06000", "#5f6368")
DARK = ("#ff8a80", "#8ab4f8", "#81c995", "#d7aefb", "#fdd663", "#bdc1c6")
MARKS = ("M-4,-4h8v8h-8z", "M0,-5L5,4H-5z", "M-4.5,0L0,-4.5L4.5,0L0,4.5z", "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0", "M0,5L5,-4H-5z", "M-5,-1.5h10v3h-10z")


def _style() -> str:
    def rules(page: str, text: str, lines: str, colors: t.Sequence[str]) -> str:
        return (f".page{{fill:{page}}}text{{fill:{text}}}.axis{{stroke:{text}}}.grid{{stroke:{lines}}}"
                + "".join(f".s{number}{{stroke:{color}}}.m{number}{{fill:{color}}}" for number, color in enumerate(colors)))
    return (f"<style>text{{font:12px sans-serif}}.title{{font-weight:bold}}.line{{fill:none;stroke-width:2}}{rules('#fff', '#202124', '#dadce0', LIGHT)}"
            f"@media(prefers-color-scheme:dark){{{rules('#0d1117', '#e8eaed', '#3c4043', DARK)}}}</style>")


def label(value: float) -> str:
    """A number for an axis: 100 k, 1 M, 0.5."""
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten from I(low) to I(high), and one on each side."""
    steps = [factor * 10.0 ** power for power in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1) for factor in (1, 2, 5)]
    first = max(index for index, step in enumerate(steps) if step <= low)
    last = next((index for index, step in enumerate(steps) if step >= high), len(steps) - 1)
    return steps[first:max(last, first + 1) + 1]


def svg(panels: t.Sequence[tuple[str, Series]], x_title: str, y_title: str) -> str:
    """Two panels in a row, all over the same axes; the same name has the same colour and mark in all of them."""
    points = [point for dummy, series in panels for line in series.values() for point in line]
    if not points:
        raise ValueError("there is nothing to plot")
    xs, ys = sorted({x for x, dummy in points}), ticks(min(y for dummy, y in points), max(y for dummy, y in points))
    names = list(dict.fromkeys(name for dummy, series in panels for name in series))
    low, high = math.log(xs[0]), math.log(xs[-1]) if len(xs) > 1 else math.log(xs[0]) + 1
    bottom, top = math.log(ys[0]), math.log(ys[-1])
    width = LEFT + min(len(panels), COLUMNS) * (WIDTH + GAP) - GAP // 2
    height = math.ceil(len(panels) / COLUMNS) * ROW + LEGEND
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">', _style(),
             f"<title>{escape(y_title)} against {escape(x_title)}</title>", '<rect class="page" width="100%" height="100%"/>']
    for number, (title, series) in enumerate(panels):
        left, up = LEFT + number % COLUMNS * (WIDTH + GAP), TOP + number // COLUMNS * ROW

        def place(x: float, y: float, left: int = left, up: int = up) -> tuple[float, float]:
            return left + 12 + (WIDTH - 24) * (math.log(x) - low) / (high - low), up + HEIGHT * (1 - (math.log(y) - bottom) / (top - bottom))

        parts.append(f'<text class="title" x="{left}" y="{up - 24}">{escape(title)}</text><text x="{left}" y="{up - 10}">{escape(y_title)}</text>')
        for y in ys:
            height_of = place(xs[0], y)[1]
            parts.append(f'<path class="grid" d="M{left},{height_of:.1f}h{WIDTH}"/>'
                         f'<text x="{left - 6}" y="{height_of + 4:.1f}" text-anchor="end">{label(y)}</text>')
        for x in xs:
            parts.append(f'<text x="{place(x, ys[0])[0]:.1f}" y="{up + HEIGHT + 16}" text-anchor="middle">{label(x)}</text>')
        parts.append(f'<path class="axis" fill="none" d="M{left},{up}v{HEIGHT}h{WIDTH}"/>'
                     f'<text x="{left + WIDTH / 2}" y="{up + HEIGHT + 32}" text-anchor="middle">{escape(x_title)}</text>')
        for name, line in series.items():
            index = names.index(name) % len(LIGHT)
            places = [place(x, y) for x, y in sorted(line)]
            parts.append(f'<path class="line s{index}" d="M{"L".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>')
            parts.extend(f'<path class="m{index}" transform="translate({x:.1f},{y:.1f})" d="{MARKS[index]}"/>' for x, y in places)
    x_of = LEFT
    for number, name in enumerate(names):
        index = number % len(LIGHT)
        y_of = height - LEGEND + 8
        parts.append(f'<path class="m{index}" transform="translate({x_of},{y_of})" d="{MARKS[index]}"/>'
                     f'<text x="{x_of + 10}" y="{y_of + 4}">{escape(name)}</text>')
        x_of += 34 + 7 * len(name)
    return "\n".join([*parts, "</svg>", ""])
