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

CONTENTS = ("dumps", "files", "objects")
LEAST_VERSION = (3, 1, 0)
"""The oldest rsync that knows every flag used here (C(--info) came with it)."""
_QUOTING_VERSION = (3, 2, 4)  # the first that escapes a path for the other host's shell (its NEWS)
_HEX = "[0-9a-f]"
_STORE = "-".join(_HEX * count for count in (8, 4, 4, 4, 12))
# Only 2hex/38hex below a store is an object; anything else there is a leftover of an interrupted write. Kinds and stores
# stand without a slash at their end: one that is a link must be met and refused, not be left out in silence.
OBJECT_FILTERS = (
    "--include=/commits",
    "--include=/fs",
    "--include=/blocks",
    f"--include=/*/{_STORE}",
    f"--include=/*/*/{_HEX * 2}/",
    f"--include=/*/*/{_HEX * 2}/{_HEX * 38}",
    "--exclude=*",
)
_WHOLE_STORE = re.compile(rf"^(?:commits|fs|blocks)(?:/{_STORE})?$")
# Worth another try: the connection, not the data, failed.
_TRANSIENT = (10, 12, 30, 35, 255)
_LISTED = 5


@dataclasses.dataclass(frozen=True)
class Remote:
    """How to reach the other host by ssh. I(known_hosts) holds its pinned key under the name I(host_key_alias)."""

    host: str
    user: str | None = None
    port: int | None = None
    private_key: str | None = None
    known_hosts: str | None = None
    host_key_alias: str | None = None
    quotes: bool = True
    """Whether this host's rsync escapes paths for the other host's shell by itself, see :func:`reach`."""


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


@dataclasses.dataclass
class Report:
    """What a pull did. Sizes in bytes; I(listed) counts regular files at the source that matched."""

    listed: int = 0
    transferred: int = 0
    bytes_transferred: int = 0
    bytes_listed: int = 0
    created: int = 0
    itemized: int = 0
    vanished: list[str] = dataclasses.field(default_factory=list)
    empty_objects: list[str] = dataclasses.field(default_factory=list)
    not_regular: list[str] = dataclasses.field(default_factory=list)
    changes: list[str] = dataclasses.field(default_factory=list)


def read_version(text: str) -> tuple[int, ...] | None:
    """Return the version in the first line of C(rsync --version), such as C((3, 2, 7)), or None."""
    match = re.search(r"version v?(\d+(?:\.\d+)+)", text)
    return tuple(int(part) for part in match.group(1).split(".")) if match else None


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
    for option in ("private_key", "known_hosts"):
        value = params[option]
        if value and (not os.path.isabs(value) or '"' in value or "\\" in value or not value.isprintable()):
            # OpenSSH 8.4 has no way to write a quotation mark within quotation marks
            raise SeafileError("path-invalid", f"{option} {value}", "ssh cannot take this path", f"give {option} as an absolute path of plain characters")
    return Remote(
        quotes=version is None or version >= _QUOTING_VERSION,
        **{key: params[key] for key in ("host", "user", "port", "private_key", "known_hosts", "host_key_alias")})


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


def _ssh_path(path: str) -> str:
    """Quote I(path) for ssh's options: several files may stand there, separated by spaces, and C(%) begins a token."""
    escaped = path.replace("%", "%%")
    return f'"{escaped}"' if re.search(r"[\s']", path) else escaped


def ssh_command(remote: Remote) -> str:
    """Return the value of rsync's C(-e): ssh that never asks, never learns a host key, and ends when the peer is gone."""
    words = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ServerAliveInterval=15",
             "-o", "ServerAliveCountMax=4", "-o", "ConnectTimeout=20", "-o", "ClearAllForwardings=yes", "-o", "UpdateHostKeys=no"]
    if remote.known_hosts:
        words += ["-o", f"UserKnownHostsFile={_ssh_path(remote.known_hosts)}", "-o", "GlobalKnownHostsFile=/dev/null"]
    if remote.host_key_alias:
        words += ["-o", f"HostKeyAlias={remote.host_key_alias}"]
    if remote.private_key:
        # not -i: that looks for the name as it stands and expands it afterwards
        words += ["-o", "IdentitiesOnly=yes", "-o", f"IdentityFile={_ssh_path(remote.private_key)}"]
    if remote.port:
        words += ["-p", str(remote.port)]
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
    return f"{remote.user + '@' if remote.user else ''}{host}:" + re.sub(special, r"\\\1", source)


def pull_argv(rsync: str, pull: Pull) -> list[str]:
    """Return the command line of I(pull).

    dumps: plain private files. files: links kept, compared by content (an edit within the same second at the same size
    is seen), hard-linked to I(link_dest) where equal. objects: add-only (an existing object is never touched, an empty
    one never stored), no links, devices or foreign names, hard links kept.
    """
    argv = [rsync, "--recursive", "--times", "--no-human-readable", f"--timeout={pull.timeout}", "--stats",
            "--out-format=%i %n", "--no-devices", "--no-specials", "--no-owner", "--no-group"]
    if pull.content == "dumps":
        argv += ["--perms", "--chmod=D0700,F0600", "--no-links", "--checksum", "--omit-dir-times"]
    elif pull.content == "files":
        # rsync refuses to mix - and = forms in one rule; suid, sgid, sticky, group and others all go.
        argv += ["--perms", "--chmod=u+rwX,go-rwx,u-s,g-s,-t", "--links", "--checksum"]
        if pull.link_dest:
            argv += [f"--link-dest={pull.link_dest}"]
    else:
        argv += ["--perms", "--chmod=D0700,F0400", "--no-links", "--hard-links", "--ignore-existing", "--min-size=1",
                 "--omit-dir-times", "--info=skip1"]
    argv += [f"--exclude={pattern}" for pattern in pull.excludes]
    if pull.files_from:
        argv += ["--from0", f"--files-from={pull.files_from}"]
    elif pull.content == "objects":
        argv += OBJECT_FILTERS
    if pull.bandwidth_limit:
        argv += [f"--bwlimit={pull.bandwidth_limit}"]
    if pull.dry_run:
        argv += ["--dry-run"]
    if pull.remote:
        argv += ["-e", ssh_command(pull.remote)]
    source = _address(pull.src, pull.remote)
    return argv + ["--", source.rstrip("/") + "/", pull.dest.rstrip("/") + "/"]


def probe_argv(rsync: str, src: str, remote: Remote | None, timeout: int = 30) -> list[str]:
    """Return a command that lists the directory entry I(src) and transfers nothing."""
    argv = [rsync, "--list-only", "--dirs", "--no-human-readable", f"--timeout={timeout}"]
    if remote:
        argv += ["-e", ssh_command(remote)]
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
_ITEM = re.compile(r"^([<>ch.*][fdLDS][^ ]{9}|\*\S+\s*) (.*)$")


def read_line(report: Report, line: str) -> None:
    """Take one line of rsync's standard output into I(report)."""
    if line.endswith(" exists"):  # one per object that is already here; first, because there are millions
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
        if match.group(1)[0] != ".":
            report.itemized += 1
        if len(report.changes) < 100:
            report.changes.append(line)
        return
    for field, pattern in _STATISTICS.items():
        match = pattern.match(line)
        if match:
            setattr(report, field, int(match.group(1).replace(",", "")))


_VANISHED = re.compile(r'^file has vanished: "(.*)"')
_DENIED = re.compile(r'"([^"]+)"[^"]*: Permission denied \(13\)')
_MISSING = re.compile(r'(?:link_stat|change_dir[^"]*) "([^"]+)"[^"]*failed: No such file or directory')


def explain(status: int, stderr: str, pull: Pull | None, source: str) -> SeafileError:
    """Return the error that rsync's exit I(status) and I(stderr) mean.

    I(source) names the origin in the message. Wording of rsync 3.2.3 to 3.5.0 and OpenSSH 8.4 to 10.
    """
    lines = [line for line in stderr.splitlines() if line.strip()]
    said = " | ".join(lines)[:500] or f"rsync ended with status {status} and no message"
    dest = pull.dest if pull else source
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in stderr:
        return SeafileError("host-key-changed", source, "the ssh host key is not the one that was pinned")
    if "Host key verification failed" in stderr or "host key is known for" in stderr:
        return SeafileError("host-key-unknown", source, "no ssh host key is pinned for this host")
    if re.search(r"Permission denied \((publickey|password|keyboard)", stderr) or "Too many authentication failures" in stderr:
        return SeafileError("pull-access-denied", source, "the pull account refused the key")
    if re.search(r"rrsync|unsafe arg|SSH_ORIGINAL_COMMAND", stderr):
        return SeafileError("pull-access-refused", source, f"the restricted account refused the request ({said})")
    if re.search(r"rsync: (command )?not found|rsync: No such file", stderr) or status == 127:
        return SeafileError("missing-tool", source, "rsync is not installed there", "install the package rsync on that host")
    if "No space left on device" in stderr or "Disk quota exceeded" in stderr:
        return SeafileError("no-space", dest, "the disk is full")
    if "Read-only file system" in stderr:
        return SeafileError("read-only", dest, "the file system is read-only")
    denied = _DENIED.findall(stderr)
    if denied:
        shown = ", ".join(denied[:_LISTED])
        return SeafileError("source-unreadable", source, f"{len(denied)} files or directories may not be read: {shown}", unreadable=denied[:100])
    missing = _MISSING.findall(stderr)
    if missing:
        return SeafileError("source-missing", source, f"not there: {', '.join(missing[:_LISTED])}", missing=missing[:100])
    if status < 0 or status == 20:
        return SeafileError("rsync-killed", source, f"rsync was killed ({said})" if status == 20 else f"rsync was killed by signal {-status}")
    if status in _TRANSIENT:
        return SeafileError("connection-lost", source, said)
    return SeafileError("rsync-failed", source, f"exit status {status}: {said}")


def may_retry(error: SeafileError) -> bool:
    """Say whether the same command may succeed a little later."""
    return error.code == "connection-lost"


def run(argv: t.Sequence[str], pull: Pull, source: str) -> Report:
    """Run rsync once, reading its output as it comes.

    :raises SeafileError: whatever its exit status means, except 24 (files vanished while it ran: noted in the report).
    """
    report = Report()
    environment = dict(os.environ, LC_ALL="C")
    environment.pop("RSYNC_RSH", None)
    # C.UTF-8 would change no message, but C keeps every byte of a name as it is (escaped by rsync itself).
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment)
        try:
            reader = threading.Thread(target=_read_all, args=(process.stdout, report))
            reader.start()
            reader.join()
            status = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        errors.seek(0)
        stderr = errors.read(1 << 20).decode("utf-8", "surrogateescape")
    report.vanished = [match.group(1) for match in map(_VANISHED.match, stderr.splitlines()) if match]
    if status not in (0, 24):
        raise explain(status, stderr, pull, source)
    return report


def _read_all(stream: t.IO[bytes], report: Report) -> None:
    for line in stream:
        read_line(report, line.decode("utf-8", "surrogateescape").rstrip("\n"))
