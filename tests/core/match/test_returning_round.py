"""Players who come back where no direct path leads to the others: by the service, or by a third player."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.core.match.return_events import PlayerReturned, SeatTaken
from gym_p2p.core.match.ways import WayChanged, WayKind
from gym_p2p.net.links.memory import Path
from tests.core.match.cut_table import FOR_GOOD_S, Cut, assert_undisturbed
from tests.core.match.returning_table import Death
from tests.core.match.shaky_table import ShakyTable
from tests.core.tables import TICK_S, held_action


def lockstep(players: int, cuts: list[Cut], deaths: list[Death], **options: Any) -> ShakyTable:
    plain = {"path": Path(one_way_ms=20), "frames": 60, "episodes": 3}
    return ShakyTable(players, cuts, deaths, **{**plain, **options})


def rollback(players: int, cuts: list[Cut], deaths: list[Death], **options: Any) -> ShakyTable:
    plain = {"path": Path(one_way_ms=30), "action": held_action, "tick_s": TICK_S, "frames": 400}
    return ShakyTable(players, cuts, deaths, **{**plain, "window": 8, **options})


def told(table: ShakyTable) -> list[Any]:
    return [
        (seat.over, len(seat.played), table.seat(seat.index).failed, seat.events_of(WayChanged))
        for seat in table.seats
    ]


def ways(table: ShakyTable, seat: int) -> list[tuple[int, WayKind, int | None]]:
    return [(way.player, way.kind, way.via) for way in table.seats[seat].events_of(WayChanged)]


@pytest.mark.parametrize("make", [lockstep, rollback])
@pytest.mark.parametrize("word", [True, False])
def test_who_plays_by_the_service_and_dies_comes_back_by_the_service(make: Any, *, word: bool) -> None:
    table = make(2, [Cut((0, 1), 0.2, FOR_GOOD_S, None)], [Death(0, 4.0, 2.0, word=word)])
    assert table.run(90), told(table)
    assert_undisturbed(table)
    assert table.seats[0].events_of(SeatTaken)
    assert len(table.seats[1].events_of(PlayerReturned)) == 1
    assert ways(table, 0) == [(1, WayKind.SERVICE, None)]
    assert ways(table, 1) == [(0, WayKind.SERVICE, None)] * 2


@pytest.mark.parametrize("make", [lockstep, rollback])
def test_who_reaches_a_third_player_alone_comes_back_by_them(make: Any) -> None:
    table = make(3, [Cut((0, 1), 0.2, FOR_GOOD_S, None)], [Death(0, 4.0, 2.0)], relay="players")
    assert table.run(90), told(table)
    assert_undisturbed(table)
    assert table.seats[0].events_of(SeatTaken)
    assert ways(table, 0) == [(1, WayKind.PLAYER, 2)]


@pytest.mark.parametrize("make", [lockstep, rollback])
def test_a_path_that_breaks_after_somebody_has_come_back_is_gone_round_as_any_other(make: Any) -> None:
    table = make(2, [Cut((0, 1), 5.0, FOR_GOOD_S, None)], [Death(0, 1.5, 2.0)])
    assert table.run(90), told(table)
    assert_undisturbed(table)
    assert ways(table, 0) == [(1, WayKind.SERVICE, None)]
