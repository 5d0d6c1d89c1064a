# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment of examples/awx-project, built by ansible-builder from the very file that users get.

C(python3 tests/awx/ee.py) builds it, or does nothing when definition and locked packages are those of the image that is there.
Two things differ from a user's build: the Python packages come from a directory with what C(requirements/ee.txt) locks, and the
base image is made on this machine where no registry is reachable (see tests/hosts/testhosts.py). Neither is part of the image.
"""

from __future__ import annotations

import hashlib
import pathlib
import platform
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "hosts"))

import testhosts  # noqa: E402  # pylint: disable=wrong-import-position

DEFINITION = ROOT / "examples" / "awx-project" / "execution-environment" / "execution-environment.yml"
LOCK = ROOT / "requirements" / "ee.txt"
WORK = testhosts.BUILD / "ee"
BINARIES = testhosts.BUILD / "venv" / "bin"
BASE = ("docker.io/library/debian:13", "trixie")
PYTHON = "3.13"
"""The Python of the base image, for which packages are fetched."""

OFFLINE_PIP = "[global]\nno-index = true\nfind-links = /wheels\ndisable-pip-version-check = true\nroot-user-action = ignore\n"


def name() -> str:
    """The image as the definition and the lock describe it now: their hash is its tag."""
    return f"{testhosts.EE_IMAGE}:{hashlib.sha256(DEFINITION.read_bytes() + LOCK.read_bytes()).hexdigest()[:12]}"


def packages() -> pathlib.Path:
    """Fetch what the lock names, for the Python of the image, and return the directory that holds it."""
    wheels = WORK / "wheels"
    machine = platform.machine()
    platforms = [word for old in ("2_28", "2_17", "2_5") for word in ("--platform", f"manylinux_{old}_{machine}")]
    platforms += ["--platform", f"manylinux2014_{machine}", "--platform", f"manylinux1_{machine}"]
    subprocess.run(
        [str(BINARIES / "python"), "-m", "pip", "download", "--quiet", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
         "--only-binary", ":all:", "--python-version", PYTHON, *platforms, "--dest", str(wheels), "--requirement", str(LOCK)], check=True)
    return wheels


def build() -> str:
    """Return the name of the image, after building it where it is missing."""
    with testhosts.only_one("image-ee"):
        if not testhosts.image_exists(name()):
            testhosts.base_image(*BASE)
            wheels = packages()
            pip_conf = WORK / "pip.conf"
            pip_conf.write_text(OFFLINE_PIP, encoding="ascii")
            mounts = f"--pull=never --quiet --volume={wheels}:/wheels:ro --volume={pip_conf}:/etc/pip.conf:ro"
            done = subprocess.run(
                [str(BINARIES / "ansible-builder"), "build", "--container-runtime=podman", "--verbosity=2", f"--tag={name()}",
                 f"--file={DEFINITION}", f"--context={WORK / 'context'}", f"--extra-build-cli-args={mounts}"],
                env=testhosts.podman_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode != 0:
                raise testhosts.HostError(f"ansible-builder ended with {done.returncode}: {done.stdout[-6000:]}")
    return name()


if __name__ == "__main__":
    BEGAN = time.monotonic()
    try:
        print(f"{build()} ({time.monotonic() - BEGAN:.0f} s)")
    except testhosts.HostError as error:
        sys.exit(f"ee.py: {error}")
