#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sync_tokens
short_description: Remove the sync tokens of libraries, so that clients must set them up anew
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - A sync token lets one device synchronise one library. A desktop client that knows a newer state of a library than the server, after a
    restore, may take its own newer files for deleted on the server and delete them. Without its token it cannot synchronise, and leaves
    the local files alone.
  - This lasts until the user sets the library up anew, or logs out of the client and in again, which fetches new tokens for all that is
    set up on the device. What protects newer files for good is that the server has only the objects that its heads reach.
  - Removes the rows of C(RepoUserToken), and those of C(RepoTokenPeerInfo) and C(RepoSyncError) that hang on them, in one transaction.
    Nothing else of the database is touched; libraries, shares, logins and web access stay as they are.
  - Works on MySQL, MariaDB and SQLite, on a restored database as on one in use. A running Seafile remembers valid tokens for up to two
    hours; restart it afterwards, or run this while it is stopped.
  - What clients then do, and what their users have to do, stands in the guide C(docs/clients.md).
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.database_login]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Lists the libraries with the number of their tokens and the users. The tokens themselves are secret and never shown.
  platform:
    support: full
    platforms: posix
options:
  libraries:
    description:
      - Ids of the libraries whose tokens are removed. One that the database does not know has no tokens, and is no failure.
      - Sub-libraries have tokens of their own; name them too. Either this or O(all).
    type: list
    elements: str
  all:
    description: Remove the tokens of all libraries. V(false) removes nothing.
    type: bool
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
  - module: seafleet.seafile.library_heads
"""

EXAMPLES = r"""
- name: Make every client set its libraries up anew
  seafleet.seafile.sync_tokens:
    database: seafile-db
    all: true

- name: The same for one library, in SQLite
  seafleet.seafile.sync_tokens:
    path: /opt/seafile/seafile-data/seafile.db
    libraries: [08cb4330-5c51-4e91-a6a0-5409053e95af]
"""

RETURN = r"""
libraries:
  description: The libraries that had tokens, sorted by id.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The library's id.
      type: str
      returned: always
    tokens:
      description: How many tokens it had.
      type: int
      returned: always
    users:
      description: The users whose they were, who must now set the library up anew.
      type: list
      elements: str
      returned: always
  sample:
    - id: 08cb4330-5c51-4e91-a6a0-5409053e95af
      tokens: 2
      users: [admin@example.com]
tokens_removed:
  description: Number of tokens that were removed; in check mode, that would be.
  returned: success
  type: int
  sample: 2
peers_removed:
  description: Number of rows that hung on them.
  returned: success
  type: int
  sample: 1
code:
  description: >-
    Stable code of the failure: V(library-id-invalid), V(dump-wrong-database) when it is another database of Seafile's,
    V(sqlite-missing), V(sqlite-locked), V(sqlite-corrupt) or one of the database login.
  returned: failure
  type: str
  sample: dump-wrong-database
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import sync_tokens
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client
from ansible_collections.seafleet.seafile.plugins.module_utils.restore_login import LOGIN_ARGUMENTS, login
from ansible_collections.seafleet.seafile.plugins.module_utils.set_order import require_library_ids


def remove(module):
    """Remove the tokens, or tell which would be removed."""
    params = module.params
    libraries = None if params["all"] else require_library_ids(params["libraries"] or [], "libraries")
    act = not module.check_mode
    if params["path"]:
        removal = sync_tokens.remove_in_sqlite(params["path"], libraries, act)
    else:
        removal = sync_tokens.remove_in_mysql(Client(login(params)), params["database"], libraries, act)
    header = (params["path"] or f"database {params['database']}") + " (sync tokens)"
    return {
        "changed": bool(removal.libraries),
        "libraries": [{"id": found.library, "tokens": found.tokens, "users": found.users} for found in removal.libraries],
        "tokens_removed": sum(found.tokens for found in removal.libraries),
        "peers_removed": removal.hanging,
        "diff": {"before_header": header, "after_header": header, "before": "".join(found.line for found in removal.libraries), "after": ""},
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "libraries": {"type": "list", "elements": "str"},
            "all": {"type": "bool"},
            "database": {"type": "str"},
            "path": {"type": "path"},
            **LOGIN_ARGUMENTS,
        },
        mutually_exclusive=[("database", "path"), ("libraries", "all")],
        required_one_of=[("database", "path"), ("libraries", "all")],
        supports_check_mode=True,
    )
    run_module(module, remove)


if __name__ == "__main__":
    main()
