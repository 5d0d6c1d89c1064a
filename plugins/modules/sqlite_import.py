#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sqlite_import
short_description: Write the SQLite databases of a Seafile server from their dumps
version_added: "0.1.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Writes each SQLite database from the dump that M(seafleet.seafile.sqlite_dump) made of it.
  - All dumps are proven before anything is written (checksum, whole gzip or zstd file, C(COMMIT;) as last statement).
  - Each database is built under a partial name, checked with C(PRAGMA integrity_check), its rows are counted, and only then it gets its name.
    Interrupted, the module can be run again.
  - A database that already has the content of its dump is left alone.
  - Stop Seafile before. A database that a process has locked is not replaced.
options:
  src:
    description:
      - Directory that holds the dumps.
    type: path
    required: true
  dumps:
    description:
      - The dumps as M(seafleet.seafile.sqlite_dump) returned them (and as the manifest of a set keeps them).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Path of the database relative to O(dest). A path that leads out of it fails the module with the code V(path-invalid).
        type: str
        required: true
      file:
        description:
          - Name of the dump in O(src).
        type: str
        required: true
      sha256:
        description:
          - Checksum of the dump. A dump with another one fails the module with the code V(dump-damaged).
        type: str
        required: true
      rows:
        description:
          - Rows that each table has to have. Other numbers fail the module with the code V(import-failed).
        type: dict
      engine:
        description:
          - The engine of the dump.
        type: str
        choices: [sqlite, mysql]
        default: sqlite
      role:
        description:
          - Not used. It may be there so that the list of a manifest can be given as it is.
        type: str
      bytes:
        description:
          - Not used.
        type: int
      uncompressed_bytes:
        description:
          - Not used.
        type: int
      tables:
        description:
          - Not used.
        type: list
        elements: str
  dest:
    description:
      - The haiwen directory, an absolute path. Directories that are missing below it are created with mode 0700.
    type: path
    required: true
  replace:
    description:
      - Whether a database that is there with other content may be replaced, with the WAL or journal beside it.
      - Without it such a database fails the module with the code V(sqlite-exists) before anything is changed.
    type: bool
    default: false
  owner:
    description:
      - Account that is to own the databases written.
    type: str
  group:
    description:
      - Group of the databases written.
    type: str
  mode:
    description:
      - Mode of the databases written, as octal number in quotes.
    type: str
    default: "0600"
  record:
    description:
      - Path of a file (mode 0600) in which the checksums of the written databases and their dumps are kept.
      - It spares a second run from comparing the contents. Without it nothing is lost but time.
    type: path
attributes:
  check_mode:
    support: full
    details: All dumps are proven and everything is looked at; nothing is changed.
  diff_mode:
    support: full
    details: Lists the databases before and after.
  platform:
    support: full
    platforms: posix
extends_documentation_fragment:
  - seafleet.seafile.attributes
seealso:
  - module: seafleet.seafile.sqlite_dump
  - module: seafleet.seafile.mysql_import
"""

EXAMPLES = r"""
- name: Write the databases of a restored server
  seafleet.seafile.sqlite_import:
    src: /var/lib/seafleet/restore/20261123T030000Z/databases
    dumps: "{{ manifest.dumps }}"
    dest: /opt/seafile
    owner: seafile
    group: seafile
    record: /var/lib/seafleet/restore/20261123T030000Z/sqlite.json

- name: Write one database beside a running server
  seafleet.seafile.sqlite_import:
    src: /srv/backups/files.example.org/sets/20261123T030000Z/databases
    dumps:
      - name: seafile.db
        file: seafile.db.sql.gz
        sha256: 0a5e1b0f6f0a2f3f9bb1f5c6a2d1d8a2cf9a4f3e0a7b7d1d4b9f5d0c3e2a1b00
    dest: /srv/look
"""

RETURN = r"""
databases:
  description: What became of each dump.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Path of the database relative to O(dest).
      type: str
      sample: seafile-data/seafile.db
    path:
      description: Path of the database.
      type: str
      sample: /opt/seafile/seafile-data/seafile.db
    action:
      description: V(created), V(replaced) or V(unchanged); in check mode what it would be.
      type: str
      sample: created
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: dump-damaged
next_step:
  description: What to do about the failure.
  returned: failure
  type: str
  sample: choose another set, or fetch the dump again; nothing was imported
"""

import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import sqlite_import_run
from ansible_collections.seafleet.seafile.plugins.module_utils.deployment import require_plain_path
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_dump_run import find_reader


def write_databases(module: AnsibleModule) -> dict[str, t.Any]:
    """Write the databases, or tell what would be written."""
    params = module.params
    if not re.match(r"^0?[0-7]{3}$", params["mode"]):
        raise SeafileError("path-invalid", f"mode {params['mode']}", "it is no octal number such as 0600", "give mode in quotes, such as '0600'")
    reader = find_reader(params["owner"], params["group"])
    dest = require_plain_path(params["dest"], "dest")
    imports = sqlite_import_run.prepare(params["src"], params["dumps"], dest)
    sqlite_import_run.decide(imports, params["replace"], params["record"])
    if not module.check_mode:
        sqlite_import_run.perform(imports, dest, reader, int(params["mode"], 8), params["record"])
    before = "".join(f"{task.name}: {'other content' if task.action == 'replaced' else task.sha256}\n" for task in imports if task.action != "created")
    after = "".join(f"{task.name}: {task.sha256}\n" for task in imports)
    return {
        "changed": any(task.action != "unchanged" for task in imports),
        "databases": [{"name": task.name, "path": task.path, "action": task.action} for task in imports],
        "diff": {"before_header": f"{dest} (databases by the checksum of their dump)", "after_header": f"{dest} (databases by the checksum of their dump)",
                 "before": before, "after": after},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path", "required": True},
            "dumps": {
                "type": "list", "elements": "dict", "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "file": {"type": "str", "required": True},
                    "sha256": {"type": "str", "required": True},
                    "rows": {"type": "dict"},
                    "engine": {"type": "str", "choices": ["sqlite", "mysql"], "default": "sqlite"},
                    "role": {"type": "str"},
                    "bytes": {"type": "int"},
                    "uncompressed_bytes": {"type": "int"},
                    "tables": {"type": "list", "elements": "str"},
                },
            },
            "dest": {"type": "path", "required": True},
            "replace": {"type": "bool", "default": False},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "str", "default": "0600"},
            "record": {"type": "path"},
        },
        supports_check_mode=True,
    )
    run_module(module, write_databases)


if __name__ == "__main__":
    main()
