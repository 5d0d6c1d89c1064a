# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the fleet as text: what is escaped, what is not there. How it looks is seen by a real browser in tests/report."""

from __future__ import annotations

import datetime
import html.parser
import re

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import catalogue, charts, fleet_page, fleet_report, markup
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_time
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils import backup_records as records

NOW = as_time("2026-11-23T06:00:00Z")
VOID = {"meta", "link", "br", "hr", "img"}
EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='x",
    "&lt;b&gt;",
    "javascript:alert(1)",
    "\x1b[31mred\x07",
    "\u202eevil",
    "]]>",
    "--><b>",
]


class Reader(html.parser.HTMLParser):
    """Reads a page: its elements, their nesting, and its text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data if self.open[-1:] != ["style"] else ""


def page_of(tmp_path, name="files", reason="it broke", title="Backups"):
    """The page of a fleet whose every name and text somebody chose."""
    for night in range(1, 24):
        records.sealed(tmp_path, "files", f"202611{night:02}T030000Z", records.verification())
    records.sealed(
        tmp_path,
        "files",
        "20261123T040000Z",
        records.verification("damaged", libraries=[records.damage("backup", name)], reasons=[reason]),
        seafile={"version": name},
        engine=name,
        warnings=[reason],
    )
    records.drill(tmp_path, "files", "20261122T040000Z", state="failed", reasons=[reason], set_id=name)
    records.partial(tmp_path, "files", "20261123T050000Z", reason)
    found = catalogue.of_host(str(tmp_path), NOW)
    for row in found["servers"]:
        row["server"] = name
    places = [
        {"backup_host": name, "backup_root": f"/{name}", "servers": [name], "catalogue": found},
        {"backup_host": name, "backup_root": name, "servers": [name], "message": reason},
        {"backup_host": name, "backup_root": name, "servers": [], "catalogue": found},
    ]
    return fleet_page.page(fleet_report.build(places, NOW, title, 26))


@pytest.mark.parametrize("name", EVIL)
def test_no_name_becomes_markup_and_no_terminal_escape_is_left(tmp_path, name):
    plain, page = Reader(page_of(tmp_path / "plain")), page_of(tmp_path / "evil", name, name, name)
    found = Reader(page)
    assert found.open == [] and found.tags == plain.tags
    assert {(tag, attribute) for tag, attribute, _value in found.attributes} == {(tag, attribute) for tag, attribute, _value in plain.attributes}
    assert all(value.startswith("#") or value == "data:," for _tag, attribute, value in found.attributes if attribute in ("href", "src"))
    assert all(character.isprintable() or character == "\n" for character in page)


def test_the_page_has_no_script_and_nothing_from_elsewhere(tmp_path):
    page = page_of(tmp_path)
    found = Reader(page)
    assert not {"script", "iframe", "img", "form", "object"} & set(found.tags)
    assert not any(attribute.startswith("on") for _tag, attribute, _value in found.attributes)
    assert any(value.startswith("default-src 'none'; ") for _tag, attribute, value in found.attributes if attribute == "content")
    assert not re.search(r"(https?:)?//[a-z]|@import|url\((?!#)", page)


def test_every_table_has_a_caption_and_heads_and_every_picture_says_what_it_shows(tmp_path):
    found = Reader(page_of(tmp_path))
    assert found.tags.count("table") == found.tags.count("caption") == found.tags.count("thead") > 3
    assert sum(1 for tag, name, value in found.attributes if tag == "th" and name == "scope") == found.tags.count("th")
    pictures = sum(1 for tag, name, value in found.attributes if tag == "svg" and (name, value) in (("role", "img"), ("aria-hidden", "true")))
    assert pictures == found.tags.count("svg") == sum(1 for tag, name, value in found.attributes if tag == "svg" and name in ("aria-label", "aria-hidden"))


def test_what_is_to_be_looked_at_comes_before_the_servers_and_each_links_to_its_own(tmp_path):
    page = page_of(tmp_path, name="files.example.org", reason="no route to host")
    text = Reader(page).text
    assert (
        text.index("Look at these first")
        < text.index("All servers")
        < text.index("Server by server")
        < text.index("Restore drills")
        < text.index("What is pruned next")
        < text.index("Backup hosts")
    )
    assert "could not be read: no route to host" in text and "Its backup host" in text
    assert 'href="#server-1"' in page and 'id="server-1"' in page


def test_a_fleet_without_a_server_has_a_page_too():
    text = Reader(fleet_page.page(fleet_report.build([], NOW, "Backups", 26))).text
    assert "There is no server in this inventory." in text and "no server has one" in text


def test_many_sets_are_cut_and_the_page_says_so(tmp_path):
    for number in range(60):
        records.sealed(tmp_path, "files", f"202610{number % 28 + 1:02}T{number // 28:02}0000Z", records.verification())
    made = fleet_report.build(
        [{"backup_host": "b", "backup_root": "/b", "servers": ["files"], "catalogue": catalogue.of_host(str(tmp_path), NOW)}], NOW, "t", 26
    )
    assert "20 older ones are in the JSON file" in Reader(fleet_page.page(made)).text


# -- elements and pictures -----------------------------------------------------------------------------------------


def test_elements_escape_what_is_not_markup():
    inner = markup.element("b", "<&>\"'")
    assert inner == "<b>&lt;&amp;&gt;&quot;&#x27;</b>"
    assert (
        markup.element("a", inner, None, 3, href='x"y', class_="k", aria_label="l", hidden=True, title=None)
        == f'<a href="x&quot;y" class="k" aria-label="l" hidden>{inner}3</a>'
    )
    assert markup.element("br") == "<br/>" and markup.joined("a", "<", separator=", ") == "a, &lt;"


def test_a_day_has_the_best_state_of_its_sets_and_a_night_without_one_shows():
    day = datetime.date(2026, 11, 23)
    marks = [(day, "partial"), (day, "verified"), (day - datetime.timedelta(days=2), "damaged"), (day - datetime.timedelta(days=9), "verified")]
    days = charts.best_of_days(marks, day, 4)
    assert [state for _day, state in days] == ["none", "damaged", "none", "verified"]
    assert charts.said_of_days(days) == "last 4 days: 1 verified, 1 damaged, 2 no set"
    strip = charts.strip(days)
    assert re.findall(r"<title>(.*?)</title>", strip) == ["2026-11-20: no set", "2026-11-21: damaged", "2026-11-22: no set", "2026-11-23: verified"]
    # not by colour alone: what is good is high, what failed is low
    assert [float(height) for height in re.findall(r' height="([\d.]+)"', strip)] == [1.92, 24, 1.92, 24]


@pytest.mark.parametrize("value, top", [(0, 1), (1, 1), (1.1, 2), (9, 10), (10, 10), (21, 25), (412e6, 500e6), (0.3, 0.5)])
def test_an_axis_ends_with_a_round_number(value, top):
    assert charts.ceiling(value) == pytest.approx(top)


@pytest.mark.parametrize("seconds, top", [(0, 1), (7, 10), (61, 120), (3600, 3600), (10**6, 10**6)])
def test_an_axis_of_time_ends_with_a_step_of_a_clock(seconds, top):
    assert charts.ceiling_of_time(seconds) == top


def test_bars_stand_where_their_moments_are_and_are_as_high_as_their_values():
    began = datetime.datetime(2026, 11, 1)
    points = [charts.Point(began, 50, "verified", "first"), charts.Point(began + datetime.timedelta(days=10), 100, "damaged", "last <b>")]
    drawn = charts.bars(points, began, began + datetime.timedelta(days=20), 200, "sizes")
    shapes = re.findall(r'<rect class="(\w+)" x="([\d.]+)" width="([\d.]+)" y="([\d.]+)" height="([\d.]+)"', drawn)
    assert shapes == [("ok", "0.0", "12.0", "75.0", "25.0"), ("bad", "494.0", "12.0", "50.0", "50.0")]
    assert "last &lt;b&gt;" in drawn and 'aria-label="sizes"' in drawn
