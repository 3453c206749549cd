"""Which way game messages go: as DTLS records beside SCTP, or over the game channel as they always can.

A game message is unordered, unreliable and at most one datagram; SCTP's chunks, timers and acknowledgements
do nothing for it and cost four fifths of its way. Both sides of a link that are this package send it as DTLS
application data of its own. The layout of such a record, told from an SCTP packet by its first byte (SCTP
begins with its source port, 5000, which is 0x1388)::

    0xF0 | how many records came in so far, 2 bytes | the message, or nothing

The count is all that the sender needs in order to see that records arrive. Until it has seen that, and while
it is in doubt, messages go over the channel: a player of whom nothing arrives is soon taken for lost. Where
the doubt lasts although the path is alive, records are given up. DTLS keeps forged and repeated records out
(RFC 6347, section 4.1.2.6); late and lost messages are the netcode's everyday. Records know no congestion
control but this: beyond a rate that no match needs, messages are left out, and what comes beyond twice that
rate is not taken.

Knows counts and times. Refuses to know what a message holds, and sends nothing itself.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping

from gym_p2p.core.link.bucket import Bucket

__all__ = [
    "BEACON_EVERY_S",
    "BURST_BYTES",
    "DOUBT_S",
    "FIRST_BYTE",
    "INCOMING_BURST_BYTES",
    "MAX_BYTES_PER_S",
    "MAX_INCOMING_BYTES_PER_S",
    "MAX_RETURNS",
    "PATIENCE_S",
    "RECORD_COST_BYTES",
    "RETRY_S",
    "GameRecords",
    "GameTransport",
    "takes_records",
]

FIRST_BYTE = 0xF0
"""No SCTP packet of WebRTC begins with it."""

_HEAD = struct.Struct(">BH")
HEAD_BYTES = _HEAD.size

BEACON_EVERY_S = 0.25
"""How often the count is sent where no message takes it along."""

DOUBT_S = 0.5
"""After so long without a sign that records arrive, messages go over the channel until there is one. Noticed
a count later at most: below the two seconds after which a silent peer is lost (``disconnect_timeout_s``)."""

PATIENCE_S = 3.0
"""So long may nothing show that records arrive while the path is alive: twelve counts, all of which are lost
twice in a million times at a loss of a third."""

ALIVE_S = 1.5
"""The path is alive if something came over it within this time: more than the second between two
measurements of the round trip."""

RETRY_S = 10.0
"""From a return to the channel until records are trusted again, if they arrive."""

MAX_RETURNS = 3
"""After so many the channel is used for good."""

MAX_BYTES_PER_S = 2_000_000
BURST_BYTES = 65_536
"""A lockstep match that nothing paces comes to half of it on one machine; 60 Hz to a hundredth."""

MAX_INCOMING_BYTES_PER_S = 2 * MAX_BYTES_PER_S
INCOMING_BURST_BYTES = 1_048_576
"""What a path held up comes at once: a quarter of a second of the most that is sent, or more."""

RECORD_COST_BYTES = 40
"""Counted for every record that comes, beyond its own length: one that holds nothing is not free, either."""

_COUNTS = 1 << 16


class GameTransport(enum.StrEnum):
    """What carries game messages; the values are the exports' words."""

    CHANNEL = "datachannel"
    RECORDS = "dtls"


_RECORDS = GameTransport.RECORDS


def takes_records(about: object) -> bool:
    """Return whether somebody says of themselves that they take records.

    Args:
        about: what they say, whatever it is. Ways that are not known here are somebody else's.
    """
    offered = about.get("game_transport") if isinstance(about, Mapping) else None
    return isinstance(offered, list | tuple) and GameTransport.RECORDS in offered


class GameRecords:
    """One side's end of one link. Time is monotonic seconds.

    Attributes:
        transport: what carries our messages at present.
        takes_messages: whether the next message goes as a record: they are in use, and not in doubt.
        settled: whether that is more than the beginning, before both sides have found out what it is to be.
        doubts: how often messages took the channel for a while, because nothing showed that records arrive.
        returns: how often they went back from records to the channel altogether.
        resumed: how often they went by records again after that.
        sent, received: records, those that only count included.
        left_out: messages beyond the rate.
        refused: records that came beyond the rate, or although both sides do not take them.
    """

    def __init__(self) -> None:
        self.transport = GameTransport.CHANNEL
        self.takes_messages = False
        self.settled = False
        self.doubts = 0
        self.returns = 0
        self.resumed = 0
        self.sent = 0
        self.received = 0
        self.left_out = 0
        self.refused = 0
        self._agreed = False
        self._refuses = False
        self._arrived = 0
        """The other side's newest count of ours, unwrapped."""
        self._shown_at = 0.0
        """When it was last shown that ours arrive, or that nothing could show it."""
        self._doubted = False
        self._trusted_from = 0.0
        self._due: float | None = None
        self._sent_by_then = 0
        self._outgoing = Bucket(MAX_BYTES_PER_S, BURST_BYTES)
        self._incoming = Bucket(MAX_INCOMING_BYTES_PER_S, INCOMING_BURST_BYTES)

    def agree(self, now: float) -> bytes:
        """Both sides take records; return the first to send. Call it once, and not after :meth:`refuse`."""
        self._agreed = True
        self._shown_at = now
        self._due = now + BEACON_EVERY_S
        return self._seal(b"")

    def refuse(self) -> None:
        """The channel it is, for good: not both sides take records. Instead of :meth:`agree`."""
        self._refuses = self.settled = True

    def outgoing(self, message: bytes, now: float) -> bytes | None:
        """Return the record that carries a message; ``None`` where it is to be left out.

        Only while it :attr:`takes_messages`.
        """
        if not self._outgoing.takes(len(message), now):
            self.left_out += 1
            return None
        return self._seal(message)

    def incoming(self, record: bytes, now: float) -> tuple[bytes, bytes | None]:
        """Take in a record that begins with :data:`FIRST_BYTE`.

        Returns:
            its message, empty if it only counts, is cut short or refused, and a record to send in answer.
        """
        if len(record) < HEAD_BYTES:
            return b"", None
        if self._refuses or not self._incoming.takes(len(record) + RECORD_COST_BYTES, now):
            self.refused += 1
            return b"", None
        self.received += 1
        self._note_count(record[1] << 8 | record[2], now)
        if self.transport is _RECORDS and self.received > 1:  # nearly always
            return record[HEAD_BYTES:], None
        # Where ours do not go yet the other side may be waiting for a count, too.
        confirmed = self.transport is GameTransport.CHANNEL and self._confirm(now)
        news = confirmed or self.received == 1
        answer = self._seal(b"") if self._agreed and news else None
        return record[HEAD_BYTES:], answer

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` is due; ``None`` before both sides agree, and for good."""
        return self._due

    def handle_timeout(self, now: float, *, heard_at: float) -> bytes | None:
        """See whether records still arrive; return one that only counts, if one is due.

        Args:
            now: monotonic seconds.
            heard_at: when anything at all last came over the path.
        """
        if self._due is None or now < self._due:
            return None
        held_up_s = now - self._due  # what came meanwhile may not have been taken in yet
        self._shown_at = min(now, self._shown_at + held_up_s)
        self._due = now + BEACON_EVERY_S
        if now - heard_at > ALIVE_S:
            self._shown_at = now  # nothing can arrive, by whatever way: this is no fault of records
        elif now - self._shown_at > PATIENCE_S:
            self._give_up(now)
        doubted = now - self._shown_at > DOUBT_S
        self.doubts += doubted and self.takes_messages
        self._doubted = doubted
        self._choose()
        quiet, self._sent_by_then = self.sent == self._sent_by_then, self.sent
        if self._due is None or not quiet:
            return None
        beacon = self._seal(b"")
        self._sent_by_then = self.sent
        return beacon

    def _seal(self, message: bytes) -> bytes:
        self.sent += 1
        return _HEAD.pack(FIRST_BYTE, self.received % _COUNTS) + message

    def _note_count(self, count: int, now: float) -> None:
        more = (count - self._arrived) % _COUNTS
        if 0 < more < _COUNTS // 2 and self._arrived + more <= self.sent:
            self._arrived += more
        elif self._arrived != self.sent:
            return
        self._shown_at = now
        if self._doubted:
            self._doubted = False
            self._choose()

    def _choose(self) -> None:
        self.takes_messages = self.transport is GameTransport.RECORDS and not self._doubted

    def _confirm(self, now: float) -> bool:
        """Use records if both agree and it has been shown that they arrive; return whether they are now."""
        confirmed = self._agreed and self._arrived > 0 and self._shown_at == now and now >= self._trusted_from
        if not confirmed or self.returns >= MAX_RETURNS:
            return False
        self.transport = GameTransport.RECORDS
        self._choose()
        self.settled = True
        self.resumed += self.returns > 0
        return True

    def _give_up(self, now: float) -> None:
        self._shown_at = now
        self.settled = True
        if self.transport is GameTransport.CHANNEL:
            return
        self.transport = GameTransport.CHANNEL
        self._choose()
        self.returns += 1
        self._trusted_from = now + RETRY_S
        if self.returns >= MAX_RETURNS:
            self._due = None
