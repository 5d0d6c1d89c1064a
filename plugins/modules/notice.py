#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: notice
short_description: Tell a web address what became of a run, without ever failing it
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Sends one request. An address that is down, hangs or answers with an error does not fail, takes at most O(timeout) seconds, and is said in
    RV(said).
  - The address may hold a token. Of it nothing but the host is in any result or message, for which M(ansible.builtin.uri) has no way.
  - Runs on the controller.
extends_documentation_fragment: [seafleet.seafile.attributes]
attributes:
  check_mode:
    support: full
    details: Nothing is sent.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  url:
    description: The address, C(http) or C(https).
    type: str
    required: true
  kind:
    description:
      - V(webhook) sends O(body) as JSON by POST. Its C(text) is what Mattermost, Slack and those like them show.
      - V(ping) asks for the address by GET, with C(/start) behind its path for a run that has begun and C(/fail) for one that failed, as the
        services do that alarm when a sign of life is missing.
    type: str
    choices: [webhook, ping]
    required: true
  event:
    description: What there is to tell.
    type: str
    choices: [begun, success, failure]
    required: true
  body:
    description: What a webhook is sent, as the filter P(seafleet.seafile.run_notice#filter) returns it.
    type: dict
    default: {}
  timeout:
    description: Seconds for everything together.
    type: int
    default: 10
"""

EXAMPLES = r"""
- name: Tell the chat
  seafleet.seafile.notice:
    url: "{{ vault_chat_address }}"
    kind: webhook
    event: "{{ notice.event }}"
    body: "{{ notice }}"
  vars:
    notice: "{{ summary.result | seafleet.seafile.run_notice }}"
  delegate_to: localhost
  run_once: true
  no_log: true
"""

RETURN = r"""
delivered:
  description: Whether the other side took it.
  returned: success
  type: bool
  sample: true
said:
  description: What to tell people of it, one sentence.
  returned: success
  type: str
  sample: "The webhook on hooks.example.org was not told: it answered 500. The backups are not affected."
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import notices
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import run_module


def tell(module):
    """Send the notice, if that can be done."""
    params = module.params
    whom = f"The {params['kind']} on {notices.place(params['url'])}"
    if module.check_mode:
        return {"changed": False, "delivered": False, "said": f"{whom} would be told."}
    if params["kind"] == notices.PING:
        problem = notices.deliver(notices.ping_address(params["url"], params["event"]), None, params["timeout"])
    else:
        problem = notices.deliver(params["url"], params["body"], params["timeout"])
    said = f"{whom} was not told: {problem}. The backups are not affected." if problem else f"{whom} was told."
    return {"changed": False, "delivered": problem is None, "said": said}


def main():
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True, "no_log": True},
            "kind": {"type": "str", "choices": ["webhook", "ping"], "required": True},
            "event": {"type": "str", "choices": list(notices.EVENTS), "required": True},
            "body": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    run_module(module, tell)


if __name__ == "__main__":
    main()
