# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes at once: what becomes of the others when one fails. What rsync itself does is tested with the real one (target set_pull)."""

from __future__ import annotations

import os
import sys
import time

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import rsync, streams
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.object_parts import Part
from ansible_collections.seafleet.seafile.plugins.module_utils.progress import Progress
from ansible_collections.seafleet.seafile.plugins.module_utils.ssh_connection import Connections

# Stands for rsync: does what the name of its list says, and notes its pid, so that it can be seen to have ended.
PROGRAM = """#!{python}
import os, sys, time
name, = [word.rpartition("/")[2] for word in sys.argv if word.startswith("--files-from=")]
with open(os.path.join({top!r}, name + ".pid"), "w") as stream:
    stream.write(str(os.getpid()))
with open(os.path.join({top!r}, "limits"), "a") as stream:
    stream.writelines(word + "\\n" for word in sys.argv if word.startswith("--bwlimit="))
if name.startswith("hangs"):
    time.sleep(600)
if name.startswith("fails"):
    while not os.path.exists(os.path.join({top!r}, "hangs.pid")):
        time.sleep(0.01)
    time.sleep(0.5)
    print("rsync: [sender] link_stat \\"/srv/x\\" failed: No such file or directory (2)", file=sys.stderr)
    sys.exit(23)
if name.startswith("lost") and not os.path.exists(os.path.join({top!r}, "again")):
    open(os.path.join({top!r}, "again"), "w").close()
    print("client_loop: send disconnect: Broken pipe", file=sys.stderr)
    sys.exit(255)
print(">f+++++++++ blocks/11111111-2222-3333-4444-555555555555/ab/cccccccccccccccccccccccccccccccccccccc")
print("Number of files: 3 (reg: 2, dir: 1)")
print("Number of regular files transferred: 1")
print("Total transferred file size: 100 bytes")
"""


@pytest.fixture
def pull(tmp_path):
    program = tmp_path / "rsync"
    program.write_text(PROGRAM.format(python=sys.executable, top=str(tmp_path)))
    program.chmod(0o755)

    def run(names, count, retries=0, limit=0):
        parts = [Part(listed=str(tmp_path / name)) for name in names]
        plan = streams.Plan(
            str(program), rsync.Pull("objects", "/srv", str(tmp_path / "dest"), bandwidth_limit=limit), "/srv", parts, count, retries, Connections(None),
            str(tmp_path / "slots"), 2)
        return streams.pull(plan, Progress(str(tmp_path / "progress.json"), "pull"))

    return run


def gone(tmp_path, name):
    try:
        os.kill(int((tmp_path / f"{name}.pid").read_text()), 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("count", [1, 2, 4])
def test_every_part_is_pulled_once_and_counted(tmp_path, pull, count):
    report = pull([f"part{number}" for number in range(6)], count)
    assert (report.listed, report.transferred, report.bytes_transferred, report.arrived) == (12, 6, 600, 6)
    assert len(list(tmp_path.glob("*.pid"))) == 6


def test_when_one_fails_the_others_are_ended_and_its_reason_is_told(tmp_path, pull):
    began = time.monotonic()
    with pytest.raises(SeafileError) as caught:
        pull(["hangs", "fails", "never"], 2)
    assert caught.value.code == "source-missing" and time.monotonic() - began < 300
    assert gone(tmp_path, "hangs") and not (tmp_path / "never.pid").exists()


def test_a_lost_connection_is_tried_again_for_its_part_alone(tmp_path, pull):
    report = pull(["part0", "lost", "part1"], 2, retries=1)
    assert report.transferred == 3


def test_the_limit_holds_for_all_streams_together(tmp_path, pull):
    pull(["part0", "part1", "part2"], 2, limit=1000)
    assert set((tmp_path / "limits").read_text().split()) == {"--bwlimit=500"}


def test_nothing_to_pull_starts_nothing(tmp_path, pull):
    assert pull([], 4).transferred == 0 and not list(tmp_path.glob("*.pid"))
