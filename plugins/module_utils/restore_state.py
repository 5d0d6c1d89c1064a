# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a restore on its target: begun, interrupted, done, and whether all is still as it was restored."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import attributes, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, sync_directory, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ATTRIBUTES
from ansible_collections.seafleet.seafile.plugins.module_utils.places import KEPT

RECORD = "restore.json"
SET = "set"
"""Directory of the set's dumps and attributes while a restore runs."""
OBJECT_LIST = "objects.list"
# What a record of each state must hold; one that does not is worth nothing.
_FIELDS: dict[str, dict[str, type]] = {
    "clearing": {"set_id": str, "root": str},
    "running": {"set_id": str, "root": str},
    "restored": {"set_id": str, "root": str, "databases": dict, "files": dict, "sqlite": dict, "storage": str},
}
_NO_CONTENT = {"lost+found"}


def read(state_dir: str) -> dict[str, t.Any]:
    """Return the record in I(state_dir); an absent or damaged one is empty."""
    try:
        with open(os.path.join(state_dir, RECORD), encoding="ascii") as stream:
            record = json.load(stream)
    except (FileNotFoundError, ValueError):
        return {}
    fields = _FIELDS.get(str(record.get("state"))) if isinstance(record, dict) else None
    return record if fields and all(isinstance(record.get(name), kind) for name, kind in fields.items()) else {}


def write(state_dir: str, record: t.Mapping[str, t.Any]) -> None:
    """Store the record, private to its account."""
    make_private_directory(state_dir)
    write_json(os.path.join(state_dir, RECORD), dict(record))


def content(root: str) -> list[str]:
    """Return the names in the directory I(root), empty for a missing or an empty one. Safety copies do not count.

    :raises SeafileError: C(target-not-directory).
    """
    try:
        return sorted(name for name in set(os.listdir(root)) - _NO_CONTENT if not name.startswith(KEPT))
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise SeafileError("target-not-directory", root, "something that is no directory is in the place of the Seafile directory") from None


def set_aside(root: str, moment: str) -> str | None:
    """Move what is in I(root) out of the way by rename, losing nothing; return where it is now, None if there was nothing.

    A root that is a link stays one: what it leads to is moved. A root that cannot be renamed (a mount point, a parent
    without rights) keeps its place; its contents go into a directory inside. An interrupted move is continued.
    """
    names = content(root)
    if not names:
        return None
    root = os.path.realpath(root)
    aside = place_aside(root, moment)
    if not os.path.lexists(aside) and not os.path.ismount(root):
        try:
            os.rename(root, aside)
            sync_directory(os.path.dirname(aside))
            return aside
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM):
                raise
    aside = os.path.join(root, KEPT + moment)
    os.makedirs(aside, mode=0o700, exist_ok=True)
    for name in names:
        os.rename(os.path.join(root, name), os.path.join(aside, name))
    sync_directory(root)
    return aside


def place_aside(root: str, moment: str) -> str:
    """Return where :func:`set_aside` puts what is in I(root), unless that cannot be renamed."""
    real = os.path.realpath(root)
    return os.path.join(real, KEPT + moment) if os.path.ismount(real) else f"{real}.before-{moment}"


def is_of(record: t.Mapping[str, t.Any], set_id: str, root: str, older: t.Mapping[str, t.Any]) -> bool:
    """Whether I(record) is that of a restore of this very state: the set, into this directory, with these libraries from older sets.

    With other libraries from older sets other objects belong to it, and newer ones beside an older head make clients delete files.
    """
    return (record.get("set_id"), record.get("root"), record.get("older") or {}) == (set_id, root, dict(older))


def continues(record: t.Mapping[str, t.Any], set_id: str, root: str, older: t.Mapping[str, t.Any]) -> bool:
    """Whether I(record) is that of a restore of this very state that was interrupted after the place was cleared."""
    return record.get("state") == "running" and is_of(record, set_id, root, older)


def clear(root: str, state_dir: str, set_id: str, moment: str, act: bool, older: t.Mapping[str, t.Any] | None = None) -> dict[str, t.Any]:
    """Make I(root) ready to receive the set I(set_id): empty, private, noted as being restored.

    A restore of the same state that was interrupted is continued: what it has brought stays. One that was interrupted while
    it moved things aside has brought nothing: clearing begins anew, and where the first things went is remembered.

    :arg older: which libraries come from older sets: library id to head.

    :returns: C(changed), C(continued), C(safety_directory) (path or None), C(earlier) (safety copies of restores that have
        not ended).
    """
    record = read(state_dir)
    older = dict(older or {})
    if continues(record, set_id, root, older):
        return {"changed": False, "continued": True, "safety_directory": record.get("safety_directory"), "earlier": record.get("earlier", [])}
    names = content(root)
    earlier: list[str] = []
    if record.get("root") == root and record.get("state") in ("clearing", "running"):
        known = [*record.get("earlier", []), record.get("safety_directory"), record.get("safety_directory_inside")]
        earlier = [path for path in known if path and os.path.lexists(path)]
    planned = place_aside(root, moment) if names else None
    if not act:
        return {"changed": True, "continued": False, "safety_directory": planned, "earlier": earlier}
    record = {"state": "clearing", "set_id": set_id, "root": root, "began": moment, "safety_directory": planned, "earlier": earlier,
              "older": older}
    write(state_dir, dict(record, safety_directory_inside=os.path.join(os.path.realpath(root), KEPT + moment)))
    aside = set_aside(root, moment)
    real = os.path.realpath(root)
    os.makedirs(real, mode=0o755, exist_ok=True)
    # Half a deployment is nobody's to read or to start; the recorded mode comes at the end.
    os.chmod(real, 0o700)
    record.update(state="running", safety_directory=aside)
    write(state_dir, record)
    return {"changed": True, "continued": False, "safety_directory": aside, "earlier": earlier}


def bring_programs(root: str, copies: t.Iterable[str], name: str | None) -> str | None:
    """Copy the programs I(name) (a directory such as C(seafile-server-11.0.13)) out of the first of I(copies) that has them into I(root).

    They are no part of a backup, and went aside with all else: without them nothing could be started after the restore.
    Of a copy that was killed nothing is taken for whole.

    :arg copies: safety copies, the latest first.
    :returns: I(name) when it was copied, None when it was there already or is nowhere.
    """
    if not name or os.path.basename(name) != name or name.startswith(".") or os.path.lexists(os.path.join(root, name)):
        return None
    for copy in copies:
        source = os.path.join(copy, name)
        if os.path.isdir(source) and not os.path.islink(source):
            partial = os.path.join(root, f".{name}.partial")
            if os.path.lexists(partial):
                shutil.rmtree(partial)
            argv = ["cp", "--archive", "--reflink=auto", "--", source, partial]
            # this file is called without an AnsibleModule, so there is no run_command here
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(os.environ, LC_ALL="C"), check=False)
            if done.returncode != 0:
                said = done.stderr.decode("utf-8", "replace").strip().splitlines()[:1]
                full = any("No space left" in line for line in said)
                raise SeafileError("no-space" if full else "os-error", source, f"the programs cannot be copied into {root} ({' '.join(said)})")
            os.rename(partial, os.path.join(root, name))
            return name
    return None


def read_object_list(path: str) -> list[str]:
    """Return the relative paths in a NUL-separated list."""
    with open(path, "rb") as stream:
        return [os.fsdecode(name) for name in stream.read().split(b"\0") if name]


def _wrong_files(root: str, sums: t.Mapping[str, str]) -> t.Iterator[str]:
    for name, expected in sums.items():
        path = os.path.join(root, name)
        try:
            if sets.file_sha256(path) != expected:
                yield f"{name} differs"
        except OSError:
            yield f"{name} is missing"


def _wrong_objects(storage: str, names: t.Iterable[str]) -> t.Iterator[str]:
    for name in names:
        try:
            found = os.lstat(os.path.join(storage, name))
        except OSError:
            yield f"object {name} is missing"
            continue
        if not stat.S_ISREG(found.st_mode) or found.st_size == 0:
            yield f"object {name} is damaged"


def differences(record: t.Mapping[str, t.Any], state_dir: str, databases: t.Mapping[str, t.Any]) -> list[str]:
    """Return what is no longer as I(record) says it was restored; empty when everything is.

    :arg databases: fingerprints of the MySQL databases now, by name.
    """
    if record.get("state") != "restored":
        return ["no restore has ended here"]
    root = record["root"]
    wrong = [f"database {name} differs" for name, expected in record["databases"].items() if databases.get(name) != expected]
    for source in (_wrong_files(root, record["files"]), _wrong_files(root, record["sqlite"])):
        wrong += list(source)
    try:
        if not wrong:
            names = read_object_list(os.path.join(state_dir, OBJECT_LIST))
            wrong += list(_wrong_objects(os.path.join(root, record["storage"]), names))
        if not wrong:
            recorded = attributes.read(os.path.join(state_dir, ATTRIBUTES))
            count, missing = attributes.apply(root, recorded, False, record.get("owner"), record.get("group"))
            wrong += _wrong_attributes(count, missing)
    except SeafileError as error:
        wrong.append(f"{error.what}: {error.cause}")
    except OSError as error:
        wrong.append(f"{error.filename}: {error.strerror}")
    return wrong


def _wrong_attributes(count: int, missing: t.Sequence[str]) -> list[str]:
    wrong = [f"{name} is missing" for name in missing]
    if count:
        wrong.append(f"{count} owners or modes differ")
    return wrong


def finish(state_dir: str, moment: str, databases: t.Mapping[str, t.Any], sqlite: t.Iterable[str], sums: t.Mapping[str, str],
           **more: t.Any) -> dict[str, t.Any]:
    """Record that the restore which is noted as running has ended well; return the record.

    :arg sqlite: relative paths of the restored SQLite files.
    :arg sums: the set's checksums by path in the set.
    """
    record = read(state_dir)
    root = record["root"]
    record.update(
        state="restored", ended=moment, databases=dict(databases),
        sqlite={name: sets.file_sha256(os.path.join(root, name)) for name in sqlite},
        files={name[len("files/"):]: value for name, value in sums.items() if name.startswith("files/")}, **more)
    write(state_dir, record)
    return record
