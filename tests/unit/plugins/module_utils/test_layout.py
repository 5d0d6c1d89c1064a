# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import itertools
import os

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import layout
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout

ODD = ["-rf", ".hidden", "..", "a/b", "a%2Fb", "a b", "a`b", "a'b\"",
       "\u00fc", "\udcff", "A", "a", "~", "%7E", "%2E", ".", "%2Ehidden", "a\nb", "\u4e2d" * 64, "x" * 300]


def test_names_never_meet_in_one_file():
    names = ODD + ["".join(letters) for letters in itertools.product("a.-%/~2E", repeat=3)] + ["\u4e2d" * 64 + "x", "x" * 301, "x" * 299]
    assert len({layout.encode_name(name) for name in names}) == len(set(names))


@pytest.mark.parametrize("name", ODD)
def test_a_name_is_a_plain_file_name_and_never_too_long(name, tmp_path):
    encoded = layout.encode_name(name)
    assert encoded[0] not in ".-" and set(encoded) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.%")
    (tmp_path / f".{encoded}.sql.gz.partial").write_bytes(b"")


def test_plain_names_stay_as_they_are():
    for name in ("seafile-db", "ccnet_db", "seahub.db"):
        assert layout.encode_name(name) == name


@pytest.mark.parametrize("set_id, valid", [
    ("20261123T030000Z", True), ("20261123T030000Z\n", False), ("20261323T030000Z", False), ("20261123T250000Z", False), ("2026112T030000Z", False),
    ("../20261123T030000Z", False), ("", False), ("\u0662\u0660261123T030000Z", False),
])
def test_a_set_id_is_a_moment_and_nothing_else(set_id, valid):
    assert (layout.set_time(set_id) is not None) == valid
    if valid:
        assert layout.new_set_id(layout.require_set_id(set_id)) == set_id
    else:
        with pytest.raises(SeafileError) as caught:
            layout.require_set_id(set_id)
        assert caught.value.code == "set-id-invalid"


def test_a_set_id_is_in_utc_wherever_the_clock_is():
    moment = datetime.datetime(2026, 10, 25, 2, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    assert layout.new_set_id(moment) == "20261025T003000Z"


def test_everything_of_a_server_lies_below_its_directory():
    place = ServerLayout("/srv/backup", "files.example.org")
    paths = [place.objects, place.sets, place.state, place.guide, place.sealed("20261123T030000Z"), place.partial("20261123T030000Z"),
             place.object_list("20261123T030000Z"), place.quarantine, place.proved, place.proved_lock, place.heal, place.source,
             place.verification("20261123T030000Z"), place.verification_page("20261123T030000Z"), place.keep("20261123T030000Z"),
             place.removed("20261123T030000Z"), place.removed("20261123T030000Z", sealed=False), place.restores]
    assert [os.path.relpath(path, "/srv/backup/files.example.org") for path in paths] == [
        "objects", "sets", "state", "RESTORE.md", "sets/20261123T030000Z", "sets/.20261123T030000Z.partial", "state/restore/20261123T030000Z/objects.list",
        "quarantine", "state/proved", "state/verify.lock", "state/heal", "state/source.json", "sets/20261123T030000Z.verification.json",
        "sets/20261123T030000Z.verification.txt", "sets/20261123T030000Z.keep", "sets/.20261123T030000Z.removed",
        "sets/.20261123T030000Z.partial.removed", "state/restore"]


@pytest.mark.parametrize("server", ["", ".", "..", ".x", "a/b", "a\0b", "a\nb", "\x1b[31m", "\udcff"])
def test_a_name_that_is_no_directorys_is_refused(server):
    with pytest.raises(SeafileError) as caught:
        ServerLayout("/srv/backup", server)
    assert caught.value.code == "server-name"


@pytest.mark.parametrize("server", ["files.example.org", "a b", "-x", "\u00fc", "a'b\"c`d"])
def test_any_other_name_is_taken(server):
    assert ServerLayout("/srv/backup", server).root == f"/srv/backup/{server}"


@pytest.mark.parametrize("root", ["relative", "", "/", "//", "/../", "/srv\n"])
def test_a_root_that_is_not_a_directory_of_its_own_is_refused(root):
    with pytest.raises(SeafileError) as caught:
        ServerLayout(root, "server1")
    assert caught.value.code == "backup-root"
