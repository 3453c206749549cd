"""A process that is there while another one of its player's comes back is told so, and ends."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.core.match.commands import Leave
from gym_p2p.core.match.events import Left, PlayerGone
from gym_p2p.core.match.outputs import Transmit
from gym_p2p.core.match.return_events import SUPERSEDED, PlayerReturned, SeatTaken
from gym_p2p.core.wire.messages import Cause, Holdings, encode
from tests.core.match.acting_table import acting_lockstep, playing_match
from tests.core.match.pairs import outputs_of
from tests.core.match.returning_table import MortalPlayer, MortalTable, lockstep


def supersede(table: MortalTable, player: int, at_s: float) -> list[MortalPlayer]:
    """Let another process of a player's come back from a copy of what is kept, while the first one plays."""

    def come() -> None:
        before = table.seat(player)
        seat = type(before)(table, player, frames=before.frames, episodes=table.episodes, delay=before.delay)
        seat.come_back(before, 7, 0.2)
        table.first_own[player] = max(table.newest.values(), default=0) + 1
        superseded.append(before)
        table.come_in(seat)

    superseded: list[MortalPlayer] = []
    table.clock.call_at(at_s, come)
    return superseded


@pytest.mark.parametrize("make", [lockstep, acting_lockstep])
@pytest.mark.parametrize("players", [2, 3])
def test_the_process_before_is_told_that_another_one_has_its_seat(make: Any, players: int) -> None:
    table = make(players, [], frames=200)
    superseded = supersede(table, 0, 1.5)
    assert table.run(60)
    (before,) = superseded
    assert {gone.reason for gone in before.events_of(PlayerGone)} == {SUPERSEDED}
    assert table.seats[0].events_of(SeatTaken)
    for seat in table.seats[1:]:
        assert [back.player for back in seat.events_of(PlayerReturned)] == [0]
        assert not seat.events_of(PlayerGone)


def test_who_was_superseded_leaves_without_a_word() -> None:
    match = playing_match(3)
    match.receive(1, encode(Holdings(1, ((0, 0, Cause.SUPERSEDED),))), 0.6)
    assert [one.reason for one in outputs_of(match) if isinstance(one, PlayerGone)] == [SUPERSEDED]
    match.command(Leave("superseded"), 0.7)
    outputs = outputs_of(match)
    assert any(isinstance(one, Left) for one in outputs)
    assert not any(isinstance(one, Transmit) for one in outputs)
