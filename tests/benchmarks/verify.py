# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(make benchmark WHAT=verify): what it costs to verify a backup, beside C(sha1sum) of the very same files on the same cores.

In turn, several rounds: sha1sum, a first full verification, a second one of which nothing is new, a quick one, and one after a
small change. Every run is a process of its own, and each one's result is checked: a wrong one would be worth nothing fast.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import sys
import typing as t

import generate
import measure

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run_verify.py")
SHA1SUM = "sha1sum of every file"
FIRST = "first verification, full"
AGAIN = "again, level new, nothing changed"
QUICK = "again, level quick"
CHANGED = "level new, after a change of {percent:g} %"


class Bench:
    """The runs over one deployment."""

    def __init__(self, directory: str, percent: float, processes: int) -> None:
        self.directory = directory
        self.storage = os.path.join(directory, "haiwen", "seafile-data", "storage")
        self.index = os.path.join(directory, "proved")
        self.percent = percent
        self.processes = processes
        self.environment = measure.environment()
        self.changed = CHANGED.format(percent=percent)
        self.runs: dict[str, list[measure.Cost]] = {}
        self.objects = 0
        self.bytes = 0
        self.added = 0
        self._count()

    def _count(self) -> None:
        state = generate.read_state(self.directory)
        self.objects = sum(state["objects"].values())
        self.bytes = sum(state["bytes"].values())

    def sha1sum(self) -> measure.Cost:
        """As many at once as there are cores; find and xargs are part of it, as they would be for anybody who does this."""
        command = f"set -o pipefail; find . -type f -print0 | xargs -0 -P {measure.cores()} -n 1000 sha1sum | wc -l"
        cost = measure.run(["bash", "-c", command], self.storage)
        if int(cost.output) != self.objects:
            raise SystemExit(f"there are {cost.output.strip()} objects instead of {self.objects} in {self.storage}")
        return cost

    def verify(self, level: str, hashed: int | None) -> measure.Cost:
        """One verification, which must find nothing wrong and must have hashed so many objects (None: not checked)."""
        cost = measure.run([sys.executable, RUN, self.directory, self.index, level, str(self.processes)], self.directory, self.environment)
        result = json.loads(cost.output)
        read = sum(kind["files"] for kind in result["hashed"].values())
        if result["findings"] or (hashed is not None and read != hashed):
            raise SystemExit(f"level {level}: {result['findings']} findings instead of 0, {read} objects hashed instead of {hashed}\n{cost.output}")
        for note in result["notes"]:
            print(f"  {level}: {note}", file=sys.stderr)
        return cost._replace(memory=max(cost.memory, result["memory"]))

    def round(self, cold: bool) -> None:
        """Each kind of run once. Without I(cold), all files are in memory as far as they fit: sha1sum has just read them."""
        mark = ", cold" if cold else ""
        shutil.rmtree(self.index, ignore_errors=True)
        if not cold:
            self.sha1sum()
        for name, action in (
            (SHA1SUM, self.sha1sum),
            (FIRST, lambda: self.verify("full", self.objects)),
            (AGAIN, lambda: self.verify("new", 0)),
            (QUICK, lambda: self.verify("quick", None)),  # hashes what it reads for its way: commits and fs objects
            (self.changed, self._verify_change),
        ):
            if name == self.changed:
                before = self.objects
                generate.change(self.directory, self.percent)
                self._count()
                self.added = self.objects - before
            if cold:
                measure.drop_caches()
            cost = action()
            self.runs.setdefault(name + mark, []).append(cost)
            print(f"  {name + mark}: {cost.wall:.2f} s, {cost.cpu:.2f} s of CPU, {cost.memory / 1e6:.0f} MB", file=sys.stderr)

    def _verify_change(self) -> measure.Cost:
        return self.verify("new", self.added)

    def table(self) -> str:
        """Medians of the rounds, with their range; the last columns against sha1sum of the same round, warm or cold."""
        rows = []
        for name, costs in self.runs.items():
            base = self.runs[SHA1SUM + (", cold" if name.endswith(", cold") else "")]
            wall = statistics.median(cost.wall for cost in costs)
            reads_all = name.startswith((SHA1SUM, FIRST))
            ratios = [f"{statistics.median(getattr(one, part) / getattr(other, part) for one, other in zip(costs, base)):.2f}" for part in ("wall", "cpu")]
            rows.append([
                f"`{name.split(' ', 1)[0]}` {name.split(' ', 1)[1]}" if name.startswith("sha1sum") else name,
                measure.seconds([cost.wall for cost in costs]), f"{statistics.median(cost.cpu for cost in costs):.2f}",
                f"{self.objects / wall:,.0f}", f"{self.bytes / 1e6 / wall:,.0f}" if reads_all else "",
                f"{max(cost.memory for cost in costs) / 1e6:.0f}" if not name.startswith(SHA1SUM) else "", *ratios,
            ])
        return measure.table(("run", "seconds", "CPU seconds", "objects/s", "MB/s", "memory MB", "seconds / `sha1sum`", "CPU / `sha1sum`"), rows)


def needed_bytes(objects: int, libraries: int, block_bytes: tuple[int, int]) -> int:
    """About what a deployment takes on a disk with blocks of 4 kB."""
    low, high = block_bytes
    block = low if low == high else (high - low) / math.log(high / low)
    return round(objects * (0.6 * (block + 2048) + 0.4 * 4096) + libraries * 512 * 4096)


def prepare(directory: str, objects: int, options: argparse.Namespace) -> None:
    """Make the deployment, or take the one that an earlier run with the same options kept."""
    try:
        state = generate.read_state(directory)
        kept = state["format"], state["seed"], state["asked"], tuple(state["block_bytes"])
        if kept == (generate.FORMAT, options.seed, objects, options.block_bytes):
            return
    except (OSError, ValueError, KeyError):
        pass
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    needed, free = needed_bytes(objects, options.libraries, options.block_bytes), shutil.disk_usage(directory).free
    if needed > free * 0.9:
        raise SystemExit(f"{objects} objects take about {needed / 1e9:.0f} GB; {directory} has {free / 1e9:.0f} GB left. Choose another DIR.")
    print(f"making {objects} objects in {directory}", file=sys.stderr)
    generate.generate(directory, objects, options.libraries, options.seed, options.block_bytes)


def bench(objects: int, options: argparse.Namespace) -> str:
    """The runs over a deployment of I(objects) objects, as a table under a heading."""
    directory = os.path.join(os.path.abspath(options.dir), f"verify-{objects}")
    try:
        prepare(directory, objects, options)
        runs = Bench(directory, options.change, options.processes)
        for number in range(options.rounds):
            print(f"{objects} objects, round {number + 1} of {options.rounds}", file=sys.stderr)
            runs.round(cold=False)
        if options.cold:
            runs.round(cold=True)
    finally:
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
    return f"### {objects:,} objects, {runs.bytes / 1e6:,.0f} MB\n\n{runs.table()}\n"


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, nargs="+", default=[100000, 1000000])
    parser.add_argument("--change", type=float, default=0.1, metavar="PERCENT")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--libraries", type=int, default=200)
    parser.add_argument("--block-bytes", type=generate.sizes, default=(300, 65536), metavar="MIN-MAX")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=0, help="of the verification; 0: what it takes by itself")
    parser.add_argument("--dir", default=os.path.join(".build", "benchmarks"), help="where the data goes")
    parser.add_argument("--cold", action="store_true", help="one more round with empty caches; root, and a machine of its own")
    parser.add_argument("--keep", action="store_true", help="leave the data for the next run")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    if min(options.objects) < generate.SMALLEST or options.rounds < 1:
        parser.error(f"at least {generate.SMALLEST} objects and one round")
    os.makedirs(options.dir, exist_ok=True)
    head = (f"{measure.machine(options.dir)}; load {os.getloadavg()[0]:.1f} from other work when it began. "
            f"{options.rounds} rounds in turn, medians, warm unless it says cold.")
    text = "\n".join([f"{head}\n", *(bench(objects, options) for objects in options.objects)])
    print(text)
    if options.write:
        measure.write("verify", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
