"""Real players on a host that has given our events names and a place of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import socketio
import uvicorn

from gym_p2p import P2PEnv
from gym_p2p.config import ServiceConfig
from gym_p2p.errors import ServiceUnreachable
from gym_p2p.net.worker import join
from gym_p2p.server import asgi_app, mount
from tests.players import Episode, Lobby, assert_all_played_the_same, play_episode, together
from tests.toys import BLEND
from tests.waiting import eventually

OPTIONS = {"server_prefix": "p2p_", "server_namespace": "/lab"}


@contextlib.asynccontextmanager
async def mounted(data_dir: Path, **options: Any) -> AsyncIterator[str]:
    sio = socketio.AsyncServer(async_mode="asgi", **options)
    service = mount(sio, ServiceConfig(data_dir=str(data_dir)), prefix="p2p_", namespace="/lab")
    listener = socket.create_server(("127.0.0.1", 0))
    app = socketio.ASGIApp(sio, other_asgi_app=asgi_app(service))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await eventually(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await service.stop()
        await sio.shutdown()
        server.should_exit = True
        await serving


@pytest.mark.parametrize("loss", [0.0, 1.0], ids=["directly", "by the service"])
def test_players_meet_under_a_prefix_in_a_namespace_and_hand_in_what_they_played(
    tmp_path: Path, loss: float
) -> None:
    data = tmp_path / "data"
    options = {**OPTIONS, "emulation": {"loss": loss}}

    async def meet() -> None:
        async with mounted(data) as url:
            lobby = Lobby(url, tmp_path / "exports")

            def player(seat: int) -> Episode:
                env = P2PEnv(
                    gymnasium.make(BLEND, kind="tuple", length=20), seat=seat, **lobby.options(**options)
                )
                try:
                    return play_episode(env, salt=seat)
                finally:
                    env.close()

            played = await asyncio.to_thread(together, lambda: player(0), lambda: player(1))
            assert all(isinstance(one, Episode) for one in played), played
            await eventually(lambda: any(data.rglob("aggregate.json")))

    asyncio.run(meet())
    documents = [json.loads(path.read_text()) for path in sorted(data.rglob("*.multiplayer.json"))]
    assert len(documents) == 2
    assert {document["connection"]["fallback"]["triggered"] for document in documents} == {loss > 0}
    assert_all_played_the_same(documents)


@pytest.mark.parametrize("missing", sorted(OPTIONS))
def test_who_does_not_know_the_names_finds_no_service_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(join, "SIGN_IN_TIMEOUT_S", 0.5)

    async def knock() -> None:
        async with mounted(tmp_path / "data") as url:
            known = {name: text for name, text in OPTIONS.items() if name != missing}
            env = P2PEnv(
                gymnasium.make(BLEND, kind="tuple"),
                seat=0,
                **Lobby(url, tmp_path / "exports").options(**known),
            )
            try:
                with pytest.raises(ServiceUnreachable, match="no answer"):
                    await asyncio.to_thread(env.reset)
            finally:
                env.close()

    asyncio.run(knock())
