# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import retention
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import new_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.retention import Entry, Policy

NOW = datetime.datetime(2026, 11, 30, 4, 0, 0, tzinfo=datetime.timezone.utc)
LEAST = dict(keep_last=0, keep_daily=0, keep_weekly=0, keep_monthly=0, keep_yearly=0)


def night(days, state="verified", **more):
    """The set of the night so many days ago, begun at three o'clock."""
    return Entry(new_set_id(NOW - datetime.timedelta(days=days, hours=1)), state, **more)


def nights(first, last=0):
    """Verified sets of every night from so many days ago."""
    return [night(days) for days in range(last, first + 1)]


def decide(entries, now=NOW, **policy):
    return retention.decide(entries, now, Policy(**dict(LEAST, **policy)))


def going(entries, now=NOW, **policy):
    return list(decide(entries, now, **policy).going)


def reasons(decision, entry):
    return next(list(verdict.reasons) for verdict in decision.verdicts if verdict.set_id == entry.set_id)


# -- what fault 53 names ---------------------------------------------------------------------------------------------


def test_nothing_younger_than_seven_days_goes_even_when_the_policy_keeps_nothing():
    assert going(nights(7)) == [night(7).set_id]
    assert going(nights(6)) == []
    assert reasons(decide(nights(10)), night(6)) == ["younger than 7 days"]


def test_seven_days_are_over_to_the_second():
    newest = Entry("20261130T030000Z", "verified")
    rest = [Entry("20261129T030000Z", "verified"), Entry("20261123T030000Z", "verified"), Entry("20261123T030001Z", "verified")]
    assert going([newest, *rest]) == ["20261123T030000Z"]


@pytest.mark.parametrize("policy", [
    {"min_age_days": 6}, {"min_age_days": 0}, {"min_age_days": -1}, {"keep_verified": 1}, {"keep_verified": 0}, {"unproven_days": 6}, {"partial_days": 6},
    {"quarantine_days": 1}, {"partial_days": -1}, {"keep_last": -1}, {"keep_daily": -5}, {"min_age_days": 10 ** 12}, {"keep_yearly": 36501},
])
def test_an_input_can_only_raise_what_is_safe(policy):
    with pytest.raises(SeafileError) as caught:
        Policy(**policy)
    name, value = next(iter(policy.items()))
    assert caught.value.code == "retention-policy" and f"{name}={value}" in caught.value.message


def test_a_higher_minimum_age_holds():
    assert going(nights(40), min_age_days=30) == [night(days).set_id for days in range(40, 29, -1)]


def test_the_two_newest_verified_sets_stay_whatever_their_age():
    old = [night(400), night(500), night(600)]
    decision = decide(old)
    assert decision.going == (night(600).set_id,)
    assert reasons(decision, night(400)) == ["younger than 7 days", "newest verified", "one of the 2 newest verified"]
    assert reasons(decision, night(500)) == ["one of the 2 newest verified"]


def test_damaged_sets_do_not_count_as_the_redundancy():
    entries = [night(0), *(night(days, "damaged") for days in range(1, 60)), night(90), night(91)]
    decision = decide(entries)
    assert "one of the 2 newest verified" in reasons(decision, night(90))
    # of the damaged ones none has two verified newer ones
    assert list(decision.going) == [night(91).set_id]


@pytest.mark.parametrize("state, words", [
    ("partial", "has failed and is partial"), ("damaged", "is damaged"), ("sealed", "was never verified")])
def test_nothing_goes_while_the_newest_attempt_is_not_verified(state, words):
    entries = [night(0, state), *nights(400, 1)]
    decision = decide(entries, partial_days=7)
    assert decision.going == () and decision.frozen == (f"the newest set {night(0).set_id} {words}",)
    assert reasons(decision, night(300)) == [f"nothing goes: the newest set {night(0).set_id} {words}"]


def test_a_failing_streak_that_ended_well_is_over():
    entries = [night(0), night(1, "partial"), night(2, "damaged"), *nights(20, 3)]
    assert going(entries) == [night(days).set_id for days in range(20, 6, -1)]


def test_a_run_at_work_is_no_failing_streak_and_its_set_stays():
    running = night(0, "partial", running=True)
    decision = decide([running, *nights(20, 1)], partial_days=7)
    assert reasons(decision, running) == ["its run is at work"] and not decision.frozen
    # ages count from the newest verified set, which is of yesterday
    assert decision.going == tuple(night(days).set_id for days in range(20, 7, -1))


def test_a_set_from_the_future_never_goes_never_counts_and_freezes():
    future = Entry("20271130T030000Z", "verified")
    decision = decide([future, *nights(20)])
    assert decision.going == () and "one of the clocks is wrong" in decision.frozen[0] and future.set_id in decision.frozen[0]
    assert reasons(decision, future) == ["from the future of this host's clock (2026-11-30T04:00:00Z)"]
    assert "newest verified" in reasons(decision, night(0))


def test_a_step_of_ntp_is_no_future():
    slightly = Entry(new_set_id(NOW + datetime.timedelta(minutes=5)), "verified")
    assert going([slightly, *nights(8)]) == [night(8).set_id, night(7).set_id]


@pytest.mark.parametrize("years", [-40, -1, 1, 60])
def test_a_wrong_clock_of_this_host_takes_no_set_that_is_younger_than_seven_days(years):
    now = NOW.replace(year=NOW.year + years)
    assert set(going(nights(20), now)) <= {night(days).set_id for days in range(7, 21)}


def test_without_any_verified_set_nothing_goes():
    entries = [night(days, state) for days, state in ((0, "sealed"), (100, "damaged"), (200, "sealed"), (300, "partial"))]
    decision = decide(entries, partial_days=7)
    assert decision.going == () and decision.frozen == ("no set is verified",)


# -- slots -----------------------------------------------------------------------------------------------------------


def test_days_weeks_months_and_years_keep_their_last_verified_set():
    decision = decide(nights(800), keep_daily=8, keep_weekly=3, keep_monthly=3, keep_yearly=3)
    kept = {verdict.set_id[:8]: verdict.reasons for verdict in decision.verdicts if not verdict.goes and "younger than 7 days" not in verdict.reasons}
    assert kept == {
        "20261123": ("daily 2026-11-23",), "20261122": ("weekly 2026-W47",), "20261031": ("monthly 2026-10",), "20260930": ("monthly 2026-09",),
        "20251231": ("yearly 2025",), "20241231": ("yearly 2024",)}
    assert decision.verdicts[0].reasons == (
        "younger than 7 days", "newest verified", "one of the 2 newest verified", "daily 2026-11-30", "weekly 2026-W49", "monthly 2026-11", "yearly 2026")


def test_a_day_without_a_verified_set_does_not_use_up_a_slot():
    entries = [night(0), night(10, "damaged"), night(20), night(21, "partial"), night(40), night(41)]
    kept = decide(entries, keep_daily=3)
    assert [verdict.set_id for verdict in kept.verdicts if any("daily" in reason for reason in verdict.reasons)] == [
        night(days).set_id for days in (0, 20, 40)]


def test_of_several_sets_of_a_day_the_last_one_stays():
    day = [Entry(f"20261101T{hour:02d}0000Z", "verified") for hour in (0, 6, 12, 23)]
    decision = decide([night(0), night(1), *day], keep_daily=3)
    assert decision.going == ("20261101T000000Z", "20261101T060000Z", "20261101T120000Z")


def test_days_are_those_of_utc():
    # an hour that is Sunday in New York and Monday in Berlin is what UTC says
    around = [Entry("20261101T235959Z", "verified"), Entry("20261102T000000Z", "verified")]
    decision = decide([night(0), *around], keep_weekly=9)
    assert "weekly 2026-W44" in reasons(decision, around[0]) and "weekly 2026-W45" in reasons(decision, around[1])


@pytest.mark.parametrize("set_id, names", [
    ("20280229T120000Z", ["daily 2028-02-29", "weekly 2028-W09", "monthly 2028-02", "yearly 2028"]),
    ("20270101T000000Z", ["daily 2027-01-01", "weekly 2026-W53", "monthly 2027-01", "yearly 2027"]),
    ("20241230T000000Z", ["daily 2024-12-30", "weekly 2025-W01", "monthly 2024-12", "yearly 2024"]),
    ("20261231T235959Z", ["daily 2026-12-31", "weekly 2026-W53", "monthly 2026-12", "yearly 2026"]),
])
def test_leap_days_and_the_weeks_at_the_turn_of_the_year(set_id, names):
    entry = Entry(set_id, "verified")
    decision = decide([entry], entry.moment, keep_daily=1, keep_weekly=1, keep_monthly=1, keep_yearly=1)
    assert reasons(decision, entry)[3:] == names


def test_the_last_ones():
    decision = decide(nights(40), keep_last=20)
    assert decision.going == tuple(night(days).set_id for days in range(40, 19, -1))
    assert reasons(decision, night(19)) == ["one of the last 20"]


# -- what is not verified --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state, words", [("damaged", "damaged"), ("sealed", "never verified")])
def test_an_unproven_set_goes_by_its_age_and_with_enough_newer_verified_ones(state, words):
    entries = [night(0), night(29, state), night(30, state), night(31), night(32, state)]
    decision = decide(entries)
    assert decision.going == (night(32).set_id,)
    assert reasons(decision, night(29)) == [f"{words}, and younger than 30 days", f"{words}, and only 1 newer verified set"]
    assert reasons(decision, night(30)) == [f"{words}, and only 1 newer verified set"]
    assert reasons(decision, night(32)) == [f"{words}, 30 days old or older, and 2 newer sets are verified"]


def test_partial_sets_stay_unless_asked_for():
    entries = [night(0), night(1), night(50, "partial")]
    assert going(entries) == []
    assert reasons(decide(entries), night(50)) == ["partial, and partial sets are never pruned (partial_days is 0)"]
    assert going(entries, partial_days=60) == []
    assert going(entries, partial_days=50) == [night(50).set_id]


def test_a_state_that_is_not_known_stays():
    decision = decide([night(0), night(1), night(500, "frobnicated")])
    assert reasons(decision, night(500)) == ["of the unknown state frobnicated"]


# -- what a user holds, and what is in use ---------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["verified", "damaged", "sealed", "partial"])
def test_a_set_on_hold_stays(state):
    entries = [*nights(9), night(900, state), night(901)]
    assert night(900).set_id in going(entries, partial_days=7)
    assert going(entries, partial_days=7, hold=frozenset([night(900).set_id])) == [night(901).set_id, *(night(days).set_id for days in (9, 8, 7))]
    assert reasons(decide(entries, hold=frozenset([night(900).set_id])), night(900))[0] == "on hold by the policy"


def test_a_hold_that_is_no_set_id_is_refused():
    with pytest.raises(SeafileError) as caught:
        Policy(hold=frozenset(["2026-11-23"]))
    assert caught.value.code == "set-id-invalid"


def test_what_the_caller_says_keeps_a_set():
    decision = decide([*nights(9), night(900, kept_by=("chosen for a restore", "marked to be kept"))])
    assert reasons(decision, night(900)) == ["chosen for a restore", "marked to be kept"]


def test_a_reason_of_the_caller_freezes():
    decision = retention.decide(nights(20), NOW, Policy(**LEAST), ["a file was changed"])
    assert decision.going == () and decision.frozen == ("a file was changed",)


def test_the_defaults_keep_two_weeks_two_months_of_weeks_a_year_of_months_and_three_years():
    decision = retention.decide(nights(1500), NOW, Policy())
    kept = [verdict.set_id[:8] for verdict in decision.verdicts if not verdict.goes]
    assert kept[:14] == [night(days).set_id[:8] for days in range(14)]
    assert kept[14:] == [
        "20261115", "20261108", "20261101", "20261031", "20261025", "20261018", "20260930", "20260831", "20260731", "20260630", "20260531", "20260430",
        "20260331", "20260228", "20260131", "20251231", "20241231"]
