from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.wire.messages import (
    MAX_CTRL_BYTES,
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
    Checksum,
    Fragment,
    Goodbye,
    Hello,
    Holdings,
    Inputs,
    Message,
    Ping,
    Pong,
    Ready,
    Reassembler,
    Refuse,
    Share,
    decode,
    encode,
    split,
)
from gym_p2p.errors import ProtocolError

counts = st.integers(0, 2**62)
micros = st.integers(0, 2**63)
texts = st.text(max_size=40)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts
mappings = st.dictionaries(texts, scalars, max_size=5)

delays = st.integers(0, 60)
blobs = st.lists(st.binary(max_size=512), max_size=8).map(tuple)


def sorted_items(held: dict[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted(held.items()))


messages = st.one_of(
    st.builds(Hello, st.just(PROTOCOL_VERSION), mappings),
    st.builds(Refuse, st.lists(st.tuples(texts, texts, texts), max_size=5).map(tuple)),
    st.builds(Ready, counts, st.none() | st.integers(0, 2**64 - 1), st.none() | mappings, counts, delays),
    st.builds(Checksum, counts, counts, st.binary(min_size=1, max_size=64)),
    st.builds(Goodbye, texts, counts, st.none() | st.integers(0, 63)),
    st.builds(Fragment, counts, counts, counts, st.binary(max_size=1000)),
    st.builds(
        Inputs,
        counts,
        counts,
        st.lists(counts, max_size=64).map(tuple),
        st.integers(-(2**61), 2**61),
        blobs,
        delays,
    ),
    st.builds(Share, counts, counts, counts, blobs),
    st.builds(Holdings, counts, st.dictionaries(st.integers(0, 63), counts, max_size=8).map(sorted_items)),
    st.builds(Ping, st.integers(0, 2**32 - 1), micros),
    st.builds(Pong, st.integers(0, 2**32 - 1), micros, micros, micros),
)


@given(messages)
def test_every_message_is_what_it_was_after_the_wire(message: Message) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_protocol_error(data: bytes) -> None:
    try:
        message = decode(data)
    except ProtocolError:
        return
    assert decode(encode(message)) == message or isinstance(message, Hello)


@given(messages, st.data())
def test_a_truncated_message_is_an_error_or_another_message(message: Message, data: st.DataObject) -> None:
    whole = encode(message)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        assert decode(cut) != message
    except ProtocolError as error:
        assert error.problem  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty message"),
        (b"\x7f", "unknown kind of message"),
        (bytes(MAX_CTRL_BYTES + 1), "message too long"),
        (b"\x10\xff", "truncated message"),
        (b"\x10" + b"\xff" * 10, "number too long"),
        (b"\x10\x00\x00\x00\x00\x41", "number out of range"),
        (b"\x10\x01\x00\x00\x00\x00" + b"\x00" * 257, "too many inputs"),
        (b"\x10\x01\x00\x00\x00\x00\x81\x04", "number out of range"),
        (b"\x03\x01\x00[]", "wrong shape"),
        (b'\x03\x01\x00{"seed":true}', "wrong shape"),
        (b'\x03\x01\x00{"seed":NaN}', "malformed JSON"),
        (b"\x05{", "malformed JSON"),
        (b"\x05" + b"[" * 60_000, "malformed JSON"),
        (b'\x05{"reason":1,"frames":0}', "wrong shape"),
        (b"\x02[[1,2,3]]", "wrong shape"),
        (b"\x04\x01\x01", "wrong shape"),
        (b"\x11\x00", "truncated message"),
    ],
)
def test_what_is_wrong_with_the_bytes_is_named(data: bytes, problem: str) -> None:
    with pytest.raises(ProtocolError, match=problem):
        decode(data)


def test_the_bytes_of_inputs_are_those_of_the_documented_layout() -> None:
    message = Inputs(episode=1, start=300, received=(5, 6), advantage=-1, inputs=(b"\x02", b""), delay=4)
    assert encode(message) == bytes([0x10, 1, 0xAC, 0x02, 1, 4, 2, 5, 6, 1, 2, 0])


def test_sixty_frames_of_a_discrete_action_fit_a_message_with_room_to_spare() -> None:
    message = Inputs(1, 100_000, (100_000, 100_000), 3, (b"\x02",) * 60)
    assert len(encode(message)) < 150


def test_another_version_is_read_as_far_as_its_number() -> None:
    assert decode(bytes([0x01, 77]) + b"not even JSON") == Hello(77, {})


@given(st.binary(min_size=1, max_size=20_000), counts)
def test_a_long_message_is_whole_again_after_its_fragments(data: bytes, number: int) -> None:
    pieces = split(data, number)
    assert all(len(piece) <= MAX_MESSAGE_BYTES for piece in pieces)
    if len(pieces) == 1:
        assert pieces == [data]
        return
    reassembler = Reassembler()
    fragments = [decode(piece) for piece in pieces]
    results = [reassembler.add(fragment) for fragment in fragments if isinstance(fragment, Fragment)]
    assert results[:-1] == [None] * (len(pieces) - 1)
    assert results[-1] == data


@pytest.mark.parametrize(
    "fragments",
    [
        [Fragment(1, 1, 2, b"b")],
        [Fragment(1, 0, 3, b"a"), Fragment(1, 2, 3, b"c")],
        [Fragment(1, 0, 2, b"a"), Fragment(2, 1, 2, b"b")],
        [Fragment(1, 0, 1000, b"a")],
    ],
)
def test_fragments_that_do_not_belong_together_are_a_protocol_error(fragments: list[Fragment]) -> None:
    reassembler = Reassembler()
    for fragment in fragments[:-1]:
        assert reassembler.add(fragment) is None
    with pytest.raises(ProtocolError):
        reassembler.add(fragments[-1])
