from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import urllib.request
from pathlib import Path

import pytest
import uvicorn

from gym_p2p.config import ServiceConfig
from gym_p2p.errors import ConfigurationError
from gym_p2p.server import listener, serve_in_thread
from gym_p2p.server.guard.doorkeeper import Doorkeeper
from gym_p2p.server.listener import _Server, listen
from tests.net.virtual_time import VirtualTimeLoop
from tests.waiting import PATIENCE_S, until


def bound(host: str, port: int = 0) -> set[str]:
    sockets = listen(host, port)
    with contextlib.ExitStack() as stack:
        for one in sockets:
            stack.enter_context(one)
        assert len({one.getsockname()[1] for one in sockets}) == 1
        return {one.getsockname()[0] for one in sockets}


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


both_families = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6, not even on loopback")


@both_families
def test_localhost_is_both_families_on_one_port_whatever_the_resolver_says_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert bound("localhost") == {"127.0.0.1", "::1"}
    for only in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        entry = (only[0], socket.SOCK_STREAM, 6, "", (only[1], 0))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, entry=entry, **_k: [entry])
        assert bound("localhost") == {"127.0.0.1", "::1"}


@both_families
def test_every_address_of_a_name_is_listened_on(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.3", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: entries)
    assert bound("lab.example") == {"::1", "127.0.0.3"}


def test_a_family_that_the_machine_does_not_have_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    really = listener._bound

    def without_ipv6(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return really(family, address, port)

    monkeypatch.setattr(listener, "_bound", without_ipv6)
    assert bound("localhost") == {"127.0.0.1"}
    with pytest.raises(ConfigurationError, match="cannot listen on ::1"):
        listen("::1", 0)


def test_a_name_that_is_not_this_machines_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0)


@both_families
def test_a_port_that_one_family_has_taken_is_taken() -> None:
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", 0))
        other.listen()
        with pytest.raises(ConfigurationError, match="in use"):
            listen("localhost", other.getsockname()[1])


@both_families
def test_any_port_is_one_that_is_free_in_both_families(monkeypatch: pytest.MonkeyPatch) -> None:
    really, refusals = listener._bound, iter([True, True])

    def sometimes_taken(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
        if family == socket.AF_INET6 and next(refusals, False):
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return really(family, address, port)

    monkeypatch.setattr(listener, "_bound", sometimes_taken)
    assert bound("localhost") == {"127.0.0.1", "::1"}


@both_families
def test_a_service_on_localhost_answers_on_both_and_says_so(tmp_path: Path) -> None:
    with serve_in_thread(ServiceConfig(host="localhost", port=0, data_dir=str(tmp_path))) as service:
        _, port = service.addresses[0].rsplit(":", 1)
        assert set(service.addresses) == {f"127.0.0.1:{port}", f"[::1]:{port}"}
        for base in (service.url, *(f"http://{address}" for address in service.addresses)):
            with urllib.request.urlopen(f"{base}/healthz", timeout=PATIENCE_S) as answer:  # noqa: S310  # ours
                assert answer.status == 200


def test_the_doorkeepers_watch_has_ended_when_the_service_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []

    async def slow_to_end(_door: Doorkeeper) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.5)  # longer than the web server takes; a second cancellation would cut it
            ended.append(True)

    monkeypatch.setattr(Doorkeeper, "watch_loop", slow_to_end)
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))):
        pass
    assert ended == [True]


def test_a_watch_that_fails_is_noticed_and_the_service_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_door: Doorkeeper) -> None:
        raise RuntimeError("the doorkeeper is asleep")

    monkeypatch.setattr(Doorkeeper, "watch_loop", broken)
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        until(lambda: "the doorkeeper is asleep" in caplog.text)
        with urllib.request.urlopen(f"{service.url}/healthz", timeout=PATIENCE_S) as answer:  # noqa: S310 - our own service
            assert answer.status == 200


def test_a_server_that_is_to_end_does_not_sleep_until_its_next_tick() -> None:
    async def work() -> float:
        loop = asyncio.get_running_loop()
        server = _Server(uvicorn.Config("no:app"))
        ticking = asyncio.create_task(server.main_loop())
        await asyncio.sleep(0.25)
        assert not ticking.done()
        server.leave()
        await ticking
        return loop.time()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(work()) == pytest.approx(0.25)
