"""A host's server with our service on it, as its users write them, on an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import socketio
import uvicorn

from gym_p2p.config import ServiceConfig
from gym_p2p.server import mount
from tests.waiting import PATIENCE_S, eventually

__all__ = ["Place", "by_header", "hosting", "page", "run"]


class Place:
    """A host that runs: its server, its address, its data directory."""

    def __init__(self, url: str, sio: socketio.AsyncServer, data_dir: Path) -> None:
        self.url, self.sio, self.data_dir = url, sio, data_dir

    def mount(self, **options: Any) -> Any:
        return mount(self.sio, ServiceConfig(data_dir=str(self.data_dir)), **options)


@contextlib.asynccontextmanager
async def hosting(data_dir: Path, **server_options: Any) -> AsyncIterator[Place]:
    sio = socketio.AsyncServer(async_mode="asgi", **server_options)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(socketio.ASGIApp(sio), log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await eventually(lambda: server.started)
        yield Place(f"http://127.0.0.1:{listener.getsockname()[1]}", sio, data_dir)
    finally:
        await sio.shutdown()
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def page(url: str, *, namespace: str = "/", auth: Any = None) -> AsyncIterator[socketio.AsyncClient]:
    client = socketio.AsyncClient(reconnection=False)
    client.heard = []
    client.on("*", lambda event, *data: client.heard.append((event, *data)), namespace=namespace)
    await client.connect(url, namespaces=[namespace], auth=auth, wait_timeout=PATIENCE_S)
    try:
        yield client
    finally:
        await client.disconnect()


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * PATIENCE_S):
            await story()

    asyncio.run(bounded())


def by_header(_sid: str, environ: Any) -> str | None:
    who: str | None = environ.get("HTTP_X_USER")
    return who
