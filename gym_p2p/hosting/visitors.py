"""Connections that the host hands over to the process of a seat, which goes on as if it had listened.

So nothing is copied between the page and who plays, and a seat has no port. Knows descriptors and the heads
of requests; whose they are the host has looked at.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading

from aiohttp import web

__all__ = ["HandedOver"]

_log = logging.getLogger(__name__)


class HandedOver:
    """Where the connections of a hosted person's page come from: a :class:`~gym_p2p.human.entrance.Entrance`.

    Args:
        url: the link to the page, as the person has it.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.lasts = True
        """See :class:`~gym_p2p.human.entrance.Entrance`; until the host ends."""
        self._lock = threading.Lock()
        self._early: list[tuple[socket.socket, bytes]] = []
        """Handed over before anything is served."""
        self._server: web.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def url(self) -> str:
        """See :class:`~gym_p2p.human.entrance.Entrance`."""
        return self._url

    def take(self, connection: socket.socket, head: bytes) -> None:
        """Serve a connection; callable from any thread.

        Args:
            connection: it; closed here.
            head: what was read of it.
        """
        with self._lock:
            if self._closed:
                connection.close()
            elif self._loop is None:
                self._early.append((connection, head))
            else:
                self._loop.call_soon_threadsafe(self._begin, connection, head)

    def open(self) -> None:
        """See :class:`~gym_p2p.human.entrance.Entrance`: the host listens."""

    async def serve(self, runner: web.AppRunner) -> None:
        """See :class:`~gym_p2p.human.entrance.Entrance`."""
        with self._lock:
            self._server, self._loop = runner.server, asyncio.get_running_loop()
            early, self._early = self._early, []
        for connection, head in early:
            self._begin(connection, head)

    def admits(self, request: web.Request, *, script: bool = False) -> bool:
        """See :class:`~gym_p2p.human.entrance.Entrance`: the host has looked."""
        del request, script
        return True

    def close(self) -> None:
        """See :class:`~gym_p2p.human.entrance.Entrance`."""
        with self._lock:
            self._closed = True
            early, self._early = self._early, []
        for connection, _ in early:
            connection.close()

    def _begin(self, connection: socket.socket, head: bytes) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(connection, head))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: socket.socket, head: bytes) -> None:
        connection.setblocking(False)  # noqa: FBT003 - the signature is the standard library's
        assert self._server is not None  # noqa: S101 - served
        try:
            loop = asyncio.get_running_loop()
            _, protocol = await loop.connect_accepted_socket(self._server, connection)
        except OSError as error:
            _log.debug("a connection was gone before it was taken: %s", error)
            connection.close()
            return
        protocol.data_received(head)
