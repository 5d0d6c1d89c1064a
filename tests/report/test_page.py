# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the fleet as a person meets it: opened in a real browser, on a screen, in the dark, on a phone and on paper."""

from __future__ import annotations

import typing as t

import pytest
from browser import Browser
from conftest import Fleet

# every piece of text that can be seen, with its contrast to what lies below it
CONTRASTS = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (text) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1); const d = canvas.getImageData(0, 0, 1, 1).data;
    return [d[0], d[1], d[2], d[3] / 255]; };
  const over = (top, below) => top.slice(0, 3).map((value, i) => value * top[3] + below[i] * (1 - top[3]));
  const ground = (node) => { const layers = []; for (; node; node = node.parentElement) layers.push(rgba(getComputedStyle(node).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]); };
  const light = (colour) => { const [r, g, b] = colour.map((value) => { value /= 255;
    return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility() || node.closest('svg')) continue;
    const below = ground(node), pair = [light(over(rgba(getComputedStyle(node).color), below)), light(below)].sort((a, b) => b - a);
    found.push([(pair[0] + 0.05) / (pair[1] + 0.05), walker.currentNode.data.trim().slice(0, 40)]);
  }
  return found;
})()
"""
# what sticks out of the window at the right, or out of a box that cuts it
OVERFLOW = """
[...document.querySelectorAll('body *')].filter((node) => node.checkVisibility() && !node.closest('.skip') && !node.closest('thead')
  && node.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map((node) => node.outerHTML.slice(0, 80))
"""


@pytest.fixture(scope="module")
def browser() -> t.Iterator[Browser]:
    """One browser for all tests of this file."""
    with Browser() as browser:
        yield browser


def text(browser: Browser) -> str:
    """What can be read."""
    return browser.evaluate("document.body.innerText")


def test_the_playbook_says_the_same_in_its_log_and_a_second_run_changes_nothing(fleet: Fleet):
    assert "8 of 11 servers" not in fleet.output
    assert f"\n{fleet.facts['title']}, looked at " in fleet.output and "\nOVERDUE     cloud.example.org" in fleet.output
    assert "changed: [" in fleet.output and "changed: [" not in fleet.again
    assert "backup3" in fleet.output and "\x1b" not in fleet.output


def test_the_worst_is_read_first_and_nobody_is_left_out(browser: Browser, fleet: Fleet):
    browser.open(fleet.page)
    seen = text(browser)
    order = [
        "Seafile backups",
        "6 of 11 servers have a verified backup of the last 26 hours",
        "Look at these first",
        "All servers",
        "Server by server",
        "Restore drills",
        "What is pruned next",
        "Backup hosts",
        "Kept, but not in this inventory",
        "How to read this",
    ]
    assert [seen.index(part) for part in order] == sorted(seen.index(part) for part in order)
    rows = browser.evaluate("[...document.querySelectorAll('.fleet tbody tr')].map((row) => row.innerText.split('\\t').map((cell) => cell.trim()))")
    assert [row[0] for row in rows[:2]] == ["cloud.example.org", "studio.example.org"] and {row[1] for row in rows[:2]} == {"Overdue"}
    assert sorted(row[0] for row in rows) == sorted(row["server"] for row in fleet.facts["servers"]) and len(rows) == 11
    states = {row[0]: row[1] for row in rows}
    assert (states["south.example.org"], states["lost.example.org"], states["new.example.org"]) == ("Not seen", "No backup", "No backup")
    assert (states["lab.example.org"], states["files.example.org"]) == ("Kept, but look", "Kept")
    assert "Its backup host backup3 could not be read" in seen and "The inventory names no backup host for it" in seen and "wiki.example.org" in seen
    assert "database-unreachable: 127.0.0.1:3306: the database server does not answer" in seen and "Next: start the database server." in seen


def test_names_are_text_whatever_they_are(browser: Browser, fleet: Fleet):
    browser.open(fleet.page)
    assert "<img src=x onerror=alert(1)> \\x1b[31m: 1 object damaged on the server itself" in text(browser)
    assert browser.evaluate("document.querySelectorAll('img, script, iframe').length") == 0


def test_the_page_asks_for_nothing_and_the_browser_has_no_complaint(browser: Browser, fleet: Fleet):
    browser.requests.clear()
    browser.messages.clear()
    browser.open(fleet.page)
    assert [address for address in browser.requests if not address.startswith("data:")] == [fleet.page.resolve().as_uri()] and browser.messages == []


@pytest.mark.parametrize("width, height", [(390, 844), (320, 640), (768, 1024), (1024, 768), (1180, 800), (1280, 900), (1920, 1080)])
def test_nothing_sticks_out_of_the_window(browser: Browser, fleet: Fleet, width, height):
    browser.open(fleet.page, width, height)
    assert browser.evaluate("document.documentElement.scrollWidth") == width, "the page is wider than the window"
    assert browser.evaluate(OVERFLOW) == []


def test_on_a_phone_each_cell_tells_what_it_is(browser: Browser, fleet: Fleet):
    browser.open(fleet.page, 390, 844)
    label = "getComputedStyle(document.querySelector('.fleet tbody tr td:nth-child(3)'), '::before').content"
    assert browser.evaluate(label) == '"Last verified"'
    browser.open(fleet.page, 1280, 900)
    assert browser.evaluate(label) == "none"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_can_be_read_against_its_ground(browser: Browser, fleet: Fleet, dark):
    browser.open(fleet.page, dark=dark)
    browser.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    found = browser.evaluate(CONTRASTS)
    assert len(found) > 500 and [entry for entry in found if entry[0] < 4.5] == []
    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(16, 21, 28)" if dark else "rgb(243, 245, 248)")


def test_headings_make_an_outline_and_tables_have_names_and_heads(browser: Browser, fleet: Fleet):
    browser.open(fleet.page)
    levels = browser.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((node) => +node.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1 and all(after <= before + 1 for before, after in zip(levels, levels[1:]))
    assert browser.evaluate(
        "[...document.querySelectorAll('table')].every((table) => table.caption && table.tHead && [...table.tBodies[0].rows].every("
        "(row) => row.cells[0].scope === 'row' && row.cells.length === table.tHead.rows[0].cells.length))"
    )
    assert browser.evaluate("[...document.querySelectorAll('svg[role=img]')].every((svg) => svg.getAttribute('aria-label').length > 10)")
    assert browser.evaluate("document.documentElement.lang") == "en"


def test_a_link_leads_to_its_server_and_its_sets_open_without_a_script(browser: Browser, fleet: Fleet):
    browser.open(fleet.page)
    browser.evaluate("document.querySelector('.first a').click()")
    assert browser.evaluate("document.querySelector(':target h3').innerText") == "cloud.example.org"
    assert not browser.evaluate("document.querySelector(':target table').checkVisibility()")
    browser.evaluate("document.querySelector(':target summary').click()")
    assert browser.evaluate("document.querySelector(':target table').checkVisibility()")


def test_states_differ_in_more_than_colour(browser: Browser, fleet: Fleet):
    browser.open(fleet.page)
    heights = browser.evaluate(
        "Object.fromEntries([...document.querySelectorAll('footer .strip rect')].map((node) => [node.className.baseVal, +node.getAttribute('height')]))"
    )
    assert len(set(heights.values())) == 4 and heights["ok"] == heights["bad"] == 24
    assert "url(" in browser.evaluate("getComputedStyle(document.querySelector('footer rect.bad')).fill")
    assert browser.evaluate("[...document.querySelectorAll('.verdict')].every((node) => node.textContent.trim() && node.querySelector('svg use'))")


def test_on_paper_everything_fits_and_what_is_folded_is_left_out(browser: Browser, fleet: Fleet, tmp_path):
    # A4 without the margins of the page
    browser.open(fleet.page, 703, 1000, media="print")
    assert browser.evaluate("document.documentElement.scrollWidth") <= 704 and browser.evaluate(OVERFLOW) == []
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert "cloud.example.org" in text(browser) and browser.evaluate("[...document.querySelectorAll('details')].every((node) => !node.checkVisibility())")
    browser.open(fleet.page, 703, 1000, dark=True, media="print")
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    browser.open(fleet.page)
    browser.pdf(tmp_path / "fleet.pdf")
    assert (tmp_path / "fleet.pdf").read_bytes().startswith(b"%PDF-")
