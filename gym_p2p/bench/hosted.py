"""Houses of seats for ``bench human``: ``gym-p2p host``, and how its seats do."""

from __future__ import annotations

import contextlib
import csv
import json
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Origin

from gym_p2p.bench.chromium import Chromium
from gym_p2p.bench.figures import times_between
from gym_p2p.errors import P2PError
from gym_p2p.human.messages import VERSION
from gym_p2p.processes.python import python_command

__all__ = ["PEOPLE", "hosting", "on_time", "seat_bytes"]

PEOPLE = {"Rally": 12, "Pong": 20}
"""Who are to be hosted at a time on two cores, at 30 frames a second."""

_GAMES = {
    "Rally": (
        *("gym_p2p.envs:gym_p2p/Rally-v0", "--env-arg", "points=1000", "--env-arg", "max_frames=30000"),
        *("--partner", "scripted"),
    ),
    "Pong": ("pettingzoo.atari.pong_v3", "--env-arg", "max_cycles=100000"),
}
"""Rally is played against a program that has a seat of its own, Pong by people against people."""
_START_LIMIT_S = 60.0
_END_LIMIT_S = 20.0
_LOOK_EVERY_S = 0.1
_SETTLED_S = 4.0
"""After its first frame a seat has loaded and made what it needs."""

_HELLO = {
    "t": "hello",
    "v": VERSION,
    "width": 1000,
    "height": 700,
    "touch": False,
    "browser": "",
    "version": "",
    "why": "loopback",
}


@contextlib.contextmanager
def hosting(game: str, people: int, fps: float) -> Iterator[list[str]]:
    """Host ``"Rally"`` or ``"Pong"`` for so many people; yields their links. Everything ends with it.

    Raises:
        P2PError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="gym_p2p-bench-", ignore_cleanup_errors=True) as folder:
        links = Path(folder, "links.csv")
        command = python_command("gym_p2p", "host", *_GAMES[game], "--fps", f"{fps:g}")
        command += ["--seats", str(people), "--links", str(people), "--links-file", str(links), "--port", "0"]
        house = subprocess.Popen(  # noqa: S603 - our own
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
        )
        try:
            until = time.monotonic() + _START_LIMIT_S
            while not links.exists():
                if house.poll() is not None or until <= time.monotonic():
                    raise P2PError(f"gym-p2p host {_GAMES[game][0]} does not start")
                time.sleep(_LOOK_EVERY_S)
            with links.open(newline="") as table:
                yield [row["link"] for row in csv.DictReader(table)]
        finally:
            house.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                house.wait(_END_LIMIT_S)
            house.kill()
            house.wait()


def seat_bytes(browser: Chromium, url: str, kind: str) -> int:
    """Return the unshared memory (USS) of what a person's seat takes: its process, and its network process.

    Args:
        browser: opens the page.
        url: of the seat.
        kind: of the page's link.
    """
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with browser.page(f"{url}?link={kind}") as page:
        page.until("Boolean(window.page?.screen.drawn)", _START_LIMIT_S)
        time.sleep(_SETTLED_S)
        found: dict[str, list[int]] = {}
        for process in psutil.Process().children(recursive=True):
            if process.pid not in before:
                with contextlib.suppress(psutil.Error):
                    found.setdefault(process.name(), []).append(process.memory_full_info().uss)
    try:  # of two seats the person's has the page, and is the larger one
        return max(found["gym_p2p-seat"]) + max(found["gym_p2p-network"])
    except KeyError as error:
        raise P2PError(f"the seat has no process {error}") from None


def on_time(urls: Sequence[str], fps: float, seconds: float) -> float:
    """Return the share of frames that come in time to all of so many pages that are no browsers."""
    viewers = [_Viewer(url) for url in urls]
    try:
        for viewer in viewers:
            viewer.start()
        until = time.monotonic() + _START_LIMIT_S
        while not all(viewer.frames_at for viewer in viewers):
            if until <= time.monotonic():
                raise P2PError("not every seat that is hosted shows something")
            time.sleep(_LOOK_EVERY_S)
        time.sleep(_SETTLED_S)
        begins = [len(viewer.frames_at) for viewer in viewers]
        time.sleep(seconds)
        shares = [
            times_between(viewer.frames_at[begin:], fps)[1]
            for viewer, begin in zip(viewers, begins, strict=True)
        ]
    finally:
        for viewer in viewers:
            viewer.over.set()
        for viewer in viewers:
            viewer.join(_END_LIMIT_S)
    return sum(shares) / len(shares)


class _Viewer(threading.Thread):
    """A page without a browser: acknowledges, and notes when frames came.

    Attributes:
        frames_at: in monotonic seconds.
        over: ends it.
    """

    def __init__(self, url: str) -> None:
        super().__init__(name="gym_p2p viewer", daemon=True)
        self._url = url
        self.frames_at: list[float] = []
        self.over = threading.Event()

    def run(self) -> None:
        """Look on until it is over, or the seat is."""
        address = urlsplit(self._url)
        line = address._replace(scheme="ws", path=f"{address.path}page").geturl()
        origin = Origin(f"http://{address.netloc}")
        with (
            contextlib.suppress(WebSocketException, OSError),
            connect(line, origin=origin, compression=None, max_size=None) as page,
        ):
            page.send(json.dumps(_HELLO))
            while not self.over.is_set():
                with contextlib.suppress(TimeoutError):
                    answer = self._answer(page.recv(1.0))
                    if answer is not None:
                        page.send(json.dumps(answer))

    def _answer(self, told: str | bytes) -> dict[str, object] | None:
        now = time.monotonic()
        if isinstance(told, bytes):
            self.frames_at.append(now)
            return {"t": "ack", "n": int.from_bytes(told[2:6], "big"), "shown": []}
        message = json.loads(told)
        if message["t"] != "ping":
            return None
        return {"t": "pong", "id": message["id"], "received": now * 1e3, "sent": now * 1e3}
