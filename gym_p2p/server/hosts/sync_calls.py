"""A host's functions, called where no event loop runs: on the server's own tasks, with a deadline.

Such a task is a thread or a greenlet. It cannot be stopped: a function that never returns keeps its task, so
there is a bound on them. It knows the server's tasks and events, and not what a function is for.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any

from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.matchmaking.commands import ProposedMatch, as_verdict
from gym_p2p.errors import UsageError
from gym_p2p.server.handlers.hooks import (
    MAX_THREADS,
    HookBusy,
    HookTimedOut,
    PreMatchHook,
    is_async,
    rejected,
)

__all__ = ["HostCalls", "SyncHook"]


class HostCalls:
    """Calls functions of one host.

    Args:
        sio: whose tasks and events these are.
        most: calls that have not returned, at once.
    """

    def __init__(self, sio: Any, most: int = MAX_THREADS) -> None:
        self._sio = sio
        self._free = threading.BoundedSemaphore(most)

    def call(self, function: Callable[..., object], *arguments: Any, timeout_s: float) -> object:
        """Return what a function returns, which the caller waits for.

        Raises:
            HookBusy: too many calls have not returned.
            HookTimedOut: it has not returned in time; it goes on, and nobody hears of it any more.
        """
        if not self._free.acquire(blocking=False):
            raise HookBusy
        done = self._sio.eio.create_event()
        ended: list[tuple[object, BaseException | None]] = []

        def work() -> None:
            try:
                ended.append((function(*arguments), None))
            except BaseException as error:  # noqa: BLE001  # handed to the one who waits
                ended.append((None, error))
            finally:
                self._free.release()
                done.set()

        self._sio.start_background_task(work)
        if not done.wait(timeout_s) or not ended:
            raise HookTimedOut
        answer, error = ended[0]
        if error is not None:
            raise error
        return answer


class SyncHook:
    """Asks a pre-match hook.

    Args:
        hook: the user's.
        timeout_s: when it has not answered by then, it has rejected.
        calls: on which it is called.

    Raises:
        UsageError: it is a coroutine function.
    """

    def __init__(self, hook: PreMatchHook, timeout_s: float, calls: HostCalls) -> None:
        if is_async(hook):
            raise UsageError(
                "pre_match: on a synchronous server no event loop runs, so it cannot be a coroutine function"
            )
        self._hook = hook
        self._timeout_s = timeout_s
        self._calls = calls

    def decide(self, proposed: ProposedMatch) -> tuple[Verdict, str]:
        """Return the verdict, and where it comes from; waits for it."""
        try:
            answer = self._calls.call(self._hook, proposed, timeout_s=self._timeout_s)
            if inspect.iscoroutine(answer):
                answer.close()  # nobody is going to await it
            return as_verdict(answer), "hook"
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a plug-in's bug must not stop the queue
            return rejected(error, self._timeout_s)
