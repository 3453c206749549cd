"""Players whose processes end while another one comes back: they may come back like anybody else."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.core.match.peer_timers import GREETING_TIMEOUT_S
from gym_p2p.core.match.return_events import PlayerAway, PlayerReturned, SeatTaken
from tests.core.match.acting_table import acting_lockstep, acting_rollback, assert_acted_as_told
from tests.core.match.cut_table import assert_nobody_differs, assert_undisturbed
from tests.core.match.returning_table import Death, MortalTable, lockstep, rollback

pytestmark = pytest.mark.slow

BACK_S = 3.5
"""When the first one who died is back, in these tests."""


def told(table: MortalTable) -> list[Any]:
    return [(seat.over, len(seat.played), table.seat(seat.index).failed) for seat in table.seats]


@pytest.mark.parametrize("make", [lockstep, rollback])
@pytest.mark.parametrize("word", [True, False])
@pytest.mark.parametrize("after_ms", [5, 10, 20, 25, 30, 40, 50])
def test_who_dies_while_they_greet_one_who_comes_back_comes_back_as_well(
    make: Any, after_ms: int, *, word: bool
) -> None:
    table = make(3, [Death(0, 1.5, 2.0), Death(1, BACK_S + after_ms / 1e3, 2.0, word=word)])
    assert table.run(60), told(table)
    assert_undisturbed(table)
    assert table.seats[0].events_of(SeatTaken)
    assert table.seats[1].events_of(SeatTaken)
    assert {back.player for back in table.seats[2].events_of(PlayerReturned)} == {0, 1}


@pytest.mark.parametrize("make", [lockstep, rollback])
@pytest.mark.parametrize("word", [True, False])
def test_who_dies_and_comes_back_while_another_one_is_still_on_the_way_is_taken_back(
    make: Any, *, word: bool
) -> None:
    """Of four: one more is away all the time, so that not all have greeted who comes back."""
    table = make(4, [Death(0, 1.5, 2.0), Death(3, 1.6, 9.0), Death(1, BACK_S + 0.07, 2.0, word=word)])
    assert table.run(60), told(table)
    assert_undisturbed(table)


@pytest.mark.parametrize("make", [lockstep, rollback, acting_lockstep, acting_rollback])
@pytest.mark.parametrize("word", [True, False])
@pytest.mark.parametrize("after_s", [-2.0, 0.0, 0.01, 0.03, 0.045, 0.06])
def test_who_is_back_in_time_takes_their_seat_whoever_else_dies_meanwhile_for_good(
    make: Any, after_s: float, *, word: bool
) -> None:
    table = make(3, [Death(0, 1.5, 2.0, word=word), Death(1, BACK_S + after_s, None, word=word)])
    assert table.run(60), told(table)
    assert_nobody_differs(table)
    assert table.seats[0].events_of(SeatTaken), told(table)
    assert [away.player for away in table.seats[0].events_of(PlayerAway)] == [1]
    overs = {(seat.over.reason, seat.over.player) for seat in table.seats if seat.over}
    assert len(overs) <= 1
    if make in (acting_lockstep, acting_rollback):
        assert assert_acted_as_told(table, [0, 2]) > 0


@pytest.mark.parametrize("make", [lockstep, rollback])
@pytest.mark.parametrize("after_ms", [25, 35, 45])
def test_a_process_that_dies_without_a_word_as_it_greets_may_be_followed_by_another_one(
    make: Any, after_ms: int
) -> None:
    again = Death(0, BACK_S + after_ms / 1e3, GREETING_TIMEOUT_S + 1, word=False)
    table = make(2, [Death(0, 1.5, 2.0), again])
    assert table.run(60), told(table)
    assert table.seats[0].events_of(SeatTaken), told(table)
    assert not table.desyncs()
    assert_nobody_differs(table)


@pytest.mark.parametrize("make", [lockstep, rollback, acting_lockstep, acting_rollback])
@pytest.mark.parametrize("fourth_s", [1.4, 1.6, 3.0])
def test_two_who_come_back_at_once_wait_for_nobody_who_is_away_for_good(make: Any, fourth_s: float) -> None:
    table = make(4, [Death(0, 1.5, 2.0), Death(1, 1.5, 2.0), Death(3, fourth_s, None)])

    def seated() -> bool:
        return all(table.seats[player].events_of(SeatTaken) for player in (0, 1))

    assert table.run(10, until=seated), told(table)
    assert table.run(60), told(table)
    assert_nobody_differs(table)
