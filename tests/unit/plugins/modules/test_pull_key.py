# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A key, its rotation in steps of which each may be the last, and its removal; with the real ssh-keygen."""

from __future__ import annotations

import os
import shutil
import subprocess
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.modules import pull_key


@pytest.fixture
def key(tmp_path):
    """Runs the module on a key below a directory that does not exist yet."""
    path = tmp_path / "access" / "server1" / "id_ed25519"

    def act(state="present", check_mode=False, **given):
        params = {"state": state, "path": str(path), "server": "s", "backup_host": "b", "rotate": False, "max_age_days": 0, "known_hosts": None, **given}

        def run_command(argv, expand_user_and_vars=True):
            assert expand_user_and_vars is False
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout, done.stderr
        return pull_key.act(types.SimpleNamespace(params=params, check_mode=check_mode, run_command=run_command, get_bin_path=shutil.which))
    act.path = path
    return act


def names(key):
    return sorted(os.listdir(key.path.parent))


def test_a_key_is_made_once_and_privately(key):
    assert key(check_mode=True) == {"changed": True, "public_keys": [], "rotating": False, "try_key": str(key.path), "age_days": None}
    assert not key.path.parent.exists()
    first = key()
    assert first["changed"] and len(first["public_keys"]) == 1 and first["public_keys"][0].startswith("ssh-ed25519 ")
    assert os.stat(key.path).st_mode & 0o777 == 0o600 and os.stat(key.path.parent).st_mode & 0o777 == 0o700
    assert key.path.with_suffix(".pub").read_text() == f"{first['public_keys'][0]} seafleet-pull-b-s\n"
    assert key() == dict(first, changed=False)
    assert names(key) == ["id_ed25519", "id_ed25519.pub"]


def test_a_rotation_keeps_the_old_key_until_the_new_one_was_tried(key):
    old = key()["public_keys"]
    both = key(rotate=True)
    assert both["rotating"] and both["changed"] and both["public_keys"][0] == old[0] and both["try_key"].endswith(".new")
    assert key() == dict(both, changed=False), "a rotation that was begun goes on without being asked for again, and with the same key"
    done = key("rotated")
    assert done["changed"] and done["public_keys"] == both["public_keys"][1:] and not done["rotating"]
    assert key.path.with_suffix(".pub").read_text().startswith(done["public_keys"][0])
    assert names(key) == ["id_ed25519", "id_ed25519.pub"]
    assert not key("rotated")["changed"] and not key()["rotating"]


def test_a_rotation_that_was_killed_between_its_two_files_is_whole(key):
    key()
    new = key(rotate=True)["public_keys"][1]
    os.replace(f"{key.path}.new", key.path)  # and the .pub of the old one is still there
    assert key()["public_keys"] == [new] and not key()["rotating"]


def test_a_key_is_exchanged_when_it_is_old_enough(key):
    key()
    os.utime(key.path, (1, os.stat(key.path).st_mtime - 30 * 86400 - 60))
    assert not key(max_age_days=31)["changed"] and not key()["changed"]
    planned = key(max_age_days=30, check_mode=True)
    assert planned["changed"] and planned["rotating"] and names(key) == ["id_ed25519", "id_ed25519.pub"]
    assert key(max_age_days=30)["rotating"] and key("rotated")["age_days"] < 1
    assert not key(max_age_days=30)["changed"]


def test_removal_takes_keys_and_host_keys_and_is_done_once(key):
    key()
    key(rotate=True)
    known = key.path.parent / "known_hosts"
    known.write_text("server1 ssh-ed25519 AAAA\n")
    assert key("absent", check_mode=True, known_hosts=str(known))["changed"] and len(names(key)) == 5
    assert key("absent", known_hosts=str(known))["changed"] and not key.path.parent.exists()
    assert not key("absent", known_hosts=str(known))["changed"]


def test_a_file_that_is_no_key_is_named(key):
    key.path.parent.mkdir(parents=True)
    key.path.write_text("no key\n")
    key.path.chmod(0o600)
    with pytest.raises(SeafileError) as caught:
        key()
    assert caught.value.code == "key-unusable" and str(key.path) in caught.value.message


@pytest.mark.parametrize("given", [{"server": "two words"}, {"server": "a*"}, {"backup_host": "#b"}])
def test_a_name_that_cannot_stand_in_authorized_keys_is_refused_before_a_key_is_made(key, given):
    with pytest.raises(SeafileError, match="cannot be used everywhere") as refused:
        key(**given)
    assert refused.value.code == "address-invalid"
    assert not key.path.parent.exists()
