"""One headless Chromium for the tests, driven by Playwright in a Node process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.server
import itertools
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.browser.driver import Driver, running_driver
from tests.waiting import PATIENCE_S

__all__ = ["Chromium", "Page", "running_chromium", "serving_pages"]

HERE = Path(__file__).parent
DRIVER = HERE / "driver.mjs"
STATIC = HERE.parents[1] / "gym_p2p" / "static"
DRIVER_TIMEOUT_S = PATIENCE_S + 10
"""Above what a page waits for, so that it says what did not come true."""


class Chromium:
    """The browser's remote control; every answer comes to the event loop that asked.

    Attributes:
        driver: which is asked.
        version: of the browser.
    """

    def __init__(self, driver: Driver, pages_url: str) -> None:
        self.driver = driver
        self._pages_url = pages_url
        self._numbers = itertools.count(1)
        self._idle: list[Page] = []
        self.version = driver.version

    async def ask(self, command: str, **parameters: Any) -> Any:
        """Carry out a command of the driver; what fails there fails here."""
        async with asyncio.timeout(DRIVER_TIMEOUT_S):
            return await asyncio.wrap_future(self.driver.ask(command, **parameters))

    @contextlib.asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """A page with nothing going on in it; an error that nobody caught in it fails the test.

        Pages are kept for the next test, which saves half a second each, unless they were left in a state.
        """
        page = self._idle.pop() if self._idle else await self._open()
        try:
            yield page
        except BaseException:
            page.spoilt = True
            raise
        finally:
            uncaught = await self.ask("uncaught", page=page.number)
            if page.spoilt:
                await self.ask("close", page=page.number)
            else:
                self._idle.append(page)
        assert not uncaught, uncaught

    async def _open(self) -> Page:
        number = next(self._numbers)
        await self.ask("open", page=number, url=f"{self._pages_url}/page.html")
        return Page(self, number)


class Page:
    """A page with a player in it (``page.js``).

    Attributes:
        spoilt: whether it is of no use to another test.
    """

    def __init__(self, chromium: Chromium, number: int) -> None:
        self._chromium = chromium
        self.number = number
        self.spoilt = False

    async def call(self, name: str, **argument: Any) -> Any:
        """Call a method of the page's player."""
        return await self._chromium.ask("call", page=self.number, name=name, argument=argument)

    async def emulate(self, *, latency_ms: float) -> None:
        """Delay everything that this page sends and receives, as DevTools does."""
        self.spoilt = True
        await self._chromium.ask("emulate", page=self.number, latencyMs=latency_ms)


@contextlib.contextmanager
def running_chromium(node_modules: Path, program: str, pages_url: str) -> Iterator[Chromium]:
    """Start the browser; it is gone afterwards, whatever happened."""
    with running_driver(DRIVER, node_modules, program) as driver:
        yield Chromium(driver, pages_url)


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a fixed set of files."""

    def __init__(self, *arguments: Any, files: Mapping[str, Path], **options: Any) -> None:
        self._files = files
        super().__init__(*arguments, **options)

    def translate_path(self, path: str) -> str:
        return str(self._files.get(path, "/nonexistent"))

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving_pages(node_modules: Path) -> Iterator[str]:
    """Serve the test page, the package's modules and the Socket.IO client; yields the address."""
    files = {f"/static/{file.name}": file for file in STATIC.iterdir()}
    files |= {f"/{name}": HERE / name for name in ("page.html", "page.js", "plain.js")}
    files["/socket.io.esm.min.js"] = node_modules / "socket.io-client" / "dist" / "socket.io.esm.min.js"
    handler = functools.partial(_Handler, files=files)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="test pages", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
