"""An event loop that stays awake for a little while."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from gym_p2p.core.link.busy_polling import LOOKS_FOR_S, MOST_S, TRIAL_SHARE
from gym_p2p.net.loop import run_loop
from gym_p2p.net.worker import busy_loop
from gym_p2p.net.worker.busy_loop import BusyLoop
from tests.waiting import in_time

LONG_S = 0.1


def test_it_stays_awake_for_a_little_while_and_sleeps_then(monkeypatch: pytest.MonkeyPatch) -> None:
    offered_at: list[float] = []
    monkeypatch.setattr(os, "sched_yield", lambda: offered_at.append(time.monotonic()))

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


@attrs.define
class Turning:
    """An event loop on a clock of its own: a turn takes 2 µs, and it sleeps where nothing is to be called."""

    now: float = 1000.0
    waiting: list[Callable[[], None]] = attrs.Factory(list)
    turns: int = 0

    def monotonic(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.waiting.append(callback)

    def pass_by(self, time_s: float) -> None:
        """Let time pass."""
        ends_at = self.now + time_s
        while self.waiting and self.now < ends_at:
            self.turn()
        self.now = max(self.now, ends_at)

    def turn(self) -> None:
        """Call what is to be called."""
        self.now += 2e-6
        callbacks, self.waiting = self.waiting, []
        assert len(callbacks) <= 1
        for callback in callbacks:
            self.turns += 1
            callback()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Any:
    turning = Turning()
    monkeypatch.setattr(busy_loop, "time", turning)
    return turning


def test_it_stays_awake_for_as_long_as_more_comes(loop: Any) -> None:
    busy = BusyLoop(loop)
    for _ in range(1000):
        busy.expect_another()
        loop.pass_by(LOOKS_FOR_S / 2)
        assert loop.waiting
    loop.pass_by(2 * LOOKS_FOR_S)
    assert not loop.waiting


def test_where_no_more_comes_in_time_it_hardly_ever_stays_awake(loop: Any) -> None:
    busy, began = BusyLoop(loop), loop.now
    for _ in range(1000):
        busy.expect_another()
        loop.pass_by(4 * LOOKS_FOR_S)
    looked_s = loop.turns * 2e-6
    assert 0 < looked_s <= MOST_S + 2 * LOOKS_FOR_S + (loop.now - began) * TRIAL_SHARE


def test_where_the_loop_works_and_sees_what_comes_too_late_it_hardly_ever_stays_awake(loop: Any) -> None:
    busy = BusyLoop(loop)
    for _ in range(1000):
        busy.expect_another()
        loop.turn()
        loop.now += 2 * LOOKS_FOR_S
    assert 0 < loop.turns < 100
    loop.pass_by(MOST_S / TRIAL_SHARE)
    busy.expect_another()
    assert loop.waiting
