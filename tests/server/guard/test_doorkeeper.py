"""Silent connections at a real port, of a process that may have few files open."""

from __future__ import annotations

import contextlib
import resource
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_p2p.config import ServiceConfig
from gym_p2p.core.presence import open_sockets
from gym_p2p.core.presence.open_sockets import OpenSockets
from gym_p2p.server import serve_in_thread
from gym_p2p.server.guard import doorkeeper
from gym_p2p.server.guard.doorkeeper import room_for_sockets
from tests.server.raw import RawClient
from tests.waiting import PATIENCE_S

FILES = 256


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A service whose process may have few files open."""
    command = [sys.executable, "-m", "gym_p2p", "serve", "--port", "0"]
    process = subprocess.Popen(
        ["/bin/sh", "-c", f'ulimit -n {FILES}; exec "$0" "$@"', *command, "--data-dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "http://" in line)
        yield next(word.rstrip(".,;") for word in line.split() if word.startswith("http://"))
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def silent(url: str, count: int, said: bytes = b"") -> list[socket.socket]:
    parts = urllib.parse.urlsplit(url)
    made = [socket.create_connection((parts.hostname or "", parts.port or 0)) for _ in range(count)]
    for one in made:
        with contextlib.suppress(OSError):  # it may have given way by now
            one.sendall(said)
    return made


@pytest.mark.parametrize(
    "said", [b"", b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nX: "]
)
def test_silent_connections_lock_nobody_out(url: str, said: bytes) -> None:
    with contextlib.ExitStack() as stack:
        before = stack.enter_context(RawClient(url, subject="before"))
        for one in silent(url, FILES + 50, said):
            stack.enter_context(one)
        after = stack.enter_context(RawClient(url, subject="after"))
        assert before.call("probe_wait", {"waiting": True}) == {"ok": True}
        assert after.call("probe_wait", {"waiting": True}) == {"ok": True}


def test_silence_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service,
        RawClient(service.url, subject="speaker") as other,
    ):
        monkeypatch.setattr(open_sockets, "SILENCE_S", 0.2)
        (one,) = silent(service.url, 1)
        with one:
            one.settimeout(PATIENCE_S)
            with contextlib.suppress(ConnectionResetError):
                assert one.recv(1) == b""
            assert other.call("probe_wait", {"waiting": True}) == {"ok": True}


def test_the_bounds_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for files, most in ((1024, 896), (200, 100), (resource.RLIM_INFINITY, doorkeeper._MOST_SOCKETS)):
        monkeypatch.setattr(resource, "getrlimit", lambda _kind, files=files: (files, files))
        bounds = room_for_sockets()
        assert isinstance(bounds, OpenSockets)
        assert bounds.most == most
        assert bounds.reserve < bounds.most_of_one < bounds.most
