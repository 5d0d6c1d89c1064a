# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disposable test hosts: podman containers with systemd, each with an address, an sshd and a disk of its own.

Used by the molecule scenarios, by the tests in tests/system/ and by the module integration tests. Standard library and the
programs podman, ssh-keygen and (where no registry is reachable) mmdebstrap only. As a program::

    python3 tests/hosts/testhosts.py image debian12                 build an image, or do nothing when it is up to date
    python3 tests/hosts/testhosts.py up --dir D web1 web2:debian11  start fresh hosts; D holds all that belongs to them
    python3 tests/hosts/testhosts.py podman --dir D web1 pause      podman pause <container of web1>; also stop, start, kill, exec
    python3 tests/hosts/testhosts.py down --dir D                   remove them and D

The directory of a group of hosts holds: C(hosts.json) (a list of C({name, container, address, pid, flavour})),
C(id_ed25519) (a key of this group alone), C(known_hosts) (the true host keys), C(ssh_config) and C(inventory.yml).
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import time
import typing as t

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
BUILD = PROJECT / ".build"

IMAGE = "localhost/seafleet-testhost"
EE_IMAGE = "localhost/seafleet-ee"
"""The execution environment that tests/awx/ee.py builds."""
RELEASES = {"debian11": ("11", "bullseye"), "debian12": ("12", "bookworm"), "debian13": ("13", "trixie")}
NETWORK = "seafleet-test"
SUBNET = "10.89.211.0/24"
LABEL = "seafleet.testhosts"
BOOT_SECONDS = 90

# Wherever the host runs cgroup v1 (or the hybrid of both), podman's own choice of runtime and manager does not start systemd.
CGROUP_V1_CONF = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""

# Runs in a new host: the key of the group on standard input, the host's public key on standard output when all is up.
FIRST_START = """\
mkdir -p -m 700 /root/.ssh && cat > /root/.ssh/authorized_keys && chmod 600 /root/.ssh/authorized_keys || exit 1
for i in $(seq {tenths}); do
    case $(systemctl is-system-running 2>/dev/null) in
        running|degraded) cat /etc/ssh/ssh_host_ed25519_key.pub; exit ;;
    esac
    sleep 0.1
done
echo "systemd is not up after {seconds} seconds: $(systemctl list-jobs --no-pager 2>&1)" >&2
exit 1
"""


class HostError(Exception):
    """A test host could not be made; the message says which step failed and what the program printed."""


class Host(t.NamedTuple):
    """One running test host."""

    name: str
    container: str
    address: str
    pid: int
    flavour: str


def podman_environment() -> dict[str, str]:
    """The environment for podman: with a C(CONTAINERS_CONF) of our own only where cgroup v1 asks for it and the user has none."""
    environment = dict(os.environ)
    if "CONTAINERS_CONF" not in environment and not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        conf = BUILD / "containers.conf"
        if not conf.exists():
            BUILD.mkdir(exist_ok=True)
            temporary = conf.with_name(f"containers.conf.{os.getpid()}")
            temporary.write_text(CGROUP_V1_CONF)
            temporary.rename(conf)
        environment["CONTAINERS_CONF"] = str(conf)
    return environment


def podman(*arguments: str, stdin: bytes | None = None, check: bool = True) -> str:
    """Run podman and return its standard output.

    :raises HostError: it is not installed, or ended with another code than 0 and I(check) holds.
    """
    try:
        done = subprocess.run(["podman", *arguments], env=podman_environment(), input=stdin or b"", capture_output=True, check=False)
    except FileNotFoundError:
        raise HostError("podman is not installed; `make test` installs it, or run: apt-get install podman") from None
    if check and done.returncode != 0:
        raise HostError(f"podman {' '.join(arguments[:4])} ended with {done.returncode}: {done.stderr.decode(errors='replace').strip()[-2000:]}")
    return done.stdout.decode(errors="replace")


@contextlib.contextmanager
def only_one(name: str) -> t.Iterator[None]:
    """Hold the lock I(name): two runs at once neither build an image twice nor make the network twice."""
    (BUILD / "locks").mkdir(parents=True, exist_ok=True)
    with open(BUILD / "locks" / name, "w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def image_name(flavour: str) -> str:
    """The image of I(flavour) as the files beside this one describe it now: their hash is its tag."""
    if flavour not in RELEASES:
        raise HostError(f"{flavour}: no such kind of test host; there are {', '.join(sorted(RELEASES))}")
    digest = hashlib.sha256()
    for file in ("Containerfile", "ssh-host-keys.conf"):
        digest.update((HERE / file).read_bytes())
    return f"{IMAGE}:{flavour}-{digest.hexdigest()[:12]}"


def image_exists(name: str) -> bool:
    """Whether podman holds the image I(name)."""
    return bool(podman("image", "ls", "--quiet", "--filter", f"reference={name}").strip())


def build_image(flavour: str) -> str:
    """Return the name of the image of I(flavour), after building it where it is missing."""
    name = image_name(flavour)
    with only_one(f"image-{flavour}"):
        if not image_exists(name):
            release, suite = RELEASES[flavour]
            base_image(f"docker.io/library/debian:{release}", suite)
            podman("build", "--quiet", "--pull=never", "--build-arg", f"RELEASE={release}", "--tag", name, "--file", str(HERE / "Containerfile"), str(HERE))
    return name


def base_image(name: str, suite: str) -> None:
    """Bring the image I(name): from its registry, or where none is reachable made by mmdebstrap and imported under the same name."""
    if image_exists(name) or subprocess.run(["podman", "pull", "--quiet", name], env=podman_environment(), capture_output=True, check=False).returncode == 0:
        return
    if not shutil.which("mmdebstrap"):
        raise HostError(f"{name} cannot be pulled and mmdebstrap is not installed; `make test` installs it, or run: apt-get install mmdebstrap")
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", "--dpkgopt=force-unsafe-io", suite, "-"]
    archive = BUILD / f"{suite}.tar"
    with open(archive, "wb") as output:
        made = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, check=False)
    try:
        if made.returncode != 0:
            raise HostError(f"{' '.join(command)} ended with {made.returncode}: {made.stderr.decode(errors='replace').strip()[-2000:]}")
        podman("import", "--quiet", str(archive), name)
    finally:
        archive.unlink()


def make_network() -> None:
    """Make the network of the test hosts where it is missing."""
    with only_one("network"):
        if NETWORK not in podman("network", "ls", "--format", "{{.Name}}").split():
            podman("network", "create", "--subnet", SUBNET, NETWORK)


def start(name: str, flavour: str, directory: pathlib.Path, options: t.Sequence[str]) -> tuple[Host, str]:
    """Start one host and return it with its public ssh host key when its systemd is up."""
    container = f"seafleet-{secrets.token_hex(4)}-{name}"
    podman("run", "--detach", "--pull=never", "--name", container, "--hostname", name, "--network", NETWORK, "--systemd=always",
           "--label", f"{LABEL}={directory}", *options, image_name(flavour))
    script = FIRST_START.format(tenths=BOOT_SECONDS * 10, seconds=BOOT_SECONDS)
    host_key = podman("exec", "--interactive", container, "sh", "-c", script, stdin=(directory / "id_ed25519.pub").read_bytes())
    settings = json.loads(podman("container", "inspect", container))[0]
    address = settings["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
    return Host(name, container, address, settings["State"]["Pid"], flavour), host_key.strip()


def up(directory: pathlib.Path, hosts: dict[str, str], options: t.Sequence[str] = ()) -> list[Host]:
    """Start fresh hosts, fully up, that know each other by name, and write what belongs to them to I(directory).

    :arg hosts: name of each host and its flavour (C(debian12)).
    :arg options: further options of C(podman run) for every host, such as C(--tmpfs=/srv/small:size=20m).
    """
    directory = directory.resolve()
    down(directory)
    directory.mkdir(parents=True, mode=0o700)
    for flavour in sorted(set(hosts.values())):
        build_image(flavour)
    make_network()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test hosts", "-f", str(directory / "id_ed25519")], check=True)
    try:
        with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
            started = list(pool.map(lambda item: start(item[0], item[1], directory, options), hosts.items()))
        table = "".join(f"{host.address} {host.name}\n" for host, key in started).encode()
        for host, key in started:
            podman("exec", "--interactive", host.container, "sh", "-c", "cat >> /etc/hosts", stdin=table)
    except BaseException:
        down(directory)
        raise
    write_files(directory, started)
    return [host for host, key in started]


def write_files(directory: pathlib.Path, started: t.Sequence[tuple[Host, str]]) -> None:
    """Write hosts.json, known_hosts, ssh_config and inventory.yml."""
    known = [f"{host.address},{host.name} {' '.join(key.split()[:2])}\n" for host, key in started]
    (directory / "known_hosts").write_text("".join(known))
    blocks = [
        f"Host {host.name} {host.address}\n  HostName {host.address}\n  HostKeyAlias {host.address}\n  User root\n"
        f"  IdentityFile {directory}/id_ed25519\n  IdentitiesOnly yes\n  UserKnownHostsFile {directory}/known_hosts\n"
        "  StrictHostKeyChecking yes\n  LogLevel ERROR\n"
        for host, key in started
    ]
    (directory / "ssh_config").write_text("\n".join(blocks))
    inventory = {"all": {"hosts": {host.name: variables(directory, host) for host, key in started}}}
    # JSON is YAML, and needs nothing beyond the standard library.
    (directory / "inventory.yml").write_text(json.dumps(inventory, indent=2) + "\n")
    (directory / "hosts.json").write_text(json.dumps([host._asdict() for host, key in started], indent=2) + "\n")


def variables(directory: pathlib.Path, host: Host) -> dict[str, str]:
    """What Ansible needs to reach I(host)."""
    return {
        "ansible_host": host.address,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": f"{directory}/id_ed25519",
        "ansible_ssh_common_args": f"-F {directory}/ssh_config",
        "ansible_python_interpreter": "/usr/bin/python3",
        "testhost_container": host.container,
    }


def read(directory: pathlib.Path) -> list[Host]:
    """The hosts of I(directory), as C(up) wrote them."""
    return [Host(**values) for values in json.loads((directory / "hosts.json").read_text())]


def down(directory: pathlib.Path) -> None:
    """Remove every host that was started for I(directory), and the directory; nothing there is fine."""
    directory = directory.resolve()
    remove(f"{LABEL}={directory}")
    if directory.exists():
        shutil.rmtree(directory)


def remove(label: str) -> None:
    """Remove every container with I(label), running or not."""
    containers = podman("ps", "--all", "--quiet", "--filter", f"label={label}").split()
    if containers:
        podman("rm", "--force", "--volumes", "--time", "0", *containers, check=False)


def parse(names: t.Iterable[str]) -> dict[str, str]:
    """Turn C(NAME) and C(NAME:FLAVOUR) into what C(up) wants; the flavour is C(debian12) where none is given."""
    return {name: flavour or "debian12" for name, _colon, flavour in (item.partition(":") for item in names)}


def main(arguments: t.Sequence[str]) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="testhosts.py", description="Disposable test hosts in podman.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("image", help="build the image of a kind of host, where it is missing")
    command.add_argument("flavours", nargs="+", choices=sorted(RELEASES))
    command = commands.add_parser("up", help="start fresh hosts")
    command.add_argument("--dir", required=True, type=pathlib.Path, help="where keys, known hosts and the inventory go")
    command.add_argument("--option", action="append", default=[], help="a further option of podman run")
    command.add_argument("hosts", nargs="+", metavar="NAME[:FLAVOUR]")
    command = commands.add_parser("down", help="remove them")
    command.add_argument("--dir", required=True, type=pathlib.Path)
    command = commands.add_parser("podman", help="run a podman command on the container of a host")
    command.add_argument("--dir", required=True, type=pathlib.Path)
    command.add_argument("host")
    command.add_argument("action")
    command.add_argument("arguments", nargs=argparse.REMAINDER)
    command = commands.add_parser("run", help="run one command in a fresh container of a kind, without systemd and network")
    command.add_argument("flavour", choices=sorted(RELEASES))
    command.add_argument("arguments", nargs=argparse.REMAINDER, help="options of podman run, --, the command")
    commands.add_parser("clean", help="remove every test host and image of this project")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        if options.command == "image":
            for flavour in options.flavours:
                print(f"{build_image(flavour)} ({time.monotonic() - began:.0f} s)")
        elif options.command == "up":
            for host in up(options.dir, parse(options.hosts), options.option):
                print(f"{host.name} {host.address} {host.container}")
        elif options.command == "run":
            split = options.arguments.index("--")
            before, after = options.arguments[:split], options.arguments[split + 1:]
            command = ["podman", "run", "--rm", "--network=none", "--pull=never", *before, build_image(options.flavour), *after]
            return subprocess.run(command, env=podman_environment(), check=False).returncode
        elif options.command == "podman":
            host = {host.name: host for host in read(options.dir)}[options.host]
            print(podman(options.action, host.container, *options.arguments), end="")
        elif options.command == "down":
            down(options.dir)
        else:
            remove(LABEL)
            images = [image for name in (IMAGE, EE_IMAGE) for image in podman("image", "ls", "--quiet", "--filter", f"reference={name}").split()]
            if images:
                podman("image", "rm", "--force", *images)
    except HostError as error:
        print(f"testhosts.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
