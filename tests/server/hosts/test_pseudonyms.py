"""Players whom their host names by their own ids, and whom everybody else knows by pseudonyms."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio
import uvicorn
from werkzeug.serving import make_server

from gym_p2p.config import ServiceConfig
from gym_p2p.core.matchmaking.commands import ProposedMatch
from gym_p2p.server import mount
from gym_p2p.server.subjects import KEY, SUBJECTS, read_subjects
from tests.server.raw import OFFER, RawClient
from tests.waiting import PATIENCE_S, until

ANN, BOB = "ann@lab.example", "bob@lab.example"


class _Host:
    """A host that knows its users by a header, whichever kind it is."""

    def __init__(self, url: str, service: Any, probe: Callable[[str, str], Any], proposed: list[Any]) -> None:
        self.url, self.service, self.probe, self.proposed = url, service, probe, proposed

    def page(self, subject: str) -> RawClient:
        return RawClient(self.url, origin=f"http://{subject}")


def _mounted(sio: Any, data_dir: Path, proposed: list[Any]) -> Any:
    def by_header(_sid: str, environ: Any) -> str:
        return str(environ["HTTP_ORIGIN"]).removeprefix("http://")

    def accept(match: ProposedMatch) -> bool:
        proposed.append(match)
        return True

    config = ServiceConfig(data_dir=str(data_dir), pseudonyms=True, events_per_s=100, event_burst=400)
    return mount(sio, config, subject_of=by_header, pre_match=accept)


@contextlib.contextmanager
def _asynchronous(data_dir: Path) -> Iterator[_Host]:
    listener, started = socket.create_server(("127.0.0.1", 0)), threading.Event()
    made: list[Any] = []
    proposed: list[Any] = []

    async def serve() -> None:
        sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")
        server = uvicorn.Server(uvicorn.Config(socketio.ASGIApp(sio), log_level="error", lifespan="off"))
        made.extend((_mounted(sio, data_dir, proposed), server, asyncio.get_running_loop()))
        started.set()
        await server.serve(sockets=[listener])
        await made[0].stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(PATIENCE_S)
    service, server, loop = made

    def probe(one: str, other: str) -> None:
        asyncio.run_coroutine_threadsafe(service.probe(one, other), loop)

    try:
        yield _Host(f"http://127.0.0.1:{listener.getsockname()[1]}", service, probe, proposed)
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def _synchronous(data_dir: Path) -> Iterator[_Host]:
    proposed: list[Any] = []
    sio = socketio.Server(async_mode="threading", cors_allowed_origins="*")
    service = _mounted(sio, data_dir, proposed)
    server = make_server("127.0.0.1", 0, socketio.WSGIApp(sio), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def probe(one: str, other: str) -> None:
        service.start_probe(one, other, lambda _outcome: None)

    try:
        yield _Host(f"http://127.0.0.1:{server.server_port}", service, probe, proposed)
    finally:
        service.stop()
        server.shutdown()
        thread.join()
        server.server_close()


def _measure(*clients: RawClient) -> None:
    for event in ("probe_prepare", "probe_start"):
        for client in clients:
            probe_id = client.event(event)["probe_session_id"]
            if event == "probe_prepare":
                assert client.call("probe_ready", {"probe_session_id": probe_id})["ok"]
    for client in clients:
        result = {"probe_session_id": probe_id, "rtt_ms": 20, "success": True}
        assert client.call("probe_result", result)["ok"]


def _play(host: _Host, ann: RawClient, bob: RawClient) -> list[dict[str, Any]]:
    """Do all by which players hear of each other; return what they were told of their matches."""
    assert ann.call("register_subject", {"subject_id": "whoever"})["ok"]
    for client in (ann, bob):
        assert client.call("join_room", {"room": "r", "seats": ["first", "second"]})["ok"]
    found = [client.event("match_found") for client in (ann, bob)]
    signal = {"game_id": found[0]["match_id"], "target_player_id": "second", "type": "offer"}
    assert ann.call("webrtc_signal", {**signal, "payload": OFFER})["ok"]
    bob.event("webrtc_signal")
    assert ann.call("leave_room", {"room": "r"})["ok"]
    bob.event("peer_left")
    assert bob.call("leave_room", {"room": "r"})["ok"]
    host.probe(ANN, BOB)
    _measure(ann, bob)
    for client in (ann, bob):
        assert client.call("join_queue", {"queue": "q", "seats": [0, 1]})["ok"]
    _measure(ann, bob)
    found += [client.event("match_found") for client in (ann, bob)]
    with host.page(ANN) as newer:
        ann.event("replaced")
        assert newer.call("leave_room", {"room": found[-1]["room"]})["ok"]
        ann.heard += newer.heard
    return found


def _plain(text: str) -> str:
    """Add to a text what its tokens say to whoever decodes them."""
    decoded = [text]
    for word in text.replace('"', " ").replace(".", " ").split():
        with contextlib.suppress(ValueError):
            padded = word + "=" * (-len(word) % 4)
            decoded.append(base64.urlsafe_b64decode(padded).decode("utf-8", "replace"))
    return "\n".join(decoded)


@pytest.mark.parametrize("kind", [_asynchronous, _synchronous], ids=["asynchronous", "synchronous"])
def test_nobody_hears_another_players_own_id_from_a_service_whose_host_names_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: Any
) -> None:
    caplog.set_level("DEBUG", "gym_p2p")
    with kind(tmp_path) as host:
        with host.page(ANN) as ann, host.page(BOB) as bob:
            found = _play(host, ann, bob)
        until(lambda: host.service.connection_count == 0)
    pseudonyms = read_subjects(tmp_path)
    assert pseudonyms.keys() == {ANN, BOB}
    heard = _plain("\n".join(ann.heard + bob.heard))
    written = "\n".join(
        path.read_text("utf-8", "replace")
        for path in tmp_path.rglob("*")
        if path.is_file() and path.name not in {SUBJECTS, KEY}
    )
    for own_id, pseudonym in pseudonyms.items():
        assert pseudonym in heard
        assert pseudonym in written
        for told in (heard, written, caplog.text):
            assert own_id not in told
    assert len(found) == 4
    assert {one.subject_id for match in host.proposed for one in match.candidates} == {ANN, BOB}
