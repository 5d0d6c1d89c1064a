# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import os

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import scratch
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

NOW = datetime.datetime(2026, 11, 23, 3, 0, 0, tzinfo=datetime.timezone.utc)


def test_a_place_is_private_and_goes_whole(tmp_path):
    parent = str(tmp_path / "drills")
    made = scratch.make(parent, "files.example.org", NOW, False)
    prefix = scratch.prefix_of("files.example.org", NOW)
    assert made == {"path": f"{parent}/files.example.org-20261123T030000Z", "prefix": prefix, "socket": None, "port": None, "user": None}
    assert os.stat(made["path"]).st_mode & 0o777 == 0o700
    os.makedirs(os.path.join(made["path"], "haiwen", "conf"))
    assert scratch.remove(made["path"], None) == [made["path"]]
    assert not os.path.exists(parent) and scratch.remove(made["path"], None) == []


def test_what_no_drill_has_made_is_never_removed(tmp_path):
    (tmp_path / "haiwen").mkdir()
    (tmp_path / "haiwen" / "file").write_text("precious")
    made = scratch.make(str(tmp_path), "x", NOW, False)
    os.symlink(made["path"], tmp_path / "link")
    for name in ("haiwen", "link"):
        with pytest.raises(SeafileError) as caught:
            scratch.remove(str(tmp_path / name), None)
        assert caught.value.code == "not-a-drill"
    assert (tmp_path / "haiwen" / "file").exists() and os.path.isdir(made["path"])


def test_two_drills_of_one_server_in_one_second_do_not_share_a_place(tmp_path):
    scratch.make(str(tmp_path), "x", NOW, False)
    with pytest.raises(SeafileError) as caught:
        scratch.make(str(tmp_path), "x", NOW, False)
    assert caught.value.code == "drill-running"


def test_only_places_of_the_same_server_that_died_long_ago_count_as_abandoned(tmp_path):
    day = datetime.timedelta(days=1)
    old = scratch.make(str(tmp_path), "x", NOW - 2 * day, False)["path"]
    scratch.make(str(tmp_path), "x", NOW - day / 2, False)
    scratch.make(str(tmp_path), "y", NOW - 2 * day, False)
    (tmp_path / "x-20200101T000000Z").mkdir()
    assert scratch.abandoned(str(tmp_path), "x", NOW) == [old]
    assert scratch.abandoned(str(tmp_path / "absent"), "x", NOW) == []


def test_databases_get_names_of_their_own_that_no_server_refuses():
    prefix = scratch.prefix_of("files.example.org", NOW)
    assert prefix.startswith("drill_20261123t030000z_") and prefix != scratch.prefix_of("other", NOW)
    long = ["a" * 64, "a" * 63 + "b", "seafile-db"]
    names = scratch.names_of(long, prefix)
    assert list(names) == long and len(set(names.values())) == 3
    assert all(name.startswith(prefix) and len(name) <= 64 for name in names.values())


@pytest.mark.parametrize("prefix", ["", "drill_", "seafile", "%"])
def test_a_prefix_that_others_could_have_drops_nothing(prefix):
    with pytest.raises(SeafileError) as caught:
        scratch.drop(None, prefix)
    assert caught.value.code == "not-a-drill"
