"""What a socket may say at all: strict JSON, strict Socket.IO packets, strict frames.

The guards here stand in front of the Socket.IO library and know its weak spots: a client could call our
``connect`` and ``disconnect`` handlers with arguments of its making, one malformed frame would end the
library's receive loop and leave a socket that looks connected, and binary packets would let it hold memory
without bound. They know nothing of rooms or matches.

Three layers, outermost first: :class:`FrameGuard` (frames of one websocket), :class:`StrictPacket` (Socket.IO
packets), :class:`~gym_p2p.core.wire.bounded_json.StrictJson` (their payloads).
"""

from __future__ import annotations

import asyncio
import functools
import math
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

import attrs
import socketio.packet

from gym_p2p.core.api.relaying import BYTES_BURST, BYTES_PER_S, MESSAGES_BURST, MESSAGES_PER_S
from gym_p2p.core.presence.connects import Connects, network_of
from gym_p2p.core.presence.rate_limits import RateLimit
from gym_p2p.core.wire.bounded_json import FROM_CLIENT, StrictJson
from gym_p2p.server.guard.client_log import client_log

__all__ = [
    "GUARD_KEY",
    "LANE_KEY",
    "POLICY_VIOLATION",
    "VIOLATION",
    "App",
    "ConnectionGuard",
    "FrameGuard",
    "Lane",
    "Receive",
    "Scope",
    "SendMessage",
    "StrictPacket",
]

_LOG = client_log(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
SendMessage = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, SendMessage], Awaitable[None]]

VIOLATION = "\x00violation"
"""The event that stands for a refused packet; no client can send it, for its name is refused too."""

GUARD_KEY = "gym_p2p.guard"
"""Where a websocket's ASGI scope holds its :class:`ConnectionGuard`."""

LANE_KEY = "gym_p2p.lane"
"""The extension of ours in a websocket's ASGI scope: its ``lane`` is a :class:`Lane`."""

_GREETING_DEADLINE_S = 10.0
"""From the websocket to the Socket.IO connect on it; an honest client's first frame is that."""

_BYTES_PER_EVENT = 2048
"""What an event may have in the long run: ten times the mean of a player who meets seven others."""
_BYTES_PER_BURST_EVENT = 5120
"""And one of a burst, in which descriptions are: eight of the longest are a quarter of what it allows."""

_BYTES_AROUND_A_MESSAGE = 160
"""What an event has beside the message that it is to be passed on."""

POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1
_BROKEN = frozenset({1002, 1007, POLICY_VIOLATION, 1009})
"""Closed for a broken frame, a text that is none, too many frames, a message that is too large: section
7.4.1."""
_TOO_MANY_REQUESTS = 429  # RFC 6585 section 4

_EVENT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_:.-]{0,63}")
_RESERVED = frozenset({"connect", "connect_error", "disconnect", "disconnecting", "message", "newListener"})
_MAX_ACK_ID = 2**53 - 1
_PLAIN_EVENT = re.compile(r"2([0-9]{0,15})(\[.*)", re.DOTALL)
"""What an honest client's events look like, in our namespace and without attachments."""


class StrictPacket(socketio.packet.Packet):  # type: ignore[misc]  # the library publishes no types
    """A Socket.IO packet whose decoding never raises and lets only well-formed, harmless packets through.

    Its JSON has no ``NaN``, infinities, numbers beyond a float, lone surrogates or bottomless nesting.

    Whatever is refused becomes the event :data:`VIOLATION`, so that it reaches a handler that counts.
    """

    packet_type: int
    namespace: str | None
    id: int | None
    data: Any

    uses_binary_events = False
    json = StrictJson(FROM_CLIENT)

    def decode(self, encoded_packet: Any) -> int:
        """Decode a packet that arrived."""
        try:
            plain = _PLAIN_EVENT.fullmatch(_text(encoded_packet))
            if plain is not None:  # as the library would, with less ado
                self.packet_type, self.namespace = socketio.packet.EVENT, None
                self.id = int(plain[1]) if plain[1] else None
                self.data = self.json.loads(plain[2])
                _check_event(self.data)
            else:
                super().decode(encoded_packet)
                _check(self.packet_type, self.namespace, self.id, self.data)
        except (ValueError, TypeError, IndexError) as error:
            _LOG.debug("refused a packet: %s", type(error).__name__)
            self.packet_type = socketio.packet.EVENT
            self.namespace = self.id = None
            self.data = [VIOLATION]
        return 0


def _text(encoded_packet: Any) -> str:
    if not isinstance(encoded_packet, str):
        raise TypeError("not a text packet")
    return encoded_packet


def _check(kind: int, namespace: str | None, ack_id: int | None, data: Any) -> None:
    if namespace not in {None, "/"}:
        raise ValueError("another namespace")
    if ack_id is not None and ack_id > _MAX_ACK_ID:
        raise ValueError("acknowledgement id too large")
    if kind == socketio.packet.CONNECT:
        if data is not None and not isinstance(data, dict):
            raise ValueError("malformed connect")
    elif kind == socketio.packet.EVENT:
        _check_event(data)
    elif kind != socketio.packet.DISCONNECT:  # binary, errors; and we never ask for acknowledgements
        raise ValueError("not for clients to send")


def _check_event(data: Any) -> None:
    if not isinstance(data, list) or not 1 <= len(data) <= 2:
        raise ValueError("malformed event")
    name = data[0]
    if not isinstance(name, str) or name in _RESERVED or _EVENT_NAME.fullmatch(name) is None:
        raise ValueError("reserved or malformed event name")


class Lane(Protocol):
    """A way beside an ASGI server's queues, where what has just come is taken, and what is said is sent.

    Attributes:
        take: is called with a text that nothing is before; ``False`` leaves it to the application.
    """

    take: Callable[[str], bool] | None

    def write(self, text: bytes) -> bool:
        """Send a text at once; ``False`` where that cannot be now, or not any more."""


@attrs.define(eq=False)
class ConnectionGuard:
    """One websocket, seen from under the Socket.IO library: it can be closed whatever state that is in."""

    _send: SendMessage
    _bytes: RateLimit
    _lane: Lane | None = None
    greeted: bool = False
    """Whether the client has sent its Socket.IO connect."""
    admitted: bool = False
    """Whether a join token has said whose it is: who misbehaves is held back by that."""
    violated: bool = False
    """Whether it is closed for what it has sent."""
    _closed: bool = False
    _saying_goodbye: bool = False
    _sending: int = 0
    """Messages that the library sends just now."""

    def take_events(self, take: Callable[[str], None] | None) -> None:
        """Hand events over as they come, before the library has them; ``None`` leaves all to the library.

        Args:
            take: is called with the whole text of each that nothing is before, and that is not too much.
        """
        if self._lane is not None:
            self._lane.take = None if take is None else functools.partial(self._take, take)

    def _take(self, take: Callable[[str], None], text: str) -> bool:
        if not text.startswith("42") or self._saying_goodbye or self.violated:
            return False
        if self._bytes.take("", time.monotonic(), len(text)) is not None:
            return False  # and so it is too much a moment later, in :meth:`admit`
        take(text)
        return True

    def write(self, text: bytes) -> bool:
        """Send a text before the library sends anything more; ``False`` where that cannot be now."""
        return self._lane is not None and not self._closed and not self._sending and self._lane.write(text)

    def admit(self, message: Message) -> Message:
        """Return a received ASGI message, or a disconnect in its place when no honest client sends such.

        What a message costs is known by its length, before anybody reads it.
        """
        if message["type"] != "websocket.receive":
            self.violated |= message.get("code") in _BROKEN
            return message
        text, now = message.get("text") or "", time.monotonic()
        greets = text.startswith("40")
        too_much = self._bytes.take("", now, len(text)) is not None
        # After a refused greeting an honest client closes, too.
        if too_much or self._saying_goodbye or (greets and self.greeted):
            return self._drop()
        if message.get("bytes") is not None or not _is_frame(text):
            return self._drop()
        self.greeted |= greets
        # After a Socket.IO disconnect an honest client closes; reconnecting on the same websocket would
        # be a way around the limits that belong to a socket.
        self._saying_goodbye = text.startswith("41")
        return message

    def _drop(self) -> Message:
        self.violated = True
        return _DISCONNECT

    async def send(self, message: Message) -> None:
        """Send an ASGI message; raises ``OSError`` once it is closed."""
        if self._closed:
            raise ConnectionAbortedError("closed by the service")
        self._sending += 1
        try:
            await self._send(message)
        finally:
            self._sending -= 1

    async def close(self) -> None:
        """Close the websocket for what was sent on it. Idempotent; never raises."""
        if self._closed:
            return
        self.violated = True
        try:
            await self.send({"type": "websocket.close", "code": POLICY_VIOLATION})
        except (OSError, RuntimeError) as error:  # already closed from the other end
            _LOG.debug("closing a websocket: %s", type(error).__name__)
        self._closed = True


_DISCONNECT: Message = {"type": "websocket.disconnect", "code": POLICY_VIOLATION}


class FrameGuard:
    """ASGI middleware that gives every websocket a :class:`ConnectionGuard`.

    Args:
        app: what is guarded.
        connects: new websockets of one address; ``None`` counts none.
        requests: other requests of one address, but for its health; ``None`` counts none.
        events: what one of them may send; its bytes are bounded by that, before they are decoded.
        on_refusal: called with a reason for every websocket that is turned away here.
    """

    def __init__(
        self,
        app: App,
        *,
        connects: Connects | None = None,
        requests: RateLimit | None = None,
        events: RateLimit,
        on_refusal: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._app = app
        self._connects = connects
        self._requests = requests
        self._events = events
        self._on_refusal = on_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        """Serve one ASGI connection."""
        address = (scope.get("client") or ("unknown", 0))[0]
        if scope["type"] != "websocket":
            await self._serve_request(address, scope, receive, send)
            return
        wait_s = None if self._connects is None else self._connects.take(address, time.monotonic())
        if wait_s is None:
            await self._serve_websocket(address, scope, receive, send)
        else:
            self._on_refusal("too_many_connects")
            await _turn_away(scope, receive, send, wait_s)

    async def _serve_request(self, address: str, scope: Scope, receive: Receive, send: SendMessage) -> None:
        # To say that all is well costs no more than to say no.
        requests = None if scope.get("path", "").endswith("/healthz") else self._requests
        wait_s = None if requests is None else requests.take(network_of(address), time.monotonic())
        if wait_s is None:
            await self._app(scope, receive, send)
        else:
            self._on_refusal("too_many_requests")
            await _answer_later(send, "http", wait_s)

    async def _serve_websocket(self, address: str, scope: Scope, receive: Receive, send: SendMessage) -> None:
        per_s, burst = self._events.per_s, self._events.burst
        guard = ConnectionGuard(
            send,
            RateLimit(
                per_s * _BYTES_PER_EVENT + BYTES_PER_S + MESSAGES_PER_S * _BYTES_AROUND_A_MESSAGE,
                burst * _BYTES_PER_BURST_EVENT + BYTES_BURST + MESSAGES_BURST * _BYTES_AROUND_A_MESSAGE,
            ),
            scope.get("extensions", {}).get(LANE_KEY, {}).get("lane"),
        )
        greeted_by = time.monotonic() + _GREETING_DEADLINE_S

        async def guarded_receive() -> Message:
            if guard.greeted:
                return guard.admit(await receive())
            try:
                async with asyncio.timeout(max(0.0, greeted_by - time.monotonic())):
                    return guard.admit(await receive())
            except TimeoutError:
                self._on_refusal("no_greeting")
                return _DISCONNECT

        try:
            await self._app({**scope, GUARD_KEY: guard}, guarded_receive, guard.send)
        finally:
            if guard.violated:
                self._on_refusal("dropped")
                if self._connects is not None and not guard.admitted:
                    self._connects.drop(address, time.monotonic())


async def _turn_away(scope: Scope, receive: Receive, send: SendMessage, wait_s: float) -> None:
    """Answer a websocket's opening with 429, where the server can."""
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    # A host's server may be another one: only where uvicorn asks for it is it here.
    from uvicorn.protocols.utils import ClientDisconnected  # noqa: PLC0415  # only where it is needed

    await _answer_later(send, "websocket.http", wait_s)
    raise ClientDisconnected  # else uvicorn logs, for every one of them, that there was no handshake


async def _answer_later(send: SendMessage, kind: str, wait_s: float) -> None:
    headers = [(b"retry-after", str(math.ceil(wait_s)).encode()), (b"connection", b"close")]
    await send({"type": f"{kind}.response.start", "status": _TOO_MANY_REQUESTS, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": b""})


def _is_frame(text: str) -> bool:
    """Tell whether an Engine.IO 4 client may send this: a pong, a close, or a message with a packet in it."""
    return text in {"3", "1"} or (len(text) >= 2 and text[0] == "4" and text[1] in "0123456")
