"""One thread at a time, and signal handlers that interrupt it."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Door"]


class Door:
    """Lets one thread in at a time, until the end of its ``with`` block; open it first.

    A signal handler runs on the thread that it interrupts, which may be inside: it cannot wait for that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: int | None = None
        self.last_thing: Callable[[], object] | None = None
        """Done once by whoever is inside, on the way out."""

    @property
    def is_ours(self) -> bool:
        """Whether the calling thread is inside."""
        return self._inside == threading.get_ident()

    def open(self, *, wait: bool) -> bool:
        """Go in if nobody is inside, or once nobody is; return whether we are in."""
        opened = self._lock.acquire(blocking=wait)
        if opened:
            self._inside = threading.get_ident()
        return opened

    def __enter__(self) -> None:
        return

    def __exit__(self, *_error: object) -> None:
        self._inside = None
        self._lock.release()
        if self.last_thing is not None:
            call, self.last_thing = self.last_thing, None
            call()
