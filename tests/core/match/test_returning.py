"""Players whose processes end and who come back: nothing is lost, or all who are left end alike."""

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
from tests.core.match.returning_table import Death, MortalTable, lockstep, rollback


def inputs_of(table: MortalTable, seat: int) -> list[tuple[bytes, ...]]:
    return [advance.inputs for advance in table.seats[seat].played]


def assert_undisturbed(table: MortalTable) -> None:
    """Everybody played everything, all the same, as if nobody had been away."""
    frames = table.seats[0].frames
    wanted = [
        tuple(table.action(player, frame) for player in range(table.players)) for frame in range(frames)
    ]
    for seat in table.seats:
        assert not seat.events_of(PlayerGone)
        assert not seat.events_of(ProtocolErrorSeen)
        assert inputs_of(table, seat.index) == wanted * table.episodes
        assert seat.state == table.seats[0].state
    assert not table.desyncs()


def told(table: MortalTable) -> list[Any]:
    return [(seat.over, len(seat.played), seat.match._exchange.episode) for seat in table.seats]


@pytest.mark.parametrize("make", [lockstep, rollback])
@pytest.mark.parametrize("players", [2, 3, 4])
@pytest.mark.parametrize("word", [True, False])
def test_a_player_who_dies_comes_back_and_nothing_is_lost(make: Any, players: int, *, word: bool) -> None:
    table = make(players, [Death(0, 1.5, 2.0, word=word)])
    assert table.run(60), told(table)
    assert_undisturbed(table)
    for seat in table.seats[1:]:
        (away,) = seat.events_of(PlayerAway)
        (back,) = seat.events_of(PlayerReturned)
        assert (away.player, back.player) == (0, 0)
        assert back.away_s > 0
    assert table.seats[0].events_of(SeatTaken)


DEATHS = st.lists(
    st.builds(
        Death,
        player=st.integers(0, 3),
        at_s=st.floats(0.2, 12),
        back_s=st.none() | st.floats(0.1, 9) | st.floats(19, 24),
        word=st.booleans(),
        slowly_s=st.floats(0, 4),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=examples(80), deadline=None)
@given(
    players=st.integers(2, 4),
    window=st.booleans(),
    deaths=DEATHS,
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 1000),
)
def test_whoever_dies_and_comes_back_nobody_differs_and_nobody_hangs(
    players: int, deaths: list[Death], loss: float, seed: int, *, window: bool
) -> None:
    deaths = [attrs.evolve(death, player=death.player % players) for death in deaths]
    options: dict[str, Any] = {"seed": seed, "path": Path(one_way_ms=25, loss=loss, jitter_ms=4)}
    table = rollback(players, deaths, **options) if window else lockstep(players, deaths, **options)
    assert table.run(200), told(table)
    assert not table.desyncs()
    final = [
        [inputs for inputs, _ in seat.confirmed] if window else inputs_of(table, seat.index)
        for seat in table.seats
    ]
    for one in final:
        for other in final:
            both = min(len(one), len(other))
            assert one[:both] == other[:both]
    left = [seat for seat in table.seats if not seat.stopped and seat.over is not None]
    left = [seat for seat in left if seat.over and seat.over.reason != EXCLUDED]  # who came back too late
    assert len({(seat.over.frame, seat.over.reason, seat.over.player) for seat in left if seat.over}) <= 1
