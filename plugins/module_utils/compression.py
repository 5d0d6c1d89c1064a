# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed dumps: their names, writing and hashing them in one pass, and reading them as a stream.

gzip is done by zlib in this process and needs no program. zstd is done by the program C(zstd), which packs in a fifth of the time: it is
used where both sides have it. What a dump is compressed with is told by its name.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import queue
import re
import shutil
import subprocess
import threading
import typing as t
import zlib

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

GZIP = "gzip"
ZSTD = "zstd"
SUFFIXES = {GZIP: ".sql.gz", ZSTD: ".sql.zst"}
"""How the names of dumps end, by their compression."""

LEVELS = range(1, 10)
"""Levels of both programs: 1 is quick, 9 small."""

PLACES = ("/usr/local/bin", "/usr/bin", "/bin")
"""Where a program is looked for beside PATH: a login without a shell may have none."""

CHUNK = 1 << 20
_F_SETPIPE_SZ = 1031
"""Linux' fcntl to enlarge a pipe; the C(fcntl) module knows it from Python 3.10 on."""

_GZIP_BITS = 31
"""zlib's window bits for a gzip stream; its header then has the time 0, so equal dumps are equal files."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
"""How a frame begins, or one that is to be skipped (RFC 8878, 3.1). The program itself would unpack gzip and others too."""

_QUICK_LEVEL = 3
"""Up to this level one thread of zstd takes more than any database program gives; its work is then less without threads of its own."""

_MOST_THREADS = 4
_WAITING = 32
"""Pieces that wait for gzip at most."""


class Damage(Exception):
    """The stored file is no whole file of its kind; the text says why."""


# --- names and the program ----------------------------------------------------------------------------------------


def is_dump_name(name: str) -> bool:
    """Whether a file of this name is a dump."""
    return name.endswith(tuple(SUFFIXES.values()))


def names(stem: str) -> list[str]:
    """Return every name that the dump I(stem) may have."""
    return [stem + suffix for suffix in SUFFIXES.values()]


def existing(directory: str, stem: str) -> t.Optional[str]:
    """Return the path of the dump I(stem) in I(directory), however it is compressed, None when there is none."""
    paths = [os.path.join(directory, name) for name in names(stem)]
    return next((path for path in paths if os.path.lexists(path)), None)


def is_zstd(path: str) -> bool:
    """Whether the dump I(path) is to be read by zstd."""
    return path.endswith(".zst")


def zstd_program() -> t.Optional[str]:
    """Return the path of the program zstd, None when this host does not have it."""
    return shutil.which(ZSTD, path=os.pathsep.join([os.environ.get("PATH", ""), *PLACES]))


def require(compression: str) -> None:
    """Raise C(missing-tool) unless this host can write I(compression)."""
    if compression == ZSTD and not zstd_program():
        raise SeafileError("missing-tool", ZSTD, "it is not installed on this host", "install the package zstd on this host, or set compression to gzip")


def enlarge_pipe(descriptor: int) -> None:
    """Let the pipe I(descriptor) hold :data:`CHUNK` bytes, where the system lets us: less waiting on both its ends."""
    try:
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, CHUNK)
    except OSError:
        # another system, or the user's limit on pipes is reached: slower, not wrong
        pass


# --- writing ------------------------------------------------------------------------------------------------------


class CompressedFile:
    """A new private file that is compressed, hashed and counted as it is written. The same content gives the same bytes.

    Compressing and storing is done beside the caller, by the program or a thread. An error of it is raised by the next
    :meth:`write`, or by :meth:`finish`.
    """

    def __init__(self, path: str, compression: str = GZIP, level: int = 1) -> None:
        self.path = path
        self.bytes = 0
        """Stored so far."""
        self.uncompressed_bytes = 0
        self._hash = hashlib.sha256()
        self._error: t.Optional[BaseException] = None
        self._ended = False
        self._drained = False
        self._process: t.Any = None
        self._queue: queue.Queue[t.Optional[t.Union[bytes, memoryview]]] = queue.Queue(_WAITING)
        require(compression)
        self._file: t.Any = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb", buffering=CHUNK)
        try:
            if compression == ZSTD:
                threads = "--single-thread" if level <= _QUICK_LEVEL else f"-T{min(os.cpu_count() or 1, _MOST_THREADS)}"
                self._process = _start([str(zstd_program()), "-q", f"-{level}", threads, "-c"], subprocess.PIPE)
                for pipe in (self._process.stdin, self._process.stdout):
                    enlarge_pipe(pipe.fileno())
            work = self._compress if self._process is None else self._take_in
            self._thread = threading.Thread(target=self._run, args=(work, level), daemon=True)
            self._thread.start()
        except BaseException:
            self._file.close()
            os.unlink(path)
            raise

    def write(self, content: t.Union[bytes, memoryview]) -> None:
        """Take I(content), which must not change any more. Raises OSError when the disk is full, C(dump-failed), C(dump-killed)."""
        self._raise_error()
        self.uncompressed_bytes += len(content)
        if self._process is None:
            self._queue.put(content)
            return
        view = memoryview(content)
        try:
            while view:
                view = view[self._process.stdin.write(view):]
        except BrokenPipeError:
            self._end_process()
            raise AssertionError("zstd closed its input and ended well") from None

    def end(self) -> None:
        """Say that no more content follows, without waiting for the rest to be stored."""
        if self._ended:
            return
        self._ended = True
        if self._process is None:
            self._queue.put(None)
        else:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                # why it ended is told by finish()
                pass

    def finish(self) -> None:
        """Wait until everything is on the disk. Raises as :meth:`write`."""
        self.end()
        self._thread.join()
        if self._process is not None:
            self._end_process()
        self._raise_error()
        self._file.close()

    def close(self) -> None:
        """Let go of everything, whole or not. Never raises; after :meth:`finish` it does nothing."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        self.end()
        self._thread.join()
        if self._process is not None:
            self._process.wait()
            self._process.stdout.close()
            self._process.stderr.close()
        try:
            self._file.close()
        except OSError:
            # a full disk again, while flushing what is thrown away
            pass

    @property
    def sha256(self) -> str:
        """Of what was stored."""
        return self._hash.hexdigest()

    def _run(self, work: t.Callable[[int], None], level: int) -> None:
        """The thread: bring everything to the disk, or keep the error and let the writer go on until it sees that."""
        try:
            work(level)
            self._file.flush()
            os.fsync(self._file.fileno())
        except BaseException as error:  # pylint: disable=broad-exception-caught
            self._error = error
            if self._process is not None:
                self._process.kill()
                return
            while not self._drained:
                self._take()

    def _take(self) -> t.Union[bytes, memoryview]:
        """Return what is to be compressed next, nothing when the end has come."""
        content = self._queue.get()
        self._drained = content is None
        return content or b""

    def _compress(self, level: int) -> None:
        packer = zlib.compressobj(level, zlib.DEFLATED, _GZIP_BITS)
        while not self._drained:
            self._store(packer.compress(self._take()))
        self._store(packer.flush())

    def _take_in(self, unused: int) -> None:
        descriptor = self._process.stdout.fileno()
        for content in iter(lambda: os.read(descriptor, CHUNK), b""):
            self._store(content)

    def _store(self, content: bytes) -> None:
        self._hash.update(content)
        self.bytes += len(content)
        self._file.write(content)

    def _end_process(self) -> None:
        """Wait for the program; raise what went wrong."""
        self._thread.join()
        status = self._process.wait()
        self._raise_error()
        if status < 0:
            raise SeafileError("dump-killed", self.path, f"zstd, which compressed it, was killed (signal {-status})", signal=-status)
        if status != 0:
            raise SeafileError("dump-failed", self.path, f"zstd ended with exit code {status}: {_words(self._process)}")

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def _start(argv: t.Sequence[str], stdin: t.Any) -> t.Any:
    # run_command would keep the whole dump in memory
    return subprocess.Popen(  # pylint: disable=ansible-bad-function,consider-using-with
        argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"LC_ALL": "C"}, bufsize=0)


def _words(process: t.Any) -> str:
    """Return what the ended I(process) said, without the name that zstd gives to its input."""
    said = process.stderr.read().decode("utf-8", "replace")
    return re.sub(r"\s+", " ", re.sub(r"(?:zstd: )?/\*stdin\*\\ ?: ", "", said)).strip()[:200]


# --- reading ------------------------------------------------------------------------------------------------------


def _ignore(unused: bytes) -> None:
    pass


def reader(stream: t.BinaryIO, path: str, seen: t.Optional[t.Callable[[bytes], t.Any]] = None, plain: bool = False) -> t.BinaryIO:
    """Return the text of the dump I(stream), an open file at its beginning. Closing the text closes the file too.

    Only a few MiB are in memory, whatever the file unpacks to. The end of the text is only given when the file is whole.

    :arg path: the name of the dump; it tells the compression, and failures name it.
    :arg seen: called with all the stored bytes, in their order; with zstd in another thread, which has ended at the end of the text.
    :arg plain: take a file that does not begin like gzip as it is.
    :raises Damage: (also from reading) the file is cut, damaged, of another kind, or something follows its end.
    :raises SeafileError: C(missing-tool) for zstd where this host has no such program, C(dump-killed).
    """
    try:
        start = stream.read(4)
        stream.seek(0)
        if is_zstd(path):
            return t.cast(t.BinaryIO, io.BufferedReader(_ZstdText(stream, path, start, seen), CHUNK))
        if plain and not start.startswith(_GZIP_MAGIC):
            return stream
        return t.cast(t.BinaryIO, io.BufferedReader(_GzipText(stream, seen or _ignore), CHUNK))
    except BaseException:
        stream.close()
        raise


def open_reader(path: str, seen: t.Optional[t.Callable[[bytes], t.Any]] = None) -> t.BinaryIO:
    """Open the dump I(path) as :func:`reader` does. Raises OSError too."""
    return reader(open(path, "rb"), path, seen)


def pieces(text: t.BinaryIO, size: int = 4 * CHUNK) -> t.Iterator[bytes]:
    """Yield I(text) in pieces of at most I(size) bytes."""
    return iter(lambda: t.cast(io.BufferedReader, text).read1(size), b"")


class _GzipText(io.RawIOBase):
    """The text of a gzip file of one or more members."""

    def __init__(self, stream: t.BinaryIO, seen: t.Callable[[bytes], t.Any]) -> None:
        self._stream = stream
        self._seen = seen
        self._unpacker = zlib.decompressobj(_GZIP_BITS)
        self._pending = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        """Fill I(buffer) with the next text; 0 at its end."""
        while True:
            if not self._pending:
                self._pending = self._stream.read(CHUNK)
                self._seen(self._pending)
                if not self._pending:
                    if not self._unpacker.eof:
                        raise Damage("the gzip file is cut short")
                    return 0
            if self._unpacker.eof:
                # another member: gzip files may be joined
                self._unpacker = zlib.decompressobj(_GZIP_BITS)
            try:
                text = self._unpacker.decompress(self._pending, len(buffer))
            except zlib.error as error:
                raise Damage(f"the gzip file is damaged ({error})") from error
            self._pending = self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail
            if text:
                buffer[:len(text)] = text
                return len(text)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


class _ZstdText(io.RawIOBase):
    """The text of a zstd file, unpacked by the program; its exit code is part of the proof that the file is whole."""

    def __init__(self, stream: t.BinaryIO, path: str, start: bytes, seen: t.Optional[t.Callable[[bytes], t.Any]]) -> None:
        self._stream = stream
        self._process: t.Any = None
        self._pump: t.Optional[threading.Thread] = None
        program = zstd_program()
        if program is None:
            raise SeafileError("missing-tool", ZSTD, f"it is not installed on this host, and {os.path.basename(path)} needs it to be read",
                               "install the package zstd on this host, then run again")
        if len(start) < 4:
            raise Damage("the zstd file is cut short")
        if not _ZSTD_MAGIC.match(start):
            raise Damage("it is no zstd file")
        self._path = path
        self._error: t.Optional[BaseException] = None
        if seen is None:
            # what the stream has read ahead is not in its way: the program reads the file itself
            os.lseek(stream.fileno(), 0, os.SEEK_SET)
        self._process = _start([program, "-dcq", "--no-progress"], stream if seen is None else subprocess.PIPE)
        enlarge_pipe(self._process.stdout.fileno())
        if seen is not None:
            self._pump = threading.Thread(target=self._feed, args=(seen,), daemon=True)
            self._pump.start()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        """Fill I(buffer) with the next text; 0 at its end."""
        count = os.readv(self._process.stdout.fileno(), [buffer])
        if count == 0:
            self._end()
        return count

    def close(self) -> None:
        if not self.closed:
            if self._process is not None:
                self._end_process()
            self._stream.close()
        super().close()

    def _end_process(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._pump is not None:
            self._pump.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass

    def _feed(self, seen: t.Callable[[bytes], t.Any]) -> None:
        pipe = self._process.stdin
        try:
            for content in iter(lambda: self._stream.read(CHUNK), b""):
                seen(content)
                view = memoryview(content)
                while view:
                    view = view[pipe.write(view):]
        except BrokenPipeError:
            # it ended early; its exit code tells why
            pass
        except BaseException as error:  # pylint: disable=broad-exception-caught
            self._error = error
        finally:
            try:
                pipe.close()
            except BrokenPipeError:
                pass

    def _end(self) -> None:
        status = self._process.wait()
        if self._pump is not None:
            self._pump.join()
        if self._error is not None:
            raise self._error
        if status < 0:
            raise SeafileError("dump-killed", self._path, f"zstd, which unpacked it, was killed (signal {-status})",
                               "find out who ended it (memory, a reboot), then run again", signal=-status)
        if status != 0:
            raise Damage(f"the zstd file is damaged ({_words(self._process)})")
