# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook with a slow module over the local connection: what becomes of lines that a thread of a forked worker shows."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from ansible_collections.seafleet.seafile.plugins.action import server_dump, set_pull, set_verify
from ansible_collections.seafleet.seafile.plugins.plugin_utils import output

ROOT = pathlib.Path(__file__).resolve().parents[4]
HOSTS = ("files.example.org", "other.example.org")
MODULE = """#!/usr/bin/python
from __future__ import annotations
import time
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.seafleet.seafile.plugins.module_utils.progress import Progress

def main():
    module = AnsibleModule({"path": {"type": "path"}, "fail": {"type": "bool", "default": False}}, supports_check_mode=True)
    with Progress(module.params["path"], "pull objects", total=200, interval=0.05) as progress:
        for dummy in range(60):
            time.sleep(0.05)
            progress.advance(3, 300000)
    if module.params["fail"]:
        module.fail_json(msg="it failed in its own words")
    module.exit_json(changed=False, answer=42)

if __name__ == "__main__":
    main()
"""
ACTION = """from __future__ import annotations
from ansible_collections.seafleet.seafile.plugins.plugin_utils.watched_action import WatchedActionBase

class ActionModule(WatchedActionBase):
    MODULE = "example.slow.slow"

    def progress_path(self, arguments):
        return arguments["path"]
"""


@pytest.fixture(name="play")
def fixture_play(tmp_path):
    """Run tasks of the slow module for two hosts at once; return (output without colours, exit status)."""
    tree = tmp_path / "collections" / "ansible_collections"
    for kind, content in (("modules", MODULE), ("action", ACTION)):
        folder = tree / "example" / "slow" / "plugins" / kind
        folder.mkdir(parents=True)
        (folder / "slow.py").write_text(content, encoding="utf-8")
    (tree / "seafleet").mkdir()
    (tree / "seafleet" / "seafile").symlink_to(ROOT)
    lines = [f"{host} ansible_connection=local ansible_python_interpreter={sys.executable}\n" for host in HOSTS]
    (tmp_path / "inventory").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "ansible.cfg").write_text("", encoding="utf-8")
    path = f"{tmp_path}/{{{{ inventory_hostname }}}}.json"

    def run(*tasks):
        document = [{"hosts": "all", "gather_facts": False, "vars": {"seafleet_progress_interval": 0.3}, "tasks": [
            dict({"example.slow.slow": {"path": path}}, **keywords) for keywords in tasks]}]
        (tmp_path / "play.json").write_text(json.dumps(document).replace('"PATH"', json.dumps(path)), encoding="utf-8")
        variables = dict(
            os.environ, ANSIBLE_COLLECTIONS_PATH=str(tmp_path / "collections"), ANSIBLE_LOCAL_TEMP=str(tmp_path / "temp"), ANSIBLE_NOCOLOR="1",
            ANSIBLE_REMOTE_TEMP=str(tmp_path / "remote"), ANSIBLE_CONFIG=str(tmp_path / "ansible.cfg"), ANSIBLE_ASYNC_DIR=str(tmp_path / "jobs"),
            HOME=str(tmp_path), LC_ALL="C.UTF-8")
        done = subprocess.run(
            [sys.executable, "-m", "ansible.cli.playbook", "-i", str(tmp_path / "inventory"), str(tmp_path / "play.json")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=variables, encoding="utf-8", check=False, timeout=120)
        return done.stdout, done.returncode

    return run


def shown(output):
    """The lines of each host, all of which must be whole."""
    whole = re.compile(r"\S+: pull objects: \d+ %, \d+ of 200 objects(, [\d.]+ [KM]iB/s(, 0:\d\d left)?)?")
    lines = [line for line in output.splitlines() if "pull objects" in line]
    assert [line for line in lines if not whole.fullmatch(line)] == []
    return {host: [line for line in lines if line.startswith(f"{host}: ")] for host in HOSTS}


def test_hosts_at_once_show_whole_lines_and_the_module_answers_as_ever(play):
    output, status = play(
        {"register": "done", "failed_when": "done.answer != 42"}, {"example.slow.slow": {"path": "PATH", "fail": True}, "name": "That fails"})
    assert status == 2 and output.count('"msg": "it failed in its own words"') == 2, output
    good, dummy, bad = output.partition("TASK [That fails]")
    assert good.count("ok: [") == 2, output
    for part in (good, bad):
        assert all(shown(part).values()), output
        # before the result, and not at the end all at once
        assert min(part.index(line) for lines in shown(part).values() for line in lines) < part.index("[files.example.org]"), output


def test_nothing_is_shown_where_nobody_wants_it(play):
    output, status = play(
        {"vars": {"seafleet_progress_interval": "{{ 0 }}"}}, {"check_mode": True}, {"no_log": True}, {"async": 30, "poll": 1})
    assert status == 0 and output.count("ok=4 ") == 2, output
    assert "pull objects" not in output


@pytest.mark.parametrize("plugin, arguments, path", [
    (set_pull, {"backup_root": "/srv/backup", "server": "files.example.org"}, "/srv/backup/files.example.org/state/progress.json"),
    (set_verify, {"backup_root": "/srv/backup", "server": "files.example.org"}, "/srv/backup/files.example.org/state/progress.json"),
    (server_dump, {"dest": "/opt/haiwen/.seafleet/staging/20261123T030000Z"}, "/opt/haiwen/.seafleet/staging/20261123T030000Z/progress.json"),
], ids=["set_pull", "set_verify", "server_dump"])
def test_each_plugin_runs_its_own_module_and_reads_its_own_file(plugin, arguments, path):
    action = plugin.ActionModule.__new__(plugin.ActionModule)
    assert action.progress_path(arguments) == path
    assert action.MODULE == f"seafleet.seafile.{plugin.__name__.rpartition('.')[2]}"


@pytest.mark.parametrize("callback, quiet", [
    ("default", False), ("json", True), ("ansible.posix.json", True), ("ansible.posix.jsonl", True), ("awx_display", False),
])
def test_output_that_programs_read_stays_clean(callback, quiet):
    assert output.is_for_programs(callback) is quiet
