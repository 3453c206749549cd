"""Peers for the tests of real connections: everything stays on 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import aioice.ice
import pytest
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from gym_p2p.config import LinkConfig, LinkEmulation
from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.links.transport import LinkState
from gym_p2p.net.webrtc import PeerConnection
from tests.waiting import PATIENCE_S

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T], *, uvloop: bool = False) -> T:
    """Run a test's coroutine with a time limit; afterwards no task and no socket may be left."""

    async def limited() -> T:
        before = open_sockets()
        result = await asyncio.wait_for(work, 2 * PATIENCE_S)
        for _ in range(500):
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if not left and open_sockets() <= before:
                return result
            await asyncio.sleep(0.01)
        pytest.fail(f"left behind: {left or 'sockets'}")

    if uvloop:
        import uvloop as loops  # noqa: PLC0415  # only where it is asked for

        with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
            return runner.run(limited())
    return asyncio.run(limited())


def open_sockets() -> int:
    """Return how many sockets this process has."""
    count = 0
    for name in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += str(name.readlink()).startswith("socket:")
    return count


@contextlib.contextmanager
def loopback_only() -> Iterator[None]:
    """Let 127.0.0.1 be the machine's only address, for aiortc's own peers too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"])
        yield


class Peer:
    """A connection and what its handlers were told."""

    def __init__(self, link: LinkConfig | None = None, **options: Any) -> None:
        self.messages: list[tuple[Channel, bytes | str]] = []
        self.states: list[LinkState] = []
        self.late: list[Mapping[str, Any]] = []
        self.on_message: Callable[[Channel, bytes | str], object] | None = None
        self.connection = PeerConnection(
            link=link or LinkConfig(),
            on_message=self._receive,
            on_state=self._change,
            on_candidate=self.late.append,
            **options,
        )

    def _receive(self, channel: Channel, data: bytes | str) -> None:
        self.messages.append((channel, data))
        if self.on_message is not None:
            self.on_message(channel, data)

    def _change(self, state: LinkState) -> None:
        self.states.append(state)


async def connect(one: Peer, other: Peer, *, negotiated_game: bool = True) -> None:
    """Connect two peers with complete descriptions."""
    offer = await one.connection.create_offer(negotiated_game=negotiated_game)
    answer = await other.connection.accept_offer(offer, negotiated_game=negotiated_game)
    await one.connection.accept_answer(answer)
    await asyncio.gather(one.connection.wait_until_open(), other.connection.wait_until_open())


@contextlib.asynccontextmanager
async def connected_pair(emulation: LinkEmulation | None = None) -> AsyncIterator[tuple[Peer, Peer]]:
    """Two peers, connected, and closed at the end."""
    link = LinkConfig(emulation=emulation or LinkEmulation())
    one, other = Peer(link), Peer(link)
    try:
        await connect(one, other)
        yield one, other
    finally:
        await one.connection.close()
        await other.connection.close()


class Browser:
    """aiortc as its documentation shows, with a browser's handlers: in-band channel, candidates apart."""

    def __init__(self, send_signal: Callable[[str, Mapping[str, Any]], None]) -> None:
        self.pc = self._make()
        self.rolled_back: list[RTCPeerConnection] = []
        self.received: list[bytes | str] = []
        self.opened = asyncio.Event()
        self.channel: RTCDataChannel | None = None
        self._send_signal = send_signal
        self._early: list[Mapping[str, Any]] = []

    def _make(self) -> RTCPeerConnection:
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        pc.on("datachannel", self._use)
        return pc

    async def close(self) -> None:
        for pc in [self.pc, *self.rolled_back]:
            await pc.close()

    def _use(self, channel: RTCDataChannel) -> None:
        self.channel = channel
        channel.on("message", self.received.append)
        if channel.readyState == "open":
            self.opened.set()
        channel.on("open", self.opened.set)

    async def offer(self) -> None:
        self._use(self.pc.createDataChannel("game", ordered=False, maxRetransmits=0))
        await self._describe()

    async def receive(self, kind: str, payload: Mapping[str, Any]) -> None:
        if kind == "offer" and self.pc.signalingState == "have-local-offer":
            # aiortc cannot roll back; a new connection comes to the same for the other side.
            self.rolled_back.append(self.pc)
            self.pc = self._make()
        if kind == "ice-candidate":
            self._early.append(payload)
        elif kind == "offer" or self.pc.signalingState == "have-local-offer":
            await self.pc.setRemoteDescription(RTCSessionDescription(payload["sdp"], kind))
            if kind == "offer":
                await self._describe()
        if self.pc.remoteDescription is not None:
            early, self._early = self._early, []
            for candidate in early:
                await self.pc.addIceCandidate(self._parse(candidate))

    @staticmethod
    def _parse(payload: Mapping[str, Any]) -> Any:
        candidate = candidate_from_sdp(payload["candidate"].removeprefix("candidate:"))
        candidate.sdpMid, candidate.sdpMLineIndex = payload["sdpMid"], payload["sdpMLineIndex"]
        return candidate

    async def _describe(self) -> None:
        """Send the description without candidates, and those one by one, as browsers do."""
        await self.pc.setLocalDescription()
        kind, sdp = self.pc.localDescription.type, self.pc.localDescription.sdp
        lines = sdp.splitlines()
        candidates = [line for line in lines if line.startswith("a=candidate:")]
        rest = [line for line in lines if line not in [*candidates, "a=end-of-candidates"]]
        ufrag = next(line for line in lines if line.startswith("a=ice-ufrag:")).split(":")[1]
        payloads = [
            {"candidate": c[2:], "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": ufrag}
            for c in candidates
        ]
        # One before the description, which the network may do, and the others after it.
        for payload in payloads[:1]:
            self._send_signal("ice-candidate", payload)
        self._send_signal(kind, {"type": kind, "sdp": "\r\n".join([*rest, ""])})
        for payload in [*payloads[1:], {"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0}]:
            self._send_signal("ice-candidate", payload)
