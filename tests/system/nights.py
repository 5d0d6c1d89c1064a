# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nights that pass in seconds: every program of a run lives on a clock that libfaketime shifts.

On the hosts the interpreter that Ansible is given is a wrapper that shifts the clock of the module and of all that it starts; on
this machine ansible-playbook itself is shifted. Times of files stay what the kernel says: they are only compared for equality.
"""

from __future__ import annotations

import glob
import json
import shlex
import typing as t

from fleet import FIXTURES, READER, Fleet
from pytest_testhosts import Result
from writing import library_ids, prepare

DAY = 24 * 3600
INTERPRETER = "/usr/local/bin/python3-shifted"
SHIFT = "/etc/seafleet-test-shift"
WRAPPER = f"""#!/bin/sh
export LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketime.so.1) FAKETIME=$(cat {SHIFT}) NO_FAKE_STAT=1
exec /usr/bin/python3 "$@"
"""
WRITTEN_INTO = ("History", "Alice documents")
"""Libraries of the fixtures in which users work every day."""


class Nights:
    """A fleet whose clock is set before each run."""

    def __init__(self, fleet: Fleet, engines: t.Mapping[str, str]) -> None:
        """:arg engines: the engine of each server, whose fixture is C(seafile-11-<engine>)."""
        self.fleet = fleet
        self.engines = dict(engines)
        self.day = 0.0
        self.rotten = ""
        inventory = fleet.group.directory / "inventory.yml"
        hosts = json.loads(inventory.read_text())
        for variables in hosts["all"]["hosts"].values():
            variables["ansible_python_interpreter"] = INTERPRETER
        inventory.write_text(json.dumps(hosts, indent=2))
        for machine in fleet.group:
            fleet.run(machine, f"printf %s {shlex.quote(WRAPPER)} > {INTERPRETER} && chmod 755 {INTERPRETER}")
        for server, engine in self.engines.items():
            prepare(fleet, server)
            fleet.group.put(server, READER, "/root/read_back.py")
            fleet.group.put(server, FIXTURES / self.fixture(server) / "MANIFEST.json", "/root/MANIFEST.json")
        self.libraries = {engine: list(library_ids(f"seafile-11-{engine}", *WRITTEN_INTO).values()) for engine in set(self.engines.values())}

    def fixture(self, server: str) -> str:
        """The name of the fixture that I(server) began with."""
        return f"seafile-11-{self.engines[server]}"

    def set_clock(self, days: float, *machines: str) -> None:
        """Shift the clock of I(machines) (default: all, and this machine's for ansible-playbook) by I(days) from now."""
        seconds = f"{int(days * DAY):+d}s"
        for machine in machines or tuple(self.fleet.group):
            self.fleet.run(machine, f"echo {seconds} > {SHIFT}")
        if not machines:
            self.day = days
            library = sorted(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"))
            assert library, "libfaketime is not installed on this machine; `make test` installs it"
            self.fleet.group.environment.update(
                LD_PRELOAD=library[0], FAKETIME=seconds, NO_FAKE_STAT="1")

    def work(self, server: str, number: int) -> None:
        """A day of the users: one new version of one file in each of two libraries."""
        engine = self.engines[server]
        self.fleet.run(server, f"{INTERPRETER} /root/write.py {self.fleet.root(server)} {number} {engine} {' '.join(self.libraries[engine])}")

    def tell(self, server: str, name: str) -> None:
        """Keep the truth of this moment on I(server), as /root/I(name).json."""
        self._read(server, f"tell --manifest /root/MANIFEST.json {{}} > /root/{name}.json")

    def differences(self, server: str, name: str) -> str:
        """What the reader says of I(server) against the truth called I(name)."""
        return self._read(server, f"compare --manifest /root/{name}.json {{}} 2>&1 || true").strip()

    def _read(self, server: str, command: str) -> str:
        rows, before = "", ""
        if self.engines[server] == "mariadb":
            before = "python3 /root/read_back.py rows --client mariadb --seafile seafile-db --ccnet ccnet-db > /root/rows.json && "
            rows = "--rows /root/rows.json"
        return self.fleet.run(server, f"{before}python3 /root/read_back.py " + command.format(f"--haiwen {self.fleet.root(server)} {rows}"))

    def backup(self, **variables: t.Any) -> Result:
        """The nightly run of all servers."""
        return self.fleet.playbook("backup", **variables)

    def sets(self) -> dict[str, dict[str, t.Any]]:
        """By server, the sealed sets with their state, from the records that stand on the backup host: one look for all."""
        script = """
import glob, json, os, sys
found = {}
for path in glob.glob("/srv/seafile-backup/*/sets/*Z/manifest.json"):
    parts = path.split("/")
    with open(path) as stream:
        record = json.load(stream).get("verification") or {}
    beside = os.path.dirname(path) + ".verification.json"
    if os.path.exists(beside):
        with open(beside) as stream:
            later = json.load(stream)
        record = later if later["ended"] >= record.get("ended", "") else record
    found.setdefault(parts[3], {})[parts[5]] = record.get("state", "sealed")
print(json.dumps(found))
"""
        return json.loads(self.fleet.run(self.fleet.backup_host, f"python3 -c {shlex.quote(script)}"))
