# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

from ansible_collections.seafleet.seafile.plugins.module_utils import pull_stage
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ServerLayout

STORE = "b0d6c8d0-d232-4563-9899-d92e9741eb8b"


def test_half_files_of_a_killed_run_go_and_nothing_else_does(tmp_path):
    layout = ServerLayout(str(tmp_path), "files")
    os.makedirs(layout.state)
    whole = [f"{kind}/{STORE}/ab/{'c' * 38}" for kind in ("commits", "fs", "blocks")]
    foreign = [f"blocks/{STORE}/ab/.hidden", f"blocks/{STORE}/ab/.{'c' * 38}.toolong7", f"blocks/{STORE}/ab/{'c' * 38}.AbC123"]
    half = [f"blocks/{STORE}/ab/.{'d' * 38}.AbC123", f"fs/{STORE}/ab/.{'e' * 38}.x0Y9z8"]
    for name in whole + foreign + half:
        os.makedirs(os.path.dirname(os.path.join(layout.objects, name)), exist_ok=True)
        with open(os.path.join(layout.objects, name), "w", encoding="ascii") as stream:
            stream.write("x")

    def there():
        return sorted(os.path.relpath(os.path.join(folder, name), layout.objects) for folder, unused, names in os.walk(layout.objects) for name in names)

    assert pull_stage.remove_leftovers(layout) == 0 and there() == sorted(whole + foreign + half), "no run was killed: nothing is looked for"
    pull_stage.leftovers_may_come(layout)
    assert pull_stage.remove_leftovers(layout) == 2 and there() == sorted(whole + foreign)
    pull_stage.leftovers_are_gone(layout)
    pull_stage.leftovers_are_gone(layout)
    assert not os.path.lexists(layout.unclean)
