# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight on the backup host: what is in the way of a backup of one server, and what there is of it already."""

from __future__ import annotations

import datetime
import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import backup_marker, clock, rsync, same_source, sets, verification_record
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, set_time
from ansible_collections.seafleet.seafile.plugins.module_utils.places import existing_parent, free_bytes, is_inside
from ansible_collections.seafleet.seafile.plugins.module_utils.ssh_connection import KEPT_SECONDS, Connections

# Fewer free inodes than this and even the sets' own directories may not fit.
_LEAST_INODES = 1000


def _place_problems(params: t.Mapping[str, t.Any], layout: ServerLayout) -> t.Iterator[SeafileError]:
    root = params["backup_root"]
    seafile_root = params["seafile_root"]
    if not params["host"] and seafile_root and (is_inside(root, seafile_root) or is_inside(seafile_root, os.path.join(root, params["server"]))):
        yield SeafileError("backup-root-inside", root, f"backup and Seafile directory {seafile_root} lie inside each other")
    # an account that owns only the directory of this server may still fill it
    parent = existing_parent(layout.sets)
    if not os.path.isdir(parent):
        yield SeafileError("backup-root", root, f"{parent} is not a directory")
        return
    statistics = os.statvfs(parent)
    if statistics.f_flag & os.ST_RDONLY:
        yield SeafileError("read-only", parent, "the file system is read-only")
    elif not os.access(parent, os.W_OK | os.X_OK):
        yield SeafileError("no-rights", parent, "this account may not write there", "give it to the account that runs the backup, or choose another root")
    free = free_bytes(parent)
    if free < params["needed_bytes"]:
        yield SeafileError("no-space", parent, f"{free} bytes are free, {params['needed_bytes']} are needed")
    if statistics.f_files and statistics.f_favail < _LEAST_INODES:
        yield SeafileError("no-inodes", parent, f"only {statistics.f_favail} more files can be made there (inodes)")
    try:
        backup_marker.require(layout, params["server"])
    except SeafileError as error:
        yield error


def _access_problems(
    module: t.Any, params: t.Mapping[str, t.Any], binary: str, version: tuple[int, ...] | None, kept: list[Connections] | None,
) -> t.Iterator[SeafileError]:
    if params["host"]:
        if not module.get_bin_path("ssh"):
            yield SeafileError("missing-tool", "ssh", "it is not installed on the backup host", "install the package openssh-client on the backup host")
            return
        for key in ("private_key", "known_hosts"):
            if params[key] and not os.path.exists(params[key]):
                yield SeafileError("not-prepared", params[key], "the backup host has no access to the server yet")
                return
    try:
        rsync.require_version(version, "the backup host")
        src, remote = rsync.require_place(params["src"], "src"), rsync.reach(params, version)
    except SeafileError as error:
        yield error
        return
    control_path = None
    if kept is not None:
        kept.append(Connections(remote))
        control_path = kept[0].path(0, KEPT_SECONDS)
    argv = rsync.probe_argv(binary, src, remote, control_path=control_path)
    status, dummy, stderr = module.run_command(argv, expand_user_and_vars=False, environ_update={"LC_ALL": "C"})
    if status != 0:
        yield rsync.explain(status, stderr, None, rsync.source_name(params["host"], params["src"]))


def _clock_problems(server: str, asked: t.Mapping[str, t.Any], here: float) -> t.Iterator[SeafileError]:
    """Compare this host's clock with the server's."""
    other, limit = asked.get("clock"), asked.get("clock_limit")
    if not other or not limit or asked.get("asked_at") is None:
        return
    ahead = clock.difference(other["asked"], other["told"], asked["asked_at"], here)
    if abs(ahead) > limit:
        yield SeafileError("clock", server, f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} that of the backup host")


def _compare_source(layout: ServerLayout, params: t.Mapping[str, t.Any], verified: str | None) -> tuple[list[SeafileError], list[str]]:
    """Compare what the server is and has with the newest set, and the newest verified one."""
    problems: list[SeafileError | None] = []
    notes: list[str] = []
    identity, stores = params.get("identity"), params.get("stores")
    if identity:
        known = _names(os.path.join(layout.objects, "commits"))
        pinned = _of_manifest(layout, next(iter(reversed(sets.sealed_ids(layout))), None)).get("identity")
        problem, told = same_source.judge_identity(params["server"], pinned if isinstance(pinned, dict) else {}, identity, known, params["accept_identity"])
        problems.append(problem)
        notes += told
        if problem:
            return [problem], notes  # another server has other libraries, and fewer or more of them
    if stores:
        before = _of_manifest(layout, verified).get("stores")
        problem, told = same_source.judge_stores(
            params.get("storage") or "storage", before if isinstance(before, dict) else {}, stores, params["shrink_percent"])
        problems.append(problem)
        notes += told
    return [problem for problem in problems if problem], notes


def _names(directory: str) -> set[str]:
    try:
        return set(os.listdir(directory))
    except OSError:
        return set()


def _of_manifest(layout: ServerLayout, set_id: str | None) -> dict[str, t.Any]:
    """What the manifest of a set says of the server; nothing without a set, or without a readable manifest."""
    if set_id is None:
        return {}
    try:
        about = sets.read_manifest(layout.sealed(set_id)).get("seafile")
    except SeafileError:
        return {}
    return about if isinstance(about, dict) else {}


def newest_verified(layout: ServerLayout) -> str | None:
    """The id of the newest set that was proved to be restorable, or None."""
    # from the newest on, so that a year of sets is not read when last night's is whole
    verified = (set_id for set_id in reversed(sets.sealed_ids(layout)) if sets.describe(layout, set_id, True)["state"] == "verified")
    return next(verified, None)


def inform(module: t.Any, params: t.Mapping[str, t.Any], layout: ServerLayout, kept: list[Connections] | None = None) -> dict[str, t.Any]:
    """Return the problems of this host for the backup of one server, and what it has.

    :arg params: C(backup_root), C(server), C(seafile_root), C(src), C(needed_bytes) and the options of
        :data:`rsync.REMOTE_ARGUMENTS`. Where the server was looked at before, also C(clock), C(asked_at), C(clock_limit), C(identity), C(accept_identity),
        C(stores), C(storage), C(shrink_percent).
    :arg kept: receives the connection that was opened, for the pull that comes next.
    """
    here = utc_now().timestamp()
    problems = list(_place_problems(params, layout))
    problems += _clock_problems(params["server"], params, here)
    verified = newest_verified(layout)
    compared, notes = _compare_source(layout, params, verified)
    problems += compared
    binary = module.get_bin_path("rsync")
    version = None
    if not binary:
        problems.append(SeafileError("missing-tool", "rsync", "it is not installed on the backup host", "install the package rsync on the backup host"))
    else:
        dummy, stdout, dummy = module.run_command([binary, "--version"], expand_user_and_vars=False)
        numbers = rsync.read_version(stdout)
        version = ".".join(map(str, numbers)) if numbers else None
        problems += list(_access_problems(module, params, binary, numbers, kept))
    try:
        sets.next_set_id(layout, utc_now())
    except SeafileError as error:
        problems.append(error)
    sealed = sets.sealed_ids(layout)
    return {
        "problems": [problem.as_problem() for problem in problems], "notes": notes, "rsync_version": version, "zstd": bool(module.get_bin_path("zstd")),
        "free_bytes": free_bytes(layout.sets), "newest_sealed": sealed[-1] if sealed else None, "newest_verified": verified}


def distrusted(layout: ServerLayout, set_id: str) -> list[str]:
    """Ids of the libraries in which the verified set I(set_id) lacks something, because the server itself had lost it."""
    try:
        record = verification_record.newest(layout, set_id, sets.read_manifest(layout.sealed(set_id)))[0]
    except SeafileError:
        return []
    return sorted(str(library["id"]) for library in (record or {}).get("damaged_libraries", []))


def is_sweep_due(layout: ServerLayout, days: float, now: datetime.datetime) -> bool:
    """Say whether no set of the last I(days) days compared all objects with the server's.

    A set of before 0.2.0 does not say so in its manifest, and always did.
    """
    for set_id in reversed(sets.sealed_ids(layout)):
        moment = t.cast(datetime.datetime, set_time(set_id))
        if now - moment >= datetime.timedelta(days=days):
            return True
        try:
            if sets.read_manifest(layout.sealed(set_id)).get("swept", True):
                return False
        except SeafileError:
            continue
    return True
