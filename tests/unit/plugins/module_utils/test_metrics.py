# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics of a backup host. That Prometheus can read them is proved by promtool in tests/report."""

from __future__ import annotations

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import catalogue, metrics
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_time
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import backup_records as records

OLD, NEW, NEXT = "20261122T030000Z", "20261123T030000Z", "20261124T030000Z"
NOW = as_time("2026-11-24T06:00:00Z")


def series(root):
    """The metrics of I(root): name with labels to value."""
    text = metrics.render(metrics.of_catalogue(catalogue.of_host(str(root), NOW)))
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if not line.startswith("#")}


def of_server(root, name="files"):
    """Those of one server, without the prefix and its label."""
    prefix, label = "seafile_backup_", f'server="{name}"'
    return {key[len(prefix):].replace(label, "").replace("{,", "{").replace("{}", ""): value for key, value in series(root).items() if label in key}


def test_the_age_of_a_backup_counts_from_its_newest_verified_set_and_not_from_a_newer_damaged_one(tmp_path):
    records.sealed(tmp_path, "files", OLD, records.verification())
    records.sealed(tmp_path, "files", NEW, records.verification("damaged", libraries=[records.damage("backup"), records.damage("source")], reasons=["x"]))
    records.partial(tmp_path, "files", NEXT, "stopped")
    found = of_server(tmp_path)
    assert found["last_verified_timestamp_seconds"] == 1795316400 and found["set_timestamp_seconds"] == 1795402800
    assert (found['damaged_libraries{where="backup"}'], found['damaged_libraries{where="server"}']) == (1, 1)
    assert [found[f'sets{{state="{state}"}}'] for state in catalogue.STATES] == [1, 0, 1, 1]
    assert found["last_run_success"] == 0 and found["retention_frozen"] == 1
    assert (found["set_bytes"], found["set_new_bytes"], found["set_new_objects"], found["objects"], found["libraries"]) == (5000, 700, 3, 9, 12)
    assert found['server_info{seafile_version="11.0.13",engine="mysql"}'] == 1


def test_what_never_happened_has_the_timestamp_zero_so_that_its_age_alarms(tmp_path):
    records.run(tmp_path, NEW, records.row("early", "failed", code="unreachable"))
    records.partial(tmp_path, "files", NEW, "stopped")
    records.drill(tmp_path, "files", NEW, state="failed")
    assert of_server(tmp_path)["last_verified_timestamp_seconds"] == 0 and of_server(tmp_path)["drill_last_success_timestamp_seconds"] == 0
    assert of_server(tmp_path, "early") == {
        "last_verified_timestamp_seconds": 0, "last_run_timestamp_seconds": 1795406400, "last_run_success": 0, "last_run_duration_seconds": 50}


def test_drills_tell_the_last_one_and_the_last_one_that_passed(tmp_path):
    records.sealed(tmp_path, "files", OLD)
    records.drill(tmp_path, "files", OLD)
    records.drill(tmp_path, "files", NEW, state="failed", recovery_seconds=9)
    found = of_server(tmp_path)
    assert (found["drill_success"], found["drill_timestamp_seconds"], found["drill_duration_seconds"], found["drill_last_success_timestamp_seconds"]) == (
        0, 1795402800, 9, 1795316400)


def test_records_that_cannot_be_read_are_counted(tmp_path):
    records.sealed(tmp_path, "files", OLD)
    (tmp_path / "files" / "drills").mkdir()
    (tmp_path / "files" / "drills" / f"{OLD}.json").write_text("{", encoding="ascii")
    (tmp_path / ".seafleet" / "runs").mkdir(parents=True)
    (tmp_path / ".seafleet" / "runs" / f"{OLD}-1.json").write_text("{", encoding="ascii")
    assert series(tmp_path)[f'seafile_backup_unreadable_files{{root="{tmp_path}"}}'] == 2


@pytest.mark.parametrize("name, text", [
    ('a"b', 'a\\"b'), ("a\\b", "a\\\\b"), ("a b", "a b"), ("größe", "größe"), ("\udcff", "\\\\udcff"), ("a\nb", "a\\nb")])
def test_a_label_holds_whatever_a_name_is(name, text):
    line = metrics.render([metrics.Metric("m", "help", [({"server": name}, 1)])]).splitlines()[2]
    assert line == f'm{{server="{text}"}} 1'


def test_a_metric_without_samples_is_left_out():
    assert metrics.render([metrics.Metric("m", "help", [])]) == ""


def test_every_metric_has_a_name_and_a_help_of_its_own(tmp_path):
    found = [metric.name for metric in metrics.of_catalogue(catalogue.of_host(str(tmp_path), NOW))]
    assert len(found) == len(set(found)) and all(metric.said.endswith((".", "1.")) for metric in metrics.of_catalogue(catalogue.of_host(str(tmp_path), NOW)))
