"""Whether there is a service, before people are asked to come and wait there."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from gym_p2p.config import P2PConfig
from gym_p2p.errors import ServiceUnreachable

__all__ = ["reach", "require_service"]

_LIMIT_S = 10.0


async def reach(url: str) -> None:
    """Pass where something listens at a service's address: else everybody would wait there in vain.

    Raises:
        ConfigurationError: it is no address of a service.
        ServiceUnreachable: nothing does.
    """
    from gym_p2p.net.client.service_connection import check_url  # noqa: PLC0415 - which --help does not need

    check_url(url)
    where = urlsplit(url)
    try:
        port = where.port or {"https": 443}.get(where.scheme, 80)
        async with asyncio.timeout(_LIMIT_S):
            _, line = await asyncio.open_connection(where.hostname or "", port)
        line.close()
    except (OSError, ValueError) as error:
        raise ServiceUnreachable(url, str(error) or "no answer") from None


def require_service(config: P2PConfig) -> None:
    """Pass where :func:`reach` does, without an event loop; who may come back waits for one that is away."""
    if not (config.rejoin and config.sync.rejoin_timeout_s):
        asyncio.run(reach(config.server_url))
