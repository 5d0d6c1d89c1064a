# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from ansible_collections.seafleet.seafile.plugins.module_utils.program_output import read_back


def say(words, stream):
    subprocess.run([sys.executable, "-c", f"import os; os.write(1, {words!r})"], stdout=stream, check=True)


def test_a_program_that_still_writes_is_read_from_the_beginning_and_writes_on_at_the_end():
    with tempfile.TemporaryFile() as output:
        say(b"first\n", output)
        stream = read_back(output)
        say(b"second\n", output)
        assert stream.readline() == b"first\n"
        say(b"third\n", output)
        assert stream.read() == b"second\nthird\n" and stream.read() == b""
        assert read_back(output).read(8) == b"first\nse"
        assert os.lseek(output.fileno(), 0, os.SEEK_CUR) == len(b"first\nsecond\nthird\n")


def test_a_stream_that_is_closed_or_forgotten_leaves_the_file_open():
    with tempfile.TemporaryFile() as output:
        assert read_back(output).read() == b""
        with read_back(output) as stream:
            assert stream.read(1) == b""
        say(b"said", output)
        assert read_back(output).read() == b"said"
