#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: safety_copy_retention
short_description: List what restores and rollbacks put aside, remove what is old, and say why the rest stays
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Decides of every safety copy of one server whether it stays or goes, tells all reasons, and removes those that go. In check mode it tells the
    same and removes nothing. Without O(days) every copy stays.
  - A copy is as old as its moment, or as its record was last written where that is later. One from the future of this host's clock stays.
  - Nothing goes at all while a restore or a rollback is at work, or was interrupted and will be continued. RV(frozen) says so.
  - A copy stays also when it has no readable record or was never completed; when its directory is missing, is a link, has another name than a restore
    gives, holds a mount point, another file system or another copy; when a process of Seafile works with it, or the Seafile directory leads into it.
  - A copy that goes is marked in its record first, so that no rollback takes it; then its directory gets another name and is removed, then its dumps and
    its record. A removal that was killed is ended by the next run. Links are not followed.
  - Runs on the server.
extends_documentation_fragment: [seafleet.seafile.attributes]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The moments of the copies before and after.
  platform:
    support: full
    platforms: posix
options:
  state_dir:
    description: The directory of the server's restore records, which holds the safety copies. It may be missing.
    type: path
    required: true
  seafile_root:
    description: The Seafile directory as it is now. No copy goes that it leads into. The one that each record names is looked at in any case.
    type: path
  days:
    description: Days for which safety copies stay, V(7) or more; V(0) for ever.
    type: int
    default: 0
  sizes:
    description: Whether to tell the size of each copy. Every file of it is looked at for that.
    type: bool
    default: true
seealso:
  - module: seafleet.seafile.safety_copy_info
  - module: seafleet.seafile.safety_copy
  - module: seafleet.seafile.backup_retention
"""

EXAMPLES = r"""
- name: What would go, and why does each other copy stay?
  seafleet.seafile.safety_copy_retention:
    seafile_root: /opt/seafile
    state_dir: /var/lib/seafleet/files.example.org
    days: 90
  check_mode: true
"""

RETURN = r"""
copies:
  description: All safety copies, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    moment:
      description: When it was made (UTC), by which it is named.
      type: str
      sample: 20261124T081500Z
    verdict:
      description: V(kept) or V(goes).
      type: str
      sample: kept
    reasons:
      description: Why, all of them.
      type: list
      elements: str
      sample: [younger than 90 days]
    path:
      description: Its directory, with the record and the dumps.
      type: str
      sample: /var/lib/seafleet/files.example.org/before-20261124T081500Z
    directory:
      description: Where its record says that the Seafile directory lies; null when there was none, or when it was brought back.
      type: str
      sample: /opt/seafile.before-20261124T081500Z
    bytes:
      description: Bytes of both, each file once. Null without O(sizes).
      type: int
      sample: 1234567890
    age_seconds:
      description: Seconds since its moment.
      type: int
      sample: 518400
removed:
  description: Moments of the copies that were removed, or would be in check mode, oldest first.
  returned: success
  type: list
  elements: str
  sample: []
completed:
  description: Moments of the copies whose removal was interrupted before, and ended now.
  returned: success
  type: list
  elements: str
  sample: []
frozen:
  description: Why nothing goes at all; empty when the days decided.
  returned: success
  type: list
  elements: str
  sample: []
report:
  description: The same for people, a line for each copy.
  returned: success
  type: list
  elements: str
  sample: ["safety copy 20261124T081500Z (6 days old, 1.2 GB) stays: younger than 90 days"]
code:
  description: Stable code of the failure, such as V(retention-policy) or V(retention-incomplete).
  returned: failure
  type: str
  sample: retention-policy
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import deployment, safety_removal
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module


def retain(module):
    """Decide, and remove what goes."""
    params = module.params
    state_dir = deployment.require_plain_path(params["state_dir"], "state_dir")
    roots = [deployment.require_plain_path(params["seafile_root"], "seafile_root")] if params["seafile_root"] else []
    return safety_removal.retain(state_dir, roots, params["days"], utc_now(), params["sizes"], module.check_mode)


def main():
    module = AnsibleModule(
        argument_spec={
            "state_dir": {"type": "path", "required": True},
            "seafile_root": {"type": "path"},
            "days": {"type": "int", "default": 0},
            "sizes": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    run_module(module, retain)


if __name__ == "__main__":
    main()
