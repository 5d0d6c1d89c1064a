# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the words of Seafile's own seaf-fsck mean, and how it is run without ever repairing.

Its exit status says nothing (measured: 0 whatever it finds), so its words decide. They are those of seafile-server
(C(server/gc/fsck.c), C(server/gc/repo-mgr.c), C(common/commit-mgr.c), tags 7.0 to 13.0). It looks at the current head of each
library only.
"""

from __future__ import annotations

import dataclasses
import os
import pwd
import re
import signal
import subprocess
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.deployment import require_plain_path
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, printable
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import LIBRARY_ID
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import LATEST_LINK, Configuration

MOST_FINDINGS = 1000
MOST_MESSAGES = 50
# A path has at most some thousand bytes; a longer line is read in pieces, so that no output fills the memory.
_LINE_BYTES = 64 * 1024

# "[2026-11-23 03:34:19] [INFO] fsck.c(122): ...": time, level and place are there or not, as the version has it.
_PREFIX = re.compile(r"^(?:\[[^\]]*\] ?)*(?:[\w./-]+\.c(?:\(\d+\)|:\d+) ?: )?")
_HEX8, _HEX40, _UUID = r"(?P<library>[0-9a-f]{8})", r"(?P<id>[0-9a-f]{40})", r"(?P<full>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_SHORT = r"\((?P<id>[0-9a-f]{8})\)"

_BEGIN = re.compile(rf"Running fsck for repo {_UUID}\.")
_END = re.compile(rf"Fsck finished for repo {_HEX8}")
_OBJECT = re.compile(rf"(?P<what>File|Dir|Commit) {_HEX40} is (?P<damage>missing|damaged)")
_BLOCK = re.compile(rf"Repo\[{_HEX8}\] block (?:(?P<store>[0-9a-f-]{{36}}):)?{_HEX40} is (?P<damage>missing|damaged)")
# Paths may hold anything, also line breaks (then the beginning is lost) and words like these.
_PATH = re.compile(rf"Repo\[{_HEX8}\] (?P<what>file|dir) (?P<path>.*){_SHORT} is damaged", re.DOTALL)
_PATH_FAILED = re.compile(rf"Failed to check blocks for repo\[{_HEX8}\] file (?P<path>.*){_SHORT}\.", re.DOTALL)
_HEAD = re.compile(rf"Repo {_HEX8} HEAD commit is damaged")
_NO_COMMIT = re.compile(rf"No available commits (?:found )?for repo {_HEX8}, can't be repaired")
_LOAD = re.compile(r"Failed to (?:load|get head) commit (?P<id>[0-9a-f]{40}) of repo (?P<full>[0-9a-f-]{36})")
_SEAFILE = re.compile(rf"Failed to get seafile: (?P<full>[0-9a-f-]{{36}})/{_HEX40}")
_UNKNOWN = re.compile(rf"Repo {_HEX8} doesn't exist|Invalid repo id (?P<full>\S+)\.")
_WRONG_USER = re.compile(r"Current user \((\d+)\) is not the user for running seafile server \((\d+)\)")
_SEARCH = re.compile(r"Scanning available commits")
_SEARCH_ENDS = re.compile(r"Find available commit |No available commits ")
# What is none of the above and still no good news.
_BAD_WORDS = re.compile(r"is missing|is damaged|can't be repaired|Failed|failed|Out of memory|Segmentation fault|Aborted|Killed|core dumped")
_NOT_STARTED = re.compile(r"Error: |Failed to |error while loading shared libraries|No such file|not found|Permission denied|does not exist|doesn't exi")


@dataclasses.dataclass
class Finding:
    """One damage as seaf-fsck has it.

    :arg library: the first eight digits of the library's id, as it prints them; empty when its words name none.
    :arg library_id: the whole id, where it is known and only one begins so.
    :arg kind: C(blocks), C(fs), C(commits), C(head), or C(library) when its words are about none of them.
    :arg damage: C(missing), C(damaged), C(unrepairable), C(unknown-library), C(unfinished) or C(failed).
    :arg id: of the object; only its first eight digits where no more was printed.
    :arg path: of the file or directory in the library.
    :arg words: what it said.
    """

    library: str
    library_id: t.Optional[str]
    kind: str
    damage: str
    id: t.Optional[str]
    path: t.Optional[str]
    words: t.List[str]

    @property
    def key(self) -> tuple[t.Any, ...]:
        """What makes two lines the same finding."""
        return self.library, self.kind, self.damage, self.id, self.path


class Reader:
    """Takes the lines one by one; what it keeps is bounded."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.findings_total = 0
        self.messages: list[str] = []
        self.checked: list[str] = []
        self.wrong_user: t.Optional[tuple[int, int]] = None
        self.not_started: list[str] = []
        self._damaged: set[str] = set()
        self._current = ""
        self._searching = False
        self._seen: set[tuple[t.Any, ...]] = set()
        # What was named before the file or library that it belongs to: "Dir ID is missing." comes before "dir /path/(ID) is damaged."
        self._waiting: list[Finding] = []

    def feed(self, line: str) -> None:
        """Understand one line, without its line break."""
        words = _PREFIX.sub("", line, count=1).strip()
        if not words:
            return
        begun, ended = _BEGIN.match(words), _END.match(words)
        if begun or ended or _SEARCH_ENDS.match(words):
            self._searching = False
        if begun:
            self._settle("")
            self._current = begun.group("full")
            self.checked.append(self._current)
        elif ended:
            self._settle(ended.group("library"))
            self._current = ""
        elif _SEARCH.match(words):
            self._settle("")
            self._searching = True
            self._message(words)
        elif self._searching:
            self._message(words)  # of older states, which it tries one after the other: not of the library as it is
        elif not self._understand(words):
            self._other(words)

    def finish(self, completed: bool) -> None:
        """No more lines. Not I(completed): it was ended by force, so that the library it was at is not judged."""
        self._settle("")
        if self._current and completed:
            self._add(Finding(self._current[:8], None, "library", "unfinished", None, None, ["it began with this library and never said that it finished"]))

    @property
    def damaged_libraries(self) -> list[dict[str, t.Any]]:
        """C([{library, library_id}]) of every library with a finding, sorted."""
        return [{"library": name, "library_id": self.full_id(name)} for name in sorted(self._damaged)]

    @property
    def healthy(self) -> int:
        """How many libraries it finished and found nothing in."""
        return sum(1 for library in self.checked if library[:8] not in self._damaged and library != self._current)

    def full_id(self, short: str) -> t.Optional[str]:
        """The id that begins so, when it checked one such library."""
        found = {library for library in self.checked if short and library.startswith(short)}
        return found.pop() if len(found) == 1 else None

    # -- what the words mean -----------------------------------------------------------------------------------------

    def _understand(self, words: str) -> bool:
        block = _BLOCK.match(words)
        if block:
            # The line of its file follows.
            self._waiting.append(Finding(block.group("library"), None, "blocks", block.group("damage"), block.group("id"), None, [words]))
            return True
        named = _PATH.match(words) or _PATH_FAILED.match(words)
        if named:
            self._path(words, named)
            return True
        thing = _OBJECT.match(words)
        if thing:
            kind = "commits" if thing.group("what") == "Commit" else "fs"
            self._waiting.append(Finding(self._current[:8], None, kind, thing.group("damage"), thing.group("id"), None, [words]))
            return True
        head = _HEAD.match(words)
        if head:
            for finding in self._waiting:
                if finding.kind == "fs" and finding.path is None:
                    finding.path = "/"
            self._settle(head.group("library"))
            self._add(Finding(head.group("library"), None, "head", "damaged", None, None, [words]))
            return True
        lost = _NO_COMMIT.match(words)
        if lost:
            self._settle(lost.group("library"))
            self._add(Finding(lost.group("library"), None, "head", "unrepairable", None, None, [words]))
            return True
        for pattern, kind in ((_LOAD, "commits"), (_SEAFILE, "fs")):
            found = pattern.match(words)
            if found:
                library = found.group("full")[:8] if kind == "commits" else self._current[:8]
                self._waiting.append(Finding(library, None, kind, "failed", found.group("id"), None, [words]))
                return True
        unknown = _UNKNOWN.match(words)
        if unknown:
            self._add(Finding(unknown.group("library") or (unknown.group("full") or "")[:8], None, "library", "unknown-library", None, None, [words]))
            return True
        return False

    def _path(self, words: str, named: t.Match[str]) -> None:
        """A damaged file or directory: it gives what was named before it its library and path, or is damaged by itself."""
        library, short = named.group("library"), named.group("id")
        path = named.group("path")
        if len(path) > 1:
            path = path.rstrip("/")
        belonging = [finding for finding in self._waiting if finding.kind == "blocks" or (finding.id or "").startswith(short)]
        for finding in belonging:
            finding.library, finding.path = library, path
            finding.words.append(words)
        self._settle(library)
        if not belonging:
            self._add(Finding(library, None, "fs", "failed" if words.startswith("Failed") else "damaged", short, path, [words]))

    def _other(self, words: str) -> None:
        refused = _WRONG_USER.search(words)
        if refused:
            self.wrong_user = int(refused.group(1)), int(refused.group(2))
            return
        if not self.checked and _NOT_STARTED.search(words) and len(self.not_started) < MOST_MESSAGES:
            self.not_started.append(words[:1000])
        if words.startswith("Checking file system integrity of repo "):
            return  # a library's name may hold any words
        if _BAD_WORDS.search(words):
            kind = "commits" if "commit" in words else "library"
            self._waiting.append(Finding(self._current[:8], None, kind, "failed", None, None, [words]))
        else:
            self._message(words)

    def _message(self, words: str) -> None:
        if len(self.messages) < MOST_MESSAGES:
            self.messages.append(words[:1000])

    def _settle(self, library: str) -> None:
        """What waited belongs to this library, or to the one that is being checked."""
        for finding in self._waiting:
            finding.library = finding.library or library or self._current[:8]
            self._add(finding)
        self._waiting = []

    def _add(self, finding: Finding) -> None:
        if finding.library:
            self._damaged.add(finding.library)
        if finding.key in self._seen:
            return
        self.findings_total += 1
        if len(self.findings) < MOST_FINDINGS:
            self._seen.add(finding.key)
            finding.words = [words[:4000] for words in finding.words[:3]]
            self.findings.append(finding)

    def result(self) -> dict[str, t.Any]:
        """The values that the module returns of it; text from the server's store as it stands."""
        findings = []
        for finding in self.findings:
            finding.library_id = self.full_id(finding.library)
            findings.append(dataclasses.asdict(finding))
        return {
            "checked": len(self.checked), "healthy": self.healthy, "findings": findings, "findings_total": self.findings_total,
            "damaged_libraries": self.damaged_libraries, "messages": self.messages,
        }


def read(stream: t.BinaryIO, completed: bool = True) -> Reader:
    """Understand all of I(stream), line by line."""
    reader = Reader()
    while True:
        line = stream.readline(_LINE_BYTES)
        if not line:
            break
        reader.feed(line.decode("utf-8", "replace").rstrip("\r\n"))
    reader.finish(completed)
    return reader


# --- running it ---------------------------------------------------------------------------------------------------


class Program(t.NamedTuple):
    """Seafile's own script, and who has to run it."""

    path: str
    uid: int
    gid: int
    user: t.Optional[str]
    home: str


def require_libraries(ids: t.Sequence[str]) -> list[str]:
    """Return the ids. Raises C(library-id-invalid) for anything else: an option of seaf-fsck would repair."""
    for library in ids:
        if not LIBRARY_ID.match(library):
            raise SeafileError("library-id-invalid", f"library {library}", "it is not the id of a library")
    return list(ids)


def find_program(configuration: Configuration) -> tuple[t.Optional[Program], str]:
    """Return Seafile's seaf-fsck.sh and its user, or None and the reason why there is none that could be run.

    The script and not the program beside it: it is what an administrator runs, and each version's own knows the options and
    libraries of its program, C(ccnet/seafile.ini) up to 7.0, and from 12 on C(conf/.env), which the program does not read by itself.
    What the script drops, the program's exit status, has no meaning anyway; and it splits its arguments at blanks, which ids lack.
    """
    root = require_plain_path(configuration.root, "seafile_root")
    names = [name for name in (LATEST_LINK, configuration.programs) if name]
    directory = next((path for path in (os.path.join(root, name) for name in names) if os.path.isfile(os.path.join(path, "seaf-fsck.sh"))), None)
    if directory is None:
        return None, f"there is no {os.path.join(root, names[0], 'seaf-fsck.sh')}: Seafile's programs are not installed here"
    if not os.access(os.path.join(directory, "seafile", "bin", "seaf-fsck"), os.X_OK):
        return None, f"there is no {os.path.join(directory, 'seafile', 'bin', 'seaf-fsck')} that can be run"
    if os.path.dirname(os.path.realpath(directory)) != os.path.realpath(root):
        # It takes the directory above its own, links resolved, as Seafile's: it would check another deployment.
        return None, f"{directory} leads out of {root}: its seaf-fsck.sh would look for the libraries beside {os.path.realpath(directory)}"
    # seaf-fsck compares its user with the owner of seafile-data, and refuses every other, root too.
    status = os.stat(configuration.data_dir)
    try:
        account = pwd.getpwuid(status.st_uid)
    except KeyError:
        return Program(os.path.join(directory, "seaf-fsck.sh"), status.st_uid, status.st_gid, None, "/"), ""
    return Program(os.path.join(directory, "seaf-fsck.sh"), status.st_uid, account.pw_gid, account.pw_name, account.pw_dir), ""


def _identity(program: Program) -> dict[str, t.Any]:
    """What subprocess needs to become the program's user: nothing when this process is that user.

    Not runuser: the owner may be a number without an account, and a session of PAM is not wanted.
    """
    if os.geteuid() == program.uid:
        return {}
    if os.geteuid() != 0:
        raise SeafileError("no-rights", program.path, f"only the owner of the libraries (user {program.user or program.uid}) can run it, or root in its name")
    groups = os.getgrouplist(program.user, program.gid) if program.user else []
    return {"user": program.uid, "group": program.gid, "extra_groups": groups}


def run(program: Program, libraries: t.Sequence[str], timeout: float, output: t.BinaryIO) -> bool:
    """Run seaf-fsck without repair, all it says into the file I(output); whether it ended within I(timeout) seconds (0: any time).

    It changes nothing in that mode, so that it may be ended at any moment.
    """
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": program.home,
        "USER": program.user or str(program.uid)}
    if "TZ" in os.environ:
        environment["TZ"] = os.environ["TZ"]
    try:
        # A process group of its own: the program is a child of the script. / as directory: the user may not enter this one.
        process = subprocess.Popen(  # pylint: disable=consider-using-with,ansible-bad-function
            ["bash", program.path, *require_libraries(libraries)], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/",
            env=environment, start_new_session=True, close_fds=True, **_identity(program))
    except FileNotFoundError as error:
        raise SeafileError("missing-tool", "bash", "Seafile's own script needs it") from error
    except PermissionError as error:
        raise SeafileError("no-rights", program.path, f"it cannot be run as user {program.user or program.uid} ({error.strerror})") from error
    try:
        process.wait(timeout or None)
        return True
    except BaseException as error:  # its time is over, or this module is interrupted
        _end(process)
        if isinstance(error, subprocess.TimeoutExpired):
            return False
        raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the script and its program, whatever they are at."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + 2
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
    process.wait()


def require_sense(reader: Reader, program: Program, libraries: t.Sequence[str]) -> None:
    """Raise C(fsck-refused) or C(fsck-failed) unless it has really looked at libraries."""
    if reader.wrong_user:
        current, owner = reader.wrong_user
        raise SeafileError("fsck-refused", program.path, f"it was run as user {current}, and the server runs as user {owner}")
    missing = [library for library in libraries if library not in reader.checked]
    if reader.checked and not missing:
        return
    said = "; ".join(printable(words)[:200] for words in reader.not_started[:3])
    if said or missing:
        raise SeafileError("fsck-failed", program.path, f"it did not look at {'its libraries' if not missing else missing[0]}{': ' if said else ''}{said}")
