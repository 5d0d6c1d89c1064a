# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of a backup host as metrics, in the text format that node_exporter's textfile collector reads.

Every series is computed from what lies on the disk, and so is right after a backup, a verification, a drill or a removal alike. Names and
units follow https://prometheus.io/docs/practices/naming/; a timestamp is 0 where the thing never happened, so that its age alarms too.
"""

from __future__ import annotations

import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import catalogue
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_time
from ansible_collections.seafleet.seafile.plugins.module_utils.version import VERSION

_SEALED = ("verified", "sealed", "damaged")
Labels = t.Dict[str, str]


class Metric(t.NamedTuple):
    """One metric: its name, its help, and its samples (labels and value)."""

    name: str
    said: str
    samples: t.List[t.Tuple[Labels, t.Union[int, float]]]


def render(metrics: t.Iterable[Metric]) -> str:
    """Return I(metrics), all gauges, as text; one without samples is left out."""
    lines = []
    for metric in metrics:
        if metric.samples:
            lines += [f"# HELP {metric.name} {_help(metric.said)}", f"# TYPE {metric.name} gauge"]
            lines += [f"{metric.name}{_labels(labels)} {value}" for labels, value in metric.samples]
    return "".join(f"{line}\n" for line in lines)


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _labels(labels: Labels) -> str:
    """Return I(labels) as text. A value may be anything that is UTF-8, so names that are not become what a person can read."""
    pairs = []
    for name, value in labels.items():
        value = value.encode("utf-8", "backslashreplace").decode("utf-8")
        pairs.append(name + '="' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"')
    return "{" + ",".join(pairs) + "}" if pairs else ""


def of_catalogue(found: t.Mapping[str, t.Any]) -> list[Metric]:
    """Return the metrics of a catalogue, as :func:`catalogue.of_host` returns it."""
    root = {"root": found["backup_root"]}
    room = found["room"]
    host = [
        Metric("seafile_backup_info", "The collection that wrote these metrics; always 1.", [({**root, "version": VERSION}, 1)]),
        Metric("seafile_backup_filesystem_size_bytes", "Size of the file system that holds the backups.", [(root, room["bytes"])]),
        Metric("seafile_backup_filesystem_free_bytes", "Bytes of it that an ordinary account may still write.", [(root, room["free_bytes"])]),
        # a file system without a fixed number of inodes tells zero, which is no shortage
        Metric("seafile_backup_filesystem_inodes", "Inodes of the file system that holds the backups.", [(root, room["inodes"])] if room["inodes"] else []),
        Metric("seafile_backup_filesystem_free_inodes", "Inodes of it that are free.", [(root, room["free_inodes"])] if room["inodes"] else []),
        Metric("seafile_backup_unreadable_files", "Records on the backup host that could not be read.",
               [(root, len(found["problems"]) + sum(len(server["problems"]) for server in found["servers"]))]),
    ]
    return host + _of_servers(found)


def _stamp(moment: str | None) -> int:
    return int(as_time(moment).timestamp()) if moment else 0


def _of_servers(found: t.Mapping[str, t.Any]) -> list[Metric]:
    samples: dict[str, list[tuple[Labels, int | float]]] = {name: [] for name in _SERVER_METRICS}

    def add(name: str, labels: Labels, value: t.Any) -> None:
        if value is not None:
            samples[name].append((labels, value))

    for server in found["servers"]:
        _of_server(server, add)
    for row in found["failed_before"]:
        label = {"server": row["server"]}
        add("last_verified_timestamp_seconds", label, 0)
        _of_last_run(row, label, add)
    return [Metric(f"seafile_backup_{name}", said, samples[name]) for name, said in _SERVER_METRICS.items()]


def _of_server(server: t.Mapping[str, t.Any], add: t.Callable[[str, Labels, t.Any], None]) -> None:
    label = {"server": server["server"]}
    verified = catalogue.newest(server["sets"], "verified")
    add("last_verified_timestamp_seconds", label, _stamp(verified["began"]) if verified else 0)
    if server["last_run"]:
        _of_last_run(server["last_run"], label, add)
    for state, number in server["states"].items():
        add("sets", {**label, "state": state}, number)
    add("quarantine_files", label, server["quarantine_files"])
    add("retention_frozen", label, 1 if server["frozen"] else 0)
    newest = catalogue.newest(server["sets"], *_SEALED)
    if newest:
        add("server_info", {**label, "seafile_version": newest["version"] or "", "engine": newest["engine"] or ""}, 1)
        add("set_timestamp_seconds", label, _stamp(newest["began"]))
        for key in ("bytes", "new_bytes", "new_objects"):
            add(f"set_{key}", label, newest[key])
        for key in ("objects", "libraries"):
            add(key, label, newest[key])
        add("damaged_libraries", {**label, "where": "backup"}, newest["damaged_here"])
        add("damaged_libraries", {**label, "where": "server"}, newest["damaged_at_source"])
    if server["drills"]:
        _of_drills(server["drills"], label, add)


def _of_last_run(run: t.Mapping[str, t.Any], label: Labels, add: t.Callable[[str, Labels, t.Any], None]) -> None:
    add("last_run_timestamp_seconds", label, _stamp(run["ended"]))
    add("last_run_success", label, 1 if run["state"] in ("verified", "sealed") else 0)
    add("last_run_duration_seconds", label, run["seconds"])


def _of_drills(drills: t.Sequence[t.Mapping[str, t.Any]], label: Labels, add: t.Callable[[str, Labels, t.Any], None]) -> None:
    passed = next((drill for drill in drills if drill["state"] == "passed"), None)
    add("drill_success", label, 1 if drills[0]["state"] == "passed" else 0)
    add("drill_timestamp_seconds", label, _stamp(drills[0]["ended"]))
    add("drill_duration_seconds", label, drills[0]["recovery_seconds"])
    add("drill_last_success_timestamp_seconds", label, _stamp(passed["ended"]) if passed else 0)


_SERVER_METRICS = {
    "last_verified_timestamp_seconds": "When the dump of the newest verified set began, which is what a restore would bring back; 0 without one.",
    "last_run_timestamp_seconds": "When the last backup run of the server ended.",
    "last_run_success": "Whether the last backup run of the server left a set that is not damaged.",
    "last_run_duration_seconds": "How long the last backup run of the server took.",
    "set_timestamp_seconds": "When the dump of the newest set, in whatever state, began.",
    "set_bytes": "Dumps and files of the newest set.",
    "set_new_bytes": "Bytes of the objects that came with the newest set.",
    "set_new_objects": "Objects that came with the newest set.",
    "objects": "Objects that the verification of the newest set found good.",
    "libraries": "Libraries in the object store when the newest set was made.",
    "sets": "Sets of the server by their state.",
    "damaged_libraries": "Libraries of the newest set that are damaged in the backup, or on the server itself.",
    "quarantine_files": "Damaged files that were replaced by good ones and are kept to be looked at.",
    "retention_frozen": "Whether no set of the server may be pruned now, because its newest set is not verified or a clock is wrong.",
    "drill_success": "Whether the last restore drill passed.",
    "drill_timestamp_seconds": "When the last restore drill ended.",
    "drill_duration_seconds": "How long the last restore drill took to bring everything back and check it.",
    "drill_last_success_timestamp_seconds": "When a restore drill last passed; 0 when none did.",
    "server_info": "Version and engine of the server when its newest set was made; always 1.",
}
