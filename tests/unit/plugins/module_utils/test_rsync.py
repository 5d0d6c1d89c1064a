# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import time

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import rsync
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

# What rsync and ssh really said, of three Debian releases: rsync 3.2.3 with OpenSSH 8.4, 3.2.7 with 9.2, 3.5.0 with 10.0.
OUTPUT = {path.stem: json.loads(path.read_text(encoding="utf-8"))["cases"] for path in (pathlib.Path(__file__).parent / "rsync_output").glob("*.json")}
VERSIONS = sorted(OUTPUT)
STORE = "11111111-2222-3333-4444-555555555555"

# The case of the fixtures, the code it must become, and a word of the message.
MEANINGS = [
    ("source missing", "source-missing", "/srv/nowhere"),
    ("listed file missing", "source-missing", "/aa/000000"),
    ("destination full", "no-space", "disk is full"),
    ("destination read-only", "read-only", "read-only"),
    ("destination read-only, there", "read-only", "read-only"),
    ("source unreadable", "source-unreadable", "2 files or directories may not be read: /srv/files/sub, /srv/files/a.txt"),
    ("source closed", "source-unreadable", "/srv/s1"),
    ("destination denied", "no-rights", "may not write there: /srv/root/."),
    ("destination not to be made", "no-rights", "/srv/root/new"),
    ("killed with TERM", "rsync-killed", "killed"),
    ("killed with KILL", "rsync-killed", "signal 9"),
    ("ssh probe missing", "source-missing", "/nowhere"),
    ("ssh path missing", "source-missing", "/nowhere"),
    ("ssh host key unknown", "host-key-unknown", "no ssh host key is pinned"),
    ("ssh host key unknown, no such file", "host-key-unknown", "no ssh host key is pinned"),
    ("ssh host key changed", "host-key-changed", "not the one that was pinned"),
    ("ssh key refused", "pull-access-denied", "refused the key"),
    ("ssh key missing", "pull-access-denied", "refused the key"),
    ("ssh dead port", "connection-lost", "Connection refused"),
    ("ssh unknown name", "connection-lost", "Could not resolve hostname"),
    ("rrsync outside by dots", "pull-access-refused", "do not use .."),
    ("rrsync outside by link", "pull-access-refused", "unsafe arg"),
    ("rrsync unreadable", "source-unreadable", "/closed"),
    ("rrsync push", "pull-access-refused", "read-only server"),
    ("rrsync copy links", "pull-access-refused", "-L has been disabled"),
    ("rrsync shell", "pull-access-refused", "SSH_ORIGINAL_COMMAND"),
    ("rrsync missing", "missing-tool", "rrsync is not installed there"),
    ("rrsync directory missing", "pull-access-refused", "Restricted directory does not exist"),
    ("rsync missing over there", "missing-tool", "rsync is not installed there"),
    ("no rsync at the other end", "rsync-failed", "protocol version mismatch"),
    ("ssh session killed", "connection-lost", "connection unexpectedly closed"),
    ("sender killed", "connection-lost", "connection unexpectedly closed"),
    ("sender killed, status of the session", "connection-lost", "connection unexpectedly closed"),
]
REMOTES = [
    None,
    rsync.Remote("server1"),
    rsync.Remote("2001:db8::1", "pull", 2222, "/etc/key", "/etc/known", "server1"),
    rsync.Remote("server1", "pull", quotes=False),
    rsync.Remote("server1", "pull", rsync_module="seafile"),
]


def every_argv():
    """The command line of every combination of options, with values that look like other options."""
    choices = itertools.product(
        rsync.CONTENTS, REMOTES, ((), ("--delete", "/--inplace/")), (None, "/before"), ((None, False), ("/list", False), ("/list", True)), (0, 100),
        (False, True), ("/src", "/--delete"))
    for content, remote, excludes, link_dest, (files_from, only_there), limit, dry_run, src in choices:
        yield rsync.pull_argv("rsync", rsync.Pull(
            content, src, "/dest", remote, excludes, link_dest, files_from, limit, 300, dry_run, only_there, limit))


def test_nothing_is_ever_deleted_or_written_in_place_whatever_the_options():
    forbidden = re.compile(r"--(del|remove|inplace|partial|append|force|ignore-errors|backup|max-delete|existing|super|write-devices)")
    count = 0
    for argv in every_argv():
        count += 1
        options = argv[1:argv.index("--")]
        assert [word for word in options if forbidden.match(word)] == []
        # no bundle of short options hides one; the only short option is -e with its value
        assert [word for word in options if re.match(r"-[^-]", word) and word != "-e"] == []
        assert len(argv) - argv.index("--") == 3
    assert count == 3 * 5 * 2 * 2 * 3 * 2 * 2 * 2


def test_the_destination_is_always_of_this_host():
    for argv in every_argv():
        assert argv[-1] == "/dest/"
    for path in ("relative", "host:/path", "./a", "", "/two\nlines"):
        with pytest.raises(SeafileError) as caught:
            rsync.require_place(path, "dest")
        assert caught.value.code == "path-invalid"


@pytest.mark.parametrize("content, present, absent", [
    ("dumps", {"--no-links", "--checksum", "--chmod=D0700,F0600"}, {"--ignore-existing", "--links"}),
    ("files", {"--links", "--checksum", "--whole-file", "--link-dest=/before"}, {"--ignore-existing", "--no-links"}),
    ("objects", {"--no-links", "--hard-links", "--ignore-existing", "--min-size=1", "--exclude=*"}, {"--checksum", "--links", "--link-dest=/before"}),
])
def test_each_content_has_its_rules(content, present, absent):
    argv = set(rsync.pull_argv("rsync", rsync.Pull(content, "/src", "/dest", link_dest="/before")))
    assert present | {"--no-devices", "--no-specials", "--no-owner", "--no-group", "--timeout=300"} <= argv and not argv & absent


def test_healing_asks_for_single_objects_within_a_size_and_lets_each_be_absent():
    argv = rsync.pull_argv("rsync", rsync.Pull("objects", "/src", "/dest", files_from="/list", only_there=True, most_bytes=1000))
    assert {"--dirs", "--ignore-missing-args", "--max-size=1000", "--files-from=/list", "--no-links", "--min-size=1"} <= set(argv)
    assert "--recursive" not in argv
    # to a stage of a run an absent object is a failure
    assert "--ignore-missing-args" not in rsync.pull_argv("rsync", rsync.Pull("objects", "/src", "/dest", files_from="/list"))


def split_as_rsync(command):
    """What rsync's main.c makes of the value of -e: words at spaces, quotation marks group, a doubled one inside is itself."""
    words, word, quote, position = [], None, None, 0
    while position < len(command):
        character = command[position]
        if quote:
            if character == quote and command[position + 1:position + 2] == quote:
                word += quote
                position += 1
            elif character == quote:
                quote = None
            else:
                word += character
        elif character in "'\"":
            quote, word = character, word or ""
        elif character == " ":
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + character
        position += 1
    return words + ([word] if word is not None else [])


def test_odd_paths_of_keys_reach_ssh_as_one_option():
    remote = rsync.Remote("server1", private_key="/etc/ke y%h'q", known_hosts="/etc/kno wn%h'q", host_key_alias="server1", port=2222)
    words = split_as_rsync(rsync.ssh_command(remote))
    assert words[0] == "ssh" and words[-2:] == ["-p", "2222"]
    options = [words[position + 1] for position, word in enumerate(words) if word == "-o"]
    assert len(options) * 2 + 3 == len(words)
    # the same two paths were used with all three versions: the fixtures hold that it worked
    assert 'IdentityFile="/etc/ke y%%h\'q"' in options and 'UserKnownHostsFile="/etc/kno wn%%h\'q"' in options
    for version in VERSIONS:
        assert OUTPUT[version]["ssh odd key and known hosts path"]["status"] == 0
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", "UpdateHostKeys=no", "ClearAllForwardings=yes", "GlobalKnownHostsFile=/dev/null",
            "HostKeyAlias=server1", "IdentitiesOnly=yes"} <= set(options)


@pytest.mark.parametrize("changes, code", [
    ({"host": "-oProxyCommand=touch /tmp/x"}, "address-invalid"), ({"host": "a b"}, "address-invalid"), ({"user": "-l"}, "address-invalid"),
    ({"user": "a@b"}, "address-invalid"), ({"host_key_alias": "a b"}, "address-invalid"),
    ({"host_key_alias": "a*"}, "address-invalid"), ({"host": "a\nb"}, "address-invalid"),
    ({"private_key": "relative"}, "path-invalid"), ({"known_hosts": '/a"b'}, "path-invalid"),
])
def test_an_address_can_never_become_an_option_or_two_words(changes, code):
    params = dict(host="server1", user=None, port=None, private_key=None, known_hosts=None, host_key_alias=None)
    assert rsync.reach(params, None).host == "server1"
    with pytest.raises(SeafileError) as caught:
        rsync.reach(dict(params, **changes), None)
    assert caught.value.code == code


@pytest.mark.parametrize("version, path, argument", [
    ((3, 2, 3), "/a b", "/a\\ b"), ((3, 2, 3), "/$(id)", "/\\$\\(id\\)"), ((3, 2, 3), "/\u00fc-1_2", "/\u00fc-1_2"), ((3, 2, 3), "/.", "/"),
    ((3, 2, 7), "/a b", "/a b"), ((3, 5, 0), "/[x]*?", "/\\[x\\]\\*\\?"), (None, "/a\\b", "/a\\b"),
])
def test_the_other_hosts_shell_expands_nothing(version, path, argument):
    params = dict(host="server1", user="pull", port=None, private_key=None, known_hosts=None, host_key_alias=None)
    argv = rsync.probe_argv("rsync", path, rsync.reach(params, version))
    assert argv[-1] == f"pull@server1:{argument}" and argv[-2] == "--"
    assert rsync.probe_argv("rsync", path, None)[-1] == os.path.normpath(path)


# Said by the daemon behind a forced command (3.2.3 and 3.5.0), and by this host's rsync of a server that lies (3.2.7 and 3.5.0).
@pytest.mark.parametrize("status, stderr, code, word", [
    (12, "rsync: The server is configured to refuse --copy-links (-L)\n"
         "rsync error: requested action not supported (code 4) at clientserver.c(1112) [sender=3.2.3]\n"
         "rsync: connection unexpectedly closed (0 bytes received so far) [Receiver]\n", "pull-access-refused", "--copy-links"),
    (5, "@ERROR: Unknown module 'nix'\nrsync error: error starting client-server protocol (code 5) at main.c(1872) [Receiver=3.2.7]\n",
     "pull-access-refused", "nix"),
    (1, "ERROR: module is read only\nrsync error: syntax or usage error (code 1) at main.c(1185) [Receiver=3.5.0]\n",
     "pull-access-refused", "read only"),
    (23, 'rsync: [sender] link_stat "/nothere" (in seafile) failed: No such file or directory (2)\n', "source-missing", "/nothere"),
    (23, 'rsync: [sender] change_dir "/link" (in seafile) failed: No such file or directory (2)\n', "source-missing", "/link"),
    (23, 'rsync: [sender] send_files failed to open "/conf/x" (in seafile): Permission denied (13)\n', "source-unreadable", "/conf/x"),
    (4, "ABORTING due to unsafe pathname from sender: ../escape\nrsync error: requested action not supported (code 4) at flist.c(759) [Receiver=3.2.7]\n",
     "server-hostile", "../escape"),
    (4, "ERROR: rejecting excluded file-list name: planted\nrsync error: requested action not supported (code 4) at flist.c(1007) [Receiver=3.2.7]\n",
     "server-hostile", "planted"),
    (2, "ABORTING due to invalid path from sender: aaa/pwned\nrsync error: protocol incompatibility (code 2) at generator.c(1320) [generator=3.2.7]\n",
     "server-hostile", "aaa"),
])
def test_what_a_daemon_and_a_hostile_server_make_rsync_say_has_its_code(status, stderr, code, word):
    error = rsync.explain(status, stderr, None, "server1:/")
    assert error.code == code and word in error.message


def test_an_account_with_a_daemon_is_addressed_by_its_module():
    params = dict(host="server1", user="pull", port=None, private_key=None, known_hosts=None, host_key_alias=None, rsync_module="seafile")
    assert rsync.probe_argv("rsync", "/", rsync.reach(params, (3, 2, 3)))[-1] == "pull@server1::seafile/"
    assert rsync.probe_argv("rsync", "/a [b]", rsync.reach(params, (3, 2, 3)))[-1] == "pull@server1::seafile/a \\[b\\]"
    with pytest.raises(SeafileError) as caught:
        rsync.reach(dict(params, rsync_module="-x/y"), None)
    assert caught.value.code == "address-invalid"


@pytest.mark.parametrize("text, version", [
    ("rsync  version 3.2.3  protocol version 31\n", (3, 2, 3)), ("rsync version v3.4.1dev protocol version 32", (3, 4, 1)),
    ("openrsync: protocol version 29", None),
])
def test_the_version_is_read_from_the_first_line(text, version):
    assert rsync.read_version(text) == version


def test_an_rsync_that_lacks_a_flag_is_named_with_its_version():
    rsync.require_version((3, 1, 0))
    rsync.require_version(None)
    with pytest.raises(SeafileError, match="version 2.6.9 on this host is too old") as caught:
        rsync.require_version((2, 6, 9))
    assert caught.value.code == "rsync-too-old"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case, code, word", MEANINGS)
def test_every_failure_that_was_seen_becomes_its_code(version, case, code, word):
    seen = OUTPUT[version].get(case)
    if seen is None:
        assert case in ("rrsync outside by link", "rrsync copy links", "sender killed, status of the session")
        return
    # ssh ends its lines with a carriage return as well, which the fixtures do not keep
    text = "".join(line + ("\n" if line.startswith("rsync") else "\r\n") for line in seen["stderr"])
    error = rsync.explain(seen["status"], text, rsync.Pull("files", "/src", "/srv/dest"), "server1:/src")
    assert (error.code, word in error.message) == (code, True), error.message
    assert error.what == ("/srv/dest" if code in ("no-space", "read-only", "no-rights") else "server1:/src")
    assert rsync.may_retry(error) == (code == "connection-lost")


def test_a_message_is_no_more_than_a_line_of_printable_text():
    error = rsync.explain(12, "banner \x1b[31mred\n" * 100, None, "server1:/src")
    assert "\x1b" not in error.message and "\n" not in error.message and len(error.message) < 1200


def report_of(version, case, content):
    seen = OUTPUT[version][case]
    report = rsync.Report()
    for line in seen["stdout"]:
        rsync.read_line(report, line, content)
    return report


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_pull_of_objects_did_is_read_from_real_output(version):
    first = report_of(version, "objects first", "objects")
    assert (first.listed, first.bytes_listed) == (8, 2161)  # one of them empty, two of them one file
    assert (first.transferred, first.bytes_transferred) == (6, 1800)
    assert first.empty_objects == [f"blocks/{STORE}/05/{5:038}"]
    assert first.not_regular == [f"blocks/{STORE}/01/{7:038}"]
    again = report_of(version, "objects again", "objects")
    assert (again.itemized, again.transferred, again.changes) == (0, 0, [])
    more = report_of(version, "objects one more", "objects")
    planned = report_of(version, "objects dry run", "objects")
    assert (more.itemized, more.transferred, more.changes) == (planned.itemized, planned.transferred, planned.changes) == (
        2, 1, [f"cd+++++++++ fs/{STORE}/09/", f">f+++++++++ fs/{STORE}/09/{9:038}"])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_kind_or_a_store_that_is_a_link_is_noticed(version):
    assert rsync.linked_stores(report_of(version, "objects kind is a link", "objects")) == ["fs"]
    assert rsync.linked_stores(report_of(version, "objects store is a link", "objects")) == [f"fs/{STORE}"]
    assert rsync.linked_stores(report_of(version, "objects first", "objects")) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_pull_of_files_did_is_read_from_real_output(version):
    first = report_of(version, "files first", "files")
    assert (first.listed, first.transferred, first.not_regular) == (7, 7, ["fifo", "sock"])
    # a name that ends like rsync's own word is a file all the same; names are printable
    assert ">f+++++++++ odd exists" in first.changes and ">f+++++++++ esc\\#033[31m" in first.changes
    assert report_of(version, "files again", "files").itemized == 0
    assert report_of(version, "files beside the set before", "files").changes == [">fc..p..... a.txt"]
    assert report_of(version, "files mode differs", "files").itemized == 1
    assert report_of(version, "dumps first", "dumps").transferred == 2
    assert report_of(version, "dumps again", "dumps").itemized == 0
    assert report_of(version, "empty source", "dumps").listed == 0


def make_objects(top):
    for kind in ("commits", "fs", "blocks"):
        folder = top / kind / STORE / "01"
        folder.mkdir(parents=True)
        (folder / f"{1:038}").write_bytes(kind.encode())
    os.link(top / "blocks" / STORE / "01" / f"{1:038}", top / "blocks" / STORE / "01" / f"{2:038}")


def pulled(content, src, dest, **more):
    pull = rsync.Pull(content, str(src), str(dest), **more)
    dest.mkdir(parents=True, exist_ok=True)
    return rsync.run(rsync.pull_argv("rsync", pull), pull, str(src))


needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="no rsync on this machine")


@needs_rsync
def test_an_object_that_is_here_is_never_touched(tmp_path):
    make_objects(tmp_path / "src")
    pulled("objects", tmp_path / "src", tmp_path / "dest")
    name = f"commits/{STORE}/01/{1:038}"
    before = os.stat(tmp_path / "dest" / name)
    assert before.st_mode & 0o777 == 0o400
    (tmp_path / "src" / name).write_bytes(b"encrypted by somebody")
    os.utime(tmp_path / "src" / name, (1, 1))
    os.unlink(tmp_path / "src" / f"fs/{STORE}/01/{1:038}")
    report = pulled("objects", tmp_path / "src", tmp_path / "dest")
    after = os.stat(tmp_path / "dest" / name)
    assert (tmp_path / "dest" / name).read_bytes() == b"commits" and (tmp_path / "dest" / f"fs/{STORE}/01/{1:038}").exists()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns) and report.itemized == 0
    blocks = tmp_path / "dest" / "blocks" / STORE / "01"
    assert os.stat(blocks / f"{1:038}").st_ino == os.stat(blocks / f"{2:038}").st_ino


@needs_rsync
def test_an_edit_within_the_same_second_at_the_same_size_comes_and_the_set_before_keeps_its_own(tmp_path):
    (tmp_path / "src").mkdir()
    for name in ("settings.py", "other"):
        (tmp_path / "src" / name).write_bytes(b"DEBUG = 0")
        os.utime(tmp_path / "src" / name, (1000, 1000))
    os.chmod(tmp_path / "src" / "other", stat.S_ISUID | 0o755)
    pulled("files", tmp_path / "src", tmp_path / "one")
    (tmp_path / "src" / "settings.py").write_bytes(b"DEBUG = 1")
    os.utime(tmp_path / "src" / "settings.py", (1000, 1000))
    pulled("files", tmp_path / "src", tmp_path / "two", link_dest=str(tmp_path / "one"))
    assert (tmp_path / "one" / "settings.py").read_bytes() == b"DEBUG = 0" and (tmp_path / "two" / "settings.py").read_bytes() == b"DEBUG = 1"
    assert os.stat(tmp_path / "one" / "other").st_ino == os.stat(tmp_path / "two" / "other").st_ino
    assert stat.S_IMODE(os.stat(tmp_path / "two" / "other").st_mode) == 0o700


@needs_rsync
def test_the_callers_environment_does_not_change_what_rsync_does(tmp_path, monkeypatch):
    monkeypatch.setenv("RSYNC_RSH", "false")
    monkeypatch.setenv("RSYNC_PARTIAL_DIR", "x")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert {key for key in rsync.environment() if key.startswith("RSYNC_")} == set() and rsync.environment()["LC_ALL"] == "C"


@needs_rsync
def test_a_lock_is_held_by_rsync_itself(tmp_path):
    shim = tmp_path / "rsync"
    shim.write_text(f"#!/bin/sh\nls -l /proc/self/fd > {tmp_path}/seen\n")
    shim.chmod(0o755)
    with open(tmp_path / "lock", "w", encoding="ascii") as lock:
        rsync.run([str(shim)], rsync.Pull("files", "/src", "/dest"), "/src", (lock.fileno(),))
    assert str(tmp_path / "lock") in (tmp_path / "seen").read_text()


@needs_rsync
def test_files_that_vanish_are_noted_and_no_failure(tmp_path):
    shim = tmp_path / "rsync"
    text = "\n".join(OUTPUT[VERSIONS[0]]["vanished"]["stderr"])
    shim.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{text}\nEND\nexit 24\n")
    shim.chmod(0o755)
    report = rsync.run([str(shim)], rsync.Pull("files", "/src", "/dest"), "/src")
    assert report.vanished == [f"/srv/van/{number:03}" for number in range(55, 60)]


def test_what_rsync_said_is_whole_though_its_receiver_outlives_it_and_goes_on_talking(tmp_path):
    shim, ended = tmp_path / "rsync", tmp_path / "ended"
    shim.write_text(f"""#!/bin/sh
say() {{ echo 'rsync error: received SIGUSR1 (code 19) at main.c(1622) [Receiver=3.2.7]'; }}
echo 'rsync: [sender] change_dir "/srv/nowhere" failed: No such file or directory (2)' >&2
(say; : > {tmp_path}/talking; n=0; while [ $n -lt 20000 ]; do say; n=$((n+1)); done; mv {tmp_path}/talking {ended}) >&2 &
while [ ! -e {tmp_path}/talking ] && [ ! -e {ended} ]; do :; done
exit 3
""")
    shim.chmod(0o755)
    for dummy in range(20):
        with pytest.raises(SeafileError, match="/srv/nowhere") as caught:
            rsync.run([str(shim)], rsync.Pull("files", "/src", "/dest"), "/src")
        assert caught.value.code == "source-missing"
        while not ended.exists():  # nothing of it is at work when the next round begins, or this test is over
            time.sleep(0.01)
        ended.unlink()


@needs_rsync
def test_rsync_knows_every_flag(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "list").write_bytes(b"")
    for content in rsync.CONTENTS:
        for files_from, only_there in ((None, False), (str(tmp_path / "list"), False), (str(tmp_path / "list"), True)):
            pull = rsync.Pull(
                content, str(tmp_path / "src"), str(tmp_path / "dest"), None, ["/a"], str(tmp_path), files_from, 100, 30, True, only_there, 1 << 30)
            done = subprocess.run(rsync.pull_argv("rsync", pull), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            assert (done.returncode, done.stderr) == (0, b"")
