# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pass of retention over one server's backup: look, decide, take away, remove, and say what was done and why the rest stays."""

from __future__ import annotations

import contextlib
import datetime
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import retention, set_removal, sets, words
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout
from ansible_collections.seafleet.seafile.plugins.module_utils.run_record import Run, between_runs, refusal
from ansible_collections.seafleet.seafile.plugins.module_utils.set_order import PARTIAL


class _Pass:
    """What one pass sees, decides and does."""

    def __init__(self, layout: ServerLayout, policy: retention.Policy, now: datetime.datetime, lease: int) -> None:
        self.layout = layout
        self.policy = policy
        self.now = now
        self.lease = lease
        self.decision = retention.decide((), now, policy)
        self.quarantined: list[str] = []
        self.quarantine = 0

    def active(self) -> SeafileError | None:
        """Return the error that says that a run is at work, None while there is none."""
        return refusal(self.layout, Run(self.layout).read(), {}, self.now, self.lease, None)

    def look(self, changed: t.Sequence[str] | None = None) -> list[str]:
        """Decide over what there is now; return what is wrong with the files of the sets that are to stay.

        :arg changed: what an earlier look found; None has them read, where something would go.
        """
        running = Run(self.layout).read()["set_id"] if self.active() else None
        rows = sets.catalogue(self.layout)
        entries = set_removal.entries(self.layout, rows, running, self.now)
        self.decision = retention.decide(entries, self.now, self.policy, changed or ())
        if changed is None and self.decision.going:
            changed = set_removal.changed_sets(self.layout, rows, self.policy)
            if changed:
                self.decision = retention.decide(entries, self.now, self.policy, changed)
        self.quarantined, self.quarantine = set_removal.old_quarantine(self.layout, self.policy.quarantine_days, self.decision.reference)
        if self.decision.frozen or not self.decision.verdicts:
            self.quarantined = []
        return list(changed or ())

    def going(self) -> dict[str, str]:
        """The ids and states of the sets that go."""
        return {verdict.set_id: verdict.state for verdict in self.decision.verdicts if verdict.goes}


def retain(layout: ServerLayout, policy: retention.Policy, now: datetime.datetime, lease: int, check: bool) -> dict[str, t.Any]:
    """Decide over the sets of one server, remove those that go, and return the module's result.

    :arg lease: seconds without a sign of life after which a run counts as dead.
    :arg check: remove nothing.
    :raises SeafileError: C(run-active) when something would go while a run is at work; C(retention-incomplete).
    """
    work = _Pass(layout, policy, now, lease)
    changed = work.look()
    finished = set_removal.left_over(layout)
    taken: list[set_removal.Removed] = []
    stayed: dict[str, str] = {}
    going: dict[str, str] = {}
    if work.decision.going:
        problem = work.active() if check else None
        if problem:
            raise problem
        # the files of what stays were read without the lock, for that takes long; now the decision is made again, under it
        first = work.going()
        with contextlib.nullcontext() if check else between_runs(layout, lease):
            work.look(changed)
            going = {set_id: state for set_id, state in work.going().items() if first.get(set_id) == state}
            taken, stayed = set_removal.take_away(layout, going, now, check)
    freed = set_removal.freed_bytes([removed.path for removed in taken] + work.quarantined)
    result = _result(work, taken, stayed, going, finished, freed, check)
    if not check:
        _remove(layout, finished + taken, work.quarantined, result)
    return result


def _remove(layout: ServerLayout, removed: t.Iterable[set_removal.Removed], quarantined: t.Iterable[str], result: dict[str, t.Any]) -> None:
    """Remove all that was taken away; raise the first failure after everything was tried."""
    failures = []
    for gone in removed:
        try:
            set_removal.remove(layout, gone)
        except SeafileError as error:
            failures.append(error)
    for path in quarantined:
        try:
            set_removal.remove_directory(path)
        except SeafileError as error:
            failures.append(error)
    if failures:
        first = failures[0]
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise SeafileError(first.code, first.what, first.cause + more, **result)


def _result(work: _Pass, taken: t.Sequence[set_removal.Removed], stayed: t.Mapping[str, str], going: t.Mapping[str, str],
            finished: t.Sequence[set_removal.Removed], freed: int, check: bool) -> dict[str, t.Any]:
    gone = {removed.set_id for removed in taken}
    rows = []
    for verdict in work.decision.verdicts:
        goes = verdict.goes and verdict.set_id in gone
        reasons = list(verdict.reasons) if goes or not verdict.goes else [stayed.get(verdict.set_id, "it has changed while this looked")]
        rows.append({"set_id": verdict.set_id, "state": verdict.state, "verdict": "goes" if goes else "kept", "reasons": reasons})
    pruned = sorted(set_id for set_id in gone if going[set_id] != PARTIAL)
    partial = sorted(set_id for set_id in gone if going[set_id] == PARTIAL)
    summary = _summary(len(gone), len(rows), freed, check)
    notes = [f"nothing goes: {reason}" for reason in work.decision.frozen] + [f"stays: {set_id}: {reason}" for set_id, reason in sorted(stayed.items())]
    lines = [f"{row['verdict']}: {row['set_id']} ({row['state']}): {'; '.join(row['reasons'])}" for row in rows]
    lines.sort(key=lambda line: not line.startswith("goes"))
    if finished:
        lines.append(f"{'would be ended' if check else 'ended'}: the interrupted removal of {', '.join(removed.set_id for removed in finished)}")
    if work.quarantine:
        goes = "would go" if check else "goes" if len(work.quarantined) == 1 else "go"
        lines.append(f"quarantine: {words.several(work.quarantine, 'directory', 'directories')}, of which {len(work.quarantined)} {goes}")
    before = "".join(f"{row['set_id']} {row['state']}\n" for row in rows)
    after = "".join(f"{row['set_id']} {row['state']}\n" for row in rows if row["verdict"] == "kept")
    return {
        "changed": bool(gone or finished or work.quarantined), "sets": rows, "pruned": pruned, "pruned_partial": partial,
        "pruned_quarantine": work.quarantined, "quarantine": work.quarantine, "completed": [removed.set_id for removed in finished],
        "frozen": list(work.decision.frozen), "stayed": dict(stayed), "freed_bytes": freed, "summary": summary, "notes": notes,
        "report": [summary] + notes + lines,
        "diff": {"before_header": work.layout.sets, "after_header": work.layout.sets, "before": before, "after": after}}


def _summary(gone: int, there: int, freed: int, check: bool) -> str:
    if not there:
        return "there are no sets"
    if not gone:
        return f"no set {'would be' if check else 'is'} pruned, {there} stay"
    deed = "would be" if check else "is" if gone == 1 else "are"
    return f"{gone} of {there} sets {deed} pruned ({words.size(freed)}), {there - gone} stay"
