# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup costs what changed: tasks, connections, and exactly the objects that are new; and nothing is ever left out."""

from __future__ import annotations

import re
import types
import typing as t

import pytest
import writing

from fleet import BACKUPS, Fleet

SERVER = "maria"
FIXTURE = "seafile-11-mariadb"
LIBRARIES = writing.library_ids(FIXTURE, "History", "Copied to", "Synced by client")
OBJECTS = "find commits fs blocks -type f | grep -E '^[a-z]+/[-0-9a-f]{36}/[0-9a-f]{2}/[0-9a-f]{38}$' | sort"
# what nothing points at: an upload whose commit is still to come
UPLOAD = f"fs/{LIBRARIES['History']}/ab/{'c' * 38}"


@pytest.fixture(scope="module")
def fleet(shared_hosts: t.Callable[..., t.Any]) -> Fleet:
    fleet = Fleet(shared_hosts("server1", "backup1"))
    fleet.add(SERVER, machine="server1", root="/opt/maria", **fleet.own_access(SERVER))
    fleet.deploy(SERVER, FIXTURE)
    writing.prepare(fleet, "server1")
    return fleet


def logins(fleet: Fleet, machine: str, key: str = "") -> int:
    """How many ssh logins there were on I(machine), with the key of this fingerprint where one is given."""
    return int(fleet.run(machine, f"journalctl --unit=ssh --no-pager | grep 'Accepted publickey' | grep -cF '{key}'", check=False))


def at(fleet: Fleet) -> tuple[list[str], list[str]]:
    """The objects of the server, and those of the backup."""
    return (fleet.run("server1", f"cd /opt/maria/seafile-data/storage && {OBJECTS}").split(),
            fleet.run("backup1", f"cd {BACKUPS}/{SERVER}/objects && {OBJECTS}").split())


def executed(output: str) -> list[str]:
    """The tasks that were executed for the server in its own play; what is done once a run, for the fleet, stands in the plays around it."""
    play = output.partition("PLAY [Back up Seafile servers]")[2].partition("PLAY [")[0]
    told = re.findall(rf"^TASK \[(.*)\] \**$|^(ok|changed): \[{SERVER}\b", play, re.MULTILINE)
    return [name for (name, _ended), (_name, ended) in zip(told, told[1:]) if name and ended]


@pytest.fixture(scope="module")
def history(fleet: Fleet) -> dict[str, types.SimpleNamespace]:
    """Backups after nothing, a write, an upload without a commit, and with what the server remembers lost or forged."""
    told = {}
    pull_key = fleet.run("backup1", "ssh-keygen -lf /root/pull/id_ed25519.pub").split()[1]

    def look() -> tuple[int, int]:
        return sum(logins(fleet, machine) for machine in ("server1", "backup1")), logins(fleet, "server1", pull_key)

    def run(name: str, **variables: t.Any) -> None:
        server, backup = at(fleet) if told else ([], [])
        before = look()
        result = fleet.playbook("backup", **variables)
        sets = fleet.sets(SERVER)
        told[name] = types.SimpleNamespace(
            result=result, tasks=executed(result.output), connections=look()[0] - before[0], pulls=look()[1] - before[1], set=sets[-1] if sets else None,
            manifest=fleet.manifest(SERVER, sets[-1]) if sets else {}, missing=sorted(set(server) - set(backup)), after=at(fleet))

    run("first")
    run("nothing")
    writing.write(fleet, SERVER, "mariadb", LIBRARIES.values(), 1)
    run("written")
    fleet.run("server1", f"cd /opt/maria/seafile-data/storage && mkdir -p $(dirname {UPLOAD}) && head -c 300 /dev/urandom > {UPLOAD} && chown -R seafile: fs")
    run("uploading")
    run("sweep", backup_sweep_days=0)
    writing.write(fleet, SERVER, "mariadb", LIBRARIES.values(), 2)
    state = "/opt/maria/.seafleet/state/backup1"
    fleet.run("server1", f"for f in $(find {state} -type f); do printf '{{}}' > $f; done")
    run("forged")
    writing.write(fleet, SERVER, "mariadb", LIBRARIES.values(), 3)
    fleet.run("server1", f"rm -r {state} && touch {state}")
    run("no state")
    return told


def test_every_run_succeeds_and_its_set_is_verified(history):
    for name, run in history.items():
        assert run.result.code == 0, (name, run.result.output)
        assert run.manifest["verification"]["state"] == "verified", name
        assert run.manifest["stages"]["dumps"]["ended"] <= run.manifest["stages"]["objects"]["began"]


def test_a_run_takes_8_tasks_and_3_connections_and_a_first_one_10(history):
    for name, run in history.items():
        assert 0 < len(run.tasks) <= (10 if name == "first" else 8), (name, run.tasks)
    for name in ("nothing", "written"):
        assert history[name].connections <= 3, name
        assert history[name].pulls == 1, "preflight, dumps, files and objects share one connection"


def test_the_first_set_is_dated_by_its_dump_and_not_by_the_pull_before_it(history):
    first = history["first"].manifest
    assert first["dump"]["began"].replace("-", "").replace(":", "") >= history["first"].set
    assert first["stages"]["objects"]["transferred"] == 0, "what the warm-up brought need not come again"
    assert first["swept"] is True and first["changes"]["everything"] is True


def test_where_nothing_changed_nothing_is_listed_and_nothing_comes(history):
    run = history["nothing"].manifest
    assert (run["stages"]["objects"]["mode"], run["stages"]["objects"]["listed"]) == ("listed", 0)
    assert run["changes"]["reads"] == 0 and run["changes"]["libraries"]["whole"] == 0 and run["swept"] is False


def test_what_is_new_comes_and_nothing_else_is_looked_at(history):
    run = history["written"]
    objects = run.manifest["stages"]["objects"]
    assert len(run.missing) >= 3 * len(LIBRARIES)
    assert objects["mode"] == "listed" and objects["listed"] == objects["transferred"] == len(run.missing)
    assert run.manifest["changes"]["libraries"]["walked"] == len(LIBRARIES) and run.manifest["changes"]["libraries"]["whole"] == 0
    assert run.after[0] == run.after[1]


def test_what_no_pointer_reaches_waits_for_the_sweep_which_had_missed_nothing(history):
    assert set(history["uploading"].after[0]) - set(history["uploading"].after[1]) == {UPLOAD}
    sweep = history["sweep"]
    assert sweep.after[0] == sweep.after[1] and sweep.manifest["swept"] is True
    assert sweep.manifest["stages"]["objects"]["transferred"] == 1
    assert (sweep.manifest["changes"]["sweep"]["missed"], sweep.manifest["changes"]["sweep"]["unlisted"]) == (0, 1)


@pytest.mark.parametrize("name", ["forged", "no state"])
def test_without_a_state_to_believe_everything_is_compared_and_that_is_said(history, name):
    run = history[name]
    assert run.manifest["stages"]["objects"]["mode"] == "everything"
    assert run.after[0] == run.after[1] and run.missing
    assert "everything is" in " ".join(run.manifest["warnings"])


def test_no_list_stays_in_a_set_and_no_dump_on_the_server(fleet, history):
    assert fleet.run("backup1", f"find {BACKUPS} -name '*.list' -o -name heads.json -o -name progress.json") == ""
    assert fleet.run("server1", "ls -A /opt/maria/.seafleet").split() == ["state"]


def test_nobody_else_can_read_what_the_server_remembers(fleet, history):
    assert fleet.run("server1", "stat -c %a /opt/maria/.seafleet /opt/maria/.seafleet/state").split() == ["711", "700"]
