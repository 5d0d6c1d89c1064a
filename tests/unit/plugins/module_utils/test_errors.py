# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import errors
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError


class Ended(Exception):
    """What the stand-in for AnsibleModule raises where the real one ends the process."""


class Module:
    params = {"dest": "/dest"}

    def fail_json(self, **result):
        raise Ended("failed", result)

    def exit_json(self, **result):
        raise Ended("done", result)


def outcome(action):
    with pytest.raises(Ended) as caught:
        errors.run_module(Module(), action)
    return caught.value.args


def raising(error):
    def action(module):
        raise error
    return action


@pytest.mark.parametrize("text, printed", [
    ("plain \u00fc name", "plain \u00fc name"), ("\x1b[31mred\x07", "\\x1b[31mred\\x07"), ("two\nlines\r", "two\\nlines\\r"), ("\x9b2J", "\\x9b2J"),
    ("\u202etxt.exe", "\\u202etxt.exe"), ("\udcff", "\\udcff"), ("", ""),
])
def test_terminal_escapes_and_line_breaks_are_never_printed_raw(text, printed):
    assert errors.printable(text) == printed


def test_a_message_is_one_line_that_names_the_thing_the_cause_and_the_next_step():
    error = SeafileError("no-space", "/srv/\x1b[2Jbackup", "the disk\nis full.")
    assert error.message == "/srv/\\x1b[2Jbackup: the disk\\nis full. Next: free the named space or use a larger file system, then run again"
    assert error.as_problem() == {
        "code": "no-space", "message": error.message, "what": error.what, "cause": error.cause, "next_step": error.next_step}


def test_a_failure_has_code_thing_next_step_and_details():
    kind, result = outcome(raising(SeafileError("run-active", "/srv", "busy", "wait", holder={"set_id": "x"})))
    assert kind == "failed"
    assert result == {"msg": "/srv: busy. Next: wait", "code": "run-active", "what": "/srv", "next_step": "wait", "holder": {"set_id": "x"}}


def test_an_error_of_the_system_that_nobody_foresaw_names_its_file_or_the_destination():
    kind, result = outcome(raising(OSError(5, "Input/output error", "/srv/x")))
    assert (kind, result["code"], result["what"]) == ("failed", "os-error", "/srv/x") and "Input/output error" in result["msg"]
    assert outcome(raising(OSError("strange")))[1]["what"] == "/dest"


def test_success_is_the_actions_result():
    assert outcome(lambda module: {"changed": True}) == ("done", {"changed": True})


def test_a_defect_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        errors.run_module(Module(), lambda module: 1 // 0)
