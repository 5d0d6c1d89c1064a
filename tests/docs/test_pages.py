# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tools/site/pages.py reads out of a Markdown file, and makes of it."""

from __future__ import annotations

import pages

KNOWN = ["README.md", "docs/restore.md", "docs/README.md", "roles/backup/README.md", "CONTRIBUTING.md"]


def test_anchors_are_those_that_github_makes():
    text = "# Role `a.b_c`\n\n## 2. Which one is restored?\n\n## Twice\n\ntext\n\nTwice\n-----\n\n    # no heading\n"
    assert pages.anchors(text) == {"role-ab_c", "2-which-one-is-restored", "twice", "twice-1"}


def test_links_are_found_in_text_tables_and_pictures_and_not_in_code():
    text = "A [b\nc](d.md), `[no](no.md)`.\n\n    [no](no.md)\n\n```\n[no](no.md)\n```\n\n| x |\n|---|\n| [e](f.md#g) |\n\n![i](j.svg)\n"
    assert pages.links(text) == [pages.Link(1, "d.md"), pages.Link(12, "f.md#g"), pages.Link(14, "j.svg")]


def test_a_link_leads_to_the_page_that_its_file_becomes():
    text = "[one](docs/restore.md#x), [two\nthree](roles/backup/README.md), [four](CONTRIBUTING.md)"
    assert pages.on_the_site("README.md", text, KNOWN) == "[one](guides/restore.md#x), [two\nthree](roles/backup.md), [four](contributing.md)"
    assert pages.on_the_site("roles/backup/README.md", "[a](../../docs/restore.md)", KNOWN) == "[a](../guides/restore.md)"
    assert pages.on_the_site("docs/restore.md", "[a](../README.md), ![b](images/c.svg)", KNOWN) == "[a](../index.md), ![b](images/c.svg)"
    assert pages.on_the_site("README.md", "![b](docs/images/c.svg)", KNOWN) == "![b](guides/images/c.svg)"


def test_a_link_whose_text_is_the_file_gets_the_title_of_the_page():
    assert pages.on_the_site("docs/x.md", "[restore.md](restore.md)", KNOWN) == "[](restore.md)"


def test_what_has_no_page_is_linked_in_the_repository():
    assert pages.on_the_site("README.md", "[a](examples/), [b](galaxy.yml)", KNOWN) == (
        f"[a]({pages.REPOSITORY}/tree/main/examples), [b]({pages.REPOSITORY}/blob/main/galaxy.yml)")


def test_code_anchors_and_other_sites_stay_as_they_are():
    text = "`[a](docs/restore.md)` [b](#c) [d](https://example.org/docs/restore.md)\n\n    [e](docs/restore.md)\n\n```\n[f](docs/restore.md)\n```\n"
    assert pages.on_the_site("README.md", text, KNOWN) == text


def test_a_guide_that_no_heading_lists_comes_last(tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "README.md").write_text("# Guides\n\n## Start\n\n- [B](b.md), see [a](a.md)\n- [A](a.md)\n\n## Empty\n", encoding="utf-8")
    for name in ("a", "b", "new"):
        (tmp_path / "docs" / f"{name}.md").write_text("# X\n", encoding="utf-8")
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    assert pages.sections() == [pages.Section("Start", ["docs/b.md", "docs/a.md"]), pages.Section("More", ["docs/new.md"])]
