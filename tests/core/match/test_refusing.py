"""A process that is over is told so as soon as it is heard of after all, by whichever way that is."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest

from gym_p2p.core.match.events import EXCLUDED, PlayerGone
from gym_p2p.core.match.forwards import Forwards
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.match.return_events import ActFor
from gym_p2p.core.wire.acting import Kept
from gym_p2p.core.wire.messages import Cause, Continue, Holdings, decode, encode
from tests.core.match.acting_table import (
    ACTING_SYNC,
    STANDS_IN,
    acting_lockstep,
    acting_rollback,
    inputs_played,
    playing_match,
)
from tests.core.match.pairs import outputs_of, seals_of


@pytest.mark.parametrize("make", [acting_lockstep, acting_rollback])
@pytest.mark.parametrize(("players", "relay"), [(2, "none"), (3, "none"), (3, "players")])
def test_of_two_sides_that_both_played_on_the_larger_one_goes_on(make: Any, players: int, relay: str) -> None:
    table = make(players, frames=600, episodes=1, tick_s=1 / 20, match_options={"relay": relay})
    alone = players - 1
    for at_s, does in ((1.0, table.network.darken), (9.0, table.network.brighten)):
        for other in range(alone):
            table.clock.call_at(at_s, partial(does, alone, other))
            table.clock.call_at(at_s, partial(does, other, alone))
    assert table.run(25, until=lambda: table.seats[alone].over is not None), table.seats[alone].over
    assert table.acting_seat(alone).events_of(ActFor)
    gone = table.seats[alone].events_of(PlayerGone)
    assert {(one.reason, one.stated_reason) for one in gone} == {(EXCLUDED, Cause.AWAY.value)}
    table.run(3, until=lambda: False)
    for seat in table.seats[:alone]:
        assert seat.over is None
        assert not seat.events_of(PlayerGone)
    assert inputs_played(table, 0)[-1][alone].startswith(STANDS_IN)


def test_a_process_that_is_over_is_told_so_by_the_service_where_that_is_how_it_is_heard() -> None:
    match = playing_match(3, relay="service")
    match.service_up(up=True)
    away = match._peers[2]
    for tenth in range(6, 60):  # nothing comes of the third player
        match.receive(1, encode(Kept(2, 0, tenth > 50, 1, 0)), tenth / 10)
        match.receive(1, encode(Continue(2, match._peers[1].ways.change)), tenth / 10)
        match.handle_timeout(tenth / 10)
    assert away.played_for
    outputs_of(match)
    they = Forwards(local=2, peers={0: Peer(index=0, sync=ACTING_SYNC, players=3)}, seals=seals_of(2, 3))
    change = away.ways.change + 1
    woke = they.control(0, encode(Continue(away.control.sent, change)), change=change, number=0)
    forged = msgspec.structs.replace(woke, seal=bytes(len(woke.seal)))
    match.receive_by_service(2, encode(forged), 6.0)
    assert not told_by_service(match)
    for late in range(3):  # who passes it on may repeat it
        match.receive_by_service(2, encode(woke), 6.1 + late / 100)
    first, *others = told_by_service(match)
    assert first == Continue(away.control.received, change)
    assert [one.gone for one in others if isinstance(one, Holdings)] == [(2,)]
    assert away.state is PeerState.AWAY


def told_by_service(match: Match) -> list[Any]:
    """Return what the service is to pass on to a player, unwrapped."""
    outputs = [one for one in outputs_of(match) if isinstance(one, Transmit) and one.by_service]
    return [decode(decode(one.data).message) for one in outputs]  # type: ignore[union-attr]  # it is wrapped
