"""Who a process of ours works for, and whether they have ended, however that came about.

The end of a stream from it does not tell: whatever it forked may hold the stream open. On Linux its pidfd
becomes readable (pidfd_open(2)); elsewhere the parent of this process becomes another one, which has to be
looked at again and again.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import Self

__all__ = ["SIGNALS_OF_OWNER", "Owner", "open_pidfd"]

SIGNALS_OF_OWNER = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Which are theirs to handle: they go to everything that runs, and the owner decides when it ends."""


class Owner:
    """The process that started this one. With a pidfd it is the same to whatever this one forks.

    Args:
        process: the process id of this process's parent.
        by_pidfd: whether to ask for a pidfd; without one it is known to this very process alone.
    """

    def __init__(self, process: int, *, by_pidfd: bool = True) -> None:
        self._process = process
        self.pidfd = open_pidfd(process) if by_pidfd else -1
        """Becomes readable when it has ended; -1 where there is none."""
        # Only now: had it ended before, its id could be another process's.
        self._ended = os.getppid() != process

    @classmethod
    def known_by(cls, pidfd: int) -> Self:
        """Return one that gave this process its pidfd, which is closed with it."""
        owner = cls(os.getppid(), by_pidfd=False)
        owner.pidfd = pidfd
        return owner

    def has_ended(self) -> bool:
        """Return whether it has."""
        if not self._ended:
            self._ended = _is_readable(self.pidfd) if self.pidfd >= 0 else os.getppid() != self._process
        return self._ended

    def close(self) -> None:
        """Let go of it; nothing is called afterwards. Idempotent."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


def open_pidfd(process: int) -> int:
    """Return a pidfd; -1 where there is none to be had, which is no Linux or an old or a guarded one."""
    with contextlib.suppress(AttributeError, OSError):
        return os.pidfd_open(process)
    return -1


def _is_readable(fd: int) -> bool:
    readable = select.poll()  # not select(), which knows no descriptors above 1023
    readable.register(fd, select.POLLIN)
    return bool(readable.poll(0))
