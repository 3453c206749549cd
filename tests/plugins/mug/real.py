"""The real thing for the tests: the framework's server in a process, and its pages in one Chromium."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.browser.packages import installed
from tests.plugins.mug.packages import framework_python, page_scripts
from tests.waiting import PATIENCE_S, lasting_port, listens, until

__all__ = ["Browser", "Page", "Server", "running_browser", "running_server"]

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
START_TIMEOUT_S = 90.0
"""A browser that starts for the first time, or ten pages with a game engine each, on a busy machine."""


class Server:
    """The framework's server.

    Attributes:
        url: where its pages are.
        folder: its working directory, with all that it writes.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Return the records of one of its logs of matches; empty while there is none."""
        path = self.folder / "data" / "mug_test" / "match_logs" / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """Our decision log."""
        return self.lines("decisions.jsonl")

    @property
    def matches(self) -> list[dict[str, Any]]:
        """The framework's own log of matches."""
        return self.lines("lean_matches.jsonl")


@contextlib.contextmanager
def running_server(folder: Path, *arguments: str) -> Iterator[Server]:
    """Start one, with the arguments of ``experiment.py`` behind the port; it is gone afterwards."""
    port = lasting_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [str(framework_python()), str(HERE / "experiment.py"), str(port), *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: listens(port) or process.poll() is not None)
        assert process.poll() is None, (folder / "server.log").read_text()[-2000:]
        yield Server(f"http://127.0.0.1:{port}", folder)
    finally:
        process.kill()
        process.wait(PATIENCE_S)


class Browser:
    """The browser's remote control."""

    def __init__(self, driver: subprocess.Popen[str]) -> None:
        self._driver = driver
        self._ids = itertools.count(1)
        started: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._asked: dict[int, concurrent.futures.Future[Any]] = {0: started}
        self._lock = threading.Lock()
        threading.Thread(target=self._read, name="mug pages", daemon=True).start()
        started.result(START_TIMEOUT_S)

    def ask(self, command: str, **parameters: Any) -> concurrent.futures.Future[Any]:
        """Begin a command of ``pages.mjs``; what fails there fails in the answer."""
        answer: concurrent.futures.Future[Any] = concurrent.futures.Future()
        with self._lock:
            number = next(self._ids)
            self._asked[number] = answer
            assert self._driver.stdin is not None
            self._driver.stdin.write(json.dumps({"id": number, "command": command, **parameters}) + "\n")
            self._driver.stdin.flush()
        return answer

    @contextlib.contextmanager
    def pages(self, server: Server, **kinds: str) -> Iterator[dict[str, Page]]:
        """Open pages up to the waiting room's door, all at once: by subject, what each does wrong."""
        pages = {
            subject_id: Page(self, subject_id, next(self._ids), kind) for subject_id, kind in kinds.items()
        }
        opened = [
            self.ask("open", page=page.number, url=f"{server.url}/{page.subject_id}", kind=page.kind)
            for page in pages.values()
        ]
        try:
            for answer in opened:
                answer.result(START_TIMEOUT_S)
            yield pages
        finally:
            for answer in [self.ask("close", page=page.number) for page in pages.values()]:
                answer.result(PATIENCE_S)

    def _read(self) -> None:
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            message = json.loads(line)
            future = self._asked.pop(message["id"])
            if "error" in message:
                future.set_exception(AssertionError(message["error"]))
            else:
                future.set_result(message["result"])
        for future in self._asked.values():
            future.set_exception(ConnectionError("the browser's driver has ended"))


class Page:
    """One page of the framework.

    Attributes:
        subject_id: whose.
        kind: ``honest``, or what it does wrong.
    """

    def __init__(self, browser: Browser, subject_id: str, number: int, kind: str) -> None:
        self._browser = browser
        self.subject_id = subject_id
        self.number = number
        self.kind = kind

    def join(self) -> None:
        """Press start."""
        self._browser.ask("join", page=self.number).result(PATIENCE_S)

    def close(self) -> None:
        """Leave. Idempotent."""
        self._browser.ask("close", page=self.number).result(PATIENCE_S)

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it has sent and received: ``at`` in ms, ``way``, ``event`` and ``payload``."""
        events: list[dict[str, Any]] = self._browser.ask("events", page=self.number).result(PATIENCE_S)
        return events

    def first(self, event: str) -> dict[str, Any] | None:
        """Return the first event of this name; ``None`` while there is none."""
        return next((one for one in self.events if one["event"] == event), None)

    def wait_for(self, event: str) -> dict[str, Any]:
        """Return the payload of the first event of this name, when it has come."""
        until(lambda: self.first(event) is not None)
        found = self.first(event)
        assert found is not None
        payload: dict[str, Any] = found["payload"]
        return payload


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Start the driver and its browser; both are gone afterwards, whatever happened."""
    node_modules, scripts = installed(), page_scripts()
    program = shutil.which("chromium")
    assert program is not None
    folder = node_modules.parent
    (folder / "mug_pages.mjs").write_text((HERE / "pages.mjs").read_text())  # beside what it imports
    with (folder / "mug_pages.log").open("w") as log:
        driver = subprocess.Popen(
            ["node", "mug_pages.mjs", program, str(int(START_TIMEOUT_S * 1000)), str(scripts)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield Browser(driver)
    finally:
        assert driver.stdin is not None
        driver.stdin.close()
        try:
            driver.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            driver.kill()  # its browser ends with the pipe to it
            driver.wait(PATIENCE_S)
