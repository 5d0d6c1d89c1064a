# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(make test): run every step, several at once, and say what ran.

Standard library only: this runs before anything is installed. A step is a command; it begins when those that it needs have
passed. Its output goes to C(.build/logs/<step>.log), and is printed when it fails. The last line is C(N passed, N failed).

A step that has passed here is not run again as long as no file that it could depend on has changed: it counts as skipped, and
its line says when it passed. C(AGAIN=1) runs everything; so does CI.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / ".build" / "logs"
PASSED = ROOT / ".build" / "passed"
HOSTS = [sys.executable, "tests/hosts/testhosts.py"]
LONG = ("month",)
"""Steps that run only where they are named."""
SYSTEM_PARTS = 4
"""Into so many steps the files of tests/system are dealt, so that a few hosts are up at a time and none of the steps is the long one."""

# What says which test of a failed step it was: the lines of pytest's summary, a task that failed, a target of ansible-test.
CULPRIT = re.compile(r"^(FAILED |ERROR: |ERROR tests|fatal: |FATAL: )")
# What is worth a line when a step has passed: the closing lines of the test runners.
CLOSING = re.compile(r"(\d+ (?:passed|failed|skipped).* in [\d.]+s|^Passed: \d+ failure|^PLAY RECAP|SCENARIO RECAP)")


class Step(t.NamedTuple):
    """One step: its command, the steps it needs, and what it is for."""

    name: str
    command: list[str]
    needs: tuple[str, ...]
    about: str
    reads: str = "tree"
    """What it depends on: C(machine) (always run), C(tree) (every file), C(code) (every file but those for people)."""


class Outcome(t.NamedTuple):
    """How a step ended. C(code) is its exit code; None: it could not begin."""

    step: Step
    code: int | None
    seconds: float
    output: str
    skipped: bool = False


def all_steps() -> list[Step]:
    """Every step, the long ones first."""
    scenarios = sorted(path.parent.name for path in (ROOT / "extensions" / "molecule").glob("*/molecule.yml"))
    return [
        Step("packages", ["tools/system-packages", "test"], (), "Debian packages, where any is missing", "machine"),
        Step("venv", ["tools/venv", "venv", "test", "python3.13", "python3.12", "python3.11"], ("packages",), "the Python tools, pinned", "machine"),
        Step("site-venv", ["tools/venv", "site-venv", "site", "python3.13", "python3.12", "python3.11"], ("packages",), "Sphinx, pinned", "machine"),
        Step("image", [*HOSTS, "image", "debian12"], ("packages",), "the image of the test hosts", "machine"),
        Step("ee", [sys.executable, "tests/awx/ee.py"], ("venv",), "the execution environment of examples/awx-project", "machine"),
        Step("sanity", ["tools/steps/sanity"], ("venv",), "ansible-test sanity, all tests"),
        Step("month", ["tools/steps/system", "month"], ("venv", "image"), "a month of nights over five hosts, with faults; only where it is named", "code"),
        *(
            Step(f"system-{part}", ["tools/steps/system", f"{part}/{SYSTEM_PARTS}"], ("venv", "image"), "faults and whole ways on fresh hosts", "code")
            for part in range(1, SYSTEM_PARTS + 1)
        ),
        Step("integration", ["tools/steps/integration"], ("venv", "image"), "ansible-test integration, every module on a host", "code"),
        *(
            Step(f"molecule-{name}", ["tools/steps/molecule", name], ("venv", "image"), "scenario on separate hosts", "code")
            for name in scenarios
        ),
        Step("awx-jobs", ["tools/steps/awx", "jobs"], ("venv", "image", "ee"), "the project for AWX: jobs by ansible-runner, cancelled ones", "code"),
        Step("awx-configuration", ["tools/steps/awx", "configuration"], ("venv",), "the project for AWX: awx.awx against a stand-in of its API", "code"),
        Step("units-3.9", ["tools/steps/units", "3.9"], ("venv",), "ansible-test units, oldest Python of targets"),
        Step("units-3.13", ["tools/steps/units", "3.13"], ("venv",), "ansible-test units, newest Python of targets"),
        Step("units-controller", ["tools/steps/units", "controller"], ("venv",), "ansible-test units, the controller's Python"),
        Step("browser", ["tools/system-packages", "browser"], ("packages",), "Debian's chromium, where it is missing", "machine"),
        Step("report", ["tools/steps/report"], ("venv", "browser"), "the page of the fleet in a browser; metrics and alerts by promtool"),
        Step("lint", ["tools/steps/lint"], ("venv",), "ansible-lint, profile production; shellcheck"),
        Step("docs", ["tools/steps/docs"], ("site-venv",), "the site is built, every link is followed, the examples are read"),
        Step("package", ["tools/steps/package"], ("venv",), "build, galaxy-importer, documentation, changelog"),
    ]


def fingerprints() -> dict[str, str]:
    """What C(tree) and C(code) are made of now: a hash over every file that git knows or would add, with its mode."""
    listing = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    hashes = {"tree": hashlib.sha256(), "code": hashlib.sha256()}
    for name in sorted(set(os.fsdecode(listing.stdout).split("\0")) - {""}):
        path = ROOT / name
        if path.is_symlink() or not path.is_file():
            content = os.fsencode(os.readlink(path)) if path.is_symlink() else b"gone"
        else:
            content = bytes([path.stat().st_mode & 0o100 != 0]) + path.read_bytes()
        line = os.fsencode(name) + b"\0" + hashlib.sha256(content).digest()
        hashes["tree"].update(line)
        if not (name.endswith((".md", ".rst")) or name.startswith(("docs/", "changelogs/"))):
            hashes["code"].update(line)
    return {reads: value.hexdigest() for reads, value in hashes.items()}


def passed_before(step: Step, found: dict[str, str]) -> Outcome | None:
    """The outcome of a step that passed here on the very same files, or None."""
    if step.reads == "machine" or os.environ.get("AGAIN") or os.environ.get("CI"):
        return None
    note = PASSED / step.name
    try:
        if note.read_text(encoding="utf-8") != found[step.reads]:
            return None
    except FileNotFoundError:
        return None
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(note.stat().st_mtime))
    return Outcome(step, 0, 0.0, f"passed {when}, and nothing it depends on has changed", skipped=True)


def run(step: Step, found: dict[str, str]) -> Outcome:
    """Run one step, unless it has passed on the very same files."""
    before = passed_before(step, found)
    if before:
        return before
    began = time.monotonic()
    note = PASSED / step.name
    note.unlink(missing_ok=True)
    log = LOGS / f"{step.name}.log"
    with open(log, "w", encoding="utf-8") as output:
        done = subprocess.run(step.command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False)
    # A file that was edited meanwhile makes the result worth nothing the next time.
    if done.returncode == 0 and step.reads != "machine" and fingerprints()[step.reads] == found[step.reads]:
        note.write_text(found[step.reads], encoding="utf-8")
    return Outcome(step, done.returncode, time.monotonic() - began, log.read_text(encoding="utf-8", errors="replace"))


def report(outcome: Outcome) -> None:
    """Print how a step ended: its closing lines when it passed, all of its output when it failed."""
    name = outcome.step.name
    if outcome.skipped:
        print(f"[    - ] {name}: {outcome.output}", flush=True)
    elif outcome.code == 0:
        print(f"[{outcome.seconds:4.0f} s] {name}: passed", flush=True)
        for line in outcome.output.splitlines():
            if CLOSING.search(line):
                print(f"         {line.strip().strip('=│ ').strip()}", flush=True)
    elif outcome.code is None:
        print(f"[    - ] {name}: not begun, since {outcome.output} failed", flush=True)
    else:
        print(f"--- {name}: all that it printed", flush=True)
        print("\n".join(outcome.output.splitlines()[-400:]), flush=True)
        print(f"--- {name}: FAILED with exit code {outcome.code} after {outcome.seconds:.0f} s; .build/logs/{name}.log has the whole", flush=True)


def culprits(outcome: Outcome) -> list[str]:
    """The last few lines by which a failed step names what failed, each cut to one line of a terminal or two."""
    if not outcome.code:
        return []
    return [line[:300] for line in outcome.output.splitlines() if CULPRIT.search(line)][-6:]


def run_all(steps: list[Step]) -> list[Outcome]:
    """Run I(steps), each after those it needs, two more at once than there are cores: half of a test is waiting for a host."""
    free = (os.cpu_count() or 2) + 2
    found = fingerprints()
    waiting = list(steps)
    chosen = {step.name for step in steps}
    outcomes: dict[str, Outcome] = {}
    running: dict[concurrent.futures.Future[Outcome], Step] = {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=free) as pool:
        while waiting or running:
            for step in list(waiting):
                missing = [name for name in step.needs if name in chosen]
                broken = [name for name in missing if name in outcomes and outcomes[name].code != 0]
                if broken:
                    waiting.remove(step)
                    outcomes[step.name] = Outcome(step, None, 0.0, " and ".join(broken))
                    report(outcomes[step.name])
                elif len(running) < free and all(name in outcomes for name in missing):
                    waiting.remove(step)
                    running[pool.submit(run, step, found)] = step
            for future in concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED).done:
                step = running.pop(future)
                outcomes[step.name] = future.result()
                report(outcomes[step.name])
    return [outcomes[step.name] for step in steps]


def with_needs(names: list[str], steps: list[Step]) -> list[Step]:
    """The steps called I(names) and all that they need."""
    table = {step.name: step for step in steps}
    wanted: set[str] = set()
    pending = [step.name for name in names for step in steps if step.name == name or step.name.startswith(f"{name}-")]
    unknown = [name for name in names if not any(step.name == name or step.name.startswith(f"{name}-") for step in steps)]
    if unknown:
        raise SystemExit(f"No such step: {', '.join(unknown)}. There are: {', '.join(table)}")
    while pending:
        name = pending.pop()
        if name not in wanted:
            wanted.add(name)
            pending.extend(table[name].needs)
    return [step for step in steps if step.name in wanted]


def main(arguments: list[str]) -> int:
    """Run the steps named on the command line, or all."""
    if arguments == ["--list"]:
        for step in all_steps():
            print(f"  {step.name:28} {step.about}")
        return 0
    steps = with_needs(arguments, all_steps()) if arguments else [step for step in all_steps() if step.name not in LONG]
    for directory in (LOGS, PASSED):
        directory.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    outcomes = run_all(steps)
    print(f"\n{'step':28} {'seconds':>7}  result", flush=True)
    for outcome in outcomes:
        result = "skipped" if outcome.skipped else "passed" if outcome.code == 0 else "not begun" if outcome.code is None else "FAILED"
        print(f"{outcome.step.name:28} {outcome.seconds:7.0f}  {result}  ({outcome.output if outcome.skipped else outcome.step.about})")
        for line in culprits(outcome):
            print(f"    {line}")
    failed = sum(outcome.code != 0 for outcome in outcomes)
    print(f"{len(outcomes)} steps in {time.monotonic() - began:.0f} s")
    skipped = sum(outcome.skipped for outcome in outcomes)
    print(f"{len(outcomes) - failed - skipped} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
