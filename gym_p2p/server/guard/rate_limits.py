"""How much one may do: of a socket, a subject, an address; and strikes for those who go beyond it.

Knows time only as an argument.
"""

from __future__ import annotations

from collections import OrderedDict

import attrs

__all__ = ["KeyedLimits", "SocketLimits"]

_STRIKE_WINDOW_S = 10.0
_RATE_STRIKES = 3
_RATE_STRIKE_EVERY_S = 1.0
"""One burst over the limit is one strike, however many events it had."""
_VIOLATIONS = 10
_ROUNDING_S = 1e-9


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
    def wait_s(self) -> float:
        """How long until :meth:`take` grants an event, if none comes before."""
        return max(0.0, 1.0 - self._left) / self.events_per_s

    @property
    def exhausted(self) -> bool:
        """Whether the socket is to be dropped."""
        return len(self._strikes) >= _RATE_STRIKES or len(self._violations) >= _VIOLATIONS


@attrs.define(eq=False)
class KeyedLimits:
    """An allowance for each of many, kept however often one comes and goes.

    Args:
        per_s: sustained rate of each.
        burst: of each, at once.
    """

    per_s: float
    burst: int
    _full_at: OrderedDict[str, float] = attrs.field(init=False, factory=OrderedDict)
    """When each has all of its burst again; in the order of their latest grants."""

    def take(self, key: str, now: float) -> float | None:
        """Count one; where it is one too many, return the seconds until the next may come."""
        self._forget(now)
        cost_s = 1.0 / self.per_s
        full_at = max(now, self._full_at.get(key, now)) + cost_s
        wait_s = full_at - (now + self.burst * cost_s)
        if wait_s > _ROUNDING_S:
            return wait_s
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        return None

    def _forget(self, now: float) -> None:
        """Drop the oldest of those who have everything again; the others wait for their turn."""
        while self._full_at and next(iter(self._full_at.values())) <= now:
            self._full_at.popitem(last=False)


def _recent(times: list[float], now: float) -> list[float]:
    return [time for time in times if now < time + _STRIKE_WINDOW_S]
