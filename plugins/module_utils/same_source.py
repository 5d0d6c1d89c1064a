# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server is still the one that was backed up before, and still has what it had.

A name in an inventory leads to whatever host answers. What tells servers apart: the ids of their libraries are random and are the same
after a move, a restore, a new address and an update, so that a server which has none of those that were there before is another one. The id of
ccnet (up to 7.0) goes with its directory, and is gone in newer versions. The address changes whenever somebody edits it. So libraries decide, and the
others are told.
"""

from __future__ import annotations

import heapq
import re
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

SAMPLE = 100
"""Libraries that are remembered: those with the smallest ids, so that the same ones are chosen each time."""
LEAST = 5
"""With fewer stores than this no share of them is worth a word."""
_URL = re.compile(r"https?://([^/:?#]+)", re.IGNORECASE)
_IN_WORDS = {"commits": "libraries", "fs": "stores of directories", "blocks": "stores of blocks"}


def sample(libraries: t.Iterable[str]) -> list[str]:
    """Return the ids by which a server is known again, sorted."""
    return heapq.nsmallest(SAMPLE, libraries)


def _texts(value: t.Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _host(url: t.Any) -> str | None:
    match = _URL.match(url) if isinstance(url, str) else None
    return match.group(1).lower() if match else None


def judge_identity(
    server: str, before: t.Mapping[str, t.Any], now: t.Mapping[str, t.Any], known: t.Collection[str], accepted: bool,
) -> tuple[SeafileError | None, list[str]]:
    """Compare two identities as C(server_info) returns them; return what forbids a backup, or None, and what a person should know.

    :arg before: that of the newest set. One of before 0.2.0 remembers no libraries.
    :arg known: the ids of all libraries of which there are objects in the backup: they stand in where the set remembers none.
    :arg accepted: whether another server is expected.
    """
    had = set(_texts(before.get("libraries")) or known)
    has = set(_texts(now.get("libraries")))
    notes = []
    if had and has and not has & had:
        told = f"none of the libraries of {server} is known in its backup ({_described(before)}; now {_described(now)})"
        if not accepted:
            return SeafileError("identity-changed", server, told), []
        return None, [f"another server is backed up under this name, as was asked for: {told}"]
    if before.get("ccnet_id") and now.get("ccnet_id") and before["ccnet_id"] != now["ccnet_id"]:
        notes.append(f"the id of ccnet is another than in the newest set ({before['ccnet_id']}, now {now['ccnet_id']}), with the same libraries")
    old, new = _host(before.get("service_url")), _host(now.get("service_url"))
    if old and new and old != new:
        notes.append(f"the server's address was {old} in the newest set and is {new}, with the same libraries: if this is a copy of that server,"
                     " such as one for tests, back it up under another name")
    return None, notes


def _described(identity: t.Mapping[str, t.Any]) -> str:
    words = [str(identity[key]) for key in ("service_url", "ccnet_id") if identity.get(key)]
    return " ".join(words) or "without an address in its configuration"


def judge_stores(
    storage: str, before: t.Mapping[str, t.Any], now: t.Mapping[str, t.Any], percent: float,
) -> tuple[SeafileError | None, list[str]]:
    """Compare how many stores of each kind of objects there are; return what forbids a backup, or None, and what a person should know.

    A kind that had stores and has none now is a file system that is not mounted: nobody deletes all libraries and runs a garbage collection.
    Less than that may be what users and a garbage collection did, and is told.

    :arg percent: how many percent may be gone without a word.
    """
    notes = []
    for kind, word in _IN_WORDS.items():
        had, has = before.get(kind), now.get(kind)
        if not isinstance(had, int) or not isinstance(has, int) or has >= had:
            continue
        if has == 0 and kind in now:
            return SeafileError("storage-empty", f"{storage}/{kind}", f"it is empty or missing, and held {had} {word} at the newest verified set"), []
        if had >= LEAST and (had - has) * 100 > percent * had:
            notes.append(f"{had - has} of {had} {word} are gone from the server since the newest verified set: look whether this was meant"
                         " (a garbage collection after deletions), or whether a part of the object store is lost; the backup keeps them all")
    return None, notes
