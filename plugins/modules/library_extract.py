#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: library_extract
short_description: Take what a restore of one library needs out of a set
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Chooses the newest set in which the library and its sub-libraries are whole. That other libraries are damaged in it does not
    matter. Unless the set is verified, every object of the library is read and hashed now.
  - Reads the library's rows out of the set's dumps, of every table that has a column named for a library's id, and of those that
    hang on such rows by a foreign key. Caches, clients' sync tokens, API tokens, unfinished uploads and logs are left out.
  - Writes the rows (C(library.json)) and the list of the objects that the library reaches (C(objects.list)) into a directory of
    their own below C(state/), mode 0600. M(seafleet.seafile.library_restore) takes them on the server.
  - Rows hold addresses and tokens of share links. Remove the directory when the restore has ended; the role
    C(seafleet.seafile.restore_library) does.
  - Runs on the backup host.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.server_backup]
attributes:
  check_mode:
    support: full
    details: Everything is read and decided; nothing is written, and the result says changed when it would be.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  library:
    description:
      - The library's id, or its name where only one library of the set has it. One from the trash is found too.
      - A sub-library (a folder that is shared by itself) comes with its library and not alone.
    type: str
    required: true
  set_id:
    description: This set and no other.
    type: str
  before:
    description: Only sets that were begun before this moment, in UTC as V(2026-11-23T03:00:00Z), or before this set, given by its id.
    type: str
seealso:
  - module: seafleet.seafile.library_restore
  - module: seafleet.seafile.library_export
"""

EXAMPLES = r"""
- name: Take a library out of the newest set that has it whole
  seafleet.seafile.library_extract:
    backup_root: /srv/seafile-backup
    server: files.example.org
    library: b3273e68-146b-4ba4-a3ab-dbd5690f21c0

- name: As it was on Monday morning
  seafleet.seafile.library_extract:
    backup_root: /srv/seafile-backup
    server: files.example.org
    library: Alice documents
    before: "2026-11-23T06:00:00Z"
"""

RETURN = r"""
set_id:
  description: The set that was chosen.
  returned: success
  type: str
  sample: 20261123T030000Z
library:
  description: The library, C(id), C(name), C(owner), C(head), C(kind) (V(live) or V(trash)), C(encrypted), C(sub_libraries) (their ids).
  returned: success
  type: dict
  sample:
    id: b3273e68-146b-4ba4-a3ab-dbd5690f21c0
    name: History
    owner: alice@example.org
    head: e6d9ab766043666ebea5fbc7e02223d8d804e85f
    kind: live
    encrypted: false
    sub_libraries: []
rows:
  description: Number of rows by database and table.
  returned: success
  type: dict
  sample:
    seafile: {Branch: 1, Repo: 1, RepoHead: 1, RepoInfo: 1, RepoOwner: 1}
    seahub: {share_fileshare: 2}
left_out:
  description: Number of the library's rows by database and table that do not come back.
  returned: success
  type: dict
  sample:
    seafile: {RepoFileCount: 1, RepoSize: 1, RepoUserToken: 2}
objects:
  description: Number of objects and their bytes on disk, by kind.
  returned: success
  type: dict
  sample:
    blocks: {bytes: 6102, files: 60}
    commits: {bytes: 31822, files: 61}
    fs: {bytes: 14210, files: 120}
paths:
  description: C(root) (of the server's backup), C(objects), and C(directory), where C(library.json) and C(objects.list) are.
  returned: success
  type: dict
  sample:
    root: /srv/seafile-backup/files.example.org
    objects: /srv/seafile-backup/files.example.org/objects
    directory: /srv/seafile-backup/files.example.org/state/restore/20261123T030000Z-b3273e68-146b-4ba4-a3ab-dbd5690f21c0
passed_over:
  description: Newer sets that were not taken, C(set_id) and C(reason).
  returned: success
  type: list
  elements: dict
  sample: []
report:
  description: What a person should be told of the choice, a line each.
  returned: success
  type: list
  elements: str
  sample:
    - "chosen: 20261123T030000Z, begun 2026-11-23T03:00:00Z: verified at 2026-11-23T03:04:05Z (level new)"
    - "library: History (b3273e68-146b-4ba4-a3ab-dbd5690f21c0) of alice@example.org, head e6d9ab766043, 0 sub-libraries"
code:
  description: >-
    Stable code of the failure: V(library-unknown), V(library-ambiguous), V(library-is-sub-library), V(no-set); V(set-damaged) when files of
    the set were changed; V(set-incomplete) when objects of the library are missing or damaged; V(dump-damaged), V(time-invalid),
    V(set-id-invalid), V(storage-missing).
  returned: failure
  type: str
  sample: library-unknown
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import closure, library_choice
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, require_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.set_use import note_restore


def extract(module):
    """Choose, and write rows and list."""
    params = module.params
    layout = ServerLayout(params["backup_root"], params["server"])
    if params["set_id"]:
        require_set_id(params["set_id"])
    found = library_choice.choose(layout, params["library"], params["set_id"], params["before"])
    extracted = library_choice.extract(layout, found)
    listed = layout.object_list(library_choice.list_key(found))
    directory = os.path.dirname(listed)
    rows = os.path.join(directory, library_choice.ROWS)
    changed = not closure.list_is_current(found.walked, listed) or not _is_current(rows, extracted.as_json())
    if changed and not module.check_mode:
        make_private_directory(directory)
        closure.write_list(found.walked, listed)
        write_json(rows, extracted.as_json())
    if not module.check_mode:
        note_restore(listed)
    return {
        "changed": changed, "set_id": extracted.set_id,
        "library": {"id": extracted.library, "name": extracted.name, "owner": extracted.owner(), "head": extracted.head, "kind": extracted.kind,
                    "encrypted": extracted.encrypted, "sub_libraries": extracted.ids()[1:]},
        "rows": {role: found_rows.count() for role, found_rows in extracted.databases.items()},
        "left_out": {role: found_rows.left_out for role, found_rows in extracted.databases.items() if found_rows.left_out},
        "objects": found.walked.totals(), "paths": {"root": layout.root, "objects": layout.objects, "directory": directory},
        "passed_over": found.passed_over, "report": library_choice.report(found, extracted)}


def _is_current(path, document):
    """Whether the file holds the document already."""
    try:
        with open(path, "rb") as stream:
            return json.load(stream) == document
    except (OSError, ValueError):
        return False


def main():
    module = AnsibleModule(
        argument_spec={
            "backup_root": {"type": "path", "required": True},
            "server": {"type": "str", "required": True},
            "library": {"type": "str", "required": True},
            "set_id": {"type": "str"},
            "before": {"type": "str"},
        },
        mutually_exclusive=[("set_id", "before")],
        supports_check_mode=True,
    )
    run_module(module, extract)


if __name__ == "__main__":
    main()
