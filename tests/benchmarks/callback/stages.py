# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the benchmark when a stage of a playbook begins, and waits until it has looked at its clocks; at the end, what was executed."""

from __future__ import annotations

DOCUMENTATION = """
name: stages
type: aggregate
short_description: Tells a benchmark where a playbook is
description: A stage is what stands before the bar in the names of tasks. Says it through the socket that E(BENCHMARK_SOCKET) names.
"""

import collections
import json
import os
import socket

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "stages"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.stage = ""
        self.executed = collections.Counter()
        self.skipped = collections.Counter()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.environ["BENCHMARK_SOCKET"])

    def tell(self, **message):
        self.socket.sendall(json.dumps(message).encode("utf-8") + b"\n")
        self.socket.recv(1)

    @staticmethod
    def host(result):
        return (getattr(result, "host", None) or result._host).get_name()  # the public name is younger than ansible-core 2.18

    def v2_playbook_on_task_start(self, task, is_conditional):
        stage, separator, dummy = task.get_name().rpartition(" : ")[2].partition(" | ")
        if separator and stage != self.stage:
            self.stage = stage
            self.tell(stage=stage)

    def v2_runner_on_ok(self, result):
        self.executed[self.host(result)] += 1

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.executed[self.host(result)] += 1

    def v2_runner_on_skipped(self, result):
        self.skipped[self.host(result)] += 1

    def v2_playbook_on_stats(self, stats):
        self.tell(stage="", executed=self.executed, skipped=self.skipped)
