"""The way beside the library's queues: the same order, and the same is refused."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import socket
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import engineio
import pytest
import socketio
from websockets.protocol import State

from gym_p2p.bench.raw_socket import frame
from gym_p2p.config import ServiceConfig
from gym_p2p.core.presence.rate_limits import RateLimit
from gym_p2p.server import Service, serve_in_thread
from gym_p2p.server.guard.frames import ConnectionGuard, StrictPacket
from gym_p2p.server.guard.protocols import _TAKEN_AT_ONCE, _Websocket
from gym_p2p.server.hosts.async_sockets import AsyncSockets
from gym_p2p.server.switchboard import MAX_QUEUED_PACKETS
from tests.server.clients import metrics
from tests.server.guard.test_protocols import connected, read_until

BURST = 20
"""More than is taken at once."""
HEAD = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Z3ltX3AycC1iZW5jaC1rZQ==\r\n\r\n"
)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as running:
        yield running


def texts(one: socket.socket, last: str) -> list[str]:
    """Return what the service says, up to a text that begins so."""
    read, said = b"", list[str]()
    while not said or not said[-1].startswith(last):
        piece = one.recv(65_536)
        assert piece, said
        read += piece
        while len(read) >= 2:
            head, length = (4, int.from_bytes(read[2:4])) if read[1] == 126 else (2, read[1])
            if len(read) < head + length:
                break
            said.append(read[head : head + length].decode())
            read = read[head + length :]
    return said


@pytest.mark.parametrize("more_bytes", [0, 400], ids=["in one piece", "in many pieces"])
def test_who_says_everything_at_once_is_answered_in_order(service: Service, more_bytes: int) -> None:
    more = "x" * more_bytes
    with connected(service) as one:
        one.sendall(HEAD)
        read_until(one, b"\r\n\r\n")
        said = [b"40", b'420["register_subject",{"subject_id":"ann"}]']
        said += [
            f'42{number}["probe_wait",{{"waiting":true,"more":"{more}"}}]'.encode()
            for number in range(1, BURST)
        ]
        one.sendall(b"".join(map(frame, said)))
        heard = [text for text in texts(one, f"43{BURST - 1}[") if text[:1] == "4"]
        assert heard[0].startswith("40{")
        assert [text.partition("[")[0] for text in heard[1:]] == [f"43{number}" for number in range(BURST)]
        assert all('"ok":true' in text for text in heard[1:])


@pytest.mark.parametrize("place", [0, 7, 8, BURST - 1])
@pytest.mark.parametrize(
    "malformed",
    [
        '42["connect"]',
        "42[]",
        '42["a",NaN]',
        '42["a","\\ud800"]',
        '42["' + "a" * 65 + '"]',
        '42["a",1,2]',
        "42x",
    ],
)
def test_what_no_honest_client_sends_is_refused_wherever_it_stands(
    service: Service, place: int, malformed: str
) -> None:
    with connected(service) as one:
        one.sendall(HEAD)
        read_until(one, b"\r\n\r\n")
        one.sendall(frame(b"40"))
        read_until(one, b'40{"sid"')
        said = [f'42{number}["probe_wait",{{"waiting":true}}]' for number in range(BURST)]
        said[place] = malformed
        said.append(f'42{BURST}["nonsense"]')
        one.sendall(b"".join(frame(text.encode()) for text in said))
        heard = [text.partition("[")[0] for text in texts(one, f"43{BURST}[") if text[:2] == "43"]
        assert heard == [f"43{number}" for number in range(BURST + 1) if number != place]
    assert metrics(service)["gym_p2p_refusals_total", "violation"] == 2


def test_who_has_said_goodbye_is_not_heard_any_more(service: Service) -> None:
    with connected(service) as one:
        one.sendall(HEAD)
        read_until(one, b"\r\n\r\n")
        one.sendall(frame(b"40"))
        read_until(one, b'40{"sid"')
        said = (b'421["probe_wait",{"waiting":true}]', b"41", b'422["probe_wait",{"waiting":true}]')
        one.sendall(b"".join(map(frame, said)))
        read = read_until(one, b"\x88")  # RFC 6455, section 5.5.1: nothing comes after a frame that closes
        assert b"431[" in read
        assert b"432[" not in read


def test_an_event_in_two_pieces_is_taken_whole(service: Service) -> None:
    with connected(service) as one:
        one.sendall(HEAD)
        read_until(one, b"\r\n\r\n")
        one.sendall(frame(b"40"))
        read_until(one, b'40{"sid"')
        first, rest = bytearray(frame(b'421["probe_')), bytearray(frame(b'wait",{"waiting":true}]'))
        first[0], rest[0] = 0x01, 0x80  # RFC 6455, section 5.4: a text that goes on, and its end
        one.sendall(first + rest)
        assert texts(one, "43")[-1].startswith("431[")
    assert ("gym_p2p_refusals_total", "violation") not in metrics(service)


def test_of_what_one_says_at_once_a_few_are_taken_before_others_have_their_turn(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    take = ConnectionGuard._take

    def noted(guard: ConnectionGuard, of: Callable[[str], None], text: str) -> bool:
        taken.append("taken")
        asyncio.get_running_loop().call_soon(taken.append, "a turn")
        return take(guard, of, text)

    monkeypatch.setattr(ConnectionGuard, "_take", noted)
    with connected(service) as one:
        one.sendall(HEAD)
        read_until(one, b"\r\n\r\n")
        one.sendall(frame(b"40"))
        read_until(one, b'40{"sid"')
        one.sendall(b"".join(frame(b'42%d["probe_wait",{}]' % number) for number in range(BURST)))
        texts(one, f"43{BURST - 1}[")
    runs = [len(list(run)) for what, run in itertools.groupby(taken) if what == "taken"]
    assert max(runs) == _TAKEN_AT_ONCE


def test_half_a_letter_closes_it(service: Service) -> None:
    with connected(service) as one:
        one.sendall(HEAD)
        read_until(one, b"\r\n\r\n")
        one.sendall(frame(b"40"))
        read_until(one, b'40{"sid"')
        one.sendall(frame(b'42["a\xff"]'))
        read = b""
        while piece := one.recv(65_536):
            read += piece
        assert b"\x03\xef" in read, "1007: what is in it is not what a text has (RFC 6455, section 7.4.1)"


@pytest.mark.parametrize(
    ("is_writable", "is_closing", "state"),
    [
        (True, False, State.OPEN),
        (False, False, State.OPEN),
        (True, True, State.OPEN),
        (True, False, State.CLOSING),
    ],
)
def test_nothing_is_sent_at_once_to_who_takes_nothing_or_leaves(
    *, is_writable: bool, is_closing: bool, state: State
) -> None:
    sent: list[bytes] = []
    line: Any = SimpleNamespace(
        writable=asyncio.Event(),
        transport=SimpleNamespace(is_closing=lambda: is_closing, write=sent.append),
        conn=SimpleNamespace(state=state, send_text=lambda _text: None, data_to_send=lambda: [b"a", b"b"]),
    )
    if is_writable:
        line.writable.set()
    may = is_writable and not is_closing and state is State.OPEN
    assert _Websocket.write(line, b"ab") is may
    assert sent == [b"ab"] * may


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test's coroutine."""

    @functools.wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


class FakeLane:
    """A websocket that takes what it is told to take."""

    take: Any = None

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.is_open = True

    def write(self, text: bytes) -> bool:
        if self.is_open:
            self.sent.append(text.decode())
        return self.is_open


class FakeServer:
    """As much of a python-socketio server as its sockets are."""

    packet_class = StrictPacket

    def __init__(self) -> None:
        self.transport = engineio.async_socket.AsyncSocket(engineio.AsyncServer(async_mode="asgi"), "eio")
        self.eio = self
        self.sockets = {"eio": self.transport}
        self.manager = self

    def eio_sid_from_sid(self, sid: str, _namespace: str) -> str | None:
        return "eio" if sid == "sid" else None


class Line:
    """A socket of a server of our own, and what has been sent to it."""

    def __init__(self) -> None:
        self.lane = FakeLane()
        self.heard: list[str] = []
        """In the order in which it went out, whichever way."""
        self.lane.sent = self.heard

        async def send(message: Any) -> None:
            await self.may_send.wait()
            self.heard.append(message["text"])

        self.may_send = asyncio.Event()
        self.may_send.set()
        self.guard = ConnectionGuard(send, RateLimit(1000, 1000), self.lane)
        server = FakeServer()
        self.transport = server.transport
        self.sockets = AsyncSockets(server, "/")
        self.sockets.add("sid", self.guard)

    def put(self, number: int) -> bool:
        return self.sockets.put("sid", socketio.packet.EVENT, ["n", number])

    async def write(self) -> None:
        """Do what the library's writer does with what is queued."""
        for packet in await self.transport.poll():
            await self.guard.send({"type": "websocket.send", "text": packet.encode()})


@on_a_loop
async def test_nothing_overtakes_what_the_library_has_yet_to_send() -> None:
    line = Line()
    assert line.put(1)
    line.transport.queue.put_nowait(engineio.packet.Packet(engineio.packet.PING))
    assert line.put(2)
    line.may_send.clear()
    writing = asyncio.create_task(line.write())
    await asyncio.sleep(0.01)
    assert line.transport.queue.empty()
    assert line.put(3), "the writer has taken what was there, and has not sent it"
    line.may_send.set()
    await writing
    assert line.put(4), "and of what came after that it has yet to hear"
    await line.write()
    assert line.put(5)
    assert line.transport.queue.empty()
    assert line.heard == ['42["n",1]', "2", *(f'42["n",{number}]' for number in range(2, 6))]


@on_a_loop
async def test_a_writer_that_was_woken_and_has_not_run_is_not_overtaken() -> None:
    for rounds in range(8):
        line = Line()
        writing = asyncio.create_task(line.write())
        await asyncio.sleep(0.01)
        line.transport.queue.put_nowait(engineio.packet.Packet(engineio.packet.PING))
        for _ in range(rounds):
            await asyncio.sleep(0)
        assert line.put(1)
        await writing
        if not line.transport.queue.empty():
            await line.write()
        assert line.heard == ["2", '42["n",1]'], f"after {rounds} rounds of the loop"


@on_a_loop
async def test_a_reader_that_takes_nothing_is_told_of_once_too_much_is_queued() -> None:
    line = Line()
    line.lane.is_open = False
    assert [line.put(number) for number in range(MAX_QUEUED_PACKETS + 2)] == [
        *[True] * (MAX_QUEUED_PACKETS + 1),
        False,
    ]
    assert line.heard == []


@on_a_loop
async def test_a_socket_that_is_forgotten_takes_and_is_sent_nothing_more() -> None:
    line = Line()
    taken: list[str] = []
    line.sockets.take_events("sid", taken.append)
    assert line.lane.take("42" + json.dumps(["a"]))
    assert not line.lane.take("3"), "the library's own"
    assert not line.lane.take("41"), "and a goodbye"
    assert not line.sockets.forget("sid")
    assert line.lane.take is None
    assert line.put(1)
    assert (taken, line.heard, line.transport.queue.qsize()) == (['42["a"]'], [], 0)


@on_a_loop
async def test_what_is_too_much_is_left_to_who_drops_it() -> None:
    line = Line()
    taken: list[str] = []
    line.sockets.take_events("sid", taken.append)
    long = '42["' + "a" * 600 + '"]'
    assert [line.lane.take(long), line.lane.take(long)] == [True, False]
    assert line.guard.admit({"type": "websocket.receive", "text": long})["type"] == "websocket.disconnect"
    assert not line.lane.take("42[]"), "what comes after it"
    assert line.sockets.forget("sid"), "it was dropped for what it sent"
    assert taken == [long]
