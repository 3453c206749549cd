"""Paths break, processes end and come back, and ways round are taken, in one match."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from gym_p2p.core.match.events import PlayerGone, ProtocolErrorSeen
from gym_p2p.core.match.return_events import SeatTaken
from gym_p2p.net.links.memory import Path
from tests.core.examples import examples
from tests.core.match.cut_table import FOR_GOOD_S, Cut, assert_nobody_differs
from tests.core.match.returning_table import Death
from tests.core.match.shaky_table import ShakyTable
from tests.core.tables import TICK_S, Player, held_action


def some_cuts(players: int, most: int) -> st.SearchStrategy[list[Cut]]:
    """Return lists of cuts among so many players."""
    cuts = st.builds(
        Cut,
        pair=st.sampled_from(list(itertools.combinations(range(players), 2))),
        at_s=st.floats(0.1, 5),
        for_s=st.floats(0.1, 9) | st.just(FOR_GOOD_S),
        rebuilt_s=st.none() | st.floats(0.6, 7),
        one_way=st.booleans(),
    )
    return st.lists(cuts, min_size=1, max_size=most)


def some_deaths(players: int, most: int) -> st.SearchStrategy[list[Death]]:
    """Return lists of deaths among so many players."""
    deaths = st.builds(
        Death,
        player=st.integers(0, players - 1),
        at_s=st.floats(0.5, 5),
        back_s=st.none() | st.floats(0.1, 9),
        word=st.booleans(),
        slowly_s=st.floats(0, 2),
    )
    return st.lists(deaths, min_size=1, max_size=most)


@st.composite
def some_tables(draw: st.DrawFn, least: int, most: int, *, at_once: int, frames: int) -> ShakyTable:
    """Return tables of so many players at which so much may break at once."""
    players = draw(st.integers(least, most))
    cuts, deaths = draw(some_cuts(players, at_once + 1)), draw(some_deaths(players, at_once))
    loss = draw(st.sampled_from([0.0, 0.1, 0.3]))
    path = Path(one_way_ms=25, loss=loss, jitter_ms=4)
    options: dict[str, Any] = {"seed": draw(st.integers(0, 1000)), "path": path}
    if draw(st.booleans()):
        options |= {"window": 8, "action": held_action, "tick_s": TICK_S, "frames": frames}
    else:
        options |= {"frames": frames // 4, "episodes": 3}
    relay = draw(st.sampled_from(["service", "players"]))
    table = ShakyTable(players, cuts, deaths, relay=relay, **options)
    away = draw(st.none() | st.tuples(st.floats(0.5, 6), st.floats(0.5, 4)))
    if away is not None:
        table.clock.call_at(away[0], lambda: table.set_service(there=False))
        table.clock.call_at(sum(away), lambda: table.set_service(there=True))
    note((cuts, deaths, players, relay, loss, options, away))
    return table


def told(table: ShakyTable) -> list[Any]:
    return [(seat.over, len(seat.played), table.seat(seat.index).failed) for seat in table.seats]


def lost(seat: Player, other: Player) -> bool:
    """Whether a player has counted another as gone: they go on, or end, apart from then on."""
    return any(gone.player == other.index for gone in seat.events_of(PlayerGone))


def end(seat: Player) -> Any:
    return seat.over and (seat.over.frame, seat.over.reason, seat.over.player)


def assert_nobody_is_wronged(table: ShakyTable) -> None:
    """Nobody hangs, nobody differs, and who are left together end alike."""
    assert table.run(250), told(table)
    assert not table.desyncs()
    assert not [e for seat in table.seats for e in seat.events_of(ProtocolErrorSeen)]
    assert_nobody_differs(table)
    ended = [seat for seat in table.seats if seat.over is not None and not seat.stopped]
    for one_seat in ended:
        for other_seat in ended:
            if not lost(one_seat, other_seat) and not lost(other_seat, one_seat):
                assert end(one_seat) == end(other_seat)


@pytest.mark.slow
@settings(max_examples=examples(12), deadline=None)
@given(table=some_tables(2, 4, at_once=2, frames=240))
def test_whatever_breaks_dies_and_comes_back_nobody_differs_and_nobody_hangs(table: ShakyTable) -> None:
    assert_nobody_is_wronged(table)


@pytest.mark.slow
@settings(max_examples=examples(3), deadline=None)
@given(table=some_tables(5, 8, at_once=3, frames=160))
def test_among_many_whatever_breaks_dies_and_comes_back_nobody_differs_and_nobody_hangs(
    table: ShakyTable,
) -> None:
    assert_nobody_is_wronged(table)


@pytest.mark.parametrize("mended_s", [9.0, 12.0])
def test_whom_nobody_reaches_while_another_comes_back_is_gone_for_all_and_wronged_by_none(
    mended_s: float,
) -> None:
    cuts = [Cut((there, 2), 1.0, mended_s, None) for there in (0, 1)]
    table = ShakyTable(3, cuts, [Death(1, 6.0, 1.0)], relay="none", frames=120, path=Path(one_way_ms=25))
    assert table.run(60), told(table)
    assert table.seats[1].events_of(SeatTaken)
    for seat in table.seats:
        assert not seat.events_of(ProtocolErrorSeen)
    for here, there in ((0, 2), (1, 2), (2, 0), (2, 1)):
        assert lost(table.seats[here], table.seats[there])
    assert end(table.seats[0]) == end(table.seats[1])


def test_an_answer_that_comes_when_everything_is_known_is_no_fault() -> None:
    under_way_s = 2.575  # the answer of the first one who is asked: another one is, and then they again
    cuts = [Cut((0, 1), under_way_s, 0.8, None)]
    options: dict[str, Any] = {"relay": "none", "frames": 200, "path": Path(one_way_ms=25)}
    table = ShakyTable(3, cuts, [Death(1, 1.5, 1.0, word=False)], **options)
    assert table.run(60), told(table)
    assert table.seats[1].events_of(SeatTaken)
    assert [len(seat.played) for seat in table.seats] == [200] * 3
    assert not [e for seat in table.seats for e in seat.events_of(ProtocolErrorSeen)]
