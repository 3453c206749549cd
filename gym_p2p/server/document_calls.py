"""The calls of a host's ``on_document`` that have not returned: how many there may be, and how they end.

A function that never returns keeps its thread, or greenlet, and nobody can end it. So a document is tried
again beside a call that hangs (what that waits for may be its own trouble alone), but not without end; and
what it has taken late is not handed over once more. It knows no threads itself, and may be told from any.
"""

from __future__ import annotations

import threading
from collections import Counter

from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.outbox import Waiting

__all__ = ["CALLS_OF_ONE", "MOST_CALLS", "DocumentCalls", "HeldBack"]

_LOG = client_log(__name__)

CALLS_OF_ONE = 2
"""Of one document, that have not returned."""
MOST_CALLS = 16
"""And of all together."""


class HeldBack(Exception):
    """Too many calls have not returned."""


class DocumentCalls:
    """What has been called and is not known to have returned."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Counter[tuple[object, ...]] = Counter()
        """By document."""
        self._taken: dict[tuple[object, ...], str] = {}
        """By document, the digest of what a call has taken."""
        self._given_up: set[tuple[object, ...]] = set()

    def begin(self, waiting: Waiting) -> None:
        """Count a call for a document, which is made now.

        Raises:
            HeldBack: it must not be made; the log says so once.
        """
        key = waiting.marker.key
        with self._lock:
            too_many = self._running[key] >= CALLS_OF_ONE or self._running.total() >= MOST_CALLS
            if not too_many:
                self._running[key] += 1
                self._given_up.discard(key)
                return
            is_news = key not in self._given_up
            self._given_up.add(key)
            calls = self._running.total()
        if is_news:
            _LOG.error(
                "on_document is not called any more for %s: %d of its calls have not returned. The document "
                "is kept, and handed over once some have, or after the next start",
                *(waiting, calls),
            )
        raise HeldBack

    def ended(self, waiting: Waiting, *, taken: bool) -> None:
        """Note that a call has returned, in time or later, and whether the host has had the document."""
        key = waiting.marker.key
        with self._lock:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]
            if taken:
                self._taken[key] = waiting.digest

    def has_taken(self, waiting: Waiting) -> bool:
        """Return whether a call has taken what waits, though too late to be waited for."""
        with self._lock:
            return self._taken.get(waiting.marker.key) == waiting.digest

    def forget(self, waiting: Waiting) -> None:
        """Forget a document that has been handed over; calls that have not returned still count."""
        with self._lock:
            self._taken.pop(waiting.marker.key, None)
            self._given_up.discard(waiting.marker.key)
