"""The match goes on while players are away: others give their inputs, and hand the seats back."""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.core.match.commands import GiveFor, GiveInput
from gym_p2p.core.match.events import EXCLUDED, PlayerFinished, PlayerGone, ProtocolErrorSeen
from gym_p2p.core.match.match import Match
from gym_p2p.core.match.return_events import ActFor, PlayerAway, PlayerReturned, SeatTaken
from gym_p2p.core.wire.acting import ActedBy, Keep, Kept, ReadyFor
from gym_p2p.core.wire.messages import ActedFor, Inputs, Ready, Relay, encode
from gym_p2p.net.links.memory import Path
from tests.core.examples import examples
from tests.core.match.acting_table import (
    STANDS_IN,
    ActingTable,
    acting_lockstep,
    acting_rollback,
    assert_acted_as_told,
    inputs_played,
    miss,
    playing_match,
    sent_of,
)
from tests.core.match.pairs import outputs_of
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
    table = make(players, [Death(who, 1.5, 4.0, slowly_s=0.3)], frames=400)
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
    alive = [inputs_played(table, seat.index) for seat in map(table.seat, range(players)) if not seat.dead]
    for one in alive:
        both = min(len(one), len(alive[0]))
        assert one[:both] == alive[0][:both]
    there = [seat.index for seat in table.seats if not seat.stopped]
    assert_acted_as_told(table, there)
    left = [seat for seat in table.seats if not seat.stopped and seat.over is not None]
    left = [seat for seat in left if all(gone.reason != EXCLUDED for gone in seat.events_of(PlayerGone))]
    assert len({(seat.over.frame, seat.over.reason, seat.over.player) for seat in left if seat.over}) <= 1


@pytest.mark.parametrize("make", [acting_lockstep, acting_rollback])
@pytest.mark.parametrize("dies_s", [4.0, 4.5, 6.0])
def test_where_the_keeper_dies_the_next_one_goes_on_and_all_come_back(make: Any, dies_s: float) -> None:
    deaths = [Death(2, 1.0, 9.0, slowly_s=0.2), Death(0, dies_s, 3.0, slowly_s=0.2)]
    table = make(4, deaths, tick_s=1 / 20, delays={2: 2})
    assert table.run(90), told(table)
    assert_alike(table)
    chosen = {data for inputs in inputs_played(table, 1) for data in inputs if data.startswith(STANDS_IN)}
    assert {data[-1:] for data in chosen} >= {b"0", b"1"}
    assert_acted_as_told(table, range(4))


@pytest.mark.parametrize("make", [acting_lockstep, acting_rollback])
def test_several_who_are_away_at_once_are_acted_for_and_come_back(make: Any) -> None:
    deaths = [Death(0, 1.5, 5.0, slowly_s=0.2), Death(2, 1.6, 3.5, slowly_s=0.2)]
    table = make(3, deaths, tick_s=1 / 20)
    assert table.run(90), told(table)
    assert_alike(table)
    assert {player for player in range(3) if table.acting_seat(1).acted[1, player]} == {0, 2}
    assert_acted_as_told(table, range(3))


def test_who_dies_again_while_they_catch_up_is_acted_for_again() -> None:
    table = acting_lockstep(2, [Death(0, 1.5, 3.0, slowly_s=4.0), Death(0, 6.0, 3.0)], tick_s=1 / 20)
    assert table.run(90), told(table)
    assert_alike(table)
    acts = [event.acts for event in table.seats[1].events_of(ActFor)]
    assert acts == [True, False]  # and all the time that they look on
    assert_acted_as_told(table, range(2))


def test_a_process_that_stood_still_for_a_moment_goes_on_as_it_was() -> None:
    table = acting_lockstep(3, frames=300, episodes=1, tick_s=1 / 20)
    for at_s, does in ((1.0, table.network.darken), (4.0, table.network.brighten)):
        for other in (0, 1):
            table.clock.call_at(at_s, partial(does, 2, other))
            table.clock.call_at(at_s, partial(does, other, 2))
    assert table.run(60), told(table)
    assert_alike(table)
    assert not any(seat.events_of(ActFor) for seat in table.seats)


def test_where_one_path_alone_is_broken_nobody_acts_for_who_is_there() -> None:
    table = acting_lockstep(3, frames=300, episodes=1, tick_s=1 / 20)
    for at_s, does in ((1.0, table.network.darken), (9.0, table.network.brighten)):
        for ends in ((0, 2), (2, 0)):
            table.clock.call_at(at_s, partial(does, *ends))
    assert table.run(60), told(table)
    assert_alike(table)
    assert table.seats[0].events_of(PlayerAway)
    assert not any(seat.events_of(ActFor) for seat in table.seats)


# Forged.


def acted_for(player: int, start: int = 0, count: int = 1, episode: int = 1) -> ActedFor:
    return ActedFor(episode, player, start, (b"x",) * count, bytes([ActedBy.STAND_IN]) * count)


def problems_of(match: Match) -> list[str]:
    return [one.problem for one in outputs_of(match) if isinstance(one, ProtocolErrorSeen)]


@pytest.mark.parametrize(
    "message",
    [
        acted_for(2),
        acted_for(0),
        acted_for(1),
        acted_for(9),
        ReadyFor(2, encode(Ready(2, None, None, 0, 0))),
        Keep(0, 0, commits=True),
        Keep(1, 0, commits=True),
    ],
    ids=repr,
)
def test_nobody_acts_for_a_player_who_is_there(message: Any) -> None:
    match = playing_match()
    match.receive(1, encode(message), 0.6)
    assert len(problems_of(match)) == 1
    assert match._exchange.held()[2] == 0


def test_nobody_but_the_keeper_acts_for_who_is_away() -> None:
    match = playing_match()
    miss(match, 3)
    outputs_of(match)
    match.receive(1, encode(acted_for(3)), 3.2)  # we are the keeper
    match.receive(2, encode(ReadyFor(3, encode(Ready(2, None, None, 0, 0)))), 3.2)
    assert not problems_of(match)
    assert match._exchange.held()[3] == 0
    assert 2 not in match._peers[3].ready


def test_nothing_is_given_before_everybody_has_said_what_they_hold() -> None:
    match = playing_match()
    miss(match, 3)
    asked = sent_of(Keep, match)
    assert [(player, one.commits) for player, one in asked] == [(1, False), (2, False)]
    give = GiveFor(3, 1, 0, b"x", ActedBy.DEFAULT)
    for commits in (False, True):
        match.receive(1, encode(Kept(3, 0, commits, 1, 0)), 3.2)
        match.command(give, 3.2)
        assert match._exchange.held()[3] == 0
        match.receive(2, encode(Kept(3, 0, commits, 1, 0)), 3.2)
    match.command(give, 3.3)
    assert match._exchange.held()[3] == 1
    assert [player for player, _ in sent_of(ActedFor, match)] == [1, 2]


def test_nothing_is_given_for_one_who_is_away_while_another_may_be_so_for_the_keeper_alone() -> None:
    match = playing_match()
    match.closed(3, 1.0)
    miss(match, 2)
    for commits in (False, True):
        match.receive(1, encode(Kept(3, 0, commits, 1, 0)), 3.2)
    match.command(GiveFor(3, 1, 0, b"x", ActedBy.DEFAULT), 3.2)  # player 2 may see them, and be seen by 1
    assert match._exchange.held()[3] == 0
    for commits in (False, True):
        match.receive(1, encode(Kept(2, 0, commits, 1, 0)), 3.3)
    acted_for = [one.player for one in outputs_of(match) if isinstance(one, ActFor) and one.acts]
    assert sorted(acted_for) == [2, 3]
    match.command(GiveFor(3, 1, 0, b"x", ActedBy.DEFAULT), 3.4)
    assert match._exchange.held()[3] == 1


def test_the_keeper_is_answered_also_where_another_one_has_asked_since() -> None:
    match = playing_match(local=2)
    for player in (0, 1):  # the second one does not know yet that the first one is back, say
        match.receive(player, encode(Keep(3, 0, commits=False)), 0.6)
    miss(match, 3)
    assert [player for player, _ in sent_of(Kept, match)] == [0]


@pytest.mark.parametrize("knows_first", [False, True], ids=["away, then told", "told, then away"])
def test_how_many_inputs_there_are_of_who_is_away_is_told_by_a_word_that_another_one_holds(
    *, knows_first: bool
) -> None:
    match = playing_match()
    word = encode(Relay(3, encode(Ready(2, None, None, 0, 0))))
    if knows_first:
        match.receive(1, word, 0.6)
        miss(match, 3)
    else:
        miss(match, 3)
        match.receive(1, word, 3.2)
    match.receive(2, word, 3.3)
    assert [one for one in outputs_of(match) if isinstance(one, PlayerFinished)] == [PlayerFinished(3, 0)]


def test_what_who_is_away_may_lack_is_kept_until_others_play_for_them() -> None:
    match = playing_match(3)
    for frame in range(4):
        match.command(GiveInput(frame, b"ours"), 0.6)
    miss(match, 2)
    match.receive(1, encode(Inputs(1, 0, (4, 0, 0), -4, (), 0)), 3.2)
    assert len(match._exchange._local_inputs.after(0, 1_000)[1]) == 4
    for commits in (False, True):
        match.receive(1, encode(Kept(2, 0, commits, 1, 0)), 3.3)
    match.command(GiveFor(2, 1, 0, b"x", ActedBy.DEFAULT), 3.4)
    match.receive(1, encode(Inputs(1, 0, (4, 1, 1), -3, (b"theirs",), 0)), 3.5)
    assert len(match._exchange._local_inputs.after(0, 1_000)[1]) == 1  # the newest, which is repeated


def test_an_answer_that_nobody_asked_for_counts_for_nothing() -> None:
    match = playing_match()
    for player in (1, 2):
        match.receive(player, encode(Kept(3, 0, commits=True, episode=1, held=0)), 0.6)
    miss(match, 3)
    match.command(GiveFor(3, 1, 0, b"x", ActedBy.DEFAULT), 3.2)
    assert match._exchange.held()[3] == 0


def test_what_the_keeper_gives_too_far_ahead_is_refused_and_early_inputs_are_bounded() -> None:
    match = playing_match(3, local=1)
    miss(match, 2)
    outputs_of(match)
    for episode in (1, 2):
        for start in range(0, 5_000, 100):
            match.receive(0, encode(acted_for(2, start, 100, episode)), 3.2)
    assert match._exchange.held()[2] == 100
    assert len(match._keeping._early[2].inputs) == 100
    assert len(problems_of(match)) == 98
