# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an answer to a try means. Against a real sshd, rrsync and daemon: tests/system/test_pull_access.py."""

from __future__ import annotations

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import pull_tries, rsync
from ansible_collections.seafleet.seafile.plugins.module_utils.pull_tries import Answer
from ansible_collections.seafleet.seafile.plugins.modules import pull_access_info

assert pull_access_info.DOCUMENTATION
REMOTE = rsync.Remote("server1", "pull", 22, "/key", "/known", "server1")
DAEMON = rsync.Remote("server1", "pull", 22, "/key", "/known", "server1", "seafile")
# Said by rrsync of Debian 12, the daemon, OpenSSH 9.2, and an account without restriction.
ANSWERS = [
    ("shell", Answer(1, "", "/usr/bin/rrsync error: SSH_ORIGINAL_COMMAND does not run rsync\n"), False),
    ("shell", Answer(255, "@RSYNCD: 31.0\n", ""), False),
    ("shell", Answer(0, "seafleet-42\n", ""), True),
    ("write", Answer(12, "", "/usr/bin/rrsync error: sending to read-only server is not allowed\n"), False),
    ("write", Answer(1, "", "ERROR: module is read only\n"), False),
    ("write", Answer(0, "", ""), True),
    ("above", Answer(23, "", 'rsync: [sender] change_dir "/etc" (in seafile) failed: No such file or directory (2)\n'), False),
    ("outside", Answer(0, "-rw-r--r--          1,234 2026/11/30 10:00:00 passwd\n", ""), True),
    ("outside", Answer(0, "drwxr-xr-x          4,096 2026/11/30 10:00:00 passwd\n", ""), False),
    ("follow_links", Answer(12, "", "rsync: The server is configured to refuse --copy-links (-L)\n"), False),
    ("forward", Answer(255, "", "channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed\n"), False),
    ("forward", Answer(255, "", "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\n"), True),
    ("forward", Answer(0, "SSH-2.0-OpenSSH_9.2\r\n", ""), True),
    ("shell", Answer(255, "", "ssh: connect to host server1 port 22: Connection refused\n"), None),
    ("remove", Answer(255, "", "kex_exchange_identification: Connection closed by remote host\n"), None),
    ("log_file", Answer(-1, "", "no end within 60 seconds"), None),
]


@pytest.mark.parametrize("name, answer, meaning", ANSWERS)
def test_an_answer_is_judged_by_what_it_shows(name, answer, meaning):
    (one,) = [one for one in pull_tries.tries("rsync", "/", REMOTE) if one.name == name]
    assert pull_tries.judge(one, answer) is meaning


@pytest.mark.parametrize("remote, place", [(REMOTE, "pull@server1:"), (DAEMON, "pull@server1::seafile")])
def test_no_try_could_change_anything_if_it_were_allowed(remote, place):
    wanted = pull_tries.tries("rsync", "/opt/haiwen", remote)
    assert len({one.name for one in wanted}) == len(wanted) == 8
    for one in wanted:
        argv = list(one.argv)
        if argv[0] == "rsync":
            assert "--dry-run" in argv and argv[-1].startswith(place + "/"), argv
        else:
            assert argv[0] == "ssh" and ("echo seafleet-$((40+2))" == argv[-1] or "-W" in argv)


def test_what_is_allowed_and_what_was_not_told_are_two_problems():
    found = {name: {"allowed": allowed, "deed": f"do {name}", "said": "x"} for name, allowed in (("a", True), ("b", None), ("c", False), ("d", True))}
    problems = pull_tries.problems(found, "server1:/")
    assert [(problem.code, problem.cause) for problem in problems] == [
        ("pull-access-too-wide", "the backup host's key may do a, do d"), ("pull-access-untold", "it could not be found out whether the key may do b (x)")]
    assert pull_tries.problems({"c": found["c"]}, "server1:/") == []
