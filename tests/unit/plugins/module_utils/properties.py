# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How property tests run: the same examples every time, nothing kept on disk, no limit of time for one example.

C(SEAFLEET_EXAMPLES=10) in the environment multiplies the number of examples, for a long search by hand. Old Pythons look at a third of
them: what they can find is another library or another syntax, and the newest has looked at all.
"""

from __future__ import annotations

import os
import sys
import tempfile

from hypothesis import HealthCheck, Phase, configuration, settings

# ansible-test and the test hosts may have the tree read-only; what hypothesis caches (tables of unicode) goes elsewhere.
configuration.set_hypothesis_home_dir(os.path.join(tempfile.gettempdir(), "seafleet-hypothesis"))

_TIMES = int(os.environ.get("SEAFLEET_EXAMPLES", "1"))
_SHARE = 1 if sys.version_info >= (3, 11) else 3


def examples(number):
    """Settings for a property that looks at I(number) examples."""
    return settings(
        max_examples=max(1, number * _TIMES // _SHARE), derandomize=_TIMES == 1, database=None, deadline=None, print_blob=False,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture])
