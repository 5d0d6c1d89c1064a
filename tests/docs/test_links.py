# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No link leads nowhere: in the Markdown files, from code and messages to guides, and on the built site. Other sites are not asked."""

from __future__ import annotations

import functools
import html.parser
import pathlib
import re
import subprocess
import urllib.parse

import pages
import pytest

SITE = pages.ROOT / ".build" / "site"
# A guide named in code, in a comment or in a message.
MENTION = re.compile(r"(?<![\w/.-])(?:docs|tests)/[\w./-]+\.md\b")


@functools.lru_cache(maxsize=None)
def anchors_of(file: str) -> set[str]:
    return pages.anchors((pages.ROOT / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", pages.files())
def test_every_link_of_a_markdown_file_leads_somewhere(file):
    broken = []
    for link in pages.links((pages.ROOT / file).read_text(encoding="utf-8")):
        if pages.is_external(link.target):
            continue
        path, anchor = pages.resolve(file, urllib.parse.unquote(link.target))
        if link.target.startswith("/") or path.startswith("../") or not (pages.ROOT / path).exists():
            broken.append(f"{file}:{link.line}: {link.target}: there is no such file")
        elif anchor and path.endswith(".md") and anchor not in anchors_of(path):
            broken.append(f"{file}:{link.line}: {link.target}: {path} has no such heading")
    assert broken == []


def test_every_guide_that_is_named_anywhere_exists():
    listing = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=pages.ROOT, capture_output=True, check=True)
    missing = []
    for name in listing.stdout.decode().split("\0"):
        path = pages.ROOT / name
        # The history of changes and the tests of links name what is not there any more, or never was.
        if not name or name.startswith(("changelogs/", "CHANGELOG", "tests/docs/", "tests/fixtures/")) or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        missing += [f"{name}: {mention}" for mention in MENTION.findall(text) if not (pages.ROOT / mention).exists()]
    assert missing == []


class Page(html.parser.HTMLParser):
    """The links and the anchors of a page of the site."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.navigation: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors.update(value for value in (values.get("id"), values.get("name")) if value)
        self.links.extend(value for value in (values.get("href"), values.get("src")) if value)
        if tag == "a" and "reference internal" in (values.get("class") or ""):
            self.navigation.add(values.get("href") or "")


@functools.lru_cache(maxsize=None)
def page(path: pathlib.Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(name="site", scope="session")
def built_site() -> list[pathlib.Path]:
    """The pages of the site that tools/steps/docs has built."""
    assert (SITE / "index.html").exists(), "the site is not built: make site"
    return sorted(SITE.rglob("*.html"))


def test_every_link_on_the_site_leads_somewhere(site):
    broken = []
    for path in site:
        for link in page(path).links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            anchor = urllib.parse.unquote(parts.fragment)
            if not target.is_file():
                broken.append(f"{path.relative_to(SITE)}: {link}: there is no such page")
            elif anchor and target.suffix == ".html" and anchor not in page(target).anchors:
                broken.append(f"{path.relative_to(SITE)}: {link}: the page has no such anchor")
    assert broken == []


def test_everything_is_reached_from_the_navigation_of_the_front_page(site):
    wanted = {f"{pages.page_of(file)}.html" for file in pages.files()} - {"index.html"}
    wanted |= {f"reference/{path.stem}_module.html" for path in (pages.ROOT / "plugins" / "modules").glob("*.py")}
    wanted |= {f"reference/{path.name}_role.html" for path in (pages.ROOT / "roles").iterdir() if path.is_dir()}
    assert wanted - page(SITE / "index.html").navigation == set()


def test_the_site_asks_no_other_host_for_anything_it_shows(site):
    foreign = re.compile(r"<(?:script|img|iframe)[^>]+src=[\"'](?:https?:)?//|<link[^>]+rel=[\"']stylesheet[\"'][^>]+href=[\"'](?:https?:)?//", re.IGNORECASE)
    assert [str(path.relative_to(SITE)) for path in site if foreign.search(path.read_text(encoding="utf-8"))] == []
