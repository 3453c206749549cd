"""An event loop that looks again and again for what is about to come, where that pays."""

from __future__ import annotations

import asyncio
import os
import time

from gym_p2p.core.link.busy_polling import LOOKS_FOR_S, BusyPolling

__all__ = ["BusyLoop"]


class BusyLoop:
    """Keeps an event loop awake for a little while after something came that more is about to follow.

    Args:
        loop: that this is called on, always.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._polling = BusyPolling()
        self._looks = False
        self._since = 0.0

    def expect_another(self) -> None:
        """Stay awake for the next of what has just come."""
        now = time.monotonic()
        if self._looks:
            self._polling.looked(now, now - self._since, found=True)
            self._since = now
        elif self._polling.pays(now):
            self._looks, self._since = True, now
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        os.sched_yield()
        now = time.monotonic()
        took_s = now - self._since
        if took_s >= LOOKS_FOR_S:
            self._polling.looked(now, took_s, found=False)
        self._looks = took_s < LOOKS_FOR_S and self._polling.pays(now)
        if self._looks:
            self._loop.call_soon(self._turn)  # then the loop does not wait for what it looks at
