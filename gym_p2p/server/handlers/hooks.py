"""A user's pre-match hook, called so that it can neither stop the service nor hold it up.

A coroutine function runs on the service's event loop, any other callable on a thread of its own: a function
that computes or asks a database must not keep everybody's signals waiting. It knows threads and a deadline;
what becomes of the verdict is the queues' business.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable

from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.matchmaking.commands import NoVerdictError, ProposedMatch, as_verdict
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.thread_calls import call_on_thread

__all__ = ["MAX_THREADS", "HookBusy", "HookCaller", "HookTimedOut", "PreMatchHook", "is_async", "rejected"]

_LOG = client_log(__name__)

PreMatchHook = Callable[[ProposedMatch], object | Awaitable[object]]
"""Says what becomes of a proposed match: a :class:`~gym_p2p.core.matchmaking.commands.Verdict`, or True or
False."""

MAX_THREADS = 16
"""A function that never returns keeps its thread; beyond so many of them matches are rejected unasked."""


class HookBusy(Exception):
    """Too many calls have not returned."""


class HookTimedOut(Exception):
    """It has not answered in time."""


class HookCaller:
    """Calls one hook, with a deadline.

    Args:
        hook: the user's.
        timeout_s: when it has not answered by then, it has rejected.
    """

    def __init__(self, hook: PreMatchHook, timeout_s: float) -> None:
        self._hook = hook
        self._timeout_s = timeout_s
        self._threads = threading.BoundedSemaphore(MAX_THREADS)

    async def decide(self, proposed: ProposedMatch) -> tuple[Verdict, str]:
        """Return the verdict, and where it comes from: ``hook``, or what the hook did instead."""
        try:
            async with asyncio.timeout(self._timeout_s) as deadline:
                answer = await self._answer(proposed)
            return as_verdict(answer), "hook"
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a plug-in's bug must not stop the queue
            is_late = isinstance(error, TimeoutError) and deadline.expired()
            return rejected(HookTimedOut() if is_late else error, self._timeout_s)

    async def _answer(self, proposed: ProposedMatch) -> object:
        answer = self._hook(proposed) if is_async(self._hook) else await self._on_thread(proposed)
        return await answer if inspect.isawaitable(answer) else answer

    async def _on_thread(self, proposed: ProposedMatch) -> object:
        if not self._threads.acquire(blocking=False):
            raise HookBusy

        def work() -> object:
            try:
                return self._hook(proposed)
            finally:
                self._threads.release()

        return await call_on_thread(work, name="gym_p2p pre-match hook")


def rejected(error: BaseException, timeout_s: float) -> tuple[Verdict, str]:
    """Return the verdict of a hook that gave none, and why; it is logged."""
    match error:
        case NoVerdictError():
            _LOG.error("%s; the match is rejected", error)
            return Verdict.REJECT, "hook_raised"
        case HookBusy():
            _LOG.error("%d calls of the pre-match hook have not returned; the match is rejected", MAX_THREADS)
            return Verdict.REJECT, "hook_busy"
        case HookTimedOut():
            _LOG.warning("the pre-match hook did not answer within %g s", timeout_s)
            return Verdict.REJECT, "hook_timeout"
        case _:
            _LOG.error("in the pre-match hook; the match is rejected", exc_info=error)
            return Verdict.REJECT, "hook_raised"


def is_async(hook: object) -> bool:
    """Return whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(getattr(hook, "__call__", None))  # noqa: B004  # an object with an async __call__ is one, too
