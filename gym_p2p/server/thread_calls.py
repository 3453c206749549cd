"""A host's functions that wait, called from an event loop: on a thread of their own each.

It knows threads and the loop, and not what a function is for. Where no event loop runs,
:mod:`gym_p2p.server.hosts.sync_calls` does it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from gym_p2p.processes.threads import OwnThread

__all__ = ["call_on_thread"]

_Ended = tuple[object, BaseException | None]


async def call_on_thread(function: Callable[[], object], *, name: str) -> object:
    """Return what a function returns; being cancelled leaves it to itself.

    Args:
        function: may never return, which keeps its thread, and not the program, from ending.
        name: the thread's.

    Raises:
        Exception: the function has raised it.
        RuntimeError: it has raised what would end the event loop, or cancel the caller.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[_Ended] = loop.create_future()

    def work() -> None:
        answer, error = None, None
        try:
            answer = function()
        except BaseException as raised:  # noqa: BLE001  # handed to the one who waits
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(_settle, ended, (answer, error))

    OwnThread(target=work, name=name, daemon=True).start()
    answer, error = await ended
    if error is None:
        return answer
    if isinstance(error, Exception):
        raise error
    raise RuntimeError(repr(error)) from error


def _settle(future: asyncio.Future[_Ended], result: _Ended) -> None:
    if not future.done():
        future.set_result(result)
