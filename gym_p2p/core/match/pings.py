"""The protocol's own pings to one peer: their round trips, and what they show of its clock.

Knows numbers and times; refuses to know when the next one is due. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

import attrs

from gym_p2p.core.latency.clock import ClockOffset
from gym_p2p.core.link.condition import PathCondition
from gym_p2p.core.match.events import Pinged
from gym_p2p.core.wire.messages import Ping, Pong
from gym_p2p.errors import ProtocolError

__all__ = ["ONE_WAY_MOST_S", "PINGS_KEPT", "Pings"]

ONE_WAY_MOST_S = 0.5
"""No path that a match is played over takes longer. A peer chooses when to answer a ping: it must not choose
how long we wait for its sake."""

PINGS_KEPT = 64
"""Of ours that were not answered: more than are sent in a minute."""

HELD_MARGIN_S = 0.01
"""By how much an answer may claim to have lain with the peer for longer than it was under way: the resolution
and the drift of two clocks."""


@attrs.define(eq=False)
class Pings:
    """Our pings to one peer, and what came of them.

    Attributes:
        srtt_s: the round trip, smoothed; ``None`` before the first answer.
        sent_at: when the newest was sent.
        condition: what they show of the path.
        number: of the next one.
    """

    srtt_s: float | None = None
    sent_at: float = 0.0
    condition: PathCondition = attrs.field(factory=PathCondition)
    _clock: ClockOffset = attrs.field(factory=ClockOffset)
    number: int = 0
    _open: dict[int, int] = attrs.field(factory=dict)
    """When those were sent that may still be answered, in microseconds, by number."""

    def next(self, control_count: int, now: float) -> Ping:
        """Return the next ping, which is sent now.

        Args:
            control_count: how many of the peer's control messages are here.
            now: the time.
        """
        ping = Ping(self.number, int(now * 1e6), control_count)
        self._open[ping.number] = ping.sent_us
        if len(self._open) > PINGS_KEPT:
            del self._open[next(iter(self._open))]
        self.condition.sent(ping.number, now)
        self.number += 1
        self.sent_at = now
        return ping

    def over_another_path(self, *others: Pings | None) -> Pings:
        """Return pings over another path, of which nothing is known yet; they are numbered on.

        Args:
            others: over further paths to the same peer: no number is given twice.
        """
        return Pings(number=max(self.number, *(0 if other is None else other.number for other in others)))

    def receive(self, player: int, pong: Pong, now: float) -> Pinged | None:
        """Take in a pong: its round trip, less the time it lay with the peer, and what it shows of its clock.

        Returns:
            ``None`` for one that was answered before, as a network may deliver twice.

        Raises:
            ProtocolError: it answers no ping of ours, or claims times that cannot be.
        """
        if pong.number >= self.number:
            raise ProtocolError("answer to a ping that was not sent")
        sent_us = self._open.get(pong.number)
        if sent_us is None:
            return None
        held_s, elapsed_s = (pong.replied_us - pong.received_us) / 1e6, now - sent_us / 1e6
        if pong.sent_us != sent_us or not 0 <= held_s <= elapsed_s + HELD_MARGIN_S:
            raise ProtocolError("answer to a ping with impossible times")
        del self._open[pong.number]
        rtt_s = max(0.0, elapsed_s - held_s)
        self.condition.answered(pong.number, rtt_s)
        # RFC 6298, section 2: the smoothing of the round trip, with its gain of 1/8.
        self.srtt_s = rtt_s if self.srtt_s is None else self.srtt_s + (rtt_s - self.srtt_s) / 8
        self._clock.observe(pong.sent_us / 1e6, pong.received_us / 1e6, pong.replied_us / 1e6, now)
        return Pinged(player, rtt_s * 1e3, self._clock.estimate())

    @property
    def one_way_s(self) -> float:
        """How long a message takes to the peer, if both ways take alike; 0 before the first pong."""
        return 0.0 if self.srtt_s is None else min(ONE_WAY_MOST_S, self.srtt_s / 2)
