"""The event loop that the network runs on, uvloop where it exists; exact time, timers and tasks on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["LoopClock", "LoopTimer", "run_loop", "unless"]

_T = TypeVar("_T")

LATE_S = 0.0005
"""Half of uvloop's tick: a call that came early would find nothing due and be set again, and again."""

try:
    import uvloop
except ImportError:  # not made for this platform
    _new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    _new_loop = uvloop.new_event_loop


class LoopClock:
    """Exact monotonic time for a machine that runs on an event loop.

    uvloop's own ``time()`` is that of the current iteration, in whole milliseconds: too coarse to measure
    a round trip with. It counts on the same clock, and delays count from it: one from the exact time would be
    over early, by as much as the iteration has taken so far.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.time = time.monotonic

    def call_at(self, when: float, callback: Callable[[], Any], /) -> asyncio.TimerHandle:
        """Call back at a monotonic time, or up to a millisecond later."""
        return self._loop.call_later(max(0.0, when - self._loop.time()) + LATE_S, callback)


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on a fresh event loop to its end."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(main)


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, _T]) -> _T | None:
    """Return what the work comes to; ``None``, having cancelled it, if the event comes first."""
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, waiting):
            task.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)


class LoopTimer:
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
