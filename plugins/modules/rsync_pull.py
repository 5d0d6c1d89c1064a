#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rsync_pull
short_description: Pull dumps, files or objects with rsync, never deleting and never overwriting an object
version_added: "0.1.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Runs C(rsync) on this host and pulls a directory from another host, or from this one when O(host) is not given.
  - No option of this module, and no flag that it gives to rsync, deletes anything or writes into a file in place.
  - Objects that are here already are never touched; an empty object is never stored, since no Seafile object is empty.
  - Files are compared by content, so that an edit within the same second at the same size is not missed.
  - Data flows between the two hosts; none of it passes through the controller.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.ssh_source]
attributes:
  check_mode:
    support: full
    details: Runs rsync with C(--dry-run); says how many files and bytes would come. O(checksums) and the lock of O(run) are not
      looked at, since no run has begun.
  diff_mode:
    support: partial
    details: The first 100 changes as rsync itemizes them.
  platform:
    support: full
    platforms: posix
options:
  content:
    description:
      - What is pulled, which decides the rules.
      - V(dumps) for database dumps with their checksums, V(files) for configuration and other files (links are kept as
        links), V(objects) for a directory that holds C(commits), C(fs) and C(blocks).
    type: str
    choices: [dumps, files, objects]
    required: true
  src:
    description: The directory whose contents are pulled, an absolute path as the other host's rsync sees it. Below C(rrsync)
      that is the path inside its directory. A link in its last place is followed, no other one is.
    type: str
    required: true
  dest:
    description: The directory that receives them; created with mode 0700 when missing. Required without O(run).
    type: path
  run:
    description:
      - Makes the pull a stage of a backup run. O(dest) then follows from the layout of a backup, the run must hold the
        server's lock, dumps must have arrived before files and files before objects.
      - After objects it notes in the backup's C(state/source.json) where they came from, for M(seafleet.seafile.set_verify), which
        asks that place for objects that are damaged here. No secret is noted.
    type: dict
    suboptions:
      backup_root:
        description: The directory that holds the backups of all servers.
        type: path
        required: true
      server:
        description: The server's name, which is its directory's name.
        type: str
        required: true
      set_id:
        description: The set of this run.
        type: str
        required: true
  excludes:
    description: Patterns in rsync's own form that are left out.
    type: list
    elements: str
    default: []
  files_from:
    description: A file on this host with NUL-separated paths relative to O(src); only these are pulled, and each must be there.
    type: path
  checksums:
    description: SHA-256 by path relative to O(dest). Every one is compared after the pull.
    type: dict
    default: {}
  bandwidth_limit:
    description: Limit for this pull in KiB a second; V(0) for none.
    type: int
    default: 0
  timeout:
    description: Seconds without any byte after which the connection counts as lost.
    type: int
    default: 300
  retries:
    description: How often a lost connection is tried again, after 2, 4, 8 ... seconds. What has arrived is kept.
    type: int
    default: 3
"""

EXAMPLES = r"""
- name: Pull the objects of a server into the backup
  seafleet.seafile.rsync_pull:
    content: objects
    src: /seafile-data/storage
    host: files.example.org
    user: seafile
    private_key: /etc/seafleet/files.example.org/id_ed25519
    known_hosts: /etc/seafleet/files.example.org/known_hosts
    host_key_alias: files.example.org
    run:
      backup_root: /srv/seafile-backup
      server: files.example.org
      set_id: 20261123T030000Z
"""

RETURN = r"""
dest:
  description: The directory that received the files.
  returned: success
  type: str
  sample: /srv/seafile-backup/files.example.org/objects
listed:
  description: Regular files at the source that belong to O(content).
  returned: success
  type: int
  sample: 1077
transferred:
  description: Regular files that came (in check mode, would come).
  returned: success
  type: int
  sample: 12
bytes_transferred:
  description: Their size in bytes.
  returned: success
  type: int
  sample: 204800
bytes_listed:
  description: The size in bytes of all regular files at the source that belong to O(content).
  returned: success
  type: int
  sample: 21567890
empty_objects:
  description: Objects of zero length at the source. They are damaged there and were not stored.
  returned: success
  type: list
  elements: str
  sample: []
vanished:
  description: Files that the server removed while they were being read.
  returned: success
  type: list
  elements: str
  sample: []
notes:
  description: What a person should know about the source, one sentence each. Up to 0.1.0 this was C(warnings_of_source).
  returned: success
  version_added: "0.2.0"
  type: list
  elements: str
  sample: []
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: host-key-unknown
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import pull_stage, rsync
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, require_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.run_record import joined


def _pull(module, layout, held=()):
    params = module.params
    binary, version = pull_stage.program(module)
    dest, link_dest = pull_stage.destination(layout, params["run"]["set_id"], params["content"]) if layout else (params["dest"], None)
    pull = rsync.Pull(
        content=params["content"], src=rsync.require_place(params["src"], "src"), dest=rsync.require_place(dest, "dest"),
        remote=rsync.reach(params, version), excludes=params["excludes"], link_dest=link_dest, files_from=params["files_from"],
        bandwidth_limit=params["bandwidth_limit"], timeout=params["timeout"], dry_run=module.check_mode)
    source = rsync.source_name(params["host"], params["src"])
    created = False
    if not module.check_mode:
        created = make_private_directory(dest)
    objects_of_a_set = layout and params["content"] == "objects" and not module.check_mode
    with pull_stage.believing_nothing(layout, pull, source) if objects_of_a_set else contextlib.nullcontext():
        report = pull_stage.fetch(binary, pull, source, params["retries"], held)
    if params["content"] == "objects":
        pull_stage.refuse_links(report, source)
    if not module.check_mode:
        pull_stage.check_sums(dest, params["checksums"])
        if layout and params["content"] == "dumps":
            pull_stage.check_dumps(dest, params["checksums"], source)
    return dest, report, created


def pull(module):
    """Pull once, as a stage of a run where O(run) is given; return the module's result."""
    params = module.params
    content = params["content"]
    layout = None
    if params["run"]:
        layout = ServerLayout(params["run"]["backup_root"], params["run"]["server"])
        require_set_id(params["run"]["set_id"])
    if layout is None or module.check_mode:
        dest, report, created = _pull(module, layout)
    else:
        with joined(layout, params["run"]["set_id"]) as run:
            run.require_before(content)
            began = utc_now()
            dest, report, created = _pull(module, layout, run.held)
            pull_stage.finish(run, layout, content, began, report, params["checksums"])
            if content == "objects":
                pull_stage.note_source(layout, params, params["src"])
    result = dict(
        pull_stage.counts(report), changed=created or report.itemized > 0, dest=dest, empty_objects=report.empty_objects[:100],
        vanished=report.vanished[:100], notes=pull_stage.sentences(report))
    if module._diff:
        result["diff"] = {"prepared": "".join(f"{line}\n" for line in report.changes)}
    return result


def main():
    run_spec = {
        "backup_root": {"type": "path", "required": True}, "server": {"type": "str", "required": True},
        "set_id": {"type": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "content": {"type": "str", "choices": list(rsync.CONTENTS), "required": True},
            "src": {"type": "str", "required": True},
            "dest": {"type": "path"},
            "run": {"type": "dict", "options": run_spec},
            **rsync.REMOTE_ARGUMENTS,
            "excludes": {"type": "list", "elements": "str", "default": []},
            "files_from": {"type": "path"},
            "checksums": {"type": "dict", "default": {}},
            "bandwidth_limit": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 300},
            "retries": {"type": "int", "default": 3},
        },
        required_one_of=[("dest", "run")],
        mutually_exclusive=[("dest", "run")],
        supports_check_mode=True,
    )
    run_module(module, pull)


if __name__ == "__main__":
    main()
