# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Years of nights, good and bad, with any policy: what retention must never do, it does not do in any of them."""

from __future__ import annotations

import datetime
import os
import sys

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.seafleet.seafile.plugins.module_utils import retention
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import new_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.retention import Entry, Policy

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from properties import examples  # noqa: E402  # pylint: disable=wrong-import-position

UTC = datetime.timezone.utc
WEEK = datetime.timedelta(days=7)
AHEAD = datetime.timedelta(minutes=10)
STATES = ("verified", "damaged", "sealed", "partial")
FIELDS = ("%Y-%m-%d", "%G-W%V", "%Y-%m", "%Y")  # the calendar of the C library, another one than that of the code
KINDS = ("daily", "weekly", "monthly", "yearly")

POLICIES = st.builds(
    Policy, min_age_days=st.integers(7, 40), keep_last=st.integers(0, 9), keep_daily=st.integers(0, 20), keep_weekly=st.integers(0, 10),
    keep_monthly=st.integers(0, 14), keep_yearly=st.integers(0, 5), keep_verified=st.integers(2, 5), unproven_days=st.integers(7, 60),
    partial_days=st.sampled_from([0, 7, 30]))
MOMENTS = st.datetimes(datetime.datetime(2019, 12, 20), datetime.datetime(2032, 3, 10), timezones=st.just(UTC)).map(
    lambda found: found.replace(microsecond=0))


@st.composite
def histories(draw):
    """Up to three years of runs: times grow, by seconds or by months; each run ends in any state, most of them well."""
    moment = draw(MOMENTS)
    steps = draw(st.lists(st.tuples(
        st.one_of(st.integers(1, 60), st.sampled_from([6 * 3600, 86400, 86400, 86400, 86399, 86401, 3 * 86400, 20 * 86400])),
        st.sampled_from(("verified",) * 7 + STATES)), min_size=1, max_size=60))
    found = []
    for seconds, state in steps:
        moment += datetime.timedelta(seconds=seconds)
        found.append(Entry(new_set_id(moment), state))
    return found


def moment(set_id):
    return datetime.datetime.strptime(set_id, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def verified(entries):
    """The ids of the verified sets, newest first."""
    return sorted((entry.set_id for entry in entries if entry.state == "verified"), reverse=True)


def last_of_periods(ids, field, count):
    """The newest of the ids in each of the newest periods."""
    periods = {}
    for set_id in sorted(ids):
        periods[moment(set_id).strftime(field)] = set_id
    return set(sorted(periods.values(), reverse=True)[:count])


@examples(200)
@given(histories(), POLICIES, st.integers(-400, 400), st.data())
def test_what_never_goes(entries, policy, later, data):
    """At any moment, also at one that a wrong clock shows."""
    now = moment(entries[-1].set_id) + datetime.timedelta(hours=later * 5)
    order = data.draw(st.permutations(entries))
    decision = retention.decide(order, now, policy)
    assert [verdict.set_id for verdict in decision.verdicts] == sorted((entry.set_id for entry in entries), reverse=True)
    assert all(verdict.reasons for verdict in decision.verdicts)
    gone = set(decision.going)
    future = {entry.set_id for entry in entries if moment(entry.set_id) > now + AHEAD}
    present = [entry for entry in entries if entry.set_id not in future]
    good = verified(present)
    if future or not good or present[-1].state != "verified":
        assert not gone and (decision.frozen or not present)
    if not gone:
        return
    # the newest backup there is, is younger than the moment itself, whatever the clock says
    assert all(moment(good[0]) - moment(set_id) >= WEEK for set_id in gone)
    assert all(moment(good[0]) - moment(set_id) >= datetime.timedelta(days=policy.min_age_days) for set_id in gone)
    rest = [entry for entry in present if entry.set_id not in gone]
    assert verified(rest)[:policy.keep_verified] == good[:policy.keep_verified]
    assert set(good[:policy.keep_last]).isdisjoint(gone)
    for kind, field in zip(KINDS, FIELDS):
        assert last_of_periods(good, field, getattr(policy, f"keep_{kind}")).isdisjoint(gone)
    for entry in present:
        if entry.set_id in gone and entry.state != "verified":
            assert len([set_id for set_id in good if set_id > entry.set_id]) >= policy.keep_verified
    # and what has no reason to stay does go: retention that keeps everything were no retention
    wanted = set(good[:max(policy.keep_last, policy.keep_verified)])
    for kind, field in zip(KINDS, FIELDS):
        wanted |= last_of_periods(good, field, getattr(policy, f"keep_{kind}"))
    wanted |= {set_id for set_id in good if moment(good[0]) - moment(set_id) < datetime.timedelta(days=policy.min_age_days)}
    assert gone.issuperset(set(good) - wanted)


@examples(60)
@given(histories(), POLICIES)
def test_pruned_twice_is_pruned_once(entries, policy):
    now = moment(entries[-1].set_id)
    gone = set(retention.decide(entries, now, policy).going)
    assert retention.decide([entry for entry in entries if entry.set_id not in gone], now, policy).going == ()


@examples(60)
@given(histories(), POLICIES)
def test_pruned_every_night_is_pruned_once_at_the_end(entries, policy):
    """No set that the policy wants at the end was lost on the way, and the bad nights in between have kept none for ever."""
    last = moment(entries[-1].set_id) + datetime.timedelta(days=1)
    entries = entries + [Entry(new_set_id(last), "verified")]
    there = []
    for entry in entries:
        there.append(entry)
        gone = set(retention.decide(there, moment(entry.set_id), policy).going)
        there = [other for other in there if other.set_id not in gone]
    gone = set(retention.decide(entries, last, policy).going)
    assert there == [entry for entry in entries if entry.set_id not in gone]


@examples(60)
@given(histories(), POLICIES, st.data())
def test_held_sets_stay_and_take_nothing_from_the_others(entries, policy, data):
    now = moment(entries[-1].set_id)
    held = data.draw(st.sets(st.sampled_from([entry.set_id for entry in entries]), max_size=5))
    before = set(retention.decide(entries, now, policy).going)
    marked = [Entry(entry.set_id, entry.state, ("marked to be kept",) if entry.set_id in held else ()) for entry in entries]
    assert set(retention.decide(marked, now, policy).going) == before - held


@examples(15)
@given(MOMENTS, st.integers(400, 1500), POLICIES)
def test_years_of_good_nights_keep_what_the_policy_counts(first, number, policy):
    """Through leap days and the turns of years: exactly as many days, weeks, months and years as were asked for."""
    entries = [Entry(new_set_id(first + datetime.timedelta(days=day)), "verified") for day in range(number)]
    decision = retention.decide(entries, moment(entries[-1].set_id), policy)
    for kind, field in zip(KINDS, FIELDS):
        periods = {moment(entry.set_id).strftime(field) for entry in entries}
        kept = [reason for verdict in decision.verdicts for reason in verdict.reasons if reason.startswith(kind)]
        assert kept == [f"{kind} {name}" for name in sorted(periods, reverse=True)[:getattr(policy, f"keep_{kind}")]]
    assert len(decision.verdicts) - len(decision.going) <= max(
        policy.min_age_days, policy.keep_last, policy.keep_verified, policy.keep_daily) + policy.keep_weekly + policy.keep_monthly + policy.keep_yearly
