"""uvicorn's protocols at our port: what a connection costs is bounded before anything is read in it.

They know bytes and frames. What an application does with a request, or a text, they refuse to know.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import attrs
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from gym_p2p.core.presence.rate_limits import RateLimit
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.doorkeeper import Doorkeeper, address_of
from gym_p2p.server.guard.frames import LANE_KEY, POLICY_VIOLATION

__all__ = ["MAX_HEAD_BYTES", "FrameRate", "http_protocol", "websocket_protocol"]

_LOG = client_log(__name__)
"""In place of uvicorn's, which has a line for every broken request and text; below, it writes addresses."""
_LOG.setLevel(logging.WARNING)

MAX_HEAD_BYTES = 32 * 1024
"""Of a request's line and headers; four times what most servers take (nginx, Apache: 8 KiB)."""
_SEND_DEADLINE_S = 10.0
"""A reader that takes nothing for so long is gone; below the library's 15 s without a pong."""
_PIECE_BYTES = 2048
"""What is parsed in one go: some hundreds of empty frames are in it, which takes a few milliseconds."""
_TAKEN_AT_ONCE = 8
"""So many texts of what is parsed in one go are taken before others have their turn."""


@attrs.frozen
class FrameRate:
    """How many frames of any kind a websocket may send: empty ones, fragments, pings and pongs, too."""

    per_s: float
    burst: int


class _Http(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # which class it is depends on what is installed
    """uvicorn's protocol of a connection that begins, at the door."""

    door: Doorkeeper

    def connection_made(self, transport: Any) -> None:
        self.logger = _LOG
        super().connection_made(transport)
        self._unread_bytes = 0
        self.door.come(transport, address_of(self.client))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_protocol() is not self or (self.cycle and not self.cycle.response_complete):
            self._unread_bytes = 0
            self.door.speak(self.transport)
            return
        # The head of a request, or the rest of one that has been answered.
        self._unread_bytes += len(data)
        self.door.await_request(self.transport)
        if self._unread_bytes > MAX_HEAD_BYTES:
            self.door.turn_away(self.transport, "too_long_head")

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.leave(self.transport)
        super().connection_lost(exc)


class _Websocket(WebSocketsSansIOProtocol):
    """And of one that became a websocket.

    What arrives is parsed in pieces, each in a round of the event loop of its own, and only when what was in
    the pieces before has been taken: a client that sends thousands of frames at once waits for itself.

    It is a :class:`~gym_p2p.server.guard.frames.Lane`, too: a text is taken at once, without the
    application's tasks, timers and queues, while that waits for the next one and has all before it.
    """

    door: Doorkeeper
    frame_rate: FrameRate
    take: Callable[[str], bool] | None = None

    def connection_made(self, transport: Any) -> None:
        self.logger = _LOG
        super().connection_made(transport)
        self._unparsed = bytearray()
        self._feeding = False
        self._is_awaited = False
        self._still_taken = 0
        self._frames = RateLimit(self.frame_rate.per_s, self.frame_rate.burst)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unparsed.clear()
        self.take = None
        self.door.leave(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._still_taken = _TAKEN_AT_ONCE
        if not self.handshake_initiated:  # the head, whose length is bounded already
            super().data_received(data)
            return
        if not self._unparsed and len(data) <= _PIECE_BYTES:
            super().data_received(data)
            return
        self._unparsed += data
        if self.close_sent:
            self._give_up()
        elif not self._feeding:
            self._feed()

    def _give_up(self) -> None:
        """Hang up on a client that is being closed and goes on sending: it would not be heard out in time."""
        self._unparsed.clear()
        self.transport.abort()

    def _feed(self) -> None:
        """Parse the next piece."""
        self._feeding = False
        self._still_taken = _TAKEN_AT_ONCE
        if self.transport.is_closing():
            self._unparsed.clear()
            return
        piece = bytes(self._unparsed[:_PIECE_BYTES])
        del self._unparsed[:_PIECE_BYTES]
        super().data_received(piece)
        self._go_on()

    def _go_on(self) -> None:
        """Parse on when what was in the last piece has been taken, and read on when all is parsed."""
        if not self._unparsed:
            if not self.read_paused:
                self.transport.resume_reading()
            return
        self.transport.pause_reading()
        if self.queue.empty() and not self._feeding:
            self._feeding = True
            self.loop.call_soon(self._feed)

    def handle_events(self) -> None:
        """Handle what was parsed, unless it is too much."""
        if self._frames.take("", time.monotonic(), len(self.conn.events)) is None:
            super().handle_events()
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": POLICY_VIOLATION})
        self.door.turn_away(self.transport, "too_many_frames")

    async def run_asgi(self) -> None:
        """Run the application."""
        self.scope["extensions"][LANE_KEY] = {"lane": self}
        await super().run_asgi()

    def handle_text(self, event: Any) -> None:
        """Have a text taken at once, if somebody does, or put it where the application finds it."""
        if self.take is None or not self._may_overtake(event) or not self._taken(event.data):
            super().handle_text(event)

    def _may_overtake(self, event: Any) -> bool:
        """Return whether a whole text has nothing before it, and is not one too many of one client's."""
        return (
            self._still_taken > 0
            and self._is_awaited
            and event.fin
            and self.queue.empty()
            and not self.close_sent
        )

    def _taken(self, data: Any) -> bool:
        self._still_taken -= 1
        try:
            text = bytes(data).decode()
        except UnicodeDecodeError:  # what becomes of it the library knows
            return False
        return self.take is not None and self.take(text)

    def write(self, text: bytes) -> bool:
        """Send a text at once; ``False`` where that cannot be now, or not any more."""
        if not self.writable.is_set() or self.transport.is_closing() or self.conn.state is not State.OPEN:
            return False
        self.conn.send_text(text)
        self.transport.write(b"".join(self.conn.data_to_send()))
        return True

    async def receive(self) -> Any:
        """Return the next ASGI message."""
        self._is_awaited = True
        try:
            message = await super().receive()
        finally:
            self._is_awaited = False
        if self._unparsed:
            self._go_on()
        return message

    async def send(self, message: Any) -> None:
        """Send an ASGI message; a reader that does not read is gone, which raises ``OSError``."""
        if self.writable.is_set():
            await super().send(message)
        else:
            gone = self.loop.call_later(_SEND_DEADLINE_S, self.transport.abort)
            try:
                await super().send(message)
            finally:
                gone.cancel()
        if self.close_sent and self._unparsed:
            self._give_up()


def http_protocol(door: Doorkeeper) -> type[Any]:
    """Return the class of protocols for new connections."""
    return type("_HttpAtTheDoor", (_Http,), {"door": door})


def websocket_protocol(door: Doorkeeper, rate: FrameRate) -> type[Any]:
    """Return the class of protocols for connections that become websockets."""
    return type("_WebsocketAtTheDoor", (_Websocket,), {"door": door, "frame_rate": rate})
