#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: library_changes
short_description: List the objects on a Seafile server that are new since a verified set
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Compares the heads in a fresh dump of Seafile's own database with the heads of an earlier set that was verified. Libraries
    whose heads have not moved are not looked at. In the others it walks from the new heads towards the known ones and lists
    the commits, fs objects and blocks that are new, for C(rsync --files-from).
  - A library is listed as a whole, with the reason, where the walk cannot tell, which is when it is not in the known set, when its known
    head is not in its history, or when an object that must be there is missing or damaged. Nothing that a pointer of the
    dump reaches and the known set does not have is ever left out.
  - Where so much of a library is new that to list its changed directories is cheaper than to read its new objects, it does that.
  - With a million objects in 200 libraries it took 0.1 seconds when no head had moved, 0.1 with 1,000 new objects, 0.2 with 10,000, and
    0.7 more for a sweep, from a warm cache and with 30 MB of memory.
  - Runs on the Seafile server and changes nothing of Seafile's. What it remembers lies in O(state_dir) and is safe to lose,
    everything then counts as new once.
extends_documentation_fragment: [seafleet.seafile.attributes]
attributes:
  check_mode:
    support: full
    details: Everything is looked at, and nothing is written. Directory times that only now belong to the known set are not
      taken over, so that more is listed as a whole.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  dump:
    description:
      - The dump of Seafile's own database (C(seafile-db), or C(seafile.db)), SQL text in gzip, zstd (told by the suffix C(.zst)) or plain.
        The objects must be pulled after it was made.
    type: path
    required: true
  storage:
    description: The directory C(seafile-data/storage), which holds C(commits), C(fs) and C(blocks).
    type: path
    required: true
  seafile_conf:
    description:
      - The server's C(seafile.conf), for C(keep_days) in C([history]). It only decides whether a missing object is a reason to list
        the whole library.
    type: path
  set_id:
    description: The set of this run. What is remembered for the next run is remembered under this name.
    type: str
    required: true
  known_set_id:
    description:
      - The newest set on the backup host that is verified. Without it, everything is listed as a whole.
      - The set must be one that this module was run for on this server. Anything else that is remembered here is not used.
    type: str
  distrusted:
    description:
      - Ids of libraries in which O(known_set_id) lacks something that it should have, which are those with findings in its record, also where
        the damage is the server's own. Each is listed as a whole with all that share its store, moved or not.
    type: list
    elements: str
    default: []
  state_dir:
    description:
      - The directory for what is remembered, made with mode 0700 when it is missing. One for every backup host that pulls from
        this server. Eight bytes an object of the stores.
    type: path
    required: true
  dest:
    description:
      - The file that receives the list. Relative paths, each ended by NUL, either of an object (C(KIND/STORE/2/38)), of one
        directory of objects (C(KIND/STORE/2/)) or of a whole store (C(KIND/STORE/)). Mode 0600, whole or not at all.
      - Made for one call of C(rsync --recursive --no-inc-recursive --from0 --files-from=LIST --ignore-missing-args), with the filters that leave
        out what is no object. Objects that are missing on the server may stand in it.
      - C(rsync) from 3.2.5 compares every file that comes over the net with every entry of the list. A list of some thousand entries
        must be cut into parts, or needs C(--trust-sender).
    type: path
    required: true
  known:
    description: The file with the heads of O(known_set_id). Default is where O(heads_to) puts it by default.
    type: path
  heads_to:
    description:
      - The file that receives the heads of this run. Default is C(heads/SET_ID.json) in O(state_dir), where the newest ten are kept.
    type: path
  level:
    description: V(auto) lists what is new; V(whole) lists every library as a whole.
    type: str
    choices: [auto, whole]
    default: auto
  sweep:
    description:
      - Compare the times of all directories of all stores with those of the last sweep, list those that changed beside
        what is new, and count the objects that the walks since then had missed.
      - Where a store has names that nothing had listed yet, such as an upload that runs, its library is walked as a whole to
        count, which takes 15 to 40 seconds for each million objects of it.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: List what is new on the server since the newest verified set
  seafleet.seafile.library_changes:
    dump: /var/lib/seafleet/staging/20261124T030000Z/databases/seafile-db.sql.gz
    storage: /opt/seafile/seafile-data/storage
    seafile_conf: /opt/seafile/conf/seafile.conf
    set_id: 20261124T030000Z
    known_set_id: 20261123T030000Z
    state_dir: /var/lib/seafleet/state/backup.example.org
    dest: /var/lib/seafleet/staging/20261124T030000Z/databases/objects.list
"""

RETURN = r"""
list:
  description: The file with the list.
  returned: success
  type: str
  sample: /var/lib/seafleet/staging/20261124T030000Z/databases/objects.list
heads:
  description: The file with the heads of this run.
  returned: success
  type: str
  sample: /var/lib/seafleet/state/backup.example.org/heads/20261124T030000Z.json
libraries:
  description:
    - How many libraries were not looked at (C(unmoved)), walked (C(walked)), listed by their changed directories
      (C(by_directories)) or as a whole (C(whole)); and how many of the known set the database does not have any more (C(gone)).
  returned: success
  type: dict
  sample: {by_directories: 0, gone: 1, unmoved: 196, walked: 4, whole: 1}
objects:
  description: Objects that are listed one by one.
  returned: success
  type: dict
  sample: {blocks: 96, commits: 12, fs: 131}
directories:
  description: Directories and whole stores that are listed.
  returned: success
  type: int
  sample: 3
empty:
  description: Whether nothing is listed, so that there is nothing to pull.
  returned: success
  type: bool
  sample: false
everything:
  description: Whether every library is listed as a whole, because nothing is known or because it was asked for.
  returned: success
  type: bool
  sample: false
whole:
  description: The first 1000 reasons for which a library, with its sub-libraries, is listed as a whole.
  returned: success
  type: list
  elements: dict
  contains:
    library:
      description: The library's id.
      type: str
      returned: always
    reason:
      description: Why.
      type: str
      returned: always
  sample:
    - library: f80ccfb3-2029-4f0f-9307-49b17b935c56
      reason: it is not in the known set
whole_total:
  description: How many there are.
  returned: success
  type: int
  sample: 1
sweep:
  description: What the sweep found; null when none was asked for.
  returned: success
  type: dict
  contains:
    directories:
      description: Directories whose times were compared.
      type: int
      returned: always
    changed:
      description: Those that changed since the last sweep, and are listed.
      type: int
      returned: always
    names:
      description: Objects in them.
      type: int
      returned: always
    unlisted:
      description: Those that nothing has listed yet. Unfinished uploads, objects newer than the dump and garbage are among them.
      type: int
      returned: always
    missed:
      description: Those of them that the dump can reach, which is what the walks had missed; expected is 0. Null when there was no earlier sweep.
      type: int
      returned: always
    missed_objects:
      description: The first 100 of these.
      type: list
      elements: str
      returned: always
  sample: {changed: 311, directories: 40960, missed: 0, missed_objects: [], names: 6220, unlisted: 3}
reads:
  description: How many objects were read.
  returned: success
  type: int
  sample: 207
seconds:
  description: Where the time went, by stage.
  returned: success
  type: dict
  sample: {directories: 0.01, dump: 0.05, sweep: 0.0, walk: 0.09}
notes:
  description: What a person should know, one sentence each.
  returned: success
  type: list
  elements: str
  sample: []
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: storage-missing
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import library_listing, pointers
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore


def library_changes(module):
    """The module's action."""
    params = module.params
    absolute = {option: os.path.abspath(params[option]) if params[option] else None for option in ("dest", "heads_to", "state_dir")}
    request = library_listing.Request(
        **absolute, **{option: params[option] for option in ("set_id", "known_set_id", "distrusted", "level", "sweep", "known")})
    request.require()
    store = ObjectStore(params["storage"])
    store.require()
    began = time.monotonic()
    keep_days = pointers.read_keep_days(params["seafile_conf"]) if params["seafile_conf"] else None
    found = pointers.read_pointers(params["dump"], keep_days)
    dump_seconds = time.monotonic() - began
    result = library_listing.list_changes(store, found, request, module.check_mode)
    result["seconds"]["dump"] = round(dump_seconds, 3)
    return result


def main():
    module = AnsibleModule(
        argument_spec=dict(
            dump=dict(type="path", required=True),
            storage=dict(type="path", required=True),
            seafile_conf=dict(type="path"),
            set_id=dict(type="str", required=True),
            known_set_id=dict(type="str"),
            distrusted=dict(type="list", elements="str", default=[]),
            state_dir=dict(type="path", required=True),
            dest=dict(type="path", required=True),
            known=dict(type="path"),
            heads_to=dict(type="path"),
            level=dict(type="str", choices=list(library_listing.LEVELS), default="auto"),
            sweep=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    run_module(module, library_changes)


if __name__ == "__main__":
    main()
