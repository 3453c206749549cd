"""When a gap in what others pass on is mended: at once, and more seldom where gaps follow each other.

Who passes on drops what is beyond a budget. Sent again at once, it would be dropped again, time after time.
In the longest pause as much gets through as the longest message has.
"""

from __future__ import annotations

import math

import attrs

__all__ = ["FIRST_PAUSE_S", "LONGEST_PAUSE_S", "GapRepairs"]

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0


@attrs.define
class GapRepairs:
    """The repairs of one way. Times are monotonic seconds.

    Attributes:
        due_at: when a gap that was seen is to be mended; never, if there is none.
    """

    due_at: float = math.inf
    _last_at: float = -math.inf
    _pause_s: float = 0.0

    def seen(self, now: float) -> None:
        """Note a gap: set :attr:`due_at`, which may be now."""
        if self._last_at + 2 * LONGEST_PAUSE_S < now:
            self._pause_s = 0.0
        self.due_at = max(now, self._last_at + self._pause_s)

    def mended(self, now: float) -> None:
        """Note that the way has begun anew: there is no gap."""
        self.due_at, self._last_at = math.inf, now
        self._pause_s = min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, 2 * self._pause_s))
