"""What a peer says that is well-formed and cannot be true: refused and counted, and nothing comes of it."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gym_p2p.core.match.checksums import ChecksumHistory
from gym_p2p.core.match.claims import AHEAD_MOST
from gym_p2p.core.match.commands import BeginEpisode, GiveChecksum, GiveInput, Leave
from gym_p2p.core.match.events import (
    ChecksumsAgreed,
    Desynced,
    HandshakeMismatch,
    InputsArrived,
    PlayerGone,
    ProtocolErrorSeen,
    Source,
)
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES, split
from gym_p2p.core.wire.messages import (
    MAX_INPUT_DELAY,
    MAX_INPUTS_PER_MESSAGE,
    PROTOCOL_VERSION,
    Cause,
    Checksum,
    Hello,
    Holdings,
    Inputs,
    Message,
    Ready,
    Refuse,
    Relay,
    StatePart,
    decode,
    encode,
)
from tests.core.examples import examples
from tests.core.match.pairs import goodbye, greeted_match, lone_match, outputs_of


def _errors(match: Match) -> list[str]:
    return [output.problem for output in outputs_of(match) if isinstance(output, ProtocolErrorSeen)]


def _playing(players: int, frames: int) -> Match:
    match = greeted_match(players)
    match.command(BeginEpisode(seed=1), 0.0)
    for player in range(1, players):
        match.receive(player, encode(Ready(1, None, None, 0, 0)), 0.0)
    for frame in range(frames):
        match.command(GiveInput(frame, b"x"), 0.01 * frame)
    outputs_of(match)
    return match


def test_inputs_that_were_not_given_are_not_acknowledged() -> None:
    match = _playing(2, frames=5)
    match.receive(1, encode(Inputs(1, 0, (6, 3), 0, (b"a",) * 3, 0)), 1.0)
    assert _errors(match) == ["acknowledges inputs that were not given"]
    match.handle_timeout(2.0)
    sent = [decode(output.data) for output in outputs_of(match) if isinstance(output, Transmit)]
    (repeated,) = [message for message in sent if isinstance(message, Inputs)]
    assert (repeated.start, repeated.inputs) == (0, (b"x",) * 5)
    match.receive(1, encode(Inputs(1, 0, (5, 3), 0, (b"a",) * 3, 0)), 2.1)
    assert _errors(match) == []


A = (b"a",) * 3
MANY = (b"",) * MAX_INPUTS_PER_MESSAGE


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (Inputs(1, 0, (6, 3, 0), -3, A, 0), "acknowledges inputs that were not given"),
        (Inputs(1, 0, (2**62, 3, 0), -(2**62) + 3, A, 0), "acknowledges inputs that were not given"),
        (Inputs(1, 0, (5, 2, 0), -3, A, 0), "inputs that their sender does not hold"),
        (Inputs(1, 7, (5, 9, 0), 4, A, 0), "inputs that their sender does not hold"),
        (Inputs(1, 0, (5, 3), -2, A, 0), "report about another number of players"),
        (Inputs(1, 0, (), 0, (), 0), "report about another number of players"),
        (Inputs(1, 0, (5, 3, 0, 0), -2, A, 0), "report about another number of players"),
        (Inputs(1, 0, (5, 3, 0), -3, A, 0), "impossible frame advantage"),
        (Inputs(1, 0, (5, 3, 0), -1 + MAX_INPUT_DELAY, A, 0), "impossible frame advantage"),
        (Inputs(1, 0, (5, 3, 0), 2**62 - 1, A, 0), "impossible frame advantage"),
        (Inputs(1, 0, (5, 3, 0), -(2**62), A, 60), "impossible frame advantage"),
        (
            Inputs(1, 10**9, (5, 10**9 + 3, 0), 10**9 - 2, A, 0),
            "inputs too far ahead of what was acknowledged",
        ),
        (Inputs(1, 0, (0, 256, 256), 256, MANY, 0), "inputs too far ahead of what was acknowledged"),
        (Inputs(1, 256, (5, 512, 0), 507, MANY, 0), "inputs too far ahead of what was acknowledged"),
        (Ready(3, None, None, 0, 0), "barrier of another episode"),
        (Ready(1, None, None, 0, 0), "barrier of another episode"),
        (Ready(2**62, None, None, 0, 0), "barrier of another episode"),
        (Ready(2, None, None, 5 + AHEAD_MOST + 1, 0), "more inputs than can have been given"),
        (Ready(2, None, None, 2**62, 0), "more inputs than can have been given"),
        (goodbye(episode=2), "wrong goodbye"),
        (goodbye(episode=2**62), "wrong goodbye"),
        (goodbye(episode=1, frames=5 + AHEAD_MOST + 1), "more inputs than can have been given"),
        (Holdings(1, ((1, 0, Cause.LOST),)), "wrong players"),
        (Holdings(1, ((7, 0, Cause.LOST),)), "wrong players"),
        (StatePart(1, 0, 0, 1, b"x"), "unexpected state"),
        (Relay(0, encode(goodbye())), "inputs of somebody else"),
        (Relay(1, encode(goodbye())), "inputs of somebody else"),
        (Relay(2, encode(goodbye())), "goodbye that is not its sender's"),
    ],
    ids=repr,
)
def test_what_cannot_be_true_is_a_protocol_error_and_changes_nothing(said: Message, problem: str) -> None:
    match = _playing(3, frames=5)
    before = [peer.state for peer in match._peers.values()]
    match.receive(1, encode(said), 1.0)
    assert _errors(match) == [problem]
    assert [peer.state for peer in match._peers.values()] == before
    assert match._peers[1].remote_inputs.count == match._peers[1].acknowledged == 0
    assert match._peers[1].goodbye is None


@pytest.mark.parametrize("lost", [1, 3, 7])
def test_whoever_left_for_nobody_that_there_is_has_left_and_is_the_only_one_named(lost: int) -> None:
    match = _playing(3, frames=5)
    match.receive(1, encode(goodbye(episode=1, lost=lost, cause=Cause.LOST)), 1.0)
    (gone,) = [output for output in outputs_of(match) if isinstance(output, PlayerGone)]
    assert (gone.player, gone.lost, gone.source) == (1, None, Source.GOODBYE)


@pytest.mark.parametrize(
    "said",
    [
        Refuse((("game", "chess", "go"),)),
        Hello(PROTOCOL_VERSION, JsonObject({"must": {"game": "chess"}}), b"", 0, 0),
    ],
    ids=repr,
)
def test_that_a_peer_plays_something_else_is_told_once_however_often_it_says_so(said: Message) -> None:
    match = lone_match(2)
    match.opened(1, 0.0)
    for _ in range(20):
        match.receive(1, encode(said), 0.1)
    outputs = outputs_of(match)
    assert [type(o) for o in outputs if isinstance(o, HandshakeMismatch)] == [HandshakeMismatch]
    assert len([o for o in outputs if isinstance(o, ProtocolErrorSeen)]) == 19


def test_nobody_refuses_what_they_play_already() -> None:
    match = _playing(2, frames=5)
    match.receive(1, encode(Refuse((("game", "chess", "go"),))), 1.0)
    assert _errors(match) == ["refusal after the handshake"]


def test_nobody_takes_back_inputs_that_are_here() -> None:
    for said in (Ready(2, None, None, 2, 0), goodbye(episode=1, frames=2), goodbye(frames=3)):
        match = _playing(2, frames=5)
        match.receive(1, encode(Inputs(1, 0, (5, 3), -2, A, 0)), 1.0)
        outputs_of(match)
        match.receive(1, encode(said), 1.1)
        assert _errors(match) == ["takes back inputs"]


def test_who_is_ready_twice_for_one_episode_is_ready_as_at_first() -> None:
    match = _playing(3, frames=5)
    match.receive(1, encode(Ready(2, 1, None, 0, 0)), 1.0)
    match.receive(1, encode(Ready(2, 2, None, 0, 0)), 1.1)
    assert _errors(match) == ["barrier of another episode"]
    assert match._peers[1].ready[2].seed == 1


def test_of_who_sends_inputs_and_acknowledges_none_no_more_is_kept_than_can_be_true() -> None:
    match = _playing(2, frames=5)
    for frame in range(10_000):
        received = (0, frame + 1)
        match.receive(1, encode(Inputs(1, frame, received, frame + 1, (b"x",), 0)), 1.0)
    assert match._peers[1].remote_inputs.count == AHEAD_MOST
    assert not match._peers[1].present  # they have been removed for all the rest


@pytest.mark.parametrize("start", [1, 4, 10**6])
def test_of_inputs_of_the_future_nothing_is_kept(start: int) -> None:
    match = _playing(2, frames=5)
    for _ in range(100):
        match.receive(1, encode(Inputs(1, start, (5, start + 3), start - 2, A, 0)), 1.0)
    assert match._peers[1].remote_inputs.count == 0


@pytest.mark.parametrize(("episode", "frame"), [(1, 5), (1, 10**9), (2, 0), (0, 0), (7, 3)])
def test_a_checksum_of_a_frame_that_nobody_can_have_is_refused(episode: int, frame: int) -> None:
    match = _playing(2, frames=5)
    match.receive(1, encode(Checksum(episode, frame, b"theirs")), 1.0)
    assert _errors(match) == ["checksum of a frame that cannot be final"]


@pytest.mark.parametrize("last", ["another", "ours"])
def test_early_inputs_that_cannot_be_true_are_counted_against_their_sender(last: str) -> None:
    match = greeted_match(3)
    ready = encode(Ready(1, None, None, 0, 0))
    if last == "another":
        match.command(BeginEpisode(), 0.0)
    match.receive(1, ready, 0.0)
    match.receive(1, encode(Inputs(1, 0, (5, 1, 0), 0, (b"a",), 0)), 0.0)
    seen = [output for output in outputs_of(match) if isinstance(output, ProtocolErrorSeen)]
    assert [error.player for error in seen] == [1]
    match.receive(2, encode(Inputs(1, 0, (0, 0, 1), 1, (b"b",), 0)), 0.0)
    match.receive(2, ready, 0.0)
    if last == "ours":
        match.command(BeginEpisode(), 0.0)
    match.handle_timeout(1.0)
    outputs = outputs_of(match)
    assert not any(isinstance(output, ProtocolErrorSeen) for output in outputs)
    arrived = [output for output in outputs if isinstance(output, InputsArrived)]
    assert [(one.player, one.inputs) for one in arrived] == [(2, (b"b",))]


def test_who_leaves_counts_nothing_against_those_who_play_on() -> None:
    match = _playing(2, frames=5)
    match.command(Leave("normal"), 1.0)
    match.receive(1, encode(Checksum(1, 5, b"theirs")), 1.1)
    match.receive(1, encode(Checksum(2, 0, b"theirs")), 1.1)
    assert _errors(match) == []


def test_a_checksum_of_the_episode_before_still_counts() -> None:
    match = _playing(2, frames=5)
    match.receive(1, encode(Inputs(1, 0, (5, 5), 0, (b"a",) * 5, 0)), 1.0)
    match.command(GiveChecksum(4, b"ours"), 1.0)
    match.command(BeginEpisode(seed=2), 1.0)
    match.receive(1, encode(Ready(2, None, None, 5, 0)), 1.0)
    outputs_of(match)
    match.receive(1, encode(Checksum(1, 5, b"ours")), 1.1)
    assert _errors(match) == ["checksum of a frame that cannot be final"]
    match.receive(1, encode(Checksum(1, 4, b"ours")), 1.1)
    assert ChecksumsAgreed(1, 4) in outputs_of(match)


def test_forged_checksums_push_out_no_true_disagreement() -> None:
    match = _playing(3, frames=60)
    match.receive(2, encode(Checksum(1, 29, b"theirs")), 1.0)
    for frame in range(4200):
        match.receive(1, encode(Checksum(1, frame, b"forged")), 1.0)
    outputs_of(match)
    match.command(GiveChecksum(29, b"ours"), 1.1)
    found = [(event.frame, event.player) for event in outputs_of(match) if isinstance(event, Desynced)]
    assert sorted(found) == [(29, 1), (29, 2)]  # the forged one of that frame differs too: that is all


@settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.data_too_large])
@given(
    players=st.integers(3, 5),
    count=st.sampled_from([1, 40, 4_096, 4_097, 9_000]),
    frames=st.sampled_from([1, 30, 200]),
    at=st.data(),
    seed=st.randoms(use_true_random=False),
)
def test_however_many_are_forged_in_whatever_order_a_true_disagreement_is_found(
    players: int, count: int, frames: int, at: st.DataObject, seed: Random
) -> None:
    """The first peer makes up digests; the last one's differ at one frame, and all others' are equal."""
    history = ChecksumHistory(local=0, players=players)
    differs = at.draw(st.integers(0, frames - 1))
    said = {player: [(frame, b"same") for frame in range(frames)] for player in range(players)}
    said[players - 1][differs] = differs, b"another"
    said[1] = [(seed.choice([frame, seed.randrange(10**9)]), b"forged") for frame in range(count)]
    found: list[object] = []
    while said:
        player = seed.choice(list(said))
        for _ in range(seed.choice([1, 7, 5_000])):
            if not said[player]:
                del said[player]
                break
            found += history.add(player, Checksum(1, *said[player].pop(0)))
    true = [event for event in found if isinstance(event, Desynced) and event.player > 1]
    assert {(event.player, event.frame) for event in true} == {(players - 1, differs)}


def test_what_others_make_up_is_not_kept() -> None:
    history = ChecksumHistory(local=0, players=3)
    for checked in range(29, 3_000, 30):
        for frame in range(checked - 29, checked):
            history.add(1, Checksum(1, frame, b"forged"))
        history.add(0, Checksum(1, checked, b"ours"))
        assert history.awaits([2])
        history.add(2, Checksum(1, checked, b"ours"))
    assert len(history._ahead) == 0
    assert len(history._open) == 100  # of which the first's is missing


@pytest.mark.parametrize("text", ["z", "\u00e9", "\U0001f3d3"])
def test_what_a_player_is_ready_for_can_always_be_passed_on(text: str) -> None:
    """Written anew by who passes it on, or within another message, it may be longer than it came."""
    refused = 0
    for size_bytes in (100, 60_000, 65_515):
        match = greeted_match(3)
        match.command(BeginEpisode(), 0.0)
        options = f'{{"o":"{text * (size_bytes // len(text.encode()))}"}}'
        for piece in split(msgspec.msgpack.encode([0x03, 1, None, options, 0, 0]), 1):
            match.receive(1, piece, 0.0)
        refused += len(_errors(match))
        match.closed(1, 0.1)
        passed_on = [output for output in outputs_of(match) if isinstance(output, Transmit)]
        assert passed_on
        assert all(len(output.data) <= MAX_MESSAGE_BYTES for output in passed_on)
    assert 1 <= refused <= 2
