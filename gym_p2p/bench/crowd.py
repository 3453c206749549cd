"""Honest clients of a service, two in each match, who signal to each other: how long that takes.

A worker's station; its clients run on an event loop of its own thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import itertools
import queue
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from gym_p2p.bench.raw_socket import PATIENCE_S, RawSocket
from gym_p2p.net.loop import run_loop

__all__ = ["CrowdStation", "LoopThread", "meet"]

_T = TypeVar("_T")

_OF_ONE_ADDRESS = 200
"""Below the burst of new connections that a service allows an address."""
_NEWCOMER_EVERY_S = 0.2
_SEATS = ["left", "right"]
_EACH_DESCRIPTION = 3
"""Every third signal is the match's description, the others are candidates: of these 64 pass a match."""
MAX_SIGNALS = 96
"""Of one player in one match."""

_OFFER = "".join(
    f"{line}\r\n"
    for line in (
        "v=0",
        "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=candidate:1 1 udp 2122260223 192.168.1.7 50000 typ host",
        "a=candidate:2 1 udp 1686052607 198.51.100.7 50001 typ srflx raddr 192.168.1.7 rport 50000",
        "a=ice-ufrag:4ZcD",
        "a=ice-pwd:2/1muCWoOi3uLifh0NuRHlig",
        "a=fingerprint:sha-256 " + ":".join(["7B"] * 32),
        "a=setup:actpass",
        "a=mid:0",
        "a=sctp-port:5000",
        "a=max-message-size:65536",
    )
)


class LoopThread:
    """An event loop on a thread of its own, of the product's kind."""

    def __init__(self, name: str) -> None:
        self._started: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=lambda: run_loop(self._main()), name=name, daemon=True)
        self._thread.start()
        self._loop, self._ended = self._started.get(timeout=PATIENCE_S)

    def start(self, work: Coroutine[Any, Any, _T]) -> concurrent.futures.Future[_T]:
        """Run a coroutine there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """End the loop, and all that runs on it."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(PATIENCE_S)

    async def _main(self) -> None:
        ended = asyncio.Event()
        self._started.put((asyncio.get_running_loop(), ended))
        await ended.wait()


class CrowdStation:
    """Pairs of honest clients."""

    def __init__(self, url: str, source: str | None) -> None:
        self._url = url
        self._source = source
        self._loop = LoopThread("bench crowd")
        self._pairs: list[_Pair] = []
        self._idle: list[RawSocket] = []
        self._numbers = itertools.count()

    def idle(self, count: int, sources: list[str | None]) -> int:
        """Connect so many clients who only stay; return how many were let in."""
        return self._loop.start(self._stay(count, sources)).result()

    def pairs(self, count: int) -> None:
        """Bring so many pairs together, in place of those before."""
        self._loop.start(self._bring_together(count)).result()

    def measure(
        self, seconds: float, per_s: float, *, patience_s: float, newcomers: bool = True
    ) -> dict[str, Any]:
        """Let all signal, each so often a second.

        Args:
            seconds: how long.
            per_s: how often.
            patience_s: how long a newcomer waits to be let in, and all wait for the last signals.
            newcomers: whether others come meanwhile.

        Returns:
            ``took_ms`` of every signal that arrived, from sending to arrival; how many were ``sent``;
            ``let_in_ms`` of every newcomer who was let in meanwhile, and how many ``came``.
        """
        return self._loop.start(self._measure(seconds, per_s, patience_s, newcomers=newcomers)).result()

    def close(self) -> None:
        """End everything."""
        self._loop.close()

    async def _stay(self, count: int, sources: list[str | None]) -> int:
        for number in range(count):
            try:
                self._idle.append(await RawSocket.open(self._url, sources[number // _OF_ONE_ADDRESS]))
            except OSError:
                continue
        return len(self._idle)

    async def _bring_together(self, count: int) -> None:
        for pair in self._pairs:
            pair.close()
        self._pairs = []
        for _ in range(count):
            left, right, found = await meet(self._url, self._source, f"bench-{next(self._numbers)}")
            self._pairs.append(_Pair(left, right, found["match_id"]))

    async def _measure(
        self, seconds: float, per_s: float, patience_s: float, *, newcomers: bool
    ) -> dict[str, Any]:
        until = time.monotonic() + seconds
        coming = asyncio.ensure_future(self._newcomers(until if newcomers else 0.0, patience_s))
        for pair in self._pairs:
            pair.begin()
        await asyncio.gather(
            *(
                pair.signal(until, per_s, after=number / len(self._pairs) / per_s)
                for number, pair in enumerate(self._pairs)
            )
        )
        came, let_in_ms = await coming
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                for pair in self._pairs:
                    await pair.settled.wait()
        return {
            "took_ms": [one for pair in self._pairs for one in pair.took_ms],
            "sent": sum(pair.sent for pair in self._pairs),
            "came": came,
            "let_in_ms": let_in_ms,
        }

    async def _newcomers(self, until: float, patience_s: float) -> tuple[int, list[float]]:
        coming: list[asyncio.Task[float | None]] = []
        while time.monotonic() < until:
            coming.append(asyncio.ensure_future(self._come(patience_s)))
            await asyncio.sleep(_NEWCOMER_EVERY_S)
        took = await asyncio.gather(*coming)
        return len(took), [one for one in took if one is not None]

    async def _come(self, patience_s: float) -> float | None:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(patience_s):
                socket = await RawSocket.open(self._url, self._source)
        except OSError:
            return None
        took_ms = (time.perf_counter() - began) * 1e3
        socket.transport.close()
        return took_ms


class _Pair:
    """The two clients of one match."""

    def __init__(self, left: RawSocket, right: RawSocket, game_id: str) -> None:
        self._ends = (left, right)
        self._game_id = game_id
        self._numbers = itertools.count()
        self._sent_at: tuple[list[float], list[float]] = ([], [])
        """Of what is under way from either; the service keeps the order."""
        self.took_ms: list[float] = []
        self.sent = 0
        self.settled = asyncio.Event()
        """Set while nothing is under way."""
        for index, end in enumerate(self._ends):
            end.on_event = functools.partial(self._arrived, 1 - index)

    def begin(self) -> None:
        """Begin a measurement."""
        self.took_ms, self.sent = [], 0
        for under_way in self._sent_at:
            under_way.clear()
        self.settled.set()

    async def signal(self, until: float, per_s: float, *, after: float) -> None:
        """Send from both, evenly."""
        due = time.monotonic() + after
        while due < until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            number = next(self._numbers)
            for index, seat in enumerate(_SEATS):
                self._sent_at[index].append(time.perf_counter())
                self.settled.clear()
                self._ends[index].emit("webrtc_signal", self._signal(number, _SEATS[1 - index], seat))
                self.sent += 1
            due += 1 / per_s

    def close(self) -> None:
        """Hang up."""
        for end in self._ends:
            end.transport.abort()

    def _signal(self, number: int, target: str, seat: str) -> dict[str, Any]:
        signal: dict[str, Any] = {"game_id": self._game_id, "target_player_id": target}
        if number % _EACH_DESCRIPTION == 0:
            kind = "offer" if seat == "left" else "answer"
            return {**signal, "type": kind, "payload": {"type": kind, "sdp": _OFFER}}
        text = f"candidate:{number + 3} 1 udp 2122260223 192.168.1.7 {50_000 + number} typ host ufrag 4ZcD"
        candidate = {"candidate": text, "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "4ZcD"}
        return {**signal, "type": "ice-candidate", "payload": candidate}

    def _arrived(self, sender: int, name: str, _payload: Any) -> None:
        if name == "webrtc_signal" and self._sent_at[sender]:
            self.took_ms.append((time.perf_counter() - self._sent_at[sender].pop(0)) * 1e3)
        if not any(self._sent_at):
            self.settled.set()


async def meet(url: str, source: str | None, room: str) -> tuple[RawSocket, RawSocket, dict[str, Any]]:
    """Return the sockets of two clients in a match of their own, and what the first one hears of it.

    Raises:
        OSError: the service does not let them.
    """
    ends = [await RawSocket.open(url, source) for _ in _SEATS]
    found: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    def hear(name: str, payload: Any) -> None:
        if name == "match_found" and not found.done():
            found.set_result(payload)

    ends[0].on_event = hear
    for end, seat in zip(ends, _SEATS, strict=True):
        await end.call("register_subject", {"subject_id": f"{room}-{seat}"})
        await end.call("join_room", {"room": room, "seats": _SEATS, "take": [seat]})
    async with asyncio.timeout(PATIENCE_S):
        return ends[0], ends[1], await found
