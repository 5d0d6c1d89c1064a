# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils.fleet_order import Server, offsets, order, shared


def server(name, verified=None, host="backup1", **values):
    return Server(name, backup_host=host, backup_address=values.pop("backup_address", host), backup_root="/srv/backup",
                  address=values.pop("address", name), seafile_root=values.pop("seafile_root", "/opt/seafile"), newest_verified=verified, **values)


def names(servers):
    return [one.name for one in servers]


def test_who_never_succeeded_comes_first_and_then_who_succeeded_longest_ago():
    fleet = [server("fresh", "20261130T030000Z"), server("stale", "20261101T030000Z"), server("new"), server("old", "20261120T030000Z"), server("newer")]
    assert names(order(fleet)) == ["new", "newer", "stale", "old", "fresh"]


def test_a_sealed_set_that_was_never_verified_is_no_success():
    fleet = [server("verified", "20200101T000000Z"), server("sealed", None, newest_sealed="20261130T030000Z")]
    assert names(order(fleet)) == ["sealed", "verified"]


def test_equal_servers_keep_their_place_in_the_inventory():
    fleet = [server(name, "20261130T030000Z") for name in ("c", "a", "b")]
    assert names(order(fleet)) == ["c", "a", "b"]


def test_backup_hosts_take_turns_so_that_a_slow_one_does_not_take_all_forks():
    fleet = [server(f"a{number}", host="a") for number in range(4)] + [server(f"b{number}", "20261130T030000Z", host="b") for number in range(2)]
    assert names(order(fleet)) == ["a0", "b0", "a1", "b1", "a2", "a3"]


def test_in_each_round_the_backup_host_whose_server_waits_longest_comes_first():
    fleet = [server("a", "20261130T030000Z", host="a"), server("b", "20261129T030000Z", host="b")]
    assert names(order(fleet)) == ["b", "a"]


def test_nobody_is_lost_or_begun_twice():
    fleet = [server(f"s{number}", None if number % 3 else f"202611{number % 28 + 1:02}T030000Z", host=f"h{number % 5}") for number in range(200)]
    assert sorted(names(order(fleet))) == sorted(names(fleet))


def test_no_servers_no_order():
    assert order([]) == []


def test_a_damaged_id_counts_as_never():
    assert names(order([server("good", "20261130T030000Z"), server("odd", "yesterday")])) == ["odd", "good"]


def test_two_names_of_one_deployment_on_one_backup_host_are_refused_both():
    fleet = [server("one", address="10.0.0.1 port 22"), server("two", address="10.0.0.1 port 22"), server("three")]
    refused = shared(fleet)
    assert sorted(refused) == ["one", "two"]
    assert refused["one"].code == "backup-shared" and "two" in refused["one"].cause and "one" not in refused["one"].cause.replace("one Seafile", "").replace(
        "one machine", "")


def test_two_deployments_on_one_machine_are_two_servers():
    fleet = [server("one", address="10.0.0.1", seafile_root="/opt/one"), server("two", address="10.0.0.1", seafile_root="/opt/two")]
    assert shared(fleet) == {}


def test_one_server_with_two_backup_hosts_has_two_backups():
    assert shared([server("here", address="10.0.0.1", host="a"), server("there", address="10.0.0.1", host="b")]) == {}


def test_two_names_of_one_backup_host_are_one_backup_host():
    fleet = [server("one", address="x", host="a", backup_address="10.0.0.9"), server("two", address="x", host="b", backup_address="10.0.0.9")]
    assert sorted(shared(fleet)) == ["one", "two"]


def test_one_directory_for_two_servers_is_refused_however_it_is_written():
    fleet = [server("b", address="x")._replace(backup_root="/srv//backup/a"), server("a/b", address="y")]
    assert sorted(shared(fleet)) == ["a/b", "b"]


def test_who_has_no_backup_host_or_no_directory_is_refused_by_its_own_run_and_not_here():
    assert shared([Server("one"), Server("two"), server("three", seafile_root="", address="x"), server("four", seafile_root="", address="x")]) == {}


@pytest.mark.parametrize(("count", "window", "expected"), [
    (4, 120, [0, 30, 60, 90]), (1, 3600, [0]), (3, 0, [0, 0, 0]), (2, -5, [0, 0]), (0, 100, []),
])
def test_a_window_spreads_the_beginnings_evenly_and_the_first_begins_at_once(count, window, expected):
    assert offsets(count, window) == expected
