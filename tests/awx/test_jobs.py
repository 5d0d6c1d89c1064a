# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project of examples/awx-project in jobs like AWX's, in the execution environment that users build: what they do, and what they tell."""

from __future__ import annotations

import base64
import re
import types

import pytest

from fleet import BACKUPS, PASSWORD
from jobs import BIG, LOGIN_PASSWORD, WRONG_PASSWORD, Controller, Job


@pytest.fixture(scope="module")
def first(controller: Controller, prepared: Job) -> types.SimpleNamespace:
    """The first backup of one server by a limit, with lines of progress, and what is in the execution environment."""
    assert prepared.status == "successful", prepared.plain
    with controller.launch("backup.yml", limit="files", extra_vars={"seafleet_progress_interval": 0.5, "backup_bandwidth_limit": 20000}) as work:
        programs = work.inside("for name in rsync mysql mysqldump mariadb mariadb-dump sqlite3; do command -v $name; done; true")
        user = work.inside("id -u")
        return types.SimpleNamespace(job=work.wait(), programs=programs, user=user)


@pytest.fixture(scope="module")
def told(controller: Controller, first: types.SimpleNamespace) -> Job:
    """All servers with everything that -vvv tells; one of them fails. A login for databases comes with the job, as from a credential."""
    login = {"restore_db_login_user": "admin", "restore_db_login_password": LOGIN_PASSWORD}
    return controller.run("backup.yml", limit="files:cloud:broken", verbosity=3, credential=login)


def test_a_limited_job_backs_up_that_server_alone(controller, first):
    assert first.job.status == "successful", first.job.plain
    assert len(controller.fleet.sets("files")) == 1 and controller.fleet.sets("cloud") == []


def test_no_data_passes_through_the_execution_environment_and_no_program_of_it_is_there(controller, first):
    """It has neither rsync nor a database client; what it sends and receives are modules and their answers."""
    assert first.programs == "" and first.user.strip() == "1000"
    set_id, = controller.fleet.sets("files")
    assert int(controller.fleet.run("backup1", f"stat -c %s {BACKUPS}/files/sets/{set_id}/files/seahub-data/custom/big")) == BIG
    assert first.job.traffic < BIG / 4, first.job.traffic
    print(f"through the execution environment: {first.job.traffic} bytes of a backup of more than {BIG}")


def test_a_job_log_reads_well(first):
    """Whole lines, in order; beside AWX's own colours no control character; how far the pull is stands between the tasks."""
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", first.job.plain)
    assert re.search(r"^files: pull objects: .*/s", first.job.plain, re.MULTILINE), first.job.plain
    printed = "".join(event["stdout"] for event in first.job.events)
    assert "files: pull objects: " in printed and not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", re.sub(r"\x1b\[[0-9;]*m|\r\n", "", printed))


def secrets_of(controller: Controller) -> dict[str, bytes]:
    """Everything that no log, event, result or artifact may hold."""
    fleet = controller.fleet
    found = {"database password": PASSWORD.encode(), "wrong database password": WRONG_PASSWORD.encode(), "login of the credential": LOGIN_PASSWORD.encode()}
    for name, text in (("key of the machines", (fleet.group.directory / "id_ed25519").read_text(encoding="utf-8")),
                       ("key of the pull", fleet.run("backup1", "cat /etc/seafleet/files/id_ed25519"))):
        lines = [line for line in text.splitlines() if line and "-----" not in line]
        # an OpenSSH key begins with what is public or the same in all keys; its last lines hold the private half
        found[name] = lines[-2].encode()
        assert base64.b64decode("".join(lines)).startswith(b"openssh-key-v1")
    return found


@pytest.mark.parametrize("which", ["prepared", "first", "told"])
def test_no_secret_reaches_the_controller(controller, which, request):
    """Looked for in the stream, the events, the output and the artifacts; on success and failure, and with -vvv."""
    result = request.getfixturevalue(which)
    everything = (result.job if which == "first" else result).everything()
    for name, secret in secrets_of(controller).items():
        assert secret not in everything, f"{which}: {name}"
    assert len(everything) > 10_000


def test_a_failing_server_fails_the_job_and_holds_up_no_other(controller, told):
    assert told.status == "failed"
    assert "database-access-denied" in told.plain
    assert told.stats["failures"].get("broken") or told.stats["dark"].get("broken")
    assert [len(controller.fleet.sets(server)) for server in ("files", "cloud", "broken")] == [2, 1, 0]


def test_a_workflow_gets_the_result_of_the_run(told):
    """What a job sets with set_stats AWX keeps as its artifacts and hands to the next node."""
    run = told.stats["artifact_data"]["seafleet_run"]
    assert {name: one["state"] for name, one in run["servers"].items()} == {"files": "verified", "cloud": "verified", "broken": "failed"}
    assert run["servers"]["broken"]["code"] and not run["servers"]["files"]["code"]
    assert run["totals"]["verified"] == 2 and run["totals"]["failed"] == 1


def test_a_job_over_an_empty_inventory_fails(controller, prepared):
    """As after an inventory update that found nothing; Ansible itself would call that a success."""
    job = controller.run("backup.yml", hosts='{"_meta": {"hostvars": {}}, "all": {"children": ["ungrouped"]}}')
    assert job.status == "failed" and "no host of this run is a Seafile server" in job.plain


def test_a_restore_wants_the_name_of_one_server(controller, told):
    """What is typed is no pattern: neither a group nor a part of a name starts a restore, and the job does not end well."""
    before = controller.fleet.listing("server1", "/opt/files/conf", "/opt/cloud/conf")
    job = controller.run("restore.yml", extra_vars={"restore_confirm": "seafile_servers", "restore_set_id": ""})
    assert job.status == "failed" and "seafile_servers: no server of that name" in job.plain
    assert controller.fleet.listing("server1", "/opt/files/conf", "/opt/cloud/conf") == before


def test_a_restore_by_survey_restores_the_server_whose_name_was_typed(controller, told):
    """An answer that was left empty comes as an empty text, and means the newest verified set."""
    fleet = controller.fleet
    newest = fleet.sets("files")[-1]
    fleet.run("server1", "rm -r /opt/files/seafile-data/storage/blocks")
    before = fleet.listing("server1", "/opt/cloud")
    job = controller.run("restore.yml", extra_vars={"restore_confirm": "files", "restore_set_id": ""})
    assert job.status == "successful", job.plain
    assert newest in job.plain and fleet.truth("files").startswith("equal to the manifest")
    assert fleet.listing("server1", "/opt/cloud") == before


def test_a_host_whose_key_is_not_in_the_project_is_not_spoken_to(controller, told):
    known = controller.project / "known_hosts"
    kept = known.read_text(encoding="utf-8")
    known.write_text("\n".join(line for line in kept.splitlines() if "backup1" not in line) + "\n", encoding="utf-8")
    try:
        job = controller.run("verify.yml", limit="files", extra_vars={"verify_set_id": ""})
    finally:
        known.write_text(kept, encoding="utf-8")
    assert job.status == "failed" and "Host key verification failed" in job.plain
