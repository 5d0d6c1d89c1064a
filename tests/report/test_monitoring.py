# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus reads: metrics, alert rules and the dashboard, checked by Prometheus' own promtool and against each other."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest
import yaml
from ansible_collections.seafleet.seafile.plugins.module_utils import catalogue, metrics
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import utc_now
from conftest import HERE, PROJECT, Fleet

MONITORING = PROJECT / "examples" / "monitoring"
RULES = MONITORING / "seafile-backup.rules.yml"


def promtool(*arguments: str, given: str = "") -> str:
    """Run promtool, which must be content; return what it printed."""
    done = subprocess.run([os.environ["PROMTOOL"], *arguments], input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def texts(fleet: Fleet) -> list[str]:
    """The metrics of both backup hosts of the sample fleet."""
    return [metrics.render(metrics.of_catalogue(catalogue.of_host(str(fleet.directory / host), utc_now()))) for host in ("backup1", "backup2")]


def names(text: str) -> set[str]:
    """All metrics that I(text) names."""
    return set(re.findall(r"\bseafile_backup_[a-z_]+", text))


def test_promtool_has_nothing_to_say_about_the_metrics(texts):
    for text in texts:
        assert promtool("check", "metrics", given=text) == ""
    odd = metrics.Metric("seafile_backup_objects", "Help with \\ and\nmore.", [({"server": 'a"b\\c\nd\udcff größe'}, 1)])
    assert promtool("check", "metrics", given=metrics.render([odd])) == ""


def test_promtool_would_say_what_is_wrong():
    with pytest.raises(AssertionError):
        promtool("check", "metrics", given="seafile_backup_objects{server=x} 1\n")


def test_the_alerts_are_rules_and_see_what_they_should_and_nothing_else():
    assert "SUCCESS: 13 rules found" in promtool("check", "rules", str(RULES))
    promtool("test", "rules", *(str(path) for path in sorted(HERE.glob("*rules_test.yml"))))


def test_every_alert_has_a_test_of_its_own():
    rules = [rule["alert"] for rule in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]]
    tested = [
        entry["alertname"]
        for path in HERE.glob("*rules_test.yml")
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for entry in test["alert_rule_test"]
        if entry.get("exp_alerts")
    ]
    assert sorted(set(tested)) == sorted(rules)


def test_alerts_and_dashboard_use_metrics_that_are_there_and_the_guide_tells_of_each(texts):
    there = set().union(*map(names, texts))
    used = names(RULES.read_text(encoding="utf-8")) | names((MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
    assert used - there == set()
    assert names((PROJECT / "docs" / "monitoring.md").read_text(encoding="utf-8")) == there


def test_every_question_of_the_dashboard_is_one_that_prometheus_understands(tmp_path):
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) > 15
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$server", ".*").replace("$promise", "26")} for number, expression in enumerate(expressions)
    ]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="ascii")
    promtool("check", "rules", str(tmp_path / "panels.yml"))
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    taken = [(x, y) for place in places for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])]
    assert len(taken) == len(set(taken)) and max(x for x, _y in taken) < 24
