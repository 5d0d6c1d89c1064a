#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: library_heads
short_description: Take libraries of a restored database to other heads
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Sets the heads of the named libraries in Seafile's own database, all in one transaction. A restore uses it for libraries that come from
    an older set than the rest; M(seafleet.seafile.set_choice) returns which.
  - The head of a living library is C(Branch.commit_id) of its branch C(master), that of a deleted one C(RepoTrash.head_id).
  - Removes the rows of C(RepoSize) and C(RepoFileCount) of each library whose head changes. They are a cache that belongs to the head;
    Seafile counts again after the next write to the library, and shows a size of 0 until then.
  - Nothing else of the database is touched. What it says of the library beside its head, such as its name in C(RepoInfo), is
    brought up to date by Seafile at the next write.
  - Runs on the restore target, after the import and before Seafile is started. Never run it beside a running Seafile.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.database_login]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Lists the named libraries with their heads before and after.
  platform:
    support: full
    platforms: posix
options:
  heads:
    description:
      - The commit that each library gets as its head, by the library's id. That the commit and all that it needs is there is not
        looked at; M(seafleet.seafile.set_closure) does that.
      - A library that the database does not have fails the module before any change.
    type: dict
    required: true
  sub_libraries:
    description:
      - For sub-libraries, by library id, the C(base_commit) and the C(path) that their row in C(VirtualRepo) gets. Beside an older
        head a newer base would make Seafile's next merge take changes back.
    type: dict
    default: {}
  database:
    description: The name of Seafile's own database on a MySQL or MariaDB server. Either this or O(path).
    type: str
  path:
    description: Seafile's own SQLite database, C(seafile-data/seafile.db). It keeps its owner and mode.
    type: path
  login_user:
    description: The account that may write to the database.
seealso:
  - module: seafleet.seafile.set_choice
  - module: seafleet.seafile.set_closure
"""

EXAMPLES = r"""
- name: Take one library to the state that it had in the set before
  seafleet.seafile.library_heads:
    path: /opt/seafile/seafile-data/seafile.db
    heads:
      08cb4330-5c51-4e91-a6a0-5409053e95af: 4bb857aec4dab87a16baed28f65fa7951291b610

- name: The same on MariaDB, as the choice of the set has it
  seafleet.seafile.library_heads:
    database: seafile-db
    heads: "{{ choice.heads }}"
    sub_libraries: "{{ choice.sub_libraries }}"
"""

RETURN = r"""
libraries:
  description: Each library named, sorted by id.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The library's id.
      type: str
      returned: always
    kind:
      description: V(live) or V(trash).
      type: str
      returned: always
    before:
      description: Its head before.
      type: str
      returned: always
    after:
      description: Its head now; in check mode the one it would get.
      type: str
      returned: always
    changed:
      description: Whether anything of it was changed.
      type: bool
      returned: always
    base_before:
      description: Its base commit before; C(base_after), C(path_before) and C(path_after) likewise.
      type: str
      returned: for a library of O(sub_libraries)
  sample:
    - id: 08cb4330-5c51-4e91-a6a0-5409053e95af
      kind: live
      before: 1e7d2b6a5f0c7f0f5a0f0e7a1f0a7a9e5b1c2d3e
      after: 4bb857aec4dab87a16baed28f65fa7951291b610
      changed: true
caches_removed:
  description: How many rows of C(RepoSize) and C(RepoFileCount) were removed.
  returned: success
  type: int
  sample: 2
code:
  description: >-
    Stable code of the failure: V(library-unknown), V(library-id-invalid), V(commit-id-invalid), V(dump-wrong-database) when it is another
    database of Seafile's, V(sqlite-missing), V(sqlite-locked), V(sqlite-corrupt) or one of the database login.
  returned: failure
  type: str
  sample: library-unknown
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import library_heads
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import places_of
from ansible_collections.seafleet.seafile.plugins.module_utils.restore_login import LOGIN_ARGUMENTS, login


def set_heads(module):
    """Set the heads, or tell what would be set."""
    params = module.params
    heads, places = params["heads"], places_of(params["sub_libraries"])
    if params["path"]:
        changes = library_heads.set_in_sqlite(params["path"], heads, places, not module.check_mode)
    else:
        changes = library_heads.set_in_mysql(Client(login(params)), params["database"], heads, places, not module.check_mode)
    header = params["path"] or f"database {params['database']}"
    return {
        "changed": any(change.is_change for change in changes),
        "libraries": [change.result() for change in changes],
        "caches_removed": sum(change.caches for change in changes if change.before != change.after),
        "diff": {"before_header": f"{header} (heads)", "after_header": f"{header} (heads)",
                 "before": "".join(change.line(change.before, change.place_before) for change in changes),
                 "after": "".join(change.line(change.after, change.place_after) for change in changes)},
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "heads": {"type": "dict", "required": True},
            "sub_libraries": {"type": "dict", "default": {}},
            "database": {"type": "str"},
            "path": {"type": "path"},
            **LOGIN_ARGUMENTS,
        },
        mutually_exclusive=[("database", "path")],
        required_one_of=[("database", "path")],
        supports_check_mode=True,
    )
    run_module(module, set_heads)


if __name__ == "__main__":
    main()
