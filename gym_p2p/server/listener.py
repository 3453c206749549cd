"""The port of the service, and the web server behind it.

It knows sockets and uvicorn; what is served is an ASGI application.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn

from gym_p2p.errors import ConfigurationError
from gym_p2p.server.guard.doorkeeper import Doorkeeper

__all__ = ["MAX_FRAME_BYTES", "listen", "serving"]

MAX_FRAME_BYTES = 64 * 1024
"""Four times the largest signal."""
_STOP_DEADLINE_S = 5


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the program: it may be a test, a notebook or a trainer."""
        yield


def _uvicorn_config(app: Any, door: Doorkeeper) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=door.http,
        lifespan="off",
        log_config=None,
        log_level="warning",  # below it, uvicorn writes addresses and whole frames
        access_log=False,
        server_header=False,
        ws=door.websocket,
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # Engine.IO has its own
        timeout_graceful_shutdown=_STOP_DEADLINE_S,
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket; a restart finds the port free although old connections linger.

    Raises:
        ConfigurationError: the port is in use, or the host is not this machine's.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise ConfigurationError("host", f"no such address: {host!r}") from error
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # now, for two sockets may be bound to a port as long as neither listens
    except OSError as error:
        listener.close()
        problem = f"cannot listen on {host}:{port}: {error.strerror}"
        raise ConfigurationError("port", f"{problem}; choose another one, or 0 for any") from error
    return listener


@contextlib.asynccontextmanager
async def serving(app: Any, listener: socket.socket, door: Doorkeeper) -> AsyncIterator[None]:
    """Serve an ASGI application on a bound socket for the length of an ``async with`` block."""
    server = _Server(_uvicorn_config(app, door))
    task = asyncio.create_task(server.serve(sockets=[listener]), name="gym_p2p service")
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the web server ended before it had started")
            await asyncio.sleep(0.005)
        watching = asyncio.create_task(door.watch_loop(), name="gym_p2p doorkeeper")
        try:
            yield
        finally:
            watching.cancel()
    finally:
        server.should_exit = True
        await task
