"""A headless browser behind a Node program that is sent commands, and answers each when it is done.

Commands and answers are JSON lines; the programs use ``remote.mjs`` for their side.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from tests.waiting import PATIENCE_S

__all__ = ["Driver", "running_driver"]

HELPERS = tuple(Path(__file__).with_name(name) for name in ("remote.mjs", "seat.mjs"))
"""What programs import."""

START_TIMEOUT_S = 90.0
"""A browser that starts for the first time, on a busy machine."""


class Driver:
    """A program that runs, with its browser.

    Attributes:
        version: of the browser.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._ids = itertools.count(1)
        started: concurrent.futures.Future[str] = concurrent.futures.Future()
        self._asked: dict[int, concurrent.futures.Future[Any]] = {0: started}
        self._lock = threading.Lock()
        threading.Thread(target=self._read, name="browser driver", daemon=True).start()
        self.version = started.result(START_TIMEOUT_S)

    def ask(self, command: str, **parameters: Any) -> concurrent.futures.Future[Any]:
        """Begin a command of the program; what fails there fails in the answer."""
        answer: concurrent.futures.Future[Any] = concurrent.futures.Future()
        with self._lock:
            number = next(self._ids)
            self._asked[number] = answer
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"id": number, "command": command, **parameters}) + "\n")
            self._process.stdin.flush()
        return answer

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
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


@contextlib.contextmanager
def running_driver(
    program: Path,
    node_modules: Path,
    browser: str,
    *arguments: str,
    kind: Literal["chromium", "firefox"] = "chromium",
) -> Iterator[Driver]:
    """Start a program and its browser; both are gone afterwards, whatever happened.

    Args:
        program: a module that imports :data:`HELPERS`.
        node_modules: what it imports besides.
        browser: its program.
        arguments: the program's own, behind those of ``remote.mjs``.
        kind: of the browser.
    """
    folder = node_modules.parent
    for file in (*HELPERS, program):  # beside what they import
        _replace(folder / file.name, file.read_text())
    log_file = folder / f"{program.stem}.log"
    with log_file.open("w") as log:
        process = subprocess.Popen(
            ["node", program.name, kind, browser, str(int(START_TIMEOUT_S * 1000)), *arguments],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield _started(process, log_file)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()  # its browser ends with the pipe to it
            process.wait(PATIENCE_S)


def _replace(path: Path, text: str) -> None:
    """Write a file at once: another program may be about to import it."""
    written = path.with_suffix(f".{os.getpid()}")
    written.write_text(text)
    written.replace(path)


def _started(process: subprocess.Popen[str], log: Path) -> Driver:
    """Wait until the browser has started; if it does not, what its driver had to say is in the error."""
    try:
        return Driver(process)
    except (ConnectionError, TimeoutError) as error:
        raise RuntimeError(f"the browser does not start: {log.read_text()[-2000:]}") from error
