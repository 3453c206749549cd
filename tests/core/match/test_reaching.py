"""Who comes back by a way round shows who they are: nothing old, repeated or made up counts for it."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.core.match.catching_up import Comeback
from gym_p2p.core.match.events import ProtocolErrorSeen, Resumed
from gym_p2p.core.match.forwards import Forwards
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.match.reaching import ANSWER_S, ASK_S
from gym_p2p.core.match.return_events import SeatTaken
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.wire.codec import JsonObject, WireMessage
from gym_p2p.core.wire.forwarded import ForwardedControl, ForwardedGame
from gym_p2p.core.wire.fragments import is_fragment
from gym_p2p.core.wire.messages import (
    PROTOCOL_VERSION,
    Channel,
    Continue,
    Hello,
    Ping,
    Resume,
    decode,
    encode,
)
from gym_p2p.net.links.memory import MemoryLink, Path
from tests.core.match.cut_table import FOR_GOOD_S, Cut
from tests.core.match.pairs import greeted_match, outputs_of
from tests.core.match.returning_table import SYNC, Death
from tests.core.match.shaky_table import ShakyTable

OURS, THEIRS = b"ours", bytes([1])


def waiting(players: int = 2, relay: str = "service") -> Match:
    """Return the first player's match, for whom the second one is away."""
    match = greeted_match(players, sync=SYNC, reconnect_ms=4_000, rejoin_ms=20_000, relay=relay)
    match.service_up(up=True)
    match.closed(1, 1.0)
    match.handle_timeout(3.5)
    assert state(match) is PeerState.AWAY
    outputs_of(match)
    return match


def state(match: Match, player: int = 1) -> PeerState:
    return match._peers[player].state


def seals(incarnation: int, secret: bytes = THEIRS, players: int = 2) -> Seals:
    """Return those of a process of the second player's, or of whoever has that secret."""
    theirs = {0: Seals(OURS, players=players).key_for(1)}
    return Seals(secret, players=players, incarnation=incarnation, theirs=theirs)


def forwards(of: Seals, *, to: int = 0) -> Forwards:
    peers = {0: Peer(index=0, sync=SYNC, players=2, incarnation=to)}
    return Forwards(local=1, peers=peers, seals=of)


def introduce(match: Match, resume: Resume, now: float, by: int | None = None) -> list[Any]:
    """Let a player be introduced by the service or a third player; return what is sent to them, unwrapped."""
    data = encode(ForwardedControl(1, 0, 0, 0, b"", encode(resume)))
    if by is None:
        match.receive_by_service(1, data, now)
    else:
        match.receive(by, data, now)
    outputs = outputs_of(match)
    assert not [one for one in outputs if isinstance(one, ProtocolErrorSeen)]
    sent = [decode(one.data) for one in outputs if isinstance(one, Transmit)]
    return [decode(one.message) for one in sent if isinstance(one, ForwardedControl) and one.recipient == 1]


@pytest.mark.parametrize("by", [None, 2], ids=["the service", "a third player"])
def test_who_comes_back_is_answered_shows_who_they_are_and_is_greeted(by: int | None) -> None:
    match, back = waiting(3), seals(1, players=3)
    (answer,) = introduce(match, back.question_for(0), 4.0, by)
    assert isinstance(answer, Resume)
    assert back.answers(0, answer)
    assert state(match) is PeerState.AWAY
    sent = introduce(match, back.answer_for(0, answer.incarnation), 4.1, by)
    assert [type(one) for one in sent] == [Resume, Continue]
    assert state(match) is PeerState.GREETING
    assert match._peers[1].incarnation == 1


@pytest.mark.parametrize("relay", ["service", "players", "none"])
def test_nobody_is_taken_back_by_a_way_that_this_player_does_not_allow(relay: str) -> None:
    match, back = waiting(3, relay), seals(1, players=3)
    for by, way in ((None, "service"), (2, "players")):
        allowed = relay in {"service", way}
        assert bool(introduce(match, back.question_for(0), 4.0 + (by or 0), by)) == allowed


def test_whoever_repeats_a_question_gets_few_answers_and_changes_nothing() -> None:
    match, question = waiting(), seals(1).question_for(0)
    answers = [answer for tick in range(1_000) for answer in introduce(match, question, 4.0 + tick / 500)]
    assert 1 <= len(answers) <= 2 / ANSWER_S + 1
    assert state(match) is PeerState.AWAY


def test_what_an_earlier_process_showed_counts_for_no_later_one() -> None:
    match = waiting()
    first, second = seals(1), seals(2)
    (answer,) = introduce(match, first.question_for(0), 4.0)
    assert not second.answers(0, answer)  # repeated to the next process
    shown = first.answer_for(0, 0)
    introduce(match, second.answer_for(0, 0), 4.1)
    assert match._peers[1].incarnation == 2
    for resume in (shown, first.question_for(0), second.answer_for(0, 0)):
        assert introduce(match, resume, 5.0) == []
    assert match._peers[1].incarnation == 2


@pytest.mark.parametrize(
    "resume",
    [
        seals(1, b"somebody else's").question_for(0),
        seals(1, b"somebody else's").answer_for(0, 0),
        seals(1).answer_for(0, 1),  # to another process of ours
        Resume(0, seals(1).question_for(0).proof, 2),
        Resume(1, seals(1).proof_for(0, 1, b""), 1),  # of a link
        Resume(0, b"", 1),
    ],
)
def test_what_is_made_up_is_not_answered_and_nobodys_fault(resume: Resume) -> None:
    match = waiting(3)
    for by in (None, 2):
        for _ in range(300):
            assert introduce(match, resume, 4.0, by) == []
    assert state(match) is PeerState.AWAY
    assert state(match, 2) is PeerState.PLAYING


@pytest.mark.parametrize("back", [False, True], ids=["while they are away", "once another one is there"])
def test_what_was_sealed_by_the_process_that_has_ended_is_no_sign_of_the_next_one(*, back: bool) -> None:
    match = waiting()
    before, now = forwards(seals(0)), 4.0
    old: list[ForwardedControl | ForwardedGame] = [
        before.game(0, encode(Ping(1, 0, 0))),
        before.control(0, encode(Continue(1, 1)), change=1, number=0),
    ]
    match._peers[1].ways.newest, match._peers[1].ways.change = 1, 1  # they had arrived while it was there
    if back:
        introduce(match, seals(1).answer_for(0, 0), now)
    known = state(match), match._peers[1].received_at
    for message in old:
        match.receive_by_service(1, encode(message), now + 1)
    outputs = outputs_of(match)
    assert not [one for one in outputs if isinstance(one, Resumed | ProtocolErrorSeen)]
    assert (state(match), match._peers[1].received_at) == known


def test_who_plays_something_else_is_not_taken_for_the_process_before_by_what_they_send() -> None:
    match, back = waiting(), seals(1)
    introduce(match, back.answer_for(0, 0), 4.0)
    wrapped = forwards(back)
    hello = Hello(PROTOCOL_VERSION, JsonObject({"must": {"game": "chess"}}), back.key_for(0), 4_000, 20_000)
    for number, message in enumerate((encode(Continue(0, 1)), encode(hello))):
        match.receive_by_service(1, encode(wrapped.control(0, message, change=1, number=number)), 4.1)
    assert state(match) is PeerState.AWAY
    match.receive_by_service(1, encode(wrapped.game(0, encode(Ping(1, 0, 0)))), 4.2)
    assert state(match) is PeerState.AWAY


def test_who_comes_back_asks_by_one_way_after_the_other_until_they_are_answered() -> None:
    comeback = Comeback(1, {1: Seals(THEIRS, players=2).key_for(0)})
    match = Match(
        local=0,
        players=2,
        description={"must": {}},
        match_seed=7,
        sync=SYNC,
        secret=OURS,
        comeback=comeback,
        relay="service",
    )
    match.service_up(up=True)
    match.look_for(1, 3.0)
    asked = []
    for tick in range(100):
        now = tick / 10
        match.handle_timeout(now)
        asked += [now for one in outputs_of(match) if isinstance(one, Transmit)]
    assert asked == pytest.approx([3.0 + ASK_S * number for number in range(14)])
    their = Seals(THEIRS, players=2, incarnation=4, theirs={0: Seals(OURS, players=2).key_for(1)})
    for stale in (0, 2):
        introduce(match, their.answer_for(0, stale), 10.0)
        assert state(match) is PeerState.CONNECTING
    introduce(match, their.answer_for(0, 1), 10.0)
    assert state(match) is PeerState.GREETING
    assert match._peers[1].incarnation == 4


def test_no_key_goes_over_a_way_on_which_somebody_else_could_read_it() -> None:
    cuts = [Cut((0, 1), 0.2, FOR_GOOD_S, None)]
    table = ShakyTable(3, cuts, [Death(0, 3.0, 1.0)], relay="players", frames=60, path=Path(one_way_ms=20))
    read: list[WireMessage] = []

    carry = table.network.carry

    def carried(link: MemoryLink, channel: Channel, data: bytes | str) -> None:
        message = None if isinstance(data, str) or is_fragment(data) else decode(data)
        if isinstance(message, ForwardedControl) and not is_fragment(message.message):
            read.append(decode(message.message))
        carry(link, channel, data)

    table.network.carry = carried  # type: ignore[method-assign]  # what goes by is looked at
    assert table.run(60)
    assert table.seats[0].events_of(SeatTaken)
    greetings = [one for one in read if isinstance(one, Hello)]
    assert greetings
    assert {one.key for one in greetings} == {b""}


def test_who_lacks_our_greeting_takes_no_way_by_a_third_player() -> None:
    match = greeted_match(3, sync=SYNC, reconnect_ms=4_000, relay="players")
    theirs = {0: Seals(OURS, players=3).key_for(1)}
    by = Forwards(
        local=1, peers={0: Peer(index=0, sync=SYNC, players=3)}, seals=Seals(THEIRS, players=3, theirs=theirs)
    )
    for count in (0, 1):
        message = by.control(0, encode(Continue(count, 1)), change=1, number=0)
        match.receive(2, encode(message), 1.0)
        sent = [decode(one.data) for one in outputs_of(match) if isinstance(one, Transmit)]
        assert bool([one for one in sent if isinstance(one, ForwardedControl)]) == bool(count)
