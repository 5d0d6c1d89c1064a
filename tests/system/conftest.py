# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests on disposable hosts: the fixtures are those of tests/hosts/pytest_testhosts.py."""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "hosts"))

from pytest_testhosts import hosts, pytest_configure  # noqa: E402, F401  # pylint: disable=wrong-import-position,unused-import
