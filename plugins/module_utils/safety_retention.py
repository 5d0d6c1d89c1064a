# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which safety copies stay and which go: a decision over what was seen of them, the moment, and the days. Reads and removes nothing.

A safety copy may be the only one of what users wrote between the last backup and a restore. So one goes only when nothing at all speaks for it.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import set_time
from ansible_collections.seafleet.seafile.plugins.module_utils.retention import LEAST_AGE_DAYS, MOST
from ansible_collections.seafleet.seafile.plugins.module_utils.words import count

NO_RECORD = "no readable record tells what it is; look at it, and remove it by hand"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One safety copy, as far as the decision needs it.

    :arg state: C(dumping), C(dumped) or C(complete); empty without a readable record.
    :arg written: when its record was written last. A restore that was interrupted while it dumped and is run again much later keeps the moment
        of its copy, so that the moment alone does not tell how old the content is.
    :arg removing: whether its removal was begun, so that it is no copy any more.
    :arg kept_by: what of its two places forbids a removal, one phrase each.
    """

    moment: str
    state: str
    written: datetime.datetime
    removing: bool = False
    kept_by: tuple[str, ...] = ()

    @property
    def since(self) -> datetime.datetime:
        """The moment from which its age counts."""
        return max(t.cast(datetime.datetime, set_time(self.moment)), self.written)


class Verdict(t.NamedTuple):
    """What becomes of one safety copy, and all reasons."""

    moment: str
    goes: bool
    reasons: tuple[str, ...]


def require_days(days: int) -> int:
    """Return I(days), for which safety copies stay; 0 is for ever. Raises C(retention-policy)."""
    if days and not LEAST_AGE_DAYS <= days <= MOST:
        raise SeafileError("retention-policy", f"safety_days={days}", f"it may be {LEAST_AGE_DAYS} to {MOST}, or 0 for never")
    return days


def decide(entries: t.Iterable[Entry], days: int, now: datetime.datetime, unrest: t.Sequence[str] = ()) -> list[Verdict]:
    """Return what becomes of each safety copy, newest first.

    :arg days: so old a copy must be to go; 0 for never. A removal that was begun is ended in any case.
    :arg now: an aware datetime.
    :arg unrest: why none may go: a restore or a rollback is at work here, or was interrupted.
    """
    verdicts = []
    for entry in sorted(entries, key=lambda entry: entry.moment, reverse=True):
        reasons = list(entry.kept_by) + list(_kept(entry, days, now)) + [f"nothing goes: {reason}" for reason in unrest]
        why = "its removal was begun" if entry.removing else f"{count(days, 'day')} old or older"
        verdicts.append(Verdict(entry.moment, not reasons, tuple(reasons or [why])))
    return verdicts


def _kept(entry: Entry, days: int, now: datetime.datetime) -> t.Iterator[str]:
    if not entry.state:
        yield NO_RECORD
    elif entry.state != "complete":
        yield "it was never completed: a restore or rollback is making it, or was interrupted"
    elif entry.removing:
        return
    if not days:
        yield "safety copies are never pruned (safety_days is 0)"
    elif entry.since > now:
        yield f"from the future of this host's clock ({as_text(now)})"
    elif now - entry.since < datetime.timedelta(days=days):
        yield f"younger than {count(days, 'day')}"
