"""The least that python-socketio does to relay signals: what one would have without this package.

Its settings are those of our service where they cost time; it checks nothing, and limits nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import socketio
import uvicorn

from gym_p2p.errors import P2PError
from gym_p2p.server.app import new_event_loop

__all__ = ["serve_bare"]

_END_TIMEOUT_S = 30.0


@contextlib.contextmanager
def serve_bare() -> Iterator[str]:
    """Serve for the length of a ``with`` block; yields the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = _Server(
            uvicorn.Config(
                socketio.ASGIApp(_relay()),
                lifespan="off",
                log_config=None,
                log_level="warning",
                ws="websockets-sansio",
                ws_per_message_deflate=False,
                ws_ping_interval=None,
                timeout_graceful_shutdown=1,
            )
        )

        def run() -> None:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(server.serve(sockets=[listener]))

        thread = threading.Thread(target=run, name="bare relay", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_END_TIMEOUT_S)
            if thread.is_alive():
                raise P2PError("the bare relay does not end")


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to the worker."""
        yield


def _relay() -> socketio.AsyncServer:
    log = logging.getLogger("gym_p2p.bench.bare_relay.library")
    log.setLevel(logging.ERROR)
    sio = socketio.AsyncServer(
        async_mode="asgi",
        transports=["websocket"],
        async_handlers=False,
        ping_interval=10,
        ping_timeout=5,
        logger=log,
        engineio_logger=log,
    )
    waiting: dict[str, tuple[str, str]] = {}
    seats: dict[str, tuple[str, str, str]] = {}
    """Of each socket: its seat, the other's socket, the match."""

    async def join_room(sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        (seat,) = payload["take"]
        first = waiting.pop(payload["room"], None)
        if first is None:
            waiting[payload["room"]] = sid, seat
            return {"ok": True}
        other, other_seat = first
        seats[sid], seats[other] = (seat, other, payload["room"]), (other_seat, sid, payload["room"])
        for one in (sid, other):
            await sio.emit("match_found", {"match_id": payload["room"]}, to=one)
        return {"ok": True}

    async def webrtc_signal(sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        seat, other, game_id = seats[sid]
        signal = {
            "from_player_id": seat,
            "game_id": game_id,
            "type": payload["type"],
            "payload": payload["payload"],
        }
        await sio.emit("webrtc_signal", signal, to=other)
        return {"ok": True}

    async def register_subject(_sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "subject_id": payload["subject_id"]}

    for handler in (join_room, webrtc_signal, register_subject):
        sio.on(handler.__name__, handler)
    return sio
