"""The service's ICE servers of a running match: as they were given with it, and again when they are needed.

Credentials of a TURN server end. Which last for how long only the service knows, so it is asked for others
whenever a connection is to be made anew. Refuses to know connections.
"""

from __future__ import annotations

import asyncio
import logging

from gym_p2p.config import IceServer
from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.errors import P2PError
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.processes.tasks import note_failure

__all__ = ["YOUNG_S", "MatchIceServers"]

_log = logging.getLogger(__name__)

YOUNG_S = 30.0
"""What was given within this time is not asked for again."""


class MatchIceServers:
    """Those of one player in one match. :meth:`close` it in any case.

    Args:
        client: asks the service.
        found: the match.
        young: whether it was found just now.

    Attributes:
        now: the newest.
    """

    def __init__(self, client: SignalingClient, found: MatchFound, *, young: bool) -> None:
        self._client = client
        self._match_id = found.match_id
        self.now: tuple[IceServer, ...] = found.ice_servers
        self._given_at = asyncio.get_running_loop().time() if young else None
        self._renewing: asyncio.Task[None] | None = None

    def renew_soon(self) -> None:
        """Ask for others, unless these are young, or no TURN servers; they are :attr:`now` once they come."""
        loop = asyncio.get_running_loop()
        young = self._given_at is not None and loop.time() < self._given_at + YOUNG_S
        if young or self._renewing is not None or not any(server.is_turn for server in self.now):
            return
        self._renewing = loop.create_task(self._renew())
        self._renewing.add_done_callback(note_failure)

    async def renewed(self) -> None:
        """Wait until they are, or are not to be had."""
        if self._renewing is not None:
            await asyncio.wait({self._renewing})

    async def close(self) -> None:
        """Ask no more. Idempotent."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait({self._renewing})

    async def _renew(self) -> None:
        try:
            self.now = await self._client.renew_ice_servers(self._match_id)
            self._given_at = asyncio.get_running_loop().time()
        except P2PError as error:  # the service is away, or older than that: what there was may do
            _log.debug("no ICE servers were given again: %s", error)
        finally:
            self._renewing = None
