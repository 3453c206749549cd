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

from tests.waiting import PATIENCE_S, Late

__all__ = ["OFFER", "RawClient", "before_its_end", "candidate", "description", "match_two"]


def description(*more: str, kind: str = "offer") -> dict[str, str]:
    """Return a data channel's description with these lines added."""
    lines = [
        "v=0",
        "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        *more,
    ]
    return {"type": kind, "sdp": "".join(f"{line}\r\n" for line in lines)}


OFFER = description()


def candidate(number: int = 1, *, address: str = "192.168.1.7", port: int = 50_000) -> dict[str, Any]:
    """Return a host candidate as a browser trickles it."""
    return {
        "candidate": f"candidate:{number} 1 udp 2122260223 {address} {port} typ host generation 0",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
        "usernameFragment": "u",
    }


class RawClient:
    """One websocket that speaks Engine.IO 4 and Socket.IO 5 itself."""

    def __init__(
        self,
        url: str,
        *,
        subject: str | None = None,
        origin: str | None = None,
        auth: object = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._stack = contextlib.ExitStack()
        self._ws: ClientConnection = self._stack.enter_context(
            connect(
                f"ws{url.removeprefix('http')}/socket.io/?EIO=4&transport=websocket",
                additional_headers={"Origin": origin} if origin else {},
                compression="deflate",
                max_size=2**20,
                open_timeout=PATIENCE_S,
                close_timeout=0.05,  # some hosts' servers do not answer a closing frame
            )
        )
        self.extensions = (
            self._ws.response.headers.get("Sec-WebSocket-Extensions") if self._ws.response else None
        )
        self._ids = itertools.count()
        self._events: list[tuple[str, Any]] = []
        self._acks: dict[int, Any] = {}
        self.heard: list[str] = []
        """All that the service has said, as it came."""
        assert self._ws.recv(PATIENCE_S)[:1] == "0"
        self._ws.send("40" + ("" if auth is None else json.dumps(auth)))
        try:
            answer = str(self._ws.recv(patience_s))
        except TimeoutError:
            self.close()
            raise
        self.heard.append(answer)
        self.refusal: Any = json.loads(answer[2:]) if answer.startswith("44") else None
        """What the service said when it did not let this client in."""
        assert answer.startswith(("40", "44"))
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
        return self.acknowledged(number)

    def acknowledged(self, number: int) -> Any:
        """Return how the event of this number was answered."""
        deadline = time.monotonic() + PATIENCE_S
        while number not in self._acks:
            self._read(deadline)
        return self._acks.pop(number)

    def event(self, name: str) -> Any:
        """Return the payload of the next event of this name."""
        deadline = time.monotonic() + PATIENCE_S
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

    def closed_within(self, seconds: float = PATIENCE_S) -> bool:
        """Tell whether the service closes it."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self._read(deadline)
        except ConnectionClosed:
            return True
        except TimeoutError:
            return False

    def _read_some(self) -> None:
        """Read what has arrived."""
        with contextlib.suppress(TimeoutError):
            while True:
                self._read(time.monotonic() + 0.01)

    def _read(self, deadline: float) -> None:
        frame = str(self._ws.recv(max(0.0, deadline - time.monotonic())))
        self.heard.append(frame)
        if frame == "2":
            self._ws.send("3")
        elif frame.startswith("42"):
            event, *arguments = json.loads(frame[2:])
            self._events.append((event, arguments[0] if arguments else None))
        elif frame.startswith("43"):
            number, _, payload = frame[2:].partition("[")
            self._acks[int(number)] = next(iter(json.loads("[" + payload)), None)


def before_its_end(answer: Any) -> dict[str, Any]:
    """Return what a member of a probe was answered.

    A probe waits three seconds for both to be ready, and two for the second report: on a busy machine it can
    have ended before a test has said what it says next.
    """
    if not answer["ok"] and answer["error"]["code"] == "stale":
        raise Late("the probe had ended")
    told: dict[str, Any] = answer
    return told


_room_numbers = itertools.count()


def match_two(url: str) -> tuple[RawClient, RawClient, dict[str, Any], dict[str, Any]]:
    """Return two clients matched in a room of their own, and what each was told of the match."""
    room = f"room{next(_room_numbers)}"
    ann, bob = RawClient(url, subject=f"{room}-ann"), RawClient(url, subject=f"{room}-bob")
    for client in (ann, bob):
        assert client.call("join_room", {"room": room, "seats": ["first", "second"], "take": None})["ok"]
    return ann, bob, ann.event("match_found"), bob.event("match_found")
