"""What a command finds itself in: its standard streams, its working directory, the signals that end it."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

from gym_p2p.errors import UsageError

__all__ = [
    "called_at_signals",
    "ended_by_signals",
    "heeded",
    "let_go_of_output",
    "past_a_signal",
    "require_working_directory",
    "run_until_interrupted",
    "steady_streams",
]

_T = TypeVar("_T")


def require_working_directory() -> None:
    """Refuse to run in a folder that was deleted: Gymnasium cannot even be imported there.

    Raises:
        UsageError: it was.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UsageError("the working directory was deleted; change into another one (cd)") from None


def steady_streams() -> None:
    """Let there be standard streams that take any text.

    Where one was closed, the next file or socket would get its number, and be written to by whoever means
    standard output. And what a terminal's encoding cannot show is no reason to end a match.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        with contextlib.suppress(OSError):
            os.fstat(number)
            continue
        os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
        setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False, encoding="utf-8"))  # noqa: SIM115 - a descriptor, for as long as the process lasts
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def let_go_of_output() -> None:
    """Write nothing any more: whoever read the output is gone, and what is left of it would fail at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(devnull, number)
    os.close(devnull)


def heeded(*numbers: int) -> list[int]:
    """Return those of these signals that this process does not ignore, as under ``nohup``.

    None outside the main thread, where Python lets no signals be handled.
    """
    if threading.current_thread() is not threading.main_thread():
        return []
    # None: of a handler that is not Python's.
    return [number for number in numbers if signal.getsignal(number) not in {signal.SIG_IGN, None}]


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a terminal that is gone, end a command as Ctrl-C does: in good order.

    Once: a service manager sends both, and the second would break off what the first began.
    """
    interrupted = False

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in heeded(signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def past_a_signal() -> Iterator[None]:
    """Let the block, which is about to end by itself, do so although somebody asks for it.

    Whoever presses Ctrl-C once more breaks it off; SIGTERM and SIGHUP, which one sender sends both, never do.
    """
    asked = False

    def heed(number: int, _frame: object) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True

    numbers = heeded(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, heed) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def called_at_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call this on this event loop at a signal that ends it; afterwards signals do what they did before."""
    import asyncio  # noqa: PLC0415 - half of what --help would load

    loop = asyncio.get_running_loop()
    before = {n: signal.getsignal(n) for n in heeded(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number in before:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def run_until_interrupted(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine as :func:`asyncio.run` does; SIGTERM and SIGHUP cancel it as Ctrl-C does.

    A handler that raises would do so in the middle of whatever the event loop is at, and what that holds is
    never closed.
    """
    import asyncio  # noqa: PLC0415 - half of what --help would load

    async def heeding() -> _T:
        loop = asyncio.get_running_loop()
        (main_task,) = asyncio.all_tasks()  # nothing else has begun
        for number in heeded(signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, main_task.cancel)
        return await coroutine

    try:
        return asyncio.run(heeding())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
