"""Clients that do what no honest one does, as fast as they are let: a worker's station.

Each kind is a coroutine that goes on until it is cancelled, and comes back when it is closed.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import json
from collections.abc import Callable, Coroutine
from typing import Any

from gym_p2p.bench.crowd import LoopThread, meet
from gym_p2p.bench.raw_socket import PATIENCE_S, RawSocket, frame
from gym_p2p.core.wire.bounded_json import MAX_JSON_DEPTH

__all__ = ["KINDS", "MisbehavingStation"]

_BIG_BYTES = 60_000
"""Just below the largest frame that the service takes."""
_AGAIN_S = 0.005
"""After a refusal, or a close."""
_CONNECTS_PER_S = 500
_SILENT = 1100
"""More than a process of 1,024 files can take."""
_UPLOADS = 128
_SLOW = 8
"""Readers who do not read, each with somebody who sends to them."""


class MisbehavingStation:
    """One misbehaving client, or one who is many."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._source: str | None = None
        self._loop = LoopThread("bench misbehaving")
        self._work: concurrent.futures.Future[None] | None = None
        self._sent = 0

    def begin(self, kind: str, source: str | None) -> None:
        """Begin to misbehave in a way of :data:`KINDS`, from this address."""
        self._sent, self._source = 0, source
        self._work = self._loop.start(_KINDS[kind](self))

    def end(self) -> int:
        """Stop it; return how often it sent something."""
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(concurrent.futures.CancelledError):
                self._work.result(PATIENCE_S)
        self._work = None
        return self._sent

    def close(self) -> None:
        """End everything."""
        self.end()
        self._loop.close()

    # ---- ways

    async def flood(self, *frames: bytes) -> None:
        """Send frames over and over, and come back when closed."""
        while True:
            try:
                socket = await RawSocket.open(self._url, self._source)
            except OSError:
                await asyncio.sleep(_AGAIN_S)
                continue
            try:
                for one in itertools.cycle(frames):
                    if socket.closed:
                        break
                    socket.write(one)
                    self._sent += 1
                    await socket.drained.wait()
                    await asyncio.sleep(0)
            finally:
                socket.transport.abort()
            await asyncio.sleep(_AGAIN_S)

    async def connect_often(self) -> None:
        """Connect 500 times a second, and leave at once."""
        loop, coming = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        due = loop.time()
        try:
            while True:
                task = asyncio.ensure_future(self._come_and_go())
                coming.add(task)
                task.add_done_callback(coming.discard)
                due = max(due + 1 / _CONNECTS_PER_S, loop.time() - 0.1)
                await asyncio.sleep(max(0.0, due - loop.time()))
        finally:
            for task in coming:
                task.cancel()

    async def _come_and_go(self) -> None:
        self._sent += 1
        with contextlib.suppress(OSError):
            (await RawSocket.open(self._url, self._source)).transport.close()

    async def stay_silent(self) -> None:
        """Open more connections than files, and say nothing on them; open those again that were closed."""
        sockets: list[RawSocket] = []
        try:
            while True:
                sockets = [one for one in sockets if not one.closed]
                while len(sockets) < _SILENT:
                    try:
                        sockets.append(await RawSocket.connect(self._url, self._source))
                        self._sent += 1
                    except OSError:
                        break
                await asyncio.sleep(0.05)
        finally:
            for one in sockets:
                one.transport.abort()

    async def never_finish(self) -> None:
        """Begin uploads as a player may, with a byte every now and then, and finish none."""
        left, right, found = await meet(self._url, self._source, "never-finishes")
        place = f"/v1/matches/{found['match_id']}/players/{found['player_id']}/session"
        head = f"PUT {place} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {found['token']}"
        uploads: list[RawSocket] = []
        try:
            while True:
                uploads = [one for one in uploads if not one.closed]
                while len(uploads) < _UPLOADS:
                    uploads.append(await RawSocket.connect(self._url, self._source))
                    uploads[-1].write(f"{head}\r\nContent-Length: 1000000\r\n\r\n{{".encode())
                    self._sent += 1
                for one in uploads:
                    one.write(b" ")
                await asyncio.sleep(0.1)
        finally:
            for one in (left, right, *uploads):
                one.transport.abort()

    async def read_nothing(self) -> None:
        """Be sent long descriptions, and do not read them; and again, when closed."""
        numbers = itertools.count()
        await asyncio.gather(*(self._read_nothing(f"slow-{number}", numbers) for number in range(_SLOW)))

    async def _read_nothing(self, name: str, numbers: itertools.count[int]) -> None:
        description = {"type": "offer", "payload": {"type": "offer", "sdp": _LONG}}
        while True:
            try:
                reader, sender, found = await meet(self._url, self._source, f"{name}-{next(numbers)}")
            except OSError:
                await asyncio.sleep(_AGAIN_S)
                continue
            reader.transport.pause_reading()
            signal = {"game_id": found["match_id"], "target_player_id": "left", **description}
            while not (reader.closed or sender.closed):
                sender.emit("webrtc_signal", signal)
                self._sent += 1
                await asyncio.sleep(1 / 25)
            reader.transport.abort()
            sender.transport.abort()


def _event(name: str, payload: Any) -> bytes:
    return frame(f"42{json.dumps([name, payload])}".encode())


_LONG = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n" + "a=x:" + "y" * 15_000 + "\r\n"
_NESTED = _BIG_BYTES // 2 - 100
_DEEP = frame(b'42["register_subject",' + b"[" * _NESTED + b"]" * _NESTED + b"]")
_ITEM = b"[" * (MAX_JSON_DEPTH - 2) + b"]" * (MAX_JSON_DEPTH - 2)
_SHALLOW = b"[" + b",".join([_ITEM] * (_BIG_BYTES // (len(_ITEM) + 1))) + b"]"
"""As deep as is still read, in an event; and wide."""
_LISTS = [["a"] * 3] * (_BIG_BYTES // 18)

_KINDS: dict[str, Callable[[MisbehavingStation], Coroutine[Any, Any, None]]] = {
    "60 KB of nested JSON": lambda one: one.flood(_DEEP, frame(b'42["register_subject",' + _SHALLOW + b"]")),
    "long lists in requests": lambda one: one.flood(
        _event("join_room", {"room": "long", "seats": _LISTS, "take": _LISTS[:10]}),
        _event("probe_result", {"probe_session_id": "a", "samples": [1.5] * 10_000}),
    ),
    "events without end": lambda one: one.flood(_event("probe_wait", {"waiting": True})),
    "500 connects a second": lambda one: one.connect_often(),
    "invalid UTF-8": lambda one: one.flood(frame(b'42["probe_wait","\xff\xfe\xc0"]')),
    "empty frames": lambda one: one.flood(frame(b"")),
    "silent sockets": lambda one: one.stay_silent(),
    "uploads that never finish": lambda one: one.never_finish(),
    "slow readers": lambda one: one.read_nothing(),
}
KINDS = tuple(_KINDS)
"""The ways to misbehave, by name."""
