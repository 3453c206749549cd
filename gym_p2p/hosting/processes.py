"""Starts the processes of seats, and keeps the host's end of the line to each.

Where the platform can, they are forked by a server that has the environment's modules imported; elsewhere
each is started. Knows descriptors and the ends of processes; refuses to know who sits where.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable

import msgspec

from gym_p2p.hosting.messages import FromProcess, Inbox, Measure, Part, ToProcess, send
from gym_p2p.net.worker.warm import lend_processes
from gym_p2p.processes.forked import ForkServer, OtherProcess, StartedProcess, can_fork, socket_pair

__all__ = ["SeatProcess", "SeatProcesses"]

_log = logging.getLogger(__name__)

_MODULE = "gym_p2p.hosting.process"

_END_S = 1.0
"""For a process whose line has ended to be gone."""


class SeatProcess:
    """The host's end of one process. Every method is called on the event loop.

    Args:
        line: to it.
        process: it.
        hear: is told what it says.
        gone: is told that it has ended.
    """

    def __init__(
        self,
        line: socket.socket,
        process: OtherProcess,
        *,
        hear: Callable[[FromProcess], None],
        gone: Callable[[], None],
    ) -> None:
        self._line = line
        self._process = process
        self._hear = hear
        self._gone = gone
        self._inbox = Inbox()
        self._loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()
        """Set once the line has ended."""
        line.setblocking(False)  # noqa: FBT003 - the signature is the standard library's
        self._loop.add_reader(line.fileno(), self._read)

    def send(self, message: ToProcess, descriptor: int | None = None) -> None:
        """Send a message, and a descriptor with it; one that takes nothing any more hangs, and is killed."""
        try:
            send(self._line, message, descriptor)
        except BlockingIOError:
            _log.error("the process of a seat takes nothing any more; killing it")
            self.kill()
        except OSError as error:  # it has ended: reading says so
            _log.debug("not delivered to a seat: %s", error)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self._process.kill()

    async def ending(self) -> str:
        """Return in words how it ended; only once it has."""
        return await asyncio.to_thread(self._process.ending)

    def _read(self) -> None:
        try:
            data = self._line.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            heard = self._inbox.feed(data)
        except (msgspec.MsgspecError, ValueError):
            _log.exception("the process of a seat sends nonsense; killing it")
            self.kill()
            heard, data = [], b""
        for message in heard:
            self._hear(message)
        if not data:
            self._close()

    def _close(self) -> None:
        self._loop.remove_reader(self._line.fileno())
        self._line.close()
        self.ended.set()
        self._gone()

    async def let_go(self) -> None:
        """See to it that it is gone."""
        await asyncio.to_thread(self._see_to_its_end)

    def _see_to_its_end(self) -> None:
        if not self._process.has_ended(_END_S):
            self._process.kill()
            self._process.has_ended(_END_S)
        self._process.close()


class SeatProcesses:
    """Starts them.

    Args:
        env: the name of the environment, whose modules are imported once for all.
        modules: what else is known to be loaded while it is played.
    """

    def __init__(self, env: str, *modules: str) -> None:
        self._told = env, *modules
        self._server = ForkServer(_MODULE, *self._told) if can_fork() else None

    def start(
        self, first: Part | Measure, *, hear: Callable[[FromProcess], None], gone: Callable[[], None]
    ) -> SeatProcess:
        """Start a process that does this. Call it on the event loop.

        Raises:
            OSError: nothing can be started.
        """
        ours, theirs = socket_pair()
        try:
            with theirs:
                process = self._fork(theirs)
        except BaseException:
            ours.close()
            raise
        started = SeatProcess(ours, process, hear=hear, gone=gone)
        lent = lend_processes()
        try:
            started.send(first, None if lent is None else lent.fileno())
        finally:
            if lent is not None:
                lent.close()
        return started

    def _fork(self, theirs: socket.socket) -> OtherProcess:
        if self._server is None:
            told = str(theirs.fileno()), str(os.getpid()), self._told[0]
            return StartedProcess(_MODULE, *told, passed=theirs)
        if self._server.is_there():
            with contextlib.suppress(ConnectionError):  # it was killed, and is not known to be dead yet
                return self._server.fork(theirs)
        self._server.close()
        self._server = ForkServer(_MODULE, *self._told)
        return self._server.fork(theirs)

    def close(self) -> None:
        """Start no more; what was started goes on. Idempotent."""
        if self._server is not None:
            self._server.close()
