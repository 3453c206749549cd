"""How tests wait: for a state that they name, and with one bound that no machine is too slow for.

A fixed sleep is too short on a busy machine and too long on every other; a tight bound fails where nothing is
wrong. So a test waits for what it is about to look at, and only what never comes takes the whole time.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import time
from collections.abc import Callable, Iterator

__all__ = ["PATIENCE_S", "Late", "eventually", "in_time", "lasting_port", "listens", "until"]

PATIENCE_S = 40.0
"""For what must come: many times what it takes, and a third of what pytest gives a test."""

_LASTING_PORTS = range(20_000, 32_000)
"""Below those that the system hands out, which are from 32,768 on."""
_tried = itertools.count(os.getpid() * 101)


class Late(AssertionError):
    """A measured time is beyond its bound: the test is tried again, alone."""


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    """Have what the block asserts of measured times tried again before the test fails (``tests.parallel``).

    Only what a busy machine stretches belongs into the block: what else a test finds wrong fails it at once.
    """
    try:
        yield
    except AssertionError as error:
        raise Late(str(error)) from error


def until(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    """Look again and again until something is so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


async def eventually(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    """Let the event loop run until something is so, looking again and again."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.001)


def listens(port: int) -> bool:
    """Tell whether somebody takes connections at a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S).close()
    except OSError:
        return False
    return True


def lasting_port() -> int:
    """Return a free port for who binds it later, or goes away and comes back: meanwhile nobody is given it.

    Another process is given any port of the system's own range as soon as it is free.
    """
    while True:
        port = _LASTING_PORTS[next(_tried) % len(_LASTING_PORTS)]
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
