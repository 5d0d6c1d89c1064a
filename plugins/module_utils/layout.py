# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything lies on the backup host. The only file that knows a path of the backup.

C(<backup_root>/<server>/objects/{commits,fs,blocks}/<store id>/<2>/<38>), C(sets/<set id>/...),
C(sets/<set id>.verification.{json,txt}), C(sets/<set id>.keep), C(quarantine/), C(drills/), C(state/), C(RESTORE.md); see the guide
C(docs/sets.md). For all servers C(<backup_root>/.seafleet/{streams,servers,runs}).
"""

from __future__ import annotations

import datetime
import hashlib
import os
import re
import urllib.parse

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

SET_ID_FORMAT = "%Y%m%dT%H%M%SZ"
_SET_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z")
OBJECT_KINDS = ("commits", "fs", "blocks")
HEADS = "heads.json"
"""In a staging directory, what the garbage collection guard keeps of the dump; the server's own."""
ATTRIBUTES = "attributes.json"
"""In a staging directory and in a set, owners and modes of all files."""
CHANGES = "objects.list"
"""In a staging directory, the list of what is new since the known set."""
_LONGEST_NAME = 200
"""Bytes of an encoded name; suffixes come to it, and file systems end at 255."""


def encode_name(name: str) -> str:
    """Return a file name for I(name) (a database name, or the relative path of a SQLite file).

    ASCII letters, digits, C(_), C(-) and C(.) stay; everything else, and a leading dot or dash, is percent-encoded
    as UTF-8, so that two names never meet in one file and none is taken for an option or a path. Of a name that would be
    too long for a file system the end is replaced by its SHA-256 behind C(%-), which no other name can hold.
    """
    quoted = urllib.parse.quote(name, safe="", errors="surrogateescape").replace("~", "%7E")
    if quoted[:1] in (".", "-"):
        quoted = f"%{ord(quoted[0]):02X}{quoted[1:]}"
    if len(quoted) > _LONGEST_NAME:
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()
        quoted = f"{quoted[:_LONGEST_NAME - len(digest) - 2]}%-{digest}"
    return quoted


def new_set_id(now: datetime.datetime) -> str:
    """Return the set id of the moment I(now) (an aware datetime), in UTC to the second."""
    return now.astimezone(datetime.timezone.utc).strftime(SET_ID_FORMAT)


def set_time(set_id: str) -> datetime.datetime | None:
    """Return the moment that I(set_id) names, or None when it is no set id."""
    if not _SET_ID.fullmatch(set_id):
        return None
    try:
        return datetime.datetime.strptime(set_id, SET_ID_FORMAT).replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        return None


def require_set_id(set_id: str) -> datetime.datetime:
    """Return the moment that I(set_id) names.

    :raises SeafileError: C(set-id-invalid).
    """
    moment = set_time(set_id)
    if moment is None:
        raise SeafileError("set-id-invalid", set_id, "a set id is a UTC time of the form YYYYMMDDTHHMMSSZ")
    return moment


def runs(backup_root: str) -> str:
    """The directory of the results of runs on the backup host with this I(backup_root), one file a run for all its servers, named after the run."""
    return os.path.join(backup_root, ".seafleet", "runs")


def require_backup_root(backup_root: str) -> None:
    """Refuse what cannot be the directory of all backups: C(backup-root) for a path that is relative or the root of the file system."""
    if not os.path.isabs(backup_root) or os.path.realpath(backup_root) == "/" or not backup_root.isprintable():
        raise SeafileError("backup-root", backup_root, "it is not the absolute path of a directory of its own")


class ServerLayout:
    """The paths of one server's backup below I(backup_root).

    :raises SeafileError: C(server-name) for a name that is no plain directory name, C(backup-root) for a root that is
        relative or the root of the file system.
    """

    def __init__(self, backup_root: str, server: str) -> None:
        if not server or "/" in server or server.startswith(".") or not server.isprintable():
            raise SeafileError("server-name", server or "the server's name", "it cannot be the name of a directory")
        require_backup_root(backup_root)
        self.root = os.path.join(backup_root, server)
        self.objects = os.path.join(self.root, "objects")
        self.sets = os.path.join(self.root, "sets")
        self.state = os.path.join(self.root, "state")
        self.guide = os.path.join(self.root, "RESTORE.md")
        self.marker = os.path.join(self.root, "backup.json")
        """Says whose backup this directory is; see backup_marker.py."""
        self.quarantine = os.path.join(self.root, "quarantine")
        """Files that were damaged in objects/ and replaced by good ones; kept for a person to look at."""
        self.drills = os.path.join(self.root, "drills")
        """The reports of restore drills."""
        self.proved = os.path.join(self.state, "proved")
        """The index of the objects whose content was read and found right."""
        self.proved_lock = os.path.join(self.state, "verify.lock")
        """Held by the one verification that writes the index and heals."""
        self.heal = os.path.join(self.state, "heal")
        """Where fetched objects lie until they are proved good."""
        self.source = os.path.join(self.state, "source.json")
        """Where the objects were last pulled from; no secret stands in it."""
        self.progress = os.path.join(self.state, "progress.json")
        """How far the long work of this moment is."""
        self.lists = os.path.join(self.state, "pull")
        """The list of new objects, cut for the processes that pull them."""
        self.partial_objects = os.path.join(self.state, "partial")
        """Objects that a lost connection cut, from which the next run goes on."""
        self.overwritten = os.path.join(self.state, "overwritten")
        """Where rsync moves an object that the server overwrites unasked, until it is put back."""
        self.unclean = os.path.join(self.state, "unclean")
        """There while half files may lie among the objects, for it was begun to bring very many at once."""
        self.restores = os.path.join(self.state, "restore")
        """What is written for restores, a directory a set (and library)."""
        self.names = {os.path.basename(path) for path in (
            self.objects, self.sets, self.state, self.guide, self.marker, self.quarantine, self.drills)}
        """The names of all that this collection writes into the server's directory."""
        self.slots = os.path.join(backup_root, ".seafleet", "streams")
        """One lock for each process that may pull into this backup host at once, for all servers."""
        self.server_slots = os.path.join(backup_root, ".seafleet", "servers")
        """One lock for each server that may be pulled or verified at once."""

    def sealed(self, set_id: str) -> str:
        """The directory of the sealed set I(set_id)."""
        return os.path.join(self.sets, set_id)

    def partial(self, set_id: str) -> str:
        """The directory of the set I(set_id) while it is being written."""
        return os.path.join(self.sets, f".{set_id}.partial")

    def verification(self, set_id: str) -> str:
        """The record of the newest verification of the sealed set I(set_id) after its backup run."""
        return os.path.join(self.sets, f"{set_id}.verification.json")

    def verification_page(self, set_id: str) -> str:
        """The same for people."""
        return os.path.join(self.sets, f"{set_id}.verification.txt")

    def keep(self, set_id: str) -> str:
        """The file that a user puts beside the set I(set_id) to have it kept for ever; its first line may say why."""
        return os.path.join(self.sets, f"{set_id}.keep")

    def removed(self, set_id: str, sealed: bool = True) -> str:
        """The name of a set while it is being removed; nobody takes it for a set."""
        return os.path.join(self.sets, f".{set_id}.removed" if sealed else f".{set_id}.partial.removed")

    def changes(self, set_id: str) -> str:
        """The server's list of what is new, as it arrives with the dumps of the set I(set_id)."""
        return os.path.join(self.partial(set_id), CHANGES)

    def object_list(self, set_id: str) -> str:
        """The list of the objects that the set I(set_id) can reach, made for a restore; alone in its directory."""
        return os.path.join(self.restores, set_id, "objects.list")
