# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills on the backup host: of good sets, of sets whose objects were damaged after they were verified, and what is left of them."""

from __future__ import annotations

import json
import re
import shlex
import types
import typing as t

import pytest

from fleet import BACKUPS, FIXTURES, Fleet

PLACE = "/var/tmp/seafleet-drill"
DAMAGES = [damage for damage in json.loads((FIXTURES / "damage.json").read_text(encoding="utf-8"))["damages"] if damage["name"] != "stray_files"]
# Turns a deployment of version 11 into the layout of 12 and newer, whose configuration cannot name a socket.
NEWER = """cd /opt/newer/conf && rm ccnet.conf && printf '[fileserver]\\nport = 18084\\n' > seafile.conf && printf "SECRET_KEY = 'x'\\n" > seahub_settings.py
cat > .env << END
JWT_PRIVATE_KEY=0123456789abcdef0123456789abcdef
SEAFILE_SERVER_HOSTNAME=files.example.org
SEAFILE_SERVER_PROTOCOL=https
SEAFILE_MYSQL_DB_HOST=127.0.0.1
SEAFILE_MYSQL_DB_PORT=3306
SEAFILE_MYSQL_DB_USER=seafile
SEAFILE_MYSQL_DB_PASSWORD='seafile-Pass.w0rd'
SEAFILE_MYSQL_DB_CCNET_DB_NAME=ccnet-db
SEAFILE_MYSQL_DB_SEAFILE_DB_NAME=seafile-db
SEAFILE_MYSQL_DB_SEAHUB_DB_NAME=seahub-db
END
mv ../seafile-server-11.0.13 ../seafile-server-13.0.1 && ln -sfn seafile-server-13.0.1 ../seafile-server-latest
chown -hR seafile:seafile /opt/newer
"""
SPOIL = "import sys; p = sys.argv[1]; c = open(p, 'rb').read(); open(p, 'wb').write(c[:100] + bytes([c[100] ^ 1]) + c[101:])"


def spoil(fleet: Fleet, server: str, damage: dict[str, t.Any]) -> None:
    """Apply one entry of damage.json to the backup of I(server), whose objects are hard links to those of another."""
    for name in damage["paths"]:
        path = shlex.quote(f"{BACKUPS}/{server}/objects/" + name.partition("/storage/")[2])
        own = f"chmod u+w {path} && cp {path} {path}.own && mv {path}.own {path}"
        action = {"bitflip": f"{own} && python3 -c {shlex.quote(SPOIL)} {path}", "truncated": f"{own} && truncate -s 200 {path}", "missing": f"rm {path}"}
        fleet.run("backup1", action[damage["name"].split("_")[0]])


@pytest.fixture(scope="module")
def fleet(shared_hosts: t.Callable[..., t.Any]) -> Fleet:
    """A server with SQLite files, two with MariaDB (of version 11 and of the layout of 13), and a copy of the first one's backup for each damage."""
    fleet = Fleet(shared_hosts("server1", "server2", "backup1"))
    fleet.add("files", machine="server1")
    fleet.add("maria", machine="server2")
    fleet.deploy("files")
    fleet.deploy("maria", "seafile-11-mariadb")
    fleet.add("newer", machine="server2", root="/opt/newer")
    fleet.clone("newer", "maria")
    fleet.run("server2", NEWER)
    fleet.ok("prepare")
    fleet.backup("files", "maria", "newer")
    for damage in DAMAGES:
        fleet.add(damage["name"], machine="server1", root=f"/opt/{damage['name']}")
        fleet.run("backup1", f"cd {BACKUPS} && mkdir {damage['name']} && cp -al files/objects {damage['name']}/ && cp -a files/sets {damage['name']}/")
        spoil(fleet, damage["name"], damage)
    return fleet


@pytest.fixture(scope="module")
def drilled(fleet: Fleet) -> types.SimpleNamespace:
    """Two drills of all: one with a private database server, and one of the MariaDB server on the backup host's own."""
    fleet.run("backup1", "mkdir -p /var/lib/collector")
    sets = f"{BACKUPS}/files/sets", f"{BACKUPS}/files/objects", f"{BACKUPS}/maria/sets", f"{BACKUPS}/maria/objects"
    before = fleet.listing("backup1", *sets), fleet.checksums("backup1")
    result = fleet.playbook("drill", seafile_metrics_dir="/var/lib/collector")
    after = fleet.listing("backup1", *sets), fleet.checksums("backup1")
    named = fleet.playbook("drill", "maria", drill_db_login_unix_socket="/run/mysqld/mysqld.sock")
    return types.SimpleNamespace(result=result, before=before, after=after, named=named)


def report(fleet: Fleet, server: str, number: int = 0) -> dict[str, t.Any]:
    """The report of a drill of I(server), the oldest first."""
    names = fleet.run("backup1", f"ls {BACKUPS}/{server}/drills/*.json").split()
    return json.loads(fleet.run("backup1", f"cat {names[number]}"))


@pytest.mark.parametrize("server", ["files", "maria", "newer"])
def test_a_good_set_passes_with_its_times_and_counts(fleet, drilled, server):
    assert drilled.result.recap[server]["failed"] == 0, drilled.result.output
    value = report(fleet, server)
    assert value["state"] == "passed" and value["set_id"] == fleet.sets(server)[-1]
    assert value["libraries"] >= 12 and value["objects"] > 1000 and value["rows"] > 50 and value["tables"] > 50
    assert 0 < value["recovery_seconds"] < 3600 and value["lost_seconds"] > 0
    page = fleet.run("backup1", f"cat {BACKUPS}/{server}/drills/*.html")
    assert f"The backup of {server} came back whole in " in page


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage["name"])
def test_every_damage_fails_the_drill_and_is_named(fleet, drilled, damage):
    assert drilled.result.recap[damage["name"]]["failed"] == 1, drilled.result.output
    value = report(fleet, damage["name"])
    assert value["state"] == "failed"
    object_id = re.sub(r".*/(\w\w)/(\w+)$", r"\1\2", damage["paths"][0])
    assert object_id in " ".join(value["reasons"])


def test_nothing_of_a_drill_stays_but_its_report(fleet, drilled):
    assert fleet.run("backup1", f"ls -A {PLACE}", check=False) == ""
    assert fleet.run("backup1", "pgrep -af '[s]eafleet-drill/'", check=False) == ""
    assert drilled.before == drilled.after, "no set and no object was written to, and no database of the host"


def test_a_drill_on_a_server_that_others_use_leaves_nothing_there(fleet, drilled):
    assert drilled.named.code == 0, drilled.named.output
    assert report(fleet, "maria", -1)["state"] == "passed"
    assert fleet.run("backup1", "mariadb -BNe \"SHOW DATABASES LIKE 'drill%'; SELECT user FROM mysql.user WHERE user LIKE 'drill%'\"") == ""
    assert fleet.checksums("backup1") == drilled.before[1]


def test_a_drill_on_another_host_reads_the_backup_with_a_key_for_the_run(fleet, drilled):
    result = fleet.playbook("drill", "newer", drill_host="server2")
    assert result.code == 0, result.output
    value = report(fleet, "newer", -1)
    assert value["state"] == "passed" and value["host"] == "server2"
    assert fleet.run("backup1", "grep seafleet-restore /root/.ssh/authorized_keys", check=False) == ""
    assert fleet.run("server2", f"ls -A {PLACE}; pgrep -af '[s]eafleet-drill/'", check=False) == ""


def test_no_password_is_in_the_output(fleet, drilled):
    assert "seafile-Pass.w0rd" not in drilled.result.output + drilled.named.output


def test_metrics_tell_of_both_outcomes(fleet, drilled):
    text = fleet.run("backup1", "cat /var/lib/collector/*.prom")
    assert 'seafile_backup_drill_success{server="files"} 1' in text
    assert f'seafile_backup_drill_success{{server="{DAMAGES[0]["name"]}"}} 0' in text
