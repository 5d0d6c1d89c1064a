# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import os

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import known_heads, pointers

SET = "20261123T030000Z"
LIBRARY = "f80ccfb3-2029-4f0f-9307-49b17b935c56"
ORIGIN = "b0d6c8d0-d232-4563-9899-d92e9741eb8b"


def found():
    tables = {name: [] for name in pointers.TABLES}
    tables["Repo"] = [{"repo_id": LIBRARY}, {"repo_id": ORIGIN}]
    tables["Branch"] = [{"repo_id": LIBRARY, "commit_id": "1" * 40}, {"repo_id": ORIGIN, "commit_id": "2" * 40}]
    tables["VirtualRepo"] = [{"repo_id": LIBRARY, "origin_repo": ORIGIN, "path": "/a", "base_commit": "3" * 40}]
    return pointers.make_pointers(tables)


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "heads.json"
    path.write_bytes(known_heads.encode(SET, known_heads.known_of(found())))
    path.chmod(0o600)
    return path


def doubt(path, set_id=SET):
    with pytest.raises(known_heads.Doubt) as caught:
        known_heads.read(str(path), set_id)
    return str(caught.value)


def test_what_was_written_is_read(written):
    known = known_heads.read(str(written), SET)
    assert known == known_heads.known_of(found())
    assert known[LIBRARY] == ("live", frozenset([bytes([0x11] * 20)]), ORIGIN, bytes([0x33] * 20))


def test_the_heads_of_another_set_are_not_believed(written):
    assert "another set" in doubt(written, "20261124T030000Z")


def test_no_changed_byte_is_believed(written):
    content = written.read_bytes()
    for at in range(0, len(content), 7):
        written.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1:])
        assert "damaged" in doubt(written)
        written.write_bytes(content[:at])
        assert "damaged" in doubt(written)


@pytest.mark.parametrize("change", [
    dict(libraries=[]), dict(libraries={"x": {}}), dict(libraries={LIBRARY: None}), dict(set_id=5), dict(format=2), dict(format=None),
    dict(libraries={LIBRARY: {"kind": "live", "heads": ["zz"], "store": LIBRARY, "base": None}}),
    dict(libraries={LIBRARY: {"kind": "live", "heads": 7, "store": LIBRARY, "base": None}}),
    dict(libraries={LIBRARY: {"kind": "dead", "heads": [], "store": LIBRARY, "base": None}}),
    dict(libraries={LIBRARY: {"kind": "live", "heads": [], "store": "../..", "base": None}}),
    dict(libraries={"../../etc": {"kind": "live", "heads": [], "store": LIBRARY, "base": None}}),
])
def test_what_is_no_list_of_heads_is_not_believed_though_its_digest_fits(written, change):
    document = dict(json.loads(written.read_bytes().splitlines()[0]), **change)
    line = json.dumps(document).encode() + b"\n"
    written.write_bytes(line + hashlib.sha256(line).hexdigest().encode() + b"\n")
    assert doubt(written)


def test_a_file_that_is_missing_a_link_or_open_to_others_is_not_believed(written, tmp_path):
    assert "no known heads" in doubt(tmp_path / "none.json")
    link = tmp_path / "link.json"
    os.symlink(written, link)
    assert "cannot be read" in doubt(link)
    assert "another account" in doubt(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    assert "another account" in doubt(tmp_path / "fifo")
    written.chmod(0o620)
    assert "another account" in doubt(written)
