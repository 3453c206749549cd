"""The way of one connection's game messages beside SCTP.

:class:`~gym_p2p.core.link.game_records.GameRecords` decides; this is the shell around it. Knows the loop's
clock and where records go. Refuses to know what a message holds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from gym_p2p.core.latency.webrtc_stats import GAME_RECORDS_ID
from gym_p2p.core.link.game_records import GameRecords
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES

__all__ = ["GameWay"]

_log = logging.getLogger(__name__)


class GameWay:
    """Sends and takes game messages as DTLS records, once :meth:`agree` was called.

    Args:
        send: encrypts and sends a record; raises :class:`ConnectionError`.
        heard_at: when anything last came over the path, in monotonic seconds.
        on_message: takes a message that came.
        on_change: called when what carries messages is another one than it was, once that was settled.

    Attributes:
        machine: what decides, with its counts.
        bytes_sent, bytes_received, messages_sent, messages_received: of messages that records carried.
    """

    def __init__(
        self,
        *,
        send: Callable[[bytes], None],
        heard_at: Callable[[], float],
        on_message: Callable[[bytes], None],
        on_change: Callable[[], None],
    ) -> None:
        self.machine = GameRecords()
        self.messages_sent = self.bytes_sent = self.messages_received = self.bytes_received = 0
        self._send = send
        self._heard_at = heard_at
        self._on_message = on_message
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def open(self) -> bool:
        """Whether messages go by records at present."""
        return self.machine.takes_messages

    def agree(self) -> None:
        """Both sides take records. Idempotent, and nothing on a closed connection."""
        if self._timer is None and not self._closed:
            self._try(self.machine.agree(self._loop.time()))
            self._set_timer()

    def refuse(self) -> None:
        """Messages go over the channel for good. Nothing after :meth:`agree`."""
        if self._timer is None:
            self.machine.refuse()

    def send(self, message: bytes) -> bool | None:
        """Send a message; False when it was not sent, ``None`` while not :attr:`open`."""
        machine = self.machine
        if not machine.takes_messages:
            return None
        if len(message) > MAX_MESSAGE_BYTES:
            _log.error("a message of %d bytes was not sent: the limit is %d", len(message), MAX_MESSAGE_BYTES)
            return False
        record = machine.outgoing(message, self._loop.time())
        if record is None:
            return False
        try:
            self._send(record)
        except ConnectionError:
            return False
        self.messages_sent += 1
        self.bytes_sent += len(message)
        return True

    def receive(self, record: bytes) -> None:
        """Take in a record of ours from the other side; nothing once closed."""
        if self._closed:
            return
        resumed = self.machine.resumed
        message, answer = self.machine.incoming(record, self._loop.time())
        if answer is not None:
            self._try(answer)
        if self.machine.resumed > resumed:
            _log.info("DTLS records arrive: game messages go as such again")
            self._on_change()
        if message:  # one that is too long, too: who sends it is judged as on the channel
            self.messages_received += 1
            self.bytes_received += len(message)
            self._on_message(message)

    def report(self) -> dict[str, dict[str, Any]]:
        """Return an entry of our own for the stats report: W3C knows no game messages beside a channel."""
        machine = self.machine
        return {
            GAME_RECORDS_ID: {
                "id": GAME_RECORDS_ID,
                "type": GAME_RECORDS_ID,
                "timestamp": time.time() * 1000,
                "transport": machine.transport.value,
                "settled": machine.settled,
                "doubts": machine.doubts,
                "returns": machine.returns,
                "resumed": machine.resumed,
                "recordsSent": machine.sent,
                "recordsReceived": machine.received,
                "messagesSent": self.messages_sent,
                "bytesSent": self.bytes_sent,
                "messagesReceived": self.messages_received,
                "bytesReceived": self.bytes_received,
                "messagesLeftOut": machine.left_out,
                "recordsRefused": machine.refused,
            }
        }

    def close(self) -> None:
        """Send nothing any more. Idempotent."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _try(self, record: bytes) -> bool:
        try:
            self._send(record)
        except ConnectionError:
            return False
        return True

    def _set_timer(self) -> None:
        due = self.machine.next_timeout()
        if due is not None:
            self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        returns = self.machine.returns
        beacon = self.machine.handle_timeout(self._loop.time(), heard_at=self._heard_at())
        if self.machine.returns > returns:
            _log.warning(
                "DTLS records do not arrive, though the path is alive: game messages go over the DataChannel"
            )
            self._on_change()
        if beacon is not None:
            self._try(beacon)
        self._set_timer()
