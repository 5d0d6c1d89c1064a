#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: program_links
short_description: Make the links between Seafile's programs and a restored deployment
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Programs are no part of a backup. When they were unpacked anew, they know nothing of the data beside them, and Seahub shows none
    of the users' pictures.
  - Makes the link C(seafile-server-latest), and in the programs' C(seahub/media) the links C(avatars) and C(custom) into
    C(seahub-data), where the deployment has these directories.
  - A directory in the place of a link, as freshly unpacked programs have it, is kept beside it under the name C(avatars.unpacked). A link
    that leads to another place which exists is left alone, and told.
  - Changes nothing when the programs are not there.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.seafile_root]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  programs:
    description: The name of the programs' directory, as the manifest of a set has it. By default what C(seafile-server-latest) leads to.
    type: str
"""

EXAMPLES = r"""
- name: Join programs that were just unpacked with the restored data
  seafleet.seafile.program_links:
    seafile_root: /opt/seafile
    programs: seafile-server-11.0.13
"""

RETURN = r"""
programs:
  description: The programs' directory, or null when it is not there.
  returned: success
  type: str
  sample: seafile-server-11.0.13
links:
  description: The links that were made, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [/opt/seafile/seafile-server-11.0.13/seahub/media/avatars]
notes:
  description: What was left as it is.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import program_links
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module


def join(module):
    """Look, and make what is missing."""
    root = module.params["seafile_root"]
    programs = program_links.programs_in(root, module.params["programs"])
    links, notes = program_links.plan(root, programs) if programs else ([], [])
    if not module.check_mode:
        program_links.make(links)
    return {"changed": bool(links), "programs": programs, "links": [link.path for link in links], "notes": notes}


def main():
    module = AnsibleModule(
        argument_spec={"seafile_root": {"type": "path", "required": True}, "programs": {"type": "str"}},
        supports_check_mode=True,
    )
    run_module(module, join)


if __name__ == "__main__":
    main()
