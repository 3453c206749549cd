"""How the tasks of an event loop end, whosever they are."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from gym_p2p.errors import P2PError

__all__ = ["note_failure"]

_log = logging.getLogger(__name__)


def note_failure(task: asyncio.Future[Any]) -> None:
    """Take note of how a task ended, as its callback: nobody else may, and asyncio would complain of that.

    What a path, a peer or an operating system may do is no news; anything else is a bug of ours.
    """
    error = None if task.cancelled() else task.exception()
    if isinstance(error, OSError | P2PError):
        _log.debug("%s ended: %r", task, error)
    elif error is not None:
        _log.error("%s failed", task, exc_info=error)
