# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings that Seahub keeps in its database (table C(constance_config)), in the three forms they are met in. Pure functions.

* A pickled string in base64 (django-picklefield, in Seahub's own copy of constance).
* JSON (newer releases of constance): the plain value, or C({"__type__": "default", "__value__": ...}).
* Plain text, as setup scripts write it.

A pickle is taken apart by its opcodes and never loaded: one that does anything but hold one string is left alone.
"""

from __future__ import annotations

import base64
import binascii
import json
import pickle
import pickletools
import typing as t

_BYTES = ("STRING", "BINSTRING", "SHORT_BINSTRING")
_STRINGS = ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8") + _BYTES
_HARMLESS = ("PROTO", "FRAME", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "STOP")
_LARGEST = 1 << 20


class NotText(Exception):
    """The value holds no text that could be replaced, or is of a form that is not known here."""


def read(value: str) -> tuple[str, t.Any]:
    """Return the form (C(json), C(pickle), C(text)) and the content of the stored I(value).

    :raises NotText: a pickle of anything but one string.
    """
    if len(value) > _LARGEST:
        raise NotText
    try:
        return "json", json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        raw = base64.b64decode(value.strip().encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        return "text", value
    # a text may look like base64 by chance, a pickle ends with its stop sign
    return ("pickle", unpickled(raw)) if raw.endswith(b".") and _is_pickle(raw) else ("text", value)


def _operations(raw: bytes) -> list[tuple[str, t.Any]]:
    return [(operation.name, argument) for operation, argument, dummy in pickletools.genops(raw)]


def _is_pickle(raw: bytes) -> bool:
    try:
        return bool(_operations(raw))
    except Exception:  # pylint: disable=broad-except
        return False  # the parser raises whatever its pieces raise on bytes that are no pickle


def unpickled(raw: bytes) -> str:
    """Return the one string that the pickle I(raw) holds, without loading it.

    :raises NotText: it holds something else.
    """
    try:
        operations = _operations(raw)
    except Exception:  # pylint: disable=broad-except
        raise NotText from None
    found = [(name, argument) for name, argument in operations if name in _STRINGS]
    if len(found) != 1 or any(name not in _STRINGS + _HARMLESS for name, dummy in operations) or not isinstance(found[0][1], str):
        raise NotText
    name, text = found[0]
    if name in _BYTES and not text.isascii():
        raise NotText  # bytes of Python 2, whose encoding nothing tells
    return text


def replaced(value: str, replace: t.Callable[[str], str]) -> str:
    """Return the stored I(value) in its form, with I(replace) applied to every text in it; I(value) itself where nothing changes.

    :raises NotText: as :func:`read`.
    """
    form, content = read(value)
    try:
        now = _each(content, replace)
    except RecursionError:
        raise NotText from None
    if now == content:
        return value
    if form == "text":
        return now
    if form == "json":
        return json.dumps(now, ensure_ascii=value.isascii(), separators=None if ": " in value or ", " in value else (",", ":"))
    raw = base64.b64decode(value.strip())
    protocol = raw[1] if raw[:1] == b"\x80" else 0
    return base64.b64encode(pickle.dumps(now, protocol=min(protocol, 4))).decode("ascii")


def texts(value: str) -> list[str]:
    """Return every text in the stored I(value); empty for what cannot be read.

    Bytes of a form that is not known come as text too, so that a name in them is found.
    """
    try:
        dummy, content = read(value)
    except NotText:
        try:
            return [base64.b64decode(value).decode("latin-1")]
        except ValueError:
            return [value]
    found: list[str] = []
    _each(content, lambda text: found.append(text) or text)
    return found


def _each(content: t.Any, replace: t.Callable[[str], str]) -> t.Any:
    if isinstance(content, str):
        return replace(content)
    if isinstance(content, list):
        return [_each(item, replace) for item in content]
    if isinstance(content, dict):
        return {key: _each(item, replace) for key, item in content.items()}
    return content
