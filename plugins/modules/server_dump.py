#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_dump
short_description: Write to staging whatever a backup run wants of a Seafile server before it pulls
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Runs on the Seafile server and does in one task, in this order, what M(seafleet.seafile.file_attributes), M(seafleet.seafile.mysql_dump),
    M(seafleet.seafile.sqlite_dump), M(seafleet.seafile.gc_guard) with O(seafleet.seafile.gc_guard#module:state=armed) and
    M(seafleet.seafile.library_changes) do each by itself.
  - Owners and modes go to C(attributes.json), the dumps to C(databases), the heads of all libraries to C(heads.json) for
    M(seafleet.seafile.gc_guard) with O(seafleet.seafile.gc_guard#module:state=checked), the list of what is new to C(objects.list), all in O(dest).
    The dumps stay there until that check removes O(dest).
  - Which databases there are is read from Seafile's own configuration. The MySQL databases come before the SQLite files.
    A deployment that keeps its data in MySQL or MariaDB may have SQLite files too, which are dumped with the role V(other).
  - Whatever can be refused is refused before anything is written, such as a missing privilege, a missing SQLite file or an object store that is not mounted.
    On a later failure no dump and no list of this run stays.
  - Staging directories beside O(dest) that are named by an earlier set id are the remains of dead runs and are removed.
  - Run it as root or as the account that runs Seafile.
options:
  dest:
    description:
      - The staging directory of the set, an absolute path whose last part is the set's id. It is created with mode 0700 when missing,
        the directories above it with mode 0711.
      - Any other name fails the module with the code V(set-id-invalid).
      - A dump there under a name that this one would take fails the module with the code V(dump-exists); nothing is ever overwritten.
    type: path
    required: true
  owner:
    description:
      - Account that is to own O(dest) and what is in it, for instance the one the backup host pulls with.
        C(heads.json) is not for it and stays with the account that runs this module.
    type: str
  storage:
    description:
      - Path of the object store relative to O(seafile_root). Default is where Seafile's configuration has it.
    type: str
  shallow:
    description:
      - Relative paths of directories whose owners and modes are recorded without their contents. Default is what
        M(seafleet.seafile.server_info) returns in RV(seafleet.seafile.server_info#module:shallow).
    type: list
    elements: str
  skipped:
    description:
      - Relative paths whose owners and modes are not recorded. Default is what M(seafleet.seafile.server_info) returns in
        RV(seafleet.seafile.server_info#module:left_out).
    type: list
    elements: str
  nontransactional:
    description:
      - What to do about MySQL tables without transactions, see O(seafleet.seafile.mysql_dump#module:nontransactional).
    type: str
    choices: [lock, warn, fail]
    default: lock
  changes:
    description:
      - Asks for the list of what is new since a verified set, made from the fresh dump. Without it there is no list.
      - When only the list cannot be made, because O(changes.state_dir) cannot be written, is not this account's alone or is in use by
        another run, the module does not fail. RV(changes) is null then, a note says why, and everything has to be compared by the pull.
    type: dict
    suboptions:
      state_dir:
        description:
          - The directory for what is remembered from run to run, an absolute path, made with mode 0700 when it is missing. One for
            every backup host that pulls from this server.
        type: path
        required: true
      known_set_id:
        description:
          - The newest set on the backup host that is verified. Without it, everything is listed as a whole.
        type: str
      distrusted:
        description:
          - Ids of libraries in which the known set lacks something that it should have; each is listed as a whole.
        type: list
        elements: str
        default: []
      level:
        description:
          - V(auto) lists what is new; V(whole) lists every library as a whole.
        type: str
        choices: [auto, whole]
        default: auto
      sweep:
        description:
          - Compare the times of all directories of all stores too, and count what the walks had missed,
            see O(seafleet.seafile.library_changes#module:sweep).
        type: bool
        default: false
attributes:
  check_mode:
    support: full
    details:
      - Reads the configuration, connects, checks databases and privileges, and tells which files would be written with estimated sizes.
        Writes nothing. As nothing is dumped, RV(changes) is null.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
extends_documentation_fragment:
  - seafleet.seafile.attributes
  - seafleet.seafile.seafile_root
  - seafleet.seafile.dump_compression
  - seafleet.seafile.sqlite_lock
seealso:
  - module: seafleet.seafile.gc_guard
  - module: seafleet.seafile.library_changes
  - module: seafleet.seafile.mysql_dump
  - module: seafleet.seafile.server_info
  - module: seafleet.seafile.sqlite_dump
"""

EXAMPLES = r"""
- name: Dump a Seafile server and list what is new on it
  seafleet.seafile.server_dump:
    seafile_root: /opt/seafile
    dest: /opt/seafile/.seafleet/staging/20261124T030000Z
    owner: seafleet-pull
    changes:
      state_dir: /opt/seafile/.seafleet/state/backup.example.org
      known_set_id: 20261123T030000Z

- name: Dump it without such a list
  seafleet.seafile.server_dump:
    seafile_root: /opt/seafile
    dest: /opt/seafile/.seafleet/staging/20261124T030000Z
"""

RETURN = r"""
dumps:
  description:
    - The files in C(databases) in O(dest), one for each database, as M(seafleet.seafile.mysql_dump) and M(seafleet.seafile.sqlite_dump) return them,
      the MySQL databases first.
  returned: success
  type: list
  elements: dict
  sample:
    - name: seafile-data/seafile.db
      role: seafile
      engine: sqlite
      file: seafile.db.sql.gz
      bytes: 3749
      sha256: 0a5e1b0f6f0a2f3f9bb1f5c6a2d1d8a2cf9a4f3e0a7b7d1d4b9f5d0c3e2a1b00
      uncompressed_bytes: 16346
      tables: [Branch, FileLocks, Repo]
      rows: {Branch: 14, FileLocks: 0, Repo: 14}
began:
  description: When the first dump began, UTC, by this machine's clock. No database in it is older.
  returned: when not in check mode
  type: str
  sample: "2026-11-24T03:00:00Z"
ended:
  description: When the last dump was complete, UTC.
  returned: when not in check mode
  type: str
  sample: "2026-11-24T03:00:02Z"
server_version:
  description: What the MySQL or MariaDB server says of its version; null without one.
  returned: success
  type: str
  sample: 10.11.19-MariaDB-0+deb12u1
client_version:
  description: What the dump program says of its version; null without a database server.
  returned: success
  type: str
  sample: mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
attributes:
  description: What was recorded of owners and modes.
  returned: success
  type: dict
  contains:
    entries:
      description: Number of recorded files, directories and links.
      returned: always
      type: int
      sample: 57
libraries:
  description: Number of libraries (trash and sub-libraries included) in the dump; null in check mode.
  returned: success
  type: int
  sample: 14
removed:
  description: Remains of dead runs that were removed, in check mode those that would be.
  returned: success
  type: list
  elements: str
  sample: [/opt/seafile/.seafleet/staging/20261101T030000Z]
changes:
  description:
    - What is new, as M(seafleet.seafile.library_changes) returns it, but for its notes (which are in RV(notes)) and with the name of the list in O(dest).
    - Null without O(changes), in check mode, and when the list could not be made. Everything has to be compared by the pull then.
  returned: success
  type: dict
  contains:
    list:
      description: Name of the list in O(dest).
      returned: always
      type: str
      sample: objects.list
    libraries:
      description: See RV(seafleet.seafile.library_changes#module:libraries).
      returned: always
      type: dict
      sample: {by_directories: 0, gone: 1, unmoved: 196, walked: 4, whole: 1}
    objects:
      description: Objects that are listed one by one.
      returned: always
      type: dict
      sample: {blocks: 96, commits: 12, fs: 131}
    directories:
      description: Directories and whole stores that are listed.
      returned: always
      type: int
      sample: 3
    empty:
      description: Whether nothing is listed, so that there is nothing to pull.
      returned: always
      type: bool
      sample: false
    everything:
      description: Whether every library is listed as a whole.
      returned: always
      type: bool
      sample: false
    whole:
      description: The first 1000 libraries that are listed as a whole, with the reason.
      returned: always
      type: list
      elements: dict
      sample: [{library: f80ccfb3-2029-4f0f-9307-49b17b935c56, reason: it is not in the known set}]
    whole_total:
      description: How many there are.
      returned: always
      type: int
      sample: 1
    sweep:
      description: What the sweep found, see RV(seafleet.seafile.library_changes#module:sweep); null when none was asked for.
      returned: always
      type: dict
      sample: {changed: 311, directories: 40960, missed: 0, missed_objects: [], names: 6220, unlisted: 3}
    reads:
      description: How many objects were read.
      returned: always
      type: int
      sample: 207
    seconds:
      description: Where the time went, by stage.
      returned: always
      type: dict
      sample: {directories: 0.01, sweep: 0.0, walk: 0.09}
seconds:
  description: Where the time went, by part.
  returned: success
  type: dict
  sample: {attributes: 0.01, changes: 0.09, heads: 0.05, mysql: 1.21, sqlite: 0.0}
notes:
  description: What a person should know though all is whole. They are shown as warnings too.
  returned: success
  type: list
  elements: str
  sample: []
part:
  description:
    - The part that failed, V(attributes), V(mysql), V(sqlite), V(heads) or V(changes); the message begins with it in words.
      Missing when an option, the configuration or the object store was at fault.
  returned: failure
  type: str
  sample: mysql
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: database-access-denied
next_step:
  description: What to do about the failure.
  returned: failure
  type: str
  sample: check the database user and password in seafile.conf (or .env)
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import server_dump_run
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module


def server_dump(module: AnsibleModule) -> dict[str, t.Any]:
    """Look, then do it all, or tell what would be done."""
    params = dict(module.params)
    params["changes"] = server_dump_run.Changes(**params["changes"]) if params["changes"] else None
    dump = server_dump_run.ServerDump(server_dump_run.Options(**params))
    result = dump.planned() if module.check_mode else dump.run()
    for note in result["notes"]:
        module.warn(note)
    return result


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "seafile_root": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "owner": {"type": "str"},
            "storage": {"type": "str"},
            "shallow": {"type": "list", "elements": "str"},
            "skipped": {"type": "list", "elements": "str"},
            "nontransactional": {"type": "str", "choices": ["lock", "warn", "fail"], "default": "lock"},
            "compression": {"type": "str", "choices": ["gzip", "zstd"], "default": "gzip"},
            "compression_level": {"type": "int", "choices": list(range(1, 10)), "default": 1},
            "busy_timeout": {"type": "int", "default": 30},
            "changes": {"type": "dict", "options": {
                "state_dir": {"type": "path", "required": True},
                "known_set_id": {"type": "str"},
                "distrusted": {"type": "list", "elements": "str", "default": []},
                "level": {"type": "str", "choices": ["auto", "whole"], "default": "auto"},
                "sweep": {"type": "bool", "default": False},
            }},
        },
        supports_check_mode=True,
    )
    run_module(module, server_dump, awaited=True)


if __name__ == "__main__":
    main()
