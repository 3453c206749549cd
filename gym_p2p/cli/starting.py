"""What is shown of a command before it can say anything itself."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from gym_p2p.processes.progress import is_live

__all__ = ["starting"]


@contextlib.contextmanager
def starting(command: str = "") -> Iterator[None]:
    """Show at once that a command begins, while all that it needs is imported; gone at the end."""
    if not command or not is_live(sys.stderr):
        if command and sys.stderr.isatty():
            print(f"gym-p2p {command} ...", file=sys.stderr, flush=True)
        yield
        return
    print(f"gym-p2p {command} ...", end="\r", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print("\x1b[K", end="", file=sys.stderr, flush=True)
