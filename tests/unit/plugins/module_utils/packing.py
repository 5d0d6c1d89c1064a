# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text compressed by the stock programs' own means, to be read by the code under test."""

from __future__ import annotations

import gzip
import subprocess

KINDS = {"gzip": ".sql.gz", "zstd": ".sql.zst"}


def pack(kind, text, level=1):
    """Return I(text) as a file of I(kind) holds it."""
    if kind == "gzip":
        return gzip.compress(text, level)
    return subprocess.run(["zstd", "-q", f"-{level}", "-c"], input=text, stdout=subprocess.PIPE, check=True).stdout
