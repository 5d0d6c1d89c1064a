# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who watches backups: metrics, notices and the report, of a server that is well and one that fails, with everything up and with everything in the way."""

from __future__ import annotations

import json
import pathlib
import types
import typing as t

import pytest

from fleet import BACKUPS, Fleet
from http_listener import Listener

TOKEN = "T0k3n-nobody-may-read"
COLLECTOR = "/var/lib/prometheus/node-exporter"
OWN = """- name: Write what there is to tell
  ansible.builtin.copy:
    dest: {place}/told
    content: "{{{{ backup_notice | to_json }}}}"
    mode: "0600"
- name: Break where it is wanted
  ansible.builtin.fail:
    msg: broken on purpose
  when: backup_notice.event == 'success'
"""


@pytest.fixture(scope="module")
def fleet(shared_hosts: t.Callable[..., t.Any]) -> Fleet:
    """A server, one that cannot be reached, and one whose Seafile directory is not there, with their backup host, on which a collector waits."""
    fleet = Fleet(shared_hosts("server1", "backup1"))
    fleet.add("files", machine="server1")
    fleet.deploy("files")
    fleet.ok("prepare", "files")
    fleet.add("broken", machine="server1", root="/opt/nothing", ansible_port=1)
    fleet.add("typo", machine="server1", root="/opt/nowhere")
    fleet.run("backup1", f"mkdir -p {COLLECTOR} && useradd --system watcher")
    return fleet


@pytest.fixture(scope="module")
def runs(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> types.SimpleNamespace:
    """A run over both with everybody there, and one over the good server with everything in the way (fault 66)."""
    place = tmp_path_factory.mktemp("controller")
    own = place / "notice.yml"
    own.write_text(OWN.format(place=place), encoding="utf-8")
    with Listener() as listener:
        everybody = fleet.group.playbook(
            "seafleet.seafile.backup", "-vvv", seafile_metrics_dir=COLLECTOR, backup_webhook_url=f"{listener.address}/200/{TOKEN}",
            backup_ping_url=f"{listener.address}/200/{TOKEN}", backup_notice_tasks=str(own))
        asked, told = list(listener.asked), json.loads((place / "told").read_text(encoding="utf-8"))
        metrics = fleet.run("backup1", f"runuser -u watcher -- cat {COLLECTOR}/*.prom")
        nobody = fleet.playbook(
            "backup", "files", seafile_metrics_dir="/nowhere", backup_webhook_url=f"{listener.address}/500/{TOKEN}", backup_notice_timeout=8,
            backup_ping_url=f"{listener.address}/0/{TOKEN}", backup_notice_tasks=str(own))
    return types.SimpleNamespace(everybody=everybody, asked=asked, told=told, metrics=metrics, nobody=nobody)


def value(text: str, name: str, **labels: str) -> float:
    """The value of one series in the metrics I(text)."""
    wanted = f"seafile_backup_{name}{{" + ",".join(f'{key}="{label}"' for key, label in labels.items()) + "} "
    return next(float(line[len(wanted):]) for line in text.splitlines() if line.startswith(wanted))


def test_a_failed_server_is_told_to_everybody_and_the_good_one_too(fleet, runs):
    assert runs.everybody.code == 2 and runs.everybody.recap["broken"]["failed"] == 1 and runs.everybody.recap["files"]["failed"] == 0, runs.everybody.output
    methods = [(method, path) for method, path, _body in runs.asked]
    assert methods == [("GET", f"/200/{TOKEN}/start"), ("POST", f"/200/{TOKEN}"), ("GET", f"/200/{TOKEN}/fail")]
    body = json.loads(runs.asked[1][2])
    assert body == runs.told and body["event"] == "failure" and body["text"].splitlines()[0] == "Seafile backup: 1 of 3 servers went well."
    assert "broken: failed: unreachable: " in body["text"] and "typo: failed: no-seafile: " in body["text"]
    assert {row["server"]: row["state"] for row in body["servers"]} == {"files": "verified", "broken": "failed", "typo": "failed"}
    assert "The webhook on 127.0.0.1 was told." in runs.everybody.output


def test_no_address_is_shown_not_even_to_somebody_who_wants_to_see_everything(runs):
    assert TOKEN not in runs.everybody.output and TOKEN not in runs.nobody.output


def test_metrics_are_left_for_another_account_and_are_right(fleet, runs):
    assert value(runs.metrics, "last_verified_timestamp_seconds", server="files") > 1.7e9
    assert value(runs.metrics, "last_verified_timestamp_seconds", server="broken") == 0
    assert [value(runs.metrics, "last_run_success", server=server) for server in ("files", "broken")] == [1, 0]
    assert value(runs.metrics, "sets", server="files", state="verified") == 1 and value(runs.metrics, "objects", server="files") > 100
    assert value(runs.metrics, "filesystem_free_bytes", root=BACKUPS) > 0


def test_a_run_is_as_good_when_nobody_can_be_told_and_says_so(fleet, runs):
    output = runs.nobody.output
    assert runs.nobody.code == 0 and runs.nobody.recap["files"]["failed"] == 0 and len(fleet.sets("files")) == 2, output
    assert output.count("The ping on 127.0.0.1 was not told: ") == 2 and "The webhook on 127.0.0.1 was not told: it answered 500." in output
    assert "notice.yml failed: broken on purpose" in output and output.count("The backups are not affected.") >= 4
    # a warning that Ansible breaks into lines
    assert "no metrics were left for Prometheus" in " ".join(output.split())


@pytest.fixture(scope="module")
def damaged(fleet: Fleet, runs: types.SimpleNamespace) -> t.Any:
    """A verification that finds a block gone from the backup, and may not fetch it."""
    fleet.run("backup1", f"find {BACKUPS}/files/objects/blocks -type f | sort | head -n 40 | xargs rm")
    return fleet.playbook("verify", "files", verify_set_id="all", verify_heal=False, seafile_metrics_dir=COLLECTOR)


def test_metrics_are_right_after_a_verification_that_fails(fleet, damaged):
    assert damaged.code == 2, damaged.output
    text = fleet.run("backup1", f"cat {COLLECTOR}/*.prom")
    assert value(text, "damaged_libraries", server="files", where="backup") > 0 and value(text, "sets", server="files", state="damaged") == 2
    assert value(text, "last_verified_timestamp_seconds", server="files") == 0 and value(text, "retention_frozen", server="files") == 1


def test_the_report_says_what_the_metrics_say_and_keeps_its_page_private(fleet, damaged, tmp_path):
    result = fleet.ok("report", report_dest=str(tmp_path / "report"))
    facts = json.loads((tmp_path / "report" / "fleet.json").read_text(encoding="ascii"))
    servers = {row["server"]: row for row in facts["servers"]}
    assert {name: row["verdict"] for name, row in servers.items()} == {"files": "never", "broken": "never", "typo": "never"}
    assert "the newest set" in servers["files"]["look"][1]["text"] and "unreachable" in json.dumps(servers["broken"]["look"])
    assert "NO BACKUP  files" in result.output and result.recap["files"]["failed"] == 0
    assert (tmp_path / "report" / "fleet.html").stat().st_mode & 0o777 == 0o600
    assert fleet.ok("report", report_dest=str(tmp_path / "report")).changed == 0


def test_the_report_can_lie_on_a_host_and_check_mode_writes_nothing(fleet, damaged):
    before = fleet.listing("backup1", BACKUPS)
    checked = fleet.ok("report", check=True, report_host="backup1", report_dest="/srv/report", report_mode="0644")
    assert checked.changed == 1 and "0 of 3 servers have a verified backup" in checked.output
    assert fleet.run("backup1", "ls /srv/report", check=False) == ""
    fleet.ok("report", report_host="backup1", report_dest="/srv/report", report_mode="0644")
    assert fleet.run("backup1", "stat -c %a /srv/report/fleet.html /srv/report/fleet.json").split() == ["644", "644"]
    assert fleet.listing("backup1", BACKUPS) == before


def test_a_backup_host_that_is_down_is_named_and_so_are_its_servers(fleet, damaged, tmp_path: pathlib.Path):
    fleet.group.podman("backup1", "stop", "--time=0")
    result = fleet.ok("report", report_dest=str(tmp_path / "report"))
    assert "NOT SEEN" in result.output and "its backup host backup1 could not be read" in result.output
    facts = json.loads((tmp_path / "report" / "fleet.json").read_text(encoding="ascii"))
    assert {row["verdict"] for row in facts["servers"]} == {"unknown"} and not facts["hosts"][0]["read"]
    strict = fleet.playbook("report", report_dest=str(tmp_path / "report"), report_strict=True)
    assert strict.code == 2 and "promise-not-kept" in strict.output
