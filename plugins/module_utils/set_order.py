# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sets come into question, in which order, going by what the catalogue says of them; and where the parts of a set lie."""

from __future__ import annotations

import datetime
import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_time
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, set_time
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import LIBRARY_ID
from ansible_collections.seafleet.seafile.plugins.module_utils.places import is_inside
from ansible_collections.seafleet.seafile.plugins.module_utils.verification_record import DAMAGED, SOURCE, VERIFIED

SEALED, PARTIAL = "sealed", "partial"
REASONS = 6
"""So many reasons are told of a set that is passed over."""

Row = t.Dict[str, t.Any]
"""One set as :func:`sets.catalogue` describes it."""


def require_library_ids(ids: t.Iterable[str], option: str) -> frozenset[str]:
    """Return I(ids) as a set.

    :raises SeafileError: C(library-id-invalid), naming I(option).
    """
    for library_id in ids:
        if not isinstance(library_id, str) or not LIBRARY_ID.match(library_id):
            raise SeafileError("library-id-invalid", f"{option} {library_id!r}", "is not a library id (36 characters, lower case)")
    return frozenset(ids)


def began(row: Row) -> datetime.datetime:
    """When the set was begun: as its manifest says, else as its id does."""
    try:
        return as_time(row["began"])
    except (KeyError, TypeError, ValueError):
        return t.cast(datetime.datetime, set_time(row["set_id"]))


def begun_before(rows: t.Iterable[Row], before: str) -> list[Row]:
    """Return those of I(rows) that were begun before the moment, or before the set, I(before); never the set itself.

    :raises SeafileError: C(time-invalid) for what is neither.
    """
    if set_time(before):
        # ids grow also when the clock is set back, so they tell the order of sets better than their times do
        return [row for row in rows if row["set_id"] < before]
    try:
        moment = as_time(before)
    except ValueError:
        raise SeafileError("time-invalid", f"before {before!r}", "is neither a time like 2026-11-23T03:00:00Z nor the id of a set") from None
    return [row for row in rows if began(row) < moment]


def damaged_libraries(row: Row) -> frozenset[str]:
    """The libraries that the set's verification found damaged in the backup (not only at the source); C("") for what belongs to none."""
    found = (row.get("verification") or {}).get("damaged_libraries", ())
    return frozenset(library["id"] for library in found if library["where"] != SOURCE)


def is_proven(row: Row, accepted: frozenset[str] = frozenset()) -> bool:
    """Whether the set is verified, or damaged in nothing but the libraries I(accepted)."""
    if row["state"] == DAMAGED:
        libraries = damaged_libraries(row)
        return bool(libraries) and libraries <= accepted
    return row["state"] == VERIFIED


def order(rows: t.Sequence[Row], accepted: frozenset[str] = frozenset()) -> list[Row]:
    """Return the sets that may be taken, best first: the proven ones, then those that were never verified, each newest first.

    :arg rows: newest first.
    """
    return [row for row in rows if is_proven(row, accepted)] + [row for row in rows if row["state"] == SEALED]


def names_of(rows: t.Iterable[Row]) -> str:
    """The newest sets that are not known to be damaged, for a message."""
    return ", ".join([row["set_id"] for row in rows if row["state"] in (VERIFIED, SEALED)][:5]) or "none"


def named(rows: t.Sequence[Row], set_id: str) -> Row:
    """Return the row of the set I(set_id), whatever its state but partial.

    :raises SeafileError: C(no-set), naming what there is.
    """
    have = f"sealed sets: {names_of(rows)}"
    for row in rows:
        if row["set_id"] == set_id:
            if row["state"] != PARTIAL:
                return row
            reasons = "; ".join(row["reasons"]) or "its run has not ended well"
            raise SeafileError("no-set", set_id, f"the set is partial: {reasons} ({have})")
    raise SeafileError("no-set", set_id, f"there is no such set ({have})")


def require_ended(rows: t.Sequence[Row], what: str, before: str | None = None) -> list[Row]:
    """Return the sets whose run has ended, newest first.

    :raises SeafileError: C(no-set) when there is none.
    """
    asked = begun_before(rows, before) if before else list(rows)
    ended = [row for row in asked if row["state"] != PARTIAL]
    if ended:
        return ended
    if before:
        raise SeafileError("no-set", what, f"there is no sealed set from before {before} (sealed sets: {names_of(rows)})", "give a later moment")
    raise SeafileError("no-set", what, "there is no sealed set", "make a backup first")


def passed_over(rows: t.Sequence[Row], taken: Row, reasons: t.Mapping[str, t.Sequence[str]]) -> list[Row]:
    """Return every set newer than I(taken) with the reasons why it was not taken: C(set_id), C(state), C(reasons).

    :arg rows: all that come into question, newest first.
    :arg reasons: what was found now, by set id; else what is recorded counts.
    """
    result = []
    for row in rows:
        if row["set_id"] <= taken["set_id"]:
            break
        why = list(reasons.get(row["set_id"], ()))[:REASONS] or list(row.get("reasons") or ())[:REASONS]
        if not why:
            why = [{PARTIAL: "its run has not ended", SEALED: "it was never verified, and an older set is"}.get(row["state"], f"it is {row['state']}")]
        result.append({"set_id": row["set_id"], "state": row["state"], "reasons": why})
    return result


def parts(layout: ServerLayout, row: Row, manifest: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return where the parts of a sealed set lie.

    :raises SeafileError: C(set-damaged) when the manifest names no dump of Seafile's own database.
    """
    databases = os.path.join(row["path"], "databases")
    files = os.path.join(row["path"], "files")
    dumps = [dump["file"] for dump in manifest["databases"] if dump.get("role") == "seafile"]
    if len(dumps) != 1:
        raise SeafileError("set-damaged", row["path"], f"the manifest names {len(dumps)} dumps of the database that points at the libraries")
    # 5 and newer keep it in conf, 4.4 and older beside the data
    places = (os.path.join(files, "conf", "seafile.conf"), os.path.join(files, "seafile-data", "seafile.conf"))
    return {
        "root": layout.root, "set": row["path"], "databases": databases, "files": files, "objects": layout.objects,
        "seafile_dump": os.path.join(databases, dumps[0]),
        "seafile_conf": next((place for place in places if os.path.isfile(place) and is_inside(place, files)), None),
        "object_list": layout.object_list(row["set_id"])}
