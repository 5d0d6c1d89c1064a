#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gc_guard
short_description: Notice what a garbage collection and users did to libraries while they were backed up
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Runs on the Seafile server, around the pull of the objects. O(state=armed) comes when the dumps were pulled, O(state=checked) when the objects were.
  - O(state=armed) reads the heads of all libraries, and the traces of garbage collection, from the staged dump of Seafile's own database
    into the small file C(heads.json). Then it removes the dumps and everything else in O(staging), so that no dump stays on the server.
  - O(state=checked) compares them with the live database and tells which libraries a garbage collection has worked on since the dump,
    and which have another head. Then it removes O(staging).
  - A garbage collection between dump and pull may take objects that the dump still points at. They are then missing in the backup without
    any error. The verification of the set has to look at these libraries in full.
  - The traces are the tables C(GCID) and C(LastGCID), which Seafile 12 and newer keeps with MySQL or MariaDB, and C(RepoValidSince),
    which every version writes before it takes anything from a library with a history limit.
    Libraries without such a limit lose nothing that a dump points at.
  - With MySQL and MariaDB the row of C(GCID) is also read with a lock. One that stays locked is counted as a garbage collection at work on that library.
  - Server and account of the database are read from Seafile's own configuration.
    The password is handed to the programs in a file without a name. It is never on a command line, in the environment, on a disk or in a result.
options:
  state:
    description:
      - V(armed) keeps what the dump says and removes the dumps. V(checked) compares with the live database and removes O(staging).
    type: str
    choices: [armed, checked]
    required: true
  staging:
    description:
      - The staging directory of the set, an absolute path whose last part is the set's id; the dumps lie in C(databases) in it.
      - Any other name fails the module with the code V(set-id-invalid), for it removes what is there.
      - Directories beside it that are named by an earlier set id are the remains of dead runs and are removed too.
        Nothing else beside it is touched. The directory above it, and a C(.seafleet) above that, are removed by V(checked) when they are empty.
    type: path
    required: true
  lock_timeout:
    description:
      - Seconds that a row of C(GCID) may stay locked before it counts as a garbage collection at work, with O(state=checked).
      - An upload holds such a row for milliseconds, a garbage collection for as long as it removes objects.
      - For the database's own locks on whole tables (a table that is being altered) it is the time after which the module
        fails with the code V(database-error).
    type: int
    default: 10
attributes:
  check_mode:
    support: full
    details:
      - Tells what would be removed and removes nothing. As check mode dumps nothing, there is usually nothing to keep or to compare,
        which is then no failure.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
extends_documentation_fragment:
  - seafleet.seafile.attributes
  - seafleet.seafile.seafile_root
  - seafleet.seafile.sqlite_lock
seealso:
  - module: seafleet.seafile.server_dump
    description: Notes the heads too, and keeps the dumps.
  - module: seafleet.seafile.mysql_dump
  - module: seafleet.seafile.sqlite_dump
  - module: seafleet.seafile.server_info
"""

EXAMPLES = r"""
- name: Leave no dump on the server, but note its heads
  seafleet.seafile.gc_guard:
    state: armed
    seafile_root: /opt/seafile
    staging: /opt/seafile/.seafleet/20261123T030000Z

- name: Ask what was collected and moved while the objects were pulled
  seafleet.seafile.gc_guard:
    state: checked
    seafile_root: /opt/seafile
    staging: /opt/seafile/.seafleet/20261123T030000Z
  register: guard
"""

RETURN = r"""
libraries:
  description: Number of libraries (trash and sub-libraries included) in the dump. Null when it is not known.
  returned: success
  type: int
  sample: 14
removed:
  description: What was removed, in check mode what would be.
  returned: success
  type: list
  elements: str
  sample: [/opt/seafile/.seafleet/20261123T030000Z/attributes.json, /opt/seafile/.seafleet/20261123T030000Z/databases]
collected:
  description: Ids of the libraries of the dump that a garbage collection has worked on since the dump, sorted.
  returned: with O(state=checked)
  type: list
  elements: str
  sample: [010dbf6c-aa5a-416e-a642-840336b5c3af]
moved:
  description:
    - Ids of the libraries of the dump that have another head now, or none, sorted. A library that went to the trash with its head has not moved.
    - For a sub-library the commit of its origin that it was last merged with counts as a head too.
  returned: with O(state=checked)
  type: list
  elements: str
  sample: []
gone:
  description: Ids of those libraries of the dump that are neither there nor in the trash any more, sorted. They are in RV(moved) too.
  returned: with O(state=checked)
  type: list
  elements: str
  sample: []
gc_running:
  description: Processes of a garbage collection that work with this deployment now.
  returned: with O(state=checked)
  type: list
  elements: dict
  sample: [{pid: 1207, program: seafserv-gc}]
unknown:
  description:
    - Whether nothing could be compared, because C(heads.json) is gone or damaged. RV(collected) and RV(moved) are empty then,
      and any library may have been collected or moved. True in check mode when nothing was armed.
  returned: with O(state=checked)
  type: bool
  sample: false
notes:
  description: What a person should know. Also given as warnings.
  returned: success
  type: list
  elements: str
  sample: [since the dump a garbage collection worked on 1 library]
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: dump-missing
next_step:
  description: What to do about the failure.
  returned: failure
  type: str
  sample: run the backup again; the set stays partial
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import gc_guard
from ansible_collections.seafleet.seafile.plugins.module_utils.deployment import require_plain_path
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import read_configuration


def guard(module: AnsibleModule) -> dict[str, t.Any]:
    """Arm the guard, or check it."""
    params = module.params
    staging = gc_guard.require_staging(params["staging"])
    configuration = read_configuration(require_plain_path(params["seafile_root"], "seafile_root"))
    if params["state"] == "armed":
        result = gc_guard.arm(configuration, staging, module.check_mode)
    else:
        result = gc_guard.check(configuration, staging, params["lock_timeout"], params["busy_timeout"], module.check_mode)
    for note in result["notes"]:
        module.warn(note)
    return result


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["armed", "checked"], "required": True},
            "seafile_root": {"type": "path", "required": True},
            "staging": {"type": "path", "required": True},
            "lock_timeout": {"type": "int", "default": 10},
            "busy_timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    run_module(module, guard)


if __name__ == "__main__":
    main()
