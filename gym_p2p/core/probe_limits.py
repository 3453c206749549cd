"""How often there may be a probe: of one client's asking, and of one pair.

Knows time only as an argument, and nothing of probes themselves.
"""

from __future__ import annotations

from collections import deque

import attrs

__all__ = ["CoolDowns", "RequestLimit"]

_REQUESTS = 12
_WINDOW_S = 600.0
"""Probes that one client may ask for: each costs both sides sockets and a second."""


@attrs.define(eq=False)
class RequestLimit:
    """The allowance of one client."""

    _taken: deque[float] = attrs.field(init=False, factory=deque)

    def take(self, now: float) -> bool:
        """Count a probe; returns False when it is one too many."""
        while self._taken and self._taken[0] + _WINDOW_S <= now:
            self._taken.popleft()
        if len(self._taken) >= _REQUESTS:
            return False
        self._taken.append(now)
        return True


@attrs.define(eq=False)
class CoolDowns:
    """Pairs that are put off for a while, and never for good."""

    cool_down_s: float
    _until: dict[frozenset[str], float] = attrs.field(init=False, factory=dict)

    def add(self, one: str, other: str, now: float) -> None:
        """Put a pair off from now on."""
        self._until = {pair: until for pair, until in self._until.items() if now < until}
        self._until[frozenset((one, other))] = now + self.cool_down_s

    def holds(self, one: str, other: str, now: float) -> bool:
        """Tell whether a pair is put off."""
        return now < self._until.get(frozenset((one, other)), now)
