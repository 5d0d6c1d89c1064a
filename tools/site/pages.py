# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Markdown files for people: which there are, their links and headings, and which page of the site each becomes.

Paths are relative to the checkout, with slashes. Files are read as GitHub shows them (CommonMark with tables).
"""

from __future__ import annotations

import pathlib
import posixpath
import re
import typing as t

from markdown_it import MarkdownIt

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
REPOSITORY = "https://github.com/seafleet/seafleet.seafile"
GUIDES = "docs/README.md"

# A run of code, or a link or an image with its target.
_CODE_OR_LINK = re.compile(r"(?P<ticks>`+)(?!`)[\s\S]*?(?<!`)(?P=ticks)(?!`)|(?P<text>!?\[[^\]]*\])\((?P<target>[^)\s]+)\)")
_EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class Link(t.NamedTuple):
    """A link or an image: the line where its paragraph begins (from 1) and its target as written."""

    line: int
    target: str


class Section(t.NamedTuple):
    """A heading of the list of guides, and the files below it in their order."""

    title: str
    files: list[str]


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table")


def files() -> list[str]:
    """Every Markdown file that people read on the repository's page or on the site."""
    patterns = ("*.md", "docs/*.md", "roles/*/README.md", "examples/**/*.md", "tests/README.md")
    return sorted({path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)})


def links(text: str) -> list[Link]:
    """The links and images of a Markdown text."""
    found = []
    for token in _parser().parse(text):
        line = token.map[0] + 1 if token.map else 0
        for child in token.children or []:
            target = child.attrGet("href") if child.type == "link_open" else child.attrGet("src") if child.type == "image" else None
            if target is not None:
                found.append(Link(line, str(target)))
    return found


def anchors(text: str) -> set[str]:
    """The anchors of a Markdown text's headings, as GitHub makes them: C(2-which-one-is-restored)."""
    found: set[str] = set()
    tokens = _parser().parse(text)
    for opening, inline in zip(tokens, tokens[1:]):
        if opening.type != "heading_open":
            continue
        words = "".join(child.content for child in inline.children or [] if child.type in ("text", "code_inline"))
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        number, candidate = 0, slug
        while candidate in found:
            number += 1
            candidate = f"{slug}-{number}"
        found.add(candidate)
    return found


def is_external(target: str) -> bool:
    """Whether a link leads out of the checkout."""
    return bool(_EXTERNAL.match(target)) or target.startswith("//")


def resolve(file: str, target: str) -> tuple[str, str]:
    """The path and the anchor (without C(#), may be empty) that a relative link in I(file) leads to."""
    path, _hash, anchor = target.partition("#")
    return (posixpath.normpath(posixpath.join(posixpath.dirname(file), path)) if path else file), anchor


def page_of(file: str) -> str:
    """The page of the site, without suffix, that a Markdown file becomes."""
    if file == "README.md":
        return "index"
    parts = file[: -len(".md")].split("/")
    if parts[-1] == "README":
        # docs/README -> guides/index; roles/backup/README -> roles/backup; tests/README -> tests
        parts = ["guides", "index"] if parts[0] == "docs" else parts[:-1]
    elif parts[0] == "docs":
        parts[0] = "guides"
    return "/".join(part.lower() for part in parts)


def on_the_site(file: str, content: str, known: t.Collection[str]) -> str:
    """The I(content) of I(file) with the links that it needs on the site.

    A link to one of the I(known) files leads to its page, one to a picture in C(docs/images) to its copy; any other leads to the repository.
    """
    page = page_of(file)

    def changed(match: re.Match[str]) -> str:
        target = match["target"]
        if target is None or target.startswith("#") or is_external(target):
            return match[0]
        path, anchor = resolve(file, target)
        text = match["text"]
        if path in known:
            # A file's name is no title on the site: Sphinx puts the page's title in place of an empty text.
            text = "[]" if text[1:-1] in (target, posixpath.basename(path)) else text
            new = posixpath.relpath(page_of(path) + ".md", posixpath.dirname(page) or ".")
        elif path.startswith("docs/images/"):
            new = posixpath.relpath("guides/" + path[len("docs/"):], posixpath.dirname(page) or ".")
        else:
            new = f"{REPOSITORY}/{'tree' if (ROOT / path).is_dir() else 'blob'}/main/{path}"
        return f"{text}({new}{'#' + anchor if anchor else ''})"

    lines = content.splitlines(keepends=True)
    code = {
        number for token in _parser().parse(content) if token.type in ("fence", "code_block") and token.map
        for number in range(*token.map)
    }
    parts: list[list[str]] = [[]]
    for number, line in enumerate(lines):
        if number in code:
            parts += [[line], []]
        else:
            parts[-1].append(line)
    # Code stands at the odd places.
    return "".join("".join(part) if number % 2 else _CODE_OR_LINK.sub(changed, "".join(part)) for number, part in enumerate(parts))


def sections() -> list[Section]:
    """The headings of docs/README.md with the guides that each lists; what it does not list comes last, by name."""
    found: list[Section] = []
    in_heading = False
    for token in _parser().parse((ROOT / GUIDES).read_text(encoding="utf-8")):
        in_heading = token.type == "heading_open" or (in_heading and token.type != "heading_close")
        if token.type != "inline":
            continue
        if in_heading:
            found.append(Section(token.content, []))
            continue
        first = next((child.attrGet("href") for child in token.children or [] if child.type == "link_open"), None)
        if found and first and not is_external(str(first)):
            found[-1].files.append(resolve(GUIDES, str(first))[0])
    listed = {GUIDES, *(file for section in found for file in section.files)}
    rest = sorted(file for file in files() if file.startswith("docs/") and file not in listed)
    found.append(Section("More", rest))
    return [section for section in found if section.files]
