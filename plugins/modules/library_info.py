#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: library_info
short_description: List the libraries of a backup set, or a folder or the history of one
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Reads a backup set without Seafile and without a database server. Every object that is read is hashed first.
  - Without O(library) it lists the libraries; with it one folder of that library, and on request its history.
  - Names and sizes in encrypted libraries are not encrypted by Seafile; no password is needed to list them.
  - Runs on the backup host and changes nothing. The server itself may be down.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.server_backup]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  set_id:
    description:
      - The set to read, also a damaged one. An unknown or partial one fails.
      - Default is the newest verified set, else the newest sealed one; newer ones that are passed over are told in RV(notes).
    type: str
  library:
    description:
      - The library's id, or its name where only one has it. A library in use goes before one in the trash.
      - Without it all libraries are listed.
    type: str
  path:
    description: The folder to list, from the library's own folder on, such as V(/Projects/2026). A file is listed alone.
    type: str
    default: /
  commit:
    description: An older state of the library, by the id of its commit, which RV(commits) lists. Default is the head of the set.
    type: str
  history:
    description: List this many of the library's newest commits too.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: List the libraries of the newest set
  seafleet.seafile.library_info:
    backup_root: /srv/seafile-backup
    server: files.example.org

- name: List a folder as it was before the last twenty changes, at the most
  seafleet.seafile.library_info:
    backup_root: /srv/seafile-backup
    server: files.example.org
    library: Alice documents
    path: /Projekte
    history: 20
"""

RETURN = r"""
set:
  description: The set that was read, with C(set_id), C(state) and C(began).
  returned: success
  type: dict
  sample: {began: "2026-11-23T03:00:00Z", set_id: 20261123T030000Z, state: verified}
libraries:
  description: All libraries, sorted by name.
  returned: when O(library) is not given
  type: list
  elements: dict
  contains:
    id:
      description: The library's id.
      type: str
      returned: always
    name:
      description: Its name.
      type: str
      returned: always
    owner:
      description: The owner's account; null when the database has none.
      type: str
      returned: always
    kind:
      description: V(live), V(trash) (deleted, still recoverable) or V(orphan) (a leftover of a deletion, of which nothing must be there).
      type: str
      returned: always
    encrypted:
      description: Whether its content is encrypted; null when its head cannot be read.
      type: bool
      returned: always
    enc_version:
      description: The kind of its encryption, V(0) for none; null when its head cannot be read.
      type: int
      returned: always
    head:
      description: The id of its newest commit.
      type: str
      returned: always
    modified:
      description: When that was made.
      type: str
      returned: always
    bytes:
      description: Its size in bytes as Seafile itself has counted it; null when Seafile had not counted this very state.
      type: int
      returned: always
    origin:
      description: For a sub-library the library that it is a folder of.
      type: str
      returned: always
    origin_path:
      description: For a sub-library the folder that it is.
      type: str
      returned: always
    damage:
      description: Why its head cannot be read; null when it can.
      type: str
      returned: always
  sample:
    - {id: b0d6c8d0-d232-4563-9899-d92e9741eb8b, name: Alice documents, owner: alice@example.org, kind: live, encrypted: false, enc_version: 0,
       head: 7b544f01bf806b96db42edb8908a6bc3a36b5486, modified: "2026-11-20T14:05:41Z", bytes: 21021231, origin: null, origin_path: null, damage: null}
library:
  description: The library that was asked for, one row of RV(libraries).
  returned: when O(library) is given
  type: dict
commit:
  description: The commit that was listed.
  returned: when O(library) is given
  type: str
  sample: 7b544f01bf806b96db42edb8908a6bc3a36b5486
entries:
  description: The first 10000 entries of the folder, folders first, sorted by name.
  returned: when O(library) is given
  type: list
  elements: dict
  contains:
    name:
      description: The entry's name.
      type: str
      returned: always
    type:
      description: V(file) or V(folder).
      type: str
      returned: always
    bytes:
      description: A file's size; null for a folder, and in libraries of the oldest format (version 0).
      type: int
      returned: always
    modified:
      description: When it was changed; null where the library does not say.
      type: str
      returned: always
    id:
      description: The id of its fs object.
      type: str
      returned: always
  sample:
    - {name: Projekte, type: folder, bytes: null, modified: "2026-11-20T14:05:41Z", id: 0c3e8a6ffb4c7a1cbb51cb2e8e3a1a3e5e0fd3c1}
    - {name: a.txt, type: file, bytes: 12, modified: "2026-11-20T14:02:10Z", id: 01569fd4b9301b46c3b2c3528df29363f43e4078}
entries_total:
  description: How many entries the folder has.
  returned: when O(library) is given
  type: int
  sample: 2
commits:
  description: The newest commits, newest first, each with C(commit), C(time), C(creator) and C(description).
  returned: when O(history) is given
  type: list
  elements: dict
  sample:
    - {commit: 7b544f01bf806b96db42edb8908a6bc3a36b5486, time: "2026-11-20T14:05:41Z", creator: alice@example.org, description: Added "a.txt".}
report:
  description: The same for people, a line each.
  returned: success
  type: list
  elements: str
notes:
  description: What a person should know of the set that was taken.
  returned: success
  type: list
  elements: str
code:
  description: >-
    Stable code of the failure: V(no-set), V(set-damaged), V(library-unknown), V(library-ambiguous), V(library-path-unknown),
    V(library-damaged), V(commit-id-invalid), V(commit-unknown), V(dump-damaged), V(storage-missing), V(server-name), V(backup-root) or
    V(os-error).
  returned: failure
  type: str
  sample: library-unknown
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import words
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, printable, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.library_source import open_source
from ansible_collections.seafleet.seafile.plugins.module_utils.library_tree import ObjectDamage, Tree, exact_or_printable, time_text

ENTRIES_RETURNED = 10000


def human(size):
    """Return a size in bytes for people; a dash where there is none."""
    return "-" if size is None else words.size(size)


def library_line(row):
    """Return one library as a line."""
    marks = [row["kind"]] if row["kind"] != "live" else []
    marks += [f"encrypted, version {row['enc_version']}"] if row["encrypted"] else []
    marks += [f"folder {printable(row['origin_path'] or '')} of {row['origin']}"] if row["origin"] else []
    marks += [f"damaged: {row['damage']}"] if row["damage"] else []
    ending = f" ({'; '.join(marks)})" if marks else ""
    return f"{row['id']}  {human(row['bytes']):>10}  {row['modified'] or '-':20}  {printable(row['owner'] or '-')}  {printable(row['name'])}{ending}"


def entry_line(row):
    """Return one entry of a folder as a line."""
    name = printable(row["name"]) + ("/" if row["type"] == "folder" else "")
    return f"{human(row['bytes']):>10}  {row['modified'] or '-':20}  {name}"


def list_folder(source, state, path):
    """Return the sorted rows of a folder, or the row of a file.

    :raises SeafileError: C(library-path-unknown), C(library-damaged).
    """
    with Tree(source.store, state) as tree:
        item = tree.find(path)
        try:
            items = tree.directory(item.id) if item.is_directory else [item]
        except ObjectDamage as error:
            raise SeafileError("library-damaged", f"{state.commit.name} {path}", error.sentence) from None
    rows = [{"name": exact_or_printable(item.name), "type": "folder" if item.is_directory else "file", "bytes": item.size,
             "modified": time_text(item.mtime), "id": item.id.hex()} for item in items]
    return sorted(rows, key=lambda row: (row["type"] != "folder", row["name"]))


def inform(module):
    """The module's action."""
    params = module.params
    source = open_source(params["backup_root"], params["server"], params["set_id"])
    result = {"changed": False, "set": {key: source.row.get(key) for key in ("set_id", "state", "began")}, "notes": source.notes}
    if not params["library"]:
        rows = [source.libraries.describe(library) for library in source.libraries.libraries]
        rows.sort(key=lambda row: (row["name"] or "", row["id"]))
        return dict(result, libraries=rows, report=[library_line(row) for row in rows])
    library = source.libraries.find(params["library"])
    row = source.libraries.describe(library)
    result.update(library=row, report=[library_line(row)])
    if params["history"] > 0:
        result["commits"] = source.libraries.history(library, params["history"])
        result["report"] += [f"{commit['commit']}  {commit['time'] or '-'}  {commit['creator'] or '-'}  {commit['description'] or ''}".rstrip()
                             for commit in result["commits"]]
    state = source.libraries.at(library, params["commit"])
    entries = list_folder(source, state, params["path"])
    return dict(result, commit=state.id.hex(), entries=entries[:ENTRIES_RETURNED], entries_total=len(entries),
                report=result["report"] + [entry_line(entry) for entry in entries[:ENTRIES_RETURNED]])


def main():
    module = AnsibleModule(
        argument_spec={
            "backup_root": {"type": "path", "required": True},
            "server": {"type": "str", "required": True},
            "set_id": {"type": "str"},
            "library": {"type": "str"},
            "path": {"type": "str", "default": "/"},
            "commit": {"type": "str"},
            "history": {"type": "int", "default": 0},
        },
        required_by={"commit": ["library"]},
        supports_check_mode=True,
    )
    run_module(module, inform)


if __name__ == "__main__":
    main()
