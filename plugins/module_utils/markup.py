# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTML and SVG put together out of elements. Whatever is not :class:`Markup` is text and is escaped, so that no name can become markup."""

from __future__ import annotations

import html
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import printable

_EMPTY = frozenset(("br", "hr", "img", "link", "meta", "path", "rect", "line", "circle"))


class Markup(str):
    """Text that is markup already. Made by :func:`element` and :func:`joined`; of a constant by itself."""

    __slots__ = ()


Child = t.Union[None, str, int, float, Markup]


def text(value: t.Any) -> Markup:
    """Return I(value) as text: markup characters escaped, control characters (terminal escapes, direction marks) written as escapes."""
    return value if isinstance(value, Markup) else Markup(html.escape(printable(str(value))))


def joined(*children: Child, separator: str = "") -> Markup:
    """Return I(children) one after the other; None is left out."""
    return Markup(str(text(separator)).join(text(child) for child in children if child is not None))


def element(tag: str, *children: Child, **attributes: t.Any) -> Markup:
    """Return an element. In names of attributes C(_) is a dash, and one at the end is dropped (C(class_)); None is left out, True has no value."""
    parts = [tag]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        name = name.rstrip("_").replace("_", "-")
        parts.append(name if value is True else f'{name}="{text(value)}"')
    opening = " ".join(parts)
    if tag in _EMPTY:
        return Markup(f"<{opening}/>")
    return Markup(f"<{opening}>{joined(*children)}</{tag}>")
