"""The match goes on while players are away: others give their inputs, and hand the seats back."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.core.match.events import EXCLUDED, PlayerGone, ProtocolErrorSeen
from gym_p2p.core.match.return_events import PlayerAway, PlayerReturned, SeatTaken
from gym_p2p.net.links.memory import Path
from tests.core.examples import examples
from tests.core.match.acting_table import (
    STANDS_IN,
    ActingTable,
    acting_lockstep,
    acting_rollback,
    assert_acted_as_told,
    inputs_played,
)
from tests.core.match.cut_table import assert_nobody_differs
from tests.core.match.returning_table import Death


def told(table: ActingTable) -> list[Any]:
    return [
        (
            seat.over,
            seat.stopped,
            len(seat.played),
            seat.match._exchange.episode,
            seat.failed,
            sorted(seat.acts),
        )
        for seat in map(table.acting_seat, range(table.players))
    ]


def assert_alike(table: ActingTable, seats: list[int] | None = None) -> None:
    seats = list(range(table.players)) if seats is None else seats
    assert not table.desyncs()
    for seat in seats:
        assert not table.seats[seat].events_of(ProtocolErrorSeen)
        assert not table.seats[seat].events_of(PlayerGone)
        assert inputs_played(table, seat) == inputs_played(table, seats[0])
        assert table.seats[seat].state == table.seats[seats[0]].state


@pytest.mark.parametrize("make", [acting_lockstep, acting_rollback])
@pytest.mark.parametrize("players", [2, 3, 4])
@pytest.mark.parametrize("who", [0, 1])
def test_the_match_goes_on_while_a_player_is_away_and_they_take_the_seat_back(
    make: Any, players: int, who: int
) -> None:
    table = make(players, [Death(who, 1.5, 4.0, slowly_s=0.3)])
    assert table.run(60), told(table)
    assert_alike(table)
    acted = assert_acted_as_told(table, range(players))
    assert acted >= 20 * players
    for seat in table.seats:
        if seat.index != who:
            (away,) = seat.events_of(PlayerAway)
            (back,) = seat.events_of(PlayerReturned)
            assert (away.player, back.player) == (who, who)
            assert (1, 0) <= back.left_at < (back.episode, back.frame)
            assert back.left_at == table.seats[who].events_of(SeatTaken)[0].left_at
    for inputs in inputs_played(table, 0):
        assert not any(data.startswith(STANDS_IN) for index, data in enumerate(inputs) if index != who)


DEATHS = st.lists(
    st.builds(
        Death,
        player=st.integers(0, 3),
        at_s=st.floats(0.2, 6),
        back_s=st.none() | st.floats(0.1, 9) | st.floats(19, 24),
        word=st.booleans(),
        slowly_s=st.floats(0, 3),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.slow
@settings(max_examples=examples(30), deadline=None)
@given(
    players=st.integers(2, 4),
    window=st.booleans(),
    deaths=DEATHS,
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    delay=st.sampled_from([0, 3]),
    seed=st.integers(0, 1000),
)
def test_whoever_dies_and_comes_back_nobody_differs_and_nobody_hangs(
    players: int, deaths: list[Death], loss: float, delay: int, seed: int, *, window: bool
) -> None:
    deaths = [attrs.evolve(death, player=death.player % players) for death in deaths]
    make = acting_rollback if window else acting_lockstep
    table = make(
        players,
        deaths,
        seed=seed,
        frames=90,
        episodes=3,
        tick_s=1 / 30,
        delays={1: delay},
        path=Path(one_way_ms=25, loss=loss, jitter_ms=4),
    )
    assert table.run(200), told(table)
    assert not table.desyncs()
    assert_nobody_differs(table)
    there = [seat.index for seat in table.seats if not seat.stopped]
    assert_acted_as_told(table, there)
    left = [seat for seat in table.seats if not seat.stopped and seat.over is not None]
    left = [seat for seat in left if all(gone.reason != EXCLUDED for gone in seat.events_of(PlayerGone))]
    assert len({(seat.over.frame, seat.over.reason, seat.over.player) for seat in left if seat.over}) <= 1
