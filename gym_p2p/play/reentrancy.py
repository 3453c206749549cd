"""Who may be inside a session, and when: one thread at a time, signal handlers, the garbage collector."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable

from gym_p2p.play.ending import why_dropped

__all__ = ["Door", "close_when_dropped"]

Close = Callable[[str], object]
"""``close(reason)``, callable from any thread."""


class Door:
    """Lets one thread in at a time, until the end of its ``with`` block; :meth:`open` it first.

    A signal handler runs on the thread that it interrupts, which may be inside: it cannot wait for that, and
    leaves :attr:`last_thing` to be done instead. The lock knows its owner, so that an interruption anywhere
    between opening and leaving shuts nobody out on the same thread.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._inside = False
        self.last_thing: Callable[[], object] | None = None
        """Done once by whoever is inside, on the way out."""

    def open(self, *, wait: bool) -> bool:
        """Come to the door, waiting for another thread to leave if so asked.

        Returns:
            Whether a ``with`` block may follow. False, with nothing to undo, when the calling thread is
            inside already, or another one is and we do not wait.
        """
        if not self._lock.acquire(blocking=wait):
            return False
        if self._inside:
            self._lock.release()
            return False
        return True

    def __enter__(self) -> None:
        self._inside = True

    def __exit__(self, *_error: object) -> None:
        self._inside = False
        self._lock.release()
        if self.last_thing is not None:
            call, self.last_thing = self.last_thing, None
            call()


def close_when_dropped(owner: object, close: Close) -> None:
    """Close when the owner is dropped, or the program ends: no match without goodbye and documents.

    Args:
        owner: what a user holds.
        close: does not hold the owner.
    """
    weakref.finalize(owner, _close_abandoned, close, os.getpid())


def _close_abandoned(close: Close, process: int) -> None:
    if os.getpid() != process:
        return  # a forked process has no part in its parent's matches
    reason = why_dropped()
    if threading.current_thread() is threading.main_thread():
        close(reason)
    else:
        # The garbage collector may have come by on one of the threads that closing waits for.
        threading.Thread(target=close, args=(reason,), name="gym_p2p closing").start()
