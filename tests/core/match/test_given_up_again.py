"""Who ends while they come back, and will not do so again, says it: nobody waits for them in vain."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.core.match.commands import Leave
from gym_p2p.core.match.events import Left, PlayerGone, ProtocolErrorSeen, Source
from gym_p2p.core.match.farewell import agreed_loss, gone_event
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.match.peer import PeerState
from gym_p2p.core.match.return_events import SeatTaken
from gym_p2p.core.wire.messages import Cause, Channel, Goodbye, Holdings, decode, encode
from gym_p2p.core.wire.past import Recall, TookSeat
from tests.core.examples import examples
from tests.core.match.acting_table import ACTING_SYNC, acting_lockstep, acting_rollback, sent_of
from tests.core.match.cut_table import assert_nobody_differs
from tests.core.match.pairs import goodbye, outputs_of
from tests.core.match.returning_table import Death, MortalTable, lockstep, rollback
from tests.core.match.test_looking_on import SLOWLY_S, coming_back, long, looked_at, problems

LEAVES_S = 4.2
"""While they play again: they are back after 3 s, which takes two."""


def missed(table: MortalTable, seat: int, who: int) -> list[PlayerGone]:
    return [gone for gone in table.seats[seat].events_of(PlayerGone) if gone.player == who]


def leave(table: MortalTable, who: int) -> None:
    """Let whoever is this player by then leave."""
    table.seats[who].leave()


def leaving_again(make: Any, players: int, who: int) -> MortalTable:
    """Return a table after somebody has left who was coming back, and a moment."""
    table: MortalTable = long(make, players, [Death(who, 1.5, 1.5, slowly_s=SLOWLY_S)])
    table.clock.call_at(LEAVES_S, partial(leave, table, who))
    table.run(60, until=lambda: table.clock.time() > LEAVES_S + 1.0)
    return table


@pytest.mark.parametrize("make", [acting_lockstep, acting_rollback, lockstep, rollback])
@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("players", [2, 3])
def test_who_leaves_while_they_come_back_is_missed_at_once(make: Any, who: int, players: int) -> None:
    table = leaving_again(make, players, who)
    assert not table.seats[who].events_of(SeatTaken)
    left = [seat for seat in range(players) if seat != who]
    for seat in left:
        assert missed(table, seat, who)[-1].reason == "peer_left"
        assert not table.seats[seat].events_of(ProtocolErrorSeen)
    assert len({missed(table, seat, who)[-1].frames for seat in left}) == 1
    table.run(60)
    table.seats[who].played.clear()
    table.seats[who].confirmed.clear()
    assert_nobody_differs(table)


@pytest.mark.parametrize("make", [acting_lockstep, acting_rollback])
def test_who_alone_hears_that_somebody_will_not_come_tells_the_others(make: Any) -> None:
    table: MortalTable = long(make, 3, [Death(0, 1.5, 1.5, slowly_s=SLOWLY_S)])
    table.clock.call_at(LEAVES_S - 0.1, partial(table.network.darken, 0, 2))
    table.clock.call_at(LEAVES_S, partial(leave, table, 0))
    table.run(60, until=lambda: table.clock.time() > LEAVES_S + 1.0)
    first, second = (missed(table, seat, 0)[-1] for seat in (1, 2))
    assert (first.reason, first.source) == ("peer_left", Source.GOODBYE)
    assert (second.reason, second.source, second.via) == ("peer_left", Source.PEER, 1)
    assert first.frames == second.frames


@pytest.mark.slow
@settings(max_examples=examples(40), deadline=None)
@given(
    make=st.sampled_from([acting_lockstep, acting_rollback, lockstep, rollback]),
    players=st.integers(2, 4),
    who=st.integers(0, 1),
    leaves_s=st.floats(2.9, 5.6),
    other=st.none() | st.tuples(st.floats(0.5, 5.0), st.none() | st.floats(0.5, 3.0), st.booleans()),
)
def test_whenever_they_leave_on_the_way_back_nobody_differs_and_nobody_hangs(
    make: Any, players: int, who: int, leaves_s: float, other: tuple[float, float | None, bool] | None
) -> None:
    deaths = [Death(who, 1.5, 1.5, slowly_s=SLOWLY_S)]
    if other is not None and players > 2:
        deaths.append(Death(players - 1, other[0], other[1], word=other[2]))
    table: MortalTable = long(make, players, deaths)
    table.clock.call_at(leaves_s, partial(leave, table, who))
    assert table.run(120)
    table.seats[who].played.clear()
    table.seats[who].confirmed.clear()
    for seat in table.seats:
        assert not seat.events_of(ProtocolErrorSeen)
    assert_nobody_differs(table)


# By itself.


def test_the_goodbye_of_who_looks_on_says_nothing_of_what_they_gave() -> None:
    match = coming_back(ACTING_SYNC)
    match.command(Leave("interrupted"), 3.3)
    outputs = outputs_of(match)
    words = [out for out in outputs if isinstance(out, Transmit) and out.channel is Channel.CTRL]
    sent = {out.player: decode(out.data) for out in words}
    for player in (1, 2):
        word = sent[player]
        assert isinstance(word, Goodbye)
        assert (word.reason, word.episode, word.frames, word.cause) == ("interrupted", 0, 0, Cause.LEFT)
    assert not any(isinstance(one, Left) for one in outputs), "the others have not said that it came"
    match.handle_timeout(7.0)
    assert any(isinstance(one, Left) for one in outputs_of(match))


def test_who_may_come_back_once_more_leaves_without_a_word() -> None:
    match = coming_back(ACTING_SYNC)
    match.command(Leave("interrupted", cause=Cause.CRASHED), 3.3)
    outputs = outputs_of(match)
    assert any(isinstance(one, Left) for one in outputs)
    assert not any(isinstance(one, Transmit) for one in outputs)


def test_who_has_said_goodbye_asks_for_nothing_more() -> None:
    match = coming_back(ACTING_SYNC)
    match.command(Leave("interrupted"), 3.3)
    outputs_of(match)
    match.closed(1, 3.4)
    match.handle_timeout(3.9)
    assert not sent_of(Recall, match)


def test_those_who_are_left_agree_on_how_far_there_is_somebody_who_will_not_come() -> None:
    match = looked_at()
    match.receive(1, encode(goodbye("interrupted", 0)), 3.5)
    assert [report.gone for player, report in sent_of(Holdings, match) if player == 2] == [(1,)]
    match = looked_at()
    match.receive(1, encode(goodbye("interrupted", 0)), 3.5)
    held = match._peers[1].remote_inputs.count
    match.receive(2, encode(Holdings(1, ((1, held, Cause.LEFT),))), 3.6)
    (gone,) = [one for one in outputs_of(match) if isinstance(one, PlayerGone)]
    assert gone == PlayerGone(1, "peer_left", held, "interrupted", source=Source.GOODBYE)


@pytest.mark.parametrize("seen", [Cause.LEFT, Cause.CRASHED, Cause.REMOVED])
def test_why_somebody_will_not_come_is_theirs_to_say_whatever_others_saw(seen: Cause) -> None:
    match = looked_at()
    match.receive(1, encode(goodbye("environment_failed", 0)), 3.5)
    held = match._peers[1].remote_inputs.count
    match.receive(2, encode(Holdings(1, ((1, held, seen),))), 3.6)
    (gone,) = [one for one in outputs_of(match) if isinstance(one, PlayerGone)]
    assert gone == PlayerGone(1, "peer_left", held, "environment_failed", source=Source.GOODBYE)


def test_who_will_not_come_says_for_whose_loss() -> None:
    match = looked_at()
    match.receive(1, encode(goodbye("peer_lost", 0, lost=2, cause=Cause.LOST)), 3.5)
    held = match._peers[1].remote_inputs.count
    match.receive(2, encode(Holdings(1, ((1, held, Cause.LEFT),))), 3.6)
    (gone,) = [one for one in outputs_of(match) if isinstance(one, PlayerGone)]
    assert gone == PlayerGone(1, "peer_lost", held, "peer_lost", 2, Source.GOODBYE)


def test_who_catches_up_meanwhile_keeps_the_words_too() -> None:
    match = coming_back(ACTING_SYNC)
    match.receive(2, encode(goodbye("interrupted", 0)), 3.2)
    peer = match._peers[2]
    gone = gone_event(peer, 0, local=0, players=3)
    assert gone == PlayerGone(2, "peer_left", 0, "interrupted", source=Source.GOODBYE)
    assert agreed_loss(peer, {1: Holdings(1, ((2, 0, Cause.CRASHED),))}) == peer.loss


def test_who_came_back_and_played_says_goodbye_once() -> None:
    match = looked_at()
    match.receive(1, encode(Recall(1, (0, 0, 0), 0, claims=True)), 3.5)
    match.receive(1, encode(TookSeat(1, 0, 0, 1, 0, b"")), 3.6)
    match.receive(1, encode(goodbye("normal", 1, 30)), 3.7)
    assert match._peers[1].state is PeerState.LEAVING
    assert problems(match) == []
    match.receive(1, encode(goodbye("interrupted", 0)), 3.8)
    assert problems(match) == ["wrong goodbye"]
    assert match._peers[1].state is PeerState.LEAVING
    assert match._peers[1].goodbye == goodbye("normal", 1, 30)


def test_it_is_said_once_and_nothing_of_that_process_counts_any_more() -> None:
    match: Match = looked_at()
    for at in (3.5, 3.6):
        match.receive(1, encode(goodbye("interrupted", 0)), at)
    match.receive(1, encode(Recall(1, (0, 0, 0), 0, claims=True)), 3.7)
    assert problems(match) == []
    assert match._peers[1].goodbye is None
