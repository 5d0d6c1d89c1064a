# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores that must not begin, one that is interrupted, and names that are seldom: all from the backup of one odd server."""

from __future__ import annotations

import re
import shlex
import types
import typing as t

import pytest

from fleet import BACKUPS, Fleet

ODD = "dépôt_1+lager%2"
ODD_ROOT = "/opt/hai wen's \"ü\" $(id) 100%"
OLDER = "20200101T000000Z"
# What is done to the newest set of a copy of the backup -> what the refusal names.
HURT = {
    "hurt-dump": ("printf x >> databases/seafile.db.sql.zst", "databases/seafile.db.sql.zst was changed after sealing"),
    "hurt-manifest": ("sed -i 's/11[.]0[.]13/11.0.14/' manifest.json", "manifest.json was changed after sealing"),
    "hurt-json": ("truncate -s -2 manifest.json", "manifest.json: the manifest is no JSON"),
    "hurt-sums": ("sed -i '/seafile.conf/d' SHA256SUMS", "files/conf/seafile.conf was added after sealing"),
    "hurt-file": ("printf '#' >> files/conf/seafile.conf", "files/conf/seafile.conf was changed after sealing"),
    "hurt-lost": ("rm files/conf/ccnet.conf", "files/conf/ccnet.conf is missing"),
}
REFUSED_NAMES = ["two words", "quo'te", "-dash", "mail@place", "#hash", "a*"]
PROGRAM = "/opt/running/seafile-server-11.0.13/seafile/bin/seaf-server"
UNIT = f"[Service]\nExecStart={PROGRAM} 1000000\n"
# Stand-ins for Seafile's own scripts: who called them, and a process with the server's name from its directory.
SCRIPTED = "/opt/scripted/seafile-server-latest"
SEAFILE_SH = f"""#!/bin/sh
echo "seafile.sh $1 by $(id -un)" >> /tmp/scripts.log
case $1 in
  start) setsid {SCRIPTED}/seafile/bin/seaf-server 1000000 > /dev/null 2>&1 < /dev/null & ;;
  stop) pkill -f '^{SCRIPTED}/seafile/bin/seaf-server' ;;
esac
"""
SEAHUB_SH = """#!/bin/sh
echo "seahub.sh $1 by $(id -un)" >> /tmp/scripts.log
"""


@pytest.fixture(scope="module")
def fleet(shared_hosts: t.Callable[..., t.Any]) -> Fleet:
    """The odd server, with a set."""
    fleet = Fleet(shared_hosts("server1", "backup1"))
    fleet.add(ODD, machine="server1", root=ODD_ROOT)
    fleet.deploy(ODD)
    fleet.ok("prepare")
    fleet.backup(ODD)
    return fleet


@pytest.fixture(scope="module")
def refused(fleet: Fleet) -> types.SimpleNamespace:
    """One restore of many servers: from copies of the backup with a damage each, from no set at all, and onto a running Seafile."""
    odd, newest = shlex.quote(ODD), fleet.sets(ODD)[-1]
    fleet.run("backup1", f"cp -a {BACKUPS}/{odd}/sets/{newest} /root/{OLDER} && cd /root/{OLDER} && sed -i s/{newest}/{OLDER}/ manifest.json && "
              "sum=$(sha256sum manifest.json) && sed -i \"s/.*  manifest.json/$sum/\" SHA256SUMS")
    for server, (damage, _said) in HURT.items():
        fleet.run("backup1", f"cd {BACKUPS} && cp -al {odd} {server} && rm -r {server}/sets && cp -a {odd}/sets /root/{OLDER} {server}/ && "
                  f"mv {server}/{OLDER} {server}/sets/ && cd {server}/sets/{newest} && {damage}")
        # named, so that no older set is taken in its place
        fleet.add(server, machine="server1", root=f"/opt/{server}", restore_set_id=newest)
    fleet.add("unknown", machine="server1", root="/opt/unknown", restore_server=ODD, restore_set_id="20250101T000000Z")
    fleet.add("running", machine="server1", root="/opt/running", restore_server=ODD, restore_confirm="running")
    fleet.deploy("running")
    fleet.run("server1", f"mkdir -p $(dirname {PROGRAM}) && cp /bin/sleep {PROGRAM} && chown -R seafile:seafile /opt/running && "
              f"printf '{UNIT}' > /etc/systemd/system/seafile.service && systemctl daemon-reload && systemctl start seafile")
    fleet.add("scripted", machine="server1", root="/opt/scripted", restore_server=ODD, restore_confirm="scripted", restore_service_scripts=True)
    fleet.deploy("scripted")
    for name, text in (("seafile.sh", SEAFILE_SH), ("seahub.sh", SEAHUB_SH)):
        fleet.run("server1", f"printf %s {shlex.quote(text)} > {SCRIPTED}/{name} && chmod 755 {SCRIPTED}/{name}")
    fleet.run("server1", f"mkdir -p {SCRIPTED}/seafile/bin && cp /bin/sleep {SCRIPTED}/seafile/bin/seaf-server && chown -R seafile:seafile /opt/scripted && "
              f"runuser -u seafile -- {SCRIPTED}/seafile.sh start && : > /tmp/scripts.log && chmod 666 /tmp/scripts.log")
    pid = fleet.run("server1", "systemctl show --property=MainPID --value seafile").strip()
    before = fleet.listing("server1", "/opt", "/var/lib/seafleet")
    result = fleet.playbook("restore", *HURT, "unknown", "running")
    return types.SimpleNamespace(result=result, pid=pid, before=before, after=fleet.listing("server1", "/opt", "/var/lib/seafleet"))


@pytest.fixture(scope="module")
def interrupted(fleet: Fleet) -> types.SimpleNamespace:
    """A restore that is killed while it fetches the objects, on the controller and on the target."""
    fleet.run("server1", f"rm -r {shlex.quote(ODD_ROOT)}")
    run = fleet.start("restore", ODD, restore_bandwidth_limit=1000)
    run.wait_until(lambda: "Fetch the objects of this set" in run.output)
    objects = f"find {shlex.quote(ODD_ROOT)}/seafile-data/storage -type f"
    run.wait_until(lambda: fleet.run("server1", objects, check=False))
    run.kill()
    fleet.run("server1", "pkill -9 -x python3; pkill -9 -x rsync", check=False)
    mode = fleet.run("server1", f"stat -c %a {shlex.quote(ODD_ROOT)}").strip()
    return types.SimpleNamespace(objects=len(fleet.run("server1", objects).splitlines()), mode=mode)


@pytest.fixture(scope="module")
def completed(fleet: Fleet, refused: types.SimpleNamespace, interrupted: types.SimpleNamespace) -> types.SimpleNamespace:
    """The interrupted restore run again, and those onto a running Seafile with the unit or the scripts that may stop it."""
    fleet.add("running", machine="server1", root="/opt/running", restore_server=ODD, restore_confirm="running", restore_service_units=["seafile.service"])
    return types.SimpleNamespace(result=fleet.playbook("restore", ODD, "running", "scripted"))


def failure(result: t.Any, server: str) -> str:
    """The closing message of I(server), as it stands in the output."""
    found = re.findall(rf'^fatal: \[{server}\]: FAILED! => .*"msg": "({server}: .*)"}}?$', result.output, re.MULTILINE)
    assert len(found) == 1, result.output
    return found[0]


def test_a_server_and_a_directory_with_odd_names_are_backed_up_over_ssh(fleet):
    manifest = fleet.manifest(ODD, fleet.sets(ODD)[0])
    assert manifest["server"] == ODD and manifest["seafile"]["root"] == ODD_ROOT
    assert manifest["stages"]["objects"]["listed"] > 1000


@pytest.mark.parametrize("server", HURT)
def test_a_set_that_was_edited_is_refused_naming_the_file_and_the_newest_whole_set(refused, server):
    said = failure(refused.result, server)
    assert HURT[server][1] in said
    assert f"restore the set {OLDER}, the newest whole one" in said
    assert said.endswith("Nothing was changed on the target.")


def test_an_unknown_set_is_refused_naming_those_there_are(fleet, refused):
    said = failure(refused.result, "unknown")
    assert f"20250101T000000Z: there is no such set (sealed sets: {fleet.sets(ODD)[-1]})" in said


def test_a_restore_onto_a_running_seafile_is_refused_with_its_pid(refused):
    said = failure(refused.result, "running")
    assert f"seafile-running: /opt/running: seaf-server is running (pid {refused.pid})" in said
    assert "stop Seafile, or set restore_service_units" in said


def test_refused_restores_change_nothing_on_the_target(refused):
    assert refused.before == refused.after
    assert "Traceback" not in refused.result.output


def test_an_interrupted_restore_is_completed_by_the_next_run(fleet, interrupted, completed):
    assert 0 < interrupted.objects < 1000
    assert interrupted.mode == "700", "half a deployment is nobody's to start"
    assert completed.result.recap[ODD]["failed"] == 0, completed.result.output
    assert fleet.truth(ODD).startswith("equal to the manifest")
    assert fleet.run("server1", f"stat -c '%a %U' {shlex.quote(ODD_ROOT)}") == "755 seafile\n"


def test_an_interrupted_restore_leaves_no_key_behind_once_it_is_completed(fleet, completed):
    assert fleet.run("backup1", "grep seafleet-restore /root/.ssh/authorized_keys", check=False) == ""
    assert fleet.run("server1", "find /var/lib/seafleet -name 'id_*' -o -name '*.sql.*'") == ""


def test_a_running_seafile_is_stopped_and_started_again_by_its_unit(fleet, refused, completed):
    assert completed.result.recap["running"]["failed"] == 0, completed.result.output
    pid = fleet.run("server1", "systemctl show --property=MainPID --value seafile").strip()
    assert pid not in ("0", refused.pid)
    assert fleet.run("server1", "systemctl is-active seafile") == "active\n"
    assert fleet.truth("running").startswith("equal to the manifest")


def test_a_running_seafile_is_stopped_and_started_again_by_its_own_scripts_as_its_own_account(fleet, completed):
    assert completed.result.recap["scripted"]["failed"] == 0, completed.result.output
    calls = fleet.run("server1", "cat /tmp/scripts.log").splitlines()
    assert calls == [f"{script} {what} by seafile" for script, what in (
        ("seahub.sh", "stop"), ("seafile.sh", "stop"), ("seafile.sh", "start"), ("seahub.sh", "start"))]
    assert fleet.run("server1", f"pgrep -u seafile -c -f '^{SCRIPTED}/seafile/bin/seaf-server'") == "1\n"
    assert fleet.truth("scripted").startswith("equal to the manifest")


@pytest.mark.parametrize("playbook", ["prepare", "backup"])
def test_a_name_that_cannot_be_used_everywhere_is_refused_before_any_change(fleet, playbook):
    for number, name in enumerate(REFUSED_NAMES):
        fleet.add(name, machine="server1", root=f"/opt/refused{number}")
        fleet.run("server1", f"test -e /opt/refused{number} || cp -a /opt/running /opt/refused{number}")
    looked = {"server1": ("/etc", "/srv", "/home", "/root/.ssh", "/opt"), "backup1": ("/etc", "/srv", "/home", "/root/.ssh")}
    before = {machine: fleet.listing(machine, *paths) for machine, paths in looked.items()}
    result = fleet.playbook(playbook, *REFUSED_NAMES)
    after = {machine: fleet.listing(machine, *paths) for machine, paths in looked.items()}
    touched = {(machine, path) for machine in looked for path in {**before[machine], **after[machine]} if before[machine].get(path) != after[machine].get(path)}
    # what became of a run is recorded, also where every server was refused
    assert {path for machine, path in touched if playbook == "prepare" or not path.startswith(f"{BACKUPS}/.seafleet/runs")} == set()
    assert result.code == 2 and "Traceback" not in result.output
    assert all(counters["changed"] == 0 for counters in result.recap.values())
    said = "the name cannot be used everywhere" if playbook == "prepare" else "run the playbook prepare"
    assert all(re.search(f"{re.escape(name)}.*{said}", result.output) for name in REFUSED_NAMES)
    assert result.output.count("FAILED! =>") >= len(REFUSED_NAMES)
