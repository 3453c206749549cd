"""Between the sockets and aiortc: what makes its datagrams quick, its set-up robust and its round trips known.

Everything here is set on the objects of one connection; nothing is changed for the whole process.

* **Straight through.** aiortc hands every datagram to a task through a queue, and every message to a new
  task. Its coroutines never wait on these paths, so they are run to their end on the spot instead
  (:func:`run_through`; one that did wait would be finished by a task).
* **Repeating early.** ICE repeats a lost check after 0.5 s, SCTP its first chunk after 3 s, and OpenSSL a lost
  flight of the DTLS handshake after 1 s. Here ICE and SCTP start at 0.15 and 0.3 s and back off; and the last
  flight of the handshake goes out again, byte by byte the same, which DTLS's replay window makes harmless.
* **The round trip** is that of a STUN binding request on the pair in use, from just before ``sendto`` to the
  datagram's arrival in the loop. It also feeds SCTP's retransmission timer, whose own samples are rare on a
  channel that never retransmits, and wrong after loss.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Coroutine, Generator
from typing import Any, cast

import aioice.ice
import aioice.stun
from aiortc import RTCDataChannel
from aiortc.rtcsctptransport import WEBRTC_BINARY, WEBRTC_BINARY_EMPTY, WEBRTC_STRING, WEBRTC_STRING_EMPTY

from gym_p2p.config import LinkEmulation
from gym_p2p.net.emulation import EmulatedPath
from gym_p2p.net.webrtc.internals import Internals

__all__ = ["Wire", "run_through"]

MAX_DATAGRAM_BYTES = 65_536
"""asyncio otherwise takes and frees a buffer of 256 KiB for every datagram."""

CHECK_RTO_S = 0.15
"""First repetition of a connectivity check; doubled each time (aioice: 0.5 s)."""

SCTP_RTO_INITIAL_S = 0.3
"""Until a round trip is known (aiortc: 3 s)."""

SCTP_RTO_MIN_S = 0.2
"""A blackout is left behind within this (aiortc: 1 s; the same floor as TCP's on Linux)."""

SCTP_RTO_MAX_SETUP_S = 3.0
"""Where the doubling of the set-up's timer ends."""

FLIGHT_REPEAT_S = 0.15
FLIGHT_REPEATS = 5
"""The last flight of DTLS goes out again after 0.15, 0.45, 1.05, 2.25 and 4.65 s."""

PING_INTERVAL_S = 0.5
"""Between two requests of one measurement, until one of them is answered."""

_APPLICATION_DATA = 23
"""The content type of a DTLS record that ends a handshake (RFC 6347, section 4.1)."""


def run_through(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that is not expected to wait, here and now; let a task finish one that does."""
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return
    task = asyncio.get_running_loop().create_task(_Rest(coroutine, awaited).finish())
    _unfinished.add(task)
    task.add_done_callback(_unfinished.discard)


_unfinished: set[asyncio.Task[None]] = set()


class _Rest:
    """What is left of a coroutine that was run up to its first wait."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    async def finish(self) -> None:
        await self

    def __await__(self) -> Generator[Any, None, None]:
        awaited = self._awaited
        while True:
            try:
                sent = yield awaited
            except BaseException as error:  # noqa: BLE001  # a cancellation belongs to the coroutine
                step = self._coroutine.throw
                argument: Any = error
            else:
                step = self._coroutine.send
                argument = sent
            try:
                awaited = step(argument)
            except StopIteration:
                return


class _Ping:
    """One STUN request that is out; stands in aioice's table of transactions."""

    def __init__(self, wire: Wire, key: bytes, answered: asyncio.Future[tuple[float, Any]]) -> None:
        self._wire = wire
        self._key = key
        self._answered = answered
        self.sent = 0.0

    def response_received(self, message: aioice.stun.Message, _addr: tuple[str, int]) -> None:
        if not message.check_message_integrity(self._key):
            return
        self._wire.responses_received += 1
        if not self._answered.done():
            mapped = message.attributes.get("XOR-MAPPED-ADDRESS")
            self._answered.set_result((self._wire.arrived - self.sent, mapped))


class Wire:
    """The datagrams of one connection.

    Attributes:
        arrived: when the newest STUN message came in.
        requests_sent: measuring requests sent.
        responses_received: and answered; counts late ones too.
        round_trip_s: the newest round trip, ``None`` before the first.
        total_round_trip_s: the sum of all of them.
        mapped_address: our address as the other side sees it.
    """

    def __init__(self, layers: Internals, emulation: LinkEmulation) -> None:
        self._layers = layers
        self._emulation = emulation
        self._incoming: deque[bytes] = deque()
        self._flight: list[bytes] = []
        self._repeats = 0
        self._repeater: asyncio.TimerHandle | None = None
        self._measuring: asyncio.Task[float | None] | None = None
        self.arrived = 0.0
        self.requests_sent = 0
        self.responses_received = 0
        self.round_trip_s: float | None = None
        self.total_round_trip_s = 0.0
        self.measurements = 0
        self.mapped_address: tuple[str, int] | None = None
        self._take_over_ice()
        self._take_over_sctp()

    def prepare(self, protocol: aioice.ice.StunProtocol) -> None:
        """Take over one socket of the connection, before anything is sent on it."""
        transport: Any = protocol.transport
        if hasattr(transport, "max_size"):
            transport.max_size = MAX_DATAGRAM_BYTES
        if self._emulation.active:
            protocol.transport = cast(asyncio.DatagramTransport, EmulatedPath(transport, self._emulation))
        socket: Any = protocol
        handle_stun = protocol.datagram_received

        def received(data: bytes, addr: tuple[Any, ...]) -> None:
            if data and 19 < data[0] < 64:
                self._receive_dtls(data)
            else:
                self.arrived = time.perf_counter()
                handle_stun(data, addr)

        async def request(
            message: aioice.stun.Message,
            addr: tuple[str, int],
            integrity_key: bytes | None = None,
            retransmissions: int | None = None,
        ) -> tuple[aioice.stun.Message, tuple[str, int]]:
            if integrity_key is not None:
                message.add_message_integrity(integrity_key)
            transaction = aioice.stun.Transaction(
                message, addr, protocol, retransmissions=retransmissions, integrity_key=integrity_key
            )
            transaction._Transaction__timeout_delay = CHECK_RTO_S  # type: ignore[attr-defined]  # name-mangled
            protocol.transactions[message.transaction_id] = transaction
            try:
                return await transaction.run()
            finally:
                del protocol.transactions[message.transaction_id]

        socket.datagram_received = received
        socket.request = request

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
        sctp = self._layers.sctp
        sctp._data_channel_queue.append((channel, kind, body))
        run_through(sctp._data_channel_flush())

    @property
    def congested(self) -> bool:
        """Whether earlier messages still wait for room on the path."""
        sctp = self._layers.sctp
        return bool(sctp._outbound_queue or sctp._data_channel_queue)

    @property
    def owes(self) -> bool:
        """Whether something that must arrive has not been acknowledged."""
        sctp = self._layers.sctp
        if sctp._data_channel_queue:
            return True
        chunks: Any = (*sctp._sent_queue, *sctp._outbound_queue)
        return any(chunk._max_retransmits is None and not chunk._acked for chunk in chunks)

    async def measure(self, timeout_s: float) -> float | None:
        """Return a fresh round trip in seconds, ``None`` if none came back in time. Callers share one."""
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.get_running_loop().create_task(self._measure(timeout_s))
        return await asyncio.shield(self._measuring)

    def close(self) -> None:
        """Stop everything that has a timer. Idempotent."""
        self._stop_repeating()
        if self._measuring is not None:
            self._measuring.cancel()

    async def _measure(self, timeout_s: float) -> float | None:
        pair = self._layers.nominated
        if pair is None:
            return None
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[tuple[float, Any]] = loop.create_future()
        deadline = loop.time() + timeout_s
        sent: list[bytes] = []
        try:
            while (left := deadline - loop.time()) > 0 and not pair.protocol.transport.is_closing():
                sent.append(self._ping(pair, answered))
                await asyncio.wait({answered}, timeout=min(PING_INTERVAL_S, left))
                if answered.done():
                    return self._note(*answered.result())
            return None
        finally:
            for transaction_id in sent:
                pair.protocol.transactions.pop(transaction_id, None)

    def _ping(self, pair: aioice.ice.CandidatePair, answered: asyncio.Future[tuple[float, Any]]) -> bytes:
        connection = self._layers.connection
        key = str(connection.remote_password).encode()
        request = connection.build_request(pair, nominate=False)
        request.add_message_integrity(key)
        datagram = bytes(request)
        ping = _Ping(self, key, answered)
        transactions: dict[bytes, Any] = pair.protocol.transactions
        transactions[request.transaction_id] = ping
        self.requests_sent += 1
        ping.sent = time.perf_counter()
        pair.protocol.transport.sendto(datagram, pair.remote_addr)
        return request.transaction_id

    def _note(self, round_trip_s: float, mapped: tuple[str, int] | None) -> float:
        self.round_trip_s = round_trip_s
        self.total_round_trip_s += round_trip_s
        self.measurements += 1
        self.mapped_address = mapped
        self._layers.sctp._update_rto(round_trip_s)
        return round_trip_s

    def _take_over_ice(self) -> None:
        """Route both directions of the DTLS layer through here."""
        ice: Any = self._layers.ice
        connection = self._layers.connection

        async def receive() -> bytes:
            return self._incoming.popleft() if self._incoming else await connection.recv()

        async def send(data: bytes) -> None:
            if data and data[0] != _APPLICATION_DATA and self._layers.dtls.state == "connecting":
                self._note_flight(data)
            await connection.send(data)

        ice._recv = receive
        ice._send = send

    def _receive_dtls(self, data: bytes) -> None:
        dtls = self._layers.dtls
        connection = self._layers.connection
        if data[0] == _APPLICATION_DATA:
            self._stop_repeating()
            straight = dtls.state == "connected" and connection._queue.empty()
            if straight and cast(Any, dtls)._RTCDtlsTransport__handshake_done:
                self._incoming.append(data)
                self._handle_next()
                return
        connection.data_received(data, 1)

    def _handle_next(self) -> None:
        """Have aiortc handle the record that waits in ``_incoming``, in place of its receiving task."""
        try:
            run_through(self._layers.dtls._recv_next())
        except ConnectionError:
            # The receiving task is the one that ends the connection.
            self._layers.connection._queue.put_nowait(None)

    def _take_over_sctp(self) -> None:
        sctp: Any = self._layers.sctp
        sctp._rto = SCTP_RTO_INITIAL_S
        update_rto, expired = sctp._update_rto, sctp._t1_expired

        def update(round_trip_s: float) -> None:
            update_rto(round_trip_s)
            sctp._rto = max(SCTP_RTO_MIN_S, min(sctp._srtt + 4 * sctp._rttvar, sctp._rto))

        def back_off() -> None:
            sctp._rto = min(2 * sctp._rto, SCTP_RTO_MAX_SETUP_S)
            expired()

        sctp._update_rto = update
        sctp._t1_expired = back_off

    def _note_flight(self, data: bytes) -> None:
        """Remember a datagram of the handshake; what came in since the last one starts a new flight."""
        if self._repeater is None:
            self._flight.clear()
            self._repeats = 0
            self._repeat_later()
        self._flight.append(data)

    def _repeat_later(self) -> None:
        delay_s = FLIGHT_REPEAT_S * 2**self._repeats
        self._repeater = asyncio.get_running_loop().call_later(delay_s, self._repeat)

    def _repeat(self) -> None:
        pair = self._layers.nominated
        self._repeats += 1
        if pair is None or self._repeats > FLIGHT_REPEATS or pair.protocol.transport.is_closing():
            self._stop_repeating()
            return
        for data in self._flight:
            pair.protocol.transport.sendto(data, pair.remote_addr)
        self._repeat_later()

    def _stop_repeating(self) -> None:
        if self._repeater is not None:
            self._repeater.cancel()
            self._repeater = None
            self._flight.clear()
