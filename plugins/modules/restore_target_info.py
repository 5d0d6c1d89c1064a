#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_target_info
short_description: Tell what a restore would meet on its target
version_added: "0.1.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Looks at the Seafile directory, running programs, databases, tools, accounts and free space of a restore target, and
    reports everything that is in the way at once. Changes nothing.
  - Asks the database server whether it takes the set's dumps, as far as their entries tell what they need (sets of older releases tell less;
    M(seafleet.seafile.mysql_import) looks into the dumps themselves); whether O(login_user) may do what a restore does, is told all at once.
  - Tells whether the target still is exactly what an earlier restore made, so that a second run does nothing.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.database_login, seafleet.seafile.seafile_root]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  state_dir:
    description: The directory of restore records.
    type: path
    required: true
  set_id:
    description: The set that shall be restored.
    type: str
    required: true
  heads:
    description: The libraries that will come from an older set, with their heads, as M(seafleet.seafile.set_choice) returns them. The same
      set with other heads is another restore.
    type: dict
    default: {}
    version_added: "0.2.0"
  dumps:
    description: The set's C(databases), as in its manifest.
    type: list
    elements: dict
    required: true
  name:
    description: The server's name, which O(confirm) must equal.
    type: str
    required: true
  confirm:
    description: What the user gave as confirmation to replace what is there.
    type: str
    default: ""
  can_stop:
    description: Whether Seafile will be stopped by the restore. Otherwise a running one is a problem.
    type: bool
    default: false
  users:
    description: Users that will own files.
    type: list
    elements: str
    default: []
  groups:
    description: Groups that will own files.
    type: list
    elements: str
    default: []
  needed_bytes:
    description: Bytes that the restored directory needs.
    type: int
    default: 0
  collations:
    description: As for M(seafleet.seafile.mysql_import). A set whose dumps tell a collation that the database server lacks is a problem unless it is mapped.
    type: dict
    default: {}
    version_added: "0.2.0"
  definers:
    description: As for M(seafleet.seafile.mysql_import).
    type: str
    choices: [refuse, keep, replace]
    default: refuse
    version_added: "0.2.0"
  accept_newer_server:
    description: As for M(seafleet.seafile.mysql_import).
    type: bool
    default: false
    version_added: "0.2.0"
  database_user:
    description: Seafile's own database account, which the restore makes when it is missing. The privileges that this takes are looked for.
    type: str
    version_added: "0.2.0"
  login_user:
    description: The account that may create and replace databases.
"""

EXAMPLES = r"""
- name: What would a restore meet here?
  seafleet.seafile.restore_target_info:
    seafile_root: /opt/seafile
    state_dir: /var/lib/seafleet/files.example.org
    set_id: 20261123T030000Z
    dumps: "{{ manifest.databases }}"
    name: files.example.org
"""

RETURN = r"""
occupied:
  description: Whether the Seafile directory holds anything, or one of the databases has tables.
  returned: success
  type: bool
  sample: false
existing_databases:
  description: Databases of the set that exist on the target and have tables, with their number.
  returned: success
  type: dict
  sample: {"seafile-db": 27}
replaces:
  description: What a restore would put aside and replace, one phrase each, with the tables of every database. Empty when nothing is
    left to do, or when an interrupted restore is continued.
  returned: success
  type: list
  elements: str
  sample: ["directory /opt/seafile (9 entries)", "database ccnet-db (3 tables: EmailUser, Group, GroupUser)"]
running:
  description: Programs of Seafile that run on the target.
  returned: success
  type: list
  elements: dict
  sample: []
interrupted:
  description: Whether a restore of the same set was interrupted here and will be continued.
  returned: success
  type: bool
  sample: false
restored:
  description: Whether everything is still exactly as a restore of the same set left it, so that nothing is left to do.
  returned: success
  type: bool
  sample: false
differences:
  description: What differs from the last restore of the same set, if there was one (the first 20).
  returned: success
  type: list
  elements: str
  sample: []
problems:
  description: What is in the way, each with C(code), C(message), C(what), C(cause) and C(next_step).
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import attributes, compression, deployment, mysql_client
from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_dialect, mysql_schema, restore_state, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.places import existing_parent, free_bytes
from ansible_collections.seafleet.seafile.plugins.module_utils.restore_login import LOGIN_ARGUMENTS, login


def guard(name, confirm, names, tables):
    """Return the error that keeps a restore from an occupied target, or None.

    :arg names: entries of the Seafile directory.
    :arg tables: tables by database.
    """
    what = []
    if names:
        what.append(f"the Seafile directory holds {len(names)} entries")
    what += [f"the database {database} has {len(found)} tables" for database, found in sorted(tables.items())]
    if not what or confirm == name:
        return None
    given = f"restore_confirm is {confirm!r}" if confirm else "restore_confirm is not given"
    next_step = f"give -e restore_confirm={name} to replace it; what is there is kept aside"
    return SeafileError("target-not-empty", name, f"{', '.join(what)}, and {given}", next_step)


def replaced(root, names, tables):
    """Return what a restore puts something else in the place of, one phrase each."""
    what = [f"directory {root} ({len(names)} entries)"] if names else []
    return what + [f"database {database} ({len(found)} tables: {', '.join(found)})" for database, found in sorted(tables.items())]


def _account_problems(users, groups):
    accounts = attributes.Accounts()
    for names, look_up in ((users, accounts.uid), (groups, accounts.gid)):
        for name in names:
            try:
                look_up(name)
            except SeafileError as error:
                yield error


def _databases(params, names):
    """Return (tables by database, fingerprints by database)."""
    client = mysql_client.Client(login(params))
    visible = set(mysql_schema.visible(client))
    present = [name for name in names if name in visible]
    tables = {name: sorted(mysql_schema.base_tables(client, name)) for name in present}
    record = restore_state.read(params["state_dir"])
    wanted = record.get("databases", {}) if record.get("state") == "restored" and record.get("set_id") == params["set_id"] else {}
    prints = {name: mysql_schema.fingerprint(client, name) for name in wanted if name in visible}
    return {name: found for name, found in tables.items() if found}, prints


def _dialect_problems(params, dumps, replaced):
    """Yield what keeps the database server, or the account, from taking I(dumps) in place of the databases I(replaced), as far as their entries tell."""
    client = mysql_client.Client(login(params))
    choices = mysql_dialect.parse_choices(params["collations"], params["definers"], params["accept_newer_server"])
    version = client.value("VERSION()")
    every = {dump["name"]: mysql_dialect.facts_of_entry(dump) for dump in dumps}
    things = [thing for facts in every.values() for names in facts.definers.values() for thing in names]
    problem = mysql_dialect.privilege_problem(client, list(every), {thing.partition(" ")[0] for thing in things}, replaced, params["database_user"])
    if problem:
        yield problem
    there = mysql_dialect.accounts_there(client) if things and choices.definers == "refuse" else None
    for dump in dumps:
        what, facts = f"dump of {dump['name']}", every[dump["name"]]
        # Seafile's own account is made by the restore
        missing = {account: names for account, names in mysql_dialect.missing_definers(facts, there).items()
                   if account.rpartition("@")[0] != params["database_user"]}
        for problem in (
                None if choices.accept_newer else mysql_dialect.newer(facts, version, what), mysql_dialect.collation_problem(client, facts, choices, what),
                mysql_dialect.table_name_problem(client, dump.get("tables") or [], what), mysql_dialect.definer_problem(missing, what)):
            if problem:
                yield problem


def inform(module):
    """Return what is on the target and what is in the way."""
    params = module.params
    root = params["seafile_root"]
    problems = []
    names, tables, prints = [], {}, {}
    try:
        names = restore_state.content(root)
    except SeafileError as error:
        problems.append(error)
    mysql = [dump for dump in sets.require_dumps(params["dumps"], "dumps") if dump["engine"] == "mysql"]
    unfit = []
    if mysql:
        try:
            tables, prints = _databases(params, [dump["name"] for dump in mysql])
            unfit = list(_dialect_problems(params, mysql, tables))
        except SeafileError as error:
            problems.append(error)
    record = restore_state.read(params["state_dir"])
    same = restore_state.is_of(record, params["set_id"], root, params["heads"])
    interrupted = same and record.get("state") == "running"
    wrong = restore_state.differences(record, params["state_dir"], prints) if same and record.get("state") == "restored" else []
    restored = same and record.get("state") == "restored" and not wrong and not problems
    running = deployment.running([root])
    if not restored:
        problems += unfit
        if not interrupted:
            problem = guard(params["name"], params["confirm"], names, tables)
            problems += [problem] if problem else []
        if running and not params["can_stop"]:
            first = running[0]
            problems.append(SeafileError("seafile-running", root, f"{first['program']} is running (pid {first['pid']})"))
        if not module.get_bin_path("rsync"):
            problems.append(SeafileError("missing-tool", "rsync", "it is not installed on the server", "install the package rsync on the server"))
        if any(compression.is_zstd(dump["file"]) for dump in params["dumps"]) and not compression.zstd_program():
            problems.append(SeafileError("missing-tool", "zstd", "it is not installed on the server, and the set's dumps need it to be read",
                                         "install the package zstd on the server"))
        problems += list(_account_problems(params["users"], params["groups"]))
        free = free_bytes(root)
        if free < params["needed_bytes"] and not interrupted:
            problems.append(SeafileError("no-space", existing_parent(root), f"{free} bytes are free, {params['needed_bytes']} are needed"))
    return {
        "changed": False, "occupied": bool(names or tables), "existing_databases": {name: len(found) for name, found in tables.items()},
        "replaces": [] if restored or interrupted else replaced(root, names, tables), "running": running, "interrupted": interrupted,
        "restored": restored, "differences": wrong[:20], "problems": [problem.as_problem() for problem in problems]}


def main():
    module = AnsibleModule(
        argument_spec=dict(
            seafile_root={"type": "path", "required": True},
            state_dir={"type": "path", "required": True},
            set_id={"type": "str", "required": True},
            heads={"type": "dict", "default": {}},
            dumps={"type": "list", "elements": "dict", "required": True},
            name={"type": "str", "required": True},
            confirm={"type": "str", "default": ""},
            can_stop={"type": "bool", "default": False},
            users={"type": "list", "elements": "str", "default": []},
            groups={"type": "list", "elements": "str", "default": []},
            needed_bytes={"type": "int", "default": 0},
            collations={"type": "dict", "default": {}},
            definers={"type": "str", "choices": list(mysql_dialect.DEFINER_CHOICES), "default": "refuse"},
            accept_newer_server={"type": "bool", "default": False},
            database_user={"type": "str"},
            **LOGIN_ARGUMENTS,
        ),
        supports_check_mode=True,
    )
    run_module(module, inform)


if __name__ == "__main__":
    main()
