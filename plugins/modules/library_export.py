#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: library_export
short_description: Write a file, a folder or a library out of a backup set as plain files
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Reads a backup set without Seafile and without a database server, and writes what was asked for below O(dest).
  - Every object is hashed before anything of it is believed, and every file must have the length that its object says. A file
    of which an object is missing or damaged is not written at all; the rest is, and then the module fails with the code
    V(export-incomplete), the paths and the objects.
  - Nothing is ever overwritten. A file that is there with the same content is left; another one in its place is left as it is,
    and told in RV(conflicts). So an export that was interrupted is simply run again.
  - Modification times are those of the library. Files get mode 0600 and folders 0700, less the umask, and belong to the account
    that runs the module. Seafile keeps neither modes nor owners of files.
  - Runs on the backup host. The server itself may be down.
notes:
  - All that lies in a library came from its users. Names are never followed as paths or links, so nothing is written outside O(dest).
  - C(enc_version) 2 and 4 were proved on libraries of real servers; 1 and 3 by test vectors that OpenSSL made, for want of a server that
    writes them.
requirements:
  - The Python package cryptography on the host that runs the module, only for encrypted libraries (Debian C(python3-cryptography)).
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.server_backup]
attributes:
  check_mode:
    support: full
    details: Blocks of new files are looked for and not read, so that a damaged one, other than a missing or empty one, shows only in the run itself.
  diff_mode:
    support: full
    details: Shows the first 1000 files and folders that are new.
  platform:
    support: full
    platforms: posix
options:
  set_id:
    description:
      - The set to read, also a damaged one. An unknown or partial one fails.
      - Default is the newest verified set, else the newest sealed one; newer ones that are passed over are told in RV(notes).
    type: str
  library:
    description: The library's id, or its name where only one has it. A library in use goes before one in the trash.
    type: str
    required: true
  path:
    description: The file or folder to take, from the library's own folder on, such as V(/Projects/2026). V(/) is the whole library.
    type: str
    default: /
  commit:
    description: An older state of the library, by the id of its commit, which M(seafleet.seafile.library_info) lists. Default is the head of
      the set.
    type: str
  dest:
    description:
      - The directory that gets the folder's content, or the one file. An absolute path outside the backup; it is made, with mode 0700,
        when it is missing. A link or a file there fails.
    type: path
    required: true
  password:
    description: The password of an encrypted library. A wrong one fails before anything is written.
    type: str
  accept_refused:
    description: Do not fail when nothing else is wrong than names that the file system of O(dest) cannot hold.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Take one folder out of the newest set
  seafleet.seafile.library_export:
    backup_root: /srv/seafile-backup
    server: files.example.org
    library: Alice documents
    path: /Projekte
    dest: /srv/export/projekte

- name: Take an encrypted library out of an older set
  seafleet.seafile.library_export:
    backup_root: /srv/seafile-backup
    server: files.example.org
    set_id: 20261101T030000Z
    library: edbcd2cb-49c4-40a8-861b-5863adae2eb4
    dest: /srv/export/vault
    password: "{{ library_password }}"
"""

RETURN = r"""
set:
  description: The set that was read, with C(set_id), C(state) and C(began).
  returned: success
  type: dict
  sample: {began: "2026-11-23T03:00:00Z", set_id: 20261123T030000Z, state: verified}
library:
  description: The library with C(id), C(name), C(owner), C(kind), C(encrypted) and others, as M(seafleet.seafile.library_info) returns it.
  returned: success
  type: dict
commit:
  description: The commit whose state was taken.
  returned: success
  type: str
  sample: 7b544f01bf806b96db42edb8908a6bc3a36b5486
dest:
  description: Where it was written.
  returned: success
  type: str
  sample: /srv/export/projekte
written:
  description: New files.
  returned: success, and with V(export-incomplete)
  type: int
  sample: 5
written_bytes:
  description: Their bytes.
  returned: success, and with V(export-incomplete)
  type: int
  sample: 1048652
equal:
  description: Files that were there with the same content.
  returned: success, and with V(export-incomplete)
  type: int
  sample: 0
equal_bytes:
  description: Their bytes.
  returned: success, and with V(export-incomplete)
  type: int
  sample: 0
folders:
  description: Folders that were made.
  returned: success, and with V(export-incomplete)
  type: int
  sample: 3
times:
  description: Files and folders that were there, and whose modification time was put right.
  returned: success, and with V(export-incomplete)
  type: int
  sample: 0
damaged:
  description: The first 1000 files and folders that were not written because of an object.
  returned: success, and with V(export-incomplete)
  type: list
  elements: dict
  contains:
    path:
      description: The path in the library, odd characters as escapes.
      type: str
      returned: always
    kind:
      description: V(fs) or V(blocks).
      type: str
      returned: always
    store:
      description: The library under whose id the object lies.
      type: str
      returned: always
    id:
      description: The object's id.
      type: str
      returned: always
    damage:
      description: V(missing), V(empty), V(truncated), V(unparsable), V(unreadable), V(wrong-hash) or V(mismatch).
      type: str
      returned: always
    cause:
      description: The reason in words.
      type: str
      returned: always
damaged_total:
  description: Number of all of them.
  returned: success, and with V(export-incomplete)
  type: int
  sample: 0
refused:
  description: The first 1000 files and folders whose names the file system cannot hold, each with C(path) and C(cause).
  returned: success, and with V(export-incomplete)
  type: list
  elements: dict
  sample: []
refused_total:
  description: Number of all of them.
  returned: success, and with V(export-incomplete)
  type: int
  sample: 0
conflicts:
  description: The first 1000 places where something else stands already, each with C(path) and C(cause). It was left as it is.
  returned: success, and with V(export-incomplete)
  type: list
  elements: dict
  sample: []
conflicts_total:
  description: Number of all of them.
  returned: success, and with V(export-incomplete)
  type: int
  sample: 0
report:
  description: The same for people, a line each.
  returned: success
  type: list
  elements: str
notes:
  description: What a person should know of the set that was taken.
  returned: success
  type: list
  elements: str
code:
  description: >-
    Stable code of the failure: V(export-incomplete), V(export-dest), V(export-too-large), V(no-space), V(library-password-missing),
    V(library-password-wrong), V(library-key-damaged), V(library-encryption-unknown), V(python-library-missing), and those of
    M(seafleet.seafile.library_info).
  returned: failure
  type: str
  sample: export-incomplete
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, printable, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.library_crypto import open_library
from ansible_collections.seafleet.seafile.plugins.module_utils.library_source import open_source
from ansible_collections.seafleet.seafile.plugins.module_utils.library_tree import Tree
from ansible_collections.seafleet.seafile.plugins.module_utils.plain_files import MOST_ROWS, Export, check_destination

NAMED = 5


def decryption_of(libraries, state, password):
    """Return the decryption of an encrypted library, or None. The password is the one of the head, or of the commit that is taken.

    :raises SeafileError: C(library-password-missing), C(library-password-wrong), and others of :func:`open_library`.
    """
    if not state.commit.encrypted:
        return None
    if not password:
        raise SeafileError("library-password-missing", state.commit.name or state.library.id, "it is encrypted")
    try:
        head = libraries.head(state.library)
        return open_library(head.document, password)
    except SeafileError as error:
        if error.code not in ("library-password-wrong", "library-key-damaged", "library-damaged"):
            raise
        return open_library(state.document, password)


def sentence(row):
    """Return one row of damaged, refused or conflicts for people."""
    what = {"fs": "fs object ", "blocks": "block "}.get(row.get("kind"), "")
    return f"{row['path']}: {what}{row['id']} {row['damage']} ({row['cause']})" if what else f"{row['path']}: {row['cause']}"


def report(name, path, dest, outcome, check_mode):
    """Return what was done, in lines for people."""
    verb = "would be written" if check_mode else "written"
    lines = [f"{printable(name)} {printable(path)}: {outcome.written} files with {outcome.written_bytes} bytes {verb} to {dest}, "
             f"{outcome.equal} were there with the same content"]
    for kind, words in (("damaged", "damaged, not written"), ("refused", "refused by the file system"), ("conflicts", "something else is there")):
        rows = getattr(outcome, kind)
        lines += [f"{words}: {sentence(row)}" for row in rows]
        if getattr(outcome, f"{kind}_total") > len(rows):
            lines.append(f"{words}: and {getattr(outcome, f'{kind}_total') - len(rows)} more")
    return lines


def incomplete(name, outcome, values):
    """Return the failure that says what is missing, with the first ones."""
    first = "; ".join([sentence(row) for row in outcome.damaged + outcome.refused + outcome.conflicts][:NAMED])
    counted = ((outcome.damaged_total, "damaged"), (outcome.refused_total, "with names that the file system cannot hold"),
               (outcome.conflicts_total, "with something else in their place"))
    kinds = ", ".join(f"{number} {words}" for number, words in counted if number)
    cause = f"{kinds} were not written; {outcome.written + outcome.equal} files are there whole; first: {first}"
    return SeafileError("export-incomplete", name, cause, **values)


def export(module):
    """The module's action."""
    source = open_source(module.params["backup_root"], module.params["server"], module.params["set_id"])
    try:
        return write_out(module, source)
    finally:
        source.use.end()


def write_out(module, source):
    """Write out of the set what was asked for."""
    params = module.params
    dest = check_destination(params["dest"], source.layout.root)
    library = source.libraries.find(params["library"])
    state = source.libraries.at(library, params["commit"])
    decryption = decryption_of(source.libraries, state, params["password"])
    with Tree(source.store, state) as tree:
        item = tree.find(params["path"])
        outcome = Export(source.store, tree, decryption, dest, module.check_mode).run(params["path"], item)
    name = state.commit.name or library.id
    values = dict(
        outcome.result(), set={key: source.row.get(key) for key in ("set_id", "state", "began")}, library=source.libraries.describe(library),
        commit=state.id.hex(), dest=dest, notes=source.notes, report=report(name, params["path"], dest, outcome, module.check_mode))
    if outcome.damaged_total or outcome.conflicts_total or (outcome.refused_total and not params["accept_refused"]):
        raise incomplete(name, outcome, values)
    if getattr(module, "_diff", False) and outcome.paths:
        more = ["..."] if len(outcome.paths) == MOST_ROWS else []
        values["diff"] = {"before_header": dest, "after_header": dest, "before": "", "after": "".join(line + "\n" for line in outcome.paths + more)}
    return values


def main():
    module = AnsibleModule(
        argument_spec={
            "backup_root": {"type": "path", "required": True},
            "server": {"type": "str", "required": True},
            "set_id": {"type": "str"},
            "library": {"type": "str", "required": True},
            "path": {"type": "str", "default": "/"},
            "commit": {"type": "str"},
            "dest": {"type": "path", "required": True},
            "password": {"type": "str", "no_log": True},
            "accept_refused": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_module(module, export)


if __name__ == "__main__":
    main()
