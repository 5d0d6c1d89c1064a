#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: row_counts
short_description: Count the rows of every table, in dumps or in databases
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Counts the rows of each table in the dump files of a set (with O(src)), by reading their text, or in the databases that were made of
    them. A drill compares the two.
  - Reads everything, about 20 MB of a dump's text a second.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.database_login]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  dumps:
    description: The set's C(databases), as in its manifest.
    type: list
    elements: dict
    required: true
  src:
    description: The directory of the dump files. Without it the databases are counted.
    type: path
  names:
    description: For MySQL databases that have another name than the dump, old name to new name.
    type: dict
    default: {}
  seafile_root:
    description: The Seafile directory, for SQLite databases.
    type: path
  login_user:
    description: The account that may read the databases.
"""

EXAMPLES = r"""
- name: How many rows are in the set?
  seafleet.seafile.row_counts:
    src: /srv/seafile-backup/files.example.org/sets/20261123T030000Z/databases
    dumps: "{{ manifest.databases }}"
"""

RETURN = r"""
rows:
  description: The number of rows of each table, by the database's name in O(dumps).
  returned: success
  type: dict
  sample: {seafile-db: {Branch: 14, Repo: 12}}
total:
  description: Their sum.
  returned: success
  type: int
  sample: 26
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import set_comparison, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client
from ansible_collections.seafleet.seafile.plugins.module_utils.restore_login import LOGIN_ARGUMENTS, login


def count(module):
    """Count."""
    params = module.params
    rows = {}
    for dump in sets.require_dumps(params["dumps"], "dumps"):
        name = dump["name"]
        if params["src"]:
            rows[name] = set_comparison.rows_of_dump(os.path.join(params["src"], os.path.basename(dump["file"])))
        elif dump["engine"] == "mysql":
            rows[name] = set_comparison.rows_of_mysql(Client(login(params)), str(params["names"].get(name, name)))
        elif params["seafile_root"]:
            rows[name] = set_comparison.rows_of_sqlite(os.path.join(params["seafile_root"], name))
        else:
            raise SeafileError("path-invalid", f"database {name}", "it is a SQLite file, and no directory was named", "give seafile_root")
    return {"changed": False, "rows": rows, "total": sum(sum(tables.values()) for tables in rows.values())}


def main():
    module = AnsibleModule(
        argument_spec={
            "dumps": {"type": "list", "elements": "dict", "required": True},
            "src": {"type": "path"},
            "names": {"type": "dict", "default": {}},
            "seafile_root": {"type": "path"},
            **LOGIN_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    run_module(module, count)


if __name__ == "__main__":
    main()
