"""Threads of this package, told from the program's by what they are; and how an event loop awaits one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["OwnThread", "to_its_end"]

_T = TypeVar("_T")


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


class OwnThread(threading.Thread):
    """A thread that runs nothing of the user's that could play a seat."""
