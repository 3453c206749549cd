"""Has an event loop notice at once that the owner of its process has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gym_p2p.processes.owner import Owner

__all__ = ["OwnerWatch"]

POLL_INTERVAL_S = 0.25
"""Where there is no pidfd to wait for."""


class OwnerWatch:
    """Calls back once when the owner has ended. Every method is called on the event loop.

    Args:
        owner: it is not closed.
        on_end: is called at most once, possibly from the constructor.
    """

    def __init__(self, owner: Owner, on_end: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._on_end = on_end
        self._timer: asyncio.TimerHandle | None = None
        self._reading = owner.pidfd if not owner.has_ended() else -1
        if self._reading >= 0:
            self._loop.add_reader(self._reading, self._end)
        else:
            self._look()

    def stop(self) -> None:
        """Watch no longer. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reading >= 0:
            self._loop.remove_reader(self._reading)
            self._reading = -1

    def _look(self) -> None:
        if self._owner.has_ended():
            self._end()
        else:
            self._timer = self._loop.call_later(POLL_INTERVAL_S, self._look)

    def _end(self) -> None:
        self.stop()
        self._on_end()
