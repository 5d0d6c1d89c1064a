#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: safety_copy
short_description: Bring back what a restore put aside
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Brings a safety copy back, as M(seafleet.seafile.restore_target) made it. The directory returns by a rename, so that every file has the owner,
    mode and time that it had; databases are dropped and imported from the copy's dumps; databases that were not there when the copy was
    made are dropped. At the end the checksums of all tables are compared with those that the copy was made with.
  - What is there now becomes a safety copy itself first, so that a rollback can be undone by another one. No safety copy is removed.
  - The copy is proven before anything is changed. Seafile must have been stopped.
  - Interrupted at any point, the module goes on where it stopped when it is run again. Run again after its end, it changes nothing.
  - Accounts of the database server stay as they are.
  - Runs on the server.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.database_login, seafleet.seafile.seafile_root]
attributes:
  check_mode:
    support: full
    details: The copy is proven and the database server is looked at; nothing is changed.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  state_dir:
    description: The directory of the server's restore records, which holds the safety copies.
    type: path
    required: true
  moment:
    description: The copy to bring back, such as V(20261124T081500Z). By default the newest one that a restore made of a deployment that was whole.
    type: str
  running:
    description: Whether Seafile was running before it was stopped for this rollback; the safety copy of the present state tells it.
    type: bool
    default: false
  login_user:
    description: The account that may create and drop databases, for copies that hold dumps.
seealso:
  - module: seafleet.seafile.safety_copy_info
  - module: seafleet.seafile.restore_target
"""

EXAMPLES = r"""
- name: Undo the last restore
  seafleet.seafile.safety_copy:
    seafile_root: /opt/seafile
    state_dir: /var/lib/seafleet/files.example.org
"""

RETURN = r"""
moment:
  description: The safety copy that was brought back.
  returned: success
  type: str
  sample: 20261124T081500Z
set_id:
  description: The set that was restored after it was made.
  returned: success
  type: str
  sample: 20261123T030000Z
already:
  description: Whether it was brought back by an earlier run, so that nothing was left to do.
  returned: success
  type: bool
  sample: false
kept_as:
  description: The safety copy that holds what was there before the rollback.
  returned: success
  type: str
  sample: 20261124T101500Z
kept_directory:
  description: Where the Seafile directory of that copy lies, or null when there was none.
  returned: success
  type: str
  sample: /opt/seafile.before-20261124T101500Z
directory:
  description: The Seafile directory that was brought back, or null when there was none.
  returned: success
  type: str
  sample: /opt/seafile
databases:
  description: The databases that were brought back.
  returned: success
  type: list
  elements: str
  sample: [ccnet-db, seafile-db, seahub-db]
dropped:
  description: Databases that were not there when the copy was made, and were dropped. RV(kept_as) holds them.
  returned: success
  type: list
  elements: str
  sample: []
programs:
  description: Directories of Seafile's programs that came back.
  returned: success
  type: list
  elements: str
  sample: [seafile-server-11.0.13]
owner:
  description: C(user) and C(group) of the Seafile directory.
  returned: success
  type: dict
  sample: {user: seafile, group: seafile}
was_running:
  description: Whether Seafile was running when the copy was made.
  returned: success
  type: bool
  sample: true
notes:
  description: What a person should know though all went well.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import rollback_run, rsync
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.restore_login import LOGIN_ARGUMENTS, login


def bring_back(module):
    """Prove and look, then bring back."""
    params = module.params
    root = rsync.require_place(params["seafile_root"], "seafile_root")
    work = rollback_run.Rollback(params["state_dir"], root, params["moment"] or None, login(params), utc_now(), params["running"])
    return work.preview() if module.check_mode else work.run()


def main():
    module = AnsibleModule(
        argument_spec=dict(
            seafile_root={"type": "path", "required": True},
            state_dir={"type": "path", "required": True},
            moment={"type": "str"},
            running={"type": "bool", "default": False},
            **LOGIN_ARGUMENTS,
        ),
        supports_check_mode=True,
    )
    run_module(module, bring_back)


if __name__ == "__main__":
    main()
