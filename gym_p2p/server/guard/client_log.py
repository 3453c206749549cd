"""The service's log: of every kind of line a few, then how many there were.

Nearly every line that a service writes can be caused by a client, as often as it likes; a log that a client
fills hides what others do, and ends with the disk. So every logger of the service is got here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from gym_p2p.core.presence.rate_limits import RateLimit

__all__ = ["LINES_AT_ONCE", "LINES_PER_S", "FewOfAKind", "client_log"]

LINES_AT_ONCE = 50
LINES_PER_S = 0.5
"""Of one kind, which is a text before anything is filled in."""


class FewOfAKind(logging.Filter):
    """Leaves out what is too much, and adds to the next line of that kind how many those were.

    What is below INFO is not counted: it is written only where somebody looks for it.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._limit = RateLimit(LINES_PER_S, LINES_AT_ONCE)
        self._left_out = Counter[str]()
        self._lock = threading.Lock()  # documents are read on threads

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line is written."""
        if record.levelno < logging.INFO:
            return True
        kind = f"{record.name}: {record.msg}"
        with self._lock:
            if self._limit.take(kind, self._now()) is not None:
                self._left_out[kind] += 1
                return False
            left_out = self._left_out.pop(kind, 0)
        if left_out:
            record.msg = f"{record.msg} (and {left_out} lines like this one that were left out)"
        return True


_FEW = FewOfAKind()


def client_log(name: str) -> logging.Logger:
    """Return the logger of a module of the service."""
    logger = logging.getLogger(name)
    logger.addFilter(_FEW)
    return logger
