# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which set a restore takes: the newest whole one, one from before a moment, and single libraries from the set before.

Rows 9 and 24. The deployment's first state is the fixture; for the second one a new version of one file is written into
several libraries, as the server writes it. What a restore brings is compared with the fixture's manifest: libraries in
their second state are those, and only those, that differ from it, by that one file.
"""

from __future__ import annotations

import re
import types
import typing as t

import pytest

import writing
from fleet import BACKUPS, DATABASES, Fleet

SERVERS = {"lite": "seafile-11-sqlite", "maria": "seafile-11-mariadb"}

LIBRARIES = {server: writing.library_ids(fixture, "History", "Copied to", "Synced by client") for server, fixture in SERVERS.items()}
HISTORY = {server: libraries["History"] for server, libraries in LIBRARIES.items()}


def write(fleet: Fleet, server: str, number: int) -> dict[str, t.Any]:
    """Write into the libraries of I(server); see :func:`writing.write`."""
    return writing.write(fleet, server, "sqlite" if server == "lite" else "mariadb", LIBRARIES[server].values(), number)


def lose_commit(fleet: Fleet, server: str, library: str, commit: str) -> None:
    """Remove a commit from the backup."""
    fleet.run("backup1", f"rm {fleet.store(server)}/objects/commits/{library}/{commit[:2]}/{commit[2:]}")


def back(fleet: Fleet, server: str) -> list[str]:
    """What differs from the fixture in the restored deployment, a line each."""
    return [line for line in fleet.truth(server, SERVERS[server]).splitlines() if line.startswith("library ")]


def in_second_state(server: str, lines: t.Sequence[str], written: dict[str, t.Any]) -> dict[str, bool]:
    """By library whether it differs from the fixture in nothing but its head and the file that was written; fails for any other difference."""
    found = {library: False for library in LIBRARIES[server].values()}
    for line in lines:
        match = re.match(r"library (\S+) \(.*\) (head: |directories: |(/written/\S+): not in the manifest)", line)
        assert match and match.group(1) in found, line
        library = match.group(1)
        assert match.group(3) in (None, written[library]["path"]), line
        if match.group(2) == "head: ":
            assert written[library]["commit"] in line, line
        found[library] = True
    return found


def heads(fleet: Fleet, server: str) -> dict[str, str]:
    """The heads in the database of the restored deployment."""
    query = "SELECT repo_id, commit_id FROM Branch"
    command = f"sqlite3 -separator ' ' {fleet.root(server)}/seafile-data/seafile.db '{query}'" if server == "lite" else f"mariadb -N seafile-db -e '{query}'"
    return dict(line.split() for line in fleet.run("server1", command).splitlines())


def wipe(fleet: Fleet, server: str) -> None:
    """Make the host as good as new for I(server)."""
    fleet.run("server1", f"rm -rf {fleet.root(server)} /var/lib/seafleet/{server}")
    if server == "maria":
        fleet.run("server1", "".join(f"mariadb -e 'DROP DATABASE IF EXISTS `{name}`'\n" for name in DATABASES))


def report(output: str, server: str) -> str:
    """The report of I(server) in the output of a playbook."""
    return output.partition(f'"{server}: set ')[2].partition("]")[0]


@pytest.fixture(scope="module")
def fleet(shared_hosts: t.Callable[..., t.Any]) -> Fleet:
    fleet = Fleet(shared_hosts("server1", "backup1"))
    access = fleet.own_access(*SERVERS)
    for server, fixture in SERVERS.items():
        fleet.add(server, machine="server1", root=f"/opt/{server}", **access)
        fleet.deploy(server, fixture)
    writing.prepare(fleet, "server1")
    return fleet


@pytest.fixture(scope="module")
def sets(fleet: Fleet) -> types.SimpleNamespace:
    """Three sets of each server: the fixture, then a write into three libraries, then another one. The newest lacks the head of History."""
    told = types.SimpleNamespace(written={server: [] for server in SERVERS}, of={})
    fleet.ok("backup")
    for number in (1, 2):
        for server in SERVERS:
            told.written[server].append(write(fleet, server, number))
        fleet.ok("backup")
    for server in SERVERS:
        told.of[server] = fleet.sets(server)
        # the newest state of the library exists in the newest set alone
        lose_commit(fleet, server, HISTORY[server], told.written[server][1][HISTORY[server]]["commit"])
    return told


@pytest.fixture(scope="module")
def older(fleet: Fleet, sets: types.SimpleNamespace) -> types.SimpleNamespace:
    """Restored without any choice given."""
    for server in SERVERS:
        wipe(fleet, server)
    result = fleet.playbook("restore")
    return types.SimpleNamespace(result=result, back={server: back(fleet, server) for server in SERVERS})


@pytest.fixture(scope="module")
def fallback(fleet: Fleet, sets: types.SimpleNamespace, older: types.SimpleNamespace) -> types.SimpleNamespace:
    """Restored with single libraries from the set before, twice."""
    for server in SERVERS:
        wipe(fleet, server)
    result = fleet.playbook("restore", restore_library_fallback=True)
    told = types.SimpleNamespace(result=result)
    told.back = {server: back(fleet, server) for server in SERVERS}
    told.heads = {server: heads(fleet, server) for server in SERVERS}
    told.listing = fleet.listing("server1", *(fleet.root(server) for server in SERVERS))
    told.again = fleet.playbook("restore", restore_library_fallback=True)
    told.listing_again = fleet.listing("server1", *(fleet.root(server) for server in SERVERS))
    told.other = fleet.playbook("restore", "lite")
    return told


@pytest.mark.parametrize("server", SERVERS)
def test_the_backups_are_three_and_verified(fleet, sets, server):
    assert len(sets.of[server]) == 3
    assert [fleet.manifest(server, set_id)["verification"]["state"] for set_id in sets.of[server]] == ["verified"] * 3


@pytest.mark.parametrize("server", SERVERS)
def test_a_set_that_lacks_a_commit_is_passed_over_for_the_one_before_and_the_reason_is_printed(sets, older, server):
    assert older.result.code == 0, older.result.output
    newest, before = sets.of[server][2], sets.of[server][1]
    said = report(older.result.output, server)
    assert said.startswith(f"{before} is restored")
    lost = sets.written[server][1][HISTORY[server]]["commit"]
    assert re.search(rf"passed over: {newest} \(\w+\): History: commit {lost} missing", said), said
    assert re.search(rf"chosen: {before}, begun \S+: verified at \S+ \(level new\)", said), said


@pytest.mark.parametrize("server", SERVERS)
def test_every_library_is_as_it_was_at_that_older_set(sets, older, server):
    assert in_second_state(server, older.back[server], sets.written[server][0]) == {library: True for library in LIBRARIES[server].values()}


@pytest.mark.parametrize("server", SERVERS)
def test_with_the_fallback_all_other_libraries_come_from_the_newest_set(sets, fallback, server):
    assert fallback.result.code == 0, fallback.result.output
    assert report(fallback.result.output, server).startswith(f"{sets.of[server][2]} is restored")
    for library in (LIBRARIES[server]["Copied to"], LIBRARIES[server]["Synced by client"]):
        assert fallback.heads[server][library] == sets.written[server][1][library]["commit"]
        wanted = sets.written[server][1][library]["path"]
        assert any(line.startswith(f"library {library}") and wanted in line for line in fallback.back[server]), fallback.back[server]


@pytest.mark.parametrize("server", SERVERS)
def test_with_the_fallback_the_damaged_library_comes_from_the_set_before_and_is_listed(sets, fallback, server):
    first, second = (written[HISTORY[server]] for written in sets.written[server])
    assert fallback.heads[server][HISTORY[server]] == first["commit"]
    of_it = [line for line in fallback.back[server] if line.startswith(f"library {HISTORY[server]}")]
    assert any(first["path"] in line for line in of_it) and not any(second["path"] in line for line in of_it), of_it
    said = report(fallback.result.output, server)
    assert f"from the older set {sets.of[server][1]}: History ({HISTORY[server]}); in the chosen one: History: commit {second['commit']} missing" in said
    assert said.count("from the older set") == 1


@pytest.mark.parametrize("server", SERVERS)
def test_with_the_fallback_no_library_differs_but_those_that_were_written(fallback, server):
    assert {line.split()[1] for line in fallback.back[server]} == set(LIBRARIES[server].values())


@pytest.mark.parametrize("server", SERVERS)
def test_no_object_that_is_newer_than_its_library_is_restored(fleet, sets, fallback, server):
    root = fleet.root(server)
    second = sets.written[server][1][HISTORY[server]]
    kept = fleet.run("server1", f"find {root}/seafile-data/storage/blocks/{HISTORY[server]} -type f -exec sha256sum {{}} + | cut -d' ' -f1").split()
    assert sets.written[server][0][HISTORY[server]]["sha256"] in kept and second["sha256"] not in kept


def test_a_second_restore_with_the_fallback_says_that_nothing_changed(fallback):
    assert fallback.again.code == 0, fallback.again.output
    assert fallback.again.changed == 0 and fallback.listing == fallback.listing_again
    for server in SERVERS:
        assert "was restored before and everything is still as it was then; nothing was changed" in report(fallback.again.output, server)


def test_a_restore_of_another_state_does_not_take_that_for_its_own(fallback):
    assert fallback.other.code == 2 and "target-not-empty" in fallback.other.output


@pytest.fixture(scope="module")
def before(fleet: Fleet, sets: types.SimpleNamespace, fallback: types.SimpleNamespace) -> types.SimpleNamespace:
    """Restored from before a moment, from before a set, and from before there was any; and the damaged set by its id."""
    told = types.SimpleNamespace()
    wipe(fleet, "lite")
    moment = fleet.manifest("lite", sets.of["lite"][1])["began"]
    told.moment = fleet.playbook("restore", "lite", restore_before=moment)
    told.back = back(fleet, "lite")
    told.by_set = fleet.playbook("restore", "lite", restore_before=sets.of["lite"][2], restore_confirm="lite", check=True)
    told.never = fleet.playbook("restore", "lite", restore_before="2020-01-01T00:00:00Z")
    told.named = fleet.playbook("restore", "lite", restore_set_id=sets.of["lite"][2], restore_confirm="lite")
    accepted = {"restore_set_id": sets.of["lite"][2], "restore_accept_damage": [HISTORY["lite"]]}
    told.accepted = fleet.playbook("restore", "lite", restore_confirm="lite", check=True, **accepted)
    return told


def test_restore_before_takes_the_newest_set_from_before_the_moment(fleet, sets, before):
    assert before.moment.code == 0, before.moment.output
    assert report(before.moment.output, "lite").startswith(f"{sets.of['lite'][0]} is restored")
    assert before.back == [], "the first state is the fixture's"


def test_restore_before_takes_the_id_of_a_set(sets, before):
    assert before.by_set.code == 0, before.by_set.output
    assert report(before.by_set.output, "lite").startswith(f"{sets.of['lite'][1]} would be restored")


def test_nothing_is_restored_from_before_the_first_set(before):
    assert before.never.code == 2 and "there is no sealed set from before 2020-01-01T00:00:00Z" in before.never.output


def test_a_damaged_set_that_is_named_is_refused_with_what_to_do(sets, before):
    assert before.named.code == 2 and "Nothing was changed on the target." in before.named.output
    assert f"restore the set {sets.of['lite'][1]}, the newest whole one" in before.named.output
    assert "restore_library_fallback" in before.named.output and f"restore_accept_damage: {HISTORY['lite']}" in before.named.output


def test_a_damaged_set_that_is_named_is_restored_when_the_damage_is_accepted_and_that_is_said(sets, before):
    assert before.accepted.code == 0, before.accepted.output
    assert report(before.accepted.output, "lite").startswith(f"{sets.of['lite'][2]} would be restored")
    assert "missing or damaged, which was accepted: 1 of History" in report(before.accepted.output, "lite")


@pytest.fixture(scope="module")
def forward(fleet: Fleet, sets: types.SimpleNamespace, before: types.SimpleNamespace) -> types.SimpleNamespace:
    """The oldest set, and what was pulled since, for clients that start anew."""
    wipe(fleet, "maria")
    result = fleet.playbook("restore", "maria", restore_set_id=sets.of["maria"][0], restore_roll_forward=True, restore_clients="resync")
    tokens = fleet.run("server1", "mariadb -N seafile-db -e 'SELECT COUNT(*) FROM RepoUserToken'").strip()
    return types.SimpleNamespace(result=result, heads=heads(fleet, "maria"), tokens=tokens)


def test_rolled_forward_every_library_gets_its_newest_complete_commit_and_no_token_is_left(sets, forward):
    """What was pulled after the set's dump comes back; of one library the newest commit was lost, so it gets the one before."""
    assert forward.result.code == 0, forward.result.output
    first, second = sets.written["maria"]
    said = report(forward.result.output, "maria")
    for library in LIBRARIES["maria"].values():
        wanted = first if library == HISTORY["maria"] else second
        assert forward.heads[library] == wanted[library]["commit"]
        assert f"({library}) by {1 if wanted is first else 2} commits, to {wanted[library]['commit']} of " in said
    assert said.count("rolled forward: ") == 3 and forward.tokens == "0"


def test_newer_objects_beside_older_heads_are_refused_while_clients_keep_their_tokens(fleet, forward):
    result = fleet.playbook("restore", "maria", restore_objects="all")
    assert result.code == 2 and "objects-without-resync" in result.output and result.recap["maria"]["changed"] == 0


def test_refusals_and_choices_leave_the_sets_as_they_were(fleet, sets):
    for server, names in sets.of.items():
        for set_id in names:
            assert fleet.run("backup1", f"cd {BACKUPS}/{server}/sets/{set_id} && sha256sum --quiet --check SHA256SUMS") == ""
