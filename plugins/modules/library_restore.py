#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: library_restore
short_description: Bring one library back into a live server
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Puts the rows and objects that M(seafleet.seafile.library_extract) took out of a set into a server while Seafile is running.
    The library comes back with its head, history, owner, shares, links and limits; no row of another library is touched.
  - V(planned) refuses what cannot be done and lists the objects that have to be fetched. V(present) does it, objects first, then the rows
    in one transaction for each database, those that make the library visible last. Interrupted, the library is not to be seen,
    and another run completes it.
  - Sync tokens of clients are never brought back, and with O(mode=replace) those of the library are removed. A client then stops
    syncing the library and keeps its local files, until its user syncs it anew.
  - A row that is there already stays. Numbers that the database gives are kept where they are free, else a row gets a new one and the rows
    that point at it follow. A row of another owner with the same unique key (a link's address, say) stays, and the one of the set is left
    out and named in RV(notes), like shares to accounts that are no more.
  - Seafile's own database account is used, as its configuration has it.
  - Runs on the server.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.seafile_root]
attributes:
  check_mode:
    support: full
    details: Everything is read and decided, as with V(planned); nothing is written.
  diff_mode:
    support: full
    details: Number of rows by table that go and come. What stands in them is not shown, for tokens of links do.
  platform:
    support: full
    platforms: posix
options:
  state:
    description: V(planned) looks, refuses, and writes C(wanted.list) into O(src); V(present) brings the library back.
    type: str
    choices: [planned, present]
    default: present
  src:
    description:
      - A private directory on this server with C(library.json) and C(objects.list) as M(seafleet.seafile.library_extract) wrote them, and
        C(objects/) with the objects of C(wanted.list), fetched from the backup.
      - A safety copy of RV(safety_copies) is such a directory too, and brings back what it holds with O(mode=replace).
    type: path
    required: true
  state_dir:
    description:
      - The directory of this module's record (C(libraries.json)) and of safety copies, private to its account.
      - On the file system of the object store, a safety copy's objects take no space.
    type: path
    required: true
  mode:
    description:
      - V(new) when the library is gone from the server, also from its trash. Its id there already fails the module.
      - V(as_new) brings it back beside the one that is there, under an id of its own, which follows from the library and the set. Links,
        stars, comments, tags and API tokens stay with the original; owner, shares to users and groups, and the history's limit come along.
        An encrypted library needs O(password).
      - V(replace) takes the one that is there, or in the trash, back to the set's state. What is there is kept in RV(safety_copy) before.
    type: str
    choices: [new, as_new, replace]
    default: new
  owner:
    description:
      - The account that owns the library in place of the old owner. With it, shares to accounts and groups that are no more are left out;
        without it, an owner or a group that is no more fails the module.
    type: str
  name:
    description: With O(mode=as_new), the copy's name. By default the old name with the set's id in brackets.
    type: str
  password:
    description: With O(mode=as_new), the password of an encrypted library. What it is checked with depends on the library's id and is made anew.
    type: str
  again:
    description: Bring it back although it was brought back from the same set before, and has changed since. Only with O(mode=replace).
    type: bool
    default: false
seealso:
  - module: seafleet.seafile.library_extract
"""

EXAMPLES = r"""
- name: See what would come, and list the objects to fetch
  seafleet.seafile.library_restore:
    state: planned
    seafile_root: /opt/seafile
    src: /var/lib/seafleet/files.example.org.library/fetched
    state_dir: /var/lib/seafleet/files.example.org/libraries

- name: Bring the library back
  seafleet.seafile.library_restore:
    seafile_root: /opt/seafile
    src: /var/lib/seafleet/files.example.org.library/fetched
    state_dir: /var/lib/seafleet/files.example.org/libraries

- name: Undo a replacement
  seafleet.seafile.library_restore:
    seafile_root: /opt/seafile
    src: /var/lib/seafleet/files.example.org/libraries/before-20261124T081500Z-b3273e68-146b-4ba4-a3ab-dbd5690f21c0
    state_dir: /var/lib/seafleet/files.example.org/libraries
    mode: replace
"""

RETURN = r"""
library:
  description: The library as it is on the server now; in check mode as it would be. C(id), C(name), C(head), C(owner), C(set_id).
  returned: success
  type: dict
  sample:
    id: b3273e68-146b-4ba4-a3ab-dbd5690f21c0
    name: History
    head: e6d9ab766043666ebea5fbc7e02223d8d804e85f
    owner: alice@example.org
    set_id: 20261123T030000Z
restored_before:
  description: Whether it was brought back from this set before, so that nothing is left to do.
  returned: success
  type: bool
  sample: false
added:
  description: Number of rows that were added, by database and table.
  returned: success
  type: dict
  sample:
    seafile: {Branch: 1, Repo: 1, RepoHead: 1, RepoInfo: 1, RepoOwner: 1}
removed:
  description: Number of rows that were removed, by database and table.
  returned: success
  type: dict
  sample:
    seafile: {GarbageRepos: 1}
objects:
  description: Number of objects, C(listed) (all of the library), C(lacking) (what the server does not have; with V(planned)), C(placed).
  returned: success
  type: dict
  sample: {listed: 241, lacking: 241, placed: 0}
safety_copy:
  description: With O(mode=replace), where the library's rows and objects are as they were. Nothing removes it by itself.
  returned: success
  type: str
  sample: /var/lib/seafleet/files.example.org/libraries/before-20261124T081500Z-b3273e68-146b-4ba4-a3ab-dbd5690f21c0
safety_copies:
  description: All safety copies of libraries on this server, oldest first.
  returned: success
  type: list
  elements: str
  sample: []
notes:
  description: What is left out, and why.
  returned: success
  type: list
  elements: str
  sample: ["left out: RepoUserToken: 2 rows (clients' sync tokens)"]
report:
  description: What a person should be told, a line each.
  returned: success
  type: list
  elements: str
  sample:
    - "library History (b3273e68-146b-4ba4-a3ab-dbd5690f21c0): is back from the set 20261123T030000Z of 2026-11-23T03:00:00Z, head e6d9ab766043"
    - "rows: 7 added, 1 removed; objects: 241, of them 241 put into the store"
code:
  description: >-
    Stable code of the failure: V(library-exists), V(library-owner-gone), V(library-group-gone), V(library-schema-differs),
    V(library-encrypted-new-id), V(library-password-wrong), V(library-extract-damaged), V(library-damaged), V(set-incomplete), V(engine-mismatch),
    V(gc-running), V(no-space), V(object-store-elsewhere), V(sqlite-locked), V(database-changed) or one of the database login.
  returned: failure
  type: str
  sample: library-exists
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import library_objects, library_return
from ansible_collections.seafleet.seafile.plugins.module_utils.deployment import require_plain_path
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.live_tables import Delete, Insert


def restore(module):
    """Look, and act where asked."""
    params = module.params
    request = library_return.Request(
        require_plain_path(params["seafile_root"], "seafile_root"), require_plain_path(params["src"], "src"),
        require_plain_path(params["state_dir"], "state_dir"), params["mode"], params["owner"], params["name"], params["password"], params["again"])
    back = library_return.Return(request)
    present = params["state"] == "present"
    lacking = None
    if not present and not back.done:
        lacking = back.lacking()
        if not module.check_mode:
            library_objects.write_list(os.path.join(request.src, library_objects.WANTED), lacking)
    if present and not module.check_mode:
        back.run()
    return {
        # a list for the next step is no change of the server
        "changed": present and not back.done,
        "library": {"id": back.target, "name": back.name, "head": back.extract.head, "owner": request.owner or back.extract.owner(),
                    "set_id": back.extract.set_id},
        "restored_before": back.done, "added": back.counts(Insert), "removed": back.counts(Delete),
        "objects": {"listed": len(back.names), "lacking": len(lacking) if lacking is not None else 0, "placed": back.placed},
        "safety_copy": back.safety, "safety_copies": library_return.safety_copies(request.state_dir), "notes": back.all_notes(),
        "report": back.report(present and not module.check_mode), "diff": back.diff()}


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["planned", "present"], "default": "present"},
            "seafile_root": {"type": "path", "required": True},
            "src": {"type": "path", "required": True},
            "state_dir": {"type": "path", "required": True},
            "mode": {"type": "str", "choices": list(library_return.MODES), "default": library_return.NEW},
            "owner": {"type": "str"},
            "name": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "again": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_module(module, restore)


if __name__ == "__main__":
    main()
