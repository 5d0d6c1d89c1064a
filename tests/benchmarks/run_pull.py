# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pull of all objects by several streams, in a process of its own. Prints JSON.

C(python3 run_pull.py PORT KEY KNOWN_HOSTS USER SRC DEST STREAMS KIB_A_SECOND [PREFIXES]); PREFIXES: only ids that begin with these digits.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time

from ansible_collections.seafleet.seafile.plugins.module_utils import object_parts, rsync, streams
from ansible_collections.seafleet.seafile.plugins.module_utils.progress import Progress
from ansible_collections.seafleet.seafile.plugins.module_utils.ssh_connection import Connections


def main(arguments: list[str]) -> int:
    port, key, known_hosts, user, src, dest, count, limit = arguments[:8]
    prefixes = arguments[8] if len(arguments) > 8 else ""
    binary = shutil.which("rsync") or "rsync"
    remote = rsync.Remote("127.0.0.1", user, int(port), key, known_hosts, "benchmark")
    pull = rsync.Pull("objects", src, dest, remote, bandwidth_limit=int(limit), timeout=60)
    parts = [object_parts.Part(prefixes)] if prefixes else object_parts.of_everything(int(count))
    os.makedirs(dest, 0o700)
    began = time.monotonic()
    with Connections(remote) as connections:
        report = streams.pull(streams.Plan(binary, pull, src, parts, int(count), 0, connections), Progress(None, "pull"))
    print(json.dumps({"seconds": time.monotonic() - began, "transferred": report.transferred, "bytes": report.bytes_transferred}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
