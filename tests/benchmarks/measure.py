# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command costs (time, CPU, memory of it and all that it starts), on what machine, and tables of that."""

from __future__ import annotations

import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import typing as t

SAMPLE_SECONDS = 0.05
MOST_SECONDS = 3600
"""A command that takes longer hangs, and is killed."""
ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "benchmarks.md"


class Cost(t.NamedTuple):
    """Of one run: seconds on the clock, seconds of CPU with all children, bytes of memory at the highest sample, output."""

    wall: float
    cpu: float
    memory: int
    output: str


def cores() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def environment() -> dict[str, str]:
    """The environment in which a Python program finds this checkout as a collection."""
    subprocess.run([str(ROOT / "tools" / "link-collection")], check=True)
    return {**os.environ, "PYTHONPATH": str(ROOT / ".build" / "run-collections")}


def run(argv: list[str], directory: str, variables: dict[str, str] | None = None) -> Cost:
    """Run a command and measure it. Its output (some lines) is kept; a failure ends the benchmark with it."""
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = subprocess.Popen(argv, cwd=directory, env=variables, stdin=subprocess.DEVNULL, stdout=output)
        ended = threading.Event()
        peak = [0]
        sampler = threading.Thread(target=_sample, args=(process.pid, ended, peak))
        sampler.start()
        dummy, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        sampler.join()
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    if process.returncode:
        raise SystemExit(f"{' '.join(argv)} failed with exit code {process.returncode}\n{text}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, peak[0], text)


def _sample(pid: int, ended: threading.Event, peak: list[int]) -> None:
    latest = time.monotonic() + MOST_SECONDS
    while not ended.wait(SAMPLE_SECONDS):
        if time.monotonic() > latest:
            os.kill(pid, signal.SIGKILL)
        peak[0] = max(peak[0], sum(memory(one) for one in family(pid)))


def children(pid: int) -> list[int]:
    """The processes that a process started, or adopted as a subreaper."""
    result: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as stream:
                result.extend(map(int, stream.read().split()))
    except OSError:
        pass  # it has ended meanwhile
    return result


def family(pid: int) -> list[int]:
    """A process and all below it."""
    result = [pid]
    for one in result:
        result.extend(children(one))
    return result


def memory(pid: int) -> int:
    """The proportional set size: what several processes share counts once."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as stream:
            return next((int(line.split()[1]) * 1024 for line in stream if line.startswith("Pss:")), 0)
    except OSError:
        return 0


def drop_caches() -> None:
    """Forget every file that is in memory, so that the next run reads from the disk. Disturbs everybody on the machine."""
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as stream:
            stream.write("3")
    except OSError as error:
        raise SystemExit(f"Cold runs need root on a machine of its own: {error}") from error


def machine(directory: str) -> str:
    """One line about this machine and the disk of I(directory)."""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
        model = next((line.partition(":")[2].strip() for line in stream if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo", encoding="ascii") as stream:
        memory = int(stream.readline().split()[1]) / 2**20
    return (f"{model}, {cores()} cores, {memory:.0f} GB of memory, {_disk(directory)}, Linux {platform.release()}, "
            f"Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}")


def _disk(directory: str) -> str:
    device = os.stat(directory).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    system = "an unknown file system"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if line.split()[2] == number:
                system = line.rpartition(" - ")[2].split()[0]
    block = pathlib.Path("/sys/dev/block", number).resolve()
    for place in (block, block.parent):
        rotational = place / "queue" / "rotational"
        if rotational.exists():
            spins = rotational.read_text(encoding="ascii").strip() == "1"
            kind = "a virtual disk" if place.name.startswith(("vd", "xvd")) else "a rotating disk" if spins else "a solid-state disk"
            return f"{system} on {kind} ({place.name})"
    return system


def seconds(values: t.Sequence[float]) -> str:
    """The median, and how far the runs lie apart."""
    text = f"{statistics.median(values):.2f}"
    return text if len(values) == 1 else f"{text} ({min(values):.2f}-{max(values):.2f})"


def table(header: t.Sequence[str], rows: t.Sequence[t.Sequence[str]], left: int = 1) -> str:
    """A table in Markdown: the first I(left) columns to the left, numbers to the right."""
    lines = [header, ["---"] * left + ["---:"] * (len(header) - left), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write(name: str, text: str) -> None:
    """Put I(text) between the marks of I(name) in docs/benchmarks.md."""
    begin, end = f"<!-- {name} begins -->", f"<!-- {name} ends -->"
    document = DOCUMENT.read_text(encoding="utf-8")
    before, found, rest = document.partition(begin)
    dummy, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise SystemExit(f"{DOCUMENT} has no {begin} ... {end}")
    DOCUMENT.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
    print(f"written into {DOCUMENT}", file=sys.stderr)
