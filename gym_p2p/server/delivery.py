"""Hands stored documents to the host's function, one after the other, until it has had each of them.

A call that raises, or has not returned in time, is logged and made again later; what is still to be handed
over when the process ends is, after the next start (:mod:`gym_p2p.server.outbox`). It knows threads, the
event loop and the clock, and nothing of what is in a document.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from gym_p2p.errors import UsageError
from gym_p2p.processes.tasks import note_failure
from gym_p2p.server.document_calls import DocumentCalls, HeldBack
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.outbox import OnDocument, Outbox, Waiting
from gym_p2p.server.thread_calls import call_on_thread

__all__ = ["AsyncDelivery", "SyncDelivery"]

_LOG = client_log(__name__)

_TIMEOUT_S = 30.0
"""A function that has not returned by then has failed."""
_LOOK_AGAIN_S = 60.0
"""What another process of the same data directory has stored is found by then."""


class AsyncDelivery:
    """Calls the host's function on an event loop, or on a thread of its own if it is no coroutine function.

    Args:
        outbox: what is to be handed over.
        on_document: the host's.
        timeout_s: for one call.
    """

    def __init__(self, outbox: Outbox, on_document: OnDocument, *, timeout_s: float = _TIMEOUT_S) -> None:
        self.outbox = outbox
        self._on_document = on_document
        self._timeout_s = timeout_s
        self._calls = DocumentCalls()
        self._wanted = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._deliver(), name="gym_p2p documents")
        self._task.add_done_callback(note_failure)

    async def stop(self) -> None:
        """Stop; a call under way is cancelled, and made again after the next start. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def wake(self) -> None:
        """Look for documents; from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has been closed
                self._loop.call_soon_threadsafe(self._wanted.set)

    async def _deliver(self) -> None:
        while True:
            self._wanted.clear()
            while (waiting := await asyncio.to_thread(self.outbox.next, time.monotonic())) is not None:
                await self._hand_over(waiting)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_pause_s(self.outbox)):
                    await self._wanted.wait()

    async def _hand_over(self, waiting: Waiting) -> None:
        deadline: asyncio.Timeout | None = None
        try:
            if not self._calls.has_taken(waiting):
                arguments = await asyncio.to_thread(waiting.arguments)
                async with asyncio.timeout(self._timeout_s) as deadline:
                    await self._call(waiting, arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # the host's bug must lose nothing
            is_late = isinstance(error, TimeoutError) and deadline is not None and deadline.expired()
            _failed(self.outbox, waiting, TimeoutError() if is_late else error)
        else:
            await asyncio.to_thread(self.outbox.done, waiting)
            self._calls.forget(waiting)

    async def _call(self, waiting: Waiting, arguments: tuple[Any, ...]) -> None:
        if inspect.iscoroutinefunction(self._on_document):
            await self._on_document(*arguments)
            return
        work = partial(self._work, waiting, arguments)
        answer = await call_on_thread(work, name="gym_p2p on_document")
        if inspect.isawaitable(answer):
            await answer

    def _work(self, waiting: Waiting, arguments: tuple[Any, ...]) -> object:
        self._calls.begin(waiting)  # here, for where no thread can be started there is no call
        taken = False
        try:
            answer = self._on_document(*arguments)
            taken = not inspect.isawaitable(answer)  # else it has yet to be awaited
            return answer
        finally:
            self._calls.ended(waiting, taken=taken)
            self.wake()


class _Event(Protocol):
    def set(self) -> None: ...
    def clear(self) -> None: ...
    def wait(self, timeout: float | None = None) -> object: ...


class SyncDelivery:
    """Calls the host's function on threads or greenlets of a synchronous server.

    Args:
        outbox: what is to be handed over.
        on_document: the host's.
        start_background_task: the server's.
        create_event: the server's.
        timeout_s: for one call.
    """

    def __init__(
        self,
        outbox: Outbox,
        on_document: OnDocument,
        *,
        start_background_task: Callable[..., Any],
        create_event: Callable[[], _Event],
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self.outbox = outbox
        self._on_document = on_document
        self._start_background_task = start_background_task
        self._create_event = create_event
        self._timeout_s = timeout_s
        self._calls = DocumentCalls()
        self._wanted = create_event()
        self._running = False
        self._task: Any = None

    def start(self) -> None:
        """Begin."""
        self._running = True
        self._task = self._start_background_task(self._deliver)

    def stop(self) -> None:
        """Stop, after a call that is under way. Idempotent."""
        task, self._task = self._task, None
        self._running = False
        self._wanted.set()
        if task is not None:
            task.join()

    def wake(self) -> None:
        """Look for documents."""
        self._wanted.set()

    def _deliver(self) -> None:
        while self._running:
            self._wanted.clear()
            while self._running and (waiting := self.outbox.next(time.monotonic())) is not None:
                self._hand_over(waiting)
            if self._running:
                self._wanted.wait(_pause_s(self.outbox))

    def _hand_over(self, waiting: Waiting) -> None:
        error = None if self._calls.has_taken(waiting) else self._call(waiting)
        if error is None:
            self.outbox.done(waiting)
            self._calls.forget(waiting)
        else:
            _failed(self.outbox, waiting, error)

    def _call(self, waiting: Waiting) -> BaseException | None:
        """Return what became of a call, which is waited for."""
        ended = self._create_event()
        result: list[BaseException | None] = []

        def work() -> None:
            result.append(self._work(waiting))
            ended.set()
            self._wanted.set()

        try:
            self._start_background_task(work)
        except RuntimeError as error:  # no thread can be started now
            return error
        ended.wait(self._timeout_s)
        return result[0] if result else TimeoutError()

    def _work(self, waiting: Waiting) -> BaseException | None:
        """Return what became of a call that is made here."""
        try:
            self._calls.begin(waiting)
        except HeldBack as held_back:
            return held_back
        error: BaseException | None = None
        try:
            if _abandoned(self._on_document(*waiting.arguments())):
                error = UsageError("no event loop runs on this host")
        except BaseException as raised:  # noqa: BLE001  # handed to the one who waits
            error = raised
        self._calls.ended(waiting, taken=error is None)
        return error


def _abandoned(answer: object) -> bool:
    """Return whether an answer is a coroutine, which nobody is going to await."""
    if not inspect.iscoroutine(answer):
        return False
    answer.close()
    return True


def _pause_s(outbox: Outbox) -> float:
    due = outbox.due()
    return _LOOK_AGAIN_S if due is None else min(_LOOK_AGAIN_S, max(0.0, due - time.monotonic()))


def _failed(outbox: Outbox, waiting: Waiting, error: BaseException) -> None:
    pause_s = outbox.failed(waiting, time.monotonic())
    if isinstance(error, HeldBack):
        return  # the log has it
    if isinstance(error, TimeoutError) and error.__traceback__ is None:
        _LOG.error("on_document did not return in time for %s; again in %g s", waiting, pause_s)
        return
    _LOG.error("in on_document, for %s; again in %g s", waiting, pause_s, exc_info=error)
