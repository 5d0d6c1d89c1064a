# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends a long module whose result nobody waits for any more, together with its children.

When the controller is killed, or its connection breaks, sshd ends the session and closes the other end of the module's standard output. The
module itself would go on for hours and hold its lock. So it looks now and then whether somebody can still read what it will say.
"""

from __future__ import annotations

import contextlib
import select
import signal
import threading
import typing as t

_LOOK_EVERY = 5.0
_STDOUT = 1
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Abandoned(BaseException):
    """Nobody waits for the result. No Exception: nothing that mends failures on its way may keep it from ending the module."""


def is_listened_to(descriptor: int = _STDOUT) -> bool:
    """Say whether what is written to I(descriptor) can still be read. A file, C(/dev/null) and a terminal in use can."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return not any(event & (select.POLLERR | select.POLLHUP) for dummy, event in poll.poll(0))


@contextlib.contextmanager
def while_awaited(every: float = _LOOK_EVERY, descriptor: int = _STDOUT) -> t.Iterator[None]:
    """Raise :class:`Abandoned` in the body when its result can reach nobody any more, or when it is told to end (SIGTERM, SIGHUP).

    By a timer and not by a thread, for the body may fork: timers are not inherited. Only in the main thread; elsewhere nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    raised = False

    def stop(number: int, dummy: t.Any) -> None:
        nonlocal raised
        if number == signal.SIGALRM and is_listened_to(descriptor):
            return
        if not raised:  # while it cleans up, it is left in peace
            raised = True
            raise Abandoned

    before = {number: signal.signal(number, stop) for number in (signal.SIGALRM, *_SIGNALS)}
    signal.setitimer(signal.ITIMER_REAL, every, every)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: it was not Python that had set it
