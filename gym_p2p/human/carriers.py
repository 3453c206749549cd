"""What carries messages to one page: the shape of it, and a WebSocket. On the page server's loop.

Knows how a message is sent, and with which code a connection is closed. Refuses to know what messages mean.
Data channels (:mod:`gym_p2p.human.data_channel`) bring a library that takes its time to load.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from gym_p2p.config import LinkEmulation
from gym_p2p.core.record.human import PageLink
from gym_p2p.human.messages import CLOSE_CODES
from gym_p2p.human.person import ClosePage, Output, SendFrame, SendToPage
from gym_p2p.net.loop import LATE_S

__all__ = ["Carrier", "SocketCarrier", "close_code"]

_GOING_AWAY = 1001

CLOSE_LIMIT_S = 10.0
"""For a line to take what goes before its end; a page that reads nothing for so long is not there."""


def close_code(reason: str) -> int:
    """Return the code for a reason; for one that is not for the page, one after which it comes again."""
    return CLOSE_CODES.get(reason, _GOING_AWAY)


class Carrier(Protocol):
    """A connection to a page."""

    @property
    def link(self) -> PageLink:
        """Of which kind it is."""

    def take(self, output: Output) -> bool:
        """Send, or close; return False while the line has no room for another frame."""

    async def close(self, limit_s: float = 0.0) -> None:
        """Send what was taken, for a while at most, and be closed. Idempotent."""


class SocketCarrier:
    """A WebSocket. TCP has room for a few frames, and the page's acknowledgements bound them.

    Args:
        socket: open; who made it closes it, once :attr:`sending` has ended.
        emulation: how long messages take to the page; the loss of a stream is a delay, and is left out.
        abort: breaks the line.

    Attributes:
        sending: ends when the page is to be closed, or is.
    """

    link: PageLink = "websocket"

    def __init__(self, socket: Any, emulation: LinkEmulation, *, abort: Callable[[], None]) -> None:
        self._socket = socket
        self._abort = abort
        self._one_way_s = emulation.one_way_ms / 1e3
        self._queue: asyncio.Queue[tuple[float, Output]] = asyncio.Queue()
        self.sending = asyncio.create_task(self._send_all())

    @property
    def closed_for(self) -> str | None:
        """Why the page is to be closed; ``None`` where it is not."""
        return self.sending.result() if self.sending.done() and not self.sending.cancelled() else None

    def take(self, output: Output) -> bool:
        """Send one message after the other."""
        if not self.sending.done():
            self._queue.put_nowait((time.monotonic() + self._one_way_s, output))
            if isinstance(output, ClosePage):
                asyncio.get_running_loop().call_later(self._one_way_s + CLOSE_LIMIT_S, self._give_up)
        return True

    async def close(self, limit_s: float = 0.0) -> None:
        """Send what was taken, for a while at most. Idempotent."""
        if limit_s:
            await asyncio.wait({self.sending}, timeout=limit_s)
        self.sending.cancel()
        await asyncio.gather(self.sending, return_exceptions=True)

    def _give_up(self) -> None:
        if not self.sending.done():
            self._abort()

    async def _send_all(self) -> str | None:
        while True:
            due, output = await self._queue.get()
            if self._one_way_s and (wait_s := due - time.monotonic()) > 0:
                await asyncio.sleep(wait_s + LATE_S)
            try:
                match output:
                    case SendToPage(_, text):
                        await self._socket.send_str(text)
                    case SendFrame(_, _, data):
                        await self._socket.send_bytes(data)
                    case ClosePage(_, reason):
                        return reason
            except ConnectionError:
                return None
