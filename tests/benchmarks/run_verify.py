# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One verification of a generated deployment, in a process of its own so that its memory is its own. Prints JSON.

C(python3 run_verify.py DIR INDEX new|quick|full [PROCESSES]); with C(--profile FILE) at the end, cProfile's numbers go there, and
one process does everything.
"""

from __future__ import annotations

import cProfile
import json
import os
import sys
import time

from ansible_collections.seafleet.seafile.plugins.module_utils import pointers, verification


def main(arguments: list[str]) -> int:
    profile = None
    if "--profile" in arguments:
        at = arguments.index("--profile")
        profile, arguments = arguments[at + 1], arguments[:at] + arguments[at + 2:]
    directory, index, level = arguments[:3]
    processes = 1 if profile else int(arguments[3]) if len(arguments) > 3 else 0
    with open(os.path.join(directory, "store.json"), encoding="utf-8") as stream:
        moment = json.load(stream)["moment"]
    began = time.monotonic()
    request = verification.Request(
        objects=os.path.join(directory, "haiwen", "seafile-data", "storage"), index=index or None,
        pointers=pointers.read_pointers(os.path.join(directory, "databases", "seafile-db.sql.gz")), now=moment, level=level, processes=processes)
    profiler = cProfile.Profile() if profile else None
    if profiler:
        outcome = profiler.runcall(verification.verify, request)
        profiler.dump_stats(profile)
    else:
        outcome = verification.verify(request)
    with open("/proc/self/status", encoding="ascii", errors="replace") as stream:
        memory = next(int(line.split()[1]) * 1024 for line in stream if line.startswith("VmHWM:"))
    print(json.dumps({
        "findings": outcome.findings_total, "first": [finding.sentence for finding in outcome.findings[:3]], "libraries": outcome.libraries,
        "hashed": outcome.hashed, "trusted": outcome.trusted, "legally_missing": outcome.legally_missing, "notes": outcome.notes,
        "seconds": time.monotonic() - began, "memory": memory,
    }))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
