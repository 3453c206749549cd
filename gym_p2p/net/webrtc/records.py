"""DTLS records between the sockets and aiortc: straight through once connected, repeated until then.

* OpenSSL repeats a lost flight of the handshake after a second at the earliest. Here the last one goes out
  again sooner (:mod:`gym_p2p.net.webrtc.repetition`), byte by byte the same, which the replay window of DTLS
  (RFC 6347, section 4.1.2.6) makes harmless, until the first application data says that the handshake is over
  on both sides.
* Application data does not take aiortc's way through a queue and a task. What begins with
  :data:`~gym_p2p.core.link.game_records.FIRST_BYTE` is no SCTP packet but a game message, and goes past it.
* Application data is taken only if it is alone in its datagram, and no longer than is read at once. OpenSSL
  keeps the rest for the next readings, one of which belongs to each datagram: what came would be late for
  good, and could be any amount.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiortc.rtcdtlstransport import State
from OpenSSL import SSL

from gym_p2p.core.link.game_records import FIRST_BYTE
from gym_p2p.net.webrtc.eager import run_through
from gym_p2p.net.webrtc.internals import Internals
from gym_p2p.net.webrtc.repetition import repeat_after_s
from gym_p2p.net.webrtc.sealing import MAX_RECORD_BYTES, Sealing

__all__ = ["Records"]

_log = logging.getLogger(__name__)

_CONNECTED = State.CONNECTED

FLIGHT_REPEATS = 30
"""For 17 s, longer than a connection is waited for unless somebody says so."""

APPLICATION_DATA = 23
"""The content type of a record that is no part of a handshake (RFC 5246, section 6.2.1)."""

HEAD_BYTES = 13
"""Of a record; the last two are the length of what follows (RFC 6347, section 4.1)."""

BINDING_LABEL = b"EXPERIMENTAL gym_p2p link"
"""Labels that nobody has registered begin so (RFC 5705, section 4)."""

BINDING_BYTES = 32


class Records:
    """Both directions of one connection's DTLS layer.

    Attributes:
        on_game_record: takes what is no SCTP packet; to be set before anything comes.
    """

    def __init__(self, layers: Internals, send_record: Callable[[bytes], None]) -> None:
        self._dtls = layers.dtls
        self._connection = layers.connection
        self._send_record = send_record
        self.on_game_record: Callable[[bytes], None] = _drop
        self._flight = b""
        self._repeats = 0
        self._repeater: asyncio.TimerHandle | None = None
        self._sealing: Sealing | None = None
        layers.ice._send = self._send
        layers.dtls._send_data = self._encrypt  # type: ignore[method-assign]  # one call instead of six

    def receive(self, data: bytes) -> None:
        """Take in a datagram from the socket."""
        size = len(data)
        alone = data[0] == APPLICATION_DATA and HEAD_BYTES <= size <= MAX_RECORD_BYTES
        if alone and size == HEAD_BYTES + (data[11] << 8 | data[12]):  # nearly always
            if self._repeater is not None:
                self.close()
            if self._dtls._state is _CONNECTED and self._connection._queue.empty():
                self._decrypt(data)
                return
        elif not _holds_no_data(data):
            _log.debug("a datagram was dropped that cannot be read at once")
            return
        self._connection.data_received(data, 1)

    def close(self) -> None:
        """Repeat nothing any more. Idempotent."""
        if self._repeater is not None:
            self._repeater.cancel()
            self._repeater = None

    def _decrypt(self, data: bytes) -> None:
        dtls, session = self._dtls, self._sealing
        receiver = dtls._data_receiver
        if session is None or session.connection is not dtls._ssl:
            session = self._session()
        if session is None or receiver is None:
            return
        try:
            plain = session.open(data)
            if plain[0] == FIRST_BYTE:
                self.on_game_record(plain)
            else:
                run_through(receiver._handle_data(plain))
        except Exception as error:  # noqa: BLE001  # forged, repeated or malformed: the next one may be good
            _log.debug("a datagram was dropped: %r", error)

    async def _encrypt(self, data: bytes) -> None:
        self.send(data)

    @property
    def binding(self) -> bytes:
        """Keying material of this session (RFC 5705), the same at both ends; empty before there is one."""
        if self._dtls._ssl is None:
            return b""
        return self._dtls._ssl.export_keying_material(BINDING_LABEL, BINDING_BYTES)

    def send(self, data: bytes) -> None:
        """Send a record. The one way out of everything, so that what OpenSSL raises stops here.

        Raises:
            ConnectionError: there is no connection, or it has been shut down.
        """
        dtls, session = self._dtls, self._sealing
        if session is None or session.connection is not dtls._ssl:
            session = self._session()
        if dtls._state is not _CONNECTED or session is None:
            raise ConnectionError("DTLS is not connected")
        try:
            record = session.seal(data)
        except SSL.Error as error:  # between close_notify and the change of the state
            raise ConnectionError("DTLS has been shut down") from error
        self._send_record(record)

    def _session(self) -> Sealing | None:
        """Make what seals and opens the records of this session; ``None`` before there are keys."""
        ssl = self._dtls._ssl
        self._sealing = None if ssl is None else Sealing(ssl)
        return self._sealing

    async def _send(self, data: bytes) -> None:
        self._send_record(data)
        if self._dtls._state is State.CONNECTING:
            self.close()
            self._flight = data
            self._repeats = 0
            self._repeat_later()

    def _repeat_later(self) -> None:
        delay_s = repeat_after_s(self._repeats)
        self._repeater = asyncio.get_running_loop().call_later(delay_s, self._repeat)

    def _repeat(self) -> None:
        self._repeater = None
        if self._repeats >= FLIGHT_REPEATS:
            return
        self._repeats += 1
        try:
            self._send_record(self._flight)
        except ConnectionError:
            return
        self._repeat_later()


def _drop(_record: bytes) -> None:
    """Take a record that nobody wants."""


def _holds_no_data(data: bytes) -> bool:
    """Whether no record in a datagram is application data: that is alone in its own, and not too long."""
    size, at = len(data), 0
    while at < size and data[at] < APPLICATION_DATA:
        at = _end_of_record(data, at)
    return at >= size or data[at] != APPLICATION_DATA


def _end_of_record(data: bytes, at: int) -> int:
    return at + HEAD_BYTES + int.from_bytes(data[at + HEAD_BYTES - 2 : at + HEAD_BYTES])
