#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_dump
short_description: Dump the databases of a Seafile server in one moment
version_added: "0.1.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Dumps the MariaDB or MySQL databases of a Seafile server as one consistent snapshot and writes one compressed file for each database.
  - Runs on the Seafile server (or on any machine that reaches its database server) with the stock programs C(mariadb) and C(mariadb-dump),
    or C(mysql) and C(mysqldump).
  - One process dumps all databases in one transaction, so a change that Seafile makes to several of them is in all dumps or in none.
  - A dump is believed only when the program ended with exit code 0, its stream ends with the trailer C(-- Dump completed), every table that
    the server knows is in it, and the tables were the same before and after. Only then the files get their final names.
  - An account that may C(SELECT), C(SHOW VIEW), C(TRIGGER) and C(EVENT) on the databases is enough.
    Seafile's own account, which has all privileges on its databases, always is.
  - The password is handed to the programs in a file without a name. It is never on a command line, in the environment, on a disk or in a result.
options:
  seafile_root:
    description:
      - The haiwen directory. Server, account, password and the names of the databases are read from Seafile's own configuration in it.
      - Needed unless O(databases) is given.
    type: path
  databases:
    description:
      - Names of the databases to dump. Default are the three that Seafile's configuration names.
      - With O(login_user) and without O(seafile_root) this dumps databases of any server, for instance as a safety copy before a restore.
      - A database that does not exist fails the module with the code V(database-unknown), which lists those that do.
    type: list
    elements: str
  login_host:
    description:
      - Name or address of the database server. V(localhost) means its Unix socket.
      - Default is what Seafile's configuration says, else V(localhost).
    type: str
  login_port:
    description:
      - TCP port of the database server. Default is what Seafile's configuration says, else V(3306).
    type: int
  login_user:
    description:
      - Database account to use. Default is the one in Seafile's configuration, else V(root).
    type: str
  login_password:
    description:
      - Password of O(login_user). Default is the one in Seafile's configuration, or none when O(login_user) is given.
      - It may hold any character but NUL.
    type: str
  login_unix_socket:
    description:
      - Path of the database server's Unix socket.
    type: path
  dest:
    description:
      - Directory for the files, created with mode 0700 when missing.
      - A file there under a name that this dump would take fails the module with the code V(dump-exists); nothing is ever overwritten.
    type: path
    required: true
  owner:
    description:
      - Account that is to own the files (and O(dest) when this module creates it), for instance the one the backup host pulls with.
    type: str
  group:
    description:
      - Group that is to read the files. They then have mode 0640 instead of 0600, and O(dest) 0750 when this module creates it.
    type: str
  nontransactional:
    description:
      - What to do about tables without transactions (MyISAM, Aria, MEMORY), which a snapshot does not cover.
      - V(lock) holds a global read lock during the dump; writing waits until it has ended. The account then needs C(RELOAD).
      - V(warn) dumps them with a warning; they may be of another moment than the rest.
      - V(fail) refuses to dump.
      - Seafile's own tables all have transactions.
    type: str
    choices: [lock, warn, fail]
    default: lock
  compression:
    version_added: "0.2.0"
attributes:
  check_mode:
    support: full
    details: Connects, checks databases and privileges, and tells which files would be written with estimated sizes. Writes nothing.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
extends_documentation_fragment:
  - seafleet.seafile.attributes
  - seafleet.seafile.dump_compression
seealso:
  - module: seafleet.seafile.mysql_import
  - module: seafleet.seafile.sqlite_dump
"""

EXAMPLES = r"""
- name: Dump the databases of a Seafile server
  seafleet.seafile.mysql_dump:
    seafile_root: /opt/seafile
    dest: /var/lib/seafleet/staging/20261123T030000Z

- name: Let the pull account's group read the dumps
  seafleet.seafile.mysql_dump:
    seafile_root: /opt/seafile
    dest: /var/lib/seafleet/staging/20261123T030000Z
    group: backup

- name: Keep a safety copy of two databases as the server's administrator
  seafleet.seafile.mysql_dump:
    databases: [seafile-db, seahub-db]
    login_unix_socket: /run/mysqld/mysqld.sock
    dest: /var/lib/seafleet/safety/20261123T030000Z
"""

RETURN = r"""
dumps:
  description: The files, one for each database. In check mode without sizes and checksum, but with the estimated bytes of the tables.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the database.
      type: str
      sample: seafile-db
    role:
      description: V(seafile), V(ccnet) or V(seahub); V(other) for a database that Seafile's configuration does not name.
      type: str
      sample: seafile
    engine:
      description: Always V(mysql).
      type: str
      sample: mysql
    file:
      description: Name of the file in O(dest), with the suffix C(.sql.gz) or C(.sql.zst).
      type: str
      sample: seafile-db.sql.gz
    bytes:
      description: Size of the file.
      returned: when not in check mode
      type: int
      sample: 4877
    sha256:
      description: Checksum of the file.
      returned: when not in check mode
      type: str
      sample: 0a5e1b0f6f0a2f3f9bb1f5c6a2d1d8a2cf9a4f3e0a7b7d1d4b9f5d0c3e2a1b00
    uncompressed_bytes:
      description: Size of the SQL text in the file.
      returned: when not in check mode
      type: int
      sample: 30412
    tables:
      description: Names of tables and views in the dump, sorted.
      type: list
      elements: str
      sample: [Branch, FileLocks, Repo]
    character_set:
      description: Default character set of the database.
      type: str
      sample: utf8mb4
    collation:
      description: Default collation of the database.
      type: str
      sample: utf8mb4_general_ci
    server_version:
      description: Version of the database server, as it tells it.
      type: str
      sample: 10.11.19-MariaDB-0+deb12u1
      version_added: "0.2.0"
    collations:
      description: Collations of its tables, columns, views and routines.
      type: list
      elements: str
      sample: [utf8mb4_general_ci]
      version_added: "0.2.0"
    definers:
      description: Accounts (C(user@host)) that define views, triggers, events and routines of it, with what they define.
      type: dict
      sample: {"root@localhost": [view shares]}
      version_added: "0.2.0"
    estimated_bytes:
      description: What the server says the tables hold, before compression.
      returned: in check mode
      type: int
      sample: 655360
began:
  description: When the dump began, UTC, by this machine's clock. The snapshot is not older.
  returned: when not in check mode
  type: str
  sample: "2026-11-23T03:00:00Z"
ended:
  description: When the dump was complete, UTC.
  returned: when not in check mode
  type: str
  sample: "2026-11-23T03:00:02Z"
server_version:
  description: What the database server says of its version.
  returned: success
  type: str
  sample: 10.11.19-MariaDB-0+deb12u1
client_version:
  description: What the dump program says of its version.
  returned: success
  type: str
  sample: mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
notes:
  description: What a person should know though the dump is whole, such as tables without transactions. Also given as warnings.
  returned: success
  type: list
  elements: str
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

from ansible_collections.seafleet.seafile.plugins.module_utils import compression, mysql_dump_run
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import read_configuration


def action(module: AnsibleModule) -> dict[str, t.Any]:
    """Look, then dump."""
    params = module.params
    configured = read_configuration(params["seafile_root"]).databases if params["seafile_root"] else []
    source = mysql_dump_run.choose_source(configured, params["databases"], params, params["seafile_root"] or "")
    reader = mysql_dump_run.find_reader(params["owner"], params["group"])
    compression.require(params["compression"])
    mysql_dump_run.require_free_names(params["dest"], source.names)
    inspection = mysql_dump_run.Inspection(source, params["nontransactional"])
    result: dict[str, t.Any] = {
        "changed": True, "server_version": inspection.server_version, "client_version": inspection.client_version, "notes": inspection.warnings,
    }
    for warning in inspection.warnings:
        module.warn(warning)
    if module.check_mode:
        result["dumps"] = mysql_dump_run.planned(inspection, source.roles, params["compression"])
        return result
    result.update(mysql_dump_run.dump(inspection, params["dest"], params["compression_level"], reader, params["compression"]))
    result["dumps"] = [mysql_dump_run.result_entry(entry, source.roles) for entry in result["dumps"]]
    return result


def main() -> None:
    """Argument spec and run."""
    module = AnsibleModule(
        argument_spec={
            "seafile_root": {"type": "path"},
            "databases": {"type": "list", "elements": "str"},
            "login_host": {"type": "str"},
            "login_port": {"type": "int"},
            "login_user": {"type": "str"},
            "login_password": {"type": "str", "no_log": True},
            "login_unix_socket": {"type": "path"},
            "dest": {"type": "path", "required": True},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "nontransactional": {"type": "str", "choices": ["lock", "warn", "fail"], "default": "lock"},
            "compression": {"type": "str", "choices": ["gzip", "zstd"], "default": "gzip"},
            "compression_level": {"type": "int", "choices": list(range(1, 10)), "default": 1},
        },
        required_one_of=[("seafile_root", "databases")],
        supports_check_mode=True,
    )
    run_module(module, action)


if __name__ == "__main__":
    main()
