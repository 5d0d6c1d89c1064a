#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: set_choice
short_description: Choose the set that a restore takes, and prove it now
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Takes the newest verified set. Sets that were found damaged are passed over; one that was sealed but never verified is
    taken only when no verified one can be.
  - What is recorded is not believed alone. Every file of a set is compared with its C(SHA256SUMS), and every object that
    its databases reach is looked for, before the set is taken; one that fails is passed over for the next.
  - Each newer set that was passed over is returned with its reason, and stands in RV(report).
  - Objects that the set's verification found damaged on the server itself, so that no backup can have them, do not count
    against a set; they are returned as RV(known_damage).
  - With O(fallback) the newest set is taken, and each library that is damaged in it comes from the newest older set in
    which it is whole, together with its origin and sub-libraries. A restore sets their heads with
    M(seafleet.seafile.library_heads).
  - With O(roll_forward) each other library gets the newest complete commit that the backup has of it, where the set's databases
    have an older one.
  - Writes the list of exactly the objects that the chosen state reaches. A restore takes no others, because newer objects
    beside an older database make sync clients delete files.
  - Runs on the backup host.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.server_backup]
attributes:
  check_mode:
    support: full
    details: Everything is read and decided; the list of objects is not written, and the result says changed when it would be.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  set_id:
    description:
      - This set and no other. An unknown or partial one fails.
      - One that was found damaged is taken only when nothing is damaged any more, or when O(accept_damage) or O(fallback) covers it.
        The libraries in question are read and hashed for that.
    type: str
  before:
    description:
      - Only sets that were begun before this moment, in UTC as V(2026-11-23T03:00:00Z), or before this set, given by its id
        (the set itself is not among them).
      - When a set was begun stands in its manifest, and in the list of M(seafleet.seafile.backup_set_info).
    type: str
  fallback:
    description:
      - Take the newest set (or O(set_id), or the newest from before O(before)) although libraries are damaged in it, and these
        libraries from older sets.
      - A library that no older set has whole stays a finding, which fails the module unless O(accept_damage) names it.
    type: bool
    default: false
  roll_forward:
    description:
      - Take each living library from its head in the set to its newest complete descendant among the commits of the backup. Objects that
        are newer than the set's dump were pulled after it, and by every later run.
      - A commit is taken only when the whole way from it back to the set's head is there, when all that must be there below it is
        there, and when the content of each object that is newly reached has its id. A newer one that lacks something is left, an
        older one that is complete is taken.
      - Of several that do not contain each other, the one with the most newer commits is taken, then the newest. The others are
        told in RV(notes).
      - A library whose encryption is another one in a newer commit, or that would lose the folder of one of its sub-libraries, does
        not go past that commit. An origin and its sub-libraries go forward together, with the base commit that belongs to their
        new heads, or not at all.
      - Deleted libraries, those that were purged since, and those that O(fallback) takes from an older set stay as they are.
      - What was written after the set was made but taken back on purpose (files encrypted by malware, say) comes back too.
    type: bool
    default: false
  objects:
    description:
      - V(closure) lists the objects that the chosen state reaches.
      - V(all) lists everything that the backup has of the set's libraries, newer objects too. With these beside an older database a
        sync client takes its own newer files for deleted and B(deletes them). Use it only when all sync tokens are removed
        before Seafile starts (M(seafleet.seafile.sync_tokens)).
    type: str
    choices: [closure, all]
    default: closure
  accept_damage:
    description:
      - Ids of libraries whose missing and damaged objects are known and accepted. A set that is damaged in nothing else counts
        like a verified one. No older state is looked for.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Choose the newest verified set
  seafleet.seafile.set_choice:
    backup_root: /srv/seafile-backup
    server: files.example.org

- name: Choose what there was before Monday morning
  seafleet.seafile.set_choice:
    backup_root: /srv/seafile-backup
    server: files.example.org
    before: "2026-11-23T06:00:00Z"

- name: Choose the newest set, its damaged libraries from older ones
  seafleet.seafile.set_choice:
    backup_root: /srv/seafile-backup
    server: files.example.org
    fallback: true

- name: Choose the newest verified set, and what was pulled since its dump
  seafleet.seafile.set_choice:
    backup_root: /srv/seafile-backup
    server: files.example.org
    roll_forward: true
"""

RETURN = r"""
set:
  description: The chosen set, as M(seafleet.seafile.backup_set_info) lists it, C(set_id), C(state), C(began), C(verification) and others.
  returned: success
  type: dict
  sample:
    set_id: 20261122T030000Z
    state: verified
    path: /srv/seafile-backup/files.example.org/sets/20261122T030000Z
    began: "2026-11-22T03:00:00Z"
    verification: {state: verified, level: new, ended: "2026-11-22T03:04:05Z", findings_total: 0, damaged_libraries: [], reasons: []}
    reasons: []
manifest:
  description: The set's manifest. Its C(verification) is that of RV(set), without the lists of objects.
  returned: success
  type: dict
paths:
  description:
    - Where the parts of the set lie, C(root) (of the server's backup), C(set), C(databases), C(files), C(objects),
      C(seafile_dump) (the dump of the database that points at the objects), C(seafile_conf) (null when the set has none) and
      C(object_list) (the list that this module wrote, paths C(KIND/STORE/2/38) each ended by NUL, mode 0600).
  returned: success
  type: dict
libraries:
  description: Every library in the state that is restored, as M(seafleet.seafile.set_closure) returns them.
  returned: success
  type: list
  elements: dict
objects:
  description: Number of objects in the list and their bytes on disk, by kind.
  returned: success
  type: dict
  sample:
    blocks: {bytes: 42033900, files: 236}
    commits: {bytes: 128977, files: 243}
    fs: {bytes: 321066, files: 594}
passed_over:
  description: Every newer set that was not taken, with its reasons, newest first. Empty with O(set_id).
  returned: success, and when no set can be taken
  type: list
  elements: dict
  sample:
    - set_id: 20261123T094435Z
      state: verified
      reasons:
        - "History: commit 36ac6324c0d4ef9c0e6501979eae0dba3d1b374f missing (there is no such file)"
heads:
  description: The commit that each library from an older set, and each that is rolled forward, gets as its head, by the library's id.
  returned: success
  type: dict
  sample: {08cb4330-5c51-4e91-a6a0-5409053e95af: 4bb857aec4dab87a16baed28f65fa7951291b610}
sub_libraries:
  description:
    - With O(fallback), for sub-libraries from an older set the C(base_commit) and C(path) that they had there, where those are others
      than in RV(set). Beside an older head a newer base would make the server's next merge take changes back.
    - With O(roll_forward), for sub-libraries whose origin has merged them since, the C(base_commit) of the last such merge.
  returned: success
  type: dict
  sample: {}
fallbacks:
  description: The same for people, one entry for each library that comes from an older set.
  returned: success
  type: list
  elements: dict
  contains:
    library:
      description: The library's id.
      type: str
      returned: always
    name:
      description: Its name.
      type: str
      returned: always
    set_id:
      description: The set that it comes from.
      type: str
      returned: always
    head:
      description: Its head there.
      type: str
      returned: always
    reason:
      description: The first object that is missing or damaged in the chosen set, of the library or of one that it hangs together with.
      type: str
      returned: always
  sample:
    - library: 08cb4330-5c51-4e91-a6a0-5409053e95af
      name: History
      set_id: 20261123T094411Z
      head: 4bb857aec4dab87a16baed28f65fa7951291b610
      reason: "History: commit 36ac6324c0d4ef9c0e6501979eae0dba3d1b374f missing (there is no such file)"
rolled_forward:
  description: With O(roll_forward), one entry for each library that goes forward.
  returned: success
  type: list
  elements: dict
  contains:
    library:
      description: The library's id.
      type: str
      returned: always
    name:
      description: Its name in the new head.
      type: str
      returned: always
    from:
      description: Its head in the set.
      type: str
      returned: always
    to:
      description: The head that it gets.
      type: str
      returned: always
    commits:
      description: How many commits are gained.
      type: int
      returned: always
    time:
      description: When the new head was written, by the clock of the client that wrote it.
      type: str
      returned: always
  sample:
    - library: 08cb4330-5c51-4e91-a6a0-5409053e95af
      name: History
      from: 4bb857aec4dab87a16baed28f65fa7951291b610
      to: 36ac6324c0d4ef9c0e6501979eae0dba3d1b374f
      commits: 1
      time: "2026-11-23T09:45:10Z"
known_damage:
  description: Objects that are missing or damaged on the server itself, as the set's verification found, C(KIND/STORE/ID).
  returned: success
  type: list
  elements: str
  sample: []
findings:
  description: The first 100 objects that are missing or damaged, as M(seafleet.seafile.set_closure) returns them; on success those
    that were accepted or are known.
  returned: success, and with the code V(set-incomplete)
  type: list
  elements: dict
findings_total:
  description: Number of all findings.
  returned: success, and with the code V(set-incomplete)
  type: int
  sample: 0
report:
  description: What a person should be told of the choice, a line each.
  returned: success
  type: list
  elements: str
  sample:
    - "chosen: 20261123T094411Z, begun 2026-11-23T09:44:11Z: verified at 2026-11-23T09:44:27Z (level new)"
    - "passed over: 20261123T094435Z (verified): History: commit 36ac6324c0d4ef9c0e6501979eae0dba3d1b374f missing (there is no such file)"
notes:
  description: What is not as it should be about the chosen set; these stand in RV(report) too.
  returned: success
  type: list
  elements: str
  sample: []
newest_whole:
  description: With O(set_id), the newest other set that could be taken; null when there is none.
  returned: with the codes V(set-damaged) and V(set-incomplete)
  type: str
code:
  description: >-
    Stable code of the failure: V(no-set); V(set-damaged) when files of the set were changed; V(set-incomplete) when objects are
    missing or damaged; V(set-id-invalid), V(time-invalid), V(library-id-invalid), V(storage-missing).
  returned: failure
  type: str
  sample: set-incomplete
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import closure, set_choice, set_order, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore
from ansible_collections.seafleet.seafile.plugins.module_utils.set_use import note_restore


def choose(module):
    """Choose, and write the list of objects."""
    params = module.params
    accepted = set_order.require_library_ids(params["accept_damage"], "accept_damage")
    layout = ServerLayout(params["backup_root"], params["server"])
    request = set_choice.Request(params["set_id"], params["before"], accepted, params["fallback"], params["roll_forward"])
    choice = set_choice.choose(layout, sets.catalogue(layout), request)
    candidate, examined = choice.candidate, choice.examined
    everything = params["objects"] == "all"
    listed = set_choice.Everything(ObjectStore(layout.objects), candidate.pointers) if everything else examined.walked
    paths = dict(candidate.paths, object_list=layout.object_list(choice.list_key() + ("-all" if everything else "")))
    changed = not closure.list_is_current(listed, paths["object_list"])
    if not module.check_mode:
        if changed:
            closure.write_list(listed, paths["object_list"])
        note_restore(paths["object_list"])
    found = examined.findings + examined.known
    return {
        "changed": changed, "set": candidate.row, "manifest": dict(candidate.manifest, verification=candidate.row.get("verification")), "paths": paths,
        "libraries": examined.walked.libraries, "objects": listed.totals(), "passed_over": choice.passed_over,
        "heads": choice.heads, "sub_libraries": {library: {"base_commit": place.base, "path": place.path} for library, place in choice.places.items()},
        "fallbacks": choice.fallbacks, "rolled_forward": choice.rolled_forward or [], "known_damage": choice.known_damage(),
        "findings": set_choice.as_result(found, lambda finding: finding.library in accepted, candidate.known.covers), "findings_total": len(found),
        "report": set_choice.report(choice), "notes": choice.notes}


def main():
    module = AnsibleModule(
        argument_spec={
            "backup_root": {"type": "path", "required": True},
            "server": {"type": "str", "required": True},
            "set_id": {"type": "str"},
            "before": {"type": "str"},
            "fallback": {"type": "bool", "default": False},
            "roll_forward": {"type": "bool", "default": False},
            "objects": {"type": "str", "choices": ["closure", "all"], "default": "closure"},
            "accept_damage": {"type": "list", "elements": "str", "default": []},
        },
        mutually_exclusive=[("set_id", "before")],
        supports_check_mode=True,
    )
    run_module(module, choose)


if __name__ == "__main__":
    main()
