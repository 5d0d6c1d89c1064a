"""Write docs/codes.md from plugins/module_utils/codes.py."""

from __future__ import annotations

import ast
import pathlib

PROJECT = pathlib.Path(__file__).resolve().parent.parent
HEAD = """# Failure codes

Every failure has one of these codes: in the result of a module as `code`, in the message of a backup or restore in front of the
sentence that says what failed and why. Codes are never renamed. This page is written by `tools/code_table.py`.

| code | what to do |
|---|---|
"""


def codes() -> dict[str, str]:
    """Return the codes without importing the collection."""
    tree = ast.parse((PROJECT / "plugins/module_utils/codes.py").read_text(encoding="utf-8"))
    assignment = next(node for node in tree.body if isinstance(node, ast.AnnAssign))
    return ast.literal_eval(assignment.value)


def table() -> str:
    """Return the text of the page."""
    return HEAD + "".join(f"| `{code}` | {text.replace('|', chr(92) + '|')} |\n" for code, text in codes().items())


if __name__ == "__main__":
    (PROJECT / "docs/codes.md").write_text(table(), encoding="utf-8")
