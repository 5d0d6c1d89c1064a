# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics are left whole or not at all, and what is in the way of them fails nothing (fault 66)."""

from __future__ import annotations

import os
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import atomic
from ansible_collections.seafleet.seafile.plugins.modules import backup_metrics
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import backup_records as records


@pytest.fixture(name="leave")
def _leave(tmp_path):
    root, directory = tmp_path / "srv" / "backup", tmp_path / "collector"
    records.sealed(root, "files", "20261123T030000Z", records.verification())
    directory.mkdir()

    def leave(check_mode=False, diff=False, **given):
        leave.warnings.clear()
        params = {"backup_root": str(root), "metrics_dir": str(directory), **given}
        return backup_metrics.leave(types.SimpleNamespace(params=params, check_mode=check_mode, _diff=diff, warn=leave.warnings.append))
    leave.root, leave.directory, leave.warnings = root, directory, []
    return leave


def test_the_file_can_be_read_by_the_collector_and_only_one_is_left(leave):
    before = os.umask(0o077)
    try:
        result = leave()
    finally:
        os.umask(before)
    assert result["changed"] and result["servers"] == 1 and result["warnings_told"] == leave.warnings == []
    assert os.listdir(leave.directory) == [os.path.basename(result["path"])] and os.stat(result["path"]).st_mode & 0o777 == 0o644
    assert 'seafile_backup_last_verified_timestamp_seconds{server="files"} 1795402800' in open(result["path"], encoding="utf-8").read().splitlines()


def test_two_roots_of_one_host_have_a_file_each(leave):
    assert backup_metrics.file_name("/srv/a-b") == "seafile_backup_srv%2Fa-b.prom"
    assert len({backup_metrics.file_name(root) for root in ("/srv/a-b", "/srv/a/b", "/srv-a/b", "/srv/a")}) == 4


def test_check_mode_writes_nothing_and_diff_shows_the_metrics(leave):
    result = leave(check_mode=True, diff=True)
    assert result["changed"] and os.listdir(leave.directory) == [] and "last_verified" in result["diff"]["after"]


def test_a_missing_directory_fails_nothing_and_is_said(leave):
    result = leave(metrics_dir="/nowhere/at\x1ball")
    assert (result["changed"], result["path"], result["servers"]) == (False, None, 1)
    assert leave.warnings == ["no metrics were left for Prometheus: /nowhere/at\\x1ball: there is no such directory"] == result["warnings_told"]


def test_a_directory_without_rights_fails_nothing_and_is_said(leave, monkeypatch):
    def refuse(*dummy):
        raise PermissionError(13, "Permission denied", str(leave.directory))
    monkeypatch.setattr(backup_metrics, "write_atomically", refuse)
    assert leave()["path"] is None and "Permission denied" in leave.warnings[0]


def test_a_full_disk_leaves_the_file_of_before_whole(leave, monkeypatch):
    path = leave()["path"]
    before = open(path, encoding="utf-8").read()
    records.sealed(leave.root, "cloud", "20261123T030000Z")

    def full(*dummy):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(atomic.os, "fsync", full)
    assert leave()["path"] is None and open(path, encoding="utf-8").read() == before and os.listdir(leave.directory) == [os.path.basename(path)]


def test_a_backup_root_that_is_not_mounted_leaves_the_figures_of_before(leave):
    path = leave()["path"]
    before = open(path, encoding="utf-8").read()
    os.rename(leave.root, f"{leave.root}.away")
    assert leave()["path"] is None and open(path, encoding="utf-8").read() == before and "yesterday's metrics stay" in leave.warnings[0]


def test_records_that_cannot_be_read_are_said(leave):
    (leave.root / "files" / "drills").mkdir()
    (leave.root / "files" / "drills" / "20261123T030000Z.json").write_text("{", encoding="ascii")
    assert leave()["path"] and "is not what was written there" in leave.warnings[0]
