"""A client's websocket by hand: cheap beside what it measures, and as ill-behaved as a bench wants.

It speaks as much of RFC 6455, Engine.IO 4 and Socket.IO 5 as clients of a service need. Everything that is
sent may be given as bytes, well-formed or not.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import urllib.parse
from collections.abc import Callable
from typing import Any, Self

__all__ = ["BINARY", "PATIENCE_S", "TEXT", "RawSocket", "frame"]

PATIENCE_S = 10.0
"""For an answer of a service that is under attack; then there was none."""

TEXT, BINARY, _PING = 1, 2, 9  # opcodes, RFC 6455 section 5.2
_MASKED, _FINAL = 0x80, 0x80
_UPGRADE = (
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Z3ltX3AycC1iZW5jaC1rZQ==\r\n\r\n"
)


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return a client's frame; its mask is zero, which costs neither side anything."""
    size = len(payload)
    if size < 126:
        head = bytes((_FINAL | opcode, _MASKED | size))
    elif size < 2**16:
        head = bytes((_FINAL | opcode, _MASKED | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((_FINAL | opcode, _MASKED | 127)) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


class RawSocket(asyncio.Protocol):
    """One websocket, on the running event loop.

    Attributes:
        on_event: called with the name and the payload of every event.
        transport: the connection, to be written to as one likes.
    """

    def __init__(self) -> None:
        self.on_event: Callable[[str, Any], None] = lambda _name, _payload: None
        self.transport: asyncio.Transport
        self._buffer = bytearray()
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        loop = asyncio.get_running_loop()
        self.drained = asyncio.Event()
        """Set while the other side takes what is written, and once it is closed."""
        self.drained.set()
        self._upgraded: asyncio.Future[None] = loop.create_future()
        self._let_in: asyncio.Future[None] = loop.create_future()

    @classmethod
    async def connect(cls, url: str, source: str | None = None) -> Self:
        """Return a TCP connection to a service on which nothing was said yet.

        Raises:
            OSError: there is none.
        """
        parts = urllib.parse.urlsplit(url)
        local = None if source is None else (source, 0)
        async with asyncio.timeout(PATIENCE_S):
            _, protocol = await asyncio.get_running_loop().create_connection(
                cls, parts.hostname or "", parts.port or 80, local_addr=local
            )
        return protocol

    @classmethod
    async def open(cls, url: str, source: str | None = None) -> Self:
        """Return one that the service has let in.

        Raises:
            OSError: it has not, or not in time.
        """
        socket = await cls.connect(url, source)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await socket.greet(urllib.parse.urlsplit(url).netloc)
        except BaseException:
            socket.transport.abort()
            raise
        return socket

    async def greet(self, host: str) -> None:
        """Become a websocket, and be let in."""
        self.write(_UPGRADE.format(host=host).encode())
        await self._upgraded
        self.say("40")
        await self._let_in

    @property
    def closed(self) -> bool:
        """Whether either side has closed it."""
        return self.transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send bytes as they are; nothing once it is closed."""
        if not self.closed:
            self.transport.write(data)

    def say(self, text: str) -> None:
        """Send a text."""
        self.write(frame(text.encode()))

    def emit(self, event: str, payload: Any) -> None:
        """Send an event whose acknowledgement nobody waits for; the service sends one all the same."""
        self.say(f"42{next(self._numbers)}{json.dumps([event, payload])}")

    async def call(self, event: str, payload: Any) -> Any:
        """Send an event; return its acknowledgement.

        Raises:
            OSError: none comes.
        """
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        self.say(f"42{number}{json.dumps([event, payload])}")
        async with asyncio.timeout(PATIENCE_S):
            return await answer

    # ---- what asyncio calls

    def connection_made(self, transport: Any) -> None:
        """Take the connection."""
        self.transport = transport

    def pause_writing(self) -> None:
        """Wait until what is written is taken."""
        self.drained.clear()

    def resume_writing(self) -> None:
        """Write on."""
        self.drained.set()

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell all who wait."""
        self.drained.set()
        for waiting in (self._upgraded, self._let_in, *self._asked.values()):
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("closed by the service"))
                waiting.exception()  # whether or not anybody waits

    def data_received(self, data: bytes) -> None:
        """Take in what arrives."""
        self._buffer += data
        if not self._upgraded.done():
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self._buffer = rest
            if not head.startswith(b"HTTP/1.1 101"):
                self.transport.abort()
                return
            self._upgraded.set_result(None)
        while (payload := self._next_frame()) is not None:
            self._take(payload)

    def _next_frame(self) -> bytes | None:
        """Return the next whole text; a service sends no fragments, and closes with the connection."""
        buffer = self._buffer
        while len(buffer) >= 2:
            size, begin = buffer[1], 2
            if size >= 126:
                begin = 4 if size == 126 else 10
                size = int.from_bytes(buffer[2:begin], "big")
            if len(buffer) < begin + size:
                return None
            opcode, payload = buffer[0] & 0x0F, bytes(buffer[begin : begin + size])
            del buffer[: begin + size]
            if opcode == TEXT:
                return payload
        return None

    def _take(self, payload: bytes) -> None:
        if payload == b"2":
            self.say("3")
        elif payload.startswith(b"40") and not self._let_in.done():
            self._let_in.set_result(None)
        elif payload.startswith(b"44"):
            self.transport.abort()
        elif payload.startswith(b"42"):
            name, *arguments = json.loads(payload[2:])
            self.on_event(name, arguments[0] if arguments else None)
        elif payload.startswith(b"43"):
            number, _, rest = payload[2:].partition(b"[")
            waiting = self._asked.pop(int(number), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(json.loads(b"[" + rest)[0])
