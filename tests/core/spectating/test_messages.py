from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.core.spectating.messages import (
    FEED_VERSION,
    FRAMES_HEAD_BYTES,
    Acknowledge,
    EpisodeOver,
    EpisodeShown,
    Farewell,
    FeedMessage,
    FrameDigest,
    FramesShown,
    Subscribe,
    Welcome,
    decode_feed,
    encode_feed,
    encode_frame,
    encode_frames,
)
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.errors import ProtocolError
from tests.core.examples import examples

counts = st.integers(0, 2**63 - 1)
texts = st.text(max_size=40)
objects = st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts, max_size=5).map(
    JsonObject
)
digests = st.binary(min_size=1, max_size=64)
versions = st.just(FEED_VERSION)
frames = st.integers(1, 4).flatmap(
    lambda seats: st.lists(st.tuples(*[st.binary(max_size=300)] * seats), max_size=10).map(tuple)
)
messages = st.one_of(
    st.builds(Subscribe, versions, counts, counts),
    st.builds(Acknowledge, counts),
    st.builds(Welcome, versions, objects),
    st.builds(EpisodeShown, counts, st.integers(0, 2**64 - 1), objects, digests, st.none() | texts),
    st.builds(FramesShown, counts, counts, counts, frames),
    st.builds(FrameDigest, counts, counts, digests),
    st.builds(EpisodeOver, counts, counts, st.booleans()),
    st.builds(Farewell, texts),
)


@given(messages)
def test_every_message_is_what_it_was_after_the_wire(message: FeedMessage) -> None:
    assert decode_feed(encode_feed(message)) == message


@given(st.binary(max_size=80))
@settings(max_examples=examples(300))
def test_any_bytes_are_a_message_or_a_protocol_error(data: bytes) -> None:
    try:
        message = decode_feed(data)
    except ProtocolError:
        return
    assert decode_feed(encode_feed(message)) == message or isinstance(message, Welcome | FramesShown)


@given(messages, st.data())
def test_a_message_with_one_byte_changed_is_a_message_or_a_protocol_error(
    message: FeedMessage, data: st.DataObject
) -> None:
    changed = bytearray(encode_feed(message))
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode_feed(bytes(changed))
    except ProtocolError as error:
        assert error.problem  # noqa: PT017 - both outcomes are right
        return
    assert decode_feed(encode_feed(found)) == found


@given(counts, counts, counts, frames)
def test_frames_that_are_encoded_once_make_the_same_message(
    episode: int, start: int, newest: int, by_frame: tuple[tuple[bytes, ...], ...]
) -> None:
    encoded = [encode_frame(by_seat) for by_seat in by_frame]
    data = encode_frames(episode, start, newest, encoded)
    assert data == encode_feed(FramesShown(episode, start, newest, by_frame))
    assert len(data) <= FRAMES_HEAD_BYTES + sum(map(len, encoded))


@pytest.mark.parametrize(
    "by_frame", [((),), ((b"a",), (b"a", b"b")), ((b"",) * 65,)], ids=["no seat", "unequal", "65 seats"]
)
def test_every_frame_has_an_action_of_every_seat(by_frame: tuple[tuple[bytes, ...], ...]) -> None:
    encoded = [encode_frame(by_seat) for by_seat in by_frame]
    with pytest.raises(ProtocolError, match="wrong shape"):
        decode_feed(encode_frames(1, 0, 1, encoded))


@pytest.mark.parametrize(
    "message",
    [
        Acknowledge(-1),
        Acknowledge(2**63),
        EpisodeShown(1, -1, JsonObject({}), b"x", None),
        EpisodeShown(1, 1, JsonObject({}), b"", None),
        EpisodeShown(1, 1, JsonObject({}), b"x", "x" * 65),
        FrameDigest(1, 1, bytes(65)),
        Farewell("x" * 201),
    ],
    ids=repr,
)
def test_a_value_beyond_its_limit_does_not_arrive(message: FeedMessage) -> None:
    with pytest.raises(ProtocolError, match="wrong shape"):
        decode_feed(encode_feed(message))
