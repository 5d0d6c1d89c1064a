# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment on a test host, looked at from outside: its files with owner and mode, a copy of it, the space it takes.

Used by the molecule scenarios that restore. Like read_back.py it uses nothing of the collection.
"""

from __future__ import annotations

import calendar
import json
import pathlib
import re
import shlex
import sqlite3
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures"

MAY_BE_MISSING = re.compile(
    r"(logs|pids|seahub-data/thumbnail|seafile-data/httptemp|seafile-data/tmpfiles)/"  # nothing in them is worth keeping
    r"|seafile-server-[0-9][^/]*(/|$)"  # programs
    r"|\.seafleet(/|$)"  # what the server remembers of backups: safe to lose
    r"|seafile-data/storage/")  # objects that no library reaches; that the others are there is read_back.py's to say
"""Paths of the deployment that are rightly not in a restored one."""


def manifest(fixture):
    """The truth about a deployment."""
    return json.loads((FIXTURES / fixture / "MANIFEST.json").read_text(encoding="utf-8"))


def listing(host, root="/opt/haiwen"):
    """Return {relative path: "type mode user:group target"} of everything below I(root) on the testinfra host I(host)."""
    output = host.check_output(f"cd {root} && find . -printf '%y %m %u:%g %l\\t%P\\0'")
    return {path: attributes for attributes, path in (entry.split("\t", 1) for entry in output.split("\0") if "\t" in entry)}


def lost_or_altered(before, after):
    """Return what a restore did not bring back as it was, and what it brought that was not there, a line each."""
    lost = [f"{path} is missing ({before[path]})" for path in sorted(set(before) - set(after)) if not MAY_BE_MISSING.match(path)]
    more = [f"{path} is new ({after[path]})" for path in sorted(set(after) - set(before))]
    return lost + more + [f"{path}: {before[path]} became {after[path]}" for path in sorted(set(before) & set(after)) if before[path] != after[path]]


def disk_use(host, path):
    """Return the bytes that I(path) takes on the disk of I(host); a hard-linked file counts once."""
    return int(host.check_output(f"du --summarize --block-size=1 {shlex.quote(path)}").split()[0])


def fetch(hosts, name, directory, root="/opt/haiwen"):
    """Copy the deployment on the test host I(name) to the local I(directory) and return it."""
    command = ["rsync", "--archive", "--hard-links", "--rsh", f"ssh -F {hosts.directory}/ssh_config", f"{name}:{root}/", f"{directory}/"]
    subprocess.run(command, check=True)
    return directory


def compare(fixture, haiwen):
    """Return what read_back.py says of the SQLite deployment in the local directory I(haiwen)."""
    command = [sys.executable, str(HERE / "read_back.py"), "compare", "--manifest", str(FIXTURES / fixture / "MANIFEST.json"), "--haiwen", str(haiwen)]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout


def sqlite_tables(haiwen):
    """Return {relative path: {table: its rows, sorted}} of every SQLite file below the local directory I(haiwen)."""
    found = {}
    for path in sorted(pathlib.Path(haiwen).rglob("*.db")):
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        names = [name for name, in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: sorted(connection.execute(f'SELECT * FROM "{name}"'), key=repr) for name in names}
        connection.close()
        found[str(path.relative_to(haiwen))] = rows
    return found


def seconds(text):
    """Return the seconds since 1970 of I(text), C(2026-11-23T03:00:00Z)."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
