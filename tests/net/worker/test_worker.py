"""The life that every network half has: whatever happens, it cleans up, and says so last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gym_p2p.config import P2PConfig
from gym_p2p.core.match.commands import Leave
from gym_p2p.errors import MatchOver, NetworkError
from gym_p2p.net.worker.messages import WorkerCommand, WorkerEvent, WorkerFailed, WorkerStopped
from gym_p2p.net.worker.worker import NetworkWorker


class Worker(NetworkWorker):
    """One whose work is given."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self.events: list[WorkerEvent] = []
        super().__init__(lambda stamped: self.events.append(stamped[1]), P2PConfig())
        self._given = work
        self.cleaned_up = 0

    def command(self, command: WorkerCommand) -> None:
        assert isinstance(command, Leave)
        self._over.set()

    async def _work(self) -> None:
        await self._given()

    async def _clean_up(self) -> None:
        self.cleaned_up += 1
        assert not any(isinstance(event, WorkerStopped) for event in self.events)


def events_of(work: Callable[[], Awaitable[None]], *, leave: bool = False) -> list[WorkerEvent]:
    async def main() -> Worker:
        worker = Worker(work)
        if leave:
            asyncio.get_running_loop().call_later(0.01, worker.command, Leave("normal"))
        await asyncio.wait_for(worker.run(), 5)
        return worker

    worker = asyncio.run(main())
    assert worker.cleaned_up == 1
    return worker.events


async def forever() -> None:
    await asyncio.Event().wait()


async def nothing() -> None:
    pass


def test_work_that_is_done_is_followed_by_the_end_alone() -> None:
    assert events_of(nothing) == [WorkerStopped()]


def test_leaving_ends_work_that_goes_on() -> None:
    assert events_of(forever, leave=True) == [WorkerStopped()]


def test_our_own_errors_arrive_as_they_are() -> None:
    error = MatchOver("peer_lost")

    async def fail() -> None:
        raise error

    assert events_of(fail) == [WorkerFailed(error), WorkerStopped()]


def test_a_bug_arrives_as_a_network_error_that_names_it(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise KeyError("a bug")

    failed, stopped = events_of(fail)
    assert isinstance(failed, WorkerFailed)
    assert isinstance(failed.error, NetworkError)
    assert "KeyError: 'a bug'" in str(failed.error)
    assert stopped == WorkerStopped()
    assert "the network half failed" in caplog.text


def test_one_that_is_cancelled_is_cleaned_up_and_stopped_too() -> None:
    async def main() -> Worker:
        worker = Worker(forever)
        running = asyncio.ensure_future(worker.run())
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return worker

    worker = asyncio.run(main())
    assert (worker.cleaned_up, worker.events) == (1, [WorkerStopped()])
