"""How often there may be a probe: of one client's asking, and of one pair.

Knows time only as an argument, and nothing of probes themselves.
"""

from __future__ import annotations

from collections import OrderedDict, deque

import attrs

__all__ = ["CoolDowns", "RequestLimits"]

_REQUESTS = 12
_WINDOW_S = 600.0
"""Probes that one client may ask for: each costs both sides sockets and a second."""


@attrs.define(eq=False)
class RequestLimits:
    """The allowances of all clients, each kept however often its client comes and goes."""

    _taken: OrderedDict[str, deque[float]] = attrs.field(init=False, factory=OrderedDict)
    """By subject, in the order of their latest probes."""

    def take(self, subject_id: str, now: float) -> float | None:
        """Count a probe; where it is one too many, return the seconds until the next may be asked for."""
        self._forget(now)
        taken = self._taken.setdefault(subject_id, deque())
        while taken and taken[0] + _WINDOW_S <= now:
            taken.popleft()
        if len(taken) >= _REQUESTS:
            return taken[0] + _WINDOW_S - now
        taken.append(now)
        self._taken.move_to_end(subject_id)
        return None

    def _forget(self, now: float) -> None:
        """Drop those whose allowance is whole again."""
        while self._taken:
            subject_id, taken = next(iter(self._taken.items()))
            if now < taken[-1] + _WINDOW_S:
                return
            del self._taken[subject_id]


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
