# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing into libraries of a deployed fixture, as the server writes: objects, then the head in the database."""

from __future__ import annotations

import json
import shlex
import typing as t

import testhosts

from fleet import FIXTURES, Fleet

WRITER = testhosts.PROJECT / "tests" / "writer" / "writer.py"

# One new version of one file in each library, and the head moved to it; prints what was written, as JSON.
WRITE = """
import json, os, sqlite3, subprocess, sys
sys.path.insert(0, "/root")
import writer
root, number, engine = sys.argv[1], int(sys.argv[2]), sys.argv[3]
store = writer.Store(os.path.join(root, "seafile-data", "storage"))
written = {}
for library in sys.argv[4:]:
    if engine == "sqlite":
        database = sqlite3.connect(root + "/seafile-data/seafile.db")
        ask = lambda statement: database.execute(statement).fetchall()
    else:
        ask = lambda statement: [line.split("\\t") for line in subprocess.run(
            ["mariadb", "--batch", "--skip-column-names", "seafile-db", "-e", statement], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()]
    before = ask(f"SELECT commit_id FROM Branch WHERE repo_id = '{library}'")[0][0]
    commit, path, sha256, size = writer.write_once(store, library, before, number)
    ask(f"UPDATE Branch SET commit_id = '{commit}' WHERE repo_id = '{library}'")
    if engine == "sqlite":
        database.commit()
        database.close()
    written[library] = {"before": before, "commit": commit, "path": path, "sha256": sha256}
print(json.dumps(written))
"""


def library_ids(fixture: str, *names: str) -> dict[str, str]:
    """The ids of the fixture's libraries I(names), by name."""
    manifest = json.loads((FIXTURES / fixture / "MANIFEST.json").read_text(encoding="utf-8"))
    return {library["name"]: library["id"] for library in manifest["libraries"] if library["name"] in names}


def prepare(fleet: Fleet, machine: str) -> None:
    """Bring the writer to I(machine)."""
    fleet.group.put(machine, WRITER, "/root/writer.py")
    fleet.run(machine, f"printf %s {shlex.quote(WRITE)} > /root/write.py")


def write(fleet: Fleet, server: str, engine: str, libraries: t.Iterable[str], number: int) -> dict[str, t.Any]:
    """Write into I(libraries) of I(server); return by library its head before, its commit, and the file's path and SHA-256."""
    machine = fleet.servers[server]["machine"]
    return json.loads(fleet.run(machine, f"python3 /root/write.py {fleet.root(server)} {number} {engine} {' '.join(libraries)}"))
