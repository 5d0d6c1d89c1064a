# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people and Prometheus read, made by the real playbook and module out of a sample fleet, without any host."""

from __future__ import annotations

import datetime
import json
import pathlib
import subprocess
import sys
import typing as t

import pytest

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(PROJECT / "tests" / "hosts"), str(PROJECT / ".build" / "run-collections")]

import sample_fleet  # noqa: E402  # pylint: disable=wrong-import-position
from pytest_testhosts import ansible_environment, pytest_configure  # noqa: E402, F401  # pylint: disable=wrong-import-position,unused-import

EVIL = "<img src=x onerror=alert(1)> \x1b[31m"


class Fleet(t.NamedTuple):
    """The sample fleet, and what the playbook report made of it."""

    directory: pathlib.Path
    page: pathlib.Path
    facts: dict[str, t.Any]
    output: str
    again: str


def playbook(directory: pathlib.Path, name: str, **variables: t.Any) -> str:
    """Run a playbook of the collection on the sample fleet; it must succeed."""
    command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", str(directory / "inventory.yml"), f"seafleet.seafile.{name}",
               "--extra-vars", json.dumps(variables)]
    done = subprocess.run(command, env=ansible_environment(), capture_output=True, text=True, check=False, cwd=directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Nine servers on two backup hosts, one on a host that is down, and one that nobody backs up; reported twice."""
    directory = tmp_path_factory.mktemp("fleet")
    now = datetime.datetime.now(datetime.timezone.utc)
    sample_fleet.write(directory, now)
    began = now - datetime.timedelta(hours=2)
    library = {**sample_fleet.DAMAGE, "name": EVIL, "where": "source"}
    record = sample_fleet.record(began, libraries=[library], reasons=[f"{EVIL}: 1 object damaged on the server itself."])
    sample_fleet.write_set(directory / "backup1", "lab.example.org", sample_fleet.manifest(began, 60, 10**8, 10**6, EVIL, "mysql", record))
    inventory = json.loads((directory / "inventory.yml").read_text(encoding="ascii"))
    groups = inventory["all"]["children"]
    # nobody listens there
    groups["backup_hosts"]["hosts"]["backup3"] = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    groups["seafile_servers"]["hosts"].update({"south.example.org": {"seafile_backup_host": "backup3"}, "lost.example.org": {}})
    (directory / "inventory.yml").write_text(json.dumps(inventory), encoding="ascii")
    output = playbook(directory, "report", report_dest=str(directory / "report"))
    again = playbook(directory, "report", report_dest=str(directory / "report"))
    facts = json.loads((directory / "report" / "fleet.json").read_text(encoding="ascii"))
    return Fleet(directory, directory / "report" / "fleet.html", facts, output, again)
