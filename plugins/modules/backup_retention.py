#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_retention
short_description: Remove old backup sets, and say of every other one why it stays
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Decides of every set of one server whether it stays or goes, tells all reasons, and removes those that go. In check mode it tells the same
    and removes nothing.
  - Only verified sets fill the places that the policy has (the last ones, days, weeks, months and years). All times are UTC, as the ids of sets are.
  - Whatever is asked for, nothing goes that is younger than seven days, nor the two newest verified sets, nor a set that is on hold, that
    is being read, or that a restore has chosen within the last three days.
  - Nothing goes at all while the newest set is partial, damaged or was never verified, while a set is from the future of this host's
    clock, or while a file of the verified sets that would stay is not as it was sealed. RV(frozen) says so.
  - Ages are counted from the newest verified set, so that nothing gets old while no backups come.
  - A set that is damaged or was never verified fills no place. It goes when it is older than O(unproven_days) and enough verified sets are newer.
  - A set that goes gets a name first that nobody takes for a set, and is then removed with the records of its verifications. A removal that
    was killed is ended by the next one. Files that other sets share stay theirs. Objects are never removed.
  - A file C(<set id>.keep) beside a set, in the directory C(sets), holds it as O(hold) does; what stands in its first line is told.
  - Runs on the backup host. Holds the lock of the server's runs while it takes sets away, and fails while a run is at work.
extends_documentation_fragment:
  - seafleet.seafile.attributes
  - seafleet.seafile.server_backup
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The list of the sets before and after.
  platform:
    support: full
    platforms: posix
options:
  min_age_days:
    description: Days for which every set stays, V(7) or more.
    type: int
    default: 7
  keep_last:
    description: So many of the newest verified sets stay.
    type: int
    default: 3
  keep_daily:
    description: Of so many of the newest days that have a verified set, the last verified set stays.
    type: int
    default: 14
  keep_weekly:
    description: The same for weeks, from Monday to Sunday.
    type: int
    default: 8
  keep_monthly:
    description: The same for months.
    type: int
    default: 12
  keep_yearly:
    description: The same for years.
    type: int
    default: 3
  keep_verified:
    description: So many of the newest verified sets stay, V(2) or more. No damaged set goes before there are so many newer ones.
    type: int
    default: 2
  unproven_days:
    description: Days for which sets stay that are damaged or were never verified, V(7) or more.
    type: int
    default: 30
  partial_days:
    description: Days for which partial sets stay, V(7) or more; V(0) for ever. The set of a run that is at work always stays.
    type: int
    default: 0
  quarantine_days:
    description: Days for which damaged objects stay in C(quarantine) that were replaced by good ones, V(7) or more; V(0) for ever.
    type: int
    default: 0
  hold:
    description: Ids of sets that stay whatever else is said.
    type: list
    elements: str
    default: []
  lock_lease:
    description: Seconds without a sign of life after which a run counts as dead.
    type: int
    default: 21600
seealso:
  - module: seafleet.seafile.backup_set_info
"""

EXAMPLES = r"""
- name: What would go, and why does each other set stay?
  seafleet.seafile.backup_retention:
    backup_root: /srv/seafile-backup
    server: files.example.org
    keep_daily: 30
    keep_monthly: 24
    hold: [20260101T030000Z]
  check_mode: true
  diff: true
"""

RETURN = r"""
sets:
  description: All sets, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    set_id:
      description: The set.
      type: str
      sample: 20261123T030000Z
    state:
      description: V(partial), V(sealed), V(verified) or V(damaged).
      type: str
      sample: verified
    verdict:
      description: V(kept) or V(goes).
      type: str
      sample: kept
    reasons:
      description: Why, all of them.
      type: list
      elements: str
      sample: [newest verified, daily 2026-11-23]
pruned:
  description: Ids of the sealed sets that were removed, or would be in check mode, oldest first.
  returned: success
  type: list
  elements: str
  sample: [20261001T030000Z]
pruned_partial:
  description: The same for partial sets.
  returned: success
  type: list
  elements: str
  sample: []
pruned_quarantine:
  description: Directories of quarantined objects that were removed, or would be.
  returned: success
  type: list
  elements: str
  sample: []
quarantine:
  description: Directories that the quarantine had before, one for each time that objects were healed.
  returned: success
  type: int
  sample: 1
completed:
  description: Ids of sets whose removal was interrupted before, and ended now.
  returned: success
  type: list
  elements: str
  sample: []
frozen:
  description: Why nothing goes at all; empty when the policy decided.
  returned: success
  type: list
  elements: str
  sample: []
stayed:
  description: Sets that should have gone and stay, with the reason; they go at the next time.
  returned: success
  type: dict
  sample: {}
freed_bytes:
  description: Bytes of the files that no other set shares.
  returned: success
  type: int
  sample: 61234
notes:
  description: What a person should know, a sentence each, RV(frozen) and RV(stayed).
  returned: success
  type: list
  elements: str
  sample: []
summary:
  description: The whole in one sentence.
  returned: success
  type: str
  sample: 1 of 24 sets is pruned (61.2 KB), 23 stay
report:
  description: The same for people, a line for each set.
  returned: success
  type: list
  elements: str
  sample:
    - 1 of 24 sets is pruned (61.2 KB), 23 stay
    - "goes: 20261001T030000Z (verified): 7 days old or older, and nothing keeps it"
    - "kept: 20261123T030000Z (verified): newest verified; daily 2026-11-23"
code:
  description: Stable code of the failure; V(run-active) while a run is at work, V(retention-policy), V(retention-incomplete), V(set-id-invalid).
  returned: failure
  type: str
  sample: run-active
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import backup_marker, retention_run
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout
from ansible_collections.seafleet.seafile.plugins.module_utils.retention import Policy

NUMBERS = ("min_age_days", "keep_last", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly", "keep_verified", "unproven_days",
           "partial_days", "quarantine_days")


def retain(module):
    """Decide, and remove what goes."""
    params = module.params
    policy = Policy(hold=frozenset(params["hold"]), **{name: params[name] for name in NUMBERS})
    layout = ServerLayout(params["backup_root"], params["server"])
    backup_marker.require(layout, params["server"])  # nothing is removed where another server's backup lies, or none
    return retention_run.retain(layout, policy, utc_now(), params["lock_lease"], module.check_mode)


def main():
    defaults = Policy()
    numbers = {name: {"type": "int", "default": getattr(defaults, name)} for name in NUMBERS}
    module = AnsibleModule(
        argument_spec=dict(
            backup_root={"type": "path", "required": True},
            server={"type": "str", "required": True},
            hold={"type": "list", "elements": "str", "default": []},
            lock_lease={"type": "int", "default": 21600},
            **numbers,
        ),
        supports_check_mode=True,
    )
    run_module(module, retain)


if __name__ == "__main__":
    main()
