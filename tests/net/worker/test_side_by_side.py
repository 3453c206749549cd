"""Whom a player is told of who reaches several others not, is no matter of which task ends first."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import attrs
import pytest

from gym_p2p.config import LinkConfig, Secret
from gym_p2p.core.api.rooms import MatchFound, MatchPlayer
from gym_p2p.errors import ConnectFailed, P2PError, PeerLost
from gym_p2p.net.worker.mesh import Mesh
from gym_p2p.net.worker.side_by_side import SAME_MOMENT_S, all_of
from tests.net.virtual_time import VirtualTimeLoop, on_virtual_time

SEATS = ("a", "b", "c", "d")
DEADLINE_S = 5.0


def unreached(seat: str) -> ConnectFailed:
    return ConnectFailed(f"the channel to {seat!r}", waited_s=DEADLINE_S, seen="nothing", advice="Wait.")


def lost(seat: str) -> PeerLost:
    return PeerLost(seat, "they left before the connection was open")


@attrs.define(eq=False)
class Fails:
    """In place of the way to a first connection: it fails at the deadline, in so many turns of the loop."""

    error: Exception
    turns: int
    cancelled: bool = False

    async def first(self, _begin_by_service: object) -> None:
        try:
            await asyncio.sleep(DEADLINE_S)
            for _ in range(self.turns):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        raise self.error


def found() -> MatchFound:
    return MatchFound(
        match_id="m",
        room="r",
        player_id="a",
        seats_taken=("a",),
        players=tuple(
            [MatchPlayer(player_id=one, subject_id=one, seats=(one,), client=None) for one in SEATS]
        ),
        seed=7,
        ice_servers=(),
        relay_only=False,
        token=Secret("t"),
    )


async def told_by_a_mesh(*errors: P2PError, turns: tuple[int, ...]) -> P2PError:
    """Return what the first player is told who fails to reach the others so."""
    nobody: Any = None
    mesh = Mesh(nobody, LinkConfig())
    openings: Any = {
        seat: Fails(error, late) for seat, error, late in zip(SEATS[1:], errors, turns, strict=True)
    }
    mesh._openings = openings
    with pytest.raises(P2PError) as told:
        await mesh.open(found(), nobody, lambda *_: None)
    return told.value


@pytest.mark.parametrize("turns", list(itertools.permutations([0, 3, 6])))
def test_of_several_who_are_not_reached_at_one_deadline_the_first_by_their_seats_is_named(
    turns: tuple[int, ...],
) -> None:
    async def main(_loop: VirtualTimeLoop) -> None:
        unreached_all = [unreached(seat) for seat in SEATS[1:]]
        assert await told_by_a_mesh(*unreached_all, turns=turns) is unreached_all[0]

    on_virtual_time(main)


@pytest.mark.parametrize("turns", list(itertools.permutations([0, 3, 6])))
def test_who_left_is_named_before_who_was_only_not_reached(turns: tuple[int, ...]) -> None:
    async def main(_loop: VirtualTimeLoop) -> None:
        errors = (unreached("b"), lost("c"), lost("d"))
        assert await told_by_a_mesh(*errors, turns=turns) is errors[1]

    on_virtual_time(main)


def test_what_is_still_under_way_well_after_a_failure_is_cancelled_and_not_waited_for() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        slow = Fails(lost("c"), turns=0)

        async def later() -> None:
            await asyncio.sleep(1.0)
            await slow.first(None)

        fast = Fails(unreached("b"), turns=0)
        with pytest.raises(ConnectFailed):
            await all_of([fast.first(None), later()])
        assert slow.cancelled
        assert DEADLINE_S <= loop.time() <= DEADLINE_S + 2 * SAME_MOMENT_S

    on_virtual_time(main)


def test_a_fault_of_ours_is_not_hidden_by_what_befell_the_players() -> None:
    async def main(_loop: VirtualTimeLoop) -> None:
        fault = ZeroDivisionError()
        with pytest.raises(ZeroDivisionError):
            await all_of([Fails(error, 0).first(None) for error in (lost("b"), fault)])

    on_virtual_time(main)


def test_who_stops_waiting_leaves_nothing_running_and_nothing_to_do_is_done_at_once() -> None:
    async def main(_loop: VirtualTimeLoop) -> None:
        await all_of([])
        way = Fails(lost("b"), turns=0)
        waiting = asyncio.ensure_future(all_of([way.first(None)]))
        await asyncio.sleep(1.0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        assert way.cancelled

    on_virtual_time(main)
