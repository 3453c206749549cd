"""Two network halves send game messages as records if both say of themselves that they take them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from gym_p2p.config import (
    IceServer,
    LinkConfig,
    LinkEmulation,
    P2PConfig,
    ServiceConfig,
    SyncConfig,
    TelemetryConfig,
)
from gym_p2p.core.latency.webrtc_stats import ConnectionDetails
from gym_p2p.core.link import game_records
from gym_p2p.core.match.commands import Leave
from gym_p2p.core.match.events import Connected
from gym_p2p.game.env.seats import make_game
from gym_p2p.net.worker.messages import PathRebuilt, PlayerPlan, Polled, WorkerEvent
from gym_p2p.net.worker.player import PlayerWorker
from gym_p2p.play.handshake import make_plan
from gym_p2p.play.sync_mode import SyncOffer
from gym_p2p.server import serve_in_thread
from tests.net.coturn import SECRET, coturn
from tests.net.peers import loopback_only, run
from tests.toys import Blend
from tests.waiting import PATIENCE_S, eventually, in_time

SEATS = ("left", "right")
_POLLS = 40
"""Of 20 ms: three times the quarter of a second after which the first count comes at the latest."""


@attrs.define(eq=False)
class Side:
    """One player's network half."""

    worker: PlayerWorker
    events: list[WorkerEvent]

    @classmethod
    def of(
        cls, url: str, seat: str, about: Any, *, link: LinkConfig | None = None, poll_every_ms: float = 20
    ) -> Side:
        config = P2PConfig(
            server_url=url,
            sync=SyncConfig(room_timeout_s=PATIENCE_S),
            telemetry=TelemetryConfig(poll_interval_ms=poll_every_ms),
            link=link or LinkConfig(),
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
        return [one.game_transport for one in self.paths]

    @property
    def paths(self) -> list[ConnectionDetails]:
        """The path that every poll since then found."""
        return self._paths_since(Connected)

    @property
    def new_transports(self) -> list[str | None]:
        """What every poll said since the match goes on over a new connection."""
        return [one.game_transport for one in self._paths_since(PathRebuilt)]

    def _paths_since(self, kind: type[WorkerEvent]) -> list[ConnectionDetails]:
        found = (n for n, event in enumerate(self.events) if isinstance(event, kind))
        events = self.events[next(found, len(self.events)) :]
        polls = [event.poll for event in events if isinstance(event, Polled)]
        return [poll.connection for poll in polls if poll.connection is not None]

    def fall_silent(self) -> None:
        """Let nothing of the match out over the connections that there are."""
        for link in self.worker._mesh.links.values():
            silent: Any = link
            silent.send = lambda _channel, _data: True

    def drop_records(self, *, dropped: bool) -> None:
        """Let game records that come vanish, or not any more; everything else arrives."""
        for link in self.worker._mesh.links.values():
            records: Any = link._carriers.records
            records.on_game_record = _vanish if dropped else link._carriers.game_way.receive


def _vanish(_record: bytes) -> None:
    """Take no notice."""


def ours() -> dict[str, Any]:
    """Return what this package says of itself in a greeting."""
    offer = SyncOffer(wants="auto", able=False, why="a test")
    plan = make_plan(make_game(Blend(length=40)), P2PConfig(), take=None, votes=False, offer=offer)
    about: dict[str, Any] = plan.description["about"]
    return about


@contextlib.asynccontextmanager
async def playing(*sides: Side) -> AsyncIterator[None]:
    """Let the sides be in a match."""
    running = asyncio.gather(*(side.worker.run() for side in sides))
    try:
        yield
    finally:
        for side in sides:
            side.worker.command(Leave("left"))
        await running


async def played(url: str, about: Any) -> tuple[list[str | None], list[str | None]]:
    """Return what one who is able saw together with somebody, and what that one saw."""
    one, other = Side.of(url, "left", ours()), Side.of(url, "right", about)
    async with playing(one, other):
        await eventually(lambda: min(len(one.transports), len(other.transports)) >= _POLLS)
        return one.transports, other.transports


def test_two_who_take_records_send_them(tmp_path: Path) -> None:
    with loopback_only(), serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        here, there = run(played(service.url, ours()))
    assert (here[-1], there[-1]) == ("dtls", "dtls")


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_records_go_through_a_relay_also_where_a_third_of_all_is_lost(tmp_path: Path, loss: float) -> None:
    emulation = LinkEmulation(one_way_ms=5, jitter_ms=2, loss=loss, seed=5)
    link = LinkConfig(relay_only=True, relay="none", emulation=emulation)

    async def work(url: str) -> None:
        sides = [Side.of(url, seat, ours(), link=link, poll_every_ms=100) for seat in SEATS]
        async with playing(*sides):
            with in_time():  # a handshake that is lost is repeated after 1, 2, 4, 8 s
                await eventually(lambda: all("dtls" in side.transports[-1:] for side in sides))
            for side in sides:
                path = side.paths[-1]
                assert (path.type, path.local_candidate_type) == ("relay", "relay")
                assert (path.relay_protocol, path.game_transport) == ("udp", "dtls")
            links = [link for side in sides for link in side.worker._mesh.links.values()]
            before = [link._carriers.game_way.messages_received for link in links]
            await eventually(
                lambda: all(
                    link._carriers.game_way.messages_received > count + 2
                    for link, count in zip(links, before, strict=True)
                )
            )

    with loopback_only(), coturn(tmp_path) as relay:
        servers = (IceServer(urls=(relay,)),)
        config = ServiceConfig(port=0, data_dir=str(tmp_path), ice_servers=servers, turn_secret=SECRET)
        with serve_in_thread(config) as service:
            run(work(service.url))


def test_a_return_to_the_channel_and_the_way_back_are_told_at_once_by_both_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(game_records, "RETRY_S", 0.3)
    seen: list[list[ConnectionDetails]] = []

    def all_saw(sides: list[Side], count: int) -> bool:
        return all(len(side.paths) >= count for side in sides)

    async def work(url: str) -> None:
        # Polls that are not asked for come too seldom to see any of it.
        sides = [Side.of(url, seat, ours(), poll_every_ms=60_000) for seat in SEATS]
        async with playing(*sides):
            await eventually(lambda: all(side.worker._mesh.links for side in sides))
            links = [link for side in sides for link in side.worker._mesh.links.values()]
            for returns in (1, 2):
                await eventually(lambda: all(link._carriers.game_way.open for link in links))
                for side in sides:
                    side.drop_records(dropped=True)
                with monkeypatch.context() as soon:  # here alone, for no machine stands still so shortly
                    soon.setattr(game_records, "PATIENCE_S", 0.6)
                    await eventually(partial(all_saw, sides, 2 * returns - 1))
                for side in sides:
                    side.drop_records(dropped=False)
                await eventually(partial(all_saw, sides, 2 * returns))
            seen.extend(side.paths for side in sides)

    with loopback_only(), serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        run(work(service.url))
    for paths in seen:
        assert [path.game_transport for path in paths] == ["datachannel", "dtls"] * 2
        counted = [path.game_transport_counts for path in paths]
        assert [(one.returns, one.resumed) for one in counted if one is not None] == [
            (1, 0),
            (1, 1),
            (2, 1),
            (2, 2),
        ]


@pytest.mark.parametrize(
    "about",
    [{}, *({"game_transport": said} for said in (None, "dtls", {"dtls": 1}, [["dtls"]], ["datachannel"]))],
)
def test_who_does_not_say_so_is_played_with_over_the_channel(tmp_path: Path, about: dict[str, Any]) -> None:
    with loopback_only(), serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        here, there = run(played(service.url, about))
    assert set(here) == set(there) == {"datachannel"}


def test_who_knows_further_ways_agrees_on_the_one_that_both_know(tmp_path: Path) -> None:
    about = {"game_transport": ["a way of later", 7, "dtls", "datachannel"]}
    with loopback_only(), serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        here, there = run(played(service.url, about))
    assert (here[-1], there[-1]) == ("dtls", "dtls")


@pytest.mark.parametrize(("takes", "way"), [(True, "dtls"), (False, "datachannel")])
def test_a_new_connection_is_measured_and_carries_game_messages_as_was_agreed(
    tmp_path: Path, way: str, *, takes: bool
) -> None:
    async def work(url: str) -> None:
        sides = [Side.of(url, "left", ours()), Side.of(url, "right", ours() if takes else {})]
        async with playing(*sides):
            await eventually(lambda: all(way in side.transports[-1:] for side in sides))
            for side in sides:
                side.fall_silent()
            await eventually(lambda: all(way in side.new_transports[-1:] for side in sides))

    with loopback_only(), serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        run(work(service.url))
