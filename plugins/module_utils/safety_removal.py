# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removal of safety copies: the one place that takes them away. What goes is decided in :mod:`safety_retention`.

The order makes it safe to be killed anywhere and run again; nothing outside the two places of a copy is touched:

1. its record says that it is being removed: from then on no rollback takes it;
2. the Seafile directory that was set aside gets a name that nothing takes for a copy, and is unlinked under that name;
3. the same with the directory of the record and the dumps, which are needed no longer than the record tells what is left to do.
"""

from __future__ import annotations

import datetime
import os
import re
import stat
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import deployment, restore_state, safety_copies, safety_retention, set_removal, words
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import sync_directory
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import set_time
from ansible_collections.seafleet.seafile.plugins.module_utils.places import KEPT

REMOVED = ".removed"
"""How the name of what is being removed ends. Inside a Seafile directory it still begins as that of a copy does, so that no backup pulls it."""

_LEFT = re.compile(r"\.before-([0-9]{8}T[0-9]{6}Z)\.removed")
_OCTAL = re.compile(r"\\([0-7]{3})")

Row = dict[str, t.Any]


# --- what there is ------------------------------------------------------------------------------------------------


def unrest(state_dir: str) -> list[str]:
    """Return why no safety copy of I(state_dir) may go now: a restore or a rollback is at work, or was interrupted and will be continued."""
    found = []
    for name, record, busy, deed in (
            (restore_state.RECORD, restore_state.read(state_dir), ("clearing", "running"), "a restore"),
            (safety_copies.JOURNAL, safety_copies.read_journal(state_dir), ("running",), "a rollback")):
        if record.get("state") in busy:
            found.append(f"{deed} is at work here, or was interrupted and has to come to its end first")
        elif not record and os.path.lexists(os.path.join(state_dir, name)):
            found.append(f"{os.path.join(state_dir, name)} is damaged, so that nobody knows whether {deed} is at work")
    newest = next(iter(safety_copies.every(state_dir)), None)
    # a restore makes its copy before it notes that it has begun
    if newest and newest["state"] != "complete":
        found.append(f"a restore or rollback is making the safety copy {newest['moment']}, or was interrupted at it")
    return found


def set_aside_directory(record: safety_copies.Record) -> t.Optional[str]:
    """Return where the Seafile directory of I(record) was put; None when there was none, or when it was brought back."""
    return None if record.get("brought_back") else record["directory"]


def obstacles(state_dir: str, record: safety_copies.Record, roots: t.Iterable[str]) -> list[str]:
    """Return why the two places of the complete copy I(record) must not be touched, one phrase each.

    :arg roots: Seafile directories of the server, beside those that the record names.
    """
    real, moment = record["real_root"], record["moment"]
    if not os.path.isabs(real) or os.path.normpath(real) != real or real == "/" or "\0" in real:
        return [f"its record names {real!r} as the Seafile directory, which cannot be"]
    # the two names that restore_state.set_aside gives, and no other
    forms = (f"{real}.before-{moment}", os.path.join(real, KEPT + moment))
    directory = set_aside_directory(record)
    if directory is not None and directory not in forms:
        return [f"{directory} is no name that a restore gives to what it sets aside"]
    found = [f"{path} is there, and its record does not know of it" for path in forms if path != directory and os.path.lexists(path)]
    everywhere = sorted({real, record["root"], *roots})
    found += _of_tree(safety_copies.place(state_dir, moment), everywhere)
    if directory is None:
        return found
    gone = directory + REMOVED
    if record.get("removing") and not os.path.lexists(directory):
        return found + (_of_tree(gone, everywhere, state_dir) if os.path.lexists(gone) else [])
    if os.path.lexists(gone):
        found.append(f"{gone} is there already; look at it, and remove it by hand")
    return found + _of_tree(directory, everywhere, state_dir)


def _of_tree(path: str, roots: t.Sequence[str], state_dir: t.Optional[str] = None) -> list[str]:
    """Return why the directory I(path) must not be removed, as far as a look at its top tells."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return [f"the directory {path} is not there; when you know where it went, remove the copy by hand"]
    if not stat.S_ISDIR(status.st_mode):
        return [f"{path} is {'a link' if stat.S_ISLNK(status.st_mode) else 'no directory'}"]
    if os.path.realpath(os.path.dirname(path)) != os.path.dirname(path) and state_dir is not None:
        return [f"a link is on the way to {path}"]
    found = [f"{mount} is a mount point" for mount in mount_points() if _is_below(mount, os.path.realpath(path))]
    if state_dir is None:
        return found
    inner = sorted(name[len(KEPT):] for name in os.listdir(path) if name.startswith(KEPT))
    found += [f"the safety copy {moment} lies in it" for moment in inner if set_time(moment)]
    found += [f"{used} leads into it" for used in (*roots, state_dir) if _is_below(os.path.realpath(used), path)]
    found += [f"{link} leads into it" for root in roots for link in _links(root) if _is_below(os.path.realpath(link), path)]
    processes = deployment.running([path])
    if processes:
        found.append(f"{deployment.in_words(processes)} works with it")
    return found


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory + "/")


def _links(root: str) -> list[str]:
    """The links in the Seafile directory I(root): people lead them into what was set aside, to have programs or data back without a copy."""
    try:
        with os.scandir(root) as entries:
            return sorted(entry.path for entry in entries if entry.is_symlink())
    except (FileNotFoundError, NotADirectoryError):
        return []


def mount_points(path: str = "/proc/self/mountinfo") -> list[str]:
    """Return where something is mounted, as the kernel tells: a directory bound to another one of its own file system has no other device."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return [_OCTAL.sub(lambda found: chr(int(found.group(1), 8)), line.split(" ")[4]) for line in stream if line.count(" ") > 4]
    except FileNotFoundError:
        return []


def foreign(path: str) -> t.Optional[str]:
    """Return the first directory below I(path) that lies on another file system, None when there is none. Links are not followed."""
    device = os.lstat(path).st_dev
    waiting = [path]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.stat(follow_symlinks=False).st_dev != device:
                        return entry.path
                    waiting.append(entry.path)
    return None


def _survey(state_dir: str, moment: str, roots: t.Sequence[str], now: datetime.datetime, sizes: bool, deep: bool) -> tuple[Row, safety_retention.Entry]:
    """Return what is told of the safety copy I(moment), and what the decision needs of it.

    :arg deep: look at every directory of what was set aside for other file systems. A long walk, needed only where something may go.
    """
    record = safety_copies.read(state_dir, moment)
    path = safety_copies.place(state_dir, moment)
    written = t.cast(datetime.datetime, set_time(moment))
    directory = set_aside_directory(record) if record else None
    kept: list[str] = []
    if record:
        written = datetime.datetime.fromtimestamp(os.stat(os.path.join(path, safety_copies.RECORD)).st_mtime, datetime.timezone.utc)
        if record["state"] == "complete":
            kept = obstacles(state_dir, record, roots)
    there = [place for place in (path, directory, directory and directory + REMOVED) if place and os.path.isdir(place) and not os.path.islink(place)]
    if deep and record and not kept:
        kept += [f"{other} lies on another file system" for other in map(foreign, there) if other]
    age = max(0, int((now - t.cast(datetime.datetime, set_time(moment))).total_seconds()))
    row = {
        "moment": moment, "path": path, "directory": directory, "age_seconds": age,
        "bytes": sum(map(safety_copies.directory_bytes, there)) if sizes else None}
    return row, safety_retention.Entry(moment, record.get("state", ""), written, bool(record.get("removing")), tuple(kept))


# --- taking away --------------------------------------------------------------------------------------------------


def take_away(state_dir: str, moment: str, roots: t.Sequence[str], now: datetime.datetime) -> t.Optional[str]:
    """Note that the safety copy I(moment) is being removed, and give its Seafile directory the name that nothing takes for a copy.

    :returns: why it stays after all, or None.
    """
    with safety_copies.alone(state_dir) as held:
        if not held:
            return "in use: a rollback is at work here"
        record = safety_copies.read(state_dir, moment)
        if not record or record["state"] != "complete":
            return "it has changed while this looked"
        # once more, now that no rollback can begin
        reasons = unrest(state_dir) + obstacles(state_dir, record, roots)
        if reasons:
            return "; ".join(reasons)
        if not record.get("removing"):
            safety_copies.write(state_dir, dict(record, removing=as_text(now)))
        directory = set_aside_directory(record)
        if directory and os.path.lexists(directory):
            os.rename(directory, directory + REMOVED)
            # before anything below it is unlinked: after a power loss no half copy may stand under its old name
            sync_directory(os.path.dirname(directory))
    return None


def remove(state_dir: str, moment: str) -> None:
    """Remove what was taken away: the Seafile directory first, for the record tells where it is.

    :raises SeafileError: C(retention-incomplete).
    """
    record = safety_copies.read(state_dir, moment)
    directory = set_aside_directory(record) if record.get("removing") else None
    if directory:
        _remove_tree(directory + REMOVED)
        sync_directory(os.path.dirname(directory))
    path = safety_copies.place(state_dir, moment)
    gone = os.path.join(state_dir, f".{os.path.basename(path)}{REMOVED}")
    _remove_tree(gone)
    os.rename(path, gone)
    sync_directory(state_dir)
    _remove_tree(gone)


def left_over(state_dir: str) -> list[str]:
    """Return the directories of records whose removal was begun and not ended; what they told of is gone."""
    try:
        names = sorted(os.listdir(state_dir))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [os.path.join(state_dir, name) for name in names if (found := _LEFT.fullmatch(name)) and set_time(found.group(1))]


def _remove_tree(path: str) -> None:
    """Remove the directory I(path), if it is there, without leaving it by a link or into another file system."""
    if not os.path.lexists(path):
        return
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        raise SeafileError("retention-incomplete", path, "it is no directory")
    beyond = next((mount for mount in mount_points() if _is_below(mount, os.path.realpath(path))), None) or foreign(path)
    if beyond:
        raise SeafileError("retention-incomplete", path, f"{beyond} lies on another file system", "unmount it, then run again, which removes the rest")
    set_removal.remove_directory(path)


# --- one pass -----------------------------------------------------------------------------------------------------


def retain(state_dir: str, roots: t.Sequence[str], days: int, now: datetime.datetime, sizes: bool, check: bool) -> dict[str, t.Any]:
    """Decide over the safety copies of one server, remove those that go, and return the module's result.

    :arg roots: where the server's Seafile directory is now, as far as it is known.
    :arg sizes: whether to tell the size of each copy.
    :arg check: remove nothing.
    :raises SeafileError: C(retention-policy), C(retention-incomplete).
    """
    safety_retention.require_days(days)
    seen = [_survey(state_dir, moment, roots, now, sizes, days > 0) for moment in safety_copies.moments(state_dir)]
    restless = unrest(state_dir) if seen else []
    verdicts = safety_retention.decide((entry for dummy, entry in seen), days, now, restless)
    begun = {entry.moment for dummy, entry in seen if entry.removing}
    halves = left_over(state_dir)
    rows, failures = [], []
    for verdict, (row, dummy) in reversed(list(zip(verdicts, seen))):
        goes, reasons = verdict.goes, list(verdict.reasons)
        if goes and not check:
            try:
                stays = take_away(state_dir, verdict.moment, roots, now)
            except OSError as error:
                stays = f"it cannot be removed ({error.strerror})"
            if stays is not None:
                goes, reasons = False, [stays]
            else:
                failures += _failures(remove, state_dir, verdict.moment)
        rows.insert(0, dict(row, verdict="goes" if goes else "kept", reasons=reasons))
    for path in halves if not check else ():
        failures += _failures(_remove_tree, path)
    result = _result(state_dir, rows, begun, halves, restless, check)
    if failures:
        first = failures[0]
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise SeafileError(first.code, first.what, first.cause + more, first.next_step, **result)
    return result


def _failures(action: t.Callable[..., None], *arguments: str) -> list[SeafileError]:
    """Do I(action); return its failure, so that one copy does not hold up the others."""
    try:
        action(*arguments)
    except SeafileError as error:
        return [error]
    except OSError as error:
        return [SeafileError("retention-incomplete", str(error.filename or arguments[-1]), f"it cannot be removed ({error.strerror})")]
    return []


def _result(state_dir: str, rows: t.Sequence[Row], begun: t.Collection[str], halves: t.Sequence[str], restless: t.Sequence[str],
            check: bool) -> dict[str, t.Any]:
    gone = [row["moment"] for row in reversed(rows) if row["verdict"] == "goes"]
    completed = sorted({moment for moment in gone if moment in begun} | {os.path.basename(path)[len(".before-"):-len(REMOVED)] for path in halves})
    report = [f"safety copy {in_words(row, check)}" for row in rows]
    if completed:
        report.append(f"safety copies: the interrupted removal of {', '.join(completed)} {'would be' if check else 'was'} ended")
    return {
        "changed": bool(gone or halves), "copies": list(rows), "removed": [moment for moment in gone if moment not in begun], "completed": completed,
        "frozen": list(restless), "report": report,
        "diff": {
            "before_header": state_dir, "after_header": state_dir, "before": "".join(f"{row['moment']}\n" for row in rows),
            "after": "".join(f"{row['moment']}\n" for row in rows if row["verdict"] == "kept")}}


def in_words(row: t.Mapping[str, t.Any], check: bool) -> str:
    """Return what becomes of the copy in I(row), for people."""
    days = row["age_seconds"] // 86400
    age = f"{words.count(days, 'day')} old" if days else "of today"
    size = f", {words.size(row['bytes'])}" if row["bytes"] is not None else ""
    deed = "stays" if row["verdict"] == "kept" else "would go" if check else "goes"
    return f"{row['moment']} ({age}{size}) {deed}: {'; '.join(row['reasons'])}"
