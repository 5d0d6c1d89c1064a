# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups with one sealed set each, made of a storage directory and a dump, and the modules that read libraries run on them."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import types

from ansible_collections.seafleet.seafile.plugins.modules import library_export, library_info

SET_ID = "20261123T030000Z"
DEFAULTS = dict(set_id=None, library=None, path="/", commit=None)


def make_set(root, server, storage, dump, set_id=SET_ID):
    """Write what a sealed set of I(server) is below the backup I(root): its dump and manifest, and the objects by a link."""
    base = pathlib.Path(root, server)
    databases = base / "sets" / set_id / "databases"
    databases.mkdir(parents=True)
    if not os.path.lexists(base / "objects"):
        os.symlink(storage, base / "objects")
    shutil.copy(dump, databases / "seafile-db.sql.gz")
    digest = hashlib.sha256((databases / "seafile-db.sql.gz").read_bytes()).hexdigest()
    entry = {"name": "seafile-db", "role": "seafile", "engine": "mysql", "file": "seafile-db.sql.gz", "sha256": digest}
    manifest = {"format": 1, "set_id": set_id, "server": server, "began": "2026-11-23T03:00:00Z", "databases": [entry]}
    (databases.parent / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return databases.parent


class Backup:
    """One server's backup, and its modules."""

    def __init__(self, root, server, storage, dump):
        self.root, self.server, self.storage = pathlib.Path(root), server, str(storage)
        self.set = make_set(root, server, storage, dump)

    def _run(self, action, check_mode, params):
        given = dict(DEFAULTS, backup_root=str(self.root), server=self.server, **params)
        return action(types.SimpleNamespace(params=given, check_mode=check_mode, _diff=True))

    def info(self, **params):
        return self._run(library_info.inform, False, dict({"history": 0}, **params))

    def export(self, dest, check_mode=False, **params):
        return self._run(library_export.export, check_mode, dict({"dest": str(dest), "password": None, "accept_refused": False}, **params))


def tree_of(directory):
    """Return {relative path: content, or None for a folder} of all that lies below I(directory), links as their target."""
    found = {}
    for folder, names, files in os.walk(os.fsencode(directory)):
        for name in names + files:
            path = os.path.join(folder, name)
            shown = os.fsdecode(os.path.relpath(path, os.fsencode(directory)))
            if os.path.islink(path):
                found[shown] = "-> " + os.fsdecode(os.readlink(path))
            elif os.path.isdir(path):
                found[shown] = None
            else:
                with open(path, "rb") as stream:
                    found[shown] = stream.read()
    return found
