"""What is being done, said while it is done, on standard error.

Knows terminals, pipes and time; refuses to know what is done.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TextIO

from gym_p2p.processes.threads import OwnThread

__all__ = ["PlainLines", "Say", "doing", "is_live", "telling"]

Say = Callable[[str], None]
"""Is told what is being done, in words."""

FIRST_LINE_S = 2.0
"""What takes longer says so."""

NEXT_LINE_S = 5.0
"""In a log, one line for so long is enough."""


def is_live(stream: TextIO) -> bool:
    """Return whether lines on this stream can be replaced: a terminal that is not a dumb one."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


@contextlib.contextmanager
def doing(what: str) -> Iterator[Callable[[str], None]]:
    """Show what is being done until the block ends; yields what shows something else from then on.

    On a terminal it is one line, which is gone at the end; elsewhere see :class:`PlainLines`.
    """
    if not is_live(sys.stderr):
        with PlainLines(sys.stderr, what) as lines:
            yield lines.say
        return
    from rich.console import Console  # noqa: PLC0415 - it takes a tenth of a second, which not all need

    with Console(stderr=True).status(what) as status:
        yield status.update


@contextlib.contextmanager
def telling(what: str, *, wanted: Say | bool | None) -> Iterator[Say]:
    """Tell what is being done until the block ends, as a function's caller wants it; yields what tells more.

    Args:
        what: what is being done, to begin with.
        wanted: what is told; or whether it is shown as :func:`doing` does. ``None`` shows it on a terminal.
    """
    if callable(wanted):
        wanted(what)
        yield wanted
    elif wanted or (wanted is None and sys.stderr is not None and is_live(sys.stderr)):
        with doing(what) as say:
            yield say
    else:
        yield lambda _text: None


class PlainLines:
    """Says what is being done where nothing can be replaced: after two seconds, and then every five.

    Args:
        stream: where to.
        what: what is being done, to begin with; empty says nothing.
    """

    def __init__(self, stream: TextIO, what: str = "") -> None:
        self._stream = stream
        self._what = what
        self._said = ""
        self._over = threading.Event()
        self._thread = OwnThread(target=self._run, name="gym_p2p progress", daemon=True)

    def say(self, what: str) -> None:
        """Have this said from now on."""
        self._what = what

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End; nothing more is said."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        pause_s = FIRST_LINE_S
        while not self._over.wait(pause_s):
            pause_s = NEXT_LINE_S
            if self._what and self._what != self._said:
                self._said = self._what
                with contextlib.suppress(OSError):  # nobody reads any more
                    print(f"{self._what} ...", file=self._stream, flush=True)
