"""Who may be inside a session, and when: one thread at a time, signal handlers, the garbage collector."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable

from gym_p2p.errors import UsageError
from gym_p2p.play.ending import why_dropped
from gym_p2p.processes.threads import OwnThread

__all__ = ["Access", "Door", "close_when_dropped"]

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


class Access:
    """Who may call a session: one thread at a time, in the process that plays its match.

    Attributes:
        door: to the session.
        process: that plays or makes the match; ``None`` before there is one. A process that it forks has no
            part in it.
    """

    def __init__(self) -> None:
        self.door = Door()
        self.process: int | None = None

    @property
    def forked(self) -> bool:
        """Whether this is another process than the one that plays."""
        return self.process is not None and self.process != os.getpid()

    def exclusive(self, verb: str) -> Door:
        """Return the door, opened for a call that nobody else may make meanwhile.

        Raises:
            UsageError: another thread is inside, or this is a fork.
        """
        if self.forked:
            raise UsageError(
                f"{verb}() in a fork of the process that plays this match: make a wrapper of its own there"
            )
        if not self.door.open(wait=False):
            raise UsageError(f"{verb}() while another thread is inside reset(), step() or close()")
        return self.door

    def if_free(self) -> Door | None:
        """Return the door, opened; ``None`` while anybody is inside, and in a fork."""
        return None if self.forked or not self.door.open(wait=False) else self.door


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
        OwnThread(target=close, args=(reason,), name="gym_p2p closing").start()
