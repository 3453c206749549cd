"""Connections before they have said anything: counted, bounded, and closed when they stay silent.

It stands between the port and its protocols (:mod:`gym_p2p.server.guard.protocols`); which connection has to
go is decided by :class:`~gym_p2p.core.presence.open_sockets.OpenSockets`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from gym_p2p.core.presence.connects import network_of
from gym_p2p.core.presence.open_sockets import OpenSockets
from gym_p2p.server.guard.client_log import client_log

__all__ = ["Doorkeeper", "address_of", "room_for_sockets"]

_LOG = client_log(__name__)

_OWN_FILES = 128
"""What a service itself holds open at most: documents that arrive and are written, its log, its port."""
_MOST_SOCKETS = 100_000
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
    """

    def __init__(self, sockets: OpenSockets, on_refusal: Callable[[str], None]) -> None:
        self._sockets = sockets
        self._on_refusal = on_refusal
        self._turned_away: Counter[str] = Counter()

    def come(self, transport: Any, address: str) -> None:
        """Take in a connection, at another one's cost or its own where there is no room."""
        gone: Any = self._sockets.open(transport, address, time.monotonic())
        if gone is not None:
            self.turn_away(gone, "too_many_sockets" if gone is transport else "silent")

    def speak(self, transport: Any) -> None:
        """Note that a connection has sent a whole request."""
        self._sockets.speak(transport)

    def await_request(self, transport: Any) -> None:
        """Note that a connection has begun another request, or goes on with what nobody reads."""
        self._sockets.fall_silent(transport, time.monotonic())

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
                self.turn_away(transport, "silent")
            if self._turned_away and logged_at + _LOG_EVERY_S <= now:
                counts = ", ".join(f"{count} {reason}" for reason, count in self._turned_away.items())
                _LOG.warning("connections turned away: %s; %d are open", counts, self._sockets.count)
                self._turned_away.clear()
                logged_at = now

    def turn_away(self, transport: Any, reason: str) -> None:
        """Close a connection at once, and count it."""
        self._turned_away[reason] += 1
        self._on_refusal(reason)
        transport.abort()


def address_of(client: tuple[str, int] | None) -> str:
    """Return whose connection it is.

    Of connections from this machine each counts by itself: a proxy's are those of everybody.
    """
    if client is None:
        return "local"
    try:
        is_local = ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        is_local = False
    return f"{client[0]} port {client[1]}" if is_local else network_of(client[0])
