"""The operator's look into a running service: who waits in its queues.

Knows the address and what its answers mean. It refuses to know where a token comes from and what is shown.
Proxies of the environment are not used, and redirections not followed: they would see the token.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import aiohttp

from gym_p2p.core.api.payloads import decode
from gym_p2p.core.matchmaking.report import QueueReport
from gym_p2p.core.wire.bounded_json import FROM_SERVICE, decode_json
from gym_p2p.core.wire.foreign_text import screened
from gym_p2p.errors import ProtocolError, ServiceRefused, ServiceUnreachable
from gym_p2p.exports.unreachable import status_in_words
from gym_p2p.net.client.failures import in_words
from gym_p2p.net.client.service_connection import check_url

__all__ = ["QueueView"]

_ANSWER_TIMEOUT_S = 5.0


class QueueView:
    """A service, as its operator sees it; an asynchronous context manager.

    Args:
        url: where the service is.

    Raises:
        ConfigurationError: this cannot be a service's address.
    """

    def __init__(self, url: str) -> None:
        check_url(url)
        self._url = url

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_TIMEOUT_S))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def fetch(self, token: str) -> QueueReport:
        """Return the queues as they are now.

        Args:
            token: an operator's.

        Raises:
            ServiceRefused: ``unauthenticated``: the token is not this service's, or has expired.
            ServiceUnreachable: nothing answers there, or something that is no gym_p2p service, or one that is
                busy.
        """
        url = f"{self._url.rstrip('/')}/v1/queues"
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._http.get(url, headers=headers, allow_redirects=False) as response:
                status = response.status
                body = await _body(response) if status == 200 else b""
        except TimeoutError:
            raise ServiceUnreachable(self._url, f"no answer within {_ANSWER_TIMEOUT_S:g} s") from None
        except (aiohttp.ClientError, ValueError) as error:
            raise ServiceUnreachable(self._url, await in_words(error, self._url)) from None
        if status in {401, 403}:
            raise ServiceRefused("unauthenticated", "it does not know this operator token")
        if status != 200:
            raise ServiceUnreachable(self._url, status_in_words(status))
        try:
            return decode(QueueReport, screened(decode_json(body, FROM_SERVICE)))
        except ProtocolError:
            raise ServiceUnreachable(self._url, "what answers there shows no queues") from None


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Return what was answered; of what is too long, so much that it is too long for who reads it, too."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > FROM_SERVICE.size_bytes:
            break
    return bytes(body)
