# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pytest fixtures for tests against disposable hosts; tests/README.md shows how to use them.

C(hosts) starts fresh hosts for one test; C(molecule_hosts) are those of the molecule scenario that runs the test.
Both give a :class:`Hosts`: a mapping from the name of a host to its testinfra host.
"""

from __future__ import annotations

import collections.abc
import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest
import testinfra

import testhosts

COLLECTION = "ansible_collections/seafleet/seafile"


class Result(t.NamedTuple):
    """What a run of ansible-playbook gave: its exit code, everything it printed, and the counters of its recap."""

    code: int
    output: str
    recap: dict[str, dict[str, int]]

    @property
    def changed(self) -> int:
        """How many tasks changed something, on all hosts together."""
        return sum(counters["changed"] for counters in self.recap.values())


class Hosts(collections.abc.Mapping):
    """A group of test hosts: C(hosts["server1"]) is a testinfra host (C(.run), C(.file), C(.service), ...)."""

    def __init__(self, directory: pathlib.Path, inventory: str | None = None) -> None:
        self.directory = directory
        self.inventory = inventory or str(directory / "inventory.yml")
        self.records = {host.name: host for host in testhosts.read(directory)}
        self.environment: dict[str, str] = {}
        """More environment for the runs of ansible-playbook."""
        self._connections: dict[str, t.Any] = {}

    def __getitem__(self, name: str) -> t.Any:
        if name not in self._connections:
            self._connections[name] = testinfra.get_host(f"podman://{self.records[name].container}")
        return self._connections[name]

    def __iter__(self) -> t.Iterator[str]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def address(self, name: str) -> str:
        """The IP address of a host."""
        return self.records[name].address

    def pid(self, name: str) -> int:
        """The process id of the host's init, as seen from here: for C(nsenter -t PID -n iptables ...) and the like."""
        return self.records[name].pid

    def podman(self, name: str, command: str, *arguments: str) -> str:
        """Run C(podman <command> <container> <arguments>), for C(pause), C(kill), C(exec), ..."""
        return testhosts.podman(command, self.records[name].container, *arguments)

    def put(self, name: str, source: str | os.PathLike[str], dest: str) -> None:
        """Copy the file or the contents of the directory I(source) to I(dest) on a host, as root, with its modes and times."""
        source = pathlib.Path(source)
        path = f"{source}/" if source.is_dir() else str(source)
        remote = f"ssh -F {self.directory}/ssh_config"
        subprocess.run(["rsync", "-rltpH", "--chown=root:root", "--mkpath", "-e", remote, path, f"{name}:{dest}"], check=True)

    def write_groups(self, groups: dict[str, t.Any]) -> None:
        """Write the groups of the inventory: C({"seafile_servers": {"hosts": {"server1": {...}}, "vars": {...}}})."""
        (self.directory / "groups.yml").write_text(json.dumps({"all": {"children": groups}}, indent=2))

    def playbook(self, playbook: str | os.PathLike[str] | list[dict[str, t.Any]], *arguments: str, **extra_vars: t.Any) -> Result:
        """Run a playbook against these hosts and return how it went; it never raises for a failed play.

        :arg playbook: a path, a playbook of the collection (C(seafleet.seafile.backup)), or the plays themselves as data.
        :arg arguments: further arguments of ansible-playbook, such as C(--check).
        :arg extra_vars: extra variables of any type.
        """
        if isinstance(playbook, list):
            path = self.directory / "playbook.yml"
            path.write_text(json.dumps(playbook))
            playbook = path
        command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", self.inventory]
        if (self.directory / "groups.yml").exists():
            command += ["-i", str(self.directory / "groups.yml")]
        command += [str(playbook), *arguments]
        if extra_vars:
            command += ["--extra-vars", json.dumps(extra_vars)]
        done = subprocess.run(command, env=ansible_environment() | self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(f"$ {' '.join(command)}\n{done.stdout}\n(exit code {done.returncode})")
        return Result(done.returncode, done.stdout, recap(done.stdout))


def ansible_environment() -> dict[str, str]:
    """The environment of a run: this checkout as the collection, output that a test can read."""
    link = testhosts.BUILD / "run-collections" / COLLECTION
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(testhosts.PROJECT)
    kept = ("ANSIBLE_HOME", "ANSIBLE_SSH_CONTROL_PATH_DIR")
    environment = {name: value for name, value in os.environ.items() if name in kept or not name.startswith("ANSIBLE_")}
    environment.update(
        ANSIBLE_COLLECTIONS_PATH=str(testhosts.BUILD / "run-collections"),
        ANSIBLE_NOCOLOR="1",
        ANSIBLE_DEPRECATION_WARNINGS="0",
        ANSIBLE_LOCALHOST_WARNING="0",
        ANSIBLE_PIPELINING="1",
        ANSIBLE_RETRY_FILES_ENABLED="0",
        LC_ALL="C.UTF-8",
    )
    return environment


def recap(output: str) -> dict[str, dict[str, int]]:
    """The counters of the play recap in I(output): C({"server1": {"ok": 3, "changed": 1, "failed": 0, ...}})."""
    lines = re.findall(r"^(\S+) +: ((?:\w+=\d+ *)+)$", output.partition("PLAY RECAP")[2], re.MULTILINE)
    return {name: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", counters)} for name, counters in lines}


def pytest_configure() -> None:
    """testinfra calls podman by itself: give it the same settings as we use."""
    os.environ.update(testhosts.podman_environment())


@pytest.fixture
def hosts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[t.Callable[..., Hosts]]:
    """Start hosts for this test alone: C(hosts("server1", "backup1", groups={...}, options=["--tmpfs=/srv/small:size=20m"])).

    A name may carry a kind, C("old1:debian11"). They are gone after the test.
    """
    directories: list[pathlib.Path] = []

    def begin(*names: str, groups: dict[str, t.Any] | None = None, options: t.Sequence[str] = ()) -> Hosts:
        directory = tmp_path_factory.mktemp("hosts") / "group"
        directories.append(directory)
        testhosts.up(directory, testhosts.parse(names), options)
        group = Hosts(directory)
        if groups:
            group.write_groups(groups)
        return group

    yield begin
    for directory in directories:
        testhosts.down(directory)


@pytest.fixture(scope="session")
def molecule_hosts() -> Hosts:
    """The hosts of the molecule scenario that runs this test."""
    directory = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
    return Hosts(directory / "hosts", inventory=str(directory / "inventory"))
