"""A browser's side of the wire, by hand: it sends whatever a test wants, well-formed or not."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

__all__ = ["RawClient", "match_two"]

DEADLINE_S = 5.0


class RawClient:
    """One websocket that speaks Engine.IO 4 and Socket.IO 5 itself."""

    def __init__(self, url: str, *, subject: str | None = None, origin: str | None = None) -> None:
        self._stack = contextlib.ExitStack()
        self._ws: ClientConnection = self._stack.enter_context(
            connect(
                f"ws{url.removeprefix('http')}/socket.io/?EIO=4&transport=websocket",
                additional_headers={"Origin": origin} if origin else {},
                compression="deflate",
                max_size=2**20,
                close_timeout=1,
            )
        )
        self.extensions = (
            self._ws.response.headers.get("Sec-WebSocket-Extensions") if self._ws.response else None
        )
        self._ids = itertools.count()
        self._events: list[tuple[str, Any]] = []
        self._acks: dict[int, Any] = {}
        assert self._ws.recv(DEADLINE_S)[:1] == "0"
        self._ws.send("40")
        assert str(self._ws.recv(DEADLINE_S)).startswith("40")
        if subject is not None:
            assert self.call("register_subject", {"subject_id": subject})["ok"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()

    def send(self, frame: str | bytes) -> None:
        self._ws.send(frame)

    def emit(self, event: str, *arguments: Any) -> None:
        self.send("42" + json.dumps([event, *arguments]))

    def call(self, event: str, *arguments: Any) -> Any:
        number = next(self._ids)
        self.send(f"42{number}" + json.dumps([event, *arguments]))
        deadline = time.monotonic() + DEADLINE_S
        while number not in self._acks:
            self._read(deadline)
        return self._acks.pop(number)

    def event(self, name: str) -> Any:
        """Return the payload of the next event of this name."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            for place, (event, payload) in enumerate(self._events):
                if event == name:
                    del self._events[place]
                    return payload
            self._read(deadline)

    def quiet(self, seconds: float = 0.2) -> bool:
        """Tell whether no event came, and none comes for a while."""
        try:
            self._read(time.monotonic() + seconds)
        except TimeoutError:
            return not self._events
        return False

    def closed_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        try:
            while True:
                self._read(deadline)
        except ConnectionClosed:
            return True
        except TimeoutError:
            return False

    def _read(self, deadline: float) -> None:
        frame = str(self._ws.recv(max(0.0, deadline - time.monotonic())))
        if frame == "2":
            self._ws.send("3")
        elif frame.startswith("42"):
            event, *arguments = json.loads(frame[2:])
            self._events.append((event, arguments[0] if arguments else None))
        elif frame.startswith("43"):
            number, _, payload = frame[2:].partition("[")
            self._acks[int(number)] = json.loads("[" + payload)[0]


_room_numbers = itertools.count()


def match_two(url: str) -> tuple[RawClient, RawClient, dict[str, Any], dict[str, Any]]:
    """Return two clients matched in a room of their own, and what each was told of the match."""
    room = f"room{next(_room_numbers)}"
    ann, bob = RawClient(url, subject=f"{room}-ann"), RawClient(url, subject=f"{room}-bob")
    for client in (ann, bob):
        assert client.call("join_room", {"room": room, "seats": ["first", "second"], "take": None})["ok"]
    return ann, bob, ann.event("match_found"), bob.event("match_found")
