# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a verification: what it says, where it is kept, and the page that people read.

The record of the backup run stands in the set's manifest and is covered by its checksums. That of a later verification
stands beside the sealed set, which is never rewritten. The newer one of the two decides whether the set is *verified* or
*damaged*; a set without any is *sealed*.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import words
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import write_atomically, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.closure import Finding
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import printable
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import OBJECT_KINDS, ServerLayout

FORMAT = 1
VERIFIED, DAMAGED = "verified", "damaged"
# Where an object of a finding is damaged: only here, on the server as well, or nobody could be asked.
BACKUP, SOURCE, UNKNOWN = "backup", "source", "unknown"
_WORST_FIRST = (BACKUP, UNKNOWN, SOURCE)
MOST_FINDINGS_KEPT = 1000
MOST_HEALED_KEPT = 100
_MOST_REASONS = 6
_MOST_LIBRARIES_SHOWN = 20
_MOST_FILES_SHOWN = 5
_MOST_RECORD_BYTES = 16 * 1024 * 1024
_NOUN = {"commits": "commit", "fs": "fs object", "blocks": "block", "head": "head"}
_IN_WORDS = {BACKUP: "damaged in this backup", UNKNOWN: "damaged in this backup; the server could not be asked", SOURCE: "damaged on the server itself"}
_SUMMARY = ("state", "level", "ended", "findings_total", "damaged_libraries", "reasons")

Key = t.Tuple[str, str, str]
"""An object: kind, store, and its id in hexadecimal."""


def key_of(finding: t.Any) -> Key:
    """Return the object that a :class:`Finding`, or a finding of a record, is about."""
    if isinstance(finding, Finding):
        return finding.kind, finding.store, finding.id
    return finding["kind"], finding["store"], finding["id"]


def worst(places: t.Iterable[str]) -> str:
    """Return the one of several C(where) that says most against the backup."""
    found = set(places)
    return next(place for place in _WORST_FIRST if place in found)


def _damaged_libraries(findings: t.Sequence[dict[str, t.Any]], counts: t.Mapping[str, int]) -> list[dict[str, t.Any]]:
    places: dict[str, set[str]] = {}
    names: dict[str, str] = {}
    for finding in findings:
        places.setdefault(finding["library"], set()).add(finding["where"])
        names.setdefault(finding["library"], finding["library_name"])
    rows = [
        {"id": library, "name": names[library], "findings": counts.get(library, 0), "where": worst(places[library])} for library in places]
    # beyond what the walk lists, only the number is known, and nobody was asked
    rows += [{"id": library, "name": "", "findings": number, "where": UNKNOWN} for library, number in counts.items() if library not in places and number]
    return sorted(rows, key=lambda row: (_WORST_FIRST.index(row["where"]), row["name"], row["id"]))


def _sentence(finding: t.Mapping[str, t.Any]) -> str:
    """One line about one object, without its library."""
    return f"{finding['path'] or '(history)'}: {_NOUN.get(finding['kind'], finding['kind'])} {finding['id']} {finding['damage']} ({finding['cause']})"


def _title(library: t.Mapping[str, t.Any]) -> str:
    if not library["id"]:
        return "rows of the dump that point at no library"
    return f"{library['name'] or 'library'} ({library['id']})"


def _reasons(libraries: t.Sequence[dict[str, t.Any]], findings: t.Sequence[dict[str, t.Any]]) -> list[str]:
    """At most six sentences, the worst libraries first; each names the library and its first object."""
    sentences = []
    shown = libraries if len(libraries) <= _MOST_REASONS else libraries[:_MOST_REASONS - 1]
    for library in shown:
        first = next((finding for finding in findings if finding["library"] == library["id"]), None)
        text = f"{_title(library)}: {words.count(library['findings'], 'object')} {_IN_WORDS[library['where']]}"
        sentences.append(printable(text + (f", first {_sentence(first)}" if first else "") + "."))
    if len(shown) < len(libraries):
        rest = len(libraries) - len(shown)
        sentences.append(f"And {rest} more damaged libraries.")
    return sentences


def make(level: str, began: str, ended: str, outcome: t.Any, places: t.Mapping[Key, str], healed: t.Sequence[dict[str, str]],
         notes: t.Sequence[str], wrong: t.Sequence[str] = ()) -> dict[str, t.Any]:
    """Return the record of one verification of one set.

    :arg began, ended: as :func:`clock.as_text` writes them.
    :arg outcome: a C(verification.Outcome).
    :arg places: for the object of each finding where it is damaged; one that is not in it is C(unknown).
    :arg healed: C(kind), C(store), C(id), C(was) of every object that was put right.
    :arg wrong: what is wrong with the set's own files, one sentence each; makes it damaged.
    """
    findings = [dict(finding._asdict(), where=places.get(key_of(finding), UNKNOWN)) for finding in outcome.findings]
    # what the backup is at fault for comes first, for the list is cut
    findings.sort(key=lambda finding: _WORST_FIRST.index(finding["where"]))
    counts = dict(outcome.findings_by_library)
    if not counts:
        for finding in findings:
            counts[finding["library"]] = counts.get(finding["library"], 0) + 1
    libraries = _damaged_libraries(findings, counts)
    return {
        "format": FORMAT,
        "state": DAMAGED if wrong or any(library["where"] != SOURCE for library in libraries) else VERIFIED,
        "level": level, "began": began, "ended": ended,
        "libraries": outcome.libraries,
        "hashed": {kind: dict({"files": 0, "bytes": 0}, **outcome.hashed.get(kind, {})) for kind in OBJECT_KINDS},
        "trusted": {kind: outcome.trusted.get(kind, 0) for kind in OBJECT_KINDS},
        "scrubbed": dict({"files": 0, "bytes": 0}, **outcome.scrubbed),
        "legally_missing": {kind: outcome.legally_missing.get(kind, 0) for kind in OBJECT_KINDS},
        "healed": list(healed[:MOST_HEALED_KEPT]), "healed_total": len(healed),
        "wrong_files": [printable(text) for text in wrong[:MOST_HEALED_KEPT]],
        "findings_total": outcome.findings_total,
        "findings": findings[:MOST_FINDINGS_KEPT],
        "damaged_libraries": libraries,
        "reasons": ([printable(text) for text in wrong] + _reasons(libraries, findings))[:_MOST_REASONS],
        "notes": [printable(note) for note in notes],
    }


def is_record(value: t.Any) -> bool:
    """Say whether I(value) has the form of a record: what is read from it below may then be trusted to be there."""
    if not isinstance(value, dict) or value.get("format") != FORMAT or value.get("state") not in (VERIFIED, DAMAGED):
        return False
    if not all(isinstance(value.get(key), str) for key in ("ended", "level")) or not isinstance(value.get("findings_total"), int):
        return False
    if not all(isinstance(value.get(key), list) for key in ("findings", "damaged_libraries", "reasons")):
        return False
    texts = ("kind", "store", "id", "library", "where")
    return (
        all(isinstance(row, dict) and all(isinstance(row.get(key), str) for key in texts) for row in value["findings"])
        and all(isinstance(row, dict) and isinstance(row.get("id"), str) and isinstance(row.get("where"), str) for row in value["damaged_libraries"])
        and all(isinstance(reason, str) for reason in value["reasons"]))


def read_beside(layout: ServerLayout, set_id: str) -> tuple[dict[str, t.Any] | None, str | None]:
    """Return the record that a later verification left beside the set, and why there is none that can be read.

    Both are None when no later verification was made.
    """
    path = layout.verification(set_id)
    try:
        with open(path, "rb") as stream:
            value = json.loads(stream.read(_MOST_RECORD_BYTES))
    except FileNotFoundError:
        return None, None
    except OSError as error:
        return None, f"{path} cannot be read ({error.strerror}); verify the set again"
    except (ValueError, RecursionError):
        value = None
    if not is_record(value):
        return None, f"{path} is no record of a verification; verify the set again"
    return value, None


def newest(layout: ServerLayout, set_id: str, manifest: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any] | None, str | None]:
    """Return the record that decides the state of a sealed set, and why it cannot be told.

    A record beside the set that cannot be read hides what it said, so that the older one of the manifest does not count then.
    """
    beside, problem = read_beside(layout, set_id)
    if problem:
        return None, problem
    # of two within the same second the one beside is the later: it is only ever written after sealing
    records = [record for record in (beside, manifest.get("verification")) if is_record(record)]
    return (max(records, key=lambda record: record["ended"]) if records else None), None


def summary(record: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what the catalogue tells of a record: all but its lists of objects."""
    return {key: record[key] for key in _SUMMARY}


def verdict(record: t.Mapping[str, t.Any] | None) -> t.Any:
    """Return what two records must share to say the same: times and counts of what was read are not in it."""
    if record is None:
        return None
    libraries = sorted((row["id"], row.get("findings"), row["where"]) for row in record["damaged_libraries"])
    objects = sorted(key_of(finding) for finding in record["findings"])
    return record["state"], record["findings_total"], libraries, objects, record.get("wrong_files", [])


def write(layout: ServerLayout, server: str, set_id: str, record: dict[str, t.Any]) -> None:
    """Write the record and its page beside the sealed set, each whole or not at all, mode 0600."""
    write_json(layout.verification(set_id), record)
    write_page(layout, server, set_id, record)


def write_page(layout: ServerLayout, server: str, set_id: str, record: dict[str, t.Any]) -> None:
    """Write the page for people beside the sealed set."""
    text = "\n".join(page(server, set_id, record, layout)) + "\n"
    write_atomically(layout.verification_page(set_id), text.encode("utf-8", "replace"))


# -- the page for people -------------------------------------------------------------------------------------------


def _what_was_read(record: t.Mapping[str, t.Any]) -> list[str]:
    hashed = record["hashed"]
    files = sum(hashed[kind]["files"] for kind in hashed)
    lines = [
        f"read and hashed {words.count(files, 'object')} ({words.size(sum(hashed[kind]['bytes'] for kind in hashed))}), "
        f"{sum(record['trusted'].values())} proved before and still there, in {record['libraries']} "
        + ("library" if record["libraries"] == 1 else "libraries")]
    if record["scrubbed"]["files"]:
        scrubbed = record["scrubbed"]
        lines.append(f"read again of what was proved long ago: {words.count(scrubbed['files'], 'object')} ({words.size(scrubbed['bytes'])})")
    absent = sum(record["legally_missing"].values())
    if absent:
        lines.append(f"missing by Seafile's own rules (history limit, base commits): {absent}")
    return lines


def _of_libraries(record: t.Mapping[str, t.Any], libraries: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    lines = []
    for library in libraries[:_MOST_LIBRARIES_SHOWN]:
        lines.append(f"  {_title(library)}: {words.count(library['findings'], 'object')} {_IN_WORDS[library['where']]}")
        of_it = [finding for finding in record["findings"] if finding["library"] == library["id"]]
        lines += [f"    {_sentence(finding)}" for finding in of_it[:_MOST_FILES_SHOWN]]
        more = library["findings"] - min(len(of_it), _MOST_FILES_SHOWN)
        if more > 0:
            lines.append(f"    and {more} more")
    if len(libraries) > _MOST_LIBRARIES_SHOWN:
        lines.append(f"  and {len(libraries) - _MOST_LIBRARIES_SHOWN} more libraries")
    return lines


def _what_to_do(places: t.Collection[str], wrong: t.Sequence[str]) -> list[str]:
    lines = []
    if wrong:
        lines.append("The set's own files are not as they were sealed: restore another set; these files cannot be fetched again.")
    if BACKUP in places or UNKNOWN in places:
        lines.append("Run the backup again: it fetches what the server still has, and makes a set of its own.")
    if UNKNOWN in places:
        lines.append("Verify this set again when the server can be reached: it is asked for these objects then.")
    if BACKUP in places or UNKNOWN in places:
        lines.append("A restore passes this set over for the newest verified one by itself. To take this one all the same, name the")
        lines.append("libraries in restore_accept_damage, or let each damaged library come from an older set with restore_library_fallback.")
    if SOURCE in places:
        lines.append("What is damaged on the server itself no backup can have: look at those files there (seaf-fsck names them), restore them")
        lines.append("from an older set or from a user's computer, and upload them again.")
    return lines


def page(server: str, set_id: str, record: t.Mapping[str, t.Any], layout: ServerLayout) -> list[str]:
    """Return the page for people as lines, to be read in ten seconds: the verdict first, then what is hit, then what to do.

    Names come from libraries and are whatever somebody chose: control characters are written as escapes.
    """
    libraries = record["damaged_libraries"]
    here = [library for library in libraries if library["where"] != SOURCE]
    there = [library for library in libraries if library["where"] == SOURCE]
    lines = [f"Set {set_id} of {server}: {record['state'].upper()} ({record['level']}, {record['ended']})"]
    lines += [f"  {line}" for line in _what_was_read(record)]
    if record["healed_total"]:
        first = ", ".join(f"{_NOUN.get(row['kind'], row['kind'])} {row['id']} ({row['was']})" for row in record["healed"][:_MOST_FILES_SHOWN])
        more = f" and {record['healed_total'] - _MOST_FILES_SHOWN} more" if record["healed_total"] > _MOST_FILES_SHOWN else ""
        kept = f"; the bad files lie in {layout.quarantine}" if any(row["was"] != "missing" for row in record["healed"]) else ""
        lines.append(f"Healed from the server: {first}{more}{kept}")
    wrong = record["wrong_files"]
    if wrong:
        lines += ["Files of the set itself:"] + [f"  {text}" for text in wrong[:_MOST_FILES_SHOWN]]
        lines += [f"  and {len(wrong) - _MOST_FILES_SHOWN} more"] if len(wrong) > _MOST_FILES_SHOWN else []
    if here:
        lines += ["Damaged:"] + _of_libraries(record, here)
    if there:
        lines += ["Damaged on the server itself:"] + _of_libraries(record, there)
    places = {library["where"] for library in libraries}
    if places or wrong:
        lines += ["What to do:"] + [f"  {line}" for line in _what_to_do(places, wrong)]
    if record["findings_total"] > len(record["findings"]):
        lines.append(f"The first {len(record['findings'])} of {record['findings_total']} objects stand in {os.path.basename(layout.verification(set_id))}.")
    lines += [f"Note: {note}" for note in record["notes"]]
    return [printable(line) for line in lines]
