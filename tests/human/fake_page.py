"""A page without a browser: says hello, acknowledges, presses keys, and remembers what it was told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from tests.waiting import PATIENCE_S, until

__all__ = ["HELLO", "FakePage"]

HELLO: dict[str, Any] = {
    "t": "hello",
    "v": 3,
    "width": 390,
    "height": 844,
    "touch": False,
    "browser": "Chrome",
    "version": "130",
    "why": "loopback",
}
"""What a page says first."""


class FakePage:
    """Opens a link on a thread of its own.

    Attributes:
        states: what it was told, the newest last.
        said: what else it was told, the newest of each kind.
        frames: how many it has got.
        shown: which of the episode these were.
        code: with which it was closed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self.states: list[dict[str, Any]] = []
        self.said: dict[str, dict[str, Any]] = {}
        self.frames = 0
        self.shown: list[int] = []
        self.code: int | None = None
        self._seq = 0
        self._silent = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="fake page")

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self._socket is not None or not self._thread.is_alive())
        assert self._socket is not None
        return self

    def __exit__(self, *_error: object) -> None:
        self._call(self._close)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    @property
    def phase(self) -> str | None:
        return self.states[-1]["phase"] if self.states else None

    def press(self, *held: str) -> None:
        """Press keys, and hold them; without any, let go."""
        now = time.monotonic() * 1e3
        first = self._seq + 1
        self._seq += max(1, len(held))
        self.say(
            t="keys",
            held=list(held),
            changes=[[first + at, now, code] for at, code in enumerate(held or (None,))],
        )

    def say(self, **message: Any) -> None:
        self.say_raw(json.dumps(message))

    def say_raw(self, text: str) -> None:
        """Send what no page does."""
        self._call(lambda: self._send_text(text))

    def kill(self) -> None:
        """Break the line, as the end of a browser's process does: nobody says goodbye."""
        self._call(self._abort)

    def fall_silent(self) -> None:
        """Answer nothing any more, as a phone that fell asleep, or lost its network."""
        self._silent = True

    def _call(self, do: Callable[[], Any]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: asyncio.ensure_future(do()))

    async def _send(self, message: dict[str, Any]) -> None:
        await self._send_text(json.dumps(message))

    async def _send_text(self, text: str) -> None:
        if not self._silent and self._socket is not None and not self._socket.closed:
            with contextlib.suppress(ConnectionError):  # it is being closed
                await self._socket.send_str(text)

    async def _abort(self) -> None:
        if self._socket is not None:
            connection = self._socket._response.connection
            assert connection is not None
            assert connection.transport is not None
            connection.transport.abort()

    async def _close(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        origin = "http://" + urlsplit(self._url).netloc
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(self._url + "page", origin=origin) as page,
        ):
            self._socket = page
            await self._send(HELLO)
            async for message in page:
                await self._hear(message.data, time.monotonic() * 1e3)
            self.code = page.close_code

    async def _hear(self, data: str | bytes, now: float) -> None:
        if isinstance(data, bytes):
            self.frames += 1
            self.shown.append(int.from_bytes(data[10:14], "big", signed=True))
            number = int.from_bytes(data[2:6], "big")
            await self._send({"t": "ack", "n": number, "shown": [[number, now]]})
            return
        told = json.loads(data)
        self.said[told["t"]] = told
        if told["t"] == "state":
            self.states.append(told)
        elif told["t"] == "ping":
            await self._send({"t": "pong", "id": told["id"], "received": now, "sent": now})
