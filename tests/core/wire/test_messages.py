from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.match.input_buffers import room_for_inputs
from gym_p2p.core.spectating.messages import EpisodeShown, decode_feed, encode_feed
from gym_p2p.core.wire.acting import Keep, Kept, ReadyFor
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.forwarded import FORWARD_SEAL_BYTES, ForwardedControl, ForwardedGame
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES
from gym_p2p.core.wire.messages import (
    INPUT_HEAD_BYTES,
    MAX_DIFFERENCES,
    MAX_INPUT_BYTES,
    MAX_INPUTS_PER_MESSAGE,
    MAX_OPTIONS_BYTES,
    PROTOCOL_VERSION,
    SEAL_BYTES,
    ActedFor,
    Cause,
    Checksum,
    Continue,
    Goodbye,
    Hello,
    Holdings,
    Inputs,
    Message,
    Ping,
    Pong,
    Ready,
    Refuse,
    Relay,
    Resume,
    Share,
    StatePart,
    decode,
    encode,
)
from gym_p2p.core.wire.past import Past, PastWord, Recall, TookSeat
from gym_p2p.errors import ProtocolError

counts = st.integers(0, 2**63 - 1)
micros = st.integers(0, 2**64 - 1)
texts = st.text(max_size=40)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts
objects = st.dictionaries(texts, scalars, max_size=5).map(JsonObject)

delays = st.integers(0, 60)
blobs = st.lists(st.binary(max_size=512), max_size=8).map(tuple)


causes = st.sampled_from(Cause)
seals = st.binary(max_size=SEAL_BYTES)
players = st.integers(0, 63)
changes = st.integers(0, 2**32 - 1)
forward_seals = st.binary(max_size=FORWARD_SEAL_BYTES)
forwarded = st.binary(max_size=MAX_MESSAGE_BYTES)
many_seals = st.lists(seals, max_size=64).map(tuple)
many_counts = st.lists(counts, max_size=64).map(tuple)


def sorted_items(held: dict[int, tuple[int, Cause]]) -> tuple[tuple[int, int, Cause], ...]:
    return tuple((player, count, cause) for player, (count, cause) in sorted(held.items()))


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
).map(lambda value: [16, 1, 0, value] if isinstance(value, int) else value)


def past(**told: Any) -> Past:
    """Return what was played of a first episode of nobody's, otherwise where that is told."""
    numbers: dict[str, Any] = {"episode": 1, "newest": 1, "digest_count": 0}
    lists: dict[str, Any] = dict.fromkeys(("away", "held", "start", "inputs", "actors", "digests"), ())
    return Past(**{"returning": False, "more": False} | numbers | lists | told)


@st.composite
def pasts(draw: st.DrawFn) -> Past:
    who = draw(st.integers(0, 8))
    each = st.lists(counts, min_size=who, max_size=who).map(tuple)
    inputs = draw(st.lists(blobs, min_size=who, max_size=who).map(tuple))
    return Past(
        episode=draw(counts),
        newest=draw(counts),
        returning=draw(st.booleans()),
        away=draw(st.lists(players, max_size=8).map(tuple)),
        held=draw(each),
        start=draw(each),
        inputs=inputs,
        actors=tuple([draw(actors_of(one)) for one in inputs]),
        digests=draw(st.lists(st.tuples(counts, st.binary(min_size=1, max_size=64)), max_size=8).map(tuple)),
        digest_count=draw(counts),
        more=draw(st.booleans()),
    )


@st.composite
def acted(draw: st.DrawFn, kind: Any, whose: Any) -> Any:
    inputs = draw(blobs)
    return kind(draw(counts), draw(whose), draw(counts), inputs, draw(actors_of(inputs)))


def actors_of(inputs: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    return st.lists(st.integers(0, 2), min_size=len(inputs), max_size=len(inputs)).map(bytes) | st.just(b"")


messages = st.one_of(
    st.builds(Hello, st.just(PROTOCOL_VERSION), objects, seals, counts, counts),
    st.builds(Refuse, st.lists(st.tuples(texts, texts, texts), max_size=5).map(tuple)),
    st.builds(Ready, counts, st.none() | st.integers(0, 2**64 - 1), st.none() | objects, counts, delays),
    st.builds(Checksum, counts, counts, st.binary(min_size=1, max_size=64)),
    st.builds(
        Goodbye, texts, counts, counts, st.none(), st.sampled_from([Cause.LEFT, Cause.CRASHED]), many_seals
    ),
    st.builds(Goodbye, texts, counts, counts, st.integers(0, 63), causes, many_seals),
    st.builds(StatePart, counts, counts, counts, counts, st.binary(max_size=1000)),
    st.builds(
        Inputs,
        counts,
        counts,
        st.lists(counts, max_size=64).map(tuple),
        st.integers(-(2**62), 2**62 - 1),
        blobs,
        delays,
    ),
    acted(Share, counts),
    acted(ActedFor, players),
    st.builds(Keep, players, counts, st.booleans()),
    st.builds(Kept, players, counts, st.booleans(), counts, counts),
    st.builds(ReadyFor, players, st.binary(max_size=2_000)),
    st.builds(Relay, st.integers(0, 63), st.binary(max_size=2_000)),
    st.builds(
        Holdings,
        counts,
        st.dictionaries(st.integers(0, 63), st.tuples(counts, causes), max_size=8).map(sorted_items),
    ),
    st.builds(Resume, counts, seals, counts),
    st.builds(Continue, counts, changes),
    pasts(),
    st.builds(Recall, counts, many_counts, counts, st.booleans()),
    st.builds(PastWord, players, st.binary(max_size=2_000)),
    st.builds(TookSeat, counts, counts, counts, counts, counts, st.lists(st.integers(0, 2)).map(bytes)),
    st.builds(ForwardedControl, players, players, changes, counts, forward_seals, forwarded),
    st.builds(ForwardedGame, players, players, counts, forward_seals, forwarded),
    st.builds(Ping, st.integers(0, 2**32 - 1), micros, counts),
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


@given(messages, st.data())
def test_a_message_with_one_byte_changed_is_a_message_or_a_protocol_error(
    message: Message, data: st.DataObject
) -> None:
    changed = bytearray(encode(message))
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] = data.draw(st.integers(0, 255))
    try:
        found = decode(bytes(changed))
    except ProtocolError as error:
        assert error.problem  # noqa: PT017 - both outcomes are right
        return
    assert isinstance(found, Hello) or decode(encode(found)) == found


@given(plain_values)
def test_any_messagepack_is_a_message_or_a_protocol_error(value: Any) -> None:
    try:
        message = decode(msgspec.msgpack.encode(value))
    except ProtocolError:
        return
    assert decode(encode(message)) == message


def test_the_bytes_of_inputs_are_those_of_the_documented_layout() -> None:
    message = Inputs(episode=1, start=300, received=(5, 6), advantage=-1, inputs=(b"\x02", b""), delay=4)
    header = bytes([0x97, 0x10, 1, 0xCD, 1, 44, 0x92, 5, 6, 0xFF])
    assert encode(message) == header + bytes([0x92, 0xC4, 1, 2, 0xC4, 0, 4])


def test_sixty_frames_of_a_discrete_action_fit_a_message_with_room_to_spare() -> None:
    message = Inputs(1, 100_000, (100_000, 100_000), 3, (b"\x02",) * 60, 0)
    assert len(encode(message)) < 210


def test_another_version_is_read_as_far_as_its_number() -> None:
    assert decode(bytes([0x01, 77]) + b"not even JSON") == Hello(77, JsonObject({}), b"", 0, 0)


@given(st.integers(1, 64), st.lists(st.binary(max_size=MAX_INPUT_BYTES), max_size=400))
def test_inputs_for_which_there_is_room_fit_a_message(players: int, inputs: list[bytes]) -> None:
    room = room_for_inputs(players)
    chosen: list[bytes] = []
    for data in inputs[:MAX_INPUTS_PER_MESSAGE]:
        room -= len(data) + INPUT_HEAD_BYTES
        if room < 0:
            break
        chosen.append(data)
    most = 2**63 - 1
    message = Inputs(most, most, (most,) * players, -(2**62), tuple(chosen), 60)
    assert len(encode(message)) <= MAX_MESSAGE_BYTES


def test_there_is_room_for_the_longest_input_in_any_match_and_for_two_in_one_of_eight() -> None:
    assert room_for_inputs(64) >= MAX_INPUT_BYTES + INPUT_HEAD_BYTES
    assert room_for_inputs(8) >= 2 * (MAX_INPUT_BYTES + INPUT_HEAD_BYTES)


@pytest.mark.parametrize(
    "message",
    [
        Checksum(2**63, 0, b"x"),
        Checksum(-1, 0, b"x"),
        Checksum(1, 1, b""),
        Checksum(1, 1, bytes(65)),
        Goodbye("x" * 201, 0, 0, None, Cause.LEFT, ()),
        Goodbye("x", 0, 0, 64, Cause.LEFT, ()),
        Goodbye("x", 0, 0, None, Cause.LEFT, (bytes(17),)),
        Goodbye("x", 0, 0, None, Cause.LEFT, (b"",) * 65),
        Goodbye("x", 0, 0, 1, "tired", ()),  # type: ignore[arg-type]  # it does not arrive
        Hello(PROTOCOL_VERSION, JsonObject({}), bytes(17), 0, 0),
        Hello(PROTOCOL_VERSION, JsonObject({}), b"", -1, 0),
        Resume(-1, b"", 0),
        Resume(1, bytes(17), 0),
        Continue(-1, 0),
        Continue(0, -1),
        Continue(0, 2**32),
        ForwardedGame(64, 0, 1, b"", b""),
        ForwardedGame(0, 64, 1, b"", b""),
        ForwardedGame(0, 1, 1, bytes(FORWARD_SEAL_BYTES + 1), b""),
        ForwardedGame(0, 1, 1, b"", bytes(MAX_MESSAGE_BYTES + 1)),
        ForwardedControl(0, 1, 2**32, 0, b"", b""),
        ForwardedControl(0, 1, 0, -1, b"", b""),
        Recall(1, (0,) * 65, 0, claims=True),
        Recall(1, (0,), -1, claims=True),
        PastWord(64, b""),
        TookSeat(0, -1, 0, 0, 0, b""),
        TookSeat(0, 0, 0, 0, 0, bytes(1025)),
        past(away=(64,)),
        past(digests=((0, b""),)),
        Ready(1, -1, None, 0, 0),
        Ready(1, None, None, 0, 61),
        Inputs(1, 0, (0,) * 65, 0, (), 0),
        Inputs(1, 0, (), 2**62, (), 0),
        Inputs(1, 0, (), 0, (bytes(513),), 0),
        Inputs(1, 0, (), 0, (b"",) * 257, 0),
        Inputs(1, 0, (), 0, (), 61),
        Share(1, 0, 0, (bytes(513),), b""),
        Share(1, 0, 0, (b"",) * 257, b""),
        Keep(64, 0, commits=False),
        Kept(0, -1, commits=True, episode=1, held=0),
        ReadyFor(64, b""),
        Ping(2**32, 0, 0),
        Ping(0, 0, -1),
        Pong(0, -1, 0, 0),
        Refuse((("a", "b", "c"),) * (MAX_DIFFERENCES + 1)),
    ],
    ids=repr,
)
def test_a_value_beyond_its_limit_does_not_arrive(message: Message) -> None:
    with pytest.raises(ProtocolError, match="wrong shape"):
        decode(encode(message))


def test_the_largest_options_that_may_travel_leave_room_for_the_rest() -> None:
    options = JsonObject({"x": "y" * (MAX_OPTIONS_BYTES - len('{"x":""}'))})
    most = 2**63 - 1
    ready = Ready(most, 2**64 - 1, options, most, 60)
    shown = EpisodeShown(most, 2**64 - 1, options, bytes(64), "x" * 64)
    assert decode(encode(ready)) == ready
    assert decode_feed(encode_feed(shown)) == shown


@pytest.mark.parametrize("told", ["held", "start", "inputs"])
def test_what_was_played_is_told_of_the_same_players_everywhere(told: str) -> None:
    with pytest.raises(ProtocolError, match="wrong shape"):
        past(**{told: ((),) if told == "inputs" else (0,)})


@pytest.mark.parametrize("gone", [(1, 1), (2, 1)])
def test_holdings_name_every_player_once_in_order(gone: tuple[int, ...]) -> None:
    with pytest.raises(ProtocolError, match="wrong shape"):
        Holdings(1, tuple((player, 0, Cause.LOST) for player in gone))


@pytest.mark.parametrize("cause", [Cause.LOST, Cause.UNRESPONSIVE, Cause.REMOVED])
def test_of_themselves_nobody_says_that_they_are_lost(cause: Cause) -> None:
    with pytest.raises(ProtocolError, match="wrong shape"):
        Goodbye("normal", 1, 0, None, cause, ())
