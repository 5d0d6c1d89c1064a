# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verification is asked, and what it answers."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.closure import Finding
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import OBJECT_KINDS
from ansible_collections.seafleet.seafile.plugins.module_utils.pointers import Pointers
from ansible_collections.seafleet.seafile.plugins.module_utils.progress import Progress

NEW, QUICK, FULL = "new", "quick", "full"
LEVELS = (NEW, QUICK, FULL)
MOST_FINDINGS = 100000


@dataclasses.dataclass(frozen=True)
class Request:
    """What to verify and how.

    :arg objects: the directory that holds commits, fs and blocks.
    :arg index: the directory of the indexes of proved objects; None: nothing is trusted and nothing is written.
    :arg now: the moment of the dump, seconds since 1970, from which history limits count.
    :arg level: C(new): what is new since the last verification; C(quick): everything is walked, blocks that were proved are only looked
        at; C(full): everything is read and hashed.
    :arg distrusted: ids of libraries whose families are verified as with C(full).
    :arg only: walk only families that hold one of these libraries or stores; None: all.
    :arg scrub_percent: how much of all proved objects is read and hashed before, the oldest proof first.
    :arg processes: 0: one for each CPU, at most four.
    :arg write_index: false: the index is used and not changed.
    :arg progress: told how many objects were read or looked at; its total is estimated where it has none. None: nobody watches.
    :arg arrived: how many objects came since the last verification, which only helps that estimate; None: not known.
    """

    objects: str
    index: t.Optional[str]
    pointers: Pointers
    now: int
    level: str
    distrusted: t.FrozenSet[str] = frozenset()
    only: t.Optional[t.FrozenSet[str]] = None
    scrub_percent: float = 0.0
    processes: int = 0
    write_index: bool = True
    progress: t.Optional[Progress] = None
    arrived: t.Optional[int] = None


def by_kind() -> dict[str, int]:
    """A zero for each kind of objects."""
    return dict.fromkeys(sorted(OBJECT_KINDS), 0)


@dataclasses.dataclass
class Outcome:
    """What a verification found.

    :arg findings: at most :data:`MOST_FINDINGS`; C(findings_total) counts them all.
    :arg libraries: how many libraries the families that were verified have.
    :arg hashed: read and hashed in this verification: C({kind: {files, bytes}}).
    :arg trusted: proved earlier, still there, and not read: at level C(new) all such objects of the stores, else those of the set.
    :arg legally_missing: by kind; at level C(new) all those known of the stores, else those of the set.
    :arg scrubbed: C({files, bytes}).
    :arg rotten: (kind, store, id) of objects that were proved and are missing or damaged now: other sets may be hit.
    :arg notes: what a person should know, such as why an index was not believed.
    """

    findings: t.List[Finding] = dataclasses.field(default_factory=list)
    findings_total: int = 0
    findings_by_library: t.Dict[str, int] = dataclasses.field(default_factory=dict)
    libraries: int = 0
    hashed: t.Dict[str, t.Dict[str, int]] = dataclasses.field(default_factory=lambda: {kind: {"files": 0, "bytes": 0} for kind in sorted(OBJECT_KINDS)})
    trusted: t.Dict[str, int] = dataclasses.field(default_factory=by_kind)
    legally_missing: t.Dict[str, int] = dataclasses.field(default_factory=by_kind)
    scrubbed: t.Dict[str, int] = dataclasses.field(default_factory=lambda: {"files": 0, "bytes": 0})
    rotten: t.List[t.Tuple[str, str, str]] = dataclasses.field(default_factory=list)
    notes: t.List[str] = dataclasses.field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Add what another part of the verification found."""
        self.findings.extend(other.findings[:MOST_FINDINGS - len(self.findings)])
        self.findings_total += other.findings_total
        for library, count in other.findings_by_library.items():
            self.findings_by_library[library] = self.findings_by_library.get(library, 0) + count
        self.libraries += other.libraries
        for kind in OBJECT_KINDS:
            self.hashed[kind]["files"] += other.hashed[kind]["files"]
            self.hashed[kind]["bytes"] += other.hashed[kind]["bytes"]
            self.trusted[kind] += other.trusted[kind]
            self.legally_missing[kind] += other.legally_missing[kind]
        self.scrubbed["files"] += other.scrubbed["files"]
        self.scrubbed["bytes"] += other.scrubbed["bytes"]
        self.rotten.extend(other.rotten[:MOST_FINDINGS - len(self.rotten)])
        self.notes.extend(note for note in other.notes if note not in self.notes)

    def append(self, finding: Finding) -> None:
        """Count a finding, and keep it unless there are too many."""
        self.findings_total += 1
        self.findings_by_library[finding.library] = self.findings_by_library.get(finding.library, 0) + 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)

    def extend(self, findings: t.Iterable[Finding]) -> None:
        """Count several findings."""
        for finding in findings:
            self.append(finding)
