from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES, MAX_MESSAGE_BYTES, Reassembler, split
from gym_p2p.errors import ProtocolError

counts = st.integers(0, 2**62)


@given(st.binary(min_size=1, max_size=20_000).filter(lambda data: data[0] != 6), counts)
def test_a_long_message_is_whole_again_after_its_fragments(data: bytes, number: int) -> None:
    pieces = split(data, number)
    assert all(len(piece) <= MAX_MESSAGE_BYTES for piece in pieces)
    assert (len(pieces) == 1) == (len(data) <= MAX_MESSAGE_BYTES)
    reassembler = Reassembler()
    results = [reassembler.add(piece) for piece in pieces]
    assert results[:-1] == [None] * (len(pieces) - 1)
    assert results[-1] == data


@pytest.mark.parametrize("size", [1, MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES + 1, MAX_CTRL_BYTES])
def test_what_can_be_sent_can_be_put_together(size: int) -> None:
    data = b"\x90" * size
    reassembler = Reassembler()
    assert [reassembler.add(piece) for piece in split(data, 1)][-1] == data


def test_what_nobody_would_take_is_not_sent() -> None:
    with pytest.raises(ValueError, match="65537 bytes cannot be sent; at most 65536"):
        split(bytes(MAX_CTRL_BYTES + 1), 1)


def test_the_bytes_of_a_fragment_are_those_of_the_documented_layout() -> None:
    first, last = split(b"\x90" + bytes(1160), 300)
    assert first == b"\x06" + bytes([300 % 128, 0, 2]) + b"\x90" + bytes(1155)
    assert last == b"\x06" + bytes([300 % 128, 1, 2]) + bytes(5)


def test_fragments_of_version_1_are_understood_for_their_greeting_is() -> None:
    whole = b"\x01\x01" + b"x" * 2000
    pieces = [b"\x06\x01\x00\x02" + whole[:1144], b"\x06\x01\x01\x02" + whole[1144:]]
    reassembler = Reassembler()
    assert [reassembler.add(piece) for piece in pieces] == [None, whole]


def test_other_messages_may_come_between_fragments() -> None:
    reassembler = Reassembler()
    assert reassembler.add(b"\x06\x01\x00\x02ab") is None
    assert reassembler.add(b"\x93\x11\x07\x00") == b"\x93\x11\x07\x00"
    assert reassembler.add(b"\x06\x01\x01\x02c") == b"abc"


def test_a_new_beginning_takes_the_place_of_what_was_not_finished() -> None:
    reassembler = Reassembler()
    assert reassembler.add(b"\x06\x01\x00\x02ab") is None
    assert reassembler.add(b"\x06\x02\x00\x01c") == b"c"


@pytest.mark.parametrize(
    ("fragments", "problem"),
    [
        ([b"\x06\x01\x01\x02b"], "fragment out of order"),
        ([b"\x06\x01\x00\x03a", b"\x06\x01\x02\x03c"], "fragment out of order"),
        ([b"\x06\x01\x00\x02a", b"\x06\x02\x01\x02b"], "fragment out of order"),
        ([b"\x06\x01\x00\x02a", b"\x06\x01\x01\x01b"], "fragment out of order"),
        ([b"\x06\x01\x00\x00a"], "fragment out of order"),
        ([b"\x06\x01\x00\x3ba"], "message too long"),
        ([b"\x06\x01\x00\xffa"], "message too long"),
        ([b"\x06\x01\x00\x02" + bytes(MAX_CTRL_BYTES), b"\x06\x01\x01\x02b"], "message too long"),
        ([b"\x06"], "truncated message"),
        ([b"\x06\x01\x00"], "truncated message"),
    ],
)
def test_fragments_that_do_not_belong_together_are_a_protocol_error(
    fragments: list[bytes], problem: str
) -> None:
    reassembler = Reassembler()
    for fragment in fragments[:-1]:
        assert reassembler.add(fragment) is None
    with pytest.raises(ProtocolError, match=problem):
        reassembler.add(fragments[-1])
    assert reassembler.add(b"\x06\x05\x00\x01after") == b"after"


@given(st.lists(st.binary(max_size=20).map(lambda data: b"\x06" + data), max_size=30))
def test_whatever_fragments_come_nothing_but_a_protocol_error_does(fragments: list[bytes]) -> None:
    reassembler = Reassembler()
    for fragment in fragments:
        try:
            whole = reassembler.add(fragment)
        except ProtocolError:
            continue
        assert whole is None or len(whole) <= MAX_CTRL_BYTES


@given(st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70), st.integers(0, 20_000)), max_size=80))
def test_no_peer_can_make_us_keep_more_than_a_message(fragments: list[tuple[int, int, int]]) -> None:
    reassembler = Reassembler()
    for index, count, size in fragments:
        try:
            reassembler.add(bytes([6, 1, index, count]) + bytes(size))
        except ProtocolError:
            continue
        assert sum(map(len, reassembler._pieces)) <= MAX_CTRL_BYTES
