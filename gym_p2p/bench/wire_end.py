"""One end of a wire, in a worker: echoes, and lockstep exchanges from a thread that is not the loop's.

The loop runs in a thread of its own, as in the product. Echoes are measured on the loop, exchanges on the
main thread.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Literal, TypeVar

from gym_p2p.bench.wires import UdpWire, Wire
from gym_p2p.config import LinkEmulation
from gym_p2p.net.loop import run_loop

__all__ = ["WireStation"]

_T = TypeVar("_T")

MESSAGE_BYTES = 64
"""About what a match's message has: a header, acknowledgements and a few inputs."""

WAIT_S = 1.0
"""For one message: far above any round trip here, and nothing is lost on loopback."""

CALL_TIMEOUT_S = 30.0


def _make_wire(kind: str, emulation: LinkEmulation) -> Wire:
    # Plain UDP needs neither of these two, and starts at once without them.
    if kind == "udp":
        return UdpWire(emulation)
    from gym_p2p.bench.anchors import AiortcWire, see_loopback  # noqa: PLC0415  # see above
    from gym_p2p.bench.our_wire import OurWire  # noqa: PLC0415  # see above

    see_loopback()
    return OurWire() if kind == "ours" else AiortcWire()


class WireStation:
    """One end of one wire.

    Args:
        wire: ``ours``, ``udp`` or ``aiortc``.
        loop: ``product`` is the event loop of the product, ``asyncio`` the standard library's.
        emulation: a :class:`~gym_p2p.config.LinkEmulation` as a mapping, for ``udp``.
    """

    def __init__(
        self, wire: str, loop: Literal["product", "asyncio"], emulation: Mapping[str, Any] | None = None
    ) -> None:
        self._started: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, Wire]] = queue.SimpleQueue()
        self._end: asyncio.Event | None = None
        self._arrivals = _Arrivals()
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        emulated = LinkEmulation(**(emulation or {}))
        run: Callable[[Coroutine[Any, Any, None]], None] = run_loop if loop == "product" else asyncio.run
        self._thread = threading.Thread(
            target=lambda: run(self._main(wire, emulated)), name="bench wire", daemon=True
        )
        self._thread.start()
        self._loop, self._wire = self._started.get(timeout=CALL_TIMEOUT_S)

    def offer(self) -> str:
        """See :class:`~gym_p2p.bench.wires.Wire`."""
        return self._call(self._wire.offer())

    def answer(self, offer: str) -> str:
        """See :class:`~gym_p2p.bench.wires.Wire`."""
        return self._call(self._wire.answer(offer))

    def finish(self, answer: str | None) -> None:
        """See :class:`~gym_p2p.bench.wires.Wire`."""
        self._call(self._wire.finish(answer))

    def close(self) -> None:
        """End the loop's thread."""
        if self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(CALL_TIMEOUT_S)

    async def _main(self, kind: str, emulation: LinkEmulation) -> None:
        self._end = asyncio.Event()
        wire = _make_wire(kind, emulation)
        self._started.put((asyncio.get_running_loop(), wire))
        await self._end.wait()
        await wire.close()

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_TIMEOUT_S)

    def reflect(self) -> None:
        """Send back whatever comes, from now on."""
        self._wire.receive = self._wire.send

    def echo(self, count: int, interval_s: float = 0.0) -> list[float]:
        """Return the round trips of so many messages in microseconds, without those that were lost."""
        return self._call(self._echo(count, interval_s))

    async def _echo(self, count: int, interval_s: float) -> list[float]:
        came = asyncio.Event()
        arrived = 0.0

        def receive(_data: bytes) -> None:
            nonlocal arrived
            arrived = time.perf_counter()
            came.set()

        self._wire.receive = receive
        message = bytes(MESSAGE_BYTES)
        took_us = []
        for _ in range(count):
            came.clear()
            began = time.perf_counter()
            self._wire.send(message)
            try:
                async with asyncio.timeout(WAIT_S):
                    await came.wait()
            except TimeoutError:
                continue
            took_us.append((arrived - began) * 1e6)
            if interval_s:
                await asyncio.sleep(interval_s)
        return took_us

    def listen(self) -> None:
        """Count arrivals from now on; both ends do before either calls :meth:`exchange`."""
        self._wire.receive = self._arrivals.receive

    def exchange(self, count: int) -> list[float]:
        """Exchange messages in lockstep from this thread, the quickest way known; return microseconds each.

        A frame is: send ours, wait for the other's. ``call_soon_threadsafe`` hands over, a raw lock wakes.
        """
        message = bytes(MESSAGE_BYTES)
        took_us = []
        for _ in range(count):
            began = time.perf_counter()
            self._loop.call_soon_threadsafe(self._wire.send, message)
            self._arrivals.take()
            took_us.append((time.perf_counter() - began) * 1e6)
        return took_us

    def listen_by_future(self) -> None:
        """As :meth:`listen`, for :meth:`exchange_by_future`."""
        self._wire.receive = self._queue.put_nowait

    def exchange_by_future(self, count: int) -> list[float]:
        """Exchange messages in lockstep the usual way: a coroutine a frame, its result awaited here."""

        async def frame(message: bytes) -> None:
            self._wire.send(message)
            await self._queue.get()

        message = bytes(MESSAGE_BYTES)
        took_us = []
        for _ in range(count):
            began = time.perf_counter()
            asyncio.run_coroutine_threadsafe(frame(message), self._loop).result(WAIT_S)
            took_us.append((time.perf_counter() - began) * 1e6)
        return took_us


class _Arrivals:
    """Counts messages on the loop's thread, and lets one other thread wait for them."""

    def __init__(self) -> None:
        self._came = 0
        self._taken = 0
        self._wake = threading.Lock()
        self._wake.acquire()

    def receive(self, _data: bytes) -> None:
        """Count a message."""
        self._came += 1
        if self._wake.locked():
            self._wake.release()

    def take(self) -> None:
        """Take one message, waiting for it.

        Raises:
            TimeoutError: none comes.
        """
        # The lock may be open from a message that needed no waiting for; hence the count beside it.
        while self._came <= self._taken:
            if not self._wake.acquire(timeout=WAIT_S):
                raise TimeoutError("a message did not arrive")
        self._taken += 1
