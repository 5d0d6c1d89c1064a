# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A MariaDB server comes back on a bare machine: no account, no running database server, programs unpacked later, health asked for."""

from __future__ import annotations

import types
import typing as t

import pytest

from fleet import ROOT, Fleet

PROGRAMS = f"{ROOT}/seafile-server-11.0.13"
# Stand-ins for Seafile's own scripts, which a machine gets when its administrator unpacks the programs: Seahub answers on port 8000.
UNPACK = f"""
mkdir -p {PROGRAMS}/seahub/media/avatars {PROGRAMS}/seafile/bin
touch {PROGRAMS}/seahub/media/avatars/default.png
cp /bin/sleep {PROGRAMS}/seafile/bin/seaf-server
cat > {PROGRAMS}/seafile.sh << 'END'
#!/bin/sh
echo seafile.sh $1 >> /tmp/scripts.log
setsid {PROGRAMS}/seafile/bin/seaf-server 1000000 > /dev/null 2>&1 < /dev/null &
END
cat > {PROGRAMS}/seahub.sh << 'END'
#!/bin/sh
echo seahub.sh $1 by $(id -un) >> /tmp/scripts.log
cd {PROGRAMS}/seahub/media && setsid python3 -m http.server --bind 127.0.0.1 8000 > /dev/null 2>&1 < /dev/null &
END
chmod 755 {PROGRAMS}/*.sh
chown -R seafile:seafile {PROGRAMS}
"""
SERVICE = {"restore_service_scripts": True, "restore_health_url": "http://127.0.0.1:8000/avatars/", "restore_health_timeout": 20}


@pytest.fixture(scope="module")
def fleet(shared_hosts: t.Callable[..., t.Any]) -> Fleet:
    """A server with a set, and a machine that has never seen Seafile and whose database server does not run."""
    fleet = Fleet(shared_hosts("server1", "bare1", "backup1"))
    fleet.add("server1")
    fleet.deploy("server1", "seafile-11-mariadb")
    fleet.run("server1", f"cd {ROOT}/conf && sed -i 's,^SERVICE_URL.*,SERVICE_URL = https://files.example.org,' ccnet.conf && "
              "printf \"ALLOWED_HOSTS = ['files.example.org']  # not backup-files.example.org\\n\" >> seahub_settings.py && "
              "mariadb seahub-db -e \"INSERT INTO constance_config (constance_key, value) VALUES ('SERVICE_URL', '\\\"https://files.example.org\\\"')\"")
    fleet.ok("prepare")
    fleet.backup("server1")
    fleet.add("bare1", restore_server="server1")
    fleet.run("bare1", "systemctl disable --quiet --now mariadb")
    return fleet


@pytest.fixture(scope="module")
def unprepared(fleet: Fleet) -> t.Any:
    """The restore that is not told to prepare the machine."""
    return fleet.playbook("restore", "bare1", **SERVICE)


@pytest.fixture(scope="module")
def restored(fleet: Fleet, unprepared: t.Any) -> t.Any:
    """The restore before the programs were unpacked."""
    return fleet.ok("restore", "bare1", restore_prepare_host=True, **SERVICE)


@pytest.fixture(scope="module")
def completed(fleet: Fleet, restored: t.Any) -> types.SimpleNamespace:
    """The programs unpacked, then the restore run again, and once more."""
    fleet.run("bare1", UNPACK)
    before = fleet.listing("bare1", f"{ROOT}/seafile-data", f"{ROOT}/conf"), fleet.checksums("bare1")
    first = fleet.ok("restore", "bare1", restore_prepare_host=True, **SERVICE)
    after = fleet.listing("bare1", f"{ROOT}/seafile-data", f"{ROOT}/conf"), fleet.checksums("bare1")
    again = fleet.ok("restore", "bare1", restore_prepare_host=True, **SERVICE)
    return types.SimpleNamespace(before=before, after=after, first=first, again=again)


@pytest.fixture(scope="module")
def moved(fleet: Fleet, completed: types.SimpleNamespace) -> types.SimpleNamespace:
    """The same set once more, beside the first one: in another directory, other databases, for another account and address; then again."""
    fleet.add("cloud", machine="bare1", root="/srv/cloud", restore_server="server1", restore_start=False)
    place = {"restore_database_names": {f"{part}-db": f"cloud_{part}" for part in ("ccnet", "seafile", "seahub")}, "restore_database_user": "cloud",
             "restore_database_password": "n3w-Pass.w0rd", "restore_service_url": "https://cloud.example.net"}
    shown = fleet.ok("restore", "cloud", **place)
    again = fleet.ok("restore", "cloud", **place)
    other = fleet.playbook("restore", "cloud", **{**place, "restore_service_url": "https://other.example.net"})
    return types.SimpleNamespace(shown=shown, again=again, other=other)


def test_a_bare_machine_is_told_all_that_it_lacks_and_nothing_is_changed(fleet, unprepared):
    assert unprepared.code == 2 and unprepared.recap["bare1"]["changed"] == 0
    assert "database-unreachable" in unprepared.output and "account-missing: seafile" in unprepared.output
    assert "Nothing was changed on the target." in unprepared.output


def test_a_bare_machine_gets_its_account_and_its_database_server_and_everything_back(fleet, restored):
    assert fleet.truth("bare1", "seafile-11-mariadb").startswith("equal to the manifest")
    assert fleet.run("bare1", "systemctl is-enabled mariadb && systemctl is-active mariadb") == "enabled\nactive\n"
    assert fleet.run("bare1", f"stat -c %U {ROOT} {ROOT}/seafile-data/storage/commits").split() == ["seafile"] * 2


def test_the_report_says_which_programs_to_unpack_and_where(restored):
    assert f"next: unpack Seafile 11.0.13 so that its programs are in {PROGRAMS}, then run this again" in restored.output


def test_once_the_programs_are_there_the_next_run_joins_them_with_the_data_and_starts_seafile(fleet, completed):
    assert fleet.run("bare1", "cat /tmp/scripts.log") == "seafile.sh start\nseahub.sh start by seafile\n"
    assert fleet.run("bare1", f"readlink {ROOT}/seafile-server-latest {PROGRAMS}/seahub/media/avatars") == (
        "seafile-server-11.0.13\n../../../seahub-data/avatars\n")
    assert "Seafile runs and answers at http://127.0.0.1:8000/avatars/" in completed.first.output
    assert completed.before == completed.after, "data and databases were complete before"


def test_another_run_changes_nothing(completed):
    assert completed.again.recap["bare1"]["changed"] == 0


def test_a_seafile_that_does_not_answer_fails_the_restore(fleet, completed):
    result = fleet.playbook("restore", "bare1", **{**SERVICE, "restore_health_url": "http://127.0.0.1:8001/", "restore_health_timeout": 5})
    assert result.code == 2
    assert "bare1: everything is restored and checked, but starting Seafile failed: " in result.output and "8001" in result.output


def test_elsewhere_nothing_names_the_old_place_any_more_and_every_file_is_there(fleet, moved):
    found = fleet.run("bare1", "cd /srv/cloud && grep -rnwE 'files[.]example[.]org|/opt/haiwen' conf | grep -v backup-files || true; "
                      "mariadb cloud_seahub -BNe \"SELECT value FROM constance_config WHERE constance_key = 'SERVICE_URL'\"")
    assert found == '"https://cloud.example.net"\n'
    assert "ALLOWED_HOSTS = ['cloud.example.net']  # not backup-files.example.org" in fleet.run("bare1", "cat /srv/cloud/conf/seahub_settings.py")
    fleet.run("bare1", "mariadb -u cloud -p'n3w-Pass.w0rd' -h 127.0.0.1 cloud_seafile -e 'SELECT 1 FROM Branch'")
    fleet.run("bare1", "python3 /root/read_back.py rows --client mariadb --seafile cloud_seafile --ccnet cloud_ccnet > /root/rows.json")
    truth = fleet.run("bare1", "python3 /root/read_back.py compare --manifest /root/seafile-11-mariadb.json --haiwen /srv/cloud --rows /root/rows.json")
    assert truth.startswith("equal to the manifest")
    assert "n3w-Pass.w0rd" not in moved.shown.output


def test_the_same_place_again_changes_nothing_and_another_address_is_another_restore(moved):
    assert moved.again.recap["cloud"]["changed"] == 0
    assert moved.other.code == 2 and "target-not-empty" in moved.other.output


STAGES = ("Fetch dumps, attributes and checksums", "Fetch the objects of this set", "Create and fill the MySQL databases",
          "Give every file back to its owner", "Walk from the restored databases' heads")


def test_killed_in_any_stage_it_starts_nothing_and_the_next_run_completes_it(fleet, moved):
    """The play and what it left at work on the target are killed as soon as the stage has begun, one stage after the other."""
    fleet.add("again", machine="bare1", root="/srv/again", restore_server="server1")
    place = {"restore_database_names": {f"{part}-db": f"again_{part}" for part in ("ccnet", "seafile", "seahub")}, "restore_service_scripts": True}
    fleet.run("bare1", ": > /tmp/scripts.log")
    for stage in STAGES:
        run = fleet.start("restore", "again", **place)
        run.wait_until(lambda run=run, stage=stage: stage in run.output)
        run.kill()
        fleet.run("bare1", "pkill -9 -x rsync; pkill -9 -x mariadb; pkill -9 -f '[A]nsiballZ'", check=False)
        assert fleet.run("bare1", "stat -c %a /srv/again") in ("700\n", "755\n")
    assert fleet.run("bare1", "cat /tmp/scripts.log") == ""
    fleet.ok("restore", "again", **place)
    fleet.run("bare1", "python3 /root/read_back.py rows --client mariadb --seafile again_seafile --ccnet again_ccnet > /root/rows.json")
    truth = fleet.run("bare1", "python3 /root/read_back.py compare --manifest /root/seafile-11-mariadb.json --haiwen /srv/again --rows /root/rows.json")
    assert truth.startswith("equal to the manifest")


def test_with_a_wrong_owner_nothing_is_started(fleet, moved):
    """Something on the host takes a file away from Seafile's account again and again: the gate sees it, and lets nothing through."""
    fleet.add("owned", machine="bare1", root="/srv/owned", restore_server="server1")
    given = {"restore_database_names": {f"{part}-db": f"owned_{part}" for part in ("ccnet", "seafile", "seahub")}, **SERVICE}
    fleet.run("bare1", ": > /tmp/scripts.log; systemd-run --collect --unit=thief sh -c 'while :; do chown root:root /srv/owned/conf/seafile.conf; done'")
    try:
        result = fleet.playbook("restore", "owned", **given)
    finally:
        fleet.run("bare1", "systemctl stop thief")
    assert result.code == 2 and "have another owner, group or mode than they must" in result.output, result.output
    assert "Seafile was not started" in result.output and fleet.run("bare1", "cat /tmp/scripts.log") == ""
    again = fleet.ok("restore", "owned", **given)
    assert "next: unpack Seafile 11.0.13" in again.output and fleet.run("bare1", "stat -c %U /srv/owned/conf/seafile.conf") == "seafile\n"


def test_what_the_target_does_not_have_whole_is_never_started(fleet, completed):
    """An object that an interrupted restore left empty, as a power loss does: the gate holds, whatever the set says."""
    fleet.run("bare1", f"pkill -f '[h]ttp.server'; pkill seaf-server; rm -r {ROOT}; : > /tmp/scripts.log")
    run = fleet.start("restore", "bare1", restore_confirm="bare1", restore_bandwidth_limit=1000, **SERVICE)
    blocks = f"find {ROOT}/seafile-data/storage/blocks -type f -name '??????????????????????????????????????'"
    run.wait_until(lambda: fleet.run("bare1", blocks, check=False))
    run.kill()
    fleet.run("bare1", "pkill -9 -x python3; pkill -9 -x rsync", check=False)
    block = fleet.run("bare1", blocks).splitlines()[0]
    fleet.run("bare1", f"truncate -s 0 {block}")
    fleet.run("bare1", UNPACK)
    result = fleet.playbook("restore", "bare1", restore_confirm="bare1", **SERVICE)
    assert result.code == 2 and "set-incomplete" in result.output and "Seafile was not started" in result.output
    assert block.split("/")[-1] in result.output
    assert fleet.run("bare1", "cat /tmp/scripts.log") == ""
