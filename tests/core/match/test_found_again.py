"""Who is found again though the one by whom they could be found is not there any more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from gym_p2p.core.match.events import PlayerGone
from gym_p2p.core.match.return_events import PlayerAway
from gym_p2p.core.match.ways import WayChanged
from gym_p2p.net.links.memory import Path
from tests.core.match.cut_table import FOR_GOOD_S, Cut, assert_nobody_differs
from tests.core.match.returning_table import Death
from tests.core.match.returning_table import rollback as mortal
from tests.core.match.shaky_table import ShakyTable
from tests.core.tables import TICK_S, held_action


def rollback(players: int, cuts: Sequence[Cut], deaths: Sequence[Death]) -> ShakyTable:
    path = Path(one_way_ms=30)
    options: dict[str, Any] = {
        "path": path,
        "frames": 400,
        "window": 8,
        "tick_s": TICK_S,
        "action": held_action,
    }
    return ShakyTable(players, cuts, deaths, **options)


def lockstep(players: int, cuts: Sequence[Cut], deaths: Sequence[Death]) -> ShakyTable:
    return ShakyTable(players, cuts, deaths, path=Path(one_way_ms=20), frames=60, episodes=5)


def test_who_knew_nothing_is_asked_again_once_they_have_taken_their_seat() -> None:
    table = mortal(
        3,
        [Death(0, 1.0, 1.0), Death(2, 1.0, 1.0), Death(1, 8.0, None)],
        cuts=[Cut((1, 2), 1.5, FOR_GOOD_S, None)],
        frames=400,
    )
    table.clock.call_at(2.0, lambda: table.cut(Cut((1, 2), 0, 0, None)))
    returned = table.seat(2)
    assert table.run(60)
    back = table.seat(2)
    assert back is not returned
    assert back.failed is None
    assert not back.catches_up
    assert [gone.player for gone in back.events_of(PlayerGone)] == [1]
    assert_nobody_differs(table)
    assert back.state == table.seat(0).state


@pytest.mark.parametrize("make", [lockstep, rollback])
def test_who_was_reached_by_a_third_player_who_is_gone_is_looked_for_by_all_other_ways(make: Any) -> None:
    table = make(3, [Cut((0, 1), 0.5, FOR_GOOD_S, None)], [Death(2, 3.0, None)])
    table.set_service(there=False)
    table.clock.call_at(12.0, partial(table.set_service, there=True))
    assert table.run(90)
    for seat in table.seats[:2]:
        assert [way.via for way in seat.events_of(WayChanged)] == [2, None]
        assert {away.player for away in seat.events_of(PlayerAway)} == {1 - seat.index, 2}
        assert [gone.player for gone in seat.events_of(PlayerGone)] == [2]
    assert_nobody_differs(table)
