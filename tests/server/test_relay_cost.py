"""What a relayed signal costs, counted in calls beside the least that python-socketio does for the same."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import socketio
import uvicorn

from gym_p2p.bench.bare_relay import serve_bare
from gym_p2p.config import ServiceConfig
from gym_p2p.server import mount, serve_in_thread
from gym_p2p.server.app import new_event_loop
from tests.server.raw import OFFER, RawClient, candidate
from tests.waiting import PATIENCE_S

SIGNALS = 48
"""As many as a match relays of candidates of one side, and a description in between each two of them."""


class Calls:
    """Counts what the threads that are started under it call, Python's functions and others."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _frame: FrameType, event: str, _argument: object) -> None:
        self.count += event in {"call", "c_call"}

    @contextlib.contextmanager
    def of_new_threads(self) -> Iterator[None]:
        threading.setprofile(self)
        try:
            yield
        finally:
            threading.setprofile(None)


@contextlib.contextmanager
def serve_ours(folder: Path) -> Iterator[str]:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(folder))) as service:
        yield service.url


@contextlib.contextmanager
def serve_mounted(folder: Path) -> Iterator[str]:
    """Serve a host's application with our service on it, as the bare relay is served."""
    log = logging.getLogger("tests.server.host")
    log.setLevel(logging.ERROR)
    ended: queue.SimpleQueue[asyncio.AbstractEventLoop] = queue.SimpleQueue()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = asyncio.Event()

        async def main() -> None:
            ended.put(asyncio.get_running_loop())
            sio = socketio.AsyncServer(
                async_mode="asgi", async_handlers=False, logger=log, engineio_logger=log
            )
            service = mount(sio, ServiceConfig(data_dir=str(folder)))
            options: dict[str, Any] = {"lifespan": "off", "log_config": None, "ws": "websockets-sansio"}
            server = uvicorn.Server(
                uvicorn.Config(socketio.ASGIApp(sio), **options, ws_per_message_deflate=False)
            )
            serving = asyncio.ensure_future(
                server._serve(sockets=[listener])
            )  # signals are the main thread's
            await stop.wait()
            server.should_exit = True
            await serving
            await service.stop()

        def run() -> None:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(main())

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        loop = ended.get(timeout=PATIENCE_S)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(PATIENCE_S)


def calls_of_a_signal(serve: Any) -> float:
    """Return how many calls a server makes for each signal that one client sends another."""
    calls = Calls()
    with contextlib.ExitStack() as stack:
        with calls.of_new_threads():
            url = stack.enter_context(serve())
        one, other = (stack.enter_context(RawClient(url, subject=name)) for name in ("ann", "bob"))
        for client, seat in ((one, "left"), (other, "right")):
            joining = {"room": "r", "seats": ["left", "right"], "take": [seat]}
            assert client.call("join_room", joining)["ok"]
        match_id = one.event("match_found")["match_id"]
        signal = {"game_id": match_id, "target_player_id": "right"}
        before = 0
        for number in range(SIGNALS + 1):
            if number == 1:
                before = calls.count  # the first one makes what the others find
            kind = "ice-candidate" if number % 3 else "offer"
            payload = candidate(number) if number % 3 else OFFER
            assert one.call("webrtc_signal", {**signal, "type": kind, "payload": payload})["ok"]
            assert other.event("webrtc_signal")["type"] == kind
        return (calls.count - before) / SIGNALS


@functools.cache
def calls_of_a_bare_signal() -> float:
    return calls_of_a_signal(serve_bare)


@pytest.mark.parametrize(
    ("serve", "most"),
    [(serve_ours, 0.7), (serve_mounted, 1.15)],
    ids=["a server of our own", "a host's server"],
)
def test_a_relayed_signal_takes_hardly_more_calls_than_without_any_check(
    tmp_path: Path, serve: Any, most: float
) -> None:
    """Wanted is 1.25 times the processor time, and that depends on the machine; calls do not."""
    bare = calls_of_a_bare_signal()
    assert bare > 200, "what is counted is not the relay"
    assert calls_of_a_signal(functools.partial(serve, tmp_path)) <= most * bare
