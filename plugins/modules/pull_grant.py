#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pull_grant
short_description: Grant a backup host read-only access to one Seafile server, or take it back
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Runs on the server, as root. Lets the given public keys run one forced command in one account, and removes every other line that was made
    for the same backup host and server.
  - In the account that owns Seafile's files the command is C(rrsync -ro) below O(root).
  - With O(own_account) the account is made, with a home that it cannot write, a locked password and no other rights. It gets a copy of
    rsync with the capabilities CAP_DAC_READ_SEARCH and CAP_SYS_CHROOT, and the forced command is a read-only rsync daemon that has
    O(root) for its root directory. The copy is renewed when the rsync of the system is another one.
  - Other lines of C(authorized_keys) stay as they are. Nothing is written through a link.
options:
  state:
    description:
      - V(present) grants the access to exactly O(public_keys).
      - V(absent) takes it back. With O(own_account), the account and all that belongs to it go with the last server that it was made for.
    type: str
    choices: [present, absent]
    default: present
  server:
    description: The server's name in the inventory.
    type: str
    required: true
  backup_host:
    description: The name of the backup host in the inventory.
    type: str
    required: true
  user:
    description: The account that reads, where it is not O(own_account). It must be there.
    type: str
  own_account:
    description: The account to make and to use in place of O(user). An account of this name that was not made by this module is left alone.
    type: str
  former_users:
    description: Accounts whose lines for the same backup host and server are removed, because another one reads now.
    type: list
    elements: str
    default: []
  root:
    description: The directory that may be read, without links in its path. Required with O(state=present) and O(restricted).
    type: path
  restricted:
    description: V(false) lets the keys do whatever the account may do. Not possible with O(own_account).
    type: bool
    default: true
  public_keys:
    description: The keys that may read, each as its C(.pub) file holds it.
    type: list
    elements: str
    default: []
  from_addresses:
    description: Only connections from these addresses may use the keys, as OpenSSH's C(from=) takes them. Empty for any.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The lines that were made for this backup host and server.
  platform:
    support: full
    platforms: linux
extends_documentation_fragment:
  - seafleet.seafile.attributes
seealso:
  - module: seafleet.seafile.pull_key
  - module: seafleet.seafile.pull_access_info
"""

EXAMPLES = r"""
- name: Let the backup host read through an account of its own
  seafleet.seafile.pull_grant:
    server: files.example.org
    backup_host: backup.example.org
    own_account: seafleet-pull
    root: /opt/seafile
    public_keys: "{{ key.public_keys }}"
    from_addresses: 192.0.2.10

- name: Take it back
  seafleet.seafile.pull_grant:
    state: absent
    server: files.example.org
    backup_host: backup.example.org
    own_account: seafleet-pull
"""

RETURN = r"""
user:
  description: The account that reads.
  returned: success
  type: str
  sample: seafleet-pull
host_keys:
  description: The public host keys of this machine, each with its type, for C(known_hosts) of the backup host.
  returned: success
  type: list
  elements: str
  sample: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFZ7a0Jm1n0M9oRj0p5q0rXb2l9sX0aYh8yq7c6v5b4n"]
notes:
  description: What a person should know, one sentence each.
  returned: success
  type: list
  elements: str
  sample: ["the copy of rsync was made (it is not the rsync that is installed)"]
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: pull-account-foreign
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import pull_grant
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module


class Granter:
    """The work on one server."""

    def __init__(self, module):
        self.module = module
        self.params = module.params
        self.server = pull_grant.require_name(self.params["server"], "server")
        self.ending = pull_grant.comment(self.params["backup_host"], self.server)
        self.own = pull_grant.Own(self.params["own_account"]) if self.params["own_account"] else None
        self.write = not module.check_mode
        self.changed = False
        self.notes = []
        self.before = []
        self.after = []

    def tool(self, name, package):
        path = self.module.get_bin_path(name)
        if not path:
            raise SeafileError("missing-tool", name, "it is not installed on the server", f"install the package {package} on the server")
        return path

    def run(self, argv, deed):
        status, dummy, stderr = self.module.run_command(argv, expand_user_and_vars=False)
        if status != 0:
            raise SeafileError("pull-account-failed", self.own.account, f"{deed} failed: {stderr.strip()[:300]}")

    def edit(self, keys, lines):
        before, after = keys.edit(lambda text: pull_grant.edited(text, self.ending, lines), self.write)
        if before != after:
            self.changed = True
            self.before += [line for line in before.splitlines() if line not in after.splitlines()]
            self.after += [line for line in after.splitlines() if line not in before.splitlines()]
        return after

    def keys_of(self, entry):
        if self.own and entry.pw_name == self.own.account:
            return pull_grant.Keys(self.own.home, (0, entry.pw_gid), (0o750, 0o640))
        return pull_grant.Keys(entry.pw_dir, (entry.pw_uid, entry.pw_gid))

    # -- present -------------------------------------------------------------------------------------------------

    def make_account(self):
        """Make the account with all that belongs to it; return its entry, None in check mode when it is missing."""
        own = self.own
        entry = pull_grant.account(own.account)
        pull_grant.require_ours(own.account, entry)
        source = self.tool("rsync", "rsync")
        configuration = pull_grant.configuration(self.params["root"])
        pull_grant.require_capabilities(own.home, own.copy)
        if entry is None:
            self.changed = True
            useradd = self.tool("useradd", "passwd (shadow-utils)")
            if not self.write:
                return None
            # the password * is none, and unlike ! it does not lock the account for keys where sshd runs without PAM
            self.run([useradd, "--system", "--user-group", "--no-create-home", "--home-dir", own.home, "--shell", "/bin/sh", "--password", "*",
                      "--comment", pull_grant.ACCOUNT_COMMENT, own.account], "useradd")
            entry = pull_grant.account(own.account)
        self.refuse_sudo(own.account)
        if self.write:
            self.changed = pull_grant.prepare_home(own, entry.pw_gid) or self.changed
        why = pull_grant.copy_is_due(own.copy, source, entry.pw_gid)
        if why:
            self.changed = True
            self.notes.append(f"the copy of rsync for the account {own.account} {'was made' if self.write else 'would be made'} ({why})")
            if self.write:
                pull_grant.make_copy(own.copy, source, entry.pw_gid)
        path = own.configuration(self.server)
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as stream:
                known = stream.read()
        except FileNotFoundError:
            known = None
        if known != configuration:
            self.changed = True
            if self.write:
                pull_grant.write_configuration(path, configuration, entry.pw_gid)
        return entry

    def refuse_sudo(self, name):
        """An account that may become another one reads and writes whatever it likes, if it ever gets a shell."""
        sudo = self.module.get_bin_path("sudo")
        if sudo:
            dummy, stdout, dummy = self.module.run_command([sudo, "-n", "-l", "-U", name], expand_user_and_vars=False, environ_update={"LC_ALL": "C"})
            if "may run the following" in stdout:
                raise SeafileError("pull-account-privileged", name, "sudo lets the account run commands as another one")

    def present(self):
        params = self.params
        if params["restricted"] and not params["root"]:
            raise SeafileError("path-invalid", "root", "no directory was given that may be read")
        if self.own:
            if not params["restricted"]:
                raise SeafileError("pull-account-unrestricted", self.own.account, "an account that reads every file of the server is never without restriction")
            entry = self.make_account()
            command = self.own.command(self.server)
        else:
            entry = pull_grant.account(params["user"] or "")
            if entry is None:
                raise SeafileError("account-unknown", str(params["user"]), "the server has no account of this name")
            command = None
            if params["restricted"]:
                command = pull_grant.rrsync_command(self.tool("rrsync", "rsync (with the program rrsync)"), params["root"])
        lines = [pull_grant.key_line(key, self.ending, command, params["from_addresses"]) for key in params["public_keys"]]
        if entry is not None:
            self.edit(self.keys_of(entry), lines)
        for name in params["former_users"]:
            former = pull_grant.account(name)
            if former is not None and (entry is None or former.pw_uid != entry.pw_uid):
                self.edit(self.keys_of(former), [])
        return self.own.account if self.own else params["user"]

    # -- absent --------------------------------------------------------------------------------------------------

    def absent(self):
        params = self.params
        for name in [params["user"], *params["former_users"]]:
            entry = pull_grant.account(name) if name else None
            if entry is not None:
                self.edit(self.keys_of(entry), [])
        if self.own:
            self.remove_account()
        return self.own.account if self.own else params["user"]

    def remove_account(self):
        own = self.own
        entry = pull_grant.account(own.account)
        if entry is not None and entry.pw_gecos.split(",")[0] != pull_grant.ACCOUNT_COMMENT:
            self.notes.append(f"the account {own.account} was not made by this role and stays")
            return
        left = self.edit(self.keys_of(entry), []) if entry is not None else ""
        if os.path.lexists(own.configuration(self.server)):
            self.changed = True
            if self.write:
                os.unlink(own.configuration(self.server))
        if any(line.strip() and not line.startswith("#") for line in left.splitlines()):
            self.notes.append(f"the account {own.account} stays, because other keys may use it")
            return
        if entry is not None:
            self.changed = True
            if self.write:
                self.run([self.tool("userdel", "passwd (shadow-utils)"), own.account], "userdel")
        if os.path.isdir(own.home):
            self.changed = True
            if self.write:
                pull_grant.remove_home(own)


def grant(module):
    """Bring the access into its state; return the module's result."""
    granter = Granter(module)
    user = granter.present() if module.params["state"] == "present" else granter.absent()
    result = dict(changed=granter.changed, user=user, host_keys=pull_grant.host_keys(), notes=granter.notes)
    if module._diff:
        result["diff"] = {"before": "".join(f"{line}\n" for line in granter.before), "after": "".join(f"{line}\n" for line in granter.after)}
    return result


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "server": {"type": "str", "required": True},
            "backup_host": {"type": "str", "required": True},
            "user": {"type": "str"},
            "own_account": {"type": "str"},
            "former_users": {"type": "list", "elements": "str", "default": []},
            "root": {"type": "path"},
            "restricted": {"type": "bool", "default": True},
            "public_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "from_addresses": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    run_module(module, grant)


if __name__ == "__main__":
    main()
