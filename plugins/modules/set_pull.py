#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: set_pull
short_description: Pull dumps, files and objects of one backup set
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Pulls what belongs to a set, in the order of the manual. The dumps first, which were made before, then configuration and files,
    then the objects.
  - Never deletes and never overwrites. An object that is in the backup is not touched, a file of an earlier set is linked
    when it is unchanged, and nothing empty is stored under an object's name.
  - Objects come over several C(rsync) processes at once, each over one ssh connection that it keeps. The work is divided by the
    ids of the objects, so that one large library is spread as evenly as a thousand small ones.
  - Runs on the backup host and belongs to a run that M(seafleet.seafile.backup_set) began. Cut at any moment, the next run goes on
    with what has arrived, within a large object too.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.server_backup, seafleet.seafile.ssh_source]
attributes:
  check_mode:
    support: full
    details: Runs rsync with C(--dry-run) for files and objects and says what would come. No dump was made that could be fetched,
      and no list of what is new, so all objects are compared.
  diff_mode:
    support: partial
    details: The first 100 changes as rsync itemizes them.
  platform:
    support: full
    platforms: posix
options:
  set_id:
    description: The set of this run.
    type: str
    required: true
  src_dumps:
    description: The staging directory of the set as the server's rsync sees it, an absolute path. Below C(rrsync) that is the path
      inside its directory. Required without O(warm_up).
    type: str
  src_files:
    description: The haiwen directory, in the same way. Required without O(warm_up).
    type: str
  src_objects:
    description: The directory that holds C(commits), C(fs) and C(blocks), in the same way.
    type: str
    required: true
  excludes:
    description: Patterns in rsync's own form that are left out of the files.
    type: list
    elements: str
    default: []
  checksums:
    description: SHA-256 of the dumps, by path relative to O(src_dumps). Every one is compared after the pull.
    type: dict
    default: {}
  objects:
    description:
      - V(everything) compares all objects of the server with the backup. V(listed) pulls what C(objects.list) in O(src_dumps)
        names, which M(seafleet.seafile.server_dump) made of what is new since a verified set.
      - A list that holds anything but objects is not used. Everything is compared then, and a note says so.
    type: str
    choices: [everything, listed]
    default: everything
  warm_up:
    description:
      - Pull the objects only, before there is a dump. Nothing counts as done by it, and the pull after the dump finds little left to
        do. For a first run, whose dump would otherwise be as old as the pull takes.
    type: bool
    default: false
  streams:
    description:
      - How many C(rsync) processes pull objects at once, at most 16.
    type: int
    default: 4
  host_servers:
    description:
      - How many servers may be pulled or verified at once on this backup host, of those below O(backup_root). Others wait. V(0) for no cap.
      - There is no cap for an account that may not write to C(.seafleet) in O(backup_root).
    type: int
    default: 0
    version_added: "0.2.0"
  host_streams:
    description:
      - How many of them may run at once on this backup host, over all servers below O(backup_root). Others wait. V(0) for no cap.
      - There is no cap for an account that may not write to C(.seafleet) in O(backup_root).
    type: int
    default: 8
  bandwidth_limit:
    description: Limit in KiB a second, for all streams of this server together; V(0) for none.
    type: int
    default: 0
  compress:
    description: Compress what goes over the net. It costs more than it saves in a local network.
    type: bool
    default: false
  nice:
    description: How much C(rsync) on this host gives way to other programs for the CPU, 0 to 19.
    type: int
    default: 0
  io_class:
    description: The class in which C(rsync) on this host waits for the disk, if its scheduler knows classes. V(idle) gets the disk when
      nobody else wants it.
    type: str
    choices: [normal, best-effort, idle]
    default: normal
  timeout:
    description: Seconds without any byte after which the connection counts as lost.
    type: int
    default: 300
  retries:
    description: How often a lost connection is tried again, after 2, 4, 8 ... seconds. What has arrived is kept.
    type: int
    default: 3
"""

EXAMPLES = r"""
- name: Pull what the server has dumped, its files, and what is new of its objects
  seafleet.seafile.set_pull:
    backup_root: /srv/seafile-backup
    server: files.example.org
    set_id: 20261123T030000Z
    src_dumps: /.seafleet/staging/20261123T030000Z
    src_files: /
    src_objects: /seafile-data/storage
    host: files.example.org
    user: seafile
    private_key: /etc/seafleet/files.example.org/id_ed25519
    known_hosts: /etc/seafleet/files.example.org/known_hosts
    host_key_alias: files.example.org
    objects: listed
    streams: 4
"""

RETURN = r"""
dumps:
  description: What came of the dumps, in the form of RV(objects).
  returned: without O(warm_up), not in check mode
  type: dict
  sample: {bytes_listed: 20480, bytes_transferred: 20480, listed: 4, transferred: 4}
files:
  description: What came of configuration and files, in the form of RV(objects).
  returned: without O(warm_up)
  type: dict
  sample: {bytes_listed: 61234, bytes_transferred: 512, listed: 113, transferred: 1}
objects:
  description: What came of the objects.
  returned: success
  type: dict
  contains:
    mode:
      description: V(everything) or V(listed).
      type: str
      returned: always
    listed:
      description: Objects that were compared. In mode V(listed) those that the list named, directories resolved.
      type: int
      returned: always
    bytes_listed:
      description: Their size in bytes.
      type: int
      returned: always
    transferred:
      description: Objects that came (in check mode, would come).
      type: int
      returned: always
    bytes_transferred:
      description: Their size in bytes.
      type: int
      returned: always
    streams:
      description: How many processes pulled at once; V(0) when the list was empty.
      type: int
      returned: always
  sample: {bytes_listed: 204800, bytes_transferred: 204800, listed: 12, mode: listed, streams: 1, transferred: 12}
seconds:
  description: How long each part took.
  returned: success
  type: dict
  sample: {dumps: 0.4, files: 0.3, objects: 0.5}
empty_objects:
  description: Objects of zero length at the source. They are damaged there and were not stored.
  returned: success
  type: list
  elements: str
  sample: []
vanished:
  description: Files that the server removed while they were being read.
  returned: success
  type: list
  elements: str
  sample: []
notes:
  description: What a person should know, one sentence each.
  returned: success
  type: list
  elements: str
  sample: []
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: host-key-unknown
"""

import contextlib
import os
import re
import shutil
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import object_parts, pull_stage, rsync, slots, streams
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import CHANGES, HEADS, ServerLayout, require_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.progress import NAME as PROGRESS, Progress
from ansible_collections.seafleet.seafile.plugins.module_utils.run_record import joined
from ansible_collections.seafleet.seafile.plugins.module_utils.ssh_connection import Connections

# what rsync keeps of an object that was cut; while it writes, an ending comes to the name
_PARTIAL_OBJECT = re.compile(r"[0-9a-f]{38}")
_IO_CLASSES = {"best-effort": "2", "idle": "3"}
# what lies in the staging directory and is the server's own
_NOT_PULLED = [f"/{HEADS}", f"/{PROGRESS}", "/.*.partial"]


class Puller:
    """The pulls of one task."""

    def __init__(self, module, layout):
        self.module = module
        self.params = module.params
        self.layout = layout
        self.set_id = module.params["set_id"]
        self.notes = []
        self.binary, version = pull_stage.program(module)
        self.remote = rsync.reach(self.params, version)
        self.lead = self._lead()
        self.reports = {}
        self.seconds = {}
        self.created = False

    def _lead(self):
        lead = []
        if self.params["nice"]:
            lead += ["nice", "-n", str(self.params["nice"])]
        if self.params["io_class"] in _IO_CLASSES:
            if self.module.get_bin_path("ionice"):
                lead += ["ionice", "-c", _IO_CLASSES[self.params["io_class"]]]
            else:
                self.notes.append("the program ionice is not on the backup host, so the disk is used as by any program")
        return lead

    def base(self, content, src):
        """What every rsync of one content has in common."""
        dest, link_dest = pull_stage.destination(self.layout, self.set_id, content)
        params = self.params
        return rsync.Pull(
            content=content, src=rsync.require_place(src, f"src_{content}"), dest=rsync.require_place(dest, "backup_root"), remote=self.remote,
            excludes={"files": params["excludes"], "dumps": _NOT_PULLED}.get(content, []), link_dest=link_dest,
            bandwidth_limit=params["bandwidth_limit"], timeout=params["timeout"], compress=params["compress"] and content != "dumps",
            dry_run=self.module.check_mode, lead=self.lead)

    @contextlib.contextmanager
    def timed(self, content):
        """Measure one part."""
        began = time.monotonic()
        yield
        self.seconds[content] = round(time.monotonic() - began, 3)

    def directory(self, path):
        """Make the directory that receives."""
        if not self.module.check_mode:
            self.created = make_private_directory(path) or self.created

    def single(self, content, connections, run):
        """Pull dumps or files by one process."""
        src = self.params[f"src_{content}"]
        pull = self.base(content, src)
        pull.control_path = connections.path(0)
        checksums = self.params["checksums"] if content == "dumps" else {}
        if run:
            run.require_before(content)
        began = utc_now()
        self.directory(pull.dest)
        with self.timed(content):
            report = pull_stage.fetch(self.binary, pull, rsync.source_name(self.params["host"], src), self.params["retries"], run.held if run else ())
            if run:
                pull_stage.check_sums(pull.dest, checksums)
                if content == "dumps":
                    pull_stage.check_dumps(pull.dest, checksums, rsync.source_name(self.params["host"], src))
                pull_stage.finish(run, self.layout, content, began, report, checksums)
        self.reports[content] = report

    def objects(self, connections, run):
        """Pull the objects by several; return (mode, streams)."""
        params = self.params
        src = params["src_objects"]
        source = rsync.source_name(params["host"], src)
        pull = self.base("objects", src)
        if run and not params["warm_up"]:
            run.require_before("objects")
        began = utc_now()
        self.directory(pull.dest)
        if run:
            pull.partial_dir = self.partial_directory(pull.dest)
        with self.timed("objects"):
            mode, parts = self.parts()
            if run:
                self.prepare_place(pull, mode)
            plan = streams.Plan(
                self.binary, pull, source, parts, params["streams"], params["retries"], connections,
                self.layout.slots if run else None, params["host_streams"], run.held if run else ())
            total = sum(part.entries for part in parts) if mode == "listed" else None
            progress = Progress(self.layout.progress if run else None, "pull objects", total=total)
            try:
                with pull_stage.believing_nothing(self.layout, pull, source) if run else contextlib.nullcontext():
                    report = streams.pull(plan, progress)
            finally:
                progress.close()
                shutil.rmtree(self.layout.lists, ignore_errors=True)
            pull_stage.refuse_links(report, source)
            if run:
                pull_stage.leftovers_are_gone(self.layout)
            if run and not params["warm_up"]:
                pull_stage.finish(run, self.layout, "objects", began, report, {}, mode=mode)
                pull_stage.note_source(self.layout, params, src)
                self.forget_list()
        self.reports["objects"] = report
        return mode, min(params["streams"], len(parts))

    def prepare_place(self, pull, mode):
        """Choose where objects lie until they are whole.

        A few go through a directory of their own, in which nothing can be left among the others. For very many that is too dear: measured, a
        file that is moved from one directory to another makes a first pull take 1.4 times as long. There the few files that killed
        processes leave are looked for by the next run.
        """
        removed = pull_stage.remove_leftovers(self.layout)
        if removed:
            self.notes.append(f"{removed} half files of an earlier run that was killed were removed")
        if mode == "listed":
            pull.temp_dir = pull.partial_dir
        else:
            pull_stage.leftovers_may_come(self.layout)

    def partial_directory(self, dest):
        """Where objects lie until they are whole; None where that is another file system."""
        directory = self.layout.partial_objects
        make_private_directory(directory)
        # this run holds the lock that every rsync of an earlier one held: these are of processes that were killed
        for name in os.listdir(directory):
            if not _PARTIAL_OBJECT.fullmatch(name):
                os.unlink(os.path.join(directory, name))
        return directory if os.stat(directory).st_dev == os.stat(dest).st_dev else None

    def parts(self):
        """Return (mode, parts) of what is to come."""
        params = self.params
        if params["objects"] == "listed" and not params["warm_up"] and not self.module.check_mode:
            path = self.layout.changes(self.set_id)
            shutil.rmtree(self.layout.lists, ignore_errors=True)
            make_private_directory(self.layout.lists)
            try:
                parts = object_parts.of_list(path, self.layout.lists, params["streams"])
                if parts is not None:
                    return "listed", parts
            except FileNotFoundError:
                self.notes.append(f"there is no {CHANGES} among the dumps, so all objects were compared")
            except SeafileError as error:
                self.notes.append(f"all objects were compared: {error.what}: {error.cause}")
        return "everything", object_parts.of_everything(params["streams"])

    def forget_list(self):
        """The list is no part of the set."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.layout.changes(self.set_id))


def pull(module):
    """Pull what belongs to the set; return the module's result."""
    params = module.params
    if params["bandwidth_limit"] < 0 or not 1 <= params["streams"] <= object_parts.MOST_STREAMS or not 0 <= params["nice"] <= 19:
        module.fail_json(msg=f"streams is 1 to {object_parts.MOST_STREAMS}, nice 0 to 19, and bandwidth_limit not negative")
    layout = ServerLayout(params["backup_root"], params["server"])
    require_set_id(params["set_id"])
    puller = Puller(module, layout)
    with contextlib.ExitStack() as stack:
        run = None if module.check_mode else stack.enter_context(joined(layout, params["set_id"]))
        if run:
            stack.enter_context(slots.place(layout.server_slots, params["host_servers"], layout.progress))
        connections = stack.enter_context(Connections(puller.remote, run.record.pop("connection", None) if run else None))
        if not params["warm_up"]:
            if run:
                puller.single("dumps", connections, run)
            puller.single("files", connections, run)
        mode, used = puller.objects(connections, run)
    reports = list(puller.reports.values())
    told = [sentence for report in reports for sentence in pull_stage.sentences(report)]
    result = {content: pull_stage.counts(report) for content, report in puller.reports.items()}
    result["objects"].update(mode=mode, streams=used)
    result.update(
        changed=puller.created or any(report.itemized for report in reports), seconds=puller.seconds, notes=told + puller.notes,
        empty_objects=puller.reports["objects"].empty_objects[:100], vanished=[path for report in reports for path in report.vanished][:100])
    if module._diff:
        result["diff"] = {"prepared": "".join(f"{line}\n" for report in reports for line in report.changes)}
    return result


def main():
    module = AnsibleModule(
        argument_spec={
            "backup_root": {"type": "path", "required": True},
            "server": {"type": "str", "required": True},
            "set_id": {"type": "str", "required": True},
            "src_dumps": {"type": "str"},
            "src_files": {"type": "str"},
            "src_objects": {"type": "str", "required": True},
            **rsync.REMOTE_ARGUMENTS,
            "excludes": {"type": "list", "elements": "str", "default": []},
            "checksums": {"type": "dict", "default": {}},
            "objects": {"type": "str", "choices": ["everything", "listed"], "default": "everything"},
            "warm_up": {"type": "bool", "default": False},
            "streams": {"type": "int", "default": 4},
            "host_servers": {"type": "int", "default": 0},
            "host_streams": {"type": "int", "default": 8},
            "bandwidth_limit": {"type": "int", "default": 0},
            "compress": {"type": "bool", "default": False},
            "nice": {"type": "int", "default": 0},
            "io_class": {"type": "str", "choices": ["normal", "best-effort", "idle"], "default": "normal"},
            "timeout": {"type": "int", "default": 300},
            "retries": {"type": "int", "default": 3},
        },
        required_if=[("warm_up", False, ["src_dumps", "src_files"])],
        supports_check_mode=True,
    )
    run_module(module, pull, awaited=True)


if __name__ == "__main__":
    main()
