# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Safety copies: what a restore or a rollback put aside, as one recorded thing, and the choice of the one to bring back.

A safety copy is a directory C(before-<moment>) in the state directory of its server::

    before-20261124T081500Z/copy.json         the record (0600): what was set aside, when, before what, and where it is
    before-20261124T081500Z/databases/...     dumps of the databases that were there, as mysql_dump writes them
    before-20261124T081500Z/restore.json ...  with a copy that a rollback made: the records of the restore that it undid

The Seafile directory is no part of it: it was set aside by a rename (see :func:`restore_state.set_aside`), and the record names the
place. A record goes through C(dumping) (nothing has been replaced yet), C(dumped) (the directory is being set aside) and
C(complete). Nothing here removes a safety copy: that is :mod:`safety_removal`, which first gives the record the field C(removing).
"""

from __future__ import annotations

import contextlib
import datetime
import glob
import json
import os
import re
import shutil
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import deployment, locks, mysql_client, mysql_dump_run, mysql_import_run, mysql_schema
from ansible_collections.seafleet.seafile.plugins.module_utils import restore_state, seafile_config
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import new_set_id, set_time
from ansible_collections.seafleet.seafile.plugins.module_utils.places import KEPT

RECORD = "copy.json"
DATABASES = "databases"
FORMAT = 1
JOURNAL = "rollback.json"
"""In the state directory: the rollback that runs, was interrupted or came last."""

_PREFIX = "before-"
_MOMENT = re.compile(r"before-([0-9]{8}T[0-9]{6}Z)")
_STATES = ("dumping", "dumped", "complete")
_FIELDS: dict[str, t.Union[type, tuple[type, ...]]] = {
    "moment": str, "state": str, "made_by": str, "root": str, "real_root": str, "dumps": list, "absent": list, "empty": bool, "unfinished": bool,
    "programs": list, "directory": (str, type(None)), "directory_inside": (str, type(None)),
}
_JOURNAL_FIELDS = ("state", "copy", "made", "root")

Record = dict[str, t.Any]


def place(state_dir: str, moment: str) -> str:
    """Return the directory of the safety copy I(moment)."""
    return os.path.join(state_dir, _PREFIX + moment)


def read(state_dir: str, moment: str) -> Record:
    """Return the record of the safety copy I(moment); an absent or damaged one is empty."""
    record = _read_json(os.path.join(place(state_dir, moment), RECORD))
    good = (record.get("format") == FORMAT and record.get("moment") == moment and record.get("state") in _STATES
            and all(isinstance(record.get(name), kind) for name, kind in _FIELDS.items())
            and all(isinstance(dump, dict) and isinstance(dump.get("name"), str) for dump in record["dumps"]))
    return record if good else {}


def write(state_dir: str, record: Record) -> None:
    """Store I(record), private to its account."""
    directory = place(state_dir, record["moment"])
    make_private_directory(directory)
    write_json(os.path.join(directory, RECORD), dict(record, format=FORMAT))


def _read_json(path: str) -> Record:
    try:
        with open(path, encoding="ascii") as stream:
            value = json.load(stream)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def moments(state_dir: str) -> list[str]:
    """Return the moments of all safety copies in I(state_dir), whole or not, newest first."""
    try:
        names = os.listdir(state_dir)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((found.group(1) for found in map(_MOMENT.fullmatch, names) if found and set_time(found.group(1))), reverse=True)


def every(state_dir: str) -> list[Record]:
    """Return the records of all safety copies in I(state_dir), newest first, without those that no record describes."""
    return [record for record in (read(state_dir, moment) for moment in moments(state_dir)) if record]


def read_journal(state_dir: str) -> Record:
    """Return the journal of the last rollback; an absent or damaged one is empty."""
    journal = _read_json(os.path.join(state_dir, JOURNAL))
    return journal if all(isinstance(journal.get(name), str) for name in _JOURNAL_FIELDS) else {}


def write_journal(state_dir: str, journal: Record) -> None:
    """Store the I(journal) of a rollback."""
    make_private_directory(state_dir)
    write_json(os.path.join(state_dir, JOURNAL), journal)


def abandon(state_dir: str, root: str) -> None:
    """Note that the rollback of I(root) that was interrupted will not be ended: a restore takes its place."""
    journal = read_journal(state_dir)
    if journal.get("state") == "running" and journal.get("root") == root:
        write_journal(state_dir, dict(journal, state="abandoned"))


@contextlib.contextmanager
def alone(state_dir: str) -> t.Iterator[bool]:
    """Hold the lock of the safety copies in I(state_dir), so that none is taken away beneath a rollback; give whether it was free.

    A process that is killed lets it go.
    """
    descriptor = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield locks.is_taken(descriptor)
    finally:
        os.close(descriptor)


# --- making one ---------------------------------------------------------------------------------------------------


def new_moment(state_dir: str, root: str, now: datetime.datetime) -> str:
    """Return the moment of the next safety copy, later than that of every other.

    A copy that was interrupted before anything was replaced holds nothing that is not there any more: it is made anew under its moment.
    """
    taken = moments(state_dir)
    newest = read(state_dir, taken[0]) if taken else {}
    if newest and newest["root"] == root and (newest["state"] == "dumping" or _is_pending(newest) and newest["directory"] and locate(newest) is None):
        return newest["moment"]
    candidate = new_set_id(now)
    if taken and candidate <= taken[0]:
        candidate = new_set_id(t.cast(datetime.datetime, set_time(taken[0])) + datetime.timedelta(seconds=1))
    return candidate


def _is_pending(record: Record) -> bool:
    return record["made_by"] == "restore" and record["state"] == "dumped"


def pending(state_dir: str, root: str) -> t.Optional[Record]:
    """Return the copy whose directory a restore was setting aside, or had just set aside, when it was interrupted; None when there is none.

    What is there now is the rest of it, so that it belongs to no other copy.
    """
    newest = next(iter(every(state_dir)), None)
    if newest is None or newest["root"] != root or not _is_pending(newest):
        return None
    place_now = locate(newest)
    if place_now is None or (restore_state.content(root) and place_now != newest["directory_inside"]):
        return None
    return newest


def plan(state_dir: str, root: str, moment: str, made_by: str, running: bool, **more: t.Any) -> Record:
    """Return the record of a safety copy of what is in I(root) now, with no database yet. Nothing is written.

    :arg made_by: C(restore) or C(rollback).
    :arg running: whether Seafile was running before it was stopped for this.
    """
    names = restore_state.content(root)
    real = os.path.realpath(root)
    interrupted = restore_state.read(state_dir)
    begun = interrupted.get("state") == "running" or (interrupted.get("state") == "clearing" and any(
        path and os.path.lexists(path) for path in (interrupted.get("safety_directory"), interrupted.get("safety_directory_inside"))))
    half = begun and interrupted.get("root") == root
    journal = read_journal(state_dir)
    half = half or (made_by == "restore" and journal.get("state") == "running" and journal.get("root") == root)
    record: Record = {
        "moment": moment, "state": "dumping", "made_by": made_by, "root": root, "real_root": real, "running": running, "empty": not names,
        # what a restore that has not ended left is no state to go back to, unless it is asked for
        "unfinished": half, "owner": _owner(real), "programs": seafile_config.program_directories(real) if names else [],
        "entries": len(names), "attributes": _attributes(real),
        "directory": restore_state.place_aside(root, moment) if names else None,
        "directory_inside": os.path.join(real, KEPT + moment) if names else None,
        "dumps": [], "absent": [], "brought_back": None,
    }
    record.update(more)
    return record


def _owner(path: str) -> t.Optional[dict[str, str]]:
    owner = deployment.owner_of(path)
    return {"user": owner["user"], "group": owner["group"]} if owner else None


def _attributes(path: str) -> t.Optional[dict[str, int]]:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return {"uid": found.st_uid, "gid": found.st_gid, "mode": found.st_mode & 0o7777, "mtime_ns": found.st_mtime_ns}


def add_databases(record: Record, client: mysql_client.Client, names: t.Sequence[str]) -> list[str]:
    """Tell in I(record) which of the databases I(names) are there and which are not; return those to dump. Nothing is written.

    A database without tables is dumped too: it has its character set. Databases that are all without tables, beside an empty
    directory, are nothing to go back to.
    """
    there = mysql_schema.describe(client, names)
    present = [name for name in names if name in there]
    record["absent"] = [name for name in names if name not in there]
    record["server"] = server_identity(client)
    record["server_version"] = client.value("VERSION()")
    if any(there[name].tables or mysql_schema.stored_programs(client, name) for name in present):
        record["empty"] = False
    return [] if record["empty"] else present


def server_identity(client: mysql_client.Client) -> str:
    """Return what tells one database server from another on its machine, whichever way it is reached."""
    return client.value("CONCAT(@@datadir, ' ', @@port)")


def make(state_dir: str, record: Record, client: t.Optional[mysql_client.Client], names: t.Sequence[str]) -> None:
    """Write the safety copy I(record) up to its state C(dumped): the databases I(names) dumped and measured. Nothing is replaced.

    :raises SeafileError: as dumps do; the copy then stays in the state C(dumping).
    """
    directory = os.path.join(place(state_dir, record["moment"]), DATABASES)
    write(state_dir, record)
    # what an interrupted run left of this very copy: nothing has been replaced since
    if os.path.lexists(directory):
        shutil.rmtree(directory)
    if names and client is not None:
        source = mysql_dump_run.Source((client.login,), tuple(names), {}, "", True)
        inspection = mysql_dump_run.Inspection(source, "lock")
        result = mysql_dump_run.dump(inspection, directory, 1, mysql_dump_run.Reader())
        record["dumps"] = [
            dict(entry, fingerprint=mysql_schema.fingerprint(client, entry["name"]), signature=inspection.databases[entry["name"]].signature)
            for entry in result["dumps"]]
    record["state"] = "complete" if record["empty"] else "dumped"
    write(state_dir, record)


def complete(state_dir: str, record: Record, directory: t.Optional[str]) -> None:
    """Note that the Seafile directory of the safety copy I(record) was set aside at I(directory) (None: there was none)."""
    record.update(state="complete", directory=directory)
    write(state_dir, record)


# --- looking at them ----------------------------------------------------------------------------------------------


def locate(record: Record) -> t.Optional[str]:
    """Return where the Seafile directory of I(record) lies now, or None.

    One that lies inside the Seafile directory goes where that goes.
    """
    for path in (record["directory"], record["directory_inside"]):
        if path and os.path.isdir(path) and not os.path.islink(path):
            return path
    if record["directory_inside"]:
        pattern = os.path.join(glob.escape(record["real_root"]) + ".before-*", glob.escape(os.path.basename(record["directory_inside"])))
        found = sorted(glob.glob(pattern))
        return found[0] if found else None
    return None


def dump_files(state_dir: str, record: Record) -> list[mysql_import_run.DumpFile]:
    """Return the dumps of I(record), as an import takes them. Raises what a record that was edited deserves."""
    if not record["dumps"]:
        return []
    return mysql_import_run.parse_dumps(os.path.join(place(state_dir, record["moment"]), DATABASES), record["dumps"])


def defects(state_dir: str, record: Record, prove: bool) -> list[str]:
    """Return why the safety copy I(record) cannot be brought back, one phrase each; empty when it is whole.

    :arg prove: read every dump to its end and compare its checksum; otherwise only its size is looked at.
    """
    if record.get("removing"):
        return [f"it is being removed since {record['removing']}"]
    if record["state"] == "dumping":
        return ["it was interrupted before it was complete; nothing was replaced after it"]
    if record.get("brought_back"):
        return [f"it was brought back at {record['brought_back'].get('at')}; its directory is no longer here"]
    if record["empty"]:
        return ["there was nothing to keep"]
    wrong = []
    if record["directory"] and locate(record) is None:
        wrong.append(f"the directory {record['directory']} is not there")
    for dump, entry in zip(dump_files(state_dir, record), record["dumps"]):
        try:
            if prove:
                mysql_import_run.prove(dump)
            elif os.lstat(dump.path).st_size != entry.get("bytes"):
                wrong.append(f"{dump.path} has another size")
        except FileNotFoundError:
            wrong.append(f"{dump.path} is missing")
        except SeafileError as error:
            wrong.append(f"{error.what}: {error.cause}")
    return wrong


def directory_bytes(path: str) -> int:
    """Return the bytes of the regular files below I(path), each file once however many names it has."""
    seen = set()
    total = 0
    pending = [path]
    while pending:
        with contextlib.suppress(FileNotFoundError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    found = entry.stat(follow_symlinks=False)
                    if found.st_nlink == 1 or (found.st_dev, found.st_ino) not in seen:
                        total += found.st_size
                        if found.st_nlink > 1:
                            seen.add((found.st_dev, found.st_ino))
    return total


def holds(record: Record) -> list[str]:
    """Return what the safety copy I(record) holds, one phrase each."""
    what = []
    if record["directory"]:
        programs = f", with {', '.join(record['programs'])}" if record["programs"] else ""
        what.append(f"the Seafile directory ({record.get('entries')} entries{programs})")
    return what + [f"database {dump['name']} ({len(dump.get('tables') or [])} tables)" for dump in record["dumps"]]


def describe(state_dir: str, moment: str, now: datetime.datetime, sizes: bool, prove: bool) -> dict[str, t.Any]:
    """Return the catalogue's row of the safety copy I(moment). Never raises for a damaged one."""
    path = place(state_dir, moment)
    age = max(0, int((now - t.cast(datetime.datetime, set_time(moment))).total_seconds()))
    record = read(state_dir, moment)
    if not record:
        return {"moment": moment, "path": path, "age_seconds": age, "whole": False, "bytes": directory_bytes(path) if sizes else None, "holds": [],
                "made_by": None, "set_id": None, "rollback_to": None, "directory": None, "databases": [], "programs": [], "owner": None, "running": None,
                "empty": False, "unfinished": False, "brought_back": None,
                "reasons": ["it has no record: an older release made it, or the record was lost; it can be brought back by hand"]}
    try:
        wrong = defects(state_dir, record, prove)
    except SeafileError as error:
        wrong = [f"its record is damaged: {error.cause}"]
    directory = None if record.get("brought_back") else locate(record)
    return {
        "moment": moment, "path": path, "age_seconds": age, "whole": not wrong, "reasons": wrong, "made_by": record["made_by"],
        "set_id": record.get("set_id"), "rollback_to": record.get("rollback_to"), "directory": directory,
        "bytes": directory_bytes(path) + (directory_bytes(directory) if directory else 0) if sizes else None,
        "databases": [{"name": dump["name"], "tables": len(dump.get("tables") or []), "bytes": dump.get("bytes")} for dump in record["dumps"]],
        "programs": record["programs"], "owner": record.get("owner"), "running": record.get("running"), "holds": holds(record),
        "empty": record["empty"], "unfinished": record["unfinished"], "brought_back": record.get("brought_back"),
    }


def in_words(row: t.Mapping[str, t.Any]) -> str:
    """Return the catalogue's I(row) for people: when, how old and large, from before what, what it holds, why it cannot be brought back."""
    days = row["age_seconds"] // 86400
    age = f"{days} day{'' if days == 1 else 's'} old" if days else "of today"
    size = f", {row['bytes'] / 1e6:.1f} MB" if row["bytes"] is not None else ""
    before = f" from before {_before(row)}" if row["made_by"] else ""
    words = f"{row['moment']} ({age}{size}){before}{' over a restore that had not ended' if row['unfinished'] else ''}: {'; '.join(row['holds']) or 'nothing'}"
    return words + ("" if row["whole"] else f" [{'; '.join(row['reasons'])}]") + " in " + " and ".join(filter(None, (row["directory"], row["path"])))


# --- choosing one -------------------------------------------------------------------------------------------------


def choose(state_dir: str, root: str, moment: t.Optional[str]) -> tuple[Record, bool]:
    """Return the record of the safety copy to bring back to I(root), and whether that was done already.

    By default it is the newest one that a restore made of a deployment that was whole; copies that a rollback made, and those of a
    restore that had not ended, must be named.

    :raises SeafileError: C(rollback-unfinished), C(no-safety-copy), C(safety-copy-unknown), C(safety-copy-used).
    """
    journal = read_journal(state_dir)
    if journal.get("root") != root:
        journal = {}
    if journal.get("state") == "running":
        if moment not in (None, journal["copy"]):
            raise SeafileError("rollback-unfinished", moment or root, f"the rollback to {journal['copy']} was interrupted and must come to its end first",
                               f"run the rollback again with -e rollback_moment={journal['copy']}; then go on to {moment}")
        record = read(state_dir, journal["copy"])
        if not record:
            raise SeafileError("safety-copy-damaged", place(state_dir, journal["copy"]), "the record of the copy that is being brought back is lost")
        # a run that was killed at its very end had noted it already
        record["brought_back"] = None
        return record, False
    records = [record for record in every(state_dir) if record["root"] == root]
    if moment is not None:
        chosen = next((record for record in records if record["moment"] == moment), None)
        if chosen is None:
            raise SeafileError("safety-copy-unknown", moment, f"there is no such safety copy of {root} (there are: {_listed(records)})")
    else:
        chosen = next((record for record in records if record["made_by"] == "restore" and not record["unfinished"] and record["state"] != "dumping"), None)
        if chosen is None:
            raise SeafileError("no-safety-copy", root, "no restore has put anything aside here")
    if chosen["empty"]:
        raise SeafileError("no-safety-copy", root, f"it was empty before {_before(chosen)} at {chosen['moment']}, so nothing was put aside")
    if not chosen.get("brought_back"):
        return chosen, False
    if journal.get("copy") == chosen["moment"] and not any(record["moment"] > journal["made"] for record in records):
        return chosen, True
    whole = [record for record in records if not defects(state_dir, record, False)]
    raise SeafileError("safety-copy-used", chosen["moment"], f"it was brought back at {chosen['brought_back'].get('at')}, and more has happened since",
                       f"choose another one with -e rollback_moment=... (whole: {_listed(whole)})")


def _before(record: t.Mapping[str, t.Any]) -> str:
    if record["made_by"] == "restore":
        return f"the restore of the set {record.get('set_id')}"
    return f"the rollback to {record.get('rollback_to')}"


def _listed(records: t.Sequence[Record]) -> str:
    shown = [f"{record['moment']} from before {_before(record)}" for record in records[:5]]
    return ", ".join(shown) + (f" and {len(records) - 5} more" if len(records) > 5 else "") if shown else "none"
