"""The round trip over the pair of addresses that a connection uses.

Knows aioice and STUN. Refuses to know whose connection it is: it changes nothing of it.

The round trip is that of a STUN binding request on the nominated pair, from just before ``sendto`` to the
response's arrival in the loop: the request that ICE itself uses to see whether a peer is there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aioice.ice
import aioice.stun

from gym_p2p.processes.tasks import note_failure

__all__ = ["RoundTrips"]

ROUND_TRIP_TIMEOUT_S = 2.0
"""Above any round trip that can be played over; aioice's own check gives up after 0.5 s."""

PING_INTERVAL_S = 0.5
"""Between two requests of one measurement, until one of them is answered."""


class RoundTrips:
    """The measuring requests of one ICE connection.

    Args:
        connection: whose pair is measured.
        on_round_trip: called with every round trip, in seconds.
        arrived: when the response that is being handled came in, on ``time.perf_counter``.

    Attributes:
        requests_sent: measuring requests sent.
        responses_received: and answered.
        round_trip_s: the newest round trip, ``None`` before the first.
        total_round_trip_s: the sum over all responses.
        mapped_address: our address as the other side sees it, ``None`` before the first round trip.
    """

    def __init__(
        self,
        connection: aioice.ice.Connection,
        *,
        on_round_trip: Callable[[float], None] | None = None,
        arrived: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._connection = connection
        self._on_round_trip = on_round_trip
        self._arrived = arrived
        self._measuring: asyncio.Task[float | None] | None = None
        self._answered: asyncio.Future[float] | None = None
        self.requests_sent = 0
        self.responses_received = 0
        self.round_trip_s: float | None = None
        self.total_round_trip_s = 0.0
        self.mapped_address: tuple[str, int] | None = None

    @property
    def nominated(self) -> aioice.ice.CandidatePair | None:
        """The pair of addresses in use, ``None`` before ICE completes and after closing."""
        return self._connection._nominated.get(1)

    async def measure(self) -> float | None:
        """Return a fresh round trip in seconds, ``None`` if none came back in time. Callers share one."""
        if self.nominated is None:
            return None
        task = self.begin_measuring()
        await asyncio.wait({task})
        return None if task.cancelled() else task.result()

    def begin_measuring(self) -> asyncio.Task[float | None]:
        """Start a measurement unless one is under way."""
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.get_running_loop().create_task(self._measure())
            self._measuring.add_done_callback(note_failure)
        return self._measuring

    async def close(self) -> None:
        """End a measurement that is under way. Idempotent."""
        if self._measuring is not None:
            self._measuring.cancel()
            await asyncio.wait({self._measuring})

    async def _measure(self) -> float | None:
        pair = self.nominated
        if pair is None:
            return None
        loop = asyncio.get_running_loop()
        self._answered = loop.create_future()
        deadline = loop.time() + ROUND_TRIP_TIMEOUT_S
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
        round_trip_s = self._arrived() - sent
        self.responses_received += 1
        self.round_trip_s = round_trip_s
        self.total_round_trip_s += round_trip_s
        self.mapped_address = message.attributes.get("XOR-MAPPED-ADDRESS")
        if self._on_round_trip is not None:
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
