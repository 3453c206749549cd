"""Running aiortc's coroutines on the spot, where they never wait."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any

from gym_p2p.processes.tasks import note_failure

__all__ = ["run_through"]

_unfinished: set[asyncio.Task[None]] = set()


def run_through(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that is not expected to wait, here and now; let a task finish one that does.

    A task for every message and every datagram is what aiortc spends most of its time on.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return

    async def finish() -> None:
        await _rest(coroutine, awaited)

    task = asyncio.get_running_loop().create_task(finish())
    _unfinished.add(task)
    task.add_done_callback(_unfinished.discard)
    task.add_done_callback(note_failure)


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that was run up to its first wait, on ``awaited``."""
    yield awaited
    yield from coroutine
