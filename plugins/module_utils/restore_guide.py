# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RESTORE.md: how to restore this server by hand, with stock tools and without this collection.

Written anew at every sealing, for the newest set. A test runs its commands literally.
"""

from __future__ import annotations

import os
import shlex
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import compression
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout

_HEAD = """# Restore {server} by hand

This directory is the backup of one Seafile server. No special program is needed to restore it: {programs_needed}
and {client} are enough, as root. With Ansible at hand, `ansible-playbook seafleet.seafile.restore` does the same and checks
more: it copies only the objects that the chosen set can reach, keeps what was there, and proves the result.

- `sets/<set id>/` is one backup: `databases/` (a dump of every database), `files/` (configuration and all other files),
  `attributes.json` (owner and mode of every file), `manifest.json`, `SHA256SUMS`. The id is the UTC time of the dump.
- `objects/` holds the contents of all libraries, shared by all sets. Objects are never changed, only added.
- A directory `sets/.<set id>.partial` is a run that did not end. Do not restore it.
- Is a set proven? `sets/<set id>.verification.txt` says in words what its newest verification found: VERIFIED (every object that
  its databases point at is here and intact) or DAMAGED, with the libraries and files. A set without this file, and without
  `"verification"` in its `manifest.json`, was never verified. {state}
- Do not choose a damaged set: take the newest one that is verified. Is there none, or do you need just that set, then know
  before you start that the files which its page names will not open.

## Commands

Set the four names, then run the rest as root. Stop Seafile first. The target directory must not exist yet, or be empty:
move an old one aside, never restore over it.

```sh
set -eu
BACKUP={root}
SET={set_id}
TARGET={target}
OWNER={owner}
```

1. Is the set as it was sealed? This prints nothing when it is.

```sh
(cd "$BACKUP/sets/$SET" && sha256sum --quiet --check SHA256SUMS)
```

2. Files and objects.

```sh
mkdir -p "$TARGET/"{storage}
rsync -a "$BACKUP/sets/$SET/files/" "$TARGET/"
rsync -aH --chmod=D0755,F0600 "$BACKUP/objects/" "$TARGET/"{storage}/
```

3. Databases.

```sh
{databases}
```

4. The owner, before anything is started: with the wrong one Seafile finds every library broken and changes its database.

```sh
mkdir -p {directories}
chown -hR -- "$OWNER" "$TARGET"
chmod 0755 "$TARGET"
```

5. Unpack Seafile {version} into the target directory ({programs}), then start it.

## When the set is not the newest one

`objects/` also holds what was written after an older set. Desktop clients that had synchronised newer files would then
delete them. Before starting Seafile, make all clients synchronise anew:

    {tokens}

That stops clients only until a user logs out and in again. Let users copy newer files out of their synchronised folders before that.
"""


def _unpack(file: str) -> str:
    """Return the command that writes the text of the dump I(file)."""
    program = "zstd -dcq" if compression.is_zstd(file) else "gunzip -c"
    return f'{program} "$BACKUP/sets/$SET/databases/"{shlex.quote(file)}'


def _sqlite(databases: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    lines = []
    for dump in databases:
        target = shlex.quote(dump["name"])
        lines.append(f'mkdir -p "$(dirname "$TARGET/"{target})"')
        lines.append(f'{_unpack(dump["file"])} | sqlite3 -bail "$TARGET/"{target}')
    return lines


def _identifier(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _mysql(databases: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    lines = []
    for dump in databases:
        charset = f" CHARACTER SET {dump['character_set']} COLLATE {dump['collation']}" if dump.get("character_set") and dump.get("collation") else ""
        lines.append(f"printf '%s\\n' {shlex.quote('CREATE DATABASE ' + _identifier(dump['name']) + charset + ';')} | mariadb")
        lines.append(
            f"{_unpack(dump['file'])} | mariadb --default-character-set=utf8mb4 --max-allowed-packet=1G --database={shlex.quote(dump['name'])}")
    return lines


def _tokens(engine: str, databases: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    name = next((dump["name"] for dump in databases if dump.get("role") == "seafile"), "seafile-db")
    statement = "DELETE FROM RepoUserToken;"
    if engine == "sqlite":
        return f'sqlite3 "$TARGET/"{shlex.quote(name)} "{statement}"'
    return f"printf '%s\\n' '{statement}' | mariadb --database={shlex.quote(name)}"


_STATES = {
    "verified": "When this page was written, the set {set_id} was verified.",
    "damaged": "When this page was written, the set {set_id} was DAMAGED: do not restore it, set SET below to an older one that is verified.",
}


def _state(manifest: t.Mapping[str, t.Any]) -> str:
    words = _STATES.get(str(_mapping(manifest.get("verification")).get("state")), "When this page was written, the set {set_id} was not verified.")
    return words.format(set_id=manifest["set_id"])


def _mapping(value: t.Any) -> t.Mapping[str, t.Any]:
    return value if isinstance(value, dict) else {}


def render(manifest: t.Mapping[str, t.Any], layout: ServerLayout) -> str:
    """Return the text of RESTORE.md for the set of I(manifest)."""
    seafile = _mapping(manifest.get("seafile"))
    owner = _mapping(seafile.get("owner"))
    databases = manifest.get("databases", [])
    mysql = [dump for dump in databases if dump["engine"] == "mysql"]
    sqlite = [dump for dump in databases if dump["engine"] == "sqlite"]
    lines = _mysql(mysql) + _sqlite(sqlite)
    if mysql:
        lines.append("# then create the account of Seafile's configuration and grant it all rights on these databases")
    engine = "mysql" if mysql else "sqlite"
    client = " and ".join(name for name, dumps in (("`mariadb` (or `mysql`)", mysql), ("`sqlite3`", sqlite)) if dumps)
    unpackers = sorted({"`zstd`" if compression.is_zstd(dump["file"]) else "`gunzip`" for dump in databases}) or ["`gunzip`"]
    storage = seafile.get("storage_path") or "seafile-data/storage"
    directories = [os.path.join(os.path.dirname(storage), name) for name in ("httptemp", "tmpfiles")] + ["logs", "pids"]
    programs = seafile.get("programs")
    return _HEAD.format(
        server=manifest["server"], state=_state(manifest), client=client, programs_needed=", ".join(["`rsync`"] + unpackers),
        root=shlex.quote(layout.root), set_id=manifest["set_id"],
        target=shlex.quote(seafile.get("root") or "/opt/seafile"),
        owner=shlex.quote(f"{owner.get('user', 'seafile')}:{owner.get('group', 'seafile')}"),
        storage=shlex.quote(storage), databases="\n".join(lines),
        directories=" ".join(f'"$TARGET/"{shlex.quote(name)}' for name in directories),
        version=seafile.get("version") or "of the same version",
        programs=f"its directory was {programs}" if programs else "its programs are no part of a backup",
        tokens=_tokens(engine, databases))
