"""Where the connections of a person's page come from, and which are theirs.

Knows sockets, links and what a browser says of where a request comes from; refuses to know what is served.
"""

from __future__ import annotations

import hmac
import secrets
import socket
from typing import Protocol

from aiohttp import web

from gym_p2p.errors import ConfigurationError

__all__ = ["Entrance", "OwnPort"]

HOST = "127.0.0.1"


class Entrance(Protocol):
    """Where a page's connections come from. Opened and closed once; served and asked on the server's loop.

    Attributes:
        lasts: whether it takes connections for others, too, so that the link is good once a seat is given up.
    """

    lasts: bool

    @property
    def url(self) -> str:
        """The link to the page."""

    def open(self) -> None:
        """Begin to take connections, on the thread that plays.

        Raises:
            ConfigurationError: there can be none.
        """

    async def serve(self, runner: web.AppRunner) -> None:
        """Have this runner serve them."""

    def admits(self, request: web.Request, *, script: bool = False) -> bool:
        """Return whether a request is the person's.

        Args:
            request: what is asked.
            script: whether a script asks: then it has to be the page's own, and not another site's.
        """

    def close(self) -> None:
        """Take none any more. Idempotent."""


class OwnPort:
    """A port of the loopback address, and a secret in the link: whoever has it has the seat.

    Args:
        port: to listen on; 0 takes a free one.
    """

    def __init__(self, port: int = 0) -> None:
        self.lasts = False
        self._port = port
        self._token = secrets.token_urlsafe(24)
        self._listening: socket.socket | None = None

    @property
    def url(self) -> str:
        """See :class:`Entrance`."""
        return f"http://{HOST}:{self._port}/{self._token}/"

    def open(self) -> None:
        """See :class:`Entrance`."""
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, self._port))
            listening.listen()
        except OSError as error:
            listening.close()
            raise ConfigurationError(
                "port",
                f"cannot listen on {HOST}:{self._port} ({error.strerror}): take another one, or 0 for any",
            ) from error
        self._listening, self._port = listening, listening.getsockname()[1]

    async def serve(self, runner: web.AppRunner) -> None:
        """See :class:`Entrance`."""
        assert self._listening is not None  # noqa: S101 - opened
        await web.SockSite(runner, self._listening).start()

    def admits(self, request: web.Request, *, script: bool = False) -> bool:
        """See :class:`Entrance`; another name of this host could be another site's."""
        given = request.match_info["token"].encode()
        if request.host not in {f"{HOST}:{self._port}", f"localhost:{self._port}"}:
            return False
        if script and request.headers.get("Origin") != f"http://{request.host}":
            return False
        return hmac.compare_digest(given, self._token.encode())

    def close(self) -> None:
        """See :class:`Entrance`."""
        if self._listening is not None:
            self._listening.close()
