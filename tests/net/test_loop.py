from __future__ import annotations

import asyncio

import pytest

from gym_p2p.net.loop import LoopTimer, run_loop, unless

DEADLINE_S = 10.0


def test_a_timer_calls_at_the_newest_time_and_only_once() -> None:
    async def work() -> None:
        rang = asyncio.Event()
        times: list[float] = []

        def ring() -> None:
            times.append(timer.now)
            rang.set()

        timer = LoopTimer(ring)
        due = timer.now + 0.02
        timer.set(timer.now + 60)
        timer.set(due)
        timer.set(due)
        await asyncio.wait_for(rang.wait(), DEADLINE_S)
        assert len(times) == 1
        assert times[0] >= due

    run_loop(work())


def test_a_timer_that_is_set_late_in_a_long_turn_of_the_loop_does_not_call_early() -> None:
    async def work() -> None:
        for busy_s in (0.0005, 0.003, 0.01):
            rang = asyncio.Event()
            timer = LoopTimer(rang.set)
            await asyncio.sleep(0)
            until_s = timer.now + busy_s
            while timer.now < until_s:
                pass
            due = timer.now + 0.012
            timer.set(due)
            await asyncio.wait_for(rang.wait(), DEADLINE_S)
            assert timer.now >= due

    run_loop(work())


def test_a_timer_that_is_unset_does_not_call() -> None:
    async def work() -> None:
        called = asyncio.Event()
        timer = LoopTimer(called.set)
        timer.set(timer.now + 0.01)
        timer.set(None)
        later = asyncio.Event()
        LoopTimer(later.set).set(timer.now + 0.03)
        await asyncio.wait_for(later.wait(), DEADLINE_S)
        assert not called.is_set()

    run_loop(work())


def test_work_is_done_unless_the_event_comes_first() -> None:
    async def work() -> None:
        event = asyncio.Event()
        assert await unless(event, asyncio.sleep(0, "done")) == "done"
        asyncio.get_running_loop().call_soon(event.set)
        assert await asyncio.wait_for(unless(event, asyncio.sleep(DEADLINE_S, "done")), DEADLINE_S) is None

    run_loop(work())


def test_what_the_work_raises_comes_out() -> None:
    async def fail() -> None:
        raise ValueError("no")

    async def work() -> None:
        with pytest.raises(ValueError, match="no"):
            await unless(asyncio.Event(), fail())

    run_loop(work())
