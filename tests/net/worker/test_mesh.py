"""The connections of two players, whose signals pass through a test instead of a service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from gym_p2p.config import LinkConfig, Secret, SyncConfig
from gym_p2p.core.api.rooms import MatchFound, MatchPlayer, MatchSignal
from gym_p2p.core.match.match import Match
from gym_p2p.core.signaling.attempts import tagged
from gym_p2p.net.links.driver import Driver
from gym_p2p.net.loop import LoopClock
from gym_p2p.net.worker.mesh import Mesh
from tests.net.peers import loopback_only, run

SEATS = ("left", "right")
OURS = "gym_p2p/1"


def found(seat: str) -> MatchFound:
    return MatchFound(
        match_id="m",
        room="r",
        player_id=seat,
        seats_taken=(seat,),
        players=tuple(
            [MatchPlayer(player_id=one, subject_id=one, seats=(one,), client=OURS) for one in SEATS]
        ),
        seed=7,
        ice_servers=(),
        relay_only=False,
        token=Secret("t"),
    )


class Side:
    """One player's mesh. What its candidates say travels by itself, after the description."""

    def __init__(self, player: int) -> None:
        self.player = player
        self.found = found(SEATS[player])
        self.mesh = Mesh(self, LinkConfig(connect_timeout_s=5.0))  # type: ignore[arg-type]  # all it uses
        match = Match(
            local=player,
            players=2,
            description={"must": {}},
            match_seed=7,
            sync=SyncConfig(),
            secret=bytes([player]),
        )
        self.driver = Driver(match, clock=LoopClock(asyncio.get_running_loop()), emit=lambda _: None)
        self.rebuilt = asyncio.Event()
        self.other: Side
        self.candidates = 0

    def send_signal(self, match_id: str, _player: str, kind: str, payload: Mapping[str, Any]) -> None:
        lines = payload.get("sdp", "").splitlines(keepends=True)
        late = [line for line in lines if line.startswith(("a=candidate:", "a=end-of-candidates"))]
        said = {**payload, "sdp": "".join([line for line in lines if line not in late])} if lines else payload
        self._deliver(match_id, kind, said)
        for line in late:
            if line.startswith("a=candidate:"):
                self.candidates += 1
                text = line.strip().removeprefix("a=")
                self._deliver(match_id, "ice-candidate", {"candidate": text, "sdpMid": "0"})

    def _deliver(self, match_id: str, kind: str, payload: Mapping[str, Any]) -> None:
        who = SEATS[self.player]
        signal = MatchSignal(type=kind, from_player_id=who, game_id=match_id, payload=payload)
        assert self.other.mesh.receive_signal(signal)

    async def open(self) -> None:
        await self.mesh.expect(self.found)
        self.mesh.allow_rebuilding(self.found, self.driver, lambda *_: self.rebuilt.set())
        await self.mesh.open(self.found, self.driver, lambda *_: None)

    async def close(self) -> None:
        self.driver.stop()
        await self.mesh.close()


async def opened(*sides: Side) -> None:
    """Connect two."""
    for side in sides:
        side.other = sides[1 - side.player]
    await asyncio.gather(*(side.open() for side in sides))


def test_candidates_found_after_the_description_reach_the_connection_that_they_are_of() -> None:
    async def main() -> None:
        left, right = Side(0), Side(1)
        try:
            await opened(left, right)
            first = left.candidates, right.candidates
            assert all(first)
            left.mesh.rebuild("right")
            await asyncio.gather(left.rebuilt.wait(), right.rebuilt.wait())
            assert left.candidates > first[0]
            assert right.candidates > first[1]
        finally:
            await asyncio.gather(left.close(), right.close())

    with loopback_only():
        run(main())


def test_an_offer_that_comes_while_everything_is_closed_is_not_taken_up() -> None:
    async def main() -> None:
        left, right = Side(0), Side(1)
        try:
            await opened(left, right)
            await right.close()
            before = asyncio.all_tasks()
            offer = {"type": "offer", "sdp": tagged("v=0\r\nm=application", 1)}
            left.send_signal("m", "right", "offer", offer)
            assert asyncio.all_tasks() == before
        finally:
            await asyncio.gather(left.close(), right.close())

    with loopback_only():
        run(main())
