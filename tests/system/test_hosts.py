# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test hosts themselves: what every other test on them relies on."""

from __future__ import annotations


def test_hosts_are_separate_machines_that_ansible_reaches(hosts):
    group = hosts("server1", "backup1", groups={"seafile_servers": {"hosts": {"server1": None}, "vars": {"greeting": "hello"}}})
    assert group.address("server1") != group.address("backup1")
    assert group["server1"].service("mariadb").is_running
    assert group["backup1"].service("ssh").is_running
    assert group["server1"].run("ssh-keyscan -t ed25519 backup1").stdout != group["server1"].run("ssh-keyscan -t ed25519 server1").stdout

    plays = [{
        "hosts": "seafile_servers",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.copy": {"content": "{{ greeting }} {{ word }}", "dest": "/root/greeting", "mode": "0600"}}],
    }]
    first = group.playbook(plays, word="world")
    assert first.code == 0
    assert first.recap["server1"]["changed"] == 1
    assert "backup1" not in first.recap
    assert group["server1"].file("/root/greeting").content_string == "hello world"
    assert not group["backup1"].file("/root/greeting").exists
    assert group.playbook(plays, word="world").changed == 0


def test_a_failed_play_is_reported_with_its_output(hosts):
    group = hosts("server1")
    result = group.playbook([{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.fail": {"msg": "as asked"}}]}])
    assert result.code == 2
    assert "as asked" in result.output
    assert result.recap["server1"]["failed"] == 1
