# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployments in tests/fixtures that real servers wrote, as unit tests use them."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import shutil
import sqlite3
import tarfile

FIXTURES = pathlib.Path(__file__).resolve().parents[3] / "fixtures"
NAMES = ("seafile-7-sqlite", "seafile-11-sqlite", "seafile-11-mariadb")


def manifest(name):
    """The truth about the deployment I(name)."""
    return json.loads((FIXTURES / name / "MANIFEST.json").read_text(encoding="utf-8"))


def unpack(name, directory):
    """Unpack the deployment's regular files below I(directory); return its haiwen directory."""
    with tarfile.open(FIXTURES / name / "haiwen.tar.gz") as archive:
        for member in archive:
            target = pathlib.Path(directory, member.name)
            if member.islnk():  # Seafile's copy of a file into another library is a hard link
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(pathlib.Path(directory, member.linkname), target)
            elif member.isfile():
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.extractfile(member) as source, open(target, "wb") as stream:
                    shutil.copyfileobj(source, stream)
    return pathlib.Path(directory, "haiwen")


def dump(name, haiwen, directory):
    """Return the path of a dump of the deployment's Seafile database; for SQLite one is made in I(directory)."""
    if "sqlite" not in name:
        return FIXTURES / name / "seafile-db.sql.gz"
    path = pathlib.Path(directory, f"{name}.sql.gz")
    connection = sqlite3.connect(f"file:{haiwen}/seafile-data/seafile.db?mode=ro", uri=True)
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        for statement in connection.iterdump():
            stream.write(statement + "\n")
    connection.close()
    return path


class Unpacked:
    """Deployments unpacked when first asked for: ansible-test runs every test in a process of its own."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.ready = {}

    def __getitem__(self, name):
        """C((haiwen directory, dump of its Seafile database)); neither may be changed."""
        if name not in self.ready:
            directory = self.directory / name
            directory.mkdir()
            haiwen = unpack(name, directory)
            self.ready[name] = (haiwen, dump(name, haiwen, directory))
        return self.ready[name]


def damaged_copy(haiwen, directory, damage):
    """Return a copy of the deployment (hard links) with one entry of damage.json applied."""
    copy = copied(haiwen, directory)
    apply_damage(copy, damage)
    return copy


def copied(haiwen, directory):
    """Return a copy of the deployment (hard links)."""
    copy = pathlib.Path(directory, "haiwen")
    shutil.copytree(haiwen, copy, copy_function=os.link)
    return copy


def apply_damage(copy, damage):
    """Apply one entry of damage.json to a copy of the deployment."""
    for name in damage["paths"]:
        path = copy.parent / name
        if damage["name"] == "stray_files":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"left over")
            continue
        content = path.read_bytes()
        path.unlink()
        if damage["name"].startswith("bitflip_"):
            path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
        elif damage["name"].startswith("truncated_"):
            path.write_bytes(content[:200])
        else:
            assert damage["name"].startswith("missing_")
