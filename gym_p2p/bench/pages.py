"""A station of ``bench human``: the pages of many people in one process, none of which is a browser.

A page says hello, answers pings, acknowledges frames and notes when they came; it draws nothing. So how the
seats do is measured, and not what as many browsers would take of the same machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import attrs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Origin

from gym_p2p.human.messages import VERSION, encode

__all__ = ["PagesStation"]

_HELLO = encode(
    "hello", v=VERSION, width=1000, height=700, touch=False, browser="", version="", why="loopback"
)
_ANSWER_LIMIT_S = 30.0
_ABNORMAL = 1006
"""A line that ended without a word (RFC 6455, section 7.1.5)."""


@attrs.define(eq=False)
class _Page:
    """One page.

    Attributes:
        url: the link.
        frames_at: when frames came since they were taken, in monotonic seconds.
        frames: how many came in all.
        state: what it was told last.
        code: with which its line was closed, by whichever side; ``None`` while it is open.
    """

    url: str
    frames_at: list[float] = attrs.field(factory=list, init=False)
    frames: int = attrs.field(default=0, init=False)
    state: dict[str, Any] = attrs.field(factory=dict, init=False)
    code: int | None = attrs.field(default=None, init=False)
    _line: ClientConnection | None = attrs.field(default=None, init=False)

    async def look(self) -> None:
        """Look on until the line is closed."""
        address = urlsplit(self.url)
        line = address._replace(scheme="ws", path=f"{address.path}page").geturl()
        origin = Origin(f"http://{address.netloc}")
        self.code = None
        with contextlib.suppress(WebSocketException, OSError):
            async with connect(line, origin=origin, compression=None, max_size=None) as page:
                self._line = page
                await _answer(page, _HELLO)
                try:
                    async for told in page:
                        await self._hear(page, told)
                finally:
                    self._line, self.code = None, page.close_code or _ABNORMAL
        self.code = self.code or _ABNORMAL

    async def leave(self) -> None:
        """Say that the person wants to go."""
        if self._line is not None:
            await self._line.send(encode("leave"))

    async def _hear(self, page: ClientConnection, told: str | bytes) -> None:
        now = time.monotonic()
        if isinstance(told, bytes):
            self.frames += 1
            self.frames_at.append(now)
            number = int.from_bytes(told[2:6], "big")
            await _answer(page, encode("ack", n=number, shown=[[number, now * 1e3]]))
            return
        message = json.loads(told)
        if message["t"] == "ping":
            times = {"received": now * 1e3, "sent": now * 1e3}
            await _answer(page, encode("pong", id=message["id"], **times))
        elif message["t"] == "state":
            self.state = message


async def _answer(page: ClientConnection, text: str) -> None:
    """Send something; where the line is closed by now, what came before that is still to be heard."""
    with contextlib.suppress(ConnectionClosed):
        await page.send(text)


class PagesStation:
    """A process of pages; they are known by their places in the order in which they were opened."""

    def __init__(self) -> None:
        self._pages: list[_Page] = []
        self._looking: dict[int, asyncio.Task[None]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gym_p2p pages", daemon=True)
        self._thread.start()

    def open(self, url: str) -> int:
        """Open another page; return its place."""
        self._pages.append(_Page(url))
        self.open_again(len(self._pages) - 1)
        return len(self._pages) - 1

    def open_again(self, place: int) -> None:
        """Open a page once more; its line is closed first, as by a reload."""
        self._run(self._open(place))

    def leave(self, place: int) -> None:
        """Press the button by which one leaves; the host closes the page."""
        self._run(self._pages[place].leave())

    def shut(self, place: int) -> None:
        """Close a page, as who closes its tab."""
        self._run(self._close(place))

    def standing(self) -> list[dict[str, Any]]:
        """Return how the pages stand: frames so far, what each was told last, and with what it is closed."""
        return [{"frames": one.frames, "state": one.state, "code": one.code} for one in self._pages]

    def took(self) -> dict[str, Any]:
        """Return when frames came since the last call, page by page, processor time so far, and the time."""
        came = [one.frames_at for one in self._pages]
        for one in self._pages:
            one.frames_at = []
        return {"frames_at": came, "cpu_s": time.process_time(), "at_s": time.monotonic()}

    def close(self) -> None:
        """Close all pages. Idempotent."""
        if self._loop.is_running():
            self._run(self._close_all())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_ANSWER_LIMIT_S)

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_LIMIT_S)

    async def _open(self, place: int) -> None:
        await self._close(place)
        self._looking[place] = asyncio.create_task(self._pages[place].look())

    async def _close(self, place: int) -> None:
        task = self._looking.pop(place, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _close_all(self) -> None:
        for place in list(self._looking):
            await self._close(place)
