# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(make benchmark WHAT=fleet): what hundreds of servers cost the controller.

The servers are simulated: the playbook, the roles and the action plugins are the real ones, and in place of each host's Python stands a
program that answers as the real module did for one real server, a sample on this machine. So what is measured is Ansible's own share, which is the
controller's, and not that of hosts which in a real fleet are others.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

import measure

PROJECT = pathlib.Path(__file__).resolve().parents[2]
SAMPLE = PROJECT / "tests" / "fixtures" / "seafile-11-sqlite" / "haiwen.tar.gz"
SERVERS = (20, 200)
FORKS = 20
INTERVALS = (0.001, 0.02)
"""Seconds between two looks of Ansible for something to do: its own default, and what examples/ansible.cfg has."""
TICKS = os.sysconf("SC_CLK_TCK")
# In place of Python. The module comes through standard input; what it answered for the one real server is the answer for all.
STAND_IN = """#!/bin/sh
cat > "{work}/input.$$"
name=$(grep -a -o -m1 'ansible_collections.seafleet.seafile.plugins.modules.[a-z_]*' "{work}/input.$$" | head -n1)
answer="{work}/answers/${{name##*.}}"
if [ ! -e "$answer" ]; then
    {python} < "{work}/input.$$" > "{work}/answer.$$"
    mv "{work}/answer.$$" "$answer"
fi
rm "{work}/input.$$"
exec cat "$answer"
"""


class Cost(t.NamedTuple):
    """Seconds on the clock, seconds of CPU of ansible-playbook with all its children, of its first process alone, and its memory in bytes."""

    wall: float
    cpu: float
    main: float
    memory: int


def inventory(work: pathlib.Path, servers: int) -> pathlib.Path:
    """Write an inventory of I(servers) names, all of them this machine."""
    variables = {
        "ansible_connection": "local", "ansible_python_interpreter": str(work / "python"), "seafile_backup_host": "keeper",
        "seafile_backup_root": str(work / "backup"), "backup_warm_up": False}
    hosts = {f"server{number:03}": {"seafile_root": str(work / "servers" / f"{number:03}" / "haiwen")} for number in range(servers)}
    path = work / f"inventory-{servers}.json"
    path.write_text(json.dumps({"all": {"children": {
        "seafile_servers": {"hosts": hosts}, "others": {"hosts": {"keeper": {}}}}, "vars": variables}}), encoding="utf-8")
    return path


def main_cpu(pid: int) -> float:
    """Seconds of CPU of one process, 0 when it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def run(work: pathlib.Path, servers: int, forks: int, interval: float) -> Cost:
    """Run the playbook once over I(servers); it must succeed."""
    program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
    command = [program, "-i", str(inventory(work, servers)), "seafleet.seafile.backup", f"--forks={forks}"]
    environment = dict(
        measure.environment(), ANSIBLE_COLLECTIONS_PATH=str(PROJECT / ".build" / "run-collections"), ANSIBLE_PIPELINING="1", ANSIBLE_NOCOLOR="1",
        ANSIBLE_LOCALHOST_WARNING="0", ANSIBLE_INTERNAL_POLL_INTERVAL=str(interval), ANSIBLE_CONFIG=str(work / "ansible.cfg"), LC_ALL="C.UTF-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    first, memory = 0.0, 0
    with open(work / "log", "wb") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT) as process:
        while process.poll() is None:
            first, memory = max(first, main_cpu(process.pid)), max(memory, measure.memory(process.pid))
            time.sleep(0.2)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = (work / "log").read_text(encoding="utf-8", errors="replace")
    if process.returncode or f"{servers} of {servers} server" not in text:
        raise SystemExit(f"the run has failed:\n{text[-4000:]}")
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, first, memory)


def make_work(directory: str | None) -> pathlib.Path:
    """Make the sample server and the program that stands in for Python."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="fleet-", dir=directory))
    (work / "answers").mkdir()
    (work / "ansible.cfg").touch()
    (work / "servers" / "000").mkdir(parents=True)
    subprocess.run(["tar", "-xzf", str(SAMPLE), "--no-same-owner", "-C", str(work / "servers" / "000")], check=True)
    python = shutil.which("python3", path="/usr/bin") or sys.executable
    (work / "python").write_text(STAND_IN.format(work=work, python=python), encoding="utf-8")
    (work / "python").chmod(0o755)
    return work


def text(options: argparse.Namespace, costs: dict[tuple[int, float], list[Cost]], work: pathlib.Path) -> str:
    """The section of the page."""
    rows = []
    for (servers, interval), runs in costs.items():
        def median(part: str, of: t.Sequence[Cost] = runs) -> float:
            return statistics.median(getattr(cost, part) for cost in of)
        rows.append([
            str(servers), f"{interval:g}", measure.seconds([cost.wall for cost in runs]), f"{median('cpu') / servers:.2f}", f"{median('main') / servers:.2f}",
            f"{100 * median('main') / median('wall'):.0f} %", f"{median('memory') / 1e6:.0f}"])
    head = ["servers", "`internal_poll_interval`", "seconds", "CPU seconds a server", "of them in ansible-playbook's first process",
            "CPU share of the first process", "memory MB"]
    again = f"make benchmark WHAT=fleet ROUNDS={options.rounds}"
    return f"{measure.machine(str(work))}; {options.rounds} rounds, medians; {FORKS} forks. Again: `{again}`\n\n{measure.table(head, rows, 0)}\n"


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, nargs="+", default=SERVERS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--dir")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    if not os.environ.get("SEAFLEET_BENCHMARK"):
        # the environment with ansible-core, and this checkout as a collection
        subprocess.run(["tools/run-venv"], cwd=PROJECT, check=True)
        python = str(PROJECT / ".build" / "run-venv" / "bin" / "python")
        os.execve(python, [python, *sys.argv], dict(os.environ, SEAFLEET_BENCHMARK="1"))
    work = make_work(options.dir)
    try:
        run(work, 1, 1, INTERVALS[0])  # the one real server, whose answers are kept
        costs: dict[tuple[int, float], list[Cost]] = {}
        for dummy in range(options.rounds):
            for servers in options.servers:
                for interval in INTERVALS:
                    cost = run(work, servers, FORKS, interval)
                    print(f"{servers} servers, {interval:g}: {cost}", file=sys.stderr)
                    costs.setdefault((servers, interval), []).append(cost)
        told = text(options, costs, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(told)
    if options.write:
        measure.write("fleet", told)


if __name__ == "__main__":
    main()
