# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""examples/awx-project/controller, run with the real modules of awx.awx against a stand-in of the controller's API (which is not AWX)."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import types
import typing as t

import pytest
import yaml

import testhosts
from controller_stand_in import ENCRYPTED, PLAYBOOK, TOKEN, Controller, Refused, _rule
from pytest_testhosts import ansible_environment, recap

PROJECT = testhosts.PROJECT / "examples" / "awx-project"
AWX = testhosts.BUILD / "awx" / "collections"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nthe-canary-of-the-key\n-----END OPENSSH PRIVATE KEY-----\n"
SECRETS = {"seafleet_ssh_private_key": KEY, "seafleet_database_user": "backup_admin", "seafleet_database_password": "the-canary-of-the-database"}


def configure(controller: Controller, *arguments: str, **variables: t.Any) -> types.SimpleNamespace:
    """Run configure.yml and return its code, its output, and how many tasks changed or failed."""
    environment = ansible_environment() | {
        "ANSIBLE_COLLECTIONS_PATH": str(AWX), "CONTROLLER_HOST": controller.url, "CONTROLLER_OAUTH_TOKEN": TOKEN}
    command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", str(PROJECT / "controller" / "configure.yml"), *arguments,
               "-e", json.dumps({"ansible_python_interpreter": sys.executable, **SECRETS, **variables})]
    done = subprocess.run(command, env=environment, cwd=testhosts.PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout)
    counters = recap(done.stdout).get("localhost", {})
    return types.SimpleNamespace(code=done.returncode, output=done.stdout, changed=counters.get("changed"), ignored=counters.get("ignored"))


@pytest.fixture(scope="module")
def runs() -> t.Iterator[types.SimpleNamespace]:
    """A check of an empty controller; the first run, with -vvv; the second; a check after someone turned a knob by hand."""
    with Controller(PROJECT) as controller:
        seen = types.SimpleNamespace(controller=controller)
        seen.empty = configure(controller, "--check")
        seen.empty_writes = list(controller.writes)
        seen.first = configure(controller, "-vvv")
        controller.writes.clear()
        seen.second = configure(controller)
        seen.second_writes = list(controller.writes)
        controller.named("job_templates", "Seafleet backup")["allow_simultaneous"] = True
        controller.writes.clear()
        seen.check = configure(controller, "--check", "--tags=templates")
        seen.check_writes = list(controller.writes)
        yield seen


def read_objects() -> dict[str, t.Any]:
    """The data of the example, as they stand there."""
    return yaml.safe_load((PROJECT / "controller" / "objects.yml").read_text(encoding="utf-8").replace("!unsafe ", ""))


def test_what_jobs_are_told_are_inputs_of_roles():
    """A variable that nobody reads would be a question without a consequence, or a secret for nothing."""
    inputs: set[str] = set()
    for path in testhosts.PROJECT.glob("roles/*/meta/argument_specs.yml"):
        for specs in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            inputs.update(specs.get("options", {}))
    objects = read_objects()
    told = {name for template in objects["controller_templates"] for name in template.get("extra_vars", {})}
    told |= {question["variable"] for template in objects["controller_templates"] for question in template.get("survey_spec", {}).get("spec", [])}
    told |= {name for kind in objects["controller_credential_types"] for name in kind["injectors"]["extra_vars"]}
    assert {"restore_confirm", "backup_sweep_days", "restore_db_login_password"} <= told
    assert told - inputs == set()


def test_a_check_of_an_empty_controller_writes_nothing_and_says_what_would_come(runs):
    assert runs.empty.code == 0, runs.empty.output
    assert runs.empty_writes == []
    assert "All objects of objects.yml would be made" in runs.empty.output


def test_all_objects_are_made(runs):
    assert runs.first.code == 0, runs.first.output
    made = {kind: sorted(thing.get("name", thing.get("identifier")) for thing in things.values()) for kind, things in runs.controller.objects.items()}
    objects = read_objects()
    assert made["job_templates"] == sorted(thing["name"] for thing in objects["controller_templates"])
    assert made["schedules"] == sorted(thing["name"] for thing in objects["controller_schedules"])
    assert made["workflow_job_template_nodes"] == ["backup", "verify"]
    assert made["credentials"] == ["Seafleet databases", "Seafleet machines"]
    for kind in ("organizations", "credential_types", "execution_environments", "notification_templates", "labels", "projects", "inventories",
                 "inventory_sources", "workflow_job_templates"):
        assert made[kind], kind


def test_the_second_run_changes_nothing(runs):
    assert runs.second.code == 0, runs.second.output
    assert (runs.second.changed, runs.second_writes) == (0, [])


def test_check_mode_finds_what_was_changed_by_hand_and_writes_nothing(runs):
    assert runs.check.code == 0, runs.check.output
    assert (runs.check.changed, runs.check.ignored, runs.check_writes) == (1, 0, [])
    assert "changed: [localhost] => (item=Seafleet backup)" in runs.check.output


def test_no_secret_is_printed(runs):
    printed = runs.first.output + runs.second.output
    assert "the-canary" not in printed and TOKEN not in printed


def test_the_controller_holds_the_secrets_and_does_not_show_them(runs):
    stored = runs.controller.named("credentials", "Seafleet machines")
    assert stored["inputs"]["ssh_key_data"] == KEY
    status, shown = runs.controller.answer("GET", f"/api/v2/credentials/{stored['id']}/", {}, {})
    assert status == 200 and shown["inputs"] == {"username": "root", "ssh_key_data": ENCRYPTED}


def test_a_failed_job_is_reported(runs):
    """Every template and the workflow: a workflow's failure alone would not be told for a job that somebody starts by hand."""
    controller = runs.controller
    notice = controller.named("notification_templates", "Seafleet failures")["id"]
    for kind in ("job_templates", "workflow_job_templates"):
        for number, thing in controller.objects[kind].items():
            assert controller.links[kind, number, "notification_templates_error"] == [notice], thing["name"]


def test_the_nightly_workflow_fails_when_its_backup_fails(runs):
    """A node that goes on after a failure would make the workflow successful: the second job follows on success alone."""
    controller = runs.controller
    first, second = (controller.named("workflow_job_template_nodes", name)["id"] for name in ("backup", "verify"))
    links = {part: controller.links.get(("workflow_job_template_nodes", first, part), []) for part in ("success_nodes", "failure_nodes", "always_nodes")}
    assert links == {"success_nodes": [second], "failure_nodes": [], "always_nodes": []}


def test_the_database_login_is_given_to_restores_alone(runs):
    controller = runs.controller
    login = controller.named("credentials", "Seafleet databases")["id"]
    having = [controller.objects["job_templates"][number]["name"] for (kind, number, part), linked in controller.links.items()
              if kind == "job_templates" and part == "credentials" and login in linked]
    assert having == ["Seafleet restore"]


def test_without_a_database_login_the_controller_has_none(runs):
    controller = runs.controller
    result = configure(controller, "--tags=credentials", seafleet_database_user="", seafleet_database_password="")
    assert result.code == 0, result.output
    assert [thing["name"] for thing in controller.objects["credentials"].values()] == ["Seafleet machines"]


# -- the stand-in refuses: a test that a wrong name would pass proves nothing --------------------------------------------------------

@pytest.mark.parametrize("path, body, message", [
    ("organizations", {"name": "x", "colour": "red"}, "unknown fields ['colour']"),
    ("job_templates", {"name": "x", "job_type": "run", "project": 1, "playbook": "backup.yml"}, "Invalid pk"),
    ("labels", {"name": "x"}, "This field is required"),
    ("credential_types", {"name": "x", "kind": "cloud", "inputs": {"fields": []}, "injectors": {"extra_vars": {"a": "{{ b }}"}}}, "undefined field"),
])
def test_the_stand_in_refuses_what_the_api_would_not_understand(path, body, message):
    controller = Controller(PROJECT)
    with pytest.raises(Refused) as refusal:
        controller.answer("POST", f"/api/v2/{path}/", {}, body)
    assert refusal.value.status == 400 and message in str(refusal.value.body)


@pytest.mark.parametrize("rule", [
    "DTSTART:20270101T033000 RRULE:FREQ=DAILY;INTERVAL=1",
    "DTSTART;TZID=Europe/Atlantis:20270101T033000 RRULE:FREQ=DAILY;INTERVAL=1",
    "DTSTART;TZID=Europe/Berlin:20270101T033000 RRULE:FREQ=DAILY",
    "DTSTART;TZID=Europe/Berlin:20270101T033000 RRULE:FREQ=MONTHLY;INTERVAL=1;BYDAY=1SA",
])
def test_the_stand_in_refuses_rules_that_awx_refuses(rule):
    with pytest.raises(Refused):
        _rule(rule)


def test_every_playbook_of_the_project_is_offered():
    """By the rule of every release of AWX and Tower, also of those that know no long names."""
    wrappers = sorted(path.name for path in PROJECT.glob("*.yml"))
    assert wrappers and set(wrappers) <= set(Controller(PROJECT).playbooks())
    assert PLAYBOOK.match("- import_playbook: x") and not PLAYBOOK.match("  ansible.builtin.import_playbook: x")
