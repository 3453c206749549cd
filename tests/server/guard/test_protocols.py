"""Frames and heads of requests at a real port: what they may cost, and what becomes of who sends more."""

from __future__ import annotations

import contextlib
import socket
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from gym_p2p.bench.raw_socket import BINARY, TEXT, frame
from gym_p2p.config import ServiceConfig
from gym_p2p.core.presence import open_sockets
from gym_p2p.server import Service, serve_in_thread
from gym_p2p.server.guard.protocols import MAX_HEAD_BYTES
from tests.server.raw import RawClient
from tests.waiting import PATIENCE_S

PING, PONG, CONTINUATION = 9, 10, 0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as running:
        yield running


def connected(service: Service) -> socket.socket:
    parts = urllib.parse.urlsplit(service.url)
    made = socket.create_connection((parts.hostname or "", parts.port or 0), PATIENCE_S)
    made.settimeout(PATIENCE_S)
    return made


def is_closed(one: socket.socket, *, said: bytes = b"") -> bool:
    """Send, and tell whether the service hangs up."""
    try:
        one.sendall(said)
        while one.recv(65_536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def upgraded(service: Service) -> socket.socket:
    """Return a websocket that the service has let in."""
    one = connected(service)
    one.sendall(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: Z3ltX3AycC1iZW5jaC1rZQ==\r\n\r\n"
    )
    read_until(one, b"\r\n\r\n")
    one.sendall(frame(b"40"))
    read_until(one, b'40{"sid"')
    return one


def read_until(one: socket.socket, wanted: bytes) -> bytes:
    read = b""
    while wanted not in read:
        piece = one.recv(65_536)
        assert piece, read
        read += piece
    return read


def unfinished(payload: bytes, opcode: int) -> bytes:
    """Return a frame after which the message goes on."""
    whole = frame(payload, opcode)
    return bytes((whole[0] & 0x7F,)) + whole[1:]


FLOODS = {
    "empty texts": frame(b"") * 20_000,
    "pings": frame(b"", PING) * 20_000,
    "pongs that nobody wanted": frame(b"x", PONG) * 20_000,
    "fragments without anything in them": unfinished(b"4", TEXT) + unfinished(b"", CONTINUATION) * 20_000,
    "fragments of a byte": unfinished(b"4", TEXT) + unfinished(b"2", CONTINUATION) * 20_000,
    "small events": frame(b'42["a"]') * 20_000,
    "binary ones": frame(b"", BINARY) * 20_000,
}


@pytest.mark.parametrize("kind", FLOODS)
def test_who_sends_frames_without_end_is_dropped_and_others_are_served(service: Service, kind: str) -> None:
    with RawClient(service.url, subject="other") as other, upgraded(service) as one:
        assert is_closed(one, said=FLOODS[kind])
        assert other.call("probe_wait", {"waiting": True}) == {"ok": True}


def test_as_many_frames_as_events_are_allowed_pass(service: Service) -> None:
    with RawClient(service.url, subject="quick") as one:
        for _ in range(90):
            one.emit("probe_wait", {"waiting": True})
        assert one.call("probe_wait", {"waiting": True}) == {"ok": True}


def test_a_text_in_many_pieces_arrives_whole(service: Service) -> None:
    with upgraded(service) as one:
        text = f'420["register_subject",{{"subject_id":"slow","client":"{"x" * 10_000}"}}]'.encode()
        for byte in range(0, len(text) // 2, 500):
            one.sendall(frame(text)[byte : byte + 500])
        sent = len(range(0, len(text) // 2, 500)) * 500
        one.sendall(frame(text)[sent:])
        read_until(one, b'430[{"ok":true')


def test_a_head_without_end_is_not_read(service: Service) -> None:
    with connected(service) as one:
        head = b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X-More: 1\r\n" * (MAX_HEAD_BYTES // 11 + 100)
        assert is_closed(one, said=head)


@pytest.mark.parametrize(
    "more",
    [b"GET /healthz HTTP/1.1\r\nX", b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\nx"],
    ids=["half a request", "a body that nobody reads"],
)
def test_a_connection_that_was_in_owes_its_next_request_as_well(
    service: Service, monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    with connected(service) as one:
        one.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200" in one.recv(65_536)
        monkeypatch.setattr(open_sockets, "SILENCE_S", 0.3)
        one.settimeout(0.1)
        one.sendall(more)
        for _ in range(int(PATIENCE_S / 0.1)):
            with contextlib.suppress(TimeoutError):
                if is_gone(one):
                    break
        else:
            pytest.fail("it still stands")


def is_gone(one: socket.socket) -> bool:
    """Send a little more, and tell whether there is anybody."""
    try:
        one.sendall(b"x")
        return one.recv(65_536) == b""
    except ConnectionError:
        return True


def test_requests_without_end_are_answered_later_and_other_addresses_at_once(tmp_path: Path) -> None:
    config = ServiceConfig(port=0, data_dir=str(tmp_path), connects_per_s=0.1, connect_burst=3)
    with serve_in_thread(config) as service:
        statuses = []
        for _ in range(5):
            with connected(service) as one:
                one.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
                statuses.append(one.recv(12)[9:])
        assert statuses == [b"200"] * 3 + [b"429"] * 2
        with connected(service) as one:  # what a proxy on this machine passes on
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n")
            assert one.recv(12)[9:] == b"200"


def test_only_a_proxy_of_this_machine_says_whose_a_request_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of others the address counts that is seen: uvicorn's default, on which the limits stand."""
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    config = uvicorn.Config(app=lambda: None)
    assert config.forwarded_allow_ips == "127.0.0.1,::1"
