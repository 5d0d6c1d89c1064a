# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is said to rsync and heard from it: flags, exit codes, statistics.

No flag here deletes, and none rewrites a file in place; there is no option by which a caller could ask for one.
Exit codes and messages as seen with rsync 3.2.3 to 3.5.0.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import tempfile
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.program_output import read_back

CONTENTS = ("dumps", "files", "objects")
LEAST_VERSION = (3, 1, 0)
"""The oldest rsync that knows every flag used here, on either side: C(--info) and C(--ignore-missing-args) came with it (its NEWS)."""
_QUOTING_VERSION = (3, 2, 4)  # the first that escapes a path for the other host's shell (its NEWS)
_HEX = "[0-9a-f]"
_STORE = "-".join(_HEX * count for count in (8, 4, 4, 4, 12))


def object_filters(prefixes: str = "") -> tuple[str, ...]:
    """The rules that leave only objects, or only those whose id begins with one of the digits I(prefixes)."""
    # Only 2hex/38hex below a store is an object; anything else there is a leftover of an interrupted write. Kinds and stores
    # stand without a slash at their end: one that is a link must be met and refused, not be left out in silence.
    first = f"[{prefixes}]" if prefixes else _HEX
    return (
        "--include=/commits",
        "--include=/fs",
        "--include=/blocks",
        f"--include=/*/{_STORE}",
        f"--include=/*/*/{first}{_HEX}/",
        f"--include=/*/*/{_HEX * 2}/{_HEX * 38}",
        "--exclude=*",
    )


OBJECT_FILTERS = object_filters()
_WHOLE_STORE = re.compile(rf"^(?:commits|fs|blocks)(?:/{_STORE})?$")
# Worth another try: the connection, not the data, failed.
_TRANSIENT = (10, 12, 30, 35, 255)
_LISTED = 5
_MOST_FOREIGN = 10_000


@dataclasses.dataclass(frozen=True)
class Remote:
    """How to reach the other host by ssh. I(known_hosts) holds its pinned key under the name I(host_key_alias)."""

    host: str
    user: str | None = None
    port: int | None = None
    private_key: str | None = None
    known_hosts: str | None = None
    host_key_alias: str | None = None
    rsync_module: str | None = None
    """The module of the rsync daemon that the account's forced command starts; None where the command is an ordinary rsync or rrsync."""
    quotes: bool = True
    """Whether this host's rsync escapes paths for the other host's shell by itself, see :func:`reach`."""


REMOTE_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "host": {"type": "str"},
    "user": {"type": "str"},
    "port": {"type": "int"},
    "private_key": {"type": "path", "no_log": False},
    "known_hosts": {"type": "path"},
    "host_key_alias": {"type": "str", "no_log": False},
    "rsync_module": {"type": "str"},
}
"""The options of every module that reaches another host; :func:`reach` reads them."""


@dataclasses.dataclass
class Pull:
    """One rsync run. I(src) and I(dest) are directories, their contents are pulled."""

    content: str
    src: str
    dest: str
    remote: Remote | None = None
    excludes: t.Sequence[str] = ()
    link_dest: str | None = None
    files_from: str | None = None
    bandwidth_limit: int = 0
    timeout: int = 300
    dry_run: bool = False
    only_there: bool = False
    """Of I(files_from) only what the source has: no entry's absence is a failure, and no directory is gone through."""
    most_bytes: int = 0
    """Files above this size are not fetched; 0 for no limit."""
    changes: bool = False
    """I(files_from) may name directories, which are gone through; what the source has not is no failure, what is no object stays out."""
    prefixes: str = ""
    """Of all objects those whose id begins with one of these hexadecimal digits; empty for all."""
    compress: bool = False
    overwritten_dir: str | None = None
    """Where a file of I(dest) goes that the other end overwrites unasked, as only a hostile one does; see :mod:`hostile_sender`."""
    partial_dir: str | None = None
    """Where a file is kept that a lost connection cut, so that the next try goes on within it."""
    temp_dir: str | None = None
    """Where files are written until they are whole, in place of their own directories. This and I(partial_dir) lie on the file system of
    I(dest): from another one rsync would copy, and not at once."""
    lead: t.Sequence[str] = ()
    """Words before rsync's own, such as C(nice -n 10)."""
    control_path: str | None = None
    """The socket of an ssh connection that is open already; see :mod:`ssh_connection`."""


@dataclasses.dataclass
class Report:
    """What a pull did. Sizes in bytes; I(listed) counts regular files at the source that matched."""

    listed: int = 0
    transferred: int = 0
    bytes_transferred: int = 0
    bytes_listed: int = 0
    created: int = 0
    itemized: int = 0
    existing: int = 0
    """Objects that were here already, as far as they were told until now."""
    arrived: int = 0
    """Regular files that came, as far as they were told until now."""
    vanished: list[str] = dataclasses.field(default_factory=list)
    empty_objects: list[str] = dataclasses.field(default_factory=list)
    not_regular: list[str] = dataclasses.field(default_factory=list)
    foreign: list[str] = dataclasses.field(default_factory=list)
    """Among objects, what came under a name that no object has."""
    changes: list[str] = dataclasses.field(default_factory=list)


def read_version(text: str) -> tuple[int, ...] | None:
    """Return the version in the first line of C(rsync --version), such as C((3, 2, 7)), or None."""
    match = re.search(r"version v?(\d+(?:\.\d+)+)", text)
    return tuple(int(part) for part in match.group(1).split(".")) if match else None


def require_version(version: tuple[int, ...] | None, host: str = "this host") -> None:
    """Raise C(rsync-too-old) when this host's rsync is; one that does not tell its version may try.

    :arg version: as :func:`read_version` returned it.
    :arg host: whose rsync it is, in words.
    """
    if version is not None and version < LEAST_VERSION:
        wanted, found = (".".join(map(str, numbers)) for numbers in (LEAST_VERSION, version))
        raise SeafileError("rsync-too-old", "rsync", f"its version {found} on {host} is too old", f"install rsync {wanted} or newer on {host}")


def reach(params: t.Mapping[str, t.Any], version: tuple[int, ...] | None) -> Remote | None:
    """Return how to reach the host of a module's I(params), None without one.

    :arg version: of this host's rsync.
    :raises SeafileError: C(address-invalid) for a host or an account that ssh would take for an option or a second word,
        C(path-invalid) for a key or a file of host keys that cannot be named to ssh.
    """
    if not params["host"]:
        return None
    for option in ("host", "user", "host_key_alias"):
        value = params[option]
        if value and (value.startswith("-") or not re.fullmatch(r"[^\s@'\"/\\]+", value) or not value.isprintable()):
            raise SeafileError("address-invalid", f"{option} {value}", "it is not the name of a host or of an account")
    alias = params["host_key_alias"]
    if alias and re.search(r"[,#|*?!\[\]]", alias):  # these mean something else in a file of host keys
        raise SeafileError("address-invalid", f"host_key_alias {alias}", "ssh cannot look up a host key under this name",
                           "rename the host in the inventory; letters, digits, dot, dash and underscore do")
    rsync_module = params.get("rsync_module")
    if rsync_module and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", rsync_module):
        raise SeafileError("address-invalid", f"rsync_module {rsync_module}", "it is not the name of a module")
    for option in ("private_key", "known_hosts"):
        value = params[option]
        if value and (not os.path.isabs(value) or '"' in value or "\\" in value or not value.isprintable()):
            # OpenSSH 8.4 has no way to write a quotation mark within quotation marks
            raise SeafileError("path-invalid", f"{option} {value}", "ssh cannot take this path", f"give {option} as an absolute path of plain characters")
    return Remote(
        quotes=version is None or version >= _QUOTING_VERSION,
        **{key: params.get(key) for key in REMOTE_ARGUMENTS})


def source_name(host: str | None, src: str) -> str:
    """Name the place I(src) of the host to pull from, for messages."""
    return f"{host}:{src}" if host else src


def require_place(path: str, option: str) -> str:
    """Return I(path) when rsync cannot take it for anything but a path of one host.

    A relative C(a:b) would mean the host C(a): as a source without ssh options, as a destination a push to it.

    :raises SeafileError: C(path-invalid).
    """
    if not os.path.isabs(path) or any(character in path for character in "\n\r\0"):
        raise SeafileError("path-invalid", f"{option} {path}", "it must be an absolute path without line breaks", f"give {option} as an absolute path")
    return path


def _quoted(word: str) -> str:
    """Quote I(word) for rsync's own splitting of C(-e): single quotes, doubled inside."""
    return "'" + word.replace("'", "''") + "'"


def ssh_path(path: str) -> str:
    """Quote I(path) for ssh's options: several files may stand there, separated by spaces, and C(%) begins a token."""
    escaped = path.replace("%", "%%")
    return f'"{escaped}"' if re.search(r"[\s']", path) else escaped


def ssh_words(remote: Remote) -> list[str]:
    """Return the words of an ssh that never asks, never learns a host key, and ends when the peer is gone; without the host."""
    words = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ServerAliveInterval=15",
             "-o", "ServerAliveCountMax=4", "-o", "ConnectTimeout=20", "-o", "ClearAllForwardings=yes", "-o", "UpdateHostKeys=no"]
    if remote.known_hosts:
        words += ["-o", f"UserKnownHostsFile={ssh_path(remote.known_hosts)}", "-o", "GlobalKnownHostsFile=/dev/null"]
    if remote.host_key_alias:
        words += ["-o", f"HostKeyAlias={remote.host_key_alias}"]
    if remote.private_key:
        # not -i: that looks for the name as it stands and expands it afterwards
        words += ["-o", "IdentitiesOnly=yes", "-o", f"IdentityFile={ssh_path(remote.private_key)}"]
    if remote.port:
        words += ["-p", str(remote.port)]
    return words


def ssh_command(remote: Remote, control_path: str | None = None) -> str:
    """Return the value of rsync's C(-e): :func:`ssh_words`, over the open connection I(control_path) where there is one."""
    words = ssh_words(remote)
    if control_path:
        words += ["-o", "ControlMaster=no", "-o", f"ControlPath={ssh_path(control_path)}"]
    return " ".join(_quoted(word) if re.search(r"[\s'\"]", word) else word for word in words)


def _address(src: str, remote: Remote | None) -> str:
    """Return the source as rsync's argument, with all in it escaped that the other host's shell or rsync would expand.

    C(/.) becomes C(/): rrsync refuses the dot.
    """
    source = os.path.normpath(src)
    if remote is None:
        return source
    # A newer rsync escapes all but wildcards, and leaves those alone that are escaped already.
    special = r"([*?\[\]])" if remote.quotes else r"([^A-Za-z0-9_./,:=+%@^\x80-\U0010ffff-])"
    host = f"[{remote.host}]" if ":" in remote.host else remote.host
    account = f"{remote.user}@{host}" if remote.user else host
    if remote.rsync_module:  # no shell is in between, and the daemon expands wildcards alone
        return f"{account}::{remote.rsync_module}" + re.sub(r"([*?\[\]])", r"\\\1", source)
    return f"{account}:" + re.sub(special, r"\\\1", source)


def pull_argv(rsync: str, pull: Pull) -> list[str]:
    """Return the command line of I(pull).

    dumps: plain private files. files: links kept, compared by content (an edit within the same second at the same size
    is seen), hard-linked to I(link_dest) where equal. objects: add-only (an existing object is never touched, an empty
    one never stored), no links, devices or foreign names, hard links kept.
    """
    argv = [*pull.lead, rsync, "--dirs" if pull.only_there else "--recursive", "--times", "--no-human-readable", f"--timeout={pull.timeout}", "--stats",
            "--out-format=%i %n", "--no-devices", "--no-specials", "--no-owner", "--no-group"]
    if pull.content == "dumps":
        argv += ["--perms", "--chmod=D0700,F0600", "--no-links", "--checksum", "--omit-dir-times"]
    elif pull.content == "files":
        # rsync refuses to mix - and = forms in one rule; suid, sgid, sticky, group and others all go.
        # whole files: for a difference the other end would be told the checksums of what is here
        argv += ["--perms", "--chmod=u+rwX,go-rwx,u-s,g-s,-t", "--links", "--checksum", "--whole-file"]
        if pull.link_dest:
            argv += [f"--link-dest={pull.link_dest}"]
    else:
        argv += ["--perms", "--chmod=D0700,F0400", "--no-links", "--hard-links", "--ignore-existing", "--min-size=1",
                 "--omit-dir-times", "--info=skip1"]
    argv += [f"--exclude={pattern}" for pattern in pull.excludes]
    if pull.files_from:
        argv += ["--from0", f"--files-from={pull.files_from}"]
        if pull.only_there or pull.changes:
            argv += ["--ignore-missing-args"]
    if pull.content == "objects" and (pull.changes or not pull.files_from):
        argv += object_filters(pull.prefixes)
    if pull.most_bytes:
        argv += [f"--max-size={pull.most_bytes}"]
    if pull.overwritten_dir:
        argv += ["--backup", f"--backup-dir={pull.overwritten_dir}"]
    if pull.partial_dir:
        argv += [f"--partial-dir={pull.partial_dir}"]
    if pull.temp_dir:
        argv += [f"--temp-dir={pull.temp_dir}"]
    if pull.compress:
        argv += ["--compress"]
    if pull.bandwidth_limit:
        argv += [f"--bwlimit={pull.bandwidth_limit}"]
    if pull.dry_run:
        argv += ["--dry-run"]
    if pull.remote:
        argv += ["-e", ssh_command(pull.remote, pull.control_path)]
    source = _address(pull.src, pull.remote)
    return argv + ["--", source.rstrip("/") + "/", pull.dest.rstrip("/") + "/"]


def probe_argv(rsync: str, src: str, remote: Remote | None, timeout: int = 30, control_path: str | None = None) -> list[str]:
    """Return a command that lists the directory entry I(src) and transfers nothing."""
    argv = [rsync, "--list-only", "--dirs", "--no-human-readable", f"--timeout={timeout}"]
    if remote:
        argv += ["-e", ssh_command(remote, control_path)]
    return argv + ["--", _address(src, remote)]


_STATISTICS = {
    "listed": re.compile(r"^Number of files: [\d,]+ \(reg: ([\d,]+)"),
    "created": re.compile(r"^Number of created files: ([\d,]+)"),
    "transferred": re.compile(r"^Number of regular files transferred: ([\d,]+)"),
    "bytes_listed": re.compile(r"^Total file size: ([\d,]+)"),
    "bytes_transferred": re.compile(r"^Total transferred file size: ([\d,]+)"),
}
_EMPTY = " is under min-size"
_NOT_REGULAR = re.compile(r'^skipping non-regular file "(.*)"$')
# C(%i): a thing done, a kind, nine attributes; all blank when nothing about it changes.
_ITEM = re.compile(r"^([<>ch.][fdLDS]|\*)[^ ]+ +(.*)$")
_OBJECT_PATH = re.compile(rf"(?:\./|(?:commits|fs|blocks)/(?:{_STORE}/(?:[0-9a-f]{{2}}/(?:[0-9a-f]{{38}})?)?)?)")


def read_line(report: Report, line: str, content: str) -> None:
    """Take one line of rsync's standard output into I(report)."""
    if content == "objects":
        if line.endswith(" exists"):  # one per object that is already here; first, because there are millions
            report.existing += 1
            return
        if line.endswith(_EMPTY):
            report.empty_objects.append(line[: -len(_EMPTY)])
            return
    match = _NOT_REGULAR.match(line)
    if match:
        report.not_regular.append(match.group(1))
        return
    match = _ITEM.match(line)
    if match:
        report.itemized += 1
        report.arrived += match.group(1) == ">f"
        if content == "objects" and not _OBJECT_PATH.fullmatch(match.group(2).split(" => ")[0]):
            if len(report.foreign) < _MOST_FOREIGN:
                report.foreign.append(match.group(2))
        if len(report.changes) < 100:
            report.changes.append(line)
        return
    for field, pattern in _STATISTICS.items():
        match = pattern.match(line)
        if match:
            setattr(report, field, int(match.group(1).replace(",", "")))


def linked_stores(report: Report) -> list[str]:
    """Return which kinds or stores at the source of a pull of objects are no directories: nothing below them came."""
    return [name for name in report.not_regular if _WHOLE_STORE.match(name)]


_VANISHED = re.compile(r'^file has vanished: "(.*)"')
# Who says it decides whose file it is: the sender is the other end of a pull, receiver and generator are this one.
_DENIED = re.compile(r'^rsync: \[([Ss]ender|[Rr]eceiver|[Gg]enerator)\].* "(.+)"[^"]*: (?:Permission denied \(13\)|Operation not permitted \(1\))$')
_MISSING = re.compile(r'^rsync: \[[Ss]ender\] (?:link_stat|change_dir[^"]*) "(.+)"(?: \(in [^()]+\))? failed: No such file or directory')
_RRSYNC = re.compile(r"^\S*rrsync(?: error)?:? ")
# what the daemon behind a forced command says instead
_DAEMON = re.compile(r"^(?:@ERROR: |ERROR: module is |ERROR: (?:the|this) module|rsync: The server is configured to refuse )")
_HOSTILE = re.compile(r"^(?:ABORTING due to (?:unsafe|invalid) path|ERROR: rejecting (?:excluded|unrequested) file-list name)")
# rrsync of 3.5.0 looks before rsync does, and names every failure a race
_RRSYNC_PATH = re.compile(
    r"^\S*rrsync error: (?:post-realpath open failed|unable to pin sender path)[^:]*: (.+) (No such file or directory|Permission denied)$")
_NO_PROGRAM = re.compile(r"(?:^|[\s:/])(rr?sync): (?:command )?not found")


def _first(names: t.Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def _of_paths(lines: t.Sequence[str], source: str, dest: str) -> SeafileError | None:
    """Return the error that messages about single files mean: first what this host may not write, then what it may not read."""
    denied: dict[bool, list[str]] = {True: [], False: []}
    missing = []
    for line in lines:
        for pattern in (_DENIED, _MISSING, _RRSYNC_PATH):
            match = pattern.match(line)
            if match:
                break
        else:
            continue
        if pattern is _DENIED:
            denied[match.group(1).lower() == "sender"].append(match.group(2))
        elif pattern is _MISSING or match.group(2).startswith("No such"):
            missing.append(match.group(1))
        else:
            denied[True].append(match.group(1))
    if denied[False]:
        return SeafileError("no-rights", dest, f"this account may not write there: {_first(denied[False])}",
                            "give the directory to the account that runs this, or run as another")
    if denied[True]:
        return SeafileError("source-unreadable", source, f"{len(denied[True])} files or directories may not be read: {_first(denied[True])}",
                            unreadable=denied[True][:100])
    if missing:
        return SeafileError("source-missing", source, f"not there: {_first(missing)}", missing=missing[:100])
    return None


def explain(status: int, stderr: str, pull: Pull | None, source: str) -> SeafileError:
    """Return the error that rsync's exit I(status) and I(stderr) mean.

    I(source) names the origin in the message. Wording of rsync 3.2.3 to 3.5.0 and OpenSSH 8.4 to 10. The words come
    before the status: when ssh fails, rsync ends with 12 as often as with 255.
    """
    lines = [line for line in stderr.splitlines() if line.strip()]
    stderr = "\n".join(lines)  # ssh ends its lines with a carriage return as well
    said = " | ".join(lines)[:500] or f"rsync ended with status {status} and no message"
    dest = pull.dest if pull else source
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in stderr:
        return SeafileError("host-key-changed", source, "the ssh host key is not the one that was pinned")
    if "Host key verification failed" in stderr or "host key is known for" in stderr:
        return SeafileError("host-key-unknown", source, "no ssh host key is pinned for this host")
    if re.search(r"Permission denied \([a-z][a-z,-]*\)\.?$", stderr, re.MULTILINE) or "Too many authentication failures" in stderr:
        return SeafileError("pull-access-denied", source, "the pull account refused the key")
    program = _NO_PROGRAM.search(stderr)
    if program or status == 127:
        name = program.group(1) if program else "rsync"
        return SeafileError("missing-tool", source, f"{name} is not installed there", "install the package rsync on that host")
    if "No space left on device" in stderr or "Disk quota exceeded" in stderr:
        return SeafileError("no-space", dest, "the disk is full")
    if "Read-only file system" in stderr:
        return SeafileError("read-only", dest, "the file system is read-only")
    hostile = [line for line in lines if _HOSTILE.match(line)]
    if hostile:
        return SeafileError("server-hostile", source, f"it sent what nobody had asked for, and rsync refused it ({hostile[0][:300]})")
    problem = _of_paths(lines, source, dest)
    if problem:
        return problem
    refused = [line for line in lines if _RRSYNC.match(line) or _DAEMON.match(line)]
    if refused:
        return SeafileError("pull-access-refused", source, f"the restricted account refused the request ({refused[0][:300]})")
    if status < 0 or status == 20:
        return SeafileError("rsync-killed", source, f"rsync was killed ({said})" if status == 20 else f"rsync was killed by signal {-status}")
    # The status of a dead session is that of the program over there, 137 for instance.
    if status in _TRANSIENT or "connection unexpectedly closed" in stderr:
        return SeafileError("connection-lost", source, said)
    return SeafileError("rsync-failed", source, f"exit status {status}: {said}")


def may_retry(error: SeafileError) -> bool:
    """Say whether the same command may succeed a little later."""
    return error.code == "connection-lost"


def environment() -> dict[str, str]:
    """Return the environment for rsync: its messages in English, and nothing of the caller's that would change what it does.

    The locale C keeps every byte of a name as it is: rsync itself writes what is not ASCII as an escape.
    """
    values = {key: value for key, value in os.environ.items() if not key.startswith("RSYNC_")}
    values["LC_ALL"] = "C"
    return values


def run(argv: t.Sequence[str], pull: Pull, source: str, held: t.Sequence[int] = (), watch: t.Callable[[Report, t.Any], None] | None = None) -> Report:
    """Run rsync once, reading its output as it comes.

    :arg watch: called with the report, as far as it is known, and the process, at its beginning and for each line.

    :arg held: file descriptors of locks that rsync holds as well, so that none is free while it still writes, whatever
        becomes of this process.
    :raises SeafileError: whatever its exit status means, except 24 (files vanished while it ran: noted in the report).
    """
    report = Report()
    with tempfile.TemporaryFile() as errors:
        # run_command would keep a line for each of millions of objects in memory
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment(), pass_fds=held)
        try:
            if watch:
                watch(report, process)
            for line in t.cast(t.IO[bytes], process.stdout):
                read_line(report, line.decode("utf-8", "surrogateescape").rstrip("\n"), pull.content)
                if watch:
                    watch(report, process)
            status = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        stderr = read_back(errors).read(1 << 20).decode("utf-8", "surrogateescape")
    if report.foreign:
        names = [f"and {len(report.foreign) - _LISTED} more"] if len(report.foreign) > _LISTED else []
        raise SeafileError("server-hostile", source, f"it sent what is no object: {', '.join(report.foreign[:_LISTED] + names)}", names=report.foreign)
    report.vanished = [match.group(1) for match in map(_VANISHED.match, stderr.splitlines()) if match]
    if status not in (0, 24):
        raise explain(status, stderr, pull, source)
    return report
