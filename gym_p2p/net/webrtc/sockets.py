"""The sockets of one connection: what goes in and out of them, and when.

Knows aioice and STUN. Refuses to know what the other datagrams hold: they are handed on.
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
from gym_p2p.net.webrtc.repetition import repeat_soon
from gym_p2p.net.webrtc.round_trips import RoundTrips

__all__ = ["Sockets"]

MAX_DATAGRAM_BYTES = 65_536
"""asyncio otherwise takes and frees a buffer of 256 KiB for every datagram."""


class Sockets:
    """The sockets of one ICE connection.

    Attributes:
        on_record: takes every DTLS record; to be set before anything comes.
        round_trips: the round trips over the pair in use.
        packets_sent, bytes_sent, packets_received, bytes_received: DTLS records.
        sent_at, arrived_at: when the newest of them was about to go into a socket, or came out of one, in
            monotonic seconds; 0.0 before the first.
    """

    def __init__(
        self,
        connection: aioice.ice.Connection,
        emulation: LinkEmulation,
        *,
        on_round_trip: Callable[[float], None],
    ) -> None:
        self._connection = connection
        self._emulation = emulation
        self._pair: aioice.ice.CandidatePair | None = None
        """What :attr:`_address` is of: aioice makes it anew whenever it is asked."""
        self._address: Any = None
        self.on_record: Callable[[bytes], None] = _drop
        self._stun_arrived = 0.0
        self._stun_heard_at = 0.0
        self.round_trips = RoundTrips(
            connection, on_round_trip=on_round_trip, arrived=lambda: self._stun_arrived
        )
        self.packets_sent = 0
        self.bytes_sent = 0
        self.packets_received = 0
        self.bytes_received = 0
        self.sent_at = 0.0
        self.arrived_at = 0.0

    @property
    def heard_at(self) -> float:
        """When anything at all last came out of a socket, in monotonic seconds; 0.0 before the first."""
        return max(self.arrived_at, self._stun_heard_at)

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
                self.on_record(data)
            else:
                self._stun_arrived = time.perf_counter()
                self._stun_heard_at = time.monotonic()
                handle_stun(data, addr)

        replaced: Any = protocol
        replaced.datagram_received = receive
        repeat_soon(protocol)

    def send_record(self, data: bytes) -> None:
        """Send a DTLS record to the other side.

        Raises:
            ConnectionError: there is no pair in use.
        """
        pair = self._connection._nominated.get(1)
        if pair is None:
            raise ConnectionError("no candidate pair in use")
        if pair is not self._pair:
            self._pair, self._address = pair, pair.remote_addr
        self.packets_sent += 1
        self.bytes_sent += len(data)
        self.sent_at = time.monotonic()
        pair.protocol.transport.sendto(data, self._address)

    def traffic(self) -> dict[str, int]:
        """Return the counters of DTLS records, under webrtc-stats' names."""
        return {
            "packetsSent": self.packets_sent,
            "packetsReceived": self.packets_received,
            "bytesSent": self.bytes_sent,
            "bytesReceived": self.bytes_received,
        }


def _drop(_record: bytes) -> None:
    """Take a record that nobody wants."""
