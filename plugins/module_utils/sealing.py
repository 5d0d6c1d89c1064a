# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealing: manifest, checksums, and the rename that makes a partial set a backup."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import restore_guide, sets, verification_record
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import sync_directory, sync_file_systems, write_atomically, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, require_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.run_record import STAGES, VERIFY, joined, release


def result(changed: bool, set_id: str, state: str, path: str, **more: t.Any) -> dict[str, t.Any]:
    """What a module says of one set."""
    return dict(changed=changed, set_id=set_id, set_state=state, path=path, **more)


def verification(layout: ServerLayout, set_id: str) -> dict[str, t.Any] | None:
    """What the newest verification of a sealed set says, or None."""
    return t.cast("dict[str, t.Any] | None", sets.describe(layout, set_id, True)["verification"])


def _check_dumps(directory: str, databases: t.Any, arrived: t.Mapping[str, str]) -> None:
    if not sets.require_dumps(databases, "manifest"):
        raise SeafileError("dump-missing", directory, "the manifest names no database")
    for dump in databases:
        path = os.path.join("databases", dump["file"])
        if arrived.get(path) != dump["sha256"]:
            raise SeafileError("dump-missing", path, "this dump did not arrive whole in this run")
        if not os.path.isfile(os.path.join(directory, path)):
            raise SeafileError("dump-missing", path, "the dump is not in the set")


def seal(layout: ServerLayout, server: str, set_id: str, given: t.Mapping[str, t.Any], check_mode: bool = False) -> dict[str, t.Any]:
    """Write manifest and checksums, give the set its final name, free the lock. A set that is sealed already stays as it is.

    :arg given: what the manifest shall say beside what the run itself found out.
    :raises SeafileError: C(order), C(dump-missing), C(set-damaged), C(run-lost).
    """
    require_set_id(set_id)
    sealed = layout.sealed(set_id)
    if set_id in sets.sealed_ids(layout):
        return result(False, set_id, "sealed", sealed, bytes=sets.read_manifest(sealed).get("bytes"), verification=verification(layout, set_id))
    partial = layout.partial(set_id)
    if check_mode:
        return result(True, set_id, "sealed", sealed, bytes=0, verification=None)
    with joined(layout, set_id) as run:
        for stage in STAGES:
            if not run.stage(stage).get("ended"):
                raise SeafileError("order", set_id, f"the stage {stage} of this run has not ended, so the set cannot be sealed")
        arrived = run.stage("dumps").get("sha256", {})
        manifest = dict(given)
        _check_dumps(partial, manifest.get("databases", []), arrived)
        manifest.update(
            format=sets.MANIFEST_FORMAT, server=server, set_id=set_id, state="sealed", began=run.record["began"],
            sealed=as_text(utc_now()),
            stages={
                name: {key: value for key, value in run.stage(name).items() if key not in ("sha256", "record")}
                for name in STAGES + (VERIFY,) if run.stage(name)})
        record = run.stage(VERIFY).get("record")
        if record is not None and not verification_record.is_record(record):
            raise SeafileError("set-damaged", run.path, "the record of this run's verification is of another form", "run the backup again")
        manifest.pop("verification", None)  # only what this run found out itself
        if record:
            manifest["verification"] = record
        failure = os.path.join(partial, sets.FAILURE)
        if os.path.lexists(failure):
            os.unlink(failure)
        manifest["bytes"] = sets.directory_bytes(partial)
        manifest["links"] = sets.links(partial)
        previous = sets.sealed_ids(layout)
        manifest["previous"] = previous[-1] if previous else None
        guide = restore_guide.render(manifest, layout).encode("utf-8", "surrogateescape")
        write_json(os.path.join(partial, sets.MANIFEST), manifest)
        # The dumps' sums were computed when they arrived, a moment ago in this run: no second pass over them.
        sums = {
            path: arrived.get(path) or sets.file_sha256(os.path.join(partial, path))
            for path in sets.regular_files(partial) if path != sets.SUMS}
        write_atomically(os.path.join(partial, sets.SUMS), sets.format_sums(sums))
        # One flush of the whole file system costs nothing measurable; a flush a file costs minutes.
        sync_file_systems([layout.root])
        os.rename(partial, sealed)
        sync_directory(layout.sets)
        # sealed is sealed: a guide that cannot be written must not keep the lock
        release(run)
        write_atomically(layout.guide, guide)
        if record:
            verification_record.write_page(layout, server, set_id, record)
    return result(
        True, set_id, "sealed", sealed, bytes=manifest["bytes"], verification=verification_record.summary(record) if record else None)
