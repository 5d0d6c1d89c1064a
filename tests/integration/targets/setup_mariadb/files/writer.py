# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raises one counter in three databases in one transaction, over and over, until a file appears; prints how often."""

from __future__ import annotations

import os
import subprocess
import sys
import time

stop, databases, command = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
client = subprocess.Popen(command + ["--unbuffered"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
statement = "BEGIN; " + " ".join(f"UPDATE `{name}`.seafleet_counter SET n = n + 1;" for name in databases) + " COMMIT; SELECT 1;\n"
count = 0
while not os.path.exists(stop) and count < 1000000:
    client.stdin.write(statement)
    client.stdin.flush()
    client.stdout.readline()
    count += 1
    # Still some hundred transactions in the time of one dump.
    time.sleep(0.0005)
client.stdin.close()
client.wait()
print(count)
