# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run that is at work on one server's backup: its lock, and the record of its stages.

Every module that acts for a run takes C(state/lock) by flock for as long as it works and checks that
C(state/run.json) names its run. Between two tasks no process exists, so the record stands for the run: it counts as
alive until its controller is known to be dead (the action plugin C(backup_set) can tell when both runs share a
controller) or until it was not renewed for the lease. A run that lost its record to another one fails at its next
stage, so that a wrong guess costs a run and never data.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import locks
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.audience import Abandoned
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, as_time, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, set_time

# The order of the manual, and its reason: what the databases point at must be copied after them.
STAGES = ("dumps", "files", "objects")
# A set may be sealed without it; then it is sealed and not verified.
VERIFY = "verify"
_ORDER = STAGES + (VERIFY,)


class Run:
    """The record of the run at work; see the module's text."""

    def __init__(self, layout: ServerLayout) -> None:
        self.layout = layout
        self.path = os.path.join(layout.state, "run.json")
        self.record: dict[str, t.Any] = {}
        self.held: tuple[int, ...] = ()
        """The descriptor of the lock, for a child that must hold it as long as it lives."""

    def read(self) -> dict[str, t.Any]:
        """Return the record on disk; an absent or damaged one is empty (state/ is safe to lose)."""
        try:
            with open(self.path, encoding="utf-8") as stream:
                record = json.load(stream)
        except (FileNotFoundError, ValueError):
            return {}
        whole = isinstance(record, dict) and isinstance(record.get("set_id"), str) and all(
            isinstance(record.get(key, {}), dict) for key in ("controller", "stages"))
        return record if whole and all(isinstance(stage, dict) for stage in record.get("stages", {}).values()) else {}

    def write(self) -> None:
        """Renew the record and store it."""
        self.record["renewed"] = as_text(utc_now())
        write_json(self.path, self.record)

    def stage(self, name: str) -> dict[str, t.Any]:
        """Return the record of the stage I(name), empty when it has not ended."""
        return self.record.get("stages", {}).get(name, {})

    def require_before(self, name: str) -> None:
        """Refuse the stage I(name) while an earlier one has not ended: databases first, then data, always."""
        deed = "the set may not be verified" if name == VERIFY else f"{name} may not be pulled"
        for earlier in _ORDER[: _ORDER.index(name)]:
            if not self.stage(earlier).get("ended"):
                raise SeafileError("order", self.record["set_id"], f"{deed} before {earlier} have arrived")

    def finish(self, name: str, began: datetime.datetime, result: dict[str, t.Any]) -> None:
        """Record that the stage I(name) has ended with I(result)."""
        stages = self.record.setdefault("stages", {})
        stages.pop(VERIFY, None)  # what was proved before this stage says nothing of what it brought
        stages[name] = dict(result, began=as_text(began), ended=as_text(utc_now()))
        self.write()


@contextlib.contextmanager
def _held(layout: ServerLayout) -> t.Iterator[Run]:
    make_private_directory(layout.state)
    path = os.path.join(layout.state, "lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not locks.is_taken(descriptor):
            holder = os.read(descriptor, 100).decode("ascii", "replace").strip()
            raise _active(layout, Run(layout).read(), f"process {holder}, or an rsync of its, is writing now")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
        run = Run(layout)
        run.held = (descriptor,)
        run.record = run.read()
        yield run
    finally:
        os.close(descriptor)


def _active(layout: ServerLayout, record: dict[str, t.Any], why: str) -> SeafileError:
    controller = record.get("controller") or {}
    host = str(controller.get("host", "unknown")).split("|", 1)[0]
    cause = (
        f"the run of set {record.get('set_id', 'unknown')} is at work since {record.get('began', 'unknown')}, "
        f"started by process {controller.get('pid', 'unknown')} on {host} ({why})"
    )
    return SeafileError("run-active", layout.root, cause, holder=record)


def refusal(layout: ServerLayout, record: dict[str, t.Any], controller: dict[str, t.Any], now: datetime.datetime, lease: int,
            dead_run: str | None) -> SeafileError | None:
    """Return the error that stops a new run while I(record) stands, or None when the new run may begin.

    :arg controller: C(host), C(pid), C(started) of the process that starts the new run.
    :arg lease: seconds without renewal after which a run counts as dead.
    :arg dead_run: set id of a run that its controller's host knows to be dead.
    """
    if not record or record.get("state") != "running":
        return None
    if controller and record.get("controller") == controller:
        return None  # the same play again: its earlier attempt has ended
    if set_time(record["set_id"]) and os.path.isdir(layout.sealed(record["set_id"])):
        return None  # killed between sealing and freeing the lock
    if dead_run is not None and record["set_id"] == dead_run:
        return None
    try:
        renewed = as_time(record["renewed"])
    except (KeyError, TypeError, ValueError):
        return None
    idle = (now - renewed).total_seconds()
    # A record from the future (a clock set back) would otherwise block for ever.
    if idle > lease or idle < -lease:
        return None
    return _active(layout, record, f"its last sign of life is {max(0, int(idle))} s old")


@contextlib.contextmanager
def begin(layout: ServerLayout, set_id: str, controller: dict[str, t.Any], lease: int, dead_run: str | None) -> t.Iterator[Run]:
    """Begin the run I(set_id) or continue it; hold the lock while the body runs. A body that fails frees it again.

    :raises SeafileError: C(run-active) with C(holder), the record of the other run.
    """
    with _held(layout) as run:
        problem = refusal(layout, run.record, controller, utc_now(), lease, dead_run)
        if problem:
            raise problem
        run.record = {"set_id": set_id, "state": "running", "began": as_text(utc_now()), "controller": controller, "stages": {}}
        run.write()
        try:
            yield run
        except (Exception, Abandoned) as error:
            with contextlib.suppress(OSError):  # the first failure is the one to report
                release(run, "the controller was gone" if isinstance(error, Abandoned) else str(error))
            raise


@contextlib.contextmanager
def joined(layout: ServerLayout, set_id: str) -> t.Iterator[Run]:
    """Act for the run I(set_id), which must own the record; hold the lock while the body runs.

    :raises SeafileError: C(run-lost) when the record names another run or none.
    """
    if not os.path.isdir(layout.state):
        raise SeafileError("run-lost", set_id, f"no run has begun in {layout.root}")
    with _held(layout) as run:
        if run.record.get("set_id") != set_id or run.record.get("state") != "running":
            other = run.record.get("set_id", "none")
            raise SeafileError("run-lost", set_id, f"this run no longer holds the lock of {layout.root} (the record names {other})")
        run.write()
        try:
            yield run
        except Abandoned:
            with contextlib.suppress(OSError):  # nobody is left who would free the lock
                release(run, "the controller was gone")
            raise


@contextlib.contextmanager
def between_runs(layout: ServerLayout, lease: int) -> t.Iterator[None]:
    """Hold the lock while the body runs, for work that is part of no run; no run can begin or go on meanwhile.

    :arg lease: seconds without renewal after which a run counts as dead.
    :raises SeafileError: C(run-active) with C(holder), the record of the run.
    """
    with _held(layout) as run:
        problem = refusal(layout, run.record, {}, utc_now(), lease, None)
        if problem:
            raise problem
        yield


def release(run: Run, reason: str | None = None) -> None:
    """Free the lock; I(reason) says why the run failed, if it did."""
    run.record["state"] = "failed" if reason else "ended"
    if reason:
        run.record["reason"] = reason
    run.write()
