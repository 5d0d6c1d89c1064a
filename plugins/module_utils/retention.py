# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sets stay and which go: a decision over what the catalogue says, the moment, and the policy. Reads and removes nothing.

A set goes only when no reason keeps it, and nothing goes at all while something is wrong with the newest sets or with the clock: then
the old sets are what a restore may need. All times are UTC, as the ids of sets are; so summer time and time zones change nothing.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import set_time
from ansible_collections.seafleet.seafile.plugins.module_utils.set_order import PARTIAL, SEALED
from ansible_collections.seafleet.seafile.plugins.module_utils.sets import MOST_AHEAD
from ansible_collections.seafleet.seafile.plugins.module_utils.verification_record import DAMAGED, VERIFIED
from ansible_collections.seafleet.seafile.plugins.module_utils.words import count

LEAST_AGE_DAYS = 7
"""No policy makes anything younger go."""
LEAST_VERIFIED = 2
"""So many verified sets stay, whatever their age."""
MOST = 36500
"""The largest number that an input may be: a hundred years of days."""


def _week(moment: datetime.datetime) -> str:
    year, week, dummy = moment.isocalendar()
    return f"{year:04d}-W{week:02d}"


SLOTS: tuple[tuple[str, t.Callable[[datetime.datetime], str]], ...] = (
    ("daily", lambda moment: moment.strftime("%Y-%m-%d")),
    ("weekly", _week),  # ISO 8601: from Monday to Sunday
    ("monthly", lambda moment: moment.strftime("%Y-%m")),
    ("yearly", lambda moment: moment.strftime("%Y")),
)
"""The kinds of slots, and the name of the one that a moment belongs to."""


@dataclasses.dataclass(frozen=True)
class Policy:
    """What is to stay. The defaults are those of the module.

    :arg min_age_days: everything younger stays; 7 or more.
    :arg keep_last: so many of the newest verified sets stay.
    :arg keep_daily, keep_weekly, keep_monthly, keep_yearly: of so many of the newest days (ISO weeks, months, years) that have a verified set, the
        last verified set stays.
    :arg keep_verified: so many of the newest verified sets stay, 2 or more; and nothing that is not verified goes before there are so many newer ones.
    :arg unproven_days: sets that are damaged or were never verified stay so long; 7 or more.
    :arg partial_days: partial sets stay so long; 0 for ever, else 7 or more.
    :arg quarantine_days: damaged objects that were replaced stay so long; 0 for ever, else 7 or more.
    :arg hold: ids of sets that stay whatever else is said.
    :raises SeafileError: C(retention-policy) for a number out of its range, C(set-id-invalid).
    """

    min_age_days: int = LEAST_AGE_DAYS
    keep_last: int = 3
    keep_daily: int = 14
    keep_weekly: int = 8
    keep_monthly: int = 12
    keep_yearly: int = 3
    keep_verified: int = LEAST_VERIFIED
    unproven_days: int = 30
    partial_days: int = 0
    quarantine_days: int = 0
    hold: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        least = {"min_age_days": LEAST_AGE_DAYS, "keep_verified": LEAST_VERIFIED, "unproven_days": LEAST_AGE_DAYS}
        never = ("partial_days", "quarantine_days")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "hold":
                continue
            lowest = least.get(field.name, LEAST_AGE_DAYS if field.name in never and value else 0)
            if not lowest <= value <= MOST:
                words = f"{lowest} to {MOST}" + (", or 0 for never" if field.name in never else "")
                raise SeafileError("retention-policy", f"{field.name}={value}", f"it may be {words}")
        for set_id in self.hold:
            if set_time(set_id) is None:
                cause = "a set id is a UTC time of the form YYYYMMDDTHHMMSSZ"
                raise SeafileError("set-id-invalid", f"hold {set_id!r}", cause, "copy the id from the list of sets")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One set, as far as the decision needs it.

    :arg state: C(partial), C(sealed), C(verified) or C(damaged).
    :arg kept_by: why it must stay whatever the policy says, one phrase each: marked to be kept, in use, no directory.
    :arg running: whether its run is at work, so that it is no attempt that has ended.
    """

    set_id: str
    state: str
    kept_by: tuple[str, ...] = ()
    running: bool = False

    @property
    def moment(self) -> datetime.datetime:
        """When its dump began."""
        return t.cast(datetime.datetime, set_time(self.set_id))


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What becomes of one set, and all reasons."""

    set_id: str
    state: str
    goes: bool
    reasons: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Decision:
    """What becomes of all sets, newest first.

    :arg frozen: why nothing goes, a sentence each; empty when the policy decides.
    :arg reference: the moment from which ages are counted.
    """

    verdicts: tuple[Verdict, ...]
    frozen: tuple[str, ...]
    reference: datetime.datetime

    @property
    def going(self) -> tuple[str, ...]:
        """The ids of the sets that go, oldest first."""
        return tuple(sorted(verdict.set_id for verdict in self.verdicts if verdict.goes))


def decide(entries: t.Iterable[Entry], now: datetime.datetime, policy: Policy, frozen: t.Sequence[str] = ()) -> Decision:
    """Return what becomes of every set.

    Ages are counted from the newest verified set, or from I(now) where that is earlier: while no backups come, nothing gets old.

    :arg now: an aware datetime.
    :arg frozen: reasons of the caller why nothing may go.
    """
    rows = sorted(entries, key=lambda entry: (entry.set_id, entry.state == PARTIAL), reverse=True)
    ahead = frozenset(entry.set_id for entry in rows if entry.moment - now > MOST_AHEAD)
    present = [entry for entry in rows if entry.set_id not in ahead]
    verified = [entry for entry in present if entry.state == VERIFIED]
    reference = min([now] + [entry.moment for entry in verified[:1]])
    why_not = (*frozen, *_freezes(present, verified, ahead, now))
    kept = _kept_verified(verified, policy)
    verdicts = []
    for entry in rows:
        reasons = list(entry.kept_by)
        if entry.set_id in policy.hold:
            reasons.append("on hold by the policy")
        if entry.set_id in ahead:
            reasons.append(f"from the future of this host's clock ({as_text(now)})")
        elif entry.running:
            reasons.append("its run is at work")
        else:
            age = reference - entry.moment
            if age < datetime.timedelta(days=policy.min_age_days):
                reasons.append(f"younger than {count(policy.min_age_days, 'day')}")
            reasons += kept.get(entry.set_id, ()) if entry.state == VERIFIED else _kept_unproven(entry, age, verified, policy)
        if reasons:
            verdicts.append(Verdict(entry.set_id, entry.state, False, tuple(reasons)))
        elif why_not:
            verdicts.append(Verdict(entry.set_id, entry.state, False, tuple(f"nothing goes: {reason}" for reason in why_not)))
        else:
            verdicts.append(Verdict(entry.set_id, entry.state, True, (_why_it_goes(entry, policy),)))
    return Decision(tuple(verdicts), why_not, reference)


def _freezes(present: t.Sequence[Entry], verified: t.Sequence[Entry], ahead: t.Collection[str], now: datetime.datetime) -> t.Iterator[str]:
    """Yield why nothing may go."""
    if ahead:
        yield f"the set {max(ahead)} is from the future of this host's clock ({as_text(now)}), so that one of the clocks is wrong"
    ended = [entry for entry in present if not entry.running]
    if ended and not verified:
        yield "no set is verified"
    elif ended and ended[0].state != VERIFIED:
        words = {PARTIAL: "has failed and is partial", SEALED: "was never verified", DAMAGED: "is damaged"}
        yield f"the newest set {ended[0].set_id} {words.get(ended[0].state, 'is not verified')}"


def _kept_verified(verified: t.Sequence[Entry], policy: Policy) -> dict[str, list[str]]:
    """Return why the policy keeps which verified sets."""
    kept: dict[str, list[str]] = {}
    for number, entry in enumerate(verified):
        reasons = kept.setdefault(entry.set_id, [])
        if number == 0:
            reasons.append("newest verified")
        if number < policy.keep_verified:
            reasons.append(f"one of the {policy.keep_verified} newest verified")
        if number < policy.keep_last:
            reasons.append(f"one of the last {policy.keep_last}" if policy.keep_last > 1 else "the last one")
    for kind, name_of in SLOTS:
        taken: set[str] = set()
        for entry in verified:
            name = name_of(entry.moment)
            if name not in taken and len(taken) < getattr(policy, f"keep_{kind}"):
                taken.add(name)
                kept[entry.set_id].append(f"{kind} {name}")
    return kept


def _kept_unproven(entry: Entry, age: datetime.timedelta, verified: t.Sequence[Entry], policy: Policy) -> t.Iterator[str]:
    """Yield why a set stays that is partial, damaged or was never verified: it fills no slot, and only its age and better ones let it go."""
    if entry.state == PARTIAL:
        days = policy.partial_days
        if not days:
            yield "partial, and partial sets are never pruned (partial_days is 0)"
            return
    elif entry.state in (DAMAGED, SEALED):
        days = policy.unproven_days
    else:
        yield f"of the unknown state {entry.state}"
        return
    words = {DAMAGED: "damaged", SEALED: "never verified"}.get(entry.state, entry.state)
    if age < datetime.timedelta(days=days):
        yield f"{words}, and younger than {count(days, 'day')}"
    newer = sum(1 for other in verified if other.set_id > entry.set_id)
    if newer < policy.keep_verified:
        yield f"{words}, and only {count(newer, 'newer verified set')}"


def _why_it_goes(entry: Entry, policy: Policy) -> str:
    if entry.state == PARTIAL:
        return f"partial, and {count(max(policy.partial_days, policy.min_age_days), 'day')} old or older"
    if entry.state == VERIFIED:
        return f"{count(policy.min_age_days, 'day')} old or older, and nothing keeps it"
    words = "damaged" if entry.state == DAMAGED else "never verified"
    return f"{words}, {count(max(policy.unproven_days, policy.min_age_days), 'day')} old or older, and {policy.keep_verified} newer sets are verified"
