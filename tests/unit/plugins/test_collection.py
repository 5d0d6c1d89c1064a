# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The suite tests itself: nothing is left undocumented, untested, ungrouped or unlisted."""

from __future__ import annotations

import ast
import importlib.util
import pathlib
import re
import types

import pytest
import yaml

from ansible_collections.seafleet.seafile.plugins.module_utils.codes import CODES, Code
from ansible_collections.seafleet.seafile.plugins.module_utils.version import VERSION

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
PLUGIN_FILES = sorted((ROOT / "plugins").rglob("*.py"))
ROLE_FILES = sorted(path for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*.y*ml"))


def module_constants(name: str) -> dict[str, str]:
    """The strings that a module's file assigns at its top level: DOCUMENTATION, EXAMPLES, RETURN."""
    tree = ast.parse((ROOT / "plugins" / "modules" / f"{name}.py").read_text(encoding="utf-8"))
    return {
        target.id: node.value.value
        for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets if isinstance(target, ast.Name)
    }


def fragment_options(name: str) -> dict[str, dict[str, object]]:
    """The options that the documentation fragment I(name) of this collection brings."""
    text = (ROOT / "plugins" / "doc_fragments" / f"{name}.py").read_text(encoding="utf-8")
    documentation = next(
        node.value.value for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION" and isinstance(node.value, ast.Constant)
    )
    return yaml.safe_load(documentation).get("options") or {}


def documented_options(documentation: dict[str, object]) -> dict[str, dict[str, object]]:
    """A module's options with what its fragments say of them; where both say something, the module is right, as for Ansible."""
    options: dict[str, dict[str, object]] = {}
    for fragment in documentation["extends_documentation_fragment"]:
        options.update(fragment_options(fragment.rpartition(".")[2]))
    for option, values in (documentation.get("options") or {}).items():
        options[option] = {**options.get(option, {}), **values}
    return options


def error_codes(path: pathlib.Path) -> set[str]:
    """The literal codes of all SeafileError(...) in a Python file."""
    codes = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args and getattr(node.func, "id", getattr(node.func, "attr", "")) == "SeafileError":
            first = node.args[0]
            choices = (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,)
            codes.update(part.value for part in choices if isinstance(part, ast.Constant))
    return codes


def test_there_is_something_to_look_at():
    assert MODULES and ROLES and PLUGIN_FILES and ROLE_FILES


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_tested(name):
    unit = ROOT / "tests" / "unit" / "plugins" / "modules" / f"test_{name}.py"
    used = re.compile(rf"^\s*(?:- )?seafleet\.seafile\.{name}:", re.MULTILINE)
    targets = (ROOT / "tests" / "integration" / "targets").rglob("*.yml")
    assert unit.exists() or any(used.search(path.read_text(encoding="utf-8")) for path in targets), (
        f"{name}: write tests/unit/plugins/modules/test_{name}.py or an integration target that runs seafleet.seafile.{name}"
    )


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_documented(name):
    constants = module_constants(name)
    documentation = yaml.safe_load(constants["DOCUMENTATION"])
    assert documentation["module"] == name
    assert documentation["short_description"] and documentation["description"]
    assert documentation["version_added"] and documentation["author"]
    assert {"check_mode", "diff_mode", "platform"} <= set(documentation["attributes"])
    for option, values in documented_options(documentation).items():
        assert values.get("description"), f"{name}: option {option} has no description"
    tasks = yaml.safe_load(constants["EXAMPLES"])
    assert any(f"seafleet.seafile.{name}" in task for task in tasks), f"{name}: no example runs seafleet.seafile.{name}"
    for value, about in yaml.safe_load(constants["RETURN"]).items():
        assert about.get("description") and about.get("returned"), f"{name}: return value {value} has no description or returned"


def test_no_option_is_described_in_the_same_words_three_times():
    modules_by_text: dict[str, list[str]] = {}
    for name in MODULES:
        for option, values in (yaml.safe_load(module_constants(name)["DOCUMENTATION"]).get("options") or {}).items():
            modules_by_text.setdefault(f"{option}: {values.get('description')}", []).append(name)
    repeated = {text: names for text, names in modules_by_text.items() if len(names) > 2 and not text.endswith("None")}
    assert not repeated, "a third copy belongs into a fragment in plugins/doc_fragments"


def test_every_module_is_in_the_action_group():
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert runtime["action_groups"]["seafile"] == MODULES


@pytest.mark.parametrize("role", ROLES)
def test_every_default_of_a_role_is_in_its_argument_specs_and_back(role):
    text = (ROOT / "roles" / role / "defaults" / "main.yml").read_text(encoding="utf-8")
    defaults = yaml.safe_load(text) or {}
    specs = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    options = specs["argument_specs"]["main"]["options"]
    # What all roles share (seafile_*) belongs to the inventory: a role's vars name what holds where the inventory is silent.
    internal = (ROOT / "roles" / role / "vars" / "main.yml").read_text(encoding="utf-8")

    for name, value in defaults.items():
        assert name in options, f"{role}: {name} is in defaults and not in argument_specs"
        assert options[name].get("default") == value, f"{role}: argument_specs tells another default of {name}"
    for name, values in options.items():
        assert values.get("description"), f"{role}: {name} has no description"
        # Ansible only checks with argument_specs: a default that stands there alone is never set.
        if "default" in values and name.startswith("seafile_"):
            written = str(values["default"]).lower() if isinstance(values["default"], bool) else str(values["default"])
            assert re.search(rf"{name} \| default\('?{re.escape(written)}'?\)", internal), (
                f"{role}: argument_specs tells a default of {name} that vars does not know")
        elif "default" in values:
            assert name in defaults, f"{role}: argument_specs tells a default of {name} that defaults does not set"
        elif name.startswith(f"{role}_"):
            assert re.search(rf"^# {name}:", text, re.MULTILINE), f"{role}: defaults does not show {name}, commented out"


def test_every_variable_that_roles_share_is_in_the_guide_to_the_inventory_once():
    named = re.findall(r"^\| `(seafile_[\w*]+)` \|", (ROOT / "docs" / "inventory.md").read_text(encoding="utf-8"), re.MULTILINE)
    specs = [yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")) for role in ROLES]
    shared = {name for spec in specs for name in spec["argument_specs"]["main"]["options"] if name.startswith("seafile_")}
    families = [name[:-1] for name in named if name.endswith("*")]
    # What the playbook backup tells its own role is nobody's to set.
    shared = {name for name in shared if not name.startswith(tuple(families))} - {"seafile_newest_good"}
    assert sorted(name for name in named if not name.endswith("*")) == sorted(shared)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_a_readme(role):
    assert (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8").strip()


def test_what_is_written_on_hosts_tells_the_version_of_this_collection():
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"] == VERSION


def code_table() -> types.ModuleType:
    """tools/code_table.py, which is no package."""
    spec = importlib.util.spec_from_file_location("code_table", ROOT / "tools" / "code_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_guide_to_the_codes_is_what_tools_code_table_writes():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    assert page == code_table().page(), "run: python3 tools/code_table.py"
    # each code is a heading, which gives it an anchor of its own name
    assert sorted(re.findall(r"^### (.*)$", page, re.MULTILINE)) == list(CODES)


def test_codes_are_sorted_and_well_formed():
    assert list(CODES) == sorted(CODES)
    for code, about in CODES.items():
        assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", code), code
        assert isinstance(about, Code), f"{code}: write it as Code(stage, meaning, next step, command)"
        assert about.meaning.endswith("."), f"{code}: {about.meaning}"
        assert about.next_step and not about.next_step.endswith("."), f"{code}: {about.next_step}"


@pytest.mark.parametrize("path", PLUGIN_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_code_that_is_raised_is_listed(path):
    assert error_codes(path) - set(CODES) == set()


def test_every_listed_code_is_raised_somewhere():
    listed = ROOT / "plugins" / "module_utils" / "codes.py"
    text = "\n".join(path.read_text(encoding="utf-8") for path in PLUGIN_FILES + ROLE_FILES if path != listed)
    assert [code for code in CODES if not re.search(rf"[\"'\s]{re.escape(code)}(?:[\"'\s]|$)", text)] == []


def test_every_test_that_the_security_model_names_exists():
    named = set(re.findall(r"`(test_\w+)(?:\.py)?`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8")))
    files = list((ROOT / "tests").rglob("test_*.py"))
    there = {path.stem for path in files} | {name for path in files for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)}
    assert named and named - there == set()
