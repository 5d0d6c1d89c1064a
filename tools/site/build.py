# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(make site): build the documentation site in C(.build/site), without the network.

Its pages are the Markdown files of the repository (README.md is the front page, docs/README.md the order of the guides) and, by
antsibull-docs, what the modules and roles document of themselves. Any warning of Sphinx, such as a reference to a page or a heading
that does not exist, fails the build.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
import typing as t
import zlib

import pages
import yaml

SITE = pages.ROOT / ".build" / "site"
SOURCE = pages.ROOT / ".build" / "site-source"
OWN = pathlib.Path(__file__).resolve().parent
BIN = pathlib.Path(sys.executable).parent
COLLECTION = "seafleet.seafile"

# What antsibull-docs refers to in Ansible's own documentation: label, page, title. Sphinx would download the whole list of them.
ANSIBLE_LABELS = (
    ("action_plugins", "plugins/action.html#action-plugins", "Action plugins"),
    ("ansible_configuration_settings", "reference_appendices/config.html#ansible-configuration-settings", "Ansible Configuration Settings"),
    ("common_return_values", "reference_appendices/common_return_values.html#common-return-values", "Return Values"),
)


def toctree(caption: str, entries: t.Sequence[str]) -> str:
    """A part of the navigation: a caption and its pages."""
    return "\n".join(["", "```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), "", *entries, "```", ""])


def navigation() -> str:
    """The navigation of the site, which belongs to its front page."""
    sections = pages.sections()
    placed = {"README.md", pages.GUIDES, *(file for section in sections for file in section.files)}
    rest = [file for file in pages.files() if file not in placed and not file.startswith("roles/")]
    return "".join([
        *(toctree(section.title, [f"/{pages.page_of(file)}" for file in section.files]) for section in sections),
        toctree("Reference", ["All guides </guides/index>", "/roles/index", "/reference/index"]),
        toctree("Project", [f"/{pages.page_of(file)}" for file in rest]),
    ])


def roles_page() -> str:
    """The page that lists the roles, each with what it says of itself."""
    lines, names = [], sorted(path.parent.name for path in pages.ROOT.glob("roles/*/README.md"))
    for name in names:
        specs = yaml.safe_load((pages.ROOT / "roles" / name / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
        lines.append(f"- [{name}]({name}.md): {specs['argument_specs']['main']['short_description']}")
    return "\n".join(["# Roles", "", *lines, toctree("", [f"{name} <{name}>" for name in names])])


def write_guides() -> None:
    """Write every Markdown file as the page that it becomes."""
    known = pages.files()
    for file in known:
        text = pages.on_the_site(file, (pages.ROOT / file).read_text(encoding="utf-8"), known)
        if file == "README.md":
            text += navigation()
        elif file.startswith("roles/"):
            role = file.split("/")[1]
            text += f"\nEvery input with its type and default: {{ansplugin}}`{COLLECTION}.{role}#role`.\n"
        target = SOURCE / f"{pages.page_of(file)}.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    (SOURCE / "roles" / "index.md").write_text(roles_page(), encoding="utf-8")
    shutil.copytree(pages.ROOT / "docs" / "images", SOURCE / "guides" / "images")


def run(command: list[str]) -> None:
    """Run one of the programs beside this Python, with this checkout as the collection; end with its exit code when it fails."""
    environment = {
        **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(pages.ROOT / ".build" / "run-collections"), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        print(f"The site was not built: {pathlib.Path(command[0]).name} failed; what it says stands above.", file=sys.stderr)
        sys.exit(done.returncode)


def write_reference() -> None:
    """Write the pages of modules and roles from their own documentation."""
    target = SOURCE / "reference"
    target.mkdir()
    target.chmod(0o755)
    run([str(BIN / "antsibull-docs"), "collection", "--use-current", "--squash-hierarchy", "--fail-on-error", "--no-add-antsibull-docs-version",
         "--dest-dir", str(target), COLLECTION])
    for page in target.glob("*.rst"):
        text = page.read_text(encoding="utf-8")
        # The theme has the contents of a page beside it, and a navigation that is too narrow for whole titles.
        text = re.sub(r"^\.\. contents::\n(?:   .*\n)+", "", text, flags=re.MULTILINE)
        text = re.sub(r"^(seafleet\.\S+ \w+|\* :ansplugin:`[^`]*`|Entry point \S+) -- ", r"\1: ", text, flags=re.MULTILINE)
        if page.name == "index.rst":
            text = re.sub(r"^Seafleet\.Seafile\n=+$", "Modules and roles\n=================", text, flags=re.MULTILINE)
            text = re.sub(r"^    (\w+)_module$", r"    \1 <\1_module>", text, flags=re.MULTILINE)
            text = re.sub(r"^    (\w+)_filter$", r"    filter \1 <\1_filter>", text, flags=re.MULTILINE)
            text = re.sub(r"^    (\w+)_role$", r"    role \1 <\1_role>", text, flags=re.MULTILINE)
        page.write_text(text, encoding="utf-8")


def write_inventory() -> None:
    """Write the labels of Ansible's documentation in Sphinx's own form (version 2 of objects.inv), for conf.py.

    Modules of ansible.builtin are those that our pages refer to; that they exist is checked by antsibull-docs in the step C(package).
    """
    text = "\n".join(page.read_text(encoding="utf-8") for page in (SOURCE / "reference").glob("*.rst"))
    modules = sorted(set(re.findall(r"ansible_collections\.ansible\.builtin\.(\w+)_module\b", text)))
    labels = [*ANSIBLE_LABELS, *(
        (f"ansible_collections.ansible.builtin.{name}_module", f"collections/ansible/builtin/{name}_module.html", name) for name in modules
    )]
    head = "# Sphinx inventory version 2\n# Project: ansible\n# Version: \n# The remainder of this file is compressed using zlib.\n"
    lines = "".join(f"{label} std:label -1 {page} {title}\n" for label, page, title in labels)
    (SOURCE / "ansible.inv").write_bytes(head.encode() + zlib.compress(lines.encode()))


def main() -> None:
    """Build the site anew."""
    for directory in (SOURCE, SITE):
        shutil.rmtree(directory, ignore_errors=True)
    (SOURCE / "_static").mkdir(parents=True)
    shutil.copy(OWN / "conf.py", SOURCE)
    shutil.copy(OWN / "style.css", SOURCE / "_static")
    write_guides()
    write_reference()
    write_inventory()
    version = yaml.safe_load((pages.ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    run([sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--quiet", "--jobs", "2", "--define", f"version={version}",
         "--define", f"release={version}", "--doctree-dir", str(SOURCE / ".doctrees"), str(SOURCE), str(SITE)])
    print(f"The site is built: {SITE / 'index.html'}")


if __name__ == "__main__":
    main()
