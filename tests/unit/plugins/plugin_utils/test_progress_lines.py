# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import threading
import time

import pytest
from ansible_collections.seafleet.seafile.plugins.plugin_utils import progress
from ansible_collections.seafleet.seafile.plugins.plugin_utils.progress import Meter, Reading, Sample, Watch

MIB = 1024 * 1024
NOON = 1795435200
"""A time of the other host's clock."""


def reading(**changes):
    return Reading(**dict({
        "what": "pull objects", "done": 12000, "total": 28500, "unit": "objects", "size": 0, "size_total": None, "began": NOON, "now": NOON}, **changes))


def file(clock=NOON + 5.0, **changes):
    """What the other host answers: its time, and its file."""
    values = {"format": 1, "what": "pull objects", "done": 12000, "total": 28500, "unit": "objects", "bytes": 0, "bytes_total": None, "began": NOON,
              "now": NOON + 5}
    return f"{int(clock)}\n{json.dumps(dict(values, **changes))}\n"


# -- the words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes, speed, line", [
    ({"size": 3000 * MIB}, (82.5, 35 * MIB), "pull objects: 42 %, 12,000 of 28,500 objects, 35 MiB/s, 3:20 left"),
    ({}, (1650.4, 0.0), "pull objects: 42 %, 12,000 of 28,500 objects, 1,650 objects/s, 0:10 left"),
    ({}, None, "pull objects: 42 %, 12,000 of 28,500 objects"),
    ({"total": None}, (1650.0, 0.0), "pull objects: 12,000 objects, 1,650 objects/s"),
    ({"done": 0, "total": None}, None, "pull objects: begun"),
    ({"done": 0, "total": 0}, (0.0, 0.0), "pull objects: begun"),
    ({"done": 0}, None, "pull objects: 0 %, 0 of 28,500 objects"),
    ({"done": 28500}, (10.0, 0.0), "pull objects: 100 %, 28,500 of 28,500 objects, 10 objects/s, 0:00 left"),
    ({"done": 28499}, None, "pull objects: 99 %, 28,499 of 28,500 objects"),
    ({"done": 28501}, (10.0, 0.0), "pull objects: 28,501 objects, 10 objects/s"),
    ({"what": "dump MySQL", "done": 0, "total": None, "unit": "bytes", "size": 300 * MIB, "size_total": 1200 * MIB}, (0.0, 45 * MIB),
     "dump MySQL: 25 %, 300 MiB of 1.2 GiB, 45 MiB/s, 0:20 left"),
    ({"what": "dump MySQL", "done": 0, "total": None, "size": 1300 * MIB, "size_total": 1200 * MIB}, (0.0, 45 * MIB),
     "dump MySQL: 1.3 GiB, 45 MiB/s"),
    ({"size": 5 * MIB}, (0.0, 0.0), "pull objects: 42 %, 12,000 of 28,500 objects, 0 B/s"),
], ids=str)
def test_a_line_says_what_is_known_and_no_more(changes, speed, line):
    assert progress.describe(reading(**changes), speed) == line


def test_a_line_says_when_nothing_happens():
    assert progress.describe(reading(), (0.0, 0.0), 80) == "pull objects: 42 %, 12,000 of 28,500 objects, nothing for 1:20"


@pytest.mark.parametrize("seconds, text", [
    (0, "0:00"), (59.6, "1:00"), (200, "3:20"), (3599.4, "59:59"), (3600, "1:00:00"), (3800, "1:03:20"), (172799, "47:59:59"), (172800, "2 d 0 h"),
    (10**6, "11 d 13 h"), (10**20, "years"),
])
def test_durations_are_for_people(seconds, text):
    assert progress.duration_text(seconds) == text


@pytest.mark.parametrize("size, text", [
    (0, "0 B"), (999, "999 B"), (1000, "1.0 KiB"), (1536, "1.5 KiB"), (9.9 * MIB, "9.9 MiB"), (35 * MIB, "35 MiB"), (1000 * MIB, "1.0 GiB"),
    (2**70, "1048576 PiB"),
])
def test_sizes_are_for_people(size, text):
    assert progress.size_text(size) == text


# -- rates -------------------------------------------------------------------------------------------------------------


def test_a_rate_is_that_of_the_last_samples():
    assert progress.rates([Sample(10.0, 100, 0), Sample(15.0, 200, 0), Sample(20.0, 600, 1000)]) == (50.0, 100.0)


@pytest.mark.parametrize("samples", [
    [], [Sample(1.0, 1, 1)], [Sample(1.0, 1, 1), Sample(1.0, 2, 2)], [Sample(2.0, 1, 1), Sample(1.0, 2, 2)], [Sample(1.0, 5, 5), Sample(2.0, 4, 6)],
    [Sample(1.0, 5, 5), Sample(2.0, 6, 4)],
], ids=["none", "one", "no time between", "backwards in time", "fewer things", "fewer bytes"])
def test_what_tells_no_rate_gives_none(samples):
    assert progress.rates(samples) is None


@pytest.mark.parametrize("changes, speed", [
    ({"total": None}, (10.0, 10.0)), ({"total": 0, "done": 0}, (10.0, 10.0)), ({}, (0.0, 10.0)), ({}, None), ({"done": 28501}, (10.0, 10.0)),
    ({"size": 5, "size_total": 10}, (10.0, 0.0)),
], ids=["no total", "nothing to do", "stands still", "no rate", "more than all", "no bytes come"])
def test_no_time_left_is_made_up(changes, speed):
    assert progress.seconds_left(reading(**changes), speed) is None


def test_bytes_tell_the_time_left_where_their_total_is_known():
    assert progress.seconds_left(reading(size=25, size_total=100), (1.0, 25.0)) == 3.0


# -- reading -----------------------------------------------------------------------------------------------------------


def test_the_other_hosts_answer_is_found_among_other_lines():
    clock, found = progress.read("BECOME-SUCCESS-abc\r\n" + file().replace("\n", "\r\n") + "Shared connection closed.\r\n")
    assert (clock, found.done) == (NOON + 5.0, 12000)


@pytest.mark.parametrize("text", [
    "", "1795435200\n", "1795435200\n{", "1795435200\n{}", "1795435200\n[]", file(format=2), file(done="1"), file(done=-1), file(done=1.5), file(done=True),
    file(total=-1), file(total="many"), file(bytes=10**30), file(what=None), file(unit=5), file(began="noon"), file(began=None), file(now=float("nan")),
    file(began=float("inf")), "1795435200\n" + "{\"a\":" * 5000,
], ids=lambda text: text[11:60])
def test_what_makes_no_sense_is_not_shown(text):
    assert progress.read(text)[1] is None
    assert Meter().line(text, 100.0, 5.0) is None


def test_another_host_cannot_write_to_the_terminal():
    line = Meter().line(file(what="\x1b]0;title\x07" + "\n" + "x" * 1000, unit="\x9b2J\r"), 100.0, 5.0)
    assert line.isprintable() and len(line) < 200


# -- one task ----------------------------------------------------------------------------------------------------------


def test_the_first_line_has_the_rate_since_the_phase_began():
    assert Meter().line(file(), 100.0, 5.0) == "pull objects: 42 %, 12,000 of 28,500 objects, 2,400 objects/s, 0:07 left"


def test_the_next_lines_have_the_rate_between_them():
    meter = Meter()
    meter.line(file(), 100.0, 5.0)
    assert meter.line(file(NOON + 10, done=12500), 105.0, 10.0) == "pull objects: 43 %, 12,500 of 28,500 objects, 100 objects/s, 2:40 left"


def test_the_rate_is_a_recent_one():
    meter = Meter()
    for number in range(20):
        line = meter.line(file(NOON + 5 + 5 * number, done=100 * number if number < 12 else 1100 + 1000 * (number - 11), total=None), 100.0 + 5 * number, 5.0)
    assert line == "pull objects: 9,100 objects, 200 objects/s"


@pytest.mark.parametrize("now", [NOON - 3600, NOON + 86400], ids=["back", "forth"])
def test_a_clock_that_was_set_makes_no_wrong_rate(now):
    meter = Meter()
    assert meter.line(file(now=now), 100.0, 5.0) == "pull objects: 42 %, 12,000 of 28,500 objects"
    line = meter.line(file(NOON + 99999, now=now + 99999, done=12500), 105.0, 10.0)
    assert line == "pull objects: 43 %, 12,500 of 28,500 objects, 100 objects/s, 2:40 left"


def test_what_an_earlier_run_has_left_is_not_shown():
    meter = Meter()
    assert meter.line(file(NOON + 60), 100.0, 5.0) is None
    assert meter.line(file(NOON + 65), 105.0, 10.0) is None
    assert meter.line(file(NOON + 70, began=NOON + 60, now=NOON + 70, done=285), 110.0, 15.0) == (
        "pull objects: 1 %, 285 of 28,500 objects, 28 objects/s, 16:30 left")


def test_a_file_without_the_other_hosts_time_is_not_shown():
    assert Meter().line(file().partition("\n")[2], 100.0, 5.0) is None


def test_a_new_phase_begins_anew():
    meter = Meter()
    meter.line(file(), 100.0, 5.0)
    line = meter.line(file(NOON + 10, what="pull files", began=NOON + 8, now=NOON + 10, done=50, total=100), 105.0, 10.0)
    assert line == "pull files: 50 %, 50 of 100 objects, 25 objects/s, 0:02 left"


def test_standing_still_is_told():
    meter = Meter()
    meter.line(file(), 100.0, 5.0)
    assert meter.line(file(NOON + 10), 105.0, 10.0) == "pull objects: 42 %, 12,000 of 28,500 objects, 0 objects/s"
    assert meter.line(file(NOON + 25), 120.0, 25.0) == "pull objects: 42 %, 12,000 of 28,500 objects, nothing for 0:20"


@pytest.mark.parametrize("interval, elapsed, seconds", [(5, 0, 5), (5, 300, 5), (5, 600, 10), (5, 36000, 30), (60, 36000, 60), (0.5, 0, 0.5)])
def test_what_takes_hours_is_told_less_often(interval, elapsed, seconds):
    assert progress.pause(interval, elapsed) == seconds


@pytest.mark.parametrize("hosts, seconds", [(0, 5), (1, 5), (5, 5), (20, 20)])
def test_many_hosts_take_turns(hosts, seconds):
    assert progress.shared_interval(5, hosts) == seconds


# -- the thread --------------------------------------------------------------------------------------------------------


def watched(look, seconds, interval=0.02, patience=1.0, seen=None, least=0):
    """Watch a body that takes I(seconds), and longer until I(seen), the lines unless told, holds I(least); return the lines."""
    lines = []
    end = time.monotonic() + 60
    with Watch(look, lines.append, interval, patience):
        while len(lines if seen is None else seen) < least and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(seconds)
    return lines


def live():
    now = time.time()
    return file(now, began=now, now=now)


def test_lines_come_while_the_body_runs_and_none_after_it():
    lines = watched(live, 0, least=3)
    count = len(lines)
    assert count >= 3 and set(lines) == {"pull objects: 42 %, 12,000 of 28,500 objects"}
    time.sleep(0.1)
    assert len(lines) == count
    assert "seafleet-progress" not in [thread.name for thread in threading.enumerate()]


def test_a_short_task_is_never_looked_at():
    asked = []
    watched(lambda: asked.append(1) or live(), 0.05, interval=5)
    assert asked == []


def test_a_look_that_never_ends_holds_up_nothing_and_shows_nothing():
    release = threading.Event()
    lines = []

    def look():
        release.wait(100)
        return live()

    began = time.monotonic()
    with Watch(look, lines.append, 0.01, 0.1):
        time.sleep(0.05)
    assert time.monotonic() - began < 50
    release.set()
    time.sleep(0.1)
    assert lines == []


def test_looks_that_fail_are_given_up():
    asked = []

    def look():
        asked.append(1)
        raise OSError("no route to host")

    assert watched(look, 0.3, seen=asked, least=3) == []
    assert len(asked) == 3


def test_one_failure_is_forgiven():
    asked = []

    def look():
        asked.append(1)
        if len(asked) % 2:
            raise OSError("no route to host")
        return live()

    assert len(watched(look, 0, least=3)) >= 3


def test_a_display_that_fails_harms_nobody():
    def say(dummy):
        raise ValueError("closed")

    with Watch(live, say, 0.01):
        time.sleep(0.05)


def test_the_failure_of_the_body_is_its_own():
    with pytest.raises(KeyError), Watch(live, lambda dummy: None, 0.01):
        raise KeyError("x")


def test_where_no_thread_is_to_be_had_the_body_runs_all_the_same(monkeypatch):
    def start(dummy):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert watched(live, 0.01) == []
