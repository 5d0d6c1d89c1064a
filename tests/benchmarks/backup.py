# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(make benchmark WHAT=backup): what a backup costs, beside the manual's own commands, restic and borg on the same deployment.

Three parts: C(store) (a first backup, then nothing changed, then changes, at several sizes), C(dump) (the dump stage beside plain
mysqldump on databases of some size) and C(fleet) (the playbook on one server and on twenty). All of them between an sshd and a
MariaDB of this benchmark's own, see lab.py. What was measured is kept in DIR/backup.json, so that parts and sizes can be measured
one by one; WRITE puts all that is there into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import pathlib
import shlex
import shutil
import statistics
import subprocess
import sys
import typing as t

import generate
import measure
import plot
import surroundings
import verify
from lab import DATABASES, Cost, Lab, Run

MANUAL, OURS, PULL, RESTIC, BORG = "the manual's commands", "the playbook", "its pull stage alone", "restic", "borg"
WHO = (MANUAL, OURS, RESTIC, BORG)
FIRST, NOTHING = "first backup", "nothing changed"
PLAIN, GZIP, DUMP = "three `mysqldump --opt`", "one `mysqldump --databases`, through `gzip -6`", "the playbook's dump stage"
WHOLE_RUN = ""
PARTS = ("store", "dump", "fleet")
FLEET, FLEET_OBJECTS = (1, 20), 1000
PICTURE = measure.ROOT / "docs" / "images" / "backup-growth.svg"

Results = t.Dict[str, t.Any]


def changed(percent: float) -> str:
    return f"{percent:g} % changed"


def mysqldump(lab: Lab) -> str:
    program = "mysqldump" if shutil.which("mysqldump") else "mariadb-dump"
    return f"{program} -S {lab.database_socket} -useafile -pbenchmark --opt"


def dump(lab: Lab, directory: str) -> str:
    """The manual's three commands, to files with the time in their names."""
    dumps = (f"{mysqldump(lab)} {name} > {directory}/{name}.sql.$stamp" for name in DATABASES)
    return "; ".join(["stamp=$(date +%F-%H%M%S-%N)", f"mkdir -p {directory}", *dumps])


class Store:
    """One deployment, and everybody's backups of it."""

    def __init__(self, lab: Lab, objects: int, options: argparse.Namespace) -> None:
        self.lab = lab
        self.options = options
        self.deployment = os.path.join(lab.directory, f"verify-{objects}")
        self.haiwen = os.path.join(self.deployment, "haiwen")
        self.work = os.path.join(lab.directory, f"backup-{objects}-{os.getpid()}-{next(lab.numbers)}")
        if self.deployment in lab.unneeded:
            lab.unneeded.remove(self.deployment)
        if shutil.disk_usage(lab.directory).free < 4 * verify.needed_bytes(objects, options.libraries, options.block_bytes):
            lab.discard()
        verify.prepare(self.deployment, objects, options)
        self.runs: dict[str, dict[str, list[Cost]]] = {}
        self.stages: dict[str, dict[str, list[Cost]]] = {}
        self.state = generate.read_state(self.deployment)
        self.here = [who for who in WHO if who in (MANUAL, OURS) or (shutil.which(who) and who not in options.without)]

    def __enter__(self) -> Store:
        shutil.rmtree(os.path.join(self.haiwen, ".seafleet"), ignore_errors=True)
        size = sum(self.state["bytes"].values())
        needed = 2 * (size + 4096 * sum(self.state["objects"].values())) + size * (len(self.here) - 2)  # two keep them as files, the others packed
        if shutil.disk_usage(self.lab.directory).free < needed * 1.1:
            raise SystemExit(f"{len(self.here)} backups take about {needed / 1e9:.0f} GB, more than {self.lab.directory} has left. Choose another DIR.")
        surroundings.write_configuration(pathlib.Path(self.haiwen), self.lab.database_socket)
        self.lab.import_dump(self.deployment)
        for who, command in ((RESTIC, self._restic("init")), (BORG, "borg init --encryption=repokey-blake2")):
            os.makedirs(os.path.join(self.work, "dumps", who))
            if who in self.here:
                subprocess.run(["bash", "-c", command], env=self._environment(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.makedirs(os.path.join(self.work, "dumps", "manual"))
        os.makedirs(os.path.join(self.work, "manual"))
        return self

    def __exit__(self, *dummy: t.Any) -> None:
        self.lab.unneeded.append(self.work)
        shutil.rmtree(os.path.join(self.haiwen, ".seafleet"), ignore_errors=True)
        if not self.options.keep:
            self.lab.unneeded.append(self.deployment)

    # -- everybody's command -------------------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "RESTIC_PASSWORD": "benchmark", "RESTIC_REPOSITORY": f"sftp:keeper:{self.work}/restic", "RESTIC_CACHE_DIR": f"{self.work}/restic-cache",
            "BORG_PASSPHRASE": "benchmark", "BORG_REPO": f"ssh://keeper{self.work}/borg", "BORG_BASE_DIR": f"{self.work}/borg-base",
            "BORG_RSH": f"ssh -F {self.lab.ssh_config}",
        }

    def _restic(self, command: str) -> str:
        return f"restic -q -o sftp.command='ssh -F {self.lab.ssh_config} keeper -s sftp' {command}"

    def command(self, who: str) -> tuple[list[str], dict[str, str]]:
        """The manual's and ours run on the backup host, restic and borg on the server, as they are meant to be used."""
        if who == OURS:
            return self.lab.playbook({"server": self.haiwen}, f"{self.work}/ours"), self.lab.environment()
        dumps = f"{self.work}/dumps/{'manual' if who == MANUAL else who}"
        ssh = f"ssh -F {self.lab.ssh_config}"
        first = dump(self.lab, dumps)
        script = {
            MANUAL: f"{ssh} server {shlex.quote(first)}; rsync -az -e '{ssh}' server:{self.haiwen} server:{dumps} {self.work}/manual/",
            RESTIC: f"{first}; {self._restic('backup')} {self.haiwen} {dumps}",
            BORG: f"{first}; borg create ::{{utcnow:%Y%m%dT%H%M%S%f}} {self.haiwen} {dumps}",
        }[who]
        return ["bash", "-e", "-c", script], self._environment()

    # -- runs ----------------------------------------------------------------------------------------------------

    def turn(self, case: str, cold: bool = False, count: bool = False) -> None:
        """Everybody once, one after the other."""
        name = case + (", cold" if cold else "")
        for who in self.here:
            if cold:
                measure.drop_caches()
            run = self.lab.run(*self.command(who), count=count)
            if count:
                self._count(name, who, run)
                continue
            self.runs.setdefault(name, {}).setdefault(who, []).append(run.cost)
            if who == OURS:
                self.runs[name].setdefault(PULL, []).append(pulling(run))
                for stage, cost in [*run.stages.items(), (WHOLE_RUN, run.cost)]:
                    self.stages.setdefault(name, {}).setdefault(stage, []).append(cost)
            tell(f"{name}: {who}", run)

    def _count(self, name: str, who: str, run: Run) -> None:
        """Note the system calls with the last timed run of the same kind."""
        for one, cost in ((who, run.cost), *([(PULL, pulling(run))] if who == OURS else [])):
            timed = self.runs[name][one]
            timed[-1] = timed[-1]._replace(calls=cost.calls)
            print(f"  {name}: {one}: {cost.calls} system calls", file=sys.stderr)

    def round(self, cold: bool = False, count: bool = False) -> None:
        self.turn(NOTHING, cold, count)
        for percent in self.options.change:
            self.state = generate.change(self.deployment, percent)
            self.lab.import_dump(self.deployment)
            self.turn(changed(percent), cold, count)

    def check(self) -> None:
        """What was fast must be complete too."""
        expected = sum(self.state["objects"].values())
        for who, directory in ((MANUAL, f"{self.work}/manual/haiwen/seafile-data/storage"), (OURS, f"{self.work}/ours/server/objects")):
            found = subprocess.run(["bash", "-c", f"find {directory} -type f | wc -l"], check=True, capture_output=True, text=True).stdout
            if int(found) != expected:
                raise SystemExit(f"{who}: {found.strip()} objects instead of {expected} in {directory}")

    def measure(self) -> Results:
        print(f"{sum(self.state['objects'].values())} objects, {FIRST}", file=sys.stderr)
        self.turn(FIRST, self.options.cold)
        for number in range(self.options.rounds):
            print(f"round {number + 1} of {self.options.rounds}", file=sys.stderr)
            self.round()
        if self.options.cold:
            self.round(cold=True)
        if self.lab.counter:
            self.round(count=True)
        self.check()
        return {"objects": sum(self.state["objects"].values()), "bytes": sum(self.state["bytes"].values()), "runs": self.runs, "stages": self.stages}


def pulling(run: Run) -> Cost:
    """What the playbook spent on pulling: on a first run objects come before the dump too."""
    found = [run.stages[stage] for stage in ("warm_up", "pull") if stage in run.stages]
    return functools.reduce(Cost.plus, found)


def tell(name: str, run: Run) -> None:
    cost = run.cost
    stages = ", ".join(f"{stage} {one.wall:.2f}" for stage, one in run.stages.items())
    print(f"  {name}: {cost.wall:.2f} s, {cost.cpu:.2f} s of CPU, {cost.memory / 1e6:.0f} MB, {cost.net / 1e6:.2f} MB over the net, "
          f"{cost.connections} connections" + (f"; {stages}" if stages else ""), file=sys.stderr)


def measure_dump(lab: Lab, options: argparse.Namespace) -> Results:
    """The dump stage beside plain commands on the same databases, all of them on the server."""
    print(f"dump of about {options.database} MB", file=sys.stderr)
    lab.fill(options.database)
    runs: dict[str, list[Cost]] = {}
    size = 0
    try:
        with Store(lab, FLEET_OBJECTS, options) as store:
            place = f"{store.work}/dump"
            together = f"mkdir {place}; {mysqldump(lab)} --single-transaction --databases {' '.join(DATABASES)} | gzip -6 > {place}/all.sql.gz"
            for number in range(options.rounds + 1):  # the first one fills the caches and does not count
                for name, script in ((PLAIN, dump(lab, place)), (GZIP, together)):
                    run = lab.run(["bash", "-e", "-o", "pipefail", "-c", script])
                    if name == PLAIN:
                        size = sum(entry.stat().st_size for entry in os.scandir(place))
                    shutil.rmtree(place)
                    if number:
                        runs.setdefault(name, []).append(run.cost)
                        tell(name, run)
                run = lab.run(*store.command(OURS))
                if number:
                    runs.setdefault(DUMP, []).append(run.stages["dump"])
                    tell(DUMP, run)
    finally:
        lab.fill(1)
    return {"bytes": size, "runs": runs}


def measure_fleet(lab: Lab, options: argparse.Namespace) -> Results:
    """The playbook on one small server and on twenty, nothing changed."""
    result = {}
    with Store(lab, FLEET_OBJECTS, options) as store:
        roots = {f"server{number:02}": f"{store.work}/servers/{number:02}/haiwen" for number in range(1, max(FLEET) + 1)}
        for root in roots.values():
            os.makedirs(os.path.dirname(root))
            subprocess.run(["cp", "-a", store.haiwen, root], check=True)
        for number in FLEET:
            print(f"{number} servers", file=sys.stderr)
            command = lab.playbook(dict(list(roots.items())[:number]), f"{store.work}/fleet-{number}")
            runs = [lab.run(command, lab.environment()) for dummy in range(options.rounds + 1)]  # the first one is a first backup
            for run in runs:
                tell(f"{number} servers", run)
            result[str(number)] = {
                "runs": [run.cost for run in runs[1:]], "executed": max(runs[-1].executed.values()), "skipped": max(runs[-1].skipped.values(), default=0)}
    return result


# -- tables ------------------------------------------------------------------------------------------------------------


def costs(values: t.Sequence[t.Any]) -> list[Cost]:
    """From the file they come as lists."""
    return [Cost(*value) for value in values]


def median(values: t.Sequence[Cost], part: str) -> float:
    return statistics.median(getattr(cost, part) for cost in values)


def ratio(ours: t.Sequence[Cost], base: t.Sequence[Cost], part: str) -> str:
    """The median of the rounds' ratios; nothing where one was not counted."""
    found = [getattr(one, part) / getattr(other, part) for one, other in zip(ours, base) if getattr(one, part) is not None and getattr(other, part)]
    return f"{statistics.median(found):.2f}" if found else ""


def calls(values: t.Sequence[Cost]) -> str:
    counted = [cost.calls for cost in values if cost.calls is not None]
    return f"{counted[-1]:,}" if counted else ""


def store_table(entry: Results) -> str:
    """Every case, and in it everybody; the last columns against the manual's commands of the same round."""
    rows = []
    for case, everybody in entry["runs"].items():
        base = costs(everybody[MANUAL])
        for who in (MANUAL, OURS, PULL, RESTIC, BORG):
            name = "" if who != MANUAL else case
            if who not in everybody:
                rows.append([name, f"{who}: not measured", *[""] * 8])
                continue
            values = costs(everybody[who])
            counted = [cost for cost in values if cost.calls is not None], [cost for cost in base if cost.calls is not None]
            rows.append([
                name, who, measure.seconds([cost.wall for cost in values]), f"{median(values, 'cpu'):.2f}", calls(values),
                f"{median(values, 'net') / 1e6:.2f}", f"{max(cost.memory for cost in values) / 1e6:.0f}",
                ratio(values, base, "wall"), ratio(values, base, "cpu"), ratio(*counted, "calls")])
    header = ("case", "run", "seconds", "CPU seconds", "system calls", "MB over the net", "memory MB", "seconds / manual", "CPU / manual", "calls / manual")
    return measure.table(header, rows, left=2)


def stage_table(entry: Results) -> str:
    """Where the playbook's time goes, warm."""
    cases = {case: stages for case, stages in entry["stages"].items() if not case.endswith("cold")}
    names = list(dict.fromkeys(stage for stages in cases.values() for stage in stages))
    rows = [[case, *(f"{median(costs(stages[name]), 'wall'):.1f} ({median(costs(stages[name]), 'cpu'):.1f})" if name in stages else "" for name in names)]
            for case, stages in cases.items()]
    return measure.table(["seconds (CPU seconds)", *(name or "all" for name in names)], rows)


def dump_table(entry: Results) -> str:
    base, rows = costs(entry["runs"][PLAIN]), []
    gzip = costs(entry["runs"][GZIP])
    for name, runs in entry["runs"].items():
        values = costs(runs)
        rows.append([name, measure.seconds([cost.wall for cost in values]), f"{median(values, 'cpu'):.2f}", f"{max(cost.memory for cost in values) / 1e6:.0f}",
                     ratio(values, base, "wall"), ratio(values, gzip, "wall")])
    return measure.table(("run", "seconds", "CPU seconds", "memory MB", "seconds / three dumps", "seconds / `gzip -6`"), rows)


def report_table(result: Results) -> str:
    rows = []
    for number, entry in result.items():
        values, servers = costs(entry["runs"]), int(number)
        connections = [cost.connections / servers for cost in values]
        rows.append([number, measure.seconds([cost.wall for cost in values]), *(f"{median(values, part) / servers:.2f}" for part in ("own", "cpu")),
                     str(entry["executed"]), str(entry["skipped"]), f"{statistics.median(connections):.1f}", f"{median(values, 'pulls') / servers:.1f}"])
    return measure.table(("servers", "seconds", "controller's CPU seconds a server", "CPU seconds a server, everywhere", "tasks executed a server",
                          "tasks skipped", "ssh connections a server", "of them to pull"), rows)


def picture(sizes: t.Mapping[str, Results]) -> str:
    """Growth against the store's size, a panel for each case of which every size tells."""
    entries = sorted(sizes.values(), key=lambda entry: entry["objects"])
    panels = []
    for case in entries[0]["runs"]:
        if case.startswith((NOTHING, changed(0.1))) and all(case in entry["runs"] for entry in entries):
            panels.append((case, {
                who: [(int(size), median(costs(entry["runs"][case][who]), "wall")) for size, entry in sizes.items() if who in entry["runs"][case]]
                for who in (MANUAL, OURS, PULL, RESTIC, BORG) if any(who in entry["runs"][case] for entry in entries)}))
    return plot.svg(panels, "objects in the store", "seconds")


def text(results: Results) -> str:
    """All that was measured, in Markdown."""
    parts = []
    for size, entry in sorted(results.get("store", {}).items(), key=lambda item: int(item[0])):
        title = f"### {int(size):,} objects, {entry['bytes'] / 1e6:,.0f} MB at the end"
        parts += [title, entry["head"], store_table(entry), "Where the playbook's time goes:", stage_table(entry)]
    if results.get("store"):
        parts.insert(0, f"![Seconds against the size of the store](images/{PICTURE.name})")
    if "dump" in results:
        parts += [f"### Dump stage, {results['dump']['bytes'] / 1e6:,.0f} MB of SQL in three databases", results["dump"]["head"], dump_table(results["dump"])]
    if "fleet" in results:
        fleet = dict(results["fleet"])
        head = fleet.pop("head")
        parts += [f"### One server and twenty, {FLEET_OBJECTS:,} objects each, nothing changed", head, report_table(fleet)]
    return "\n\n".join(parts)


# -- the command -------------------------------------------------------------------------------------------------------


def version(*argv: str) -> str:
    """The first number with a dot that a program says of itself; nothing when it is not there."""
    if not shutil.which(argv[0]):
        return ""
    said = subprocess.run(argv, capture_output=True, text=True, check=False)
    return next((word.strip(",[]") for word in (said.stdout + said.stderr).split() if word[0].isdigit() and "." in word), "")


def head(lab: Lab, options: argparse.Namespace, part: str) -> str:
    """The machine, the programs, and the command that repeats it."""
    programs = {"rsync": ("rsync", "--version"), "mariadbd": ("mariadbd", "--version"), "restic": ("restic", "version"), "borg": ("borg", "--version"),
                "ansible-core": (str(measure.ROOT / ".build/run-venv/bin/ansible"), "--version")}
    named = ", ".join(f"{name} {found}" for name, found in ((name, version(*argv)) for name, argv in programs.items()) if found)
    size = f" OBJECTS={options.now}" if part == "store" else ""
    command = f"make benchmark WHAT=backup PARTS={part}{size} ROUNDS={options.rounds} SEED={options.seed}{' COLD=1' if options.cold else ''}"
    if options.without:
        command += f" WITHOUT='{' '.join(options.without)}'"
    counted = f" System calls by {lab.counter}, in a run of their own." if lab.counter else " System calls were not counted."
    net = "" if lab.alone else " The machine's own loopback was measured, with what others sent over it."
    return (f"{measure.machine(lab.directory)}; {named}; load {os.getloadavg()[0]:.1f} from other work when it began. "
            f"{options.rounds} rounds in turn, medians{'; a first backup once' + ', cold' * options.cold if part == 'store' else ''}."
            f"{counted if part == 'store' else ''}{net} Again: `{command}`")


def need(options: argparse.Namespace) -> None:
    """Install what is missing, where that can be; end where something is without which nothing can be measured."""
    subprocess.run([str(measure.ROOT / "tools" / "system-packages"), "benchmark"], check=False)
    subprocess.run([str(measure.ROOT / "tools" / "run-venv")], check=True)
    missing = [name for name in ("/usr/sbin/sshd", "ssh", "rsync", "mariadbd", "mariadb-install-db", "mariadb", "gzip") if not shutil.which(name)]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}")
    if any(character.isspace() for character in os.path.realpath(options.dir)):
        raise SystemExit("DIR must not have spaces in its path")


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=PARTS, help="none: only tables of what is in DIR/backup.json")
    parser.add_argument("--objects", type=int, nargs="+", default=[100000, 300000, 1000000])
    parser.add_argument("--change", type=float, nargs="+", default=[0.1, 1], metavar="PERCENT")
    parser.add_argument("--database", type=int, default=1500, metavar="MB", help="of the databases in the part dump")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--libraries", type=int, default=200)
    parser.add_argument("--block-bytes", type=generate.sizes, default=(300, 65536), metavar="MIN-MAX")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", default=os.path.join(".build", "benchmarks"), help="where the data goes")
    parser.add_argument("--cold", action="store_true", help="also with empty caches, the first backup only so; root, and a machine of its own")
    parser.add_argument("--without", nargs="+", default=[], choices=(RESTIC, BORG), help="do not measure these")
    parser.add_argument("--keep", action="store_true", help="leave the deployments for the next run")
    parser.add_argument("--write", action="store_true", help="put tables and plot into docs/")
    options = parser.parse_args(arguments)
    if min(options.objects) < generate.SMALLEST or options.rounds < 1:
        parser.error(f"at least {generate.SMALLEST} objects and one round")
    os.makedirs(options.dir, exist_ok=True)
    kept = pathlib.Path(options.dir, "backup.json")
    results: Results = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}

    def keep() -> None:
        kept.write_text(json.dumps(results, indent=1), encoding="utf-8")

    if options.parts:
        need(options)
        with Lab(options.dir) as lab:
            for objects in options.objects if "store" in options.parts else ():
                options.now = objects
                first = head(lab, options, "store")
                with Store(lab, objects, options) as store:
                    results.setdefault("store", {})[str(objects)] = {"head": first, **store.measure()}
                keep()
            for part, action in (("dump", measure_dump), ("fleet", measure_fleet)):
                if part in options.parts:
                    first = head(lab, options, part)
                    results[part] = {"head": first, **action(lab, options)}
                    keep()
        results = json.loads(kept.read_text(encoding="utf-8"))
    print(text(results))
    if options.write:
        measure.write("backup", text(results))
        if results.get("store"):
            PICTURE.write_text(picture(results["store"]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
