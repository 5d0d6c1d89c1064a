# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollback: a safety copy takes the place of what is there, which becomes a safety copy itself.

The order makes it safe to be killed anywhere and run again:

1. prove the copy, and that the server takes it; nothing is changed;
2. dump the databases that will be replaced or dropped into a new safety copy, and put the restore's records into it;
3. set the Seafile directory aside, into the new copy;
4. rename the copy's directory into the place;
5. import the copy's dumps, and drop the databases that were not there when it was made (they are in the new copy);
6. compare the checksums of all tables with those the copy was made with, and note the end.

The journal (:data:`safety_copies.JOURNAL`) is written before the first change; the records of both copies say how far it went.
"""

from __future__ import annotations

import datetime
import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import deployment, mysql_client, mysql_dialect, mysql_import_run
from ansible_collections.seafleet.seafile.plugins.module_utils import mysql_schema, restore_state, safety_copies
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import sync_directory
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client, Login, identifier
from ansible_collections.seafleet.seafile.plugins.module_utils.places import KEPT

IMPORTS = "import.json"
RESTORE_RECORDS = (restore_state.RECORD, "mysql.json", "sqlite.json")
"""What a restore remembers in the state directory. Beside another state it would lead astray: an interrupted restore would be
continued over what the rollback brought."""


def require_stopped(root: str) -> None:
    """Raise C(seafile-running) while a program of Seafile works with the directory I(root)."""
    processes = deployment.running([root])
    if processes:
        raise SeafileError("seafile-running", root, f"{processes[0]['program']} is running (pid {processes[0]['pid']})",
                           "stop Seafile, or set rollback_service_units or rollback_service_scripts so that the rollback does")


class Rollback:
    """One rollback. Everything that can refuse is in the constructor, everything that changes is in :meth:`run`."""

    def __init__(self, state_dir: str, root: str, moment: t.Optional[str], login: Login, now: datetime.datetime, running: bool = False) -> None:
        self.state_dir = state_dir
        self.root = root
        self.now = now
        self.copy, self.already = safety_copies.choose(state_dir, root, moment)
        if self.already:
            return
        self.journal = safety_copies.read_journal(state_dir)
        self.continued = self.journal.get("state") == "running" and self.journal.get("root") == root
        if not self.continued:
            self.journal = {"state": "running", "copy": self.copy["moment"], "made": safety_copies.new_moment(state_dir, root, now), "root": root,
                            "began": as_text(now)}
        self.made = safety_copies.read(state_dir, self.journal["made"])
        self.to_dump: list[str] = []
        self._require_whole()
        self.client: t.Optional[Client] = None
        self.work: t.Optional[mysql_import_run.Import] = None
        self.names = [dump["name"] for dump in self.copy["dumps"]] + list(self.copy["absent"])
        if self.names:
            self._look_at_databases(login)
        if not self.made or self.made["state"] == "dumping":
            self._plan(running)

    def _require_whole(self) -> None:
        """The import proves the dumps; here is the rest."""
        wrong = safety_copies.defects(self.state_dir, self.copy, False)
        if self.made and self.made["state"] == "complete":
            # its directory is in its place already, or about to be
            wrong = [words for words in wrong if words != f"the directory {self.copy['directory']} is not there"]
        if wrong:
            raise SeafileError("safety-copy-damaged", safety_copies.place(self.state_dir, self.copy["moment"]), "; ".join(wrong))

    def _look_at_databases(self, login: Login) -> None:
        """Prove the dumps and that the account may do what is needed. Nothing is changed."""
        client = self.client = Client(login)
        dumps = safety_copies.dump_files(self.state_dir, self.copy)
        server = safety_copies.server_identity(client)
        if self.copy.get("server") not in (None, server):
            raise SeafileError("rollback-elsewhere", f"safety copy {self.copy['moment']}",
                               f"its databases were dumped on the server with the data in {self.copy['server']}; the one at {client.login.place} has {server}")
        if dumps:
            record = mysql_import_run.Record(os.path.join(safety_copies.place(self.state_dir, self.journal["made"]), IMPORTS))
            # its definitions come from this very server: they come back as they were
            self.work = mysql_import_run.Import(client, dumps, [], True, record, mysql_dialect.Choices(definers="keep", accept_newer=True))

    def _plan(self, running: bool) -> None:
        self.made = safety_copies.plan(self.state_dir, self.root, self.journal["made"], "rollback", running, rollback_to=self.copy["moment"])
        # though nothing should be there now: the rollback can be undone, and its copy says so
        self.made["empty"] = False
        self.to_dump = safety_copies.add_databases(self.made, self.client, self.names) if self.client else []

    def preview(self) -> dict[str, t.Any]:
        """Return the result a run would have, changing nothing."""
        result = self._result()
        if not self.already:
            result["changed"] = True
        return result

    def _result(self) -> dict[str, t.Any]:
        copy = self.copy
        result: dict[str, t.Any] = {
            "changed": False, "already": self.already, "moment": copy["moment"], "kept_as": None, "kept_directory": None, "directory": None,
            "databases": [dump["name"] for dump in copy["dumps"]], "dropped": [], "programs": copy["programs"], "owner": copy.get("owner"),
            "set_id": copy.get("set_id"), "was_running": bool(copy.get("running")), "notes": [],
        }
        if self.already:
            result["kept_as"] = (copy.get("brought_back") or {}).get("kept_as")
            return result
        kept = {dump["name"] for dump in self.made["dumps"]} | set(self.to_dump)
        result.update(kept_as=self.made["moment"], kept_directory=self.made["directory"], directory=self.root if copy["directory"] else None,
                      dropped=[name for name in copy["absent"] if name in kept])
        return result

    def run(self) -> dict[str, t.Any]:
        """Bring the copy back, or go on where an interrupted run stopped. Returns the module's result."""
        if self.already:
            return self._result()
        require_stopped(self.root)
        with safety_copies.alone(self.state_dir) as held:
            self._require_still_there(held)
            return self._bring_back()

    def _require_still_there(self, held: bool) -> None:
        """The copy was chosen without the lock, for it is proven then, which takes long."""
        copy = safety_copies.read(self.state_dir, self.copy["moment"])
        if not held:
            raise SeafileError("rollback-unfinished", self.root, "another rollback, or the removal of old safety copies, is at work here",
                               "wait for its end, then run the rollback again")
        if not copy or copy.get("removing") or (copy.get("brought_back") and not self.continued):
            cause = "it was removed or brought back while this rollback looked at it"
            raise SeafileError("safety-copy-damaged", safety_copies.place(self.state_dir, self.copy["moment"]), cause)

    def _bring_back(self) -> dict[str, t.Any]:
        safety_copies.write_journal(self.state_dir, self.journal)
        if self.made["state"] == "dumping":
            safety_copies.make(self.state_dir, self.made, self.client, self.to_dump)
        if self.made["state"] == "dumped":
            self._hand_over_records()
            self._set_aside()
        self._put_back()
        notes = self._bring_databases()
        self._take_over_records()
        self._end()
        return dict(self._result(), changed=True, notes=notes)

    def _hand_over_records(self) -> None:
        """Put what the restore remembers of the present state into the new copy, which holds that state."""
        directory = safety_copies.place(self.state_dir, self.made["moment"])
        for name in RESTORE_RECORDS:
            source = os.path.join(self.state_dir, name)
            if os.path.lexists(source):
                os.replace(source, os.path.join(directory, name))
        sync_directory(directory)
        sync_directory(self.state_dir)

    def _take_over_records(self) -> None:
        """With a state that a rollback had set aside comes back what the restore remembered of it."""
        directory = safety_copies.place(self.state_dir, self.copy["moment"])
        for name in RESTORE_RECORDS:
            source = os.path.join(directory, name)
            if os.path.lexists(source):
                os.replace(source, os.path.join(self.state_dir, name))
        sync_directory(self.state_dir)

    def _set_aside(self) -> None:
        """Move what is in the place into the new copy, also when a killed run has begun to."""
        planned, inside = self.made["directory"], self.made["directory_inside"]
        if planned and planned != inside and os.path.lexists(planned):
            aside: t.Optional[str] = planned
        else:
            aside = restore_state.set_aside(self.root, self.made["moment"])
            if aside is None and inside and os.path.lexists(inside):
                aside = inside
        safety_copies.complete(self.state_dir, self.made, aside)

    def _put_back(self) -> None:
        """Rename the copy's directory into its place."""
        real = os.path.realpath(self.root)
        source = safety_copies.locate(self.copy)
        if source is None:
            # it is back already; or there was an empty directory, or none, beside databases
            if not self.copy["directory"] and not os.path.lexists(real):
                os.makedirs(real, mode=0o755)
                _give_attributes(real, self.copy.get("attributes"))
        elif os.path.dirname(source) != real and not os.path.ismount(real) and not (os.path.isdir(real) and os.listdir(real)):
            if os.path.basename(source).startswith(KEPT):
                self._note_attributes()
            if os.path.isdir(real):
                os.rmdir(real)
            os.rename(source, real)
            sync_directory(os.path.dirname(real))
            if os.path.dirname(source) != os.path.dirname(real):
                sync_directory(os.path.dirname(source))
        else:
            # a mount point, or a directory with other safety copies inside, keeps its place
            self._note_attributes()
            os.makedirs(real, mode=0o755, exist_ok=True)
            for name in sorted(os.listdir(source)):
                os.rename(os.path.join(source, name), os.path.join(real, name))
            os.rmdir(source)
            sync_directory(real)
        if self.journal.get("attributes"):
            _give_attributes(real, self.copy.get("attributes"))

    def _note_attributes(self) -> None:
        """The directory itself is another one than was set aside: also after a kill it gets the owner, mode and time that it had."""
        self.journal["attributes"] = True
        safety_copies.write_journal(self.state_dir, self.journal)

    def _bring_databases(self) -> list[str]:
        client, copy = self.client, self.copy
        if client is None:
            return []
        notes = []
        if self.work is not None:
            self.work.run()
        kept = {dump["name"] for dump in self.made["dumps"]}
        for name in mysql_schema.describe(client, copy["absent"]):
            if name not in kept:
                # made while the rollback was interrupted: no safety copy has it
                notes.append(f"database {name} was not there when the safety copy was made; it appeared during the rollback and was left alone")
                continue
            client.query(f"DROP DATABASE IF EXISTS {identifier(name)}", what=f"database {name}")
        if copy.get("server_version") != client.value("VERSION()"):
            return notes + ["the database server is of another version than when the safety copy was made, so the checksums of tables were not compared"]
        wrong = _differences(client, copy["dumps"])
        if wrong:
            raise SeafileError("rollback-differs", f"safety copy {copy['moment']}", f"the tables {', '.join(wrong)} are not as they were when it was made")
        return notes

    def _end(self) -> None:
        at = as_text(self.now)
        self.copy["brought_back"] = {"at": at, "kept_as": self.made["moment"]}
        safety_copies.write(self.state_dir, self.copy)
        self.journal.update(state="done", ended=at)
        safety_copies.write_journal(self.state_dir, self.journal)


def _give_attributes(path: str, attributes: t.Optional[t.Mapping[str, int]]) -> None:
    """Give the directory I(path) the owner, mode and time it had, where they are known."""
    if not attributes:
        return
    if os.geteuid() == 0:
        os.chown(path, attributes["uid"], attributes["gid"])
    os.chmod(path, attributes["mode"])
    os.utime(path, ns=(attributes["mtime_ns"], attributes["mtime_ns"]))


def _differences(client: mysql_client.Client, dumps: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """Return the tables that are not as I(dumps) recorded them, C(database.table)."""
    wrong = []
    there = mysql_schema.describe(client, [dump["name"] for dump in dumps])
    for dump in dumps:
        name, expected = dump["name"], dump.get("fingerprint") or {}
        found = mysql_schema.fingerprint(client, name)
        wrong += [f"{name}.{table}" for table in sorted(set(expected) | set(found)) if expected.get(table) != found.get(table)]
        if name not in there or there[name].signature != dump.get("signature"):
            wrong.append(f"{name} (definitions)")
    return wrong
