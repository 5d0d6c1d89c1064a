# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file is read to its end or refused, whatever it is compressed with; what is written is hashed as it lies on the disk."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import pathlib
import random
import signal
import stat
import subprocess
import threading

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import compression
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

from ansible_collections.seafleet.seafile.tests.unit.plugins.module_utils.packing import KINDS, pack

TEXT = b"".join(b"INSERT INTO `t` VALUES (%d,'%s');\n" % (number, hashlib.sha1(b"%d" % number).hexdigest().encode()) for number in range(400))
both = pytest.mark.parametrize("kind", list(KINDS))


def stored(tmp_path, kind, content):
    path = tmp_path / f"a{KINDS[kind]}"
    path.write_bytes(content)
    return str(path)


def read(path, seen=None):
    with compression.open_reader(path, seen) as text:
        return text.read()


def write(path, kind, pieces, level=1):
    file = compression.CompressedFile(str(path), kind, level)
    try:
        for piece in pieces:
            file.write(piece)
        file.finish()
    finally:
        file.close()
    return file


@pytest.fixture
def no_zstd(tmp_path, monkeypatch):
    """A host without the program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(compression, "PLACES", ())


@pytest.fixture
def false_zstd(tmp_path, monkeypatch):
    """Return a function that puts a script in the program's place."""
    def place(script):
        directory = tmp_path / "bin"
        directory.mkdir()
        (directory / "zstd").write_text(f"#!/bin/sh\n{script}\n")
        (directory / "zstd").chmod(0o755)
        monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return place


def test_names_tell_what_is_a_dump_and_how_to_read_it(tmp_path):
    assert compression.SUFFIXES == KINDS
    assert [name for name in ("a.sql.gz", "a.sql.zst", "a.sql", "a.gz", "a.sql.gz.partial") if compression.is_dump_name(name)] == ["a.sql.gz", "a.sql.zst"]
    assert compression.existing(str(tmp_path), "a") is None
    for kind in KINDS:
        path = stored(tmp_path, kind, b"")
        assert compression.existing(str(tmp_path), "a") == path
        os.unlink(path)


@both
@pytest.mark.parametrize("level", [1, 9])
def test_what_is_written_is_read_by_the_stock_program_and_by_us(kind, level, tmp_path):
    path = tmp_path / f"a{KINDS[kind]}"
    file = write(path, kind, [TEXT, memoryview(TEXT), b""], level)
    content = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (file.bytes, file.sha256, file.uncompressed_bytes) == (len(content), hashlib.sha256(content).hexdigest(), 2 * len(TEXT))
    assert subprocess.run([{"gzip": "gunzip", "zstd": "zstd"}[kind], "-dc"], input=content, stdout=subprocess.PIPE, check=True).stdout == TEXT * 2
    assert read(str(path)) == TEXT * 2


@both
def test_equal_content_is_an_equal_file_in_whatever_pieces_it_comes(kind, tmp_path):
    chance = random.Random(5)
    text = b"".join(b"%d %d\n" % (number, chance.getrandbits(60)) for number in range(100000))
    sums = set()
    for number, size in enumerate((len(text), 1 << 16, 70001)):
        pieces = [text[start:start + size] for start in range(0, len(text), size)]
        sums.add(write(tmp_path / str(number), kind, pieces).sha256)
    assert len(sums) == 1


@both
def test_a_file_is_never_overwritten(kind, tmp_path):
    path = stored(tmp_path, kind, b"precious")
    with pytest.raises(FileExistsError):
        compression.CompressedFile(path, kind)
    assert pathlib.Path(path).read_bytes() == b"precious"


@both
def test_a_full_disk_ends_the_writing_with_its_own_error(kind, monkeypatch):
    monkeypatch.setattr(compression.os, "open", lambda path, flags, mode, real=os.open: real("/dev/full", os.O_WRONLY))
    noise = os.urandom(1 << 20)
    with pytest.raises(OSError) as caught:
        write("full", kind, [noise] * 64)
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(OSError) as caught:
        write("full", kind, [b"little"])  # only found when the end is flushed
    assert caught.value.errno == errno.ENOSPC


@both
def test_giving_up_ends_thread_and_program(kind, tmp_path):
    before = threading.active_count()
    file = compression.CompressedFile(str(tmp_path / "a"), kind)
    file.write(os.urandom(1 << 22))
    file.close()
    file.close()
    assert threading.active_count() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_compressor_that_fails_or_is_killed_is_named(false_zstd, tmp_path):
    false_zstd("head -c 10 >/dev/null; echo 'zstd: no memory' >&2; exit 3")
    with pytest.raises(SeafileError, match="exit code 3: zstd: no memory") as caught:
        write(tmp_path / "a", "zstd", [TEXT] * 200)
    assert caught.value.code == "dump-failed"


@pytest.mark.parametrize("pieces", [200, 1])
def test_a_compressor_that_is_killed_is_named(false_zstd, tmp_path, pieces):
    false_zstd("head -c 10 >/dev/null; kill -9 $$")
    with pytest.raises(SeafileError) as caught:
        write(tmp_path / "a", "zstd", [TEXT] * pieces)
    assert caught.value.code == "dump-killed" and caught.value.details == {"signal": signal.SIGKILL}


@both
@pytest.mark.parametrize("watched", [False, True])
def test_a_whole_file_is_read_and_every_stored_byte_seen(kind, watched, tmp_path):
    content = pack(kind, TEXT)
    path = stored(tmp_path, kind, content)
    seen = []
    assert read(path, seen.append if watched else None) == TEXT
    assert b"".join(seen) == (content if watched else b"")
    joined = stored(tmp_path, kind, pack(kind, TEXT[:30]) + pack(kind, b"") + pack(kind, TEXT[30:]))
    assert read(joined, seen.append if watched else None) == TEXT


@both
@pytest.mark.parametrize("watched", [False, True])
def test_a_file_cut_anywhere_is_damaged(kind, watched, tmp_path):
    content = pack(kind, TEXT[:2000])
    for cut in [*range(0, len(content), 1 if kind == "gzip" else 97), *range(len(content) - 9, len(content))]:
        path = stored(tmp_path, kind, content[:cut])
        with pytest.raises(compression.Damage):
            read(path, len if watched else None)


@both
@pytest.mark.parametrize("watched", [False, True])
def test_garbage_a_flipped_bit_and_another_kind_are_damage(kind, watched, tmp_path):
    content = pack(kind, TEXT)
    other = pack("zstd" if kind == "gzip" else "gzip", TEXT)
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for wrong in (content + b"x", content + b"garbage and more of it", content + b"\0" * 100, bytes(flipped), TEXT, other, b"\0" * 1000):
        with pytest.raises(compression.Damage):
            read(stored(tmp_path, kind, wrong), len if watched else None)


@both
def test_a_bomb_is_unpacked_in_small_pieces(kind, tmp_path):
    path = stored(tmp_path, kind, pack(kind, b"\0" * (64 << 20), 9))
    assert os.path.getsize(path) < 1 << 17
    with compression.open_reader(path) as text:
        sizes = [len(piece) for piece in compression.pieces(text)]
    assert max(sizes) <= 4 << 20 and sum(sizes) == 64 << 20


@both
def test_a_reader_that_is_left_early_ends_its_program(kind, tmp_path):
    path = stored(tmp_path, kind, pack(kind, b"\0" * (64 << 20)))
    for seen in (None, len):
        with compression.open_reader(path, seen) as text:
            assert text.read(10) == b"\0" * 10
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_plain_text_is_taken_only_where_it_may_be(tmp_path):
    (tmp_path / "a.sql").write_bytes(TEXT)
    with open(tmp_path / "a.sql", "rb") as stream:
        assert compression.reader(stream, "a.sql", plain=True).read() == TEXT
    (tmp_path / "b.sql").write_bytes(gzip.compress(TEXT))
    with compression.reader(open(tmp_path / "b.sql", "rb"), "b.sql", plain=True) as text:
        assert text.read() == TEXT


def test_without_the_program_writer_and_reader_say_what_to_install(no_zstd, tmp_path):
    assert compression.zstd_program() is None
    compression.require("gzip")
    for call in (lambda: compression.require("zstd"), lambda: compression.CompressedFile(str(tmp_path / "b"), "zstd"),
                 lambda: read(stored(tmp_path, "zstd", b"\x28\xb5\x2f\xfd12345"))):
        with pytest.raises(SeafileError) as caught:
            call()
        assert caught.value.code == "missing-tool" and "install the package zstd" in caught.value.next_step
    assert os.listdir(tmp_path) == ["a.sql.zst"]


def test_an_unpacker_that_was_killed_says_nothing_of_the_dump(false_zstd, tmp_path):
    path = stored(tmp_path, "zstd", pack("zstd", TEXT))
    false_zstd("kill -9 $$")
    for seen in (None, len):
        with pytest.raises(SeafileError) as caught:
            read(path, seen)
        assert caught.value.code == "dump-killed"


def test_the_environment_changes_nothing(tmp_path, monkeypatch):
    plain = write(tmp_path / "a", "zstd", [TEXT])
    monkeypatch.setenv("ZSTD_CLEVEL", "19")
    monkeypatch.setenv("ZSTD_NBTHREADS", "1")
    assert write(tmp_path / "b", "zstd", [TEXT]).sha256 == plain.sha256
