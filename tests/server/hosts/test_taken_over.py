"""Who was connecting when the service was mounted: the host's answer counts, whatever had begun before."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
import socketio

from gym_p2p.config import ServiceConfig
from gym_p2p.server import mount
from tests.server.host import by_header, hosting, run
from tests.server.hosts.test_synchronous import serving
from tests.server.raw import RawClient
from tests.waiting import PATIENCE_S, eventually, until


@pytest.mark.parametrize("always_connect", [False, True])
def test_who_is_being_asked_for_comes_in_or_is_forgotten_as_the_host_answers(
    tmp_path: Path, *, always_connect: bool
) -> None:
    async def story() -> None:
        asked: list[str] = []
        may_answer = asyncio.Event()

        async def connect(sid: str, environ: Any) -> bool:
            asked.append(sid)
            await may_answer.wait()
            return str(environ["HTTP_X_USER"]) != "eve"

        async with hosting(tmp_path, always_connect=always_connect) as place:
            place.sio.on("connect", connect)
            clients = {
                name: socketio.AsyncClient(reconnection=False, handle_sigint=False)
                for name in ("ann", "bob", "eve")
            }
            coming = [
                asyncio.ensure_future(client.connect(place.url, headers={"X-User": name}))
                for name, client in clients.items()
            ]
            await eventually(lambda: len(asked) == 3)
            service = place.mount(subject_of=by_header)
            assert service.connection_count == (3 if always_connect else 0)
            may_answer.set()
            await asyncio.gather(*coming, return_exceptions=True)
            await eventually(lambda: service.connection_count == 2)
            assert service.look(lambda machines: machines.presence.is_there("ann"))
            assert (await clients["ann"].call("probe_wait", {"waiting": True}, timeout=PATIENCE_S))["ok"]
            await asyncio.gather(*(client.disconnect() for client in clients.values()))
            await eventually(lambda: service.connection_count == 0)
            await service.stop()

    run(story)


def test_who_speaks_as_soon_as_the_host_has_let_them_in_is_heard(tmp_path: Path) -> None:
    async def story() -> None:
        may_answer, asked = asyncio.Event(), asyncio.Event()

        async def connect(_sid: str, _environ: Any) -> None:
            asked.set()
            await may_answer.wait()

        async with hosting(tmp_path) as place:
            place.sio.on("connect", connect)
            client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
            coming = asyncio.ensure_future(client.connect(place.url))
            await asked.wait()
            service = place.mount()
            may_answer.set()
            await coming
            answer = await client.call("register_subject", {"subject_id": "ann"}, timeout=PATIENCE_S)
            assert answer["ok"]
            await client.disconnect()
            await service.stop()

    run(story)


@pytest.mark.parametrize("always_connect", [False, True])
@pytest.mark.parametrize("accepts", [False, True])
def test_on_threads_it_is_the_same(tmp_path: Path, *, accepts: bool, always_connect: bool) -> None:
    sio = socketio.Server(async_mode="threading", cors_allowed_origins="*", always_connect=always_connect)
    asked, may_answer = threading.Event(), threading.Event()

    def connect(_sid: str, _environ: Any) -> bool:
        asked.set()
        may_answer.wait(PATIENCE_S)
        return accepts

    def answer_later() -> None:
        asked.wait(PATIENCE_S)
        services.append(mount(sio, ServiceConfig(data_dir=str(tmp_path))))
        may_answer.set()

    sio.on("connect", connect)
    services: list[Any] = []
    mounting = threading.Thread(target=answer_later)
    mounting.start()
    with serving(sio) as url, RawClient(url) as client:
        mounting.join(PATIENCE_S)
        (service,) = services
        if accepts:
            assert client.call("register_subject", {"subject_id": "ann"})["ok"]
            assert service.connection_count == 1
            client.close()
        elif not always_connect:
            assert client.refusal is not None
        until(lambda: service.connection_count == 0)
        service.stop()
