# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as AWX runs them, with the same ansible-runner, on test hosts; AWX itself is not there.

A private data directory is made as AWX's C(RunJob) makes it (project, collections of its requirements, inventory as a script, extra variables
and credentials as files, the environment of AWX's settings), and goes through C(ansible-runner transmit | worker | process). The worker
is an ordinary user in a container of the execution environment, on the network of the test hosts: like the pod of a container group.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import sys
import typing as t

import ansible_runner.interface
import yaml

import ee
import testhosts
from fleet import Fleet

EXAMPLE = testhosts.PROJECT / "examples" / "awx-project"
BINARIES = pathlib.Path(sys.executable).parent
WRONG_PASSWORD = "canary-Wrong.w0rd"
LOGIN_PASSWORD = "canary-Login.w0rd"
BIG = 60_000_000
"""Bytes of a file that comes with the first backup of the server files."""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

# What AWX 24 sets for every job (awx/settings/defaults.py, RunJob.build_env), without what only its own plugins read.
ENVIRONMENT = {
    "ANSIBLE_FORCE_COLOR": "True",
    "ANSIBLE_HOST_KEY_CHECKING": "False",
    "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
    "ANSIBLE_PARAMIKO_RECORD_HOST_KEYS": "False",
    "ANSIBLE_RETRY_FILES_ENABLED": "False",
    "ANSIBLE_SSH_CONTROL_PATH_DIR": "/runner/cp",
    "ANSIBLE_COLLECTIONS_PATH": "/runner/requirements_collections:~/.ansible/collections:/usr/share/ansible/collections",
    "ANSIBLE_ROLES_PATH": "/runner/requirements_roles:~/.ansible/roles:/usr/share/ansible/roles:/etc/ansible/roles",
    "AWX_HOST": "https://awx.example.org",
    "AWX_PRIVATE_DATA_DIR": "/runner",
    "INVENTORY_ID": "1",
    "MAX_EVENT_RES": "700000",
    "PROJECT_REVISION": "0123456789abcdef0123456789abcdef01234567",
}


class Job(t.NamedTuple):
    """What a job left: its status, what it printed, its events, all bytes that came from the worker, and what it sent and received."""

    status: str
    stdout: str
    events: list[dict[str, t.Any]]
    stream: bytes
    artifacts: pathlib.Path
    traffic: int

    @property
    def plain(self) -> str:
        """What it printed, without colours and the carriage returns of a terminal's line ends."""
        return COLOUR.sub("", self.stdout).replace("\r\n", "\n")

    @property
    def stats(self) -> dict[str, t.Any]:
        """The event that AWX takes the host summary and the job's artifacts from."""
        event, = (event for event in self.events if event["event"] == "playbook_on_stats")
        return event["event_data"]

    def everything(self) -> bytes:
        """All that the controller gets to see and keeps: the stream and every file of the artifacts."""
        return self.stream + b"".join(path.read_bytes() for path in sorted(self.artifacts.rglob("*")) if path.is_file())


class Controller:
    """The controller's side of jobs on a fleet of test hosts: the project with its collections, and the directories of the jobs."""

    def __init__(self, fleet: Fleet, inventory: dict[str, t.Any], directory: pathlib.Path) -> None:
        self.fleet = fleet
        self.directory = directory
        self.project = directory / "project"
        shutil.copytree(EXAMPLE, self.project)
        shutil.rmtree(self.project / "inventory")
        (self.project / "inventory").mkdir()
        (self.project / "inventory" / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
        (self.project / "known_hosts").write_text((fleet.group.directory / "known_hosts").read_text(encoding="utf-8"), encoding="utf-8")
        self.collections = directory / "requirements_collections"
        self._install()
        self._last = 0

    def _install(self) -> None:
        """Install the collection as a project update does, from the archive that Galaxy would get."""
        tree = subprocess.run([str(testhosts.PROJECT / "tools" / "copy-collection"), "awx"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        environment = os.environ | {"HOME": str(self.directory), "ANSIBLE_COLLECTIONS_PATH": str(self.collections)}
        subprocess.run([str(BINARIES / "ansible-galaxy"), "collection", "build", tree, "--output-path", str(self.directory)], env=environment, check=True,
                       stdout=subprocess.DEVNULL)
        archive, = self.directory.glob("*.tar.gz")
        wanted = yaml.safe_load((self.project / "collections" / "requirements.yml").read_text(encoding="utf-8"))["collections"]
        assert [f"{entry['name'].replace('.', '-')}-{entry['version']}.tar.gz" for entry in wanted] == [archive.name]
        subprocess.run([str(BINARIES / "ansible-galaxy"), "collection", "install", "--offline", str(archive), "--collections-path", str(self.collections)],
                       env=environment, check=True, stdout=subprocess.DEVNULL)

    def private_data(self, playbook: str, limit: str = "", verbosity: int = 0, extra_vars: t.Mapping[str, t.Any] | None = None,
                     credential: t.Mapping[str, t.Any] | None = None, check: bool = False, hosts: str = "") -> tuple[pathlib.Path, dict[str, t.Any]]:
        """Make the private data directory of a job; return it and the other arguments of ansible-runner.

        :arg extra_vars: those of the template, and the answers to its survey.
        :arg credential: what a credential of a type of our own injects as extra variables.
        :arg hosts: what the controller's inventory holds, as JSON; by default what the project's has.
        """
        self._last += 1
        ident = str(self._last)
        private = self.directory / f"job{ident}"
        shutil.copytree(self.project, private / "project")
        shutil.copytree(self.collections, private / "requirements_collections")
        (private / "cp").mkdir(mode=0o700)
        (private / "env").mkdir(mode=0o700)
        (private / "inventory").mkdir(mode=0o700)
        listed = [str(BINARIES / "ansible-inventory"), "-i", str(self.project / "inventory" / "hosts.yml"), "--list", "--export"]
        hosts = hosts or subprocess.run(listed, stdout=subprocess.PIPE, text=True, check=True).stdout
        script = private / "inventory" / "hosts"
        script.write_text(f"#! /usr/bin/env python3\nprint({json.dumps(json.loads(hosts))!r})\n", encoding="utf-8")
        script.chmod(0o700)
        arguments = ["-u", "root", "--forks=10"] + (["-l", limit] if limit else []) + (["--check"] if check else [])
        arguments += ["-" + "v" * verbosity] if verbosity else []
        self._write(private / "env" / "extravars", yaml.safe_dump({"awx_job_id": self._last, **(extra_vars or {})}))
        if credential:
            self._write(private / "env" / "tmpcredential", yaml.safe_dump(dict(credential)))
            arguments += ["-e", "@/runner/env/tmpcredential"]
        self._write(private / "env" / "cmdline", " ".join(arguments))
        self._write(private / "env" / "settings", json.dumps({"pexpect_timeout": 5, "pexpect_use_poll": True, "suppress_ansible_output": True}))
        key = (self.fleet.group.directory / "id_ed25519").read_text(encoding="utf-8")
        return private, {"ident": ident, "playbook": playbook, "ssh_key": key, "suppress_env_files": True,
                         "envvars": {**ENVIRONMENT, "JOB_ID": ident}, "fact_cache_type": ""}

    @staticmethod
    def _write(path: pathlib.Path, content: str) -> None:
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")

    def launch(self, playbook: str, **options: t.Any) -> Work:
        """Begin a job in a container of its own."""
        private, arguments = self.private_data(playbook, **options)
        return Work(self, private, arguments)

    def run(self, playbook: str, **options: t.Any) -> Job:
        """Run a job to its end."""
        with self.launch(playbook, **options) as work:
            return work.wait()


class Work:
    """A job at work: the container is its execution node, like a pod."""

    def __init__(self, controller: Controller, private: pathlib.Path, arguments: dict[str, t.Any]) -> None:
        self.private = private
        self.arguments = arguments
        self.container = f"seafleet-{secrets.token_hex(4)}-job{arguments['ident']}"
        label = f"{testhosts.LABEL}={controller.fleet.group.directory.resolve()}"
        testhosts.podman("run", "--detach", "--pull=never", "--name", self.container, "--network", testhosts.NETWORK, "--label", label,
                         "--user=1000:0", ee.build(), "sleep", "infinity")
        # beside the directory, all of which is transmitted
        transmitted, self.stream = private.with_suffix(".in"), private.with_suffix(".out")
        with open(transmitted, "wb") as output:
            ansible_runner.interface.run(streamer="transmit", _output=output, private_data_dir=str(private), **arguments)
        with open(transmitted, "rb") as source, open(self.stream, "wb") as output:
            self.process = subprocess.Popen(
                ["podman", "exec", "--interactive", self.container, "/opt/builder/bin/entrypoint", "dumb-init",
                 "ansible-runner", "worker", "--private-data-dir=/runner"],
                stdin=source, stdout=output, env=testhosts.podman_environment())

    def __enter__(self) -> Work:
        return self

    def __exit__(self, *dummy: t.Any) -> None:
        testhosts.podman("rm", "--force", "--time", "0", self.container, check=False)
        self.process.wait()

    def inside(self, script: str) -> str:
        """Run a shell script in the container and return what it printed."""
        return testhosts.podman("exec", self.container, "sh", "-c", script)

    def wait(self) -> Job:
        """Wait for the end and collect what the job left, as the controller does it."""
        self.process.wait(timeout=900)
        counters = self.inside("cat /proc/net/dev")
        traffic = sum(int(words[0]) + int(words[8]) for name, _colon, rest in (line.partition(":") for line in counters.splitlines())
                      if name.strip().startswith("eth") for words in [rest.split()])
        kept = self.private.with_name(f"{self.private.name}-kept")
        with open(self.stream, "rb") as source:
            result = ansible_runner.interface.run(streamer="process", _input=source, private_data_dir=str(kept), ident=self.arguments["ident"], quiet=True)
        artifacts = kept / "artifacts" / self.arguments["ident"]
        events = [json.loads(path.read_text(encoding="utf-8")) for path in (artifacts / "job_events").glob("*.json")]
        events.sort(key=lambda event: event["counter"])
        # as it was written, with the line ends of the terminal that the runner gives
        stdout = (artifacts / "stdout").read_bytes().decode(errors="replace")
        job = Job(result.status, stdout, events, self.stream.read_bytes(), kept / "artifacts", traffic)
        print(f"job {self.arguments['ident']}: {self.arguments['playbook']}: {job.status}\n{job.plain}")
        return job
