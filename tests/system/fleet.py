# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seafile servers made of the fixtures on test hosts, for the tests beside this file: deploy, back up, restore, look.

Several servers (inventory hosts) may live on one machine, each with a directory of its own, so that one run of a playbook
shows what becomes of many.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
import typing as t

import testhosts
from pytest_testhosts import Hosts, Result, ansible_environment

FIXTURES = testhosts.PROJECT / "tests" / "fixtures"
READER = testhosts.PROJECT / "tests" / "truth" / "read_back.py"
DATABASES = ("ccnet-db", "seafile-db", "seahub-db")
PASSWORD = "seafile-Pass.w0rd"
"""The database password of the fixture seafile-11-mariadb."""
ROOT = "/opt/haiwen"
BACKUPS = "/srv/seafile-backup"

# What a listing holds of each entry: enough to tell that nothing has been written, not even the same again.
_LISTING = """
import hashlib, json, os, stat, sys
entries = {}
def look(path):
    found = os.lstat(path)
    entry = [stat.filemode(found.st_mode), found.st_uid, found.st_gid, found.st_ino, found.st_mtime_ns]
    if stat.S_ISREG(found.st_mode):
        with open(path, "rb") as stream:
            entry += [found.st_size, hashlib.sha256(stream.read()).hexdigest()]
    elif stat.S_ISLNK(found.st_mode):
        entry.append(os.readlink(path))
    entries[path] = entry
for top in sys.argv[1:]:
    if os.path.lexists(top):
        look(top)
    for folder, names, files in os.walk(top):
        for name in names + files:
            look(os.path.join(folder, name))
print(json.dumps(entries))
"""


class Fleet:
    """Servers on a group of test hosts, and the one backup host that pulls from them all."""

    def __init__(self, group: Hosts, backup_host: str = "backup1") -> None:
        self.group = group
        self.backup_host = backup_host
        self.servers: dict[str, dict[str, t.Any]] = {}

    # -- making servers ---------------------------------------------------------------------------------------------

    def add(self, server: str, machine: str | None = None, root: str = ROOT, **variables: t.Any) -> None:
        """Put I(server) into the inventory: an inventory host on the test host I(machine) (default: of the same name)."""
        machine = machine or server
        self.servers[server] = {**testhosts.variables(self.group.directory, self.group.records[machine]), "machine": machine, "seafile_root": root, **variables}
        self.group.write_groups({"seafile_servers": {"hosts": self.servers, "vars": {"seafile_backup_host": self.backup_host}}})

    def root(self, server: str) -> str:
        """The Seafile directory of I(server)."""
        return self.servers[server]["seafile_root"]

    def accounts(self, machine: str, user: str = "seafile") -> None:
        """Make the account that runs Seafile, where it is missing."""
        self.run(machine, f"id {user} 2>/dev/null || useradd --create-home --shell /bin/bash {user}")

    def deploy(self, server: str, fixture: str = "seafile-11-sqlite", user: str = "seafile") -> None:
        """Unpack I(fixture) in the Seafile directory of I(server), owned by I(user), with its databases."""
        machine = self.servers[server]["machine"]
        root = shlex.quote(self.root(server))
        self.accounts(machine, user)
        self.group.put(machine, FIXTURES / fixture / "haiwen.tar.gz", "/root/haiwen.tar.gz")
        self.run(machine, f"mkdir -p {root} && tar -xzf /root/haiwen.tar.gz -C {root} --strip-components=1 && chown -R {user}:{user} {root}")
        for name in DATABASES:
            dump = FIXTURES / fixture / f"{name}.sql.gz"
            if dump.exists():
                self.group.put(machine, dump, f"/root/{name}.sql.gz")
                self.run(machine, f"mariadb -e 'CREATE DATABASE `{name}`' && zcat /root/{name}.sql.gz | mariadb {name} && rm /root/{name}.sql.gz")
                self.run(machine, f"mariadb -e \"GRANT ALL ON \\`{name}\\`.* TO seafile@127.0.0.1 IDENTIFIED BY '{PASSWORD}'\"")

    def clone(self, server: str, source: str) -> None:
        """Give I(server) a copy of the directory of I(source), on the same machine."""
        self.run(self.servers[server]["machine"], f"cp -a {shlex.quote(self.root(source))} {shlex.quote(self.root(server))}")

    def own_access(self, *servers: str, machine: str = "server1") -> dict[str, t.Any]:
        """An access made by hand in place of the playbook prepare: root of I(machine), for I(servers); the variables that name it."""
        self.run(self.backup_host, "[ -e /root/pull ] || { mkdir -m 700 /root/pull && ssh-keygen -q -t ed25519 -N '' -f /root/pull/id_ed25519; }")
        key = self.run(self.backup_host, "cat /root/pull/id_ed25519.pub")
        self.run(machine, f"echo {shlex.quote(key.strip())} >> /root/.ssh/authorized_keys")
        host_key = " ".join(self.run(machine, "cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
        self.run(self.backup_host, "".join(f"echo '{server} {host_key}' >> /root/pull/known_hosts\n" for server in servers))
        return {"seafile_pull_user": "root", "seafile_pull_restricted": False, "seafile_pull_private_key": "/root/pull/id_ed25519",
                "seafile_pull_known_hosts": "/root/pull/known_hosts"}

    # -- running ----------------------------------------------------------------------------------------------------

    def run(self, machine: str, command: str, check: bool = True) -> str:
        """Run the shell command I(command) as root on I(machine) and return what it printed."""
        done = self.group[machine].run(command)
        assert not check or done.rc == 0, f"{machine}: {command}: {done.rc}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def playbook(self, name: str, *servers: str, check: bool = False, **variables: t.Any) -> Result:
        """Run the collection's playbook I(name) on I(servers) (default: all), in check mode with diff where asked."""
        arguments = ["--check", "--diff"] if check else []
        if servers:
            arguments += ["--limit", ",".join((*servers, self.backup_host))]
        return self.group.playbook(f"seafleet.seafile.{name}", "--forks=10", *arguments, **variables)

    def ok(self, name: str, *servers: str, check: bool = False, **variables: t.Any) -> Result:
        """The same, and it must succeed."""
        result = self.playbook(name, *servers, check=check, **variables)
        assert result.code == 0, result.output
        return result

    def backup(self, *servers: str, **variables: t.Any) -> str:
        """Back up, which must succeed; return the id of the newest set of the first server."""
        self.ok("backup", *servers, **variables)
        return self.sets(servers[0] if servers else next(iter(self.servers)))[-1]

    def start(self, name: str, *servers: str, arguments: t.Sequence[str] = (), **variables: t.Any) -> Run:
        """Begin a playbook that runs beside the test, which may wait for it or kill it."""
        return Run(self, name, servers, variables, arguments)

    def carry(self, machine: str, directory: str, other: str, place: str) -> None:
        """Copy I(directory) of one machine into I(place) on another one, as a disk that is carried there would."""
        ssh = ["ssh", "-F", str(self.group.directory / "ssh_config")]
        parent, _slash, name = directory.rpartition("/")
        with subprocess.Popen([*ssh, machine, f"tar -C {parent} -cf - {name}"], stdout=subprocess.PIPE) as sender:
            subprocess.run([*ssh, other, f"mkdir -p {place} && tar -C {place} -xf -"], stdin=sender.stdout, check=True)

    # -- looking ----------------------------------------------------------------------------------------------------

    def store(self, server: str) -> str:
        """The directory of the backup of I(server) on the backup host."""
        return f"{BACKUPS}/{server}"

    def sets(self, server: str, partial: bool = False) -> list[str]:
        """The ids of the sealed (or partial) sets of I(server), oldest first."""
        pattern = "\\.*.partial" if partial else "[0-9]*"
        directory = shlex.quote(f"{self.store(server)}/sets")
        names = self.run(self.backup_host, f"find {directory} -mindepth 1 -maxdepth 1 -type d -name '{pattern}' -printf '%f\\n'", check=False)
        return sorted(name.strip(".").replace(".partial", "") for name in names.split())

    def manifest(self, server: str, set_id: str) -> dict[str, t.Any]:
        """The manifest of a sealed set."""
        return json.loads(self.run(self.backup_host, f"cat {shlex.quote(self.store(server))}/sets/{set_id}/manifest.json"))

    def listing(self, machine: str, *paths: str) -> dict[str, list[t.Any]]:
        """Mode, owner, inode, time, size and SHA-256 of everything at and below I(paths): equal twice when nothing was written."""
        return json.loads(self.run(machine, f"python3 -c {shlex.quote(_LISTING)} {' '.join(map(shlex.quote, paths))}"))

    def checksums(self, machine: str) -> str:
        """The names, definitions and rows of all databases of MariaDB on I(machine), as one text."""
        statistics = "--ignore-table=mysql.innodb_table_stats --ignore-table=mysql.innodb_index_stats"
        return self.run(machine, f"mariadb-dump --all-databases --skip-dump-date {statistics} | sha256sum")

    def truth(self, server: str, fixture: str = "seafile-11-sqlite") -> str:
        """Read every library of I(server) back and compare with the fixture's manifest; return the reader's last words."""
        machine = self.servers[server]["machine"]
        return self.truth_at(machine, self.root(server), fixture)

    def truth_at(self, machine: str, root: str, fixture: str) -> str:
        """The same for a deployment at I(root) of I(machine)."""
        self.group.put(machine, READER, "/root/read_back.py")
        self.group.put(machine, FIXTURES / fixture / "MANIFEST.json", f"/root/{fixture}.json")
        rows = ""
        if "mariadb" in fixture:
            self.run(machine, "python3 /root/read_back.py rows --client mariadb --seafile seafile-db --ccnet ccnet-db > /root/rows.json")
            rows = "--rows /root/rows.json"
        done = self.group[machine].run(f"python3 /root/read_back.py compare --manifest /root/{fixture}.json --haiwen {shlex.quote(root)} {rows}")
        return done.stdout.strip() + done.stderr.strip()


class Run:
    """A playbook at work in a process group of its own."""

    def __init__(self, fleet: Fleet, name: str, servers: t.Sequence[str], variables: dict[str, t.Any], arguments: t.Sequence[str] = ()) -> None:
        self.fleet = fleet
        command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", fleet.group.inventory, "-i", str(fleet.group.directory / "groups.yml")]
        command += [f"seafleet.seafile.{name}", *arguments]
        if servers:
            command += ["--limit", ",".join((*servers, fleet.backup_host))]
        command += ["--extra-vars", json.dumps(variables)]
        self.log = fleet.group.directory / f"{name}-{time.monotonic_ns()}.log"
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(
                command, env=ansible_environment() | fleet.group.environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def wait_until(self, condition: t.Callable[[], t.Any], seconds: float = 240) -> t.Any:
        """Wait until I(condition) gives something true, and return that; fail when the run ends before or the time is over."""
        end = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            assert self.process.poll() is None, f"the run has ended: {self.output}"
            assert time.monotonic() < end, f"not within {seconds} s: {self.output}"
            time.sleep(0.05)

    def wait(self) -> int:
        """Wait for the end and return the exit code."""
        try:
            return self.process.wait(timeout=600)
        finally:
            print(self.output)

    def kill(self) -> None:
        """End ansible-playbook and its workers by SIGKILL, as on a controller that dies. Each worker is a session of its own."""
        if self.process.poll() is None:
            for pid in [self.process.pid, *descendants(self.process.pid)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()


def descendants(pid: int) -> list[int]:
    """The process ids of all children of I(pid), and of theirs; those that have another parent by now do not count."""
    children = [int(child) for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]
    return children + [other for child in children for other in descendants(child)]
