# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access of the backup host through an account of its own, with nobody's root login: what it can do, what it cannot, its rotation and removal.

The server's Ansible account is an ordinary one with sudo, the backup host's one without, sshd lets root in nowhere, and Seafile's files may be
read by nobody but their owner. The tests stand in the order in which they run: each leaves the hosts as the next one needs them.
"""

from __future__ import annotations

import json
import pathlib
import random
import shlex
import typing as t

import pytest
import testhosts

from fleet import ROOT, Fleet

ACCOUNT = "seafleet-pull"
HOME = f"/usr/local/lib/seafleet/{ACCOUNT}"
ACCESS = "/home/keeper/access"
KEY = f"{ACCESS}/server1/id_ed25519"
VARIABLES = {"seafile_pull_account": ACCOUNT, "seafile_pull_access_dir": ACCESS}
# The kernel of a test host lets root have this capability only where it was asked for.
OPTIONS = ["--cap-add=DAC_READ_SEARCH"]


@pytest.fixture(scope="module")
def fleet(shared_hosts: t.Callable[..., t.Any]) -> Fleet:
    """A server with odd names among its files, and a backup host; root logs in to neither."""
    fleet = Fleet(shared_hosts("server1", "backup1", options=OPTIONS))
    fleet.add("server1", ansible_user="ops", ansible_become=True)
    fleet.deploy("server1")
    for machine, account in (("server1", "ops"), ("backup1", "keeper")):
        fleet.run(machine, f"useradd --create-home --shell /bin/bash {account} && cp -r /root/.ssh /home/{account}/ && chown -R {account} /home/{account}/.ssh"
                           " && printf 'PermitRootLogin no\\nPasswordAuthentication no\\n' > /etc/ssh/sshd_config.d/test.conf && systemctl reload ssh")
    fleet.run("server1", "echo 'ops ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/ops")
    fleet.run("backup1", "install -d -o keeper -m 700 /srv/seafile-backup")
    fleet.run("server1", f"chmod -R go-rwx {ROOT}")
    keeper = {**testhosts.variables(fleet.group.directory, fleet.group.records["backup1"]), "ansible_user": "keeper"}
    fleet.group.write_groups({
        "seafile_servers": {"hosts": fleet.servers, "vars": {"seafile_backup_host": "backup1", **VARIABLES}},
        "backup_hosts": {"hosts": {"backup1": keeper}}})
    return fleet


def authorised(fleet: Fleet, path: str = f"{HOME}/.ssh/authorized_keys") -> list[str]:
    """The lines of the account's authorized_keys."""
    return fleet.run("server1", f"cat {path}", check=False).splitlines()


def ssh(fleet: Fleet, key: str = KEY) -> str:
    """ssh as the backup host may use it, up to the account."""
    words = f"-o BatchMode=yes -o UserKnownHostsFile={ACCESS}/server1/known_hosts -o HostKeyAlias=server1 -o IdentitiesOnly=yes -i {key}"
    return f"runuser -u keeper -- ssh {words} {ACCOUNT}@{fleet.group.address('server1')}"


def test_prepare_makes_an_account_that_can_do_nothing_else(fleet):
    fleet.ok("prepare")
    assert fleet.run("server1", f"getent shadow {ACCOUNT}").split(":")[1] == "*"
    assert fleet.run("server1", f"id -nG {ACCOUNT}") == f"{ACCOUNT}\n"
    assert "may run" not in fleet.run("server1", f"sudo -n -l -U {ACCOUNT}", check=False)
    assert fleet.run("server1", f"getcap {HOME}/rsync; stat -c '%U:%G %a' {HOME} {HOME}/rsync {HOME}/.ssh/authorized_keys").splitlines() == [
        f"{HOME}/rsync cap_dac_read_search,cap_sys_chroot=ep", f"root:{ACCOUNT} 750", f"root:{ACCOUNT} 750", f"root:{ACCOUNT} 640"]
    (line,) = authorised(fleet)
    assert line.startswith(f'restrict,command="{HOME}/rsync --server --daemon --config={HOME}/server1.conf ." ssh-ed25519 ')
    assert "seafleet-pull-" not in fleet.run("server1", "cat /home/seafile/.ssh/authorized_keys /root/.ssh/authorized_keys", check=False)
    assert fleet.run("backup1", f"stat -c '%U %a' {ACCESS}/server1 {KEY}").splitlines() == ["keeper 700", "keeper 600"]


def test_prepare_again_changes_nothing(fleet):
    before = fleet.listing("server1", HOME), fleet.listing("backup1", ACCESS)
    assert fleet.ok("prepare").changed == 0
    assert (fleet.listing("server1", HOME), fleet.listing("backup1", ACCESS)) == before


def test_a_backup_without_any_root_login_reads_files_that_only_their_owner_may_read(fleet):
    set_id = fleet.backup()
    manifest = fleet.manifest("server1", set_id)
    assert manifest["verification"]["state"] == "verified" and manifest["stages"]["objects"]["listed"] > 1000
    assert fleet.run("backup1", "find /srv/seafile-backup ! -user keeper") == ""
    assert fleet.run("backup1", "find /srv/seafile-backup -perm /027 ! -type l") == ""


def test_a_shell_a_pty_and_a_copy_are_refused_and_tell_nothing(fleet):
    for order in ("id", "", "cat /etc/passwd", "-T", f"rsync --server --sender -logDtpre.iLsfxCIvu . {ROOT}/conf"):
        said = fleet.run("backup1", f"{ssh(fleet)} {shlex.quote(order) if order else ''} < /dev/null", check=False)
        assert said == "" or said.startswith("@RSYNCD: "), said
        assert "uid=" not in said and "root:" not in said and "SECRET" not in said
    fleet.run("backup1", "echo probe > /tmp/probe && chmod 644 /tmp/probe")
    assert fleet.group["backup1"].run(f"{ssh(fleet).replace(' ssh ', ' sftp ', 1)} < /dev/null").rc != 0


FUZZ = """
import os, subprocess, sys, json, concurrent.futures
command, account, orders = sys.argv[1], sys.argv[2], json.load(sys.stdin)
def one(order):
    done = subprocess.run(["runuser", "-u", account, "--", "env", "SSH_ORIGINAL_COMMAND=" + order, "SSH_CONNECTION=192.0.2.1 1 192.0.2.2 22",
                           "/bin/sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, cwd="/tmp")
    return done.stdout.decode("utf-8", "replace")
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(json.dumps(list(pool.map(one, orders))))
"""


def orders(place: str) -> list[str]:
    """200 texts that a taken-over backup host could send for a command, each of which leaves a file in I(place) if it is run."""
    chance = random.Random(20261130)
    marks = (f"{place}/{number}" for number in range(10 ** 6))
    fixed = [
        "touch {}", "/bin/sh -c 'touch {}'", "id; touch {}", "$(touch {})", "`touch {}`", "a\ntouch {}\n", "| touch {}", "& touch {} &",
        "{{touch,{}}}", "> {}", "rsync --server --sender . / ; touch {}", "rsync --server --sender -logDtpr . $(touch {})",
        "rsync --server --sender -logDtpr . `touch {}`", "rsync --server --sender\ntouch {}", "rsync --server -logDtpre.iLsfxCIvu . {}",
        "rsync --server --sender --log-file={} -r . /", "rsync --daemon --log-file={}",
        "rsync --server --daemon --config=/etc/passwd --log-file={} .", "rsync --server --sender -e'touch {}' . /",
        "rsync --server --sender --rsh='touch {}' . /", "rsync --server --sender -M--log-file={} -r . /",
        "rsync --server --sender --files-from=$(touch {}) . /", "rsync --server --sender --debug=all2 . /|touch {}",
        "rsync --server --sender --write-batch={} -r . /", "rsync --server --sender --only-write-batch={} -r . /", "scp -t {}",
        "scp -f /etc/passwd {}", "sftp-server; touch {}", "/usr/lib/openssh/sftp-server > {}", "rrsync -wo / ; touch {}",
        'rsync --server --sender \\\ntouch {}', "env -i touch {}", "exec touch {}", "eval touch {}", "--server --sender; touch {}",
        " rsync --server --sender -r . /;touch {}", "rsync  --server  --sender -r . /;touch {}", "rsync --server --sender -r . /..;touch {}",
        "rsync --server --sender --remove-source-files -r . / && touch {}", "rsync --server --sender --fake-super --backup-dir={} -r . /",
        '\u202etouch {}', "'; touch {}; '", '"; touch {}; "', '\\; touch {}', "rsync --server --sender -vvvvn --temp-dir={} . /",
        "cat </dev/tcp/127.0.0.1/22 > {}", 'python3 -c \'open("{}","w")\'']
    pieces = [
        "rsync", "--server", "--sender", "-logDtpre.iLsfxCIvu", ".", "/", "..", ";", "&&", "||", "|", "$(", ")", "`", '\n', "'", '"', '\\', ">",
        "touch", "{}", "--log-file={}", "-M--log-file={}", "--daemon", "-e", "sh", "-c", "*", "~", "$IFS", '\t', "%s", 'ä', "-", "--", "{{a,b}}",
        '\x1b[2J']
    while len(fixed) < 200:
        text = " ".join(chance.choice(pieces) for _count in range(chance.randrange(3, 12)))
        fixed += [text] if text not in fixed else []
    return [text.format(*[next(marks)] * text.replace("{{", "").count("{}")) for text in fixed]


@pytest.mark.parametrize("kind", ["own account", "owner of the files"])
def test_of_200_commands_of_a_taken_over_backup_host_none_is_run(fleet, kind):
    fleet.run("server1", "rm -rf /tmp/marks && mkdir -m 777 /tmp/marks")
    texts = orders("/tmp/marks")
    assert len(set(texts)) == 200
    command, account = f"{HOME}/rsync --server --daemon --config={HOME}/server1.conf .", ACCOUNT
    if kind != "own account":
        command, account = f"/usr/bin/rrsync -ro {ROOT}", "seafile"
    fleet.run("server1", f"printf %s {shlex.quote(json.dumps(texts))} > /root/orders.json")
    answers = json.loads(fleet.run("server1", f"python3 -c {shlex.quote(FUZZ)} {shlex.quote(command)} {account} < /root/orders.json"))
    assert len(answers) == 200
    assert fleet.run("server1", "ls /tmp/marks") == ""
    if kind == "own account":
        assert all(answer == "" or answer.startswith("@RSYNCD: ") for answer in answers)
    assert not any("root:x:" in answer or "uid=" in answer for answer in answers)


def test_a_new_key_takes_the_place_of_the_old_in_one_run(fleet):
    (before,), old = authorised(fleet), fleet.run("backup1", f"cat {KEY}")
    fleet.run("backup1", f"cp {KEY} /home/keeper/old && chown keeper /home/keeper/old")
    fleet.ok("prepare", pull_access_rotate=True)
    (after,) = authorised(fleet)
    assert after != before and fleet.run("backup1", f"cat {KEY}") != old
    assert fleet.run("backup1", f"ls {ACCESS}/server1").split() == ["id_ed25519", "id_ed25519.pub", "known_hosts"]
    assert fleet.run("backup1", f"cut -d' ' -f2 {KEY}.pub").strip() in after
    assert fleet.group["backup1"].run(f"{ssh(fleet, '/home/keeper/old')} < /dev/null").stdout == "", "the old key is of no use any more"


def test_a_rotation_that_is_killed_leaves_a_key_that_works_and_is_ended_by_the_next_run(fleet):
    run = fleet.start("prepare", pull_access_rotate=True)
    run.wait_until(lambda: "rotate | Try the new key" in run.output)  # both are let in now
    run.kill()
    # the server's own process may still be at it, and either key may be the one in use
    assert fleet.run("backup1", f"{ssh(fleet)} < /dev/null", check=False).startswith("@RSYNCD: ")
    fleet.ok("prepare")
    assert len(authorised(fleet)) == 1
    assert fleet.run("backup1", f"ls {ACCESS}/server1").split() == ["id_ed25519", "id_ed25519.pub", "known_hosts"]
    assert fleet.run("backup1", f"{ssh(fleet)} < /dev/null", check=False).startswith("@RSYNCD: ")


def test_an_updated_rsync_makes_the_copy_stale_which_is_told_and_mended(fleet):
    fleet.run("server1", "cp /usr/bin/rsync /usr/bin/rsync.updated && printf x >> /usr/bin/rsync.updated && mv /usr/bin/rsync.updated /usr/bin/rsync")
    assert f"the copy of rsync for the pull account {ACCOUNT} is not the rsync that is installed" in fleet.ok("backup").output
    assert f"the copy of rsync for the account {ACCOUNT} was made (it is not the rsync that is installed)" in fleet.ok("prepare").output
    assert fleet.run("server1", f"cmp /usr/bin/rsync {HOME}/rsync && getcap {HOME}/rsync") == f"{HOME}/rsync cap_dac_read_search,cap_sys_chroot=ep\n"


def test_a_host_key_that_changed_is_refused_until_prepare_pins_the_new_one(fleet):
    known = f"{ACCESS}/server1/known_hosts"
    fleet.run("backup1", f"cp {known} /root/known && ssh-keygen -q -t ed25519 -N '' -f /root/other && "
                         f"echo server1 $(cut -d' ' -f1,2 /root/other.pub) > {known}")
    result = fleet.playbook("backup")
    assert result.code == 2 and "host-key-changed" in result.output
    fleet.ok("prepare")
    assert fleet.run("backup1", f"cmp {known} /root/known") == ""


def test_a_key_that_opens_more_than_a_backup_needs_fails_the_check(fleet):
    path = f"{HOME}/.ssh/authorized_keys"
    fleet.run("server1", f"cp -p {path} /root/keys && {{ cut -d' ' -f6,7 /root/keys | sed 's/$/ by-hand/'; cat /root/keys; }} > {path}")
    result = fleet.playbook("prepare")
    assert result.code == 2 and "pull-access-too-wide" in result.output and "run any command" in result.output
    fleet.run("server1", f"cp -p /root/keys {path}")
    # the forced command gone from our own line: the next run puts it back
    fleet.run("server1", f"sed -i 's/^restrict.* ssh-ed25519/ssh-ed25519/' {path}")
    fleet.ok("prepare")
    assert authorised(fleet) == fleet.run("server1", "cat /root/keys").splitlines()


def test_an_account_that_somebody_else_made_is_never_given_these_rights(fleet):
    result = fleet.playbook("prepare", seafile_pull_account="ops")
    assert result.code == 2 and "pull-account-foreign" in result.output
    assert fleet.run("server1", "ls /usr/local/lib/seafleet") == f"{ACCOUNT}\n"


def test_the_owner_of_the_files_takes_over_and_what_it_may_is_told_honestly(fleet):
    fleet.ok("prepare", pull_access_state="absent")
    fleet.ok("prepare", seafile_pull_account="")
    (line,) = authorised(fleet, "/home/seafile/.ssh/authorized_keys")
    assert line.startswith(f'restrict,command="/usr/bin/rrsync -ro {ROOT}" ssh-ed25519 ')
    told = fleet.ok("prepare", seafile_pull_account="", seafile_pull_restricted=False)
    assert "the account is not restricted (seafile_pull_restricted is false): the backup host's key may write into the server's dir" in told.output
    assert "run any command" in told.output
    fleet.ok("prepare")
    assert authorised(fleet, "/home/seafile/.ssh/authorized_keys") == [], "the account of its own reads now, and the owner's line is gone"


def test_removal_leaves_nothing_on_either_side_also_when_the_server_is_gone(fleet):
    fleet.run("server1", "systemctl stop ssh.socket ssh; pkill -u ops sshd", check=False)
    result = fleet.playbook("prepare", pull_access_state="absent")
    assert result.code != 0 and "server-unreachable" in result.output
    assert fleet.run("backup1", f"ls {ACCESS}") == ""
    assert fleet.ok("prepare", pull_access_state="absent", pull_access_server_gone=True).changed == 0
    fleet.run("server1", "systemctl start ssh")
    assert len(authorised(fleet)) == 1
    fleet.ok("prepare", pull_access_state="absent")
    assert fleet.group["server1"].run(f"id {ACCOUNT}").rc != 0
    assert not fleet.group["server1"].file("/usr/local/lib/seafleet").exists


def test_nothing_of_all_that_shows_a_private_key_or_a_traceback(fleet):
    logs = "".join(path.read_text(errors="replace") for path in pathlib.Path(fleet.group.directory).glob("*.log"))
    assert "PRIVATE KEY" not in logs and "Traceback" not in logs
