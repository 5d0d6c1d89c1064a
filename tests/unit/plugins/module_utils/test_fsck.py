# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import json
import os
import pathlib
import time
import tracemalloc
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.seafleet.seafile.plugins.module_utils import fsck
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.properties import examples

# What the real seaf-fsck 11.0.13 said of each damage of damage.json, its time and level taken off.
SAYS = {damage["name"]: damage["seaf_fsck_says"] for damage in json.loads((real_sets.FIXTURES / "damage.json").read_text(encoding="utf-8"))["damages"]}
BIG, SMALL = "b0d6c8d0-d232-4563-9899-d92e9741eb8b", "08cb4330-5c51-4e91-a6a0-5409053e95af"
VIRTUAL = "f80ccfb3-0000-4000-8000-000000000000"


def understood(lines, completed=True):
    return fsck.read(io.BytesIO("".join(line + "\n" for line in lines).encode("utf-8")), completed)


def short(reader):
    return [(finding.library, finding.kind, finding.damage, finding.id, finding.path) for finding in reader.findings]


@pytest.mark.parametrize("name, expected", [
    ("bitflip_block", [("b0d6c8d0", "blocks", "damaged", "04c6772aabd34a8ffa1baf06bbb76175a7da8e79", "/big/random-300k.bin")]),
    ("missing_block", [("b0d6c8d0", "blocks", "missing", "a84dcfb04072112e2942544c65c89fcb16262d4d", "/big/large-20MiB.bin")]),
    ("missing_fs_dir", [
        ("f80ccfb3", "fs", "missing", "ea850a6fa13ff5ec1d07cc494171c8e90ed53c86", "/\u00dcbung"),
        ("b0d6c8d0", "fs", "missing", "ea850a6fa13ff5ec1d07cc494171c8e90ed53c86", "/Projekte/\u00dcbung")]),
    ("missing_fs_root", [
        ("b0d6c8d0", "fs", "missing", "574910ee6cb729da23038d0ffb761f7ed49cdabe", "/"),
        ("b0d6c8d0", "head", "damaged", None, None)]),
    ("missing_head_commit", [
        ("08cb4330", "commits", "missing", "4bb857aec4dab87a16baed28f65fa7951291b610", None), ("08cb4330", "head", "damaged", None, None)]),
    ("missing_old_commit", []),
    ("stray_files", []),
    ("truncated_head_commit", [
        ("08cb4330", "commits", "failed", None, None), ("08cb4330", "commits", "missing", "4bb857aec4dab87a16baed28f65fa7951291b610", None),
        ("08cb4330", "head", "damaged", None, None)]),
])
@pytest.mark.parametrize("around", ["bare", "11", "7"])
def test_the_words_of_the_real_program_are_understood(name, expected, around):
    before = {"bare": "", "11": "[2026-11-23 03:34:19] [WARNING] ", "7": "[11/23/26 03:34:19] "}[around]
    lines = [before + line for line in SAYS[name]]
    if around != "bare":
        # All of a run is printed library after library; what was captured for one library stands within its two lines.
        owner = {"bitflip_block": BIG, "missing_block": BIG, "missing_fs_root": BIG}.get(name, SMALL)
        if name == "missing_fs_dir":
            lines = [before + f"fsck.c(1): Running fsck for repo {VIRTUAL}."] + lines[:2] + [before + "fsck.c(2): Fsck finished for repo f80ccfb3."] + [
                before + f"fsck.c(1): Running fsck for repo {BIG}."] + lines[2:] + [before + "fsck.c(2): Fsck finished for repo b0d6c8d0."]
        else:
            lines = [before + f"fsck.c(1): Running fsck for repo {owner}.",
                     before + f"fsck.c(3): Checking file system integrity of repo A is damaged({owner[:8]})..."
                     ] + lines + [before + f"fsck.c(2): Fsck finished for repo {owner[:8]}.", ""]
    reader = understood(lines)
    assert short(reader) == expected
    if around != "bare":
        result = reader.result()
        assert result["checked"] == (2 if name == "missing_fs_dir" else 1) and result["healthy"] == (0 if expected else 1)
        assert {finding["library_id"] for finding in result["findings"]} <= {BIG, SMALL, VIRTUAL}


@pytest.mark.parametrize("line, expected", [
    ("fsck.c(88): Repo[b0d6c8d0] file /a(b)/c(157a3f0a)(157a3f0b) is damaged.", ("b0d6c8d0", "fs", "damaged", "157a3f0b", "/a(b)/c(157a3f0a)")),
    ("Repo[b0d6c8d0] dir /x is damaged(0)/(157a3f0b) is damaged.", ("b0d6c8d0", "fs", "damaged", "157a3f0b", "/x is damaged(0)")),
    ("Failed to check blocks for repo[b0d6c8d0] file /a(157a3f0a).", ("b0d6c8d0", "fs", "failed", "157a3f0a", "/a")),
    ("No available commits for repo b0d6c8d0, can't be repaired.", ("b0d6c8d0", "head", "unrepairable", None, None)),
    ("No available commits found for repo b0d6c8d0, can't be repaired.", ("b0d6c8d0", "head", "unrepairable", None, None)),
    (f"Failed to get head commit {'a' * 40} of repo {BIG}", ("b0d6c8d0", "commits", "failed", "a" * 40, None)),
    (f"Failed to get seafile: {BIG}/{'a' * 40}", ("", "fs", "failed", "a" * 40, None)),
    ("Repo b0d6c8d0 doesn't exist.", ("b0d6c8d0", "library", "unknown-library", None, None)),
    ("Out of memory, stop to run fsck for repo b0d6c8d0.", ("", "library", "failed", None, None)),
    ("seaf-fsck.sh: line 52: 4711 Segmentation fault", ("", "library", "failed", None, None)),
])
def test_each_of_its_sentences_has_a_meaning(line, expected):
    assert short(understood([line])) == [expected]


def test_a_library_that_it_began_and_never_finished_is_told_unless_it_was_ended():
    lines = [f"Running fsck for repo {SMALL}.", "Fsck finished for repo 08cb4330.", f"Running fsck for repo {BIG}."]
    assert short(understood(lines)) == [("b0d6c8d0", "library", "unfinished", None, None)]
    assert understood(lines).healthy == 1
    assert short(understood(lines, completed=False)) == [] and understood(lines, completed=False).healthy == 1


def test_an_id_of_which_two_libraries_begin_alike_is_not_guessed():
    lines = []
    for end in "12":
        lines += [f"Running fsck for repo b0d6c8d0-0000-4000-8000-00000000000{end}.", f"Dir {end * 40} is missing.", "Fsck finished for repo b0d6c8d0."]
    assert [finding["library_id"] for finding in understood(lines).result()["findings"]] == [None, None]


@examples(150)
@given(st.lists(st.one_of(st.sampled_from(sorted({line for lines in SAYS.values() for line in lines})), st.text(max_size=60), st.sampled_from([
    f"Running fsck for repo {BIG}.", "Fsck finished for repo b0d6c8d0.", "Repo[b0d6c8d0] file (157a3f0a) is damaged.", "[] [",
    "Repo[b0d6c8d0] file"])), max_size=12),
    st.binary(max_size=30))
def test_no_output_at_all_leads_astray(lines, rest):
    reader = fsck.read(io.BytesIO("\n".join(lines).encode("utf-8", "replace") + b"\n" + rest))
    json.dumps(reader.result())
    assert reader.findings_total >= len(reader.findings) and 0 <= reader.healthy <= len(reader.checked)


def test_memory_is_bounded_whatever_it_prints(tmp_path):
    path = tmp_path / "output"
    with open(path, "wb") as stream:
        stream.write(f"Running fsck for repo {BIG}.\n".encode())
        for number in range(12000):
            stream.write(f"Repo[b0d6c8d0] block {number:040x} is missing.\nRepo[b0d6c8d0] file /some/long/path/{number}(157a3f0a) is damaged.\n".encode())
        stream.write(b"x" * 5000000)
    tracemalloc.start()
    with open(path, "rb") as stream:
        reader = fsck.read(stream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(reader.findings) == fsck.MOST_FINDINGS and reader.findings_total >= 12000
    assert peak < 8 * 1024 * 1024


# --- running a stand-in -------------------------------------------------------------------------------------------


@pytest.fixture(name="top")
def fixture_top(tmp_path):
    """A deployment with a script that prints its arguments; no program of Seafile can be installed for unit tests."""
    programs = tmp_path / "seafile-server-11.0.13"
    (programs / "seafile" / "bin").mkdir(parents=True)
    (programs / "seafile" / "bin" / "seaf-fsck").write_text("#!/bin/sh\n", encoding="ascii")
    (programs / "seafile" / "bin" / "seaf-fsck").chmod(0o755)
    (programs / "seaf-fsck.sh").write_text('printf "%s\\n" "$#" "$@"\n', encoding="ascii")
    (tmp_path / "seafile-server-latest").symlink_to("seafile-server-11.0.13")
    (tmp_path / "seafile-data").mkdir()
    return tmp_path


def configuration(top):
    return types.SimpleNamespace(root=str(top), programs="seafile-server-11.0.13", data_dir=str(top / "seafile-data"))


def test_it_is_run_with_the_ids_and_nothing_else(top, tmp_path):
    program, reason = fsck.find_program(configuration(top))
    assert reason == "" and program.path == str(top / "seafile-server-latest" / "seaf-fsck.sh") and program.uid == os.geteuid()
    with open(tmp_path / "output", "w+b") as output:
        assert fsck.run(program, [BIG, SMALL], 10, output)
        output.seek(0)
        assert output.read().decode("ascii").split() == ["2", BIG, SMALL]


@pytest.mark.parametrize("library", ["--repair", "-r", "-E", "/tmp", f"{BIG} --repair", f"{BIG}\n", BIG.upper(), ""])
def test_nothing_but_an_id_reaches_its_arguments(top, library, tmp_path):
    program = fsck.find_program(configuration(top))[0]
    with open(tmp_path / "output", "w+b") as output:
        for call in (lambda: fsck.require_libraries([library]), lambda: fsck.run(program, [library], 10, output)):
            with pytest.raises(SeafileError) as caught:
                call()
            assert caught.value.code == "library-id-invalid"


def test_without_its_programs_or_outside_of_the_deployment_there_is_none(top):
    (top / "seafile-server-latest").unlink()
    assert fsck.find_program(configuration(top))[0].path == str(top / "seafile-server-11.0.13" / "seaf-fsck.sh")
    (top / "elsewhere").mkdir()
    (top / "seafile-server-11.0.13").rename(top / "elsewhere" / "seafile-server-11.0.13")
    assert "not installed" in fsck.find_program(configuration(top))[1]
    (top / "seafile-server-latest").symlink_to("elsewhere/seafile-server-11.0.13")
    program, reason = fsck.find_program(configuration(top))
    assert program is None and "leads out of" in reason


def test_after_its_time_it_and_what_it_started_are_ended(top, tmp_path):
    mark = tmp_path / "pid"
    (top / "seafile-server-11.0.13" / "seaf-fsck.sh").write_text(
        f"trap '' TERM\necho Running fsck for repo {BIG}.\nsleep 300 & echo $! >{mark}\nwait\nsleep 300\n", encoding="ascii")
    with open(tmp_path / "output", "w+b") as output:
        assert not fsck.run(fsck.find_program(configuration(top))[0], [], 1, output)
        output.seek(0)
        assert fsck.read(output, completed=False).checked == [BIG]
    for dummy in range(100):
        if not is_running(int(mark.read_text(encoding="ascii"))):
            return
        time.sleep(0.05)
    raise AssertionError("what it had started still runs")


def is_running(pid):
    """A process that nobody has waited for yet does not run any more."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("lines, libraries, code", [
    (["seaf-fsck.c(170): Current user (0) is not the user for running seafile server (998). Unable to run fsck."], [], "fsck-refused"),
    (["Error: there is no seafile server data directory."], [], "fsck-failed"),
    (["seaf-fsck: error while loading shared libraries: libevent.so.5: cannot open shared object file"], [], "fsck-failed"),
    (["Failed to create seafile session."], [], "fsck-failed"),
    (["Done."], [BIG], "fsck-failed"),
    (["Done."], [], None),
    ([f"Running fsck for repo {BIG}.", "Fsck finished for repo b0d6c8d0."], [BIG], None),
])
def test_what_has_not_looked_at_libraries_is_no_result(lines, libraries, code):
    program = fsck.Program("/opt/seafile/seaf-fsck.sh", 998, 998, "seafile", "/")
    if code is None:
        fsck.require_sense(understood(lines), program, libraries)
        return
    with pytest.raises(SeafileError) as caught:
        fsck.require_sense(understood(lines), program, libraries)
    assert caught.value.code == code
