"""The sockets of one connection: what goes in and out of them, and the round trip over the pair in use.

Knows aioice and STUN. Refuses to know what the other datagrams hold: they are handed on.

The round trip is that of a STUN binding request on the nominated pair, from just before ``sendto`` to the
response's arrival in the loop: the request that ICE itself uses to see whether a peer is there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import aioice.ice
import aioice.stun

from gym_p2p.config import LinkEmulation
from gym_p2p.net.links.emulation import EmulatedPath
from gym_p2p.processes.tasks import note_failure

__all__ = ["Sockets"]

MAX_DATAGRAM_BYTES = 65_536
"""asyncio otherwise takes and frees a buffer of 256 KiB for every datagram."""

CHECK_RTO_S = 0.15
"""First repetition of a connectivity check, doubled each time. aioice's 0.5 s makes one lost check dear."""

PING_INTERVAL_S = 0.5
"""Between two requests of one measurement, until one of them is answered."""


class Sockets:
    """The sockets of one ICE connection.

    Attributes:
        requests_sent: measuring requests sent.
        responses_received: and answered.
        round_trip_s: the newest round trip, ``None`` before the first.
        total_round_trip_s: the sum over all responses.
        mapped_address: our address as the other side sees it, ``None`` before the first round trip.
        packets_sent, bytes_sent, packets_received, bytes_received: DTLS records.
        sent_at, arrived_at: when the newest of them was about to go into a socket, or came out of one, in
            monotonic seconds; 0.0 before the first.
    """

    def __init__(
        self,
        connection: aioice.ice.Connection,
        emulation: LinkEmulation,
        *,
        on_record: Callable[[bytes], None],
        on_round_trip: Callable[[float], None],
    ) -> None:
        self._connection = connection
        self._emulation = emulation
        self._on_record = on_record
        self._on_round_trip = on_round_trip
        self._measuring: asyncio.Task[float | None] | None = None
        self._answered: asyncio.Future[float] | None = None
        self._arrived = 0.0
        self._answered_at = 0.0
        self.requests_sent = 0
        self.responses_received = 0
        self.round_trip_s: float | None = None
        self.total_round_trip_s = 0.0
        self.mapped_address: tuple[str, int] | None = None
        self.packets_sent = 0
        self.bytes_sent = 0
        self.packets_received = 0
        self.bytes_received = 0
        self.sent_at = 0.0
        self.arrived_at = 0.0

    @property
    def nominated(self) -> aioice.ice.CandidatePair | None:
        """The pair of addresses in use, ``None`` before ICE completes and after closing."""
        return self._connection._nominated.get(1)

    @property
    def heard_at(self) -> float:
        """When the other side was last heard at all: a record, or the answer to a measuring request."""
        return max(self.arrived_at, self._answered_at)

    def prepare(self, protocol: aioice.ice.StunProtocol) -> None:
        """Take over one socket of the connection, before anything is sent on it."""
        transport: Any = protocol.transport
        if hasattr(transport, "max_size"):
            transport.max_size = MAX_DATAGRAM_BYTES
        if self._emulation.active:
            protocol.transport = cast("asyncio.DatagramTransport", EmulatedPath(transport, self._emulation))
        handle_stun = protocol.datagram_received

        def receive(data: bytes, addr: tuple[Any, ...]) -> None:
            if data and 19 < data[0] < 64:  # RFC 7983, section 7: DTLS
                self.arrived_at = time.monotonic()
                self.packets_received += 1
                self.bytes_received += len(data)
                self._on_record(data)
            else:
                self._arrived = time.perf_counter()
                handle_stun(data, addr)

        replaced: Any = protocol
        replaced.datagram_received = receive
        replaced.request = _Requests(protocol).request

    def send_record(self, data: bytes) -> None:
        """Send a DTLS record to the other side.

        Raises:
            ConnectionError: there is no pair in use.
        """
        pair = self.nominated
        if pair is None:
            raise ConnectionError("no candidate pair in use")
        self.packets_sent += 1
        self.bytes_sent += len(data)
        self.sent_at = time.monotonic()
        pair.protocol.transport.sendto(data, pair.remote_addr)

    async def measure(self, timeout_s: float) -> float | None:
        """Return a fresh round trip in seconds, ``None`` if none came back in time. Callers share one."""
        task = self.begin_measuring(timeout_s)
        await asyncio.wait({task})
        return None if task.cancelled() else task.result()

    def begin_measuring(self, timeout_s: float) -> asyncio.Task[float | None]:
        """Start a measurement unless one is under way."""
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.get_running_loop().create_task(self._measure(timeout_s))
            self._measuring.add_done_callback(note_failure)
        return self._measuring

    async def close(self) -> None:
        """End a measurement that is under way. Idempotent."""
        if self._measuring is not None:
            self._measuring.cancel()
            await asyncio.wait({self._measuring})

    async def _measure(self, timeout_s: float) -> float | None:
        pair = self.nominated
        if pair is None:
            return None
        loop = asyncio.get_running_loop()
        self._answered = loop.create_future()
        deadline = loop.time() + timeout_s
        sent: list[bytes] = []
        try:
            while (left := deadline - loop.time()) > 0 and self.nominated is pair:
                sent.append(self._ping(pair))
                await asyncio.wait({self._answered}, timeout=min(PING_INTERVAL_S, left))
                if self._answered.done():
                    return self._answered.result()
            return None
        finally:
            for transaction_id in sent:
                pair.protocol.transactions.pop(transaction_id, None)

    def _ping(self, pair: aioice.ice.CandidatePair) -> bytes:
        key = str(self._connection.remote_password).encode()
        request = self._connection.build_request(pair, nominate=False)
        request.add_message_integrity(key)
        datagram = bytes(request)
        self.requests_sent += 1
        transactions: dict[bytes, Any] = pair.protocol.transactions
        transactions[request.transaction_id] = _MeasuringRequest(key, self._note_response)
        pair.protocol.transport.sendto(datagram, pair.remote_addr)
        return request.transaction_id

    def _note_response(self, sent: float, message: aioice.stun.Message) -> None:
        round_trip_s = self._arrived - sent
        self._answered_at = time.monotonic()
        self.responses_received += 1
        self.round_trip_s = round_trip_s
        self.total_round_trip_s += round_trip_s
        self.mapped_address = message.attributes.get("XOR-MAPPED-ADDRESS")
        self._on_round_trip(round_trip_s)
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(round_trip_s)


class _MeasuringRequest:
    """One measuring request, made just before it is sent; stands in aioice's table of transactions."""

    def __init__(self, key: bytes, on_response: Callable[[float, aioice.stun.Message], None]) -> None:
        self._key = key
        self._on_response = on_response
        self._sent = time.perf_counter()

    def response_received(self, message: aioice.stun.Message, _addr: tuple[str, int]) -> None:
        if message.check_message_integrity(self._key):
            self._on_response(self._sent, message)


class _Requests:
    """A socket's STUN requests, repeated sooner than aioice does."""

    def __init__(self, protocol: aioice.ice.StunProtocol) -> None:
        self._protocol = protocol

    async def request(
        self,
        message: aioice.stun.Message,
        addr: tuple[str, int],
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[aioice.stun.Message, tuple[str, int]]:
        """Do as ``StunProtocol.request`` does."""
        if integrity_key is not None:
            message.add_message_integrity(integrity_key)
        transaction: Any = aioice.stun.Transaction(
            message, addr, self._protocol, retransmissions=retransmissions, integrity_key=integrity_key
        )
        transaction._Transaction__timeout_delay = CHECK_RTO_S
        self._protocol.transactions[message.transaction_id] = transaction
        try:
            response: tuple[aioice.stun.Message, tuple[str, int]] = await transaction.run()
            return response
        finally:
            del self._protocol.transactions[message.transaction_id]
