from __future__ import annotations

import contextlib
import functools
import itertools
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from tests.requirements import require
from tests.server.raw import RawClient
from tests.waiting import PATIENCE_S, until

ASYNCHRONOUS = ("fastapi", "aiohttp")
INLINE = ("server-threading-inline", "flask-eventlet-inline")
"""With ``async_handlers=False``."""
SYNCHRONOUS = ("server-threading", "flask-threading", "flask-eventlet", "flask-gevent", *INLINE)
KINDS = (*ASYNCHRONOUS, *SYNCHRONOUS)

_numbers = itertools.count()


class Running:
    """A host in a process of its own, and what a test does with it again and again."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self.directory = directory
        directory.mkdir()
        self._said = (directory / "stderr").open("w+b")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.hosts.program", kind, str(directory / "data")],
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        self._url = ""

    @property
    def url(self) -> str:
        if not self._url:
            assert self._process.stdout is not None
            said = iter(self._process.stdout.readline, "")  # Flask says more than that
            self._url = next((line.strip() for line in said if line.startswith("http")), "")
            assert self._url, self.stderr
        return self._url

    @property
    def stderr(self) -> str:
        return (self.directory / "stderr").read_text()

    @property
    def is_synchronous(self) -> bool:
        return self.kind in SYNCHRONOUS

    def tell(self, do: str, **more: Any) -> Any:
        """Have the host do something, through its own event, over a connection that stays."""
        try:
            return self._operator.call("host", {"do": do, **more})
        except ConnectionClosed:  # nobody has answered its pings for a while
            del self._operator
            return self._operator.call("host", {"do": do, **more})

    @functools.cached_property
    def _operator(self) -> RawClient:
        return RawClient(self.url)

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.tell("state")
        return state

    def until(self, **wanted: Any) -> None:
        """Wait until the host's state has these values; the operator who looks is a connection, too."""
        until(lambda: wanted.items() <= self.state().items())

    def logged(self, text: str) -> bool:
        return any(text in line for line in self.state()["log"])

    def cpu_s(self) -> float:
        """Return the processor time that the host has taken so far."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def own_page(self) -> str:
        with urllib.request.urlopen(f"{self.url}/own", timeout=PATIENCE_S) as answer:  # noqa: S310  # ours
            return str(answer.read().decode())

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


def require_hosts() -> None:
    """Skip the running test unless what all kinds of hosts are made of is installed."""
    for package in ("fastapi", "flask_socketio", "eventlet", "gevent", "simple_websocket"):
        require(package, "pip install -e '.[test]'")


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """All kinds of hosts, one process each, started at once."""
    require_hosts()
    directory = tmp_path_factory.mktemp("hosts")
    with contextlib.ExitStack() as stack:
        yield {kind: stack.enter_context(Running(kind, directory / kind)) for kind in KINDS}


@pytest.fixture(params=KINDS)
def host(hosts: dict[str, Running], request: pytest.FixtureRequest) -> Running:
    return hosts[request.param]


@pytest.fixture(params=SYNCHRONOUS)
def sync_host(hosts: dict[str, Running], request: pytest.FixtureRequest) -> Running:
    return hosts[request.param]


@pytest.fixture
def names() -> tuple[str, str]:
    """Two subjects that no other test has."""
    number = next(_numbers)
    return f"ann{number}", f"bob{number}"
