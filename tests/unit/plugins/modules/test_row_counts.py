# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.modules import row_counts
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import real_sets

NAME = "seafile-data/seafile.db"


def run(**given):
    params = {"dumps": [{"name": NAME, "engine": "sqlite", "file": "seafile.db.sql.gz", "sha256": "ab"}], "src": None, "names": {}, "seafile_root": None}
    return row_counts.count(types.SimpleNamespace(params={**params, **given}, check_mode=False))


def test_the_dumps_and_the_files_made_of_them_have_the_same_counts(tmp_path):
    haiwen = real_sets.unpack("seafile-7-sqlite", tmp_path)
    shutil.copy(real_sets.dump("seafile-7-sqlite", haiwen, tmp_path), tmp_path / "seafile.db.sql.gz")
    expected, found = run(src=str(tmp_path)), run(seafile_root=str(haiwen))
    assert found["rows"][NAME]["Branch"] > 0 and expected["rows"] == found["rows"] and expected["total"] == found["total"] > 0


def test_a_missing_file_and_a_missing_directory_have_codes(tmp_path):
    for given, code in (({"seafile_root": str(tmp_path)}, "sqlite-missing"), ({}, "path-invalid"), ({"src": str(tmp_path)}, "dump-missing")):
        with pytest.raises(SeafileError) as caught:
            run(**given)
        assert caught.value.code == code
