"""The first connection to one player: opened, or gone on with while the service passes messages on.

The service is asked after a few seconds, or as soon as nothing can come of connecting, and whichever of the
two carries first begins the match. Where that is the service the connecting goes on beside it to its end.
Knows times and what is awaited; refuses to know signals, and what goes over either.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import P2PError, PeerLost
from gym_p2p.net.connector import Connector
from gym_p2p.net.webrtc import PeerConnection

__all__ = ["SERVICE_AFTER_S", "Opening"]

SERVICE_AFTER_S = 3.0
"""From the match to asking the service: most direct paths are there within a second, and all descriptions
that were lost on the way have been sent again by then."""

_ANSWER_LIMIT_S = 5.0
"""For the other player to answer through the service, once nothing can come of connecting."""

_DEPARTED_GRACE_S = 2.0
"""Only the player's line to the service may have broken, with all exchanged that a connection needs."""


class Opening:
    """The way to the first connection with one player. :meth:`close` it in any case.

    Args:
        player_id: whom it leads to.
        connector: opens it.
    """

    def __init__(self, player_id: SeatId, connector: Connector) -> None:
        loop = asyncio.get_running_loop()
        self._player_id = player_id
        self._connector = connector
        self._departing: asyncio.Future[str] = loop.create_future()
        self._carried: asyncio.Future[None] = loop.create_future()
        self._connecting: asyncio.Task[PeerConnection] | None = None

    def service_carries(self) -> None:
        """Note that messages go through the service."""
        if not self._carried.done():
            self._carried.set_result(None)

    def departed(self, why: str) -> None:
        """Note that the service has lost sight of the player, and what is known of why, in words."""
        if not self._departing.done():
            self._departing.set_result(why)

    async def first(self, begin_by_service: Callable[[], None] | None) -> PeerConnection | None:
        """Return the open connection; ``None`` where the service carries before.

        Args:
            begin_by_service: asks the service to pass messages on; ``None`` where that is not possible.

        Raises:
            ConnectFailed: there is neither.
            PeerLost: they left before, and not for a moment.
        """
        self._connecting = connecting = asyncio.ensure_future(self._connector.connect())
        await self._wait({connecting, self._departing, self._carried}, SERVICE_AFTER_S)
        if begin_by_service is not None and not self._is_open and not self._departing.done():
            begin_by_service()
        while not self._is_open and not self._carried.done():
            if self._departing.done():
                await self._wait({connecting, self._carried}, _DEPARTED_GRACE_S)
                break
            if connecting.done() and begin_by_service is None:
                break
            failed = connecting.done()
            awaited: set[asyncio.Future[Any]] = {
                self._departing,
                self._carried,
                *(() if failed else (connecting,)),
            }
            if not await self._wait(awaited, _ANSWER_LIMIT_S if failed else None):
                break
        if self._is_open:
            return connecting.result()
        if self._carried.done():
            return None
        if connecting.done():
            connecting.result()
        here = self._connector.server_failures
        told = f"{self._departing.result()}{f'; and here: {here}' if here else ''}"
        raise PeerLost(self._player_id, f"they left before the connection was open{told}")

    async def later(self) -> PeerConnection | None:
        """Return the connection that the match did not begin over, once it is open; ``None`` if none came."""
        assert self._connecting is not None  # noqa: S101 - first() comes before
        with contextlib.suppress(P2PError, OSError):
            return await asyncio.shield(self._connecting)
        return None

    async def close(self) -> None:
        """Connect no more; what is open is its taker's. Idempotent."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)

    @property
    def _is_open(self) -> bool:
        one = self._connecting
        return one is not None and one.done() and not one.cancelled() and one.exception() is None

    async def _wait(self, awaited: set[asyncio.Future[Any]], timeout_s: float | None) -> bool:
        """Wait for one of these; return whether there was one in time."""
        done, _ = await asyncio.wait(awaited, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
