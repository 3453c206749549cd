"""Lines of the log that another player can cause: of each kind a few in a match, then how many there were.

Knows texts and how often they may come; refuses to know what they say. A player can cause a desync at every
frame that is compared: a terminal that scrolls hides what else there is to read.
"""

from __future__ import annotations

import logging
from collections import Counter

from gym_p2p.core.presence.rate_limits import RateLimit

__all__ = ["LINES_AT_ONCE", "LINES_PER_S", "FewLines"]

LINES_AT_ONCE = 5
LINES_PER_S = 0.1
"""Of one kind, which is a text before anything is filled in."""


class FewLines:
    """The lines of one match.

    Args:
        log: where they go, as warnings.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._limit = RateLimit(LINES_PER_S, LINES_AT_ONCE)
        self._left_out = Counter[str]()

    def warn(self, now: float, text: str, *values: object) -> None:
        """Write a line, or count it as left out; the next of its kind says how many were.

        Args:
            now: seconds, on any clock, the same each time.
            text: the line, with ``%`` places.
            values: what goes there.
        """
        if self._limit.take(text, now) is not None:
            self._left_out[text] += 1
            return
        left_out = self._left_out.pop(text, 0)
        more = f" (and {left_out} lines like this one that were left out)" if left_out else ""
        self._log.warning(text + more, *values)
