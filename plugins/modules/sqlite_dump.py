#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sqlite_dump
short_description: Dump every SQLite database of a Seafile server
version_added: "0.1.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Finds every SQLite file below the Seafile directory by its header (the object store is not searched) and writes one compressed file of plain SQL for each.
  - Each database is copied by SQLite's backup API while Seafile runs, the copy is proven by C(PRAGMA integrity_check), and its text ends with C(COMMIT;).
    Files get their final names only when all databases are proven.
  - Databases are opened read-only, so a missing one is never created. A journal or WAL that a crash left is read rightly, and stays where it is.
  - Each database is one moment in itself; SQLite knows no moment over several files.
  - Needs no program beside Python, and C(zstd) for O(compression=zstd). Run it as root or as the account that runs Seafile.
options:
  seafile_root:
    description:
      - The Seafile directory, which Seafile calls haiwen, an absolute path.
      - A database that Seafile's configuration names and that is not there fails the module with the code V(sqlite-missing).
  dest:
    description:
      - Directory for the files, an absolute path. It is created with mode 0700 when missing.
      - For the time of the run it also holds a working copy of one database after the other.
      - A file there under a name that this dump would take fails the module with the code V(dump-exists); nothing is ever overwritten.
    type: path
    required: true
  owner:
    description:
      - Account that is to own the files (and directories this module creates), for instance the one the backup host pulls with.
    type: str
  group:
    description:
      - Group that is to read the files. They then have mode 0640 instead of 0600, and directories this module creates 0750.
    type: str
  compression:
    version_added: "0.2.0"
attributes:
  check_mode:
    support: full
    details: Tells which files would be written, with the size of each database. Does not open the databases and writes nothing.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
extends_documentation_fragment:
  - seafleet.seafile.attributes
  - seafleet.seafile.seafile_root
  - seafleet.seafile.dump_compression
  - seafleet.seafile.sqlite_lock
seealso:
  - module: seafleet.seafile.sqlite_import
  - module: seafleet.seafile.mysql_dump
  - module: seafleet.seafile.server_info
"""

EXAMPLES = r"""
- name: Dump the databases of a Seafile server
  seafleet.seafile.sqlite_dump:
    seafile_root: /opt/seafile
    dest: /var/lib/seafleet/staging/20261123T030000Z

- name: Let the pull account's group read the dumps
  seafleet.seafile.sqlite_dump:
    seafile_root: /opt/seafile
    dest: /var/lib/seafleet/staging/20261123T030000Z
    group: backup
    busy_timeout: 120
"""

RETURN = r"""
dumps:
  description: The files, one for each database.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Path of the database relative to O(seafile_root).
      type: str
      sample: seafile-data/seafile.db
    role:
      description: V(seafile), V(ccnet), V(seahub), or V(other) for a database that Seafile does not know.
      type: str
      sample: seafile
    engine:
      description: Always V(sqlite).
      type: str
      sample: sqlite
    file:
      description: Name of the file in O(dest).
      type: str
      sample: seafile.db.sql.gz
    bytes:
      description: Size of the file.
      returned: when not in check mode
      type: int
      sample: 3749
    sha256:
      description: Checksum of the file.
      returned: when not in check mode
      type: str
      sample: 0a5e1b0f6f0a2f3f9bb1f5c6a2d1d8a2cf9a4f3e0a7b7d1d4b9f5d0c3e2a1b00
    uncompressed_bytes:
      description: Size of the SQL text in the file.
      returned: when not in check mode
      type: int
      sample: 16346
    tables:
      description: Names of the tables in the dump, sorted.
      returned: when not in check mode
      type: list
      elements: str
      sample: [Branch, FileLocks, Repo]
    rows:
      description: Rows of each table.
      returned: when not in check mode
      type: dict
      sample: {Branch: 14, FileLocks: 0, Repo: 14}
    estimated_bytes:
      description: Size of the database, before compression.
      returned: in check mode
      type: int
      sample: 368640
began:
  description: When the dump began, UTC, by this machine's clock. No database in it is older.
  returned: when not in check mode
  type: str
  sample: "2026-11-23T03:00:00Z"
ended:
  description: When the dump was complete, UTC.
  returned: when not in check mode
  type: str
  sample: "2026-11-23T03:00:02Z"
notes:
  description: What a person should know though the dump is whole. They are shown as warnings too.
  returned: success
  type: list
  elements: str
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: sqlite-locked
next_step:
  description: What to do about the failure.
  returned: failure
  type: str
  sample: stop the named processes or raise busy_timeout, then run again
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import compression, sqlite_dump_run
from ansible_collections.seafleet.seafile.plugins.module_utils.deployment import require_plain_path
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_dump_run import find_reader
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import read_configuration


def dump(module: AnsibleModule) -> dict[str, t.Any]:
    """Dump the databases, or tell what would be dumped."""
    params = module.params
    dest = require_plain_path(params["dest"], "dest")
    reader = find_reader(params["owner"], params["group"])
    compression.require(params["compression"])
    configuration = read_configuration(require_plain_path(params["seafile_root"], "seafile_root"))
    databases = sqlite_dump_run.targets(configuration, dest)
    for note in configuration.warnings:
        module.warn(note)
    if module.check_mode:
        return {"changed": True, "dumps": sqlite_dump_run.plan(configuration, databases, dest, params["compression"]), "notes": configuration.warnings}
    result = sqlite_dump_run.dump(
        configuration, databases, dest, params["compression_level"], params["busy_timeout"], reader, params["compression"])
    return dict(result, changed=True, notes=configuration.warnings)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "seafile_root": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "busy_timeout": {"type": "int", "default": 30},
            "compression": {"type": "str", "choices": ["gzip", "zstd"], "default": "gzip"},
            "compression_level": {"type": "int", "choices": [1, 2, 3, 4, 5, 6, 7, 8, 9], "default": 1},
        },
        supports_check_mode=True,
    )
    run_module(module, dump)


if __name__ == "__main__":
    main()
