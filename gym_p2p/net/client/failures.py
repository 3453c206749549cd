"""Why no line to the service came about, in words: the client library's errors, seen through to their cause.

It knows aiohttp's errors; what the causes mean is for :mod:`gym_p2p.exports.unreachable` to say.
"""

from __future__ import annotations

import asyncio
import http
import ssl
import urllib.parse
from collections.abc import Iterator

import aiohttp

from gym_p2p.exports.unreachable import NO_SERVICE, is_busy, status_in_words, why_unreachable

__all__ = ["in_words", "is_turned_away"]

_LOOK_TIMEOUT_S = 1.0
_NO_UPGRADE = "a proxy in front of it that passes no WebSocket on: it has to keep Upgrade and Connection"


def is_turned_away(error: BaseException) -> bool:
    """Return whether something answered that the same attempt may succeed soon."""
    return any(
        isinstance(cause, aiohttp.WSServerHandshakeError) and is_busy(cause.status)
        for cause in _causes(error)
    )


async def in_words(error: BaseException, url: str) -> str:
    """Return what an error of the client library means, without its internals; takes a second at most.

    Args:
        error: what it raised.
        url: where it was to connect.
    """
    causes = list(_causes(error))
    words = next((told for cause in causes if (told := _meaning(cause)) is not None), None)
    reached = not any(isinstance(cause, aiohttp.ClientConnectorError) for cause in causes)
    if (
        reached
        and not is_turned_away(error)
        and urllib.parse.urlsplit(url).scheme == "http"
        and await _speaks_tls(url)
    ):
        return "what answers there speaks TLS: try https:// instead of http://"
    return f"{NO_SERVICE} ({type(error).__name__})" if words is None else words


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from, the newest first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _meaning(cause: BaseException) -> str | None:
    """Return what one error means; ``None`` if it says nothing."""
    told: str | None = None
    match cause:
        case aiohttp.ClientConnectorCertificateError(certificate_error=OSError() as found):
            told = why_unreachable(found)
        case aiohttp.ClientConnectorError(os_error=found):
            told = why_unreachable(found)
        case aiohttp.WSServerHandshakeError(status=http.HTTPStatus.BAD_REQUEST):
            told = f"{NO_SERVICE}, or {_NO_UPGRADE} (HTTP 400)"
        case aiohttp.WSServerHandshakeError(status=status):
            told = status_in_words(status)
        case aiohttp.ServerDisconnectedError():
            told = f"{NO_SERVICE}: it hangs up without an answer"
        case aiohttp.ClientResponseError():
            told = f"{NO_SERVICE}: it does not speak HTTP as one does"
        case OSError():
            told = why_unreachable(cause)
    return told


async def _speaks_tls(url: str) -> bool:
    """Return whether a server that did not understand plain HTTP understands TLS."""
    parts = urllib.parse.urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent to it
    try:
        async with asyncio.timeout(_LOOK_TIMEOUT_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 80, ssl=context)
    except OSError:
        return False
    writer.transport.abort()
    return True
