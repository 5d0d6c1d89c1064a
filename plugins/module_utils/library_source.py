# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The set out of which libraries are listed and files are taken: the newest one that can be trusted, or the one that is named."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import set_choice, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout
from ansible_collections.seafleet.seafile.plugins.module_utils.library_tree import Libraries
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore
from ansible_collections.seafleet.seafile.plugins.module_utils.set_use import Use


class Source(t.NamedTuple):
    """One set of one server, its libraries, and what a person should know of the choice."""

    layout: ServerLayout
    row: t.Dict[str, t.Any]
    store: ObjectStore
    libraries: Libraries
    notes: t.List[str]
    use: Use
    """Nobody removes the set while this stands."""


def open_source(backup_root: str, server: str, set_id: str | None) -> Source:
    """Open the set I(set_id); without one the newest verified set, else the newest sealed one, else the newest at all.

    Objects are not looked at here: each one that is read later is hashed. So a damaged set serves for what is whole in it.

    :raises SeafileError: C(no-set), C(set-damaged) when its manifest or its dump is not as it was sealed, C(backup-root),
        C(server-name), C(storage-missing), and those of :func:`sql_dump.read_rows`.
    """
    layout = ServerLayout(backup_root, server)
    rows = sets.catalogue(layout)
    notes: list[str] = []
    if set_id:
        row = set_choice.named(rows, set_id)
    else:
        ended = set_choice.require_ended(rows, layout.root)
        row = (set_choice.order(ended) or ended)[0]
        notes += [f"passed over: {other['set_id']} ({other['state']}): {'; '.join(other['reasons'])}" for other in set_choice.passed_over(rows, row, {})]
    if row["state"] == "damaged":
        notes.append(f"the set {row['set_id']} is damaged: {'; '.join(row['reasons'])}")
    use = Use(row["path"])
    manifest = sets.read_manifest(row["path"])
    paths = set_choice.parts(layout, row, manifest)
    dump = paths["seafile_dump"]
    expected = next(entry["sha256"] for entry in manifest["databases"] if entry["file"] == os.path.basename(dump))
    try:
        found = sets.file_sha256(dump)
    except FileNotFoundError:
        raise SeafileError("set-damaged", dump, "the dump is missing") from None
    if found != expected:
        raise SeafileError("set-damaged", dump, "the dump was changed after sealing")
    store = ObjectStore(layout.objects)
    return Source(layout, row, store, Libraries(store, dump), notes, use)
