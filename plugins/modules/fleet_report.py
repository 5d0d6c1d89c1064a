#!/usr/bin/python
# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_report
short_description: Judge the backups of a fleet, and write a page about them
version_added: "0.2.0"
author: The seafleet.seafile contributors (@seafleet)
description:
  - Holds the age of each server's newest verified set against what was promised, and says what is to be looked at first. A backup host that
    could not be read is named, and so are its servers.
  - Writes O(dest)C(/fleet.html), one page that stands alone (no script, nothing from elsewhere), and O(dest)C(/fleet.json) with the same facts.
    RV(lines) are the same for a log; they are also shown while the play runs.
  - Files with the same facts stay as they are for O(refresh_after) seconds. After that the moment at which they were looked at is news too.
  - Runs on the host that keeps the page, by default the controller.
extends_documentation_fragment: [seafleet.seafile.attributes]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the lines of the log, not the page.
  platform:
    support: full
    platforms: posix
options:
  catalogues:
    description:
      - The results of M(seafleet.seafile.catalogue_info) in a loop over what the filter P(seafleet.seafile.backup_places#filter) returns, also
        those of hosts that failed or could not be reached.
    type: list
    elements: dict
    required: true
  servers:
    description: All servers that are asked about. One that no place of O(catalogues) holds is named as one that nobody backs up.
    type: list
    elements: str
    default: []
  promise_hours:
    description: The newest verified set of a server may be so many hours old.
    type: float
    default: 26
  promises:
    description: Hours of servers that were promised something else, by name.
    type: dict
    default: {}
  drill_days:
    description: The last restore drill that passed may be so many days old; V(0) to promise nothing of drills.
    type: float
    default: 0
  title:
    description: The title of the page.
    type: str
    default: Seafile backups
  dest:
    description: The directory of the files. It is made, private to the account that runs this, when it is missing. Without it nothing is written.
    type: path
  mode:
    description: The mode of the files, as an octal number in quotes. They hold names of servers, libraries and files, and no secret.
    type: str
    default: "0600"
  refresh_after:
    description: Seconds for which files with the same facts stay as they are; V(0) writes them each time.
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: Read every backup host
  seafleet.seafile.catalogue_info:
    backup_root: "{{ item.backup_root }}"
  loop: "{{ groups.seafile_servers | seafleet.seafile.backup_places(hostvars) }}"
  delegate_to: "{{ item.backup_host }}"
  run_once: true
  ignore_errors: true
  ignore_unreachable: true
  register: catalogues

- name: Judge, and write the page
  seafleet.seafile.fleet_report:
    catalogues: "{{ catalogues.results }}"
    servers: "{{ groups.seafile_servers }}"
    dest: /srv/www/backups
    mode: "0640"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
headline:
  description: The report in one sentence.
  returned: success
  type: str
  sample: 17 of 20 servers have a verified backup of the last 26 hours; 2 overdue, 1 not seen.
lines:
  description: The report for a log, a line each.
  returned: success
  type: list
  elements: str
  sample: ["Seafile backups, looked at 2026-11-23 06:00 UTC"]
totals:
  description: How many C(servers) there are, and of them C(kept), C(attention), C(overdue), C(never), C(unknown); C(promise_kept) is the sum of the first two.
  returned: success
  type: dict
  sample: {servers: 20, kept: 17, attention: 0, overdue: 2, never: 0, unknown: 1, promise_kept: 17}
servers:
  description: Each server with its C(verdict), C(age_seconds), C(verified) (a set id) and C(look), the worst first.
  returned: success
  type: list
  elements: dict
  sample: [{server: files.example.org, verdict: kept, age_seconds: 10800, verified: 20261123T030000Z, look: []}]
files:
  description: The files, whether they were written or stayed.
  returned: success
  type: list
  elements: str
  sample: [/srv/www/backups/fleet.html, /srv/www/backups/fleet.json]
code:
  description: Stable code of the failure.
  returned: failure
  type: str
  sample: report-mode
"""

import json
import os
import stat

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.seafleet.seafile.plugins.module_utils import catalogue, fleet_page, fleet_report, report_table
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, write_atomically
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_time, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError, run_module

PAGE = "fleet.html"
FACTS = "fleet.json"
_LONGEST = 600
_TOLD = ("server", "verdict", "age_seconds", "verified", "look")


def require_mode(text):
    """Return the mode that I(text) says. Raises C(report-mode)."""
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777 or mode & 0o111:
        raise SeafileError("report-mode", f"mode {text!r}", "it is not the mode of a file that is read")
    return mode


def place_of(result):
    """Return a place as :func:`fleet_report.build` takes it: with its catalogue, or why there is none. Raises C(report-places)."""
    place = result.get("item")
    if not isinstance(place, dict) or not {"backup_host", "backup_root", "servers"} <= set(place):
        raise SeafileError("report-places", "catalogues", "an entry does not say which place it is of (item)")
    place = {key: place[key] for key in ("backup_host", "backup_root", "servers")}
    if result.get("format") == catalogue.FORMAT and not result.get("failed") and not result.get("unreachable"):
        return dict(place, catalogue=result)
    message = " ".join(str(result.get("msg") or "it gave no answer").split())
    host = f"{place['backup_host']}: "
    return dict(place, message=(message[len(host) :] if message.startswith(host) else message)[:_LONGEST])


def places_of(params):
    """Return all places, and behind them, as one without a host, the servers that are in none."""
    places = [place_of(result) for result in params["catalogues"]]
    kept = {server for place in places for server in place["servers"]}
    homeless = [server for server in params["servers"] if server not in kept]
    return places + ([{"backup_host": None, "backup_root": None, "servers": homeless}] if homeless else [])


def read(path):
    """Return the report that the file I(path) holds, None when there is none."""
    try:
        with open(path, encoding="ascii") as stream:
            value = json.load(stream)
        as_time(value["made"])
        report_table.lines(value)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None
    return value


def is_fresh(directory, report, before, refresh_after, mode):
    """Say whether the files may stay: the same facts, looked at a moment ago, in files with that mode."""
    if before is None or not fleet_report.same_facts(before, report):
        return False
    if not 0 <= (as_time(report["made"]) - as_time(before["made"])).total_seconds() < refresh_after:
        return False
    for name in (PAGE, FACTS):
        try:
            found = os.lstat(os.path.join(directory, name))
        except OSError:
            return False
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) != mode:
            return False
    return True


def make(module):
    """Judge, and write."""
    params = module.params
    mode = require_mode(params["mode"])
    try:
        promises = {server: float(hours) for server, hours in params["promises"].items()}
    except (TypeError, ValueError):
        raise SeafileError("report-places", "promises", "they are not hours by server") from None
    report = json.loads(
        fleet_report.as_json(fleet_report.build(places_of(params), utc_now(), params["title"], params["promise_hours"], promises, params["drill_days"]))
    )
    lines = report_table.lines(report)
    result = {
        "changed": False,
        "headline": fleet_report.headline(report),
        "lines": lines,
        "totals": report["totals"],
        "servers": [{key: server[key] for key in _TOLD} for server in report["servers"]],
        "files": [],
    }
    directory = params["dest"]
    if not directory:
        return result
    result["files"] = [os.path.join(directory, name) for name in (PAGE, FACTS)]
    before = read(result["files"][1])
    if is_fresh(directory, report, before, params["refresh_after"], mode):
        return result
    result["changed"] = True
    if module._diff:
        told = report_table.lines(before) if before else []
        result["diff"] = {
            "before": "\n".join(told) + "\n" if told else "",
            "after": "\n".join(lines) + "\n",
            "before_header": directory,
            "after_header": directory,
        }
    if not module.check_mode:
        make_private_directory(directory)
        # the page last: who reads it finds the facts beside it
        for name, content in ((FACTS, fleet_report.as_json(report)), (PAGE, fleet_page.page(report))):
            path = os.path.join(directory, name)
            write_atomically(path, content.encode("utf-8"), mode)
            os.chmod(path, mode)  # whatever the umask took away
    return result


def main():
    module = AnsibleModule(
        argument_spec={
            "catalogues": {"type": "list", "elements": "dict", "required": True},
            "servers": {"type": "list", "elements": "str", "default": []},
            "promise_hours": {"type": "float", "default": 26},
            "promises": {"type": "dict", "default": {}},
            "drill_days": {"type": "float", "default": 0},
            "title": {"type": "str", "default": "Seafile backups"},
            "dest": {"type": "path"},
            "mode": {"type": "str", "default": "0600"},
            "refresh_after": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    run_module(module, make)


if __name__ == "__main__":
    main()
