#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_import
short_description: Create the databases of a Seafile server from dumps
version_added: "0.1.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Creates databases from the dump files that M(seafleet.seafile.mysql_dump) wrote, each whole or not at all.
  - Runs on the machine that is being restored, with the stock program C(mariadb) or C(mysql) and an administrator's database account.
  - Before anything is changed all dump files are read to their end and proven (checksum, whole gzip or zstd file, the trailer C(-- Dump completed)), every
    database is looked at, and the server is asked whether it knows the character sets and takes the largest row.
  - A database that is replaced is dropped and created anew, so that no table of the old one stays.
  - When an import fails half-way, the half database is dropped again.
  - What another server's dialect needs is looked for in the text of every dump beforehand, and all of it is told at once.
    MariaDB's sandbox line and the SQL mode V(NO_AUTO_CREATE_USER), where the server does not know it, are left out; InnoDB's strictness is
    switched off for the import, so that a table that its own server took is not refused for the width of its rows.
  - With O(seafile_root) Seafile's own database account is created when it is missing, and granted all privileges on Seafile's databases.
    An account that exists keeps its password; when it is not the one in Seafile's configuration, the module fails before any change.
options:
  src:
    description:
      - Directory that holds the dump files.
    type: path
    required: true
  dumps:
    description:
      - The dumps, as M(seafleet.seafile.mysql_dump) returns them and the manifest of a set keeps them.
      - Each needs C(name), the database to create, which may be another one than was dumped, and C(file), a plain name in O(src).
      - C(sha256) is compared with the file. C(tables) must all exist after the import. C(character_set) (default C(utf8mb4)) and C(collation)
        are those of the new database. Other keys are ignored.
    type: list
    elements: dict
    required: true
  seafile_root:
    description:
      - The haiwen directory, already restored. Its configuration names the database server, Seafile's account and the databases it needs.
    type: path
  login_user:
    description: The account that may create databases and accounts.
  login_host:
    description:
      - Name or address of the database server. V(localhost) means its Unix socket.
      - Default is what Seafile's configuration in O(seafile_root) says (the Unix socket when that is this machine and there is no
        O(login_password)), else V(localhost).
  login_port:
    description: TCP port of the database server. Default is what Seafile's configuration says, else V(3306).
  replace:
    description:
      - Whether a database that exists and is not empty may be dropped and created anew.
      - Without it such a database fails the module with the code V(target-not-empty) before anything is changed.
    type: bool
    default: false
  record:
    description:
      - Path of a file (mode 0600) in which the checksums of the imported tables are kept.
      - When it says that a database was imported from the same dump and all its tables still have the same checksums, that database is left alone.
      - It also marks a database whose import was interrupted, which the next run may then replace without O(replace).
      - Reading the checksums reads every row. Without O(record) every run imports again.
    type: path
  collations:
    description:
      - Collations (or character sets) that the server does not know, each with the one to take in its place, such as
        V(utf8mb4_0900_ai_ci) with V(utf8mb4_unicode_520_ci). They are replaced in the definitions of databases, tables, columns, views and routines
        while the dump is read; rows are never looked into.
      - Without it such a dump fails the module with the code V(database-collation-unknown), which proposes what the server has.
      - Where two names differ only in ways that the new collation does not tell apart, a unique key refuses the second, and the import fails.
    type: dict
    default: {}
    version_added: "0.2.0"
  definers:
    description:
      - What becomes of views, triggers, events and routines whose definer is an account that the server does not have.
      - V(refuse) fails the module before any change and names them; V(keep) creates them as they are, so that they fail when they are used;
        V(replace) makes O(login_user) their definer, with its privileges.
    type: str
    choices: [refuse, keep, replace]
    default: refuse
    version_added: "0.2.0"
  accept_newer_server:
    description:
      - Whether to import a dump that was made on a newer release of MariaDB or MySQL than the server is.
      - Without it such a dump fails the module with the code V(database-server-older).
    type: bool
    default: false
    version_added: "0.2.0"
attributes:
  check_mode:
    support: full
    details: All files are proven and everything is looked at; nothing is changed.
  diff_mode:
    support: full
    details: Lists the databases and their tables before and after.
  platform:
    support: full
    platforms: posix
extends_documentation_fragment:
  - seafleet.seafile.attributes
  - seafleet.seafile.database_login
seealso:
  - module: seafleet.seafile.mysql_dump
  - module: seafleet.seafile.sqlite_import
"""

EXAMPLES = r"""
- name: Create the databases of a restored server
  seafleet.seafile.mysql_import:
    src: /var/lib/seafleet/restore/20261123T030000Z/databases
    dumps: "{{ manifest.dumps }}"
    seafile_root: /opt/seafile
    record: /var/lib/seafleet/restore/20261123T030000Z/import.json

- name: Import one dump under another name
  seafleet.seafile.mysql_import:
    src: /srv/backups/files.example.org/sets/20261123T030000Z/databases
    dumps:
      - name: seafile_drill
        file: seafile-db.sql.gz
    login_unix_socket: /run/mysqld/mysqld.sock
"""

RETURN = r"""
databases:
  description: What was done with each database, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the database.
      type: str
      sample: seafile-db
    changed:
      description: Whether it was created or replaced.
      type: bool
      sample: true
    action:
      description: V(created), V(replaced), or V(kept) when the record shows that it already is what the dump holds.
      type: str
      sample: created
    tables:
      description: Names of its tables and views.
      type: list
      elements: str
      sample: [Branch, FileLocks, Repo]
account:
  description: Seafile's own database account; null without O(seafile_root).
  returned: success
  type: dict
  contains:
    user:
      description: Name of the account.
      type: str
      sample: seafile
    created:
      description: Whether it was missing and was created.
      type: bool
      sample: true
    granted:
      description: Databases on which it was given all privileges because it lacked some.
      type: list
      elements: str
      sample: [seafile-db, ccnet-db, seahub-db]
accounts:
  description: All accounts that Seafile's configuration names, each as RV(account); nearly always one.
  returned: success
  type: list
  elements: dict
  sample: [{user: seafile, created: true, granted: [seafile-db, ccnet-db, seahub-db]}]
notes:
  description: What was rewritten on the way into the server, one phrase each.
  returned: success
  type: list
  elements: str
  sample: ["dump of seafile-db: utf8mb4_0900_ai_ci became utf8mb4_unicode_520_ci"]
  version_added: "0.2.0"
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: target-not-empty
next_step:
  description: What to do about the failure.
  returned: failure
  type: str
  sample: look at what is there; set replace to true to have it replaced
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_dialect, mysql_import_run
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client
from ansible_collections.seafleet.seafile.plugins.module_utils.restore_login import LOGIN_ARGUMENTS
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import read_configuration


def action(module: AnsibleModule) -> dict[str, t.Any]:
    """Prove and look, then import."""
    params = module.params
    configured = read_configuration(params["seafile_root"]).databases if params["seafile_root"] else []
    work = mysql_import_run.Import(
        client=Client(mysql_import_run.admin_login(configured, params)),
        dumps=mysql_import_run.parse_dumps(params["src"], params["dumps"]),
        accounts=mysql_import_run.accounts_of(configured),
        replace=params["replace"],
        record=mysql_import_run.Record(params["record"]),
        choices=mysql_dialect.parse_choices(params["collations"], params["definers"], params["accept_newer_server"]),
    )
    return work.preview() if module.check_mode else work.run()


def main() -> None:
    """Argument spec and run."""
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path", "required": True},
            "dumps": {"type": "list", "elements": "dict", "required": True},
            "seafile_root": {"type": "path"},
            **LOGIN_ARGUMENTS,
            "replace": {"type": "bool", "default": False},
            "record": {"type": "path"},
            "collations": {"type": "dict", "default": {}},
            "definers": {"type": "str", "choices": list(mysql_dialect.DEFINER_CHOICES), "default": "refuse"},
            "accept_newer_server": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_module(module, action)


if __name__ == "__main__":
    main()
