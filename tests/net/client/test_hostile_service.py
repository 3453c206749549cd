"""A service whose texts write to terminals: as they come in, they are escaped and cut."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
import socketio

from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.queues import QueueStatus
from gym_p2p.core.api.rooms import RoomStatus, TurnedAway
from gym_p2p.errors import NoMatch, ServiceRefused
from tests.net.client.test_signaling_client import connected, serving
from tests.net.peers import run
from tests.waiting import PATIENCE_S, eventually

EVIL = [
    "\x1b[2J",
    "a\r\nERROR forged",
    "\u202eesrever",
    "\x9b31m",
    "\u2028next",
    "x" * 50_000,
    "\x00",
    "\x1b]8;;http://x\x07",
]


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from texts(item)
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):  # type: ignore[arg-type]  # it has some
            yield from texts(getattr(value, field.name))


def harmless(text: str, most: int = 4096) -> bool:
    return text.isprintable() and len(text) <= most


def hostile(evil: str, join: Callable[[Any, str], Any]) -> Any:
    sio = socketio.AsyncServer(async_mode="asgi")

    async def answer(sid: str, _data: object) -> Any:
        return await join(sio, sid)

    sio.on("register_subject", lambda _sid, _data: {"ok": True, "service": "gym_p2p", "subject_id": evil})
    for event in ("join_room", "join_queue", "watch_match"):
        sio.on(event, answer)
    return socketio.ASGIApp(sio)


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_announcements_are_harmless(evil: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="gym_p2p")
    heard: list[Any] = []

    async def join(sio: Any, sid: str) -> Any:
        await sio.emit("room_status", {"room": evil, "seats_free": [0]}, to=sid)
        await sio.emit("turned_away", {"place": evil, "code": evil, "message": evil}, to=sid)
        await sio.emit(
            "queue_status",
            {
                "queue": evil,
                "state": evil,
                "wait_s": 1.0,
                "waiting": 1,
                "threshold_ms": None,
                "probes": 0,
                evil[:9]: evil,
            },
            to=sid,
        )
        await sio.emit("room_status", {"room": [evil], "seats_free": evil}, to=sid)
        return {"ok": True, "room": evil, "player_id": 0, "seats_taken": [0], "seats_free": [1]}

    async def main(url: str) -> None:
        async with connected(url, "ann") as ann:
            for kind in (RoomStatus, TurnedAway, QueueStatus):
                ann.events.listen(kind, heard.append)
            heard.append(await ann.join_room("r", [0, 1]))
            await eventually(lambda: any(isinstance(event, TurnedAway) for event in heard))

    with serving(hostile(evil, join)) as url:
        run(main(url))
    assert {RoomStatus, TurnedAway, QueueStatus} <= {type(event) for event in heard}
    for event in heard:
        assert all(map(harmless, texts(event)))
    assert all(
        harmless(record.getMessage()) for record in caplog.records if record.name.startswith("gym_p2p")
    )


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_refusals_are_harmless(evil: str) -> None:
    async def join(_sio: Any, _sid: str) -> Any:
        return {"ok": False, "error": {"code": evil, "message": evil}}

    async def main(url: str) -> None:
        async with connected(url, "ann") as ann:
            with pytest.raises(ServiceRefused) as caught:
                await ann.join_room("r", [0, 1])
            assert harmless(str(caught.value), 700)
            assert harmless(caught.value.code, 300)

    with serving(hostile(evil, join)) as url:
        run(main(url))


@pytest.mark.parametrize("evil", EVIL[:3], ids=range(3))
def test_the_end_of_a_wait_in_a_queue_is_harmless(evil: str) -> None:
    async def join(sio: Any, sid: str) -> Any:
        await sio.emit("match_failed", {"queue": evil, "reason": evil, "waited_s": 1.0}, to=sid)
        return {"ok": True, "queue": evil, "group_size": 2, "waiting": 1}

    ticket = QueueTicket(queue="q", seats=(0, 1), take=None, asks=False, spectators=0, plays="p")

    async def main(url: str) -> None:
        async with connected(url, "ann") as ann:
            heard.append(await ann.join_queue(ticket))
            await ann.wait_for_match(PATIENCE_S)

    heard: list[Any] = []
    with serving(hostile(evil, join)) as url, pytest.raises(NoMatch) as caught:
        run(main(url))
    assert harmless(str(caught.value))
    assert all(map(harmless, texts(heard[0])))
