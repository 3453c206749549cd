"""Our service on a host's own Socket.IO server, beside the host's events."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import socketio
import uvicorn

from gym_p2p import ProbeManager, UsageError
from gym_p2p.config import ServiceConfig
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.server import mount
from tests.waiting import eventually


class Host:
    """A framework with a server, and handlers of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.seen: list[tuple[str, str]] = []
        self.refuses = False
        self.sio = socketio.AsyncServer(async_mode="asgi")
        self.sio.on("connect", self._connect)
        self.sio.on("disconnect", self._disconnect)
        self.sio.on("chat", self._chat)
        self.data_dir = data_dir

    async def _connect(self, sid: str, _environ: Any) -> bool | None:
        self.seen.append(("connect", sid))
        return False if self.refuses else None

    def _disconnect(self, sid: str) -> None:
        self.seen.append(("disconnect", sid))

    def _chat(self, _sid: str, text: str) -> str:
        return text.upper()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[str, Any]]:
        service = mount(self.sio, ServiceConfig(data_dir=str(self.data_dir)))
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(socketio.ASGIApp(self.sio), log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await eventually(lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", service
        finally:
            await service.stop()
            await self.sio.shutdown()
            server.should_exit = True
            await serving


def test_a_host_probes_its_own_users_and_keeps_its_own_events(tmp_path: Path) -> None:
    host = Host(tmp_path)

    async def play() -> None:
        async with host.running() as (url, service):
            clients = [SignalingClient(), SignalingClient()]
            managers = []
            for name, client in zip(("ann", "bob"), clients, strict=True):
                await client.connect(url, name, timeout_s=5)
                managers.append(ProbeManager(client, name))
            outcome = await service.probe("ann", "bob")
            assert outcome.rtt_ms is not None
            async with socketio.AsyncSimpleClient() as guest:
                await guest.connect(url)
                assert await guest.call("chat", "hello") == "HELLO"
            for manager, client in zip(managers, clients, strict=True):
                await manager.close()
                await client.close()
            await eventually(lambda: [kind for kind, _ in host.seen].count("disconnect") == 3)
            assert service.connection_count == 0

    asyncio.run(play())
    assert [kind for kind, _ in host.seen].count("connect") == 3
    assert [kind for kind, _ in host.seen].count("disconnect") == 3


def test_whom_the_host_refuses_leaves_nothing_with_us(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.refuses = True

    async def knock() -> None:
        async with host.running() as (url, service):
            client = socketio.AsyncClient(reconnection=False)
            with pytest.raises(socketio.exceptions.ConnectionError):
                await client.connect(url, wait_timeout=5)
            assert host.seen
            assert service.connection_count == 0

    asyncio.run(knock())


def test_outside_an_event_loop_it_says_where_to_call_it_and_leaves_the_server_alone(tmp_path: Path) -> None:
    sio = socketio.AsyncServer(async_mode="asgi")
    with pytest.raises(UsageError, match="call it from a coroutine"):
        mount(sio, ServiceConfig(data_dir=str(tmp_path / "data")))
    assert sio.handlers == {}
    assert not (tmp_path / "data").exists()
