"""Players who come back where no direct path leads to the others: by the service, or by a third player."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from gym_p2p.core.match.events import Resumed
from gym_p2p.core.match.pace import SERVICE_BURST_BYTES
from gym_p2p.core.match.return_events import PlayerAway, PlayerReturned, SeatTaken
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


def test_who_played_by_the_service_and_comes_back_directly_is_told_to_be_reached_so() -> None:
    table = lockstep(2, [Cut((0, 1), 0.2, 5.0, None)], [Death(0, 4.0, 2.0)])
    assert table.run(90), told(table)
    assert_undisturbed(table)
    assert ways(table, 0) == []
    assert ways(table, 1) == [(0, WayKind.SERVICE, None), (0, WayKind.DIRECT, None)]


@pytest.mark.parametrize("relay", ["service", "players"])
def test_several_who_come_back_at_once_find_each_other_round(relay: str) -> None:
    cuts = [Cut((0, 1), 0.2, FOR_GOOD_S, None)]
    deaths = [Death(0, 4.0, 2.0), Death(1, 4.1, 2.0, word=False)]
    table = lockstep(3, cuts, deaths, relay=relay)
    assert table.run(90), told(table)
    assert_undisturbed(table)


@pytest.mark.parametrize("make", [lockstep, rollback])
@pytest.mark.parametrize("over", list(WayKind))
def test_who_is_counted_as_away_and_was_there_all_the_time_plays_on_as_they_were(
    make: Any, over: WayKind
) -> None:
    silent_s = 7.0  # longer than a broken path is waited for
    players, cut = (3, (0, 1)) if over is WayKind.PLAYER else (2, (0, 1))
    if over is WayKind.DIRECT:
        table = make(players, [Cut(cut, 2.0, silent_s, None)], [], relay="none")
    else:
        table = make(players, [Cut(cut, 0.2, FOR_GOOD_S, None)], [], relay="service")
        dark = [table.network.darken, table.network.brighten]
        for at_s, change, there in ((2.0, dark[0], False), (2.0 + silent_s, dark[1], True)):
            table.clock.call_at(at_s, partial(table.set_service, there=there and over is WayKind.SERVICE))
            for ends in ((0, 2), (2, 0)) if over is WayKind.PLAYER else ():
                table.clock.call_at(at_s, partial(change, *ends))
    assert table.run(90), told(table)
    assert_undisturbed(table)
    assert table.seats[0].events_of(PlayerAway)
    resumed = [back for back in table.seats[0].events_of(Resumed) if back.silent_s > silent_s]
    assert [back.over for back in resumed if back.player == 1] == [over]


def long_action(player: int, frame: int) -> bytes:
    """Give inputs that are all different: some seconds of them are more than others pass on at once."""
    return bytes([player]) + frame.to_bytes(4, "big") * 125


def test_what_was_played_is_told_by_the_service_as_fast_as_it_passes_that_on() -> None:
    cuts = [Cut((0, 1), 0.2, FOR_GOOD_S, None)]
    long: dict[str, Any] = {"frames": 400, "episodes": 1, "tick_s": 1 / 30, "action": long_action}
    table = lockstep(2, cuts, [Death(0, 24.0, 2.0)], **long)
    table.limit_service()
    assert table.run(60), told(table)
    assert_undisturbed(table)
    (back,) = table.seats[1].events_of(PlayerReturned)
    assert back.caught_up * 2 * len(long_action(0, 0)) > 2 * SERVICE_BURST_BYTES
    assert back.away_s < 30
    assert table.refused == 0
