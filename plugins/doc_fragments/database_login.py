# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """An administrator's account of the database server; each module says what the account must be allowed to do."""

    DOCUMENTATION = r"""
options:
  login_host:
    description: Name or address of the database server. Default is its Unix socket on this machine.
    type: str
  login_port:
    description: TCP port of the database server. Default is V(3306).
    type: int
  login_user:
    description: The account.
    type: str
    default: root
  login_password:
    description: Password of O(login_user). Without one the server must trust the system's user, as Debian's MariaDB trusts root at its
      Unix socket.
    type: str
  login_unix_socket:
    description: Path of the database server's Unix socket.
    type: path
"""
