"""One headless Chromium for the tests, driven by Playwright in a Node process of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import http.server
import itertools
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE_S

__all__ = ["Chromium", "Page", "running_chromium", "serving_pages"]

HERE = Path(__file__).parent
STATIC = HERE.parents[1] / "gym_p2p" / "static"
DRIVER_TIMEOUT_S = PATIENCE_S + 10
"""Above what a page waits for, so that it says what did not come true."""
START_TIMEOUT_S = 90.0
"""A browser that starts for the first time, on a busy machine."""


class Chromium:
    """The browser's remote control; every answer comes to the event loop that asked."""

    def __init__(self, driver: subprocess.Popen[str], pages_url: str) -> None:
        self._driver = driver
        self._pages_url = pages_url
        self._ids = itertools.count(1)
        started: concurrent.futures.Future[str] = concurrent.futures.Future()
        self._asked: dict[int, concurrent.futures.Future[Any]] = {0: started}
        self._idle: list[Page] = []
        self._reader = threading.Thread(target=self._read, name="chromium driver", daemon=True)
        self._reader.start()
        self.version = started.result(START_TIMEOUT_S)

    async def ask(self, command: str, **parameters: Any) -> Any:
        """Carry out a command of the driver; what fails there fails here."""
        number = next(self._ids)
        answer = self._asked[number] = concurrent.futures.Future()
        assert self._driver.stdin is not None
        self._driver.stdin.write(json.dumps({"id": number, "command": command, **parameters}) + "\n")
        self._driver.stdin.flush()
        async with asyncio.timeout(DRIVER_TIMEOUT_S):
            return await asyncio.wrap_future(answer)

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
        number = next(self._ids)
        await self.ask("open", page=number, url=f"{self._pages_url}/page.html")
        return Page(self, number)

    def _read(self) -> None:
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            message = json.loads(line)
            future = self._asked.pop(message["id"])
            if future.cancelled():
                continue
            if "error" in message:
                future.set_exception(AssertionError(message["error"]))
            else:
                future.set_result(message["result"])
        for future in self._asked.values():
            future.set_exception(ConnectionError("the browser's driver has ended"))


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
    """Start the driver and its browser; both are gone afterwards, whatever happened."""
    folder = node_modules.parent
    (folder / "driver.mjs").write_text((HERE / "driver.mjs").read_text())  # beside what it imports
    with (folder / "driver.log").open("w") as log:
        driver = subprocess.Popen(
            ["node", "driver.mjs", program, str(int(START_TIMEOUT_S * 1000))],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield _started(driver, pages_url, folder / "driver.log")
    finally:
        assert driver.stdin is not None
        driver.stdin.close()
        try:
            driver.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            driver.kill()  # its browser ends with the pipe to it
            driver.wait(PATIENCE_S)


def _started(driver: subprocess.Popen[str], pages_url: str, log: Path) -> Chromium:
    """Wait until the browser has started; if it does not, what its driver had to say is in the error."""
    try:
        return Chromium(driver, pages_url)
    except (ConnectionError, TimeoutError) as error:
        raise RuntimeError(f"the browser does not start: {log.read_text()[-2000:]}") from error


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
