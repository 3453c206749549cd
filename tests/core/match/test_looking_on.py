"""Who comes back while others act for them plays again what was played, and those play on meanwhile."""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs
import pytest

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.catching_up import Comeback
from gym_p2p.core.match.commands import Leave
from gym_p2p.core.match.events import Connected, Left, ProtocolErrorSeen
from gym_p2p.core.match.history import History
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.match.return_events import ActFor, PlayerReturned, ReturnFailed, SeatTaken
from gym_p2p.core.wire.acting import ActedBy
from gym_p2p.core.wire.messages import Cause, Holdings, Ping, Ready, Resume, encode
from gym_p2p.core.wire.past import Past, Recall, TookSeat
from tests.core.match.acting_table import (
    ACTING_SYNC,
    ActingTable,
    acting_lockstep,
    acting_rollback,
    assert_acted_as_told,
    inputs_played,
    miss,
    playing_match,
    sent_of,
)
from tests.core.match.pairs import goodbye, hello, lone_match, outputs_of, seals_of
from tests.core.match.returning_table import SYNC, Death, lockstep

SLOWLY_S = 2.0
"""What playing everything again takes, in these tests: the others play on for a hundred frames."""


def long(make: Any, players: int, deaths: list[Death], **options: Any) -> ActingTable:
    """Return a table whose match lasts: three episodes in lockstep, one in rollback."""
    frames = 300 if make is acting_lockstep else 700
    table: ActingTable = make(players, deaths, **{"frames": frames, **options})
    return table


def assert_alike(table: ActingTable, *seats: int) -> None:
    assert not table.desyncs()
    for seat in seats:
        assert not table.seats[seat].events_of(ProtocolErrorSeen)
        assert inputs_played(table, seat) == inputs_played(table, seats[0])
    assert assert_acted_as_told(table, seats) > 0


class Watch:
    """Notes how far a player has come at times."""

    def __init__(self, table: ActingTable, seat: int, times: list[float]) -> None:
        self.frames: list[int] = []
        for at_s in times:
            table.clock.call_at(at_s, partial(self._look, table, seat))

    def _look(self, table: ActingTable, seat: int) -> None:
        self.frames.append(len(table.seats[seat].played))


@pytest.mark.parametrize("make", [acting_lockstep, acting_rollback])
@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("players", [2, 3])
def test_the_others_play_on_while_who_comes_back_plays_again(make: Any, who: int, players: int) -> None:
    table = long(make, players, [Death(who, 1.5, 1.5, slowly_s=SLOWLY_S)])
    watch = Watch(table, 1 - who, [3.2, 4.8])  # all the time between they play again
    assert table.run(60)
    assert_alike(table, *range(players))
    assert watch.frames[1] - watch.frames[0] > 40
    stretches = table.seat(who).stretches
    assert len(stretches) > 2
    assert stretches[-1] < 20
    assert stretches[1] > 40
    assert [event.acts for event in table.seats[min({0, 1} - {who})].events_of(ActFor)] == [True, False]


def test_where_the_match_pauses_everything_is_played_again_at_once() -> None:
    table = lockstep(2, [Death(0, 1.5, 1.5, slowly_s=SLOWLY_S)])
    assert table.run(60)
    assert len(table.seat(0).stretches) == 1


@pytest.mark.parametrize("make", [acting_lockstep, acting_rollback])
@pytest.mark.parametrize("dies_s", [3.2, 4.0, 5.05])
@pytest.mark.parametrize("back_s", [None, 1.5])
def test_who_looks_on_takes_the_seat_also_where_the_keeper_dies_meanwhile(
    make: Any, dies_s: float, back_s: float | None
) -> None:
    table = long(make, 3, [Death(2, 1.5, 1.5, slowly_s=SLOWLY_S), Death(0, dies_s, back_s, slowly_s=0.3)])
    assert table.run(90)
    assert table.seats[2].events_of(SeatTaken)
    assert_alike(table, *([1, 2] if back_s is None else [0, 1, 2]))


@pytest.mark.parametrize("make", [acting_lockstep, acting_rollback])
def test_two_look_on_at_once_and_both_take_their_seats(make: Any) -> None:
    deaths = [Death(0, 1.5, 1.5, slowly_s=SLOWLY_S), Death(2, 1.6, 1.8, slowly_s=SLOWLY_S)]
    table = long(make, 3, deaths)
    watch = Watch(table, 1, [3.5, 4.8])
    assert table.run(90)
    assert watch.frames[1] - watch.frames[0] > 30
    assert_alike(table, 0, 1, 2)
    assert {back.player for back in table.seats[1].events_of(PlayerReturned)} == {0, 2}


@pytest.mark.parametrize("make", [acting_lockstep, acting_rollback])
def test_who_looks_on_over_a_path_that_breaks_for_long_looks_on_after_it(make: Any) -> None:
    sync = attrs.evolve(ACTING_SYNC, reconnect_timeout_s=1.0)
    table = long(make, 2, [Death(0, 1.5, 1.5, slowly_s=SLOWLY_S)], sync=sync)
    for at_s, does in ((3.3, table.network.darken), (6.3, table.network.brighten)):
        for ends in ((0, 1), (1, 0)):
            table.clock.call_at(at_s, partial(does, *ends))
    assert table.run(90)
    assert_alike(table, 0, 1)
    assert table.seats[0].events_of(SeatTaken)


def test_who_looks_on_learns_that_nobody_is_left() -> None:
    table = long(acting_lockstep, 2, [Death(0, 1.5, 1.5, slowly_s=SLOWLY_S), Death(1, 3.5, None)])
    assert table.run(90)
    assert table.seat(0).failed


# By itself.


def looked_at() -> Match:
    """Return a match of three, in which another process of the second player's looks on."""
    match = playing_match(3)
    miss(match, 1)
    theirs = seals_of(1, 3)
    theirs.incarnation = 1
    proof = theirs.proof_for(0, 101, b"link")
    assert match.recognises(1, 101, b"link", encode(Resume(101, proof, 1)))
    match.replaced(1, 3.3)
    match.receive(1, encode(hello(b"", 4_000, 20_000)), 3.4)
    outputs_of(match)
    return match


def problems(match: Match) -> list[str]:
    return [one.problem for one in outputs_of(match) if isinstance(one, ProtocolErrorSeen)]


def coming_back(sync: SyncConfig) -> Match:
    """Return a match of three that its first player has come back to, who asks the second one."""
    keys = {player: seals_of(player, 3).key_for(0) for player in (1, 2)}
    match = lone_match(3, sync=sync, comeback=Comeback(1, keys))
    for player in (1, 2):
        match.opened(player, 3.0)
        match.receive(player, encode(hello(b"", 4_000, 20_000)), 3.1)
    assert [player for player, _ in sent_of(Recall, match)] == [1]
    return match


@pytest.mark.parametrize("sync", [SYNC, ACTING_SYNC])
def test_who_leaves_is_told_that_it_came_also_by_who_comes_back(sync: SyncConfig) -> None:
    match = coming_back(sync)
    match.receive(1, encode(goodbye("normal", 1)), 3.2)
    assert [ping.control_count for player, ping in sent_of(Ping, match) if player == 1] == [2]


def test_who_has_claimed_the_seat_and_leaves_is_told_that_it_came() -> None:
    match = looked_at()
    match.receive(1, encode(Recall(1, (0, 0, 0), 0, claims=True)), 3.5)
    outputs_of(match)
    match.receive(1, encode(goodbye("differs", 1)), 3.6)
    assert [ping.control_count for player, ping in sent_of(Ping, match) if player == 1] == [3]


@pytest.mark.parametrize("sync", [SYNC, ACTING_SYNC])
def test_who_finds_no_way_back_leaves_without_a_word(sync: SyncConfig) -> None:
    match = coming_back(sync)
    match.receive(1, encode(Holdings(1, ((0, 5, Cause.AWAY),))), 3.2)
    assert any(isinstance(one, ReturnFailed) for one in outputs_of(match))
    match.command(Leave("failed"), 3.3)
    outputs = outputs_of(match)
    assert any(isinstance(one, Left) for one in outputs)
    assert not any(isinstance(one, Transmit) for one in outputs)


@pytest.mark.parametrize("message", [Ready(2, None, None, 0, 0), goodbye("normal", 1)])
def test_no_word_counts_of_who_looks_on(message: Any) -> None:
    match = looked_at()
    match.receive(1, encode(message), 3.5)
    assert problems(match) == ["message of somebody who looks on"]


def test_who_has_claimed_the_seat_looks_on_no_more() -> None:
    match = looked_at()
    match.receive(1, encode(Recall(1, (0, 0, 0), 0, claims=False)), 3.5)
    match.receive(1, encode(Recall(1, (0, 0, 0), 0, claims=True)), 3.6)
    assert [player for player, _ in sent_of(Past, match)] == [1, 1]
    match.receive(1, encode(Recall(1, (0, 0, 0), 0, claims=False)), 3.7)
    assert problems(match) == ["looks on at what they play, or claims no seat"]
    match.receive(1, encode(TookSeat(1, 0, 0, 1, 0, b"")), 3.8)
    assert [one.player for one in outputs_of(match) if isinstance(one, PlayerReturned)] == [1]


def test_who_looks_on_is_told_of_the_running_episode_what_everybody_holds() -> None:
    history = History(2)
    for _ in range(2):
        history.begin({})
        for player in (0, 1):
            history.add(player, [b"x"] * 10, actors=bytes([ActedBy.DEFAULT]) * 10)
    for episode, held in ((1, 10), (2, 4)):
        past = history.past(Recall(episode, (0, 2), 0, claims=False), more=False, of_newest=4)
        assert past.held == (held, held)
        assert list(map(len, past.inputs)) == [held, held - 2] == list(map(len, past.actors))


def test_the_players_who_are_there_count_as_connected_only_once_the_seat_is_claimed() -> None:
    table = long(acting_lockstep, 2, [Death(0, 1.5, 1.5, slowly_s=SLOWLY_S)])
    seen: list[int] = []
    table.clock.call_at(4.5, lambda: seen.append(len(table.seats[0].events_of(Connected))))
    assert table.run(60)
    assert seen == [0]
    assert len(table.seats[0].events_of(Connected)) == 1
