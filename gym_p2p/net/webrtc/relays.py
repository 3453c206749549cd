"""Keeping what a TURN server has granted: it forgets the channels and permissions that nobody renews.

aioice renews a channel 500 s after it was bound, and then as something is sent over it, which waits for the
server's answer. A permission is forgotten after 300 s (RFC 8656, section 9), by some servers sooner, and with
it everything that the other side sends is dropped, in the middle of a match. So here all of them are renewed
beside the match, and what is sent never waits. The allocation itself aioice renews by itself.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any

import aioice.stun

__all__ = ["keep_channels"]

_log = logging.getLogger(__name__)

RENEW_EVERY_S = 20.0
"""Two renewals may get lost where a server keeps a minute, the shortest that is in use."""


async def keep_channels(relay: Any) -> None:
    """Renew the channels of a relay, and their permissions with them, until cancelled or the relay is closed.

    Args:
        relay: aioice's ``TurnTransport``.
    """
    client = relay._TurnTransport__inner_protocol
    client.channel_refresh_time = math.inf
    while not client.transport.is_closing():
        await asyncio.sleep(RENEW_EVERY_S)
        bound = tuple(client.channel_to_peer.items())
        await asyncio.gather(*(_renew(client, number, peer) for number, peer in bound))


async def _renew(client: Any, number: int, peer: tuple[str, int]) -> None:
    try:
        async with asyncio.timeout(RENEW_EVERY_S):
            await client.channel_bind(number, peer)  # with a new nonce where the old one has expired
    except (OSError, aioice.stun.TransactionError) as error:
        _log.debug("a channel of the relay was not renewed: %s; again soon", type(error).__name__)
