"""Connections before they have said anything: counted, bounded, and closed when they stay silent.

It stands between the port and uvicorn's protocols, and knows both; which connection has to go is decided by
:class:`~gym_p2p.core.presence.open_sockets.OpenSockets`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gym_p2p.core.presence.open_sockets import OpenSockets

__all__ = ["Doorkeeper", "room_for_sockets"]

_LOG = logging.getLogger(__name__)

_OWN_FILES = 128
"""What a service itself holds open at most: documents that arrive and are written, its log, its port."""
_MOST_SOCKETS = 100_000
_SEND_DEADLINE_S = 10.0
"""A reader that takes nothing for so long is gone; below the library's 15 s without a pong."""
_SWEEP_S = 1.0
_LOG_EVERY_S = 10.0


def room_for_sockets() -> OpenSockets:
    """Return the bounds that this process's limit of open files gives."""
    try:
        import resource  # noqa: PLC0415 - not on every platform

        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except ImportError:
        files = _MOST_SOCKETS
    most = min(_MOST_SOCKETS, max(files - _OWN_FILES, files // 2)) if files > 0 else _MOST_SOCKETS
    return OpenSockets(most=most, most_of_one=most // 2, reserve=most // 8)


class Doorkeeper:
    """Keeps the bounds of one port.

    Args:
        sockets: the bounds.
        on_refusal: called with a reason for everyone who is turned away.

    Attributes:
        http: the class of uvicorn's protocol for new connections.
        websocket: and for those that are upgraded.
    """

    def __init__(self, sockets: OpenSockets, on_refusal: Callable[[str], None]) -> None:
        self._sockets = sockets
        self._on_refusal = on_refusal
        self._turned_away: Counter[str] = Counter()
        self.http = type("_Http", (_Http,), {"door": self})
        self.websocket = type("_Websocket", (_Websocket,), {"door": self})

    def come(self, transport: Any, address: str) -> None:
        """Take in a connection, at another one's cost or its own where there is no room."""
        gone: Any = self._sockets.open(transport, address, time.monotonic())
        if gone is not None:
            self._turn_away(gone, "too_many_sockets" if gone is transport else "silent")

    def speak(self, transport: Any) -> None:
        """Note a connection's first whole request."""
        self._sockets.speak(transport)

    def leave(self, transport: Any) -> None:
        """Note a connection's end."""
        self._sockets.close(transport)

    async def watch_loop(self) -> None:
        """Close whoever stays silent, until cancelled."""
        logged_at = time.monotonic()
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = time.monotonic()
            silent: list[Any] = self._sockets.overdue(now)
            for transport in silent:
                self._sockets.close(transport)
                self._turn_away(transport, "silent")
            if self._turned_away and logged_at + _LOG_EVERY_S <= now:
                counts = ", ".join(f"{count} {reason}" for reason, count in self._turned_away.items())
                _LOG.warning("connections turned away: %s; %d are open", counts, self._sockets.count)
                self._turned_away.clear()
                logged_at = now

    def _turn_away(self, transport: Any, reason: str) -> None:
        self._turned_away[reason] += 1
        self._on_refusal(reason)
        transport.abort()


class _Http(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # which class it is depends on what is installed
    """uvicorn's protocol of a connection that begins, at the door."""

    door: Doorkeeper

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._spoke = False
        self.door.come(transport, _address(self.client))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._spoke and (self.cycle is not None or self.transport.get_protocol() is not self):
            self._spoke = True
            self.door.speak(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.leave(self.transport)
        super().connection_lost(exc)


class _Websocket(WebSocketsSansIOProtocol):
    """And of one that became a websocket."""

    door: Doorkeeper

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.leave(self.transport)
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        """Send an ASGI message; a reader that does not read is gone, which raises ``OSError``."""
        if self.writable.is_set():
            await super().send(message)
            return
        gone = self.loop.call_later(_SEND_DEADLINE_S, self.transport.abort)
        try:
            await super().send(message)
        finally:
            gone.cancel()


def _address(client: tuple[str, int] | None) -> str:
    """Return whose connection it is.

    Of connections from this machine each counts by itself: a proxy's are those of everybody.
    """
    if client is None:
        return "local"
    try:
        is_local = ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        is_local = False
    return f"{client[0]} port {client[1]}" if is_local else client[0]
