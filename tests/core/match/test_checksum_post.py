"""Checksums of unpaced frames go to the others together, all of them, and before what rests on them."""

from __future__ import annotations

import pytest

from gym_p2p.core.match.checksum_post import AHEAD_S, TOGETHER_S
from gym_p2p.core.match.commands import BeginEpisode, Command, GiveChecksum, GiveState, Leave, SetInputDelay
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.wire.messages import Cause, Channel, Checksum, Goodbye, decode, encode
from tests.core.match.test_reconnecting import connected

AT_ONCE = 3


def checksums_of(match: Match) -> list[int]:
    """Return the frames whose checksums are sent now, up to the first other control message."""
    frames = []
    while (output := match.poll()) is not None:
        if isinstance(output, Transmit) and output.channel is Channel.CTRL:
            message = decode(output.data)
            if not isinstance(message, Checksum):
                break
            frames.append(message.frame)
    return frames


def gave_many(match: Match) -> None:
    """Give ten checksums at once, of which the first few go."""
    while match.poll() is not None:
        pass
    for frame in range(10):
        match.command(GiveChecksum(frame, b"x", 1), 1.0)
    assert checksums_of(match) == list(range(AT_ONCE))


def test_those_of_frames_that_follow_each_other_closely_go_together_and_in_order() -> None:
    match = connected()
    gave_many(match)
    due_at = 1.0 + AT_ONCE * TOGETHER_S - AHEAD_S
    match.handle_timeout(due_at - 0.01)
    assert checksums_of(match) == []
    wanted_at = match.next_timeout()
    assert wanted_at is not None
    assert 1.0 < wanted_at <= due_at + 1e-9
    match.handle_timeout(due_at + 1e-9)
    assert checksums_of(match) == list(range(AT_ONCE, 10))


def test_those_of_a_paced_match_never_wait() -> None:
    match = connected()
    gave_many(match)
    match.handle_timeout(1.2)
    checksums_of(match)
    for number in range(4):
        match.command(GiveChecksum(30 * (number + 1), b"x", 1), 1.5 + number / 2)
        assert checksums_of(match) == [30 * (number + 1)]


def test_none_waits_longer_however_often_others_had_to_go_at_once() -> None:
    match = connected()
    for number in range(100):  # as where episodes are a few frames long
        match.command(GiveChecksum(number, b"x", 1), 1.0 + number / 100)
        match.command(SetInputDelay(0), 1.0 + number / 100)
    while match.poll() is not None:
        pass
    match.command(GiveChecksum(100, b"x", 1), 2.0)
    match.handle_timeout(2.0 + TOGETHER_S)
    assert checksums_of(match) == [100]


@pytest.mark.parametrize(
    "command", [BeginEpisode(None, None, 0), GiveState(1, 1, 9, b"state"), Leave("left")]
)
def test_they_go_before_what_rests_on_them(command: Command) -> None:
    match = connected()
    gave_many(match)
    match.command(command, 1.01)
    assert checksums_of(match) == list(range(AT_ONCE, 10))


def test_who_leaves_gets_them_at_once() -> None:
    match = connected()
    gave_many(match)
    match.receive(1, encode(Goodbye("normal", 1, 0, None, Cause.LEFT, ())), 1.01)
    assert checksums_of(match) == list(range(AT_ONCE, 10))
