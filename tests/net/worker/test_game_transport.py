"""Two network halves send game messages as records if both say of themselves that they take them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import attrs
import pytest

from gym_p2p.config import P2PConfig, ServiceConfig, SyncConfig, TelemetryConfig
from gym_p2p.core.match.events import Connected, Leave
from gym_p2p.game.env.seats import make_game
from gym_p2p.net.worker.messages import PlayerPlan, Polled, WorkerEvent
from gym_p2p.net.worker.player import PlayerWorker
from gym_p2p.play.handshake import make_plan
from gym_p2p.play.sync_mode import SyncOffer
from gym_p2p.server import serve_in_thread
from tests.net.peers import loopback_only, run
from tests.toys import Blend
from tests.waiting import PATIENCE_S, eventually

SEATS = ("left", "right")
_POLLS = 40
"""Of 20 ms: three times the quarter of a second after which the first count comes at the latest."""


@attrs.define(eq=False)
class Side:
    """One player's network half."""

    worker: PlayerWorker
    events: list[WorkerEvent]

    @classmethod
    def of(cls, url: str, seat: str, about: dict[str, Any]) -> Side:
        config = P2PConfig(
            server_url=url,
            sync=SyncConfig(room_timeout_s=PATIENCE_S),
            telemetry=TelemetryConfig(poll_interval_ms=20),
        )
        plan = PlayerPlan(
            config=config,
            subject_id=seat,
            seats=SEATS,
            take=(seat,),
            description={"must": {"game": "counting"}, "about": about},
        )
        events: list[WorkerEvent] = []
        return cls(PlayerWorker(plan, lambda stamped: events.append(stamped[1])), events)

    @property
    def transports(self) -> list[str | None]:
        """What every poll since all had greeted each other said."""
        greeted = next((n for n, event in enumerate(self.events) if isinstance(event, Connected)), None)
        polls = (
            [] if greeted is None else [one.poll for one in self.events[greeted:] if isinstance(one, Polled)]
        )
        return [poll.connection.game_transport for poll in polls if poll.connection is not None]


def ours() -> dict[str, Any]:
    """Return what this package says of itself in a greeting."""
    offer = SyncOffer(wants="auto", able=False, why="a test")
    plan = make_plan(make_game(Blend(length=40)), P2PConfig(), take=None, votes=False, offer=offer)
    about: dict[str, Any] = plan.description["about"]
    return about


async def played(url: str, about: dict[str, Any]) -> tuple[list[str | None], list[str | None]]:
    """Return what one who is able saw together with somebody, and what that one saw."""
    one, other = Side.of(url, "left", ours()), Side.of(url, "right", about)
    running = asyncio.gather(one.worker.run(), other.worker.run())
    await eventually(lambda: min(len(one.transports), len(other.transports)) >= _POLLS)
    seen = one.transports, other.transports
    for side in (one, other):
        side.worker.command(Leave("left"))
    await running
    return seen


def test_two_who_take_records_send_them(tmp_path: Path) -> None:
    with loopback_only(), serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        here, there = run(played(service.url, ours()))
    assert (here[-1], there[-1]) == ("dtls", "dtls")


@pytest.mark.parametrize(
    "about",
    [{}, *({"game_transport": said} for said in (None, "dtls", {"dtls": 1}, [["dtls"]], ["datachannel"]))],
)
def test_who_does_not_say_so_is_played_with_over_the_channel(tmp_path: Path, about: dict[str, Any]) -> None:
    with loopback_only(), serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        here, there = run(played(service.url, about))
    assert set(here) == set(there) == {"datachannel"}
