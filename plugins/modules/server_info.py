#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_info
short_description: Find out how a Seafile server is set up and what is in the way of a backup
version_added: "0.1.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Reads Seafile's own configuration on the server and tells layout, version, databases, object store, owner, processes and tools.
  - Knows the layouts of Seafile 2 to 4.4, 5 to 11, and 12 and newer with C(conf/.env). The volume of a Docker deployment is recognised.
  - Whatever is in the way of a backup comes in RV(problems), all at once, each with a stable code.
    The module fails only for an option that makes no sense, never for the state of the server.
  - Never returns a password. Never walks the object store, so it takes about a second whatever the size of the server,
    unless O(gc_wait) makes it wait.
  - Run it as root or as the account that runs Seafile.
options:
  staging:
    description:
      - The directory where dumps are going to be written. Its file system is looked at for free space; it need not exist.
      - Default is C(.seafleet) in O(seafile_root).
    type: path
  min_free:
    description:
      - Bytes that have to be free in O(staging), else there is the problem V(no-space).
      - Default is one and a half times the size of the databases.
    type: int
  dump_tools:
    description:
      - Whether the programs to dump the server's databases have to be there. SQLite needs none beside Python.
    type: bool
    default: true
  connect:
    description:
      - Whether to try the connection to MariaDB or MySQL with Seafile's own account, and to ask for missing databases and privileges.
    type: bool
    default: true
  gc_wait:
    description:
      - Seconds to wait for a garbage collection (C(seafserv-gc)) that works with this directory.
      - It is waited for only when nothing else is in the way, and looked for every two seconds.
        When it is still there after this time, there is the problem V(gc-running). V(0) does not wait.
      - In check mode nothing is waited for.
    type: int
    default: 0
    version_added: "0.2.0"
  asked_at:
    description:
      - The time of whoever asks, in seconds since 1970, for RV(clock). In a playbook C("{{ now(fmt='%s.%f') }}").
    type: float
    version_added: "0.2.0"
  sample:
    description:
      - How many objects of the store are read and hashed, chosen by chance. A failing disk, and somebody who encrypts all files, are seen in a few.
    type: int
    default: 0
    version_added: "0.2.0"
  damage_limit:
    description:
      - How many percent of O(sample) may be damaged before there is the problem V(source-damaged). Fewer are told in RV(notes).
      - V(100) takes whatever there is.
    type: float
    default: 10
    version_added: "0.2.0"
  state_dir:
    description:
      - The directory in which the server remembers what one backup host has, for RV(cut_off). As O(seafleet.seafile.server_dump#module:changes.state_dir).
    type: path
    version_added: "0.2.0"
attributes:
  check_mode:
    support: full
    details: Reads only, so it does the same in check mode, except that it never waits for a garbage collection.
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
  - module: seafleet.seafile.mysql_dump
  - module: seafleet.seafile.sqlite_dump
"""

EXAMPLES = r"""
- name: Look at a Seafile server
  seafleet.seafile.server_info:
    seafile_root: /opt/seafile
  register: server

- name: Stop when something is in the way of a backup
  ansible.builtin.assert:
    that: server.problems | length == 0
    fail_msg: "{{ server.problems | map(attribute='message') | join(' // ') }}"

- name: Let a garbage collection end, for half an hour at most
  seafleet.seafile.server_info:
    seafile_root: /opt/seafile
    gc_wait: 1800
  register: server

- name: Look at a server whose database is known to be down
  seafleet.seafile.server_info:
    seafile_root: /opt/seafile
    connect: false
"""

RETURN = r"""
root:
  description: The option O(seafile_root) without a slash at its end.
  returned: success
  type: str
  sample: /opt/haiwen
root_real:
  description: RV(root) with all links resolved.
  returned: success
  type: str
  sample: /opt/haiwen
layout:
  description:
    - V(classic) (4.4 and older), V(conf) (5 to 11), V(env) (12 and newer) or V(docker). Null when it cannot be told.
  returned: success
  type: str
  sample: conf
version:
  description: Version of the programs, from the link C(seafile-server-latest) or else the newest directory of programs. Null when there is neither.
  returned: success
  type: str
  sample: 11.0.13
programs:
  description: Name of the directory of the programs.
  returned: success
  type: str
  sample: seafile-server-11.0.13
engine:
  description: V(mysql) (also MariaDB), V(sqlite), or V(mixed).
  returned: success
  type: str
  sample: sqlite
data_dir:
  description: The directory C(seafile-data) in use.
  returned: success
  type: str
  sample: /opt/haiwen/seafile-data
storage:
  description: The directory of the object store.
  returned: success
  type: str
  sample: /opt/haiwen/seafile-data/storage
storage_real:
  description: RV(storage) with all links resolved.
  returned: success
  type: str
  sample: /srv/storage
storage_path:
  description: RV(storage) relative to RV(root).
  returned: success
  type: str
  sample: seafile-data/storage
inside_root:
  description: Whether RV(storage_real) lies below RV(root_real).
  returned: success
  type: bool
  sample: true
owner:
  description: The owner of the object store. C(user) and C(group) are numbers as text where the account has no name.
  returned: success
  type: dict
  sample: {user: seafile, group: seafile, uid: 998, gid: 998, home: /home/seafile, shell: /bin/bash}
databases:
  description: What Seafile's configuration names, without passwords. C(path) is for SQLite only and relative to RV(root).
  returned: success
  type: list
  elements: dict
  sample:
    - {role: seafile, engine: mysql, name: seafile-db, host: 127.0.0.1, port: 3306, user: seafile, unix_socket: null, path: null}
sqlite_files:
  description: Every SQLite database below RV(root), found by its header, with its size (WAL included) and what SQLite keeps beside it.
  returned: success
  type: list
  elements: dict
  sample:
    - {name: seafile-data/seafile.db, bytes: 368640, sidecars: []}
libraries:
  description: Number of stores in the object store, trash and libraries without an owner included. Null when it cannot be read.
  returned: success
  type: int
  sample: 14
history_days:
  description: C(keep_days) of C(seafile.conf), the days of history that garbage collection keeps. Null means all.
  returned: success
  type: int
  sample: null
object_stores:
  description: The back end of each kind of object. V(fs) means files below RV(storage).
  returned: success
  type: dict
  sample: {commits: fs, fs: fs, blocks: fs}
excludes:
  description: Patterns for C(rsync --exclude) that leave out what a pull of the files must not take, anchored at RV(root).
  returned: success
  type: list
  elements: str
  sample: [/seafile-data/storage, /seafile-server-*/, /logs/*, /seahub.db, /seahub.db-wal]
shallow:
  description: Directories, relative to RV(root), that are kept without what is in them.
  returned: success
  type: list
  elements: str
  sample: [logs, pids, seahub-data/thumbnail, seafile-data/httptemp, seafile-data/tmpfiles]
left_out:
  description: Paths relative to RV(root) that are no part of a backup.
  returned: success
  type: list
  elements: str
  sample: [seafile-server-11.0.13, .seafleet]
identity:
  description: What tells this deployment from others. C(ccnet_id) exists up to version 7.0; C(libraries) are the hundred smallest ids of its libraries.
  returned: success
  type: dict
  sample:
    ccnet_id: 952c2911f3f1daa138d1006c8fc1a1d77f194f31
    service_url: "https://files.example.org"
    libraries: [0b1a8b0e-26d2-4bd1-8b1e-3a3cd1ad7a1c]
stores:
  description: Number of stores of each kind of objects. Empty when they cannot be read.
  returned: success
  type: dict
  version_added: "0.2.0"
  sample: {commits: 14, fs: 13, blocks: 12}
sampled:
  description: What O(sample) found, C(objects) that were read, and a sentence for each that is C(damaged).
  returned: success
  type: dict
  version_added: "0.2.0"
  sample: {objects: 60, damaged: []}
clock:
  description: The server's time at its beginning, C(told), and O(asked_at) as C(asked), both in seconds since 1970. Null without O(asked_at).
  returned: success
  type: dict
  version_added: "0.2.0"
  sample: {asked: 1795662000.2, told: 1795662000.9}
cut_off:
  description: The id of the set whose dump was ended before it was whole, by a job that was cancelled. Null where none was, and without O(state_dir).
  returned: success
  type: str
  version_added: "0.2.0"
  sample: null
configuration_files:
  description: The files that were read, relative to RV(root).
  returned: success
  type: list
  elements: str
  sample: [conf/seafile.conf, conf/ccnet.conf, conf/seahub_settings.py]
database_bytes:
  description: Size of all databases. Null when it is not known, as for MySQL with O(connect=false).
  returned: success
  type: int
  sample: 1695744
free_bytes:
  description: Free bytes of the file system of O(staging).
  returned: success
  type: dict
  sample: {staging: 80558329856}
running:
  description: Processes of Seafile that work with this directory.
  returned: success
  type: list
  elements: dict
  sample:
    - {pid: 1207, program: seaf-server}
gc_waited:
  description: Seconds for which a garbage collection was waited for, see O(gc_wait).
  returned: success
  type: int
  sample: 0
  version_added: "0.2.0"
tools:
  description: Path of each program that a backup or restore may want, null where it is missing.
  returned: success
  type: dict
  sample: {rsync: /usr/bin/rsync, rrsync: /usr/bin/rrsync, mariadb-dump: /usr/bin/mariadb-dump, mysqldump: null}
tool_versions:
  description: Versions of rsync and the dump programs.
  returned: success
  type: dict
  sample: {rsync: 3.2.7, mariadb-dump: 10.11.6-MariaDB}
notes:
  description: What a person should know though it prevents nothing. They are shown as warnings too.
  returned: success
  type: list
  elements: str
  sample: ["/opt/haiwen/ccnet/seafile.ini names /data/seafile-data, which does not exist; /opt/haiwen/seafile-data is used"]
problems:
  description: What is in the way of a backup.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: Stable code.
      type: str
      sample: sqlite-missing
    message:
      description: One sentence with thing, cause and next step.
      type: str
      sample: "/opt/haiwen/seahub.db: Seafile's configuration names it (seahub), but there is no such file. Next: bring the database back"
    what:
      description: The thing in question.
      type: str
      sample: /opt/haiwen/seahub.db
    cause:
      description: Why.
      type: str
      sample: Seafile's configuration names it (seahub), but there is no such file
    next_step:
      description: What to do.
      type: str
      sample: bring the database back
code:
  description: Stable code of the failure, V(path-invalid).
  returned: failure
  type: str
  sample: path-invalid
next_step:
  description: What to do about the failure.
  returned: failure
  type: str
  sample: give seafile_root as an absolute path
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import deployment, dump_mark
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module


def look(module: AnsibleModule) -> dict[str, t.Any]:
    """Look at the deployment and return the result."""
    params = module.params
    told = time.time()  # first of all: whatever passes before it counts as an error of the clock
    gc_wait = 0 if module.check_mode else params["gc_wait"]
    result = deployment.look(
        gc_wait, params["seafile_root"], params["staging"], params["min_free"], params["dump_tools"], params["connect"],
        sample=params["sample"], damage_limit=params["damage_limit"])
    result["clock"] = None if params["asked_at"] is None else {"asked": params["asked_at"], "told": told}
    result["cut_off"] = dump_mark.cut_off(params["state_dir"]) if params["state_dir"] else None
    for note in result["notes"]:
        module.warn(note)
    return dict(result, changed=False)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "seafile_root": {"type": "path", "required": True},
            "staging": {"type": "path"},
            "min_free": {"type": "int"},
            "dump_tools": {"type": "bool", "default": True},
            "connect": {"type": "bool", "default": True},
            "gc_wait": {"type": "int", "default": 0},
            "asked_at": {"type": "float"},
            "sample": {"type": "int", "default": 0},
            "damage_limit": {"type": "float", "default": 10},
            "state_dir": {"type": "path"},
        },
        supports_check_mode=True,
    )
    run_module(module, look)


if __name__ == "__main__":
    main()
