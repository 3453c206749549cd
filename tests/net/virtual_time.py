"""An event loop on virtual time, and a connection that answers from a script."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from types import SimpleNamespace
from typing import Any

from gym_p2p.net.telemetry import LatencyTelemetry

WALL_START_S = 1_700_000_000.0


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next deadline instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__(_JumpingSelector(self))
        self.now_s = 0.0

    def time(self) -> float:
        return self.now_s


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            self._loop.now_s += timeout
        return super().select(0)


class FakeConnection:
    """A foreign peer connection: W3C's names, a scripted answer a poll."""

    def __init__(self, rtt_s: float | None = 0.05) -> None:
        self.connectionState = "connected"
        self.rtt_s = rtt_s
        self.answered: int | None = 0
        self.calls: list[float] = []
        self.under_way = 0
        self.most_under_way = 0
        self.before: Callable[[], Awaitable[None]] | None = None

    async def getStats(self) -> dict[str, Any]:  # noqa: N802 - W3C's name
        self.calls.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.before is not None:
                await self.before()
        finally:
            self.under_way -= 1
        return self.report()

    def report(self) -> dict[str, Any]:
        pair: dict[str, Any] = {"id": "P", "type": "candidate-pair", "localCandidateId": "L"}
        if self.rtt_s is not None:
            pair["currentRoundTripTime"] = self.rtt_s
        if self.answered is not None:
            self.answered += 1
            pair["responsesReceived"] = self.answered
        transport = {"id": "T", "type": "transport", "selectedCandidatePairId": "P"}
        return {"T": SimpleNamespace(**transport), "P": pair}


def on_virtual_time(main: Callable[[VirtualTimeLoop], Coroutine[Any, Any, None]]) -> None:
    loop = VirtualTimeLoop()
    try:
        loop.run_until_complete(main(loop))
        loop.run_until_complete(asyncio.sleep(0))
        assert not asyncio.all_tasks(loop), "a task was left behind"
    finally:
        loop.close()


def telemetry_on(loop: VirtualTimeLoop, connection: Any, **options: Any) -> LatencyTelemetry:
    return LatencyTelemetry(connection, wall_clock=lambda: WALL_START_S + loop.time(), **options)


def stats_of(telemetry: LatencyTelemetry) -> dict[str, Any]:
    stats = telemetry.get_stats()
    assert stats is not None
    return stats
