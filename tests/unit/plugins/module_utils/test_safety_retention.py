# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which safety copies stay and which go. What is removed, and how, is in modules/test_safety_copy_retention.py."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import new_set_id, set_time
from ansible_collections.seafleet.seafile.plugins.module_utils.safety_retention import NO_RECORD, Entry, decide, require_days

NOW = datetime.datetime(2026, 11, 25, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
SECOND = datetime.timedelta(seconds=1)


def entry(age, state="complete", written=None, **more):
    moment = new_set_id(NOW - age)
    return Entry(moment, state, NOW - (age if written is None else written), **more)


def verdict(one, days=30, unrest=()):
    found, = decide([one], days, NOW, unrest)
    return found


@pytest.mark.parametrize("days", [-1, 1, 6, 36501, 10 ** 9])
def test_days_that_keep_too_little_are_refused(days):
    with pytest.raises(SeafileError) as caught:
        require_days(days)
    assert caught.value.code == "retention-policy" and f"safety_days={days}: it may be 7 to 36500, or 0 for never" in caught.value.message


@pytest.mark.parametrize("days", [0, 7, 36500])
def test_days_that_may_be(days):
    assert require_days(days) == days


def test_a_copy_goes_on_the_day_that_it_is_old_enough_and_not_a_second_before():
    assert verdict(entry(30 * DAY)) == (entry(30 * DAY).moment, True, ("30 days old or older",))
    assert verdict(entry(30 * DAY - SECOND))[1:] == (False, ("younger than 30 days",))


def test_without_days_nothing_goes_however_old_it_is():
    assert verdict(entry(3000 * DAY), days=0)[1:] == (False, ("safety copies are never pruned (safety_days is 0)",))


def test_a_copy_whose_record_was_written_later_is_no_older_than_that():
    """A restore that was interrupted while it dumped, and was run again a month later, keeps the moment of its copy."""
    assert verdict(entry(90 * DAY, written=3 * DAY)).reasons == ("younger than 30 days",)


@pytest.mark.parametrize("one", [entry(-SECOND), entry(-400 * DAY), entry(90 * DAY, written=-DAY)])
def test_what_is_from_the_future_stays(one):
    assert verdict(one).goes is False and verdict(one).reasons[0].startswith("from the future of this host's clock")


def test_a_copy_without_a_record_and_one_that_was_never_completed_stay():
    assert verdict(entry(90 * DAY, "")).reasons == (NO_RECORD,)
    for state in ("dumping", "dumped"):
        for removing in (False, True):
            assert "never completed" in verdict(entry(90 * DAY, state, removing=removing)).reasons[0]


def test_whatever_else_speaks_for_a_copy_is_told_beside_its_age():
    assert verdict(entry(DAY, kept_by=("a", "b")), unrest=["c"]).reasons == ("a", "b", "younger than 30 days", "nothing goes: c")
    for more in ({"one": entry(90 * DAY, kept_by=("a",))}, {"one": entry(90 * DAY), "unrest": ["c"]}):
        assert verdict(**more).goes is False


def test_a_removal_that_was_begun_is_ended_whatever_the_days_are_but_not_in_unrest():
    begun = entry(DAY, removing=True)
    assert verdict(begun, days=0)[1:] == verdict(begun)[1:] == (True, ("its removal was begun",))
    assert not verdict(begun, unrest=["c"]).goes and not verdict(entry(DAY, removing=True, kept_by=("a",))).goes


def test_all_are_told_newest_first():
    ages = [40, 10, 90]
    found = decide([entry(age * DAY) for age in ages], 30, NOW)
    assert [(set_time(row.moment), row.goes) for row in found] == [(NOW - 10 * DAY, False), (NOW - 40 * DAY, True), (NOW - 90 * DAY, True)]
