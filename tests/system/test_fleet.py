# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Row 32 and faults 38, 47, 51: one run over many servers of which some fail, one is slow, and one backup host is down."""

from __future__ import annotations

import json
import re
import types
import typing as t

import pytest

from fleet import BACKUPS, Fleet

GOOD = [f"good{number}" for number in range(1, 6)]
SLOW = "slow"
TWINS = ["twin1", "twin2"]
FAILING = {"down": "unreachable", "s3": "object-store-elsewhere", "homeless": "unreachable", **dict.fromkeys(TWINS, "backup-shared")}
NAMES = [SLOW, *FAILING, *GOOD]
FORKS = 2

# Of the slow server the flush before its set gets a name waits as long as the test likes.
HELD_SYNC = """#!/bin/sh
while [ -e "/root/held/$(basename "$2")" ]; do sleep 0.1; done
exec /bin/sync "$@"
"""
# One library each, of 72 objects: it is the many servers that are tested.
LIBRARY = "010dbf6c-aa5a-416e-a642-840336b5c3af"
TABLES = ("Repo", "RepoOwner", "RepoHead", "RepoSize", "RepoTrash", "VirtualRepo", "GarbageRepos", "Branch")


@pytest.fixture(scope="module")
def run(shared_hosts: t.Callable[..., t.Any], tmp_path_factory: pytest.TempPathFactory) -> types.SimpleNamespace:
    """The run. The slow server is let go when all others have ended."""
    fleet = Fleet(shared_hosts("server1", "backup1"))
    access = fleet.own_access(*NAMES)
    for name in NAMES:
        fleet.add(name, machine="server1", root="/opt/twin" if name in TWINS else f"/opt/{name}", **access)
    fleet.add("down", machine="server1", root="/opt/down", ansible_port=9, **access)
    fleet.add("homeless", machine="server1", root="/opt/homeless", seafile_backup_host="backup2", **access)
    fleet.deploy(SLOW)
    others = "".join(f"DELETE FROM {table} WHERE repo_id <> '{LIBRARY}';" for table in TABLES)
    fleet.run("server1", f"sqlite3 /opt/{SLOW}/seafile-data/seafile.db \"{others}\" && "
              f"find /opt/{SLOW}/seafile-data/storage -mindepth 2 -maxdepth 2 ! -name {LIBRARY} -exec rm -r {{}} +")
    for name in (*GOOD, "s3", "homeless"):
        fleet.clone(name, SLOW)
    fleet.run("server1", f"cp -a /opt/{SLOW} /opt/twin && printf '[commit_object_backend]\\nname = s3\\nbucket = b\\n' >> /opt/s3/conf/seafile.conf")
    fleet.run("backup1", f"mkdir /root/held && touch /root/held/{SLOW} && printf '%s' '{HELD_SYNC}' > /usr/local/bin/sync && chmod 755 /usr/local/bin/sync")
    # a backup host that is down: its address is that of a machine that refuses
    inventory = json.loads((fleet.group.directory / "inventory.yml").read_text())
    inventory["all"]["hosts"]["backup2"] = dict(inventory["all"]["hosts"]["backup1"], ansible_port=9)
    (fleet.group.directory / "inventory.yml").write_text(json.dumps(inventory))

    path = tmp_path_factory.mktemp("result") / "result.json"
    work = fleet.start("backup", arguments=[f"--forks={FORKS}"], backup_result_file=str(path), backup_window=5, backup_host_servers=1)
    try:
        work.wait_until(lambda: all(fleet.sets(name) for name in GOOD), 400)
        held = fleet.sets(SLOW)
        fleet.run("backup1", f"rm /root/held/{SLOW}")
        code = work.wait()
    finally:
        work.kill()
    mode = oct(path.stat().st_mode & 0o777)
    return types.SimpleNamespace(fleet=fleet, code=code, output=work.output, held=held, result=json.loads(path.read_text()), mode=mode)


def rows(run: types.SimpleNamespace) -> dict[str, dict[str, t.Any]]:
    """The rows of the result by the name of their server."""
    return {row["server"]: row for row in run.result["servers"]}


def test_every_server_that_can_is_backed_up_and_verified(run):
    for name in [*GOOD, SLOW]:
        assert (rows(run)[name]["state"], rows(run)[name]["set_id"]) == ("verified", run.fleet.sets(name)[-1]), run.output


def test_the_slow_one_did_not_hold_up_the_others(run):
    """With two forks, of which it held one, all others had their sets while it was still at work, though it had begun first."""
    assert run.held == []
    assert run.result["servers"][0]["server"] == SLOW


@pytest.mark.parametrize("name", FAILING)
def test_every_server_that_fails_is_named_with_its_reason_and_the_next_step(run, name):
    row = rows(run)[name]
    assert (row["state"], row["code"]) == ("failed", FAILING[name])
    assert re.search(rf'^fatal: \[{name}\]: FAILED! => .*"msg": "{name}: .*Next: .*Kept: ', run.output, re.MULTILINE)
    assert re.search(rf"^{name} +failed .*{FAILING[name]}: ", run.output, re.MULTILINE)


def test_the_exit_code_says_that_some_have_failed(run):
    assert run.code == 2


def test_a_server_or_backup_host_that_is_down_takes_nobody_out_of_the_play(run):
    assert "unreachable=1" not in run.output and "UNREACHABLE" not in run.output
    assert "homeless: backup host backup2: it cannot be reached: " in run.output


def test_two_names_of_one_deployment_write_nothing(run):
    assert run.fleet.run("backup1", f"ls {BACKUPS}").split() == sorted([*GOOD, SLOW])


def test_the_table_begins_with_the_verdict_and_the_worst(run):
    table = run.output[run.output.index("backup 2"):].splitlines()
    assert re.match(rf"backup {run.result['run_id']}: 6 of 11 servers verified, 5 failed; ", table[0])
    verdicts = [line.split()[1] for line in table[2:13]]
    assert verdicts == ["failed"] * 5 + ["verified"] * 6


def test_the_result_is_on_the_controller_and_on_the_backup_host_and_private(run):
    there = f"{BACKUPS}/.seafleet/runs/{run.result['run_id']}.json"
    assert json.loads(run.fleet.run("backup1", f"cat {there}")) == run.result
    assert (run.mode, run.fleet.run("backup1", f"stat -c %a {there}").strip()) == ("0o600", "600")


def test_the_totals_are_those_of_the_rows(run):
    totals = run.result["totals"]
    assert (totals["servers"], totals["verified"], totals["failed"], totals["damaged"]) == (11, 6, 5, 0)
    assert totals["bytes"] == sum(row["bytes"] for row in rows(run).values()) > 0
    assert totals["new_bytes"] == sum(row["new_bytes"] for row in rows(run).values()) > 0


def test_a_window_spreads_the_beginnings(run):
    planned = re.findall(r"item=\d+\. (\S+), last verified never(?:, begins (\S+))?\)", run.output)
    assert len(planned) == 8 and [bool(begins) for dummy, begins in planned] == [False] + [True] * 7
    for name, begins in planned:
        assert not begins or rows(run)[name]["began"] >= begins


def test_the_next_run_begins_with_those_that_have_none_and_in_check_mode_nobody_waits(run):
    before = run.fleet.listing("backup1", BACKUPS)
    result = run.fleet.playbook("backup", "good1", "s3", check=True, backup_window=36000)
    order = re.findall(r"item=\d+\. (\S+), last verified (\S+)\)", result.output)
    assert order == [("s3", "never"), ("good1", run.fleet.sets("good1")[-1])]
    assert "0 of 2 servers verified, 1 failed, 1 only looked at" in result.output
    assert (result.code, run.fleet.listing("backup1", BACKUPS)) == (2, before)


@pytest.mark.parametrize("limit, given, said", [
    ("backup1", {}, "the pattern seafile_servers matches none within the limit backup1"), ("", {"seafile_hosts": "nobody"}, "the pattern nobody matches none")])
def test_a_run_over_no_server_is_no_success(run, limit, given, said):
    result = run.fleet.group.playbook("seafleet.seafile.backup", *(["--limit", limit] if limit else []), **given)
    assert result.code == 2 and f"no host of this run is a Seafile server: {said}" in result.output
