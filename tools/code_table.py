"""Write docs/troubleshooting.md from plugins/module_utils/codes.py."""

from __future__ import annotations

import importlib.util
import pathlib
import types

PROJECT = pathlib.Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "troubleshooting.md"
HEAD = """# Troubleshooting by code

Every failure has a stable code: in a module's result as `code`, in the message of a playbook in front of the sentence that says what
failed, why, and what to do next. Search this page for it. Codes are never renamed, and each has a place of its own here to link to:
`troubleshooting.md#gc-running`.

Three things hold for all of them. A failed run never touches an earlier set. It needs no cleaning by hand: mend the cause and run the same
command again. And one server's failure does not hold up the others.

In the commands below, INVENTORY, SERVER, BACKUP_HOST and SET stand for your own. This page is written by `tools/code_table.py`.
"""
# The chapters in the order of a run, each with what its codes have in common; see the constants in codes.py.
CHAPTERS = {
    "what was given": "A value in the inventory or on the command line is not usable. Nothing was done.",
    "access": "The backup host cannot reach the server, or the server the backup host. Found by `prepare`, by the preflight of a backup, or by a "
              "restore before it changes anything. See also [security](security.md).",
    "preflight": "Something is in the way of a backup. All that is in the way is told at once, and nothing was changed on either host.",
    "the fleet": "Found by the plan of a run over many servers, before any of them is looked at.",
    "databases": "MariaDB, MySQL or SQLite. Found by the preflight or the dump of a backup, and by a restore before or while it imports.",
    "dump": "Writing or reading the dumps of the databases. A dump that failed leaves no file.",
    "pull": "Fetching from the server. What has arrived is kept, and the next run goes on from there.",
    "verify and seal": "Proving that a set can be restored: see [verify](verify.md). Earlier sets stay as they are.",
    "retain and prune": "Removing old sets. In doubt nothing is removed.",
    "report and notify": "Telling what was done. The backup itself is not affected.",
    "one run at a time": "Two runs met, or a run lost its place.",
    "choice of a set": "A restore, a verification or an export looks for its set: see [restore](restore.md).",
    "restore": "See also [restore](restore.md). Run again, a restore goes on from where it stopped.",
    "rollback": "See also [rollback](rollback.md).",
    "one library, one file": "See also [one library](one-library.md) and [export](export.md).",
    "drill": "See also [drills](drills.md).",
    "anywhere": "What no other code foresaw.",
}


def table() -> types.ModuleType:
    """Return the file of codes, loaded by itself: it needs nothing of the collection."""
    spec = importlib.util.spec_from_file_location("codes", PROJECT / "plugins/module_utils/codes.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page() -> str:
    """Return the text of the page."""
    codes = table().CODES
    unknown = sorted({about.stage for about in codes.values()} - set(CHAPTERS))
    assert not unknown, f"introduce the chapters {unknown}"
    lines = [HEAD]
    for chapter, introduction in CHAPTERS.items():
        inside = {code: about for code, about in codes.items() if about.stage == chapter}
        if not inside:
            continue
        lines += [f"## {chapter[0].upper()}{chapter[1:]}\n", f"{introduction}\n"]
        lines += [f"{', '.join(f'[{code}](#{code})' for code in inside)}\n"]
        for code, about in inside.items():
            lines += [f"### {code}\n", f"{about.meaning}\n", f"**Do:** {about.next_step}.\n"]
            lines += [f"    {about.command}\n"] if about.command else []
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
