# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import catalogue, clock
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.modules import fleet_report
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import backup_records as records

NEW = "20261123T030000Z"
PLACE = {"backup_host": "backup1", "backup_root": "/srv/seafile-backup", "servers": ["files"]}


@pytest.fixture(name="make")
def _make(tmp_path, monkeypatch):
    root = tmp_path / "backup"
    records.sealed(root, "files", NEW, records.verification())

    def make(now="2026-11-23T06:00:00Z", check_mode=False, diff=False, catalogues=None, **given):
        monkeypatch.setattr(fleet_report, "utc_now", lambda: clock.as_time(now))
        found = dict(catalogue.of_host(str(root), clock.as_time(now)), item=PLACE, changed=False, failed=False)
        params = {
            "catalogues": [found] if catalogues is None else catalogues,
            "servers": [],
            "promise_hours": 26.0,
            "promises": {},
            "drill_days": 0.0,
            "title": "Backups",
            "dest": str(tmp_path / "report"),
            "mode": "0600",
            "refresh_after": 3600,
            **given,
        }
        return fleet_report.make(types.SimpleNamespace(params=params, check_mode=check_mode, _diff=diff))

    make.root, make.dest = root, tmp_path / "report"
    return make


def test_page_and_facts_are_written_private_and_say_the_same(make):
    result = make()
    assert result["changed"] and result["files"] == [str(make.dest / "fleet.html"), str(make.dest / "fleet.json")]
    assert [oct(os.stat(path).st_mode) for path in (make.dest, *result["files"])] == ["0o40700", "0o100600", "0o100600"]
    facts = json.loads((make.dest / "fleet.json").read_text(encoding="ascii"))
    assert facts["servers"][0]["verdict"] == result["servers"][0]["verdict"] == "kept" and facts["totals"] == result["totals"]
    assert result["headline"] in (make.dest / "fleet.html").read_text(encoding="utf-8") and result["headline"] in result["lines"]


def test_the_same_facts_a_moment_later_change_nothing_and_an_hour_later_the_moment_is_news(make):
    make()
    before = [path.stat().st_mtime_ns for path in sorted(make.dest.iterdir())]
    assert not make(now="2026-11-23T06:59:59Z")["changed"] and [path.stat().st_mtime_ns for path in sorted(make.dest.iterdir())] == before
    assert make(now="2026-11-23T07:00:00Z")["changed"] and "2026-11-23 07:00" in (make.dest / "fleet.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda make: records.sealed(make.root, "files", "20261123T050000Z", records.verification()),
        lambda make: (make.dest / "fleet.html").unlink(),
        lambda make: (make.dest / "fleet.html").chmod(0o644),
        lambda make: (make.dest / "fleet.json").write_text("{}", encoding="ascii"),
    ],
)
def test_another_fact_or_files_that_are_not_as_they_were_left_make_new_ones(make, change):
    make()
    change(make)
    assert make()["changed"] and not make()["changed"]


def test_a_report_from_the_future_is_replaced(make):
    make(now="2026-11-24T06:00:00Z", promise_hours=999.0)
    assert make(promise_hours=999.0)["changed"]


def test_check_mode_writes_nothing_and_diff_shows_the_lines(make):
    result = make(check_mode=True, diff=True)
    assert result["changed"] and not make.dest.exists()
    assert result["diff"]["before"] == "" and result["diff"]["after"].splitlines() == result["lines"]
    make()
    records.sealed(make.root, "files", "20261123T050000Z", records.verification())
    assert "looked at 2026-11-23 06:00 UTC" in make(check_mode=True, diff=True)["diff"]["before"]


def test_without_a_directory_there_are_lines_alone(make):
    result = make(dest=None)
    assert not result["changed"] and result["files"] == [] and result["lines"]


def test_files_for_others_are_so_whatever_the_umask(make):
    before = os.umask(0o077)
    try:
        make(mode="0644")
    finally:
        os.umask(before)
    assert os.stat(make.dest / "fleet.html").st_mode & 0o777 == 0o644 and not make(mode="0644")["changed"]


@pytest.mark.parametrize(
    "answer, said",
    [
        ({"failed": True, "msg": "backup-root-missing: /srv:\n there is none"}, "backup-root-missing: /srv: there is none"),
        ({"unreachable": True, "msg": "no route"}, "no route"),
        ({"failed": True, "msg": "backup1: it cannot be reached: no route. Next: look at the network"}, "it cannot be reached: no route"),
        ({}, "it gave no answer"),
        ({"format": 2}, "it gave no answer"),
        ({"format": 1, "failed": True}, "it gave no answer"),
    ],
)
def test_a_place_without_a_catalogue_is_told_with_its_reason(make, answer, said):
    result = make(catalogues=[dict(answer, item=PLACE)], servers=["files", "lost"])
    assert [(row["server"], row["verdict"]) for row in result["servers"]] == [("lost", "never"), ("files", "unknown")]
    assert result["servers"][1]["look"][0]["text"] == f"its backup host backup1 could not be read: {said}"


@pytest.mark.parametrize(
    "given, code",
    [
        ({"mode": "rw"}, "report-mode"),
        ({"mode": "0755"}, "report-mode"),
        ({"mode": "7777"}, "report-mode"),
        ({"mode": "-1"}, "report-mode"),
        ({"promises": {"files": "soon"}}, "report-places"),
        ({"catalogues": [{"format": 1}]}, "report-places"),
        ({"catalogues": [{"item": {"servers": []}}]}, "report-places"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(make, given, code):
    with pytest.raises(SeafileError) as caught:
        make(**given)
    assert caught.value.code == code and not make.dest.exists()
