"""The network process: one participant at the end of a socket pair. Run by :mod:`gym_p2p.net.bridge`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from typing import cast

from gym_p2p.core.events import Leave
from gym_p2p.net.loop import run_loop
from gym_p2p.net.participant import Participant, Plan, Telling
from gym_p2p.net.pipe import FrameReader, pack

__all__ = ["main"]

FLUSH_TIMEOUT_S = 2.0
"""The user's process may be busy or gone; it has this long to take what was told last."""


class _Pipe(asyncio.Protocol):
    """The child's end: a plan first, then commands; the stream's end is the user's process's end."""

    def __init__(self) -> None:
        self.participant: Participant | None = None
        self.planned: asyncio.Future[Plan] = asyncio.get_running_loop().create_future()
        self._reader = FrameReader()
        self._transport: asyncio.WriteTransport | None = None
        self._closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's are no subclass of it

    def data_received(self, data: bytes) -> None:
        for value in self._reader.feed(data):
            if isinstance(value, Plan):
                self.planned.set_result(value)
            elif self.participant is not None:
                self.participant.command(value)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._transport = None
        self._closed.set()
        if not self.planned.done():
            self.planned.cancel()
        elif self.participant is not None:
            # The user's process died: the peers need not wait for a time-out to learn of it.
            self.participant.command(Leave("process_died"))

    def tell(self, timestamp_ms: int, telling: Telling) -> None:
        """Pass on what happened."""
        if self._transport is not None:
            self._transport.write(pack((timestamp_ms, telling)))

    async def finish(self) -> None:
        """Deliver what was told, and close."""
        if self._transport is not None:
            self._transport.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), FLUSH_TIMEOUT_S)


async def _run(fd: int) -> None:
    loop = asyncio.get_running_loop()
    _, pipe = await loop.create_connection(_Pipe, sock=socket.socket(fileno=fd))
    try:
        plan = await pipe.planned
    except asyncio.CancelledError:
        return
    pipe.participant = Participant(plan, pipe.tell)
    await pipe.participant.run()
    await pipe.finish()


def main() -> None:
    """Run the participant that the parent process plans."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_loop(_run(int(sys.argv[1])))


if __name__ == "__main__":
    main()
