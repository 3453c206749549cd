"""How often one address may connect: much, until its clients had to be dropped again and again.

A client that was dropped for what it sends comes back at once if it may, and every connection costs the
others some of the service's time. But a laboratory, or a proxy, has one address for all of its players: so
an address is slowed down, and not shut out, its standing connections stay, and it takes several drops.
"""

from __future__ import annotations

from collections import OrderedDict

import attrs

from gym_p2p.core.presence.rate_limits import RateLimit, SlidingWindow

__all__ = ["SLOW_S", "Connects"]

SLOW_S = 60.0
"""An address is slow for so long after the drop that made it so, and after each later one."""
_FORGIVEN = 2
"""Drops within that time that change nothing: a faulty client, and its next try."""


def _slow() -> RateLimit:
    return RateLimit(1.0, 5)


def _drops() -> SlidingWindow:
    return SlidingWindow(_FORGIVEN, window_s=SLOW_S)


@attrs.define(eq=False)
class Connects:
    """New connections, by address.

    Attributes:
        usual: of an address.
        slow: of one whose clients had to be dropped.
    """

    usual: RateLimit
    slow: RateLimit = attrs.field(factory=_slow)
    _drops: SlidingWindow = attrs.field(init=False, factory=_drops)
    _slow_until: OrderedDict[str, float] = attrs.field(init=False, factory=OrderedDict)
    """In the order of these times."""

    def take(self, address: str, now: float) -> float | None:
        """Count one; where it is one too many, return the seconds until the next may come."""
        while self._slow_until and next(iter(self._slow_until.values())) <= now:
            self._slow_until.popitem(last=False)
        wait_s = self.usual.take(address, now)
        if wait_s is None and address in self._slow_until:
            wait_s = self.slow.take(address, now)
        return wait_s

    def drop(self, address: str, now: float) -> None:
        """Note that a client of this address was dropped for what it sent."""
        if self._drops.take(address, now) is None:
            return
        self._drops.count(address, now)
        self._slow_until[address] = now + SLOW_S
        self._slow_until.move_to_end(address)
