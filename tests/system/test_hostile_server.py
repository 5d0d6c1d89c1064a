# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that was taken over, and whole runs against it: what it leaves lying about, what its rsync says, what it may not read.

One way through all of it, in this order; what rsync alone does with a lying server is in tests/unit/plugins/module_utils/test_hostile_sender.py.
"""

from __future__ import annotations

import json
import re
import shlex
import types
import typing as t

import pytest
import testhosts

from fleet import ROOT, Fleet

HOSTILE = testhosts.PROJECT / "tests" / "unit" / "plugins" / "module_utils" / "hostile_rsync.py"
ODD = f"{ROOT}/seahub-data/custom/odd"
NAMES = ["new\nline", "-rf", "--delete", " spaces ", "trailing ", "$(id)", "`id`", "a'b\"c", "back\\slash", "[x]*?", "\u00fcml\u00e4ut \U0001f600", "tab\there",
         "\x1b[31mred", "x" * 255, "a;b|c&d", "~", "#hash", "%41", ":colon", "host:path", ".seafleet-partial"]
RAW = "b'not\\xffutf8'"
AUTHORISED = "/home/seafile/.ssh/authorized_keys"

# Makes files with all these names, each with its own content, and what no backup should bring.
MAKE = """
import json, os, socket, sys
top, storage, names = sys.argv[1], sys.argv[2], json.load(sys.stdin)
os.makedirs(top)
os.chdir(top)
for number, name in enumerate([name.encode() for name in names] + [b'not\\xffutf8']):
    with open(name, 'wb') as stream:
        stream.write(b'content %d of ' % number + name)
    os.utime(name, (1600000000 + number, 1600000000 + number))
os.symlink('/etc/passwd', 'to-passwd')
os.symlink('/etc', 'to-etc')
os.symlink('dangling\\nlink', 'to-nowhere')
with open('setuid', 'wb') as stream:
    stream.write(b'#!/bin/sh')
os.chmod('setuid', 0o6755)
os.mkfifo('fifo')
socket.socket(socket.AF_UNIX).bind('socket')
store = sorted(os.listdir(storage + '/blocks'))[0]
os.chdir(os.path.join(storage, 'blocks', store))
os.mkdir('00') if not os.path.isdir('00') else None
os.symlink('/etc/shadow', '00/' + '0' * 38)
os.symlink('/etc', '0a' if not os.path.lexists('0a') else 'zz')
os.mkfifo('00/' + '1' * 38)
with open('00/' + 'name with\\nline', 'wb') as stream:
    stream.write(b'x')
with open('00/' + '2' * 38, 'wb') as stream:
    stream.write(b'setuid')
os.chmod('00/' + '2' * 38, 0o6777)
"""
LIST = """
import hashlib, os, sys
top = os.fsencode(sys.argv[1])
for name in sorted(os.listdir(top)):
    path = os.path.join(top, name)
    if os.path.islink(path):
        print(name, 'link', os.readlink(path))
    elif os.path.isfile(path):
        print(name, hashlib.sha256(open(path, 'rb').read()).hexdigest(), int(os.lstat(path).st_mtime))
"""


@pytest.fixture(scope="module")
def fleet(shared_hosts: t.Callable[..., t.Any]) -> Fleet:
    """A server with all of that, and its first backup."""
    fleet = Fleet(shared_hosts("server1", "backup1"))
    fleet.add("server1")
    fleet.deploy("server1")
    fleet.run("server1", f"printf %s {shlex.quote(json.dumps(NAMES))} | python3 -c {shlex.quote(MAKE)} {ODD} {ROOT}/seafile-data/storage && "
                         f"chown -hR seafile:seafile {ROOT}")
    fleet.ok("prepare")
    fleet.backup()
    return fleet


def names(fleet: Fleet, machine: str, directory: str) -> list[str]:
    """Every file and link in I(directory) with its content and time, each name as Python writes its bytes."""
    return fleet.run(machine, f"python3 -c {shlex.quote(LIST)} {shlex.quote(directory)}").splitlines()


def store(fleet: Fleet) -> dict[str, list[t.Any]]:
    """All that is in the backup and must never change: objects and sealed sets."""
    top = fleet.store("server1")
    found = fleet.listing("backup1", f"{top}/objects", *(f"{top}/sets/{set_id}" for set_id in fleet.sets("server1")))
    return {path: entry for path, entry in found.items() if not entry[0].startswith("d")}  # a directory has the time of its last new name


def test_of_a_malicious_tree_only_plain_files_and_links_as_data_come(fleet):
    top = fleet.store("server1")
    assert fleet.run("backup1", f"find {top} -perm /6000 -o -type p -o -type s -o -type b -o -type c") == ""
    assert fleet.run("backup1", f"find {top} -perm /077 ! -type l ! -name '*.md'") == ""
    assert fleet.run("backup1", f"find {top}/objects ! -type d ! -type f") == ""
    paths = fleet.run("backup1", f"find {top}/objects -type f -printf '%P\\0'").split("\0")[:-1]
    assert len(paths) > 1000
    assert [path for path in paths if not re.fullmatch(r"(commits|fs|blocks)/[0-9a-f-]{36}/[0-9a-f]{2}/[0-9a-f]{38}", path)] == []
    assert not any("0" * 38 in path or "1" * 38 in path for path in paths)


def test_odd_names_come_byte_for_byte(fleet):
    here = names(fleet, "server1", ODD)
    assert len(here) == len(NAMES) + 1 + 3 + 1 and any(RAW in line for line in here)
    there = names(fleet, "backup1", f"{fleet.store('server1')}/sets/{fleet.sets('server1')[-1]}/files/seahub-data/custom/odd")
    assert there == here
    assert fleet.run("backup1", f"cd {fleet.store('server1')}/sets/{fleet.sets('server1')[-1]} && sha256sum --quiet -c SHA256SUMS && echo whole") == "whole\n"


@pytest.fixture(scope="module")
def hostile(fleet: Fleet) -> types.SimpleNamespace:
    """A run in which the server's rsync sends other content for an object of the first set, unasked; then an honest one."""
    target = fleet.run("backup1", f"cd {fleet.store('server1')}/objects && find blocks -type f | sort | head -1").strip()
    before = store(fleet)
    fleet.group.put("server1", HOSTILE, "/opt/hostile_rsync.py")
    fleet.run("server1", f"chmod 755 /opt/hostile_rsync.py && cp -p {AUTHORISED} /root/keys && "
                         f"sed -i 's#command=\"[^\"]*\"#command=\"/usr/bin/python3 /opt/hostile_rsync.py overwrite storage/ {target}\"#' {AUTHORISED}")
    # all objects are compared, by one process: what is attacked is then the same in every run
    fleet.run("server1", f"rm -rf {ROOT}/.seafleet/state")
    attacked = fleet.playbook("backup", backup_streams=1, seafile_pull_restricted=False)
    after = store(fleet)
    fleet.run("server1", f"cp -p /root/keys {AUTHORISED}")
    return types.SimpleNamespace(target=target, before=before, attacked=attacked, after=after)


def test_an_object_that_the_server_overwrites_is_as_it_was_and_the_run_says_so(fleet, hostile):
    assert hostile.attacked.code == 2 and "server-hostile" in hostile.attacked.output, hostile.attacked.output[-3000:]
    assert hostile.target in hostile.attacked.output
    assert hostile.before == hostile.after
    assert len(fleet.sets("server1")) == 1


def test_files_that_may_not_be_read_fail_the_run_and_are_named_and_counted(fleet, hostile):
    fleet.run("server1", f"for n in 1 2 3 4 5 6 7; do echo secret > {ROOT}/conf/closed$n; done; chmod 600 {ROOT}/conf/closed*")
    result = fleet.playbook("backup")
    assert result.code == 2 and "source-unreadable" in result.output
    assert "7 files or directories may not be read: " in result.output and "and 2 more" in result.output
    assert len(fleet.sets("server1")) == 1, "and no set was sealed"
    fleet.run("server1", f"rm {ROOT}/conf/closed*")


def key_lines(fleet: Fleet) -> list[str]:
    """The lines of restores on the backup host."""
    return fleet.run("backup1", "grep seafleet-restore /root/.ssh/authorized_keys", check=False).splitlines()


@pytest.fixture(scope="module")
def restored(fleet: Fleet, hostile: types.SimpleNamespace) -> types.SimpleNamespace:
    """A restore that cannot pull, one that is killed while it has its key, and one that ends; what was there before."""
    before = names(fleet, "server1", ODD)
    fleet.run("backup1", "mv /usr/bin/rrsync /usr/bin/rrsync.away")
    failed = fleet.playbook("restore", "server1", restore_confirm="server1", restore_retries=0)
    after_failure = key_lines(fleet), fleet.run("server1", "find /var/lib/seafleet -name 'id_*'", check=False)
    fleet.run("backup1", "mv /usr/bin/rrsync.away /usr/bin/rrsync")
    run = fleet.start("restore", "server1", restore_confirm="server1")
    during = run.wait_until(lambda: key_lines(fleet))
    run.kill()
    ended = fleet.ok("restore", "server1", restore_confirm="server1")
    return types.SimpleNamespace(before=before, failed=failed, after_failure=after_failure, during=during, ended=ended, after=names(fleet, "server1", ODD))


def test_the_key_of_a_restore_may_read_one_directory_and_ends_by_itself(fleet, restored):
    (line,) = restored.during
    match = re.fullmatch(r'restrict,expiry-time="(\d{12})",command="rrsync -ro /srv/seafile-backup/server1" ssh-ed25519 \S+ seafleet-restore-server1', line)
    assert match, line
    # both in the local time of the backup host
    hours = (int(fleet.run("backup1", f"date -d '{match[1][:8]} {match[1][8:10]}:{match[1][10:]}' +%s")) - int(fleet.run("backup1", "date +%s"))) / 3600
    assert 40 < hours <= 48.1


def test_the_key_of_a_restore_is_gone_after_a_failure_and_after_the_run_that_follows_a_kill(fleet, restored):
    assert restored.failed.code == 2 and restored.after_failure == ([], "")
    assert key_lines(fleet) == [] and fleet.run("server1", "find /var/lib/seafleet -name 'id_*'") == ""


def test_odd_names_come_back_byte_for_byte(fleet, restored):
    assert restored.after == restored.before
    assert fleet.truth("server1").startswith("equal to the manifest")
