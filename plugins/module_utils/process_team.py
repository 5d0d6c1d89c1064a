# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A team of processes that are forked for one task, take orders, and send ids of objects to each other.

Forked, not spawned: a module runs out of an archive that another interpreter could not import, and what it knows already need not be
sent. A process that dies ends the task with an error: nothing of it may be missing silently, and nobody waits for it.
"""

from __future__ import annotations

import errno
import gc
import os
import pickle
import select
import signal
import socket
import struct
import time
import traceback
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

LEFT_ALONE = 3
"""Exit status of a process that ends because another one has died."""
_SIZE = struct.Struct(">Q")
_FRAME = struct.Struct(">IB")
_FRAME_IDS = 3000
_MOST_UNSENT_BYTES = 4 * 1024 * 1024


class Member(t.Protocol):
    """What the task of a team gives: the one in a process that carries orders out."""

    def obey(self, order: str, *arguments: t.Any) -> t.Any:
        """Carry out one order; return the answer."""


class _Channel:
    """Messages between the first process and one of its children, both of which are this very program."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end

    def fileno(self) -> int:
        return self.end.fileno()

    def send(self, message: t.Any) -> None:
        """Send a message; raises OSError when the other end is gone."""
        content = pickle.dumps(message, protocol=4)
        self.end.sendall(_SIZE.pack(len(content)))
        self.end.sendall(content)

    def receive(self) -> t.Any:
        """Wait for a message; raises EOFError when the other end is gone."""
        return pickle.loads(self._exactly(_SIZE.unpack(self._exactly(_SIZE.size))[0]))

    def _exactly(self, size: int) -> bytearray:
        content = bytearray(size)
        view = memoryview(content)
        while view:
            try:
                length = self.end.recv_into(view)
            except ConnectionError:
                length = 0
            if not length:
                raise EOFError
            view = view[length:]
        return content


class Mesh:
    """The connections of one process to the others, over which ids go to their owners. Nothing here ever waits to write."""

    def __init__(self, channel: _Channel, peers: dict[int, socket.socket]) -> None:
        self.channel = channel
        self.peers = peers
        self.unsent = {peer: bytearray() for peer in peers}
        self.incoming = {peer: bytearray() for peer in peers}
        self.sent = dict.fromkeys(peers, 0)
        self.received = dict.fromkeys(peers, 0)
        self.told: t.Any = None
        self.ended = False
        """The first process has said that all are idle; who sees it sets it back."""
        self.poll = select.poll()
        self.names = {end.fileno(): peer for peer, end in peers.items()}
        for end in peers.values():
            end.setblocking(False)
            self.poll.register(end, select.POLLIN)
        self.poll.register(channel.fileno(), select.POLLIN)

    def send(self, peer: int, sort: int, ids: bytearray) -> None:
        """Put ids on their way; they leave in :meth:`exchange`."""
        for at in range(0, len(ids), _FRAME_IDS * 20):
            piece = ids[at:at + _FRAME_IDS * 20]
            self.unsent[peer] += _FRAME.pack(len(piece), sort) + piece
            self.sent[peer] += 1

    def tell_idle(self) -> None:
        """Tell the first process that there is nothing to do, with what was sent and received until now."""
        state = (dict(self.sent), dict(self.received))
        if state != self.told:
            self.told = state
            self.channel.send(("idle", state))

    def exchange(self, wait: bool) -> list[tuple[int, bytes]]:
        """Send and receive; return what was received. With I(wait), wait until there is something, or the pass has ended."""
        frames: list[tuple[int, bytes]] = []
        while True:
            for peer, unsent in self.unsent.items():
                self.poll.modify(self.peers[peer], select.POLLIN | (select.POLLOUT if unsent else 0))
            full = any(len(unsent) > _MOST_UNSENT_BYTES for unsent in self.unsent.values())
            for descriptor, event in self.poll.poll(None if full or (wait and not frames) else 0):
                if descriptor == self.channel.fileno():
                    if wait:
                        self.channel.receive()
                        self.ended = True
                        self.told = None  # the next pass begins with a report, whatever is in it
                    continue
                peer = self.names[descriptor]
                if event & select.POLLOUT:
                    self._push(peer)
                if event & ~select.POLLOUT:
                    self._pull(peer, frames)
            if frames or self.ended or not wait:
                if not any(len(unsent) > _MOST_UNSENT_BYTES for unsent in self.unsent.values()):
                    return frames

    def _push(self, peer: int) -> None:
        unsent = self.unsent[peer]
        try:
            length = self.peers[peer].send(unsent)
        except BlockingIOError:
            return
        except OSError:
            os._exit(LEFT_ALONE)
        del unsent[:length]

    def _pull(self, peer: int, frames: list[tuple[int, bytes]]) -> None:
        incoming = self.incoming[peer]
        try:
            content = self.peers[peer].recv(256 * 1024)
        except BlockingIOError:
            return
        except OSError:
            content = b""
        if not content:
            os._exit(LEFT_ALONE)  # the first process sees which one has died
        incoming += content
        at = 0
        while len(incoming) - at >= _FRAME.size:
            length, sort = _FRAME.unpack_from(incoming, at)
            end = at + _FRAME.size + length
            if end > len(incoming):
                break
            frames.append((sort, bytes(incoming[at + _FRAME.size:end])))
            self.received[peer] += 1
            at = end
        del incoming[:at]


class Team:
    """The first process's view of the others. A context, behind which none of them is left.

    :arg what: what the task is about, for errors.
    :arg member: called in each process with its number and its connections to the others.
    :arg meanwhile: called here at least once a second while the others are at work.
    """

    def __init__(self, count: int, what: str, member: t.Callable[[int, Mesh], Member], meanwhile: t.Callable[[], None] | None = None) -> None:
        self.count = count
        self.what = what
        self.meanwhile = meanwhile
        self.channels: list[_Channel] = []
        self.children: list[int] = []
        pairs = [socket.socketpair() for dummy in range(count)]
        mesh: list[dict[int, socket.socket]] = [{} for dummy in range(count)]
        for one in range(count):
            for other in range(one):
                mesh[one][other], mesh[other][one] = socket.socketpair()
        try:
            for me in range(count):
                child = os.fork()
                if child == 0:
                    _live(member, me, pairs, mesh)
                self.children.append(child)
        except OSError:
            self.__exit__()
            raise
        finally:
            for me in range(count):
                pairs[me][1].close()
                self.channels.append(_Channel(pairs[me][0]))
                for end in mesh[me].values():
                    end.close()

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *dummy: t.Any) -> None:
        for channel in self.channels:
            channel.end.close()
        for child in self.children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        self.children.clear()

    def tell(self, me: int, order: str, *arguments: t.Any) -> None:
        """Give an order to one."""
        try:
            self.channels[me].send((order, *arguments))
        except OSError:
            self._mourn()

    def hear(self) -> tuple[int, t.Any]:
        """Wait for the next answer; return (who, answer)."""
        return self._receive("done")

    def hear_all(self) -> list[t.Any]:
        """Wait for an answer of each."""
        answers: dict[int, t.Any] = {}
        while len(answers) < self.count:
            me, answer = self.hear()
            answers[me] = answer
        return [answers[me] for me in range(self.count)]

    def tell_all(self, order: str, *arguments: t.Any) -> None:
        """Give an order to all."""
        for me in range(self.count):
            self.tell(me, order, *arguments)

    def wait_for_silence(self) -> None:
        """Wait until all are idle and each has received all that the others have sent to it; then end the pass.

        The reports are of different moments. Still it is right: if somebody had work now, the first to get it after its last report
        would have got it from a process that sent it before its own last report, and then these two numbers would differ.
        """
        reports: dict[int, tuple[dict[int, int], dict[int, int]]] = {}
        while len(reports) < self.count or any(
                reports[one][0][other] != reports[other][1][one] for one in range(self.count) for other in range(self.count) if one != other):
            me, (sent, received) = self._receive("idle")
            reports[me] = (sent, received)
        for me in range(self.count):
            self.tell(me, "end")

    def _receive(self, kind: str) -> tuple[int, t.Any]:
        waiting: list[_Channel] = []
        while not waiting:
            if self.meanwhile is not None:
                self.meanwhile()
            waiting = select.select(self.channels, (), (), None if self.meanwhile is None else 1.0)[0]
        ready = waiting[0]
        me = self.channels.index(ready)
        try:
            said, content = ready.receive()
        except EOFError:
            self._mourn()
        if said == "failed":
            _raise(*content)
        if said != kind:
            raise RuntimeError(f"process {me} says {said}, not {kind}")
        return me, content

    def _mourn(self) -> t.NoReturn:
        """A child is gone: say why. The others follow it when they notice, so that it may not be the first that died."""
        deadline = time.monotonic() + 1
        cause = "one of the processes ended without a result"
        left = list(self.children)
        while left and time.monotonic() < deadline:
            for child in list(left):
                ended, status = os.waitpid(child, os.WNOHANG)
                if not ended:
                    continue
                left.remove(child)
                self.children.remove(child)
                if os.WIFSIGNALED(status):
                    number = os.WTERMSIG(status)
                    cause = f"one of the processes was ended by signal {number}" + (", as the kernel does when memory runs out" if number == 9 else "")
                    deadline = 0
            time.sleep(0.01)
        raise SeafileError("verification-interrupted", self.what, cause)


def _live(
    member: t.Callable[[int, Mesh], Member],
    me: int,
    pairs: list[tuple[socket.socket, socket.socket]],
    mesh: list[dict[int, socket.socket]],
) -> t.NoReturn:
    """What a child does from its first moment to its last. It never returns into the program of its parent."""
    try:
        gc.disable()  # nothing here makes cycles, and the collector would look through millions of ids again and again
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number, (first, second) in enumerate(pairs):
            first.close()
            if number != me:
                second.close()
                for end in mesh[number].values():
                    end.close()
        channel = _Channel(pairs[me][1])
        try:
            obedient = member(me, Mesh(channel, mesh[me]))
            while True:
                order, *arguments = channel.receive()
                channel.send(("done", obedient.obey(order, *arguments)))
        except SeafileError as error:
            channel.send(("failed", ("error", (error.code, error.what, error.cause, error.next_step))))
        except MemoryError:
            channel.send(("failed", ("memory", ())))
        except (EOFError, ConnectionError):
            pass
        except OSError as error:
            channel.send(("failed", ("system", (error.errno or errno.EIO, error.strerror or str(error), error.filename))))
        except Exception:
            channel.send(("failed", ("defect", (traceback.format_exc(),))))
        channel.end.recv(1)  # until the first process has read it
    finally:
        os._exit(0)


def _raise(kind: str, values: tuple[t.Any, ...]) -> t.NoReturn:
    if kind == "error":
        raise SeafileError(*values)
    if kind == "memory":
        raise MemoryError
    if kind == "system":
        raise OSError(*values)
    raise RuntimeError(*values)
