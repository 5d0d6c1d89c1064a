#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_set
short_description: Begin, seal or give up a backup set, with one run a server at a time
version_added: "0.1.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - A set is what one backup run produces. It is V(partial) while it is written and is sealed last, by an atomic rename,
    with a manifest and checksums of every file. A set that is not sealed is never offered for a restore.
  - Where the run verified its set with M(seafleet.seafile.set_verify), the record of it goes into the manifest, so that the set
    is V(verified) or V(damaged) from its sealing on. A set that was not verified is sealed as well.
  - Beginning a set takes the server's lock, sealing or failing frees it. The lock of a dead run is taken over.
  - Runs on the backup host. Never removes a set or an object.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.server_backup]
attributes:
  check_mode:
    support: full
    details: Says what would be made. Sealing does not look at the stages of the run, since in check mode none has begun.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  state:
    description:
      - V(partial) begins the set. Where an earlier attempt with the same O(set_id) failed, dumps and files are pulled anew,
        for they belong to an earlier moment; objects that have arrived stay.
      - V(sealed) writes manifest and checksums and gives the set its final name. Needs all stages of the run to have ended.
      - V(failed) notes O(reason) beside the partial set and frees the lock. The set stays partial.
    type: str
    choices: [partial, sealed, failed]
    required: true
  set_id:
    description:
      - The set, as the UTC time at which its dump begins, such as V(20261123T030000Z).
      - With O(state=partial) it may be left out; then it is this host's time, later than every set there is. A newest set of
        more than ten minutes in the future fails, for one of the clocks is wrong.
      - With O(state=partial) and the id of a sealed set nothing is changed. An id that is older than the newest sealed set fails.
    type: str
  manifest:
    description: What the manifest shall say beside what this module knows itself. Must hold C(databases), as the dump
      modules return it.
    type: dict
    default: {}
  preflight:
    description:
      - With O(state=partial), look first at what stands in the way, as M(seafleet.seafile.backup_host_info) does. With any problem
        the task fails, names them all, and changes nothing.
      - The result then also says what the run can build on.
    type: dict
    version_added: "0.2.0"
    suboptions:
      problems:
        description: What stands in the way on the server, as RV(seafleet.seafile.server_info#module:problems) has it.
        type: list
        elements: dict
        default: []
      seafile_root:
        description: The haiwen directory. On one machine the backup must not lie inside it.
        type: path
      src:
        description: The directory whose reading by C(rsync) is tried.
        type: str
        required: true
      needed_bytes:
        description: Bytes that have to be free.
        type: int
        default: 0
      clock:
        description: What the server's clock said, as RV(seafleet.seafile.server_info#module:clock) has it.
        type: dict
      asked_at:
        description: The controller's time, in seconds since 1970, when it began this task. In a playbook C("{{ now(fmt='%s.%f') }}").
        type: float
      clock_limit:
        description: Seconds by which the two clocks may differ, the time on the way included, before there is the problem V(clock). V(0) for any.
        type: float
        default: 60
      identity:
        description:
          - What the server is, as RV(seafleet.seafile.server_info#module:identity) has it. It is compared with the newest set's manifest.
          - A server that has none of the libraries which were there before is another one, and the problem is V(identity-changed).
            Another address is told in RV(notes).
        type: dict
      accept_identity:
        description: Whether another server under this name is expected.
        type: bool
        default: false
      stores:
        description:
          - How many stores the server has, as RV(seafleet.seafile.server_info#module:stores) has it. It is compared with the newest verified set's manifest.
          - A kind of objects of which all stores are gone is the problem V(storage-empty). More than O(preflight.shrink_percent) is told in RV(notes).
        type: dict
      storage:
        description: The directory of the object store on the server, for messages.
        type: str
      shrink_percent:
        description: How many percent of the stores may be gone without a word.
        type: float
        default: 10
      cut_off:
        description:
          - The set whose dump was ended before it was whole, as RV(seafleet.seafile.server_info#module:cut_off) has it. A run of that set which still
            holds the lock holds nobody up.
        type: str
      sweep_days:
        description: Days after which all objects of the server are compared again.
        type: float
        default: 7
      host:
        description: The host to pull from, by ssh. Without it both ends are on this host.
        type: str
      user:
        description: The account on the host.
        type: str
      port:
        description: The port of C(sshd) on the host.
        type: int
      private_key:
        description: The path of the key that opens the account.
        type: path
      known_hosts:
        description: The file that holds the pinned key of the host.
        type: path
      host_key_alias:
        description: The name under which that file holds the key.
        type: str
      rsync_module:
        description: The module of the rsync daemon that the account's forced command starts. Leave it out for C(rrsync).
        type: str
        version_added: "0.2.0"
  renew:
    description:
      - With O(state=partial) and the O(set_id) of a run that has pulled nothing for its set yet, give the set the id of now. For a run that
        pulled objects before its dump.
    type: bool
    default: false
    version_added: "0.2.0"
  reason:
    description: Why the run failed, in one sentence.
    type: str
    default: the run failed
  lock_lease:
    description: Seconds without a sign of life after which another controller's run counts as dead.
    type: int
    default: 21600
  controller:
    description: Set by the action plugin; the process that starts the run.
    type: dict
    default: {}
  dead_run:
    description: Set by the action plugin; the set id of a run whose controller is known to be dead.
    type: str
"""

EXAMPLES = r"""
- name: Begin a set
  seafleet.seafile.backup_set:
    state: partial
    backup_root: /srv/seafile-backup
    server: files.example.org
  register: begun

- name: Seal it
  seafleet.seafile.backup_set:
    state: sealed
    backup_root: /srv/seafile-backup
    server: files.example.org
    set_id: "{{ begun.set_id }}"
    manifest:
      databases: "{{ dumps }}"
"""

RETURN = r"""
set_id:
  description: The set.
  returned: success
  type: str
  sample: 20261123T030000Z
set_state:
  description: The state of the set after this task; V(sealed) at O(state=partial) says that it was sealed before, V(absent)
    at O(state=failed) that there is no such set. Whether a sealed set is verified or damaged stands in RV(verification).
  returned: success
  type: str
  sample: partial
verification:
  description: What the newest verification of the set says, C(state) (V(verified) or V(damaged)), C(level), C(ended), C(findings_total),
    C(damaged_libraries) and C(reasons); null for a set that was never verified.
  returned: when the set is sealed, before or by this task
  type: dict
  version_added: "0.2.0"
  sample: {state: verified, level: new, ended: "2026-11-23T03:04:05Z", findings_total: 0, damaged_libraries: [], reasons: []}
path:
  description: The directory of the set.
  returned: success
  type: str
  sample: /srv/seafile-backup/files.example.org/sets/.20261123T030000Z.partial
bytes:
  description: Size of dumps and files of the sealed set, in bytes, hard links counted each time.
  returned: when the set is sealed
  type: int
  sample: 61234
taken_over:
  description: The set id of a dead run whose lock was taken over.
  returned: at O(state=partial)
  type: str
  sample: null
known_set_id:
  description: The newest verified set, whose objects are here; null when there is none.
  returned: with O(preflight)
  type: str
  version_added: "0.2.0"
  sample: 20261122T030000Z
distrusted:
  description: Ids of the libraries in which that set lacks something that the server itself had lost.
  returned: with O(preflight)
  type: list
  elements: str
  version_added: "0.2.0"
  sample: []
sweep_due:
  description: Whether all objects are to be compared again.
  returned: with O(preflight)
  type: bool
  version_added: "0.2.0"
  sample: false
newest_sealed:
  description: The newest sealed set, or null.
  returned: with O(preflight), also on failure
  type: str
  version_added: "0.2.0"
  sample: 20261122T030000Z
newest_verified:
  description: The newest verified set, or null.
  returned: with O(preflight), also on failure
  type: str
  version_added: "0.2.0"
  sample: 20261122T030000Z
problems:
  description: All that stands in the way.
  returned: with O(preflight), also on failure
  type: list
  elements: dict
  version_added: "0.2.0"
  sample: []
notes:
  description: What a person should know though it prevents nothing, such as another address of the server. They are shown as warnings too.
  returned: with O(preflight)
  type: list
  elements: str
  version_added: "0.2.0"
  sample: []
zstd:
  description: Whether the program C(zstd) is on this host.
  returned: with O(preflight)
  type: bool
  version_added: "0.2.0"
  sample: true
code:
  description: Stable code of the failure; C(run-active) when another run is at work.
  returned: failure
  type: str
  sample: run-active
"""

import contextlib
import json
import os
import shutil

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import backup_marker, backup_place, rsync, sealing, sets, ssh_connection
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout, require_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.run_record import STAGES, Run, begin, joined, refusal, release


def _choose_id(layout, wanted):
    if wanted is None:
        return sets.next_set_id(layout, utc_now())
    if require_set_id(wanted) - utc_now() > sets.MOST_AHEAD:
        raise SeafileError("set-id-invalid", wanted, f"it lies in the future of this host's clock ({as_text(utc_now())})", "give the time of now, or none")
    newer = [other for other in sets.sealed_ids(layout) if other > wanted]
    if newer:
        raise SeafileError("set-id-invalid", wanted, f"the set {newer[-1]} is later; sets are made in the order of time")
    return wanted


def preflight(module, layout, kept):
    """Look at what stands in the way; fail with all of it, or return what the run can build on. I(kept) receives the connection."""
    asked = module.params["preflight"]
    if not asked:
        return {}
    place = backup_place.inform(module, dict(asked, backup_root=module.params["backup_root"], server=module.params["server"]), layout, kept)
    problems = asked["problems"] + place["problems"]
    found = {"problems": problems, "newest_sealed": place["newest_sealed"], "newest_verified": place["newest_verified"]}
    if problems:
        message = " // ".join(f"{problem.get('code')}: {problem.get('message')}" for problem in problems)
        module.fail_json(msg=message, code=str(problems[0].get("code")), **found)
    for note in place["notes"]:
        module.warn(note)
    known = place["newest_verified"]
    return dict(
        found, notes=place["notes"], known_set_id=known, distrusted=backup_place.distrusted(layout, known) if known else [], zstd=place["zstd"],
        sweep_due=backup_place.is_sweep_due(layout, asked["sweep_days"], utc_now()))


def begin_set(module, layout):
    """Look at what stands in the way, take the lock and make the directory of the set."""
    if module.params["renew"]:
        return renew_set(module, layout)
    kept = []
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [connections.close() for connections in kept])
        found = preflight(module, layout, kept)
        begun = _begin(module, layout, kept)
    return dict(found, **begun)


def renew_set(module, layout):
    """Give the set of a run that has pulled nothing yet the id of now."""
    old = module.params["set_id"]
    require_set_id(old)
    if module.check_mode:
        return sealing.result(True, old, "partial", layout.partial(old), taken_over=None)
    with joined(layout, old) as run:
        if any(run.stage(stage) for stage in STAGES):
            raise SeafileError("order", old, "something was pulled for this set already, so it keeps its id")
        set_id = sets.next_set_id(layout, utc_now())
        os.rename(layout.partial(old), layout.partial(set_id))
        run.record["set_id"] = set_id
        run.write()
    return sealing.result(True, set_id, "partial", layout.partial(set_id), taken_over=None)


def _leave_connection(run, kept):
    """The connection that was tried is the one that the pull will use; nothing is lost when it is gone by then."""
    if kept:
        run.record["connection"] = kept.pop().leave()
        run.write()


def _begin(module, layout, kept):
    params = module.params
    if params["set_id"] in sets.sealed_ids(layout):
        return sealing.result(
            False, params["set_id"], "sealed", layout.sealed(params["set_id"]), taken_over=None, verification=sealing.verification(layout, params["set_id"]))
    backup_marker.require(layout, params["server"])
    before = Run(layout).read()
    cut_off = (params["preflight"] or {}).get("cut_off")
    dead_run = cut_off if cut_off and cut_off == before.get("set_id") else params["dead_run"]
    if module.check_mode:
        problem = refusal(layout, before, params["controller"], utc_now(), params["lock_lease"], dead_run)
        if problem:
            raise problem
        set_id = _choose_id(layout, params["set_id"])
        return sealing.result(True, set_id, "partial", layout.partial(set_id), taken_over=None)
    set_id = _choose_id(layout, params["set_id"])
    make_private_directory(layout.sets)
    backup_marker.write(layout, params["server"])
    with begin(layout, set_id, params["controller"], params["lock_lease"], dead_run) as run:
        directory = layout.partial(set_id)
        make_private_directory(directory)
        # What an earlier attempt brought belongs to an earlier moment, and no pull removes what is gone at the server since.
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            elif os.path.lexists(path):
                os.unlink(path)
        _leave_connection(run, kept)
    taken_over = before.get("set_id") if before.get("state") == "running" else None
    return sealing.result(True, set_id, "partial", directory, taken_over=taken_over)


def seal_set(module, layout):
    """Give the set its final name."""
    params = module.params
    return sealing.seal(layout, params["server"], params["set_id"], params["manifest"], module.check_mode)


def fail_set(module, layout):
    """Note why the run failed and free its lock; another run's lock is left alone."""
    params = module.params
    set_id = params["set_id"]
    require_set_id(set_id)
    partial = layout.partial(set_id)
    path = os.path.join(partial, sets.FAILURE)
    there = os.path.isdir(partial)
    record = Run(layout).read()
    locked = record.get("set_id") == set_id and record.get("state") == "running"
    changed = locked or (there and _noted(path) != params["reason"])
    if changed and not module.check_mode:
        if there:
            write_json(path, {"reason": params["reason"], "time": as_text(utc_now())})
        try:
            with joined(layout, set_id) as run:
                ssh_connection.end(run.record.pop("connection", None))
                release(run, params["reason"])
        except SeafileError as error:
            if error.code not in ("run-lost", "run-active"):
                raise
    if there:
        return sealing.result(changed, set_id, "partial", partial)
    sealed = set_id in sets.sealed_ids(layout)
    return sealing.result(changed, set_id, "sealed" if sealed else "absent", layout.sealed(set_id))


def _noted(path):
    """Return the reason that an earlier failure noted in the file I(path), or None."""
    try:
        with open(path, encoding="ascii") as stream:
            return json.load(stream)["reason"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["partial", "sealed", "failed"], "required": True},
            "backup_root": {"type": "path", "required": True},
            "server": {"type": "str", "required": True},
            "set_id": {"type": "str"},
            "manifest": {"type": "dict", "default": {}},
            "preflight": {"type": "dict", "options": {
                "problems": {"type": "list", "elements": "dict", "default": []},
                "seafile_root": {"type": "path"},
                "src": {"type": "str", "required": True},
                "needed_bytes": {"type": "int", "default": 0},
                "clock": {"type": "dict"},
                "asked_at": {"type": "float"},
                "clock_limit": {"type": "float", "default": 60},
                "identity": {"type": "dict"},
                "accept_identity": {"type": "bool", "default": False},
                "stores": {"type": "dict"},
                "storage": {"type": "str"},
                "shrink_percent": {"type": "float", "default": 10},
                "sweep_days": {"type": "float", "default": 7},
                "cut_off": {"type": "str"},
                **rsync.REMOTE_ARGUMENTS,
            }},
            "renew": {"type": "bool", "default": False},
            "reason": {"type": "str", "default": "the run failed"},
            "lock_lease": {"type": "int", "default": 21600},
            "controller": {"type": "dict", "default": {}},
            "dead_run": {"type": "str"},
        },
        required_if=[("state", "sealed", ["set_id"]), ("state", "failed", ["set_id"]), ("renew", True, ["set_id"])],
        supports_check_mode=True,
    )
    action = {"partial": begin_set, "sealed": seal_set, "failed": fail_set}[module.params["state"]]
    # what begins a run ends with its controller: nobody else would free the lock
    run_module(module, lambda module: action(module, ServerLayout(module.params["backup_root"], module.params["server"])),
               awaited=module.params["state"] == "partial")


if __name__ == "__main__":
    main()
