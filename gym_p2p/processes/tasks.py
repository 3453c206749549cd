"""How the tasks of an event loop end, whosever they are, and the threads that it awaits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from gym_p2p.errors import P2PError

__all__ = ["note_failure", "to_its_end"]

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


def note_failure(task: asyncio.Future[Any]) -> None:
    """Take note of how a task ended, as its callback: nobody else may, and asyncio would complain of that.

    What a path, a peer or an operating system may do is no news; anything else is a bug of ours.
    """
    error = None if task.cancelled() else task.exception()
    if isinstance(error, OSError | P2PError):
        _log.debug("%s ended: %r", task, error)
    elif error is not None:
        _log.error("%s failed", task, exc_info=error)


async def to_its_end(work: Callable[[], _T]) -> _T:
    """Run a function on a thread, like :func:`asyncio.to_thread`; who is cancelled waits for it all the same.

    A thread goes on whatever becomes of who waits for it: what comes after a function that stores something
    must not come before it.
    """
    running = asyncio.get_running_loop().run_in_executor(None, work)  # no task, which could be cancelled, too
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
