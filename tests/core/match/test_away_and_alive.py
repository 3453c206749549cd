"""Two sides that hold each other for away and both live find each other again, by whatever way carries."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from gym_p2p.core.match.events import EXCLUDED, PlayerGone, Resumed
from gym_p2p.core.match.return_events import PlayerAway
from gym_p2p.core.match.ways import WayKind
from gym_p2p.net.links.memory import Path
from gym_p2p.net.links.transport import LinkState
from tests.core.match.acting_table import ACTING_SYNC, ActingPlayer
from tests.core.match.cut_table import FOR_GOOD_S, Cut
from tests.core.match.returning_table import SYNC
from tests.core.match.shaky_table import ShakyTable
from tests.core.tables import TICK_S

pytestmark = pytest.mark.slow

BACK_S = 12.0
"""When the service carries again; the others were silent for longer than is waited for a path by then."""


def parted(players: int, cut_s: float, *, acts: bool, shut_s: float | None, lost: bool) -> ShakyTable:
    """Return players without a direct path from some time on, and without the service from 4 s on.

    Args:
        acts: whether others act for who is away.
        shut_s: when the links that carry nothing are closed; ``None``: never.
        lost: whether what the service passes on is lost, and nobody is told so.
    """
    pairs = list(itertools.combinations(range(players), 2))
    table = ShakyTable(
        players,
        [Cut(pair, cut_s, FOR_GOOD_S, None) for pair in pairs],
        sync=ACTING_SYNC if acts else SYNC,
        seated=ActingPlayer,
        path=Path(one_way_ms=20),
        tick_s=TICK_S,
        frames=120,
        episodes=12,
    )

    def serve(*, there: bool) -> None:
        if lost:
            table.loses = None if there else lambda _data: True
        else:
            table.set_service(there=there)

    table.clock.call_at(4.0, lambda: serve(there=False))
    table.clock.call_at(BACK_S, lambda: serve(there=True))
    if shut_s is not None:
        table.clock.call_at(shut_s, lambda: shut(table))
    return table


def shut(table: ShakyTable) -> None:
    for here, there in itertools.permutations(range(table.players), 2):
        table.seats[here].driver.link_state(there, LinkState.CLOSED)


def told(table: ShakyTable) -> list[Any]:
    return [(seat.over, len(seat.played), seat.events_of(Resumed)) for seat in table.seats]


CASES = pytest.mark.parametrize(
    ("cut_s", "shut_s"), [(0.2, None), (0.2, 3.0), (0.2, 10.0), (4.5, None), (4.5, 4.6), (4.5, 10.0)], ids=str
)


@CASES
@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("players", [2, 3])
def test_who_hold_each_other_for_away_play_on_once_the_service_carries(
    players: int, cut_s: float, shut_s: float | None, *, lost: bool
) -> None:
    table = parted(players, cut_s, acts=False, shut_s=shut_s, lost=lost)
    assert table.run(60, until=lambda: all(len(seat.played) > 600 for seat in table.seats)), told(table)
    for seat in table.seats:
        assert len(seat.events_of(PlayerAway)) == players - 1
        assert not seat.events_of(PlayerGone)
        assert seat.events_of(Resumed)[-1].over is WayKind.SERVICE
    assert not table.desyncs()


@CASES
@pytest.mark.parametrize("lost", [False, True])
def test_of_two_who_have_both_played_on_one_is_told_that_they_are_out_once_the_service_carries(
    cut_s: float, shut_s: float | None, *, lost: bool
) -> None:
    table = parted(2, cut_s, acts=True, shut_s=shut_s, lost=lost)
    assert table.run(60, until=lambda: bool(table.seats[1].events_of(PlayerGone))), told(table)
    assert [gone.reason for gone in table.seats[1].events_of(PlayerGone)] == [EXCLUDED]
    assert table.clock.time() < BACK_S + 2.0
    assert not table.seats[0].events_of(PlayerGone)
