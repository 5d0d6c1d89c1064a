# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module's progress file says, as a line for people. Pure functions, and the thread that reads and shows now and then."""

from __future__ import annotations

import collections
import contextlib
import contextvars
import json
import math
import threading
import time
import typing as t

INTERVAL = 5.0
"""Seconds from one line to the next, in the first minutes."""
LONGEST_PAUSE = 30.0
_SLOWER_AFTER = 60
"""A sixtieth of the time gone by is the pause: after five minutes it is five seconds, after half an hour thirty."""
_HOSTS_AT_ONCE = 5
_SAMPLES = 7
_MOST_FAILURES = 3
_SLACK = 3.0
_STILL = 15.0
_LONGEST_WORD = 60
_LARGEST = 2**63


class Reading(t.NamedTuple):
    """A progress file: see :class:`module_utils.progress.Progress`."""

    what: str
    done: int
    total: int | None
    unit: str
    size: int
    size_total: int | None
    began: float
    now: float


class Sample(t.NamedTuple):
    """How much was done at a moment of this host's monotonic clock, which no change of a clock disturbs."""

    at: float
    done: int
    size: int


def read(text: str) -> tuple[float | None, Reading | None]:
    """Return the other host's time and what its file says, out of C(date +%s; head FILE); None for what is not there or makes no sense.

    The other host may be an enemy's: nothing of what it says reaches the terminal but short printable words and numbers.
    """
    clock: float | None = None
    for line in text.splitlines():
        line = line.strip()
        if clock is None and line.isascii() and line.isdigit():
            clock = float(line[:15])
        elif line.startswith("{"):
            return clock, _reading(line)
    return clock, None


def _reading(line: str) -> Reading | None:
    try:
        values = json.loads(line)
        if values["format"] != 1:
            return None
        return Reading(
            _word(values["what"]), _number(values["done"]), _number_or_none(values["total"]), _word(values["unit"]), _number(values["bytes"]),
            _number_or_none(values["bytes_total"]), _time(values["began"]), _time(values["now"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _word(value: t.Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return "".join(c if c.isprintable() else "?" for c in value[:_LONGEST_WORD])


def _number(value: t.Any) -> int:
    if type(value) is not int or not 0 <= value < _LARGEST:  # pylint: disable=unidiomatic-typecheck  # a bool is none
        raise TypeError
    return value


def _number_or_none(value: t.Any) -> int | None:
    return None if value is None else _number(value)


def _time(value: t.Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError
    return float(value)


def rates(samples: t.Sequence[Sample]) -> tuple[float, float] | None:
    """Return (things, bytes) a second between the first and the last sample; None while they do not tell."""
    if len(samples) < 2:
        return None
    first, last = samples[0], samples[-1]
    seconds = last.at - first.at
    if seconds <= 0 or last.done < first.done or last.size < first.size:
        return None
    return (last.done - first.done) / seconds, (last.size - first.size) / seconds


def fraction(reading: Reading) -> float | None:
    """Return how much of all is done, 0 to 1, by bytes where their total is known; None where no total is known, or was too low."""
    for done, total in ((reading.size, reading.size_total), (reading.done, reading.total)):
        if total:
            return done / total if done <= total else None
    return None


def seconds_left(reading: Reading, speed: tuple[float, float] | None) -> float | None:
    """Return the seconds that the rest will take at this speed; None where that cannot be told."""
    if speed is None or fraction(reading) is None:
        return None
    if reading.size_total:
        left, each_second = reading.size_total - reading.size, speed[1]
    else:
        left, each_second = (reading.total or 0) - reading.done, speed[0]
    return left / each_second if each_second > 0 else None


def size_text(size: float) -> str:
    """Return bytes for people: C(512 B), C(1.5 MiB), C(35 GiB)."""
    unit = "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1000:
            break
        size /= 1024
        unit = larger
    return f"{size:.1f} {unit}" if size < 9.95 and unit != "B" else f"{size:.0f} {unit}"


def duration_text(seconds: float) -> str:
    """Return a duration for people: C(0:05), C(3:20), C(1:03:20), C(2 d 3 h)."""
    whole = round(seconds)
    if whole >= 48 * 3600:
        return f"{whole // 86400} d {whole % 86400 // 3600} h" if whole < 1000 * 86400 else "years"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def describe(reading: Reading, speed: tuple[float, float] | None, still: float = 0.0) -> str:
    """Return one line for people.

    :arg still: seconds since anything was done, as far as that was seen.
    """
    parts = []
    part = fraction(reading)
    if part is not None:
        parts.append(f"{math.floor(part * 100)} %")
    if reading.total and reading.done <= reading.total:
        parts.append(f"{reading.done:,} of {reading.total:,} {reading.unit}")
    elif reading.done:
        parts.append(f"{reading.done:,} {reading.unit}")
    if reading.size_total and reading.size <= reading.size_total:
        parts.append(f"{size_text(reading.size)} of {size_text(reading.size_total)}")
    elif reading.size and not reading.done:
        parts.append(size_text(reading.size))
    if still >= _STILL:
        parts.append(f"nothing for {duration_text(still)}")
    elif speed is not None and reading.size:
        parts.append(f"{size_text(speed[1])}/s")
    elif speed is not None and reading.done:
        parts.append(f"{speed[0]:,.0f} {reading.unit}/s")
    left = seconds_left(reading, speed) if still < _STILL else None
    if left is not None:
        parts.append(f"{duration_text(left)} left")
    return f"{reading.what}: {', '.join(parts) or 'begun'}"


class Meter:
    """Follows the readings of one task: tells a phase from the next, and what is at work from what an earlier run has left."""

    def __init__(self) -> None:
        self._phase: tuple[str, float] | None = None
        self._samples: collections.deque[Sample] = collections.deque(maxlen=_SAMPLES)
        self._moved = 0.0
        self._alive = False

    def line(self, text: str, at: float, elapsed: float) -> str | None:
        """Return the line to show for what was read, None where there is none.

        :arg at: this host's monotonic clock.
        :arg elapsed: seconds since the task began.
        """
        clock, reading = read(text)
        if reading is None:
            return None
        last = self._samples[-1] if self._samples else None
        if self._phase != (reading.what, reading.began) or (last and (reading.done < last.done or reading.size < last.size)):
            self._samples.clear()
            self._phase, self._moved, last = (reading.what, reading.began), at, None
            # a file that was begun before the task is another run's, which left it when it was killed
            self._alive = clock is not None and reading.began >= clock - elapsed - _SLACK
        if last and (reading.done, reading.size) != (last.done, last.size):
            self._moved = at
        self._samples.append(Sample(at, reading.done, reading.size))
        if not self._alive:
            return None
        speed = rates(self._samples)
        if speed is None:
            # The first line has only the file's own times. A clock that was set meanwhile shows: no phase is older than its task.
            age = reading.now - reading.began
            speed = rates((Sample(at - age, 0, 0), self._samples[-1])) if age <= elapsed + _SLACK else None
        return describe(reading, speed, at - self._moved)


def shared_interval(interval: float, hosts: int) -> float:
    """Return the seconds between two lines of one host when I(hosts) are at work: together they show no more than one line a second or so."""
    return interval * max(1.0, hosts / _HOSTS_AT_ONCE)


def pause(interval: float, elapsed: float) -> float:
    """Return the seconds to the next line: I(interval) at first, and less and less often what takes hours."""
    return max(interval, min(elapsed / _SLOWER_AFTER, LONGEST_PAUSE))


class Watch:
    """Shows progress in a thread while the body of the context runs.

    It can neither fail nor hold up the body: what goes wrong ends the thread. When the context has been left nothing is shown any more,
    and the thread is not within I(say): the process may end at once, though the thread still waits for another host.

    :arg look: reads the other host's time and file, see :func:`read`; may raise any Exception.
    :arg say: shows a line.
    :arg patience: seconds that the end waits for the thread.
    """

    def __init__(self, look: t.Callable[[], str], say: t.Callable[[str], None], interval: float = INTERVAL, patience: float = 1.0) -> None:
        self._look = look
        self._say = say
        self._interval = interval
        self._patience = patience
        self._ended = threading.Event()
        self._mouth = threading.Lock()
        # Ansible keeps what belongs to the task, such as where its warnings go, in the context
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._run,), name="seafleet-progress", daemon=True)

    def __enter__(self) -> Watch:
        with contextlib.suppress(RuntimeError):  # no thread to be had: then without
            self._thread.start()
        return self

    def __exit__(self, *dummy: t.Any) -> None:
        self._ended.set()
        with self._mouth:
            pass
        if self._thread.ident is not None:
            self._thread.join(self._patience)

    def _run(self) -> None:
        with contextlib.suppress(Exception):
            began = time.monotonic()
            meter = Meter()
            failures = 0
            while not self._ended.wait(pause(self._interval, time.monotonic() - began)):
                try:
                    text = self._look()
                    failures = 0
                except Exception:  # pylint: disable=broad-except
                    failures += 1
                    if failures == _MOST_FAILURES:
                        return
                    continue
                now = time.monotonic()
                line = meter.line(text, now, now - began)
                with self._mouth:
                    if self._ended.is_set():
                        return
                    if line is not None:
                        self._say(line)
