# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place of a drill: a private directory that is made for it, marked as such, and removed whole. Nothing without the mark is removed."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import shutil
import stat
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_client, private_mariadb
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, as_time
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import encode_name, new_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client, identifier, literal

MARK = ".seafleet-drill.json"
FORMAT = 1
LEASE = datetime.timedelta(hours=24)
"""How long a drill may take; what an older one has left is removed by the next."""
PREFIX = "drill_"
_LONGEST_DATABASE = 64


class Mark(t.NamedTuple):
    """What stands in a place's mark.

    :arg prefix: of every database and of the account that the drill makes on a database server which others use too; empty with a private one.
    """

    server: str
    began: datetime.datetime
    prefix: str


def read_mark(place: str) -> Mark | None:
    """Return the mark of I(place), None for a directory that is no drill's. A link is none."""
    try:
        if not stat.S_ISDIR(os.lstat(place).st_mode):
            return None
        with open(os.path.join(place, MARK), encoding="ascii") as stream:
            value = json.load(stream)
        if value["format"] != FORMAT or not isinstance(value["server"], str) or not isinstance(value["prefix"], str):
            return None
        return Mark(value["server"], as_time(value["began"]), value["prefix"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def abandoned(parent: str, server: str, now: datetime.datetime) -> list[str]:
    """Return the places below I(parent) that drills of I(server) left which died longer than :data:`LEASE` ago, sorted."""
    try:
        names = sorted(os.listdir(parent))
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for name in names:
        mark = read_mark(os.path.join(parent, name))
        if mark and mark.server == server and now - mark.began > LEASE:
            found.append(os.path.join(parent, name))
    return found


def new_place(parent: str, server: str, now: datetime.datetime) -> str:
    """Return the path of a place for a drill of I(server) that begins I(now)."""
    return os.path.join(parent, f"{encode_name(server)}-{new_set_id(now)}")


def prefix_of(server: str, now: datetime.datetime) -> str:
    """Return what databases and account of a drill of I(server) that begins I(now) begin with."""
    return f"{PREFIX}{new_set_id(now).lower()}_{hashlib.sha256(os.fsencode(server)).hexdigest()[:6]}_"


def names_of(databases: t.Iterable[str], prefix: str) -> dict[str, str]:
    """Return the name that each of I(databases) gets in the drill. Long ones lose their middle, and none meets another."""
    result: dict[str, str] = {}
    for number, name in enumerate(databases):
        wanted = prefix + name
        if len(wanted) > _LONGEST_DATABASE:
            ending = f"_{number}"
            wanted = wanted[:_LONGEST_DATABASE - len(ending)] + ending
        result[name] = wanted
    return result


def make(parent: str, server: str, now: datetime.datetime, private: bool, listens: bool = False) -> dict[str, t.Any]:
    """Make the place of a drill; return C(path), C(prefix), and C(socket), C(port), C(user) of its own database server (None without one).

    :arg private: start a database server in it.
    :arg listens: that also listens on a port of the loopback.
    :raises SeafileError: as :func:`private_mariadb.start`; nothing of the place stays then.
    """
    place = new_place(parent, server, now)
    if private:
        private_mariadb.socket_path(place)
    make_private_directory(parent)
    try:
        os.mkdir(place, 0o700)
    except FileExistsError:
        raise SeafileError("drill-running", place, "another drill of this server began in this very second") from None
    write_json(os.path.join(place, MARK), {"format": FORMAT, "server": server, "began": as_text(now), "prefix": "" if private else prefix_of(server, now)})
    try:
        port = private_mariadb.free_port() if private and listens else None
        socket = private_mariadb.start(place, port or 0) if private else None
    except BaseException:
        remove(place, None)
        raise
    return {"path": place, "prefix": "" if private else prefix_of(server, now), "socket": socket, "port": port,
            "user": private_mariadb.account() if private else None}


def remove(place: str, client: Client | None) -> list[str]:
    """Stop the database server in I(place), drop what a drill made on another one, and remove the place; return what went.

    :arg client: the administrator's of the database server that others use too; None: databases there stay, if there are any.
    :raises SeafileError: C(not-a-drill) for a directory without the mark.
    """
    mark = read_mark(place)
    if mark is None:
        if not os.path.lexists(place):
            return []
        raise SeafileError("not-a-drill", place, "no drill has made this directory: nothing is removed")
    gone = []
    if private_mariadb.stop(place):
        gone.append(f"database server in {place}")
    if client is not None and mark.prefix:
        gone += drop(client, mark.prefix)
    shutil.rmtree(place)
    with contextlib.suppress(OSError):  # other drills may be at work
        os.rmdir(os.path.dirname(place))
    return [*gone, place]


def drop(client: Client, prefix: str) -> list[str]:
    """Drop the databases and accounts whose names begin with I(prefix), which no others do."""
    if not prefix.startswith(PREFIX) or len(prefix) <= len(PREFIX):
        raise SeafileError("not-a-drill", f"databases {prefix}", "no drill has made these: nothing is dropped")
    pattern = literal(mysql_client.grant_pattern(prefix) + "%")
    databases = [row[0] for row in client.query(f"SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE {pattern}")]
    accounts = [(row[0], row[1]) for row in client.query(f"SELECT user, host FROM mysql.user WHERE user LIKE {pattern}", what="table mysql.user")]
    statements = [f"DROP DATABASE {identifier(name)}" for name in databases if name.startswith(prefix)]
    statements += [f"DROP USER {literal(user)}@{literal(host)}" for user, host in accounts if user.startswith(prefix)]
    if statements:
        client.query(*statements, what=f"what the drill {prefix} made")
    return [f"database {name}" for name in databases] + [f"account {user}@{host}" for user, host in accounts]
