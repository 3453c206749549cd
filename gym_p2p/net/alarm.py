"""One timer on the event loop that is set again and again, for a machine with a ``next_timeout``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gym_p2p.net.loop import LoopClock

__all__ = ["Alarm"]


class Alarm:
    """Calls back at a time. Every method is called on the event loop."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._clock = LoopClock(asyncio.get_running_loop())
        self._callback = callback
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None

    @property
    def now(self) -> float:
        """Monotonic seconds, by which the time is set."""
        return self._clock.time()

    def set(self, due: float | None) -> None:
        """Call back at this time and not at the one set before; ``None`` is never."""
        if due == self._due and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = None if due is None else self._clock.call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = self._due = None
        self._callback()
