"""How much one may do: each of many sockets, subjects, addresses or pairs, by a key.

Two measures of "too often". A :class:`RateLimit` bounds the long run and lets a burst through; a
:class:`SlidingWindow` bounds what happens within any stretch of its length. Neither costs anything for a key
that has been quiet for long enough, so nobody has to take keys out. Both know time only as an argument.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque

import attrs

from gym_p2p.core.api.replies import Code, Refused

__all__ = ["RateLimit", "SlidingWindow", "too_often"]

_ROUNDING_S = 1e-9


def too_often(wait_s: float, message: str) -> Refused:
    """Return the refusal of what was one too many, with the time after which the next may come."""
    return Refused(Code.RATE_LIMITED, message, retry_after_ms=math.ceil((wait_s - _ROUNDING_S) * 1000))


@attrs.define(eq=False)
class RateLimit:
    """A sustained rate for each key, and a burst at once.

    The generic cell rate algorithm (ITU-T I.371, annex A): of a key it keeps only when all of its burst is
    there again. Each grant moves that ``1 / per_s`` away, and it may lie at most ``burst / per_s`` ahead.
    """

    per_s: float
    burst: int
    _full_at: OrderedDict[str, float] = attrs.field(init=False, factory=OrderedDict)
    """In the order of the latest grants."""

    def take(self, key: str, now: float, count: float = 1.0) -> float | None:
        """Count one, or so many at once; where that is too much, return the seconds until they may come."""
        self._forget(now)
        cost_s = count / self.per_s
        full_at = max(now, self._full_at.get(key, now)) + cost_s
        wait_s = full_at - (now + self.burst / self.per_s)
        if wait_s > _ROUNDING_S:
            return wait_s
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        return None

    def _forget(self, now: float) -> None:
        """Drop the oldest of those who have everything again; the others wait for their turn."""
        while self._full_at and next(iter(self._full_at.values())) <= now:
            self._full_at.popitem(last=False)


@attrs.define(eq=False)
class SlidingWindow:
    """At most so many for each key, in any ``window_s`` seconds."""

    most: int
    window_s: float
    _taken: OrderedDict[str, deque[float]] = attrs.field(init=False, factory=OrderedDict)
    """When, of each key, the latest ``most`` of them; in the order of the latest grants."""

    def take(self, key: str, now: float) -> float | None:
        """Count one; where it is one too many, return the seconds until the next may come."""
        free_at = self.free_at(key, now)
        if free_at is not None:
            return free_at - now
        self.count(key, now)
        return None

    def count(self, key: str, now: float) -> None:
        """Count one, even one too many."""
        self._forget(now)
        self._taken.setdefault(key, deque(maxlen=self.most)).append(now)
        self._taken.move_to_end(key)

    def free_at(self, key: str, now: float) -> float | None:
        """Return when the next may come; ``None``: now."""
        taken = self._taken.get(key)
        if taken is None or len(taken) < self.most:
            return None
        free_at = taken[0] + self.window_s
        return free_at if now < free_at else None

    def _forget(self, now: float) -> None:
        """Drop those whose allowance is whole again."""
        while self._taken:
            key, taken = next(iter(self._taken.items()))
            if now < taken[-1] + self.window_s:
                return
            del self._taken[key]
