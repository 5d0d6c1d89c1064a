#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_place
short_description: Take a restored Seafile deployment to another directory, database server or address
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Rewrites what a deployment says of its own place, so that a backup of one host runs on another one. Runs on the machine that is
    being restored, while Seafile is stopped.
  - V(files) are the configuration files of every layout of Seafile, C(conf/) with C(.env), C(ccnet.conf), C(seafile.conf),
    C(seahub_settings.py), C(gunicorn.conf.py), C(ccnet/seafile.ini) and what else lies there. Single values are replaced and every other
    byte stays. Python files are never executed. Before anything is written, the changed configuration is read as Seafile reads it and
    compared with the options.
  - V(databases) are the paths of unfinished uploads (C(WebUploadTempFiles)) and the settings of the web interface (C(constance_config)),
    which win over the files. An old address that only the database knows is replaced in the files too.
  - The old host name is replaced wherever it stands as a whole word, also in comments and in addresses of mail. Other hosts whose
    names merely contain it stay. A host that means no certain machine, such as V(127.0.0.1), is replaced in URLs of the old address only.
  - What mentions the old place and was left as it is comes back in RV(notes).
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.database_login, seafleet.seafile.seafile_root]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the changed lines only. Passwords, keys and tokens are masked.
  platform:
    support: full
    platforms: posix
options:
  seafile_root:
    description: The Seafile directory where it lies now, an absolute path. It may be a link. Links below it are never followed.
  from_root:
    description:
      - The Seafile directory when the backup was made, as the manifest of a set records it (C(seafile.root)).
      - Without it, or with the same path as O(seafile_root), no path is replaced.
    type: path
  from_url:
    description:
      - An address that the server had when the backup was made, as the manifest records it (C(seafile.identity.service_url)).
      - The addresses that the configuration names are known without it.
    type: str
  service_url:
    description: The new address, as people type it into a browser, with V(http://) or V(https://). Without it no address is replaced.
    type: str
  database_names:
    description: Old name to new name, for MySQL databases. Databases that are not named keep their name.
    type: dict
    default: {}
  database_host:
    description: The database server that Seafile is to use. A Unix socket in the configuration is then taken out.
    type: str
  database_port:
    description: Its port. Default is what the configuration says.
    type: int
  database_user:
    description: The account that Seafile is to use. Default is what the configuration says.
    type: str
  database_password:
    description: Its password. Default is what the configuration says. Any character is written as the file's syntax wants it.
    type: str
  database_unix_socket:
    description: The database server's socket in place of O(database_host). Seafile 12 and newer has none.
    type: path
  parts:
    description:
      - What is rewritten. V(files) belongs behind the pull of the files and before M(seafleet.seafile.mysql_import), which reads the
        configuration. V(databases) belongs behind the imports.
    type: list
    elements: str
    choices: [files, databases]
    default: [files, databases]
  login_host:
    description:
      - Name or address of the database server that V(databases) are rewritten on. Default is what Seafile's configuration says, by the
        Unix socket when that is this machine and there is no O(login_password).
  login_user:
    description: The account that may write to the databases.
seealso:
  - module: seafleet.seafile.mysql_import
  - module: seafleet.seafile.sqlite_import
"""

EXAMPLES = r"""
- name: Take the configuration to this host, before the databases are imported
  seafleet.seafile.deployment_place:
    seafile_root: /srv/seafile
    from_root: /opt/haiwen
    service_url: https://cloud.example.net
    database_names: {ccnet-db: cloud_ccnet, seafile-db: cloud_seafile, seahub-db: cloud_seahub}
    database_host: db.example.net
    database_password: "{{ vault_seafile_database_password }}"
    parts: [files]
  register: place

- name: Take what the databases say to it, after they are imported
  seafleet.seafile.deployment_place:
    seafile_root: /srv/seafile
    from_root: /opt/haiwen
    from_url: https://files.example.org
    service_url: https://cloud.example.net
    parts: [databases]
"""

RETURN = r"""
files:
  description: Path, relative to the Seafile directory, of each rewritten file, with the SHA-256 that it has then.
  returned: success
  type: dict
  sample: {conf/ccnet.conf: 5f0e1b0f6f0a2f3f9bb1f5c6a2d1d8a2cf9a4f3e0a7b7d1d4b9f5d0c3e2a1b00}
rows:
  description: Table to number of rewritten values.
  returned: success
  type: dict
  sample: {constance_config: 2, WebUploadTempFiles: 1}
urls:
  description: Old address to new address.
  returned: success
  type: dict
  sample: {"https://files.example.org": "https://cloud.example.net"}
notes:
  description: What mentions the old place and was left as it is, and what a person should look at.
  returned: success
  type: list
  elements: str
  sample: ["/etc/nginx/sites-available/seafile.conf mentions files.example.org; it was left as it is"]
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: place-url-invalid
next_step:
  description: What to do about the failure.
  returned: failure
  type: str
  sample: give the address as https://files.example.org or http://files.example.org:8000
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import (
    mysql_import_run, relocation, relocation_databases, relocation_diff, relocation_files, relocation_folder, relocation_mentions)
from ansible_collections.seafleet.seafile.plugins.module_utils.deployment import require_plain_path
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, printable, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client
from ansible_collections.seafleet.seafile.plugins.module_utils.restore_login import LOGIN_ARGUMENTS
from ansible_collections.seafleet.seafile.plugins.module_utils.seafile_config import Configuration, read_configuration


class Work:
    """One run: the files, then the databases, and then again the files for addresses that only a database knew."""

    def __init__(self, module: AnsibleModule) -> None:
        params = module.params
        self.params = params
        self.act = not module.check_mode
        self.root = require_plain_path(params["seafile_root"], "seafile_root")
        self.from_root = require_plain_path(params["from_root"], "from_root") if params["from_root"] else None
        if self.from_root not in (None, self.root):
            if self.from_root == "/":
                raise SeafileError("path-invalid", "from_root /", "every path would lie in it", "give the directory that the manifest records")
            relocation.require_root(self.root, "seafile_root")
        self.new = relocation.require_address(params["service_url"], "service_url") if params["service_url"] else None
        self.addresses = [address for address in [relocation.parse_address(params["from_url"] or "")] if address is not None]
        self.wanted = relocation_files.Wanted(
            names=_names(params["database_names"]), host=params["database_host"], port=params["database_port"], user=params["database_user"],
            password=params["database_password"], unix_socket=params["database_unix_socket"])
        self.planned: dict[str, bytes] = {}
        self.result: dict[str, t.Any] = {"changed": False, "files": {}, "rows": {}, "urls": {}, "notes": [], "diff": []}

    def run(self) -> dict[str, t.Any]:
        """Do it, or find out what would be done."""
        with relocation_folder.Folder(self.root) as folder:
            configuration = read_configuration(self.root)
            relocation_files.check_wanted(self.wanted, configuration.databases)
            if "files" in self.params["parts"]:
                # the databases are where the files will say, also in check mode
                configuration = self._files(folder, configuration, self.wanted, self.from_root)
            if "databases" in self.params["parts"]:
                known = len(self.addresses)
                move = self._databases(configuration)
                if len(self.addresses) > known and self.new:
                    self._files(folder, configuration, relocation_files.Wanted(), None)
                self.result["notes"] += relocation_mentions.mentions(folder, move)
        self.result["notes"] = list(dict.fromkeys(map(printable, self.result["notes"])))
        return self.result

    def _files(self, folder: relocation_folder.Folder, configuration: Configuration, wanted: relocation_files.Wanted,
               from_root: t.Optional[str]) -> Configuration:
        """Rewrite the files, and return what Seafile reads from them then."""
        plan = relocation_files.Plan(folder, configuration, from_root, self.addresses, self.new, wanted, self.planned).make()
        self.addresses = list(dict.fromkeys(self.addresses + plan.move.old))
        sums = plan.sums()
        if self.act:
            plan.write()
        else:
            self.planned = plan.contents
        self.result["changed"] = self.result["changed"] or bool(sums)
        self.result["files"].update(sums)
        self.result["urls"].update(plan.move.urls)
        self.result["notes"] += plan.notes
        self.result["diff"] += plan.differences()
        return plan.after()

    def _databases(self, configuration: Configuration) -> relocation.Move:
        """Rewrite the rows of the databases; learn the addresses that are in them."""
        connections = [item for item in {(item.engine, item.name): item for item in configuration.databases}.values()
                       if item.role != "ccnet" or item.path is None or os.path.isfile(os.path.join(self.root, item.path))]
        mysql = any(item.engine == "mysql" for item in connections)
        client = Client(mysql_import_run.admin_login(configuration.databases, self.params)) if mysql else None
        if self.new:
            for connection in connections:
                if connection.role == "seahub":
                    with relocation_databases.opened(self.root, connection, client, act=False) as database:
                        found = relocation_databases.stored_addresses(database)
                    self.addresses = list(dict.fromkeys(self.addresses + [address for address in found if address.url != self.new.url]))
        move = relocation.Move(self.from_root, self.root, self.addresses, self.new)
        self.result["urls"].update(move.urls)
        for connection in connections:
            with relocation_databases.opened(self.root, connection, client, self.act) as database:
                outcome = relocation_databases.relocate(database, move, self.act)
            self.result["changed"] = self.result["changed"] or bool(outcome.rows)
            self.result["rows"].update(outcome.rows)
            self.result["notes"] += outcome.notes
            if outcome.rows:
                header = f"database {connection.name}"
                before, after = relocation_diff.changed_lines("\n".join(outcome.before), "\n".join(outcome.after))
                self.result["diff"].append({"before_header": header, "after_header": header, "before": before, "after": after})
        return move


def _names(names: t.Mapping[t.Any, t.Any]) -> dict[str, str]:
    if not all(isinstance(name, str) and name for pair in names.items() for name in pair):
        raise SeafileError("database-name-invalid", "database_names", "it is no dictionary of old and new names")
    return {old: new for old, new in names.items() if old != new}


def main() -> None:
    """Argument spec and run."""
    module = AnsibleModule(
        argument_spec={
            "seafile_root": {"type": "path", "required": True},
            "from_root": {"type": "path"},
            "from_url": {"type": "str"},
            "service_url": {"type": "str"},
            "database_names": {"type": "dict", "default": {}},
            "database_host": {"type": "str"},
            "database_port": {"type": "int"},
            "database_user": {"type": "str"},
            "database_password": {"type": "str", "no_log": True},
            "database_unix_socket": {"type": "path"},
            "parts": {"type": "list", "elements": "str", "choices": ["files", "databases"], "default": ["files", "databases"]},
            **LOGIN_ARGUMENTS,
        },
        mutually_exclusive=[("database_host", "database_unix_socket")],
        supports_check_mode=True,
    )
    run_module(module, lambda module: Work(module).run())


if __name__ == "__main__":
    main()
