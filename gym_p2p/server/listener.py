"""The port of the service, and the web server behind it.

It knows sockets and uvicorn; what is served is an ASGI application.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import uvicorn

from gym_p2p.errors import ConfigurationError
from gym_p2p.processes.tasks import note_failure
from gym_p2p.server.guard.doorkeeper import Doorkeeper
from gym_p2p.server.guard.protocols import FrameRate, http_protocol, websocket_protocol

__all__ = ["MAX_FRAME_BYTES", "listen", "serving"]

MAX_FRAME_BYTES = 64 * 1024
"""Four times the largest signal."""
_STOP_DEADLINE_S = 5
_TICK_S = 0.1
"""Uvicorn's own: once a second it writes the date that all answers carry."""
_ATTEMPTS = 10
_NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""The machine does not have this address, or this family."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Have it end as soon as the loop runs again."""
        self.should_exit = True
        self._leaving.set()

    async def main_loop(self) -> None:
        """Do what uvicorn does ten times a second, until :meth:`leave`, where its own sleeps on."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._leaving.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the program: it may be a test, a notebook or a trainer."""
        yield


def _uvicorn_config(app: Any, door: Doorkeeper, frames: FrameRate) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=http_protocol(door),
        lifespan="off",
        log_config=None,
        log_level="warning",  # below it, uvicorn writes addresses and whole frames
        access_log=False,
        server_header=False,
        ws=websocket_protocol(door, frames),
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # Engine.IO has its own
        timeout_graceful_shutdown=_STOP_DEADLINE_S,
    )


def listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets bound to every address of a host; ``localhost`` has both families (RFC 6761, 6.3).

    Of these, an address that this machine does not have is left out while another one is there. A restart
    finds the port free although old connections linger.

    Args:
        host: an address or a name of this machine.
        port: 0 takes any, the same for all.

    Raises:
        ConfigurationError: the port is in use, or the host is not this machine's.
    """
    addresses = _addresses(host)
    for left in reversed(range(_ATTEMPTS)):
        try:
            return _listen(addresses, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and port == 0 and left:
                continue  # what one family gave us another program has in the other one
            problem = f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}"
            raise ConfigurationError("port", f"{problem}; choose another one, or 0 for any") from error
    raise AssertionError("the last attempt returns or raises")


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ConfigurationError("host", f"no such address: {host!r}") from error
    addresses = [(family, str(address[0])) for family, _, _, _, address in found]
    if host.lower() == "localhost":
        addresses += [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    return list(dict.fromkeys(addresses))


def _listen(addresses: Sequence[tuple[socket.AddressFamily, str]], port: int) -> list[socket.socket]:
    """Bind them all to one port; raises what the first one raises that is there and cannot be bound."""
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    with contextlib.ExitStack() as stack:
        for family, address in addresses:
            try:
                listener = stack.enter_context(_bound(family, address, port))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = missing or error
            else:
                listeners.append(listener)
                port = listener.getsockname()[1]
        if missing is not None and not listeners:
            raise missing
        stack.pop_all()
    return listeners


def _bound(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address != "::"))
        listener.bind((address, port))
        listener.listen()  # now, for two sockets may be bound to a port as long as neither listens
    except OSError:
        listener.close()
        raise
    return listener


@contextlib.asynccontextmanager
async def serving(
    app: Any, listeners: Sequence[socket.socket], door: Doorkeeper, frames: FrameRate
) -> AsyncIterator[None]:
    """Serve an ASGI application on bound sockets for the length of an ``async with`` block."""
    server = _Server(_uvicorn_config(app, door, frames))
    task = asyncio.create_task(server.serve(sockets=list(listeners)), name="gym_p2p service")
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the web server ended before it had started")
            await asyncio.sleep(0.005)
        watching = asyncio.create_task(door.watch_loop(), name="gym_p2p doorkeeper")
        watching.add_done_callback(note_failure)
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])
    finally:
        server.leave()
        await task
