# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(.build/venv/bin/python tests/benchmarks/fleet_hosts.py): one run over twenty test hosts, each a machine of its own with systemd, sshd and a disk.

Three of them fail (one is down, one keeps its objects in S3, one has no Seafile), and one stands still for a while in the middle of its pull.
Prints the table of the run, how long it took and when the one that stood still and the others ended; ends with 1 when a verdict is not the
expected one. Not part of make test: twenty machines take some gigabytes of memory and minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import tempfile
import threading
import time

PROJECT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "tests" / "hosts"), str(PROJECT / "tests" / "system")]

import testhosts  # noqa: E402  # pylint: disable=wrong-import-position
from fleet import Fleet  # noqa: E402  # pylint: disable=wrong-import-position
from pytest_testhosts import Hosts, pytest_configure  # noqa: E402  # pylint: disable=wrong-import-position

DOWN, REMOTE, EMPTY, STILL = "server03", "server07", "server12", "server05"
EXPECTED = {DOWN: "unreachable", REMOTE: "object-store-elsewhere", EMPTY: "no-seafile"}


def stand_still(fleet: Fleet, seconds: float) -> None:
    """Stop the host when its objects are pulled, and let it go on after some time, like a machine that swaps."""
    for dummy in range(6000):
        if fleet.run("backup1", f"pgrep -f '{STILL}/[o]bjects/'", check=False):
            break
        time.sleep(0.1)
    fleet.group.podman(STILL, "pause")
    time.sleep(seconds)
    fleet.group.podman(STILL, "unpause")


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--forks", type=int, default=20)
    parser.add_argument("--still", type=float, default=60, help="seconds that one host stands still")
    options = parser.parse_args()
    pytest_configure()
    names = [f"server{number:02}" for number in range(1, options.servers + 1)]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="fleet-")) / "group"
    try:
        began = time.monotonic()
        testhosts.up(directory, testhosts.parse([*names, "backup1"]))
        print(f"{len(names) + 1} hosts are up in {time.monotonic() - began:.0f} s", flush=True)
        fleet = Fleet(Hosts(directory))
        for name in names:
            fleet.add(name)
            fleet.deploy(name)
        fleet.ok("prepare")
        fleet.run(EMPTY, "rm -r /opt/haiwen")
        fleet.run(REMOTE, "printf '[commit_object_backend]\\nname = s3\\nbucket = b\\n' >> /opt/haiwen/conf/seafile.conf")
        fleet.group.podman(DOWN, "stop", "--time=0")
        path = directory / "result.json"
        # slow enough to be met in the middle of its pull
        fleet.add(STILL, backup_bandwidth_limit=4096, backup_warm_up=False)
        run = fleet.start("backup", arguments=[f"--forks={options.forks}"], backup_result_file=str(path))
        began = time.monotonic()
        holder = threading.Thread(target=stand_still, args=(fleet, options.still))
        holder.start()
        code = run.process.wait()
        seconds = time.monotonic() - began
        holder.join()
        result = json.loads(path.read_text())
        output = run.output
        print(output[output.index(f"backup {result['run_id']}"):output.index("ok: [", output.index(f"backup {result['run_id']}"))])
        rows = {row["server"]: row for row in result["servers"]}
        good = [row for name, row in rows.items() if name not in EXPECTED]
        others = max(row["ended"] for row in good if row["server"] != STILL)
        print(f"exit code {code}; {seconds:.0f} s with {options.forks} forks; {STILL} stood still for {options.still:.0f} s and ended at "
              f"{rows[STILL]['ended']}, the last of the others at {others}")
        right = code == 2 and {name: rows[name]["code"] for name in EXPECTED} == EXPECTED and all(row["state"] == "verified" for row in good)
        if not right:
            print(output)
        return 0 if right else 1
    finally:
        testhosts.down(directory)


if __name__ == "__main__":
    sys.exit(main())
