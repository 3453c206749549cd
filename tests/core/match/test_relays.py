"""What those who are left tell each other of somebody who went around a barrier."""

from __future__ import annotations

import pytest

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.barrier import episode_seed
from gym_p2p.core.match.commands import BeginEpisode, Leave
from gym_p2p.core.match.events import EpisodeBegan, PlayerFinished, PlayerGone, ProtocolErrorSeen, Source
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.messages import (
    PROTOCOL_VERSION,
    Cause,
    Goodbye,
    Hello,
    Holdings,
    Inputs,
    Ping,
    Ready,
    Relay,
    Share,
    decode,
    encode,
)
from tests.core.match.pairs import goodbye, greeted_match, outputs_of

READY = Ready(1, None, None, 0, 0)


def told(match: Match) -> list[object]:
    kinds = (EpisodeBegan, PlayerFinished, PlayerGone)
    return [output for output in outputs_of(match) if isinstance(output, kinds)]


def sent_to(player: int, match: Match) -> list[object]:
    outputs = [output for output in outputs_of(match) if isinstance(output, Transmit)]
    return [decode(output.data) for output in outputs if output.player == player]


def waiting_match(players: int, *ready: int) -> Match:
    match = greeted_match(players)
    match.command(BeginEpisode(), 0.0)
    for player in ready:
        match.receive(player, encode(READY), 0.0)
    outputs_of(match)
    return match


def test_an_episode_that_another_may_have_begun_with_the_lost_one_begins_without_them() -> None:
    match = waiting_match(3, 1)
    match.closed(2, 0.1)
    match.receive(1, encode(Relay(2, encode(READY))), 0.2)
    assert told(match) == [EpisodeBegan(1, episode_seed(7, 1), {}, (0, 0, 0))]
    match.receive(1, encode(Share(1, 2, 0, (b"a", b"b"), b"")), 0.2)
    match.receive(1, encode(Holdings(1, ((2, 2, Cause.LOST),))), 0.2)
    assert told(match) == [PlayerGone(2, "peer_crashed", 2)]


def test_an_episode_for_which_nobody_left_has_the_lost_ones_word_begins_for_nobody() -> None:
    match = waiting_match(3, 1)
    match.closed(2, 0.1)
    match.receive(1, encode(Holdings(0, ((2, 0, Cause.LOST),))), 0.2)
    assert told(match) == [PlayerGone(2, "peer_crashed", 0)]
    match.handle_timeout(1.0)
    assert not told(match)


def test_the_lost_ones_word_goes_to_everybody_before_the_report() -> None:
    match = waiting_match(3, 2)
    match.closed(2, 0.1)
    assert sent_to(1, match) == [Relay(2, encode(READY)), Holdings(0, ((2, 0, Cause.CRASHED),))]


def test_who_leaves_at_a_barrier_has_passed_on_what_they_know_of_the_others() -> None:
    match = waiting_match(3, 2)
    match.command(Leave("normal"), 0.1)
    relayed, said = sent_to(1, match)
    assert relayed == Relay(2, encode(READY))
    assert said == Seals(b"ours", players=3).sealed(goodbye())


def test_hearsay_of_the_next_episode_counts_there_as_far_as_somebody_reported_it() -> None:
    match = waiting_match(4, 1)
    match.receive(2, encode(Share(1, 3, 0, (b"a", b"b", b"c"), b"")), 0.1)
    match.receive(2, encode(Relay(3, encode(READY))), 0.1)
    match.receive(2, encode(READY), 0.1)
    match.receive(2, encode(Goodbye("normal", 1, 0, None, Cause.LEFT, ())), 0.1)
    match.closed(2, 0.2)
    match.closed(3, 0.2)
    match.receive(1, encode(Share(1, 3, 0, (b"a", b"b"), b"")), 0.3)
    match.receive(1, encode(Holdings(1, ((2, 0, Cause.LOST), (3, 2, Cause.LOST)))), 0.3)
    assert told(match) == [
        PlayerFinished(2, 0),
        EpisodeBegan(1, episode_seed(7, 1), {}, (0, 0, 0, 0)),
        PlayerGone(2, "peer_left", 0, "normal", source=Source.GOODBYE),
        PlayerGone(3, "peer_crashed", 2),
    ]
    assert match._peers[3].remote_inputs.count == 2


def test_of_who_went_after_they_were_ready_the_episode_before_ends_where_their_inputs_do() -> None:
    match = waiting_match(3, 1, 2)
    match.handle_timeout(1.0)
    match.receive(2, encode(Inputs(1, 0, (0, 0, 1), 1, (b"x",), 0)), 1.0)
    match.receive(2, encode(Ready(2, None, None, 3, 0)), 1.0)
    match.closed(2, 1.1)
    match.receive(1, encode(Holdings(1, ((2, 0, Cause.LOST),))), 1.2)
    assert told(match) == [PlayerFinished(2, 3), PlayerFinished(2, 1)]


@pytest.mark.parametrize(
    "word",
    [
        b"\xff\xff\xff",
        encode(Ping(1, 0, 0)),
        encode(Relay(1, encode(READY))),
        encode(Ready(66, None, None, 0, 0)),
        encode(Goodbye("normal", 10**6, 0, None, Cause.LEFT, ())),
    ],
)
def test_a_word_that_a_player_cannot_have_said_is_held_against_whoever_passes_it_on(word: bytes) -> None:
    match = waiting_match(4, 1)
    match.receive(1, encode(Relay(3, word)), 0.0)
    errors = [output for output in outputs_of(match) if isinstance(output, ProtocolErrorSeen)]
    assert [error.player for error in errors] == [1]
    match.receive(2, encode(Holdings(0, ((3, 0, Cause.LOST),))), 0.1)
    assert sent_to(2, match) == [Holdings(0, ((3, 0, Cause.LOST),))]
    match.closed(2, 0.2)
    assert [message for message in sent_to(1, match) if isinstance(message, Holdings)]
    assert match._peers[2].protocol_errors == 0
    assert not match._peers[3].ready


def test_a_word_is_refused_also_of_a_player_who_is_gone_already() -> None:
    match = waiting_match(3, 1)
    match.closed(2, 0.1)
    match.receive(1, encode(Relay(2, encode(Ready(66, None, None, 0, 0)))), 0.2)
    assert match._peers[1].protocol_errors == 1
    assert not match._peers[2].ready


def test_a_goodbye_of_an_episode_that_its_sender_cannot_be_in_is_a_protocol_error() -> None:
    match = waiting_match(3, 1)
    for episode in (2, 7):
        match.receive(1, encode(Goodbye("normal", episode, 0, None, Cause.LEFT, ())), 0.1)
    assert match._peers[1].protocol_errors == 2
    match.receive(1, encode(Goodbye("normal", 1, 0, None, Cause.LEFT, ())), 0.1)
    match.receive(1, encode(Goodbye("normal", 1, 0, None, Cause.LEFT, ())), 0.1)
    assert match._peers[1].protocol_errors == 3


def test_who_is_gone_before_everybody_has_greeted_everybody_is_missed_at_once() -> None:
    match = Match(
        local=0, players=3, description={"must": {}}, match_seed=7, sync=SyncConfig(), secret=b"ours"
    )
    match.opened(1, 0.0)
    match.opened(2, 0.0)
    match.receive(1, encode(Hello(PROTOCOL_VERSION, JsonObject({"must": {}}), b"", 0, 0)), 0.0)
    match.receive(1, encode(READY), 0.0)
    told(match)
    match.receive(1, encode(Holdings(0, ((2, 0, Cause.LOST),))), 0.1)
    assert told(match) == [PlayerGone(2, "peer_lost", 0, source=Source.PEER, via=1)]
    match.receive(1, encode(Goodbye("normal", 0, 0, None, Cause.LEFT, ())), 0.2)
    assert told(match) == [PlayerGone(1, "peer_left", 0, "normal", source=Source.GOODBYE)]
