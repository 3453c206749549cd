"""An event loop that stays awake for a little while."""

from __future__ import annotations

import asyncio
import itertools
import os
import time

import pytest

from gym_p2p.core.link.busy_polling import LOOKS_FOR_S, MOST_S, TRIAL_SHARE
from gym_p2p.net.loop import run_loop
from gym_p2p.net.worker.busy_loop import BusyLoop
from tests.waiting import in_time

LONG_S = 0.1


@pytest.fixture
def offered_at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the processor was offered to others: between any two looks."""
    times: list[float] = []
    monkeypatch.setattr(os, "sched_yield", lambda: times.append(time.monotonic()))
    return times


def test_it_stays_awake_for_a_little_while_and_sleeps_then(offered_at: list[float]) -> None:
    async def main() -> None:
        BusyLoop(asyncio.get_running_loop()).expect_another()
        await asyncio.sleep(LONG_S)
        count = len(offered_at)
        await asyncio.sleep(LONG_S)
        assert len(offered_at) == count

    run_loop(main())
    with in_time():
        assert len(offered_at) > 5
        assert offered_at[-1] - offered_at[0] < 4 * LOOKS_FOR_S


def test_it_stays_awake_for_as_long_as_more_comes(offered_at: list[float]) -> None:
    async def main() -> None:
        busy = BusyLoop(asyncio.get_running_loop())
        ends_at = time.monotonic() + LONG_S
        while time.monotonic() < ends_at:
            busy.expect_another()
            await asyncio.sleep(0)
        await asyncio.sleep(LONG_S)

    run_loop(main())
    with in_time():
        assert LONG_S / 2 < offered_at[-1] - offered_at[0] < LONG_S * 1.5


def test_where_no_more_comes_in_time_it_hardly_ever_stays_awake(offered_at: list[float]) -> None:
    async def main() -> None:
        busy = BusyLoop(asyncio.get_running_loop())
        for _ in range(100):
            busy.expect_another()
            await asyncio.sleep(4 * LOOKS_FOR_S)

    began = time.monotonic()
    run_loop(main())
    looks = 1 + sum(later - earlier > LOOKS_FOR_S for earlier, later in itertools.pairwise(offered_at))
    assert 1 < looks <= 1 + (MOST_S + (time.monotonic() - began) * TRIAL_SHARE) / LOOKS_FOR_S
