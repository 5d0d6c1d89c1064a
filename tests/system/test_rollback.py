# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore is undone: every file and every row is what it was, also after a rollback that was killed."""

from __future__ import annotations

import json
import types
import typing as t

import pytest

from fleet import Fleet

SERVERS = {"lite": "seafile-11-sqlite", "maria": "seafile-11-mariadb"}
LATER = "written after the backup"
PROGRAM = "/opt/maria/seafile-server-11.0.13/seafile/bin/seaf-server"
UNIT = f"[Service]\nExecStart={PROGRAM} 1000000\n"


def state(fleet: Fleet) -> dict[str, t.Any]:
    """Everything of the two deployments, and every row of MariaDB."""
    return {"databases": fleet.checksums("server1"), **fleet.listing("server1", *(f"/opt/{server}" for server in SERVERS))}


def everything(fleet: Fleet) -> dict[str, t.Any]:
    """The same with the safety copies and records."""
    return {"databases": fleet.checksums("server1"), **fleet.listing("server1", "/opt", "/var/lib/seafleet")}


@pytest.fixture(scope="module")
def fleet(shared_hosts: t.Callable[..., t.Any]) -> Fleet:
    """A server with SQLite, one with MariaDB whose Seafile runs, and a place for a third."""
    fleet = Fleet(shared_hosts("server1", "backup1"))
    for server, fixture in SERVERS.items():
        fleet.add(server, machine="server1", root=f"/opt/{server}", restore_confirm=server)
        fleet.deploy(server, fixture)
    fleet.add("maria", machine="server1", root="/opt/maria", restore_confirm="maria", restore_service_units=["seafile.service"])
    fleet.run("server1", f"mkdir -p $(dirname {PROGRAM}) && cp /bin/sleep {PROGRAM} && chown -R seafile:seafile /opt/maria/seafile-server-11.0.13 && "
              f"printf '{UNIT}' > /etc/systemd/system/seafile.service && systemctl daemon-reload && systemctl start seafile")
    fleet.ok("prepare")
    fleet.backup()
    fleet.add("fresh", machine="server1", root="/opt/fresh", restore_server="lite", rollback_confirm="fresh")
    return fleet


@pytest.fixture(scope="module")
def restored(fleet: Fleet) -> types.SimpleNamespace:
    """Something new on both servers, and the set restored over it; the third server is restored to an empty place."""
    fleet.run("server1", "for root in lite maria; do echo new > /opt/$root/conf/later && chmod 640 /opt/$root/conf/later; done")
    fleet.run("server1", f"sqlite3 /opt/lite/seahub.db \"CREATE TABLE later AS SELECT '{LATER}' AS words\"")
    fleet.run("server1", f"mariadb seahub-db -e \"CREATE TABLE later AS SELECT '{LATER}' AS words; CREATE VIEW seen AS SELECT words FROM later\"")
    fleet.run("server1", "mariadb -e 'DROP DATABASE `ccnet-db`'")
    before = state(fleet)
    result = fleet.ok("restore")
    return types.SimpleNamespace(before=before, result=result, after=state(fleet))


@pytest.fixture(scope="module")
def refused(fleet: Fleet, restored: types.SimpleNamespace) -> types.SimpleNamespace:
    """A rollback that nobody confirmed, and one in check mode."""
    before = everything(fleet)
    result = fleet.playbook("rollback")
    checked = fleet.playbook("rollback", "lite", "maria", check=True, rollback_confirm="maria")
    listed = fleet.ok("rollback", rollback_list=True)
    return types.SimpleNamespace(result=result, checked=checked, listed=listed, before=before, after=everything(fleet))


@pytest.fixture(scope="module")
def rolled_back(fleet: Fleet, refused: types.SimpleNamespace) -> types.SimpleNamespace:
    """A rollback that is killed once it has begun to change things, and run again."""
    for server in SERVERS:
        extra = {"restore_service_units": ["seafile.service"]} if server == "maria" else {}
        fleet.add(server, machine="server1", root=f"/opt/{server}", rollback_confirm=server, **extra)
    run = fleet.start("rollback", "maria")
    run.wait_until(lambda: fleet.run("server1", "ls /var/lib/seafleet/maria/rollback.json", check=False))
    run.kill()
    fleet.run("server1", "pkill -9 -x python3; pkill -9 -x mariadb; pkill -9 -x mariadb-dump", check=False)
    with_journal = json.loads(fleet.run("server1", "cat /var/lib/seafleet/maria/rollback.json"))
    result = fleet.playbook("rollback")
    return types.SimpleNamespace(journal=with_journal, result=result, after=state(fleet))


def differences(before: dict[str, t.Any], after: dict[str, t.Any]) -> list[str]:
    """The paths that differ."""
    return [path for path in sorted(set(before) | set(after)) if before.get(path) != after.get(path)]


def test_a_rollback_wants_the_servers_name_as_confirmation(refused):
    for server in SERVERS:
        assert refused.result.recap[server]["failed"] == 1
        assert f"give -e rollback_confirm={server}" in refused.result.output
    assert "Traceback" not in refused.result.output


def test_a_server_that_was_empty_before_its_restore_has_nothing_to_go_back_to(refused):
    assert refused.result.recap["fresh"]["failed"] == 1
    assert "no-safety-copy: /opt/fresh: it was empty before the restore of the set" in refused.result.output


def test_refused_checked_and_listed_rollbacks_change_nothing(refused):
    assert differences(refused.before, refused.after) == []
    assert "would be brought back" in refused.checked.output and "rollback-not-confirmed: lite" in refused.checked.output


def test_safety_copies_are_listed_with_what_they_hold(refused):
    assert "lite: safety copies of /opt/lite: 1" in refused.listed.output
    assert "database seahub-db (89 tables)" in refused.listed.output and "in /opt/maria.before-" in refused.listed.output


def test_a_rollback_gives_back_every_file_and_every_row(fleet, restored, rolled_back):
    assert [rolled_back.result.recap[server]["failed"] for server in SERVERS] == [0, 0], rolled_back.result.output
    assert restored.before != restored.after
    assert differences(restored.before, rolled_back.after) == []
    assert rolled_back.journal["state"] == "running"


def test_a_database_that_was_not_there_before_the_restore_is_dropped_and_kept(fleet, rolled_back):
    assert fleet.group["server1"].run("mariadb ccnet-db -e 'SELECT 1'").rc != 0
    kept = fleet.run("server1", "ls /var/lib/seafleet/maria/before-*/databases/ccnet-db.sql.gz").split()
    assert len(kept) == 1 and "EmailUser" in fleet.run("server1", f"zcat {kept[0]}")


def test_what_was_there_before_the_rollback_is_a_safety_copy(fleet, rolled_back):
    kept = fleet.run("server1", "ls -d /opt/lite.before-*").split()
    assert len(kept) == 1 and fleet.truth_at("server1", kept[0], SERVERS["lite"]).startswith("equal to the manifest")


def test_seafile_is_stopped_and_started_again(fleet, rolled_back):
    assert fleet.run("server1", "systemctl is-active seafile") == "active\n"


def test_a_second_rollback_changes_nothing(fleet, rolled_back):
    before = everything(fleet)
    result = fleet.ok("rollback", *SERVERS)
    assert [result.recap[server]["changed"] for server in SERVERS] == [0, 0] and "nothing was changed" in result.output
    assert differences(before, everything(fleet)) == []


# Makes the safety copies of maria a year older: their names, their records, and when these were written.
AGE = r"""
import datetime, json, os
state = "/var/lib/seafleet/maria"
for name in sorted(os.listdir(state)):
    if name.startswith("before-"):
        path, moment = f"{state}/{name}/copy.json", name[len("before-"):]
        older = f"{datetime.datetime.strptime(moment, '%Y%m%dT%H%M%SZ') - datetime.timedelta(days=365):%Y%m%dT%H%M%SZ}"
        record = json.load(open(path))
        if record["directory"] and not record["brought_back"]:
            os.rename(record["directory"], f"/opt/maria.before-{older}")
        for key in ("moment", "directory", "directory_inside"):
            record[key] = record[key] and record[key].replace(moment, older)
        json.dump(record, open(path, "w"))
        os.utime(path, (1700000000, 1700000000))
        os.rename(f"{state}/{name}", f"{state}/before-{older}")
        print(older)
"""


def test_old_safety_copies_go_by_the_playbook_prune_where_days_are_given_and_nothing_else_does(fleet, rolled_back):
    copies = "ls -d /opt/{0}.before-* /var/lib/seafleet/{0}/before-*"
    before = everything(fleet)
    listed = fleet.ok("prune", *SERVERS)
    young = fleet.ok("prune", *SERVERS, seafile_retention_safety_days=7)
    assert listed.output.count("stays: safety copies are never pruned") == 4 and young.output.count("stays: younger than 7 days") == 4
    refused = fleet.playbook("prune", "maria", seafile_retention_safety_days=3)
    assert refused.code != 0 and "retention-policy: safety_days=3: it may be 7 to 36500" in refused.output
    assert differences(before, everything(fleet)) == []

    # one copy was brought back and has dumps only, the other one a Seafile directory too
    older = fleet.run("server1", f"python3 - <<'END'\n{AGE}END").split()
    before = everything(fleet)
    checked = fleet.ok("prune", *SERVERS, check=True, seafile_retention_safety_days=30)
    assert all(f"safety copy {moment} (365 days old, " in checked.output for moment in older) and checked.output.count("would go: 30 days old or older") == 2
    assert differences(before, everything(fleet)) == []

    deployments, kept = state(fleet), fleet.run("server1", copies.format("lite")).split()
    fleet.add("lite", machine="server1", root="/opt/lite", ansible_port=9)
    pruned = fleet.ok("prune", *SERVERS, seafile_retention_safety_days=30)
    assert "safety copies: the server could not be asked" in pruned.output and pruned.output.count("goes: 30 days old or older") == 2
    assert [pruned.recap[server][count] for server in SERVERS for count in ("failed", "unreachable")] == [0, 0, 0, 0]
    assert fleet.run("server1", copies.format("maria"), check=False) == "" and fleet.run("server1", copies.format("lite")).split() == kept
    assert differences(deployments, state(fleet)) == []
    assert fleet.run("server1", "systemctl is-active seafile") == "active\n"
    assert '"safety cop' not in fleet.ok("prune", "maria").output
