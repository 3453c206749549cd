"""Both ends of a connection in one worker: how long opening it takes, our way and bare.

Ours is the network half of two players with real signalling in between; bare aiortc and aioice hand their
descriptions over within the process, so that no signalling is in their time.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from gym_p2p.bench.anchors import open_aioice, open_aiortc, see_loopback
from gym_p2p.config import P2PConfig, from_mapping
from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.core.match.commands import Leave
from gym_p2p.core.match.events import Connected
from gym_p2p.errors import P2PError
from gym_p2p.net.loop import run_loop
from gym_p2p.net.worker.messages import LinkOpened, PlayerPlan, StampedEvent, WorkerFailed
from gym_p2p.net.worker.player import PlayerWorker

__all__ = ["OpeningStation"]

OPEN_TIMEOUT_S = 30.0

SEATS = ("left", "right")


class OpeningStation:
    """Opens connections within this process."""

    def __init__(self) -> None:
        see_loopback()

    def ours(self, **arguments: Any) -> dict[str, float]:
        """Open a match; return the parts of the time."""
        opened: list[dict[str, float]] = []

        async def main() -> None:
            opened.append(await _open_ours(**arguments))

        run_loop(main())
        return opened[0]

    def aioice(self) -> float:
        """Connect by bare aioice; return the milliseconds."""
        return asyncio.run(open_aioice()) * 1e3

    def aiortc(self, stun: str | None) -> float:
        """Connect by bare aiortc; return the milliseconds."""
        return asyncio.run(open_aiortc(stun)) * 1e3

    def close(self) -> None:
        """Nothing outlives an operation."""


async def _open_ours(url: str, room: str, stun: str | None) -> dict[str, float]:
    """Open a match of two; return when the later of them got there.

    ``match_ms`` is from the start to the match being found, ``open_ms`` from there to the channels, and
    ``agreed_ms`` from there to the handshake.
    """
    players = [_Half(url, room, seat, stun) for seat in SEATS]
    began = time.perf_counter()
    running = [asyncio.ensure_future(player.worker.run()) for player in players]
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            await asyncio.gather(*(player.connected for player in players))
    finally:
        for player in players:
            player.worker.command(Leave("normal"))
        await asyncio.gather(*running)
    matched = max(player.at[MatchFound] for player in players)
    return {
        "match_ms": (matched - began) * 1e3,
        "open_ms": (max(player.at[LinkOpened] for player in players) - matched) * 1e3,
        "agreed_ms": (max(player.at[Connected] for player in players) - matched) * 1e3,
    }


class _Half:
    """The network half of one player, and when it reported what."""

    def __init__(self, url: str, room: str, seat: str, stun: str | None) -> None:
        servers = [] if stun is None else [{"urls": [stun]}]
        config = from_mapping(
            P2PConfig, {"server_url": url, "room": room, "link": {"ice_servers": servers}, "exports": {}}
        )
        plan = PlayerPlan(
            config=config,
            subject_id=f"bench-{seat}",
            seats=SEATS,
            take=(seat,),
            description={"must": {"game": "none"}, "about": {}},
        )
        self.at: dict[type[Any], float] = {}
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.worker = PlayerWorker(plan, self._note)

    def _note(self, stamped: StampedEvent) -> None:
        event = stamped[1]
        self.at[type(event)] = time.perf_counter()
        if isinstance(event, Connected) and not self.connected.done():
            self.connected.set_result(None)
        if isinstance(event, WorkerFailed) and not self.connected.done():
            self.connected.set_exception(P2PError(str(event.error)))
