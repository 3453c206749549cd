"""Notices at once that the process which started this one has ended, however that came about.

The end of a stream from it does not tell: whatever it forked may hold the stream open. On Linux its pidfd
becomes readable (pidfd_open(2)); elsewhere the parent of this process becomes another one, which has to be
looked at again and again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

__all__ = ["OwnerWatch"]

POLL_INTERVAL_S = 0.25


class OwnerWatch:
    """Calls back once when the owner has ended. Every method is called on the event loop.

    Args:
        owner: the process id of this process's parent.
        on_end: is called at most once, possibly from the constructor.
        by_pidfd: whether to ask for a pidfd; without one it is looked every quarter of a second.
    """

    def __init__(self, owner: int, on_end: Callable[[], None], *, by_pidfd: bool = True) -> None:
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._on_end = on_end
        self._timer: asyncio.TimerHandle | None = None
        self._pidfd = _open_pidfd(owner) if by_pidfd else -1
        if self._pidfd >= 0:
            self._loop.add_reader(self._pidfd, self._end)
        # Only now: had the owner ended before, its id could be another process's.
        self._look()

    def stop(self) -> None:
        """Watch no longer. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _look(self) -> None:
        if os.getppid() != self._owner:
            self._end()
        elif self._pidfd < 0:
            self._timer = self._loop.call_later(POLL_INTERVAL_S, self._look)

    def _end(self) -> None:
        self.stop()
        self._on_end()


def _open_pidfd(process: int) -> int:
    """Return a pidfd; -1 where there is none to be had, which is no Linux or an old or a guarded one."""
    try:
        return os.pidfd_open(process)
    except (AttributeError, OSError):
        return -1
