#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_metrics
short_description: Leave metrics of all backups for Prometheus
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Writes a file for the textfile collector of Prometheus' node_exporter, with the age of the last verified set, the last run, sizes,
    damage, drills and free space of every server below O(backup_root). The guide C(docs/monitoring.md) lists the metrics and the alerts.
  - The figures come from what lies on the disk, so they are right after any run and may be written as often as one likes.
  - A directory that is missing or may not be written to does not fail. It is said in RV(warnings_told), and as a warning.
  - Runs on the backup host.
extends_documentation_fragment: [seafleet.seafile.attributes, seafleet.seafile.backup_root]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
options:
  metrics_dir:
    description: The directory that node_exporter reads (C(--collector.textfile.directory)), on Debian V(/var/lib/prometheus/node-exporter).
      It is not created, for nobody would read it then.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Metrics of all servers of this backup host
  seafleet.seafile.backup_metrics:
    backup_root: /srv/seafile-backup
    metrics_dir: /var/lib/prometheus/node-exporter
  delegate_to: backup.example.org
"""

RETURN = r"""
path:
  description: The file; null when it could not be written.
  returned: success
  type: str
  sample: /var/lib/prometheus/node-exporter/seafile_backup_srv%2Fseafile-backup.prom
servers:
  description: How many servers it tells of.
  returned: success
  type: int
  sample: 20
warnings_told:
  description: Why nothing was written, and what could not be read; one sentence each.
  returned: success
  type: list
  elements: str
  sample: []
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import catalogue, metrics
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import write_atomically
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import printable, run_module
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import encode_name

# node_exporter runs as an account of its own; nothing in the file is a secret
_MODE = 0o644


def file_name(backup_root):
    """The file of one directory of backups: a host may have several, and two must not write into one file."""
    return f"seafile_backup_{encode_name(backup_root.strip('/'))}.prom"


def _read(path):
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (OSError, ValueError):
        return ""


def leave(module):
    """Write the metrics, if that can be done."""
    root, directory = module.params["backup_root"], module.params["metrics_dir"]
    path = os.path.join(directory, file_name(root))
    told, changed, before, text, servers = [], False, "", "", 0
    try:
        if not os.path.isdir(root):
            # a disk that is not mounted: yesterday's figures age and alarm, a file without servers would not
            raise OSError(0, "there is no such directory, so yesterday's metrics stay", root)
        found = catalogue.of_host(root, utc_now())
        text, servers = metrics.render(metrics.of_catalogue(found)), len(found["servers"])
        told += found["problems"] + [problem for server in found["servers"] for problem in server["problems"]]
        before = _read(path)
        changed = before != text
        if not os.path.isdir(directory):
            raise OSError(0, "there is no such directory", directory)
        if changed and module.check_mode and not os.access(directory, os.W_OK):
            raise OSError(0, "it may not be written to", directory)
        if changed and not module.check_mode:
            write_atomically(path, text.encode("utf-8"), _MODE)
            os.chmod(path, _MODE)  # whatever the umask took away
    except OSError as error:
        told.insert(0, f"no metrics were left for Prometheus: {error.filename or directory}: {error.strerror or error}")
        path, changed = None, False
    told = [printable(sentence) for sentence in told[:10]]
    for sentence in told:
        module.warn(sentence)
    result = {"changed": changed, "path": path, "servers": servers, "warnings_told": told}
    if changed and module._diff:
        result["diff"] = {"before": before, "after": text, "before_header": path, "after_header": path}
    return result


def main():
    module = AnsibleModule(
        argument_spec={"backup_root": {"type": "path", "required": True}, "metrics_dir": {"type": "path", "required": True}}, supports_check_mode=True)
    run_module(module, leave)


if __name__ == "__main__":
    main()
