# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How dumps are compressed. Modules of 0.1.0 say when O(compression) came."""

    DOCUMENTATION = r"""
options:
  compression:
    description:
      - What the dumps are compressed with. V(gzip) needs no program.
      - V(zstd) takes about a fifth of the processor time of V(gzip) and makes smaller files. It needs the program C(zstd) here (without
        it the module fails with the code V(missing-tool)) and on every machine that reads the dumps. The files then end with C(.sql.zst).
    type: str
    choices: [gzip, zstd]
    default: gzip
  compression_level:
    description: Level of the compression from 1 (quick) to 9 (small).
    type: int
    choices: [1, 2, 3, 4, 5, 6, 7, 8, 9]
    default: 1
"""
