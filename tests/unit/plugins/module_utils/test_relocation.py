# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of the old place are replaced, words that only look like them are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.relocation import Move, parse_address, require_address, require_root
from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.properties import examples

OLD, NEW = "https://files.example.org", "https://cloud.example.net"


def move(old=OLD, new=NEW, from_root="/opt/haiwen", to_root="/srv/seafile"):
    return Move(from_root, to_root, [parse_address(old)] if old else [], parse_address(new) if new else None)


@pytest.mark.parametrize("before, after", [
    ("https://files.example.org", "https://cloud.example.net"),
    ("HTTPS://Files.Example.ORG/x?y#z", "https://cloud.example.net/x?y#z"),
    ("'https://files.example.org/seafhttp'", "'https://cloud.example.net/seafhttp'"),
    ("https://files.example.org:443/", "https://cloud.example.net/"),
    ("http://files.example.org:8082", "http://cloud.example.net:8082"),
    ("wss://files.example.org/notification", "wss://cloud.example.net/notification"),
    ("redis://user:pass@files.example.org:6379/0", "redis://user:pass@cloud.example.net:6379/0"),
    ("ALLOWED_HOSTS = ['files.example.org', '.files.example.org']", "ALLOWED_HOSTS = ['cloud.example.net', '.cloud.example.net']"),
    ("# moved to files.example.org.", "# moved to cloud.example.net."),
    ("seafile@files.example.org", "seafile@cloud.example.net"),
    ("server_name files.example.org;", "server_name cloud.example.net;"),
    ("(files.example.org):files.example.org,files.example.org", "(cloud.example.net):cloud.example.net,cloud.example.net"),
])
def test_the_old_host_is_replaced_wherever_it_stands_as_a_word(before, after):
    assert move().replaced(before) == after


@pytest.mark.parametrize("text", [
    "backup-files.example.org", "www.files.example.org", "files.example.org.uk", "files.example.organic", "xfiles.example.org", "files-example.org",
    "https://backup-files.example.org/files", "filesXexample.org", "files.example.org-old", "/opt/haiwen2", "/opt/haiwen.old/x", "/data/opt/haiwen/x",
    "~/opt/haiwen", "opt/haiwen", "/opt/haiwen-old", "$HOME/opt/haiwen", "${X}/opt/haiwen",
])
def test_other_hosts_and_directories_that_only_contain_the_name_stay(text):
    assert move().replaced(text) == text


@pytest.mark.parametrize("before, after", [
    ("/opt/haiwen", "/srv/seafile"),
    ("pids_dir = '/opt/haiwen/pids'", "pids_dir = '/srv/seafile/pids'"),
    ("file:///opt/haiwen/x", "file:///srv/seafile/x"),
    ("PATH=/bin:/opt/haiwen/bin:/opt/haiwen", "PATH=/bin:/srv/seafile/bin:/srv/seafile"),
    ("in /opt/haiwen. And /opt/haiwen/conf", "in /srv/seafile. And /srv/seafile/conf"),
])
def test_the_old_directory_is_replaced(before, after):
    assert move().replaced(before) == after


def test_a_directory_that_is_called_as_the_host_is_a_directory():
    there = move(from_root="/srv/files.example.org/haiwen", to_root="/srv/seafile")
    assert there.replaced("/srv/files.example.org/haiwen/conf of files.example.org") == "/srv/seafile/conf of cloud.example.net"
    stays = move(from_root=None, to_root="/srv/files.example.org")
    assert stays.replaced("/srv/files.example.org/conf of files.example.org") == "/srv/files.example.org/conf of cloud.example.net"


@pytest.mark.parametrize("from_root, to_root, old, new", [
    ("/opt/haiwen", "/opt/haiwen/new", OLD, NEW), ("/opt/haiwen/old", "/opt/haiwen", OLD, "https://new.files.example.org"),
    ("/opt/haiwen", "/srv/s", "https://example.org", "https://files.example.org/seafile"), ("/a", "/a/a", "http://a.b", "http://a.b/c"),
    ("/a", "/b", "http://127.0.0.1:8000", "http://a.b:8000"), ("/a", "/b", "https://a.b/x", "https://a.b/y"),
])
def test_replacing_twice_is_replacing_once(from_root, to_root, old, new):
    there = move(old, new, from_root, to_root)
    text = f"{old} {old}/x {from_root} {from_root}/y {old.partition('//')[2]}"
    assert there.replaced(there.replaced(text)) == there.replaced(text) != text


@pytest.mark.parametrize("old", ["http://127.0.0.1:8000", "http://localhost:8000", "http://seafile:8000", "http://[::1]:8000", "http://0.0.0.0:8000"])
def test_a_host_that_is_no_certain_machine_is_replaced_only_in_urls_of_the_address(old):
    there, host = move(old), old.partition("//")[2].rpartition(":")[0]
    text = f"{old}/x http://{host}:8082 host = {host}\nbind = '{host}:8000' /opt/seafile user=seafile"
    assert there.replaced(text) == text.replace(f"{old}/x", NEW + "/x")
    assert there.hosts == [] and there.remains(text) == []


@pytest.mark.parametrize("old, new, before, after", [
    ("http://127.0.0.1:8000", NEW, "http://127.0.0.1:8082", "http://cloud.example.net:8082"),
    ("http://127.0.0.1:8000", NEW, "http://127.0.0.1/seafhttp", "https://cloud.example.net/seafhttp"),
    ("http://files.example.org:8000", NEW, "https://files.example.org/seafhttp", "https://cloud.example.net/seafhttp"),
    (OLD, "http://10.0.0.7:8000/box", "https://files.example.org/seafhttp", "http://10.0.0.7:8000/seafhttp"),
    (OLD, NEW, "https://upload.example.org/seafhttp", "https://upload.example.org/seafhttp"),
])
def test_the_file_server_follows_the_service(old, new, before, after):
    assert move(old, new).file_server(before) == after


@pytest.mark.parametrize("old, new, before, after", [
    ("http://files.example.org:8000", NEW, "http://files.example.org:8000 files.example.org:8000 files.example.org:8082 http://files.example.org",
     "https://cloud.example.net cloud.example.net cloud.example.net:8082 http://cloud.example.net"),
    ("https://files.example.org/box", "https://cloud.example.net/drive", "https://files.example.org/box/oauth https://files.example.org/boxes",
     "https://cloud.example.net/drive/oauth https://cloud.example.net/boxes"),
    (OLD, "http://cloud.example.net", "wss://files.example.org https://files.example.org", "ws://cloud.example.net http://cloud.example.net"),
    (OLD, "https://cloud.example.net/box", "'https://files.example.org' https://files.example.org/seafhttp",
     "'https://cloud.example.net/box' https://cloud.example.net/seafhttp"),
    ("https://bücher.example.org", NEW, "bücher.example.org xn--bcher-kva.example.org", "cloud.example.net cloud.example.net"),
    ("http://192.0.2.5", NEW, "192.0.2.5 192.0.2.50 1192.0.2.5 host=192.0.2.5:80", "cloud.example.net 192.0.2.50 1192.0.2.5 host=cloud.example.net:80"),
])
def test_scheme_port_and_path_follow(old, new, before, after):
    assert move(old, new).replaced(before) == after


@pytest.mark.parametrize("text", ["", "files.example.org", "ftp://files.example.org", "https://", "https://a b", "https://files.example.org?x",
                                  "https://u@h.org",
                                  "https://files.example.org#x", "https://-x-.org", "https://h.org:99999", "https://h.org/'x", "https://[::1", "https://a..b",
                                  "https://" + "a" * 300, "https://h.org/\nx"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(SeafileError) as failure:
        require_address(text, "service_url")
    assert failure.value.code == "place-url-invalid"


@pytest.mark.parametrize("text, url", [
    (" https://Cloud.Example.NET/ ", "https://cloud.example.net"), ("https://cloud.example.net:443", "https://cloud.example.net"),
    ("http://10.0.0.7:8000/box/", "http://10.0.0.7:8000/box"), ("http://[2001:DB8::1]:8000", "http://[2001:db8::1]:8000"),
    ("https://bücher.example.org", "https://xn--bcher-kva.example.org"),
])
def test_an_address_is_taken_as_people_type_it(text, url):
    assert require_address(text, "service_url").url == url


@pytest.mark.parametrize("path", ["relative", "/", "/a b", "/a'b", '/a"b', "/a$b", "/a\\b", "/a\nb", "/a/../b", "/a#b", "/a`b", "/a;b", "/a%b"])
def test_a_directory_that_some_file_could_not_name_is_refused(path):
    with pytest.raises(SeafileError) as failure:
        require_root(path, "seafile_root")
    assert failure.value.code == "path-invalid"


def test_what_remains_is_told():
    assert move().remains("backup-files.example.org /opt/haiwen.old cloud.example.net") == ["/opt/haiwen.old", "backup-files.example.org"]


def test_a_path_moves_only_out_of_the_old_directory():
    assert move().moved_path("/opt/haiwen/a b'c") == "/srv/seafile/a b'c"
    assert move().moved_path("/opt/haiwen2/a") is None
    assert move(to_root="/opt/haiwen/new").moved_path("/opt/haiwen/new/a") is None


WORDS = st.sampled_from(["files.example.org", "https://files.example.org", "cloud.example.net", "/opt/haiwen", "/srv/seafile", "backup-", "x", ".", "/",
                         ":8000", " ", "'", "@", "-", "\n", "ü", "="])


@examples(150)
@given(st.lists(WORDS, max_size=8).map("".join))
def test_nothing_else_changes_and_a_second_time_changes_nothing(text):
    there = move()
    after = there.replaced(text)
    assert there.replaced(after) == after
    # what is not part of a replacement is there still, in its order
    position = 0
    for span in there.spans(text):
        assert span.text in ("https://cloud.example.net", "cloud.example.net", "/srv/seafile") and span.start >= position
        position = span.end
    assert not [word for word in after.replace("'", " ").split() if word in ("files.example.org", "https://files.example.org", "/opt/haiwen")]
