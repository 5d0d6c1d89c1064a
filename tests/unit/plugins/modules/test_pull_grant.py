# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server grants: lines of authorized_keys, and how they are written where others own the directory. Accounts are made in tests/system."""

from __future__ import annotations

import os
import shutil
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import pull_grant
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.modules import pull_grant as module

KEY, OTHER = "ssh-ed25519 AAAAone", "ssh-ed25519 AAAAtwo"
ENDING = "seafleet-pull-backup1-server1"
RESTRICTED = f'restrict,command="/usr/bin/rrsync -ro /opt/haiwen" {KEY} {ENDING}'


@pytest.fixture
def grant(tmp_path, monkeypatch):
    """Runs the module for an account whose home is a directory of this test."""
    home = tmp_path / "home"
    home.mkdir()
    people = {"seafile": types.SimpleNamespace(pw_name="seafile", pw_dir=str(home), pw_uid=os.getuid(), pw_gid=os.getgid(), pw_gecos="")}
    monkeypatch.setattr(pull_grant, "account", people.get)

    def act(state="present", check_mode=False, **given):
        params = {"state": state, "server": "server1", "backup_host": "backup1", "user": "seafile", "own_account": None, "former_users": [],
                  "root": "/opt/haiwen", "restricted": True, "public_keys": [f"{KEY} whatever"], "from_addresses": "", **given}
        return module.grant(types.SimpleNamespace(params=params, check_mode=check_mode, _diff=True, get_bin_path=lambda name: f"/usr/bin/{name}"))
    act.file = home / ".ssh" / "authorized_keys"
    act.people = people
    return act


def test_one_line_is_written_and_others_stay_as_they_are(grant):
    grant.file.parent.mkdir()
    grant.file.write_text(f"# mine\nssh-rsa AAAA me\n{KEY} seafleet-pull-backup1-server1.example.org")
    assert grant(check_mode=True)["changed"] and ENDING + "\n" not in grant.file.read_text()
    result = grant()
    assert result["changed"] and result["diff"] == {"before": "", "after": f"{RESTRICTED}\n"}
    assert grant.file.read_text() == f"# mine\nssh-rsa AAAA me\n{KEY} seafleet-pull-backup1-server1.example.org\n{RESTRICTED}\n"
    assert os.stat(grant.file).st_mode & 0o777 == 0o600
    assert not grant()["changed"]
    assert grant(public_keys=[KEY, OTHER])["changed"] and grant.file.read_text().count(f" {ENDING}\n") == 2
    assert grant(public_keys=[OTHER])["changed"] and KEY + f" {ENDING}\n" not in grant.file.read_text()
    assert grant("absent")["changed"] and ENDING + "\n" not in grant.file.read_text() and "ssh-rsa AAAA me" in grant.file.read_text()
    assert not grant("absent")["changed"]


def test_a_line_that_somebody_widened_is_put_right(grant):
    grant.file.parent.mkdir()
    grant.file.write_text(f"{KEY} {ENDING}\n")
    grant()
    assert grant.file.read_text() == f"{RESTRICTED}\n"


def test_addresses_and_odd_directories_stand_as_openssh_takes_them(grant):
    grant(from_addresses="192.0.2.10,2001:db8::/32", root='/opt/a "b" it\'s')
    assert grant.file.read_text().startswith(
        'from="192.0.2.10,2001:db8::/32",restrict,command="/usr/bin/rrsync -ro \'/opt/a \\"b\\" it\'\\"\'\\"\'s\'" ssh-ed25519 ')
    with pytest.raises(SeafileError) as caught:
        grant(from_addresses='192.0.2.10",command="/bin/sh')
    assert caught.value.code == "address-invalid"
    grant(restricted=False)
    assert grant.file.read_text() == f"{KEY} {ENDING}\n"


@pytest.mark.parametrize("name", ["a b", "-x", ".x", "a/b", "a,b", "a\nb", 'a"b', ""])
def test_a_name_that_would_be_two_words_anywhere_is_refused(grant, name):
    for option in ("server", "backup_host"):
        with pytest.raises(SeafileError) as caught:
            grant(**{option: name})
        assert caught.value.code == "address-invalid"


def test_root_writes_through_no_link_of_the_account(grant, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "authorized_keys").write_text("root's own\n")
    grant.file.parent.symlink_to(victim)
    with pytest.raises(SeafileError) as caught:
        grant()
    assert caught.value.code == "authorized-keys-unsafe"
    grant.file.parent.unlink()
    grant.file.parent.mkdir()
    for make in (os.symlink, os.link):
        make(victim / "authorized_keys", grant.file)
        with pytest.raises(SeafileError) as caught:
            grant()
        assert caught.value.code == "authorized-keys-unsafe"
        grant.file.unlink()
    os.mkfifo(grant.file)
    with pytest.raises(SeafileError):
        grant()
    grant.file.unlink()
    # what stands at the partial name is taken away, and not written through
    (grant.file.parent / ".authorized_keys.seafleet").symlink_to(victim / "authorized_keys")
    grant()
    assert (victim / "authorized_keys").read_text() == "root's own\n" and grant.file.read_text() == f"{RESTRICTED}\n"


def test_the_account_that_no_longer_reads_loses_its_line(grant, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    grant()
    grant.people["reader"] = types.SimpleNamespace(pw_name="reader", pw_dir=str(other), pw_uid=os.getuid() + 1, pw_gid=os.getgid(), pw_gecos="")
    grant.people["reader"], grant.people["seafile"] = grant.people["seafile"], grant.people["reader"]
    grant.people["seafile"].pw_dir = str(other)
    (other / ".ssh").mkdir()
    (other / ".ssh" / "authorized_keys").write_text(f"{RESTRICTED}\n")
    if os.getuid() == 0:
        os.chown(other / ".ssh", 1, 1)
        os.chown(other / ".ssh" / "authorized_keys", 1, 1)
        assert grant(user="reader", former_users=["seafile"])["changed"]
        assert (other / ".ssh" / "authorized_keys").read_text() == "" and grant.file.read_text() == f"{RESTRICTED}\n"


def test_an_account_of_its_own_is_never_somebody_elses_nor_without_restriction(grant):
    grant.people["ops"] = types.SimpleNamespace(pw_name="ops", pw_dir="/home/ops", pw_uid=1234, pw_gid=1234, pw_gecos="Operators,,,")
    for given, code in (({"own_account": "ops"}, "pull-account-foreign"), ({"own_account": "x", "restricted": False}, "pull-account-unrestricted"),
                        ({"own_account": "a/../b"}, "account-name-invalid"), ({"own_account": "-a"}, "account-name-invalid"),
                        ({"user": "nobody-there"}, "account-unknown"), ({"root": None}, "path-invalid")):
        with pytest.raises(SeafileError) as caught:
            grant(**given)
        assert caught.value.code == code
    root = types.SimpleNamespace(pw_name="toor", pw_dir="/root", pw_uid=0, pw_gid=0, pw_gecos=pull_grant.ACCOUNT_COMMENT)
    with pytest.raises(SeafileError):
        pull_grant.require_ours("toor", root)


def test_the_daemon_has_one_read_only_module_with_its_directory_for_a_root():
    text = pull_grant.configuration("/opt/my seafile [x]")
    assert "\n[seafile]\npath = /opt/my seafile [x]\nread only = yes\n" in text and "use chroot = yes\n" in text
    for option in ("log-file*", "copy-links", "copy-unsafe-links", "remove-*", "delete*"):
        assert option in text.split("refuse options = ")[1].split()
    for path in ("relative", "/opt/%HOME%", "/opt/a\nread only = no", "/opt/a\\", "/opt/a "):
        with pytest.raises(SeafileError) as caught:
            pull_grant.configuration(path)
        assert caught.value.code == "path-invalid"


def test_a_copy_that_is_not_the_installed_rsync_is_stale(tmp_path):
    source = tmp_path / "rsync"
    source.write_bytes(b"new")
    for account, content in (("a", b"new"), ("b", b"old")):
        (tmp_path / "place" / account).mkdir(parents=True)
        (tmp_path / "place" / account / "rsync").write_bytes(content)
    assert pull_grant.stale_copies(str(source), str(tmp_path / "place")) == ["b"]
    assert pull_grant.stale_copies(str(source), str(tmp_path / "nowhere")) == [] == pull_grant.stale_copies(None, str(tmp_path / "place"))
    copy = tmp_path / "place" / "b" / "rsync"
    assert pull_grant.copy_is_due(str(copy) + "x", str(source), 0) == "there is none"
    copy.chmod(0o755)
    assert pull_grant.copy_is_due(str(copy), str(source), os.getgid()) == "its owner or mode is not what it should be"


def test_host_keys_are_told_in_the_form_of_known_hosts(tmp_path):
    texts = {"ed25519": "ssh-ed25519 AAAA root@host\n", "rsa": "ssh-rsa BBBB\n", "dsa": "ssh-dss CCCC\n", "ecdsa": "ecdsa-sha2-nistp521 DDDD x\n"}
    for kind, text in texts.items():
        (tmp_path / f"ssh_host_{kind}_key.pub").write_text(text)
        (tmp_path / f"ssh_host_{kind}_key").write_text("private")
    (tmp_path / "ssh_host_old_key.pub").write_text("ssh-rsa EEEE\n")  # its private half is gone: no sshd shows it
    shutil.copy(tmp_path / "ssh_host_rsa_key.pub", tmp_path / "other.pub")
    assert pull_grant.host_keys((str(tmp_path / "nowhere"), str(tmp_path))) == ["ecdsa-sha2-nistp521 DDDD", "ssh-ed25519 AAAA", "ssh-rsa BBBB"]
