"""Ways between two processes: what they have in common, and the thinnest one, plain UDP.

A wire is described by one side, answered by the other, and then carries small messages. Everything is called
on its event loop. Ours is in :mod:`gym_p2p.bench.our_wire`, bare aiortc in :mod:`gym_p2p.bench.anchors`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Protocol

from gym_p2p.config import LinkEmulation
from gym_p2p.net.links.emulation import EmulatedPath

__all__ = ["OPEN_TIMEOUT_S", "Receive", "UdpWire", "Wire", "ignore"]

Receive = Callable[[bytes], None]

OPEN_TIMEOUT_S = 15.0


class Wire(Protocol):
    """One end. ``receive`` is what gets the messages; it may be exchanged at any time."""

    receive: Receive

    async def offer(self) -> str:
        """Return a description of this end."""

    async def answer(self, offer: str) -> str:
        """Take the other end's description and return one of this end."""

    async def finish(self, answer: str | None) -> None:
        """Take the answer, on the end that offered; return once messages can be sent."""

    def send(self, data: bytes) -> None:
        """Send a message."""

    async def close(self) -> None:
        """Close this end."""


def ignore(_data: bytes) -> None:
    """Drop a message."""


class UdpWire(asyncio.DatagramProtocol):
    """Plain datagrams between two sockets on 127.0.0.1.

    Args:
        emulation: delays what this end sends as the product's own sockets would.
    """

    def __init__(self, emulation: LinkEmulation | None = None) -> None:
        self.receive: Receive = ignore
        self._emulation = emulation if emulation is not None else LinkEmulation()
        self._transport: Any = None
        self._peer: tuple[str, int] | None = None

    def datagram_received(self, data: bytes, _addr: tuple[str, int]) -> None:
        """Take in a datagram."""
        self.receive(data)

    async def offer(self) -> str:
        """See :class:`Wire`."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self._transport = EmulatedPath(transport, self._emulation) if self._emulation.active else transport
        return json.dumps(transport.get_extra_info("sockname"))

    async def answer(self, offer: str) -> str:
        """See :class:`Wire`."""
        host, port = json.loads(offer)
        self._peer = (host, port)
        return await self.offer()

    async def finish(self, answer: str | None) -> None:
        """See :class:`Wire`."""
        if answer is not None:
            host, port = json.loads(answer)
            self._peer = (host, port)

    def send(self, data: bytes) -> None:
        """See :class:`Wire`."""
        self._transport.sendto(data, self._peer)

    async def close(self) -> None:
        """See :class:`Wire`."""
        if self._transport is not None:
            self._transport.close()
