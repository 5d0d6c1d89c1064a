# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the output of ansible-playbook is for: people, or programs."""

from __future__ import annotations

from ansible import constants as C


def is_for_programs(callback: str | None = None) -> bool:
    """Say whether the output is written by a callback plugin whose output programs read, so that no other line may come between.

    :arg callback: the name of the plugin; by default the one at work.
    """
    name = str(C.config.get_config_value("DEFAULT_STDOUT_CALLBACK")) if callback is None else callback
    return name.rpartition(".")[2] in ("json", "jsonl", "null")
