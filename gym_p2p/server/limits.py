"""How much one socket may do: a token bucket, and strikes for those who go beyond it.

Knows time only as an argument.
"""

from __future__ import annotations

import attrs

__all__ = ["SocketLimits"]

_STRIKE_WINDOW_S = 10.0
_RATE_STRIKES = 3
_RATE_STRIKE_EVERY_S = 1.0
"""One burst over the limit is one strike, however many events it had."""
_VIOLATIONS = 10


@attrs.define(eq=False)
class SocketLimits:
    """The allowance of one socket.

    Args:
        events_per_s: sustained rate.
        burst: events at once.
        now: monotonic seconds.
    """

    events_per_s: float
    burst: int
    now: float
    _left: float = attrs.field(
        init=False, default=attrs.Factory(lambda self: float(self.burst), takes_self=True)
    )
    _strikes: list[float] = attrs.field(init=False, factory=list)
    _violations: list[float] = attrs.field(init=False, factory=list)

    def take(self, now: float) -> bool:
        """Count an event; returns False when it is to be dropped."""
        self._left = min(float(self.burst), self._left + (now - self.now) * self.events_per_s)
        self.now = now
        if self._left < 1.0:
            if not self._strikes or self._strikes[-1] + _RATE_STRIKE_EVERY_S <= now:
                self._strikes = [*_recent(self._strikes, now), now]
            return False
        self._left -= 1.0
        return True

    def violate(self, now: float) -> None:
        """Count something that no honest client sends."""
        self._violations = [*_recent(self._violations, now), now]

    @property
    def exhausted(self) -> bool:
        """Whether the socket is to be dropped."""
        return len(self._strikes) >= _RATE_STRIKES or len(self._violations) >= _VIOLATIONS


def _recent(times: list[float], now: float) -> list[float]:
    return [time for time in times if now < time + _STRIKE_WINDOW_S]
