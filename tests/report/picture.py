# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make docs/images/fleet-report.png: the sample fleet, reported by the real playbook, seen by a real browser.

    make venv && .build/venv/bin/python tests/report/picture.py     # wants chromium; prettier with the package fonts-inter
"""

from __future__ import annotations

import datetime
import pathlib
import tempfile

from browser import Browser
from conftest import PROJECT, playbook, sample_fleet


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        sample_fleet.write(directory, datetime.datetime.now(datetime.timezone.utc))
        playbook(directory, "report", report_dest=str(directory / "report"))
        with Browser() as browser:
            browser.open(directory / "report" / "fleet.html", 1200, 900)
            # not this machine's own disk
            browser.evaluate("document.querySelectorAll('.tiles > div')[4].remove()")
            browser.screenshot(PROJECT / "docs" / "images" / "fleet-report.png", height=1500)


if __name__ == "__main__":
    main()
