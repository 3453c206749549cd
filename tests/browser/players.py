"""The two kinds of players that meet in these tests, and the service between them, on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs

from gym_p2p.config import LinkConfig, ServiceConfig
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.rooms import MatchFound, MatchSignal
from gym_p2p.core.wire.messages import Channel
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.net.connector import Connector
from gym_p2p.net.links.transport import LinkState
from gym_p2p.net.probing.manager import ProbeManager, ProbeResult
from gym_p2p.net.webrtc import PeerConnection
from gym_p2p.server import Service
from tests.browser.chromium import Chromium, Page
from tests.waiting import PATIENCE_S, eventually

__all__ = ["Opened", "PagePlayer", "PythonPlayer", "meet", "run", "serving"]


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine with a time limit."""
    asyncio.run(asyncio.wait_for(work, 2 * PATIENCE_S))


@contextlib.asynccontextmanager
async def serving(data_dir: Path, pages_url: str, **options: Any) -> AsyncIterator[Service]:
    """A service that pages of this address may connect to."""
    service = Service(ServiceConfig(port=0, data_dir=str(data_dir), cors_origins=(pages_url,), **options))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


class Served(Protocol):
    """A service somewhere."""

    @property
    def url(self) -> str: ...


@attrs.frozen
class Opened:
    """How a game channel came to be."""

    took_ms: float
    role: str | None


class PythonPlayer:
    """Our peer: the signalling client, a connector and what it heard.

    Args:
        names: the service's prefix and namespace, where a host has given it some.

    Attributes:
        signals_go: set unless its signals are held back for now.
    """

    def __init__(self, **names: str) -> None:
        self.client = SignalingClient(**names)
        self.probes: list[ProbeResult] = []
        self.made: list[PeerConnection] = []
        self.signals_go = asyncio.Event()
        self.signals_go.set()
        self.sent: list[str] = []
        self.heard: list[bytes | str] = []
        self._connector: Connector | None = None
        self._sending: set[asyncio.Task[None]] = set()

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, service: Served, subject: str, **names: str) -> AsyncIterator[PythonPlayer]:
        """A player who has registered; closed at the end."""
        player = cls(**names)
        try:
            await player.client.connect(service.url, subject, timeout_s=PATIENCE_S)
            manager = ProbeManager(player.client, subject, on_result=player.probes.append)
            yield player
            await manager.close()
        finally:
            for connection in player.made:
                await connection.close()
            await player.client.close()

    @property
    def connection(self) -> PeerConnection:
        """The one in use."""
        return self.made[-1]

    async def join(self, room: str, seats: Sequence[SeatId], take: SeatId) -> None:
        await self.client.join_room(room, seats, [take])

    async def join_queue(self, queue: str, seats: Sequence[SeatId]) -> None:
        await self.client.join_queue(QueueTicket(queue=queue, seats=tuple(seats)))

    async def match(self) -> MatchFound:
        """Wait for the match, and be ready for the other player's signals."""
        found = await self.client.wait_for_match(PATIENCE_S)
        peer = found.peers[0]

        async def send_in_time(*signal: Any) -> None:
            await self.signals_go.wait()
            self.client.send_signal(*signal)

        def send(kind: str, payload: Mapping[str, Any]) -> None:
            self.sent.append(kind)
            sending = asyncio.create_task(send_in_time(found.match_id, peer.player_id, kind, payload))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

        self._connector = connector = Connector(
            local_id=found.player_id,
            remote_id=peer.player_id,
            make_connection=self._make_connection,
            send_signal=send,
            remote_is_ours=False,
            timeout_s=PATIENCE_S,
        )

        def receive(signal: MatchSignal) -> None:
            connector.receive_signal(signal.type, signal.payload)

        self.client.events.listen(MatchSignal, receive)
        return found

    async def connect(self) -> Opened:
        assert self._connector is not None
        started = asyncio.get_running_loop().time()
        connection = await self._connector.connect()
        assert connection.state is LinkState.OPEN
        took_ms = (asyncio.get_running_loop().time() - started) * 1000
        return Opened(took_ms, "offerer" if "offer" in self.sent else "answerer")

    async def probed(self, count: int = 1) -> list[ProbeResult]:
        """Wait for so many probes to end here, and return what became of them."""
        await eventually(lambda: len(self.probes) >= count)
        return self.probes

    async def send(self, text: str) -> bool:
        return self.connection.send(Channel.GAME, text)

    async def hear(self, text: str) -> None:
        await eventually(lambda: text in self.heard)

    def _make_connection(self) -> PeerConnection:
        def receive(channel: Channel, data: bytes | str) -> None:
            assert channel is Channel.GAME
            self.heard.append(data)

        connection = PeerConnection(link=LinkConfig(), on_message=receive, on_state=lambda _state: None)
        self.made.append(connection)
        return connection


class PagePlayer:
    """A player in a browser's page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.candidates: list[str] = []
        self.offers: list[str] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def at(
        cls,
        service: Served,
        subject: str,
        chromium: Chromium,
        *,
        kind: str = "module",
        verdict: object = None,
        prefix: str = "",
        namespace: str = "/",
    ) -> AsyncIterator[PagePlayer]:
        """A player who has registered, with the ``module`` or the ``plain`` client; closed at the end.

        With a ``verdict`` it has to accept before a queue's match is made, and answers that.
        """
        async with chromium.page() as page:
            plain, names = kind == "plain", {"prefix": prefix, "namespace": namespace}
            await page.call("start", url=service.url, subject=subject, plain=plain, verdict=verdict, **names)
            yield cls(page)
            await page.call("close")

    async def join(self, room: str, seats: Sequence[SeatId], take: SeatId) -> None:
        await self.page.call("join", room=room, seats=list(seats), take=[take])

    async def join_queue(self, queue: str, seats: Sequence[SeatId], **more: Any) -> Any:
        return await self.page.call("joinQueue", queue=queue, seats=list(seats), **more)

    async def match(self) -> Any:
        return await self.page.call("match")

    async def connect(self) -> Opened:
        opened = await self.page.call("connect")
        self.candidates, self.offers = opened["candidates"], opened["offers"]
        return Opened(opened["tookMs"], opened["role"])

    async def send(self, text: str) -> bool:
        sent: bool = await self.page.call("send", text=text)
        return sent

    async def hear(self, text: str) -> None:
        await self.page.call("hear", text=text)

    async def probed(self, count: int = 1) -> list[Any]:
        """Wait for so many probes to end in the page, and return what it made of them."""
        probed = await self.page.call("probed", count=count)
        self.candidates = probed["candidates"]
        results: list[Any] = probed["results"]
        return results


Player = PythonPlayer | PagePlayer


async def meet(one: Player, other: Player, ids: tuple[SeatId, SeatId]) -> tuple[Opened, Opened]:
    """Let two players meet in a room, connect, and hear each other."""
    await one.join("room", ids, ids[0])
    await other.join("room", ids, ids[1])
    await asyncio.gather(one.match(), other.match())
    opened = await asyncio.gather(one.connect(), other.connect())
    assert await one.send("hello from one")
    assert await other.send("hello from the other")
    await asyncio.gather(one.hear("hello from the other"), other.hear("hello from one"))
    return opened[0], opened[1]
