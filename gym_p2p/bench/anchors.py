"""Bare aiortc and aioice, used as their documentation shows: what one would have without this package.

The one module of the bench that knows them. Nothing in them is changed, but for the choice of ICE servers
(their default is a public one), and on a machine without any address but loopback, where they find none,
that address is added.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aioice
import aioice.ice
from aiortc import RTCConfiguration, RTCDataChannel, RTCIceServer, RTCPeerConnection, RTCSessionDescription

from gym_p2p.bench.wires import OPEN_TIMEOUT_S, Receive, ignore

__all__ = ["AiortcWire", "open_aioice", "open_aiortc", "see_loopback"]


def see_loopback() -> None:
    """Let aioice offer 127.0.0.1 where the machine has nothing else, for the rest of this process."""
    if not aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True):
        replaced: Any = aioice.ice
        replaced.get_host_addresses = lambda **_families: ["127.0.0.1"]


class AiortcWire:
    """A data channel of bare aiortc, unordered and without repetition, as a game would have it."""

    def __init__(self) -> None:
        self.receive: Receive = ignore
        self._pc = _connection(None)
        self._open = asyncio.Event()
        self._channel: RTCDataChannel | None = None
        self._pc.on("datachannel", self._watch)

    async def offer(self) -> str:
        """See :class:`gym_p2p.bench.wires.Wire`."""
        channel = self._pc.createDataChannel("bench", ordered=False, maxRetransmits=0)
        channel.on("open", lambda: self._watch(channel))
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return _described(self._pc)

    async def answer(self, offer: str) -> str:
        """See :class:`gym_p2p.bench.wires.Wire`."""
        await self._pc.setRemoteDescription(RTCSessionDescription(**json.loads(offer)))
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        return _described(self._pc)

    async def finish(self, answer: str | None) -> None:
        """See :class:`gym_p2p.bench.wires.Wire`."""
        if answer is not None:
            await self._pc.setRemoteDescription(RTCSessionDescription(**json.loads(answer)))
        await asyncio.wait_for(self._open.wait(), OPEN_TIMEOUT_S)

    def send(self, data: bytes) -> None:
        """See :class:`gym_p2p.bench.wires.Wire`."""
        if self._channel is not None:
            self._channel.send(data)

    async def close(self) -> None:
        """See :class:`gym_p2p.bench.wires.Wire`."""
        await self._pc.close()

    def _watch(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        channel.on("message", self._on_message)
        self._open.set()

    def _on_message(self, data: bytes) -> None:
        self.receive(data)


async def open_aiortc(stun: str | None) -> float:
    """Connect two peer connections in this process; return the seconds until both ends have the channel."""
    one, other = _connection(stun), _connection(stun)
    opened, adopted = asyncio.Event(), asyncio.Event()
    began = time.perf_counter()
    try:
        channel = one.createDataChannel("bench")
        channel.on("open", opened.set)
        other.on("datachannel", lambda _channel: adopted.set())
        await one.setLocalDescription(await one.createOffer())
        await other.setRemoteDescription(one.localDescription)
        await other.setLocalDescription(await other.createAnswer())
        await one.setRemoteDescription(other.localDescription)
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            await opened.wait()
            await adopted.wait()
        return time.perf_counter() - began
    finally:
        await one.close()
        await other.close()


async def open_aioice() -> float:
    """Connect two ICE connections in this process, without anything above; return the seconds."""
    one, other = aioice.Connection(ice_controlling=True), aioice.Connection(ice_controlling=False)
    began = time.perf_counter()
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            await asyncio.gather(one.gather_candidates(), other.gather_candidates())
            for here, there in ((one, other), (other, one)):
                there.remote_username, there.remote_password = here.local_username, here.local_password
                for candidate in (*here.local_candidates, None):
                    await there.add_remote_candidate(candidate)
            await asyncio.gather(one.connect(), other.connect())
        return time.perf_counter() - began
    finally:
        await one.close()
        await other.close()


def _connection(stun: str | None) -> RTCPeerConnection:
    servers = [] if stun is None else [RTCIceServer(urls=stun)]
    return RTCPeerConnection(RTCConfiguration(iceServers=servers))


def _described(pc: RTCPeerConnection) -> str:
    return json.dumps({"sdp": pc.localDescription.sdp, "type": pc.localDescription.type})
