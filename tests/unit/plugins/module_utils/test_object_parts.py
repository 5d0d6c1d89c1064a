# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import object_parts
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

STORE = "11111111-2222-3333-4444-555555555555"


def entry(number, kind="blocks", store=STORE):
    text = f"{random.Random(number).getrandbits(160):040x}"
    return f"{kind}/{store}/{text[:2]}/{text[2:]}"


def written(tmp_path, entries, end="\0"):
    path = tmp_path / "objects.list"
    path.write_bytes("\0".join(entries).encode() + (end.encode() if entries else b""))
    return str(path)


def read(parts):
    """All entries of all parts."""
    found = []
    for part in parts:
        with open(part.listed, "rb") as stream:
            entries = stream.read().decode().split("\0")
        assert entries.pop() == "" and len(entries) == part.entries
        found.extend(entries)
    return found


@pytest.mark.parametrize("streams", range(1, 20))
def test_the_parts_of_everything_have_every_first_digit_once(streams):
    parts = object_parts.of_everything(streams)
    assert len(parts) == min(streams, 16)
    assert "".join(part.prefixes for part in parts) in ("", "0123456789abcdef")
    assert streams == 1 or all(part.prefixes for part in parts)
    sizes = [len(part.prefixes) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("count, streams", [(0, 4), (1, 4), (249, 4), (3000, 1), (3000, 4), (50000, 3)])
def test_every_entry_of_a_list_is_in_one_part_and_no_part_is_long(tmp_path, count, streams):
    entries = [entry(number) for number in range(count)]
    parts = object_parts.of_list(written(tmp_path, entries), str(tmp_path), streams)
    assert sorted(read(parts)) == sorted(entries)
    assert all(part.entries < 2400 for part in parts)
    assert bool(parts) == bool(count)


def test_copies_of_one_object_in_several_stores_stay_together(tmp_path):
    """They may be hard links of each other, which rsync only keeps within one process."""
    other = STORE.replace("1", "a")
    entries = sorted([entry(number) for number in range(4000)] + [entry(number, store=other) for number in range(4000)])
    parts = object_parts.of_list(written(tmp_path, entries), str(tmp_path), 4)
    where = {}
    for number, part in enumerate(parts):
        for path in read([part]):
            where.setdefault(path.split("/", 2)[2], set()).add(number)
    assert len(parts) >= 4 and all(len(numbers) == 1 for numbers in where.values())


def test_directories_and_stores_are_apart_in_short_parts(tmp_path):
    directories = [f"fs/{STORE}/{prefix:02x}/" for prefix in range(256)] + [f"commits/{number:08x}{STORE[8:]}/" for number in range(100)]
    parts = object_parts.of_list(written(tmp_path, directories + [entry(1)]), str(tmp_path), 2)
    assert sorted(read(parts)) == sorted(directories + [entry(1)])
    assert max(part.entries for part in parts) < 100 and len(parts) > 4


@pytest.mark.parametrize("count", [80, 5000])
def test_nothing_is_in_two_parts(tmp_path, count):
    """What two processes bring at once looks as if the server had sent what is here already."""
    other = STORE.replace("1", "a")
    inside = [entry(number) for number in range(count)]
    covered = {f"{path[:-38]}" for path in inside if path.split("/")[2] < "80"}
    store = f"blocks/{other}/"
    in_store = [entry(number, store=other) for number in range(count)]
    fan_out = [f"{store}{number:02x}/" for number in range(256)]
    entries = inside + sorted(covered) + in_store[:5] + fan_out + [store] + in_store[5:] + inside[:3]
    found = read(object_parts.of_list(written(tmp_path, entries), str(tmp_path), 4))
    assert set(found) == {path for path in inside if path[:-38] not in covered} | covered | {store}
    assert len([path for path in found if path.endswith("/")]) == len(covered) + 1


def test_a_short_list_is_one_part(tmp_path):
    entries = [f"fs/{STORE}/{prefix:02x}/" for prefix in range(50)] + [entry(number) for number in range(50)]
    part, = object_parts.of_list(written(tmp_path, entries), str(tmp_path), 16)
    assert read([part]) == entries


def test_very_many_directories_are_no_list_but_everything(tmp_path):
    directories = [f"fs/{store:08x}{STORE[8:]}/{prefix:02x}/" for store in range(17) for prefix in range(256)]
    assert object_parts.of_list(written(tmp_path, directories), str(tmp_path), 4) is None


@pytest.mark.parametrize("bad", [
    "../../etc/shadow", "/etc/shadow", "blocks", "blocks/", f"blocks/{STORE}", f"blocks/{STORE}/0", f"blocks/{STORE}/zz/", f"other/{STORE}/00/",
    entry(1) + "\n", "\n" + entry(1), entry(1).upper(), entry(1) + "0", f"blocks/{STORE}/../00/", "x" * 100000, f"blocks/{STORE}/00/{'0' * 37}/", ""])
def test_what_is_no_object_is_refused_whatever_the_server_writes(tmp_path, bad):
    with pytest.raises(SeafileError) as caught:
        object_parts.of_list(written(tmp_path, [entry(2), bad, entry(3)]), str(tmp_path), 4)
    assert caught.value.code == "list-invalid"


def test_a_list_that_is_cut_is_refused_at_every_byte(tmp_path):
    path = written(tmp_path, [entry(1), entry(2)])
    with open(path, "rb") as stream:
        content = stream.read()
    for length in range(len(content)):
        with open(path, "wb") as stream:
            stream.write(content[:length])
        if content[:length].endswith(b"\0") or not length:
            assert len(object_parts.of_list(path, str(tmp_path), 1)) == min(length, 1)
        else:
            with pytest.raises(SeafileError):
                object_parts.of_list(path, str(tmp_path), 1)
