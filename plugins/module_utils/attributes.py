# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owner, group and mode of every file of a deployment: recorded beside the dumps, applied after a restore.

The backup itself keeps everything private (0700, 0600) and may be held by an account that cannot own other people's
files, so the truth about owners and modes is data of the set, not attributes of its files.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import stat
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import OBJECT_KINDS
from ansible_collections.seafleet.seafile.plugins.module_utils.places import missing_directories

FORMAT = 1
_TYPES = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l"}


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _mode(kind: str, mode: int) -> int:
    """Return I(mode) without what no file of a deployment needs: a set must not be a way to a set-user-id program."""
    return mode & (0o777 if kind == "f" else 0o3777)


def _entry(path: str) -> dict[str, str] | None:
    found = os.lstat(path)
    kind = _TYPES.get(stat.S_IFMT(found.st_mode))
    if kind is None:
        return None  # sockets, fifos and devices are made anew by whoever needs them
    entry = {"type": kind, "mode": f"{_mode(kind, stat.S_IMODE(found.st_mode)):04o}", "user": _user(found.st_uid), "group": _group(found.st_gid)}
    if kind == "l":
        entry["target"] = os.readlink(path)
    return entry


def record(root: str, storage: str, shallow: t.Collection[str], skipped: t.Collection[str]) -> dict[str, t.Any]:
    """Return the attributes of everything below I(root).

    :arg storage: relative path of the object store; its three kinds are recorded as directories, their objects are not
        looked at (all of them belong to the Seafile account and have mode 0600).
    :arg shallow: relative paths of directories recorded without their contents (logs, temporary files).
    :arg skipped: relative paths left out entirely (programs, staging).
    :returns: C({"format", "storage", "entries": {relative path: {type, mode, user, group, target?}}}); C(.) is the root.
    """
    entries = {}
    shallow = set(shallow) | {os.path.join(storage, kind) for kind in OBJECT_KINDS}
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            here = os.path.join(root, folder) if folder else root
            entry = _entry(os.path.realpath(here) if folder == storage else here)
            if folder in shallow:
                names = []
            else:
                with os.scandir(here) as found:
                    names = sorted(found, key=lambda item: item.name)
        except (FileNotFoundError, NotADirectoryError):
            if not folder:
                raise
            continue  # gone between the listing and the look
        if entry:
            entries[folder or "."] = entry
        for item in names:
            path = os.path.join(folder, item.name)
            if path in skipped:
                continue
            # an object store on another disk is restored as a directory in its place, not as a link
            if item.is_dir(follow_symlinks=path == storage):
                pending.append(path)
            else:
                try:
                    entry = _entry(item.path)
                except FileNotFoundError:
                    continue  # gone between the listing and the look
                if entry:
                    entries[path] = entry
    return {"format": FORMAT, "storage": storage, "entries": entries}


def write(path: str, value: t.Mapping[str, t.Any], uid: int, gid: int, check_mode: bool = False) -> bool:
    """Write the attributes I(value) to the file I(path), private to the account I(uid) and I(gid) (-1: this one); return whether that changes it.

    Directories above it that are missing are made for the same account. Only root can give something away; for others they stay their own.
    """
    changed = not _holds(path, value, uid, gid)
    if changed and not check_mode:
        # only what is made here is given away: the path may lead through directories of others
        made = missing_directories(os.path.dirname(path))
        make_private_directory(os.path.dirname(path))
        write_json(path, value)
        if os.geteuid() == 0:
            # from below: once the account has the directory, it could put a link in the place of the file
            for name in [path] + made[::-1]:
                os.lchown(name, uid, gid)
    return changed


def _holds(path: str, value: t.Mapping[str, t.Any], uid: int, gid: int) -> bool:
    """Say whether the file I(path) already is what would be written."""
    try:
        found = os.lstat(path)
        same = read(path) == value
    except (OSError, SeafileError):
        return False
    mine = os.geteuid() != 0 or (uid in (-1, found.st_uid) and gid in (-1, found.st_gid))
    return same and mine and stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600


def read(path: str) -> dict[str, t.Any]:
    """Return the attributes that were recorded in the file I(path).

    :raises SeafileError: C(attributes-damaged) when it is not such a file.
    """
    try:
        with open(path, encoding="ascii") as stream:
            value = json.load(stream)
        if value["format"] != FORMAT or not isinstance(value["storage"], str):
            raise ValueError(f"format {value['format']}")
        for name, entry in value["entries"].items():
            if not name or os.path.isabs(name) or ".." in name.split("/") or entry["type"] not in _TYPES.values():
                raise ValueError(f"entry {name!r}")
            if not isinstance(entry["user"], str) or not isinstance(entry["group"], str) or not 0 <= int(entry["mode"], 8) <= 0o7777:
                raise ValueError(f"entry {name!r}")
        if "." not in value["entries"] or os.path.isabs(value["storage"]) or ".." in value["storage"].split("/"):
            raise ValueError("no root, or storage outside it")
    except FileNotFoundError:
        raise SeafileError("attributes-damaged", path, "the file is missing") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SeafileError("attributes-damaged", path, f"it is not what was recorded ({error})") from None
    return value


def owners(attributes: t.Mapping[str, t.Any]) -> tuple[list[str], list[str]]:
    """Return (users, groups) that the recorded entries name, sorted."""
    entries = attributes["entries"].values()
    return sorted({entry["user"] for entry in entries}), sorted({entry["group"] for entry in entries})


class Accounts:
    """Names to numbers, on this host, each asked once. A name of digits only is a number that had no name."""

    def __init__(self) -> None:
        self._users: dict[str, int] = {}
        self._groups: dict[str, int] = {}

    def uid(self, name: str) -> int:
        """:raises SeafileError: C(account-missing)."""
        if name not in self._users:
            try:
                self._users[name] = pwd.getpwnam(name).pw_uid
            except KeyError:
                if not (name.isascii() and name.isdigit()):
                    raise SeafileError("account-missing", name, "this user does not exist on this host") from None
                self._users[name] = int(name)
        return self._users[name]

    def gid(self, name: str) -> int:
        """:raises SeafileError: C(account-missing)."""
        if name not in self._groups:
            try:
                self._groups[name] = grp.getgrnam(name).gr_gid
            except KeyError:
                if not (name.isascii() and name.isdigit()):
                    raise SeafileError("account-missing", name, "this group does not exist on this host") from None
                self._groups[name] = int(name)
        return self._groups[name]


def _set(path: str, uid: int, gid: int, mode: int | None, act: bool) -> bool:
    found = os.lstat(path)
    wrong_owner = (found.st_uid, found.st_gid) != (uid, gid)
    wrong_mode = mode is not None and not stat.S_ISLNK(found.st_mode) and stat.S_IMODE(found.st_mode) != mode
    if act and wrong_owner:
        os.lchown(path, uid, gid)
    # chown drops set-id bits, so the mode comes last
    if act and wrong_mode:
        os.chmod(path, t.cast(int, mode))
    return wrong_owner or wrong_mode


def _apply_to_objects(top: str, uid: int, gid: int, folder_mode: int, recorded: bool, act: bool) -> int:
    changed = 0
    for folder, dummy, files in os.walk(top, topdown=False):
        for name in files:
            changed += _set(os.path.join(folder, name), uid, gid, 0o600, act)
        if folder != top or not recorded:
            changed += _set(folder, uid, gid, folder_mode, act)
    return changed


def apply(root: str, attributes: t.Mapping[str, t.Any], act: bool, user: str | None = None, group: str | None = None) -> tuple[int, list[str]]:
    """Give everything below I(root) the recorded owner, group and mode; make recorded directories that are missing.

    What lies deepest comes first and I(root) last: as long as anything is to be done, nobody but this account can reach
    into a directory that still is private, and put a link in the place of a file.

    :arg act: change things; otherwise only count.
    :arg user: own everything by this user instead (a host where the recorded one is called otherwise); same for I(group).
    :returns: number of paths changed, and recorded names that are not there or are of another type.
    :raises SeafileError: C(account-missing) before anything is changed.
    """
    accounts = Accounts()
    entries = attributes["entries"]
    for name in owners(attributes)[0] if user is None else [user]:
        accounts.uid(name)
    for name in owners(attributes)[1] if group is None else [group]:
        accounts.gid(name)
    changed = 0
    missing = []
    made = set()
    real_root = os.path.realpath(root)
    for name in sorted(name for name, entry in entries.items() if entry["type"] == "d"):  # parents before what is in them
        path = _path(root, name)
        if os.path.lexists(path) or not _is_ours(path, name, real_root):
            continue
        made.add(name)
        if act:
            os.mkdir(path, 0o700)
    storage = attributes["storage"]
    top = entries.get(storage) or entries.get("seafile-data") or entries["."]
    for kind in OBJECT_KINDS:
        name = os.path.join(storage, kind)
        recorded = next((entry for entry in (entries.get(name), top) if entry and entry["type"] == "d"), None)
        # a data directory that is a link has no mode of its own to go by
        folder_mode = _mode("d", int(recorded["mode"], 8)) if recorded else 0o700
        if os.path.isdir(_path(root, name)):
            changed += _apply_to_objects(
                _path(root, name), accounts.uid(user or top["user"]), accounts.gid(group or top["group"]), folder_mode, name in entries, act)
    for name in sorted(entries, key=_depth, reverse=True):
        entry, path = entries[name], _path(root, name)
        if not _is_ours(path, name, real_root):
            continue  # below a link that leads out of the deployment
        if name in made:
            changed += 1
            if not act:
                continue
        found = _TYPES.get(stat.S_IFMT(os.lstat(path).st_mode)) if os.path.lexists(path) else None
        if found != entry["type"] and not (name == "." and os.path.isdir(path)):
            missing.append(name)
            continue
        uid, gid = accounts.uid(user or entry["user"]), accounts.gid(group or entry["group"])
        touched = _set(path, uid, gid, _mode(entry["type"], int(entry["mode"], 8)), act)
        if name not in made:
            changed += touched
    return changed, sorted(missing)


def _path(root: str, name: str) -> str:
    return os.path.realpath(root) if name == "." else os.path.join(root, name)


def _depth(name: str) -> int:
    return -1 if name == "." else name.count("/")


def _is_ours(path: str, name: str, real_root: str) -> bool:
    """Say whether I(path) lies below the deployment when the links above it are resolved."""
    parent = os.path.realpath(os.path.dirname(path))
    return name == "." or parent == real_root or parent.startswith(real_root + "/")
