"""The tuned SCTP association beside aiortc's own: what it shortens must come to the same."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable
from typing import Any, cast

import pytest
from aiortc import RTCDataChannel
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    WEBRTC_BINARY,
    WEBRTC_DCEP,
    WEBRTC_STRING,
    DataChunk,
    ForwardTsnChunk,
    InitChunk,
    RTCSctpTransport,
    SackChunk,
    parse_packet,
    serialize_packet,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gym_p2p.net.webrtc.association import SACK_DELAY_S, Association
from gym_p2p.net.webrtc.holdings import MAX_CHANNELS, MAX_FRAGMENTS, MAX_GAPS, MAX_WAITING
from tests.net.peers import run

TAG, FIRST_TSN = 77, 2**32 - 3


class Dtls:
    """Takes packets in place of a DTLS transport."""

    state = "connected"
    _role = "client"

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def _send_data(self, data: bytes) -> None:
        self.sent.append(data)

    def _unregister_data_receiver(self, _receiver: object) -> None:
        """Nothing was registered."""


class Side:
    """An established association with a game and a control channel."""

    def __init__(self, *, tuned: bool) -> None:
        self.dtls = Dtls()
        self.sctp = RTCSctpTransport(cast("Any", self.dtls))
        sctp: Any = self.sctp
        self.association = Association(self.sctp) if tuned else None
        self.heard: list[tuple[int, bytes | str]] = []
        self.channels = [self._channel(stream) for stream in (1000, 1001)]
        sctp._local_verification_tag = sctp._remote_verification_tag = TAG
        sctp._remote_port = 5000
        sctp._last_received_tsn = FIRST_TSN
        sctp._ssthresh = 100_000
        sctp._set_state(RTCSctpTransport.State.ESTABLISHED)

    def _channel(self, stream: int) -> RTCDataChannel:
        parameters = RTCDataChannelParameters(
            label="x",
            ordered=stream == 1001,
            maxRetransmits=0 if stream == 1000 else None,
            negotiated=True,
            id=stream,
        )
        channel = RTCDataChannel(self.sctp, parameters)
        channel.on("message", lambda data: self.heard.append((stream, data)))
        return channel

    def state(self) -> tuple[Any, ...]:
        s: Any = self.sctp
        return (
            s._last_received_tsn,
            s._sack_misordered,
            s._advertised_rwnd,
            len(s._sent_queue),
            s._flight_size,
        )

    def packets(self) -> list[list[Any]]:
        return [parse_packet(packet)[3] for packet in self.dtls.sent]


class _Several:
    def __init__(self, chunks: list[Any]) -> None:
        self.chunks = chunks

    def __bytes__(self) -> bytes:
        return b"".join(bytes(chunk) for chunk in self.chunks)


def data_chunk(
    offset: int, body: bytes, *, flags: int = 7, stream: int = 1000, kind: int = WEBRTC_BINARY
) -> DataChunk:
    chunk = DataChunk(flags=flags)
    chunk.tsn = (FIRST_TSN + offset) % 2**32
    chunk.stream_id, chunk.stream_seq, chunk.protocol, chunk.user_data = stream, 0, kind, body
    return chunk


def packet(*chunks: Any, tag: int = TAG) -> bytes:
    return serialize_packet(5000, 5000, tag, cast("Any", _Several(list(chunks))))


def sack(cumulative: int) -> SackChunk:
    chunk = SackChunk()
    chunk.cumulative_tsn, chunk.advertised_rwnd = cumulative % 2**32, 1000
    return chunk


def forward(offset: int) -> ForwardTsnChunk:
    chunk = ForwardTsnChunk()
    chunk.cumulative_tsn, chunk.streams = (FIRST_TSN + offset) % 2**32, []
    return chunk


FLAGS = st.sampled_from(
    [7, 7, 7, 3, SCTP_DATA_UNORDERED | SCTP_DATA_FIRST_FRAG, SCTP_DATA_UNORDERED | SCTP_DATA_LAST_FRAG]
)
DATA = st.builds(
    data_chunk,
    st.integers(1, 12),
    st.binary(min_size=1, max_size=9),
    flags=FLAGS,
    stream=st.sampled_from([1000, 1000, 1001, 5]),
    kind=st.sampled_from([WEBRTC_BINARY, WEBRTC_BINARY, WEBRTC_STRING]),
).filter(lambda chunk: chunk.protocol != WEBRTC_STRING or chunk.user_data.isascii())
PACKETS = st.one_of(
    st.builds(packet, DATA),
    st.builds(lambda d: packet(sack(0), d), DATA),
    st.builds(packet, DATA, DATA),
    st.builds(lambda n: packet(forward(n)), st.integers(1, 12)),
    st.builds(lambda d: packet(d, tag=TAG + 1), DATA),
    st.builds(lambda d, i: bytes(b ^ (k == i) for k, b in enumerate(packet(d))), DATA, st.integers(0, 40)),
    st.builds(lambda d, n: packet(d)[:n], DATA, st.integers(0, 40)),
    st.binary(max_size=40),
)


@settings(max_examples=300, deadline=None)
@example(
    [
        packet(data_chunk(1, b"a")),
        packet(data_chunk(11, b"begun", flags=6)),
        packet(forward(10)),
        packet(data_chunk(12, b"whole")),
    ]
)
@given(st.lists(PACKETS, max_size=14))
def test_whatever_comes_in_is_taken_as_aiortc_takes_it(packets: list[bytes]) -> None:
    async def work() -> None:
        stock, tuned = Side(tuned=False), Side(tuned=True)
        for data in packets:
            outcomes = []
            for side in (stock, tuned):
                try:
                    await side.sctp._handle_data(data)
                except Exception as error:  # noqa: BLE001  # malformed chunks: both have to do the same
                    outcomes.append(type(error))
            assert len(set(outcomes)) <= 1
            assert stock.heard == tuned.heard
            assert stock.state() == tuned.state()
        for side in (stock, tuned):
            await side.sctp.stop()
        assert tuned.association is not None
        tuned.association.close()

    run(work())


def test_messages_in_sequence_take_the_short_way() -> None:
    async def work() -> None:
        side = Side(tuned=True)
        assert side.association is not None
        for offset in range(1, 6):
            assert await side.association._deliver_at_once(
                packet(sack(0), data_chunk(offset, b"%d" % offset))
            )
        assert side.heard == [(1000, b"%d" % offset) for offset in range(1, 6)]
        assert not await side.association._deliver_at_once(packet(data_chunk(5, b"again")))
        side.association.close()

    run(work())


def test_an_answer_sent_at_once_takes_the_acknowledgement_along() -> None:
    async def work() -> None:
        side = Side(tuned=True)
        association = side.association
        assert association is not None
        game = side.channels[0]
        game.on("message", lambda data: association.send(game, data))
        for offset in (1, 2, 3):
            await side.sctp._handle_data(packet(data_chunk(offset, b"ping")))
        assert [[type(c) for c in chunks] for chunks in side.packets()] == [[SackChunk, DataChunk]] * 3
        assert [chunks[0].cumulative_tsn for chunks in side.packets()] == [
            (FIRST_TSN + offset) % 2**32 for offset in (1, 2, 3)
        ]
        await asyncio.sleep(2 * SACK_DELAY_S)
        assert len(side.packets()) == 3
        association.close()
        await side.sctp.stop()

    run(work())


def test_a_lone_message_is_acknowledged_after_20_ms_and_every_second_one_at_once() -> None:
    async def work() -> None:
        side = Side(tuned=True)
        assert side.association is not None
        await side.sctp._handle_data(packet(data_chunk(1, b"a")))
        first = len(side.packets())
        await side.sctp._handle_data(packet(data_chunk(2, b"b")))
        assert len(side.packets()) == first
        await asyncio.sleep(2 * SACK_DELAY_S)
        assert len(side.packets()) == first + 1
        await side.sctp._handle_data(packet(data_chunk(3, b"c")))
        await side.sctp._handle_data(packet(data_chunk(4, b"d")))
        assert len(side.packets()) == first + 2
        (last,) = side.packets()[-1]
        assert last.cumulative_tsn == (FIRST_TSN + 4) % 2**32
        side.association.close()

    run(work())


def test_a_gap_is_reported_at_once() -> None:
    async def work() -> None:
        side = Side(tuned=True)
        assert side.association is not None
        await side.sctp._handle_data(packet(data_chunk(2, b"b")))
        (report,) = side.packets()[-1]
        assert report.gaps == [(2, 2)]
        side.association.close()

    run(work())


def test_a_large_message_travels_without_an_acknowledgement() -> None:
    async def work() -> None:
        side = Side(tuned=True)
        association = side.association
        assert association is not None
        game = side.channels[0]
        game.on("message", lambda _data: association.send(game, bytes(1160)))
        await side.sctp._handle_data(packet(data_chunk(1, b"ping")))
        assert [type(c) for c in side.packets()[0]] == [DataChunk]
        assert max(len(data) for data in side.dtls.sent) <= 1189
        association.close()
        await side.sctp.stop()

    run(work())


def test_round_trips_set_the_timer_and_it_never_falls_below_200_ms() -> None:
    async def work() -> None:
        side = Side(tuned=True)
        sctp: Any = side.sctp
        assert side.association is not None
        assert sctp._rto == 0.3
        for _ in range(20):
            side.association.note_round_trip(0.01)
        assert sctp._rto == 0.2
        for _ in range(60):
            side.association.note_round_trip(0.6)
        assert 0.6 < sctp._rto < 1.0

    run(work())


def test_a_repeated_init_is_one_that_the_other_side_accepts() -> None:
    async def work() -> None:
        side = Side(tuned=True)
        sctp: Any = side.sctp
        assert sctp._remote_verification_tag == TAG
        await sctp._send_chunk(InitChunk())
        assert parse_packet(side.dtls.sent[-1])[2] == 0
        await sctp._send_chunk(sack(0))
        assert parse_packet(side.dtls.sent[-1])[2] == TAG

    run(work())


def test_an_init_that_was_overtaken_does_not_turn_back_an_established_association() -> None:
    async def work() -> None:
        side = Side(tuned=True)
        assert side.association is not None
        await side.sctp._handle_data(packet(data_chunk(1, b"a")))
        before = side.state()
        init = InitChunk()
        init.initiate_tag, init.initial_tsn = TAG, (FIRST_TSN + 1) % 2**32
        init.advertised_rwnd = init.outbound_streams = init.inbound_streams = 1000
        await side.sctp._handle_data(packet(init, tag=0))
        assert side.state() == before
        side.association.close()

    run(work())


def test_the_set_up_is_repeated_for_as_long_as_anybody_waits_and_never_seldom() -> None:
    async def work() -> None:
        side = Side(tuned=True)
        sctp: Any = side.sctp
        waits = []
        for _ in range(30):
            waits.append(sctp._rto)
            sctp._t1_chunk = sack(0)
            sctp._t1_expired()
        assert waits == [0.3, *[0.6] * 29]
        assert sctp._association_state is RTCSctpTransport.State.ESTABLISHED
        await side.sctp.stop()

    run(work())


# What a peer can make us hold has an end, whatever SCTP lets it send.


def _opening(number: int, label: bytes = b"x" * 500) -> DataChunk:
    body = bytes((3, 0)) + bytes(6) + len(label).to_bytes(2, "big") + bytes(2) + label
    return data_chunk(number + 1, body, flags=3, stream=number, kind=WEBRTC_DCEP)


FLOODS: dict[str, Callable[[int], DataChunk]] = {
    "a message without an end": lambda n: data_chunk(
        n + 1, b"x" * 1000, flags=SCTP_DATA_UNORDERED | (SCTP_DATA_FIRST_FRAG if n == 0 else 0)
    ),
    "fragments of nothing": lambda n: data_chunk(n + 1, b"x", flags=SCTP_DATA_UNORDERED),
    "what overtook something that never comes": lambda n: data_chunk(n + 2, b"x", flags=7),
    "every other one": lambda n: data_chunk(2 * n + 2, b"x", flags=7),
    "ordered ones after one that never comes": lambda n: ordered(n + 1, n + 1),
    "channels": _opening,
    "streams": lambda n: data_chunk(n + 1, b"x", flags=SCTP_DATA_UNORDERED, stream=n % 60_000),
}


def ordered(offset: int, number: int) -> DataChunk:
    chunk = data_chunk(offset, b"x" * 1000, flags=SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG, stream=1001)
    chunk.stream_seq = number % 2**16
    return chunk


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_peer_that_makes_us_hold_more_and_more_is_cut_off(flood: Callable[[int], DataChunk]) -> None:
    async def flooded() -> tuple[int, int, list[str]]:
        side = Side(tuned=True)
        sctp: Any = side.sctp
        handle = sctp._handle_data
        tracemalloc.start()
        for number in range(12_000):
            await handle(packet(flood(number)))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        kept = sum(len(stream.reassembly) for stream in sctp._inbound_streams.values())
        return peak, kept, [channel.readyState for channel in side.channels]

    peak, kept, states = run(flooded())
    assert peak < 24 * 2**20
    assert kept == 0
    assert set(states) == {"closed"}


@pytest.mark.parametrize(
    ("flood", "most"),
    [
        ("a message without an end", MAX_FRAGMENTS),
        ("fragments of nothing", MAX_FRAGMENTS),
        ("every other one", MAX_GAPS),
        ("what overtook something that never comes", MAX_WAITING),
        ("ordered ones after one that never comes", MAX_WAITING),
        ("channels", MAX_CHANNELS),
        ("streams", MAX_CHANNELS),
    ],
)
def test_it_is_cut_off_with_the_first_packet_that_nobody_would_send(flood: str, most: int) -> None:
    async def taken() -> int:
        side = Side(tuned=True)
        sctp: Any = side.sctp
        for number in range(2 * most):
            if side.channels[0].readyState == "closed":
                return number
            await sctp._handle_data(packet(FLOODS[flood](number)))
        return 2 * most

    assert most - 2 <= run(taken()) <= most + 1  # two channels are there before


def test_a_state_whose_first_part_was_lost_is_held_until_that_comes_again() -> None:
    async def held() -> list[str]:
        side = Side(tuned=True)
        sctp: Any = side.sctp
        for number in range(1, 1000):
            await sctp._handle_data(packet(ordered(number + 1, number)))
        return [channel.readyState for channel in side.channels]

    assert run(held()) == ["open", "open"]
