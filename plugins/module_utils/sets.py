# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets: manifest, checksums, states, and the list of them. Reads and writes below C(sets/) only."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import stat
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import verification_record
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, new_set_id, set_time

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
FAILURE = "failure.json"
MANIFEST_FORMAT = 1
MOST_AHEAD = datetime.timedelta(minutes=10)
"""How far the newest set may lie in the future of this host's clock: small steps of NTP, and ids bumped by a second."""
_CHUNK = 1 << 20
_PARTIAL = re.compile(r"\.([0-9]{8}T[0-9]{6}Z)\.partial")


def file_sha256(path: str) -> str:
    """Return the SHA-256 of the regular file I(path), in hexadecimal; a link is never followed."""
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        while True:
            block = stream.read(_CHUNK)
            if not block:
                return digest.hexdigest()
            digest.update(block)


def _give_up(error: OSError) -> None:
    raise error


def links(directory: str) -> dict[str, str]:
    """Return relative path and target of every symbolic link below I(directory)."""
    found = {}
    for folder, names, files in os.walk(directory, onerror=_give_up):
        for name in names + files:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                found[os.path.relpath(path, directory)] = os.readlink(path)
    return found


def regular_files(directory: str) -> t.Iterator[str]:
    """Yield the paths, relative to I(directory), of all regular files below it, sorted; links are not followed.

    :raises OSError: for a directory that cannot be listed: what is in it must not be passed over.
    """
    for folder, names, files in os.walk(directory, onerror=_give_up):
        names.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                yield os.path.relpath(path, directory)


def format_sums(sums: t.Mapping[str, str]) -> bytes:
    """Return I(sums) (relative path to SHA-256) as C(sha256sum -c) reads it, odd names escaped as it does."""
    lines = []
    for path in sorted(sums):
        name = os.fsencode(path)
        escaped = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
        lines.append((b"\\" if escaped != name else b"") + sums[path].encode("ascii") + b"  " + escaped + b"\n")
    return b"".join(lines)


def parse_sums(text: bytes) -> dict[str, str]:
    """Return relative path to SHA-256 from a C(SHA256SUMS) file.

    :raises SeafileError: C(set-damaged) for a line of another form, or a path that leaves the set.
    """
    sums = {}
    for line in text.split(b"\n"):
        if not line:
            continue
        match = re.fullmatch(rb"(\\?)([0-9a-f]{64})  (.+)", line, re.DOTALL)
        if not match:
            raise SeafileError("set-damaged", SUMS, "a line is not of the form '<sha256>  <path>'")
        name = match.group(3)
        if match.group(1):
            name = re.sub(rb"\\(.)", lambda m: {b"n": b"\n", b"r": b"\r"}.get(m.group(1), m.group(1)), name)
        path = os.fsdecode(name)
        if os.path.isabs(path) or ".." in path.split("/"):
            raise SeafileError("set-damaged", SUMS, f"the path {path} leaves the set")
        sums[path] = match.group(2).decode("ascii")
    return sums


def check_sums(directory: str) -> list[str]:
    """Re-hash the whole set in I(directory); return what is wrong, one sentence each, empty when all is as sealed."""
    try:
        with open(os.path.join(directory, SUMS), "rb") as stream:
            sums = parse_sums(stream.read())
    except FileNotFoundError:
        return [f"{SUMS} is missing"]
    except SeafileError as error:
        return [f"{error.what}: {error.cause}"]
    except OSError as error:
        return [f"{SUMS} cannot be read ({error.strerror})"]
    wrong = []
    present = set(regular_files(directory)) - {SUMS}
    for path in sorted(set(sums) | present):
        if path not in present:
            wrong.append(f"{path} is missing")
        elif path not in sums:
            wrong.append(f"{path} was added after sealing")
        else:
            try:
                if file_sha256(os.path.join(directory, path)) != sums[path]:
                    wrong.append(f"{path} was changed after sealing")
            except OSError as error:
                wrong.append(f"{path} cannot be read ({error.strerror})")
    if MANIFEST not in sums:
        wrong.append(f"{MANIFEST} is not covered by {SUMS}")
    if not wrong:
        wrong = _wrong_links(directory)
    return wrong


def _wrong_links(directory: str) -> list[str]:
    """Compare the links with the manifest, for SHA256SUMS has no form for them; a manifest that tells none is not asked."""
    try:
        expected = read_manifest(directory).get("links")
    except SeafileError as error:
        return [f"{error.what}: {error.cause}"]
    if not isinstance(expected, dict):
        return []
    now = links(directory)
    return [f"the link {path} was changed, added or removed after sealing" for path in sorted(set(now) | set(expected)) if now.get(path) != expected.get(path)]


def read_manifest(directory: str) -> dict[str, t.Any]:
    """Return the manifest of the sealed set in I(directory).

    :raises SeafileError: C(set-damaged) when it is missing, no JSON, of an unknown format, or another set's.
    """
    path = os.path.join(directory, MANIFEST)
    try:
        with open(path, encoding="utf-8") as stream:
            manifest = json.load(stream)
    except FileNotFoundError:
        raise SeafileError("set-damaged", path, "the manifest is missing") from None
    except ValueError as error:
        raise SeafileError("set-damaged", path, f"the manifest is no JSON ({error})") from None
    except OSError as error:
        raise SeafileError("set-damaged", path, f"the manifest cannot be read ({error.strerror})") from None
    if not isinstance(manifest, dict) or manifest.get("format") != MANIFEST_FORMAT:
        raise SeafileError("set-damaged", path, f"the manifest is not of format {MANIFEST_FORMAT}")
    if manifest.get("set_id") != os.path.basename(directory).strip(".").partition(".")[0]:
        raise SeafileError("set-damaged", path, f"the manifest is that of the set {manifest.get('set_id')}")
    require_dumps(manifest.get("databases"), path)
    return manifest


def require_dumps(dumps: t.Any, what: str) -> list[dict[str, t.Any]]:
    """Return I(dumps) when it is a list of dumps as the dump modules return them (docs/interfaces.md).

    :raises SeafileError: C(set-damaged), naming I(what), when it is not.
    """
    if not isinstance(dumps, list) or not all(isinstance(dump, dict) for dump in dumps):
        raise SeafileError("set-damaged", what, "its databases are not a list of dumps")
    for dump in dumps:
        for key in ("name", "engine", "file", "sha256"):
            if not isinstance(dump.get(key), str) or not dump[key]:
                raise SeafileError("set-damaged", what, f"the dump {dump.get('name')} has no {key}")
        if dump["engine"] not in ("mysql", "sqlite") or os.path.basename(dump["file"]) != dump["file"] or dump["file"].startswith("."):
            raise SeafileError("set-damaged", what, f"the dump {dump['name']} is of an unknown kind or place")
        if dump["engine"] == "sqlite" and (os.path.isabs(dump["name"]) or ".." in dump["name"].split("/")):
            raise SeafileError("set-damaged", what, f"the dump {dump['name']} would leave the Seafile directory")
    return dumps


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


def sealed_ids(layout: ServerLayout) -> list[str]:
    """Return the ids of all sealed sets, oldest first."""
    return [name for name in _names(layout.sets) if set_time(name) and os.path.isdir(layout.sealed(name))]


def partial_ids(layout: ServerLayout) -> list[str]:
    """Return the ids of all partial sets, oldest first."""
    return [match.group(1) for match in map(_PARTIAL.fullmatch, _names(layout.sets)) if match and set_time(match.group(1))]


def next_set_id(layout: ServerLayout, now: datetime.datetime) -> str:
    """Return a set id for I(now) that is later than every set there is; ids only ever grow.

    :raises SeafileError: C(clock) when a set from more than :data:`MOST_AHEAD` in the future is there.
    """
    taken = sorted(sealed_ids(layout) + partial_ids(layout))
    candidate = new_set_id(now)
    if not taken or candidate > taken[-1]:
        return candidate
    newest = t.cast(datetime.datetime, set_time(taken[-1]))
    if newest - now > MOST_AHEAD:
        raise SeafileError("clock", layout.root, f"the set {taken[-1]} is from the future of this host's clock ({candidate})")
    return new_set_id(newest + datetime.timedelta(seconds=1))


def directory_bytes(directory: str) -> int:
    """Return the bytes of the regular files below I(directory), hard links counted each time."""
    return sum(os.lstat(os.path.join(directory, path)).st_size for path in regular_files(directory))


def describe(layout: ServerLayout, set_id: str, sealed: bool) -> dict[str, t.Any]:
    """Return the catalogue's row of one set: id, state, times, sizes, reasons, verification. Never raises for a damaged set.

    A sealed set is V(verified) or V(damaged) by its newest record of a verification, and V(sealed) without one. The row's
    C(verification) is that record without its lists of objects, or None.
    """
    if not sealed:
        directory = layout.partial(set_id)
        row: dict[str, t.Any] = {"set_id": set_id, "state": "partial", "path": directory, "reasons": []}
        try:
            with open(os.path.join(directory, FAILURE), encoding="utf-8") as stream:
                row["reasons"] = [str(json.load(stream)["reason"])]
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return row
    return look(layout, set_id)[0]


def look(layout: ServerLayout, set_id: str) -> tuple[dict[str, t.Any], dict[str, t.Any] | None, dict[str, t.Any] | None]:
    """Return the row of a sealed set as :func:`describe` does, its manifest, and the record that decides its state; None for what there is not."""
    directory = layout.sealed(set_id)
    row: dict[str, t.Any] = {"set_id": set_id, "state": "sealed", "path": directory, "reasons": [], "verification": None}
    try:
        manifest = read_manifest(directory)
    except SeafileError as error:
        row.update(state="damaged", reasons=[f"{error.what}: {error.cause}"])
        return row, None, None
    for key in ("began", "sealed", "server", "engine", "bytes", "libraries"):
        row[key] = manifest.get(key)
    seafile = manifest.get("seafile")
    row["version"] = seafile.get("version") if isinstance(seafile, dict) else None
    row["databases"] = [dump["name"] for dump in manifest["databases"]]
    record, problem = verification_record.newest(layout, set_id, manifest)
    if problem:
        row["reasons"] = [problem]
    if record:
        row.update(state=record["state"], verification=verification_record.summary(record))
        if record["state"] == verification_record.DAMAGED:
            row["reasons"] = list(record["reasons"])
    return row, manifest, record


def catalogue(layout: ServerLayout) -> list[dict[str, t.Any]]:
    """Return one row a set, newest first."""
    rows = [describe(layout, set_id, True) for set_id in sealed_ids(layout)]
    rows += [describe(layout, set_id, False) for set_id in partial_ids(layout)]
    # one that was removed while it was looked at is not damaged, it is gone
    rows = [row for row in rows if "began" in row or os.path.lexists(row["path"])]
    return sorted(rows, key=lambda row: row["set_id"], reverse=True)
