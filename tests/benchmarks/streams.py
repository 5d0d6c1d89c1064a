# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(make benchmark WHAT=streams): what several streams gain on a link that is far away, and whether the limit of bandwidth is kept.

Every pull goes through a proxy that delays each byte, in both directions, as a distance does. It limits nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import pathlib
import shutil
import statistics
import sys
import threading
import typing as t

import generate
import measure
from lab import Lab

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run_pull.py")
STREAMS = (1, 2, 4, 8)
LIMITED, LIMIT = 4, 4096
"""Streams and KiB a second of the run with a limit."""
_CHUNK = 1 << 18


class Distance:
    """A proxy to a port of this machine; what comes in goes on I(seconds) later."""

    def __init__(self, port: int, seconds: float) -> None:
        self.target = port
        self.seconds = seconds
        self.port = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._serve, daemon=True).start()
        self._ready.wait()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connect, "127.0.0.1", 0, limit=_CHUNK))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=_CHUNK)
        await asyncio.gather(self._carry(reader, other_writer), self._carry(other_reader, writer), return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        arriving = self._loop.create_task(self._arrive(under_way, writer))
        try:
            while True:
                chunk = await reader.read(_CHUNK)
                under_way.put_nowait((self._loop.time() + self.seconds, chunk))
                if not chunk:
                    break
        except ConnectionError:
            under_way.put_nowait((self._loop.time(), b""))
        await arriving

    async def _arrive(self, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            moment, chunk = await under_way.get()
            await asyncio.sleep(moment - self._loop.time())
            if not chunk:
                writer.close()
                return
            writer.write(chunk)
            await writer.drain()


class Pulls:
    """Pulls of one deployment, each into an empty place."""

    def __init__(self, lab: Lab, storage: str, place: str) -> None:
        self.lab = lab
        self.storage = storage
        self.place = place
        self.number = 0
        self.environment = measure.environment()

    def one(self, port: int, streams: int, limit: int = 0, prefixes: str = "") -> dict[str, t.Any]:
        """Pull once; return C(seconds), C(transferred), C(bytes).

        What arrived stays until the end: for minutes after many files were deleted, ext4 looks for inodes that were not
        (C(recently_deleted()) in fs/ext4/ialloc.c), and a pull takes two to three times the CPU.
        """
        self.number += 1
        place = os.path.join(self.place, str(self.number))
        # the restricted account sees its directory as the root of everything
        src = "/" + os.path.relpath(self.storage, self.lab.directory) if self.lab.restricted else self.storage
        argv = [sys.executable, RUN, str(port), f"{self.lab.path}/pull_key", f"{self.lab.path}/known_hosts", getpass.getuser(), src, place,
                str(streams), str(limit), *([prefixes] if prefixes else [])]
        return t.cast("dict[str, t.Any]", json.loads(measure.run(argv, self.lab.directory, self.environment).output))


def bench(options: argparse.Namespace) -> str:
    """Measure; return the text for the document."""
    directory = os.path.join(os.path.realpath(options.dir), f"streams-{options.objects}")
    deployment = os.path.join(directory, "server")
    if not os.path.exists(os.path.join(deployment, "store.json")):
        generate.main([deployment, "--objects", str(options.objects), "--seed", str(options.seed)])
    with Lab(directory) as lab:
        pulls = Pulls(lab, os.path.join(deployment, "haiwen", "seafile-data", "storage"), os.path.join(directory, "pulled"))
        near = lab.port
        far = Distance(lab.port, options.milliseconds / 1000).port
        found: dict[tuple[int, int], list[dict[str, t.Any]]] = {}
        for number in range(options.rounds):
            for streams in STREAMS:
                for port in (near, far):
                    result = pulls.one(port, streams)
                    found.setdefault((streams, port), []).append(result)
                    where = "near" if port == near else "far"
                    print(f"round {number + 1}: {streams} streams, {where}: {result['seconds']:.1f} s, {result['transferred']} objects", flush=True)
        if len({result["transferred"] for results in found.values() for result in results}) != 1:
            raise SystemExit("the pulls did not bring the same objects")
        limited = pulls.one(near, LIMITED, LIMIT, "")
    shutil.rmtree(pulls.place if options.keep else directory, ignore_errors=True)
    one = {port: statistics.median(result["seconds"] for result in found[1, port]) for port in (near, far)}
    rows = []
    for streams in STREAMS:
        seconds = {port: statistics.median(result["seconds"] for result in found[streams, port]) for port in (near, far)}
        rows.append([str(streams), *(f"{seconds[port]:.1f}" for port in (near, far)), *(f"{one[port] / seconds[port]:.2f}" for port in (near, far))])
    size = found[1, near][0]["bytes"]
    rate = limited["bytes"] / 1024 / limited["seconds"]
    return "\n".join([
        f"{measure.machine(options.dir)}. A first pull of {options.objects:,} objects, {size / 1e6:,.0f} MB, over ssh to this machine; far: each byte takes "
        f"{options.milliseconds} ms more each way. {options.rounds} rounds in turn, medians.", "",
        measure.table(["streams", "seconds, near", "seconds, far", "times as fast as one, near", "times as fast as one, far"], rows), "",
        f"With a limit of {LIMIT:,} KiB a second, {LIMITED} streams brought {rate:,.0f} KiB a second: {rate / LIMIT:.2f} of the limit.", ""])


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--milliseconds", type=int, default=50)
    parser.add_argument("--dir", default=os.path.join(".build", "benchmarks"), help="where the data goes")
    parser.add_argument("--keep", action="store_true", help="leave the data for the next run")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    pathlib.Path(options.dir).mkdir(parents=True, exist_ok=True)
    text = bench(options)
    print(text)
    if options.write:
        measure.write("streams", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
