#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: set_verify
short_description: Prove that backup sets can be restored, and heal what is damaged in the backup
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Walks from every library's head in a set's dump to every commit, directory, file and block in the backup, without Seafile
    and without a database server. The set is V(verified) when all of them are there and right, else V(damaged).
  - An object that is damaged or missing in the backup is fetched again from where the objects were last pulled, checked, and only
    then put in place. The damaged file is kept in the backup's C(quarantine/). A copy that is not right replaces nothing.
  - Says of each object that stays damaged where it is so, see RV(sets). What is damaged on the server itself no backup can have; it
    is told and does not make the set V(damaged).
  - The record of the verification goes beside the sealed set, C(sets/SET_ID.verification.json), with a page for people,
    C(sets/SET_ID.verification.txt). The set itself is never rewritten. With O(run) the record goes into the run, and from there
    into the manifest.
  - An object that was proved before and cannot be healed may be needed by other sets too. They are looked at, and their records
    renewed where they are hit. When something was healed, sets that were V(damaged) by it are verified again.
  - Runs on the backup host. Of two verifications of one server at a time the second one heals nothing, and says so.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.server_backup]
attributes:
  check_mode:
    support: partial
    details: The walk is done; nothing is fetched, healed or written. Says changed when the verdict differs from the one that stands; what
      healing would change is not known without fetching.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  set_id:
    description: The set. By default the newest sealed one, with O(run) that of the run at work.
    type: str
  all:
    description: Verify every sealed set, the newest first. With O(level=full) each object is still read only once.
    type: bool
    default: false
  run:
    description:
      - Makes the verification a stage of the backup run of O(set_id), after its objects have arrived and before it is sealed.
      - The run must hold the server's lock.
    type: bool
    default: false
  level:
    description:
      - V(new) reads what was never proved, skips what is proved whole, and still notices objects that are gone.
      - V(quick) walks everything, looks that every object is there, and hashes what was never proved.
      - V(full) reads and hashes every object of the set.
      - With V(quick) and V(full) the files of a sealed set are compared with its C(SHA256SUMS) as well.
    type: str
    choices: [new, quick, full]
    default: quick
  scrub_percent:
    description: Of all objects proved before, how many percent are read and hashed again, the longest unread first. V(0) to V(100).
    type: float
    default: 0
  heal:
    description: Whether objects that are damaged or missing here are fetched again.
    type: bool
    default: true
  collected:
    description: Ids of libraries that a garbage collection has touched while the backup ran. They are read and hashed in full.
    type: list
    elements: str
    default: []
  moved:
    description:
      - Ids of libraries whose head has moved since the dump, or that are gone. What the server no longer has of these it may have
        collected in between, so that its absence makes the set V(damaged).
      - Without this option that is not known, and counts as if every library had moved. An empty list says that none has.
    type: list
    elements: str
  host_servers:
    description:
      - How many servers may be pulled or verified at once on this backup host, of those below O(backup_root). Others wait. V(0) for no cap.
    type: int
    default: 0
  gone:
    description: Ids of libraries that were deleted for good since the dump. That the server no longer has objects of theirs does not make
      the set V(damaged); what is missing is told as damaged on the server itself.
    type: list
    elements: str
    default: []
  processes:
    description: How many processes read; V(0) for one a CPU, at most 4.
    type: int
    default: 0
  timeout:
    description: Seconds without any byte after which the connection to the server counts as lost while healing.
    type: int
    default: 300
  fail_on_damage:
    description: Fail when a set is V(damaged). With V(false) it is only returned.
    type: bool
    default: true
  damage_limit:
    description:
      - With O(run), how many percent of the objects that came new in the run may be damaged on the server itself. Beyond it the module fails with
        the code V(source-damaged), and the set is not sealed. V(100) takes whatever there is.
      - Fewer than ten, and those that the newest verified set's record knows already, do not count.
    type: float
    default: 100
  seal:
    description:
      - With O(run), seal the set afterwards, as M(seafleet.seafile.backup_set) does with O(seafleet.seafile.backup_set#module:manifest), which
        this is. A damaged set is sealed too, with its reasons.
      - In check mode nothing is verified then, for nothing was pulled.
    type: dict
"""

EXAMPLES = r"""
- name: Verify the newest set of a server
  seafleet.seafile.set_verify:
    backup_root: /srv/seafile-backup
    server: files.example.org

- name: Read and hash every object of every set, and only report
  seafleet.seafile.set_verify:
    backup_root: /srv/seafile-backup
    server: files.example.org
    all: true
    level: full
    fail_on_damage: false
  register: verified

- name: Show what was found
  ansible.builtin.debug:
    var: verified.report
"""

RETURN = r"""
sets:
  description:
    - The record of each set that was verified, by set id; those that turned out to be hit by the same damage, too.
    - C(state) is V(verified) or V(damaged). C(hashed), C(trusted), C(scrubbed) and C(legally_missing) say what was read, what was
      proved before, what was read again, and what Seafile itself may lack.
    - C(findings) are the first 100 damaged objects (the file has 1000), C(findings_total) is their number. C(where) of each is
      V(backup) (damaged or missing here; the server is well, or has lost it since), V(source) (damaged on the server itself) or
      V(unknown) (nobody could be asked).
    - C(healed) are the first 100 objects that were fetched again, C(healed_total) is their number. C(damaged_libraries) has
      C(id), C(name), C(findings) and C(where); C(reasons) are at most six sentences; C(wrong_files) what is wrong with the set's own files.
  returned: always
  type: dict
  sample:
    20261123T030000Z:
      format: 1
      state: damaged
      level: full
      began: "2026-11-23T09:00:00Z"
      ended: "2026-11-23T09:00:02Z"
      libraries: 13
      hashed: {commits: {files: 243, bytes: 128977}, fs: {files: 594, bytes: 321066}, blocks: {files: 235, bytes: 41726700}}
      trusted: {commits: 0, fs: 0, blocks: 0}
      scrubbed: {files: 0, bytes: 0}
      legally_missing: {commits: 0, fs: 0, blocks: 1}
      healed: []
      healed_total: 0
      wrong_files: []
      findings_total: 1
      findings:
        - kind: blocks
          store: b0d6c8d0-d232-4563-9899-d92e9741eb8b
          id: 04c6772aabd34a8ffa1baf06bbb76175a7da8e79
          library: b0d6c8d0-d232-4563-9899-d92e9741eb8b
          library_name: Alice documents
          path: /big/random-300k.bin
          damage: wrong-hash
          cause: its content does not have its id
          commit: 7b544f01bf806b96db42edb8908a6bc3a36b5486
          where: unknown
      damaged_libraries:
        - {id: b0d6c8d0-d232-4563-9899-d92e9741eb8b, name: Alice documents, findings: 1, where: unknown}
      reasons:
        - >-
          Alice documents (b0d6c8d0-d232-4563-9899-d92e9741eb8b): 1 object damaged in this backup; the server could not be asked, first
          /big/random-300k.bin: block 04c6772aabd34a8ffa1baf06bbb76175a7da8e79 wrong-hash (its content does not have its id).
      notes: []
state:
  description: V(damaged) when any set of RV(sets) is, else V(verified).
  returned: always
  type: str
  sample: damaged
set_id:
  description: The set.
  returned: with O(seal)
  type: str
  sample: 20261123T030000Z
set_state:
  description: The state of the set after this task.
  returned: with O(seal)
  type: str
  sample: sealed
path:
  description: The directory of the set.
  returned: with O(seal)
  type: str
  sample: /srv/seafile-backup/files.example.org/sets/20261123T030000Z
bytes:
  description: Size of dumps and files of the set, in bytes, hard links counted each time.
  returned: with O(seal)
  type: int
  sample: 61234
verification:
  description: The record of the set without its lists of objects.
  returned: with O(seal)
  type: dict
  sample: {state: verified, level: new, ended: "2026-11-23T03:04:05Z", findings_total: 0, damaged_libraries: [], reasons: []}
report:
  description: The pages for people, line by line.
  returned: always
  type: list
  elements: str
  sample:
    - "Set 20261123T030000Z of files.example.org: VERIFIED (quick, 2026-11-23T09:00:02Z)"
    - "  read and hashed 1073 objects (42.5 MB), 0 proved before and still there, in 13 libraries"
notes:
  description: What a person should know of the verification itself, such as a server that could not be asked.
  returned: always
  type: list
  elements: str
  sample: []
code:
  description: Stable code of the failure; V(set-incomplete) when a set is damaged.
  returned: failure
  type: str
  sample: set-incomplete
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import pull_stage, sealing, sets, slots, verification_record
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.heal import Healer, sole
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, require_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import LIBRARY_ID
from ansible_collections.seafleet.seafile.plugins.module_utils.run_record import VERIFY, Run, joined
from ansible_collections.seafleet.seafile.plugins.module_utils.set_verification import (
    Verifier,
    damage_in_what_came,
    partial_subject,
    sealed_subject,
)

FINDINGS_RETURNED = 100


def _libraries(ids, option):
    for library in ids:
        if not LIBRARY_ID.match(library):
            raise SeafileError("library-id-invalid", f"{option} {library!r}", "is not a library id (36 characters, lower case)")
    return frozenset(ids)


def choose(layout, set_id, every):
    """Return the ids of the sealed sets to verify, newest first.

    :raises SeafileError: C(no-set), C(set-id-invalid).
    """
    sealed = sets.sealed_ids(layout)[::-1]
    if set_id is not None:
        require_set_id(set_id)
        if set_id not in sealed:
            what = "the set is partial: its run has not ended well" if set_id in sets.partial_ids(layout) else "there is no such set"
            raise SeafileError("no-set", set_id, f"{what} (sealed sets: {', '.join(sealed[:5]) or 'none'})")
        return [set_id]
    if not sealed:
        raise SeafileError("no-set", layout.root, "there is no sealed set", "make a backup first")
    return sealed if every else sealed[:1]


def _newest_verified_record(layout):
    """The record of the newest verified set, or None."""
    for set_id in sets.sealed_ids(layout)[::-1]:
        with contextlib.suppress(SeafileError):
            record = verification_record.newest(layout, set_id, sets.read_manifest(layout.sealed(set_id)))[0]
            if record and record["state"] == verification_record.VERIFIED:
                return record
    return None


class _Work:
    """What one call of the module does and found."""

    def __init__(self, module, layout):
        self.module = module
        self.layout = layout
        self.server = module.params["server"]
        self.records = {}
        self.changed = False
        self.notes = []

    def place(self):
        """Return a context that holds one of the backup host's places for servers; check mode is not capped."""
        count = 0 if self.module.check_mode else self.module.params["host_servers"]
        return slots.place(self.layout.server_slots, count, self.layout.progress)

    def lock(self):
        """Return a context that tries to hold the lock of the index; check mode, which writes nothing, does not."""
        return contextlib.nullcontext() if self.module.check_mode else sole(self.layout)

    def verifier(self, lock, held=()):
        """Return the verifier. It heals and writes the index only with the lock.

        :arg lock: what :meth:`lock` gave, None without it.
        :arg held: descriptors of other locks that a healing rsync holds as well.
        """
        params = self.module.params
        verifier = Verifier(
            self.layout, params["level"], min(max(params["scrub_percent"], 0.0), 100.0), _libraries(params["collected"], "collected"),
            None if params["moved"] is None else _libraries(params["moved"], "moved"), _libraries(params["gone"], "gone"),
            params["processes"], write_index=lock is not None, progress=None if lock is None else self.layout.progress)
        if lock is None and not self.module.check_mode:
            self.notes.append(
                "another verification of this server is at work: nothing was healed, and nothing noted as proved; run this again when it has ended")
        elif lock is not None and params["heal"]:
            verifier.healer = Healer(self.layout, lambda: pull_stage.program(self.module), params["timeout"], (*held, lock))
        return verifier

    def add(self, set_id, record, earlier):
        """Take in the record of a set."""
        self.records[set_id] = record
        self.changed = self.changed or bool(record["healed_total"]) or verification_record.verdict(record) != verification_record.verdict(earlier)
        self.notes += [note for note in record["notes"] if note not in self.notes]

    def verify_sealed(self, verifier, set_id, **how):
        """Verify one sealed set and keep its record beside it."""
        earlier = None
        try:
            subject = sealed_subject(self.layout, set_id)
            earlier = subject.earlier
            record = verifier.verify(subject, **how)
        except SeafileError as error:
            if error.code == "no-set" and self.module.params["all"]:
                self.notes.append(f"the set {set_id} was removed meanwhile")
                return
            if error.code != "set-damaged":
                raise
            earlier = verification_record.read_beside(self.layout, set_id)[0]
            record = verifier.broken(error)
        self.add(set_id, record, earlier)
        if not self.module.check_mode:
            verification_record.write(self.layout, self.server, set_id, record)

    def other_sets(self, verifier):
        """Look at the sealed sets that were not asked for, where what was found or healed concerns them."""
        healed = {verification_record.key_of(row) for row in verifier.healer.healed} if verifier.healer else set()
        if not healed and not verifier.rotten:
            return
        for set_id in sets.sealed_ids(self.layout)[::-1]:
            if set_id in self.records:
                continue
            try:
                subject = sealed_subject(self.layout, set_id)
            except SeafileError:
                continue  # it is damaged already
            earlier = subject.earlier or {"findings": []}
            if healed and any(verification_record.key_of(finding) in healed for finding in earlier["findings"]):
                self.verify_sealed(verifier, set_id, level="quick", with_files=False)
                continue
            try:
                record = verifier.look_for_rot(subject) if verifier.rotten else None
            except SeafileError as error:
                self.notes.append(f"the set {set_id} could not be looked at: {error.message}")
                continue
            if record:
                self.add(set_id, record, subject.earlier)
                if not self.module.check_mode:
                    verification_record.write(self.layout, self.server, set_id, record)

    def verify_run(self, set_id):
        """Verify the partial set of the run at work, as a stage of it."""
        if self.module.check_mode:
            self._verify_partial(Run(self.layout), set_id)
            return
        with joined(self.layout, set_id) as run:
            run.require_before(VERIFY)
            began = utc_now()
            with self.place():
                self._verify_partial(run, set_id)
            self._require_source(run, set_id)
            run.finish(VERIFY, began, {"record": self.records[set_id]})

    def _require_source(self, run, set_id):
        """Raise C(source-damaged) when too much of what this run brought is damaged on the server itself; the set is not sealed then."""
        arrived = run.stage("objects").get("transferred")
        said = damage_in_what_came(
            self.records[set_id], _newest_verified_record(self.layout), arrived if isinstance(arrived, int) else 0, self.module.params["damage_limit"],
            self.module.params["gone"])
        if said:
            raise SeafileError("source-damaged", self.server, said)

    def _verify_partial(self, run, set_id):
        record = run.record or run.read()
        stages = record.get("stages", {})
        subject = partial_subject(self.layout, set_id, record.get("began"), stages.get("dumps", {}).get("sha256", {}))
        with self.lock() as lock:
            verifier = self.verifier(lock, run.held)
            arrived = stages.get("objects", {}).get("transferred")
            verifier.arrived = arrived if isinstance(arrived, int) else None
            self.add(set_id, verifier.verify(subject), None)
            self.other_sets(verifier)

    def result(self):
        """Return the module's result; raise C(set-incomplete) where that is asked for."""
        report = []
        for set_id in sorted(self.records, reverse=True):
            report += verification_record.page(self.server, set_id, self.records[set_id], self.layout)
        damaged = [set_id for set_id in sorted(self.records, reverse=True) if self.records[set_id]["state"] == verification_record.DAMAGED]
        result = {
            "changed": self.changed,
            "sets": {set_id: dict(record, findings=record["findings"][:FINDINGS_RETURNED]) for set_id, record in self.records.items()},
            "state": verification_record.DAMAGED if damaged else verification_record.VERIFIED,
            "report": report, "notes": self.notes}
        if damaged and self.module.params["fail_on_damage"]:
            cause = " ".join(self.records[damaged[0]]["reasons"])
            raise SeafileError(
                "set-incomplete", f"set {', '.join(damaged[:5])}" + (f" and {len(damaged) - 5} more" if len(damaged) > 5 else ""), cause,
                "run the backup again, which fetches what the server still has; the report says what to do for each library", **result)
        return result


def set_verify(module):
    """The module's action."""
    params = module.params
    layout = ServerLayout(params["backup_root"], params["server"])
    work = _Work(module, layout)
    if params["run"]:
        set_id = params["set_id"] or Run(layout).read().get("set_id")
        if set_id is None:
            raise SeafileError("run-lost", layout.root, "no run is at work")
        require_set_id(set_id)
        if params["seal"] is not None and module.check_mode:  # nothing was pulled that could be verified
            return dict(work.result(), **sealing.seal(layout, params["server"], set_id, params["seal"], True))
        work.verify_run(set_id)
        if params["seal"] is None:
            return work.result()
        sealed = sealing.seal(layout, params["server"], set_id, params["seal"])
        return dict(work.result(), **sealed)
    chosen = choose(layout, params["set_id"], params["all"])
    with work.place(), work.lock() as lock:
        verifier = work.verifier(lock)
        once = len(chosen) > 1 and params["level"] == "full" and verifier.write_index
        with verifier.reading_all_once() if once else contextlib.nullcontext():
            for set_id in chosen:
                work.verify_sealed(verifier, set_id)
                verifier.scrub_percent = 0.0  # once a call
        work.other_sets(verifier)
    return work.result()


def main():
    module = AnsibleModule(
        argument_spec={
            "backup_root": {"type": "path", "required": True},
            "server": {"type": "str", "required": True},
            "set_id": {"type": "str"},
            "all": {"type": "bool", "default": False},
            "run": {"type": "bool", "default": False},
            "level": {"type": "str", "choices": ["new", "quick", "full"], "default": "quick"},
            "scrub_percent": {"type": "float", "default": 0},
            "heal": {"type": "bool", "default": True},
            "collected": {"type": "list", "elements": "str", "default": []},
            "moved": {"type": "list", "elements": "str"},
            "gone": {"type": "list", "elements": "str", "default": []},
            "host_servers": {"type": "int", "default": 0},
            "processes": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 300},
            "fail_on_damage": {"type": "bool", "default": True},
            "damage_limit": {"type": "float", "default": 100},
            "seal": {"type": "dict"},
        },
        mutually_exclusive=[("all", "set_id"), ("all", "run")],
        required_by={"seal": ["set_id"]},
        supports_check_mode=True,
    )
    run_module(module, set_verify, awaited=True)


if __name__ == "__main__":
    main()
