# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The host that is pulled from, and how ssh reaches it."""

    DOCUMENTATION = r"""
options:
  host:
    description: The host to pull from, by ssh. Without it both ends are on this host.
    type: str
  user:
    description: The account on O(host).
    type: str
  port:
    description: The port of C(sshd) on O(host).
    type: int
  private_key:
    description: The path of the key that opens the account.
    type: path
  known_hosts:
    description: The file that holds the pinned key of O(host). An unknown or another key ends the pull; none is ever learned.
    type: path
  host_key_alias:
    description: The name under which O(known_hosts) holds the key.
    type: str
  rsync_module:
    description:
      - The module of the rsync daemon that the account's forced command starts, where the role pull_access made an account of
        its own. Paths begin in the directory of the module then. Leave it out for C(rrsync), and for an account without restriction.
    type: str
    version_added: "0.2.0"
"""
