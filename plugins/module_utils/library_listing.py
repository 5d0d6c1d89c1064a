# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of what is new since a known set, as a file, and what is remembered of this run for the next one."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import directory_times, known_heads
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, replacing, write_atomically
from ansible_collections.seafleet.seafile.plugins.module_utils.change_list import Lister, ListWriter, Outcome
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import require_set_id
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import ObjectStore
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import Pointers

AUTO = "auto"
WHOLE = "whole"
LEVELS = (AUTO, WHOLE)

HEADS_KEPT = 10
_HEADS_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z\.json\Z")


@dataclasses.dataclass(frozen=True)
class Request:
    """Which list is wanted, and where it and what is remembered go.

    :arg set_id: the set of this run.
    :arg known_set_id: the newest verified set; None: everything is listed as a whole.
    :arg state_dir: absolute path of the directory for what is remembered.
    :arg dest: absolute path of the list.
    :arg distrusted: ids of libraries in which the known set lacks something.
    :arg level: :data:`AUTO` or :data:`WHOLE`.
    :arg sweep: compare the times of all directories too.
    :arg known: the file with the heads of the known set; None: where I(heads_to) None puts it.
    :arg heads_to: the file that receives the heads of this run; None: in I(state_dir), where the newest are kept.
    """

    set_id: str
    known_set_id: str | None
    state_dir: str
    dest: str
    distrusted: t.Collection[str] = ()
    level: str = AUTO
    sweep: bool = False
    known: str | None = None
    heads_to: str | None = None

    def require(self) -> None:
        """Raise C(set-id-invalid) for a set id that is none."""
        require_set_id(self.set_id)
        if self.known_set_id:
            require_set_id(self.known_set_id)

    def heads_path(self, set_id: str) -> str:
        """The file with the heads of the set I(set_id) in the state directory."""
        return os.path.join(self.state_dir, "heads", f"{set_id}.json")


def list_changes(store: ObjectStore, found: Pointers, request: Request, check_mode: bool) -> dict[str, t.Any]:
    """Write the list of what is new in I(store), and remember what the next run has to know.

    :arg found: what the fresh dump points at.
    :returns: as the module C(library_changes) documents it, without the time that the dump took.
    :raises SeafileError: C(storage-missing), C(path-invalid) and C(run-active) of the state directory.
    :raises OSError: the store cannot be read, or something cannot be written.
    """
    heads_to = request.heads_to or request.heads_path(request.set_id)
    content = known_heads.encode(request.set_id, known_heads.known_of(found))
    notes = [f"the database holds what cannot be a pointer: {text}" for text in found.strange[:20]]
    with contextlib.ExitStack() as stack:
        state, state_note = stack.enter_context(directory_times.opened(request.state_dir, request.known_set_id, request.set_id, check_mode))
        known, doubt, doubts = _known(request)
        notes += doubts
        if state_note and request.sweep and known:
            notes.append(f"every directory counts as changed: {state_note}")
        lister = Lister(store, found, known, doubt, state, request.sweep, int(time.time()), frozenset(request.distrusted))
        outcome, changed = _write_list(request, lister, check_mode)
        changed = not _holds(heads_to, content) or changed
        if not check_mode:
            make_private_directory(os.path.dirname(heads_to))
            write_atomically(heads_to, content)
            if not request.heads_to:
                _prune_heads(os.path.dirname(heads_to), request.known_set_id)
            state.end()
    sweep = outcome.sweep
    if sweep and sweep.missed:
        notes.append(f"the walks since the last sweep had missed {sweep.missed} objects, first: {', '.join(sweep.missed_objects[:3])}; they are listed now")
    seconds = dict({"directories": 0.0, "sweep": 0.0, "walk": 0.0}, **outcome.seconds)
    return {
        "changed": changed, "list": request.dest, "heads": heads_to, "libraries": outcome.libraries, "objects": outcome.objects,
        "directories": outcome.directories, "empty": not outcome.directories and not any(outcome.objects.values()), "everything": not known,
        "whole": outcome.whole, "whole_total": outcome.whole_total, "sweep": vars(sweep) if sweep else None, "reads": outcome.reads,
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()}, "notes": notes,
    }


def _known(request: Request) -> tuple[known_heads.Known, str, list[str]]:
    """Return (known heads, why there are none, notes)."""
    if request.level == WHOLE:
        return {}, "it was asked for", []
    if not request.known_set_id:
        return {}, "there is no verified set to compare with", []
    try:
        return known_heads.read(request.known or request.heads_path(request.known_set_id), request.known_set_id), "", []
    except known_heads.Doubt as doubt:
        return {}, str(doubt), [f"everything is listed as a whole: {doubt}"]


def _write_list(request: Request, lister: Lister, check_mode: bool) -> tuple[Outcome, bool]:
    """Write the list unless its file holds exactly this already; return (outcome, whether it changes)."""
    if check_mode:
        writer = ListWriter(request.dest, None)
        return lister.run(writer), not writer.same
    make_private_directory(os.path.dirname(request.dest))
    with replacing(request.dest) as stream:
        writer = ListWriter(request.dest, stream)
        outcome = lister.run(writer)
    return outcome, not writer.same


def _holds(path: str, content: bytes) -> bool:
    try:
        with open(path, "rb") as stream:
            return stream.read() == content
    except OSError:
        return False


def _prune_heads(directory: str, known_set_id: str | None) -> None:
    names = sorted(name for name in os.listdir(directory) if _HEADS_NAME.match(name))
    for name in names[:-HEADS_KEPT]:
        if name != f"{known_set_id}.json":  # after a row of sets that did not verify it is old, and still needed
            os.unlink(os.path.join(directory, name))
