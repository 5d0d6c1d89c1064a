# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look for a secret in the command lines and environments of all processes of a host, over and over, until it is stopped.

    watch.py SECRET_FILE REPORT

The secret is read from a file, so that this program does not show it itself. I(REPORT) is there once it looks. SIGTERM ends it; then
I(REPORT) holds the number of rounds, of processes seen, and every command line with the secret in it or in its environment.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import sys
import time

PAUSE = 0.01


def look(secret, seen, found):
    """One round over /proc."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        texts = []
        for part in ("cmdline", "environ"):
            try:
                texts.append(pathlib.Path("/proc", name, part).read_bytes())
            except OSError:
                texts.append(b"")
        seen.add((name, texts[0]))
        if any(secret in text for text in texts):
            found.add(texts[0].replace(b"\0", b" ").decode("utf-8", "replace"))


def main():
    secret = pathlib.Path(sys.argv[1]).read_bytes().strip()
    report = pathlib.Path(sys.argv[2])
    stopped, seen, found, rounds = [], set(), set(), 0
    signal.signal(signal.SIGTERM, lambda *dummy: stopped.append(True))
    while not stopped:
        look(secret, seen, found)
        rounds += 1
        if rounds == 1:
            report.write_text("{}", encoding="ascii")
        time.sleep(PAUSE)
    report.write_text(json.dumps({"rounds": rounds, "processes": len(seen), "found": sorted(found)}), encoding="ascii")


if __name__ == "__main__":
    main()
