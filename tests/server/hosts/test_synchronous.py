"""What is asked of a service on a synchronous server, seen from within its process."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio
from werkzeug.serving import make_server

from gym_p2p.config import ServiceConfig
from gym_p2p.errors import UsageError
from gym_p2p.server import mount
from gym_p2p.server.hosts import sync_sockets
from tests.server.raw import RawClient
from tests.waiting import PATIENCE_S, until


@pytest.fixture
def sio() -> Any:
    return socketio.Server(async_mode="threading", cors_allowed_origins="*")


@contextlib.contextmanager
def serving(sio: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, socketio.WSGIApp(sio), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("accepts", [False, True])
def test_who_connects_while_the_service_is_mounted_is_the_hosts_to_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sio: Any, *, accepts: bool
) -> None:
    asked: list[str] = []
    services: list[Any] = []
    pre_connect = sio.manager.pre_connect

    def mounted_meanwhile(*arguments: Any) -> Any:
        sid = pre_connect(*arguments)
        services.append(mount(sio, ServiceConfig(data_dir=str(tmp_path))))
        return sid

    def connect(sid: str, _environ: Any) -> bool:
        asked.append(sid)
        return accepts

    sio.on("connect", connect)
    monkeypatch.setattr(sio.manager, "pre_connect", mounted_meanwhile)
    with serving(sio) as url:
        with RawClient(url) as client:
            assert (client.refusal is None) == accepts
            assert len(asked) == 1
            assert services[0].connection_count == accepts
            if accepts:
                assert client.call("register_subject", {"subject_id": "ann"})["ok"]
        until(lambda: services[0].connection_count == 0)
        services[0].stop()


def test_a_hook_cannot_be_a_coroutine_function_and_nothing_is_left_on_the_host(
    tmp_path: Path, sio: Any
) -> None:
    async def accept(_proposed: Any) -> bool:
        return True

    before = dict(vars(sio))
    with pytest.raises(UsageError, match=r"pre_match: .* coroutine function"):
        mount(sio, ServiceConfig(data_dir=str(tmp_path)), pre_match=accept)
    assert sio.handlers == {}
    assert vars(sio) == before


def test_of_a_service_that_is_stopped_nothing_is_left_and_no_probe_is_had(tmp_path: Path, sio: Any) -> None:
    before = dict(vars(sio))
    service = mount(sio, ServiceConfig(data_dir=str(tmp_path)))
    outcomes: list[Any] = []
    service.start_probe("ann", "bob", outcomes.append)
    service.stop()
    service.stop()
    until(lambda: len(outcomes) == 1)
    for probe in (service.probe, lambda one, other: service.start_probe(one, other, outcomes.append)):
        with pytest.raises(UsageError, match="the service is stopped"):
            probe("ann", "bob")
    assert sio.handlers == {}
    assert vars(sio) == before


def test_who_leaves_and_comes_back_on_one_connection_too_often_is_refused(tmp_path: Path, sio: Any) -> None:
    """Otherwise that would be a way around what one socket may do."""
    service = mount(sio, ServiceConfig(data_dir=str(tmp_path)))
    answers: list[str] = []
    with serving(sio) as url:
        with RawClient(url) as client:
            for _ in range(8):
                client.send("41")
                client.send("40")
                answers.append(str(client._ws.recv(PATIENCE_S)))
        service.stop()
    assert [answer[:2] for answer in answers] == ["40"] * 7 + ["44"]
    assert "rate_limited" in answers[-1]


class Transport:
    """One of the library's sockets, of which nothing is sent until a test takes it."""

    def __init__(self) -> None:
        self.closed = False
        self.queue: queue.Queue[Any] = queue.Queue()


def test_who_reads_late_is_waited_for_a_while_and_who_reads_nothing_is_not(
    monkeypatch: pytest.MonkeyPatch, sio: Any
) -> None:
    transport = sio.eio.sockets["connection"] = Transport()
    sid = sio.manager.connect("connection", "/")
    sockets = sync_sockets.SyncSockets(sio, "/")

    def put(count: int) -> list[bool]:
        return [sockets.put(sid, socketio.packet.EVENT, ["e", {}]) for _ in range(count)]

    assert put(1024) == [True] * 1024
    assert put(1) == [False]
    while transport.queue.qsize() > 63:
        transport.queue.get_nowait()
    monkeypatch.setattr(sync_sockets, "_BEHIND_S", 0.0)
    assert put(2) == [True, False]
