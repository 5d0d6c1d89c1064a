# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order a run takes its servers, and which it refuses before anything is done. Pure functions."""

from __future__ import annotations

import collections
import datetime
import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import set_time

_NEVER = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)


class Server(t.NamedTuple):
    """One server of a run, as the inventory and its backup host have it.

    :arg backup_host: the inventory's name of its backup host; empty when the inventory names none.
    :arg backup_address: what tells one backup host from another: two names may mean one machine.
    :arg address: likewise for the server: address and port, or that it is this machine.
    :arg newest_verified, newest_sealed: set ids; None without one, or when the backup host could not be asked.
    """

    name: str
    backup_host: str = ""
    backup_address: str = ""
    backup_root: str = ""
    address: str = ""
    seafile_root: str = ""
    newest_verified: t.Optional[str] = None
    newest_sealed: t.Optional[str] = None


def shared(servers: t.Sequence[Server]) -> dict[str, SeafileError]:
    """Return the error C(backup-shared) for each server that would write into another one's backup, or is another one.

    Two names for one deployment on one backup host are refused: what the server remembers of that backup host would be of the one at one
    time and of the other at another. On two backup hosts they are two backups of one server, and that is fine.
    """
    refused = {}
    for why, key in (("would be backed up into one directory", _directory), ("are one Seafile directory on one machine", _deployment)):
        groups: dict[t.Any, list[str]] = collections.defaultdict(list)
        for server in servers:
            of_it = key(server)
            if of_it is not None:
                groups[of_it].append(server.name)
        for names in groups.values():
            for name in names if len(names) > 1 else ():
                others = ", ".join(other for other in names if other != name)
                refused.setdefault(name, SeafileError("backup-shared", name, f"it and {others} {why}"))
    return refused


def _directory(server: Server) -> t.Any:
    return (server.backup_address, os.path.normpath(os.path.join(server.backup_root, server.name))) if server.backup_host else None


def _deployment(server: Server) -> t.Any:
    if not server.backup_host or not server.seafile_root:
        return None
    return server.backup_address, server.address, os.path.normpath(server.seafile_root)


def order(servers: t.Sequence[Server]) -> list[Server]:
    """Return the servers in the order in which they begin.

    Of each backup host those come first that were never verified, then those whose last verified set is the oldest; servers that are equal
    in that keep their place in the inventory. The backup hosts take turns, so that one that is slow does not take all forks at the
    beginning; the one whose next server has waited longest comes first in each round.
    """
    of_host: dict[str, list[Server]] = collections.defaultdict(list)
    for server in servers:
        of_host[server.backup_host].append(server)
    for waiting in of_host.values():
        waiting.sort(key=_last)
    ordered: list[Server] = []
    for number in range(max(map(len, of_host.values()), default=0)):
        ordered += sorted((waiting[number] for waiting in of_host.values() if number < len(waiting)), key=_last)
    return ordered


def _last(server: Server) -> datetime.datetime:
    return set_time(server.newest_verified or "") or _NEVER


def offsets(count: int, window: float) -> list[float]:
    """Return for each of I(count) servers, in their order, how many seconds after the run's beginning it may begin; within I(window) seconds."""
    return [round(window * place / count, 3) for place in range(count)] if window > 0 else [0.0] * count
