"""A host of seats as a process of its own, and the pages that come to it."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

import psutil

from gym_p2p.human.messages import CLOSE_CODES
from tests.human.fake_page import FakePage
from tests.waiting import PATIENCE_S, until

__all__ = ["LONG", "Host", "let_in", "reason", "wait_for"]

LONG = ("--env-arg", "points=99")
"""A minute, where a match has to go on while something is done to it."""


class Host:
    """Runs ``gym-p2p host`` for the length of a ``with`` block.

    Args:
        folder: to run in.
        arguments: of the command.
        env: the environment.

    Attributes:
        lines: what it has said so far.
        errors: what it has said on standard error.
        unused: links that :meth:`take` has not given yet.
    """

    def __init__(self, folder: Path, *arguments: str, env: str = "gym_p2p/Rally-v0") -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.unused: list[str] = []
        command = [sys.executable, "-m", "gym_p2p", "host", env, "--port", "0", *arguments]
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.lines)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.errors)),
        ]

    def __enter__(self) -> Self:
        for reader in self._readers:
            reader.start()
        try:
            until(lambda: self.said("seats for") or self.process.poll() is not None)
            assert self.process.poll() is None, self.errors
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self.end()
        finally:
            self.process.kill()
            self.process.wait(PATIENCE_S)
            for reader in self._readers:
                reader.join(PATIENCE_S)

    def end(self) -> int:
        """Have it end as a service manager would; return its exit code, once it and all of its are gone."""
        below = psutil.Process(self.process.pid).children(recursive=True) if self.running else []
        self.process.terminate()
        code = self.process.wait(PATIENCE_S)
        until(lambda: not any(one.is_running() and one.status() != "zombie" for one in below))
        return code

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def links(self) -> list[str]:
        """The links in its file."""
        with (self.folder / "p2p-exports" / "links.csv").open(newline="") as file:
            return [row["link"] for row in csv.DictReader(file)]

    def take(self) -> tuple[str, str]:
        """Return a link that nobody has used, and its code."""
        link = self.unused.pop(0)
        return link, f"p{self.links.index(link) + 1:03}"

    @property
    def door(self) -> str:
        """The link for everybody."""
        (line,) = [line for line in self.lines if "for everybody" in line]
        return line.rpartition(" ")[2]

    def said(self, words: str) -> bool:
        """Return whether it has said this."""
        return any(words in line for line in self.lines)

    def heard(self, pattern: str) -> str | None:
        """Return what a pattern's group found in what it has said."""
        return next((found[1] for line in self.lines if (found := re.search(pattern, line))), None)

    def seats(self) -> list[psutil.Process]:
        """Return the processes of its seats, the oldest first."""
        return self._processes("gym_p2p-seat")

    def networks(self) -> list[psutil.Process]:
        """Return the network processes of its seats, the oldest first."""
        return self._processes("gym_p2p-network")

    def _processes(self, name: str) -> list[psutil.Process]:
        found = [
            one
            for one in psutil.process_iter(["name", "cwd", "create_time"])
            if one.info["name"] == name and one.info["cwd"] == os.fspath(self.folder)
        ]
        return sorted(found, key=lambda one: one.info["create_time"])

    @staticmethod
    def _read(stream: Iterable[str] | None, lines: list[str]) -> None:
        lines.extend(line.rstrip("\n") for line in stream or ())


def wait_for(page: FakePage, phase: str) -> None:
    """Wait until a page has been told a phase; it may have been told of the next one since.

    That a match is over is told once more with the last word, which says whether there may be another one.
    """

    def told() -> bool:
        return any(state["phase"] == phase for state in page.states if phase != "over" or "again" in state)

    until(lambda: told() or page.code is not None)
    assert told(), (page.code, page.states[-1:])


@contextlib.contextmanager
def let_in(link: str) -> Iterator[FakePage]:
    """Open a link, again while there is no place: one is free a moment after its process has gone."""
    with contextlib.ExitStack() as stack:
        pages: list[FakePage] = []

        def is_let_in() -> bool:
            pages.append(stack.enter_context(FakePage(link)))
            until(lambda: bool(pages[-1].states) or pages[-1].code is not None)
            return pages[-1].code != CLOSE_CODES["full"]

        until(is_let_in)
        yield pages[-1]


def reason(page: FakePage) -> str | None:
    ending = page.states[-1]["ending"]
    return None if ending is None else ending["reason"]
