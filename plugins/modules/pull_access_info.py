#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pull_access_info
short_description: Try what a backup host's key really opens on a server
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Runs on the backup host and tries, with its key, whatever a backup never needs. That is to write, to run a command, to read above and outside
    the directory, to follow links, to let rsync write a log file or remove what it has read, and to reach other ports.
  - Every try is harmless where it is allowed. Nothing is written, removed or transferred.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.ssh_source]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  host:
    required: true
  src:
    description: The directory that may be read, an absolute path as the account's rsync sees it. Below C(rrsync) that is a path inside its directory.
    type: str
    required: true
  restricted:
    description: Whether the account is meant to be restricted. With V(false) what is allowed is told in RV(notes) and is no problem.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: What may the backup host's key do?
  seafleet.seafile.pull_access_info:
    src: /
    host: files.example.org
    user: seafile
    private_key: /etc/seafleet/files.example.org/id_ed25519
    known_hosts: /etc/seafleet/files.example.org/known_hosts
    host_key_alias: files.example.org
  delegate_to: backup.example.org
  register: access
"""

RETURN = r"""
tries:
  description: For each try C(allowed) (null when the server did not answer), the C(deed) in words, and the first line that was C(said).
  returned: success
  type: dict
  sample: {shell: {allowed: false, deed: run any command, said: "rrsync error: SSH_ORIGINAL_COMMAND does not run rsync"}}
problems:
  description: What is in the way or too wide, each with C(code), C(message), C(what), C(cause) and C(next_step). Empty when nothing is.
  returned: success
  type: list
  elements: dict
  sample: []
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
  sample: address-invalid
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import pull_stage, pull_tries, rsync
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module

# what fails only behind the login, so that another line of authorized_keys may be the one that counts
_LOGGED_IN = ("pull-access-refused", "source-missing", "source-unreadable", "rsync-failed")


def inform(module):
    """Try everything; return the module's result."""
    params = module.params
    binary, version = pull_stage.program(module)
    src, remote = rsync.require_place(params["src"], "src"), rsync.reach(params, version)
    source = rsync.source_name(params["host"], src)
    argv = rsync.probe_argv(binary, src, remote)
    status, dummy, stderr = module.run_command(argv, expand_user_and_vars=False, environ_update={"LC_ALL": "C"})
    unread = [rsync.explain(status, stderr, None, source)] if status != 0 else []
    if unread and unread[0].code not in _LOGGED_IN:  # where nobody gets in, nothing is told by what is refused
        return dict(changed=False, tries={}, notes=[], problems=[unread[0].as_problem()])
    found = pull_tries.ask(pull_tries.tries(binary, src, remote))
    problems = pull_tries.problems(found, source)
    notes = []
    if not params["restricted"]:
        notes = [f"{source}: the account is not restricted (seafile_pull_restricted is false): {problem.cause}" for problem in problems]
        problems = []
    problems = unread + problems
    return dict(changed=False, tries=found, problems=[problem.as_problem() for problem in problems], notes=notes)


def main():
    module = AnsibleModule(
        argument_spec={
            **rsync.REMOTE_ARGUMENTS,
            "host": {"type": "str", "required": True},
            "src": {"type": "str", "required": True},
            "restricted": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    run_module(module, inform)


if __name__ == "__main__":
    main()
