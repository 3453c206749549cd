"""Delay, jitter and loss for the datagrams of one socket, for demos and experiments.

Knows a datagram transport and a clock. Refuses to know what the datagrams are: put below ICE, it acts on
connectivity checks, DTLS and SCTP alike, as a real path would.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import time
from collections.abc import Callable
from typing import Any

from gym_p2p.config import LinkEmulation

__all__ = ["EmulatedPath"]

EARLY_S = 0.0005
"""A datagram this close to its time goes out: half a tick of uvloop's clock, whose timers may be early."""

LONGEST_DRAIN_S = 2.0
"""How long a closed path still delivers what is on its way."""


class EmulatedPath:
    """Stands in for a datagram transport and sends later, in disorder, or never.

    Without jitter the order is kept. The draws come from ``random.Random(seed)``, so that a run can be
    repeated. Everything but sending and closing goes straight to the transport.
    """

    def __init__(self, transport: Any, emulation: LinkEmulation) -> None:
        self._transport = transport
        self._one_way_s = emulation.one_way_ms / 1000
        self._jitter_s = emulation.jitter_ms / 1000
        self._loss = emulation.loss
        self._random = random.Random(emulation.seed)
        self._on_the_way: list[tuple[float, int, bytes, Any]] = []
        self._number = itertools.count()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def sendto(self, data: bytes, addr: Any = None) -> None:
        """Let a datagram take its time; after ``close`` it is dropped."""
        if self._closing or self._random.random() < self._loss:
            return
        delay_s = self._one_way_s
        if self._jitter_s:
            delay_s += self._random.expovariate(1 / self._jitter_s)
        due = time.perf_counter() + delay_s
        heapq.heappush(self._on_the_way, (due, next(self._number), bytes(data), addr))
        self._arm()

    def close(self) -> None:
        """Close the transport once everything on its way is out, or after two seconds."""
        if self._closing:
            return
        self._closing = True
        if self._on_the_way:
            self._loop.call_later(LONGEST_DRAIN_S, self._shut)
        else:
            self._transport.close()

    def is_closing(self) -> bool:
        """Return whether ``close`` was called."""
        return self._closing

    def _is_gone(self) -> bool:
        """Return whether an error has closed the transport. aioice's relayed ones do not say."""
        is_closing: Callable[[], bool] | None = getattr(self._transport, "is_closing", None)
        return is_closing is not None and is_closing()

    def _shut(self) -> None:
        self._on_the_way.clear()
        self._transport.close()

    def _arm(self) -> None:
        if not self._on_the_way:
            return
        due = self._on_the_way[0][0]
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_later(max(0.0, due - time.perf_counter()), self._release)

    def _release(self) -> None:
        self._timer = None
        latest = time.perf_counter() + EARLY_S
        while self._on_the_way and self._on_the_way[0][0] <= latest:
            _, _, data, addr = heapq.heappop(self._on_the_way)
            if not self._is_gone():
                self._transport.sendto(data, addr)
        if self._closing and not self._on_the_way:
            self._transport.close()
        self._arm()
