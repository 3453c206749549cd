"""The SCTP association of one connection: its timers, its acknowledgements, its queue.

Everything is set on the one association; nothing is changed for the whole process.

* **Timers.** The first chunk is repeated after 0.3 s (aiortc: 3 s) and backs off; data is given up or
  repeated after 0.2 s at the earliest (aiortc: 1 s), so that a blackout is left behind at once. The estimate
  behind them is fed with the round trips of ICE, since a channel that never repeats gives few of its own.
* **Acknowledgements** wait up to 20 ms for data to travel with, and for every second packet at most, as
  RFC 9260, section 6.2 has it: half as many datagrams. aiortc sends one on its own for every packet. One
  that comes in with data is looked at after the data has been delivered.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import Any

import attrs
from aiortc import RTCDataChannel, rtcsctptransport
from aiortc.rtcsctptransport import (
    SCTP_RTO_MAX,
    WEBRTC_BINARY,
    WEBRTC_BINARY_EMPTY,
    WEBRTC_STRING,
    WEBRTC_STRING_EMPTY,
    Chunk,
    DataChunk,
    InitChunk,
    RTCSctpTransport,
    SackChunk,
)

from gym_p2p.net.webrtc.eager import run_through
from gym_p2p.net.webrtc.holdings import holds_too_much
from gym_p2p.net.webrtc.repetition import LONGEST_REPEAT_S

__all__ = ["Association"]

_log = logging.getLogger(__name__)

RTO_INITIAL_S = 0.3
"""Until a round trip is known."""

RTO_MIN_S = 0.2
"""As Linux has it for TCP; ten times the longest delay of an acknowledgement."""

SACK_DELAY_S = 0.02
"""Longer than a frame at 60 Hz; RFC 9260 allows 0.2 s."""

MAX_BUNDLED_BYTES = 1_024
"""Data beside which an acknowledgement still fits into one datagram."""


_INIT = bytes((1,))
_PLAIN_SACK = bytes((3, 0, 0, 16))
"""The head of an acknowledgement without gaps and duplicates (RFC 9260, section 3.3.4)."""

_crc32c = rtcsctptransport.crc32c  # type: ignore[attr-defined]  # aiortc's own choice of one in C

_WHOLE_UNORDERED = bytes((0, 7))
"""The head of a DATA chunk that is a whole unordered message (section 3.3.1)."""

_AFTER_HEADER, _AFTER_SACK = 12, 28
"""Where the first chunk begins, and the one behind a plain acknowledgement."""

_DATA_HEAD_BYTES = 16

_DATA = struct.Struct("!HLHHL")
_TAG = struct.Struct("!L")
_CHECKSUM = struct.Struct("<L")


class Association:
    """One SCTP association, tuned."""

    def __init__(self, sctp: RTCSctpTransport) -> None:
        self._sctp: Any = sctp
        self._acknowledged: int | None = None
        self._sack_timer: asyncio.TimerHandle | None = None
        self._sack_due = 0.0
        self._collecting = False
        self._collected: SackChunk | None = None
        self._deferred: SackChunk | None = None
        self._given_up = False
        self._send_chunk, self._send_sack = sctp._send_chunk, sctp._send_sack
        self._handle_data, self._receive_sack = sctp._handle_data, sctp._receive_sack_chunk
        self._update_rto, self._t1_expired = sctp._update_rto, sctp._t1_expired
        replaced: Any = sctp
        replaced._rto = RTO_INITIAL_S
        replaced._update_rto = self.note_round_trip
        replaced._t1_expired = self._back_off
        replaced._send_chunk = self._bundle
        replaced._send_sack = self._acknowledge
        replaced._handle_data = self._handle
        replaced._receive_sack_chunk = self._defer

    def send(self, channel: RTCDataChannel, data: bytes | str) -> None:
        """Send a message on an open channel: it has gone to the socket on return, unless SCTP holds it back.

        Raises:
            ConnectionError: the connection is gone.
        """
        if isinstance(data, str):
            kind, body = (WEBRTC_STRING, data.encode()) if data else (WEBRTC_STRING_EMPTY, b"\0")
        else:
            kind, body = (WEBRTC_BINARY, data) if data else (WEBRTC_BINARY_EMPTY, b"\0")
        channel._addBufferedAmount(len(body))
        self._sctp._data_channel_queue.append((channel, kind, body))
        run_through(self._sctp._data_channel_flush())

    @property
    def congested(self) -> bool:
        """Whether earlier messages still wait for room on the path."""
        return bool(self._sctp._outbound_queue or self._sctp._data_channel_queue)

    @property
    def owes(self) -> bool:
        """Whether something that must arrive has not been acknowledged."""
        if self._sctp._data_channel_queue:
            return True
        chunks = (*self._sctp._sent_queue, *self._sctp._outbound_queue)
        return any(chunk._max_retransmits is None and not chunk._acked for chunk in chunks)

    def note_round_trip(self, round_trip_s: float) -> None:
        """Let a measured round trip count for the retransmission timer."""
        self._update_rto(round_trip_s)
        estimate_s = self._sctp._srtt + 4 * self._sctp._rttvar
        self._sctp._rto = max(RTO_MIN_S, min(estimate_s, SCTP_RTO_MAX))

    def close(self) -> None:
        """Stop the timer of acknowledgements. Idempotent."""
        if self._sack_timer is not None:
            self._sack_timer.cancel()
            self._sack_timer = None

    def _back_off(self) -> None:
        longest_s = max(LONGEST_REPEAT_S, 2 * (self._sctp._srtt or 0.0))
        self._sctp._rto = min(2 * self._sctp._rto, longest_s)
        self._sctp._t1_failures = 0  # whoever waits for the connection says when that was long enough
        self._t1_expired()

    async def _handle(self, data: bytes) -> None:
        if data[12:13] == _INIT and self._sctp._association_state is RTCSctpTransport.State.ESTABLISHED:
            # A repetition that was overtaken: the other side is past it, and aiortc would count from 0 again.
            return
        if self._given_up:
            return
        if not await self._deliver_at_once(data):
            await self._handle_data(data)
            if holds_too_much(self._sctp):
                await self._give_up()
        await self._catch_up()

    # A shortcut through aiortc's ``_handle_data``, which parses a packet into chunk objects, sorts the data
    # into streams and acknowledges. Nearly every packet of a match is of one form (RFC 9260, section 3)::
    #
    #     0      4     8          12                        28 (12 without SACK)
    #     ports  tag   checksum   [SACK: no gaps, no dups]  DATA: whole, unordered, binary
    #
    # The invariant: when this returns True, the association is in the state that ``_handle_data`` would have
    # led to; when it returns False, nothing was touched, and ``_handle_data`` gets the packet. Hence every
    # condition is checked before the first change, the costliest (the checksum) last. They are these.
    #
    # * The packet holds nothing else: the DATA chunk, padded to four bytes, ends where the packet does. It is
    #   not empty, and is no text and no DCEP message: only binary messages take the short way.
    # * It is the next in sequence, and nothing is missing before it: then "the highest number received" is
    #   all that has to be noted. Serial numbers wrap around at 2**32.
    # * The channel is known and holds no fragment, to which aiortc would add this one as its rest; and no
    #   stream is being reset, which would have to look at every number.
    # * It is for this association, and whole: tag and checksum are those that aiortc wants to see. What is
    #   forged or damaged is aiortc's to drop.
    #
    # An acknowledgement that came along is only remembered: ``_handle`` looks at it after the message has
    # been delivered, as it does on the long way (see ``_defer``), for what it leads to is work that no player
    # waits for. The handler of a message may send, which takes the acknowledgement of this very packet along
    # and clears ``_sack_needed``: so that is checked again after it.

    async def _deliver_at_once(self, data: bytes) -> bool:
        """Deliver a packet of one whole message, in sequence, and at most an acknowledgement before it.

        False, with nothing done, for any other packet.
        """
        sctp = self._sctp
        start = _AFTER_SACK if data[12:16] == _PLAIN_SACK else _AFTER_HEADER
        if (
            len(data) <= start + _DATA_HEAD_BYTES
            or data[start : start + 2] != _WHOLE_UNORDERED
            or sctp._sack_misordered
            or sctp._last_received_tsn is None
        ):
            return False
        length, tsn, stream, _, kind = _DATA.unpack_from(data, start + 2)
        tag, checksum = _TAG.unpack_from(data, 4)[0], _CHECKSUM.unpack_from(data, 8)[0]
        channel = sctp._data_channels.get(stream)
        if (
            tsn != (sctp._last_received_tsn + 1) % 2**32
            or kind != WEBRTC_BINARY
            or channel is None
            or _holds_fragments(sctp, stream)
            or sctp._reconfig_deferred is not None
            or length <= _DATA_HEAD_BYTES
            or start + (length + 3) // 4 * 4 != len(data)
            or tag != sctp._local_verification_tag
            or checksum != _crc32c(data[:8] + bytes(4) + data[12:])
        ):
            return False
        if start == _AFTER_SACK:
            self._deferred = SackChunk(body=data[16:_AFTER_SACK])
        sctp._last_received_tsn = tsn
        sctp._sack_needed = True
        channel.emit("message", data[start + _DATA_HEAD_BYTES : start + length])
        if sctp._sack_needed:
            await self._acknowledge()
        return True

    async def _give_up(self) -> None:
        """End an association whose other side makes us hold more and more."""
        _log.warning("a peer sends what cannot be put together; its connection is closed")
        self._given_up = True
        await self._sctp._abort()
        self._sctp._inbound_streams.clear()
        self._sctp._set_state(RTCSctpTransport.State.CLOSED)

    async def _defer(self, chunk: SackChunk) -> None:
        await self._catch_up()
        self._deferred = chunk

    async def _catch_up(self) -> None:
        sack, self._deferred = self._deferred, None
        if sack is not None:
            await self._receive_sack(sack)

    async def _bundle(self, chunk: Chunk) -> None:
        """Send a chunk, and with data the acknowledgement that is due."""
        if self._collecting and isinstance(chunk, SackChunk):
            self._collected = chunk
        elif isinstance(chunk, InitChunk):
            await self._send_init(chunk)
        elif (
            isinstance(chunk, DataChunk)
            and self._sctp._sack_needed
            and not self._sctp._sack_misordered
            and len(chunk.user_data) <= MAX_BUNDLED_BYTES
        ):
            await self._send_chunk(_Bundle(await self._collect(), chunk))
        else:
            await self._send_chunk(chunk)

    async def _send_init(self, chunk: Chunk) -> None:
        """Send an INIT, whose tag must be 0 (RFC 9260, section 8.5.1).

        aiortc repeats it with the tag that it has learned from the other side's INIT, and so two sides that
        both miss an answer ignore each other for ever.
        """
        sctp = self._sctp
        tag, sctp._remote_verification_tag = sctp._remote_verification_tag, 0
        try:
            await self._send_chunk(chunk)
        finally:
            sctp._remote_verification_tag = tag

    async def _collect(self) -> SackChunk:
        """Return the acknowledgement that aiortc would send now."""
        self._collecting = True
        try:
            await self._send_sack()
        finally:
            self._collecting = False
        self._note_acknowledged()
        sack, self._collected = self._collected, None
        assert sack is not None  # noqa: S101  # _send_sack sends exactly one, and _bundle kept it
        return sack

    async def _acknowledge(self) -> None:
        """Acknowledge now what cannot wait, the rest soon."""
        sctp = self._sctp
        unacknowledged = (
            2 if self._acknowledged is None else (sctp._last_received_tsn - self._acknowledged) % 2**32
        )
        if unacknowledged >= 2 or sctp._sack_misordered or sctp._sack_duplicates:
            self._note_acknowledged()
            await self._send_sack()
        else:
            loop = asyncio.get_running_loop()
            self._sack_due = loop.time() + SACK_DELAY_S
            if self._sack_timer is None:
                self._sack_timer = loop.call_at(self._sack_due, self._acknowledge_late)

    def _acknowledge_late(self) -> None:
        """Acknowledge what no data took along; stopping the timer when some did would cost more."""
        self._sack_timer = None
        if not self._sctp._sack_needed:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._sack_due:
            self._sack_timer = loop.call_at(self._sack_due, self._acknowledge_late)
            return
        self._note_acknowledged()
        run_through(self._send_late())

    async def _send_late(self) -> None:
        try:
            await self._send_sack()
        except ConnectionError:
            # Closed in the meantime: nobody waits for it.
            return

    def _note_acknowledged(self) -> None:
        self._acknowledged = self._sctp._last_received_tsn


@attrs.frozen(eq=False)
class _Bundle(Chunk):
    """An acknowledgement and data in one packet."""

    sack: SackChunk
    data: DataChunk

    def __bytes__(self) -> bytes:
        return bytes(self.sack) + bytes(self.data)


def _holds_fragments(sctp: RTCSctpTransport, stream: int) -> bool:
    inbound = sctp._inbound_streams.get(stream)
    return inbound is not None and bool(inbound.reassembly)
