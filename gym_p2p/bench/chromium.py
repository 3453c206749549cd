"""A headless Chromium, driven over its DevTools protocol: opens pages, presses keys, evaluates expressions.

Nothing but the browser has to be installed for it. Keys come as from a keyboard: what they cause is trusted.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from gym_p2p.errors import P2PError

__all__ = ["BrowserPage", "Chromium", "running_chromium"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ENDPOINT = "DevTools listening on "
_START_LIMIT_S = 60.0
_ANSWER_LIMIT_S = 30.0
_LOOK_EVERY_S = 0.02
_MAX_ANSWER_BYTES = 2**26

_KEYS = {"ArrowUp": 38, "ArrowDown": 40, "ArrowLeft": 37, "ArrowRight": 39}
"""Their virtual key codes."""


class Chromium:
    """A browser that runs."""

    def __init__(self, line: ClientConnection) -> None:
        self._line = line
        self._numbers = itertools.count(1)

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Carry out a command of the protocol; events that come meanwhile are nobody's.

        Raises:
            P2PError: it failed, or took too long.
        """
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters}
        self._line.send(json.dumps(command | ({} if session is None else {"sessionId": session})))
        until = time.monotonic() + _ANSWER_LIMIT_S
        while True:
            try:
                answer = json.loads(self._line.recv(max(0.0, until - time.monotonic())))
            except TimeoutError:
                raise P2PError(f"the browser did not answer {method} in {_ANSWER_LIMIT_S:g} s") from None
            if answer.get("id") == number:
                break
        if "error" in answer:
            raise P2PError(f"the browser refused {method}: {answer['error'].get('message')}")
        result: dict[str, Any] = answer["result"]
        return result

    @contextlib.contextmanager
    def page(self, url: str, *, before: str = "") -> Iterator[BrowserPage]:
        """Open a page in a window of its own; it is closed afterwards.

        Args:
            url: of it.
            before: a script that is run in it before any of its own.
        """
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        try:
            if before:
                self.ask("Page.enable", session)
                self.ask("Page.addScriptToEvaluateOnNewDocument", session, source=before)
            self.ask("Page.navigate", session, url=url)
            yield BrowserPage(self, session)
        finally:
            self.ask("Target.disposeBrowserContext", browserContextId=context)


class BrowserPage:
    """A page that is open."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session

    def value(self, expression: str) -> Any:
        """Return what an expression comes to in the page, or what it promises; plain data.

        Raises:
            P2PError: it throws.
        """
        answer = self._browser.ask(
            "Runtime.evaluate", self._session, expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise P2PError(f"the page threw: {answer['exceptionDetails'].get('text')} ({expression[:60]})")
        return answer["result"].get("value")

    def until(self, expression: str, limit_s: float = _ANSWER_LIMIT_S) -> None:
        """Wait until an expression is true.

        Raises:
            P2PError: it did not become true.
        """
        end = time.monotonic() + limit_s
        while not self.value(expression):
            if end <= time.monotonic():
                raise P2PError(f"the page did not come so far in {limit_s:g} s: {expression}")
            time.sleep(_LOOK_EVERY_S)

    def press(self, code: str) -> None:
        """Press a key."""
        self._key("rawKeyDown", code)

    def release(self, code: str) -> None:
        """Let it go."""
        self._key("keyUp", code)

    def _key(self, kind: str, code: str) -> None:
        self._browser.ask(
            "Input.dispatchKeyEvent",
            self._session,
            type=kind,
            code=code,
            key=code,
            windowsVirtualKeyCode=_KEYS[code],
        )


@contextlib.contextmanager
def running_chromium() -> Iterator[Chromium]:
    """Start a headless Chromium; it is gone afterwards, whatever happened.

    Raises:
        P2PError: there is none, or it does not start.
    """
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        raise P2PError(f"no browser: wanted one of {', '.join(_NAMES)} (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory(prefix="gym_p2p-chromium-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(  # noqa: S603 - the machine's own browser
            [program, *_options(folder), "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,
        )
        try:
            with connect(_endpoint(process), max_size=_MAX_ANSWER_BYTES, compression=None) as line:
                yield Chromium(line)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_ANSWER_LIMIT_S / 3)
            process.kill()
            process.wait()
            assert process.stderr is not None  # noqa: S101 - a pipe, see above
            process.stderr.close()


def _options(folder: str) -> list[str]:
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []  # it refuses to run as root otherwise
    return [
        *("--headless=new", "--remote-debugging-port=0", f"--user-data-dir={Path(folder)}", *alone),
        *("--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", "--no-first-run", "--mute-audio", "--window-size=1000,700"),
    ]


def _endpoint(process: subprocess.Popen[str]) -> str:
    """Return where the browser listens, which it says on standard error."""
    assert process.stderr is not None  # noqa: S101 - a pipe of ours
    said: list[str] = []
    until = time.monotonic() + _START_LIMIT_S
    for line in process.stderr:
        if line.startswith(_ENDPOINT):
            return line.removeprefix(_ENDPOINT).strip()
        said.append(line.strip())
        if until <= time.monotonic():
            break
    raise P2PError(f"the browser does not start: {' '.join(said[-3:]) or 'it said nothing'}")
