# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests on disposable hosts: the fixtures are those of tests/hosts/pytest_testhosts.py, and hosts that a file's tests share."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "hosts"))

import testhosts  # noqa: E402  # pylint: disable=wrong-import-position
from pytest_testhosts import Hosts, hosts, pytest_configure  # noqa: E402, F401  # pylint: disable=wrong-import-position,unused-import


@pytest.fixture(scope="module")
def shared_hosts(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[t.Callable[..., Hosts]]:
    """Start hosts that all tests of one file share: C(shared_hosts("server1", "backup1", options=[...])). They are gone after its last test."""
    directories: list[pathlib.Path] = []

    def begin(*names: str, options: t.Sequence[str] = ()) -> Hosts:
        directories.append(tmp_path_factory.mktemp("shared") / "group")
        testhosts.up(directories[-1], testhosts.parse(names), options)
        return Hosts(directories[-1])

    yield begin
    for directory in directories:
        testhosts.down(directory)
