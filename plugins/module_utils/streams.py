# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several rsync processes that pull the parts of one object store at the same time."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import threading
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import pull_stage, rsync
from ansible_collections.seafleet.seafile.plugins.module_utils.object_parts import Part
from ansible_collections.seafleet.seafile.plugins.module_utils.progress import Progress
from ansible_collections.seafleet.seafile.plugins.module_utils.slots import slot
from ansible_collections.seafleet.seafile.plugins.module_utils.ssh_connection import Connections

_COUNT_EVERY = 0.5
"""Seconds between two counts of what has come."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How the parts are pulled.

    :arg pull: what all parts have in common. Its C(bandwidth_limit) (KiB a second) holds for all streams together.
    :arg streams: how many rsync processes at once.
    :arg slots: the directory of the backup host's slots, see :func:`slots.slot`; None for no cap.
    :arg held: descriptors of locks that every rsync holds as well.
    """

    binary: str
    pull: rsync.Pull
    source: str
    parts: t.Sequence[Part]
    streams: int
    retries: int
    connections: Connections
    slots: t.Optional[str] = None
    most_slots: int = 0
    held: t.Tuple[int, ...] = ()


class _Work:
    """What the threads share."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self.plan = plan
        self.progress = progress
        self.count = max(1, min(plan.streams, len(plan.parts)))
        self.left = list(reversed(plan.parts))
        self.total = rsync.Report()
        self.error: BaseException | None = None
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.running: dict[int, tuple[rsync.Report, t.Any]] = {}
        self.counted = 0.0

    def stream(self, number: int) -> None:
        """One thread: take parts until there is none."""
        try:
            while True:
                with self.lock:
                    if not self.left or self.stop.is_set():
                        return
                    part = self.left.pop()
                report = self._pull(number, part)
                with self.lock:
                    pull_stage.add(self.total, report)
                    self.running.pop(number, None)
        except pull_stage.Stopped:
            pass
        except BaseException as error:
            with self.lock:
                self.error = self.error or error
            self.end()

    def end(self) -> None:
        """Nothing more is begun, and what runs is ended: rsync leaves no half file under an object's name."""
        self.stop.set()
        with self.lock:
            processes = [process for dummy, process in self.running.values()]
        for process in processes:
            with contextlib.suppress(OSError):
                process.terminate()

    def _pull(self, number: int, part: Part) -> rsync.Report:
        plan = self.plan
        limit = plan.pull.bandwidth_limit
        pull = dataclasses.replace(
            plan.pull, prefixes=part.prefixes, files_from=part.listed, changes=part.listed is not None,
            bandwidth_limit=max(1, limit // self.count) if limit else 0, control_path=plan.connections.path(number))
        with contextlib.ExitStack() as stack:
            if plan.slots and plan.most_slots:
                stack.enter_context(slot(plan.slots, plan.most_slots, lambda: not self.stop.is_set()))
            return pull_stage.fetch(
                plan.binary, pull, plan.source, plan.retries, plan.held, lambda report, process: self._watch(number, report, process), self.stop)

    def _watch(self, number: int, report: rsync.Report, process: subprocess.Popen[bytes]) -> None:
        known = self.running.get(number)
        if known is None or known[1] is not process:
            with self.lock:
                self.running[number] = (report, process)
            if self.stop.is_set():
                process.terminate()
        now = time.monotonic()
        if now < self.counted:
            return
        with self.lock:
            self.counted = now + _COUNT_EVERY
            reports = [self.total, *(running for running, dummy in self.running.values())]
            written = sum(_written(running.pid) for dummy, running in self.running.values())
            self.progress.set(sum(one.existing + one.arrived for one in reports), self.total.bytes_transferred + written)


def _written(pid: int) -> int:
    """Bytes that the rsync process I(pid) has written until now, which its receiving child does; 0 where the kernel does not tell."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as stream:
            children = stream.read().split()
        written = 0
        for child in children:
            with open(f"/proc/{child}/io", encoding="ascii") as stream:
                written += sum(int(line.split()[1]) for line in stream if line.startswith("wchar:"))
        return written
    except (OSError, ValueError, IndexError):
        return 0


def pull(plan: Plan, progress: Progress) -> rsync.Report:
    """Pull all parts; return the sum of what every process did.

    :raises SeafileError: the first failure of any; the others are ended then.
    """
    work = _Work(plan, progress)
    if work.count == 1:
        work.stream(0)
    else:
        threads = [threading.Thread(target=work.stream, args=(number,), daemon=True) for number in range(work.count)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            work.end()
            raise
    if work.error is not None:
        raise work.error
    return work.total
