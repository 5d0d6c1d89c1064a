# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account that may create and replace databases on a restore target: arguments shared by the restore modules."""

from __future__ import annotations

import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Login

LOGIN_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "login_host": {"type": "str"},
    "login_port": {"type": "int"},
    "login_user": {"type": "str", "default": "root"},
    "login_password": {"type": "str", "no_log": True},
    "login_unix_socket": {"type": "path"},
}


def login(params: t.Mapping[str, t.Any]) -> Login:
    """Return the login of the module's I(params); without any, root through the local socket."""
    return Login(
        host=params["login_host"] or "localhost", port=params["login_port"] or 3306, user=params["login_user"],
        password=params["login_password"] or "", unix_socket=params["login_unix_socket"])
