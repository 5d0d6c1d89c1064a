#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fsck_info
short_description: Ask Seafile's own seaf-fsck what it thinks of the libraries, and never repair
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Runs the server's own C(seaf-fsck.sh) in its checking mode, as the owner of the libraries, and returns what its words mean.
    Its exit status means nothing, it is 0 whatever it finds.
  - Never repairs. There is no option that could pass C(--repair) on, which replaces damaged files by empty ones and cuts off sync clients.
  - C(seaf-fsck) looks at the current state of each library only. It does not see damage in older states that users could still go back to;
    M(seafleet.seafile.set_closure) and the verification of a backup do.
  - Where Seafile's programs are not installed, RV(available) is V(false) and the module does not fail.
  - Seafile may run meanwhile. Every block of every library is read, which takes hours on a large server.
  - Run it as root, or as the account that runs Seafile. For a deployment in containers run C(seaf-fsck.sh) inside of it.
options:
  libraries:
    description:
      - Ids of the libraries to look at, such as V(b0d6c8d0-d232-4563-9899-d92e9741eb8b). Anything else is refused.
      - Default is all.
    type: list
    elements: str
  timeout:
    description:
      - Seconds after which it is ended, and the module fails with C(fsck-timeout) and what was found so far. V(0) is no limit.
    type: int
    default: 0
attributes:
  check_mode:
    support: full
    details: Reads only, so it does the same in check mode.
  diff_mode:
    support: none
    details: Changes nothing.
  platform:
    support: full
    platforms: posix
extends_documentation_fragment:
  - seafleet.seafile.attributes
  - seafleet.seafile.seafile_root
seealso:
  - module: seafleet.seafile.server_info
  - module: seafleet.seafile.set_closure
"""

EXAMPLES = r"""
- name: Ask Seafile about all its libraries
  seafleet.seafile.fsck_info:
    seafile_root: /opt/seafile
    timeout: 14400
  register: fsck

- name: Stop when it found damage
  ansible.builtin.assert:
    that: fsck.findings_total == 0
    fail_msg: "{{ fsck.findings | map(attribute='words') | flatten | join(' ') }}"

- name: Ask about one library
  seafleet.seafile.fsck_info:
    seafile_root: /opt/seafile
    libraries: [b0d6c8d0-d232-4563-9899-d92e9741eb8b]
"""

RETURN = r"""
available:
  description: Whether there is a C(seaf-fsck) to run. Without it all numbers are 0.
  returned: success
  type: bool
  sample: true
reason:
  description: Why there is none. Null when there is one.
  returned: success
  type: str
  sample: null
program:
  description: The script that was run, or null.
  returned: success
  type: str
  sample: /opt/seafile/seafile-server-latest/seaf-fsck.sh
version:
  description: The version of Seafile's programs, null when it cannot be told.
  returned: success
  type: str
  sample: 11.0.13
checked:
  description: How many libraries it looked at.
  returned: success, or failure with C(fsck-timeout)
  type: int
  sample: 14
healthy:
  description: In how many of them it found nothing.
  returned: success, or failure with C(fsck-timeout)
  type: int
  sample: 13
damaged_libraries:
  description: The libraries with findings. C(library) is the first eight digits of the id, as it prints them.
  returned: success, or failure with C(fsck-timeout)
  type: list
  elements: dict
  sample:
    - {library: b0d6c8d0, library_id: b0d6c8d0-d232-4563-9899-d92e9741eb8b}
findings:
  description: What is damaged, each thing once, at most 1000.
  returned: success, or failure with C(fsck-timeout)
  type: list
  elements: dict
  contains:
    library:
      description: The first eight digits of the library's id. Empty when its words name no library.
      type: str
      sample: b0d6c8d0
    library_id:
      description: The whole id. Null when it is not known, or when two libraries begin so.
      type: str
      sample: b0d6c8d0-d232-4563-9899-d92e9741eb8b
    kind:
      description: V(blocks), V(fs), V(commits), V(head) (the library's current state as a whole), or V(library) for other words.
      type: str
      sample: blocks
    damage:
      description: V(missing), V(damaged), V(unrepairable), V(unknown-library), V(unfinished) (it ended amid this library) or V(failed).
      type: str
      sample: damaged
    id:
      description: The object's id, or its first eight digits where it printed no more, or null.
      type: str
      sample: 04c6772aabd34a8ffa1baf06bbb76175a7da8e79
    path:
      description: The damaged file or directory in the library, or null.
      type: str
      sample: /big/random-300k.bin
    words:
      description: What it said.
      type: list
      elements: str
      sample:
        - Repo[b0d6c8d0] block 04c6772aabd34a8ffa1baf06bbb76175a7da8e79 is damaged.
        - Repo[b0d6c8d0] file /big/random-300k.bin(157a3f0a) is damaged.
findings_total:
  description: How many findings there are, also beyond those in RV(findings).
  returned: success, or failure with C(fsck-timeout)
  type: int
  sample: 1
messages:
  description: What else it said, at most 50 lines.
  returned: success, or failure with C(fsck-timeout)
  type: list
  elements: str
  sample: ["Starting seaf-fsck, please wait ...", "seaf-fsck run done", "Done."]
code:
  description: Stable code of the failure, such as V(fsck-timeout), V(fsck-refused), V(fsck-failed), V(library-id-invalid) or V(no-rights).
  returned: failure
  type: str
  sample: fsck-timeout
next_step:
  description: What to do about the failure.
  returned: failure
  type: str
  sample: give it more time (timeout), or fewer libraries (libraries)
"""

import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import fsck
from ansible_collections.seafleet.seafile.plugins.module_utils.deployment import require_plain_path
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.program_output import read_back
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import read_configuration


def ask(module: AnsibleModule) -> dict[str, t.Any]:
    """Run seaf-fsck where it is and return what it found."""
    libraries = fsck.require_libraries(module.params["libraries"] or [])
    timeout = module.params["timeout"]
    if timeout < 0:
        raise SeafileError("fsck-timeout", f"timeout {timeout}", "it must be 0 or more", "give timeout in seconds, 0 for no limit")
    configuration = read_configuration(require_plain_path(module.params["seafile_root"], "seafile_root"))
    program, reason = fsck.find_program(configuration)
    result: dict[str, t.Any] = {
        "changed": False, "available": program is not None, "reason": reason or None, "program": program.path if program else None,
        "version": configuration.version}
    if program is None:
        return dict(result, **fsck.Reader().result())
    with tempfile.TemporaryFile(dir=module.tmpdir) as output:
        completed = fsck.run(program, libraries, timeout, output)
        reader = fsck.read(read_back(output), completed)
    if not completed:
        raise SeafileError("fsck-timeout", program.path, f"it did not end within {timeout} seconds", **reader.result())
    fsck.require_sense(reader, program, libraries)
    return dict(result, **reader.result())


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "seafile_root": {"type": "path", "required": True},
            "libraries": {"type": "list", "elements": "str"},
            "timeout": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    run_module(module, ask)


if __name__ == "__main__":
    main()
