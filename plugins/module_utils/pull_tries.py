# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup host's key really opens: tried, and not read from a configuration.

Each try asks for something that a backup never needs, in a form that does no harm where it is granted: nothing is written, removed or sent.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import re
import subprocess
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import rsync
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, printable

_SECONDS = 60
_AT_ONCE = 4  # sshd begins to refuse connections at ten that have not logged in yet
_UP = "/.." * 16
_WORD = "seafleet-42"
# The connection itself failed: then nobody knows what would have been allowed.
_NO_ANSWER = re.compile(
    r"^(?:ssh: connect to host|ssh: Could not resolve|Connection timed out|Connection (?:closed|reset) by|kex_exchange_identification)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Answer:
    """How a try ended. I(stdout) and I(stderr) without what is not text."""

    status: int
    stdout: str
    stderr: str


@dataclasses.dataclass(frozen=True)
class Try:
    """One try.

    :arg name: stable, for automation. I(deed): what it would allow, in words.
    :arg argv: the command. I(allowed): whether the answer means that it is.
    """

    name: str
    deed: str
    argv: t.Sequence[str]
    allowed: t.Callable[[Answer], bool]


def _done(answer: Answer) -> bool:
    return answer.status == 0


def _listed(answer: Answer) -> bool:
    return answer.status == 0 and re.search(r"^-.* passwd$", answer.stdout, re.MULTILINE) is not None


def _forwarded(answer: Answer) -> bool:
    # that nothing listens there is said by the server only after it has agreed to try
    return answer.stdout.startswith("SSH-") or "connect failed" in answer.stderr


def tries(binary: str, src: str, remote: rsync.Remote) -> list[Try]:
    """Return every try against the account, whose readable directory is I(src).

    :arg binary: this host's rsync.
    """
    account = f"{remote.user}@{remote.host}" if remote.user else remote.host
    host = f"[{remote.host}]" if ":" in remote.host else remote.host
    place = f"{remote.user + '@' if remote.user else ''}{host}:" + (f":{remote.rsync_module}" if remote.rsync_module else "")
    shell = ["-e", rsync.ssh_command(remote)]
    top = "/" if src == "/" else src.rstrip("/") + "/"

    def look(path: str, *options: str) -> list[str]:
        return [binary, "--list-only", "--dry-run", "--dirs", "--timeout=30", *options, *shell, "--", place + path]

    ssh = [*rsync.ssh_words(remote), "-T"]
    return [
        Try("write", "write into the server's directory", [binary, "--dry-run", "--timeout=30", *shell, "--", "/etc/hostname", place + top], _done),
        Try("shell", "run any command", [*ssh, "--", account, "echo seafleet-$((40+2))"], lambda answer: _WORD in answer.stdout),
        Try("above", "read above the directory", look(f"{src.rstrip('/')}{_UP}/etc/passwd"), _listed),
        Try("outside", "read elsewhere on the server", look("/etc/passwd"), _listed),
        Try("follow_links", "follow links out of the directory", look(top, "--copy-links"), _done),
        Try("log_file", "make rsync write a log file on the server", look(top, "--remote-option=--log-file=/dev/null"), _done),
        Try("remove", "make rsync remove what was read", look(top, "--remote-option=--remove-source-files"), _done),
        Try("forward", "reach other ports through the server", [*ssh, "-W", f"127.0.0.1:{remote.port or 22}", "--", account], _forwarded),
    ]


def _answer(argv: t.Sequence[str]) -> Answer:
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=rsync.environment(), timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Answer(-1, "", f"no end within {_SECONDS} seconds")
    return Answer(done.returncode, *(part[:100_000].decode("utf-8", "replace") for part in (done.stdout, done.stderr)))


def judge(one: Try, answer: Answer) -> bool | None:
    """Say whether I(one) is allowed; None when the answer does not tell."""
    if one.allowed(answer):
        return True
    return None if answer.status == -1 or _NO_ANSWER.search(answer.stderr) else False


def ask(wanted: t.Sequence[Try]) -> dict[str, dict[str, t.Any]]:
    """Do all tries; return for each name whether it is allowed (None: not told) and what was said, in one line."""
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(lambda one: _answer(one.argv), wanted))
    found = {}
    for one, answer in zip(wanted, answers):
        said = [line.strip() for line in answer.stderr.splitlines() if line.strip() and "ld.so" not in line]
        found[one.name] = {"allowed": judge(one, answer), "deed": one.deed, "said": printable(said[0][:200]) if said else ""}
    return found


def problems(found: t.Mapping[str, t.Mapping[str, t.Any]], source: str) -> list[SeafileError]:
    """Return what I(found) means: C(pull-access-too-wide) for all that is allowed, C(pull-access-untold) for what did not answer."""
    allowed = [one["deed"] for one in found.values() if one["allowed"]]
    untold = [f"{one['deed']} ({one['said']})" for one in found.values() if one["allowed"] is None]
    result = []
    if allowed:
        result.append(SeafileError("pull-access-too-wide", source, f"the backup host's key may {', '.join(allowed)}", allowed=allowed))
    if untold:
        result.append(SeafileError("pull-access-untold", source, f"it could not be found out whether the key may {', '.join(untold)}"))
    return result
