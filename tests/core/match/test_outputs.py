from __future__ import annotations

import pytest

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.events import ChecksumsAgreed, Left
from gym_p2p.core.match.forwards import Forwards
from gym_p2p.core.match.outputs import Outputs, Transmit
from gym_p2p.core.match.peer import Peer
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES, Reassembler
from gym_p2p.core.wire.messages import (
    Cause,
    Channel,
    Checksum,
    Goodbye,
    Holdings,
    Inputs,
    Message,
    Ping,
    Pong,
    Ready,
    Refuse,
    Share,
    encode,
)


def peer() -> Peer:
    return Peer(index=1, sync=SyncConfig(), players=2)


def outputs_of_one() -> Outputs:
    return Outputs({}, Forwards(local=0, peers={}, seals=Seals(b"ours", players=2)))


def test_requests_and_events_come_out_in_the_order_in_which_they_went_in() -> None:
    outputs = outputs_of_one()
    outputs.emit(Left())
    outputs.send(peer(), Ping(0, 1, 0), 0.0)
    outputs.emit(ChecksumsAgreed(1, 2), ChecksumsAgreed(1, 3))
    polled = [outputs.poll() for _ in range(5)]
    ping = Transmit(1, Channel.GAME, encode(Ping(0, 1, 0)))
    assert polled == [Left(), ping, ChecksumsAgreed(1, 2), ChecksumsAgreed(1, 3), None]


@pytest.mark.parametrize(
    ("message", "channel"),
    [
        (Inputs(1, 0, (0, 0), 0, (), 0), Channel.GAME),
        (Ping(0, 1, 0), Channel.GAME),
        (Pong(0, 1, 2, 3), Channel.GAME),
        (Ready(1, None, None, 0, 0), Channel.CTRL),
        (Refuse(()), Channel.CTRL),
        (Checksum(1, 1, b"x"), Channel.CTRL),
        (Goodbye("normal", 0, 0, None, Cause.LEFT, ()), Channel.CTRL),
        (Share(1, 0, 0, (), b""), Channel.CTRL),
        (Holdings(1, ()), Channel.CTRL),
    ],
)
def test_what_may_be_lost_goes_over_the_game_channel_and_all_else_does_not(
    message: Message, channel: Channel
) -> None:
    outputs, recipient = outputs_of_one(), peer()
    outputs.send(recipient, message, 5.0)
    assert outputs.poll() == Transmit(1, channel, encode(message))
    assert recipient.sent_at == (
        5.0 if channel is Channel.GAME else 0.0
    )  # the keep-alive is the game channel's


def test_what_is_too_long_goes_in_fragments_that_are_told_apart() -> None:
    outputs, recipient, reassembler = outputs_of_one(), peer(), Reassembler()
    messages = [Ready(number, None, JsonObject({"x": "y" * 3000}), 0, 0) for number in (1, 2)]
    for message in messages:
        outputs.send(recipient, message, 0.0)
    whole, numbers = [], set()
    for output in iter(outputs.poll, None):
        assert isinstance(output, Transmit)
        assert len(output.data) <= MAX_MESSAGE_BYTES
        numbers.add(output.data[1])
        whole.append(reassembler.add(output.data))
    assert [data for data in whole if data is not None] == [encode(message) for message in messages]
    assert numbers == {1, 2}
