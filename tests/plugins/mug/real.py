"""The real thing for the tests: the framework's server in a process, and its pages in one Chromium."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.browser.driver import START_TIMEOUT_S, Driver, running_driver
from tests.browser.packages import installed
from tests.plugins.mug.packages import framework_python, page_scripts
from tests.waiting import PATIENCE_S, lasting_port, listens, until

__all__ = ["Browser", "Page", "Server", "running_browser", "running_server"]

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
OPEN_TIMEOUT_S = START_TIMEOUT_S
"""Ten pages with a game engine each take as long as a browser that starts; ``pages.mjs`` is told the same."""


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
    """The browser's remote control; its commands are those of ``pages.mjs``."""

    def __init__(self, driver: Driver) -> None:
        self.ask = driver.ask
        self._numbers = itertools.count(1)

    @contextlib.contextmanager
    def pages(self, server: Server, **kinds: str) -> Iterator[dict[str, Page]]:
        """Open pages up to the waiting room's door, all at once: by subject, what each does wrong."""
        pages = {
            subject_id: Page(self, subject_id, next(self._numbers), kind)
            for subject_id, kind in kinds.items()
        }
        opened = [
            self.ask("open", page=page.number, url=f"{server.url}/{page.subject_id}", kind=page.kind)
            for page in pages.values()
        ]
        try:
            for answer in opened:
                answer.result(OPEN_TIMEOUT_S)
            yield pages
        finally:
            for answer in [self.ask("close", page=page.number) for page in pages.values()]:
                answer.result(PATIENCE_S)


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
    """Start the browser; it is gone afterwards, whatever happened."""
    chromium = shutil.which("chromium")
    assert chromium is not None
    with running_driver(HERE / "pages.mjs", installed(), chromium, str(page_scripts())) as driver:
        yield Browser(driver)
