"""What a peer says that is well-formed and cannot be true: refused and counted, and nothing comes of it."""

from __future__ import annotations

import msgspec
import pytest

from gym_p2p.core.match.checksums import ChecksumHistory
from gym_p2p.core.match.events import (
    BeginEpisode,
    ChecksumsAgreed,
    Desynced,
    GiveChecksum,
    GiveInput,
    InputsArrived,
    Leave,
    ProtocolErrorSeen,
)
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES, split
from gym_p2p.core.wire.messages import Checksum, Inputs, Ready, decode, encode
from tests.core.match.pairs import greeted_match, outputs_of


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
