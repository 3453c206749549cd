"""The offset between two clocks, from ping and pong.

It knows the arithmetic of RFC 5905; it refuses to know how the four times were measured and what time it is.
"""

from __future__ import annotations

import collections

import attrs

from gym_p2p.core.latency.webrtc_stats import MAX_MEASURED_RTT_MS

__all__ = ["ClockEstimate", "ClockOffset"]

_CLOCK_WINDOW = 8
"""Exchanges that are kept: the eight stages of NTP's clock filter (RFC 5905, 10)."""

_CLOCK_DRIFT = 15e-6
"""How far two clocks may drift apart: PHI of RFC 5905 (7.2), 15 ppm."""

_CLOCK_RESOLUTION_S = 1e-4
"""Times are rounded on the wire, so that the round trip over no distance may come out below zero."""


@attrs.frozen
class ClockEstimate:
    """How far the peer's clock is ahead of ours, and what that says of each direction.

    The truth lies within ``error_s`` of ``offset_s``, however asymmetric the path is; the one-way delays
    have the same error.
    """

    offset_s: float
    """Theirs minus ours."""
    error_s: float
    rtt_s: float
    """Of the exchange that the offset comes from."""
    outbound_s: float
    """From us to them, in the newest exchange."""
    inbound_s: float
    """From them to us, in the newest exchange."""


@attrs.frozen
class _Exchange:
    offset_s: float
    rtt_s: float
    at_s: float
    there_s: float
    back_s: float

    def error_s(self, now_s: float) -> float:
        return self.rtt_s / 2 + _CLOCK_DRIFT * max(0.0, now_s - self.at_s)


@attrs.define(eq=False)
class ClockOffset:
    """The offset between two clocks from ping and pong, as NTP has it (RFC 5905, 8 and 10).

    Of the newest eight exchanges the one with the smallest error counts: half its round trip, plus the
    drift since. A short round trip leaves the least room for asymmetry.
    """

    _window: collections.deque[_Exchange] = attrs.field(init=False)
    _estimate: ClockEstimate | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._window = collections.deque(maxlen=_CLOCK_WINDOW)

    @property
    def offset_s(self) -> float | None:
        """Their clock minus ours; ``None`` before the first exchange."""
        return None if self._estimate is None else self._estimate.offset_s

    @property
    def error_s(self) -> float | None:
        """The bound of the error of :attr:`offset_s`; ``None`` before the first exchange."""
        return None if self._estimate is None else self._estimate.error_s

    def observe(self, sent_s: float, received_s: float, replied_s: float, returned_s: float) -> bool:
        """Take one exchange: T1 to T4 of RFC 5905, the first and last on our clock, the others on theirs.

        Returns False, having changed nothing, when the four cannot be true.
        """
        rtt_s = (returned_s - sent_s) - (replied_s - received_s)
        if not (-_CLOCK_RESOLUTION_S <= rtt_s <= MAX_MEASURED_RTT_MS / 1000 and received_s <= replied_s):
            return False
        there_s, back_s = received_s - sent_s, returned_s - replied_s
        self._window.append(
            _Exchange(
                (there_s - back_s) / 2, max(0.0, rtt_s), at_s=returned_s, there_s=there_s, back_s=back_s
            )
        )
        best = min(self._window, key=lambda exchange: exchange.error_s(returned_s))
        self._estimate = ClockEstimate(
            offset_s=best.offset_s,
            error_s=best.error_s(returned_s),
            rtt_s=best.rtt_s,
            outbound_s=there_s - best.offset_s,
            inbound_s=back_s + best.offset_s,
        )
        return True

    def estimate(self) -> ClockEstimate | None:
        """Return the best estimate as of the newest exchange, or ``None`` before the first."""
        return self._estimate
