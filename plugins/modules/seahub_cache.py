#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: seahub_cache
short_description: Empty what Seahub remembers of a deployment that was replaced
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - After a restore, Seahub's cache tells of users, libraries and shares as they were before. This finds the caches in Seafile's
    configuration (C(CACHES) in C(seahub_settings.py), or C(CACHE_PROVIDER) in C(.env)) and empties those of O(kinds).
  - In a directory only the files of Django's cache are removed. In Redis the whole numbered database is emptied, whoever else uses it;
    so that kind has to be asked for.
  - A cache that does not answer, or is of a kind not asked for, is told in RV(notes) and fails nothing.
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
  kinds:
    description: The kinds of caches that may be emptied.
    type: list
    elements: str
    choices: [files, memcached, redis]
    default: [files, memcached]
"""

EXAMPLES = r"""
- name: Forget what Seahub remembers, also in a Redis that serves nothing else
  seafleet.seafile.seahub_cache:
    seafile_root: /opt/seafile
    kinds: [files, memcached, redis]
"""

RETURN = r"""
caches:
  description: The caches that were emptied, or would be in check mode, each with C(kind), C(name) and C(entries) (how many it had).
  returned: success
  type: list
  elements: dict
  sample: [{kind: memcached, name: "memcached at 127.0.0.1:11211", entries: 212}]
notes:
  description: What was not emptied, and why.
  returned: success
  type: list
  elements: str
  sample: ["memcached at 127.0.0.1:11211 was not emptied (Connection refused): restart it before Seafile is started"]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import seahub_cache
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module


def forget(module):
    """Empty the caches."""
    caches, notes = [], []
    for cache in seahub_cache.find(module.params["seafile_root"]):
        if cache.kind not in module.params["kinds"]:
            notes.append(f"{cache.name} was not emptied: {cache.kind} is not among the kinds to be emptied")
            continue
        try:
            entries = seahub_cache.clear(cache, not module.check_mode)
        except seahub_cache.Unreachable as error:
            notes.append(f"{cache.name} was not emptied ({error}): restart it before Seafile is started")
            continue
        if entries:
            caches.append({"kind": cache.kind, "name": cache.name, "entries": entries})
    return {"changed": bool(caches), "caches": caches, "notes": notes}


def main():
    module = AnsibleModule(
        argument_spec={
            "seafile_root": {"type": "path", "required": True},
            "kinds": {"type": "list", "elements": "str", "choices": list(seahub_cache.KINDS), "default": [seahub_cache.FILES, seahub_cache.MEMCACHED]},
        },
        supports_check_mode=True,
    )
    run_module(module, forget)


if __name__ == "__main__":
    main()
